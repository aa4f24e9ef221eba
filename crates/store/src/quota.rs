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
        let counted = self
            .rows(
                "SELECT value FROM counter WHERE name = $1",
                &[counter(kind, project).into()],
            )
            .await?;
        if let Some(row) = counted.first() {
            return row.number(0);
        }
        let rows = self
            .rows(
                "SELECT COUNT(*) FROM resource WHERE kind = $1 AND project_id = $2",
                &[kind.into(), project.0.as_str().into()],
            )
            .await?;
        rows.first().ok_or(EngineError::Unsound("count"))?.number(0)
    }

    /// Counts a resource that was just inserted. The first of a project since there are counts finds out how many there
    /// were.
    pub(crate) async fn count_up(
        &mut self,
        kind: &str,
        project: &ProjectId,
    ) -> Result<(), EngineError> {
        let name = counter(kind, project);
        let counted = self
            .exec(
                "UPDATE counter SET value = value + 1 WHERE name = $1",
                &[name.as_str().into()],
            )
            .await?;
        if counted == 0 {
            let used = self.used(kind, project).await?;
            self.exec(
                "INSERT INTO counter (name, value) VALUES ($1, $2)",
                &[name.into(), used.into()],
            )
            .await?;
        }
        Ok(())
    }

    /// Counts a resource that was just deleted.
    pub(crate) async fn count_down(
        &mut self,
        kind: &str,
        project: &ProjectId,
    ) -> Result<(), EngineError> {
        self.exec(
            "UPDATE counter SET value = value - 1 WHERE name = $1",
            &[counter(kind, project).into()],
        )
        .await?;
        Ok(())
    }
}

/// What the names of these counters begin with.
pub(crate) const COUNTER_PREFIX: &str = "used ";

/// The counter of how much of a kind a project has.
pub(crate) fn counter(kind: &str, project: &ProjectId) -> String {
    format!("{COUNTER_PREFIX}{kind} {project}")
}
