//! Ports: make, change, bind, delete.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures::future::BoxFuture;
use hextet_core::dhcp::{self, DhcpOptions, ExtraDhcpOpt, ExtraDhcpOptRequest};
use hextet_core::ids::{HostId, NetworkId, PortId, PortNumber, ProjectId};
use hextet_core::mac::{BaseMac, Mac};
use hextet_core::network::Network;
use hextet_core::observed::PortObserved;
use hextet_core::port::{
    Addressee, FixedIpRequest, IpAllocation, Port, PortStatus, VnicType, check_mac, port_security,
};
use hextet_core::refusal::{Refusal, RefusalKind};
use hextet_core::subnet::Subnet;
use hextet_store::{Counter, Document, EngineError, PORT, Pick, Tx};
use serde_json::{Map, Value as Json};
use tracing::warn;

use super::policy::{self, PORT as RULES, SUBNET, Target};
use super::{Ask, Change, Failure, Said, address, networks, quotas, random_id, tags, written};

/// The scope of the names that links are found by: the first characters of ports' ids.
const TAP_NAMES: &str = "tap";
/// Tries to find an id whose link name is free.
const ID_PROBES: usize = 16;

/// A port that is asked for.
#[derive(Clone, Debug)]
pub struct NewPort {
    /// Its owner; the caller's project by default.
    pub project_id: Option<ProjectId>,
    /// Its network.
    pub network_id: NetworkId,
    /// Its name.
    pub name: String,
    /// What its owner says of it.
    pub description: String,
    /// What its owner marks it with.
    pub tags: BTreeSet<String>,
    /// Whether it carries traffic.
    pub admin_state_up: bool,
    /// Its MAC; a random one by default.
    pub mac_address: Option<Mac>,
    /// Its addresses; one of the subnets that assign some by default.
    pub fixed_ips: Option<Vec<FixedIpRequest>>,
    /// What it is for.
    pub device_id: String,
    /// Who it is for.
    pub device_owner: String,
    /// The host that carries it; `Some(None)`: none.
    pub host_id: Option<Option<HostId>>,
    /// What its host's side is told.
    pub profile: Map<String, Json>,
    /// What kind of NIC its guest has.
    pub vnic_type: VnicType,
    /// Whether its guest is guarded; as the network says by default.
    pub port_security_enabled: Option<bool>,
    /// What its guest is told by DHCP.
    pub extra_dhcp_opts: Vec<ExtraDhcpOptRequest>,
}

impl NewPort {
    /// Whether its guest is to be guarded.
    fn guarded(&self, network: &Network) -> bool {
        port_security(self.port_security_enabled, network, &self.device_owner)
    }
}

/// What of a port is asked to change.
#[derive(Clone, Debug, Default)]
pub struct PortPatch {
    /// Its name.
    pub name: Option<String>,
    /// What its owner says of it.
    pub description: Option<String>,
    /// Whether it carries traffic.
    pub admin_state_up: Option<bool>,
    /// Its MAC; `Some(None)`: a random one.
    pub mac_address: Option<Option<Mac>>,
    /// All its addresses but the EUI-64 ones.
    pub fixed_ips: Option<Vec<FixedIpRequest>>,
    /// What it is for.
    pub device_id: Option<String>,
    /// Who it is for.
    pub device_owner: Option<String>,
    /// The host that carries it; `Some(None)`: none.
    pub host_id: Option<Option<HostId>>,
    /// What its host's side is told.
    pub profile: Option<Map<String, Json>>,
    /// What kind of NIC its guest has.
    pub vnic_type: Option<VnicType>,
    /// What a monitor outside says of it; `Some(None)`: nothing any more.
    pub data_plane_status: Option<Option<PortStatus>>,
    /// Whether its guest is guarded.
    pub port_security_enabled: Option<bool>,
    /// What of that which its guest is told by DHCP changes.
    pub extra_dhcp_opts: Vec<ExtraDhcpOptRequest>,
}

/// What is asked of one port.
type Of<P> = Change<PortId, P>;

