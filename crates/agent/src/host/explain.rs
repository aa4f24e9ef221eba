//! Everything about one port: what was promised, what is installed, what was seen, and what is wrong, in words.

use std::net::Ipv6Addr;
use std::time::Instant;

use hextet_core::ids::PortId;
use hextet_core::link::{LinkPlan, link_plan};
use hextet_core::plan::PortPlan;
use hextet_feed::v1;
use hextet_proto::diagnosis::{Around, Finding, diagnose, verdict};
use hextet_proto::history::History;
use tonic::Status;

use super::Host;
use crate::kernel::maps::GROUPS_MAX;
use crate::kernel::{Counters, ListenerRow, Rows, Verdict, links};
use crate::serve::Shown;

impl Host {
    pub(super) fn show(&self, text: &str) -> Result<v1::ShowPortReply, Status> {
        let id = self.find(text)?;
        let drops = self.drops();
        let port = self.local_port(id, drops.get(&id));
        let shown = self.serve.show(id);
        let around = self.around(id, shown.as_ref());
        let now = Instant::now();
        let findings = match &shown {
            Some(shown) => diagnose(&shown.link, &around, now),
            None => unserved(&port),
        };
        let plan = link_plan(&self.state.plan, id, &self.state.withdrawn_of(id));
        let history = shown.as_ref().map(|shown| shown.link.history());
        Ok(v1::ShowPortReply {
            promised: plan.as_ref().map(promised).unwrap_or_default(),
            installed: self.installed(id),
            last: history.map_or_else(Vec::new, |history| last(history, now)),
            recent: history.map_or_else(Vec::new, |history| recent(history, now)),
            verdict: verdict(&findings),
            findings: findings.into_iter().map(finding).collect(),
            port: Some(port),
        })
    }

    /// What the link does not know of itself.
    fn around(&self, id: PortId, shown: Option<&Shown>) -> Around {
        let count = |counters: &Counters, of: &[Verdict]| {
            let number = self.state.plan.port(id).map(|port| port.number);
            let own = of.iter().filter_map(|verdict| {
                let (packets, _) = counters.get(&(number?, *verdict))?;
                Some(*packets)
            });
            own.sum()
        };
        // Without counters nothing is counted: the rest is as true.
        let counters = self.fastpath.counters().unwrap_or_default();
        let carrier = self.carriers.get(&id);
        let lost = carrier.and_then(|carrier| links::lost(carrier.ifindex).ok().flatten());
        let lost = lost.unwrap_or_default();
        let guest_mtu = carrier.and_then(|carrier| links::peer_mtu(carrier.ifindex).ok().flatten());
        // Without port security nothing of it is dropped for its source; what is counted is from before.
        let port = self.state.plan.port(id);
        let guarded = port.is_none_or(|port| port.port_security_enabled);
        let guard = |of: &[Verdict]| if guarded { count(&counters, of) } else { 0 };
        Around {
            down: self.why_down(id),
            same_duid: shown.map_or_else(Vec::new, |shown| shown.same_duid.clone()),
            same_address: self.same_addresses(id),
            link_mtu: carrier.map(|carrier| carrier.mtu),
            guest_mtu,
            too_big: count(&counters, &[Verdict::TooBig]) + lost.received,
            refused_by_guest: lost.sent,
            other_mac: guard(&[Verdict::MacSpoofed]),
            foreign_source: guard(&[Verdict::SourceSpoofed, Verdict::NdSpoofed]),
            over_budget: count(&counters, &[Verdict::PuntBudget]),
            router_heard: self.hears_router(id),
            contradictions: self.segment_problems(id).to_vec(),
            unknown_options: port.map_or_else(Vec::new, |port| port.dhcp_options.unknown.clone()),
        }
    }

    /// Addresses that this port's guest and another's of the network formed.
    fn same_addresses(&self, id: PortId) -> Vec<(Ipv6Addr, PortId)> {
        let plan = &self.state.plan;
        let net = |port: PortId| plan.port(port).map(|port| port.vni);
        let learned = || self.state.learned.iter();
        let own: Vec<Ipv6Addr> = learned()
            .filter(|known| known.port == id)
            .map(|known| known.address)
            .collect();
        learned()
            .filter(|known| {
                known.port != id && net(known.port) == net(id) && own.contains(&known.address)
            })
            .map(|known| (known.address, known.port))
            .collect()
    }

    fn installed(&self, id: PortId) -> Vec<v1::Fact> {
        let mut facts = Vec::new();
        let mut fact = |name: &str, value: String| facts.push(named(name, value));
        match self.carriers.get(&id) {
            None => fact("link", "none".to_owned()),
            Some(carrier) => {
                fact(
                    "link",
                    format!("{}, ifindex {}", self.link_name(id), carrier.ifindex),
                );
                let up = if carrier.admin_up { "up" } else { "down" };
                let heard = if carrier.carrier {
                    "carrier"
                } else {
                    "no carrier"
                };
                fact("state", format!("{up}, {heard}, MTU {}", carrier.mtu));
                let attached = if carrier.attached {
                    "on the link"
                } else {
                    "not on the link"
                };
                fact(
                    "program",
                    format!("{attached}, number {}", self.fastpath.program_id()),
                );
            }
        }
        match (self.state.plan.port(id), self.fastpath.dump()) {
            (Some(port), Ok(rows)) => self.rows(port, &rows, &mut fact),
            (None, _) => fact("rows", "none: the plan does not have the port".to_owned()),
            (_, Err(error)) => fact("rows", hextet_core::errors::chain(&error)),
        }
        facts
    }

