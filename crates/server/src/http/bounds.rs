//! What a client may cost, in one place: every bound of the edge, and the answer of each.

use std::sync::Arc;
use std::time::Duration;

use axum::response::Response;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, StatusCode, Version, header};
use serde_json::{Value as Json, json};

use super::error::respond;
use super::frame::X_OPENSTACK_REQUEST_ID;
use super::pace::Pace;

/// Longest request target, bytes: a filter with 800 ids fits.
pub(super) const URI_BYTES_MAX: usize = 32 * 1024;
/// Most header fields of a request.
pub(super) const HEADERS_MAX: usize = 100;
/// Most bytes of all header fields together, names and values.
pub(super) const HEADER_BYTES_MAX: usize = 16 * 1024;
/// Most bytes of a request's head that are buffered; beyond, it is refused and the connection closed.
pub(super) const HEAD_BUFFER_MAX: usize = 64 * 1024;
/// Most header fields that are parsed; beyond, the head is refused and the connection closed.
pub(super) const HEADERS_PARSED_MAX: usize = 2 * HEADERS_MAX;
/// Most parameters of a query.
pub(super) const QUERY_PARAMETERS_MAX: usize = 1000;
/// Largest request body, bytes: a thousand ports fit.
pub(super) const BODY_BYTES_MAX: usize = 1024 * 1024;
/// Largest body of a request to identity, bytes: the longest password and names fit several times.
pub(super) const IDENTITY_BODY_BYTES_MAX: usize = 32 * 1024;
/// Bodies of logins that are taken in at once: as many of the largest as have room.
pub(super) const OPEN_BODIES_MAX: usize = 128;
/// Of these, bodies from one source.
pub(super) const OPEN_BODIES_EACH: usize = OPEN_BODIES_MAX / 4;
/// Deepest nesting of arrays and objects in a body; what the API takes has six.
pub(super) const JSON_DEPTH_MAX: usize = 32;
/// Most values in a body, of arrays and objects together: a thousand ports of sixty each.
pub(super) const JSON_VALUES_MAX: usize = 65_536;
/// Seconds after which a client that was told to come back may try again.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("1");

/// The bounds in time and in sum. [`Bounds::default`] is what a server has; tests have smaller ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Most connections at once. One more takes the place of the one that has been idle longest.
    pub connections: usize,
    /// Most requests under way at once, their bodies being there already; the next is told to come back.
    pub requests: usize,
    /// How long a request may take once its body is there.
    pub request_time: Duration,
    /// How long a head may take from its first byte.
    pub head_time: Duration,
    /// How long a body may take.
    pub body_time: Duration,
    /// How long a connection may rest between two requests.
    pub idle_time: Duration,
    /// How long a client may take no byte of its answer.
    pub write_time: Duration,
    /// How long a connection whose client still sends is read after the answer, so that the client gets to see it.
    pub linger_time: Duration,
    /// Most bytes of all bodies together that callers with a token have under way.
    pub body_bytes: usize,
    /// The same of those without one: logins.
    pub open_body_bytes: usize,
    /// How long a long list may take from its beginning until its reader has all of it.
    pub answer_time: Duration,
    /// Most bytes of all large answers together that wait for their readers. Lists are none: they are made as they are
    /// taken.
    pub answer_bytes: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            connections: 4096,
            requests: 1024,
            request_time: Duration::from_secs(60),
            head_time: Duration::from_secs(10),
            body_time: Duration::from_secs(10),
            idle_time: Duration::from_secs(75),
            write_time: Duration::from_secs(30),
            linger_time: Duration::from_secs(1),
            body_bytes: 32 * 1024 * 1024,
            open_body_bytes: 4 * 1024 * 1024,
            answer_time: Duration::from_secs(600),
            answer_bytes: 128 * 1024 * 1024,
        }
    }
}

