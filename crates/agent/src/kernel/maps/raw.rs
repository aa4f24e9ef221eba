//! Mirrors of the structs in `bpf/maps.h`, held against the object's BTF by a test.

use std::net::Ipv6Addr;
use std::time::Duration;

use hextet_core::ids::{PortNumber, Vni};
use hextet_core::mac::Mac;
use ipnet::Ipv6Net;

use super::{ListenerRow, NeighRow, NicRow, OutsideFlags, PortRow, SourceRow, UplinkRow};

/// MEMBERS_PER_CHUNK of `bpf/maps.h`.
pub(crate) const MEMBERS_PER_CHUNK: usize = 64;
/// MEMBER_CHUNKS of `bpf/maps.h`.
pub(crate) const MEMBER_CHUNKS: usize = 16;
/// DEPARTED of `bpf/maps.h`.
pub(crate) const DEPARTED: u32 = 0x7fff_ffff;
/// UNATTRIBUTED of `bpf/maps.h`.
pub(crate) const UNATTRIBUTED: u32 = 0x7fff_fffe;
/// GROUPS_MAX of `bpf/maps.h`.
pub(crate) const GROUPS_MAX: usize = 32;
const PORT_ADMIN_UP: u32 = 1;
const PORT_UNGUARDED: u32 = 2;
const PORT_DIRECT: u32 = 4;
const PORT_OUTSIDE_RA: u32 = 0x100;
const PORT_OUTSIDE_DHCPV6: u32 = 0x200;
const PORT_OUTSIDE_DHCPV4: u32 = 0x400;
const PORT_UPLINK: u32 = 0x800;
const NIC_ALL_MULTICAST: u32 = 1;
const SOURCE_LOCAL_ONLY: u32 = 1;
const SOURCE_LEARNED: u32 = 2;
/// SOURCE_USED of `bpf/maps.h`.
pub(crate) const SOURCE_USED: u32 = 4;
/// Bits of a `learnable` key before its prefix.
const LEARNABLE_PORT_BITS: u32 = 32;
const NEIGHBOUR_ROUTER: u32 = 1;

/// A struct shared with the kernel.
///
/// # Safety
///
/// `repr(C)`, no padding, and every bit pattern is a value.
pub(crate) unsafe trait Raw: Copy {
    /// Its bytes.
    fn bytes(&self) -> &[u8] {
        // SAFETY: the trait promises that there is no padding, so each of the size_of::<Self>() bytes is initialised; the
        // slice borrows self.
        unsafe { std::slice::from_raw_parts(std::ptr::from_ref(self).cast(), size_of::<Self>()) }
    }

    /// From bytes of the same length.
    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        if bytes.len() < size_of::<Self>() {
            return None;
        }
        // SAFETY: there are enough bytes, the read is unaligned, and the trait promises that any bits are a value.
        Some(unsafe { std::ptr::read_unaligned(bytes.as_ptr().cast()) })
    }
}

