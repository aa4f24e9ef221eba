use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use dhcproto::v4::{self, DhcpOption, OptionCode};
use dhcproto::{Decodable, Decoder};
use ipnet::Ipv4Net;
use proptest::prelude::*;

use super::*;

const NONE: Ipv4Addr = Ipv4Addr::UNSPECIFIED;
const OURS: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 5);
const SERVER: Ipv4Addr = Ipv4Addr::new(169, 254, 169, 254);

#[test]
fn a_request_says_by_its_addresses_in_which_state_the_client_is() {
    let state = Err(Discard::State);
    // Message type, whether there are a server identifier and a requested address, ciaddr, and the question.
    for (kind, server, wanted, ciaddr, expected) in [
        (
            1,
            false,
            false,
            NONE,
            Ok(Question::Discover {
                wanted: NONE,
                rapid_commit: false,
            }),
        ),
        (
            1,
            false,
            true,
            NONE,
            Ok(Question::Discover {
                wanted: OURS,
                rapid_commit: false,
            }),
        ),
        (
            3,
            true,
            true,
            NONE,
            Ok(Question::Select {
                server: SERVER,
                wanted: OURS,
            }),
        ),
        (3, false, true, NONE, Ok(Question::Reboot { wanted: OURS })),
        (3, false, false, OURS, Ok(Question::Extend)),
        (3, false, false, NONE, state),
        (3, true, false, NONE, state),
        (3, true, false, OURS, state),
        (3, true, true, OURS, state),
        (3, false, true, OURS, state),
        (
            4,
            true,
            true,
            NONE,
            Ok(Question::Decline {
                server: SERVER,
                address: OURS,
            }),
        ),
        (4, false, true, NONE, state),
        (4, true, false, NONE, state),
        (
            7,
            true,
            false,
            OURS,
            Ok(Question::Release { server: SERVER }),
        ),
        (7, true, false, NONE, state),
        (7, false, false, OURS, state),
        (8, false, false, OURS, Ok(Question::Inform)),
        (8, false, false, NONE, state),
    ] {
        let mut options = vec![53, 1, kind];
        if server {
            options.extend_from_slice(&[54, 4, 169, 254, 169, 254]);
        }
        if wanted {
            options.extend_from_slice(&[50, 4, 10, 0, 0, 5]);
        }
        let mut message = message(&options);
        message[12..16].copy_from_slice(&ciaddr.octets());
        let question = parse(&message).map(|message| message.question);
        assert_eq!(
            question, expected,
            "type {kind}, {server}, {wanted}, {ciaddr}"
        );
    }
}

#[test]
fn what_is_not_a_clients_is_discarded_by_its_rule() {
    check(
        &[53, 1, 1],
        |message| message[0] = 2,
        Discard::NotARequest(2),
    );
    check(&[53, 1, 1], |message| message[24] = 10, Discard::Relayed);
    check(&[53, 1, 1, 82, 2, 1, 0], |_| {}, Discard::Relayed);
    check(&[], |_| {}, Discard::Bootp);
    check(&[53, 1, 1], |message| message[236] = 0, Discard::Malformed);
    check(&[53, 1, 1], |message| message[2] = 17, Discard::Malformed);
    for kind in [0, 2, 5, 6, 9, 10, 13, 255] {
        check(&[53, 1, kind], |_| {}, Discard::NotForServers(kind));
    }
    check(
        &[53, 1, 1],
        |message| message.resize(MESSAGE_BYTES_MAX + 1, 0),
        Discard::TooLong(MESSAGE_BYTES_MAX + 1),
    );
}

#[test]
fn an_option_beyond_its_field_or_of_a_wrong_length_is_malformed() {
    for tail in [
        &[53][..],
        &[53, 1],
        &[53, 2, 1, 1],
        &[53, 1, 1, 12],
        &[53, 1, 1, 12, 5, b'a'],
        &[53, 1, 3, 50, 3, 10, 0, 0],
        &[53, 1, 3, 50, 4, 10, 0, 0, 5, 50, 4, 10, 0, 0, 6],
        &[53, 1, 1, 57, 1, 2],
        &[53, 1, 1, 52, 1, 4],
        &[53, 1, 1, 52, 2, 1, 1],
    ] {
        let mut message = message(&[]);
        message.truncate(FIXED_BYTES);
        message.extend_from_slice(tail);
        assert_eq!(parse(&message), Err(Discard::Malformed), "{tail:?}");
    }
    for length in 0..FIXED_BYTES {
        assert_eq!(parse(&vec![1; length]), Err(Discard::Malformed));
    }
}

