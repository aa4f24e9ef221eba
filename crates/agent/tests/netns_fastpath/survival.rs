//! What happens to the pins under a running flow: deleted, of an older schema. Every datagram of the flow has a number, and
//! arrives.

use std::fs;
use std::io::ErrorKind;
use std::net::{SocketAddrV6, UdpSocket};
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use hextet_agent::kernel::fastpath::SCHEMA;
use hextet_agent::kernel::{Fastpath, Hook, links, netns};
use nix::sys::socket::setsockopt;
use nix::sys::socket::sockopt::RcvBufForce;

use crate::support::{Host, eventually};

const PORT: u16 = 5100;
/// What the receiver may be behind: a test that sleeps for seconds on a busy machine loses nothing by it.
const RECEIVE_BYTES: usize = 64 << 20;

/// Runs `work` under a flow of numbered datagrams; none is lost, and none comes twice.
fn without_loss(host: &mut Host, work: impl FnOnce(&mut Host, &AtomicU64)) {
    let [a, b] = &host.guests[..] else {
        unreachable!("two guests")
    };
    a.reaches(b.address);
    let (to, from) = (b.address, a.address);
    let receiver = netns::inside(&b.namespace, || UdpSocket::bind((to, PORT)).unwrap()).unwrap();
    let sender = netns::inside(&a.namespace, || UdpSocket::bind((from, PORT)).unwrap()).unwrap();
    for (guest, other) in [(a, b), (b, a)] {
        let (address, mac) = (other.address.to_string(), other.mac.to_string());
        let words = ["ip", "-6", "neigh", "replace", &address, "lladdr", &mac];
        guest.run(&[&words[..], &["dev", "eth0", "nud", "permanent"]].concat());
    }
    receiver
        .set_read_timeout(Some(Duration::from_millis(50)))
        .unwrap();
    setsockopt(&receiver, RcvBufForce, &RECEIVE_BYTES).unwrap();
    let (stop, sent, arrived) = (AtomicBool::new(false), AtomicU64::new(0), AtomicU64::new(0));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let to = SocketAddrV6::new(to, PORT, 0, 0);
            while !stop.load(Ordering::Relaxed) {
                let number = sent.load(Ordering::Relaxed);
                sender.send_to(&number.to_be_bytes(), to).unwrap();
                sent.store(number + 1, Ordering::Relaxed);
                std::thread::sleep(Duration::from_micros(100));
            }
        });
        scope.spawn(|| {
            let mut datagram = [0; 16];
            loop {
                match receiver.recv(&mut datagram) {
                    Ok(8) => {
                        let number = u64::from_be_bytes(datagram[..8].try_into().unwrap());
                        let expected = arrived.fetch_add(1, Ordering::Relaxed);
                        assert_eq!(number, expected, "datagrams were lost before this one");
                    }
                    Ok(other) => panic!("{other} bytes"),
                    Err(error) if error.kind() == ErrorKind::WouldBlock => {
                        if stop.load(Ordering::Relaxed) {
                            return;
                        }
                    }
                    Err(error) => panic!("{error}"),
                }
            }
        });
        // A failing test ends its flow too.
        let _stop = Stop(&stop);
        work(host, &sent);
    });
    let (sent, arrived) = (sent.into_inner(), arrived.into_inner());
    eprintln!("{sent} datagrams, {arrived} arrived");
    assert_eq!(sent, arrived);
}

struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn flow_on(sent: &AtomicU64) {
    let until = sent.load(Ordering::Relaxed) + 300;
    eventually("the flow goes on", || sent.load(Ordering::Relaxed) > until);
}

/// Where the pins of this build are.
fn directory(host: &Host) -> PathBuf {
    let system = PathBuf::from("/sys/fs/bpf/hextet").join(&host.config.instance);
    let own = host
        .config
        .state_dir
        .join("bpf/hextet")
        .join(&host.config.instance);
    let found = if system.is_dir() { system } else { own };
    found.join(format!("v{SCHEMA}"))
}

