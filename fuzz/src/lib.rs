//! One function for each decoder and for the machine behind them: any bytes go in, nothing may panic, and what was
//! understood must survive being emitted and parsed again.
//!
//! The functions are plain, so that the tests replay the corpus and mutate it on a stable toolchain; a coverage-guided
//! fuzzer can call them as they are.

mod link;
mod mutate;

use hextet_wire::dhcpv6::{self, ServerMessage};
use hextet_wire::frame::{self, Envelope};
use hextet_wire::ndp::{self, HOP_LIMIT};

pub use link::link_handle_frame;
pub use mutate::Mutator;

/// A target: its name, which is its folder in the corpus, and its function, which says whether the input meant anything.
pub type Target = (&'static str, fn(&[u8]) -> bool);

/// Every target.
pub const TARGETS: [Target; 4] = [
    ("parse_frame", parse_frame),
    ("parse_ndp", parse_ndp),
    ("parse_dhcpv6", parse_dhcpv6),
    ("link_handle_frame", link_handle_frame),
];

/// A frame down to its upper layer.
pub fn parse_frame(bytes: &[u8]) -> bool {
    let Ok(packet) = frame::parse(bytes) else {
        return false;
    };
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

/// A DHCPv6 message, as a server and as a client read it.
pub fn parse_dhcpv6(bytes: &[u8]) -> bool {
    if let Ok(message) = dhcpv6::parse(bytes) {
        let again = message.emit();
        // Only what is unknown was left out.
        assert!(again.len() <= bytes.len());
        assert_eq!(dhcpv6::parse(&again), Ok(message));
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
