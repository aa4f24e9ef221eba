//! NICs that lead to physical segments: which MACs they take in, and the program on them.

use std::collections::BTreeSet;
use std::io;

use hextet_core::ids::Vni;
use hextet_core::mac::Mac;
use tracing::warn;

use super::Host;
use super::pass::Observed;
use crate::kernel::{Fastpath, FastpathError, NicRow, Rows, filters, links};

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
            if attached.get(ifindex) != Some(&true) {
                ops.push(NicOp::Attach(*ifindex));
            }
        }
        let leaving = attached.keys().filter(|nic| !now.nics.contains_key(nic));
        ops.extend(leaving.map(|nic| NicOp::Detach(*nic)));
        for op in &ops {
            if let Err(failure) = apply(&self.fastpath, *op) {
                self.blame_segment(now, *op, &failure);
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

    /// Why a port of a flat network is not served whole; `None` for all others, too.
    pub(super) fn segment_problem(&self, vni: Vni) -> Option<String> {
        let problem = self.segments.get(&vni)?.problem.as_ref()?;
        Some(problem.to_string())
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
    taken_in: &std::collections::BTreeMap<u32, BTreeSet<Mac>>,
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
