//! Bodies: bytes in, one object or many out; text back.

use axum::body::{Body, to_bytes};
use axum::response::Response;
use hextet_core::refusal::{Refusal, RefusalKind};
use http::{HeaderMap, StatusCode};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value as Json};

use super::attributes::{Noun, Verb};
use super::bounds::BODY_BYTES_MAX;
use super::error::{Problem, respond};
use super::json;
use crate::app::{BULK_MAX, IfMatch, Said};

/// The objects of a POST, and whether they came as a list.
pub(super) struct Posted<T> {
    pub objects: Vec<Said<T>>,
    pub bulk: bool,
}

/// A JSON answer.
pub(super) fn text(status: StatusCode, text: String) -> Response {
    respond(status, text)
}

/// The object or the objects of a POST, checked against the noun's attributes.
pub(super) async fn posted<T: DeserializeOwned>(
    noun: &Noun,
    body: Body,
) -> Result<Posted<T>, Problem> {
    let mut members = object(body).await?;
    if let Some(one) = members.remove(noun.name) {
        nothing_else(&members)?;
        let object = typed(noun, Verb::Post, one)?;
        return Ok(Posted {
            objects: vec![object],
            bulk: false,
        });
    }
    let Some(Json::Array(many)) = members.remove(noun.collection) else {
        return Err(no_key(noun));
    };
    nothing_else(&members)?;
    if many.is_empty() || many.len() > BULK_MAX {
        return Err(Problem::bad_request(format!(
            "{}: 1 to {BULK_MAX} objects are allowed in one request",
            noun.collection
        )));
    }
    let objects = many
        .into_iter()
        .map(|one| typed(noun, Verb::Post, bare(noun, one)?));
    Ok(Posted {
        objects: objects.collect::<Result<_, _>>()?,
        bulk: true,
    })
}

/// An object of a list may stand below its noun's name, as it would alone: `{"ports": [{"port": {…}}]}`.
fn bare(noun: &Noun, one: Json) -> Result<Json, Problem> {
    match one {
        Json::Object(mut members) if members.contains_key(noun.name) => {
            let object = members.remove(noun.name).unwrap_or_default();
            nothing_else(&members)?;
            Ok(object)
        }
        bare => Ok(bare),
    }
}

/// The object of a PUT, checked against the noun's attributes.
pub(super) async fn put<T: DeserializeOwned>(noun: &Noun, body: Body) -> Result<Said<T>, Problem> {
    let mut members = object(body).await?;
    let one = members.remove(noun.name).ok_or_else(|| no_key(noun))?;
    nothing_else(&members)?;
    typed(noun, Verb::Put, one)
}

/// The only member of a body, by its name; the refusal of a body without it is of this kind.
pub(super) async fn member(name: &str, missing: RefusalKind, body: Body) -> Result<Json, Problem> {
    let mut members = object(body).await?;
    let member = members.remove(name).ok_or_else(|| {
        let message = format!("Failed to parse request. Required attribute '{name}' not specified");
        Problem::Refused(Refusal::new(missing, message))
    })?;
    nothing_else(&members)?;
    Ok(member)
}

/// What is left of a body once its one member is taken.
fn nothing_else(members: &Map<String, Json>) -> Result<(), Problem> {
    match members.keys().next() {
        None => Ok(()),
        Some(unknown) => Err(Problem::bad_request(format!(
            "Unrecognized attribute(s) '{unknown}'"
        ))),
    }
}

/// The condition of a request.
pub(super) fn if_match(headers: &HeaderMap) -> Result<IfMatch, Problem> {
    let Some(value) = headers.get(http::header::IF_MATCH) else {
        return Ok(IfMatch(None));
    };
    let revision = value
        .to_str()
        .ok()
        .and_then(|text| text.trim().strip_prefix("revision_number="))
        .and_then(|number| number.parse().ok());
    match revision {
        Some(revision) => Ok(IfMatch(Some(revision))),
        None => Err(Problem::Refused(Refusal::new(
            RefusalKind::BadRequest,
            "Bad If-Match header: 'revision_number=N' is allowed.",
        ))),
    }
}

fn no_key(noun: &Noun) -> Problem {
    Problem::bad_request(format!(
        "Resource body required: an object under '{}'",
        noun.name
    ))
}

async fn object(body: Body) -> Result<Map<String, Json>, Problem> {
    let bytes = to_bytes(body, BODY_BYTES_MAX).await.map_err(|_| {
        Problem::bad_request(format!(
            "The body could not be read: at most {BODY_BYTES_MAX} bytes are allowed"
        ))
    })?;
    match json::parse(&bytes) {
        Ok(Json::Object(members)) => Ok(members),
        Ok(_) => Err(Problem::bad_request("The body must be a JSON object")),
        Err(why) => Err(Problem::bad_request(why)),
    }
}

fn typed<T: DeserializeOwned>(noun: &Noun, verb: Verb, one: Json) -> Result<Said<T>, Problem> {
    let Json::Object(members) = one else {
        return Err(no_key(noun));
    };
    noun.check(verb, members)?.map(|members| {
        serde_json::from_value(Json::Object(members))
            .map_err(|error| Problem::bad_request(format!("Invalid input: {error}")))
    })
}
