//! The agent: carries out one host's plan. It takes deltas from the server, keeps them on disk, brings links and the fast
//! path to what they say, answers the guests, and reports.

mod claims;
pub mod config;
#[cfg(test)]
mod fixture;
pub mod handover;
pub mod host;
pub mod kernel;
pub mod ledger;
mod locks;
pub mod metrics;
pub mod reconcile;
pub mod run;
pub mod serve;
pub mod socket;
pub mod uplink;

pub use run::{RunError, run, take_down};
