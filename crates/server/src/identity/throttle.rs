//! What a wrong password costs: each further failure, for one user and from one source, is answered later, up to a bound.
//!
//! Only failures wait. A right password is never kept out by somebody else's wrong ones, so nobody can be locked out;
//! guessing is slowed by the delay, and guesses side by side by the hash itself, of which few run at a time. One source
//! can take a part of the places alone.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Delay after the first failure; it doubles with each further one.
pub const DELAY_FIRST: Duration = Duration::from_millis(100);

/// Longest delay.
pub const DELAY_MAX: Duration = Duration::from_secs(3);

/// Failures of a source that cost nothing beyond what they cost for their users: many people share an address.
const SOURCE_FREE: u32 = 16;

/// Failures are forgotten when none came for so long.
const FORGET_AFTER: Duration = Duration::from_secs(15 * 60);

/// Users, names of nobody, and sources remembered, of each so many. At the bound the one that failed longest ago is
/// forgotten.
const NAMES_MAX: usize = 4096;

/// Where a request comes from: an IPv4 address, or the /64 of an IPv6 one, since whoever has one address of it has all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    /// Not by a connection: within the process.
    Inside,
    /// A host, or the network of one.
    Network(IpAddr),
}

impl Source {
    /// The source of a connection from this address.
    pub fn of(address: IpAddr) -> Self {
        Self::Network(match address.to_canonical() {
            IpAddr::V6(address) => {
                IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64)))
            }
            address => address,
        })
    }
}

/// Whose password was wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Guessed {
    /// A user's or a credential's, by id.
    Known(String),
    /// Nobody's: the name or id that was tried. Counted apart, so that names made up push out no user's count.
    Nobody(String),
}

/// Failures so far.
#[derive(Debug, Default)]
pub struct Throttle {
    known: Counts<String>,
    nobody: Counts<String>,
    sources: Counts<Source>,
}

impl Throttle {
    /// Counts a failure and says how long its answer waits.
    pub fn handle_failure(&mut self, whom: &Guessed, source: Source, now: Instant) -> Duration {
        let count = match whom {
            Guessed::Known(id) => self.known.count(id, now),
            Guessed::Nobody(name) => self.nobody.count(name, now),
        };
        let from = self.sources.count(&source, now);
        delay(count.max(from.saturating_sub(SOURCE_FREE)))
    }

    /// The user proved the password: earlier failures for it count no more. The source's do, or whoever has an account
    /// would guess at others' between logins.
    pub fn handle_success(&mut self, id: &str) {
        self.known.failures.remove(id);
    }
}

fn delay(failures: u32) -> Duration {
    let doublings = failures.saturating_sub(1).min(16);
    DELAY_FIRST.saturating_mul(1 << doublings).min(DELAY_MAX)
}

/// Failures by key.
#[derive(Debug)]
struct Counts<K> {
    failures: BTreeMap<K, Failures>,
}

#[derive(Debug)]
struct Failures {
    count: u32,
    last: Instant,
}

impl<K> Default for Counts<K> {
    fn default() -> Self {
        Self {
            failures: BTreeMap::new(),
        }
    }
}

impl<K: Ord + Clone> Counts<K> {
    fn count(&mut self, key: &K, now: Instant) -> u32 {
        self.failures
            .retain(|_, failures| now.saturating_duration_since(failures.last) < FORGET_AFTER);
        if self.failures.len() >= NAMES_MAX && !self.failures.contains_key(key) {
            self.forget_oldest();
        }
        let failures = self.failures.entry(key.clone()).or_insert(Failures {
            count: 0,
            last: now,
        });
        failures.count = failures.count.saturating_add(1);
        failures.last = now;
        failures.count
    }

    fn forget_oldest(&mut self) {
        let oldest = self
            .failures
            .iter()
            .min_by_key(|(_, failures)| failures.last)
            .map(|(key, _)| key.clone());
        if let Some(key) = oldest {
            self.failures.remove(&key);
        }
    }
}

/// A bounded number of places, of which one source takes a part at most.
#[derive(Clone, Debug)]
pub struct Places {
    all: Arc<Semaphore>,
    each: usize,
    taken: Arc<Mutex<BTreeMap<Source, usize>>>,
}

/// A place that is held.
#[derive(Debug)]
pub struct Place {
    _one: OwnedSemaphorePermit,
    source: Source,
    taken: Arc<Mutex<BTreeMap<Source, usize>>>,
}

impl Places {
    /// `all` places, of which one source takes `each`.
    pub fn new(all: usize, each: usize) -> Self {
        Self {
            all: Arc::new(Semaphore::new(all)),
            each,
            taken: Arc::default(),
        }
    }

    /// A place, if one is left.
    pub fn take(&self, source: Source) -> Option<Place> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let own = taken.get(&source).copied().unwrap_or(0);
        if own >= self.each {
            return None;
        }
        let one = self.all.clone().try_acquire_owned().ok()?;
        taken.insert(source, own + 1);
        Some(Place {
            _one: one,
            source,
            taken: self.taken.clone(),
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        match taken.get_mut(&self.source) {
            Some(own) if *own > 1 => *own -= 1,
            _ => {
                taken.remove(&self.source);
            }
        }
    }
}

#[cfg(test)]
mod tests;
