mod dhcpv6;
mod ipv4;
mod learned;

use std::time::Duration;

use hextet_core::link::{RaPlan, Router};
use hextet_wire::dhcpv6::{Asked, ClientMessage, Duid, Ia, IaKind};
use hextet_wire::ndp;
use proptest::prelude::*;

use super::*;
use crate::directory::HolderKind;
use crate::fixture::{
    Book, GUEST, NOBODY, OTHER, dhcpv6, dhcpv6_of, drain, ip, ndp_of, neighbor_solicit, plan, port,
    probe, query_of, ra_of, router_solicit, seconds, start,
};
use crate::learned::LEARNED_LINK_LOCAL_MAX;
use crate::querier::STARTUP_QUERY_INTERVAL;
use crate::ra::MIN_DELAY_BETWEEN_RAS;

#[test]
fn nothing_is_sent_before_the_guest_is_heard() {
    let now = start();
    let mut link = Link::new(plan(), 1);
    link.handle_up(now);
    assert_eq!(link.poll_timeout(), None);
    assert_eq!(
        drain(&mut link, now + seconds(10_000)),
        Vec::<Vec<u8>>::new()
    );
}

#[test]
fn the_first_frame_gets_an_advertisement_to_all_nodes_at_the_ports_mac() {
    let now = start();
    let mut link = Link::new(plan(), 1);
    link.handle_first_frame(now);
    let frames = drain(&mut link, now);
    assert_eq!(frames.len(), 1);
    let (envelope, advert) = ra_of(&frames[0]);
    let service = Mac([0x02, 0x68, 0x78, 0, 0, 42]);
    assert_eq!(envelope.mac_destination, GUEST);
    assert_eq!(envelope.mac_source, service);
    assert_eq!(envelope.destination, ALL_NODES);
    assert_eq!(envelope.source, service.link_local());
    assert_eq!(advert.options[0], NdOption::SourceLinkLayer(service));
    assert_eq!(advert.cur_hop_limit, 64);
    assert_eq!(advert.retrans_timer_ms, 100);
    let prefixes: Vec<(String, bool, bool)> = prefixes(&advert)
        .map(|prefix| (prefix.prefix.to_string(), prefix.on_link, prefix.autonomous))
        .collect();
    assert_eq!(
        prefixes,
        [
            ("2001:db8:1::/64".to_owned(), true, true),
            ("2001:db8:3::/96".to_owned(), true, false),
        ]
    );
}

#[test]
fn a_solicitation_is_answered_to_the_one_who_asked() {
    let now = start();
    let mut link = heard(now);
    link.handle_frame(&router_solicit(GUEST.link_local()), &Book::default(), now);
    let (envelope, _) = ra_of(&drain(&mut link, now)[0]);
    assert_eq!(envelope.mac_destination, GUEST);
    assert_eq!(envelope.destination, GUEST.link_local());
    link.handle_frame(&router_solicit(NOBODY), &Book::default(), now);
    let (envelope, _) = ra_of(&drain(&mut link, now)[0]);
    assert_eq!(envelope.mac_destination, GUEST);
    assert_eq!(envelope.destination, ALL_NODES);
}

#[test]
fn a_solicitation_that_is_the_first_frame_is_answered_once() {
    let now = start();
    let mut link = Link::new(plan(), 1);
    link.handle_frame(&router_solicit(GUEST.link_local()), &Book::default(), now);
    assert_eq!(drain(&mut link, now).len(), 1);
    assert!(link.poll_timeout().is_some());
}

#[test]
fn a_first_frame_of_any_kind_brings_the_advertisement() {
    let now = start();
    let mut link = Link::new(plan(), 1);
    link.handle_frame(&probe("fe80::f816:3eff:fe11:2233"), &Book::default(), now);
    let frames = drain(&mut link, now);
    assert_eq!(frames.len(), 1);
    assert_eq!(ra_of(&frames[0]).0.destination, ALL_NODES);
}

