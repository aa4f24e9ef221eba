use hextet_wire::dhcpv4::PACKET_BYTES_MIN;

use super::*;
use crate::fixture::{dhcpv4_plan, ipv4 as ip};

const NONE: Ipv4Addr = Ipv4Addr::UNSPECIFIED;
const OTHER_SERVER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 9);

#[test]
fn an_offer_and_an_acknowledgement_tell_all_that_the_subnet_has() {
    let wanted = ip("10.0.0.5");
    for (question, kind) in [
        (discover(NONE), ServerMessageKind::Offer),
        (
            Question::Select {
                server: SERVICE_IPV4,
                wanted,
            },
            ServerMessageKind::Ack,
        ),
    ] {
        let message = answered(question, NONE);
        assert_eq!(
            (message.kind, message.yiaddr, message.ciaddr),
            (kind, wanted, NONE)
        );
        assert_eq!(message.server, SERVICE_IPV4);
        let lease = Lease {
            lease_time_s: 5400,
            renewal_time_s: 2700,
            rebinding_time_s: 4725,
        };
        assert_eq!(message.lease, Some(lease));
        assert_eq!(message.subnet, Some("10.0.0.0/24".parse().unwrap()));
        assert_eq!(message.router, Some(ip("10.0.0.1")));
        assert_eq!(message.dns_servers, [ip("192.0.2.53")]);
        assert_eq!(message.mtu, Some(1430));
        assert_eq!(message.dns_search, ["example.org"]);
        assert_eq!(message.client_id, [9, 9], "RFC 6842: echoed");
        assert!(!message.rapid_commit);
    }
}

#[test]
fn the_address_is_the_ports_whoever_asks() {
    for client_id in [vec![], vec![1], vec![255; 300]] {
        for chaddr in [[0; 16], [7; 16]] {
            let mut message = asked(discover(NONE), NONE);
            message.header.client_id.clone_from(&client_id);
            message.header.chaddr = chaddr;
            let answer = answer(&dhcpv4_plan(), &message).unwrap().message.unwrap();
            assert_eq!((answer.yiaddr, answer.chaddr), (ip("10.0.0.5"), chaddr));
        }
    }
}

#[test]
fn of_several_addresses_the_first_is_offered_unless_another_is_wanted() {
    for (wanted, offered) in [
        (NONE, "10.0.0.5"),
        (ip("10.0.1.5"), "10.0.1.5"),
        (ip("10.0.0.5"), "10.0.0.5"),
        (ip("10.9.9.9"), "10.0.0.5"),
    ] {
        assert_eq!(
            answered(discover(wanted), NONE).yiaddr,
            ip(offered),
            "{wanted}"
        );
    }
    let other = answered(
        Question::Reboot {
            wanted: ip("10.0.1.5"),
        },
        NONE,
    );
    assert_eq!(other.subnet, Some("10.0.1.0/25".parse().unwrap()));
    assert_eq!(other.router, None);
}

#[test]
fn rapid_commit_gets_the_acknowledgement_at_once() {
    let question = Question::Discover {
        wanted: NONE,
        rapid_commit: true,
    };
    let message = answered(question, NONE);
    assert_eq!(message.kind, ServerMessageKind::Ack);
    assert!(message.rapid_commit && message.lease.is_some());
}

#[test]
fn in_every_state_an_address_that_is_not_the_ports_is_refused() {
    let wrong = ip("10.0.0.6");
    for (question, ciaddr) in [
        (
            Question::Select {
                server: SERVICE_IPV4,
                wanted: wrong,
            },
            NONE,
        ),
        (Question::Reboot { wanted: wrong }, NONE),
        (Question::Extend, wrong),
    ] {
        let message = answered(question, ciaddr);
        assert_eq!(message.kind, ServerMessageKind::Nak, "{question:?}");
        assert_eq!(
            (message.yiaddr, message.ciaddr, message.lease),
            (NONE, NONE, None)
        );
        assert_eq!(
            (message.subnet, message.router, message.mtu),
            (None, None, None)
        );
        assert_eq!(message.message, "not this port's address");
        assert_eq!(message.client_id, [9, 9]);
    }
}

#[test]
fn a_renewal_gets_the_address_that_the_client_has() {
    let message = answered(Question::Extend, ip("10.0.1.5"));
    assert_eq!(message.kind, ServerMessageKind::Ack);
    assert_eq!(
        (message.yiaddr, message.ciaddr),
        (ip("10.0.1.5"), ip("10.0.1.5"))
    );
}

#[test]
fn who_only_informs_itself_gets_no_address_and_no_times() {
    let message = answered(Question::Inform, ip("10.0.0.5"));
    assert_eq!(
        (message.kind, message.yiaddr, message.lease),
        (ServerMessageKind::Ack, NONE, None)
    );
    assert_eq!(message.dns_servers, [ip("192.0.2.53")]);
    assert_eq!(
        refused(Question::Inform, ip("10.0.0.6")),
        DropReason::Dhcpv4ForeignAddress
    );
}

#[test]
fn what_is_said_to_another_server_is_not_answered() {
    let (server, wanted) = (OTHER_SERVER, ip("10.0.0.5"));
    for (question, ciaddr) in [
        (Question::Select { server, wanted }, NONE),
        (Question::Release { server }, wanted),
        (
            Question::Decline {
                server,
                address: wanted,
            },
            NONE,
        ),
    ] {
        assert_eq!(
            refused(question, ciaddr),
            DropReason::Dhcpv4OtherServer,
            "{question:?}"
        );
    }
}

#[test]
fn a_plan_without_leases_offers_nothing() {
    let plan = Dhcpv4Plan {
        leases: vec![],
        ..dhcpv4_plan()
    };
    let reason = answer(&plan, &asked(discover(NONE), NONE)).err();
    assert_eq!(reason, Some(DropReason::Dhcpv4Off));
}

fn discover(wanted: Ipv4Addr) -> Question {
    Question::Discover {
        wanted,
        rapid_commit: false,
    }
}

fn asked(question: Question, ciaddr: Ipv4Addr) -> ClientMessage {
    ClientMessage {
        header: ClientHeader {
            htype: 1,
            hlen: 6,
            transaction: 1,
            broadcast: false,
            ciaddr,
            chaddr: [0; 16],
            client_id: vec![9, 9],
            requested: vec![],
            packet_bytes_max: PACKET_BYTES_MIN,
        },
        question,
    }
}

fn answered(question: Question, ciaddr: Ipv4Addr) -> ServerMessage {
    let answer = answer(&dhcpv4_plan(), &asked(question, ciaddr)).unwrap();
    answer.message.unwrap()
}

fn refused(question: Question, ciaddr: Ipv4Addr) -> DropReason {
    match answer(&dhcpv4_plan(), &asked(question, ciaddr)) {
        Err(reason) => reason,
        Ok(_) => panic!("{question:?} is answered"),
    }
}
