use std::collections::BTreeMap;

use super::*;
use crate::ids::{NetworkId, SubnetId};
use crate::modes::{Ipv6Mode, Ipv6Modes};
use crate::plan::{Generation, NetworkPlan, PlanEntry, PlanKey, PortPlan};
use crate::port::FixedIp;

const MAC: Mac = Mac([0xfa, 0x16, 0x3e, 0, 0, 1]);

#[test]
fn each_row_of_the_mode_table_gives_its_flags_and_its_dhcpv6() {
    use Ipv6Mode::{Dhcpv6Stateful as Stateful, Dhcpv6Stateless as Stateless, Slaac};
    // modes, port's address, RA as A M O, DHCPv6 addresses
    let rows = [
        (None, None, "2001:db8::9", None, 1),
        (None, Some(Slaac), "2001:db8::f816:3eff:fe00:1", None, 0),
        (None, Some(Stateful), "2001:db8::9", None, 1),
        (None, Some(Stateless), "2001:db8::f816:3eff:fe00:1", None, 0),
        (
            Some(Slaac),
            None,
            "2001:db8::f816:3eff:fe00:1",
            Some((true, false, false)),
            0,
        ),
        (
            Some(Slaac),
            Some(Slaac),
            "2001:db8::f816:3eff:fe00:1",
            Some((true, false, false)),
            0,
        ),
        (
            Some(Stateful),
            None,
            "2001:db8::9",
            Some((false, true, true)),
            1,
        ),
        (
            Some(Stateful),
            Some(Stateful),
            "2001:db8::9",
            Some((false, true, true)),
            1,
        ),
        (
            Some(Stateless),
            None,
            "2001:db8::f816:3eff:fe00:1",
            Some((true, false, true)),
            0,
        ),
        (
            Some(Stateless),
            Some(Stateless),
            "2001:db8::f816:3eff:fe00:1",
            Some((true, false, true)),
            0,
        ),
    ];
    for (ra, address, held, flags, assigned) in rows {
        let modes = Ipv6Modes { ra, address };
        let link = link(&[subnet(1, "2001:db8::/64", modes)], &[held], &[]);
        let seen = link
            .ra
            .as_ref()
            .map(|ra| (ra.prefixes[0].autonomous, ra.managed, ra.other));
        assert_eq!(seen, flags, "{modes:?}");
        assert_eq!(
            link.dhcpv6.expect("DHCPv6 is on").addresses.len(),
            assigned,
            "{modes:?}"
        );
    }
}

#[test]
fn a_port_without_an_address_of_the_subnet_gets_neither_a_nor_m() {
    let slaac = subnet(1, "2001:db8:1::/64", both(Ipv6Mode::Slaac));
    let stateful = subnet(2, "2001:db8:2::/64", both(Ipv6Mode::Dhcpv6Stateful));
    let ra = link(&[slaac, stateful], &[], &[])
        .ra
        .expect("both are ours");
    assert!(!ra.managed && ra.other);
    assert!(ra.prefixes.iter().all(|prefix| !prefix.autonomous));
}

#[test]
fn one_ra_names_every_subnet_of_ours_in_order_of_creation() {
    let mut late = subnet(1, "2001:db8:1::/64", both(Ipv6Mode::Slaac));
    late.sequence = 9;
    late.dns_nameservers = vec![
        "2001:db8::53".parse().unwrap(),
        "2001:db8::54".parse().unwrap(),
    ];
    let mut early = subnet(2, "2001:db8:2::/96", both(Ipv6Mode::Dhcpv6Stateful));
    early.sequence = 3;
    early.dns_nameservers = vec!["2001:db8::54".parse().unwrap(), "::".parse().unwrap()];
    let outside = subnet(3, "2001:db8:3::/64", Ipv6Modes::default());
    let ra = link(&[late, early, outside], &["2001:db8:2::7"], &[])
        .ra
        .expect("two are ours");
    let prefixes: Vec<String> = ra
        .prefixes
        .iter()
        .map(|prefix| prefix.prefix.to_string())
        .collect();
    assert_eq!(prefixes, ["2001:db8:2::/96", "2001:db8:1::/64"]);
    assert_eq!(
        ra.rdnss,
        [
            "2001:db8::54".parse::<Ipv6Addr>().unwrap(),
            "2001:db8::53".parse().unwrap()
        ]
    );
    assert!(ra.managed);
    assert_eq!(ra.router_lifetime_s, 0);
}

#[test]
fn no_more_name_servers_are_told_than_an_option_and_a_packet_have_room_for() {
    let subnets: Vec<SubnetPlan> = (0..5_u8)
        .map(|at| {
            let cidr = format!("2001:db8:{at}::/64");
            let mut subnet = subnet(at + 1, &cidr, both(Ipv6Mode::Dhcpv6Stateful));
            let servers = (0..5).map(|server| format!("2001:db8:{at}::{server}").parse().unwrap());
            subnet.dns_nameservers = servers.collect();
            subnet
        })
        .collect();
    let link = link(&subnets, &["2001:db8:1::7"], &[]);
    let ra = link.ra.expect("they are ours");
    assert_eq!(ra.rdnss.len(), DNS_SERVERS_MAX);
    assert_eq!(ra.rdnss[15], "2001:db8:3::".parse::<Ipv6Addr>().unwrap());
    assert_eq!(link.dhcpv6.expect("it is on").dns_servers, ra.rdnss);
}

