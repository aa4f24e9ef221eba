//! What a job changes, on its way into the log and the model.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use hextet_core::ids::{NetworkId, PortId, SubnetId, Vni};
use hextet_core::port::Port;
use hextet_core::snapshot::Change;
use hextet_core::subnet::Subnet;

use super::noun::Noun;
use super::{Engine, Tx};
use crate::document::Document;
use crate::engine::EngineError;
use crate::model::{self, Model};

/// How many revisions the log keeps.
pub(crate) const CHANGES_KEPT: u64 = 100_000;
/// How often the log is trimmed, revisions.
const TRIM_EVERY: u64 = 1024;

/// One change of the log, as the model takes it.
#[derive(Clone, Debug)]
pub(crate) struct Logged {
    pub kind: Arc<str>,
    pub id: Arc<str>,
    /// `None`: it is gone.
    pub document: Option<Arc<Document>>,
    /// The same for the snapshot, where the kind is of it.
    pub change: Option<Arc<Change>>,
}

/// What became of the documents of a kind, by id.
type Changed = BTreeMap<Arc<str>, Option<Arc<Document>>>;
/// What became of nouns, in order.
type Changes = Vec<Arc<Change>>;

/// The documents as a transaction sees them: the model, which holds the newest revision while the writers' lock is held,
/// and above it what the transaction itself has changed.
pub(crate) struct View {
    model: Arc<RwLock<Model>>,
    /// What jobs that ended well have changed; `None` is gone.
    changed: BTreeMap<Arc<str>, Changed>,
    /// The same of the nouns.
    changes: Changes,
    newest: u64,
}

impl View {
    /// Over a model that has reached `newest`, the newest revision of the database.
    pub(crate) fn new(model: Arc<RwLock<Model>>, newest: u64) -> Self {
        Self {
            model,
            changed: BTreeMap::new(),
            changes: Changes::new(),
            newest,
        }
    }

    /// The newest revision, with those of this transaction.
    pub(super) fn newest(&self) -> u64 {
        self.newest
    }

    pub(super) fn document(&self, logged: &[Logged], kind: &str, id: &str) -> Option<Document> {
        let mine = logged.iter().rev();
        if let Some(change) = mine
            .into_iter()
            .find(|one| one.kind.as_ref() == kind && one.id.as_ref() == id)
        {
            return change.document.as_deref().cloned();
        }
        if let Some(changed) = self.changed.get(kind).and_then(|ids| ids.get(id)) {
            return changed.as_deref().cloned();
        }
        let model = self.model.read().unwrap_or_else(PoisonError::into_inner);
        model
            .document(kind, id)
            .map(|document| (**document).clone())
    }

    pub(super) fn documents(&self, logged: &[Logged], kind: &str) -> Vec<Document> {
        let mut all: BTreeMap<Arc<str>, Arc<Document>> = {
            let model = self.model.read().unwrap_or_else(PoisonError::into_inner);
            let documents = model.documents(kind);
            documents
                .map(|document| (document.id.clone(), document.clone()))
                .collect()
        };
        let earlier = self.changed.get(kind).into_iter().flatten();
        let mine = logged.iter().filter(|one| one.kind.as_ref() == kind);
        let changes = earlier.chain(mine.map(|one| (&one.id, &one.document)));
        for (id, document) in changes {
            match document {
                Some(document) => all.insert(id.clone(), document.clone()),
                None => all.remove(id),
            };
        }
        all.into_values()
            .map(|document| (*document).clone())
            .collect()
    }

    /// What became of nouns, oldest first.
    fn changes<'a>(&'a self, logged: &'a [Logged]) -> impl Iterator<Item = &'a Change> {
        let mine = logged.iter().filter_map(|one| one.change.as_ref());
        self.changes.iter().chain(mine).map(Arc::as_ref)
    }

    pub(super) fn noun<N: Noun>(&self, logged: &[Logged], id: N::Id) -> Option<N> {
        let mine = logged.iter().filter_map(|one| one.change.as_ref());
        let changes = self.changes.iter().chain(mine).rev();
        if let Some(now) = changes.into_iter().find_map(|change| N::after(change, id)) {
            return now.cloned();
        }
        let model = self.model.read().unwrap_or_else(PoisonError::into_inner);
        N::held(model.snapshot(), id).cloned()
    }

    fn ports_of(&self, logged: &[Logged], network: NetworkId) -> Vec<Port> {
        let mut all: BTreeMap<PortId, Port> = {
            let model = self.model.read().unwrap_or_else(PoisonError::into_inner);
            let ports = model.snapshot().ports_of(network);
            ports.map(|port| (port.id, port.clone())).collect()
        };
        for change in self.changes(logged) {
            match change {
                Change::Port(port) if port.network_id == network => {
                    all.insert(port.id, port.clone());
                }
                Change::PortGone(id) => {
                    all.remove(id);
                }
                _ => {}
            }
        }
        all.into_values().collect()
    }

