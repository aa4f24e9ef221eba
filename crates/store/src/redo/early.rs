//! Writing that begins before it is waited for.

#![allow(unsafe_code, reason = "no crate wraps this call")]

use std::fs::File;
use std::os::fd::AsRawFd as _;

/// Has the disk begin with what was written of a file, and does not wait (`sync_file_range(2)`). A sync is due all the same,
/// and tells what went wrong: it waits for the same pages.
pub(super) fn begin_writing(file: &File, begin: usize, bytes: usize) {
    let offset = |bytes: usize| libc::off64_t::try_from(bytes).unwrap_or(libc::off64_t::MAX);
    // SAFETY: the descriptor is open, and no memory is handed over.
    let _ = unsafe {
        libc::sync_file_range(
            file.as_raw_fd(),
            offset(begin),
            offset(bytes),
            libc::SYNC_FILE_RANGE_WRITE,
        )
    };
}
