//! Ports: a guest's plug into a network.

mod vnic_type;

use std::collections::BTreeSet;
use std::net::IpAddr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::address;
use crate::dhcp::ExtraDhcpOpt;
use crate::ids::{HostId, NetworkId, PortId, PortNumber, ProjectId, SubnetId};
use crate::mac::Mac;
use crate::network::Network;
use crate::refusal::{Refusal, RefusalKind};
use crate::subnet::Subnet;

pub use vnic_type::VnicType;

/// Most addresses of a port.
pub const FIXED_IPS_MAX: usize = 64;
/// Largest `binding:profile`, bytes of its JSON (Neutron's column).
pub const PROFILE_BYTES_MAX: usize = 4095;

/// An address that the port has, and the subnet it is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct FixedIp {
    /// The subnet.
    pub subnet_id: SubnetId,
    /// The address, inside the subnet's prefix.
    pub ip_address: IpAddr,
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

/// A port's `ip_allocation`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum IpAllocation {
    /// Addresses were chosen, as far as the network has any.
    #[default]
    Immediate,
    /// None was asked for; an auto-address subnet gives one all the same.
    None,
}

/// A stored port. Its JSON is its document: public members first, then those that only administrators see, then
/// internal ones.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Port {
    /// Its id.
    pub id: PortId,
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
    /// Whether it has asked for addresses.
    #[serde(default)]
    pub ip_allocation: IpAllocation,
    /// What a monitor outside says of the way to the guest; nobody acts on it.
    #[serde(default)]
    pub data_plane_status: Option<PortStatus>,
    /// Whether its guest is held to the port's MAC and addresses, and to what hosts say rather than routers and servers.
    #[serde(default = "crate::network::guarded")]
    pub port_security_enabled: bool,
    /// What its guest is told by DHCP besides what the subnets say, and instead of it.
    #[serde(default)]
    pub extra_dhcp_opts: Vec<ExtraDhcpOpt>,
    /// Rises with each change; a change of `status` alone does not raise it.
    pub revision_number: u64,
    /// When it was made, `YYYY-MM-DDTHH:MM:SSZ`.
    pub created_at: String,
    /// When it was last changed.
    pub updated_at: String,
    /// What kind of NIC its guest has. The last public member.
    #[serde(rename = "binding:vnic_type", default)]
    pub vnic_type: VnicType,
    /// What the caller tells the host's side, at most [`PROFILE_BYTES_MAX`] as JSON; nobody acts on it. The first member
    /// that only administrators see.
    #[serde(rename = "binding:profile", default)]
    pub profile: serde_json::Map<String, serde_json::Value>,
    /// The host that it is bound to; see [`Port::carried_by`].
    #[serde(rename = "binding:host_id", with = "unbound_is_empty")]
    pub host_id: Option<HostId>,
    /// Its number in the fast path. Internal, as all that follows: never shown.
    pub number: PortNumber,
    /// The log's revision at which it was bound to its host: a report of an earlier generation cannot make it ACTIVE.
    pub bound_at: u64,
}

impl Port {
    /// The host that carries it: the one that it is bound to, unless its kind is one that no host carries. Its binding has failed then.
    pub fn carried_by(&self) -> Option<&HostId> {
        self.host_id
            .as_ref()
            .filter(|_| self.vnic_type.is_carried())
    }
}

/// Neutron shows the host of an unbound port as the empty string.
mod unbound_is_empty {
    use serde::{Deserialize, Deserializer, Serializer};

    use crate::ids::HostId;

    pub(super) fn serialize<S: Serializer>(
        host: &Option<HostId>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(host.as_ref().map_or("", |host| &host.0))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<HostId>, D::Error> {
        let host = String::deserialize(deserializer)?;
        Ok((!host.is_empty()).then_some(HostId(host)))
    }
}

/// One entry of `fixed_ips` as it is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct FixedIpRequest {
    /// The subnet, or whichever the address lies in.
    pub subnet_id: Option<SubnetId>,
    /// The address, or any.
    pub ip_address: Option<IpAddr>,
    /// In an update: the port's addresses of this subnet go, the EUI-64 one too.
    pub delete_subnet: bool,
}

/// An address that a port shall have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wish {
    /// This one.
    Address(FixedIp),
    /// A free one of the pools of the first of these subnets that has any, in this order.
    AnyOf(Vec<SubnetId>),
}

/// What the choice of a port's addresses depends on.
#[derive(Clone, Copy, Debug)]
pub struct Addressee<'a> {
    /// The network's subnets, in the order of their creation.
    pub subnets: &'a [Subnet],
    /// The port's MAC, after the change.
    pub mac: Mac,
    /// Its `device_owner`.
    pub device_owner: &'a str,
}

/// Whether a port of this owner belongs to a router: such ports form no addresses of their own and may take any.
pub fn is_router_owner(device_owner: &str) -> bool {
    device_owner.starts_with("network:router_") || device_owner.starts_with("network:ha_router_")
}

