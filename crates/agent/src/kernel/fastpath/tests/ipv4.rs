//! IPv4 and ARP of guest A, and what becomes of them.

use std::net::Ipv4Addr;

use super::*;

type Row = (&'static str, Vec<u8>, Verdict);

pub const BROADCAST: Mac = Mac([0xff; 6]);
const ALL: Ipv4Addr = Ipv4Addr::BROADCAST;
const NOBODY: Ipv4Addr = Ipv4Addr::UNSPECIFIED;
const SERVICE: Ipv4Addr = Ipv4Addr::new(169, 254, 169, 254);
const GROUP: Ipv4Addr = Ipv4Addr::new(239, 129, 2, 3);
const GROUP_MAC: Mac = Mac([1, 0, 0x5e, 1, 2, 3]);
const REQUEST: u16 = 1;
const REPLY: u16 = 2;

pub fn of(host: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 0, 0, host)
}

/// As it stands in the maps.
pub fn mapped(host: u8) -> Ipv6Addr {
    of(host).to_ipv6_mapped()
}

/// What the world has of IPv4: A at 10.0.0.10 and .170, B at .11, and the service.
pub fn add_to(rows: &mut Rows) {
    let known = SourceRow {
        local_only: false,
        learned: false,
    };
    let (service_mac, _) = service();
    for (number, mac, host) in [(PORT_A, A, 0xa), (PORT_B, B, 0xb)] {
        rows.sources.insert((number, mapped(host)), known);
        let row = neighbour(mac, Some(number));
        rows.neigh.insert((NET, mapped(host)), row);
    }
    rows.neigh
        .insert((NET, mapped(0xaa)), neighbour(A, Some(PORT_A)));
    rows.neigh.insert(
        (NET, SERVICE.to_ipv6_mapped()),
        neighbour(service_mac, None),
    );
}

fn neighbour(mac: Mac, port: Option<PortNumber>) -> NeighRow {
    NeighRow {
        mac,
        port,
        router: false,
    }
}

/// ARP by A.
fn arp(operation: u16, sender_mac: Mac, sender: Ipv4Addr, target: Ipv4Addr) -> Vec<u8> {
    let mut frame = arp_from(sender_mac, operation, sender, target);
    frame[6..12].copy_from_slice(&A.0);
    frame
}

/// ARP by whoever has this MAC.
pub fn arp_from(sender_mac: Mac, operation: u16, sender: Ipv4Addr, target: Ipv4Addr) -> Vec<u8> {
    ethernet(
        sender_mac,
        BROADCAST,
        0x0806,
        &arp_bytes(operation, sender_mac, sender, Mac([0; 6]), target),
    )
}

/// A packet with this field of flags and offset.
fn fragment(field: u16, id: u16, proto: u8, payload: &[u8]) -> Vec<u8> {
    packet(A, B, of(0xa), of(0xb), proto, &[], field, id, payload)
}

#[allow(clippy::too_many_arguments, reason = "a header has that many fields")]
pub fn packet(
    source_mac: Mac,
    to_mac: Mac,
    source: Ipv4Addr,
    to: Ipv4Addr,
    proto: u8,
    options: &[u8],
    field: u16,
    id: u16,
    payload: &[u8],
) -> Vec<u8> {
    let len = 20 + options.len();
    let total = u16::try_from(len + payload.len()).unwrap();
    let words = u8::try_from(len / 4).unwrap();
    let bytes = [
        &[0x40 | words, 0][..],
        &total.to_be_bytes(),
        &id.to_be_bytes(),
        &field.to_be_bytes(),
        &[64, proto, 0, 0],
        &source.octets(),
        &to.octets(),
        options,
        payload,
    ]
    .concat();
    ethernet(source_mac, to_mac, 0x0800, &bytes)
}

fn plain(to_mac: Mac, source: Ipv4Addr, to: Ipv4Addr, proto: u8, payload: &[u8]) -> Vec<u8> {
    packet(A, to_mac, source, to, proto, &[], 0, 0, payload)
}

/// A packet of A's for B.
pub fn to_b(proto: u8, payload: &[u8]) -> Vec<u8> {
    plain(B, of(0xa), of(0xb), proto, payload)
}

