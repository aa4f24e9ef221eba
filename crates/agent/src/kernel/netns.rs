//! Network namespaces. A thread that has entered one is never used again: `setns` on a runtime's worker would move every later
//! task of it.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::thread;

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, setns, unshare};

/// Where `ip netns` keeps its names.
const NAMED: &str = "/run/netns";

/// The file of a namespace: a path as it is, a name in `/run/netns`.
pub fn path(name_or_path: &str) -> PathBuf {
    if name_or_path.contains('/') {
        PathBuf::from(name_or_path)
    } else {
        Path::new(NAMED).join(name_or_path)
    }
}

/// Runs `work` in this namespace, on a thread of its own, and waits for it. `/proc/sys/net` is the namespace's there, `/sys` is
/// not.
pub fn inside<R: Send>(namespace: &Path, work: impl FnOnce() -> R + Send) -> io::Result<R> {
    let file = File::open(namespace)?;
    on_thread(move || {
        setns(&file, CloneFlags::CLONE_NEWNET)?;
        Ok(work())
    })
}

/// Makes a namespace of this name in `/run/netns`, its loopback up.
pub fn create(name: &str) -> io::Result<PathBuf> {
    fs::create_dir_all(NAMED)?;
    let target = Path::new(NAMED).join(name);
    fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(&target)?;
    let made = on_thread(|| {
        unshare(CloneFlags::CLONE_NEWNET)?;
        let own = format!("/proc/self/task/{}/ns/net", nix::unistd::gettid());
        mount(
            Some(own.as_str()),
            &target,
            None::<&str>,
            MsFlags::MS_BIND,
            None::<&str>,
        )?;
        super::links::set_up(super::links::index("lo")?, true)
    });
    match made {
        Ok(()) => Ok(target),
        Err(error) => {
            // What is left is an empty file or a mount on it; the first error is the one that matters.
            let _ = umount2(&target, MntFlags::MNT_DETACH);
            let _ = fs::remove_file(&target);
            Err(error)
        }
    }
}

/// Removes a namespace made by [`create`]: its links go when nobody is in it any more. Nothing when there is none.
pub fn delete(name: &str) -> io::Result<()> {
    let target = Path::new(NAMED).join(name);
    if !target.exists() {
        return Ok(());
    }
    match umount2(&target, MntFlags::MNT_DETACH) {
        Ok(()) | Err(nix::errno::Errno::EINVAL) => {}
        Err(errno) => return Err(errno.into()),
    }
    fs::remove_file(target)
}

fn on_thread<R: Send>(work: impl FnOnce() -> io::Result<R> + Send) -> io::Result<R> {
    thread::scope(|scope| {
        thread::Builder::new()
            .name("netns".into())
            .spawn_scoped(scope, work)?
            .join()
            .map_err(|_| io::Error::other("the thread in the namespace panicked"))?
    })
}
