//! moto: S3 in memory.

use service_kit::tls::TlsFiles;
use storage_svc::StoreConfig;

use super::server::{self, Server};

/// The server.
pub(super) struct Moto {
    server: Server,
}

impl Moto {
    pub(super) async fn start() -> Self {
        Self {
            server: Server::start("moto.sh", &[]).await,
        }
    }

    pub(super) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.server.port)
    }

    pub(super) async fn create_bucket(&self, name: &str) {
        let url = format!("{}/{name}", self.url());
        reqwest::Client::new()
            .put(url)
            .send()
            .await
            .unwrap()
            .error_for_status()
            .unwrap();
    }

    /// What the server says to a plain GET below its root.
    pub(super) async fn ask(&self, what: &str) -> String {
        let url = format!("{}/{what}", self.url());
        reqwest::get(url).await.unwrap().text().await.unwrap()
    }

    /// Puts TLS in front of the server, and returns the port.
    pub(super) async fn behind_tls(&self, files: &TlsFiles) -> u16 {
        server::behind_tls(self.server.port, files, None).await
    }

    /// As `behind_tls`, but clients must show a certificate of the same authority.
    pub(super) async fn behind_mutual_tls(&self, files: &TlsFiles) -> u16 {
        server::behind_tls(self.server.port, files, Some(&files.ca)).await
    }

    /// The `federated-store.yaml` of a bucket, with more lines of its `config` or at its top.
    pub(super) fn store(&self, bucket: &str, more: &str) -> StoreConfig {
        self.store_with(bucket, "", more)
    }

    /// As `store`, with more keys of its `config`, each with a comma before it.
    pub(super) fn store_with(&self, bucket: &str, keys: &str, more: &str) -> StoreConfig {
        let port = self.server.port;
        StoreConfig::parse(&format!(
            "type: S3\nconfig: {{bucket: {bucket}, endpoint: '127.0.0.1:{port}', insecure: true, \
             access_key: testing-access-key, secret_key: testing-secret-key{keys}}}\n{more}"
        ))
        .unwrap()
    }
}
