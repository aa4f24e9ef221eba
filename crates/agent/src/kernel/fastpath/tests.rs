//! The shipped object, run by the kernel on crafted frames (`BPF_PROG_TEST_RUN`). Needs root, and fails without it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv6Addr;

use hextet_core::ids::{PortNumber, Vni};
use hextet_core::mac::Mac;
use libbpf_rs::btf::types::{MemberAttr, Struct};
use libbpf_rs::{HasSize, MapCore, MapFlags, MapHandle, Object, ProgramInput};

use super::object::{self, Build};
use super::rows::Maps;
use super::{FRAGMENTS_EACH, PuntBudget, Sizes};
use crate::kernel::maps::{MEMBERS_MAX, MapOp, NeighRow, PortRow, Rows, SourceRow, raw};
use crate::kernel::punt::{Drained, Punt, PuntReason};
use crate::kernel::verdict::{Kind, Verdict};
use crate::kernel::{links, netns};
use frames::*;

mod frames;
mod hostile;
mod ipv4;
mod learned;
mod mld;
mod price;
mod tracing;
mod unguarded;
mod uplink;

/// A test run without a device says that it came in by the loopback.
const ASKING: u32 = 1;
/// Rows with no device behind them.
const NEIGHBOUR: u32 = 4000;
const DOWN: u32 = 4001;
const GONE: u32 = 4002;
const NO_DEVICE: u32 = 4003;

const NET: Vni = Vni(0x0a_0b_0c);
const A: Mac = Mac([0xfa, 0x16, 0x3e, 0, 0, 0xa]);
const B: Mac = Mac([0xfa, 0x16, 0x3e, 0, 0, 0xb]);
const C: Mac = Mac([0xfa, 0x16, 0x3e, 0, 0, 0xc]);
const D: Mac = Mac([0xfa, 0x16, 0x3e, 0, 0, 0xd]);
const PORT_A: PortNumber = PortNumber(11);
const PORT_B: PortNumber = PortNumber(12);
const MTU: u32 = 1430;
/// FIRST_LEN of `bpf/frame.h`.
const READ_AT_ONCE: usize = 78;

fn global(host: u16) -> Ipv6Addr {
    Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, host)
}

/// A link-local that is no port's EUI-64 one.
fn link_local(host: u16) -> Ipv6Addr {
    Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, host)
}

fn service() -> (Mac, Ipv6Addr) {
    (Mac::service(NET), Mac::service(NET).link_local())
}

/// One load of the object, with a network of its own: guest A asks, B is there, C's port is down, D's is gone.
struct Bench {
    object: Object,
    maps: Maps,
}

#[derive(Debug)]
struct Outcome {
    verdict: Verdict,
    action: u32,
    target: u32,
    reason: Option<PuntReason>,
    copies: u32,
    frame: Vec<u8>,
}

const DROPPED: u32 = 2;
const REDIRECTED: u32 = 7;

impl Bench {
    fn new(punt: PuntBudget, sizes: Sizes) -> Bench {
        let object = object::load(
            Build {
                punt,
                trace: true,
                dry_run: false,
            },
            sizes,
            None,
        )
        .expect("the object loads (these tests need root)");
        let maps = Maps::open(|name| Ok(Self::map(&object, name))).unwrap();
        let bench = Bench { object, maps };
        bench.maps.apply(&Rows::default().diff(&world())).unwrap();
        bench
    }

    fn usual() -> Bench {
        let punt = PuntBudget {
            per_second: 1_000_000,
            burst: 1_000_000,
        };
        let bench = Bench::new(punt, Sizes::default());
        // The first frame is a matter of its own.
        bench.run(&udp(A, B, global(0xa), global(0xb), 1, 2, b"first"));
        bench
    }

    fn map(object: &Object, name: &str) -> MapHandle {
        let map = object.maps().find(|map| map.name() == name).unwrap();
        MapHandle::try_from(&map).unwrap()
    }

    fn run(&self, frame: &[u8]) -> Outcome {
        self.run_program(object::GUEST, frame, (0, 0))
    }

    /// A frame of a tap, whose kernel knows the size of the segments and does not count them.
    fn run_gso(&self, frame: &[u8], gso_size: u32) -> Outcome {
        self.run_program(object::GUEST, frame, (0, gso_size))
    }

    /// `segments`: how many the frame is to be cut into, and how long they are.
    fn run_program(&self, program: &str, frame: &[u8], segments: (u32, u32)) -> Outcome {
        // struct __sk_buff: 192 bytes, gso_segs at 164, gso_size at 176.
        let mut context = [0; 192];
        context[164..168].copy_from_slice(&segments.0.to_ne_bytes());
        context[176..180].copy_from_slice(&segments.1.to_ne_bytes());
        let mut out = vec![0; frame.len() + 256];
        let mut programs = self.object.progs_mut();
        let program = programs.find(|found| found.name() == program).unwrap();
        let output = program
            .test_run(ProgramInput {
                context_in: Some(&mut context),
                data_in: Some(frame),
                data_out: Some(&mut out),
                ..Default::default()
            })
            .unwrap();
        let data = output.data.map(|data| data.to_vec()).unwrap_or_default();
        let action = output.return_value;
        let [verdict, target, reason, copies] = self.trace();
        Outcome {
            verdict: Verdict::from_raw(verdict).unwrap(),
            action,
            target,
            reason: PuntReason::from_raw(reason),
            copies,
            frame: data,
        }
    }

    /// The record of the run, from whichever CPU it was on; taken away.
    fn trace(&self) -> [u32; 4] {
        let traces = Self::map(&self.object, "traces");
        let values = traces
            .lookup_percpu(&0u32.to_ne_bytes(), MapFlags::ANY)
            .unwrap()
            .unwrap();
        let cleared: Vec<Vec<u8>> = values.iter().map(|value| vec![0; value.len()]).collect();
        traces
            .update_percpu(&0u32.to_ne_bytes(), &cleared, MapFlags::ANY)
            .unwrap();
        let mut records = values
            .iter()
            .filter(|value| value.iter().any(|byte| *byte != 0));
        let record = records.next().expect("the run left a record");
        assert!(records.next().is_none(), "two records of one run");
        let word = |at: usize| u32::from_ne_bytes(record[at..at + 4].try_into().unwrap());
        [word(0), word(4), word(8), word(12)]
    }

    fn counted(&self, port: PortNumber, verdict: Verdict) -> u64 {
        self.maps
            .counters()
            .unwrap()
            .get(&(port, verdict))
            .map_or(0, |(packets, _)| *packets)
    }

    fn punt(&self) -> Punt {
        Punt::open(&self.maps.punt_ring).unwrap()
    }
}

fn port(number: PortNumber, mac: Mac, admin_up: bool) -> PortRow {
    PortRow {
        port: number,
        net: NET,
        admin_up,
        guarded: true,
        direct: false,
        mtu: MTU,
        mac,
        outside: None,
    }
}

