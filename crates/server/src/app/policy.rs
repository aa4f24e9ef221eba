//! Who may do what: Neutron's default rules for the resources that there are.

use hextet_core::ids::ProjectId;
use hextet_core::network::Network;
use hextet_core::refusal::{Refusal, RefusalKind};

use crate::identity::{Caller, Role};

/// Whether the caller sees the attributes that only administrators and services do.
pub fn sees_all(caller: &Caller) -> bool {
    caller.is_admin() || caller.is_service()
}

/// Whether the caller sees what this project owns.
pub fn sees(caller: &Caller, project: &ProjectId) -> bool {
    caller.is_service() || caller.can_read(project)
}

/// Whether the caller sees a subnet or a port of this project on a network of that one: the network's owner does too.
pub fn sees_on(caller: &Caller, project: &ProjectId, network_owner: &ProjectId) -> bool {
    sees(caller, project) || caller.can_read(network_owner)
}

/// A network that the caller is to change: its project's members may.
///
/// # Errors
/// `NetworkNotFound` where the caller does not even see it, else `PolicyNotAuthorized`.
pub fn may_write_network(caller: &Caller, network: &Network, rule: &str) -> Result<(), Refusal> {
    if caller.can_write(&network.project_id) {
        return Ok(());
    }
    if !sees(caller, &network.project_id) {
        return Err(super::not_found(
            RefusalKind::NetworkNotFound,
            "Network",
            network.id,
        ));
    }
    Err(forbidden(rule))
}

/// The project that a new resource belongs to: the caller's, or for administrators any.
///
/// # Errors
/// `HTTPBadRequest` where another is named, `PolicyNotAuthorized` where the caller's roles make nothing.
pub fn owner(caller: &Caller, asked: Option<ProjectId>, rule: &str) -> Result<ProjectId, Refusal> {
    let owner = asked.unwrap_or_else(|| caller.project_id.clone());
    if caller.can_write(&owner) {
        return Ok(owner);
    }
    if owner != caller.project_id {
        return Err(Refusal::new(
            RefusalKind::HttpBadRequest,
            "Specifying 'project_id' or 'tenant_id' other than the authenticated project in request requires admin privileges.",
        ));
    }
    Err(forbidden(rule))
}

/// Whether the caller is a manager of the project, or above.
pub fn manages(caller: &Caller, project: &ProjectId) -> bool {
    caller.is_admin() || (caller.project_id == *project && caller.roles.contains(&Role::Manager))
}

/// The refusal of a policy rule.
pub fn forbidden(rule: &str) -> Refusal {
    Refusal::new(
        RefusalKind::PolicyNotAuthorized,
        format!("{rule} is disallowed by policy."),
    )
}
