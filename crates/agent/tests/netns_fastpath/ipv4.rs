//! IPv4 between real guests.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};

use hextet_agent::kernel::{Kind, Sender, Verdict, netns};
use hextet_core::mac::Mac;

use crate::support::frames::{arp_bytes, ethernet};
use crate::support::{Guest, Host, MTU, eventually};

const BROADCAST: Mac = Mac([0xff; 6]);

pub fn reach_by_ipv4(host: &mut Host) {
    let [a, b, c] = &host.guests[..] else {
        unreachable!("three guests")
    };
    let capture = c.capture();
    reaches(a, b.ipv4, &[]);
    reaches(b, a.ipv4, &[]);
    // In fragments.
    reaches(a, b.ipv4, &["-s", "20000"]);
    large_segments(a, b);
    assert_eq!(
        capture.frames(c.mac),
        Vec::<Vec<u8>>::new(),
        "unicast or ARP of others"
    );
    // The capture would have seen it: a broadcast is for all.
    let _ = a.output(&["ping", "-b", "-c", "1", "-W", "1", "10.0.0.255"]);
    eventually("the third sees a broadcast", || {
        !capture.frames(c.mac).is_empty()
    });
    let counted = host.counted(0);
    assert!(counted[&Verdict::ArpAnswered] > 0);
    assert!(counted[&Verdict::Multicast] > 0);
    for verdict in [
        Verdict::SourceSpoofed,
        Verdict::TooBig,
        Verdict::OrphanFragment,
        Verdict::Malformed,
    ] {
        assert_eq!(counted.get(&verdict), None, "{}", verdict.name());
    }
    let packets = counted[&Verdict::Unicast];
    assert!(
        packets < (BYTES / MTU as usize) as u64,
        "{packets} packets: segments crossed one by one"
    );
    let nobody = Ipv4Addr::new(10, 0, 0, 77);
    assert!(!pings(a, nobody, &["-c", "1"]));
    assert!(host.counted(0)[&Verdict::ArpUnknown] > 0);
}

const BYTES: usize = 16 << 20;

fn large_segments(a: &Guest, b: &Guest) {
    let listener =
        netns::inside(&b.namespace, || TcpListener::bind((b.ipv4, 4000)).unwrap()).unwrap();
    let received = std::thread::scope(|scope| {
        let receiver = scope.spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut received = 0;
            let mut buffer = vec![0; 1 << 16];
            loop {
                match stream.read(&mut buffer).unwrap() {
                    0 => return received,
                    some => received += some,
                }
            }
        });
        let mut stream =
            netns::inside(&a.namespace, || TcpStream::connect((b.ipv4, 4000)).unwrap()).unwrap();
        stream.write_all(&vec![7; BYTES]).unwrap();
        drop(stream);
        receiver.join().unwrap()
    });
    assert_eq!(received, BYTES);
}

pub fn attacks_by_ipv4(host: &mut Host) {
    let (attacker, victim) = (&host.guests[0], &host.guests[1]);
    let (mac, to) = (attacker.mac, victim.mac);
    // It knows the neighbour then.
    reaches(victim, attacker.ipv4, &[]);
    let capture = victim.capture();
    let nobody = Ipv4Addr::new(10, 0, 0, 66);
    let forged = arp_bytes(
        2,
        Mac([2, 0, 0, 0, 0, 0x66]),
        attacker.ipv4,
        to,
        victim.ipv4,
    );
    let cases = [
        (ethernet(mac, to, 0x0806, &forged), Verdict::ArpSpoofed),
        (
            ethernet(mac, to, 0x0806, &arp_bytes(2, mac, nobody, to, victim.ipv4)),
            Verdict::ArpSpoofed,
        ),
        (
            ethernet(
                mac,
                BROADCAST,
                0x0806,
                &arp_bytes(1, mac, nobody, Mac([0; 6]), nobody),
            ),
            Verdict::ArpSpoofed,
        ),
        (
            ethernet(mac, BROADCAST, 0x0806, &forged[..20]),
            Verdict::ArpMalformed,
        ),
        (
            ethernet(mac, to, 0x0800, &udp(nobody, victim.ipv4, 9)),
            Verdict::SourceSpoofed,
        ),
        (
            ethernet(mac, to, 0x0800, &udp(Ipv4Addr::UNSPECIFIED, victim.ipv4, 9)),
            Verdict::SourceSpoofed,
        ),
        (
            ethernet(mac, to, 0x0800, &udp(attacker.ipv4, victim.ipv4, 68)),
            Verdict::Dhcpv4Server,
        ),
        (
            ethernet(
                mac,
                BROADCAST,
                0x0800,
                &udp(attacker.ipv4, Ipv4Addr::BROADCAST, 68),
            ),
            Verdict::Dhcpv4Server,
        ),
        (
            ethernet(mac, to, 0x0800, &udp(attacker.ipv4, victim.ipv4, 9)[..19]),
            Verdict::Malformed,
        ),
    ];
    for (frame, verdict) in &cases {
        assert_eq!(verdict.kind(), Kind::Drop);
        host.attack(0, frame, *verdict);
    }
    assert_eq!(capture.frames(victim.mac), Vec::<Vec<u8>>::new());
    // What would have happened: the same forged answer, sent as the network sends it, is believed.
    let believed = || {
        let shown = victim.output(&["ip", "neigh", "show", "dev", "eth0"]);
        String::from_utf8_lossy(&shown.stdout).contains("02:00:00:00:00:66")
    };
    assert!(!believed());
    let frame = ethernet(mac, to, 0x0806, &forged);
    eventually("a forged answer is believed", || {
        Sender::new().unwrap().send(victim.ifindex, &frame).unwrap();
        believed()
    });
}

/// Waits until an address answers.
fn reaches(guest: &Guest, address: Ipv4Addr, options: &[&str]) {
    eventually(&format!("{address} answers"), || {
        pings(guest, address, options)
    });
}

fn pings(guest: &Guest, address: Ipv4Addr, options: &[&str]) -> bool {
    let to = address.to_string();
    let command = ["ping", "-4", "-c", "3", "-i", "0.1", "-W", "2"];
    let output = guest.output(&[&command, options, &[&to]].concat());
    output.status.success()
}

/// A datagram without data to this port; its IPv4 checksum is nobody's concern here.
fn udp(source: Ipv4Addr, to: Ipv4Addr, port: u16) -> Vec<u8> {
    [
        &[0x45, 0, 0, 28, 0, 0, 0, 0, 64, 17, 0, 0][..],
        &source.octets(),
        &to.octets(),
        &[0, 9],
        &port.to_be_bytes(),
        &[0, 8, 0, 0],
    ]
    .concat()
}
