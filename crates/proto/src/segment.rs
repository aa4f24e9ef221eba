//! Routers of a physical segment, as a host hears them: who advertises and what, which of them is the default router, and
//! what contradicts the network's subnets (RFC 4861 §6.3.4 as far as a host on the segment would follow it).
//!
//! Nothing here reaches a guest: what guests hear of the segment is the fast path's to decide.

use std::collections::VecDeque;
use std::fmt;
use std::net::Ipv6Addr;
use std::time::{Duration, Instant};

use hextet_core::link::Router;
use hextet_core::mac::Mac;
use hextet_core::modes::RaSender;
use hextet_core::plan::SubnetPlan;
use hextet_wire::frame::{self, Envelope, multicast_mac, solicited_node};
use hextet_wire::ndp::{
    self, HOP_LIMIT, NdOption, NdpMessage, NeighborSolicit, PrefixInformation, RouterAdvert,
    RouterSolicit,
};

/// Senders that are kept apart; a further one is counted only.
pub const SENDERS_MAX: usize = 16;
/// Prefixes that are kept of one sender.
pub const PREFIXES_MAX: usize = 32;
/// MAX_RTR_SOLICITATIONS (RFC 4861 §10).
const MAX_RTR_SOLICITATIONS: u8 = 3;
/// RTR_SOLICITATION_INTERVAL (RFC 4861 §10).
const RTR_SOLICITATION_INTERVAL: Duration = Duration::from_secs(4);
/// The longest MaxRtrAdvInterval (RFC 4861 §6.2.1): who is silent for longer advertises no more.
const SILENCE: Duration = Duration::from_secs(1800);
/// Changes are told this often at most, whatever the segment says.
const TELL_INTERVAL: Duration = Duration::from_secs(1);
/// Frames that wait to be sent; a further question is not asked.
const TRANSMITS_MAX: usize = 32;
/// All routers (RFC 4291 §2.7.1).
const ALL_ROUTERS: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 2);

/// What is expected of a segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SegmentRules {
    /// The host's own MAC there.
    pub mac: Mac,
    /// The network's IPv6 subnets in the order of their creation.
    pub subnets: Vec<SubnetPlan>,
}

/// Somebody who sends Router Advertisements, and what the last one said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RaSenderSeen {
    /// Where it sends from.
    pub link_local: Ipv6Addr,
    /// Its MAC.
    pub mac: Mac,
    /// M.
    pub managed: bool,
    /// O.
    pub other: bool,
    /// Router Lifetime, seconds.
    pub router_lifetime_s: u16,
    /// Its prefix options, at most [`PREFIXES_MAX`].
    pub prefixes: Vec<PrefixInformation>,
}

impl fmt::Display for RaSenderSeen {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            out,
            "{} ({}) with M={} O={}, lifetime {} s",
            self.link_local,
            self.mac,
            u8::from(self.managed),
            u8::from(self.other),
            self.router_lifetime_s
        )?;
        for prefix in &self.prefixes {
            write!(
                out,
                ", {} L={} A={}",
                prefix.prefix,
                u8::from(prefix.on_link),
                u8::from(prefix.autonomous)
            )?;
        }
        Ok(())
    }
}

/// What is known of a segment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SegmentSeen {
    /// Who advertises, in the order of their first advertisements.
    pub senders: Vec<RaSenderSeen>,
    /// What is wrong, in words: a second sender, and what contradicts a subnet's modes.
    pub problems: Vec<String>,
}

impl SegmentSeen {
    /// Those who are default routers, the longest known first.
    pub fn routers(&self) -> impl Iterator<Item = Router> {
        let routers = self.senders.iter();
        routers
            .filter(|sender| sender.router_lifetime_s > 0)
            .map(|sender| Router {
                link_local: sender.link_local,
                mac: sender.mac,
            })
    }
}

#[derive(Clone, Debug)]
struct Known {
    seen: RaSenderSeen,
    until: Instant,
}

