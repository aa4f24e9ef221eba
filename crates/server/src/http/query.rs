//! The query string: `fields`, and filters that may be repeated.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;

use hextet_core::refusal::{Refusal, RefusalKind};
use jiff::{RoundMode, Timestamp, TimestampRound, Unit};
use serde_json::Value as Json;

use crate::app::TIME_FORMAT;

use super::attributes::Noun;
use super::bounds::{QUERY_PARAMETERS_MAX, not_text};
use super::filter::Filter;

/// A parameter of nouns that know when they were changed.
const CHANGED_SINCE: &str = "changed_since";

/// A parsed query.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Query {
    /// What to show; empty: everything.
    pub fields: Vec<String>,
    /// What to sort by, the most important first.
    pub sort: Vec<SortKey>,
    /// Which page, if the list is to be cut in pages.
    pub page: Option<PageAsked>,
    /// The earliest last change, as `updated_at` is written.
    changed_since: Option<String>,
    /// The wanted values of each attribute: one of them must hold.
    filters: BTreeMap<&'static str, (Filter, Vec<String>)>,
    /// The same by the other name of `project_id`: both must hold.
    tenants: Vec<String>,
}

/// What a list is sorted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SortKey {
    pub name: &'static str,
    pub descending: bool,
}

/// A page that is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PageAsked {
    /// Most resources on it; `None`: all.
    pub limit: Option<NonZeroUsize>,
    /// The id of the resource that it comes after, or before in reverse.
    pub marker: Option<String>,
    /// Whether it lies before the marker; without one, at the end.
    pub reverse: bool,
}

impl PageAsked {
    /// Most resources on it.
    pub(super) fn most(&self) -> usize {
        self.limit.map_or(usize::MAX, NonZeroUsize::get)
    }
}

/// The parameters that are no filters, as they were written.
#[derive(Default)]
struct Written {
    sort_keys: Vec<String>,
    sort_dirs: Vec<String>,
    limit: Option<String>,
    marker: Option<String>,
    page_reverse: Option<String>,
    changed_since: Option<String>,
}

impl Query {
    /// Parses a list's query.
    ///
    /// # Errors
    /// `HTTPBadRequest` for what is no attribute to filter or sort by, `InvalidInput` for a filter's value that is none of
    /// the attribute's, `BadRequest` for a limit that is none.
    pub(super) fn parse(noun: &Noun, query: Option<&str>) -> Result<Self, Refusal> {
        let mut parsed = Query::default();
        let mut written = Written::default();
        let mut unknown = Vec::new();
        if let Some(name) = query.and_then(not_text) {
            return Err(bad(format!("{name} is no text: UTF-8 is allowed")));
        }
        for (count, (name, value)) in
            form_urlencoded::parse(query.unwrap_or_default().as_bytes()).enumerate()
        {
            if count >= QUERY_PARAMETERS_MAX {
                return Err(bad(format!(
                    "at most {QUERY_PARAMETERS_MAX} parameters are allowed"
                )));
            }
            let value = value.into_owned();
            let name = match name.as_ref() {
                "fields" => {
                    parsed.fields.push(value);
                    continue;
                }
                "tenant_id" if noun.attribute("project_id").is_some() => {
                    parsed.tenants.push(value);
                    continue;
                }
                name => name,
            };
            if (name != CHANGED_SINCE || noun.attribute("updated_at").is_some())
                && written.take(name, &value)
            {
                continue;
            }
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
            values.push(filter.wanted(name, &value)?);
        }
        if !unknown.is_empty() {
            return Err(bad(format!(
                "{} is invalid attribute for filtering",
                unknown.join(", ")
            )));
        }
        parsed.changed_since = written.changed_since.as_deref().map(since).transpose()?;
        parsed.sort = written.sort(noun)?;
        parsed.page = written.page()?;
        Ok(parsed)
    }

    /// Parses the query of a single resource, where `fields` alone has a meaning.
    ///
    /// # Errors
    /// `HTTPBadRequest` for anything else.
    pub(super) fn parse_fields(noun: &Noun, query: Option<&str>) -> Result<Self, Refusal> {
        let parsed = Self::parse(noun, query)?;
        let tenant = parsed.tenants.first().map(|_| &"tenant_id");
        if let Some(name) = parsed.filters.keys().next().or(tenant) {
            return Err(bad(format!("'{name}': filters belong to lists")));
        }
        let cut = parsed.page.is_some() || parsed.changed_since.is_some();
        if cut || !parsed.sort.is_empty() {
            return Err(bad("sorting, pages and changed_since belong to lists"));
        }
        Ok(parsed)
    }

