//! What a server answers (RFC 2131 §4.3.1, table 3).

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;

use super::client::{BROADCAST, ClientHeader};
use super::code;
use super::options::{self, Fixed, Options};
use crate::bytes::{Reader, emit_name, parse_name};

const BOOTREPLY: u8 = 2;
const OFFER: u8 = 2;
const ACK: u8 = 5;
const NAK: u8 = 6;
/// Bytes of an IPv4 and a UDP header, which count towards what a client takes.
const HEADERS_BYTES: usize = 28;

/// Offer, acknowledgement or refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ServerMessageKind {
    /// DHCPOFFER.
    Offer,
    /// DHCPACK.
    Ack,
    /// DHCPNAK.
    Nak,
}

/// A route (RFC 3442).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StaticRoute {
    /// Where it leads.
    pub destination: Ipv4Net,
    /// By whom; 0.0.0.0: the destination is on the link itself.
    pub router: Ipv4Addr,
}

/// For how long an address is the client's, seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lease {
    /// Until it ends.
    pub lease_time_s: u32,
    /// T1: until the client asks this server.
    pub renewal_time_s: u32,
    /// T2: until it asks any.
    pub rebinding_time_s: u32,
}

/// A server's answer. Options are left out where there is nothing to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerMessage {
    /// Which.
    pub kind: ServerMessageKind,
    /// Hardware type, the client's.
    pub htype: u8,
    /// Length of the hardware address, the client's.
    pub hlen: u8,
    /// Transaction ID, the client's.
    pub transaction: u32,
    /// The flag, the client's.
    pub broadcast: bool,
    /// The client's address as it gave it; 0.0.0.0 in an offer and a refusal.
    pub ciaddr: Ipv4Addr,
    /// The address that it gets; 0.0.0.0: none.
    pub yiaddr: Ipv4Addr,
    /// Hardware address, the client's.
    pub chaddr: [u8; 16],
    /// Server identifier.
    pub server: Ipv4Addr,
    /// Client identifier, the client's (RFC 6842); empty: none.
    pub client_id: Vec<u8>,
    /// For how long; none in an answer to DHCPINFORM and in a refusal.
    pub lease: Option<Lease>,
    /// The acknowledgement answers a DHCPDISCOVER (RFC 4039).
    pub rapid_commit: bool,
    /// Why not, for a person; empty: nothing is said.
    pub message: String,
    /// The subnet, for its mask and its broadcast address.
    pub subnet: Option<Ipv4Net>,
    /// The default router.
    pub router: Option<Ipv4Addr>,
    /// Classless routes. They replace `router` for a client that takes them.
    pub routes: Vec<StaticRoute>,
    /// Name servers.
    pub dns_servers: Vec<Ipv4Addr>,
    /// Interface MTU, bytes, at least 68.
    pub mtu: Option<u16>,
    /// Search list; its first name is the domain name.
    pub dns_search: Vec<String>,
}

/// Why a server's message is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a valid DHCPv4 server message")]
pub struct ServerError;

impl ServerMessage {
    /// An answer to this client that says nothing yet.
    pub fn new(kind: ServerMessageKind, header: &ClientHeader, server: Ipv4Addr) -> Self {
        Self {
            kind,
            htype: header.htype,
            hlen: header.hlen,
            transaction: header.transaction,
            broadcast: header.broadcast,
            ciaddr: Ipv4Addr::UNSPECIFIED,
            yiaddr: Ipv4Addr::UNSPECIFIED,
            chaddr: header.chaddr,
            server,
            client_id: header.client_id.clone(),
            lease: None,
            rapid_commit: false,
            message: String::new(),
            subnet: None,
            router: None,
            routes: Vec::new(),
            dns_servers: Vec::new(),
            mtu: None,
            dns_search: Vec::new(),
        }
    }

