//! DHCPv6 (RFC 9915; the wire format is that of RFC 8415): what clients send to a server, and what a server answers.
//!
//! Options are walked in place, without recursion and with their order kept, so that a hostile message costs no more
//! than its length. Left out: relays (a port's link has none; their messages are discarded by name), authentication but for
//! Reconfigure's, and the obsolete Server Unicast.

mod client;
mod options;
mod reconfigure;
mod server;

use std::net::Ipv6Addr;

pub use client::{Asked, ClientMessage, Discard, Ia, InformationRequest, parse};
pub use reconfigure::{GivenKey, Reconfigure, ReconfigureError, ReconfigureKey, ReconfigureKind};
pub use server::{IaReply, ServerError, ServerMessage, ServerMessageKind, Status, StatusCode};

/// UDP port that clients listen on (RFC 9915 §7.2).
pub const CLIENT_PORT: u16 = 546;
/// UDP port that servers listen on (RFC 9915 §7.2).
pub const SERVER_PORT: u16 = 547;
/// All_DHCP_Relay_Agents_and_Servers (RFC 9915 §7.1).
pub const ALL_DHCP_RELAY_AGENTS_AND_SERVERS: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 1, 2);
/// The longest message taken, bytes: more than any client sends on a link of 1,500 bytes.
pub const MESSAGE_BYTES_MAX: usize = 2048;
/// The shortest and longest DUID, bytes with its type (RFC 9915 §11.1).
pub const DUID_BYTES: std::ops::RangeInclusive<usize> = 3..=130;

/// Option codes that are used here (RFC 9915 §21, RFC 3646).
pub mod code {
    /// Client Identifier.
    pub const CLIENT_ID: u16 = 1;
    /// Server Identifier.
    pub const SERVER_ID: u16 = 2;
    /// Identity Association for Non-temporary Addresses.
    pub const IA_NA: u16 = 3;
    /// Identity Association for Temporary Addresses (obsolete).
    pub const IA_TA: u16 = 4;
    /// IA Address.
    pub const IAADDR: u16 = 5;
    /// Option Request.
    pub const ORO: u16 = 6;
    /// Preference.
    pub const PREFERENCE: u16 = 7;
    /// Elapsed Time.
    pub const ELAPSED_TIME: u16 = 8;
    /// Authentication.
    pub const AUTHENTICATION: u16 = 11;
    /// Status Code.
    pub const STATUS_CODE: u16 = 13;
    /// Rapid Commit.
    pub const RAPID_COMMIT: u16 = 14;
    /// Reconfigure Message.
    pub const RECONFIGURE_MESSAGE: u16 = 19;
    /// Reconfigure Accept.
    pub const RECONFIGURE_ACCEPT: u16 = 20;
    /// DNS Recursive Name Server (RFC 3646 §3).
    pub const DNS_SERVERS: u16 = 23;
    /// Domain Search List (RFC 3646 §4).
    pub const DOMAIN_LIST: u16 = 24;
    /// Identity Association for Prefix Delegation.
    pub const IA_PD: u16 = 25;
    /// Information Refresh Time.
    pub const INFORMATION_REFRESH_TIME: u16 = 32;
    /// SOL_MAX_RT.
    pub const SOL_MAX_RT: u16 = 82;
    /// INF_MAX_RT.
    pub const INF_MAX_RT: u16 = 83;
}

/// A DHCP Unique Identifier (RFC 9915 §11), 3 to 130 bytes, never looked into.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Duid(Vec<u8>);

impl Duid {
    /// These bytes, if there are as many as a DUID has.
    pub fn new(bytes: &[u8]) -> Option<Self> {
        DUID_BYTES
            .contains(&bytes.len())
            .then(|| Self(bytes.to_vec()))
    }

    /// DUID-UUID (RFC 6355 §4).
    pub fn from_uuid(uuid: [u8; 16]) -> Self {
        Self([&[0, 4], uuid.as_slice()].concat())
    }

    /// The bytes, type first.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// Which identity association.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum IaKind {
    /// Non-temporary addresses (RFC 9915 §21.4).
    Na,
    /// Temporary addresses: obsolete, always refused.
    Ta,
    /// Prefix delegation (RFC 9915 §21.21).
    Pd,
}

/// An address in an identity association (RFC 9915 §21.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IaAddress {
    /// The address.
    pub address: Ipv6Addr,
    /// Preferred lifetime, seconds.
    pub preferred_lifetime_s: u32,
    /// Valid lifetime, seconds; 0: use no longer.
    pub valid_lifetime_s: u32,
}

#[cfg(test)]
mod tests;
