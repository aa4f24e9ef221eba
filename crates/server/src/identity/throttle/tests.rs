use std::time::{Duration, Instant};

use super::{DELAY_FIRST, DELAY_MAX, FORGET_AFTER, NAMES_MAX, Throttle};

#[test]
fn each_failure_doubles_the_delay_up_to_the_bound() {
    let (mut throttle, now) = (Throttle::default(), Instant::now());
    let delays: Vec<Duration> = (0..40)
        .map(|_| throttle.handle_failure("admin", now))
        .collect();
    assert_eq!(delays[0], DELAY_FIRST);
    assert_eq!(delays[1], DELAY_FIRST * 2);
    assert_eq!(delays[2], DELAY_FIRST * 4);
    assert_eq!(delays[39], DELAY_MAX);
    assert!(delays.is_sorted());
}

#[test]
fn another_name_a_success_and_a_quarter_of_an_hour_start_anew() {
    let (mut throttle, now) = (Throttle::default(), Instant::now());
    throttle.handle_failure("admin", now);
    throttle.handle_failure("admin", now);
    assert_eq!(throttle.handle_failure("demo", now), DELAY_FIRST);
    throttle.handle_success("admin");
    assert_eq!(throttle.handle_failure("admin", now), DELAY_FIRST);
    assert_eq!(
        throttle.handle_failure("admin", now + FORGET_AFTER),
        DELAY_FIRST
    );
}

#[test]
fn names_are_bounded_and_the_one_that_failed_longest_ago_goes_first() {
    let (mut throttle, now) = (Throttle::default(), Instant::now());
    for index in 0..NAMES_MAX + 1 {
        let later = now + Duration::from_micros(index.try_into().unwrap());
        throttle.handle_failure(&format!("name{index}"), later);
    }
    assert_eq!(throttle.names.len(), NAMES_MAX);
    assert!(!throttle.names.contains_key("name0"));
    assert!(throttle.names.contains_key("name1"));
}
