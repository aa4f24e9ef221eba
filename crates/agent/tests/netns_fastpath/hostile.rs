//! Hostile frames in disguise, which a guest really sends: each is dropped for its reason, and none arrives. Where a kernel
//! takes one for what it pretends to be, the same frames are handed to the victim afterwards: they are no harmless ones.

use std::net::Ipv6Addr;

use hextet_agent::kernel::{Kind, Sender, Verdict};

use crate::support::frames::{ethernet, ipv6_packet, tagged};
use crate::support::{Guest, Host, eventually};
use crate::{ALL_NODES, ALL_NODES_MAC, icmpv6, rogue_ra};

const IPV6: u16 = 0x86dd;
const SNAP_IPV6: [u8; 8] = [0xaa, 0xaa, 3, 0, 0, 0, 0x86, 0xdd];

const HOP_BY_HOP: u8 = 0;
const UDP: u8 = 17;
const ROUTING: u8 = 43;
const FRAGMENT: u8 = 44;
const ICMPV6: u8 = 58;
const DESTINATION: u8 = 60;

/// An extension header of eight bytes: its number, and what follows the two that say what is next and how long it is.
type Header = (u8, [u8; 6]);

/// PadN of six bytes.
const OPTIONS: [u8; 6] = [1, 4, 0, 0, 0, 0];

fn fragment(offset: u16, more: bool, id: u8) -> Header {
    let [high, low] = (offset | u16::from(more)).to_be_bytes();
    (FRAGMENT, [high, low, 0x5a, 0, 0, id])
}

/// An upper layer behind these headers.
fn chained(source: Ipv6Addr, to: Ipv6Addr, headers: &[Header], next: u8, upper: &[u8]) -> Vec<u8> {
    let first = headers.first().map_or(next, |header| header.0);
    let mut bytes = Vec::new();
    for (at, (_, rest)) in headers.iter().enumerate() {
        let next = headers.get(at + 1).map_or(next, |header| header.0);
        bytes.extend([next, 0]);
        bytes.extend(rest);
    }
    bytes.extend(upper);
    ipv6_packet(source, to, first, &bytes)
}

/// The packet of a frame behind a length and LLC with SNAP.
fn in_snap(frame: &[u8]) -> Vec<u8> {
    let inside = [&SNAP_IPV6[..], &frame[14..]].concat();
    let length = u16::try_from(inside.len()).unwrap();
    [&frame[..12], &length.to_be_bytes(), &inside].concat()
}

struct Case {
    what: &'static str,
    /// With what becomes of each.
    frames: Vec<(Vec<u8>, Verdict)>,
    /// Whether a kernel takes the prefix that it advertises.
    believed: bool,
}

/// What a guest sends about a prefix of its own.
struct Attacker<'a> {
    guest: &'a Guest,
    prefix: Ipv6Addr,
}

impl Attacker<'_> {
    fn own(&self) -> Ipv6Addr {
        self.guest.mac.link_local()
    }

    /// To all nodes.
    fn frame(&self, packet: &[u8]) -> Vec<u8> {
        ethernet(self.guest.mac, ALL_NODES_MAC, IPV6, packet)
    }

    fn ra(&self) -> Vec<u8> {
        rogue_ra(self.own(), self.prefix)
    }

    fn ra_behind(&self, headers: &[Header]) -> Vec<u8> {
        let upper = &self.ra()[40..];
        self.frame(&chained(self.own(), ALL_NODES, headers, ICMPV6, upper))
    }

    /// Cut behind so many bytes of what follows the fragment header.
    fn in_two(&self, next: u8, whole: &[u8], at: usize, id: u8) -> [Vec<u8>; 2] {
        let (first, rest) = whole.split_at(at);
        let offset = u16::try_from(at).unwrap();
        let part = |header, bytes: &[u8]| {
            self.frame(&chained(self.own(), ALL_NODES, &[header], next, bytes))
        };
        [
            part(fragment(0, true, id), first),
            part(fragment(offset, false, id), rest),
        ]
    }
}

