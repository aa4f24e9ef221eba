//! What the server and the agents say to each other, and the command line to its machine's agent: the protobuf files,
//! their conversion to and from `core`, and the rule of which entries differ. No decisions.

pub mod convert;
pub mod digest;
pub mod sync;

/// Largest message that either end takes, bytes: a part of a plan or a greeting is far below it.
pub const MESSAGE_BYTES_MAX: usize = 4 << 20;

/// Most taps that one host claims at once.
pub const CLAIMS_MAX: usize = 1024;

/// The generated messages and services.
#[allow(missing_docs, clippy::all)]
pub mod v1 {
    tonic::include_proto!("hextet.feed.v1");
}
