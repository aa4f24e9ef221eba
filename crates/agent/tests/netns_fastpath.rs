//! The fast path between real guests: kernels in namespaces, on veth pairs, by either hook. Needs root, and fails without
//! it.

#![allow(clippy::unwrap_used, reason = "a test's helpers fail as the test does")]

#[path = "netns_fastpath/groups.rs"]
mod groups;
#[path = "netns_fastpath/hostile.rs"]
mod hostile;
#[path = "netns_fastpath/ipv4.rs"]
mod ipv4;
#[path = "netns_fastpath/offload.rs"]
mod offload;
mod support;
#[path = "netns_fastpath/survival.rs"]
mod survival;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv6Addr, SocketAddrV6, TcpListener, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use groups::groups_of_guests;
use hextet_agent::kernel::fastpath::{PuntBudget, SCHEMA};
use hextet_agent::kernel::links::{self, LinkChange, LinkKind, LinkWatch, NewVeth};
use hextet_agent::kernel::{
    Fastpath, FastpathConfig, Hook, Kind, MapOp, PortRow, PuntReason, Sender, SourceRow, Verdict,
    netns,
};
use hextet_core::ids::PortNumber;
use hextet_core::mac::Mac;
use hostile::attacks_in_disguise;
use ipv4::{attacks_by_ipv4, reach_by_ipv4};
use offload::{fragmented, offloaded};
use support::frames::{checksum, ethernet, ipv6_packet};
use support::{Guest, Host, MTU, NET, eventually, with_host};
use survival::{an_older_schema, asked_by_themselves, pins_of_maps, pins_under_the_agent};

const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
const ALL_NODES_MAC: Mac = Mac([0x33, 0x33, 0, 0, 0, 1]);

/// Of clsact no link is pinned, of which there could be something to repair.
#[test]
fn tcx_pins_that_are_deleted_under_the_agent_are_made_again_without_losing_a_packet() {
    with_host(Hook::Tcx, 2, pins_under_the_agent);
}

macro_rules! by_each_hook {
    ($($name:ident => $test:ident($guests:expr);)*) => {
        mod tcx {
            $(#[test]
            fn $name() {
                super::with_host(super::Hook::Tcx, $guests, super::$test);
            })*
        }
        mod clsact {
            $(#[test]
            fn $name() {
                super::with_host(super::Hook::Clsact, $guests, super::$test);
            })*
        }
    };
}

by_each_hook! {
    guests_reach_each_other_and_a_third_sees_nothing_of_it => reach(3);
    what_a_guest_must_not_send_is_dropped_counted_and_reaches_nobody => attacks(2);
    no_disguise_of_what_a_guest_sends_gets_past_the_guard => attacks_in_disguise(2);
    guests_reach_each_other_by_ipv4_and_a_third_sees_nothing_of_it => reach_by_ipv4(3);
    what_a_guest_must_not_send_by_ipv4_is_dropped_and_reaches_nobody => attacks_by_ipv4(2);
    a_groups_traffic_reaches_only_who_listens_though_the_agent_is_away => groups_of_guests(4);
    large_tcp_segments_and_fragments_cross => bulk(2);
    what_a_guest_leaves_to_its_device_is_done_and_segments_are_held_to_the_mtu => offloaded(1);
    a_datagram_that_a_guest_leaves_its_device_to_fragment_arrives => fragmented(1);
    frames_go_right_to_a_guest_where_its_row_says_so => direct(2);
    a_port_that_is_down_neither_sends_nor_receives => down(2);
    frames_for_the_agent_carry_their_port_and_the_answer_goes_back => punted(2);
    opening_again_changes_nothing_and_loses_no_packet_of_a_running_flow => reopened(2);
    another_program_takes_over_without_losing_a_packet => replaced(2);
    an_older_schema_is_taken_over_without_losing_a_packet => an_older_schema(2);
    maps_without_pins_are_made_and_filled_before_the_program_changes => pins_of_maps(2);
    a_link_that_vanished_is_collected => vanished(2);
    a_link_is_asked_by_itself_whether_it_runs_the_program => asked_by_themselves(2);
    removal_leaves_nothing => removed(2);
}

// What needs tcx says so in its name: the lane of the oldest kernel leaves it out.

