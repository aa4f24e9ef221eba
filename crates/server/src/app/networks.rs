//! Networks: make, change, delete.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures::future::BoxFuture;
use hextet_core::ids::{NetworkId, ProjectId, Vni};
use hextet_core::network::{self, AddressPolicy, Network};
use hextet_core::port::{PortStatus, is_service_owner};
use hextet_core::provider::{self, Carrier, Provider, Underlay};
use hextet_core::refusal::{Refusal, RefusalKind};
use hextet_store::{Document, EngineError, NETWORK, Pick, Tx};

use super::policy::{self, NETWORK as RULES, Target};
use super::{Ask, Change, Failure, Said, new_id, ports, quotas, written};
use crate::identity::Caller;

/// The scope of the physical networks that flat networks are.
const FLAT_NETWORKS: &str = "flat";

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
    /// Whether every project sees it and may have ports on it.
    pub shared: bool,
    /// Its MTU, bytes; the largest by default.
    pub mtu: Option<u32>,
    /// What is to carry it.
    pub provider: Provider,
    /// Which ports get an address of a subnet that is added.
    pub address_policy: AddressPolicy,
    /// Whether ports that are made on it and say nothing of it are guarded.
    pub port_security_enabled: bool,
    /// Whether guests are told a short Retrans Timer.
    pub fast_dad: bool,
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
    /// Whether every project sees it and may have ports on it.
    pub shared: Option<bool>,
    /// Its MTU, bytes.
    pub mtu: Option<u32>,
    /// What carries it, which does not change.
    pub provider: Provider,
    /// Which ports get an address of a subnet that is added from now on.
    pub address_policy: Option<AddressPolicy>,
    /// Whether ports that are made on it from now on and say nothing of it are guarded.
    pub port_security_enabled: Option<bool>,
    /// Whether guests are told a short Retrans Timer.
    pub fast_dad: Option<bool>,
}

/// What is asked of one network.
type Of<P> = Change<NetworkId, P>;

