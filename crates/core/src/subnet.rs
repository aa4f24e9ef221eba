//! Subnets: a prefix of a network, and how its addresses reach the guests.

use std::net::Ipv6Addr;

use ipnet::Ipv6Net;
use serde::{Deserialize, Serialize};

use crate::address::AddressRange;
use crate::ids::{NetworkId, ProjectId, SubnetId};
use crate::modes::Ipv6Modes;

/// Most DNS servers a subnet may name (Neutron's `max_dns_nameservers`).
pub const DNS_NAMESERVERS_MAX: usize = 5;

/// A stored subnet. Its JSON is its document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subnet {
    /// Its id.
    pub id: SubnetId,
    /// Its name, at most 255 characters, not unique.
    pub name: String,
    /// The project that owns it.
    pub project_id: ProjectId,
    /// The network it belongs to.
    pub network_id: NetworkId,
    /// 6.
    pub ip_version: u8,
    /// Its prefix, host bits zero.
    pub cidr: Ipv6Net,
    /// The address that a router would take here; announced to nobody while no router holds it.
    pub gateway_ip: Option<Ipv6Addr>,
    /// Where addresses are chosen from, sorted, disjoint, inside the prefix.
    pub allocation_pools: Vec<AddressRange>,
    /// Name servers for its guests, in the order of preference, at most [`DNS_NAMESERVERS_MAX`].
    pub dns_nameservers: Vec<Ipv6Addr>,
    /// Whether DHCPv6 answers on it.
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
