//! A guest: a network namespace with nothing in it but the kernel, or a DHCP client with files of its own.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::net::IpAddr;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::client::Client;
use crate::emulated::Emulated;
use crate::ipv4::{self, Ipv4Seen};
use crate::jail;
use crate::machine::Answer;
use crate::options::{self, Options};
use crate::promised::Promised;
use crate::run::{Namespace, finish, wait_until_empty};
use crate::seen::{
    DnsSource, Ping, RaSeen, Seen, parse_addresses, parse_ping, parse_rdisc6, parse_resolv_conf,
    parse_routes, resolv_conf_of_networkd,
};

/// The guest's end of the link.
pub const INTERFACE: &str = "eth0";

/// Every link that the namespace gets forms temporary addresses and prefers them as sources.
const PRIVACY: &str = "echo 2 > /proc/sys/net/ipv6/conf/default/use_tempaddr";

/// What a client prints goes to this file.
const CLIENT_LOG: &str = "client.log";

/// Where systemd-networkd tells systemd-resolved what it knows, for `resolv.conf`.
const NETWORKD_LINKS: &str = "run/systemd/netif/links";

/// Longest wait for one ping; three are tried.
const PING_BOUND_S: &str = "2";

/// How often a ping that got no answer is tried.
const PINGS_MAX: u32 = 3;

/// How long a program that looks around in a guest may take.
const COMMAND_BOUND: Duration = Duration::from_secs(30);

/// How long the processes of a client may take to end after it.
const STOP_BOUND: Duration = Duration::from_secs(10);

/// A guest and its client, ended and removed when dropped.
#[derive(Debug)]
pub struct Guest {
    name: String,
    port: String,
    client: Client,
    place: Place,
    directory: PathBuf,
    process: Option<Child>,
    plugged: Option<Instant>,
}

/// Where a guest runs.
#[derive(Debug)]
pub enum Place {
    /// On this kernel.
    Namespace(Namespace),
    /// On a kernel of its own; it starts when it is plugged.
    Machine(Box<Emulated>),
}

impl Guest {
    /// An empty guest for a port (an id), not plugged yet, in a namespace to be made. Its files go to `directory`.
    ///
    /// # Errors
    /// When the namespace or the files cannot be made.
    pub fn create(
        name: String,
        port: String,
        client: Client,
        namespace: String,
        directory: PathBuf,
    ) -> Result<Self> {
        client.prepare(&directory)?;
        let namespace = Namespace::create(namespace)?;
        if client.forms_addresses() {
            let status = namespace.command("sh").args(["-c", PRIVACY]).status()?;
            if !status.success() {
                bail!("{name}: {PRIVACY}: {status}");
            }
        }
        let place = Place::Namespace(namespace);
        Ok(Self::at(name, port, client, place, directory))
    }

    /// A machine for a port, switched off.
    pub fn emulated(name: String, port: String, machine: Emulated, directory: PathBuf) -> Self {
        let place = Place::Machine(Box::new(machine));
        Self::at(name, port, Client::Machine, place, directory)
    }

    fn at(name: String, port: String, client: Client, place: Place, directory: PathBuf) -> Self {
        Self {
            name,
            port,
            client,
            place,
            directory,
            process: None,
            plugged: None,
        }
    }

    /// Its name in the tables.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its port's id.
    pub fn port(&self) -> &str {
        &self.port
    }

    /// What configures it.
    pub fn client(&self) -> Client {
        self.client
    }

    /// Where it runs.
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// The `/etc/resolv.conf` that its client writes.
    pub fn resolv_conf(&self) -> PathBuf {
        self.directory.join("etc/resolv.conf")
    }

    /// What its client has written to its log.
    ///
    /// # Errors
    /// The file system's.
    pub fn log(&self) -> Result<String> {
        let log = fs::read(self.directory.join(CLIENT_LOG))?;
        Ok(String::from_utf8_lossy(&log).into_owned())
    }

    /// What its client's script has written of what it was told.
    pub fn told(&self) -> PathBuf {
        self.directory.join("run").join(options::TOLD)
    }

    /// What a resolver of the guest would read.
    fn resolv_conf_text(&self) -> Result<String> {
        if matches!(self.place, Place::Machine(_)) {
            // There is none until its client makes it.
            return self.output("sh", &["-c", "cat /etc/resolv.conf 2>&- || true"]);
        }
        if self.client.dns_source() != DnsSource::Networkd {
            return Ok(fs::read_to_string(self.resolv_conf())?);
        }
        Ok(resolv_conf_of_networkd(&self.networkd_links()?))
    }

