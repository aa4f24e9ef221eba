//! The key that signs tokens, and tokens given back.

use hextet_store::{Layout, Store};

use super::{insert, write};
use crate::identity::error::Failure;
use crate::identity::records::{Record, Revocation, SigningKey};

/// Tokens given back that have not expired yet. At the bound no further one can be given back before its time.
const REVOCATIONS_MAX: usize = 10_000;

/// The key that signs tokens; the first start makes it.
pub async fn signing_key(store: &Store) -> Result<SigningKey, Failure> {
    let fresh = SigningKey::random();
    write(store, move |tx| {
        let fresh = fresh.clone();
        Box::pin(async move {
            if let Some(key) = tx.value(SigningKey::KIND, SigningKey::ID).await? {
                return Ok(key);
            }
            insert(tx, &fresh).await?;
            Ok(fresh)
        })
    })
    .await
}

/// Makes a token open nothing from now on, and forgets revocations that are past their use at `now`.
pub async fn revoke(store: &Store, revocation: Revocation, now: u64) -> Result<(), Failure> {
    write(store, move |tx| {
        let revocation = revocation.clone();
        Box::pin(async move {
            let mut kept = 0;
            for document in tx.documents(Revocation::KIND).await? {
                let old: Revocation = document.parse(Revocation::KIND)?;
                if old.expires_at <= now {
                    tx.delete(Revocation::KIND, &old.audit_id).await?;
                } else {
                    kept += 1;
                }
            }
            if kept >= REVOCATIONS_MAX {
                return Err(Failure::Refusal(
                    http::StatusCode::SERVICE_UNAVAILABLE,
                    "Too many tokens are revoked at this time. This one holds until it expires."
                        .to_owned(),
                ));
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
