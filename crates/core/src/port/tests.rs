use uuid::Uuid;

use super::*;
use crate::modes::{Ipv6Mode, Ipv6Modes};
use crate::subnet::NewSubnet;

const MAC: Mac = Mac([0xfa, 0x16, 0x3e, 0, 0, 1]);
const SLAAC: &str = "2001:db8:1::/64";
const STATEFUL: &str = "2001:db8:2::/64";
const PLAIN: &str = "2001:db8:3::/96";
const EUI64: &str = "2001:db8:1::f816:3eff:fe00:1";

#[test]
fn a_new_port_gets_what_it_asks_for_and_its_eui64_addresses() {
    let subnets = subnets();
    let rows: Vec<(&str, Option<Vec<FixedIpRequest>>, &str, Answer)> = vec![
        (
            "nothing asked",
            None,
            "",
            Ok(vec!["any 4 5", "any 2 3", EUI64]),
        ),
        ("the empty list", Some(vec![]), "", Ok(vec![EUI64])),
        (
            "the auto-address subnet",
            Some(vec![subnet(1)]),
            "",
            Ok(vec![EUI64]),
        ),
        (
            "a pooled subnet",
            Some(vec![subnet(2)]),
            "",
            Ok(vec!["any 2", EUI64]),
        ),
        (
            "two of one subnet",
            Some(vec![subnet(2), subnet(2)]),
            "",
            Ok(vec!["any 2", "any 2", EUI64]),
        ),
        (
            "an address",
            Some(vec![address("2001:db8:3::7")]),
            "",
            Ok(vec!["2001:db8:3::7", EUI64]),
        ),
        (
            "its own EUI-64 address",
            Some(vec![address(EUI64)]),
            "",
            Ok(vec![EUI64]),
        ),
        (
            "another on the auto-address subnet",
            Some(vec![address("2001:db8:1::7")]),
            "",
            Err(RefusalKind::AllocationOnAutoAddressSubnet),
        ),
        (
            "in no subnet",
            Some(vec![address("2001:db8:9::7")]),
            "",
            Err(RefusalKind::InvalidIpForNetwork),
        ),
        (
            "not in the named subnet",
            Some(vec![both(2, "2001:db8:3::7")]),
            "",
            Err(RefusalKind::InvalidIpForSubnet),
        ),
        (
            "the network address, no owner",
            Some(vec![address("2001:db8:2::")]),
            "",
            Ok(vec!["2001:db8:2::", EUI64]),
        ),
        (
            "the network address, an owner",
            Some(vec![address("2001:db8:2::")]),
            "compute:nova",
            Err(RefusalKind::InvalidIpForSubnet),
        ),
        (
            "a subnet of elsewhere",
            Some(vec![subnet(9)]),
            "",
            Err(RefusalKind::InvalidInput),
        ),
        (
            "an entry that says nothing",
            Some(vec![FixedIpRequest::default()]),
            "",
            Err(RefusalKind::HttpBadRequest),
        ),
        (
            "a router's port",
            Some(vec![address("2001:db8:1::1")]),
            "network:router_interface",
            Ok(vec!["2001:db8:1::1"]),
        ),
        (
            "a router's port, nothing asked",
            None,
            "network:router_interface",
            Ok(vec!["any 4 5", "any 2 3"]),
        ),
        (
            "an address of each family",
            Some(vec![address("10.0.1.7"), both(2, "2001:db8:2::7")]),
            "",
            Ok(vec!["10.0.1.7", "2001:db8:2::7", EUI64]),
        ),
        (
            "an IPv4 subnet",
            Some(vec![subnet(5)]),
            "",
            Ok(vec!["any 5", EUI64]),
        ),
        (
            "an IPv4 address in no subnet",
            Some(vec![address("10.0.2.7")]),
            "",
            Err(RefusalKind::InvalidIpForNetwork),
        ),
        (
            "the IPv4 network address",
            Some(vec![address("10.0.0.0")]),
            "",
            Err(RefusalKind::InvalidIpForSubnet),
        ),
        (
            "the IPv4 broadcast address, even for a router",
            Some(vec![address("10.0.0.255")]),
            "network:router_interface",
            Err(RefusalKind::InvalidIpForSubnet),
        ),
        (
            "an address of the other family than the subnet's",
            Some(vec![both(4, "2001:db8:2::7")]),
            "",
            Err(RefusalKind::InvalidIpForSubnet),
        ),
    ];
    for (why, asked, owner, expected) in rows {
        let addressee = Addressee {
            subnets: &subnets,
            mac: MAC,
            device_owner: owner,
        };
        check(why, addressee.wishes(asked.as_deref()), expected);
    }
}

