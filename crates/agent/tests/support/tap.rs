//! A tap as QEMU opens one: each frame goes behind a header that says what of it is left to do.

use std::fs::File;
use std::io::{Read as _, Write as _};

use super::tun;

/// The length of a header (virtio 1.2 §5.1.6, without the count of buffers).
pub const HEADER: usize = 10;

/// What is left to do of a frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Offload {
    /// Where the checksum begins, and where from there it stands, if it is that of the pseudo-header alone.
    pub partial: Option<(u16, u16)>,
    /// If it is to be cut: into what, the octets of data in each, and how long the headers are.
    pub segments: Option<(Cut, u16, u16)>,
}

/// VIRTIO_NET_HDR_GSO_* (virtio 1.2 §5.1.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// Fragments of an IPv4 datagram.
    Udp = 3,
    /// TCP segments over IPv6.
    TcpV6 = 4,
}

/// The side that a guest's device is behind.
pub struct Tap(File);

impl Tap {
    /// Makes a tap in the namespace of the caller.
    pub fn new(name: &str) -> Tap {
        Tap(tun::open(name))
    }

    /// Sends a frame as the guest behind it does.
    pub fn send(&self, offload: Offload, frame: &[u8]) {
        const NEEDS_CSUM: u8 = 1;
        let (start, offset) = offload.partial.unwrap_or_default();
        let (cut, size, headers) = offload
            .segments
            .map_or((0, 0, 0), |(cut, size, headers)| (cut as u8, size, headers));
        let mut bytes = vec![
            if offload.partial.is_some() {
                NEEDS_CSUM
            } else {
                0
            },
            cut,
        ];
        for field in [headers, size, start, offset] {
            bytes.extend(field.to_ne_bytes());
        }
        assert_eq!(bytes.len(), HEADER);
        bytes.extend_from_slice(frame);
        let written = (&self.0).write(&bytes).expect("the tap takes it");
        assert_eq!(written, bytes.len());
    }

    /// The next frame for the guest, if there is one, and whether its checksum is left to it.
    pub fn receive(&self) -> Option<(bool, Vec<u8>)> {
        let mut bytes = vec![0; HEADER + (1 << 16)];
        let length = (&self.0).read(&mut bytes).ok()?;
        Some((bytes[0] & 1 != 0, bytes[HEADER..length].to_vec()))
    }
}
