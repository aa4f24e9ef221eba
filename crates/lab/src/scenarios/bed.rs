//! Where scenarios are played: networks of their own on the lab's cloud, and guests that are set up as it takes.

use std::fs;
use std::io::Write;
use std::net::Ipv6Addr;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use super::NETWORK;
use crate::api::Api;
use crate::client::Client;
use crate::guest::{Guest, INTERFACE, Place};
use crate::interrupt::Interrupt;
use crate::lab::Lab;

/// How often guests that have no addresses yet are looked at.
const LOOK: Duration = Duration::from_millis(250);

/// A network of the scenarios.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Network {
    /// One SLAAC subnet.
    Slaac,
    /// One stateful subnet, longer than a /64.
    Stateful,
    /// No subnet.
    Quiet,
    /// The physical segment.
    Segment,
}

impl Network {
    const MADE: [Network; 3] = [Network::Slaac, Network::Stateful, Network::Quiet];

    /// Its name, and its subnet with both modes.
    fn spec(self) -> (&'static str, Option<(&'static str, &'static str)>) {
        match self {
            Network::Slaac => ("scenes", Some(("2001:db8:b::/64", "slaac"))),
            Network::Stateful => {
                let subnet = ("2024:8:6:87:1::/96", "dhcpv6-stateful");
                ("scenes-96", Some(subnet))
            }
            Network::Quiet => ("scenes-quiet", None),
            Network::Segment => (NETWORK.name, None),
        }
    }
}

/// How a guest is set up.
#[derive(Clone, Copy, Debug)]
pub(super) struct GuestSpec {
    /// Its name among the scenarios.
    pub name: &'static str,
    /// Where it is.
    pub network: Network,
    /// What configures it.
    pub client: Client,
    /// What its kernel is told before its link comes up (sysctl).
    pub settings: &'static [&'static str],
    /// What dhclient's lease file says before it starts.
    pub leases: &'static str,
    /// What dhcpcd's configuration says besides.
    pub configuration: &'static str,
}

/// A guest with its port's addresses.
#[derive(Debug)]
pub(super) struct Player {
    name: &'static str,
    guest: Guest,
    addresses: Vec<Ipv6Addr>,
}

/// Networks and guests; the guests are gone when it is dropped.
pub(super) struct Bed<'a> {
    lab: &'a Lab,
    api: Api,
    players: Vec<Player>,
}

impl<'a> Bed<'a> {
    /// Makes the networks, then a port and a guest for each of these.
    pub(super) fn make(lab: &'a Lab, guests: &[GuestSpec]) -> Result<Self> {
        let mut bed = Self {
            lab,
            api: lab.cloud().api()?,
            players: Vec::new(),
        };
        let mut networks = Vec::new();
        for network in Network::MADE {
            networks.push((network, bed.network(network)?));
        }
        networks.push((Network::Segment, lab.network(NETWORK.name)?.to_owned()));
        for spec in guests {
            let mut of = networks.iter();
            let (_, network) = of
                .find(|(made, _)| *made == spec.network)
                .context("every network is made")?;
            let player = bed.plug(spec, network);
            bed.players
                .push(player.with_context(|| format!("guest {}", spec.name))?);
        }
        Ok(bed)
    }

    fn network(&self, network: Network) -> Result<String> {
        let (name, subnet) = network.spec();
        let made = self
            .api
            .create("networks", "network", json!({ "name": name }))?;
        let id = made["id"].as_str().context("network without id")?;
        if let Some((cidr, mode)) = subnet {
            let attributes = json!({
                "network_id": id, "ip_version": 6, "cidr": cidr,
                "ipv6_ra_mode": mode, "ipv6_address_mode": mode,
            });
            self.api.create("subnets", "subnet", attributes)?;
        }
        Ok(id.to_owned())
    }

    fn plug(&self, spec: &GuestSpec, network: &str) -> Result<Player> {
        let attributes = json!({ "name": spec.name, "network_id": network });
        let port = self.api.create("ports", "port", attributes)?;
        let id = port["id"].as_str().context("port without id")?;
        let name = format!("scene-{}", spec.name);
        let namespace = format!("{}-{name}", self.lab.id());
        let files = self.lab.files().join(&name);
        let mut guest = Guest::create(name, id.to_owned(), spec.client, namespace, files.clone())?;
        fs::write(files.join("lib/dhclient.leases"), spec.leases)?;
        let mut configuration = fs::OpenOptions::new();
        configuration
            .append(true)
            .open(files.join("etc/dhcpcd.conf"))?
            .write_all(spec.configuration.as_bytes())?;
        let since = Instant::now();
        if let Place::Namespace(namespace) = guest.place() {
            self.lab.cloud().attach(id, namespace.name(), false)?;
        }
        for setting in spec.settings {
            guest.output("sysctl", &["-qw", setting])?;
        }
        if spec.client.is_kernel() {
            guest.output("ip", &["link", "set", INTERFACE, "up"])?;
        }
        guest.plugged(since, self.lab.cloud().namespace())?;
        Ok(Player {
            name: spec.name,
            guest,
            addresses: fixed_ips(&port)?,
        })
    }

