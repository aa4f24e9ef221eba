//! Frames that the fast path shows to the agent, from its ring.

use std::ffi::c_void;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::ptr::NonNull;
use std::time::Duration;

use hextet_core::ids::{PortNumber, Vni};
use libbpf_rs::MapHandle;

use super::maps::raw::{PuntHead, Raw};

include!(concat!(env!("OUT_DIR"), "/reasons.rs"));

/// Records older than this are not shown: their guest has long tried again.
pub const STALE: Duration = Duration::from_secs(5);
/// Most records of one [`Punt::drain`], so that a flood leaves time for other work.
pub const DRAIN_MAX: usize = 256;

/// A frame from a guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PuntRecord<'a> {
    /// The host's end of the link it came in by.
    pub ifindex: u32,
    /// The port that the link carried then.
    pub port: PortNumber,
    /// The port's network then.
    pub net: Vni,
    /// Why it is shown.
    pub reason: PuntReason,
    /// How long it waited.
    pub age: Duration,
    /// Length of the whole frame, bytes; more than `frame` holds only for [`PuntReason::FirstFrame`]
    /// and [`PuntReason::Source`].
    pub whole: usize,
    /// The frame from its Ethernet header on. The checksum of a UDP datagram may be unfinished.
    pub frame: &'a [u8],
}

/// What became of the records of one [`Punt::drain`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Drained {
    /// Shown.
    pub shown: usize,
    /// Older than [`STALE`], or not a record of this schema.
    pub discarded: usize,
}

/// The reader of the ring. Its descriptor, the map's, is readable as long as there is something to drain.
#[derive(Debug)]
pub struct Punt {
    ring: NonNull<libbpf_sys::ring_buffer>,
    slot: Box<Slot>,
    /// The map. libbpf's own descriptor is for many rings: to wait for that is to wait for a wait.
    map: OwnedFd,
}

// SAFETY: the ring is used through &mut Punt only, and nothing in it belongs to a thread.
unsafe impl Send for Punt {}

/// Where the callback finds what to do: set for the length of one drain.
#[derive(Debug, Default)]
struct Slot {
    sink: Option<NonNull<Sink<'static>>>,
}

struct Sink<'a> {
    show: &'a mut dyn FnMut(PuntRecord<'_>),
    now: Duration,
    drained: Drained,
}

impl Punt {
    pub(super) fn open(map: &MapHandle) -> io::Result<Punt> {
        let owned = map.as_fd().try_clone_to_owned()?;
        let mut slot = Box::<Slot>::default();
        let context: *mut Slot = &mut *slot;
        // SAFETY: the map is open for the call (libbpf maps it); the context is the boxed slot, which lives as long as the
        // ring; no options.
        let ring = unsafe {
            libbpf_sys::ring_buffer__new(
                map.as_fd().as_raw_fd(),
                Some(sample),
                context.cast(),
                std::ptr::null(),
            )
        };
        match NonNull::new(ring) {
            Some(ring) => Ok(Punt {
                ring,
                slot,
                map: owned,
            }),
            None => Err(io::Error::last_os_error()),
        }
    }

    /// Shows the waiting records, oldest first, at most [`DRAIN_MAX`].
    pub fn drain(&mut self, mut show: impl FnMut(PuntRecord<'_>)) -> io::Result<Drained> {
        let mut sink = Sink {
            show: &mut show,
            now: monotonic()?,
            drained: Drained::default(),
        };
        self.slot.sink = Some(NonNull::from(&mut sink).cast());
        // SAFETY: the ring is live, and the slot that its callback reads points to `sink` until after the call.
        let result = unsafe {
            libbpf_sys::ring_buffer__consume_n(self.ring.as_ptr(), DRAIN_MAX as libbpf_sys::size_t)
        };
        self.slot.sink = None;
        if result < 0 {
            return Err(io::Error::from_raw_os_error(-result));
        }
        Ok(sink.drained)
    }
}

impl AsFd for Punt {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.map.as_fd()
    }
}

impl Drop for Punt {
    fn drop(&mut self) {
        // SAFETY: the ring is live and not used after this.
        unsafe { libbpf_sys::ring_buffer__free(self.ring.as_ptr()) }
    }
}

/// libbpf's callback for one record.
unsafe extern "C" fn sample(
    context: *mut c_void,
    data: *mut c_void,
    size: libbpf_sys::size_t,
) -> i32 {
    // SAFETY: the context is the boxed slot of the Punt whose ring is being drained.
    let slot = unsafe { &*context.cast::<Slot>() };
    let Some(sink) = slot.sink else {
        return 0;
    };
    // SAFETY: set by drain for the length of the call that we are in, and used by this thread only.
    let sink = unsafe { &mut *sink.as_ptr() };
    // SAFETY: libbpf hands out `size` bytes of the ring, unchanged until this returns.
    let bytes = unsafe { std::slice::from_raw_parts(data.cast::<u8>(), size as usize) };
    match record(bytes, sink.now) {
        Some(record) if !is_stale(&record) => {
            sink.drained.shown += 1;
            (sink.show)(record);
        }
        _ => sink.drained.discarded += 1,
    }
    0
}

fn is_stale(record: &PuntRecord<'_>) -> bool {
    record.age > STALE
}

fn record(bytes: &[u8], now: Duration) -> Option<PuntRecord<'_>> {
    let head = PuntHead::from_bytes(bytes)?;
    let frame = bytes
        .get(size_of::<PuntHead>()..)?
        .get(..head.length as usize)?;
    Some(PuntRecord {
        ifindex: head.ifindex,
        port: PortNumber(head.port),
        net: Vni(head.net),
        reason: PuntReason::from_raw(head.reason)?,
        age: now.saturating_sub(Duration::from_nanos(head.ktime)),
        whole: head.whole as usize,
        frame,
    })
}

/// The clock of the records' times.
pub(super) fn monotonic() -> io::Result<Duration> {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: time is a valid struct for the call.
    if unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut time) } != 0 {
        return Err(io::Error::last_os_error());
    }
    let seconds = u64::try_from(time.tv_sec).map_err(io::Error::other)?;
    let nanoseconds = u32::try_from(time.tv_nsec).map_err(io::Error::other)?;
    Ok(Duration::new(seconds, nanoseconds))
}

#[cfg(test)]
mod tests;
