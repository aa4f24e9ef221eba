//! The keys that sign tokens, and tokens given back.

use hextet_store::{Layout, Store, Tx};
use http::StatusCode;

use super::{find, insert, new_id, update, write};
use crate::identity::IdentityConfig;
use crate::identity::error::Failure;
use crate::identity::records::{Record, Revocation, SigningKey, User};

/// Tokens given back that have not expired yet. At the bound, giving one more back ends all tokens of its user.
const REVOCATIONS_MAX: usize = 10_000;

/// How often those that have expired are looked for: when so many, or a multiple, are kept.
const SWEEP_EVERY: usize = 64;

/// Earlier keys that still verify. At the bound the next rotation must end them.
const KEYS_MAX: usize = 8;

/// What becomes of the keys before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rotation {
    /// They verify until every token that they signed has expired.
    Keep,
    /// They end now, with every token that they signed.
    End,
}

/// Makes the key that signs tokens, where there is none: at the first start.
pub async fn ensure_key(store: &Store) -> Result<(), Failure> {
    let fresh = SigningKey::random(SigningKey::FIRST);
    write(store, move |tx| {
        let fresh = fresh.clone();
        Box::pin(async move {
            if keys(tx).await?.iter().any(signs) {
                return Ok(());
            }
            insert(tx, &fresh).await
        })
    })
    .await
}

/// Makes a new key, which signs from now on; `now` is in seconds since 1970. Answers how many others still verify.
pub async fn rotate_keys(
    store: &Store,
    rotation: Rotation,
    now: u64,
) -> Result<(SigningKey, usize), Failure> {
    let fresh = SigningKey::random(new_id());
    // Not this server's lifetime: another server may give tokens a longer one.
    let until = now.saturating_add(IdentityConfig::TOKEN_LIFETIME_MAX.as_secs());
    write(store, move |tx| {
        let fresh = fresh.clone();
        Box::pin(async move {
            let mut verifying = 0;
            for mut key in keys(tx).await? {
                if rotation == Rotation::End || !key.verifies(now) {
                    tx.delete(SigningKey::KIND, &key.id).await?;
                    continue;
                }
                verifying += 1;
                if signs(&key) {
                    key.verifies_until = Some(until);
                    update(tx, &key).await?;
                }
            }
            if verifying > KEYS_MAX {
                return Err(Failure::Refusal(
                    StatusCode::CONFLICT,
                    format!(
                        "{KEYS_MAX} earlier keys still verify tokens: wait until a week after the first was replaced, or end them."
                    ),
                ));
            }
            insert(tx, &fresh).await?;
            Ok((fresh, verifying))
        })
    })
    .await
}

/// Makes a token of this user open nothing from now on, and forgets now and then what is past its use. `now` is in
/// milliseconds since 1970.
pub async fn revoke(
    store: &Store,
    revocation: Revocation,
    user_id: String,
    now: u64,
) -> Result<(), Failure> {
    let kept = store
        .read(|model| model.documents(Revocation::KIND).count())
        .await?;
    let due = kept > 0 && kept.is_multiple_of(SWEEP_EVERY);
    write(store, move |tx| {
        let (revocation, user_id) = (revocation.clone(), user_id.clone());
        Box::pin(async move {
            let kept = if due || kept >= REVOCATIONS_MAX {
                sweep(tx, now / 1000).await?
            } else {
                kept
            };
            if kept >= REVOCATIONS_MAX {
                let mut user: User = find(tx, "user", &user_id).await?;
                user.logins_from = user.logins_from.max(now.saturating_add(1));
                return update(tx, &user).await;
            }
            // Revoking twice is the same as once.
            tx.insert(
                Revocation::KIND,
                &revocation.key(),
                "",
                &revocation,
                Layout::default(),
            )
            .await?;
            Ok(())
        })
    })
    .await
}

/// Forgets the revocations of tokens that have expired; answers how many are left.
async fn sweep(tx: &mut Tx, now: u64) -> Result<usize, Failure> {
    let mut kept = 0;
    for document in tx.documents(Revocation::KIND).await? {
        let old: Revocation = document.parse(Revocation::KIND)?;
        if old.expires_at <= now {
            tx.delete(Revocation::KIND, &old.audit_id).await?;
        } else {
            kept += 1;
        }
    }
    Ok(kept)
}

async fn keys(tx: &mut Tx) -> Result<Vec<SigningKey>, Failure> {
    let documents = tx.documents(SigningKey::KIND).await?;
    let keys = documents
        .iter()
        .map(|document| document.parse(SigningKey::KIND));
    Ok(keys.collect::<Result<_, _>>()?)
}

fn signs(key: &SigningKey) -> bool {
    key.verifies_until.is_none()
}
