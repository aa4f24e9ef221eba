//! Frames in words, for whoever asks what would become of one: `rs`, `dhcpv6-solicit`, `ipv6 dst=2001:db8::5 tcp dport=22`.
//!
//! A word names a layer or an example, `KEY=VALUE` sets a field; what is not set is what the port's own guest would send.
//! Frames that break the rules can be said too: that is what asking is for.

mod build;
mod examples;

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use hextet_core::mac::Mac;

use crate::frame::{ALL_NODES, ALL_ROUTERS};

pub use examples::{EXAMPLES, Example};

/// Most words of one frame.
pub const WORDS_MAX: usize = 64;
/// Longest text, bytes: a whole frame in hexadecimal digits.
pub const TEXT_BYTES_MAX: usize = 8_192;
/// Longest frame, bytes.
pub const FRAME_BYTES_MAX: usize = 3_000;
/// Most extension headers in words: more than anybody walks.
const EXTENSIONS_MAX: usize = 16;

/// Who would send the frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Guest {
    /// Its MAC.
    pub mac: Mac,
    /// The MAC of its network's service.
    pub service_mac: Mac,
    /// Its first IPv6 address; its link-local one if it has none.
    pub ipv6: Ipv6Addr,
    /// Its first IPv4 address; 0.0.0.0 if it has none.
    pub ipv4: Ipv4Addr,
    /// The IPv4 address of the service.
    pub service_ipv4: Ipv4Addr,
}

/// Who has an address on the guest's network, as far as is known.
pub type Resolve<'a> = &'a dyn Fn(IpAddr) -> Option<Mac>;

/// Words that make no frame.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CraftError {
    /// Too long, or too many words.
    #[error("a frame is said in at most {WORDS_MAX} words and {TEXT_BYTES_MAX} bytes")]
    TooLong,
    /// Nothing was said.
    #[error(
        "no packet: give hexadecimal digits, an example ({}), or layers",
        examples::names()
    )]
    Empty,
    /// A word that is none of the grammar's.
    #[error("{word:?} is no word of a packet: {allowed}")]
    Word {
        /// Which.
        word: String,
        /// What may stand there.
        allowed: &'static str,
    },
    /// A value that the key cannot have.
    #[error("{key}={value:?}: {allowed}")]
    Value {
        /// Which key.
        key: &'static str,
        /// What was given.
        value: String,
        /// What it may be.
        allowed: &'static str,
    },
    /// A word that says what another one said already.
    #[error("{0:?}: the same was said before; it can be said once")]
    Twice(String),
    /// A layer that the network layer does not carry: nothing of it would be in the frame.
    #[error("{network} carries no {layer}")]
    Carried {
        /// The network layer.
        network: &'static str,
        /// What stands in vain.
        layer: &'static str,
    },
    /// A frame of that size cannot be.
    #[error("a frame has 14 to {FRAME_BYTES_MAX} bytes, not {0}")]
    Size(usize),
    /// Nobody is known to have the destination, so a guest would get no further than its solicitation.
    #[error("nobody on the network has {0}: give mac-dst=")]
    Unresolved(IpAddr),
}

/// The frame that a text says: hexadecimal digits, or words.
///
/// # Errors
/// What in it cannot be understood, and what is allowed.
pub fn parse(text: &str, guest: &Guest, resolve: Resolve<'_>) -> Result<Vec<u8>, CraftError> {
    if text.len() > TEXT_BYTES_MAX {
        return Err(CraftError::TooLong);
    }
    let words: Vec<&str> = text.split_whitespace().take(WORDS_MAX + 1).collect();
    if let Some(frame) = hexadecimal(text) {
        return sized(frame);
    }
    if words.len() > WORDS_MAX {
        return Err(CraftError::TooLong);
    }
    let Some(first) = words.first() else {
        return Err(CraftError::Empty);
    };
    let mut said = Said::default();
    let own = match examples::find(first) {
        Some(example) => {
            for word in example.words.split(' ') {
                said.take(word, guest)?;
            }
            &words[1..]
        }
        None => &words[..],
    };
    once(own)?;
    for word in own {
        said.take(word, guest)?;
    }
    said.is_whole()?;
    sized(build::frame(&said, guest, resolve)?)
}

/// What is said besides an example is said once; extension headers may follow each other.
fn once(words: &[&str]) -> Result<(), CraftError> {
    let mut before = BTreeSet::new();
    for word in words {
        let about = match word.split_once('=').map_or(*word, |(key, _)| key) {
            "ipv6" | "ipv4" | "arp" => "network",
            "udp" | "tcp" | "icmpv6" | "icmp" | "dhcpv6" | "dhcpv4" => "upper",
            "size" | "data" => "data",
            "ll" | "ll-option" => "ll",
            "hop-by-hop" | "destination-options" | "routing" | "fragment" => continue,
            other => other,
        };
        if !before.insert(about) {
            return Err(CraftError::Twice(clip(word)));
        }
    }
    Ok(())
}

