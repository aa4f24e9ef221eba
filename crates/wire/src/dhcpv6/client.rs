//! What a client sends (RFC 9915 §16, §18.2).

use super::options::{self, RawIa, SaidIa};
use super::{Duid, IaAddress, IaKind, MESSAGE_BYTES_MAX, code};
use crate::bytes::Reader;

const SOLICIT: u8 = 1;
const REQUEST: u8 = 3;
const CONFIRM: u8 = 4;
const RENEW: u8 = 5;
const REBIND: u8 = 6;
const RELEASE: u8 = 8;
const DECLINE: u8 = 9;
const INFORMATION_REQUEST: u8 = 11;
const RELAY_FORW: u8 = 12;
const RELAY_REPL: u8 = 13;

/// Why a server discards a message. The text names the rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Discard {
    /// Longer than [`MESSAGE_BYTES_MAX`].
    #[error("{0} bytes are more than a client on a link sends")]
    TooLong(usize),
    /// Shorter than its header, or an option ends beyond the end.
    #[error("malformed message (RFC 9915 §8, §21.1)")]
    Malformed,
    /// A relay agent's message: a port's link has no relay.
    #[error("relayed (RFC 9915 §19): no relay agent is taken on a port's link")]
    Relayed,
    /// A message that servers do not receive.
    #[error("message type {0} is not for servers (RFC 9915 §16)")]
    NotForServers(u8),
    /// No Client Identifier, or one that is no DUID.
    #[error("no valid Client Identifier (RFC 9915 §16.2 to §16.9)")]
    ClientId,
    /// No Server Identifier where one must be, or one that is no DUID.
    #[error("no valid Server Identifier (RFC 9915 §16.4, §16.6, §16.8, §16.9)")]
    ServerId,
    /// A Server Identifier where none may be.
    #[error("a Server Identifier (RFC 9915 §16.2, §16.5, §16.7)")]
    UnwantedServerId,
    /// An identifier that appears twice.
    #[error("an identifier appears twice (RFC 9915 §16)")]
    Repeated,
    /// An Information-request with an identity association.
    #[error("an identity association in an Information-request (RFC 9915 §16.12)")]
    UnwantedIa,
}

/// A message from a client to servers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientMessage {
    /// RFC 9915 §18.2.1.
    Solicit {
        /// What is asked.
        asked: Asked,
        /// A Reply at once is welcome (RFC 9915 §21.14).
        rapid_commit: bool,
    },
    /// RFC 9915 §18.2.2.
    Request {
        /// What is asked.
        asked: Asked,
        /// Which server is asked.
        server: Duid,
    },
    /// RFC 9915 §18.2.3.
    Confirm {
        /// What is asked.
        asked: Asked,
    },
    /// RFC 9915 §18.2.4.
    Renew {
        /// What is asked.
        asked: Asked,
        /// Which server is asked.
        server: Duid,
    },
    /// RFC 9915 §18.2.5.
    Rebind {
        /// What is asked.
        asked: Asked,
    },
    /// RFC 9915 §18.2.7.
    Release {
        /// What is given back.
        asked: Asked,
        /// Which server is told.
        server: Duid,
    },
    /// RFC 9915 §18.2.8.
    Decline {
        /// What is in use elsewhere.
        asked: Asked,
        /// Which server is told.
        server: Duid,
    },
    /// RFC 9915 §18.2.6.
    InformationRequest(InformationRequest),
}

impl ClientMessage {
    /// Its name in RFC 9915 §7.3.
    pub fn name(&self) -> &'static str {
        match self {
            ClientMessage::Solicit { .. } => "Solicit",
            ClientMessage::Request { .. } => "Request",
            ClientMessage::Confirm { .. } => "Confirm",
            ClientMessage::Renew { .. } => "Renew",
            ClientMessage::Rebind { .. } => "Rebind",
            ClientMessage::Release { .. } => "Release",
            ClientMessage::Decline { .. } => "Decline",
            ClientMessage::InformationRequest(_) => "Information-request",
        }
    }

    /// Whether the client follows a Reconfigure (RFC 9915 §21.20).
    pub fn reconfigure_accept(&self) -> bool {
        match self {
            ClientMessage::InformationRequest(request) => request.reconfigure_accept,
            _ => self.asked().is_some_and(|asked| asked.reconfigure_accept),
        }
    }

    /// Who sent it, as far as it says so.
    pub fn client(&self) -> Option<&Duid> {
        match self {
            ClientMessage::InformationRequest(request) => request.client.as_ref(),
            _ => self.asked().map(|asked| &asked.client),
        }
    }
}

