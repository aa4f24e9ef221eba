//! Queries of either version, and what comes near them.

use std::net::Ipv6Addr;
use std::time::Duration;

use hextet_core::ids::Vni;
use hextet_core::mac::Mac;
use hextet_wire::frame::{ALL_NODES, Envelope, multicast_mac};
use hextet_wire::mld::{HOP_LIMIT, Query};

/// Each with its name.
pub fn seeds() -> Vec<(&'static str, Vec<u8>)> {
    let service = Mac::service(Vni(7));
    let general = Query::general(Duration::from_secs(1), 2, Duration::from_secs(125));
    let group = Ipv6Addr::new(0xff15, 0, 0, 0, 0, 0, 0, 7);
    let emitted = |query: Query| query.emit(service, service.link_local());
    let envelope = Envelope {
        mac_destination: multicast_mac(ALL_NODES),
        mac_source: service,
        source: service.link_local(),
        destination: ALL_NODES,
        hop_limit: HOP_LIMIT,
    };
    let of = |code: [u8; 2], group: Ipv6Addr, rest: &[u8]| {
        let head = [130, 0, 0, 0, code[0], code[1], 0, 0];
        envelope.icmpv6_alert([&head[..], &group.octets(), rest].concat())
    };
    let nobody = Ipv6Addr::UNSPECIFIED;
    let source = [0x20; 16];
    vec![
        ("general", emitted(general)),
        (
            "general-v1",
            emitted(Query {
                v2: None,
                ..general
            }),
        ),
        ("group", emitted(Query { group, ..general })),
        (
            "group-v1",
            emitted(Query {
                group,
                v2: None,
                ..general
            }),
        ),
        (
            "at-once",
            emitted(Query {
                max_response: Duration::ZERO,
                ..general
            }),
        ),
        ("exponents", of([0xff, 0xff], nobody, &[0x0f, 0xff, 0, 0])),
        ("suppressed", of([0x03, 0xe8], group, &[0x0a, 125, 0, 0])),
        (
            "sources",
            of(
                [0x03, 0xe8],
                group,
                &[&[2, 125, 0, 1][..], &source].concat(),
            ),
        ),
        (
            "sources-cut",
            of([0x03, 0xe8], group, &[2, 125, 0, 9, 0x20]),
        ),
        ("neither", of([0x03, 0xe8], nobody, &[2, 125])),
        (
            "no-group",
            of([0x03, 0xe8], Ipv6Addr::LOCALHOST, &[2, 125, 0, 0]),
        ),
        (
            "without-alert",
            envelope.icmpv6([&[130, 0, 0, 0, 3, 0xe8, 0, 0][..], &[0; 16]].concat()),
        ),
    ]
}
