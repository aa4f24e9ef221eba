//! What hosts saw of ports' guests, as it is stored and shown: beside the port, never in it, since it changes without its
//! owner's doing.

use std::net::Ipv6Addr;

use serde::{Deserialize, Serialize};

use crate::ids::PortId;

/// What was seen of one port's guest. Its JSON is its document: public members first, then those that only administrators
/// see.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct PortObserved {
    /// Addresses that the guest formed itself and may send from.
    #[serde(rename = "hextet:observed_addresses")]
    pub addresses: Vec<ObservedAddress>,
    /// Addresses of others that the guest claims, the latest last.
    #[serde(rename = "hextet:address_conflicts")]
    pub conflicts: Vec<ObservedConflict>,
}

/// An entry of `hextet:observed_addresses`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObservedAddress {
    /// The address.
    pub ip_address: Ipv6Addr,
    /// Since when, `YYYY-MM-DDTHH:MM:SSZ`, by the host's clock.
    pub since: String,
}

/// An entry of `hextet:address_conflicts`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObservedConflict {
    /// The address.
    pub ip_address: Ipv6Addr,
    /// The port that holds it; null: the network's service.
    pub port_id: Option<PortId>,
}
