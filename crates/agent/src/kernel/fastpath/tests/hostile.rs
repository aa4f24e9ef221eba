//! What no guest may send, in every disguise: each message of the attack table in each wrapping. A wrapping is
//! tried around a harmless datagram too, which must pass where the wrapping is lawful: so a frame that is dropped because
//! it was built wrongly is not taken for an attack that was stopped.

use super::*;

const OPAQUE_ID: u32 = 0x5a5a_0000;

/// A message that A sends by IPv6 (upper layer and what it goes to).
#[derive(Clone)]
struct Message {
    what: &'static str,
    source: Ipv6Addr,
    to: Ipv6Addr,
    to_mac: Mac,
    proto: u8,
    bytes: Vec<u8>,
}

impl Message {
    fn icmp(what: &'static str, kind: u8, body: &[u8]) -> Message {
        let source = A.link_local();
        Message {
            what,
            source,
            to: ALL_NODES,
            to_mac: ALL_NODES_MAC,
            proto: 58,
            bytes: icmpv6_bytes(source, ALL_NODES, kind, body),
        }
    }

    fn udp(what: &'static str, from_port: u16, to_port: u16) -> Message {
        let (source, to) = (global(0xa), global(0xb));
        Message {
            what,
            source,
            to,
            to_mac: B,
            proto: 17,
            bytes: udp_bytes(source, to, from_port, to_port, &[7; 40]),
        }
    }

    fn frame(&self, chain: &[Header]) -> Vec<u8> {
        self.part(chain, self.proto, &self.bytes)
    }

    /// A frame with this behind the chain.
    fn part(&self, chain: &[Header], next: u8, bytes: &[u8]) -> Vec<u8> {
        ipv6_chain(A, self.to_mac, self.source, self.to, chain, next, bytes)
    }
}

/// From a guest these are attacks (the rows of the table of attacks that are one message).
fn attacks() -> Vec<Message> {
    let nowhere = global(0x77).octets();
    let redirect = [
        &[0; 4][..],
        &A.link_local().octets(),
        &nowhere,
        &link_layer(2, A),
    ]
    .concat();
    let about = |target: Ipv6Addr, mac| {
        [&[0x60, 0, 0, 0][..], &target.octets(), &link_layer(2, mac)].concat()
    };
    let prefix = [&[3, 4, 64, 0xc0][..], &[0; 12], &global(0).octets()].concat();
    let ra = [
        &[64, 0, 7, 8, 0, 0, 0, 0, 0, 0, 0, 0][..],
        &prefix,
        &link_layer(1, A),
    ]
    .concat();
    let last = [&[64, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0][..], &prefix].concat();
    vec![
        Message::icmp("an RA", 134, &ra),
        Message::icmp("an RA that ends a router's time", 134, &last),
        Message {
            source: service().1,
            ..Message::icmp("an RA in the service's name", 134, &ra)
        },
        Message::icmp("a Redirect", 137, &redirect),
        Message {
            source: service().1,
            ..Message::icmp("a Redirect in the service's name", 137, &redirect)
        },
        Message::icmp(
            "an NA for a neighbour's address",
            136,
            &about(global(0xb), A),
        ),
        Message::icmp(
            "an NA for the service's address",
            136,
            &about(service().1, A),
        ),
        Message::icmp("an NA with a neighbour's MAC", 136, &about(global(0xa), B)),
        Message {
            source: global(0xb),
            ..Message::icmp("an NA in a neighbour's name", 136, &about(global(0xb), A))
        },
        Message {
            source: global(0xb),
            ..Message::icmp("an NS in a neighbour's name", 135, &about(global(0xa), A))
        },
        Message {
            source: global(0xb),
            ..Message::icmp("an RS in a neighbour's name", 133, &[0; 4])
        },
        Message::icmp("an MLD query", 130, &[0; 20]),
        Message::icmp("router renumbering", 138, &[0; 12]),
        Message::icmp("a multicast router's advertisement", 151, &[0; 4]),
        Message::udp("a DHCPv6 answer", 547, 546),
        Message::udp("a DHCPv6 answer from any port", 40_000, 546),
        Message {
            source: global(0xb),
            ..Message::udp("a datagram in a neighbour's name", 9, 9)
        },
        Message {
            source: global(0x77),
            ..Message::udp(
                "a datagram from an address of the link that is not the port's",
                9,
                9,
            )
        },
        Message {
            source: Ipv6Addr::LOCALHOST,
            ..Message::udp("a datagram from the loopback", 9, 9)
        },
        Message {
            source: ALL_NODES,
            ..Message::udp("a datagram from a group", 9, 9)
        },
        Message {
            source: service().1,
            ..Message::udp("a datagram in the service's name", 9, 9)
        },
    ]
}

