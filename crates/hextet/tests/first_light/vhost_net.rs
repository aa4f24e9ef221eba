//! A guest behind vhost-net, whose frames the host's kernel takes by itself. The guest's kernel is that of a namespace, and a tap in it
//! stands for its virtio device; this process moves frames between that tap and the queues, as the guest's driver does. These tests
//! want a kernel with vhost_net, and run in the kernel lane.
#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::net::{Ipv6Addr, TcpListener, TcpStream};
use std::os::fd::AsFd as _;
use std::thread::JoinHandle;

use hextet_agent::kernel::netns;
use hextet_core::ids::PortId;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use serde_json::{Value, json};

use crate::ipv4::Client;
use crate::support::{Cloud, Namespace, pings_from, reaches, reaches_from, until};
use queue::{FRAME_MAX, Vhost, event};

mod queue;
#[path = "../../../agent/tests/support/tun.rs"]
mod tun;

/// The longest frames with their headers, each way.
#[derive(Clone, Copy, Debug, Default)]
struct Longest {
    to_guest: usize,
    from_guest: usize,
}

/// A guest's device, with its driver; gone when dropped.
struct Device {
    stop: File,
    driver: Option<JoinHandle<Longest>>,
}

impl Device {
    /// Between a tap of this name on the host and `eth0` of the guest.
    fn new(host: &Namespace, name: &str, guest: &Namespace, mac: &str) -> Self {
        let inner = netns::inside(&guest.path, || tun::open("eth0")).unwrap();
        guest.ip(&format!("link set eth0 address {mac}"));
        let outer = netns::inside(&host.path, || tun::open(name)).unwrap();
        let stop = event();
        let stopped = stop.try_clone().unwrap();
        let driver = std::thread::spawn(move || drive(Vhost::new(&outer), &inner, &stopped));
        Self {
            stop,
            driver: Some(driver),
        }
    }

    fn end(mut self) -> Longest {
        (&self.stop).write_all(&1_u64.to_ne_bytes()).unwrap();
        self.driver.take().unwrap().join().unwrap()
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        let _ = (&self.stop).write_all(&1_u64.to_ne_bytes());
        if let Some(driver) = self.driver.take() {
            let _ = driver.join();
        }
    }
}

/// Moves frames until it is told to stop.
fn drive(mut vhost: Vhost, mut guest: &File, stop: &File) -> Longest {
    let mut longest = Longest::default();
    let mut frame = vec![0; FRAME_MAX];
    loop {
        let wanted = if vhost.sent.has_room() {
            PollFlags::POLLIN
        } else {
            PollFlags::empty()
        };
        let mut ready = [
            PollFd::new(stop.as_fd(), PollFlags::POLLIN),
            PollFd::new(guest.as_fd(), wanted),
            PollFd::new(vhost.received.call(), PollFlags::POLLIN),
            PollFd::new(vhost.sent.call(), PollFlags::POLLIN),
        ];
        poll(&mut ready, PollTimeout::NONE).unwrap();
        if ready[0].any().unwrap() {
            return longest;
        }
        vhost.sent.settle(|_| ());
        while vhost.sent.has_room()
            && let Ok(length) = guest.read(&mut frame)
        {
            longest.from_guest = longest.from_guest.max(length);
            vhost.sent.send(&frame[..length]);
        }
        vhost.received.receive(|frame| {
            longest.to_guest = longest.to_guest.max(frame.len());
            // What a device that is down does not take is lost, as on any.
            let _ = guest.write(frame);
        });
    }
}

/// Many bytes by one connection, which both kernels hand on in segments beyond the MTU.
fn bulk(from: &Namespace, to: &Namespace, address: Ipv6Addr) {
    let data: Vec<u8> = (0_u32..1 << 20)
        .map(|at| u8::try_from(at % 251).unwrap())
        .collect();
    let listener = netns::inside(&to.path, || TcpListener::bind((address, 0)));
    let listener = listener.unwrap().unwrap();
    let to = listener.local_addr().unwrap();
    let mut writing = netns::inside(&from.path, || TcpStream::connect(to))
        .unwrap()
        .unwrap();
    let (mut reading, _) = listener.accept().unwrap();
    let read = std::thread::spawn(move || {
        let mut read = Vec::new();
        reading.read_to_end(&mut read).unwrap();
        read
    });
    writing.write_all(&data).unwrap();
    drop(writing);
    assert!(read.join().unwrap() == data, "nothing is lost or changed");
}

#[test]
fn a_guest_behind_vhost_net_gets_its_addresses_and_is_held_to_them() {
    let cloud = Cloud::by_clsact();
    let network = cloud.network();
    let (other, _, second) = cloud.guest(&network, "other");
    cloud.create(
        "subnet",
        json!({ "network_id": network, "ip_version": 4, "cidr": "10.0.0.0/24" }),
    );
    let port = cloud.create("port", json!({ "network_id": network, "name": "vm" }));
    let id = port["id"].as_str().unwrap();
    let fixed = port["fixed_ips"].as_array().unwrap().iter();
    let addresses: Vec<&str> = fixed.map(|ip| ip["ip_address"].as_str().unwrap()).collect();
    let address: Ipv6Addr = addresses.iter().find_map(|ip| ip.parse().ok()).unwrap();
    let vm = Namespace::new("vm");
    let tap = PortId(id.parse().unwrap()).tap_name();
    let device = Device::new(
        &cloud.host,
        &tap,
        &vm,
        port["mac_address"].as_str().unwrap(),
    );
    until("the tap is adopted by its name", || {
        (cloud.status(id) == "ACTIVE").then_some(())
    });

    vm.ip("link set eth0 up");
    until("the address of the Router Advertisement", || {
        vm.addresses().contains(&(address, 64)).then_some(())
    });
    let client = Client::udhcpc(&cloud, &vm, &[]);
    assert!(addresses.contains(&client.told("bound")["ip"].as_str()));

    reaches(&vm, second);
    reaches(&other, address);
    bulk(&vm, &other, second);
    bulk(&other, &vm, address);

    let counted = |reason: &str| {
        let listed = cloud.listed(id);
        let mut drops = listed["drops"].as_array().unwrap().iter();
        let drop = drops.find(|drop: &&Value| drop["reason"] == reason);
        drop.map_or(0, |drop| drop["packets"].as_u64().unwrap())
    };
    assert_eq!(counted("source_spoofed"), 0);
    let foreign: Ipv6Addr = "2001:db8:bad::1".parse().unwrap();
    vm.ip(&format!("address add {foreign}/128 dev eth0 nodad"));
    assert!(!pings_from(&vm, foreign, second, 3));
    assert!(counted("source_spoofed") > 0);
    reaches_from(&vm, address, second);

    let longest = device.end();
    let mtu = 1430 + 14 + 10;
    assert!(
        longest.from_guest > mtu && longest.to_guest > mtu,
        "{longest:?}"
    );
}