/// A datagram for B by whoever has this MAC.
pub fn udp_from(source_mac: Mac, source: Ipv4Addr, to: Ipv4Addr, to_port: u16) -> Vec<u8> {
    let mut frame = udp4(B, source, to, to_port);
    frame[6..12].copy_from_slice(&source_mac.0);
    frame
}

fn udp4(to_mac: Mac, source: Ipv4Addr, to: Ipv4Addr, to_port: u16) -> Vec<u8> {
    let bytes = [
        &[0, 9][..],
        &to_port.to_be_bytes(),
        &[0, 12, 0, 0, 1, 2, 3, 4],
    ]
    .concat();
    plain(to_mac, source, to, 17, &bytes)
}

fn data4() -> Vec<u8> {
    udp4(B, of(0xa), of(0xb), 2000)
}

pub fn rows() -> Vec<Row> {
    let mut rows = arp_rows();
    rows.extend(header_rows());
    rows.extend(control_rows());
    rows.extend(delivery_rows());
    rows.extend(mapped_rows());
    rows
}

fn arp_rows() -> Vec<Row> {
    let (own, other) = (of(0xa), of(0xb));
    let ask = |target| arp(REQUEST, A, own, target);
    let spoilt = |at: usize, value: u8| {
        let mut frame = ask(other);
        frame[at] = value;
        frame
    };
    let mut truncated = ask(other);
    truncated.truncate(41);
    vec![
        ("ARP for a neighbour", ask(other), Verdict::ArpAnswered),
        ("ARP for the service", ask(SERVICE), Verdict::ArpAnswered),
        (
            "ARP for nobody's address",
            ask(of(0x77)),
            Verdict::ArpUnknown,
        ),
        ("an announcement", ask(own), Verdict::ArpConsumed),
        (
            "ARP for an address that the others know as its own",
            ask(of(0xaa)),
            Verdict::ArpConsumed,
        ),
        (
            "a check of its own address, which must not fail",
            arp(REQUEST, A, NOBODY, own),
            Verdict::ArpConsumed,
        ),
        (
            "a check of another's address, which must",
            arp(REQUEST, A, NOBODY, other),
            Verdict::ArpAnswered,
        ),
        (
            "a check of a link-local address",
            arp(REQUEST, A, NOBODY, Ipv4Addr::new(169, 254, 3, 4)),
            Verdict::ArpUnknown,
        ),
        (
            "an unasked answer about itself",
            arp(REPLY, A, own, other),
            Verdict::ArpConsumed,
        ),
        (
            "an answer in another's name",
            arp(REPLY, A, other, own),
            Verdict::ArpSpoofed,
        ),
        (
            "a question in another's name",
            arp(REQUEST, A, other, SERVICE),
            Verdict::ArpSpoofed,
        ),
        (
            "a question in the service's name",
            arp(REQUEST, A, SERVICE, other),
            Verdict::ArpSpoofed,
        ),
        (
            "another's MAC inside",
            arp(REQUEST, B, own, other),
            Verdict::ArpSpoofed,
        ),
        (
            "an answer by nobody",
            arp(REPLY, A, NOBODY, other),
            Verdict::ArpMalformed,
        ),
        ("reverse ARP", arp(3, A, own, other), Verdict::ArpMalformed),
        (
            "ARP of another hardware",
            spoilt(15, 6),
            Verdict::ArpMalformed,
        ),
        (
            "ARP of another protocol",
            spoilt(16, 0x86),
            Verdict::ArpMalformed,
        ),
        ("ARP with longer MACs", spoilt(18, 8), Verdict::ArpMalformed),
        (
            "ARP with longer addresses",
            spoilt(19, 16),
            Verdict::ArpMalformed,
        ),
        ("ARP cut short", truncated, Verdict::ArpMalformed),
    ]
}