#[test]
fn options_in_file_and_sname_are_read_in_the_order_of_rfc_3396() {
    let mut message = message(&[53, 1, 1, 61, 2, 1, 2, 52, 1, 3]);
    message[108..113].copy_from_slice(&[61, 2, 3, 4, 255]);
    message[44..49].copy_from_slice(&[61, 2, 5, 6, 255]);
    let parsed = parse(&message).unwrap();
    assert_eq!(parsed.header.client_id, [1, 2, 3, 4, 5, 6]);
    // Garbage there is nobody's business without the option that names the fields.
    let mut plain = self::message(&[53, 1, 1]);
    plain[44..236].fill(77);
    assert!(parse(&plain).is_ok());
}

#[test]
fn the_packet_size_is_never_below_what_every_client_takes() {
    for (option, expected) in [([0, 0], 576), ([2, 63], 576), ([5, 220], 1500)] {
        let message = message(&[53, 1, 1, 57, 2, option[0], option[1]]);
        assert_eq!(parse(&message).unwrap().header.packet_bytes_max, expected);
    }
}

#[test]
fn classless_routes_are_those_of_rfc_3442() {
    let mut answer = answer();
    for (destination, bytes) in [
        ("0.0.0.0/0", &[0][..]),
        ("10.0.0.0/8", &[8, 10]),
        ("10.0.0.0/24", &[24, 10, 0, 0]),
        ("10.17.0.0/16", &[16, 10, 17]),
        ("10.27.129.0/24", &[24, 10, 27, 129]),
        ("10.229.0.128/25", &[25, 10, 229, 0, 128]),
        ("10.198.122.47/32", &[32, 10, 198, 122, 47]),
    ] {
        answer.routes = vec![route(destination, "10.0.0.1")];
        let (message, _) = answer.emit(1500, &[]);
        let wanted = [&[121, bytes.len() as u8 + 4], bytes, &[10, 0, 0, 1]].concat();
        assert!(contains(&message, &wanted), "{destination}");
    }
}

#[test]
fn windows_number_of_the_routes_is_sent_to_who_asks_for_it() {
    let mut answer = answer();
    answer.routes = vec![route("10.8.0.0/16", "10.0.0.9")];
    let option = [249, 7, 16, 10, 8, 10, 0, 0, 9];
    assert!(!contains(&answer.emit(1500, &[121]).0, &option));
    assert!(contains(&answer.emit(1500, &[249]).0, &option));
}

#[test]
fn a_search_list_is_compressed_and_read_with_its_pointers() {
    let mut answer = answer();
    let names = [
        "a.b.example.org",
        "b.example.org",
        "example.org",
        "example.net",
    ];
    answer.dns_search = names.map(str::to_owned).to_vec();
    let (message, _) = answer.emit(1500, &[]);
    let list = b"\x77\x22\x01a\x01b\x07example\x03org\0\xc0\x02\xc0\x04\x07example\x03net\0";
    assert!(contains(&message, list));
    assert_eq!(ServerMessage::parse(&message).unwrap().dns_search, names);
    for endless in [
        &[0xc0, 0][..],
        &[1, 97, 0xc0, 0],
        &[1, 97, 0xc0, 2],
        &[0xc0],
        &[1, 97],
    ] {
        let head = [
            &[53, 1, 5, 54, 4, 1, 1, 1, 1, 119, endless.len() as u8],
            endless,
        ]
        .concat();
        let mut message = self::message(&head);
        message[0] = 2;
        assert!(ServerMessage::parse(&message).is_err(), "{endless:?}");
    }
}

