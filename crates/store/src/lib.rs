//! The cloud's memory: documents, constraint tables and the change log in a SQL database, and the read model that
//! follows the log. The only crate that knows SQL.
//!
//! A write is one closure in one transaction ([`Store::write`]): it changes everything that it says or nothing. Reads
//! never touch the database: [`Store::read`] shows the [`Model`], which holds every committed write.
//!
//! The engine is SQLite, a file of one server, or PostgreSQL, which any number of servers share. The SQL is one text for
//! both. On either, a server writes in one place: many jobs in one commit, each in a savepoint of its own.

mod audience;
mod counter;
mod database;
mod document;
mod engine;
mod lock;
pub mod maintenance;
mod model;
mod network;
mod observed;
mod port;
mod postgres;
mod quota;
mod redo;
mod schema;
mod sqlite;
mod stats;
mod store;
mod subnet;
mod tx;
mod value;
mod writer;

pub use counter::Counter;
pub use database::{Database, DatabaseError, PostgresUrl};
pub use document::{Document, Layout};
pub use engine::EngineError;
pub use model::{Committed, Marker, Model};
pub use redo::redo_body;
pub use schema::SCHEMA_VERSION;
pub use stats::Stats;
pub use store::{OpenError, Store, StoreConfig, Synchronous, WriteError};
pub use tx::{Pick, Tx};

/// The kind of networks' documents.
pub const NETWORK: &str = "network";
/// The kind of subnets' documents.
pub const SUBNET: &str = "subnet";
/// The kind of ports' documents.
pub const PORT: &str = "port";
/// The kind of the documents of what was seen of ports' guests, under the ports' ids.
pub const OBSERVED: &str = "observed";
