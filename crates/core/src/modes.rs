//! What the two IPv6 attributes of a subnet mean: one exhaustive match, whose test is `specs/ipv6_modes.tsv`.

use serde::{Deserialize, Serialize};

use crate::refusal::Refusal;

/// A value of `ipv6_ra_mode` or `ipv6_address_mode`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ipv6Mode {
    /// Addresses formed by the guest from the advertised prefix (RFC 4862).
    Slaac,
    /// Addresses assigned by DHCPv6 (RFC 9915).
    Dhcpv6Stateful,
    /// Addresses by SLAAC, options by DHCPv6 (RFC 9915 §6.1).
    Dhcpv6Stateless,
}

impl Ipv6Mode {
    /// Every value, as the API spells it.
    pub const NAMES: [&'static str; 3] = ["slaac", "dhcpv6-stateful", "dhcpv6-stateless"];

    /// The API's spelling.
    pub fn name(self) -> &'static str {
        match self {
            Ipv6Mode::Slaac => Self::NAMES[0],
            Ipv6Mode::Dhcpv6Stateful => Self::NAMES[1],
            Ipv6Mode::Dhcpv6Stateless => Self::NAMES[2],
        }
    }

    /// The mode of that spelling, if there is one.
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "slaac" => Some(Ipv6Mode::Slaac),
            "dhcpv6-stateful" => Some(Ipv6Mode::Dhcpv6Stateful),
            "dhcpv6-stateless" => Some(Ipv6Mode::Dhcpv6Stateless),
            _ => None,
        }
    }
}

/// Who sends Router Advertisements for a subnet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RaSender {
    /// The host, from the network's service address or a router's.
    Us,
    /// A router outside, on the physical segment; nobody on an overlay.
    Outside,
}

/// What DHCPv6 answers for a subnet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Dhcpv6Service {
    /// IA_NA with the port's addresses, and Information-Request.
    Addresses,
    /// Information-Request only.
    Options,
}

/// What a Solicit gets when no subnet of the port assigns addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SolicitWithoutAddress {
    /// Advertise with status NoAddrsAvail (RFC 9915 §18.3.9).
    NoAddrsAvail,
    /// Nothing: another server may exist.
    Silence,
}

/// Where a port's address in a subnet comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum AddressSource {
    /// The port's MAC (only in a /64).
    Eui64,
    /// Given, or free in the allocation pools.
    Pool,
}

/// A row of the mode table: everything that a subnet's two attributes decide.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ModeRow {
    /// Who sends RAs.
    pub sender: RaSender,
    /// A, M and O of the RA, ours or the one expected from outside; `None` where it is not ours to say.
    pub flags: Option<RaFlags>,
    /// What DHCPv6 answers.
    pub dhcpv6: Dhcpv6Service,
    /// What DHCPv6 answers on a flat network, where the operator may run a server of his own.
    pub dhcpv6_on_flat: Dhcpv6Service,
    /// What a Solicit gets when no address is to be had.
    pub solicit_without_address: SolicitWithoutAddress,
    /// Where the port's address comes from.
    pub port_address: AddressSource,
    /// Whether addresses that the guest forms itself are admitted besides.
    pub learned: bool,
}

/// Flags of a Router Advertisement and its prefix option.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RaFlags {
    /// A: autonomous address configuration (RFC 4861 §4.6.2).
    pub autonomous: bool,
    /// M: managed address configuration (RFC 4861 §4.2).
    pub managed: bool,
    /// O: other configuration (RFC 4861 §4.2).
    pub other: bool,
}

/// The two attributes of a subnet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Ipv6Modes {
    /// `ipv6_ra_mode`.
    #[serde(rename = "ipv6_ra_mode")]
    pub ra: Option<Ipv6Mode>,
    /// `ipv6_address_mode`.
    #[serde(rename = "ipv6_address_mode")]
    pub address: Option<Ipv6Mode>,
}

