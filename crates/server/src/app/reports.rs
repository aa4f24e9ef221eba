//! What hosts say about their ports: the `status` that follows from it, and what they saw of guests.
//!
//! A host reports what differs from its last report, so that what it said before holds at the new generation too. It is
//! kept in memory: a host that connects anew says everything again.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use futures::future::BoxFuture;
use hextet_core::ids::{HostId, PortId};
use hextet_core::network::Network;
use hextet_core::plan::Generation;
use hextet_core::port::{Port, PortStatus};
use hextet_core::report::{HostReport, PortState};
use hextet_store::{Model, Store, Tx};
use tracing::{debug, error, warn};

use super::observed::{self, Seen};
use super::{Failure, networks, transact};

/// Most ports of one host that are remembered.
const PORTS_PER_HOST_MAX: usize = 16_384;

/// What one host said.
#[derive(Clone, Debug, Default)]
struct Said {
    generation: Generation,
    up: BTreeMap<PortId, bool>,
}

/// What the hosts said. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Reported(Arc<Mutex<BTreeMap<HostId, Said>>>);

impl Reported {
    /// The status of a port by what its host said last: ACTIVE when the host has it up at the generation that bound it or
    /// a later one, and neither it nor its network is switched off. What no host has spoken about stays as it is.
    pub(super) fn status(&self, port: &Port, network: &Network) -> PortStatus {
        if !port.admin_state_up || !network.admin_state_up {
            return PortStatus::Down;
        }
        let Some(host) = port.carried_by() else {
            return PortStatus::Down;
        };
        let said = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(said) = said.get(host) else {
            return port.status;
        };
        match said.up.get(&port.id) {
            Some(true) if said.generation.revision >= port.bound_at => PortStatus::Active,
            Some(true) | None => port.status,
            Some(false) => PortStatus::Down,
        }
    }

    /// Takes a report in.
    fn take(&self, host: &HostId, report: &HostReport, model: &Model) {
        let mut said = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let said = said.entry(host.clone()).or_default();
        if said.generation.epoch != report.generation.epoch {
            // Revisions of another history compare with nothing.
            said.up.clear();
        }
        said.generation = report.generation;
        said.up
            .retain(|port, _| model.snapshot().port(*port).is_some());
        for port in &report.ports {
            if said.up.len() >= PORTS_PER_HOST_MAX && !said.up.contains_key(&port.port) {
                warn!(%host, limit = PORTS_PER_HOST_MAX, "a host reports more ports than are remembered");
                break;
            }
            match &port.state {
                PortState::Up => said.up.insert(port.port, true),
                PortState::Down(reason) => {
                    debug!(%host, port = %port.port, reason, "port down");
                    said.up.insert(port.port, false)
                }
            };
        }
    }
}

struct Settle {
    ports: Vec<PortId>,
    seen: Vec<Seen>,
    host: HostId,
    reported: Reported,
}

/// Takes a host's report in, and writes the status of each port that it changes, and what was seen of its guest. A host speaks for its own ports only.
pub async fn report(store: &Store, reported: &Reported, host: HostId, report: HostReport) {
    let changed = store
        .read(|model| {
            if report.generation.epoch != model.generation().epoch {
                return (Vec::new(), Vec::new());
            }
            reported.take(&host, &report, model);
            let snapshot = model.snapshot();
            let changed = snapshot.ports_on(&host).filter(|port| {
                snapshot
                    .network(port.network_id)
                    .is_some_and(|network| reported.status(port, network) != port.status)
            });
            let changed: Vec<PortId> = changed.map(|port| port.id).collect();
            (changed, observed::news(model, &host, &report))
        })
        .await;
    let (ports, seen) = match changed {
        Ok(changed) => changed,
        Err(error) => {
            // The host says it again when it connects anew; until then the port keeps the status that it has.
            error!(%host, %error, "a report could not be looked at");
            return;
        }
    };
    if ports.is_empty() && seen.is_empty() {
        return;
    }
    let settle = Settle {
        ports,
        seen,
        host: host.clone(),
        reported: reported.clone(),
    };
    if let Err(error) = transact(store, settle, settle_in).await {
        error!(%host, %error, "a report could not be stored");
    }
}

fn settle_in(tx: &mut Tx, settle: Arc<Settle>) -> BoxFuture<'_, Result<(), Failure>> {
    Box::pin(async move {
        for id in &settle.ports {
            let Some(mut port) = tx.port(*id).await? else {
                continue;
            };
            if port.carried_by() != Some(&settle.host) {
                continue;
            }
            let network = networks::network_of(tx, port.network_id).await?;
            let status = settle.reported.status(&port, &network);
            if port.status != status {
                port.status = status;
                tx.update_port(&port).await?;
            }
        }
        for seen in &settle.seen {
            let port = tx.port(seen.port).await?;
            if let Some(port) = port.filter(|port| port.carried_by() == Some(&settle.host)) {
                tx.observe(&port, &seen.observed).await?;
            }
        }
        Ok(())
    })
}