    fn subnets_of(&self, logged: &[Logged], network: NetworkId) -> Vec<Subnet> {
        let mut all: BTreeMap<SubnetId, Subnet> = {
            let model = self.model.read().unwrap_or_else(PoisonError::into_inner);
            let subnets = model.snapshot().subnets_of(network);
            subnets.map(|subnet| (subnet.id, subnet.clone())).collect()
        };
        for change in self.changes(logged) {
            match change {
                Change::Subnet(subnet) if subnet.network_id == network => {
                    all.insert(subnet.id, subnet.clone());
                }
                Change::SubnetGone(id) => {
                    all.remove(id);
                }
                _ => {}
            }
        }
        all.into_values().collect()
    }

    fn take(&mut self, revision: u64, logged: &[Logged]) {
        self.newest = revision;
        for change in logged {
            let ids = self.changed.entry(change.kind.clone()).or_default();
            ids.insert(change.id.clone(), change.document.clone());
            self.changes.extend(change.change.clone());
        }
    }
}

impl Tx {
    /// Documents are looked up in memory from now on.
    pub(crate) fn set_view(&mut self, view: Option<View>) {
        self.view = view;
    }

    /// A network's ports in the order of their ids, where they are looked up in memory.
    pub(crate) fn viewed_ports(&self, network: NetworkId) -> Option<Vec<Port>> {
        let view = self.view.as_ref()?;
        Some(view.ports_of(&self.logged, network))
    }

    /// A network's subnets in the order of their ids, where they are looked up in memory.
    pub(crate) fn viewed_subnets(&self, network: NetworkId) -> Option<Vec<Subnet>> {
        let view = self.view.as_ref()?;
        Some(view.subnets_of(&self.logged, network))
    }

    /// Whether a segment is seen to be a network's.
    pub(crate) fn is_viewed(&self, vni: Vni) -> bool {
        self.view.as_ref().is_some_and(|view| {
            let model = view.model.read().unwrap_or_else(PoisonError::into_inner);
            model.snapshot().network_of(vni).is_some()
        })
    }

    /// Forgets what a job left behind, before the next.
    pub(crate) fn reset(&mut self) {
        self.revision = None;
        self.logged.clear();
    }

    /// Appends the job's changes to the log, as its last statements, and hands them over.
    pub(crate) async fn flush(&mut self) -> Result<Option<(u64, Vec<Logged>)>, EngineError> {
        let logged = std::mem::take(&mut self.logged);
        let Some(revision) = self.revision.take().filter(|_| !logged.is_empty()) else {
            self.settle().await?;
            return Ok(None);
        };
        // Nobody follows the log where nobody else writes: it says there what was changed, not to what.
        let is_followed = !self.is_sole();
        for (ordinal, change) in logged.iter().enumerate() {
            let op = change.document.as_ref().map_or("delete", |_| "put");
            let document = change.document.as_ref().filter(|_| is_followed);
            let (body, project_id, (public_bytes, admin_bytes)) = match document {
                Some(document) => (
                    document.text(),
                    document.project_id.as_ref(),
                    document.cuts(),
                ),
                None => ("", "", (0, 0)),
            };
            self.exec_later(
                "INSERT INTO change (revision, ordinal, kind, id, op, body, project_id, \
                 public_bytes, admin_bytes) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
                &[
                    revision.into(),
                    ordinal.into(),
                    change.kind.as_ref().into(),
                    change.id.as_ref().into(),
                    op.into(),
                    body.into(),
                    project_id.into(),
                    public_bytes.into(),
                    admin_bytes.into(),
                ],
                None,
            )
            .await?;
        }
        if revision.is_multiple_of(TRIM_EVERY) {
            let kept = revision.saturating_sub(CHANGES_KEPT);
            self.exec_later(
                "DELETE FROM change WHERE revision <= $1",
                &[kept.into()],
                None,
            )
            .await?;
        }
        self.settle().await?;
        if let Some(view) = &mut self.view {
            view.take(revision, &logged);
        }
        Ok(Some((revision, logged)))
    }

    /// Waits for the answers that are due, unless the commit's answer is to tell.
    async fn settle(&mut self) -> Result<(), EngineError> {
        match &mut self.engine {
            Engine::Postgres(session) if !self.alone => session.settle().await,
            Engine::Sqlite(_) | Engine::Postgres(_) => Ok(()),
        }
    }

    pub(super) async fn log(
        &mut self,
        kind: &str,
        id: &str,
        document: Option<Document>,
        change: Option<Change>,
    ) -> Result<(), EngineError> {
        self.revision().await?;
        let change = match change {
            Some(change) => Some(change),
            None => model::decode(kind, id, document.as_ref())?,
        };
        self.logged.push(Logged {
            kind: kind.into(),
            id: id.into(),
            document: document.map(Arc::new),
            change: change.map(Arc::new),
        });
        Ok(())
    }
}
