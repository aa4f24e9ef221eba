//! What real DHCPv6 clients make of several addresses, and of a Reconfigure.
#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

use std::fs;
use std::net::Ipv6Addr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use hextet_agent::ledger::{Found, Ledger};
use serde_json::{Value, json};

use crate::support::{Cloud, Namespace, jailed, until};

/// dhcpcd says that it follows a Reconfigure if it is told to.
const DHCPCD_CONF: &str = "slaac hwaddr
option dhcp6_reconfigure_accept
";
const START_DHCPCD: &str = "ip link set eth0 up && exec \"$@\"";
/// Configures addresses and nothing else.
const DHCLIENT_SCRIPT: &str = r#"#!/bin/sh
case "$reason" in
BOUND6|RENEW6|REBIND6) ip -6 addr replace "$new_ip6_address/128" dev "$interface" ;;
esac
"#;
/// The same, but the first address is somebody's, as a script says that has seen its check fail.
const DECLINING_SCRIPT: &str = r#"#!/bin/sh
case "$reason" in
BOUND6)
  [ -e "$0.declined" ] || { : >"$0.declined"; exit 3; }
  ip -6 addr replace "$new_ip6_address/128" dev "$interface" ;;
esac
"#;
/// dhclient cannot bind a tentative link-local address.
const START_DHCLIENT: &str = "ip link set eth0 up; n=0; \
     until ip -6 addr show dev eth0 scope link -tentative | grep -q inet6; \
     do n=$((n+1)); [ $n -lt 300 ] || exit 1; sleep 0.1; done; exec \"$@\"";

/// T2 is 2,160 s, the addresses are valid for 5,400.
const LONGER_THAN_T2: u64 = 2_400;

#[test]
fn dhcpcd_takes_a_changed_address_as_soon_as_it_is_told_and_after_a_kill_of_the_agent() {
    let cloud = Cloud::new();
    let network = network(&cloud);
    let (guest, id, _) = cloud.guest(&network, "one");
    set(&cloud, &id, &["2001:db8:2::11"]);
    let client = Client::dhcpcd(&cloud, &guest);
    has(&guest, &["2001:db8:2::11"]);
    set(&cloud, &id, &["2001:db8:2::12"]);
    has(&guest, &["2001:db8:2::12"]);
    let log = client.log();
    for said in ["accepted reconfigure key", "RECONFIGURE6 from fe80::"] {
        assert!(log.contains(said), "{said}: {log}");
    }
    let config = cloud.agent_config();
    let told = || {
        let ledger = Ledger::open(&config.state_dir).unwrap();
        let Found::State(state) = ledger.read().unwrap() else {
            panic!("a ledger that can be read")
        };
        let known = state.reconfigurable.into_values().next();
        known.map(|client| client.told)
    };
    let before = until("it is on disk", told);
    cloud.kill_agent();
    set(&cloud, &id, &["2001:db8:2::13", "2001:db8:2::14"]);
    has(&guest, &["2001:db8:2::13", "2001:db8:2::14"]);
    until("what it was told is on disk", || {
        (told() != Some(before)).then_some(())
    });
}

#[test]
fn dhclient_with_two_associations_gets_an_address_in_each() {
    let cloud = Cloud::new();
    let network = network(&cloud);
    let (guest, id, _) = cloud.guest(&network, "one");
    set(&cloud, &id, &["2001:db8:2::11", "2001:db8:2::12"]);
    let client = Client::dhclient(&cloud, &guest, &["-N", "-N"]);
    has(&guest, &["2001:db8:2::11", "2001:db8:2::12"]);
    let leases = until("its leases", || {
        let leases = fs::read_to_string(client.log.with_extension("leases")).unwrap();
        (leases.matches("iaaddr").count() == 2).then_some(leases)
    });
    assert_eq!(leases.matches("ia-na").count(), 2, "{leases}");
}