/// Whether ports of this owner are made by the service for itself, so that they keep nothing from being deleted.
pub fn is_service_owner(device_owner: &str) -> bool {
    matches!(
        device_owner,
        "network:dhcp" | "network:distributed" | "network:floatingip_agent_gateway"
    )
}

/// Whether a new port is guarded: what is asked for, or what its network says. Ports of the network's own devices never
/// are (Neutron's trusted ports: a router forwards what others sent).
pub fn port_security(asked: Option<bool>, network: &Network, device_owner: &str) -> bool {
    !device_owner.starts_with("network:") && asked.unwrap_or(network.port_security_enabled)
}

/// The MAC of a port, as asked for.
///
/// # Errors
/// `HTTPBadRequest` where it names no single station, or is one of the service's.
pub fn check_mac(mac: Mac) -> Result<Mac, Refusal> {
    if mac.is_multicast() || mac == Mac::default() {
        return Err(Refusal::attribute(
            "mac_address",
            format_args!("'{mac}' is no station's address: a unicast address is allowed"),
        ));
    }
    if mac.is_service() {
        return Err(Refusal::attribute(
            "mac_address",
            format_args!(
                "'{mac}' is reserved: 02:68:78 begins the addresses of the networks' own service"
            ),
        ));
    }
    Ok(mac)
}

