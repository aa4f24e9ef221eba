//! A guest: a network namespace with nothing in it but the kernel, or a DHCP client with files of its own.

use std::fmt;
use std::fs::{self, File};
use std::net::IpAddr;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;

use crate::ipv4::{self, Ipv4Seen};
use crate::promised::Promised;
use crate::run::{Namespace, finish};
use crate::seen::{
    DnsSource, Ping, RaSeen, Seen, parse_addresses, parse_ping, parse_rdisc6, parse_resolv_conf,
    parse_routes,
};

/// The guest's end of the link.
pub const INTERFACE: &str = "eth0";

/// What a client finds in its `/etc`, copied from the machine's.
const ETC_FILES: [&str; 10] = [
    "passwd",
    "group",
    "nsswitch.conf",
    "services",
    "protocols",
    "ld.so.cache",
    "dhcp/dhclient.conf",
    "dhcp/dhclient-exit-hooks.d/rfc3442-classless-routes",
    "udhcpc/default.script",
    "wide-dhcpv6/dhcp6c-script",
];

/// Privacy addresses are admitted only once they are learned, so dhcpcd is told to form the port's own.
const DHCPCD_CONF: &str = "\
slaac hwaddr
option domain_name_servers, domain_name, domain_search
option classless_static_routes, interface_mtu
option rapid_commit
";

/// WIDE's client asks for nothing that its file does not name.
const DHCP6C_CONF: &str = "\
interface eth0 {
  send ia-na 0;
  request domain-name-servers, domain-name;
  script \"/etc/wide-dhcpv6/dhcp6c-script\";
};
id-assoc na 0 { };
";

/// Puts the client's files over the machine's, for the client alone.
const PRIVATE_FILES: &str = "mount --bind $0/etc /etc && mount --bind $0/lib /var/lib && \
                             mount --bind $0/run /run && exec \"$@\"";

/// dhclient and dhcp6c cannot bind a tentative link-local address, so what starts them waits, as distributions' scripts do.
const START_DHCLIENT: &str = "ip link set eth0 up; n=0; \
     until ip -6 addr show dev eth0 scope link -tentative | grep -q inet6; \
     do n=$((n+1)); [ $n -lt 300 ] || exit 1; sleep 0.1; done; exec \"$@\"";

/// What starts a client of IPv4 has the link up and waits for nothing.
const START_IPV4: &str = "ip link set eth0 up; exec \"$@\"";

/// Longest wait for one ping; three are tried.
const PING_BOUND_S: &str = "2";

/// How often a ping that got no answer is tried.
const PINGS_MAX: u32 = 3;

/// How long a client may take to end.
const STOP_BOUND: Duration = Duration::from_secs(10);

/// What configures a guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Client {
    /// The kernel's own SLAAC; nothing else runs.
    Kernel,
    /// ISC `dhclient -6`: addresses and options by DHCPv6.
    Dhclient,
    /// ISC `dhclient -6 -S`: the kernel's SLAAC, options by DHCPv6.
    DhclientStateless,
    /// ISC `dhclient -6` as before 4.3.6: it makes a /64 of its address, whatever the subnet's length.
    Dhclient64,
    /// WIDE `dhcp6c`: addresses and options by DHCPv6.
    Wide,
    /// `dhcpcd` with `slaac hwaddr`: RA and DHCPv6, in place of the kernel.
    Dhcpcd,
    /// The kernel's SLAAC, IPv4 by ISC `dhclient -4`.
    Dhclient4,
    /// The kernel's SLAAC, IPv4 by busybox's `udhcpc` with Debian's script, which takes no classless routes.
    Udhcpc,
    /// `dhcpcd` for both families.
    DhcpcdDual,
}

