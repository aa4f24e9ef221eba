//! What one host claims: taps with the names of ports. Looked at when they are told, and again after each change of the
//! cloud, so that a port may be made before its tap or after.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use hextet_core::ids::{HostId, PortId};
use hextet_core::port::VnicType;
use hextet_core::report::ClaimOutcome;
use hextet_feed::v1;
use hextet_store::Store;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use tokio::sync::mpsc;
use tonic::Status;

use super::Claims;

/// From one look to the next, at least, however much changes.
const LOOK_INTERVAL: Duration = Duration::from_millis(200);

/// One claim, for as long as the host's agent keeps it up.
pub(super) struct Claiming {
    pub(super) store: Store,
    /// `None`: the host may not.
    pub(super) claims: Option<Claims>,
    pub(super) host: HostId,
    pub(super) taps: BTreeSet<String>,
    pub(super) outgoing: mpsc::Sender<Result<v1::ClaimReply, Status>>,
}

impl Claiming {
    /// Ends with the stream, or tells the agent why it ends it.
    pub(super) async fn run(mut self) {
        if let Err(status) = self.serve().await {
            // The agent may be gone, and then needs no reason.
            let _ = self.outgoing.send(Err(status)).await;
        }
    }

    async fn serve(&mut self) -> Result<(), Status> {
        // Subscribed before the first look, so that nothing falls between the two.
        let mut commits = self.store.subscribe();
        let mut told = BTreeMap::new();
        while !self.taps.is_empty() {
            for (tap, outcome) in self.look().await? {
                if outcome == ClaimOutcome::Bound {
                    // From now on it is the plan's. Whoever takes the binding away means it.
                    self.taps.remove(&tap);
                }
                if told.insert(tap.clone(), outcome) != Some(outcome) {
                    let outcome = v1::ClaimOutcome::from(outcome).into();
                    let reply = v1::ClaimReply { tap, outcome };
                    let gone = |_| Status::cancelled("the agent is gone");
                    self.outgoing.send(Ok(reply)).await.map_err(gone)?;
                }
            }
            tokio::select! {
                commit = commits.recv() => {
                    if matches!(commit, Err(RecvError::Closed)) {
                        return Err(Status::unavailable("the server ends"));
                    }
                }
                () = self.outgoing.closed() => return Ok(()),
            }
            tokio::time::sleep(LOOK_INTERVAL).await;
            while !matches!(
                commits.try_recv(),
                Err(TryRecvError::Empty | TryRecvError::Closed)
            ) {}
        }
        self.outgoing.closed().await;
        Ok(())
    }

    /// What is so of each tap now; ports that are free are bound on the way.
    async fn look(&self) -> Result<Vec<(String, ClaimOutcome)>, Status> {
        let Some(claims) = &self.claims else {
            let taps = self.taps.iter().cloned();
            return Ok(taps.map(|tap| (tap, ClaimOutcome::NotAllowed)).collect());
        };
        let found = self
            .store
            .read(|model| {
                let port = |tap: &String| {
                    let port = model.snapshot().port_of_tap(tap)?;
                    Some((port.id, port.host_id.clone(), port.vnic_type))
                };
                let all = self.taps.iter().map(|tap| (tap.clone(), port(tap)));
                all.collect::<Vec<_>>()
            })
            .await
            .map_err(super::session::away)?;
        let free = found.iter().filter_map(|(_, port)| match port {
            Some((id, None, kind)) if kind.is_carried() => Some(*id),
            _ => None,
        });
        let free: Vec<PortId> = free.collect();
        let taken = match free.is_empty() {
            true => Vec::new(),
            false => claims(self.host.clone(), free).await?,
        };
        let taken: BTreeMap<PortId, ClaimOutcome> = taken.into_iter().collect();
        let outcome = |port: Option<(PortId, Option<HostId>, VnicType)>| match port {
            None => ClaimOutcome::NoPort,
            Some((_, _, kind)) if !kind.is_carried() => ClaimOutcome::NotCarried,
            Some((_, Some(host), _)) if host == self.host => ClaimOutcome::Bound,
            Some((_, Some(_), _)) => ClaimOutcome::Elsewhere,
            Some((id, None, _)) => taken.get(&id).copied().unwrap_or(ClaimOutcome::NoPort),
        };
        Ok(found
            .into_iter()
            .map(|(tap, port)| (tap, outcome(port)))
            .collect())
    }
}
