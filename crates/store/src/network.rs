//! Networks in the store: the document, and the segment that no other network may have.

use std::ops::RangeInclusive;

use hextet_core::ids::{NetworkId, Vni};
use hextet_core::network::Network;

use crate::document::Layout;
use crate::engine::EngineError;
use crate::tx::{Pick, Taking, Tx, taking};
use crate::{NETWORK, PORT, SUBNET};

/// How many numbers are tried at random; with half of them in use, all tries fail once in 2^64.
const VNI_PROBES: usize = 64;
/// How many are then looked through from the lowest on, before the segments count as used up.
const VNI_SCAN: u32 = 1 << 16;

pub(crate) const LAYOUT: Layout = Layout {
    first_admin: Some("provider:physical_network"),
    first_internal: Some("provider:segmentation_id"),
};

pub(crate) const TAKE_SEGMENT: Taking = taking!(
    "segment",
    1,
    "vni",
    "INSERT INTO segment (vni, network_id) VALUES ($1, $2)"
);

impl Tx {
    /// The network of this id.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn network(&mut self, id: NetworkId) -> Result<Option<Network>, EngineError> {
        self.noun(id).await
    }

    /// Hands out a segment of a range; `None` when none is left.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn take_vni(
        &mut self,
        network: NetworkId,
        among: RangeInclusive<u32>,
    ) -> Result<Option<Vni>, EngineError> {
        for _ in 0..VNI_PROBES {
            let vni = Vni(rand::random_range(among.clone()));
            if !self.is_viewed(vni) && self.take_this_vni(Pick::Drawn, vni, network).await? {
                return Ok(Some(vni));
            }
        }
        let Some(vni) = self.lowest_vni(among).await? else {
            return Ok(None);
        };
        let taken = self.take_this_vni(Pick::Named, vni, network).await?;
        Ok(taken.then_some(vni))
    }

    /// The lowest free segment among the first [`VNI_SCAN`] of a range.
    async fn lowest_vni(&mut self, among: RangeInclusive<u32>) -> Result<Option<Vni>, EngineError> {
        let first = *among.start();
        let last = first.saturating_add(VNI_SCAN - 1).min(*among.end());
        let rows = self
            .rows(
                "SELECT vni FROM segment WHERE vni >= $1 AND vni <= $2 ORDER BY vni",
                &[first.into(), last.into()],
            )
            .await?;
        let mut lowest = first;
        for row in &rows {
            if row.number(0)? != u64::from(lowest) {
                break;
            }
            lowest = lowest.saturating_add(1);
        }
        Ok((lowest <= last).then_some(Vni(lowest)))
    }

    /// Hands this segment out. False when another network has it.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn take_this_vni(
        &mut self,
        pick: Pick,
        vni: Vni,
        network: NetworkId,
    ) -> Result<bool, EngineError> {
        let params = [vni.0.into(), network.to_string().into()];
        self.take(pick, TAKE_SEGMENT, &params).await
    }

    /// Stores a new network.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn insert_network(&mut self, network: &Network) -> Result<(), EngineError> {
        if !self.insert_noun(network).await? {
            return Err(EngineError::Unsound("network id: it is taken"));
        }
        self.count_up(NETWORK, &network.project_id).await
    }

    /// Replaces a network.
    ///
    /// # Errors
    /// When the database fails, or it is not there.
    pub async fn update_network(&mut self, network: &Network) -> Result<(), EngineError> {
        if !self.update_noun(network).await? {
            return Err(EngineError::Unsound("network to update"));
        }
        Ok(())
    }

    /// Deletes a network and gives its segment back.
    ///
    /// # Errors
    /// When the database fails, or subnets or ports stand on it.
    pub async fn delete_network(&mut self, id: NetworkId) -> Result<(), EngineError> {
        let network = self.network(id).await?;
        let id = id.to_string();
        self.delete(NETWORK, &id).await?;
        let sql = "DELETE FROM segment WHERE network_id = $1";
        self.exec_later(sql, &[id.into()], None).await?;
        if let Some(network) = network {
            self.count_down(NETWORK, &network.project_id).await?;
            self.give_back(TAKE_SEGMENT, &[network.vni.0.into()]);
        }
        Ok(())
    }

    /// Whether the network has a port.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn has_ports(&mut self, network: NetworkId) -> Result<bool, EngineError> {
        let ports = self
            .referrers((NETWORK, &network.to_string()), PORT)
            .await?;
        Ok(!ports.is_empty())
    }

    /// Whether the network has a subnet.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn has_subnets(&mut self, network: NetworkId) -> Result<bool, EngineError> {
        let subnets = self
            .referrers((NETWORK, &network.to_string()), SUBNET)
            .await?;
        Ok(!subnets.is_empty())
    }
}
