//! What a host tells the server about its ports.

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
}

/// Whether a port works on its host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PortState {
    /// The link exists, is administratively up and is programmed.
    Up,
    /// It is not, for this reason.
    Down(String),
}
