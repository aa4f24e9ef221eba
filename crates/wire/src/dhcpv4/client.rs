//! What a client sends (RFC 2131 §4.4).

use std::net::Ipv4Addr;

use super::options::{self, FILE_BYTES, Fixed, Options, SNAME_BYTES, Spare};
use super::{MESSAGE_BYTES_MAX, PACKET_BYTES_MIN, code};

pub(super) const BOOTREQUEST: u8 = 1;
/// Of `flags`: the client cannot take unicast before it has an address (RFC 2131 §4.1).
pub(super) const BROADCAST: u16 = 0x8000;

const DISCOVER: u8 = 1;
const REQUEST: u8 = 3;
const DECLINE: u8 = 4;
const RELEASE: u8 = 7;
const INFORM: u8 = 8;

/// Why a server discards a message. The text names the rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Discard {
    /// Longer than [`MESSAGE_BYTES_MAX`].
    #[error("{0} bytes are more than a client on a link sends")]
    TooLong(usize),
    /// Shorter than its fixed part, without the cookie, or an option ends beyond its field or has a wrong length.
    #[error("malformed message (RFC 2131 §2, §3; RFC 2132 §2)")]
    Malformed,
    /// A relay agent's message: a port's link has no relay.
    #[error("relayed (giaddr or option 82): no relay agent is taken on a port's link")]
    Relayed,
    /// A reply: clients receive it, servers do not.
    #[error("op {0} is not for servers (RFC 2131 §2)")]
    NotARequest(u8),
    /// No message type: BOOTP (RFC 951), which is not served.
    #[error("no DHCP message type (RFC 2131 §3)")]
    Bootp,
    /// A message that servers do not receive.
    #[error("message type {0} is not for servers (RFC 2131 §3.1)")]
    NotForServers(u8),
    /// Server identifier, requested address and ciaddr that fit none of the client's states.
    #[error(
        "server identifier, requested address and ciaddr contradict each other (RFC 2131 §4.3.2)"
    )]
    State,
}

/// A message from a client to a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientMessage {
    /// What every message holds.
    pub header: ClientHeader,
    /// What is asked.
    pub question: Question,
}

/// What every message holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientHeader {
    /// Hardware type (1: Ethernet), only ever echoed.
    pub htype: u8,
    /// How many bytes of `chaddr` count, at most 16.
    pub hlen: u8,
    /// Transaction ID.
    pub transaction: u32,
    /// Whether answers are to be broadcast.
    pub broadcast: bool,
    /// The address that the client has and answers ARP for; 0.0.0.0: none.
    pub ciaddr: Ipv4Addr,
    /// Client hardware address, only ever echoed.
    pub chaddr: [u8; 16],
    /// Client identifier, echoed (RFC 6842); empty: none.
    pub client_id: Vec<u8>,
    /// Codes of the options that the client asks for, in its order; empty: it does not say.
    pub requested: Vec<u8>,
    /// The longest packet that it takes with its IP header, bytes, at least [`PACKET_BYTES_MIN`].
    pub packet_bytes_max: u16,
}

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Question {
    /// DHCPDISCOVER (RFC 2131 §4.4.1).
    Discover {
        /// The address that the client would like; 0.0.0.0: any.
        wanted: Ipv4Addr,
        /// An acknowledgement at once is welcome (RFC 4039).
        rapid_commit: bool,
    },
    /// DHCPREQUEST in state SELECTING: takes an offer.
    Select {
        /// Whose.
        server: Ipv4Addr,
        /// The offered address.
        wanted: Ipv4Addr,
    },
    /// DHCPREQUEST in state INIT-REBOOT: is this address still mine?
    Reboot {
        /// The address.
        wanted: Ipv4Addr,
    },
    /// DHCPREQUEST in state RENEWING or REBINDING, for `ciaddr`.
    Extend,
    /// DHCPDECLINE: somebody else uses this address.
    Decline {
        /// Who is told.
        server: Ipv4Addr,
        /// The address.
        address: Ipv4Addr,
    },
    /// DHCPRELEASE of `ciaddr`.
    Release {
        /// Who is told.
        server: Ipv4Addr,
    },
    /// DHCPINFORM: everything but an address.
    Inform,
}

impl Question {
    /// The message's name in RFC 2131 §3.1.
    pub fn name(self) -> &'static str {
        match self {
            Question::Discover { .. } => "DHCPDISCOVER",
            Question::Select { .. } | Question::Reboot { .. } | Question::Extend => "DHCPREQUEST",
            Question::Decline { .. } => "DHCPDECLINE",
            Question::Release { .. } => "DHCPRELEASE",
            Question::Inform => "DHCPINFORM",
        }
    }
}

/// Parses and validates the data of a datagram to a server's port.
///
/// # Errors
/// The rule that has the message discarded.
pub fn parse(message: &[u8]) -> Result<ClientMessage, Discard> {
    if message.len() > MESSAGE_BYTES_MAX {
        return Err(Discard::TooLong(message.len()));
    }
    let (fixed, options) = options::parse(message).ok_or(Discard::Malformed)?;
    if fixed.op != BOOTREQUEST {
        return Err(Discard::NotARequest(fixed.op));
    }
    if !fixed.giaddr.is_unspecified() || options.contains_key(&code::RELAY_AGENT) {
        return Err(Discard::Relayed);
    }
    let kind = match options.get(&code::MESSAGE_TYPE).map(Vec::as_slice) {
        None => return Err(Discard::Bootp),
        Some([kind]) => *kind,
        Some(_) => return Err(Discard::Malformed),
    };
    let header = header(&fixed, &options)?;
    let question = question(kind, &header, &options)?;
    Ok(ClientMessage { header, question })
}

