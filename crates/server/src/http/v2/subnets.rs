//! `/v2.0/subnets`.

use std::net::IpAddr;

use hextet_core::ids::{NetworkId, ProjectId, SubnetId};
use hextet_core::modes::{Ipv6Mode, Ipv6Modes};
use hextet_core::refusal::{Refusal, RefusalKind};
use hextet_core::snapshot::Snapshot;
use hextet_core::subnet::{HostRoute, NewSubnet, Subnet, SubnetPatch};
use ipnet::IpNet;
use serde::Deserialize;
use serde_json::{Value as Json, json};

use crate::app::policy::{self, Allowed, Target, When, Who};
use crate::app::subnets::{self as app, Asked, Patch};
use crate::app::{Create, Delete, Update};
use crate::http::attributes::{
    Attribute, Filter, Noun, Rule, Shown, TagRule, fixed, guard, neutral, read_only, rendered,
    tag_filter, writable,
};
use crate::http::convert::{self, given};
use crate::http::v2::resource::Resource;

const ADMIN: Allowed = &[Who::Admin];
const NULL: &[&str] = &["null"];

pub(in crate::http) const SUBNET: Noun = Noun {
    name: "subnet",
    collection: "subnets",
    kind: hextet_store::SUBNET,
    rules: &policy::SUBNET,
    insiders: &[Who::Admin],
    required: &["network_id", "ip_version"],
    attributes: ATTRIBUTES,
    sortable: &[
        "cidr",
        "enable_dhcp",
        "gateway_ip",
        "id",
        "ip_version",
        "ipv6_address_mode",
        "ipv6_ra_mode",
        "name",
        "network_id",
        "project_id",
        "segment_id",
        "subnetpool_id",
    ],
    target,
    beside: None,
    computed: |_, _, _| {},
    member,
};

