//! What a host tells the server about its ports.

use std::net::Ipv6Addr;

use crate::ids::PortId;
use crate::plan::Generation;

/// A host's report: the generation of the plan that it has reached, and its ports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostReport {
    /// Everything up to this generation is programmed, or the port's entry says why not.
    pub generation: Generation,
    /// Ports whose state differs from the last report, or all of them after a new connection.
    pub ports: Vec<PortReport>,
}

/// One port on a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortReport {
    /// Which port.
    pub port: PortId,
    /// Whether the link exists, is administratively up and is programmed.
    pub state: PortState,
    /// Whether the link has a carrier; reported, never required (a tap that nobody has opened has none).
    pub carrier: bool,
    /// Addresses that the guest formed itself and that are admitted, in the order in which they were learned.
    pub observed: Vec<Observed>,
    /// Addresses of others that the guest claims, the latest last. At most [`CONFLICTS_MAX`].
    pub conflicts: Vec<AddressConflict>,
}

/// Most conflicts of a port that are told of.
pub const CONFLICTS_MAX: usize = 8;

/// An address that a guest formed itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Observed {
    /// The address.
    pub address: Ipv6Addr,
    /// Since when, Unix time in seconds.
    pub since_s: u64,
}

/// An address that a guest claims and another holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AddressConflict {
    /// The address.
    pub address: Ipv6Addr,
    /// The port that holds it; `None`: the network's service, or somebody on its physical segment.
    pub holder: Option<PortId>,
}

/// What became of a claim: of a tap with a port's name on a host that the port is not bound to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClaimOutcome {
    /// The port is bound to that host.
    Bound,
    /// There is none.
    NoPort,
    /// It is bound to another host.
    Elsewhere,
    /// The host may claim none.
    NotAllowed,
    /// It is of a `binding:vnic_type` that no host carries.
    NotCarried,
}

impl std::fmt::Display for ClaimOutcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Bound => "its port was bound to this host",
            Self::NoPort => "no port has an id that begins so",
            Self::Elsewhere => {
                "its port is bound to another host: unbind it there first (hextet port detach)"
            }
            Self::NotAllowed => "this host may claim no ports (claim_hosts in server.toml)",
            Self::NotCarried => {
                "no host carries ports of its binding:vnic_type: hosts carry 'normal' ones alone"
            }
        })
    }
}

/// Whether a port works on its host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PortState {
    /// The link exists, is administratively up and is programmed.
    Up,
    /// It is not, for this reason.
    Down(String),
}
