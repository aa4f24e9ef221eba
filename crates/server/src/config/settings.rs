//! What guests are told for the whole cloud: `[ra]`, `[lifetimes]`, `[dhcpv6]`, `[dhcpv4]`, `dns_search`.

use std::ops::RangeInclusive;

use hextet_core::domain::check_search;
use hextet_core::settings::{CloudSettings, RenewalTimes};
use serde::Deserialize;
use uuid::Uuid;

use super::{ConfigError, within, wrong};

/// MaxRtrAdvInterval (RFC 4861 §6.2.1), seconds.
const MAX_RTR_ADV_INTERVAL: RangeInclusive<u16> = 4..=1800;
/// Longest Retrans Timer that makes sense, milliseconds: a minute.
const RETRANS_TIMER_MAX: u32 = 60_000;
/// Shortest lifetime of addresses, seconds: shorter ones run out between two advertisements.
const LIFETIME_MIN: u32 = 30;
/// Longest lifetime of addresses, seconds: a year.
const LIFETIME_MAX: u32 = 31_536_000;
/// Shortest T1, seconds: half the shortest lifetime.
const RENEWAL_MIN: u32 = LIFETIME_MIN / 2;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawRa {
    max_interval_s: u16,
    retrans_timer_ms: u32,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawLifetimes {
    preferred_s: u32,
    valid_s: u32,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawDhcpv6 {
    renew_s: Option<u32>,
    rebind_s: Option<u32>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawDhcpv4 {
    lease_s: Option<u32>,
    renew_s: Option<u32>,
    rebind_s: Option<u32>,
}

impl Default for RawRa {
    fn default() -> Self {
        let settings = CloudSettings::with_defaults(Uuid::nil());
        Self {
            max_interval_s: settings.max_rtr_adv_interval_s,
            retrans_timer_ms: settings.retrans_timer_ms,
        }
    }
}

impl Default for RawLifetimes {
    fn default() -> Self {
        let settings = CloudSettings::with_defaults(Uuid::nil());
        Self {
            preferred_s: settings.preferred_lifetime_s,
            valid_s: settings.valid_lifetime_s,
        }
    }
}

/// The sections that these settings come from.
pub(super) struct RawSettings {
    pub(super) ra: RawRa,
    pub(super) lifetimes: RawLifetimes,
    pub(super) dhcpv6: RawDhcpv6,
    pub(super) dhcpv4: RawDhcpv4,
    pub(super) dns_search: Vec<String>,
}

impl RawSettings {
    pub(super) fn check(self) -> Result<CloudSettings, ConfigError> {
        let Self {
            ra,
            lifetimes,
            dhcpv6,
            dhcpv4,
            dns_search,
        } = self;
        let seconds = |key, value, allowed| within(key, value, &allowed, "seconds");
        let interval = ra.max_interval_s;
        within(
            "ra.max_interval_s",
            interval,
            &MAX_RTR_ADV_INTERVAL,
            "seconds",
        )?;
        let retrans = 0..=RETRANS_TIMER_MAX;
        within(
            "ra.retrans_timer_ms",
            ra.retrans_timer_ms,
            &retrans,
            "milliseconds",
        )?;
        let (preferred_s, valid_s) = (lifetimes.preferred_s, lifetimes.valid_s);
        let any = LIFETIME_MIN..=LIFETIME_MAX;
        seconds("lifetimes.preferred_s", preferred_s, any.clone())?;
        within(
            "lifetimes.valid_s",
            valid_s,
            &(preferred_s..=LIFETIME_MAX),
            "seconds, not below lifetimes.preferred_s,",
        )?;
        let dhcpv6_times = times(
            ("dhcpv6.renew_s", dhcpv6.renew_s),
            ("dhcpv6.rebind_s", dhcpv6.rebind_s),
            RenewalTimes::of_preferred_lifetime(preferred_s),
            (preferred_s, "lifetimes.preferred_s"),
        )?;
        let dhcpv4_lease_s = dhcpv4.lease_s.unwrap_or(valid_s);
        seconds("dhcpv4.lease_s", dhcpv4_lease_s, any)?;
        let dhcpv4_times = times(
            ("dhcpv4.renew_s", dhcpv4.renew_s),
            ("dhcpv4.rebind_s", dhcpv4.rebind_s),
            RenewalTimes::of_lease(dhcpv4_lease_s),
            (dhcpv4_lease_s, "dhcpv4.lease_s"),
        )?;
        check_search(&dns_search)
            .map_err(|(value, allowed)| wrong("dns_search", value, &allowed))?;
        Ok(CloudSettings {
            max_rtr_adv_interval_s: interval,
            preferred_lifetime_s: preferred_s,
            valid_lifetime_s: valid_s,
            dhcpv6_times,
            dhcpv4_lease_s,
            dhcpv4_times,
            retrans_timer_ms: ra.retrans_timer_ms,
            dns_search,
            ..CloudSettings::with_defaults(Uuid::new_v4())
        })
    }
}

/// T1 and T2, each under its key: T1, then T2, then the time that they are for, whose key is the second of `end`.
fn times(
    t1: (&'static str, Option<u32>),
    t2: (&'static str, Option<u32>),
    default: RenewalTimes,
    end: (u32, &str),
) -> Result<RenewalTimes, ConfigError> {
    let times = RenewalTimes {
        t1_s: t1.1.unwrap_or(default.t1_s),
        t2_s: t2.1.unwrap_or(default.t2_s),
    };
    let before = format!("seconds, not above {},", end.1);
    within(t2.0, times.t2_s, &(RENEWAL_MIN..=end.0), &before)?;
    let before = format!("seconds, not above {},", t2.0);
    within(t1.0, times.t1_s, &(RENEWAL_MIN..=times.t2_s), &before)?;
    Ok(times)
}
