//! The golden messages.

use std::net::Ipv6Addr;

use hextet_core::mac::Mac;
use hextet_wire::dhcpv6::{
    ALL_DHCP_RELAY_AGENTS_AND_SERVERS, Asked, CLIENT_PORT, ClientMessage, Duid, GivenKey, Ia,
    IaAddress, IaKind, IaReply, InformationRequest, ReconfigureKey, SERVER_PORT, ServerMessage,
    ServerMessageKind, Status, StatusCode, code,
};
use hextet_wire::frame::{ALL_NODES, ALL_ROUTERS, Envelope, Udp, multicast_mac, solicited_node};
use hextet_wire::ndp::{
    HOP_LIMIT, NdOption, NdpMessage, NeighborAdvert, NeighborSolicit, Pref64, Preference,
    PrefixInformation, RouteInformation, RouterAdvert, RouterSolicit,
};

const GUEST: Mac = Mac([0xfa, 0x16, 0x3e, 0x11, 0x22, 0x33]);
const SERVICE: Mac = Mac([0x02, 0x68, 0x78, 0x00, 0x00, 0x2a]);
const UNSPECIFIED: Ipv6Addr = Ipv6Addr::UNSPECIFIED;

pub enum Message {
    Ndp(NdpMessage),
    Client(ClientMessage),
    Server(ServerMessage),
}

pub struct Case {
    pub name: &'static str,
    pub title: &'static str,
    pub envelope: Envelope,
    pub message: Message,
}

impl Case {
    pub fn frame(&self) -> Vec<u8> {
        match &self.message {
            Message::Ndp(message) => message.emit(&self.envelope),
            Message::Client(message) => self.envelope.udp(Udp {
                source_port: CLIENT_PORT,
                destination_port: SERVER_PORT,
                data: &message.emit(),
            }),
            Message::Server(message) => self.envelope.udp(Udp {
                source_port: SERVER_PORT,
                destination_port: CLIENT_PORT,
                data: &message.emit(),
            }),
        }
    }
}

/// The IA_NAs with their addresses, and the transaction.
pub fn ia_nas(message: &Message) -> (Vec<(u32, Vec<Ipv6Addr>)>, [u8; 3]) {
    let all = |addresses: &[IaAddress]| addresses.iter().map(|held| held.address).collect();
    match message {
        Message::Ndp(_) => (Vec::new(), [0; 3]),
        Message::Client(ClientMessage::InformationRequest(request)) => {
            (Vec::new(), request.transaction)
        }
        Message::Client(message) => {
            let asked = message.asked().unwrap();
            let nas = asked.ias.iter().filter(|ia| ia.kind == IaKind::Na);
            let nas = nas.map(|ia| (ia.iaid, all(&ia.addresses)));
            (nas.collect(), asked.transaction)
        }
        Message::Server(message) => {
            let nas = message.ias.iter().filter(|ia| ia.kind == IaKind::Na);
            let nas = nas.map(|ia| (ia.iaid, all(&ia.addresses)));
            (nas.collect(), message.transaction)
        }
    }
}

pub fn cases() -> Vec<Case> {
    let mut cases = router_cases();
    cases.extend(neighbor_cases());
    cases.extend(client_cases());
    cases.extend(server_cases());
    cases
}

fn to_guest(destination: Ipv6Addr, mac_destination: Mac) -> Envelope {
    Envelope {
        mac_destination,
        mac_source: SERVICE,
        source: SERVICE.link_local(),
        destination,
        hop_limit: HOP_LIMIT,
    }
}

fn from_guest(source: Ipv6Addr, destination: Ipv6Addr) -> Envelope {
    Envelope {
        mac_destination: multicast_mac(destination),
        mac_source: GUEST,
        source,
        destination,
        hop_limit: HOP_LIMIT,
    }
}

fn prefix(text: &str, autonomous: bool, lifetimes: (u32, u32)) -> NdOption {
    NdOption::Prefix(PrefixInformation {
        prefix: text.parse().unwrap(),
        on_link: true,
        autonomous,
        valid_lifetime_s: lifetimes.0,
        preferred_lifetime_s: lifetimes.1,
    })
}

fn dns(lifetime_s: u32) -> Vec<NdOption> {
    vec![
        NdOption::Rdnss {
            lifetime_s,
            servers: vec![
                "2001:db8::53".parse().unwrap(),
                "2001:db8::54".parse().unwrap(),
            ],
        },
        NdOption::Dnssl {
            lifetime_s,
            domains: vec!["example.org".into(), "lab.example.org".into()],
        },
    ]
}

