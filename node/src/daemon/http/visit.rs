//! One connection's requests on their way to the router: counted, and marked with who asks.

use std::{
    convert::Infallible,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use axum::{Router, body::Body, http::Request, response::Response};
use hyper::body::{Body as HttpBody, Bytes, Frame, Incoming, SizeHint};
use tower::ServiceExt;

use super::{
    activity::{Activity, Requests, UnderWay},
    busy,
    listener::Opened,
};
use crate::{
    caller::SocketUser,
    tls::{PeerAddress, PeerCommonName},
};

/// A connection's way to the router.
pub(super) struct Visit {
    router: Router,
    address: Option<PeerAddress>,
    name: Option<PeerCommonName>,
    user: Option<SocketUser>,
    activity: Arc<Activity>,
    requests: Arc<Requests>,
}

impl Visit {
    pub(super) fn new(router: Router, opened: &Opened, activity: Arc<Activity>, requests: Arc<Requests>) -> Self {
        let (address, name, user) = (opened.address.map(PeerAddress), opened.name.clone(), opened.user.clone());
        Self { router, address, name, user, activity, requests }
    }
}

impl hyper::service::Service<Request<Incoming>> for Visit {
    type Response = Response<Counted>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn call(&self, mut request: Request<Incoming>) -> Self::Future {
        let Some(under_way) = self.requests.begin(&self.activity) else {
            let most = self.requests.most();
            let reason = format!("etcdserver: too many requests ({most} are under way on this node); use another node");
            let answer = busy::answer(&request, &reason).map(|body| Counted { body, _under_way: None });
            return Box::pin(std::future::ready(Ok(answer)));
        };
        if let Some(address) = self.address {
            request.extensions_mut().insert(address);
        }
        if let Some(name) = &self.name {
            request.extensions_mut().insert(name.clone());
        }
        if let Some(user) = &self.user {
            request.extensions_mut().insert(user.clone());
        }
        let answering = self.router.clone().oneshot(request.map(Body::new));
        Box::pin(async move {
            let answer = answering.await?;
            Ok(answer.map(|body| Counted { body, _under_way: Some(under_way) }))
        })
    }
}

/// An answer's body, whose end is its request's.
pub(super) struct Counted {
    body: Body,
    _under_way: Option<UnderWay>,
}

impl HttpBody for Counted {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
