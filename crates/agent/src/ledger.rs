//! What the agent must not forget: plan, declarations, learned addresses, DHCPv6 clients that are told of changes,
//! withdrawn prefixes. One file, replaced whole, so that a crash leaves the old one or the new one. It holds those clients'
//! keys, so nobody else may read it.

mod encode;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::net::Ipv6Addr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use hextet_core::ids::{PortId, Vni};
use hextet_core::modes::RaSender;
use hextet_core::plan::{HostPlan, PlanEntry, PlanKey};
use hextet_feed::sync::PlanDelta;
use hextet_proto::{LEARNED_GLOBAL_MAX, LEARNED_LINK_LOCAL_MAX, Reconfigurable};
use ipnet::Ipv6Net;

pub use encode::Unreadable;

/// Most prefixes that are being withdrawn from one port: the newest are kept.
const WITHDRAWN_MAX: usize = 16;

/// What carries a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// A pair that the agent makes, with the guest's end in a named namespace.
    Netns {
        /// A name under `/run/netns`.
        name: String,
        /// The guest's end.
        ifname: String,
        /// It is left down.
        down: bool,
    },
    /// A tap that is there.
    Tap {
        /// Its name.
        name: String,
    },
}

impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Target::Netns { name, ifname, .. } => write!(f, "netns {name} {ifname}"),
            Target::Tap { name } => write!(f, "tap {name}"),
        }
    }
}

/// An address that a port's guest formed itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LearnedAddress {
    /// Whose guest.
    pub port: PortId,
    /// The address.
    pub address: Ipv6Addr,
    /// Since when, Unix time in seconds.
    pub since_s: u64,
    /// When it was last known to be in use, Unix time in seconds, as exactly as [`crate::host`] looks for it.
    pub seen_s: u64,
}

/// Everything that is kept.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct State {
    /// The last plan.
    pub plan: HostPlan,
    /// What carries which port.
    pub declarations: BTreeMap<PortId, Target>,
    /// Ports that were detached here and are still in the plan: their links are left alone.
    pub released: BTreeSet<PortId>,
    /// Taps, with their numbers, whose port was detached or unbound here while they stayed: they are not claimed until they
    /// are made anew.
    pub let_go: BTreeMap<String, u32>,
    /// Addresses that guests formed themselves, at most [`LEARNED_LINK_LOCAL_MAX`] and [`LEARNED_GLOBAL_MAX`] a port, in the
    /// order in which they were learned: of two ports of a network with the same one, the first holds it.
    pub learned: Vec<LearnedAddress>,
    /// The DHCPv6 client of each port that follows a Reconfigure, if one does.
    pub reconfigurable: BTreeMap<PortId, Reconfigurable>,
    /// Prefixes that are no longer in the plan, and until when (Unix time, seconds) they are advertised with lifetime
    /// zero.
    pub withdrawn: BTreeMap<PortId, BTreeMap<Ipv6Net, u64>>,
}

impl State {
    /// Takes a delta in at this time (Unix time, seconds): ports that go take their declarations with them, prefixes
    /// that go are withdrawn for as long as guests may believe in them (RFC 4861 §6.2.5, RFC 9096 §3.5).
    /// Returns the ports that went.
    pub fn take(&mut self, delta: PlanDelta, now_s: u64) -> BTreeSet<PortId> {
        let touched = self.networks_of_subnets(&delta);
        let before = self.advertised(&touched);
        let valid_lifetime_s = self.plan.cloud().map_or(0, |cloud| cloud.valid_lifetime_s);
        let gone: BTreeSet<PortId> = delta
            .changes
            .iter()
            .filter_map(|(key, entry)| match (key, entry) {
                (PlanKey::Port(id), None) if self.plan.port(*id).is_some() => Some(*id),
                _ => None,
            })
            .collect();
        delta.apply(&mut self.plan);
        for port in &gone {
            self.forget(*port);
        }
        let after = self.advertised(&touched);
        for (port, prefixes) in before {
            let Some(now) = after.get(&port) else {
                continue;
            };
            let until = now_s + u64::from(valid_lifetime_s);
            let list = self.withdrawn.entry(port).or_default();
            list.extend(prefixes.difference(now).map(|prefix| (*prefix, until)));
            list.retain(|prefix, _| !now.contains(prefix));
            while list.len() > WITHDRAWN_MAX {
                let oldest = list.iter().min_by_key(|(_, until)| **until);
                let oldest = *oldest.expect("more than the bound, so not empty").0;
                list.remove(&oldest);
            }
        }
        self.withdrawn.retain(|_, list| !list.is_empty());
        gone
    }

