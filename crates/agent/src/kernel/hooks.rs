//! Where the program runs: a tcx link that is pinned (Linux 6.6 and later), or a filter on a clsact qdisc. Both stay when
//! the agent goes, and both change their program without a gap.

use std::collections::BTreeMap;
use std::ffi::CString;
use std::fs;
use std::io::{self, Write};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::path::{Path, PathBuf};

use nix::fcntl::{Flock, FlockArg};

use super::fastpath::Hook;
use super::object::pin;

/// Of our filter on clsact. Any other filter on the link is somebody else's.
const FILTER_PRIORITY: u32 = 0x6878;
const FILTER_HANDLE: u32 = 1;
const RCU_EXPEDITED: &str = "/sys/kernel/rcu_expedited";

/// Where a program sits: its number in the kernel.
pub(super) type Attached = BTreeMap<u32, u32>;

/// Which frames of a link a program sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// Those that come in by it.
    In,
    /// Those that leave by it.
    Out,
}

impl Way {
    pub(super) const BOTH: [Way; 2] = [Way::In, Way::Out];

    /// How the pins of tcx links are named: this and the ifindex.
    fn prefix(self) -> &'static str {
        match self {
            Way::In => "link_",
            Way::Out => "out_",
        }
    }

    fn tcx(self) -> libbpf_sys::bpf_attach_type {
        match self {
            Way::In => libbpf_sys::BPF_TCX_INGRESS,
            Way::Out => libbpf_sys::BPF_TCX_EGRESS,
        }
    }

    fn clsact(self) -> libbpf_sys::bpf_tc_attach_point {
        match self {
            Way::In => libbpf_sys::BPF_TC_INGRESS,
            Way::Out => libbpf_sys::BPF_TC_EGRESS,
        }
    }
}

pub(super) fn link_pin(pins: &Path, way: Way, ifindex: u32) -> PathBuf {
    pins.join(format!("{}{ifindex}", way.prefix()))
}

fn check(result: i32) -> io::Result<i32> {
    if result < 0 {
        Err(io::Error::from_raw_os_error(-result))
    } else {
        Ok(result)
    }
}

