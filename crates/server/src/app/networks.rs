//! Networks: make, change, delete.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures::future::BoxFuture;
use hextet_core::ids::{NetworkId, ProjectId};
use hextet_core::network::{self, Network};
use hextet_core::port::{PortStatus, is_service_owner};
use hextet_core::refusal::{Refusal, RefusalKind};
use hextet_store::{Document, EngineError, NETWORK, Tx};
use uuid::Uuid;

use super::{Ask, Change, Failure, not_found, policy, ports, quotas, written};
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

/// What is asked of one network.
type Of<P> = Change<NetworkId, P>;

/// Makes networks, all or none.
pub(crate) fn create(
    tx: &mut Tx,
    ask: Arc<Ask<Vec<NewNetwork>>>,
) -> BoxFuture<'_, Result<Vec<Document>, Failure>> {
    Box::pin(async move {
        let mut made = Vec::with_capacity(ask.what.len());
        for asked in &ask.what {
            let project_id =
                policy::owner(&ask.caller, asked.project_id.clone(), "create_network")?;
            quotas::check(tx, NETWORK, &project_id).await?;
            let mtu = network::check_mtu(asked.mtu, ask.underlay.mtu_max, [])?;
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
                created_at: ask.now.clone(),
                updated_at: ask.now.clone(),
                vni,
            };
            tx.insert_network(&network).await?;
            made.push(written(tx, NETWORK, id).await?);
        }
        Ok(made)
    })
}

/// Changes a network.
pub(crate) fn update(
    tx: &mut Tx,
    ask: Arc<Ask<Of<NetworkPatch>>>,
) -> BoxFuture<'_, Result<Document, Failure>> {
    Box::pin(async move {
        let Change {
            id,
            if_match,
            patch,
        } = &ask.what;
        let before = writable(tx, &ask.caller, *id, "update_network").await?;
        if_match.check(before.revision_number)?;
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
            let subnets = tx.subnets_of(*id).await?;
            let versions = subnets.iter().map(|subnet| subnet.ip_version);
            after.mtu = network::check_mtu(Some(mtu), ask.underlay.mtu_max, versions)?;
        }
        if after != before {
            touch(&mut after, &ask.now);
            tx.update_network(&after).await?;
        }
        if after.admin_state_up != before.admin_state_up {
            for mut port in tx.ports_of(*id).await? {
                let status = match after.admin_state_up {
                    true => ask.reported.status(&port, &after),
                    false => PortStatus::Down,
                };
                if port.status != status {
                    port.status = status;
                    tx.update_port(&port).await?;
                }
            }
        }
        written(tx, NETWORK, id).await
    })
}

/// Deletes a network with its subnets.
pub(crate) fn delete(tx: &mut Tx, ask: Arc<Ask<Of<()>>>) -> BoxFuture<'_, Result<(), Failure>> {
    Box::pin(async move {
        let network = writable(tx, &ask.caller, ask.what.id, "delete_network").await?;
        ask.what.if_match.check(network.revision_number)?;
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