fn world() -> Rows {
    let known = SourceRow {
        local_only: false,
        learned: false,
    };
    let (service_mac, service_address) = service();
    let mut rows = Rows {
        ports: BTreeMap::from([
            (ASKING, port(PORT_A, A, true)),
            (NEIGHBOUR, port(PORT_B, B, true)),
            (DOWN, port(PortNumber(13), C, false)),
        ]),
        sources: BTreeMap::from([
            ((PORT_A, global(0xa)), known),
            ((PORT_A, A.link_local()), known),
            (
                (PORT_A, link_local(0x10ca)),
                SourceRow {
                    local_only: true,
                    learned: true,
                },
            ),
            ((PORT_B, global(0xb)), known),
        ]),
        learnable: BTreeSet::from([(PORT_A, "2001:db8:7::/64".parse().unwrap())]),
        neigh: BTreeMap::from([
            (
                (NET, global(0xa)),
                NeighRow {
                    mac: A,
                    port: Some(PORT_A),
                    router: false,
                },
            ),
            (
                (NET, global(0xaa)),
                NeighRow {
                    mac: A,
                    port: Some(PORT_A),
                    router: false,
                },
            ),
            (
                (NET, global(0xb)),
                NeighRow {
                    mac: B,
                    port: Some(PORT_B),
                    router: false,
                },
            ),
            (
                (NET, service_address),
                NeighRow {
                    mac: service_mac,
                    port: None,
                    router: true,
                },
            ),
        ]),
        fdb: BTreeMap::from([
            ((NET, A), ASKING),
            ((NET, B), NEIGHBOUR),
            ((NET, C), DOWN),
            ((NET, D), GONE),
        ]),
        members: BTreeMap::from([(NET, BTreeSet::from([ASKING, NEIGHBOUR, DOWN]))]),
        ..Rows::default()
    };
    ipv4::add_to(&mut rows);
    rows.listeners = [PORT_A, PORT_B].map(|port| (port, mld::settled())).into();
    rows
}

/// Data from A to B.
fn data() -> Vec<u8> {
    udp(A, B, global(0xa), global(0xb), 1000, 2000, b"data")
}

/// A Neighbor Solicitation by A.
fn ns(source: Ipv6Addr, target: Ipv6Addr, options: &[u8]) -> Vec<u8> {
    ns_from(A, source, target, options)
}

fn ns_from(mac: Mac, source: Ipv6Addr, target: Ipv6Addr, options: &[u8]) -> Vec<u8> {
    let body = [&[0; 4][..], &target.octets(), options].concat();
    icmpv6(
        mac,
        solicited_node(target),
        135,
        source,
        solicited_node_address(target),
        &body,
    )
}

/// A Neighbor Advertisement by A.
fn na(source: Ipv6Addr, target: Ipv6Addr, mac: Mac) -> Vec<u8> {
    let body = [&[0x20, 0, 0, 0][..], &target.octets(), &link_layer(2, mac)].concat();
    icmpv6(A, ALL_NODES_MAC, 136, source, ALL_NODES, &body)
}

/// A Router Solicitation by A.
fn rs(source: Ipv6Addr, options: &[u8]) -> Vec<u8> {
    icmpv6(
        A,
        ALL_ROUTERS_MAC,
        133,
        source,
        ALL_ROUTERS,
        &[&[0; 4], options].concat(),
    )
}

/// A router's message by A.
fn router_message(kind: u8) -> Vec<u8> {
    icmpv6(A, ALL_NODES_MAC, kind, A.link_local(), ALL_NODES, &[0; 36])
}

fn dhcpv6(source: Ipv6Addr, length: usize) -> Vec<u8> {
    udp(
        A,
        ALL_DHCP_MAC,
        source,
        ALL_DHCP,
        546,
        547,
        &vec![1; length],
    )
}

/// Each frame of A and what becomes of it. `why` is what the row is about.
fn table() -> Vec<(&'static str, Vec<u8>, Verdict)> {
    let mut rows = ethernet_rows();
    rows.extend(header_chain_rows());
    rows.extend(fragment_rows());
    rows.extend(control_rows());
    rows.extend(nd_rows());
    rows.extend(delivery_rows());
    rows.extend(ipv4::rows());
    rows.extend(mld::rows());
    rows
}

fn ethernet_rows() -> Vec<(&'static str, Vec<u8>, Verdict)> {
    let tagged = |tpid: u16, tci: u16| {
        let frame = data();
        [
            &frame[..12],
            &tpid.to_be_bytes(),
            &tci.to_be_bytes(),
            &frame[12..],
        ]
        .concat()
    };
    let typed = |ethertype: u16| ethernet(A, B, ethertype, &[0; 60]);
    let snap = [&[0xaa, 0xaa, 3, 0, 0, 0, 0x86, 0xdd][..], &data()[14..]].concat();
    vec![
        (
            "another's MAC",
            udp(C, B, global(0xa), global(0xb), 1, 2, b""),
            Verdict::MacSpoofed,
        ),
        ("a VLAN tag", tagged(0x8100, 5), Verdict::VlanTag),
        (
            "a priority tag, which receivers take off",
            tagged(0x8100, 0),
            Verdict::VlanTag,
        ),
        ("an outer tag", tagged(0x88a8, 5), Verdict::VlanTag),
        (
            "IPv6 in LLC and SNAP",
            ethernet(A, B, 80, &snap),
            Verdict::Llc,
        ),
        ("LLDP", typed(0x88cc), Verdict::Ethertype),
    ]
}

fn header_chain_rows() -> Vec<(&'static str, Vec<u8>, Verdict)> {
    let chain = |chain: &[Header], upper: &[u8]| {
        ipv6_chain(A, B, global(0xa), global(0xb), chain, 17, upper)
    };
    let datagram = udp_bytes(global(0xa), global(0xb), 1, 2, b"data");
    let mut version = data();
    version[14] = 0x40;
    let mut long = data();
    long[18..20].copy_from_slice(&500u16.to_be_bytes());
    let mut jumbo = chain(&[Header::HopByHop], &datagram);
    jumbo[18..20].fill(0);
    let big = |payload: usize| udp(A, B, global(0xa), global(0xb), 1, 2, &vec![0; payload]);
    let nothing = ipv6(A, B, global(0xa), global(0xb), 59, &[]);
    vec![
        ("version 4 in an IPv6 frame", version, Verdict::Malformed),
        (
            "more payload announced than there is",
            long,
            Verdict::Malformed,
        ),
        (
            "a UDP header cut short",
            chain(&[], &datagram[..4]),
            Verdict::Malformed,
        ),
        ("no next header", nothing, Verdict::Unicast),
        (
            "hop-by-hop options in second place",
            chain(&[Header::Destination, Header::HopByHop], &datagram),
            Verdict::Malformed,
        ),
        (
            "an extension header that ends behind the packet",
            chain(&[Header::TooLong], &[]),
            Verdict::Malformed,
        ),
        ("a jumbogram", jumbo, Verdict::Jumbogram),
        (
            "eight extension headers",
            chain(&[Header::Destination; 8], &datagram),
            Verdict::Unicast,
        ),
        (
            "nine extension headers",
            chain(&[Header::Destination; 9], &datagram),
            Verdict::ExtensionLimit,
        ),
        (
            "ten extension headers before an RA",
            chain_of_ra(&[Header::Destination; 10]),
            Verdict::ExtensionLimit,
        ),
        (
            "routing header 0",
            chain(&[Header::Routing(0)], &datagram),
            Verdict::RoutingHeader0,
        ),
        (
            "routing header 4",
            chain(&[Header::Routing(4)], &datagram),
            Verdict::Unicast,
        ),
        (
            "an authentication header",
            chain(&[Header::Authentication], &datagram),
            Verdict::Unicast,
        ),
        ("exactly the MTU", big(MTU as usize - 48), Verdict::Unicast),
        (
            "one more than the MTU",
            big(MTU as usize - 47),
            Verdict::TooBig,
        ),
    ]
}

