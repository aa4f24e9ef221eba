//! The lab: a cloud, its networks, its guests, and what each got.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::api::Api;
use crate::client::Client;
use crate::cloud::Cloud;
use crate::guest::Guest;
use crate::interrupt::Interrupt;
use crate::networks::{DNS_SERVERS, DNS_SERVERS_IPV4, Ipv4Spec, NetworkSpec};
use crate::promised::{Lifetimes, Promised, promised};
use crate::run::Namespace;
use crate::seen::{DnsSource, Seen};
use crate::verdict::{Column, Line, compare, judge};
use crate::watch::Watch;

/// How long a guest may take to hold what it was promised; then it is judged as it is.
const SETTLE_BOUND: Duration = Duration::from_secs(60);
/// How often a guest that is not there yet is looked at.
const SETTLE_POLL: Duration = Duration::from_millis(250);

/// A running lab; everything it made is gone when it is dropped.
#[derive(Debug)]
pub struct Lab {
    // In this order they are dropped: the cloud lets go of the links before the guests' namespaces vanish.
    cloud: Cloud,
    guests: Vec<Plugged>,
    directory: Directory,
    interrupt: Interrupt,
}

/// A guest with its port's promise.
#[derive(Debug)]
pub struct Plugged {
    /// The guest.
    pub guest: Guest,
    /// What the API says it has.
    pub promised: Promised,
    /// From the link's first sign of life until its addresses were usable; `None` when they never were.
    pub usable_after: Option<Duration>,
}

/// A directory that is removed when dropped, unless it shall stay.
#[derive(Debug)]
struct Directory {
    path: PathBuf,
    keep: bool,
}

impl Lab {
    /// Starts the cloud, makes the networks, plugs every guest, and waits until each holds what it was promised or
    /// has had its time.
    ///
    /// # Errors
    /// When a step fails for a reason that is no guest's: everything made until then is removed.
    pub fn start(
        hextet: &Path,
        networks: &[NetworkSpec],
        keep: bool,
        interrupt: Interrupt,
    ) -> Result<Self> {
        let id = format!("hxlab-{}", std::process::id());
        let directory = Directory {
            path: std::env::temp_dir().join(&id),
            keep,
        };
        fs::create_dir(&directory.path).with_context(|| directory.path.display().to_string())?;
        say(&format!("hextet up in namespace {id}"));
        let namespace = Namespace::create(id.clone())?;
        let cloud = Cloud::start(hextet, &directory.path, namespace, &interrupt)?;
        let mut lab = Self {
            cloud,
            guests: Vec::new(),
            directory,
            interrupt,
        };
        let api = lab.cloud.api()?;
        let lifetimes = lab.cloud.lifetimes()?;
        for network in networks {
            lab.add_network(&api, network, lifetimes, &id)?;
        }
        lab.plug_all()?;
        Ok(lab)
    }

    /// The cloud.
    pub fn cloud(&self) -> &Cloud {
        &self.cloud
    }

    /// The guests in the order of the networks.
    pub fn guests(&self) -> &[Plugged] {
        &self.guests
    }

    /// Looks into every guest, pings between them, and asks for RAs last, since an answer refreshes a guest.
    ///
    /// # Errors
    /// When a guest cannot be looked into.
    pub fn observe(&self) -> Result<Vec<(Promised, Seen)>> {
        let mut pairs = Vec::new();
        for plugged in &self.guests {
            pairs.push((plugged.promised.clone(), plugged.guest.look()?));
        }
        let promises: Vec<Promised> = pairs.iter().map(|(promised, _)| promised.clone()).collect();
        for (plugged, (own, seen)) in self.guests.iter().zip(&mut pairs) {
            self.interrupt.check()?;
            let neighbour = promises
                .iter()
                .find(|promised| promised.guest == own.neighbour)
                .context("every guest's neighbour is a guest")?;
            plugged.guest.ping_neighbour(own, neighbour, seen)?;
        }
        for (plugged, (_, seen)) in self.guests.iter().zip(&mut pairs) {
            self.interrupt.check()?;
            plugged.guest.solicit(seen)?;
        }
        Ok(pairs)
    }

    /// Observes and judges every guest.
    ///
    /// # Errors
    /// When a guest cannot be looked into.
    pub fn judge(&self) -> Result<Vec<Line>> {
        Ok(compare(&self.observe()?))
    }

    /// Makes a network, its subnets, and a port and an unplugged guest for each client on it.
    fn add_network(
        &mut self,
        api: &Api,
        spec: &NetworkSpec,
        lifetimes: Lifetimes,
        id: &str,
    ) -> Result<()> {
        let ipv4 = spec
            .ipv4
            .map_or(String::new(), |ipv4| format!(" and {}", ipv4.cidr));
        say(&format!(
            "network {}: {} {}{ipv4}, {} guests",
            spec.name,
            spec.mode,
            spec.cidr,
            spec.guests.len()
        ));
        let (network_id, subnet_ids) = create_network(api, spec)?;
        let names = guest_names(spec);
        let mut ports = Vec::new();
        for name in &names {
            let attributes = json!({ "name": name, "network_id": network_id });
            let port = api.create("ports", "port", attributes)?;
            ports.push(port["id"].as_str().context("port without id")?.to_owned());
        }
        let network = api.show("networks", "network", &network_id)?;
        let subnets = subnet_ids
            .iter()
            .map(|id| api.show("subnets", "subnet", id));
        let subnets = subnets.collect::<Result<Vec<Value>>>()?;
        for (index, port_id) in ports.iter().enumerate() {
            self.interrupt.check()?;
            let port = api.show("ports", "port", port_id)?;
            let neighbour = &names[(index + 1) % names.len()];
            let promised = promised(
                &names[index],
                neighbour,
                &port,
                &network,
                &subnets,
                lifetimes,
                spec.guests[index].route_habit(),
            )
            .with_context(|| format!("the API's answers for {}", names[index]))?;
            let guest = Guest::create(
                names[index].clone(),
                port_id.clone(),
                spec.guests[index],
                format!("{id}-{}", names[index]),
                self.directory.path.join("guests").join(&names[index]),
            )?;
            self.guests.push(Plugged {
                guest,
                promised,
                usable_after: None,
            });
        }
        Ok(())
    }

