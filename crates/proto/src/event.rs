//! What a link tells the agent.

use std::net::{IpAddr, Ipv6Addr};

use hextet_core::ids::PortId;

use crate::reconfigure::Reconfigurable;

/// Something that the agent must act on or report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LinkEvent {
    /// The guest uses this address, which it formed itself: admit it as a source of the port.
    Learned {
        /// The address.
        address: Ipv6Addr,
        /// Another port learned it first, a link-local address then: admit it towards the service only, and name both
        /// ports in the report.
        first_holder: Option<PortId>,
    },
    /// A learned address no longer counts: take it out of the port's sources.
    Forgotten {
        /// The address.
        address: Ipv6Addr,
    },
    /// The guest probed for or used an address that another holds; it was not given way to.
    Conflict {
        /// The address.
        address: Ipv6Addr,
        /// Who holds it; `None`: the network's service, or somebody on its physical segment.
        holder: Option<PortId>,
    },
    /// The guest gave addresses back (RFC 9915 §18.3.7, RFC 2131 §4.3.4). They stay the port's; for the log.
    Released {
        /// What the message named of the port's.
        addresses: Vec<IpAddr>,
    },
    /// The guest found addresses in use by somebody else (RFC 9915 §18.3.8, RFC 2131 §4.3.3). They stay the port's; for the log.
    Declined {
        /// What the message named of the port's.
        addresses: Vec<IpAddr>,
    },
    /// Which DHCPv6 client follows a Reconfigure and what it was told last; `None`: none does. To be kept for the next
    /// process.
    Reconfigurable {
        /// The client.
        client: Option<Box<Reconfigurable>>,
    },
}
