//! Taps that are named as ports are and carry none: what the server is asked to bind, and what it said.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use hextet_core::ids::PortId;
use hextet_core::report::ClaimOutcome;
use hextet_feed::CLAIMS_MAX;
use tracing::{info, warn};

use super::Host;
use crate::kernel::links::{LinkKind, LinkSeen};
use crate::ledger::Target;
use crate::metrics::ClaimsBy;

/// What there is to say of such taps.
#[derive(Debug, Default)]
pub(super) struct Claims {
    /// Told to the server; what it said, if it did.
    asked: BTreeMap<String, Option<ClaimOutcome>>,
    /// Those that there was no room for.
    over: usize,
}

impl Claims {
    /// Whether the server was told of this tap.
    pub(super) fn is_asked(&self, tap: &str) -> bool {
        self.asked.contains_key(tap)
    }
}

impl Host {
    /// After a look at all links.
    pub(super) fn note_taps(&mut self, links: &BTreeMap<String, LinkSeen>) {
        let released = &self.state.released;
        let planned: BTreeSet<String> = self
            .state
            .plan
            .ports()
            .filter(|port| !released.contains(&port.id))
            .map(|port| port.id.tap_name())
            .collect();
        let before = self.state.let_go.len();
        self.state.let_go.retain(|name, ifindex| {
            let there = links.get(name).is_some_and(|link| link.ifindex == *ifindex);
            there && !planned.contains(name)
        });
        if self.state.let_go.len() != before {
            self.unwritten_since
                .get_or_insert_with(std::time::Instant::now);
        }
        let declared = self.state.declarations.values();
        let declared: BTreeSet<&str> = declared
            .filter_map(|target| match target {
                Target::Tap { name } => Some(name.as_str()),
                Target::Netns { .. } => None,
            })
            .collect();
        let released: BTreeSet<String> = released.iter().map(|port| port.tap_name()).collect();
        let free = links.values().filter(|link| {
            let name = link.name.as_str();
            let taken =
                planned.contains(name) || released.contains(name) || declared.contains(name);
            is_claimable(link) && !taken && !self.state.let_go.contains_key(name)
        });
        let mut free = free.map(|link| link.name.clone());
        let asked: BTreeSet<String> = free.by_ref().take(CLAIMS_MAX).collect();
        let over = free.count();
        self.claim(asked, over);
    }

    fn claim(&mut self, asked: BTreeSet<String>, over: usize) {
        if over > 0 && self.claims.over == 0 {
            warn!(
                over,
                limit = CLAIMS_MAX,
                "more taps are named as ports than are claimed at once"
            );
        }
        self.claims.over = over;
        let mut before = std::mem::take(&mut self.claims.asked);
        let known = asked.iter().map(|tap| {
            let said = before.remove(tap).flatten();
            (tap.clone(), said)
        });
        self.claims.asked = known.collect();
        self.ports.claims.send_if_modified(|old| {
            let new = **old != asked;
            *old = Arc::new(asked);
            new
        });
    }

    /// The server's answer.
    pub(super) fn take_claim(&mut self, tap: &str, outcome: ClaimOutcome) {
        let Some(said) = self.claims.asked.get_mut(tap) else {
            return;
        };
        if *said != Some(outcome) {
            *said = Some(outcome);
            info!(tap, %outcome, "tap claimed");
        }
    }

    /// Nothing is claimed any more.
    pub(super) fn unclaim(&mut self) {
        self.claim(BTreeSet::new(), 0);
    }

    /// A port's link is given up while it stays there: it is not claimed again until somebody makes it anew.
    pub(super) fn let_go(&mut self, port: PortId) {
        let name = port.tap_name();
        if self.link_name(port) == name
            && let Some(carrier) = self.carriers.get(&port)
        {
            self.state.let_go.insert(name, carrier.ifindex);
        }
    }

    /// Whether a tap is there that is to be claimed, or no more, when the plan begins or ceases to have this port.
    pub(super) fn has_tap(&self, port: PortId) -> bool {
        let name = port.tap_name();
        let carrier = self.carriers.get(&port).map(|carrier| carrier.ifindex);
        let mut taps = self
            .known
            .values()
            .filter(|link| link.kind == LinkKind::Tap);
        let known = taps.any(|link| link.name == name || Some(link.ifindex) == carrier);
        known
            || self.claims.over > 0
            || self.claims.is_asked(&name)
            || self.state.let_go.contains_key(&name)
    }

    /// Why the tap that somebody means carries no port, where that is known. `digits`: the beginning of an id.
    pub(super) fn why_unclaimed(&self, text: &str, digits: &str) -> Option<String> {
        let means = |tap: &String| {
            let own: String = tap
                .chars()
                .filter(char::is_ascii_hexdigit)
                .skip(1)
                .collect();
            tap == text
                || (!digits.is_empty() && (own.starts_with(digits) || digits.starts_with(&own)))
        };
        let asked = self.claims.asked.iter().find(|(tap, _)| means(tap));
        let why = asked.map(|(tap, said)| match said {
            Some(outcome) => format!("the tap {tap} is here and carries no port: {outcome}"),
            None => format!(
                "the tap {tap} is here and carries no port: the server has not answered for it yet"
            ),
        });
        why.or_else(|| {
            let (tap, _) = self.state.let_go.iter().find(|(tap, _)| means(tap))?;
            Some(format!(
                "the tap {tap} is here and carries no port: its port was detached or unbound here; attach it, or make \
                 the tap anew"
            ))
        })
    }

    pub(super) fn claims_by(&self) -> ClaimsBy {
        let waits = |said: &&Option<ClaimOutcome>| {
            matches!(
                said,
                None | Some(ClaimOutcome::NoPort | ClaimOutcome::Bound)
            )
        };
        let waiting = self.claims.asked.values().filter(waits).count();
        ClaimsBy {
            waiting,
            refused: self.claims.asked.len() - waiting,
            over: self.claims.over,
        }
    }
}

/// A tap that somebody else made under a name that a port can have.
fn is_claimable(link: &LinkSeen) -> bool {
    let tagged = link
        .alias
        .as_deref()
        .is_some_and(|alias| alias.starts_with("hextet:"));
    link.kind == LinkKind::Tap && !tagged && PortId::of_tap_name(&link.name).is_some()
}
