//! `/v2.0/ports`.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::net::IpAddr;

use hextet_core::dhcp::{DhcpOptions, ExtraDhcpOptRequest};
use hextet_core::ids::{HostId, NetworkId, PortId, ProjectId, SubnetId};
use hextet_core::mac::Mac;
use hextet_core::port::{FixedIpRequest, Port, PortStatus, VnicType};
use hextet_core::refusal::Refusal;
use hextet_core::snapshot::Snapshot;
use hextet_store::Document;
use serde::Deserialize;
use serde_json::{Map, Value as Json, json};

use crate::app::policy::{self, Allowed, Guard, Target, When, Who};
use crate::app::ports::{self as app, NewPort, PortPatch};
use crate::app::{Create, Delete, Update};
use crate::http::attributes::{
    Attribute, Beside, Filter, Noun, Rule, Shown, TagRule, fixed, guard, neutral, read_only,
    rendered, tag_filter, writable,
};
use crate::http::convert::{self, given};
use crate::http::v2::resource::Resource;

const EMPTY_LIST: &[&str] = &["[]"];
const INSIDERS: Allowed = &[Who::Admin, Who::Service];
const ADMIN: Allowed = &[Who::Admin];
const ON_NETWORK: Allowed = &[Who::Admin, Who::Service, Who::NetworkMember];
const ON_SHARED: Allowed = &[
    Who::Admin,
    Who::Service,
    Who::NetworkMember,
    Who::SharedMember,
];
const NULL: &[&str] = &["null"];
/// Neutron's, as filters.
const IP_ALLOCATIONS: &[&str] = &["immediate", "deferred", "none"];

pub(in crate::http) const PORT: Noun = Noun {
    name: "port",
    collection: "ports",
    kind: hextet_store::PORT,
    rules: &policy::PORT,
    insiders: INSIDERS,
    required: &["network_id"],
    attributes: ATTRIBUTES,
    sortable: &[
        "admin_state_up",
        "device_id",
        "device_owner",
        "id",
        "ip_allocation",
        "mac_address",
        "name",
        "network_id",
        "project_id",
        "status",
    ],
    target,
    computed,
    beside: Some(Beside {
        kind: hextet_store::OBSERVED,
        none: "\"hextet:observed_addresses\":[]",
        none_admin: ",\"hextet:address_conflicts\":[]",
    }),
    member,
};

/// On a network that is shared, its owner says which addresses others have; they may choose the subnet.
const FIXED_IPS: &[Guard] = &[
    Guard {
        name: "fixed_ips",
        when: When::Given,
        create: ON_SHARED,
        update: ON_NETWORK,
    },
    guard(
        "fixed_ips:ip_address",
        When::Names("ip_address"),
        ON_NETWORK,
    ),
    guard("fixed_ips:subnet_id", When::Names("subnet_id"), ON_SHARED),
];

