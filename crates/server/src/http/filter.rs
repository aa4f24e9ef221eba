//! Filters: what a query may ask of an attribute, and which resources are that.

use std::net::IpAddr;

use hextet_core::mac::Mac;
use hextet_core::refusal::Refusal;
use serde_json::{Value as Json, json};
use uuid::Uuid;

use super::convert;

/// How an attribute is compared with a filter's value, and which values there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Filter {
    /// Any text.
    Text,
    /// A UUID, whatever its spelling.
    Id,
    /// One of these.
    OneOf(&'static [&'static str]),
    /// An integer of 0 or more.
    Number,
    /// What a body may say for true and false.
    Boolean,
    /// An address, whatever its spelling.
    Address,
    /// An address and a length, whatever its spelling.
    Prefix,
    /// A MAC, whatever its spelling.
    Mac,
    /// One of these, with each item of a list.
    AnyItem(&'static [&'static str]),
    /// `ip_address=A`, `ip_address_substr=C` and `subnet_id=B`, on one entry of the list.
    FixedIps,
    /// A set of tags, whatever the attribute's name.
    Tags(TagRule),
}

/// Which tags a filter wants: its values are lists with commas.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TagRule {
    /// All of them are there.
    All,
    /// One of them is.
    Any,
    /// One of them is not.
    NotAll,
    /// None of them is.
    NotAny,
}

impl Filter {
    /// A wanted value as resources have it.
    ///
    /// # Errors
    /// `InvalidInput`, which is what Neutron's converters raise, for a value that no resource could have.
    pub(super) fn wanted(self, name: &str, said: &str) -> Result<String, Refusal> {
        self.canonical(said).map_err(|allowed| {
            Refusal::invalid(format!("filter {name}: '{said}' is not {allowed}"))
        })
    }

    /// The value in its form, or what is allowed.
    fn canonical(self, said: &str) -> Result<String, String> {
        match self {
            Filter::Text | Filter::Tags(_) => Ok(said.to_owned()),
            Filter::Id => id(said),
            Filter::OneOf(words) | Filter::AnyItem(words) => match words.contains(&said) {
                true => Ok(said.to_owned()),
                false => Err(format!("one of {}", words.join(", "))),
            },
            Filter::Number => {
                let number: Option<u64> = said.parse().ok();
                let number = number.map(|number| number.to_string());
                number.ok_or_else(|| "an integer of 0 or more".to_owned())
            }
            Filter::Boolean => match convert::boolean(&json!(said)) {
                Ok(flag) => Ok(flag.to_string()),
                Err(_) => Err("true or false".to_owned()),
            },
            Filter::Address => address(said),
            Filter::Prefix => {
                let prefix = convert::cidr(&json!(said));
                let prefix = prefix.map_err(|_| "an IP subnet, ADDRESS/LENGTH".to_owned())?;
                Ok(prefix.as_str().unwrap_or_default().to_owned())
            }
            Filter::Mac => match said.parse::<Mac>() {
                Ok(mac) => Ok(mac.to_string()),
                Err(_) => Err("a MAC address".to_owned()),
            },
            Filter::FixedIps => fixed_ip(said),
        }
    }

    /// Whether a resource's attribute is one of the wanted values.
    pub(super) fn matches(self, wanted: &[String], member: &Json) -> bool {
        let text = match member {
            Json::String(text) => text.clone(),
            Json::Null => return false,
            other => other.to_string(),
        };
        match self {
            Filter::AnyItem(_) => member
                .as_array()
                .is_some_and(|items| items.iter().any(|item| wanted.contains(&item.to_string()))),
            Filter::FixedIps => matches_fixed_ips(wanted, member),
            Filter::Tags(rule) => matches_tags(rule, wanted, member),
            _ => wanted.contains(&text),
        }
    }
}

fn id(said: &str) -> Result<String, String> {
    let id = Uuid::parse_str(said).map(|id| id.to_string());
    id.map_err(|_| "a UUID".to_owned())
}

fn address(said: &str) -> Result<String, String> {
    let address = said.parse::<IpAddr>().map(|address| address.to_string());
    address.map_err(|_| "an IP address".to_owned())
}

const ADDRESS: &str = "ip_address";
const ADDRESS_PART: &str = "ip_address_substr";
const SUBNET: &str = "subnet_id";

fn fixed_ip(said: &str) -> Result<String, String> {
    let canonical = said.split_once('=').and_then(|(key, value)| {
        let value = match key {
            ADDRESS => address(value).ok()?,
            ADDRESS_PART => value.to_lowercase(),
            SUBNET => id(value).ok()?,
            _ => return None,
        };
        Some(format!("{key}={value}"))
    });
    canonical
        .ok_or_else(|| format!("one of {ADDRESS}=ADDRESS, {ADDRESS_PART}=TEXT and {SUBNET}=UUID"))
}

fn matches_tags(rule: TagRule, wanted: &[String], member: &Json) -> bool {
    let tags = member.as_array().map(Vec::as_slice).unwrap_or_default();
    let mut wanted = wanted.iter().flat_map(|list| list.split(','));
    let mut has = |wanted: &str| tags.iter().any(|tag| tag == wanted);
    match rule {
        TagRule::All => wanted.all(&mut has),
        TagRule::Any => wanted.any(&mut has),
        TagRule::NotAll => !wanted.all(&mut has),
        TagRule::NotAny => !wanted.any(&mut has),
    }
}

/// An entry passes when its address is among the wanted ones, if any are, and so its subnet.
fn matches_fixed_ips(wanted: &[String], member: &Json) -> bool {
    let values = |name: &str| -> Vec<&str> {
        let pairs = wanted.iter().filter_map(|pair| pair.split_once('='));
        pairs
            .filter(|(key, _)| *key == name)
            .map(|(_, value)| value)
            .collect()
    };
    let (addresses, subnets) = (values(ADDRESS), values(SUBNET));
    let parts = values(ADDRESS_PART);
    let entries = member.as_array().map(Vec::as_slice).unwrap_or_default();
    entries.iter().any(|entry| {
        let text = |name: &str| entry.get(name).and_then(Json::as_str).unwrap_or_default();
        let address = text(ADDRESS);
        (addresses.is_empty() || addresses.contains(&address))
            && (parts.is_empty() || parts.iter().any(|part| address.contains(part)))
            && (subnets.is_empty() || subnets.contains(&text(SUBNET)))
    })
}

#[cfg(test)]
mod tests;
