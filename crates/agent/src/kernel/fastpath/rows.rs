//! Reading and writing the maps' rows.

use std::collections::BTreeSet;
use std::io;
use std::net::Ipv6Addr;
use std::os::fd::{AsFd, AsRawFd};
use std::time::Duration;

use hextet_core::ids::{PortNumber, Vni};
use libbpf_rs::{MapCore, MapFlags, MapHandle};

use super::{FRAGMENTS_EACH, FastpathError};
use crate::kernel::maps::batches::each_row;
use crate::kernel::maps::raw::{
    CounterKey, Fdb, FdbKey, FragmentKey, LearnableKey, LearnableValue, Listener, MEMBER_CHUNKS,
    MEMBERS_PER_CHUNK, Members, MembersKey, Neigh, NeighKey, Nic, Port, Raw, SOURCE_USED, Source,
    SourceKey, Uplink,
};
use crate::kernel::maps::{ListenerRow, MEMBERS_MAX, MapOp, Rows};
use crate::kernel::object::fault;
use crate::kernel::punt::monotonic;
use crate::kernel::verdict::Verdict;

/// Most rows in one batch.
const BATCH: usize = 1024;

/// How long the kernel has to fill a cache of rows again, and how often that is waited for before its memory counts as used up.
const REFILL: Duration = Duration::from_millis(1);
const REFILLS_MAX: u32 = 100;

/// Changes that the kernel refused.
#[derive(Debug, thiserror::Error)]
#[error("{} of the changes were refused, the first: {}", failures.len(), first(failures))]
pub struct ApplyError {
    /// Place in the list that was to be applied, and what the kernel said: `StorageFull` when the map is full.
    pub failures: Vec<(usize, io::Error)>,
}

fn first(failures: &[(usize, io::Error)]) -> String {
    failures
        .first()
        .map_or_else(String::new, |(_, error)| error.to_string())
}

/// The shared maps.
#[derive(Debug)]
pub(super) struct Maps {
    pub(super) ports: MapHandle,
    pub(super) sources: MapHandle,
    pub(super) learnable: MapHandle,
    pub(super) neigh: MapHandle,
    pub(super) fdb: MapHandle,
    pub(super) members: MapHandle,
    pub(super) listeners: MapHandle,
    pub(super) group_horizon: MapHandle,
    pub(super) uplinks: MapHandle,
    pub(super) nics: MapHandle,
    pub(super) seen: MapHandle,
    pub(super) budget: MapHandle,
    pub(super) first_fragments: MapHandle,
    pub(super) counters: MapHandle,
    pub(super) objections: MapHandle,
    pub(super) punt_ring: MapHandle,
}

/// One change of one row of one map.
struct Step<'a> {
    /// Whose place in the caller's list it is.
    op: usize,
    map: &'a MapHandle,
    key: Vec<u8>,
    /// `None`: remove.
    value: Option<Vec<u8>>,
}

impl Maps {
    /// The maps that `get` gives by name.
    pub(super) fn open(get: impl Fn(&str) -> io::Result<MapHandle>) -> io::Result<Maps> {
        Ok(Maps {
            ports: get("ports")?,
            sources: get("sources")?,
            learnable: get("learnable")?,
            neigh: get("neigh")?,
            fdb: get("fdb")?,
            members: get("members")?,
            listeners: get("listeners")?,
            group_horizon: get("group_horizon")?,
            uplinks: get("uplinks")?,
            nics: get("nics")?,
            seen: get("seen")?,
            budget: get("budget")?,
            first_fragments: get("first_fragments")?,
            counters: get("counters")?,
            objections: get("objections")?,
            punt_ring: get("punt_ring")?,
        })
    }

