use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use hextet_core::ids::{PortId, PortNumber, SubnetId, Vni};
use hextet_core::mac::Mac;
use hextet_core::plan::{Generation, Ipv4SubnetPlan, PlanEntry, PlanKey, PortPlan};
use hextet_core::port::FixedIp;
use hextet_feed::sync::PlanDelta;
use proptest::prelude::*;
use uuid::Uuid;

use super::*;
use crate::fixture::{network, slaac_subnet};
use crate::kernel::Rows;
use crate::kernel::links::{LinkKind, LinkSeen, tag};
use crate::ledger::{LearnedAddress, State, Target};

const INSTANCE: &str = "test";

#[test]
fn a_declared_pair_is_made_when_its_namespace_is_there_and_waits_otherwise() {
    let state = planned([1], [(1, netns("guest"))]);
    check(
        &state,
        &[],
        &[],
        &["guest"],
        &["create tap00000001-00 1"],
        &[],
    );
    check(
        &state,
        &[],
        &[],
        &[],
        &[],
        &["1 no network namespace named guest"],
    );
    check(&state, &[ours(7, 1)], &[7], &["guest"], &[], &[]);
}

#[test]
fn a_pair_of_a_port_that_went_is_deleted_and_an_adopted_tap_set_down() {
    let state = planned([], []);
    check(
        &state,
        &[ours(7, 1)],
        &[7],
        &[],
        &["detach 7", "delete 7"],
        &[],
    );
    check(
        &state,
        &[tap(8, "tap8")],
        &[8],
        &[],
        &["detach 8", "down 8"],
        &[],
    );
    check(&state, &[], &[9], &[], &["detach 9"], &[]);
}

#[test]
fn what_carries_no_tag_of_ours_is_never_deleted() {
    let state = planned([1], [(1, netns("guest"))]);
    let mut foreign = ours(7, 1);
    for alias in [
        None,
        Some("hextet:other:x".to_owned()),
        Some("mine".to_owned()),
    ] {
        foreign.alias = alias;
        let problem = "1 the link tap00000001-00 is there and is not this port's";
        check(&state, &[foreign.clone()], &[], &["guest"], &[], &[problem]);
        check(&planned([], []), &[foreign.clone()], &[], &[], &[], &[]);
    }
}

#[test]
fn a_pair_of_ours_is_kept_when_its_declaration_is_lost() {
    check(&planned([1], []), &[ours(7, 1)], &[], &[], &[], &[]);
}

#[test]
fn only_a_tap_is_adopted() {
    for kind in [LinkKind::Veth, LinkKind::Other] {
        let mut other = tap(7, "tap00000001-00");
        other.kind = kind;
        let problem = "1 the link tap00000001-00 is not a tap";
        check(&planned([1], []), &[other], &[], &[], &[], &[problem]);
    }
}

#[test]
fn a_tap_of_the_ports_name_is_adopted_without_a_declaration() {
    let state = planned([1], []);
    check(&state, &[tap(7, "tap00000001-00")], &[], &[], &[], &[]);
    check(
        &state,
        &[],
        &[],
        &[],
        &[],
        &["1 no link named tap00000001-00"],
    );
}

#[test]
fn a_detached_ports_tap_is_let_go_though_the_port_is_still_planned() {
    let mut state = planned([1], []);
    state.released.insert(port(1).id);
    let seen = [tap(7, "tap00000001-00")];
    check(
        &state,
        &seen,
        &[7],
        &[],
        &["detach 7", "down 7"],
        &["1 detached here"],
    );
}

#[test]
fn two_ports_never_share_a_link() {
    let of = |port| {
        (
            port,
            Target::Tap {
                name: "t".to_owned(),
            },
        )
    };
    let state = planned([1, 2], [of(1), of(2)]);
    let id = port(1).id;
    let problem = format!("2 the link t carries port {id}");
    check(&state, &[tap(7, "t")], &[], &[], &[], &[&problem]);
}

