//! What this agent cannot do for a port though the plan asks for it (`docs/decisions/0016-ipv4-before-hosts-serve-it.md`).

use hextet_core::ids::PortId;
use hextet_core::plan::HostPlan;

/// Every reason why a port is not served whole on this host, in one text; `None` where it is. The rest of the port works:
/// its guest is better off with its IPv6 addresses than with none.
pub(super) fn unserved(plan: &HostPlan, port: PortId) -> Option<String> {
    let port = plan.port(port)?;
    let mut reasons = Vec::new();
    let ipv4: Vec<String> = port.ipv4().map(|address| address.to_string()).collect();
    if !ipv4.is_empty() {
        let addresses = ipv4.join(", ");
        reasons.push(format!(
            "this host does not serve IPv4 yet, so nothing of {addresses} works"
        ));
    }
    (!reasons.is_empty()).then(|| reasons.join("; "))
}

#[cfg(test)]
mod tests;
