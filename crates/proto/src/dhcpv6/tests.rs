use hextet_wire::dhcpv6::code;

use super::*;
use crate::fixture::{ip, plan};

const OURS: &str = "2001:db8:3::17";

#[test]
fn a_solicit_gets_an_advertise_that_ends_the_clients_wait() {
    let message = answered(&Cloud::default(), &solicit(asked(&[(7, &[])]), false));
    assert_eq!(message.kind, ServerMessageKind::Advertise);
    assert_eq!(message.preference, Some(255));
    assert_eq!(given(&message), [(7, vec![(ip(OURS), 2700, 5400)], None)]);
    assert_eq!((message.ias[0].t1_s, message.ias[0].t2_s), (1350, 2160));
    assert_eq!(message.client, Some(client()));
    assert_eq!(message.dns_servers, [ip("2001:db8::53")]);
    assert_eq!(message.dns_search, ["example.org"]);
}

#[test]
fn rapid_commit_gets_the_reply_at_once() {
    let message = answered(&Cloud::default(), &solicit(asked(&[(7, &[])]), true));
    assert_eq!(message.kind, ServerMessageKind::Reply);
    assert!(message.rapid_commit);
    assert_eq!(given(&message), [(7, vec![(ip(OURS), 2700, 5400)], None)]);
}

#[test]
fn the_addresses_are_the_ports_whoever_asks() {
    for duid in [&[0, 3, 0, 1, 1, 2, 3, 4, 5, 6][..], &[0, 4, 1], &[9; 130]] {
        for iaid in [0, 1, u32::MAX] {
            let mut asked = asked(&[(iaid, &["2001:db8:3::99"])]);
            asked.client = Duid::new(duid).unwrap();
            let message = answered(&Cloud::default(), &request(asked));
            assert_eq!(
                given(&message),
                [(iaid, vec![(ip(OURS), 2700, 5400)], None)]
            );
        }
    }
}

#[test]
fn several_addresses_go_into_one_association_or_are_shared_among_several() {
    let (one, two, three) = ("2001:db8:3::1", "2001:db8:4::1", "2001:db8:5::1");
    let none: &[&str] = &[];
    // What the port has, what the client names in each association, what each gets.
    let rows: [(&[&str], Shares<'_>, Shares<'_>); 8] = [
        (&[one, two, three], &[none], &[&[one, two, three]]),
        (&[one, two, three], &[none, none], &[&[one, three], &[two]]),
        (&[one, two], &[none, none], &[&[one], &[two]]),
        (&[one], &[none, none], &[&[one], none]),
        (&[one], &[none, &[one]], &[none, &[one]]),
        (&[one, two], &[&[two], &[one]], &[&[two], &[one]]),
        // One that is new goes to who has fewest.
        (
            &[one, two, three],
            &[&[one, two], none],
            &[&[one, two], &[three]],
        ),
        (&[], &[none, none], &[none, none]),
    ];
    for (has, named, expected) in rows {
        let cloud = Cloud {
            addresses: has.iter().map(|address| ip(address)).collect(),
            ..Cloud::default()
        };
        let ias: Vec<(u32, &[&str])> = (5..).zip(named.iter().copied()).collect();
        for message in [
            solicit(asked(&ias), false),
            request(asked(&ias)),
            renew(asked(&ias)),
            ClientMessage::Rebind { asked: asked(&ias) },
        ] {
            let shared = given(&answered(&cloud, &message)).into_iter();
            let expected = (5..).zip(expected).map(|(iaid, share)| {
                let share: Vec<_> = share.iter().map(|a| (ip(a), 2700, 5400)).collect();
                let status = share.is_empty().then_some(StatusCode::NoAddrsAvail);
                (iaid, share, status)
            });
            assert!(
                shared.eq(expected),
                "{has:?} {named:?} by {}",
                message.name()
            );
        }
    }
}

