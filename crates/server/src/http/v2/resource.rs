//! The handlers of every noun: a noun says its table, the types of its requests and the app functions that carry them out.

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::response::Response;
use axum::routing::get;
use hextet_core::refusal::Refusal;
use hextet_store::{Document, Model};
use http::{HeaderMap, StatusCode, Uri};
use serde::de::DeserializeOwned;

use super::deleted;
use crate::app::{self, Change, Create, Delete, Update, policy};
use crate::http::AppState;
use crate::http::attributes::Noun;
use crate::http::body::{Posted, if_match, posted, put, text};
use crate::http::error::Problem;
use crate::http::list::{self, Listing};
use crate::http::parts;
use crate::http::query::Query;
use crate::http::view::{self, Many};

/// A noun with its requests.
pub(super) trait Resource: 'static {
    /// Its table.
    const NOUN: &'static Noun;
    /// Its ids.
    type Id: std::str::FromStr + Send + Sync + 'static;
    /// A POST's object after the table's check.
    type Post: DeserializeOwned + Send;
    /// A PUT's object after the table's check.
    type Put: DeserializeOwned + Send;
    /// What the app makes one of.
    type New: Send + Sync + 'static;
    /// What the app changes of one.
    type Patch: Send + Sync + 'static;
    /// Makes them, all or none.
    const CREATE: Create<Self::New>;
    /// Changes one.
    const UPDATE: Update<Self::Id, Self::Patch>;
    /// Deletes one.
    const DELETE: Delete<Self::Id>;

    /// What a POST asks for.
    fn asked(post: Self::Post) -> Result<Self::New, Refusal>;

    /// What a PUT asks for.
    fn patch(put: Self::Put) -> Result<Self::Patch, Refusal>;
}

/// A noun's paths.
pub(super) fn router<R: Resource>() -> Router<AppState> {
    let collection = format!("/v2.0/{}", R::NOUN.path());
    let member = format!("{collection}/{{id}}");
    Router::new()
        .route(&collection, get(list::<R>).post(create::<R>))
        .route(&member, get(show::<R>).put(update::<R>).delete(delete::<R>))
}

async fn list<R: Resource>(
    State(state): State<AppState>,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, Problem> {
    let noun = R::NOUN;
    let caller = state.caller(&headers).await?;
    let query = Query::parse(noun, uri.query())?;
    let admin = policy::allows(noun.insiders, &caller);
    let all = state.store.glance(|model| model.count(noun.kind));
    let turn = state.lists.take(all).await;
    let (documents, besides) = state
        .store
        .read(|model| {
            let listing = Listing {
                noun,
                model,
                query: &query,
                admin,
            };
            let documents = listing.select(
                |document| noun.sees(model, &caller, document),
                |id| noun.rules.unknown(id),
            )?;
            let besides = noun.besides(model, &documents);
            Ok::<_, Refusal>((documents, besides))
        })
        .await??;
    drop(turn);
    let links = match query.paged() {
        None => Vec::new(),
        Some(page) => {
            let url = format!("{}/v2.0/{}", state.base_url(&headers), noun.path());
            list::links(&url, uri.query(), page, &documents)
        }
    };
    let many = Many::new(noun, documents.into_iter(), query.fields, admin, &links).with(besides);
    Ok(parts::answer(many, state.api.bounds.answer_time))
}

async fn show<R: Resource>(
    State(state): State<AppState>,
    headers: HeaderMap,
    uri: Uri,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let noun = R::NOUN;
    let caller = state.caller(&headers).await?;
    let query = Query::parse_fields(noun, uri.query())?;
    let (document, beside) = state
        .store
        .read(|model| {
            let document = model.document(noun.kind, &id)?;
            noun.sees(model, &caller, document)
                .then(|| (document.clone(), noun.beside(model, &id)))
        })
        .await?
        .ok_or_else(|| super::unknown(noun, &id))?;
    let admin = policy::allows(noun.insiders, &caller);
    Ok(text(
        StatusCode::OK,
        view::one(noun, &document, beside.as_deref(), &query.fields, admin),
    ))
}

async fn create<R: Resource>(
    State(state): State<AppState>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let caller = state.caller(&headers).await?;
    let admin = policy::allows(R::NOUN.insiders, &caller);
    let Posted { objects, bulk } = posted::<R::Post>(R::NOUN, body).await?;
    let asked = objects.into_iter().map(|said| said.map(R::asked));
    let ask = state.ask(caller, asked.collect::<Result<_, _>>()?);
    let render = move |made: Vec<Document>| match made.as_slice() {
        // Nobody has seen anything of what was just made.
        [one] if !bulk => view::one(R::NOUN, one, None, &[], admin),
        many => view::many(R::NOUN, many.iter(), admin),
    };
    let body = app::transact_then(&state.store, ask, R::CREATE, render).await?;
    Ok(text(StatusCode::CREATED, body))
}

async fn update<R: Resource>(
    State(state): State<AppState>,
    headers: HeaderMap,
    Path(id): Path<String>,
    body: Body,
) -> Result<Response, Problem> {
    let caller = state.caller(&headers).await?;
    let admin = policy::allows(R::NOUN.insiders, &caller);
    let id = super::id(R::NOUN, &id)?;
    let put = put::<R::Put>(R::NOUN, body).await?;
    let change = Change {
        id,
        if_match: if_match(&headers)?,
        patch: put.map(R::patch)?,
    };
    let ask = state.ask(caller, change);
    let document = app::transact(&state.store, ask, R::UPDATE).await?;
    let beside = match R::NOUN.beside {
        Some(_) => {
            let read = |model: &Model| R::NOUN.beside(model, &document.id);
            state.store.read(read).await?
        }
        None => None,
    };
    Ok(text(
        StatusCode::OK,
        view::one(R::NOUN, &document, beside.as_deref(), &[], admin),
    ))
}

async fn delete<R: Resource>(
    State(state): State<AppState>,
    headers: HeaderMap,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let caller = state.caller(&headers).await?;
    let change = Change {
        id: super::id(R::NOUN, &id)?,
        if_match: if_match(&headers)?,
        patch: (),
    };
    app::transact(&state.store, state.ask(caller, change), R::DELETE).await?;
    Ok(deleted())
}