/// The frames that a message is sent in.
type Frames = Box<dyn Fn(&Message) -> Vec<Vec<u8>>>;

/// How a message is sent, and whether an ordinary one may be sent so.
struct Wrapping {
    what: &'static str,
    lawful: bool,
    frames: Frames,
}

fn wrapping(
    what: &'static str,
    lawful: bool,
    frames: impl Fn(&Message) -> Vec<Vec<u8>> + 'static,
) -> Wrapping {
    Wrapping {
        what,
        lawful,
        frames: Box::new(frames),
    }
}

fn chained(what: &'static str, lawful: bool, chain: &'static [Header]) -> Wrapping {
    wrapping(what, lawful, move |message| vec![message.frame(chain)])
}

fn chains() -> Vec<Wrapping> {
    use Header::*;
    vec![
        chained("as it is", true, &[]),
        chained("behind hop-by-hop options", true, &[HopByHop]),
        chained("behind destination options", true, &[Destination]),
        chained("behind a routing header", true, &[Routing(4)]),
        chained("behind routing header 0", false, &[Routing(0)]),
        chained("behind an authentication header", true, &[Authentication]),
        chained("behind a mobility header", true, &[Other(135)]),
        chained("behind a HIP header", true, &[Other(139)]),
        chained("behind a shim6 header", true, &[Other(140)]),
        chained(
            "behind one of each",
            true,
            &[
                HopByHop,
                Destination,
                Routing(2),
                Authentication,
                Other(140),
                Destination,
            ],
        ),
        chained(
            "behind as many headers as are read",
            true,
            &[Destination; 8],
        ),
        chained("behind one more", false, &[Destination; 9]),
        chained(
            "behind so many that no receiver reads them",
            false,
            &[Destination; 60],
        ),
        chained(
            "behind hop-by-hop options in second place",
            false,
            &[Destination, HopByHop],
        ),
        chained(
            "behind options that are longer than the packet",
            false,
            &[TooLong],
        ),
    ]
}

fn piece(offset: u16, more: bool, id: u32) -> Header {
    Header::Fragment {
        offset,
        more,
        id: OPAQUE_ID + id,
    }
}

/// Cut behind so many bytes of what can be cut.
fn cut(message: &Message, id: u32, next: u8, whole: &[u8], at: usize) -> Vec<Vec<u8>> {
    let (first, rest) = whole.split_at(at);
    let offset = u16::try_from(at).unwrap();
    vec![
        message.part(&[piece(0, true, id)], next, first),
        message.part(&[piece(offset, false, id)], next, rest),
    ]
}

/// The message behind a header of destination options of this length, bytes, which a fragment may cut.
fn behind_options(message: &Message, length: usize) -> Vec<u8> {
    let words = u8::try_from(length / 8 - 1).unwrap();
    let pad = u8::try_from(length - 4).unwrap();
    let head = [message.proto, words, 1, pad];
    let mut bytes = head.to_vec();
    bytes.resize(length, 0);
    [&bytes[..], &message.bytes].concat()
}

