//! `/v2.0/network-ip-availabilities`: how many addresses networks have and how many are used. For administrators and
//! services; anybody else sees none.

use axum::Router;
use axum::extract::{Path, State};
use axum::response::Response;
use axum::routing::get;
use hextet_core::availability::{NetworkAvailability, Usage};
use hextet_core::ids::NetworkId;
use hextet_core::refusal::{Refusal, RefusalKind};
use hextet_core::snapshot::Snapshot;
use http::{HeaderMap, StatusCode, Uri};
use serde_json::{Value as Json, json, to_string};

use crate::app::policy::{Allowed, Rules, Who};
use crate::http::AppState;
use crate::http::attributes::{Attribute, Filter, Noun, Shown, read_only};
use crate::http::body::text;
use crate::http::convert;
use crate::http::error::Problem;
use crate::http::list::{self, Listing};
use crate::http::query::Query;

const READERS: Allowed = &[Who::Admin, Who::Service];

const RULES: Rules = Rules {
    noun: "network_ip_availability",
    not_found: ("Network", RefusalKind::NetworkNotFound),
    create: &[],
    read: READERS,
    update: &[],
    delete: &[],
};

pub(in crate::http) const AVAILABILITY: Noun = Noun {
    name: "network_ip_availability",
    collection: "network_ip_availabilities",
    kind: hextet_store::NETWORK,
    rules: &RULES,
    insiders: READERS,
    required: &[],
    attributes: ATTRIBUTES,
    sortable: &["network_id", "project_id"],
    target: |_, _| None,
    beside: None,
    computed: |_, _, _| {},
    member,
};

const ATTRIBUTES: &[Attribute] = &[
    read_only("network_id", Some(Filter::Id)),
    read_only("network_name", Some(Filter::Text)),
    read_only("project_id", Some(Filter::Text)),
    Attribute {
        shown: Shown::Hidden,
        ..read_only(IP_VERSION, Some(Filter::AnyItem(convert::IP_VERSIONS)))
    },
];

/// The filter that also says which subnets are counted.
const IP_VERSION: &str = "ip_version";

pub(super) fn router() -> Router<AppState> {
    Router::new()
        .route("/v2.0/network-ip-availabilities", get(list))
        .route("/v2.0/network-ip-availabilities/{id}", get(show))
}

fn member(snapshot: &Snapshot, id: &str, name: &str) -> Json {
    let Some(network) = network_id(id).and_then(|id| snapshot.network(id)) else {
        return Json::Null;
    };
    match name {
        "network_id" => json!(network.id),
        "network_name" => json!(network.name),
        "project_id" => json!(network.project_id),
        IP_VERSION => {
            let subnets = network.subnets.iter().filter_map(|id| snapshot.subnet(*id));
            subnets.map(|subnet| json!(subnet.ip_version)).collect()
        }
        _ => Json::Null,
    }
}

async fn list(
    State(state): State<AppState>,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, Problem> {
    let noun = &AVAILABILITY;
    let caller = state.caller(&headers).await?;
    let query = Query::parse(noun, uri.query())?;
    let wanted = query.wanted(IP_VERSION);
    let (documents, counted) = state
        .store
        .read(|model| {
            let listing = Listing {
                noun,
                model,
                query: &query,
                admin: true,
            };
            let documents = listing.select(
                |document| noun.sees(model, &caller, document),
                |id| RULES.unknown(id),
            )?;
            let listed = documents
                .iter()
                .filter_map(|document| network_id(&document.id));
            let usage = Usage::count(model.snapshot(), listed);
            let counted: Vec<NetworkAvailability> = documents
                .iter()
                .filter_map(|document| count(model.snapshot(), &usage, &document.id, wanted))
                .collect();
            Ok::<_, Refusal>((documents, counted))
        })
        .await??;
    let items: Vec<String> = counted
        .iter()
        .map(|counted| object(counted, &query.fields))
        .collect();
    let mut body = format!("{{\"{}\":[{}]", noun.collection, items.join(","));
    if let Some(page) = query.paged() {
        let url = format!("{}/v2.0/{}", state.base_url(&headers), noun.path());
        let links = Json::Array(list::links(&url, uri.query(), page, &documents));
        body.push_str(&format!(",\"{}_links\":{links}", noun.collection));
    }
    body.push('}');
    Ok(text(StatusCode::OK, body))
}

async fn show(
    State(state): State<AppState>,
    headers: HeaderMap,
    uri: Uri,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let noun = &AVAILABILITY;
    let caller = state.caller(&headers).await?;
    let query = Query::parse_fields(noun, uri.query())?;
    let counted = state
        .store
        .read(|model| {
            let document = model.document(noun.kind, &id)?;
            if !noun.sees(model, &caller, document) {
                return None;
            }
            let usage = Usage::count(model.snapshot(), network_id(&id));
            count(model.snapshot(), &usage, &id, None)
        })
        .await?
        .ok_or_else(|| RULES.unknown(&id))?;
    let object = object(&counted, &query.fields);
    Ok(text(
        StatusCode::OK,
        format!("{{\"{}\":{object}}}", noun.name),
    ))
}

fn network_id(id: &str) -> Option<NetworkId> {
    id.parse().ok().map(NetworkId)
}

/// What a network has in its subnets of the wanted versions; without any, of all.
fn count(
    snapshot: &Snapshot,
    usage: &Usage,
    id: &str,
    versions: Option<&[String]>,
) -> Option<NetworkAvailability> {
    let network = snapshot.network(network_id(id)?)?;
    Some(usage.network(snapshot, network, |subnet| {
        versions.is_none_or(|versions| versions.contains(&subnet.ip_version.to_string()))
    }))
}

/// A member of the answer as JSON text: counts of IPv6 addresses have more than 64 bits, which a [`Json`] does not hold.
type Member = (
    &'static str,
    fn(&NetworkAvailability) -> serde_json::Result<String>,
);

const MEMBERS: [Member; 8] = [
    ("network_id", |of| to_string(&of.network_id)),
    ("network_name", |of| to_string(&of.network_name)),
    ("project_id", |of| to_string(&of.project_id)),
    ("tenant_id", |of| to_string(&of.project_id)),
    ("subnet_ip_availability", |of| to_string(&of.subnets)),
    ("total_ips", |of| to_string(&of.total_ips)),
    ("used_ips", |of| to_string(&of.used_ips)),
    ("ip_availability_details", |of| to_string(&of.details)),
];

fn object(counted: &NetworkAvailability, fields: &[String]) -> String {
    let members = MEMBERS
        .iter()
        .filter(|(name, _)| fields.is_empty() || fields.iter().any(|field| field == name))
        .filter_map(|(name, member)| Some(format!("\"{name}\":{}", member(counted).ok()?)));
    format!("{{{}}}", members.collect::<Vec<_>>().join(","))
}
