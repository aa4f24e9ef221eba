//! The protocol machines of one port's link, sans-IO: Router Advertisements, DHCPv6, DHCPv4 and Neighbor Discovery, composed
//! as one [`Link`].
//!
//! Frames, plans and the time come in through `handle_*`; frames, events and deadlines go out through `poll_*`. A port
//! is known by the link that its frames come in on, never by what they say.

mod counters;
mod dhcpv4;
mod dhcpv6;
pub mod diagnosis;
mod directory;
mod event;
#[cfg(test)]
mod fixture;
pub mod history;
mod learned;
mod link;
mod nd;
mod querier;
mod ra;
mod random;
mod reconfigure;
mod segment;

pub use counters::{DropReason, LinkCounters, Sent};
pub use directory::{Directory, Holder, HolderKind};
pub use event::LinkEvent;
pub use learned::{
    CONTEST_INTERVAL, LEARNED_GLOBAL_MAX, LEARNED_LIFETIME, LEARNED_LINK_LOCAL_MAX, LEARNED_MAX,
    PROBATION,
};
pub use link::{EVENTS_MAX, Known, Link, TRANSMITS_MAX};
pub use querier::{
    LISTENER_INTERVAL, QUERY_INTERVAL, QUERY_RESPONSE_INTERVAL, ROBUSTNESS, STARTUP_QUERY_INTERVAL,
};
pub use ra::{
    MAX_INITIAL_RTR_ADVERT_INTERVAL, MAX_INITIAL_RTR_ADVERTISEMENTS, MIN_DELAY_BETWEEN_RAS,
};
pub use reconfigure::{Reconfigurable, ReconfigureSeed};
pub use segment::{PREFIXES_MAX, RaSenderSeen, SENDERS_MAX, Segment, SegmentRules, SegmentSeen};
