//! How the C library's allocator gives memory back.

/// Blocks of at least this size, bytes, are mapped each by itself, and unmapped when they are freed.
const MAPPED_BYTES: libc::c_int = 1 << 20;

/// Large blocks go back to the kernel as soon as they are freed.
///
/// glibc's allocator raises the size from which it maps blocks to that of the largest one that was ever freed, and then
/// keeps such blocks, one for every thread that had one. A login's hash works in 19 MiB for a moment, and a list's
/// text is as long as the list.
pub fn give_large_blocks_back() {
    // SAFETY: the call sets a number inside the allocator, under the allocator's own lock. Where it fails, everything
    // works as without it.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, MAPPED_BYTES);
    }
}
