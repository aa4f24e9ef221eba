//! What a server answers (RFC 9915 §18.3).

use std::net::Ipv6Addr;

use super::client::{emit_accept, emit_ids};
use super::options::{self, SaidIa};
use super::{Duid, GivenKey, IaAddress, IaKind, MESSAGE_BYTES_MAX, code};
use crate::bytes::Reader;

const ADVERTISE: u8 = 2;
const REPLY: u8 = 7;
/// Room for an answer with an address or two and name servers, bytes; a longer one takes more.
const USUAL_BYTES: usize = 256;

/// Advertise or Reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServerMessageKind {
    /// RFC 9915 §18.3.9.
    Advertise,
    /// RFC 9915 §18.3.10.
    Reply,
}

/// A server's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerMessage {
    /// Which.
    pub kind: ServerMessageKind,
    /// The client's Transaction ID.
    pub transaction: [u8; 3],
    /// The client's DUID as it gave it; an Information-request need not have one.
    pub client: Option<Duid>,
    /// The server's DUID.
    pub server: Duid,
    /// Preference (RFC 9915 §21.8); 255 ends the client's wait for others.
    pub preference: Option<u8>,
    /// The Reply answers a Solicit (RFC 9915 §21.14).
    pub rapid_commit: bool,
    /// The server sends Reconfigure to this client (RFC 9915 §21.20).
    pub reconfigure_accept: bool,
    /// The key of these (RFC 9915 §20.4.2).
    pub reconfigure_key: Option<GivenKey>,
    /// Identity associations in the client's order.
    pub ias: Vec<IaReply>,
    /// The message's own status.
    pub status: Option<Status>,
    /// Name servers; the option is left out where there are none.
    pub dns_servers: Vec<Ipv6Addr>,
    /// Search list; the option is left out where it is empty.
    pub dns_search: Vec<String>,
    /// Information Refresh Time (RFC 9915 §21.23), seconds.
    pub information_refresh_time_s: Option<u32>,
    /// SOL_MAX_RT (RFC 9915 §21.24), seconds: how seldom the client solicits at most.
    pub sol_max_rt_s: Option<u32>,
    /// INF_MAX_RT (RFC 9915 §21.25), seconds: the same for Information-requests.
    pub inf_max_rt_s: Option<u32>,
    /// Further options, code and content, in their order; those of the above that are among them are said here alone.
    pub extra: Vec<(u16, Vec<u8>)>,
}

/// An identity association in an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IaReply {
    /// Which.
    pub kind: IaKind,
    /// The client's IAID.
    pub iaid: u32,
    /// T1, seconds; 0 in an IA_TA.
    pub t1_s: u32,
    /// T2, seconds; 0 in an IA_TA.
    pub t2_s: u32,
    /// Addresses with their lifetimes.
    pub addresses: Vec<IaAddress>,
    /// Why there are none.
    pub status: Option<Status>,
}

/// A Status Code option (RFC 9915 §21.13).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// Code.
    pub code: StatusCode,
    /// For the client's log.
    pub text: String,
}

/// Status codes (RFC 9915 §21.13).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StatusCode {
    /// 0.
    Success,
    /// 2.
    NoAddrsAvail,
    /// 3.
    NoBinding,
    /// 4.
    NotOnLink,
    /// 5, obsolete: for clients of RFC 3315 and 8415.
    UseMulticast,
    /// 6.
    NoPrefixAvail,
    /// Any other.
    Other(u16),
}

impl From<u16> for StatusCode {
    fn from(code: u16) -> Self {
        match code {
            0 => StatusCode::Success,
            2 => StatusCode::NoAddrsAvail,
            3 => StatusCode::NoBinding,
            4 => StatusCode::NotOnLink,
            5 => StatusCode::UseMulticast,
            6 => StatusCode::NoPrefixAvail,
            other => StatusCode::Other(other),
        }
    }
}

impl From<StatusCode> for u16 {
    fn from(code: StatusCode) -> Self {
        match code {
            StatusCode::Success => 0,
            StatusCode::NoAddrsAvail => 2,
            StatusCode::NoBinding => 3,
            StatusCode::NotOnLink => 4,
            StatusCode::UseMulticast => 5,
            StatusCode::NoPrefixAvail => 6,
            StatusCode::Other(other) => other,
        }
    }
}

/// Why bytes are no answer of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ServerError {
    /// Longer than [`MESSAGE_BYTES_MAX`], shorter than its header, or an option is malformed.
    #[error("malformed message (RFC 9915 §8, §21.1)")]
    Malformed,
    /// Neither Advertise nor Reply.
    #[error("message type {0} is neither Advertise nor Reply")]
    Kind(u8),
    /// No Server Identifier (RFC 9915 §16.3, §16.10).
    #[error("no valid Server Identifier (RFC 9915 §16.3, §16.10)")]
    ServerId,
}

impl ServerMessage {
    /// An answer to this transaction with nothing in it yet.
    pub fn new(kind: ServerMessageKind, transaction: [u8; 3], server: Duid) -> Self {
        Self {
            kind,
            transaction,
            client: None,
            server,
            preference: None,
            rapid_commit: false,
            reconfigure_accept: false,
            reconfigure_key: None,
            ias: Vec::new(),
            status: None,
            dns_servers: Vec::new(),
            dns_search: Vec::new(),
            information_refresh_time_s: None,
            sol_max_rt_s: None,
            inf_max_rt_s: None,
            extra: Vec::new(),
        }
    }

    /// The message's bytes: a datagram's data.
    pub fn emit(&self) -> Vec<u8> {
        self.emit_with(&self.extra)
    }

