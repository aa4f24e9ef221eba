//! A guest as its kernel and its DHCPv6 client behave: duplicate address checks, Router Solicitation, SLAAC
//! (RFC 4862), and the client of RFC 9915 as far as one exchange and its renewal go.
//!
//! Its DHCPv4 client is beside, as it shares nothing with the rest but the link.
//!
//! Delays that a kernel draws at random are fixed at [`DAD_DELAY`], so that a scenario's times can be foretold.

mod dhcpv4;
mod own;

use std::collections::BTreeMap;
use std::net::Ipv6Addr;
use std::time::Duration;

use hextet_core::mac::Mac;
use hextet_wire::dhcpv6::{
    self, ALL_DHCP_RELAY_AGENTS_AND_SERVERS, Asked, ClientMessage, Duid, Ia, IaAddress, IaKind,
    InformationRequest, ServerMessage, ServerMessageKind,
};
use hextet_wire::frame::{self, ALL_ROUTERS, Envelope, Udp, multicast_mac, solicited_node};
use hextet_wire::ipv4::ETHERTYPE_IPV4;
use hextet_wire::mld;
use hextet_wire::ndp::{
    self, HOP_LIMIT, NdOption, NdpMessage, NeighborAdvert, NeighborSolicit, PrefixInformation,
    RouterAdvert, RouterSolicit,
};
use ipnet::Ipv6Net;

pub use dhcpv4::{Dhcpv4Client, Dhcpv4Config};

/// How long a kernel waits before the first check of an address; drawn from 0 to 1 s (RFC 4862 §5.4.2), here its mean.
pub const DAD_DELAY: Duration = Duration::from_millis(500);
/// RTR_SOLICITATION_INTERVAL (RFC 4861 §10).
pub const RTR_SOLICITATION_INTERVAL: Duration = Duration::from_secs(4);
/// MAX_RTR_SOLICITATIONS (RFC 4861 §10).
pub const MAX_RTR_SOLICITATIONS: u8 = 3;
/// RETRANS_TIMER (RFC 4861 §10), until an advertisement says otherwise.
pub const RETRANS_TIMER: Duration = Duration::from_secs(1);
/// How long a client waits for an answer before it asks again: SOL_TIMEOUT (RFC 9915 §7.6), without its growth.
pub const SOL_TIMEOUT: Duration = Duration::from_secs(1);
/// How often a client asks before it gives up.
pub const DHCPV6_ATTEMPTS: u8 = 30;

/// What a guest's administrator installed.
#[derive(Clone, Debug)]
pub struct GuestConfig {
    /// Its card's MAC.
    pub mac: Mac,
    /// Its link-local address: from the MAC, or from a secret that clones share.
    pub link_local: Ipv6Addr,
    /// Its DHCPv6 client, if it runs one: the DUID that it shows.
    pub client: Option<Duid>,
    /// Whether the client takes a Reply to its Solicit.
    pub rapid_commit: bool,
    /// Its DHCPv4 client, if it runs one.
    pub dhcpv4: Option<Dhcpv4Config>,
    /// What it does with Router Advertisements.
    pub adverts: Adverts,
}

/// What a guest does with Router Advertisements.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Adverts {
    /// It solicits and believes them.
    #[default]
    Believed,
    /// It does neither (`accept_ra=0`). Its DHCPv6 client is started by hand.
    Ignored,
    /// It solicits, and a filter of its own drops them.
    Filtered,
}

/// How far an address has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AddressState {
    /// Being checked.
    Tentative,
    /// Usable.
    Preferred,
    /// Usable for what is open already (RFC 4862 §5.5.4).
    Deprecated,
    /// Somebody else has it.
    Duplicate,
}

/// What the guest does by itself, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Alarm {
    Probe(Ipv6Addr),
    ProbeEnd(Ipv6Addr),
    Solicit(u8),
    Dhcpv6(u8),
    Renew,
}

/// Where the DHCPv6 client is.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Client {
    Idle,
    Soliciting,
    Requesting(Duid),
    Asking,
    Bound(Duid),
    Informed,
}

/// A simulated guest.
#[derive(Clone, Debug)]
pub struct Guest {
    config: GuestConfig,
    alarms: Vec<(Duration, Alarm)>,
    retrans: Duration,
    client: Client,
    addresses: BTreeMap<Ipv6Addr, AddressState>,
    /// Every advertisement heard, with its time and whether it was sent to the Ethernet group.
    pub adverts: Vec<(Duration, bool, RouterAdvert)>,
    /// When it was asked for its groups.
    pub queries: Vec<Duration>,
    /// On-link prefixes.
    pub on_link: Vec<Ipv6Net>,
    /// Name servers, from advertisements and from DHCPv6.
    pub dns: Vec<Ipv6Addr>,
    /// Neighbours that were answered for.
    pub neighbours: BTreeMap<Ipv6Addr, Mac>,
    /// DHCPv6 answers heard.
    pub answers: Vec<ServerMessage>,
    /// The DHCPv4 client, if there is one.
    pub dhcpv4: Option<Dhcpv4Client>,
}

