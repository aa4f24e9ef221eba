//! Neighbor Discovery (RFC 4861): Router Solicitation and Advertisement, Neighbor Solicitation and Advertisement.
//!
//! `parse` makes every check that RFC 4861 §6.1 and §7.1 ask of a receiver, so that what comes out may be acted on.
//! Left out: Redirect, and Neighbor Discovery in fragments (RFC 6980).

mod option;

use std::net::Ipv6Addr;

use hextet_core::mac::Mac;

use crate::bytes::Reader;
use crate::frame::{Envelope, NEXT_HEADER_ICMPV6, Packet};

pub use option::{NdOption, OptionError, Pref64, Preference, PrefixInformation, RouteInformation};

/// The hop limit of every Neighbor Discovery packet: anything less has crossed a router (RFC 4861 §6.1.1).
pub const HOP_LIMIT: u8 = 255;

const ROUTER_SOLICIT: u8 = 133;
const ROUTER_ADVERT: u8 = 134;
const NEIGHBOR_SOLICIT: u8 = 135;
const NEIGHBOR_ADVERT: u8 = 136;

/// Why a packet is no valid Neighbor Discovery message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NdpError {
    /// Another protocol or another ICMPv6 type (a Redirect, MLD, an echo).
    #[error("not one of the four Neighbor Discovery messages")]
    NotNdp,
    /// The message ends within its fixed part.
    #[error("the message is shorter than its fixed part")]
    Truncated,
    /// Hop Limit is not 255.
    #[error("Hop Limit {0} is not 255")]
    HopLimit(u8),
    /// Wrong checksum.
    #[error("the ICMPv6 checksum is wrong")]
    Checksum,
    /// ICMP Code is not 0.
    #[error("ICMP Code {0} is not 0")]
    Code(u8),
    /// An option is malformed.
    #[error(transparent)]
    Option(#[from] OptionError),
    /// A message from `::` with a Source Link-Layer Address option.
    #[error("a source link-layer address although the source is ::")]
    UnspecifiedWithLinkLayer,
    /// A Router Advertisement whose source is not link-local.
    #[error("a Router Advertisement from {0}, which is not link-local")]
    AdvertSource(Ipv6Addr),
    /// Target Address is multicast or `::`.
    #[error("Target Address {0} is no single node's")]
    Target(Ipv6Addr),
    /// A duplicate address check that does not go to the solicited-node group.
    #[error("a solicitation from :: to {0}, which is no solicited-node group")]
    ProbeDestination(Ipv6Addr),
    /// S is set in a multicast Neighbor Advertisement, or its source is `::`.
    #[error("a solicited Neighbor Advertisement sent to a group, or from ::")]
    SolicitedToGroup,
}

/// A Neighbor Discovery message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NdpMessage {
    /// RFC 4861 §4.1.
    RouterSolicit(RouterSolicit),
    /// RFC 4861 §4.2.
    RouterAdvert(RouterAdvert),
    /// RFC 4861 §4.3.
    NeighborSolicit(NeighborSolicit),
    /// RFC 4861 §4.4.
    NeighborAdvert(NeighborAdvert),
}

/// Router Solicitation (RFC 4861 §4.1).
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct RouterSolicit {
    /// Options in their order.
    pub options: Vec<NdOption>,
}

/// Router Advertisement (RFC 4861 §4.2).
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct RouterAdvert {
    /// Cur Hop Limit; 0: unspecified.
    pub cur_hop_limit: u8,
    /// M: addresses by DHCPv6.
    pub managed: bool,
    /// O: other configuration by DHCPv6.
    pub other: bool,
    /// Router Lifetime, seconds; 0: not a default router.
    pub router_lifetime_s: u16,
    /// Reachable Time, milliseconds; 0: unspecified.
    pub reachable_time_ms: u32,
    /// Retrans Timer, milliseconds; 0: unspecified.
    pub retrans_timer_ms: u32,
    /// Options in their order.
    pub options: Vec<NdOption>,
}