#[test]
fn a_change_goes_out_at_once_and_no_change_sends_nothing() {
    let now = start();
    let mut link = heard(now);
    link.handle_plan(plan(), now + seconds(1));
    assert!(drain(&mut link, now + seconds(1)).is_empty());
    link.handle_plan(changed(), now + seconds(1));
    let frames = drain(&mut link, now + seconds(1));
    assert_eq!(frames.len(), 1);
    let (envelope, advert) = ra_of(&frames[0]);
    assert_eq!(envelope.mac_destination, GUEST);
    let withdrawn = prefixes(&advert).last().unwrap();
    assert_eq!(
        (withdrawn.valid_lifetime_s, withdrawn.preferred_lifetime_s),
        (0, 0)
    );
}

#[test]
fn a_change_before_the_guest_is_heard_sends_nothing() {
    let now = start();
    let mut link = Link::new(plan(), 1);
    link.handle_plan(changed(), now);
    assert!(drain(&mut link, now).is_empty());
    assert_eq!(link.poll_timeout(), None);
}

#[test]
fn the_first_subnet_reaches_a_guest_that_was_heard_before_there_was_one() {
    let now = start();
    let mut link = Link::new(bare(), 1);
    link.handle_first_frame(now);
    assert!(drain(&mut link, now).is_empty());
    link.handle_plan(plan(), now + seconds(5));
    assert_eq!(drain(&mut link, now + seconds(5)).len(), 1);
}

#[test]
fn the_last_subnet_that_goes_is_taken_back() {
    let now = start();
    let mut link = heard(now);
    link.handle_plan(bare(), now + seconds(1));
    check_final(&drain(&mut link, now + seconds(1)));
    assert_eq!(link.poll_timeout().map(|(_, why)| why), Some("groups"));
    link.handle_frame(&router_solicit(NOBODY), &Book::default(), now);
    assert!(drain(&mut link, now).is_empty());
    assert_eq!(link.counters().dropped(DropReason::RaOff), 1);
}

#[test]
fn ceasing_takes_everything_back_and_ends_advertising() {
    let now = start();
    let mut link = heard(now);
    link.handle_cease(now + seconds(1));
    check_final(&drain(&mut link, now + seconds(1)));
    assert_eq!(link.poll_timeout(), None);
    link.handle_cease(now + seconds(2));
    link.handle_first_frame(now + seconds(2));
    link.handle_frame(&router_solicit(NOBODY), &Book::default(), now + seconds(2));
    assert!(drain(&mut link, now + seconds(9000)).is_empty());
    link.handle_up(now + seconds(9001));
    link.handle_first_frame(now + seconds(9001));
    assert_eq!(drain(&mut link, now + seconds(9001)).len(), 1);
}

#[test]
fn a_restart_sends_nothing_at_once_and_goes_on() {
    let now = start();
    let mut link = Link::new(plan(), 1);
    link.handle_resume(now);
    assert!(drain(&mut link, now).is_empty());
    let next = loop {
        match link.poll_timeout().unwrap() {
            (next, "periodic router advertisement") => break next,
            (next, why) => {
                assert_eq!(why, "groups");
                assert!(drain(&mut link, next).is_empty());
            }
        }
    };
    assert_eq!(drain(&mut link, next).len(), 1);
}

/// Every frame that the link sends by itself until then, with its time.
fn queries(link: &mut Link, now: Instant, until: Instant) -> Vec<Instant> {
    let mut asked = Vec::new();
    let mut at = now;
    while at <= until {
        while let Some(frame) = link.poll_transmit(at) {
            let Some((envelope, query)) = query_of(&frame) else {
                continue;
            };
            assert_eq!(envelope.mac_source, plan().service_mac());
            assert_eq!(envelope.source, plan().service_link_local());
            assert_eq!(envelope.destination, ALL_NODES);
            assert!(query.group.is_unspecified() && query.v2.is_some());
            asked.push(at);
        }
        at = link.poll_timeout().map_or(until + seconds(1), |(at, _)| at);
    }
    asked
}

