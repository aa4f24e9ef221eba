//! `/v2.0/networks`.

use hextet_core::ids::{NetworkId, ProjectId};
use hextet_core::refusal::Refusal;
use hextet_core::snapshot::Snapshot;
use serde::Deserialize;
use serde_json::{Value as Json, json};

use crate::app::networks::{self as app, NetworkPatch, NewNetwork};
use crate::app::policy::{self, Allowed, Target, When, Who};
use crate::app::{Create, Delete, Update};
use crate::http::attributes::{
    Attribute, Filter, Noun, Rule, Shown, TagRule, fixed, guard, neutral, read_only, rendered,
    tag_filter, writable,
};
use crate::http::convert;
use crate::http::v2::resource::Resource;

const FALSE: &[&str] = &["false"];
const ADMIN: Allowed = &[Who::Admin];
const NULL: &[&str] = &["null"];
const EMPTY_TEXT: &[&str] = &["\"\""];
const EMPTY_LIST: &[&str] = &["[]"];

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
    computed: |_, _, _| {},
    member,
};

const ATTRIBUTES: &[Attribute] = &[
    read_only("id", Some(Filter::Text)),
    writable("name", convert::text, Filter::Text),
    writable("description", convert::text, Filter::Text),
    fixed("project_id", convert::text, Filter::Text),
    writable("admin_state_up", convert::boolean, Filter::Boolean),
    read_only("status", Some(Filter::Text)),
    read_only("subnets", None),
    writable("mtu", convert::non_negative, Filter::Text),
    read_only("revision_number", Some(Filter::Text)),
    read_only("created_at", None),
    read_only("updated_at", None),
    Attribute {
        name: "provider:segmentation_id",
        post: Rule::Only(&[]),
        put: Rule::Only(&[]),
        shown: Shown::StoredAdmin,
        filter: Some(Filter::Text),
        guards: &[guard("provider:segmentation_id", When::Given, ADMIN)],
    },
    neutral(
        "provider:network_type",
        &["\"vxlan\""],
        Shown::Admin("\"vxlan\""),
        Some(Filter::Text),
    )
    .guarded(&[guard("provider:network_type", When::Given, ADMIN)]),
    neutral(
        "provider:physical_network",
        NULL,
        Shown::Admin("null"),
        Some(Filter::Text),
    )
    .guarded(&[guard("provider:physical_network", When::Given, ADMIN)]),
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
    neutral(
        "port_security_enabled",
        &["true"],
        Shown::Always("true"),
        None,
    ),
    neutral("dns_domain", EMPTY_TEXT, Shown::Never, None),
    neutral("qos_policy_id", NULL, Shown::Never, None),
    neutral(
        "availability_zone_hints",
        EMPTY_LIST,
        Shown::Always("[]"),
        None,
    ),
    read_only("tags", Some(Filter::Tags(TagRule::All))),
    tag_filter("tags-any", TagRule::Any),
    tag_filter("not-tags", TagRule::NotAll),
    tag_filter("not-tags-any", TagRule::NotAny),
];

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
}

/// A PUT's object after the table's check.
#[derive(Deserialize)]
pub(super) struct Put {
    name: Option<String>,
    description: Option<String>,
    admin_state_up: Option<bool>,
    shared: Option<bool>,
    mtu: Option<u32>,
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
        })
    }

    fn patch(put: Put) -> Result<NetworkPatch, Refusal> {
        Ok(NetworkPatch {
            name: put.name,
            description: put.description,
            admin_state_up: put.admin_state_up,
            shared: put.shared,
            mtu: put.mtu,
        })
    }
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
        name => rendered(network, name),
    }
}

fn target<'a>(snapshot: &'a Snapshot, id: &str) -> Option<Target<'a>> {
    let network = snapshot.network(id.parse().ok().map(NetworkId)?)?;
    Some(Target::network(network))
}
