//! One function for each decoder and for the machine behind them: any bytes go in, nothing may panic, and what was
//! understood must survive being emitted and parsed again.
//!
//! The functions are plain, so that the tests replay the corpus and mutate it on a stable toolchain; a coverage-guided
//! fuzzer can call them as they are.

mod link;
mod mutate;

use hextet_core::ids::Vni;
use hextet_core::mac::Mac;
use hextet_wire::dhcpv6::{self, Reconfigure, ReconfigureKey, ServerMessage};
use hextet_wire::frame::{self, Envelope};
use hextet_wire::ndp::{self, HOP_LIMIT};
use hextet_wire::{capture, craft, dhcpv4, ipv4, mld};

pub use link::link_handle_frame;
pub use mutate::Mutator;

/// A target: its name, which is its folder in the corpus, and its function, which says whether the input meant anything.
pub type Target = (&'static str, fn(&[u8]) -> bool);

/// Every target.
pub const TARGETS: [Target; 11] = [
    ("parse_frame", parse_frame),
    ("parse_ndp", parse_ndp),
    ("parse_mld", parse_mld),
    ("parse_dhcpv6", parse_dhcpv6),
    ("parse_ipv4", parse_ipv4),
    ("parse_dhcpv4", parse_dhcpv4),
    ("link_handle_frame", link_handle_frame),
    ("decode_request", decode_request),
    ("parse_craft", parse_craft),
    ("parse_capture", parse_capture),
    ("redo_body", redo_body),
];

/// A request to the API: `METHOD TARGET`, a line feed, the body.
pub fn decode_request(bytes: &[u8]) -> bool {
    hextet_server::http::decode(bytes)
}

/// A frame in words.
pub fn parse_craft(bytes: &[u8]) -> bool {
    let guest = craft::Guest {
        mac: Mac([0xfa, 0x16, 0x3e, 0, 0, 1]),
        service_mac: Mac::service(Vni(7)),
        ipv6: std::net::Ipv6Addr::LOCALHOST,
        ipv4: std::net::Ipv4Addr::LOCALHOST,
        service_ipv4: std::net::Ipv4Addr::new(169, 254, 169, 254),
    };
    let resolve = |address: std::net::IpAddr| address.is_ipv6().then_some(guest.mac);
    let Ok(text) = std::str::from_utf8(bytes) else {
        return false;
    };
    let Ok(frame) = craft::parse(text, &guest, &resolve) else {
        return false;
    };
    assert!((14..=craft::FRAME_BYTES_MAX).contains(&frame.len()));
    true
}

/// A capture file.
pub fn parse_capture(bytes: &[u8]) -> bool {
    let Ok(frames) = capture::parse(bytes) else {
        return false;
    };
    assert!(capture::is_capture(bytes) && frames.len() <= capture::FRAMES_MAX);
    frames.iter().map(|frame| frame.len()).sum::<usize>() <= bytes.len()
}

/// The statements of a record of the redo file.
pub fn redo_body(bytes: &[u8]) -> bool {
    let Some(again) = hextet_store::redo_body(bytes) else {
        return false;
    };
    assert_eq!(again, bytes);
    true
}

/// A frame down to its upper layer.
pub fn parse_frame(bytes: &[u8]) -> bool {
    let source = frame::source(bytes);
    let Ok(packet) = frame::parse(bytes) else {
        return false;
    };
    assert_eq!(source, Some(packet.envelope.source));
    assert!(packet.payload.len() <= bytes.len());
    if let Some(udp) = packet.udp() {
        assert!(udp.data.len() + 8 <= packet.payload.len());
    }
    true
}

/// A Neighbor Discovery message in a frame.
///
/// Hop limit and checksum are put right before, since a mutated packet would hardly ever get past them.
pub fn parse_ndp(bytes: &[u8]) -> bool {
    let Ok(packet) = frame::parse(bytes) else {
        return false;
    };
    if packet.payload.len() < 4 {
        return false;
    }
    let envelope = Envelope {
        hop_limit: HOP_LIMIT,
        ..packet.envelope
    };
    let valid = envelope.icmpv6(packet.payload.to_vec());
    let packet = frame::parse(&valid).expect("an envelope makes valid frames");
    let Ok(message) = ndp::parse(&packet) else {
        return false;
    };
    let again = message.emit(&envelope);
    let packet = frame::parse(&again).expect("an emitted message is a valid frame");
    assert_eq!(ndp::parse(&packet), Ok(message));
    true
}

/// An MLD query in a frame, as a listener reads it.
///
/// Hop limit, source and checksum are put right before, since a mutated packet would hardly ever get past them.
pub fn parse_mld(bytes: &[u8]) -> bool {
    let Ok(packet) = frame::parse(bytes) else {
        return false;
    };
    if packet.payload.len() < 4 {
        return false;
    }
    let envelope = Envelope {
        hop_limit: mld::HOP_LIMIT,
        source: Mac::service(Vni(7)).link_local(),
        ..packet.envelope
    };
    let valid = envelope.icmpv6(packet.payload.to_vec());
    let packet = frame::parse(&valid).expect("an envelope makes valid frames");
    let Ok(query) = mld::parse(&packet) else {
        return false;
    };
    let again = query.emit(envelope.mac_source, envelope.source);
    let packet = frame::parse(&again).expect("an emitted query is a valid frame");
    let again = mld::parse(&packet).expect("an emitted query is valid");
    assert_eq!(again.group, query.group);
    // What is beyond a field without exponents is cut, and sources are left out.
    assert!(again.max_response <= query.max_response);
    assert_eq!(again.v2.is_some(), query.v2.is_some());
    true
}

/// A DHCPv6 message, as a server and as a client read it.
pub fn parse_dhcpv6(bytes: &[u8]) -> bool {
    if let Ok(message) = dhcpv6::parse(bytes) {
        let again = message.emit();
        // Only what is unknown was left out.
        assert!(again.len() <= bytes.len());
        assert_eq!(dhcpv6::parse(&again), Ok(message));
        return true;
    }
    let key = ReconfigureKey::new([7; 16]);
    if let Ok(message) = Reconfigure::parse(bytes, &key) {
        assert_eq!(Reconfigure::parse(&message.emit(&key), &key), Ok(message));
        return true;
    }
    let Ok(message) = ServerMessage::parse(bytes) else {
        return false;
    };
    // A text that was no UTF-8 grows by its replacement characters, possibly beyond the bound.
    if let Ok(again) = ServerMessage::parse(&message.emit()) {
        assert_eq!(again, message);
    }
    true
}

/// An IPv4 frame down to its datagram.
///
/// The header's checksum is put right before, since a mutated packet would hardly ever get past it.
pub fn parse_ipv4(bytes: &[u8]) -> bool {
    let Ok((envelope, udp)) = ipv4::parse(&sealed(bytes)).map(|(envelope, udp)| {
        let data = udp.data.to_vec();
        (envelope, (udp.source_port, udp.destination_port, data))
    }) else {
        return false;
    };
    let (source_port, destination_port, data) = udp;
    let udp = frame::Udp {
        source_port,
        destination_port,
        data: &data,
    };
    let again = envelope.udp(udp);
    assert_eq!(ipv4::parse(&again), Ok((envelope, udp)));
    true
}

/// A DHCPv4 message, as a server and as a client read it.
pub fn parse_dhcpv4(bytes: &[u8]) -> bool {
    if let Ok(message) = dhcpv4::parse(bytes) {
        assert_eq!(dhcpv4::parse(&message.emit()), Ok(message));
        return true;
    }
    let Ok(message) = dhcpv4::ServerMessage::parse(bytes) else {
        return false;
    };
    // What is said otherwise than we say it need not fit, and a text that was no UTF-8 becomes another.
    let (again, _) = message.emit(u16::MAX, &[]);
    assert!(again.len() <= usize::from(u16::MAX));
    let _ = dhcpv4::ServerMessage::parse(&again);
    true
}

/// The frame with the checksum of its IPv4 header put right, if it has one.
pub(crate) fn sealed(bytes: &[u8]) -> Vec<u8> {
    let mut frame = bytes.to_vec();
    let length = frame
        .get(14)
        .map_or(0, |first| usize::from(first & 0xf) * 4);
    if let Some(header) = frame
        .get_mut(14..14 + length)
        .filter(|header| header.len() >= 20)
    {
        header[10..12].fill(0);
        let mut sum: u32 = header
            .chunks(2)
            .map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]])))
            .sum();
        while sum > 0xffff {
            sum = (sum & 0xffff) + (sum >> 16);
        }
        header[10..12].copy_from_slice(&(!(sum as u16)).to_be_bytes());
    }
    frame
}
