//! Ports: a guest's plug into a network.

use std::net::Ipv6Addr;

use serde::{Deserialize, Serialize};

use crate::ids::{HostId, NetworkId, PortId, PortNumber, ProjectId, SubnetId};
use crate::mac::Mac;

/// An address that the port has, and the subnet it is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct FixedIp {
    /// The subnet.
    pub subnet_id: SubnetId,
    /// The address, inside the subnet's prefix.
    pub ip_address: Ipv6Addr,
}

/// A port's `status`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum PortStatus {
    /// Its link exists, is administratively up and is programmed on its host.
    Active,
    /// Not so, or its `admin_state_up` or its network's is false.
    Down,
}

/// A stored port. Its JSON is its document: public members first, then those that only administrators see, then
/// internal ones.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Port {
    /// Its id.
    pub id: PortId,
    /// Its name, at most 255 characters, not unique.
    pub name: String,
    /// The project that owns it.
    pub project_id: ProjectId,
    /// The network it is plugged into.
    pub network_id: NetworkId,
    /// The guest's MAC, unique in the network.
    pub mac_address: Mac,
    /// The guest's addresses.
    pub fixed_ips: Vec<FixedIp>,
    /// False cuts its traffic.
    pub admin_state_up: bool,
    /// Whether the host carries it.
    pub status: PortStatus,
    /// What the port is for, the caller's words.
    pub device_id: String,
    /// Who the port is for, the caller's words.
    pub device_owner: String,
    /// Rises with each change; a change of `status` alone does not raise it.
    pub revision_number: u64,
    /// When it was made, `YYYY-MM-DDTHH:MM:SSZ`.
    pub created_at: String,
    /// When it was last changed.
    pub updated_at: String,
    /// The host that carries it. The first member that only administrators see.
    #[serde(rename = "binding:host_id")]
    pub host_id: Option<HostId>,
    /// Its number in the fast path. Internal, as all that follows: never shown.
    pub number: PortNumber,
    /// The log's revision at which it was bound to its host: a report of an earlier generation cannot make it ACTIVE.
    pub bound_at: u64,
}