#[test]
fn another_mtu_and_another_mac_are_set_on_pairs_and_taps() {
    let state = planned([1], [(1, netns("guest"))]);
    let mut seen = ours(7, 1);
    seen.mtu = 1500;
    let configure = ["configure 7 02:00:00:00:00:01 1430"];
    check(&state, &[seen], &[7], &["guest"], &configure, &[]);
    let mut seen = ours(7, 1);
    seen.mac = Mac([0xfe, 0, 0, 0, 0, 1]);
    check(&state, &[seen], &[7], &["guest"], &configure, &[]);
    let mut seen = tap(7, "tap00000001-00");
    seen.mac = Mac([0xfe, 0, 0, 0, 0, 1]);
    check(&planned([1], []), &[seen], &[7], &[], &configure, &[]);
}

#[test]
fn a_port_that_is_down_keeps_its_sources_and_is_reached_by_nobody() {
    let mut state = planned([1], []);
    let mut down = port(1);
    down.admin_state_up = false;
    state
        .plan
        .entries
        .insert(PlanKey::Port(down.id), PlanEntry::Port(down.clone()));
    let rows = rows_wanted(
        &state,
        &BTreeMap::from([(down.id, by(7))]),
        &Segments::new(),
        BTreeSet::new(),
    );
    assert!(!rows.ports[&7].admin_up);
    assert_eq!(rows.sources.len(), 1);
    assert!(rows.fdb.is_empty() && rows.members.is_empty());
    assert_eq!(rows.neigh.len(), 1, "the service's own");
}

#[test]
fn a_port_is_guarded_as_its_plan_says() {
    let mut state = planned([1], []);
    let carried = BTreeMap::from([(port(1).id, by(7))]);
    for said in [true, false] {
        let port = PortPlan {
            port_security_enabled: said,
            ..port(1)
        };
        let entries = &mut state.plan.entries;
        entries.insert(PlanKey::Port(port.id), PlanEntry::Port(port));
        let rows = rows_wanted(&state, &carried, &Segments::new(), BTreeSet::new());
        assert_eq!(rows.ports[&7].guarded, said);
        assert_eq!(
            rows.sources.len(),
            1,
            "its own address is its own all the same"
        );
    }
}

#[test]
fn frames_go_right_to_a_guest_where_its_link_lets_them() {
    let state = planned([1, 2], []);
    let pair = CarriedBy {
        direct: true,
        ..by(7)
    };
    let carried = BTreeMap::from([(port(1).id, pair), (port(2).id, by(8))]);
    let rows = rows_wanted(&state, &carried, &Segments::new(), BTreeSet::new());
    assert!(rows.ports[&7].direct);
    assert!(!rows.ports[&8].direct);
}

#[test]
fn of_two_ports_with_one_learned_address_the_first_holds_it() {
    let mut state = planned([1, 2], []);
    let address = "fe80::5".parse().unwrap();
    state.learn(learned_by(2, address));
    state.learn(learned_by(1, address));
    let rows = rows_wanted(&state, &BTreeMap::new(), &Segments::new(), BTreeSet::new());
    assert!(rows.sources[&(PortNumber(1), address)].local_only);
    assert!(!rows.sources[&(PortNumber(2), address)].local_only);
    assert_eq!(rows.neigh[&(Vni(5), address)].port, Some(PortNumber(2)));
    state.unlearn(port(2).id, address);
    let rows = rows_wanted(&state, &BTreeMap::new(), &Segments::new(), BTreeSet::new());
    assert!(!rows.sources[&(PortNumber(1), address)].local_only);
}

