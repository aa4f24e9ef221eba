//! What a server answers (RFC 2131 §4.3.1, table 3).

mod parse;

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use hextet_core::domain;
use ipnet::Ipv4Net;

use super::client::{BROADCAST, ClientHeader};
use super::code;
use super::options::{self, Fixed, Spare};

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
    /// Host name; empty: none. Said to who asks for it.
    pub host_name: String,
    /// From where the client boots.
    pub boot: Boot,
    /// Further options by code, and those that are said instead of the above; an empty one: nothing is said.
    pub extra: BTreeMap<u8, Vec<u8>>,
}

/// From where a client boots, in the message's own fields (RFC 2131 §2). What does not fit a field is not said there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Boot {
    /// `siaddr`: the next server; 0.0.0.0: none.
    pub server: Ipv4Addr,
    /// `sname`: its name, up to 63 bytes; empty: none.
    pub server_name: Vec<u8>,
    /// `file`: the boot file, up to 127 bytes; empty: none.
    pub file: Vec<u8>,
}

impl Default for Boot {
    fn default() -> Self {
        Self {
            server: Ipv4Addr::UNSPECIFIED,
            server_name: Vec::new(),
            file: Vec::new(),
        }
    }
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
            host_name: String::new(),
            boot: Boot::default(),
            extra: BTreeMap::new(),
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
            siaddr: self.boot.server,
            giaddr: Ipv4Addr::UNSPECIFIED,
            chaddr: self.chaddr,
            sname: field(&self.boot.server_name),
            file: field(&self.boot.file),
        };
        let mut options = self.leading_options();
        let mut parameters = self.parameters();
        parameters.retain(|(option, content)| {
            !content.is_empty() && (!ON_REQUEST.contains(option) || requested.contains(option))
        });
        // What is asked for as an option is read there.
        let elsewhere = |code, parameters: &[(u8, Vec<u8>)]| {
            requested.contains(&code) && parameters.iter().any(|(option, _)| *option == code)
        };
        let spare = Spare {
            sname: elsewhere(code::TFTP_SERVER, &parameters),
            file: elsewhere(code::BOOT_FILE, &parameters),
        };
        parameters.sort_by_key(|(option, _)| !requested.contains(option));
        options.extend(parameters);
        let message_bytes_max = usize::from(packet_bytes_max).saturating_sub(HEADERS_BYTES);
        options::emit(&fixed, &options, message_bytes_max, spare)
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
            let names = self.dns_search.iter().map(String::as_str);
            options.push((code::DOMAIN_SEARCH, domain::emit_compressed(names)));
        }
        options.push((code::HOST_NAME, self.host_name.clone().into_bytes()));
        if let Some(subnet) = self.subnet.filter(|subnet| subnet.prefix_len() < 31) {
            options.push((
                code::BROADCAST_ADDRESS,
                subnet.broadcast().octets().to_vec(),
            ));
        }
        if !self.message.is_empty() {
            options.push((code::MESSAGE, self.message.clone().into_bytes()));
        }
        self.replace(&mut options);
        options
    }

    /// Puts what is said instead in its place, and what is said besides behind all.
    fn replace(&self, options: &mut Vec<(u8, Vec<u8>)>) {
        for (code, content) in options.iter_mut() {
            let instead = match *code {
                // The same routes by another number.
                code::CLASSLESS_ROUTES_MICROSOFT => {
                    let routes = self.extra.get(&code::CLASSLESS_ROUTES);
                    self.extra.get(code).or(routes)
                }
                code => self.extra.get(&code),
            };
            if let Some(instead) = instead {
                content.clone_from(instead);
            }
        }
        for (code, content) in &self.extra {
            if !options.iter().any(|(option, _)| option == code) {
                options.push((*code, content.clone()));
            }
        }
    }

    /// Parses an answer as a client reads it.
    ///
    /// # Errors
    /// When it is malformed, or lacks what every answer has.
    pub fn parse(message: &[u8]) -> Result<Self, ServerError> {
        parse::parse(message).ok_or(ServerError)
    }
}

/// Options that only who asks for them is told: a guest that wants no name of ours keeps its own, one that cannot do without IPv4
/// keeps that (RFC 8925 §3.2), and one number of the routes is enough.
const ON_REQUEST: [u8; 3] = [
    code::HOST_NAME,
    code::IPV6_ONLY_PREFERRED,
    code::CLASSLESS_ROUTES_MICROSOFT,
];
/// A text in a field, which a zero ends; all zero where it has no room.
fn field<const N: usize>(text: &[u8]) -> [u8; N] {
    let mut field = [0; N];
    if text.len() < N {
        field[..text.len()].copy_from_slice(text);
    }
    field
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
