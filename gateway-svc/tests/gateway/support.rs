//! A gateway to ask.

use std::{net::SocketAddr, time::Duration};

use gateway_svc::{Config, serve};
use reqwest::{Client, Response, header};
use service_kit::{
    TrustDomain,
    certs::DevelopmentCa,
    client::EndpointConfig,
    config::CommonConfig,
    tls::{self, TlsFiles},
};
use tempfile::TempDir;
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_util::sync::CancellationToken;

pub(crate) struct Gateway {
    pub(crate) client: Client,
    pub(crate) address: SocketAddr,
    shutdown: CancellationToken,
    served: JoinHandle<()>,
    /// Its folder holds the certificates.
    _query: Query,
}

impl Gateway {
    /// A gateway whose query-svc is at `query`; nobody is ingest-svc.
    pub(crate) async fn start(query: Query) -> Self {
        tls::install_crypto_provider();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let config = config(&query, address).await;
        let shutdown = CancellationToken::new();
        let token = shutdown.clone();
        let served = tokio::spawn(async move { serve(config, listener, token).await.unwrap() });
        Self {
            client: Client::builder().no_proxy().no_gzip().build().unwrap(),
            address,
            shutdown,
            served,
            _query: query,
        }
    }

    pub(crate) async fn get(&self, path: &str) -> Response {
        self.client
            .get(format!("http://{}{path}", self.address))
            .send()
            .await
            .unwrap()
    }

    pub(crate) async fn stop(self) {
        self.shutdown.cancel();
        drop(self.client);
        tokio::time::timeout(Duration::from_secs(10), self.served)
            .await
            .unwrap()
            .unwrap();
    }
}

/// Where query-svc is, and the authority that it and the gateway trust.
pub(crate) struct Query {
    pub(crate) authority: DevelopmentCa,
    pub(crate) address: SocketAddr,
    _folder: TempDir,
}

impl Query {
    pub(crate) fn at(address: SocketAddr) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let authority = DevelopmentCa::open_or_create(folder.path(), TrustDomain::default()).unwrap();
        Self {
            authority,
            address,
            _folder: folder,
        }
    }

    /// A certificate of a service.
    pub(crate) fn issue(&self, service: &str) -> TlsFiles {
        self.authority.issue_service(service).unwrap()
    }
}

/// A port that was free a moment ago, and that nobody listens on.
pub(crate) async fn nobody() -> Query {
    Query::at(TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap())
}

async fn config(query: &Query, listen: SocketAddr) -> Config {
    let server = CommonConfig::new(listen, query.issue("gateway-svc"));
    let ingest = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let endpoint = |address: SocketAddr| EndpointConfig::new(format!("https://{address}"));
    Config::new(server, &endpoint(query.address), &endpoint(ingest), None).unwrap()
}

pub(crate) fn content_type(response: &Response) -> &str {
    response.headers()[header::CONTENT_TYPE].to_str().unwrap()
}
