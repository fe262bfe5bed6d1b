//! Connections: accepting them, their limits, and ending them.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use axum::Router;
use http::Request;
use hyper::body::Incoming;
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{conn::auto, graceful::GracefulShutdown},
    service::TowerToHyperService,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    task::JoinSet,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;
use tracing::{debug, info, warn};

use crate::{access::Peer, config::Limits};

/// How long a client may take to send the head of a request.
const HEAD_TIMEOUT: Duration = Duration::from_secs(15);
/// How much such a head may hold.
const MOST_HEAD_BYTES: usize = 64 * 1024;
/// How often a quiet HTTP/2 connection is asked whether it lives, and how long it may take to say so.
const KEEPALIVE: (Duration, Duration) = (Duration::from_secs(30), Duration::from_secs(10));
const MOST_STREAMS: u32 = 128;
/// After a failure to accept that lasts, such as too many open files.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// Serves until `shutdown`, then lets requests under way end within the limits.
pub(crate) async fn serve(listener: TcpListener, router: Router, limits: &Limits, shutdown: &CancellationToken) {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(MOST_HEAD_BYTES);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(KEEPALIVE.0)
        .keep_alive_timeout(KEEPALIVE.1)
        .max_concurrent_streams(MOST_STREAMS);
    let graceful = GracefulShutdown::new();
    let room = Arc::new(Semaphore::new(limits.connections));
    // Dropping it ends the connections, so none outlives this function.
    let mut connections = JoinSet::new();
    let stop = async {
        shutdown.cancelled().await;
        sleep(limits.drain_delay).await;
    };
    tokio::pin!(stop);
    loop {
        let accepted = async {
            let permit = Arc::clone(&room).acquire_owned().await;
            (permit, accept(&listener).await)
        };
        let (permit, (stream, peer)) = tokio::select! {
            () = &mut stop => break,
            accepted = accepted => accepted,
            Some(_) = connections.join_next(), if !connections.is_empty() => continue,
        };
        let service = router.clone().map_request(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(Peer(peer));
            request
        });
        let service = TowerToHyperService::new(service);
        let connection = builder.serve_connection(TokioIo::new(stream), service).into_owned();
        let connection = graceful.watch(connection);
        connections.spawn(async move {
            // Clients go away in all manners; none of them is our failure.
            if let Err(error) = connection.await {
                debug!(error, "connection ended");
            }
            drop(permit);
        });
    }
    drop(listener);
    info!(connections = graceful.count(), "draining");
    if timeout(limits.drain_deadline, graceful.shutdown()).await.is_err() {
        let deadline_ms = limits.drain_deadline.as_millis();
        warn!(
            connections = connections.len(),
            deadline_ms, "requests did not end in time and are cut"
        );
    }
}

async fn accept(listener: &TcpListener) -> (TcpStream, SocketAddr) {
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                // Answers leave in large pieces; waiting to fill a packet only delays their ends.
                if let Err(error) = stream.set_nodelay(true) {
                    debug!(%error, "connection keeps its delay");
                }
                return (stream, peer);
            }
            Err(error) => {
                warn!(%error, "cannot accept a connection");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}
