//! Golden packets of DHCPv4: every answer that a guest can get, as annotated hex files that are reviewed like code.
//!
//! `HEXTET_UPDATE=1 cargo test -p hextet-wire --test golden_dhcpv4` rewrites them.

#![allow(
    clippy::disallowed_methods,
    reason = "the files are read and written by the test, never by the crate"
)]
#![allow(clippy::unwrap_used, reason = "everything here is a test")]

#[path = "golden/annotate.rs"]
mod annotate;

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use hextet_core::mac::Mac;
use hextet_wire::dhcpv4::{
    Boot, CLIENT_PORT, ClientHeader, Lease, PACKET_BYTES_MIN, SERVER_PORT, ServerMessage,
    ServerMessageKind, StaticRoute, code,
};
use hextet_wire::frame::Udp;
use hextet_wire::ipv4::{self, Ipv4Envelope};

use annotate::golden;

const GUEST: Mac = Mac([0xfa, 0x16, 0x3e, 0x11, 0x22, 0x33]);
const SERVICE: Mac = Mac([0x02, 0x68, 0x78, 0x00, 0x00, 0x2a]);
const SERVER: Ipv4Addr = Ipv4Addr::new(169, 254, 169, 254);
const ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 4, 0, 64);

struct Case {
    name: &'static str,
    title: &'static str,
    message: ServerMessage,
    /// What the client asked for.
    requested: &'static [u8],
    /// What it takes, bytes of a packet.
    packet_bytes_max: u16,
}

impl Case {
    fn envelope(&self) -> Ipv4Envelope {
        let broadcast = self.message.kind == ServerMessageKind::Nak || self.message.broadcast;
        let unicast = if self.message.yiaddr.is_unspecified() {
            self.message.ciaddr
        } else {
            self.message.yiaddr
        };
        Ipv4Envelope {
            mac_destination: GUEST,
            mac_source: SERVICE,
            source: SERVER,
            destination: if broadcast {
                Ipv4Addr::BROADCAST
            } else {
                unicast
            },
        }
    }
}

fn message(kind: ServerMessageKind) -> ServerMessage {
    let mut chaddr = [0; 16];
    chaddr[..6].copy_from_slice(&GUEST.0);
    let header = ClientHeader {
        htype: 1,
        hlen: 6,
        transaction: 0x1234_5678,
        broadcast: false,
        ciaddr: Ipv4Addr::UNSPECIFIED,
        chaddr,
        client_id: Vec::new(),
        requested: Vec::new(),
        packet_bytes_max: PACKET_BYTES_MIN,
    };
    ServerMessage::new(kind, &header, SERVER)
}

fn leased(kind: ServerMessageKind) -> ServerMessage {
    ServerMessage {
        yiaddr: ADDRESS,
        lease: Some(Lease {
            lease_time_s: 5400,
            renewal_time_s: 2700,
            rebinding_time_s: 4725,
        }),
        ..informed(kind)
    }
}

/// What a subnet says without a lease.
fn informed(kind: ServerMessageKind) -> ServerMessage {
    let route = |destination: &str, router: [u8; 4]| StaticRoute {
        destination: destination.parse().unwrap(),
        router: router.into(),
    };
    ServerMessage {
        subnet: Some("10.4.0.0/24".parse().unwrap()),
        router: Some(Ipv4Addr::new(10, 4, 0, 1)),
        routes: vec![
            route("169.254.169.254/32", [0, 0, 0, 0]),
            route("198.51.100.0/24", [10, 4, 0, 9]),
            route("0.0.0.0/0", [10, 4, 0, 1]),
        ],
        dns_servers: vec![Ipv4Addr::new(223, 5, 5, 5), Ipv4Addr::new(223, 6, 6, 6)],
        mtu: Some(1400),
        dns_search: vec!["example.org".to_owned(), "example.net".to_owned()],
        ..message(kind)
    }
}

/// With what a port says besides its subnet and instead of it.
fn booting() -> ServerMessage {
    let extra = [
        (code::TFTP_SERVER, b"boot.example.org".to_vec()),
        (code::BOOT_FILE, b"pxelinux.0".to_vec()),
        (code::DOMAIN_NAME, b"rack.example.org".to_vec()),
        (42, vec![192, 0, 2, 123]),
    ];
    ServerMessage {
        host_name: "host-10-4-0-64".to_owned(),
        boot: Boot {
            server: Ipv4Addr::new(192, 0, 2, 69),
            server_name: b"boot.example.org".to_vec(),
            file: b"pxelinux.0".to_vec(),
        },
        dns_search: vec!["a.example.org".to_owned(), "example.org".to_owned()],
        extra: extra.into(),
        ..leased(ServerMessageKind::Ack)
    }
}