fn header_rows() -> Vec<Row> {
    let spoilt = |at: usize, bytes: &[u8]| {
        let mut frame = data4();
        frame[at..at + bytes.len()].copy_from_slice(bytes);
        frame
    };
    let from = |source| udp4(B, source, of(0xb), 2000);
    let router_alert = [0x94, 4, 0, 0];
    let with_options = |proto, options: &[u8]| {
        let payload = [0x16, 0, 0, 0, 224, 0, 0, 251];
        packet(A, B, of(0xa), of(0xb), proto, options, 0, 0, &payload)
    };
    let source_route = [131, 7, 4, 10, 0, 0, 11, 0];
    let large = vec![0; MTU as usize];
    vec![
        ("IPv4 data", data4(), Verdict::Unicast),
        (
            "from another's address",
            from(of(0xb)),
            Verdict::SourceSpoofed,
        ),
        (
            "from an address of nobody",
            from(of(0x77)),
            Verdict::SourceSpoofed,
        ),
        ("from 0.0.0.0", from(NOBODY), Verdict::SourceSpoofed),
        (
            "from the service's address",
            from(SERVICE),
            Verdict::SourceSpoofed,
        ),
        (
            "from loopback",
            from(Ipv4Addr::LOCALHOST),
            Verdict::SourceSpoofed,
        ),
        (
            "IPv6 under IPv4's type",
            spoilt(14, &[0x65]),
            Verdict::Malformed,
        ),
        (
            "a header of 16 bytes",
            spoilt(14, &[0x44]),
            Verdict::Malformed,
        ),
        (
            "a header beyond the packet",
            spoilt(14, &[0x4f]),
            Verdict::Malformed,
        ),
        (
            "a length beyond the frame",
            spoilt(16, &[1, 0]),
            Verdict::Malformed,
        ),
        (
            "a length within the header",
            spoilt(16, &[0, 19]),
            Verdict::Malformed,
        ),
        (
            "TCP without its header",
            plain(B, of(0xa), of(0xb), 6, &[0; 19]),
            Verdict::Malformed,
        ),
        (
            "a source route",
            with_options(17, &source_route),
            Verdict::Ipv4Options,
        ),
        (
            "a router alert",
            with_options(17, &router_alert),
            Verdict::Ipv4Options,
        ),
        (
            "IGMP with its router alert",
            with_options(2, &router_alert),
            Verdict::IgmpConsumed,
        ),
        (
            "more than the MTU",
            plain(B, of(0xa), of(0xb), 17, &large),
            Verdict::TooBig,
        ),
        (
            "a first fragment without TCP's header",
            fragment(0x2000, 1, 6, &[0; 16]),
            Verdict::TinyFragment,
        ),
        (
            "a fragment whose first was not seen",
            fragment(4, 2, 17, &[0; 8]),
            Verdict::OrphanFragment,
        ),
        (
            "a first fragment",
            fragment(0x2000, 3, 17, &[0; 24]),
            Verdict::Unicast,
        ),
    ]
}

fn control_rows() -> Vec<Row> {
    let icmp = |kind: u8| plain(B, of(0xa), of(0xb), 1, &[kind, 0, 0, 0, 0, 0, 0, 0]);
    let igmp = |kind: u8| {
        let group = Ipv4Addr::new(224, 0, 0, 1);
        plain(
            Mac([1, 0, 0x5e, 0, 0, 1]),
            of(0xa),
            group,
            2,
            &[kind, 0, 0, 0, 0, 0, 0, 0],
        )
    };
    let server = [0, 68, 0, 67, 0, 16, 0, 0, 1, 1, 6, 0, 0, 0, 0, 0];
    vec![
        (
            "a client without an address",
            udp4(BROADCAST, NOBODY, ALL, 67),
            Verdict::Punted,
        ),
        (
            "a client that renews",
            udp4(service().0, of(0xa), SERVICE, 67),
            Verdict::Punted,
        ),
        (
            "a client that renews by its router",
            udp4(B, of(0xa), SERVICE, 67),
            Verdict::Punted,
        ),
        (
            "a client that renews what it has no more",
            udp4(BROADCAST, of(0x77), ALL, 67),
            Verdict::Punted,
        ),
        (
            "a rogue server",
            udp4(BROADCAST, of(0xa), ALL, 68),
            Verdict::Dhcpv4Server,
        ),
        (
            "a rogue server to one",
            udp4(B, of(0xa), of(0xb), 68),
            Verdict::Dhcpv4Server,
        ),
        (
            "DHCPv4 in a fragment",
            fragment(0x2000, 9, 17, &server),
            Verdict::FragmentedControl,
        ),
        ("an ICMP redirect", icmp(5), Verdict::Redirect),
        (
            "a router advertisement of ICMP",
            icmp(9),
            Verdict::RouterAdvertisement,
        ),
        ("an echo request", icmp(8), Verdict::Unicast),
        ("an IGMP query", igmp(0x11), Verdict::IgmpQuery),
        ("an IGMP report", igmp(0x16), Verdict::IgmpConsumed),
    ]
}

