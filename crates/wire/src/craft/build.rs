//! From what was said to bytes.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use hextet_core::mac::Mac;

use super::{CraftError, Extension, Guest, Network, Resolve, Said, Upper};
use crate::frame::{
    ETHERTYPE_IPV6, NEXT_HEADER_ICMPV6, NEXT_HEADER_UDP, checksum, finish, multicast_mac, sum,
};
use crate::ipv4::ETHERTYPE_IPV4;

const ETHERTYPE_ARP: u16 = 0x0806;
const ETHERTYPE_VLAN: u16 = 0x8100;
const PROTO_ICMP: u8 = 1;
const PROTO_TCP: u8 = 6;
const NO_NEXT_HEADER: u8 = 59;
const HOP_LIMIT: u8 = 64;
/// Source port where none is said.
const EPHEMERAL: u16 = 40_000;

pub(super) fn frame(
    said: &Said,
    guest: &Guest,
    resolve: Resolve<'_>,
) -> Result<Vec<u8>, CraftError> {
    let (ethertype, destination, packet) = match said.network {
        Network::Ipv6 => {
            let (destination, packet) = ipv6(said, guest);
            (ETHERTYPE_IPV6, IpAddr::V6(destination), packet)
        }
        Network::Ipv4 => {
            let (destination, packet) = ipv4(said, guest);
            (ETHERTYPE_IPV4, IpAddr::V4(destination), packet)
        }
        Network::Arp => {
            let broadcast = IpAddr::V4(Ipv4Addr::BROADCAST);
            (ETHERTYPE_ARP, broadcast, arp(said, guest))
        }
    };
    let mac_destination = match said.mac_destination {
        Some(mac) => mac,
        None => station(destination, guest, resolve)?,
    };
    let mut frame = [mac_destination.0, said.mac_source.unwrap_or(guest.mac).0].concat();
    if let Some(tag) = said.vlan {
        frame.extend(ETHERTYPE_VLAN.to_be_bytes());
        frame.extend(tag.to_be_bytes());
    }
    frame.extend(ethertype.to_be_bytes());
    frame.extend(packet);
    Ok(frame)
}

/// Who a guest would send it to.
fn station(destination: IpAddr, guest: &Guest, resolve: Resolve<'_>) -> Result<Mac, CraftError> {
    match destination {
        IpAddr::V6(group) if group.is_multicast() => Ok(multicast_mac(group)),
        IpAddr::V4(all) if all.is_broadcast() => Ok(Mac([0xff; 6])),
        IpAddr::V4(group) if group.is_multicast() => {
            let [_, high, middle, low] = group.octets();
            Ok(Mac([1, 0, 0x5e, high & 0x7f, middle, low]))
        }
        IpAddr::V6(address) if address == guest.service_mac.link_local() => Ok(guest.service_mac),
        IpAddr::V4(address) if address == guest.service_ipv4 => Ok(guest.service_mac),
        other => resolve(other).ok_or(CraftError::Unresolved(other)),
    }
}

fn ipv6(said: &Said, guest: &Guest) -> (Ipv6Addr, Vec<u8>) {
    let source = v6(said.source, guest.ipv6);
    let target = v6(said.target, guest.ipv6);
    let usual = match said.kind {
        Some(135) => solicited_node(target),
        _ => guest.service_mac.link_local(),
    };
    let destination = v6(said.destination, usual);
    let (proto, upper) = upper_v6(said, guest, source, destination);
    let mut next = said.next.unwrap_or(proto);
    let mut payload = upper;
    for extension in said.extensions.iter().rev() {
        let (number, header) = extension_header(*extension, said, next);
        payload.splice(0..0, header);
        next = number;
    }
    // Bounded by the frame's size, which is checked behind this.
    let length = u16::try_from(payload.len()).unwrap_or(u16::MAX);
    let mut packet = vec![0x60, 0, 0, 0];
    packet.extend(length.to_be_bytes());
    packet.extend([next, said.hop_limit.unwrap_or(HOP_LIMIT)]);
    packet.extend(source.octets());
    packet.extend(destination.octets());
    packet.extend(payload);
    (destination, packet)
}

