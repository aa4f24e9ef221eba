//! The plan: everything that one host must do, complete and keyed. An agent that holds one needs nothing else.
//!
//! No entry embeds a list that grows with the cloud: a port names its network by number, a network does not name its
//! ports.

pub mod compile;

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{Ipv4Net, Ipv6Net};

use crate::dhcp::DhcpOptions;
use crate::ids::{NetworkId, PortId, PortNumber, SubnetId, Vni};
use crate::mac::Mac;
use crate::modes::{Dhcpv6Service, RaFlags, RaSender, SolicitWithoutAddress};
use crate::port::FixedIp;
use crate::settings::CloudSettings;

/// How new a plan is. Epochs are random, made with the database; within one, revisions grow. A plan of another epoch
/// is never compared by revision: the agent takes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Generation {
    /// Which database's log.
    pub epoch: u64,
    /// How far in that log.
    pub revision: u64,
}

/// What an entry is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PlanKey {
    /// The settings of the cloud.
    Cloud,
    /// A network with a port on the host.
    Network(Vni),
    /// A subnet of such a network.
    Subnet(SubnetId),
    /// A port on the host.
    Port(PortId),
}

/// An entry of a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PlanEntry {
    /// Under [`PlanKey::Cloud`].
    Cloud(CloudSettings),
    /// Under [`PlanKey::Network`].
    Network(NetworkPlan),
    /// Under [`PlanKey::Subnet`], where it is an IPv6 one.
    Subnet(SubnetPlan),
    /// Under [`PlanKey::Subnet`], where it is an IPv4 one.
    Ipv4Subnet(Ipv4SubnetPlan),
    /// Under [`PlanKey::Port`].
    Port(PortPlan),
}

/// A network as a host must carry it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetworkPlan {
    /// Its number on the wire.
    pub vni: Vni,
    /// Its id in the API.
    pub id: NetworkId,
    /// Largest IP packet, bytes.
    pub mtu: u32,
    /// False: everything of its ports is dropped.
    pub admin_state_up: bool,
    /// The physical network that it is, as it is (flat); `None`: VXLAN.
    pub physical_network: Option<String>,
    /// Whether guests whose sources are guarded are told the cloud's Retrans Timer, not RFC 4861's.
    pub fast_dad: bool,
}

/// An IPv6 subnet as a host must serve it: the mode table's row is already applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubnetPlan {
    /// Its id in the API.
    pub id: SubnetId,
    /// The network it belongs to.
    pub vni: Vni,
    /// Place in the order of creation.
    pub sequence: u64,
    /// Its prefix.
    pub cidr: Ipv6Net,
    /// Who advertises it.
    pub sender: RaSender,
    /// A of the prefix option where the port holds its EUI-64 address.
    pub autonomous: bool,
    /// M where the port holds an address of it.
    pub managed: bool,
    /// O of the RA.
    pub other: bool,
    /// What DHCPv6 answers; `None` where DHCP is off.
    pub dhcpv6: Option<Dhcpv6Service>,
    /// What a Solicit gets when no address is to be had.
    pub solicit_without_address: SolicitWithoutAddress,
    /// Name servers, in the order of preference.
    pub dns_nameservers: Vec<Ipv6Addr>,
    /// Whether addresses that guests form themselves are admitted besides.
    pub learned: bool,
    /// The address that is a router's.
    pub gateway_ip: Option<Ipv6Addr>,
    /// What is left to others; `None` where the network is no physical segment, and so has nobody else.
    pub segment: Option<SegmentPlan>,
}

/// What a subnet of a flat network leaves to routers and servers of the physical segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentPlan {
    /// What the modes expect of an advertisement of the prefix, whoever sends it; `None`: anything.
    pub expected: Option<RaFlags>,
    /// DHCPv6 is left to a server there.
    pub dhcpv6: bool,
}

