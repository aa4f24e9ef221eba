//! Which addresses a guest may form by itself (RFC 7217, RFC 8981), as far as the plan says.

use std::net::Ipv6Addr;

use ipnet::Ipv6Net;

use crate::address::is_reserved;
use crate::plan::{PortPlan, SubnetPlan};

/// A prefix within which a guest's own addresses become the port's sources, first come, first served (RFC 6620).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Learnable {
    /// The prefix.
    pub prefix: Ipv6Net,
    /// The address of it that is a router's, and so no guest's to take.
    pub gateway_ip: Option<Ipv6Addr>,
}

impl Learnable {
    /// Whether a guest may take this address: it lies in the prefix and stands neither for the subnet's routers
    /// (RFC 4291 §2.6.1) or its gateway nor for one of the reserved anycast addresses (RFC 2526 §2).
    pub fn admits(&self, address: Ipv6Addr) -> bool {
        self.prefix.contains(&address)
            && Some(address) != self.gateway_ip
            && !is_reserved(self.prefix.into(), address.into())
            && !is_reserved_anycast(self.prefix, address)
    }
}

/// The prefixes of which a port's guest may form addresses: those whose mode leaves that to guests, as far as the port
/// holds an address of them. In the order of the subnets.
pub fn learnable<'a>(
    port: &PortPlan,
    subnets: impl IntoIterator<Item = &'a SubnetPlan>,
) -> Vec<Learnable> {
    subnets
        .into_iter()
        .filter(|subnet| subnet.vni == port.vni && subnet.learned)
        .filter(|subnet| port.ipv6().any(|address| subnet.cidr.contains(&address)))
        .map(|subnet| Learnable {
            prefix: subnet.cidr,
            gateway_ip: subnet.gateway_ip,
        })
        .collect()
}

/// RFC 2526 §2: the 128 highest interface identifiers, in a /64 with the universal bit cleared.
fn is_reserved_anycast(prefix: Ipv6Net, address: Ipv6Addr) -> bool {
    const IDENTIFIERS: u128 = 128;
    let highest = match prefix.prefix_len() {
        64 => u128::from(prefix.network()) | 0xfdff_ffff_ffff_ffff,
        length if length <= 121 => u128::from(prefix.broadcast()),
        _ => return false,
    };
    let address = u128::from(address);
    address <= highest && address > highest - IDENTIFIERS
}

#[cfg(test)]
mod tests;
