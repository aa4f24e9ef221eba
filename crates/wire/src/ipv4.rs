//! Ethernet II with IPv4 (RFC 791) and UDP, as far as DHCPv4 needs them.
//!
//! Left out: options (a header that has them is walked over, they are never looked into), fragments (refused by name),
//! and ARP, which the fast path answers.

use std::net::Ipv4Addr;

use hextet_core::mac::Mac;

use crate::bytes::Reader;
use crate::frame::{ETHERNET_BYTES, NEXT_HEADER_UDP, Udp, finish, sum};

/// Ethertype of IPv4 (RFC 894).
pub const ETHERTYPE_IPV4: u16 = 0x0800;
/// Length of an IPv4 header without options, bytes.
pub const IPV4_BYTES: usize = 20;
/// Time to live of what a host sends (RFC 1700: 64).
const TTL: u8 = 64;
/// Of the field that holds flags and offset: Don't Fragment.
const DONT_FRAGMENT: u16 = 0x4000;
/// Of the same field: More Fragments, and the offset.
const FRAGMENT: u16 = 0x3fff;

/// Why a frame is not a whole IPv4 packet with a UDP datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Ipv4Error {
    /// Shorter than its headers, or its lengths contradict each other.
    #[error("the packet is shorter than its headers say")]
    Truncated,
    /// Not IPv4 in Ethernet II.
    #[error("ethertype {0:#06x} is not IPv4")]
    NotIpv4(u16),
    /// The IPv4 header says another version.
    #[error("IP version {0} in a frame of ethertype IPv4")]
    Version(u8),
    /// The header's checksum is wrong (RFC 1122 §3.2.1.2).
    #[error("the header's checksum is wrong")]
    Checksum,
    /// A group address where a single station's is wanted (RFC 1122 §3.2.1.3).
    #[error("the source is no single station's address")]
    Source,
    /// A part of a packet.
    #[error("the packet is a fragment")]
    Fragment,
    /// Another protocol than UDP.
    #[error("protocol {0} is not UDP")]
    NotUdp(u8),
}

/// What stands around a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ipv4Envelope {
    /// Ethernet destination.
    pub mac_destination: Mac,
    /// Ethernet source.
    pub mac_source: Mac,
    /// IPv4 source; 0.0.0.0 of a client that has no address yet.
    pub source: Ipv4Addr,
    /// IPv4 destination.
    pub destination: Ipv4Addr,
}

/// Parses a frame down to its datagram. The UDP checksum is not looked at: a guest's may still be partial, for its
/// virtual device to complete.
///
/// # Errors
/// When it is no whole IPv4 packet with a whole datagram.
pub fn parse(frame: &[u8]) -> Result<(Ipv4Envelope, Udp<'_>), Ipv4Error> {
    let mut reader = Reader::new(frame);
    let mut fixed = || {
        let macs = (Mac(reader.array()?), Mac(reader.array()?));
        Some((macs, reader.u16()?))
    };
    let ((mac_destination, mac_source), ethertype) = fixed().ok_or(Ipv4Error::Truncated)?;
    if ethertype != ETHERTYPE_IPV4 {
        return Err(Ipv4Error::NotIpv4(ethertype));
    }
    let packet = reader.rest();
    let first = *packet.first().ok_or(Ipv4Error::Truncated)?;
    if first >> 4 != 4 {
        return Err(Ipv4Error::Version(first >> 4));
    }
    let header_len = usize::from(first & 0xf) * 4;
    let (header, _) = packet
        .split_at_checked(header_len)
        .filter(|_| header_len >= IPV4_BYTES)
        .ok_or(Ipv4Error::Truncated)?;
    if finish(sum(header)) != 0 {
        return Err(Ipv4Error::Checksum);
    }
    let mut reader = Reader::new(header);
    let mut fixed = || {
        let [_, _] = reader.array()?;
        let length = reader.u16()?;
        let [_, _] = reader.array()?;
        let fragment = reader.u16()?;
        let [_, protocol] = reader.array()?;
        reader.u16()?;
        let addresses = (reader.ipv4()?, reader.ipv4()?);
        Some((length, fragment, protocol, addresses))
    };
    let (length, fragment, protocol, (source, destination)) =
        fixed().ok_or(Ipv4Error::Truncated)?;
    let payload = packet
        .get(header_len..usize::from(length))
        .ok_or(Ipv4Error::Truncated)?;
    if mac_source.is_multicast() || source.is_multicast() || source.is_broadcast() {
        return Err(Ipv4Error::Source);
    }
    if fragment & FRAGMENT != 0 {
        return Err(Ipv4Error::Fragment);
    }
    if protocol != NEXT_HEADER_UDP {
        return Err(Ipv4Error::NotUdp(protocol));
    }
    let envelope = Ipv4Envelope {
        mac_destination,
        mac_source,
        source,
        destination,
    };
    let udp = Udp::parse(payload).ok_or(Ipv4Error::Truncated)?;
    Ok((envelope, udp))
}

impl Ipv4Envelope {
    /// A frame with a UDP datagram, whole.
    pub fn udp(&self, datagram: Udp<'_>) -> Vec<u8> {
        let udp_len = datagram.data.len() + 8;
        let length = IPV4_BYTES + udp_len;
        let mut header = Vec::with_capacity(IPV4_BYTES);
        header.extend_from_slice(&[0x45, 0]);
        header.extend_from_slice(&(length as u16).to_be_bytes());
        header.extend_from_slice(&[0, 0]);
        header.extend_from_slice(&DONT_FRAGMENT.to_be_bytes());
        header.extend_from_slice(&[TTL, NEXT_HEADER_UDP, 0, 0]);
        header.extend_from_slice(&self.source.octets());
        header.extend_from_slice(&self.destination.octets());
        let checksum = finish(sum(&header));
        header[10..12].copy_from_slice(&checksum.to_be_bytes());

        let mut segment = Vec::with_capacity(udp_len);
        segment.extend_from_slice(&datagram.source_port.to_be_bytes());
        segment.extend_from_slice(&datagram.destination_port.to_be_bytes());
        segment.extend_from_slice(&(udp_len as u16).to_be_bytes());
        segment.extend_from_slice(&[0, 0]);
        segment.extend_from_slice(datagram.data);
        // RFC 768: a sum of zero is sent as its other form.
        let checksum = match self.udp_checksum(&segment) {
            0 => 0xffff,
            sum => sum,
        };
        segment[6..8].copy_from_slice(&checksum.to_be_bytes());

        let mut frame = Vec::with_capacity(ETHERNET_BYTES + length);
        frame.extend_from_slice(&self.mac_destination.0);
        frame.extend_from_slice(&self.mac_source.0);
        frame.extend_from_slice(&ETHERTYPE_IPV4.to_be_bytes());
        frame.extend_from_slice(&header);
        frame.extend_from_slice(&segment);
        frame
    }

    /// Over the pseudo-header and the segment (RFC 768).
    fn udp_checksum(&self, segment: &[u8]) -> u16 {
        let length = (segment.len() as u16).to_be_bytes();
        finish(
            sum(&self.source.octets())
                + sum(&self.destination.octets())
                + sum(&[0, NEXT_HEADER_UDP])
                + sum(&length)
                + sum(segment),
        )
    }
}

#[cfg(test)]
mod tests;
