//! Options of Neighbor Discovery messages (RFC 4861 §4.6, RFC 4191, RFC 8106, RFC 8781).

use std::net::Ipv6Addr;

use hextet_core::domain;
use hextet_core::mac::Mac;
use ipnet::Ipv6Net;

use crate::bytes::{Reader, parse_name};

const SOURCE_LINK_LAYER: u8 = 1;
const TARGET_LINK_LAYER: u8 = 2;
const PREFIX_INFORMATION: u8 = 3;
const MTU: u8 = 5;
const ROUTE_INFORMATION: u8 = 24;
const RDNSS: u8 = 25;
const DNSSL: u8 = 31;
const PREF64: u8 = 38;

/// Why an option makes its message invalid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OptionError {
    /// Length 0 (RFC 4861 §4.6: such a packet is discarded), or beyond the message's end.
    #[error("option {0} has length 0 or ends beyond the message")]
    Length(u8),
    /// A known option whose content cannot be what it says.
    #[error("option {0} is malformed")]
    Malformed(u8),
}

/// An option of a Neighbor Discovery message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NdOption {
    /// Source Link-Layer Address (RFC 4861 §4.6.1).
    SourceLinkLayer(Mac),
    /// Target Link-Layer Address (RFC 4861 §4.6.1).
    TargetLinkLayer(Mac),
    /// Prefix Information (RFC 4861 §4.6.2).
    Prefix(PrefixInformation),
    /// MTU, bytes (RFC 4861 §4.6.4).
    Mtu(u32),
    /// Route Information (RFC 4191 §2.3).
    Route(RouteInformation),
    /// Recursive DNS Server (RFC 8106 §5.1): at least one server.
    Rdnss {
        /// Lifetime, seconds; 0: use no longer.
        lifetime_s: u32,
        /// Servers in order of preference.
        servers: Vec<Ipv6Addr>,
    },
    /// DNS Search List (RFC 8106 §5.2): at least one domain.
    Dnssl {
        /// Lifetime, seconds; 0: use no longer.
        lifetime_s: u32,
        /// Domains without a trailing dot.
        domains: Vec<String>,
    },
    /// PREF64 (RFC 8781 §4).
    Pref64(Pref64),
    /// Any other, to be ignored (RFC 4861 §4.6).
    Unknown {
        /// Type.
        kind: u8,
        /// What follows type and length: 6 bytes and a multiple of 8.
        body: Vec<u8>,
    },
}

/// Prefix Information (RFC 4861 §4.6.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PrefixInformation {
    /// The prefix, bits behind its length zero.
    pub prefix: Ipv6Net,
    /// L: on-link.
    pub on_link: bool,
    /// A: addresses may be formed from it.
    pub autonomous: bool,
    /// Valid Lifetime, seconds; all ones: infinite.
    pub valid_lifetime_s: u32,
    /// Preferred Lifetime, seconds; all ones: infinite.
    pub preferred_lifetime_s: u32,
}

/// Preference of a route (RFC 4191 §2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Preference {
    /// 01.
    High,
    /// 00.
    Medium,
    /// 11.
    Low,
}

/// Route Information (RFC 4191 §2.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RouteInformation {
    /// Where the route leads, bits behind its length zero.
    pub prefix: Ipv6Net,
    /// Prf.
    pub preference: Preference,
    /// Route Lifetime, seconds; all ones: infinite.
    pub lifetime_s: u32,
}

/// PREF64 (RFC 8781 §4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pref64 {
    /// The NAT64 prefix: /96, /64, /56, /48, /40 or /32.
    pub prefix: Ipv6Net,
    /// Lifetime in units of 8 seconds, 0 to 8191; 0: use no longer.
    pub scaled_lifetime: u16,
}

/// PLC of RFC 8781 §4: the place in this list.
const PREF64_LENGTHS: [u8; 6] = [96, 64, 56, 48, 40, 32];