#[test]
fn a_guest_is_asked_for_its_groups_as_long_as_it_is_there() {
    let now = start();
    let mut link = Link::new(plan(), 1);
    assert_eq!(
        queries(&mut link, now, now + seconds(600)),
        [],
        "nobody was heard"
    );
    link.handle_first_frame(now);
    let asked = queries(&mut link, now, now + seconds(600));
    assert!((5..=7).contains(&asked.len()), "{asked:?}");
    assert_eq!(asked[0], now + STARTUP_QUERY_INTERVAL);
    let down = hextet_core::link::LinkPlan {
        admin_state_up: false,
        ..plan()
    };
    let later = now + seconds(600);
    link.handle_plan(down, later);
    link.handle_unknown_groups(later);
    assert_eq!(queries(&mut link, later, later + seconds(600)), []);
    link.handle_plan(plan(), later);
    link.handle_unknown_groups(later);
    assert_eq!(queries(&mut link, later, later), [later], "asked at once");
    link.handle_up(later);
    link.handle_unknown_groups(later);
    assert_eq!(
        queries(&mut link, later, later + seconds(600)),
        [],
        "another guest"
    );
}

#[test]
fn a_guest_that_an_agent_finds_is_asked_for_its_groups_at_once() {
    let now = start();
    let mut link = Link::new(plan(), 1);
    link.handle_resume(now);
    assert_eq!(queries(&mut link, now, now), [now]);
}

#[test]
fn an_administratively_down_port_is_neither_sent_to_nor_answered() {
    let now = start();
    let mut link = heard(now);
    let mut down = plan();
    down.admin_state_up = false;
    link.handle_plan(down.clone(), now);
    let later = now + seconds(10_000);
    link.handle_first_frame(later);
    for frame in [router_solicit(NOBODY), probe("fe80::1"), dhcpv6(&solicit())] {
        link.handle_frame(&frame, &Book::default(), later);
    }
    let mut changed = changed();
    changed.admin_state_up = false;
    link.handle_plan(changed, later);
    link.handle_cease(later);
    assert!(drain(&mut link, later).is_empty());
    assert_eq!(link.poll_timeout(), None);
    assert_eq!(link.poll_event(), None);
    assert_eq!(link.counters().dropped(DropReason::AdminDown), 4);
    link.handle_plan(plan(), later);
    assert_eq!(
        drain(&mut link, later).len(),
        1,
        "let in again: the guest hears at once"
    );
}

#[test]
fn what_waits_for_a_guest_that_is_shut_out_or_gone_is_not_sent() {
    let now = start();
    let mut down = plan();
    down.admin_state_up = false;
    let mut link = heard(now);
    link.handle_frame(&router_solicit(NOBODY), &Book::default(), now);
    link.handle_plan(down, now);
    assert!(drain(&mut link, now).is_empty());
    let mut link = heard(now);
    link.handle_frame(&router_solicit(NOBODY), &Book::default(), now);
    link.handle_up(now);
    assert!(drain(&mut link, now).is_empty());
}

#[test]
fn dhcpv6_is_answered_to_where_the_frame_came_from() {
    let now = start();
    let mut link = heard(now);
    link.handle_frame(&dhcpv6(&solicit()), &Book::default(), now);
    let (envelope, message) = dhcpv6_of(&drain(&mut link, now)[0]);
    assert_eq!(envelope.mac_destination, GUEST);
    assert_eq!(envelope.mac_source, plan().service_mac());
    assert_eq!(envelope.destination, GUEST.link_local());
    assert_eq!(envelope.source, plan().service_link_local());
    assert_eq!(message.ias[0].addresses[0].address, ip("2001:db8:3::17"));
}

#[test]
fn a_partial_udp_checksum_is_no_obstacle() {
    let now = start();
    let mut link = heard(now);
    let mut frame = dhcpv6(&solicit());
    frame[60..62].copy_from_slice(&[0xde, 0xad]);
    link.handle_frame(&frame, &Book::default(), now);
    assert_eq!(drain(&mut link, now).len(), 1);
}