#[test]
fn what_the_plan_gives_goes_before_what_was_learned() {
    let mut state = planned([1, 2], []);
    let address: Ipv6Addr = "2001:db8::5".parse().unwrap();
    state.learn(learned_by(2, address));
    let key = (Vni(5), address);
    let none = Carried::new();
    let rows = rows_wanted(&state, &none, &Segments::new(), BTreeSet::new());
    assert_eq!(rows.neigh[&key].port, Some(PortNumber(2)));
    // Assigned to another: it answers for it, and the one that learned it reaches no guest by it.
    assign(&mut state, 1, address);
    let rows = rows_wanted(&state, &none, &Segments::new(), BTreeSet::new());
    assert_eq!(rows.neigh[&key].port, Some(PortNumber(1)));
    assert!(!rows.sources[&(PortNumber(1), address)].learned);
    assert!(rows.sources[&(PortNumber(2), address)].local_only);
    // Assigned to the one that learned it.
    let mut state = planned([2], []);
    state.learn(learned_by(2, address));
    assign(&mut state, 2, address);
    let rows = rows_wanted(&state, &none, &Segments::new(), BTreeSet::new());
    let row = rows.sources[&(PortNumber(2), address)];
    assert!(!row.local_only && !row.learned);
    assert_eq!(rows.neigh[&key].port, Some(PortNumber(2)));
}

#[test]
fn a_port_may_learn_of_the_prefixes_that_leave_the_choice_to_guests() {
    let mut state = planned([1, 2], []);
    let subnet = slaac_subnet();
    let key = PlanKey::Subnet(subnet.id);
    state.plan.entries.insert(key, PlanEntry::Subnet(subnet));
    assign(&mut state, 1, "2001:db8::5".parse().unwrap());
    let rows = rows_wanted(&state, &Carried::new(), &Segments::new(), BTreeSet::new());
    let only = (PortNumber(1), "2001:db8::/64".parse().unwrap());
    assert_eq!(rows.learnable, BTreeSet::from([only]));
}

/// The port has this address by the plan.
fn assign(state: &mut State, number: u8, address: Ipv6Addr) {
    let mut plan = state.plan.port(port(number).id).unwrap().clone();
    plan.fixed_ips.push(FixedIp {
        subnet_id: slaac_subnet().id,
        ip_address: IpAddr::V6(address),
    });
    let entry = PlanEntry::Port(plan);
    state
        .plan
        .entries
        .insert(PlanKey::Port(port(number).id), entry);
}

#[test]
fn ipv4_addresses_are_sources_and_answered_for_and_so_is_the_service_where_there_is_a_subnet() {
    let mapped = |text: &str| text.parse::<Ipv4Addr>().unwrap().to_ipv6_mapped();
    let service = mapped("169.254.169.254");
    let mut state = planned([1, 2], []);
    let none = Carried::new();
    let rows = rows_wanted(&state, &none, &Segments::new(), BTreeSet::new());
    assert!(!rows.neigh.contains_key(&(Vni(5), service)));

    give(&mut state, 1, "10.0.0.5");
    let rows = rows_wanted(&state, &none, &Segments::new(), BTreeSet::new());
    let holder = |rows: &Rows, address| {
        rows.neigh
            .get(&(Vni(5), address))
            .map(|row| (row.mac, row.port))
    };
    let own = (PortNumber(1), mapped("10.0.0.5"));
    assert!(rows.sources.contains_key(&own));
    assert_eq!(
        holder(&rows, own.1),
        Some((port(1).mac, Some(PortNumber(1))))
    );
    assert_eq!(holder(&rows, service), Some((Mac::service(Vni(5)), None)));

    // A subnet may hold the service's address; who has it is answered for.
    give(&mut state, 1, "169.254.169.254");
    let rows = rows_wanted(&state, &none, &Segments::new(), BTreeSet::new());
    assert_eq!(
        holder(&rows, service),
        Some((port(1).mac, Some(PortNumber(1))))
    );
}