const ATTRIBUTES: &[Attribute] = &[
    read_only("id", Some(Filter::Text)),
    writable("name", convert::text, Filter::Text),
    writable("description", convert::text, Filter::Text),
    fixed("project_id", convert::text, Filter::Text),
    fixed("network_id", convert::uuid, Filter::Id),
    writable("mac_address", convert::mac, Filter::Mac).guarded(&[Guard {
        name: "mac_address",
        when: When::Given,
        create: ON_NETWORK,
        update: &[Who::Admin, Who::Service, Who::NetworkManager],
    }]),
    writable("fixed_ips", convert::fixed_ips, Filter::FixedIps).guarded(FIXED_IPS),
    writable("admin_state_up", convert::boolean, Filter::Boolean),
    read_only("status", Some(Filter::OneOf(convert::STATUSES))),
    writable("device_id", convert::text, Filter::Text),
    writable("device_owner", convert::text, Filter::Text).guarded(&[guard(
        "device_owner",
        When::Begins("network:"),
        ON_NETWORK,
    )]),
    read_only("revision_number", Some(Filter::Number)),
    read_only("created_at", None),
    read_only("updated_at", None),
    Attribute {
        shown: Shown::StoredAdmin,
        ..writable("binding:host_id", convert::text_or_null, Filter::Text)
    }
    .guarded(&[guard("binding:host_id", When::Given, INSIDERS)]),
    Attribute {
        shown: Shown::StoredAdmin,
        ..read_only("binding:vif_type", None)
    },
    read_only("ip_allocation", Some(Filter::OneOf(IP_ALLOCATIONS))),
    Attribute {
        shown: Shown::StoredAdmin,
        filter: None,
        ..writable("binding:profile", convert::profile, Filter::Text)
    }
    .guarded(&[guard("binding:profile", When::Given, INSIDERS)]),
    Attribute {
        shown: Shown::StoredAdmin,
        ..read_only("binding:vif_details", None)
    },
    Attribute {
        filter: None,
        ..writable("binding:vnic_type", convert::vnic_type, Filter::Text)
    },
    neutral("security_groups", EMPTY_LIST, Shown::Always("[]"), None),
    neutral(
        "allowed_address_pairs",
        EMPTY_LIST,
        Shown::Always("[]"),
        None,
    )
    .guarded(&[guard("allowed_address_pairs", When::Given, ON_NETWORK)]),
    Attribute {
        filter: None,
        ..writable("extra_dhcp_opts", convert::extra_dhcp_opts, Filter::Text)
    },
    Attribute {
        filter: None,
        ..writable("port_security_enabled", convert::boolean, Filter::Boolean)
    }
    .guarded(&[guard("port_security_enabled", When::Given, ON_NETWORK)]),
    neutral(
        "propagate_uplink_status",
        &["true"],
        Shown::Always("true"),
        None,
    ),
    neutral("qos_policy_id", NULL, Shown::Always("null"), None),
    Attribute {
        shown: Shown::Always("null"),
        ..read_only("qos_network_policy_id", None)
    },
    Attribute {
        put: Rule::ReadOnly,
        ..neutral("device_profile", NULL, Shown::Always("null"), None)
    },
    neutral("numa_affinity_policy", NULL, Shown::Always("null"), None),
    Attribute {
        post: Rule::ReadOnly,
        put: Rule::Takes(convert::data_plane_status),
        ..read_only("data_plane_status", None)
    }
    .guarded(&[guard("data_plane_status", When::Given, ADMIN)]),
    read_only("hextet:observed_addresses", None),
    read_only("hextet:unknown_dhcp_opts", None),
    Attribute {
        shown: Shown::StoredAdmin,
        ..read_only("hextet:address_conflicts", None)
    },
    fixed("tags", convert::tags, Filter::Tags(TagRule::All)),
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
    #[serde(default)]
    tags: BTreeSet<String>,
    project_id: Option<ProjectId>,
    network_id: NetworkId,
    admin_state_up: Option<bool>,
    mac_address: Option<Mac>,
    fixed_ips: Option<Vec<Entry>>,
    #[serde(default)]
    device_id: String,
    #[serde(default)]
    device_owner: String,
    #[serde(rename = "binding:host_id")]
    host_id: Option<String>,
    #[serde(rename = "binding:profile", default)]
    profile: Map<String, Json>,
    #[serde(rename = "binding:vnic_type", default)]
    vnic_type: VnicType,
    port_security_enabled: Option<bool>,
    #[serde(default)]
    extra_dhcp_opts: Vec<ExtraDhcpOptRequest>,
}

/// A PUT's object after the table's check.
#[derive(Deserialize)]
pub(super) struct Put {
    name: Option<String>,
    description: Option<String>,
    admin_state_up: Option<bool>,
    #[serde(default, deserialize_with = "given")]
    mac_address: Option<Option<Mac>>,
    fixed_ips: Option<Vec<Entry>>,
    device_id: Option<String>,
    device_owner: Option<String>,
    #[serde(rename = "binding:host_id")]
    host_id: Option<String>,
    #[serde(rename = "binding:profile")]
    profile: Option<Map<String, Json>>,
    #[serde(rename = "binding:vnic_type")]
    vnic_type: Option<VnicType>,
    #[serde(default, deserialize_with = "given")]
    data_plane_status: Option<Option<PortStatus>>,
    port_security_enabled: Option<bool>,
    #[serde(default)]
    extra_dhcp_opts: Vec<ExtraDhcpOptRequest>,
}

/// An entry of `fixed_ips` after the table's check.
#[derive(Deserialize)]
struct Entry {
    subnet_id: Option<SubnetId>,
    ip_address: Option<IpAddr>,
    #[serde(default)]
    delete_subnet: bool,
}

/// `/v2.0/ports`.
pub(super) struct Ports;

impl Resource for Ports {
    const NOUN: &'static Noun = &PORT;
    type Id = PortId;
    type Post = Post;
    type Put = Put;
    type New = NewPort;
    type Patch = PortPatch;
    const CREATE: Create<NewPort> = app::create;
    const UPDATE: Update<PortId, PortPatch> = app::update;
    const DELETE: Delete<PortId> = app::delete;

