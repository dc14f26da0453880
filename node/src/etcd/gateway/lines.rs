//! A stream of gRPC messages as lines of JSON: `{"result":…}` each, and `{"error":…}` where it does not end well.

use std::{
    convert::Infallible,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use hyper::body::{Body as HttpBody, Frame};
use tonic::{Code, Status};

use super::{answer, frame, method::Method, requests::Fault};

/// The lines of an answer.
pub(super) struct Lines {
    method: Arc<Method>,
    body: Body,
    bytes: BytesMut,
    fault: Option<Fault>,
    ended: bool,
}

impl Lines {
    pub(super) fn new(method: Arc<Method>, body: Body, fault: Option<Fault>) -> Self {
        Self { method, body, bytes: BytesMut::new(), fault, ended: false }
    }

    fn next(&mut self) -> Result<Option<Bytes>, Status> {
        let Some(message) = frame::take(&mut self.bytes)? else { return Ok(None) };
        let json = self.method.show(&message)?;
        Ok(Some([b"{\"result\":", &json[..], b"}\n"].concat().into()))
    }

    /// Why the stream ended, unless it did so well.
    fn why(&self, status: Option<Status>) -> Option<Status> {
        let fault = self.fault.as_ref().and_then(|fault| fault.get()).cloned();
        fault.or_else(|| status.filter(|status| status.code() != Code::Ok))
    }

    fn end(&mut self, status: Option<Status>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.ended = true;
        let last = self.why(status).map(|status| Ok(Frame::data(answer::error_line(&status))));
        Poll::Ready(last)
    }
}

impl HttpBody for Lines {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        loop {
            if self.ended {
                return Poll::Ready(None);
            }
            match self.next() {
                Ok(Some(line)) => return Poll::Ready(Some(Ok(Frame::data(line)))),
                Ok(None) => {}
                Err(status) => return self.end(Some(status)),
            }
            match ready!(Pin::new(&mut self.body).poll_frame(cx)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => self.bytes.extend_from_slice(&data),
                    Err(frame) => {
                        let status = frame.trailers_ref().and_then(Status::from_header_map);
                        return self.end(status);
                    }
                },
                Some(Err(error)) => return self.end(Some(Status::internal(format!("the answer broke off: {error}")))),
                None => return self.end(None),
            }
        }
    }
}