proptest! {
    /// Whatever is planned, declared and there: after the operations, nothing is left to do, and nothing that is not
    /// ours was deleted.
    #[test]
    fn applying_the_difference_leaves_none(
        plan in prop::collection::btree_set(1u8..6, 0..5),
        declared in prop::collection::btree_map(1u8..6, 0u8..3, 0..5),
        there in prop::collection::btree_map(1u8..6, (0u8..4, any::<bool>(), 1280u32..1500), 0..5),
        spaces in any::<bool>(),
    ) {
        let declared: Vec<(u8, Target)> = declared.into_iter().map(|(number, kind)| (number, match kind {
            0 => netns("guest"),
            1 => Target::Tap { name: port(number).id.tap_name() },
            _ => Target::Tap { name: "shared".to_owned() },
        })).collect();
        let state = planned(plan, declared);
        let mut seen = BTreeMap::new();
        let mut attached = BTreeSet::new();
        for (number, (kind, on, mtu)) in there {
            let ifindex = u32::from(number) + 10;
            let mut link = match kind {
                0 => ours(ifindex, number),
                1 => tap(ifindex, &port(number).id.tap_name()),
                2 => tap(ifindex, "shared"),
                _ => tap(ifindex, &format!("eth{number}")),
            };
            link.mtu = mtu;
            if on { attached.insert(ifindex); }
            seen.insert(link.name.clone(), link);
        }
        attached.retain(|ifindex| seen.values().any(|link| link.ifindex == *ifindex));
        let namespaces: BTreeSet<String> = spaces.then(|| "guest".to_owned()).into_iter().collect();
        let foreign: BTreeSet<String> = seen.values().filter(|link| link.alias.is_none()).map(|link| link.name.clone()).collect();
        let mut wanted = links_wanted(&state);
        let ops = diff_links(&mut wanted, &seen, &attached, &namespaces, INSTANCE);
        for op in ops {
            apply(op, &mut seen, &mut attached);
        }
        for name in foreign {
            prop_assert!(seen.contains_key(&name), "{name} was deleted");
        }
        let mut wanted = links_wanted(&state);
        let left = diff_links(&mut wanted, &seen, &attached, &namespaces, INSTANCE);
        prop_assert_eq!(left, Vec::new());
    }

    /// What one address learned or forgotten changes is told from the rows of the ports that know it.
    #[test]
    fn an_address_learned_or_forgotten_changes_rows_of_those_ports_alone(
        plan in prop::collection::btree_set(1u8..6, 0..5),
        learned in prop::collection::vec((1u8..6, 0u8..7), 0..9),
        (who, what) in (1u8..6, 0u8..7),
        forget in any::<bool>(),
    ) {
        // Some are what another port's MAC makes, which nobody else may hold.
        let address = |number: u8| match number {
            0..3 => port(number + 1).mac.link_local(),
            _ => format!("fe80::{number}").parse().unwrap(),
        };
        let mut state = planned(plan, []);
        for (who, what) in learned {
            state.learn(learned_by(who, address(what)));
        }
        let none = BTreeMap::new();
        let mut rows = rows_wanted(&state, &none, &Segments::new(), BTreeSet::new());
        let ports: BTreeSet<PortId> = state.learned.iter()
            .filter(|known| known.address == address(what))
            .map(|known| known.port)
            .chain([port(who).id])
            .collect();
        let before = address_rows(&state, &ports);
        if forget {
            state.unlearn(port(who).id, address(what));
        } else {
            state.learn(learned_by(who, address(what)));
        }
        for op in before.diff(&address_rows(&state, &ports)) {
            apply_row(op, &mut rows);
        }
        prop_assert_eq!(rows, rows_wanted(&state, &none, &Segments::new(), BTreeSet::new()));
    }

    /// What links that come, go or change their guests make different is told from the rows of their ports alone.
    #[test]
    fn links_of_some_ports_change_rows_of_those_alone(
        plan in prop::collection::btree_set(1u8..6, 0..5),
        learned in prop::collection::vec((1u8..6, 0u8..4), 0..9),
        links in prop::collection::btree_set(1u8..6, 0..5),
        seen in prop::collection::btree_set(1u8..6, 0..5),
        some in prop::collection::btree_map(1u8..6, any::<Option<bool>>(), 1..3),
    ) {
        let mut state = planned(plan, []);
        for (who, what) in learned {
            state.learn(learned_by(who, format!("fe80::{what}").parse().unwrap()));
        }
        let id = |number: &u8| port(*number).id;
        let is_planned = |number: &&u8| state.plan.port(id(number)).is_some();
        let mut carried: Carried = links.iter().filter(is_planned)
            .map(|number| (id(number), by(u32::from(*number))))
            .collect();
        let seen: BTreeSet<u8> = seen.iter().filter(|number| carried.contains_key(&id(number))).copied().collect();
        let numbers = |of: &BTreeSet<u8>| of.iter().map(|number| port(*number).number).collect::<BTreeSet<_>>();
        let segments = Segments::new();
        let mut rows = rows_wanted(&state, &carried, &segments, numbers(&seen));
        let ports = with_same_addresses(&state, &some.keys().map(id).collect(), &BTreeSet::new());
        let networks = BTreeSet::from([Vni(5)]);
        let among = |of: &BTreeSet<u8>| of.iter().filter(|number| ports.contains(&id(number))).copied().collect();
        let before = rows_of(&state, &carried, &segments, numbers(&among(&seen)), &ports, &networks);
        let mut still = seen.clone();
        for (number, becomes) in some.iter().filter(|(number, _)| state.plan.port(id(number)).is_some()) {
            // Gone; another guest on the same link; another link.
            match becomes {
                None => drop(carried.remove(&id(number))),
                Some(false) => {}
                Some(true) => drop(carried.insert(id(number), by(10 + u32::from(*number)))),
            }
            still.remove(number);
            state.learned.retain(|known| known.port != id(number));
        }
        let after = rows_of(&state, &carried, &segments, numbers(&among(&still)), &ports, &networks);
        for op in before.diff(&after) {
            apply_row(op, &mut rows);
        }
        prop_assert_eq!(rows, rows_wanted(&state, &carried, &segments, numbers(&still)));
    }

    /// What any change of the plan makes different is told from the rows of the ports that it touches.
    #[test]
    fn a_change_of_the_plan_changes_rows_of_what_it_touches_alone(
        plan in prop::collection::btree_set(1u8..6, 0..5),
        given in prop::collection::btree_map(1u8..6, 0u8..5, 0..3),
        learned in prop::collection::vec((1u8..6, 0u8..5), 0..9),
        links in prop::collection::btree_set(1u8..6, 0..5),
        seen in prop::collection::btree_set(1u8..6, 0..5),
        changes in prop::collection::vec(change(), 1..4),
    ) {
        let mut state = planned(plan, []);
        for (number, what) in given {
            if state.plan.port(port(number).id).is_some() {
                give(&mut state, number, &format!("2001:db8::{what}"));
            }
        }
        for (who, what) in learned {
            state.learn(learned_by(who, format!("2001:db8::{what}").parse().unwrap()));
        }
        let segments = Segments::new();
        let carried_by = |state: &State| -> Carried {
            let planned = links.iter().filter(|number| state.plan.port(port(**number).id).is_some());
            planned.map(|number| (port(*number).id, by(u32::from(*number)))).collect()
        };
        let seen_of = |state: &State, ports: Option<&BTreeSet<PortId>>| -> BTreeSet<PortNumber> {
            let carried = carried_by(state);
            let seen = seen.iter().map(|number| port(*number));
            seen.filter(|port| carried.contains_key(&port.id) && ports.is_none_or(|ports| ports.contains(&port.id)))
                .map(|port| port.number)
                .collect()
        };
        let whole = |state: &State| rows_wanted(state, &carried_by(state), &segments, seen_of(state, None));
        let mut rows = whole(&state);
        let generation = Generation::default();
        let deltas: Vec<PlanDelta> = changes.into_iter()
            .map(|change| PlanDelta { generation, changes: BTreeMap::from([change]) })
            .collect();
        let touched = touched(&state.plan, &deltas).unwrap();
        let ports = with_same_addresses(&state, &touched.ports, &touched.addresses);
        let mut networks = touched.networks;
        networks.extend(ports.iter().filter_map(|id| state.plan.port(*id)).map(|port| port.vni));
        let part = |state: &State| {
            let seen = seen_of(state, Some(&ports));
            rows_of(state, &carried_by(state), &segments, seen, &ports, &networks)
        };
        let before = part(&state);
        prop_assume!(is_unambiguous(&state));
        for delta in deltas {
            state.take(delta, 0);
        }
        prop_assume!(is_unambiguous(&state));
        for op in before.diff(&part(&state)) {
            apply_row(op, &mut rows);
        }
        // One that the plan begins to have is shown first frames: that the program notes by itself.
        let mut wanted = whole(&state);
        wanted.seen.retain(|number| rows.seen.contains(number));
        prop_assert_eq!(rows, wanted);
    }

    /// Rows of any state: the difference applied is the state, and a second one is empty.
    #[test]
    fn rows_reach_what_is_wanted(before in rows(), after in rows()) {
        let ops = before.diff(&after);
        let mut now = before;
        for op in ops {
            apply_row(op, &mut now);
        }
        prop_assert_eq!(now.diff(&after), Vec::new());
        prop_assert_eq!(now.ports, after.ports);
        prop_assert_eq!(now.sources, after.sources);
    }
}

