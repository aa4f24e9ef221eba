//! The fast path as the agent handles it: opened, its rows read and changed, its program put on links and taken off.
//!
//! Maps, program and attachments are pinned: they work on when the agent is gone, and opening again finds them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::net::Ipv6Addr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use hextet_core::ids::PortNumber;
use libbpf_rs::MapHandle;

use super::maps::raw;
use super::maps::{MapOp, Rows};
use super::object::{self, Build, SHARED};
use super::objections::Objections;
use super::punt::Punt;
use super::verdict::Verdict;
use super::{bpffs, hooks, links};
use hooks::Way;
use programs::{Programs, programs};

mod counts;
mod programs;
mod rows;
mod sizes;
mod takeover;
pub mod trace;

pub use rows::ApplyError;
use rows::Maps;
pub use sizes::{FRAGMENTS_EACH, NICS_MAX, Sizes};

/// Raised with every change of `bpf/maps.h` that rows written before do not fit: pins of another schema are not looked at.
/// A map or a flag more is none.
pub const SCHEMA: u32 = 2;

/// In counters: what ports counted that are gone.
pub const DEPARTED: PortNumber = PortNumber(raw::DEPARTED);
/// In counters: what was counted while the table had no room for a port's own row.
pub const UNATTRIBUTED: PortNumber = PortNumber(raw::UNATTRIBUTED);

/// How the program is put on a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hook {
    /// A pinned tcx link: Linux 6.6 and later.
    Tcx,
    /// A filter on the clsact qdisc.
    Clsact,
}

/// How many frames of one port the agent is shown. More are dropped and counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PuntBudget {
    /// Frames per second, at least 1.
    pub per_second: u32,
    /// Frames at once, at least 1.
    pub burst: u32,
}

impl Default for PuntBudget {
    fn default() -> PuntBudget {
        PuntBudget {
            per_second: 200,
            burst: 400,
        }
    }
}

/// What [`Fastpath::open`] needs to know.
#[derive(Clone, Debug)]
pub struct FastpathConfig {
    /// Keeps several agents on one machine apart: letters, digits, `-` and `_`.
    pub instance: String,
    /// Where a bpffs is mounted (as `bpf`) if `/sys/fs/bpf` is none. Absolute, or relative to where the agent always starts.
    pub state_dir: PathBuf,
    /// How the program is put on links.
    pub hook: Hook,
    /// How much the maps hold.
    pub sizes: Sizes,
    /// How much of one port the agent is shown.
    pub punt: PuntBudget,
}

/// How full a table is that refuses the newest row when it is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Table {
    /// Its name in `bpf/maps.h`.
    pub name: &'static str,
    /// Its rows.
    pub rows: u32,
    /// As many as it holds.
    pub rows_max: u32,
}

/// Packets and bytes by port and verdict.
pub type Counters = BTreeMap<(PortNumber, Verdict), (u64, u64)>;

