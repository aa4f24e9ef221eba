//! A network that is a physical segment: what guest A sends there, and what the segment and the host send to guests.

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use super::ipv4::{BROADCAST, of, packet};
use super::*;
use crate::kernel::{NicRow, Objections, OutsideFlags, UplinkRow};

/// Another on the segment.
const X: Mac = Mac([0x00, 0x11, 0x22, 0, 0, 1]);
/// The host's own MAC there.
const NIC: Mac = Mac([0x00, 0x11, 0x22, 0, 0, 2]);
/// Of the program: its mark on frames of guests.
const FROM_GUEST: u32 = 0x6878_0001;
/// TC_ACT_UNSPEC.
const UNTOUCHED: u32 = u32::MAX;
const GROUP: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0xfb);
const GROUP_MAC: Mac = Mac([0x33, 0x33, 0, 0, 0, 0xfb]);

const NOTHING: OutsideFlags = OutsideFlags {
    ra: false,
    dhcpv6: false,
    dhcpv4: false,
};
const ALL: OutsideFlags = OutsideFlags {
    ra: true,
    dhcpv6: true,
    dhcpv4: true,
};

/// Guest A on the link of the test runs, B on a link that is there, C's port down; the NIC is another link that is there.
fn on_segment(outside: OutsideFlags, work: impl FnOnce(&Bench, u32, u32) + Send) {
    in_own_namespace(|namespace| {
        let (nic, b) = (veth(namespace, "nic"), veth(namespace, "b"));
        for ifindex in [nic, b] {
            links::set_up(ifindex, true).unwrap();
        }
        let bench = Bench::usual();
        let row = |number, mac| PortRow {
            outside: Some(outside),
            ..port(number, mac, true)
        };
        let uplink = UplinkRow {
            ifindex: nic,
            mac: NIC,
        };
        let led = NicRow {
            net: NET,
            mtu: MTU,
            all_multicast: false,
        };
        bench
            .maps
            .apply(&[
                MapOp::SetPort(ASKING, row(PORT_A, A)),
                MapOp::SetPort(b, row(PORT_B, B)),
                MapOp::SetFdb((NET, B), b),
                MapOp::SetMembers(NET, [ASKING, b, DOWN].into()),
                MapOp::SetUplink(NET, uplink),
            ])
            .unwrap();
        // The test runs' link is guest A's or the NIC.
        bench.maps.apply(&[MapOp::SetNic(ASKING, led)]).unwrap();
        work(&bench, nic, b);
    });
}

impl Bench {
    fn segment(&self, frame: &[u8]) -> Outcome {
        self.run_program(object::UPLINK, frame, (0, 0))
    }
}

fn arp_from(source: Mac, operation: u16, sender: (Mac, Ipv4Addr), target: Ipv4Addr) -> Vec<u8> {
    let bytes = arp_bytes(operation, sender.0, sender.1, Mac([0; 6]), target);
    ethernet(source, BROADCAST, 0x0806, &bytes)
}

fn udp4_from(source: Mac, to: Mac, from: Ipv4Addr, to_ip: Ipv4Addr, to_port: u16) -> Vec<u8> {
    let datagram = [
        &[0, 9][..],
        &to_port.to_be_bytes(),
        &[0, 12, 0, 0, 1, 2, 3, 4],
    ]
    .concat();
    packet(source, to, from, to_ip, 17, &[], 0, 0, &datagram)
}

