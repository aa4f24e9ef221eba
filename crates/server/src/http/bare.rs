//! The answers that hyper gives of its own accord, to a head that it cannot parse: a status and nothing else. They are held
//! back, so that a client gets the same status in the form of all other answers.
//!
//! hyper has no door for that. But such an answer is the last that it writes to a connection, and nothing else that is
//! written ends as it does: other answers have a request id, and bodies of JSON end in a bracket.

use super::bounds::Bound;
use super::frame::X_OPENSTACK_REQUEST_ID;

/// Longest answer of hyper's own, bytes: three fields.
const BARE_BYTES_MAX: usize = 256;

/// Where hyper's own answer begins in what it writes, and which bound it stands for.
pub(super) fn find(octets: &[u8]) -> Option<(usize, Bound)> {
    if !octets.ends_with(b"\r\n\r\n") {
        return None;
    }
    let skipped = octets.len().saturating_sub(BARE_BYTES_MAX);
    let tail = &octets[skipped..];
    let begin = tail.windows(7).rposition(|seven| seven == b"HTTP/1.")?;
    let text = std::str::from_utf8(&tail[begin..]).ok()?;
    let mut lines = text.strip_suffix("\r\n\r\n")?.split("\r\n");
    let bound = match lines.next()?.get(9..12)? {
        "400" => Bound::HeadBroken,
        "414" => Bound::UriTooLong,
        "431" => Bound::HeadersTooLarge,
        _ => return None,
    };
    let mut names = lines.filter_map(|line| line.split_once(':'));
    let ours = names.any(|(name, _)| name.eq_ignore_ascii_case(X_OPENSTACK_REQUEST_ID.as_str()));
    (!ours).then_some((skipped + begin, bound))
}

#[cfg(test)]
mod tests;
