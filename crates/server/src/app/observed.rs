//! What hosts saw of guests: addresses that these formed themselves, and others' that they claim.
//!
//! A host knows whose its own ports' addresses are. Across hosts, the first that told of an address has it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv6Addr;

use hextet_core::ids::{HostId, NetworkId, PortId};
use hextet_core::observed::{ObservedAddress, ObservedConflict, PortObserved};
use hextet_core::port::Port;
use hextet_core::report::{CONFLICTS_MAX, HostReport, PortReport};
use hextet_store::{Model, OBSERVED};
use tracing::warn;

use super::TIME_FORMAT;

/// Most addresses of one port that are kept; hosts learn no more than 20.
const ADDRESSES_MAX: usize = 32;

/// What was seen of a port and is not stored yet.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) port: PortId,
    pub(super) observed: PortObserved,
}

/// What a report says anew of the host's ports.
pub(super) fn news(model: &Model, host: &HostId, report: &HostReport) -> Vec<Seen> {
    let of_host = |report: &PortReport| {
        let port = model.snapshot().port(report.port)?;
        (port.carried_by() == Some(host)).then_some(port)
    };
    let told: Vec<(&Port, &PortReport)> = report
        .ports
        .iter()
        .filter_map(|report| Some((of_host(report)?, report)))
        .filter(|(port, report)| {
            !(report.observed.is_empty() && report.conflicts.is_empty())
                || model.document(OBSERVED, &port.id.to_string()).is_some()
        })
        .collect();
    let mut holders = holders(
        model,
        told.iter().map(|(port, _)| port.network_id).collect(),
    );
    let mut news = Vec::new();
    for (port, report) in told {
        let before = stored(model, port.id);
        let observed = judge(port, report, &mut holders);
        let known = |conflict: &&ObservedConflict| !before.conflicts.contains(conflict);
        for conflict in observed.conflicts.iter().filter(known) {
            let holder = conflict.port_id.map(|id| id.to_string());
            let holder = holder.as_deref().unwrap_or("the service or the segment");
            warn!(%host, port = %port.id, holder, "a guest claims an address that is not its own");
        }
        if observed != before {
            news.push(Seen {
                port: port.id,
                observed,
            });
        }
    }
    news
}

/// What is stored of a port's guest.
fn stored(model: &Model, port: PortId) -> PortObserved {
    let document = model.document(OBSERVED, &port.to_string());
    document
        .and_then(|document| document.parse(OBSERVED).ok())
        .unwrap_or_default()
}

type Holders = BTreeMap<(NetworkId, Ipv6Addr), PortId>;

/// Who has which address on these networks: what is assigned goes before what was seen.
fn holders(model: &Model, networks: BTreeSet<NetworkId>) -> Holders {
    let mut holders = Holders::new();
    if networks.is_empty() {
        return holders;
    }
    let concerned = |port: &&Port| networks.contains(&port.network_id);
    for port in model.snapshot().ports().filter(concerned) {
        for address in stored(model, port.id).addresses {
            let key = (port.network_id, address.ip_address);
            holders.entry(key).or_insert(port.id);
        }
    }
    for port in model.snapshot().ports().filter(concerned) {
        for fixed in &port.fixed_ips {
            if let std::net::IpAddr::V6(address) = fixed.ip_address {
                holders.insert((port.network_id, address), port.id);
            }
        }
    }
    holders
}

/// What of a port's report holds: an address that another port has is a claim. Link-local ones may be several ports'.
fn judge(port: &Port, report: &PortReport, holders: &mut Holders) -> PortObserved {
    let mut observed = PortObserved::default();
    let mut claims: Vec<ObservedConflict> = report
        .conflicts
        .iter()
        .map(|conflict| ObservedConflict {
            ip_address: conflict.address,
            port_id: conflict.holder,
        })
        .collect();
    for seen in report.observed.iter().take(ADDRESSES_MAX) {
        if !seen.address.is_unicast_link_local() {
            let key = (port.network_id, seen.address);
            let holder = *holders.entry(key).or_insert(port.id);
            if holder != port.id {
                claims.push(ObservedConflict {
                    ip_address: seen.address,
                    port_id: Some(holder),
                });
                continue;
            }
        }
        observed.addresses.push(ObservedAddress {
            ip_address: seen.address,
            since: time(seen.since_s),
        });
    }
    let surplus = claims.len().saturating_sub(CONFLICTS_MAX);
    observed.conflicts = claims.split_off(surplus);
    observed
}

/// Unix time in seconds, as the API writes times.
fn time(seconds: u64) -> String {
    let seconds = i64::try_from(seconds).unwrap_or(i64::MAX);
    let time = jiff::Timestamp::from_second(seconds).unwrap_or(jiff::Timestamp::MAX);
    time.strftime(TIME_FORMAT).to_string()
}