    /// What systemd-networkd says of its links.
    fn networkd_links(&self) -> Result<String> {
        let folder = match fs::read_dir(self.directory.join(NETWORKD_LINKS)) {
            // It makes the folder when it starts.
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(String::new()),
            folder => folder?,
        };
        let mut text = String::new();
        for link in folder {
            // It replaces them by others, under other names until they are whole.
            text.push_str(&read_if_there(&link?.path())?);
        }
        Ok(text)
    }

    /// What its client has passed on of what DHCP said.
    fn options(&self) -> Result<Options> {
        let text = match self.client.dns_source() {
            DnsSource::Networkd => self.networkd_links()?,
            DnsSource::Ra | DnsSource::ResolvConf => read_if_there(&self.told())?,
        };
        Ok(options::passed_on(self.client, &text))
    }

    /// What it calls itself, if its client gives it a name.
    fn host_name(&self) -> Result<Option<String>> {
        let Some(client) = self.pid().filter(|_| self.client.takes_host_name()) else {
            return Ok(None);
        };
        let mut command = Command::new("nsenter");
        command.args([&format!("--target={client}"), "--uts", "uname", "-n"]);
        let named = finish(&mut command, COMMAND_BOUND)?;
        let name = String::from_utf8_lossy(&named.stdout).trim().to_owned();
        Ok(Some(name))
    }

    /// The client's process, while it runs.
    pub fn pid(&self) -> Option<u32> {
        jail::client(self.process.as_ref()?.id())
    }

