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
    /// After how many seconds DHCPv6 clients extend their addresses.
    pub dhcpv6_times: RenewalTimes,
    /// Lease time of DHCPv4, seconds.
    pub dhcpv4_lease_s: u32,
    /// After how many seconds of it DHCPv4 clients extend their lease.
    pub dhcpv4_times: RenewalTimes,
    /// Retrans Timer that guests are told (RFC 4861 §4.2), milliseconds; 0 leaves the guest's own. Short by default:
    /// the host proves uniqueness, so a guest need not wait a second for it.
    pub retrans_timer_ms: u32,
    /// Domains that guests search (RFC 8106 §5.2, RFC 3646 §4), without a trailing dot.
    pub dns_search: Vec<String>,
}

/// When a client asks for more time: T1 and T2.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RenewalTimes {
    /// T1: it asks the server that it has its addresses from, seconds.
    pub t1_s: u32,
    /// T2, not below T1: it asks all servers, seconds.
    pub t2_s: u32,
}

impl RenewalTimes {
    /// Half and four fifths of the preferred lifetime, as RFC 9915 §21.4 recommends.
    pub fn of_preferred_lifetime(preferred_lifetime_s: u32) -> Self {
        Self {
            t1_s: preferred_lifetime_s / 2,
            t2_s: fraction(preferred_lifetime_s, 4, 5),
        }
    }

    /// Half and seven eighths of a lease (RFC 2131 §4.4.5).
    pub fn of_lease(lease_s: u32) -> Self {
        Self {
            t1_s: lease_s / 2,
            t2_s: fraction(lease_s, 7, 8),
        }
    }
}

/// So many parts of so many.
fn fraction(seconds: u32, part: u64, of: u64) -> u32 {
    (u64::from(seconds) * part / of) as u32
}

impl CloudSettings {
    /// RFC 9096's lifetimes, leases of the same, a Retrans Timer of 100 ms, no search domains.
    pub fn with_defaults(server_duid: Uuid) -> Self {
        let (preferred_lifetime_s, valid_lifetime_s) = (2700, 5400);
        Self {
            server_duid,
            max_rtr_adv_interval_s: 600,
            preferred_lifetime_s,
            valid_lifetime_s,
            dhcpv6_times: RenewalTimes::of_preferred_lifetime(preferred_lifetime_s),
            dhcpv4_lease_s: valid_lifetime_s,
            dhcpv4_times: RenewalTimes::of_lease(valid_lifetime_s),
            retrans_timer_ms: 100,
            dns_search: Vec::new(),
        }
    }
}
