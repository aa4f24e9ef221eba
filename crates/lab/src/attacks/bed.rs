//! Where attacks are tried: an attacker, its victim and a neighbour of both, on a plain kernel bridge or on the lab's cloud.

use std::net::Ipv6Addr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use hextet_core::mac::Mac;
use serde_json::Value;

use crate::guest::{INTERFACE, Place};
use crate::lab::{Lab, Plugged};
use crate::run::{Namespace, finish, run};

/// How long a look into a station may take.
const LOOK_BOUND: Duration = Duration::from_secs(30);

/// The neighbour's server on the plain bridge: the prefix is of its stations.
const DHCPV6_SERVER: &str = "dnsmasq --no-daemon --conf-file=/dev/null --user=root --port=0 --interface=eth0 \
     --leasefile-ro --pid-file --dhcp-range=2001:db8:99::100,2001:db8:99::107,64,1h";

/// A server, ended when dropped.
#[derive(Debug)]
pub struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A guest, as far as attacks need to know it.
#[derive(Debug)]
pub struct Station {
    /// Its network namespace.
    pub netns: PathBuf,
    /// Its interface's MAC.
    pub mac: Mac,
    /// The address that it forms from its MAC.
    pub link_local: Ipv6Addr,
    /// Its other address.
    pub global: Ipv6Addr,
    /// Its port's id; empty on the plain bridge.
    pub port: String,
}

impl Station {
    fn of(plugged: &Plugged) -> Result<Self> {
        let Place::Namespace(namespace) = plugged.guest.place() else {
            bail!("{} is no namespace", plugged.guest.name());
        };
        let promised = &plugged.promised;
        let global = promised.addresses.first().copied();
        let mut station = Self {
            netns: namespace.path(),
            mac: Mac::default(),
            link_local: promised.link_local,
            global: global.with_context(|| format!("{} has no address", promised.guest))?,
            port: plugged.guest.port().to_owned(),
        };
        let link: Value = serde_json::from_str(&station.look("ip -j link show dev eth0")?)?;
        let mac = link[0]["address"].as_str().context("ip shows no MAC")?;
        station.mac = mac.parse().map_err(|_| anyhow!("ip shows the MAC {mac}"))?;
        Ok(station)
    }

    /// A command that will run in it.
    pub fn command(&self, words: &str) -> Command {
        let mut command = Command::new("nsenter");
        command.arg(format!("--net={}", self.netns.display()));
        command.args(words.split_whitespace());
        command
    }

