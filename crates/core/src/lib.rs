//! The nouns of a virtual network, their rules, and the plan that one host must carry out.
//!
//! Pure: no clock, no IO, no randomness, no async. Everything that a caller needs from the world comes in as an
//! argument, so that a plan is a function of a snapshot and nothing else.

pub mod address;
pub mod availability;
pub mod dhcp;
pub mod domain;
pub mod errors;
pub mod ids;
pub mod link;
pub mod mac;
pub mod modes;
pub mod network;
pub mod observed;
pub mod plan;
pub mod port;
pub mod provider;
pub mod refusal;
pub mod report;
pub mod settings;
pub mod snapshot;
pub mod subnet;