fn fragments() -> Vec<Wrapping> {
    vec![
        wrapping("in an atomic fragment", true, |message| {
            vec![message.frame(&[piece(0, false, 1)])]
        }),
        wrapping("in three atomic fragments", false, |message| {
            vec![message.frame(&[piece(0, false, 2), piece(0, false, 2), piece(0, false, 2)])]
        }),
        wrapping("in an atomic fragment between headers", true, |message| {
            vec![message.frame(&[
                Header::HopByHop,
                Header::Destination,
                piece(0, false, 3),
                Header::Destination,
            ])]
        }),
        wrapping("in two fragments", true, |message| {
            cut(message, 4, message.proto, &long(message).bytes, 24)
        }),
        wrapping(
            "behind options that a fragment holds with it",
            true,
            |message| cut(message, 5, 60, &behind_options(&long(message), 16), 40),
        ),
        wrapping(
            "cut before the header that tells what it is (RFC 7113)",
            false,
            |message| cut(message, 6, 60, &behind_options(message, 16), 16),
        ),
        wrapping("cut in the header before it", false, |message| {
            cut(message, 7, 60, &behind_options(message, 64), 24)
        }),
        wrapping("cut in its own header", false, |message| {
            cut(message, 8, 60, &behind_options(message, 12 + 4), 16)
        }),
    ]
}

/// The message with so much behind it that a second fragment is needed.
fn long(message: &Message) -> Message {
    let mut long = message.clone();
    long.bytes.resize(80, 0);
    long
}

/// What follows the MACs is this, and the packet.
fn framed(frame: &[u8], head: &[u8]) -> Vec<u8> {
    let length = u16::try_from(head.len() + frame.len() - 14).unwrap();
    [&frame[..12], &length.to_be_bytes(), head, &frame[14..]].concat()
}

fn ethernets() -> Vec<Wrapping> {
    const SNAP: [u8; 6] = [0xaa, 0xaa, 3, 0, 0, 0];
    let tags = |what, tags: &'static [(u16, u16)]| {
        wrapping(what, false, move |message| {
            vec![tagged(&message.frame(&[]), tags)]
        })
    };
    let llc = |what, head: &'static [u8]| {
        wrapping(what, false, move |message| {
            vec![framed(&message.frame(&[]), head)]
        })
    };
    const SNAP_IPV6: [u8; 8] = [0xaa, 0xaa, 3, 0, 0, 0, 0x86, 0xdd];
    const SNAP_BRIDGED: [u8; 8] = [0xaa, 0xaa, 3, 0, 0, 0xf8, 0x86, 0xdd];
    const SNAP_TAGGED: [u8; 12] = [0xaa, 0xaa, 3, 0, 0, 0, 0x81, 0, 0, 0, 0x86, 0xdd];
    vec![
        tags("behind a VLAN-0 tag", &[(0x8100, 0)]),
        tags("behind a VLAN-0 tag with a priority", &[(0x8100, 0xe000)]),
        tags("behind a VLAN tag", &[(0x8100, 5)]),
        tags("behind a service tag 0", &[(0x88a8, 0)]),
        tags("behind two VLAN-0 tags", &[(0x8100, 0), (0x8100, 0)]),
        tags(
            "behind a service tag and a tag",
            &[(0x88a8, 0), (0x8100, 0)],
        ),
        tags("behind eight tags", &[(0x8100, 0); 8]),
        tags("behind an old double tag", &[(0x9100, 0), (0x8100, 0)]),
        llc("in LLC and SNAP", &SNAP_IPV6),
        llc("in LLC and SNAP of a bridge", &SNAP_BRIDGED),
        llc("in LLC and SNAP behind a VLAN-0 tag", &SNAP_TAGGED),
        llc("in LLC alone", &[6, 6, 3]),
        llc("in a raw 802.3 frame", &[]),
        wrapping(
            "in LLC and SNAP behind a VLAN-0 tag outside",
            false,
            |message| {
                let frame = framed(&message.frame(&[]), &SNAP_IPV6);
                vec![tagged(&frame, &[(0x8100, 0)])]
            },
        ),
        wrapping("in an EtherType below the lengths' end", false, |message| {
            let mut frame = message.frame(&[]);
            frame[12..14].copy_from_slice(&0x05ffu16.to_be_bytes());
            vec![frame]
        }),
        wrapping("as a jumbo frame's EtherType", false, |message| {
            let frame = message.frame(&[]);
            vec![
                [
                    &frame[..12],
                    &[0x88, 0x70],
                    &SNAP[..],
                    &[0x86, 0xdd],
                    &frame[14..],
                ]
                .concat(),
            ]
        }),
        wrapping("from a neighbour's MAC", false, |message| {
            let mut frame = message.frame(&[]);
            frame[6..12].copy_from_slice(&B.0);
            vec![frame]
        }),
        wrapping("from the service's MAC", false, |message| {
            let mut frame = message.frame(&[]);
            frame[6..12].copy_from_slice(&service().0.0);
            vec![frame]
        }),
    ]
}

