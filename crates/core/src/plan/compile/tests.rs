use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use proptest::prelude::*;
use uuid::Uuid;

use super::*;
use crate::address::default_pools;
use crate::ids::{NetworkId, PortId, PortNumber, ProjectId, SubnetId, Vni};
use crate::link::outside;
use crate::mac::Mac;
use crate::modes::{Ipv6Mode, Ipv6Modes};
use crate::network::Network;
use crate::port::{FixedIp, IpAllocation, Port, PortStatus, VnicType};
use crate::settings::CloudSettings;
use crate::snapshot::Change;

const GENERATION: Generation = Generation {
    epoch: 7,
    revision: 1,
};

proptest! {
    /// An agent that is sent only the touched keys holds what a fresh compile says, on every host, after every change.
    #[test]
    fn incremental_equals_whole(changes in prop::collection::vec(change(), 1..60)) {
        let mut snapshot = Snapshot::new(CloudSettings::with_defaults(Uuid::nil()));
        let mut held: BTreeMap<HostId, BTreeMap<PlanKey, PlanEntry>> = BTreeMap::new();
        for host in 0..3 {
            held.insert(host_id(host), compile(&snapshot, &host_id(host), GENERATION).entries);
        }
        for change in changes {
            if !keeps_references(&snapshot, &change) {
                continue;
            }
            for (host, keys) in snapshot.apply(change) {
                let entries = held.get_mut(&host).expect("a host of the test");
                for key in keys {
                    match compile_key(&snapshot, &host, key) {
                        Some(entry) => entries.insert(key, entry),
                        None => entries.remove(&key),
                    };
                }
            }
            for (host, entries) in &held {
                let whole = compile(&snapshot, host, GENERATION);
                prop_assert_eq!(entries, &whole.entries);
                prop_assert_eq!(&compile(&snapshot, host, GENERATION), &whole, "compile is deterministic");
            }
            for network in (0..4).map(|n| NetworkId(uuid(0, n))) {
                let indexed: Vec<PortId> = snapshot.ports_of(network).map(|port| port.id).collect();
                let all = snapshot.ports().filter(|port| port.network_id == network);
                prop_assert_eq!(indexed, all.map(|port| port.id).collect::<Vec<_>>());
            }
        }
    }
}

#[test]
fn a_subnet_is_planned_where_its_network_has_a_port_and_nowhere_else() {
    let mut snapshot = Snapshot::new(CloudSettings::with_defaults(Uuid::nil()));
    snapshot.apply(Change::Network(network(1, 1430)));
    snapshot.apply(Change::Subnet(subnet(1, 1, 0)));
    snapshot.apply(Change::Port(port(1, 1, Some(0))));
    assert_eq!(
        keys(&snapshot, &host_id(0)).len(),
        4,
        "cloud, network, subnet, port"
    );
    assert_eq!(
        keys(&snapshot, &host_id(1)),
        BTreeSet::from([PlanKey::Cloud])
    );
}

#[test]
fn an_ipv4_subnet_is_planned_with_what_its_guests_are_told() {
    let mut snapshot = Snapshot::new(CloudSettings::with_defaults(Uuid::nil()));
    snapshot.apply(Change::Network(network(1, 1430)));
    snapshot.apply(Change::Subnet(Subnet {
        gateway_ip: Some("10.0.1.1".parse().unwrap()),
        dns_nameservers: vec!["192.0.2.53".parse().unwrap()],
        host_routes: vec![HostRoute {
            destination: "192.0.2.0/24".parse().unwrap(),
            nexthop: "10.0.1.9".parse().unwrap(),
        }],
        ..subnet(1, 1, 4)
    }));
    snapshot.apply(Change::Port(port(1, 1, Some(0))));
    let id = SubnetId(uuid(1, 1));
    let Some(PlanEntry::Ipv4Subnet(plan)) =
        compile_key(&snapshot, &host_id(0), PlanKey::Subnet(id))
    else {
        panic!("an IPv4 subnet");
    };
    assert_eq!(plan.cidr, "10.0.1.0/24".parse().unwrap());
    assert_eq!(plan.gateway_ip, Some("10.0.1.1".parse().unwrap()));
    assert_eq!(
        plan.dns_nameservers,
        ["192.0.2.53".parse::<Ipv4Addr>().unwrap()]
    );
    assert_eq!(plan.host_routes.len(), 1);
    assert!(plan.dhcp);
}

