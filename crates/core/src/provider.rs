//! What carries a network from host to host: the provider attributes of Neutron.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;

use crate::ids::Vni;
use crate::network::OVERLAY_OVERHEAD;
use crate::refusal::{Refusal, RefusalKind};

/// A network of its own in VXLAN, over the network between the hosts.
pub const VXLAN: &str = "vxlan";
/// A physical network as it is, without a tag.
pub const FLAT: &str = "flat";

/// What networks can be made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Underlay {
    /// MTU of the network between the hosts, bytes.
    pub mtu: u32,
    /// Largest and default MTU of a flat network, bytes.
    pub physical_mtu: u32,
    /// The physical networks that there are.
    pub physical_networks: BTreeSet<String>,
    /// The numbers that networks get which ask for none (Neutron's `vni_ranges`).
    pub vni_range: RangeInclusive<u32>,
}

/// The provider attributes of a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Provider {
    /// `provider:network_type`.
    pub network_type: Option<String>,
    /// `provider:physical_network`.
    pub physical_network: Option<String>,
    /// `provider:segmentation_id`.
    pub segmentation_id: Option<i64>,
}

/// What is to carry a new network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Carrier {
    /// VXLAN with this number, or any.
    Vxlan(Option<Vni>),
    /// This physical network.
    Flat(String),
}

impl Underlay {
    /// What carries a network of which this is asked: VXLAN by default.
    ///
    /// # Errors
    /// `InvalidInput` for types, numbers and physical networks that there are not, and for what does not go together.
    pub fn carrier(&self, asked: &Provider) -> Result<Carrier, Refusal> {
        match asked.network_type.as_deref() {
            None if *asked == Provider::default() => Ok(Carrier::Vxlan(None)),
            None => Err(Refusal::invalid("network_type required")),
            Some(VXLAN) => vxlan(asked).map(Carrier::Vxlan),
            Some(FLAT) => self.flat(asked).map(Carrier::Flat),
            Some(other) => Err(Refusal::invalid(format!(
                "network_type value '{other}' not supported: {VXLAN} and {FLAT} are"
            ))),
        }
    }

    /// Largest and default MTU of a network on this physical network, bytes; `None`: in VXLAN.
    pub fn mtu_max(&self, physical_network: Option<&str>) -> u32 {
        match physical_network {
            None => self.mtu.saturating_sub(OVERLAY_OVERHEAD),
            Some(_) => self.physical_mtu,
        }
    }

    fn flat(&self, asked: &Provider) -> Result<String, Refusal> {
        if asked.segmentation_id.is_some() {
            return Err(Refusal::invalid(
                "provider:segmentation_id prohibited for flat provider network",
            ));
        }
        let names: Vec<&str> = self.physical_networks.iter().map(String::as_str).collect();
        let known = match names.as_slice() {
            [] => "none is known here".to_owned(),
            names => format!("known are {}", names.join(", ")),
        };
        match &asked.physical_network {
            None => Err(Refusal::invalid(format!(
                "physical_network required for flat provider network: {known}"
            ))),
            Some(name) if self.physical_networks.contains(name) => Ok(name.clone()),
            Some(name) => Err(Refusal::invalid(format!(
                "physical_network '{name}' unknown for flat provider network: {known}"
            ))),
        }
    }
}

fn vxlan(asked: &Provider) -> Result<Option<Vni>, Refusal> {
    if asked.physical_network.is_some() {
        return Err(Refusal::invalid(
            "provider:physical_network specified for vxlan network",
        ));
    }
    let Some(id) = asked.segmentation_id else {
        return Ok(None);
    };
    let vni = u32::try_from(id).ok().map(Vni);
    match vni.filter(|vni| (Vni::MIN..=Vni::MAX).contains(vni)) {
        Some(vni) => Ok(Some(vni)),
        None => Err(Refusal::invalid(format!(
            "segmentation_id {id} out of range: {} to {} are allowed",
            Vni::MIN,
            Vni::MAX
        ))),
    }
}

impl Provider {
    /// Whether a change that names these leaves a network as it is: they hold for its life.
    ///
    /// # Errors
    /// `InvalidInput` with what would change.
    pub fn check_unchanged(&self, holds: &Provider) -> Result<(), Refusal> {
        let changes = [
            (
                "network_type",
                differs(&self.network_type, &holds.network_type),
            ),
            (
                "physical_network",
                differs(&self.physical_network, &holds.physical_network),
            ),
            (
                "segmentation_id",
                differs(&self.segmentation_id, &holds.segmentation_id),
            ),
        ];
        match changes.iter().find(|(_, changes)| *changes) {
            None => Ok(()),
            Some((name, _)) => Err(Refusal::invalid(format!(
                "provider:{name} cannot be updated: a network keeps what carries it"
            ))),
        }
    }
}

fn differs<T: PartialEq>(asked: &Option<T>, holds: &Option<T>) -> bool {
    asked.is_some() && asked != holds
}

/// A number on the wire that is another network's.
pub fn vni_in_use(vni: Vni) -> Refusal {
    Refusal::new(
        RefusalKind::TunnelIdInUse,
        format!("Unable to create the network. The tunnel ID {vni} is in use."),
    )
}

/// A physical network that another flat network has.
pub fn physical_network_in_use(name: &str) -> Refusal {
    Refusal::new(
        RefusalKind::FlatNetworkInUse,
        format!("Unable to create the flat network. Physical network {name} is in use."),
    )
}

#[cfg(test)]
mod tests;
