//! `clouds.yaml`, as far as it is maps of words: enough for the file that `hextet up` writes, and for HTTPS.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use reqwest::Certificate;
use serde_json::{Value, json};

/// How to sign in to one cloud.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CloudLogin {
    /// Address of the identity service, with `/v3`.
    pub auth_url: String,
    /// What proves who signs in.
    pub proof: Proof,
    /// Whom HTTPS is believed.
    pub trust: Trust,
}

/// What proves who signs in.
#[derive(Clone, PartialEq, Eq)]
pub enum Proof {
    /// A user's password, for a project.
    Password {
        /// The user's name.
        username: String,
        /// The user's password.
        password: String,
        /// The project's name.
        project_name: String,
        /// Name of the domain of both.
        domain_name: String,
    },
    /// An application credential, which has its project.
    Credential {
        /// Its id.
        id: String,
        /// Its secret.
        secret: String,
    },
}

impl std::fmt::Debug for Proof {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Proof::Password { .. } => "Password(..)",
            Proof::Credential { .. } => "Credential(..)",
        })
    }
}

/// Whom HTTPS is believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trust {
    /// The authorities that this machine knows.
    Machine,
    /// The authorities in this PEM file, and no others (`cacert`).
    File(PathBuf),
    /// Anybody (`verify: false`): the password goes to whoever answers.
    Anybody,
}

/// What an HTTP client believes of certificates.
pub struct Believed {
    /// The authorities, and no others; none: those that the machine knows.
    pub authorities: Option<Vec<Certificate>>,
    /// Whether certificates are not looked at.
    pub anybody: bool,
}

impl CloudLogin {
    /// The body of the login, for `POST /v3/auth/tokens`.
    pub fn body(&self) -> Value {
        match &self.proof {
            Proof::Password {
                username,
                password,
                project_name,
                domain_name,
            } => {
                let domain = json!({ "name": domain_name });
                json!({ "auth": {
                    "identity": { "methods": ["password"], "password": { "user": {
                        "name": username, "domain": domain, "password": password,
                    }}},
                    "scope": { "project": { "name": project_name, "domain": domain }},
                }})
            }
            Proof::Credential { id, secret } => json!({ "auth": { "identity": {
                "methods": ["application_credential"],
                "application_credential": { "id": id, "secret": secret },
            }}}),
        }
    }

    /// What a client that signs in here believes of certificates.
    ///
    /// # Errors
    /// When the address is none, or the file of authorities cannot be read.
    pub fn believed(&self) -> Result<Believed> {
        let url = reqwest::Url::parse(&self.auth_url)
            .ok()
            .filter(|url| matches!(url.scheme(), "http" | "https"));
        let Some(url) = url else {
            bail!(
                "{:?} is no address: it begins with http:// or https://",
                self.auth_url
            );
        };
        let believed = |authorities, anybody| Believed {
            authorities,
            anybody,
        };
        Ok(match &self.trust {
            // Nobody is asked for a certificate, and a machine need not know any authority.
            _ if url.scheme() == "http" => believed(Some(Vec::new()), false),
            Trust::Machine => believed(None, false),
            Trust::Anybody => believed(Some(Vec::new()), true),
            Trust::File(path) => {
                let pem = std::fs::read(path)
                    .with_context(|| format!("could not read cacert {}", path.display()))?;
                let found = Certificate::from_pem_bundle(&pem)
                    .with_context(|| format!("cacert {}", path.display()))?;
                if found.is_empty() {
                    bail!("cacert {} holds no certificate in PEM", path.display());
                }
                believed(Some(found), false)
            }
        })
    }
}

/// Why no answer came, with what to do about a certificate that is not believed.
pub fn unanswered(url: &str, error: reqwest::Error) -> anyhow::Error {
    let causes = std::iter::successors(
        Some(&error as &(dyn std::error::Error + 'static)),
        |error| error.source(),
    );
    let refused = causes
        .map(ToString::to_string)
        .any(|cause| cause.contains("invalid peer certificate"));
    anyhow::Error::from(error.without_url()).context(if refused {
        format!(
            "{url} shows a certificate that is not believed: name its authority's file by `cacert` in clouds.yaml, or by OS_CACERT"
        )
    } else {
        format!("no answer from {url}")
    })
}

/// Reads one cloud's login out of a `clouds.yaml`.
///
/// # Errors
/// When the file is not maps of words, or the cloud or one of its keys is not there.
pub fn login(text: &str, cloud: &str) -> Result<CloudLogin> {
    let words = maps(text)?;
    let of_cloud = |name: &str| words.get(&format!("clouds.{cloud}.{name}")).cloned();
    let key = |name: &str| {
        of_cloud(&format!("auth.{name}"))
            .with_context(|| format!("clouds.yaml lacks clouds.{cloud}.auth.{name}"))
    };
    let auth_url = key("auth_url")?;
    let proof = match key("application_credential_id") {
        Ok(id) => Proof::Credential {
            id,
            secret: key("application_credential_secret")?,
        },
        Err(_) => Proof::Password {
            username: key("username")?,
            password: key("password")?,
            project_name: key("project_name")?,
            domain_name: key("user_domain_name").unwrap_or_else(|_| "Default".to_owned()),
        },
    };
    let trust = match (of_cloud("verify"), of_cloud("cacert")) {
        (Some(word), _) if no(&word) => Trust::Anybody,
        (Some(word), _) if !yes(&word) => {
            bail!("clouds.{cloud}.verify is {word:?}: true or false is allowed")
        }
        (_, Some(path)) => Trust::File(PathBuf::from(path)),
        (_, None) => Trust::Machine,
    };
    Ok(CloudLogin {
        auth_url,
        proof,
        trust,
    })
}

fn yes(word: &str) -> bool {
    ["true", "yes", "on"]
        .iter()
        .any(|yes| word.eq_ignore_ascii_case(yes))
}

fn no(word: &str) -> bool {
    ["false", "no", "off"]
        .iter()
        .any(|no| word.eq_ignore_ascii_case(no))
}

/// Nested maps as dotted paths. Of YAML this knows block maps, plain and quoted words, and comments.
fn maps(text: &str) -> Result<BTreeMap<String, String>> {
    let mut words = BTreeMap::new();
    let mut path: Vec<(usize, String)> = Vec::new();
    for line in text.lines() {
        let content = line.trim();
        if content.is_empty() || content.starts_with('#') || content == "---" {
            continue;
        }
        let indent = line.len() - line.trim_start().len();
        while path.last().is_some_and(|(above, _)| *above >= indent) {
            path.pop();
        }
        let Some((key, value)) = content
            .split_once(": ")
            .or_else(|| content.strip_suffix(':').map(|key| (key, "")))
        else {
            bail!("clouds.yaml has a line that is no map entry: {content}");
        };
        path.push((indent, unquoted(key).to_owned()));
        if !value.is_empty() {
            let names: Vec<&str> = path.iter().map(|(_, name)| name.as_str()).collect();
            words.insert(names.join("."), unquoted(value.trim()).to_owned());
        }
    }
    Ok(words)
}

fn unquoted(word: &str) -> &str {
    for quote in ['"', '\''] {
        if let Some(inner) = word
            .strip_prefix(quote)
            .and_then(|rest| rest.strip_suffix(quote))
        {
            return inner;
        }
    }
    word
}

#[cfg(test)]
mod tests;
