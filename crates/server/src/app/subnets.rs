//! Subnets: make, change, delete; and what that does to the ports of the network.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures::future::BoxFuture;
use hextet_core::ids::{NetworkId, ProjectId, SubnetId};
use hextet_core::network::{self, AddressPolicy, Network};
use hextet_core::port::{Port, Wish, is_router_owner, is_service_owner};
use hextet_core::refusal::{Refusal, RefusalKind};
use hextet_core::subnet::{NewSubnet, Subnet, SubnetPatch};
use hextet_store::{Counter, Document, EngineError, SUBNET, Tx};

use super::policy::{self, SUBNET as RULES, Target};
use super::{Ask, Change, Failure, Said, address, networks, new_id, ports, quotas, written};

/// A subnet that is asked for.
#[derive(Clone, Debug)]
pub struct Asked {
    /// Its owner; the caller's project by default.
    pub project_id: Option<ProjectId>,
    /// Its network.
    pub network_id: NetworkId,
    /// Its name.
    pub name: String,
    /// What its owner says of it.
    pub description: String,
    /// Owners of devices whose ports alone get addresses of it; empty: any.
    pub service_types: Vec<String>,
    /// Its addressing.
    pub addressing: NewSubnet,
}

/// What of a subnet is asked to change.
#[derive(Clone, Debug, Default)]
pub struct Patch {
    /// Its name.
    pub name: Option<String>,
    /// What its owner says of it.
    pub description: Option<String>,
    /// Owners of devices whose ports alone get addresses of it from now on.
    pub service_types: Option<Vec<String>>,
    /// Its addressing.
    pub addressing: SubnetPatch,
}

/// What is asked of one subnet.
type Of<P> = Change<SubnetId, P>;

/// Makes subnets, all or none. What ports of the network get of them, its address policy says.
pub(crate) fn create(
    tx: &mut Tx,
    ask: Arc<Ask<Vec<Said<Asked>>>>,
) -> BoxFuture<'_, Result<Vec<Document>, Failure>> {
    Box::pin(async move {
        let mut made = Vec::with_capacity(ask.what.len());
        for asked in &ask.what {
            made.push(create_one(tx, &ask, asked).await?);
        }
        Ok(made)
    })
}

async fn create_one<T: Sync>(
    tx: &mut Tx,
    ask: &Ask<T>,
    Said {
        what: asked,
        demands,
    }: &Said<Asked>,
) -> Result<Document, Failure> {
    let (caller, now) = (&ask.caller, ask.now.as_str());
    let mut network = networks::seen(tx, caller, asked.network_id).await?;
    let project_id = policy::owner(caller, asked.project_id.clone())?;
    RULES.may_create(caller, &Target::on(&network, &project_id), demands)?;
    quotas::check(tx, &ask.quotas, SUBNET, &project_id).await?;
    let siblings = tx.subnets_of(network.id).await?;
    let prefixes: Vec<_> = siblings.iter().map(|subnet| subnet.cidr).collect();
    let addressing = asked.addressing.check(&prefixes)?;
    network::check_subnet_mtu(network.mtu, asked.addressing.ip_version)?;
    let subnet = Subnet {
        id: SubnetId(new_id()),
        name: asked.name.clone(),
        description: asked.description.clone(),
        tags: BTreeSet::new(),
        project_id,
        network_id: network.id,
        ip_version: asked.addressing.ip_version,
        cidr: addressing.cidr,
        gateway_ip: addressing.gateway_ip,
        allocation_pools: addressing.allocation_pools,
        dns_nameservers: addressing.dns_nameservers,
        host_routes: addressing.host_routes,
        service_types: asked.service_types.clone(),
        enable_dhcp: addressing.enable_dhcp,
        modes: addressing.modes,
        revision_number: 0,
        created_at: now.to_owned(),
        updated_at: now.to_owned(),
        sequence: tx.next(Counter::SubnetSequence).await?,
    };
    tx.insert_subnet(&subnet).await?;
    network.subnets.push(subnet.id);
    networks::touch(&mut network, now);
    tx.update_network(&network).await?;
    address_ports(tx, &subnet, network.address_policy, now).await?;
    written(tx, SUBNET, subnet.id).await
}

/// Gives ports of the network that a new subnet serves an address of it: their EUI-64 address of an auto-address one, one
/// of its pools where the network's policy says so.
async fn address_ports(
    tx: &mut Tx,
    subnet: &Subnet,
    policy: AddressPolicy,
    now: &str,
) -> Result<(), Failure> {
    let auto = subnet.modes.is_auto_address();
    if !auto && policy == AddressPolicy::NewPorts {
        return Ok(());
    }
    let mut ports = tx.ports_of(subnet.network_id).await?;
    ports.retain(|port| {
        subnet.serves(&port.device_owner)
            && !is_router_owner(&port.device_owner)
            && (auto || !is_service_owner(&port.device_owner))
    });
    if !auto {
        check_room(subnet, ports.len())?;
    }
    for mut port in ports {
        let wish = match subnet.auto_address(port.mac_address) {
            Some(fixed) => Wish::Address(fixed),
            None => Wish::AnyOf(vec![subnet.id]),
        };
        let wishes = [wish];
        let subnets = std::slice::from_ref(subnet);
        let given = address::fulfil(tx, port.id, &wishes, subnets, &[]).await?;
        port.fixed_ips.extend(given);
        ports::touch(&mut port, now);
        tx.update_port(&port).await?;
    }
    Ok(())
}

