use hextet_core::mac::Mac;
use ipnet::Ipv6Net;
use proptest::prelude::*;

use super::*;
use crate::frame::{ALL_NODES, ALL_ROUTERS, FrameError, parse as parse_frame, solicited_node};

const GUEST: Mac = Mac([0xfa, 0x16, 0x3e, 0x11, 0x22, 0x33]);

#[test]
fn a_hop_limit_other_than_255_is_refused() {
    for hop_limit in [0, 1, 64, 254] {
        let envelope = Envelope {
            hop_limit,
            ..to(ALL_ROUTERS)
        };
        check(
            &solicit().emit(&envelope),
            Err(NdpError::HopLimit(hop_limit)),
        );
    }
}

#[test]
fn a_wrong_checksum_is_refused() {
    let frame = solicit().emit(&to(ALL_ROUTERS));
    for at in [56, 57, 58, frame.len() - 1] {
        let mut frame = frame.clone();
        frame[at] ^= 0x10;
        check(&frame, Err(NdpError::Checksum));
    }
}

#[test]
fn a_code_other_than_0_is_refused() {
    check(
        &to(ALL_ROUTERS).icmpv6(vec![133, 1, 0, 0, 0, 0, 0, 0]),
        Err(NdpError::Code(1)),
    );
}

#[test]
fn an_option_of_length_0_is_refused() {
    let message = vec![133, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0];
    let error = NdpError::Option(OptionError::Length(1));
    check(&to(ALL_ROUTERS).icmpv6(message), Err(error));
}

#[test]
fn an_option_beyond_the_end_is_refused() {
    for tail in [&[1][..], &[1, 1, 0, 0][..], &[1, 2, 0, 0, 0, 0, 0, 0][..]] {
        let message = [&[133, 0, 0, 0, 0, 0, 0, 0], tail].concat();
        let error = NdpError::Option(OptionError::Length(1));
        check(&to(ALL_ROUTERS).icmpv6(message), Err(error));
    }
}

#[test]
fn a_message_from_nobody_names_no_link_layer_address() {
    let envelope = Envelope {
        source: Ipv6Addr::UNSPECIFIED,
        ..to(ALL_ROUTERS)
    };
    check(
        &solicit().emit(&envelope),
        Err(NdpError::UnspecifiedWithLinkLayer),
    );
}

#[test]
fn a_probe_goes_to_the_solicited_node_group() {
    let target: Ipv6Addr = "fe80::1".parse().unwrap();
    let probe = |destination| {
        let envelope = Envelope {
            source: Ipv6Addr::UNSPECIFIED,
            ..to(destination)
        };
        neighbor_solicit(target, vec![]).emit(&envelope)
    };
    check(
        &probe(solicited_node(target)),
        Ok(neighbor_solicit(target, vec![])),
    );
    check(
        &probe(ALL_NODES),
        Err(NdpError::ProbeDestination(ALL_NODES)),
    );
    check(&probe(target), Err(NdpError::ProbeDestination(target)));
}

#[test]
fn a_target_is_a_single_node() {
    for target in [Ipv6Addr::UNSPECIFIED, ALL_NODES] {
        let frame = neighbor_solicit(target, vec![]).emit(&to(ALL_NODES));
        check(&frame, Err(NdpError::Target(target)));
    }
}

#[test]
fn a_multicast_advertisement_is_not_solicited() {
    let advert = |solicited| {
        NdpMessage::NeighborAdvert(NeighborAdvert {
            router: false,
            solicited,
            r#override: true,
            target: GUEST.link_local(),
            options: vec![NdOption::TargetLinkLayer(GUEST)],
        })
    };
    check(
        &advert(true).emit(&to(ALL_NODES)),
        Err(NdpError::SolicitedToGroup),
    );
    check(&advert(false).emit(&to(ALL_NODES)), Ok(advert(false)));
}

#[test]
fn a_router_advertisement_comes_from_a_link_local_address() {
    let source: Ipv6Addr = "2001:db8::1".parse().unwrap();
    let envelope = Envelope {
        source,
        ..to(ALL_NODES)
    };
    let frame = NdpMessage::RouterAdvert(RouterAdvert::default()).emit(&envelope);
    check(&frame, Err(NdpError::AdvertSource(source)));
}

#[test]
fn other_icmpv6_is_not_neighbor_discovery() {
    for kind in [128, 130, 131, 132, 137, 143] {
        let mut message = vec![0; 40];
        message[0] = kind;
        check(&to(ALL_ROUTERS).icmpv6(message), Err(NdpError::NotNdp));
    }
}

#[test]
fn every_truncated_message_is_refused() {
    let message = neighbor_solicit(GUEST.link_local(), vec![NdOption::SourceLinkLayer(GUEST)]);
    let whole = message.emit(&to(ALL_NODES));
    let upper = &whole[54..];
    for length in 1..upper.len() {
        // The message without its option is whole again.
        if length == 24 {
            continue;
        }
        let frame = to(ALL_NODES).icmpv6({
            let mut short = upper[..length].to_vec();
            short.resize(length.max(4), 0);
            short
        });
        let packet = parse_frame(&frame).unwrap();
        assert!(parse(&packet).is_err(), "{length} bytes");
    }
}

#[test]
fn neighbor_discovery_in_a_fragment_is_refused_by_the_frame() {
    let whole = solicit().emit(&to(ALL_ROUTERS));
    let mut atomic = whole[..54].to_vec();
    atomic[20] = 44;
    atomic[18..20].copy_from_slice(&((whole.len() - 54 + 8) as u16).to_be_bytes());
    atomic.extend_from_slice(&[58, 0, 0, 0, 0, 0, 0, 1]);
    atomic.extend_from_slice(&whole[54..]);
    assert_eq!(parse_frame(&atomic), Err(FrameError::Fragment));
}

