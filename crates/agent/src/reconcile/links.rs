//! Guests' links: which there must be, and what makes them so.

use std::collections::{BTreeMap, BTreeSet};

use hextet_core::ids::PortId;
use hextet_core::mac::Mac;
use hextet_core::plan::PortPlan;

use crate::kernel::links::{LinkKind, LinkSeen, tag};
use crate::ledger::{State, Target};

/// A link that must be there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkWanted {
    /// Whose.
    pub port: PortId,
    /// What was declared; `None`: a tap that somebody makes under the port's name.
    pub target: Option<Target>,
    /// The port's MAC, on both ends.
    pub mac: Mac,
    /// Largest IP packet, bytes, on both ends.
    pub mtu: u32,
}

/// Why a port's link cannot be as wanted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LinkProblem {
    /// Nothing carries the port.
    #[error("no link named {0}")]
    NoLink(String),
    /// The namespace is not there.
    #[error("no network namespace named {0}")]
    NoNetns(String),
    /// Another port has the name.
    #[error("the link {name} carries port {port}")]
    Taken {
        /// Which name.
        name: String,
        /// Which port.
        port: PortId,
    },
    /// The port was detached here, and is still bound to this host.
    #[error("detached here")]
    Released,
    /// A link of that name is there, and was not made by this agent for this port.
    #[error("the link {0} is there and is not this port's")]
    Foreign(String),
    /// Only taps are adopted: anything else may be the host's own way out.
    #[error("the link {0} is not a tap")]
    NotTap(String),
}

/// Every link that must be there, by the name of the host's end.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct LinksWanted {
    /// By name.
    pub links: BTreeMap<String, LinkWanted>,
    /// Ports that can have none.
    pub problems: BTreeMap<PortId, LinkProblem>,
}

/// One change of a link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LinkOp {
    /// Make a pair, the guest's end still down.
    Create {
        /// The host's end.
        name: String,
        /// What it is for.
        wanted: LinkWanted,
    },
    /// Give both ends of a pair, or a tap's host end, the MAC and the MTU.
    Configure {
        /// The host's end.
        ifindex: u32,
        /// What it is for.
        wanted: LinkWanted,
    },
    /// Take the program off; the link may be gone already.
    Detach {
        /// The host's end.
        ifindex: u32,
    },
    /// Set an adopted tap down.
    SetDown {
        /// Which.
        ifindex: u32,
    },
    /// Remove a link that carries our tag.
    Delete {
        /// The host's end.
        ifindex: u32,
    },
}

/// The links of every port of the plan.
pub fn links_wanted(state: &State) -> LinksWanted {
    wanted_of(state, state.plan.ports())
}

/// The links of these ports, as far as the plan has them. That one of another port has the same name is not seen.
pub fn links_wanted_of(state: &State, ports: &BTreeSet<PortId>) -> LinksWanted {
    wanted_of(state, ports.iter().filter_map(|id| state.plan.port(*id)))
}

fn wanted_of<'a>(state: &State, ports: impl Iterator<Item = &'a PortPlan>) -> LinksWanted {
    let mut wanted = LinksWanted::default();
    for port in ports {
        let Some(network) = state.plan.network(port.vni) else {
            continue;
        };
        if state.released.contains(&port.id) {
            wanted.problems.insert(port.id, LinkProblem::Released);
            continue;
        }
        let target = state.declarations.get(&port.id).cloned();
        let name = match &target {
            Some(Target::Tap { name }) => name.clone(),
            Some(Target::Netns { .. }) | None => port.id.tap_name(),
        };
        if let Some(other) = wanted.links.get(&name) {
            let port_of_it = other.port;
            let problem = LinkProblem::Taken {
                name,
                port: port_of_it,
            };
            wanted.problems.insert(port.id, problem);
            continue;
        }
        wanted.links.insert(
            name,
            LinkWanted {
                port: port.id,
                target,
                mac: port.mac,
                mtu: network.mtu,
            },
        );
    }
    wanted
}

