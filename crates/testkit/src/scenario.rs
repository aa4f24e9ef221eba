//! Scripts: numbered steps that drive a [`World`] and say what must be seen.
//!
//! ```text
//! 1. subnet a 2001:db8:1::/64 slaac dns=2001:db8::53
//! 2. port g1 fa:16:3e:00:00:01
//! 3. guest g1 up
//! 4. wait 1700ms
//! 5. expect g1 address 2001:db8:1::f816:3eff:fe00:1 preferred
//! ```
//!
//! `guest g1 up ignores-ra` and `filters-ra` are guests that do not believe in advertisements; `expect g1 finds NAME …` is what
//! the host says is wrong with the port, by the names of `hextet port show`, and `expect g1 finds nothing`.
//!
//! `guest g1 forms ADDRESS` (with a check for duplicates), `takes ADDRESS` (without) and `abandons ADDRESS` are what
//! guests do by themselves; `guest g1 sends from ADDRESS` to another guest, `expect g1 passed ADDRESS 2` counts them.
//!
//! An IPv4 subnet is `subnet b 10.0.0.0/24 ipv4 gateway=10.0.0.1 dns=… route=DESTINATION,NEXTHOP` or `… nodhcp`, its
//! guests' clients `guest g1 up dhcp4 broadcast4 rapid4 id4=HEX held4=10.0.0.5`, what they hold `expect g1 dhcpv4 …`.
//!
//! `port g1 told 4 NAME=VALUE` is an entry of its `extra_dhcp_opts`, which goes by `NAME=`; `expect g1 dhcpv6 option59=TEXT` is what
//! the guest was told last.
//!
//! `#` begins a comment. Steps are numbered without a gap, so that a failure's number finds its line.

mod ipv4;
mod options;

use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use hextet_core::mac::Mac;
use hextet_core::modes::{Ipv6Mode, Ipv6Modes};
use hextet_core::settings::CloudSettings;
use hextet_proto::diagnosis::Finding;
use hextet_proto::{DropReason, LinkEvent};
use hextet_wire::dhcpv6::Duid;
use hextet_wire::ndp::{NdOption, RouterAdvert};
use uuid::Uuid;

use crate::guest::{AddressState, Adverts, Guest};
use crate::world::{ClientConfig, World};

/// Runs a script to its end.
///
/// # Errors
/// The step that failed, and how.
pub fn run(script: &str) -> Result<(), String> {
    let settings = CloudSettings::with_defaults(Uuid::from_u128(7));
    let mut runner = Runner {
        world: World::new(settings),
    };
    let mut expects = 0;
    let lines = script
        .lines()
        .map(|line| line.split('#').next().unwrap_or(""));
    let steps = lines.map(str::trim).filter(|line| !line.is_empty());
    for (at, line) in steps.enumerate() {
        let number = at + 1;
        let step = line
            .strip_prefix(&format!("{number}. "))
            .ok_or_else(|| format!("step {number} is wanted here: {line}"))?;
        let words: Vec<&str> = step.split_whitespace().collect();
        expects += usize::from(words.first() == Some(&"expect"));
        runner
            .step(&words)
            .map_err(|error| format!("{line}: {error}\n{}", runner.state()))?;
    }
    if expects == 0 {
        return Err("a script that expects nothing cannot fail".to_owned());
    }
    runner.world.check_invariants();
    Ok(())
}

struct Runner {
    world: World,
}

impl Runner {
    fn step(&mut self, words: &[&str]) -> Result<(), String> {
        match words {
            ["subnet", name, "gone"] => self.world.remove_subnet(name),
            ["subnet", _, cidr, "ipv4", rest @ ..] => {
                self.world.add_ipv4_subnet(ipv4::subnet(cidr, rest)?);
            }
            ["subnet", name, cidr, mode, rest @ ..] => {
                let mode = Some(Ipv6Mode::from_name(mode).ok_or("no such mode")?);
                let dns = rest.iter().filter_map(|word| word.strip_prefix("dns="));
                let dns = dns.map(parse).collect::<Result<_, _>>()?;
                let modes = Ipv6Modes {
                    ra: mode,
                    address: mode,
                };
                self.world.add_subnet(name, parse(cidr)?, modes, dns);
            }
            ["port", name, "down"] => self.world.set_admin_state(name, false),
            ["port", name, "up"] => self.world.set_admin_state(name, true),
            ["port", name, "detached"] => self.world.cease(name),
            ["port", name, "moves", "to", address] => self.world.readdress(name, parse(address)?),
            ["port", name, "told", version, option] => {
                self.world.tell(name, options::request(version, option)?)?;
            }
            ["port", name, mac, addresses @ ..] => {
                let mac: Mac = parse(mac)?;
                let addresses = addresses.iter().map(|text| parse(text));
                let addresses: Vec<IpAddr> = addresses.collect::<Result<_, _>>()?;
                self.world.add_port(name, mac, &addresses);
            }
            ["guest", name, "up", options @ ..] => self.boot(name, options)?,
            ["guest", name, "asks", target] => self.world.ask(name, parse(target)?),
            ["guest", name, "forms", address] => self.world.form(name, parse(address)?, true),
            ["guest", name, "takes", address] => self.world.form(name, parse(address)?, false),
            ["guest", name, "abandons", address] => self.world.abandon(name, parse(address)?),
            ["guest", name, "sends", "from", source] => self.world.send_from(name, parse(source)?),
            ["agent", "restarts"] => self.world.restart(),
            ["wait", span] => self.world.run(duration(span)?),
            ["expect", name, rest @ ..] => self.expect(name, rest)?,
            _ => return Err("no such step".to_owned()),
        }
        Ok(())
    }