/// Ethernet's disguises of an RA.
fn framed(attacker: &Attacker<'_>, case: usize) -> Option<Case> {
    let plain = attacker.frame(&attacker.ra());
    let tags = |what, believed, tags: &[(u16, u16)]| Case {
        what,
        frames: vec![(tagged(&plain, tags), Verdict::VlanTag)],
        believed,
    };
    let case = match case {
        0 => tags("VLAN 0", true, &[(0x8100, 0)]),
        1 => tags("VLAN 0 with a priority", true, &[(0x8100, 0xe000)]),
        2 => tags("two VLAN-0 tags", true, &[(0x8100, 0), (0x8100, 0)]),
        3 => tags("a service tag, a tag", true, &[(0x88a8, 0), (0x8100, 0)]),
        4 => tags("four tags", true, &[(0x8100, 0); 4]),
        5 => tags("VLAN 5", false, &[(0x8100, 5)]),
        6 => Case {
            what: "LLC and SNAP",
            frames: vec![(in_snap(&plain), Verdict::Llc)],
            believed: false,
        },
        7 => Case {
            what: "LLC and SNAP behind VLAN 0",
            frames: vec![(tagged(&in_snap(&plain), &[(0x8100, 0)]), Verdict::VlanTag)],
            believed: false,
        },
        _ => return None,
    };
    Some(case)
}

/// Disguises by extension headers and fragments.
fn packed(attacker: &Attacker<'_>, case: usize) -> Option<Case> {
    let ra = Verdict::RouterAdvertisement;
    let behind = |what, headers: &[Header], verdict, believed| Case {
        what,
        frames: vec![(attacker.ra_behind(headers), verdict)],
        believed,
    };
    let pieces = |what, pieces: [Vec<u8>; 2], first| {
        let verdicts = [first, Verdict::OrphanFragment];
        Case {
            what,
            frames: pieces.into_iter().zip(verdicts).collect(),
            believed: false,
        }
    };
    let options = (DESTINATION, OPTIONS);
    let upper = attacker.ra()[40..].to_vec();
    let case = match case {
        0 => behind("hop-by-hop", &[(HOP_BY_HOP, OPTIONS)], ra, true),
        1 => behind("eight headers", &[options; 8], ra, true),
        2 => behind("nine", &[options; 9], Verdict::ExtensionLimit, true),
        3 => behind("RH0", &[(ROUTING, [0; 6])], Verdict::RoutingHeader0, false),
        4 => behind("an atomic fragment", &[fragment(0, false, 1)], ra, false),
        5 => pieces("two pieces", attacker.in_two(ICMPV6, &upper, 24, 2), ra),
        6 => {
            let hidden = [&[ICMPV6, 1, 1, 12][..], &[0; 12], &upper].concat();
            let cut = attacker.in_two(DESTINATION, &hidden, 8, 3);
            pieces("a tiny first piece", cut, Verdict::TinyFragment)
        }
        7 => {
            let length = u32::try_from(upper.len() + 8).unwrap().to_be_bytes();
            let [a, b, c, d] = length;
            let jumbo = (HOP_BY_HOP, [0xc2, 4, a, b, c, d]);
            let mut frame = attacker.ra_behind(&[jumbo]);
            frame[18..20].fill(0);
            Case {
                what: "a jumbogram",
                frames: vec![(frame, Verdict::Jumbogram)],
                believed: false,
            }
        }
        _ => return None,
    };
    Some(case)
}

