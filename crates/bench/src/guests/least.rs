//! The least that answers a Router Solicitation: a program that waits for one, writes an advertisement without options and
//! sends it. What it takes is the kernel's, and the machine's to wake it up.

use std::os::fd::AsRawFd;

use anyhow::{Context, Result};
use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, LinkAddr, MsgFlags, SockFlag, SockProtocol, SockType, recvfrom, sendto, socket,
};

use crate::frames::bare_advertisement;
use crate::wire::FRAME_BYTES;

/// Answers on all links of this network namespace until it is killed.
///
/// # Errors
/// The socket's.
pub fn answer() -> Result<()> {
    let socket = socket(
        AddressFamily::Packet,
        SockType::Raw,
        SockFlag::SOCK_CLOEXEC,
        SockProtocol::EthIpv6,
    )?;
    println!("ready");
    let mut buffer = [0; FRAME_BYTES];
    loop {
        let (bytes, from) = match recvfrom::<LinkAddr>(socket.as_raw_fd(), &mut buffer) {
            Err(Errno::EINTR | Errno::ENETDOWN) => continue,
            other => other?,
        };
        if let Some(frame) = bare_advertisement(&buffer[..bytes]) {
            let to = from.context("a frame without a link")?;
            sendto(socket.as_raw_fd(), &frame, &to, MsgFlags::empty())?;
        }
    }
}