#[test]
fn a_probe_for_a_held_address_fails_and_is_a_conflict() {
    for (address, kind) in [
        ("2001:db8:1::7", HolderKind::Assigned),
        ("fe80::7", HolderKind::Eui64LinkLocal),
    ] {
        let now = start();
        let mut link = heard(now);
        link.handle_frame(
            &probe(address),
            &Book::default().with(address, 2, kind),
            now,
        );
        let frames = drain(&mut link, now);
        assert_eq!(frames.len(), 1);
        let (envelope, message) = ndp_of(&frames[0]);
        assert_eq!(envelope.destination, ALL_NODES);
        assert_eq!(message.target_link_layer(), Some(OTHER));
        let NdpMessage::NeighborAdvert(advert) = message else {
            panic!("{message:?}");
        };
        assert_eq!((advert.target, advert.r#override), (ip(address), true));
        assert!(!advert.solicited);
        let (address, holder) = (ip(address), Some(port(2)));
        assert_eq!(events(&mut link), [LinkEvent::Conflict { address, holder }]);
    }
}

#[test]
fn a_probe_for_the_services_address_fails() {
    let now = start();
    let mut link = heard(now);
    let service = plan().service_link_local();
    link.handle_frame(&neighbor_solicit(NOBODY, service), &Book::default(), now);
    assert_eq!(drain(&mut link, now).len(), 1);
    let expected = LinkEvent::Conflict {
        address: service,
        holder: None,
    };
    assert_eq!(events(&mut link), [expected]);
}

#[test]
fn link_locals_are_learned_and_a_clones_names_the_first_holder() {
    let now = start();
    let mut link = heard(now);
    link.handle_frame(&probe("fe80::1"), &Book::default(), now);
    link.handle_frame(&router_solicit(ip("fe80::2")), &Book::default(), now);
    let book = Book::default().with("fe80::3", 2, HolderKind::Learned);
    link.handle_frame(&probe("fe80::3"), &book, now);
    link.handle_frame(&probe("fe80::1"), &Book::default(), now);
    link.handle_frame(&probe("fe80::f816:3eff:fe11:2233"), &Book::default(), now);
    assert_eq!(
        events(&mut link),
        [
            learned("fe80::1", None),
            learned("fe80::2", None),
            learned("fe80::3", Some(port(2))),
        ]
    );
    link.handle_up(now);
    let forgotten = ["fe80::1", "fe80::2", "fe80::3"].map(forgotten);
    assert_eq!(events(&mut link), forgotten);
}

#[test]
fn a_fifth_learned_address_replaces_one() {
    let now = start();
    let mut link = heard(now);
    for (at, address) in ["fe80::1", "fe80::2", "fe80::3", "fe80::4", "fe80::5"]
        .iter()
        .enumerate()
    {
        link.handle_frame(&probe(address), &Book::default(), now + seconds(at as u64));
    }
    assert_eq!(
        events(&mut link)[4..],
        [forgotten("fe80::1"), learned("fe80::5", None)]
    );
    assert_eq!(link.learned().count(), LEARNED_LINK_LOCAL_MAX);
}

#[test]
fn a_learned_address_that_another_comes_to_hold_is_forgotten() {
    let now = start();
    let mut link = heard(now);
    link.handle_frame(&probe("fe80::7"), &Book::default(), now);
    events(&mut link);
    let book = Book::default().with("fe80::7", 2, HolderKind::Eui64LinkLocal);
    link.handle_frame(&neighbor_solicit(ip("fe80::7"), ip("fe80::9")), &book, now);
    let (address, holder) = (ip("fe80::7"), Some(port(2)));
    assert_eq!(
        events(&mut link),
        [
            forgotten("fe80::7"),
            LinkEvent::Conflict { address, holder },
        ]
    );
    assert!(drain(&mut link, now).is_empty());
    assert_eq!(link.counters().dropped(DropReason::NdpSource), 1);
}

#[test]
fn solicitations_are_answered_for_the_service_and_for_neighbours_only() {
    let now = start();
    let book = Book::default().with("2001:db8:1::7", 2, HolderKind::Assigned);
    let service = plan().service_link_local();
    for (target, expected) in [
        (service, Some(plan().service_mac())),
        (ip("2001:db8:1::7"), Some(OTHER)),
        (ip("2001:db8:1::1"), None),
        (ip("2001:db8:3::17"), None),
    ] {
        let mut link = heard(now);
        link.handle_frame(&neighbor_solicit(GUEST.link_local(), target), &book, now);
        let frames = drain(&mut link, now);
        let answers: Vec<Option<Mac>> = frames
            .iter()
            .map(|frame| ndp_of(frame).1.target_link_layer())
            .collect();
        assert_eq!(
            answers,
            expected.map(Some).into_iter().collect::<Vec<_>>(),
            "{target}"
        );
        for frame in &frames {
            let (envelope, message) = ndp_of(frame);
            assert_eq!(envelope.destination, GUEST.link_local());
            assert!(matches!(message, NdpMessage::NeighborAdvert(advert) if advert.solicited));
        }
        let dropped: u64 = link.counters().dropped.values().sum();
        assert_eq!(dropped, u64::from(expected.is_none()), "{target}");
    }
}

#[test]
fn a_source_that_is_not_the_ports_gets_no_answer() {
    let now = start();
    let mut link = heard(now);
    let book = Book::default().with("2001:db8:1::7", 2, HolderKind::Assigned);
    let target = plan().service_link_local();
    for source in ["2001:db8:1::7", "2001:db8:4::99"] {
        link.handle_frame(&neighbor_solicit(ip(source), target), &book, now);
    }
    assert!(drain(&mut link, now).is_empty());
    assert_eq!(link.counters().dropped(DropReason::NdpSource), 2);
}

#[test]
fn queues_are_bounded_and_what_does_not_fit_is_counted() {
    let now = start();
    let mut link = heard(now);
    for number in 0..1000_u16 {
        let address = format!("fe80::{number:x}");
        link.handle_frame(&probe(&address), &Book::default(), now);
        link.handle_frame(&router_solicit(NOBODY), &Book::default(), now);
        let held = Book::default().with("2001:db8:1::7", 2, HolderKind::Assigned);
        link.handle_frame(&probe("2001:db8:1::7"), &held, now);
    }
    assert!(link.counters().dropped(DropReason::EventsFull) > 900);
    assert!(link.counters().dropped(DropReason::TransmitsFull) > 900);
    let learned: Vec<Ipv6Addr> = link.learned().map(|(address, _)| address).collect();
    link.handle_up(now);
    let events = events(&mut link);
    assert!(events.len() <= EVENTS_MAX);
    // Whoever follows the events knows what is learned: nothing, after the link came up.
    let mut followed = std::collections::BTreeSet::new();
    for event in &events {
        match event {
            LinkEvent::Learned { address, .. } => assert!(followed.insert(*address)),
            LinkEvent::Forgotten { address } => assert!(followed.remove(address)),
            _ => {}
        }
    }
    assert!(followed.is_empty());
    assert_eq!(learned.len(), LEARNED_LINK_LOCAL_MAX);
}

/// What may happen to a link.
#[derive(Clone, Debug)]
enum Step {
    Wait(u64),
    /// Up to this long before the next timeout, where things get close.
    WaitNear(u64),
    FirstFrame,
    Solicit(bool),
    Probe(u16),
    /// A check of an address of a prefix that guests choose from, or its use without one.
    Own(u16, bool),
    Dhcpv6,
    Plan(bool, u32, bool),
    Up,
    Cease,
    Resume,
    Garbage(Vec<u8>),
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0_u64..700_000).prop_map(Step::Wait),
        2 => (0_u64..4_000).prop_map(Step::Wait),
        3 => (1_u64..4_000).prop_map(Step::WaitNear),
        1 => Just(Step::FirstFrame),
        2 => any::<bool>().prop_map(Step::Solicit),
        1 => (0_u16..9).prop_map(Step::Probe),
        2 => (2_u16..30, any::<bool>()).prop_map(|(number, checked)| Step::Own(number, checked)),
        1 => Just(Step::Dhcpv6),
        2 => (prop::bool::weighted(0.8), 0_u32..3, prop::bool::weighted(0.8))
            .prop_map(|(up, valid, ra)| Step::Plan(up, valid, ra)),
        1 => Just(Step::Up),
        1 => Just(Step::Cease),
        1 => Just(Step::Resume),
        1 => proptest::collection::vec(any::<u8>(), 0..100).prop_map(Step::Garbage),
    ]
}

