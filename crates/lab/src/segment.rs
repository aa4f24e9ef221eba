//! A physical segment: the host's NIC, and behind it a namespace with a router, which is Debian's radvd.

use std::fs;
use std::net::Ipv6Addr;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result};
use hextet_core::mac::Mac;
use ipnet::Ipv6Net;

use crate::networks::{DNS_SERVERS, NetworkSpec, Physical};
use crate::promised::Lifetimes;
use crate::run::{Namespace, run};

/// The router's MAC on every segment, and so its link-local address.
const ROUTER: Mac = Mac([0x02, 0, 0x5e, 0, 0x53, 1]);
/// What the router calls its link.
const LINK: &str = "eth0";

/// A segment with its router; gone when dropped.
#[derive(Debug)]
pub struct Segment {
    router: Child,
    namespace: Namespace,
}

impl Drop for Segment {
    fn drop(&mut self) {
        // It may have ended by itself; the namespace takes its link along.
        let _ = self.router.kill();
        let _ = self.router.wait();
    }
}

/// The host's NIC that leads to a physical network.
pub fn nic(physical: &Physical) -> String {
    format!("nic-{}", physical.name)
}

/// Where the router of every segment sends from.
pub fn router() -> Ipv6Addr {
    ROUTER.link_local()
}

impl Segment {
    /// Lays the link, and starts the router: the first address of the network's prefix, which it advertises for SLAAC.
    ///
    /// # Errors
    /// When a step fails.
    pub fn lay(
        host: &Namespace,
        id: &str,
        spec: &NetworkSpec,
        physical: &Physical,
        lifetimes: Lifetimes,
        directory: &Path,
    ) -> Result<Self> {
        let namespace = Namespace::create(format!("{id}-{}", physical.name))?;
        let nic = nic(physical);
        let ip = |words: &str| run("ip", &words.split(' ').collect::<Vec<_>>());
        let (host, there) = (host.name(), namespace.name());
        ip(&format!(
            "-n {host} link add {nic} type veth peer name {LINK} address {ROUTER} netns {there}"
        ))?;
        ip(&format!("-n {host} link set {nic} up"))?;
        ip(&format!("-n {there} link set {LINK} up"))?;
        let prefix: Ipv6Net = spec.cidr.parse().context("cidr")?;
        let first = Ipv6Addr::from_bits(prefix.network().to_bits() + 1);
        let length = prefix.prefix_len();
        ip(&format!(
            "-n {there} address add {first}/{length} dev {LINK} nodad"
        ))?;
        // radvd advertises on hosts that forward.
        let mut forward = namespace.command("sysctl");
        forward.args(["-qw", "net.ipv6.conf.all.forwarding=1"]);
        forward.status().context("sysctl")?;
        fs::create_dir_all(directory)?;
        let config = directory.join("radvd.conf");
        fs::write(&config, radvd_conf(&prefix, physical, lifetimes))?;
        let mut radvd: Command = namespace.command("radvd");
        radvd
            .args(["--nodaemon", "--logmethod", "stderr", "--config"])
            .arg(&config)
            .arg("--pidfile")
            .arg(directory.join("radvd.pid"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(fs::File::create(directory.join("radvd.log"))?);
        let router = radvd.spawn().context("start radvd")?;
        Ok(Self { router, namespace })
    }

    /// Where it runs.
    pub fn namespace(&self) -> &Namespace {
        &self.namespace
    }
}

fn radvd_conf(prefix: &Ipv6Net, physical: &Physical, lifetimes: Lifetimes) -> String {
    format!(
        "interface {LINK} {{\n  AdvSendAdvert on;\n  MinRtrAdvInterval 3;\n  MaxRtrAdvInterval 10;\n  {}\n  \
         AdvLinkMTU 1500;\n  prefix {prefix} {{\n    AdvOnLink on;\n    AdvAutonomous on;\n    \
         AdvValidLifetime {};\n    AdvPreferredLifetime {};\n  }};\n  RDNSS {} {{ }};\n}};\n",
        physical.flags,
        lifetimes.valid_s,
        lifetimes.preferred_s,
        DNS_SERVERS.join(" ")
    )
}
