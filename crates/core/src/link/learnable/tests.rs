use uuid::Uuid;

use super::*;
use crate::ids::{PortId, PortNumber, SubnetId, Vni};
use crate::mac::Mac;
use crate::modes::{Dhcpv6Service, RaSender, SolicitWithoutAddress};
use crate::port::FixedIp;

fn subnet(cidr: &str, vni: u32, learned: bool) -> SubnetPlan {
    SubnetPlan {
        id: SubnetId(Uuid::nil()),
        vni: Vni(vni),
        sequence: 1,
        cidr: cidr.parse().unwrap(),
        sender: RaSender::Us,
        autonomous: learned,
        managed: false,
        other: false,
        dhcpv6: Some(Dhcpv6Service::Options),
        solicit_without_address: SolicitWithoutAddress::NoAddrsAvail,
        dns_nameservers: vec![],
        learned,
        gateway_ip: Some("2001:db8:1::1".parse().unwrap()),
        segment: None,
    }
}

#[test]
fn prefixes_are_those_whose_mode_lets_guests_choose_and_that_the_port_has_an_address_of() {
    let port = PortPlan {
        dhcp_options: crate::dhcp::DhcpOptions::default(),
        id: PortId(Uuid::nil()),
        number: PortNumber(1),
        vni: Vni(5),
        mac: Mac::default(),
        admin_state_up: true,
        port_security_enabled: true,
        fixed_ips: ["2001:db8:1::5", "2001:db8:2::5", "2001:db8:4::5"]
            .map(|text| FixedIp {
                subnet_id: SubnetId(Uuid::nil()),
                ip_address: text.parse().unwrap(),
            })
            .to_vec(),
    };
    let subnets = [
        subnet("2001:db8:1::/64", 5, true),
        // Stateful: nothing is left to the guest.
        subnet("2001:db8:2::/64", 5, false),
        // The port holds no address of it.
        subnet("2001:db8:3::/64", 5, true),
        // Another network's.
        subnet("2001:db8:4::/64", 6, true),
    ];
    let prefixes: Vec<Ipv6Net> = learnable(&port, &subnets)
        .iter()
        .map(|learnable| learnable.prefix)
        .collect();
    assert_eq!(prefixes, ["2001:db8:1::/64".parse().unwrap()]);
}

#[test]
fn addresses_that_stand_for_routers_or_anycast_are_no_guests() {
    for (prefix, address, expected) in [
        ("2001:db8:1::/64", "2001:db8:1::2", true),
        ("2001:db8:1::/64", "2001:db8:2::2", false),
        // The subnet's routers, its gateway.
        ("2001:db8:1::/64", "2001:db8:1::", false),
        ("2001:db8:1::/64", "2001:db8:1::1", false),
        // RFC 2526 §2 with identifiers of 64 bits, and next to it.
        ("2001:db8:1::/64", "2001:db8:1:0:fdff:ffff:ffff:ff7f", true),
        ("2001:db8:1::/64", "2001:db8:1:0:fdff:ffff:ffff:ff80", false),
        ("2001:db8:1::/64", "2001:db8:1:0:fdff:ffff:ffff:ffff", false),
        ("2001:db8:1::/64", "2001:db8:1:0:fe00::", true),
        // And with others.
        ("2001:db8:1::/96", "2001:db8:1::ffff:ff7f", true),
        ("2001:db8:1::/96", "2001:db8:1::ffff:ff80", false),
    ] {
        let learnable = Learnable {
            prefix: prefix.parse().unwrap(),
            gateway_ip: Some("2001:db8:1::1".parse().unwrap()),
        };
        assert_eq!(
            learnable.admits(address.parse().unwrap()),
            expected,
            "{address} of {prefix}"
        );
    }
}
