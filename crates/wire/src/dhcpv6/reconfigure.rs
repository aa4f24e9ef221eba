//! Reconfigure (RFC 9915 §18.3.11) and the Reconfigure Key Authentication Protocol that proves whose it is (§20.4): the
//! server gives a client a key in a Reply, and signs by it.

use hmac::{Hmac, KeyInit, Mac};
use md5::Md5;

use super::options;
use super::{Duid, MESSAGE_BYTES_MAX, code};
use crate::bytes::Reader;

const RECONFIGURE: u8 = 10;
/// Protocol, algorithm (HMAC-MD5) and replay detection method (a counter) of the Authentication option (RFC 9915 §21.11).
const RECONFIGURE_KEY_PROTOCOL: [u8; 3] = [3, 1, 0];
/// What the authentication information is (RFC 9915 §20.4).
const TYPE_KEY: u8 = 1;
const TYPE_DIGEST: u8 = 2;
/// Bytes of a key and of a digest (RFC 9915 §20.4).
const KEY_LEN: usize = 16;

/// A key by which a server signs what it sends to one client.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ReconfigureKey([u8; KEY_LEN]);

impl ReconfigureKey {
    /// A key that is these bytes.
    pub fn new(bytes: [u8; KEY_LEN]) -> Self {
        Self(bytes)
    }

    /// The bytes. They are a secret of server and client.
    pub fn as_bytes(&self) -> &[u8; KEY_LEN] {
        &self.0
    }

    /// HMAC-MD5 (RFC 2104) of these bytes.
    pub fn digest(&self, bytes: &[u8]) -> [u8; KEY_LEN] {
        let mut digest = [0; KEY_LEN];
        digest.copy_from_slice(&self.mac(bytes).finalize().into_bytes());
        digest
    }

    fn mac(&self, bytes: &[u8]) -> Hmac<Md5> {
        let mut mac = Hmac::<Md5>::new_from_slice(&self.0).expect("HMAC takes keys of any length");
        mac.update(bytes);
        mac
    }
}

/// The key is not for logs.
impl std::fmt::Debug for ReconfigureKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ReconfigureKey(..)")
    }
}

/// A key as a Reply gives it to the client (RFC 9915 §20.4.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GivenKey {
    /// The key.
    pub key: ReconfigureKey,
    /// Replay detection: larger in each message of the server to this client.
    pub replay: u64,
}

impl GivenKey {
    pub(super) fn emit(&self, out: &mut Vec<u8>) {
        emit_authentication(out, self.replay, TYPE_KEY, self.key.as_bytes());
    }

    /// The key in an Authentication option; `None`: the option is of another protocol or holds something else.
    pub(super) fn parse(content: &[u8]) -> Option<Self> {
        let (replay, kind, value) = parse_authentication(content)?;
        (kind == TYPE_KEY).then_some(Self {
            key: ReconfigureKey(value),
            replay,
        })
    }
}

/// What the client is to send (RFC 9915 §21.19).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReconfigureKind {
    /// Renew.
    Renew,
    /// Rebind.
    Rebind,
    /// Information-request.
    InformationRequest,
}

impl ReconfigureKind {
    /// The type of the message that the client is to send.
    pub fn number(self) -> u8 {
        match self {
            ReconfigureKind::Renew => 5,
            ReconfigureKind::Rebind => 6,
            ReconfigureKind::InformationRequest => 11,
        }
    }

    /// The kind with this number.
    pub fn from_number(number: u8) -> Option<Self> {
        match number {
            5 => Some(ReconfigureKind::Renew),
            6 => Some(ReconfigureKind::Rebind),
            11 => Some(ReconfigureKind::InformationRequest),
            _ => None,
        }
    }

    /// The name of the message that the client is to send.
    pub fn name(self) -> &'static str {
        match self {
            ReconfigureKind::Renew => "Renew",
            ReconfigureKind::Rebind => "Rebind",
            ReconfigureKind::InformationRequest => "Information-request",
        }
    }
}

/// A server's word that a client should ask again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reconfigure {
    /// The client.
    pub client: Duid,
    /// The server.
    pub server: Duid,
    /// What the client is to send.
    pub kind: ReconfigureKind,
    /// Replay detection: larger than in each message before.
    pub replay: u64,
}