impl Ipv6Modes {
    /// The row of the table for this combination.
    ///
    /// # Errors
    /// `InvalidInput` when both are set and differ, as Neutron refuses it.
    pub fn row(self) -> Result<ModeRow, Refusal> {
        use Dhcpv6Service::{Addresses, Options};
        use Ipv6Mode::{Dhcpv6Stateful, Dhcpv6Stateless, Slaac};
        use RaSender::{Outside, Us};
        use SolicitWithoutAddress::{NoAddrsAvail, Silence};

        const AUTONOMOUS: Option<RaFlags> = flags(true, false, false);
        const MANAGED: Option<RaFlags> = flags(false, true, true);
        const AUTONOMOUS_OTHER: Option<RaFlags> = flags(true, false, true);
        match (self.ra, self.address) {
            (None, None) => Ok(pool(Outside, None, Silence, false)),
            (None, Some(Slaac)) => Ok(eui64(Outside, AUTONOMOUS, Silence)),
            (None, Some(Dhcpv6Stateful)) => Ok(pool(Outside, MANAGED, Silence, false)),
            (None, Some(Dhcpv6Stateless)) => Ok(eui64(Outside, AUTONOMOUS_OTHER, Silence)),
            (Some(Slaac), None) => Ok(eui64(Us, AUTONOMOUS, Silence)),
            (Some(Slaac), Some(Slaac)) => Ok(eui64(Us, AUTONOMOUS, NoAddrsAvail)),
            (Some(Dhcpv6Stateful), None) => Ok(ModeRow {
                dhcpv6: Addresses,
                dhcpv6_on_flat: Options,
                ..pool(Us, MANAGED, Silence, true)
            }),
            (Some(Dhcpv6Stateful), Some(Dhcpv6Stateful)) => {
                Ok(pool(Us, MANAGED, NoAddrsAvail, false))
            }
            (Some(Dhcpv6Stateless), None) => Ok(eui64(Us, AUTONOMOUS_OTHER, Silence)),
            (Some(Dhcpv6Stateless), Some(Dhcpv6Stateless)) => {
                Ok(eui64(Us, AUTONOMOUS_OTHER, NoAddrsAvail))
            }
            (Some(ra @ Slaac), Some(address @ (Dhcpv6Stateful | Dhcpv6Stateless)))
            | (Some(ra @ Dhcpv6Stateful), Some(address @ (Slaac | Dhcpv6Stateless)))
            | (Some(ra @ Dhcpv6Stateless), Some(address @ (Slaac | Dhcpv6Stateful))) => {
                Err(Refusal::invalid(format!(
                    "ipv6_ra_mode set to '{}' with ipv6_address_mode set to '{}' is not valid. If both attributes are set, \
                 they must be the same value",
                    ra.name(),
                    address.name()
                )))
            }
        }
    }

    /// Whether ports get their EUI-64 address on this subnet whatever they ask for: `slaac` or `dhcpv6-stateless` in
    /// either attribute.
    pub fn is_auto_address(self) -> bool {
        [self.ra, self.address]
            .into_iter()
            .flatten()
            .any(|mode| mode != Ipv6Mode::Dhcpv6Stateful)
    }

    /// Whether either attribute is set.
    pub fn any_set(self) -> bool {
        self.ra.is_some() || self.address.is_some()
    }
}

const fn flags(autonomous: bool, managed: bool, other: bool) -> Option<RaFlags> {
    Some(RaFlags {
        autonomous,
        managed,
        other,
    })
}

/// Rows whose addresses are the EUI-64 ones: DHCPv6 gives options only.
fn eui64(
    sender: RaSender,
    flags: Option<RaFlags>,
    solicit_without_address: SolicitWithoutAddress,
) -> ModeRow {
    ModeRow {
        sender,
        flags,
        dhcpv6: Dhcpv6Service::Options,
        dhcpv6_on_flat: Dhcpv6Service::Options,
        solicit_without_address,
        port_address: AddressSource::Eui64,
        learned: true,
    }
}

/// Rows whose addresses come from the pools: DHCPv6 assigns them.
fn pool(
    sender: RaSender,
    flags: Option<RaFlags>,
    solicit_without_address: SolicitWithoutAddress,
    learned: bool,
) -> ModeRow {
    ModeRow {
        sender,
        flags,
        dhcpv6: Dhcpv6Service::Addresses,
        dhcpv6_on_flat: Dhcpv6Service::Addresses,
        solicit_without_address,
        port_address: AddressSource::Pool,
        learned,
    }
}

#[cfg(test)]
mod tests;
