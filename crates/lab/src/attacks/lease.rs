//! Which addresses a DHCPv6 server gives. It is asked by hand and its answers are read off the link, so that a client that
//! runs in the guest is not in the way.

use std::net::{Ipv6Addr, UdpSocket};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;

use super::bed::{Bed, Station};
use super::ear::{Ear, UPPER};
use super::harm::{SOLICIT, servers};

/// How long an answer may take.
const ANSWER_BOUND: Duration = Duration::from_secs(30);
/// How long until the question is asked again: it or its answer may be lost in a flood.
const AGAIN: Duration = Duration::from_secs(1);
const LOOK: Duration = Duration::from_millis(10);

const UDP: u8 = 17;
/// To UDP port 546, a client's (RFC 9915 §7.2).
const TO_CLIENT: [u8; 2] = [2, 34];
/// Options (RFC 9915 §21.4, §21.6).
const IA_NA: u16 = 3;
const IA_ADDRESS: u16 = 5;
/// Of an IA_NA before the options in it: IAID, T1, T2.
const IA_HEAD: usize = 12;

/// What a server told a client.
#[derive(Debug, PartialEq, Eq)]
pub struct Answer {
    /// The client's number for its question.
    pub transaction: [u8; 3],
    /// What it is given, or could have.
    pub addresses: Vec<Ipv6Addr>,
}

/// The answer of a DHCPv6 server in a frame, if it is one.
pub fn answer(frame: &[u8]) -> Option<Answer> {
    if frame.get(12..14)? != [0x86, 0xdd] || *frame.get(20)? != UDP {
        return None;
    }
    if frame.get(UPPER + 2..UPPER + 4)? != TO_CLIENT {
        return None;
    }
    let message = frame.get(UPPER + 8..)?;
    let (head, rest) = message.split_at_checked(4)?;
    let associations = options(rest).filter(|(code, _)| *code == IA_NA);
    let inside = associations.filter_map(|(_, association)| association.get(IA_HEAD..));
    let given = inside
        .flat_map(options)
        .filter(|(code, _)| *code == IA_ADDRESS);
    let addresses = given.filter_map(|(_, option)| option.first_chunk::<16>().copied());
    Some(Answer {
        transaction: [head[1], head[2], head[3]],
        addresses: addresses.map(Ipv6Addr::from).collect(),
    })
}

/// Options as far as they are whole (RFC 9915 §21.1).
fn options(mut bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let [a, b, c, d, rest @ ..] = bytes else {
            return None;
        };
        let (option, rest) = rest.split_at_checked(u16::from_be_bytes([*c, *d]).into())?;
        bytes = rest;
        Some((u16::from_be_bytes([*a, *b]), option))
    })
}

/// Asks for an address in the station's name; which it could have, `None` where no server answers.
///
/// # Errors
/// When the station cannot be looked into.
pub fn given(station: &Station) -> Result<Option<Vec<Ipv6Addr>>> {
    let ear = Ear::open(station)?;
    let (socket, scope) = station.inside(|| {
        let socket = UdpSocket::bind((Ipv6Addr::UNSPECIFIED, 0))?;
        Ok((socket, nix::net::if_::if_nametoindex("eth0")?))
    })?;
    let deadline = Instant::now() + ANSWER_BOUND;
    let mut again = Instant::now();
    while Instant::now() < deadline {
        if Instant::now() >= again {
            socket.send_to(&SOLICIT, servers(scope))?;
            again = Instant::now() + AGAIN;
        }
        let heard = ear.frames();
        let mut answers = heard.iter().filter_map(|frame| answer(frame));
        if let Some(own) = answers.find(|answer| answer.transaction == SOLICIT[1..4]) {
            return Ok(Some(own.addresses));
        }
        thread::sleep(LOOK);
    }
    Ok(None)
}

/// The first address that the attacker was given and that is not its own.
pub fn hoarded(bed: &Bed, ear: &Ear) -> Option<Ipv6Addr> {
    let heard = ear.frames();
    let answers = heard.iter().filter_map(|frame| answer(frame));
    let mut given = answers.flat_map(|answer| answer.addresses);
    given.find(|address| *address != bed.attacker.global)
}
