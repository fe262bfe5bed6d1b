//! The HTTP client of a store, as the file's `http_config` says.
//!
//! The library's own client can add authorities but not replace the system's, shows no certificate, and its one timeout
//! would cut long downloads. TLS files are looked at again while the process runs: when their content has changed, new
//! connections are made with it, and those made before end with the requests under way on them.

use std::{
    fs, io,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant, SystemTime},
};

use async_trait::async_trait;
use http::{HeaderValue, StatusCode, Uri, header::HOST, uri::Authority};
use object_store::client::{HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpService};
use reqwest::{
    Certificate, ClientBuilder, Identity,
    dns::{Addrs, Name, Resolve, Resolving},
};
use service_kit::tls::{TlsError, check_authorities, check_client_pair};
use tracing::{Instrument, Span, field::Empty, info_span};

use super::{
    attempts::UnclearAttempts,
    config::{ClientCertificate, StoreHttp},
};
use crate::metrics::{StorageMetrics, StoreFailure};

/// How often TLS files are looked at, at most: with the first request after that time.
const RECHECK: Duration = Duration::from_secs(1);

/// After which time all connections are made anew, so that a certificate revoked meanwhile, on either side, is noticed.
const MOST_AGE: Duration = Duration::from_secs(60 * 60);

/// Why no HTTP client could be made. Each text is one line and names the key.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The file of authorities.
    #[error("config.http_config.tls_config.ca_file: {0}")]
    Authorities(TlsError),
    /// The client's certificate, or its key.
    #[error("config.http_config.tls_config.cert_file and key_file: {0}")]
    Certificate(TlsError),
    /// The client could not be built.
    #[error("cannot set up the HTTP client: {0}")]
    Client(reqwest::Error),
}

/// The HTTP client. Clones share their connections.
#[derive(Debug, Clone)]
pub(super) struct StoreClient {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    http: StoreHttp,
    /// Requests to this host and port are the bucket's. None: all are.
    bucket: Option<Authority>,
    towards_bucket: Mutex<Connections>,
    /// For what gives out credentials. Does not show the certificate that is meant for the bucket.
    elsewhere: reqwest::Client,
    trace: bool,
    metrics: StorageMetrics,
}

#[derive(Debug)]
struct Connections {
    client: reqwest::Client,
    files: Files,
    made: Instant,
    checked: Instant,
    /// What was wrong with changed files, so that it is logged once.
    failure: Option<String>,
}

impl StoreClient {
    /// Makes the client, and reads its files. `bucket` is the authority of the bucket's URLs, or None when every
    /// request is to the bucket.
    pub(super) fn new(
        http: &StoreHttp,
        bucket: Option<Authority>,
        trace: bool,
        metrics: StorageMetrics,
    ) -> Result<Self, ConnectError> {
        let files = Files::read(http)?;
        let client = towards_bucket(http, bucket.as_ref(), &files)?;
        let mut elsewhere = common(http);
        for authority in files.authorities()? {
            // The own token service of a private store is likely to have a certificate of the same authority.
            elsewhere = elsewhere.add_root_certificate(authority);
        }
        let now = Instant::now();
        Ok(Self {
            shared: Arc::new(Shared {
                http: http.clone(),
                bucket,
                towards_bucket: Mutex::new(Connections {
                    client,
                    files,
                    made: now,
                    checked: now,
                    failure: None,
                }),
                elsewhere: elsewhere.build().map_err(ConnectError::Client)?,
                trace,
                metrics,
            }),
        })
    }
}

impl Shared {
    fn is_to_bucket(&self, uri: &Uri) -> bool {
        self.bucket
            .as_ref()
            .is_none_or(|bucket| uri.authority() == Some(bucket))
    }

    /// The client to use now.
    fn client(&self) -> reqwest::Client {
        let mut connections = self.towards_bucket.lock().unwrap_or_else(PoisonError::into_inner);
        if connections.checked.elapsed() >= RECHECK {
            connections.checked = Instant::now();
            connections.check(&self.http, self.bucket.as_ref());
        }
        connections.client.clone()
    }
}

