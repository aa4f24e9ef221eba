use hextet_wire::frame::Udp;
use hextet_wire::ndp::NeighborAdvert;

use super::*;
use crate::learned::{LEARNED_GLOBAL_MAX, PROBATION};

const OWN: &str = "2001:db8:1::7:1";

/// A datagram to another guest, as far as the fast path shows it.
fn datum(source: &str) -> Vec<u8> {
    let envelope = Envelope {
        mac_destination: OTHER,
        mac_source: GUEST,
        source: ip(source),
        destination: ip("2001:db8:1::5"),
        hop_limit: 64,
    };
    let mut frame = envelope.udp(Udp {
        source_port: 9,
        destination_port: 9,
        data: &[0; 100],
    });
    frame.truncate(60);
    frame
}

/// The guest's answer for an address, to whoever asked from the service's address.
fn answer(target: &str) -> Vec<u8> {
    let envelope = Envelope {
        mac_destination: plan().service_mac(),
        mac_source: GUEST,
        source: ip(target),
        destination: plan().service_link_local(),
        hop_limit: HOP_LIMIT,
    };
    NdpMessage::NeighborAdvert(NeighborAdvert {
        router: false,
        solicited: true,
        r#override: true,
        target: ip(target),
        options: vec![NdOption::TargetLinkLayer(GUEST)],
    })
    .emit(&envelope)
}

#[test]
fn a_checked_address_of_the_guests_choice_is_learned() {
    let now = start();
    let mut link = heard(now);
    link.handle_frame(&probe(OWN), &Book::default(), now);
    assert_eq!(events(&mut link), [learned(OWN, None)]);
    // Of a stateful prefix, of none, the gateway's.
    for address in ["2001:db8:3::7:1", "2001:db8:9::1", "2001:db8:1::1"] {
        link.handle_frame(&probe(address), &Book::default(), now);
    }
    assert_eq!(events(&mut link), []);
    assert_eq!(link.counters().dropped(DropReason::NdpUnknownTarget), 3);
}

#[test]
fn a_use_without_a_check_is_learned_once_the_guest_answers_for_it() {
    let now = start();
    let mut link = heard(now);
    link.handle_source(&datum(OWN), &Book::default(), now);
    assert_eq!(events(&mut link), []);
    let asked = drain(&mut link, now);
    assert_eq!(asked.len(), 1);
    let (envelope, message) = ndp_of(&asked[0]);
    assert_eq!(envelope.mac_destination, GUEST);
    assert_eq!(envelope.source, plan().service_link_local());
    assert!(matches!(message, NdpMessage::NeighborSolicit(solicit) if solicit.target == ip(OWN)));
    link.handle_frame(&answer(OWN), &Book::default(), now);
    assert_eq!(events(&mut link), [learned(OWN, None)]);
}

#[test]
fn an_answer_that_nobody_asked_for_proves_nothing() {
    let now = start();
    let mut link = heard(now);
    link.handle_frame(&answer(OWN), &Book::default(), now);
    assert_eq!(events(&mut link), []);
    assert_eq!(drain(&mut link, now).len(), 1, "it is asked for now");
}

#[test]
fn what_another_port_learned_is_refused_counted_and_named() {
    let now = start();
    let book = Book::default().with(OWN, 2, HolderKind::Learned);
    let conflict = LinkEvent::Conflict {
        address: ip(OWN),
        holder: Some(port(2)),
    };
    for (frame, answers) in [
        (probe(OWN), 1),
        (neighbor_solicit(ip(OWN), GUEST.link_local()), 0),
        (answer(OWN), 0),
    ] {
        let mut link = heard(now);
        link.handle_frame(&frame, &book, now);
        assert_eq!(events(&mut link), std::slice::from_ref(&conflict));
        assert_eq!(drain(&mut link, now).len(), answers);
        assert_eq!(link.counters().dropped(DropReason::AddressConflict), 1);
    }
    let mut link = heard(now);
    link.handle_source(&datum(OWN), &book, now);
    assert_eq!(events(&mut link), [conflict]);
}

#[test]
fn of_two_checks_of_one_moment_the_second_fails_as_soon_as_it_is_known_whose_the_address_is() {
    let now = start();
    let mut link = heard(now);
    link.handle_frame(&probe(OWN), &Book::default(), now);
    drain(&mut link, now);
    link.handle_directory(&Book::default().with(OWN, 2, HolderKind::Learned));
    let frames = drain(&mut link, now);
    assert_eq!(frames.len(), 1);
    let (envelope, message) = ndp_of(&frames[0]);
    assert_eq!(envelope.destination, ALL_NODES);
    assert_eq!(message.target_link_layer(), Some(OTHER));
    let NdpMessage::NeighborAdvert(advert) = message else {
        panic!("{message:?}");
    };
    assert_eq!((advert.target, advert.solicited), (ip(OWN), false));
}

#[test]
fn what_is_assigned_to_another_or_no_longer_a_guests_to_take_is_withdrawn() {
    let now = start();
    let mut link = heard(now);
    link.handle_frame(&probe(OWN), &Book::default(), now);
    link.handle_frame(&probe("2001:db8:1::7:2"), &Book::default(), now);
    events(&mut link);
    link.handle_directory(&Book::default());
    assert_eq!(events(&mut link), []);
    link.handle_directory(&Book::default().with(OWN, 2, HolderKind::Assigned));
    let (address, holder) = (ip(OWN), Some(port(2)));
    assert_eq!(
        events(&mut link),
        [forgotten(OWN), LinkEvent::Conflict { address, holder }]
    );
    let mut without = plan();
    without.learnable.clear();
    link.handle_plan(without, now);
    link.handle_directory(&Book::default());
    assert_eq!(events(&mut link), [forgotten("2001:db8:1::7:2")]);
}

