//! A cloud in a network namespace of its own, used by its command line and its API; guests in others.
#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

mod stream;

use std::fs::File;
use std::net::{Ipv6Addr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use hextet_agent::kernel::links::LinkSeen;
use hextet_agent::kernel::netns;
use hextet_lab::clouds::login;
use hextet_lab::jail;
use hextet_lab::run::{Opened, wait_until_empty};
use serde_json::{Value, json};
pub use stream::Stream;

/// The bound of every wait: far above what any takes.
const BOUND: Duration = Duration::from_secs(90);
const POLL: Duration = Duration::from_millis(20);

/// Waits until it is so.
pub fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(started.elapsed() < BOUND, "not so within {BOUND:?}: {what}");
        std::thread::sleep(POLL);
    }
}

/// A network namespace, gone when dropped.
pub struct Namespace {
    pub name: String,
    pub path: PathBuf,
}

impl Namespace {
    pub fn new(role: &str) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        Self::named(&format!("hx{}-{number}-{role}", std::process::id()))
    }

    pub fn named(name: &str) -> Self {
        let path =
            netns::create(name).expect("these tests make network namespaces: run them as root");
        Self {
            name: name.to_owned(),
            path,
        }
    }

    pub fn spawn(&self, command: &mut Command) -> Child {
        netns::inside(&self.path, || command.spawn())
            .unwrap()
            .unwrap()
    }

    /// Whether a command ends well in it.
    pub fn succeeds(&self, command: &mut Command) -> bool {
        self.output(command).status.success()
    }

    /// `ip` with these words, in it.
    pub fn ip(&self, words: &str) {
        let output = self.output(Command::new("ip").args(words.split(' ')));
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "ip {words}: {error}");
    }

    pub fn output(&self, command: &mut Command) -> Output {
        netns::inside(&self.path, || command.output())
            .unwrap()
            .unwrap()
    }

    /// The global addresses that are in use (not tentative) in it.
    pub fn addresses(&self) -> Vec<(Ipv6Addr, u32)> {
        let text = netns::inside(&self.path, || {
            std::fs::read_to_string("/proc/thread-self/net/if_inet6").unwrap()
        })
        .unwrap();
        let mut found = Vec::new();
        for line in text.lines() {
            let words: Vec<&str> = line.split_whitespace().collect();
            let [address, _, len, scope, flags, _] = words[..] else {
                panic!("a line of if_inet6: {line}");
            };
            let tentative = u32::from_str_radix(flags, 16).unwrap() & 0x40 != 0;
            if scope == "00" && !tentative {
                let bits = u128::from_str_radix(address, 16).unwrap();
                let len = u32::from_str_radix(len, 16).unwrap();
                found.push((Ipv6Addr::from_bits(bits), len));
            }
        }
        found
    }

    /// Packets to groups that came in at it.
    pub fn multicast_packets(&self) -> u64 {
        counted(self, "Ip6InMcastPkts")
    }

    pub fn links(&self) -> Vec<String> {
        let links = self.links_seen();
        links.into_iter().map(|link| link.name).collect()
    }

    /// All but the loopback.
    pub fn links_seen(&self) -> Vec<LinkSeen> {
        let links = netns::inside(&self.path, hextet_agent::kernel::links::dump);
        let mut links = links.unwrap().unwrap();
        links.retain(|link| link.name != "lo");
        links
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let opened = Opened::of(&self.name, &self.path);
        netns::delete(&self.name).unwrap();
        // A test that failed has said enough.
        if !std::thread::panicking() {
            wait_until_empty(&[opened.unwrap()], BOUND).unwrap();
        }
    }
}

/// The beginning of a command that runs a client in a guest, with files, a host name and processes of its own.
pub fn jailed(cloud: &Cloud, guest: &Namespace) -> Command {
    let directory = cloud.path(&format!("{}.jail", guest.name));
    if !directory.exists() {
        jail::prepare(&directory).unwrap();
    }
    let mut command = Command::new("unshare");
    command.args(jail::arguments(&directory));
    command
}