/// From A, and what becomes of it: the verdict, and the copies where it is multicast.
fn guest_rows() -> Vec<(&'static str, Vec<u8>, Verdict, u32)> {
    let stranger = global(0x99);
    let advert = |to: Mac, source, target: Ipv6Addr| {
        let body = [&[0x60, 0, 0, 0][..], &target.octets(), &link_layer(2, A)].concat();
        icmpv6(A, to, 136, source, stranger, &body)
    };
    let report = mld::joins(A, &[GROUP]);
    vec![
        (
            "data to another of the segment",
            udp(A, X, global(0xa), stranger, 1, 2, b"x"),
            Verdict::Uplink,
            0,
        ),
        (
            "to the host",
            udp(A, NIC, global(0xa), stranger, 1, 2, b"x"),
            Verdict::UplinkHost,
            0,
        ),
        ("to a neighbour here", data(), Verdict::Unicast, 0),
        (
            "from an address that is not its own",
            udp(A, X, global(0xc), stranger, 1, 2, b"x"),
            Verdict::SourceSpoofed,
            0,
        ),
        (
            "from a MAC that is not its own",
            udp(B, X, global(0xa), stranger, 1, 2, b"x"),
            Verdict::MacSpoofed,
            0,
        ),
        (
            "multicast",
            udp(A, GROUP_MAC, global(0xa), GROUP, 1, 2, b"x"),
            Verdict::Multicast,
            3,
        ),
        (
            "who has a stranger",
            ns(global(0xa), stranger, &link_layer(1, A)),
            Verdict::Uplink,
            0,
        ),
        (
            "who has a neighbour here",
            ns(global(0xa), global(0xb), &link_layer(1, A)),
            Verdict::NdAnswered,
            0,
        ),
        (
            "a duplicate address check",
            ns(Ipv6Addr::UNSPECIFIED, global(0xa), &[]),
            Verdict::Punted,
            0,
        ),
        (
            "its answer to the segment",
            advert(X, global(0xa), global(0xa)),
            Verdict::Uplink,
            0,
        ),
        (
            "its answer to a neighbour here",
            advert(B, global(0xa), global(0xa)),
            Verdict::NaConsumed,
            0,
        ),
        (
            "an answer for another's address",
            advert(X, global(0xa), stranger),
            Verdict::NdSpoofed,
            0,
        ),
        (
            "an advertisement of a router",
            router_message(134),
            Verdict::RouterAdvertisement,
            0,
        ),
        ("a report of groups", report, Verdict::Uplink, 0),
        (
            "ARP for a stranger",
            arp_from(A, 1, (A, of(0xa)), of(0x99)),
            Verdict::Uplink,
            0,
        ),
        (
            "ARP for a neighbour here",
            arp_from(A, 1, (A, of(0xa)), of(0xb)),
            Verdict::ArpAnswered,
            0,
        ),
        (
            "an ARP announcement",
            arp_from(A, 1, (A, of(0xa)), of(0xa)),
            Verdict::Uplink,
            0,
        ),
        (
            "ARP in a stranger's name",
            arp_from(A, 1, (A, of(0x99)), of(0xb)),
            Verdict::ArpSpoofed,
            0,
        ),
        (
            "an ARP check of a stranger's address",
            arp_from(A, 1, (A, Ipv4Addr::UNSPECIFIED), of(0x99)),
            Verdict::ArpUnknown,
            0,
        ),
    ]
}

#[test]
fn a_guest_reaches_its_segment_and_no_further_than_its_sources() {
    on_segment(NOTHING, |bench, nic, _| {
        for (why, frame, verdict, copies) in guest_rows() {
            let outcome = bench.run(&frame);
            assert_eq!(
                (outcome.verdict, outcome.copies),
                (verdict, copies),
                "{why}"
            );
            let leaves = matches!(verdict, Verdict::Uplink | Verdict::UplinkHost);
            if leaves && frame[0] & 1 == 0 {
                assert_eq!((outcome.action, outcome.target), (REDIRECTED, nic), "{why}");
            }
        }
        assert_eq!(bench.counted(PORT_A, Verdict::CopyFailed), 0);
    });
}

#[test]
fn without_an_uplink_the_same_frames_stay_here() {
    let bench = Bench::usual();
    for (why, frame, verdict, _) in guest_rows() {
        let stays = bench.run(&frame).verdict;
        let expected = match verdict {
            Verdict::Uplink | Verdict::UplinkHost => {
                !matches!(stays, Verdict::Uplink | Verdict::UplinkHost)
            }
            Verdict::Multicast => true,
            _ => stays == verdict,
        };
        assert!(expected, "{why}: {stays:?}");
    }
}