/// Whether the pools of a new subnet have an address for each of so many ports.
fn check_room(subnet: &Subnet, ports: usize) -> Result<(), Refusal> {
    let pools = subnet.allocation_pools.iter();
    let room = pools.fold(0_u128, |sum, pool| sum.saturating_add(pool.len()));
    if room >= ports as u128 {
        return Ok(());
    }
    Err(Refusal::new(
        RefusalKind::IpAddressGenerationFailure,
        format!(
            "No more IP addresses available for subnet {}: its allocation_pools have {room}, and with hextet:address_policy all-ports each of the network's {ports} ports gets one.",
            subnet.cidr
        ),
    ))
}

/// Changes a subnet.
pub(crate) fn update(
    tx: &mut Tx,
    ask: Arc<Ask<Of<Said<Patch>>>>,
) -> BoxFuture<'_, Result<Document, Failure>> {
    Box::pin(async move {
        let (id, if_match) = (&ask.what.id, &ask.what.if_match);
        let Said {
            what: patch,
            demands,
        } = &ask.what.patch;
        let (before, mut network) = found(tx, *id).await?;
        let target = Target::on(&network, &before.project_id);
        RULES.may_update(&ask.caller, &target, id, demands)?;
        if_match.check(before.revision_number)?;
        let addressing = patch.addressing.check(&before)?;
        let mut after = Subnet {
            gateway_ip: addressing.gateway_ip,
            allocation_pools: addressing.allocation_pools,
            dns_nameservers: addressing.dns_nameservers,
            host_routes: addressing.host_routes,
            enable_dhcp: addressing.enable_dhcp,
            ..before.clone()
        };
        if let Some(name) = &patch.name {
            after.name.clone_from(name);
        }
        if let Some(description) = &patch.description {
            after.description.clone_from(description);
        }
        if let Some(service_types) = &patch.service_types {
            after.service_types.clone_from(service_types);
        }
        if after != before {
            touch(&mut after, &ask.now);
            tx.update_subnet(&after).await?;
            networks::touch(&mut network, &ask.now);
            tx.update_network(&network).await?;
        }
        written(tx, SUBNET, id).await
    })
}

/// Deletes a subnet. Ports lose their EUI-64 addresses of it; any other address that is handed out keeps it.
pub(crate) fn delete(tx: &mut Tx, ask: Arc<Ask<Of<()>>>) -> BoxFuture<'_, Result<(), Failure>> {
    Box::pin(async move {
        let (subnet, mut network) = found(tx, ask.what.id).await?;
        let target = Target::on(&network, &subnet.project_id);
        RULES.may_delete(&ask.caller, &target, subnet.id)?;
        ask.what.if_match.check(subnet.revision_number)?;
        for id in tx.holders_in(subnet.id).await? {
            let port = tx.port(id).await?;
            let mut port = port.ok_or(EngineError::Unsound("port that holds an address"))?;
            if keeps(&port, &subnet) {
                return Err(in_use(&subnet).into());
            }
            let (gone, left) = std::mem::take(&mut port.fixed_ips)
                .into_iter()
                .partition::<Vec<_>, _>(|fixed| fixed.subnet_id == subnet.id);
            for fixed in gone {
                tx.free_address(fixed.subnet_id, fixed.ip_address).await?;
            }
            port.fixed_ips = left;
            ports::touch(&mut port, &ask.now);
            tx.update_port(&port).await?;
        }
        tx.delete_subnet(subnet.id).await?;
        network.subnets.retain(|id| *id != subnet.id);
        networks::touch(&mut network, &ask.now);
        tx.update_network(&network).await?;
        Ok(())
    })
}

/// Whether a port's address keeps its subnet from being deleted.
fn keeps(port: &Port, subnet: &Subnet) -> bool {
    match subnet.modes.is_auto_address() {
        true => is_router_owner(&port.device_owner),
        false => !is_service_owner(&port.device_owner),
    }
}

fn in_use(subnet: &Subnet) -> Refusal {
    Refusal::new(
        RefusalKind::SubnetInUse,
        format!(
            "Unable to complete operation on subnet {}: One or more ports have an IP allocation from this subnet.",
            subnet.id
        ),
    )
}

/// Raises what every change raises.
pub(super) fn touch(subnet: &mut Subnet, now: &str) {
    subnet.revision_number += 1;
    now.clone_into(&mut subnet.updated_at);
}

/// The subnet of this id and its network.
pub(super) async fn found(tx: &mut Tx, id: SubnetId) -> Result<(Subnet, Network), Failure> {
    let subnet = tx.subnet(id).await?.ok_or_else(|| RULES.unknown(id))?;
    let network = networks::network_of(tx, subnet.network_id).await?;
    Ok((subnet, network))
}
