//! Replays the corpus, then mutates it for a bounded while, the same each time.
//!
//! `HEXTET_UPDATE=1` makes the seeds of the corpus anew from the golden packets of `crates/wire/golden` and from the DHCPv4
//! messages that clients send and servers answer; inputs that once broke something stand beside them under names of their
//! own and stay.

#![allow(clippy::unwrap_used, reason = "everything here is a test")]

#[path = "replay/dhcpv4.rs"]
mod dhcpv4;
#[path = "replay/mld.rs"]
mod mld;
#[path = "replay/reconfigure.rs"]
mod reconfigure;
#[path = "replay/redo.rs"]
mod redo;
#[path = "replay/requests.rs"]
mod requests;

use std::path::{Path, PathBuf};

use hextet_fuzz::{Mutator, TARGETS, Target};

/// Mutated inputs for each target.
const MUTATIONS: usize = 150_000;
/// One in so many mutated inputs must still mean something, or the mutations only scratch at the surface.
const UNDERSTOOD_ONE_IN: usize = 30;
/// Bytes of Ethernet, IPv6 and UDP headers before a DHCPv6 message.
const BEFORE_DHCPV6: usize = 62;
/// Bytes of Ethernet, IPv4 and UDP headers before a DHCPv4 message.
const BEFORE_DHCPV4: usize = 42;

#[test]
fn parse_frame_survives_the_corpus_and_its_mutations() {
    check("parse_frame");
}

#[test]
fn parse_ndp_survives_the_corpus_and_its_mutations() {
    check("parse_ndp");
}

#[test]
fn parse_mld_survives_the_corpus_and_its_mutations() {
    check("parse_mld");
}

#[test]
fn parse_dhcpv6_survives_the_corpus_and_its_mutations() {
    check("parse_dhcpv6");
}

#[test]
fn parse_ipv4_survives_the_corpus_and_its_mutations() {
    check("parse_ipv4");
}

#[test]
fn parse_dhcpv4_survives_the_corpus_and_its_mutations() {
    check("parse_dhcpv4");
}

#[test]
fn link_handle_frame_survives_the_corpus_and_its_mutations() {
    check("link_handle_frame");
}

#[test]
fn decode_request_survives_the_corpus_and_its_mutations() {
    check("decode_request");
}

#[test]
fn every_request_among_the_seeds_can_be_carried_out_but_those_that_are_wrong() {
    for (name, request) in requests::SEEDS {
        let wrong = ["deep", "odd", "twice"].contains(&name);
        let decoded = hextet_fuzz::decode_request(request.as_bytes());
        assert_eq!(decoded, !wrong, "{name}");
    }
}

#[test]
fn parse_craft_survives_the_corpus_and_its_mutations() {
    check("parse_craft");
}

#[test]
fn parse_capture_survives_the_corpus_and_its_mutations() {
    check("parse_capture");
}

#[test]
fn redo_body_survives_the_corpus_and_its_mutations() {
    check("redo_body");
}

