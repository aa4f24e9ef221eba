//! The judgement: what was promised against what was seen, one line per guest and column.
//!
//! Pure. A line that is wrong only because another line is wrong names that one as its cause, so that one fault reads
//! as one fault.

mod told;

use std::collections::BTreeSet;
use std::fmt;

use ipnet::Ipv6Net;

use crate::promised::Promised;
use crate::seen::{DnsSource, PrefixSeen, Seen};

/// What is compared for each guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Column {
    /// The global addresses that the guest holds and may use.
    Address,
    /// Their lifetimes, and those that the RA announces.
    Lifetimes,
    /// Routes to the subnets' prefixes, with their true length.
    OnLinkRoute,
    /// The way out, or its absence.
    DefaultRoute,
    /// Recursive name servers, in order.
    Dns,
    /// Largest IP packet.
    Mtu,
    /// M and O of the RA, A of its prefixes.
    Flags,
    /// A full-sized packet to the neighbour's global address and back.
    PingGlobal,
    /// A packet to the neighbour's link-local address and back.
    PingLinkLocal,
    /// The IPv4 address, with its subnet's length.
    Ipv4Address,
    /// Every route of IPv4, the default one among them.
    Ipv4Routes,
    /// Name servers of IPv4, in order.
    Ipv4Dns,
    /// A full-sized packet to the neighbour's IPv4 address and back.
    PingIpv4,
    /// The name that DHCPv4 gives to hosts.
    HostName,
    /// The port's options of DHCP, as the client passed them on.
    Options,
}

impl Column {
    /// Every column, in the order of the table.
    pub const ALL: [Column; 15] = [
        Column::Address,
        Column::Lifetimes,
        Column::OnLinkRoute,
        Column::DefaultRoute,
        Column::Dns,
        Column::Mtu,
        Column::Flags,
        Column::PingGlobal,
        Column::PingLinkLocal,
        Column::Ipv4Address,
        Column::Ipv4Routes,
        Column::Ipv4Dns,
        Column::PingIpv4,
        Column::HostName,
        Column::Options,
    ];

    /// Whether a guest was promised anything that it is about.
    fn is_about(self, promised: &Promised) -> bool {
        match self {
            Column::Ipv4Address | Column::Ipv4Routes | Column::Ipv4Dns | Column::PingIpv4 => {
                promised.ipv4.is_some()
            }
            Column::HostName => promised.host_name.is_some(),
            Column::Options => !promised.options.is_empty(),
            _ => true,
        }
    }
}

impl fmt::Display for Column {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Column::Address => "address",
            Column::Lifetimes => "lifetimes",
            Column::OnLinkRoute => "on-link route",
            Column::DefaultRoute => "default route",
            Column::Dns => "DNS",
            Column::Mtu => "MTU",
            Column::Flags => "M/O/A",
            Column::PingGlobal => "ping by global",
            Column::PingLinkLocal => "ping by link-local",
            Column::Ipv4Address => "IPv4 address",
            Column::Ipv4Routes => "IPv4 routes",
            Column::Ipv4Dns => "IPv4 DNS",
            Column::PingIpv4 => "ping by IPv4",
            Column::HostName => "host name",
            Column::Options => "DHCP options",
        })
    }
}

/// How a line ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Seen as promised.
    Right,
    /// Not as promised, and this is the fault itself.
    Wrong {
        /// What differs.
        reason: String,
    },
    /// Not as promised, because of another line.
    Because {
        /// The guest of the line at fault.
        guest: String,
        /// The column at fault.
        column: Column,
        /// What differs here.
        reason: String,
    },
}

/// One row of the table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// The guest's name.
    pub guest: String,
    /// What is compared.
    pub column: Column,
    /// In words, from the API.
    pub promised: String,
    /// In words, from the guest.
    pub seen: String,
    /// Whether they agree.
    pub verdict: Verdict,
}

impl Line {
    /// Whether it was seen as promised.
    pub fn is_right(&self) -> bool {
        self.verdict == Verdict::Right
    }
}