/// Makes ports, all or none.
pub(crate) fn create(
    tx: &mut Tx,
    ask: Arc<Ask<Vec<Said<NewPort>>>>,
) -> BoxFuture<'_, Result<Vec<Document>, Failure>> {
    Box::pin(async move {
        let mut made = Vec::with_capacity(ask.what.len());
        for asked in &ask.what {
            made.push(create_one(tx, &ask, asked).await?);
        }
        Ok(made)
    })
}

async fn create_one(
    tx: &mut Tx,
    ask: &Ask<Vec<Said<NewPort>>>,
    Said {
        what: asked,
        demands,
    }: &Said<NewPort>,
) -> Result<Document, Failure> {
    let (caller, now) = (&ask.caller, &ask.now);
    let network = networks::seen(tx, caller, asked.network_id).await?;
    let project_id = policy::owner(caller, asked.project_id.clone())?;
    RULES.may_create(caller, &Target::on(&network, &project_id), demands)?;
    quotas::check(tx, &ask.quotas, PORT, &project_id).await?;
    tags::check(&asked.tags)?;
    let subnets = tx.subnets_of(network.id).await?;
    check_subnets_exist(tx, asked.fixed_ips.as_deref()).await?;
    let id = new_id(tx).await?;
    let mac_address = match asked.mac_address {
        Some(mac) => {
            address::take_mac(tx, network.id, check_mac(mac)?, id).await?;
            mac
        }
        None => address::take_any_mac(tx, network.id, id, ask.base_mac).await?,
    };
    let addressee = Addressee {
        subnets: &subnets,
        mac: mac_address,
        device_owner: &asked.device_owner,
    };
    let wishes = match addressee.wishes(asked.fixed_ips.as_deref()) {
        Ok(wishes) => wishes,
        Err(refusal) => {
            let fixed = asked.fixed_ips.as_deref().unwrap_or_default();
            return Err(address::why_not(tx, id, fixed, &subnets, &[], refusal).await);
        }
    };
    let fixed_ips = address::fulfil(tx, id, &wishes, &subnets, &[]).await?;
    let mut port = Port {
        id,
        name: asked.name.clone(),
        description: asked.description.clone(),
        tags: asked.tags.clone(),
        project_id,
        network_id: network.id,
        mac_address,
        fixed_ips,
        admin_state_up: asked.admin_state_up,
        status: PortStatus::Down,
        device_id: asked.device_id.clone(),
        device_owner: asked.device_owner.clone(),
        ip_allocation: ip_allocation(asked.fixed_ips.as_deref()),
        data_plane_status: None,
        port_security_enabled: asked.guarded(&network),
        extra_dhcp_opts: dhcp_options(id, &[], &asked.extra_dhcp_opts)?,
        revision_number: 1,
        created_at: now.clone(),
        updated_at: now.clone(),
        profile: asked.profile.clone(),
        vnic_type: asked.vnic_type,
        host_id: None,
        number: new_number(tx).await?,
        bound_at: 0,
    };
    if let Some(host) = &asked.host_id {
        bind(tx, &mut port, host.clone()).await?;
    }
    tx.insert_port(&port).await?;
    written(tx, PORT, id).await
}

/// An id by whose first characters no other port's link is found.
async fn new_id(tx: &mut Tx) -> Result<PortId, Failure> {
    for _ in 0..ID_PROBES {
        let id = PortId(random_id());
        let name = id.tap_name();
        if tx
            .claim(Pick::Drawn, (TAP_NAMES, &name), &id.to_string())
            .await?
        {
            return Ok(id);
        }
    }
    Err(EngineError::Unsound("free port id").into())
}

/// The options after a request. Names that are no option's are kept, and said once: nobody is told of them.
fn dhcp_options(
    port: PortId,
    before: &[ExtraDhcpOpt],
    asked: &[ExtraDhcpOptRequest],
) -> Result<Vec<ExtraDhcpOpt>, Refusal> {
    let after = dhcp::merge(before, asked)?;
    if !asked.is_empty() {
        let known = DhcpOptions::of(before).unknown;
        for name in DhcpOptions::of(&after).unknown {
            if !known.contains(&name) {
                warn!(%port, name, "no guest is told of a DHCP option of an unknown name");
            }
        }
    }
    Ok(after)
}

