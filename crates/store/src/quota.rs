//! How much of a kind a project has. It is counted with each insertion and deletion, so that a limit costs the look at one
//! row, however much there is.

use hextet_core::ids::ProjectId;

use crate::engine::EngineError;
use crate::tx::Tx;

impl Tx {
    /// How many resources of a kind a project owns. Of networks, subnets and ports; other kinds are not counted.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn used(&mut self, kind: &str, project: &ProjectId) -> Result<u64, EngineError> {
        self.count(&counter(kind, project)).await
    }

    /// Counts a resource that was just inserted.
    pub(crate) async fn count_up(
        &mut self,
        kind: &str,
        project: &ProjectId,
    ) -> Result<(), EngineError> {
        self.add_one(&counter(kind, project)).await
    }

    /// Counts a resource that was just deleted.
    pub(crate) async fn count_down(
        &mut self,
        kind: &str,
        project: &ProjectId,
    ) -> Result<(), EngineError> {
        self.take_one(&counter(kind, project)).await
    }
}

/// What the names of these counters begin with.
pub(crate) const COUNTER_PREFIX: &str = "used ";

/// The counter of how much of a kind a project has.
pub(crate) fn counter(kind: &str, project: &ProjectId) -> String {
    format!("{COUNTER_PREFIX}{kind} {project}")
}
