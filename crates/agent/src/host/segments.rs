//! NICs that lead to physical segments: which MACs they take in, the program on them, and what was heard by them.

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use hextet_core::ids::{PortId, Vni};
use hextet_core::link::{Router, names_router};
use hextet_core::mac::Mac;
use hextet_core::plan::SubnetPlan;
use hextet_proto::{SegmentRules, SegmentSeen};
use hextet_wire::arp::whereabouts;
use tracing::{info, warn};

use super::Host;
use super::pass::Observed;
use crate::kernel::{Fastpath, FastpathError, NicRow, Rows, filters, links};
use crate::serve::SegmentView;

/// One change of a NIC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum NicOp {
    AllMulticast(u32, bool),
    TakeIn(u32, Mac),
    LeaveOut(u32, Mac),
    Attach(u32),
    Detach(u32),
}

impl Host {
    /// From the rows of before and now to NICs that take in what is for guests, and run the program. What else they take
    /// in stays.
    pub(super) fn lead_to_segments(&mut self, before: &Rows, now: &Rows, seen: &Observed) -> usize {
        let attached = match self.fastpath.attached_uplinks() {
            Ok(attached) => attached,
            Err(failure) => {
                self.failure = Some(hextet_core::errors::chain(&failure));
                return 0;
            }
        };
        let led = std::mem::take(&mut self.rounds.nics);
        if before.nics.is_empty() && now.nics.is_empty() && attached.is_empty() {
            return 0;
        }
        let taken_in = filters::dump().unwrap_or_else(|error| {
            warn!(%error, "what NICs take in cannot be listed");
            Default::default()
        });
        let mut ops = Vec::new();
        for (ifindex, row) in &before.nics {
            if now.nics.get(ifindex).is_none_or(|new| new.net != row.net) {
                ops.extend(release(before, *ifindex, *row, &taken_in));
            }
        }
        for (ifindex, row) in &now.nics {
            let link = seen.links.values().find(|link| link.ifindex == *ifindex);
            if row.all_multicast && link.is_some_and(|link| !link.all_multicast) {
                ops.push(NicOp::AllMulticast(*ifindex, true));
            }
            let there = taken_in.get(ifindex).cloned().unwrap_or_default();
            let (old, new) = (macs(before, row.net), macs(now, row.net));
            let gone = old.difference(&new).filter(|mac| there.contains(mac));
            ops.extend(gone.map(|mac| NicOp::LeaveOut(*ifindex, *mac)));
            let missing = new.difference(&there);
            ops.extend(missing.map(|mac| NicOp::TakeIn(*ifindex, *mac)));
            if attached.get(ifindex) == Some(&true) {
                self.rounds.nics.insert(*ifindex);
            } else {
                if led.contains(ifindex) {
                    self.note_nic_off(*ifindex);
                }
                ops.push(NicOp::Attach(*ifindex));
            }
        }
        let leaving = attached.keys().filter(|nic| !now.nics.contains_key(nic));
        ops.extend(leaving.map(|nic| NicOp::Detach(*nic)));
        for op in &ops {
            match (apply(&self.fastpath, *op), op) {
                (Ok(()), NicOp::Attach(nic)) => {
                    self.rounds.nics.insert(*nic);
                }
                (Ok(()), _) => {}
                (Err(failure), _) => self.blame_segment(now, *op, &failure),
            }
        }
        ops.len()
    }

    /// All ports of the network feel it.
    fn blame_segment(&mut self, now: &Rows, op: NicOp, failure: &io::Error) {
        warn!(error = %failure, ?op, "a NIC could not be changed");
        let (NicOp::AllMulticast(nic, _)
        | NicOp::TakeIn(nic, _)
        | NicOp::LeaveOut(nic, _)
        | NicOp::Attach(nic)
        | NicOp::Detach(nic)) = op;
        let Some(row) = now.nics.get(&nic) else {
            return;
        };
        let on_it = self.state.plan.ports().filter(|port| port.vni == row.net);
        for port in on_it {
            let text = format!("the NIC of the physical network cannot be changed: {failure}");
            self.failures.entry(port.id).or_insert(text);
        }
    }

    /// The guests whose segments are behind these NICs say there where they are: the switches of another place do not know, and
    /// those that do would send what is for guests to where it is taken in no more.
    pub(super) fn announce(&self, nics: &BTreeSet<u32>) {
        for (vni, segment) in &self.segments {
            let nic = segment.nic.as_ref();
            let Some(nic) = nic.filter(|nic| nics.contains(&nic.ifindex)) else {
                continue;
            };
            let here = self.carriers.keys();
            let here = here.filter_map(|port| self.state.plan.port(*port));
            let here = here.filter(|port| port.vni == *vni && port.admin_state_up);
            let (mut guests, mut lost) = (0, 0);
            for port in here {
                guests += 1;
                let said = self.announcer.send(nic.ifindex, &whereabouts(port.mac));
                lost += usize::from(said.is_err());
            }
            info!(
                nic = nic.name,
                guests, lost, "guests were announced on a physical segment"
            );
        }
    }

