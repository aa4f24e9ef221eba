//! Guests in trouble, each by the name that people have for it, and what `hextet port show` says of them; a client that follows
//! a Reconfigure. Guests of their own, beside the lab's others: what is wrong with them is meant.

mod bed;
#[cfg(test)]
mod tests;

use std::net::Ipv6Addr;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;
use comfy_table::Table;
use comfy_table::presets::UTF8_FULL_CONDENSED;
use serde_json::{Value, json};

use crate::client::Client;
use crate::interrupt::Interrupt;
use crate::lab::{Lab, say};
use crate::networks::{NetworkSpec, Physical};
use bed::{Bed, GuestSpec, Network};

/// The physical segment whose router sends its guests to DHCPv6, which its subnet does not want.
pub const NETWORK: NetworkSpec = NetworkSpec {
    name: "contradicted",
    cidr: "2001:db8:9::/64",
    mode: "slaac",
    mtu: None,
    ipv4: None,
    physical: Some(Physical {
        name: "phys3",
        router_advertises: true,
        flags: "AdvManagedFlag on; AdvOtherConfigFlag on;",
    }),
    options: &[],
    guests: &[],
};

/// How long it may take until everything is said, and until a Reconfigure is followed; far above what it takes.
const BOUND: Duration = Duration::from_secs(180);
/// How often the host is asked, and the guests made to do what shows their trouble.
const LOOK: Duration = Duration::from_millis(500);

/// One DUID for clones: a DUID-UUID as dhclient's lease file has it.
const CLONED_DUID: &str = "default-duid \"\\000\\004\\001\\002\\003\\004\\005\\006\\007\\010\\011\\012\\013\\014\\015\\016\\017\\020\";\n";
/// One secret for clones (RFC 7217).
const CLONED_SECRET: &str = "net.ipv6.conf.eth0.stable_secret=2001:db8:5ec:e7::1";
const DEAF: &str = "net.ipv6.conf.eth0.accept_ra=0";

const fn guest(name: &'static str, network: Network, client: Client) -> GuestSpec {
    GuestSpec {
        name,
        network,
        client,
        settings: &[],
        leases: "",
        configuration: "",
    }
}

/// Every guest.
const GUESTS: [GuestSpec; 12] = [
    guest("old", Network::Stateful, Client::Dhclient64),
    GuestSpec {
        settings: &[DEAF],
        ..guest("manual", Network::Stateful, Client::Dhclient)
    },
    guest("lonely", Network::Quiet, Client::Kernel),
    GuestSpec {
        settings: &[DEAF],
        ..guest("deaf", Network::Slaac, Client::Kernel)
    },
    GuestSpec {
        leases: CLONED_DUID,
        ..guest("clone", Network::Stateful, Client::Dhclient)
    },
    GuestSpec {
        leases: CLONED_DUID,
        ..guest("cloned", Network::Stateful, Client::Dhclient)
    },
    GuestSpec {
        settings: &[CLONED_SECRET],
        ..guest("twin", Network::Slaac, Client::Kernel)
    },
    GuestSpec {
        settings: &[CLONED_SECRET],
        ..guest("other", Network::Slaac, Client::Kernel)
    },
    guest("contradicted", Network::Segment, Client::Kernel),
    guest("small", Network::Slaac, Client::Kernel),
    guest("large", Network::Slaac, Client::Kernel),
    GuestSpec {
        configuration: "option dhcp6_reconfigure_accept\n",
        ..guest("follows", Network::Stateful, Client::Dhcpcd)
    },
];

/// A problem of the list.
#[derive(Clone, Copy, Debug)]
struct Problem {
    /// As people call it.
    name: &'static str,
    /// The guest that has it.
    guest: &'static str,
    /// What the host finds, and exactly that; the first is the problem.
    findings: &'static [&'static str],
    /// What comes and goes beside it.
    passing: &'static [&'static str],
    /// What the first one's words say, among others.
    words: &'static str,
    /// The guest whose port the words name besides.
    names: Option<&'static str>,
    /// Whether the guest has its port's addresses all the same.
    holds: bool,
}