#[test]
fn clsact_takes_over_from_tcx() {
    with_host(Hook::Tcx, 2, other_hook);
}

#[test]
fn tcx_takes_over_from_clsact() {
    with_host(Hook::Clsact, 2, other_hook);
}

fn reach(host: &mut Host) {
    let [a, b, c] = &host.guests[..] else {
        unreachable!("three guests")
    };
    let capture = c.capture();
    for to in [b.address, b.mac.link_local()] {
        a.reaches(to);
    }
    for to in [a.address, a.mac.link_local()] {
        b.reaches(to);
    }
    assert_eq!(
        capture.frames(c.mac),
        Vec::<Vec<u8>>::new(),
        "unicast or ND of others"
    );
    // The capture would have seen it: multicast is for all.
    let output = a.output(&["ping", "-6", "-c", "1", "-W", "2", "ff02::1%eth0"]);
    assert!(output.status.success(), "the neighbours answer");
    eventually("the third sees a group's packet", || {
        !capture.frames(c.mac).is_empty()
    });
    let counted = host.counted(0);
    assert!(counted[&Verdict::NdAnswered] > 0);
    assert!(counted[&Verdict::Multicast] > 0);
    assert!(
        !counted.contains_key(&Verdict::SourceSpoofed),
        "{counted:?}"
    );
}

/// An ICMPv6 message with the right checksum.
fn icmpv6(source: Ipv6Addr, to: Ipv6Addr, message: &[u8]) -> Vec<u8> {
    let mut message = message.to_vec();
    let sum = checksum(source, to, 58, &message);
    message[2..4].copy_from_slice(&sum.to_be_bytes());
    ipv6_packet(source, to, 58, &message)
}

/// An RA that makes itself the default router and gives this /64.
fn rogue_ra(source: Ipv6Addr, prefix: Ipv6Addr) -> Vec<u8> {
    let lifetimes = [0, 0, 0xe, 0x10, 0, 0, 0xe, 0x10, 0, 0, 0, 0];
    let message = [
        &[134, 0, 0, 0, 64, 0, 7, 8][..],
        &[0; 8],
        &[3, 4, 64, 0xc0],
        &lifetimes,
        &prefix.octets(),
    ]
    .concat();
    icmpv6(source, ALL_NODES, &message)
}

fn attacks(host: &mut Host) {
    let (attacker, victim) = (&host.guests[0], &host.guests[1]);
    let (mac, to) = (attacker.mac, victim.mac);
    let own = mac.link_local();
    let capture = victim.capture();
    let ra = rogue_ra(own, Ipv6Addr::new(0x2001, 0xdb8, 0xbad, 0, 0, 0, 0, 0));
    let udp = |source: Ipv6Addr, port: u16| {
        let payload = [
            &9u16.to_be_bytes()[..],
            &port.to_be_bytes(),
            &[0, 8, 0xff, 0xff],
        ]
        .concat();
        ipv6_packet(source, victim.address, 17, &payload)
    };
    let untagged = ethernet(mac, ALL_NODES_MAC, 0x86dd, &ra);
    let tagged = |tci: u16| {
        ethernet(
            mac,
            ALL_NODES_MAC,
            0x8100,
            &[&tci.to_be_bytes()[..], &untagged[12..]].concat(),
        )
    };
    let snap = [&[0xaa, 0xaa, 3, 0, 0, 0, 0x86, 0xdd][..], &ra].concat();
    let mut behind = ra[40..].to_vec();
    behind.splice(0..0, [58, 0, 1, 4, 0, 0, 0, 0]);
    let spoofed_na = [
        &[136, 0, 0, 0, 0x20, 0, 0, 0][..],
        &victim.address.octets(),
        &[2, 1],
        &mac.0,
    ]
    .concat();
    let cases = [
        (untagged.clone(), Verdict::RouterAdvertisement),
        (ethernet(mac, to, 0x86dd, &ra), Verdict::RouterAdvertisement),
        (
            ethernet(
                mac,
                ALL_NODES_MAC,
                0x86dd,
                &ipv6_packet(own, ALL_NODES, 0, &behind),
            ),
            Verdict::RouterAdvertisement,
        ),
        (tagged(0), Verdict::VlanTag),
        (tagged(5), Verdict::VlanTag),
        (
            ethernet(mac, ALL_NODES_MAC, snap.len() as u16, &snap),
            Verdict::Llc,
        ),
        (
            ethernet(to, ALL_NODES_MAC, 0x86dd, &ra),
            Verdict::MacSpoofed,
        ),
        (
            ethernet(
                mac,
                to,
                0x86dd,
                &udp(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0x66), 9),
            ),
            Verdict::SourceSpoofed,
        ),
        (
            ethernet(mac, to, 0x86dd, &udp(attacker.address, 546)),
            Verdict::Dhcpv6Server,
        ),
        (
            ethernet(
                mac,
                ALL_NODES_MAC,
                0x86dd,
                &icmpv6(own, ALL_NODES, &spoofed_na),
            ),
            Verdict::NdSpoofed,
        ),
        (ethernet(mac, to, 0x86dd, &ra[..30]), Verdict::Malformed),
    ];
    for (frame, verdict) in &cases {
        assert_eq!(verdict.kind(), Kind::Drop);
        host.attack(0, frame, *verdict);
    }
    assert_eq!(capture.frames(victim.mac), Vec::<Vec<u8>>::new());
    // What would have happened: the same RA, sent as the network sends it, is believed.
    let bad = |guest: &Guest| {
        let shown = guest.output(&["ip", "-6", "addr", "show", "dev", "eth0"]);
        String::from_utf8_lossy(&shown.stdout).contains("2001:db8:bad:")
    };
    assert!(!bad(victim));
    Sender::new()
        .unwrap()
        .send(victim.ifindex, &untagged)
        .unwrap();
    eventually("a real RA is believed", || bad(victim));
}

