//! Calls over one HTTP/2 connection at a time.
//!
//! tonic's own channel keeps hyper's sender of a connection that has ended until the next call asks for it. A request
//! that is sent in the very moment in which the connection ends stays with that sender, unsent and unanswered
//! (tokio-rs/tokio#7714): a caller who makes one call after the other would wait for ever. Here a sender goes with its
//! connection, and such a request fails at once.

use std::{
    error::Error,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    task::{Context, Poll},
    time::Duration,
};

use futures::{
    FutureExt,
    future::{BoxFuture, Shared},
};
use http::{HeaderValue, Request, Response, Uri, header::USER_AGENT};
use hyper::client::conn::http2::{Builder, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    runtime::Handle,
};
use tonic::{Code, ConnectError, Status, body::Body};
use tower::Service;
use tracing::{Instrument, field, info_span};

use crate::telemetry;

const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(30);
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(10);
// As the server's: what may be under way in one stream and in one connection before the reader has taken it.
const STREAM_WINDOW_BYTES: u32 = 4 * 1024 * 1024;
const CONNECTION_WINDOW_BYTES: u32 = 16 * 1024 * 1024;
const MAX_FRAME_BYTES: u32 = 256 * 1024;
const OUR_USER_AGENT: HeaderValue = HeaderValue::from_static(concat!("fedcost/", env!("CARGO_PKG_VERSION")));

type BoxError = Box<dyn Error + Send + Sync>;

/// A connection that is being made, or was; those who wait for it share it, and why there is none.
type Connecting = Shared<BoxFuture<'static, Result<Connection, NoConnection>>>;

/// Calls to one service, which carry the context of the trace that they belong to. It connects with the first call, and
/// again with the next once a connection has ended. Clones share the connection.
#[derive(Clone)]
pub struct Channel(Arc<Target>);

struct Target {
    origin: Uri,
    /// Where connections are at home, wherever their callers are: a library may call from a runtime of its own, which
    /// ends before them.
    runtime: Handle,
    connect: Box<dyn Fn() -> BoxFuture<'static, Result<Connection, ConnectError>> + Send + Sync>,
    current: Mutex<Option<Connecting>>,
}

impl fmt::Debug for Channel {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Channel").field(&self.0.origin).finish()
    }
}

impl Channel {
    /// Calls to `origin`, a scheme and an authority, over what `connect` connects to.
    ///
    /// # Panics
    /// When called outside a tokio runtime.
    pub fn new<F, T, E>(origin: Uri, connect: impl Fn() -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<T, E>> + Send + 'static,
        T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
        E: Into<BoxError>,
    {
        let connect = move || {
            let connecting = connect();
            async move {
                let stream = connecting.await.map_err(|error| ConnectError(error.into()))?;
                Connection::over(stream)
                    .await
                    .map_err(|error| ConnectError(error.into()))
            }
            .boxed()
        };
        Self(Arc::new(Target {
            origin,
            runtime: Handle::current(),
            connect: Box::new(connect),
            current: Mutex::default(),
        }))
    }

    /// The connection there is, or else a new one.
    fn connection(&self) -> Connecting {
        let mut current = lock(&self.0.current);
        let usable = current
            .take()
            .filter(|connecting| match connecting.clone().now_or_never() {
                None => true,
                Some(made) => made.is_ok_and(|connection| connection.is_open()),
            });
        let connecting = usable.unwrap_or_else(|| {
            // On its own, so that a caller who gives up takes it from nobody.
            let made = self.0.runtime.spawn((self.0.connect)());
            async {
                let made = match made.await {
                    Ok(made) => made,
                    Err(ended) if ended.is_cancelled() => return Err(NoConnection::Closed),
                    Err(panic) => Err(ConnectError(panic.into())),
                };
                made.map_err(|error| NoConnection::Failed(Arc::new(error)))
            }
            .boxed()
            .shared()
        });
        current.insert(connecting).clone()
    }

    async fn send(self, mut request: Request<Body>) -> Result<Response<Body>, ChannelError> {
        let mut target = std::mem::take(request.uri_mut()).into_parts();
        target.scheme = self.0.origin.scheme().cloned();
        target.authority = self.0.origin.authority().cloned();
        *request.uri_mut() = Uri::from_parts(target).map_err(ChannelError::unsent)?;
        request.headers_mut().insert(USER_AGENT, OUR_USER_AGENT);
        let connection = self.connection().await?;
        connection.send(request).await
    }
}

impl Service<Request<Body>> for Channel {
    type Response = Response<Body>;
    type Error = ChannelError;
    type Future = BoxFuture<'static, Result<Response<Body>, ChannelError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), ChannelError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        let channel = self.clone();
        if !telemetry::is_recording() {
            return channel.send(request).boxed();
        }
        let path = request.uri().path().trim_start_matches('/');
        let (service, method) = path.split_once('/').unwrap_or_default();
        let span = info_span!(
            "call",
            otel.name = path,
            otel.kind = "client",
            otel.status_code = field::Empty,
            rpc.system = "grpc",
            rpc.service = service,
            rpc.method = method,
            rpc.grpc.status_code = field::Empty,
            server.address = self.0.origin.host(),
        );
        telemetry::inject(&span, request.headers_mut());
        let outer = span.clone();
        // It ends with the head of the answer: what streams in later belongs to whoever reads it.
        let call = async move {
            let answer = channel.send(request).await;
            match &answer {
                // Of an answer that streams in, the head does not say how it will end.
                Ok(answer) => {
                    if let Some(status) = Status::from_header_map(answer.headers()) {
                        telemetry::note_rpc_end(&outer, status.code());
                    }
                }
                Err(_) => telemetry::note_rpc_end(&outer, Code::Unavailable),
            }
            answer
        };
        call.instrument(span).boxed()
    }
}

