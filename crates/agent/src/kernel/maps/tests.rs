use std::collections::BTreeSet;

use super::*;

fn rows() -> Rows {
    let mac = Mac([2, 0, 0, 0, 0, 1]);
    let mut rows = Rows::default();
    rows.ports.insert(
        7,
        PortRow {
            port: PortNumber(1),
            net: Vni(3),
            admin_up: true,
            guarded: true,
            direct: false,
            mtu: 1430,
            mac,
            outside: None,
        },
    );
    rows.sources.insert(
        (PortNumber(1), mac.link_local()),
        SourceRow {
            local_only: false,
            learned: false,
        },
    );
    rows.neigh.insert(
        (Vni(3), mac.link_local()),
        NeighRow {
            mac,
            port: Some(PortNumber(1)),
            router: false,
        },
    );
    rows.fdb.insert((Vni(3), mac), 7);
    rows.members.insert(Vni(3), BTreeSet::from([7]));
    rows
}

#[test]
fn equal_rows_need_no_change() {
    assert_eq!(rows().diff(&rows()), Vec::new());
}

#[test]
fn a_port_may_send_before_others_find_it_and_after_they_no_longer_do() {
    let make = Rows::default().diff(&rows());
    assert!(matches!(
        make[..],
        [
            MapOp::SetSource(..),
            MapOp::SetPort(..),
            MapOp::SetNeigh(..),
            MapOp::SetFdb(..),
            MapOp::SetMembers(..)
        ]
    ));
    let remove = rows().diff(&Rows::default());
    assert!(matches!(
        remove[..],
        [
            MapOp::RemoveMembers(_),
            MapOp::RemoveFdb(_),
            MapOp::RemoveNeigh(_),
            MapOp::RemovePort(_),
            MapOp::RemoveSource(_)
        ]
    ));
}

#[test]
fn a_changed_row_is_set_and_not_removed() {
    let mut wanted = rows();
    wanted.fdb.insert((Vni(3), Mac([2, 0, 0, 0, 0, 1])), 8);
    assert_eq!(
        rows().diff(&wanted),
        vec![MapOp::SetFdb((Vni(3), Mac([2, 0, 0, 0, 0, 1])), 8)]
    );
}

#[test]
fn a_first_frame_is_forgotten_on_wish_and_never_invented() {
    let mut seen = rows();
    seen.seen.insert(PortNumber(1));
    assert_eq!(seen.diff(&rows()), vec![MapOp::Unsee(PortNumber(1))]);
    assert_eq!(rows().diff(&seen), Vec::new());
}
