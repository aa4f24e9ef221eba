//! The cloud's memory: documents, constraint tables and the change log in a SQL database, and the read model that
//! follows the log. The only crate that knows SQL.
//!
//! A write is one closure in one transaction ([`Store::write`]): it changes everything that it says or nothing. Reads
//! never touch the database: [`Store::read`] shows the [`Model`], which holds every committed write.
//!
//! The engine is SQLite: one writer thread, many jobs in one commit, each in a savepoint of its own. The SQL is one text
//! in the subset that PostgreSQL takes too, and a job is written as a future, so that a second engine can stand beside
//! the first.

mod document;
mod engine;
mod lock;
pub mod maintenance;
mod model;
mod network;
mod port;
mod quota;
mod schema;
mod store;
mod subnet;
mod tx;
mod writer;

pub use document::{Document, Layout};
pub use engine::EngineError;
pub use model::{Committed, Model};
pub use network::VNI_MAX;
pub use schema::SCHEMA_VERSION;
pub use store::{OpenError, Store, StoreConfig, Synchronous, WriteError};
pub use tx::{Counter, Tx};

/// The kind of networks' documents.
pub const NETWORK: &str = "network";
/// The kind of subnets' documents.
pub const SUBNET: &str = "subnet";
/// The kind of ports' documents.
pub const PORT: &str = "port";
