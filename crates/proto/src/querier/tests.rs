use super::*;
use crate::fixture::start;

/// The times of the next questions, from `now`.
fn times(querier: &mut Querier, now: Instant, count: usize) -> Vec<Duration> {
    let mut times = Vec::new();
    while times.len() < count {
        let at = querier.poll_timeout().expect("there is always a next one");
        if let Some(before) = at.checked_sub(Duration::from_millis(1)) {
            assert!(!querier.poll(before), "before its time");
        }
        assert!(querier.poll(at));
        times.push(at - now);
    }
    times
}

#[test]
fn two_questions_follow_each_other_closely_and_the_rest_slowly() {
    let now = start();
    let mut querier = Querier::new(1);
    assert_eq!(querier.poll_timeout(), None);
    assert!(!querier.poll(now), "nobody was heard");
    querier.handle_first_frame(now);
    let first = times(&mut querier, now, 5);
    assert_eq!(
        first[..2],
        [STARTUP_QUERY_INTERVAL, 2 * STARTUP_QUERY_INTERVAL]
    );
    let gap = first[2] - first[1];
    assert!(
        (QUERY_INTERVAL / 2..=QUERY_INTERVAL).contains(&gap),
        "{gap:?}"
    );
    assert_eq!(first[3] - first[2], QUERY_INTERVAL);
    assert_eq!(first[4] - first[3], QUERY_INTERVAL);
}

#[test]
fn a_guest_of_which_nothing_is_known_is_asked_at_once() {
    let now = start();
    let mut querier = Querier::new(1);
    querier.handle_first_frame(now - STARTUP_QUERY_INTERVAL / 2);
    querier.handle_unknown(now);
    querier.handle_unknown(now);
    assert_eq!(
        times(&mut querier, now, 2),
        [Duration::ZERO, STARTUP_QUERY_INTERVAL]
    );
    querier.handle_silence();
    assert_eq!(querier.poll_timeout(), None);
}

/// A listener that misses one question of any two is never forgotten.
#[test]
fn two_questions_fit_every_listening_interval() {
    for seed in 0..100 {
        let now = start();
        let mut querier = Querier::new(seed);
        querier.handle_unknown(now);
        let asked = times(&mut querier, now, 8);
        for pair in asked.windows(3) {
            assert!(
                pair[2] - pair[0] + QUERY_RESPONSE_INTERVAL <= LISTENER_INTERVAL,
                "{pair:?}"
            );
        }
    }
}
