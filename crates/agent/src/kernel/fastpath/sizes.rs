//! How much the maps hold.

use crate::kernel::objections::OBJECTIONS_MAX;

/// Most NICs that lead to physical segments.
pub const NICS_MAX: u32 = 1024;
/// Fragmented packets that one port may have under way: sets of four, of which the least recently used gives way.
pub const FRAGMENTS_EACH: u32 = 8 * 4;

/// How many rows each map holds at most. A full map refuses the newest row. What a map was made with stays until
/// [`super::Fastpath::remove`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    /// Guest links, and so ports with a budget, a first frame or groups.
    pub ports: u32,
    /// Addresses of all ports, and prefixes of which their guests form addresses: each as many.
    pub sources: u32,
    /// Addresses that are answered for, and MACs that are delivered to: each as many.
    pub neighbours: u32,
    /// Chunks of 64 ports that get one network's multicast.
    pub member_chunks: u32,
    /// Pairs of port and verdict that are counted.
    pub counters: u32,
    /// Bytes of frames that wait for the agent, a power of two, at least a page.
    pub punt_bytes: u32,
}

impl Default for Sizes {
    fn default() -> Sizes {
        Sizes {
            ports: 16_384,
            sources: 65_536,
            neighbours: 262_144,
            member_chunks: 16_384,
            counters: 262_144,
            punt_bytes: 1 << 20,
        }
    }
}

impl Sizes {
    /// What loads and holds next to nothing.
    pub(super) fn smallest() -> Sizes {
        Sizes {
            ports: 1,
            sources: 1,
            neighbours: 1,
            member_chunks: 1,
            counters: 1,
            punt_bytes: 4096,
        }
    }

    /// Of the map of this name in [`crate::kernel::object::SHARED`].
    pub(in crate::kernel) fn entries(&self, map: &str) -> u32 {
        match map {
            "sources" | "learnable" => self.sources,
            "neigh" | "fdb" => self.neighbours,
            "members" => self.member_chunks,
            "counters" => self.counters,
            "first_fragments" => self.ports.saturating_mul(FRAGMENTS_EACH),
            "objections" => OBJECTIONS_MAX,
            "punt_ring" => self.punt_bytes,
            "uplinks" | "nics" => NICS_MAX,
            "group_horizon" => 1,
            _ => self.ports,
        }
    }
}
