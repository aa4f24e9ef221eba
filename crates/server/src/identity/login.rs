//! Logging in: a proof and a scope become a token, or an answer that is the same for every wrong proof.

use std::time::Instant;

use http::StatusCode;
use tracing::{Instrument as _, info};

use super::Identity;
use super::directory::Session;
use super::error::Failure;
use super::password::PasswordError;
use super::records::Credential;
use super::records::{Project, User};
use super::request::{
    Auth, CredentialProof, DomainRef, PasswordProof, ProjectRef, Scope, TokenProof, UserRef,
};
use super::secret::Secret;
use super::throttle::{Guessed, PUT_OFF_TIME, Source};
use super::token::{self, Claims};

/// How somebody can prove who they are.
const METHODS: [&str; 3] = ["password", "token", "application_credential"];

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
    /// The credential that logged in, which says the project.
    credential: Option<Credential>,
}

/// Logs in from this source.
pub async fn log_in(identity: &Identity, source: Source, auth: Auth) -> Result<Issued, Failure> {
    let given = auth.identity;
    let proofs = (given.password, given.token, given.application_credential);
    let proven = match (given.methods.as_slice(), proofs) {
        ([method], (Some(proof), None, None)) if method == "password" => {
            by_password(identity, source, proof).await?
        }
        ([method], (None, Some(proof), None)) if method == "token" => {
            by_token(identity, &proof).await?
        }
        ([method], (None, None, Some(proof))) if method == "application_credential" => {
            if auth.scope.is_some() {
                return Err(denied("Application credentials cannot request a scope."));
            }
            by_credential(identity, source, proof).await?
        }
        ([method], (None, None, None)) if METHODS.contains(&method.as_str()) => {
            return Err(Failure::bad_request(format!(
                "identity: the method is {method}, but there is no member {method}."
            )));
        }
        _ => {
            return Err(denied(
                "Attempted to authenticate with an unsupported method: give one of password, token and application_credential, and its proof alone.",
            ));
        }
    };
    issue(identity, proven, auth.scope).await
}

/// 401 that says why: nothing secret is in it.
fn denied(message: &str) -> Failure {
    Failure::Refusal(StatusCode::UNAUTHORIZED, message.to_owned())
}

async fn by_password(
    identity: &Identity,
    source: Source,
    PasswordProof { user: proof }: PasswordProof,
) -> Result<Proven, Failure> {
    let login = identity.now_ms();
    let (wanted, found) = find_user(identity, "identity.password.user", &proof.user()).await?;
    let user = found.filter(|user| user.enabled);
    let known = user
        .as_ref()
        .map(|user| (user.id.as_str(), user.password_hash.as_deref()));
    judge(identity, source, (&wanted, known), proof.password).await?;
    Ok(Proven {
        user: user.ok_or_else(Failure::unauthorized)?,
        methods: vec!["password".to_owned()],
        login,
        from: None,
        credential: None,
    })
}

/// The user that a request names at `place`, by id, or by name and domain; and how it named it.
async fn find_user(
    identity: &Identity,
    place: &str,
    UserRef { id, name, domain }: &UserRef<'_>,
) -> Result<(String, Option<User>), Failure> {
    let (wanted, found) = match (id, name) {
        (Some(id), None) => {
            let found = identity.directory(|directory| directory.get::<User>(id));
            (id, found.await?)
        }
        (None, Some(name)) if domain.is_some() => {
            let found = identity.directory(|directory| directory.user_named(name));
            (name, found.await?)
        }
        _ => {
            return Err(Failure::bad_request(format!(
                "{place}: give either id, or name and domain."
            )));
        }
    };
    let found = found.filter(|_| DomainRef::fits(*domain));
    Ok(((*wanted).to_owned(), found))
}

/// Proves that `password` is this user's; else 401. After failures it waits for a turn first.
pub async fn prove(
    identity: &Identity,
    source: Source,
    id: &str,
    password: Secret,
) -> Result<(), Failure> {
    let found: Option<User> = identity.directory(|directory| directory.get(id)).await?;
    let found = found.filter(|user| user.enabled);
    let known = found
        .as_ref()
        .map(|user| (user.id.as_str(), user.password_hash.as_deref()));
    judge(identity, source, (id, known), password).await
}

/// `wanted` is how the caller named the user or the credential, `known` its id and its hash, if it can log in.
async fn judge(
    identity: &Identity,
    source: Source,
    (wanted, known): (&str, Option<(&str, Option<&str>)>),
    password: Secret,
) -> Result<(), Failure> {
    // A user has one count of failures, whether guessed at by id or by name; names of nobody count by themselves.
    let guessed = match known {
        Some((id, _)) => Guessed::Known(id.to_owned()),
        None => Guessed::Nobody(wanted.to_owned()),
    };
    wait_turn(identity, source, &guessed).await?;
    let place = identity.hasher().admit(source)?;
    let hash = known.and_then(|(_, hash)| hash.map(str::to_owned));
    let identity = identity.clone();
    let judging = async move {
        let _place = place;
        let right = identity.hasher().verify(password, hash).await?;
        let now = Instant::now();
        match guessed {
            Guessed::Known(id) if right => {
                identity.throttle().handle_success(&id, source, now);
                identity.inner.logins.count_success();
                Ok(())
            }
            guessed => {
                identity.throttle().handle_failure(&guessed, source, now);
                identity.inner.logins.count_failure();
                info!("login refused");
                Err(Failure::unauthorized())
            }
        }
    };
    // Apart from the request: who hangs up while the hash is computed has guessed all the same.
    tokio::spawn(judging.in_current_span())
        .await
        .map_err(PasswordError::Thread)?
}

