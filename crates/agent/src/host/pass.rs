//! One pass: observe, take the difference, apply it, observe again.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::time::Instant;

use hextet_core::ids::{PortId, PortNumber, Vni};
use hextet_core::plan::PortPlan;
use tracing::{debug, error, info, warn};

use super::{Host, LARGE_PASS};
use crate::config::{Config, HookKind};
use crate::kernel::fastpath::PuntBudget;
use crate::kernel::links::{self, LinkSeen, NewVeth};
use crate::kernel::{FastpathConfig, FastpathError, Hook, MapOp, Rows, netns};
use crate::ledger::Target;
use crate::reconcile::{
    LinkOp, LinkWanted, LinksWanted, diff_links, links_wanted, rows_wanted, segments,
};

/// What is there.
#[derive(Default)]
pub(super) struct Observed {
    pub(super) links: BTreeMap<String, LinkSeen>,
    pub(super) attached: BTreeSet<u32>,
    /// An older program of ours is on them, with rows of its own.
    pub(super) inherited: BTreeSet<u32>,
}

/// The pass cannot go on.
#[derive(Debug, thiserror::Error)]
pub(super) enum PassError {
    #[error("links cannot be listed")]
    Links(#[source] io::Error),
    #[error(transparent)]
    Fastpath(#[from] FastpathError),
}

impl Host {
    /// Brings the host to what the ledger says, as far as it can be; what cannot is kept for the report.
    pub(super) fn pass(&mut self) {
        self.failures.clear();
        self.failure = None;
        let began = Instant::now();
        let outcome = self.try_pass();
        self.passes
            .note(outcome.as_ref().ok().copied(), began.elapsed());
        if outcome.as_ref().is_ok_and(|ops| *ops >= LARGE_PASS) {
            self.littered_at = Some(Instant::now());
        }
        match outcome {
            // The first says that a restarted agent changed nothing; later ones only what they did.
            Ok(ops) if ops > 0 || self.passes.made == 1 => info!(ops, "reconcile"),
            Ok(_) => debug!(ops = 0, "reconcile"),
            Err(failure) => {
                let text = hextet_core::errors::chain(&failure);
                error!(error = text, "reconcile failed");
                self.failure = Some(text);
            }
        }
    }

    /// How many operations it took.
    fn try_pass(&mut self) -> Result<usize, PassError> {
        let repaired = self.fastpath.repair()?;
        if repaired > 0 {
            self.passes.pins += repaired as u64;
            warn!(repaired, "pins of the fast path were gone");
        }
        let seen = self.observe()?;
        self.note_taken_off(&seen);
        let before = self.fastpath.dump()?;
        let mut wanted = links_wanted(&self.state);
        let ops = self.mend_links(&mut wanted, &seen);
        let mut count = repaired + ops.len();
        let seen = if ops.is_empty() {
            seen
        } else {
            self.observe_after(&ops, seen)?
        };
        self.known = seen
            .links
            .values()
            .map(|link| (link.ifindex, link.clone()))
            .collect();
        let programmed = |ifindex| before.ports.get(&ifindex).map(|row| row.port);
        self.note_carriers(&wanted, &seen, programmed, None);
        if self.passes.made == 0 {
            self.adopt(&before);
        }
        let guests = self
            .carriers
            .values()
            .map(|carrier| carrier.ifindex)
            .collect();
        self.segments = segments(
            &self.state.plan,
            &self.config.physical_networks,
            &seen.links,
            &guests,
            &before.nics,
        );
        self.heard.retain(|vni, _| {
            let segment = self.segments.get(vni);
            segment.is_some_and(|segment| segment.nic.is_some())
        });
        let (rows, changed) = self.apply_rows(&before);
        count += changed;
        count += self.fastpath.take_over()?;
        count += self.attach_and_raise(&wanted, &seen);
        count += self.lead_to_segments(&before, &rows, &seen);
        self.problems = wanted.problems;
        self.note_taps(&seen.links);
        Ok(count)
    }

    fn observe(&self) -> Result<Observed, PassError> {
        let attached = self.fastpath.attached()?;
        Ok(Observed {
            links: links_by_name()?,
            attached,
            inherited: self.fastpath.inherited()?,
        })
    }

    /// After these changes. A link that is new has no program, and those of the others stay: they are not asked again.
    fn observe_after(&self, ops: &[LinkOp], before: Observed) -> Result<Observed, PassError> {
        let keeps = |op: &LinkOp| matches!(op, LinkOp::Create { .. } | LinkOp::Configure { .. });
        if !ops.iter().all(keeps) {
            return self.observe();
        }
        Ok(Observed {
            links: links_by_name()?,
            ..before
        })
    }

    /// Makes links what is wanted, as far as they are not, and says what that took.
    pub(super) fn mend_links(&mut self, wanted: &mut LinksWanted, seen: &Observed) -> Vec<LinkOp> {
        let namespaces = namespaces(wanted);
        let ops = diff_links(
            wanted,
            &seen.links,
            &seen.attached,
            &namespaces,
            &self.config.instance,
        );
        for op in &ops {
            self.apply_link(op, wanted);
        }
        ops
    }

    fn apply_link(&mut self, op: &LinkOp, wanted: &LinksWanted) {
        debug!(?op, "link");
        let (port, result) = match op {
            LinkOp::Create { name, wanted } => (
                Some(wanted.port),
                create(name, wanted, &self.config.instance),
            ),
            LinkOp::Configure { ifindex, wanted } => {
                (Some(wanted.port), configure(*ifindex, wanted))
            }
            LinkOp::Detach { ifindex } => {
                let detached = self.fastpath.detach(*ifindex);
                (None, detached.map_err(io::Error::other))
            }
            LinkOp::SetDown { ifindex } => (None, links::set_up(*ifindex, false)),
            LinkOp::Delete { ifindex } => (None, links::delete(*ifindex)),
        };
        let Err(failure) = result else {
            return;
        };
        warn!(
            error = hextet_core::errors::chain(&failure),
            ?op,
            "a link could not be changed"
        );
        if let Some(port) = port.filter(|port| !wanted.problems.contains_key(port)) {
            self.failures.insert(port, explain(op, &failure));
        }
    }

    /// The rows that there are to be, and how many changes that took.
    fn apply_rows(&mut self, before: &Rows) -> (Rows, usize) {
        let carried = self.carried();
        let known: BTreeSet<PortNumber> = self.state.plan.ports().map(|port| port.number).collect();
        let stays = |id: &PortId| self.carriers.contains_key(id) && !self.lost.contains(id);
        let staying = self.state.plan.ports().filter(|port| stays(&port.id));
        let staying: BTreeSet<PortNumber> = staying.map(|port| port.number).collect();
        let seen = before.seen.intersection(&staying).copied().collect();
        let wanted = rows_wanted(&self.state, &carried, &self.segments, seen);
        let mut ops = before.diff(&wanted);
        let mentioned = before
            .ports
            .values()
            .map(|row| row.port)
            .chain(before.sources.keys().map(|(port, _)| *port));
        let gone: BTreeSet<PortNumber> = mentioned.filter(|port| !known.contains(port)).collect();
        ops.extend(gone.into_iter().map(MapOp::Forget));
        self.note_unasked(&ops);
        self.apply_ops(&ops);
        (wanted, ops.len())
    }

    /// Whose tables of groups these changes make anew.
    pub(super) fn note_unasked(&mut self, ops: &[MapOp]) {
        let numbers = ops.iter().filter_map(|op| match op {
            MapOp::SetListener(number, _) => Some(*number),
            _ => None,
        });
        let numbers: BTreeSet<PortNumber> = numbers.collect();
        let ports = self.state.plan.ports();
        let unasked = ports.filter(|port| numbers.contains(&port.number));
        self.unasked.extend(unasked.map(|port| port.id));
    }

    pub(super) fn apply_ops(&mut self, ops: &[MapOp]) {
        if let Err(failure) = self.fastpath.apply(ops) {
            let text = hextet_core::errors::chain(&failure);
            error!(error = text, "the fast path refused rows");
            self.blame(ops, &failure.failures);
        }
    }

    /// A row that a full map refused is the failure of the ports that need it, and of the whole host where none is known.
    fn blame(&mut self, ops: &[MapOp], failures: &[(usize, io::Error)]) {
        self.passes.rows_refused += failures.len() as u64;
        for (at, failure) in failures {
            let text = format!("the fast path refused a row: {failure}");
            let ports = ops
                .get(*at)
                .map_or_else(Vec::new, |op| self.ports_in_need(op));
            if ports.is_empty() {
                self.failure = Some(text.clone());
            }
            for port in ports {
                self.failures.insert(port, text.clone());
            }
        }
    }

    /// Whose row it is; of a network's rows the ports that the program does not serve yet: the others have what they need.
    fn ports_in_need(&self, op: &MapOp) -> Vec<PortId> {
        let planned = |wanted: &dyn Fn(&PortPlan) -> bool| {
            let ports = self.state.plan.ports().filter(|port| wanted(port));
            ports.map(|port| port.id).collect()
        };
        let numbered = |number: PortNumber| planned(&|port| port.number == number);
        let newest = |net: Vni| {
            let waits = |port: &PortPlan| {
                let carrier = self.carriers.get(&port.id);
                port.vni == net && carrier.is_some_and(|carrier| !carrier.attached)
            };
            planned(&waits)
        };
        match op {
            MapOp::SetPort(_, row) => numbered(row.port),
            MapOp::SetSource((port, _), _)
            | MapOp::SetLearnable((port, _))
            | MapOp::SetListener(port, _) => numbered(*port),
            MapOp::SetNeigh((net, _), row) => row.port.map_or_else(|| newest(*net), numbered),
            MapOp::SetMembers(net, _) => newest(*net),
            MapOp::SetFdb(_, ifindex) => {
                let on_it = self.carriers.iter();
                on_it
                    .filter(|(_, carrier)| carrier.ifindex == *ifindex)
                    .map(|(port, _)| *port)
                    .collect()
            }
            _ => Vec::new(),
        }
    }

    /// Last of all, so that a guest's first frame meets a program and its rows.
    pub(super) fn attach_and_raise(&mut self, wanted: &LinksWanted, seen: &Observed) -> usize {
        let mut count = 0;
        for (name, link) in &wanted.links {
            let Some(carrier) = self.carriers.get_mut(&link.port) else {
                continue;
            };
            if self.failures.contains_key(&link.port) {
                continue;
            }
            let ifindex = carrier.ifindex;
            let fresh = !carrier.attached;
            if fresh {
                count += 1;
                // A tap that somebody made speaks IPv6 for this host until now.
                let quiet = links::silence(name);
                let attached = quiet.map_err(|source| FastpathError::Hook {
                    what: "silence",
                    ifindex,
                    source,
                });
                if let Err(failure) = attached.and_then(|()| self.fastpath.attach(ifindex)) {
                    self.failures
                        .insert(link.port, hextet_core::errors::chain(&failure));
                    continue;
                }
                carrier.attached = true;
            }
            if !seen.links.get(name).is_some_and(|found| found.admin_up) {
                count += 1;
                match links::set_up(ifindex, true) {
                    Ok(()) => {
                        carrier.admin_up = true;
                        if let Some(known) = self.known.get_mut(&ifindex) {
                            known.admin_up = true;
                        }
                    }
                    Err(failure) => {
                        let text = format!("the link cannot be set up: {failure}");
                        self.failures.insert(link.port, text);
                    }
                }
            }
        }
        count
    }
}

fn links_by_name() -> Result<BTreeMap<String, LinkSeen>, PassError> {
    let links = links::dump().map_err(PassError::Links)?;
    let named = links.into_iter().map(|link| (link.name.clone(), link));
    Ok(named.collect())
}

/// The fast path of this configuration.
pub(crate) fn fastpath_config(config: &Config) -> FastpathConfig {
    FastpathConfig {
        instance: config.instance.clone(),
        state_dir: config.state_dir.clone(),
        hook: match config.hook {
            HookKind::Tcx => Hook::Tcx,
            HookKind::Clsact => Hook::Clsact,
        },
        sizes: config.maps,
        punt: PuntBudget {
            per_second: config.punt.rate,
            burst: config.punt.burst,
        },
    }
}

/// The namespaces that are wanted and there.
fn namespaces(wanted: &LinksWanted) -> BTreeSet<String> {
    wanted
        .links
        .values()
        .filter_map(|link| match &link.target {
            Some(Target::Netns { name, .. }) => Some(name),
            _ => None,
        })
        .filter(|name| netns::path(name).exists())
        .cloned()
        .collect()
}

fn create(name: &str, wanted: &LinkWanted, instance: &str) -> io::Result<()> {
    let Some(Target::Netns {
        name: netns,
        ifname,
        down,
    }) = &wanted.target
    else {
        return Err(io::Error::other("only pairs are made"));
    };
    links::create_veth(&NewVeth {
        host_name: name,
        alias: &links::tag(instance, wanted.port),
        netns: &netns::path(netns),
        guest_name: ifname,
        mac: wanted.mac,
        mtu: wanted.mtu,
        // It has no carrier before the host's end is up, which comes last.
        guest_up: !down,
    })
    .map(|_| ())
}

/// The guest's end first: what is left undone shows at the host's end, and is tried again.
fn configure(ifindex: u32, wanted: &LinkWanted) -> io::Result<()> {
    if let Some(Target::Netns { name, ifname, .. }) = &wanted.target {
        netns::inside(&netns::path(name), || {
            let found = links::dump()?.into_iter().find(|link| link.name == *ifname);
            let guest = found.ok_or(io::ErrorKind::NotFound)?;
            if guest.mac != wanted.mac {
                // Addresses that the guest formed from the old one go with it.
                links::set_up(guest.ifindex, false)?;
                links::set_mac(guest.ifindex, wanted.mac)?;
                links::set_up(guest.ifindex, guest.admin_up)?;
            }
            links::set_mtu(guest.ifindex, wanted.mtu)
        })??;
    }
    links::set_mac(ifindex, wanted.mac)?;
    links::set_mtu(ifindex, wanted.mtu)
}

fn explain(op: &LinkOp, failure: &io::Error) -> String {
    match op {
        LinkOp::Create { wanted, .. } => {
            let target = wanted.target.as_ref().map(Target::to_string);
            let target = target.as_deref().unwrap_or("a pair");
            format!("{target} cannot be made: {failure}")
        }
        _ => format!("the link cannot be changed: {failure}"),
    }
}
