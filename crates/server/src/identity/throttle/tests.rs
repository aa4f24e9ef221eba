use super::*;

const MINUTE: Duration = Duration::from_secs(60);

fn known(id: &str) -> Guessed {
    Guessed::Known(id.to_owned())
}

fn source(text: &str) -> Source {
    Source::of(text.parse().unwrap())
}

/// One of many /64s, of as many /48s.
fn sources(index: usize) -> Source {
    let bits = (0x2001_0db8_u128 << 96) | (index as u128) << 80;
    Source::of(Ipv6Addr::from_bits(bits).into())
}

impl Throttle {
    /// So many guesses, each in its turn; when the last was judged.
    fn guess(&mut self, whom: &Guessed, from: Source, times: u32, now: Instant) -> Instant {
        let mut now = now;
        for _ in 0..times {
            now += match self.take_turn(whom, from, now) {
                Ok(wait) => wait,
                Err(later) => later,
            };
            self.handle_failure(whom, from, now);
        }
        now
    }

    fn wait(&mut self, whom: &str, from: Source, now: Instant) -> Result<Duration, Duration> {
        self.take_turn(&known(whom), from, now)
    }
}

#[test]
fn each_failure_doubles_the_gap_up_to_the_bound() {
    let (mut throttle, mut now) = (Throttle::default(), Instant::now());
    let mut gaps = Vec::new();
    for _ in 0..20 {
        let judged = throttle.guess(&known("admin"), Source::Inside, 1, now);
        gaps.push(judged - now);
        now = judged;
    }
    assert_eq!(gaps[..3], [Duration::ZERO; 3]);
    assert_eq!(gaps[3..6], [GAP_FIRST, GAP_FIRST * 2, GAP_FIRST * 4]);
    assert_eq!(gaps[19], STRANGER.gap_max);
    assert!(gaps.is_sorted());
    // Whoever comes much too early is told when to come back, and pushes nothing out by it.
    for _ in 0..10 {
        let wait = throttle.wait("admin", Source::Inside, now + WAIT_MAX);
        assert_eq!(wait, Err(STRANGER.gap_max - WAIT_MAX));
    }
    let turn = throttle.wait("admin", Source::Inside, now + STRANGER.gap_max);
    assert_eq!(turn, Ok(Duration::ZERO));
    assert_eq!(
        throttle.wait("admin", Source::Inside, now + FORGET_AFTER),
        Ok(Duration::ZERO),
        "forgotten"
    );
}

#[test]
fn those_who_come_at_once_have_turns_one_after_another() {
    let (mut throttle, now) = (Throttle::default(), Instant::now());
    let now = throttle.guess(&known("admin"), Source::Inside, 7, now);
    let gap = GAP_FIRST * 16;
    let mut wait = || throttle.wait("admin", Source::Inside, now);
    assert_eq!(wait(), Ok(gap));
    assert_eq!(wait(), Ok(gap * 2));
    assert_eq!(wait(), Ok(gap * 3));
    assert_eq!(wait(), Err(gap * 4));
    assert_eq!(wait(), Err(gap * 4));
    assert_eq!(
        throttle.wait("demo", Source::Inside, now),
        Ok(Duration::ZERO)
    );
}

#[test]
fn whoever_was_right_from_here_waits_for_no_more_than_guesses_at_the_same_account_from_here() {
    let (mut throttle, now) = (Throttle::default(), Instant::now());
    let shared = source("192.0.2.1");
    throttle.handle_success("admin", shared, now);
    throttle.handle_success("demo", shared, now);
    let now = throttle.guess(&known("admin"), shared, 50, now);
    assert_eq!(throttle.wait("admin", shared, now), Ok(GAP_SHARED_MAX));
    // By many names, and from everywhere at demo.
    for index in 0..1000 {
        throttle.handle_failure(&known(&index.to_string()), shared, now);
        throttle.handle_failure(&known("demo"), sources(index), now);
    }
    assert_eq!(throttle.wait("demo", shared, now), Ok(Duration::ZERO));
    // Its own password, once right, ends its own waiting.
    throttle.handle_success("admin", shared, now);
    assert_eq!(throttle.wait("admin", shared, now), Ok(Duration::ZERO));
    let later = now + Proven::FOR;
    assert!(throttle.proven.holds("admin", shared, later - MINUTE));
    assert!(!throttle.proven.holds("admin", shared, later));
}