#[test]
fn what_asks_for_servers_outside_leaves_only_where_they_are_heard() {
    let dhcpv4 = udp4_from(A, BROADCAST, Ipv4Addr::UNSPECIFIED, Ipv4Addr::BROADCAST, 67);
    let spoofed = udp4_from(A, BROADCAST, of(0x99), Ipv4Addr::BROADCAST, 67);
    on_segment(NOTHING, |bench, _, _| {
        assert_eq!(bench.run(&dhcpv4).verdict, Verdict::Punted);
    });
    on_segment(ALL, |bench, _, _| {
        assert_eq!(bench.run(&dhcpv4).verdict, Verdict::Uplink);
        assert_eq!(bench.run(&spoofed).verdict, Verdict::SourceSpoofed);
        // The agent serves the rest of what is asked for.
        for frame in [rs(A.link_local(), &[]), dhcpv6(A.link_local(), 64)] {
            assert_eq!(bench.run(&frame).verdict, Verdict::Punted);
        }
    });
}

/// Frames that came in by a link of this thread's namespace.
fn came_in(link: &str) -> u64 {
    let text = std::fs::read_to_string("/proc/thread-self/net/dev").unwrap();
    let mut lines = text.lines().map(|line| line.trim_start().split_once(':'));
    let figures = lines.find_map(|line| line.filter(|(name, _)| *name == link));
    let mut figures = figures.expect("the link is there").1.split_whitespace();
    figures.nth(1).unwrap().parse().unwrap()
}

#[test]
fn of_what_a_guest_asks_a_copy_leaves_where_somebody_outside_may_answer() {
    /// More than a kernel says by itself on links that came up.
    const TIMES: u64 = 200;
    let check = |target: Ipv6Addr| ns(Ipv6Addr::UNSPECIFIED, target, &[]);
    let link_local = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 9);
    // Whether it leaves where guests hear no servers outside, and where they hear all.
    let rows = [
        ("for routers", rs(A.link_local(), &[]), [false, true]),
        ("for servers", dhcpv6(A.link_local(), 64), [false, true]),
        ("for its own address", check(global(0xa)), [true, true]),
        ("for one that it may form", check(link_local), [true, true]),
        ("for a neighbour's", check(global(0xb)), [false, false]),
        ("for one not to form", check(global(0xdead)), [false, false]),
    ];
    for (at, outside) in [NOTHING, ALL].into_iter().enumerate() {
        on_segment(outside, |bench, _, _| {
            links::set_up(links::index("nicg").unwrap(), true).unwrap();
            // The kernel sends by a link some time after its other end is up.
            let started = Instant::now();
            while came_in("nicg") == 0 {
                assert!(started.elapsed() < Duration::from_secs(60));
                bench.run(&check(global(0xa)));
            }
            for (what, frame, leaves) in &rows {
                let before = came_in("nicg");
                for _ in 0..TIMES {
                    bench.run(frame);
                }
                let left = came_in("nicg") - before >= TIMES;
                assert_eq!(left, leaves[at], "{what}, {outside:?}");
            }
        });
    }
}