/// Which bound a request has met.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Bound {
    UriTooLong,
    PathBroken,
    Hosts,
    HeadersTooLarge,
    HeadBroken,
    HeadTooSlow,
    BodyTooLarge,
    BodyTooSlow,
    BodyBroken,
    MediaType,
    Encoding,
    Expectation,
    JsonTooDeep,
    JsonTooMany,
    Busy,
    BodiesBusy,
    AnswersBusy,
    TooSlow,
}

impl Bound {
    /// The name in metrics and logs.
    pub(super) fn reason(self) -> &'static str {
        self.row().0
    }

    /// Reason, status, type.
    fn row(self) -> (&'static str, StatusCode, &'static str) {
        match self {
            Bound::UriTooLong => (
                "uri_too_long",
                StatusCode::URI_TOO_LONG,
                "HTTPRequestURITooLong",
            ),
            Bound::PathBroken => ("path_broken", StatusCode::BAD_REQUEST, "HTTPBadRequest"),
            Bound::Hosts => ("hosts", StatusCode::BAD_REQUEST, "HTTPBadRequest"),
            Bound::HeadersTooLarge => (
                "headers_too_large",
                StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
                "HTTPRequestHeaderFieldsTooLarge",
            ),
            Bound::HeadBroken => ("head_broken", StatusCode::BAD_REQUEST, "HTTPBadRequest"),
            Bound::HeadTooSlow => (
                "head_too_slow",
                StatusCode::REQUEST_TIMEOUT,
                "HTTPRequestTimeout",
            ),
            Bound::BodyTooLarge => (
                "body_too_large",
                StatusCode::PAYLOAD_TOO_LARGE,
                "HTTPRequestEntityTooLarge",
            ),
            Bound::BodyTooSlow => (
                "body_too_slow",
                StatusCode::REQUEST_TIMEOUT,
                "HTTPRequestTimeout",
            ),
            Bound::BodyBroken => ("body_broken", StatusCode::BAD_REQUEST, "HTTPBadRequest"),
            Bound::MediaType => (
                "media_type",
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "HTTPUnsupportedMediaType",
            ),
            Bound::Encoding => (
                "encoding",
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "HTTPUnsupportedMediaType",
            ),
            Bound::Expectation => (
                "expectation",
                StatusCode::EXPECTATION_FAILED,
                "HTTPExpectationFailed",
            ),
            Bound::JsonTooDeep => ("json_too_deep", StatusCode::BAD_REQUEST, "HTTPBadRequest"),
            Bound::JsonTooMany => ("json_too_many", StatusCode::BAD_REQUEST, "HTTPBadRequest"),
            Bound::Busy => (
                "busy",
                StatusCode::SERVICE_UNAVAILABLE,
                "HTTPServiceUnavailable",
            ),
            Bound::BodiesBusy => (
                "bodies_busy",
                StatusCode::SERVICE_UNAVAILABLE,
                "HTTPServiceUnavailable",
            ),
            Bound::AnswersBusy => (
                "answers_busy",
                StatusCode::SERVICE_UNAVAILABLE,
                "HTTPServiceUnavailable",
            ),
            Bound::TooSlow => (
                "too_slow",
                StatusCode::SERVICE_UNAVAILABLE,
                "HTTPServiceUnavailable",
            ),
        }
    }

    fn message(self) -> String {
        match self {
            Bound::UriTooLong => {
                format!("The address of a request may have {URI_BYTES_MAX} bytes.")
            }
            Bound::PathBroken => "The path of a request must be UTF-8.".to_owned(),
            Bound::Hosts => "A request has one Host field.".to_owned(),
            Bound::HeadersTooLarge => format!(
                "A request may have {HEADERS_MAX} header fields of {HEADER_BYTES_MAX} bytes together."
            ),
            Bound::HeadBroken => {
                "The request is no HTTP/1.1: its first line or a header field is malformed."
                    .to_owned()
            }
            Bound::HeadTooSlow => "The head of the request took too long.".to_owned(),
            Bound::BodyTooLarge => format!(
                "A body may have {BODY_BYTES_MAX} bytes, to identity {IDENTITY_BODY_BYTES_MAX}."
            ),
            Bound::BodyTooSlow => "The body of the request took too long.".to_owned(),
            Bound::BodyBroken => {
                "The body of the request broke off, or its length or chunks are wrong.".to_owned()
            }
            Bound::MediaType => "A body must be application/json in UTF-8.".to_owned(),
            Bound::Encoding => {
                "A body must come as it is: the content-encoding 'identity' alone is allowed."
                    .to_owned()
            }
            Bound::Expectation => "The expectation '100-continue' alone is allowed.".to_owned(),
            Bound::JsonTooDeep => {
                format!("A body may nest arrays and objects {JSON_DEPTH_MAX} deep.")
            }
            Bound::JsonTooMany => format!("A body may hold {JSON_VALUES_MAX} values."),
            Bound::Busy => "The server is busy: too many requests are under way.".to_owned(),
            Bound::BodiesBusy => {
                "The server is busy: too many bytes of bodies are under way.".to_owned()
            }
            Bound::AnswersBusy => {
                "The server is busy: too many large answers wait for their readers.".to_owned()
            }
            Bound::TooSlow => {
                "The request took too long; whether it was carried out is not known.".to_owned()
            }
        }
    }

    /// The answer, in identity's words or in networking's.
    pub(super) fn response(self, identity: bool) -> Response {
        let (_, status, kind) = self.row();
        let mut response = respond(
            status,
            told(identity, status, kind, &self.message()).to_string(),
        );
        if status == StatusCode::SERVICE_UNAVAILABLE {
            let headers = response.headers_mut();
            headers.insert(header::RETRY_AFTER, RETRY_AFTER);
        }
        response
    }

    /// The answer to the request of this id as octets, for a connection that speaks HTTP no more. Whether it was for
    /// identity is not known: it is in networking's words.
    pub(super) fn last_words(self, id: &str) -> Vec<u8> {
        let (_, status, kind) = self.row();
        let body = told(false, status, kind, &self.message()).to_string();
        format!(
            "HTTP/1.1 {} {}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n{X_OPENSTACK_REQUEST_ID}: {id}\r\nconnection: close\r\n\r\n{body}",
            status.as_u16(),
            status.canonical_reason().unwrap_or_default(),
            body.len()
        )
        .into_bytes()
    }
}

