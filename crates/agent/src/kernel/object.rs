//! The compiled object: its bytes, which maps of it are shared, and loading it.

use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::Path;

use libbpf_rs::{MapCore, MapHandle, Object, ObjectBuilder};

use super::fastpath::{PuntBudget, Sizes};
use super::maps::raw::Raw;

/// Bytes aligned as the ELF reader wants them.
#[repr(C, align(8))]
struct Aligned<T: ?Sized>(T);

static ALIGNED: &Aligned<[u8]> =
    &Aligned(*include_bytes!(concat!(env!("OUT_DIR"), "/guest.bpf.o")));

/// The program of guest links.
pub(super) const GUEST: &str = "guest";
/// The program of NICs that lead to physical segments.
pub(super) const UPLINK: &str = "uplink";

/// The maps that outlive a program, by name. All others (scratch, constants) belong to one load.
pub(super) const SHARED: [&str; 16] = [
    "ports",
    "sources",
    "learnable",
    "neigh",
    "fdb",
    "members",
    "listeners",
    "group_horizon",
    "uplinks",
    "nics",
    "seen",
    "budget",
    "counters",
    "first_fragments",
    "objections",
    "punt_ring",
];

/// The `.rodata` of `bpf/maps.h`, in its order.
#[derive(Clone, Copy)]
#[repr(C)]
struct Constants {
    punt_per_second: u32,
    punt_burst: u32,
    trace_enabled: u32,
    dry_run: u32,
}
// SAFETY: repr(C), integers of one size only, so no padding.
unsafe impl Raw for Constants {}

/// What decides a program, besides the maps it uses.
#[derive(Clone, Copy)]
pub(super) struct Build {
    pub(super) punt: PuntBudget,
    pub(super) trace: bool,
    /// Nothing leaves: copies are counted, not made.
    pub(super) dry_run: bool,
}

impl Build {
    fn constants(self) -> Constants {
        Constants {
            punt_per_second: self.punt.per_second,
            punt_burst: self.punt.burst,
            trace_enabled: u32::from(self.trace),
            dry_run: u32::from(self.dry_run),
        }
    }

    /// Names the program: two builds that differ have different names (FNV-1a, 64 bits).
    pub(super) fn hash(self) -> u64 {
        let constants = self.constants();
        ALIGNED
            .0
            .iter()
            .chain(constants.bytes())
            .fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
                (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
            })
    }
}

/// Loads the object. With `pins`, the shared maps are taken from there, or made and pinned there.
pub(super) fn load(build: Build, sizes: Sizes, pins: Option<&Path>) -> io::Result<Object> {
    let mut object = ObjectBuilder::default()
        .open_memory(&ALIGNED.0)
        .map_err(fault)?;
    for mut map in object.maps_mut() {
        let name = map.name().to_string_lossy().into_owned();
        if name.ends_with(".rodata") {
            set_constants(&mut map, build.constants())?;
        }
        let Some(shared) = SHARED.iter().find(|shared| **shared == name) else {
            continue;
        };
        let mut entries = sizes.entries(shared);
        if let Some(pins) = pins {
            let pin = pins.join(shared);
            if pin.exists() {
                let pinned = MapHandle::from_pinned_path(&pin).map_err(fault)?;
                if pinned.max_entries() != entries {
                    tracing::warn!(
                        map = name,
                        wanted = entries,
                        has = pinned.max_entries(),
                        "a map keeps its size until it is removed"
                    );
                    entries = pinned.max_entries();
                }
            }
            map.set_pin_path(&pin).map_err(fault)?;
        }
        map.set_max_entries(entries).map_err(fault)?;
    }
    object.load().map_err(fault)
}

fn set_constants(map: &mut libbpf_rs::OpenMapMut<'_>, constants: Constants) -> io::Result<()> {
    let bytes = constants.bytes();
    match map.initial_value_mut() {
        Some(value) if value.len() == bytes.len() => {
            value.copy_from_slice(bytes);
            Ok(())
        }
        _ => Err(io::Error::other(
            "the object's constants have another shape",
        )),
    }
}

/// What libbpf says goes to the log, not to the terminal: it speaks up where asking was all that was meant.
pub(super) fn quiet() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        libbpf_rs::set_print(Some((libbpf_rs::PrintLevel::Info, |level, text| {
            tracing::debug!(?level, text = text.trim(), "libbpf");
        })));
    });
}

/// A program of a loaded object by its name, as a descriptor of its own.
pub(super) fn program(object: &Object, name: &str) -> io::Result<OwnedFd> {
    object
        .progs()
        .find(|program| program.name() == name)
        .ok_or_else(|| io::Error::other("the object lacks a program"))?
        .as_fd()
        .try_clone_to_owned()
}

/// The kernel's number of a program.
pub(super) fn program_id(program: &OwnedFd) -> io::Result<u32> {
    libbpf_rs::Program::id_from_fd(program.as_fd()).map_err(fault)
}

/// Pins any BPF descriptor.
pub(super) fn pin(fd: &impl AsRawFd, path: &Path) -> io::Result<()> {
    let path = std::ffi::CString::new(path.as_os_str().as_encoded_bytes())?;
    // SAFETY: the descriptor is open for the call, the path is NUL-terminated.
    let result = unsafe { libbpf_sys::bpf_obj_pin(fd.as_raw_fd(), path.as_ptr()) };
    if result < 0 {
        Err(io::Error::from_raw_os_error(-result))
    } else {
        Ok(())
    }
}

/// A libbpf error as the io error it wraps.
pub(super) fn fault(error: libbpf_rs::Error) -> io::Error {
    io::Error::new(error_kind(&error), format!("{error:#}"))
}

fn error_kind(error: &libbpf_rs::Error) -> io::ErrorKind {
    match error.kind() {
        libbpf_rs::ErrorKind::NotFound => io::ErrorKind::NotFound,
        libbpf_rs::ErrorKind::AlreadyExists => io::ErrorKind::AlreadyExists,
        libbpf_rs::ErrorKind::PermissionDenied => io::ErrorKind::PermissionDenied,
        _ => io::ErrorKind::Other,
    }
}