/// A host's ear on one segment. After each `handle_*`, drain [`Segment::poll_transmit`] and [`Segment::poll_seen`], then
/// sleep until [`Segment::poll_timeout`].
#[derive(Clone, Debug)]
pub struct Segment {
    rules: SegmentRules,
    known: Vec<Known>,
    /// Solicitations that are still to be sent, and when the next one is.
    solicits: (u8, Instant),
    told: SegmentSeen,
    /// Told of the last change then.
    told_at: Option<Instant>,
    transmits: VecDeque<Vec<u8>>,
    /// Advertisements of senders beyond [`SENDERS_MAX`].
    pub uncounted: u64,
    /// What was no valid advertisement.
    pub invalid: u64,
}

impl Segment {
    /// A segment of which nothing was heard: its routers are asked.
    pub fn new(rules: SegmentRules, now: Instant) -> Segment {
        Segment {
            rules,
            known: Vec::new(),
            solicits: (MAX_RTR_SOLICITATIONS, now),
            told: SegmentSeen::default(),
            told_at: None,
            transmits: VecDeque::new(),
            uncounted: 0,
            invalid: 0,
        }
    }

    /// What is expected changed.
    pub fn handle_rules(&mut self, rules: SegmentRules) {
        self.rules = rules;
    }

    /// An advertisement of the segment.
    pub fn handle_frame(&mut self, frame: &[u8], now: Instant) {
        let packet = frame::parse(frame).ok();
        let parsed = packet.and_then(|packet| Some((packet.envelope, ndp::parse(&packet).ok()?)));
        let Some((envelope, NdpMessage::RouterAdvert(advert))) = parsed else {
            self.invalid += 1;
            return;
        };
        self.solicits.0 = 0;
        self.note(&envelope, &advert, now);
    }

    fn note(&mut self, envelope: &Envelope, advert: &RouterAdvert, now: Instant) {
        let seen = seen(envelope, advert);
        let at = self.known.iter().position(|known| {
            known.seen.link_local == seen.link_local && known.seen.mac == seen.mac
        });
        // RFC 4861 §6.2.5: who was a router and says that it is none says farewell; who goes on says it again.
        if let Some(at) = at
            && self.known[at].seen.router_lifetime_s > 0
            && seen.router_lifetime_s == 0
        {
            self.known.remove(at);
            return;
        }
        let lifetime = Duration::from_secs(u64::from(seen.router_lifetime_s));
        let until = now
            + if lifetime.is_zero() {
                SILENCE
            } else {
                lifetime
            };
        let known = Known { seen, until };
        match at {
            Some(at) => self.known[at] = known,
            None if self.known.len() < SENDERS_MAX => self.known.push(known),
            None => self.uncounted += 1,
        }
    }

    /// Asks whether anybody there has an address: a duplicate address check, whose answer is for all (RFC 4862 §5.4.2).
    /// False when too much waits to be sent: it is not asked, and nobody's silence means anything.
    pub fn handle_question(&mut self, address: Ipv6Addr) -> bool {
        if self.transmits.len() >= TRANSMITS_MAX {
            return false;
        }
        let group = solicited_node(address);
        let envelope = Envelope {
            mac_destination: multicast_mac(group),
            mac_source: self.rules.mac,
            source: Ipv6Addr::UNSPECIFIED,
            destination: group,
            hop_limit: HOP_LIMIT,
        };
        let solicit = NdpMessage::NeighborSolicit(NeighborSolicit {
            target: address,
            options: Vec::new(),
        });
        self.transmits.push_back(solicit.emit(&envelope));
        true
    }

    /// The next frame for the segment: what was asked, or a Router Solicitation from nobody, so that the answer is for all (RFC 4861 §6.2.6).
    pub fn poll_transmit(&mut self, now: Instant) -> Option<Vec<u8>> {
        let (left, next) = self.solicits;
        if left > 0 && next <= now {
            self.solicits = (left - 1, now + RTR_SOLICITATION_INTERVAL);
            let envelope = Envelope {
                mac_destination: multicast_mac(ALL_ROUTERS),
                mac_source: self.rules.mac,
                source: Ipv6Addr::UNSPECIFIED,
                destination: ALL_ROUTERS,
                hop_limit: HOP_LIMIT,
            };
            let solicit = NdpMessage::RouterSolicit(RouterSolicit::default());
            self.transmits.push_back(solicit.emit(&envelope));
        }
        self.transmits.pop_front()
    }

