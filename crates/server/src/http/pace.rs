//! How long a connection may do nothing, by what it is doing: rest, send a head, take an answer.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::Notify;
use tokio::time::{Instant, Sleep};

use super::bare;
use super::bounds::{Bound, Bounds};

/// Between two requests, or before the first.
const IDLE: u8 = 0;
/// A request has begun to come.
const HEAD: u8 = 1;
/// A request is being carried out; its body has a time of its own.
const BUSY: u8 = 2;

/// What a connection does, for the one that serves it, the one that carries out its requests, and the one that looks for
/// an idle one to close.
#[derive(Debug)]
pub(super) struct Pace {
    phase: AtomicU8,
    /// Milliseconds from `begun` to the beginning of the phase.
    since: AtomicU64,
    begun: Instant,
    /// A request was answered while its client still sent.
    unread: AtomicBool,
    /// Why a head was not parsed.
    refused: OnceLock<Bound>,
    /// Told when another connection needs the place.
    evicted: Notify,
}

impl Pace {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            phase: AtomicU8::new(IDLE),
            since: AtomicU64::new(0),
            begun: Instant::now(),
            unread: AtomicBool::new(false),
            refused: OnceLock::new(),
            evicted: Notify::new(),
        })
    }

    fn enter(&self, phase: u8) {
        let since = self.begun.elapsed().as_millis();
        let since = u64::try_from(since).unwrap_or(u64::MAX);
        self.since.store(since, Ordering::Relaxed);
        self.phase.store(phase, Ordering::Relaxed);
    }

    /// A request is there.
    pub(super) fn handle_request(&self) {
        self.enter(BUSY);
    }

    /// It has its answer.
    pub(super) fn handle_answer(&self) {
        self.enter(IDLE);
    }

    /// A body will not be read.
    pub(super) fn leave_unread(&self) {
        self.unread.store(true, Ordering::Relaxed);
    }

    /// Whether a body was not read.
    pub(super) fn is_unread(&self) -> bool {
        self.unread.load(Ordering::Relaxed)
    }

    /// Why the last head was not parsed, if it was not.
    pub(super) fn refused(&self) -> Option<Bound> {
        self.refused.get().copied()
    }

    /// Whether a head is on its way.
    pub(super) fn is_in_head(&self) -> bool {
        self.phase.load(Ordering::Relaxed) == HEAD
    }

    /// Since when the connection waits for its client; `None` while it does not.
    pub(super) fn idle_since(&self) -> Option<Instant> {
        (self.phase.load(Ordering::Relaxed) != BUSY).then(|| self.phase_began())
    }

    /// Ends the connection.
    pub(super) fn evict(&self) {
        self.evicted.notify_one();
    }

    /// Returns when it is to end.
    pub(super) async fn evicted(&self) {
        self.evicted.notified().await;
    }

    fn phase_began(&self) -> Instant {
        self.begun + Duration::from_millis(self.since.load(Ordering::Relaxed))
    }

    /// A waiting client took a part of its answer: it does not rest.
    fn handle_progress(&self) {
        if self.phase.load(Ordering::Relaxed) == IDLE {
            self.enter(IDLE);
        }
    }

    /// Something came.
    fn handle_octets(&self) {
        if self.phase.load(Ordering::Relaxed) == IDLE {
            self.enter(HEAD);
        }
    }

    /// When the wait for the client's next byte ends. Of a busy connection: when to look again, since it is not polled
    /// when it begins to rest.
    fn read_deadline(&self, bounds: &Bounds) -> Instant {
        match self.phase.load(Ordering::Relaxed) {
            IDLE => self.phase_began() + bounds.idle_time,
            HEAD => self.phase_began() + bounds.head_time,
            _ => Instant::now() + bounds.idle_time,
        }
    }
}

/// A stream whose waits end.
pub(super) struct Paced<S> {
    stream: S,
    pace: Arc<Pace>,
    bounds: Bounds,
    reading: Pin<Box<Sleep>>,
    /// Set while a write waits.
    writing: Option<Pin<Box<Sleep>>>,
}

impl<S> Paced<S> {
    pub(super) fn new(stream: S, pace: Arc<Pace>, bounds: Bounds) -> Self {
        let reading = Box::pin(tokio::time::sleep(bounds.idle_time));
        Self {
            stream,
            pace,
            bounds,
            reading,
            writing: None,
        }
    }

    /// The stream without its times.
    pub(super) fn into_inner(self) -> S {
        self.stream
    }

    /// An error when the client's time is over.
    fn poll_read_time(&mut self, context: &mut Context<'_>) -> Poll<io::Error> {
        let deadline = self.pace.read_deadline(&self.bounds);
        // The timer is moved only when it would come too late, or has come too early: not with each request.
        if deadline < self.reading.deadline() {
            self.reading.as_mut().reset(deadline);
        }
        while self.reading.as_mut().poll(context).is_ready() {
            if deadline <= Instant::now() {
                return Poll::Ready(io::ErrorKind::TimedOut.into());
            }
            self.reading.as_mut().reset(deadline);
        }
        Poll::Pending
    }

    /// The outcome of a write, or an error when it made no progress for too long.
    fn poll_write_time<T>(
        &mut self,
        context: &mut Context<'_>,
        outcome: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if outcome.is_ready() {
            if self.writing.take().is_some() {
                // A client that takes its answer does not idle.
                self.pace.handle_progress();
            }
            return outcome;
        }
        let time = self.bounds.write_time;
        let writing = self
            .writing
            .get_or_insert_with(|| Box::pin(tokio::time::sleep(time)));
        writing
            .as_mut()
            .poll(context)
            .map(|()| Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Paced<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        match Pin::new(&mut self.stream).poll_read(context, buffer) {
            Poll::Ready(outcome) => {
                if buffer.filled().len() > before {
                    self.pace.handle_octets();
                }
                Poll::Ready(outcome)
            }
            Poll::Pending => self.poll_read_time(context).map(Err),
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Paced<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        octets: &[u8],
    ) -> Poll<io::Result<usize>> {
        let passing = match bare::find(octets) {
            Some((0, bound)) => {
                self.pace.refused.get_or_init(|| bound);
                return Poll::Ready(Ok(octets.len()));
            }
            Some((begin, _)) => &octets[..begin],
            None => octets,
        };
        let outcome = Pin::new(&mut self.stream).poll_write(context, passing);
        self.poll_write_time(context, outcome)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let last = slices.iter().rposition(|slice| !slice.is_empty());
        let last = last.unwrap_or_default();
        let passing = match slices.get(last) {
            Some(octets) if bare::find(octets).is_some() => match slices.get(..last) {
                Some([_, ..]) => &slices[..last],
                _ => return self.poll_write(context, octets),
            },
            _ => slices,
        };
        let outcome = Pin::new(&mut self.stream).poll_write_vectored(context, passing);
        self.poll_write_time(context, outcome)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let outcome = Pin::new(&mut self.stream).poll_flush(context);
        self.poll_write_time(context, outcome)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let outcome = Pin::new(&mut self.stream).poll_shutdown(context);
        self.poll_write_time(context, outcome)
    }
}
