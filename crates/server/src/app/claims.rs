//! Ports that hosts claim: a tap with a port's name is there, and the port is bound to no host. Whoever comes first has it,
//! by one transaction, so that of two hosts at once exactly one does.

use std::sync::Arc;

use futures::future::BoxFuture;
use hextet_core::ids::{HostId, PortId};
use hextet_core::report::ClaimOutcome;
use hextet_store::{Store, Tx};
use tracing::{error, info};

use super::{Failure, now, ports, transact};

/// Most ports of one transaction: others' writes have their turn between.
const BATCH: usize = 64;

struct Claim {
    host: HostId,
    ports: Vec<PortId>,
    now: String,
}

/// Binds those of these ports to a host that are bound to none; what became of each.
///
/// # Errors
/// The database's, which was logged.
pub async fn claim(
    store: &Store,
    host: HostId,
    ports: Vec<PortId>,
) -> Result<Vec<(PortId, ClaimOutcome)>, Failure> {
    let mut outcomes = Vec::with_capacity(ports.len());
    for batch in ports.chunks(BATCH) {
        let claim = Claim {
            host: host.clone(),
            ports: batch.to_vec(),
            now: now(),
        };
        let done = transact(store, claim, claim_in).await;
        outcomes.extend(done.inspect_err(|failure| {
            error!(%host, ?failure, "claimed ports could not be bound");
        })?);
    }
    for (port, outcome) in &outcomes {
        info!(%host, %port, ?outcome, "port claimed");
    }
    Ok(outcomes)
}

fn claim_in(
    tx: &mut Tx,
    claim: Arc<Claim>,
) -> BoxFuture<'_, Result<Vec<(PortId, ClaimOutcome)>, Failure>> {
    Box::pin(async move {
        let mut outcomes = Vec::with_capacity(claim.ports.len());
        for id in &claim.ports {
            let outcome = match tx.port(*id).await? {
                None => ClaimOutcome::NoPort,
                Some(port) if !port.vnic_type.is_carried() => ClaimOutcome::NotCarried,
                Some(port) if port.host_id.as_ref() == Some(&claim.host) => ClaimOutcome::Bound,
                Some(port) if port.host_id.is_some() => ClaimOutcome::Elsewhere,
                Some(mut port) => {
                    ports::bind(tx, &mut port, Some(claim.host.clone())).await?;
                    ports::touch(&mut port, &claim.now);
                    tx.update_port(&port).await?;
                    ClaimOutcome::Bound
                }
            };
            outcomes.push((*id, outcome));
        }
        Ok(outcomes)
    })
}
