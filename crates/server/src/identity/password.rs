//! Passwords: Argon2id hashes (RFC 9106), computed on blocking threads, few at a time.

use std::sync::Arc;
use std::time::Duration;

use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use argon2::{Algorithm, Argon2, Params, Version};
use tokio::sync::Semaphore;

use super::secret::Secret;
use super::throttle::{Place, Places, Source};

/// Memory of one hash, in KiB: OWASP's first recommendation for Argon2id (19 MiB, 2 passes, 1 lane).
const MEMORY_KIB: u32 = 19 * 1024;
/// Passes over that memory.
const PASSES: u32 = 2;
/// Lanes.
const LANES: u32 = 1;

/// Hashes computed at the same time: each takes a core and 19 MiB.
const HASHES_AT_ONCE: usize = 2;

/// Logins that may wait for their hash. One more is told to come back later.
const LOGINS_MAX: usize = 256;

/// Of these, logins from one source.
const LOGINS_EACH: usize = 64;

/// Logins that may wait for their turn. One more is told to come back later instead: guesses must not use up the
/// requests that the server takes at once.
const WAITING_MAX: usize = 256;

/// Of these, logins from one source.
const WAITING_EACH: usize = 64;

/// Longest password, in octets (Keystone cuts at `max_password_length`; here a longer one is refused).
pub const PASSWORD_BYTES_MAX: usize = 4096;

/// Why a password was not judged or not hashed.
#[derive(Debug, thiserror::Error)]
pub enum PasswordError {
    /// Too many logins at once.
    #[error("too many logins at once")]
    Busy,
    /// Argon2 itself failed, or a stored hash is damaged.
    #[error("the password could not be hashed")]
    Hash(#[source] argon2::password_hash::Error),
    /// The blocking thread went away.
    #[error("the hashing thread ended early")]
    Thread(#[source] tokio::task::JoinError),
}

/// The hashing machinery, shared by all requests.
#[derive(Clone)]
pub struct Hasher {
    running: Arc<Semaphore>,
    admitted: Places,
    waiting: Places,
    /// A hash of nobody's password: what an unknown user's login is compared with, so that it takes as long.
    decoy: Arc<str>,
}

impl Hasher {
    /// Makes the machinery (one hash is computed: call it at start).
    pub fn new() -> Result<Self, PasswordError> {
        let decoy = hash_now(&Secret::random()).map_err(PasswordError::Hash)?;
        Ok(Self {
            running: Arc::new(Semaphore::new(HASHES_AT_ONCE)),
            admitted: Places::new(LOGINS_MAX, LOGINS_EACH),
            waiting: Places::new(WAITING_MAX, WAITING_EACH),
            decoy: decoy.into(),
        })
    }

    /// A place among the logins in progress, to hold while a hash is waited for.
    pub fn admit(&self, source: Source) -> Result<Place, PasswordError> {
        self.admitted.take(source).ok_or(PasswordError::Busy)
    }

    /// Hashes that are computed now.
    #[cfg(test)]
    pub fn under_way(&self) -> usize {
        HASHES_AT_ONCE - self.running.available_permits()
    }

    /// Waits for a turn.
    pub async fn wait(&self, source: Source, wait: Duration) -> Result<(), PasswordError> {
        let _place = self.waiting.take(source).ok_or(PasswordError::Busy)?;
        tokio::time::sleep(wait).await;
        Ok(())
    }

    /// The PHC string to keep for `password`.
    pub async fn hash(&self, password: Secret) -> Result<String, PasswordError> {
        self.blocking(move || hash_now(&password)).await
    }

    /// Whether `password` is the one that was hashed. Without a hash (nobody of that name, or a user without a
    /// password) the answer is no, after the same work.
    pub async fn verify(
        &self,
        password: Secret,
        hash: Option<String>,
    ) -> Result<bool, PasswordError> {
        let decoy = Arc::clone(&self.decoy);
        self.blocking(move || {
            let known = hash.is_some();
            let hash = hash.unwrap_or_else(|| decoy.to_string());
            let parsed = PasswordHash::new(&hash)?;
            match Argon2::default().verify_password(password.expose().as_bytes(), &parsed) {
                Ok(()) => Ok(known),
                Err(argon2::password_hash::Error::PasswordInvalid) => Ok(false),
                Err(error) => Err(error),
            }
        })
        .await
    }

    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, argon2::password_hash::Error> + Send + 'static,
    ) -> Result<T, PasswordError> {
        let permit = Arc::clone(&self.running)
            .acquire_owned()
            .await
            .map_err(|_| PasswordError::Busy)?;
        tokio::task::spawn_blocking(move || {
            let _held_while_working = permit;
            work()
        })
        .await
        .map_err(PasswordError::Thread)?
        .map_err(PasswordError::Hash)
    }
}

fn hash_now(password: &Secret) -> Result<String, argon2::password_hash::Error> {
    let params = Params::new(MEMORY_KIB, PASSES, LANES, None)?;
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    let hash: PasswordHash = argon2.hash_password(password.expose().as_bytes())?;
    Ok(hash.to_string())
}
