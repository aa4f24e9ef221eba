//! Request bodies. An attribute that is not named here is refused, because it would be accepted and ignored.

mod credential;
mod fields;

use serde::{Deserialize, Deserializer};

use super::directory::is_our_domain;
use super::error::Failure;
use super::password::PASSWORD_BYTES_MAX;
use super::records::{DOMAIN_ID, PROJECT_NAME_CHARS_MAX, USER_NAME_CHARS_MAX};
use super::secret::Secret;
pub use credential::{Asked, NewCredential, new_credential};
pub use fields::fields_of;

/// Longest description or address, in characters.
const TEXT_CHARS_MAX: usize = 255;

/// `POST /v3/auth/tokens`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct AuthBody {
    auth: Auth,
}

/// Who logs in, and where to.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Auth {
    /// Who.
    pub identity: Credentials,
    /// Where to. Absent: the user's default project, else nowhere (an unscoped token).
    pub scope: Option<Scope>,
}

/// The proof of who logs in.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Credentials {
    /// `["password"]`, `["token"]` or `["application_credential"]`.
    pub methods: Vec<String>,
    /// The proof of method `password`.
    pub password: Option<PasswordProof>,
    /// The proof of method `token`.
    pub token: Option<TokenProof>,
    /// The proof of method `application_credential`.
    pub application_credential: Option<CredentialProof>,
}

/// Method `password`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PasswordProof {
    /// Who, and the password.
    pub user: UserProof,
}

/// A user by id or by name, and the password.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UserProof {
    /// By id.
    pub id: Option<String>,
    /// By name; the domain belongs to it.
    pub name: Option<String>,
    /// The domain of the name. Beside an id it is not needed, but must be right.
    pub domain: Option<DomainRef>,
    /// The password.
    pub password: Secret,
}

impl UserProof {
    /// Which user.
    pub fn user(&self) -> UserRef<'_> {
        UserRef {
            id: self.id.as_deref(),
            name: self.name.as_deref(),
            domain: self.domain.as_ref(),
        }
    }
}

/// A user by id, or by name and domain, as a request names it.
#[derive(Clone, Copy, Debug)]
pub struct UserRef<'a> {
    /// By id.
    pub id: Option<&'a str>,
    /// By name; the domain belongs to it.
    pub name: Option<&'a str>,
    /// The domain of the name. Beside an id it is not needed, but must be right.
    pub domain: Option<&'a DomainRef>,
}

/// Method `application_credential`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CredentialProof {
    /// By id.
    pub id: Option<String>,
    /// By name; the user belongs to it.
    pub name: Option<String>,
    /// The user of the name.
    pub user: Option<CredentialUser>,
    /// The secret.
    pub secret: Secret,
}

/// Whose credential it is.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CredentialUser {
    id: Option<String>,
    name: Option<String>,
    domain: Option<DomainRef>,
}

impl CredentialUser {
    /// Which user.
    pub fn borrowed(&self) -> UserRef<'_> {
        UserRef {
            id: self.id.as_deref(),
            name: self.name.as_deref(),
            domain: self.domain.as_ref(),
        }
    }
}

/// Method `token`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenProof {
    /// A token that holds.
    pub id: Secret,
}

/// Where to.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub enum Scope {
    /// The word `unscoped`: nowhere, although there is a default project.
    Word(String),
    /// Somewhere.
    Target(Box<ScopeTarget>),
}

/// A project, or a kind of scope that is refused by name.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScopeTarget {
    /// The project.
    pub project: Option<ProjectRef>,
    /// Not served.
    pub domain: Option<serde_json::Value>,
    /// Not served.
    pub system: Option<serde_json::Value>,
}

/// A project by id or by name.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProjectRef {
    /// By id.
    pub id: Option<String>,
    /// By name; the domain belongs to it.
    pub name: Option<String>,
    /// The domain of the name. Beside an id it is not needed, but must be right.
    pub domain: Option<DomainRef>,
}

/// A domain by id or by name or both.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DomainRef {
    id: Option<String>,
    name: Option<String>,
}

impl DomainRef {
    /// Whether an absent or given domain is the one that there is.
    pub fn fits(given: Option<&DomainRef>) -> bool {
        given.is_none_or(|domain| is_our_domain(domain.id.as_deref(), domain.name.as_deref()))
    }
}

