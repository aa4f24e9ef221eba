//! Lists: which resources, in which order, which page of them. The texts of those that are left out stay unparsed.

use std::cmp::Ordering;
use std::sync::Arc;
use std::thread::available_parallelism;

use hextet_core::refusal::Refusal;
use hextet_store::{Document, Model};
use serde_json::{Value as Json, json};
use tokio::sync::{Semaphore, SemaphorePermit};

use super::attributes::Noun;
use super::query::{PageAsked, Query, SortKey};

/// Documents of a kind from which on looking through them takes a turn.
const LONG_FROM: usize = 1000;

/// Who may look through many documents now: half of the cores, so that the other half answers what is short.
#[derive(Clone, Debug)]
pub struct Turns(Arc<Semaphore>);

impl Default for Turns {
    fn default() -> Self {
        let cores = available_parallelism().map_or(1, usize::from);
        Self(Arc::new(Semaphore::new((cores / 2).max(1))))
    }
}

impl Turns {
    /// Waits for a turn, if so many documents need one; requests have a bound, and so has their waiting.
    pub(super) async fn take(&self, documents: usize) -> Option<SemaphorePermit<'_>> {
        match documents {
            0..LONG_FROM => None,
            // It is never closed.
            _ => self.0.acquire().await.ok(),
        }
    }
}

/// A value to sort by. What is not there comes first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    Null,
    Boolean(bool),
    Number(i64),
    Text(String),
}

/// A document and its values to sort by.
type Row = (Vec<Key>, Arc<Document>);

/// What a list is made for.
pub(super) struct Listing<'a> {
    pub noun: &'a Noun,
    pub model: &'a Model,
    pub query: &'a Query,
    /// Whether the reader sees what only administrators do.
    pub admin: bool,
}

impl Listing<'_> {
    /// The documents of the list, in its order. `sees` says which the reader sees at all.
    ///
    /// # Errors
    /// With `unknown` of a marker that is none.
    pub(super) fn select(
        &self,
        sees: impl Fn(&Document) -> bool,
        unknown: impl Fn(&str) -> Refusal,
    ) -> Result<Vec<Arc<Document>>, Refusal> {
        let passing = |document: &Arc<Document>| {
            sees(document) && self.query.passes(|name| self.value(document, name))
        };
        let page = self.query.page.as_ref();
        let marker = match page.and_then(|page| page.marker.as_ref()) {
            None => None,
            Some(id) => {
                let document = self.model.document(self.noun.kind, id);
                let document = document.filter(|document| sees(document));
                Some(self.row(document.ok_or_else(|| unknown(id))?.clone()))
            }
        };
        let mut documents = self.candidates();
        match page {
            // In the order of the ids, nothing needs to be judged beyond the page's end.
            Some(page) if self.query.sort.is_empty() && !page.reverse => {
                if let Some((_, marker)) = &marker {
                    documents.retain(|document| document.id > marker.id);
                }
                let documents = documents.into_iter().filter(passing);
                return Ok(documents.take(page.most()).collect());
            }
            _ => documents.retain(passing),
        }
        if self.query.sort.is_empty() && page.is_none() {
            return Ok(documents);
        }
        let rows = documents.into_iter().map(|document| self.row(document));
        let mut rows: Vec<Row> = rows.collect();
        rows.sort_by(|one, other| self.compare(one, other));
        if let Some(page) = page {
            self.cut(&mut rows, page, marker.as_ref());
        }
        Ok(rows.into_iter().map(|(_, document)| document).collect())
    }

    /// The documents that can pass at all, in the order of their ids: by id where the query names some.
    fn candidates(&self) -> Vec<Arc<Document>> {
        let kind = self.noun.kind;
        let Some(ids) = self.query.wanted("id") else {
            return self.model.documents(kind).cloned().collect();
        };
        let mut ids: Vec<&String> = ids.iter().collect();
        ids.sort();
        ids.dedup();
        let found = ids
            .into_iter()
            .filter_map(|id| self.model.document(kind, id));
        found.cloned().collect()
    }

    fn value(&self, document: &Document, name: &str) -> Json {
        self.noun
            .value(self.model.snapshot(), &document.id, name, self.admin)
    }

    fn row(&self, document: Arc<Document>) -> Row {
        let keys =
            self.query
                .sort
                .iter()
                .map(|SortKey { name, .. }| match self.value(&document, name) {
                    Json::Null => Key::Null,
                    Json::Bool(flag) => Key::Boolean(flag),
                    Json::Number(number) => Key::Number(number.as_i64().unwrap_or(i64::MAX)),
                    Json::String(text) => Key::Text(text),
                    list => Key::Text(list.to_string()),
                });
        (keys.collect(), document)
    }

    /// By the sort keys, then by the id.
    fn compare(&self, (one, this): &Row, (other, that): &Row) -> Ordering {
        let keys = self.query.sort.iter().zip(one.iter().zip(other));
        let mut orders = keys.map(|(key, (one, other))| match key.descending {
            false => one.cmp(other),
            true => other.cmp(one),
        });
        orders
            .find(|order| order.is_ne())
            .unwrap_or_else(|| this.id.cmp(&that.id))
    }

    fn cut(&self, rows: &mut Vec<Row>, page: &PageAsked, marker: Option<&Row>) {
        let limit = page.most();
        if page.reverse {
            if let Some(marker) = marker {
                rows.truncate(rows.partition_point(|row| self.compare(row, marker).is_lt()));
            }
            rows.drain(..rows.len().saturating_sub(limit));
        } else {
            if let Some(marker) = marker {
                rows.drain(..rows.partition_point(|row| self.compare(row, marker).is_le()));
            }
            rows.truncate(limit);
        }
    }
}

/// The links to the pages beside this one: `next` where the page is full or was read in reverse, `previous` unless it was
/// read in reverse and is not full. The other parameters stay as they were.
pub(super) fn links(
    url: &str,
    written: Option<&str>,
    page: &PageAsked,
    documents: &[Arc<Document>],
) -> Vec<Json> {
    let full = documents.len() >= page.most();
    let link = |rel: &str, marker: Option<&Arc<Document>>, reverse: bool| {
        let mut query = form_urlencoded::Serializer::new(String::new());
        let kept = form_urlencoded::parse(written.unwrap_or_default().as_bytes());
        query.extend_pairs(kept.filter(|(name, _)| name != "marker" && name != "page_reverse"));
        if let Some(marker) = marker {
            query.append_pair("marker", &marker.id);
        }
        if reverse {
            query.append_pair("page_reverse", "True");
        }
        json!({"rel": rel, "href": format!("{url}?{}", query.finish())})
    };
    let mut links = Vec::new();
    if full || page.reverse {
        links.push(link("next", documents.last(), false));
    }
    if full || !page.reverse {
        links.push(link("previous", documents.first(), true));
    }
    links
}
