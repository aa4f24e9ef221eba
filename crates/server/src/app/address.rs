//! The choice of addresses and MACs: random tries, each of which the database can refuse; never an enumeration.

use std::net::IpAddr;

use hextet_core::address::AddressRange;
use hextet_core::ids::{NetworkId, PortId, SubnetId};
use hextet_core::mac::{BaseMac, Mac};
use hextet_core::port::{FixedIp, FixedIpRequest, Wish};
use hextet_core::refusal::{Refusal, RefusalKind};
use hextet_core::subnet::Subnet;
use hextet_store::{Pick, Tx};

use super::Failure;

/// Tries before the lowest free address is looked for. With half of the pools taken, all fail once in 65,536 times.
const ADDRESS_PROBES: usize = 16;
/// How many addresses at the low end are tried first, so that a large subnet's addresses stay short.
const LOW_WINDOW: u128 = 1 << 16;
/// Tries to find a free MAC; they fail all together only in a network of millions of ports.
const MAC_PROBES: usize = 64;

/// Takes a random free MAC of a network for a port.
pub(super) async fn take_any_mac(
    tx: &mut Tx,
    network: NetworkId,
    port: PortId,
    base: BaseMac,
) -> Result<Mac, Failure> {
    for _ in 0..MAC_PROBES {
        let mac = base.complete(rand::random());
        if tx.take_mac(Pick::Drawn, (network, mac), port).await? {
            return Ok(mac);
        }
    }
    Err(Refusal::new(
        RefusalKind::MacAddressInUse,
        format!(
            "Unable to complete operation for network {network}. No free MAC address was found."
        ),
    )
    .into())
}

/// Takes the MAC that was asked for.
pub(super) async fn take_mac(
    tx: &mut Tx,
    network: NetworkId,
    mac: Mac,
    port: PortId,
) -> Result<(), Failure> {
    if tx.take_mac(Pick::Named, (network, mac), port).await? {
        return Ok(());
    }
    Err(Refusal::new(
        RefusalKind::MacAddressInUse,
        format!(
            "Unable to complete operation for network {network}. The mac address {mac} is in use."
        ),
    )
    .into())
}

/// Gives a port what it shall have, and takes back what it shall not keep of `current`.
pub(super) async fn fulfil(
    tx: &mut Tx,
    port: PortId,
    wishes: &[Wish],
    subnets: &[Subnet],
    current: &[FixedIp],
) -> Result<Vec<FixedIp>, Failure> {
    for held in current {
        if !wishes.contains(&Wish::Address(*held)) {
            tx.free_address(held.subnet_id, held.ip_address).await?;
        }
    }
    let mut fixed_ips = Vec::with_capacity(wishes.len());
    // What is named comes first, so that no random choice takes it.
    for wish in wishes {
        if let Wish::Address(fixed) = wish {
            let pick = pick(*fixed, subnets);
            let address = (fixed.subnet_id, fixed.ip_address);
            if !current.contains(fixed) && !tx.take_address(pick, address, port).await? {
                return Err(taken(*fixed).into());
            }
        }
    }
    for wish in wishes {
        fixed_ips.push(match wish {
            Wish::Address(fixed) => *fixed,
            Wish::AnyOf(ids) => take_any(tx, port, ids, subnets).await?,
        });
    }
    Ok(fixed_ips)
}

/// An address that the port's MAC forms is as good as drawn: a MAC is given once in a network.
fn pick(fixed: FixedIp, subnets: &[Subnet]) -> Pick {
    let mut formed = subnets.iter().filter(|one| one.modes.is_auto_address());
    match formed.any(|subnet| subnet.id == fixed.subnet_id) {
        true => Pick::Drawn,
        false => Pick::Named,
    }
}

/// Why an address that the port's MAC does not form is refused: as another port's, if it is that, as Neutron looks there
/// first.
pub(super) async fn why_not(
    tx: &mut Tx,
    port: PortId,
    asked: &[FixedIpRequest],
    subnets: &[Subnet],
    own: &[FixedIp],
    refusal: Refusal,
) -> Failure {
    if refusal.kind != RefusalKind::AllocationOnAutoAddressSubnet {
        return refusal.into();
    }
    for ip_address in asked.iter().filter_map(|entry| entry.ip_address) {
        let around = |subnet: &&Subnet| subnet.cidr.contains(&ip_address);
        let Some(subnet) = subnets.iter().find(around) else {
            continue;
        };
        let fixed = FixedIp {
            subnet_id: subnet.id,
            ip_address,
        };
        if own.contains(&fixed) {
            continue;
        }
        // Whether it could be taken is all that is asked: the request is refused anyway, and takes nothing.
        let address = (subnet.id, ip_address);
        match tx.take_address(Pick::Named, address, port).await {
            Ok(true) => {}
            Ok(false) => return taken(fixed).into(),
            Err(error) => return error.into(),
        }
    }
    refusal.into()
}

