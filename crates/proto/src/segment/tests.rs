use hextet_core::ids::{SubnetId, Vni};
use hextet_core::modes::{Ipv6Mode, Ipv6Modes};
use hextet_core::plan::SegmentPlan;
use uuid::Uuid;

use super::*;

const HOST: Mac = Mac([2, 0, 0, 0, 0, 0xaa]);

fn at(seconds: u64) -> Instant {
    use std::sync::OnceLock;
    static START: OnceLock<Instant> = OnceLock::new();
    #[allow(
        clippy::disallowed_methods,
        reason = "an origin; nothing depends on what it is"
    )]
    let start = *START.get_or_init(Instant::now);
    start + Duration::from_secs(seconds)
}

fn subnet(ra: Option<Ipv6Mode>, address: Option<Ipv6Mode>) -> SubnetPlan {
    let row = Ipv6Modes { ra, address }.row().unwrap();
    SubnetPlan {
        id: SubnetId(Uuid::from_u128(1)),
        vni: Vni(5),
        sequence: 1,
        cidr: "2001:db8::/64".parse().unwrap(),
        sender: row.sender,
        autonomous: false,
        managed: false,
        other: false,
        dhcpv6: None,
        solicit_without_address: row.solicit_without_address,
        dns_nameservers: Vec::new(),
        learned: row.learned,
        gateway_ip: None,
        segment: Some(SegmentPlan {
            expected: row.flags,
            dhcpv6: false,
        }),
    }
}

fn segment(subnets: Vec<SubnetPlan>) -> Segment {
    let rules = SegmentRules { mac: HOST, subnets };
    Segment::new(rules, at(0))
}

/// The advertisement of router number `n`.
fn advert(n: u8, lifetime_s: u16, managed: bool, other: bool, autonomous: Option<bool>) -> Vec<u8> {
    let mac = Mac([2, 0, 0, 0, 0, n]);
    let envelope = Envelope {
        mac_destination: multicast_mac(frame::ALL_NODES),
        mac_source: mac,
        source: mac.link_local(),
        destination: frame::ALL_NODES,
        hop_limit: HOP_LIMIT,
    };
    let prefix = autonomous.map(|autonomous| {
        NdOption::Prefix(PrefixInformation {
            prefix: "2001:db8::/64".parse().unwrap(),
            on_link: true,
            autonomous,
            valid_lifetime_s: 3600,
            preferred_lifetime_s: 1800,
        })
    });
    NdpMessage::RouterAdvert(RouterAdvert {
        managed,
        other,
        router_lifetime_s: lifetime_s,
        options: prefix.into_iter().collect(),
        ..RouterAdvert::default()
    })
    .emit(&envelope)
}

#[test]
fn routers_are_asked_three_times_and_no_more_once_one_was_heard() {
    let mut silent = segment(Vec::new());
    let mut asked = 0;
    for second in 0..60 {
        while let Some(frame) = silent.poll_transmit(at(second)) {
            let packet = frame::parse(&frame).unwrap();
            assert!(packet.envelope.source.is_unspecified());
            assert_eq!(packet.envelope.mac_source, HOST);
            let solicit = ndp::parse(&packet).unwrap();
            assert_eq!(solicit, NdpMessage::RouterSolicit(RouterSolicit::default()));
            asked += 1;
        }
    }
    assert_eq!(asked, 3);
    assert_eq!(silent.poll_timeout(), None);
    let mut heard = segment(Vec::new());
    assert!(heard.poll_transmit(at(0)).is_some());
    heard.handle_frame(&advert(1, 1800, false, false, None), at(1));
    assert!(heard.poll_transmit(at(4)).is_none());
}

#[test]
fn a_router_is_known_until_it_says_farewell_or_its_lifetime_is_over() {
    let mut segment = segment(Vec::new());
    segment.handle_frame(&advert(1, 1800, false, false, None), at(1));
    let seen = segment.poll_seen(at(1)).unwrap();
    let router = seen.routers().next().unwrap();
    assert_eq!(router.mac, Mac([2, 0, 0, 0, 0, 1]));
    assert_eq!(segment.poll_seen(at(2)), None, "nothing new");
    segment.handle_frame(&advert(1, 1800, false, false, None), at(600));
    assert_eq!(segment.poll_seen(at(2399)), None, "heard again meanwhile");
    assert_eq!(segment.poll_timeout().unwrap().0, at(2400));
    assert!(segment.poll_seen(at(2400)).unwrap().senders.is_empty());
    assert!(
        segment.poll_transmit(at(2400)).is_some(),
        "asked for others"
    );

    segment.handle_frame(&advert(1, 1800, false, false, None), at(3000));
    segment.poll_seen(at(3000)).unwrap();
    segment.handle_frame(&advert(1, 0, false, false, None), at(3100));
    assert_eq!(segment.poll_seen(at(3100)).unwrap().routers().count(), 0);
}