#[test]
fn extra_options_take_the_place_of_others_and_an_empty_one_of_nothing() {
    let mut answer = answer();
    answer.routes = vec![route("10.8.0.0/16", "10.0.0.9")];
    answer.extra = [
        (code::DNS_SERVERS, vec![192, 0, 2, 99]),
        (code::ROUTER, Vec::new()),
        (code::CLASSLESS_ROUTES, vec![0, 10, 0, 0, 7]),
        (42, vec![192, 0, 2, 123]),
    ]
    .into();
    let asked = [code::CLASSLESS_ROUTES_MICROSOFT];
    let parsed = ServerMessage::parse(&answer.emit(1500, &asked).0).unwrap();
    assert_eq!(parsed.dns_servers, [Ipv4Addr::new(192, 0, 2, 99)]);
    assert_eq!(parsed.router, None);
    assert_eq!(parsed.routes, [route("0.0.0.0/0", "10.0.0.7")]);
    assert_eq!(parsed.extra, [(42, vec![192, 0, 2, 123])].into());
    answer.extra.insert(code::CLASSLESS_ROUTES, Vec::new());
    let parsed = ServerMessage::parse(&answer.emit(1500, &asked).0).unwrap();
    assert!(parsed.routes.is_empty() && !parsed.extra.contains_key(&249));
}

#[test]
fn a_host_name_and_ipv6_only_are_for_who_asks() {
    let mut answer = answer();
    answer.host_name = "host-10-0-0-5".to_owned();
    answer.extra = [(code::IPV6_ONLY_PREFERRED, vec![0, 0, 7, 8])].into();
    let parsed = ServerMessage::parse(&answer.emit(1500, &[]).0).unwrap();
    assert!(parsed.host_name.is_empty() && parsed.extra.is_empty());
    let asked = [code::HOST_NAME, code::IPV6_ONLY_PREFERRED];
    let parsed = ServerMessage::parse(&answer.emit(1500, &asked).0).unwrap();
    assert_eq!(parsed, answer);
}

#[test]
fn boot_fields_are_kept_from_options_unless_the_client_reads_them_elsewhere() {
    let mut answer = long_answer();
    answer.boot = Boot {
        server: SERVER,
        server_name: b"boot.example.org".to_vec(),
        file: b"pxelinux.0".to_vec(),
    };
    answer.extra = [
        (code::TFTP_SERVER, answer.boot.server_name.clone()),
        (code::BOOT_FILE, answer.boot.file.clone()),
    ]
    .into();
    let (message, left_out) = answer.emit(1500, &[]);
    assert_eq!(
        (ServerMessage::parse(&message), left_out),
        (Ok(answer.clone()), 0)
    );
    assert_eq!(message[20..24], SERVER.octets());
    let (message, left_out) = answer.emit(PACKET_BYTES_MIN, &[]);
    let parsed = ServerMessage::parse(&message).unwrap();
    assert_eq!(parsed.boot, answer.boot);
    assert!(left_out > 0);
    let asked = [code::TFTP_SERVER, code::BOOT_FILE];
    let (message, left_out) = answer.emit(PACKET_BYTES_MIN, &asked);
    let parsed = ServerMessage::parse(&message).unwrap();
    assert_eq!((parsed.extra, left_out), (answer.extra.clone(), 0));
    assert_eq!((parsed.boot.server, parsed.boot.file.len()), (SERVER, 0));
    // What has no room in its field is an option alone.
    answer.boot.file = vec![b'x'; 128];
    let (message, _) = answer.emit(1500, &[]);
    assert_eq!(message[108..236], [0; 128]);
}

#[test]
fn an_answer_has_at_least_300_bytes_and_no_more_than_the_client_takes() {
    let refusal = ServerMessage::new(ServerMessageKind::Nak, &header(), SERVER);
    let (message, left_out) = refusal.emit(PACKET_BYTES_MIN, &[]);
    assert_eq!((message.len(), left_out), (300, 0));
    assert_eq!(ServerMessage::parse(&message), Ok(refusal));
    let (message, left_out) = long_answer().emit(PACKET_BYTES_MIN, &[]);
    assert_eq!((message.len() <= 548, left_out), (true, 0));
    assert_eq!(
        ServerMessage::parse(&message),
        Ok(long_answer()),
        "nothing is lost"
    );
    let (message, left_out) = long_answer().emit(1500, &[]);
    assert_eq!(
        (message[44], message[108], left_out),
        (0, 0, 0),
        "no field is overloaded without need"
    );
    assert_eq!(ServerMessage::parse(&message), Ok(long_answer()));
}