    /// Attaches every port, starts the clients, and waits for the guests together.
    fn plug_all(&mut self) -> Result<()> {
        let mut watches = Vec::new();
        for plugged in &mut self.guests {
            self.interrupt.check()?;
            let guest = &mut plugged.guest;
            say(&format!("plug {}: {}", guest.name(), guest.client()));
            let addresses = plugged.promised.addresses.clone();
            watches.push(Watch::start(guest.namespace().path(), addresses));
            let since = Instant::now();
            // A client brings its link up itself, as on any machine; without one the link comes up when plugged.
            let up = guest.client() == Client::Kernel;
            self.cloud
                .attach(guest.port(), guest.namespace().name(), up)?;
            guest.plugged(since)?;
        }
        say("waiting until every guest has what it was promised");
        let deadline = Instant::now() + SETTLE_BOUND;
        for plugged in &self.guests {
            while !settled(plugged)? && Instant::now() < deadline {
                self.interrupt.check()?;
                thread::sleep(SETTLE_POLL);
            }
        }
        for (plugged, watch) in self.guests.iter_mut().zip(watches) {
            plugged.usable_after = watch.finish()?;
        }
        Ok(())
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        for plugged in &mut self.guests {
            plugged.guest.stop();
        }
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        if self.keep {
            say(&format!("left in {}", self.path.display()));
        } else if let Err(error) = fs::remove_dir_all(&self.path) {
            eprintln!("lab: left behind {}: {error}", self.path.display());
        }
    }
}

/// Whether a guest holds its addresses, routes and name servers: what comes by itself, if late.
fn settled(plugged: &Plugged) -> Result<bool> {
    let seen = plugged.guest.look()?;
    let mut columns = vec![Column::Address, Column::OnLinkRoute];
    // Those in the RA nobody has to wait for.
    if plugged.guest.client().dns_source() != DnsSource::Ra {
        columns.push(Column::Dns);
    }
    if plugged.promised.ipv4.is_some() {
        columns.extend([Column::Ipv4Address, Column::Ipv4Routes, Column::Ipv4Dns]);
    }
    Ok(columns
        .iter()
        .all(|column| judge(*column, &plugged.promised, &seen).is_right()))
}

/// Gives the ids of the network and its subnets.
fn create_network(api: &Api, spec: &NetworkSpec) -> Result<(String, Vec<String>)> {
    let mut attributes = json!({ "name": spec.name });
    if let Some(mtu) = spec.mtu {
        attributes["mtu"] = json!(mtu);
    }
    let id = |made: Value| made["id"].as_str().map(str::to_owned);
    let network = api.create("networks", "network", attributes)?;
    let network = id(network).context("network without id")?;
    let attributes = json!({
        "name": spec.name,
        "network_id": network,
        "ip_version": 6,
        "cidr": spec.cidr,
        "ipv6_ra_mode": spec.mode,
        "ipv6_address_mode": spec.mode,
        "dns_nameservers": DNS_SERVERS,
    });
    let subnet = api.create("subnets", "subnet", attributes)?;
    let mut subnets = vec![id(subnet).context("subnet without id")?];
    if let Some(ipv4) = spec.ipv4 {
        let attributes = ipv4_subnet(spec.name, &network, ipv4);
        let subnet = api.create("subnets", "subnet", attributes)?;
        subnets.push(id(subnet).context("subnet without id")?);
    }
    Ok((network, subnets))
}

fn ipv4_subnet(name: &str, network: &str, spec: Ipv4Spec) -> Value {
    let routes = spec
        .host_route
        .map(|(destination, nexthop)| json!({ "destination": destination, "nexthop": nexthop }));
    let mut attributes = json!({
        "name": format!("{name}-ipv4"),
        "network_id": network,
        "ip_version": 4,
        "cidr": spec.cidr,
        "dns_nameservers": DNS_SERVERS_IPV4,
        "host_routes": Vec::from_iter(routes),
    });
    if !spec.gateway {
        attributes["gateway_ip"] = Value::Null;
    }
    attributes
}

/// `slaac-kernel-1`: network, client, and which of them.
fn guest_names(spec: &NetworkSpec) -> Vec<String> {
    let number = |index: usize| {
        let client = spec.guests[index];
        spec.guests[..=index]
            .iter()
            .filter(|other| **other == client)
            .count()
    };
    (0..spec.guests.len())
        .map(|index| {
            format!(
                "{}-{}-{}",
                spec.name,
                spec.guests[index].name(),
                number(index)
            )
        })
        .collect()
}

/// One line of progress.
pub(crate) fn say(line: &str) {
    println!("lab: {line}");
}
