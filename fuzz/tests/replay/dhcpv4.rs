//! The seeds of DHCPv4: one message of each kind in its frame.

use std::net::Ipv4Addr;

use hextet_core::link::SERVICE_IPV4;
use hextet_core::mac::Mac;
use hextet_wire::dhcpv4::{
    ClientHeader, ClientMessage, Lease, Question, ServerMessage, ServerMessageKind, StaticRoute,
};
use hextet_wire::frame::Udp;
use hextet_wire::ipv4::Ipv4Envelope;

const NONE: Ipv4Addr = Ipv4Addr::UNSPECIFIED;
const OURS: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 5);
const SERVER: Ipv4Addr = SERVICE_IPV4;

/// Names and frames.
pub fn seeds() -> Vec<(&'static str, Vec<u8>)> {
    let discover = |wanted, rapid_commit| Question::Discover {
        wanted,
        rapid_commit,
    };
    let clients = [
        ("discover", discover(NONE, false), NONE),
        ("discover-rapid", discover(OURS, true), NONE),
        (
            "request-selecting",
            Question::Select {
                server: SERVER,
                wanted: OURS,
            },
            NONE,
        ),
        ("request-reboot", Question::Reboot { wanted: OURS }, NONE),
        ("request-extend", Question::Extend, OURS),
        ("inform", Question::Inform, OURS),
        (
            "decline",
            Question::Decline {
                server: SERVER,
                address: OURS,
            },
            NONE,
        ),
        ("release", Question::Release { server: SERVER }, OURS),
    ];
    let clients = clients.map(|(name, question, ciaddr)| {
        let header = header(ciaddr);
        let message = ClientMessage { header, question };
        (name, frame(&message.emit(), 68, 67))
    });
    let kinds = [
        ("offer", ServerMessageKind::Offer, 576),
        ("ack", ServerMessageKind::Ack, 1500),
        ("nak", ServerMessageKind::Nak, 576),
    ];
    let servers = kinds.map(|(name, kind, most)| {
        let (message, _) = answer(kind).emit(most, &[]);
        (name, frame(&message, 67, 68))
    });
    clients.into_iter().chain(servers).collect()
}

fn header(ciaddr: Ipv4Addr) -> ClientHeader {
    let mut chaddr = [0; 16];
    chaddr[..6].copy_from_slice(&[0xfa, 0x16, 0x3e, 0x11, 0x22, 0x33]);
    ClientHeader {
        htype: 1,
        hlen: 6,
        transaction: 0xa1b2_c3d4,
        broadcast: false,
        ciaddr,
        chaddr,
        client_id: vec![1, 0xfa, 0x16, 0x3e, 0x11, 0x22, 0x33],
        requested: vec![1, 121, 3, 6, 15, 119, 26],
        packet_bytes_max: 1500,
    }
}

/// An offer longer than its options' own field: the others are used too.
fn answer(kind: ServerMessageKind) -> ServerMessage {
    if kind == ServerMessageKind::Nak {
        return ServerMessage::new(kind, &header(NONE), SERVER);
    }
    let routes = (0..34).map(|at| StaticRoute {
        destination: format!("10.{at}.0.0/24").parse().unwrap(),
        router: Ipv4Addr::new(10, 0, 0, 9),
    });
    ServerMessage {
        yiaddr: OURS,
        lease: Some(Lease {
            lease_time_s: 5400,
            renewal_time_s: 2700,
            rebinding_time_s: 4725,
        }),
        subnet: Some("10.0.0.0/24".parse().unwrap()),
        router: Some(Ipv4Addr::new(10, 0, 0, 1)),
        routes: routes.collect(),
        dns_servers: vec![Ipv4Addr::new(192, 0, 2, 53)],
        mtu: Some(1430),
        dns_search: vec!["example.org".to_owned()],
        ..ServerMessage::new(kind, &header(NONE), SERVER)
    }
}

fn frame(data: &[u8], source_port: u16, destination_port: u16) -> Vec<u8> {
    let envelope = Ipv4Envelope {
        mac_destination: Mac([0xff; 6]),
        mac_source: Mac([0xfa, 0x16, 0x3e, 0x11, 0x22, 0x33]),
        source: NONE,
        destination: Ipv4Addr::BROADCAST,
    };
    envelope.udp(Udp {
        source_port,
        destination_port,
        data,
    })
}
