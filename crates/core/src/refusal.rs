//! Refusals: the user's kind of no. A row in `specs/refusals.tsv` for each type, with its HTTP status.

/// A refusal's type, as clients read it in `NeutronError.type`.
///
/// The names and statuses are Neutron's (release 29); `specs/refusals.tsv` lists them and is this table's test.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RefusalKind {
    /// A fixed address on an auto-address subnet is not the port's EUI-64 one.
    AllocationOnAutoAddressSubnet,
    /// The request cannot be carried out in this form.
    BadRequest,
    /// More name servers than a subnet may have.
    DnsNameServersExhausted,
    /// The gateway lies in an allocation pool.
    GatewayConflictWithAllocationPools,
    /// An attribute is unknown, missing, read-only or malformed.
    HttpBadRequest,
    /// The physical network is another flat network's.
    FlatNetworkInUse,
    /// The path does not offer the method.
    HttpMethodNotAllowed,
    /// No resource under that path.
    HttpNotFound,
    /// Neutron has the path and does not offer the method either.
    HttpNotImplemented,
    /// More routes than a subnet may have.
    HostRoutesExhausted,
    /// A semantic check of a body failed.
    InvalidInput,
    /// A pool is malformed.
    InvalidAllocationPool,
    /// Other projects use the network that is to be shared no more.
    InvalidSharedSetting,
    /// A fixed address lies in none of the network's subnets.
    InvalidIpForNetwork,
    /// A fixed address lies outside its subnet.
    InvalidIpForSubnet,
    /// The address is another port's.
    IpAddressAlreadyAllocated,
    /// No free address.
    IpAddressGenerationFailure,
    /// The network's subnets are all for ports of other owners.
    IpAddressGenerationFailureNoMatchingSubnet,
    /// The MAC is another port's of the network.
    MacAddressInUse,
    /// No segment is left.
    NoNetworkAvailable,
    /// Ports are left on the network.
    NetworkInUse,
    /// The MTU is too small for a subnet's family.
    NetworkMtuSubnetConflict,
    /// No such network, or none that the caller may see.
    NetworkNotFound,
    /// A pool lies outside the prefix.
    OutOfBoundsAllocationPool,
    /// Two pools overlap.
    OverlappingAllocationPools,
    /// A limit of the project is reached.
    OverQuota,
    /// The caller's roles do not allow it.
    PolicyNotAuthorized,
    /// The port is bound, and this attribute cannot change while it is.
    PortBound,
    /// No such port, or none that the caller may see.
    PortNotFound,
    /// The resource is no longer at the revision that the request names.
    RevisionNumberConstraintFailed,
    /// Addresses of the subnet are handed out.
    SubnetInUse,
    /// No such subnet, or none that the caller may see.
    SubnetNotFound,
    /// The resource has no such tag.
    TagNotFound,
    /// The project has no limits of its own.
    TenantQuotaNotFound,
    /// The number on the wire is another network's.
    TunnelIdInUse,
}