fn chain_of_ra(chain: &[Header]) -> Vec<u8> {
    let ra = [&[134, 0, 0, 0][..], &[0; 12]].concat();
    ipv6_chain(A, ALL_NODES_MAC, A.link_local(), ALL_NODES, chain, 58, &ra)
}

fn fragment(offset: u16, more: bool, id: u32, next: u8, bytes: &[u8]) -> Vec<u8> {
    ipv6_chain(
        A,
        B,
        global(0xa),
        global(0xb),
        &[Header::Fragment { offset, more, id }],
        next,
        bytes,
    )
}

fn fragment_rows() -> Vec<(&'static str, Vec<u8>, Verdict)> {
    let datagram = udp_bytes(global(0xa), global(0xb), 1, 2, &[7; 24]);
    let nd = [&[135, 0, 0, 0, 0, 0, 0, 0][..], &global(0xb).octets()].concat();
    let to_server = |more| {
        let chain = [Header::Fragment {
            offset: 0,
            more,
            id: 1,
        }];
        let bytes = udp_bytes(A.link_local(), ALL_DHCP, 546, 547, &[1; 8]);
        ipv6_chain(
            A,
            ALL_DHCP_MAC,
            A.link_local(),
            ALL_DHCP,
            &chain,
            17,
            &bytes,
        )
    };
    let first_of = |chain: &[Header], next, bytes: &[u8]| {
        let chain = [
            &[Header::Fragment {
                offset: 0,
                more: true,
                id: 2,
            }],
            chain,
        ]
        .concat();
        ipv6_chain(A, B, global(0xa), global(0xb), &chain, next, bytes)
    };
    vec![
        (
            "an atomic fragment is a packet",
            fragment(0, false, 3, 17, &datagram),
            Verdict::Unicast,
        ),
        (
            "a first fragment without its UDP header",
            fragment(0, true, 4, 17, &[]),
            Verdict::TinyFragment,
        ),
        (
            "a first fragment with half a TCP header",
            fragment(0, true, 5, 6, &[0; 16]),
            Verdict::TinyFragment,
        ),
        (
            "a first fragment cut in its header chain",
            first_of(&[Header::TooLong], 17, &[]),
            Verdict::TinyFragment,
        ),
        (
            "a first fragment of a chain",
            first_of(&[Header::Destination], 17, &datagram),
            Verdict::Unicast,
        ),
        (
            "a later fragment that nobody announced",
            fragment(8, false, 6, 17, &[0; 8]),
            Verdict::OrphanFragment,
        ),
        (
            "a fragment of a fragment",
            first_of(
                &[Header::Fragment {
                    offset: 0,
                    more: true,
                    id: 2,
                }],
                17,
                &datagram,
            ),
            Verdict::Malformed,
        ),
        (
            "ND in a first fragment",
            fragment(0, true, 7, 58, &nd),
            Verdict::FragmentedControl,
        ),
        (
            "ND in an atomic fragment (RFC 6980)",
            fragment(0, false, 7, 58, &nd),
            Verdict::FragmentedControl,
        ),
        (
            "DHCPv6 in a first fragment",
            to_server(true),
            Verdict::FragmentedControl,
        ),
        (
            "DHCPv6 in an atomic fragment",
            to_server(false),
            Verdict::FragmentedControl,
        ),
        (
            "an RA in an atomic fragment",
            chain_of_ra(&[Header::Fragment {
                offset: 0,
                more: false,
                id: 8,
            }]),
            Verdict::RouterAdvertisement,
        ),
    ]
}

fn control_rows() -> Vec<(&'static str, Vec<u8>, Verdict)> {
    let behind = |next, upper: &[u8]| {
        ipv6_chain(
            A,
            B,
            global(0xa),
            global(0xb),
            &[Header::Destination],
            next,
            upper,
        )
    };
    let (mac, address) = service();
    let unicast_request = udp(A, mac, global(0xa), address, 546, 547, b"renew");
    let solicit_behind = {
        let bytes = udp_bytes(A.link_local(), ALL_DHCP, 546, 547, &[1; 8]);
        ipv6_chain(
            A,
            ALL_DHCP_MAC,
            A.link_local(),
            ALL_DHCP,
            &[Header::Destination],
            17,
            &bytes,
        )
    };
    vec![
        ("an RA", router_message(134), Verdict::RouterAdvertisement),
        (
            "an RA behind hop-by-hop options",
            chain_of_ra(&[Header::HopByHop]),
            Verdict::RouterAdvertisement,
        ),
        (
            "an RA to one MAC",
            icmpv6(A, B, 134, A.link_local(), ALL_NODES, &[0; 12]),
            Verdict::RouterAdvertisement,
        ),
        ("a Redirect", router_message(137), Verdict::Redirect),
        ("router renumbering", router_message(138), Verdict::NdpOther),
        ("inverse ND", router_message(141), Verdict::NdpOther),
        (
            "a certification path",
            router_message(149),
            Verdict::NdpOther,
        ),
        (
            "a multicast router's advertisement",
            router_message(151),
            Verdict::NdpOther,
        ),
        (
            "DHCPv6 to a client",
            udp(A, B, global(0xa), global(0xb), 547, 546, b"reply"),
            Verdict::Dhcpv6Server,
        ),
        (
            "DHCPv6 to a client from any port",
            udp(A, B, global(0xa), global(0xb), 9, 546, b"reply"),
            Verdict::Dhcpv6Server,
        ),
        (
            "DHCPv6 to a client behind a header",
            behind(17, &udp_bytes(global(0xa), global(0xb), 9, 546, b"")),
            Verdict::Dhcpv6Server,
        ),
        (
            "DHCPv6 from the port's link-local",
            dhcpv6(A.link_local(), 40),
            Verdict::Punted,
        ),
        (
            "DHCPv6 from a link-local not yet learned",
            dhcpv6(link_local(9), 40),
            Verdict::Punted,
        ),
        (
            "DHCPv6 from a link-local that another holds",
            dhcpv6(link_local(0x10ca), 40),
            Verdict::Punted,
        ),
        (
            "DHCPv6 to the service's address",
            unicast_request,
            Verdict::Punted,
        ),
        (
            "DHCPv6 in a large record",
            dhcpv6(A.link_local(), 1300),
            Verdict::Punted,
        ),
        (
            "DHCPv6 from another's address",
            dhcpv6(global(0xb), 40),
            Verdict::SourceSpoofed,
        ),
        (
            "DHCPv6 behind a header",
            solicit_behind,
            Verdict::ExtendedControl,
        ),
    ]
}