/// `hextet up` on a directory of its own.
pub struct Cloud {
    pub dir: tempfile::TempDir,
    pub host: Arc<Namespace>,
    /// Where the API answers, on the loopback of the host.
    listen: u16,
    up: Option<Child>,
    ups: u32,
}

impl Cloud {
    pub fn new() -> Self {
        Self::on(Arc::new(Namespace::new("cloud")), 9696)
    }

    /// Another one on the same machine.
    pub fn beside(&self) -> Self {
        Self::on(self.host.clone(), self.listen + 1)
    }

    fn on(host: Arc<Namespace>, listen: u16) -> Self {
        let mut cloud = Self::dark(host, listen);
        cloud.up();
        cloud
    }

    /// By the hook that every kernel has: the first start would end where there is no other.
    pub fn by_clsact() -> Self {
        let mut cloud = Self::dark(Arc::new(Namespace::new("cloud")), 9696);
        let dir = cloud.dir.path().display();
        let instance = &cloud.host.name;
        let text = format!(
            "hook = \"clsact\"\nhost = \"vm\"\nstate_dir = \"{dir}/agent\"\n\
             socket = \"{dir}/run/agent.sock\"\ninstance = \"{instance}\"\n\
             [server]\naddress_file = \"{dir}/run/feed.addr\"\nname = \"hextet-server\"\n\
             ca = \"{dir}/tls/ca.pem\"\ncert = \"{dir}/tls/agent.pem\"\nkey = \"{dir}/tls/agent.key\"\n"
        );
        std::fs::write(cloud.path("agent.toml"), text).unwrap();
        cloud.up();
        cloud
    }

    fn dark(host: Arc<Namespace>, listen: u16) -> Self {
        Self {
            dir: tempfile::tempdir().unwrap(),
            host,
            listen,
            up: None,
            ups: 0,
        }
    }

    /// Starts it and waits for its line.
    pub fn up(&mut self) {
        self.ups += 1;
        let out = self.path(&format!("out.{}", self.ups));
        let listen = format!("[::1]:{}", self.listen);
        let mut command = self.hextet(&["up", "--listen", &listen]);
        command
            .stdout(File::create(&out).unwrap())
            .stderr(File::create(self.log()).unwrap());
        self.up = Some(self.host.spawn(&mut command));
        until("hextet up is ready", || {
            let line = std::fs::read_to_string(&out).unwrap();
            let ready = format!(
                "ready http://{listen} {}\n",
                self.path("clouds.yaml").display()
            );
            assert!(line.is_empty() || line.ends_with('\n'), "whole lines only");
            (line == ready).then_some(())
        });
    }

    /// SIGTERM, and waits for its end.
    pub fn stop(&mut self) {
        let mut up = self.up.take().expect("it runs");
        kill(&up.id().to_string(), "TERM");
        assert!(up.wait().unwrap().success());
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Of the last `up`.
    pub fn log(&self) -> PathBuf {
        self.path(&format!("log.{}", self.ups))
    }

    pub fn log_text(&self) -> String {
        std::fs::read_to_string(self.log()).unwrap()
    }

    /// Kills the agent; the next one must find nothing to change.
    pub fn kill_agent(&self) {
        let passes = |log: &str| log.matches("reconcile ops=").count();
        let before = passes(&self.log_text());
        let agent = self.pid("agent");
        kill(&agent, "KILL");
        let log = until("the agent is started again", || {
            let log = self.log_text();
            (passes(&log) > before).then_some(log)
        });
        assert_ne!(self.pid("agent"), agent);
        assert!(last_pass(&log).ends_with("ops=0"), "{log}");
    }

    pub fn hextet(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_hextet"));
        command
            .arg("--dir")
            .arg(self.dir.path())
            .args(arguments)
            .env_remove("OS_AUTH_URL")
            .env_remove("HEXTET_LOG")
            .stdin(Stdio::null());
        command
    }

    /// Runs a subcommand: its exit code, and what it printed on both.
    pub fn run(&self, arguments: &[&str]) -> (i32, String, String) {
        told(self.host.output(&mut self.hextet(arguments)))
    }

    pub fn done(&self, arguments: &[&str]) -> String {
        let (code, out, err) = self.run(arguments);
        assert_eq!(code, 0, "hextet {}: {err}", arguments.join(" "));
        out
    }

    /// One request of the administrator.
    pub fn api(&self, method: &str, path: &str, body: Option<Value>) -> Value {
        let text = std::fs::read_to_string(self.path("clouds.yaml")).unwrap();
        let login = login(&text, "hextet").unwrap();
        let method = method.parse().unwrap();
        netns::inside(&self.host.path, move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build();
            runtime.unwrap().block_on(async {
                let http = reqwest::Client::builder().tls_certs_only([]).build();
                let (http, auth) = (http.unwrap(), login.body());
                let url = format!("{}/auth/tokens", login.auth_url);
                let answer = http.post(url).json(&auth).send().await.unwrap();
                let token = answer.headers()["x-subject-token"].clone();
                let url = format!("http://[::1]:{}/v2.0/{path}", self.listen);
                let mut request = http.request(method, url).header("x-auth-token", token);
                if let Some(body) = body {
                    request = request.json(&body);
                }
                let answer = request.send().await.unwrap();
                let status = answer.status();
                let text = answer.text().await.unwrap();
                assert!(status.is_success(), "{path}: {status} {text}");
                serde_json::from_str(&text).unwrap_or(Value::Null)
            })
        })
        .unwrap()
    }

