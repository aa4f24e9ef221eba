//! All rows of a map in few calls (`BPF_MAP_LOOKUP_BATCH`, Linux 5.6; of tries 5.13).

use std::ffi::c_void;
use std::io;
use std::os::fd::{AsFd, AsRawFd};

use libbpf_rs::{MapCore, MapHandle};

use crate::kernel::object::fault;

/// Most rows of one call. The rows of one bucket of a hash must fit.
const ROWS: usize = 1024;
/// Values of maps that hold one for each processor are aligned to this, bytes.
const PROCESSOR_ALIGN: usize = 8;

/// Shows every row: its key, and its value or, where each processor has its own, all of them one after the other. Not a
/// snapshot of one moment if somebody writes meanwhile.
pub(crate) fn each_row(map: &MapHandle, mut row: impl FnMut(&[u8], &[u8])) -> io::Result<()> {
    let key_len = map.key_size() as usize;
    let mut value_len = map.value_size() as usize;
    if map.map_type().is_percpu() {
        let processors = libbpf_rs::num_possible_cpus().map_err(fault)?;
        value_len = value_len.next_multiple_of(PROCESSOR_ALIGN) * processors;
    }
    let mut keys = vec![0u8; key_len * ROWS];
    let mut values = vec![0u8; value_len * ROWS];
    // Of hashes a number of four bytes, of tries a key.
    let mut place = vec![0u8; key_len.max(size_of::<u32>())];
    let mut begun = false;
    loop {
        let from: *mut c_void = match begun {
            true => place.as_mut_ptr().cast(),
            false => std::ptr::null_mut(),
        };
        let mut count = u32::try_from(ROWS).map_err(io::Error::other)?;
        // SAFETY: the map is open for the call; keys and values have room for `count` rows of its sizes, and the place for
        // what the kernel keeps there between calls, which it reads before it writes; no options.
        let result = unsafe {
            libbpf_sys::bpf_map_lookup_batch(
                map.as_fd().as_raw_fd(),
                from,
                place.as_mut_ptr().cast(),
                keys.as_mut_ptr().cast(),
                values.as_mut_ptr().cast(),
                &mut count,
                std::ptr::null(),
            )
        };
        let last = match -result {
            0 => false,
            libc::ENOENT => true,
            errno => return Err(io::Error::from_raw_os_error(errno)),
        };
        let count = (count as usize).min(ROWS);
        let rows = keys
            .chunks_exact(key_len)
            .zip(values.chunks_exact(value_len));
        rows.take(count).for_each(|(key, value)| row(key, value));
        if last {
            return Ok(());
        }
        begun = true;
    }
}
