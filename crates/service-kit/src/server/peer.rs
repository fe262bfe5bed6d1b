//! Who is at the other end of a connection.

use std::{net::SocketAddr, sync::Arc};

use tonic::{Request, Status};

use crate::Identity;

/// The peer of a connection. It is read from the certificate once, and each request of the connection carries it.
#[derive(Clone, Debug)]
pub struct PeerInfo {
    pub(super) identity: Arc<Identity>,
    pub(super) address: SocketAddr,
}

impl PeerInfo {
    /// What a request's extensions hold, or UNAUTHENTICATED.
    pub(super) fn of(found: Option<&Self>) -> Result<&Self, Status> {
        found.ok_or_else(|| Status::unauthenticated("the caller has proved no identity"))
    }

    /// Who the peer proved to be.
    pub fn identity(&self) -> &Arc<Identity> {
        &self.identity
    }

    /// Where the connection comes from; this may be a proxy.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

/// Who calls.
///
/// # Errors
/// UNAUTHENTICATED when the request did not come through a [`GrpcServer`](super::GrpcServer).
pub fn peer_identity<T>(request: &Request<T>) -> Result<Arc<Identity>, Status> {
    PeerInfo::of(request.extensions().get()).map(|peer| Arc::clone(&peer.identity))
}

/// Where the call's connection comes from, if it came through a [`GrpcServer`](super::GrpcServer).
pub fn peer_address<T>(request: &Request<T>) -> Option<SocketAddr> {
    request.extensions().get::<PeerInfo>().map(|peer| peer.address)
}