/// When the step is over.
fn after(link: &Link, step: &Step, now: Instant) -> Instant {
    match (step, link.poll_timeout()) {
        (Step::Wait(millis), _) => now + Duration::from_millis(*millis),
        (Step::WaitNear(millis), Some((next, _))) => now.max(next - Duration::from_millis(*millis)),
        _ => now,
    }
}

fn apply(link: &mut Link, step: &Step, now: Instant) {
    let book = Book::default();
    match step {
        Step::Wait(_) | Step::WaitNear(_) => {}
        Step::FirstFrame => link.handle_first_frame(now),
        Step::Solicit(nobody) => {
            let source = if *nobody { NOBODY } else { GUEST.link_local() };
            link.handle_frame(&router_solicit(source), &book, now);
        }
        Step::Probe(number) => {
            link.handle_frame(&probe(&format!("fe80::{number}")), &book, now);
        }
        Step::Own(number, checked) => {
            let address = format!("2001:db8:1::{number}");
            let frame = match checked {
                true => probe(&address),
                false => neighbor_solicit(ip(&address), GUEST.link_local()),
            };
            link.handle_frame(&frame, &book, now);
        }
        Step::Dhcpv6 => link.handle_frame(&dhcpv6(&solicit()), &book, now),
        Step::Plan(up, valid, ra) => {
            let mut plan = plan();
            plan.admin_state_up = *up;
            let content = plan.ra.take();
            plan.ra = content
                .filter(|_| *ra)
                .map(|content| with_valid(content, *valid));
            link.handle_plan(plan, now);
        }
        Step::Up => link.handle_up(now),
        Step::Cease => link.handle_cease(now),
        Step::Resume => link.handle_resume(now),
        Step::Garbage(bytes) => link.handle_frame(bytes, &book, now),
    }
}

