//! `/v2.0/extensions`: what of Neutron's API beyond its core works here. What does not is not listed.

use axum::Router;
use axum::extract::{Path, State};
use axum::response::Response;
use axum::routing::get;
use hextet_core::refusal::{Refusal, RefusalKind};
use http::{HeaderMap, StatusCode};
use serde_json::{Value as Json, json};

use super::text;
use crate::http::AppState;
use crate::http::error::Problem;

/// When the list was last looked over.
const UPDATED: &str = "2026-11-21T00:00:00Z";

/// Alias, name, description.
const EXTENSIONS: &[(&str, &str, &str)] = &[
    (
        "binding",
        "Port Binding",
        "A port is put on a host by binding:host_id, and shows what carries it there.",
    ),
    (
        "data-plane-status",
        "Status of the underlying data plane",
        "A port shows what the administrator's monitor says of the way to its guest.",
    ),
    (
        "empty-string-filtering",
        "Empty String Filtering Extension",
        "A filter with an empty value matches the empty text.",
    ),
    (
        "extra_dhcp_opt",
        "Neutron Extra DHCP options",
        "A port says by extra_dhcp_opts what its guest is told by DHCPv4 and DHCPv6 besides, or instead of, what the subnets say.",
    ),
    (
        "filter-validation",
        "Filter parameters validation",
        "A filter by what is no attribute to filter by is refused.",
    ),
    (
        "hextet-address-policy",
        "Addresses of later subnets",
        "A network says by hextet:address_policy whether a subnet that is added gives the ports that there are an address: new-ports or all-ports.",
    ),
    (
        "hextet-fast-dad",
        "Fast duplicate address detection",
        "A network says by hextet:fast_dad whether its guests are told a short Retrans Timer, so that checks for duplicate addresses take no second: true by default, and without effect on ports without port security.",
    ),
    (
        "hextet-observed-addresses",
        "Addresses that guests form",
        "A port shows by hextet:observed_addresses the addresses that its guest formed itself and may send from, each with since when; to administrators by hextet:address_conflicts whose addresses it claims.",
    ),
    (
        "hextet-unknown-dhcp-opts",
        "DHCP options of unknown names",
        "A port shows by hextet:unknown_dhcp_opts the names among its extra_dhcp_opts that are no option's: no guest is told of them.",
    ),
    (
        "ip-substring-filtering",
        "IP address substring filtering",
        "Ports are filtered by a part of an address.",
    ),
    (
        "ip_allocation",
        "IP Allocation",
        "A port shows whether it has addresses.",
    ),
    (
        "l2_adjacency",
        "L2 Adjacency",
        "A network shows that its ports are neighbours, as they always are.",
    ),
    (
        "net-mtu",
        "Network MTU",
        "A network shows the largest packet that it carries.",
    ),
    (
        "net-mtu-writable",
        "Network MTU (writable)",
        "A network's MTU can be given and changed.",
    ),
    (
        "network-ip-availability",
        "Network IP Availability",
        "How many addresses networks have and how many are used.",
    ),
    (
        "network-ip-availability-details",
        "Network IP Availability Details Extension",
        "The same, in allocation pools and beside them.",
    ),
    (
        "pagination",
        "Pagination support",
        "Lists are cut in pages by limit, marker and page_reverse, with links to the pages beside.",
    ),
    (
        "port-mac-address-regenerate",
        "Port MAC address regenerate",
        "A port's MAC is chosen anew by setting it to null.",
    ),
    (
        "port-security",
        "Port Security",
        "A network and a port say by port_security_enabled whether guests are held to their port's MAC and addresses.",
    ),
    (
        "project-id",
        "project_id field enabled",
        "Resources show and take project_id beside tenant_id.",
    ),
    (
        "provider",
        "Provider Network",
        "What carries a network is shown to administrators, who may say it: VXLAN or a physical network.",
    ),
    (
        "quota-check-limit",
        "Quota engine limit check",
        "A limit below what is used is refused with check_limit.",
    ),
    (
        "quota-check-limit-default",
        "Quota engine limit check by default",
        "A limit below what is used is refused without force.",
    ),
    (
        "quota_details",
        "Quota details management support",
        "Limits are shown with what is used of them.",
    ),
    (
        "quotas",
        "Quota management support",
        "Limits of what a project may have are shown, and set by the administrator.",
    ),
    (
        "revision-if-match",
        "If-Match constraints based on revision_number",
        "A change or a deletion can be made to depend on the revision number.",
    ),
    (
        "sorting",
        "Sorting support",
        "Lists are sorted by pairs of sort_key and sort_dir.",
    ),
    (
        "standard-attr-description",
        "standard-attr-description",
        "Resources have a description.",
    ),
    (
        "standard-attr-revisions",
        "Resource revision numbers",
        "Resources show how often they were changed.",
    ),
    (
        "standard-attr-tag",
        "Tag support for resources with standard attribute",
        "Networks, subnets and ports have tags, and are filtered by them.",
    ),
    (
        "standard-attr-timestamp",
        "Resource timestamps",
        "Resources show when they were made and last changed.",
    ),
    (
        "subnet-external-network",
        "Subnet belongs to external network",
        "Subnets show whether their network is external.",
    ),
    (
        "subnet-service-types",
        "Subnet service types",
        "A subnet can be kept for ports of certain device owners.",
    ),
    (
        "tag-creation",
        "Tag creation extension",
        "Tags are added to those that there are by POST.",
    ),
    (
        "tag-ports-during-bulk-creation",
        "Tag Ports During Bulk Creation",
        "Ports take tags when they are made.",
    ),
];

pub(super) fn router() -> Router<AppState> {
    Router::new()
        .route("/v2.0/extensions", get(list))
        .route("/v2.0/extensions/{alias}", get(show))
}

async fn list(State(state): State<AppState>, headers: HeaderMap) -> Result<Response, Problem> {
    state.caller(&headers).await?;
    let extensions: Vec<Json> = EXTENSIONS.iter().map(view).collect();
    Ok(text(
        StatusCode::OK,
        json!({"extensions": extensions}).to_string(),
    ))
}

async fn show(
    State(state): State<AppState>,
    headers: HeaderMap,
    Path(alias): Path<String>,
) -> Result<Response, Problem> {
    state.caller(&headers).await?;
    let extension = EXTENSIONS.iter().find(|extension| extension.0 == alias);
    let extension = extension.ok_or_else(|| {
        Problem::Refused(Refusal::new(
            RefusalKind::HttpNotFound,
            format!("Extension with alias {alias} does not exist"),
        ))
    })?;
    Ok(text(
        StatusCode::OK,
        json!({"extension": view(extension)}).to_string(),
    ))
}

fn view((alias, name, description): &(&str, &str, &str)) -> Json {
    json!({
        "alias": alias,
        "name": name,
        "description": description,
        "updated": UPDATED,
        "links": [],
    })
}
