use uuid::Uuid;

use super::*;
use crate::modes::Ipv6Mode;
use crate::refusal::RefusalKind::*;

/// The observed answers of Neutron 29, but for the default gateway, which is network + 1 here.
#[test]
fn prefix_and_mode_decide_together() {
    let modes = ["-", "slaac", "dhcpv6-stateful", "dhcpv6-stateless"];
    let rows = [
        ("2001:db8:1::/64", [true, true, true, true]),
        ("2001:db8:1::/63", [true, false, true, false]),
        ("2001:db8:1::/80", [true, false, true, false]),
        ("2001:db8:1::/126", [true, false, true, false]),
        ("2001:db8:1::/127", [false; 4]),
        ("2001:db8:1::/128", [false; 4]),
        ("::/64", [false; 4]),
        ("::/0", [false; 4]),
        ("fe80::/64", [false; 4]),
        ("fe80:0:0:1::/64", [false; 4]),
        ("::ffff:1.2.3.0/120", [false; 4]),
        ("ff00::/64", [false; 4]),
        ("::1/128", [false; 4]),
        ("fc00::/64", [true; 4]),
        ("2001:db8::1/64", [true; 4]),
    ];
    for (cidr, verdicts) in rows {
        for (mode, accepted) in modes.iter().zip(verdicts) {
            let mode = Ipv6Mode::from_name(mode);
            let asked = NewSubnet {
                modes: Ipv6Modes {
                    ra: mode,
                    address: mode,
                },
                ..asked(cidr)
            };
            let answer = asked.check(&[]).map_err(|refusal| refusal.kind);
            match accepted {
                true => assert!(answer.is_ok(), "{cidr} {mode:?}: {answer:?}"),
                false => assert_eq!(answer, Err(InvalidInput), "{cidr} {mode:?}"),
            }
        }
    }
}

#[test]
fn host_bits_are_masked_and_the_gateway_is_network_plus_one() {
    let subnet = asked("2001:db8::1/64").check(&[]).unwrap();
    assert_eq!(subnet.cidr, "2001:db8::/64".parse().unwrap());
    assert_eq!(subnet.gateway_ip, Some("2001:db8::1".parse().unwrap()));
    assert_eq!(
        subnet.allocation_pools,
        [range("2001:db8::2", "2001:db8::ffff:ffff:ffff:ffff")]
    );
}

#[test]
fn short_prefixes_are_for_subnets_without_dhcp() {
    for (cidr, gateway, pools) in [
        ("2001:db8::/127", Some("2001:db8::1"), vec![]),
        (
            "2001:db8::/128",
            None,
            vec![range("2001:db8::", "2001:db8::")],
        ),
    ] {
        let subnet = NewSubnet {
            enable_dhcp: false,
            ..asked(cidr)
        };
        let subnet = subnet.check(&[]).unwrap();
        assert_eq!(subnet.gateway_ip, gateway.map(|text| text.parse().unwrap()));
        assert_eq!(subnet.allocation_pools, pools, "{cidr}");
    }
}

#[test]
fn each_rule_refuses_with_its_own_type() {
    let base = || asked("2001:db8:1::/64");
    let rows: Vec<(&str, NewSubnet, Option<RefusalKind>)> = vec![
        (
            "modes with DHCP off",
            NewSubnet {
                enable_dhcp: false,
                modes: slaac(),
                ..base()
            },
            Some(InvalidInput),
        ),
        (
            "IPv4",
            NewSubnet {
                ip_version: 4,
                ..base()
            },
            Some(InvalidInput),
        ),
        ("another family", asked("10.0.0.0/24"), Some(InvalidInput)),
        (
            "no cidr",
            NewSubnet {
                cidr: None,
                ..base()
            },
            Some(BadRequest),
        ),
        (
            "no gateway",
            NewSubnet {
                gateway_ip: Some(None),
                ..base()
            },
            None,
        ),
        ("link-local gateway", gateway("fe80::1"), None),
        ("gateway outside", gateway("2001:db8:2::1"), None),
        ("gateway = network", gateway("2001:db8:1::"), None),
        ("IPv4 gateway", gateway("10.0.0.1"), Some(InvalidInput)),
        ("multicast gateway", gateway("ff02::1"), Some(InvalidInput)),
        (
            "gateway in a pool",
            pools(&[("2001:db8:1::1", "2001:db8:1::9")]),
            Some(GatewayConflictWithAllocationPools),
        ),
        ("pool", pools(&[("2001:db8:1::2", "2001:db8:1::9")]), None),
        (
            "pool outside",
            pools(&[("2001:db8:2::2", "2001:db8:2::9")]),
            Some(OutOfBoundsAllocationPool),
        ),
        (
            "pool reversed",
            pools(&[("2001:db8:1::9", "2001:db8:1::2")]),
            Some(InvalidAllocationPool),
        ),
        (
            "IPv4 pool",
            pools(&[("10.0.0.2", "10.0.0.9")]),
            Some(InvalidAllocationPool),
        ),
        (
            "pools overlap",
            pools(&[
                ("2001:db8:1::4", "2001:db8:1::9"),
                ("2001:db8:1::2", "2001:db8:1::4"),
            ]),
            Some(OverlappingAllocationPools),
        ),
        (
            "pool with the network address",
            pools(&[("2001:db8:1::", "2001:db8:1::9")]),
            Some(OutOfBoundsAllocationPool),
        ),
        ("no name servers are announced", dns(&["::"]), None),
        ("IPv4 name server", dns(&["8.8.8.8"]), Some(InvalidInput)),
        (
            "five name servers",
            dns(&["::a", "::b", "::c", "::d", "::e"]),
            None,
        ),
        (
            "six name servers",
            dns(&["::a", "::b", "::c", "::d", "::e", "::f"]),
            Some(DnsNameServersExhausted),
        ),
        (
            "a name server twice",
            dns(&["2001:db8::53", "2001:db8:0::53"]),
            Some(HttpBadRequest),
        ),
        (
            "the same prefix again",
            asked("2001:db8:f::/64"),
            Some(InvalidInput),
        ),
        (
            "a prefix inside a sibling",
            asked("2001:db8:f::/80"),
            Some(InvalidInput),
        ),
        (
            "a prefix around a sibling",
            asked("2001:db8::/32"),
            Some(InvalidInput),
        ),
    ];
    for (why, asked, expected) in rows {
        let answer = asked.check(&["2001:db8:f::/64".parse().unwrap()]);
        assert_eq!(answer.err().map(|refusal| refusal.kind), expected, "{why}");
    }
}

