//! The query string: `fields`, and filters that may be repeated.

use std::collections::BTreeMap;
use std::net::IpAddr;

use hextet_core::refusal::{Refusal, RefusalKind};
use ipnet::IpNet;
use serde_json::{Map, Value as Json};

use super::attributes::{Filter, Noun};

/// Most parameters of a query.
const PARAMETERS_MAX: usize = 1000;

/// A parsed query.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Query {
    /// What to show; empty: everything.
    pub fields: Vec<String>,
    /// The wanted values of each attribute: one of them must hold.
    filters: BTreeMap<&'static str, (Filter, Vec<String>)>,
}

impl Query {
    /// Parses a list's query.
    ///
    /// # Errors
    /// `HTTPBadRequest` for what is no attribute to filter by.
    pub(super) fn parse(noun: &Noun, query: Option<&str>) -> Result<Self, Refusal> {
        let mut parsed = Query::default();
        let mut unknown = Vec::new();
        for (count, (name, value)) in
            form_urlencoded::parse(query.unwrap_or_default().as_bytes()).enumerate()
        {
            if count >= PARAMETERS_MAX {
                return Err(bad(format!(
                    "at most {PARAMETERS_MAX} parameters are allowed"
                )));
            }
            let name = match name.as_ref() {
                "fields" => {
                    parsed.fields.push(value.into_owned());
                    continue;
                }
                "tenant_id" => "project_id",
                name => name,
            };
            let attribute = noun.attribute(name);
            let Some((name, filter)) =
                attribute.and_then(|attribute| Some((attribute.name, attribute.filter?)))
            else {
                unknown.push(name.to_owned());
                continue;
            };
            let (_, values) = parsed
                .filters
                .entry(name)
                .or_insert_with(|| (filter, Vec::new()));
            values.push(value.into_owned());
        }
        match unknown.as_slice() {
            [] => Ok(parsed),
            unknown => Err(bad(format!(
                "{} is invalid attribute for filtering",
                unknown.join(", ")
            ))),
        }
    }

    /// Parses the query of a single resource, where `fields` alone has a meaning.
    ///
    /// # Errors
    /// `HTTPBadRequest` for anything else.
    pub(super) fn parse_fields(noun: &Noun, query: Option<&str>) -> Result<Self, Refusal> {
        let parsed = Self::parse(noun, query)?;
        match parsed.filters.keys().next() {
            None => Ok(parsed),
            Some(name) => Err(bad(format!("'{name}': filters belong to lists"))),
        }
    }

    /// Whether anything depends on the members of a resource.
    pub(super) fn is_empty(&self) -> bool {
        self.fields.is_empty() && self.filters.is_empty()
    }

    /// The ids that alone can pass, if any are named.
    pub(super) fn ids(&self) -> Option<&[String]> {
        self.filters.get("id").map(|(_, values)| values.as_slice())
    }

    /// Whether a resource, as its reader sees it, passes every filter.
    pub(super) fn passes(&self, members: &Map<String, Json>) -> bool {
        self.filters.iter().all(|(name, (filter, wanted))| {
            members
                .get(*name)
                .is_some_and(|member| matches(*filter, wanted, member))
        })
    }
}

fn matches(filter: Filter, wanted: &[String], member: &Json) -> bool {
    let text = match member {
        Json::String(text) => text.clone(),
        Json::Null => return false,
        other => other.to_string(),
    };
    match filter {
        Filter::Text => wanted.contains(&text),
        Filter::Boolean => wanted.iter().any(|wanted| {
            let wanted = matches!(wanted.as_str(), "True" | "true" | "1");
            member.as_bool() == Some(wanted)
        }),
        Filter::Caseless => wanted
            .iter()
            .any(|wanted| wanted.eq_ignore_ascii_case(&text)),
        Filter::Address => wanted
            .iter()
            .any(|wanted| *wanted == text || same_address(wanted, &text)),
        Filter::FixedIps => matches_fixed_ips(wanted, member),
    }
}

fn same_address(one: &str, other: &str) -> bool {
    if let (Ok(one), Ok(other)) = (one.parse::<IpAddr>(), other.parse::<IpAddr>()) {
        return one == other;
    }
    matches!((one.parse::<IpNet>(), other.parse::<IpNet>()), (Ok(one), Ok(other)) if one == other)
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
    let (addresses, subnets) = (values("ip_address"), values("subnet_id"));
    if addresses.len() + subnets.len() < wanted.len() {
        // Something else was asked, and nothing is that.
        return false;
    }
    let entries = member.as_array().map(Vec::as_slice).unwrap_or_default();
    entries.iter().any(|entry| {
        let text = |name: &str| entry.get(name).and_then(Json::as_str).unwrap_or_default();
        let address = text("ip_address");
        (addresses.is_empty() || addresses.iter().any(|wanted| same_address(wanted, address)))
            && (subnets.is_empty() || subnets.contains(&text("subnet_id")))
    })
}

fn bad(message: impl Into<String>) -> Refusal {
    Refusal::new(RefusalKind::HttpBadRequest, message)
}