    /// The same without the last of the further options as far as it is longer than this many bytes; and how many were left out.
    pub fn emit_within(&self, message_bytes_max: usize) -> (Vec<u8>, usize) {
        let mut said = self.extra.as_slice();
        loop {
            let out = self.emit_with(said);
            match said.split_last() {
                Some((_, rest)) if out.len() > message_bytes_max => said = rest,
                _ => return (out, self.extra.len() - said.len()),
            }
        }
    }

    fn emit_with(&self, extra: &[(u16, Vec<u8>)]) -> Vec<u8> {
        let mut out = Vec::with_capacity(USUAL_BYTES);
        out.push(match self.kind {
            ServerMessageKind::Advertise => ADVERTISE,
            ServerMessageKind::Reply => REPLY,
        });
        out.extend_from_slice(&self.transaction);
        emit_ids(&mut out, self.client.as_ref(), Some(&self.server));
        if let Some(preference) = self.preference {
            options::emit(&mut out, code::PREFERENCE, |out| out.push(preference));
        }
        if self.rapid_commit {
            options::emit(&mut out, code::RAPID_COMMIT, |_| {});
        }
        emit_accept(&mut out, self.reconfigure_accept);
        if let Some(given) = &self.reconfigure_key {
            given.emit(&mut out);
        }
        for ia in &self.ias {
            let status = ia.status.as_ref();
            let ia = SaidIa {
                kind: ia.kind,
                iaid: ia.iaid,
                t1_s: ia.t1_s,
                t2_s: ia.t2_s,
                addresses: &ia.addresses,
                status: status.map(|status| (status.code.into(), status.text.as_str())),
            };
            options::emit_ia(&mut out, &ia);
        }
        if let Some(status) = &self.status {
            options::emit_status(&mut out, status.code.into(), &status.text);
        }
        let by_default = |option| self.extra.iter().all(|(code, _)| *code != option);
        if !self.dns_servers.is_empty() && by_default(code::DNS_SERVERS) {
            options::emit(&mut out, code::DNS_SERVERS, |out| {
                for server in &self.dns_servers {
                    out.extend_from_slice(&server.octets());
                }
            });
        }
        if by_default(code::DOMAIN_LIST) {
            options::emit_names(&mut out, code::DOMAIN_LIST, &self.dns_search);
        }
        for (option, seconds) in [
            (
                code::INFORMATION_REFRESH_TIME,
                self.information_refresh_time_s,
            ),
            (code::SOL_MAX_RT, self.sol_max_rt_s),
            (code::INF_MAX_RT, self.inf_max_rt_s),
        ] {
            if let Some(seconds) = seconds.filter(|_| by_default(option)) {
                options::emit(&mut out, option, |out| {
                    out.extend_from_slice(&seconds.to_be_bytes());
                });
            }
        }
        for (code, content) in extra {
            options::emit(&mut out, *code, |out| out.extend_from_slice(content));
        }
        out
    }

    /// Parses an answer, as a client does.
    ///
    /// # Errors
    /// When it is malformed or no answer.
    pub fn parse(message: &[u8]) -> Result<Self, ServerError> {
        let malformed = ServerError::Malformed;
        if message.len() > MESSAGE_BYTES_MAX {
            return Err(malformed);
        }
        let mut reader = Reader::new(message);
        let kind = match reader.u8().ok_or(malformed)? {
            ADVERTISE => ServerMessageKind::Advertise,
            REPLY => ServerMessageKind::Reply,
            other => return Err(ServerError::Kind(other)),
        };
        let transaction = reader.array().ok_or(malformed)?;
        let mut answer = Self::new(kind, transaction, Duid(Vec::new()));
        while let Some(option) = options::next(&mut reader) {
            let (option, content) = option.map_err(|()| malformed)?;
            answer.take(option, content).ok_or(malformed)?;
        }
        if answer.server.0.is_empty() {
            return Err(ServerError::ServerId);
        }
        Ok(answer)
    }

    fn take(&mut self, option: u16, content: &[u8]) -> Option<()> {
        if let Some(ia) = options::ia(option, content) {
            let ia = ia.ok()?;
            self.ias.push(IaReply {
                kind: ia.kind,
                iaid: ia.iaid,
                t1_s: ia.t1_s,
                t2_s: ia.t2_s,
                addresses: ia.addresses,
                status: ia.status.map(Status::from),
            });
            return Some(());
        }
        let mut reader = Reader::new(content);
        match option {
            code::CLIENT_ID => self.client = Some(Duid::new(content)?),
            code::SERVER_ID => self.server = Duid::new(content)?,
            code::PREFERENCE => self.preference = Some(reader.u8()?),
            code::RAPID_COMMIT => self.rapid_commit = true,
            code::RECONFIGURE_ACCEPT => self.reconfigure_accept = true,
            // Of another protocol it is not for us (RFC 9915 §20.1).
            code::AUTHENTICATION => self.reconfigure_key = GivenKey::parse(content),
            code::STATUS_CODE => self.status = Some(Status::from(options::status(content)?)),
            code::DNS_SERVERS => self.dns_servers = options::addresses(content)?,
            code::DOMAIN_LIST => self.dns_search = options::names(content)?,
            code::INFORMATION_REFRESH_TIME => {
                self.information_refresh_time_s = Some(reader.u32()?);
            }
            code::SOL_MAX_RT => self.sol_max_rt_s = Some(reader.u32()?),
            code::INF_MAX_RT => self.inf_max_rt_s = Some(reader.u32()?),
            other => self.extra.push((other, content.to_vec())),
        }
        Some(())
    }
}

impl From<(u16, String)> for Status {
    fn from((code, text): (u16, String)) -> Self {
        Self {
            code: code.into(),
            text,
        }
    }
}