    /// Why a port of a flat network is not served whole; `None` for all others, too.
    pub(super) fn segment_problem(&self, vni: Vni) -> Option<String> {
        let problem = self.segments.get(&vni)?.problem.as_ref()?;
        Some(problem.to_string())
    }
}

impl Host {
    /// What the serving thread is to listen to.
    pub(super) fn segment_views(&self) -> BTreeMap<Vni, SegmentView> {
        let mut views = BTreeMap::new();
        for (vni, segment) in &self.segments {
            let up = self
                .state
                .plan
                .network(*vni)
                .is_some_and(|network| network.admin_state_up);
            let Some(nic) = segment.nic.as_ref().filter(|_| up) else {
                continue;
            };
            let of_net = self
                .state
                .plan
                .subnets()
                .filter(|subnet| subnet.vni == *vni);
            let mut subnets: Vec<SubnetPlan> = of_net.cloned().collect();
            subnets.sort_by_key(|subnet| subnet.sequence);
            let rules = SegmentRules {
                mac: nic.mac,
                subnets,
            };
            let ifindex = nic.ifindex;
            views.insert(*vni, SegmentView { ifindex, rules });
        }
        views
    }

    /// Says what is new and what is over, once.
    pub(super) fn take_segments(&mut self, seen: BTreeMap<Vni, SegmentSeen>) {
        for (vni, seen) in seen {
            let before = self.heard.remove(&vni).unwrap_or_default();
            let name = self
                .segments
                .get(&vni)
                .map(|segment| segment.physical_network.as_str());
            let physical_network = name.unwrap_or_default();
            for problem in seen
                .problems
                .iter()
                .filter(|said| !before.problems.contains(said))
            {
                warn!(
                    physical_network,
                    problem, "a router of a physical network is not as its subnets say"
                );
            }
            for problem in before
                .problems
                .iter()
                .filter(|said| !seen.problems.contains(said))
            {
                info!(physical_network, problem, "no longer");
            }
            self.heard.insert(vni, seen);
        }
    }

    /// What is wrong with the routers of a port's segment, in words.
    pub(super) fn segment_problems(&self, port: PortId) -> &[String] {
        let heard = self
            .state
            .plan
            .port(port)
            .and_then(|port| self.heard.get(&port.vni));
        heard.map_or(&[], |heard| &heard.problems)
    }

    /// Whether a router of a port's segment is heard.
    pub(super) fn hears_router(&self, port: PortId) -> bool {
        let port = self.state.plan.port(port);
        let heard = port.and_then(|port| self.heard.get(&port.vni));
        heard.is_some_and(|heard| !heard.senders.is_empty())
    }

    /// The segment's router that our advertisements to a port name, if they name one.
    pub(super) fn router_of(&self, port: PortId) -> Option<Router> {
        let port = self.state.plan.port(port)?;
        let mut routers = self.heard.get(&port.vni)?.routers();
        routers.find(|router| names_router(&self.state.plan, port, router))
    }
}

/// Takes off NICs what was put on them; the program goes with the rest of the fast path.
///
/// # Errors
/// The kernel's.
pub(super) fn release_all(fastpath: &Fastpath) -> Result<(), FastpathError> {
    let rows = fastpath.dump()?;
    let taken_in = filters::dump().unwrap_or_default();
    for (ifindex, row) in &rows.nics {
        for op in release(&rows, *ifindex, *row, &taken_in) {
            if let Err(error) = apply(fastpath, op) {
                warn!(%error, ?op, "a NIC could not be changed back");
            }
        }
    }
    Ok(())
}

fn release(
    rows: &Rows,
    ifindex: u32,
    row: NicRow,
    taken_in: &BTreeMap<u32, BTreeSet<Mac>>,
) -> Vec<NicOp> {
    let mut ops = Vec::new();
    if row.all_multicast {
        ops.push(NicOp::AllMulticast(ifindex, false));
    }
    let there = taken_in.get(&ifindex).cloned().unwrap_or_default();
    let ours = macs(rows, row.net);
    ops.extend(
        ours.intersection(&there)
            .map(|mac| NicOp::LeaveOut(ifindex, *mac)),
    );
    ops
}

/// Of the network's guests here.
fn macs(rows: &Rows, net: Vni) -> BTreeSet<Mac> {
    let of_net = rows.fdb.keys().filter(|(of, _)| *of == net);
    of_net.map(|(_, mac)| *mac).collect()
}

fn apply(fastpath: &Fastpath, op: NicOp) -> io::Result<()> {
    match op {
        NicOp::AllMulticast(nic, all) => match links::set_all_multicast(nic, all) {
            Err(error) if !all && error.raw_os_error() == Some(libc::ENODEV) => Ok(()),
            other => other,
        },
        NicOp::TakeIn(nic, mac) => filters::add(nic, mac),
        NicOp::LeaveOut(nic, mac) => filters::remove(nic, mac),
        NicOp::Attach(nic) => fastpath.attach_uplink(nic).map_err(io::Error::other),
        NicOp::Detach(nic) => fastpath.detach_uplink(nic).map_err(io::Error::other),
    }
}