impl Client {
    /// As part of a guest's name.
    pub fn name(self) -> &'static str {
        match self {
            Client::Kernel => "kernel",
            Client::Dhclient => "dhclient",
            Client::DhclientStateless => "dhclient-s",
            Client::Dhclient64 => "dhclient-64",
            Client::Wide => "wide",
            Client::Dhcpcd => "dhcpcd",
            Client::Dhclient4 => "dhclient-4",
            Client::Udhcpc => "udhcpc",
            Client::DhcpcdDual => "dhcpcd-dual",
        }
    }

    /// Whether its DHCPv4 client takes classless routes (RFC 3442).
    pub fn takes_routes(self) -> bool {
        self != Client::Udhcpc
    }

    /// Where its IPv6 name servers are known.
    pub fn dns_source(self) -> DnsSource {
        match self {
            Client::Kernel | Client::Dhclient4 | Client::Udhcpc => DnsSource::Ra,
            Client::Dhclient
            | Client::DhclientStateless
            | Client::Dhclient64
            | Client::Wide
            | Client::Dhcpcd
            | Client::DhcpcdDual => DnsSource::ResolvConf,
        }
    }

    /// The command that runs inside the guest; empty for none.
    fn command(self) -> Vec<&'static str> {
        match self {
            Client::Kernel => Vec::new(),
            Client::Dhclient => dhclient(START_DHCLIENT, &["-6"]),
            Client::DhclientStateless => dhclient(START_DHCLIENT, &["-6", "-S"]),
            Client::Dhclient64 => dhclient(START_DHCLIENT, &["-6", "--address-prefix-len", "64"]),
            Client::Wide => {
                let mut command = vec!["sh", "-c", START_DHCLIENT, "sh", "dhcp6c", "-f"];
                command.extend(["-c", "/etc/wide-dhcpv6/dhcp6c.conf"]);
                command.extend(["-p", "/run/dhcp6c.pid", INTERFACE]);
                command
            }
            Client::Dhcpcd => vec!["dhcpcd", "-6", "-B", "-f", "/etc/dhcpcd.conf", INTERFACE],
            Client::Dhclient4 => dhclient(START_IPV4, &["-4"]),
            Client::Udhcpc => {
                let mut command = vec![
                    "sh", "-c", START_IPV4, "sh", "udhcpc", "-f", "-i", INTERFACE,
                ];
                command.extend(["-s", "/etc/udhcpc/default.script", "-O", "mtu"]);
                command
            }
            Client::DhcpcdDual => vec!["dhcpcd", "-B", "-f", "/etc/dhcpcd.conf", INTERFACE],
        }
    }
}

/// dhclient in the foreground, with its files where only it sees them.
fn dhclient(start: &'static str, options: &[&'static str]) -> Vec<&'static str> {
    let mut command = vec!["sh", "-c", start, "sh", "dhclient"];
    command.extend(options);
    command.extend(["-d", "-lf", "/var/lib/dhclient.leases"]);
    command.extend(["-pf", "/run/dhclient.pid", INTERFACE]);
    command
}

impl fmt::Display for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Client::Kernel => "kernel SLAAC",
            Client::Dhclient => "dhclient -6",
            Client::DhclientStateless => "kernel SLAAC, dhclient -6 -S",
            Client::Dhclient64 => "dhclient -6, which makes a /64",
            Client::Wide => "WIDE dhcp6c",
            Client::Dhcpcd => "dhcpcd, slaac hwaddr",
            Client::Dhclient4 => "kernel SLAAC, dhclient -4",
            Client::Udhcpc => "kernel SLAAC, udhcpc",
            Client::DhcpcdDual => "dhcpcd, both families",
        })
    }
}

/// A guest and its client, ended and removed when dropped.
#[derive(Debug)]
pub struct Guest {
    name: String,
    port: String,
    client: Client,
    namespace: Namespace,
    directory: PathBuf,
    process: Option<Child>,
    plugged: Option<Instant>,
}

impl Guest {
    /// An empty guest for a port (an id), not plugged yet. Its files go to `directory`.
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
        for part in [
            "etc/dhcp/dhclient-exit-hooks.d",
            "etc/udhcpc",
            "etc/wide-dhcpv6",
            "lib/dhcpcd",
            "lib/dhcpv6",
            "run",
        ] {
            let path = directory.join(part);
            fs::create_dir_all(&path).with_context(|| path.display().to_string())?;
        }
        for file in ["etc/resolv.conf", "etc/fstab"] {
            File::create(directory.join(file))?;
        }
        fs::write(directory.join("etc/dhcpcd.conf"), DHCPCD_CONF)?;
        fs::write(directory.join("etc/wide-dhcpv6/dhcp6c.conf"), DHCP6C_CONF)?;
        for file in ETC_FILES {
            // What the machine lacks, the client does without too.
            let from = Path::new("/etc").join(file);
            if from.exists() {
                fs::copy(&from, directory.join("etc").join(file))?;
            }
        }
        Ok(Self {
            name,
            port,
            client,
            namespace: Namespace::create(namespace)?,
            directory,
            process: None,
            plugged: None,
        })
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
    pub fn namespace(&self) -> &Namespace {
        &self.namespace
    }