fn delivery_rows() -> Vec<Row> {
    let to = |mac, address| udp4(mac, of(0xa), address, 2000);
    vec![
        (
            "to nobody's MAC",
            to(Mac([2, 0, 0, 0, 0, 9]), of(0x99)),
            Verdict::UnknownUnicast,
        ),
        (
            "to the service",
            to(service().0, SERVICE),
            Verdict::ServiceUnserved,
        ),
        (
            "to a port that is down",
            to(C, of(0xc)),
            Verdict::ReceiverDown,
        ),
        ("to itself", to(A, of(0xa)), Verdict::Hairpin),
        (
            "a group's packet to another group's MAC",
            to(Mac([1, 0, 0x5e, 1, 2, 4]), GROUP),
            Verdict::GroupMismatch,
        ),
        (
            "a group's packet to all",
            to(BROADCAST, GROUP),
            Verdict::GroupMismatch,
        ),
        (
            "a group's packet to a group of IPv6",
            to(ALL_NODES_MAC, GROUP),
            Verdict::GroupMismatch,
        ),
        (
            "one host's packet to a group's MAC",
            to(GROUP_MAC, of(0xb)),
            Verdict::GroupMismatch,
        ),
        (
            "a broadcast to a group's MAC",
            to(GROUP_MAC, ALL),
            Verdict::GroupMismatch,
        ),
    ]
}

fn mapped_rows() -> Vec<Row> {
    let data = |source, to| udp(A, B, source, to, 1, 2, b"data");
    vec![
        (
            "its IPv4 address as a source of IPv6",
            data(mapped(0xa), global(0xb)),
            Verdict::Ipv4Mapped,
        ),
        (
            "an IPv4 address as a destination of IPv6",
            data(global(0xa), mapped(0xb)),
            Verdict::Ipv4Mapped,
        ),
        (
            "a solicitation for an IPv4 address",
            ns(global(0xa), mapped(0xb), &[]),
            Verdict::NdMalformed,
        ),
        (
            "an advertisement of an IPv4 address",
            na(global(0xa), mapped(0xa), A),
            Verdict::NdMalformed,
        ),
    ]
}

#[test]
fn an_answered_arp_request_is_a_right_answer_on_the_same_link() {
    let bench = Bench::usual();
    for (sender, target, mac) in [
        (of(0xa), of(0xb), B),
        (of(0xa), SERVICE, service().0),
        (NOBODY, of(0xb), B),
    ] {
        for padding in [0, 18] {
            let mut question = arp(REQUEST, A, sender, target);
            question.resize(42 + padding, 0);
            let outcome = bench.run(&question);
            let mut wanted = ethernet(mac, A, 0x0806, &arp_bytes(REPLY, mac, target, A, sender));
            wanted.resize(42 + padding, 0);
            assert_eq!(outcome.frame, wanted);
            assert_eq!((outcome.action, outcome.target), (REDIRECTED, ASKING));
        }
    }
}

#[test]
fn later_fragments_of_ipv4_follow_their_first() {
    let bench = Bench::usual();
    let later = |id| fragment(0x2003, id, 17, &[0; 8]);
    assert_eq!(bench.run(&later(7)).verdict, Verdict::OrphanFragment);
    let first = fragment(0x2000, 7, 17, &[0; 24]);
    assert_eq!(bench.run(&first).verdict, Verdict::Unicast);
    assert_eq!(bench.run(&later(7)).verdict, Verdict::Unicast);
    assert_eq!(bench.run(&later(8)).verdict, Verdict::OrphanFragment);
    // Another protocol's packets are numbered by themselves (RFC 6864 section 4).
    let other = fragment(3, 7, 6, &[0; 8]);
    assert_eq!(bench.run(&other).verdict, Verdict::OrphanFragment);
}