#[test]
fn subnets_for_other_owners_give_a_port_nothing() {
    let for_owner = |id: u128, cidr: &str, mode: Option<Ipv6Mode>, owner: &str| Subnet {
        service_types: vec![owner.to_owned()],
        ..make(id, cidr, mode)
    };
    let mut subnets = vec![
        make(1, "10.0.0.0/24", None),
        for_owner(2, "10.0.1.0/24", None, "network:floatingip"),
        for_owner(3, SLAAC, Some(Ipv6Mode::Slaac), "compute:nova"),
    ];
    let wishes =
        |subnets: &[Subnet], owner, asked: Option<Vec<FixedIpRequest>>, held: &[FixedIp]| {
            let addressee = Addressee {
                subnets,
                mac: MAC,
                device_owner: owner,
            };
            match held {
                [] => addressee.wishes(asked.as_deref()),
                held => addressee.wishes_after(&asked.unwrap(), held),
            }
        };
    type Row<'a> = (
        &'a str,
        &'a str,
        Option<Vec<FixedIpRequest>>,
        &'a [FixedIp],
        Answer,
    );
    let held = [fixed(2, "10.0.1.7")];
    let rows: Vec<Row> = vec![
        ("no owner", "", None, &[], Ok(vec!["any 1"])),
        (
            "those for the owner come first",
            "network:floatingip",
            None,
            &[],
            Ok(vec!["any 2 1"]),
        ),
        (
            "its EUI-64 address",
            "compute:nova",
            None,
            &[],
            Ok(vec!["any 1", EUI64]),
        ),
        (
            "named",
            "",
            Some(vec![subnet(2)]),
            &[],
            Err(RefusalKind::InvalidInput),
        ),
        (
            "an address of it",
            "",
            Some(vec![address("10.0.1.7")]),
            &[],
            Err(RefusalKind::InvalidIpForNetwork),
        ),
        (
            "one that the port has already",
            "",
            Some(vec![address("10.0.1.7")]),
            &held,
            Ok(vec!["10.0.1.7"]),
        ),
    ];
    for (why, owner, asked, held, expected) in rows {
        check(why, wishes(&subnets, owner, asked, held), expected);
    }
    subnets.remove(0);
    let none = Err(RefusalKind::IpAddressGenerationFailureNoMatchingSubnet);
    check("no subnet for it", wishes(&subnets, "", None, &[]), none);
    check(
        "none asked",
        wishes(&subnets, "", Some(vec![]), &[]),
        Ok(vec![]),
    );
}

#[test]
fn documents_of_before_these_members_are_read() {
    let document = r#"{
        "id": "00000000-0000-0000-0000-000000000001", "name": "", "project_id": "p",
        "network_id": "00000000-0000-0000-0000-000000000002", "mac_address": "fa:16:3e:00:00:01",
        "fixed_ips": [{"subnet_id": "00000000-0000-0000-0000-000000000003", "ip_address": "2001:db8::5"}],
        "admin_state_up": true, "status": "DOWN", "device_id": "", "device_owner": "", "revision_number": 1,
        "created_at": "", "updated_at": "", "binding:host_id": "h1", "number": 1, "bound_at": 0
    }"#;
    let port: Port = serde_json::from_str(document).unwrap();
    assert_eq!(port.ip_allocation, IpAllocation::Immediate);
    assert_eq!((port.data_plane_status, port.profile.len()), (None, 0));
    assert_eq!(port.host_id, Some(HostId("h1".to_owned())));
}

#[test]
fn an_update_replaces_all_but_the_eui64_addresses() {
    let subnets = subnets();
    let rows: Vec<(&str, Vec<FixedIpRequest>, Answer)> = vec![
        ("the empty list", vec![], Ok(vec![EUI64])),
        (
            "the subnet of an address that it has",
            vec![subnet(2)],
            Ok(vec!["2001:db8:2::5", EUI64]),
        ),
        (
            "twice that subnet",
            vec![subnet(2), subnet(2)],
            Ok(vec!["2001:db8:2::5", "any 2", EUI64]),
        ),
        ("another subnet", vec![subnet(3)], Ok(vec!["any 3", EUI64])),
        ("the EUI-64 address away", vec![gone(1)], Ok(vec![])),
        (
            "the EUI-64 address away and back",
            vec![gone(1), subnet(1)],
            Ok(vec![EUI64]),
        ),
        (
            "without a subnet",
            vec![FixedIpRequest {
                delete_subnet: true,
                ..Default::default()
            }],
            Err(RefusalKind::HttpBadRequest),
        ),
    ];
    let current = [fixed(2, "2001:db8:2::5"), fixed(1, EUI64)];
    for (why, asked, expected) in rows {
        let addressee = Addressee {
            subnets: &subnets,
            mac: MAC,
            device_owner: "",
        };
        check(why, addressee.wishes_after(&asked, &current), expected);
    }
}