    /// The `/etc/resolv.conf` that its client writes.
    pub fn resolv_conf(&self) -> PathBuf {
        self.directory.join("etc/resolv.conf")
    }

    /// The client's process, while it runs.
    pub fn pid(&self) -> Option<u32> {
        self.process.as_ref().map(Child::id)
    }

    /// Notes that its link is there, and starts its client.
    ///
    /// # Errors
    /// When the client cannot be started.
    pub fn plugged(&mut self, since: Instant) -> Result<()> {
        self.plugged = Some(since);
        let client = self.client.command();
        if client.is_empty() {
            return Ok(());
        }
        let log = File::create(self.directory.join("client.log"))?;
        let process = self
            .namespace
            .command("unshare")
            .args(["--mount", "--propagation", "private", "sh", "-c"])
            .arg(PRIVATE_FILES)
            .arg(&self.directory)
            .args(client)
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
        let addresses = self.output("ip", &["-6", "-j", "addr", "show", "dev", INTERFACE])?;
        let (link_mtu, addresses) = parse_addresses(&addresses)?;
        let routes = self.output("ip", &["-6", "-j", "route", "show"])?;
        let (on_link, default_routes) = parse_routes(&routes, INTERFACE)?;
        let ipv6_mtu = self.output(
            "cat",
            &[&format!("/proc/sys/net/ipv6/conf/{INTERFACE}/mtu")],
        )?;
        let dns_source = self.client.dns_source();
        let resolv_conf = fs::read_to_string(self.resolv_conf())?;
        let dns = match dns_source {
            DnsSource::Ra => Vec::new(),
            DnsSource::ResolvConf => parse_resolv_conf(&resolv_conf),
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
        seen.ping_global = match (own.addresses.first(), neighbour.addresses.first()) {
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
        let mut command = self.namespace.command("rdisc6");
        command.args(["-1", "-n", "-r", "3", "-w", "2000", INTERFACE]);
        let output = finish(&mut command, Duration::from_secs(30))?;
        seen.ra = parse_rdisc6(&String::from_utf8_lossy(&output.stdout))?;
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
            let mut command = self.namespace.command("ping");
            command.args([family, "-n", "-c", "1", "-W", PING_BOUND_S, "-M", "do"]);
            command.args(["-s", &payload, "-I", from, &to]);
            let output = finish(&mut command, Duration::from_secs(30))?;
            let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
            text.push_str(&String::from_utf8_lossy(&output.stderr));
            ping = parse_ping(output.status.success(), &text);
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
        let mut command = self.namespace.command(program);
        command.args(args);
        let output = finish(&mut command, Duration::from_secs(30))?;
        if !output.status.success() {
            let stderr = String::from_utf8_lossy(&output.stderr);
            bail!("{} in {}: {}", program, self.name, stderr.trim());
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Ends the client, if one runs.
    pub fn stop(&mut self) {
        if let Err(error) = self.end_client() {
            eprintln!("lab: {}: {error:#}", self.name);
        }
    }

    /// By its id; by force when it does not end.
    fn end_client(&mut self) -> Result<()> {
        let Some(mut process) = self.process.take() else {
            return Ok(());
        };
        let pid = Pid::from_raw(i32::try_from(process.id())?);
        if process.try_wait()?.is_none() {
            kill(pid, Signal::SIGTERM).context("SIGTERM")?;
        }
        let deadline = Instant::now() + STOP_BOUND;
        while process.try_wait()?.is_none() {
            if Instant::now() >= deadline {
                // The client leads a process group of its own, so its children end with it.
                killpg(pid, Signal::SIGKILL).context("SIGKILL")?;
                process.wait()?;
            }
            thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        self.stop();
    }
}