    /// Makes one of these, and gives what was made.
    pub fn create(&self, noun: &str, body: Value) -> Value {
        self.api("POST", &format!("{noun}s"), Some(json!({ noun: body })))[noun].clone()
    }

    /// A network with one SLAAC subnet; its id.
    pub fn network(&self) -> String {
        let network = self.create("network", json!({ "name": "net" }));
        let id = network["id"].as_str().unwrap().to_owned();
        self.subnet(&id, "2001:db8:1::/64");
        id
    }

    pub fn subnet(&self, network: &str, cidr: &str) -> Value {
        self.create(
            "subnet",
            json!({ "network_id": network, "ip_version": 6, "cidr": cidr,
                    "ipv6_ra_mode": "slaac", "ipv6_address_mode": "slaac" }),
        )
    }

    /// A port of the network, attached to a guest.
    pub fn guest(&self, network: &str, name: &str) -> (Namespace, String, Ipv6Addr) {
        self.guest_with(network, name, &[])
    }

    /// The same, attached with these options besides.
    pub fn guest_with(
        &self,
        network: &str,
        name: &str,
        options: &[&str],
    ) -> (Namespace, String, Ipv6Addr) {
        let port = self.create("port", json!({ "network_id": network, "name": name }));
        let guest = Namespace::new(name);
        let attach = ["port", "attach", name, "--netns", &guest.name];
        self.done(&[&attach, options].concat());
        let address = port["fixed_ips"][0]["ip_address"].as_str().unwrap();
        let id = port["id"].as_str().unwrap().to_owned();
        (guest, id, address.parse().unwrap())
    }

    pub fn status(&self, port: &str) -> String {
        let port = self.api("GET", &format!("ports/{port}"), None);
        port["port"]["status"].as_str().unwrap().to_owned()
    }

    pub fn mac(&self, port: &str) -> String {
        let port = self.api("GET", &format!("ports/{port}"), None);
        port["port"]["mac_address"].as_str().unwrap().to_owned()
    }

    /// What `hextet port list` says of a port.
    pub fn listed(&self, port: &str) -> Value {
        let ports = self.done(&["port", "list", "-f", "json"]);
        let ports: Value = serde_json::from_str(&ports).unwrap();
        let mut ports = ports.as_array().unwrap().iter();
        let found = ports.find(|listed| listed["port"] == port);
        found.expect("the host has it").clone()
    }

    /// Whether it lists this address as learned from the port's guest.
    pub fn learned(&self, port: &str, address: Ipv6Addr) -> bool {
        let listed = self.listed(port);
        let mut learned = listed["learned"].as_array().unwrap().iter();
        learned.any(|learned| *learned == address.to_string())
    }

    /// The name of the host's end of a port's link.
    pub fn host_end(&self, port: &str) -> String {
        self.listed(port)["link"].as_str().unwrap().to_owned()
    }