/// What the store guarantees: nothing refers to a network that is not there.
/// Whom of the segment a port hears, by the modes of its subnet and whether that has DHCP: routers, DHCPv6 servers.
#[test]
fn a_flat_networks_port_hears_of_its_segment_what_its_subnets_leave_to_it() {
    let (slaac, stateful) = (Some(Ipv6Mode::Slaac), Some(Ipv6Mode::Dhcpv6Stateful));
    let stateless = Some(Ipv6Mode::Dhcpv6Stateless);
    let rows = [
        (None, None, true, (true, false)),
        (None, None, false, (true, true)),
        (None, slaac, true, (true, false)),
        (None, stateful, true, (true, false)),
        (None, stateless, true, (true, false)),
        (None, stateless, false, (true, true)),
        (slaac, None, true, (false, true)),
        (slaac, slaac, true, (false, false)),
        (slaac, slaac, false, (false, true)),
        (stateful, None, true, (false, true)),
        (stateful, stateful, true, (false, false)),
        (stateless, None, true, (false, true)),
        (stateless, stateless, true, (false, false)),
    ];
    for (ra, address, dhcp, expected) in rows {
        let heard = |flat: bool| {
            let mut snapshot = Snapshot::new(CloudSettings::with_defaults(Uuid::nil()));
            let mut on = network(1, 1500);
            on.physical_network = flat.then(|| "lab".to_owned());
            let mut of = subnet(1, 1, 0);
            of.modes = Ipv6Modes { ra, address };
            of.enable_dhcp = dhcp;
            snapshot.apply(Change::Network(on));
            snapshot.apply(Change::Subnet(of));
            snapshot.apply(Change::Port(port(1, 1, Some(0))));
            let plan = compile(&snapshot, &host_id(0), GENERATION);
            let of_port = outside(&plan, plan.port(PortId(uuid(2, 1))).unwrap());
            assert!(!of_port.dhcpv4);
            (of_port.ra, of_port.dhcpv6)
        };
        assert_eq!(heard(true), expected, "{ra:?} {address:?} {dhcp}");
        assert_eq!(heard(false), (false, false), "no segment");
    }
}

#[test]
fn dhcpv4_is_left_to_the_segment_where_it_is_off_on_all_of_a_ports_subnets() {
    for (first, second, expected) in [
        (true, None, false),
        (false, None, true),
        (false, Some(false), true),
        (false, Some(true), false),
    ] {
        let mut snapshot = Snapshot::new(CloudSettings::with_defaults(Uuid::nil()));
        let mut on = network(1, 1500);
        on.physical_network = Some("lab".to_owned());
        snapshot.apply(Change::Network(on));
        let mut held = port(1, 1, Some(0));
        held.fixed_ips.clear();
        for (n, dhcp) in [(1, Some(first)), (2, second)] {
            let Some(dhcp) = dhcp else { continue };
            let mut of = subnet(n, 1, 4);
            of.enable_dhcp = dhcp;
            held.fixed_ips.push(FixedIp {
                subnet_id: of.id,
                ip_address: format!("10.0.{n}.9").parse().unwrap(),
            });
            snapshot.apply(Change::Subnet(of));
        }
        snapshot.apply(Change::Port(held));
        let plan = compile(&snapshot, &host_id(0), GENERATION);
        let of_port = outside(&plan, plan.port(PortId(uuid(2, 1))).unwrap());
        assert_eq!(of_port.dhcpv4, expected, "{first} {second:?}");
    }
}

fn keeps_references(snapshot: &Snapshot, change: &Change) -> bool {
    match change {
        Change::Subnet(subnet) => snapshot.network(subnet.network_id).is_some(),
        Change::Port(port) => snapshot.network(port.network_id).is_some(),
        Change::NetworkGone(id) => {
            let subnets = (0..4).filter_map(|n| snapshot.subnet(SubnetId(uuid(1, n))));
            let ports = (0..8).filter_map(|n| snapshot.port(PortId(uuid(2, n))));
            subnets
                .map(|subnet| subnet.network_id)
                .chain(ports.map(|port| port.network_id))
                .all(|network| network != *id)
        }
        _ => true,
    }
}

