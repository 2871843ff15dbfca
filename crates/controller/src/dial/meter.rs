//! Limits how many bytes are read from a connection, and records whether any were read.
//!
//! hyper has no limit for responses with a status code below 200, for zeros before the size of a chunk, and for spaces
//! after this size. rustls has no limit for session tickets. All these bytes pass through this reader first.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A connection from which at most a given number of bytes is read.
#[derive(Debug)]
pub(super) struct Metered<S> {
    stream: S,
    left: usize,
    seen: Arc<Seen>,
}

/// What has been read from a connection.
#[derive(Debug, Default)]
pub(super) struct Seen {
    any: AtomicBool,
    is_exceeded: AtomicBool,
    /// What has been read from the connection below this one: TCP below TLS.
    below: Option<Arc<Seen>>,
}

impl Seen {
    /// Whether at least one byte was read.
    pub(super) fn any(&self) -> bool {
        self.any.load(Ordering::Relaxed)
    }

    /// Whether reading ended because of the limit.
    pub(super) fn is_exceeded(&self) -> bool {
        self.is_exceeded.load(Ordering::Relaxed) || self.below.as_ref().is_some_and(|below| below.is_exceeded())
    }
}

impl<S> Metered<S> {
    /// Limits `stream` to `most` bytes. `below` is what has been read from the connection that `stream` runs over.
    pub(super) fn new(stream: S, most: usize, below: Option<Arc<Seen>>) -> (Self, Arc<Seen>) {
        let seen = Arc::new(Seen { below, ..Seen::default() });
        (Self { stream, left: most, seen: Arc::clone(&seen) }, seen)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Metered<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let room = this.left.min(buffer.remaining());
        if room == 0 && buffer.remaining() > 0 {
            this.seen.is_exceeded.store(true, Ordering::Relaxed);
            return Poll::Ready(Err(io::Error::other("the other side sends too much")));
        }
        let mut limited = ReadBuf::new(buffer.initialize_unfilled_to(room));
        ready!(Pin::new(&mut this.stream).poll_read(cx, &mut limited))?;
        let read = limited.filled().len();
        buffer.advance(read);
        this.left -= read;
        if read > 0 {
            this.seen.any.store(true, Ordering::Relaxed);
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Metered<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt as _;

    use super::*;

    #[tokio::test]
    async fn reading_fails_at_the_limit() {
        let (mut metered, seen) = Metered::new(&[7_u8; 10][..], 4, None);
        let mut buffer = Vec::new();
        assert!(!seen.any());
        assert!(metered.read_to_end(&mut buffer).await.is_err());
        assert_eq!((buffer.len(), seen.any(), seen.is_exceeded()), (4, true, true));
    }

    #[tokio::test]
    async fn a_stream_that_ends_before_the_limit_is_read_completely() {
        let (mut metered, seen) = Metered::new(&[7_u8; 3][..], 4, None);
        let mut buffer = Vec::new();
        assert_eq!(metered.read_to_end(&mut buffer).await.unwrap(), 3);
        assert!(!seen.is_exceeded());
    }
}
