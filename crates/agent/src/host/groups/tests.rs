use super::*;

/// Looks each interval, for so long, and says whether the last look cleared away.
fn looks(age: &mut GroupAge, now: &mut Instant, span: Duration) -> bool {
    let until = *now + span;
    let mut due = false;
    while *now < until {
        assert_eq!(age.until(*now), LOOK_INTERVAL);
        assert!(!age.is_due(*now), "before its time");
        *now += LOOK_INTERVAL;
        assert_eq!(age.until(*now), Duration::ZERO);
        due = age.is_due(*now);
    }
    due
}

#[test]
fn nothing_is_over_before_guests_were_asked_for_a_whole_interval() {
    let mut now = Instant::now();
    let mut age = GroupAge::new(now);
    assert!(!looks(
        &mut age,
        &mut now,
        LISTENER_INTERVAL - LOOK_INTERVAL
    ));
    assert!(looks(&mut age, &mut now, LOOK_INTERVAL));
    assert!(looks(&mut age, &mut now, LOOK_INTERVAL));
}

#[test]
fn a_halt_of_the_agent_counts_as_a_restart() {
    let mut now = Instant::now();
    let mut age = GroupAge::new(now);
    assert!(looks(&mut age, &mut now, LISTENER_INTERVAL));
    now += 2 * LISTENER_INTERVAL;
    assert!(!age.is_due(now), "guests were not asked meanwhile");
    assert!(!looks(
        &mut age,
        &mut now,
        LISTENER_INTERVAL - LOOK_INTERVAL
    ));
    assert!(looks(&mut age, &mut now, LOOK_INTERVAL));
}