/// The list.
const PROBLEMS: [Problem; 8] = [
    Problem {
        name: "a client that takes its prefix for a /64",
        guest: "old",
        findings: &["prefix-64"],
        passing: &[],
        words: "its client takes the prefix for a /64",
        names: None,
        holds: true,
    },
    Problem {
        name: "a client with a /128 and no route",
        guest: "manual",
        findings: &["prefix-128", "ra-ignored"],
        passing: &[],
        words: "as a /128, and without the advertisement no route to its neighbours",
        names: None,
        holds: true,
    },
    Problem {
        name: "no RA seen",
        guest: "lonely",
        findings: &["no-ra"],
        passing: &[],
        words: "Hextet advertises no subnet of its network",
        names: None,
        holds: true,
    },
    Problem {
        name: "RA ignored by the guest",
        guest: "deaf",
        findings: &["ra-ignored"],
        passing: &[],
        words: "accept_ra must be 1",
        names: None,
        holds: false,
    },
    Problem {
        name: "cloned DUID",
        guest: "clone",
        findings: &["cloned-duid"],
        passing: &[],
        words: "shows the same DUID as that of port",
        names: Some("cloned"),
        holds: true,
    },
    Problem {
        name: "cloned stable-privacy secret",
        guest: "twin",
        findings: &["cloned-secret", "other-address"],
        // Who comes second tries what the first has at each advertisement.
        passing: &["address-conflict"],
        words: "clones with one stable-privacy secret",
        names: Some("other"),
        holds: false,
    },
    Problem {
        name: "wrong M/O flags on the physical segment",
        guest: "contradicted",
        findings: &["wrong-flags"],
        passing: &[],
        words: "M=1 O=1",
        names: None,
        holds: true,
    },
    Problem {
        name: "MTU mismatch",
        guest: "small",
        findings: &["mtu-mismatch"],
        passing: &[],
        words: "The guest's interface has MTU 1300, the network 1430: set it to 1430.",
        names: None,
        holds: true,
    },
];

/// A row of the table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    name: &'static str,
    client: String,
    wanted: String,
    seen: String,
    right: bool,
}

impl Row {
    /// Whether it came out as it must.
    pub fn is_right(&self) -> bool {
        self.right
    }
}

/// Plays every scenario.
///
/// # Errors
/// When a guest cannot be made or looked into, or someone asks the lab to end.
pub fn run(lab: &Lab, interrupt: &Interrupt) -> Result<Vec<Row>> {
    say("guests in trouble");
    let mut bed = Bed::make(lab, &GUESTS)?;
    bed.settle(interrupt, BOUND)?;
    let mut rows = problems(&bed, interrupt)?;
    rows.push(reconfigure(&mut bed, interrupt)?);
    Ok(rows)
}

/// Makes every guest show its trouble until the host has said what there is to say, or the time is up.
fn problems(bed: &Bed<'_>, interrupt: &Interrupt) -> Result<Vec<Row>> {
    bed.guest("small").ip("link set eth0 mtu 1300")?;
    let small = bed.guest("small").address()?;
    // In its /64, and outside its subnet.
    let beyond = Ipv6Addr::from_bits(bed.guest("old").address()?.to_bits() ^ (1 << 40));
    let deadline = Instant::now() + BOUND;
    loop {
        interrupt.check()?;
        bed.guest("large").ping(small, 1400)?;
        bed.guest("old").ping(beyond, 1280)?;
        let rows = PROBLEMS.iter().map(|problem| judged(bed, problem));
        let rows = rows.collect::<Result<Vec<Row>>>()?;
        if rows.iter().all(Row::is_right) || Instant::now() >= deadline {
            return Ok(rows);
        }
        thread::sleep(LOOK);
    }
}

fn judged(bed: &Bed<'_>, problem: &Problem) -> Result<Row> {
    let guest = bed.guest(problem.guest);
    let shown = bed.shown(problem.guest)?;
    let named = problem.names.map(|name| bed.guest(name).port());
    Ok(judge(
        problem,
        guest.client(),
        &shown,
        named,
        guest.holds()?,
    ))
}

