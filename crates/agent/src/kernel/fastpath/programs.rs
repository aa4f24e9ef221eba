//! The two programs of a build: loaded with the pinned maps, and pinned under a name that says the build.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use super::Sizes;
use crate::kernel::object::{self, Build, GUEST, SHARED, UPLINK};

/// A program that is loaded.
#[derive(Debug)]
pub(super) struct Program {
    pub(super) fd: OwnedFd,
    /// The kernel's number.
    pub(super) id: u32,
}

/// Pinned programs by the kernel's number: which of the two, of whatever build, and where.
pub(super) type Pinned = BTreeMap<u32, (&'static str, PathBuf)>;

/// Those of this build.
#[derive(Debug)]
pub(super) struct Programs {
    pub(super) guest: Program,
    pub(super) uplink: Program,
}

impl Programs {
    /// As they are pinned, with their maps; loaded and pinned when any of it is missing.
    pub(super) fn open(pins: &Path, build: Build, sizes: Sizes) -> io::Result<Programs> {
        let pin = |name: &str| pins.join(format!("{name}_{:016x}", build.hash()));
        let maps = SHARED.iter().all(|map| pins.join(map).exists());
        if maps && pin(GUEST).exists() && pin(UPLINK).exists() {
            return Ok(Programs {
                guest: pinned(&pin(GUEST))?,
                uplink: pinned(&pin(UPLINK))?,
            });
        }
        let loaded = object::load(build, sizes, Some(pins))?;
        let open = |name| {
            let fd = object::program(&loaded, name)?;
            if pin(name).exists() {
                // The same build with maps that have lost their pins: links run it until the new ones are filled.
                let older = pinned(&pin(name))?.id;
                let aside = format!("{name}_{:016x}_{older}", build.hash());
                fs::rename(pin(name), pins.join(aside))?;
            }
            object::pin(&fd, &pin(name))?;
            let id = object::program_id(&fd)?;
            Ok::<_, io::Error>(Program { fd, id })
        };
        Ok(Programs {
            guest: open(GUEST)?,
            uplink: open(UPLINK)?,
        })
    }

    pub(super) fn is_current(&self, id: u32) -> bool {
        id == self.guest.id || id == self.uplink.id
    }

    /// The one of this name in a [`Pinned`].
    pub(super) fn named(&self, name: &str) -> &Program {
        if name == UPLINK {
            &self.uplink
        } else {
            &self.guest
        }
    }
}

/// Every program that is pinned here.
pub(super) fn programs(pins: &Path) -> io::Result<Pinned> {
    let mut programs = Pinned::new();
    for entry in fs::read_dir(pins)? {
        let path = entry?.path();
        let file = path.file_name().and_then(|name| name.to_str());
        let kind = file
            .and_then(|file| file.split_once('_'))
            .map(|(kind, _)| kind);
        let Some(kind) = [GUEST, UPLINK].into_iter().find(|name| kind == Some(*name)) else {
            continue;
        };
        programs.insert(pinned(&path)?.id, (kind, path));
    }
    Ok(programs)
}

fn pinned(pin: &Path) -> io::Result<Program> {
    let fd = libbpf_rs::Program::fd_from_pinned_path(pin).map_err(object::fault)?;
    let id = object::program_id(&fd)?;
    Ok(Program { fd, id })
}