#[test]
fn a_withdrawn_prefix_is_advertised_with_lifetime_zero_until_it_is_back() {
    let gone: Ipv6Net = "2001:db8:9::/64".parse().unwrap();
    let ra = link(&[], &[], &[gone])
        .ra
        .expect("there is something to take back");
    assert_eq!(
        (
            ra.prefixes[0].valid_lifetime_s,
            ra.prefixes[0].preferred_lifetime_s
        ),
        (0, 0)
    );
    let back = subnet(1, "2001:db8:9::/64", both(Ipv6Mode::Slaac));
    let ra = link(&[back], &[], &[gone]).ra.expect("ours");
    assert_eq!(ra.prefixes.len(), 1);
    assert!(ra.prefixes[0].valid_lifetime_s > 0);
}

#[test]
fn dhcp_off_is_off_and_a_silent_subnet_keeps_the_server_silent() {
    let mut off = subnet(1, "2001:db8:1::/64", Ipv6Modes::default());
    off.dhcpv6 = None;
    assert_eq!(link(&[off], &["2001:db8:1::5"], &[]).dhcpv6, None);
    let slaac = subnet(1, "2001:db8:1::/64", both(Ipv6Mode::Slaac));
    let alone = link(std::slice::from_ref(&slaac), &[], &[])
        .dhcpv6
        .expect("on");
    assert_eq!(
        alone.solicit_without_address,
        SolicitWithoutAddress::NoAddrsAvail
    );
    let outside = subnet(
        2,
        "2001:db8:2::/64",
        Ipv6Modes {
            ra: None,
            address: Some(Ipv6Mode::Slaac),
        },
    );
    let mixed = link(&[slaac, outside], &[], &[]).dhcpv6.expect("on");
    assert_eq!(
        mixed.solicit_without_address,
        SolicitWithoutAddress::Silence
    );
}

#[test]
fn guests_are_told_a_short_retrans_timer_unless_their_network_or_port_is_without_it() {
    let settings = CloudSettings::with_defaults(Uuid::nil());
    for (fast_dad, guarded, expected) in [
        (true, true, settings.retrans_timer_ms),
        (false, true, 1000),
        (true, false, 1000),
    ] {
        let network = NetworkPlan {
            vni: Vni(5),
            id: NetworkId(Uuid::nil()),
            mtu: 1430,
            admin_state_up: true,
            physical_network: None,
            fast_dad,
        };
        let port = PortPlan {
            dhcp_options: crate::dhcp::DhcpOptions::default(),
            id: PortId(Uuid::nil()),
            number: PortNumber(1),
            vni: Vni(5),
            mac: MAC,
            admin_state_up: true,
            port_security_enabled: guarded,
            fixed_ips: vec![],
        };
        let told = retrans_timer_ms(&settings, &network, &port);
        assert_eq!(told, expected, "{fast_dad} {guarded}");
    }
}

fn both(mode: Ipv6Mode) -> Ipv6Modes {
    Ipv6Modes {
        ra: Some(mode),
        address: Some(mode),
    }
}

fn subnet(n: u8, cidr: &str, modes: Ipv6Modes) -> SubnetPlan {
    let row = modes.row().unwrap();
    let flags = row.flags.filter(|_| row.sender == RaSender::Us);
    SubnetPlan {
        id: SubnetId(Uuid::from_u128(u128::from(n))),
        vni: Vni(5),
        sequence: u64::from(n),
        cidr: cidr.parse().unwrap(),
        sender: row.sender,
        autonomous: flags.is_some_and(|flags| flags.autonomous),
        managed: flags.is_some_and(|flags| flags.managed),
        other: flags.is_some_and(|flags| flags.other),
        dhcpv6: Some(row.dhcpv6),
        solicit_without_address: row.solicit_without_address,
        dns_nameservers: vec![],
        learned: row.learned,
        gateway_ip: None,
        segment: None,
    }
}

fn link(subnets: &[SubnetPlan], addresses: &[&str], withdrawn: &[Ipv6Net]) -> LinkPlan {
    let id = PortId(Uuid::from_u128(77));
    let fixed_ips = addresses
        .iter()
        .map(|text| FixedIp {
            subnet_id: SubnetId(Uuid::nil()),
            ip_address: text.parse().unwrap(),
        })
        .collect();
    let port = PortPlan {
        dhcp_options: crate::dhcp::DhcpOptions::default(),
        id,
        number: PortNumber(1),
        vni: Vni(5),
        mac: MAC,
        admin_state_up: true,
        port_security_enabled: true,
        fixed_ips,
    };
    let network = NetworkPlan {
        vni: Vni(5),
        id: NetworkId(Uuid::nil()),
        mtu: 1430,
        admin_state_up: true,
        physical_network: None,
        fast_dad: true,
    };
    let mut entries = BTreeMap::from([
        (
            PlanKey::Cloud,
            PlanEntry::Cloud(CloudSettings::with_defaults(Uuid::nil())),
        ),
        (PlanKey::Network(Vni(5)), PlanEntry::Network(network)),
        (PlanKey::Port(id), PlanEntry::Port(port)),
    ]);
    entries.extend(subnets.iter().map(|subnet| {
        (
            PlanKey::Subnet(subnet.id),
            PlanEntry::Subnet(subnet.clone()),
        )
    }));
    link_plan(
        &HostPlan {
            generation: Generation::default(),
            entries,
        },
        id,
        withdrawn,
    )
    .expect("the plan is whole")
}
