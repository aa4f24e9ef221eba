//! A port without port security: what the guard no longer holds back, and what ends at the network all the same.

use std::net::Ipv4Addr;

use super::ipv4::of;
use super::*;

/// Behind A, which forwards for it.
const BEHIND: Mac = Mac([2, 0, 0, 0, 0, 0x77]);
/// For all: the world's other members have no device, so that no copy is made.
const FOR_ALL: Verdict = Verdict::NoReceiver;

type Row = (&'static str, Vec<u8>, Verdict);

fn arp(operation: u16, mac: Mac, sender: Ipv4Addr, target: Ipv4Addr) -> Vec<u8> {
    ipv4::arp_from(mac, operation, sender, target)
}

fn spoofed_rows() -> Vec<Row> {
    let to_b = |mac, source| udp(mac, B, source, global(0xb), 1, 2, b"data");
    vec![
        (
            "from a foreign address",
            to_b(A, global(0x77)),
            Verdict::Unicast,
        ),
        (
            "from a neighbour's address",
            to_b(A, global(0xb)),
            Verdict::Unicast,
        ),
        (
            "from another MAC",
            to_b(BEHIND, global(0x77)),
            Verdict::Unicast,
        ),
        (
            "from a foreign IPv4 address",
            ipv4::udp_from(A, of(0x77), of(0xb), 2000),
            Verdict::Unicast,
        ),
    ]
}

fn router_rows() -> Vec<Row> {
    vec![
        ("an RA", router_message(134), FOR_ALL),
        (
            "an RA to one MAC",
            icmpv6(A, B, 134, A.link_local(), ALL_NODES, &[0; 12]),
            Verdict::Unicast,
        ),
        ("a Redirect", router_message(137), FOR_ALL),
        ("router renumbering", router_message(138), FOR_ALL),
        (
            "an NA for another's address",
            na(A.link_local(), global(0x77), A),
            FOR_ALL,
        ),
        (
            "an NA of what is behind it",
            na(A.link_local(), global(0x77), BEHIND),
            FOR_ALL,
        ),
        (
            "DHCPv6 to a client",
            udp(A, B, global(0xa), global(0xb), 547, 546, b"reply"),
            Verdict::Unicast,
        ),
        (
            "DHCPv4 to a client",
            ipv4::udp_from(A, of(0xa), of(0xb), 68),
            Verdict::Unicast,
        ),
        (
            "an ARP announcement of a shared address",
            arp(1, A, of(0x77), of(0x77)),
            FOR_ALL,
        ),
        (
            "an ARP answer for another",
            arp(2, A, of(0x77), of(0xb)),
            FOR_ALL,
        ),
    ]
}

fn served_rows() -> Vec<Row> {
    let own = link_layer(1, A);
    let unspecified = Ipv6Addr::UNSPECIFIED;
    vec![
        ("its own", data(), Verdict::Unicast),
        ("RS", rs(A.link_local(), &own), Verdict::Punted),
        (
            "a duplicate-address probe",
            ns(unspecified, global(0x77), &[]),
            Verdict::Punted,
        ),
        (
            "DHCPv6 to a server",
            dhcpv6(A.link_local(), 40),
            Verdict::Punted,
        ),
        (
            "NS for a neighbour",
            ns(A.link_local(), global(0xb), &own),
            Verdict::NdAnswered,
        ),
        (
            "NS for a neighbour from a foreign address",
            ns(global(0x77), global(0xb), &own),
            Verdict::NdAnswered,
        ),
        (
            "NS for nobody known",
            ns(A.link_local(), global(0xdead), &own),
            Verdict::Punted,
        ),
        (
            "ARP for a neighbour",
            arp(1, A, of(0xa), of(0xb)),
            Verdict::ArpAnswered,
        ),
        (
            "ARP for a neighbour from a foreign address",
            arp(1, A, of(0x77), of(0xb)),
            Verdict::ArpAnswered,
        ),
    ]
}

/// From MACs that are not the port's: such a guest is not the port's, and is not served as if it were.
fn behind_rows() -> Vec<Row> {
    let own = link_layer(1, BEHIND);
    let source = BEHIND.link_local();
    let from =
        |kind, to_mac, source, to, body: &[u8]| icmpv6(BEHIND, to_mac, kind, source, to, body);
    let asks = |source, target: Ipv6Addr, options: &[u8]| {
        let body = [&[0; 4][..], &target.octets(), options].concat();
        let to = solicited_node_address(target);
        from(135, solicited_node(target), source, to, &body)
    };
    let solicits = from(
        133,
        ALL_ROUTERS_MAC,
        source,
        ALL_ROUTERS,
        &[&[0; 4][..], &own].concat(),
    );
    let to_server = udp(BEHIND, ALL_DHCP_MAC, source, ALL_DHCP, 546, 547, &[1; 40]);
    vec![
        ("RS", solicits, FOR_ALL),
        (
            "a duplicate-address probe",
            asks(Ipv6Addr::UNSPECIFIED, global(0x77), &[]),
            FOR_ALL,
        ),
        ("DHCPv6 to a server", to_server, FOR_ALL),
        (
            "NS for a neighbour",
            asks(source, global(0xb), &own),
            Verdict::NdAnswered,
        ),
        (
            "NS for nobody known",
            asks(source, global(0xdead), &own),
            FOR_ALL,
        ),
        (
            "ARP for a neighbour",
            arp(1, BEHIND, of(0x77), of(0xb)),
            Verdict::ArpAnswered,
        ),
        (
            "ARP for nobody known",
            arp(1, BEHIND, of(0x77), of(0xde)),
            FOR_ALL,
        ),
        (
            "DHCPv4 to a server",
            ipv4::udp_from(BEHIND, of(0x77), of(0xb), 67),
            Verdict::Unicast,
        ),
    ]
}

/// What no guest's frame may be, guarded or not.
fn malformed_rows() -> Vec<Row> {
    let mut rows: Vec<Row> = ethernet_rows()
        .into_iter()
        .filter(|(_, _, verdict)| *verdict != Verdict::MacSpoofed)
        .collect();
    rows.extend(header_chain_rows());
    let mut large = arp(2, A, of(0x77), of(0xb));
    large.resize(14 + MTU as usize + 1, 0);
    rows.push(("an ARP answer larger than the MTU", large, Verdict::TooBig));
    let mut group_source = data();
    group_source[6] |= 1;
    rows.push(("from a group's MAC", group_source, Verdict::MacSpoofed));
    rows.extend(
        mld::rows()
            .into_iter()
            .filter(|(_, _, verdict)| *verdict != Verdict::MldQuery),
    );
    rows
}

fn rows() -> Vec<Row> {
    let mut rows = spoofed_rows();
    rows.extend(router_rows());
    rows.extend(served_rows());
    rows.extend(behind_rows());
    rows.extend(malformed_rows());
    rows
}

#[test]
fn an_unguarded_guest_speaks_for_others_and_a_guarded_one_no_more() {
    let bench = Bench::usual();
    let set = |guarded| {
        let row = PortRow {
            guarded,
            ..port(PORT_A, A, true)
        };
        bench.maps.apply(&[MapOp::SetPort(ASKING, row)]).unwrap();
        assert_eq!(bench.maps.dump().unwrap().ports[&ASKING], row);
    };
    let guarded: Vec<Verdict> = rows()
        .iter()
        .map(|(_, frame, _)| bench.run(frame).verdict)
        .collect();
    let lifted = spoofed_rows().len() + router_rows().len();
    for ((why, _, _), verdict) in rows().iter().zip(&guarded[..lifted]) {
        assert_eq!(verdict.kind(), Kind::Drop, "{why}, guarded");
    }
    for _ in 0..2 {
        set(false);
        for (why, frame, verdict) in rows() {
            assert_eq!(bench.run(&frame).verdict, verdict, "{why}");
        }
        set(true);
        for ((why, frame, _), verdict) in rows().iter().zip(&guarded) {
            assert_eq!(bench.run(frame).verdict, *verdict, "{why}, guarded again");
        }
    }
}

#[test]
fn what_is_behind_an_unguarded_guest_is_answered_by_its_own_mac() {
    let bench = Bench::usual();
    let row = PortRow {
        guarded: false,
        ..port(PORT_A, A, true)
    };
    bench.maps.apply(&[MapOp::SetPort(ASKING, row)]).unwrap();
    let target = global(0xb);
    let source = BEHIND.link_local();
    let body = [&[0; 4][..], &target.octets(), &link_layer(1, BEHIND)].concat();
    let asked = icmpv6(
        BEHIND,
        solicited_node(target),
        135,
        source,
        solicited_node_address(target),
        &body,
    );
    let body = [&[0x60, 0, 0, 0][..], &target.octets(), &link_layer(2, B)].concat();
    assert_eq!(
        bench.run(&asked).frame,
        icmpv6(B, BEHIND, 136, target, source, &body)
    );
    let answer = bench.run(&arp(1, BEHIND, of(0x77), of(0xb))).frame;
    assert_eq!(answer[..12], [BEHIND.0, B.0].concat());
    assert_eq!(answer[20..22], [0, 2]);
    assert_eq!(
        answer[22..42],
        [&B.0[..], &of(0xb).octets(), &BEHIND.0, &of(0x77).octets()].concat()
    );
}
