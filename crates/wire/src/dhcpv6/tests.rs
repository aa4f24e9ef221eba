use proptest::prelude::*;

use super::*;

const CLIENT: [u8; 8] = [0, 1, 0, 4, 0, 3, 0, 1];
const SERVER: [u8; 8] = [0, 2, 0, 4, 0, 4, 9, 9];
const IA: [u8; 16] = [0, 3, 0, 12, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 0];

#[test]
fn each_message_must_name_client_and_server_as_its_rule_says() {
    // Type, then the verdict without identifiers, with the client's, and with both.
    let (client, server, unwanted) = (
        Err(Discard::ClientId),
        Err(Discard::ServerId),
        Err(Discard::UnwantedServerId),
    );
    for (kind, none, only_client, both) in [
        (1, client, Ok(()), unwanted),
        (3, client, server, Ok(())),
        (4, client, Ok(()), unwanted),
        (5, client, server, Ok(())),
        (6, client, Ok(()), unwanted),
        (8, client, server, Ok(())),
        (9, client, server, Ok(())),
        (11, Ok(()), Ok(()), Ok(())),
    ] {
        check(kind, &[], none);
        check(kind, &[&CLIENT], only_client);
        check(kind, &[&CLIENT, &SERVER], both);
    }
}

#[test]
fn relays_and_servers_are_not_clients() {
    check(12, &[&CLIENT], Err(Discard::Relayed));
    check(13, &[&CLIENT], Err(Discard::Relayed));
    for kind in [0, 2, 7, 10, 14, 20, 255] {
        check(kind, &[&CLIENT], Err(Discard::NotForServers(kind)));
    }
}

#[test]
fn an_information_request_holds_no_identity_association() {
    check(11, &[&CLIENT, &IA], Err(Discard::UnwantedIa));
}

#[test]
fn an_identifier_appears_once() {
    check(1, &[&CLIENT, &CLIENT], Err(Discard::Repeated));
    check(3, &[&CLIENT, &SERVER, &SERVER], Err(Discard::Repeated));
}

#[test]
fn a_duid_has_3_to_130_bytes() {
    for (length, expected) in [
        (0_usize, Err(Discard::ClientId)),
        (2, Err(Discard::ClientId)),
        (3, Ok(())),
        (130, Ok(())),
        (131, Err(Discard::ClientId)),
    ] {
        let client = [&[0, 1, 0, length as u8], vec![7; length].as_slice()].concat();
        check(1, &[&client], expected);
    }
}

#[test]
fn an_option_beyond_the_end_is_malformed() {
    for tail in [&[0][..], &[0, 8, 0], &[0, 8, 0, 2, 1], &[0, 6, 0, 1, 0]] {
        check(1, &[&CLIENT, tail], Err(Discard::Malformed));
    }
    // An IA Address cut short inside an identity association that is whole.
    let ia = [
        0, 3, 0, 20, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 5, 0, 4, 1, 2, 3, 4,
    ];
    check(1, &[&CLIENT, &ia], Err(Discard::Malformed));
    // A Status Code shorter than its code.
    let ia = [0, 3, 0, 16, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 13, 0, 0];
    check(1, &[&CLIENT, &ia], Err(Discard::Malformed));
}

#[test]
fn nesting_costs_nothing_and_length_is_bounded() {
    // IA_TA in IA_TA, as deep as the bound allows.
    let mut nested = Vec::new();
    while nested.len() + 8 < MESSAGE_BYTES_MAX - 12 {
        let length = (nested.len() + 4) as u16;
        nested = [&[0, 4], &length.to_be_bytes()[..], &[0, 0, 0, 1], &nested].concat();
    }
    check(1, &[&CLIENT, &nested], Ok(()));
    let long = vec![0; MESSAGE_BYTES_MAX + 1];
    assert_eq!(parse(&long), Err(Discard::TooLong(MESSAGE_BYTES_MAX + 1)));
}

#[test]
fn the_order_of_identity_associations_is_kept() {
    let ia = |iaid| Ia {
        kind: IaKind::Na,
        iaid,
        addresses: vec![],
    };
    let iaids: Vec<u32> = (0..60).rev().collect();
    let message = ClientMessage::Rebind {
        asked: Asked {
            transaction: [1, 2, 3],
            client: Duid::new(&[0, 3, 1]).unwrap(),
            ias: iaids.iter().copied().map(ia).collect(),
            requested: vec![],
            reconfigure_accept: false,
        },
    };
    assert_eq!(parse(&message.emit()), Ok(message));
}

#[test]
fn names_are_never_compressed() {
    let mut answer = ServerMessage::new(ServerMessageKind::Reply, [0; 3], Duid::from_uuid([0; 16]));
    answer.dns_search = vec!["a.example.org".into(), "b.example.org".into()];
    let count = answer
        .emit()
        .windows(12)
        .filter(|window| window == b"\x07example\x03org")
        .count();
    assert_eq!(count, 2);
}