    pub fn pid(&self, name: &str) -> String {
        let path = self.path(&format!("run/{name}.pid"));
        std::fs::read_to_string(path).unwrap().trim().to_owned()
    }

    /// What `hextet agent` alone needs.
    pub fn agent_config(&self) -> hextet_agent::config::Config {
        hextet_agent::config::Config::load(&self.path("agent.toml")).unwrap()
    }
}

impl Drop for Cloud {
    fn drop(&mut self) {
        let down = self.host.output(&mut self.hextet(&["down"]));
        if let Some(mut up) = self.up.take() {
            let _ = up.kill();
            let _ = up.wait();
        }
        if std::thread::panicking() {
            eprintln!("log of hextet up:\n{}", self.log_text());
        } else {
            assert!(
                down.status.success(),
                "{}",
                String::from_utf8_lossy(&down.stderr)
            );
        }
    }
}

/// An exit code, and what was printed on both.
pub fn told(output: Output) -> (i32, String, String) {
    (
        output.status.code().unwrap(),
        String::from_utf8(output.stdout).unwrap(),
        String::from_utf8(output.stderr).unwrap(),
    )
}

pub fn kill(pid: &str, signal: &str) {
    let signal: nix::sys::signal::Signal = format!("SIG{signal}").parse().unwrap();
    let pid = nix::unistd::Pid::from_raw(pid.parse().unwrap());
    nix::sys::signal::kill(pid, signal).unwrap();
}

/// The line of the newest pass.
pub fn last_pass(log: &str) -> &str {
    let mut passes = log
        .lines()
        .rev()
        .filter(|line| line.contains("reconcile ops="));
    passes.next().expect("there was a pass")
}

/// Whether a guest reaches an address within the bound.
pub fn reaches(guest: &Namespace, address: Ipv6Addr) {
    until(&format!("{address} answers"), || {
        pings(guest, address, 1).then_some(())
    });
}

/// Whether one of so many echo requests is answered.
pub fn pings(guest: &Namespace, address: Ipv6Addr, count: u32) -> bool {
    let zone = if address.is_unicast_link_local() {
        "%eth0"
    } else {
        ""
    };
    let mut ping = Command::new("ping");
    ping.args(["-6", "-i", "0.2", "-W", "1", "-c", &count.to_string()])
        .arg(format!("{address}{zone}"));
    guest.output(&mut ping).status.success()
}

/// Waits until an address answers to another of the guest's.
pub fn reaches_from(guest: &Namespace, source: Ipv6Addr, address: Ipv6Addr) {
    until(&format!("{address} answers to {source}"), || {
        pings_from(guest, source, address, 1).then_some(())
    });
}

/// Whether every one of so many echo requests from this address is answered.
pub fn pings_from(guest: &Namespace, source: Ipv6Addr, address: Ipv6Addr, count: u32) -> bool {
    let mut ping = Command::new("ping");
    ping.args(["-6", "-i", "0.2", "-W", "1", "-c", &count.to_string()])
        .args(["-I", &source.to_string(), &address.to_string()]);
    let text = String::from_utf8(guest.output(&mut ping).stdout).unwrap();
    text.contains(&format!("{count} received"))
}

/// Datagrams from one guest to another, at least 10,000 a second, until told to stop.
pub struct Flow {
    stop: Arc<AtomicBool>,
    sent: Arc<AtomicU64>,
    sender: JoinHandle<()>,
    receiver: UdpSocket,
    before: u64,
}

/// Where nobody reads before the end: arrivals are counted by the guest's kernel.
const FLOW_PORT: u16 = 4000;
/// Sent each second.
const FLOW_RATE: u64 = 12_000;
/// Most at once: a veth holds 1,000.
const FLOW_BURST_MAX: u64 = 100;