/// Judges every guest: first each line on its own, then which wrong lines follow from others.
pub fn compare(guests: &[(Promised, Seen)]) -> Vec<Line> {
    let lines: Vec<Line> = guests
        .iter()
        .flat_map(|(promised, seen)| {
            let columns = Column::ALL.iter();
            let columns = columns.filter(|column| column.is_about(promised));
            columns.map(move |column| judge(*column, promised, seen))
        })
        .collect();
    lines
        .iter()
        .map(|line| match &line.verdict {
            Verdict::Wrong { reason } => match cause(line, guests, &lines) {
                Some((guest, column)) => Line {
                    verdict: Verdict::Because {
                        guest,
                        column,
                        reason: reason.clone(),
                    },
                    ..line.clone()
                },
                None => line.clone(),
            },
            Verdict::Right | Verdict::Because { .. } => line.clone(),
        })
        .collect()
}

/// Judges one column of one guest by itself.
pub fn judge(column: Column, promised: &Promised, seen: &Seen) -> Line {
    let (wanted, got, reason) = match column {
        Column::Address => address(promised, seen),
        Column::Lifetimes => lifetimes(promised, seen),
        Column::OnLinkRoute => on_link(promised, seen),
        Column::DefaultRoute => default_route(promised, seen),
        Column::Dns => dns(promised, seen),
        Column::Mtu => mtu(promised, seen),
        Column::Flags => flags(promised, seen),
        Column::PingGlobal => {
            let reason = (!seen.ping_global.answered).then(|| "no answer".to_owned());
            let wanted = format!("{} answers, {} bytes", promised.neighbour, promised.mtu);
            (wanted, seen.ping_global.says.clone(), reason)
        }
        Column::PingLinkLocal => {
            let reason = (!seen.ping_link_local.answered).then(|| "no answer".to_owned());
            let wanted = format!("{} answers", promised.neighbour);
            (wanted, seen.ping_link_local.says.clone(), reason)
        }
        Column::Ipv4Address | Column::Ipv4Routes | Column::Ipv4Dns | Column::PingIpv4 => {
            told::ipv4(column, promised, seen)
        }
        Column::HostName => told::host_name(promised, seen),
        Column::Options => told::options(promised, seen),
    };
    Line {
        guest: promised.guest.clone(),
        column,
        promised: wanted,
        seen: got,
        verdict: reason.map_or(Verdict::Right, |reason| Verdict::Wrong { reason }),
    }
}

/// Promised, seen, and the reason when they differ.
type Judged = (String, String, Option<String>);

fn address(promised: &Promised, seen: &Seen) -> Judged {
    let mut reasons = Vec::new();
    let wanted = || promised.addresses.iter().chain(&promised.formed);
    for wanted in wanted() {
        match seen.addresses.iter().find(|held| held.address == *wanted) {
            None => reasons.push(format!("{wanted} is missing")),
            Some(held) => reasons.extend(
                held.unusable
                    .iter()
                    .map(|flag| format!("{wanted} is {flag}")),
            ),
        }
    }
    for held in &seen.addresses {
        if !wanted().any(|wanted| *wanted == held.address) {
            reasons.push(format!("{} was not promised", held.address));
        }
    }
    let got = seen
        .addresses
        .iter()
        .map(|held| format!("{}/{}", held.address, held.prefix_len));
    if promised.forms_addresses && promised.formed.is_empty() {
        reasons.push("the API shows none that the guest formed".to_owned());
    }
    (list(wanted()), list(got), joined(&reasons))
}

