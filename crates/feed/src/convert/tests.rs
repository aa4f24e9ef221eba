use hextet_core::dhcp::DhcpOptions;
use hextet_core::ids::{PortId, PortNumber, SubnetId, Vni};
use hextet_core::mac::Mac;
use hextet_core::plan::{Ipv4Route, Ipv4SubnetPlan, PlanEntry, PlanKey, PortPlan};
use hextet_core::port::FixedIp;
use hextet_core::report::{AddressConflict, HostReport, Observed, PortReport, PortState};
use prost::Message;

use super::*;
use crate::v1;

#[test]
fn a_port_that_lacks_a_field_is_refused_by_its_name() {
    let good = v1::Entry::from(&port());
    assert_eq!(PlanEntry::try_from(&good), Ok(port()));
    check(
        |port| port.id.truncate(3),
        "port.id has 3 octets instead of 16",
    );
    check(|port| port.number = 0, "port.number cannot be 0");
    check(|port| port.vni = 1 << 24, "vni cannot be 16777216");
    check(
        |port| port.mac.push(0),
        "port.mac has 7 octets instead of 6",
    );
    check(
        |port| port.fixed_ips[0].address.clear(),
        "port.fixed_ips.address has 0 octets instead of 16",
    );
}

#[test]
fn dhcp_options_have_codes_of_their_family() {
    let PlanEntry::Port(port) = port() else {
        panic!("a port");
    };
    for boot_server in ["192.0.2.69", "2001:db8::69"] {
        let port = PlanEntry::Port(PortPlan {
            dhcp_options: DhcpOptions {
                v4: [(3, vec![]), (67, b"pxelinux.0".to_vec())].into(),
                v6: [(59, b"tftp://[2001:db8::69]/x".to_vec()), (65535, vec![1])].into(),
                boot_server: Some(boot_server.parse().unwrap()),
                unknown: vec!["test_option_1".to_owned()],
            },
            ..port.clone()
        });
        let bytes = v1::Entry::from(&port).encode_to_vec();
        let entry = v1::Entry::decode(bytes.as_slice()).unwrap();
        assert_eq!(PlanEntry::try_from(&entry), Ok(port));
    }
    let option = |code| v1::DhcpOption {
        code,
        content: vec![1],
    };
    check(
        |port| port.dhcpv4_options.push(option(256)),
        "port.dhcpv4_options.code cannot be 256",
    );
    check(
        |port| port.dhcpv6_options.push(option(65536)),
        "port.dhcpv6_options.code cannot be 65536",
    );
    check(
        |port| port.boot_server = vec![1],
        "port.boot_server has 1 octets instead of 16",
    );
}

#[test]
fn a_port_is_unguarded_only_where_that_is_said() {
    let PlanEntry::Port(port) = port() else {
        panic!("a port");
    };
    for guarded in [true, false] {
        let port = PlanEntry::Port(PortPlan {
            port_security_enabled: guarded,
            ..port.clone()
        });
        let bytes = v1::Entry::from(&port).encode_to_vec();
        let entry = v1::Entry::decode(bytes.as_slice()).unwrap();
        assert_eq!(PlanEntry::try_from(&entry), Ok(port));
    }
    // As a program without the field says it.
    let mut silent = v1::Entry::from(&PlanEntry::Port(port.clone()));
    let Some(v1::entry::Entry::Port(inner)) = silent.entry.as_mut() else {
        panic!("a port");
    };
    inner.unguarded = Default::default();
    assert_eq!(PlanEntry::try_from(&silent), Ok(PlanEntry::Port(port)));
}