/// All options up to the end of the message.
pub(super) fn parse_all(reader: &mut Reader<'_>) -> Result<Vec<NdOption>, OptionError> {
    let mut options = Vec::new();
    while !reader.is_empty() {
        let kind = reader.u8().ok_or(OptionError::Length(0))?;
        let length = reader.u8().ok_or(OptionError::Length(kind))?;
        let body = (usize::from(length) * 8)
            .checked_sub(2)
            .and_then(|body| reader.take(body))
            .ok_or(OptionError::Length(kind))?;
        options.push(parse(kind, body).ok_or(OptionError::Malformed(kind))?);
    }
    Ok(options)
}

fn parse(kind: u8, body: &[u8]) -> Option<NdOption> {
    let mut reader = Reader::new(body);
    let option = match kind {
        SOURCE_LINK_LAYER => NdOption::SourceLinkLayer(Mac(body.try_into().ok()?)),
        TARGET_LINK_LAYER => NdOption::TargetLinkLayer(Mac(body.try_into().ok()?)),
        PREFIX_INFORMATION if body.len() == 30 => {
            let [length, flags] = reader.array()?;
            let valid_lifetime_s = reader.u32()?;
            let preferred_lifetime_s = reader.u32()?;
            reader.u32()?;
            NdOption::Prefix(PrefixInformation {
                prefix: Ipv6Net::new(reader.address()?, length).ok()?.trunc(),
                on_link: flags & 0x80 != 0,
                autonomous: flags & 0x40 != 0,
                valid_lifetime_s,
                preferred_lifetime_s,
            })
        }
        MTU if body.len() == 6 => {
            reader.u16()?;
            NdOption::Mtu(reader.u32()?)
        }
        ROUTE_INFORMATION => NdOption::Route(parse_route(body)?),
        RDNSS => {
            reader.u16()?;
            let lifetime_s = reader.u32()?;
            let mut servers = Vec::new();
            while !reader.is_empty() {
                servers.push(reader.address()?);
            }
            if servers.is_empty() {
                return None;
            }
            NdOption::Rdnss {
                lifetime_s,
                servers,
            }
        }
        DNSSL => {
            reader.u16()?;
            let lifetime_s = reader.u32()?;
            let mut domains = Vec::new();
            while reader.rest().iter().any(|byte| *byte != 0) {
                domains.push(parse_name(&mut reader)?);
            }
            if domains.is_empty() {
                return None;
            }
            NdOption::Dnssl {
                lifetime_s,
                domains,
            }
        }
        PREF64 => NdOption::Pref64(parse_pref64(body)?),
        PREFIX_INFORMATION | MTU => return None,
        kind => NdOption::Unknown {
            kind,
            body: body.to_vec(),
        },
    };
    Some(option)
}

fn parse_route(body: &[u8]) -> Option<RouteInformation> {
    let mut reader = Reader::new(body);
    let [length, flags] = reader.array()?;
    let lifetime_s = reader.u32()?;
    let given = reader.rest();
    // RFC 4191 §2.3: 0, 8 or 16 bytes of prefix, enough for its length.
    if !matches!(given.len(), 0 | 8 | 16) || usize::from(length).div_ceil(8) > given.len() {
        return None;
    }
    let mut octets = [0; 16];
    octets[..given.len()].copy_from_slice(given);
    let preference = match flags >> 3 & 0b11 {
        0b00 => Preference::Medium,
        0b01 => Preference::High,
        0b11 => Preference::Low,
        // RFC 4191 §2.3: the reserved value makes the option void.
        _ => return None,
    };
    Some(RouteInformation {
        prefix: Ipv6Net::new(octets.into(), length).ok()?.trunc(),
        preference,
        lifetime_s,
    })
}