#[test]
fn a_later_fragment_of_ipv4_does_not_write_over_its_first() {
    let bench = Bench::usual();
    let run = |field, bytes: &[u8]| bench.run(&fragment(field, 9, 6, bytes)).verdict;
    // The flags of a TCP segment by a fragment at offset 8 (RFC 3128).
    assert_eq!(run(0x2000, &[0; 24]), Verdict::Unicast);
    assert_eq!(run(1, &[0xff; 16]), Verdict::OverlappingFragment);
    assert_eq!(run(2, &[0xff; 16]), Verdict::OverlappingFragment);
    assert_eq!(run(3, &[0xff; 16]), Verdict::Unicast);
    assert_eq!(run(0x2003, &[0xff; 12]), Verdict::Malformed);
    assert_eq!(
        run(0x1fff, &[0xff; 100]),
        Verdict::Malformed,
        "beyond the largest"
    );
}

/// UDP fragmentation offload: the size is that of a fragment without its IPv4 header, and the first alone has UDP's.
#[test]
fn a_datagram_that_a_tap_is_to_fragment_is_held_to_the_mtu_by_its_fragments() {
    let bench = Bench::usual();
    let wide = PortRow {
        mtu: 1500,
        ..port(PORT_A, A, true)
    };
    bench.maps.apply(&[MapOp::SetPort(ASKING, wide)]).unwrap();
    let payload = [&[0, 9, 7, 0, 0x0b, 0xb8][..], &[0; 2994]].concat();
    let (v4, tcp) = (to_b(17, &payload), to_b(6, &[0x50; 3000]));
    let v6 = ipv6(A, B, global(0xa), global(0xb), 17, &payload);
    let cut = |frame: &[u8], segments| {
        let outcome = bench.run_program(object::GUEST, frame, segments);
        outcome.verdict
    };
    assert_eq!(cut(&v4, (0, 0)), Verdict::TooBig, "as one");
    assert_eq!(cut(&v4, (0, 1480)), Verdict::Unicast);
    assert_eq!(cut(&v4, (0, 1488)), Verdict::TooBig);
    assert_eq!(cut(&v4, (0, 1472)), Verdict::Unicast);
    // No fragments: all but the last are of whole eight octets (RFC 791), so each has a header of UDP.
    assert_eq!(cut(&v4, (0, 1473)), Verdict::TooBig);
    assert_eq!(cut(&v4, (0, 1479)), Verdict::TooBig);
    // Nor those that a guest's own kernel has counted.
    assert_eq!(cut(&v4, (3, 1472)), Verdict::Unicast);
    assert_eq!(cut(&v4, (3, 1480)), Verdict::TooBig);
    // Of IPv6 a header of fragments is as long as one of UDP, and of TCP each segment has one.
    assert_eq!(cut(&v6, (0, 1448)), Verdict::Unicast);
    assert_eq!(cut(&v6, (0, 1456)), Verdict::TooBig);
    assert_eq!(cut(&tcp, (0, 1460)), Verdict::Unicast);
    assert_eq!(cut(&tcp, (0, 1480)), Verdict::TooBig);
}

#[test]
fn a_dhcpv4_message_is_shown_with_its_reason() {
    let bench = Bench::usual();
    let outcome = bench.run(&udp4(BROADCAST, NOBODY, ALL, 67));
    assert_eq!(outcome.reason, Some(PuntReason::Dhcpv4));
}

#[test]
fn broadcast_and_groups_of_ipv4_are_copied_to_the_active_ports() {
    in_own_namespace(|namespace| {
        let other = veth(namespace, "m0");
        links::set_up(other, true).unwrap();
        let bench = Bench::usual();
        let members = BTreeSet::from([ASKING, other]);
        bench
            .maps
            .apply(&[
                MapOp::SetPort(other, port(PORT_B, B, true)),
                MapOp::SetMembers(NET, members),
            ])
            .unwrap();
        for (mac, to) in [
            (BROADCAST, ALL),
            (BROADCAST, Ipv4Addr::new(10, 0, 0, 255)),
            (GROUP_MAC, GROUP),
        ] {
            let outcome = bench.run(&udp4(mac, of(0xa), to, 5353));
            assert_eq!(
                (outcome.verdict, outcome.copies),
                (Verdict::Multicast, 1),
                "{to}"
            );
        }
    });
}