/// What brings the links to what is wanted. `namespaces` are those that are there, `attached` the links that our program
/// is on. Deletes only what carries our tag. That a link is up comes last, after its rows and its program. A guest that
/// changes its own end is not followed into its namespace: what it sends from another MAC is dropped.
pub fn diff_links(
    wanted: &mut LinksWanted,
    seen: &BTreeMap<String, LinkSeen>,
    attached: &BTreeSet<u32>,
    namespaces: &BTreeSet<String>,
    instance: &str,
) -> Vec<LinkOp> {
    let mut ops = Vec::new();
    let mut kept = BTreeSet::new();
    for (name, link) in &wanted.links {
        match fit(name, link, seen.get(name), namespaces, instance) {
            Ok(Some(found)) => {
                kept.insert(found.ifindex);
                ops.extend(adjust(found, link));
            }
            Ok(None) => ops.push(LinkOp::Create {
                name: name.clone(),
                wanted: link.clone(),
            }),
            Err(problem) => {
                wanted.problems.insert(link.port, problem);
            }
        }
    }
    let mut leaving = Vec::new();
    let mine = format!("hextet:{instance}:");
    for link in seen.values().filter(|link| !kept.contains(&link.ifindex)) {
        let ifindex = link.ifindex;
        let ours = link
            .alias
            .as_deref()
            .is_some_and(|alias| alias.starts_with(&mine));
        if attached.contains(&ifindex) {
            leaving.push(LinkOp::Detach { ifindex });
        }
        if ours {
            leaving.push(LinkOp::Delete { ifindex });
        } else if attached.contains(&ifindex) && link.admin_up {
            leaving.push(LinkOp::SetDown { ifindex });
        }
    }
    let there: BTreeSet<u32> = seen.values().map(|link| link.ifindex).collect();
    for ifindex in attached.difference(&there) {
        leaving.push(LinkOp::Detach { ifindex: *ifindex });
    }
    // What leaves may hold a name or a namespace's interface that a new one wants.
    leaving.extend(ops);
    leaving
}

/// The link that is there for a wanted one; `None` when it can be made.
fn fit<'a>(
    name: &str,
    link: &LinkWanted,
    seen: Option<&'a LinkSeen>,
    namespaces: &BTreeSet<String>,
    instance: &str,
) -> Result<Option<&'a LinkSeen>, LinkProblem> {
    let Some(Target::Netns { name: netns, .. }) = &link.target else {
        return match seen {
            // A pair that we made, whose declaration was lost with a ledger.
            Some(seen) if seen.alias.as_deref() == Some(&tag(instance, link.port)) => {
                Ok(Some(seen))
            }
            Some(seen) if seen.kind != LinkKind::Tap => Err(LinkProblem::NotTap(name.to_owned())),
            Some(seen)
                if seen
                    .alias
                    .as_deref()
                    .is_none_or(|alias| !alias.starts_with("hextet:")) =>
            {
                Ok(Some(seen))
            }
            Some(_) => Err(LinkProblem::Foreign(name.to_owned())),
            None => Err(LinkProblem::NoLink(name.to_owned())),
        };
    };
    match seen {
        Some(seen) if seen.alias.as_deref() == Some(&tag(instance, link.port)) => Ok(Some(seen)),
        Some(_) => Err(LinkProblem::Foreign(name.to_owned())),
        None if namespaces.contains(netns) => Ok(None),
        None => Err(LinkProblem::NoNetns(netns.clone())),
    }
}

fn adjust(seen: &LinkSeen, wanted: &LinkWanted) -> Option<LinkOp> {
    (seen.mtu != wanted.mtu || seen.mac != wanted.mac).then(|| LinkOp::Configure {
        ifindex: seen.ifindex,
        wanted: wanted.clone(),
    })
}
