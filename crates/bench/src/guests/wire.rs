//! One packet socket for all links of this network namespace, read and written in batches.

use std::collections::BTreeMap;
use std::io::{IoSlice, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::time::Duration;

use anyhow::Result;
use nix::errno::Errno;
use nix::ifaddrs::getifaddrs;
use nix::net::if_::InterfaceFlags;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{
    AddressFamily, LinkAddr, MsgFlags, MultiHeaders, SockFlag, SockProtocol, SockType, recvmmsg,
    sendmmsg, setsockopt, socket, sockopt,
};

/// Most frames of one system call.
pub const BATCH: usize = 64;
/// Longest frame that is read, bytes.
pub const FRAME_BYTES: usize = 2048;
/// What the kernel may keep for the socket, bytes: the load is not to lose answers itself.
const BUFFER_BYTES: usize = 64 << 20;

/// A link of this namespace.
#[derive(Clone, Copy, Debug)]
pub struct Link {
    /// Where frames for it are sent.
    pub to: LinkAddr,
    /// Its MAC.
    pub mac: [u8; 6],
}

/// The links whose names begin like this and that have a carrier, by name.
///
/// # Errors
/// When the kernel does not tell.
pub fn links(prefix: &str) -> Result<BTreeMap<String, Link>> {
    let mut found = BTreeMap::new();
    for one in getifaddrs()? {
        let link = one
            .address
            .as_ref()
            .and_then(|address| address.as_link_addr());
        if let Some(to) = link
            && one.interface_name.starts_with(prefix)
            && one.flags.contains(InterfaceFlags::IFF_RUNNING)
            && let Some(mac) = to.addr()
        {
            found.insert(one.interface_name.clone(), Link { to: *to, mac });
        }
    }
    Ok(found)
}

/// The socket, and frames that wait to be sent.
pub struct Wire {
    socket: OwnedFd,
    waiting: Vec<(LinkAddr, Vec<u8>)>,
    buffers: Vec<[u8; FRAME_BYTES]>,
    incoming: MultiHeaders<LinkAddr>,
    outgoing: MultiHeaders<LinkAddr>,
}

impl Wire {
    /// Takes in all IPv6 that comes in by any link, and nothing that goes out.
    ///
    /// # Errors
    /// Without the right to packet sockets.
    pub fn open() -> Result<Self> {
        let socket = socket(
            AddressFamily::Packet,
            SockType::Raw,
            SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK,
            SockProtocol::EthIpv6,
        )?;
        setsockopt(&socket, sockopt::RcvBufForce, &BUFFER_BYTES)?;
        setsockopt(&socket, sockopt::SndBufForce, &BUFFER_BYTES)?;
        Ok(Self {
            socket,
            waiting: Vec::new(),
            buffers: vec![[0; FRAME_BYTES]; BATCH],
            incoming: MultiHeaders::preallocate(BATCH, None),
            outgoing: MultiHeaders::preallocate(BATCH, None),
        })
    }

    /// Puts a frame among those to be sent.
    pub fn queue(&mut self, to: LinkAddr, frame: Vec<u8>) {
        self.waiting.push((to, frame));
    }

    /// Sends what was queued. A frame that a link does not take is lost.
    ///
    /// # Errors
    /// The socket's.
    pub fn flush(&mut self) -> Result<()> {
        let waiting = std::mem::take(&mut self.waiting);
        let mut rest = waiting.as_slice();
        while !rest.is_empty() {
            let some = &rest[..rest.len().min(BATCH)];
            let frames: Vec<[IoSlice<'_>; 1]> = some
                .iter()
                .map(|(_, frame)| [IoSlice::new(frame)])
                .collect();
            let to: Vec<Option<LinkAddr>> = some.iter().map(|(to, _)| Some(*to)).collect();
            let sent = sendmmsg(
                self.socket.as_raw_fd(),
                &mut self.outgoing,
                &frames,
                &to,
                [],
                MsgFlags::empty(),
            );
            let sent = match sent {
                Ok(results) => results.count().max(1),
                Err(Errno::ENOBUFS | Errno::EAGAIN | Errno::ENETDOWN | Errno::ENXIO) => 1,
                Err(errno) => return Err(errno.into()),
            };
            rest = &rest[sent..];
        }
        Ok(())
    }

    /// Hands out what has come in, with the number of its link: at most one batch, and how many those were.
    ///
    /// # Errors
    /// The socket's.
    pub fn read(&mut self, mut hear: impl FnMut(usize, &[u8])) -> Result<usize> {
        let mut slices: Vec<[IoSliceMut<'_>; 1]> = self
            .buffers
            .iter_mut()
            .map(|buffer| [IoSliceMut::new(buffer)])
            .collect();
        let results = recvmmsg(
            self.socket.as_raw_fd(),
            &mut self.incoming,
            slices.iter_mut(),
            MsgFlags::MSG_DONTWAIT,
            None,
        );
        let heard: Vec<(usize, usize)> = match results {
            Ok(results) => results
                .map(|one| (one.address.map_or(0, |from| from.ifindex()), one.bytes))
                .collect(),
            Err(Errno::EAGAIN | Errno::EINTR | Errno::ENETDOWN) => return Ok(0),
            Err(errno) => return Err(errno.into()),
        };
        for ((link, bytes), buffer) in heard.iter().zip(&self.buffers) {
            hear(*link, &buffer[..*bytes]);
        }
        Ok(heard.len())
    }

    /// Until something comes in, or the time is over.
    ///
    /// # Errors
    /// The kernel's.
    pub fn wait(&self, timeout: Duration) -> Result<()> {
        let timeout = PollTimeout::try_from(timeout.as_millis()).unwrap_or(PollTimeout::MAX);
        let mut fds = [PollFd::new(self.socket.as_fd(), PollFlags::POLLIN)];
        match poll(&mut fds, timeout) {
            Ok(_) | Err(Errno::EINTR) => Ok(()),
            Err(errno) => Err(errno.into()),
        }
    }
}
