//! What a guest hears: every frame that comes in at its end.

use std::os::fd::{AsRawFd, OwnedFd};

use anyhow::{Context, Result};
use hextet_core::mac::Mac;
use nix::sys::socket::{AddressFamily, SockFlag, SockProtocol, SockType, recv, socket};

use super::bed::{Bed, Station};

/// Longest frame that is looked at, bytes; more of it is not needed to know it.
const FRAME_MAX: usize = 2048;
const ETHERTYPE: std::ops::Range<usize> = 12..14;
const NEXT_HEADER: usize = 20;
const SOURCE: std::ops::Range<usize> = 22..38;
/// Where the upper layer begins, without extension headers.
pub const UPPER: usize = 54;

/// By what a frame is known.
#[derive(Clone, Copy, Debug)]
pub enum Sign {
    /// A fragment that the attacker sent.
    Fragment,
    /// An ICMPv6 message of this type, perhaps behind hop-by-hop options of eight bytes.
    Icmp(u8),
    /// An MLD query of another than the router, who asks, too.
    Query,
    /// A Router Advertisement without a prefix: nobody's but the attacker's.
    EmptyRa,
    /// A packet from all nodes.
    FromAllNodes,
    /// A packet to port 9 in the neighbour's name.
    Discard,
}

impl Sign {
    /// Whether the frame has it.
    pub fn is_on(self, frame: &[u8], bed: &Bed) -> bool {
        if frame.get(ETHERTYPE) != Some(&[0x86, 0xdd]) {
            return false;
        }
        let (next, upper) = match frame.get(NEXT_HEADER) {
            Some(0) => (frame.get(UPPER), UPPER + 8),
            next => (next, UPPER),
        };
        let source = frame.get(SOURCE);
        let port = frame.get(upper + 2..upper + 4);
        match self {
            Sign::Fragment => next == Some(&44) && frame.get(6..12) == Some(&bed.attacker.mac.0),
            Sign::Icmp(kind) => next == Some(&58) && frame.get(upper) == Some(&kind),
            Sign::Query => {
                let router = bed.router.octets();
                Sign::Icmp(130).is_on(frame, bed) && source != Some(&router[..])
            }
            Sign::EmptyRa => Sign::Icmp(134).is_on(frame, bed) && !has_prefix(&frame[upper..]),
            Sign::FromAllNodes => source.is_some_and(|source| source[..2] == [0xff, 2]),
            Sign::Discard => {
                source == Some(&bed.neighbour.global.octets()) && port == Some(&[0, 9])
            }
        }
    }
}

/// Whether a Router Advertisement has a prefix option (RFC 4861 §4.6.2).
fn has_prefix(advertisement: &[u8]) -> bool {
    let mut options = advertisement.get(16..).unwrap_or_default();
    while let [kind, length, ..] = options
        && *length > 0
    {
        if *kind == 3 {
            return true;
        }
        options = options.get(usize::from(*length) * 8..).unwrap_or_default();
    }
    false
}

/// A packet socket on all links of a station.
#[derive(Debug)]
pub struct Ear {
    socket: OwnedFd,
    own: Mac,
}

impl Ear {
    /// Hears from now on.
    ///
    /// # Errors
    /// When the kernel refuses the socket.
    pub fn open(station: &Station) -> Result<Self> {
        let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
        let every = SockProtocol::EthAll;
        let open = || Ok(socket(AddressFamily::Packet, SockType::Raw, flags, every)?);
        Ok(Self {
            socket: station.inside(open).context("a packet socket")?,
            own: station.mac,
        })
    }

    /// How many frames with this sign came in since the last call.
    pub fn heard(&self, sign: Sign, bed: &Bed) -> usize {
        let mut heard = 0;
        self.listen(|frame| heard += usize::from(sign.is_on(frame, bed)));
        heard
    }

    /// The frames that came in since the last call.
    pub fn frames(&self) -> Vec<Vec<u8>> {
        let mut frames = Vec::new();
        self.listen(|frame| frames.push(frame.to_vec()));
        frames
    }

    fn listen(&self, mut take: impl FnMut(&[u8])) {
        let mut frame = [0; FRAME_MAX];
        // An error is an empty socket, or one that lost what it could not hold: the rest is behind it.
        while let Ok(length) = recv(
            self.socket.as_raw_fd(),
            &mut frame,
            nix::sys::socket::MsgFlags::empty(),
        ) {
            let frame = &frame[..length];
            if frame.get(6..12) != Some(&self.own.0) {
                take(frame);
            }
        }
    }
}
