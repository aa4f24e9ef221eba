//! Tokens: signed claims, so that no table of them is needed. A token is a JWT (RFC 7519) under HMAC-SHA-256.
//!
//! It says who and where and until when. It does not say what the user may do: that is looked up at each use.

use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};

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
    /// How the user proved who they are: `password`, then `token` when exchanged.
    pub methods: Vec<String>,
}

impl Claims {
    /// Keystone's `audit_ids`: its own, then the first one's of the same login.
    pub fn audit_ids(&self) -> Vec<&str> {
        std::iter::once(self.jti.as_str())
            .chain(self.parent.as_deref())
            .collect()
    }
}

/// Why a token opens nothing. Told to logs at most, never to the bearer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Discard {
    /// Longer than any of ours, or not a token at all, or not signed with our key.
    #[error("the token is not one of ours")]
    Foreign,
    /// Its time is over.
    #[error("the token has expired")]
    Expired,
}

/// Signs and verifies.
#[derive(Clone)]
pub struct Signer {
    encoding: EncodingKey,
    decoding: DecodingKey,
}

impl Signer {
    /// A signer with this key.
    pub fn new(key: &[u8]) -> Self {
        Self {
            encoding: EncodingKey::from_secret(key),
            decoding: DecodingKey::from_secret(key),
        }
    }

    /// The token that says `claims`.
    pub fn sign(&self, claims: &Claims) -> Result<String, jsonwebtoken::errors::Error> {
        jsonwebtoken::encode(&Header::new(Algorithm::HS256), claims, &self.encoding)
    }

    /// What `token` says, if we signed it and `now` (seconds since 1970) is before its end.
    pub fn verify(&self, token: &str, now: u64) -> Result<Claims, Discard> {
        if token.len() > TOKEN_BYTES_MAX {
            return Err(Discard::Foreign);
        }
        let mut validation = Validation::new(Algorithm::HS256);
        // The time is an argument here, so that expiry can be tested; the library would read the clock.
        validation.validate_exp = false;
        let claims = jsonwebtoken::decode::<Claims>(token, &self.decoding, &validation)
            .map_err(|_| Discard::Foreign)?
            .claims;
        if now >= claims.exp {
            Err(Discard::Expired)
        } else {
            Ok(claims)
        }
    }
}

#[cfg(test)]
mod tests;
