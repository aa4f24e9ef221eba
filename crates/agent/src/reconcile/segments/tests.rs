use hextet_core::ids::NetworkId;
use hextet_core::plan::{PlanEntry, PlanKey};
use uuid::Uuid;

use super::*;
use crate::kernel::links::LinkKind;

fn network(vni: u32, physical_network: Option<&str>) -> NetworkPlan {
    NetworkPlan {
        vni: Vni(vni),
        id: NetworkId(Uuid::from_u128(u128::from(vni))),
        mtu: 1500,
        admin_state_up: true,
        fast_dad: true,
        physical_network: physical_network.map(str::to_owned),
    }
}

fn plan(networks: &[NetworkPlan]) -> HostPlan {
    let entries = networks.iter().map(|network| {
        let key = PlanKey::Network(network.vni);
        (key, PlanEntry::Network(network.clone()))
    });
    HostPlan {
        entries: entries.collect(),
        ..HostPlan::default()
    }
}

fn eth(name: &str) -> LinkSeen {
    LinkSeen {
        name: name.to_owned(),
        ifindex: 9,
        mac: Mac([2, 0, 0, 0, 0, 9]),
        mtu: 1500,
        admin_up: true,
        carrier: true,
        all_multicast: false,
        kind: LinkKind::Other,
        peer_elsewhere: false,
        alias: None,
    }
}

fn of(plan: &HostPlan, link: Option<LinkSeen>, guests: &[u32]) -> Segments {
    let named = BTreeMap::from([("lab".to_owned(), "eth1".to_owned())]);
    let links = link.into_iter().map(|link| (link.name.clone(), link));
    let guests = guests.iter().copied().collect();
    segments(plan, &named, &links.collect(), &guests, &BTreeMap::new())
}

#[test]
fn only_flat_networks_have_a_segment() {
    let plan = plan(&[network(5, Some("lab")), network(6, None)]);
    let segments = of(&plan, Some(eth("eth1")), &[]);
    assert_eq!(segments.keys().collect::<Vec<_>>(), [&Vni(5)]);
    let nic = segments[&Vni(5)].nic.as_ref().unwrap();
    assert_eq!((nic.ifindex, nic.name.as_str()), (9, "eth1"));
    assert_eq!(segments[&Vni(5)].problem, None);
}

#[test]
fn what_keeps_a_segment_from_its_ports_is_said_in_words() {
    let flat = network(5, Some("lab"));
    let with = |change: fn(&mut LinkSeen)| {
        let mut link = eth("eth1");
        change(&mut link);
        Some(link)
    };
    let rows = [
        (
            None,
            &[][..],
            false,
            "no link named eth1, which leads to physical network lab",
        ),
        (
            with(|link| link.mac = Mac::default()),
            &[],
            false,
            "eth1 is no Ethernet link",
        ),
        (
            with(|_| ()),
            &[9],
            false,
            "eth1 is a guest's link, and leads to no physical network",
        ),
        (
            with(|link| link.alias = Some("hextet:other:x".to_owned())),
            &[],
            false,
            "eth1 is a guest's link, and leads to no physical network",
        ),
        (
            with(|link| link.admin_up = false),
            &[],
            true,
            "eth1 is set down",
        ),
        (
            with(|link| link.carrier = false),
            &[],
            true,
            "eth1 has no carrier",
        ),
        (
            with(|link| link.mtu = 1400),
            &[],
            true,
            "eth1 has an MTU of 1400, the network's is 1500",
        ),
    ];
    for (link, guests, leads, problem) in rows {
        let segments = of(&plan(std::slice::from_ref(&flat)), link, guests);
        let segment = &segments[&Vni(5)];
        assert_eq!(segment.nic.is_some(), leads, "{problem}");
        assert_eq!(segment.problem.as_ref().unwrap().to_string(), problem);
    }
    let elsewhere = of(&plan(&[network(5, Some("dmz"))]), Some(eth("eth1")), &[]);
    assert_eq!(
        elsewhere[&Vni(5)].problem.as_ref().unwrap().to_string(),
        "this host's configuration names no NIC for physical network dmz (physical_networks)"
    );
}

#[test]
fn one_nic_leads_to_one_network() {
    let plan = plan(&[network(5, Some("lab")), network(6, Some("lab"))]);
    let segments = of(&plan, Some(eth("eth1")), &[]);
    assert!(segments[&Vni(5)].nic.is_some());
    assert_eq!(
        segments[&Vni(6)].problem,
        Some(SegmentProblem::Taken("lab".to_owned()))
    );
}

#[test]
fn what_somebody_else_had_a_nic_take_in_is_left_so() {
    let flat = plan(&[network(5, Some("lab"))]);
    let named = BTreeMap::from([("lab".to_owned(), "eth1".to_owned())]);
    let ours = |all: bool, before: Option<bool>| {
        let mut link = eth("eth1");
        link.all_multicast = all;
        let links = BTreeMap::from([(link.name.clone(), link)]);
        let row = before.map(|all_multicast| NicRow {
            net: Vni(5),
            mtu: 1500,
            all_multicast,
        });
        let before = row.into_iter().map(|row| (9, row)).collect();
        let segments = segments(&flat, &named, &links, &BTreeSet::new(), &before);
        segments[&Vni(5)].nic.as_ref().unwrap().all_multicast
    };
    assert!(ours(false, None), "set for us");
    assert!(!ours(true, None), "set before us");
    assert!(ours(true, Some(true)), "set for us by an earlier agent");
    assert!(!ours(true, Some(false)), "set before an earlier agent");
    assert!(ours(false, Some(false)), "no longer, so set for us");
}
