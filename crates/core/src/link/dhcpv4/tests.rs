use uuid::Uuid;

use super::*;
use crate::ids::{NetworkId, PortId, PortNumber, SubnetId, Vni};
use crate::link::link_plan;
use crate::mac::Mac;
use crate::plan::{NetworkPlan, PlanEntry, PlanKey};
use crate::port::FixedIp;

const PORT: PortId = PortId(Uuid::from_u128(1));
const VNI: Vni = Vni(42);

#[test]
fn the_router_is_the_subnets_gateway_and_there_is_none_without() {
    let with = subnet(1, "10.0.0.0/24", Some("10.0.0.1"), &[]);
    let lease = only_lease(&[with], "10.0.0.5");
    assert_eq!(lease.router, Some(ip("10.0.0.1")));
    let told = [("169.254.169.254/32", "0.0.0.0"), ("0.0.0.0/0", "10.0.0.1")];
    assert_eq!(
        (lease.subnet, lease.routes),
        (net("10.0.0.0/24"), routes(&told))
    );
    let without = subnet(1, "10.0.0.0/24", None, &[]);
    let lease = only_lease(&[without], "10.0.0.5");
    assert_eq!((lease.router, lease.routes), (None, routes(&told[..1])));
    // The service is on the link where the subnet holds it.
    let around = subnet(1, "169.254.0.0/16", Some("169.254.0.1"), &[]);
    let lease = only_lease(&[around], "169.254.0.5");
    assert_eq!(
        (lease.router, lease.routes),
        (Some(ip("169.254.0.1")), vec![])
    );
}

#[test]
fn host_routes_are_told_with_the_default_route_behind_them() {
    // gateway, host routes, the router, and the routes that are told besides the service's
    type Routes = &'static [(&'static str, &'static str)];
    let cases: [(Option<&str>, Routes, Option<&str>, Routes); 5] = [
        (
            Some("10.0.0.1"),
            &[("192.0.2.0/24", "10.0.0.9")],
            Some("10.0.0.1"),
            &[("192.0.2.0/24", "10.0.0.9"), ("0.0.0.0/0", "10.0.0.1")],
        ),
        (
            None,
            &[("192.0.2.0/24", "10.0.0.9")],
            None,
            &[("192.0.2.0/24", "10.0.0.9")],
        ),
        // A default route among the host routes is the router where there is no gateway, and gives way to one.
        (
            None,
            &[("0.0.0.0/0", "10.0.0.9")],
            Some("10.0.0.9"),
            &[("0.0.0.0/0", "10.0.0.9")],
        ),
        (
            Some("10.0.0.1"),
            &[("0.0.0.0/0", "10.0.0.9")],
            Some("10.0.0.1"),
            &[("0.0.0.0/0", "10.0.0.1")],
        ),
        (
            None,
            &[("0.0.0.0/0", "10.0.0.9"), ("192.0.2.0/24", "10.0.0.8")],
            Some("10.0.0.9"),
            &[("192.0.2.0/24", "10.0.0.8"), ("0.0.0.0/0", "10.0.0.9")],
        ),
    ];
    for (gateway, given, router, told) in cases {
        let mut lease = only_lease(&[subnet(1, "10.0.0.0/24", gateway, given)], "10.0.0.5");
        assert_eq!(lease.router, router.map(ip), "{gateway:?} {given:?}");
        lease
            .routes
            .retain(|route| route.destination.addr() != SERVICE_IPV4);
        assert_eq!(lease.routes, routes(told), "{gateway:?} {given:?}");
    }
}

#[test]
fn a_ports_own_router_is_the_default_route_too_and_a_blank_one_is_none() {
    let subnets = [subnet(1, "10.0.0.0/24", Some("10.0.0.1"), &[])];
    let addresses = ["10.0.0.5"];
    for (own, router) in [
        (&[10, 0, 0, 7, 10, 0, 0, 8][..], Some("10.0.0.7")),
        (&[], None),
    ] {
        let options = DhcpOptions {
            v4: [(ROUTER, own.to_vec())].into(),
            boot_server: Some(IpAddr::V4(ip("192.0.2.69"))),
            ..DhcpOptions::default()
        };
        let plan = link(&subnets, &addresses, 1430, options.clone()).unwrap();
        let lease = &plan.leases[0];
        assert_eq!(lease.router, router.map(ip));
        let default = lease
            .routes
            .iter()
            .find(|route| route.destination.prefix_len() == 0);
        assert_eq!(default.map(|route| route.nexthop), router.map(ip));
        assert_eq!(
            (&plan.options, plan.boot_server),
            (&options.v4, options.boot_server)
        );
        assert_eq!(lease.host_name, "host-10-0-0-5");
    }
}

#[test]
fn the_networks_other_subnets_are_on_the_link() {
    let subnets = [
        subnet(2, "10.0.1.0/24", None, &[]),
        subnet(1, "10.0.0.0/24", Some("10.0.0.1"), &[]),
    ];
    let lease = only_lease(&subnets, "10.0.0.5");
    let told = [
        ("10.0.1.0/24", "0.0.0.0"),
        ("169.254.169.254/32", "0.0.0.0"),
        ("0.0.0.0/0", "10.0.0.1"),
    ];
    assert_eq!(lease.routes, routes(&told));
}

