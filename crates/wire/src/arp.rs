//! ARP (RFC 826): what a host says unasked. Questions are answered in the fast path.

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

#[cfg(test)]
mod tests;
