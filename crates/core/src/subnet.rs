//! Subnets: a prefix of a network, and how its addresses reach the guests.

mod check;
mod pools;

use std::collections::BTreeSet;
use std::net::IpAddr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::address::AddressRange;
use crate::ids::{NetworkId, ProjectId, SubnetId};
use crate::mac::Mac;
use crate::modes::Ipv6Modes;
use crate::port::FixedIp;

pub use pools::ALLOCATION_POOLS_MAX;

/// Most DNS servers a subnet may name (Neutron's `max_dns_nameservers`).
pub const DNS_NAMESERVERS_MAX: usize = 5;
/// Most routes a subnet may give its guests (Neutron's `max_subnet_host_routes`).
pub const HOST_ROUTES_MAX: usize = 20;

/// A route that guests are given by DHCP (RFC 3442).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostRoute {
    /// Where to, host bits zero.
    pub destination: IpNet,
    /// By which router, of the same family.
    pub nexthop: IpAddr,
}

/// A stored subnet. Its JSON is its document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subnet {
    /// Its id.
    pub id: SubnetId,
    /// Its name, at most 255 characters, not unique.
    pub name: String,
    /// What its owner says of it, at most 255 characters.
    #[serde(default)]
    pub description: String,
    /// What its owner marked it with.
    #[serde(default)]
    pub tags: BTreeSet<String>,
    /// The project that owns it.
    pub project_id: ProjectId,
    /// The network it belongs to.
    pub network_id: NetworkId,
    /// 4 or 6; every address of it is of this family.
    pub ip_version: u8,
    /// Its prefix, host bits zero.
    pub cidr: IpNet,
    /// The address that a router would take here; announced to nobody while no router holds it.
    pub gateway_ip: Option<IpAddr>,
    /// Where addresses are chosen from, sorted, disjoint, inside the prefix.
    pub allocation_pools: Vec<AddressRange>,
    /// Name servers for its guests, in the order of preference, at most [`DNS_NAMESERVERS_MAX`].
    pub dns_nameservers: Vec<IpAddr>,
    /// Routes for its guests, at most [`HOST_ROUTES_MAX`]; none on an IPv6 subnet.
    #[serde(default)]
    pub host_routes: Vec<HostRoute>,
    /// Owners of devices whose ports alone get addresses of it, as `device_owner` says them; empty: any.
    #[serde(default)]
    pub service_types: Vec<String>,
    /// Whether DHCP answers on it.
    pub enable_dhcp: bool,
    /// How addresses and advertisements reach its guests.
    #[serde(flatten)]
    pub modes: Ipv6Modes,
    /// Rises with each change.
    pub revision_number: u64,
    /// When it was made, `YYYY-MM-DDTHH:MM:SSZ`.
    pub created_at: String,
    /// When it was last changed.
    pub updated_at: String,
    /// Place in the order of creation within the cloud. Internal: never shown.
    pub sequence: u64,
}

impl Subnet {
    /// Whether a port of this owner gets addresses of it.
    pub fn serves(&self, device_owner: &str) -> bool {
        self.service_types.is_empty() || self.service_types.iter().any(|one| one == device_owner)
    }

    /// The address that a port of this MAC has here whatever it asks for; `None` where the subnet forms none from MACs.
    pub fn auto_address(&self, mac: Mac) -> Option<FixedIp> {
        let IpNet::V6(prefix) = self.cidr else {
            return None;
        };
        self.modes.is_auto_address().then(|| FixedIp {
            subnet_id: self.id,
            ip_address: mac.eui64(prefix).into(),
        })
    }
}

/// A subnet that is asked for: its syntax is right, its sense is not judged yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewSubnet {
    /// 4 or 6.
    pub ip_version: u8,
    /// The prefix, host bits as given.
    pub cidr: Option<IpNet>,
    /// Absent: the first address after the network address. `Some(None)`: none.
    pub gateway_ip: Option<Option<IpAddr>>,
    /// Absent: everything that a guest can have but the gateway. First and last address of each.
    pub allocation_pools: Option<Vec<(IpAddr, IpAddr)>>,
    /// In the order of preference.
    pub dns_nameservers: Vec<IpAddr>,
    /// Routes for its guests.
    pub host_routes: Vec<HostRoute>,
    /// Whether DHCP answers.
    pub enable_dhcp: bool,
    /// The two IPv6 attributes.
    pub modes: Ipv6Modes,
}

/// What of a subnet is asked to change.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct SubnetPatch {
    /// The gateway; `Some(None)`: none.
    pub gateway_ip: Option<Option<IpAddr>>,
    /// All pools.
    pub allocation_pools: Option<Vec<(IpAddr, IpAddr)>>,
    /// All name servers.
    pub dns_nameservers: Option<Vec<IpAddr>>,
    /// All routes.
    pub host_routes: Option<Vec<HostRoute>>,
    /// Whether DHCP answers.
    pub enable_dhcp: Option<bool>,
}

/// A subnet's addressing, all rules kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Addressing {
    /// Its prefix, host bits zero.
    pub cidr: IpNet,
    /// Its gateway.
    pub gateway_ip: Option<IpAddr>,
    /// Its pools, sorted.
    pub allocation_pools: Vec<AddressRange>,
    /// Its name servers.
    pub dns_nameservers: Vec<IpAddr>,
    /// Its routes.
    pub host_routes: Vec<HostRoute>,
    /// Whether DHCP answers.
    pub enable_dhcp: bool,
    /// The two IPv6 attributes.
    pub modes: Ipv6Modes,
}

#[cfg(test)]
mod tests;
