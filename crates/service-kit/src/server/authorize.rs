//! Who may call what.

use std::{
    fmt::{self, Debug},
    sync::Arc,
    task::{Context, Poll},
};

use futures::future::{Either, Ready, ready};
use http::{Request, Response};
use tonic::{Status, body::Body};
use tower::Service;
use tracing::warn;

use super::peer::PeerInfo;
use crate::Identity;

/// Services that tell nothing but how the server is and what it offers: any authenticated peer may ask.
const OPEN_TO_ALL: [&str; 2] = ["/grpc.health.v1.Health/", "/grpc.reflection."];

/// Decides whether a caller may call a method at all. What a caller may do within a method, such as which paths it
/// may write, is the handler's matter.
pub trait Authorizer: Send + Sync + 'static {
    /// True lets the call through. `method` is `/package.Service/Method`.
    fn allows(&self, caller: &Identity, method: &str) -> bool;
}

impl<F: Fn(&Identity, &str) -> bool + Send + Sync + 'static> Authorizer for F {
    fn allows(&self, caller: &Identity, method: &str) -> bool {
        self(caller, method)
    }
}

impl Debug for dyn Authorizer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Authorizer")
    }
}

/// Any service may call anything; clusters may call nothing. The default.
#[derive(Clone, Copy, Debug)]
pub struct AnyService;

impl Authorizer for AnyService {
    fn allows(&self, caller: &Identity, _method: &str) -> bool {
        caller.service_name().is_some()
    }
}

/// Lets through only the calls that an [`Authorizer`] allows.
#[derive(Clone, Debug)]
pub(super) struct Authorize<S> {
    inner: S,
    authorizer: Arc<dyn Authorizer>,
}

impl<S> Authorize<S> {
    pub(super) fn new(inner: S, authorizer: Arc<dyn Authorizer>) -> Self {
        Self { inner, authorizer }
    }

    fn check(&self, request: &Request<Body>) -> Result<(), Status> {
        let method = request.uri().path();
        let peer = PeerInfo::of(request.extensions().get())?;
        if OPEN_TO_ALL.iter().any(|prefix| method.starts_with(prefix)) || self.authorizer.allows(&peer.identity, method)
        {
            return Ok(());
        }
        warn!("call denied");
        Err(Status::permission_denied(format!(
            "{} may not call {method}",
            peer.identity
        )))
    }
}

impl<S> Service<Request<Body>> for Authorize<S>
where
    S: Service<Request<Body>, Response = Response<Body>>,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = Either<S::Future, Ready<Result<Response<Body>, S::Error>>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        match self.check(&request) {
            Ok(()) => Either::Left(self.inner.call(request)),
            Err(status) => Either::Right(ready(Ok(status.into_http()))),
        }
    }
}