/// One connection. Its sender is there for as long as it lasts.
#[derive(Clone)]
struct Connection(Arc<Mutex<Option<SendRequest<Body>>>>);

impl Connection {
    async fn over(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) -> Result<Self, hyper::Error> {
        let (sender, serving) = Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .keep_alive_interval(KEEPALIVE_INTERVAL)
            .keep_alive_timeout(KEEPALIVE_TIMEOUT)
            // A dead peer is then noticed before the next call, not by it.
            .keep_alive_while_idle(true)
            .initial_stream_window_size(STREAM_WINDOW_BYTES)
            .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
            .max_frame_size(MAX_FRAME_BYTES)
            .handshake(TokioIo::new(stream))
            .await?;
        let connection = Self(Arc::new(Mutex::new(Some(sender))));
        // It lasts no longer than whoever may use it.
        let sender = Arc::downgrade(&connection.0);
        tokio::spawn(async move {
            if let Err(error) = serving.await {
                tracing::debug!(%error, "a connection ended");
            }
            if let Some(sender) = Weak::upgrade(&sender) {
                lock(&sender).take();
            }
        });
        Ok(connection)
    }

    fn is_open(&self) -> bool {
        lock(&self.0).as_ref().is_some_and(|sender| !sender.is_closed())
    }

    async fn send(&self, request: Request<Body>) -> Result<Response<Body>, ChannelError> {
        let sent = lock(&self.0).as_mut().map(|sender| sender.send_request(request));
        let answer = sent.ok_or_else(|| ChannelError::unsent("the connection has ended"))?;
        Ok(answer.await?.map(Body::new))
    }
}

/// No code that may panic runs under these locks.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Why a connection was not made.
#[derive(Clone)]
enum NoConnection {
    Failed(Arc<ConnectError>),
    /// The runtime has ended.
    Closed,
}