/// From the segment, and what becomes of it where guests hear no servers outside: the verdict, and the copies.
fn segment_rows() -> Vec<(&'static str, Vec<u8>, Verdict, u32)> {
    let x = X.link_local();
    let stranger = global(0x99);
    let solicit = |source: Ipv6Addr, target: Ipv6Addr| ns_from(X, source, target, &[]);
    let advert = |target: Ipv6Addr| {
        let body = [&[0x20, 0, 0, 0][..], &target.octets(), &link_layer(2, X)].concat();
        icmpv6(X, ALL_NODES_MAC, 136, x, ALL_NODES, &body)
    };
    let to_all = |kind| icmpv6(X, ALL_NODES_MAC, kind, x, ALL_NODES, &[0; 36]);
    let ra = |chain: &[Header]| {
        let bytes = [&[134, 0, 0, 0][..], &[0; 12]].concat();
        ipv6_chain(X, ALL_NODES_MAC, x, ALL_NODES, chain, 58, &bytes)
    };
    let fragment = Header::Fragment {
        offset: 0,
        more: true,
        id: 7,
    };
    let tagged = {
        let frame = udp(X, B, stranger, global(0xb), 1, 2, b"x");
        [&frame[..12], &[0x81, 0, 0, 5], &frame[12..]].concat()
    };
    let mut low = to_all(134);
    low[21] = 254;
    vec![
        (
            "to a guest",
            udp(X, B, stranger, global(0xb), 1, 2, b"x"),
            Verdict::SegmentUnicast,
            0,
        ),
        (
            "to a guest that is down",
            udp(X, C, stranger, global(0xb), 1, 2, b"x"),
            Verdict::Host,
            0,
        ),
        (
            "to the host",
            udp(X, NIC, stranger, global(0x98), 1, 2, b"x"),
            Verdict::Host,
            0,
        ),
        ("in a VLAN of the host", tagged, Verdict::Host, 0),
        (
            "something else to a guest",
            ethernet(X, B, 0x88cc, &[0; 60]),
            Verdict::Ethertype,
            0,
        ),
        (
            "something else to a group",
            ethernet(X, GROUP_MAC, 0x88cc, &[0; 60]),
            Verdict::Host,
            0,
        ),
        (
            "from a guest's MAC",
            udp(A, B, stranger, global(0xb), 1, 2, b"x"),
            Verdict::SegmentSpoofed,
            0,
        ),
        (
            "from the service's MAC",
            udp(service().0, B, stranger, global(0xb), 1, 2, b"x"),
            Verdict::SegmentSpoofed,
            0,
        ),
        (
            "from a guest's address",
            udp(X, B, global(0xa), global(0xb), 1, 2, b"x"),
            Verdict::SegmentSpoofed,
            0,
        ),
        (
            "from the service's address",
            udp(X, B, service().1, global(0xb), 1, 2, b"x"),
            Verdict::SegmentSpoofed,
            0,
        ),
        (
            "multicast",
            udp(X, GROUP_MAC, stranger, GROUP, 1, 2, b"x"),
            Verdict::SegmentMulticast,
            2,
        ),
        (
            "multicast to a wrong MAC",
            udp(X, ALL_NODES_MAC, stranger, GROUP, 1, 2, b"x"),
            Verdict::GroupMismatch,
            0,
        ),
        (
            "larger than the network's MTU",
            udp(X, B, stranger, global(0xb), 1, 2, &[0; 1400]),
            Verdict::TooBig,
            0,
        ),
        (
            "who has a guest",
            solicit(x, global(0xb)),
            Verdict::SegmentMulticast,
            1,
        ),
        (
            "whether a guest's address is free",
            solicit(Ipv6Addr::UNSPECIFIED, global(0xb)),
            Verdict::SegmentMulticast,
            1,
        ),
        ("who has a stranger", solicit(x, stranger), Verdict::Host, 0),
        (
            "who has the service",
            solicit(x, service().1),
            Verdict::Host,
            0,
        ),
        (
            "a stranger's advertisement",
            advert(x),
            Verdict::SegmentMulticast,
            2,
        ),
        (
            "an advertisement of a guest's address",
            advert(global(0xb)),
            Verdict::SegmentSpoofed,
            0,
        ),
        (
            "a router's advertisement",
            ra(&[]),
            Verdict::SegmentRouter,
            0,
        ),
        (
            "one behind an extension header",
            ra(&[Header::Destination]),
            Verdict::ExtendedControl,
            0,
        ),
        (
            "one in a fragment",
            ra(&[fragment]),
            Verdict::FragmentedControl,
            0,
        ),
        ("one from afar", low, Verdict::NdMalformed, 0),
        ("a redirect", to_all(137), Verdict::SegmentRouter, 0),
        ("a solicitation of routers", to_all(133), Verdict::Host, 0),
        ("router renumbering", to_all(138), Verdict::NdpOther, 0),
        ("a report of groups", to_all(143), Verdict::Host, 0),
        (
            "a question for groups",
            to_all(130),
            Verdict::SegmentMulticast,
            2,
        ),
        (
            "a DHCPv6 server's answer",
            udp(X, B, x, global(0xb), 9, 546, b"x"),
            Verdict::SegmentDhcp,
            0,
        ),
        (
            "a DHCPv6 client's question",
            udp(X, ALL_DHCP_MAC, x, ALL_DHCP, 546, 547, b"x"),
            Verdict::Host,
            0,
        ),
        (
            "a DHCPv4 server's answer",
            udp4_from(X, B, of(0x99), of(0xb), 68),
            Verdict::SegmentDhcp,
            0,
        ),
        (
            "the same to all",
            udp4_from(X, BROADCAST, of(0x99), Ipv4Addr::BROADCAST, 68),
            Verdict::SegmentDhcp,
            0,
        ),
        (
            "a DHCPv4 client's question",
            udp4_from(X, BROADCAST, of(0x99), Ipv4Addr::BROADCAST, 67),
            Verdict::Host,
            0,
        ),
        (
            "IPv4 to a guest",
            udp4_from(X, B, of(0x99), of(0xb), 9),
            Verdict::SegmentUnicast,
            0,
        ),
        (
            "IPv4 to all",
            udp4_from(X, BROADCAST, of(0x99), Ipv4Addr::BROADCAST, 9),
            Verdict::SegmentMulticast,
            2,
        ),
        (
            "IPv4 from a guest's address",
            udp4_from(X, B, of(0xa), of(0xb), 9),
            Verdict::SegmentSpoofed,
            0,
        ),
        (
            "an ICMP redirect",
            packet(
                X,
                B,
                of(0x99),
                of(0xb),
                1,
                &[],
                0,
                0,
                &[5, 0, 0, 0, 0, 0, 0, 0],
            ),
            Verdict::SegmentRouter,
            0,
        ),
        (
            "ARP for a guest",
            arp_from(X, 1, (X, of(0x99)), of(0xb)),
            Verdict::SegmentMulticast,
            1,
        ),
        (
            "ARP for a stranger",
            arp_from(X, 1, (X, of(0x99)), of(0x98)),
            Verdict::Host,
            0,
        ),
        (
            "an ARP announcement",
            arp_from(X, 1, (X, of(0x99)), of(0x99)),
            Verdict::SegmentMulticast,
            2,
        ),
        (
            "ARP in a guest's name",
            arp_from(X, 1, (X, of(0xb)), of(0xa)),
            Verdict::SegmentSpoofed,
            0,
        ),
        (
            "ARP of a guest's MAC",
            arp_from(X, 2, (B, of(0x99)), of(0xa)),
            Verdict::SegmentSpoofed,
            0,
        ),
    ]
}