fn bulk(host: &mut Host) {
    const BYTES: usize = 32 << 20;
    let [a, b] = &host.guests[..] else {
        unreachable!("two guests")
    };
    let listener = netns::inside(&b.namespace, || {
        TcpListener::bind((b.address, 4000)).unwrap()
    })
    .unwrap();
    let received = std::thread::scope(|scope| {
        let receiver = scope.spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            stream
                .set_read_timeout(Some(Duration::from_secs(20)))
                .unwrap();
            let mut received = 0;
            let mut buffer = vec![0; 1 << 16];
            loop {
                match stream.read(&mut buffer).unwrap() {
                    0 => return received,
                    some => received += some,
                }
            }
        });
        let mut stream = netns::inside(&a.namespace, || {
            TcpStream::connect((b.address, 4000)).unwrap()
        })
        .unwrap();
        stream.write_all(&vec![7; BYTES]).unwrap();
        drop(stream);
        receiver.join().unwrap()
    });
    assert_eq!(received, BYTES);
    let packets = host.counted(0)[&Verdict::Unicast];
    assert!(
        packets < (BYTES / MTU as usize) as u64,
        "{packets} packets: segments crossed one by one"
    );
    a.run(&[
        "ping",
        "-6",
        "-c",
        "2",
        "-i",
        "0.2",
        "-W",
        "2",
        "-s",
        "20000",
        &b.address.to_string(),
    ]);
    for guest in [0, 1] {
        let counted = host.counted(guest);
        for verdict in [Verdict::TooBig, Verdict::OrphanFragment, Verdict::Malformed] {
            assert_eq!(counted.get(&verdict), None, "{}", verdict.name());
        }
    }
}

fn direct(host: &mut Host) {
    const DATAGRAMS: u64 = 200;
    let [a, b] = &host.guests[..] else {
        unreachable!("two guests")
    };
    let to = SocketAddrV6::new(b.address, 5000, 0, 0);
    let (sender, receiver) = (
        netns::inside(&a.namespace, || UdpSocket::bind((a.address, 5001)).unwrap()).unwrap(),
        netns::inside(&b.namespace, || UdpSocket::bind(to).unwrap()).unwrap(),
    );
    receiver
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    a.reaches(b.address);
    let left_by_the_host_end = || {
        let counter = "/proc/thread-self/net/dev";
        let devices = fs::read_to_string(counter).unwrap();
        let line = devices
            .lines()
            .find_map(|line| line.trim().strip_prefix(&format!("{}:", b.host_name)));
        let mut fields = line.unwrap().split_whitespace();
        fields.nth(9).unwrap().parse::<u64>().unwrap()
    };
    for direct in [true, false] {
        let row = PortRow {
            direct,
            ..host.rows().ports[&b.ifindex]
        };
        host.apply(&[MapOp::SetPort(b.ifindex, row)]);
        let before = left_by_the_host_end();
        for _ in 0..DATAGRAMS {
            sender.send_to(&[0; 64], to).unwrap();
            receiver.recv(&mut [0; 64]).unwrap();
        }
        // Answers to its own solicitations leave by it, too.
        assert_eq!(left_by_the_host_end() - before < DATAGRAMS, direct);
    }
}

