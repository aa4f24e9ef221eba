//! `clouds.yaml`, as far as it is maps of words: enough for the file that `hextet up` writes.

use anyhow::{Context, Result, bail};
use std::collections::BTreeMap;

/// How to sign in to one cloud.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CloudLogin {
    /// Address of the identity service, with `/v3`.
    pub auth_url: String,
    /// The user's name.
    pub username: String,
    /// The user's password.
    pub password: String,
    /// The project's name.
    pub project_name: String,
    /// Name of the domain of both.
    pub domain_name: String,
}

/// Reads one cloud's login out of a `clouds.yaml`.
///
/// # Errors
/// When the file is not maps of words, or the cloud or one of its keys is not there.
pub fn login(text: &str, cloud: &str) -> Result<CloudLogin> {
    let words = maps(text)?;
    let key = |name: &str| {
        let path = format!("clouds.{cloud}.auth.{name}");
        words
            .get(&path)
            .cloned()
            .with_context(|| format!("clouds.yaml lacks {path}"))
    };
    Ok(CloudLogin {
        auth_url: key("auth_url")?,
        username: key("username")?,
        password: key("password")?,
        project_name: key("project_name")?,
        domain_name: key("user_domain_name").unwrap_or_else(|_| "Default".to_owned()),
    })
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
