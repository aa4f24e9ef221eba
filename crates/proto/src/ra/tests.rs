use super::*;
use crate::fixture::{plan, seconds, start};

#[test]
fn the_first_advertisements_follow_each_other_closely_then_the_interval_holds() {
    let now = start();
    let mut advertiser = Advertiser::new(plan().ra, 1);
    assert_eq!(advertiser.handle_start(now).len(), 1);
    let mut at = now;
    for number in 2..=20 {
        let (next, _) = advertiser.poll_timeout().unwrap();
        let gap = next - at;
        if number <= MAX_INITIAL_RTR_ADVERTISEMENTS {
            assert!(gap <= MAX_INITIAL_RTR_ADVERT_INTERVAL, "{number}: {gap:?}");
        } else {
            assert!(
                (seconds(198)..=seconds(600)).contains(&gap),
                "{number}: {gap:?}"
            );
        }
        assert!(advertiser.poll(next - Duration::from_millis(1)).is_empty());
        assert_eq!(advertiser.poll(next).len(), 1);
        at = next;
    }
}

#[test]
fn intervals_differ_between_links_and_repeat_with_the_seed() {
    let after = |seed| {
        let now = start();
        let mut advertiser = Advertiser::new(plan().ra, seed);
        advertiser.handle_resume(now);
        advertiser.poll_timeout().unwrap().0 - now
    };
    assert_eq!(after(5), after(5));
    let distinct: std::collections::BTreeSet<Duration> = (0..50).map(after).collect();
    assert!(distinct.len() > 40, "{}", distinct.len());
}

#[test]
fn an_interval_below_the_minimum_delay_is_stretched_to_it() {
    for interval in [0, 1, 3] {
        let mut ra = plan().ra.unwrap();
        ra.max_rtr_adv_interval_s = interval;
        let mut advertiser = Advertiser::new(Some(ra), 1);
        let now = start();
        advertiser.handle_resume(now);
        assert_eq!(
            advertiser.poll_timeout().unwrap().0 - now,
            MIN_DELAY_BETWEEN_RAS
        );
    }
}

#[test]
fn what_does_not_fit_the_smallest_mtu_takes_several_advertisements() {
    let mut ra = plan().ra.unwrap();
    let prefix = ra.prefixes[0];
    ra.prefixes = vec![prefix; 100];
    ra.rdnss = vec![ra.rdnss[0]; 30];
    let adverts = adverts(&ra);
    let count = |wanted: fn(&NdOption) -> bool| {
        let options = adverts.iter().flat_map(|advert| &advert.options);
        options.filter(|option| wanted(option)).count()
    };
    assert_eq!(count(|option| matches!(option, NdOption::Prefix(_))), 100);
    assert_eq!(count(|option| matches!(option, NdOption::Rdnss { .. })), 8);
    assert!(adverts.len() >= 3, "{}", adverts.len());
    for advert in &adverts {
        let bytes: usize = advert.options.iter().map(NdOption::emitted_bytes).sum();
        assert!(bytes + ADVERT_FIXED_BYTES <= ADVERT_BYTES_MAX);
        assert!(advert.managed && advert.other);
    }
}

#[test]
fn nothing_is_taken_back_that_was_never_said() {
    let mut advertiser = Advertiser::new(plan().ra, 1);
    assert!(advertiser.handle_cease().is_empty());
}