    /// The message's bytes, for a client that takes packets of this many bytes and asked for these options; and how many
    /// options had no room. What is not asked for is sent too, after what is: clients ignore what they do not know, and some use
    /// what they forgot to ask for.
    pub fn emit(&self, packet_bytes_max: u16, requested: &[u8]) -> (Vec<u8>, usize) {
        let fixed = Fixed {
            op: BOOTREPLY,
            htype: self.htype,
            hlen: self.hlen,
            transaction: self.transaction,
            seconds: 0,
            flags: if self.broadcast { BROADCAST } else { 0 },
            ciaddr: self.ciaddr,
            yiaddr: self.yiaddr,
            giaddr: Ipv4Addr::UNSPECIFIED,
            chaddr: self.chaddr,
        };
        let mut options = self.leading_options();
        let mut parameters = self.parameters();
        parameters.retain(|(option, _)| {
            *option != code::CLASSLESS_ROUTES_MICROSOFT || requested.contains(option)
        });
        parameters.sort_by_key(|(option, _)| !requested.contains(option));
        options.extend(parameters);
        let message_bytes_max = usize::from(packet_bytes_max).saturating_sub(HEADERS_BYTES);
        options::emit(&fixed, &options, message_bytes_max)
    }

    /// What every client needs, whatever the room.
    fn leading_options(&self) -> Vec<(u8, Vec<u8>)> {
        let kind = match self.kind {
            ServerMessageKind::Offer => OFFER,
            ServerMessageKind::Ack => ACK,
            ServerMessageKind::Nak => NAK,
        };
        let mut options = vec![
            (code::MESSAGE_TYPE, vec![kind]),
            (code::SERVER_ID, self.server.octets().to_vec()),
        ];
        if let Some(lease) = &self.lease {
            for (code, seconds) in [
                (code::LEASE_TIME, lease.lease_time_s),
                (code::RENEWAL_TIME, lease.renewal_time_s),
                (code::REBINDING_TIME, lease.rebinding_time_s),
            ] {
                options.push((code, seconds.to_be_bytes().to_vec()));
            }
        }
        if let Some(subnet) = &self.subnet {
            options.push((code::SUBNET_MASK, subnet.netmask().octets().to_vec()));
        }
        if self.rapid_commit {
            options.push((code::RAPID_COMMIT, Vec::new()));
        }
        if !self.client_id.is_empty() {
            options.push((code::CLIENT_ID, self.client_id.clone()));
        }
        options
    }

    /// The rest, in the order of their importance. RFC 3442: the classless routes come before the router.
    fn parameters(&self) -> Vec<(u8, Vec<u8>)> {
        let mut options = Vec::new();
        if !self.routes.is_empty() {
            let routes = emit_routes(&self.routes);
            options.push((code::CLASSLESS_ROUTES, routes.clone()));
            options.push((code::CLASSLESS_ROUTES_MICROSOFT, routes));
        }
        if let Some(router) = self.router {
            options.push((code::ROUTER, router.octets().to_vec()));
        }
        if let Some(mtu) = self.mtu {
            options.push((code::INTERFACE_MTU, mtu.to_be_bytes().to_vec()));
        }
        if !self.dns_servers.is_empty() {
            let servers = self.dns_servers.iter().flat_map(Ipv4Addr::octets);
            options.push((code::DNS_SERVERS, servers.collect()));
        }
        if let Some(domain) = self.dns_search.first() {
            options.push((code::DOMAIN_NAME, domain.clone().into_bytes()));
            let mut names = Vec::new();
            for name in &self.dns_search {
                emit_name(name, &mut names);
            }
            options.push((code::DOMAIN_SEARCH, names));
        }
        if let Some(subnet) = self.subnet.filter(|subnet| subnet.prefix_len() < 31) {
            options.push((
                code::BROADCAST_ADDRESS,
                subnet.broadcast().octets().to_vec(),
            ));
        }
        if !self.message.is_empty() {
            options.push((code::MESSAGE, self.message.clone().into_bytes()));
        }
        options
    }

    /// Parses an answer as a client reads it.
    ///
    /// # Errors
    /// When it is malformed, or lacks what every answer has.
    pub fn parse(message: &[u8]) -> Result<Self, ServerError> {
        parse(message).ok_or(ServerError)
    }
}