/// A number of the fast path that no port had.
async fn new_number(tx: &mut Tx) -> Result<PortNumber, Failure> {
    let number = u32::try_from(tx.next(Counter::PortNumber).await?);
    let number = number.map_err(|_| EngineError::Unsound("port number: all are used up"))?;
    Ok(PortNumber(number))
}

/// A subnet that is named must be somewhere; that it is elsewhere is said by the choice of addresses.
async fn check_subnets_exist(tx: &mut Tx, asked: Option<&[FixedIpRequest]>) -> Result<(), Failure> {
    let named = asked.into_iter().flatten();
    for id in named.filter_map(|entry| entry.subnet_id) {
        if tx.subnet(id).await?.is_none() {
            return Err(SUBNET.unknown(id).into());
        }
    }
    Ok(())
}

/// Changes a port.
pub(crate) fn update(
    tx: &mut Tx,
    ask: Arc<Ask<Of<Said<PortPatch>>>>,
) -> BoxFuture<'_, Result<Document, Failure>> {
    Box::pin(async move {
        let (id, if_match) = (&ask.what.id, &ask.what.if_match);
        let Said {
            what: patch,
            demands,
        } = &ask.what.patch;
        let (before, network) = found(tx, *id).await?;
        RULES.may_update(&ask.caller, &Target::port(&before, &network), id, demands)?;
        if_match.check(before.revision_number)?;
        let mut after = before.clone();
        patch.say(&mut after);
        after.extra_dhcp_opts = dhcp_options(*id, &before.extra_dhcp_opts, &patch.extra_dhcp_opts)?;
        if patch.mac_address.is_some() || patch.fixed_ips.is_some() {
            readdress(tx, &before, &mut after, patch, ask.base_mac).await?;
        }
        if let Some(host) = &patch.host_id {
            after.host_id.clone_from(host);
        }
        if (&after.host_id, after.vnic_type) != (&before.host_id, before.vnic_type) {
            rebind(tx, &mut after).await?;
        }
        if after != before {
            touch(&mut after, &ask.now);
            after.status = ask.reported.status(&after, &network);
            tx.update_port(&after).await?;
        }
        written(tx, PORT, id).await
    })
}

impl PortPatch {
    /// Changes what depends on nothing else.
    fn say(&self, port: &mut Port) {
        fn set<T: Clone>(value: &mut T, said: Option<&T>) {
            if let Some(said) = said {
                value.clone_from(said);
            }
        }
        set(&mut port.name, self.name.as_ref());
        set(&mut port.description, self.description.as_ref());
        set(&mut port.admin_state_up, self.admin_state_up.as_ref());
        set(&mut port.device_id, self.device_id.as_ref());
        set(&mut port.device_owner, self.device_owner.as_ref());
        set(&mut port.profile, self.profile.as_ref());
        set(&mut port.vnic_type, self.vnic_type.as_ref());
        set(&mut port.data_plane_status, self.data_plane_status.as_ref());
        let guarded = self.port_security_enabled.as_ref();
        set(&mut port.port_security_enabled, guarded);
    }
}

/// Whether a port asks for addresses.
fn ip_allocation(asked: Option<&[FixedIpRequest]>) -> IpAllocation {
    match asked {
        Some([]) => IpAllocation::None,
        _ => IpAllocation::Immediate,
    }
}