/// Makes networks, all or none.
pub(crate) fn create(
    tx: &mut Tx,
    ask: Arc<Ask<Vec<Said<NewNetwork>>>>,
) -> BoxFuture<'_, Result<Vec<Document>, Failure>> {
    Box::pin(async move {
        let mut made = Vec::with_capacity(ask.what.len());
        for Said { what, demands } in &ask.what {
            let project_id = policy::owner(&ask.caller, what.project_id.clone())?;
            RULES.may_create(&ask.caller, &Target::owned(&project_id), demands)?;
            quotas::check(tx, &ask.quotas, NETWORK, &project_id).await?;
            let carrier = ask.underlay.carrier(&what.provider)?;
            let id = NetworkId(new_id());
            let (vni, physical_network) = take_carrier(tx, id, carrier, &ask.underlay).await?;
            let mtu_max = ask.underlay.mtu_max(physical_network.as_deref());
            let mtu = network::check_mtu(what.mtu, mtu_max, [])?;
            let network = Network {
                id,
                name: what.name.clone(),
                description: what.description.clone(),
                tags: BTreeSet::new(),
                project_id,
                admin_state_up: what.admin_state_up,
                shared: what.shared,
                status: "ACTIVE".to_owned(),
                subnets: Vec::new(),
                mtu,
                address_policy: what.address_policy,
                port_security_enabled: what.port_security_enabled,
                fast_dad: what.fast_dad,
                revision_number: 1,
                created_at: ask.now.clone(),
                updated_at: ask.now.clone(),
                physical_network,
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
    ask: Arc<Ask<Of<Said<NetworkPatch>>>>,
) -> BoxFuture<'_, Result<Document, Failure>> {
    Box::pin(async move {
        let (id, if_match) = (&ask.what.id, &ask.what.if_match);
        let Said {
            what: patch,
            demands,
        } = &ask.what.patch;
        let before = found(tx, *id).await?;
        RULES.may_update(&ask.caller, &Target::network(&before), id, demands)?;
        if_match.check(before.revision_number)?;
        patch.provider.check_unchanged(&before.provider())?;
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
        if let Some(shared) = patch.shared {
            if before.shared && !shared {
                check_unused_by_others(tx, &before).await?;
            }
            after.shared = shared;
        }
        if let Some(mtu) = patch.mtu {
            let subnets = tx.subnets_of(*id).await?;
            let versions = subnets.iter().map(|subnet| subnet.ip_version);
            let mtu_max = ask.underlay.mtu_max(before.physical_network.as_deref());
            after.mtu = network::check_mtu(Some(mtu), mtu_max, versions)?;
        }
        if let Some(address_policy) = patch.address_policy {
            after.address_policy = address_policy;
        }
        if let Some(enabled) = patch.port_security_enabled {
            after.port_security_enabled = enabled;
        }
        if let Some(fast_dad) = patch.fast_dad {
            after.fast_dad = fast_dad;
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
        let network = found(tx, ask.what.id).await?;
        RULES.may_delete(&ask.caller, &Target::network(&network), network.id)?;
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
        if let Some(name) = &network.physical_network {
            tx.release(FLAT_NETWORKS, name).await?;
        }
        tx.delete_network(network.id).await?;
        Ok(())
    })
}

/// The network of this id.
pub(super) async fn found(tx: &mut Tx, id: NetworkId) -> Result<Network, Failure> {
    let network = tx.network(id).await?;
    Ok(network.ok_or_else(|| RULES.unknown(id))?)
}

/// The network of this id, if the caller sees it.
pub(super) async fn seen(tx: &mut Tx, caller: &Caller, id: NetworkId) -> Result<Network, Failure> {
    let network = found(tx, id).await?;
    match policy::allows_to(RULES.read, caller, &Target::network(&network)) {
        true => Ok(network),
        false => Err(RULES.unknown(id).into()),
    }
}

/// Takes what is to carry a new network: its number, and the physical network if it is flat.
async fn take_carrier(
    tx: &mut Tx,
    id: NetworkId,
    carrier: Carrier,
    underlay: &Underlay,
) -> Result<(Vni, Option<String>), Failure> {
    let physical_network = match carrier {
        Carrier::Vxlan(Some(vni)) => {
            return match tx.take_this_vni(Pick::Named, vni, id).await? {
                true => Ok((vni, None)),
                false => Err(provider::vni_in_use(vni).into()),
            };
        }
        Carrier::Vxlan(None) => None,
        Carrier::Flat(name) => {
            let place = (FLAT_NETWORKS, name.as_str());
            if !tx.claim(Pick::Named, place, &id.to_string()).await? {
                return Err(provider::physical_network_in_use(&name).into());
            }
            Some(name)
        }
    };
    let vni = tx.take_vni(id, underlay.vni_range.clone()).await?;
    let vni = vni.ok_or_else(|| {
        Refusal::new(
            RefusalKind::NoNetworkAvailable,
            "Unable to create the network. No available network found in maximum allowed attempts.",
        )
    })?;
    Ok((vni, physical_network))
}

/// Whether nobody but its owner has something on a network that is shared no more. Ports that go with the network are
/// nobody's.
async fn check_unused_by_others(tx: &mut Tx, network: &Network) -> Result<(), Failure> {
    let ports = tx.ports_of(network.id).await?;
    let ports = ports
        .iter()
        .filter(|port| !is_service_owner(&port.device_owner))
        .map(|port| &port.project_id);
    let subnets = tx.subnets_of(network.id).await?;
    let subnets = subnets.iter().map(|subnet| &subnet.project_id);
    if ports
        .chain(subnets)
        .all(|owner| *owner == network.project_id)
    {
        return Ok(());
    }
    let refusal = Refusal::new(
        RefusalKind::InvalidSharedSetting,
        format!(
            "Unable to reconfigure sharing settings for network {}. Multiple tenants are using it.",
            network.name
        ),
    );
    Err(refusal.into())
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