    /// What is known, when it changed since it was last asked for; at most once in a second.
    pub fn poll_seen(&mut self, now: Instant) -> Option<SegmentSeen> {
        let before = self.known.len();
        self.known.retain(|known| known.until > now);
        if self.known.is_empty() && before > 0 {
            // The last one is silent: it may have been replaced.
            self.solicits = (MAX_RTR_SOLICITATIONS, now);
        }
        let rested = self.told_at.is_none_or(|at| at + TELL_INTERVAL <= now);
        let seen = self.seen();
        if !rested || seen == self.told {
            return None;
        }
        self.told_at = Some(now);
        self.told = seen.clone();
        Some(seen)
    }

    /// When there is something to do by itself, and what.
    pub fn poll_timeout(&self) -> Option<(Instant, &'static str)> {
        let (left, next) = self.solicits;
        let solicit = (left > 0).then_some((next, "router solicitation"));
        let silent = self
            .known
            .iter()
            .map(|known| (known.until, "silent router"));
        let untold = self
            .told_at
            .filter(|_| self.seen() != self.told)
            .map(|at| (at + TELL_INTERVAL, "change of a segment"));
        silent.chain(solicit).chain(untold).min()
    }

    fn seen(&self) -> SegmentSeen {
        let senders: Vec<RaSenderSeen> =
            self.known.iter().map(|known| known.seen.clone()).collect();
        let mut problems = Vec::new();
        for other in senders.iter().skip(1) {
            problems.push(format!(
                "a further sender of Router Advertisements: {other}"
            ));
        }
        for sender in &senders {
            contradictions(&self.rules.subnets, sender, &mut problems);
        }
        SegmentSeen { senders, problems }
    }
}

fn seen(envelope: &Envelope, advert: &RouterAdvert) -> RaSenderSeen {
    let prefixes = advert.options.iter().filter_map(|option| match option {
        NdOption::Prefix(prefix) => Some(*prefix),
        _ => None,
    });
    RaSenderSeen {
        link_local: envelope.source,
        mac: envelope.mac_source,
        managed: advert.managed,
        other: advert.other,
        router_lifetime_s: advert.router_lifetime_s,
        prefixes: prefixes.take(PREFIXES_MAX).collect(),
    }
}

/// What a sender says and a subnet's modes do not.
fn contradictions(subnets: &[SubnetPlan], sender: &RaSenderSeen, problems: &mut Vec<String>) {
    let expected = subnets
        .iter()
        .filter_map(|subnet| Some((subnet, subnet.segment?.expected?)));
    // M and O are the link's: with several subnets they are what any of them wants.
    let outside = subnets
        .iter()
        .filter(|subnet| subnet.sender == RaSender::Outside);
    let free = outside.clone().any(|subnet| {
        subnet
            .segment
            .is_some_and(|segment| segment.expected.is_none())
    });
    let flags = outside.filter_map(|subnet| subnet.segment?.expected);
    let (managed, other) = flags
        .clone()
        .fold((false, false), |(managed, other), flags| {
            (managed | flags.managed, other | flags.other)
        });
    if flags.count() > 0 && !free && (sender.managed, sender.other) != (managed, other) {
        problems.push(format!(
            "the subnets' modes want M={} O={}, and {sender} advertises",
            u8::from(managed),
            u8::from(other)
        ));
    }
    for (subnet, flags) in expected {
        let cidr = subnet.cidr;
        let option = sender.prefixes.iter().find(|prefix| prefix.prefix == cidr);
        match option {
            Some(option) if option.autonomous != flags.autonomous => problems.push(format!(
                "the modes of {cidr} want A={}, and {sender} advertises",
                u8::from(flags.autonomous)
            )),
            None if subnet.sender == RaSender::Outside && flags.autonomous => problems.push(
                format!("{cidr} is to be advertised with A=1, and {sender} does not"),
            ),
            Some(_) | None => {}
        }
    }
}

#[cfg(test)]
mod tests;
