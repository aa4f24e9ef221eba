//! The links that are there, as the host's thread says.

use std::collections::BTreeSet;
use std::time::Instant;

use hextet_core::ids::PortId;

use super::directory::Moved;
use super::link::Served;
use super::{LinkView, Thread, View};

impl Thread {
    pub(super) fn take_view(&mut self, view: &View) {
        let now = Instant::now();
        let before = std::mem::replace(&mut self.directory, view.directory.clone());
        let mut moved = self.departed.moved(&before, &self.directory);
        moved.extend(self.forgotten.moved_learned(&before, &self.directory));
        self.outlets.ears.take_view(&view.segments, now);
        let gone: Vec<PortId> = self
            .links
            .keys()
            .filter(|id| !view.links.contains_key(id))
            .copied()
            .collect();
        gone.into_iter().for_each(|id| self.let_go(id));
        self.by_ifindex = view
            .links
            .iter()
            .map(|(id, link)| (link.ifindex, *id))
            .collect();
        for (id, link) in &view.links {
            self.take_link(*id, link, &moved, now);
        }
    }

    pub(super) fn take_part(&mut self, ports: &BTreeSet<PortId>, view: &View) {
        let now = Instant::now();
        let before = std::mem::replace(&mut self.directory, view.directory.clone());
        let mut moved = self.departed.moved(&before, &self.directory);
        moved.extend(self.forgotten.moved_learned(&before, &self.directory));
        let mut networks = BTreeSet::new();
        for served in ports.iter().filter_map(|id| self.links.get(id)) {
            self.by_ifindex.remove(&served.ifindex);
            networks.insert(served.net());
        }
        networks.extend(view.links.values().map(|link| link.plan.vni));
        for id in ports {
            match view.links.get(id) {
                Some(link) => {
                    self.by_ifindex.insert(link.ifindex, *id);
                    self.take_link(*id, link, &[], now);
                }
                None => self.let_go(*id),
            }
        }
        if !self.directory.is_planned_as(&before) {
            let others = self.links.iter_mut().filter(|(id, _)| !ports.contains(id));
            let neighbours = others.filter(|(_, served)| networks.contains(&served.net()));
            for (_, served) in neighbours {
                served.take_directory(&self.directory, now);
            }
        }
        self.tell_moved(&moved, now);
    }

    /// The view has the links that learned or forgot something. Where an address has come to another guest, the others of its
    /// network are told.
    pub(super) fn take_learned(&mut self, view: &View) {
        let now = Instant::now();
        let before = std::mem::replace(&mut self.directory, view.directory.clone());
        let moved = self.forgotten.moved_learned(&before, &self.directory);
        for (id, link) in &view.links {
            if let Some(served) = self.links.get_mut(id) {
                served.take_learned(link);
                served.take_directory(&self.directory, now);
                self.drain(*id, now);
            }
        }
        self.tell_moved(&moved, now);
    }

    fn tell_moved(&mut self, moved: &[Moved], now: Instant) {
        if moved.is_empty() {
            return;
        }
        let all: Vec<PortId> = self.links.keys().copied().collect();
        for id in all {
            if let Some(served) = self.links.get_mut(&id) {
                served.take_moved(moved, now);
                self.drain(id, now);
            }
        }
    }

    fn take_link(&mut self, id: PortId, link: &LinkView, moved: &[Moved], now: Instant) {
        match self.links.get_mut(&id) {
            Some(served) => {
                served.take_view(link, now);
                served.take_directory(&self.directory, now);
                served.take_moved(moved, now);
            }
            None => {
                self.links.insert(id, Served::new(link, now));
            }
        }
        self.drain(id, now);
    }

    fn let_go(&mut self, id: PortId) {
        let Some(served) = self.links.remove(&id) else {
            return;
        };
        self.totals.add(&served);
        self.outlets.forget_timer(id, served.timer);
    }
}
