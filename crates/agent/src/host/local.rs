//! Answers to the command line, and to the uplink.

use std::collections::{BTreeMap, BTreeSet};

use hextet_core::ids::PortId;
use hextet_feed::sync::hello;
use hextet_feed::v1;
use tonic::Status;
use tracing::{debug, info};

use super::{Host, Local};
use crate::config::is_ifname;
use crate::kernel::links::LinkKind;
use crate::kernel::{Fastpath, Kind, links, netns};
use crate::ledger::{State, Target};

impl Host {
    /// An attachment is answered by [`Self::bring_attached_about`].
    pub(super) fn answer(&mut self, question: Local) {
        if !matches!(question, Local::Attach(..)) {
            self.bring_attached_about();
        }
        // Whoever asked may have gone.
        match question {
            Local::Attach(port, target, reply) => match self.declare(port, target) {
                Ok(()) => self.attaching.push((port, reply)),
                Err(refusal) => {
                    let _ = reply.send(Err(refusal));
                }
            },
            Local::Detach(port, reply) => {
                let _ = reply.send(self.detach(port));
            }
            Local::List(reply) => {
                let _ = reply.send(self.list());
            }
            Local::Show(port, reply) => {
                let _ = reply.send(self.show(&port).map(Box::new));
            }
            Local::Trace(port, reply) => {
                let _ = reply.send(self.scene(&port).map(Box::new));
            }
            Local::Status(reply) => {
                let _ = reply.send(v1::StatusReply {
                    host: self.config.host.0.clone(),
                    generation: Some(self.state.plan.generation.into()),
                    connected: self.ports.feed.is_connected(),
                    ..v1::StatusReply::default()
                });
            }
            Local::Figures(reply) => {
                let _ = reply.send(self.figures().map(Box::new));
            }
            Local::Greet(reply) => {
                let _ = reply.send(hello(&self.config.host.0, &self.state.plan));
            }
            Local::Down(reply) => {
                let _ = reply.send(self.take_down());
            }
        }
    }

    /// One pass for all attachments that follow each other.
    pub(super) fn bring_attached_about(&mut self) {
        let waiting = std::mem::take(&mut self.attaching);
        if waiting.is_empty() {
            return;
        }
        self.write();
        self.bring_some_about(&waiting.iter().map(|(port, _)| *port).collect());
        for (_, reply) in waiting {
            // Whoever asked may have gone.
            let _ = reply.send(Ok(()));
        }
    }

    fn declare(&mut self, port: PortId, target: Target) -> Result<(), Status> {
        if self.down {
            return Err(Status::failed_precondition("this host was taken down"));
        }
        match self.state.declarations.get(&port) {
            Some(held) if *held == target => return Ok(()),
            Some(held) => {
                return Err(Status::already_exists(format!(
                    "port {port} is attached to {held}: detach it first"
                )));
            }
            None => {}
        }
        check(&target)?;
        let same = |held: &Target| match (held, &target) {
            (
                Target::Netns { name, ifname, .. },
                Target::Netns {
                    name: other,
                    ifname: other_ifname,
                    ..
                },
            ) => name == other && ifname == other_ifname,
            (Target::Tap { name }, Target::Tap { name: other }) => name == other,
            _ => false,
        };
        if let Some((other, _)) = self.state.declarations.iter().find(|(_, held)| same(held)) {
            return Err(Status::already_exists(format!(
                "{target} carries port {other}"
            )));
        }
        self.check_free(port, &target)?;
        info!(%port, %target, "attached");
        self.state.released.remove(&port);
        self.state.declarations.insert(port, target);
        Ok(())
    }

