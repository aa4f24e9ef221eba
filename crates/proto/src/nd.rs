//! Neighbor Discovery for one port's guest (RFC 4861 §7): answers for the service and for other ports, defends held
//! addresses against duplicate address checks (RFC 4862 §5.4), learns the guest's own link-local addresses.
//!
//! No neighbour cache is kept: every answer comes from the plan and the directory, so that nothing grows with what a
//! guest says but the [`LEARNED_MAX`] addresses of its own.

use std::net::Ipv6Addr;
use std::time::Instant;

use hextet_core::ids::PortId;
use hextet_core::link::LinkPlan;
use hextet_core::mac::Mac;
use hextet_wire::frame::{ALL_NODES, Envelope};
use hextet_wire::ndp::{HOP_LIMIT, NdOption, NdpMessage, NeighborAdvert, NeighborSolicit};

use crate::directory::{Directory, Holder, HolderKind};

/// Link-local addresses learned for a port, besides the one from its MAC; a further one replaces the longest unseen.
pub const LEARNED_MAX: usize = 4;

/// An address that the guest was seen to use.
#[derive(Clone, Copy, Debug)]
struct Learned {
    address: Ipv6Addr,
    first_holder: Option<PortId>,
    seen: Instant,
}

/// The learned addresses of one port.
#[derive(Clone, Debug, Default)]
pub(crate) struct Neighbours {
    learned: Vec<Learned>,
}

/// Whose an address is when the guest claims it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Claim {
    /// The port's by plan.
    Own,
    /// A link-local address that is or may be learned; who learned it first, if another did.
    Learnable(Option<PortId>),
    /// Firmly another's.
    Held(Holder),
    /// Nobody's, and not for a guest to take.
    Foreign,
}

/// What became of an address that the guest showed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Noted {
    /// It was known, and with the same first holder.
    Known,
    /// It is new, or its first holder is another; the address that had to make room is forgotten.
    New { forgotten: Option<Ipv6Addr> },
}

/// How a solicited target is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// With this MAC.
    Answer(Mac),
    /// Not at all: the guest asks for itself.
    Own,
    /// Not at all: nobody is known to hold it.
    Unknown,
}

/// Judges an address that the guest claims by a duplicate address check or uses as a source.
pub(crate) fn claim(plan: &LinkPlan, address: Ipv6Addr, directory: &dyn Directory) -> Claim {
    if address == plan.service_link_local() {
        return Claim::Held(Holder {
            port: None,
            mac: plan.service_mac(),
            kind: HolderKind::Service,
        });
    }
    if is_own(plan, address) {
        return Claim::Own;
    }
    let other = directory
        .holder(plan.vni, address)
        .filter(|holder| holder.port != Some(plan.port));
    match other {
        Some(holder) => match holder.kind {
            HolderKind::Assigned | HolderKind::Eui64LinkLocal | HolderKind::Service => {
                Claim::Held(holder)
            }
            HolderKind::Learned if address.is_unicast_link_local() => Claim::Learnable(holder.port),
            HolderKind::Learned => Claim::Foreign,
        },
        None if address.is_unicast_link_local() => Claim::Learnable(None),
        None => Claim::Foreign,
    }
}

/// Who answers for a solicited target.
pub(crate) fn resolve(plan: &LinkPlan, target: Ipv6Addr, directory: &dyn Directory) -> Target {
    if target == plan.service_link_local() {
        return Target::Answer(plan.service_mac());
    }
    if is_own(plan, target) {
        return Target::Own;
    }
    match directory.holder(plan.vni, target) {
        Some(holder) if holder.port == Some(plan.port) => Target::Own,
        Some(holder) => Target::Answer(holder.mac),
        None => Target::Unknown,
    }
}

fn is_own(plan: &LinkPlan, address: Ipv6Addr) -> bool {
    address == plan.mac.link_local() || plan.addresses.contains(&address)
}

impl Neighbours {
    /// The address was seen in use. The caller has made sure that it is learnable.
    pub(crate) fn note(
        &mut self,
        address: Ipv6Addr,
        first_holder: Option<PortId>,
        now: Instant,
    ) -> Noted {
        let entry = Learned {
            address,
            first_holder,
            seen: now,
        };
        if let Some(known) = self.find(address) {
            let same = known.first_holder == first_holder;
            *known = entry;
            return if same {
                Noted::Known
            } else {
                Noted::New { forgotten: None }
            };
        }
        let mut forgotten = None;
        if self.learned.len() >= LEARNED_MAX {
            let oldest = (0..self.learned.len()).min_by_key(|at| self.learned[*at].seen);
            forgotten = oldest.map(|at| self.learned.remove(at).address);
        }
        self.learned.push(entry);
        Noted::New { forgotten }
    }

    /// The address was seen again; whether it is known.
    pub(crate) fn refresh(&mut self, address: Ipv6Addr, now: Instant) {
        if let Some(known) = self.find(address) {
            known.seen = now;
        }
    }

    /// Whether this was learned with this first holder, so that noting it again is no news.
    pub(crate) fn knows(&self, address: Ipv6Addr, first_holder: Option<PortId>) -> bool {
        self.learned
            .iter()
            .any(|known| known.address == address && known.first_holder == first_holder)
    }

    /// Forgets one address; whether it was known.
    pub(crate) fn forget(&mut self, address: Ipv6Addr) -> bool {
        let before = self.learned.len();
        self.learned.retain(|known| known.address != address);
        self.learned.len() < before
    }

    /// Forgets all, in the order in which they were learned.
    pub(crate) fn forget_all(&mut self) -> Vec<Ipv6Addr> {
        let forgotten = self.learned.drain(..);
        forgotten.map(|known| known.address).collect()
    }

    /// What is learned, with who learned it first if another did.
    pub(crate) fn learned(&self) -> impl Iterator<Item = (Ipv6Addr, Option<PortId>)> {
        self.learned
            .iter()
            .map(|known| (known.address, known.first_holder))
    }

    fn find(&mut self, address: Ipv6Addr) -> Option<&mut Learned> {
        self.learned
            .iter_mut()
            .find(|known| known.address == address)
    }
}

/// The answer to a solicitation, in the holder's name: that is what the guest's kernel expects.
pub(crate) fn answer(plan: &LinkPlan, asker: &Envelope, target: Ipv6Addr, mac: Mac) -> Vec<u8> {
    advert(plan, asker.mac_source, asker.source, target, mac, true)
}

/// The answer that makes a duplicate address check fail (RFC 4862 §5.4.4, RFC 4861 §7.2.4).
pub(crate) fn defence(
    plan: &LinkPlan,
    asker: &Envelope,
    probe: &NeighborSolicit,
    mac: Mac,
) -> Vec<u8> {
    advert(plan, asker.mac_source, ALL_NODES, probe.target, mac, false)
}

fn advert(
    plan: &LinkPlan,
    mac_destination: Mac,
    destination: Ipv6Addr,
    target: Ipv6Addr,
    mac: Mac,
    solicited: bool,
) -> Vec<u8> {
    let envelope = Envelope {
        mac_destination,
        mac_source: plan.service_mac(),
        source: target,
        destination,
        hop_limit: HOP_LIMIT,
    };
    NdpMessage::NeighborAdvert(NeighborAdvert {
        router: false,
        solicited,
        r#override: true,
        target,
        options: vec![NdOption::TargetLinkLayer(mac)],
    })
    .emit(&envelope)
}

#[cfg(test)]
mod tests;