#[test]
fn every_address_of_a_subnet_with_dhcp_is_a_lease_in_the_order_of_the_subnets() {
    let mut silent = subnet(3, "10.0.2.0/24", None, &[]);
    silent.dhcp = false;
    let subnets = [
        subnet(2, "10.0.1.0/24", None, &[]),
        subnet(1, "10.0.0.0/24", None, &[]),
        silent,
    ];
    let plan = dhcpv4(&subnets, &["10.0.2.5", "10.0.1.5", "10.0.0.5"], 1430).unwrap();
    let leased: Vec<Ipv4Addr> = plan.leases.iter().map(|lease| lease.address).collect();
    assert_eq!(leased, [ip("10.0.0.5"), ip("10.0.1.5")]);
    assert_eq!((plan.lease_time_s, plan.mtu), (5400, 1430));
    assert_eq!(dhcpv4(&subnets, &["10.0.2.5"], 1430), None);
    assert_eq!(dhcpv4(&subnets, &[], 1430), None);
}

#[test]
fn name_servers_are_told_once_and_0_0_0_0_is_none() {
    let mut subnet = subnet(1, "10.0.0.0/24", None, &[]);
    subnet.dns_nameservers = ["192.0.2.53", "0.0.0.0", "192.0.2.54", "192.0.2.53"]
        .map(ip)
        .to_vec();
    let lease = only_lease(&[subnet], "10.0.0.5");
    assert_eq!(lease.dns_servers, [ip("192.0.2.53"), ip("192.0.2.54")]);
}

#[test]
fn an_mtu_beyond_what_the_option_holds_is_the_most_that_it_holds() {
    let subnets = [subnet(1, "10.0.0.0/24", None, &[])];
    for (mtu, told) in [(60, 68), (68, 68), (1500, 1500), (70_000, 65_535)] {
        let plan = dhcpv4(&subnets, &["10.0.0.5"], mtu).unwrap();
        assert_eq!(plan.mtu, told);
    }
}

fn only_lease(subnets: &[Ipv4SubnetPlan], address: &str) -> Dhcpv4Lease {
    let mut plan = dhcpv4(subnets, &[address], 1430).unwrap();
    assert_eq!(plan.leases.len(), 1);
    plan.leases.remove(0)
}

fn dhcpv4(subnets: &[Ipv4SubnetPlan], addresses: &[&str], mtu: u32) -> Option<Dhcpv4Plan> {
    link(subnets, addresses, mtu, DhcpOptions::default())
}

fn link(
    subnets: &[Ipv4SubnetPlan],
    addresses: &[&str],
    mtu: u32,
    dhcp_options: DhcpOptions,
) -> Option<Dhcpv4Plan> {
    let network = NetworkPlan {
        vni: VNI,
        id: NetworkId(Uuid::from_u128(9)),
        mtu,
        admin_state_up: true,
        physical_network: None,
        fast_dad: true,
    };
    let port = PortPlan {
        dhcp_options,
        id: PORT,
        number: PortNumber(1),
        vni: VNI,
        mac: Mac([0xfa, 0x16, 0x3e, 0, 0, 1]),
        admin_state_up: true,
        port_security_enabled: true,
        fixed_ips: addresses
            .iter()
            .map(|address| FixedIp {
                subnet_id: SubnetId(Uuid::from_u128(1)),
                ip_address: address.parse().unwrap(),
            })
            .collect(),
    };
    let settings = CloudSettings::with_defaults(Uuid::from_u128(7));
    let mut plan = HostPlan::default();
    plan.entries
        .insert(PlanKey::Cloud, PlanEntry::Cloud(settings));
    plan.entries
        .insert(PlanKey::Network(VNI), PlanEntry::Network(network));
    plan.entries
        .insert(PlanKey::Port(PORT), PlanEntry::Port(port));
    for subnet in subnets {
        let entry = PlanEntry::Ipv4Subnet(subnet.clone());
        plan.entries.insert(PlanKey::Subnet(subnet.id), entry);
    }
    link_plan(&plan, PORT, &[]).unwrap().dhcpv4
}

fn subnet(
    sequence: u64,
    cidr: &str,
    gateway: Option<&str>,
    host_routes: &[(&str, &str)],
) -> Ipv4SubnetPlan {
    Ipv4SubnetPlan {
        // Ids run against the order of creation.
        id: SubnetId(Uuid::from_u128(100 - u128::from(sequence))),
        vni: VNI,
        sequence,
        cidr: net(cidr),
        dhcp: true,
        gateway_ip: gateway.map(ip),
        dns_nameservers: vec![],
        host_routes: routes(host_routes),
    }
}

fn routes(routes: &[(&str, &str)]) -> Vec<Ipv4Route> {
    let route = |(destination, nexthop): &(&str, &str)| Ipv4Route {
        destination: net(destination),
        nexthop: ip(nexthop),
    };
    routes.iter().map(route).collect()
}

fn ip(text: &str) -> Ipv4Addr {
    text.parse().unwrap()
}

fn net(text: &str) -> Ipv4Net {
    text.parse().unwrap()
}
