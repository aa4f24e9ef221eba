//! Questions to rtnetlink, and their answers.

use std::io;

use netlink_packet_core::{
    NLM_F_DUMP_INTR, NLM_F_REQUEST, NetlinkHeader, NetlinkMessage, NetlinkPayload,
};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_ROUTE};

/// How often a list is asked for that changed while it was given.
const DUMPS_MAX: usize = 4;

/// Sends one request and collects the answers up to its acknowledgement or the end of its dump.
pub(super) fn exchange(
    request: RouteNetlinkMessage,
    flags: u16,
) -> io::Result<Vec<RouteNetlinkMessage>> {
    let mut header = NetlinkHeader::default();
    header.flags = NLM_F_REQUEST | flags;
    let mut message = NetlinkMessage::new(header, NetlinkPayload::from(request));
    message.finalize();
    let mut bytes = vec![0; message.buffer_len()];
    message.serialize(&mut bytes);
    undisturbed(|| {
        let mut socket = Socket::new(NETLINK_ROUTE)?;
        socket.bind_auto()?;
        socket.connect(&SocketAddr::new(0, 0))?;
        socket.send(&bytes, 0)?;
        let mut answers = Answers::default();
        while !answers.take(&socket.recv_from_full()?.0)? {}
        Ok(answers)
    })
}

/// Asks again while what is asked for changes under the kernel's hands: such a list may lack what was there all the time. Where it never
/// rests the last answer has to do.
fn undisturbed(
    mut ask: impl FnMut() -> io::Result<Answers>,
) -> io::Result<Vec<RouteNetlinkMessage>> {
    let mut answers = ask()?;
    for _ in 1..DUMPS_MAX {
        if !answers.disturbed {
            break;
        }
        answers = ask()?;
    }
    Ok(answers.messages)
}

/// The answers to one request.
#[derive(Debug, Default)]
struct Answers {
    messages: Vec<RouteNetlinkMessage>,
    /// What they list changed meanwhile (NLM_F_DUMP_INTR).
    disturbed: bool,
}

impl Answers {
    /// Takes a datagram in; true when it was the last.
    fn take(&mut self, bytes: &[u8]) -> io::Result<bool> {
        for message in split(bytes)? {
            self.disturbed |= message.header.flags & NLM_F_DUMP_INTR != 0;
            match message.payload {
                NetlinkPayload::InnerMessage(answer) => self.messages.push(answer),
                NetlinkPayload::Done(_) => return Ok(true),
                NetlinkPayload::Error(error) if error.code.is_none() => return Ok(true),
                NetlinkPayload::Error(error) => return Err(error.to_io()),
                _ => {}
            }
        }
        Ok(false)
    }
}

/// The messages of one datagram.
pub(super) fn split(mut bytes: &[u8]) -> io::Result<Vec<NetlinkMessage<RouteNetlinkMessage>>> {
    let mut messages = Vec::new();
    while bytes.len() >= 16 {
        let message =
            NetlinkMessage::<RouteNetlinkMessage>::deserialize(bytes).map_err(io::Error::other)?;
        let length = (message.header.length as usize).next_multiple_of(4);
        if length == 0 {
            break;
        }
        messages.push(message);
        bytes = bytes.get(length..).unwrap_or_default();
    }
    Ok(messages)
}

#[cfg(test)]
pub(super) mod tests;