/// What most messages hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// Transaction ID (RFC 9915 §8).
    pub transaction: [u8; 3],
    /// The client.
    pub client: Duid,
    /// Identity associations in their order.
    pub ias: Vec<Ia>,
    /// Codes in the Option Request option.
    pub requested: Vec<u16>,
    /// The client follows a Reconfigure (RFC 9915 §21.20).
    pub reconfigure_accept: bool,
}

/// An Information-request (RFC 9915 §18.2.6).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InformationRequest {
    /// Transaction ID (RFC 9915 §8).
    pub transaction: [u8; 3],
    /// The client, if it says so.
    pub client: Option<Duid>,
    /// Which server is asked, if one in particular.
    pub server: Option<Duid>,
    /// Codes in the Option Request option.
    pub requested: Vec<u16>,
    /// The client follows a Reconfigure (RFC 9915 §21.20).
    pub reconfigure_accept: bool,
}

/// An identity association in a client's message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ia {
    /// Which.
    pub kind: IaKind,
    /// IAID.
    pub iaid: u32,
    /// Addresses in it, hints in a Solicit. Empty in an IA_PD.
    pub addresses: Vec<IaAddress>,
}

/// The options of a client's message, before its type says which must be there.
#[derive(Default)]
struct Options {
    client: Option<Duid>,
    server: Option<Duid>,
    ias: Vec<Ia>,
    requested: Vec<u16>,
    rapid_commit: bool,
    reconfigure_accept: bool,
}

/// Parses and validates the data of a datagram to a server's port.
///
/// # Errors
/// The rule that has the message discarded.
pub fn parse(message: &[u8]) -> Result<ClientMessage, Discard> {
    if message.len() > MESSAGE_BYTES_MAX {
        return Err(Discard::TooLong(message.len()));
    }
    let mut reader = Reader::new(message);
    let kind = reader.u8().ok_or(Discard::Malformed)?;
    match kind {
        SOLICIT | REQUEST..=REBIND | RELEASE | DECLINE | INFORMATION_REQUEST => {}
        RELAY_FORW | RELAY_REPL => return Err(Discard::Relayed),
        other => return Err(Discard::NotForServers(other)),
    }
    let transaction = reader.array().ok_or(Discard::Malformed)?;
    let options = parse_options(&mut reader)?;
    if kind == INFORMATION_REQUEST {
        if !options.ias.is_empty() {
            return Err(Discard::UnwantedIa);
        }
        return Ok(ClientMessage::InformationRequest(InformationRequest {
            transaction,
            client: options.client,
            server: options.server,
            requested: options.requested,
            reconfigure_accept: options.reconfigure_accept,
        }));
    }
    let asked = Asked {
        transaction,
        client: options.client.ok_or(Discard::ClientId)?,
        ias: options.ias,
        requested: options.requested,
        reconfigure_accept: options.reconfigure_accept,
    };
    let nobody = |server: &Option<Duid>| match server {
        None => Ok(()),
        Some(_) => Err(Discard::UnwantedServerId),
    };
    let to_all = nobody(&options.server);
    let to_one = options.server.ok_or(Discard::ServerId);
    let rapid_commit = options.rapid_commit;
    match kind {
        SOLICIT => to_all.map(|()| ClientMessage::Solicit {
            asked,
            rapid_commit,
        }),
        CONFIRM => to_all.map(|()| ClientMessage::Confirm { asked }),
        REBIND => to_all.map(|()| ClientMessage::Rebind { asked }),
        REQUEST => to_one.map(|server| ClientMessage::Request { asked, server }),
        RENEW => to_one.map(|server| ClientMessage::Renew { asked, server }),
        RELEASE => to_one.map(|server| ClientMessage::Release { asked, server }),
        // The first match lets nothing else through.
        _ => to_one.map(|server| ClientMessage::Decline { asked, server }),
    }
}

