use uuid::Uuid;

use super::*;
use crate::modes::Ipv6Mode;
use crate::refusal::RefusalKind;
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
            "an IPv6 prefix of version 4",
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
fn each_rule_of_ipv4_refuses_with_its_own_type() {
    let base = || asked4("10.0.0.0/24");
    let gateway = |text: &str| NewSubnet {
        gateway_ip: Some(Some(text.parse().unwrap())),
        ..base()
    };
    let pool = |start: &str, end: &str| NewSubnet {
        allocation_pools: Some(vec![(start.parse().unwrap(), end.parse().unwrap())]),
        ..base()
    };
    let dns = |text: &str| NewSubnet {
        dns_nameservers: vec![text.parse().unwrap()],
        ..base()
    };
    let without_dhcp = |cidr: &str| NewSubnet {
        enable_dhcp: false,
        ..asked4(cidr)
    };
    let rows: Vec<(&str, NewSubnet, Option<RefusalKind>)> = vec![
        ("plain", base(), None),
        ("host bits", asked4("10.0.0.7/24"), None),
        (
            "an IPv6 prefix",
            asked4("2001:db8::/64"),
            Some(InvalidInput),
        ),
        (
            "modes",
            NewSubnet {
                modes: slaac(),
                ..base()
            },
            Some(InvalidInput),
        ),
        ("/30", asked4("10.0.0.0/30"), None),
        ("/31", asked4("10.0.0.0/31"), Some(InvalidInput)),
        ("/32", asked4("10.0.0.0/32"), Some(InvalidInput)),
        ("/31 without DHCP", without_dhcp("10.0.0.0/31"), None),
        ("/32 without DHCP", without_dhcp("10.0.0.0/32"), None),
        ("from 0.0.0.0", asked4("0.0.0.0/8"), Some(InvalidInput)),
        ("everything", without_dhcp("0.0.0.0/0"), Some(InvalidInput)),
        ("multicast", asked4("224.0.0.0/24"), Some(InvalidInput)),
        (
            "around multicast",
            asked4("128.0.0.0/1"),
            Some(InvalidInput),
        ),
        ("loopback", asked4("127.0.1.0/24"), Some(InvalidInput)),
        ("link-local", asked4("169.254.0.0/16"), None),
        (
            "the same prefix again",
            asked4("192.0.2.0/24"),
            Some(InvalidInput),
        ),
        (
            "inside a sibling",
            asked4("192.0.2.128/25"),
            Some(InvalidInput),
        ),
        (
            "around a sibling",
            asked4("192.0.0.0/16"),
            Some(InvalidInput),
        ),
        ("the last address as gateway", gateway("10.0.0.254"), None),
        ("a gateway outside", gateway("192.0.2.1"), None),
        (
            "the network address as gateway",
            gateway("10.0.0.0"),
            Some(InvalidInput),
        ),
        (
            "the broadcast address as gateway",
            gateway("10.0.0.255"),
            Some(InvalidInput),
        ),
        ("an IPv6 gateway", gateway("fe80::1"), Some(InvalidInput)),
        (
            "everybody as gateway",
            gateway("255.255.255.255"),
            Some(InvalidInput),
        ),
        ("a pool", pool("10.0.0.10", "10.0.0.20"), None),
        (
            "a pool over the gateway",
            pool("10.0.0.1", "10.0.0.20"),
            Some(GatewayConflictWithAllocationPools),
        ),
        (
            "a pool with the network address",
            pool("10.0.0.0", "10.0.0.0"),
            Some(OutOfBoundsAllocationPool),
        ),
        (
            "a pool with the broadcast address",
            pool("10.0.0.10", "10.0.0.255"),
            Some(OutOfBoundsAllocationPool),
        ),
        (
            "a pool outside",
            pool("10.0.1.10", "10.0.1.20"),
            Some(OutOfBoundsAllocationPool),
        ),
        (
            "a pool reversed",
            pool("10.0.0.20", "10.0.0.10"),
            Some(InvalidAllocationPool),
        ),
        (
            "a pool of IPv6",
            pool("2001:db8::1", "2001:db8::2"),
            Some(InvalidAllocationPool),
        ),
        (
            "a pool of both",
            pool("10.0.0.2", "2001:db8::2"),
            Some(InvalidAllocationPool),
        ),
        ("a name server", dns("192.0.2.53"), None),
        ("no name servers are announced", dns("0.0.0.0"), None),
        (
            "an IPv6 name server",
            dns("2001:db8::53"),
            Some(InvalidInput),
        ),
        (
            "a group as name server",
            dns("224.0.0.1"),
            Some(InvalidInput),
        ),
        (
            "everybody as name server",
            dns("255.255.255.255"),
            Some(InvalidInput),
        ),
    ];
    let siblings = ["192.0.2.0/24", "2001:db8:f::/64"].map(|cidr| cidr.parse().unwrap());
    for (why, asked, expected) in rows {
        let answer = asked.check(&siblings);
        assert_eq!(answer.err().map(|refusal| refusal.kind), expected, "{why}");
    }
}

