//! Where pins live: `/sys/fs/bpf` where a bpffs is mounted there, else one of our own under the state directory.
//!
//! Our own is a mount of this mount namespace: an agent that is started again in the same one finds its pins, one in
//! another does not, and starts anew.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sys::statfs::{BPF_FS_MAGIC, statfs};

/// Where a bpffs is mounted by custom.
const SYSTEM: &str = "/sys/fs/bpf";

/// The directory under which this instance's schema directories lie; the bpffs is mounted if need be.
pub(super) fn open(instance: &str, state_dir: &Path) -> io::Result<PathBuf> {
    let root = match find(state_dir)? {
        Some(root) => root,
        None => {
            let own = own(state_dir)?;
            mount(
                Some("bpf"),
                &own,
                Some("bpf"),
                MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC,
                Some("mode=0700"),
            )?;
            own
        }
    };
    let directory = root.join("hextet").join(instance);
    fs::create_dir_all(&directory)?;
    Ok(directory)
}

/// The instance's directory as a descriptor, for a lock: programs and rows are there, so whoever holds it is the only one to
/// change them. Where the machine has no bpffs it is one of our own, which no agent of another state directory sees.
pub fn directory(instance: &str, state_dir: &Path) -> io::Result<(PathBuf, fs::File)> {
    let directory = open(instance, state_dir)?;
    let opened = fs::File::open(&directory)?;
    Ok((directory, opened))
}

/// As [`open`], but nothing is made: `None` when this instance has no pins.
pub(super) fn existing(instance: &str, state_dir: &Path) -> io::Result<Option<PathBuf>> {
    Ok(find(state_dir)?
        .map(|root| root.join("hextet").join(instance))
        .filter(|directory| directory.is_dir()))
}

/// Removes this instance's directory, which must hold pins only, and unmounts a bpffs of our own.
pub(super) fn remove(instance: &str, state_dir: &Path) -> io::Result<()> {
    if let Some(directory) = existing(instance, state_dir)? {
        fs::remove_dir_all(directory)?;
    }
    let own = state_dir.join("bpf");
    if own.is_dir() && is_bpffs(&own)? {
        umount2(&own, MntFlags::MNT_DETACH)?;
        fs::remove_dir(&own)?;
    }
    Ok(())
}

fn find(state_dir: &Path) -> io::Result<Option<PathBuf>> {
    let system = PathBuf::from(SYSTEM);
    if system.is_dir() && is_bpffs(&system)? {
        return Ok(Some(system));
    }
    let own = state_dir.join("bpf");
    Ok((own.is_dir() && is_bpffs(&own)?).then_some(own))
}

fn own(state_dir: &Path) -> io::Result<PathBuf> {
    let own = state_dir.join("bpf");
    fs::create_dir_all(&own)?;
    own.canonicalize()
}

fn is_bpffs(path: &Path) -> io::Result<bool> {
    Ok(statfs(path)?.filesystem_type() == BPF_FS_MAGIC)
}
