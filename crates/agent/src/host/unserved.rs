//! What this agent cannot do for a port though the plan asks for it.

use hextet_core::ids::PortId;
use hextet_core::plan::HostPlan;

/// Why a port is not served whole on this host; `None` where it is. What does not need the missing part works: ports of a
/// flat network on this host reach each other.
pub(super) fn unserved(plan: &HostPlan, port: PortId) -> Option<String> {
    let network = plan.network(plan.port(port)?.vni)?;
    let name = network.physical_network.as_deref()?;
    Some(format!(
        "this host does not carry flat networks yet, so {name} is not reached"
    ))
}

#[cfg(test)]
mod tests;