#[test]
fn an_address_that_two_associations_hold_stays_with_both_and_is_given_to_one() {
    let twice = || asked(&[(5, &[OURS]), (6, &[OURS])]);
    let held = || vec![(ip(OURS), 2700, 5400)];
    let message = answered(&Cloud::default(), &renew(twice()));
    assert_eq!(given(&message), [(5, held(), None), (6, held(), None)]);
    let message = answered(&Cloud::default(), &request(twice()));
    let none = Some(StatusCode::NoAddrsAvail);
    assert_eq!(given(&message), [(5, held(), None), (6, vec![], none)]);
}

#[test]
fn stages_with_other_identities_all_get_what_the_port_has() {
    let cloud = Cloud {
        addresses: vec![ip("2001:db8:3::1"), ip("2001:db8:4::1")],
        ..Cloud::default()
    };
    let both = vec![
        (ip("2001:db8:3::1"), 2700, 5400),
        (ip("2001:db8:4::1"), 2700, 5400),
    ];
    // A firmware's DUID-UUID, a boot loader's DUID-LL, the system's DUID-EN, each with an IAID of its own, and no Release.
    for (duid, iaid) in [
        (&[0, 4, 1, 2, 3, 4][..], 0x1122_3344),
        (&[0, 3, 0, 1, 1, 2, 3, 4, 5, 6], 1),
        (&[0, 2, 0, 0, 0xab, 0x11, 7], 0xfe11_2233),
    ] {
        let mut asked = asked(&[(iaid, &[])]);
        asked.client = Duid::new(duid).unwrap();
        for message in [solicit(asked.clone(), false), request(asked.clone())] {
            let message = answered(&cloud, &message);
            assert_eq!(given(&message), [(iaid, both.clone(), None)]);
            assert_eq!(message.client.as_ref(), Some(&asked.client));
        }
    }
}

#[test]
fn temporary_addresses_and_prefixes_are_refused_politely() {
    let mut asked = asked(&[(1, &[]), (2, &[]), (3, &[])]);
    asked.ias[0].kind = IaKind::Ta;
    asked.ias[1].kind = IaKind::Pd;
    let message = answered(&Cloud::default(), &request(asked));
    assert_eq!(
        given(&message),
        [
            (1, vec![], Some(StatusCode::NoAddrsAvail)),
            (2, vec![], Some(StatusCode::NoPrefixAvail)),
            (3, vec![(ip(OURS), 2700, 5400)], None),
        ]
    );
    let kinds: Vec<IaKind> = message.ias.iter().map(|ia| ia.kind).collect();
    assert_eq!(kinds, [IaKind::Ta, IaKind::Pd, IaKind::Na]);
}

#[test]
fn without_addresses_the_plan_says_who_answers() {
    let mut cloud = Cloud {
        addresses: vec![],
        ..Cloud::default()
    };
    for rapid in [false, true] {
        let message = answered(&cloud, &solicit(asked(&[(7, &[])]), rapid));
        assert_eq!(message.kind, ServerMessageKind::Advertise);
        assert_eq!(
            given(&message),
            [(7, vec![], Some(StatusCode::NoAddrsAvail))]
        );
        assert_eq!(message.status.unwrap().code, StatusCode::NoAddrsAvail);
        assert_eq!(message.preference, Some(255));
    }
    cloud.silence = true;
    for message in [
        solicit(asked(&[(7, &[])]), false),
        solicit(asked(&[(7, &[])]), true),
        ClientMessage::Rebind {
            asked: asked(&[(7, &[OURS])]),
        },
        ClientMessage::Confirm {
            asked: asked(&[(7, &[OURS])]),
        },
    ] {
        assert_eq!(refused(&cloud, &message), DropReason::Dhcpv6Silence);
    }
}

