//! The guest's DHCPv4 client: RFC 2131 §4.4 as far as one address, its renewal and its loss go.

use std::net::Ipv4Addr;
use std::time::Duration;

use hextet_core::mac::Mac;
use hextet_wire::dhcpv4::{
    CLIENT_PORT, ClientHeader, ClientMessage, PACKET_BYTES_MIN, Question, SERVER_PORT,
    ServerMessage, ServerMessageKind, code,
};
use hextet_wire::frame::Udp;
use hextet_wire::ipv4::{self, Ipv4Envelope};

/// How long the client waits for an answer (RFC 2131 §4.1, without its growth).
pub const DHCPV4_TIMEOUT: Duration = Duration::from_secs(4);
/// How often it asks before it gives up.
pub const DHCPV4_ATTEMPTS: u8 = 5;

/// What the guest's administrator set.
#[derive(Clone, Debug, Default)]
pub struct Dhcpv4Config {
    /// It takes broadcast answers only.
    pub broadcast: bool,
    /// It takes an acknowledgement to its first message (RFC 4039).
    pub rapid_commit: bool,
    /// Its identifier; empty: none.
    pub client_id: Vec<u8>,
    /// The address that it had before it booted.
    pub held: Option<Ipv4Addr>,
}

/// Where the client is (RFC 2131 figure 5).
#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    Rebooting(Ipv4Addr),
    Selecting,
    Requesting(ServerMessage),
    Bound(ServerMessage),
    Renewing(ServerMessage),
}

/// A client.
#[derive(Clone, Debug)]
pub struct Dhcpv4Client {
    mac: Mac,
    config: Dhcpv4Config,
    state: State,
    /// What it does next by itself, and how often it has asked.
    alarm: Option<(Duration, u8)>,
    /// Answers heard, and whether each was broadcast.
    pub answers: Vec<(bool, ServerMessage)>,
}

impl Dhcpv4Client {
    /// A client that asks at once.
    pub fn new(mac: Mac, config: Dhcpv4Config, now: Duration) -> Self {
        Self {
            mac,
            state: config.held.map_or(State::Selecting, State::Rebooting),
            config,
            alarm: Some((now, 0)),
            answers: Vec::new(),
        }
    }

    /// What the client was given, while it may use it.
    pub fn lease(&self) -> Option<&ServerMessage> {
        match &self.state {
            State::Bound(lease) | State::Renewing(lease) => Some(lease),
            State::Rebooting(_) | State::Selecting | State::Requesting(_) => None,
        }
    }

    /// When the client does something by itself.
    pub fn poll_timeout(&self) -> Option<Duration> {
        self.alarm.map(|(at, _)| at)
    }

    /// What it sends when its time has come.
    pub fn handle_timeout(&mut self, now: Duration) -> Option<Vec<u8>> {
        let (_, sent) = self.alarm.take_if(|(at, _)| *at <= now)?;
        if let State::Bound(lease) = &self.state {
            self.state = State::Renewing(lease.clone());
        }
        if sent >= DHCPV4_ATTEMPTS {
            return None;
        }
        self.alarm = Some((now + DHCPV4_TIMEOUT, sent + 1));
        Some(self.ask())
    }

    fn ask(&self) -> Vec<u8> {
        let (question, ciaddr) = match &self.state {
            State::Rebooting(wanted) => (Question::Reboot { wanted: *wanted }, None),
            State::Selecting => (
                Question::Discover {
                    wanted: Ipv4Addr::UNSPECIFIED,
                    rapid_commit: self.config.rapid_commit,
                },
                None,
            ),
            State::Requesting(offer) => (
                Question::Select {
                    server: offer.server,
                    wanted: offer.yiaddr,
                },
                None,
            ),
            State::Bound(lease) | State::Renewing(lease) => {
                (Question::Extend, Some((lease.yiaddr, lease.server)))
            }
        };
        let (source, destination) = ciaddr.unwrap_or((Ipv4Addr::UNSPECIFIED, Ipv4Addr::BROADCAST));
        let mut chaddr = [0; 16];
        chaddr[..6].copy_from_slice(&self.mac.0);
        let message = ClientMessage {
            header: ClientHeader {
                htype: 1,
                hlen: 6,
                transaction: self.transaction(),
                broadcast: self.config.broadcast,
                ciaddr: source,
                chaddr,
                client_id: self.config.client_id.clone(),
                requested: vec![
                    code::SUBNET_MASK,
                    code::CLASSLESS_ROUTES,
                    code::ROUTER,
                    code::HOST_NAME,
                ],
                packet_bytes_max: PACKET_BYTES_MIN,
            },
            question,
        };
        let envelope = Ipv4Envelope {
            mac_destination: Mac([0xff; 6]),
            mac_source: self.mac,
            source,
            destination,
        };
        envelope.udp(Udp {
            source_port: CLIENT_PORT,
            destination_port: SERVER_PORT,
            data: &message.emit(),
        })
    }

    fn transaction(&self) -> u32 {
        let [_, _, a, b, c, d] = self.mac.0;
        u32::from_be_bytes([a, b, c, d])
    }

    /// A frame came for the client.
    pub fn handle_frame(&mut self, frame: &[u8], now: Duration) {
        let (envelope, udp) = ipv4::parse(frame).expect("a host sends valid datagrams");
        assert_eq!(
            (udp.source_port, udp.destination_port),
            (SERVER_PORT, CLIENT_PORT)
        );
        let answer = ServerMessage::parse(udp.data).expect("a server sends valid answers");
        assert_eq!(answer.transaction, self.transaction());
        assert_eq!(answer.client_id, self.config.client_id, "RFC 6842");
        let to_all = envelope.destination.is_broadcast();
        let usable = to_all || !self.config.broadcast || self.lease().is_some();
        assert!(
            usable,
            "the client takes broadcast answers only: {envelope:?}"
        );
        match (&self.state, answer.kind) {
            (State::Selecting, ServerMessageKind::Offer) => {
                self.state = State::Requesting(answer.clone());
                self.alarm = Some((now, 0));
            }
            (State::Selecting, ServerMessageKind::Ack) if answer.rapid_commit => {
                self.bind(&answer, now)
            }
            (
                State::Rebooting(_) | State::Requesting(_) | State::Renewing(_),
                ServerMessageKind::Ack,
            ) => {
                self.bind(&answer, now);
            }
            (
                State::Rebooting(_) | State::Requesting(_) | State::Renewing(_),
                ServerMessageKind::Nak,
            ) => {
                self.state = State::Selecting;
                self.alarm = Some((now, 0));
            }
            _ => {}
        }
        self.answers.push((to_all, answer));
    }

    fn bind(&mut self, answer: &ServerMessage, now: Duration) {
        let lease = answer.lease.expect("an acknowledgement says for how long");
        let t1 = Duration::from_secs(lease.renewal_time_s.into());
        self.alarm = Some((now + t1, 0));
        self.state = State::Bound(answer.clone());
    }
}
