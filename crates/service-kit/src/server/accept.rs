//! From a listener to authenticated connections.

use std::{
    convert::Infallible,
    io,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    sync::{Semaphore, mpsc},
    time::{sleep, timeout},
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tonic::transport::server::Connected;
use tracing::{Instrument, debug, error, info_span, warn};

use super::{Limits, peer::PeerInfo};
use crate::{
    TrustDomain,
    identity::{Identity, IdentityError},
    metrics::{HandshakeOutcome, ServerMetrics},
    tls::{self, TlsMaterial, Transport},
};

/// When the system refuses a connection, mostly for want of file descriptors, the next try would fail as well.
const PAUSE_AFTER_ERROR: Duration = Duration::from_millis(100);

/// Accepts connections and authenticates their peers.
#[derive(Clone)]
pub(super) struct Acceptor {
    pub(super) server: &'static str,
    pub(super) tls: Arc<TlsMaterial>,
    pub(super) trust_domain: TrustDomain,
    pub(super) limits: Limits,
    pub(super) metrics: ServerMetrics,
    /// Cuts every connection, whatever it is doing.
    pub(super) cut: CancellationToken,
}

impl Acceptor {
    /// Accepts until the future is dropped, which closes the listener.
    pub(super) async fn run(self, listener: TcpListener, accepted: mpsc::Sender<Result<Connection, Infallible>>) {
        let handshakes = Arc::new(Semaphore::new(self.limits.max_handshakes));
        loop {
            // Before accepting, so that what exceeds the bound waits in the system's queue and costs us nothing.
            // The semaphore is never closed, so there always comes a permit.
            let Ok(permit) = Arc::clone(&handshakes).acquire_owned().await else {
                return;
            };
            let (stream, address) = match listener.accept().await {
                Ok(pair) => pair,
                Err(error) => {
                    error!(%error, server = self.server, "connection cannot be accepted");
                    sleep(PAUSE_AFTER_ERROR).await;
                    continue;
                }
            };
            let (acceptor, accepted) = (self.clone(), accepted.clone());
            let span = info_span!("handshake", server = self.server, peer.address = %address);
            let handshake = async move {
                let _until_handed_over = permit;
                let outcome = match acceptor.authenticate(stream, address).await {
                    Ok(connection) => {
                        // When the server has stopped meanwhile, the connection is simply dropped.
                        let _stopped = accepted.send(Ok(connection)).await;
                        HandshakeOutcome::Accepted
                    }
                    Err(refusal) => refusal.log(),
                };
                acceptor.metrics.handshake(acceptor.server, outcome);
            };
            let cut = self.cut.clone();
            tokio::spawn(async move { cut.run_until_cancelled(handshake).await }.instrument(span));
        }
    }

    async fn authenticate(&self, stream: TcpStream, address: SocketAddr) -> Result<Connection, Refusal> {
        stream.set_nodelay(true).map_err(Refusal::Handshake)?;
        let accept = TlsAcceptor::from(self.tls.server_config()).accept(tls::buffered(stream));
        let mut stream = timeout(self.limits.handshake_timeout, accept)
            .await
            .map_err(|_| Refusal::TimedOut)?
            .map_err(Refusal::Handshake)?;
        tls::encrypt_ahead(stream.get_mut().1);
        let certificate = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
        let identity = certificate
            .map_or(Err(IdentityError::NoCertificate), Identity::from_certificate)
            .map_err(Refusal::NoIdentity)?;
        if *identity.trust_domain() != self.trust_domain {
            return Err(Refusal::Foreign {
                identity,
                trust_domain: self.trust_domain.clone(),
            });
        }
        let peer = PeerInfo {
            identity: Arc::new(identity),
            address,
        };
        Ok(Connection {
            stream,
            peer,
            cut: Box::pin(self.cut.clone().cancelled_owned()),
        })
    }
}

#[derive(Debug, thiserror::Error)]
enum Refusal {
    #[error("the TLS handshake took too long")]
    TimedOut,
    #[error("{0}")]
    Handshake(io::Error),
    #[error("{0}")]
    NoIdentity(IdentityError),
    #[error("{identity} is not of the trust domain {trust_domain}")]
    Foreign {
        identity: Identity,
        trust_domain: TrustDomain,
    },
}

impl Refusal {
    fn log(&self) -> HandshakeOutcome {
        match self {
            // Port scans and balancers' probes: too common and too harmless to warn of.
            Self::TimedOut => {
                debug!(error = %self, "connection refused");
                HandshakeOutcome::Failed
            }
            Self::Handshake(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                debug!(%error, "connection refused");
                HandshakeOutcome::Failed
            }
            Self::Handshake(error) => {
                warn!(%error, "connection refused");
                HandshakeOutcome::Failed
            }
            Self::NoIdentity(_) | Self::Foreign { .. } => {
                warn!(error = %self, "connection denied");
                HandshakeOutcome::Denied
            }
        }
    }
}

/// An authenticated connection that can be cut from outside.
///
/// tonic spawns its connections and offers no handle on them; without the cut, a peer that does not read could hold
/// up a shutdown for ever.
pub(super) struct Connection {
    stream: TlsStream<Transport>,
    peer: PeerInfo,
    cut: Pin<Box<WaitForCancellationFutureOwned>>,
}

impl Connected for Connection {
    type ConnectInfo = PeerInfo;

    fn connect_info(&self) -> PeerInfo {
        self.peer.clone()
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        // A connection always has a read pending, so this is where the cut wakes it.
        if self.cut.as_mut().poll(context).is_ready() {
            return Poll::Ready(Err(io::Error::new(
                io::ErrorKind::ConnectionAborted,
                "the server has shut down",
            )));
        }
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffers: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, buffers)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
