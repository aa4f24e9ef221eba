//! The embedded identity service: as much of OpenStack Identity (Keystone v3) as clients of the networking API use.
//!
//! Users, projects and role assignments are documents in the store; passwords are kept as Argon2id hashes; tokens are
//! signed, so that a server needs no table of them, and the key and the revocations are in the store, so that every
//! server accepts and refuses the same ones. A token says who and where; what the user may do there is looked up at
//! each request, so that a role taken away is gone at once.
//!
//! Left out on purpose: more than one domain, groups, trusts, application credentials, domain and system scopes,
//! federation. What is left out answers 404 or an error that names it.

mod caller;
mod password;
mod records;
mod role;
mod secret;
mod throttle;
mod token;

pub use caller::{Caller, Unauthorized};
pub use role::{Role, UnknownRole, effective};