#[test]
fn what_has_no_room_is_left_out_whole_and_what_was_asked_for_stays() {
    let mut answer = long_answer();
    let names = (0..30).map(|at| format!("a-rather-long-name-{at}.example.org"));
    answer.dns_search = names.collect();
    let (message, left_out) = answer.emit(
        PACKET_BYTES_MIN,
        &[code::CLASSLESS_ROUTES, code::DNS_SERVERS],
    );
    assert!(message.len() <= 548 && left_out == 1, "{left_out}");
    let parsed = ServerMessage::parse(&message).unwrap();
    assert_eq!(parsed.routes, answer.routes);
    assert_eq!(parsed.dns_servers, answer.dns_servers);
    assert!(parsed.dns_search.is_empty());
}

#[test]
fn another_decoder_reads_our_answers_alike() {
    let answer = ServerMessage {
        rapid_commit: true,
        ..answer()
    };
    let (message, _) = answer.emit(1500, &[]);
    let decoded = v4::Message::decode(&mut Decoder::new(&message)).unwrap();
    assert_eq!(decoded.opcode(), v4::Opcode::BootReply);
    assert_eq!(
        (decoded.xid(), decoded.yiaddr()),
        (answer.transaction, OURS)
    );
    let options = decoded.opts();
    let is = |code, wanted: DhcpOption| assert_eq!(options.get(code), Some(&wanted));
    is(
        OptionCode::MessageType,
        DhcpOption::MessageType(v4::MessageType::Ack),
    );
    is(
        OptionCode::ServerIdentifier,
        DhcpOption::ServerIdentifier(SERVER),
    );
    is(
        OptionCode::AddressLeaseTime,
        DhcpOption::AddressLeaseTime(5400),
    );
    is(OptionCode::Renewal, DhcpOption::Renewal(2700));
    is(OptionCode::Rebinding, DhcpOption::Rebinding(4725));
    is(
        OptionCode::SubnetMask,
        DhcpOption::SubnetMask(Ipv4Addr::new(255, 255, 255, 0)),
    );
    is(
        OptionCode::BroadcastAddr,
        DhcpOption::BroadcastAddr(Ipv4Addr::new(10, 0, 0, 255)),
    );
    is(
        OptionCode::Router,
        DhcpOption::Router(vec![Ipv4Addr::new(10, 0, 0, 1)]),
    );
    is(OptionCode::InterfaceMtu, DhcpOption::InterfaceMtu(1430));
    is(
        OptionCode::DomainNameServer,
        DhcpOption::DomainNameServer(answer.dns_servers.clone()),
    );
    is(
        OptionCode::DomainName,
        DhcpOption::DomainName("example.org".to_owned()),
    );
    is(
        OptionCode::ClientIdentifier,
        DhcpOption::ClientIdentifier(vec![1, 2, 3]),
    );
    is(OptionCode::RapidCommit, DhcpOption::RapidCommit);
}

#[test]
fn we_read_another_encoders_messages_alike() {
    use dhcproto::{Encodable, Encoder};
    let mut message = v4::Message::default();
    message.set_flags(v4::Flags::default().set_broadcast());
    message.set_xid(7);
    let options = message.opts_mut();
    options.insert(DhcpOption::MessageType(v4::MessageType::Request));
    options.insert(DhcpOption::RequestedIpAddress(OURS));
    options.insert(DhcpOption::ServerIdentifier(SERVER));
    options.insert(DhcpOption::ClientIdentifier(vec![0; 200]));
    options.insert(DhcpOption::MaxMessageSize(1432));
    let mut bytes = Vec::new();
    message.encode(&mut Encoder::new(&mut bytes)).unwrap();
    let parsed = parse(&bytes).unwrap();
    assert_eq!(
        parsed.question,
        Question::Select {
            server: SERVER,
            wanted: OURS
        }
    );
    assert_eq!(
        (parsed.header.transaction, parsed.header.broadcast),
        (7, true)
    );
    assert_eq!(
        (
            parsed.header.client_id.len(),
            parsed.header.packet_bytes_max
        ),
        (200, 1432)
    );
}

