//! What hosts saw of ports' guests: a document beside each port's, under its id, so that neither the port's document nor
//! its revision changes with it.

use hextet_core::observed::PortObserved;
use hextet_core::port::Port;

use crate::OBSERVED;
use crate::document::Layout;
use crate::engine::EngineError;
use crate::tx::Tx;

const LAYOUT: Layout = Layout {
    first_admin: Some("hextet:address_conflicts"),
    first_internal: None,
};

impl Tx {
    /// What was seen of a port's guest is this from now on.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn observe(
        &mut self,
        port: &Port,
        observed: &PortObserved,
    ) -> Result<(), EngineError> {
        let id = port.id.to_string();
        if *observed == PortObserved::default() {
            self.delete(OBSERVED, &id).await?;
        } else if !self.update(OBSERVED, &id, observed, LAYOUT).await? {
            let project = port.project_id.0.as_str();
            self.insert(OBSERVED, &id, project, observed, LAYOUT)
                .await?;
        }
        Ok(())
    }
}
