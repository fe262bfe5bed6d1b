//! What stands before the bucket and fails as stores do, on a seeded script: it refuses, throttles, stalls, tears, and
//! lets requests pass one another.
//!
//! One thing it never does, for which there is no cure: to carry out a request after the gateway has given up on it.

use std::{
    collections::VecDeque,
    fmt, io,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use axum::{
    body::{Body, to_bytes},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use futures::StreamExt;
use http::{HeaderValue, Request, StatusCode, header::CONTENT_LENGTH};
use http_body_util::BodyExt;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use rand::Rng;
use storage_svc::StoreConfig;
use tokio::{
    net::{TcpListener, TcpStream},
    time::sleep,
};

use super::{
    bucket::{Bucket, error_body},
    script::{Purpose, Tally, script},
};

/// After which the gateway gives up waiting for the head of an answer.
const GATEWAY_TIMEOUT_MS: u64 = 250;

const LARGEST_BODY: usize = 64 * 1024 * 1024;

/// One in so many requests meets a fault.
const RARITY: u32 = 6;

/// What happens to one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum StoreFault {
    /// It is refused before anything was done: a failure, or throttling of two kinds.
    Refused(u16, &'static str),
    /// It is done, and a failure reported all the same.
    DoneButRefused,
    /// The connection ends while the request is read.
    RequestTorn,
    /// It is done, and the connection ends instead of the answer.
    AnswerLost,
    /// The answer's content ends in the middle.
    AnswerTorn,
    /// It waits until the gateway has given up.
    Stalled,
    /// It is done, and its answer waits until the gateway has given up.
    DoneButStalled,
    /// It waits a little, so that later ones overtake it.
    Overtaken,
}

/// The front. Ends with the runtime.
#[derive(Debug, Clone)]
pub(super) struct FaultyStore {
    port: u16,
    pub(super) bucket: Bucket,
    seed: u64,
    requests: Arc<AtomicU64>,
    /// What the next requests meet, before the script has its turn.
    ordered: Arc<Mutex<VecDeque<Option<StoreFault>>>>,
    faulty: Arc<AtomicBool>,
    /// Requests whose sender had gone before they were carried out.
    pub(super) abandoned: Arc<AtomicU64>,
    pub(super) met: Tally<StoreFault>,
}

impl FaultyStore {
    /// Starts it, without faults at first.
    pub(super) async fn start(seed: u64) -> Self {
        Self::before(Bucket::default(), seed).await
    }

    /// As `start`, before this bucket.
    pub(super) async fn before(bucket: Bucket, seed: u64) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let front = Self {
            port: listener.local_addr().unwrap().port(),
            bucket,
            seed,
            requests: Arc::default(),
            ordered: Arc::default(),
            faulty: Arc::default(),
            abandoned: Arc::default(),
            met: Tally::default(),
        };
        let serving = front.clone();
        tokio::spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                let front = serving.clone();
                let (connection, sender) = Sender::of(connection);
                let service = service_fn(move |request| {
                    let (front, sender) = (front.clone(), sender.clone());
                    async move { front.pass(request, &sender).await }
                });
                let served = http1::Builder::new().serve_connection(TokioIo::new(connection), service);
                // It ends with an error where the script says so.
                tokio::spawn(async move {
                    let _ended = served.await;
                });
            }
        });
        front
    }

    pub(super) fn set_faulty(&self, faulty: bool) {
        self.faulty.store(faulty, Ordering::SeqCst);
    }

    /// Lets the next requests meet these faults, or none, whether it is faulty or not.
    pub(super) fn order(&self, faults: impl IntoIterator<Item = Option<StoreFault>>) {
        self.ordered.lock().unwrap().extend(faults);
    }

    /// The `federated-store.yaml`.
    pub(super) fn config(&self) -> StoreConfig {
        let port = self.port;
        // The smallest parts that S3 takes, so that writes in parts need not be large.
        StoreConfig::parse(&format!(
            "type: S3\nconfig: {{bucket: costs, endpoint: '127.0.0.1:{port}', insecure: true, part_size: 5242880, \
             access_key: testing, secret_key: testing, trace: {{enable: true}}, \
             http_config: {{response_header_timeout: {GATEWAY_TIMEOUT_MS}ms}}}}"
        ))
        .unwrap()
    }

    /// What the script has for the next request, which depends on the seed and on how many came before; with it a short
    /// time.
    fn next_fault(&self) -> Option<(StoreFault, Duration)> {
        if let Some(ordered) = self.ordered.lock().unwrap().pop_front() {
            return ordered.map(|fault| (fault, Duration::ZERO));
        }
        if !self.faulty.load(Ordering::SeqCst) {
            return None;
        }
        let number = self.requests.fetch_add(1, Ordering::SeqCst);
        let mut script = script(self.seed, Purpose::Request, number);
        if !script.random_ratio(1, RARITY) {
            return None;
        }
        let fault = match script.random_range(0..16) {
            0 => StoreFault::Refused(500, "InternalError"),
            1 => StoreFault::Refused(503, "SlowDown"),
            2 => StoreFault::Refused(429, "TooManyRequests"),
            3 | 4 => StoreFault::DoneButRefused,
            5 => StoreFault::RequestTorn,
            6 | 7 => StoreFault::AnswerLost,
            8 | 9 => StoreFault::AnswerTorn,
            10 => StoreFault::Stalled,
            11 => StoreFault::DoneButStalled,
            _ => StoreFault::Overtaken,
        };
        Some((fault, Duration::from_millis(script.random_range(1..100))))
    }

    async fn pass(&self, request: Request<Incoming>, sender: &Sender) -> Result<Response, Cut> {
        let Some((fault, short)) = self.next_fault() else {
            return self.answer(request, sender).await;
        };
        self.met.count(fault);
        let long = Duration::from_millis(2 * GATEWAY_TIMEOUT_MS);
        match fault {
            StoreFault::Refused(status, code) => {
                // Read first, so that the connection can be used again.
                read(request).await?;
                Ok((StatusCode::from_u16(status).unwrap(), error_body(code)).into_response())
            }
            StoreFault::DoneButRefused => {
                self.answer(request, sender).await?;
                Ok((StatusCode::INTERNAL_SERVER_ERROR, error_body("InternalError")).into_response())
            }
            StoreFault::RequestTorn => {
                let _first_piece = request.into_body().frame().await;
                Err(Cut)
            }
            StoreFault::AnswerLost => {
                self.answer(request, sender).await?;
                Err(Cut)
            }
            StoreFault::AnswerTorn => torn(self.answer(request, sender).await?).await,
            StoreFault::Stalled => {
                sleep(long).await;
                self.answer(request, sender).await
            }
            StoreFault::DoneButStalled => {
                let answer = self.answer(request, sender).await;
                sleep(long).await;
                answer
            }
            StoreFault::Overtaken => {
                sleep(short).await;
                self.answer(request, sender).await
            }
        }
    }

    async fn answer(&self, request: Request<Incoming>, sender: &Sender) -> Result<Response, Cut> {
        let request = read(request).await?;
        if sender.is_gone() {
            self.abandoned.fetch_add(1, Ordering::SeqCst);
            return Err(Cut);
        }
        Ok(self.bucket.answer(request).await)
    }
}