#[test]
fn one_source_that_guesses_at_many_accounts_waits_for_all_and_no_other_source_with_it() {
    let (mut throttle, now) = (Throttle::default(), Instant::now());
    let sprayer = source("2001:db8::1");
    for index in 0..SOURCE.free {
        // Often at one is that pair's alone.
        let user = known(&index.to_string());
        throttle.handle_failure(&user, sprayer, now);
        throttle.handle_failure(&user, sprayer, now);
    }
    assert_eq!(throttle.wait("x", sprayer, now), Ok(Duration::ZERO));
    throttle.handle_failure(&known("another"), sprayer, now);
    // Another address of the same /64.
    let same = source("2001:db8::dead:beef");
    assert_eq!(throttle.wait("x", same, now), Ok(GAP_FIRST));
    throttle.handle_success("x", same, now);
    assert_eq!(throttle.wait("y", same, now), Ok(GAP_FIRST * 2));
    for other in ["2001:db8:0:1::1", "192.0.2.1", "::ffff:192.0.2.2"] {
        assert_eq!(throttle.wait("z", source(other), now), Ok(Duration::ZERO));
    }
}

#[test]
fn who_has_many_sources_of_one_site_waits_too() {
    let (mut throttle, now) = (Throttle::default(), Instant::now());
    let of = |index: u32| source(&format!("2001:db8:0:{index:x}::1"));
    for index in 0..SITE.free + 1 {
        assert_eq!(throttle.wait("admin", of(index), now), Ok(Duration::ZERO));
        throttle.handle_failure(&known("admin"), of(index), now);
    }
    assert_eq!(throttle.wait("admin", of(1000), now), Ok(GAP_FIRST));
    let elsewhere = source("2001:db8:1::1");
    assert_eq!(throttle.wait("admin", elsewhere, now), Ok(Duration::ZERO));
}

#[test]
fn what_others_did_to_an_account_holds_up_only_those_who_failed_at_it_themselves() {
    let (mut throttle, now) = (Throttle::default(), Instant::now());
    for index in 0..1000 {
        throttle.handle_failure(&known("admin"), sources(index), now);
    }
    let (owner, guesser) = (source("192.0.2.1"), source("192.0.2.2"));
    let now = throttle.guess(&known("admin"), owner, OWN_FREE - 1, now + MINUTE);
    let now = throttle.guess(&known("admin"), guesser, OWN_FREE, now);
    assert_eq!(
        throttle.wait("admin", owner, now + GAP_SHARED_MAX),
        Ok(Duration::ZERO)
    );
    let now = now + GAP_SHARED_MAX;
    assert_eq!(throttle.wait("admin", guesser, now), Ok(Duration::ZERO));
    let another = source("192.0.2.3");
    let later = throttle.guess(&known("admin"), another, OWN_FREE, now);
    let wait = throttle.wait("admin", another, later).unwrap();
    assert!(wait > GAP_FIRST * 2, "its own gap alone: {wait:?}");
}

#[test]
fn tables_are_bounded_and_made_up_names_push_out_no_account() {
    let (mut throttle, now) = (Throttle::default(), Instant::now());
    throttle.handle_failure(&known("admin"), Source::Inside, now);
    for index in 0..ROWS_MAX + 1 {
        let later = now + Duration::from_micros(index.try_into().unwrap());
        let guessed = Guessed::Nobody(format!("name{index}"));
        throttle.handle_failure(&guessed, sources(index), later);
    }
    assert_eq!(throttle.nobody.pairs.rows.len(), ROWS_MAX);
    assert_eq!(throttle.nobody.accounts.rows.len(), ROWS_MAX);
    assert_eq!(throttle.sources.rows.len(), ROWS_MAX);
    assert_eq!(throttle.sites.rows.len(), ROWS_MAX);
    let forgotten = throttle.digest.hash_one("name0");
    let kept = throttle.digest.hash_one("name1");
    assert!(!throttle.nobody.accounts.rows.contains_key(&forgotten));
    assert!(throttle.nobody.accounts.rows.contains_key(&kept));
    assert_eq!(throttle.known.pairs.rows.len(), 1);
}

#[test]
fn an_account_makes_sure_of_a_few_places_and_pushes_out_no_other() {
    let (mut throttle, now) = (Throttle::default(), Instant::now());
    throttle.handle_success("demo", Source::Inside, now);
    for index in 0..100 {
        let later = now + Duration::from_secs(index.try_into().unwrap());
        throttle.handle_success("rover", sources(index), later);
    }
    let later = now + MINUTE * 2;
    assert!(throttle.proven.holds("demo", Source::Inside, later));
    let first = 100 - Proven::SOURCES_EACH;
    assert!(!throttle.proven.holds("rover", sources(first - 1), later));
    assert!(throttle.proven.holds("rover", sources(first), later));
    for index in 0..Proven::ACCOUNTS_MAX {
        throttle.handle_success(&index.to_string(), Source::Inside, later);
    }
    assert_eq!(throttle.proven.accounts.len(), Proven::ACCOUNTS_MAX);
    assert!(!throttle.proven.holds("demo", Source::Inside, later));
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
