//! Ethernet II and IPv6 (RFC 8200) with its extension headers, UDP (RFC 768) and ICMPv6 (RFC 4443) envelopes.
//!
//! Left out: fragments (whoever needs the whole datagram refuses them), VLAN tags and LLC/SNAP (guests may not send
//! them), IPv4 (its own module), Authentication and Encapsulating Security headers (they end the walk as an upper layer does).

use std::net::Ipv6Addr;

use hextet_core::mac::Mac;

use crate::bytes::Reader;

/// Ethertype of IPv6 (RFC 2464 §3).
pub const ETHERTYPE_IPV6: u16 = 0x86dd;
/// Length of an Ethernet II header, bytes.
pub const ETHERNET_BYTES: usize = 14;
/// Length of an IPv6 header without extensions, bytes.
pub const IPV6_BYTES: usize = 40;
/// Next Header of UDP.
pub const NEXT_HEADER_UDP: u8 = 17;
/// Next Header of ICMPv6.
pub const NEXT_HEADER_ICMPV6: u8 = 58;
/// Extension headers walked before a packet is refused. RFC 8504 §5.3 lets a host limit them.
pub const EXTENSION_HEADERS_MAX: usize = 8;
/// ff02::1, all nodes of the link (RFC 4291 §2.7.1).
pub const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
/// ff02::2, all routers of the link (RFC 4291 §2.7.1).
pub const ALL_ROUTERS: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 2);

const HOP_BY_HOP: u8 = 0;
const ROUTING: u8 = 43;
const FRAGMENT: u8 = 44;
const DESTINATION_OPTIONS: u8 = 60;

/// Why a frame is not a whole IPv6 packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// Shorter than its headers.
    #[error("the frame is shorter than its headers")]
    Truncated,
    /// Not IPv6 in Ethernet II.
    #[error("ethertype {0:#06x} is not IPv6")]
    NotIpv6(u16),
    /// The IPv6 header says another version.
    #[error("IP version {0} in a frame of ethertype IPv6")]
    Version(u8),
    /// Payload Length says more than the frame holds.
    #[error("Payload Length is beyond the end of the frame")]
    PayloadLength,
    /// A group address where a single station's is wanted.
    #[error("the source is a multicast address")]
    MulticastSource,
    /// More extension headers than [`EXTENSION_HEADERS_MAX`].
    #[error("more than {EXTENSION_HEADERS_MAX} extension headers")]
    ExtensionHeaders,
    /// Hop-by-Hop Options not directly behind the IPv6 header (RFC 8200 §4.1).
    #[error("Hop-by-Hop Options behind another extension header")]
    HopByHop,
    /// A Fragment header, of a whole packet too.
    #[error("the packet is a fragment")]
    Fragment,
}

/// An IPv6 packet in its frame, extension headers walked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet<'a> {
    /// Addresses and hop limit.
    pub envelope: Envelope,
    /// Upper-layer protocol.
    pub next_header: u8,
    /// The upper layer's header and data, without Ethernet padding.
    pub payload: &'a [u8],
}

/// What stands around an upper-layer message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Envelope {
    /// Ethernet destination.
    pub mac_destination: Mac,
    /// Ethernet source.
    pub mac_source: Mac,
    /// IPv6 source.
    pub source: Ipv6Addr,
    /// IPv6 destination.
    pub destination: Ipv6Addr,
    /// Hop Limit.
    pub hop_limit: u8,
}

/// A UDP datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Udp<'a> {
    /// Source port.
    pub source_port: u16,
    /// Destination port.
    pub destination_port: u16,
    /// Data.
    pub data: &'a [u8],
}

/// What the frame says that it carries (a length in IEEE 802.3); `None`: shorter than an Ethernet header.
pub fn ethertype(frame: &[u8]) -> Option<u16> {
    let ethertype = frame.get(12..ETHERNET_BYTES)?;
    Some(u16::from_be_bytes([ethertype[0], ethertype[1]]))
}

/// The IPv6 source of a frame that may be cut behind its IPv6 header; `None` where it is no IPv6.
pub fn source(frame: &[u8]) -> Option<Ipv6Addr> {
    let header = frame.get(ETHERNET_BYTES..ETHERNET_BYTES + IPV6_BYTES)?;
    if ethertype(frame)? != ETHERTYPE_IPV6 || header[0] >> 4 != 6 {
        return None;
    }
    let octets: [u8; 16] = header.get(8..24)?.try_into().ok()?;
    Some(octets.into())
}