#[test]
fn guests_get_of_the_segment_what_is_theirs_and_the_host_keeps_its_own() {
    on_segment(NOTHING, |bench, _, b| {
        // Guest A is where the NIC is in these runs; another link takes its place.
        bench.maps.apply(&[MapOp::SetFdb((NET, A), b)]).unwrap();
        bench
            .maps
            .apply(&[MapOp::SetPort(NEIGHBOUR, port(PortNumber(19), D, false))])
            .unwrap();
        bench
            .maps
            .apply(&[MapOp::SetMembers(NET, [b, ASKING].into())])
            .unwrap();
        for (why, frame, verdict, copies) in segment_rows() {
            let outcome = bench.segment(&frame);
            assert_eq!(
                (outcome.verdict, outcome.copies),
                (verdict, copies),
                "{why}"
            );
            assert_eq!(outcome.frame, frame, "{why}: the frame is not changed");
            let to_guest = [A, B, C].iter().any(|mac| frame[..6] == mac.0) && frame[12] != 0x81;
            let action = match verdict {
                Verdict::SegmentUnicast => REDIRECTED,
                _ if to_guest => DROPPED,
                _ => UNTOUCHED,
            };
            assert_eq!(outcome.action, action, "{why}");
        }
        let segment = PortNumber(0x8000_0000 | NET.0);
        assert!(bench.counted(segment, Verdict::SegmentSpoofed) > 0);
        assert_eq!(bench.counted(segment, Verdict::CopyFailed), 0);
    });
}

