//! Bodies on their way: taken in whole before a request holds a place, given out in pieces while their bytes are counted.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use axum::response::Response;
use http_body_util::BodyExt as _;
use hyper::body::{Frame, SizeHint};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::bounds::Bound;

/// Answers up to so many bytes are not counted: the connection's buffers hold as much.
const ANSWER_COUNTED_FROM: usize = 64 * 1024;
/// Bytes of an answer that are handed to a connection at a time.
const PIECE_BYTES: usize = 256 * 1024;

/// Bytes that a kind of bodies may have under way, all together.
#[derive(Clone, Debug)]
pub(super) struct Budget {
    free: Arc<Semaphore>,
    all: usize,
}

/// A body that is there, and its share of the budget.
pub(super) struct Gathered {
    pub octets: Bytes,
    pub share: Option<OwnedSemaphorePermit>,
}

impl Budget {
    pub(super) fn new(bytes: usize) -> Self {
        Self {
            free: Arc::new(Semaphore::new(bytes)),
            all: bytes,
        }
    }

    /// A share of so many bytes, if they are free. More than all is all: it has to be possible alone.
    fn take(&self, bytes: usize) -> Option<OwnedSemaphorePermit> {
        let bytes = u32::try_from(bytes.min(self.all)).unwrap_or(u32::MAX);
        self.free.clone().try_acquire_many_owned(bytes).ok()
    }

    /// A body, whole.
    pub(super) async fn gather(
        &self,
        mut body: Body,
        bytes_max: usize,
        time: Duration,
    ) -> Result<Gathered, Bound> {
        if body.size_hint().lower() > bytes_max as u64 {
            return Err(Bound::BodyTooLarge);
        }
        let gathering = self.collect(&mut body, bytes_max);
        tokio::time::timeout(time, gathering)
            .await
            .unwrap_or(Err(Bound::BodyTooSlow))
    }

    async fn collect(&self, body: &mut Body, bytes_max: usize) -> Result<Gathered, Bound> {
        let mut share: Option<OwnedSemaphorePermit> = None;
        let mut first = Bytes::new();
        let mut whole = Vec::new();
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|_| Bound::BodyBroken)?;
            // Trailers say nothing to us.
            let Ok(octets) = frame.into_data() else {
                continue;
            };
            if first.len().max(whole.len()) + octets.len() > bytes_max {
                return Err(Bound::BodyTooLarge);
            }
            let more = self.take(octets.len()).ok_or(Bound::BodiesBusy)?;
            match &mut share {
                None => share = Some(more),
                Some(share) => share.merge(more),
            }
            // Most bodies come in one piece and need no copy.
            if first.is_empty() && whole.is_empty() {
                first = octets;
                continue;
            }
            if whole.is_empty() {
                whole.extend_from_slice(&first);
            }
            whole.extend_from_slice(&octets);
        }
        let octets = if whole.is_empty() {
            first
        } else {
            Bytes::from(whole)
        };
        Ok(Gathered { octets, share })
    }

    /// Counts a large answer until its reader has taken it.
    pub(super) fn give_out(&self, response: Response) -> Result<Response, Bound> {
        let size = response.body().size_hint().exact().unwrap_or(0);
        let size = usize::try_from(size).unwrap_or(usize::MAX);
        if size <= ANSWER_COUNTED_FROM {
            return Ok(response);
        }
        let share = self.take(size).ok_or(Bound::AnswersBusy)?;
        Ok(response.map(|inner| {
            Body::new(Counted {
                inner,
                rest: Bytes::new(),
                _share: share,
            })
        }))
    }
}

/// A body in pieces, so that it is there as long as its reader has not taken nearly all of it.
struct Counted {
    inner: Body,
    /// What the inner body has given and was not handed on.
    rest: Bytes,
    _share: OwnedSemaphorePermit,
}

impl HttpBody for Counted {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if self.rest.is_empty() {
            match Pin::new(&mut self.inner).poll_frame(context) {
                Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                    Ok(octets) => self.rest = octets,
                    Err(frame) => return Poll::Ready(Some(Ok(frame))),
                },
                other => return other,
            }
        }
        let piece = self.rest.len().min(PIECE_BYTES);
        Poll::Ready(Some(Ok(Frame::data(self.rest.split_to(piece)))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let inner = self.inner.size_hint();
        match inner.exact() {
            Some(rest) => SizeHint::with_exact(rest + self.rest.len() as u64),
            None => inner,
        }
    }
}

#[cfg(test)]
mod tests;
