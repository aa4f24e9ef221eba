//! DHCPv4 (RFC 2131, RFC 2132): what clients send to a server, and what a server answers.
//!
//! Options are read from all three places where they may stand (RFC 2132 §9.3), parts of one put together (RFC 3396).
//! Left out: BOOTP without a message type, relays (a port's link has none; their messages are discarded by name),
//! authentication (RFC 3118), FORCERENEW.

mod client;
mod options;
mod server;

pub use client::{ClientHeader, ClientMessage, Discard, Question, parse};
pub use server::{Boot, Lease, ServerError, ServerMessage, ServerMessageKind, StaticRoute};

/// UDP port that servers listen on (RFC 2131 §4.1).
pub const SERVER_PORT: u16 = 67;
/// UDP port that clients listen on (RFC 2131 §4.1).
pub const CLIENT_PORT: u16 = 68;
/// The longest message taken, bytes: more than any client sends on a link of 1,500 bytes.
pub const MESSAGE_BYTES_MAX: usize = 2048;
/// The longest IP packet that every client takes (RFC 2131 §2): what an answer may have unless the client says more.
pub const PACKET_BYTES_MIN: u16 = 576;
/// The fixed part of a message with the magic cookie, bytes (RFC 2131 §2).
pub const FIXED_BYTES: usize = 240;

/// Option codes that are used here (RFC 2132 unless said otherwise).
pub mod code {
    /// Fills up (§3.1).
    pub const PAD: u8 = 0;
    /// Subnet mask (§3.3).
    pub const SUBNET_MASK: u8 = 1;
    /// Routers (§3.5).
    pub const ROUTER: u8 = 3;
    /// Domain name servers (§3.8).
    pub const DNS_SERVERS: u8 = 6;
    /// Host name (§3.14).
    pub const HOST_NAME: u8 = 12;
    /// Domain name (§3.17).
    pub const DOMAIN_NAME: u8 = 15;
    /// Interface MTU (§5.1).
    pub const INTERFACE_MTU: u8 = 26;
    /// Broadcast address (§5.3).
    pub const BROADCAST_ADDRESS: u8 = 28;
    /// The address that the client wants (§9.1).
    pub const REQUESTED_ADDRESS: u8 = 50;
    /// Lease time, seconds (§9.2).
    pub const LEASE_TIME: u8 = 51;
    /// Which fields hold options besides (§9.3).
    pub const OVERLOAD: u8 = 52;
    /// Message type (§9.6).
    pub const MESSAGE_TYPE: u8 = 53;
    /// Server identifier (§9.7).
    pub const SERVER_ID: u8 = 54;
    /// The options that the client asks for (§9.8).
    pub const PARAMETER_REQUEST_LIST: u8 = 55;
    /// Text for a person (§9.9).
    pub const MESSAGE: u8 = 56;
    /// The longest packet that the client takes, bytes (§9.10).
    pub const MAX_MESSAGE_SIZE: u8 = 57;
    /// T1, seconds (§9.11).
    pub const RENEWAL_TIME: u8 = 58;
    /// T2, seconds (§9.12).
    pub const REBINDING_TIME: u8 = 59;
    /// Client identifier (§9.14).
    pub const CLIENT_ID: u8 = 61;
    /// TFTP server name (§9.4).
    pub const TFTP_SERVER: u8 = 66;
    /// Boot file name (§9.5).
    pub const BOOT_FILE: u8 = 67;
    /// Rapid Commit (RFC 4039 §4).
    pub const RAPID_COMMIT: u8 = 80;
    /// What a relay agent adds (RFC 3046).
    pub const RELAY_AGENT: u8 = 82;
    /// IPv6-Only Preferred (RFC 8925 §3).
    pub const IPV6_ONLY_PREFERRED: u8 = 108;
    /// Domain search list (RFC 3397).
    pub const DOMAIN_SEARCH: u8 = 119;
    /// Classless static routes (RFC 3442).
    pub const CLASSLESS_ROUTES: u8 = 121;
    /// The same under the number that Windows used before (MS-DHCPE §2.2.8).
    pub const CLASSLESS_ROUTES_MICROSOFT: u8 = 249;
    /// The options end here (§3.2).
    pub const END: u8 = 255;
}

#[cfg(test)]
mod tests;
