//! Arithmetic on prefixes and ranges of addresses. A /64 and a /120 cost the same: nothing enumerates.

use std::net::Ipv6Addr;

use ipnet::Ipv6Net;
use serde::{Deserialize, Serialize};

/// An allocation pool: both ends belong to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct AddressRange {
    /// First address.
    pub start: Ipv6Addr,
    /// Last address, not before the first.
    pub end: Ipv6Addr,
}

impl AddressRange {
    /// Whether the address lies in the range.
    pub fn contains(&self, address: Ipv6Addr) -> bool {
        (self.start..=self.end).contains(&address)
    }

    /// Whether the two ranges share an address.
    pub fn overlaps(&self, other: &AddressRange) -> bool {
        self.start <= other.end && other.start <= self.end
    }

    /// How many addresses lie in the range; the whole of IPv6 counts as `u128::MAX`.
    pub fn len(&self) -> u128 {
        (self.end.to_bits() - self.start.to_bits()).saturating_add(1)
    }

    /// Never: a range holds at least one address.
    pub fn is_empty(&self) -> bool {
        false
    }

    /// The address at this distance from the start, if it still lies in the range.
    pub fn nth(&self, offset: u128) -> Option<Ipv6Addr> {
        let bits = self.start.to_bits().checked_add(offset)?;
        (bits <= self.end.to_bits()).then(|| Ipv6Addr::from_bits(bits))
    }
}

/// The lowest address of a prefix: its Subnet-Router anycast address (RFC 4291 §2.6.1).
pub fn first(prefix: Ipv6Net) -> Ipv6Addr {
    prefix.network()
}

/// The highest address of a prefix (IPv6 has no broadcast; this is an ordinary address).
pub fn last(prefix: Ipv6Net) -> Ipv6Addr {
    prefix.broadcast()
}

/// The address after this one, if there is one.
pub fn next(address: Ipv6Addr) -> Option<Ipv6Addr> {
    address.to_bits().checked_add(1).map(Ipv6Addr::from_bits)
}

/// The pools that a subnet gets when none are given: everything but the network address and the gateway
/// (a gateway in the middle splits the range). A /128 has its single address.
pub fn default_pools(cidr: Ipv6Net, gateway: Option<Ipv6Addr>) -> Vec<AddressRange> {
    let (low, high) = (first(cidr), last(cidr));
    if low == high {
        return vec![AddressRange {
            start: low,
            end: high,
        }];
    }
    let start = next(low).expect("the range has a second address");
    let Some(gateway) = gateway.filter(|gateway| (start..=high).contains(gateway)) else {
        return vec![AddressRange { start, end: high }];
    };
    let mut pools = Vec::new();
    if start < gateway {
        pools.push(AddressRange {
            start,
            end: Ipv6Addr::from_bits(gateway.to_bits() - 1),
        });
    }
    if gateway < high {
        pools.push(AddressRange {
            start: Ipv6Addr::from_bits(gateway.to_bits() + 1),
            end: high,
        });
    }
    pools
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(cidr: &str, gateway: Option<&str>, expected: &[(&str, &str)]) {
        let pools = default_pools(
            cidr.parse().unwrap(),
            gateway.map(|text| text.parse().unwrap()),
        );
        let expected: Vec<AddressRange> = expected
            .iter()
            .map(|(start, end)| AddressRange {
                start: start.parse().unwrap(),
                end: end.parse().unwrap(),
            })
            .collect();
        assert_eq!(pools, expected, "{cidr} {gateway:?}");
    }

    #[test]
    fn default_pools_leave_out_the_network_address_and_the_gateway() {
        check(
            "2001:db8::/64",
            Some("2001:db8::1"),
            &[("2001:db8::2", "2001:db8::ffff:ffff:ffff:ffff")],
        );
        check(
            "2001:db8::/64",
            None,
            &[("2001:db8::1", "2001:db8::ffff:ffff:ffff:ffff")],
        );
        check(
            "2001:db8::/64",
            Some("2001:db8::"),
            &[("2001:db8::1", "2001:db8::ffff:ffff:ffff:ffff")],
        );
        check(
            "2001:db8::/126",
            Some("2001:db8::2"),
            &[
                ("2001:db8::1", "2001:db8::1"),
                ("2001:db8::3", "2001:db8::3"),
            ],
        );
        check(
            "2001:db8::/64",
            Some("fe80::1"),
            &[("2001:db8::1", "2001:db8::ffff:ffff:ffff:ffff")],
        );
        check(
            "2001:db8::/128",
            Some("2001:db8::1"),
            &[("2001:db8::", "2001:db8::")],
        );
        check("2001:db8::/127", Some("2001:db8::1"), &[]);
    }
}