#[test]
fn a_change_keeps_the_rules() {
    let stored = stored(slaac());
    let rows: Vec<(&str, SubnetPatch, Option<RefusalKind>)> = vec![
        ("nothing", SubnetPatch::default(), None),
        (
            "DHCP off with modes",
            SubnetPatch {
                enable_dhcp: Some(false),
                ..Default::default()
            },
            Some(InvalidInput),
        ),
        (
            "gateway into the pools",
            SubnetPatch {
                gateway_ip: Some(Some("2001:db8:1::9".parse().unwrap())),
                ..Default::default()
            },
            Some(GatewayConflictWithAllocationPools),
        ),
        (
            "gateway outside",
            SubnetPatch {
                gateway_ip: Some(Some("fe80::1".parse().unwrap())),
                ..Default::default()
            },
            None,
        ),
        (
            "no gateway",
            SubnetPatch {
                gateway_ip: Some(None),
                ..Default::default()
            },
            None,
        ),
        (
            "pool over the gateway",
            SubnetPatch {
                allocation_pools: Some(vec![(
                    "2001:db8:1::1".parse().unwrap(),
                    "2001:db8:1::9".parse().unwrap(),
                )]),
                ..Default::default()
            },
            Some(GatewayConflictWithAllocationPools),
        ),
    ];
    for (why, patch, expected) in rows {
        let answer = patch.check(&stored);
        assert_eq!(answer.err().map(|refusal| refusal.kind), expected, "{why}");
    }
}

#[test]
fn a_gateway_change_does_not_rebuild_the_pools() {
    let stored = stored(slaac());
    let patch = SubnetPatch {
        gateway_ip: Some(None),
        ..Default::default()
    };
    let after = patch.check(&stored).unwrap();
    assert_eq!(after.allocation_pools, stored.allocation_pools);
}

fn asked(cidr: &str) -> NewSubnet {
    NewSubnet {
        ip_version: 6,
        cidr: Some(cidr.parse().unwrap()),
        gateway_ip: None,
        allocation_pools: None,
        dns_nameservers: Vec::new(),
        enable_dhcp: true,
        modes: Ipv6Modes::default(),
    }
}

fn slaac() -> Ipv6Modes {
    Ipv6Modes {
        ra: Some(Ipv6Mode::Slaac),
        address: Some(Ipv6Mode::Slaac),
    }
}

fn gateway(text: &str) -> NewSubnet {
    NewSubnet {
        gateway_ip: Some(Some(text.parse().unwrap())),
        ..asked("2001:db8:1::/64")
    }
}

fn pools(pools: &[(&str, &str)]) -> NewSubnet {
    let pools = pools
        .iter()
        .map(|(start, end)| (start.parse().unwrap(), end.parse().unwrap()));
    NewSubnet {
        allocation_pools: Some(pools.collect()),
        ..asked("2001:db8:1::/64")
    }
}

fn dns(servers: &[&str]) -> NewSubnet {
    NewSubnet {
        dns_nameservers: servers.iter().map(|text| text.parse().unwrap()).collect(),
        ..asked("2001:db8:1::/64")
    }
}

fn range(start: &str, end: &str) -> AddressRange {
    AddressRange {
        start: start.parse().unwrap(),
        end: end.parse().unwrap(),
    }
}

fn stored(modes: Ipv6Modes) -> Subnet {
    let addressing = NewSubnet {
        modes,
        ..asked("2001:db8:1::/64")
    };
    let addressing = addressing.check(&[]).unwrap();
    Subnet {
        id: SubnetId(Uuid::from_u128(1)),
        name: String::new(),
        description: String::new(),
        tags: std::collections::BTreeSet::new(),
        project_id: ProjectId("p".into()),
        network_id: NetworkId(Uuid::from_u128(2)),
        ip_version: 6,
        cidr: addressing.cidr,
        gateway_ip: addressing.gateway_ip,
        allocation_pools: addressing.allocation_pools,
        dns_nameservers: addressing.dns_nameservers,
        enable_dhcp: true,
        modes,
        revision_number: 0,
        created_at: "2026-01-01T00:00:00Z".into(),
        updated_at: "2026-01-01T00:00:00Z".into(),
        sequence: 1,
    }
}