fn taken(fixed: FixedIp) -> Refusal {
    Refusal::new(
        RefusalKind::IpAddressAlreadyAllocated,
        format!(
            "IP address {} already allocated in subnet {}.",
            fixed.ip_address, fixed.subnet_id
        ),
    )
}

/// A free address of the first of these subnets that has one.
async fn take_any(
    tx: &mut Tx,
    port: PortId,
    ids: &[SubnetId],
    subnets: &[Subnet],
) -> Result<FixedIp, Failure> {
    let of = |id: &SubnetId| subnets.iter().find(|subnet| subnet.id == *id);
    for subnet in ids.iter().filter_map(of) {
        if let Some(ip_address) = take_from(tx, port, subnet).await? {
            return Ok(FixedIp {
                subnet_id: subnet.id,
                ip_address,
            });
        }
    }
    let names: Vec<String> = ids.iter().map(ToString::to_string).collect();
    Err(Refusal::new(
        RefusalKind::IpAddressGenerationFailure,
        format!(
            "No more IP addresses available for subnet {}.",
            names.join(", ")
        ),
    )
    .into())
}

async fn take_from(tx: &mut Tx, port: PortId, subnet: &Subnet) -> Result<Option<IpAddr>, Failure> {
    let pools = &subnet.allocation_pools;
    let total = pools
        .iter()
        .fold(0_u128, |sum, pool| sum.saturating_add(pool.len()));
    if total == 0 {
        return Ok(None);
    }
    for window in [total.min(LOW_WINDOW), total] {
        for _ in 0..ADDRESS_PROBES {
            let Some(address) = nth(pools, rand::random_range(0..window)) else {
                continue;
            };
            let place = (subnet.id, address);
            if tx.take_address(Pick::Named, place, port).await? {
                return Ok(Some(address));
            }
        }
    }
    for pool in pools {
        for range in turned(*pool, rand::random_range(0..pool.len())) {
            if let Some(address) = tx.lowest_free(subnet.id, range).await?
                && tx
                    .take_address(Pick::Named, (subnet.id, address), port)
                    .await?
            {
                return Ok(Some(address));
            }
        }
    }
    Ok(None)
}

/// A range from somewhere in it to its end, then what is before. A search that always begins at the start walks over all
/// that is taken there; from anywhere a free address is as near as free ones are frequent.
fn turned(range: AddressRange, offset: u128) -> impl Iterator<Item = AddressRange> {
    let middle = range.nth(offset).unwrap_or(range.start);
    let before = offset.checked_sub(1).and_then(|last| range.nth(last));
    let head = before.map(|end| AddressRange { end, ..range });
    let tail = AddressRange {
        start: middle,
        ..range
    };
    std::iter::once(tail).chain(head)
}

/// The address at this distance from the start of the pools, one after the other.
fn nth(pools: &[AddressRange], mut offset: u128) -> Option<IpAddr> {
    for pool in pools {
        if let Some(address) = pool.nth(offset) {
            return Some(address);
        }
        offset -= pool.len();
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_turned_range_is_the_whole_range() {
        let range = AddressRange {
            start: "::2".parse().unwrap(),
            end: "::5".parse().unwrap(),
        };
        let turned = |offset| turned(range, offset).collect::<Vec<_>>();
        assert_eq!(turned(0), [range]);
        for offset in 1..4 {
            let [tail, head] = turned(offset)[..] else {
                panic!("two ranges");
            };
            assert_eq!((head.start, tail.end), (range.start, range.end));
            assert_eq!(hextet_core::address::next(head.end), Some(tail.start));
            assert_eq!(range.nth(offset), Some(tail.start));
        }
    }

    #[test]
    fn pools_are_counted_through_one_after_the_other() {
        let pools = [("::2", "::3"), ("::8", "::8")].map(|(start, end)| AddressRange {
            start: start.parse().unwrap(),
            end: end.parse().unwrap(),
        });
        let all: Vec<String> = (0..4)
            .map(|offset| format!("{:?}", nth(&pools, offset)))
            .collect();
        assert_eq!(all, ["Some(::2)", "Some(::3)", "Some(::8)", "None"]);
    }
}
