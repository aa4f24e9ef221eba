//! The read model: every document's text by kind, and the snapshot that plans are compiled from. It follows the log.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use hextet_core::ids::{NetworkId, PortId, SubnetId};
use hextet_core::plan::Generation;
use hextet_core::settings::CloudSettings;
use hextet_core::snapshot::{Change, Snapshot, Touched};
use tracing::info;

use crate::document::Document;
use crate::engine::EngineError;
use crate::tx::{Logged, Tx};
use crate::{NETWORK, PORT, SUBNET, network, port, subnet};

/// A commit, as subscribers hear of it.
#[derive(Clone, Debug)]
pub struct Committed {
    /// The log's revision that the model has reached with it.
    pub revision: u64,
    /// The plan keys that it can have changed, by host.
    pub touched: Touched,
    /// What changed is not known: the model was read anew, and whoever follows must look at the whole of it.
    pub whole: bool,
}

impl Committed {
    pub(crate) fn whole(revision: u64) -> Self {
        Self {
            revision,
            touched: Touched::new(),
            whole: true,
        }
    }
}

/// The member that a noun got last, as it stands in its documents; inside a text its quotes would be escaped.
fn newest_member(kind: &str) -> &'static str {
    match kind {
        NETWORK => "\"hextet:fast_dad\":",
        PORT => "\"binding:vnic_type\":",
        SUBNET => "\"service_types\":",
        _ => "\"tags\":",
    }
}

/// How often a long loading says how far it is.
const PROGRESS_EVERY: Duration = Duration::from_secs(1);

/// Says how far a long loading is.
struct Progress {
    documents: u64,
    told: Instant,
}

impl Progress {
    fn new(now: Instant) -> Self {
        Self {
            documents: 0,
            told: now,
        }
    }

    fn one_more(&mut self, kind: &str, now: Instant) {
        self.documents += 1;
        if now.saturating_duration_since(self.told) >= PROGRESS_EVERY {
            self.told = now;
            info!(documents = self.documents, %kind, "reading the database");
        }
    }
}

/// As long as it is the same, no document of the kinds that it was asked for has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Marker {
    loading: u64,
    revision: u64,
}

/// How often a database was read whole in this process.
static LOADINGS: AtomicU64 = AtomicU64::new(0);

/// Everything that is stored, in memory.
#[derive(Clone, Debug)]
pub struct Model {
    generation: Generation,
    /// Which reading of the database this is.
    loading: u64,
    /// The revision of the last change since then, by kind.
    changed: BTreeMap<Arc<str>, u64>,
    documents: BTreeMap<Arc<str>, BTreeMap<Arc<str>, Arc<Document>>>,
    snapshot: Snapshot,
}

impl Model {
    /// Which database's log, and how far the model has followed it.
    pub fn generation(&self) -> Generation {
        self.generation
    }

    /// What plans are compiled from.
    pub fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    /// The document of this kind and id.
    pub fn document(&self, kind: &str, id: &str) -> Option<&Arc<Document>> {
        self.documents.get(kind)?.get(id)
    }

    /// Every document of a kind, in the order of their ids.
    pub fn documents(&self, kind: &str) -> impl Iterator<Item = &Arc<Document>> {
        self.documents
            .get(kind)
            .into_iter()
            .flat_map(BTreeMap::values)
    }

    /// How many documents of a kind there are.
    pub fn count(&self, kind: &str) -> usize {
        self.documents.get(kind).map_or(0, BTreeMap::len)
    }

    /// What tells whether documents of these kinds have changed since.
    pub fn marker(&self, kinds: &[&str]) -> Marker {
        let changed = kinds.iter().filter_map(|kind| self.changed.get(*kind));
        Marker {
            loading: self.loading,
            revision: changed.copied().max().unwrap_or(0),
        }
    }