fn rows() -> impl Strategy<Value = Rows> {
    (
        prop::collection::btree_set(1u8..6, 0..5),
        prop::collection::btree_map(1u8..6, 10u32..20, 0..5),
        prop::collection::btree_set((1u8..6, 0u8..3), 0..5),
    )
        .prop_map(|(plan, links, learned)| {
            let mut state = planned(plan, []);
            for (number, address) in learned {
                let address = format!("fe80::{address}").parse().unwrap();
                state.learn(learned_by(number, address));
            }
            let carried = links
                .into_iter()
                .filter(|(number, _)| state.plan.port(port(*number).id).is_some())
                .map(|(number, ifindex)| (port(number).id, by(ifindex)))
                .collect();
            rows_wanted(&state, &carried, &Segments::new(), BTreeSet::new())
        })
}

/// The server gives no address to two ports of a network.
fn is_unambiguous(state: &State) -> bool {
    let mut seen = BTreeSet::new();
    let mut addresses = state.plan.ports().flat_map(PortPlan::ipv6);
    addresses.all(|address| seen.insert(address))
}

/// A port comes, changes or goes; a subnet of either family comes or goes; the network changes.
fn change() -> impl Strategy<Value = (PlanKey, Option<PlanEntry>)> {
    let of_port =
        (1u8..6, 0u8..5, any::<bool>(), any::<bool>()).prop_map(|(number, what, up, there)| {
            let mut port = port(number);
            port.admin_state_up = up;
            port.fixed_ips.push(FixedIp {
                subnet_id: SubnetId(Uuid::from_u128(9)),
                ip_address: format!("2001:db8::{what}").parse().unwrap(),
            });
            let entry = there.then_some(PlanEntry::Port(port.clone()));
            (PlanKey::Port(port.id), entry)
        });
    let of_subnet = (any::<bool>(), any::<bool>()).prop_map(|(ipv6, there)| {
        let entry = match ipv6 {
            true => PlanEntry::Subnet(slaac_subnet()),
            false => PlanEntry::Ipv4Subnet(ipv4_subnet()),
        };
        let id = match ipv6 {
            true => slaac_subnet().id,
            false => ipv4_subnet().id,
        };
        (PlanKey::Subnet(id), there.then_some(entry))
    });
    let of_network = any::<bool>().prop_map(|up| {
        let mut network = network(Vni(5));
        network.admin_state_up = up;
        (PlanKey::Network(Vni(5)), Some(PlanEntry::Network(network)))
    });
    prop_oneof![3 => of_port, 1 => of_subnet, 1 => of_network]
}

