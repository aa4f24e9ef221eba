//! Arithmetic on prefixes and ranges of addresses of both families. A /64 and a /120 cost the same: nothing enumerates.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

/// An allocation pool: both ends belong to it, and are of one family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct AddressRange {
    /// First address.
    pub start: IpAddr,
    /// Last address, not before the first.
    pub end: IpAddr,
}

impl AddressRange {
    /// Whether the address lies in the range; one of the other family never does.
    pub fn contains(&self, address: IpAddr) -> bool {
        (self.start..=self.end).contains(&address)
    }

    /// Whether the two ranges share an address.
    pub fn overlaps(&self, other: &AddressRange) -> bool {
        self.start <= other.end && other.start <= self.end
    }

    /// How many addresses lie in the range; the whole of IPv6 counts as `u128::MAX`.
    pub fn len(&self) -> u128 {
        (bits(self.end) - bits(self.start)).saturating_add(1)
    }

    /// Never: a range holds at least one address.
    pub fn is_empty(&self) -> bool {
        false
    }

    /// The address at this distance from the start, if it still lies in the range.
    pub fn nth(&self, offset: u128) -> Option<IpAddr> {
        let bits = bits(self.start).checked_add(offset)?;
        from_bits(self.start, bits).filter(|address| *address <= self.end)
    }
}

/// An address as a number: of 32 bits for IPv4, of 128 for IPv6.
fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => address.to_bits().into(),
        IpAddr::V6(address) => address.to_bits(),
    }
}

/// The address of this number, of the same family as another; `None` where the family has none.
fn from_bits(like: IpAddr, bits: u128) -> Option<IpAddr> {
    match like {
        IpAddr::V4(_) => {
            let bits = u32::try_from(bits).ok()?;
            Some(Ipv4Addr::from_bits(bits).into())
        }
        IpAddr::V6(_) => Some(Ipv6Addr::from_bits(bits).into()),
    }
}

/// The address after this one, if there is one.
pub fn next(address: IpAddr) -> Option<IpAddr> {
    from_bits(address, bits(address).checked_add(1)?)
}

/// The address before this one, if there is one.
fn previous(address: IpAddr) -> Option<IpAddr> {
    from_bits(address, bits(address).checked_sub(1)?)
}

/// Whether the two prefixes share an address; those of two families never do.
pub fn overlap(one: IpNet, other: IpNet) -> bool {
    one.contains(&other.network()) || other.contains(&one.network())
}

/// Whether the address stands for the subnet and not for a station: the lowest of an IPv6 prefix is its Subnet-Router
/// anycast address (RFC 4291 §2.6.1), the lowest and the highest of an IPv4 one are its network and its broadcast address
/// (RFC 1122 §3.2.1.3). Prefixes of one or two addresses have none to spare (RFC 6164, RFC 3021).
pub fn is_reserved(cidr: IpNet, address: IpAddr) -> bool {
    if cidr.max_prefix_len() - cidr.prefix_len() < 2 {
        return false;
    }
    address == cidr.network() || (address.is_ipv4() && address == cidr.broadcast())
}

/// The pools that a subnet gets when none are given: everything but the network address, the gateway (one in the middle
/// splits the range) and, for IPv4, the broadcast address. A prefix of a single address has it; an IPv4 /31 has none, as
/// in Neutron.
pub fn default_pools(cidr: IpNet, gateway: Option<IpAddr>) -> Vec<AddressRange> {
    let (low, high) = (cidr.network(), cidr.broadcast());
    if low == high {
        return vec![AddressRange {
            start: low,
            end: high,
        }];
    }
    let end = match high {
        IpAddr::V4(_) => previous(high),
        IpAddr::V6(_) => Some(high),
    };
    let (Some(start), Some(end)) = (next(low), end) else {
        return Vec::new();
    };
    let gateway = gateway.filter(|gateway| (start..=end).contains(gateway));
    let ends = match gateway {
        None => vec![(Some(start), Some(end))],
        Some(gateway) => vec![(Some(start), previous(gateway)), (next(gateway), Some(end))],
    };
    let pools = ends.into_iter().filter_map(|(start, end)| {
        let (start, end) = (start?, end?);
        (start <= end).then_some(AddressRange { start, end })
    });
    pools.collect()
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

    #[test]
    fn default_pools_of_ipv4_leave_out_the_broadcast_address_too() {
        check(
            "10.0.0.0/24",
            Some("10.0.0.1"),
            &[("10.0.0.2", "10.0.0.254")],
        );
        check("10.0.0.0/24", None, &[("10.0.0.1", "10.0.0.254")]);
        check(
            "10.0.0.0/24",
            Some("10.0.0.100"),
            &[("10.0.0.1", "10.0.0.99"), ("10.0.0.101", "10.0.0.254")],
        );
        check(
            "10.0.0.0/24",
            Some("10.0.0.254"),
            &[("10.0.0.1", "10.0.0.253")],
        );
        check(
            "10.0.0.0/24",
            Some("192.0.2.1"),
            &[("10.0.0.1", "10.0.0.254")],
        );
        check("10.0.0.0/30", Some("10.0.0.1"), &[("10.0.0.2", "10.0.0.2")]);
        check("10.0.0.0/31", None, &[]);
        check("10.0.0.7/32", None, &[("10.0.0.7", "10.0.0.7")]);
        check(
            "255.255.255.0/24",
            Some("255.255.255.1"),
            &[("255.255.255.2", "255.255.255.254")],
        );
    }

    #[test]
    fn reserved_addresses_are_those_of_no_station() {
        for (cidr, address, reserved) in [
            ("10.0.0.0/24", "10.0.0.0", true),
            ("10.0.0.0/24", "10.0.0.255", true),
            ("10.0.0.0/24", "10.0.0.1", false),
            ("10.0.0.0/31", "10.0.0.0", false),
            ("10.0.0.0/31", "10.0.0.1", false),
            ("10.0.0.0/32", "10.0.0.0", false),
            ("2001:db8::/64", "2001:db8::", true),
            ("2001:db8::/64", "2001:db8::ffff:ffff:ffff:ffff", false),
            ("2001:db8::/127", "2001:db8::", false),
        ] {
            let answer = is_reserved(cidr.parse().unwrap(), address.parse().unwrap());
            assert_eq!(answer, reserved, "{cidr} {address}");
        }
    }

    #[test]
    fn ranges_are_counted_through_without_being_walked() {
        let range = |start: &str, end: &str| AddressRange {
            start: start.parse().unwrap(),
            end: end.parse().unwrap(),
        };
        let small = range("10.0.0.2", "10.0.0.254");
        assert_eq!(small.len(), 253);
        assert_eq!(small.nth(252), Some("10.0.0.254".parse().unwrap()));
        assert_eq!(small.nth(253), None);
        assert_eq!(small.nth(u128::MAX), None);
        let all = range("0.0.0.0", "255.255.255.255");
        assert_eq!(all.len(), 1 << 32);
        assert_eq!(all.nth(1 << 32), None);
        let large = range("2001:db8::2", "2001:db8::ffff:ffff:ffff:ffff");
        assert_eq!(large.len(), (1 << 64) - 2);
        assert_eq!(large.nth(large.len() - 1), Some(large.end));
        assert!(!large.contains("10.0.0.1".parse().unwrap()));
        assert!(!small.overlaps(&large));
    }
}
