//! Neighbor Discovery for one port's guest (RFC 4861 §7): answers for the service and for other ports, defends held
//! addresses against duplicate address checks (RFC 4862 §5.4), judges the addresses that the guest forms by itself
//! (RFC 6620).
//!
//! No neighbour cache is kept: every answer comes from the plan and the directory, so that nothing grows with what a
//! guest says but the addresses of its own, which are bounded.

use std::net::Ipv6Addr;

use hextet_core::ids::PortId;
use hextet_core::link::LinkPlan;
use hextet_core::mac::Mac;
use hextet_wire::frame::{ALL_NODES, Envelope};
use hextet_wire::ndp::{HOP_LIMIT, NdOption, NdpMessage, NeighborAdvert, NeighborSolicit};

use crate::directory::{Directory, Holder, HolderKind};

/// Whose an address is when the guest claims it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Claim {
    /// The port's by plan.
    Own,
    /// It is or may be learned; of a link-local address, who learned it first, if another did.
    Learnable(Option<PortId>),
    /// Another's.
    Held(Holder),
    /// Nobody's, and not for a guest to take.
    Foreign,
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
        // Clones share a link-local address, each towards the service alone; other addresses are one port's.
        Some(holder) if holder.kind == HolderKind::Learned && address.is_unicast_link_local() => {
            Claim::Learnable(holder.port)
        }
        Some(holder) => Claim::Held(holder),
        None if plan.may_learn(address) => Claim::Learnable(None),
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

/// Tells the guest unasked that a neighbour's address is at another MAC (RFC 4861 §7.2.6).
pub(crate) fn moved(plan: &LinkPlan, address: Ipv6Addr, mac: Mac) -> Vec<u8> {
    advert(plan, plan.mac, ALL_NODES, address, mac, false)
}

/// Asks the guest whether an address is its own, as a neighbour would (RFC 4861 §7.2.2): the answer comes to the service.
pub(crate) fn question(plan: &LinkPlan, address: Ipv6Addr) -> Vec<u8> {
    let envelope = Envelope {
        mac_destination: plan.mac,
        mac_source: plan.service_mac(),
        source: plan.service_link_local(),
        destination: address,
        hop_limit: HOP_LIMIT,
    };
    NdpMessage::NeighborSolicit(NeighborSolicit {
        target: address,
        options: vec![NdOption::SourceLinkLayer(plan.service_mac())],
    })
    .emit(&envelope)
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