const ATTRIBUTES: &[Attribute] = &[
    read_only("id", Some(Filter::Text)),
    writable("name", convert::text, Filter::Text),
    writable("description", convert::text, Filter::Text),
    fixed("project_id", convert::text, Filter::Text),
    fixed("network_id", convert::uuid, Filter::Id),
    fixed(
        "ip_version",
        convert::ip_version,
        Filter::OneOf(convert::IP_VERSIONS),
    ),
    fixed("cidr", convert::cidr_or_null, Filter::Prefix),
    writable("gateway_ip", convert::address_or_null, Filter::Address),
    Attribute {
        filter: None,
        ..writable("allocation_pools", convert::pools, Filter::Text)
    },
    Attribute {
        filter: None,
        ..writable("dns_nameservers", convert::nameservers, Filter::Text)
    },
    writable("enable_dhcp", convert::boolean, Filter::Boolean),
    fixed(
        "ipv6_ra_mode",
        convert::mode,
        Filter::OneOf(&Ipv6Mode::NAMES),
    ),
    fixed(
        "ipv6_address_mode",
        convert::mode,
        Filter::OneOf(&Ipv6Mode::NAMES),
    ),
    read_only("revision_number", Some(Filter::Number)),
    read_only("created_at", None),
    read_only("updated_at", None),
    Attribute {
        name: "prefixlen",
        post: Rule::Takes(convert::non_negative),
        put: Rule::ReadOnly,
        shown: Shown::Never,
        filter: None,
        guards: &[],
    },
    Attribute {
        put: Rule::ReadOnly,
        ..neutral("use_default_subnetpool", &[], Shown::Never, None)
    },
    Attribute {
        put: Rule::ReadOnly,
        ..neutral(
            "subnetpool_id",
            NULL,
            Shown::Always("null"),
            Some(Filter::Text),
        )
    },
    Attribute {
        shown: Shown::Always("false"),
        ..read_only("router:external", Some(Filter::Boolean))
    },
    Attribute {
        shown: Shown::Hidden,
        ..read_only("shared", Some(Filter::Boolean))
    },
    Attribute {
        filter: None,
        ..writable("host_routes", convert::host_routes, Filter::Text)
    },
    Attribute {
        filter: None,
        ..writable("service_types", convert::service_types, Filter::Text)
    },
    neutral("segment_id", NULL, Shown::Admin("null"), Some(Filter::Id)).guarded(&[guard(
        "segment_id",
        When::Besides("null"),
        ADMIN,
    )]),
    neutral(
        "dns_publish_fixed_ip",
        &["false"],
        Shown::Always("false"),
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
    network_id: NetworkId,
    ip_version: u8,
    cidr: Option<IpNet>,
    #[serde(default, deserialize_with = "given")]
    gateway_ip: Option<Option<IpAddr>>,
    allocation_pools: Option<Vec<(IpAddr, IpAddr)>>,
    #[serde(default)]
    dns_nameservers: Vec<IpAddr>,
    #[serde(default)]
    host_routes: Vec<HostRoute>,
    #[serde(default)]
    service_types: Vec<String>,
    enable_dhcp: Option<bool>,
    ipv6_ra_mode: Option<Ipv6Mode>,
    ipv6_address_mode: Option<Ipv6Mode>,
    prefixlen: Option<u32>,
}

/// A PUT's object after the table's check.
#[derive(Deserialize)]
pub(super) struct Put {
    name: Option<String>,
    description: Option<String>,
    #[serde(default, deserialize_with = "given")]
    gateway_ip: Option<Option<IpAddr>>,
    allocation_pools: Option<Vec<(IpAddr, IpAddr)>>,
    dns_nameservers: Option<Vec<IpAddr>>,
    host_routes: Option<Vec<HostRoute>>,
    service_types: Option<Vec<String>>,
    enable_dhcp: Option<bool>,
}

/// `/v2.0/subnets`.
pub(super) struct Subnets;

impl Resource for Subnets {
    const NOUN: &'static Noun = &SUBNET;
    type Id = SubnetId;
    type Post = Post;
    type Put = Put;
    type New = Asked;
    type Patch = Patch;
    const CREATE: Create<Asked> = app::create;
    const UPDATE: Update<SubnetId, Patch> = app::update;
    const DELETE: Delete<SubnetId> = app::delete;

    fn asked(post: Post) -> Result<Asked, Refusal> {
        if post.prefixlen.is_some() {
            return Err(Refusal::new(
                RefusalKind::BadRequest,
                "Bad subnets request: prefixlen belongs to subnet pools, which are not supported; give cidr alone.",
            ));
        }
        Ok(Asked {
            project_id: post.project_id,
            network_id: post.network_id,
            name: post.name,
            description: post.description,
            service_types: post.service_types,
            addressing: NewSubnet {
                ip_version: post.ip_version,
                cidr: post.cidr,
                gateway_ip: post.gateway_ip,
                allocation_pools: post.allocation_pools,
                dns_nameservers: post.dns_nameservers,
                host_routes: post.host_routes,
                enable_dhcp: post.enable_dhcp.unwrap_or(true),
                modes: Ipv6Modes {
                    ra: post.ipv6_ra_mode,
                    address: post.ipv6_address_mode,
                },
            },
        })
    }

    fn patch(put: Put) -> Result<Patch, Refusal> {
        Ok(Patch {
            name: put.name,
            description: put.description,
            service_types: put.service_types,
            addressing: SubnetPatch {
                gateway_ip: put.gateway_ip,
                allocation_pools: put.allocation_pools,
                dns_nameservers: put.dns_nameservers,
                host_routes: put.host_routes,
                enable_dhcp: put.enable_dhcp,
            },
        })
    }
}

fn member(snapshot: &Snapshot, id: &str, name: &str) -> Json {
    let id = id.parse().ok().map(SubnetId);
    let Some(subnet) = id.and_then(|id| snapshot.subnet(id)) else {
        return Json::Null;
    };
    match name {
        "id" => json!(subnet.id),
        "name" => json!(subnet.name),
        "tags" => json!(subnet.tags),
        "updated_at" => json!(subnet.updated_at),
        "project_id" => json!(subnet.project_id),
        "network_id" => json!(subnet.network_id),
        "cidr" => json!(subnet.cidr),
        "gateway_ip" => json!(subnet.gateway_ip),
        "ip_version" => json!(subnet.ip_version),
        "shared" => json!(shared(snapshot, subnet)),
        name => rendered(subnet, name),
    }
}

fn shared(snapshot: &Snapshot, subnet: &Subnet) -> bool {
    snapshot
        .network(subnet.network_id)
        .is_some_and(|network| network.shared)
}

fn target<'a>(snapshot: &'a Snapshot, id: &str) -> Option<Target<'a>> {
    let subnet = snapshot.subnet(id.parse().ok().map(SubnetId)?)?;
    let network = snapshot.network(subnet.network_id)?;
    Some(Target::on(network, &subnet.project_id))
}