fn headers() -> Vec<Wrapping> {
    let spoilt = |what, lawful, spoil: fn(&mut Vec<u8>)| {
        wrapping(what, lawful, move |message| {
            let mut frame = message.frame(&[]);
            spoil(&mut frame);
            vec![frame]
        })
    };
    vec![
        spoilt("to one MAC", true, |frame| frame[..6].copy_from_slice(&B.0)),
        spoilt("with hop limit 64", true, |frame| frame[21] = 64),
        spoilt("with hop limit 0", true, |frame| frame[21] = 0),
        spoilt("with bytes behind the packet", true, |frame| {
            frame.extend([0xaa; 30])
        }),
        spoilt("as version 4", false, |frame| frame[14] = 0x40),
        spoilt("with a length beyond the frame", false, |frame| {
            frame[18] = 0x40
        }),
        spoilt("with no length", false, |frame| frame[18..20].fill(0)),
        spoilt("cut short", false, |frame| frame.truncate(14 + 40 + 4)),
        spoilt("to all stations", false, |frame| frame[..6].fill(0xff)),
        wrapping("as a jumbogram", false, |message| {
            let jumbo = [message.proto, 0, 0xc2, 4, 0, 0, 0, 0];
            let mut packet = [&jumbo[..], &message.bytes].concat();
            let length = u32::try_from(packet.len()).unwrap();
            packet[4..8].copy_from_slice(&length.to_be_bytes());
            let mut frame = message.part(&[], 0, &packet);
            frame[18..20].fill(0);
            vec![frame]
        }),
        wrapping("to an IPv4-mapped address", false, |message| {
            let to = "::ffff:10.0.0.11".parse().unwrap();
            vec![
                Message {
                    to,
                    to_mac: B,
                    ..message.clone()
                }
                .frame(&[]),
            ]
        }),
    ]
}

fn wrappings() -> Vec<Wrapping> {
    let mut all = chains();
    all.extend(fragments());
    all.extend(ethernets());
    all.extend(headers());
    all
}

/// Whether any of these frames goes on to a guest or to the agent.
fn passes(bench: &Bench, frames: &[Vec<u8>]) -> Vec<Verdict> {
    let verdicts = frames.iter().map(|frame| bench.run(frame).verdict);
    verdicts.collect()
}

fn is_passed(verdict: &Verdict) -> bool {
    // The groups of this world have no other member with a device.
    verdict.kind() == Kind::Passed || *verdict == Verdict::NoReceiver
}

#[test]
fn no_attack_passes_in_any_disguise() {
    let bench = Bench::usual();
    for attack in attacks() {
        for wrapping in wrappings() {
            let verdicts = passes(&bench, &(wrapping.frames)(&attack));
            let through: Vec<_> = verdicts
                .iter()
                .filter(|verdict| is_passed(verdict))
                .collect();
            assert!(
                through.is_empty(),
                "{} {}: {verdicts:?}",
                attack.what,
                wrapping.what
            );
            let dropped = verdicts.iter().all(|verdict| verdict.kind() == Kind::Drop);
            assert!(dropped, "{} {}: {verdicts:?}", attack.what, wrapping.what);
        }
    }
}

#[test]
fn what_is_no_attack_passes_where_its_wrapping_is_lawful() {
    let bench = Bench::usual();
    for wrapping in wrappings() {
        let verdicts = passes(
            &bench,
            &(wrapping.frames)(&Message::udp("a datagram", 9, 9)),
        );
        let all = verdicts.iter().all(is_passed);
        let none = !verdicts.iter().any(is_passed);
        assert!(
            if wrapping.lawful { all } else { none },
            "{}: {verdicts:?}",
            wrapping.what
        );
    }
}