macro_rules! raw {
    ($(#[$doc:meta])* $name:ident { $($field:ident: $type:ty),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        #[repr(C)]
        pub(crate) struct $name {
            $(pub(crate) $field: $type),*
        }

        // Only integers and arrays of them, and no padding: the fields' sizes add up to the whole.
        const _: () = assert!(size_of::<$name>() == 0 $(+ size_of::<$type>())*);
        // SAFETY: repr(C), integers only, and the assertion above.
        unsafe impl Raw for $name {}

        #[cfg(test)]
        impl $name {
            /// Size, and each field's name and offset.
            pub(crate) fn layout() -> (usize, Vec<(&'static str, usize)>) {
                (size_of::<$name>(), vec![$((stringify!($field), std::mem::offset_of!($name, $field))),*])
            }
        }
    };
}

raw!(
    /// struct port.
    Port { port: u32, net: u32, flags: u32, mtu: u32, mac: [u8; 6], pad: [u8; 2] }
);
raw!(
    /// struct source_key.
    SourceKey { port: u32, addr: [u8; 16] }
);
raw!(
    /// struct source.
    Source { flags: u32 }
);
raw!(
    /// struct learnable_key.
    LearnableKey { prefix_len: u32, port: u32, addr: [u8; 16] }
);
raw!(
    /// struct learnable.
    LearnableValue { flags: u32 }
);
raw!(
    /// struct neighbour_key.
    NeighKey { net: u32, addr: [u8; 16] }
);
raw!(
    /// struct neighbour.
    Neigh { mac: [u8; 6], pad: [u8; 2], port: u32, flags: u32 }
);
raw!(
    /// struct fdb_key.
    FdbKey { net: u32, mac: [u8; 6], pad: [u8; 2] }
);
raw!(
    /// struct fdb.
    Fdb { ifindex: u32 }
);
raw!(
    /// struct members_key.
    MembersKey { net: u32, chunk: u32 }
);
raw!(
    /// struct members.
    Members { count: u32, ifindex: [u32; MEMBERS_PER_CHUNK] }
);
raw!(
    /// struct listener; each of its groups as three words: the time, and the two halves of the address as on the wire.
    Listener { since: u64, reported: u64, all: u64, groups: [[u64; 3]; GROUPS_MAX] }
);
raw!(
    /// struct uplink.
    Uplink { ifindex: u32, mac: [u8; 6], pad: [u8; 2] }
);
raw!(
    /// struct nic.
    Nic { net: u32, mtu: u32, flags: u32 }
);
raw!(
    /// struct fragment_key.
    FragmentKey { port: u32, place: u32 }
);
raw!(
    /// struct counter_key.
    CounterKey { port: u32, verdict: u32 }
);
raw!(
    /// struct counter.
    #[derive(Default)]
    Counter { packets: u64, bytes: u64 }
);
raw!(
    /// struct trace.
    Trace {
        verdict: u32, target: u32, reason: u32, copies: u32, stage: u32, proto: u32, extensions: u32, fragment: u32,
    }
);
raw!(
    /// struct punt_head.
    PuntHead { ktime: u64, ifindex: u32, port: u32, net: u32, reason: u32, length: u32, whole: u32 }
);

fn port_flags(row: &PortRow) -> u32 {
    let flag = |set: bool, flag: u32| if set { flag } else { 0 };
    let outside = row.outside.map_or(0, |outside| {
        PORT_UPLINK
            | flag(outside.ra, PORT_OUTSIDE_RA)
            | flag(outside.dhcpv6, PORT_OUTSIDE_DHCPV6)
            | flag(outside.dhcpv4, PORT_OUTSIDE_DHCPV4)
    });
    flag(row.admin_up, PORT_ADMIN_UP)
        | flag(!row.guarded, PORT_UNGUARDED)
        | flag(row.direct, PORT_DIRECT)
        | outside
}

impl From<&UplinkRow> for Uplink {
    fn from(row: &UplinkRow) -> Uplink {
        Uplink {
            ifindex: row.ifindex,
            mac: row.mac.0,
            pad: [0; 2],
        }
    }
}

impl From<Uplink> for UplinkRow {
    fn from(raw: Uplink) -> UplinkRow {
        UplinkRow {
            ifindex: raw.ifindex,
            mac: Mac(raw.mac),
        }
    }
}

impl From<&NicRow> for Nic {
    fn from(row: &NicRow) -> Nic {
        Nic {
            net: row.net.0,
            mtu: row.mtu,
            flags: if row.all_multicast {
                NIC_ALL_MULTICAST
            } else {
                0
            },
        }
    }
}

impl From<Nic> for NicRow {
    fn from(raw: Nic) -> NicRow {
        NicRow {
            net: Vni(raw.net),
            mtu: raw.mtu,
            all_multicast: raw.flags & NIC_ALL_MULTICAST != 0,
        }
    }
}

impl From<&ListenerRow> for Listener {
    fn from(row: &ListenerRow) -> Listener {
        let ns = |at: Duration| u64::try_from(at.as_nanos()).unwrap_or(u64::MAX);
        let mut groups = [[0; 3]; GROUPS_MAX];
        for (place, (group, reported)) in groups.iter_mut().zip(&row.groups) {
            let [high, low] = halves(*group);
            *place = [ns(*reported), high, low];
        }
        Listener {
            since: ns(row.since),
            reported: row.reported.map_or(0, ns),
            all: row.all.map_or(0, ns),
            groups,
        }
    }
}

impl Listener {
    /// What it says where nothing counts that was reported before `horizon`.
    pub(crate) fn row(&self, horizon: u64) -> ListenerRow {
        let counts = |at: u64| (at > horizon).then_some(Duration::from_nanos(at));
        let groups = self.groups.iter();
        let groups = groups.filter_map(|[reported, high, low]| {
            let octets = [high.to_ne_bytes(), low.to_ne_bytes()].concat();
            let octets: [u8; 16] = octets.try_into().ok()?;
            Some((octets.into(), counts(*reported)?))
        });
        ListenerRow {
            since: Duration::from_nanos(self.since),
            reported: (self.reported > 0).then_some(Duration::from_nanos(self.reported)),
            all: counts(self.all),
            groups: groups.collect(),
        }
    }
}

/// As the bytes lie in memory.
fn halves(group: Ipv6Addr) -> [u64; 2] {
    let octets = group.octets();
    let half = |from: usize| {
        let mut bytes = [0; 8];
        bytes.copy_from_slice(&octets[from..from + 8]);
        u64::from_ne_bytes(bytes)
    };
    [half(0), half(8)]
}

impl From<&PortRow> for Port {
    fn from(row: &PortRow) -> Port {
        Port {
            port: row.port.0,
            net: row.net.0,
            flags: port_flags(row),
            mtu: row.mtu,
            mac: row.mac.0,
            pad: [0; 2],
        }
    }
}

impl From<Port> for PortRow {
    fn from(raw: Port) -> PortRow {
        PortRow {
            port: PortNumber(raw.port),
            net: Vni(raw.net),
            admin_up: raw.flags & PORT_ADMIN_UP != 0,
            guarded: raw.flags & PORT_UNGUARDED == 0,
            direct: raw.flags & PORT_DIRECT != 0,
            mtu: raw.mtu,
            mac: Mac(raw.mac),
            outside: (raw.flags & PORT_UPLINK != 0).then_some(OutsideFlags {
                ra: raw.flags & PORT_OUTSIDE_RA != 0,
                dhcpv6: raw.flags & PORT_OUTSIDE_DHCPV6 != 0,
                dhcpv4: raw.flags & PORT_OUTSIDE_DHCPV4 != 0,
            }),
        }
    }
}

impl From<&(PortNumber, Ipv6Addr)> for SourceKey {
    fn from((port, address): &(PortNumber, Ipv6Addr)) -> SourceKey {
        SourceKey {
            port: port.0,
            addr: address.octets(),
        }
    }
}

impl From<SourceKey> for (PortNumber, Ipv6Addr) {
    fn from(raw: SourceKey) -> (PortNumber, Ipv6Addr) {
        (PortNumber(raw.port), raw.addr.into())
    }
}

impl From<&SourceRow> for Source {
    fn from(row: &SourceRow) -> Source {
        Source {
            flags: if row.local_only { SOURCE_LOCAL_ONLY } else { 0 }
                | if row.learned { SOURCE_LEARNED } else { 0 },
        }
    }
}

impl From<Source> for SourceRow {
    fn from(raw: Source) -> SourceRow {
        SourceRow {
            local_only: raw.flags & SOURCE_LOCAL_ONLY != 0,
            learned: raw.flags & SOURCE_LEARNED != 0,
        }
    }
}

impl From<&(PortNumber, Ipv6Net)> for LearnableKey {
    fn from((port, prefix): &(PortNumber, Ipv6Net)) -> LearnableKey {
        LearnableKey {
            prefix_len: LEARNABLE_PORT_BITS + u32::from(prefix.prefix_len()),
            port: port.0,
            addr: prefix.network().octets(),
        }
    }
}

impl LearnableKey {
    /// The port and the prefix; `None` for what the agent did not write.
    pub(crate) fn prefix(self) -> Option<(PortNumber, Ipv6Net)> {
        let length = self.prefix_len.checked_sub(LEARNABLE_PORT_BITS)?;
        let prefix = Ipv6Net::new(self.addr.into(), u8::try_from(length).ok()?).ok()?;
        Some((PortNumber(self.port), prefix))
    }
}

impl From<&(Vni, Ipv6Addr)> for NeighKey {
    fn from((net, address): &(Vni, Ipv6Addr)) -> NeighKey {
        NeighKey {
            net: net.0,
            addr: address.octets(),
        }
    }
}

impl From<NeighKey> for (Vni, Ipv6Addr) {
    fn from(raw: NeighKey) -> (Vni, Ipv6Addr) {
        (Vni(raw.net), raw.addr.into())
    }
}

impl From<&NeighRow> for Neigh {
    fn from(row: &NeighRow) -> Neigh {
        Neigh {
            mac: row.mac.0,
            pad: [0; 2],
            port: row.port.map_or(0, |port| port.0),
            flags: if row.router { NEIGHBOUR_ROUTER } else { 0 },
        }
    }
}

impl From<Neigh> for NeighRow {
    fn from(raw: Neigh) -> NeighRow {
        NeighRow {
            mac: Mac(raw.mac),
            port: (raw.port != 0).then_some(PortNumber(raw.port)),
            router: raw.flags & NEIGHBOUR_ROUTER != 0,
        }
    }
}

impl From<&(Vni, Mac)> for FdbKey {
    fn from((net, mac): &(Vni, Mac)) -> FdbKey {
        FdbKey {
            net: net.0,
            mac: mac.0,
            pad: [0; 2],
        }
    }
}

impl From<FdbKey> for (Vni, Mac) {
    fn from(raw: FdbKey) -> (Vni, Mac) {
        (Vni(raw.net), Mac(raw.mac))
    }
}
