use super::*;

/// How often it is drained where each drain gives so many records, of which some are too old.
fn drains(records: &[usize]) -> usize {
    let mut drains = 0;
    let drained = in_turn(|| {
        let discarded = drains % 2;
        let records = records.get(drains).copied().unwrap_or(DRAIN_MAX);
        drains += 1;
        Ok(Drained {
            shown: records.saturating_sub(discarded),
            discarded,
        })
    });
    drained.unwrap();
    drains
}

#[test]
fn a_ring_that_is_never_empty_leaves_commands_and_timers_their_turn() {
    assert_eq!(drains(&[]), DRAINS_MAX);
}

#[test]
fn a_ring_that_is_empty_is_not_drained_again() {
    assert_eq!(drains(&[0]), 1);
    assert_eq!(drains(&[DRAIN_MAX - 1]), 1);
    assert_eq!(drains(&[DRAIN_MAX, 7]), 2);
}
