//! Long lists on their way: the text is made when the reader takes it, part by part, from documents that do not change.
//!
//! So a list costs neither memory nor time that its reader does not use: what is held is 8 bytes for each document, and one
//! part. Its length is not known when it begins, hence it comes in chunks; a short one is one text with its length.

use std::ops::Deref;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use axum::response::Response;
use hextet_store::Document;
use http::StatusCode;
use hyper::body::Frame;
use tokio::time::Instant;

use super::error::{json_body, respond};
use super::view::Many;

/// Bytes of a part, and of the longest list that is one text.
const PART_BYTES: usize = 64 * 1024;

/// Parts that are made in a row; then it is others' turn.
const PARTS_AT_ONCE: u32 = 4;

/// The answer that a list is. What is not taken within `time` is cut off: documents that were changed since are kept for
/// its reader alone.
pub(super) fn answer<I>(mut many: Many<I>, time: Duration) -> Response
where
    I: Iterator<Item: Deref<Target = Document>> + Unpin + Send + 'static,
{
    let mut first = String::new();
    many.push(&mut first, PART_BYTES);
    if many.is_whole() {
        return respond(StatusCode::OK, first);
    }
    json_body(
        StatusCode::OK,
        Body::new(Parts {
            many,
            next: Some(first),
            in_a_row: 0,
            until: Instant::now() + time,
        }),
    )
}

struct Parts<I> {
    many: Many<I>,
    /// The part that was made to see whether there are more.
    next: Option<String>,
    in_a_row: u32,
    until: Instant,
}

/// Why the rest is kept back.
#[derive(Debug, thiserror::Error)]
#[error("a list was not taken in time")]
struct NotTaken;

impl<I> HttpBody for Parts<I>
where
    I: Iterator<Item: Deref<Target = Document>> + Unpin,
{
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if Instant::now() >= self.until {
            return Poll::Ready(Some(Err(axum::Error::new(NotTaken))));
        }
        if self.in_a_row == PARTS_AT_ONCE {
            self.in_a_row = 0;
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        self.in_a_row += 1;
        let part = match self.next.take() {
            Some(first) => first,
            None if self.many.is_whole() => return Poll::Ready(None),
            None => {
                // A document more than the part's bytes, most often.
                let mut part = String::with_capacity(PART_BYTES + PART_BYTES / 8);
                self.many.push(&mut part, PART_BYTES);
                part
            }
        };
        Poll::Ready(Some(Ok(Frame::data(Bytes::from(part)))))
    }

    fn is_end_stream(&self) -> bool {
        self.next.is_none() && self.many.is_whole()
    }
}
