//! Who holds which address, from the plan and what was learned.

use std::collections::BTreeMap;
use std::net::Ipv6Addr;
use std::sync::Arc;

use hextet_core::ids::Vni;
use hextet_core::mac::Mac;
use hextet_proto::{Directory, Holder, HolderKind};

use crate::ledger::State;
use crate::reconcile::learned_holders;

/// The addresses of one host's networks. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct PlanDirectory {
    planned: Arc<Holders>,
    /// Where the plan says nothing.
    learned: Arc<Holders>,
}

type Holders = BTreeMap<(Vni, Ipv6Addr), Holder>;

impl PlanDirectory {
    /// Of this state.
    pub fn new(state: &State) -> Self {
        Self {
            planned: Arc::new(planned(state)),
            learned: Arc::new(learned(state)),
        }
    }

    /// Of this state, whose plan is the same as before.
    #[must_use]
    pub fn relearned(&self, state: &State) -> Self {
        Self {
            planned: self.planned.clone(),
            learned: Arc::new(learned(state)),
        }
    }
}

fn learned(state: &State) -> Holders {
    let mut holders = Holders::new();
    for ((vni, address), id) in learned_holders(state, |_| true) {
        if let Some(port) = state.plan.port(id) {
            let holder = Holder {
                port: Some(id),
                mac: port.mac,
                kind: HolderKind::Learned,
            };
            holders.insert((vni, address), holder);
        }
    }
    holders
}

fn planned(state: &State) -> Holders {
    let mut holders = Holders::new();
    for port in state.plan.ports() {
        let kinds = port
            .ipv6()
            .map(|address| (address, HolderKind::Assigned))
            .chain([(port.mac.link_local(), HolderKind::Eui64LinkLocal)]);
        for (address, kind) in kinds {
            let holder = Holder {
                port: Some(port.id),
                mac: port.mac,
                kind,
            };
            holders.insert((port.vni, address), holder);
        }
        let service = Mac::service(port.vni);
        let holder = Holder {
            port: None,
            mac: service,
            kind: HolderKind::Service,
        };
        holders.insert((port.vni, service.link_local()), holder);
    }
    holders
}

impl Directory for PlanDirectory {
    fn holder(&self, vni: Vni, address: Ipv6Addr) -> Option<Holder> {
        let key = (vni, address);
        self.planned
            .get(&key)
            .or_else(|| self.learned.get(&key))
            .copied()
    }
}
