use std::collections::BTreeSet;
use std::net::Ipv6Addr;
use std::path::PathBuf;

use hextet_core::mac::Mac;

use super::bed::{Bed, Station};
use super::ear::Sign;
use super::lease::{Answer, answer};
use super::*;

fn station(number: u8) -> Station {
    let mac = Mac([2, 0, 0, 0, 0, number]);
    Station {
        netns: PathBuf::new(),
        mac,
        link_local: mac.link_local(),
        global: Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, number.into()),
        port: String::new(),
    }
}

fn bed() -> Bed {
    Bed {
        router: station(3).link_local,
        attacker: station(1),
        victim: station(2),
        neighbour: station(3),
        _server: None,
        _made: Vec::new(),
    }
}

fn frame(source_mac: Mac, source: Ipv6Addr, next: u8, payload: &[u8]) -> Vec<u8> {
    let ethernet = [&[0x33, 0x33, 0, 0, 0, 1][..], &source_mac.0, &[0x86, 0xdd]].concat();
    let ip = [
        &[0x60, 0, 0, 0, 0, 0, next, 255][..],
        &source.octets(),
        &[0; 16],
    ]
    .concat();
    [&ethernet[..], &ip, payload].concat()
}

#[test]
fn frames_are_known_by_their_signs() {
    let bed = bed();
    let (attacker, neighbour) = (&bed.attacker, &bed.neighbour);
    let from = |next, payload: &[u8]| frame(attacker.mac, attacker.link_local, next, payload);
    let all_nodes = "ff02::1".parse().unwrap();
    let options = [58, 0, 1, 4, 0, 0, 0, 0];
    let ra = |options: &[u8]| [&[134][..], &[0; 15], options].concat();
    let prefix = [&[1, 1][..], &[0; 6], &[3, 4], &[0; 30]].concat();
    let datagram = [0, 9, 0, 9, 0, 8, 0, 0];
    let other = frame(neighbour.mac, attacker.link_local, 44, &[0; 8]);
    let cases = [
        (from(44, &[0; 8]), Sign::Fragment, true),
        (other, Sign::Fragment, false),
        (from(58, &[137, 0]), Sign::Icmp(137), true),
        (from(58, &[136, 0]), Sign::Icmp(137), false),
        (
            from(0, &[&options[..], &[130]].concat()),
            Sign::Icmp(130),
            true,
        ),
        (from(58, &ra(&[])), Sign::EmptyRa, true),
        (from(58, &ra(&prefix)), Sign::EmptyRa, false),
        (
            frame(attacker.mac, all_nodes, 58, &[128]),
            Sign::FromAllNodes,
            true,
        ),
        (
            frame(attacker.mac, neighbour.global, 17, &datagram),
            Sign::Discard,
            true,
        ),
        (
            frame(attacker.mac, attacker.global, 17, &datagram),
            Sign::Discard,
            false,
        ),
        (vec![0; 14], Sign::Discard, false),
    ];
    for (frame, sign, expected) in cases {
        assert_eq!(sign.is_on(&frame, &bed), expected, "{sign:?} {frame:?}");
    }
}

#[test]
fn every_attack_has_a_name_of_its_own_and_no_word_is_left_open() {
    let names: BTreeSet<&str> = ATTACKS.iter().map(|attack| attack.name).collect();
    assert_eq!(names.len(), ATTACKS.len());
    for attack in ATTACKS {
        let command = attack.on(&bed());
        assert!(!command.contains(['{', '}']), "{command}");
    }
}

#[test]
fn only_drops_that_rose_are_told() {
    let before = BTreeMap::from([("a".to_owned(), 3), ("b".to_owned(), 4)]);
    let after = BTreeMap::from([
        ("a".to_owned(), 3),
        ("b".to_owned(), 5),
        ("c".to_owned(), 2),
    ]);
    assert_eq!(risen(&before, &after), "1 b, 2 c");
    assert_eq!(risen(&after, &after), "");
}

#[test]
fn a_servers_answer_tells_which_addresses_it_gives() {
    let given: Ipv6Addr = "2001:db8::7".parse().unwrap();
    let address = [&[0, 5, 0, 24][..], &given.octets(), &[0; 8]].concat();
    let association = [&[0, 3, 0, 40][..], &[0; 12], &address].concat();
    let message = |options: &[u8]| {
        let head = [2, 35, 2, 34, 0, 0, 0, 0, 2, 7, 8, 9, 0, 1, 0, 1, 0xff];
        let payload = [&head[..], options].concat();
        frame(station(3).mac, station(3).link_local, 17, &payload)
    };
    let expected = |addresses: &[Ipv6Addr]| {
        Some(Answer {
            transaction: [7, 8, 9],
            addresses: addresses.to_vec(),
        })
    };
    let whole = message(&association);
    assert_eq!(answer(&whole), expected(&[given]));
    assert_eq!(answer(&message(&[])), expected(&[]));
    // Cut anywhere it is no answer, or one without the address.
    for length in 0..whole.len() {
        let cut = answer(&whole[..length]);
        assert!(cut.is_none() || cut == expected(&[]), "{length}: {cut:?}");
    }
    let mut to_server = whole;
    to_server[57] = 35;
    assert_eq!(answer(&to_server), None);
}