/// Changes MAC and addresses. With a new MAC the EUI-64 addresses are those of it.
async fn readdress(
    tx: &mut Tx,
    before: &Port,
    after: &mut Port,
    patch: &PortPatch,
    base_mac: BaseMac,
) -> Result<(), Failure> {
    let subnets = tx.subnets_of(before.network_id).await?;
    let new = patch.mac_address;
    if let Some(mac) = new.filter(|mac| *mac != Some(before.mac_address)) {
        if before.host_id.is_some() {
            return Err(Refusal::new(
                RefusalKind::PortBound,
                format!(
                    "Unable to complete operation on port {}, port is already bound: its mac_address cannot change.",
                    before.id
                ),
            )
            .into());
        }
        let network = before.network_id;
        after.mac_address = match mac {
            Some(mac) => {
                address::take_mac(tx, network, check_mac(mac)?, before.id).await?;
                mac
            }
            None => address::take_any_mac(tx, network, before.id, base_mac).await?,
        };
        tx.free_mac(network, before.mac_address).await?;
    }
    let held = renumber(before, after, &subnets);
    let owner = after.device_owner.clone();
    let addressee = Addressee {
        subnets: &subnets,
        mac: after.mac_address,
        device_owner: &owner,
    };
    let wishes = match patch.fixed_ips.as_deref() {
        Some(asked) => {
            check_subnets_exist(tx, Some(asked)).await?;
            after.ip_allocation = ip_allocation(Some(asked));
            match addressee.wishes_after(asked, &held) {
                Ok(wishes) => wishes,
                Err(refusal) => {
                    let (id, own) = (before.id, &before.fixed_ips);
                    return Err(address::why_not(tx, id, asked, &subnets, own, refusal).await);
                }
            }
        }
        None => held
            .iter()
            .map(|fixed| hextet_core::port::Wish::Address(*fixed))
            .collect(),
    };
    after.fixed_ips = address::fulfil(tx, before.id, &wishes, &subnets, &before.fixed_ips).await?;
    Ok(())
}

/// The addresses of a port with those that followed from its old MAC made anew from the new one.
fn renumber(before: &Port, after: &Port, subnets: &[Subnet]) -> Vec<hextet_core::port::FixedIp> {
    let renumbered = before.fixed_ips.iter().map(|fixed| {
        let subnet = subnets.iter().find(|subnet| subnet.id == fixed.subnet_id);
        let formed =
            subnet.filter(|subnet| subnet.auto_address(before.mac_address) == Some(*fixed));
        formed
            .and_then(|subnet| subnet.auto_address(after.mac_address))
            .unwrap_or(*fixed)
    });
    renumbered.collect()
}

/// Puts a port on a host, or takes it off.
pub(super) async fn bind(
    tx: &mut Tx,
    port: &mut Port,
    host: Option<HostId>,
) -> Result<(), Failure> {
    if port.host_id != host {
        port.host_id = host;
        rebind(tx, port).await?;
    }
    Ok(())
}

/// A port with another host, or of another kind, is DOWN until the host that carries it now says otherwise, of a plan in
/// which it is bound.
async fn rebind(tx: &mut Tx, port: &mut Port) -> Result<(), Failure> {
    port.bound_at = tx.revision().await?;
    port.status = PortStatus::Down;
    tx.observe(port, &PortObserved::default()).await?;
    if let (Some(host), None) = (&port.host_id, port.carried_by()) {
        let vnic_type = port.vnic_type.name();
        warn!(port = %port.id, %host, vnic_type, "binding failed: hosts carry ports of vnic_type normal alone");
    }
    Ok(())
}

/// Deletes a port.
pub(crate) fn delete(tx: &mut Tx, ask: Arc<Ask<Of<()>>>) -> BoxFuture<'_, Result<(), Failure>> {
    Box::pin(async move {
        let (port, network) = found(tx, ask.what.id).await?;
        RULES.may_delete(&ask.caller, &Target::port(&port, &network), port.id)?;
        ask.what.if_match.check(port.revision_number)?;
        remove(tx, &port).await?;
        Ok(())
    })
}

/// Takes a port and all that it holds away.
pub(super) async fn remove(tx: &mut Tx, port: &Port) -> Result<(), EngineError> {
    tx.delete_port(port).await?;
    tx.release(TAP_NAMES, &port.id.tap_name()).await
}

/// Raises what every change raises, but for the status.
pub(super) fn touch(port: &mut Port, now: &str) {
    port.revision_number += 1;
    now.clone_into(&mut port.updated_at);
}

/// The port of this id and its network.
pub(super) async fn found(tx: &mut Tx, id: PortId) -> Result<(Port, Network), Failure> {
    let port = tx.port(id).await?.ok_or_else(|| RULES.unknown(id))?;
    let network = networks::network_of(tx, port.network_id).await?;
    Ok((port, network))
}