fn names(host: &Host) -> Vec<String> {
    let entries = fs::read_dir(directory(host)).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// As an agent does: the rows first, then what is attached.
fn fill(host: &mut Host) {
    host.fastpath = Some(Fastpath::open(&host.config).unwrap());
    assert_eq!(
        host.fastpath().dump().unwrap().ports.len(),
        0,
        "the maps are new"
    );
    let inherited = host.fastpath().inherited().unwrap();
    assert_eq!(
        inherited.len(),
        host.guests.len(),
        "the older program goes on"
    );
    host.set(&host.rows());
    assert_eq!(host.fastpath().take_over().unwrap(), host.guests.len());
    let attached = host.fastpath().attached().unwrap();
    assert_eq!(attached.len(), host.guests.len());
    assert_eq!(host.fastpath().take_over().unwrap(), 0);
}

pub fn an_older_schema(host: &mut Host) {
    without_loss(host, |host, sent| {
        flow_on(sent);
        drop(host.fastpath.take());
        let pins = directory(host);
        let older = pins.with_file_name("v0");
        fs::rename(&pins, &older).unwrap();
        flow_on(sent);
        fill(host);
        flow_on(sent);
        assert!(!older.exists(), "nothing of the older schema is left");
    });
}

pub fn pins_of_maps(host: &mut Host) {
    without_loss(host, |host, sent| {
        for gone in ["ports", "sources", "neigh", "fdb"] {
            fs::remove_file(directory(host).join(gone)).unwrap();
        }
        drop(host.fastpath.take());
        flow_on(sent);
        host.fastpath = Some(Fastpath::open(&host.config).unwrap());
        flow_on(sent);
        host.set(&host.rows());
        assert_eq!(host.fastpath().take_over().unwrap(), host.guests.len());
        flow_on(sent);
    });
}

pub fn pins_under_the_agent(host: &mut Host) {
    let before = names(host);
    without_loss(host, |host, sent| {
        flow_on(sent);
        fs::remove_dir_all(directory(host)).unwrap();
        flow_on(sent);
        assert_eq!(host.fastpath().repair().unwrap(), before.len());
        assert_eq!(names(host), before);
        assert_eq!(host.fastpath().repair().unwrap(), 0);
        let program = host.fastpath().program_id();
        drop(host.fastpath.take());
        host.fastpath = Some(Fastpath::open(&host.config).unwrap());
        assert_eq!(host.fastpath().program_id(), program, "all is as it was");
        flow_on(sent);
    });
    host.fastpath().detach(host.guests[1].ifindex).unwrap();
    assert_eq!(
        host.fastpath().repair().unwrap(),
        0,
        "what was taken off stays off"
    );
    assert_eq!(host.fastpath().attached().unwrap().len(), 1);
}

/// Ran in this namespace.
fn done(words: &str) {
    let mut words = words.split(' ');
    let program = words.next().unwrap();
    let status = Command::new(program).args(words).status();
    assert!(status.unwrap().success(), "{program}");
}

/// What somebody else takes off is missed by whoever asks that link, and by nobody who asks another.
pub fn asked_by_themselves(host: &mut Host) {
    let [one, two] = [0, 1].map(|guest| host.guests[guest].ifindex);
    let name = host.guests[1].host_name.clone();
    let runs = |host: &Host| [one, two].map(|link| host.fastpath().runs_on(link).unwrap());
    assert_eq!(runs(host), [true, true]);
    let off = |way: &str, qdisc: &str, name: &str, ifindex: u32| match host.config.hook {
        Hook::Tcx => {
            let pin = directory(host).join(format!("{way}_{ifindex}"));
            done(&format!("bpftool link detach pinned {}", pin.display()));
        }
        Hook::Clsact => done(&format!("tc filter del dev {name} {qdisc}")),
    };
    off("link", "ingress", &name, two);
    assert_eq!(runs(host), [true, false]);
    assert_eq!(host.fastpath().attached().unwrap(), [one].into());
    host.fastpath().attach(two).unwrap();
    assert_eq!(runs(host), [true, true]);

    done("ip link add phys0 type veth peer name phys1");
    let links = links::dump().unwrap();
    let nic = links
        .iter()
        .find(|link| link.name == "phys0")
        .unwrap()
        .ifindex;
    let runs = || host.fastpath().runs_on_uplink(nic).unwrap();
    assert!(!runs());
    for (way, qdisc) in [("link", "ingress"), ("out", "egress")] {
        host.fastpath().attach_uplink(nic).unwrap();
        assert!(runs());
        off(way, qdisc, "phys0", nic);
        assert!(!runs(), "{way}");
        assert_eq!(
            host.fastpath().attached_uplinks().unwrap().get(&nic),
            Some(&false)
        );
    }
    host.fastpath().detach_uplink(nic).unwrap();
    assert!(!host.fastpath().runs_on(9999).unwrap(), "no such link");
}