/// An IPv4 subnet as a host must serve it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ipv4SubnetPlan {
    /// Its id in the API.
    pub id: SubnetId,
    /// The network it belongs to.
    pub vni: Vni,
    /// Place in the order of creation.
    pub sequence: u64,
    /// Its prefix.
    pub cidr: Ipv4Net,
    /// Whether DHCPv4 answers.
    pub dhcp: bool,
    /// The address that a router would take.
    pub gateway_ip: Option<Ipv4Addr>,
    /// Name servers, in the order of preference.
    pub dns_nameservers: Vec<Ipv4Addr>,
    /// Routes for the guests.
    pub host_routes: Vec<Ipv4Route>,
}

/// A route that guests are given by DHCPv4 (RFC 3442).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ipv4Route {
    /// Where to, host bits zero.
    pub destination: Ipv4Net,
    /// By which router.
    pub nexthop: Ipv4Addr,
}

/// A port as its host must carry it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortPlan {
    /// Its id in the API, after which its link is named.
    pub id: PortId,
    /// Its number in the fast path.
    pub number: PortNumber,
    /// The network it is plugged into.
    pub vni: Vni,
    /// The guest's MAC.
    pub mac: Mac,
    /// False: everything is dropped.
    pub admin_state_up: bool,
    /// False: its guest may send from any MAC and address, and what only routers and servers send.
    pub port_security_enabled: bool,
    /// The guest's addresses.
    pub fixed_ips: Vec<FixedIp>,
    /// What the guest is told by DHCP besides what the subnets say, and instead of it.
    pub dhcp_options: DhcpOptions,
}

impl PortPlan {
    /// The guest's IPv4 addresses.
    pub fn ipv4(&self) -> impl Iterator<Item = Ipv4Addr> {
        self.fixed_ips
            .iter()
            .filter_map(|fixed| match fixed.ip_address {
                IpAddr::V4(address) => Some(address),
                IpAddr::V6(_) => None,
            })
    }

    /// The guest's IPv6 addresses.
    pub fn ipv6(&self) -> impl Iterator<Item = Ipv6Addr> {
        self.fixed_ips
            .iter()
            .filter_map(|fixed| match fixed.ip_address {
                IpAddr::V4(_) => None,
                IpAddr::V6(address) => Some(address),
            })
    }
}

/// A whole plan.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct HostPlan {
    /// How new it is.
    pub generation: Generation,
    /// Its entries.
    pub entries: BTreeMap<PlanKey, PlanEntry>,
}

impl HostPlan {
    /// The cloud's settings; none before the first plan.
    pub fn cloud(&self) -> Option<&CloudSettings> {
        match self.entries.get(&PlanKey::Cloud) {
            Some(PlanEntry::Cloud(settings)) => Some(settings),
            _ => None,
        }
    }

    /// The network of this number.
    pub fn network(&self, vni: Vni) -> Option<&NetworkPlan> {
        match self.entries.get(&PlanKey::Network(vni)) {
            Some(PlanEntry::Network(network)) => Some(network),
            _ => None,
        }
    }

    /// The port of this id.
    pub fn port(&self, id: PortId) -> Option<&PortPlan> {
        match self.entries.get(&PlanKey::Port(id)) {
            Some(PlanEntry::Port(port)) => Some(port),
            _ => None,
        }
    }

    /// Every port, in the order of their ids.
    pub fn ports(&self) -> impl Iterator<Item = &PortPlan> {
        self.entries.values().filter_map(|entry| match entry {
            PlanEntry::Port(port) => Some(port),
            _ => None,
        })
    }

    /// Every network, in the order of their numbers.
    pub fn networks(&self) -> impl Iterator<Item = &NetworkPlan> {
        self.entries.values().filter_map(|entry| match entry {
            PlanEntry::Network(network) => Some(network),
            _ => None,
        })
    }

    /// Every IPv6 subnet, in the order of their ids.
    pub fn subnets(&self) -> impl Iterator<Item = &SubnetPlan> {
        self.entries.values().filter_map(|entry| match entry {
            PlanEntry::Subnet(subnet) => Some(subnet),
            _ => None,
        })
    }

    /// Every IPv4 subnet, in the order of their ids.
    pub fn ipv4_subnets(&self) -> impl Iterator<Item = &Ipv4SubnetPlan> {
        self.entries.values().filter_map(|entry| match entry {
            PlanEntry::Ipv4Subnet(subnet) => Some(subnet),
            _ => None,
        })
    }
}
