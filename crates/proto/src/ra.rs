//! Sending Router Advertisements on one port's link (RFC 4861 §6.2).
//!
//! Where this departs from a router on a shared link: the link has one guest, so what is not periodic goes to the
//! guest's MAC, at once and without the delays that keep many hosts from speaking together; nothing is sent before
//! the guest was heard, since it would be lost.

use std::time::{Duration, Instant};

use hextet_core::link::RaPlan;
use hextet_wire::ndp::{NdOption, PrefixInformation, RouterAdvert};

use crate::random::Random;

/// MIN_DELAY_BETWEEN_RAS (RFC 4861 §10).
pub const MIN_DELAY_BETWEEN_RAS: Duration = Duration::from_secs(3);
/// MAX_INITIAL_RTR_ADVERT_INTERVAL (RFC 4861 §10).
pub const MAX_INITIAL_RTR_ADVERT_INTERVAL: Duration = Duration::from_secs(16);
/// MAX_INITIAL_RTR_ADVERTISEMENTS (RFC 4861 §10).
pub const MAX_INITIAL_RTR_ADVERTISEMENTS: u8 = 3;

/// Cur Hop Limit: what IANA recommends for hosts.
const CUR_HOP_LIMIT: u8 = 64;
/// The longest advertisement, bytes: with its IPv6 header it fits the smallest MTU of a link (RFC 8200 §5).
const ADVERT_BYTES_MAX: usize = 1280 - 40;
/// The fixed part of an advertisement and its Source Link-Layer Address option, bytes.
const ADVERT_FIXED_BYTES: usize = 16 + 8;
/// Servers in one RDNSS option, and domains in one DNSSL option; more take further options (RFC 8106 §5.1).
const DNS_ENTRIES_PER_OPTION: usize = 4;

/// When the next unsolicited advertisement goes out.
#[derive(Clone, Debug)]
enum Phase {
    /// The guest was not heard yet, or there is nothing to advertise.
    Silent,
    /// The first advertisements follow each other closely (RFC 4861 §6.2.4).
    Initial { sent: u8, next: Instant },
    /// At random within the interval (RFC 4861 §6.2.4).
    Steady { next: Instant },
    /// Everything was taken back (RFC 4861 §6.2.5).
    Ceased,
}

/// What a change of plan puts on the wire.
#[derive(Clone, Debug)]
pub(crate) enum Change {
    /// Nothing, or nobody to hear it.
    Nothing,
    /// The new content.
    Content(Vec<RouterAdvert>),
    /// The old content taken back: nothing is left.
    Final(Vec<RouterAdvert>),
}

/// The sender of Router Advertisements: when, and what.
#[derive(Clone, Debug)]
pub(crate) struct Advertiser {
    plan: Option<RaPlan>,
    phase: Phase,
    random: Random,
}

impl Advertiser {
    pub(crate) fn new(plan: Option<RaPlan>, seed: u64) -> Self {
        Self {
            plan,
            phase: Phase::Silent,
            random: Random::new(seed),
        }
    }

    /// An advertisement goes out to all nodes: what follows by itself is counted from here.
    pub(crate) fn handle_start(&mut self, now: Instant) -> Vec<RouterAdvert> {
        let Some(plan) = &self.plan else {
            return Vec::new();
        };
        let adverts = adverts(plan);
        let next = now + self.interval(true);
        self.phase = Phase::Initial { sent: 1, next };
        adverts
    }

    /// The guest was heard for the first time.
    pub(crate) fn handle_first_frame(&mut self, now: Instant) -> Vec<RouterAdvert> {
        match self.phase {
            Phase::Silent | Phase::Initial { .. } | Phase::Steady { .. } => self.handle_start(now),
            Phase::Ceased => Vec::new(),
        }
    }

    /// The guest is known from before a restart: nothing at once, then as ever.
    pub(crate) fn handle_resume(&mut self, now: Instant) {
        if self.plan.is_some() {
            let next = now + self.interval(false);
            self.phase = Phase::Steady { next };
        }
    }

    /// A solicitation is to be answered. `to_all`: the answer goes to all nodes, so the next waits its time.
    pub(crate) fn handle_solicit(&mut self, to_all: bool, now: Instant) -> Vec<RouterAdvert> {
        let Some(plan) = &self.plan else {
            return Vec::new();
        };
        match &mut self.phase {
            Phase::Silent => return self.handle_start(now),
            Phase::Ceased => return Vec::new(),
            Phase::Initial { next, .. } | Phase::Steady { next } => {
                if to_all {
                    *next = (*next).max(now + MIN_DELAY_BETWEEN_RAS);
                }
            }
        }
        adverts(plan)
    }

    /// What is advertised changes: what a guest that was heard must hear at once.
    pub(crate) fn handle_plan(
        &mut self,
        plan: Option<RaPlan>,
        guest_seen: bool,
        now: Instant,
    ) -> Change {
        if self.plan == plan {
            return Change::Nothing;
        }
        if plan.is_none() {
            let adverts = self.handle_cease();
            self.plan = None;
            self.phase = Phase::Silent;
            return Change::Final(adverts);
        }
        self.plan = plan;
        if guest_seen {
            Change::Content(self.handle_start(now))
        } else {
            Change::Nothing
        }
    }