    /// What a command in it prints, whether it succeeds or not.
    ///
    /// # Errors
    /// When it cannot be run.
    pub fn look(&self, words: &str) -> Result<String> {
        let output = finish(&mut self.command(words), LOOK_BOUND)?;
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// How many lines a command in it prints.
    ///
    /// # Errors
    /// When it cannot be run.
    pub fn lines(&self, words: &str) -> Result<usize> {
        let lines = self.shell(&format!("{words} | wc -l"))?;
        let lines = lines.trim().parse();
        lines.with_context(|| format!("{words}: no number of lines"))
    }

    /// What a line for the shell prints in it.
    ///
    /// # Errors
    /// When it cannot be run.
    pub fn shell(&self, line: &str) -> Result<String> {
        let output = finish(self.command("sh -c").arg(line), LOOK_BOUND)?;
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Runs a command in it that must succeed.
    ///
    /// # Errors
    /// When it does not.
    pub fn must(&self, words: &str) -> Result<()> {
        let output = finish(&mut self.command(words), LOOK_BOUND)?;
        if !output.status.success() {
            bail!(
                "{words}: {}",
                String::from_utf8_lossy(&output.stderr).trim()
            );
        }
        Ok(())
    }

    /// Does something on a thread in it.
    ///
    /// # Errors
    /// When the namespace cannot be entered, or what is done fails.
    pub fn inside<T: Send>(&self, work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
        let netns: &Path = &self.netns;
        thread::scope(|scope| {
            let inside = scope.spawn(|| {
                Namespace::enter(netns)?;
                work()
            });
            inside.join().map_err(|_| anyhow!("a thread panicked"))?
        })
    }

    /// Frames that it has sent.
    ///
    /// # Errors
    /// When the kernel does not say.
    pub fn sent(&self) -> Result<u64> {
        let text = self.look("ip -j -s link show dev eth0")?;
        let link: Value = serde_json::from_str(&text)?;
        let packets = link[0]["stats64"]["tx"]["packets"].as_u64();
        packets.context("ip shows no statistics")
    }
}

/// The three, and who is their router.
#[derive(Debug)]
pub struct Bed {
    /// Attacks.
    pub attacker: Station,
    /// Is attacked.
    pub victim: Station,
    /// In whose name, or about whom.
    pub neighbour: Station,
    /// The link-local address of who sends the victim Router Advertisements.
    pub router: Ipv6Addr,
    /// Who gives its stations addresses, if somebody does.
    pub(super) _server: Option<Server>,
    /// What is taken away with it.
    pub(super) _made: Vec<Namespace>,
}

impl Bed {
    /// On a bridge of the kernel without any filter. The neighbour is the router.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn plain(id: &str) -> Result<Self> {
        let switch = Namespace::create(format!("{id}-bare"))?;
        let bridge = |words: &str| {
            let words: Vec<&str> = words.split(' ').collect();
            run("ip", &[&["-n", switch.name()], &words[..]].concat())
        };
        bridge("link add br0 type bridge mcast_snooping 0")?;
        bridge("link set br0 up")?;
        let mut stations = Vec::new();
        let mut made = Vec::new();
        for number in 1..=3 {
            let namespace = Namespace::create(format!("{id}-bare{number}"))?;
            let mac = Mac([0xfa, 0x16, 0x3e, 0xba, 0x4e, number]);
            let (name, tap) = (namespace.name(), format!("tap{number}"));
            bridge(&format!(
                "link add {tap} type veth peer name {INTERFACE} address {mac} netns {name}"
            ))?;
            bridge(&format!("link set {tap} master br0 up"))?;
            let station = Station {
                netns: namespace.path(),
                mac,
                link_local: mac.link_local(),
                global: Ipv6Addr::new(0x2001, 0xdb8, 0x99, 0, 0, 0, 0, u16::from(number)),
                port: String::new(),
            };
            // Its own address at once; duplicates of later ones are looked for.
            station.must("sysctl -qw net.ipv6.conf.eth0.accept_dad=0")?;
            station.must("ip link set eth0 up")?;
            station.must(&format!("ip addr add {}/64 dev eth0", station.global))?;
            station.must("sysctl -qw net.ipv6.conf.eth0.accept_dad=1")?;
            stations.push(station);
            made.push(namespace);
        }
        made.push(switch);
        let [attacker, victim, neighbour] =
            <[Station; 3]>::try_from(stations).map_err(|_| anyhow!("three were made"))?;
        neighbour.must("ra6 -i eth0 -d ff02::1 -t 1800")?;
        Ok(Self {
            router: neighbour.link_local,
            attacker,
            victim,
            neighbour,
            _server: None,
            _made: made,
        })
    }

    /// The neighbour becomes a DHCPv6 server with a few addresses: Debian's dnsmasq.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn serve_dhcpv6(&mut self) -> Result<()> {
        let mut command = self.neighbour.command(DHCPV6_SERVER);
        // It serves no names and leaves no file behind.
        command.stdin(Stdio::null()).stdout(Stdio::null());
        self._server = Some(Server(command.stderr(Stdio::null()).spawn()?));
        Ok(())
    }

    /// The first three guests of a network of the lab.
    ///
    /// # Errors
    /// When they cannot be looked into.
    pub fn cloud(lab: &Lab, network: &str) -> Result<Self> {
        let mut guests = lab.guests().iter();
        let mut next = || {
            let own = guests.find(|plugged| plugged.guest.name().starts_with(network));
            Station::of(own.with_context(|| format!("network {network} has three guests"))?)
        };
        let (attacker, victim, neighbour) = (next()?, next()?, next()?);
        let advertised = victim.look("rdisc6 -1 -n -r 3 -w 2000 eth0")?;
        let from = |line: &str| line.trim().strip_prefix("from ").map(str::to_owned);
        let router = advertised.lines().find_map(from);
        let router = router.context("nobody advertises to the victim")?;
        Ok(Self {
            router: router.parse().with_context(|| router.clone())?,
            attacker,
            victim,
            neighbour,
            _server: None,
            _made: Vec::new(),
        })
    }
}
