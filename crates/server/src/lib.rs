//! The server: HTTP in, one transaction for each request, the feed out.
//!
//! A request goes `http/v2/<noun>.rs` (thin) → `app/<noun>.rs` (authorise, check, choose, one transaction) → the rules in
//! `hextet_core` → `hextet_store`. Agents take their plans from [`feed`], identity answers under the same address.

pub mod app;
pub mod config;
pub mod feed;
pub mod http;
pub mod identity;
mod run;

pub use config::{ConfigError, LogFormat, ServerConfig};
pub use hextet_store::{Database, maintenance};
pub use run::{RunError, recover_administrator, run};