/// Every kind with Neutron's name and HTTP status, in the order of the names.
const KINDS: &[(RefusalKind, &str, u16)] = &[
    (
        RefusalKind::AllocationOnAutoAddressSubnet,
        "AllocationOnAutoAddressSubnet",
        400,
    ),
    (RefusalKind::BadRequest, "BadRequest", 400),
    (
        RefusalKind::DnsNameServersExhausted,
        "DNSNameServersExhausted",
        400,
    ),
    (RefusalKind::FlatNetworkInUse, "FlatNetworkInUse", 409),
    (
        RefusalKind::GatewayConflictWithAllocationPools,
        "GatewayConflictWithAllocationPools",
        409,
    ),
    (RefusalKind::HttpBadRequest, "HTTPBadRequest", 400),
    (
        RefusalKind::HttpMethodNotAllowed,
        "HTTPMethodNotAllowed",
        405,
    ),
    (RefusalKind::HttpNotFound, "HTTPNotFound", 404),
    (RefusalKind::HttpNotImplemented, "HTTPNotImplemented", 501),
    (RefusalKind::HostRoutesExhausted, "HostRoutesExhausted", 400),
    (
        RefusalKind::InvalidAllocationPool,
        "InvalidAllocationPool",
        400,
    ),
    (RefusalKind::InvalidInput, "InvalidInput", 400),
    (RefusalKind::InvalidIpForNetwork, "InvalidIpForNetwork", 400),
    (RefusalKind::InvalidIpForSubnet, "InvalidIpForSubnet", 400),
    (
        RefusalKind::InvalidSharedSetting,
        "InvalidSharedSetting",
        409,
    ),
    (
        RefusalKind::IpAddressAlreadyAllocated,
        "IpAddressAlreadyAllocated",
        409,
    ),
    (
        RefusalKind::IpAddressGenerationFailure,
        "IpAddressGenerationFailure",
        409,
    ),
    (
        RefusalKind::IpAddressGenerationFailureNoMatchingSubnet,
        "IpAddressGenerationFailureNoMatchingSubnet",
        409,
    ),
    (RefusalKind::MacAddressInUse, "MacAddressInUse", 409),
    (RefusalKind::NetworkInUse, "NetworkInUse", 409),
    (
        RefusalKind::NetworkMtuSubnetConflict,
        "NetworkMTUSubnetConflict",
        409,
    ),
    (RefusalKind::NetworkNotFound, "NetworkNotFound", 404),
    (RefusalKind::NoNetworkAvailable, "NoNetworkAvailable", 503),
    (
        RefusalKind::OutOfBoundsAllocationPool,
        "OutOfBoundsAllocationPool",
        400,
    ),
    (RefusalKind::OverQuota, "OverQuota", 409),
    (
        RefusalKind::OverlappingAllocationPools,
        "OverlappingAllocationPools",
        409,
    ),
    (RefusalKind::PolicyNotAuthorized, "PolicyNotAuthorized", 403),
    (RefusalKind::PortBound, "PortBound", 409),
    (RefusalKind::PortNotFound, "PortNotFound", 404),
    (
        RefusalKind::RevisionNumberConstraintFailed,
        "RevisionNumberConstraintFailed",
        412,
    ),
    (RefusalKind::SubnetInUse, "SubnetInUse", 409),
    (RefusalKind::SubnetNotFound, "SubnetNotFound", 404),
    (RefusalKind::TagNotFound, "TagNotFound", 404),
    (RefusalKind::TenantQuotaNotFound, "TenantQuotaNotFound", 404),
    (RefusalKind::TunnelIdInUse, "TunnelIdInUse", 409),
];

impl RefusalKind {
    fn row(self) -> &'static (RefusalKind, &'static str, u16) {
        KINDS
            .iter()
            .find(|row| row.0 == self)
            .expect("every kind has its row; the test walks specs/refusals.tsv")
    }

    /// Neutron's name of the type.
    pub fn neutron_type(self) -> &'static str {
        self.row().1
    }

    /// The HTTP status that goes with it, 400 to 503.
    pub fn status(self) -> u16 {
        self.row().2
    }
}

/// A request that cannot be granted, with a text that names the attribute and what is allowed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    /// What kind of refusal.
    pub kind: RefusalKind,
    /// The sentence that the user reads.
    pub message: String,
}

impl Refusal {
    /// A refusal of this kind with this sentence.
    pub fn new(kind: RefusalKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
        }
    }

    /// `InvalidInput`, the semantic check's usual answer.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(
            RefusalKind::InvalidInput,
            format!("Invalid input for operation: {}.", message.into()),
        )
    }

    /// `HTTPBadRequest` about one attribute's value, in Neutron's words.
    pub fn attribute(name: &str, reason: impl std::fmt::Display) -> Self {
        Self::new(
            RefusalKind::HttpBadRequest,
            format!("Invalid input for {name}. Reason: {reason}."),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_and_the_table_are_the_same() {
        let rows: Vec<(String, u16)> = include_str!("../specs/refusals.tsv")
            .lines()
            .filter(|line| !line.starts_with('#') && !line.is_empty())
            .skip(1)
            .map(|line| {
                let mut cells = line.split('\t');
                let name = cells.next().unwrap().to_owned();
                let status = cells.next().unwrap().parse().unwrap();
                assert!(!cells.next().unwrap().is_empty(), "{name} says why");
                (name, status)
            })
            .collect();
        let table: Vec<(String, u16)> = KINDS.iter().map(|row| (row.1.to_owned(), row.2)).collect();
        assert_eq!(rows, table);
    }
}
