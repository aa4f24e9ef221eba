//! Identifiers: one type for each noun, so that a subnet's id cannot be passed where a port's is wanted.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Uuid::parse_str(text).map(Self)
            }
        }
    };
}

uuid_id!(
    /// A network's id in the API.
    NetworkId
);
uuid_id!(
    /// A subnet's id in the API.
    SubnetId
);
uuid_id!(
    /// A port's id in the API (UUIDv4: taps are named after its first 11 characters).
    PortId
);

impl PortId {
    /// The name of the host's end of this port's link: `tap` and the first 11 characters of the id, which is the
    /// longest that fits a Linux interface name (Nova's and libvirt's convention).
    pub fn tap_name(self) -> String {
        let mut name = self.0.to_string();
        name.truncate(11);
        format!("tap{name}")
    }

    /// The first and the last id whose link has this name; `None` where none has.
    pub fn of_tap_name(name: &str) -> Option<(PortId, PortId)> {
        const REST_BITS: u32 = 128 - 40;
        let (first, second) = name.strip_prefix("tap")?.split_once('-')?;
        let plain = |part: &str| part.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        if (first.len(), second.len()) != (8, 2) || !plain(first) || !plain(second) {
            return None;
        }
        let digits = u128::from_str_radix(&format!("{first}{second}"), 16).ok()?;
        let bits = digits << REST_BITS;
        let rest = (1 << REST_BITS) - 1;
        let id = |bits| PortId(Uuid::from_u128(bits));
        Some((id(bits), id(bits | rest)))
    }
}

/// A project's id, as identity gives it (32 hexadecimal digits in an embedded identity).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ProjectId(pub String);

impl fmt::Display for ProjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A host's name: what `binding:host_id` holds and what the agent's certificate names.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct HostId(pub String);

impl fmt::Display for HostId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A network's number on the wire, 1 to 2^24 - 1 (the VNI of RFC 7348 §5), handed out by the store and never shared
/// by two networks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Vni(pub u32);

impl Vni {
    /// The lowest that is handed out.
    pub const MIN: Vni = Vni(1);
    /// The highest (RFC 7348 §5: 24 bits).
    pub const MAX: Vni = Vni((1 << 24) - 1);
}

impl fmt::Display for Vni {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A port's number in the fast path's maps, at least 1, handed out by the store and never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PortNumber(pub u32);

impl fmt::Display for PortNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_links_name_says_which_ids_it_can_be_of() {
        let id: Uuid = "1f2e3d4c-5b6a-4798-8897-a6b5c4d3e2f1"
            .parse()
            .expect("an id");
        let id = PortId(id);
        let (first, last) = PortId::of_tap_name(&id.tap_name()).expect("a port's name");
        assert!(first <= id && id <= last);
        assert_eq!(
            [first, last].map(PortId::tap_name),
            [id.tap_name(), id.tap_name()]
        );
        for name in [
            "tap7",
            "tap1f2e3d4c",
            "tap1f2e3d4c-5",
            "tap1f2e3d4c-5b6",
            "tap1f2e3d4c-5g",
            "TAP1f2e3d4c-5b",
            "tap1F2E3D4C-5B",
            "tap+f2e3d4c-5b",
            "eth0",
            "",
        ] {
            assert_eq!(PortId::of_tap_name(name), None, "{name}");
        }
    }
}