fn parse_pref64(body: &[u8]) -> Option<Pref64> {
    let mut reader = Reader::new(body);
    let scaled = reader.u16()?;
    let highest: [u8; 12] = reader.rest().try_into().ok()?;
    let length = *PREF64_LENGTHS.get(usize::from(scaled & 0b111))?;
    let mut octets = [0; 16];
    octets[..12].copy_from_slice(&highest);
    Some(Pref64 {
        prefix: Ipv6Net::new(octets.into(), length).ok()?.trunc(),
        scaled_lifetime: scaled >> 3,
    })
}

impl NdOption {
    /// How many bytes the option takes in a message, a multiple of 8.
    pub fn emitted_bytes(&self) -> usize {
        let mut out = Vec::new();
        self.emit(&mut out);
        out.len()
    }

    /// Appends the option, padded to 8 bytes.
    pub(super) fn emit(&self, out: &mut Vec<u8>) {
        let start = out.len();
        match self {
            NdOption::SourceLinkLayer(mac) => {
                out.extend_from_slice(&[SOURCE_LINK_LAYER, 0]);
                out.extend_from_slice(&mac.0);
            }
            NdOption::TargetLinkLayer(mac) => {
                out.extend_from_slice(&[TARGET_LINK_LAYER, 0]);
                out.extend_from_slice(&mac.0);
            }
            NdOption::Prefix(prefix) => {
                let flags = u8::from(prefix.on_link) << 7 | u8::from(prefix.autonomous) << 6;
                out.extend_from_slice(&[PREFIX_INFORMATION, 0, prefix.prefix.prefix_len(), flags]);
                out.extend_from_slice(&prefix.valid_lifetime_s.to_be_bytes());
                out.extend_from_slice(&prefix.preferred_lifetime_s.to_be_bytes());
                out.extend_from_slice(&[0; 4]);
                out.extend_from_slice(&prefix.prefix.network().octets());
            }
            NdOption::Mtu(mtu) => {
                out.extend_from_slice(&[MTU, 0, 0, 0]);
                out.extend_from_slice(&mtu.to_be_bytes());
            }
            NdOption::Route(route) => emit_route(route, out),
            NdOption::Rdnss {
                lifetime_s,
                servers,
            } => {
                out.extend_from_slice(&[RDNSS, 0, 0, 0]);
                out.extend_from_slice(&lifetime_s.to_be_bytes());
                for server in servers {
                    out.extend_from_slice(&server.octets());
                }
            }
            NdOption::Dnssl {
                lifetime_s,
                domains,
            } => {
                out.extend_from_slice(&[DNSSL, 0, 0, 0]);
                out.extend_from_slice(&lifetime_s.to_be_bytes());
                for domain in domains {
                    domain::emit(domain, out);
                }
            }
            NdOption::Pref64(pref64) => {
                let code = PREF64_LENGTHS
                    .iter()
                    .position(|length| *length == pref64.prefix.prefix_len())
                    .unwrap_or(0);
                let scaled = pref64.scaled_lifetime << 3 | code as u16;
                out.extend_from_slice(&[PREF64, 0]);
                out.extend_from_slice(&scaled.to_be_bytes());
                out.extend_from_slice(&pref64.prefix.network().octets()[..12]);
            }
            NdOption::Unknown { kind, body } => {
                out.extend_from_slice(&[*kind, 0]);
                out.extend_from_slice(body);
            }
        }
        let units = (out.len() - start).div_ceil(8);
        out.resize(start + units * 8, 0);
        out[start + 1] = units as u8;
    }
}

fn emit_route(route: &RouteInformation, out: &mut Vec<u8>) {
    let preference = match route.preference {
        Preference::Medium => 0b00,
        Preference::High => 0b01,
        Preference::Low => 0b11,
    };
    let length = route.prefix.prefix_len();
    out.extend_from_slice(&[ROUTE_INFORMATION, 0, length, preference << 3]);
    out.extend_from_slice(&route.lifetime_s.to_be_bytes());
    let given = usize::from(length).div_ceil(64) * 8;
    out.extend_from_slice(&route.prefix.network().octets()[..given]);
}
