//! Where the program runs: a tcx link that is pinned (Linux 6.6 and later), or a filter on a clsact qdisc. Both stay when
//! the agent goes, and both change their program without a gap.

use std::collections::BTreeMap;
use std::ffi::CString;
use std::fs;
use std::io::{self, Write};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::path::{Path, PathBuf};

use libbpf_rs::{TC_INGRESS, TcHook};
use nix::fcntl::{Flock, FlockArg};

use super::object::{fault, pin};

/// Of our filter on clsact. Any other filter on the link is somebody else's.
const FILTER_PRIORITY: u32 = 0x6878;
const FILTER_HANDLE: u32 = 1;
/// How the pins of tcx links are named: this and the ifindex.
const LINK_PREFIX: &str = "link_";
const RCU_EXPEDITED: &str = "/sys/kernel/rcu_expedited";

/// Where a program sits: its number in the kernel.
pub(super) type Attached = BTreeMap<u32, u32>;

fn link_pin(pins: &Path, ifindex: u32) -> PathBuf {
    pins.join(format!("{LINK_PREFIX}{ifindex}"))
}

fn check(result: i32) -> io::Result<i32> {
    if result < 0 {
        Err(io::Error::from_raw_os_error(-result))
    } else {
        Ok(result)
    }
}

fn open_link(path: &Path) -> io::Result<OwnedFd> {
    let path = CString::new(path.as_os_str().as_encoded_bytes())?;
    // SAFETY: the path is NUL-terminated.
    let fd = check(unsafe { libbpf_sys::bpf_obj_get(path.as_ptr()) })?;
    // SAFETY: the call above returned a new descriptor that nobody else has.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// The link's device, 0 when that is gone, and its program.
fn link_info(link: &OwnedFd) -> io::Result<(u32, u32)> {
    let mut info = libbpf_sys::bpf_link_info::default();
    let mut len = u32::try_from(size_of_val(&info)).expect("the struct is small");
    // SAFETY: info is a valid struct of `len` bytes for the call.
    check(unsafe { libbpf_sys::bpf_link_get_info_by_fd(link.as_raw_fd(), &mut info, &mut len) })?;
    // SAFETY: only tcx links are pinned under this name; the union is plain integers, zeroed before the call.
    let ifindex = unsafe { info.__bindgen_anon_1.tcx.ifindex };
    Ok((ifindex, info.prog_id))
}

/// The pinned tcx links. Those whose device is gone are removed.
pub(super) fn tcx_attached(pins: &Path) -> io::Result<Attached> {
    let mut attached = Attached::new();
    for entry in fs::read_dir(pins)? {
        let path = entry?.path();
        let name = path
            .file_name()
            .and_then(|name| name.to_str())
            .unwrap_or_default();
        let Some(ifindex) = name
            .strip_prefix(LINK_PREFIX)
            .and_then(|number| number.parse::<u32>().ok())
        else {
            continue;
        };
        let (device, program) = link_info(&open_link(&path)?)?;
        if device == ifindex {
            attached.insert(ifindex, program);
        } else {
            fs::remove_file(&path)?;
        }
    }
    Ok(attached)
}

pub(super) fn tcx_attach(program: &OwnedFd, pins: &Path, ifindex: u32) -> io::Result<()> {
    let path = link_pin(pins, ifindex);
    let options = libbpf_sys::bpf_link_create_opts {
        sz: size_of::<libbpf_sys::bpf_link_create_opts>() as libbpf_sys::size_t,
        ..Default::default()
    };
    let target = i32::try_from(ifindex).map_err(io::Error::other)?;
    let expedited = Expedited::begin();
    // SAFETY: the program is open for the call; options is a valid struct whose size is in it.
    let fd = check(unsafe {
        libbpf_sys::bpf_link_create(
            program.as_raw_fd(),
            target,
            libbpf_sys::BPF_TCX_INGRESS,
            &options,
        )
    });
    drop(expedited);
    // SAFETY: the call above returned a new descriptor that nobody else has.
    let link = unsafe { OwnedFd::from_raw_fd(fd?) };
    match fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    pin(&link, &path)
}

pub(super) fn tcx_update(program: &OwnedFd, pins: &Path, ifindex: u32) -> io::Result<()> {
    let link = open_link(&link_pin(pins, ifindex))?;
    // SAFETY: both descriptors are open for the call; no options.
    check(unsafe {
        libbpf_sys::bpf_link_update(link.as_raw_fd(), program.as_raw_fd(), std::ptr::null())
    })?;
    Ok(())
}

/// Takes the link off its device at once; removing the pin alone would leave that to the kernel's leisure.
pub(super) fn tcx_detach(pins: &Path, ifindex: u32) -> io::Result<()> {
    let path = link_pin(pins, ifindex);
    let link = match open_link(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        other => other?,
    };
    let expedited = Expedited::begin();
    // SAFETY: the descriptor is open for the call.
    let result = check(unsafe { libbpf_sys::bpf_link_detach(link.as_raw_fd()) });
    drop(expedited);
    // ENOLINK: its device is gone, and so it is detached.
    if let Err(error) = result
        && error.raw_os_error() != Some(libc::ENOLINK)
    {
        return Err(error);
    }
    fs::remove_file(&path)
}

fn filter(program: &OwnedFd, ifindex: u32) -> io::Result<TcHook> {
    let mut hook = TcHook::new(program.as_fd());
    hook.ifindex(i32::try_from(ifindex).map_err(io::Error::other)?)
        .attach_point(TC_INGRESS)
        .handle(FILTER_HANDLE)
        .priority(FILTER_PRIORITY);
    Ok(hook)
}

/// The program of our filter on this link; `None` when there is no such filter, qdisc or link.
fn clsact_query(program: &OwnedFd, ifindex: u32) -> io::Result<Option<u32>> {
    match filter(program, ifindex)?.query() {
        Ok(id) => Ok(Some(id)),
        Err(error) => match fault_number(&error) {
            Some(libc::ENOENT | libc::ENODEV | libc::EINVAL) => Ok(None),
            _ => Err(fault(error)),
        },
    }
}

/// The errno behind a libbpf error.
fn fault_number(error: &libbpf_rs::Error) -> Option<i32> {
    let mut source: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(inner) = source {
        if let Some(io) = inner.downcast_ref::<io::Error>() {
            return io.raw_os_error();
        }
        source = inner.source();
    }
    match error.kind() {
        libbpf_rs::ErrorKind::NotFound => Some(libc::ENOENT),
        libbpf_rs::ErrorKind::InvalidInput => Some(libc::EINVAL),
        _ => None,
    }
}

/// Our filters on these links. `program` is any program that is open.
pub(super) fn clsact_attached(
    program: &OwnedFd,
    links: impl Iterator<Item = u32>,
) -> io::Result<Attached> {
    let mut attached = Attached::new();
    for ifindex in links {
        if let Some(id) = clsact_query(program, ifindex)? {
            attached.insert(ifindex, id);
        }
    }
    Ok(attached)
}

/// Puts the program on the link, in place of what our filter ran before.
pub(super) fn clsact_attach(program: &OwnedFd, ifindex: u32) -> io::Result<()> {
    let mut hook = filter(program, ifindex)?;
    hook.create().map_err(fault)?;
    hook.replace(true).attach().map_err(fault)?;
    Ok(())
}

pub(super) fn clsact_detach(program: &OwnedFd, ifindex: u32) -> io::Result<()> {
    if clsact_query(program, ifindex)?.is_none() {
        return Ok(());
    }
    filter(program, ifindex)?.detach().map_err(fault)
}

/// While it lives, RCU grace periods are short: each tcx attach and detach waits for one under the RTNL lock, 15 ms
/// against 0.2 ms. The switch is the whole machine's, so it is put back as it was; the lock keeps two agents from putting back
/// each other's value.
struct Expedited {
    lock: Option<(Flock<fs::File>, String)>,
}

impl Expedited {
    fn begin() -> Expedited {
        Expedited {
            lock: Self::set()
                .inspect_err(|error| tracing::debug!(%error, "attaching without expedited RCU"))
                .ok(),
        }
    }

    fn set() -> io::Result<(Flock<fs::File>, String)> {
        let file = fs::File::open(RCU_EXPEDITED)?;
        let lock = Flock::lock(file, FlockArg::LockExclusive)
            .map_err(|(_, errno)| io::Error::from(errno))?;
        let before = fs::read_to_string(RCU_EXPEDITED)?;
        write_expedited("1")?;
        Ok((lock, before))
    }
}

impl Drop for Expedited {
    fn drop(&mut self) {
        if let Some((_lock, before)) = &self.lock
            && let Err(error) = write_expedited(before.trim())
        {
            tracing::warn!(%error, "rcu_expedited could not be put back");
        }
    }
}

fn write_expedited(value: &str) -> io::Result<()> {
    fs::OpenOptions::new()
        .write(true)
        .open(RCU_EXPEDITED)?
        .write_all(value.as_bytes())
}
