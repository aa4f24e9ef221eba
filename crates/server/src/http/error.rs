//! Errors as bodies: Neutron's for what the service says, Keystone's for who is not let in.

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use hextet_core::refusal::{Refusal, RefusalKind};
use hextet_store::EngineError;
use http::{HeaderValue, StatusCode, header};
use serde_json::{Value as Json, json};
use tracing::error;

use crate::app::Failure;

/// Seconds after which a client that was told to come back may try again.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("1");

/// Why a request is not answered as it wishes.
#[derive(Debug)]
pub(crate) enum Problem {
    /// The user's kind of no.
    Refused(Refusal),
    /// No token, or none that holds. Where one is to be had.
    Unauthorized(String),
    /// Ours.
    Fault(Failure),
    /// The database is away, or was lost on the way. The store says so in the log, once for each time.
    Away(EngineError),
}

impl Problem {
    /// 404 of a path that nothing answers.
    pub(crate) fn unknown_path() -> Self {
        Problem::Refused(Refusal::new(
            RefusalKind::HttpNotFound,
            "The resource could not be found.",
        ))
    }

    /// 405 of a path that answers other methods.
    pub(crate) fn wrong_method() -> Self {
        Problem::Refused(Refusal::new(
            RefusalKind::HttpMethodNotAllowed,
            "The method specified is not allowed for this resource.",
        ))
    }

    /// `HTTPBadRequest` with this sentence.
    pub(crate) fn bad_request(message: impl Into<String>) -> Self {
        Problem::Refused(Refusal::new(RefusalKind::HttpBadRequest, message))
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        Problem::Refused(refusal)
    }
}

impl From<Failure> for Problem {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Refused(refusal) => Problem::Refused(refusal),
            Failure::Fault(error) => error.into(),
        }
    }
}

impl From<EngineError> for Problem {
    fn from(error: EngineError) -> Self {
        match error.is_passing() {
            true => Problem::Away(error),
            false => Problem::Fault(Failure::Fault(error)),
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        match self {
            Problem::Refused(refusal) => {
                let status = StatusCode::from_u16(refusal.kind.status())
                    .unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
                answer(status, &body(refusal.kind.neutron_type(), &refusal.message))
            }
            Problem::Unauthorized(uri) => {
                let told = json!({"error": {
                    "code": 401,
                    "title": "Unauthorized",
                    "message": "The request you have made requires authentication.",
                }});
                let mut response = answer(StatusCode::UNAUTHORIZED, &told);
                if let Ok(value) = HeaderValue::from_str(&format!("Keystone uri=\"{uri}\"")) {
                    response
                        .headers_mut()
                        .insert(header::WWW_AUTHENTICATE, value);
                }
                response
            }
            Problem::Fault(failure) => {
                error!(error = %hextet_core::errors::chain(&failure), "a request failed");
                answer(
                    StatusCode::INTERNAL_SERVER_ERROR,
                    &body(
                        "HTTPInternalServerError",
                        "Request Failed: internal server error while processing your request.",
                    ),
                )
            }
            Problem::Away(EngineError::OutcomeUnknown(_)) => unavailable(
                "The database was lost while the request was carried out: see whether it was before you repeat it.",
            ),
            Problem::Away(_) => unavailable(
                "The database cannot be reached, or is too busy; nothing was changed. Try again shortly.",
            ),
        }
    }
}

/// 503, and when to come back.
fn unavailable(message: &str) -> Response {
    let told = body("HTTPServiceUnavailable", message);
    let mut response = answer(StatusCode::SERVICE_UNAVAILABLE, &told);
    response
        .headers_mut()
        .insert(header::RETRY_AFTER, RETRY_AFTER);
    response
}

fn body(kind: &str, message: &str) -> Json {
    json!({"NeutronError": {"type": kind, "message": message, "detail": ""}})
}

fn answer(status: StatusCode, body: &Json) -> Response {
    super::body::text(status, body.to_string())
}

/// A JSON answer of a text that is rendered already.
pub(super) fn respond(status: StatusCode, text: String) -> Response {
    json_body(status, Body::from(text))
}

/// A JSON answer of a text that is on its way.
pub(super) fn json_body(status: StatusCode, body: Body) -> Response {
    let mut response = (status, body).into_response();
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    );
    response
}
