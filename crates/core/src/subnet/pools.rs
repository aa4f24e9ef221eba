//! Allocation pools: where a subnet's addresses are chosen from.

use std::net::IpAddr;

use ipnet::IpNet;

use crate::address::{self, AddressRange};
use crate::refusal::{Refusal, RefusalKind};

/// Most allocation pools a subnet may have.
pub const ALLOCATION_POOLS_MAX: usize = 64;

/// The pools that are asked for, sorted.
pub(super) fn check(
    pools: &[(IpAddr, IpAddr)],
    cidr: IpNet,
    gateway: Option<IpAddr>,
) -> Result<Vec<AddressRange>, Refusal> {
    if pools.len() > ALLOCATION_POOLS_MAX {
        return Err(Refusal::invalid(format!(
            "allocation_pools has {} entries: {ALLOCATION_POOLS_MAX} are allowed",
            pools.len()
        )));
    }
    let mut checked = Vec::with_capacity(pools.len());
    for (start, end) in pools {
        checked.push(check_one(*start, *end, cidr)?);
    }
    checked.sort();
    for pair in checked.windows(2) {
        if pair[0].overlaps(&pair[1]) {
            return Err(Refusal::new(
                RefusalKind::OverlappingAllocationPools,
                format!(
                    "Found overlapping allocation pools: {}-{} {}-{} for subnet {cidr}.",
                    pair[0].start, pair[0].end, pair[1].start, pair[1].end
                ),
            ));
        }
    }
    check_gateway_outside(&checked, gateway)?;
    Ok(checked)
}

fn check_one(start: IpAddr, end: IpAddr, cidr: IpNet) -> Result<AddressRange, Refusal> {
    let family = |address: IpAddr| address.is_ipv4() == cidr.addr().is_ipv4();
    if !family(start) || !family(end) || start > end {
        return Err(Refusal::new(
            RefusalKind::InvalidAllocationPool,
            format!(
                "The allocation pool {start}-{end} is not valid: two addresses of the family of {cidr}, the end not before the start, are wanted."
            ),
        ));
    }
    let ends = [start, end];
    if ends
        .iter()
        .any(|end| !cidr.contains(end) || address::is_reserved(cidr, *end))
    {
        let spared = match cidr {
            IpNet::V4(_) => "network and broadcast addresses belong",
            IpNet::V6(_) => "own address belongs",
        };
        return Err(Refusal::new(
            RefusalKind::OutOfBoundsAllocationPool,
            format!(
                "The allocation pool {start}-{end} spans beyond the subnet {cidr}, whose {spared} to no pool."
            ),
        ));
    }
    Ok(AddressRange { start, end })
}

/// A gateway lies in no pool.
pub(super) fn check_gateway_outside(
    pools: &[AddressRange],
    gateway: Option<IpAddr>,
) -> Result<(), Refusal> {
    let Some(gateway) = gateway else {
        return Ok(());
    };
    match pools.iter().find(|pool| pool.contains(gateway)) {
        None => Ok(()),
        Some(pool) => Err(Refusal::new(
            RefusalKind::GatewayConflictWithAllocationPools,
            format!(
                "Gateway ip {gateway} conflicts with allocation pool {}-{}.",
                pool.start, pool.end
            ),
        )),
    }
}