    /// Notes that its link is there, and starts its client, or a machine on `host`.
    ///
    /// # Errors
    /// When the client or the machine cannot be started.
    pub fn plugged(&mut self, since: Instant, host: &Namespace) -> Result<()> {
        self.plugged = Some(since);
        let client = self.client.command();
        let namespace = match &self.place {
            Place::Namespace(_) if client.is_empty() => return Ok(()),
            Place::Namespace(namespace) => namespace,
            Place::Machine(machine) => {
                return machine
                    .start(host)
                    .with_context(|| format!("start {}", self.name));
            }
        };
        let log = File::create(self.directory.join(CLIENT_LOG))?;
        let process = namespace
            .command("unshare")
            .args(jail::arguments(&self.directory))
            .args(client)
            // A Ctrl-C is for the lab.
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| format!("start {} in {}", self.client, self.name))?;
        self.process = Some(process);
        Ok(())
    }

    /// What the guest has, as far as that is seen without asking on the wire: no pings, no RA.
    ///
    /// # Errors
    /// When the guest cannot be looked into.
    pub fn look(&self) -> Result<Seen> {
        let addresses = self.output("ip", &["-j", "addr", "show", "dev", INTERFACE])?;
        let (link_mtu, addresses) = parse_addresses(&addresses)?;
        let routes = self.output("ip", &["-6", "-j", "route", "show"])?;
        let (on_link, default_routes) = parse_routes(&routes, INTERFACE)?;
        let ipv6_mtu = self.output(
            "cat",
            &[&format!("/proc/sys/net/ipv6/conf/{INTERFACE}/mtu")],
        )?;
        let dns_source = self.client.dns_source();
        let resolv_conf = self.resolv_conf_text()?;
        let dns = match dns_source {
            DnsSource::Ra => Vec::new(),
            DnsSource::ResolvConf | DnsSource::Networkd => parse_resolv_conf(&resolv_conf),
        };
        let ipv4_addresses = self.output("ip", &["-4", "-j", "addr", "show", "dev", INTERFACE])?;
        let ipv4_routes = self.output("ip", &["-4", "-j", "route", "show", "dev", INTERFACE])?;
        let age = self.plugged.map(|since| since.elapsed().as_secs() + 1);
        Ok(Seen {
            age_s: u32::try_from(age.unwrap_or(0))?,
            addresses,
            lifetimes_by_client: self.client == Client::Wide,
            on_link,
            default_routes,
            dns,
            dns_source,
            ipv6_mtu: ipv6_mtu.trim().parse().context("conf/mtu")?,
            link_mtu,
            ra: None,
            ping_global: Ping::default(),
            ping_link_local: Ping::default(),
            ipv4: Ipv4Seen {
                addresses: ipv4::parse_addresses(&ipv4_addresses)?,
                routes: ipv4::parse_routes(&ipv4_routes)?,
                dns: ipv4::parse_resolv_conf(&resolv_conf),
                ping: Ping::default(),
            },
            host_name: self.host_name()?,
            options: self.options()?,
        })
    }

    /// Pings the neighbour from the promised addresses with packets of the promised size, and by link-local.
    ///
    /// # Errors
    /// When `ping` cannot be run.
    pub fn ping_neighbour(
        &self,
        own: &Promised,
        neighbour: &Promised,
        seen: &mut Seen,
    ) -> Result<()> {
        // What the guest formed itself is what it would send from.
        let from = own.formed.last().or(own.addresses.first());
        seen.ping_global = match (from, neighbour.addresses.first()) {
            (Some(from), Some(to)) => self.ping(&from.to_string(), (*to).into(), own.mtu)?,
            _ => Ping {
                answered: false,
                says: "no address was promised".to_owned(),
            },
        };
        // RFC 8200 §5: the least that any link carries.
        seen.ping_link_local = self.ping(INTERFACE, neighbour.link_local.into(), 1280)?;
        if let (Some(from), Some(to)) = (&own.ipv4, &neighbour.ipv4) {
            let from = from.address.addr().to_string();
            seen.ipv4.ping = self.ping(&from, to.address.addr().into(), own.mtu)?;
        }
        Ok(())
    }

    /// Solicits a Router Advertisement and notes it. Last, since an answer refreshes what the kernel holds.
    ///
    /// # Errors
    /// When `rdisc6` cannot be run or prints something unknown.
    pub fn solicit(&self, seen: &mut Seen) -> Result<()> {
        let args = ["-1", "-n", "-r", "3", "-w", "2000", INTERFACE];
        seen.ra = parse_rdisc6(&self.run("rdisc6", &args)?.stdout)?;
        if seen.dns_source == DnsSource::Ra {
            seen.dns = seen
                .ra
                .as_ref()
                .map_or(Vec::new(), |ra: &RaSeen| ra.rdnss.clone());
        }
        Ok(())
    }

    fn ping(&self, from: &str, to: IpAddr, size: u32) -> Result<Ping> {
        // 40 bytes of IPv6 header (RFC 8200 §3) or 20 of IPv4 (RFC 791 §3.1), 8 of the echo's (RFC 4443 §4.1, RFC 792).
        let (family, headers) = if to.is_ipv6() { ("-6", 48) } else { ("-4", 28) };
        let payload = (size - headers).to_string();
        let to = to.to_string();
        let mut ping = Ping::default();
        for _ in 0..PINGS_MAX {
            let answer = self.run(
                "ping",
                &[
                    family,
                    "-n",
                    "-c",
                    "1",
                    "-W",
                    PING_BOUND_S,
                    "-M",
                    "do",
                    "-s",
                    &payload,
                    "-I",
                    from,
                    &to,
                ],
            )?;
            let text = answer.stdout + &answer.stderr;
            ping = parse_ping(answer.status == 0, &text);
            if ping.answered {
                break;
            }
        }
        Ok(ping)
    }

    /// Runs a program in the guest and gives what it printed.
    ///
    /// # Errors
    /// When it cannot start or fails.
    pub fn output(&self, program: &str, args: &[&str]) -> Result<String> {
        let answer = self.run(program, args)?;
        if answer.status != 0 {
            bail!("{program} in {}: {}", self.name, answer.stderr.trim());
        }
        Ok(answer.stdout)
    }

    fn run(&self, program: &str, args: &[&str]) -> Result<Answer> {
        match &self.place {
            Place::Namespace(namespace) => {
                let mut command = namespace.command(program);
                let output = finish(command.args(args), COMMAND_BOUND)?;
                Ok(Answer {
                    // None: a signal ended it.
                    status: output.status.code().unwrap_or(-1),
                    stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
                    stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
                })
            }
            Place::Machine(machine) => machine.run(program, args, COMMAND_BOUND),
        }
    }

    /// Ends the client, if one runs, or the machine.
    pub fn stop(&mut self) {
        if let Place::Machine(machine) = &self.place {
            machine.stop();
        }
        if let Err(error) = self.end_client() {
            eprintln!("lab: {}: {error:#}", self.name);
        }
    }

    /// By force, with all that it started.
    fn end_client(&mut self) -> Result<()> {
        if let Some(mut process) = self.process.take() {
            process.kill()?;
            process.wait()?;
        }
        if let Place::Namespace(namespace) = &self.place {
            wait_until_empty(&[namespace.open()?], STOP_BOUND)?;
        }
        Ok(())
    }
}

/// Empty while there is no such file.
fn read_if_there(path: &Path) -> Result<String> {
    match fs::read_to_string(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(String::new()),
        text => text.with_context(|| path.display().to_string()),
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        self.stop();
    }
}