fn nd_rows() -> Vec<(&'static str, Vec<u8>, Verdict)> {
    let own = link_layer(1, A);
    let mut hops = ns(A.link_local(), global(0xb), &own);
    hops[21] = 64;
    let mut code = ns(A.link_local(), global(0xb), &own);
    code[55] = 1;
    let unspecified = Ipv6Addr::UNSPECIFIED;
    let behind = {
        let body = [&[0; 4][..], &global(0xb).octets()].concat();
        let upper = icmpv6_bytes(
            A.link_local(),
            solicited_node_address(global(0xb)),
            135,
            &body,
        );
        let to = solicited_node_address(global(0xb));
        ipv6_chain(
            A,
            solicited_node(global(0xb)),
            A.link_local(),
            to,
            &[Header::Destination],
            58,
            &upper,
        )
    };
    let unicast_probe = {
        let body = [&[0; 4][..], &global(0xb).octets()].concat();
        icmpv6(A, B, 135, unspecified, global(0xb), &body)
    };
    let short = icmpv6(A, ALL_NODES_MAC, 135, A.link_local(), ALL_NODES, &[0; 8]);
    vec![
        ("RS without a source", rs(unspecified, &[]), Verdict::Punted),
        (
            "RS from the port's link-local",
            rs(A.link_local(), &own),
            Verdict::Punted,
        ),
        (
            "RS from a link-local not yet learned",
            rs(link_local(9), &own),
            Verdict::Punted,
        ),
        (
            "RS from another's address",
            rs(global(0xb), &own),
            Verdict::SourceSpoofed,
        ),
        (
            "RS with another's MAC",
            rs(A.link_local(), &link_layer(1, B)),
            Verdict::NdSpoofed,
        ),
        (
            "RS without a source, with a MAC",
            rs(unspecified, &own),
            Verdict::NdMalformed,
        ),
        (
            "a duplicate-address probe",
            ns(unspecified, global(0xb), &[]),
            Verdict::Punted,
        ),
        (
            "a duplicate-address probe to one host",
            unicast_probe,
            Verdict::NdMalformed,
        ),
        (
            "a probe with a nonce",
            ns(unspecified, global(0xa), &[14, 1, 1, 2, 3, 4, 5, 6]),
            Verdict::Punted,
        ),
        (
            "NS for a neighbour",
            ns(A.link_local(), global(0xb), &own),
            Verdict::NdAnswered,
        ),
        (
            "NS for a neighbour from the global address",
            ns(global(0xa), global(0xb), &own),
            Verdict::NdAnswered,
        ),
        (
            "NS for a neighbour without a MAC",
            ns(global(0xa), global(0xb), &[]),
            Verdict::NdAnswered,
        ),
        (
            "NS for the service",
            ns(A.link_local(), service().1, &own),
            Verdict::NdAnswered,
        ),
        (
            "NS from a link-local that another holds",
            ns(link_local(0x10ca), global(0xb), &own),
            Verdict::NdAnswered,
        ),
        (
            "NS for the port's own source",
            ns(A.link_local(), global(0xa), &own),
            Verdict::NdOwnAddress,
        ),
        (
            "NS for a neighbour row of its own",
            ns(A.link_local(), global(0xaa), &own),
            Verdict::NdOwnAddress,
        ),
        (
            "NS for nobody known",
            ns(A.link_local(), global(0xdead), &own),
            Verdict::Punted,
        ),
        (
            "NS from a link-local not yet learned",
            ns(link_local(9), global(0xb), &own),
            Verdict::Punted,
        ),
        (
            "NS from another's address",
            ns(global(0xb), global(0xa), &own),
            Verdict::SourceSpoofed,
        ),
        (
            "NS with another's MAC",
            ns(A.link_local(), global(0xb), &link_layer(1, B)),
            Verdict::NdSpoofed,
        ),
        ("NS that was forwarded", hops, Verdict::NdMalformed),
        ("NS with a code", code, Verdict::NdMalformed),
        ("NS cut short", short, Verdict::NdMalformed),
        (
            "NS for a group",
            ns(A.link_local(), ALL_NODES, &own),
            Verdict::NdMalformed,
        ),
        (
            "NS with an option of no length",
            ns(A.link_local(), global(0xb), &[9, 0, 0, 0, 0, 0, 0, 0]),
            Verdict::NdMalformed,
        ),
        (
            "NS with nine options",
            ns(A.link_local(), global(0xb), &own.repeat(9)),
            Verdict::NdMalformed,
        ),
        ("NS behind a header", behind, Verdict::ExtendedControl),
        (
            "NA for the port's own address",
            na(A.link_local(), global(0xa), A),
            Verdict::NaConsumed,
        ),
        (
            "NA for a link-local not yet learned",
            na(link_local(9), link_local(9), A),
            Verdict::Punted,
        ),
        (
            "NA for a neighbour's address",
            na(A.link_local(), global(0xb), A),
            Verdict::NdSpoofed,
        ),
        (
            "NA with another's MAC",
            na(A.link_local(), global(0xa), B),
            Verdict::NdSpoofed,
        ),
        (
            "NA from another's address",
            na(global(0xb), global(0xb), A),
            Verdict::SourceSpoofed,
        ),
        (
            "NA for a group",
            na(A.link_local(), ALL_NODES, A),
            Verdict::NdMalformed,
        ),
    ]
}

fn delivery_rows() -> Vec<(&'static str, Vec<u8>, Verdict)> {
    let to = |mac, address| udp(A, mac, global(0xa), address, 1, 2, b"data");
    let from = |source| udp(A, B, source, global(0xb), 1, 2, b"data");
    let echo = icmpv6(A, service().0, 128, A.link_local(), service().1, &[0; 8]);
    let group = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0xfb);
    vec![
        ("to a neighbour", data(), Verdict::Unicast),
        (
            "from the port's link-local",
            from(A.link_local()),
            Verdict::Unicast,
        ),
        (
            "a group's packet for one MAC (RFC 6085)",
            to(B, group),
            Verdict::Unicast,
        ),
        (
            "echo request to a neighbour",
            icmpv6(A, B, 128, global(0xa), global(0xb), &[0; 8]),
            Verdict::Unicast,
        ),
        (
            "from a neighbour's address",
            from(global(0xb)),
            Verdict::SourceSpoofed,
        ),
        (
            "from no address",
            from(Ipv6Addr::UNSPECIFIED),
            Verdict::SourceSpoofed,
        ),
        (
            "from a link-local not yet learned",
            from(link_local(9)),
            Verdict::SourceSpoofed,
        ),
        (
            "from a link-local that another holds",
            from(link_local(0x10ca)),
            Verdict::SourceLocalOnly,
        ),
        (
            "to the service's MAC",
            to(service().0, global(0xb)),
            Verdict::ServiceUnserved,
        ),
        (
            "echo request to the service",
            echo,
            Verdict::ServiceUnserved,
        ),
        (
            "to a MAC that nobody has",
            to(Mac([2, 0, 0, 0, 0, 1]), global(0xb)),
            Verdict::UnknownUnicast,
        ),
        (
            "to a port that is down",
            to(C, global(0xc)),
            Verdict::ReceiverDown,
        ),
        (
            "to a port that is gone",
            to(D, global(0xd)),
            Verdict::ReceiverDown,
        ),
        ("to itself", to(A, global(0xa)), Verdict::Hairpin),
        (
            "one host's packet for a group of MACs",
            to(Mac([0x33, 0x33, 0, 0, 0, 1]), global(0xb)),
            Verdict::GroupMismatch,
        ),
        (
            "a group's packet for another group of MACs",
            to(Mac([0x33, 0x33, 0, 0, 0, 1]), group),
            Verdict::GroupMismatch,
        ),
        (
            "a group's packet for a bridge's group",
            to(Mac([1, 0x80, 0xc2, 0, 0, 0]), group),
            Verdict::GroupMismatch,
        ),
    ]
}

