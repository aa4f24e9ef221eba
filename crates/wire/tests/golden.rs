//! Golden packets: what each message looks like on the wire, as annotated hex files that are reviewed like code.
//!
//! `HEXTET_UPDATE=1 cargo test -p hextet-wire --test golden` rewrites them.

#![allow(
    clippy::disallowed_methods,
    reason = "the files are read and written by the test, never by the crate"
)]
#![allow(clippy::unwrap_used, reason = "everything here is a test")]

#[path = "golden/annotate.rs"]
mod annotate;
#[path = "golden/cases.rs"]
mod cases;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use hextet_wire::dhcpv6::{self, ServerMessage};
use hextet_wire::{frame, ndp};

use annotate::golden;
use cases::{Case, Message, cases};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("golden")
}

fn check(case: &Case) {
    let path = folder().join(format!("{}.hex", case.name));
    let emitted = case.frame();
    let bytes = golden(&path, case.title, &emitted);
    let packet = frame::parse(&bytes).unwrap();
    assert_eq!(packet.envelope, case.envelope, "{}", case.name);
    match &case.message {
        Message::Ndp(message) => assert_eq!(ndp::parse(&packet).as_ref(), Ok(message)),
        Message::Client(message) => {
            let udp = packet.udp().unwrap();
            assert_eq!((udp.source_port, udp.destination_port), (546, 547));
            assert_eq!(dhcpv6::parse(udp.data).as_ref(), Ok(message));
        }
        Message::Server(message) => {
            let udp = packet.udp().unwrap();
            assert_eq!((udp.source_port, udp.destination_port), (547, 546));
            assert_eq!(ServerMessage::parse(udp.data).as_ref(), Ok(message));
        }
    }
}

#[test]
fn what_is_emitted_is_what_the_files_say_and_parses_to_the_same() {
    for case in cases() {
        check(&case);
    }
}

#[test]
fn every_file_belongs_to_a_case() {
    // A new case's file may be written by this very run.
    for case in cases() {
        check(&case);
    }
    let cases: BTreeSet<String> = cases()
        .iter()
        .map(|case| format!("{}.hex", case.name))
        .collect();
    let files: BTreeSet<String> = std::fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(files, cases);
}

/// A decoder that is not ours finds the same in what we send.
#[test]
fn another_decoder_reads_our_dhcpv6_messages_alike() {
    use dhcproto::v6::{self, DhcpOption, OptionCode};
    use dhcproto::{Decodable, Decoder};
    let mut judged = 0;
    for case in cases() {
        let bytes = case.frame();
        let packet = frame::parse(&bytes).unwrap();
        let Some(udp) = packet.udp() else { continue };
        let decoded = v6::Message::decode(&mut Decoder::new(udp.data)).unwrap();
        let ias: Vec<(u32, Vec<std::net::Ipv6Addr>)> = decoded
            .opts()
            .iter()
            .filter_map(|option| match option {
                DhcpOption::IANA(ia) => {
                    let addresses = ia.opts.iter().filter_map(|option| match option {
                        DhcpOption::IAAddr(address) => Some(address.addr),
                        _ => None,
                    });
                    Some((ia.id, addresses.collect()))
                }
                _ => None,
            })
            .collect();
        let (expected, transaction) = cases::ia_nas(&case.message);
        assert_eq!(ias, expected, "{}", case.name);
        assert_eq!(decoded.xid(), transaction, "{}", case.name);
        if let Message::Server(message) = &case.message {
            let servers = match decoded.opts().get(OptionCode::DomainNameServers) {
                Some(DhcpOption::DomainNameServers(servers)) => servers.clone(),
                _ => Vec::new(),
            };
            assert_eq!(servers, message.dns_servers, "{}", case.name);
            let names = match decoded.opts().get(OptionCode::DomainSearchList) {
                Some(DhcpOption::DomainSearchList(names)) => names.clone(),
                _ => Vec::new(),
            };
            let names: Vec<String> = names
                .iter()
                .map(|name| name.to_string().trim_end_matches('.').to_owned())
                .collect();
            assert_eq!(names, message.dns_search, "{}", case.name);
        }
        judged += 1;
    }
    assert!(judged >= 13, "only {judged} messages were judged");
}
