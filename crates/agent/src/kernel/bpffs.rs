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

/// What whoever changes an instance's programs and rows holds a lock of, and its path: the directory of its pins. Where the
/// machine has no bpffs that directory is out of other agents' sight, so it is a file of the machine's.
pub fn lockable(instance: &str, state_dir: &Path) -> io::Result<(PathBuf, fs::File)> {
    if !is_bpffs_at(SYSTEM)? {
        let path = lock_file(instance);
        let file = fs::File::create(&path)?;
        return Ok((path, file));
    }
    let directory = open(instance, state_dir)?;
    let opened = fs::File::open(&directory)?;
    Ok((directory, opened))
}

fn lock_file(instance: &str) -> PathBuf {
    PathBuf::from(format!("/run/hextet-{instance}.lock"))
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
    if is_bpffs_at(&own)? {
        umount2(&own, MntFlags::MNT_DETACH)?;
        fs::remove_dir(&own)?;
    }
    match fs::remove_file(lock_file(instance)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn find(state_dir: &Path) -> io::Result<Option<PathBuf>> {
    if is_bpffs_at(SYSTEM)? {
        return Ok(Some(PathBuf::from(SYSTEM)));
    }
    let own = state_dir.join("bpf");
    Ok(is_bpffs_at(&own)?.then_some(own))
}

fn own(state_dir: &Path) -> io::Result<PathBuf> {
    let own = state_dir.join("bpf");
    fs::create_dir_all(&own)?;
    own.canonicalize()
}

fn is_bpffs_at(path: impl AsRef<Path>) -> io::Result<bool> {
    let path = path.as_ref();
    if !path.is_dir() {
        return Ok(false);
    }
    Ok(statfs(path)?.filesystem_type() == BPF_FS_MAGIC)
}