fn down(host: &mut Host) {
    let [a, b] = &host.guests[..] else {
        unreachable!("two guests")
    };
    a.reaches(b.address);
    let row = |guest: &Guest, admin_up| {
        let row = PortRow {
            port: guest.number,
            net: NET,
            admin_up,
            guarded: true,
            direct: true,
            mtu: MTU,
            mac: guest.mac,
            outside: None,
        };
        host.apply(&[MapOp::SetPort(guest.ifindex, row)]);
    };
    row(b, false);
    assert!(!a.pings(b.address));
    assert!(!b.pings(a.address));
    assert!(host.counted(0)[&Verdict::ReceiverDown] > 0);
    assert!(host.counted(1)[&Verdict::PortDown] > 0);
    row(b, true);
    a.reaches(b.address);
}

fn punted(host: &mut Host) {
    let (a, b) = (&host.guests[0], &host.guests[1]);
    let mut punt = host.fastpath().punt().unwrap();
    let mut seen = BTreeSet::new();
    // What the guests' own kernels said while they came up.
    eventually(
        "both were seen, probed for duplicates and solicited a router",
        || {
            punt.drain(|record| {
                assert_eq!(record.net, NET);
                let guest = host
                    .guests
                    .iter()
                    .find(|guest| guest.ifindex == record.ifindex)
                    .unwrap();
                assert_eq!(record.port, guest.number);
                assert_eq!(record.frame[6..12], guest.mac.0);
                seen.insert((record.port, record.reason));
            })
            .unwrap();
            [PuntReason::FirstFrame, PuntReason::NsDad, PuntReason::Rs]
                .into_iter()
                .all(|reason| {
                    [a, b]
                        .iter()
                        .all(|guest| seen.contains(&(guest.number, reason)))
                })
        },
    );
    // An unknown target is for the agent to answer; the answer goes out by one socket for all links.
    let stranger = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0x77);
    let stranger_mac = Mac([2, 0, 0, 0, 0, 0x77]);
    let sender = Sender::new().unwrap();
    a.output(&["ping", "-6", "-c", "1", "-W", "1", &stranger.to_string()]);
    let mut asked = false;
    punt.drain(|record| asked |= record.reason == PuntReason::NsTarget && record.port == a.number)
        .unwrap();
    assert!(asked);
    let message = [
        &[136, 0, 0, 0, 0x60, 0, 0, 0][..],
        &stranger.octets(),
        &[2, 1],
        &stranger_mac.0,
    ]
    .concat();
    let answer = ethernet(
        stranger_mac,
        a.mac,
        0x86dd,
        &icmpv6(stranger, a.address, &message),
    );
    eventually("the guest learns from the answer", || {
        a.output(&["ping", "-6", "-c", "1", "-W", "1", &stranger.to_string()]);
        sender.send(a.ifindex, &answer).unwrap();
        let shown = a.output(&["ip", "-6", "neigh", "show", &stranger.to_string()]);
        String::from_utf8_lossy(&shown.stdout).contains(&stranger_mac.to_string())
    });
}