    /// Everything is taken back, if it was ever said.
    pub(crate) fn handle_cease(&mut self) -> Vec<RouterAdvert> {
        let spoke = matches!(self.phase, Phase::Initial { .. } | Phase::Steady { .. });
        self.phase = Phase::Ceased;
        match &self.plan {
            Some(plan) if spoke => adverts(&taken_back(plan)),
            _ => Vec::new(),
        }
    }

    /// Nobody is there, or nobody may be spoken to.
    pub(crate) fn handle_silence(&mut self) {
        self.phase = Phase::Silent;
    }

    /// The unsolicited advertisement that is due.
    pub(crate) fn poll(&mut self, now: Instant) -> Vec<RouterAdvert> {
        let sent = match self.phase {
            Phase::Initial { sent, next } if next <= now => sent.saturating_add(1),
            Phase::Steady { next } if next <= now => MAX_INITIAL_RTR_ADVERTISEMENTS,
            Phase::Silent | Phase::Initial { .. } | Phase::Steady { .. } | Phase::Ceased => {
                return Vec::new();
            }
        };
        let Some(plan) = &self.plan else {
            return Vec::new();
        };
        let adverts = adverts(plan);
        self.phase = if sent < MAX_INITIAL_RTR_ADVERTISEMENTS {
            let next = now + self.interval(true);
            Phase::Initial { sent, next }
        } else {
            let next = now + self.interval(false);
            Phase::Steady { next }
        };
        adverts
    }

    /// Whether nothing was advertised yet.
    pub(crate) fn is_silent(&self) -> bool {
        matches!(self.phase, Phase::Silent)
    }

    /// When the next unsolicited advertisement is due.
    pub(crate) fn poll_timeout(&self) -> Option<(Instant, &'static str)> {
        match self.phase {
            Phase::Initial { next, .. } => Some((next, "initial router advertisement")),
            Phase::Steady { next } => Some((next, "periodic router advertisement")),
            Phase::Silent | Phase::Ceased => None,
        }
    }

    /// A random time between MinRtrAdvInterval and MaxRtrAdvInterval (RFC 4861 §6.2.1), never below
    /// [`MIN_DELAY_BETWEEN_RAS`].
    fn interval(&mut self, initial: bool) -> Duration {
        let configured = self
            .plan
            .as_ref()
            .map_or(0, |plan| plan.max_rtr_adv_interval_s);
        let max = Duration::from_secs(u64::from(configured)).max(MIN_DELAY_BETWEEN_RAS);
        let min = if max >= Duration::from_secs(9) {
            max.mul_f64(0.33)
        } else {
            max
        };
        let chosen = self.random.between(min.max(MIN_DELAY_BETWEEN_RAS), max);
        if initial {
            chosen.min(MAX_INITIAL_RTR_ADVERT_INTERVAL)
        } else {
            chosen
        }
    }
}

/// The same advertisement with every lifetime at its end (RFC 4861 §6.2.5, RFC 8106 §6.3).
fn taken_back(plan: &RaPlan) -> RaPlan {
    let mut last = plan.clone();
    last.router_lifetime_s = 0;
    last.dns_lifetime_s = 0;
    for prefix in &mut last.prefixes {
        prefix.valid_lifetime_s = 0;
        prefix.preferred_lifetime_s = 0;
    }
    last
}

/// The content as advertisements without their Source Link-Layer Address: one, or as many as the smallest MTU asks for
/// (RFC 4861 §6.2.3).
fn adverts(plan: &RaPlan) -> Vec<RouterAdvert> {
    let empty = || RouterAdvert {
        cur_hop_limit: CUR_HOP_LIMIT,
        managed: plan.managed,
        other: plan.other,
        router_lifetime_s: plan.router_lifetime_s,
        reachable_time_ms: 0,
        retrans_timer_ms: plan.retrans_timer_ms,
        options: Vec::new(),
    };
    let mut adverts = Vec::new();
    let mut advert = empty();
    let mut bytes = ADVERT_FIXED_BYTES;
    for option in options(plan) {
        let more = option.emitted_bytes();
        if bytes + more > ADVERT_BYTES_MAX {
            adverts.push(std::mem::replace(&mut advert, empty()));
            bytes = ADVERT_FIXED_BYTES;
        }
        bytes += more;
        advert.options.push(option);
    }
    adverts.push(advert);
    adverts
}

fn options(plan: &RaPlan) -> Vec<NdOption> {
    let mut options = vec![NdOption::Mtu(plan.mtu)];
    options.extend(plan.prefixes.iter().map(|prefix| {
        NdOption::Prefix(PrefixInformation {
            prefix: prefix.prefix,
            on_link: true,
            autonomous: prefix.autonomous,
            valid_lifetime_s: prefix.valid_lifetime_s,
            preferred_lifetime_s: prefix.preferred_lifetime_s,
        })
    }));
    let lifetime_s = plan.dns_lifetime_s;
    let servers = plan.rdnss.chunks(DNS_ENTRIES_PER_OPTION);
    options.extend(servers.map(|servers| NdOption::Rdnss {
        lifetime_s,
        servers: servers.to_vec(),
    }));
    let domains = plan.dnssl.chunks(DNS_ENTRIES_PER_OPTION);
    options.extend(domains.map(|domains| NdOption::Dnssl {
        lifetime_s,
        domains: domains.to_vec(),
    }));
    options
}

#[cfg(test)]
mod tests;