fn lifetimes(promised: &Promised, seen: &Seen) -> Judged {
    let mut reasons = Vec::new();
    let mut got = Vec::new();
    for wanted in &promised.addresses {
        let Some(held) = seen.addresses.iter().find(|held| held.address == *wanted) else {
            reasons.push(format!("{wanted} is missing"));
            continue;
        };
        if seen.lifetimes_by_client {
            got.push("watched by the client".to_owned());
            continue;
        }
        got.push(format!("{} / {} s left", held.valid_s, held.preferred_s));
        for (name, left, given) in [
            ("valid", held.valid_s, promised.valid_lifetime_s),
            ("preferred", held.preferred_s, promised.preferred_lifetime_s),
        ] {
            // Given at the earliest when the link appeared, a lifetime has lost at most the link's age.
            let least = given.saturating_sub(seen.age_s);
            // NetworkManager renews what the kernel holds, and rounds up what is left by its own clock.
            let most = given.saturating_add(1);
            if !(least..=most).contains(&left) {
                reasons.push(format!("{name} {left} s is not within {least} to {most} s"));
            }
        }
    }
    for prefix in seen.ra.iter().flat_map(|ra| &ra.prefixes) {
        let told = (prefix.valid_s, prefix.preferred_s);
        if told != (promised.valid_lifetime_s, promised.preferred_lifetime_s) {
            reasons.push(format!(
                "the RA gives {} {} / {} s",
                prefix.prefix, told.0, told.1
            ));
        }
    }
    let wanted = format!(
        "{} s valid / {} s preferred",
        promised.valid_lifetime_s, promised.preferred_lifetime_s
    );
    (wanted, list(got), joined(&reasons))
}

fn on_link(promised: &Promised, seen: &Seen) -> Judged {
    let mut reasons: Vec<String> = promised
        .on_link
        .iter()
        .filter(|prefix| !seen.on_link.contains(prefix))
        .map(|prefix| format!("no route to {prefix}"))
        .collect();
    // DHCPv6 clients configure a /128 of their own address (RFC 9915 gives no length): a host route, not an on-link claim.
    let strangers = seen
        .on_link
        .iter()
        .filter(|route| route.prefix_len() < 128 && !promised.on_link.contains(route));
    reasons.extend(strangers.map(|route| format!("{route} is not on this link")));
    (
        list(promised.on_link.iter()),
        list(seen.on_link.iter()),
        joined(&reasons),
    )
}

/// The router of a physical segment; elsewhere no router serves, so there is no way out, whatever `gateway_ip` says.
fn default_route(promised: &Promised, seen: &Seen) -> Judged {
    let mut reasons = Vec::new();
    if let Some(router) = promised.router {
        let wanted = format!("via {router}");
        if seen.default_routes.is_empty() || seen.default_routes.iter().any(|it| *it != wanted) {
            reasons.push("not the router's".to_owned());
        }
        if seen.ra.as_ref().is_some_and(|ra| ra.router_lifetime_s == 0) {
            reasons.push("the RA's router lifetime is 0 s".to_owned());
        }
        return (wanted, list(seen.default_routes.iter()), joined(&reasons));
    }
    if !seen.default_routes.is_empty() {
        reasons.push("a default route without a router".to_owned());
    }
    if let Some(lifetime) = seen.ra.as_ref().map(|ra| ra.router_lifetime_s)
        && lifetime != 0
    {
        reasons.push(format!("the RA's router lifetime is {lifetime} s"));
    }
    (
        "none".to_owned(),
        list(seen.default_routes.iter()),
        joined(&reasons),
    )
}

fn dns(promised: &Promised, seen: &Seen) -> Judged {
    let same = match seen.dns_source {
        // It keeps an RA's servers in a set, and those of DHCPv6 besides.
        DnsSource::Networkd => BTreeSet::from_iter(&seen.dns) == BTreeSet::from_iter(&promised.dns),
        DnsSource::Ra | DnsSource::ResolvConf => seen.dns == promised.dns,
    };
    let reason = (!same).then(|| match seen.dns_source {
        DnsSource::Ra if seen.ra.is_none() => "no RA to read".to_owned(),
        DnsSource::Ra => "the RA's servers differ".to_owned(),
        DnsSource::ResolvConf | DnsSource::Networkd => format!("{} differs", seen.dns_source),
    });
    (
        list(promised.dns.iter()),
        format!("{} ({})", list(seen.dns.iter()), seen.dns_source),
        reason,
    )
}

