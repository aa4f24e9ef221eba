use std::net::{IpAddr, Ipv4Addr};

use hextet_core::link::SERVICE_IPV4;
use hextet_wire::dhcpv4::{
    self, ClientHeader, ClientMessage, PACKET_BYTES_MIN, Question, ServerMessage, ServerMessageKind,
};
use hextet_wire::frame::Udp;
use hextet_wire::ipv4::{self, Ipv4Envelope};
use proptest::prelude::*;

use super::{bare, events, heard};
use crate::counters::{DropReason, Sent};
use crate::event::LinkEvent;
use crate::fixture::{Book, GUEST, drain, ipv4 as ip, plan, ra_of, start};
use crate::link::Link;
use hextet_core::mac::Mac;

const NONE: Ipv4Addr = Ipv4Addr::UNSPECIFIED;
const ALL: (Mac, Ipv4Addr) = (Mac([0xff; 6]), Ipv4Addr::BROADCAST);

#[test]
fn answers_come_from_the_service_and_go_where_rfc_2131_has_them() {
    let wanted = ip("10.0.0.5");
    let server = SERVICE_IPV4;
    let to = |address: &str| (GUEST, ip(address));
    let wrong = ip("10.9.9.9");
    let discover = Question::Discover {
        wanted: NONE,
        rapid_commit: false,
    };
    // question, broadcast flag, ciaddr, where to, which
    for (question, broadcast, ciaddr, expected, kind) in [
        (discover, false, NONE, to("10.0.0.5"), Sent::Dhcpv4Offer),
        (discover, true, NONE, ALL, Sent::Dhcpv4Offer),
        (
            Question::Select { server, wanted },
            false,
            NONE,
            to("10.0.0.5"),
            Sent::Dhcpv4Ack,
        ),
        (
            Question::Select { server, wanted },
            true,
            NONE,
            ALL,
            Sent::Dhcpv4Ack,
        ),
        (
            Question::Reboot { wanted },
            false,
            NONE,
            to("10.0.0.5"),
            Sent::Dhcpv4Ack,
        ),
        (
            Question::Reboot { wanted: wrong },
            false,
            NONE,
            ALL,
            Sent::Dhcpv4Nak,
        ),
        (
            Question::Extend,
            true,
            wanted,
            to("10.0.0.5"),
            Sent::Dhcpv4Ack,
        ),
        (Question::Extend, false, wrong, ALL, Sent::Dhcpv4Nak),
        (
            Question::Inform,
            true,
            wanted,
            to("10.0.0.5"),
            Sent::Dhcpv4Ack,
        ),
    ] {
        let now = start();
        let mut link = heard(now);
        let mut message = message(question);
        message.header.broadcast = broadcast;
        message.header.ciaddr = ciaddr;
        link.handle_frame(&frame(&message), &Book::default(), now);
        let frames = drain(&mut link, now);
        assert_eq!(frames.len(), 1, "{question:?}");
        let (envelope, _) = answer_of(&frames[0]);
        assert_eq!(
            (envelope.mac_destination, envelope.destination),
            expected,
            "{question:?}"
        );
        assert_eq!(
            (envelope.mac_source, envelope.source),
            (plan().service_mac(), SERVICE_IPV4)
        );
        assert_eq!(link.counters().sent.get(&kind), Some(&1), "{question:?}");
    }
}

#[test]
fn what_gets_no_answer_is_counted_by_its_reason() {
    let server = ip("10.0.0.9");
    let select = Question::Select {
        server,
        wanted: ip("10.0.0.5"),
    };
    let mut relayed = message(select).emit();
    relayed[24..28].copy_from_slice(&[10, 0, 0, 2]);
    let mut inform = message(Question::Inform);
    inform.header.ciaddr = ip("10.9.9.9");
    let mut fragment = frame(&inform);
    fragment[20] = 0x20;
    seal(&mut fragment);
    let mut tcp = frame(&inform);
    tcp[23] = 6;
    seal(&mut tcp);
    let mut broken = frame(&inform);
    broken[24] ^= 1;
    for (frame, reason) in [
        (datagram(&relayed, 67), DropReason::Dhcpv4Relayed),
        (datagram(&[1; 240], 67), DropReason::Dhcpv4Invalid),
        (datagram(&[1; 240], 69), DropReason::NotServed),
        (frame(&message(select)), DropReason::Dhcpv4OtherServer),
        (frame(&inform), DropReason::Dhcpv4ForeignAddress),
        (fragment, DropReason::Fragment),
        (tcp, DropReason::NotServed),
        (broken, DropReason::Frame),
    ] {
        let now = start();
        let mut link = heard(now);
        link.handle_frame(&frame, &Book::default(), now);
        assert!(drain(&mut link, now).is_empty(), "{}", reason.name());
        assert_eq!(link.counters().dropped(reason), 1, "{}", reason.name());
    }
}

