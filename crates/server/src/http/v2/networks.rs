//! `/v2.0/networks`.

use hextet_core::ids::{NetworkId, ProjectId};
use hextet_core::network::AddressPolicy;
use hextet_core::provider::{FLAT, Provider, VXLAN};
use hextet_core::refusal::Refusal;
use hextet_core::snapshot::Snapshot;
use hextet_store::Document;
use serde::Deserialize;
use serde_json::{Value as Json, json};

use crate::app::networks::{self as app, NetworkPatch, NewNetwork};
use crate::app::policy::{self, Allowed, Target, When, Who};
use crate::app::{Create, Delete, Update};
use crate::http::attributes::{
    Attribute, Convert, Filter, Noun, Rule, Shown, TagRule, fixed, guard, neutral, read_only,
    rendered, tag_filter, writable,
};
use crate::http::convert;
use crate::http::v2::resource::Resource;

const FALSE: &[&str] = &["false"];
const ADMIN: Allowed = &[Who::Admin];
const EMPTY_LIST: &[&str] = &["[]"];
/// Neutron's, as filters: a list of networks of a type that is not there is empty.
const NETWORK_TYPES: &[&str] = &[FLAT, "geneve", "gre", "local", "vlan", VXLAN];

pub(in crate::http) const NETWORK: Noun = Noun {
    name: "network",
    collection: "networks",
    kind: hextet_store::NETWORK,
    rules: &policy::NETWORK,
    insiders: &[Who::Admin],
    required: &[],
    attributes: ATTRIBUTES,
    sortable: &[
        "admin_state_up",
        "availability_zone_hints",
        "id",
        "mtu",
        "name",
        "project_id",
        "status",
    ],
    target,
    beside: None,
    computed,
    member,
};

const ATTRIBUTES: &[Attribute] = &[
    read_only("id", Some(Filter::Text)),
    writable("name", convert::text, Filter::Text),
    writable("description", convert::text, Filter::Text),
    fixed("project_id", convert::text, Filter::Text),
    writable("admin_state_up", convert::boolean, Filter::Boolean),
    read_only("status", Some(Filter::OneOf(convert::STATUSES))),
    read_only("subnets", None),
    writable("mtu", convert::non_negative, Filter::Number),
    read_only("revision_number", Some(Filter::Number)),
    read_only("created_at", None),
    read_only("updated_at", None),
    provider(
        "provider:network_type",
        convert::network_type,
        Filter::OneOf(NETWORK_TYPES),
    )
    .guarded(&[guard("provider:network_type", When::Given, ADMIN)]),
    provider(
        "provider:physical_network",
        convert::physical_network,
        Filter::Text,
    )
    .guarded(&[guard("provider:physical_network", When::Given, ADMIN)]),
    provider(
        "provider:segmentation_id",
        convert::integer_or_null,
        Filter::Number,
    )
    .guarded(&[guard("provider:segmentation_id", When::Given, ADMIN)]),
    writable("shared", convert::boolean, Filter::Boolean).guarded(&[guard(
        "shared",
        When::Besides("false"),
        ADMIN,
    )]),
    neutral(
        "router:external",
        FALSE,
        Shown::Always("false"),
        Some(Filter::Boolean),
    )
    .guarded(&[guard("router:external", When::Besides("false"), ADMIN)]),
    neutral(
        "is_default",
        FALSE,
        Shown::Always("false"),
        Some(Filter::Boolean),
    )
    .guarded(&[guard("is_default", When::Besides("false"), ADMIN)]),
    Attribute {
        filter: None,
        ..writable("port_security_enabled", convert::boolean, Filter::Boolean)
    },
    Attribute {
        shown: Shown::Always("true"),
        ..read_only("l2_adjacency", None)
    },
    Attribute {
        shown: Shown::Always("null"),
        ..read_only("ipv4_address_scope", None)
    },
    Attribute {
        shown: Shown::Always("null"),
        ..read_only("ipv6_address_scope", None)
    },
    neutral("segments", &[], Shown::Never, None).guarded(&[guard("segments", When::Given, ADMIN)]),
    Attribute {
        put: Rule::ReadOnly,
        ..neutral(
            "availability_zone_hints",
            EMPTY_LIST,
            Shown::Always("[]"),
            None,
        )
    },
    writable(
        AddressPolicy::ATTRIBUTE,
        convert::address_policy,
        Filter::OneOf(&AddressPolicy::NAMES),
    ),
    writable("hextet:fast_dad", convert::boolean, Filter::Boolean),
    read_only("tags", Some(Filter::Tags(TagRule::All))),
    tag_filter("tags-any", TagRule::Any),
    tag_filter("not-tags", TagRule::NotAll),
    tag_filter("not-tags-any", TagRule::NotAny),
];

/// A row of what carries a network.
const fn provider(name: &'static str, convert: Convert, filter: Filter) -> Attribute {
    Attribute {
        shown: Shown::StoredAdmin,
        ..writable(name, convert, filter)
    }
}

