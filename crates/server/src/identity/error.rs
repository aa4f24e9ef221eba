//! How a request ends that is not answered as asked: Keystone's error body.

use std::time::Duration;

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use serde_json::json;

use super::password::PasswordError;

/// Seconds after which a client that was told to come back may try again.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("1");

/// Why a request was not answered as asked.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The caller's to mend: the status and what to say.
    #[error("{1}")]
    Refusal(StatusCode, String),
    /// 429, and in how many seconds to come back.
    #[error("too many wrong passwords")]
    PutOff(u64),
    /// Ours: logged once, here, and not told.
    #[error("identity fault")]
    Fault(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl Failure {
    /// 400: what is wrong and what is allowed.
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::Refusal(StatusCode::BAD_REQUEST, message.into())
    }

    /// 401, the same for every reason, so that the answer teaches a guesser nothing.
    pub fn unauthorized() -> Self {
        Self::Refusal(StatusCode::UNAUTHORIZED, super::Unauthorized.to_string())
    }

    /// 403 of Keystone's policy `rule`.
    pub fn forbidden(rule: &str) -> Self {
        let message = format!("You are not authorized to perform the requested action: {rule}.");
        Self::Refusal(StatusCode::FORBIDDEN, message)
    }

    /// 404 of a thing.
    pub fn not_found(noun: &str, id: &str) -> Self {
        Self::Refusal(
            StatusCode::NOT_FOUND,
            format!("Could not find {noun}: {id}."),
        )
    }

    /// 409 of a name that is taken.
    pub fn name_taken(noun: &str, name: &str) -> Self {
        let message = format!(
            "Conflict occurred attempting to store {noun} - Duplicate entry found with name {name} at domain ID default."
        );
        Self::Refusal(StatusCode::CONFLICT, message)
    }

    /// 429: this is how long it would be until this login's turn.
    pub fn put_off(wait: Duration) -> Self {
        Self::PutOff(wait.as_secs() + 1)
    }

    /// 500.
    pub fn fault(error: impl std::error::Error + Send + Sync + 'static) -> Self {
        Self::Fault(Box::new(error))
    }
}

impl From<PasswordError> for Failure {
    fn from(error: PasswordError) -> Self {
        match error {
            PasswordError::Busy => Self::Refusal(
                StatusCode::SERVICE_UNAVAILABLE,
                "Too many logins at once. Try again shortly.".to_owned(),
            ),
            error @ (PasswordError::Hash(_) | PasswordError::Thread(_)) => Self::fault(error),
        }
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let (status, message, retry_after) = match self {
            Failure::Refusal(status, message) => {
                let busy = status == StatusCode::SERVICE_UNAVAILABLE;
                (status, message, busy.then_some(RETRY_AFTER))
            }
            Failure::PutOff(seconds) => (
                StatusCode::TOO_MANY_REQUESTS,
                format!("Too many wrong passwords came before: try again in {seconds} seconds."),
                Some(HeaderValue::from(seconds)),
            ),
            Failure::Fault(error) => {
                tracing::error!(error = %chain(error.as_ref()), "identity request failed");
                (
                    StatusCode::INTERNAL_SERVER_ERROR,
                    "An unexpected error prevented the server from fulfilling your request."
                        .to_owned(),
                    None,
                )
            }
        };
        let title = status.canonical_reason().unwrap_or("Error");
        let body = json!({"error": {"code": status.as_u16(), "title": title, "message": message}});
        let mut response = (status, axum::body::Body::from(body.to_string())).into_response();
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/json"),
        );
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(
                header::WWW_AUTHENTICATE,
                HeaderValue::from_static("Keystone uri=\"/identity/v3\""),
            );
        }
        if let Some(retry_after) = retry_after {
            headers.insert(header::RETRY_AFTER, retry_after);
        }
        response
    }
}

/// An error and its causes on one line.
fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(": ")
}
