//! `extra_dhcp_opts`: what a port's guest is told by DHCP besides, or instead of, what its subnets say.
//!
//! Names are those that Neutron hands to dnsmasq, ISC's beside them, or numbers; [`table`] has them all with the form of their
//! values. What the server says by itself, and what only clients say, is not to be had
//! (`docs/decisions/0040-extra-dhcp-options.md`).

mod form;
mod table;

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::refusal::Refusal;

use form::Form;
pub use table::Family;

/// Longest `opt_name`, characters (Neutron's column).
pub const OPT_NAME_CHARS_MAX: usize = 64;
/// Longest `opt_value`, characters (Neutron's column).
pub const OPT_VALUE_CHARS_MAX: usize = 255;
/// Options whose value may be empty: they are then not said at all (Neutron's list).
pub const MAY_BE_BLANK: [&str; 2] = ["router", "classless-static-route"];
/// Most options of a port.
pub const EXTRA_DHCP_OPTS_MAX: usize = 32;
/// Most that the options of one family take on the wire, octets with their heads: with the answer's own ones they fit a packet of
/// 1,280 octets, the smallest MTU of IPv6.
pub const OPTIONS_BYTES_MAX: usize = 768;

/// An entry of a port's `extra_dhcp_opts`, as it is stored and shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExtraDhcpOpt {
    /// The option, as its owner named it.
    pub opt_name: String,
    /// What is said, as its owner wrote it.
    pub opt_value: String,
    /// 4 or 6.
    pub ip_version: u8,
}

/// An entry as it is asked for.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct ExtraDhcpOptRequest {
    /// The option.
    pub opt_name: String,
    /// `None`: the option is to be there no more.
    pub opt_value: Option<String>,
    /// 4 or 6.
    pub ip_version: u8,
}

/// A port's options as they go on the wire. One whose content is empty is not said at all, by default or otherwise.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct DhcpOptions {
    /// Of DHCPv4, by code.
    pub v4: BTreeMap<u8, Vec<u8>>,
    /// Of DHCPv6, by code.
    pub v6: BTreeMap<u16, Vec<u8>>,
    /// From where guests boot (`server-ip-address`): DHCPv4's `siaddr`, or, as that has no room for an IPv6 address, `sname`.
    pub boot_server: Option<IpAddr>,
    /// Names of entries that are no option's, in the order of the entries. Nobody can be told of them.
    pub unknown: Vec<String>,
}

/// The options after a request: those of the same name and family get the new value or go, others stay.
///
/// # Errors
/// `InvalidInput`, where an option is not to be had, a value has another form, one is there twice, or there are too many.
pub fn merge(
    current: &[ExtraDhcpOpt],
    asked: &[ExtraDhcpOptRequest],
) -> Result<Vec<ExtraDhcpOpt>, Refusal> {
    if asked.len() > EXTRA_DHCP_OPTS_MAX {
        return Err(too_many(asked.len()));
    }
    let mut merged = current.to_vec();
    for (at, entry) in asked.iter().enumerate() {
        let same = |name: &str, version| *name == entry.opt_name && version == entry.ip_version;
        if asked[..at]
            .iter()
            .any(|other| same(&other.opt_name, other.ip_version))
        {
            return Err(invalid(&entry.opt_name, "it is there twice"));
        }
        let held = merged
            .iter()
            .position(|held| same(&held.opt_name, held.ip_version));
        match (&entry.opt_value, held) {
            (None, Some(held)) => {
                merged.remove(held);
            }
            (None, None) => {}
            (Some(value), Some(held)) => merged[held].opt_value.clone_from(value),
            (Some(value), None) => merged.push(ExtraDhcpOpt {
                opt_name: entry.opt_name.clone(),
                opt_value: value.clone(),
                ip_version: entry.ip_version,
            }),
        }
    }
    check(&merged)?;
    Ok(merged)
}

fn check(options: &[ExtraDhcpOpt]) -> Result<(), Refusal> {
    if options.len() > EXTRA_DHCP_OPTS_MAX {
        return Err(too_many(options.len()));
    }
    let mut wire = DhcpOptions::default();
    for option in options {
        let again = wire
            .take(option)
            .map_err(|why| invalid(&option.opt_name, why))?;
        if again {
            return Err(invalid(
                &option.opt_name,
                "another entry is the same option by another name",
            ));
        }
    }
    for (family, bytes) in [("DHCPv4", wire.bytes_v4()), ("DHCPv6", wire.bytes_v6())] {
        if bytes > OPTIONS_BYTES_MAX {
            return Err(Refusal::invalid(format!(
                "extra_dhcp_opts take {bytes} octets of a {family} packet: {OPTIONS_BYTES_MAX} are allowed"
            )));
        }
    }
    Ok(())
}

fn too_many(count: usize) -> Refusal {
    Refusal::invalid(format!(
        "extra_dhcp_opts has {count} entries: {EXTRA_DHCP_OPTS_MAX} are allowed"
    ))
}

fn invalid(name: &str, why: impl std::fmt::Display) -> Refusal {
    Refusal::invalid(format!("extra_dhcp_opts: option '{name}': {why}"))
}

impl DhcpOptions {
    /// Of a stored port. What this program does not take, because another one did, is left out.
    pub fn of(options: &[ExtraDhcpOpt]) -> Self {
        let mut wire = Self::default();
        for option in options {
            let _ = wire.take(option);
        }
        wire
    }

    /// Adds an option; whether it was there already.
    fn take(&mut self, option: &ExtraDhcpOpt) -> Result<bool, String> {
        let family = match option.ip_version {
            6 => Family::V6,
            _ => Family::V4,
        };
        let Some((code, form)) = table::find(family, &option.opt_name)? else {
            self.unknown.push(option.opt_name.clone());
            return Ok(false);
        };
        if form == Form::BootServer {
            let server = form::boot_server(&option.opt_value)?;
            return Ok(self.boot_server.replace(server).is_some());
        }
        let content = match option.opt_value.as_str() {
            "" if MAY_BE_BLANK.contains(&option.opt_name.as_str()) => Vec::new(),
            value => form.content(family, value)?,
        };
        Ok(match u8::try_from(code) {
            Ok(code) if family == Family::V4 => self.v4.insert(code, content).is_some(),
            _ => self.v6.insert(code, content).is_some(),
        })
    }

    /// Octets of the DHCPv4 options, of which none takes more than 255 in one piece.
    fn bytes_v4(&self) -> usize {
        let heads = |content: &Vec<u8>| 2 * content.len().div_ceil(255);
        self.v4
            .values()
            .map(|content| content.len() + heads(content))
            .sum()
    }

    fn bytes_v6(&self) -> usize {
        self.v6.values().map(|content| content.len() + 4).sum()
    }
}

#[cfg(test)]
mod tests;