proptest! {
    #[test]
    fn what_a_client_emits_parses_to_the_same(message in any_client_message()) {
        prop_assert_eq!(parse(&message.emit()), Ok(message));
    }

    #[test]
    fn what_a_server_emits_parses_to_the_same_where_it_has_room(message in any_server_message()) {
        let (bytes, left_out) = message.emit(9000, &[]);
        prop_assert_eq!(left_out, 0);
        prop_assert_eq!(ServerMessage::parse(&bytes), Ok(message));
    }

    #[test]
    fn no_answer_is_longer_than_the_client_takes(message in any_server_message(), most in 576_u16..1500) {
        let (bytes, left_out) = message.emit(most, &[]);
        prop_assert!(bytes.len() + 28 <= usize::from(most));
        let parsed = ServerMessage::parse(&bytes);
        prop_assert!(parsed.is_ok());
        prop_assert!(left_out > 0 || parsed == Ok(message));
    }

    #[test]
    fn no_bytes_make_the_parsers_panic(
        op in 1_u8..3,
        options in proptest::collection::vec(any::<u8>(), 0..300),
        fields in proptest::collection::vec(any::<u8>(), 192),
        overload in 0_u8..5,
    ) {
        let mut message = message(&[&[52, 1, overload], options.as_slice()].concat());
        message[0] = op;
        message[44..236].copy_from_slice(&fields);
        let _ = parse(&message);
        let _ = ServerMessage::parse(&message);
        let _ = ServerMessage::parse(&options);
    }
}

/// A request with these options.
fn message(options: &[u8]) -> Vec<u8> {
    let mut message = vec![0; FIXED_BYTES];
    message[..3].copy_from_slice(&[1, 1, 6]);
    message[236..].copy_from_slice(&[99, 130, 83, 99]);
    message.extend_from_slice(options);
    message.push(code::END);
    message
}

fn check(options: &[u8], spoil: fn(&mut Vec<u8>), expected: Discard) {
    let mut message = message(options);
    spoil(&mut message);
    assert_eq!(parse(&message), Err(expected), "{options:?}");
}

fn contains(message: &[u8], part: &[u8]) -> bool {
    message.windows(part.len()).any(|window| window == part)
}

fn route(destination: &str, router: &str) -> StaticRoute {
    StaticRoute {
        destination: destination.parse().unwrap(),
        router: router.parse().unwrap(),
    }
}