/// Neighbor Solicitation (RFC 4861 §4.3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NeighborSolicit {
    /// Target Address.
    pub target: Ipv6Addr,
    /// Options in their order.
    pub options: Vec<NdOption>,
}

/// Neighbor Advertisement (RFC 4861 §4.4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NeighborAdvert {
    /// R: the sender is a router.
    pub router: bool,
    /// S: sent in answer to a solicitation.
    pub solicited: bool,
    /// O: may override a cached entry.
    pub r#override: bool,
    /// Target Address.
    pub target: Ipv6Addr,
    /// Options in their order.
    pub options: Vec<NdOption>,
}

/// Parses and validates a packet as Neighbor Discovery.
///
/// # Errors
/// When RFC 4861 §6.1 or §7.1 tells to discard it, or it is something else.
pub fn parse(packet: &Packet<'_>) -> Result<NdpMessage, NdpError> {
    if packet.next_header != NEXT_HEADER_ICMPV6 {
        return Err(NdpError::NotNdp);
    }
    let mut reader = Reader::new(packet.payload);
    let [kind, code] = reader.array().ok_or(NdpError::Truncated)?;
    if !(ROUTER_SOLICIT..=NEIGHBOR_ADVERT).contains(&kind) {
        return Err(NdpError::NotNdp);
    }
    if packet.envelope.hop_limit != HOP_LIMIT {
        return Err(NdpError::HopLimit(packet.envelope.hop_limit));
    }
    if !packet.checksum_holds() {
        return Err(NdpError::Checksum);
    }
    if code != 0 {
        return Err(NdpError::Code(code));
    }
    reader.u16().ok_or(NdpError::Truncated)?;
    let message = body(kind, &mut reader)?;
    message.validate(&packet.envelope)?;
    Ok(message)
}

fn body(kind: u8, reader: &mut Reader<'_>) -> Result<NdpMessage, NdpError> {
    let truncated = NdpError::Truncated;
    match kind {
        ROUTER_SOLICIT => {
            reader.u32().ok_or(truncated)?;
            let options = option::parse_all(reader)?;
            Ok(NdpMessage::RouterSolicit(RouterSolicit { options }))
        }
        ROUTER_ADVERT => {
            let [cur_hop_limit, flags] = reader.array().ok_or(truncated)?;
            Ok(NdpMessage::RouterAdvert(RouterAdvert {
                cur_hop_limit,
                managed: flags & 0x80 != 0,
                other: flags & 0x40 != 0,
                router_lifetime_s: reader.u16().ok_or(truncated)?,
                reachable_time_ms: reader.u32().ok_or(truncated)?,
                retrans_timer_ms: reader.u32().ok_or(truncated)?,
                options: option::parse_all(reader)?,
            }))
        }
        NEIGHBOR_SOLICIT => {
            reader.u32().ok_or(truncated)?;
            Ok(NdpMessage::NeighborSolicit(NeighborSolicit {
                target: reader.address().ok_or(truncated)?,
                options: option::parse_all(reader)?,
            }))
        }
        // `parse` lets only the four types through.
        _ => {
            let [flags, _, _, _] = reader.array().ok_or(truncated)?;
            Ok(NdpMessage::NeighborAdvert(NeighborAdvert {
                router: flags & 0x80 != 0,
                solicited: flags & 0x40 != 0,
                r#override: flags & 0x20 != 0,
                target: reader.address().ok_or(truncated)?,
                options: option::parse_all(reader)?,
            }))
        }
    }
}

