//! What DHCPv6 clients get on a link.

use hextet_wire::dhcpv6::StatusCode;

use super::*;
use crate::history::Topic;

#[test]
fn a_ports_own_options_are_left_out_as_far_as_the_link_has_no_room() {
    let mut plan = plan();
    let asking = dhcpv6(&solicit());
    plan.dhcpv6.as_mut().unwrap().options = (200..203).map(|code| (code, vec![0; 250])).collect();
    for (mtu, said) in [(1280, 3), (800, 2), (400, 0)] {
        let now = start();
        plan.mtu = mtu;
        let mut link = Link::new(plan.clone(), 1);
        link.handle_frame(&asking, &Book::default(), now);
        let frames = drain(&mut link, now);
        let (_, message) = dhcpv6_of(&frames[0]);
        assert_eq!(message.extra.len(), said, "{mtu}");
        assert!(frames[0].len() <= 14 + mtu as usize, "{mtu}");
        let left_out = link.counters().dropped(DropReason::Dhcpv6NoRoom);
        assert_eq!(left_out, 3 - said as u64, "{mtu}");
    }
}

#[test]
fn dhcpv6_that_is_not_answered_is_counted_and_told_by_its_reason() {
    let now = start();
    let mut link = heard(now);
    let whole = dhcpv6(&solicit());
    let change = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut frame = whole.clone();
        change(&mut frame);
        frame
    };
    let service = plan().service_link_local().octets();
    for (frame, reason) in [
        (change(&|frame| frame[62] = 12), DropReason::Dhcpv6Relayed),
        (change(&|frame| frame[62] = 13), DropReason::Dhcpv6Relayed),
        (
            change(&|frame| frame[38..54].copy_from_slice(&service)),
            DropReason::Dhcpv6Unicast,
        ),
        (
            change(&|frame| frame[22..38].fill(0)),
            DropReason::Dhcpv6Source,
        ),
        (
            change(&|frame| frame[62] = 7),
            DropReason::Dhcpv6NotForServers,
        ),
        (change(&|frame| frame[62] = 3), DropReason::Dhcpv6ServerId),
        // The first option is the Client Identifier: another code, and a length beyond the end.
        (change(&|frame| frame[67] = 200), DropReason::Dhcpv6ClientId),
        (
            change(&|frame| frame[68] = 200),
            DropReason::Dhcpv6Malformed,
        ),
        (
            change(&|frame| frame[62] = 11),
            DropReason::Dhcpv6UnwantedIa,
        ),
    ] {
        let before = link.counters().dropped(reason);
        link.handle_frame(&frame, &Book::default(), now);
        assert_eq!(link.counters().dropped(reason), before + 1, "{reason:?}");
        let said = link.history().last()[&Topic::Dhcpv6].note.to_string();
        let expected = format!("no answer ({})", reason.name());
        assert!(said.ends_with(&expected), "{said}");
    }
    assert!(drain(&mut link, now).is_empty());
    link.handle_plan(bare(), now);
    drain(&mut link, now);
    link.handle_frame(&whole, &Book::default(), now);
    assert!(drain(&mut link, now).is_empty());
    assert_eq!(link.counters().dropped(DropReason::Dhcpv6Off), 1);
}

#[test]
fn a_renewal_to_the_services_address_is_told_to_use_multicast() {
    let now = start();
    let mut link = heard(now);
    let asked = solicit().asked().unwrap().clone();
    let server = Duid::from_uuid(7_u128.to_be_bytes());
    let mut frame = dhcpv6(&ClientMessage::Renew { asked, server });
    frame[38..54].copy_from_slice(&plan().service_link_local().octets());
    link.handle_frame(&frame, &Book::default(), now);
    let frames = drain(&mut link, now);
    assert_eq!(frames.len(), 1);
    let (envelope, reply) = dhcpv6_of(&frames[0]);
    assert_eq!(envelope.destination, GUEST.link_local());
    assert_eq!(reply.status.unwrap().code, StatusCode::UseMulticast);
    assert_eq!(link.counters().sent[&Sent::Dhcpv6UseMulticast], 1);
}