fn apply_row(op: crate::kernel::MapOp, rows: &mut Rows) {
    use crate::kernel::MapOp;
    match op {
        MapOp::SetPort(key, row) => drop(rows.ports.insert(key, row)),
        MapOp::RemovePort(key) => drop(rows.ports.remove(&key)),
        MapOp::SetSource(key, row) => drop(rows.sources.insert(key, row)),
        MapOp::RemoveSource(key) => drop(rows.sources.remove(&key)),
        MapOp::SetLearnable(key) => drop(rows.learnable.insert(key)),
        MapOp::RemoveLearnable(key) => drop(rows.learnable.remove(&key)),
        MapOp::SetNeigh(key, row) => drop(rows.neigh.insert(key, row)),
        MapOp::RemoveNeigh(key) => drop(rows.neigh.remove(&key)),
        MapOp::SetFdb(key, row) => drop(rows.fdb.insert(key, row)),
        MapOp::RemoveFdb(key) => drop(rows.fdb.remove(&key)),
        MapOp::SetMembers(key, set) => drop(rows.members.insert(key, set)),
        MapOp::RemoveMembers(key) => drop(rows.members.remove(&key)),
        MapOp::SetUplink(key, row) => drop(rows.uplinks.insert(key, row)),
        MapOp::RemoveUplink(key) => drop(rows.uplinks.remove(&key)),
        MapOp::SetNic(key, row) => drop(rows.nics.insert(key, row)),
        MapOp::RemoveNic(key) => drop(rows.nics.remove(&key)),
        MapOp::SetListener(port, row) => drop(rows.listeners.insert(port, row)),
        MapOp::RemoveListener(port) => drop(rows.listeners.remove(&port)),
        MapOp::Unsee(port) | MapOp::Forget(port) => drop(rows.seen.remove(&port)),
    }
}