/// RFC 4291 §2.7.1.
fn solicited_node(target: Ipv6Addr) -> Ipv6Addr {
    let low = target.to_bits() & 0xff_ffff;
    Ipv6Addr::from_bits(0xff02_0000_0000_0000_0000_0001_ff00_0000 | low)
}

fn extension_header(extension: Extension, said: &Said, next: u8) -> (u8, Vec<u8>) {
    match extension {
        Extension::HopByHop => (0, vec![next, 0, 1, 4, 0, 0, 0, 0]),
        Extension::Destination => (60, vec![next, 0, 1, 4, 0, 0, 0, 0]),
        Extension::Routing => (43, vec![next, 0, said.routing_type, 0, 0, 0, 0, 0]),
        Extension::Fragment => {
            let [high, low] = (said.offset & 0xfff8 | u16::from(said.more)).to_be_bytes();
            (44, vec![next, 0, high, low, 0, 0, 0, 1])
        }
    }
}

fn upper_v6(said: &Said, guest: &Guest, source: Ipv6Addr, destination: Ipv6Addr) -> (u8, Vec<u8>) {
    let (proto, mut upper, place) = match said.upper {
        Upper::None => return (NO_NEXT_HEADER, said.data.clone()),
        Upper::Udp | Upper::Dhcpv4 => (NEXT_HEADER_UDP, udp(said, &said.data), 6),
        Upper::Dhcpv6 => (NEXT_HEADER_UDP, udp(said, &dhcpv6(said, guest)), 6),
        Upper::Tcp => (PROTO_TCP, tcp(said), 16),
        Upper::Icmpv6 | Upper::Icmp => (NEXT_HEADER_ICMPV6, icmpv6(said, guest), 2),
    };
    let right = checksum(source, destination, proto, &upper);
    upper[place..place + 2].copy_from_slice(&right.to_be_bytes());
    (proto, upper)
}

fn icmpv6(said: &Said, guest: &Guest) -> Vec<u8> {
    let kind = said.kind.unwrap_or(128);
    let target = v6(said.target, guest.ipv6).octets();
    let mut message = vec![kind, said.code, 0, 0];
    match kind {
        // RFC 4861 §4.1 to §4.5.
        133 => message.extend([0; 4]),
        134 => {
            message.extend([64, 0, 7, 8]);
            message.extend([0; 8]);
        }
        135 => {
            message.extend([0; 4]);
            message.extend(target);
        }
        136 => {
            message.extend([0x20, 0, 0, 0]);
            message.extend(target);
        }
        137 => {
            message.extend([0; 4]);
            message.extend(target);
            message.extend(target);
        }
        // RFC 3810 §5.2: one record, which leaves a group for nobody's sources.
        143 => {
            message.extend([0, 0, 0, 1, 4, 0, 0, 0]);
            message.extend(target);
        }
        _ => message.extend([0; 4]),
    }
    if let Some(mac) = said.link_layer {
        message.extend([if kind == 136 { 2 } else { 1 }, 1]);
        message.extend(mac.0);
    }
    message.extend(&said.data);
    message
}

fn udp(said: &Said, data: &[u8]) -> Vec<u8> {
    let length = u16::try_from(8 + data.len()).unwrap_or(u16::MAX);
    let ports = [
        said.source_port.unwrap_or(EPHEMERAL),
        said.destination_port.unwrap_or(9),
    ];
    let mut datagram: Vec<u8> = ports.iter().flat_map(|port| port.to_be_bytes()).collect();
    datagram.extend(length.to_be_bytes());
    datagram.extend([0, 0]);
    datagram.extend(data);
    datagram
}

/// A SYN.
fn tcp(said: &Said) -> Vec<u8> {
    let ports = [
        said.source_port.unwrap_or(EPHEMERAL),
        said.destination_port.unwrap_or(80),
    ];
    let mut segment: Vec<u8> = ports.iter().flat_map(|port| port.to_be_bytes()).collect();
    segment.extend([0, 0, 0, 1, 0, 0, 0, 0, 0x50, 2, 0xff, 0xff, 0, 0, 0, 0]);
    segment.extend(&said.data);
    segment
}

