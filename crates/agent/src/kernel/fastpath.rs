//! The fast path as the agent handles it: opened, its rows read and changed, its program put on links and taken off.
//!
//! Maps, program and attachments are pinned: they work on when the agent is gone, and opening again finds them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use hextet_core::ids::PortNumber;
use libbpf_rs::MapHandle;

use super::maps::{MapOp, Rows};
use super::object::{self, Build, SHARED};
use super::punt::Punt;
use super::verdict::Verdict;
use super::{bpffs, hooks, links};

mod rows;

pub use rows::ApplyError;
use rows::Maps;

/// Raised with every change of `bpf/maps.h`: pins of another schema are not looked at.
pub const SCHEMA: u32 = 1;
const PROGRAM_PREFIX: &str = "guest_";

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

/// How many rows each map holds at most. A full map refuses the newest row. What a map was made with stays until
/// [`Fastpath::remove`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    /// Guest links, and so ports with a budget or a first frame.
    pub ports: u32,
    /// Addresses of all ports.
    pub sources: u32,
    /// Addresses that are answered for, and MACs that are delivered to: each as many.
    pub neighbours: u32,
    /// Chunks of 64 ports that get one network's multicast.
    pub member_chunks: u32,
    /// Pairs of port and verdict that are counted.
    pub counters: u32,
    /// Fragmented packets under way; the only map that lets the oldest go.
    pub fragments: u32,
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
            fragments: 8_192,
            punt_bytes: 1 << 20,
        }
    }
}

impl Sizes {
    /// Of the map of this name in [`SHARED`].
    pub(super) fn entries(&self, map: &str) -> u32 {
        match map {
            "sources" => self.sources,
            "neigh" | "fdb" => self.neighbours,
            "members" => self.member_chunks,
            "counters" => self.counters,
            "fragments" => self.fragments,
            "punt_ring" => self.punt_bytes,
            _ => self.ports,
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
    program: OwnedFd,
    program_id: u32,
    maps: Maps,
}

impl Fastpath {
    /// Finds what is pinned, makes what is not, and puts this build's program in place of an older one where it is attached.
    /// When nothing differs nothing is changed.
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
        };
        let in_load = |source| FastpathError::Load {
            pins: pins.clone(),
            source,
        };
        let program = program(&pins, build, config.sizes).map_err(in_load)?;
        if config.hook == Hook::Tcx && !hooks::has_tcx(&program) {
            return Err(FastpathError::NoTcx);
        }
        let program_id = object::program_id(&program).map_err(in_load)?;
        let maps = Maps::open(|map| pinned(&pins, map)).map_err(in_load)?;
        let fastpath = Fastpath {
            hook: config.hook,
            pins,
            program,
            program_id,
            maps,
        };
        fastpath.bring_up_to_date()?;
        Ok(fastpath)
    }

    /// All rows that the agent owns. Not a snapshot of one moment if somebody writes meanwhile.
    pub fn dump(&self) -> Result<Rows, FastpathError> {
        self.maps.dump()
    }

    /// Makes these changes in order. Each that fails is named in the error, the others are made.
    pub fn apply(&self, ops: &[MapOp]) -> Result<(), ApplyError> {
        self.maps.apply(ops)
    }

    /// What has been counted. Port 0 is a link without a row.
    pub fn counters(&self) -> Result<Counters, FastpathError> {
        self.maps.counters()
    }

    /// The links that run this build's program. Pins of links that are gone are removed on the way.
    pub fn attached(&self) -> Result<BTreeSet<u32>, FastpathError> {
        let attached = self.attached_by(self.hook)?;
        Ok(attached
            .into_iter()
            .filter(|(_, program)| *program == self.program_id)
            .map(|(ifindex, _)| ifindex)
            .collect())
    }

    /// The kernel's number of the program: another one after a replacement only.
    pub fn program_id(&self) -> u32 {
        self.program_id
    }

    /// Puts the program on a link; nothing when it is there.
    pub fn attach(&self, ifindex: u32) -> Result<(), FastpathError> {
        let in_hook = |source| FastpathError::Hook {
            what: "attach to",
            ifindex,
            source,
        };
        let there = hooks::attached_to(self.hook, &self.pins, ifindex).map_err(in_hook)?;
        if there == Some(self.program_id) {
            return Ok(());
        }
        match self.hook {
            Hook::Tcx => hooks::tcx_attach(&self.program, &self.pins, ifindex),
            Hook::Clsact => hooks::clsact_attach(&self.program, ifindex),
        }
        .map_err(in_hook)
    }