#[test]
fn every_frame_of_the_table_gets_its_verdict_and_is_counted_under_it() {
    let bench = Bench::usual();
    let mut counted: BTreeMap<Verdict, u64> = BTreeMap::from([(Verdict::Unicast, 1)]);
    for (why, frame, verdict) in table() {
        let outcome = bench.run(&frame);
        assert_eq!(outcome.verdict, verdict, "{why}");
        let redirected = matches!(
            verdict,
            Verdict::Unicast | Verdict::NdAnswered | Verdict::ArpAnswered
        );
        assert_eq!(
            outcome.action,
            if redirected { REDIRECTED } else { DROPPED },
            "{why}"
        );
        assert_eq!(
            outcome.reason.is_some(),
            verdict == Verdict::Punted,
            "{why}"
        );
        *counted.entry(verdict).or_default() += 1;
    }
    for (verdict, times) in counted {
        assert_eq!(bench.counted(PORT_A, verdict), times, "{}", verdict.name());
    }
}

/// Most headers are read in one step where a frame is long enough, be it by padding.
#[test]
fn padding_behind_a_packet_changes_no_verdict() {
    let bench = Bench::usual();
    let mut padded = 0;
    // What the upper layer lacks is not looked for in the padding.
    for (proto, length) in [(6, 19), (17, 7), (58, 7), (17, 0)] {
        let short = vec![1; length];
        let ipv6 = ipv6(A, B, global(0xa), global(0xb), proto, &short);
        for mut frame in [ipv6, ipv4::to_b(proto, &short)] {
            frame.resize(READ_AT_ONCE + 9, 1);
            let verdict = bench.run(&frame).verdict;
            assert_eq!(verdict, Verdict::Malformed, "{length} bytes of {proto}");
        }
    }
    for (why, frame, verdict) in table() {
        // Of what ends too early padding makes something else.
        let cut = [Verdict::Malformed, Verdict::ArpMalformed].contains(&verdict);
        if frame.len() >= READ_AT_ONCE || cut {
            continue;
        }
        let mut longer = frame.clone();
        longer.resize(READ_AT_ONCE + 9, 0xff);
        for (how, frame) in [("as it is", &frame), ("padded", &longer)] {
            assert_eq!(bench.run(frame).verdict, verdict, "{why}, {how}");
        }
        padded += 1;
    }
    assert!(padded > 50, "{padded} frames are short");
}

#[test]
fn every_verdict_is_tested_here_or_in_the_table() {
    let elsewhere = [
        Verdict::NoPort,
        Verdict::PortDown,
        Verdict::NoReceiver,
        Verdict::Multicast,
        Verdict::CopyFailed,
        Verdict::OverlappingFragment,
        Verdict::PuntBudget,
        Verdict::PuntFull,
        Verdict::PuntTooLong,
        Verdict::SourceUnproven,
        Verdict::MldFull,
        Verdict::FirstFrame,
        Verdict::FirstFrameUnseen,
        // Of physical segments: tests/uplink.rs holds a table of them.
        Verdict::Uplink,
        Verdict::UplinkHost,
        Verdict::Host,
        Verdict::SegmentUnicast,
        Verdict::SegmentMulticast,
        Verdict::SegmentSpoofed,
        Verdict::SegmentRouter,
        Verdict::SegmentDhcp,
        // Counts what the kernel refuses and cannot be made to refuse.
        Verdict::Internal,
    ];
    let mut tested: BTreeSet<Verdict> =
        table().into_iter().map(|(_, _, verdict)| verdict).collect();
    tested.extend(elsewhere);
    let untested: Vec<_> = Verdict::ALL
        .iter()
        .filter(|verdict| !tested.contains(verdict))
        .collect();
    assert!(untested.is_empty(), "{untested:?}");
}

#[test]
fn a_link_without_a_row_and_a_port_that_is_down_pass_nothing() {
    let bench = Bench::usual();
    bench
        .maps
        .apply(&[MapOp::SetPort(ASKING, port(PORT_A, A, false))])
        .unwrap();
    for (why, frame, _) in table() {
        assert_eq!(bench.run(&frame).verdict, Verdict::PortDown, "{why}");
    }
    bench.maps.apply(&[MapOp::RemovePort(ASKING)]).unwrap();
    assert_eq!(bench.run(&data()).verdict, Verdict::NoPort);
    assert_eq!(bench.counted(PortNumber(0), Verdict::NoPort), 1);
}

#[test]
fn unicast_goes_to_the_link_that_has_the_mac() {
    let outcome = Bench::usual().run(&data());
    assert_eq!(
        (outcome.verdict, outcome.target),
        (Verdict::Unicast, NEIGHBOUR)
    );
    assert_eq!(outcome.frame, data(), "the frame is not changed");
}

#[test]
fn a_receiver_of_another_network_gets_nothing() {
    let bench = Bench::usual();
    let elsewhere = PortRow {
        net: Vni(99),
        ..port(PORT_B, B, true)
    };
    bench
        .maps
        .apply(&[MapOp::SetPort(NEIGHBOUR, elsewhere)])
        .unwrap();
    assert_eq!(bench.run(&data()).verdict, Verdict::ReceiverDown);
}

#[test]
fn an_answered_solicitation_is_a_right_advertisement_on_the_same_link() {
    let bench = Bench::usual();
    let cases = [
        (A.link_local(), global(0xb), B, 0x60),
        (global(0xa), global(0xb), B, 0x60),
        (A.link_local(), service().1, service().0, 0xe0),
    ];
    for (source, target, mac, flags) in cases {
        for options in [
            &[][..],
            &link_layer(1, A),
            &[link_layer(1, A), vec![14, 1, 1, 2, 3, 4, 5, 6]].concat(),
        ] {
            let outcome = bench.run(&ns(source, target, options));
            let body = [&[flags, 0, 0, 0][..], &target.octets(), &link_layer(2, mac)].concat();
            let wanted = icmpv6(mac, A, 136, target, source, &body);
            assert_eq!(outcome.frame, wanted);
            assert_eq!((outcome.action, outcome.target), (REDIRECTED, ASKING));
        }
    }
}

#[test]
fn later_fragments_follow_their_first_and_nothing_else_does() {
    let bench = Bench::usual();
    let datagram = udp_bytes(global(0xa), global(0xb), 1, 2, &[7; 24]);
    let later = |id| fragment(32, false, id, 17, &[7; 8]);
    assert_eq!(bench.run(&later(1)).verdict, Verdict::OrphanFragment);
    assert_eq!(
        bench.run(&fragment(0, true, 1, 17, &datagram)).verdict,
        Verdict::Unicast
    );
    assert_eq!(bench.run(&later(1)).verdict, Verdict::Unicast);
    assert_eq!(
        bench.run(&fragment(40, true, 1, 17, &[7; 8])).verdict,
        Verdict::Unicast
    );
    assert_eq!(bench.run(&later(2)).verdict, Verdict::OrphanFragment);
    // A first fragment that was dropped admits none.
    let nd = [&[135, 0, 0, 0, 0, 0, 0, 0][..], &global(0xb).octets()].concat();
    assert_eq!(
        bench.run(&fragment(0, true, 3, 58, &nd)).verdict,
        Verdict::FragmentedControl
    );
    assert_eq!(
        bench.run(&fragment(24, false, 3, 58, &[0; 8])).verdict,
        Verdict::OrphanFragment
    );
}