fn told(identity: bool, status: StatusCode, kind: &str, message: &str) -> Json {
    if identity {
        let title = status.canonical_reason().unwrap_or("Error");
        return json!({"error": {"code": status.as_u16(), "title": title, "message": message}});
    }
    json!({"NeutronError": {"type": kind, "message": message, "detail": ""}})
}

/// Whether a path is identity's.
pub(super) fn is_identity(path: &str) -> bool {
    path == "/identity" || path.starts_with("/identity/")
}

/// The largest body that a path takes, bytes.
pub(super) fn body_bytes_max(path: &str) -> usize {
    if is_identity(path) {
        IDENTITY_BODY_BYTES_MAX
    } else {
        BODY_BYTES_MAX
    }
}

/// What is wrong with a request's head, if anything is. What is wrong with its body's description counts only where
/// there is a body.
pub(super) fn check_head(parts: &Parts, has_body: bool) -> Result<(), Bound> {
    let target = parts.uri.path_and_query();
    if target.is_some_and(|target| target.as_str().len() > URI_BYTES_MAX) {
        return Err(Bound::UriTooLong);
    }
    if !is_text(parts.uri.path()) {
        return Err(Bound::PathBroken);
    }
    // RFC 9112 §3.2. Links are made of it. Who calls within the process names no host, and none is asked of HTTP/1.0.
    let hosts = parts.headers.get_all(header::HOST).iter().count();
    let connected = parts.extensions.get::<Arc<Pace>>().is_some();
    if hosts > 1 || (hosts == 0 && connected && parts.version > Version::HTTP_10) {
        return Err(Bound::Hosts);
    }
    let bytes: usize = parts
        .headers
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len())
        .sum();
    if parts.headers.len() > HEADERS_MAX || bytes > HEADER_BYTES_MAX {
        return Err(Bound::HeadersTooLarge);
    }
    // HTTP/1.0 knows no expectations (RFC 9110 §10.1.1).
    let expected = parts.headers.get_all(header::EXPECT).iter();
    let mut unknown =
        expected.filter(|value| !value.as_bytes().eq_ignore_ascii_case(b"100-continue"));
    if parts.version > Version::HTTP_10 && unknown.next().is_some() {
        return Err(Bound::Expectation);
    }
    if has_body {
        check_content(&parts.headers)?;
    }
    Ok(())
}

