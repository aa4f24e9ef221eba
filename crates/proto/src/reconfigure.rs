//! Tells a DHCPv6 client that it should ask again, because what it was told has changed (RFC 9915 §18.3.11). Only clients
//! that said that they follow it (Reconfigure Accept) are told, and each is given a key by which it knows who says so
//! (§20.4).

use std::net::Ipv6Addr;
use std::time::{Duration, Instant};

use hextet_core::link::Dhcpv6Plan;
use hextet_core::mac::Mac;
use hextet_wire::dhcpv6::{
    ClientMessage, Duid, GivenKey, Reconfigure, ReconfigureKey, ReconfigureKind, ServerMessage,
    ServerMessageKind,
};

use crate::random::Random;

/// REC_TIMEOUT (RFC 9915 §7.6): until the second Reconfigure; each further one waits twice as long.
const REC_TIMEOUT: Duration = Duration::from_secs(2);
/// REC_MAX_RC (RFC 9915 §7.6): most Reconfigures for one change.
const REC_MAX_RC: u32 = 8;

/// A client that follows a Reconfigure: the one that was answered last on its link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reconfigurable {
    /// What it calls itself.
    pub client: Duid,
    /// Where it listens.
    pub address: Ipv6Addr,
    /// The MAC of its frames.
    pub mac: Mac,
    /// The key that it was given.
    pub key: ReconfigureKey,
    /// What it is told to send: a Renew if it has addresses.
    pub kind: ReconfigureKind,
    /// A digest of what it was told last.
    pub told: [u8; 16],
}

/// What the host gives a link so that it can reconfigure its client.
#[derive(Clone, Copy, Debug)]
pub struct ReconfigureSeed {
    /// A secret that keys are made of: random, of this process.
    pub secret: ReconfigureKey,
    /// Where replay detection begins: beyond all that was sent before, so a clock's nanoseconds.
    pub replay: u64,
}

/// What is due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Due {
    /// This datagram, for this client.
    Send(Reconfigurable, Vec<u8>),
    /// The client did not follow and is told no more, until something else changes.
    GivenUp,
}

/// What an answer means for the client that may be reconfigured.
enum Verdict {
    Nothing,
    /// The answer says whether it will be so.
    Announced,
    /// It is given its key again.
    Key,
    /// Nobody is told any more.
    Forgotten,
    /// It was told what there is now, and is to send this when that changes.
    Told(ReconfigureKind),
}

#[derive(Clone, Debug)]
pub(crate) struct Reconfigurer {
    /// `None`: no client is reconfigured here.
    secret: Option<ReconfigureKey>,
    replay: u64,
    random: Random,
    client: Option<Reconfigurable>,
    attempt: Option<Attempt>,
}

/// One change that the client is told of.
#[derive(Clone, Debug)]
struct Attempt {
    /// What the client would be told now.
    wanted: [u8; 16],
    sent: u32,
    wait: Duration,
    /// `None`: the client did not follow.
    due: Option<Instant>,
}