/// Another port with A's MAC and address on the asking link.
fn stand_in(bench: &Bench) -> PortNumber {
    let other = PortNumber(77);
    let source = SourceRow {
        local_only: false,
        learned: false,
    };
    let ops = [
        MapOp::SetPort(ASKING, port(other, A, true)),
        MapOp::SetSource((other, global(0xa)), source),
    ];
    bench.maps.apply(&ops).unwrap();
    other
}

#[test]
fn a_guest_pushes_out_its_own_first_fragments_alone_and_none_that_is_followed() {
    let bench = Bench::usual();
    let datagram = udp_bytes(global(0xa), global(0xb), 1, 2, &[7; 24]);
    let first = |id| bench.run(&fragment(0, true, id, 17, &datagram)).verdict;
    let later = |id| bench.run(&fragment(32, false, id, 17, &[7; 8])).verdict;
    assert_eq!(first(1), Verdict::Unicast);
    let other = stand_in(&bench);
    for id in 2..1000 {
        assert_eq!(first(id), Verdict::Unicast);
    }
    let own = MapOp::SetPort(ASKING, port(PORT_A, A, true));
    bench.maps.apply(&[own]).unwrap();
    assert_eq!(later(1), Verdict::Unicast, "another port's are another's");
    for id in 2..1000 {
        assert_eq!(first(id), Verdict::Unicast);
        assert_eq!(later(id), Verdict::Unicast);
        assert_eq!(later(1), Verdict::Unicast, "it is followed");
    }
    let rows = || Bench::map(&bench.object, "first_fragments").keys().count();
    assert_eq!(rows(), 2 * FRAGMENTS_EACH as usize);
    for port in [other, PORT_A] {
        bench.maps.apply(&[MapOp::Forget(port)]).unwrap();
    }
    assert_eq!(rows(), 0);
}

#[test]
fn the_mtu_is_of_the_segments_that_leave_not_of_the_whole() {
    let bench = Bench::usual();
    let tcp = [&[0; 12][..], &[0x80, 0, 0, 0, 0, 0, 0, 0], &[0; 2012]].concat();
    let frame = ipv6(A, B, global(0xa), global(0xb), 6, &tcp);
    let header = 40 + 32;
    assert_eq!(bench.run(&frame).verdict, Verdict::TooBig);
    assert_eq!(
        bench.run_gso(&frame, MTU - header).verdict,
        Verdict::Unicast
    );
    assert_eq!(
        bench.run_gso(&frame, MTU - header + 1).verdict,
        Verdict::TooBig
    );
}

#[test]
fn the_first_frame_is_shown_once_until_it_is_unseen() {
    let punt = PuntBudget {
        per_second: 1,
        burst: 100,
    };
    let bench = Bench::new(punt, Sizes::default());
    let mut ring = bench.punt();
    let mut first = || {
        let mut shown = Vec::new();
        ring.drain(|record| shown.push((record.reason, record.frame.to_vec(), record.whole)))
            .unwrap();
        shown
    };
    let frame = udp(A, B, global(0xa), global(0xb), 1, 2, &[5; 400]);
    for _ in 0..3 {
        assert_eq!(
            bench.run(&frame).verdict,
            Verdict::Unicast,
            "handled besides"
        );
    }
    assert_eq!(
        first(),
        vec![(PuntReason::FirstFrame, frame[..224].to_vec(), frame.len())]
    );
    assert!(bench.maps.dump().unwrap().seen.contains(&PORT_A));
    bench.maps.apply(&[MapOp::Unsee(PORT_A)]).unwrap();
    // Any frame with the port's MAC shows that the guest is there.
    bench.run(&ethernet(A, B, 0x0806, &[0; 46]));
    bench.run(&data());
    assert_eq!(first().len(), 1);
    assert_eq!(bench.counted(PORT_A, Verdict::FirstFrame), 2);
}

#[test]
fn a_forged_mac_is_no_first_frame() {
    let bench = Bench::new(PuntBudget::default(), Sizes::default());
    bench.run(&udp(C, B, global(0xa), global(0xb), 1, 2, b""));
    assert!(bench.maps.dump().unwrap().seen.is_empty());
}

#[test]
fn records_tell_where_a_frame_came_from_and_why() {
    let bench = Bench::usual();
    let mut ring = bench.punt();
    ring.drain(|_| ()).unwrap();
    let own = link_layer(1, A);
    let cases = [
        (rs(A.link_local(), &own), PuntReason::Rs),
        (
            ns(Ipv6Addr::UNSPECIFIED, global(0xb), &[]),
            PuntReason::NsDad,
        ),
        (
            ns(A.link_local(), global(0xdead), &own),
            PuntReason::NsTarget,
        ),
        (ns(link_local(9), global(0xb), &own), PuntReason::NsSource),
        (na(link_local(9), link_local(9), A), PuntReason::Na),
        (dhcpv6(A.link_local(), 30), PuntReason::Dhcpv6),
        (dhcpv6(A.link_local(), 1300), PuntReason::Dhcpv6),
    ];
    for (frame, reason) in &cases {
        assert_eq!(bench.run(frame).reason, Some(*reason));
    }
    let mut shown = Vec::new();
    let drained = ring
        .drain(|record| {
            assert_eq!(
                (record.ifindex, record.port, record.net),
                (ASKING, PORT_A, NET)
            );
            assert_eq!(record.whole, record.frame.len());
            shown.push((record.frame.to_vec(), record.reason));
        })
        .unwrap();
    assert_eq!(shown, cases);
    assert_eq!(
        drained,
        Drained {
            shown: cases.len(),
            discarded: 0
        }
    );
}

#[test]
fn a_port_is_shown_no_more_than_its_budget_and_others_do_not_suffer() {
    let bench = Bench::new(
        PuntBudget {
            per_second: 1,
            burst: 3,
        },
        Sizes::default(),
    );
    let frame = rs(A.link_local(), &[]);
    // The first frame takes one of the three; more come free where a second passes.
    let verdicts: Vec<_> = (0..100).map(|_| bench.run(&frame).verdict).collect();
    assert_eq!(verdicts[..2], [Verdict::Punted; 2]);
    assert!(verdicts.contains(&Verdict::PuntBudget));
    let row = port(PortNumber(77), A, true);
    bench.maps.apply(&[MapOp::SetPort(ASKING, row)]).unwrap();
    assert_eq!(
        bench.run(&rs(Ipv6Addr::UNSPECIFIED, &[])).verdict,
        Verdict::Punted
    );
}

#[test]
fn a_first_frame_beyond_the_budget_is_shown_later() {
    let bench = Bench::new(
        PuntBudget {
            per_second: 1,
            burst: 1,
        },
        Sizes::default(),
    );
    // Where a second passes between two of them there is room for the next.
    for _ in 0..100 {
        bench.run(&data());
        if bench.counted(PORT_A, Verdict::FirstFrameUnseen) == 1 {
            break;
        }
        bench.maps.apply(&[MapOp::Unsee(PORT_A)]).unwrap();
    }
    assert_eq!(bench.counted(PORT_A, Verdict::FirstFrameUnseen), 1);
    assert!(bench.maps.dump().unwrap().seen.is_empty());
}

