//! A host with guests on one network, in namespaces of its own, with rows that the test writes.

pub mod frames;
pub mod tap;
mod tun;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;
use std::process::{Command, Output};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use hextet_agent::kernel::fastpath::{PuntBudget, Sizes};
use hextet_agent::kernel::links::{self, NewVeth};
use hextet_agent::kernel::{
    Fastpath, FastpathConfig, Hook, MapOp, NeighRow, PortRow, Rows, Sender, SourceRow, Verdict,
    netns,
};
use hextet_core::ids::{PortNumber, Vni};
use hextet_core::mac::Mac;
use socket2::{Domain, Protocol, Socket, Type};

pub const NET: Vni = Vni(7);
pub const MTU: u32 = 1430;
/// The bound of every wait: far above what any takes.
const PATIENCE: Duration = Duration::from_secs(60);

/// Runs the test in a namespace of its own as the host, and removes all of it afterwards, whether it fails or not.
pub fn with_host(hook: Hook, guests: usize, test: impl FnOnce(&mut Host) + Send) {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let name = format!("hxk{}-{number}", std::process::id());
    let namespace = netns::create(&name).expect("a namespace can be made (these tests need root)");
    let cleanup = Cleanup {
        names: (0..guests)
            .map(|guest| format!("{name}-{guest}"))
            .chain([name.clone()])
            .collect(),
    };
    netns::inside(&namespace, move || {
        let mut host = Host::new(&name, hook, guests);
        test(&mut host);
    })
    .unwrap();
    drop(cleanup);
}

struct Cleanup {
    names: Vec<String>,
}

impl Drop for Cleanup {
    fn drop(&mut self) {
        for name in &self.names {
            if let Err(error) = netns::delete(name) {
                eprintln!("namespace {name} stays: {error}");
            }
        }
    }
}

pub struct Host {
    pub config: FastpathConfig,
    pub fastpath: Option<Fastpath>,
    pub guests: Vec<Guest>,
    _state_dir: tempfile::TempDir,
}

pub struct Guest {
    pub number: PortNumber,
    pub namespace: PathBuf,
    pub mac: Mac,
    pub address: Ipv6Addr,
    pub ipv4: Ipv4Addr,
    /// The host's end.
    pub ifindex: u32,
    pub host_name: String,
}

impl Host {
    fn new(name: &str, hook: Hook, guests: usize) -> Host {
        let state_dir = tempfile::tempdir().unwrap();
        let config = FastpathConfig {
            instance: name.to_owned(),
            state_dir: state_dir.path().to_owned(),
            hook,
            sizes: Sizes::default(),
            punt: PuntBudget::default(),
        };
        let fastpath = Fastpath::open(&config).unwrap();
        let mut host = Host {
            config,
            fastpath: Some(fastpath),
            guests: Vec::new(),
            _state_dir: state_dir,
        };
        for guest in 0..guests {
            let made = Guest::new(name, guest);
            host.fastpath().attach(made.ifindex).unwrap();
            host.guests.push(made);
        }
        host.set(&host.rows());
        for guest in &host.guests {
            links::set_up(guest.ifindex, true).unwrap();
        }
        for guest in &host.guests {
            guest.wait_until_addressed();
        }
        host
    }

    pub fn fastpath(&self) -> &Fastpath {
        self.fastpath.as_ref().expect("the test has not closed it")
    }

    /// What an agent would write: every guest's addresses are its sources, known to the others.
    pub fn rows(&self) -> Rows {
        let mut rows = Rows::default();
        let mut members = BTreeSet::new();
        for guest in &self.guests {
            let row = PortRow {
                port: guest.number,
                net: NET,
                admin_up: true,
                guarded: true,
                direct: true,
                mtu: MTU,
                mac: guest.mac,
                outside: None,
            };
            rows.ports.insert(guest.ifindex, row);
            let ipv4 = guest.ipv4.to_ipv6_mapped();
            for address in [guest.address, guest.mac.link_local(), ipv4] {
                rows.sources.insert(
                    (guest.number, address),
                    SourceRow {
                        local_only: false,
                        learned: false,
                    },
                );
                let neighbour = NeighRow {
                    mac: guest.mac,
                    port: Some(guest.number),
                    router: false,
                };
                rows.neigh.insert((NET, address), neighbour);
            }
            rows.fdb.insert((NET, guest.mac), guest.ifindex);
            members.insert(guest.ifindex);
        }
        rows.members.insert(NET, members);
        rows
    }

    /// Makes the maps hold these rows. What the program has seen is left as it is.
    pub fn set(&self, wanted: &Rows) {
        let seen = self.fastpath().dump().unwrap();
        let wanted = Rows {
            seen: seen.seen.clone(),
            ..wanted.clone()
        };
        self.fastpath().apply(&seen.diff(&wanted)).unwrap();
    }

    pub fn apply(&self, ops: &[MapOp]) {
        self.fastpath().apply(ops).unwrap();
    }

    pub fn counted(&self, guest: usize) -> BTreeMap<Verdict, u64> {
        let number = self.guests[guest].number;
        let counters = self.fastpath().counters().unwrap();
        let of_guest = counters
            .into_iter()
            .filter(|((port, _), _)| *port == number);
        of_guest
            .map(|((_, verdict), (packets, _))| (verdict, packets))
            .collect()
    }