    /// Reads the database whole.
    pub(crate) async fn load(
        tx: &mut Tx,
        epoch: u64,
        settings: CloudSettings,
    ) -> Result<Self, EngineError> {
        let mut model = Self {
            generation: Generation {
                epoch,
                revision: tx.newest_revision().await?,
            },
            loading: LOADINGS.fetch_add(1, Ordering::Relaxed),
            changed: BTreeMap::new(),
            documents: BTreeMap::new(),
            snapshot: Snapshot::new(settings),
        };
        let rows = tx
            .rows("SELECT DISTINCT kind FROM resource ORDER BY kind", &[])
            .await?;
        let mut kinds = Vec::new();
        for row in &rows {
            kinds.push(row.text(0)?.to_owned());
        }
        // A network comes before what stands on it.
        kinds.sort_by_key(|kind| {
            [NETWORK, SUBNET, PORT]
                .iter()
                .position(|first| first == kind)
                .unwrap_or(usize::MAX)
        });
        let mut told = Progress::new(Instant::now());
        for kind in kinds {
            for document in tx.documents(&kind).await? {
                told.one_more(&kind, Instant::now());
                let change = decode(&kind, &document.id, Some(&document))?;
                let document = match &change {
                    Some(change) if !document.text().contains(newest_member(&kind)) => {
                        let document = renew(document, change)?;
                        if tx.is_sole() {
                            tx.replace(&kind, &document).await?;
                        }
                        document
                    }
                    _ => document,
                };
                model.take(Logged {
                    kind: kind.as_str().into(),
                    id: document.id.clone(),
                    document: Some(Arc::new(document)),
                    change: change.map(Arc::new),
                });
            }
        }
        Ok(model)
    }

    /// Takes a transaction in, and says what it touched.
    pub(crate) fn apply(&mut self, revision: u64, logged: Vec<Logged>) -> Committed {
        let mut touched = Touched::new();
        for change in logged {
            self.changed.insert(change.kind.clone(), revision);
            for (host, keys) in self.take(change) {
                touched.entry(host).or_default().extend(keys);
            }
        }
        self.generation.revision = revision;
        Committed {
            revision,
            touched,
            whole: false,
        }
    }

    pub(crate) fn set_epoch(&mut self, epoch: u64) {
        self.generation.epoch = epoch;
    }

    fn take(&mut self, logged: Logged) -> Touched {
        let documents = self.documents.entry(logged.kind).or_default();
        match logged.document {
            Some(document) => documents.insert(logged.id, document),
            None => documents.remove(&logged.id),
        };
        logged
            .change
            .map(|change| self.snapshot.apply(Arc::unwrap_or_clone(change)))
            .unwrap_or_default()
    }
}

/// A document of an earlier program, written anew with the members that nouns got since.
fn renew(document: Document, change: &Change) -> Result<Document, EngineError> {
    match change {
        Change::Network(noun) => document.rewrite(NETWORK, noun, network::LAYOUT),
        Change::Subnet(noun) => document.rewrite(SUBNET, noun, subnet::LAYOUT),
        Change::Port(noun) => document.rewrite(PORT, noun, port::LAYOUT),
        Change::NetworkGone(_) | Change::SubnetGone(_) | Change::PortGone(_) => Ok(document),
    }
}

/// A document as the snapshot's change; `None` for kinds that no plan depends on. Where the document is gone, so is the
/// noun.
pub(crate) fn decode(
    kind: &str,
    id: &str,
    document: Option<&Document>,
) -> Result<Option<Change>, EngineError> {
    let gone = || {
        id.parse()
            .map_err(|_| EngineError::Unsound("id: it is no UUID"))
    };
    let change = match (kind, document) {
        (NETWORK, Some(document)) => Change::Network(document.parse(kind)?),
        (NETWORK, None) => Change::NetworkGone(NetworkId(gone()?)),
        (SUBNET, Some(document)) => Change::Subnet(document.parse(kind)?),
        (SUBNET, None) => Change::SubnetGone(SubnetId(gone()?)),
        (PORT, Some(document)) => Change::Port(document.parse(kind)?),
        (PORT, None) => Change::PortGone(PortId(gone()?)),
        _ => return Ok(None),
    };
    Ok(Some(change))
}

#[cfg(test)]
mod tests;
