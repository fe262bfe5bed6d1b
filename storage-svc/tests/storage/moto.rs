//! A real S3 server, in a process of its own.

use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    sync::Arc,
};

use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use service_kit::tls::TlsFiles;
use storage_svc::StoreConfig;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

/// The server. It ends with this value, or with the test's process: its standard input is then closed.
pub(super) struct Moto {
    server: Child,
    port: u16,
}

impl Moto {
    /// Starts the server, and installs it first on a machine that has never run it. Blocks meanwhile.
    pub(super) fn start() -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/dev/moto.sh");
        let mut server = Command::new(&script)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("cannot run {}: {error}; it needs bash", script.display()));
        let mut line = String::new();
        BufReader::new(server.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let port = line.trim().parse().unwrap_or_else(|_| {
            let status = server.wait().unwrap();
            panic!(
                "deploy/dev/moto.sh gave no port ({status}). The tests over S3 need moto, which the script installs \
                 with python3, its venv module, and a package index that pip can reach; its output above says more"
            )
        });
        Self { server, port }
    }

    pub(super) async fn create_bucket(&self, name: &str) {
        let url = format!("http://127.0.0.1:{}/{name}", self.port);
        reqwest::Client::new()
            .put(url)
            .send()
            .await
            .unwrap()
            .error_for_status()
            .unwrap();
    }

    /// Puts TLS in front of the server, with a certificate for 127.0.0.1, and returns the port. Ends with the runtime.
    pub(super) async fn behind_tls(&self, files: &TlsFiles) -> u16 {
        let chain = CertificateDer::pem_file_iter(&files.cert)
            .unwrap()
            .map(Result::unwrap)
            .collect();
        let key = PrivateKeyDer::from_pem_file(&files.key).unwrap();
        let config = rustls::ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (front, back) = (listener.local_addr().unwrap().port(), self.port);
        tokio::spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                let acceptor = acceptor.clone();
                tokio::spawn(async move {
                    let mut outside = acceptor.accept(connection).await?;
                    let mut inside = TcpStream::connect(("127.0.0.1", back)).await?;
                    tokio::io::copy_bidirectional(&mut outside, &mut inside).await
                });
            }
        });
        front
    }

    /// The `federated-store.yaml` of a bucket.
    pub(super) fn store(&self, bucket: &str, more: &str) -> StoreConfig {
        let port = self.port;
        StoreConfig::parse(&format!(
            "type: S3\nconfig: {{bucket: {bucket}, endpoint: '127.0.0.1:{port}', insecure: true, \
             access_key: testing-access-key, secret_key: testing-secret-key}}\n{more}"
        ))
        .unwrap()
    }
}

impl Drop for Moto {
    fn drop(&mut self) {
        // It may be gone already, which is what is wanted.
        let _gone = self.server.kill();
        let _gone = self.server.wait();
    }
}
