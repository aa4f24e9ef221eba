//! What an option's value looks like, in the API and on the wire.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::Ipv4Net;

use super::table::Family;
use crate::domain;

/// Longest text or octets of a value on the wire: what one DHCPv4 option holds.
const CONTENT_BYTES_MAX: usize = 255;
/// Sub-options of the NTP server option (RFC 5908 §4).
const NTP_UNICAST: u16 = 1;
const NTP_MULTICAST: u16 = 2;
const NTP_NAME: u16 = 3;

/// The form of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// Addresses of the family, separated by commas.
    Addresses,
    /// An even number of IPv4 addresses, separated by commas.
    AddressPairs,
    /// Prefix and router in turn, separated by commas (RFC 3442).
    Routes,
    /// Domain names, separated by commas.
    Names,
    /// One domain name.
    Name,
    /// SIP servers (RFC 3361 §3): all names or all addresses, separated by commas.
    SipServers,
    /// NTP servers (RFC 5908): addresses and names, separated by commas.
    NtpServers,
    /// Texts, separated by commas, each with its length (RFC 5970 §3.2).
    Texts,
    /// A text.
    Text,
    /// Octets in hexadecimal, separated by colons.
    Octets,
    /// true, false, 1 or 0.
    Flag,
    /// A number of 8 bits.
    U8,
    /// A number of 16 bits, not below this.
    U16(u16),
    /// Numbers of 16 bits, separated by commas.
    U16s,
    /// A number of 32 bits in this range.
    U32(u32, u32),
    /// A number of 32 bits that may be negative.
    I32,
    /// What dnsmasq would take an unknown option's value for: octets, a number, addresses, or a text.
    Any,
    /// An address of either family that is no option (`server-ip-address`).
    BootServer,
}

pub(super) const ANY_U32: Form = Form::U32(0, u32::MAX);

impl Form {
    /// The form in words.
    fn words(self, family: Family) -> String {
        let addresses = match family {
            Family::V4 => "IPv4 addresses",
            Family::V6 => "IPv6 addresses",
        };
        match self {
            Form::Addresses => format!("{addresses}, separated by commas"),
            Form::AddressPairs => "pairs of IPv4 addresses, separated by commas".to_owned(),
            Form::Routes => {
                "PREFIX,ROUTER pairs of IPv4 prefixes and addresses, separated by commas".to_owned()
            }
            Form::Names => "domain names, separated by commas".to_owned(),
            Form::Name => "one domain name".to_owned(),
            Form::SipServers => "domain names or IPv4 addresses, separated by commas".to_owned(),
            Form::NtpServers => format!("{addresses} and domain names, separated by commas"),
            Form::Texts => "texts, separated by commas".to_owned(),
            Form::Text => format!("a text of 1 to {CONTENT_BYTES_MAX} octets"),
            Form::Octets => "octets in hexadecimal, separated by colons (1:0a:ff)".to_owned(),
            Form::Flag => "true, false, 1 or 0".to_owned(),
            Form::U8 => "a number of 0 to 255".to_owned(),
            Form::U16(first) => format!("a number of {first} to 65535"),
            Form::U16s => "numbers of 0 to 65535, separated by commas".to_owned(),
            Form::U32(first, last) => format!("a number of {first} to {last}"),
            Form::I32 => "a number of -2147483648 to 2147483647".to_owned(),
            Form::Any => format!(
                "octets in hexadecimal, separated by colons, a number, {addresses}, separated by commas, or a text"
            ),
            Form::BootServer => "an IP address".to_owned(),
        }
    }

    /// A value on the wire; never empty.
    ///
    /// # Errors
    /// What is allowed.
    pub(super) fn content(self, family: Family, value: &str) -> Result<Vec<u8>, String> {
        self.parsed(family, value)
            .filter(|content| !content.is_empty())
            .ok_or_else(|| format!("'{value}' is not {}", self.words(family)))
    }

    fn parsed(self, family: Family, value: &str) -> Option<Vec<u8>> {
        match self {
            Form::Addresses => joined(value, |item| address(family, item)),
            Form::AddressPairs => {
                joined(value, |item| address(family, item)).filter(|pairs| pairs.len() % 8 == 0)
            }
            Form::Routes => routes(value),
            Form::Names if family == Family::V4 => {
                let names: Vec<&str> = items(value).collect();
                let all = names.iter().all(|name| domain::is_name(name));
                all.then(|| domain::emit_compressed(names))
            }
            Form::Names => joined(value, name),
            Form::Name => name(value),
            Form::SipServers => sip_servers(value),
            Form::NtpServers => joined(value, ntp_server),
            Form::Texts => joined(value, |item| suboption(None, item.as_bytes())),
            Form::Text => (value.len() <= CONTENT_BYTES_MAX).then(|| value.as_bytes().to_vec()),
            Form::Octets => octets(value),
            Form::Flag => match value {
                "true" | "1" => Some(vec![1]),
                "false" | "0" => Some(vec![0]),
                _ => None,
            },
            Form::U8 => value.parse().ok().map(|number: u8| vec![number]),
            Form::U16(first) => u16(value).filter(|number| *number >= first).map(be16),
            Form::U16s => joined(value, |item| u16(item).map(be16)),
            Form::U32(first, last) => {
                let number = value.parse().ok();
                number
                    .filter(|number| (first..=last).contains(number))
                    .map(|number: u32| number.to_be_bytes().to_vec())
            }
            Form::I32 => value
                .parse()
                .ok()
                .map(|number: i32| number.to_be_bytes().to_vec()),
            Form::Any => any(family, value),
            Form::BootServer => None,
        }
    }
}