    fn rows(&self, port: &PortPlan, rows: &Rows, fact: &mut impl FnMut(&str, String)) {
        let sources = rows
            .sources
            .iter()
            .filter(|((of, _), _)| *of == port.number);
        let sources = sources.map(|((_, address), row)| {
            let towards = if row.local_only {
                " (towards the service only)"
            } else {
                ""
            };
            format!("{}{towards}", plain(*address))
        });
        fact("sources", sources.collect::<Vec<_>>().join(", "));
        let answered = rows.neigh.values();
        let answered = answered.filter(|row| row.port == Some(port.number)).count();
        fact("answered for", format!("{answered} addresses"));
        let listener = rows.listeners.get(&port.number);
        fact("listens to", listener.map_or_else(every_group, groups));
        let ifindex = self.carriers.get(&port.id).map(|carrier| carrier.ifindex);
        let row = ifindex.and_then(|ifindex| rows.ports.get(&ifindex));
        match row {
            Some(row) if row.port == port.number => {
                let guard = if row.guarded {
                    "on"
                } else {
                    "off, any source may pass"
                };
                fact("port security", guard.to_owned());
                let up = if row.admin_up { "up" } else { "down" };
                fact(
                    "row",
                    format!(
                        "{up}, MTU {}, MAC {}, network {}",
                        row.mtu, row.mac, row.net
                    ),
                );
            }
            _ => fact("row", "none".to_owned()),
        }
    }
}

/// What a guest of whose groups nothing is known gets.
fn every_group() -> String {
    "every group".to_owned()
}

/// The groups whose traffic a guest gets, besides what all get.
fn groups(row: &ListenerRow) -> String {
    if row.all.is_some() {
        return format!("every group: it reported more than {GROUPS_MAX}, or routes multicast");
    }
    if row.reported.is_none() {
        return "every group: it reported none".to_owned();
    }
    match row.groups.is_empty() {
        true => "no group but those of all nodes".to_owned(),
        false => list(&row.groups.keys().collect::<Vec<_>>()),
    }
}

/// What the plan promises the guest.
fn promised(plan: &LinkPlan) -> Vec<v1::Fact> {
    let mut facts = vec![
        named("mac", plan.mac.to_string()),
        named("mtu", plan.mtu.to_string()),
        named("addresses", list(&plan.addresses)),
    ];
    match &plan.ra {
        None => facts.push(named("router advertisement", "none".to_owned())),
        Some(ra) => {
            let flag = |set: bool| u8::from(set);
            let prefixes = ra
                .prefixes
                .iter()
                .map(|prefix| format!(" {} A={}", prefix.prefix, flag(prefix.autonomous)));
            let text = format!(
                "M={} O={}{}{}",
                flag(ra.managed),
                flag(ra.other),
                prefixes.collect::<String>(),
                if ra.router_lifetime_s > 0 {
                    ", default router"
                } else {
                    ""
                }
            );
            facts.push(named("router advertisement", text));
            facts.push(named("dns", list(&ra.rdnss)));
        }
    }
    let dhcpv6 = plan.dhcpv6.as_ref().map(|dhcpv6| {
        let addresses = list(&dhcpv6.addresses);
        if addresses.is_empty() {
            "options only".to_owned()
        } else {
            addresses
        }
    });
    facts.push(named("DHCPv6", dhcpv6.unwrap_or_else(|| "off".to_owned())));
    let dhcpv4 = plan.dhcpv4.as_ref().map(|dhcpv4| {
        let addresses = dhcpv4.leases.iter().map(|lease| lease.address);
        list(&addresses.collect::<Vec<_>>())
    });
    facts.push(named("DHCPv4", dhcpv4.unwrap_or_else(|| "off".to_owned())));
    facts
}

fn last(history: &History, now: Instant) -> Vec<v1::Seen> {
    let last = history.last().iter().map(|(topic, last)| v1::Seen {
        topic: topic.name().to_owned(),
        ago_ms: ago_ms(last.at, now),
        count: last.count,
        words: last.note.to_string(),
    });
    last.collect()
}

fn recent(history: &History, now: Instant) -> Vec<v1::Seen> {
    let notes = history.notes().map(|(at, note)| v1::Seen {
        topic: note.topic().name().to_owned(),
        ago_ms: ago_ms(*at, now),
        count: 0,
        words: note.to_string(),
    });
    notes.collect()
}

fn ago_ms(at: Instant, now: Instant) -> u64 {
    u64::try_from(now.saturating_duration_since(at).as_millis()).unwrap_or(u64::MAX)
}

/// A port without a machine: its host cannot carry it.
fn unserved(port: &v1::LocalPort) -> Vec<Finding> {
    let why = port.down.as_deref().unwrap_or("it is not served");
    vec![Finding {
        problem: hextet_proto::diagnosis::Problem::HostDown,
        words: format!("This host does not carry the port: {why}."),
    }]
}

fn finding(found: Finding) -> v1::Finding {
    v1::Finding {
        name: found.problem.name().to_owned(),
        harmful: found.problem.is_harmful(),
        words: found.words,
    }
}

fn named(name: &str, value: String) -> v1::Fact {
    v1::Fact {
        name: name.to_owned(),
        value,
    }
}

fn list(addresses: &[impl ToString]) -> String {
    let texts: Vec<String> = addresses.iter().map(ToString::to_string).collect();
    texts.join(", ")
}

/// As people write it: an IPv4 address stands in the maps mapped into IPv6.
fn plain(address: Ipv6Addr) -> String {
    match address.to_ipv4_mapped() {
        Some(ipv4) => ipv4.to_string(),
        None => address.to_string(),
    }
}
