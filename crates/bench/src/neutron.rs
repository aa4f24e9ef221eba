//! The peer: Neutron 29 with ML2 and OVN on MariaDB under uWSGI, each commit durable, driven by the same requests on a
//! machine of the same kind (2 cores). Its measurement stands in the project's issue 4; it cannot be run here, because it
//! needs a database, a message bus and Keystone of its own. Rates are a second, times milliseconds, memory 10^6 bytes.

/// Chains, 8 clients.
pub const CHAINS_8: f64 = 8.7;
/// Chains, 1 client.
pub const CHAINS_1: f64 = 4.4;
/// The median creation of a port, 1 client.
pub const CREATE_MS: f64 = 97.0;
/// The median show of a port, 1 client.
pub const SHOW_MS: f64 = 13.9;
/// Shows, 8 clients.
pub const SHOWS_8: f64 = 150.0;
/// A list of 1,000 ports.
pub const LIST_1000_MS: f64 = 710.0;
/// A list of 10,000 ports.
pub const LIST_10000_MS: f64 = 5800.0;
/// PSS of the API server alone, holding 10,000 ports.
pub const PSS_MB: f64 = 870.0;
