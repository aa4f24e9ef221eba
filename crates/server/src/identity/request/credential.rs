//! The body of a new application credential.

use std::collections::BTreeSet;

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use serde::Deserialize;

use super::{check_name, check_password, check_text, parse};
use crate::identity::error::Failure;
use crate::identity::records::CREDENTIAL_NAME_CHARS_MAX;
use crate::identity::role::Role;
use crate::identity::secret::Secret;

/// `{"application_credential": …}` of a creation.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct CredentialBody {
    application_credential: NewCredential,
}

/// A credential that is asked for.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewCredential {
    /// Unique among the user's.
    pub name: String,
    /// Free text.
    pub description: Option<String>,
    /// The secret; a random one if absent.
    pub secret: Option<Secret>,
    /// All that the caller holds if absent or, as the openstack command says it, empty.
    roles: Option<Vec<RoleRef>>,
    expires_at: Option<String>,
    /// Whether its tokens may make and delete credentials.
    pub unrestricted: Option<bool>,
    /// The project, which is the token's.
    pub project_id: Option<String>,
    access_rules: Option<Vec<serde_json::Value>>,
}

/// A role by id or by name.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RoleRef {
    id: Option<String>,
    name: Option<String>,
    domain_id: Option<serde_json::Value>,
}

/// A credential that is asked for, its values read.
#[derive(Debug)]
pub struct Asked {
    /// As it was said.
    pub wanted: NewCredential,
    /// Its roles; `None`: all that the caller holds.
    pub roles: Option<BTreeSet<Role>>,
    /// When it ends, in seconds since 1970; `None`: never.
    pub expires_at: Option<u64>,
}

/// A new credential at a time, in seconds since 1970.
pub fn new_credential(body: &[u8], now: u64) -> Result<Asked, Failure> {
    let CredentialBody {
        application_credential: wanted,
    } = parse(body)?;
    wanted.check()?;
    Ok(Asked {
        roles: wanted.wanted_roles()?,
        expires_at: wanted.end(now)?,
        wanted,
    })
}

impl NewCredential {
    /// Refuses values that are out of range or that mean something which is not served.
    fn check(&self) -> Result<(), Failure> {
        check_name(Some(&self.name), CREDENTIAL_NAME_CHARS_MAX)?;
        check_text("description", self.description.as_deref())?;
        check_text("project_id", self.project_id.as_deref())?;
        if self
            .access_rules
            .as_ref()
            .is_some_and(|rules| !rules.is_empty())
        {
            return Err(Failure::bad_request(
                "access_rules: they are not served; give fewer roles instead.",
            ));
        }
        match &self.secret {
            Some(secret) => check_password(secret),
            None => Ok(()),
        }
    }

    /// The roles that are asked for; `None`: all.
    fn wanted_roles(&self) -> Result<Option<BTreeSet<Role>>, Failure> {
        let Some(roles) = &self.roles else {
            return Ok(None);
        };
        let wanted: BTreeSet<Role> = roles.iter().map(RoleRef::role).collect::<Result<_, _>>()?;
        Ok(Some(wanted).filter(|wanted| !wanted.is_empty()))
    }

    /// When it ends, in seconds since 1970; `now` must be before. UTC, with or without the letter Z.
    fn end(&self, now: u64) -> Result<Option<u64>, Failure> {
        let Some(text) = &self.expires_at else {
            return Ok(None);
        };
        let plain = text.strip_suffix('Z').unwrap_or(text);
        // The parser leaves out a zone, which would be another moment.
        let is_utc = |time: &str| {
            time.bytes()
                .all(|octet| octet.is_ascii_digit() || b":.".contains(&octet))
        };
        let moment = plain
            .split_once('T')
            .filter(|(_, time)| is_utc(time))
            .and_then(|_| plain.parse::<DateTime>().ok())
            .and_then(|moment| moment.to_zoned(TimeZone::UTC).ok())
            .ok_or_else(|| {
                Failure::bad_request(
                    "expires_at: a moment in UTC is allowed, as 2030-01-31T12:00:00.000000Z.",
                )
            })?;
        match u64::try_from(moment.timestamp().as_second()) {
            Ok(end) if end > now => Ok(Some(end)),
            _ => Err(Failure::bad_request(
                "expires_at: it must lie in the future.",
            )),
        }
    }
}

impl RoleRef {
    fn role(&self) -> Result<Role, Failure> {
        if self
            .domain_id
            .as_ref()
            .is_some_and(|domain| !domain.is_null())
        {
            return Err(Failure::bad_request("roles: no role belongs to a domain."));
        }
        let role = match (&self.id, &self.name) {
            (Some(id), None) => Role::from_id(id),
            (None, Some(name)) => name.parse().ok(),
            (Some(id), Some(name)) => Role::from_id(id).filter(|role| role.name() == name),
            (None, None) => None,
        };
        role.ok_or_else(|| {
            Failure::bad_request(
                "roles: each is an object with the id or the name of one of admin, manager, member, reader and service.",
            )
        })
    }
}