fn cases() -> Vec<Case> {
    let case = |name, title, message, requested| Case {
        name,
        title,
        message,
        requested,
        packet_bytes_max: 1400,
    };
    vec![
        case(
            "offer",
            "DHCPOFFER to a client that asked for mask, router and name servers: these come first, the rest behind them",
            leased(ServerMessageKind::Offer),
            &[code::SUBNET_MASK, code::ROUTER, code::DNS_SERVERS],
        ),
        case(
            "ack-broadcast",
            "DHCPACK to a client that takes no unicast yet and asked for Microsoft's number of the routes",
            ServerMessage {
                broadcast: true,
                client_id: vec![1, 0xfa, 0x16, 0x3e, 0x11, 0x22, 0x33],
                ..leased(ServerMessageKind::Ack)
            },
            &[code::CLASSLESS_ROUTES_MICROSOFT],
        ),
        case(
            "ack-rapid",
            "DHCPACK in answer to a DHCPDISCOVER with rapid commit",
            ServerMessage {
                rapid_commit: true,
                ..leased(ServerMessageKind::Ack)
            },
            &[],
        ),
        case(
            "ack-boot",
            "DHCPACK with a host name, further options and another domain name, to a client that asked for some of these",
            booting(),
            &[code::HOST_NAME, code::BOOT_FILE],
        ),
        case(
            "ack-island",
            "DHCPACK on a subnet without a gateway and name servers",
            ServerMessage {
                router: None,
                routes: vec![StaticRoute {
                    destination: "169.254.169.254/32".parse().unwrap(),
                    router: Ipv4Addr::UNSPECIFIED,
                }],
                dns_servers: Vec::new(),
                dns_search: Vec::new(),
                ..leased(ServerMessageKind::Ack)
            },
            &[code::ROUTER],
        ),
        case(
            "ack-inform",
            "DHCPACK in answer to a DHCPINFORM: no address, no lease",
            ServerMessage {
                ciaddr: ADDRESS,
                ..informed(ServerMessageKind::Ack)
            },
            &[],
        ),
        case(
            "nak",
            "DHCPNAK: to everybody's address, on the guest's link alone",
            ServerMessage {
                message: "another address is this port's".to_owned(),
                ..message(ServerMessageKind::Nak)
            },
            &[],
        ),
        Case {
            packet_bytes_max: 340,
            ..case(
                "ack-small",
                "DHCPACK to a client that takes packets of 340 bytes: what has no room among the options is in the file field",
                leased(ServerMessageKind::Ack),
                &[code::CLASSLESS_ROUTES],
            )
        },
    ]
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("golden-dhcpv4")
}

fn check(case: &Case) {
    let path = folder().join(format!("{}.hex", case.name));
    let (data, left_out) = case.message.emit(case.packet_bytes_max, case.requested);
    assert_eq!(left_out, 0, "{}", case.name);
    let emitted = case.envelope().udp(Udp {
        source_port: SERVER_PORT,
        destination_port: CLIENT_PORT,
        data: &data,
    });
    let bytes = golden(&path, case.title, &emitted);
    let (envelope, udp) = ipv4::parse(&bytes).unwrap();
    assert_eq!(envelope, case.envelope(), "{}", case.name);
    let ports = (udp.source_port, udp.destination_port);
    assert_eq!(ports, (SERVER_PORT, CLIENT_PORT));
    let parsed = ServerMessage::parse(udp.data).unwrap();
    assert_eq!(parsed, case.message, "{}", case.name);
    assert!(data.len() + 28 <= usize::from(case.packet_bytes_max));
}

#[test]
fn what_is_emitted_is_what_the_files_say_and_parses_to_the_same() {
    let cases = cases();
    for case in &cases {
        check(case);
    }
    let names: BTreeSet<String> = cases
        .iter()
        .map(|case| format!("{}.hex", case.name))
        .collect();
    let files: BTreeSet<String> = std::fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(files, names, "every file belongs to a case");
}
