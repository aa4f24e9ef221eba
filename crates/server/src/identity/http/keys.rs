//! The keys that sign tokens. Keystone has no such call: an operator replaces its files.

use axum::extract::State;
use axum::response::Response;
use http::{HeaderMap, StatusCode};
use serde_json::json;
use tracing::info;

use super::{Octets, admin, answer};
use crate::identity::accounts::{self, Rotation};
use crate::identity::error::Failure;
use crate::identity::{Identity, body, request};

/// `POST /v3/hextet/token_keys`: a new key signs from now on. With `end_tokens` the earlier ones end at once, and with
/// them every token there is, the caller's too.
pub async fn rotate(
    State(identity): State<Identity>,
    headers: HeaderMap,
    Octets(body): Octets,
) -> Result<Response, Failure> {
    let session = admin(&identity, &headers, "identity:rotate_token_keys").await?;
    let rotation = match request::new_key(&body)?.end_tokens {
        Some(true) => Rotation::End,
        Some(false) | None => Rotation::Keep,
    };
    let now = identity.now_ms() / 1000;
    let (key, verifying) = accounts::rotate_keys(identity.store(), rotation, now).await?;
    info!(
        by = session.user.id,
        key = key.id,
        ?rotation,
        "token keys were rotated"
    );
    let shown = json!({"token_key": body::key(&key, verifying)});
    Ok(answer(StatusCode::CREATED, &shown))
}