#[test]
fn another_servers_messages_are_left_to_it() {
    let server = Duid::from_uuid([9; 16]);
    let asked = || asked(&[(7, &[OURS])]);
    for message in [
        ClientMessage::Request {
            asked: asked(),
            server: server.clone(),
        },
        ClientMessage::Renew {
            asked: asked(),
            server: server.clone(),
        },
        ClientMessage::Release {
            asked: asked(),
            server: server.clone(),
        },
        ClientMessage::Decline {
            asked: asked(),
            server: server.clone(),
        },
        ClientMessage::InformationRequest(InformationRequest {
            transaction: [1, 2, 3],
            client: None,
            server: Some(server.clone()),
            requested: vec![],
            reconfigure_accept: false,
        }),
    ] {
        assert_eq!(
            refused(&Cloud::default(), &message),
            DropReason::Dhcpv6OtherServer
        );
    }
}

#[test]
fn renew_and_rebind_end_addresses_that_are_not_the_ports() {
    let held = || asked(&[(7, &["2001:db8:3::16", OURS])]);
    for message in [
        ClientMessage::Renew {
            asked: held(),
            server: server(),
        },
        ClientMessage::Rebind { asked: held() },
    ] {
        let message = answered(&Cloud::default(), &message);
        let expected = vec![(ip(OURS), 2700, 5400), (ip("2001:db8:3::16"), 0, 0)];
        assert_eq!(given(&message), [(7, expected, None)]);
    }
}

#[test]
fn renew_of_a_port_that_lost_its_address_ends_it() {
    let cloud = Cloud {
        addresses: vec![],
        ..Cloud::default()
    };
    let message = ClientMessage::Renew {
        asked: asked(&[(7, &[OURS]), (8, &[])]),
        server: server(),
    };
    let message = answered(&cloud, &message);
    assert_eq!(
        given(&message),
        [
            (7, vec![(ip(OURS), 0, 0)], None),
            (8, vec![], Some(StatusCode::NoAddrsAvail)),
        ]
    );
}

#[test]
fn confirm_holds_for_the_ports_addresses_only() {
    let confirm = |addresses: &[&str]| {
        let asked = asked(&[(7, addresses)]);
        ClientMessage::Confirm { asked }
    };
    let code = |addresses: &[&str]| {
        let message = answered(&Cloud::default(), &confirm(addresses));
        message.status.unwrap().code
    };
    assert_eq!(code(&[OURS]), StatusCode::Success);
    assert_eq!(code(&["2001:db8:3::18"]), StatusCode::NotOnLink);
    assert_eq!(code(&[OURS, "2001:db8:9::1"]), StatusCode::NotOnLink);
    let reason = refused(&Cloud::default(), &confirm(&[]));
    assert_eq!(reason, DropReason::Dhcpv6NothingToConfirm);
}

#[test]
fn release_and_decline_are_noted_and_answered_with_success() {
    let plan = Cloud::default().plan();
    let mut asked = asked(&[
        (7, &[OURS, "2001:db8:3::99"]),
        (8, &["2001:db8:3::99"]),
        (9, &[]),
    ]);
    asked.ias.push(Ia {
        kind: IaKind::Pd,
        ..asked.ias[2].clone()
    });
    let released = ClientMessage::Release {
        asked: asked.clone(),
        server: server(),
    };
    let declined = ClientMessage::Decline {
        asked,
        server: server(),
    };
    for message in [released, declined] {
        let answer = answer(&plan, &message).unwrap_or_else(|reason| panic!("{reason:?}"));
        let status = answer.message.status.as_ref().unwrap().code;
        assert_eq!(status, StatusCode::Success);
        let none = Some(StatusCode::NoBinding);
        assert_eq!(
            given(&answer.message),
            [(8, vec![], none), (9, vec![], none), (9, vec![], none)]
        );
        let (Some(Given::Released(list)) | Some(Given::Declined(list))) = answer.noted else {
            panic!("nothing is noted");
        };
        assert_eq!(list, [ip(OURS)]);
    }
}

