//! Multicast Listener Discovery: the query of a querier (RFC 3810 §5.1), which listeners of MLDv1 (RFC 2710) understand, too.
//!
//! Reports are read by the fast path alone.

use std::net::Ipv6Addr;
use std::time::Duration;

use hextet_core::mac::Mac;

use crate::bytes::Reader;
use crate::frame::{ALL_NODES, Envelope, NEXT_HEADER_ICMPV6, Packet, multicast_mac};

/// The hop limit of every MLD message (RFC 3810 §5).
pub const HOP_LIMIT: u8 = 1;
const QUERY: u8 = 130;
/// Fixed part of MLDv1's query, bytes: one of this length is of that version (RFC 3810 §8.1).
const QUERY_1_BYTES: usize = 24;
/// Codes from here on are exponent and mantissa (RFC 3810 §5.1.3).
const EXPONENTIAL: u16 = 0x8000;
/// The same of the interval's code (RFC 3810 §5.1.9).
const INTERVAL_EXPONENTIAL: u8 = 0x80;

/// Why a packet is no valid query.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MldError {
    /// Another protocol or another ICMPv6 type.
    #[error("no MLD query")]
    NotQuery,
    /// The message ends within its fixed part or its sources.
    #[error("the message is shorter than it says")]
    Truncated,
    /// Wrong checksum.
    #[error("the ICMPv6 checksum is wrong")]
    Checksum,
    /// Hop Limit is not 1 (RFC 3810 §6.2).
    #[error("Hop Limit {0} is not 1")]
    HopLimit(u8),
    /// The source is not link-local (RFC 3810 §5.1.14).
    #[error("a query from {0}, which is not link-local")]
    Source(Ipv6Addr),
    /// A unicast address where a group's, or none, is wanted.
    #[error("{0} is no group")]
    Group(Ipv6Addr),
}

/// A query without sources.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Query {
    /// How long listeners have for their answers, to the millisecond; below 32.768 s.
    pub max_response: Duration,
    /// The group that is asked for; `::` in a general query.
    pub group: Ipv6Addr,
    /// What MLDv2 says besides; `None`: a query of MLDv1.
    pub v2: Option<QueryV2>,
}

/// What only MLDv2 says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueryV2 {
    /// S: other routers leave their timers as they are.
    pub suppress: bool,
    /// QRV, at most 7; 0: more.
    pub robustness: u8,
    /// QQIC, to the second; below 128 s.
    pub interval: Duration,
    /// Sources that are asked for: how many.
    pub sources: u16,
}

impl Query {
    /// Which groups there are listeners of (RFC 3810 §5.1.13). What does not fit its field is cut to what does.
    pub fn general(max_response: Duration, robustness: u8, interval: Duration) -> Query {
        Query {
            max_response,
            group: Ipv6Addr::UNSPECIFIED,
            v2: Some(QueryV2 {
                suppress: false,
                robustness,
                interval,
                sources: 0,
            }),
        }
    }

    /// The frame, to all nodes or to the group. Sources are not written.
    pub fn emit(&self, mac_source: Mac, source: Ipv6Addr) -> Vec<u8> {
        let millis = u16::try_from(self.max_response.as_millis()).unwrap_or(u16::MAX);
        let mut message = vec![QUERY, 0, 0, 0];
        message.extend(millis.min(EXPONENTIAL - 1).to_be_bytes());
        message.extend([0, 0]);
        message.extend(self.group.octets());
        if let Some(v2) = &self.v2 {
            let seconds = u8::try_from(v2.interval.as_secs()).unwrap_or(u8::MAX);
            let flags = u8::from(v2.suppress) << 3 | v2.robustness & 7;
            message.extend([flags, seconds.min(INTERVAL_EXPONENTIAL - 1), 0, 0]);
        }
        let to = match self.group.is_unspecified() {
            true => ALL_NODES,
            false => self.group,
        };
        let envelope = Envelope {
            mac_destination: multicast_mac(to),
            mac_source,
            source,
            destination: to,
            hop_limit: HOP_LIMIT,
        };
        envelope.icmpv6_alert(message)
    }
}

/// Parses and validates a packet as a query, as a listener does (RFC 3810 §6.2). That there is a Router Alert is not looked at.
///
/// # Errors
/// When a listener is to discard it, or it is something else.
pub fn parse(packet: &Packet<'_>) -> Result<Query, MldError> {
    let mut reader = Reader::new(packet.payload);
    let kind = reader.array().map(|[kind, _]: [u8; 2]| kind);
    if packet.next_header != NEXT_HEADER_ICMPV6 || kind != Some(QUERY) {
        return Err(MldError::NotQuery);
    }
    if packet.envelope.hop_limit != HOP_LIMIT {
        return Err(MldError::HopLimit(packet.envelope.hop_limit));
    }
    if !packet.checksum_holds() {
        return Err(MldError::Checksum);
    }
    if !packet.envelope.source.is_unicast_link_local() {
        return Err(MldError::Source(packet.envelope.source));
    }
    let mut fixed = || {
        reader.u16()?;
        let code = reader.u16()?;
        reader.u16()?;
        Some((code, reader.address()?))
    };
    let (code, group) = fixed().ok_or(MldError::Truncated)?;
    if !group.is_unspecified() && !group.is_multicast() {
        return Err(MldError::Group(group));
    }
    let is_v1 = packet.payload.len() == QUERY_1_BYTES;
    let mut rest = || {
        let [flags, interval] = reader.array()?;
        let sources = reader.u16()?;
        reader.take(usize::from(sources) * 16)?;
        Some(QueryV2 {
            suppress: flags & 8 != 0,
            robustness: flags & 7,
            interval: Duration::from_secs(u64::from(interval_s(interval))),
            sources,
        })
    };
    let v2 = match is_v1 {
        true => None,
        false => Some(rest().ok_or(MldError::Truncated)?),
    };
    let millis = match is_v1 {
        true => u32::from(code),
        false => response_ms(code),
    };
    Ok(Query {
        max_response: Duration::from_millis(u64::from(millis)),
        group,
        v2,
    })
}

/// RFC 3810 §5.1.3.
fn response_ms(code: u16) -> u32 {
    match code {
        ..EXPONENTIAL => u32::from(code),
        _ => (u32::from(code & 0xfff) | 0x1000) << ((code >> 12 & 7) + 3),
    }
}

/// RFC 3810 §5.1.9.
fn interval_s(code: u8) -> u32 {
    match code {
        ..INTERVAL_EXPONENTIAL => u32::from(code),
        _ => (u32::from(code & 0xf) | 0x10) << ((code >> 4 & 7) + 3),
    }
}

#[cfg(test)]
mod tests;
