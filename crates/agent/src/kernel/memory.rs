//! How the C library's allocator gives memory back.

/// Blocks of at least this size, bytes, are mapped each by itself, and unmapped when they are freed.
const MAPPED_BYTES: libc::c_int = 1 << 20;

/// Large blocks go back to the kernel as soon as they are freed, and small ones are kept in no more places than there are
/// processors.
///
/// glibc's allocator raises the size from which it maps blocks to that of the largest one that was ever freed, and then
/// keeps such blocks, one for every thread that had one. A login's hash works in 19 MiB for a moment, and a list's
/// text is as long as the list. Small blocks it keeps in up to eight arenas a processor, as threads come, and
/// each arena would in time hold what a request needs.
pub fn give_large_blocks_back() {
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let arenas = libc::c_int::try_from(processors).unwrap_or(libc::c_int::MAX);
    // SAFETY: the calls set numbers inside the allocator, under the allocator's own lock. Where one fails, everything
    // works as without it.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, MAPPED_BYTES);
        libc::mallopt(libc::M_ARENA_MAX, arenas);
    }
}

/// What was freed goes back to the kernel as far as whole pages of it are free, in the middle of the heap, too. It takes some
/// milliseconds, in which whoever wants memory waits: for quiet moments after much was freed.
pub fn give_free_pages_back() {
    // SAFETY: the allocator's own function, under its own locks; nothing that is in use is touched.
    unsafe { libc::malloc_trim(0) };
}
