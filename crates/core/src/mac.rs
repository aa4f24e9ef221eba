//! MAC addresses and the interface identifiers made from them.

use std::fmt;
use std::net::Ipv6Addr;
use std::str::FromStr;

use ipnet::Ipv6Net;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::ids::Vni;

/// An IEEE 802 48-bit address.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Mac(pub [u8; 6]);

/// The text was not six groups of two hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "not a MAC address: six groups of two hexadecimal digits, with ':' or '-' between them, are wanted"
)]
pub struct ParseMacError;

impl Mac {
    /// Locally administered prefix of the service addresses: 02, then "hx".
    pub const SERVICE_PREFIX: [u8; 3] = [0x02, 0x68, 0x78];

    /// The network's service address: who speaks RA, DHCPv6 and ND on a network without a router, the same on every
    /// host.
    pub fn service(vni: Vni) -> Mac {
        let [_, high, middle, low] = vni.0.to_be_bytes();
        let [a, b, c] = Self::SERVICE_PREFIX;
        Mac([a, b, c, high, middle, low])
    }

    /// Whether this is one of the service addresses, which no port may have.
    pub fn is_service(self) -> bool {
        self.0[..3] == Self::SERVICE_PREFIX
    }

    /// Whether the group bit is set: such an address names no single station.
    pub fn is_multicast(self) -> bool {
        self.0[0] & 1 == 1
    }

    /// The modified EUI-64 interface identifier (RFC 4291 appendix A).
    pub fn interface_id(self) -> u64 {
        let [a, b, c, d, e, f] = self.0;
        u64::from_be_bytes([a ^ 0x02, b, c, 0xff, 0xfe, d, e, f])
    }

    /// The link-local address that a host with this MAC forms (RFC 4862 §5.3).
    pub fn link_local(self) -> Ipv6Addr {
        Ipv6Addr::from_bits((0xfe80_u128 << 112) | u128::from(self.interface_id()))
    }

    /// The address that a host with this MAC forms by SLAAC in a /64 (RFC 4862 §5.5.3); the prefix's lower half is
    /// not looked at.
    pub fn eui64(self, prefix: Ipv6Net) -> Ipv6Addr {
        let high = prefix.network().to_bits() & !u128::from(u64::MAX);
        Ipv6Addr::from_bits(high | u128::from(self.interface_id()))
    }
}

/// How generated MACs begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BaseMac {
    octets: [u8; 4],
}

impl BaseMac {
    /// Neutron's default, fa:16:3e.
    pub const NEUTRON: BaseMac = BaseMac {
        octets: [0xfa, 0x16, 0x3e, 0],
    };

    /// As Neutron's `base_mac` says it: the first three octets hold, and the fourth too where it is not 00; the rest is not
    /// looked at. `None` where such MACs name no single station or are the service's.
    pub fn new(mac: Mac) -> Option<Self> {
        let [a, b, c, d, ..] = mac.0;
        let fits = !mac.is_multicast() && !mac.is_service();
        fits.then_some(Self {
            octets: [a, b, c, d],
        })
    }

    /// The MAC that ends so; where four octets hold, the first of these is not used.
    pub fn complete(self, end: [u8; 3]) -> Mac {
        let [a, b, c, fourth] = self.octets;
        let [d, e, f] = end;
        let d = if fourth == 0 { d } else { fourth };
        Mac([a, b, c, d, e, f])
    }
}

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

impl fmt::Debug for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Mac {
    type Err = ParseMacError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut octets = [0; 6];
        let mut groups = text.split([':', '-']);
        for octet in &mut octets {
            let group = groups.next().ok_or(ParseMacError)?;
            if group.len() != 2 || !group.bytes().all(|b| b.is_ascii_hexdigit()) {
                return Err(ParseMacError);
            }
            *octet = u8::from_str_radix(group, 16).map_err(|_| ParseMacError)?;
        }
        if groups.next().is_some() {
            return Err(ParseMacError);
        }
        Ok(Mac(octets))
    }
}

impl Serialize for Mac {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Mac {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests;
