//! A guest whose device leaves checksums and segments to the host: virtio, by QEMU or by vhost-net.

use std::net::{Ipv4Addr, Ipv6Addr, UdpSocket};

use hextet_agent::kernel::links;
use hextet_agent::kernel::{NeighRow, PortRow, SourceRow, Verdict};
use hextet_core::ids::PortNumber;
use hextet_core::mac::Mac;

use crate::support::frames::{ethernet, ipv6_packet};
use crate::support::tap::{Cut, Offload, Tap};
use crate::support::{Host, MTU, NET, eventually};

const MAC: Mac = Mac([0xfa, 0x16, 0x3e, 0, 0, 0x99]);
const ADDRESS: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0x99);
const IPV4: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 99);
const NUMBER: PortNumber = PortNumber(99);
/// The lengths of headers without options.
const IPV6: usize = 14 + 40;
const IPV4_LEN: u16 = 20;
const TCP: usize = 20;
const UDP: usize = 8;
/// Where a TCP and a UDP header have their checksum.
const TCP_CHECKSUM: u16 = 16;
const UDP_CHECKSUM: u16 = 6;
/// What a segment may hold.
const SEGMENT: u16 = MTU as u16 - 40 - TCP as u16;

/// A tap with a port of its own beside the host's guests.
fn tap_of(host: &Host) -> Tap {
    let tap = Tap::new("tapv");
    let ifindex = links::index("tapv").unwrap();
    host.fastpath().attach(ifindex).unwrap();
    let mut rows = host.rows();
    rows.ports.insert(
        ifindex,
        PortRow {
            port: NUMBER,
            net: NET,
            admin_up: true,
            guarded: true,
            direct: false,
            mtu: MTU,
            mac: MAC,
            outside: None,
        },
    );
    for address in [ADDRESS, IPV4.to_ipv6_mapped()] {
        rows.sources.insert(
            (NUMBER, address),
            SourceRow {
                local_only: false,
                learned: false,
            },
        );
    }
    rows.neigh.insert(
        (NET, ADDRESS),
        NeighRow {
            mac: MAC,
            port: Some(NUMBER),
            router: false,
        },
    );
    rows.fdb.insert((NET, MAC), ifindex);
    rows.members.entry(NET).or_default().insert(ifindex);
    host.set(&rows);
    links::set_up(ifindex, true).unwrap();
    tap
}

/// The sum of the pseudo-header (RFC 8200 §8.1), folded and not complemented: what such a guest leaves in the checksum's place.
fn pseudo_sum(to: Ipv6Addr, next: u8, length: usize) -> [u8; 2] {
    let length = u32::try_from(length).unwrap();
    let words = ADDRESS.segments().into_iter().chain(to.segments());
    let mut sum: u32 = words.map(u32::from).sum();
    sum += (length >> 16) + (length & 0xffff) + u32::from(next);
    while sum > 0xffff {
        sum = (sum >> 16) + (sum & 0xffff);
    }
    u16::try_from(sum).unwrap().to_be_bytes()
}

fn payload(bytes: usize) -> Vec<u8> {
    (0..bytes)
        .map(|at| u8::try_from(at % 251).unwrap())
        .collect()
}

fn tcp_frame(to: (Mac, Ipv6Addr), data: &[u8]) -> Vec<u8> {
    let mut segment = vec![
        0x9c, 0x40, 0x0f, 0xa0, 0, 0, 0, 1, 0, 0, 0, 1, 0x50, 0x10, 0x20, 0,
    ];
    segment.extend(pseudo_sum(to.1, 6, TCP + data.len()));
    segment.extend([0, 0]);
    segment.extend(data);
    ethernet(MAC, to.0, 0x86dd, &ipv6_packet(ADDRESS, to.1, 6, &segment))
}

fn udp_frame(to: (Mac, Ipv6Addr), port: u16, data: &[u8]) -> Vec<u8> {
    let length = u16::try_from(UDP + data.len()).unwrap();
    let mut datagram = [
        40000_u16.to_be_bytes(),
        port.to_be_bytes(),
        length.to_be_bytes(),
    ]
    .concat();
    datagram.extend(pseudo_sum(to.1, 17, UDP + data.len()));
    datagram.extend(data);
    ethernet(
        MAC,
        to.0,
        0x86dd,
        &ipv6_packet(ADDRESS, to.1, 17, &datagram),
    )
}

fn counted(host: &Host, verdict: Verdict) -> u64 {
    let counters = host.fastpath().counters().unwrap();
    counters
        .get(&(NUMBER, verdict))
        .map_or(0, |(packets, _)| *packets)
}