fn sized(frame: Vec<u8>) -> Result<Vec<u8>, CraftError> {
    if (14..=FRAME_BYTES_MAX).contains(&frame.len()) {
        Ok(frame)
    } else {
        Err(CraftError::Size(frame.len()))
    }
}

/// Digits with spaces and colons between them, at least a frame's head of them.
fn hexadecimal(text: &str) -> Option<Vec<u8>> {
    let digits: Vec<u8> = text
        .bytes()
        .filter(|byte| !byte.is_ascii_whitespace() && *byte != b':')
        .collect();
    if digits.len() < 28
        || !digits.len().is_multiple_of(2)
        || !digits.iter().all(u8::is_ascii_hexdigit)
    {
        return None;
    }
    let pairs = digits.chunks_exact(2);
    pairs
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok())
        .collect()
}

/// The network layer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Network {
    #[default]
    Ipv6,
    Ipv4,
    Arp,
}

/// The upper layer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Upper {
    #[default]
    None,
    Udp,
    Tcp,
    Icmpv6,
    Icmp,
    Dhcpv6,
    Dhcpv4,
}

/// An extension header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Extension {
    HopByHop,
    Destination,
    Routing,
    Fragment,
}

/// What was said so far; what is said besides an example replaces what the example says.
#[derive(Clone, Debug, Default)]
struct Said {
    network: Network,
    upper: Upper,
    extensions: Vec<Extension>,
    mac_source: Option<Mac>,
    mac_destination: Option<Mac>,
    vlan: Option<u16>,
    source: Option<IpAddr>,
    destination: Option<IpAddr>,
    hop_limit: Option<u8>,
    next: Option<u8>,
    source_port: Option<u16>,
    destination_port: Option<u16>,
    kind: Option<u8>,
    code: u8,
    target: Option<IpAddr>,
    /// A link-layer address option with this MAC; whether to add one at all.
    link_layer: Option<Mac>,
    offset: u16,
    more: bool,
    routing_type: u8,
    data: Vec<u8>,
}

const LAYERS: &str = "layers are ipv6, ipv4, arp, udp, tcp, icmpv6, icmp, dhcpv6, dhcpv4, hop-by-hop, \
    destination-options, routing, fragment, more, ll-option";
const FIRST: &str = "an example stands first, and alone of its kind";
const BEFORE_ADDRESSES: &str =
    "the network layer stands before addresses, and an example has its own";
const KEYS: &str = "keys are mac-src, mac-dst, vlan, src, dst, hop-limit, next, sport, dport, type, code, target, ll, \
    offset, routing-type, data, size";

impl Said {
    fn take(&mut self, word: &str, guest: &Guest) -> Result<(), CraftError> {
        match word.split_once('=') {
            Some((key, value)) => self.set(key, value, guest),
            None => self.layer(word, guest),
        }
    }

    fn layer(&mut self, word: &str, guest: &Guest) -> Result<(), CraftError> {
        let extension = match word {
            "ipv6" => return self.over(word, Network::Ipv6),
            "ipv4" => return self.over(word, Network::Ipv4),
            "arp" => return self.over(word, Network::Arp),
            "udp" => return self.carry(Upper::Udp),
            "tcp" => return self.carry(Upper::Tcp),
            "icmpv6" => return self.carry(Upper::Icmpv6),
            "icmp" => return self.carry(Upper::Icmp),
            "dhcpv6" => return self.carry(Upper::Dhcpv6),
            "dhcpv4" => return self.carry(Upper::Dhcpv4),
            "ll-option" => {
                self.link_layer = Some(guest.mac);
                return Ok(());
            }
            "more" => {
                self.more = true;
                return Ok(());
            }
            "hop-by-hop" => Extension::HopByHop,
            "destination-options" => Extension::Destination,
            "routing" => Extension::Routing,
            "fragment" => Extension::Fragment,
            _ => {
                let is_example = examples::find(word).is_some();
                return Err(CraftError::Word {
                    word: clip(word),
                    allowed: if is_example { FIRST } else { LAYERS },
                });
            }
        };
        if self.extensions.len() >= EXTENSIONS_MAX {
            return Err(CraftError::TooLong);
        }
        self.extensions.push(extension);
        Ok(())
    }

    /// Addresses are read as the network layer's, so that it cannot be another one behind them.
    fn over(&mut self, word: &str, network: Network) -> Result<(), CraftError> {
        let has_addresses = [self.source, self.destination, self.target]
            .iter()
            .any(Option::is_some);
        if has_addresses && network != self.network {
            return Err(CraftError::Word {
                word: clip(word),
                allowed: BEFORE_ADDRESSES,
            });
        }
        self.network = network;
        Ok(())
    }

    /// Whether all layers have a place in the frame.
    fn is_whole(&self) -> Result<(), CraftError> {
        let no = |network, layer| Err(CraftError::Carried { network, layer });
        match self.network {
            Network::Arp if self.upper != Upper::None => no("arp", "upper layer"),
            Network::Arp if !self.extensions.is_empty() => no("arp", "extension header"),
            Network::Ipv4 if !self.extensions.is_empty() => no("ipv4", "extension header"),
            _ => Ok(()),
        }
    }

