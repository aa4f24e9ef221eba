//! What DHCPv6 clients get on a link.

use hextet_wire::dhcpv6::StatusCode;

use super::*;
use crate::history::Topic;

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
