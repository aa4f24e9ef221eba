//! What wrong passwords cost: whoever had some wrong waits for a turn before the next one is looked at.
//!
//! A turn is a time, given out when a login arrives: nothing queues, and a client that hangs up has used its turn. Counted
//! are a source's failures at one account (a pair), the accounts that a source failed at, and an account's failures from
//! everywhere. Nobody is locked out by others: a pair that was right once waits for its own failures alone, and one that
//! hardly failed does not wait for what others did to its account.

use std::collections::BTreeMap;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher as _;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Gap before the turn after the first failure that is not free; it doubles with each further one.
const GAP_FIRST: Duration = Duration::from_millis(100);

/// Longest wait for a turn; whose turn would be later is told when to come back.
const WAIT_MAX: Duration = Duration::from_secs(5);

/// How long the answer takes that says so: a program that tries again at once keeps nobody else from having the next turn.
pub const PUT_OFF_TIME: Duration = Duration::from_secs(1);

/// Failures are forgotten when none came for so long.
const FORGET_AFTER: Duration = Duration::from_secs(15 * 60);

/// Rows of each table of failures. At the bound the one that failed longest ago is forgotten.
const ROWS_MAX: usize = 4096;

/// How many failures are free, and how long the gaps grow after them.
#[derive(Clone, Copy, Debug)]
struct Rule {
    free: u32,
    gap_max: Duration,
}

/// A source that never logged in to the account.
const STRANGER: Rule = Rule {
    free: 2,
    gap_max: Duration::from_secs(30),
};
/// A source that has: its owner may sit beside the one who guesses.
const PROVEN: Rule = Rule {
    free: 2,
    gap_max: GAP_SHARED_MAX,
};
/// Accounts that a source failed at: many people share an address.
const SOURCE: Rule = Rule {
    free: 8,
    gap_max: GAP_SHARED_MAX,
};
/// The same of an IPv6 /48.
const SITE: Rule = Rule {
    free: 64,
    gap_max: GAP_SHARED_MAX,
};
/// Failures at an account from everywhere, as far as they hold up sources that failed at it themselves.
const ACCOUNT: Rule = Rule {
    free: 64,
    gap_max: GAP_SHARED_MAX,
};

/// Longest gap where the next in turn may be another than who failed.
const GAP_SHARED_MAX: Duration = Duration::from_millis(500);

/// Failures at an account that a source has before it waits for what others did to the account.
const OWN_FREE: u32 = 4;

/// Where a request comes from: an IPv4 address, or the /64 of an IPv6 one, since whoever has one address of it has all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Source {
    /// Not by a connection: within the process.
    Inside,
    /// A host, or the network of one.
    Network(IpAddr),
}

impl Source {
    /// The source of a connection from this address.
    pub fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V6(address) => Self::prefix(address, 64),
            address => Self::Network(address),
        }
    }

    /// The /48 of an IPv6 source: who has one has 65,536 sources.
    fn site(self) -> Option<Self> {
        match self {
            Self::Network(IpAddr::V6(address)) => Some(Self::prefix(address, 48)),
            _ => None,
        }
    }

    fn prefix(address: Ipv6Addr, length: u32) -> Self {
        let bits = address.to_bits() & (u128::MAX << (128 - length));
        Self::Network(IpAddr::V6(Ipv6Addr::from_bits(bits)))
    }
}

/// Whose password is tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Guessed {
    /// A user's or a credential's, by id.
    Known(String),
    /// Nobody's: the name or id that was tried. Counted apart, so that names made up push out no user's count.
    Nobody(String),
}

/// Failures so far, and who was right.
#[derive(Debug, Default)]
pub struct Throttle {
    known: Guesses,
    nobody: Guesses,
    sources: Turns,
    sites: Turns,
    proven: Proven,
    /// What names and sources are in the tables: any of them takes the same few octets.
    digest: RandomState,
}

#[derive(Debug, Default)]
struct Guesses {
    pairs: Turns,
    accounts: Turns,
}

/// The rows of an attempt: of a pair, an account, a source, a site.
#[derive(Clone, Copy)]
struct Rows {
    pair: u64,
    account: u64,
    source: u64,
    site: Option<u64>,
    proven: bool,
}

impl Rows {
    /// The rule of the pair.
    fn rule(&self) -> Rule {
        if self.proven { PROVEN } else { STRANGER }
    }
}

impl Throttle {
    /// The wait before a login is looked at. It is given out: the next one of the same comes after it.
    ///
    /// # Errors
    /// The wait itself where it is longer than [`WAIT_MAX`]; then nothing is given out.
    pub fn take_turn(
        &mut self,
        whom: &Guessed,
        source: Source,
        now: Instant,
    ) -> Result<Duration, Duration> {
        let rows = self.rows(whom, source, now);
        let guesses = match whom {
            Guessed::Known(_) => &mut self.known,
            Guessed::Nobody(_) => &mut self.nobody,
        };
        let failed_itself = guesses.pairs.failures(rows.pair, now) >= OWN_FREE;
        let mut waits = vec![(&mut guesses.pairs, rows.pair, rows.rule())];
        if !rows.proven {
            waits.push((&mut self.sources, rows.source, SOURCE));
            if let Some(site) = rows.site {
                waits.push((&mut self.sites, site, SITE));
            }
            if failed_itself {
                waits.push((&mut guesses.accounts, rows.account, ACCOUNT));
            }
        }
        let turns = waits.iter().map(|(turns, row, _)| turns.next(*row, now));
        let wait = turns.max().map_or(Duration::ZERO, |at| at - now);
        if wait > WAIT_MAX {
            return Err(wait);
        }
        for (turns, row, rule) in waits {
            turns.give(row, now, rule);
        }
        Ok(wait)
    }