/// Why the fast path could not be opened, read or changed.
#[derive(Debug, thiserror::Error)]
pub enum FastpathError {
    /// The instance's name cannot be a file name.
    #[error("instance {0:?} must be letters, digits, '-' and '_', 1 to 64 of them")]
    Instance(String),
    /// No place for pins.
    #[error("no bpffs for pins under {state_dir}")]
    Pins {
        /// The configured directory.
        state_dir: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// The object could not be loaded.
    #[error("could not load the fast path with pins in {pins}")]
    Load {
        /// Where its maps are pinned.
        pins: PathBuf,
        /// What libbpf said.
        source: io::Error,
    },
    /// The hook is not to be had.
    #[error("this kernel has no tcx links (they came with Linux 6.6): set the hook to clsact")]
    NoTcx,
    /// A map could not be read.
    #[error("could not read map {map}")]
    Read {
        /// Its name.
        map: &'static str,
        /// What the kernel said.
        source: io::Error,
    },
    /// The program could not be put on a link or taken off.
    #[error("could not {what} link {ifindex}")]
    Hook {
        /// What was tried.
        what: &'static str,
        /// The link.
        ifindex: u32,
        /// What the kernel said.
        source: io::Error,
    },
    /// What is attached could not be found out.
    #[error("could not find out on which links the program is")]
    Attached(#[source] io::Error),
    /// The ring of punted frames could not be opened.
    #[error("could not open the punt ring")]
    Ring(#[source] io::Error),
    /// Pins could not be removed.
    #[error("could not remove the pins")]
    Remove(#[source] io::Error),
}

/// The opened fast path. Dropping it leaves everything in place.
#[derive(Debug)]
pub struct Fastpath {
    hook: Hook,
    pins: PathBuf,
    programs: Programs,
    maps: Maps,
    held: takeover::Held,
}

impl Fastpath {
    /// Finds what is pinned, makes what is not, and puts this build's program in place of an older one where it is attached.
    /// When nothing differs nothing is changed. Where maps had to be made, links keep their older program until
    /// [`Fastpath::take_over`].
    pub fn open(config: &FastpathConfig) -> Result<Fastpath, FastpathError> {
        check_instance(&config.instance)?;
        object::quiet();
        let in_pins = |source| FastpathError::Pins {
            state_dir: config.state_dir.clone(),
            source,
        };
        let pins = bpffs::open(&config.instance, &config.state_dir)
            .map_err(in_pins)?
            .join(format!("v{SCHEMA}"));
        fs::create_dir_all(&pins).map_err(in_pins)?;
        let build = Build {
            punt: config.punt,
            trace: false,
            dry_run: false,
        };
        let in_load = |source| FastpathError::Load {
            pins: pins.clone(),
            source,
        };
        // Maps that are made now are empty: what is attached goes on with its own until they are filled.
        let whole = SHARED.iter().all(|map| pins.join(map).exists());
        let programs = Programs::open(&pins, build, config.sizes).map_err(in_load)?;
        if config.hook == Hook::Tcx && !hooks::has_tcx(&programs.guest.fd) {
            return Err(FastpathError::NoTcx);
        }
        let maps = Maps::open(|map| pinned(&pins, map)).map_err(in_load)?;
        if let Err(error) = maps.reserve_counters() {
            tracing::warn!(%error, "what a full table of counters has no room for is not counted at all");
        }
        let fastpath = Fastpath {
            hook: config.hook,
            pins,
            programs,
            maps,
            held: takeover::Held::default(),
        };
        if whole {
            fastpath.take_over()?;
        }
        fastpath.hold()?;
        Ok(fastpath)
    }

    /// Whether the kernel takes this build's programs and has the hook. Nothing is pinned or attached.
    pub fn check(config: &FastpathConfig) -> Result<(), FastpathError> {
        check_instance(&config.instance)?;
        object::quiet();
        let build = Build {
            punt: config.punt,
            trace: false,
            dry_run: false,
        };
        let in_load = |source| FastpathError::Load {
            pins: config.state_dir.clone(),
            source,
        };
        let loaded = object::load(build, Sizes::smallest(), None).map_err(in_load)?;
        let program = object::program(&loaded, object::GUEST).map_err(in_load)?;
        if config.hook == Hook::Tcx && !hooks::has_tcx(&program) {
            return Err(FastpathError::NoTcx);
        }
        Ok(())
    }

    /// All rows that the agent owns. Not a snapshot of one moment if somebody writes meanwhile.
    pub fn dump(&self) -> Result<Rows, FastpathError> {
        self.maps.dump()
    }

    /// Makes these changes in order. Each that fails is named in the error, the others are made.
    pub fn apply(&self, ops: &[MapOp]) -> Result<(), ApplyError> {
        self.maps.apply(ops)
    }

    /// Which of these learned sources passed a frame since this was asked last.
    pub fn take_used(
        &self,
        sources: impl Iterator<Item = (PortNumber, Ipv6Addr)>,
    ) -> Result<Vec<(PortNumber, Ipv6Addr)>, FastpathError> {
        self.maps.take_used(sources)
    }

    /// How full each table is.
    pub fn tables(&self) -> Result<Vec<Table>, FastpathError> {
        self.maps.tables()
    }

    /// What guests reported of groups longer than this ago is over. To be called only as long as guests are asked: who
    /// does not ask cannot tell who listens no more.
    pub fn expire_groups(&self, age: Duration) -> Result<(), FastpathError> {
        self.maps.expire_groups(age)
    }

    /// What has been counted. Port 0 is a link without a row, [`DEPARTED`] all ports that were forgotten, [`UNATTRIBUTED`] those
    /// for which the table had no room.
    pub fn counters(&self) -> Result<Counters, FastpathError> {
        self.maps.counters()
    }

    /// How many frames are counted by their verdict alone, because the table of counters was full.
    pub fn unattributed(&self) -> Result<u64, FastpathError> {
        self.maps.unattributed()
    }

    /// The guest links that run this build's program. Pins of links that are gone are removed on the way.
    pub fn attached(&self) -> Result<BTreeSet<u32>, FastpathError> {
        self.running(Way::In, self.programs.guest.id)
    }

    /// The NICs that run this build's program, and whether they do both ways.
    pub fn attached_uplinks(&self) -> Result<BTreeMap<u32, bool>, FastpathError> {
        let inward = self.running(Way::In, self.programs.uplink.id)?;
        let outward = self.running(Way::Out, self.programs.uplink.id)?;
        let either = inward.union(&outward);
        Ok(either
            .map(|nic| (*nic, inward.contains(nic) && outward.contains(nic)))
            .collect())
    }

    /// The kernel's number of the guest links' program: another one after a replacement only.
    pub fn program_id(&self) -> u32 {
        self.programs.guest.id
    }

    /// Whether a guest link runs this build's program, as the next caller would find it. That link alone is asked.
    pub fn runs_on(&self, ifindex: u32) -> Result<bool, FastpathError> {
        self.runs(Way::In, &self.programs.guest, ifindex)
    }

    /// Whether a NIC runs this build's program both ways. That NIC alone is asked.
    pub fn runs_on_uplink(&self, ifindex: u32) -> Result<bool, FastpathError> {
        let uplink = &self.programs.uplink;
        Ok(self.runs(Way::In, uplink, ifindex)? && self.runs(Way::Out, uplink, ifindex)?)
    }

    /// Puts the guests' program on a link; nothing when it is there.
    pub fn attach(&self, ifindex: u32) -> Result<(), FastpathError> {
        self.attach_by(self.hook, &self.programs.guest, Way::In, ifindex)
    }

    /// Takes the program off a guest link; nothing when it is not there, or the link is gone.
    pub fn detach(&self, ifindex: u32) -> Result<(), FastpathError> {
        detach_by(self.hook, &self.pins, Way::In, ifindex)
    }

    /// Puts the program of NICs on one, both ways; nothing when it is there.
    pub fn attach_uplink(&self, ifindex: u32) -> Result<(), FastpathError> {
        for way in Way::BOTH {
            self.attach_by(self.hook, &self.programs.uplink, way, ifindex)?;
        }
        Ok(())
    }

    /// Takes it off; nothing when it is not there, or the NIC is gone.
    pub fn detach_uplink(&self, ifindex: u32) -> Result<(), FastpathError> {
        for way in Way::BOTH {
            detach_by(self.hook, &self.pins, way, ifindex)?;
        }
        Ok(())
    }

    /// The ring of punted frames. One reader at a time: two would each see some of them.
    pub fn punt(&self) -> Result<Punt, FastpathError> {
        Punt::open(&self.maps.punt_ring).map_err(FastpathError::Ring)
    }

    /// Who on physical segments advertised which addresses.
    pub fn objections(&self) -> Result<Objections, FastpathError> {
        let in_map = |source| FastpathError::Read {
            map: "objections",
            source,
        };
        Objections::open(&self.maps.objections).map_err(in_map)
    }

    /// Takes everything of this instance away: attachments, program, maps, pins, and the bpffs if it is our own.
    /// Nothing when there is nothing. Links and their traffic are left, unfiltered.
    pub fn remove(config: &FastpathConfig) -> Result<(), FastpathError> {
        check_instance(&config.instance)?;
        object::quiet();
        let directory =
            bpffs::existing(&config.instance, &config.state_dir).map_err(FastpathError::Remove)?;
        for schema in subdirectories(directory.as_deref()).map_err(FastpathError::Remove)? {
            remove_schema(&schema)?;
        }
        bpffs::remove(&config.instance, &config.state_dir).map_err(FastpathError::Remove)
    }

    /// The links that run this program this way.
    fn running(&self, way: Way, program: u32) -> Result<BTreeSet<u32>, FastpathError> {
        let attached = self.attached_by(self.hook, way)?;
        let running = attached.into_iter().filter(|(_, id)| *id == program);
        Ok(running.map(|(ifindex, _)| ifindex).collect())
    }

    fn runs(
        &self,
        way: Way,
        program: &programs::Program,
        ifindex: u32,
    ) -> Result<bool, FastpathError> {
        let attached = hooks::attached_to(self.hook, &self.pins, way, ifindex);
        let attached = attached.map_err(|source| FastpathError::Hook {
            what: "ask",
            ifindex,
            source,
        })?;
        Ok(attached == Some(program.id))
    }

    fn attached_by(&self, hook: Hook, way: Way) -> Result<hooks::Attached, FastpathError> {
        attached_by(hook, &self.pins, way).map_err(FastpathError::Attached)
    }

    fn attach_by(
        &self,
        hook: Hook,
        program: &programs::Program,
        way: Way,
        ifindex: u32,
    ) -> Result<(), FastpathError> {
        let in_hook = |source| FastpathError::Hook {
            what: "attach to",
            ifindex,
            source,
        };
        let there = hooks::attached_to(hook, &self.pins, way, ifindex).map_err(in_hook)?;
        if there == Some(program.id) {
            return Ok(());
        }
        match (hook, there) {
            (Hook::Tcx, None) => hooks::tcx_attach(&program.fd, &self.pins, way, ifindex),
            (Hook::Tcx, Some(_)) => hooks::tcx_update(&program.fd, &self.pins, way, ifindex),
            (Hook::Clsact, _) => hooks::clsact_attach(&program.fd, way, ifindex),
        }
        .map_err(in_hook)?;
        if hook == Hook::Tcx {
            let pin = hooks::link_pin(&self.pins, way, ifindex);
            self.held.replace(pin).map_err(in_hook)?;
        }
        Ok(())
    }
}

fn detach_by(hook: Hook, pins: &Path, way: Way, ifindex: u32) -> Result<(), FastpathError> {
    match hook {
        Hook::Tcx => hooks::tcx_detach(pins, way, ifindex),
        Hook::Clsact => hooks::clsact_detach(way, ifindex),
    }
    .map_err(|source| FastpathError::Hook {
        what: "detach from",
        ifindex,
        source,
    })
}

fn attached_by(hook: Hook, pins: &Path, way: Way) -> io::Result<hooks::Attached> {
    match hook {
        Hook::Tcx => hooks::tcx_attached(pins, way),
        Hook::Clsact => {
            let links = links::dump()?;
            hooks::clsact_attached(way, links.iter().map(|link| link.ifindex))
        }
    }
}

fn check_instance(instance: &str) -> Result<(), FastpathError> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    if (1..=64).contains(&instance.len()) && instance.bytes().all(allowed) {
        Ok(())
    } else {
        Err(FastpathError::Instance(instance.to_owned()))
    }
}

fn subdirectories(directory: Option<&Path>) -> io::Result<Vec<PathBuf>> {
    let Some(directory) = directory else {
        return Ok(Vec::new());
    };
    let mut found = Vec::new();
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path.is_dir() {
            found.push(path);
        }
    }
    Ok(found)
}

/// Takes the programs pinned here off every link.
fn remove_schema(pins: &Path) -> Result<(), FastpathError> {
    let ours = programs(pins).map_err(FastpathError::Remove)?;
    for way in Way::BOTH {
        let by_tcx = hooks::tcx_attached(pins, way).map_err(FastpathError::Remove)?;
        for ifindex in by_tcx.into_keys() {
            hooks::tcx_detach(pins, way, ifindex).map_err(FastpathError::Remove)?;
        }
        let filters = attached_by(Hook::Clsact, pins, way).map_err(FastpathError::Remove)?;
        for (ifindex, program) in filters {
            if ours.contains_key(&program) {
                hooks::clsact_detach(way, ifindex).map_err(FastpathError::Remove)?;
            }
        }
    }
    Ok(())
}

/// A pinned map.
fn pinned(pins: &Path, map: &str) -> io::Result<MapHandle> {
    MapHandle::from_pinned_path(pins.join(map)).map_err(object::fault)
}

#[cfg(test)]
mod tests;
