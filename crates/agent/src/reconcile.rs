//! From what is known to what the host must be like, and the operations between the two. Pure: the host's thread
//! observes, takes the difference, applies it, and observes again.

mod links;
mod rows;
mod segments;
mod touched;

#[cfg(test)]
mod tests;

pub use links::{
    LinkOp, LinkProblem, LinkWanted, LinksWanted, diff_links, links_wanted, links_wanted_of,
};
pub(crate) use rows::{Addresses, learned_holders, own_addresses};
pub use rows::{Carried, CarriedBy, address_rows, rows_of, rows_wanted};
pub use segments::{Nic, Segment, SegmentProblem, Segments, segments};
pub use touched::{Touched, touched, with_same_addresses};
