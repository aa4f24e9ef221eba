//! Who may do what: Neutron's default rules as data. A noun has its [`Rules`], an attribute that asks for more its
//! [`Guard`]s in the noun's table; one function judges each.

use std::fmt::Display;

use hextet_core::ids::ProjectId;
use hextet_core::network::Network;
use hextet_core::port::Port;
use hextet_core::refusal::{Refusal, RefusalKind};
use serde_json::Value as Json;

use crate::identity::{Caller, Role};

/// Somebody whom a rule lets in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    /// Administrators.
    Admin,
    /// The cloud's other services.
    Service,
    /// Readers of the project that owns the resource.
    Reader,
    /// Members of that project.
    Member,
    /// Readers of the project that owns the network.
    NetworkReader,
    /// Members of that project.
    NetworkMember,
    /// The same, but where the port belongs to a device that another service made.
    NetworkMemberUnlessDevice,
    /// Managers of that project.
    NetworkManager,
    /// Everybody, where the network is shared.
    Shared,
    /// Members of the project that owns the resource, where the network is shared.
    SharedMember,
}

/// A rule: it lets in whom any of these names.
pub type Allowed = &'static [Who];

/// Who makes resources for projects other than its own.
const ANY_PROJECT: Allowed = &[Who::Admin, Who::Service];
/// Devices whose ports the network's owner does not delete, by how their ports' owners begin.
const DEVICES: [&str; 3] = ["compute:", "baremetal:", "manila:"];

/// What a rule is judged about.
#[derive(Clone, Copy, Debug)]
pub struct Target<'a> {
    /// The project that owns the resource.
    pub project: &'a ProjectId,
    /// The project that owns the network that the resource is or stands on.
    pub network_owner: &'a ProjectId,
    /// Whether that network is shared.
    pub shared: bool,
    /// A port's device owner; empty for what is no port.
    pub device_owner: &'a str,
}

impl<'a> Target<'a> {
    /// What stands on no network, or a network that is new.
    pub fn owned(project: &'a ProjectId) -> Self {
        Self {
            project,
            network_owner: project,
            shared: false,
            device_owner: "",
        }
    }

    /// A network.
    pub fn network(network: &'a Network) -> Self {
        Self::on(network, &network.project_id)
    }

    /// What a project has on a network.
    pub fn on(network: &'a Network, project: &'a ProjectId) -> Self {
        Self {
            project,
            network_owner: &network.project_id,
            shared: network.shared,
            device_owner: "",
        }
    }

    /// A port.
    pub fn port(port: &'a Port, network: &'a Network) -> Self {
        Self {
            device_owner: &port.device_owner,
            ..Self::on(network, &port.project_id)
        }
    }
}

impl Who {
    /// Whether the caller's roles alone make it one of these, whatever the resource.
    fn is(self, caller: &Caller) -> bool {
        match self {
            Who::Admin => caller.is_admin(),
            Who::Service => caller.is_service(),
            _ => false,
        }
    }

    fn is_to(self, caller: &Caller, target: &Target<'_>) -> bool {
        let owner = target.network_owner;
        match self {
            Who::Admin | Who::Service => self.is(caller),
            Who::Reader => has(caller, target.project, Role::Reader),
            Who::Member => has(caller, target.project, Role::Member),
            Who::NetworkReader => has(caller, owner, Role::Reader),
            Who::NetworkMember => has(caller, owner, Role::Member),
            Who::NetworkMemberUnlessDevice => {
                let device = DEVICES
                    .iter()
                    .any(|device| target.device_owner.starts_with(device));
                !device && has(caller, owner, Role::Member)
            }
            Who::NetworkManager => has(caller, owner, Role::Manager),
            Who::Shared => target.shared,
            Who::SharedMember => target.shared && has(caller, target.project, Role::Member),
        }
    }
}

fn has(caller: &Caller, project: &ProjectId, role: Role) -> bool {
    caller.project_id == *project && caller.roles.contains(&role)
}

