//! Networks: make, change, delete.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures::future::BoxFuture;
use hextet_core::ids::{NetworkId, ProjectId};
use hextet_core::network::{self, Network};
use hextet_core::port::{PortStatus, is_service_owner};
use hextet_core::refusal::{Refusal, RefusalKind};
use hextet_store::{Document, EngineError, NETWORK, Store, Tx};
use uuid::Uuid;

use super::reports::Reported;
use super::{Failure, IfMatch, not_found, now, policy, ports, quotas, transact};
use crate::identity::Caller;

/// A network that is asked for.
#[derive(Clone, Debug)]
pub struct NewNetwork {
    /// Its owner; the caller's project by default.
    pub project_id: Option<ProjectId>,
    /// Its name.
    pub name: String,
    /// What its owner says of it.
    pub description: String,
    /// Whether its ports carry traffic.
    pub admin_state_up: bool,
    /// Its MTU, bytes; the largest by default.
    pub mtu: Option<u32>,
}

/// What of a network is asked to change.
#[derive(Clone, Debug, Default)]
pub struct NetworkPatch {
    /// Its name.
    pub name: Option<String>,
    /// What its owner says of it.
    pub description: Option<String>,
    /// Whether its ports carry traffic.
    pub admin_state_up: Option<bool>,
    /// Its MTU, bytes.
    pub mtu: Option<u32>,
}

struct Create {
    caller: Caller,
    asked: Vec<NewNetwork>,
    mtu_max: u32,
    now: String,
}

struct Update {
    caller: Caller,
    id: NetworkId,
    patch: NetworkPatch,
    if_match: IfMatch,
    mtu_max: u32,
    reported: Reported,
    now: String,
}

struct Delete {
    caller: Caller,
    id: NetworkId,
    if_match: IfMatch,
}

/// Makes networks, all or none.
///
/// # Errors
/// With the refusal or the fault that kept it from being done.
pub async fn create(
    store: &Store,
    caller: &Caller,
    asked: Vec<NewNetwork>,
    mtu_max: u32,
) -> Result<Vec<Document>, Failure> {
    let create = Create {
        caller: caller.clone(),
        asked,
        mtu_max,
        now: now(),
    };
    transact(store, create, create_in).await
}

fn create_in(tx: &mut Tx, create: Arc<Create>) -> BoxFuture<'_, Result<Vec<Document>, Failure>> {
    Box::pin(async move {
        let mut made = Vec::with_capacity(create.asked.len());
        for asked in &create.asked {
            let project_id =
                policy::owner(&create.caller, asked.project_id.clone(), "create_network")?;
            quotas::check(tx, NETWORK, &project_id).await?;
            let mtu = network::check_mtu(asked.mtu, create.mtu_max, false)?;
            let id = NetworkId(Uuid::new_v4());
            let vni = tx.take_vni(id).await?.ok_or_else(|| {
                Refusal::new(
                    RefusalKind::NoNetworkAvailable,
                    "Unable to create the network. No available network found in maximum allowed attempts.",
                )
            })?;
            let network = Network {
                id,
                name: asked.name.clone(),
                description: asked.description.clone(),
                tags: BTreeSet::new(),
                project_id,
                admin_state_up: asked.admin_state_up,
                status: "ACTIVE".to_owned(),
                subnets: Vec::new(),
                mtu,
                revision_number: 1,
                created_at: create.now.clone(),
                updated_at: create.now.clone(),
                vni,
            };
            tx.insert_network(&network).await?;
            made.push(document(tx, id).await?);
        }
        Ok(made)
    })
}

/// Changes a network.
///
/// # Errors
/// With the refusal or the fault that kept it from being done.
pub async fn update(
    store: &Store,
    caller: &Caller,
    id: NetworkId,
    patch: NetworkPatch,
    if_match: IfMatch,
    context: (u32, Reported),
) -> Result<Document, Failure> {
    let (mtu_max, reported) = context;
    let update = Update {
        caller: caller.clone(),
        id,
        patch,
        if_match,
        mtu_max,
        reported,
        now: now(),
    };
    transact(store, update, update_in).await
}

