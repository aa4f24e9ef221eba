//! IPv4 beside IPv6: what real DHCPv4 clients are told, and what guests can and cannot do with it.
#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

use std::collections::BTreeMap;
use std::fs;
use std::net::Ipv4Addr;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use hextet_lab::jail;
use serde_json::{Value, json};

use crate::support::{Cloud, Namespace, jailed, kill, until};

/// What a client's script does: writes what it was told where the test reads it, and does what any script does.
const DHCLIENT_SCRIPT: &str = r#"#!/bin/sh
case "$reason" in
PREINIT) ip link set "$interface" up ;;
PREINIT6)
  ip link set "$interface" up
  until ip -6 addr show dev "$interface" scope link -tentative | grep -q inet6; do sleep 0.1; done ;;
BOUND|RENEW|REBIND|REBOOT) ip addr replace "$new_ip_address/24" dev "$interface" ;;
esac
env >"$0.$reason.new" && mv "$0.$reason.new" "$0.$reason"
"#;
const UDHCPC_SCRIPT: &str = r#"#!/bin/sh
case "$1" in
deconfig) ip link set "$interface" up; ip addr flush dev "$interface" scope global ;;
bound|renew)
  ip addr replace "$ip/24" dev "$interface"
  set -- "$1" $staticroutes
  while [ $# -ge 3 ]; do
    if [ "$3" = 0.0.0.0 ]; then ip route replace "$2" dev "$interface"
    else ip route replace "$2" via "$3" dev "$interface"; fi
    set -- "$1" $(shift 3; echo "$@")
  done ;;
esac
env >"$0.$1.new" && mv "$0.$1.new" "$0.$1"
"#;
const DHCLIENT_CONF: &str = "\
option rfc3442-classless-static-routes code 121 = array of unsigned integer 8;
request subnet-mask, broadcast-address, routers, domain-name-servers, interface-mtu, rfc3442-classless-static-routes;
";

/// A client in a guest, ended when dropped.
pub(crate) struct Client {
    process: Child,
    script: PathBuf,
}

impl Client {
    /// `dhclient -4` or `-6` in the foreground, with this configuration.
    pub(crate) fn dhclient(cloud: &Cloud, guest: &Namespace, family: &str, conf: &str) -> Self {
        let (script, file) = files(cloud, guest, DHCLIENT_SCRIPT);
        fs::write(file("conf"), conf).unwrap();
        let mut command = jailed(cloud, guest);
        command
            .args(["dhclient", family, "-d", "-cf"])
            .arg(file("conf"));
        command.arg("-lf").arg(file(&format!("leases{family}")));
        command.arg("-pf").arg(file("pid"));
        command.arg("-sf").arg(&script).arg("eth0");
        Self::start(guest, command, script)
    }

    /// busybox's `udhcpc` in the foreground, which asks for little unless told to.
    pub(crate) fn udhcpc(cloud: &Cloud, guest: &Namespace, options: &[&str]) -> Self {
        let (script, _) = files(cloud, guest, UDHCPC_SCRIPT);
        let mut command = jailed(cloud, guest);
        command
            .args(["udhcpc", "-f", "-i", "eth0", "-s"])
            .arg(&script);
        command.args(options);
        Self::start(guest, command, script)
    }

    fn start(guest: &Namespace, mut command: Command, script: PathBuf) -> Self {
        let log = fs::File::create(script.with_extension("log")).unwrap();
        command.stdin(Stdio::null());
        command.stdout(log.try_clone().unwrap()).stderr(log);
        let process = guest.spawn(&mut command);
        Self { process, script }
    }

    /// What the script was told when this happened; each is told once.
    pub(crate) fn told(&self, event: &str) -> BTreeMap<String, String> {
        let path = PathBuf::from(format!("{}.{event}", self.script.display()));
        let text = until(&format!("the client's script hears {event}"), || {
            fs::read_to_string(&path).ok()
        });
        fs::remove_file(&path).unwrap();
        let pairs = text.lines().filter_map(|line| line.split_once('='));
        pairs
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect()
    }

    /// Has udhcpc renew its lease now.
    fn renew(&self) {
        let client = jail::client(self.process.id()).expect("it runs");
        kill(&client.to_string(), "USR1");
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        if std::thread::panicking() {
            let log = self.script.with_extension("log");
            eprintln!("{}", fs::read_to_string(log).unwrap_or_default());
        }
    }
}

/// A script, and where a client may have its other files.
fn files(cloud: &Cloud, guest: &Namespace, script: &str) -> (PathBuf, impl Fn(&str) -> PathBuf) {
    let stem = cloud.path(&guest.name);
    let path = stem.with_extension("script");
    fs::write(&path, script).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    (path, move |extension: &str| stem.with_extension(extension))
}

/// A network with a SLAAC subnet and this IPv4 one besides.
pub(crate) fn dual_stack(cloud: &Cloud, ipv4: Value) -> String {
    let network = cloud.network();
    let mut subnet = json!({ "network_id": network, "ip_version": 4 });
    for (key, value) in ipv4.as_object().unwrap() {
        subnet[key] = value.clone();
    }
    cloud.create("subnet", subnet);
    network
}

/// A port of the network with a guest: its id and its IPv4 address.
fn guest(cloud: &Cloud, network: &str, name: &str) -> (Namespace, String, Ipv4Addr) {
    let port = cloud.create("port", json!({ "network_id": network, "name": name }));
    let guest = Namespace::new(name);
    cloud.done(&["port", "attach", name, "--netns", &guest.name]);
    (
        guest,
        port["id"].as_str().unwrap().to_owned(),
        ipv4_of(&port),
    )
}

fn ipv4_of(port: &Value) -> Ipv4Addr {
    let mut fixed = port["fixed_ips"].as_array().unwrap().iter();
    let address = fixed.find_map(|fixed| fixed["ip_address"].as_str()?.parse().ok());
    address.expect("an IPv4 address")
}

fn pings(guest: &Namespace, address: Ipv4Addr, options: &[&str]) -> bool {
    let mut ping = Command::new("ping");
    ping.args(["-4", "-c", "1", "-W", "1"]).args(options);
    guest.succeeds(ping.arg(address.to_string()))
}

#[test]
fn real_clients_are_told_what_the_api_has_and_reach_each_other() {
    let cloud = Cloud::new();
    let subnet = json!({
        "cidr": "10.0.0.0/24", "dns_nameservers": ["192.0.2.53", "192.0.2.54"],
        "host_routes": [{ "destination": "198.51.100.0/24", "nexthop": "10.0.0.9" }],
    });
    let network = dual_stack(&cloud, subnet);
    let (one, first_id, first) = guest(&cloud, &network, "one");
    let (two, second_id, second) = guest(&cloud, &network, "two");

    let dhclient = Client::dhclient(&cloud, &one, "-4", DHCLIENT_CONF);
    let told = dhclient.told("BOUND");
    for (name, wanted) in [
        ("new_ip_address", first.to_string().as_str()),
        ("new_subnet_mask", "255.255.255.0"),
        ("new_broadcast_address", "10.0.0.255"),
        ("new_routers", "10.0.0.1"),
        ("new_domain_name_servers", "192.0.2.53 192.0.2.54"),
        ("new_interface_mtu", "1430"),
        ("new_dhcp_lease_time", "5400"),
        ("new_dhcp_server_identifier", "169.254.169.254"),
        (
            "new_rfc3442_classless_static_routes",
            "24 198 51 100 10 0 0 9 32 169 254 169 254 0 0 0 0 0 10 0 0 1",
        ),
    ] {
        assert_eq!(told.get(name).map(String::as_str), Some(wanted), "{name}");
    }

    let udhcpc = Client::udhcpc(&cloud, &two, &["-O", "mtu", "-O", "staticroutes"]);
    let told = udhcpc.told("bound");
    for (name, wanted) in [
        ("ip", second.to_string().as_str()),
        ("subnet", "255.255.255.0"),
        ("router", "10.0.0.1"),
        ("dns", "192.0.2.53 192.0.2.54"),
        ("mtu", "1430"),
        ("lease", "5400"),
        (
            "staticroutes",
            "198.51.100.0/24 10.0.0.9 169.254.169.254/32 0.0.0.0 0.0.0.0/0 10.0.0.1",
        ),
    ] {
        assert_eq!(told.get(name).map(String::as_str), Some(wanted), "{name}");
    }

    for id in [&first_id, &second_id] {
        assert_eq!(cloud.status(id), "ACTIVE");
    }
    until("the guests reach each other", || {
        (pings(&one, second, &[]) && pings(&two, first, &[])).then_some(())
    });
    until("the MTU is usable to its end", || {
        pings(&one, second, &["-s", "1402", "-M", "do"]).then_some(())
    });
    until("IPv6 works beside it", || {
        (!one.addresses().is_empty()).then_some(())
    });
}

#[test]
fn a_subnet_without_a_gateway_announces_no_router_and_leases_are_renewed() {
    let cloud = Cloud::new();
    let network = dual_stack(&cloud, json!({ "cidr": "10.0.0.0/24", "gateway_ip": null }));
    let (one, id, first) = guest(&cloud, &network, "one");
    let client = Client::udhcpc(&cloud, &one, &["-O", "staticroutes"]);
    let told = client.told("bound");
    assert_eq!(told["ip"], first.to_string());
    assert_eq!(told.get("router"), None);
    assert_eq!(told["staticroutes"], "169.254.169.254/32 0.0.0.0");

    // By unicast to the server, whose address is resolved on the link.
    client.renew();
    assert_eq!(client.told("renew")["ip"], first.to_string());

    // Another address: the renewal of the old one is refused, and the guest asks anew.
    let fixed = json!([{ "ip_address": "10.0.0.200" }]);
    let path = format!("ports/{id}");
    cloud.api(
        "PUT",
        &path,
        Some(json!({ "port": { "fixed_ips": fixed } })),
    );
    until("the host knows of it", || {
        client.renew();
        let bound = PathBuf::from(format!("{}.bound", client.script.display()));
        bound.exists().then_some(())
    });
    assert_eq!(client.told("bound")["ip"], "10.0.0.200");
}

#[test]
fn an_ipv4_address_that_a_guest_takes_for_itself_is_of_no_use_and_counted() {
    let cloud = Cloud::new();
    let network = dual_stack(&cloud, json!({ "cidr": "10.0.0.0/24" }));
    let (one, id, first) = guest(&cloud, &network, "one");
    let (two, _, second) = guest(&cloud, &network, "two");
    one.ip(&format!("addr add {first}/24 dev eth0"));
    two.ip(&format!("addr add {second}/24 dev eth0"));
    until("the guests reach each other", || {
        pings(&one, second, &[]).then_some(())
    });
    let counted = |reason: &str| {
        let listed = cloud.listed(&id);
        let mut drops = listed["drops"].as_array().unwrap().iter();
        let drop = drops.find(|drop| drop["reason"] == reason);
        drop.map_or(0, |drop| drop["packets"].as_u64().unwrap())
    };
    assert_eq!((counted("source_spoofed"), counted("arp_spoofed")), (0, 0));
    // It knows the neighbour, so nothing has to be asked before the packet goes out.
    one.ip("addr add 10.0.0.66/24 dev eth0");
    assert!(!pings(&one, second, &["-I", "10.0.0.66"]));
    assert_eq!(counted("source_spoofed"), 1);
    one.ip("neigh flush dev eth0");
    assert!(!pings(&one, second, &["-I", "10.0.0.66"]));
    assert!(counted("arp_spoofed") > 0);
    // The kernel may still be asking in the other address's name.
    until("its own address works as before", || {
        pings(&one, second, &["-I", &first.to_string()]).then_some(())
    });
}