impl Connections {
    /// Takes up what has changed. Reads at most three small files, and holds up other requests meanwhile.
    fn check(&mut self, http: &StoreHttp, bucket: Option<&Authority>) {
        let renewed = Files::read(http).and_then(|files| {
            let changed = files != self.files;
            if !changed && self.made.elapsed() < MOST_AGE {
                return Ok(None);
            }
            let client = towards_bucket(http, bucket, &files)?;
            Ok(Some((client, files, changed)))
        });
        let failure = match renewed {
            Ok(None) => None,
            Ok(Some((client, files, changed))) => {
                if changed {
                    tracing::info!("renewed TLS files towards the bucket are in use");
                }
                (self.client, self.files, self.made) = (client, files, Instant::now());
                None
            }
            Err(error) => Some(error.to_string()),
        };
        if let Some(error) = failure.as_deref().filter(|_| failure != self.failure) {
            tracing::warn!(
                error,
                "changed TLS files towards the bucket were not taken; the previous ones stay in use"
            );
        }
        self.failure = failure;
    }
}

/// The TLS files as they lie on disk.
#[derive(PartialEq, Eq, Default)]
struct Files {
    ca: Option<(PathBuf, Vec<u8>)>,
    /// Certificate and key.
    pair: Option<(Vec<u8>, Vec<u8>)>,
}

// By hand, so that a private key never gets into a log.
impl std::fmt::Debug for Files {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Files").finish_non_exhaustive()
    }
}

impl Files {
    /// Reads and checks the files.
    fn read(http: &StoreHttp) -> Result<Self, ConnectError> {
        let mut read = Self::default();
        if let Some(path) = &http.ca_file {
            read.ca = Some((path.clone(), read_file(path).map_err(ConnectError::Authorities)?));
            // For the check alone.
            let _authorities = read.authorities()?;
        }
        if let Some(ClientCertificate { cert_file, key_file }) = &http.client_certificate {
            let cert = read_file(cert_file).map_err(ConnectError::Certificate)?;
            let key = read_file(key_file).map_err(ConnectError::Certificate)?;
            check_client_pair((cert_file, &cert), (key_file, &key), SystemTime::now())
                .map_err(ConnectError::Certificate)?;
            read.pair = Some((cert, key));
        }
        Ok(read)
    }

    fn authorities(&self) -> Result<Vec<Certificate>, ConnectError> {
        let Some((path, text)) = &self.ca else {
            return Ok(Vec::new());
        };
        check_authorities(path, text, SystemTime::now())
            .map_err(ConnectError::Authorities)?
            .iter()
            .map(|authority| Certificate::from_der(authority).map_err(ConnectError::Client))
            .collect()
    }
}

fn read_file(path: &Path) -> Result<Vec<u8>, TlsError> {
    fs::read(path).map_err(|source| TlsError::Read {
        path: path.to_owned(),
        source,
    })
}

fn common(http: &StoreHttp) -> ClientBuilder {
    let builder = reqwest::Client::builder();
    // The library's bound holds for the head too, so there is none where the head may take for ever.
    let builder = if http.response_header_timeout.is_zero() {
        builder
    } else {
        builder.read_timeout(http.longest_pause.max(http.response_header_timeout))
    };
    builder
        .use_rustls_tls()
        .connect_timeout(http.connect_timeout)
        .pool_idle_timeout(http.idle_timeout)
        .pool_max_idle_per_host(http.max_idle)
        // What is signed goes where it was signed for.
        .redirect(reqwest::redirect::Policy::none())
}

fn towards_bucket(
    http: &StoreHttp,
    bucket: Option<&Authority>,
    files: &Files,
) -> Result<reqwest::Client, ConnectError> {
    let mut builder = common(http).danger_accept_invalid_certs(http.insecure_skip_verify);
    if files.ca.is_some() {
        builder = builder.tls_built_in_root_certs(false);
        for authority in files.authorities()? {
            builder = builder.add_root_certificate(authority);
        }
    }
    if let Some((cert, key)) = &files.pair {
        let pem = [key.as_slice(), b"\n", cert].concat();
        builder = builder.identity(Identity::from_pem(&pem).map_err(ConnectError::Client)?);
    }
    if let (Some(name), Some(bucket)) = (&http.server_name, bucket) {
        // The name goes into the URL, for TLS alone: the address is still the bucket's, and so is the Host header,
        // which HTTP/2 would take from the URL. A proxy would look for the name itself.
        builder = builder.no_proxy().http1_only().dns_resolver(Arc::new(Renamed {
            name: name.clone(),
            host: bucket.host().trim_matches(['[', ']']).to_owned(),
        }));
    }
    builder.build().map_err(ConnectError::Client)
}

/// Looks up the bucket's host under the name that its certificate has.
#[derive(Debug)]
struct Renamed {
    name: String,
    host: String,
}