/// A datagram by IPv4, its checksum absent (RFC 768).
fn udp4_frame(to: (Mac, Ipv4Addr), port: u16, data: &[u8]) -> Vec<u8> {
    let length = u16::try_from(UDP + data.len()).unwrap();
    let mut packet = [
        &[0x45, 0][..],
        &(IPV4_LEN + length).to_be_bytes(),
        &[0x12, 0x34, 0, 0, 64, 17, 0, 0],
        &IPV4.octets(),
        &to.1.octets(),
    ]
    .concat();
    let words = packet
        .chunks(2)
        .map(|pair| u32::from(pair[0]) << 8 | u32::from(pair[1]));
    let sum: u32 = words.sum();
    let sum = !u16::try_from((sum & 0xffff) + (sum >> 16)).unwrap();
    packet[10..12].copy_from_slice(&sum.to_be_bytes());
    for field in [40000, port, length, 0] {
        packet.extend(field.to_be_bytes());
    }
    packet.extend(data);
    ethernet(MAC, to.0, 0x0800, &packet)
}

/// Guests before Linux 4.14 leave the fragments of a datagram to their device.
pub fn fragmented(host: &mut Host) {
    let tap = tap_of(host);
    let guest = &host.guests[0];
    let socket = hextet_agent::kernel::netns::inside(&guest.namespace, || {
        UdpSocket::bind((guest.ipv4, 0)).unwrap()
    });
    let socket = socket.unwrap();
    socket.set_nonblocking(true).unwrap();
    let port = socket.local_addr().unwrap().port();
    let data = payload(8000);
    let frame = udp4_frame((guest.mac, guest.ipv4), port, &data);
    // The largest of whole eight octets, as such a guest has it.
    let size = (MTU as u16 - IPV4_LEN) & !7;
    let cut = |size| Offload {
        partial: None,
        segments: Some((Cut::Udp, size, 14 + IPV4_LEN + UDP as u16)),
    };
    tap.send(cut(size), &frame);
    let mut buffer = [0; 9000];
    let mut received = 0;
    eventually("the datagram", || {
        received = socket.recv(&mut buffer).unwrap_or(0);
        received > 0
    });
    assert!(buffer[..received] == data, "nothing is lost or changed");

    tap.send(cut(size + 8), &frame);
    eventually("fragments above the MTU", || {
        counted(host, Verdict::TooBig) == 1
    });
}

/// What is left to do of a frame is done for whoever gets it, and an MTU is that of the segments.
pub fn offloaded(host: &mut Host) {
    let tap = tap_of(host);
    let guest = &host.guests[0];
    let to = (guest.mac, guest.address);
    let capture = guest.capture();
    let at = |offset| Some((u16::try_from(IPV6).unwrap(), offset));

    let data = payload(20_000);
    let headers = u16::try_from(IPV6 + TCP).unwrap();
    let cut = |size| Offload {
        partial: at(TCP_CHECKSUM),
        segments: Some((Cut::TcpV6, size, headers)),
    };
    tap.send(cut(SEGMENT), &tcp_frame(to, &data));
    let mut got = Vec::new();
    eventually("the segments are there", || {
        for frame in capture.frames(guest.mac) {
            if frame.get(20) == Some(&6) {
                got.extend_from_slice(&frame[IPV6 + TCP..]);
            }
        }
        got.len() >= data.len()
    });
    assert!(got == data, "nothing is lost, doubled or changed");
    assert_eq!(counted(host, Verdict::Unicast), 1, "it crossed as one");

    tap.send(cut(SEGMENT + 1), &tcp_frame(to, &data));
    eventually("segments above the MTU", || {
        counted(host, Verdict::TooBig) == 1
    });

    let partial = Offload {
        partial: at(UDP_CHECKSUM),
        segments: None,
    };
    let socket = hextet_agent::kernel::netns::inside(&guest.namespace, || {
        UdpSocket::bind((guest.address, 0)).unwrap()
    });
    let socket = socket.unwrap();
    socket.set_nonblocking(true).unwrap();
    let port = socket.local_addr().unwrap().port();
    let data = payload(1000);
    // A wrong sum is for the guest's own kernel to find, a partial one it takes.
    tap.send(Offload::default(), &udp_frame(to, port, &payload(8)));
    tap.send(partial, &udp_frame(to, port, &data));
    let mut buffer = [0; 2000];
    let mut received = 0;
    eventually("the datagram whose sum was left to the host", || {
        received = socket.recv(&mut buffer).unwrap_or(0);
        received > 0
    });
    assert!(buffer[..received] == data);

    // And towards it: the guest's kernel leaves the sum to the device, which leaves it to the tap's reader.
    socket.send_to(&data, (ADDRESS, 4000)).unwrap();
    let mut left = None;
    eventually("the answer", || {
        while let Some((partial, frame)) = tap.receive() {
            if frame.get(20) == Some(&17) && frame.ends_with(&data) {
                left = Some(partial);
            }
        }
        left.is_some()
    });
    assert_eq!(left, Some(true), "its sum is left to the guest");
}
