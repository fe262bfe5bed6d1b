//! Certificates, and the authority behind them, renewed while the gateway is at work: no request fails by it.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures::future::join_all;
use object_gateway::GatewayStore;
use object_store::{MultipartUpload, ObjectStore, ObjectStoreExt, PutMode, path::Path as ObjectPath};
use rustls_pki_types::{CertificateDer, ServerName, pem::PemObject};
use service_kit::{
    Identity, TrustDomain,
    certs::DevelopmentCa,
    server,
    tls::{TlsFiles, TlsMaterial, install_crypto_provider},
};
use storage_svc::{Limits, SERVICE_NAME, StoreConfig};
use tokio::{net::TcpStream, task::JoinHandle};
use tokio_rustls::TlsConnector;
use tokio_util::sync::CancellationToken;

use super::harness::{Gateway, TESTER, channel_to, directory, eventually};

const CLIENTS: usize = 6;

/// Leaves that each side gets one after the other from the same authority.
const RENEWALS: usize = 3;

/// Requests that every client makes between two changes.
const REQUESTS_BETWEEN: usize = 100;

const LOOK: Duration = Duration::from_millis(20);

/// How files are replaced under a process.
#[derive(Clone, Copy)]
enum Delivery {
    /// All at once, as in a mounted secret of Kubernetes: `..data` leads to the present folder.
    Mounted,
    /// One by one.
    Renamed,
}

/// The TLS files of a process, as somebody else puts them there.
struct Secret {
    folder: PathBuf,
    delivery: Delivery,
    versions: AtomicUsize,
}

impl Secret {
    fn new(folder: PathBuf, delivery: Delivery) -> Self {
        fs::create_dir_all(&folder).unwrap();
        Self {
            folder,
            delivery,
            versions: AtomicUsize::new(0),
        }
    }

    fn files(&self) -> TlsFiles {
        TlsFiles {
            ca: self.folder.join("ca.crt"),
            cert: self.folder.join("tls.crt"),
            key: self.folder.join("tls.key"),
            crl: None,
        }
    }

    /// Puts a leaf there, and the authorities to trust.
    fn publish(&self, leaf: &TlsFiles, authorities: &str) {
        let version = self.versions.fetch_add(1, Ordering::Relaxed);
        let contents = [
            ("ca.crt", authorities.to_owned()),
            ("tls.key", fs::read_to_string(&leaf.key).unwrap()),
            ("tls.crt", fs::read_to_string(&leaf.cert).unwrap()),
        ];
        match self.delivery {
            Delivery::Mounted => {
                let present = format!("..{version}");
                fs::create_dir(self.folder.join(&present)).unwrap();
                for (name, text) in &contents {
                    fs::write(self.folder.join(&present).join(name), text).unwrap();
                    let link = self.folder.join(name);
                    if version == 0 {
                        symlink(Path::new("..data").join(name), link).unwrap();
                    }
                }
                let next = self.folder.join("..data_tmp");
                symlink(&present, &next).unwrap();
                fs::rename(next, self.folder.join("..data")).unwrap();
            }
            Delivery::Renamed => {
                for (name, text) in &contents {
                    let next = self.folder.join("next");
                    fs::write(&next, text).unwrap();
                    fs::rename(next, self.folder.join(name)).unwrap();
                }
            }
        }
    }
}

fn authority(folder: &Path) -> (DevelopmentCa, String) {
    let authority = DevelopmentCa::open_or_create(folder, TrustDomain::default()).unwrap();
    let certificate = fs::read_to_string(folder.join("ca.pem")).unwrap();
    (authority, certificate)
}

/// A leaf that nobody had before.
fn leaf(authority: &DevelopmentCa, service: &str) -> TlsFiles {
    authority
        .renew(&Identity::service(TrustDomain::default(), service).unwrap())
        .unwrap()
}

/// One caller, whose requests go on all the time over a channel that lasts.
struct Client {
    secret: Secret,
    tls: Arc<TlsMaterial>,
    done: Arc<AtomicUsize>,
    working: JoinHandle<Result<(), String>>,
}

impl Client {
    fn start(number: usize, address: &str, secret: Secret, stop: &CancellationToken) -> Self {
        let tls = TlsMaterial::load(secret.files()).unwrap();
        tls.spawn_reload(LOOK, stop.clone());
        let done = Arc::new(AtomicUsize::new(0));
        let store = GatewayStore::new(channel_to(address, &tls));
        let working = tokio::spawn(work(number, store, Arc::clone(&done), stop.clone()));
        Self {
            secret,
            tls,
            done,
            working,
        }
    }
}

/// Writes of each kind, and reads, until it is told to stop.
async fn work(
    number: usize,
    store: GatewayStore,
    done: Arc<AtomicUsize>,
    stop: CancellationToken,
) -> Result<(), String> {
    let path = ObjectPath::from(format!("{number}/changed"));
    let mut round = 0;
    while !stop.is_cancelled() {
        let content = format!("{number} {round}");
        let failed = |what: &'static str| {
            let content = content.clone();
            move |error: object_store::Error| format!("{what} {content}: {error:?}")
        };
        let put = store.put(&path, "".into()).await.map_err(failed("put"))?;
        let update = PutMode::Update(put.into()).into();
        store
            .put_opts(&path, content.clone().into(), update)
            .await
            .map_err(failed("update"))?;
        let read = store.get(&path).await.map_err(failed("get"))?;
        let read = read.bytes().await.map_err(failed("content"))?;
        if read != content {
            return Err(format!("{read:?} in place of {content}"));
        }
        let created = ObjectPath::from(format!("{number}/{round}"));
        let create = PutMode::Create.into();
        store
            .put_opts(&created, content.clone().into(), create)
            .await
            .map_err(failed("create"))?;
        let mut upload = store.put_multipart(&path).await.map_err(failed("upload"))?;
        upload.put_part(content.clone().into()).await.map_err(failed("part"))?;
        upload.complete().await.map_err(failed("end"))?;
        round += 1;
        done.fetch_add(5, Ordering::Relaxed);
    }
    Ok(())
}