#[test]
fn after_a_decline_or_release_the_address_is_given_again() {
    let cloud = Cloud::default();
    let held = asked(&[(7, &[OURS])]);
    for give_up in [
        ClientMessage::Decline {
            asked: held.clone(),
            server: server(),
        },
        ClientMessage::Release {
            asked: held,
            server: server(),
        },
    ] {
        answered(&cloud, &give_up);
        let message = answered(&cloud, &solicit(asked(&[(7, &[])]), false));
        assert_eq!(given(&message), [(7, vec![(ip(OURS), 2700, 5400)], None)]);
    }
}

#[test]
fn who_asks_how_often_to_ask_is_told_rfc_9915s_times() {
    let mut asked = asked(&[(7, &[])]);
    let times = |message: ServerMessage| (message.sol_max_rt_s, message.inf_max_rt_s);
    let message = answered(&Cloud::default(), &solicit(asked.clone(), false));
    assert_eq!(times(message), (None, None));
    asked.requested = vec![code::SOL_MAX_RT, code::INF_MAX_RT];
    let nothing = Cloud {
        addresses: vec![],
        ..Cloud::default()
    };
    let message = answered(&nothing, &solicit(asked.clone(), false));
    assert_eq!(times(message), (Some(3600), Some(3600)));
    asked.requested = vec![code::INF_MAX_RT];
    let message = answered(&nothing, &request(asked));
    assert_eq!(times(message), (None, Some(3600)));
}

#[test]
fn what_is_sent_to_the_servers_address_is_told_to_use_multicast_as_rfc_8415_has_it() {
    let plan = Cloud::default().plan();
    let held = || asked(&[(7, &[OURS])]);
    for message in [
        request(held()),
        renew(held()),
        ClientMessage::Release {
            asked: held(),
            server: server(),
        },
        ClientMessage::Decline {
            asked: held(),
            server: server(),
        },
    ] {
        let reply = unicast(&plan, &message).unwrap();
        let mut expected = ServerMessage::new(ServerMessageKind::Reply, [1, 2, 3], server());
        expected.client = Some(client());
        expected.status = Some(status(StatusCode::UseMulticast, "use multicast"));
        assert_eq!(reply, expected, "{}", message.name());
    }
    let other = ClientMessage::Renew {
        asked: held(),
        server: Duid::from_uuid([9; 16]),
    };
    assert_eq!(unicast(&plan, &other), Err(DropReason::Dhcpv6OtherServer));
    for message in [
        solicit(held(), true),
        ClientMessage::Confirm { asked: held() },
        ClientMessage::Rebind { asked: held() },
    ] {
        assert_eq!(unicast(&plan, &message), Err(DropReason::Dhcpv6Unicast));
    }
}

#[test]
fn an_information_request_gets_options_and_when_to_ask_again() {
    for client in [None, Some(client())] {
        let message = ClientMessage::InformationRequest(InformationRequest {
            transaction: [1, 2, 3],
            client: client.clone(),
            server: None,
            requested: vec![code::DNS_SERVERS],
            reconfigure_accept: false,
        });
        let message = answered(&Cloud::default(), &message);
        assert_eq!(message.client, client);
        assert_eq!(message.dns_servers, [ip("2001:db8::53")]);
        assert_eq!(message.information_refresh_time_s, Some(2700));
        assert_eq!(message.ias, []);
    }
}

