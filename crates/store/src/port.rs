//! Ports in the store: the document, its MAC and its addresses.

use hextet_core::ids::{NetworkId, PortId};
use hextet_core::mac::Mac;
use hextet_core::port::Port;

use crate::document::Layout;
use crate::engine::EngineError;
use crate::subnet::{self, TAKE_ADDRESS};
use crate::tx::{Pick, Taking, Tx, taking};
use crate::{NETWORK, OBSERVED, PORT};

pub(crate) const LAYOUT: Layout = Layout {
    first_admin: Some("binding:profile"),
    first_internal: Some("number"),
};

pub(crate) const TAKE_MAC: Taking = taking!(
    "mac",
    2,
    "network_id, mac",
    "INSERT INTO mac (network_id, mac, port_id) VALUES ($1, $2, $3)"
);

impl Tx {
    /// The port of this id.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn port(&mut self, id: PortId) -> Result<Option<Port>, EngineError> {
        self.noun(id).await
    }

    /// A network's ports, in the order of their ids.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn ports_of(&mut self, network: NetworkId) -> Result<Vec<Port>, EngineError> {
        if let Some(ports) = self.viewed_ports(network) {
            return Ok(ports);
        }
        let mut ports = Vec::new();
        for id in self
            .referrers((NETWORK, &network.to_string()), PORT)
            .await?
        {
            let port = self.value(PORT, &id).await?;
            ports.push(port.ok_or(EngineError::Unsound("port that a reference names"))?);
        }
        Ok(ports)
    }

    /// Takes a MAC of a network for a port. False when another port, or this one, has it.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn take_mac(
        &mut self,
        pick: Pick,
        (network, mac): (NetworkId, Mac),
        port: PortId,
    ) -> Result<bool, EngineError> {
        let params = [
            network.to_string().into(),
            mac.0.to_vec().into(),
            port.to_string().into(),
        ];
        self.take(pick, TAKE_MAC, &params).await
    }

    /// Gives a MAC of a network back.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn free_mac(&mut self, network: NetworkId, mac: Mac) -> Result<(), EngineError> {
        let key = [network.to_string().into(), mac.0.to_vec().into()];
        let sql = "DELETE FROM mac WHERE network_id = $1 AND mac = $2";
        self.exec_later(sql, &key, None).await?;
        self.give_back(TAKE_MAC, &key);
        Ok(())
    }

    /// Stores a new port. Its MAC and its addresses must have been taken.
    ///
    /// # Errors
    /// When the database fails, or its network is not there.
    pub async fn insert_port(&mut self, port: &Port) -> Result<(), EngineError> {
        let id = port.id.to_string();
        if !self.insert_noun(port).await? {
            return Err(EngineError::Unsound("port id: it is taken"));
        }
        self.count_up(PORT, &port.project_id).await?;
        let network = port.network_id.to_string();
        self.refer((NETWORK, &network), (PORT, &id)).await
    }

    /// Replaces a port. What changed of its MAC and its addresses must have been taken and given back.
    ///
    /// # Errors
    /// When the database fails, or it is not there.
    pub async fn update_port(&mut self, port: &Port) -> Result<(), EngineError> {
        if !self.update_noun(port).await? {
            return Err(EngineError::Unsound("port to update"));
        }
        Ok(())
    }

    /// Deletes a port, and gives its MAC and its addresses back.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn delete_port(&mut self, port: &Port) -> Result<(), EngineError> {
        let id = port.id.to_string();
        if self.delete(PORT, &id).await? {
            self.count_down(PORT, &port.project_id).await?;
        }
        self.delete(OBSERVED, &id).await?;
        self.free_mac(port.network_id, port.mac_address).await?;
        let sql = "DELETE FROM ip_allocation WHERE port_id = $1";
        self.exec_later(sql, &[id.into()], None).await?;
        for fixed in &port.fixed_ips {
            let key = subnet::allocation_key(fixed.subnet_id, fixed.ip_address);
            self.give_back(TAKE_ADDRESS, &key);
        }
        Ok(())
    }
}
