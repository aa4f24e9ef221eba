//! Frames from their parts, for the tests that sit with the code and those that do not.

use std::net::{Ipv4Addr, Ipv6Addr};

use hextet_core::mac::Mac;

pub fn ethernet(source: Mac, destination: Mac, ethertype: u16, payload: &[u8]) -> Vec<u8> {
    [
        &destination.0[..],
        &source.0,
        &ethertype.to_be_bytes(),
        payload,
    ]
    .concat()
}

/// The frame with these tags (TPID, TCI) before its EtherType.
pub fn tagged(frame: &[u8], tags: &[(u16, u16)]) -> Vec<u8> {
    let mut tagged = frame[..12].to_vec();
    for (tpid, tci) in tags {
        tagged.extend(tpid.to_be_bytes());
        tagged.extend(tci.to_be_bytes());
    }
    [&tagged, &frame[12..]].concat()
}

/// A packet, with a hop limit of 255.
pub fn ipv6_packet(source: Ipv6Addr, to: Ipv6Addr, next: u8, payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(payload.len()).unwrap();
    [
        &[0x60, 0, 0, 0][..],
        &length.to_be_bytes(),
        &[next, 255],
        &source.octets(),
        &to.octets(),
        payload,
    ]
    .concat()
}

pub fn arp_bytes(
    operation: u16,
    sender_mac: Mac,
    sender: Ipv4Addr,
    target_mac: Mac,
    target: Ipv4Addr,
) -> Vec<u8> {
    [
        &[0, 1, 8, 0, 6, 4][..],
        &operation.to_be_bytes(),
        &sender_mac.0,
        &sender.octets(),
        &target_mac.0,
        &target.octets(),
    ]
    .concat()
}

/// RFC 8200 §8.1.
pub fn checksum(source: Ipv6Addr, to: Ipv6Addr, next: u8, bytes: &[u8]) -> u16 {
    let length = u32::try_from(bytes.len()).unwrap();
    let covered = [
        &source.octets()[..],
        &to.octets(),
        &length.to_be_bytes(),
        &[0, 0, 0, next],
        bytes,
    ]
    .concat();
    let mut sum: u64 = covered
        .chunks(2)
        .map(|pair| u64::from(pair[0]) << 8 | u64::from(*pair.get(1).unwrap_or(&0)))
        .sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}
