use super::*;
use crate::fixture::{ip, port, seconds, start};

#[test]
fn a_fifth_address_replaces_the_longest_unseen() {
    let now = start();
    let mut neighbours = Neighbours::default();
    for (at, address) in ["fe80::1", "fe80::2", "fe80::3", "fe80::4"]
        .iter()
        .enumerate()
    {
        let noted = neighbours.note(ip(address), None, now + seconds(at as u64));
        assert_eq!(noted, Noted::New { forgotten: None });
    }
    neighbours.refresh(ip("fe80::1"), now + seconds(10));
    let noted = neighbours.note(ip("fe80::5"), None, now + seconds(11));
    let forgotten = Some(ip("fe80::2"));
    assert_eq!(noted, Noted::New { forgotten });
    assert_eq!(neighbours.learned().count(), LEARNED_LINK_LOCAL_MAX);
}

#[test]
fn a_change_of_first_holder_is_news() {
    let now = start();
    let mut neighbours = Neighbours::default();
    neighbours.note(ip("fe80::1"), Some(port(2)), now);
    assert_eq!(
        neighbours.note(ip("fe80::1"), Some(port(2)), now),
        Noted::Known
    );
    let noted = neighbours.note(ip("fe80::1"), None, now);
    assert_eq!(noted, Noted::New { forgotten: None });
    assert_eq!(
        neighbours.learned().collect::<Vec<_>>(),
        [(ip("fe80::1"), None)]
    );
}

/// `count` addresses of a prefix, learned one second after the other.
fn filled(count: usize, now: Instant) -> Neighbours {
    let mut neighbours = Neighbours::default();
    for at in 0..count {
        let noted = neighbours.note(global(at), None, now + seconds(at as u64));
        assert_eq!(noted, Noted::New { forgotten: None });
    }
    neighbours
}

fn global(at: usize) -> Ipv6Addr {
    ip(&format!("2001:db8:1::{at:x}"))
}

#[test]
fn a_further_global_address_is_refused_and_the_longest_unseen_asked_for() {
    let now = start();
    let mut neighbours = filled(LEARNED_GLOBAL_MAX, now);
    let later = now + seconds(60);
    neighbours.refresh(global(0), later);
    let further = global(99);
    assert_eq!(neighbours.note(further, None, later), Noted::Refused);
    assert!(!neighbours.knows(further));
    // A link-local one has a place of its own.
    assert_eq!(
        neighbours.note(ip("fe80::1"), None, later),
        Noted::New { forgotten: None }
    );
    assert_eq!(neighbours.poll(later), Some(Due::Ask(global(1))));
    assert_eq!(neighbours.poll(later), None);
    // Without an answer it goes, and then there is room.
    for second in 1..3 {
        assert_eq!(
            neighbours.poll(later + seconds(second)),
            Some(Due::Ask(global(1)))
        );
    }
    let gone = later + seconds(3);
    assert_eq!(neighbours.poll(gone), Some(Due::Gone(global(1))));
    assert_eq!(
        neighbours.note(further, None, gone),
        Noted::New { forgotten: None }
    );
}

#[test]
fn who_floods_makes_the_host_ask_seldom() {
    let now = start();
    let mut neighbours = filled(1, now);
    let mut asked = 0;
    for tenth in 0..1000 {
        let now = now + Duration::from_millis(100 * tenth);
        neighbours.contest(global(0), now);
        while neighbours.poll(now).is_some() {
            asked += 1;
        }
        neighbours.refresh(global(0), now);
    }
    assert_eq!(asked, 10);
}

#[test]
fn an_address_is_asked_for_after_its_lifetime_and_stays_if_it_is_answered_for() {
    let now = start();
    let mut neighbours = filled(1, now);
    assert_eq!(neighbours.poll_timeout(), Some(now + LEARNED_LIFETIME));
    assert_eq!(neighbours.poll(now + LEARNED_LIFETIME - seconds(1)), None);
    let due = now + LEARNED_LIFETIME;
    assert_eq!(neighbours.poll(due), Some(Due::Ask(global(0))));
    neighbours.refresh(global(0), due);
    assert_eq!(neighbours.poll_timeout(), Some(due + LEARNED_LIFETIME));
}

#[test]
fn what_was_long_unseen_before_a_restart_is_asked_for_after_it() {
    let now = start() + 2 * LEARNED_LIFETIME;
    let mut neighbours = Neighbours::default();
    neighbours.restore(global(0), None, LEARNED_LIFETIME, now);
    neighbours.restore(global(1), None, seconds(5), now);
    assert_eq!(neighbours.poll(now), Some(Due::Ask(global(0))));
    assert_eq!(neighbours.poll(now), None);
}

#[test]
fn few_addresses_are_examined_at_once_and_those_without_an_answer_are_given_up() {
    let now = start();
    let mut neighbours = Neighbours::default();
    for at in 0..CANDIDATES_MAX {
        assert!(neighbours.examine(global(at), now));
    }
    assert!(!neighbours.examine(global(99), now));
    assert!(neighbours.examine(global(0), now), "it is being examined");
    let mut asked = 0;
    for second in 0..4 {
        while let Some(due) = neighbours.poll(now + seconds(second)) {
            assert!(matches!(due, Due::Ask(_)));
            asked += 1;
        }
    }
    assert_eq!(asked, CANDIDATES_MAX * 3);
    assert_eq!(neighbours.poll_timeout(), None);
    assert_eq!(neighbours.learned().count(), 0);
}
