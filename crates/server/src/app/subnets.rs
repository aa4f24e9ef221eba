//! Subnets: make, change, delete; and what that does to the ports of the network.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures::future::BoxFuture;
use hextet_core::ids::{NetworkId, ProjectId, SubnetId};
use hextet_core::network::{self, Network};
use hextet_core::port::{Port, is_router_owner, is_service_owner};
use hextet_core::refusal::{Refusal, RefusalKind};
use hextet_core::subnet::{NewSubnet, Subnet, SubnetPatch};
use hextet_store::{Counter, Document, EngineError, SUBNET, Tx};
use uuid::Uuid;

use super::policy::{self, SUBNET as RULES, Target};
use super::{Ask, Change, Failure, Said, networks, ports, quotas, written};
use crate::identity::Caller;

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

/// Makes subnets, all or none. Ports of the network get their EUI-64 address of an auto-address subnet.
pub(crate) fn create(
    tx: &mut Tx,
    ask: Arc<Ask<Vec<Said<Asked>>>>,
) -> BoxFuture<'_, Result<Vec<Document>, Failure>> {
    Box::pin(async move {
        let mut made = Vec::with_capacity(ask.what.len());
        for asked in &ask.what {
            made.push(create_one(tx, &ask.caller, asked, &ask.now).await?);
        }
        Ok(made)
    })
}

async fn create_one(
    tx: &mut Tx,
    caller: &Caller,
    Said {
        what: asked,
        demands,
    }: &Said<Asked>,
    now: &str,
) -> Result<Document, Failure> {
    let mut network = networks::seen(tx, caller, asked.network_id).await?;
    let project_id = policy::owner(caller, asked.project_id.clone())?;
    RULES.may_create(caller, &Target::on(&network, &project_id), demands)?;
    quotas::check(tx, SUBNET, &project_id).await?;
    let siblings = tx.subnets_of(network.id).await?;
    let prefixes: Vec<_> = siblings.iter().map(|subnet| subnet.cidr).collect();
    let addressing = asked.addressing.check(&prefixes)?;
    network::check_subnet_mtu(network.mtu, asked.addressing.ip_version)?;
    let subnet = Subnet {
        id: SubnetId(Uuid::new_v4()),
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
    address_ports(tx, &subnet, now).await?;
    written(tx, SUBNET, subnet.id).await
}

/// Gives every port that a new subnet serves its EUI-64 address of it, if it is an auto-address one.
async fn address_ports(tx: &mut Tx, subnet: &Subnet, now: &str) -> Result<(), Failure> {
    for mut port in tx.ports_of(subnet.network_id).await? {
        if is_router_owner(&port.device_owner) || !subnet.serves(&port.device_owner) {
            continue;
        }
        let Some(fixed) = subnet.auto_address(port.mac_address) else {
            return Ok(());
        };
        if !tx
            .take_address(fixed.subnet_id, fixed.ip_address, port.id)
            .await?
        {
            return Err(EngineError::Unsound("new subnet: it has addresses handed out").into());
        }
        port.fixed_ips.push(fixed);
        ports::touch(&mut port, now);
        tx.update_port(&port).await?;
    }
    Ok(())
}

/// Changes a subnet.
pub(crate) fn update(
    tx: &mut Tx,
    ask: Arc<Ask<Of<Said<Patch>>>>,
) -> BoxFuture<'_, Result<Document, Failure>> {
    Box::pin(async move {
        let Change {
            id,
            if_match,
            patch,
        } = &ask.what;
        let Said {
            what: patch,
            demands,
        } = patch;
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