#[test]
fn every_folder_of_the_corpus_is_a_targets() {
    if std::env::var("HEXTET_UPDATE").is_ok_and(|value| value == "1") {
        TARGETS.iter().for_each(|(name, _)| write_seeds(name));
    }
    let mut folders: Vec<String> = std::fs::read_dir(root().join("corpus"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    let mut targets: Vec<&str> = TARGETS.iter().map(|(name, _)| *name).collect();
    folders.sort();
    targets.sort_unstable();
    assert_eq!(folders, targets);
}

#[test]
fn every_golden_packet_is_among_the_seeds_of_its_parser() {
    let stems = |folder: PathBuf| {
        let entries = std::fs::read_dir(folder).unwrap();
        let paths = entries.map(|entry| entry.unwrap().path());
        let stem = |path: PathBuf| path.file_stem().unwrap().to_str().unwrap().to_owned();
        paths.map(stem).collect::<Vec<String>>()
    };
    let corpus = |name: &str| stems(root().join("corpus").join(name));
    let parsers = ["parse_ndp", "parse_dhcpv6"].map(corpus).concat();
    for stem in stems(root().join("../crates/wire/golden")) {
        let seed = format!("golden-{stem}");
        assert!(parsers.contains(&seed), "{seed}: run with HEXTET_UPDATE=1");
    }
}

/// A panic's report names the input in hex, to be kept in the corpus.
fn check(name: &str) {
    let (_, function): &Target = TARGETS.iter().find(|(known, _)| *known == name).unwrap();
    if std::env::var("HEXTET_UPDATE").is_ok_and(|value| value == "1") {
        write_seeds(name);
    }
    let corpus = corpus(name);
    assert!(corpus.len() >= 10, "{name}: {} inputs", corpus.len());
    for (path, input) in &corpus {
        tried(function, input, &path.display().to_string());
    }
    let mut mutator = Mutator::new(0x6865_7874_6574);
    let mut understood = 0;
    for number in 0..MUTATIONS {
        let (_, input) = &corpus[mutator.below(corpus.len())];
        let (_, other) = &corpus[mutator.below(corpus.len())];
        let mutated = mutator.mutate(input, other);
        understood += usize::from(tried(function, &mutated, &format!("mutation {number}")));
    }
    assert!(
        understood >= MUTATIONS / UNDERSTOOD_ONE_IN,
        "{name}: {understood} of {MUTATIONS} mutated inputs meant anything"
    );
}

fn tried(function: &fn(&[u8]) -> bool, input: &[u8], what: &str) -> bool {
    std::panic::catch_unwind(|| function(input)).unwrap_or_else(|panic| {
        let hex: String = input.iter().map(|byte| format!("{byte:02x}")).collect();
        eprintln!("{what} breaks it: {hex}");
        std::panic::resume_unwind(panic)
    })
}

fn corpus(name: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let mut paths: Vec<PathBuf> = std::fs::read_dir(root().join("corpus").join(name))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    let read = |path: PathBuf| {
        let text = std::fs::read_to_string(&path).unwrap();
        (path, bytes_of(&text))
    };
    paths.into_iter().map(read).collect()
}

/// Hex with comments, as the golden packets are written.
fn bytes_of(text: &str) -> Vec<u8> {
    text.lines()
        .flat_map(|line| line.split('#').next().unwrap_or("").split_whitespace())
        .map(|byte| u8::from_str_radix(byte, 16).unwrap())
        .collect()
}

fn write_seeds(name: &str) {
    let folder = root().join("corpus").join(name);
    std::fs::create_dir_all(&folder).unwrap();
    if name == "decode_request" {
        for (stem, request) in requests::SEEDS {
            write(&folder.join(format!("{stem}.hex")), request.as_bytes());
        }
        return;
    }
    if name == "parse_mld" {
        for (stem, frame) in mld::seeds() {
            write(&folder.join(format!("{stem}.hex")), &frame);
        }
        return;
    }
    if name == "redo_body" {
        for (stem, body) in redo::seeds() {
            write(&folder.join(format!("{stem}.hex")), &body);
        }
        return;
    }
    if name == "parse_craft" {
        for example in hextet_wire::craft::EXAMPLES {
            let text = format!("{} {}", example.words, "vlan=5 hop-limit=7 data=00ff");
            let path = folder.join(format!("{}.hex", example.name));
            write(&path, text.as_bytes());
            let path = folder.join(format!("name-{}.hex", example.name));
            write(&path, example.name.as_bytes());
        }
        return;
    }
    let golden = root().join("../crates/wire/golden");
    let mut paths: Vec<PathBuf> = std::fs::read_dir(golden)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    let mut mutator = Mutator::new(7);
    for path in paths {
        let frame = bytes_of(&std::fs::read_to_string(&path).unwrap());
        let is_udp = frame[20] == 17;
        let input = match (name, is_udp) {
            ("parse_ndp", true) | ("parse_dhcpv6", false) | ("parse_ipv4" | "parse_dhcpv4", _) => {
                continue;
            }
            ("parse_dhcpv6", true) => &frame[BEFORE_DHCPV6..],
            _ => &frame[..],
        };
        let captured = captured(input);
        let input = if name == "parse_capture" {
            &captured[..]
        } else {
            input
        };
        let stem = path.file_stem().unwrap().to_str().unwrap();
        // What hosts send is for guests' parsers; a link gets one of each, as a hostile guest sends it.
        let from_host = ["ra-", "na", "reply", "advertise"]
            .iter()
            .any(|prefix| stem.starts_with(prefix));
        let one_of_each = ["ra-slaac", "na", "reply"].contains(&stem);
        if name == "link_handle_frame" && from_host && !one_of_each {
            continue;
        }
        write(&folder.join(format!("golden-{stem}.hex")), input);
        let mutated = mutator.mutate(input, input);
        write(&folder.join(format!("mutated-{stem}.hex")), &mutated);
    }
    for (stem, message) in reconfigure::seeds() {
        if name == "parse_dhcpv6" {
            write(&folder.join(format!("{stem}.hex")), &message);
        }
    }
    for (stem, frame) in dhcpv4::seeds() {
        let input = match name {
            "parse_ipv4" | "link_handle_frame" => &frame[..],
            "parse_dhcpv4" => &frame[BEFORE_DHCPV4..],
            _ => continue,
        };
        write(&folder.join(format!("dhcpv4-{stem}.hex")), input);
        let mutated = mutator.mutate(input, input);
        write(&folder.join(format!("mutated-dhcpv4-{stem}.hex")), &mutated);
    }
}

/// A capture with this frame in it twice.
fn captured(frame: &[u8]) -> Vec<u8> {
    let length = u32::try_from(frame.len()).unwrap().to_le_bytes();
    let mut file = vec![0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0];
    file.extend([0; 8]);
    file.extend([0xff, 0xff, 0, 0, 1, 0, 0, 0]);
    for _ in 0..2 {
        file.extend([0; 8]);
        file.extend([length, length].concat());
        file.extend(frame);
    }
    file
}

fn write(path: &Path, bytes: &[u8]) {
    let lines = bytes.chunks(16).map(|line| {
        let line: Vec<String> = line.iter().map(|byte| format!("{byte:02x}")).collect();
        line.join(" ") + "\n"
    });
    std::fs::write(path, lines.collect::<String>()).unwrap();
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}
