//! How a tap is opened, by the tests of this crate and by those of the whole system.

#![allow(unsafe_code, reason = "a tap is made by ioctl")]

use std::fs::{File, OpenOptions};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::OpenOptionsExt as _;

/// Makes a tap in the namespace of the caller, which is gone with its file. Each frame of it is behind a header of virtio's; checksums
/// and segments are left to whoever reads it. Reading does not wait.
pub fn open(name: &str) -> File {
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(libc::O_NONBLOCK)
        .open("/dev/net/tun")
        .expect("taps can be made");
    // SAFETY: all zeros are a request without a name or flags.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (place, octet) in request.ifr_name.iter_mut().zip(name.bytes()) {
        *place = libc::c_char::try_from(octet).expect("names are ASCII");
    }
    let flags = libc::IFF_TAP | libc::IFF_NO_PI | libc::IFF_VNET_HDR;
    request.ifr_ifru.ifru_flags = libc::c_short::try_from(flags).expect("three flags");
    // SAFETY: the kernel reads and writes the request, which outlives the call.
    let made = unsafe { libc::ioctl(file.as_raw_fd(), libc::TUNSETIFF, &raw mut request) };
    assert_eq!(made, 0, "{}", std::io::Error::last_os_error());
    let offloads = libc::c_ulong::from(libc::TUN_F_CSUM | libc::TUN_F_TSO4 | libc::TUN_F_TSO6);
    // SAFETY: the argument is a number.
    let taken = unsafe { libc::ioctl(file.as_raw_fd(), libc::TUNSETOFFLOAD, offloads) };
    assert_eq!(taken, 0, "{}", std::io::Error::last_os_error());
    file
}
