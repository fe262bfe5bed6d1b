//! The service as a process of its own.

use std::{
    fs::File,
    process::{Child, Command},
};

use object_gateway::GatewayStore;
use service_kit::{
    Identity, TrustDomain,
    certs::DevelopmentCa,
    client::{Endpoint, EndpointConfig},
    tls::{TlsMaterial, install_crypto_provider},
};
use storage_svc::SERVICE_NAME;

use super::harness::{directory, eventually};

/// The service as a process of its own, with its certificates and what it says in a folder.
pub(super) struct Service {
    directory: tempfile::TempDir,
    process: Child,
    port: u16,
}

impl Service {
    pub(super) fn start(store: &str, level: &str) -> Self {
        let directory = directory();
        let file = |name: &str| directory.path().join(name);
        install_crypto_provider();
        let tls = DevelopmentCa::open_or_create(directory.path(), TrustDomain::default())
            .and_then(|authority| authority.issue_service(SERVICE_NAME))
            .unwrap();
        std::fs::write(file("federated-store.yaml"), store).unwrap();
        let port = std::net::TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let config = format!(
            "server:\n  listen: 127.0.0.1:{port}\n  tls: {{ca: '{}', cert: '{}', key: '{}'}}\n  \
             log: {{level: {level}}}\nstore: '{}'\n",
            tls.ca.display(),
            tls.cert.display(),
            tls.key.display(),
            file("federated-store.yaml").display()
        );
        std::fs::write(file("storage.yaml"), config).unwrap();
        let process = Command::new(env!("CARGO_BIN_EXE_storage-svc"))
            .arg("--config")
            .arg(file("storage.yaml"))
            .stdout(File::create(file("out")).unwrap())
            .stderr(File::create(file("err")).unwrap())
            .spawn()
            .unwrap();
        Self {
            directory,
            process,
            port,
        }
    }

    /// What it has said so far.
    pub(super) fn output(&self) -> String {
        let read = |name: &str| std::fs::read_to_string(self.directory.path().join(name)).unwrap();
        format!("{}{}", read("out"), read("err"))
    }

    pub(super) async fn wait_until_it_says(&self, text: &str) {
        eventually(text, async || self.output().contains(text)).await;
    }

    /// The bucket, as ingest sees it.
    pub(super) fn store(&self) -> GatewayStore {
        let trust = TrustDomain::default();
        let files = DevelopmentCa::open_or_create(self.directory.path(), trust.clone())
            .and_then(|authority| authority.issue_service("ingest-svc"))
            .unwrap();
        let expected = Identity::service(trust, SERVICE_NAME).unwrap();
        let config = EndpointConfig::new(format!("https://127.0.0.1:{}", self.port));
        let endpoint = Endpoint::new(&config, expected).unwrap();
        GatewayStore::new(endpoint.channel(&TlsMaterial::load(files).unwrap()))
    }

    /// The memory that it holds now, in bytes.
    pub(super) fn memory(&self) -> u64 {
        self.status("VmRSS:")
    }

    /// The most memory that it has held at once, in bytes.
    pub(super) fn peak_memory(&self) -> u64 {
        self.status("VmHWM:")
    }

    fn status(&self, name: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.split_whitespace().next().unwrap().parse::<u64>().unwrap() * 1024
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // It may be gone already, which is what is wanted.
        let _gone = self.process.kill();
        let _gone = self.process.wait();
    }
}