/// Why a call has no answer. A [`Status`] made of it keeps it as its source.
#[derive(Debug, thiserror::Error)]
pub enum ChannelError {
    /// There was no connection to send the call over. tonic makes it UNAVAILABLE.
    #[error("{0}")]
    Unsent(#[source] ConnectError),
    /// The connection ended before the answer began, and the call may have been sent or not.
    #[error("the connection broke")]
    Broken(#[from] hyper::Error),
    /// The runtime to which the channel belongs has ended.
    #[error("the channel is closed")]
    Closed,
}

impl From<NoConnection> for ChannelError {
    fn from(none: NoConnection) -> Self {
        match none {
            NoConnection::Failed(error) => Self::unsent(error),
            NoConnection::Closed => Self::Closed,
        }
    }
}

impl ChannelError {
    fn unsent(cause: impl Into<BoxError>) -> Self {
        Self::Unsent(ConnectError(cause.into()))
    }
}

#[cfg(test)]
mod tests {
    use std::{
        convert::Infallible,
        io,
        sync::atomic::{AtomicUsize, Ordering},
    };

    use futures::{FutureExt, future::join_all};
    use hyper::{body::Incoming, server::conn::http2, service::service_fn};
    use tokio::{
        io::{DuplexStream, duplex},
        runtime,
        sync::Semaphore,
        task::{JoinHandle, yield_now},
    };

    use super::*;
    use crate::client::{is_connection_failure, was_not_begun};

    /// One end of a connection, and what serves the other.
    fn served() -> (DuplexStream, JoinHandle<()>) {
        let (ours, theirs) = duplex(64 * 1024);
        let answer = service_fn(async |_: Request<Incoming>| Ok::<_, Infallible>(Response::new(Body::empty())));
        let serving = http2::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(theirs), answer);
        let serving = tokio::spawn(async move {
            let _ended = serving.await;
        });
        (ours, serving)
    }

    fn channel<F>(connect: impl Fn() -> F + Send + Sync + 'static) -> Channel
    where
        F: Future<Output = io::Result<DuplexStream>> + Send + 'static,
    {
        Channel::new(Uri::from_static("http://service"), connect)
    }

    fn request() -> Request<Body> {
        Request::new(Body::empty())
    }

    fn call(channel: &Channel) -> impl Future<Output = Result<Response<Body>, ChannelError>> + use<> {
        channel.clone().call(request())
    }

    #[tokio::test]
    async fn a_sender_goes_with_its_connection() {
        let (stream, server) = served();
        let connection = Connection::over(stream).await.unwrap();
        connection.send(request()).await.unwrap();
        assert!(connection.is_open());
        server.abort();
        // By itself, without a call that asks for it.
        while lock(&connection.0).is_some() {
            yield_now().await;
        }
        let refused = connection.send(request()).await.unwrap_err();
        assert!(was_not_begun(&Status::from_error(refused.into())));
    }

    #[tokio::test]
    async fn callers_share_a_connection_until_it_ends() {
        let made = Arc::new(AtomicUsize::new(0));
        let servers: Arc<Mutex<Vec<JoinHandle<()>>>> = Arc::default();
        let channel = channel({
            let (made, servers) = (Arc::clone(&made), Arc::clone(&servers));
            move || {
                made.fetch_add(1, Ordering::SeqCst);
                let (stream, server) = served();
                lock(&servers).push(server);
                async { Ok(stream) }
            }
        });
        for connections in 1..4 {
            let answers = join_all((0..10).map(|_| call(&channel))).await;
            assert!(answers.iter().all(Result::is_ok), "{answers:?}");
            assert_eq!(made.load(Ordering::SeqCst), connections);
            let server = lock(&servers).pop().unwrap();
            server.abort();
            let _aborted = server.await;
            // Until our side has noticed, a call fails by its connection.
            while channel.connection().now_or_never().is_some_and(|made| made.is_ok()) {
                yield_now().await;
            }
        }
    }

    #[tokio::test]
    async fn callers_share_why_there_is_no_connection() {
        let attempts = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&attempts);
        let channel = channel(move || {
            let attempt = counted.fetch_add(1, Ordering::SeqCst);
            async move {
                yield_now().await;
                Err(io::Error::other(format!("refused {attempt}")))
            }
        });
        for attempt in 0..3 {
            for answer in join_all((0..10).map(|_| call(&channel))).await {
                let status = Status::from_error(answer.unwrap_err().into());
                assert_eq!(
                    (status.code(), status.message()),
                    (Code::Unavailable, &*format!("refused {attempt}"))
                );
                assert!(was_not_begun(&status), "{status:?}");
            }
        }
    }

    #[tokio::test]
    async fn a_caller_who_gives_up_takes_the_connection_from_nobody() {
        let (attempts, open) = (Arc::new(AtomicUsize::new(0)), Arc::new(Semaphore::new(0)));
        let channel = channel({
            let (attempts, open) = (Arc::clone(&attempts), Arc::clone(&open));
            move || {
                let (attempt, open) = (attempts.fetch_add(1, Ordering::SeqCst), Arc::clone(&open));
                async move {
                    let _opened = open.acquire().await;
                    if attempt < 2 {
                        Err(io::Error::other("refused"))
                    } else {
                        Ok(served().0)
                    }
                }
            }
        });
        let (mut first, mut second) = (call(&channel), call(&channel));
        assert!((&mut first).now_or_never().is_none() && (&mut second).now_or_never().is_none());
        drop(first);
        open.add_permits(1);
        assert!(second.await.is_err());
        // Nobody waits any more, and nobody is told later of what failed meanwhile.
        assert!(call(&channel).now_or_never().is_none());
        yield_now().await;
        assert!(call(&channel).await.is_ok());
        assert_eq!(attempts.load(Ordering::SeqCst), 3);
    }

    #[test]
    fn a_connection_lives_with_its_channel_and_not_with_its_caller() {
        let runtime = || {
            runtime::Builder::new_multi_thread()
                .worker_threads(1)
                .enable_all()
                .build()
                .unwrap()
        };
        let (home, abroad) = (runtime(), runtime());
        let made = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&made);
        let channel = home.block_on(async {
            channel(move || {
                counted.fetch_add(1, Ordering::SeqCst);
                async { Ok(served().0) }
            })
        });
        assert!(abroad.block_on(call(&channel)).is_ok());
        drop(abroad);
        assert!(home.block_on(call(&channel)).is_ok());
        assert_eq!(made.load(Ordering::SeqCst), 1);

        drop(home);
        let mut closed = runtime().block_on(call(&channel)).unwrap_err();
        if !matches!(closed, ChannelError::Closed) {
            // It had not noticed yet.
            closed = runtime().block_on(call(&channel)).unwrap_err();
        }
        let status = Status::from_error(closed.into());
        assert!(!is_connection_failure(&status) && !was_not_begun(&status), "{status:?}");
    }
}
