//! Who on a physical segment advertised an address, as the fast path noted it.

use std::io;
use std::net::Ipv6Addr;
use std::time::Duration;

use hextet_core::ids::Vni;
use hextet_proto::PROBATION;
use libbpf_rs::{MapCore, MapFlags, MapHandle};

use super::maps::raw::{NeighKey, Raw};
use super::object::fault;
use super::punt::monotonic;

/// Addresses that are noted; the ones advertised longest ago give way.
pub(super) const OBJECTIONS_MAX: u32 = 8192;
/// For how long a note holds: a probation, and as much as this thread may be late.
const HOLDS: Duration = PROBATION.saturating_mul(4);

/// The reader of the notes.
#[derive(Debug)]
pub struct Objections {
    map: MapHandle,
}

impl Objections {
    pub(super) fn open(map: &MapHandle) -> io::Result<Self> {
        let map = MapHandle::try_from(map).map_err(fault)?;
        Ok(Self { map })
    }

    /// Whether somebody on the network's segment has the address, as far as it was said lately.
    pub fn heard(&self, net: Vni, address: Ipv6Addr) -> io::Result<bool> {
        let key = NeighKey::from(&(net, address));
        let noted = self.map.lookup(key.bytes(), MapFlags::ANY).map_err(fault)?;
        let Some(at) = noted.and_then(|bytes| u64::from_bytes(&bytes)) else {
            return Ok(false);
        };
        Ok(monotonic()?.saturating_sub(Duration::from_nanos(at)) < HOLDS)
    }
}