#[test]
fn a_full_ring_refuses_the_newest_and_counts_it() {
    let sizes = Sizes {
        punt_bytes: 4096,
        ..Sizes::default()
    };
    let bench = Bench::new(
        PuntBudget {
            per_second: 1000,
            burst: 1000,
        },
        sizes,
    );
    let verdicts: Vec<_> = (0..20)
        .map(|_| bench.run(&rs(A.link_local(), &[])).verdict)
        .collect();
    assert_eq!(verdicts[0], Verdict::Punted);
    assert_eq!(verdicts[19], Verdict::PuntFull);
    assert!(bench.counted(PORT_A, Verdict::PuntFull) > 0);
    let drained = bench.punt().drain(|_| ()).unwrap();
    assert_eq!(
        (drained.shown + drained.discarded) as u64,
        bench.counted(PORT_A, Verdict::Punted) + 1
    );
    assert_eq!(bench.run(&rs(A.link_local(), &[])).verdict, Verdict::Punted);
}

#[test]
fn who_says_much_while_the_agent_is_away_leaves_room_in_the_ring_for_others() {
    let sizes = Sizes {
        punt_bytes: 1 << 18,
        ..Sizes::default()
    };
    let endless = PuntBudget {
        per_second: 1_000_000,
        burst: 1_000_000,
    };
    let bench = Bench::new(endless, sizes);
    let large = || bench.run(&dhcpv6(A.link_local(), 1300)).verdict;
    let mut shown = 0;
    while large() == Verdict::Punted {
        shown += 1;
    }
    let half = (1 << 17) / 2048;
    assert!((half..2 * half - 20).contains(&shown), "{shown} records");
    assert!(bench.counted(PORT_A, Verdict::PuntFull) > 0);
    stand_in(&bench);
    for _ in 0..4 {
        assert_eq!(large(), Verdict::Punted, "another port has its own share");
    }
    bench.punt().drain(|_| ()).unwrap();
    for _ in 0..20 {
        assert_eq!(large(), Verdict::Punted, "there is room again");
    }
}

#[test]
fn a_frame_longer_than_a_record_is_not_shown() {
    let bench = Bench::usual();
    let row = PortRow {
        mtu: 9000,
        ..port(PORT_A, A, true)
    };
    bench.maps.apply(&[MapOp::SetPort(ASKING, row)]).unwrap();
    // Head 32, Ethernet 14, IPv6 40, UDP 8.
    let room = 2048 - 32 - 14 - 40 - 8;
    assert_eq!(
        bench.run(&dhcpv6(A.link_local(), room)).verdict,
        Verdict::Punted
    );
    assert_eq!(
        bench.run(&dhcpv6(A.link_local(), room + 1)).verdict,
        Verdict::PuntTooLong
    );
}

#[test]
fn a_full_map_refuses_the_newest_row_and_keeps_the_others() {
    let bench = Bench::new(
        PuntBudget::default(),
        Sizes {
            sources: 10,
            ..Sizes::default()
        },
    );
    let before = bench.maps.dump().unwrap();
    let ops: Vec<MapOp> = (0..10)
        .map(|host| {
            MapOp::SetSource(
                (PORT_B, global(0x100 + host)),
                SourceRow {
                    local_only: false,
                    learned: false,
                },
            )
        })
        .collect();
    let refused = bench.maps.apply(&ops).unwrap_err();
    assert!(!refused.failures.is_empty());
    for (index, error) in &refused.failures {
        assert!(*index >= 4, "there was room for four");
        assert_eq!(error.kind(), std::io::ErrorKind::StorageFull);
    }
    let after = bench.maps.dump().unwrap();
    assert!(
        before
            .sources
            .keys()
            .all(|key| after.sources.contains_key(key))
    );
    assert_eq!(
        after.sources.len() + refused.failures.len(),
        before.sources.len() + ops.len()
    );
}

#[test]
fn what_was_written_is_dumped_and_needs_no_second_change() {
    let bench = Bench::new(PuntBudget::default(), Sizes::default());
    let mut wanted = world();
    wanted.members.insert(Vni(5), (1..=150).collect());
    let ops = bench.maps.dump().unwrap().diff(&wanted);
    bench.maps.apply(&ops).unwrap();
    assert_eq!(bench.maps.dump().unwrap(), wanted);
    assert_eq!(bench.maps.dump().unwrap().diff(&wanted), Vec::new());
    // Fewer members leave no chunk behind; more than fit change nothing.
    wanted.members.insert(Vni(5), (1..=3).collect());
    bench
        .maps
        .apply(&bench.maps.dump().unwrap().diff(&wanted))
        .unwrap();
    assert_eq!(bench.maps.dump().unwrap(), wanted);
    let too_many = (0..=u32::try_from(MEMBERS_MAX).unwrap()).collect();
    assert!(
        bench
            .maps
            .apply(&[MapOp::SetMembers(Vni(5), too_many)])
            .is_err()
    );
    assert_eq!(bench.maps.dump().unwrap(), wanted);
    bench
        .maps
        .apply(&bench.maps.dump().unwrap().diff(&Rows::default()))
        .unwrap();
    assert_eq!(bench.maps.dump().unwrap(), Rows::default());
}

#[test]
fn forgetting_a_port_removes_all_that_the_program_kept() {
    let bench = Bench::usual();
    assert!(
        bench
            .maps
            .counters()
            .unwrap()
            .keys()
            .any(|(port, _)| *port == PORT_A)
    );
    bench.maps.apply(&[MapOp::Forget(PORT_A)]).unwrap();
    assert!(bench.maps.dump().unwrap().seen.is_empty());
    assert!(
        bench
            .maps
            .counters()
            .unwrap()
            .keys()
            .all(|(port, _)| *port != PORT_A)
    );
    assert_eq!(Bench::map(&bench.object, "budget").keys().count(), 0);
}

#[test]
fn what_forgotten_ports_counted_stays_in_the_sum_and_tables_say_how_full_they_are() {
    let bench = Bench::usual();
    let sum = || {
        let mut sums: BTreeMap<Verdict, (u64, u64)> = BTreeMap::new();
        for ((_, verdict), (packets, bytes)) in bench.maps.counters().unwrap() {
            let sum = sums.entry(verdict).or_default();
            *sum = (sum.0 + packets, sum.1 + bytes);
        }
        sums
    };
    let before = sum();
    assert!(!before.is_empty());
    bench
        .maps
        .apply(&[MapOp::Forget(PORT_A), MapOp::Forget(PORT_B)])
        .unwrap();
    assert_eq!(sum(), before);
    let counters = bench.maps.counters().unwrap();
    assert!(counters.keys().all(|(port, _)| *port != PORT_A));
    // Once more: what is kept is not lost by the next that go.
    bench.maps.apply(&[MapOp::Forget(PORT_A)]).unwrap();
    assert_eq!(sum(), before);

    let rows = bench.maps.dump().unwrap();
    let tables = bench.maps.tables().unwrap();
    let table = |name| *tables.iter().find(|table| table.name == name).unwrap();
    assert_eq!(table("ports").rows as usize, rows.ports.len());
    assert_eq!(table("sources").rows as usize, rows.sources.len());
    assert_eq!(table("learnable").rows as usize, rows.learnable.len());
    assert_eq!(
        table("counters").rows as usize,
        bench.maps.counters().unwrap().len()
    );
    for table in &tables {
        assert!(table.rows <= table.rows_max, "{table:?}");
    }
}