fn parse(message: &[u8]) -> Option<ServerMessage> {
    let (fixed, options) = options::parse(message)?;
    let kind = match options.get(&code::MESSAGE_TYPE)?.as_slice() {
        [OFFER] => ServerMessageKind::Offer,
        [ACK] => ServerMessageKind::Ack,
        [NAK] => ServerMessageKind::Nak,
        _ => return None,
    };
    if fixed.op != BOOTREPLY {
        return None;
    }
    let text =
        |code| String::from_utf8_lossy(options.get(&code).map_or(&[], Vec::as_slice)).into_owned();
    let mtu = match options.get(&code::INTERFACE_MTU).map(Vec::as_slice) {
        None => None,
        Some([high, low]) => Some(u16::from_be_bytes([*high, *low])),
        Some(_) => return None,
    };
    Some(ServerMessage {
        kind,
        htype: fixed.htype,
        hlen: fixed.hlen,
        transaction: fixed.transaction,
        broadcast: fixed.flags & BROADCAST != 0,
        ciaddr: fixed.ciaddr,
        yiaddr: fixed.yiaddr,
        chaddr: fixed.chaddr,
        server: *addresses(&options, code::SERVER_ID)?.first()?,
        client_id: options.get(&code::CLIENT_ID).cloned().unwrap_or_default(),
        lease: parse_lease(&options)?,
        rapid_commit: options.contains_key(&code::RAPID_COMMIT),
        message: text(code::MESSAGE),
        subnet: parse_subnet(&fixed, &options)?,
        router: addresses(&options, code::ROUTER)?.first().copied(),
        routes: parse_routes(
            options
                .get(&code::CLASSLESS_ROUTES)
                .map_or(&[], Vec::as_slice),
        )?,
        dns_servers: addresses(&options, code::DNS_SERVERS)?,
        mtu,
        dns_search: parse_names(options.get(&code::DOMAIN_SEARCH).map_or(&[], Vec::as_slice))?,
    })
}

/// Every address of a list; empty where the option is not there.
fn addresses(options: &Options, code: u8) -> Option<Vec<Ipv4Addr>> {
    let content = options.get(&code).map_or(&[][..], Vec::as_slice);
    let (each, rest) = content.as_chunks::<4>();
    rest.is_empty()
        .then(|| each.iter().copied().map(Ipv4Addr::from).collect())
}

fn parse_lease(options: &Options) -> Option<Option<Lease>> {
    let seconds = |code| match options.get(&code).map(Vec::as_slice) {
        None => Some(None),
        Some(content) => content.try_into().ok().map(u32::from_be_bytes).map(Some),
    };
    let Some(lease_time_s) = seconds(code::LEASE_TIME)? else {
        return Some(None);
    };
    // RFC 2131 §4.4.5: half and seven eighths where the server does not say.
    let half = lease_time_s / 2;
    let most = (u64::from(lease_time_s) * 7 / 8) as u32;
    Some(Some(Lease {
        lease_time_s,
        renewal_time_s: seconds(code::RENEWAL_TIME)?.unwrap_or(half),
        rebinding_time_s: seconds(code::REBINDING_TIME)?.unwrap_or(most),
    }))
}

/// The subnet of the address that is given, or of the one that the client has.
fn parse_subnet(fixed: &Fixed, options: &Options) -> Option<Option<Ipv4Net>> {
    let Some(mask) = addresses(options, code::SUBNET_MASK)?.first().copied() else {
        return Some(None);
    };
    let address = if fixed.yiaddr.is_unspecified() {
        fixed.ciaddr
    } else {
        fixed.yiaddr
    };
    Ipv4Net::with_netmask(address, mask)
        .ok()
        .map(|net| Some(net.trunc()))
}

/// RFC 3442: the prefix's length, as many of its octets as it needs, the router.
fn emit_routes(routes: &[StaticRoute]) -> Vec<u8> {
    let mut out = Vec::new();
    for route in routes {
        let length = route.destination.prefix_len();
        out.push(length);
        out.extend_from_slice(
            &route.destination.network().octets()[..usize::from(length.div_ceil(8))],
        );
        out.extend_from_slice(&route.router.octets());
    }
    out
}

fn parse_routes(content: &[u8]) -> Option<Vec<StaticRoute>> {
    let mut reader = Reader::new(content);
    let mut routes = Vec::new();
    while !reader.is_empty() {
        let length = reader.u8()?;
        let significant = reader.take(usize::from(length.div_ceil(8)))?;
        let mut octets = [0; 4];
        octets
            .get_mut(..significant.len())?
            .copy_from_slice(significant);
        let destination = Ipv4Net::new(Ipv4Addr::from(octets), length).ok()?.trunc();
        let router = reader.ipv4()?;
        routes.push(StaticRoute {
            destination,
            router,
        });
    }
    Some(routes)
}

fn parse_names(content: &[u8]) -> Option<Vec<String>> {
    let mut reader = Reader::new(content);
    let mut names = Vec::new();
    while !reader.is_empty() {
        names.push(parse_name(&mut reader)?);
    }
    Some(names)
}