#[test]
fn an_ipv4_subnet_survives_the_wire_and_lacks_nothing() {
    let subnet = PlanEntry::Ipv4Subnet(Ipv4SubnetPlan {
        id: SubnetId(Uuid::from_u128(8)),
        vni: Vni(5),
        sequence: 3,
        cidr: "10.0.0.0/24".parse().unwrap(),
        dhcp: true,
        gateway_ip: Some("10.0.0.1".parse().unwrap()),
        dns_nameservers: vec!["192.0.2.53".parse().unwrap()],
        host_routes: vec![Ipv4Route {
            destination: "0.0.0.0/0".parse().unwrap(),
            nexthop: "10.0.0.9".parse().unwrap(),
        }],
    });
    let good = v1::Entry::from(&subnet);
    assert_eq!(PlanEntry::try_from(&good), Ok(subnet));
    let check = |spoil: fn(&mut v1::Ipv4Subnet), expected: &str| {
        let mut entry = good.clone();
        let Some(v1::entry::Entry::Ipv4Subnet(inner)) = entry.entry.as_mut() else {
            panic!("an IPv4 subnet");
        };
        spoil(inner);
        let error = PlanEntry::try_from(&entry).unwrap_err();
        assert_eq!(error.to_string(), expected);
    };
    check(
        |subnet| subnet.prefix = vec![0; 16],
        "ipv4_subnet.prefix has 16 octets instead of 4",
    );
    check(
        |subnet| subnet.prefix = vec![10, 0, 0, 1],
        "ipv4_subnet.prefix has bits set behind its length",
    );
    check(
        |subnet| subnet.prefix_len = 33,
        "ipv4_subnet.prefix cannot be 33",
    );
    check(
        |subnet| subnet.gateway_ip.truncate(3),
        "ipv4_subnet.gateway_ip has 3 octets instead of 4",
    );
    check(
        |subnet| subnet.host_routes[0].nexthop.clear(),
        "ipv4_subnet.host_routes.nexthop has 0 octets instead of 4",
    );
}

#[test]
fn an_entry_and_a_key_without_content_are_refused() {
    assert_eq!(
        PlanEntry::try_from(&v1::Entry::default()),
        Err(Malformed::Missing("entry"))
    );
    assert_eq!(
        PlanKey::try_from(&v1::Key::default()),
        Err(Malformed::Missing("key"))
    );
}

#[test]
fn a_prefix_with_host_bits_or_an_impossible_length_is_refused() {
    let octets = "2001:db8::1".parse::<Ipv6Addr>().unwrap().octets();
    assert_eq!(prefix("p", &octets, 64), Err(Malformed::HostBits("p")));
    assert!(prefix("p", &octets, 129).is_err());
    assert!(prefix("p", &octets, 300).is_err());
    assert_eq!(
        prefix("p", &octets, 128).unwrap().to_string(),
        "2001:db8::1/128"
    );
}

#[test]
fn a_report_survives_the_wire() {
    let report = HostReport {
        generation: hextet_core::plan::Generation {
            epoch: u64::MAX,
            revision: 9,
        },
        ports: vec![
            PortReport {
                port: PortId(Uuid::from_u128(1)),
                state: PortState::Up,
                carrier: false,
                observed: vec![Observed {
                    address: "2001:db8::7:1".parse().unwrap(),
                    since_s: 1_700_000_000,
                }],
                conflicts: [None, Some(PortId(Uuid::from_u128(2)))]
                    .map(|holder| AddressConflict {
                        address: "fe80::1".parse().unwrap(),
                        holder,
                    })
                    .to_vec(),
            },
            PortReport {
                port: PortId(Uuid::from_u128(2)),
                state: PortState::Down("no link".to_owned()),
                carrier: true,
                observed: Vec::new(),
                conflicts: Vec::new(),
            },
        ],
    };
    let encoded = v1::Report::from(&report).encode_to_vec();
    let decoded = v1::Report::decode(encoded.as_slice()).unwrap();
    assert_eq!(HostReport::try_from(&decoded), Ok(report));
}

fn port() -> PlanEntry {
    PlanEntry::Port(PortPlan {
        dhcp_options: DhcpOptions::default(),
        id: PortId(Uuid::from_u128(7)),
        number: PortNumber(3),
        vni: Vni(5),
        mac: Mac([2, 0, 0, 0, 0, 1]),
        admin_state_up: true,
        port_security_enabled: true,
        fixed_ips: ["2001:db8::2", "10.0.0.2"]
            .map(|address| FixedIp {
                subnet_id: SubnetId(Uuid::from_u128(8)),
                ip_address: address.parse().unwrap(),
            })
            .to_vec(),
    })
}

fn check(spoil: impl FnOnce(&mut v1::Port), expected: &str) {
    let mut entry = v1::Entry::from(&port());
    let Some(v1::entry::Entry::Port(inner)) = entry.entry.as_mut() else {
        panic!("a port");
    };
    spoil(inner);
    assert_eq!(
        PlanEntry::try_from(&entry).unwrap_err().to_string(),
        expected
    );
}