fn mtu(promised: &Promised, seen: &Seen) -> Judged {
    let told = seen.ra.as_ref().map(|ra| ra.mtu);
    let mut reasons = Vec::new();
    if seen.ipv6_mtu != promised.mtu {
        reasons.push(format!("IPv6 uses {}", seen.ipv6_mtu));
    }
    if seen.link_mtu != promised.mtu {
        reasons.push(format!("the link has {}", seen.link_mtu));
    }
    if let Some(told) = told
        && told != Some(promised.mtu)
    {
        let told = told.map_or("nothing".to_owned(), |told| told.to_string());
        reasons.push(format!("the RA says {told}"));
    }
    (
        promised.mtu.to_string(),
        format!("{} (link {})", seen.ipv6_mtu, seen.link_mtu),
        joined(&reasons),
    )
}

fn flags(promised: &Promised, seen: &Seen) -> Judged {
    let letter = |set: bool| if set { 1 } else { 0 };
    let words = |managed, other, autonomous: Vec<Ipv6Net>| {
        format!(
            "M={} O={} A: {}",
            letter(managed),
            letter(other),
            list(autonomous.iter())
        )
    };
    let wanted = words(
        promised.managed,
        promised.other,
        promised.autonomous.clone(),
    );
    let Some(ra) = &seen.ra else {
        return (wanted, "no RA".to_owned(), Some("no RA came".to_owned()));
    };
    let autonomous = |prefix: &&PrefixSeen| prefix.autonomous;
    let got = words(
        ra.managed,
        ra.other,
        ra.prefixes
            .iter()
            .filter(autonomous)
            .map(|prefix| prefix.prefix)
            .collect(),
    );
    let mut reasons = Vec::new();
    if wanted != got {
        reasons.push("the flags differ".to_owned());
    }
    for prefix in ra.prefixes.iter().filter(|prefix| !prefix.on_link) {
        reasons.push(format!("{} lacks L", prefix.prefix));
    }
    (wanted, got, joined(&reasons))
}

/// The line that a wrong one follows from, if one does.
fn cause(line: &Line, guests: &[(Promised, Seen)], lines: &[Line]) -> Option<(String, Column)> {
    let (promised, seen) = guests.iter().find(|(own, _)| own.guest == line.guest)?;
    let (own, neighbours): (&[Column], &[Column]) = match line.column {
        Column::Lifetimes => (&[Column::Address], &[]),
        Column::Dns if seen.dns_source == DnsSource::Ra => (&[Column::Flags], &[]),
        Column::PingGlobal => (
            &[
                Column::Address,
                Column::OnLinkRoute,
                Column::Mtu,
                Column::PingLinkLocal,
            ],
            &[Column::Address, Column::OnLinkRoute, Column::Mtu],
        ),
        Column::Ipv4Routes => (&[Column::Ipv4Address], &[]),
        Column::PingIpv4 => (
            &[Column::Ipv4Address, Column::Ipv4Routes, Column::Mtu],
            &[Column::Ipv4Address, Column::Ipv4Routes, Column::Mtu],
        ),
        Column::Ipv4Address
        | Column::Ipv4Dns
        | Column::HostName
        | Column::Options
        | Column::Address
        | Column::OnLinkRoute
        | Column::DefaultRoute
        | Column::Dns
        | Column::Mtu
        | Column::Flags
        | Column::PingLinkLocal => (&[], &[]),
    };
    let wrong = |guest: &str, column: Column| {
        lines
            .iter()
            .any(|other| other.guest == guest && other.column == column && !other.is_right())
    };
    let own = own.iter().map(|column| (&promised.guest, *column));
    let neighbours = neighbours
        .iter()
        .map(|column| (&promised.neighbour, *column));
    own.chain(neighbours)
        .find(|(guest, column)| wrong(guest, *column))
        .map(|(guest, column)| (guest.clone(), column))
}

fn list<T: ToString>(items: impl IntoIterator<Item = T>) -> String {
    let items: Vec<String> = items.into_iter().map(|item| item.to_string()).collect();
    if items.is_empty() {
        "none".to_owned()
    } else {
        items.join(", ")
    }
}

fn joined(reasons: &[String]) -> Option<String> {
    (!reasons.is_empty()).then(|| reasons.join("; "))
}

#[cfg(test)]
mod tests;
