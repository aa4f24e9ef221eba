//! What a build does with what it finds pinned: an older program on links, maps of an older schema, pins that somebody
//! deleted. Links change their program in one step, and only once the rows that it needs are there.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use super::programs::{self, Programs};
use super::{Fastpath, FastpathError, Hook, attached_by, subdirectories};
use crate::kernel::hooks::{self, Way};
use crate::kernel::object::{self, SHARED, pin};

/// How the directory of a schema begins.
const SCHEMA_PREFIX: &str = "v";

/// Descriptors of everything that is pinned: what loses its pin lives on, and is pinned again.
#[derive(Debug, Default)]
pub(super) struct Held {
    pinned: Mutex<BTreeMap<PathBuf, OwnedFd>>,
    /// Nothing older is attached any more.
    settled: AtomicBool,
}

impl Held {
    /// Holds what is pinned here now, and lets go of what is not ours any more.
    fn hold(&self, pins: &Path) -> io::Result<()> {
        let mut held = self.pinned.lock().unwrap_or_else(PoisonError::into_inner);
        held.retain(|path, _| path.exists());
        for entry in fs::read_dir(pins)? {
            let path = entry?.path();
            if let Entry::Vacant(free) = held.entry(path) {
                let fd = hooks::open_pin(free.key())?;
                free.insert(fd);
            }
        }
        Ok(())
    }

    /// What is pinned under this name is another one now.
    pub(super) fn replace(&self, path: PathBuf) -> io::Result<()> {
        let fd = hooks::open_pin(&path)?;
        let mut held = self.pinned.lock().unwrap_or_else(PoisonError::into_inner);
        held.insert(path, fd);
        Ok(())
    }

    /// Pins again what was held and has no pin: how many. Links whose device is gone are let go.
    fn repair(&self, programs: &Programs) -> io::Result<usize> {
        let held = self.pinned.lock().unwrap_or_else(PoisonError::into_inner);
        let mut repaired = 0;
        for (path, fd) in held.iter().filter(|(path, _)| !path.exists()) {
            if is_wanted(path, fd, programs)? {
                if let Some(folder) = path.parent() {
                    fs::create_dir_all(folder)?;
                }
                pin(fd, path)?;
                repaired += 1;
            }
        }
        Ok(repaired)
    }
}

/// A map; a program of this build; a link that is on its device.
fn is_wanted(path: &Path, fd: &OwnedFd, programs: &Programs) -> io::Result<bool> {
    let name = path.file_name().and_then(|name| name.to_str());
    let name = name.unwrap_or_default();
    if SHARED.contains(&name) {
        return Ok(true);
    }
    match hooks::pinned_device(name) {
        Some(ifindex) => Ok(hooks::link_device(fd)? == ifindex),
        None => Ok(programs.is_current(object::program_id(fd)?)),
    }
}

impl Fastpath {
    /// Pins again what lost its pin while this was open: how many. Whoever opens the fast path next finds it whole.
    pub fn repair(&self) -> Result<usize, FastpathError> {
        let repaired = self
            .held
            .repair(&self.programs)
            .map_err(FastpathError::Attached)?;
        self.hold()?;
        Ok(repaired)
    }

    /// Nothing older of ours is attached any more.
    pub fn is_settled(&self) -> bool {
        self.held.settled.load(Ordering::Relaxed)
    }

    pub(super) fn hold(&self) -> Result<(), FastpathError> {
        self.held.hold(&self.pins).map_err(FastpathError::Attached)
    }

    /// The guest links that run an older program of ours: their guests are the ones that they were.
    pub fn inherited(&self) -> Result<BTreeSet<u32>, FastpathError> {
        let mut found = BTreeSet::new();
        if self.held.settled.load(Ordering::Relaxed) {
            return Ok(found);
        }
        for pins in self.generations()? {
            let ours = programs::programs(&pins).map_err(FastpathError::Attached)?;
            for hook in [Hook::Tcx, Hook::Clsact] {
                let attached =
                    attached_by(hook, &pins, Way::In).map_err(FastpathError::Attached)?;
                let old = attached.into_iter().filter(|(_, program)| {
                    ours.contains_key(program) && !self.programs.is_current(*program)
                });
                found.extend(old.map(|(ifindex, _)| ifindex));
            }
        }
        Ok(found)
    }

    /// Once the rows are written: every link that runs an older program of ours gets this build's, and the older
    /// programs go, with the maps of an older schema. A link that has one by the other hook gets it by this one before it
    /// loses that. Nothing when nothing is older; how many links changed.
    pub fn take_over(&self) -> Result<usize, FastpathError> {
        let mut changed = 0;
        if self.held.settled.load(Ordering::Relaxed) {
            return Ok(changed);
        }
        for pins in self.generations()? {
            let ours = programs::programs(&pins).map_err(FastpathError::Attached)?;
            for way in Way::BOTH {
                changed += self.take_over_way(way, &pins, &ours)?;
            }
            if pins != self.pins {
                fs::remove_dir_all(&pins).map_err(FastpathError::Attached)?;
                continue;
            }
            for (id, (_, pin)) in ours {
                if !self.programs.is_current(id) {
                    fs::remove_file(pin).map_err(FastpathError::Attached)?;
                }
            }
        }
        self.hold()?;
        self.held.settled.store(true, Ordering::Relaxed);
        Ok(changed)
    }

    /// The directories with pins of this instance, this build's schema last.
    fn generations(&self) -> Result<Vec<PathBuf>, FastpathError> {
        let found = subdirectories(self.pins.parent()).map_err(FastpathError::Attached)?;
        let is_schema = |path: &PathBuf| {
            let name = path.file_name().and_then(|name| name.to_str());
            let number = name.and_then(|name| name.strip_prefix(SCHEMA_PREFIX));
            number.is_some_and(|number| number.parse::<u32>().is_ok())
        };
        let mut others: Vec<PathBuf> = found
            .into_iter()
            .filter(|path| is_schema(path) && *path != self.pins)
            .collect();
        others.push(self.pins.clone());
        Ok(others)
    }

    fn take_over_way(
        &self,
        way: Way,
        pins: &Path,
        ours: &programs::Pinned,
    ) -> Result<usize, FastpathError> {
        let mut changed = 0;
        let here = attached_by(self.hook, pins, way).map_err(FastpathError::Attached)?;
        for (ifindex, running) in here {
            let old = ours
                .get(&running)
                .filter(|_| !self.programs.is_current(running));
            let Some((name, _)) = old else {
                continue;
            };
            let program = &self.programs.named(name).fd;
            match self.hook {
                Hook::Tcx => hooks::tcx_update(program, pins, way, ifindex)
                    .and_then(|()| hooks::tcx_move(pins, &self.pins, way, ifindex)),
                Hook::Clsact => hooks::clsact_attach(program, way, ifindex),
            }
            .map_err(|source| FastpathError::Hook {
                what: "replace the program of",
                ifindex,
                source,
            })?;
            changed += 1;
        }
        let other = match self.hook {
            Hook::Tcx => Hook::Clsact,
            Hook::Clsact => Hook::Tcx,
        };
        let there = attached_by(other, pins, way).map_err(FastpathError::Attached)?;
        for (ifindex, running) in there {
            if let Some((name, _)) = ours.get(&running) {
                self.attach_by(self.hook, self.programs.named(name), way, ifindex)?;
                super::detach_by(other, pins, way, ifindex)?;
                changed += 1;
            }
        }
        Ok(changed)
    }
}