/// The other end of a connection. The server learns that it is gone only when it gets to read, and may be late.
#[derive(Debug, Clone)]
struct Sender(Arc<std::net::TcpStream>);

impl Sender {
    fn of(connection: TcpStream) -> (TcpStream, Self) {
        let connection = connection.into_std().unwrap();
        let sender = Self(Arc::new(connection.try_clone().unwrap()));
        (TcpStream::from_std(connection).unwrap(), sender)
    }

    fn is_gone(&self) -> bool {
        match self.0.peek(&mut [0]) {
            Ok(read) => read == 0,
            Err(error) => error.kind() != io::ErrorKind::WouldBlock,
        }
    }
}

async fn read(request: Request<Incoming>) -> Result<Request<Bytes>, Cut> {
    let (parts, body) = request.into_parts();
    let body = to_bytes(Body::new(body), LARGEST_BODY).await.map_err(|_| Cut)?;
    Ok(Request::from_parts(parts, body))
}

/// The same answer, whose content ends half way, however long it is said to be.
async fn torn(answer: Response) -> Result<Response, Cut> {
    let (mut parts, body) = answer.into_parts();
    let mut body = to_bytes(body, LARGEST_BODY).await.map_err(|_| Cut)?;
    if body.is_empty() {
        return Err(Cut);
    }
    parts.headers.insert(CONTENT_LENGTH, HeaderValue::from(body.len()));
    body.truncate(body.len() / 2);
    let end = futures::stream::once(async { Err(io::Error::from(io::ErrorKind::ConnectionReset)) });
    let pieces = futures::stream::iter([Ok(body)]).chain(end);
    Ok(Response::from_parts(parts, Body::from_stream(pieces)))
}

/// The connection ends without an answer.
#[derive(Debug)]
struct Cut;

impl fmt::Display for Cut {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("cut, as the script has it")
    }
}

impl std::error::Error for Cut {}