#[test]
fn routes_are_of_the_subnets_family_and_none_are_told_on_ipv6() {
    let route = |destination: &str, nexthop: &str| HostRoute {
        destination: destination.parse().unwrap(),
        nexthop: nexthop.parse().unwrap(),
    };
    let many = |count: u8| -> Vec<HostRoute> {
        let routes = (0..count).map(|n| route(&format!("192.0.2.{n}/32"), "10.0.0.1"));
        routes.collect()
    };
    let rows = [
        ("10.0.0.0/24", many(20), None),
        ("10.0.0.0/24", many(21), Some(HostRoutesExhausted)),
        ("10.0.0.0/24", vec![route("0.0.0.0/0", "10.0.0.9")], None),
        ("10.0.0.0/24", vec![route("192.0.2.0/24", "0.0.0.0")], None),
        (
            "10.0.0.0/24",
            vec![route("192.0.2.1/24", "10.0.0.9")],
            Some(HttpBadRequest),
        ),
        (
            "10.0.0.0/24",
            vec![route("192.0.2.0/24", "2001:db8::1")],
            Some(InvalidInput),
        ),
        (
            "10.0.0.0/24",
            vec![route("2001:db8::/64", "10.0.0.9")],
            Some(InvalidInput),
        ),
        (
            "10.0.0.0/24",
            [many(1), many(1)].concat(),
            Some(HttpBadRequest),
        ),
        ("2001:db8:1::/64", vec![], None),
        (
            "2001:db8:1::/64",
            vec![route("2001:db8::/64", "2001:db8:1::9")],
            Some(InvalidInput),
        ),
        ("2001:db8:1::/64", many(1), Some(InvalidInput)),
    ];
    for (cidr, host_routes, expected) in rows {
        let ip_version = if cidr.contains(':') { 6 } else { 4 };
        let subnet = NewSubnet {
            ip_version,
            host_routes: host_routes.clone(),
            ..asked(cidr)
        };
        let answer = subnet.check(&[]);
        assert_eq!(
            answer.err().map(|refusal| refusal.kind),
            expected,
            "{cidr} {host_routes:?}"
        );
    }
}

#[test]
fn an_ipv4_subnet_has_its_gateway_after_the_network_address() {
    let rows = [
        (
            "10.0.0.7/24",
            Some("10.0.0.1"),
            vec![range("10.0.0.2", "10.0.0.254")],
        ),
        ("10.0.0.0/31", Some("10.0.0.1"), vec![]),
        ("10.0.0.7/32", None, vec![range("10.0.0.7", "10.0.0.7")]),
    ];
    for (cidr, gateway, pools) in rows {
        let subnet = NewSubnet {
            enable_dhcp: false,
            ..asked4(cidr)
        };
        let subnet = subnet.check(&[]).unwrap();
        assert_eq!(subnet.gateway_ip, gateway.map(|text| text.parse().unwrap()));
        assert_eq!(subnet.allocation_pools, pools, "{cidr}");
    }
}

#[test]
fn documents_of_before_ipv4_are_read() {
    let subnet = stored(slaac());
    let mut document = serde_json::to_value(&subnet).unwrap();
    document.as_object_mut().unwrap().remove("host_routes");
    assert_eq!(serde_json::from_value::<Subnet>(document).unwrap(), subnet);
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
        host_routes: Vec::new(),
        enable_dhcp: true,
        modes: Ipv6Modes::default(),
    }
}

fn asked4(cidr: &str) -> NewSubnet {
    NewSubnet {
        ip_version: 4,
        ..asked(cidr)
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
        host_routes: addressing.host_routes,
        service_types: Vec::new(),
        enable_dhcp: true,
        modes,
        revision_number: 0,
        created_at: "2026-01-01T00:00:00Z".into(),
        updated_at: "2026-01-01T00:00:00Z".into(),
        sequence: 1,
    }
}