    /// Those of which a subnet is changed: the ports of others are told of the same prefixes as before.
    fn networks_of_subnets(&self, delta: &PlanDelta) -> BTreeSet<Vni> {
        let changed = delta.changes.iter().flat_map(|(key, entry)| {
            let before = self.plan.entries.get(key);
            before.into_iter().chain(entry)
        });
        let networks = changed.filter_map(|entry| match entry {
            PlanEntry::Subnet(subnet) => Some(subnet.vni),
            _ => None,
        });
        networks.collect()
    }

    /// Drops what was withdrawn long enough ago. True when something was dropped.
    pub fn expire(&mut self, now_s: u64) -> bool {
        let count = |state: &Self| state.withdrawn.values().map(BTreeMap::len).sum::<usize>();
        let before = count(self);
        for list in self.withdrawn.values_mut() {
            list.retain(|_, until| *until > now_s);
        }
        self.withdrawn.retain(|_, list| !list.is_empty());
        count(self) != before
    }

    /// When the next withdrawn prefix expires, Unix time in seconds.
    pub fn next_expiry_s(&self) -> Option<u64> {
        self.withdrawn
            .values()
            .flat_map(BTreeMap::values)
            .min()
            .copied()
    }

    /// The withdrawn prefixes of a port.
    pub fn withdrawn_of(&self, port: PortId) -> Vec<Ipv6Net> {
        self.withdrawn
            .get(&port)
            .map(|list| list.keys().copied().collect())
            .unwrap_or_default()
    }

    /// Which port of the plan a link of this name would carry; `None` where that is none, or more than one.
    pub fn port_of_link(&self, name: &str) -> Option<PortId> {
        let tap = |target: &Target| matches!(target, Target::Tap { name: tap } if tap == name);
        let declared = self.declarations.iter().filter(|(_, target)| tap(target));
        let declared = declared.map(|(port, _)| *port);
        let named = PortId::of_tap_name(name)
            .into_iter()
            .flat_map(|(first, last)| {
                let range = PlanKey::Port(first)..=PlanKey::Port(last);
                self.plan
                    .entries
                    .range(range)
                    .filter_map(|(key, _)| match key {
                        PlanKey::Port(port) => Some(*port),
                        _ => None,
                    })
            });
        let mut ports = declared.chain(named);
        let port = ports.next()?;
        (ports.all(|other| other == port) && self.plan.port(port).is_some()).then_some(port)
    }

    /// Notes an address that a port's guest formed; false when it was known or there are too many.
    pub fn learn(&mut self, learned: LearnedAddress) -> bool {
        let link_local = |known: &LearnedAddress| known.address.is_unicast_link_local();
        let max = match link_local(&learned) {
            true => LEARNED_LINK_LOCAL_MAX,
            false => LEARNED_GLOBAL_MAX,
        };
        let of_port = || self.learned_of(learned.port);
        let same_kind = of_port().filter(|known| link_local(known) == link_local(&learned));
        if same_kind.count() >= max || of_port().any(|known| known.address == learned.address) {
            return false;
        }
        self.learned.push(learned);
        true
    }

    /// What a port's guest formed itself, in the order in which it was learned.
    pub fn learned_of(&self, port: PortId) -> impl Iterator<Item = &LearnedAddress> {
        self.learned.iter().filter(move |known| known.port == port)
    }

    /// Forgets an address of a port; false when it was not known.
    pub fn unlearn(&mut self, port: PortId, address: Ipv6Addr) -> bool {
        let before = self.learned.len();
        self.learned
            .retain(|known| (known.port, known.address) != (port, address));
        self.learned.len() != before
    }

    /// Notes which client of a port follows a Reconfigure; false when nothing changed.
    pub fn reconfigure(&mut self, port: PortId, client: Option<Reconfigurable>) -> bool {
        match client.filter(|_| self.plan.port(port).is_some()) {
            None => self.reconfigurable.remove(&port).is_some(),
            Some(client) => {
                let before = self.reconfigurable.insert(port, client);
                before.as_ref() != self.reconfigurable.get(&port)
            }
        }
    }

    /// Everything about a port that is not in the plan.
    pub fn forget(&mut self, port: PortId) {
        self.declarations.remove(&port);
        self.released.remove(&port);
        self.learned.retain(|known| known.port != port);
        self.reconfigurable.remove(&port);
        self.withdrawn.remove(&port);
    }