fn advert(managed: bool, other: bool, router_lifetime_s: u16, more: Vec<NdOption>) -> RouterAdvert {
    let mut options = vec![NdOption::SourceLinkLayer(SERVICE), NdOption::Mtu(1430)];
    options.extend(more);
    RouterAdvert {
        cur_hop_limit: 64,
        managed,
        other,
        router_lifetime_s,
        reachable_time_ms: 0,
        retrans_timer_ms: 100,
        options,
    }
}

fn router_cases() -> Vec<Case> {
    const LIFETIMES: (u32, u32) = (5400, 2700);
    let guest = GUEST.link_local();
    let all = to_guest(ALL_NODES, multicast_mac(ALL_NODES));
    let one = to_guest(guest, GUEST);
    let first = to_guest(ALL_NODES, GUEST);
    let slaac = || prefix("2001:db8:1::/64", true, LIFETIMES);
    let with_dns = |option: NdOption| [vec![option], dns(1800)].concat();
    let ra = |name, title, envelope, advert| Case {
        name,
        title,
        envelope,
        message: Message::Ndp(NdpMessage::RouterAdvert(advert)),
    };
    let rs = |name, title, source, options| Case {
        name,
        title,
        envelope: from_guest(source, ALL_ROUTERS),
        message: Message::Ndp(NdpMessage::RouterSolicit(RouterSolicit { options })),
    };
    vec![
        rs(
            "rs",
            "RS of a guest with a link-local address",
            guest,
            vec![NdOption::SourceLinkLayer(GUEST)],
        ),
        rs(
            "rs-unspecified",
            "RS of a guest without any address",
            UNSPECIFIED,
            vec![],
        ),
        ra(
            "ra-slaac",
            "RA, slaac /64 with DNS, solicited: to the one who asked",
            one,
            advert(false, false, 0, with_dns(slaac())),
        ),
        ra(
            "ra-first-frame",
            "RA on the guest's first frame: IPv6 to all nodes, Ethernet to the port",
            first,
            advert(false, false, 0, vec![slaac()]),
        ),
        ra(
            "ra-periodic",
            "RA, unsolicited: multicast",
            all,
            advert(false, false, 0, vec![slaac()]),
        ),
        ra(
            "ra-stateless",
            "RA, dhcpv6-stateless /64: O=1, A=1",
            one,
            advert(false, true, 0, vec![slaac()]),
        ),
        ra(
            "ra-stateful",
            "RA, dhcpv6-stateful /64: M=1, A=0",
            one,
            advert(
                true,
                true,
                0,
                vec![prefix("2001:db8:2::/64", false, LIFETIMES)],
            ),
        ),
        ra(
            "ra-stateful-96",
            "RA, dhcpv6-stateful /96: the subnet's true length, on-link",
            one,
            advert(
                true,
                true,
                0,
                vec![prefix("2001:db8:3::/96", false, LIFETIMES)],
            ),
        ),
        ra(
            "ra-mixed",
            "RA for a network with a slaac and a stateful subnet",
            one,
            advert(
                true,
                true,
                0,
                vec![slaac(), prefix("2001:db8:2::/64", false, LIFETIMES)],
            ),
        ),
        ra(
            "ra-withdrawn",
            "RA after a subnet was taken away: its prefix with lifetime 0",
            first,
            advert(
                false,
                false,
                0,
                vec![slaac(), prefix("2001:db8:9::/64", true, (0, 0))],
            ),
        ),
        ra(
            "ra-final",
            "RA that takes everything back (RFC 4861 §6.2.5)",
            first,
            advert(
                false,
                false,
                0,
                [vec![prefix("2001:db8:1::/64", true, (0, 0))], dns(0)].concat(),
            ),
        ),
        ra(
            "ra-router",
            "RA of a default router with a route and a NAT64 prefix",
            one,
            advert(
                false,
                false,
                1800,
                vec![
                    slaac(),
                    NdOption::Route(RouteInformation {
                        prefix: "2001:db8:ff00::/40".parse().unwrap(),
                        preference: Preference::High,
                        lifetime_s: 1800,
                    }),
                    NdOption::Pref64(Pref64 {
                        prefix: "64:ff9b::/96".parse().unwrap(),
                        scaled_lifetime: 225,
                    }),
                ],
            ),
        ),
    ]
}