impl Guest {
    /// The guest's link came up.
    pub fn boot(config: GuestConfig, now: Duration) -> Guest {
        let link_local = config.link_local;
        let dhcpv4 = config.dhcpv4.clone();
        Guest {
            dhcpv4: dhcpv4.map(|client| Dhcpv4Client::new(config.mac, client, now)),
            config,
            alarms: vec![(now + DAD_DELAY, Alarm::Probe(link_local))],
            retrans: RETRANS_TIMER,
            client: Client::Idle,
            addresses: BTreeMap::from([(link_local, AddressState::Tentative)]),
            adverts: Vec::new(),
            queries: Vec::new(),
            on_link: Vec::new(),
            dns: Vec::new(),
            neighbours: BTreeMap::new(),
            answers: Vec::new(),
        }
    }

    /// How far an address has come; nothing if the guest does not have it.
    pub fn address(&self, address: Ipv6Addr) -> Option<AddressState> {
        self.addresses.get(&address).copied()
    }

    /// When the guest does something by itself.
    pub fn poll_timeout(&self) -> Option<Duration> {
        let alarms = self.alarms.iter().map(|(at, _)| *at);
        let dhcpv4 = self.dhcpv4.as_ref().and_then(Dhcpv4Client::poll_timeout);
        alarms.chain(dhcpv4).min()
    }

    /// What the guest sends when its time has come.
    pub fn handle_timeout(&mut self, now: Duration) -> Vec<Vec<u8>> {
        let due: Vec<Alarm> = {
            let (due, later) = std::mem::take(&mut self.alarms)
                .into_iter()
                .partition(|(at, _)| *at <= now);
            self.alarms = later;
            let due: Vec<(Duration, Alarm)> = due;
            due.into_iter().map(|(_, alarm)| alarm).collect()
        };
        let mut frames: Vec<Vec<u8>> = Vec::new();
        for alarm in due {
            frames.extend(self.act(alarm, now));
        }
        if let Some(client) = &mut self.dhcpv4 {
            frames.extend(client.handle_timeout(now));
        }
        frames
    }

    /// Asks who has an address.
    pub fn ask(&self, target: Ipv6Addr) -> Vec<u8> {
        let options = vec![NdOption::SourceLinkLayer(self.config.mac)];
        NdpMessage::NeighborSolicit(NeighborSolicit { target, options })
            .emit(&self.envelope(self.config.link_local, solicited_node(target)))
    }

    /// A frame came for the guest; what it sends in answer at once is returned, the rest comes with its next timeout.
    pub fn handle_frame(&mut self, frame: &[u8], now: Duration) -> Option<Vec<u8>> {
        if frame::ethertype(frame) == Some(ETHERTYPE_IPV4) {
            let client = self.dhcpv4.as_mut();
            client
                .expect("nobody else is spoken to by IPv4")
                .handle_frame(frame, now);
            return None;
        }
        let packet = frame::parse(frame).expect("a host sends valid frames");
        let to_group = packet.envelope.mac_destination.is_multicast();
        assert!(
            to_group || packet.envelope.mac_destination == self.config.mac,
            "a frame for somebody else: {:?}",
            packet.envelope
        );
        if let Some(udp) = packet.udp() {
            assert_eq!(udp.destination_port, dhcpv6::CLIENT_PORT);
            let answer = ServerMessage::parse(udp.data).expect("a server sends valid answers");
            self.handle_answer(answer, now);
            return None;
        }
        if mld::parse(&packet).is_ok() {
            self.queries.push(now);
            return None;
        }
        match ndp::parse(&packet).expect("a host sends valid Neighbor Discovery") {
            NdpMessage::RouterAdvert(_) if self.config.adverts != Adverts::Believed => {}
            NdpMessage::RouterAdvert(advert) => {
                self.handle_advert(&advert, now);
                self.adverts.push((now, to_group, advert));
            }
            NdpMessage::NeighborAdvert(advert) => self.handle_neighbour(&advert),
            NdpMessage::NeighborSolicit(solicit) => {
                return self.handle_solicit(&solicit, &packet.envelope);
            }
            NdpMessage::RouterSolicit(_) => panic!("hosts ask guests for no advertisement"),
        }
        None
    }

