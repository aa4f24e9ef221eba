use std::time::{Duration, Instant};

use super::*;

fn known(id: &str) -> Guessed {
    Guessed::Known(id.to_owned())
}

fn source(text: &str) -> Source {
    Source::of(text.parse().unwrap())
}

#[test]
fn each_failure_doubles_the_delay_up_to_the_bound() {
    let (mut throttle, now) = (Throttle::default(), Instant::now());
    let delays: Vec<Duration> = (0..40)
        .map(|_| throttle.handle_failure(&known("admin"), Source::Inside, now))
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
    let mut fails = |whom: &str, at| throttle.handle_failure(&known(whom), Source::Inside, at);
    fails("admin", now);
    fails("admin", now);
    assert_eq!(fails("demo", now), DELAY_FIRST);
    throttle.handle_success("admin");
    let mut fails = |whom: &str, at| throttle.handle_failure(&known(whom), Source::Inside, at);
    assert_eq!(fails("admin", now), DELAY_FIRST);
    assert_eq!(fails("admin", now + FORGET_AFTER), DELAY_FIRST);
}

#[test]
fn one_source_that_guesses_at_many_users_waits_too_and_no_other_source_with_it() {
    let (mut throttle, now) = (Throttle::default(), Instant::now());
    let sprayer = source("2001:db8::1");
    for index in 0..SOURCE_FREE + 1 {
        let user = known(&index.to_string());
        assert_eq!(throttle.handle_failure(&user, sprayer, now), DELAY_FIRST);
    }
    // Another address of the same /64.
    let same = source("2001:db8::dead:beef");
    assert_eq!(
        throttle.handle_failure(&known("x"), same, now),
        DELAY_FIRST * 2
    );
    throttle.handle_success("x");
    assert_eq!(
        throttle.handle_failure(&known("x"), same, now),
        DELAY_FIRST * 4
    );
    for other in ["2001:db8:0:1::1", "192.0.2.1", "::ffff:192.0.2.2"] {
        let user = known(other);
        assert_eq!(
            throttle.handle_failure(&user, source(other), now),
            DELAY_FIRST
        );
    }
}

#[test]
fn names_are_bounded_and_made_up_ones_push_out_no_user() {
    let (mut throttle, now) = (Throttle::default(), Instant::now());
    throttle.handle_failure(&known("admin"), Source::Inside, now);
    for index in 0..NAMES_MAX + 1 {
        let later = now + Duration::from_micros(index.try_into().unwrap());
        let guessed = Guessed::Nobody(format!("name{index}"));
        let bits = (0x2001_0db8_u128 << 96) | (index as u128) << 64;
        let from = Source::of(std::net::Ipv6Addr::from_bits(bits).into());
        throttle.handle_failure(&guessed, from, later);
    }
    assert_eq!(throttle.nobody.failures.len(), NAMES_MAX);
    assert_eq!(throttle.sources.failures.len(), NAMES_MAX);
    assert!(!throttle.nobody.failures.contains_key("name0"));
    assert!(throttle.nobody.failures.contains_key("name1"));
    assert!(throttle.known.failures.contains_key("admin"));
}

#[test]
fn one_source_takes_its_part_of_the_places_and_leaves_the_others() {
    let places = Places::new(4, 3);
    let (one, other) = (source("192.0.2.1"), source("192.0.2.2"));
    let mut held: Vec<Place> = (0..3).map(|_| places.take(one).unwrap()).collect();
    assert!(places.take(one).is_none(), "its part");
    let last = places.take(other).unwrap();
    assert!(places.take(source("192.0.2.3")).is_none(), "all");
    held.pop();
    assert!(places.take(one).is_some());
    drop((held, last));
    assert!(places.taken.lock().unwrap().is_empty());
}
