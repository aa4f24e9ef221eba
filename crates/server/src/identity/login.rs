//! Logging in: a proof and a scope become a token, or an answer that is the same for every wrong proof.

use std::time::Instant;

use http::StatusCode;
use tracing::info;

use super::Identity;
use super::directory::Session;
use super::error::Failure;
use super::records::{Project, User};
use super::request::{Auth, DomainRef, PasswordProof, ProjectRef, Scope, TokenProof, UserProof};
use super::secret::Secret;
use super::token::Claims;

/// A login that succeeded.
#[derive(Debug)]
pub struct Issued {
    /// The token (`X-Subject-Token`).
    pub token: Secret,
    /// What it opens.
    pub session: Session,
}

/// Who proved to be themselves, and how.
struct Proven {
    user: User,
    methods: Vec<String>,
    /// Milliseconds since 1970.
    login: u64,
    /// Set for a token made from a token: the first audit id, the end that it inherits, the project it was for.
    from: Option<Claims>,
}

/// Logs in.
pub async fn log_in(identity: &Identity, auth: Auth) -> Result<Issued, Failure> {
    let credentials = auth.identity;
    let proven = match (
        credentials.methods.as_slice(),
        credentials.password,
        credentials.token,
    ) {
        ([method], Some(proof), None) if method == "password" => {
            by_password(identity, proof).await?
        }
        ([method], None, Some(proof)) if method == "token" => by_token(identity, &proof).await?,
        ([method], None, None) if method == "password" || method == "token" => {
            return Err(Failure::bad_request(format!(
                "identity: the method is {method}, but there is no member {method}."
            )));
        }
        _ => {
            let message = "Attempted to authenticate with an unsupported method: give [\"password\"] or [\"token\"], and its proof alone.";
            return Err(Failure::Refusal(
                StatusCode::UNAUTHORIZED,
                message.to_owned(),
            ));
        }
    };
    issue(identity, proven, auth.scope).await
}

async fn by_password(
    identity: &Identity,
    PasswordProof { user: proof }: PasswordProof,
) -> Result<Proven, Failure> {
    let UserProof {
        id,
        name,
        domain,
        password,
    } = proof;
    let login = identity.now_ms();
    let (wanted, found) = match (id, name) {
        (Some(id), None) => {
            let found = identity
                .directory(|directory| directory.get::<User>(&id))
                .await?;
            (id, found)
        }
        (None, Some(name)) if domain.is_some() => {
            let found = identity
                .directory(|directory| directory.user_named(&name))
                .await?;
            (name, found)
        }
        _ => {
            return Err(Failure::bad_request(
                "identity.password.user: give either id, or name and domain.",
            ));
        }
    };
    let found = found.filter(|_| DomainRef::fits(domain.as_ref()));
    let user = judge(identity, &wanted, found, password).await?;
    Ok(Proven {
        user,
        methods: vec!["password".to_owned()],
        login,
        from: None,
    })
}

/// Proves that `password` is this user's; else 401, after a delay that grows with each failure.
pub async fn prove(identity: &Identity, id: &str, password: Secret) -> Result<User, Failure> {
    let found = identity
        .directory(|directory| directory.get::<User>(id))
        .await?;
    judge(identity, id, found, password).await
}

/// `wanted` is how the caller named the user, `found` whom that is.
async fn judge(
    identity: &Identity,
    wanted: &str,
    found: Option<User>,
    password: Secret,
) -> Result<User, Failure> {
    let place = identity.hasher().admit()?;
    let user = found.filter(|user| user.enabled);
    // A user has one count of failures, whether guessed at by id or by name; names of nobody count by themselves.
    let counted = user
        .as_ref()
        .map_or(wanted, |user| user.id.as_str())
        .to_owned();
    let hash = user.as_ref().and_then(|user| user.password_hash.clone());
    let right = identity.hasher().verify(password, hash).await?;
    drop(place);
    if let Some(user) = user.filter(|_| right) {
        identity.throttle().handle_success(&counted);
        return Ok(user);
    }
    let delay = identity.throttle().handle_failure(&counted, Instant::now());
    info!("login refused");
    identity.hasher().delay(delay).await?;
    Err(Failure::unauthorized())
}

async fn by_token(identity: &Identity, proof: &TokenProof) -> Result<Proven, Failure> {
    let session = identity
        .session(proof.id.expose())
        .await?
        .ok_or_else(Failure::unauthorized)?;
    let Session { claims, user, .. } = session;
    let mut methods = claims.methods.clone();
    if !methods.iter().any(|method| method == "token") {
        methods.push("token".to_owned());
    }
    Ok(Proven {
        user,
        methods,
        login: claims.login,
        from: Some(claims),
    })
}

async fn issue(
    identity: &Identity,
    proven: Proven,
    scope: Option<Scope>,
) -> Result<Issued, Failure> {
    let Proven {
        user,
        methods,
        login,
        from,
    } = proven;
    let project = choose_project(identity, &user, scope).await?;
    let iat = identity.now_ms() / 1000;
    let (exp, parent) = match from {
        None => (iat.saturating_add(identity.token_lifetime_seconds()), None),
        Some(first) => (first.exp, Some(first.parent.unwrap_or(first.jti))),
    };
    let claims = Claims {
        sub: user.id,
        project: project.map(|project| project.id),
        iat,
        exp,
        login,
        jti: super::accounts::new_id(),
        parent,
        methods,
    };
    let token = identity.signer().sign(&claims).map_err(Failure::fault)?;
    let session = identity
        .directory(|directory| directory.session(claims))
        .await?;
    // Between the look-ups and here somebody may have taken the role, the project or the user away; and a project in
    // which the user holds no role is told apart from one that is not there by nobody.
    let session = session.ok_or_else(Failure::unauthorized)?;
    Ok(Issued {
        token: Secret::new(token),
        session,
    })
}

async fn choose_project(
    identity: &Identity,
    user: &User,
    scope: Option<Scope>,
) -> Result<Option<Project>, Failure> {
    let target = match scope {
        None => return default_project(identity, user).await,
        Some(Scope::Word(word)) if word == "unscoped" => return Ok(None),
        Some(Scope::Word(_)) => {
            return Err(Failure::bad_request(
                "scope: the only word allowed is \"unscoped\".",
            ));
        }
        Some(Scope::Target(target)) => target,
    };
    if target.domain.is_some() || target.system.is_some() {
        return Err(Failure::bad_request(
            "scope: tokens are for a project here; domain and system scopes are not served.",
        ));
    }
    let Some(ProjectRef { id, name, domain }) = target.project else {
        return Err(Failure::bad_request("scope: it names no project."));
    };
    let found = identity
        .directory(|directory| match (&id, &name) {
            (Some(id), None) => directory.get::<Project>(id).map(Ok),
            (None, Some(name)) if domain.is_some() => directory.project_named(name).map(Ok),
            _ => Ok(Err(Failure::bad_request(
                "scope.project: give either id, or name and domain.",
            ))),
        })
        .await??;
    found
        .filter(|_| DomainRef::fits(domain.as_ref()))
        .map(Some)
        .ok_or_else(Failure::unauthorized)
}

/// The user's default project if it can be used, else none: then the token is unscoped (as with Keystone).
async fn default_project(identity: &Identity, user: &User) -> Result<Option<Project>, Failure> {
    let Some(id) = &user.default_project_id else {
        return Ok(None);
    };
    identity
        .directory(|directory| {
            let usable = !directory.granted(id, &user.id)?.is_empty();
            Ok(directory
                .get::<Project>(id)?
                .filter(|project| usable && project.enabled))
        })
        .await
}