#[test]
fn what_dhclient_declines_confirms_and_rebinds_is_answered() {
    let cloud = Cloud::new();
    let network = network(&cloud);
    let (guest, id, _) = cloud.guest(&network, "one");
    set(&cloud, &id, &["2001:db8:2::11"]);
    let answered = |message: &str| {
        let shown = cloud.done(&["port", "show", &id, "-f", "json"]);
        let shown: Value = serde_json::from_str(&shown).unwrap();
        let mut recent = shown["recent"].as_array().unwrap().iter();
        recent.any(|seen| {
            let words = seen["words"].as_str().unwrap();
            seen["topic"] == "DHCPv6"
                && words.starts_with(message)
                && words.contains("dhcpv6_reply")
        })
    };
    let answers = |message: &str| {
        until(&format!("{message} is answered"), || {
            answered(message).then_some(())
        });
    };
    // Its script says that the address is somebody's, and the next time that it is not.
    let client = Client::dhclient_with(&cloud, &guest, DECLINING_SCRIPT, &[]);
    has(&guest, &["2001:db8:2::11"]);
    answers("Decline");
    let log = cloud.log_text();
    let declined = format!("declined by DHCP port={id} count=1");
    assert!(log.contains(&declined), "{log}");

    // It comes back with an address that it had for so long that it asks whoever answers.
    let leases = client.log.with_extension("leases");
    let held = until("its lease", || {
        let text = fs::read_to_string(&leases).unwrap();
        text.contains("2001:db8:2::11").then_some(text)
    });
    drop(client);
    let older = held.lines().map(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words[..] {
            ["starts", at] => {
                let at: u64 = at.trim_end_matches(';').parse().unwrap();
                format!("starts {};\n", at - LONGER_THAN_T2)
            }
            _ => format!("{line}\n"),
        }
    });
    fs::write(&leases, older.collect::<String>()).unwrap();
    let client = Client::dhclient(&cloud, &guest, &[]);
    answers("Confirm");
    answers("Rebind");
    has(&guest, &["2001:db8:2::11"]);
    drop(client);

    // An address that it has no more is not confirmed, and it begins anew.
    set(&cloud, &id, &["2001:db8:2::12"]);
    guest.ip("-6 addr flush dev eth0 scope global");
    let _client = Client::dhclient(&cloud, &guest, &[]);
    has(&guest, &["2001:db8:2::12"]);
    answers("Confirm");
}

/// A client in a guest, ended when dropped.
pub struct Client {
    process: Child,
    log: PathBuf,
}

impl Client {
    fn dhcpcd(cloud: &Cloud, guest: &Namespace) -> Self {
        let config = cloud.path(&guest.name).with_extension("conf");
        fs::write(&config, DHCPCD_CONF).unwrap();
        let mut command = jailed(cloud, guest);
        command.args(["sh", "-c", START_DHCPCD, "sh"]);
        command.args(["dhcpcd", "-6", "-B", "-f"]).arg(&config);
        command.arg("eth0");
        Self::start(cloud, guest, command)
    }

    pub fn dhclient(cloud: &Cloud, guest: &Namespace, options: &[&str]) -> Self {
        Self::dhclient_with(cloud, guest, DHCLIENT_SCRIPT, options)
    }

    /// With this script.
    fn dhclient_with(cloud: &Cloud, guest: &Namespace, script: &str, options: &[&str]) -> Self {
        let file = |extension| cloud.path(&guest.name).with_extension(extension);
        fs::write(file("script"), script).unwrap();
        let mut command = jailed(cloud, guest);
        command.args(["sh", "-c", START_DHCLIENT, "sh", "dhclient", "-6", "-d"]);
        command.args(options).args(["-cf", "/dev/null"]);
        command.arg("-lf").arg(file("leases"));
        command.arg("-pf").arg(file("pid"));
        command.arg("-sf").arg(file("script")).arg("eth0");
        let mut chmod = Command::new("chmod");
        assert!(guest.succeeds(chmod.arg("755").arg(file("script"))));
        Self::start(cloud, guest, command)
    }

    fn start(cloud: &Cloud, guest: &Namespace, mut command: Command) -> Self {
        let log = cloud.path(&guest.name).with_extension("log");
        let file = fs::File::create(&log).unwrap();
        command.stdin(Stdio::null());
        command.stdout(file.try_clone().unwrap()).stderr(file);
        let process = guest.spawn(&mut command);
        Self { process, log }
    }

    fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        if std::thread::panicking() {
            eprintln!("{}", self.log());
        }
    }
}

/// A network with one stateful subnet.
fn network(cloud: &Cloud) -> String {
    let network = cloud.create("network", json!({ "name": "net" }));
    let id = network["id"].as_str().unwrap().to_owned();
    cloud.create(
        "subnet",
        json!({ "network_id": id, "ip_version": 6, "cidr": "2001:db8:2::/64",
                "ipv6_ra_mode": "dhcpv6-stateful", "ipv6_address_mode": "dhcpv6-stateful" }),
    );
    id
}

/// The port has these addresses and no others.
fn set(cloud: &Cloud, port: &str, addresses: &[&str]) {
    let fixed = addresses
        .iter()
        .map(|address| json!({ "ip_address": address }));
    let body = json!({ "port": { "fixed_ips": fixed.collect::<Vec<Value>>() } });
    cloud.api("PUT", &format!("ports/{port}"), Some(body));
}

/// Waits until the guest has these addresses and no others.
fn has(guest: &Namespace, addresses: &[&str]) {
    let mut wanted: Vec<(Ipv6Addr, u32)> = addresses
        .iter()
        .map(|address| (address.parse().unwrap(), 128))
        .collect();
    wanted.sort();
    until(&format!("the guest has {wanted:?}"), || {
        let mut seen = guest.addresses();
        seen.sort();
        (seen == wanted).then_some(())
    });
}
