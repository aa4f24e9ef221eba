//! Digests of plan entries, by which an agent says what it holds.

use hextet_core::plan::{PlanEntry, PlanKey};
use prost::Message;

use crate::v1;

/// The first 16 octets of the SHA-256 of an entry's encoding: the content is partly chosen by tenants, so that a hash
/// without resistance to collisions would not do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Digest(pub [u8; 16]);

/// The digest of an entry. Two versions that encode it differently send it once more, which is harmless.
pub fn digest(entry: &PlanEntry) -> Digest {
    let encoded = v1::Entry::from(entry).encode_to_vec();
    let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &encoded);
    let mut octets = [0; 16];
    octets.copy_from_slice(&hash.as_ref()[..16]);
    Digest(octets)
}

/// The key that an entry goes by.
pub fn key_of(entry: &PlanEntry) -> PlanKey {
    match entry {
        PlanEntry::Cloud(_) => PlanKey::Cloud,
        PlanEntry::Network(network) => PlanKey::Network(network.vni),
        PlanEntry::Subnet(subnet) => PlanKey::Subnet(subnet.id),
        PlanEntry::Ipv4Subnet(subnet) => PlanKey::Subnet(subnet.id),
        PlanEntry::Port(port) => PlanKey::Port(port.id),
    }
}
