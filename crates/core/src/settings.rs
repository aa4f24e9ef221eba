//! What the operator decides for the whole cloud: lifetimes, timers, search domains.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Cloud-wide settings, an input of every host's plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CloudSettings {
    /// The one DHCPv6 server identity of the cloud (DUID-UUID, RFC 6355), made with the database.
    pub server_duid: Uuid,
    /// MaxRtrAdvInterval (RFC 4861 §6.2.1), seconds, 4 to 1800.
    pub max_rtr_adv_interval_s: u16,
    /// Preferred lifetime of prefixes and addresses, seconds (ND_PREFERRED_LIMIT of RFC 9096 §3.4 by default).
    pub preferred_lifetime_s: u32,
    /// Valid lifetime of prefixes and addresses, seconds, not below the preferred one (ND_VALID_LIMIT of RFC 9096 §3.4
    /// by default).
    pub valid_lifetime_s: u32,
    /// Retrans Timer that guests are told (RFC 4861 §4.2), milliseconds; 0 leaves the guest's own. Short by default:
    /// the host proves uniqueness, so a guest need not wait a second for it.
    pub retrans_timer_ms: u32,
    /// Domains that guests search (RFC 8106 §5.2, RFC 3646 §4), without a trailing dot.
    pub dns_search: Vec<String>,
}

impl CloudSettings {
    /// RFC 9096's lifetimes, a Retrans Timer of 100 ms, no search domains.
    pub fn with_defaults(server_duid: Uuid) -> Self {
        Self {
            server_duid,
            max_rtr_adv_interval_s: 600,
            preferred_lifetime_s: 2700,
            valid_lifetime_s: 5400,
            retrans_timer_ms: 100,
            dns_search: Vec::new(),
        }
    }
}