    pub(super) fn dump(&self) -> Result<Rows, FastpathError> {
        let mut rows = Rows::default();
        each::<u32, Port>("ports", &self.ports, |key, row| {
            rows.ports.insert(key, row.into());
        })?;
        each::<SourceKey, Source>("sources", &self.sources, |key, row| {
            rows.sources.insert(key.into(), row.into());
        })?;
        each::<LearnableKey, LearnableValue>("learnable", &self.learnable, |key, _| {
            rows.learnable.extend(key.prefix());
        })?;
        each::<NeighKey, Neigh>("neigh", &self.neigh, |key, row| {
            rows.neigh.insert(key.into(), row.into());
        })?;
        each::<FdbKey, Fdb>("fdb", &self.fdb, |key, row| {
            rows.fdb.insert(key.into(), row.ifindex);
        })?;
        each::<MembersKey, Members>("members", &self.members, |key, row| {
            let count = (row.count as usize).min(MEMBERS_PER_CHUNK);
            let set: &mut BTreeSet<u32> = rows.members.entry(Vni(key.net)).or_default();
            set.extend(&row.ifindex[..count]);
        })?;
        let mut horizon = 0;
        each::<u32, u64>("group_horizon", &self.group_horizon, |_, at| horizon = at)?;
        each::<u32, Listener>("listeners", &self.listeners, |key, row| {
            rows.listeners.insert(PortNumber(key), row.row(horizon));
        })?;
        each::<u32, Uplink>("uplinks", &self.uplinks, |key, row| {
            rows.uplinks.insert(Vni(key), row.into());
        })?;
        each::<u32, Nic>("nics", &self.nics, |key, row| {
            rows.nics.insert(key, row.into());
        })?;
        each::<u32, u64>("seen", &self.seen, |key, _| {
            rows.seen.insert(PortNumber(key));
        })?;
        Ok(rows)
    }

    pub(super) fn apply(&self, ops: &[MapOp]) -> Result<(), ApplyError> {
        let forgotten = ops.iter().filter_map(|op| match op {
            MapOp::Forget(port) => Some(*port),
            _ => None,
        });
        let departing = self.departing(&forgotten.collect());
        let mut failures = Vec::new();
        let mut steps = Vec::new();
        for (index, op) in ops.iter().enumerate() {
            if let Err(error) = self.steps(index, op, &mut steps) {
                failures.push((index, error));
            }
        }
        for run in steps
            .chunk_by(|a, b| std::ptr::eq(a.map, b.map) && a.value.is_some() == b.value.is_some())
        {
            for batch in run.chunks(BATCH) {
                failures.extend(write(batch));
            }
        }
        // Now that theirs are gone there is room for the rows.
        if let Err(error) = departing.and_then(|departing| self.keep_departed(&departing)) {
            tracing::warn!(%error, "what ports counted that are gone is lost");
        }
        failures.sort_by_key(|(index, _)| *index);
        failures.dedup_by_key(|(index, _)| *index);
        if failures.is_empty() {
            Ok(())
        } else {
            Err(ApplyError { failures })
        }
    }

    /// Which of these sources passed a frame since they were looked at last.
    pub(super) fn take_used(
        &self,
        sources: impl Iterator<Item = (PortNumber, Ipv6Addr)>,
    ) -> Result<Vec<(PortNumber, Ipv6Addr)>, FastpathError> {
        let in_map = |source| FastpathError::Read {
            map: "sources",
            source,
        };
        let mut used = Vec::new();
        for source in sources {
            let key = SourceKey::from(&source);
            let value = self.sources.lookup(key.bytes(), MapFlags::ANY);
            let value = value.map_err(fault).map_err(in_map)?;
            let Some(mut row) = value.and_then(|bytes| Source::from_bytes(&bytes)) else {
                continue;
            };
            if row.flags & SOURCE_USED != 0 {
                row.flags &= !SOURCE_USED;
                let cleared = self
                    .sources
                    .update(key.bytes(), row.bytes(), MapFlags::EXIST);
                cleared.map_err(fault).map_err(in_map)?;
                used.push(source);
            }
        }
        Ok(used)
    }

    /// What was reported of groups longer than this ago is over.
    pub(super) fn expire_groups(&self, age: Duration) -> Result<(), FastpathError> {
        let in_map = |source| FastpathError::Read {
            map: "group_horizon",
            source,
        };
        let at = monotonic().map_err(in_map)?.saturating_sub(age);
        let at = u64::try_from(at.as_nanos()).unwrap_or(u64::MAX);
        let moved = self
            .group_horizon
            .update(0u32.bytes(), at.bytes(), MapFlags::ANY);
        moved.map_err(fault).map_err(in_map)
    }