/// What is pinned here, of whatever kind.
pub(super) fn open_pin(path: &Path) -> io::Result<OwnedFd> {
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

/// The device of a link, 0 when that is gone.
pub(super) fn link_device(link: &OwnedFd) -> io::Result<u32> {
    Ok(link_info(link)?.0)
}

/// The device that a pin's name says; `None`: it is no link's.
pub(super) fn pinned_device(name: &str) -> Option<u32> {
    let numbers = Way::BOTH
        .iter()
        .filter_map(|way| name.strip_prefix(way.prefix()));
    numbers.filter_map(|number| number.parse().ok()).next()
}

/// The pinned tcx links. Those whose device is gone are removed.
pub(super) fn tcx_attached(pins: &Path, way: Way) -> io::Result<Attached> {
    let mut attached = Attached::new();
    for entry in fs::read_dir(pins)? {
        let path = entry?.path();
        let name = path
            .file_name()
            .and_then(|name| name.to_str())
            .unwrap_or_default();
        let Some(ifindex) = name
            .strip_prefix(way.prefix())
            .and_then(|number| number.parse::<u32>().ok())
        else {
            continue;
        };
        let (device, program) = link_info(&open_pin(&path)?)?;
        if device == ifindex {
            attached.insert(ifindex, program);
        } else {
            fs::remove_file(&path)?;
        }
    }
    Ok(attached)
}

/// Whether this kernel has tcx links: asked for a device that cannot be, one that has them misses the device, one that has not
/// knows no such attachment.
pub(super) fn has_tcx(program: &OwnedFd) -> bool {
    // SAFETY: the program is open for the call; no options.
    let result = unsafe {
        libbpf_sys::bpf_link_create(
            program.as_raw_fd(),
            i32::MAX,
            libbpf_sys::BPF_TCX_INGRESS,
            std::ptr::null(),
        )
    };
    result == -libc::ENODEV
}

pub(super) fn tcx_attach(program: &OwnedFd, pins: &Path, way: Way, ifindex: u32) -> io::Result<()> {
    let path = link_pin(pins, way, ifindex);
    let options = libbpf_sys::bpf_link_create_opts {
        sz: size_of::<libbpf_sys::bpf_link_create_opts>() as libbpf_sys::size_t,
        ..Default::default()
    };
    let target = i32::try_from(ifindex).map_err(io::Error::other)?;
    let expedited = Expedited::begin();
    // SAFETY: the program is open for the call; options is a valid struct whose size is in it.
    let fd = check(unsafe {
        libbpf_sys::bpf_link_create(program.as_raw_fd(), target, way.tcx(), &options)
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

pub(super) fn tcx_update(program: &OwnedFd, pins: &Path, way: Way, ifindex: u32) -> io::Result<()> {
    let link = open_pin(&link_pin(pins, way, ifindex))?;
    // SAFETY: both descriptors are open for the call; no options.
    check(unsafe {
        libbpf_sys::bpf_link_update(link.as_raw_fd(), program.as_raw_fd(), std::ptr::null())
    })?;
    Ok(())
}

/// Moves the pin of a link from one directory to another, which may be the same.
pub(super) fn tcx_move(from: &Path, to: &Path, way: Way, ifindex: u32) -> io::Result<()> {
    fs::rename(link_pin(from, way, ifindex), link_pin(to, way, ifindex))
}

/// Takes the link off its device at once; removing the pin alone would leave that to the kernel's leisure.
pub(super) fn tcx_detach(pins: &Path, way: Way, ifindex: u32) -> io::Result<()> {
    let path = link_pin(pins, way, ifindex);
    let link = match open_pin(&path) {
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

/// The place of our filter on a link, and the filter.
fn filter(
    way: Way,
    ifindex: u32,
) -> io::Result<(libbpf_sys::bpf_tc_hook, libbpf_sys::bpf_tc_opts)> {
    let hook = libbpf_sys::bpf_tc_hook {
        sz: size_of::<libbpf_sys::bpf_tc_hook>() as libbpf_sys::size_t,
        ifindex: i32::try_from(ifindex).map_err(io::Error::other)?,
        attach_point: way.clsact(),
        ..Default::default()
    };
    let options = libbpf_sys::bpf_tc_opts {
        sz: size_of::<libbpf_sys::bpf_tc_opts>() as libbpf_sys::size_t,
        handle: FILTER_HANDLE,
        priority: FILTER_PRIORITY,
        ..Default::default()
    };
    Ok((hook, options))
}

/// The program of our filter on this link; `None` when there is no such filter, qdisc (EINVAL) or link.
fn clsact_query(way: Way, ifindex: u32) -> io::Result<Option<u32>> {
    let (hook, mut options) = filter(way, ifindex)?;
    // SAFETY: both are valid structs whose sizes are in them.
    match check(unsafe { libbpf_sys::bpf_tc_query(&hook, &mut options) }) {
        Ok(_) => Ok(Some(options.prog_id)),
        Err(error) => match error.raw_os_error() {
            Some(libc::ENOENT | libc::ENODEV | libc::EINVAL) => Ok(None),
            _ => Err(error),
        },
    }
}

/// Our filters on these links.
pub(super) fn clsact_attached(way: Way, links: impl Iterator<Item = u32>) -> io::Result<Attached> {
    let mut attached = Attached::new();
    for ifindex in links {
        if let Some(id) = clsact_query(way, ifindex)? {
            attached.insert(ifindex, id);
        }
    }
    Ok(attached)
}

/// Puts the program on the link, in place of what our filter ran before.
pub(super) fn clsact_attach(program: &OwnedFd, way: Way, ifindex: u32) -> io::Result<()> {
    let (mut hook, mut options) = filter(way, ifindex)?;
    // SAFETY: a valid struct whose size is in it.
    match check(unsafe { libbpf_sys::bpf_tc_hook_create(&mut hook) }) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    options.prog_fd = program.as_raw_fd();
    options.flags = libbpf_sys::BPF_TC_F_REPLACE;
    // SAFETY: both are valid structs whose sizes are in them; the program is open for the call.
    check(unsafe { libbpf_sys::bpf_tc_attach(&hook, &mut options) })?;
    Ok(())
}

/// Takes our filter off; the qdisc stays, others may use it.
pub(super) fn clsact_detach(way: Way, ifindex: u32) -> io::Result<()> {
    if clsact_query(way, ifindex)?.is_none() {
        return Ok(());
    }
    let (hook, options) = filter(way, ifindex)?;
    // SAFETY: both are valid structs whose sizes are in them.
    check(unsafe { libbpf_sys::bpf_tc_detach(&hook, &options) })?;
    Ok(())
}

/// The program on one link, by either hook.
pub(super) fn attached_to(
    hook: Hook,
    pins: &Path,
    way: Way,
    ifindex: u32,
) -> io::Result<Option<u32>> {
    match hook {
        Hook::Clsact => clsact_query(way, ifindex),
        Hook::Tcx => match open_pin(&link_pin(pins, way, ifindex)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            link => {
                let (device, program) = link_info(&link?)?;
                Ok((device == ifindex).then_some(program))
            }
        },
    }
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