fn parse_options(reader: &mut Reader<'_>) -> Result<Options, Discard> {
    let mut options = Options::default();
    while let Some(option) = options::next(reader) {
        let (option, content) = option.map_err(|()| Discard::Malformed)?;
        if let Some(ia) = options::ia(option, content) {
            let RawIa {
                kind,
                iaid,
                addresses,
                ..
            } = ia.map_err(|()| Discard::Malformed)?;
            options.ias.push(Ia {
                kind,
                iaid,
                addresses,
            });
            continue;
        }
        match option {
            code::CLIENT_ID => {
                let client = Duid::new(content).ok_or(Discard::ClientId)?;
                once(options.client.replace(client))?;
            }
            code::SERVER_ID => {
                let server = Duid::new(content).ok_or(Discard::ServerId)?;
                once(options.server.replace(server))?;
            }
            code::ORO => {
                let codes = content.chunks_exact(2);
                if !codes.remainder().is_empty() {
                    return Err(Discard::Malformed);
                }
                options.requested = codes
                    .map(|code| u16::from_be_bytes([code[0], code[1]]))
                    .collect();
            }
            code::RAPID_COMMIT => options.rapid_commit = true,
            code::RECONFIGURE_ACCEPT => options.reconfigure_accept = true,
            // RFC 9915 §16: what is not known is ignored.
            _ => {}
        }
    }
    Ok(options)
}

fn once(before: Option<Duid>) -> Result<(), Discard> {
    match before {
        None => Ok(()),
        Some(_) => Err(Discard::Repeated),
    }
}

impl ClientMessage {
    /// The message's bytes: a datagram's data.
    pub fn emit(&self) -> Vec<u8> {
        let (kind, asked, server, rapid_commit) = match self {
            ClientMessage::Solicit {
                asked,
                rapid_commit,
            } => (SOLICIT, asked, None, *rapid_commit),
            ClientMessage::Request { asked, server } => (REQUEST, asked, Some(server), false),
            ClientMessage::Confirm { asked } => (CONFIRM, asked, None, false),
            ClientMessage::Renew { asked, server } => (RENEW, asked, Some(server), false),
            ClientMessage::Rebind { asked } => (REBIND, asked, None, false),
            ClientMessage::Release { asked, server } => (RELEASE, asked, Some(server), false),
            ClientMessage::Decline { asked, server } => (DECLINE, asked, Some(server), false),
            ClientMessage::InformationRequest(request) => return request.emit(),
        };
        let mut out = vec![kind];
        out.extend_from_slice(&asked.transaction);
        emit_ids(&mut out, Some(&asked.client), server);
        emit_requested(&mut out, &asked.requested);
        emit_accept(&mut out, asked.reconfigure_accept);
        if rapid_commit {
            options::emit(&mut out, code::RAPID_COMMIT, |_| {});
        }
        for ia in &asked.ias {
            let ia = SaidIa {
                kind: ia.kind,
                iaid: ia.iaid,
                t1_s: 0,
                t2_s: 0,
                addresses: &ia.addresses,
                status: None,
            };
            options::emit_ia(&mut out, &ia);
        }
        out
    }

    /// What is asked; nothing in an Information-request.
    pub fn asked(&self) -> Option<&Asked> {
        match self {
            ClientMessage::Solicit { asked, .. }
            | ClientMessage::Request { asked, .. }
            | ClientMessage::Confirm { asked }
            | ClientMessage::Renew { asked, .. }
            | ClientMessage::Rebind { asked }
            | ClientMessage::Release { asked, .. }
            | ClientMessage::Decline { asked, .. } => Some(asked),
            ClientMessage::InformationRequest(_) => None,
        }
    }
}

impl InformationRequest {
    fn emit(&self) -> Vec<u8> {
        let mut out = vec![INFORMATION_REQUEST];
        out.extend_from_slice(&self.transaction);
        emit_ids(&mut out, self.client.as_ref(), self.server.as_ref());
        emit_requested(&mut out, &self.requested);
        emit_accept(&mut out, self.reconfigure_accept);
        out
    }
}

pub(super) fn emit_ids(out: &mut Vec<u8>, client: Option<&Duid>, server: Option<&Duid>) {
    for (option, duid) in [(code::CLIENT_ID, client), (code::SERVER_ID, server)] {
        if let Some(duid) = duid {
            options::emit(out, option, |out| out.extend_from_slice(duid.as_bytes()));
        }
    }
}

pub(super) fn emit_accept(out: &mut Vec<u8>, reconfigure_accept: bool) {
    if reconfigure_accept {
        options::emit(out, code::RECONFIGURE_ACCEPT, |_| {});
    }
}

fn emit_requested(out: &mut Vec<u8>, requested: &[u16]) {
    if !requested.is_empty() {
        options::emit(out, code::ORO, |out| {
            for code in requested {
                out.extend_from_slice(&code.to_be_bytes());
            }
        });
    }
}
