//! What the program has counted and how full its tables are, read in batches: a thousand ports are a few dozen calls.

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use hextet_core::ids::PortNumber;
use libbpf_rs::{MapCore, MapFlags, MapHandle};

use super::rows::Maps;
use super::{Counters, FastpathError, Table};
use crate::kernel::maps::batches::each_row;
use crate::kernel::maps::raw::{Counter, CounterKey, DEPARTED, Raw, UNATTRIBUTED};
use crate::kernel::object::fault;
use crate::kernel::verdict::{Kind, Verdict};

/// Packets and bytes by verdict, of ports that are going.
pub(super) type Departing = BTreeMap<Verdict, (u64, u64)>;

impl Maps {
    pub(super) fn counters(&self) -> Result<Counters, FastpathError> {
        let mut counters = Counters::new();
        let read = each_row(&self.counters, |key, values| {
            let Some(key) = CounterKey::from_bytes(key) else {
                return;
            };
            let Some(verdict) = Verdict::from_raw(key.verdict) else {
                return;
            };
            let sum = counters
                .entry((PortNumber(key.port), verdict))
                .or_insert((0, 0));
            // One for each processor.
            let each = values.chunks_exact(size_of::<Counter>());
            for counter in each.filter_map(Counter::from_bytes) {
                sum.0 += counter.packets;
                sum.1 += counter.bytes;
            }
        });
        read.map_err(in_map("counters"))?;
        Ok(counters)
    }

    /// Tables that refuse the newest row when they are full.
    pub(super) fn tables(&self) -> Result<Vec<Table>, FastpathError> {
        let tables: [(&'static str, &MapHandle); 12] = [
            ("ports", &self.ports),
            ("sources", &self.sources),
            ("learnable", &self.learnable),
            ("neigh", &self.neigh),
            ("fdb", &self.fdb),
            ("members", &self.members),
            ("listeners", &self.listeners),
            ("uplinks", &self.uplinks),
            ("nics", &self.nics),
            ("seen", &self.seen),
            ("budget", &self.budget),
            ("counters", &self.counters),
        ];
        let looked = tables.into_iter().map(|(name, map)| {
            let mut rows = 0;
            each_row(map, |_, _| rows += 1).map_err(in_map(name))?;
            let rows_max = map.max_entries();
            Ok(Table {
                name,
                rows,
                rows_max,
            })
        });
        looked.collect()
    }

    /// What was counted of ports that are about to be forgotten.
    pub(super) fn departing(&self, ports: &BTreeSet<PortNumber>) -> io::Result<Departing> {
        let mut departing = Departing::new();
        for port in ports {
            for verdict in Verdict::ALL {
                let sum = total(&self.counted(*port, verdict)?);
                if sum != (0, 0) {
                    let all = departing.entry(verdict).or_default();
                    *all = (all.0 + sum.0, all.1 + sum.1);
                }
            }
        }
        Ok(departing)
    }

    /// Adds it to what earlier ones counted. Nobody else writes these rows.
    pub(super) fn keep_departed(&self, departing: &Departing) -> io::Result<()> {
        for (verdict, (packets, bytes)) in departing {
            let mut rows = self.counted(PortNumber(DEPARTED), *verdict)?;
            if rows.is_empty() {
                let processors = libbpf_rs::num_possible_cpus().map_err(fault)?;
                rows.resize(processors, Counter::default());
            }
            rows[0].packets += packets;
            rows[0].bytes += bytes;
            let values: Vec<Vec<u8>> = rows.iter().map(|row| row.bytes().to_vec()).collect();
            let key = key(PortNumber(DEPARTED), *verdict);
            let set = self
                .counters
                .update_percpu(key.bytes(), &values, MapFlags::ANY);
            set.map_err(fault)?;
        }
        Ok(())
    }

    /// Makes the rows that count what a full table has no room for, where they are not there yet: the program makes none of them.
    pub(super) fn reserve_counters(&self) -> io::Result<()> {
        let processors = libbpf_rs::num_possible_cpus().map_err(fault)?;
        let none = vec![Counter::default().bytes().to_vec(); processors];
        for verdict in Verdict::ALL {
            let key = key(PortNumber(UNATTRIBUTED), verdict);
            let made = self
                .counters
                .update_percpu(key.bytes(), &none, MapFlags::NO_EXIST);
            match made {
                Err(error) if error.kind() != libbpf_rs::ErrorKind::AlreadyExists => {
                    return Err(fault(error));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Frames that only those rows count; what is counted besides a frame's own verdict is none.
    pub(super) fn unattributed(&self) -> Result<u64, FastpathError> {
        let mut frames = 0;
        for verdict in Verdict::ALL {
            if verdict.kind() != Kind::Note {
                let rows = self.counted(PortNumber(UNATTRIBUTED), verdict);
                frames += total(&rows.map_err(in_map("counters"))?).0;
            }
        }
        Ok(frames)
    }

    /// One for each processor; none where nothing was counted.
    fn counted(&self, port: PortNumber, verdict: Verdict) -> io::Result<Vec<Counter>> {
        let key = key(port, verdict);
        let found = self.counters.lookup_percpu(key.bytes(), MapFlags::ANY);
        let values = found.map_err(fault)?.unwrap_or_default();
        Ok(values
            .iter()
            .filter_map(|bytes| Counter::from_bytes(bytes))
            .collect())
    }
}

fn key(port: PortNumber, verdict: Verdict) -> CounterKey {
    CounterKey {
        port: port.0,
        verdict: verdict as u32,
    }
}

fn total(counters: &[Counter]) -> (u64, u64) {
    counters.iter().fold((0, 0), |(packets, bytes), counter| {
        (packets + counter.packets, bytes + counter.bytes)
    })
}

fn in_map(map: &'static str) -> impl FnOnce(io::Error) -> FastpathError {
    move |source| FastpathError::Read { map, source }
}