/// A flow of one guest to the other while `work` runs; afterwards every packet that left the one's device has come in at the
/// other's, or was for the agent.
fn with_flow(host: &mut Host, work: impl FnOnce(&mut Host, &AtomicU64)) {
    // A CPU's queue holds 1,000 frames, for as long as nobody gets to it.
    const EACH: u32 = 5;
    let [a, b] = &host.guests[..] else {
        unreachable!("two guests")
    };
    a.reaches(b.address);
    let to = SocketAddrV6::new(b.address, 5000, 0, 0);
    let (sender, _receiver) = (
        netns::inside(&a.namespace, || UdpSocket::bind((a.address, 5001)).unwrap()).unwrap(),
        netns::inside(&b.namespace, || UdpSocket::bind(to).unwrap()).unwrap(),
    );
    for (guest, other) in [(a, b), (b, a)] {
        let (address, mac) = (other.address.to_string(), other.mac.to_string());
        guest.run(&[
            "ip",
            "-6",
            "neigh",
            "replace",
            &address,
            "lladdr",
            &mac,
            "dev",
            "eth0",
            "nud",
            "permanent",
        ]);
    }
    let before = at_rest(host);
    let (stop, sent) = (AtomicBool::new(false), AtomicU64::new(0));
    let elapsed = std::thread::scope(|scope| {
        let flow = scope.spawn(|| {
            let start = std::time::Instant::now();
            while !stop.load(Ordering::Relaxed) {
                for _ in 0..EACH {
                    sender.send_to(&[0; 64], to).unwrap();
                }
                sent.fetch_add(u64::from(EACH), Ordering::Relaxed);
                std::thread::sleep(Duration::from_micros(500));
            }
            start.elapsed()
        });
        work(host, &sent);
        stop.store(true, Ordering::Relaxed);
        flow.join().unwrap()
    });
    let after = at_rest(host);
    let left = after.0 - before.0;
    let arrived = after.1 - before.1;
    let mut not_for_b = 0;
    for (verdict, packets) in after.2 {
        let packets = packets - before.2.get(&verdict).copied().unwrap_or(0);
        if packets > 0 && verdict != Verdict::Unicast {
            assert_ne!(
                verdict.kind(),
                Kind::Drop,
                "{packets} of {}",
                verdict.name()
            );
            not_for_b += if verdict.kind() == Kind::Note {
                0
            } else {
                packets
            };
        }
    }
    let sent = sent.load(Ordering::Relaxed);
    eprintln!(
        "{sent} packets, {:.0} a second",
        sent as f64 / elapsed.as_secs_f64()
    );
    assert!(left >= sent);
    assert_eq!(left, arrived + not_for_b, "packets were lost");
}

/// What left the first guest's device, what came in at the second's, and how the first's frames were judged, of one moment:
/// guests send frames by themselves, also while one of the three is read.
fn at_rest(host: &Host) -> (u64, u64, BTreeMap<Verdict, u64>) {
    let read = || {
        let left = host.guests[0].statistic("tx_packets");
        let arrived = host.guests[1].statistic("rx_packets");
        (left, arrived, host.counted(0))
    };
    let mut seen = read();
    eventually("nothing is on its way", || {
        let before = std::mem::replace(&mut seen, read());
        before == seen
    });
    seen
}

/// Until the flow has made `packets` more.
fn flow_on(sent: &AtomicU64, packets: u64) {
    let from = sent.load(Ordering::Relaxed);
    eventually("the flow goes on", || {
        sent.load(Ordering::Relaxed) >= from + packets
    });
}

fn reopened(host: &mut Host) {
    with_flow(host, |host, sent| {
        for _ in 0..10 {
            flow_on(sent, 500);
            let before = (
                host.fastpath().program_id(),
                host.fastpath().attached().unwrap(),
                host.fastpath().dump().unwrap(),
                pins(&host.config),
            );
            drop(host.fastpath.take());
            flow_on(sent, 500);
            host.fastpath = Some(Fastpath::open(&host.config).unwrap());
            let after = (
                host.fastpath().program_id(),
                host.fastpath().attached().unwrap(),
                host.fastpath().dump().unwrap(),
                pins(&host.config),
            );
            assert_eq!(before, after);
            let wanted = hextet_agent::kernel::Rows {
                seen: after.2.seen.clone(),
                ..host.rows()
            };
            assert_eq!(after.2.diff(&wanted), Vec::new());
        }
    });
}

/// Every pin, by name and inode.
fn pins(config: &FastpathConfig) -> BTreeSet<(String, u64)> {
    use std::os::unix::fs::MetadataExt;
    let mut roots = vec!["/sys/fs/bpf".into(), config.state_dir.join("bpf")];
    roots.retain(|root: &std::path::PathBuf| root.join("hextet").join(&config.instance).is_dir());
    let root = roots.pop().expect("pins are somewhere");
    let schema = root
        .join("hextet")
        .join(&config.instance)
        .join(format!("v{SCHEMA}"));
    fs::read_dir(schema)
        .unwrap()
        .map(|entry| {
            let entry = entry.unwrap();
            (
                entry.file_name().into_string().unwrap(),
                entry.metadata().unwrap().ino(),
            )
        })
        .collect()
}

