//! Frames to guests: one packet socket for all links.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

/// Sends Ethernet frames out of links of the network namespace in which it was made, whatever thread uses it.
#[derive(Debug)]
pub struct Sender {
    socket: OwnedFd,
}

impl Sender {
    /// A socket that receives nothing (protocol 0).
    pub fn new() -> io::Result<Sender> {
        // SAFETY: no pointers.
        let fd = unsafe {
            libc::socket(
                libc::AF_PACKET,
                libc::SOCK_RAW | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK,
                0,
            )
        };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: a new descriptor that nobody else has.
        let socket = unsafe { OwnedFd::from_raw_fd(fd) };
        Ok(Sender { socket })
    }

    /// Sends a whole frame out of the host's end of a guest link, and so into the guest. `WouldBlock` when the socket's
    /// buffer is full: the frame is lost, as on any link.
    pub fn send(&self, ifindex: u32, frame: &[u8]) -> io::Result<()> {
        // SAFETY: all-zero is a valid sockaddr_ll.
        let mut to: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
        to.sll_family = libc::AF_PACKET as u16;
        to.sll_ifindex = i32::try_from(ifindex).map_err(io::Error::other)?;
        to.sll_protocol = (libc::ETH_P_IPV6 as u16).to_be();
        // SAFETY: the socket is open; frame and address are valid for the lengths given.
        let sent = unsafe {
            libc::sendto(
                self.socket.as_raw_fd(),
                frame.as_ptr().cast(),
                frame.len(),
                0,
                std::ptr::from_ref(&to).cast(),
                size_of_val(&to) as libc::socklen_t,
            )
        };
        if sent < 0 {
            Err(io::Error::last_os_error())
        } else {
            Ok(())
        }
    }
}
