//! Subnets in the store: the document, and the addresses that are handed out of it.

use std::net::{IpAddr, Ipv6Addr};

use hextet_core::address::{self, AddressRange};
use hextet_core::ids::{NetworkId, PortId, SubnetId};
use hextet_core::subnet::Subnet;

use crate::document::Layout;
use crate::engine::EngineError;
use crate::tx::{Pick, Taking, Tx, taking};
use crate::value::{Row, Value};
use crate::{NETWORK, SUBNET};

pub(crate) const LAYOUT: Layout = Layout {
    first_admin: None,
    first_internal: Some("sequence"),
};

pub(crate) const TAKE_ADDRESS: Taking = taking!(
    "ip_allocation",
    2,
    "subnet_id, address",
    "INSERT INTO ip_allocation (subnet_id, address, port_id) VALUES ($1, $2, $3)"
);

impl Tx {
    /// The subnet of this id.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn subnet(&mut self, id: SubnetId) -> Result<Option<Subnet>, EngineError> {
        self.noun(id).await
    }

    /// A network's subnets, in the order of their creation.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn subnets_of(&mut self, network: NetworkId) -> Result<Vec<Subnet>, EngineError> {
        if let Some(mut subnets) = self.viewed_subnets(network) {
            subnets.sort_by_key(|subnet| subnet.sequence);
            return Ok(subnets);
        }
        let mut subnets: Vec<Subnet> = Vec::new();
        for id in self
            .referrers((NETWORK, &network.to_string()), SUBNET)
            .await?
        {
            let subnet = self.value(SUBNET, &id).await?;
            subnets.push(subnet.ok_or(EngineError::Unsound("subnet that a reference names"))?);
        }
        subnets.sort_by_key(|subnet| subnet.sequence);
        Ok(subnets)
    }

    /// Stores a new subnet.
    ///
    /// # Errors
    /// When the database fails, or its network is not there.
    pub async fn insert_subnet(&mut self, subnet: &Subnet) -> Result<(), EngineError> {
        let id = subnet.id.to_string();
        if !self.insert_noun(subnet).await? {
            return Err(EngineError::Unsound("subnet id: it is taken"));
        }
        self.count_up(SUBNET, &subnet.project_id).await?;
        let network = subnet.network_id.to_string();
        self.refer((NETWORK, &network), (SUBNET, &id)).await
    }

    /// Replaces a subnet.
    ///
    /// # Errors
    /// When the database fails, or it is not there.
    pub async fn update_subnet(&mut self, subnet: &Subnet) -> Result<(), EngineError> {
        if !self.update_noun(subnet).await? {
            return Err(EngineError::Unsound("subnet to update"));
        }
        Ok(())
    }

    /// Deletes a subnet. Addresses handed out of it must have been taken back.
    ///
    /// # Errors
    /// When the database fails, or an address is still handed out.
    pub async fn delete_subnet(&mut self, id: SubnetId) -> Result<(), EngineError> {
        if !self.holders_in(id).await?.is_empty() {
            return Err(EngineError::Unsound(
                "subnet to delete: addresses are handed out",
            ));
        }
        let project = self.subnet(id).await?.map(|subnet| subnet.project_id);
        self.delete(SUBNET, &id.to_string()).await?;
        if let Some(project) = project {
            self.count_down(SUBNET, &project).await?;
        }
        Ok(())
    }

    /// Hands an address out. False when another port, or this one, has it.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn take_address(
        &mut self,
        pick: Pick,
        (subnet, address): (SubnetId, IpAddr),
        port: PortId,
    ) -> Result<bool, EngineError> {
        let params = [
            subnet.to_string().into(),
            bytes(address),
            port.to_string().into(),
        ];
        self.take(pick, TAKE_ADDRESS, &params).await
    }

    /// Takes an address back.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn free_address(
        &mut self,
        subnet: SubnetId,
        address: IpAddr,
    ) -> Result<(), EngineError> {
        let key = allocation_key(subnet, address);
        let sql = "DELETE FROM ip_allocation WHERE subnet_id = $1 AND address = $2";
        self.exec_later(sql, &key, None).await?;
        self.give_back(TAKE_ADDRESS, &key);
        Ok(())
    }

    /// The ports that hold an address of the subnet, in the order of their ids.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn holders_in(&mut self, subnet: SubnetId) -> Result<Vec<PortId>, EngineError> {
        let rows = self
            .rows(
                "SELECT DISTINCT port_id FROM ip_allocation WHERE subnet_id = $1 ORDER BY port_id",
                &[subnet.to_string().into()],
            )
            .await?;
        rows.iter().map(read_port_id).collect()
    }

    /// The lowest address of a range that nobody has. Costs by what is handed out, not by how long the range is.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn lowest_free(
        &mut self,
        subnet: SubnetId,
        range: AddressRange,
    ) -> Result<Option<IpAddr>, EngineError> {
        /// How many rows are looked at in one go.
        const PAGE: i64 = 1024;
        let mut candidate = range.start;
        loop {
            let rows = self
                .rows(
                    "SELECT address FROM ip_allocation \
                     WHERE subnet_id = $1 AND address >= $2 AND address <= $3 \
                     ORDER BY address LIMIT $4",
                    &[
                        subnet.to_string().into(),
                        bytes(candidate),
                        bytes(range.end),
                        PAGE.into(),
                    ],
                )
                .await?;
            let full = rows.len() == PAGE as usize;
            for row in &rows {
                if read_address(row)? != candidate {
                    return Ok(Some(candidate));
                }
                match address::next(candidate).filter(|next| range.contains(*next)) {
                    Some(next) => candidate = next,
                    None => return Ok(None),
                }
            }
            if !full {
                return Ok(Some(candidate));
            }
            // Before more is read: what is used up is told by its count.
            let rest = AddressRange {
                start: candidate,
                end: range.end,
            };
            if u128::from(self.taken_in(subnet, rest).await?) == rest.len() {
                return Ok(None);
            }
        }
    }

    /// How many addresses of a range are handed out.
    async fn taken_in(
        &mut self,
        subnet: SubnetId,
        range: AddressRange,
    ) -> Result<u64, EngineError> {
        let rows = self
            .rows(
                "SELECT COUNT(*) FROM ip_allocation \
                 WHERE subnet_id = $1 AND address >= $2 AND address <= $3",
                &[
                    subnet.to_string().into(),
                    bytes(range.start),
                    bytes(range.end),
                ],
            )
            .await?;
        rows.first().ok_or(EngineError::Unsound("count"))?.number(0)
    }
}

/// What there may be one of.
pub(crate) fn allocation_key(subnet: SubnetId, address: IpAddr) -> [Value; 2] {
    [subnet.to_string().into(), bytes(address)]
}

fn bytes(address: IpAddr) -> Value {
    Value::Blob(address_key(address))
}

/// Addresses are stored as 16 bytes, IPv4 ones mapped (RFC 4291 §2.5.5.2): so they sort as the addresses of a subnet do.
/// No IPv6 subnet holds mapped addresses.
pub(crate) fn address_key(address: IpAddr) -> Vec<u8> {
    let address = match address {
        IpAddr::V4(address) => address.to_ipv6_mapped(),
        IpAddr::V6(address) => address,
    };
    address.octets().to_vec()
}

fn read_address(row: &Row) -> Result<IpAddr, EngineError> {
    let octets: [u8; 16] = row
        .bytes(0)?
        .try_into()
        .map_err(|_| EngineError::Unsound("address"))?;
    Ok(Ipv6Addr::from(octets).to_canonical())
}

fn read_port_id(row: &Row) -> Result<PortId, EngineError> {
    row.text(0)?
        .parse()
        .map_err(|_| EngineError::Unsound("port id"))
}
