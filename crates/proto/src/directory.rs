//! Who holds which address on a network, as far as this host knows: a question that a link asks while it handles a
//! frame.

use std::net::Ipv6Addr;

use hextet_core::ids::{PortId, Vni};
use hextet_core::mac::Mac;

/// Answers who holds an address.
pub trait Directory {
    /// The holder of `address` on the network `vni`, if anybody is known to hold it. Where several ports learned one
    /// link-local address, it is the one that learned it first. The asking port's own addresses may be returned too.
    fn holder(&self, vni: Vni, address: Ipv6Addr) -> Option<Holder>;
}

/// Who holds an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Holder {
    /// The port; `None`: the network's service itself.
    pub port: Option<PortId>,
    /// Whose MAC a neighbour is told.
    pub mac: Mac,
    /// How firmly it is held.
    pub kind: HolderKind,
}

/// How firmly an address is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum HolderKind {
    /// By the API: one of the port's fixed IPs.
    Assigned,
    /// It is the link-local address formed from the port's MAC.
    Eui64LinkLocal,
    /// It is the service's own.
    Service,
    /// The port's guest was seen to use it.
    Learned,
}
