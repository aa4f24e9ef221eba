//! Frames for the tests: built from their parts, with right checksums and nothing refused.

use std::net::Ipv6Addr;

use hextet_core::mac::Mac;

pub use plain::{arp_bytes, checksum, ethernet, ipv6_packet, tagged};

#[path = "../../../../tests/support/frames.rs"]
mod plain;

pub const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
pub const ALL_NODES_MAC: Mac = Mac([0x33, 0x33, 0, 0, 0, 1]);
pub const ALL_ROUTERS: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 2);
pub const ALL_ROUTERS_MAC: Mac = Mac([0x33, 0x33, 0, 0, 0, 2]);
pub const ALL_MLD: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0x16);
pub const ALL_MLD_MAC: Mac = Mac([0x33, 0x33, 0, 0, 0, 0x16]);
pub const ALL_DHCP: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 1, 2);
pub const ALL_DHCP_MAC: Mac = Mac([0x33, 0x33, 0, 1, 0, 2]);

/// An extension header.
#[derive(Clone, Copy)]
pub enum Header {
    HopByHop,
    Destination,
    Routing(u8),
    Authentication,
    Fragment {
        offset: u16,
        more: bool,
        id: u32,
    },
    /// Destination options that say they are 2048 bytes long.
    TooLong,
    /// Of eight bytes, by its number.
    Other(u8),
}

impl Header {
    fn number(self) -> u8 {
        match self {
            Header::HopByHop => 0,
            Header::Routing(_) => 43,
            Header::Fragment { .. } => 44,
            Header::Authentication => 51,
            Header::Destination | Header::TooLong => 60,
            Header::Other(number) => number,
        }
    }

    fn bytes(self, next: u8) -> Vec<u8> {
        match self {
            // PadN of six bytes.
            Header::HopByHop | Header::Destination | Header::Other(_) => {
                vec![next, 0, 1, 4, 0, 0, 0, 0]
            }
            Header::TooLong => vec![next, 255, 1, 4, 0, 0, 0, 0],
            Header::Routing(kind) => vec![next, 0, kind, 0, 0, 0, 0, 0],
            Header::Authentication => [&[next, 1, 0, 0][..], &[0; 8]].concat(),
            Header::Fragment { offset, more, id } => {
                let offset = (offset & 0xfff8) | u16::from(more);
                [&[next, 0][..], &offset.to_be_bytes(), &id.to_be_bytes()].concat()
            }
        }
    }
}

pub fn ipv6(
    source_mac: Mac,
    to_mac: Mac,
    source: Ipv6Addr,
    to: Ipv6Addr,
    next: u8,
    payload: &[u8],
) -> Vec<u8> {
    let packet = ipv6_packet(source, to, next, payload);
    ethernet(source_mac, to_mac, 0x86dd, &packet)
}

pub fn ipv6_chain(
    source_mac: Mac,
    to_mac: Mac,
    source: Ipv6Addr,
    to: Ipv6Addr,
    chain: &[Header],
    upper: u8,
    payload: &[u8],
) -> Vec<u8> {
    let mut next = upper;
    let mut bytes = payload.to_vec();
    for header in chain.iter().rev() {
        bytes.splice(0..0, header.bytes(next));
        next = header.number();
    }
    ipv6(source_mac, to_mac, source, to, next, &bytes)
}

pub fn udp_bytes(
    source: Ipv6Addr,
    to: Ipv6Addr,
    from_port: u16,
    to_port: u16,
    payload: &[u8],
) -> Vec<u8> {
    let length = u16::try_from(8 + payload.len()).unwrap();
    let mut bytes = [
        &from_port.to_be_bytes()[..],
        &to_port.to_be_bytes(),
        &length.to_be_bytes(),
        &[0, 0],
        payload,
    ]
    .concat();
    let sum = checksum(source, to, 17, &bytes);
    bytes[6..8].copy_from_slice(&sum.to_be_bytes());
    bytes
}

pub fn udp(
    source_mac: Mac,
    to_mac: Mac,
    source: Ipv6Addr,
    to: Ipv6Addr,
    from_port: u16,
    to_port: u16,
    payload: &[u8],
) -> Vec<u8> {
    let bytes = udp_bytes(source, to, from_port, to_port, payload);
    ipv6(source_mac, to_mac, source, to, 17, &bytes)
}

/// `body` follows type, code and checksum.
pub fn icmpv6_bytes(source: Ipv6Addr, to: Ipv6Addr, kind: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = [&[kind, 0, 0, 0][..], body].concat();
    let sum = checksum(source, to, 58, &bytes);
    bytes[2..4].copy_from_slice(&sum.to_be_bytes());
    bytes
}

pub fn icmpv6(
    source_mac: Mac,
    to_mac: Mac,
    kind: u8,
    source: Ipv6Addr,
    to: Ipv6Addr,
    body: &[u8],
) -> Vec<u8> {
    ipv6(
        source_mac,
        to_mac,
        source,
        to,
        58,
        &icmpv6_bytes(source, to, kind, body),
    )
}

/// An MLD message: behind a hop-by-hop header, with a hop limit of 1. `body` follows type, code and checksum.
pub fn mld(source_mac: Mac, source: Ipv6Addr, to: Ipv6Addr, kind: u8, body: &[u8]) -> Vec<u8> {
    let upper = icmpv6_bytes(source, to, kind, body);
    let to_mac = group_mac(to);
    let mut frame = ipv6_chain(
        source_mac,
        to_mac,
        source,
        to,
        &[Header::HopByHop],
        58,
        &upper,
    );
    frame[14 + 7] = 1;
    frame
}

/// RFC 2464 §7.
pub fn group_mac(group: Ipv6Addr) -> Mac {
    let [.., a, b, c, d] = group.octets();
    Mac([0x33, 0x33, a, b, c, d])
}

/// A link-layer address option (RFC 4861 §4.6.1).
pub fn link_layer(kind: u8, mac: Mac) -> Vec<u8> {
    [&[kind, 1][..], &mac.0].concat()
}

/// RFC 4291 §2.7.1.
pub fn solicited_node_address(target: Ipv6Addr) -> Ipv6Addr {
    let prefix = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 1, 0xff00, 0);
    Ipv6Addr::from_bits(prefix.to_bits() | (target.to_bits() & 0xff_ffff))
}

pub fn solicited_node(target: Ipv6Addr) -> Mac {
    let [.., a, b, c] = target.octets();
    Mac([0x33, 0x33, 0xff, a, b, c])
}