fn change() -> impl Strategy<Value = Change> {
    let id = 0u8..4;
    prop_oneof![
        (id.clone(), 1280u32..1500).prop_map(|(n, mtu)| Change::Network(network(n, mtu))),
        // A subnet stays in its network for life.
        (id.clone(), 0u8..5).prop_map(|(s, mode)| Change::Subnet(subnet(s, s, mode))),
        (0u8..8, id.clone(), prop::option::of(0u8..3), 0u8..5).prop_map(|(p, n, h, kind)| {
            let mut port = port(p, n, h);
            if kind == 0 {
                port.vnic_type = VnicType::Baremetal;
            }
            Change::Port(port)
        }),
        (0u8..8).prop_map(|p| Change::PortGone(PortId(uuid(2, p)))),
        id.clone()
            .prop_map(|s| Change::SubnetGone(SubnetId(uuid(1, s)))),
        id.prop_map(|n| Change::NetworkGone(NetworkId(uuid(0, n)))),
    ]
}

fn uuid(kind: u8, n: u8) -> Uuid {
    Uuid::from_bytes([kind, n, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])
}

fn host_id(n: u8) -> HostId {
    HostId(format!("host{n}"))
}

fn network(n: u8, mtu: u32) -> Network {
    Network {
        id: NetworkId(uuid(0, n)),
        name: String::new(),
        description: String::new(),
        tags: std::collections::BTreeSet::new(),
        project_id: ProjectId(String::new()),
        admin_state_up: true,
        status: "ACTIVE".into(),
        shared: false,
        physical_network: None,
        fast_dad: true,
        subnets: vec![],
        mtu,
        address_policy: Default::default(),
        port_security_enabled: true,
        revision_number: 0,
        created_at: String::new(),
        updated_at: String::new(),
        vni: Vni(u32::from(n) + 1),
    }
}

/// The last mode is that of an IPv4 subnet.
fn subnet(n: u8, network: u8, mode: u8) -> Subnet {
    let (ip_version, cidr) = match mode {
        4 => (4, format!("10.0.{n}.0/24")),
        _ => (6, format!("2001:db8:{n}::/64")),
    };
    let cidr = cidr.parse().unwrap();
    let mode = [
        None,
        Some(Ipv6Mode::Slaac),
        Some(Ipv6Mode::Dhcpv6Stateful),
        Some(Ipv6Mode::Dhcpv6Stateless),
        None,
    ][usize::from(mode)];
    Subnet {
        id: SubnetId(uuid(1, n)),
        name: String::new(),
        description: String::new(),
        tags: std::collections::BTreeSet::new(),
        project_id: ProjectId(String::new()),
        network_id: NetworkId(uuid(0, network)),
        ip_version,
        cidr,
        gateway_ip: None,
        allocation_pools: default_pools(cidr, None),
        dns_nameservers: vec![],
        host_routes: vec![],
        service_types: Vec::new(),
        enable_dhcp: true,
        modes: Ipv6Modes {
            ra: mode,
            address: mode,
        },
        revision_number: 0,
        created_at: String::new(),
        updated_at: String::new(),
        sequence: u64::from(n),
    }
}

fn port(n: u8, network: u8, host: Option<u8>) -> Port {
    Port {
        extra_dhcp_opts: Vec::new(),
        vnic_type: Default::default(),
        id: PortId(uuid(2, n)),
        name: String::new(),
        description: String::new(),
        tags: std::collections::BTreeSet::new(),
        project_id: ProjectId(String::new()),
        network_id: NetworkId(uuid(0, network)),
        mac_address: Mac([2, 0, 0, 0, 0, n]),
        fixed_ips: vec![FixedIp {
            subnet_id: SubnetId(uuid(1, network)),
            ip_address: format!("2001:db8:{network}::{n}").parse().unwrap(),
        }],
        admin_state_up: true,
        status: PortStatus::Down,
        device_id: String::new(),
        device_owner: String::new(),
        ip_allocation: IpAllocation::Immediate,
        data_plane_status: None,
        port_security_enabled: true,
        revision_number: 0,
        created_at: String::new(),
        updated_at: String::new(),
        profile: serde_json::Map::new(),
        host_id: host.map(host_id),
        number: PortNumber(u32::from(n) + 1),
        bound_at: 0,
    }
}