proptest! {
    #[test]
    fn what_is_emitted_parses_to_the_same(message in any_message()) {
        let destination = match &message {
            NdpMessage::NeighborAdvert(advert) if advert.solicited => GUEST.link_local(),
            _ => ALL_NODES,
        };
        let frame = message.emit(&to(destination));
        let packet = parse_frame(&frame).unwrap();
        prop_assert_eq!(parse(&packet), Ok(message));
    }

    #[test]
    fn no_bytes_make_the_parser_panic(
        kind in 133_u8..=136,
        body in proptest::collection::vec(any::<u8>(), 0..200),
    ) {
        let frame = to(ALL_NODES).icmpv6([&[kind, 0, 0, 0], body.as_slice()].concat());
        let packet = parse_frame(&frame).unwrap();
        let _ = parse(&packet);
    }
}

fn check(frame: &[u8], expected: Result<NdpMessage, NdpError>) {
    let packet = parse_frame(frame).unwrap();
    assert_eq!(parse(&packet), expected);
}

fn to(destination: Ipv6Addr) -> Envelope {
    Envelope {
        mac_destination: Mac([0x33, 0x33, 0, 0, 0, 1]),
        mac_source: GUEST,
        source: GUEST.link_local(),
        destination,
        hop_limit: HOP_LIMIT,
    }
}

fn solicit() -> NdpMessage {
    NdpMessage::RouterSolicit(RouterSolicit {
        options: vec![NdOption::SourceLinkLayer(GUEST)],
    })
}

fn neighbor_solicit(target: Ipv6Addr, options: Vec<NdOption>) -> NdpMessage {
    NdpMessage::NeighborSolicit(NeighborSolicit { target, options })
}

fn any_mac() -> impl Strategy<Value = Mac> {
    any::<[u8; 6]>().prop_map(Mac)
}

fn any_prefix(lengths: impl Strategy<Value = u8>) -> impl Strategy<Value = Ipv6Net> {
    (any::<u128>(), lengths).prop_map(|(bits, length)| {
        Ipv6Net::new(Ipv6Addr::from_bits(bits), length)
            .unwrap()
            .trunc()
    })
}

fn any_unicast() -> impl Strategy<Value = Ipv6Addr> {
    any::<u64>().prop_map(|low| Ipv6Addr::from_bits((0x2001_0db8_u128 << 96) | u128::from(low)))
}

fn any_option() -> impl Strategy<Value = NdOption> {
    let domain =
        proptest::string::string_regex("[a-z]([a-z0-9-]{0,20}[a-z0-9])?(\\.[a-z]{1,10}){0,3}");
    prop_oneof![
        any_mac().prop_map(NdOption::SourceLinkLayer),
        any_mac().prop_map(NdOption::TargetLinkLayer),
        any::<u32>().prop_map(NdOption::Mtu),
        (
            any_prefix(0_u8..=128),
            any::<bool>(),
            any::<bool>(),
            any::<u32>(),
            any::<u32>()
        )
            .prop_map(
                |(prefix, on_link, autonomous, valid_lifetime_s, preferred_lifetime_s)| {
                    NdOption::Prefix(PrefixInformation {
                        prefix,
                        on_link,
                        autonomous,
                        valid_lifetime_s,
                        preferred_lifetime_s,
                    })
                }
            ),
        (any_prefix(0_u8..=128), 0..3, any::<u32>()).prop_map(
            |(prefix, preference, lifetime_s)| {
                let all = [Preference::Low, Preference::Medium, Preference::High];
                let preference = all[preference as usize];
                NdOption::Route(RouteInformation {
                    prefix,
                    preference,
                    lifetime_s,
                })
            }
        ),
        (any::<u32>(), proptest::collection::vec(any_unicast(), 1..5)).prop_map(
            |(lifetime_s, servers)| NdOption::Rdnss {
                lifetime_s,
                servers
            }
        ),
        (
            any::<u32>(),
            proptest::collection::vec(domain.unwrap(), 1..5)
        )
            .prop_map(|(lifetime_s, domains)| NdOption::Dnssl {
                lifetime_s,
                domains
            }),
        (any_prefix(Just(96)), 0_u16..8192).prop_map(|(prefix, scaled_lifetime)| {
            NdOption::Pref64(Pref64 {
                prefix,
                scaled_lifetime,
            })
        }),
        (39_u8..=250, 0_usize..4, any::<u8>()).prop_map(|(kind, units, byte)| NdOption::Unknown {
            kind,
            body: vec![byte; units * 8 + 6],
        }),
    ]
}

fn any_message() -> impl Strategy<Value = NdpMessage> {
    let options = || proptest::collection::vec(any_option(), 0..6);
    prop_oneof![
        options().prop_map(|options| NdpMessage::RouterSolicit(RouterSolicit { options })),
        (any::<(u8, bool, bool, u16, u32, u32)>(), options()).prop_map(|(fixed, options)| {
            let (cur_hop_limit, managed, other, router_lifetime_s, reachable, retrans) = fixed;
            NdpMessage::RouterAdvert(RouterAdvert {
                cur_hop_limit,
                managed,
                other,
                router_lifetime_s,
                reachable_time_ms: reachable,
                retrans_timer_ms: retrans,
                options,
            })
        }),
        (any_unicast(), options()).prop_map(|(target, options)| neighbor_solicit(target, options)),
        (any_unicast(), any::<(bool, bool, bool)>(), options()).prop_map(
            |(target, (router, solicited, r#override), options)| {
                NdpMessage::NeighborAdvert(NeighborAdvert {
                    router,
                    solicited,
                    r#override,
                    target,
                    options,
                })
            }
        ),
    ]
}