    /// A pair can be made, or is there from an earlier time.
    fn check_free(&self, port: PortId, target: &Target) -> Result<(), Status> {
        let Target::Netns { name, ifname, .. } = target else {
            return Ok(());
        };
        let unreadable = |error: std::io::Error| {
            Status::failed_precondition(format!(
                "{name:?} is no network namespace to look into: {error}"
            ))
        };
        let inside = netns::inside(&netns::path(name), || links::index(ifname));
        match inside.map_err(unreadable)? {
            Err(error) if error.raw_os_error() == Some(libc::ENODEV) => return Ok(()),
            found => found.map_err(unreadable)?,
        };
        let host = links::dump().map_err(unreadable)?;
        let ours = Some(links::tag(&self.config.instance, port));
        if host.iter().any(|link| link.alias == ours) {
            return Ok(());
        }
        Err(Status::already_exists(format!(
            "network namespace {name} has a link named {ifname} already: choose another --ifname"
        )))
    }

    fn detach(&mut self, port: PortId) -> Result<(), Status> {
        let declared = self.state.declarations.contains_key(&port);
        if !declared && !self.carriers.contains_key(&port) {
            return Err(Status::not_found(format!(
                "port {port} is not attached on this host"
            )));
        }
        info!(%port, "detached");
        let ports = BTreeSet::from([port]);
        // With the rows of what is forgotten.
        let part = self.part_of(&ports);
        self.serve.cease(ports);
        self.let_go(port);
        let pair = matches!(
            self.state.declarations.get(&port),
            Some(Target::Netns { .. })
        );
        self.state.forget(port);
        if self.state.plan.port(port).is_some() {
            self.state.released.insert(port);
        }
        self.write();
        match pair {
            true => self.bring_about_alone(part),
            // A tap stays, and is somebody's to claim.
            false => self.bring_about(),
        }
        Ok(())
    }

    fn list(&self) -> v1::ListPortsReply {
        let drops = self.drops();
        let planned = self.state.plan.ports().map(|port| port.id);
        let declared = self.state.declarations.keys().copied();
        let ids: BTreeSet<PortId> = planned.chain(declared).collect();
        v1::ListPortsReply {
            ports: ids
                .into_iter()
                .map(|id| self.local_port(id, drops.get(&id)))
                .collect(),
        }
    }

    pub(super) fn local_port(
        &self,
        id: PortId,
        drops: Option<&BTreeMap<String, (u64, u64)>>,
    ) -> v1::LocalPort {
        let target = self.state.declarations.get(&id);
        let plan = self.state.plan.port(id);
        let network = plan.and_then(|port| self.state.plan.network(port.vni));
        let carrier = self.carriers.get(&id);
        let learned = self.state.learned_of(id);
        v1::LocalPort {
            port: id.0.as_bytes().to_vec(),
            planned: plan.is_some(),
            target: target.map(v1::Target::from),
            link: self.link_name(id),
            link_seen: carrier.is_some(),
            carrier: carrier.is_some_and(|carrier| carrier.carrier),
            down: match plan {
                Some(_) => self.why_down(id),
                None => Some("not bound to this host".to_owned()),
            },
            mac: plan.map(|port| port.mac.to_string()).unwrap_or_default(),
            mtu: network.map_or(0, |network| network.mtu),
            mtu_seen: carrier.map_or(0, |carrier| carrier.mtu),
            addresses: plan
                .iter()
                .flat_map(|port| &port.fixed_ips)
                .map(|fixed| fixed.ip_address.to_string())
                .collect(),
            learned: learned.map(|known| known.address.to_string()).collect(),
            conflicts: self.local_conflicts(id),
            segment_problems: self.segment_problems(id).to_vec(),
            drops: drops
                .into_iter()
                .flatten()
                .map(|(reason, (packets, bytes))| v1::Drop {
                    reason: reason.clone(),
                    packets: *packets,
                    bytes: *bytes,
                })
                .collect(),
        }
    }

    fn local_conflicts(&self, id: PortId) -> Vec<v1::AddressConflict> {
        let conflicts = self.conflicts.of(id).iter();
        conflicts
            .map(|(conflict, claims)| v1::AddressConflict {
                address: conflict.address.to_string(),
                holder: conflict
                    .holder
                    .map(|holder| holder.0.as_bytes().to_vec())
                    .unwrap_or_default(),
                claims: *claims,
            })
            .collect()
    }