#[test]
fn a_full_table_of_counters_counts_the_rest_by_verdict() {
    let reserved = u32::try_from(Verdict::ALL.len()).unwrap();
    let sizes = Sizes {
        counters: reserved + 2,
        ..Sizes::default()
    };
    let bench = Bench::new(PuntBudget::default(), sizes);
    bench.maps.reserve_counters().unwrap();
    bench.maps.reserve_counters().unwrap();
    let frames = [
        udp(A, B, global(0xa), global(0xb), 1, 2, b"first"),
        udp(A, B, global(0xa), global(0xb), 1, 2, b"again"),
        udp(C, B, global(0xa), global(0xb), 1, 2, b"mac"),
        udp(A, B, global(0xc), global(0xb), 1, 2, b"source"),
        udp(A, D, global(0xa), global(0xb), 1, 2, b"nobody"),
    ];
    for round in 1..=3u64 {
        let seen: Vec<Verdict> = frames
            .iter()
            .map(|frame| bench.run(frame).verdict)
            .collect();
        let counters = bench.maps.counters().unwrap();
        let sum = |verdict: Verdict| -> u64 {
            let of = counters.iter().filter(|((_, other), _)| *other == verdict);
            of.map(|(_, (packets, _))| packets).sum()
        };
        for verdict in &seen {
            let times = seen.iter().filter(|other| *other == verdict).count() as u64;
            assert_eq!(sum(*verdict), round * times, "{verdict:?}");
        }
    }
    assert!(bench.maps.unattributed().unwrap() > 0);
    let tables = bench.maps.tables().unwrap();
    let table = tables
        .iter()
        .find(|table| table.name == "counters")
        .unwrap();
    assert_eq!(table.rows, table.rows_max);
}

#[test]
fn multicast_is_copied_to_the_active_ports_but_the_sender() {
    in_own_namespace(|namespace| {
        let first = veth(namespace, "m0");
        let second = veth(namespace, "m1");
        for ifindex in [first, second] {
            links::set_up(ifindex, true).unwrap();
        }
        let bench = Bench::usual();
        let group = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0xfb);
        let frame = udp(
            A,
            Mac([0x33, 0x33, 0, 0, 0, 0xfb]),
            global(0xa),
            group,
            5353,
            5353,
            b"mdns",
        );
        let members = |ports: &[u32]| {
            bench
                .maps
                .apply(&[MapOp::SetMembers(NET, ports.iter().copied().collect())])
                .unwrap();
        };
        let row = |number| port(PortNumber(number), B, true);
        bench
            .maps
            .apply(&[
                MapOp::SetPort(first, row(20)),
                MapOp::SetPort(second, row(21)),
            ])
            .unwrap();

        members(&[ASKING, first, second, DOWN, GONE]);
        let outcome = bench.run(&frame);
        assert_eq!(
            (outcome.verdict, outcome.copies, outcome.action),
            (Verdict::Multicast, 2, DROPPED)
        );

        members(&[ASKING, DOWN, GONE]);
        assert_eq!(bench.run(&frame).verdict, Verdict::NoReceiver);

        // A copy that fails is counted and does not keep the others from theirs; chunks behind the first are read.
        bench
            .maps
            .apply(&[MapOp::SetPort(NO_DEVICE, row(22))])
            .unwrap();
        let many: Vec<u32> = (5000..5100).chain([NO_DEVICE, second]).collect();
        members(&many);
        let outcome = bench.run(&frame);
        assert_eq!((outcome.verdict, outcome.copies), (Verdict::Multicast, 1));
        assert_eq!(bench.counted(PORT_A, Verdict::CopyFailed), 1);
    });
}

/// Runs on a thread in a network namespace that goes with it.
fn in_own_namespace(work: impl FnOnce(&std::path::Path) + Send) {
    std::thread::scope(|scope| {
        scope
            .spawn(|| {
                nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNET).unwrap();
                let path = format!("/proc/self/task/{}/ns/net", nix::unistd::gettid());
                work(&netns::path(&path));
            })
            .join()
            .unwrap();
    });
}

fn veth(namespace: &std::path::Path, name: &str) -> u32 {
    links::create_veth(&links::NewVeth {
        host_name: name,
        alias: "hextet:test:x",
        netns: namespace,
        guest_name: &format!("{name}g"),
        mac: B,
        mtu: MTU,
        guest_up: false,
    })
    .unwrap()
}

#[test]
fn c_and_rust_agree_on_every_struct() {
    let bench = Bench::new(PuntBudget::default(), Sizes::default());
    let btf = bench.object.btf().unwrap().expect("the object has BTF");
    let mirrors = [
        ("port", raw::Port::layout()),
        ("source_key", raw::SourceKey::layout()),
        ("source", raw::Source::layout()),
        ("learnable_key", raw::LearnableKey::layout()),
        ("learnable", raw::LearnableValue::layout()),
        ("neighbour_key", raw::NeighKey::layout()),
        ("neighbour", raw::Neigh::layout()),
        ("fdb_key", raw::FdbKey::layout()),
        ("fdb", raw::Fdb::layout()),
        ("members_key", raw::MembersKey::layout()),
        ("members", raw::Members::layout()),
        ("listener", raw::Listener::layout()),
        ("uplink", raw::Uplink::layout()),
        ("nic", raw::Nic::layout()),
        ("fragment_key", raw::FragmentKey::layout()),
        ("counter_key", raw::CounterKey::layout()),
        ("counter", raw::Counter::layout()),
        ("punt_head", raw::PuntHead::layout()),
        ("trace", raw::Trace::layout()),
    ];
    for (name, (size, fields)) in mirrors {
        let c: Struct<'_> = btf
            .type_by_name(name)
            .unwrap_or_else(|| panic!("struct {name}"));
        assert_eq!(c.size(), size, "struct {name}");
        let c_fields: Vec<(String, usize)> = c
            .iter()
            .map(|member| match member.attr {
                MemberAttr::Normal { offset } => (
                    member.name.unwrap().to_string_lossy().into_owned(),
                    offset as usize / 8,
                ),
                MemberAttr::BitField { .. } => panic!("a bit field in struct {name}"),
            })
            .collect();
        let fields: Vec<(String, usize)> = fields
            .into_iter()
            .map(|(field, at)| (field.to_owned(), at))
            .collect();
        assert_eq!(c_fields, fields, "struct {name}");
    }
}

#[test]
fn the_lists_are_read_whole() {
    let rows = |list: &str, name: &str| list.lines().filter(|line| line.starts_with(name)).count();
    let verdicts = include_str!("../../../../../bpf/verdicts.def");
    let reasons = include_str!("../../../../../bpf/reasons.def");
    assert_eq!(rows(verdicts, "VERDICT("), Verdict::ALL.len());
    assert_eq!(rows(reasons, "REASON("), PuntReason::ALL.len());
    assert_eq!(Verdict::MacSpoofed.name(), "mac_spoofed");
    assert_eq!(Verdict::MacSpoofed.kind(), Kind::Drop);
    assert_eq!(Verdict::Unicast.kind(), Kind::Passed);
}
