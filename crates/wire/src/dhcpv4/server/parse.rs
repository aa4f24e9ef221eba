//! A server's answer as a client reads it.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use hextet_core::domain;
use ipnet::Ipv4Net;

use super::super::client::BROADCAST;
use super::super::code;
use super::super::options::{self, Fixed, Options};
use super::{
    ACK, BOOTREPLY, Boot, Lease, NAK, OFFER, ServerMessage, ServerMessageKind, StaticRoute,
};
use crate::bytes::Reader;

/// The most labels of a name (RFC 1035 §2.3.4).
const LABELS_MAX: usize = 127;
/// The two highest bits of an octet that begins a pointer in a name (RFC 1035 §4.1.4).
const POINTER: u8 = 0xc0;
/// Options that have members of their own in [`ServerMessage`].
const OWN: [u8; 17] = [
    code::SUBNET_MASK,
    code::ROUTER,
    code::DNS_SERVERS,
    code::HOST_NAME,
    code::DOMAIN_NAME,
    code::INTERFACE_MTU,
    code::BROADCAST_ADDRESS,
    code::LEASE_TIME,
    code::OVERLOAD,
    code::MESSAGE_TYPE,
    code::SERVER_ID,
    code::MESSAGE,
    code::RENEWAL_TIME,
    code::REBINDING_TIME,
    code::CLIENT_ID,
    code::RAPID_COMMIT,
    code::DOMAIN_SEARCH,
];

pub(super) fn parse(message: &[u8]) -> Option<ServerMessage> {
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
    let names = options.get(&code::DOMAIN_SEARCH);
    let dns_search = parse_names(names.map_or(&[], Vec::as_slice))?;
    let extra = parse_extra(&options, &dns_search);
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
        dns_search,
        host_name: text(code::HOST_NAME),
        boot: Boot {
            server: fixed.siaddr,
            server_name: text_in(&fixed.sname),
            file: text_in(&fixed.file),
        },
        extra,
    })
}

/// The text in a field.
fn text_in(field: &[u8]) -> Vec<u8> {
    let text = field.split(|byte| *byte == 0).next();
    text.unwrap_or_default().to_vec()
}

/// What has no member of its own, and a domain name that is not the search list's first.
fn parse_extra(options: &Options, dns_search: &[String]) -> BTreeMap<u8, Vec<u8>> {
    let known = |code: u8, content: &[u8]| match code {
        code::CLASSLESS_ROUTES => true,
        code::CLASSLESS_ROUTES_MICROSOFT => {
            options.get(&code::CLASSLESS_ROUTES).map(Vec::as_slice) == Some(content)
        }
        code::DOMAIN_NAME => dns_search.first().map(String::as_bytes) == Some(content),
        code => OWN.contains(&code),
    };
    let extra = options
        .iter()
        .filter(|(code, content)| !known(**code, content));
    extra
        .map(|(code, content)| (*code, content.clone()))
        .collect()
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

/// A search list (RFC 3397 §2): pointers lead to what stands before them in it, so following them ends.
fn parse_names(content: &[u8]) -> Option<Vec<String>> {
    let mut names = Vec::new();
    let mut at = 0;
    while at < content.len() {
        let (name, next) = parse_name(content, at)?;
        names.push(name);
        at = next;
    }
    Some(names)
}

/// The name that begins here, and where the next one does.
fn parse_name(content: &[u8], start: usize) -> Option<(String, usize)> {
    let mut labels: Vec<&str> = Vec::new();
    let (mut at, mut before, mut next) = (start, start, None);
    loop {
        let length = *content.get(at)?;
        if length == 0 {
            break;
        }
        if length & POINTER == POINTER {
            let low = *content.get(at + 1)?;
            next = next.or(Some(at + 2));
            at = usize::from(u16::from_be_bytes([length & !POINTER, low]));
            if at >= before {
                return None;
            }
            before = at;
            continue;
        }
        let label = content.get(at + 1..at + 1 + usize::from(length))?;
        labels.push(str::from_utf8(label).ok()?);
        if labels.len() > LABELS_MAX {
            return None;
        }
        at += 1 + usize::from(length);
    }
    let name = labels.join(".");
    domain::is_name(&name).then_some((name, next.unwrap_or(at + 1)))
}