    /// Drops of the fast path and, with `agent_` before the reason, of the slow path, whose bytes are not counted.
    pub(super) fn drops(&self) -> BTreeMap<PortId, BTreeMap<String, (u64, u64)>> {
        let mut drops: BTreeMap<PortId, BTreeMap<String, (u64, u64)>> = BTreeMap::new();
        let numbers: BTreeMap<_, _> = self
            .state
            .plan
            .ports()
            .map(|port| (port.number, port.id))
            .collect();
        match self.fastpath.counters() {
            Ok(counters) => {
                for ((number, verdict), count) in counters {
                    if let (Some(id), Kind::Drop) = (numbers.get(&number), verdict.kind()) {
                        let reasons = drops.entry(*id).or_default();
                        reasons.insert(verdict.name().to_owned(), count);
                    }
                }
            }
            Err(error) => debug!(error = hextet_core::errors::chain(&error), "no counters"),
        }
        for (id, reasons) in self.serve.drops() {
            let of_port = drops.entry(id).or_default();
            for (reason, count) in reasons {
                of_port.insert(format!("agent_{reason}"), (count, 0));
            }
        }
        drops
    }

    /// Final advertisements, then everything off this host. Nothing is done after that.
    fn take_down(&mut self) -> Result<(), Status> {
        info!("taking everything off this host");
        self.serve.cease(self.carriers.keys().copied().collect());
        let failed =
            |error: &dyn std::error::Error| Status::internal(hextet_core::errors::chain(error));
        self.down = true;
        self.unclaim();
        self.carriers.clear();
        self.problems.clear();
        self.serve.view(std::sync::Arc::default());
        self.state = State::default();
        take_off(&self.config, &self.fastpath).map_err(|error| failed(&error))?;
        self.ledger.remove().map_err(|error| failed(&error))
    }
}

/// Removes our links, sets adopted ones down, and takes programs and maps away.
pub(crate) fn take_off(
    config: &crate::config::Config,
    fastpath: &Fastpath,
) -> Result<(), super::StartError> {
    let io = |what| move |source| super::StartError::Io { what, source };
    let attached = fastpath.attached()?;
    let mine = format!("hextet:{}:", config.instance);
    for link in links::dump().map_err(io("list links"))? {
        if link.alias.is_some_and(|alias| alias.starts_with(&mine)) {
            links::delete(link.ifindex).map_err(io("delete a link"))?;
        } else if attached.contains(&link.ifindex) {
            links::set_up(link.ifindex, false).map_err(io("set a link down"))?;
        }
    }
    super::segments::release_all(fastpath)?;
    Fastpath::remove(&super::pass::fastpath_config(config))?;
    Ok(())
}

fn check(target: &Target) -> Result<(), Status> {
    match target {
        Target::Netns { name, ifname, .. } => {
            let plain =
                |name: &str| !name.is_empty() && !name.contains('/') && name != "." && name != "..";
            if !plain(name) || !netns::path(name).exists() {
                return Err(Status::invalid_argument(format!(
                    "no network namespace named {name:?} under /run/netns"
                )));
            }
            if !is_ifname(ifname) {
                return Err(Status::invalid_argument(format!(
                    "{ifname:?} cannot be an interface's name"
                )));
            }
        }
        Target::Tap { name } => {
            let all = links::dump()
                .map_err(|error| Status::unavailable(format!("links cannot be listed: {error}")))?;
            match all.iter().find(|link| link.name == *name) {
                Some(link) if link.kind == LinkKind::Tap => {}
                Some(_) => {
                    return Err(Status::invalid_argument(format!("{name} is not a tap")));
                }
                None => {
                    return Err(Status::invalid_argument(format!("no link named {name:?}")));
                }
            }
        }
    }
    Ok(())
}