fn update_in(tx: &mut Tx, update: Arc<Update>) -> BoxFuture<'_, Result<Document, Failure>> {
    Box::pin(async move {
        let before = writable(tx, &update.caller, update.id, "update_network").await?;
        update.if_match.check(before.revision_number)?;
        let patch = &update.patch;
        let mut after = before.clone();
        if let Some(name) = &patch.name {
            after.name.clone_from(name);
        }
        if let Some(description) = &patch.description {
            after.description.clone_from(description);
        }
        if let Some(up) = patch.admin_state_up {
            after.admin_state_up = up;
        }
        if let Some(mtu) = patch.mtu {
            after.mtu = network::check_mtu(Some(mtu), update.mtu_max, !before.subnets.is_empty())?;
        }
        if after != before {
            touch(&mut after, &update.now);
            tx.update_network(&after).await?;
        }
        if after.admin_state_up != before.admin_state_up {
            for mut port in tx.ports_of(update.id).await? {
                let status = match after.admin_state_up {
                    true => update.reported.status(&port, &after),
                    false => PortStatus::Down,
                };
                if port.status != status {
                    port.status = status;
                    tx.update_port(&port).await?;
                }
            }
        }
        document(tx, update.id).await
    })
}

/// Deletes a network with its subnets.
///
/// # Errors
/// With the refusal or the fault that kept it from being done.
pub async fn delete(
    store: &Store,
    caller: &Caller,
    id: NetworkId,
    if_match: IfMatch,
) -> Result<(), Failure> {
    let delete = Delete {
        caller: caller.clone(),
        id,
        if_match,
    };
    transact(store, delete, delete_in).await
}

fn delete_in(tx: &mut Tx, delete: Arc<Delete>) -> BoxFuture<'_, Result<(), Failure>> {
    Box::pin(async move {
        let network = writable(tx, &delete.caller, delete.id, "delete_network").await?;
        delete.if_match.check(network.revision_number)?;
        let ports = tx.ports_of(network.id).await?;
        if ports
            .iter()
            .any(|port| !is_service_owner(&port.device_owner))
        {
            let refusal = Refusal::new(
                RefusalKind::NetworkInUse,
                format!(
                    "Unable to complete operation on network {}. There are one or more ports still in use on the network.",
                    network.id
                ),
            );
            return Err(refusal.into());
        }
        for port in &ports {
            ports::remove(tx, port).await?;
        }
        for subnet in &network.subnets {
            tx.delete_subnet(*subnet).await?;
        }
        tx.delete_network(network.id).await?;
        Ok(())
    })
}

/// The network of this id, if the caller may change it.
pub(super) async fn writable(
    tx: &mut Tx,
    caller: &Caller,
    id: NetworkId,
    rule: &str,
) -> Result<Network, Failure> {
    let network = tx
        .network(id)
        .await?
        .ok_or_else(|| not_found(RefusalKind::NetworkNotFound, "Network", id))?;
    policy::may_write_network(caller, &network, rule)?;
    Ok(network)
}

/// The network of something that is stored.
pub(super) async fn network_of(tx: &mut Tx, id: NetworkId) -> Result<Network, EngineError> {
    let network = tx.network(id).await?;
    network.ok_or(EngineError::Unsound("network of a subnet or a port"))
}

/// Raises what every change raises.
pub(super) fn touch(network: &mut Network, now: &str) {
    network.revision_number += 1;
    now.clone_into(&mut network.updated_at);
}

async fn document(tx: &mut Tx, id: NetworkId) -> Result<Document, Failure> {
    let document = tx.document(NETWORK, &id.to_string()).await?;
    Ok(document.ok_or(EngineError::Unsound("network that was just written"))?)
}
