//! Tokens: signed claims, so that no table of them is needed. A token is a JWT (RFC 7519) under HMAC-SHA-256.
//!
//! It says who and where and until when. It does not say what the user may do: that is looked up at each use.

use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};

use super::records::SigningKey;

/// Longest token that is looked at, in octets: ours are far below, and a longer one is not worth a signature check.
const TOKEN_BYTES_MAX: usize = 2048;

/// What a token says. Moments are seconds since 1970-01-01T00:00Z.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// The user's id.
    pub sub: String,
    /// The project's id, or none for an unscoped token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<String>,
    /// When this token was made.
    pub iat: u64,
    /// From this moment on it opens nothing. A token made from a token keeps the first one's moment.
    pub exp: u64,
    /// When the user proved the password, in milliseconds: before `iat` for a token made from a token.
    pub login: u64,
    /// The audit id (Keystone's `audit_ids[0]`), by which it is revoked.
    pub jti: String,
    /// The audit id of the first token of this login (Keystone's `audit_ids[1]`), if this is not the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<String>,
    /// How the user proved who they are: `password` or `application_credential`, then `token` when exchanged.
    pub methods: Vec<String>,
    /// The application credential that logged in, if one did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential: Option<String>,
}

impl Claims {
    /// Keystone's `audit_ids`: its own, then the first one's of the same login.
    pub fn audit_ids(&self) -> Vec<&str> {
        std::iter::once(self.jti.as_str())
            .chain(self.parent.as_deref())
            .collect()
    }
}

/// Why no token can be made.
#[derive(Debug, thiserror::Error)]
pub enum SignError {
    /// The stored key is damaged.
    #[error("the signing key is damaged")]
    Key,
    /// The library's.
    #[error("the token could not be signed")]
    Sign(#[from] jsonwebtoken::errors::Error),
}

/// Why a token opens nothing. Told to logs at most, never to the bearer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Discard {
    /// Longer than any of ours, or not a token at all, or not signed with a key of ours that still verifies.
    #[error("the token is not one of ours")]
    Foreign,
    /// Its time is over.
    #[error("the token has expired")]
    Expired,
}

/// The token that says `claims`, signed with `key`.
pub fn sign(key: &SigningKey, claims: &Claims) -> Result<String, SignError> {
    let octets = key.octets().ok_or(SignError::Key)?;
    let header = Header {
        kid: Some(key.id.clone()),
        ..Header::new(Algorithm::HS256)
    };
    let token = jsonwebtoken::encode(&header, claims, &EncodingKey::from_secret(&octets))?;
    Ok(token)
}

/// What `token` says, if the key that it names signed it, and `now` (seconds since 1970) is before its end. `key` looks
/// a key up.
pub fn verify<E>(
    token: &str,
    now: u64,
    key: impl FnOnce(&str) -> Result<Option<SigningKey>, E>,
) -> Result<Result<Claims, Discard>, E> {
    if token.len() > TOKEN_BYTES_MAX {
        return Ok(Err(Discard::Foreign));
    }
    let Ok(header) = jsonwebtoken::decode_header(token) else {
        return Ok(Err(Discard::Foreign));
    };
    // Before keys had names there was one.
    let name = header.kid.as_deref().unwrap_or(SigningKey::FIRST);
    let found = key(name)?.filter(|key| key.verifies(now));
    let Some(octets) = found.and_then(|key| key.octets()) else {
        return Ok(Err(Discard::Foreign));
    };
    let mut validation = Validation::new(Algorithm::HS256);
    // The time is an argument here, so that expiry can be tested; the library would read the clock.
    validation.validate_exp = false;
    let decoded =
        jsonwebtoken::decode::<Claims>(token, &DecodingKey::from_secret(&octets), &validation);
    Ok(match decoded {
        Err(_) => Err(Discard::Foreign),
        Ok(decoded) if now >= decoded.claims.exp => Err(Discard::Expired),
        Ok(decoded) => Ok(decoded.claims),
    })
}

#[cfg(test)]
mod tests;
