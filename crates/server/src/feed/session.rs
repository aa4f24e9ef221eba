//! One agent's stream: greeting, what differs, then deltas by touched keys; reports on the way back.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use hextet_core::ids::HostId;
use hextet_core::plan::compile::{compile_key, keys};
use hextet_core::plan::{Generation, PlanKey};
use hextet_core::report::HostReport;
use hextet_core::snapshot::Snapshot;
use hextet_feed::sync::{Greeting, Sent};
use hextet_feed::v1;
use hextet_feed::v1::agent_message::Body;
use hextet_store::{Committed, EngineError, Model, Store};
use rustls::pki_types::CertificateDer;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use tokio::sync::{broadcast, mpsc};
use tonic::{Status, Streaming};
use tracing::{info, warn};

use super::hosts::Stream;
use super::{Hosts, Reports};

/// How long an agent may take to say what it holds.
const GREETING_TIMEOUT: Duration = Duration::from_secs(30);

pub(super) struct Session {
    store: Store,
    reports: Reports,
    hosts: Hosts,
    certificate: CertificateDer<'static>,
    incoming: Streaming<v1::AgentMessage>,
    outgoing: mpsc::Sender<Result<v1::ServerMessage, Status>>,
}

/// Which keys to look at.
enum Look {
    Keys(BTreeSet<PlanKey>),
    /// Of these nobody knows: all.
    Whole,
}

/// A greeted agent.
struct Agent {
    host: HostId,
    sent: Sent,
    /// The generation that it was last told.
    told: Generation,
    /// For those who watch.
    stream: Stream,
}

impl Session {
    pub(super) fn new(
        store: Store,
        reports: Reports,
        hosts: Hosts,
        certificate: CertificateDer<'static>,
        incoming: Streaming<v1::AgentMessage>,
        outgoing: mpsc::Sender<Result<v1::ServerMessage, Status>>,
    ) -> Self {
        Self {
            store,
            reports,
            hosts,
            certificate,
            incoming,
            outgoing,
        }
    }

    /// Ends with the stream, or tells the agent why it ends it.
    pub(super) async fn run(mut self) {
        if let Err(status) = self.serve().await {
            info!(reason = status.message(), "agent's stream ended");
            // The agent may be gone, and then needs no reason.
            let _ = self.outgoing.send(Err(status)).await;
        }
    }

    async fn serve(&mut self) -> Result<(), Status> {
        let greeting = tokio::time::timeout(GREETING_TIMEOUT, self.greeting())
            .await
            .map_err(|_| Status::deadline_exceeded("no greeting"))??;
        if !super::names(&self.certificate, &greeting.host) {
            warn!(host = greeting.host, "certificate names another host");
            return Err(Status::permission_denied(
                "the certificate does not name this host",
            ));
        }
        // Subscribed before the first look, so that nothing falls between the two.
        let mut commits = self.store.subscribe();
        self.outlive(greeting.generation).await?;
        let mut agent = Agent {
            host: HostId(greeting.host),
            sent: Sent::new(greeting.held),
            told: greeting.generation,
            stream: self.hosts.enter(greeting.generation.revision),
        };
        info!(host = %agent.host, "agent connected");
        self.send(&mut agent, Look::Whole).await?;
        loop {
            tokio::select! {
                commit = commits.recv() => {
                    let look = gather(commit, &mut commits, &agent.host)?;
                    if matches!(look, Look::Whole) {
                        agent.stream.count_lagged();
                    }
                    self.send(&mut agent, look).await?;
                }
                message = self.incoming.message() => {
                    let Some(message) = message? else {
                        info!(host = %agent.host, "agent disconnected");
                        return Ok(());
                    };
                    self.take(&agent, message).await?;
                }
            }
        }
    }

    async fn greeting(&mut self) -> Result<Greeting, Status> {
        let mut greeting = Greeting::default();
        loop {
            let message = self.incoming.message().await?;
            let Some(Body::Hello(part)) = message.and_then(|message| message.body) else {
                return Err(Status::invalid_argument("a greeting comes first"));
            };
            if greeting.take(&part).map_err(malformed)? {
                return Ok(greeting);
            }
        }
    }