proptest! {
    #[test]
    fn what_a_client_emits_parses_to_the_same(message in any_client_message()) {
        prop_assert_eq!(parse(&message.emit()), Ok(message));
    }

    #[test]
    fn what_a_server_emits_parses_to_the_same(message in any_server_message()) {
        prop_assert_eq!(ServerMessage::parse(&message.emit()), Ok(message));
    }

    #[test]
    fn no_bytes_make_the_parsers_panic(
        kind in 0_u8..14,
        body in proptest::collection::vec(any::<u8>(), 0..300),
    ) {
        let message = [&[kind], body.as_slice()].concat();
        let _ = parse(&message);
        let _ = ServerMessage::parse(&message);
    }
}

fn check(kind: u8, options: &[&[u8]], expected: Result<(), Discard>) {
    let message = [&[kind, 1, 2, 3], options.concat().as_slice()].concat();
    assert_eq!(
        parse(&message).map(|_| ()),
        expected,
        "type {kind}, {options:?}"
    );
}

fn any_duid() -> impl Strategy<Value = Duid> {
    proptest::collection::vec(any::<u8>(), 3..=130).prop_map(|bytes| Duid::new(&bytes).unwrap())
}

fn any_address() -> impl Strategy<Value = IaAddress> {
    any::<(u128, u32, u32)>().prop_map(|(bits, preferred_lifetime_s, valid_lifetime_s)| IaAddress {
        address: Ipv6Addr::from_bits(bits),
        preferred_lifetime_s,
        valid_lifetime_s,
    })
}

fn any_kind() -> impl Strategy<Value = IaKind> {
    prop_oneof![Just(IaKind::Na), Just(IaKind::Ta), Just(IaKind::Pd)]
}

fn any_asked() -> impl Strategy<Value = Asked> {
    let addresses = proptest::collection::vec(any_address(), 0..4);
    let ia = (any_kind(), any::<u32>(), addresses).prop_map(|(kind, iaid, addresses)| Ia {
        kind,
        iaid,
        addresses,
    });
    let ias = proptest::collection::vec(ia, 0..4);
    let requested = proptest::collection::vec(any::<u16>(), 0..8);
    (any::<[u8; 3]>(), any_duid(), ias, requested, any::<bool>()).prop_map(
        |(transaction, client, ias, requested, reconfigure_accept)| Asked {
            transaction,
            client,
            ias,
            requested,
            reconfigure_accept,
        },
    )
}

fn any_client_message() -> impl Strategy<Value = ClientMessage> {
    (0..8, any_asked(), any_duid(), any::<bool>()).prop_map(
        |(kind, asked, server, flag)| match kind {
            0 => ClientMessage::Solicit {
                asked,
                rapid_commit: flag,
            },
            1 => ClientMessage::Request { asked, server },
            2 => ClientMessage::Confirm { asked },
            3 => ClientMessage::Renew { asked, server },
            4 => ClientMessage::Rebind { asked },
            5 => ClientMessage::Release { asked, server },
            6 => ClientMessage::Decline { asked, server },
            _ => ClientMessage::InformationRequest(InformationRequest {
                transaction: asked.transaction,
                client: flag.then_some(asked.client),
                server: (!flag).then_some(server),
                requested: asked.requested,
                reconfigure_accept: asked.reconfigure_accept,
            }),
        },
    )
}

fn any_status() -> impl Strategy<Value = Option<Status>> {
    proptest::option::of((any::<u16>(), "[ -~]{0,40}").prop_map(Status::from))
}

fn any_server_message() -> impl Strategy<Value = ServerMessage> {
    let addresses = proptest::collection::vec(any_address(), 0..4);
    let ia = (
        any_kind(),
        any::<(u32, u32, u32)>(),
        addresses,
        any_status(),
    )
        .prop_map(|(kind, (iaid, t1_s, t2_s), addresses, status)| IaReply {
            kind,
            iaid,
            t1_s: if kind == IaKind::Ta { 0 } else { t1_s },
            t2_s: if kind == IaKind::Ta { 0 } else { t2_s },
            addresses,
            status,
        });
    let names = proptest::collection::vec("[a-z]{1,20}(\\.[a-z0-9]{1,20}){0,3}", 0..4);
    let servers = proptest::collection::vec(any::<u128>().prop_map(Ipv6Addr::from_bits), 0..4);
    (
        (
            any::<bool>(),
            any::<[u8; 3]>(),
            proptest::option::of(any_duid()),
            any_duid(),
            any::<(bool, Option<([u8; 16], u64)>)>(),
        ),
        any::<(Option<u8>, bool, [Option<u32>; 3])>(),
        proptest::collection::vec(ia, 0..4),
        any_status(),
        servers,
        names,
    )
        .prop_map(|(head, fixed, ias, status, dns_servers, dns_search)| {
            let (is_reply, transaction, client, server, (reconfigure_accept, key)) = head;
            let reconfigure_key = key.map(|(key, replay)| GivenKey {
                key: ReconfigureKey::new(key),
                replay,
            });
            let (preference, rapid_commit, times) = fixed;
            let [information_refresh_time_s, sol_max_rt_s, inf_max_rt_s] = times;
            let kind = if is_reply {
                ServerMessageKind::Reply
            } else {
                ServerMessageKind::Advertise
            };
            ServerMessage {
                client,
                preference,
                rapid_commit,
                reconfigure_accept,
                reconfigure_key,
                ias,
                status,
                dns_servers,
                dns_search,
                information_refresh_time_s,
                sol_max_rt_s,
                inf_max_rt_s,
                ..ServerMessage::new(kind, transaction, server)
            }
        })
}