    /// The prefixes that each port of these networks is told of.
    fn advertised(&self, networks: &BTreeSet<Vni>) -> BTreeMap<PortId, BTreeSet<Ipv6Net>> {
        let mut of_network: BTreeMap<_, BTreeSet<Ipv6Net>> = BTreeMap::new();
        for subnet in self.plan.subnets() {
            if subnet.sender == RaSender::Us {
                of_network
                    .entry(subnet.vni)
                    .or_default()
                    .insert(subnet.cidr);
            }
        }
        let ports = self.plan.ports();
        ports
            .filter(|port| networks.contains(&port.vni))
            .map(|port| {
                let prefixes = of_network.get(&port.vni).cloned().unwrap_or_default();
                (port.id, prefixes)
            })
            .collect()
    }
}

/// The file.
#[derive(Debug)]
pub struct Ledger {
    path: PathBuf,
}

/// The ledger cannot be read or written.
#[derive(Debug, thiserror::Error)]
#[error("could not {what} {path}")]
pub struct LedgerError {
    what: &'static str,
    path: PathBuf,
    #[source]
    source: std::io::Error,
}

/// What was found on disk.
#[derive(Debug)]
pub enum Found {
    /// Nothing: this host is new.
    Nothing,
    /// A ledger.
    State(Box<State>),
    /// Something else, put aside under the second name.
    Corrupt(Unreadable, PathBuf),
}

impl Ledger {
    /// The ledger of a state directory, which is made if it is not there.
    ///
    /// # Errors
    /// The directory cannot be made.
    pub fn open(state_dir: &Path) -> Result<Self, LedgerError> {
        std::fs::create_dir_all(state_dir).map_err(fail("make", state_dir))?;
        Ok(Self::at(state_dir))
    }

    /// The ledger of a state directory, for looking at it.
    pub fn at(state_dir: &Path) -> Self {
        Self {
            path: state_dir.join("ledger"),
        }
    }

    /// Reads it; a file that is not a ledger is put aside.
    ///
    /// # Errors
    /// The file is there and cannot be read, or cannot be put aside.
    pub fn read(&self) -> Result<Found, LedgerError> {
        let bytes = match std::fs::read(&self.path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Ok(Found::Nothing);
            }
            Err(error) => return Err(fail("read", &self.path)(error)),
        };
        match encode::decode(&bytes) {
            Ok(state) => Ok(Found::State(Box::new(state))),
            Err(why) => {
                let aside = self.path.with_extension("corrupt");
                std::fs::rename(&self.path, &aside).map_err(fail("put aside", &self.path))?;
                Ok(Found::Corrupt(why, aside))
            }
        }
    }

    /// Why this build cannot read it; `None` where it can, or there is none. It stays where it is.
    ///
    /// # Errors
    /// The file is there and the disk does not give it.
    pub fn unreadable(&self) -> Result<Option<Unreadable>, LedgerError> {
        match std::fs::read(&self.path) {
            Ok(bytes) => Ok(encode::decode(&bytes).err()),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(fail("read", &self.path)(error)),
        }
    }

    /// Replaces it; what was written before is safe until this is.
    ///
    /// # Errors
    /// The disk's.
    pub fn write(&self, state: &State) -> Result<(), LedgerError> {
        let new = self.path.with_extension("new");
        let mut options = std::fs::OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(0o600);
        let mut file = options.open(&new).map_err(fail("make", &new))?;
        file.write_all(&encode::encode(state))
            .and_then(|()| file.sync_all())
            .map_err(fail("write", &new))?;
        std::fs::rename(&new, &self.path).map_err(fail("replace", &self.path))?;
        let folder = self.path.parent().unwrap_or(Path::new("/"));
        std::fs::File::open(folder)
            .and_then(|folder| folder.sync_all())
            .map_err(fail("sync", folder))
    }

    /// Removes it: this host carries nothing any more.
    ///
    /// # Errors
    /// The disk's.
    pub fn remove(&self) -> Result<(), LedgerError> {
        match std::fs::remove_file(&self.path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(fail("remove", &self.path)(error))
            }
            _ => Ok(()),
        }
    }
}

fn fail(what: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> LedgerError {
    let path = path.to_owned();
    move |source| LedgerError { what, path, source }
}

#[cfg(test)]
mod tests;