    /// Takes the program off a link; nothing when it is not there, or the link is gone.
    pub fn detach(&self, ifindex: u32) -> Result<(), FastpathError> {
        self.detach_by(self.hook, ifindex)
    }

    /// The ring of punted frames. One reader at a time: two would each see some of them.
    pub fn punt(&self) -> Result<Punt, FastpathError> {
        Punt::open(&self.maps.punt_ring).map_err(FastpathError::Ring)
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

    fn attached_by(&self, hook: Hook) -> Result<hooks::Attached, FastpathError> {
        attached_by(hook, &self.pins).map_err(FastpathError::Attached)
    }

    fn detach_by(&self, hook: Hook, ifindex: u32) -> Result<(), FastpathError> {
        match hook {
            Hook::Tcx => hooks::tcx_detach(&self.pins, ifindex),
            Hook::Clsact => hooks::clsact_detach(ifindex),
        }
        .map_err(|source| FastpathError::Hook {
            what: "detach from",
            ifindex,
            source,
        })
    }

    /// Every link that runs an older program of ours gets this one, and the older programs' pins go. A link that has it
    /// by the other hook gets it by this one before it loses that.
    fn bring_up_to_date(&self) -> Result<(), FastpathError> {
        let ours = programs(&self.pins).map_err(FastpathError::Attached)?;
        let here = self.attached_by(self.hook)?;
        for (&ifindex, &program) in &here {
            if program == self.program_id || !ours.contains_key(&program) {
                continue;
            }
            match self.hook {
                Hook::Tcx => hooks::tcx_update(&self.program, &self.pins, ifindex),
                Hook::Clsact => hooks::clsact_attach(&self.program, ifindex),
            }
            .map_err(|source| FastpathError::Hook {
                what: "replace the program of",
                ifindex,
                source,
            })?;
        }
        let other = match self.hook {
            Hook::Tcx => Hook::Clsact,
            Hook::Clsact => Hook::Tcx,
        };
        for (ifindex, program) in self.attached_by(other)? {
            if ours.contains_key(&program) {
                self.attach(ifindex)?;
                self.detach_by(other, ifindex)?;
            }
        }
        for (id, pin) in ours {
            if id != self.program_id {
                fs::remove_file(pin).map_err(FastpathError::Attached)?;
            }
        }
        Ok(())
    }
}

fn attached_by(hook: Hook, pins: &Path) -> io::Result<hooks::Attached> {
    match hook {
        Hook::Tcx => hooks::tcx_attached(pins),
        Hook::Clsact => {
            let links = links::dump()?;
            hooks::clsact_attached(links.iter().map(|link| link.ifindex))
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

/// The pinned program of this build, with its maps; loaded and pinned when any of it is missing.
fn program(pins: &Path, build: Build, sizes: Sizes) -> io::Result<OwnedFd> {
    let pin = pins.join(format!("{PROGRAM_PREFIX}{:016x}", build.hash()));
    let complete = SHARED.iter().all(|map| pins.join(map).exists());
    if complete && pin.exists() {
        return libbpf_rs::Program::fd_from_pinned_path(&pin).map_err(object::fault);
    }
    let loaded = object::load(build, sizes, Some(pins))?;
    let program = object::program(&loaded)?;
    if pin.exists() {
        fs::remove_file(&pin)?;
    }
    object::pin(&program, &pin)?;
    Ok(program)
}

/// The pinned programs by number.
fn programs(pins: &Path) -> io::Result<BTreeMap<u32, PathBuf>> {
    let mut programs = BTreeMap::new();
    for entry in fs::read_dir(pins)? {
        let path = entry?.path();
        let name = path
            .file_name()
            .and_then(|name| name.to_str())
            .unwrap_or_default();
        if name.starts_with(PROGRAM_PREFIX) {
            let program = libbpf_rs::Program::fd_from_pinned_path(&path).map_err(object::fault)?;
            programs.insert(object::program_id(&program)?, path);
        }
    }
    Ok(programs)
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
    for ifindex in hooks::tcx_attached(pins)
        .map_err(FastpathError::Remove)?
        .into_keys()
    {
        hooks::tcx_detach(pins, ifindex).map_err(FastpathError::Remove)?;
    }
    let filters = attached_by(Hook::Clsact, pins).map_err(FastpathError::Remove)?;
    for (ifindex, program) in filters {
        if ours.contains_key(&program) {
            hooks::clsact_detach(ifindex).map_err(FastpathError::Remove)?;
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