proptest! {
    #[test]
    fn multicast_advertisements_keep_their_distance_from_all_before(
        seed in any::<u64>(),
        steps in proptest::collection::vec(any_step(), 0..40),
    ) {
        let mut link = Link::new(plan(), seed);
        let mut now = start();
        let mut last_to_all: Option<Instant> = None;
        for step in &steps {
            let until = after(&link, step, now);
            apply(&mut link, step, now);
            let mut frames = drain(&mut link, now);
            loop {
                for frame in std::mem::take(&mut frames) {
                    // Everything that is sent is valid.
                    let packet = frame::parse(&frame).unwrap();
                    if packet.next_header != NEXT_HEADER_ICMPV6 {
                        dhcpv6_of(&frame);
                        continue;
                    }
                    let (envelope, message) = ndp_of(&frame);
                    if !matches!(message, NdpMessage::RouterAdvert(_)) || envelope.destination != ALL_NODES {
                        continue;
                    }
                    if envelope.mac_destination == multicast_mac(ALL_NODES) {
                        let gap = last_to_all.map(|last| now - last);
                        prop_assert!(gap.is_none_or(|gap| gap >= MIN_DELAY_BETWEEN_RAS), "{gap:?}");
                    }
                    last_to_all = Some(now);
                }
                match link.poll_timeout() {
                    Some((next, why)) if next <= until => {
                        // Nothing comes before the time that was named.
                        prop_assert!(next > now);
                        prop_assert_eq!(link.poll_transmit(next - Duration::from_millis(1)), None);
                        now = next;
                        frames = drain(&mut link, now);
                        // A guest that does not answer for an address is asked no more; questions for groups are left out.
                        prop_assert!(!frames.is_empty() || ["address", "groups"].contains(&why));
                    }
                    _ => break,
                }
            }
            now = until;
        }
    }

    #[test]
    fn nothing_is_sent_after_never(
        seed in any::<u64>(),
        steps in proptest::collection::vec(any_step(), 0..20),
        later in 0_u64..100_000_000,
    ) {
        let mut link = Link::new(plan(), seed);
        let mut now = start();
        for step in &steps {
            now = after(&link, step, now);
            apply(&mut link, step, now);
            drain(&mut link, now);
            if link.poll_timeout().is_none() {
                let mut link = link.clone();
                prop_assert_eq!(link.poll_transmit(now + Duration::from_millis(later)), None);
            }
        }
    }

    #[test]
    fn only_the_plans_addresses_are_ever_given(
        addresses in proptest::collection::btree_set(prop_oneof![0..8_u64, any::<u64>()], 0..4),
        duid in proptest::collection::vec(any::<u8>(), 3..=130),
        iaids in proptest::collection::vec(any::<u32>(), 0..4),
        hint in prop_oneof![0..8_u64, any::<u64>()],
        kind in 0..5,
    ) {
        let full = |low: u64| Ipv6Addr::from_bits((0x2001_0db8_u128 << 96) | u128::from(low));
        let mut plan = plan();
        let dhcpv6_plan = plan.dhcpv6.as_mut().unwrap();
        dhcpv6_plan.addresses = addresses.iter().copied().map(full).collect();
        let allowed = dhcpv6_plan.addresses.clone();
        let server = Duid::from_uuid(dhcpv6_plan.server_duid.into_bytes());
        let now = start();
        let mut link = Link::new(plan, 1);
        let hint = hextet_wire::dhcpv6::IaAddress {
            address: full(hint),
            preferred_lifetime_s: 1,
            valid_lifetime_s: 1,
        };
        let ias = iaids.iter().map(|iaid| Ia {
            kind: IaKind::Na,
            iaid: *iaid,
            addresses: vec![hint],
        });
        let asked = Asked {
            transaction: [1, 2, 3],
            client: Duid::new(&duid).unwrap(),
            ias: ias.collect(),
            requested: vec![],
            reconfigure_accept: false,
        };
        let message = match kind {
            0 => ClientMessage::Solicit { asked, rapid_commit: false },
            1 => ClientMessage::Solicit { asked, rapid_commit: true },
            2 => ClientMessage::Request { asked, server },
            3 => ClientMessage::Renew { asked, server },
            _ => ClientMessage::Rebind { asked },
        };
        link.handle_frame(&dhcpv6(&message), &Book::default(), now);
        let mut answers = 0;
        for frame in drain(&mut link, now) {
            if frame::parse(&frame).unwrap().udp().is_none() {
                continue;
            }
            answers += 1;
            let (_, message) = dhcpv6_of(&frame);
            let mut alive: Vec<Ipv6Addr> = message
                .ias
                .iter()
                .flat_map(|ia| &ia.addresses)
                .filter(|given| given.valid_lifetime_s > 0)
                .map(|given| given.address)
                .collect();
            alive.sort();
            if kind > 2 {
                // What several associations hold stays with all of them.
                alive.dedup();
            }
            let expected = if iaids.is_empty() { Vec::new() } else { allowed.clone() };
            prop_assert_eq!(alive, expected);
        }
        prop_assert_eq!(answers, 1);
    }

    #[test]
    fn no_frame_makes_a_link_panic(
        frame in proptest::collection::vec(any::<u8>(), 0..200),
        at in 0_usize..100,
        byte in any::<u8>(),
    ) {
        let now = start();
        let mut link = heard(now);
        link.handle_frame(&frame, &Book::default(), now);
        for mut frame in [router_solicit(NOBODY), probe("fe80::1"), dhcpv6(&solicit())] {
            if let Some(place) = frame.get_mut(at) {
                *place = byte;
            }
            link.handle_frame(&frame, &Book::default(), now);
        }
    }
}