#[test]
fn a_second_sender_is_reported_with_what_it_says_and_no_longer_when_it_ends() {
    let mut segment = segment(vec![subnet(None, Some(Ipv6Mode::Slaac))]);
    segment.handle_frame(&advert(1, 1800, false, false, Some(true)), at(0));
    assert_eq!(
        segment.poll_seen(at(0)).unwrap().problems,
        Vec::<String>::new()
    );
    segment.handle_frame(&advert(2, 900, false, false, Some(true)), at(2));
    let seen = segment.poll_seen(at(2)).unwrap();
    assert_eq!(
        seen.problems,
        [
            "a further sender of Router Advertisements: fe80::ff:fe00:2 (02:00:00:00:00:02) with M=0 O=0, \
          lifetime 900 s, 2001:db8::/64 L=1 A=1"
        ]
    );
    assert_eq!(seen.routers().count(), 2);
    assert_eq!(
        seen.routers().next().unwrap().mac,
        Mac([2, 0, 0, 0, 0, 1]),
        "the longest known comes first"
    );
    segment.handle_frame(&advert(2, 0, false, false, None), at(4));
    assert_eq!(
        segment.poll_seen(at(4)).unwrap().problems,
        Vec::<String>::new()
    );
}

/// Modes, what the router says (M, O, A), and whether that contradicts them.
#[test]
fn flags_that_contradict_the_modes_are_reported_and_others_are_not() {
    let (slaac, stateful) = (Some(Ipv6Mode::Slaac), Some(Ipv6Mode::Dhcpv6Stateful));
    let stateless = Some(Ipv6Mode::Dhcpv6Stateless);
    let rows = [
        (None, slaac, (false, false, Some(true)), 0),
        (None, slaac, (true, false, Some(true)), 1),
        (None, slaac, (false, true, Some(true)), 1),
        (None, slaac, (true, true, Some(false)), 2),
        (None, slaac, (false, false, None), 1),
        (None, stateful, (true, true, Some(false)), 0),
        (None, stateful, (true, true, None), 0),
        (None, stateful, (false, true, Some(true)), 2),
        (None, stateless, (false, true, Some(true)), 0),
        (None, stateless, (false, false, Some(true)), 1),
        // Anything may be.
        (None, None, (true, false, Some(true)), 0),
        // Ours to advertise: the router's flags reach no guest, but a prefix that says otherwise reaches hosts beside.
        (slaac, slaac, (true, true, None), 0),
        (slaac, slaac, (false, false, Some(true)), 0),
        (slaac, slaac, (false, false, Some(false)), 1),
        (stateful, stateful, (true, true, Some(true)), 1),
    ];
    for (ra, address, (managed, other, autonomous), expected) in rows {
        let mut segment = segment(vec![subnet(ra, address)]);
        segment.handle_frame(&advert(1, 1800, managed, other, autonomous), at(0));
        let problems = segment.poll_seen(at(0)).unwrap().problems;
        assert_eq!(
            problems.len(),
            expected,
            "{ra:?} {address:?} M={managed} O={other} A={autonomous:?}: {problems:?}"
        );
    }
}

#[test]
fn changes_are_told_once_a_second_whatever_the_segment_says() {
    let mut segment = segment(Vec::new());
    segment.handle_frame(&advert(1, 1800, false, false, None), at(10));
    assert!(segment.poll_seen(at(10)).is_some());
    segment.handle_frame(&advert(1, 1800, true, false, None), at(10));
    assert_eq!(segment.poll_seen(at(10)), None);
    assert_eq!(
        segment.poll_timeout().unwrap(),
        (at(11), "change of a segment")
    );
    assert!(segment.poll_seen(at(11)).unwrap().senders[0].managed);
}

#[test]
fn senders_beyond_the_bound_and_nonsense_are_counted_only() {
    let mut segment = segment(Vec::new());
    for n in 0..=SENDERS_MAX as u8 {
        segment.handle_frame(&advert(n, 1800, false, false, None), at(0));
    }
    assert_eq!(segment.poll_seen(at(0)).unwrap().senders.len(), SENDERS_MAX);
    segment.handle_frame(&advert(1, 1800, false, false, None)[..50], at(0));
    assert_eq!((segment.uncounted, segment.invalid), (1, 1));
}

#[test]
fn an_address_is_asked_for_in_the_hosts_name_and_few_at_once() {
    let mut segment = segment(Vec::new());
    let address: Ipv6Addr = "2001:db8::7".parse().unwrap();
    for _ in 0..TRANSMITS_MAX {
        assert!(segment.handle_question(address));
    }
    assert!(!segment.handle_question(address));
    let frames: Vec<_> = std::iter::from_fn(|| segment.poll_transmit(at(0))).collect();
    assert_eq!(frames.len(), TRANSMITS_MAX + 1, "and a router solicitation");
    let packet = frame::parse(&frames[0]).unwrap();
    assert!(packet.envelope.source.is_unspecified());
    assert_eq!(packet.envelope.destination, solicited_node(address));
    assert_eq!(packet.envelope.mac_source, HOST);
    assert!(matches!(
        ndp::parse(&packet).unwrap(),
        NdpMessage::NeighborSolicit(solicit) if solicit.target == address
    ));
}