fn neighbor_cases() -> Vec<Case> {
    let guest = GUEST.link_local();
    let neighbour: Ipv6Addr = "2001:db8:1::7".parse().unwrap();
    let neighbour_mac = Mac([0xfa, 0x16, 0x3e, 0x44, 0x55, 0x66]);
    let ns = |name, title, source, target, options| Case {
        name,
        title,
        envelope: from_guest(source, solicited_node(target)),
        message: Message::Ndp(NdpMessage::NeighborSolicit(NeighborSolicit {
            target,
            options,
        })),
    };
    let na = |name, title, destination, solicited| Case {
        name,
        title,
        envelope: Envelope {
            mac_destination: GUEST,
            mac_source: SERVICE,
            source: neighbour,
            destination,
            hop_limit: HOP_LIMIT,
        },
        message: Message::Ndp(NdpMessage::NeighborAdvert(NeighborAdvert {
            router: false,
            solicited,
            r#override: true,
            target: neighbour,
            options: vec![NdOption::TargetLinkLayer(neighbour_mac)],
        })),
    };
    vec![
        ns(
            "ns-dad",
            "duplicate address check of a link-local address",
            UNSPECIFIED,
            guest,
            vec![NdOption::Unknown {
                kind: 14,
                body: vec![0xa1, 0xb2, 0xc3, 0xd4, 0xe5, 0xf6],
            }],
        ),
        ns(
            "ns",
            "NS for a neighbour",
            guest,
            neighbour,
            vec![NdOption::SourceLinkLayer(GUEST)],
        ),
        na("na", "NA that answers for a neighbour", guest, true),
        na(
            "na-defence",
            "NA that makes a duplicate address check fail",
            ALL_NODES,
            false,
        ),
    ]
}

fn client_duid() -> Duid {
    // DUID-LLT of an Ethernet card.
    Duid::new(&[
        0, 1, 0, 1, 0x2f, 0x01, 0x02, 0x03, 0xfa, 0x16, 0x3e, 0x11, 0x22, 0x33,
    ])
    .unwrap()
}

fn server_duid() -> Duid {
    Duid::from_uuid([
        0x6b, 0x1c, 0x9d, 0x54, 0x0f, 0x3e, 0x4a, 0x77, 0x9c, 0x11, 0x2d, 0x3e, 0x4f, 0x50, 0x61,
        0x72,
    ])
}

fn asked(addresses: &[&str]) -> Asked {
    let addresses = addresses.iter().map(|address| IaAddress {
        address: address.parse().unwrap(),
        preferred_lifetime_s: 0,
        valid_lifetime_s: 0,
    });
    Asked {
        transaction: [0xa1, 0xb2, 0xc3],
        client: client_duid(),
        ias: vec![Ia {
            kind: IaKind::Na,
            iaid: 0x3e11_2233,
            addresses: addresses.collect(),
        }],
        requested: vec![code::DNS_SERVERS, code::DOMAIN_LIST],
        reconfigure_accept: false,
    }
}

fn client_cases() -> Vec<Case> {
    let held = || asked(&["2001:db8:3::17"]);
    let server = server_duid;
    let messages = [
        (
            "solicit",
            "Solicit",
            ClientMessage::Solicit {
                asked: asked(&[]),
                rapid_commit: false,
            },
        ),
        (
            "solicit-rapid",
            "Solicit with Rapid Commit",
            ClientMessage::Solicit {
                asked: asked(&[]),
                rapid_commit: true,
            },
        ),
        (
            "request",
            "Request",
            ClientMessage::Request {
                asked: held(),
                server: server(),
            },
        ),
        (
            "request-accept",
            "Request of a client that follows Reconfigure",
            ClientMessage::Request {
                asked: Asked {
                    reconfigure_accept: true,
                    ..held()
                },
                server: server(),
            },
        ),
        (
            "confirm",
            "Confirm",
            ClientMessage::Confirm { asked: held() },
        ),
        (
            "renew",
            "Renew",
            ClientMessage::Renew {
                asked: held(),
                server: server(),
            },
        ),
        ("rebind", "Rebind", ClientMessage::Rebind { asked: held() }),
        (
            "release",
            "Release",
            ClientMessage::Release {
                asked: held(),
                server: server(),
            },
        ),
        (
            "decline",
            "Decline",
            ClientMessage::Decline {
                asked: held(),
                server: server(),
            },
        ),
        (
            "information-request",
            "Information-request",
            ClientMessage::InformationRequest(InformationRequest {
                transaction: [0xa1, 0xb2, 0xc3],
                client: Some(client_duid()),
                server: None,
                requested: vec![
                    code::DNS_SERVERS,
                    code::DOMAIN_LIST,
                    code::INFORMATION_REFRESH_TIME,
                ],
                reconfigure_accept: false,
            }),
        ),
    ];
    let envelope = Envelope {
        hop_limit: 1,
        ..from_guest(GUEST.link_local(), ALL_DHCP_RELAY_AGENTS_AND_SERVERS)
    };
    messages
        .into_iter()
        .map(|(name, title, message)| Case {
            name,
            title,
            envelope,
            message: Message::Client(message),
        })
        .collect()
}