/// Waits until it is this login's turn; 429 where that is too long.
async fn wait_turn(identity: &Identity, source: Source, whom: &Guessed) -> Result<(), Failure> {
    let turn = identity.throttle().take_turn(whom, source, Instant::now());
    match turn {
        Ok(wait) if wait.is_zero() => Ok(()),
        Ok(wait) => {
            identity.inner.logins.count_damped();
            Ok(identity.hasher().wait(source, wait).await?)
        }
        Err(wait) => {
            identity.inner.logins.count_put_off();
            info!("login put off");
            // Where too many wait already it is told at once.
            let _ = identity.hasher().wait(source, PUT_OFF_TIME).await;
            Err(Failure::put_off(wait))
        }
    }
}

async fn by_credential(
    identity: &Identity,
    source: Source,
    proof: CredentialProof,
) -> Result<Proven, Failure> {
    let login = identity.now_ms();
    let (wanted, found) = match (&proof.id, &proof.name, &proof.user) {
        (Some(id), None, None) => {
            let found: Option<Credential> =
                identity.directory(|directory| directory.get(id)).await?;
            (id.clone(), found)
        }
        (None, Some(name), Some(user)) => {
            let place = "identity.application_credential.user";
            let (wanted, user) = find_user(identity, place, &user.borrowed()).await?;
            let found = match user {
                Some(user) => {
                    let named =
                        identity.directory(|directory| directory.credential_named(&user.id, name));
                    named.await?
                }
                None => None,
            };
            (format!("{wanted}/{name}"), found)
        }
        _ => {
            return Err(Failure::bad_request(
                "identity.application_credential: give either id, or name and user.",
            ));
        }
    };
    let holds = |credential: &Credential| {
        let end = credential.expires_at;
        end.is_none_or(|end| login / 1000 < end)
    };
    let found = found.filter(holds);
    let known = found.as_ref().map(|credential| {
        (
            credential.id.as_str(),
            Some(credential.secret_hash.as_str()),
        )
    });
    judge(identity, source, (&wanted, known), proof.secret).await?;
    let credential = found.ok_or_else(Failure::unauthorized)?;
    let user: Option<User> = identity
        .directory(|directory| directory.get(&credential.user_id))
        .await?;
    Ok(Proven {
        user: user.ok_or_else(Failure::unauthorized)?,
        methods: vec!["application_credential".to_owned()],
        login,
        from: None,
        credential: Some(credential),
    })
}

async fn by_token(identity: &Identity, proof: &TokenProof) -> Result<Proven, Failure> {
    let session = identity
        .session(proof.id.expose())
        .await?
        .ok_or_else(Failure::unauthorized)?;
    let Session {
        claims,
        user,
        credential,
        ..
    } = (*session).clone();
    let mut methods = claims.methods.clone();
    if !methods.iter().any(|method| method == "token") {
        methods.push("token".to_owned());
    }
    Ok(Proven {
        user,
        methods,
        login: claims.login,
        from: Some(claims),
        credential,
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
        credential,
    } = proven;
    let project = match &credential {
        None => choose_project(identity, &user, scope)
            .await?
            .map(|project| project.id),
        Some(credential) => Some(own_project(identity, &user, scope, credential).await?),
    };
    let iat = identity.now_ms() / 1000;
    let (exp, parent) = match from {
        None => (iat.saturating_add(identity.token_lifetime_seconds()), None),
        Some(first) => (first.exp, Some(first.parent.unwrap_or(first.jti))),
    };
    let end = credential
        .as_ref()
        .and_then(|credential| credential.expires_at);
    let claims = Claims {
        sub: user.id,
        project,
        iat,
        exp: end.map_or(exp, |end| exp.min(end)),
        login,
        jti: super::accounts::new_id(),
        parent,
        methods,
        credential: credential.map(|credential| credential.id),
    };
    let (key, session) = identity
        .directory(|directory| {
            let key = directory.signing_key()?;
            Ok::<_, Failure>((key, directory.session(claims)?))
        })
        .await?;
    // Between the look-ups and here somebody may have taken the role, the project or the user away; and a project in
    // which the user holds no role is told apart from one that is not there by nobody.
    let session = session.ok_or_else(Failure::unauthorized)?;
    let key = key.ok_or_else(|| Failure::fault(token::SignError::Key))?;
    let token = token::sign(&key, &session.claims).map_err(Failure::fault)?;
    Ok(Issued {
        token: Secret::new(token),
        session,
    })
}

/// A credential's token is for its own project; a request may say so.
async fn own_project(
    identity: &Identity,
    user: &User,
    scope: Option<Scope>,
    credential: &Credential,
) -> Result<String, Failure> {
    if scope.is_some() {
        let asked = choose_project(identity, user, scope).await?;
        if asked.is_none_or(|project| project.id != credential.project_id) {
            return Err(denied(
                "An application credential's tokens stay in its project.",
            ));
        }
    }
    Ok(credential.project_id.clone())
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