/// The address of `server-ip-address`.
///
/// # Errors
/// What is allowed.
pub(super) fn boot_server(value: &str) -> Result<IpAddr, String> {
    let wrong = |_| format!("'{value}' is not {}", Form::BootServer.words(Family::V4));
    value.parse().map_err(wrong)
}

fn items(value: &str) -> impl Iterator<Item = &str> {
    value.split(',').map(str::trim)
}

fn joined(value: &str, each: impl Fn(&str) -> Option<Vec<u8>>) -> Option<Vec<u8>> {
    let parts: Option<Vec<Vec<u8>>> = items(value).map(each).collect();
    Some(parts?.concat())
}

/// An address of the family; of IPv6 also in brackets, as dnsmasq wants it.
fn address(family: Family, item: &str) -> Option<Vec<u8>> {
    match family {
        Family::V4 => item
            .parse()
            .ok()
            .map(|address: Ipv4Addr| address.octets().to_vec()),
        Family::V6 => {
            let inner = item
                .strip_prefix('[')
                .and_then(|rest| rest.strip_suffix(']'));
            let address: Ipv6Addr = inner.unwrap_or(item).parse().ok()?;
            Some(address.octets().to_vec())
        }
    }
}

fn name(item: &str) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    if domain::is_name(item) {
        domain::emit(item, &mut out);
    }
    (!out.is_empty()).then_some(out)
}

/// RFC 3442: the prefix's length, as many of its octets as it needs, the router.
fn routes(value: &str) -> Option<Vec<u8>> {
    let items: Vec<&str> = items(value).collect();
    let (pairs, rest) = items.as_chunks::<2>();
    let mut out = Vec::new();
    for [destination, router] in pairs {
        let destination: Ipv4Net = destination.parse().ok()?;
        let router: Ipv4Addr = router.parse().ok()?;
        out.extend_from_slice(&route(destination, router));
    }
    rest.is_empty().then_some(out)
}

fn route(destination: Ipv4Net, router: Ipv4Addr) -> Vec<u8> {
    let length = destination.prefix_len();
    let significant = usize::from(length.div_ceil(8));
    let network = destination.network().octets();
    [&[length], &network[..significant], &router.octets()].concat()
}

/// RFC 3361 §3.1: 0 and names, or 1 and addresses.
fn sip_servers(value: &str) -> Option<Vec<u8>> {
    let addresses = joined(value, |item| address(Family::V4, item)).map(|list| (1, list));
    let (kind, list) = addresses.or_else(|| joined(value, name).map(|list| (0, list)))?;
    Some([vec![kind], list].concat())
}

fn ntp_server(item: &str) -> Option<Vec<u8>> {
    match address(Family::V6, item) {
        Some(address) if address[0] == 0xff => suboption(Some(NTP_MULTICAST), &address),
        Some(address) => suboption(Some(NTP_UNICAST), &address),
        None => suboption(Some(NTP_NAME), &name(item)?),
    }
}

/// A code, where there is one, and a content with its length.
fn suboption(code: Option<u16>, content: &[u8]) -> Option<Vec<u8>> {
    let length = u16::try_from(content.len())
        .ok()
        .filter(|length| *length > 0)?;
    Some(
        [
            code.map(be16).unwrap_or_default(),
            be16(length),
            content.to_vec(),
        ]
        .concat(),
    )
}

fn octets(value: &str) -> Option<Vec<u8>> {
    let digits = |part: &str| {
        let plain = part.bytes().all(|digit| digit.is_ascii_hexdigit());
        plain.then(|| u8::from_str_radix(part, 16).ok())?
    };
    value.split(':').map(digits).collect()
}

fn u16(value: &str) -> Option<u16> {
    value.parse().ok()
}

fn be16(number: u16) -> Vec<u8> {
    number.to_be_bytes().to_vec()
}

/// dnsmasq's guess of what is meant: octets where there are colons between them, a number in as many octets as it needs of one,
/// two and four, addresses, else a text.
fn any(family: Family, value: &str) -> Option<Vec<u8>> {
    if let Some(octets) = octets(value).filter(|_| value.contains(':')) {
        return Some(octets);
    }
    if let Ok(number) = value.parse::<u32>() {
        let all = number.to_be_bytes();
        return Some(match number {
            0..=0xff => all[3..].to_vec(),
            0x100..=0xffff => all[2..].to_vec(),
            _ => all.to_vec(),
        });
    }
    joined(value, |item| address(family, item)).or_else(|| Form::Text.parsed(family, value))
}
