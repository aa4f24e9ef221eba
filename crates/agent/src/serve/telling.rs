//! What the serving thread tells the host's.

use hextet_core::ids::PortId;
use tokio::sync::mpsc;

use super::{Shown, Thread, Totals};
use crate::host::Input;

impl Thread {
    pub(super) fn show(&self, port: PortId) -> Option<Shown> {
        let link = self.links.get(&port)?.machine().clone();
        let duid = link.history().duid();
        let same = self.links.iter().filter(|(id, other)| {
            **id != port && duid.is_some() && other.machine().history().duid() == duid
        });
        let same_duid = same.map(|(id, _)| *id).collect();
        Some(Shown { link, same_duid })
    }

    /// What segments say now; as much as the host's thread has room for.
    pub(super) fn give_segments(&mut self) {
        if self.outlets.ears.untold.is_empty() {
            return;
        }
        let untold = std::mem::take(&mut self.outlets.ears.untold);
        if let Err(mpsc::error::TrySendError::Full(Input::Segments(untold))) =
            self.host.try_send(Input::Segments(untold))
        {
            self.outlets.ears.untold = untold;
        }
    }

    /// What all links counted, those included that are gone.
    pub(super) fn totals(&self) -> Totals {
        let mut totals = self.totals.clone();
        totals.unsent = self.outlets.unsent;
        totals.unheard = self.outlets.ears.unheard();
        self.links.values().for_each(|served| totals.add(served));
        totals
    }

    pub(super) fn give_events(&mut self) {
        if self.outlets.events.is_empty() {
            return;
        }
        let events = std::mem::take(&mut self.outlets.events);
        if let Err(mpsc::error::TrySendError::Full(Input::Events(events))) =
            self.host.try_send(Input::Events(events))
        {
            self.outlets.events = events;
        }
    }
}
