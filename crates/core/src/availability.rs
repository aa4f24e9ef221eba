//! How many addresses networks have and how many of them are used: arithmetic on pools, and one look at each of their
//! ports; a /64 costs what a /120 does.

use std::collections::BTreeMap;

use ipnet::IpNet;
use serde::Serialize;

use crate::address::AddressRange;
use crate::ids::{NetworkId, ProjectId, SubnetId};
use crate::network::Network;
use crate::snapshot::Snapshot;
use crate::subnet::Subnet;

/// Counts of a subnet, or of a network's subnets together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Details {
    /// Addresses of the prefix that a port can have.
    pub total_ips_in_subnet: u128,
    /// Addresses of the pools.
    pub total_ips_in_allocation_pool: u128,
    /// Addresses that ports have.
    pub used_ips_in_subnet: u64,
    /// The same, in the pools.
    pub used_ips_in_allocation_pool: u64,
}

/// What a subnet has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SubnetAvailability {
    /// Which subnet.
    pub subnet_id: SubnetId,
    /// Its name.
    pub subnet_name: String,
    /// Its prefix.
    pub cidr: IpNet,
    /// 4 or 6.
    pub ip_version: u8,
    /// Addresses of the pools; of the whole prefix where there are none.
    pub total_ips: u128,
    /// Addresses that ports have, in the pools or beside them.
    pub used_ips: u64,
    /// The same, told apart.
    pub ip_availability_details: Details,
}

/// What a network has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetworkAvailability {
    /// Which network.
    pub network_id: NetworkId,
    /// Its name.
    pub network_name: String,
    /// The project that owns it.
    pub project_id: ProjectId,
    /// Its subnets, in the order of their creation.
    pub subnets: Vec<SubnetAvailability>,
    /// Of these together.
    pub total_ips: u128,
    /// Of these together.
    pub used_ips: u64,
    /// Of these together.
    pub details: Details,
}

/// How many addresses of each subnet ports have: all, and those in the pools.
#[derive(Clone, Debug, Default)]
pub struct Usage(BTreeMap<SubnetId, (u64, u64)>);

impl Usage {
    /// Counts the addresses of these networks' ports.
    pub fn count(snapshot: &Snapshot, networks: impl IntoIterator<Item = NetworkId>) -> Self {
        let mut usage = BTreeMap::new();
        let ports = networks.into_iter().flat_map(|id| snapshot.ports_of(id));
        for fixed in ports.flat_map(|port| &port.fixed_ips) {
            let (all, in_pools) = usage.entry(fixed.subnet_id).or_insert((0, 0));
            *all += 1;
            let pools = snapshot
                .subnet(fixed.subnet_id)
                .map_or(&[][..], |subnet| &subnet.allocation_pools);
            if pools.iter().any(|pool| pool.contains(fixed.ip_address)) {
                *in_pools += 1;
            }
        }
        Self(usage)
    }

    /// What a network has, counting the subnets that are wanted.
    pub fn network(
        &self,
        snapshot: &Snapshot,
        network: &Network,
        wanted: impl Fn(&Subnet) -> bool,
    ) -> NetworkAvailability {
        let subnets: Vec<SubnetAvailability> = network
            .subnets
            .iter()
            .filter_map(|id| snapshot.subnet(*id))
            .filter(|subnet| wanted(subnet))
            .map(|subnet| self.subnet(subnet))
            .collect();
        let mut availability = NetworkAvailability {
            network_id: network.id,
            network_name: network.name.clone(),
            project_id: network.project_id.clone(),
            subnets: Vec::new(),
            total_ips: 0,
            used_ips: 0,
            details: Details::default(),
        };
        for subnet in &subnets {
            availability.total_ips = availability.total_ips.saturating_add(subnet.total_ips);
            availability.used_ips += subnet.used_ips;
            availability.details.add(&subnet.ip_availability_details);
        }
        availability.subnets = subnets;
        availability
    }

    fn subnet(&self, subnet: &Subnet) -> SubnetAvailability {
        let (used, used_in_pools) = self.0.get(&subnet.id).copied().unwrap_or_default();
        let whole = AddressRange {
            start: subnet.cidr.network(),
            end: subnet.cidr.broadcast(),
        };
        let in_pools = subnet
            .allocation_pools
            .iter()
            .fold(0_u128, |sum, pool| sum.saturating_add(pool.len()));
        // The network's own and the broadcast address are no port's.
        let reserved = match subnet.cidr {
            IpNet::V4(_) => 2,
            IpNet::V6(_) => 0,
        };
        SubnetAvailability {
            subnet_id: subnet.id,
            subnet_name: subnet.name.clone(),
            cidr: subnet.cidr,
            ip_version: subnet.ip_version,
            total_ips: match subnet.allocation_pools.is_empty() {
                true => whole.len(),
                false => in_pools,
            },
            used_ips: used,
            ip_availability_details: Details {
                total_ips_in_subnet: whole.len().saturating_sub(reserved),
                total_ips_in_allocation_pool: in_pools,
                used_ips_in_subnet: used,
                used_ips_in_allocation_pool: used_in_pools,
            },
        }
    }
}

impl Details {
    fn add(&mut self, other: &Details) {
        let Details {
            total_ips_in_subnet,
            total_ips_in_allocation_pool,
            used_ips_in_subnet,
            used_ips_in_allocation_pool,
        } = other;
        self.total_ips_in_subnet = self
            .total_ips_in_subnet
            .saturating_add(*total_ips_in_subnet);
        self.total_ips_in_allocation_pool = self
            .total_ips_in_allocation_pool
            .saturating_add(*total_ips_in_allocation_pool);
        self.used_ips_in_subnet += used_ips_in_subnet;
        self.used_ips_in_allocation_pool += used_ips_in_allocation_pool;
    }
}

#[cfg(test)]
mod tests;