    fn boot(&mut self, name: &str, options: &[&str]) -> Result<(), String> {
        let mut link_local = None;
        let mut client = ClientConfig::default();
        for option in options {
            if ipv4::client_option(&mut client, option)? {
                continue;
            }
            match option.split_once('=') {
                Some(("lladdr", address)) => link_local = Some(parse(address)?),
                Some(("duid", hex)) => {
                    let bytes = (0..hex.len() / 2)
                        .map(|at| u8::from_str_radix(&hex[at * 2..at * 2 + 2], 16))
                        .collect::<Result<Vec<u8>, _>>();
                    let bytes = bytes.map_err(|error| error.to_string())?;
                    client.client = Some(Duid::new(&bytes).ok_or("no DUID")?);
                }
                None if *option == "rapid" => client.rapid_commit = true,
                None if *option == "ignores-ra" => client.adverts = Adverts::Ignored,
                None if *option == "filters-ra" => client.adverts = Adverts::Filtered,
                _ => return Err(format!("no such option: {option}")),
            }
        }
        self.world.boot(name, link_local, client);
        Ok(())
    }

    fn expect(&mut self, name: &str, wanted: &[&str]) -> Result<(), String> {
        if let ["finds", names @ ..] = wanted {
            return expect_findings(&self.world.diagnose(name), names);
        }
        let port = self.world.port(name);
        if let ["event", rest @ ..] = wanted {
            return expect_event(&port.events, rest);
        }
        if let ["passed", source, count] = wanted {
            let passed = port.passed.get(&parse(source)?).unwrap_or(&0);
            return same(count, passed);
        }
        if let ["dropped", reason, count] = wanted {
            let known = DropReason::ALL.iter().find(|known| known.name() == *reason);
            return same(
                count,
                &port
                    .link
                    .counters()
                    .dropped(*known.ok_or("no such reason")?),
            );
        }
        let guest = port.guest.as_ref().ok_or("the guest is not up")?;
        match wanted {
            ["address", address, state] => {
                let seen = match guest.address(parse(address)?) {
                    None => "none",
                    Some(AddressState::Tentative) => "tentative",
                    Some(AddressState::Preferred) => "preferred",
                    Some(AddressState::Deprecated) => "deprecated",
                    Some(AddressState::Duplicate) => "duplicate",
                };
                same(state, &seen)
            }
            ["adverts", count] => same(count, &guest.adverts.len()),
            ["queries", count] => same(count, &guest.queries.len()),
            ["answers", count] => same(count, &guest.answers.len()),
            ["advert", wanted @ ..] => {
                let (_, _, advert) = guest.adverts.last().ok_or("none was heard")?;
                expect_advert(advert, wanted)
            }
            ["onlink", prefix, verdict] => {
                let seen = guest.on_link.contains(&parse(prefix)?);
                same(verdict, if seen { &"yes" } else { &"no" })
            }
            ["dns", servers @ ..] => {
                let wanted = servers.iter().map(|text| parse(text));
                let wanted: Vec<Ipv6Addr> = wanted.collect::<Result<_, _>>()?;
                if guest.dns == wanted {
                    Ok(())
                } else {
                    Err(format!("seen: {:?}", guest.dns))
                }
            }
            ["dhcpv6", wanted @ ..] => options::expect(guest, wanted),
            ["dhcpv4", wanted @ ..] => ipv4::expect(guest, wanted),
            ["neighbour", address, mac] => expect_neighbour(guest, address, mac),
            _ => Err("no such expectation".to_owned()),
        }
    }