/// A POST's object after the table's check.
#[derive(Deserialize)]
pub(super) struct Post {
    #[serde(default)]
    name: String,
    #[serde(default)]
    description: String,
    project_id: Option<ProjectId>,
    admin_state_up: Option<bool>,
    shared: Option<bool>,
    mtu: Option<u32>,
    #[serde(rename = "hextet:address_policy")]
    address_policy: Option<AddressPolicy>,
    port_security_enabled: Option<bool>,
    #[serde(rename = "hextet:fast_dad")]
    fast_dad: Option<bool>,
    #[serde(flatten)]
    carried: Carried,
}

/// A PUT's object after the table's check.
#[derive(Deserialize)]
pub(super) struct Put {
    name: Option<String>,
    description: Option<String>,
    admin_state_up: Option<bool>,
    shared: Option<bool>,
    mtu: Option<u32>,
    #[serde(rename = "hextet:address_policy")]
    address_policy: Option<AddressPolicy>,
    port_security_enabled: Option<bool>,
    #[serde(rename = "hextet:fast_dad")]
    fast_dad: Option<bool>,
    #[serde(flatten)]
    carried: Carried,
}

/// What carries a network, after the table's check.
#[derive(Deserialize)]
struct Carried {
    #[serde(rename = "provider:network_type")]
    network_type: Option<String>,
    #[serde(rename = "provider:physical_network")]
    physical_network: Option<String>,
    #[serde(rename = "provider:segmentation_id")]
    segmentation_id: Option<i64>,
}

impl From<Carried> for Provider {
    fn from(carried: Carried) -> Self {
        Provider {
            network_type: carried.network_type,
            physical_network: carried.physical_network,
            segmentation_id: carried.segmentation_id,
        }
    }
}

/// `/v2.0/networks`.
pub(super) struct Networks;

impl Resource for Networks {
    const NOUN: &'static Noun = &NETWORK;
    type Id = NetworkId;
    type Post = Post;
    type Put = Put;
    type New = NewNetwork;
    type Patch = NetworkPatch;
    const CREATE: Create<NewNetwork> = app::create;
    const UPDATE: Update<NetworkId, NetworkPatch> = app::update;
    const DELETE: Delete<NetworkId> = app::delete;

    fn asked(post: Post) -> Result<NewNetwork, Refusal> {
        Ok(NewNetwork {
            project_id: post.project_id,
            name: post.name,
            description: post.description,
            admin_state_up: post.admin_state_up.unwrap_or(true),
            shared: post.shared.unwrap_or_default(),
            mtu: post.mtu,
            provider: post.carried.into(),
            address_policy: post.address_policy.unwrap_or_default(),
            port_security_enabled: post.port_security_enabled.unwrap_or(true),
            fast_dad: post.fast_dad.unwrap_or(true),
        })
    }

    fn patch(put: Put) -> Result<NetworkPatch, Refusal> {
        Ok(NetworkPatch {
            name: put.name,
            description: put.description,
            admin_state_up: put.admin_state_up,
            shared: put.shared,
            mtu: put.mtu,
            provider: put.carried.into(),
            address_policy: put.address_policy,
            port_security_enabled: put.port_security_enabled,
            fast_dad: put.fast_dad,
        })
    }
}

/// What follows from the physical network: in a text its quotes would be escaped. A flat network's number is its hosts'
/// alone.
fn computed(document: &Document, admin: bool, text: &mut String) {
    if !admin {
        return;
    }
    let vxlan = document
        .admin()
        .ends_with("\"provider:physical_network\":null");
    let last = document.text().rsplit_once(':');
    let number = last.map_or("null", |(_, number)| number.trim_end_matches('}'));
    let (network_type, number) = match vxlan {
        true => (VXLAN, number),
        false => (FLAT, "null"),
    };
    text.push_str(",\"provider:network_type\":\"");
    text.push_str(network_type);
    text.push_str("\",\"provider:segmentation_id\":");
    text.push_str(number);
}

fn member(snapshot: &Snapshot, id: &str, name: &str) -> Json {
    let id = id.parse().ok().map(NetworkId);
    let Some(network) = id.and_then(|id| snapshot.network(id)) else {
        return Json::Null;
    };
    match name {
        "id" => json!(network.id),
        "name" => json!(network.name),
        "tags" => json!(network.tags),
        "updated_at" => json!(network.updated_at),
        "project_id" => json!(network.project_id),
        "admin_state_up" => json!(network.admin_state_up),
        "status" => json!(network.status),
        "shared" => json!(network.shared),
        "provider:network_type" => json!(network.provider().network_type),
        "provider:segmentation_id" => json!(network.provider().segmentation_id),
        name => rendered(network, name),
    }
}

fn target<'a>(snapshot: &'a Snapshot, id: &str) -> Option<Target<'a>> {
    let network = snapshot.network(id.parse().ok().map(NetworkId)?)?;
    Some(Target::network(network))
}