    fn carry(&mut self, upper: Upper) -> Result<(), CraftError> {
        self.upper = upper;
        Ok(())
    }

    fn set(&mut self, key: &str, value: &str, guest: &Guest) -> Result<(), CraftError> {
        match key {
            "mac-src" => self.mac_source = Some(mac("mac-src", value, guest)?),
            "mac-dst" => self.mac_destination = Some(mac("mac-dst", value, guest)?),
            "ll" => self.link_layer = Some(mac("ll", value, guest)?),
            "vlan" => self.vlan = Some(number("vlan", value, "0 to 65535")?),
            "src" => self.source = Some(self.address("src", value, guest)?),
            "dst" => self.destination = Some(self.address("dst", value, guest)?),
            "target" => self.target = Some(self.address("target", value, guest)?),
            "hop-limit" => self.hop_limit = Some(number("hop-limit", value, "0 to 255")?),
            "next" => self.next = Some(number("next", value, "a protocol number, 0 to 255")?),
            "sport" => self.source_port = Some(number("sport", value, "0 to 65535")?),
            "dport" => self.destination_port = Some(number("dport", value, "0 to 65535")?),
            "type" => self.kind = Some(number("type", value, "0 to 255")?),
            "code" => self.code = number("code", value, "0 to 255")?,
            "offset" => self.offset = offset(value)?,
            "routing-type" => self.routing_type = number("routing-type", value, "0 to 255")?,
            "size" => {
                let size: u16 = number("size", value, "bytes of data, 0 to 2800")?;
                if usize::from(size) > FRAME_BYTES_MAX - 200 {
                    return Err(bad("size", value, "bytes of data, 0 to 2800"));
                }
                self.data = vec![0; size.into()];
            }
            "data" => self.data = digits(value)?,
            _ => {
                return Err(CraftError::Word {
                    word: clip(key),
                    allowed: KEYS,
                });
            }
        }
        Ok(())
    }

    /// An address, or the name of one.
    fn address(&self, key: &'static str, value: &str, guest: &Guest) -> Result<IpAddr, CraftError> {
        const ALLOWED: &str = "an address of the packet's family, own, link-local, service, any, all-nodes or all-routers";
        let ipv4 = self.network != Network::Ipv6;
        let found = match (value, ipv4) {
            ("own", false) => guest.ipv6.into(),
            ("own", true) => guest.ipv4.into(),
            ("any", false) => Ipv6Addr::UNSPECIFIED.into(),
            ("any", true) => Ipv4Addr::UNSPECIFIED.into(),
            ("service", false) => guest.service_mac.link_local().into(),
            ("service", true) => guest.service_ipv4.into(),
            ("link-local", false) => guest.mac.link_local().into(),
            ("all-nodes", false) => ALL_NODES.into(),
            ("all-routers", false) => ALL_ROUTERS.into(),
            ("all-nodes", true) => Ipv4Addr::BROADCAST.into(),
            _ => value.parse().map_err(|_| bad(key, value, ALLOWED))?,
        };
        match found {
            IpAddr::V6(_) if !ipv4 => Ok(found),
            IpAddr::V4(_) if ipv4 => Ok(found),
            _ => Err(bad(key, value, ALLOWED)),
        }
    }
}

fn mac(key: &'static str, value: &str, guest: &Guest) -> Result<Mac, CraftError> {
    match value {
        "own" => Ok(guest.mac),
        "service" => Ok(guest.service_mac),
        "broadcast" => Ok(Mac([0xff; 6])),
        _ => value
            .parse()
            .map_err(|_| bad(key, value, "a MAC, own, service or broadcast")),
    }
}

fn number<T: std::str::FromStr>(
    key: &'static str,
    value: &str,
    allowed: &'static str,
) -> Result<T, CraftError> {
    value.parse().map_err(|_| bad(key, value, allowed))
}

fn offset(value: &str) -> Result<u16, CraftError> {
    const ALLOWED: &str = "bytes, a multiple of 8, 0 to 65528";
    let offset: u16 = number("offset", value, ALLOWED)?;
    if offset.is_multiple_of(8) {
        Ok(offset)
    } else {
        Err(bad("offset", value, ALLOWED))
    }
}

fn digits(value: &str) -> Result<Vec<u8>, CraftError> {
    let wrong = || bad("data", value, "an even number of hexadecimal digits");
    if !value.len().is_multiple_of(2) || !value.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(wrong());
    }
    let pairs = value.as_bytes().chunks_exact(2);
    let bytes = pairs.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok());
    bytes.collect::<Option<Vec<u8>>>().ok_or_else(wrong)
}

fn bad(key: &'static str, value: &str, allowed: &'static str) -> CraftError {
    CraftError::Value {
        key,
        value: clip(value),
        allowed,
    }
}

/// As much of a word as an answer shows.
fn clip(word: &str) -> String {
    word.chars().take(40).collect()
}

#[cfg(test)]
mod tests;