    /// The password was wrong.
    pub fn handle_failure(&mut self, whom: &Guessed, source: Source, now: Instant) {
        let rows = self.rows(whom, source, now);
        let guesses = match whom {
            Guessed::Known(_) => &mut self.known,
            Guessed::Nobody(_) => &mut self.nobody,
        };
        let first = guesses.pairs.count(rows.pair, now, rows.rule()) == 1;
        guesses.accounts.count(rows.account, now, ACCOUNT);
        if first {
            self.sources.count(rows.source, now, SOURCE);
            if let Some(site) = rows.site {
                self.sites.count(site, now, SITE);
            }
        }
    }

    /// It was right: the source's failures at this account count no more. At others they do, or whoever has an account
    /// would guess at them between logins.
    pub fn handle_success(&mut self, id: &str, source: Source, now: Instant) {
        let whom = Guessed::Known(id.to_owned());
        let rows = self.rows(&whom, source, now);
        self.known.pairs.rows.remove(&rows.pair);
        self.proven.note(id, source, now);
    }

    fn rows(&self, whom: &Guessed, source: Source, now: Instant) -> Rows {
        let (name, proven) = match whom {
            Guessed::Known(id) => (id, self.proven.holds(id, source, now)),
            Guessed::Nobody(name) => (name, false),
        };
        Rows {
            pair: self.digest.hash_one((name, source)),
            account: self.digest.hash_one(name),
            source: self.digest.hash_one(source),
            site: source.site().map(|site| self.digest.hash_one(site)),
            proven,
        }
    }
}

/// Failures by row, and when each row's next turn is.
#[derive(Debug, Default)]
struct Turns {
    rows: BTreeMap<u64, Row>,
}

#[derive(Debug)]
struct Row {
    failures: u32,
    last: Instant,
    next: Instant,
}

impl Row {
    fn is_over(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.last) >= FORGET_AFTER
    }

    fn gap(&self, rule: Rule) -> Duration {
        let Some(doublings) = self.failures.checked_sub(rule.free + 1) else {
            return Duration::ZERO;
        };
        GAP_FIRST
            .saturating_mul(1 << doublings.min(16))
            .min(rule.gap_max)
    }
}

impl Turns {
    fn failures(&self, row: u64, now: Instant) -> u32 {
        let row = self.rows.get(&row).filter(|row| !row.is_over(now));
        row.map_or(0, |row| row.failures)
    }

    /// The time of the next turn.
    fn next(&self, row: u64, now: Instant) -> Instant {
        let row = self.rows.get(&row).filter(|row| !row.is_over(now));
        row.map_or(now, |row| row.next.max(now))
    }

    /// Somebody has the next turn. It counts as taken at its time here, even where another row lets it come later: or
    /// one who guesses at one account would take everybody's time.
    fn give(&mut self, row: u64, now: Instant, rule: Rule) {
        if let Some(row) = self.rows.get_mut(&row) {
            row.next = row.next.max(now) + row.gap(rule);
        }
    }

    /// Counts a failure; how many there were.
    fn count(&mut self, row: u64, now: Instant, rule: Rule) -> u32 {
        self.rows.retain(|_, row| !row.is_over(now));
        if self.rows.len() >= ROWS_MAX && !self.rows.contains_key(&row) {
            self.forget_oldest();
        }
        let row = self.rows.entry(row).or_insert(Row {
            failures: 0,
            last: now,
            next: now,
        });
        row.failures = row.failures.saturating_add(1);
        row.last = now;
        row.next = row.next.max(now + row.gap(rule));
        row.failures
    }

    fn forget_oldest(&mut self) {
        let oldest = self.rows.iter().min_by_key(|(_, row)| row.last);
        if let Some(row) = oldest.map(|(row, _)| *row) {
            self.rows.remove(&row);
        }
    }
}

/// From where each account was logged in to.
#[derive(Debug, Default)]
struct Proven {
    accounts: BTreeMap<String, Vec<(Source, Instant)>>,
}

impl Proven {
    /// Accounts remembered. At the bound the one that logged in longest ago is forgotten.
    const ACCOUNTS_MAX: usize = 8192;
    /// Sources remembered of each: so many places may one account make sure of.
    const SOURCES_EACH: usize = 8;
    /// How long a login counts.
    const FOR: Duration = Duration::from_secs(30 * 24 * 3600);

    fn holds(&self, id: &str, source: Source, now: Instant) -> bool {
        let sources = self.accounts.get(id).into_iter().flatten();
        let mut sources = sources.filter(|(_, at)| now.saturating_duration_since(*at) < Self::FOR);
        sources.any(|(known, _)| *known == source)
    }

    fn note(&mut self, id: &str, source: Source, now: Instant) {
        if self.accounts.len() >= Self::ACCOUNTS_MAX && !self.accounts.contains_key(id) {
            self.forget_oldest();
        }
        let sources = self.accounts.entry(id.to_owned()).or_default();
        sources.retain(|(known, _)| *known != source);
        // The newest is the last.
        sources.push((source, now));
        if sources.len() > Self::SOURCES_EACH {
            sources.remove(0);
        }
    }

    fn forget_oldest(&mut self) {
        let newest = |sources: &[(Source, Instant)]| sources.last().map(|(_, at)| *at);
        let oldest = self
            .accounts
            .iter()
            .min_by_key(|(_, sources)| newest(sources));
        if let Some(id) = oldest.map(|(id, _)| id.clone()) {
            self.accounts.remove(&id);
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