/// Parses a frame down to its upper layer.
///
/// # Errors
/// When it is no whole IPv6 packet within the bounds.
pub fn parse(frame: &[u8]) -> Result<Packet<'_>, FrameError> {
    let mut reader = Reader::new(frame);
    let mut fixed = || {
        let macs = (Mac(reader.array()?), Mac(reader.array()?));
        Some((macs, reader.u16()?))
    };
    let ((mac_destination, mac_source), ethertype) = fixed().ok_or(FrameError::Truncated)?;
    if ethertype != ETHERTYPE_IPV6 {
        return Err(FrameError::NotIpv6(ethertype));
    }
    let mut fixed = || {
        let [version, _, _, _] = reader.array()?;
        let length = reader.u16()?;
        let [next_header, hop_limit] = reader.array()?;
        let addresses = (reader.address()?, reader.address()?);
        Some((version >> 4, length, next_header, hop_limit, addresses))
    };
    let (version, length, next_header, hop_limit, (source, destination)) =
        fixed().ok_or(FrameError::Truncated)?;
    if version != 6 {
        return Err(FrameError::Version(version));
    }
    let payload = reader
        .take(usize::from(length))
        .ok_or(FrameError::PayloadLength)?;
    if mac_source.is_multicast() || source.is_multicast() {
        return Err(FrameError::MulticastSource);
    }
    let (next_header, payload) = walk(next_header, payload)?;
    Ok(Packet {
        envelope: Envelope {
            mac_destination,
            mac_source,
            source,
            destination,
            hop_limit,
        },
        next_header,
        payload,
    })
}

/// Walks extension headers to the upper layer (RFC 8200 §4).
fn walk(mut next_header: u8, payload: &[u8]) -> Result<(u8, &[u8]), FrameError> {
    let mut reader = Reader::new(payload);
    for walked in 0..=EXTENSION_HEADERS_MAX {
        match next_header {
            FRAGMENT => return Err(FrameError::Fragment),
            HOP_BY_HOP if walked > 0 => return Err(FrameError::HopByHop),
            HOP_BY_HOP | ROUTING | DESTINATION_OPTIONS => {
                let [next, length] = reader.array().ok_or(FrameError::Truncated)?;
                let body = usize::from(length) * 8 + 6;
                reader.take(body).ok_or(FrameError::Truncated)?;
                next_header = next;
            }
            upper => return Ok((upper, reader.rest())),
        }
    }
    Err(FrameError::ExtensionHeaders)
}

impl<'a> Packet<'a> {
    /// The datagram, if this is UDP of a consistent length. The checksum is not looked at: a guest's may still be
    /// partial, for its virtual device to complete.
    pub fn udp(&self) -> Option<Udp<'a>> {
        if self.next_header != NEXT_HEADER_UDP {
            return None;
        }
        Udp::parse(self.payload)
    }

    /// Whether the upper layer's checksum, at its place in `payload`, is right for this packet.
    pub(crate) fn checksum_holds(&self) -> bool {
        let sum = checksum(
            self.envelope.source,
            self.envelope.destination,
            self.next_header,
            self.payload,
        );
        sum == 0
    }
}

impl<'a> Udp<'a> {
    /// The datagram in the upper layer of a packet, if its length is consistent.
    pub(crate) fn parse(payload: &'a [u8]) -> Option<Self> {
        let mut reader = Reader::new(payload);
        let (source_port, destination_port) = (reader.u16()?, reader.u16()?);
        let length = usize::from(reader.u16()?).checked_sub(8)?;
        reader.u16()?;
        let data = reader.take(length)?;
        Some(Udp {
            source_port,
            destination_port,
            data,
        })
    }
}

impl Envelope {
    /// A frame with this ICMPv6 message, whose checksum field (bytes 2 and 3) is filled in here.
    pub fn icmpv6(&self, mut message: Vec<u8>) -> Vec<u8> {
        self.fill_checksum(NEXT_HEADER_ICMPV6, &mut message, 2);
        self.frame(NEXT_HEADER_ICMPV6, &message)
    }