fn server_cases() -> Vec<Case> {
    let address = |lifetimes: (u32, u32), address: &str| IaAddress {
        address: address.parse().unwrap(),
        preferred_lifetime_s: lifetimes.0,
        valid_lifetime_s: lifetimes.1,
    };
    let ours = || address((2700, 5400), "2001:db8:3::17");
    let ia = |addresses: Vec<IaAddress>| IaReply {
        kind: IaKind::Na,
        iaid: 0x3e11_2233,
        t1_s: 1350,
        t2_s: 2160,
        addresses,
        status: None,
    };
    let answer = |kind| ServerMessage {
        client: Some(client_duid()),
        dns_servers: vec!["2001:db8::53".parse().unwrap()],
        dns_search: vec!["example.org".into(), "lab.example.org".into()],
        ..ServerMessage::new(kind, [0xa1, 0xb2, 0xc3], server_duid())
    };
    let status = |code, text: &str| Status {
        code,
        text: text.into(),
    };
    let none = || status(StatusCode::NoAddrsAvail, "no addresses for this one");
    let advertise = || ServerMessage {
        preference: Some(255),
        ..answer(ServerMessageKind::Advertise)
    };
    let reply = || answer(ServerMessageKind::Reply);
    let messages = [
        (
            "advertise",
            "Advertise",
            ServerMessage {
                ias: vec![ia(vec![ours()])],
                ..advertise()
            },
        ),
        (
            "advertise-none",
            "Advertise without addresses",
            ServerMessage {
                ias: vec![IaReply {
                    t1_s: 0,
                    t2_s: 0,
                    status: Some(none()),
                    ..ia(vec![])
                }],
                status: Some(none()),
                ..advertise()
            },
        ),
        (
            "reply",
            "Reply to a Request",
            ServerMessage {
                ias: vec![ia(vec![ours()])],
                ..reply()
            },
        ),
        (
            "reply-key",
            "Reply with the key that Reconfigure is signed by",
            ServerMessage {
                ias: vec![ia(vec![ours()])],
                reconfigure_accept: true,
                reconfigure_key: Some(GivenKey {
                    key: ReconfigureKey::new([0xc5; 16]),
                    replay: 7,
                }),
                ..reply()
            },
        ),
        (
            "advertise-times",
            "Advertise to a client that asks how often to ask",
            ServerMessage {
                ias: vec![ia(vec![ours()])],
                sol_max_rt_s: Some(3600),
                inf_max_rt_s: Some(3600),
                ..advertise()
            },
        ),
        (
            "reply-rapid",
            "Reply to a Solicit with Rapid Commit",
            ServerMessage {
                ias: vec![ia(vec![ours()])],
                rapid_commit: true,
                ..reply()
            },
        ),
        (
            "reply-renew",
            "Reply to a Renew of an address that is no longer the port's",
            ServerMessage {
                ias: vec![ia(vec![ours(), address((0, 0), "2001:db8:3::16")])],
                ..reply()
            },
        ),
        (
            "reply-not-on-link",
            "Reply to a Confirm of another port's address",
            ServerMessage {
                status: Some(status(StatusCode::NotOnLink, "not this port's addresses")),
                ..reply()
            },
        ),
        (
            "reply-status",
            "Reply to a Release",
            ServerMessage {
                status: Some(status(StatusCode::Success, "released")),
                ..reply()
            },
        ),
        (
            "reply-boot",
            "Reply with further options: a boot file and its parameter",
            ServerMessage {
                ias: vec![ia(vec![ours()])],
                extra: vec![
                    (59, b"tftp://[2001:db8::69]/x.efi".to_vec()),
                    (60, b"\0\x05quiet".to_vec()),
                ],
                ..reply()
            },
        ),
        (
            "reply-information",
            "Reply to an Information-request",
            ServerMessage {
                information_refresh_time_s: Some(2700),
                ..reply()
            },
        ),
    ];
    let envelope = Envelope {
        hop_limit: 64,
        ..to_guest(GUEST.link_local(), GUEST)
    };
    messages
        .into_iter()
        .map(|(name, title, message)| Case {
            name,
            title,
            envelope,
            message: Message::Server(message),
        })
        .collect()
}
