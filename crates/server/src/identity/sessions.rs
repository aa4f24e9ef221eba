//! Sessions that were looked up: each holds until an account changes, or until its time is over. A request looks at its
//! token twice, and a client sends the same one with each request.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use hextet_store::{Marker, Model};

use super::directory::Session;
use super::records::{Assignment, Credential, Project, Record as _, Revocation, SigningKey, User};

/// Most that are remembered. When there are more, all are forgotten and looked up again.
const SESSIONS_MAX: usize = 1024;

/// What a session stands on.
const KINDS: [&str; 6] = [
    SigningKey::KIND,
    User::KIND,
    Revocation::KIND,
    Project::KIND,
    Assignment::KIND,
    Credential::KIND,
];

/// By token. Only tokens that open something are here.
#[derive(Default)]
pub struct Sessions(RwLock<HashMap<String, Known>>);

struct Known {
    /// The accounts that it was looked up in.
    marker: Marker,
    /// From this moment on, in seconds since 1970, the token opens nothing.
    until: u64,
    session: Arc<Session>,
}

impl Sessions {
    /// The session of a token, if nothing has changed since it was looked up.
    pub fn get(&self, model: &Model, token: &str, now: u64) -> Option<Arc<Session>> {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let known = known.get(token)?;
        let holds = now < known.until && known.marker == model.marker(&KINDS);
        holds.then(|| known.session.clone())
    }

    /// Remembers what a token opens in this model until then.
    pub fn keep(&self, model: &Model, token: &str, until: u64, session: Arc<Session>) {
        let marker = model.marker(&KINDS);
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= SESSIONS_MAX {
            known.clear();
        }
        let session = Known {
            marker,
            until,
            session,
        };
        known.insert(token.to_owned(), session);
    }
}