/// A message with the client's DUID-LL; other than an Information-request with an empty IA_NA.
fn dhcpv6(said: &Said, guest: &Guest) -> Vec<u8> {
    let kind = said.kind.unwrap_or(1);
    let mut message = vec![kind, 0, 0, 1];
    message.extend([0, 1, 0, 10, 0, 3, 0, 1]);
    message.extend(guest.mac.0);
    message.extend([0, 8, 0, 2, 0, 0]);
    if kind != 11 {
        message.extend([0, 3, 0, 12, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0]);
    }
    message.extend(&said.data);
    message
}

fn ipv4(said: &Said, guest: &Guest) -> (Ipv4Addr, Vec<u8>) {
    let source = v4(said.source, guest.ipv4);
    let destination = v4(said.destination, guest.service_ipv4);
    let (proto, upper) = upper_v4(said, guest, source, destination);
    let length = u16::try_from(20 + upper.len()).unwrap_or(u16::MAX);
    let mut packet = vec![0x45, 0];
    packet.extend(length.to_be_bytes());
    let flags = (said.offset / 8) & 0x1fff | if said.more { 0x2000 } else { 0 };
    packet.extend([0, 1]);
    packet.extend(flags.to_be_bytes());
    packet.extend([
        said.hop_limit.unwrap_or(HOP_LIMIT),
        said.next.unwrap_or(proto),
        0,
        0,
    ]);
    packet.extend(source.octets());
    packet.extend(destination.octets());
    let right = finish(sum(&packet));
    packet[10..12].copy_from_slice(&right.to_be_bytes());
    packet.extend(upper);
    (destination, packet)
}

fn upper_v4(said: &Said, guest: &Guest, source: Ipv4Addr, destination: Ipv4Addr) -> (u8, Vec<u8>) {
    let (proto, mut upper, place) = match said.upper {
        Upper::None => return (NO_NEXT_HEADER, said.data.clone()),
        Upper::Udp | Upper::Dhcpv6 => (NEXT_HEADER_UDP, udp(said, &said.data), 6),
        Upper::Dhcpv4 => (NEXT_HEADER_UDP, udp(said, &dhcpv4(said, guest)), 6),
        Upper::Tcp => (PROTO_TCP, tcp(said), 16),
        Upper::Icmp | Upper::Icmpv6 => {
            let mut message = vec![said.kind.unwrap_or(8), said.code, 0, 0, 0, 1, 0, 1];
            message.extend(&said.data);
            let right = finish(sum(&message));
            message[2..4].copy_from_slice(&right.to_be_bytes());
            return (PROTO_ICMP, message);
        }
    };
    let pseudo = [&source.octets()[..], &destination.octets(), &[0, proto]].concat();
    let right = finish(sum(&pseudo) + upper.len() as u64 + sum(&upper));
    upper[place..place + 2].copy_from_slice(&right.to_be_bytes());
    (proto, upper)
}

/// RFC 2131 §2, with a message type and nothing else.
fn dhcpv4(said: &Said, guest: &Guest) -> Vec<u8> {
    let to_server = said.destination_port != Some(68);
    let mut message = vec![if to_server { 1 } else { 2 }, 1, 6, 0, 0, 0, 0, 1];
    message.extend([0; 20]);
    message.extend(guest.mac.0);
    message.extend([0; 10 + 64 + 128]);
    message.extend([99, 130, 83, 99]);
    message.extend([
        53,
        1,
        said.kind.unwrap_or(if to_server { 1 } else { 2 }),
        255,
    ]);
    message.extend(&said.data);
    message
}

/// A request for the target (RFC 826).
fn arp(said: &Said, guest: &Guest) -> Vec<u8> {
    let mut message = vec![0, 1, 8, 0, 6, 4, 0, said.kind.unwrap_or(1)];
    message.extend(said.link_layer.unwrap_or(guest.mac).0);
    message.extend(v4(said.source, guest.ipv4).octets());
    message.extend([0; 6]);
    message.extend(v4(said.target, guest.service_ipv4).octets());
    message
}

/// The words' order decides the family of an address; one of the other family is as if it had not been said.
fn v6(said: Option<IpAddr>, otherwise: Ipv6Addr) -> Ipv6Addr {
    match said {
        Some(IpAddr::V6(address)) => address,
        _ => otherwise,
    }
}

fn v4(said: Option<IpAddr>, otherwise: Ipv4Addr) -> Ipv4Addr {
    match said {
        Some(IpAddr::V4(address)) => address,
        _ => otherwise,
    }
}