    fn steps<'a>(&'a self, op: usize, change: &MapOp, steps: &mut Vec<Step<'a>>) -> io::Result<()> {
        let set = |map, key: &[u8], value: &[u8]| Step {
            op,
            map,
            key: key.to_vec(),
            value: Some(value.to_vec()),
        };
        let remove = |map, key: &[u8]| Step {
            op,
            map,
            key: key.to_vec(),
            value: None,
        };
        match change {
            MapOp::SetPort(ifindex, row) => {
                steps.push(set(&self.ports, ifindex.bytes(), Port::from(row).bytes()))
            }
            MapOp::RemovePort(ifindex) => steps.push(remove(&self.ports, ifindex.bytes())),
            MapOp::SetSource(key, row) => steps.push(set(
                &self.sources,
                SourceKey::from(key).bytes(),
                Source::from(row).bytes(),
            )),
            MapOp::RemoveSource(key) => {
                steps.push(remove(&self.sources, SourceKey::from(key).bytes()))
            }
            MapOp::SetLearnable(key) => steps.push(set(
                &self.learnable,
                LearnableKey::from(key).bytes(),
                LearnableValue { flags: 0 }.bytes(),
            )),
            MapOp::RemoveLearnable(key) => {
                steps.push(remove(&self.learnable, LearnableKey::from(key).bytes()))
            }
            MapOp::SetNeigh(key, row) => steps.push(set(
                &self.neigh,
                NeighKey::from(key).bytes(),
                Neigh::from(row).bytes(),
            )),
            MapOp::RemoveNeigh(key) => steps.push(remove(&self.neigh, NeighKey::from(key).bytes())),
            MapOp::SetFdb(key, ifindex) => {
                steps.push(set(
                    &self.fdb,
                    FdbKey::from(key).bytes(),
                    Fdb { ifindex: *ifindex }.bytes(),
                ));
            }
            MapOp::RemoveFdb(key) => steps.push(remove(&self.fdb, FdbKey::from(key).bytes())),
            MapOp::SetMembers(net, ports) => self.member_steps(op, *net, ports, steps)?,
            MapOp::RemoveMembers(net) => self.member_steps(op, *net, &BTreeSet::new(), steps)?,
            MapOp::SetListener(port, row) => {
                steps.push(set(&self.listeners, port.0.bytes(), listener(row)?.bytes()));
            }
            MapOp::RemoveListener(port) => steps.push(remove(&self.listeners, port.0.bytes())),
            MapOp::SetUplink(net, row) => {
                steps.push(set(&self.uplinks, net.0.bytes(), Uplink::from(row).bytes()))
            }
            MapOp::RemoveUplink(net) => steps.push(remove(&self.uplinks, net.0.bytes())),
            MapOp::SetNic(ifindex, row) => {
                steps.push(set(&self.nics, ifindex.bytes(), Nic::from(row).bytes()));
            }
            MapOp::RemoveNic(ifindex) => steps.push(remove(&self.nics, ifindex.bytes())),
            MapOp::Unsee(port) => steps.push(remove(&self.seen, port.0.bytes())),
            MapOp::Forget(port) => self.forget_steps(op, *port, steps),
        }
        Ok(())
    }

    /// What the program keeps about a port.
    fn forget_steps<'a>(&'a self, op: usize, port: PortNumber, steps: &mut Vec<Step<'a>>) {
        let mut remove = |map, key: &[u8]| {
            steps.push(Step {
                op,
                map,
                key: key.to_vec(),
                value: None,
            });
        };
        remove(&self.seen, port.0.bytes());
        remove(&self.budget, port.0.bytes());
        for place in 0..FRAGMENTS_EACH {
            let key = FragmentKey {
                port: port.0,
                place,
            };
            remove(&self.first_fragments, key.bytes());
        }
        for verdict in Verdict::ALL {
            let key = CounterKey {
                port: port.0,
                verdict: verdict as u32,
            };
            remove(&self.counters, key.bytes());
        }
    }

    /// The whole set anew: its chunks from the first, and no chunk behind them.
    fn member_steps<'a>(
        &'a self,
        op: usize,
        net: Vni,
        ports: &BTreeSet<u32>,
        steps: &mut Vec<Step<'a>>,
    ) -> io::Result<()> {
        if ports.len() > MEMBERS_MAX {
            return Err(io::Error::new(
                io::ErrorKind::StorageFull,
                format!(
                    "{} ports of network {net} on one host, at most {MEMBERS_MAX} get multicast",
                    ports.len()
                ),
            ));
        }
        let ports: Vec<u32> = ports.iter().copied().collect();
        let mut chunks = ports.chunks(MEMBERS_PER_CHUNK);
        for chunk in (0u32..).take(MEMBER_CHUNKS) {
            let key = MembersKey { net: net.0, chunk }.bytes().to_vec();
            let value = chunks.next().map(|some| {
                let mut row = Members {
                    count: 0,
                    ifindex: [0; MEMBERS_PER_CHUNK],
                };
                for (place, ifindex) in row.ifindex.iter_mut().zip(some) {
                    *place = *ifindex;
                    row.count += 1;
                }
                row.bytes().to_vec()
            });
            steps.push(Step {
                op,
                map: &self.members,
                key,
                value,
            });
        }
        Ok(())
    }
}

