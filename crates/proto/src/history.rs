//! What a link remembers of what happened on it, and when: for whoever asks why a guest has no address. Bounded, and a
//! few bytes for each frame; nothing is decided by it.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use hextet_core::ids::PortId;
use hextet_wire::dhcpv6::{Duid, ReconfigureKind};

use crate::counters::{DropReason, Sent};

/// Most notes that are kept in their order; the oldest goes. The last one of each [`Topic`] is kept besides.
pub const NOTES_MAX: usize = 32;
/// Most addresses that one note names.
const NOTED_ADDRESSES_MAX: usize = 8;
/// RTR_SOLICITATION_INTERVAL (RFC 4861 §10): a solicitation that comes this long after an answer did not believe it.
const RTR_SOLICITATION_INTERVAL: Duration = Duration::from_secs(4);
/// A client's timers are not exact.
const SLACK: Duration = Duration::from_secs(1);

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    /// The link appeared, or appeared again.
    Up,
    /// The process began; the guest had been heard before.
    Resumed,
    /// The guest's first frame since the link came up.
    FirstFrame,
    /// A Router Solicitation.
    Solicited {
        /// From this address.
        source: Ipv6Addr,
        /// It was answered.
        answered: bool,
    },
    /// A Router Advertisement was sent, for this reason.
    Advertised(Sent),
    /// A duplicate address check.
    Probed {
        /// Of this address.
        address: Ipv6Addr,
        /// Who holds it.
        claim: ProbeResult,
    },
    /// A Neighbor Solicitation that the fast path did not answer.
    Asked {
        /// For this address.
        target: Ipv6Addr,
        /// Somebody is known to hold it.
        known: bool,
    },
    /// A message of a DHCPv6 client.
    Dhcpv6(Exchange),
    /// The DHCPv6 client was told to send this, as something changed.
    Reconfigured(ReconfigureKind),
    /// A message of a DHCPv4 client.
    Dhcpv4(Exchange),
}

/// What a duplicate address check was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProbeResult {
    /// The address is the port's.
    Own,
    /// The address was learned; another port uses the same one.
    Learned {
        /// Who learned it first, if another did.
        first_holder: Option<PortId>,
    },
    /// Another holds it: the check was made to fail.
    Held {
        /// Which port; `None`: the network's service.
        holder: Option<PortId>,
    },
    /// Nobody holds it, and the guest may not use it.
    Foreign,
}

/// A client's message and what became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exchange {
    /// The message's name in its RFC.
    pub message: &'static str,
    /// The answer, or why there was none.
    pub outcome: Result<Option<Sent>, DropReason>,
    /// The addresses in the answer, at most eight.
    pub addresses: Arc<[IpAddr]>,
}

/// What a note is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Topic {
    /// The link, its guest's first frame.
    Link,
    /// Router Solicitations.
    RouterSolicit,
    /// Router Advertisements.
    RouterAdvert,
    /// Duplicate address checks.
    Probe,
    /// Neighbor Solicitations.
    NeighborSolicit,
    /// DHCPv6.
    Dhcpv6,
    /// DHCPv6 Reconfigure.
    Reconfigure,
    /// DHCPv4.
    Dhcpv4,
}

impl Topic {
    /// The name that the command line uses.
    pub fn name(self) -> &'static str {
        match self {
            Topic::Link => "link",
            Topic::RouterSolicit => "router solicitation",
            Topic::RouterAdvert => "router advertisement",
            Topic::Probe => "duplicate address check",
            Topic::NeighborSolicit => "neighbour solicitation",
            Topic::Dhcpv6 => "DHCPv6",
            Topic::Reconfigure => "DHCPv6 Reconfigure",
            Topic::Dhcpv4 => "DHCPv4",
        }
    }
}

impl Note {
    /// What it is about.
    pub fn topic(&self) -> Topic {
        match self {
            Note::Up | Note::Resumed | Note::FirstFrame => Topic::Link,
            Note::Solicited { .. } => Topic::RouterSolicit,
            Note::Advertised(_) => Topic::RouterAdvert,
            Note::Probed { .. } => Topic::Probe,
            Note::Asked { .. } => Topic::NeighborSolicit,
            Note::Dhcpv6(_) => Topic::Dhcpv6,
            Note::Reconfigured(_) => Topic::Reconfigure,
            Note::Dhcpv4(_) => Topic::Dhcpv4,
        }
    }
}

impl std::fmt::Display for Note {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Note::Up => write!(f, "the link came up"),
            Note::Resumed => write!(f, "the agent began; the guest had been heard before"),
            Note::FirstFrame => write!(f, "the guest's first frame"),
            Note::Solicited { source, answered } => {
                let answered = if *answered {
                    "answered"
                } else {
                    "not answered"
                };
                write!(f, "from {source}, {answered}")
            }
            Note::Advertised(kind) => write!(f, "sent ({})", kind.name()),
            Note::Probed { address, claim } => write!(f, "of {address}: {claim}"),
            Note::Asked { target, known } => {
                let known = if *known { "answered" } else { "nobody has it" };
                write!(f, "for {target}: {known}")
            }
            Note::Reconfigured(kind) => write!(f, "the client is asked for a {}", kind.name()),
            Note::Dhcpv6(exchange) | Note::Dhcpv4(exchange) => write!(f, "{exchange}"),
        }
    }
}

impl std::fmt::Display for ProbeResult {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            ProbeResult::Own => write!(f, "the port's own"),
            ProbeResult::Learned { first_holder: None } => write!(f, "the guest's own"),
            ProbeResult::Learned {
                first_holder: Some(port),
            } => write!(f, "port {port} formed the same"),
            ProbeResult::Held { holder: Some(port) } => write!(f, "refused, port {port} has it"),
            ProbeResult::Held { holder: None } => {
                write!(f, "refused, it is the service's or one's on the segment")
            }
            ProbeResult::Foreign => write!(f, "not the port's"),
        }
    }
}

