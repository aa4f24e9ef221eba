//! Query strings of lists: equality filters. One that a list does not know is refused, not ignored.

use std::collections::BTreeMap;

use super::error::Failure;
use crate::http::not_text;

/// What is true or false; without a value it is true.
pub const FLAGS: [&str; 5] = [
    "enabled",
    "is_domain",
    "effective",
    "include_names",
    "nocatalog",
];
/// What a flag may be, in any case.
pub const FLAG_VALUES: [&str; 5] = ["", "true", "1", "false", "0"];

/// The filters that a request gives, each one that the list knows, once.
#[derive(Debug)]
pub struct Filters(BTreeMap<String, String>);

impl Filters {
    /// Reads a query string whose names must be among `known`.
    pub fn parse(query: Option<&str>, known: &[&str]) -> Result<Self, Failure> {
        let mut filters = BTreeMap::new();
        if let Some(name) = query.and_then(not_text) {
            return Err(Failure::bad_request(format!(
                "query: \"{name}\" is no text; allowed: UTF-8."
            )));
        }
        for (name, value) in form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
            if !known.contains(&name.as_ref()) {
                let allowed = if known.is_empty() {
                    "none".to_owned()
                } else {
                    known.join(", ")
                };
                return Err(Failure::bad_request(format!(
                    "query: \"{name}\" is not known here; allowed: {allowed}."
                )));
            }
            if FLAGS.contains(&name.as_ref())
                && !FLAG_VALUES.contains(&value.to_lowercase().as_str())
            {
                return Err(Failure::bad_request(format!(
                    "query: \"{name}\" is true or false, not \"{value}\"."
                )));
            }
            let before = filters.insert(name.to_string(), value.into_owned());
            if before.is_some() {
                return Err(Failure::bad_request(format!(
                    "query: \"{name}\" is there twice."
                )));
            }
        }
        Ok(Self(filters))
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// Whether a value passes a filter: the filter is absent, or equal.
    pub fn pass(&self, name: &str, value: &str) -> bool {
        self.get(name).is_none_or(|wanted| wanted == value)
    }

    /// Whether a flag is given: there, and neither `0` nor `false` (as Keystone reads them).
    pub fn flag(&self, name: &str) -> bool {
        self.get(name)
            .is_some_and(|value| value != "0" && !value.eq_ignore_ascii_case("false"))
    }

    /// Whether a truth value passes a filter.
    pub fn pass_bool(&self, name: &str, value: bool) -> bool {
        self.get(name).is_none() || self.flag(name) == value
    }
}