    /// Waits until each guest that can has its addresses, or has had its time.
    pub(super) fn settle(&self, interrupt: &Interrupt, bound: Duration) -> Result<()> {
        let deadline = Instant::now() + bound;
        let can = |name: &str| !["deaf", "twin", "other"].contains(&name);
        for player in self.players.iter().filter(|player| can(player.name)) {
            while !player.holds()? && Instant::now() < deadline {
                interrupt.check()?;
                thread::sleep(LOOK);
            }
        }
        Ok(())
    }

    /// The guest with this name, which is one of those that it was made with.
    pub(super) fn guest(&self, name: &str) -> &Player {
        let mut players = self.players.iter();
        players
            .find(|player| player.name == name)
            .expect("scenarios name guests of their own table")
    }

    /// What `hextet port show` says of a guest's port.
    pub(super) fn shown(&self, name: &str) -> Result<Value> {
        self.lab.cloud().explained(self.guest(name).port())
    }

    /// Changes a guest's port, and what is expected of the guest's addresses.
    pub(super) fn change(&mut self, name: &str, attributes: Value) -> Result<()> {
        let id = self.guest(name).port().to_owned();
        let port = self.api.update("ports", "port", &id, attributes)?;
        let addresses = fixed_ips(&port)?;
        let mut players = self.players.iter_mut();
        if let Some(player) = players.find(|player| player.name == name) {
            player.addresses = addresses;
        }
        Ok(())
    }
}

impl Drop for Bed<'_> {
    fn drop(&mut self) {
        // The cloud lets go of the links before the guests' namespaces vanish.
        for player in &self.players {
            if let Err(error) = self.lab.cloud().detach(player.port()) {
                eprintln!("lab: {}: {error:#}", player.name);
            }
        }
    }
}

impl Player {
    /// Its port's id.
    pub(super) fn port(&self) -> &str {
        self.guest.port()
    }

    /// What configures it.
    pub(super) fn client(&self) -> Client {
        self.guest.client()
    }

    /// Its port's address.
    pub(super) fn address(&self) -> Result<Ipv6Addr> {
        let first = self.addresses.first();
        first
            .copied()
            .with_context(|| format!("{} was given no address", self.name))
    }

    /// The global addresses that it may use.
    pub(super) fn held(&self) -> Result<Vec<Ipv6Addr>> {
        let seen = self.guest.look()?.addresses.into_iter();
        let usable = seen.filter(|address| address.unusable.is_empty());
        Ok(usable.map(|address| address.address).collect())
    }

    /// Whether it holds all that its port has.
    pub(super) fn holds(&self) -> Result<bool> {
        let held = self.held()?;
        Ok(self.addresses.iter().all(|own| held.contains(own)))
    }

    /// What its client has logged.
    pub(super) fn log(&self) -> Result<String> {
        self.guest.log()
    }

    /// `ip` with these words, in it.
    pub(super) fn ip(&self, words: &str) -> Result<()> {
        let words: Vec<&str> = words.split(' ').collect();
        self.guest.output("ip", &words).map(|_| ())
    }

    /// Sends one packet of this size, whatever comes of it.
    pub(super) fn ping(&self, to: Ipv6Addr, size: u32) -> Result<()> {
        // 40 bytes of IPv6 header (RFC 8200 §3), 8 of the echo's (RFC 4443 §4.1).
        let payload = (size - 48).to_string();
        let script = format!("ping -6 -n -c 1 -W 1 -M do -s {payload} {to} || true");
        self.guest.output("sh", &["-c", &script]).map(|_| ())
    }
}

fn fixed_ips(port: &Value) -> Result<Vec<Ipv6Addr>> {
    let Some(fixed) = port["fixed_ips"].as_array() else {
        bail!("port without fixed_ips");
    };
    let addresses = fixed.iter().map(|fixed| {
        let text = fixed["ip_address"].as_str().context("ip_address")?;
        Ok(text.parse()?)
    });
    addresses.collect()
}