    /// An agent that is ahead of the log has followed a database that this one is an older copy of: what it holds is of
    /// another history, so a new epoch begins.
    async fn outlive(&self, held: Generation) -> Result<(), Status> {
        let ours = self.store.read(Model::generation).await.map_err(away)?;
        if held.epoch == ours.epoch && held.revision > ours.revision {
            warn!(
                held = held.revision,
                ours = ours.revision,
                "an agent is ahead of the log: a new epoch begins"
            );
            self.store.renew_epoch().await.map_err(|error| {
                tracing::error!(%error, "could not begin a new epoch");
                Status::unavailable("the database failed")
            })?;
        }
        Ok(())
    }

    async fn send(&self, agent: &mut Agent, look: Look) -> Result<(), Status> {
        let messages = self
            .store
            .read(|model| {
                let (snapshot, generation) = (model.snapshot(), model.generation());
                let whole = matches!(look, Look::Whole);
                let wanted = match look {
                    Look::Keys(keys) => keys,
                    Look::Whole => {
                        let mut all = keys(snapshot, &agent.host);
                        all.extend(agent.sent.keys());
                        all
                    }
                };
                let announce = (whole && agent.told != generation)
                    || awaited(snapshot, &wanted, &agent.host, agent.told);
                let messages = agent.sent.delta(
                    wanted,
                    |key| compile_key(snapshot, &agent.host, key),
                    generation,
                    announce,
                );
                if !messages.is_empty() {
                    agent.told = generation;
                    agent.stream.tell(generation.revision);
                }
                messages
            })
            .await
            .map_err(away)?;
        for message in messages {
            self.outgoing
                .send(Ok(message))
                .await
                .map_err(|_| Status::cancelled("the agent is gone"))?;
        }
        Ok(())
    }

    async fn take(&self, agent: &Agent, message: v1::AgentMessage) -> Result<(), Status> {
        let Some(Body::Report(report)) = message.body else {
            return Err(Status::invalid_argument("a report was expected"));
        };
        let mut report = HostReport::try_from(&report).map_err(malformed)?;
        let all = report.ports.len();
        self.store
            .read(|model| {
                report.ports.retain(|entry| {
                    let port = model.snapshot().port(entry.port);
                    port.is_some_and(|port| port.carried_by() == Some(&agent.host))
                });
            })
            .await
            .map_err(away)?;
        if report.ports.len() != all {
            // An unbinding that the agent has not heard of yet, or an agent that oversteps.
            info!(host = %agent.host, ignored = all - report.ports.len(), "report on ports of others");
        }
        agent.stream.reach(report.generation.revision);
        (self.reports)(agent.host.clone(), report).await;
        Ok(())
    }
}

/// Whether a port among these was bound after what the agent was told, so that the server waits for a report of a
/// newer generation though the port's entry may be the same as before.
fn awaited(snapshot: &Snapshot, keys: &BTreeSet<PlanKey>, host: &HostId, told: Generation) -> bool {
    keys.iter().any(|key| match key {
        PlanKey::Port(id) => snapshot
            .port(*id)
            .is_some_and(|port| port.carried_by() == Some(host) && port.bound_at > told.revision),
        PlanKey::Cloud | PlanKey::Network(_) | PlanKey::Subnet(_) => false,
    })
}

/// This commit and those behind it, as one look.
fn gather(
    first: Result<Arc<Committed>, RecvError>,
    commits: &mut broadcast::Receiver<Arc<Committed>>,
    host: &HostId,
) -> Result<Look, Status> {
    let mut keys = BTreeSet::new();
    let mut lagged = false;
    let mut whole = false;
    let mut take = |commit: &Committed| {
        whole |= commit.whole;
        keys.extend(commit.touched.get(host).into_iter().flatten().copied());
    };
    match first {
        Ok(commit) => take(&commit),
        Err(RecvError::Lagged(_)) => lagged = true,
        Err(RecvError::Closed) => return Err(Status::unavailable("the server ends")),
    }
    loop {
        match commits.try_recv() {
            Ok(commit) => take(&commit),
            Err(TryRecvError::Lagged(_)) => lagged = true,
            Err(TryRecvError::Empty | TryRecvError::Closed) => break,
        }
    }
    Ok(if lagged || whole {
        Look::Whole
    } else {
        Look::Keys(keys)
    })
}

/// The agent comes again by itself.
pub(super) fn away(error: EngineError) -> Status {
    Status::unavailable(error.to_string())
}

fn malformed(error: hextet_feed::convert::Malformed) -> Status {
    Status::invalid_argument(error.to_string())
}
