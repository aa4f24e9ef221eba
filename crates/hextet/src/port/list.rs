//! How ports are shown.

use comfy_table::Table;
use comfy_table::presets::NOTHING;
use hextet_feed::convert::uuid;
use hextet_feed::v1;
use serde_json::{Value, json};

/// For people.
pub fn table(ports: &[v1::LocalPort]) -> Table {
    let mut table = Table::new();
    table.load_style(NOTHING).set_header([
        "PORT",
        "STATE",
        "LINK",
        "CARRIER",
        "MTU",
        "MAC",
        "ADDRESSES",
        "CLAIMS",
        "DROPS",
    ]);
    for port in ports {
        table.add_row([
            id(port),
            state(port),
            match target(port) {
                Some(target) => format!("{} ({target})", port.link),
                None => port.link.clone(),
            },
            if port.carrier { "yes" } else { "no" }.to_owned(),
            if port.link_seen && port.mtu_seen != port.mtu {
                format!("{} (link: {})", port.mtu, port.mtu_seen)
            } else {
                port.mtu.to_string()
            },
            port.mac.clone(),
            [port.addresses.as_slice(), port.learned.as_slice()]
                .concat()
                .join("\n"),
            port.conflicts
                .iter()
                .map(|conflict| format!("{} of {}", conflict.address, holder(conflict)))
                .collect::<Vec<_>>()
                .join("\n"),
            port.drops
                .iter()
                .map(|drop| format!("{} {}", drop.packets, drop.reason))
                .collect::<Vec<_>>()
                .join("\n"),
        ]);
    }
    table
}

/// Whether it works, and what routers of its physical segment say against it.
fn state(port: &v1::LocalPort) -> String {
    let state = match &port.down {
        None => "up".to_owned(),
        Some(why) => format!("down: {why}"),
    };
    let problems = port.segment_problems.iter().cloned();
    [state]
        .into_iter()
        .chain(problems)
        .collect::<Vec<_>>()
        .join("\n")
}

/// For programs.
pub fn json(ports: &[v1::LocalPort]) -> Value {
    ports
        .iter()
        .map(|port| {
            json!({
                "port": id(port),
                "planned": port.planned,
                "state": if port.down.is_none() { "up" } else { "down" },
                "reason": port.down,
                "link": port.link,
                "link_seen": port.link_seen,
                "target": target(port),
                "carrier": port.carrier,
                "mac": port.mac,
                "mtu": port.mtu,
                "mtu_seen": port.mtu_seen,
                "addresses": port.addresses,
                "learned": port.learned,
                "conflicts": port.conflicts.iter().map(|conflict| json!({
                    "address": conflict.address,
                    "holder": holder(conflict),
                    "claims": conflict.claims,
                })).collect::<Vec<_>>(),
                "segment_problems": port.segment_problems,
                "drops": port.drops.iter().map(|drop| json!({
                    "reason": drop.reason,
                    "packets": drop.packets,
                    "bytes": drop.bytes,
                })).collect::<Vec<_>>(),
            })
        })
        .collect()
}

/// Whose address it is.
fn holder(conflict: &v1::AddressConflict) -> String {
    match conflict.holder.as_slice() {
        [] => "the service or the segment".to_owned(),
        id => uuid("holder", id).map_or_else(|error| error.to_string(), |id| id.to_string()),
    }
}

pub(super) fn id(port: &v1::LocalPort) -> String {
    uuid("port", &port.port).map_or_else(|error| error.to_string(), |id| id.to_string())
}

fn target(port: &v1::LocalPort) -> Option<String> {
    use v1::target::Target;
    Some(match port.target.as_ref()?.target.as_ref()? {
        Target::Netns(netns) => format!("netns {} {}", netns.name, netns.ifname),
        Target::Tap(tap) => format!("tap {}", tap.name),
    })
}
