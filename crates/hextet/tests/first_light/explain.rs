//! What the host says of its ports: `hextet port show` and `hextet trace`, about real guests.
#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

use std::net::Ipv6Addr;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::support::{Cloud, Namespace, echoes, jailed, pings, pings_from, reaches, until};

/// One DUID for two clones: a DUID-UUID in dhclient's lease file.
const CLONED_DUID: &str =
    r#"default-duid "\000\004\001\002\003\004\005\006\007\010\011\012\013\014\015\016\017\020";"#;
const DHCLIENT_SCRIPT: &str = "#!/bin/sh
[ \"$reason\" != BOUND6 ] || ip -6 addr add $new_ip6_address/$new_ip6_prefixlen dev $interface
";
const CLONED_SECRET: &str = "2001:db8:5ec:e7::1";

/// What `hextet port show` says of a port.
fn shown(cloud: &Cloud, port: &str) -> Value {
    let text = cloud.done(&["port", "show", port, "-f", "json"]);
    serde_json::from_str(&text).unwrap()
}

fn findings(cloud: &Cloud, port: &str) -> Vec<String> {
    let shown = shown(cloud, port);
    let findings = shown["findings"].as_array().unwrap();
    let names = findings.iter().map(|found| found["name"].as_str().unwrap());
    names.map(str::to_owned).collect()
}

/// Waits until exactly these are found, whatever else passes by.
fn finds(cloud: &Cloud, port: &str, expected: &[&str]) {
    until(&format!("{expected:?} of {port}"), || {
        let found = findings(cloud, port);
        let same = found.len() == expected.len()
            && expected
                .iter()
                .all(|name| found.contains(&(*name).to_owned()));
        same.then_some(())
    });
}

#[test]
fn a_port_is_explained_by_id_beginning_and_link() {
    let cloud = Cloud::new();
    let network = cloud.network();
    let (one, id, address) = cloud.guest(&network, "one");
    until("the promised address", || {
        one.addresses().contains(&(address, 64)).then_some(())
    });
    let link = cloud.host_end(&id);
    for name in [&id[..], &id[..6], &link] {
        assert_eq!(shown(&cloud, name)["port"]["port"], id, "{name}");
    }
    let topics = [
        "router solicitation",
        "router advertisement",
        "duplicate address check",
    ];
    until("everything that a guest says at its start", || {
        let shown = shown(&cloud, &id);
        let last = shown["last"].as_array().unwrap();
        let has = |topic: &&str| last.iter().any(|seen| seen["topic"] == **topic);
        topics.iter().all(has).then_some(())
    });
    let shown = shown(&cloud, &id);
    assert_eq!(shown["findings"], json!([]), "{shown}");
    assert_eq!(shown["verdict"], "Nothing is wrong that this host can see.");
    assert_eq!(shown["promised"]["addresses"], address.to_string());
    assert_eq!(shown["promised"]["mtu"], "1430");
    let program = shown["installed"]["program"].as_str().unwrap();
    assert!(program.starts_with("on the link"), "{program}");
    let sources = shown["installed"]["sources"].as_str().unwrap();
    assert!(sources.contains(&address.to_string()), "{sources}");
    let text = cloud.done(&["port", "show", &link]);
    for section in ["Promised", "Installed", "Seen", "Dropped", "Newest"] {
        assert!(text.lines().any(|line| line.starts_with(section)), "{text}");
    }
    let named = cloud.done(&["port", "show", "one", "-f", "json"]);
    let named: serde_json::Value = serde_json::from_str(&named).unwrap();
    assert_eq!(named["promised"], shown["promised"]);
    cloud.done(&["trace", "one", "--packet", "rs"]);
    let (code, _, error) = cloud.run(&["port", "show", "ffffffff"]);
    assert_eq!(code, 1);
    assert!(error.contains("no port of this host has"), "{error}");
    let unnamed = "by name: no port has the id or the name \"ffffffff\"";
    assert!(error.contains(unnamed), "{error}");
    // Longer than a header of HTTP/2, in which the answer travels.
    let (code, _, error) = cloud.run(&["port", "show", &"f".repeat(100_000)]);
    assert_eq!(code, 1);
    assert!(error.contains("no port of this host has"), "{error}");
}

#[test]
fn without_port_security_sources_are_no_findings() {
    let cloud = Cloud::new();
    let network = cloud.network();
    let (one, id, address) = cloud.guest(&network, "one");
    let (two, _, other) = cloud.guest(&network, "two");
    until("both addresses", || {
        let has = one.addresses().contains(&(address, 64));
        (has && two.addresses().contains(&(other, 64))).then_some(())
    });
    reaches(&one, other);
    let installed = || shown(&cloud, &id)["installed"]["port security"].clone();
    assert_eq!(installed(), "on");
    one.ip("address add 2001:db8:ffff::1/64 dev eth0 nodad");
    let foreign = "2001:db8:ffff::1".parse().unwrap();
    assert!(!pings_from(&one, foreign, other, 1));
    finds(&cloud, &id, &["foreign-source"]);
    let body = json!({ "port": { "port_security_enabled": false } });
    cloud.api("PUT", &format!("ports/{id}"), Some(body));
    finds(&cloud, &id, &[]);
    assert_eq!(installed(), "off, any source may pass");
}

#[test]
fn what_is_wrong_with_a_guest_is_said_by_its_name() {
    let cloud = Cloud::new();
    let network = cloud.network();
    let stateful = cloud.create("network", json!({ "name": "stateful" }));
    let stateful = stateful["id"].as_str().unwrap();
    subnet(&cloud, stateful, "2001:db8:2::/96", "dhcpv6-stateful");
    let empty = cloud.create("network", json!({ "name": "empty" }));

    let deaf = "net.ipv6.conf.eth0.accept_ra=0";
    let (_ignores, ignores, _) = cloud.guest_set(&network, "ignores", &[deaf]);
    let (small, small_id, small_address) = cloud.guest_set(&network, "small", &[]);
    let (large, _, _) = cloud.guest_set(&network, "large", &[]);
    let secret = format!("net.ipv6.conf.eth0.stable_secret={CLONED_SECRET}");
    let (_twin, twin, _) = cloud.guest_set(&network, "twin", &[&secret]);
    let (_other, other, _) = cloud.guest_set(&network, "other", &[&secret]);
    let port = cloud.create(
        "port",
        json!({ "network_id": empty["id"], "name": "lonely" }),
    );
    let lonely = Namespace::new("lonely");
    cloud.done(&["port", "attach", "lonely", "--netns", &lonely.name]);
    let lonely_id = port["id"].as_str().unwrap();
    let (manual, manual_id, _) = cloud.guest_set(stateful, "manual", &[deaf]);
    let (short, short_id, _) = cloud.guest_set(stateful, "short", &[]);
    let _clients = [
        Dhclient::start(&cloud, &manual, "128"),
        Dhclient::start(&cloud, &short, "64"),
    ];

    until("the small one's address", || {
        small
            .addresses()
            .contains(&(small_address, 64))
            .then_some(())
    });
    reaches(&large, small_address);
    small.ip("link set eth0 mtu 1300");
    until("what is too long for it is not taken", || {
        let mut ping = Command::new("ping");
        ping.args(["-6", "-c", "1", "-W", "1", "-s", "1360", "-M", "do"]);
        large.succeeds(ping.arg(small_address.to_string()));
        findings(&cloud, &small_id)
            .contains(&"mtu-mismatch".to_owned())
            .then_some(())
    });
    until("its address of DHCPv6", || {
        short
            .addresses()
            .iter()
            .any(|(_, length)| *length == 64)
            .then_some(())
    });
    assert!(!pings(&short, "2001:db8:2:0:ffff::1".parse().unwrap(), 1));

    finds(&cloud, lonely_id, &["no-ra"]);
    finds(&cloud, &ignores, &["ra-ignored"]);
    finds(&cloud, &twin, &["other-address", "cloned-secret"]);
    finds(&cloud, &other, &["other-address", "cloned-secret"]);
    finds(&cloud, &short_id, &["prefix-64", "cloned-duid"]);
    finds(
        &cloud,
        &manual_id,
        &["ra-ignored", "prefix-128", "cloned-duid"],
    );
    let verdict = shown(&cloud, &manual_id)["verdict"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(verdict.contains("accept_ra must be 1"), "{verdict}");
}

#[test]
fn a_trace_says_what_the_program_would_do_and_does_nothing() {
    let cloud = Cloud::new();
    let network = cloud.network();
    let (one, id, first) = cloud.guest(&network, "one");
    let (two, second_id, second) = cloud.guest(&network, "two");
    until("both addresses", || {
        let has = one.addresses().contains(&(first, 64));
        (has && two.addresses().contains(&(second, 64))).then_some(())
    });
    reaches(&one, second);
    let before = (cloud.listed(&id)["drops"].clone(), echoes(&two));
    let own = cloud
        .mac(&id)
        .parse::<hextet_core::mac::Mac>()
        .unwrap()
        .link_local();
    let echo = format!("echo dst={second}");
    let unicast = format!("ipv6 dst={second} tcp dport=22");
    let spoofed = format!("spoofed dst={second}");
    let group = format!("ipv6 src={own} dst=ff02::1 icmpv6 type=128");
    let cases = [
        ("rs", "punted", "control", "rs"),
        ("dhcpv6-solicit", "punted", "control", "dhcpv6"),
        ("ns", "nd_answered", "control", ""),
        ("ra", "router_advertisement", "control", ""),
        (
            "ra hop-by-hop destination-options",
            "router_advertisement",
            "control",
            "",
        ),
        ("rs vlan=0", "vlan_tag", "parse", ""),
        ("rs mac-src=02:00:00:00:00:01", "mac_spoofed", "admit", ""),
        (&spoofed, "source_spoofed", "guard", ""),
        (&echo, "unicast", "deliver", ""),
        (&unicast, "unicast", "deliver", ""),
        (&group, "multicast", "deliver", ""),
    ];
    for (packet, verdict, stage, shown) in cases {
        let text = cloud.done(&["trace", &id, "--packet", packet, "-f", "json"]);
        let traced: Value = serde_json::from_str(&text).unwrap();
        let frame = &traced["frames"][0];
        let seen = [&frame["verdict"], &frame["stage"], &frame["shown_to_agent"]];
        assert_eq!(seen, [verdict, stage, shown], "{packet}: {traced}");
        if verdict == "unicast" {
            assert_eq!(frame["to_port"], second_id);
        }
    }
    let text = cloud.done(&["trace", &id, "--packet", &spoofed]);
    assert!(
        text.contains("source_spoofed: The source address is not one of the port's."),
        "{text}"
    );
    assert!(text.contains("not reached"), "{text}");
    assert_eq!(cloud.listed(&id)["drops"], before.0, "nothing was counted");
    assert_eq!(echoes(&two), before.1, "nothing was delivered");

    let (code, _, error) = cloud.run(&["trace", &id, "--packet", "nonsense"]);
    assert_eq!(code, 1);
    assert!(error.contains("is no word of a packet"), "{error}");
    let capture = cloud.path("one.pcap");
    let mut command = Command::new("tcpdump");
    command.args([
        "-i",
        "eth0",
        "-c",
        "2",
        "-U",
        "-w",
        capture.to_str().unwrap(),
        "icmp6",
    ]);
    let mut tcpdump = one.spawn(command.stdout(Stdio::null()).stderr(Stdio::null()));
    until("two frames are captured", || {
        pings(&one, second, 1);
        tcpdump.try_wait().unwrap()
    });
    let text = cloud.done(&[
        "trace",
        &id,
        "--file",
        capture.to_str().unwrap(),
        "-f",
        "json",
    ]);
    let traced: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(traced["frames"].as_array().unwrap().len(), 2);
}

fn subnet(cloud: &Cloud, network: &str, cidr: &str, mode: &str) {
    cloud.create(
        "subnet",
        json!({ "network_id": network, "ip_version": 6, "cidr": cidr,
                "ipv6_ra_mode": mode, "ipv6_address_mode": mode }),
    );
}

impl Cloud {
    /// A guest whose kernel is set so before its interface comes up.
    pub fn guest_set(
        &self,
        network: &str,
        name: &str,
        settings: &[&str],
    ) -> (Namespace, String, Ipv6Addr) {
        let (guest, id, address) = self.guest_with(network, name, &["--down"]);
        for setting in settings {
            assert!(guest.succeeds(Command::new("sysctl").args(["-q", "-w", setting])));
        }
        guest.ip("link set eth0 up");
        (guest, id, address)
    }
}

/// A real dhclient in a guest, with the clones' DUID, ended when dropped.
struct Dhclient(std::process::Child);

impl Dhclient {
    fn start(cloud: &Cloud, guest: &Namespace, length: &str) -> Self {
        until("a link-local address that may be used", || {
            let mut ip = Command::new("ip");
            let shown = guest.output(ip.args([
                "-6",
                "addr",
                "show",
                "dev",
                "eth0",
                "-tentative",
                "scope",
                "link",
            ]));
            let text = String::from_utf8(shown.stdout).unwrap();
            text.contains("fe80:").then_some(())
        });
        let leases = cloud.path(&format!("{}.leases", guest.name));
        std::fs::write(&leases, CLONED_DUID).unwrap();
        let pid = cloud.path(&format!("{}.pid", guest.name));
        let script = cloud.path(&format!("{}.script", guest.name));
        std::fs::write(&script, DHCLIENT_SCRIPT).unwrap();
        std::fs::set_permissions(&script, PermissionsExt::from_mode(0o755)).unwrap();
        let mut command = jailed(cloud, guest);
        command
            .args(["dhclient", "-6", "-d", "--address-prefix-len", length])
            .arg("-lf")
            .arg(leases)
            .arg("-pf")
            .arg(pid)
            .arg("-sf")
            .arg(script)
            .arg("eth0")
            .stdout(Stdio::null())
            .stderr(
                std::fs::File::create(cloud.path(&format!("{}.dhclient", guest.name))).unwrap(),
            );
        Self(guest.spawn(&mut command))
    }
}

impl Drop for Dhclient {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