    /// Sends a frame from a guest by hand and waits until it is counted so.
    pub fn attack(&self, guest: usize, frame: &[u8], verdict: Verdict) {
        let count = || self.counted(guest).get(&verdict).copied().unwrap_or(0);
        let before = count();
        self.guests[guest].send(frame);
        eventually(verdict.name(), || count() > before);
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        drop(self.fastpath.take());
        for guest in &self.guests {
            if let Err(error) = links::delete(guest.ifindex) {
                eprintln!("link {} stays: {error}", guest.host_name);
            }
        }
        if let Err(error) = Fastpath::remove(&self.config) {
            eprintln!("the fast path stays: {error}");
        }
    }
}

impl Guest {
    fn new(host: &str, guest: usize) -> Guest {
        let namespace = netns::create(&format!("{host}-{guest}")).unwrap();
        let last = u8::try_from(guest + 1).unwrap();
        let mac = Mac([0xfa, 0x16, 0x3e, 0, 0, last]);
        let host_name = format!("tap{guest}");
        let ifindex = links::create_veth(&NewVeth {
            host_name: &host_name,
            alias: "hextet:test:guest",
            netns: &namespace,
            guest_name: "eth0",
            mac,
            mtu: MTU,
            guest_up: true,
        })
        .unwrap();
        let address = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, u16::from(last));
        let ipv4 = Ipv4Addr::new(10, 0, 0, last);
        let made = Guest {
            number: PortNumber(u32::from(last)),
            namespace,
            mac,
            address,
            ipv4,
            ifindex,
            host_name,
        };
        made.run(&[
            "ip",
            "-6",
            "addr",
            "add",
            &format!("{address}/64"),
            "dev",
            "eth0",
            "nodad",
        ]);
        made.run(&["ip", "addr", "add", &format!("{ipv4}/24"), "dev", "eth0"]);
        made
    }

    /// Until the kernel has its link-local address and may use it.
    fn wait_until_addressed(&self) {
        let wanted = self.mac.link_local().to_string();
        eventually("the guest has its link-local address", || {
            let shown = self.output(&["ip", "-6", "addr", "show", "dev", "eth0", "-tentative"]);
            String::from_utf8_lossy(&shown.stdout).contains(&wanted)
        });
    }

    pub fn output(&self, command: &[&str]) -> Output {
        Command::new("nsenter")
            .arg(format!("--net={}", self.namespace.display()))
            .args(command)
            .output()
            .unwrap()
    }

    pub fn run(&self, command: &[&str]) {
        let output = self.output(command);
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{command:?}: {error}");
    }

    /// Waits until an address answers.
    pub fn reaches(&self, address: Ipv6Addr) {
        eventually(&format!("{address} answers"), || self.pings(address));
    }

    /// Whether an address answers within two seconds.
    pub fn pings(&self, address: Ipv6Addr) -> bool {
        let to = if address.is_unicast_link_local() {
            format!("{address}%eth0")
        } else {
            address.to_string()
        };
        self.output(&["ping", "-6", "-c", "3", "-i", "0.1", "-W", "2", &to])
            .status
            .success()
    }

    /// Sends an Ethernet frame of the guest's, whatever is in it.
    pub fn send(&self, frame: &[u8]) {
        netns::inside(&self.namespace, || {
            let ifindex = links::index("eth0").unwrap();
            Sender::new().unwrap().send(ifindex, frame).unwrap();
        })
        .unwrap();
    }

    /// Captures what comes in at the guest from now on.
    pub fn capture(&self) -> Capture {
        netns::inside(&self.namespace, Capture::new).unwrap()
    }

    /// A counter of the guest's own end.
    pub fn statistic(&self, name: &str) -> u64 {
        let shown = self.output(&["ip", "-s", "-s", "-j", "link", "show", "dev", "eth0"]);
        let json: serde_json::Value = serde_json::from_slice(&shown.stdout).unwrap();
        let (direction, field) = name.split_once('_').unwrap();
        json[0]["stats64"][direction][field].as_u64().unwrap()
    }
}

/// A packet socket on all links of a guest.
pub struct Capture {
    socket: Socket,
}

impl Capture {
    fn new() -> Capture {
        let every = i32::from((libc::ETH_P_ALL as u16).to_be());
        let socket = Socket::new(Domain::PACKET, Type::RAW, Some(Protocol::from(every))).unwrap();
        socket.set_nonblocking(true).unwrap();
        Capture { socket }
    }

    /// The frames that came in since the last call; the guest's own and the loopback's are left out.
    pub fn frames(&self, own: Mac) -> Vec<Vec<u8>> {
        let mut frames = Vec::new();
        let mut buffer = vec![0; 65536];
        while let Ok(length) = (&self.socket).read(&mut buffer) {
            let source = buffer[..length].get(6..12);
            if source != Some(&own.0[..]) && source != Some(&[0; 6][..]) {
                frames.push(buffer[..length].to_vec());
            }
        }
        frames
    }
}

pub fn eventually(what: &str, mut done: impl FnMut() -> bool) {
    let until = Instant::now() + PATIENCE;
    while !done() {
        assert!(Instant::now() < until, "never: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