fn replaced(host: &mut Host) {
    with_flow(host, |host, sent| {
        for round in 0..6 {
            flow_on(sent, 500);
            let before = host.fastpath().program_id();
            let attached = host.fastpath().attached().unwrap();
            drop(host.fastpath.take());
            host.config.punt = PuntBudget {
                per_second: 300 + round,
                burst: 400,
            };
            host.fastpath = Some(Fastpath::open(&host.config).unwrap());
            assert_ne!(host.fastpath().program_id(), before);
            assert_eq!(host.fastpath().attached().unwrap(), attached);
            let programs = pins(&host.config)
                .into_iter()
                .filter(|(name, _)| name.starts_with("guest_"));
            assert_eq!(programs.count(), 1, "the older program's pin is gone");
        }
        flow_on(sent, 500);
    });
}

fn vanished(host: &mut Host) {
    let gone = host.guests[1].ifindex;
    let kept = host.guests[0].ifindex;
    assert_eq!(
        host.fastpath().attached().unwrap(),
        BTreeSet::from([kept, gone])
    );
    links::delete(gone).unwrap();
    assert_eq!(host.fastpath().attached().unwrap(), BTreeSet::from([kept]));
    assert!(
        pins(&host.config)
            .iter()
            .all(|(name, _)| *name != format!("link_{gone}"))
    );
    host.fastpath().detach(gone).unwrap();
    host.fastpath().detach(kept).unwrap();
    host.fastpath().detach(kept).unwrap();
    assert_eq!(host.fastpath().attached().unwrap(), BTreeSet::new());
    host.fastpath().attach(kept).unwrap();
    host.fastpath().attach(kept).unwrap();
    assert_eq!(host.fastpath().attached().unwrap(), BTreeSet::from([kept]));
}

fn other_hook(host: &mut Host) {
    let attached = host.fastpath().attached().unwrap();
    drop(host.fastpath.take());
    let other = match host.config.hook {
        Hook::Tcx => Hook::Clsact,
        Hook::Clsact => Hook::Tcx,
    };
    let before = FastpathConfig {
        hook: host.config.hook,
        ..host.config.clone()
    };
    host.config.hook = other;
    host.fastpath = Some(Fastpath::open(&host.config).unwrap());
    assert_eq!(host.fastpath().attached().unwrap(), attached);
    host.guests[0].reaches(host.guests[1].address);
    // Nothing was left on the first hook: opened by it again, the program is moved, not found.
    drop(host.fastpath.take());
    host.config = before;
    host.fastpath = Some(Fastpath::open(&host.config).unwrap());
    assert_eq!(host.fastpath().attached().unwrap(), attached);
    host.guests[1].reaches(host.guests[0].address);
}

fn removed(host: &mut Host) {
    let [a, b] = &host.guests[..] else {
        unreachable!("two guests")
    };
    a.reaches(b.address);
    let link = a.host_name.clone();
    drop(host.fastpath.take());
    Fastpath::remove(&host.config).unwrap();
    Fastpath::remove(&host.config).unwrap();
    let [a, b] = &host.guests[..] else {
        unreachable!("two guests")
    };
    assert!(!a.pings(b.address));
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap();
    assert!(!mounts.contains(&*host.config.state_dir.to_string_lossy()));
    let filters = std::process::Command::new("tc")
        .args(["filter", "show", "dev", &link, "ingress"])
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&filters.stdout), "");
    host.fastpath = Some(Fastpath::open(&host.config).unwrap());
    assert_eq!(host.fastpath().attached().unwrap(), BTreeSet::new());
    assert_eq!(
        host.fastpath().dump().unwrap(),
        hextet_agent::kernel::Rows::default()
    );
}

#[test]
fn a_source_admitted_towards_us_only_reaches_no_guest() {
    with_host(Hook::Clsact, 2, |host| {
        let [a, b] = &host.guests[..] else {
            unreachable!("two guests")
        };
        let key = (a.number, a.mac.link_local());
        a.reaches(b.mac.link_local());
        host.apply(&[MapOp::SetSource(
            key,
            SourceRow {
                local_only: true,
                learned: true,
            },
        )]);
        assert!(!a.pings(b.mac.link_local()));
        assert!(host.counted(0)[&Verdict::SourceLocalOnly] > 0);
        a.reaches(b.address);
    });
}

