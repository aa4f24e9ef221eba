//! Who hears of commits: the model, then everybody who follows it.

use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use hextet_core::plan::Generation;
use tokio::sync::broadcast;

use crate::model::{Committed, Model};
use crate::stats::Counts;
use crate::tx::Logged;

/// The model and its followers. Clones share them.
#[derive(Clone)]
pub(crate) struct Audience {
    pub model: Arc<RwLock<Model>>,
    pub committed: broadcast::Sender<Arc<Committed>>,
    pub counts: Counts,
}

impl Audience {
    pub(crate) fn model(&self) -> RwLockReadGuard<'_, Model> {
        self.model.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes commits in, in the order of their revisions, and tells of each. Those that the model has already are passed
    /// over: on an engine that others write to, a commit is heard of from its writer and from the log.
    pub(crate) fn publish(&self, commits: Vec<(u64, Vec<Logged>)>) {
        let mut model = self.model.write().unwrap_or_else(PoisonError::into_inner);
        for (revision, logged) in commits {
            if revision <= model.generation().revision {
                continue;
            }
            let commit = model.apply(revision, logged);
            // Told under the lock, so that nobody hears of two commits in the wrong order. Nobody may be listening.
            let _ = self.committed.send(Arc::new(commit));
        }
    }

    pub(crate) fn set_epoch(&self, epoch: u64) {
        let mut model = self.model.write().unwrap_or_else(PoisonError::into_inner);
        model.set_epoch(epoch);
    }

    /// Puts a model that was read whole in the place of one that was found wrong at `found`. If that has moved on since,
    /// the newer of one history stays.
    pub(crate) fn replace(&self, found: Generation, new: Model) {
        let mut model = self.model.write().unwrap_or_else(PoisonError::into_inner);
        let now = model.generation();
        let ahead =
            now.epoch == new.generation().epoch && now.revision >= new.generation().revision;
        if now != found && ahead {
            return;
        }
        let commit = Committed::whole(new.generation().revision);
        *model = new;
        let _ = self.committed.send(Arc::new(commit));
    }
}