fn header() -> ClientHeader {
    ClientHeader {
        htype: 1,
        hlen: 6,
        transaction: 0x1234_5678,
        broadcast: false,
        ciaddr: NONE,
        chaddr: [2, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        client_id: vec![1, 2, 3],
        requested: vec![],
        packet_bytes_max: PACKET_BYTES_MIN,
    }
}

fn answer() -> ServerMessage {
    ServerMessage {
        yiaddr: OURS,
        lease: Some(Lease {
            lease_time_s: 5400,
            renewal_time_s: 2700,
            rebinding_time_s: 4725,
        }),
        subnet: Some("10.0.0.0/24".parse().unwrap()),
        router: Some(Ipv4Addr::new(10, 0, 0, 1)),
        dns_servers: vec![Ipv4Addr::new(192, 0, 2, 53)],
        mtu: Some(1430),
        dns_search: vec!["example.org".to_owned()],
        ..ServerMessage::new(ServerMessageKind::Ack, &header(), SERVER)
    }
}

/// With more than fits into the options' own field of a small client.
fn long_answer() -> ServerMessage {
    let routes = (0..34).map(|at| route(&format!("10.{at}.0.0/24"), "10.0.0.9"));
    let servers = (1..=5).map(|at| Ipv4Addr::new(192, 0, 2, at));
    ServerMessage {
        routes: routes.collect(),
        dns_servers: servers.collect(),
        ..answer()
    }
}

fn any_address() -> impl Strategy<Value = Ipv4Addr> {
    (1_u32..).prop_map(Ipv4Addr::from_bits)
}

fn any_header() -> impl Strategy<Value = ClientHeader> {
    (
        (
            any::<u8>(),
            0_u8..=16,
            any::<u32>(),
            any::<bool>(),
            any::<[u8; 16]>(),
        ),
        proptest::collection::vec(any::<u8>(), 0..300),
        proptest::collection::vec(any::<u8>(), 0..40),
        PACKET_BYTES_MIN..,
    )
        .prop_map(|(fixed, client_id, requested, packet_bytes_max)| {
            let (htype, hlen, transaction, broadcast, chaddr) = fixed;
            ClientHeader {
                htype,
                hlen,
                transaction,
                broadcast,
                ciaddr: NONE,
                chaddr,
                client_id,
                requested,
                packet_bytes_max,
            }
        })
}

fn any_client_message() -> impl Strategy<Value = ClientMessage> {
    (
        any_header(),
        0..7,
        any_address(),
        any_address(),
        any::<bool>(),
    )
        .prop_map(|(mut header, kind, server, address, flag)| {
            let question = match kind {
                0 => Question::Discover {
                    wanted: if flag { address } else { NONE },
                    rapid_commit: !flag,
                },
                1 => Question::Select {
                    server,
                    wanted: address,
                },
                2 => Question::Reboot { wanted: address },
                3 => Question::Extend,
                4 => Question::Decline { server, address },
                5 => Question::Release { server },
                _ => Question::Inform,
            };
            if matches!(
                question,
                Question::Extend | Question::Release { .. } | Question::Inform
            ) {
                header.ciaddr = address;
            }
            ClientMessage { header, question }
        })
}

fn any_server_message() -> impl Strategy<Value = ServerMessage> {
    let routes = proptest::collection::vec((any_address(), 0_u8..=32, any_address()), 0..60);
    let names = proptest::collection::vec("[a-z]{1,20}(\\.[a-z0-9]{1,20}){0,3}", 0..8);
    let servers = proptest::collection::vec(any_address(), 0..8);
    let lease = proptest::option::of(any::<(u32, u32, u32)>());
    let subnet = (any_address(), 1_u8..=32);
    (
        any_header(),
        (any_address(), subnet),
        lease,
        routes,
        servers,
        names,
        any::<bool>(),
    )
        .prop_map(
            |(
                mut header,
                (server, (yiaddr, length)),
                lease,
                routes,
                dns_servers,
                dns_search,
                flag,
            )| {
                // The longest is told apart from what has no room.
                header.client_id.truncate(60);
                ServerMessage {
                    yiaddr,
                    lease: lease.map(|(lease_time_s, renewal_time_s, rebinding_time_s)| Lease {
                        lease_time_s,
                        renewal_time_s,
                        rebinding_time_s,
                    }),
                    rapid_commit: flag,
                    subnet: Some(Ipv4Net::new(yiaddr, length).unwrap().trunc()),
                    router: flag.then_some(server),
                    routes: routes
                        .into_iter()
                        .map(|(address, length, router)| StaticRoute {
                            destination: Ipv4Net::new(address, length).unwrap().trunc(),
                            router,
                        })
                        .collect(),
                    dns_servers,
                    mtu: flag.then_some(1430),
                    boot: if flag {
                        Boot::default()
                    } else {
                        Boot {
                            server,
                            server_name: b"boot.example.org".to_vec(),
                            file: vec![b'x'; usize::from(length) * 4 - 1],
                        }
                    },
                    extra: BTreeMap::from([(224, vec![length])]),
                    dns_search,
                    message: if flag {
                        String::new()
                    } else {
                        "why".to_owned()
                    },
                    ..ServerMessage::new(ServerMessageKind::Offer, &header, server)
                }
            },
        )
}
