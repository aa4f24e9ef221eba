use super::*;

const VNI: Vni = Vni(7);

fn directory(held: &[(&str, u8)]) -> PlanDirectory {
    let holders = held.iter().map(|(address, last)| {
        let holder = Holder {
            port: None,
            mac: Mac([2, 0, 0, 0, 0, *last]),
            kind: HolderKind::Assigned,
        };
        ((VNI, address.parse().unwrap()), holder)
    });
    PlanDirectory {
        planned: Arc::new(holders.collect()),
        ..PlanDirectory::default()
    }
}

fn moved(departed: &mut Departed, before: &PlanDirectory, now: &PlanDirectory) -> Vec<String> {
    let moved = departed.moved(before, now).into_iter();
    moved
        .map(|(_, address, holder)| format!("{address} {}", holder.mac))
        .collect()
}

#[test]
fn an_address_has_moved_when_its_mac_is_another_however_long_nobody_held_it() {
    let mut departed = Departed::default();
    let nobody = directory(&[]);
    let first = directory(&[("2001:db8::1", 1), ("2001:db8::2", 2)]);
    let changed = directory(&[("2001:db8::1", 3), ("2001:db8::2", 2)]);
    assert!(moved(&mut departed, &nobody, &first).is_empty(), "new ones");
    assert_eq!(
        moved(&mut departed, &first, &changed),
        ["2001:db8::1 02:00:00:00:00:03"]
    );
    assert!(moved(&mut departed, &changed, &nobody).is_empty());
    assert!(moved(&mut departed, &nobody, &nobody).is_empty());
    let back = directory(&[("2001:db8::1", 3), ("2001:db8::2", 9)]);
    assert_eq!(
        moved(&mut departed, &nobody, &back),
        ["2001:db8::2 02:00:00:00:00:09"]
    );
}

#[test]
fn a_learned_address_has_moved_when_another_guest_has_it_by_whatever_right() {
    let learned = |last: &[u8]| PlanDirectory {
        planned: Arc::default(),
        learned: directory(&Vec::from_iter(
            last.iter().map(|last| ("2001:db8::1", *last)),
        ))
        .planned,
    };
    let (nobody, first, second) = (learned(&[]), learned(&[1]), learned(&[2]));
    let mut forgotten = Departed::default();
    let mut moved_learned = |before, now| {
        let moved = forgotten.moved_learned(before, now).into_iter();
        Vec::from_iter(moved.map(|(_, _, holder)| holder.mac.0[5]))
    };
    assert_eq!(moved_learned(&nobody, &first), [] as [u8; 0], "a new one");
    assert_eq!(moved_learned(&first, &nobody), [] as [u8; 0]);
    assert_eq!(moved_learned(&nobody, &first), [] as [u8; 0], "the same");
    assert_eq!(moved_learned(&first, &nobody), [] as [u8; 0]);
    assert_eq!(moved_learned(&nobody, &second), [2]);
    assert_eq!(moved_learned(&second, &first), [1]);
    // Assigned to another since.
    let assigned = directory(&[("2001:db8::1", 9)]);
    let mut departed = Departed::default();
    assert_eq!(
        moved(&mut departed, &first, &assigned),
        ["2001:db8::1 02:00:00:00:00:09"]
    );
    assert_eq!(moved_learned(&first, &assigned), [] as [u8; 0], "said once");
}

#[test]
fn what_departed_is_remembered_up_to_a_bound() {
    let mut departed = Departed::default();
    for number in 0..DEPARTED_MAX + 10 {
        let address = Ipv6Addr::from_bits(number as u128);
        departed.remember((VNI, address), Mac([2, 0, 0, 0, 0, 1]));
    }
    assert_eq!(departed.macs.len(), DEPARTED_MAX);
    assert!(!departed.macs.contains_key(&(VNI, Ipv6Addr::from_bits(9))));
}