    fn act(&mut self, alarm: Alarm, now: Duration) -> Vec<Vec<u8>> {
        match alarm {
            Alarm::Probe(target) => {
                self.alarms
                    .push((now + self.retrans, Alarm::ProbeEnd(target)));
                let options = vec![];
                let probe = NdpMessage::NeighborSolicit(NeighborSolicit { target, options });
                vec![probe.emit(&self.envelope(Ipv6Addr::UNSPECIFIED, solicited_node(target)))]
            }
            Alarm::ProbeEnd(target) => self.end_probe(target, now),
            Alarm::Solicit(sent) => self.solicit_router(sent, now),
            Alarm::Dhcpv6(sent) if sent < DHCPV6_ATTEMPTS => {
                let Some(message) = self.client_message() else {
                    return vec![];
                };
                self.alarms
                    .push((now + SOL_TIMEOUT, Alarm::Dhcpv6(sent + 1)));
                vec![self.datagram(&message)]
            }
            Alarm::Dhcpv6(_) => vec![],
            Alarm::Renew => {
                let Client::Bound(server) = self.client.clone() else {
                    return vec![];
                };
                let asked = self.asked();
                vec![self.datagram(&ClientMessage::Renew { asked, server })]
            }
        }
    }

    fn end_probe(&mut self, target: Ipv6Addr, now: Duration) -> Vec<Vec<u8>> {
        match self.addresses.get_mut(&target) {
            Some(state @ AddressState::Tentative) => *state = AddressState::Preferred,
            _ => return vec![],
        }
        if target != self.config.link_local {
            return vec![];
        }
        if self.config.adverts == Adverts::Ignored {
            if self.config.client.is_some() {
                self.client = Client::Soliciting;
                self.start_client(now);
            }
            return vec![];
        }
        self.start_client(now);
        self.solicit_router(0, now)
    }

    fn solicit_router(&mut self, sent: u8, now: Duration) -> Vec<Vec<u8>> {
        let heard = !self.adverts.is_empty();
        if sent >= MAX_RTR_SOLICITATIONS || (sent > 0 && heard) {
            return vec![];
        }
        let next = now + RTR_SOLICITATION_INTERVAL;
        self.alarms.push((next, Alarm::Solicit(sent + 1)));
        let options = vec![NdOption::SourceLinkLayer(self.config.mac)];
        let solicit = NdpMessage::RouterSolicit(RouterSolicit { options });
        vec![solicit.emit(&self.envelope(self.config.link_local, ALL_ROUTERS))]
    }

    fn handle_advert(&mut self, advert: &RouterAdvert, now: Duration) {
        if advert.retrans_timer_ms > 0 {
            self.retrans = Duration::from_millis(advert.retrans_timer_ms.into());
        }
        for option in &advert.options {
            match option {
                NdOption::Prefix(prefix) => self.handle_prefix(prefix, now),
                NdOption::Rdnss {
                    lifetime_s,
                    servers,
                } => {
                    self.dns.retain(|known| !servers.contains(known));
                    if *lifetime_s > 0 {
                        self.dns.extend(servers);
                    }
                }
                _ => {}
            }
        }
        if self.client == Client::Idle {
            match (advert.managed, advert.other) {
                (true, _) => self.client = Client::Soliciting,
                (false, true) => self.client = Client::Asking,
                (false, false) => return,
            }
            self.start_client(now);
        }
    }

    /// RFC 4862 §5.5.3.
    fn handle_prefix(&mut self, prefix: &PrefixInformation, now: Duration) {
        self.on_link.retain(|known| *known != prefix.prefix);
        if prefix.on_link && prefix.valid_lifetime_s > 0 {
            self.on_link.push(prefix.prefix);
        }
        if !prefix.autonomous || prefix.prefix.prefix_len() != 64 {
            return;
        }
        let address = self.config.mac.eui64(prefix.prefix);
        match self.addresses.get_mut(&address) {
            Some(state @ (AddressState::Preferred | AddressState::Deprecated)) => {
                *state = if prefix.preferred_lifetime_s == 0 {
                    AddressState::Deprecated
                } else {
                    AddressState::Preferred
                };
            }
            Some(AddressState::Tentative | AddressState::Duplicate) => {}
            None if prefix.valid_lifetime_s > 0 => self.check_address(address, now),
            None => {}
        }
    }

    fn check_address(&mut self, address: Ipv6Addr, now: Duration) {
        self.addresses.insert(address, AddressState::Tentative);
        self.alarms.push((now + DAD_DELAY, Alarm::Probe(address)));
    }

    fn handle_neighbour(&mut self, advert: &NeighborAdvert) {
        match self.addresses.get_mut(&advert.target) {
            Some(state @ AddressState::Tentative) => *state = AddressState::Duplicate,
            Some(_) => {}
            None => {
                let mac = advert.options.iter().find_map(|option| match option {
                    NdOption::TargetLinkLayer(mac) => Some(*mac),
                    _ => None,
                });
                self.neighbours
                    .insert(advert.target, mac.expect("an answer names the MAC"));
            }
        }
    }