/// Why a client does not follow a Reconfigure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReconfigureError {
    /// Too long, not a Reconfigure, or an option is malformed or missing.
    #[error("no valid Reconfigure (RFC 9915 §16.11)")]
    Malformed,
    /// Signed by another key, or changed on its way.
    #[error("the digest is not by the key (RFC 9915 §20.4.3)")]
    Digest,
}

impl Reconfigure {
    /// The message's bytes, signed: a datagram's data.
    pub fn emit(&self, key: &ReconfigureKey) -> Vec<u8> {
        let mut out = vec![RECONFIGURE, 0, 0, 0];
        super::client::emit_ids(&mut out, Some(&self.client), Some(&self.server));
        options::emit(&mut out, code::RECONFIGURE_MESSAGE, |out| {
            out.push(self.kind.number());
        });
        // The digest is over the message with zeroes in its place.
        emit_authentication(&mut out, self.replay, TYPE_DIGEST, &[0; KEY_LEN]);
        let digest = key.digest(&out);
        let at = out.len() - KEY_LEN;
        out[at..].copy_from_slice(&digest);
        out
    }

    /// Parses and verifies a Reconfigure, as a client does. Whose DUIDs it names and how new it is are for the caller to
    /// judge.
    ///
    /// # Errors
    /// When it is malformed or not signed by the key.
    pub fn parse(message: &[u8], key: &ReconfigureKey) -> Result<Self, ReconfigureError> {
        let (this, digest_at) = Self::unverified(message).ok_or(ReconfigureError::Malformed)?;
        let mut unsigned = message.to_vec();
        unsigned[digest_at..digest_at + KEY_LEN].fill(0);
        let digest = &message[digest_at..digest_at + KEY_LEN];
        match key.mac(&unsigned).verify_slice(digest) {
            Ok(()) => Ok(this),
            Err(_) => Err(ReconfigureError::Digest),
        }
    }

    /// The message, and where its digest is.
    fn unverified(message: &[u8]) -> Option<(Self, usize)> {
        if message.len() > MESSAGE_BYTES_MAX {
            return None;
        }
        let mut reader = Reader::new(message);
        if reader.array::<4>()? != [RECONFIGURE, 0, 0, 0] {
            return None;
        }
        let (mut client, mut server, mut kind, mut signed) = (None, None, None, None);
        while let Some(option) = options::next(&mut reader) {
            let (option, content) = option.ok()?;
            match option {
                code::CLIENT_ID => client = Some(Duid::new(content)?),
                code::SERVER_ID => server = Some(Duid::new(content)?),
                code::RECONFIGURE_MESSAGE => {
                    let [number] = content else { return None };
                    kind = Some(ReconfigureKind::from_number(*number)?);
                }
                code::AUTHENTICATION => {
                    let (replay, TYPE_DIGEST, _) = parse_authentication(content)? else {
                        return None;
                    };
                    signed = Some((replay, message.len() - reader.rest().len() - KEY_LEN));
                }
                _ => {}
            }
        }
        let (replay, digest_at) = signed?;
        let this = Self {
            client: client?,
            server: server?,
            kind: kind?,
            replay,
        };
        Some((this, digest_at))
    }
}

fn emit_authentication(out: &mut Vec<u8>, replay: u64, kind: u8, value: &[u8; KEY_LEN]) {
    options::emit(out, code::AUTHENTICATION, |out| {
        out.extend_from_slice(&RECONFIGURE_KEY_PROTOCOL);
        out.extend_from_slice(&replay.to_be_bytes());
        out.push(kind);
        out.extend_from_slice(value);
    });
}

/// Replay detection, type and value, if the option is one of this protocol.
fn parse_authentication(content: &[u8]) -> Option<(u64, u8, [u8; KEY_LEN])> {
    let mut reader = Reader::new(content);
    let ours = reader.array::<3>()? == RECONFIGURE_KEY_PROTOCOL;
    let replay = u64::from_be_bytes(reader.array()?);
    let (kind, value) = (reader.u8()?, reader.array()?);
    (ours && reader.is_empty()).then_some((replay, kind, value))
}

#[cfg(test)]
mod tests;