/// RFC 4861 §6.3.4: guests know default routers by where advertisements come from.
#[test]
fn advertisements_come_from_the_router_that_they_name_until_it_is_none() {
    let now = start();
    let router = Router {
        link_local: ip("fe80::1"),
        mac: Mac([2, 0, 0, 0, 0, 1]),
    };
    let told = |frames: Vec<Vec<u8>>| {
        let told = frames.into_iter().map(|frame| {
            let packet = hextet_wire::frame::parse(&frame).unwrap();
            let NdpMessage::RouterAdvert(advert) = ndp::parse(&packet).unwrap() else {
                panic!("an advertisement");
            };
            let named = advert.options.iter().find_map(|option| match option {
                NdOption::SourceLinkLayer(mac) => Some(*mac),
                _ => None,
            });
            assert_eq!(named, Some(packet.envelope.mac_source));
            (
                packet.envelope.source,
                advert.router_lifetime_s,
                advert.options.len() > 1,
            )
        });
        told.collect::<Vec<_>>()
    };
    let service = plan().service_link_local();
    let mut link = heard(now);
    let named = plan().by_router(router);
    // Else guests would forget the router between two advertisements.
    assert!(named.ra.as_ref().unwrap().router_lifetime_s >= 3 * 600);
    link.handle_plan(named, now);
    assert_eq!(
        told(drain(&mut link, now)),
        [(router.link_local, 1800, true)]
    );
    link.handle_plan(plan(), now);
    assert_eq!(
        told(drain(&mut link, now)),
        [(router.link_local, 0, false), (service, 0, true)]
    );
}

