//! Between the messages and `core`: total in both directions, with an error that names the field.

mod plan;
mod report;

use std::net::Ipv6Addr;

use hextet_core::mac::Mac;
use ipnet::Ipv6Net;
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

pub(crate) fn octets<const N: usize>(
    field: &'static str,
    bytes: &[u8],
) -> Result<[u8; N], Malformed> {
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

/// An address from its 16 octets.
pub fn address(field: &'static str, bytes: &[u8]) -> Result<Ipv6Addr, Malformed> {
    octets::<16>(field, bytes).map(Ipv6Addr::from)
}

/// A prefix from its 16 octets and its length.
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

pub(crate) fn mac(field: &'static str, bytes: &[u8]) -> Result<Mac, Malformed> {
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
