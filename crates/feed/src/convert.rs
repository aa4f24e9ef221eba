//! Between the messages and `core`: total in both directions, with an error that names the field.

mod plan;
mod report;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use hextet_core::mac::Mac;
use ipnet::{Ipv4Net, Ipv6Net};
use uuid::Uuid;

/// A message that says nothing sensible.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// A field that must be there is not.
    #[error("{0} is missing")]
    Missing(&'static str),
    /// A field of fixed size has another.
    #[error("{field} has {len} octets instead of {wanted}")]
    Size {
        /// Which.
        field: &'static str,
        /// How many it must have.
        wanted: usize,
        /// How many it has.
        len: usize,
    },
    /// A number is outside its range, or an enum's value is unknown.
    #[error("{field} cannot be {value}")]
    Range {
        /// Which.
        field: &'static str,
        /// What it is.
        value: u64,
    },
    /// A prefix has bits set behind its length.
    #[error("{0} has bits set behind its length")]
    HostBits(&'static str),
}

/// As many octets as a field has.
pub fn octets<const N: usize>(field: &'static str, bytes: &[u8]) -> Result<[u8; N], Malformed> {
    bytes.try_into().map_err(|_| Malformed::Size {
        field,
        wanted: N,
        len: bytes.len(),
    })
}

/// A UUID from its 16 octets.
pub fn uuid(field: &'static str, bytes: &[u8]) -> Result<Uuid, Malformed> {
    octets(field, bytes).map(Uuid::from_bytes)
}

/// An address of either family, from its 4 or 16 octets.
pub(crate) fn any_address(field: &'static str, bytes: &[u8]) -> Result<IpAddr, Malformed> {
    match bytes.len() {
        4 => ipv4_address(field, bytes).map(IpAddr::V4),
        _ => address(field, bytes).map(IpAddr::V6),
    }
}

/// The octets of an address of either family.
pub(crate) fn any_octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}

/// An IPv4 address from its 4 octets.
pub(crate) fn ipv4_address(field: &'static str, bytes: &[u8]) -> Result<Ipv4Addr, Malformed> {
    octets::<4>(field, bytes).map(Ipv4Addr::from)
}

/// An IPv4 prefix from its 4 octets and its length.
pub(crate) fn ipv4_prefix(
    field: &'static str,
    bytes: &[u8],
    len: u32,
) -> Result<Ipv4Net, Malformed> {
    let range = Malformed::Range {
        field,
        value: u64::from(len),
    };
    let narrow = u8::try_from(len).map_err(|_| range.clone())?;
    let net = Ipv4Net::new(ipv4_address(field, bytes)?, narrow).map_err(|_| range)?;
    if net.network() != net.addr() {
        return Err(Malformed::HostBits(field));
    }
    Ok(net)
}

/// An IPv6 address from its 16 octets.
pub fn address(field: &'static str, bytes: &[u8]) -> Result<Ipv6Addr, Malformed> {
    octets::<16>(field, bytes).map(Ipv6Addr::from)
}

/// An IPv6 prefix from its 16 octets and its length.
pub fn prefix(field: &'static str, bytes: &[u8], len: u32) -> Result<Ipv6Net, Malformed> {
    let range = Malformed::Range {
        field,
        value: u64::from(len),
    };
    let narrow = u8::try_from(len).map_err(|_| range.clone())?;
    let net = Ipv6Net::new(address(field, bytes)?, narrow).map_err(|_| range)?;
    if net.network() != net.addr() {
        return Err(Malformed::HostBits(field));
    }
    Ok(net)
}

/// A MAC from its 6 octets.
pub fn mac(field: &'static str, bytes: &[u8]) -> Result<Mac, Malformed> {
    octets(field, bytes).map(Mac)
}

pub(crate) fn narrow<T: TryFrom<u32>>(field: &'static str, value: u32) -> Result<T, Malformed> {
    T::try_from(value).map_err(|_| Malformed::Range {
        field,
        value: u64::from(value),
    })
}

#[cfg(test)]
mod tests;