/// `{"project": …}` of a creation or a change.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ProjectBody {
    project: ProjectFields,
}

/// A project's attributes, each as given or not.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProjectFields {
    /// Unique.
    pub name: Option<String>,
    /// Free text.
    #[serde(default, deserialize_with = "given")]
    pub description: Option<Option<String>>,
    /// Whether it opens.
    pub enabled: Option<bool>,
    domain_id: Option<String>,
    parent_id: Option<String>,
    is_domain: Option<bool>,
    #[serde(default)]
    tags: Vec<String>,
    #[serde(default)]
    options: serde_json::Map<String, serde_json::Value>,
}

/// `{"user": …}` of a creation or a change.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct UserBody {
    user: UserFields,
}

/// A user's attributes, each as given or not.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UserFields {
    /// Unique.
    pub name: Option<String>,
    /// The new password. Null: none, so that no password opens.
    #[serde(default, deserialize_with = "given")]
    pub password: Option<Option<Secret>>,
    /// Free text.
    #[serde(default, deserialize_with = "given")]
    pub description: Option<Option<String>>,
    /// An address to write to.
    #[serde(default, deserialize_with = "given")]
    pub email: Option<Option<String>>,
    /// The project of a login that names none.
    #[serde(default, deserialize_with = "given")]
    pub default_project_id: Option<Option<String>>,
    /// Whether the user can log in.
    pub enabled: Option<bool>,
    domain_id: Option<String>,
    #[serde(default)]
    options: serde_json::Map<String, serde_json::Value>,
}

/// `POST /v3/users/{id}/password`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ChangePasswordBody {
    user: ChangePassword,
}

/// The old password and the new one.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChangePassword {
    /// The old one.
    pub original_password: Secret,
    /// The new one.
    pub password: Secret,
}

/// `POST /v3/hextet/token_keys`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyBody {
    token_key: NewKey,
}

/// What becomes of the keys before.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewKey {
    /// Whether they end at once.
    pub end_tokens: Option<bool>,
}

impl ProjectFields {
    /// Refuses values that are out of range or that mean something which is not served.
    fn check(&self) -> Result<(), Failure> {
        check_domain(self.domain_id.as_deref())?;
        if self.parent_id.as_deref().is_some_and(|id| id != DOMAIN_ID) {
            return Err(Failure::bad_request(
                "parent_id: projects are not nested here; leave it out or give \"default\".",
            ));
        }
        if self.is_domain == Some(true) {
            return Err(Failure::bad_request(
                "is_domain: there is one domain, \"default\", and no other can be made.",
            ));
        }
        if !self.tags.is_empty() {
            return Err(Failure::bad_request("tags: projects have no tags here."));
        }
        check_options(&self.options)?;
        check_name(self.name.as_deref(), PROJECT_NAME_CHARS_MAX)?;
        check_text(
            "description",
            self.description.as_ref().and_then(Option::as_deref),
        )
    }
}

impl UserFields {
    /// Refuses values that are out of range or that mean something which is not served.
    fn check(&self) -> Result<(), Failure> {
        check_domain(self.domain_id.as_deref())?;
        check_options(&self.options)?;
        check_name(self.name.as_deref(), USER_NAME_CHARS_MAX)?;
        check_text(
            "description",
            self.description.as_ref().and_then(Option::as_deref),
        )?;
        check_text("email", self.email.as_ref().and_then(Option::as_deref))?;
        let project = self.default_project_id.as_ref();
        check_text("default_project_id", project.and_then(Option::as_deref))?;
        match self.password.as_ref().and_then(Option::as_ref) {
            Some(password) => check_password(password),
            None => Ok(()),
        }
    }
}

/// A login.
pub fn login(body: &[u8]) -> Result<Auth, Failure> {
    parse(body).map(|AuthBody { auth }| auth)
}

/// A new project's name and attributes.
pub fn new_project(body: &[u8]) -> Result<(String, ProjectFields), Failure> {
    let mut fields = project_change(body)?;
    Ok((required(fields.name.take())?, fields))
}

/// What is to change of a project.
pub fn project_change(body: &[u8]) -> Result<ProjectFields, Failure> {
    let ProjectBody { project } = parse(body)?;
    project.check()?;
    Ok(project)
}

