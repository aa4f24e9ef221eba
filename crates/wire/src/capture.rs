//! Capture files: the classic pcap format (draft-ietf-opsawg-pcap), Ethernet only. The newer pcapng is not read.

use crate::bytes::Reader;

/// Most frames that are taken of a file.
pub const FRAMES_MAX: usize = 64;
/// Largest file, bytes.
pub const FILE_BYTES_MAX: usize = 1 << 20;
/// LINKTYPE_ETHERNET.
const ETHERNET: u32 = 1;
/// Of the record's header, bytes, with seconds and their fraction before the lengths.
const RECORD_TIME_BYTES: usize = 8;

/// Why a file is no capture that can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CaptureError {
    /// Larger than [`FILE_BYTES_MAX`].
    #[error("a capture of at most {FILE_BYTES_MAX} bytes is read")]
    TooLarge,
    /// Not of this format.
    #[error("not a pcap file (pcapng is not read: write it with `tcpdump -w`)")]
    Format,
    /// Of another link layer.
    #[error("link type {0}, only Ethernet (1) is read")]
    LinkType(u32),
    /// A record ends beyond the end.
    #[error("the file ends within a frame")]
    Truncated,
}

/// Whether bytes begin as a capture file does, of either order of bytes.
pub fn is_capture(bytes: &[u8]) -> bool {
    order(bytes).is_some() || bytes.starts_with(&[0x0a, 0x0d, 0x0d, 0x0a])
}

/// The frames of a capture, at most [`FRAMES_MAX`].
///
/// # Errors
/// When it is none, or ends within a frame.
pub fn parse(bytes: &[u8]) -> Result<Vec<&[u8]>, CaptureError> {
    if bytes.len() > FILE_BYTES_MAX {
        return Err(CaptureError::TooLarge);
    }
    let word = order(bytes).ok_or(CaptureError::Format)?;
    let mut reader = Reader::new(bytes);
    let head = reader.take(24).ok_or(CaptureError::Format)?;
    // The upper half of the field holds other things (draft §4).
    let link_type = word([head[20], head[21], head[22], head[23]]) & 0xffff;
    if link_type != ETHERNET {
        return Err(CaptureError::LinkType(link_type));
    }
    let mut frames = Vec::new();
    while !reader.is_empty() && frames.len() < FRAMES_MAX {
        let frame = reader
            .take(RECORD_TIME_BYTES)
            .and_then(|_| reader.array())
            .map(word)
            .and_then(|length| {
                reader.take(4)?;
                reader.take(usize::try_from(length).ok()?)
            });
        frames.push(frame.ok_or(CaptureError::Truncated)?);
    }
    Ok(frames)
}

/// How the file's writer orders bytes; micro- and nanoseconds make no difference here.
fn order(bytes: &[u8]) -> Option<fn([u8; 4]) -> u32> {
    match bytes.get(..4)? {
        [0xa1, 0xb2, 0xc3, 0xd4] | [0xa1, 0xb2, 0x3c, 0x4d] => Some(u32::from_be_bytes),
        [0xd4, 0xc3, 0xb2, 0xa1] | [0x4d, 0x3c, 0xb2, 0xa1] => Some(u32::from_le_bytes),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