fn apply(op: LinkOp, seen: &mut BTreeMap<String, LinkSeen>, attached: &mut BTreeSet<u32>) {
    match op {
        LinkOp::Create { name, wanted } => {
            let mut link = tap(1000 + seen.len() as u32, &name);
            link.kind = LinkKind::Veth;
            link.mtu = wanted.mtu;
            link.mac = wanted.mac;
            link.alias = Some(tag(INSTANCE, wanted.port));
            assert!(seen.insert(name, link).is_none(), "the name was free");
        }
        LinkOp::Configure { ifindex, wanted } => {
            let link = seen.values_mut().find(|link| link.ifindex == ifindex);
            let link = link.expect("it is there");
            (link.mac, link.mtu) = (wanted.mac, wanted.mtu);
        }
        LinkOp::Detach { ifindex } => drop(attached.remove(&ifindex)),
        LinkOp::SetDown { ifindex } => {
            let link = seen.values_mut().find(|link| link.ifindex == ifindex);
            link.expect("it is there").admin_up = false;
        }
        LinkOp::Delete { ifindex } => seen.retain(|_, link| link.ifindex != ifindex),
    }
}

fn check(
    state: &State,
    seen: &[LinkSeen],
    attached: &[u32],
    namespaces: &[&str],
    ops: &[&str],
    problems: &[&str],
) {
    let mut wanted = links_wanted(state);
    let found = diff_links(
        &mut wanted,
        &by_name(seen),
        &attached.iter().copied().collect(),
        &namespaces.iter().map(|name| (*name).to_owned()).collect(),
        INSTANCE,
    );
    let found: Vec<String> = found.iter().map(shown).collect();
    assert_eq!(found, ops);
    let why: Vec<String> = wanted
        .problems
        .iter()
        .map(|(id, problem)| format!("{} {problem}", id.0.as_u128() >> 96))
        .collect();
    assert_eq!(why, problems);
}

