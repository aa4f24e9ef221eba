//! `/healthz`: whether the parts of the server work. It needs no token and says nothing that a stranger could use.

use std::time::Duration;

use axum::extract::State;
use axum::response::Response;
use hextet_core::errors::chain;
use hextet_store::{EngineError, WriteError};
use http::StatusCode;
use serde_json::{Map, Value as Json, json};

use super::AppState;
use super::body::text;

/// How long the store may take.
const STORE_TIMEOUT: Duration = Duration::from_secs(2);

/// 200 when all works, 503 when something does not; each part says which.
pub(super) async fn show(State(state): State<AppState>) -> Response {
    let parts = [
        // Whoever reads this has an answer of the API.
        ("api", Ok(())),
        ("feed", feed(&state)),
        ("store", store(&state).await),
    ];
    let well = parts.iter().all(|(_, part)| part.is_ok());
    let parts: Map<String, Json> = parts
        .into_iter()
        .map(|(name, part)| (name.to_owned(), json!(part.err().unwrap_or("ok"))))
        .collect();
    let (status, word) = match well {
        true => (StatusCode::OK, "ok"),
        false => (StatusCode::SERVICE_UNAVAILABLE, "unavailable"),
    };
    text(status, json!({"status": word, "parts": parts}).to_string())
}

fn feed(state: &AppState) -> Result<(), &'static str> {
    match state.hosts.is_serving() {
        true => Ok(()),
        false => Err("the feed is not served"),
    }
}

/// A transaction that changes nothing goes the whole way: queue, writer, database. A read says whether the model can
/// be up to date.
async fn store(state: &AppState) -> Result<(), &'static str> {
    let tried = async {
        let write = state
            .store
            .write(|_| Box::pin(async { Ok::<(), EngineError>(()) }));
        write.await.map_err(|error| match error {
            WriteError::Refused(error) | WriteError::Engine(error) => error,
        })?;
        state.store.read(|_| ()).await
    };
    match tokio::time::timeout(STORE_TIMEOUT, tried).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => {
            tracing::debug!(error = %chain(&error), "the store is not well");
            Err("the database cannot be used")
        }
        Err(_) => Err("the database takes too long"),
    }
}
