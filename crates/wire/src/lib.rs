//! Bytes to messages and back: Ethernet, IPv6 and IPv4 frames, ARP announcements, Neighbor Discovery, MLD, DHCPv6, DHCPv4.
//!
//! Parsers take what a hostile guest may send: they never panic, never recurse, and their work is bounded by the
//! frame's length. No policy is here: what a message means for a port is decided above.

pub mod arp;
mod bytes;
pub mod capture;
pub mod craft;
pub mod dhcpv4;
pub mod dhcpv6;
pub mod frame;
pub mod ipv4;
pub mod mld;
pub mod ndp;