/// A row that begins when it is written begins now.
fn listener(row: &ListenerRow) -> io::Result<Listener> {
    let mut row = row.clone();
    if row.since.is_zero() {
        row.since = monotonic()?;
    }
    Ok(Listener::from(&row))
}

// SAFETY: an integer.
unsafe impl Raw for u32 {}
// SAFETY: an integer.
unsafe impl Raw for u64 {}

fn each<K: Raw, V: Raw>(
    name: &'static str,
    map: &MapHandle,
    mut row: impl FnMut(K, V),
) -> Result<(), FastpathError> {
    let read = each_row(map, |key, value| {
        if let (Some(key), Some(value)) = (K::from_bytes(key), V::from_bytes(value)) {
            row(key, value);
        }
    });
    read.map_err(|source| FastpathError::Read { map: name, source })
}

/// Writes steps of one map and one kind: at once, and where the kernel refuses that, one by one to find out which.
fn write(steps: &[Step<'_>]) -> Vec<(usize, io::Error)> {
    let Some(first) = steps.first() else {
        return Vec::new();
    };
    if steps.len() > 1 && write_batch(first.map, steps).is_ok() {
        return Vec::new();
    }
    steps
        .iter()
        .filter_map(|step| Some((step.op, write_one(step).err()?)))
        .collect()
}

fn write_batch(map: &MapHandle, steps: &[Step<'_>]) -> io::Result<()> {
    let keys: Vec<u8> = steps
        .iter()
        .flat_map(|step| step.key.iter().copied())
        .collect();
    let values: Vec<u8> = steps
        .iter()
        .flat_map(|step| step.value.iter().flatten().copied())
        .collect();
    let count = u32::try_from(steps.len()).map_err(io::Error::other)?;
    if values.is_empty() {
        map.delete_batch(&keys, count, MapFlags::ANY, MapFlags::ANY)
    } else {
        map.update_batch(&keys, &values, count, MapFlags::ANY, MapFlags::ANY)
    }
    .map_err(fault)
}

/// A map without preallocation takes its rows from a cache of each CPU that the kernel fills again a moment later, of rows as large
/// as a listener's with one at a time.
fn write_one(step: &Step<'_>) -> io::Result<()> {
    for _ in 0..REFILLS_MAX {
        match try_write(step) {
            Err(error) if error.raw_os_error() == Some(libc::ENOMEM) => {
                std::thread::sleep(REFILL);
            }
            other => return other,
        }
    }
    try_write(step)
}

fn try_write(step: &Step<'_>) -> io::Result<()> {
    let map = step.map.as_fd().as_raw_fd();
    let key = step.key.as_ptr().cast();
    debug_assert_eq!(step.key.len(), step.map.key_size() as usize);
    let result = match &step.value {
        Some(value) => {
            debug_assert_eq!(value.len(), step.map.value_size() as usize);
            // SAFETY: the map is open for the call; key and value have its sizes, as the mirrors of its structs do.
            unsafe { libbpf_sys::bpf_map_update_elem(map, key, value.as_ptr().cast(), 0) }
        }
        // SAFETY: as above.
        None => unsafe { libbpf_sys::bpf_map_delete_elem(map, key) },
    };
    match -result {
        0 => Ok(()),
        libc::ENOENT if step.value.is_none() => Ok(()),
        // Of a hash and of a trie.
        libc::E2BIG | libc::ENOSPC => Err(io::Error::new(
            io::ErrorKind::StorageFull,
            "the map is full",
        )),
        errno => Err(io::Error::from_raw_os_error(errno)),
    }
}