#[test]
fn group_addresses_and_the_service_prefix_are_no_ports() {
    for (mac, accepted) in [
        ("fa:16:3e:00:00:01", true),
        ("01:00:5e:00:00:01", false),
        ("00:00:00:00:00:00", false),
        ("02:68:78:00:00:01", false),
        ("02:68:79:00:00:01", true),
    ] {
        assert_eq!(check_mac(mac.parse().unwrap()).is_ok(), accepted, "{mac}");
    }
}

type Answer = Result<Vec<&'static str>, RefusalKind>;

fn check(why: &str, wishes: Result<Vec<Wish>, Refusal>, expected: Answer) {
    let told = wishes.map_err(|refusal| refusal.kind).map(|wishes| {
        let told = wishes.iter().map(|wish| match wish {
            Wish::Address(fixed) => fixed.ip_address.to_string(),
            Wish::AnyOf(subnets) => {
                let names = subnets.iter().map(|id| format!(" {}", id.0.as_u128()));
                format!("any{}", names.collect::<String>())
            }
        });
        told.collect::<Vec<_>>()
    });
    let expected = expected.map(|wishes| {
        let plain = wishes.into_iter().map(|wish| match wish.parse::<IpAddr>() {
            Ok(address) => address.to_string(),
            Err(_) => wish.to_owned(),
        });
        plain.collect::<Vec<_>>()
    });
    assert_eq!(told, expected, "{why}");
}

fn subnets() -> Vec<Subnet> {
    vec![
        make(1, SLAAC, Some(Ipv6Mode::Slaac)),
        make(2, STATEFUL, Some(Ipv6Mode::Dhcpv6Stateful)),
        make(3, PLAIN, None),
        make(4, "10.0.0.0/24", None),
        make(5, "10.0.1.0/24", None),
    ]
}

fn make(id: u128, cidr: &str, mode: Option<Ipv6Mode>) -> Subnet {
    let modes = Ipv6Modes {
        ra: mode,
        address: mode,
    };
    let ip_version = if cidr.contains(':') { 6 } else { 4 };
    let asked = NewSubnet {
        ip_version,
        cidr: Some(cidr.parse().unwrap()),
        gateway_ip: None,
        allocation_pools: None,
        dns_nameservers: Vec::new(),
        host_routes: Vec::new(),
        enable_dhcp: true,
        modes,
    };
    let addressing = asked.check(&[]).unwrap();
    Subnet {
        id: SubnetId(Uuid::from_u128(id)),
        name: String::new(),
        description: String::new(),
        tags: std::collections::BTreeSet::new(),
        project_id: ProjectId("p".into()),
        network_id: NetworkId(Uuid::from_u128(100)),
        ip_version,
        cidr: addressing.cidr,
        gateway_ip: addressing.gateway_ip,
        allocation_pools: addressing.allocation_pools,
        dns_nameservers: Vec::new(),
        host_routes: Vec::new(),
        service_types: Vec::new(),
        enable_dhcp: true,
        modes,
        revision_number: 0,
        created_at: String::new(),
        updated_at: String::new(),
        sequence: 1,
    }
}

fn subnet(id: u128) -> FixedIpRequest {
    FixedIpRequest {
        subnet_id: Some(SubnetId(Uuid::from_u128(id))),
        ..Default::default()
    }
}

fn gone(id: u128) -> FixedIpRequest {
    FixedIpRequest {
        delete_subnet: true,
        ..subnet(id)
    }
}

fn address(text: &str) -> FixedIpRequest {
    FixedIpRequest {
        ip_address: Some(text.parse().unwrap()),
        ..Default::default()
    }
}

fn both(id: u128, text: &str) -> FixedIpRequest {
    FixedIpRequest {
        ip_address: Some(text.parse().unwrap()),
        ..subnet(id)
    }
}

fn fixed(id: u128, text: &str) -> FixedIp {
    FixedIp {
        subnet_id: SubnetId(Uuid::from_u128(id)),
        ip_address: text.parse().unwrap(),
    }
}