#[test]
fn a_ports_own_options_are_told_whoever_asks_and_come_instead_of_the_usual_ones() {
    let mut plan = Cloud::default().plan();
    plan.options = [
        (code::DNS_SERVERS, vec![1; 16]),
        (code::INFORMATION_REFRESH_TIME, vec![0, 0, 16, 0]),
        (59, b"http://boot.example/x".to_vec()),
        (60, b"\0\x05quiet".to_vec()),
    ]
    .into();
    let mut asked = asked(&[(7, &[])]);
    asked.requested = vec![60];
    let reply = answer(&plan, &request(asked)).unwrap().message;
    let codes: Vec<u16> = reply.extra.iter().map(|(code, _)| *code).collect();
    assert_eq!(codes, [60, code::DNS_SERVERS, 59]);
    let heard = ServerMessage::parse(&reply.emit()).unwrap();
    assert_eq!(heard.dns_servers, [Ipv6Addr::from([1; 16])]);
    assert_eq!(heard.dns_search, ["example.org"]);
    assert_eq!(heard.information_refresh_time_s, None);
    let question = ClientMessage::InformationRequest(InformationRequest {
        transaction: [1, 2, 3],
        client: None,
        server: None,
        requested: vec![],
        reconfigure_accept: false,
    });
    let reply = answer(&plan, &question).unwrap().message;
    assert_eq!(reply.information_refresh_time_s, Some(4096));
    assert_eq!(reply.extra.len(), 3);
}

struct Cloud {
    addresses: Vec<Ipv6Addr>,
    silence: bool,
}

impl Default for Cloud {
    fn default() -> Self {
        Self {
            addresses: vec![ip(OURS)],
            silence: false,
        }
    }
}

impl Cloud {
    fn plan(&self) -> Dhcpv6Plan {
        let mut plan = plan().dhcpv6.unwrap();
        plan.addresses = self.addresses.clone();
        if self.silence {
            plan.solicit_without_address = SolicitWithoutAddress::Silence;
        }
        plan
    }
}

fn answered(cloud: &Cloud, message: &ClientMessage) -> ServerMessage {
    match answer(&cloud.plan(), message) {
        Ok(answer) => answer.message,
        Err(reason) => panic!("{reason:?}"),
    }
}

fn refused(cloud: &Cloud, message: &ClientMessage) -> DropReason {
    match answer(&cloud.plan(), message) {
        Ok(answer) => panic!("{:?}", answer.message),
        Err(reason) => reason,
    }
}

/// The addresses in each identity association.
type Shares<'a> = &'a [&'a [&'a str]];

/// IAID, addresses with preferred and valid lifetime, status.
type Association = (u32, Vec<(Ipv6Addr, u32, u32)>, Option<StatusCode>);

fn given(message: &ServerMessage) -> Vec<Association> {
    let association = |ia: &IaReply| {
        let addresses = ia.addresses.iter();
        let addresses = addresses
            .map(|held| {
                (
                    held.address,
                    held.preferred_lifetime_s,
                    held.valid_lifetime_s,
                )
            })
            .collect();
        (
            ia.iaid,
            addresses,
            ia.status.as_ref().map(|status| status.code),
        )
    };
    message.ias.iter().map(association).collect()
}

fn client() -> Duid {
    Duid::new(&[0, 3, 0, 1, 1, 2, 3, 4, 5, 6]).unwrap()
}

fn server() -> Duid {
    Duid::from_uuid(7_u128.to_be_bytes())
}

fn asked(ias: &[(u32, &[&str])]) -> Asked {
    let ias = ias.iter().map(|(iaid, addresses)| Ia {
        kind: IaKind::Na,
        iaid: *iaid,
        addresses: addresses
            .iter()
            .map(|address| IaAddress {
                address: ip(address),
                preferred_lifetime_s: 0,
                valid_lifetime_s: 0,
            })
            .collect(),
    });
    Asked {
        transaction: [1, 2, 3],
        client: client(),
        ias: ias.collect(),
        requested: vec![],
        reconfigure_accept: false,
    }
}

fn solicit(asked: Asked, rapid_commit: bool) -> ClientMessage {
    ClientMessage::Solicit {
        asked,
        rapid_commit,
    }
}

fn request(asked: Asked) -> ClientMessage {
    ClientMessage::Request {
        asked,
        server: server(),
    }
}

fn renew(asked: Asked) -> ClientMessage {
    ClientMessage::Renew {
        asked,
        server: server(),
    }
}
