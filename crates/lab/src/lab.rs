//! The lab: a cloud, its networks, its guests, and what each got.

use std::fs;
use std::net::Ipv6Addr;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::api::Api;
use crate::client::Client;
use crate::cloud::Cloud;
use crate::emulated::Emulated;
use crate::guest::{Guest, Place};
use crate::interrupt::Interrupt;
use crate::machine::{Kernel, Nic};
use crate::networks::{DNS_SERVERS, DNS_SERVERS_IPV4, Ipv4Spec, NetworkSpec};
use crate::promised::{Lifetimes, Promised, add_router, formed, promised};
use crate::run::{Namespace, wait_until_empty};
use crate::seen::{DnsSource, Seen};
use crate::segment::{self, Segment};
use crate::verdict::{Column, Line, compare, judge};
use crate::watch::Watch;

/// How long a guest may take to hold what it was promised; then it is judged as it is.
const SETTLE_BOUND: Duration = Duration::from_secs(180);
/// How often a guest that is not there yet is looked at.
const SETTLE_POLL: Duration = Duration::from_millis(250);

/// How long what was ended may take to be gone.
const END_BOUND: Duration = Duration::from_secs(10);

/// A running lab; everything it made is gone when it is dropped.
#[derive(Debug)]
pub struct Lab {
    // In this order they are dropped: the cloud lets go of the links before the guests' namespaces vanish.
    cloud: Cloud,
    guests: Vec<Plugged>,
    segments: Vec<Segment>,
    /// The networks' names and ids.
    networks: Vec<(&'static str, String)>,
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
    /// has had its time. Without a kernel there are no guests that are machines.
    ///
    /// # Errors
    /// When a step fails for a reason that is no guest's: everything made until then is removed.
    pub fn start(
        hextet: &Path,
        networks: &[NetworkSpec],
        kernel: Option<&Kernel>,
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
        let physical = networks.iter().filter_map(|network| network.physical);
        let nics: Vec<(String, String)> = physical
            .map(|physical| (physical.name.to_owned(), segment::nic(&physical)))
            .collect();
        let cloud = Cloud::start(hextet, &directory.path, namespace, &nics, &interrupt)?;
        let mut lab = Self {
            cloud,
            guests: Vec::new(),
            segments: Vec::new(),
            networks: Vec::new(),
            directory,
            interrupt,
        };
        let api = lab.cloud.api()?;
        let lifetimes = lab.cloud.lifetimes()?;
        for network in networks {
            lab.add_network(&api, network, kernel, lifetimes, &id)?;
        }
        lab.plug_all()?;
        Ok(lab)
    }

    /// How the names of what it makes begin.
    pub fn id(&self) -> String {
        self.cloud.namespace().name().to_owned()
    }

    /// The cloud.
    pub fn cloud(&self) -> &Cloud {
        &self.cloud
    }

    /// The id of one of its networks.
    ///
    /// # Errors
    /// When it has none of that name.
    pub fn network(&self, name: &str) -> Result<&str> {
        let mut networks = self.networks.iter();
        let found = networks.find(|(made, _)| *made == name);
        let (_, id) = found.with_context(|| format!("the lab has no network {name}"))?;
        Ok(id)
    }

    /// Where guests have their files, each in a folder of its name.
    pub fn files(&self) -> PathBuf {
        self.directory.path.join("guests")
    }

    /// The guests in the order of the networks.
    pub fn guests(&self) -> &[Plugged] {
        &self.guests
    }

    /// Takes everything off the machine, and looks whether anything that was started goes on.
    ///
    /// # Errors
    /// When something does, by its name.
    pub fn end(self) -> Result<()> {
        let guests = self.guests.iter();
        let of_guests = guests.filter_map(|plugged| match plugged.guest.place() {
            Place::Namespace(namespace) => Some(namespace),
            Place::Machine(_) => None,
        });
        let namespaces = of_guests
            .chain(self.segments.iter().map(Segment::namespace))
            .chain([self.cloud.namespace()])
            .map(Namespace::open)
            .collect::<Result<Vec<_>>>()?;
        drop(self);
        wait_until_empty(&namespaces, END_BOUND)
    }

    /// Looks into every guest, pings between them, and asks for RAs last, since an answer refreshes a guest.
    ///
    /// # Errors
    /// When a guest cannot be looked into.
    pub fn observe(&self) -> Result<Vec<(Promised, Seen)>> {
        let mut pairs = Vec::new();
        let api = self.cloud.api()?;
        for plugged in &self.guests {
            let mut promised = plugged.promised.clone();
            promised.formed = formed_by(&api, plugged)?;
            pairs.push((promised, plugged.guest.look()?));
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
        kernel: Option<&Kernel>,
        lifetimes: Lifetimes,
        id: &str,
    ) -> Result<()> {
        let can_be = |client: &Client| kernel.is_some() || *client != Client::Machine;
        let clients: Vec<Client> = spec.guests.iter().copied().filter(can_be).collect();
        let ipv4 = spec
            .ipv4
            .map_or(String::new(), |ipv4| format!(" and {}", ipv4.cidr));
        say(&format!(
            "network {}: {} {}{ipv4}, {} guests",
            spec.name,
            spec.mode,
            spec.cidr,
            clients.len()
        ));
        let (network_id, subnet_ids) = match spec.physical {
            None => create_network(api, spec)?,
            Some(physical) => {
                let host = self.cloud.namespace();
                let files = self.directory.path.join(physical.name);
                let segment = Segment::lay(host, id, spec, &physical, lifetimes, &files)?;
                self.segments.push(segment);
                create_network(&self.cloud.admin_api()?, spec)?
            }
        };
        self.networks.push((spec.name, network_id.clone()));
        let place = (kernel, id, self.files());
        let names = guest_names(spec.name, &clients);
        let ports = create_ports(api, &names, &network_id, spec.options)?;
        let network = api.show("networks", "network", &network_id)?;
        let subnets = subnet_ids
            .iter()
            .map(|id| api.show("subnets", "subnet", id));
        let subnets = subnets.collect::<Result<Vec<Value>>>()?;
        for (index, port_id) in ports.iter().enumerate() {
            self.interrupt.check()?;
            let port = api.show("ports", "port", port_id)?;
            let neighbour = &names[(index + 1) % names.len()];
            let mut promised = promised(
                &names[index],
                neighbour,
                &port,
                &network,
                &subnets,
                lifetimes,
                clients[index].route_habit(),
            )
            .with_context(|| format!("the API's answers for {}", names[index]))?;
            promised.forms_addresses = clients[index].forms_addresses();
            promised.add_told(&port, clients[index])?;
            if spec.physical.is_some() {
                add_router(&mut promised, segment::router(), &port, &subnets)?;
            }
            let guest = unplugged(&names[index], clients[index], &port, promised.mtu, &place)?;
            self.guests.push(Plugged {
                guest,
                promised,
                usable_after: None,
            });
        }
        Ok(())
    }

    /// Attaches every port, starts the clients, and waits for the guests together. Machines are first, because they take
    /// longest.
    fn plug_all(&mut self) -> Result<()> {
        let mut order: Vec<&mut Plugged> = self.guests.iter_mut().collect();
        order.sort_by_key(|plugged| plugged.guest.client() != Client::Machine);
        let mut watches = Vec::new();
        for plugged in order {
            self.interrupt.check()?;
            watches.extend(plug(&self.cloud, plugged)?);
        }
        say("waiting until every guest has what it was promised");
        let deadline = Instant::now() + SETTLE_BOUND;
        let api = self.cloud.api()?;
        for plugged in &self.guests {
            while !settled(&api, plugged)? && Instant::now() < deadline {
                self.interrupt.check()?;
                thread::sleep(SETTLE_POLL);
            }
        }
        for (name, watch) in watches {
            let usable = watch.finish()?;
            let mut guests = self.guests.iter_mut();
            if let Some(plugged) = guests.find(|plugged| plugged.guest.name() == name) {
                plugged.usable_after = usable;
            }
        }
        Ok(())
    }
}

/// Attaches a guest's port and starts what is in the guest; with a watch under its name, where there can be one.
fn plug(cloud: &Cloud, plugged: &mut Plugged) -> Result<Option<(String, Watch)>> {
    let guest = &mut plugged.guest;
    say(&format!("plug {}: {}", guest.name(), guest.client()));
    let mut watched = None;
    let since = Instant::now();
    match guest.place() {
        Place::Namespace(namespace) => {
            let addresses = plugged.promised.addresses.clone();
            let watch = Watch::start(namespace.path(), addresses);
            watched = Some((guest.name().to_owned(), watch));
            // A client brings its link up itself, as on any machine; without one the link comes up when plugged.
            let up = guest.client().is_kernel();
            cloud.attach(guest.port(), namespace.name(), up)?;
        }
        Place::Machine(machine) => cloud.attach_tap(guest.port(), machine.tap())?,
    }
    guest.plugged(since, cloud.namespace())?;
    Ok(watched)
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
fn settled(api: &Api, plugged: &Plugged) -> Result<bool> {
    let mut promised = plugged.promised.clone();
    promised.formed = formed_by(api, plugged)?;
    let seen = plugged.guest.look()?;
    let mut columns = vec![Column::Address, Column::OnLinkRoute];
    // Those in the RA nobody has to wait for.
    if plugged.guest.client().dns_source() != DnsSource::Ra {
        columns.push(Column::Dns);
    }
    if promised.ipv4.is_some() {
        columns.extend([Column::Ipv4Address, Column::Ipv4Routes, Column::Ipv4Dns]);
    }
    columns.extend([Column::HostName, Column::Options]);
    Ok(columns
        .iter()
        .all(|column| judge(*column, &promised, &seen).is_right()))
}

/// What the API says now that the guest has formed.
fn formed_by(api: &Api, plugged: &Plugged) -> Result<Vec<Ipv6Addr>> {
    if !plugged.promised.forms_addresses {
        return Ok(Vec::new());
    }
    formed(&api.show("ports", "port", plugged.guest.port())?)
}

/// Gives the ids of ports with these names.
fn create_ports(
    api: &Api,
    names: &[String],
    network: &str,
    options: &[(&str, &str, u8)],
) -> Result<Vec<String>> {
    let options = options.iter().map(|(name, value, version)| {
        json!({ "opt_name": name, "opt_value": value, "ip_version": version })
    });
    let options: Vec<Value> = options.collect();
    let made = names.iter().map(|name| {
        let attributes = json!({ "name": name, "network_id": network, "extra_dhcp_opts": options });
        let port = api.create("ports", "port", attributes)?;
        let id = port["id"].as_str().map(str::to_owned);
        id.context("port without id")
    });
    made.collect()
}

/// Gives the ids of the network and its subnets.
fn create_network(api: &Api, spec: &NetworkSpec) -> Result<(String, Vec<String>)> {
    let mut attributes = json!({ "name": spec.name });
    if let Some(mtu) = spec.mtu {
        attributes["mtu"] = json!(mtu);
    }
    if let Some(physical) = spec.physical {
        attributes["provider:network_type"] = json!("flat");
        attributes["provider:physical_network"] = json!(physical.name);
        attributes["shared"] = json!(true);
    }
    let id = |made: Value| made["id"].as_str().map(str::to_owned);
    let network = api.create("networks", "network", attributes)?;
    let network = id(network).context("network without id")?;
    let mut attributes = json!({
        "name": spec.name,
        "network_id": network,
        "ip_version": 6,
        "cidr": spec.cidr,
        "ipv6_address_mode": spec.mode,
        "dns_nameservers": DNS_SERVERS,
    });
    if !spec
        .physical
        .is_some_and(|physical| physical.router_advertises)
    {
        attributes["ipv6_ra_mode"] = json!(spec.mode);
    }
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

/// A guest for a port. The place is the machines' kernel, if there is one, how the lab's names begin, and where guests'
/// files are.
fn unplugged(
    name: &str,
    client: Client,
    port: &Value,
    mtu: u32,
    (kernel, id, files): &(Option<&Kernel>, &str, PathBuf),
) -> Result<Guest> {
    let directory = files.join(name);
    let port_id = port["id"].as_str().context("port without id")?.to_owned();
    match kernel.filter(|_| client == Client::Machine) {
        None => {
            let namespace = format!("{id}-{name}");
            Guest::create(name.to_owned(), port_id, client, namespace, directory)
        }
        Some(kernel) => {
            let machine = Emulated::new(kernel.clone(), nic(port, mtu)?, directory.clone())?;
            Ok(Guest::emulated(
                name.to_owned(),
                port_id,
                machine,
                directory,
            ))
        }
    }
}

/// The NIC of a machine for a port, on a tap whose name is of this port.
fn nic(port: &Value, mtu: u32) -> Result<Nic> {
    let text = |name: &str| port[name].as_str().context(format!("port without {name}"));
    Ok(Nic {
        tap: format!("tap{}", text("id")?.get(..11).context("a port's id")?),
        mac: text("mac_address")?.to_owned(),
        mtu,
    })
}

/// `slaac-kernel-1`: network, client, and which of them.
fn guest_names(network: &str, clients: &[Client]) -> Vec<String> {
    let number = |index: usize| {
        let same = clients[..=index].iter();
        same.filter(|other| **other == clients[index]).count()
    };
    (0..clients.len())
        .map(|index| format!("{network}-{}-{}", clients[index].name(), number(index)))
        .collect()
}

/// One line of progress.
pub(crate) fn say(line: &str) {
    println!("lab: {line}");
}