    /// The client needs an advertisement that calls for it and a link-local address to speak from.
    fn start_client(&mut self, now: Duration) {
        let ready = self.address(self.config.link_local) == Some(AddressState::Preferred);
        let wanted = matches!(self.client, Client::Soliciting | Client::Asking);
        let pending = self
            .alarms
            .iter()
            .any(|(_, alarm)| matches!(alarm, Alarm::Dhcpv6(_)));
        if ready && wanted && !pending && self.config.client.is_some() {
            self.alarms.push((now, Alarm::Dhcpv6(0)));
        }
    }

    fn asked(&self) -> Asked {
        let held = self
            .answers
            .last()
            .into_iter()
            .flat_map(|answer| &answer.ias);
        let addresses = held.flat_map(|ia| &ia.addresses).map(|held| IaAddress {
            address: held.address,
            preferred_lifetime_s: 0,
            valid_lifetime_s: 0,
        });
        let [_, _, a, b, c, d] = self.config.mac.0;
        Asked {
            transaction: [b, c, d],
            client: self.config.client.clone().expect("a client runs"),
            ias: vec![Ia {
                kind: IaKind::Na,
                iaid: u32::from_be_bytes([a, b, c, d]),
                addresses: addresses.collect(),
            }],
            requested: vec![dhcpv6::code::DNS_SERVERS],
            reconfigure_accept: false,
        }
    }

    fn client_message(&self) -> Option<ClientMessage> {
        let asked = self.asked();
        match &self.client {
            Client::Soliciting => Some(ClientMessage::Solicit {
                asked,
                rapid_commit: self.config.rapid_commit,
            }),
            Client::Requesting(server) => Some(ClientMessage::Request {
                asked,
                server: server.clone(),
            }),
            Client::Asking => Some(ClientMessage::InformationRequest(InformationRequest {
                transaction: asked.transaction,
                client: Some(asked.client),
                server: None,
                requested: asked.requested,
                reconfigure_accept: false,
            })),
            Client::Idle | Client::Bound(_) | Client::Informed => None,
        }
    }

    fn handle_answer(&mut self, answer: ServerMessage, now: Duration) {
        let usable = answer.ias.iter().any(|ia| !ia.addresses.is_empty());
        let server = answer.server.clone();
        match (&self.client, answer.kind) {
            (Client::Soliciting, ServerMessageKind::Advertise) if usable => {
                assert_eq!(answer.preference, Some(255), "the client need not wait");
                self.client = Client::Requesting(server);
                self.alarms
                    .retain(|(_, alarm)| !matches!(alarm, Alarm::Dhcpv6(_)));
                self.alarms.push((now, Alarm::Dhcpv6(0)));
            }
            (Client::Soliciting, ServerMessageKind::Reply) if answer.rapid_commit => {
                self.bind(&answer, server, now);
            }
            (Client::Requesting(_) | Client::Bound(_), ServerMessageKind::Reply) => {
                self.bind(&answer, server, now);
            }
            (Client::Asking, ServerMessageKind::Reply) => self.client = Client::Informed,
            _ => {}
        }
        for server in &answer.dns_servers {
            if !self.dns.contains(server) {
                self.dns.push(*server);
            }
        }
        self.answers.push(answer);
    }

    fn bind(&mut self, answer: &ServerMessage, server: Duid, now: Duration) {
        self.client = Client::Bound(server);
        for ia in &answer.ias {
            if ia.t1_s > 0 {
                let t1 = Duration::from_secs(ia.t1_s.into());
                self.alarms.push((now + t1, Alarm::Renew));
            }
            for given in &ia.addresses {
                if given.valid_lifetime_s == 0 {
                    self.addresses.remove(&given.address);
                } else if !self.addresses.contains_key(&given.address) {
                    self.check_address(given.address, now);
                }
            }
        }
    }

    fn datagram(&self, message: &ClientMessage) -> Vec<u8> {
        let all = ALL_DHCP_RELAY_AGENTS_AND_SERVERS;
        self.envelope(self.config.link_local, all).udp(Udp {
            source_port: dhcpv6::CLIENT_PORT,
            destination_port: dhcpv6::SERVER_PORT,
            data: &message.emit(),
        })
    }

    fn envelope(&self, source: Ipv6Addr, destination: Ipv6Addr) -> Envelope {
        Envelope {
            mac_destination: multicast_mac(destination),
            mac_source: self.config.mac,
            source,
            destination,
            hop_limit: HOP_LIMIT,
        }
    }
}
