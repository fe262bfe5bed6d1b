//! Real servers, each in a process of its own.

use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    sync::Arc,
};

use rustls::{RootCertStore, server::WebPkiClientVerifier};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use service_kit::tls::TlsFiles;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

/// A server. It ends with this value, or with the test's process: its standard input is then closed.
pub(super) struct Server {
    process: Child,
    pub(super) port: u16,
}

impl Server {
    /// Starts a server by a script of `deploy/dev`, which installs it first on a machine that has never run it.
    pub(super) async fn start(script: &'static str, variables: &[(&'static str, String)]) -> Self {
        let variables = variables.to_vec();
        tokio::task::spawn_blocking(move || Self::start_blocking(script, variables))
            .await
            .unwrap()
    }

    fn start_blocking(script: &str, variables: Vec<(&'static str, String)>) -> Self {
        // From whichever crate's tests this is used.
        let mut above = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors();
        let path = above
            .find_map(|folder| Some(folder.join("deploy/dev").join(script)).filter(|path| path.exists()))
            .unwrap_or_else(|| panic!("there is no deploy/dev/{script}"));
        let mut process = Command::new(&path)
            .envs(variables)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("cannot run {}: {error}; it needs bash", path.display()));
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let port = line.trim().parse().unwrap_or_else(|_| {
            let status = process.wait().unwrap();
            panic!(
                "deploy/dev/{script} gave no port ({status}). The script installs the server, and says at its top \
                 what it needs for that; its output above says more"
            )
        });
        Self { process, port }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // The script then ends what it started. It may be gone already, which is what is wanted.
        drop(self.process.stdin.take());
        let _gone = self.process.wait();
    }
}

/// Puts TLS in front of a port, with a certificate for `bucket` and 127.0.0.1, and returns the port. With
/// `clients_ca`, clients must show a certificate of that authority. Ends with the runtime.
pub(super) async fn behind_tls(back: u16, files: &TlsFiles, clients_ca: Option<&Path>) -> u16 {
    let chain = CertificateDer::pem_file_iter(&files.cert)
        .unwrap()
        .map(Result::unwrap)
        .collect();
    let key = PrivateKeyDer::from_pem_file(&files.key).unwrap();
    let config = rustls::ServerConfig::builder();
    let config = match clients_ca {
        None => config.with_no_client_auth(),
        Some(ca) => {
            let mut roots = RootCertStore::empty();
            for authority in CertificateDer::pem_file_iter(ca).unwrap() {
                roots.add(authority.unwrap()).unwrap();
            }
            config.with_client_cert_verifier(WebPkiClientVerifier::builder(Arc::new(roots)).build().unwrap())
        }
    };
    let acceptor = TlsAcceptor::from(Arc::new(config.with_single_cert(chain, key).unwrap()));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let front = listener.local_addr().unwrap().port();
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
