//! Networks: an isolated layer 2 segment.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::ids::{NetworkId, ProjectId, SubnetId, Vni};
use crate::provider::{FLAT, Provider, VXLAN};
use crate::refusal::{Refusal, RefusalKind};

/// Smallest MTU of a link that carries IPv6 (RFC 8200 §5), bytes.
pub const MTU_MIN: u32 = 1280;
/// What VXLAN over IPv6 adds to each frame: 40 IPv6, 8 UDP, 8 VXLAN, 14 inner Ethernet, bytes.
pub const OVERLAY_OVERHEAD: u32 = 70;

/// Which ports get an address of a subnet that their network gets later; an auto-address one reaches all in any case.
/// Ports of routers choose their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AddressPolicy {
    /// Those that are made after it, as in Neutron.
    #[default]
    NewPorts,
    /// Those that there are, too, but for the service's own.
    AllPorts,
}

impl AddressPolicy {
    /// The name of the attribute.
    pub const ATTRIBUTE: &'static str = "hextet:address_policy";
    /// Every value, as the API spells it.
    pub const NAMES: [&'static str; 2] = ["new-ports", "all-ports"];
}

/// A stored network. Its JSON is its document: public members first, then those that only administrators see.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Network {
    /// Its id.
    pub id: NetworkId,
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
    /// False cuts all traffic of its ports.
    pub admin_state_up: bool,
    /// `ACTIVE`.
    pub status: String,
    /// Whether every project sees it and may have ports on it.
    #[serde(default)]
    pub shared: bool,
    /// Its subnets, in the order of their creation.
    pub subnets: Vec<SubnetId>,
    /// Largest IP packet, bytes, at least [`MTU_MIN`] once there is an IPv6 subnet.
    pub mtu: u32,
    /// Which ports get an address of a subnet that is added.
    #[serde(rename = "hextet:address_policy", default)]
    pub address_policy: AddressPolicy,
    /// Whether ports that are made on it and say nothing of it are guarded.
    #[serde(default = "guarded")]
    pub port_security_enabled: bool,
    /// Whether guests are told a short Retrans Timer, so that their checks for duplicate addresses take no second.
    #[serde(rename = "hextet:fast_dad", default = "guarded")]
    pub fast_dad: bool,
    /// Rises with each change.
    pub revision_number: u64,
    /// When it was made, `YYYY-MM-DDTHH:MM:SSZ`.
    pub created_at: String,
    /// When it was last changed.
    pub updated_at: String,
    /// The physical network that it is, as it is (flat); `None`: it has its own number in VXLAN. The first member that
    /// only administrators see.
    #[serde(rename = "provider:physical_network", default)]
    pub physical_network: Option<String>,
    /// Its number: on the wire in VXLAN, and for hosts to tell all networks apart by. The first member that nobody is
    /// shown as it is.
    #[serde(rename = "provider:segmentation_id")]
    pub vni: Vni,
}

/// What holds where nothing is said: documents of earlier programs have ports that are guarded, and guests that are told a
/// short Retrans Timer.
pub(crate) fn guarded() -> bool {
    true
}

impl Network {
    /// Its provider attributes.
    pub fn provider(&self) -> Provider {
        let flat = self.physical_network.is_some();
        Provider {
            network_type: Some(if flat { FLAT } else { VXLAN }.to_owned()),
            physical_network: self.physical_network.clone(),
            segmentation_id: (!flat).then_some(i64::from(self.vni.0)),
        }
    }
}

/// Smallest MTU of a link that carries IPv4 (RFC 791 §3.2: every module forwards 68 octets), bytes.
const IPV4_MTU_MIN: u32 = 68;

/// The MTU of a network whose subnets are of these versions: what is asked, or the largest that fits the underlay when
/// nothing or 0 is.
///
/// # Errors
/// `InvalidInput` above `max`, `NetworkMTUSubnetConflict` below what a subnet's family needs. Without a subnet there is
/// no least one, as in Neutron.
pub fn check_mtu(
    asked: Option<u32>,
    max: u32,
    ip_versions: impl IntoIterator<Item = u8>,
) -> Result<u32, Refusal> {
    let mtu = asked.filter(|mtu| *mtu != 0).unwrap_or(max);
    for ip_version in ip_versions {
        check_subnet_mtu(mtu, ip_version)?;
    }
    if mtu > max {
        return Err(Refusal::invalid(format!(
            "the MTU {mtu} is too large: up to {max} bytes are allowed"
        )));
    }
    Ok(mtu)
}

/// Whether a subnet of this version can run over this MTU.
///
/// # Errors
/// `NetworkMTUSubnetConflict` below [`MTU_MIN`] with IPv6, below 68 with IPv4.
pub fn check_subnet_mtu(mtu: u32, ip_version: u8) -> Result<(), Refusal> {
    let min = match ip_version {
        4 => IPV4_MTU_MIN,
        _ => MTU_MIN,
    };
    if mtu >= min {
        return Ok(());
    }
    Err(Refusal::new(
        RefusalKind::NetworkMtuSubnetConflict,
        format!(
            "The network's MTU of {mtu} bytes is too small for an IPv{ip_version} subnet, which needs {min} at least."
        ),
    ))
}

#[cfg(test)]
mod tests;
