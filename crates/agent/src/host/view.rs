//! What the serving thread and the server are told.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use hextet_core::ids::PortId;
use hextet_core::link::link_plan;
use hextet_core::report::{HostReport, Observed, PortReport, PortState};
use hextet_proto::Known;

use super::{Host, now_s};
use crate::reconcile::Addresses;
use crate::serve::{LinkView, View};

impl Host {
    /// Of these ports, as far as links carry them.
    pub(super) fn view<'a>(
        &self,
        ports: impl Iterator<Item = &'a PortId>,
        addresses: &Addresses,
    ) -> View {
        let mut view = View {
            directory: self.directory.clone(),
            ..View::default()
        };
        let now_s = now_s();
        for id in ports.copied() {
            let withdrawn = self.state.withdrawn_of(id);
            let (Some(carrier), Some(mut plan)) = (
                self.carriers.get(&id),
                link_plan(&self.state.plan, id, &withdrawn),
            ) else {
                continue;
            };
            if let Some(router) = self.router_of(id) {
                plan = plan.by_router(router);
            }
            let learned = addresses
                .learned
                .get(&id)
                .into_iter()
                .flatten()
                .map(|known| {
                    let key = (plan.vni, known.address);
                    let first = addresses.holders.get(&key).copied();
                    Known {
                        address: known.address,
                        first_holder: first.filter(|first| *first != id),
                        unseen: Duration::from_secs(now_s.saturating_sub(known.seen_s)),
                    }
                });
            view.links.insert(
                id,
                LinkView {
                    learned: learned.collect(),
                    reconfigurable: self.state.reconfigurable.get(&id).cloned(),
                    plan,
                    ifindex: carrier.ifindex,
                    incarnation: carrier.incarnation,
                    resumed: carrier.resumed,
                },
            );
        }
        view
    }

    pub(super) fn report(&self) -> HostReport {
        let ports = self
            .state
            .plan
            .ports()
            .map(|port| self.port_report(port.id));
        HostReport {
            generation: self.state.plan.generation,
            ports: ports.collect(),
        }
    }

    fn port_report(&self, id: PortId) -> PortReport {
        let conflicts = self.conflicts.of(id).iter();
        PortReport {
            port: id,
            state: match self.why_down(id) {
                None => PortState::Up,
                Some(why) => PortState::Down(why),
            },
            carrier: self
                .carriers
                .get(&id)
                .is_some_and(|carrier| carrier.carrier),
            observed: self
                .state
                .learned_of(id)
                .map(|known| Observed {
                    address: known.address,
                    since_s: known.since_s,
                })
                .collect(),
            conflicts: conflicts.map(|(conflict, _)| *conflict).collect(),
        }
    }

    /// Tells what there is to report of these ports, where it is another than before; of the others it is the same.
    pub(super) fn tell_of(&mut self, ports: &BTreeSet<PortId>) {
        if self.down {
            return;
        }
        self.ports.reports.send_if_modified(|report| {
            let mut new = report.generation != self.state.plan.generation;
            if new {
                Arc::make_mut(report).generation = self.state.plan.generation;
            }
            for id in ports {
                let planned = self.state.plan.port(*id).is_some();
                let now = planned.then(|| self.port_report(*id));
                match report.ports.binary_search_by_key(id, |port| port.port) {
                    Ok(at) if now.as_ref() == Some(&report.ports[at]) => continue,
                    Ok(at) => drop(Arc::make_mut(report).ports.splice(at..=at, now)),
                    Err(at) if planned => drop(Arc::make_mut(report).ports.splice(at..at, now)),
                    Err(_) => continue,
                }
                new = true;
            }
            new
        });
    }

    /// `None` for a port that works: its link exists, is administratively up and is programmed, and serves all that the
    /// plan asks for.
    pub(super) fn why_down(&self, port: PortId) -> Option<String> {
        if let Some(problem) = self.problems.get(&port) {
            return Some(problem.to_string());
        }
        if let Some(failure) = self.failures.get(&port).or(self.failure.as_ref()) {
            return Some(failure.clone());
        }
        match self.carriers.get(&port) {
            None => Some("no link".to_owned()),
            Some(carrier) if !carrier.admin_up => Some("the link is set down".to_owned()),
            Some(carrier) if !carrier.attached => Some("the program is not on the link".to_owned()),
            Some(_) => self.segment_problem(self.state.plan.port(port)?.vni),
        }
    }
}