    /// What a failed step's reader wants to know.
    fn state(&self) -> String {
        let ports = self.world.ports.iter().map(|(name, port)| {
            format!(
                "  {name}: {:?}\n    events {:?}\n    guest {:?}\n",
                port.link.counters(),
                port.events,
                port.guest
            )
        });
        format!("at {:?}\n{}", self.world.now, ports.collect::<String>())
    }
}

/// These and no others, in any order.
fn expect_findings(findings: &[Finding], wanted: &[&str]) -> Result<(), String> {
    let mut seen: Vec<&str> = findings.iter().map(|found| found.problem.name()).collect();
    let mut wanted = wanted.to_vec();
    wanted.retain(|name| *name != "nothing");
    seen.sort_unstable();
    wanted.sort_unstable();
    if seen == wanted {
        Ok(())
    } else {
        Err(format!("found: {findings:?}"))
    }
}

fn expect_event(events: &[LinkEvent], wanted: &[&str]) -> Result<(), String> {
    let matches = |event: &LinkEvent| match (wanted, event) {
        (
            ["learned", address],
            LinkEvent::Learned {
                address: seen,
                first_holder: None,
            },
        )
        | (
            ["learned", address, "clone"],
            LinkEvent::Learned {
                address: seen,
                first_holder: Some(_),
            },
        )
        | (["forgotten", address], LinkEvent::Forgotten { address: seen })
        | (["conflict", address], LinkEvent::Conflict { address: seen, .. }) => {
            seen.to_string() == **address
        }
        _ => false,
    };
    if events.iter().any(matches) {
        Ok(())
    } else {
        Err("no such event".to_owned())
    }
}

/// `M=0 O=1 lifetime=0 retrans=100 mtu=1430` of the whole, `prefix=P A=1 valid=5400 preferred=2700` of one prefix,
/// `prefixes=2` their number.
fn expect_advert(advert: &RouterAdvert, wanted: &[&str]) -> Result<(), String> {
    let prefixes: Vec<_> = advert
        .options
        .iter()
        .filter_map(|option| match option {
            NdOption::Prefix(prefix) => Some(prefix),
            _ => None,
        })
        .collect();
    let mtu = advert.options.iter().find_map(|option| match option {
        NdOption::Mtu(mtu) => Some(*mtu),
        _ => None,
    });
    let mut chosen = None;
    for word in wanted {
        let (key, value) = word.split_once('=').ok_or("KEY=VALUE is wanted")?;
        let of_prefix = || chosen.ok_or("prefix=P is wanted before");
        let seen: String = match key {
            "M" => u8::from(advert.managed).to_string(),
            "O" => u8::from(advert.other).to_string(),
            "lifetime" => advert.router_lifetime_s.to_string(),
            "retrans" => advert.retrans_timer_ms.to_string(),
            "mtu" => mtu.map_or("none".to_owned(), |mtu| mtu.to_string()),
            "prefixes" => prefixes.len().to_string(),
            "prefix" => {
                let found = prefixes
                    .iter()
                    .find(|prefix| prefix.prefix.to_string() == value);
                chosen = Some(*found.ok_or_else(|| format!("no prefix {value}: {advert:?}"))?);
                value.to_owned()
            }
            "A" => u8::from(of_prefix()?.autonomous).to_string(),
            "L" => u8::from(of_prefix()?.on_link).to_string(),
            "valid" => of_prefix()?.valid_lifetime_s.to_string(),
            "preferred" => of_prefix()?.preferred_lifetime_s.to_string(),
            _ => return Err(format!("no such field: {key}")),
        };
        if seen != value {
            return Err(format!("{key}={seen}"));
        }
    }
    Ok(())
}

fn expect_neighbour(guest: &Guest, address: &str, mac: &str) -> Result<(), String> {
    let seen = guest.neighbours.get(&parse(address)?);
    same(mac, &seen.map_or("none".to_owned(), Mac::to_string))
}

fn same(wanted: &str, seen: &dyn std::fmt::Display) -> Result<(), String> {
    let seen = seen.to_string();
    if seen == wanted {
        Ok(())
    } else {
        Err(format!("seen: {seen}"))
    }
}

fn parse<T: std::str::FromStr<Err: std::fmt::Display>>(text: &str) -> Result<T, String> {
    text.parse().map_err(|error| format!("{text}: {error}"))
}

/// `250ms`, `3s` or `2h`.
fn duration(text: &str) -> Result<Duration, String> {
    let units = [("ms", 1), ("s", 1000), ("h", 3_600_000)];
    let found = units
        .iter()
        .find_map(|(unit, millis)| Some((text.strip_suffix(unit)?, *millis)));
    let (count, millis): (&str, u64) = found.ok_or("a duration is wanted")?;
    let count: u64 = parse(count)?;
    Ok(Duration::from_millis(count * millis))
}
