//! What the fast path decided about a frame: the names of its counters.

include!(concat!(env!("OUT_DIR"), "/verdicts.rs"));

/// What became of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Thrown away as a fault or an attack.
    Drop,
    /// Thrown away because nobody needs it.
    Consumed,
    /// Went on, to a guest or to the agent.
    Passed,
    /// Counted besides the frame's own verdict.
    Note,
}