impl std::fmt::Display for Exchange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: ", self.message)?;
        match self.outcome {
            Ok(Some(kind)) => write!(f, "{}", kind.name())?,
            Ok(None) => write!(f, "noted")?,
            Err(reason) => write!(f, "no answer ({})", reason.name())?,
        }
        for address in self.addresses.iter() {
            write!(f, " {address}")?;
        }
        Ok(())
    }
}

/// The last of a topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Last {
    /// When.
    pub at: Instant,
    /// How many there were since the link came up.
    pub count: u64,
    /// What it was.
    pub note: Note,
}

/// What is remembered of a link since it came up.
#[derive(Clone, Debug, Default)]
pub struct History {
    notes: VecDeque<(Instant, Note)>,
    last: BTreeMap<Topic, Last>,
    /// When the guest was heard first; `None`: not yet, or before this process began.
    heard: Option<Instant>,
    /// The guest was heard before this process began.
    resumed: bool,
    /// Addresses of the port that the guest was seen to check or use.
    confirmed: BTreeSet<Ipv6Addr>,
    /// Solicitations by a guest that had been answered and had time to believe it.
    unheeded: u32,
    /// When the first solicitation after the link came up was answered.
    answered: Option<Instant>,
    /// What the client calls itself.
    duid: Option<Duid>,
    /// A target outside every prefix of the network and in the /64 of one.
    beyond: Option<Ipv6Addr>,
    /// A global address that the guest checked and that is not the port's.
    formed: Option<Ipv6Addr>,
}

impl History {
    /// The newest notes, oldest first.
    pub fn notes(&self) -> impl Iterator<Item = &(Instant, Note)> {
        self.notes.iter()
    }

    /// The last note of each topic.
    pub fn last(&self) -> &BTreeMap<Topic, Last> {
        &self.last
    }

    /// When the guest was heard first since the link came up, by this process.
    pub fn heard(&self) -> Option<Instant> {
        self.heard
    }

    /// The guest was heard before this process began, which does not know what happened then.
    pub fn resumed(&self) -> bool {
        self.resumed
    }

    /// Whether the guest was seen to check or use this address of the port.
    pub fn confirmed(&self, address: Ipv6Addr) -> bool {
        self.confirmed.contains(&address)
    }

    /// Solicitations of a guest that had been answered and had time to believe it.
    pub fn unheeded(&self) -> u32 {
        self.unheeded
    }

    /// When the first solicitation since the link came up was answered.
    pub fn answered(&self) -> Option<Instant> {
        self.answered
    }

    /// The DUID that the DHCPv6 client showed last.
    pub fn duid(&self) -> Option<&Duid> {
        self.duid.as_ref()
    }

    /// A target outside every prefix of the network that the guest takes for its neighbour.
    pub fn beyond(&self) -> Option<Ipv6Addr> {
        self.beyond
    }

    /// A global address that the guest formed by itself and that the API did not give it, the last one.
    pub fn formed(&self) -> Option<Ipv6Addr> {
        self.formed
    }

    /// How many notes of this topic there were since the link came up.
    pub fn count(&self, topic: Topic) -> u64 {
        self.last.get(&topic).map_or(0, |last| last.count)
    }

    /// The link appeared, or appeared again: what was before is about another guest.
    pub(crate) fn begin(&mut self, now: Instant) {
        *self = Self::default();
        self.note(Note::Up, now);
    }

    pub(crate) fn note(&mut self, note: Note, now: Instant) {
        match &note {
            Note::FirstFrame => {
                self.heard.get_or_insert(now);
            }
            Note::Resumed => self.resumed = true,
            Note::Solicited { answered, .. } => self.solicited(*answered, now),
            Note::Probed { address, claim }
                if *claim != ProbeResult::Own && !address.is_unicast_link_local() =>
            {
                self.formed = Some(*address);
            }
            _ => {}
        }
        match self.last.entry(note.topic()) {
            Entry::Vacant(vacant) => {
                vacant.insert(Last {
                    at: now,
                    count: 1,
                    note: note.clone(),
                });
            }
            Entry::Occupied(mut last) => {
                let last = last.get_mut();
                last.at = now;
                last.count += 1;
                last.note = note.clone();
            }
        }
        if self.notes.len() >= NOTES_MAX {
            self.notes.pop_front();
        }
        self.notes.push_back((now, note));
    }

    fn solicited(&mut self, answered: bool, now: Instant) {
        match self.answered {
            Some(first)
                if now.saturating_duration_since(first) + SLACK >= RTR_SOLICITATION_INTERVAL =>
            {
                self.unheeded = self.unheeded.saturating_add(1);
            }
            None if answered => self.answered = Some(now),
            _ => {}
        }
    }

    /// The guest checks or uses an address that is the port's: as many as a port has.
    pub(crate) fn confirm(&mut self, address: Ipv6Addr) {
        self.confirmed.insert(address);
    }

    pub(crate) fn client(&mut self, duid: &Duid) {
        if self.duid.as_ref() != Some(duid) {
            self.duid = Some(duid.clone());
        }
    }

    pub(crate) fn beyond_prefix(&mut self, target: Ipv6Addr) {
        self.beyond = Some(target);
    }
}

impl Exchange {
    pub(crate) fn new(
        message: &'static str,
        outcome: Result<Option<Sent>, DropReason>,
        addresses: impl Iterator<Item = IpAddr>,
    ) -> Self {
        Self {
            message,
            outcome,
            addresses: addresses.take(NOTED_ADDRESSES_MAX).collect(),
        }
    }
}
