//! What DHCP says besides addresses: the options that the API has for a port, and what each client passes on of them, by its
//! script's environment or in systemd-networkd's files.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::client::Client;

/// Values by the options' names in the tables; lists are words.
pub type Options = BTreeMap<&'static str, String>;

/// The file in a client's `/run` that its script writes: `NAME=VALUE` a line.
pub const TOLD: &str = "told";

/// What a script does for it.
pub const TELL: &str = "env >> /run/told\n";

/// An option, and what clients call it; empty: it does not pass it on.
struct Known {
    /// In the tables, with its number.
    name: &'static str,
    /// The API's name.
    option: &'static str,
    version: u8,
    dhclient: &'static str,
    dhcpcd: &'static str,
    udhcpc: &'static str,
    networkd: &'static str,
}

const KNOWN: [Known; 6] = [
    Known {
        name: "NTP (42)",
        option: "ntp-server",
        version: 4,
        dhclient: "new_ntp_servers",
        dhcpcd: "new_ntp_servers",
        udhcpc: "ntpsrv",
        networkd: "NTP",
    },
    Known {
        name: "boot file (67)",
        option: "bootfile-name",
        version: 4,
        dhclient: "new_bootfile_name",
        dhcpcd: "new_bootfile_name",
        udhcpc: "boot_file",
        networkd: "",
    },
    Known {
        name: "search list (119)",
        option: "domain-search",
        version: 4,
        dhclient: "new_domain_search",
        dhcpcd: "new_domain_search",
        udhcpc: "search",
        networkd: "DOMAINS",
    },
    Known {
        name: "search list (24)",
        option: "domain-search",
        version: 6,
        dhclient: "new_dhcp6_domain_search",
        dhcpcd: "new_dhcp6_domain_search",
        udhcpc: "",
        networkd: "DOMAINS",
    },
    Known {
        name: "NTP (56)",
        option: "ntp-server",
        version: 6,
        dhclient: "",
        dhcpcd: "new_dhcp6_ntp_server_addr",
        udhcpc: "",
        networkd: "NTP",
    },
    Known {
        name: "boot file URL (59)",
        option: "bootfile-url",
        version: 6,
        dhclient: "new_dhcp6_bootfile_url",
        dhcpcd: "new_dhcp6_bootfile_url",
        udhcpc: "",
        networkd: "",
    },
];

impl Known {
    /// What this client calls it; empty: nothing.
    fn of(&self, client: Client) -> &'static str {
        let speaks = match client {
            // networkd's files have both families in one line; guests with options are told those of one.
            Client::Dhclient4 | Client::Udhcpc | Client::NetworkdDual => self.version == 4,
            Client::DhcpcdDual => true,
            _ => self.version == 6,
        };
        match client {
            _ if !speaks => "",
            Client::Dhclient
            | Client::Dhclient4
            | Client::Dhclient64
            | Client::DhclientStateless => self.dhclient,
            Client::Dhcpcd | Client::DhcpcdDual => self.dhcpcd,
            Client::Udhcpc => self.udhcpc,
            Client::Networkd | Client::NetworkdDual => self.networkd,
            Client::Kernel
            | Client::Private
            | Client::Wide
            | Client::NetworkManager
            | Client::NetworkManagerDual
            | Client::Machine => "",
        }
    }
}

/// Reads the promise out of a port: of its options those that this client passes on.
///
/// # Errors
/// When the port lacks the attribute, or has an option that the tables have no name for.
pub fn promised(port: &Value, client: Client) -> Result<Options> {
    let mut options = Options::new();
    let extra = port["extra_dhcp_opts"].as_array();
    for option in extra.context("extra_dhcp_opts")? {
        let (name, version) = (&option["opt_name"], &option["ip_version"]);
        let known = KNOWN
            .iter()
            .find(|known| *name == known.option && *version == known.version);
        let known = known.with_context(|| format!("option {name} of IPv{version}"))?;
        let value = option["opt_value"].as_str().context("opt_value")?;
        if !known.of(client).is_empty() {
            options.insert(known.name, words(value));
        }
    }
    Ok(options)
}

/// Reads what a client has passed on: lines of `NAME=VALUE`, of which the last counts.
pub fn passed_on(client: Client, text: &str) -> Options {
    let lines = text.lines().filter_map(|line| line.split_once('='));
    let said: BTreeMap<&str, &str> = lines.collect();
    let passed = KNOWN.iter().filter_map(|known| {
        let value = said.get(known.of(client))?;
        Some((known.name, words(value)))
    });
    passed.filter(|(_, value)| !value.is_empty()).collect()
}

/// Those of IPv4.
pub fn servers_of_time(options: &Options) -> impl Iterator<Item = &str> {
    let servers = options.get("NTP (42)").map(String::as_str);
    servers.unwrap_or_default().split_whitespace()
}

/// As the tables show them: `NAME VALUE`.
pub fn listed(options: &Options) -> String {
    let each = options
        .iter()
        .map(|(name, value)| format!("{name} {value}"));
    each.collect::<Vec<_>>().join("; ")
}

/// A list however it is written: by commas or blanks, names with a last dot or without, in quotes or not.
fn words(value: &str) -> String {
    let words = value
        .split([',', ' ', '\''])
        .filter(|word| !word.is_empty());
    let words: Vec<&str> = words.map(|word| word.trim_end_matches('.')).collect();
    words.join(" ")
}

#[cfg(test)]
mod tests;