#[test]
fn a_seventeenth_address_is_refused_and_counted() {
    let now = start();
    let mut link = heard(now);
    for number in 2..=LEARNED_GLOBAL_MAX + 2 {
        let address = format!("2001:db8:1::{number:x}");
        link.handle_frame(&probe(&address), &Book::default(), now);
    }
    assert_eq!(link.learned().count(), LEARNED_GLOBAL_MAX);
    assert_eq!(link.counters().dropped(DropReason::LearnedFull), 1);
}

#[test]
fn a_port_that_is_shut_out_is_neither_asked_nor_forgotten() {
    let now = start();
    let mut link = heard(now);
    link.handle_frame(&probe(OWN), &Book::default(), now);
    let mut down = plan();
    down.admin_state_up = false;
    link.handle_plan(down, now);
    let later = now + 3 * crate::learned::LEARNED_LIFETIME;
    drain(&mut link, later);
    link.handle_source(&datum("2001:db8:1::7:2"), &Book::default(), later);
    assert!(drain(&mut link, later).is_empty());
    assert_eq!(link.learned().count(), 1);
    link.handle_plan(plan(), later);
    let asked = drain(&mut link, later);
    assert!(
        asked
            .iter()
            .any(|frame| ndp_of(frame).0.destination == ip(OWN))
    );
}

/// A link on a physical segment, whose guest was heard.
fn on_segment(now: Instant) -> Link {
    let mut link = Link::new(
        LinkPlan {
            on_segment: true,
            ..plan()
        },
        1,
    );
    link.handle_first_frame(now);
    drain(&mut link, now);
    link
}

const REFUSED: &str = "2001:db8:1::66";

#[test]
fn on_a_segment_an_address_is_learned_once_nobody_there_objected() {
    let now = start();
    let mut link = on_segment(now);
    link.handle_frame(&probe(OWN), &Book::default(), now);
    link.handle_frame(&probe(REFUSED), &Book::default(), now);
    assert_eq!(
        link.poll_question(),
        None,
        "the guest's own check went there"
    );
    assert_eq!(events(&mut link), []);
    assert_eq!(link.poll_timeout().unwrap().0, now + PROBATION);
    assert_eq!(link.on_probation(), [ip(OWN), ip(REFUSED)]);
    // Whatever the guest says of it meanwhile.
    for frame in [answer(REFUSED), neighbor_solicit(ip(REFUSED), ip(OWN))] {
        link.handle_frame(&frame, &Book::default(), now);
    }
    link.handle_objection(ip(REFUSED), now);
    link.handle_objection(ip("2001:db8:1::67"), now);
    let conflict = LinkEvent::Conflict {
        address: ip(REFUSED),
        holder: None,
    };
    assert_eq!(events(&mut link), [conflict]);
    assert_eq!(link.counters().dropped(DropReason::AddressConflict), 1);
    let over = now + PROBATION;
    drain(&mut link, over);
    assert_eq!(events(&mut link), [learned(OWN, None)]);
    // First come: whoever objects later, to this or to what the plan assigns.
    for address in [OWN, "2001:db8:1::f816:3eff:fe11:2233"] {
        link.handle_objection(ip(address), now);
    }
    assert_eq!(events(&mut link), []);
    assert_eq!(link.learned().count(), 1);
}

#[test]
fn on_a_segment_a_use_without_a_check_is_asked_of_guest_and_segment() {
    let now = start();
    let mut link = on_segment(now);
    for address in [OWN, REFUSED] {
        link.handle_source(&datum(address), &Book::default(), now);
        link.handle_source(&datum(address), &Book::default(), now);
        assert_eq!(link.poll_question(), Some(ip(address)));
        assert_eq!(link.poll_question(), None, "once");
        assert_eq!(drain(&mut link, now).len(), 1);
        link.handle_frame(&answer(address), &Book::default(), now);
    }
    // A link-local source that was not checked is no better.
    link.handle_frame(&router_solicit(ip("fe80::66")), &Book::default(), now);
    assert_eq!(link.poll_question(), Some(ip("fe80::66")));
    assert_eq!(drain(&mut link, now).len(), 1, "answered all the same");
    for address in [REFUSED, "fe80::66"] {
        link.handle_objection(ip(address), now);
    }
    assert_eq!(events(&mut link).len(), 2);
    let over = now + PROBATION;
    drain(&mut link, over);
    assert_eq!(events(&mut link), [learned(OWN, None)]);
    // Asked again, and refused again.
    link.handle_source(&datum(REFUSED), &Book::default(), over);
    assert_eq!(link.poll_question(), Some(ip(REFUSED)));
}

#[test]
fn on_a_segment_what_comes_to_be_anothers_meanwhile_is_not_learned() {
    let now = start();
    let mut link = on_segment(now);
    link.handle_frame(&probe(OWN), &Book::default(), now);
    let book = Book::default().with(OWN, 2, HolderKind::Assigned);
    link.handle_directory(&book);
    assert_eq!(link.poll_timeout(), link.advertiser.poll_timeout());
    drain(&mut link, now + PROBATION);
    assert_eq!(events(&mut link), []);
}

#[test]
fn on_a_segment_few_addresses_are_on_probation_at_once() {
    let now = start();
    let mut link = on_segment(now);
    for at in 0..=CANDIDATES_MAX {
        let address = format!("2001:db8:1::7:{at:x}");
        link.handle_frame(&probe(&address), &Book::default(), now);
    }
    assert_eq!(link.counters().dropped(DropReason::LearnedFull), 1);
    drain(&mut link, now + PROBATION);
    assert_eq!(events(&mut link).len(), CANDIDATES_MAX);
}
