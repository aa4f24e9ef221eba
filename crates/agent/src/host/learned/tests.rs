use uuid::Uuid;

use super::*;

#[test]
fn of_each_port_the_latest_conflicts_are_kept_each_once() {
    let port = |number| PortId(Uuid::from_u128(number));
    let conflict = |number: u16| AddressConflict {
        address: Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, number),
        holder: Some(port(2)),
    };
    let mut conflicts = Conflicts::default();
    assert!(conflicts.note(port(1), conflict(1)));
    assert!(!conflicts.note(port(1), conflict(1)), "it is known");
    assert_eq!(conflicts.of(port(1)), [(conflict(1), 2)]);
    for number in 2..=9 {
        assert!(conflicts.note(port(1), conflict(number)));
    }
    assert_eq!(conflicts.of(port(1)).len(), CONFLICTS_MAX);
    assert_eq!(conflicts.of(port(1))[0], (conflict(2), 1));
    conflicts.retain(|known| *known != port(1));
    assert!(conflicts.of(port(1)).is_empty());
}