fn header(fixed: &Fixed, options: &Options) -> Result<ClientHeader, Discard> {
    let packet_bytes_max = match options.get(&code::MAX_MESSAGE_SIZE).map(Vec::as_slice) {
        None => PACKET_BYTES_MIN,
        Some([high, low]) => u16::from_be_bytes([*high, *low]).max(PACKET_BYTES_MIN),
        Some(_) => return Err(Discard::Malformed),
    };
    let bytes = |code| options.get(&code).cloned().unwrap_or_default();
    Ok(ClientHeader {
        htype: fixed.htype,
        hlen: fixed.hlen,
        transaction: fixed.transaction,
        broadcast: fixed.flags & BROADCAST != 0,
        ciaddr: fixed.ciaddr,
        chaddr: fixed.chaddr,
        client_id: bytes(code::CLIENT_ID),
        requested: bytes(code::PARAMETER_REQUEST_LIST),
        packet_bytes_max,
    })
}

/// RFC 2131 §4.3: which message has which of the three addresses.
fn question(kind: u8, header: &ClientHeader, options: &Options) -> Result<Question, Discard> {
    let server = address(options, code::SERVER_ID)?;
    let wanted = address(options, code::REQUESTED_ADDRESS)?;
    let ciaddr = (!header.ciaddr.is_unspecified()).then_some(header.ciaddr);
    match (kind, server, wanted, ciaddr) {
        (DISCOVER, _, wanted, _) => Ok(Question::Discover {
            wanted: wanted.unwrap_or(Ipv4Addr::UNSPECIFIED),
            rapid_commit: options.contains_key(&code::RAPID_COMMIT),
        }),
        (REQUEST, Some(server), Some(wanted), None) => Ok(Question::Select { server, wanted }),
        (REQUEST, None, Some(wanted), None) => Ok(Question::Reboot { wanted }),
        (REQUEST, None, None, Some(_)) => Ok(Question::Extend),
        (DECLINE, Some(server), Some(address), _) => Ok(Question::Decline { server, address }),
        (RELEASE, Some(server), _, Some(_)) => Ok(Question::Release { server }),
        (INFORM, _, _, Some(_)) => Ok(Question::Inform),
        (REQUEST | DECLINE | RELEASE | INFORM, _, _, _) => Err(Discard::State),
        (other, _, _, _) => Err(Discard::NotForServers(other)),
    }
}

fn address(options: &Options, code: u8) -> Result<Option<Ipv4Addr>, Discard> {
    let Some(content) = options.get(&code) else {
        return Ok(None);
    };
    let octets: [u8; 4] = content
        .as_slice()
        .try_into()
        .map_err(|_| Discard::Malformed)?;
    Ok(Some(Ipv4Addr::from(octets)))
}

impl ClientMessage {
    /// The message's bytes: a datagram's data.
    pub fn emit(&self) -> Vec<u8> {
        let header = &self.header;
        let fixed = Fixed {
            op: BOOTREQUEST,
            htype: header.htype,
            hlen: header.hlen,
            transaction: header.transaction,
            seconds: 0,
            flags: if header.broadcast { BROADCAST } else { 0 },
            ciaddr: header.ciaddr,
            yiaddr: Ipv4Addr::UNSPECIFIED,
            siaddr: Ipv4Addr::UNSPECIFIED,
            giaddr: Ipv4Addr::UNSPECIFIED,
            chaddr: header.chaddr,
            sname: [0; SNAME_BYTES],
            file: [0; FILE_BYTES],
        };
        let (kind, server, wanted) = match self.question {
            Question::Discover { wanted, .. } if wanted.is_unspecified() => (DISCOVER, None, None),
            Question::Discover { wanted, .. } => (DISCOVER, None, Some(wanted)),
            Question::Select { server, wanted } => (REQUEST, Some(server), Some(wanted)),
            Question::Reboot { wanted } => (REQUEST, None, Some(wanted)),
            Question::Extend => (REQUEST, None, None),
            Question::Decline { server, address } => (DECLINE, Some(server), Some(address)),
            Question::Release { server } => (RELEASE, Some(server), None),
            Question::Inform => (INFORM, None, None),
        };
        let mut options = vec![(code::MESSAGE_TYPE, vec![kind])];
        for (code, address) in [(code::SERVER_ID, server), (code::REQUESTED_ADDRESS, wanted)] {
            options.extend(address.map(|address| (code, address.octets().to_vec())));
        }
        if let Question::Discover {
            rapid_commit: true, ..
        } = self.question
        {
            options.push((code::RAPID_COMMIT, Vec::new()));
        }
        if header.packet_bytes_max > PACKET_BYTES_MIN {
            let bytes = header.packet_bytes_max.to_be_bytes().to_vec();
            options.push((code::MAX_MESSAGE_SIZE, bytes));
        }
        for (code, content) in [
            (code::CLIENT_ID, &header.client_id),
            (code::PARAMETER_REQUEST_LIST, &header.requested),
        ] {
            if !content.is_empty() {
                options.push((code, content.clone()));
            }
        }
        let (message, _) = options::emit(&fixed, &options, MESSAGE_BYTES_MAX, Spare::default());
        message
    }
}
