//! Descriptors that a process hands to the program that takes its place (execve(2)).

use std::io;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd};

use nix::fcntl::{FcntlArg, FdFlag, fcntl};

/// Keeps a descriptor open over the exec; its number.
///
/// # Errors
/// The kernel's.
pub fn keep(fd: &impl AsFd) -> io::Result<RawFd> {
    fcntl(fd.as_fd(), FcntlArg::F_SETFD(FdFlag::empty()))?;
    Ok(fd.as_fd().as_raw_fd())
}

/// Takes a descriptor that was kept. To be called once for a number, by the program that was told it.
///
/// # Errors
/// No such descriptor is open.
pub fn take(number: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: asks only whether the number is open.
    if unsafe { libc::fcntl(number, libc::F_GETFD) } < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: open, and handed to this program for it alone to own; the caller takes each number once.
    let fd = unsafe { OwnedFd::from_raw_fd(number) };
    fcntl(fd.as_fd(), FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC))?;
    Ok(fd)
}