#[test]
fn servers_of_the_segment_are_heard_by_the_ports_that_are_to_hear_them() {
    let x = X.link_local();
    let router = icmpv6(X, ALL_NODES_MAC, 134, x, ALL_NODES, &[0; 12]);
    let one = icmpv6(X, B, 134, x, B.link_local(), &[0; 12]);
    let redirect = icmpv6(X, B, 137, x, B.link_local(), &[0; 36]);
    let dhcpv6 = udp(X, B, x, global(0xb), 547, 546, b"x");
    let dhcpv4 = udp4_from(X, B, of(0x99), of(0xb), 68);
    on_segment(ALL, |bench, _, b| {
        let deaf = PortRow {
            outside: Some(NOTHING),
            ..port(PORT_A, A, true)
        };
        bench.maps.apply(&[MapOp::SetPort(ASKING, deaf)]).unwrap();
        let outcome = bench.segment(&router);
        assert_eq!(
            (outcome.verdict, outcome.copies, outcome.reason),
            (Verdict::SegmentMulticast, 1, Some(PuntReason::SegmentRa))
        );
        for frame in [&one, &redirect, &dhcpv6, &dhcpv4] {
            let outcome = bench.segment(frame);
            assert_eq!(
                (outcome.verdict, outcome.target),
                (Verdict::SegmentUnicast, b)
            );
        }
    });
}

#[test]
fn an_advertisement_is_shown_to_the_agent_whoever_hears_it() {
    on_segment(NOTHING, |bench, _, _| {
        let router = icmpv6(X, ALL_NODES_MAC, 134, X.link_local(), ALL_NODES, &[0; 12]);
        let mut shown = Vec::new();
        bench.punt().drain(|_| {}).unwrap();
        bench.segment(&router);
        bench
            .punt()
            .drain(|record| {
                shown.push((
                    record.ifindex,
                    record.net,
                    record.reason,
                    record.frame.to_vec(),
                ))
            })
            .unwrap();
        assert_eq!(shown, vec![(ASKING, NET, PuntReason::SegmentRa, router)]);
    });
}

#[test]
fn who_answers_for_an_address_is_noted_unless_a_port_here_has_it() {
    let advert = |to: Mac, destination: Ipv6Addr, target: Ipv6Addr| {
        let body = [&[0x20, 0, 0, 0][..], &target.octets(), &link_layer(2, X)].concat();
        icmpv6(X, to, 136, X.link_local(), destination, &body)
    };
    let to_all = |target| advert(ALL_NODES_MAC, ALL_NODES, target);
    on_segment(NOTHING, |bench, _, _| {
        let objections = Objections::open(&bench.maps.objections).unwrap();
        let rows = [
            (0x99, to_all(global(0x99)), Verdict::SegmentMulticast, true),
            (0xb, to_all(global(0xb)), Verdict::SegmentSpoofed, false),
            (
                0x98,
                advert(B, global(0xb), global(0x98)),
                Verdict::SegmentUnicast,
                true,
            ),
            (
                0x97,
                advert(NIC, global(0x1), global(0x97)),
                Verdict::Host,
                false,
            ),
        ];
        for (host, frame, verdict, noted) in rows {
            assert!(!objections.heard(NET, global(host)).unwrap());
            assert_eq!(bench.segment(&frame).verdict, verdict);
            assert_eq!(objections.heard(NET, global(host)).unwrap(), noted);
            assert!(!objections.heard(Vni(NET.0 + 1), global(host)).unwrap());
        }
    });
}

#[test]
fn a_nic_that_leads_nowhere_and_frames_of_guests_on_it_are_left_alone() {
    on_segment(NOTHING, |bench, _, b| {
        let frame = udp(X, B, global(0x99), global(0xb), 1, 2, b"x");
        assert_eq!(bench.segment(&frame).target, b);
        // struct __sk_buff: mark at 8.
        let mut context = [0; 192];
        context[8..12].copy_from_slice(&FROM_GUEST.to_ne_bytes());
        let action = |context: &mut [u8]| {
            let mut programs = bench.object.progs_mut();
            let program = programs
                .find(|found| found.name() == object::UPLINK)
                .unwrap();
            let input = ProgramInput {
                context_in: Some(context),
                data_in: Some(&frame),
                ..Default::default()
            };
            program.test_run(input).unwrap().return_value
        };
        assert_eq!(
            action(&mut context),
            UNTOUCHED,
            "on its way out, or to the host"
        );
        assert_eq!(action(&mut [0; 192]), REDIRECTED);
        bench.maps.apply(&[MapOp::RemoveNic(ASKING)]).unwrap();
        assert_eq!(action(&mut [0; 192]), UNTOUCHED);
    });
}