impl Addressee<'_> {
    /// What a new port shall have: what is asked for, or one address of the IPv4 subnets and one of the IPv6 subnets that
    /// assign some; and in each case its EUI-64 address of every auto-address subnet.
    ///
    /// # Errors
    /// With Neutron's type, where an entry cannot be had.
    pub fn wishes(&self, asked: Option<&[FixedIpRequest]>) -> Result<Vec<Wish>, Refusal> {
        let mut wishes = Vec::new();
        match asked {
            Some(asked) => {
                check_count(asked)?;
                for entry in asked {
                    wishes.extend(self.wish(entry, &[])?);
                }
            }
            None => {
                self.check_served()?;
                for ip_version in [4, 6] {
                    wishes.extend(self.any_of(ip_version));
                }
            }
        }
        if !is_router_owner(self.device_owner) {
            for subnet in self.candidates() {
                if let Some(fixed) = subnet.auto_address(self.mac) {
                    push_new(&mut wishes, Wish::Address(fixed));
                }
            }
        }
        Ok(wishes)
    }

    /// The subnets that the port may have addresses of, those for its owner alone first.
    fn candidates(&self) -> impl Iterator<Item = &Subnet> {
        let served = |subnet: &&Subnet| subnet.serves(self.device_owner);
        let for_owner = |subnet: &&Subnet| !subnet.service_types.is_empty();
        let own = self.subnets.iter().filter(served).filter(for_owner);
        let common = self.subnets.iter().filter(served);
        own.chain(common.filter(move |subnet| !for_owner(subnet)))
    }

    /// A network whose subnets are all for other owners has none for this port.
    fn check_served(&self) -> Result<(), Refusal> {
        if self.subnets.is_empty() || self.candidates().next().is_some() {
            return Ok(());
        }
        Err(Refusal::new(
            RefusalKind::IpAddressGenerationFailureNoMatchingSubnet,
            format!(
                "No valid service subnet for the given device owner, service type '{}'.",
                self.device_owner
            ),
        ))
    }

    /// An address of the subnets of this family that form none from MACs; `None` where there are none of these.
    fn any_of(&self, ip_version: u8) -> Option<Wish> {
        let pooled = self
            .candidates()
            .filter(|subnet| subnet.ip_version == ip_version && !subnet.modes.is_auto_address());
        let pooled: Vec<SubnetId> = pooled.map(|subnet| subnet.id).collect();
        (!pooled.is_empty()).then_some(Wish::AnyOf(pooled))
    }

    /// What a port that holds `current` shall have after an update: what is asked for, and the EUI-64 addresses that it
    /// holds, unless an entry takes them away.
    ///
    /// # Errors
    /// With Neutron's type, where an entry cannot be had.
    pub fn wishes_after(
        &self,
        asked: &[FixedIpRequest],
        current: &[FixedIp],
    ) -> Result<Vec<Wish>, Refusal> {
        check_count(asked)?;
        let mut left = current.to_vec();
        for entry in asked.iter().filter(|entry| entry.delete_subnet) {
            let Some(subnet) = entry.subnet_id else {
                return Err(Refusal::attribute(
                    "fixed_ips",
                    "delete_subnet needs a subnet_id beside it",
                ));
            };
            left.retain(|fixed| fixed.subnet_id != subnet);
        }
        let mut wishes = Vec::new();
        for entry in asked.iter().filter(|entry| !entry.delete_subnet) {
            let wish = self.wish(entry, &left)?.or_else(|| {
                let subnet = self
                    .subnets
                    .iter()
                    .find(|subnet| Some(subnet.id) == entry.subnet_id);
                let fixed = subnet.and_then(|subnet| subnet.auto_address(self.mac));
                fixed.map(Wish::Address)
            });
            if let Some(Wish::Address(fixed)) = &wish {
                left.retain(|other| other != fixed);
            }
            if let Some(wish) = wish {
                push_new(&mut wishes, wish);
            }
        }
        for fixed in left {
            let subnet = self
                .subnets
                .iter()
                .find(|subnet| subnet.id == fixed.subnet_id);
            if subnet.and_then(|subnet| subnet.auto_address(self.mac)) == Some(fixed) {
                push_new(&mut wishes, Wish::Address(fixed));
            }
        }
        Ok(wishes)
    }

    /// One entry. `None` where it names an auto-address subnet alone, whose address the port gets anyway.
    fn wish(&self, entry: &FixedIpRequest, current: &[FixedIp]) -> Result<Option<Wish>, Refusal> {
        let named = match entry.subnet_id {
            None => None,
            Some(id) => Some(self.named_subnet(id, current)?),
        };
        let Some(address) = entry.ip_address else {
            let subnet = named.ok_or_else(|| {
                Refusal::attribute("fixed_ips", "an entry needs a subnet_id or an ip_address")
            })?;
            if subnet.modes.is_auto_address() && !is_router_owner(self.device_owner) {
                return Ok(None);
            }
            let held = current.iter().find(|fixed| fixed.subnet_id == subnet.id);
            return Ok(Some(match held {
                Some(fixed) => Wish::Address(*fixed),
                None => Wish::AnyOf(vec![subnet.id]),
            }));
        };
        let subnet = match named {
            Some(subnet) if subnet.cidr.contains(&address) => subnet,
            Some(subnet) => return Err(not_in_subnet(address, subnet.cidr)),
            None => self.subnet_around(address, current)?,
        };
        let fixed = FixedIp {
            subnet_id: subnet.id,
            ip_address: address,
        };
        self.check_address(fixed, subnet)?;
        Ok(Some(Wish::Address(fixed)))
    }

    /// Whether a subnet serves the port, or did when it gave it an address.
    fn open(&self, subnet: &Subnet, current: &[FixedIp]) -> bool {
        subnet.serves(self.device_owner) || current.iter().any(|fixed| fixed.subnet_id == subnet.id)
    }

    fn named_subnet(&self, id: SubnetId, current: &[FixedIp]) -> Result<&Subnet, Refusal> {
        let subnet = self.subnets.iter().find(|subnet| subnet.id == id);
        let subnet = subnet.ok_or_else(|| {
            Refusal::invalid(format!(
                "fixed_ips: subnet {id} is not on the port's network"
            ))
        })?;
        if self.open(subnet, current) {
            return Ok(subnet);
        }
        Err(Refusal::invalid(format!(
            "fixed_ips: the service_types of subnet {id} do not have the port's device_owner '{}'",
            self.device_owner
        )))
    }

    fn subnet_around(&self, address: IpAddr, current: &[FixedIp]) -> Result<&Subnet, Refusal> {
        let around =
            |subnet: &&Subnet| subnet.cidr.contains(&address) && self.open(subnet, current);
        self.subnets.iter().find(around).ok_or_else(|| {
            Refusal::new(
                RefusalKind::InvalidIpForNetwork,
                format!("IP address {address} is not a valid IP for any of the subnets on the specified network."),
            )
        })
    }

    fn check_address(&self, fixed: FixedIp, subnet: &Subnet) -> Result<(), Refusal> {
        let reserved = address::is_reserved(subnet.cidr, fixed.ip_address);
        if reserved && subnet.cidr.addr().is_ipv4() {
            return Err(not_in_subnet(fixed.ip_address, subnet.cidr));
        }
        if is_router_owner(self.device_owner) {
            return Ok(());
        }
        if subnet
            .auto_address(self.mac)
            .is_some_and(|formed| formed != fixed)
        {
            return Err(Refusal::new(
                RefusalKind::AllocationOnAutoAddressSubnet,
                format!(
                    "IPv6 address {} cannot be directly assigned to a port on subnet {} as the subnet is configured for automatic addresses.",
                    fixed.ip_address, subnet.id
                ),
            ));
        }
        // The Subnet-Router anycast address (RFC 4291 §2.6.1).
        if reserved && !self.device_owner.is_empty() {
            return Err(not_in_subnet(fixed.ip_address, subnet.cidr));
        }
        Ok(())
    }
}

fn check_count(asked: &[FixedIpRequest]) -> Result<(), Refusal> {
    if asked.len() <= FIXED_IPS_MAX {
        return Ok(());
    }
    Err(Refusal::invalid(format!(
        "fixed_ips has {} entries: {FIXED_IPS_MAX} are allowed",
        asked.len()
    )))
}

fn not_in_subnet(address: IpAddr, cidr: IpNet) -> Refusal {
    Refusal::new(
        RefusalKind::InvalidIpForSubnet,
        format!("IP address {address} is not a valid IP for the specified subnet {cidr}."),
    )
}

/// An address is asked for once, however often it is named.
fn push_new(wishes: &mut Vec<Wish>, wish: Wish) {
    if !matches!(wish, Wish::Address(_)) || !wishes.contains(&wish) {
        wishes.push(wish);
    }
}

#[cfg(test)]
mod tests;