/// The same frames are what they claim to be: where nobody guards the port, they go through.
#[test]
fn the_attacks_are_attacks() {
    let bench = Bench::usual();
    let row = PortRow {
        guarded: false,
        ..port(PORT_A, A, true)
    };
    bench.maps.apply(&[MapOp::SetPort(ASKING, row)]).unwrap();
    for attack in attacks() {
        // These are answered or shown to the agent, guarded or not.
        let ends = attack.proto == 58 && [133, 135].contains(&attack.bytes[0]);
        for wrapping in wrappings()
            .iter()
            .filter(|wrapping| wrapping.lawful && !ends)
        {
            let verdicts = passes(&bench, &(wrapping.frames)(&attack));
            assert!(
                verdicts.iter().all(is_passed),
                "{} {}: {verdicts:?}",
                attack.what,
                wrapping.what
            );
        }
    }
}

#[test]
fn a_later_fragment_does_not_write_over_its_first() {
    let bench = Bench::usual();
    let lawful = Message::udp("a datagram", 9, 9);
    // Echo request or datagram in the first, an RA or a DHCPv6 answer in the second, over the first's upper layer.
    let whole = behind_options(&lawful, 16);
    let send = |header: Header, bytes: &[u8]| bench.run(&lawful.part(&[header], 60, bytes)).verdict;
    let first = |id, length: usize| send(piece(0, true, id), &whole[..length]);
    let later = |id, offset| send(piece(offset, false, id), &[0x22; 24]);
    assert_eq!(first(20, 48), Verdict::Unicast);
    for offset in [8, 16, 40] {
        assert_eq!(later(20, offset), Verdict::OverlappingFragment, "{offset}");
    }
    assert_eq!(later(20, 48), Verdict::Unicast);
    assert_eq!(
        later(20, 64),
        Verdict::Unicast,
        "a gap is filled by another"
    );
    // Sent again, as after a loss on the way: the same holds.
    assert_eq!(first(20, 48), Verdict::Unicast);
    assert_eq!(later(20, 40), Verdict::OverlappingFragment);
    // A shorter first one is judged by itself.
    assert_eq!(first(20, 24), Verdict::Unicast);
    assert_eq!(later(20, 16), Verdict::OverlappingFragment);
}

#[test]
fn fragments_that_no_receiver_may_put_together_are_dropped() {
    let bench = Bench::usual();
    let lawful = Message::udp("a datagram", 9, 9);
    let send = |header: Header, bytes: &[u8]| bench.run(&lawful.part(&[header], 17, bytes)).verdict;
    assert_eq!(send(piece(0, true, 30), &lawful.bytes), Verdict::Unicast);
    assert_eq!(
        send(piece(48, true, 30), &[0; 12]),
        Verdict::Malformed,
        "no whole number of octets"
    );
    assert_eq!(
        send(piece(48, false, 30), &[]),
        Verdict::Malformed,
        "nothing in it"
    );
    assert_eq!(
        send(piece(0xfff8, false, 30), &[0; 7]),
        Verdict::Unicast,
        "the last byte that there can be"
    );
    assert_eq!(
        send(piece(0xfff8, false, 30), &[0; 8]),
        Verdict::Malformed,
        "beyond the largest packet"
    );
    assert_eq!(
        send(piece(0, true, 31), &lawful.bytes[..44]),
        Verdict::Malformed,
        "a first one, likewise"
    );
}

#[test]
fn a_datagram_as_large_as_can_be_passes_in_fragments() {
    let bench = Bench::usual();
    let mut large = Message::udp("a large datagram", 9, 9);
    large.bytes.resize(65_535 - 8, 7);
    let parts: Vec<&[u8]> = large.bytes.chunks(1376).collect();
    for (at, part) in parts.iter().enumerate() {
        let offset = u16::try_from(at * 1376).unwrap();
        let frame = large.part(&[piece(offset, at + 1 < parts.len(), 40)], 17, part);
        assert_eq!(bench.run(&frame).verdict, Verdict::Unicast, "{offset}");
    }
}
