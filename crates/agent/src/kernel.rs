//! All that touches the kernel: BPF maps and programs, netlink, namespaces, packet sockets. Nothing here decides: rows,
//! links and frames come in as values, what is there goes out as values.
//!
//! Every call here blocks for as long as the kernel needs. Call from a thread that may wait, and from the network
//! namespace that is meant: [`netns::inside`] runs a closure in another one.
#![allow(unsafe_code)]

pub mod bpffs;
pub mod fastpath;
pub mod filters;
pub mod inherit;
pub mod links;
pub mod maps;
pub mod memory;
pub mod netns;
pub mod objections;
pub mod punt;
pub mod sender;

pub use fastpath::{Counters, Fastpath, FastpathConfig, FastpathError, Hook};
pub use maps::{
    ListenerRow, MapOp, NeighRow, NicRow, OutsideFlags, PortRow, Rows, SourceRow, UplinkRow,
};
pub use objections::Objections;
pub use punt::{Punt, PuntReason, PuntRecord};
pub use sender::Sender;
pub use verdict::{Kind, Verdict};

mod hooks;
mod netlink;
mod object;
mod verdict;