impl Reconfigurer {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            secret: None,
            replay: 0,
            random: Random::new(seed),
            client: None,
            attempt: None,
        }
    }

    pub(crate) fn enable(&mut self, seed: ReconfigureSeed) {
        self.secret = Some(seed.secret);
        self.replay = seed.replay;
    }

    pub(crate) fn is_enabled(&self) -> bool {
        self.secret.is_some()
    }

    pub(crate) fn client(&self) -> Option<&Reconfigurable> {
        self.client.as_ref()
    }

    /// A client that was known before this process began.
    pub(crate) fn restore(&mut self, client: Reconfigurable) {
        self.client = self.secret.map(|_| client);
    }

    pub(crate) fn forget(&mut self) {
        self.client = None;
        self.attempt = None;
    }

    /// What is served changed; `None`: nothing.
    pub(crate) fn handle_plan(&mut self, plan: Option<&Dhcpv6Plan>, now: Instant) {
        let (Some(plan), Some(client)) = (plan, &self.client) else {
            self.attempt = None;
            return;
        };
        let wanted = content(plan, client);
        if wanted == client.told {
            self.attempt = None;
        } else if self
            .attempt
            .as_ref()
            .is_none_or(|attempt| attempt.wanted != wanted)
        {
            self.attempt = Some(Attempt {
                wanted,
                sent: 0,
                wait: Duration::ZERO,
                due: Some(now),
            });
        }
    }

    /// A client was answered. The answer gets what it must have so that the client can be reconfigured.
    pub(crate) fn handle_answer(
        &mut self,
        plan: &Dhcpv6Plan,
        message: &ClientMessage,
        from: (Mac, Ipv6Addr),
        answer: &mut ServerMessage,
    ) {
        let (Some(secret), Some(duid)) = (self.secret, message.client()) else {
            return;
        };
        let accepts = message.reconfigure_accept();
        let known = self.knows(duid);
        let kind = match self.verdict(message, known, answer) {
            Verdict::Nothing => return,
            Verdict::Announced => {
                answer.reconfigure_accept = accepts;
                return;
            }
            Verdict::Key => return self.give_key(answer),
            Verdict::Forgotten => return self.forget(),
            Verdict::Told(kind) => kind,
        };
        let kept = self.client.take().filter(|client| client.client == *duid);
        let key = kept.map_or_else(
            || ReconfigureKey::new(secret.digest(duid.as_bytes())),
            |client| client.key,
        );
        let mut client = Reconfigurable {
            client: duid.clone(),
            address: from.1,
            mac: from.0,
            key,
            kind,
            told: [0; 16],
        };
        client.told = content(plan, &client);
        self.client = Some(client);
        self.attempt = None;
        answer.reconfigure_accept = accepts;
        let renewed = matches!(message, ClientMessage::Renew { .. }) && known;
        if accepts && !renewed {
            self.give_key(answer);
        }
    }

    /// What the answer to a message means for this. `known`: it is from the client that is told.
    fn verdict(&self, message: &ClientMessage, known: bool, answer: &ServerMessage) -> Verdict {
        let accepts = message.reconfigure_accept();
        let key = match accepts && known {
            true => Verdict::Key,
            false => Verdict::Nothing,
        };
        match message {
            // RFC 9915 §18.3.1: an Advertise says only that it will be so.
            ClientMessage::Solicit { .. } if answer.kind == ServerMessageKind::Advertise => {
                Verdict::Announced
            }
            // The client began anew, maybe without the key. It is told nothing that was not told before.
            ClientMessage::Confirm { .. } => key,
            ClientMessage::Decline { .. } => Verdict::Nothing,
            ClientMessage::Release { .. } if known => Verdict::Forgotten,
            ClientMessage::Release { .. } => Verdict::Nothing,
            // Who has addresses asks for the other options only besides.
            ClientMessage::InformationRequest(_) if known && self.is_renewed() => key,
            ClientMessage::InformationRequest(_) if accepts => {
                Verdict::Told(ReconfigureKind::InformationRequest)
            }
            // Clients of RFC 3315 say it once, and not again when they renew.
            ClientMessage::Renew { .. } | ClientMessage::Rebind { .. }
                if (known || accepts) && is_assigned(answer) =>
            {
                Verdict::Told(ReconfigureKind::Renew)
            }
            ClientMessage::Solicit { .. } | ClientMessage::Request { .. }
                if accepts && is_assigned(answer) =>
            {
                Verdict::Told(ReconfigureKind::Renew)
            }
            ClientMessage::Solicit { .. }
            | ClientMessage::Request { .. }
            | ClientMessage::Renew { .. }
            | ClientMessage::Rebind { .. }
            | ClientMessage::InformationRequest(_) => Verdict::Forgotten,
        }
    }

    fn knows(&self, duid: &Duid) -> bool {
        let client = self.client.as_ref();
        client.is_some_and(|client| client.client == *duid)
    }

    /// What is to be done now, if anything is.
    pub(crate) fn poll(&mut self, plan: &Dhcpv6Plan, now: Instant) -> Option<Due> {
        let (client, attempt) = (self.client.clone()?, self.attempt.as_mut()?);
        if attempt.due? > now {
            return None;
        }
        if attempt.sent >= REC_MAX_RC {
            attempt.due = None;
            return Some(Due::GivenUp);
        }
        // RFC 9915 §15: a tenth more or less.
        let twice = match attempt.sent {
            0 => REC_TIMEOUT,
            _ => attempt.wait * 2,
        };
        let spread = twice / 10;
        attempt.wait = self.random.between(twice - spread, twice + spread);
        attempt.due = Some(now + attempt.wait);
        attempt.sent += 1;
        let reconfigure = Reconfigure {
            client: client.client.clone(),
            server: Duid::from_uuid(plan.server_duid.into_bytes()),
            kind: client.kind,
            replay: self.next_replay(),
        };
        let datagram = reconfigure.emit(&client.key);
        Some(Due::Send(client, datagram))
    }

    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        self.attempt.as_ref()?.due
    }

    fn is_renewed(&self) -> bool {
        let kind = self.client.as_ref().map(|client| client.kind);
        kind == Some(ReconfigureKind::Renew)
    }

    fn give_key(&mut self, answer: &mut ServerMessage) {
        let Some(key) = self.client.as_ref().map(|client| client.key) else {
            return;
        };
        answer.reconfigure_accept = true;
        answer.reconfigure_key = Some(GivenKey {
            key,
            replay: self.next_replay(),
        });
    }

    fn next_replay(&mut self) -> u64 {
        self.replay = self.replay.wrapping_add(1);
        self.replay
    }
}

/// A digest of what the client would be told if it asked now.
fn content(plan: &Dhcpv6Plan, client: &Reconfigurable) -> [u8; 16] {
    let reply = crate::dhcpv6::content(plan, client.kind);
    client.key.digest(&reply.emit())
}

fn is_assigned(answer: &ServerMessage) -> bool {
    let mut given = answer.ias.iter().flat_map(|ia| &ia.addresses);
    given.any(|given| given.valid_lifetime_s > 0)
}

#[cfg(test)]
mod tests;