/// Waits until every client has made some more requests, or has failed.
async fn let_them_work(clients: &[Client]) {
    let before: Vec<_> = clients
        .iter()
        .map(|client| client.done.load(Ordering::Relaxed))
        .collect();
    eventually("every client has made requests", async || {
        let mut all = clients.iter().zip(&before);
        all.all(|(client, before)| {
            client.working.is_finished() || client.done.load(Ordering::Relaxed) >= before + REQUESTS_BETWEEN
        })
    })
    .await;
}

/// Whether the gateway lets this caller in, and the certificate that it shows.
async fn shown(address: &str, tls: &TlsMaterial) -> Option<CertificateDer<'static>> {
    let stream = TcpStream::connect(address.trim_start_matches("https://"))
        .await
        .unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let stream = TlsConnector::from(tls.client_config())
        .connect(name, stream)
        .await
        .ok()?;
    Some(stream.get_ref().1.peer_certificates()?.first()?.clone().into_owned())
}

async fn wait_until_shown(address: &str, tls: &TlsMaterial, leaf: &TlsFiles) {
    let expected = CertificateDer::from_pem_file(&leaf.cert).unwrap();
    eventually("new connections are served with the new certificate", async || {
        shown(address, tls).await.as_ref() == Some(&expected)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_request_fails_while_certificates_and_their_authority_are_renewed() {
    install_crypto_provider();
    let directory = directory();
    let (old, old_certificate) = authority(&directory.path().join("old"));
    let (new, new_certificate) = authority(&directory.path().join("new"));
    let both = format!("{old_certificate}\n{new_certificate}");
    let secret = |name: &str, delivery| Secret::new(directory.path().join("secrets").join(name), delivery);
    let server = secret("server", Delivery::Mounted);
    server.publish(&leaf(&old, SERVICE_NAME), &old_certificate);
    let secrets: Vec<_> = (0..CLIENTS)
        .map(|number| {
            let delivery = [Delivery::Mounted, Delivery::Renamed][number % 2];
            let secret = secret(&format!("client-{number}"), delivery);
            secret.publish(&leaf(&old, TESTER), &old_certificate);
            secret
        })
        .collect();
    let store = StoreConfig::directory(directory.path().join("bucket"));
    // So short that every change meets connections of all ages.
    let limits = server::Limits {
        max_connection_age: Duration::from_millis(150),
        ..server::Limits::default()
    };
    let (_, files) = (old.issue_service(TESTER).unwrap(), server.files());
    let gateway = Gateway::start_with_files(directory, old, files, store, Limits::default(), |server| {
        server.with_tls_reload(LOOK).with_server_limits(limits)
    })
    .await;
    gateway.wait_until_serving().await;
    let (address, old) = (&gateway.address, &gateway.authority);
    let stop = CancellationToken::new();
    let clients: Vec<_> = secrets
        .into_iter()
        .enumerate()
        .map(|(number, secret)| Client::start(number, address, secret, &stop))
        .collect();
    let_them_work(&clients).await;

    for _ in 0..RENEWALS {
        let own = leaf(old, SERVICE_NAME);
        server.publish(&own, &old_certificate);
        for client in &clients {
            client.secret.publish(&leaf(old, TESTER), &old_certificate);
        }
        wait_until_shown(address, &clients[0].tls, &own).await;
        let_them_work(&clients).await;
    }

    // Both authorities are trusted by all, before anybody shows what the new one has issued.
    let own = leaf(old, SERVICE_NAME);
    server.publish(&own, &both);
    wait_until_shown(address, &clients[0].tls, &own).await;
    for client in &clients {
        client.secret.publish(&leaf(old, TESTER), &both);
        // Whoever has it already has nothing to do; it is in use in either case.
        client.tls.reload().unwrap();
    }
    let_them_work(&clients).await;
    let own = leaf(&new, SERVICE_NAME);
    server.publish(&own, &both);
    for client in &clients {
        client.secret.publish(&leaf(&new, TESTER), &both);
        client.tls.reload().unwrap();
    }
    wait_until_shown(address, &clients[0].tls, &own).await;
    let_them_work(&clients).await;

    // The old one is taken away. From then on nobody gets in with what it has issued.
    let own = leaf(&new, SERVICE_NAME);
    server.publish(&own, &new_certificate);
    for client in &clients {
        client.secret.publish(&leaf(&new, TESTER), &new_certificate);
    }
    wait_until_shown(address, &clients[0].tls, &own).await;
    let_them_work(&clients).await;
    let late = leaf(old, TESTER);
    let late = TlsMaterial::load(TlsFiles {
        ca: clients[0].secret.files().ca,
        ..late
    });
    let late = GatewayStore::new(channel_to(address, &late.unwrap()));
    let late = late.with_retries(object_gateway::Retries {
        attempts: 0,
        ..object_gateway::Retries::default()
    });
    late.head(&ObjectPath::from("0/changed")).await.unwrap_err();

    stop.cancel();
    let ended = join_all(clients.into_iter().map(|client| client.working)).await;
    let failures: Vec<_> = ended.into_iter().filter_map(|ended| ended.unwrap().err()).collect();
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    gateway.stop().await;
}