#[test]
fn a_port_without_an_address_to_lease_is_silent() {
    let now = start();
    let mut link = heard(now);
    link.handle_plan(bare(), now);
    drain(&mut link, now);
    link.handle_frame(&frame(&discover()), &Book::default(), now);
    assert!(drain(&mut link, now).is_empty());
    assert_eq!(link.counters().dropped(DropReason::Dhcpv4Off), 1);
}

#[test]
fn what_a_guest_gives_back_or_declines_is_told_and_stays_its_own() {
    let now = start();
    let mut link = heard(now);
    let server = SERVICE_IPV4;
    let address = ip("10.0.0.5");
    let mut release = message(Question::Release { server });
    release.header.ciaddr = address;
    link.handle_frame(&frame(&release), &Book::default(), now);
    let decline = message(Question::Decline { server, address });
    link.handle_frame(&frame(&decline), &Book::default(), now);
    assert!(drain(&mut link, now).is_empty());
    let addresses = vec![IpAddr::V4(address)];
    let expected = [
        LinkEvent::Released {
            addresses: addresses.clone(),
        },
        LinkEvent::Declined { addresses },
    ];
    assert_eq!(events(&mut link), expected);
    link.handle_frame(&frame(&discover()), &Book::default(), now);
    let (_, offer) = answer_of(&drain(&mut link, now)[0]);
    assert_eq!(offer.yiaddr, address);
}

#[test]
fn a_guest_that_speaks_ipv4_first_hears_the_advertisement_too() {
    let now = start();
    let mut link = Link::new(plan(), 1);
    link.handle_frame(&frame(&discover()), &Book::default(), now);
    let frames = drain(&mut link, now);
    assert_eq!(frames.len(), 2);
    assert_eq!(answer_of(&frames[0]).1.kind, ServerMessageKind::Offer);
    ra_of(&frames[1]);
}

#[test]
fn a_large_answer_keeps_to_what_the_client_takes_and_to_the_links_mtu() {
    let mut plan = plan();
    let dhcpv4 = plan.dhcpv4.as_mut().unwrap();
    dhcpv4.mtu = 1000;
    dhcpv4.dns_search = (0..60)
        .map(|at| format!("name-{at}.example-{at}.org"))
        .collect();
    for (takes, most, dropped) in [(PACKET_BYTES_MIN, 548, 1), (1500, 972, 1), (300, 548, 1)] {
        let now = start();
        let mut link = Link::new(plan.clone(), 1);
        let mut discover = discover();
        discover.header.packet_bytes_max = takes;
        link.handle_frame(&frame(&discover), &Book::default(), now);
        let frames = drain(&mut link, now);
        let (_, udp) = ipv4::parse(&frames[0]).unwrap();
        assert!(udp.data.len() <= most, "{takes}: {}", udp.data.len());
        assert_eq!(
            link.counters().dropped(DropReason::Dhcpv4NoRoom),
            dropped,
            "{takes}"
        );
    }
}

proptest! {
    #[test]
    fn no_ipv4_frame_makes_the_link_panic(at in 0_usize..400, byte in any::<u8>(), tail in proptest::collection::vec(any::<u8>(), 0..64)) {
        let now = start();
        let mut link = heard(now);
        let mut frame = datagram(&[discover().emit(), tail].concat(), 67);
        if let Some(place) = frame.get_mut(at) {
            *place = byte;
        }
        link.handle_frame(&frame, &Book::default(), now);
    }
}

fn discover() -> ClientMessage {
    message(Question::Discover {
        wanted: NONE,
        rapid_commit: false,
    })
}

fn message(question: Question) -> ClientMessage {
    ClientMessage {
        header: ClientHeader {
            htype: 1,
            hlen: 6,
            transaction: 7,
            broadcast: false,
            ciaddr: NONE,
            chaddr: [0; 16],
            client_id: vec![],
            requested: vec![],
            packet_bytes_max: PACKET_BYTES_MIN,
        },
        question,
    }
}

fn frame(message: &ClientMessage) -> Vec<u8> {
    datagram(&message.emit(), 67)
}

fn datagram(data: &[u8], destination_port: u16) -> Vec<u8> {
    let envelope = Ipv4Envelope {
        mac_destination: Mac([0xff; 6]),
        mac_source: GUEST,
        source: NONE,
        destination: Ipv4Addr::BROADCAST,
    };
    envelope.udp(Udp {
        source_port: 68,
        destination_port,
        data,
    })
}

/// Puts the IPv4 header's checksum right.
fn seal(frame: &mut [u8]) {
    frame[24..26].fill(0);
    let mut sum: u32 = frame[14..34]
        .chunks(2)
        .map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]])))
        .sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    frame[24..26].copy_from_slice(&(!(sum as u16)).to_be_bytes());
}

fn answer_of(frame: &[u8]) -> (Ipv4Envelope, ServerMessage) {
    let (envelope, udp) = ipv4::parse(frame).unwrap();
    assert_eq!(
        (udp.source_port, udp.destination_port),
        (dhcpv4::SERVER_PORT, dhcpv4::CLIENT_PORT)
    );
    (envelope, ServerMessage::parse(udp.data).unwrap())
}
