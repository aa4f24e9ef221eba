//! What the load makes: chains of a network, its subnet and a port; ports by the thousand; and the count at the end.

use std::collections::BTreeMap;
use std::net::Ipv6Addr;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use serde_json::{Value as Json, json};

use crate::client::{Client, Made};

/// Most objects of one request.
const BULK: usize = 1000;

/// How the guests of a subnet get their addresses.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// They form them (SLAAC): the server computes EUI-64 addresses.
    Slaac,
    /// The server chooses them (stateful DHCPv6).
    Stateful,
}

impl Mode {
    fn name(self) -> &'static str {
        match self {
            Mode::Slaac => "slaac",
            Mode::Stateful => "dhcpv6-stateful",
        }
    }
}

/// Counts what was made, so that it can be compared with what the server says that there is.
#[derive(Default)]
pub struct Tally {
    networks: AtomicU64,
    subnets: AtomicU64,
    ports: AtomicU64,
}

impl Tally {
    /// A network, a /64 of it, a port there: three requests, each of them a durable commit.
    ///
    /// # Errors
    /// With an answer that is not 201, or a port without its address.
    pub fn chain(&self, client: &mut Client, mode: Mode) -> Result<()> {
        let number = self.networks.fetch_add(1, Ordering::Relaxed);
        let body = format!("{{\"network\":{{\"name\":\"chain-{number}\"}}}}");
        let network = made(client, "/v2.0/networks", &body)?;
        let subnet = json!({"subnet": subnet(&network, number, mode)});
        made(client, "/v2.0/subnets", &subnet.to_string())?;
        self.subnets.fetch_add(1, Ordering::Relaxed);
        self.port(client, &network)?;
        Ok(())
    }

    /// A port with one address. Answers its id.
    ///
    /// # Errors
    /// With an answer that is not 201, or a port without its address.
    pub fn port(&self, client: &mut Client, network: &str) -> Result<String> {
        let body = format!("{{\"port\":{{\"network_id\":\"{network}\"}}}}");
        let answer = client.ask("POST", "/v2.0/ports", &body, 201)?;
        let port: BTreeMap<&str, Port> = serde_json::from_slice(answer)?;
        let port = port.into_values().next().context("no port")?;
        if port.fixed_ips.len() != 1 {
            bail!("port {} has {} addresses", port.id, port.fixed_ips.len());
        }
        self.ports.fetch_add(1, Ordering::Relaxed);
        Ok(port.id)
    }

    /// Deletes a port.
    ///
    /// # Errors
    /// With an answer that is not 204.
    pub fn delete_port(&self, client: &mut Client, id: &str) -> Result<()> {
        client.ask("DELETE", &format!("/v2.0/ports/{id}"), "", 204)?;
        self.ports.fetch_sub(1, Ordering::Relaxed);
        Ok(())
    }

    /// A network with a /64, for ports.
    ///
    /// # Errors
    /// With an answer that is not 201.
    pub fn network(&self, client: &mut Client, mode: Mode) -> Result<String> {
        let number = self.networks.fetch_add(1, Ordering::Relaxed);
        let body = json!({"network": {"name": "ports"}}).to_string();
        let network = made(client, "/v2.0/networks", &body)?;
        let body = json!({"subnet": subnet(&network, number, mode)}).to_string();
        made(client, "/v2.0/subnets", &body)?;
        self.subnets.fetch_add(1, Ordering::Relaxed);
        Ok(network)
    }

    /// A network with a /64 of which so many addresses are a pool.
    ///
    /// # Errors
    /// With an answer that is not 201.
    pub fn pool(&self, client: &mut Client, addresses: u128) -> Result<String> {
        let number = self.networks.fetch_add(1, Ordering::Relaxed);
        let body = json!({"network": {"name": "pool"}}).to_string();
        let network = made(client, "/v2.0/networks", &body)?;
        let mut subnet = subnet(&network, number, Mode::Stateful);
        let first = prefix(number) + (1 << 32);
        let [start, end] = [first, first + addresses - 1].map(Ipv6Addr::from_bits);
        subnet["allocation_pools"] = json!([{"start": start, "end": end}]);
        made(
            client,
            "/v2.0/subnets",
            &json!({"subnet": subnet}).to_string(),
        )?;
        self.subnets.fetch_add(1, Ordering::Relaxed);
        Ok(network)
    }

