use std::collections::BTreeMap;

use hextet_core::ids::{PortNumber, Vni};
use hextet_core::mac::Mac;
use hextet_core::plan::{Generation, PlanEntry, PortPlan};
use hextet_core::settings::CloudSettings;
use hextet_wire::dhcpv6::{Duid, ReconfigureKey, ReconfigureKind};
use uuid::Uuid;

use super::*;
use crate::fixture::{network, slaac_subnet};

const NOW_S: u64 = 1_000_000;

#[test]
fn what_was_written_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(dir.path()).unwrap();
    assert!(matches!(ledger.read(), Ok(Found::Nothing)));
    let state = full();
    ledger.write(&state).unwrap();
    let Ok(Found::State(read)) = ledger.read() else {
        panic!("a ledger");
    };
    assert_eq!(*read, state);
}

#[test]
fn a_cut_or_changed_ledger_is_put_aside_and_never_half_believed() {
    let bytes = encode::encode(&full());
    for len in 0..bytes.len() {
        assert!(encode::decode(&bytes[..len]).is_err(), "cut at {len}");
    }
    for at in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[at] ^= 1;
        assert!(encode::decode(&changed).is_err(), "changed at {at}");
    }
    let dir = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(dir.path()).unwrap();
    std::fs::write(dir.path().join("ledger"), &bytes[..bytes.len() - 1]).unwrap();
    let Ok(Found::Corrupt(Unreadable::Sum, aside)) = ledger.read() else {
        panic!("corrupt");
    };
    assert!(aside.exists());
    assert!(matches!(ledger.read(), Ok(Found::Nothing)));
}

#[test]
fn a_port_that_goes_takes_its_declaration_along_but_one_not_yet_planned_keeps_it() {
    let mut state = full();
    let (planned, other) = (port_id(1), port_id(2));
    state.declarations.insert(
        other,
        Target::Tap {
            name: "tap2".to_owned(),
        },
    );
    let gone = state.take(delta([(PlanKey::Port(planned), None)]), NOW_S);
    assert_eq!(gone, BTreeSet::from([planned]));
    assert!(!state.declarations.contains_key(&planned));
    assert!(state.learned.is_empty());
    assert!(state.reconfigurable.is_empty());
    assert!(state.declarations.contains_key(&other));
}

#[test]
fn a_prefix_that_goes_is_withdrawn_for_the_valid_lifetime_and_one_that_returns_is_not() {
    let mut state = full();
    state.withdrawn.clear();
    let prefix: Ipv6Net = "2001:db8::/64".parse().unwrap();
    let subnet = state.plan.entries[&PlanKey::Subnet(slaac_subnet().id)].clone();
    state.take(delta([(PlanKey::Subnet(slaac_subnet().id), None)]), NOW_S);
    assert_eq!(state.withdrawn_of(port_id(1)), [prefix]);
    assert_eq!(state.next_expiry_s(), Some(NOW_S + 5400));
    assert!(!state.expire(NOW_S + 5399));
    let mut again = state.clone();
    again.take(
        delta([(PlanKey::Subnet(slaac_subnet().id), Some(subnet))]),
        NOW_S + 5,
    );
    assert!(again.withdrawn_of(port_id(1)).is_empty());
    assert!(state.expire(NOW_S + 5400));
    assert!(state.withdrawn.is_empty());
}

fn delta<const N: usize>(changes: [(PlanKey, Option<PlanEntry>); N]) -> PlanDelta {
    PlanDelta {
        generation: Generation {
            epoch: 1,
            revision: 3,
        },
        changes: BTreeMap::from(changes),
    }
}

fn port_id(number: u128) -> PortId {
    PortId(Uuid::from_u128(number << 100))
}

fn full() -> State {
    let mut state = State::default();
    let vni = Vni(5);
    state.take(
        PlanDelta {
            generation: Generation {
                epoch: 1,
                revision: 2,
            },
            changes: BTreeMap::from([
                (
                    PlanKey::Cloud,
                    Some(PlanEntry::Cloud(CloudSettings::with_defaults(Uuid::nil()))),
                ),
                (
                    PlanKey::Network(vni),
                    Some(PlanEntry::Network(network(vni))),
                ),
                (
                    PlanKey::Subnet(slaac_subnet().id),
                    Some(PlanEntry::Subnet(slaac_subnet())),
                ),
                (
                    PlanKey::Port(port_id(1)),
                    Some(PlanEntry::Port(PortPlan {
                        dhcp_options: hextet_core::dhcp::DhcpOptions::default(),
                        id: port_id(1),
                        number: PortNumber(1),
                        vni,
                        mac: Mac([2, 0, 0, 0, 0, 1]),
                        admin_state_up: true,
                        port_security_enabled: true,
                        fixed_ips: Vec::new(),
                    })),
                ),
            ]),
        },
        NOW_S,
    );
    state.declarations.insert(
        port_id(1),
        Target::Netns {
            name: "guest".to_owned(),
            ifname: "eth0".to_owned(),
            down: true,
        },
    );
    state.learned.push(LearnedAddress {
        port: port_id(1),
        address: "fe80::1".parse().unwrap(),
        since_s: NOW_S,
        seen_s: NOW_S + 1,
    });
    state.reconfigurable.insert(
        port_id(1),
        Reconfigurable {
            client: Duid::new(&[0, 3, 9]).unwrap(),
            address: "fe80::1".parse().unwrap(),
            mac: Mac([2, 0, 0, 0, 0, 1]),
            key: ReconfigureKey::new([7; 16]),
            kind: ReconfigureKind::InformationRequest,
            told: [8; 16],
        },
    );
    state.released.insert(port_id(9));
    state.let_go.insert("tap0a1b2c3d-4e".to_owned(), 7);
    state.withdrawn.insert(
        port_id(1),
        BTreeMap::from([("2001:db8:9::/64".parse().unwrap(), NOW_S + 9)]),
    );
    state
}
