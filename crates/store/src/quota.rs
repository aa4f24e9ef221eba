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
        let rows = self
            .rows(
                "SELECT value FROM counter WHERE name = $1",
                &[counter(kind, project).into()],
            )
            .await?;
        rows.first().map_or(Ok(0), |row| row.number(0))
    }

    /// Counts a resource that was just inserted.
    pub(crate) async fn count_up(
        &mut self,
        kind: &str,
        project: &ProjectId,
    ) -> Result<(), EngineError> {
        self.exec_later(
            "INSERT INTO counter (name, value) VALUES ($1, 1) \
             ON CONFLICT (name) DO UPDATE SET value = counter.value + 1",
            &[counter(kind, project).into()],
            Some(1),
        )
        .await
    }

    /// Counts a resource that was just deleted.
    pub(crate) async fn count_down(
        &mut self,
        kind: &str,
        project: &ProjectId,
    ) -> Result<(), EngineError> {
        self.exec_later(
            "UPDATE counter SET value = value - 1 WHERE name = $1",
            &[counter(kind, project).into()],
            Some(1),
        )
        .await
    }
}

/// What the names of these counters begin with.
pub(crate) const COUNTER_PREFIX: &str = "used ";

/// The counter of how much of a kind a project has.
pub(crate) fn counter(kind: &str, project: &ProjectId) -> String {
    format!("{COUNTER_PREFIX}{kind} {project}")
}
