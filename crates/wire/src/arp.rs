//! ARP (RFC 826) and RARP (RFC 903): what a host says unasked. Questions are answered in the fast path.

use std::net::Ipv4Addr;

use hextet_core::mac::Mac;

/// EtherType of ARP.
pub const ETHERTYPE_ARP: u16 = 0x0806;

const ETHERNET: u16 = 1;
const IPV4: u16 = 0x0800;
const REQUEST: u16 = 1;

/// An announcement (RFC 5227 §1.1): `address` is at `mac`, and whoever knows it by another forgets that. A frame from
/// `mac_source` for one station.
pub fn announcement(mac_destination: Mac, mac_source: Mac, address: Ipv4Addr, mac: Mac) -> Vec<u8> {
    let mut frame = Vec::with_capacity(42);
    frame.extend_from_slice(&mac_destination.0);
    frame.extend_from_slice(&mac_source.0);
    for field in [ETHERTYPE_ARP, ETHERNET, IPV4] {
        frame.extend_from_slice(&field.to_be_bytes());
    }
    frame.extend_from_slice(&[6, 4]);
    frame.extend_from_slice(&REQUEST.to_be_bytes());
    frame.extend_from_slice(&mac.0);
    frame.extend_from_slice(&address.octets());
    // RFC 5227 §2.3: sender and target are one; the target's hardware address says nothing.
    frame.extend_from_slice(&[0; 6]);
    frame.extend_from_slice(&address.octets());
    frame
}

/// EtherType of RARP.
const ETHERTYPE_RARP: u16 = 0x8035;
const REQUEST_REVERSE: u16 = 3;

/// A frame to all from `mac`, by which switches learn where that is, and which asks nothing that anybody answers: a RARP request
/// (RFC 903) for its own address. Other makers of switches in software say the same when an uplink takes another's place.
pub fn whereabouts(mac: Mac) -> Vec<u8> {
    let mut frame = Vec::with_capacity(42);
    frame.extend_from_slice(&[0xff; 6]);
    frame.extend_from_slice(&mac.0);
    for field in [ETHERTYPE_RARP, ETHERNET, IPV4] {
        frame.extend_from_slice(&field.to_be_bytes());
    }
    frame.extend_from_slice(&[6, 4]);
    frame.extend_from_slice(&REQUEST_REVERSE.to_be_bytes());
    // Sender and target are one, and neither knows its address.
    for _ in 0..2 {
        frame.extend_from_slice(&mac.0);
        frame.extend_from_slice(&[0; 4]);
    }
    frame
}

#[cfg(test)]
mod tests;
