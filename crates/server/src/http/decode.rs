//! A request's way through all that judges it before the cloud is looked at; for the fuzzer, which has no cloud.

use axum::body::{Body, Bytes};
use futures::FutureExt as _;
use http::Request;

use super::bounds::{BODY_BYTES_MAX, check_head, check_json, is_identity};
use super::v2;

/// Decodes a request: `METHOD TARGET`, a line feed, the body. Answers whether it could be carried out, as far as can be
/// told without a cloud.
pub fn decode(octets: &[u8]) -> bool {
    let end = octets.iter().position(|octet| *octet == b'\n');
    let (head, body) = octets.split_at(end.unwrap_or(octets.len()));
    let body = body.get(1..).unwrap_or_default();
    let Some((method, target)) = std::str::from_utf8(head)
        .ok()
        .and_then(|head| head.split_once(' '))
    else {
        return false;
    };
    let Ok(request) = Request::builder().method(method).uri(target).body(()) else {
        return false;
    };
    let (parts, ()) = request.into_parts();
    if body.len() > BODY_BYTES_MAX
        || check_head(&parts, !body.is_empty()).is_err()
        || check_json(body).is_err()
    {
        return false;
    }
    let path = parts.uri.path().trim_end_matches('/').to_owned();
    if is_identity(&path) {
        return crate::identity::decode(parts.method.as_str(), &path, parts.uri.query(), body);
    }
    let body = Body::from(Bytes::copy_from_slice(body));
    // A body that is there is never waited for.
    let decoded = v2::decode(&parts.method, &path, parts.uri.query(), body);
    decoded.now_or_never().unwrap_or(false)
}