impl NdpMessage {
    /// The message in a frame. The envelope's hop limit is the sender's to set: [`HOP_LIMIT`].
    pub fn emit(&self, envelope: &Envelope) -> Vec<u8> {
        let mut out = Vec::with_capacity(128);
        let options = match self {
            NdpMessage::RouterSolicit(solicit) => {
                out.extend_from_slice(&[ROUTER_SOLICIT, 0, 0, 0, 0, 0, 0, 0]);
                &solicit.options
            }
            NdpMessage::RouterAdvert(advert) => {
                let flags = u8::from(advert.managed) << 7 | u8::from(advert.other) << 6;
                out.extend_from_slice(&[ROUTER_ADVERT, 0, 0, 0, advert.cur_hop_limit, flags]);
                out.extend_from_slice(&advert.router_lifetime_s.to_be_bytes());
                out.extend_from_slice(&advert.reachable_time_ms.to_be_bytes());
                out.extend_from_slice(&advert.retrans_timer_ms.to_be_bytes());
                &advert.options
            }
            NdpMessage::NeighborSolicit(solicit) => {
                out.extend_from_slice(&[NEIGHBOR_SOLICIT, 0, 0, 0, 0, 0, 0, 0]);
                out.extend_from_slice(&solicit.target.octets());
                &solicit.options
            }
            NdpMessage::NeighborAdvert(advert) => {
                let flags = u8::from(advert.router) << 7
                    | u8::from(advert.solicited) << 6
                    | u8::from(advert.r#override) << 5;
                out.extend_from_slice(&[NEIGHBOR_ADVERT, 0, 0, 0, flags, 0, 0, 0]);
                out.extend_from_slice(&advert.target.octets());
                &advert.options
            }
        };
        for option in options {
            option.emit(&mut out);
        }
        envelope.icmpv6(out)
    }

    /// The options.
    pub fn options(&self) -> &[NdOption] {
        match self {
            NdpMessage::RouterSolicit(message) => &message.options,
            NdpMessage::RouterAdvert(message) => &message.options,
            NdpMessage::NeighborSolicit(message) => &message.options,
            NdpMessage::NeighborAdvert(message) => &message.options,
        }
    }

    /// The first Source Link-Layer Address option.
    pub fn source_link_layer(&self) -> Option<Mac> {
        self.options().iter().find_map(|option| match option {
            NdOption::SourceLinkLayer(mac) => Some(*mac),
            _ => None,
        })
    }

    /// The first Target Link-Layer Address option.
    pub fn target_link_layer(&self) -> Option<Mac> {
        self.options().iter().find_map(|option| match option {
            NdOption::TargetLinkLayer(mac) => Some(*mac),
            _ => None,
        })
    }

    fn validate(&self, envelope: &Envelope) -> Result<(), NdpError> {
        let from_nobody = envelope.source.is_unspecified();
        match self {
            NdpMessage::RouterSolicit(_) => {
                // RFC 4861 §6.1.1.
                if from_nobody && self.source_link_layer().is_some() {
                    return Err(NdpError::UnspecifiedWithLinkLayer);
                }
            }
            NdpMessage::RouterAdvert(_) => {
                // RFC 4861 §6.1.2.
                if !envelope.source.is_unicast_link_local() {
                    return Err(NdpError::AdvertSource(envelope.source));
                }
            }
            NdpMessage::NeighborSolicit(solicit) => {
                // RFC 4861 §7.1.1.
                check_target(solicit.target)?;
                if from_nobody && self.source_link_layer().is_some() {
                    return Err(NdpError::UnspecifiedWithLinkLayer);
                }
                let group = crate::frame::solicited_node(envelope.destination);
                if from_nobody && envelope.destination != group {
                    return Err(NdpError::ProbeDestination(envelope.destination));
                }
            }
            NdpMessage::NeighborAdvert(advert) => {
                // RFC 4861 §7.1.2.
                check_target(advert.target)?;
                if from_nobody || (advert.solicited && envelope.destination.is_multicast()) {
                    return Err(NdpError::SolicitedToGroup);
                }
            }
        }
        Ok(())
    }
}

fn check_target(target: Ipv6Addr) -> Result<(), NdpError> {
    if target.is_multicast() || target.is_unspecified() {
        return Err(NdpError::Target(target));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