/// The first parameter of a query that is no text once its percent-encoding is taken off, as it was written.
pub(crate) fn not_text(query: &str) -> Option<&str> {
    let broken = query.split('&').find(|parameter| !is_text(parameter));
    broken.map(|parameter| {
        parameter
            .split_once('=')
            .map_or(parameter, |(name, _)| name)
    })
}

/// Whether a path is text once its percent-encoding (RFC 3986 §2.1) is taken off.
fn is_text(path: &str) -> bool {
    let mut parts = path.split('%');
    let mut octets = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        let coded = part.get(..2).map(|two| u8::from_str_radix(two, 16));
        match coded {
            Some(Ok(octet)) => {
                octets.push(octet);
                octets.extend_from_slice(&part.as_bytes()[2..]);
            }
            // It stands for itself.
            _ => octets.extend_from_slice(part.as_bytes()),
        }
    }
    std::str::from_utf8(&octets).is_ok()
}

/// JSON in UTF-8, as it is; a client that does not say what it sends means that.
fn check_content(headers: &HeaderMap) -> Result<(), Bound> {
    let plain = |value: &HeaderValue| value.as_bytes().eq_ignore_ascii_case(b"identity");
    if !headers.get_all(header::CONTENT_ENCODING).iter().all(plain) {
        return Err(Bound::Encoding);
    }
    let json = |value: &HeaderValue| {
        let Ok(text) = value.to_str() else {
            return false;
        };
        let mut parts = text.split(';').map(str::trim);
        let essence = parts.next().unwrap_or_default();
        let utf8 = |parameter: &str| match parameter.split_once('=') {
            Some((name, value)) if name.trim().eq_ignore_ascii_case("charset") => {
                value.trim().trim_matches('"').eq_ignore_ascii_case("utf-8")
            }
            _ => true,
        };
        essence.eq_ignore_ascii_case("application/json") && parts.all(utf8)
    };
    if !headers.get_all(header::CONTENT_TYPE).iter().all(json) {
        return Err(Bound::MediaType);
    }
    Ok(())
}

/// Depth and number of values of a JSON text, without parsing it. Of what is no JSON the parser tells.
pub(super) fn check_json(text: &[u8]) -> Result<(), Bound> {
    let (mut depth, mut values) = (0_usize, 1_usize);
    let (mut quoted, mut escaped) = (false, false);
    for octet in text {
        if quoted {
            match octet {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => quoted = false,
                _ => {}
            }
            continue;
        }
        match octet {
            b'"' => quoted = true,
            b'[' | b'{' => {
                depth += 1;
                values += 1;
                if depth > JSON_DEPTH_MAX {
                    return Err(Bound::JsonTooDeep);
                }
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            b',' => values += 1,
            _ => {}
        }
    }
    if values > JSON_VALUES_MAX {
        return Err(Bound::JsonTooMany);
    }
    Ok(())
}

#[cfg(test)]
mod tests;
