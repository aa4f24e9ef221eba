//! What the agent shows to Prometheus: figures of this host as a whole. No label names a port, a network or an address, so
//! a host shows as much with a thousand ports as with one.

mod http;
mod process;
mod text;

use std::time::{Duration, SystemTime};

use crate::kernel::Counters;
use crate::kernel::fastpath::Table;
use crate::serve::Totals;

pub(crate) use http::listen;

/// The figures of one moment.
#[derive(Clone, Debug, Default)]
pub struct Figures {
    /// What the program counted, ports that are gone included.
    pub frames: Counters,
    /// What the serving thread counted.
    pub served: Totals,
    /// How full the tables are.
    pub tables: Vec<Table>,
    /// Ports by what there is to say of them.
    pub ports: PortsBy,
    /// Taps that are named as ports are and carry none.
    pub claims: ClaimsBy,
    /// Addresses that guests formed themselves.
    pub learned: usize,
    /// Entries of ports' DHCP options whose names are no option's.
    pub unknown_options: usize,
    /// The revision of the plan that is held.
    pub revision: u64,
    /// Whether the server answers.
    pub connected: bool,
    /// Since when, Unix time.
    pub feed_since: Duration,
    /// How often it came to.
    pub connections: u64,
    /// What looking at the host came to.
    pub passes: Passes,
    /// How often the ledger could not be written.
    pub ledger_failures: u64,
}

/// Ports of this host.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PortsBy {
    /// They work.
    pub up: usize,
    /// The plan has them, and they do not.
    pub down: usize,
    /// Attached here, and not in the plan.
    pub unplanned: usize,
}

/// Taps that are named as ports are and carry none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClaimsBy {
    /// For the server, or for their port to be made.
    pub waiting: usize,
    /// Their port is bound to another host, or this one may not claim.
    pub refused: usize,
    /// More than are claimed at once.
    pub over: usize,
}

/// Passes since the process began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Passes {
    /// All.
    pub made: u64,
    /// Those that could not be ended.
    pub failed: u64,
    /// What they changed on the host: links, rows, programs.
    pub changes: u64,
    /// Pins that were gone, and were put back.
    pub pins: u64,
    /// Programs that somebody took off links behind the agent's back, and that were put on again.
    pub taken_off: u64,
    /// Rows that the fast path refused, because a table is full or otherwise; each attempt counts.
    pub rows_refused: u64,
    /// How long they took together.
    pub took: Duration,
    /// When the newest that did not fail ended.
    pub last: Option<SystemTime>,
}

impl Passes {
    /// One more, with what it changed, or that it failed.
    pub(crate) fn note(&mut self, changes: Option<usize>, took: Duration) {
        self.made += 1;
        self.took += took;
        match changes {
            Some(changes) => {
                self.changes += changes as u64;
                self.last = Some(SystemTime::now());
            }
            None => self.failed += 1,
        }
    }
}