/// What `hextet port show` says against what it must.
fn judge(
    problem: &Problem,
    client: Client,
    shown: &Value,
    named: Option<&str>,
    holds: bool,
) -> Row {
    let mut wanted = problem.findings.to_vec();
    wanted.sort_unstable();
    let findings = shown["findings"].as_array().map_or(&[][..], Vec::as_slice);
    let text = |of: &Value, key: &str| of[key].as_str().unwrap_or_default().to_owned();
    let mut names: Vec<String> = findings.iter().map(|found| text(found, "name")).collect();
    names.sort();
    names.dedup();
    let passes = |name: &str| problem.passing.contains(&name);
    let lasting = names
        .iter()
        .filter(|name| wanted.contains(&name.as_str()) || !passes(name));
    let as_wanted = lasting.eq(&wanted);
    // One problem may be found in several ways.
    let of_name = findings.iter();
    let of_name = of_name.filter(|found| found["name"] == problem.findings[0]);
    let words = of_name.map(|found| text(found, "words"));
    let words = words.collect::<Vec<_>>().join(" ");
    let says = words.contains(problem.words) && named.is_none_or(|port| words.contains(port));
    // Harmless ones have no verdict of their own.
    let verdict = text(shown, "verdict");
    let concludes = !verdict.starts_with("Nothing is wrong");
    let right = as_wanted && says && concludes && (holds || !problem.holds);
    let has = if holds { "has" } else { "lacks" };
    Row {
        name: problem.name,
        client: client.to_string(),
        wanted: format!("{}: … {} …", problem.findings.join(", "), problem.words),
        seen: format!("{}: {words} It {has} its addresses.", names.join(", ")),
        right,
    }
}

/// A client that said that it accepts Reconfigure is told of another address, and asks for it at once.
fn reconfigure(bed: &mut Bed<'_>, interrupt: &Interrupt) -> Result<Row> {
    let (name, asked) = ("follows", Instant::now());
    let before = bed.guest(name).address()?;
    let after = Ipv6Addr::from_bits(before.to_bits() ^ 1);
    let changed = json!({ "fixed_ips": [{ "ip_address": after.to_string() }] });
    bed.change(name, changed)?;
    let guest = bed.guest(name);
    let (mut held, mut said, mut asks) = (Vec::new(), Vec::new(), String::new());
    let mut right = false;
    while !right && asked.elapsed() < BOUND {
        interrupt.check()?;
        thread::sleep(LOOK);
        held = guest.held()?;
        said = followed(&guest.log()?);
        asks = last_message(&bed.shown(name)?);
        right = held == [after] && said == FOLLOWED && asks.starts_with("Renew:");
    }
    let held: Vec<String> = held.iter().map(Ipv6Addr::to_string).collect();
    Ok(Row {
        name: "Reconfigure accepted and followed by Renew",
        client: guest.client().to_string(),
        wanted: format!("{after} alone; {}; Renew", FOLLOWED.join(", ")),
        seen: format!("{}; {}; {asks}", held.join(", "), said.join(", ")),
        right,
    })
}

/// The client's last message of DHCPv6 and what became of it, as `hextet port show` has it.
fn last_message(shown: &Value) -> String {
    let last = shown["last"].as_array().map_or(&[][..], Vec::as_slice);
    let dhcpv6 = last.iter().find(|seen| seen["topic"] == "DHCPv6");
    let words = dhcpv6.and_then(|seen| seen["words"].as_str());
    words.unwrap_or_default().to_owned()
}

/// What dhcpcd's log says of it, one after the other.
const FOLLOWED: [&str; 3] = ["accepted reconfigure key", "RECONFIGURE6", "REPLY6"];

/// How much of it the log says, in this order.
fn followed(log: &str) -> Vec<&'static str> {
    let mut rest = log;
    let mut said = Vec::new();
    for words in FOLLOWED {
        let Some((_, after)) = rest.split_once(words) else {
            break;
        };
        said.push(words);
        rest = after;
    }
    said
}

/// The table.
pub fn table(rows: &[Row]) -> String {
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED).set_header([
        "scenario",
        "with",
        "must be said",
        "said",
        "verdict",
    ]);
    for row in rows {
        let verdict = if row.right { "right" } else { "WRONG" };
        table.add_row([
            row.name,
            row.client.as_str(),
            row.wanted.as_str(),
            row.seen.as_str(),
            verdict,
        ]);
    }
    format!("\nscenarios\n{table}\n")
}

/// The last line: `N of N scenarios right`.
pub fn summary(rows: &[Row]) -> String {
    let right = rows.iter().filter(|row| row.right).count();
    format!("{right} of {} scenarios right", rows.len())
}