/// A new user's name and attributes.
pub fn new_user(body: &[u8]) -> Result<(String, UserFields), Failure> {
    let mut fields = user_change(body)?;
    Ok((required(fields.name.take())?, fields))
}

/// What is to change of a user.
pub fn user_change(body: &[u8]) -> Result<UserFields, Failure> {
    let UserBody { user } = parse(body)?;
    user.check()?;
    Ok(user)
}

/// A new password, with the old one as proof.
pub fn new_password(body: &[u8]) -> Result<ChangePassword, Failure> {
    let ChangePasswordBody { user } = parse(body)?;
    check_password(&user.original_password)?;
    check_password(&user.password)?;
    Ok(user)
}

/// A new key that signs tokens.
pub fn new_key(body: &[u8]) -> Result<NewKey, Failure> {
    parse(body).map(|KeyBody { token_key }| token_key)
}

fn required(name: Option<String>) -> Result<String, Failure> {
    name.ok_or_else(|| Failure::bad_request("name: it is required."))
}

/// Parses a body. What is wrong in it is said with the place, never with the content, which may be a password.
fn parse<T: for<'de> Deserialize<'de>>(body: &[u8]) -> Result<T, Failure> {
    serde_json::from_slice(body).map_err(|error| {
        let message = match error.classify() {
            serde_json::error::Category::Data => describe(&error),
            _ => format!(
                "The body is not JSON: see line {}, column {}.",
                error.line(),
                error.column()
            ),
        };
        Failure::bad_request(message)
    })
}

/// As [`UserFields::check`], of a name alone.
pub fn check_user_name(name: &str) -> Result<(), Failure> {
    check_name(Some(name), USER_NAME_CHARS_MAX)
}

/// As [`ProjectFields::check`], of a name alone.
pub fn check_project_name(name: &str) -> Result<(), Failure> {
    check_name(Some(name), PROJECT_NAME_CHARS_MAX)
}

/// Passwords are at least one octet and at most [`PASSWORD_BYTES_MAX`].
pub fn check_password(password: &Secret) -> Result<(), Failure> {
    match password.expose().len() {
        1..=PASSWORD_BYTES_MAX => Ok(()),
        _ => Err(Failure::bad_request(format!(
            "password: 1 to {PASSWORD_BYTES_MAX} octets are allowed."
        ))),
    }
}

/// The library's message names unknown, missing and repeated members; one about a wrong type quotes the value, so that is left
/// out.
fn describe(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let safe = ["unknown field", "missing field", "duplicate field"]
        .iter()
        .any(|start| text.starts_with(start));
    let place = format!("line {}, column {}", error.line(), error.column());
    if safe {
        format!("The body cannot be used: {text}.")
    } else {
        format!("The body cannot be used: wrong type at {place}.")
    }
}

/// A member that is there, even if it is null.
fn given<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Option<T>>, D::Error> {
    Option::<T>::deserialize(deserializer).map(Some)
}

fn check_domain(id: Option<&str>) -> Result<(), Failure> {
    if is_our_domain(id, None) {
        return Ok(());
    }
    Err(Failure::bad_request(
        "domain_id: there is one domain, \"default\".",
    ))
}

fn check_options(options: &serde_json::Map<String, serde_json::Value>) -> Result<(), Failure> {
    match options.keys().next() {
        None => Ok(()),
        Some(name) => Err(Failure::bad_request(format!(
            "options: \"{name}\" is not served."
        ))),
    }
}

fn check_name(name: Option<&str>, chars_max: usize) -> Result<(), Failure> {
    let Some(name) = name else { return Ok(()) };
    if (1..=chars_max).contains(&name.chars().count())
        && name.trim() == name
        && !name.chars().any(char::is_control)
    {
        return Ok(());
    }
    Err(Failure::bad_request(format!(
        "name: 1 to {chars_max} characters are allowed, no control characters, no space at either end."
    )))
}

fn check_text(attribute: &str, text: Option<&str>) -> Result<(), Failure> {
    if text.is_none_or(|text| text.chars().count() <= TEXT_CHARS_MAX) {
        return Ok(());
    }
    Err(Failure::bad_request(format!(
        "{attribute}: at most {TEXT_CHARS_MAX} characters are allowed."
    )))
}
