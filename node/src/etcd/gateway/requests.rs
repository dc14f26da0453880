//! A request's body of JSON objects as a stream of gRPC messages.

use std::{
    pin::Pin,
    sync::{Arc, OnceLock},
    task::{Context, Poll, ready},
};

use axum::body::Body;
use bytes::Bytes;
use hyper::body::{Body as HttpBody, Frame};
use tonic::Status;

use super::{frame, method::Method, objects::Objects};

/// Why the stream ended before its end, for who writes the answer.
pub(super) type Fault = Arc<OnceLock<Status>>;

/// A stream of messages.
pub(super) struct Requests {
    method: Arc<Method>,
    body: Body,
    objects: Objects,
    most: usize,
    fault: Fault,
    ended: bool,
}

impl Requests {
    /// The messages of `body`, of which each may have `most` bytes as JSON.
    pub(super) fn new(method: Arc<Method>, body: Body, most: usize) -> (Self, Fault) {
        let fault = Fault::default();
        (Self { method, body, objects: Objects::default(), most, fault: fault.clone(), ended: false }, fault)
    }

    fn next(&mut self) -> Result<Option<Bytes>, Status> {
        let next = self.objects.take().map_err(|_| Status::invalid_argument("a JSON object was expected"))?;
        match next {
            Some(json) => Ok(Some(frame::of(&self.method.parse(&json)?))),
            None if self.objects.len() > self.most => {
                Err(Status::resource_exhausted(format!("a JSON object has more than {} bytes", self.most)))
            }
            None if self.ended && self.objects.is_inside() => Err(Status::invalid_argument("unexpected EOF")),
            None => Ok(None),
        }
    }
}

impl HttpBody for Requests {
    type Data = Bytes;
    type Error = Status;

    /// Breaks off where it cannot go on, so that the call ends; `fault` says why, since the service may not.
    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        loop {
            match self.next() {
                Ok(Some(message)) => return Poll::Ready(Some(Ok(Frame::data(message)))),
                Ok(None) if self.ended => return Poll::Ready(None),
                Ok(None) => {}
                Err(status) => {
                    // Only the first reason counts.
                    let _first = self.fault.set(status.clone());
                    self.ended = true;
                    return Poll::Ready(Some(Err(status)));
                }
            }
            match ready!(Pin::new(&mut self.body).poll_frame(cx)) {
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        self.objects.add(&data);
                    }
                }
                // A client that breaks off has nobody to be told.
                Some(Err(_)) | None => self.ended = true,
            }
        }
    }
}