    /// The values of a filter, if any are named: nothing else passes.
    pub(super) fn wanted(&self, name: &str) -> Option<&[String]> {
        self.filters.get(name).map(|(_, values)| values.as_slice())
    }

    /// The page that has links to others: one with a limit.
    pub(super) fn paged(&self) -> Option<&PageAsked> {
        self.page.as_ref().filter(|page| page.limit.is_some())
    }

    /// Whether a resource passes every filter, by its attributes as its reader sees them.
    pub(super) fn passes(&self, value: impl Fn(&str) -> Json) -> bool {
        if let Some(since) = &self.changed_since
            && value("updated_at").as_str() < Some(since)
        {
            return false;
        }
        let tenant = || value("project_id");
        if !self.tenants.is_empty() && !Filter::Text.matches(&self.tenants, &tenant()) {
            return false;
        }
        self.filters.iter().all(|(name, (filter, wanted))| {
            let read = match filter {
                Filter::Tags(_) => "tags",
                _ => name,
            };
            filter.matches(wanted, &value(read))
        })
    }
}

impl Written {
    /// Whether this is a parameter that is no filter. The last of several that can be but one holds.
    fn take(&mut self, name: &str, value: &str) -> bool {
        match name {
            "sort_key" => self.sort_keys.push(value.to_owned()),
            "sort_dir" => self.sort_dirs.push(value.to_owned()),
            "limit" => self.limit = Some(value.to_owned()),
            "marker" => self.marker = Some(value.to_owned()),
            "page_reverse" => self.page_reverse = Some(value.to_owned()),
            CHANGED_SINCE => self.changed_since = Some(value.to_owned()),
            _ => return false,
        }
        true
    }

    fn sort(&self, noun: &Noun) -> Result<Vec<SortKey>, Refusal> {
        if self.sort_keys.len() != self.sort_dirs.len() {
            return Err(bad("The number of sort_keys and sort_dirs must be same"));
        }
        let mut sort: Vec<SortKey> = Vec::new();
        for (key, dir) in self.sort_keys.iter().zip(&self.sort_dirs) {
            let key = if key == "tenant_id" {
                "project_id"
            } else {
                key
            };
            let Some(name) = noun.sortable.iter().find(|name| **name == key) else {
                return Err(bad(format!("{key} is invalid attribute for sort_keys")));
            };
            let descending = match dir.as_str() {
                "asc" => false,
                "desc" => true,
                _ => return Err(bad("The value of sort_dir must be asc or desc")),
            };
            // A key that was named before decides nothing any more.
            if sort.iter().all(|before| before.name != *name) {
                sort.push(SortKey { name, descending });
            }
        }
        Ok(sort)
    }

    /// A marker alone asks for all that comes after it, or before it in reverse. (Neutron leaves it out of account without
    /// a limit, and answers with everything.)
    fn page(self) -> Result<Option<PageAsked>, Refusal> {
        let reverse = match self.page_reverse.as_deref() {
            None => false,
            Some(text) => match text.to_lowercase().as_str() {
                "true" | "1" => true,
                "false" | "0" => false,
                _ => return Err(bad(format!("page_reverse: '{text}' is no boolean"))),
            },
        };
        let number = self.limit.as_deref().unwrap_or("0");
        let number: usize = number.parse().map_err(|_| {
            let limit = number;
            Refusal::new(
                RefusalKind::BadRequest,
                format!(
                    "Bad limit request: Limit must be an integer 0 or greater and not '{limit}'."
                ),
            )
        })?;
        let limit = NonZeroUsize::new(number);
        Ok(
            (limit.is_some() || self.marker.is_some()).then_some(PageAsked {
                limit,
                marker: self.marker,
                reverse,
            }),
        )
    }
}

/// The first whole second that is not before a time, as the API writes it. A time without a zone is UTC.
fn since(text: &str) -> Result<String, Refusal> {
    let zoned = || {
        let civil: jiff::civil::DateTime = text.parse().ok()?;
        civil.to_zoned(jiff::tz::TimeZone::UTC).ok()
    };
    let time: Option<Timestamp> = text.parse().ok();
    let time = time.or_else(|| Some(zoned()?.timestamp()));
    let whole = time.and_then(|time| {
        time.round(
            TimestampRound::new()
                .smallest(Unit::Second)
                .mode(RoundMode::Ceil),
        )
        .ok()
    });
    let whole = whole.ok_or_else(|| {
        Refusal::invalid(format!(
            "changed_since '{text}' is no time: YYYY-MM-DDTHH:MM:SSZ is allowed"
        ))
    })?;
    Ok(whole.strftime(TIME_FORMAT).to_string())
}

fn bad(message: impl Into<String>) -> Refusal {
    Refusal::new(RefusalKind::HttpBadRequest, message)
}