fn heard(now: Instant) -> Link {
    let mut link = Link::new(plan(), 1);
    link.handle_first_frame(now);
    assert_eq!(drain(&mut link, now).len(), 1);
    link
}

fn bare() -> LinkPlan {
    LinkPlan {
        ra: None,
        dhcpv6: None,
        dhcpv4: None,
        ..plan()
    }
}

/// The plan with its second prefix withdrawn.
fn changed() -> LinkPlan {
    let mut plan = plan();
    plan.ra = plan.ra.map(|ra| with_valid(ra, 0));
    plan
}

fn with_valid(mut ra: RaPlan, valid_lifetime_s: u32) -> RaPlan {
    ra.prefixes[1].valid_lifetime_s = valid_lifetime_s;
    ra.prefixes[1].preferred_lifetime_s = valid_lifetime_s;
    ra
}

fn prefixes(advert: &RouterAdvert) -> impl Iterator<Item = &ndp::PrefixInformation> {
    advert.options.iter().filter_map(|option| match option {
        NdOption::Prefix(prefix) => Some(prefix),
        _ => None,
    })
}

fn check_final(frames: &[Vec<u8>]) {
    assert_eq!(frames.len(), 1);
    let (_, advert) = ra_of(&frames[0]);
    assert_eq!(advert.router_lifetime_s, 0);
    assert_eq!(prefixes(&advert).count(), 2);
    for prefix in prefixes(&advert) {
        assert_eq!(
            (prefix.valid_lifetime_s, prefix.preferred_lifetime_s),
            (0, 0)
        );
    }
    for option in &advert.options {
        if let NdOption::Rdnss { lifetime_s, .. } | NdOption::Dnssl { lifetime_s, .. } = option {
            assert_eq!(*lifetime_s, 0);
        }
    }
}

fn events(link: &mut Link) -> Vec<LinkEvent> {
    std::iter::from_fn(|| link.poll_event()).collect()
}

fn learned(address: &str, first_holder: Option<PortId>) -> LinkEvent {
    LinkEvent::Learned {
        address: ip(address),
        first_holder,
    }
}

fn forgotten(address: &str) -> LinkEvent {
    LinkEvent::Forgotten {
        address: ip(address),
    }
}

fn solicit() -> ClientMessage {
    ClientMessage::Solicit {
        asked: Asked {
            transaction: [1, 2, 3],
            client: Duid::new(&[0, 3, 0, 1, 9]).unwrap(),
            ias: vec![Ia {
                kind: IaKind::Na,
                iaid: 1,
                addresses: vec![],
            }],
            requested: vec![],
            reconfigure_accept: false,
        },
        rapid_commit: false,
    }
}

#[test]
fn a_guest_that_was_heard_is_told_unasked_where_a_neighbour_is_now() {
    let now = start();
    let mut link = Link::new(plan(), 1);
    let (address, mac) = (ip("2001:db8:1::77"), Mac([2, 0, 0, 0, 0, 0x77]));
    link.handle_moved(address, mac);
    assert!(drain(&mut link, now).is_empty(), "nobody is there yet");
    link.handle_first_frame(now);
    drain(&mut link, now);
    link.handle_moved(address, mac);
    link.handle_moved(ip("::ffff:10.0.0.7"), mac);
    let frames = drain(&mut link, now);
    let (envelope, message) = ndp_of(&frames[0]);
    assert_eq!(envelope.mac_destination, GUEST);
    assert_eq!(envelope.destination, ALL_NODES);
    let NdpMessage::NeighborAdvert(advert) = message else {
        panic!("{message:?}");
    };
    assert!(advert.r#override && !advert.solicited && !advert.router);
    assert_eq!(advert.target, address);
    assert_eq!(advert.options, [NdOption::TargetLinkLayer(mac)]);
    assert_eq!(frames[1][12..14], [0x08, 0x06], "ARP");
    assert_eq!(frames[1][22..32], [2, 0, 0, 0, 0, 0x77, 10, 0, 0, 7]);
    let mut down = plan();
    down.admin_state_up = false;
    link.handle_plan(down, now);
    link.handle_moved(address, mac);
    assert!(drain(&mut link, now).is_empty());
}