impl Flow {
    pub fn start(from: &Namespace, to: &Namespace, address: Ipv6Addr) -> Self {
        let receiver = netns::inside(&to.path, || UdpSocket::bind(("::", FLOW_PORT)));
        let socket = netns::inside(&from.path, || UdpSocket::bind(("::", 0)));
        let socket = socket.unwrap().unwrap();
        socket.connect((address, FLOW_PORT)).unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let sent = Arc::new(AtomicU64::new(0));
        let count = sent.clone();
        let before = arrived(to);
        let sender = std::thread::spawn(move || {
            let started = Instant::now();
            while !stopped.load(Ordering::Relaxed) {
                let due =
                    u64::try_from(started.elapsed().as_micros()).unwrap() * FLOW_RATE / 1_000_000;
                // What a late wake-up missed is sent too, in bursts that a link's queue holds.
                let late = due.saturating_sub(count.load(Ordering::Relaxed));
                for _ in 0..late.min(FLOW_BURST_MAX) {
                    count.fetch_add(u64::from(socket.send(&[0; 64]).is_ok()), Ordering::Relaxed);
                }
                std::thread::sleep(Duration::from_micros(500));
            }
        });
        Self {
            stop,
            sent,
            sender,
            receiver: receiver.unwrap().unwrap(),
            before,
        }
    }

    /// How many were sent until now.
    pub fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// How many were sent, and how many of them arrived.
    pub fn end(self, to: &Namespace) -> (u64, u64) {
        self.stop.store(true, Ordering::Relaxed);
        self.sender.join().unwrap();
        let sent = self.sent.load(Ordering::Relaxed);
        // The last ones may still be in a queue.
        let started = Instant::now();
        self.receiver.set_nonblocking(true).unwrap();
        while arrived(to) - self.before < sent && started.elapsed() < BOUND {
            // Those that wait in the socket are counted when they are read.
            while self.receiver.recv(&mut [0; 64]).is_ok() {}
            std::thread::sleep(POLL);
        }
        (sent, arrived(to) - self.before)
    }
}

/// UDP datagrams that reached a namespace, read by somebody or not.
fn arrived(namespace: &Namespace) -> u64 {
    counted(namespace, "Udp6InDatagrams") + counted(namespace, "Udp6InErrors")
}

/// A counter of a namespace's IPv6.
fn counted(namespace: &Namespace, name: &str) -> u64 {
    let text = netns::inside(&namespace.path, || {
        std::fs::read_to_string("/proc/thread-self/net/snmp6").unwrap()
    })
    .unwrap();
    let mut lines = text.lines().map(str::split_whitespace);
    let mut line = lines.find(|line| line.clone().next() == Some(name));
    let value = line.as_mut().and_then(|words| words.nth(1));
    value.expect("the kernel counts it").parse().unwrap()
}

/// What a guest's device has counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Device {
    pub received: u64,
    pub sent: u64,
    /// Errors and drops in both directions.
    pub lost: u64,
}

/// The counters of a guest's eth0.
pub fn device(namespace: &Namespace) -> Device {
    let text = netns::inside(&namespace.path, || {
        std::fs::read_to_string("/proc/thread-self/net/dev").unwrap()
    })
    .unwrap();
    let mut lines = text.lines();
    let line = lines.find_map(|line| line.trim_start().strip_prefix("eth0:"));
    let figures: Vec<u64> = line
        .expect("the guest has an eth0")
        .split_whitespace()
        .map(|figure| figure.parse().unwrap())
        .collect();
    // bytes packets errs drop fifo frame compressed multicast, then the same of sending.
    Device {
        received: figures[1],
        sent: figures[9],
        lost: figures[2] + figures[3] + figures[4] + figures[10] + figures[11] + figures[12],
    }
}

/// Echo replies that reached a namespace.
pub fn echo_replies(namespace: &Namespace) -> u64 {
    counted(namespace, "Icmp6InEchoReplies")
}

/// Echo requests that reached a namespace.
pub fn echoes(namespace: &Namespace) -> u64 {
    counted(namespace, "Icmp6InEchos")
}

/// Mounts under a directory.
pub fn mounts(dir: &Path) -> Vec<String> {
    let text = std::fs::read_to_string("/proc/self/mounts").unwrap();
    let prefix = dir.to_str().unwrap();
    text.lines()
        .filter(|line| line.contains(prefix))
        .map(str::to_owned)
        .collect()
}