#[test]
fn tcx_puts_expedited_rcu_back() {
    with_host(Hook::Tcx, 1, |host| {
        let value = || {
            // Whoever has changed it holds this lock.
            let file = fs::File::open("/sys/kernel/rcu_expedited").unwrap();
            let lock = nix::fcntl::Flock::lock(file, nix::fcntl::FlockArg::LockShared).unwrap();
            let value = fs::read_to_string("/sys/kernel/rcu_expedited").unwrap();
            drop(lock);
            value
        };
        let before = value();
        host.fastpath().detach(host.guests[0].ifindex).unwrap();
        host.fastpath().attach(host.guests[0].ifindex).unwrap();
        assert_eq!(value(), before);
    });
}

#[test]
fn a_pair_whose_other_end_comes_to_the_host_is_told_from_others() {
    with_host(Hook::Clsact, 1, |host| {
        let guest = &host.guests[0];
        let seen = || {
            let links = links::dump().unwrap();
            let mut links = links.into_iter();
            links.find(|link| link.ifindex == guest.ifindex).unwrap()
        };
        assert!(seen().peer_elsewhere);
        let mut watch = LinkWatch::new().unwrap();
        guest.run(&["ip", "link", "set", "eth0", "netns", &host.config.instance]);
        assert!(!seen().peer_elsewhere);
        assert_eq!(links::peer_mtu(guest.ifindex).unwrap(), None);
        let mut told = Vec::new();
        eventually("the watch tells of it", || {
            told.extend(watch.drain().unwrap());
            told.contains(&LinkChange::Seen(seen()))
        });
    });
}

#[test]
fn links_are_seen_watched_and_made_whole_or_not_at_all() {
    with_host(Hook::Clsact, 1, |host| {
        let guest = &host.guests[0];
        let mut watch = LinkWatch::new().unwrap();
        let new = |guest_name| NewVeth {
            host_name: "made",
            alias: "hextet:i:p",
            netns: &guest.namespace,
            guest_name,
            mac: Mac([2, 0, 0, 0, 0, 9]),
            mtu: 1400,
            guest_up: true,
        };
        assert!(
            links::create_veth(&new("eth0")).is_err(),
            "the guest has such a link"
        );
        assert!(links::index("made").is_err());

        let ifindex = links::create_veth(&new("eth9")).unwrap();
        let link = links::dump()
            .unwrap()
            .into_iter()
            .find(|link| link.ifindex == ifindex)
            .unwrap();
        assert_eq!(
            (&*link.name, link.mtu, link.kind),
            ("made", 1400, LinkKind::Veth)
        );
        assert_eq!(link.alias.as_deref(), Some("hextet:i:p"));
        assert!(!link.admin_up && !link.carrier && link.peer_elsewhere);
        assert_eq!(links::peer_mtu(ifindex).unwrap(), Some(1400));
        guest.run(&["ip", "link", "set", "eth9", "mtu", "1280"]);
        assert_eq!(links::peer_mtu(ifindex).unwrap(), Some(1280));
        let silent = fs::read_to_string("/proc/sys/net/ipv6/conf/made/disable_ipv6").unwrap();
        assert_eq!(silent.trim(), "1");
        links::set_up(ifindex, true).unwrap();
        links::set_mtu(ifindex, 1300).unwrap();
        links::delete(ifindex).unwrap();
        links::delete(ifindex).unwrap();

        let mut changes = Vec::new();
        eventually("the watch tells of its end", || {
            changes.extend(watch.drain().unwrap());
            changes.contains(&LinkChange::Gone { ifindex })
        });
        let up_with = |mtu| {
            changes.iter().any(|change| {
                matches!(change, LinkChange::Seen(link) if link.ifindex == ifindex && link.admin_up && link.mtu == mtu)
            })
        };
        assert!(up_with(1400) && up_with(1300), "{changes:?}");
        assert!(
            host.fastpath()
                .counters()
                .unwrap()
                .keys()
                .all(|(port, _)| *port != PortNumber(0))
        );
    });
}