/// Whether a rule lets the caller in, whatever the resource.
pub fn allows(allowed: Allowed, caller: &Caller) -> bool {
    allowed.iter().any(|who| who.is(caller))
}

/// Whether a rule lets the caller in.
pub fn allows_to(allowed: Allowed, caller: &Caller, target: &Target<'_>) -> bool {
    allowed.iter().any(|who| who.is_to(caller, target))
}

/// When a request that gives an attribute must satisfy a [`Guard`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// Always.
    Given,
    /// Always in a PUT, in a POST when it is not this JSON text, which is the default.
    Besides(&'static str),
    /// When it begins so.
    Begins(&'static str),
    /// When an item of the list has this member.
    Names(&'static str),
}

impl When {
    fn holds(self, value: &Json, new: bool) -> bool {
        match self {
            When::Given => true,
            When::Besides(default) => {
                !new || serde_json::from_str(default).ok().as_ref() != Some(value)
            }
            When::Begins(with) => value.as_str().is_some_and(|text| text.starts_with(with)),
            When::Names(member) => value
                .as_array()
                .is_some_and(|items| items.iter().any(|item| item.get(member).is_some())),
        }
    }
}

/// A rule on an attribute that goes beyond those of the resource.
#[derive(Clone, Copy, Debug)]
pub struct Guard {
    /// Its name after the verb and the noun.
    pub name: &'static str,
    /// When it is judged.
    pub when: When,
    /// Who says it in a POST.
    pub create: Allowed,
    /// Who says it in a PUT.
    pub update: Allowed,
}

/// A rule that a request must satisfy for what it says.
#[derive(Clone, Debug)]
pub struct Demand {
    /// Its name.
    pub rule: String,
    /// Whom it lets in.
    pub allowed: Allowed,
    /// Why it is not said even by those, where the value is none that holds here. Neutron judges who says it first.
    pub unsupported: Option<Refusal>,
}

impl Guard {
    /// What a request that gives this value must satisfy; `new` in a POST.
    pub fn demand(&self, noun: &str, value: &Json, new: bool) -> Option<Demand> {
        let (verb, allowed) = match new {
            true => ("create", self.create),
            false => ("update", self.update),
        };
        self.when.holds(value, new).then(|| Demand {
            rule: format!("{verb}_{noun}:{}", self.name),
            allowed,
            unsupported: None,
        })
    }
}

/// The rules of a noun.
#[derive(Debug)]
pub struct Rules {
    /// The noun, as rules are named.
    pub noun: &'static str,
    /// How its absence is told: the name in the message, and the type.
    pub not_found: (&'static str, RefusalKind),
    /// Who makes one, for the project that is to own it.
    pub create: Allowed,
    /// Who sees one.
    pub read: Allowed,
    /// Who changes one.
    pub update: Allowed,
    /// Who deletes one.
    pub delete: Allowed,
}

/// Networks.
pub const NETWORK: Rules = Rules {
    noun: "network",
    not_found: ("Network", RefusalKind::NetworkNotFound),
    create: &[Who::Admin, Who::Member],
    read: &[Who::Admin, Who::Reader, Who::Service, Who::Shared],
    update: &[Who::Admin, Who::Member],
    delete: &[Who::Admin, Who::Member],
};

/// Subnets.
pub const SUBNET: Rules = Rules {
    noun: "subnet",
    not_found: ("Subnet", RefusalKind::SubnetNotFound),
    create: &[Who::Admin, Who::NetworkMember],
    read: &[
        Who::Admin,
        Who::Reader,
        Who::NetworkReader,
        Who::Service,
        Who::Shared,
    ],
    update: &[Who::Admin, Who::Member, Who::NetworkMember],
    delete: &[Who::Admin, Who::Member, Who::NetworkMember],
};

/// Ports.
pub const PORT: Rules = Rules {
    noun: "port",
    not_found: ("Port", RefusalKind::PortNotFound),
    create: &[
        Who::Admin,
        Who::Service,
        Who::NetworkMember,
        Who::SharedMember,
    ],
    read: &[Who::Admin, Who::Service, Who::NetworkReader, Who::Reader],
    update: &[Who::Admin, Who::Service, Who::Member],
    delete: &[
        Who::Admin,
        Who::Service,
        Who::Member,
        Who::NetworkMemberUnlessDevice,
    ],
};

impl Rules {
    /// Whether the caller may make this resource, and say what it says of it.
    ///
    /// # Errors
    /// `PolicyNotAuthorized`.
    pub fn may_create(
        &self,
        caller: &Caller,
        target: &Target<'_>,
        demands: &[Demand],
    ) -> Result<(), Refusal> {
        if !allows_to(self.create, caller, target) {
            return Err(forbidden(&format!("create_{}", self.noun)));
        }
        check(demands, caller, target)
    }

    /// Whether the caller may change this resource, and say what it says of it.
    ///
    /// # Errors
    /// The type of the noun's absence where the caller does not even see it, else `PolicyNotAuthorized`.
    pub fn may_update(
        &self,
        caller: &Caller,
        target: &Target<'_>,
        id: impl Display,
        demands: &[Demand],
    ) -> Result<(), Refusal> {
        self.judge(("update", self.update), caller, target, id)?;
        check(demands, caller, target)
    }

    /// Whether the caller may delete this resource.
    ///
    /// # Errors
    /// As [`Rules::may_update`].
    pub fn may_delete(
        &self,
        caller: &Caller,
        target: &Target<'_>,
        id: impl Display,
    ) -> Result<(), Refusal> {
        self.judge(("delete", self.delete), caller, target, id)
    }

    fn judge(
        &self,
        (verb, allowed): (&str, Allowed),
        caller: &Caller,
        target: &Target<'_>,
        id: impl Display,
    ) -> Result<(), Refusal> {
        if allows_to(allowed, caller, target) {
            return Ok(());
        }
        if !allows_to(self.read, caller, target) {
            return Err(self.unknown(id));
        }
        Err(forbidden(&format!("{verb}_{}", self.noun)))
    }

    /// The answer about one that is not there, or that the caller does not see: it is not told which.
    pub fn unknown(&self, id: impl Display) -> Refusal {
        let (noun, kind) = self.not_found;
        Refusal::new(kind, format!("{noun} {id} could not be found."))
    }
}

fn check(demands: &[Demand], caller: &Caller, target: &Target<'_>) -> Result<(), Refusal> {
    let refused = demands
        .iter()
        .find(|demand| !allows_to(demand.allowed, caller, target));
    if let Some(demand) = refused {
        return Err(forbidden(&demand.rule));
    }
    let mut unsupported = demands.iter().filter_map(|one| one.unsupported.clone());
    unsupported.next().map_or(Ok(()), Err)
}

/// The project that a new resource belongs to: the caller's, or for administrators and services any.
///
/// # Errors
/// `HTTPBadRequest` where somebody else names another.
pub fn owner(caller: &Caller, asked: Option<ProjectId>) -> Result<ProjectId, Refusal> {
    match asked {
        None => Ok(caller.project_id.clone()),
        Some(asked) if asked == caller.project_id || allows(ANY_PROJECT, caller) => Ok(asked),
        Some(_) => Err(Refusal::new(
            RefusalKind::HttpBadRequest,
            "Specifying 'project_id' or 'tenant_id' other than the authenticated project in request requires admin privileges.",
        )),
    }
}

/// The refusal of a policy rule.
pub fn forbidden(rule: &str) -> Refusal {
    Refusal::new(
        RefusalKind::PolicyNotAuthorized,
        format!("{rule} is disallowed by policy."),
    )
}

#[cfg(test)]
mod tests;