    /// The same behind a Hop-by-Hop Router Alert option of value 0, as every MLD message goes (RFC 2711 §2.1).
    pub fn icmpv6_alert(&self, mut message: Vec<u8>) -> Vec<u8> {
        self.fill_checksum(NEXT_HEADER_ICMPV6, &mut message, 2);
        message.splice(0..0, [NEXT_HEADER_ICMPV6, 0, 5, 2, 0, 0, 1, 0]);
        self.frame(HOP_BY_HOP, &message)
    }

    /// A frame with a UDP datagram.
    pub fn udp(&self, datagram: Udp<'_>) -> Vec<u8> {
        let length = datagram.data.len() + 8;
        let mut frame = self.headers(NEXT_HEADER_UDP, length);
        frame.extend_from_slice(&datagram.source_port.to_be_bytes());
        frame.extend_from_slice(&datagram.destination_port.to_be_bytes());
        frame.extend_from_slice(&(length as u16).to_be_bytes());
        frame.extend_from_slice(&[0, 0]);
        frame.extend_from_slice(datagram.data);
        let segment = &mut frame[ETHERNET_BYTES + IPV6_BYTES..];
        self.fill_checksum(NEXT_HEADER_UDP, segment, 6);
        frame
    }

    fn fill_checksum(&self, next_header: u8, upper: &mut [u8], at: usize) {
        upper[at..at + 2].fill(0);
        let sum = match checksum(self.source, self.destination, next_header, upper) {
            // RFC 8200 §8.1: a UDP checksum of zero is sent as its other form.
            0 if next_header == NEXT_HEADER_UDP => 0xffff,
            sum => sum,
        };
        upper[at..at + 2].copy_from_slice(&sum.to_be_bytes());
    }

    fn frame(&self, next_header: u8, upper: &[u8]) -> Vec<u8> {
        let mut frame = self.headers(next_header, upper.len());
        frame.extend_from_slice(upper);
        frame
    }

    /// A frame's beginning, with room for an upper layer of this length, bytes.
    fn headers(&self, next_header: u8, length: usize) -> Vec<u8> {
        let mut frame = Vec::with_capacity(ETHERNET_BYTES + IPV6_BYTES + length);
        frame.extend_from_slice(&self.mac_destination.0);
        frame.extend_from_slice(&self.mac_source.0);
        frame.extend_from_slice(&ETHERTYPE_IPV6.to_be_bytes());
        frame.extend_from_slice(&[0x60, 0, 0, 0]);
        frame.extend_from_slice(&(length as u16).to_be_bytes());
        frame.extend_from_slice(&[next_header, self.hop_limit]);
        frame.extend_from_slice(&self.source.octets());
        frame.extend_from_slice(&self.destination.octets());
        frame
    }
}

/// The Internet checksum over the pseudo-header and the upper layer (RFC 8200 §8.1). Zero over a message that already
/// holds its checksum says that it is right.
pub fn checksum(source: Ipv6Addr, destination: Ipv6Addr, next_header: u8, upper: &[u8]) -> u16 {
    finish(
        sum(&source.octets())
            + sum(&destination.octets())
            + sum(&(upper.len() as u32).to_be_bytes())
            + sum(&[0, 0, 0, next_header])
            + sum(upper),
    )
}

/// The sum of 16-bit words, an odd last byte as a word's high half (RFC 1071).
pub(crate) fn sum(bytes: &[u8]) -> u64 {
    let words = bytes.chunks(2).map(|pair| {
        let low = pair.get(1).copied().unwrap_or(0);
        u64::from(u16::from_be_bytes([pair[0], low]))
    });
    words.sum()
}

/// The ones' complement of a sum of words (RFC 1071).
pub(crate) fn finish(mut sum: u64) -> u16 {
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

/// The Ethernet address of a multicast group (RFC 2464 §7).
pub fn multicast_mac(group: Ipv6Addr) -> Mac {
    let [.., a, b, c, d] = group.octets();
    Mac([0x33, 0x33, a, b, c, d])
}

/// The solicited-node group of an address (RFC 4291 §2.7.1).
pub fn solicited_node(address: Ipv6Addr) -> Ipv6Addr {
    let base = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 1, 0xff00, 0).to_bits();
    Ipv6Addr::from_bits(base | (address.to_bits() & 0xff_ffff))
}

#[cfg(test)]
mod tests;