/// Neighbour Discovery that its receiver would have to discard, and that no guard may take for right.
fn discovery(attacker: &Attacker<'_>, victim: &Guest) -> Vec<Case> {
    let own = attacker.own();
    let asked = [
        &[135, 0, 0, 0, 0, 0, 0, 0][..],
        &victim.address.octets(),
        &[1, 1],
        &attacker.guest.mac.0,
    ]
    .concat();
    let far = |mut packet: Vec<u8>| {
        packet[7] = 64;
        packet
    };
    let question = icmpv6(own, ALL_NODES, &asked);
    let one = |what, packet: &[u8], verdict| Case {
        what,
        frames: vec![(attacker.frame(packet), verdict)],
        believed: false,
    };
    let [first, _] = attacker.in_two(ICMPV6, &question[40..], 24, 4);
    vec![
        one(
            "an RA with hop limit 64",
            &far(attacker.ra()),
            Verdict::RouterAdvertisement,
        ),
        one(
            "a question with hop limit 64",
            &far(question),
            Verdict::NdMalformed,
        ),
        Case {
            what: "a question in a fragment",
            frames: vec![(first, Verdict::FragmentedControl)],
            believed: false,
        },
    ]
}

fn prefix(number: u16) -> Ipv6Addr {
    Ipv6Addr::new(0x2001, 0xdb8, 0xbad, number, 0, 0, 0, 0)
}

fn cases(guest: &Guest, victim: &Guest) -> Vec<(Case, Ipv6Addr)> {
    let mut all: Vec<(Case, Ipv6Addr)> = Vec::new();
    for family in [framed, packed] {
        for case in 0.. {
            let prefix = prefix(u16::try_from(all.len() + 1).unwrap());
            let attacker = Attacker { guest, prefix };
            match family(&attacker, case) {
                Some(case) => all.push((case, prefix)),
                None => break,
            }
        }
    }
    let prefix = prefix(0x99);
    let attacker = Attacker { guest, prefix };
    let discovery = discovery(&attacker, victim).into_iter();
    all.extend(discovery.map(|case| (case, prefix)));
    all
}

/// A datagram for the victim in two pieces, of which the second writes over the first.
fn overlapping(attacker: &Guest, victim: &Guest) -> [Vec<u8>; 2] {
    let datagram = [&[0, 9, 0, 9, 0, 72, 0xff, 0xff][..], &[0; 64]].concat();
    let part = |header, bytes: &[u8]| {
        let packet = chained(attacker.address, victim.address, &[header], UDP, bytes);
        ethernet(attacker.mac, victim.mac, IPV6, &packet)
    };
    [
        part(fragment(0, true, 9), &datagram[..40]),
        part(fragment(8, false, 9), &datagram[8..]),
    ]
}

pub fn attacks_in_disguise(host: &mut Host) {
    let (attacker, victim) = (&host.guests[0], &host.guests[1]);
    let capture = victim.capture();
    let cases = cases(attacker, victim);
    for (case, _) in &cases {
        for (frame, verdict) in &case.frames {
            assert_eq!(verdict.kind(), Kind::Drop, "{}", case.what);
            host.attack(0, frame, *verdict);
        }
    }
    let frames = || capture.frames(victim.mac);
    assert_eq!(frames(), Vec::<Vec<u8>>::new());
    let [first, over] = overlapping(attacker, victim);
    host.attack(0, &first, Verdict::Unicast);
    host.attack(0, &over, Verdict::OverlappingFragment);
    let mut arrived = Vec::new();
    eventually("the first piece arrives", || {
        arrived.extend(frames());
        !arrived.is_empty()
    });
    assert_eq!(arrived, [first]);

    let believes = |prefix: Ipv6Addr| {
        let shown = victim.output(&["ip", "-6", "route", "show", "dev", "eth0"]);
        let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
        shown.contains(&format!("{prefix}/64"))
    };
    let sender = Sender::new().unwrap();
    for (case, prefix) in cases.iter().filter(|(case, _)| case.believed) {
        assert!(!believes(*prefix), "{}", case.what);
        for (frame, _) in &case.frames {
            sender.send(victim.ifindex, frame).unwrap();
        }
        eventually(case.what, || believes(*prefix));
    }
}
