//! Answers on their way to the client.
//!
//! An answer that the client does not read stays in memory, so the request counts until its answer is sent, and that has a
//! deadline: see [`SendBy`].

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use axum::body::{Body, Bytes};
use hyper::body::{Body as HttpBody, Frame, SizeHint};

use super::Notes;
use crate::server::SendBy;

/// hyper asks for more only if it has fewer bytes left than its buffer has. So the body of an answer is there until nearly all of
/// it is sent.
const PIECE: usize = 16 * 1024;

/// The body of an answer, in pieces.
pub(super) struct Sending {
    body: Body,
    rest: Bytes,
    send_by: Option<SendBy>,
    /// Has what counts until the answer is sent.
    _notes: Notes,
}

impl Sending {
    /// The body, with what its request has noted.
    pub(super) fn new(body: Body, notes: Notes, send_by: Option<SendBy>) -> Self {
        Self { body, rest: Bytes::new(), send_by, _notes: notes }
    }
}

impl HttpBody for Sending {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        while self.rest.is_empty() {
            let polled = Pin::new(&mut self.body).poll_frame(context);
            if let Some(send_by) = &self.send_by {
                // The time counts only while there is something to send.
                if polled.is_ready() { send_by.start() } else { send_by.clear() }
            }
            match ready!(polled) {
                None => return Poll::Ready(None),
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => self.rest = data,
                    Err(other) => return Poll::Ready(Some(Ok(other))),
                },
            }
        }
        let end = self.rest.len().min(PIECE);
        // A copy, so that the last piece does not keep the whole answer.
        let piece = Bytes::copy_from_slice(&self.rest.split_to(end));
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let (body, rest) = (self.body.size_hint(), self.rest.len() as u64);
        let mut hint = SizeHint::new();
        hint.set_lower(body.lower() + rest);
        if let Some(upper) = body.upper() {
            hint.set_upper(upper + rest);
        }
        hint
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;

    use super::*;

    #[tokio::test]
    async fn an_answer_is_sent_in_pieces_and_what_counts_is_kept_until_the_last_one() {
        let (notes, kept) = (Notes::default(), std::sync::Arc::new(()));
        notes.keep(std::sync::Arc::clone(&kept));
        let text = "abc".repeat(PIECE);
        let mut body = Sending::new(Body::from(text.clone()), notes, None);
        assert_eq!(body.size_hint().exact(), Some(text.len() as u64));
        let mut sent = Vec::new();
        while let Some(frame) = body.frame().await {
            let data = frame.unwrap().into_data().unwrap();
            assert!(data.len() <= PIECE);
            sent.extend(data);
            assert_eq!(body.size_hint().exact(), Some((text.len() - sent.len()) as u64));
            assert_eq!(std::sync::Arc::strong_count(&kept), 2);
        }
        assert_eq!(sent, text.as_bytes());
        drop(body);
        assert_eq!(std::sync::Arc::strong_count(&kept), 1);
    }
}