impl Resolve for Renamed {
    fn resolve(&self, name: Name) -> Resolving {
        let host = if name.as_str().eq_ignore_ascii_case(&self.name) {
            self.host.clone()
        } else {
            name.as_str().to_owned()
        };
        Box::pin(async move {
            // The port is the URL's.
            let found: Result<Vec<SocketAddr>, io::Error> =
                tokio::net::lookup_host((host, 0)).await.map(Iterator::collect);
            Ok(Box::new(found?.into_iter()) as Addrs)
        })
    }
}

/// Puts another name into the URL of a request, and leaves the Host header as it was.
fn rename(request: &mut HttpRequest, name: &str) -> Result<(), http::Error> {
    let uri = request.uri().clone();
    let Some(authority) = uri.authority() else {
        return Ok(());
    };
    if !request.headers().contains_key(HOST) {
        let host = HeaderValue::from_str(authority.as_str())?;
        request.headers_mut().insert(HOST, host);
    }
    let renamed = match authority.port() {
        Some(port) => format!("{name}:{port}"),
        None => name.to_owned(),
    };
    let mut parts = uri.into_parts();
    parts.authority = Some(Authority::try_from(renamed)?);
    *request.uri_mut() = Uri::from_parts(parts)?;
    Ok(())
}

/// How an attempt failed, if another may help.
fn failure(answered: &Result<HttpResponse, HttpError>) -> Option<StoreFailure> {
    match answered {
        Ok(answer) => match answer.status() {
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => Some(StoreFailure::Throttled),
            status if status.is_server_error() || status == StatusCode::REQUEST_TIMEOUT => Some(StoreFailure::Server),
            _ => None,
        },
        Err(error) if error.kind() == HttpErrorKind::Timeout => Some(StoreFailure::Timeout),
        Err(_) => Some(StoreFailure::Connection),
    }
}

#[async_trait]
impl HttpService for StoreClient {
    async fn call(&self, mut request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let shared = &self.shared;
        let span = if shared.trace {
            // Without the query, which can hold a signature.
            info_span!(
                "store_request",
                http.method = %request.method(),
                server.address = request.uri().host().unwrap_or_default(),
                url.path = request.uri().path(),
                http.status = Empty,
                duration_ms = Empty,
            )
        } else {
            Span::none()
        };
        let begun = Instant::now();
        let attempts = UnclearAttempts::of(request.extensions());
        let client = if shared.is_to_bucket(request.uri()) {
            if let (Some(name), Some(_)) = (&shared.http.server_name, &shared.bucket) {
                rename(&mut request, name).map_err(|error| HttpError::new(HttpErrorKind::Unknown, error))?;
            }
            shared.client()
        } else {
            shared.elsewhere.clone()
        };
        let answer = client.call(request).instrument(span.clone());
        let timeout = shared.http.response_header_timeout;
        let answered = if timeout.is_zero() {
            answer.await
        } else {
            match tokio::time::timeout(timeout, answer).await {
                Ok(answered) => answered,
                Err(elapsed) => Err(HttpError::new(HttpErrorKind::Timeout, elapsed)),
            }
        };
        if let Some(attempts) = attempts {
            attempts.note(&answered);
        }
        if let Some(failure) = failure(&answered) {
            shared.metrics.store_failed(failure);
        }
        if let Ok(answer) = &answered {
            span.record("http.status", answer.status().as_u16());
        }
        span.record("duration_ms", begun.elapsed().as_millis());
        answered
    }
}

#[cfg(test)]
mod tests {
    use object_store::client::HttpRequestBody;
    use service_kit::tls::install_crypto_provider;
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpListener,
    };

    use super::*;

    #[tokio::test]
    async fn an_answer_that_stays_half_said_is_given_up() {
        install_crypto_provider();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/a", listener.local_addr().unwrap());
        let http = StoreHttp {
            response_header_timeout: Duration::from_millis(50),
            longest_pause: Duration::from_millis(200),
            ..StoreHttp::default()
        };
        let client = StoreClient::new(&http, None, false, StorageMetrics::default()).unwrap();
        let server = async {
            let (mut connection, _) = listener.accept().await.unwrap();
            let _request = connection.read(&mut [0; 1024]).await.unwrap();
            let half = b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf ";
            connection.write_all(half).await.unwrap();
            connection
        };
        let request = http::Request::get(url).body(HttpRequestBody::empty()).unwrap();
        let (answered, connection) = tokio::join!(client.call(request), server);
        let body = answered.unwrap().into_body().bytes().await;
        assert!(body.is_err(), "{body:?}");
        // It was there all the time.
        drop(connection);
    }
}