    fn asked(post: Post) -> Result<NewPort, Refusal> {
        Ok(NewPort {
            project_id: post.project_id,
            network_id: post.network_id,
            name: post.name,
            description: post.description,
            tags: post.tags,
            admin_state_up: post.admin_state_up.unwrap_or(true),
            mac_address: post.mac_address,
            fixed_ips: post.fixed_ips.map(fixed_ips),
            device_id: post.device_id,
            device_owner: post.device_owner,
            host_id: post.host_id.map(host),
            profile: post.profile,
            vnic_type: post.vnic_type,
            port_security_enabled: post.port_security_enabled,
            extra_dhcp_opts: post.extra_dhcp_opts,
        })
    }

    fn patch(put: Put) -> Result<PortPatch, Refusal> {
        Ok(PortPatch {
            name: put.name,
            description: put.description,
            admin_state_up: put.admin_state_up,
            mac_address: put.mac_address,
            fixed_ips: put.fixed_ips.map(fixed_ips),
            device_id: put.device_id,
            device_owner: put.device_owner,
            host_id: put.host_id.map(host),
            profile: put.profile,
            vnic_type: put.vnic_type,
            data_plane_status: put.data_plane_status,
            port_security_enabled: put.port_security_enabled,
            extra_dhcp_opts: put.extra_dhcp_opts,
        })
    }
}

/// What follows from the document: quotes inside its texts are escaped, so that this pattern is a member.
fn computed(document: &Document, admin: bool, text: &mut String) {
    text.push_str(",\"hextet:unknown_dhcp_opts\":");
    text.push_str(&unknown_options(document));
    if admin {
        let unbound = document.admin().ends_with("\"binding:host_id\":\"\"");
        let carried = document
            .public()
            .ends_with("\"binding:vnic_type\":\"normal\"");
        text.push_str(match (unbound, carried) {
            (true, _) => UNBOUND,
            (false, true) => BOUND,
            (false, false) => BINDING_FAILED,
        });
    }
}

/// The names among its `extra_dhcp_opts` that are no option's, as JSON. Most ports have no options, which is seen near the end of
/// their public members.
fn unknown_options(document: &Document) -> Cow<'static, str> {
    const NONE: &str = "[]";
    if document.public().rfind("\"extra_dhcp_opts\":[],").is_some() {
        return NONE.into();
    }
    let names = match document.parse::<Port>(hextet_store::PORT) {
        Ok(port) => DhcpOptions::of(&port.extra_dhcp_opts).unknown,
        // What is not sound is told of where it is read into the model.
        Err(_) => return NONE.into(),
    };
    json!(names).to_string().into()
}

/// What carries a port that is on no host.
const UNBOUND: &str = ",\"binding:vif_type\":\"unbound\",\"binding:vif_details\":{}";
/// What carries a port on its host: the agent filters what the guest sends, so that nobody else need.
const BOUND: &str = ",\"binding:vif_type\":\"tap\",\"binding:vif_details\":{\"port_filter\":true}";

/// What carries a port whose kind no host carries: nothing (Neutron's, when no driver can bind a port).
const BINDING_FAILED: &str = ",\"binding:vif_type\":\"binding_failed\",\"binding:vif_details\":{}";

fn member(snapshot: &Snapshot, id: &str, name: &str) -> Json {
    let id = id.parse().ok().map(PortId);
    let Some(port) = id.and_then(|id| snapshot.port(id)) else {
        return Json::Null;
    };
    match name {
        "id" => json!(port.id),
        "name" => json!(port.name),
        "tags" => json!(port.tags),
        "updated_at" => json!(port.updated_at),
        "project_id" => json!(port.project_id),
        "network_id" => json!(port.network_id),
        "mac_address" => json!(port.mac_address),
        "fixed_ips" => json!(port.fixed_ips),
        "admin_state_up" => json!(port.admin_state_up),
        "status" => json!(port.status),
        "device_id" => json!(port.device_id),
        "device_owner" => json!(port.device_owner),
        "ip_allocation" => json!(port.ip_allocation),
        name => rendered(port, name),
    }
}

fn target<'a>(snapshot: &'a Snapshot, id: &str) -> Option<Target<'a>> {
    let port = snapshot.port(id.parse().ok().map(PortId)?)?;
    Some(Target::port(port, snapshot.network(port.network_id)?))
}

/// The empty text is no host.
fn host(text: String) -> Option<HostId> {
    (!text.is_empty()).then_some(HostId(text))
}

fn fixed_ips(entries: Vec<Entry>) -> Vec<FixedIpRequest> {
    let entries = entries.into_iter().map(|entry| FixedIpRequest {
        subnet_id: entry.subnet_id,
        ip_address: entry.ip_address,
        delete_subnet: entry.delete_subnet,
    });
    entries.collect()
}