    /// Fills up with chains until there are so many, a thousand of each kind in one request.
    ///
    /// # Errors
    /// With an answer that is not 201.
    pub fn fill_chains(&self, client: &mut Client, total: u64) -> Result<()> {
        while self.networks.load(Ordering::Relaxed) < total {
            let first = self.networks.load(Ordering::Relaxed);
            let last = total.min(first + BULK as u64);
            let networks = (first..last).map(|number| json!({"name": format!("chain-{number}")}));
            let networks = bulk(client, "networks", networks.collect())?;
            self.networks.store(last, Ordering::Relaxed);
            let subnets = networks.iter().zip(first..);
            let subnets = subnets.map(|(id, number)| subnet(id, number, Mode::Slaac));
            bulk(client, "subnets", subnets.collect())?;
            let ports = networks.iter().map(|id| json!({"network_id": id}));
            bulk(client, "ports", ports.collect())?;
            self.subnets.fetch_add(last - first, Ordering::Relaxed);
            self.ports.fetch_add(last - first, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Fills a network up with ports until the cloud has so many, a thousand in one request.
    ///
    /// # Errors
    /// With an answer that is not 201.
    pub fn fill_ports(&self, client: &mut Client, network: &str, total: u64) -> Result<()> {
        let wanted = total.saturating_sub(self.ports.load(Ordering::Relaxed));
        self.add_ports(client, network, wanted)
    }

    /// Adds so many ports to a network, a thousand in one request.
    ///
    /// # Errors
    /// With an answer that is not 201.
    pub fn add_ports(&self, client: &mut Client, network: &str, count: u64) -> Result<()> {
        let mut left = usize::try_from(count)?;
        while left > 0 {
            let some = BULK.min(left);
            bulk(client, "ports", vec![json!({"network_id": network}); some])?;
            self.ports.fetch_add(some as u64, Ordering::Relaxed);
            left -= some;
        }
        Ok(())
    }

    /// Compares what was made with what the server counts.
    ///
    /// # Errors
    /// When they differ.
    pub fn check(&self, client: &mut Client) -> Result<()> {
        let (_, project) = client.login()?;
        let path = format!("/v2.0/quotas/{project}/details");
        let told: Json = client.json("GET", &path, "", 200)?;
        for (kind, made) in [
            ("network", &self.networks),
            ("subnet", &self.subnets),
            ("port", &self.ports),
        ] {
            let made = made.load(Ordering::Relaxed);
            let used = told["quota"][kind]["used"].as_u64();
            if used != Some(made) {
                bail!("{made} made of kind {kind}, the server counts {used:?}: {told}");
            }
        }
        Ok(())
    }
}

#[derive(Deserialize)]
struct Port {
    id: String,
    fixed_ips: Vec<Json>,
}

/// Each chain has a prefix of its own.
fn prefix(number: u64) -> u128 {
    (0x2001_0db8 << 96) | (u128::from(number) << 64)
}

fn subnet(network: &str, number: u64, mode: Mode) -> Json {
    json!({
        "network_id": network,
        "ip_version": 6,
        "cidr": format!("{}/64", Ipv6Addr::from_bits(prefix(number))),
        "ipv6_ra_mode": mode.name(),
        "ipv6_address_mode": mode.name(),
    })
}

fn made(client: &mut Client, path: &str, body: &str) -> Result<String> {
    let made: BTreeMap<String, Made> = client.json("POST", path, body, 201)?;
    let made = made.into_values().next();
    Ok(made.context("nothing was made")?.id)
}

fn bulk(client: &mut Client, collection: &str, objects: Vec<Json>) -> Result<Vec<String>> {
    let asked = objects.len();
    let body = json!({collection: objects}).to_string();
    let path = format!("/v2.0/{collection}");
    let made: BTreeMap<String, Vec<Made>> = client.json("POST", &path, &body, 201)?;
    let made: Vec<String> = made.into_values().flatten().map(|made| made.id).collect();
    if made.len() != asked {
        bail!("{} made of {asked} {collection}", made.len());
    }
    Ok(made)
}
