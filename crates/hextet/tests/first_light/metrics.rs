//! What Prometheus reads of a host, while guests are served.
#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;

use hextet_agent::kernel::netns;

use crate::support::{Cloud, kill, reaches, until};

/// Where the agent listens, in its namespace.
pub const LISTEN: &str = "[::1]:9699";

/// Counters and gauges by name and labels, as they are written.
pub type Figures = BTreeMap<String, f64>;

/// As a reader gets them; `None` where nobody answers.
fn read(cloud: &Cloud) -> Option<Figures> {
    let text = netns::inside(&cloud.host.path, || {
        let mut stream = TcpStream::connect(LISTEN).ok()?;
        let request = b"GET /metrics HTTP/1.1\r\nhost: hextet\r\n\r\n";
        stream.write_all(request).ok()?;
        let mut text = String::new();
        stream.read_to_string(&mut text).ok()?;
        Some(text)
    })
    .unwrap()?;
    let (head, text) = text.split_once("\r\n\r\n")?;
    if !head.starts_with("HTTP/1.1 200 ") {
        return None;
    }
    let samples = text.lines().filter(|line| !line.starts_with('#'));
    let figures = samples.map(|line| {
        let (name, value) = line.rsplit_once(' ').expect("a name and a value");
        (name.to_owned(), value.parse().expect("a number"))
    });
    Some(figures.collect())
}

pub fn figures(cloud: &Cloud) -> Figures {
    until("the agent shows its figures", || read(cloud))
}

pub fn frames(kind: &str, verdict: &str) -> String {
    format!("hextet_agent_frames_total{{kind=\"{kind}\",verdict=\"{verdict}\"}}")
}

fn answers(protocol: &str, kind: &str) -> String {
    format!("hextet_agent_answers_total{{protocol=\"{protocol}\",kind=\"{kind}\"}}")
}

#[test]
fn figures_follow_what_guests_do_and_never_fall() {
    let mut cloud = Cloud::new();
    cloud.stop();
    let config = cloud.path("agent.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, format!("metrics_listen = \"{LISTEN}\"\n{text}")).unwrap();
    cloud.up();
    let empty = figures(&cloud);
    assert_eq!(empty["hextet_agent_ports{status=\"up\"}"], 0.0);
    until("the server answers", || {
        (figures(&cloud)["hextet_agent_feed_connected"] == 1.0).then_some(())
    });

    let network = cloud.network();
    let (one, id, first) = cloud.guest(&network, "one");
    let (two, _, second) = cloud.guest(&network, "two");
    until("both addresses", || {
        let has = one.addresses().contains(&(first, 64));
        (has && two.addresses().contains(&(second, 64))).then_some(())
    });
    reaches(&one, second);
    // Another MAC than the port's: every frame from then on is dropped.
    two.ip("link set eth0 down");
    two.ip("link set eth0 address 02:00:00:00:00:98");
    two.ip("link set eth0 up");
    let spoofed = frames("drop", "mac_spoofed");
    let busy = until("what the guests did is counted", || {
        let now = figures(&cloud);
        (now[&spoofed] > 0.0).then_some(now)
    });
    assert!(busy[&frames("passed", "unicast")] > 0.0);
    assert!(busy[&frames("passed", "punted")] > 0.0);
    assert!(busy["hextet_agent_ring_total{outcome=\"taken\"}"] > 0.0);
    assert!(busy[&answers("ra", "ra_first")] >= 2.0);
    assert_eq!(busy["hextet_agent_ports{status=\"up\"}"], 2.0);
    assert_eq!(busy["hextet_agent_table_rows{table=\"ports\"}"], 2.0);
    assert!(busy["hextet_agent_reconcile_changes_total"] > 0.0);
    let named = busy
        .keys()
        .find(|name| name.contains(&id) || name.contains("2001:db8"));
    assert_eq!(named, None, "no figure of a single port");

    // Ports go, and what they counted stays.
    for name in ["one", "two"] {
        cloud.done(&["port", "detach", name]);
    }
    let gone = cloud.api("GET", "ports", None);
    for port in gone["ports"].as_array().unwrap() {
        let path = format!("ports/{}", port["id"].as_str().unwrap());
        cloud.api("DELETE", &path, None);
    }
    let after = until("the host has no ports", || {
        let now = figures(&cloud);
        let rows = now["hextet_agent_table_rows{table=\"ports\"}"];
        let none =
            now["hextet_agent_ports{status=\"up\"}"] + now["hextet_agent_ports{status=\"down\"}"];
        (rows + none == 0.0).then_some(now)
    });
    none_fell(&busy, &after, |name| name.contains("_total"));

    // What the fast path counted outlives the agent, that of ports that are gone too.
    kill(&cloud.pid("agent"), "KILL");
    let again = until("another agent shows figures", || {
        let now = read(&cloud)?;
        let started = "process_start_time_seconds";
        (now[started] != after[started]).then_some(now)
    });
    none_fell(&after, &again, |name| {
        name.starts_with("hextet_agent_frame")
    });
}

fn none_fell(before: &Figures, after: &Figures, which: impl Fn(&str) -> bool) {
    let mut looked = 0;
    for (name, value) in before.iter().filter(|(name, _)| which(name)) {
        looked += 1;
        assert!(
            after[name] >= *value,
            "{name}: {value}, then {}",
            after[name]
        );
    }
    assert!(looked > 100, "{looked} figures looked at");
}