fn shown(op: &LinkOp) -> String {
    match op {
        LinkOp::Create { name, wanted } => {
            format!("create {name} {}", wanted.port.0.as_u128() >> 96)
        }
        LinkOp::Configure { ifindex, wanted } => {
            format!("configure {ifindex} {} {}", wanted.mac, wanted.mtu)
        }
        LinkOp::Detach { ifindex } => format!("detach {ifindex}"),
        LinkOp::SetDown { ifindex } => format!("down {ifindex}"),
        LinkOp::Delete { ifindex } => format!("delete {ifindex}"),
    }
}

fn by_name(links: &[LinkSeen]) -> BTreeMap<String, LinkSeen> {
    links
        .iter()
        .map(|link| (link.name.clone(), link.clone()))
        .collect()
}

fn planned(
    ports: impl IntoIterator<Item = u8>,
    declared: impl IntoIterator<Item = (u8, Target)>,
) -> State {
    let mut state = State::default();
    let vni = Vni(5);
    state
        .plan
        .entries
        .insert(PlanKey::Network(vni), PlanEntry::Network(network(vni)));
    for number in ports {
        let port = port(number);
        state
            .plan
            .entries
            .insert(PlanKey::Port(port.id), PlanEntry::Port(port));
    }
    for (number, target) in declared {
        state.declarations.insert(port(number).id, target);
    }
    state
}

fn learned_by(number: u8, address: Ipv6Addr) -> LearnedAddress {
    LearnedAddress {
        port: port(number).id,
        address,
        since_s: 0,
        seen_s: 0,
    }
}

fn port(number: u8) -> PortPlan {
    PortPlan {
        dhcp_options: hextet_core::dhcp::DhcpOptions::default(),
        id: PortId(Uuid::from_u128(u128::from(number) << 96)),
        number: PortNumber(number.into()),
        vni: Vni(5),
        mac: Mac([2, 0, 0, 0, 0, number]),
        admin_state_up: true,
        port_security_enabled: true,
        fixed_ips: Vec::new(),
    }
}

/// The port gets this address besides, of a subnet of its network.
fn give(state: &mut State, number: u8, address: &str) {
    let subnet = ipv4_subnet();
    let id = subnet.id;
    let entries = &mut state.plan.entries;
    entries.insert(PlanKey::Subnet(id), PlanEntry::Ipv4Subnet(subnet));
    let Some(PlanEntry::Port(port)) = entries.get_mut(&PlanKey::Port(port(number).id)) else {
        panic!("a port of the plan");
    };
    port.fixed_ips.push(FixedIp {
        subnet_id: id,
        ip_address: address.parse().unwrap(),
    });
}

fn ipv4_subnet() -> Ipv4SubnetPlan {
    Ipv4SubnetPlan {
        id: SubnetId(Uuid::from_u128(9)),
        vni: Vni(5),
        sequence: 1,
        cidr: "0.0.0.0/0".parse().unwrap(),
        dhcp: true,
        gateway_ip: None,
        dns_nameservers: Vec::new(),
        host_routes: Vec::new(),
    }
}

fn netns(name: &str) -> Target {
    Target::Netns {
        name: name.to_owned(),
        ifname: "eth0".to_owned(),
        down: false,
    }
}

fn ours(ifindex: u32, number: u8) -> LinkSeen {
    let id = port(number).id;
    LinkSeen {
        kind: LinkKind::Veth,
        peer_elsewhere: true,
        alias: Some(tag(INSTANCE, id)),
        ..tap(ifindex, &id.tap_name())
    }
}

fn by(ifindex: u32) -> CarriedBy {
    CarriedBy {
        ifindex,
        direct: false,
    }
}

fn tap(ifindex: u32, name: &str) -> LinkSeen {
    LinkSeen {
        name: name.to_owned(),
        ifindex,
        mac: port(1).mac,
        mtu: 1430,
        admin_up: true,
        carrier: true,
        all_multicast: false,
        kind: LinkKind::Tap,
        peer_elsewhere: false,
        alias: None,
    }
}
