//! What the way through the gateway costs: reads and writes through a real `storage-svc`, by mutual TLS, beside the
//! same on the store itself, in one run. Prints a table in Markdown: `make bench-storage`. Words as arguments choose
//! the rows that hold all of them, such as `MinIO get`.
//!
//! The two take turns, so that what else the machine does hits both alike; a benchmark library measures one thing
//! after the other.

#![expect(clippy::unwrap_used, reason = "a measurement that fails should end")]
#![expect(clippy::print_stdout, reason = "the table is what it is for")]

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use futures::TryStreamExt;
use object_store::{
    Certificate, ClientOptions, ObjectStore, ObjectStoreExt, PutMultipartOptions, WriteMultipart, aws::AmazonS3Builder,
    local::LocalFileSystem, path::Path,
};
use service_kit::{TrustDomain, certs::DevelopmentCa, tls::install_crypto_provider};

use self::{harness::directory, process::Service, server::Server};

#[path = "../tests/storage/harness.rs"]
#[expect(dead_code, reason = "the tests use the rest")]
mod harness;
#[path = "../tests/storage/process.rs"]
#[expect(dead_code, reason = "the tests use the rest")]
mod process;
#[path = "../tests/storage/server.rs"]
#[expect(dead_code, reason = "the tests use the rest")]
mod server;

const MIB: usize = 1024 * 1024;

const LARGE: usize = 64 * MIB;
const LARGE_ROUNDS: usize = 24;

const SMALL: usize = 4 * 1024;
const SMALL_ROUNDS: usize = 1000;

/// Parts of a large write in parts, on either way. As the gateway's own by default.
const PART: usize = 8 * MIB;
const PARTS_AT_ONCE: usize = 4;

const ACCESS_KEY: &str = "testing-access-key";
const SECRET_KEY: &str = "testing-secret-key";

/// Something to do with a store.
#[derive(Debug, Clone, Copy)]
enum Work {
    /// A write in one call.
    Put,
    /// A write in parts, as a writer of tables does it.
    PutInParts,
    /// A read to the end, piece by piece.
    Get,
    /// A read into one buffer.
    GetWhole,
}

impl Work {
    fn name(self) -> &'static str {
        match self {
            Self::Put => "put",
            Self::PutInParts => "put in parts",
            Self::Get => "get",
            Self::GetWhole => "get whole",
        }
    }

    /// How long it takes. What is read is not checked, as that would be measured too; the tests do.
    async fn time(self, way: &Way, content: &Bytes) -> Duration {
        let path = Path::from(format!("derived/bench/{}", content.len()));
        let begun = Instant::now();
        match self {
            Self::Put => {
                way.store.put(&path, content.clone().into()).await.unwrap();
                way.sync(&path).await;
            }
            Self::PutInParts => {
                let upload = way
                    .store
                    .put_multipart_opts(&path, PutMultipartOptions::default())
                    .await
                    .unwrap();
                let mut upload = WriteMultipart::new_with_chunk_size(upload, PART);
                for part in 0..content.len().div_ceil(PART) {
                    upload.wait_for_capacity(PARTS_AT_ONCE).await.unwrap();
                    upload.put(content.slice(part * PART..content.len().min((part + 1) * PART)));
                }
                upload.finish().await.unwrap();
                way.sync(&path).await;
            }
            Self::Get => {
                let read = way.store.get(&path).await.unwrap().into_stream();
                let size = read
                    .try_fold(0, async |size, bytes| Ok(size + bytes.len()))
                    .await
                    .unwrap();
                assert_eq!(size, content.len());
            }
            Self::GetWhole => {
                let read = way.store.get(&path).await.unwrap().bytes().await.unwrap();
                assert_eq!(read.len(), content.len());
            }
        }
        begun.elapsed()
    }
}

/// A way to a bucket.
struct Way {
    store: Arc<dyn ObjectStore>,
    /// The folder whose files are to be on disk when a write ends, as the gateway promises. The library's store for
    /// local folders does not see to that.
    sync: Option<std::path::PathBuf>,
}

impl Way {
    async fn sync(&self, path: &Path) {
        let Some(folder) = &self.sync else { return };
        let file = folder.join(path.as_ref());
        tokio::task::spawn_blocking(move || {
            std::fs::File::open(&file).and_then(|file| file.sync_all()).unwrap();
            std::fs::File::open(file.parent().unwrap())
                .and_then(|folder| folder.sync_all())
                .unwrap();
        })
        .await
        .unwrap();
    }
}

/// The two ways to one bucket.
struct Ways {
    name: &'static str,
    direct: Way,
    through: Way,
}

impl Ways {
    /// Times, by pairs, of the direct way and of that through the gateway.
    async fn measure(&self, work: Work, size: usize, rounds: usize) -> Vec<(Duration, Duration)> {
        // Not all alike, in case that somebody on the way compresses.
        let content = Bytes::from_iter((0..size).map(|index| (index * index / 7 % 251) as u8));
        let mut times = Vec::with_capacity(rounds);
        // What connects, allocates and learns is not what is asked about.
        for round in 0..rounds + rounds / 8 {
            let pair = if round % 2 == 0 {
                let direct = work.time(&self.direct, &content).await;
                (direct, work.time(&self.through, &content).await)
            } else {
                let through = work.time(&self.through, &content).await;
                (work.time(&self.direct, &content).await, through)
            };
            if round >= rounds / 8 {
                times.push(pair);
            }
        }
        times
    }

    async fn report(&self, chosen: &[String]) {
        for work in [Work::Put, Work::PutInParts, Work::Get, Work::GetWhole] {
            let row = format!("| {} | {}, 64 MiB |", self.name, work.name());
            if !chosen.iter().all(|word| row.contains(word)) {
                continue;
            }
            if matches!(work, Work::Get | Work::GetWhole) {
                // Something to read.
                self.measure(Work::Put, LARGE, 1).await;
            }
            let times = self.measure(work, LARGE, LARGE_ROUNDS).await;
            let throughput = |time: Duration| (LARGE / MIB) as f64 / time.as_secs_f64();
            println!(
                "{row} {:.0} MiB/s | {:.0} MiB/s | ratio {:.2} |",
                throughput(median(times.iter().map(|(direct, _)| *direct))),
                throughput(median(times.iter().map(|(_, through)| *through))),
                median(
                    times
                        .iter()
                        .map(|(direct, through)| direct.as_secs_f64() / through.as_secs_f64())
                ),
            );
        }
        for work in [Work::Put, Work::Get] {
            let row = format!("| {} | {}, 4 KiB |", self.name, work.name());
            if !chosen.iter().all(|word| row.contains(word)) {
                continue;
            }
            if matches!(work, Work::Get) {
                self.measure(Work::Put, SMALL, 1).await;
            }
            let times = self.measure(work, SMALL, SMALL_ROUNDS).await;
            let millis = |time: Duration| time.as_secs_f64() * 1000.0;
            let direct = millis(median(times.iter().map(|(direct, _)| *direct)));
            let through = millis(median(times.iter().map(|(_, through)| *through)));
            println!(
                "{row} p50 {direct:.2} ms | p50 {through:.2} ms | {:+.2} ms |",
                through - direct,
            );
        }
    }
}

fn median<T: PartialOrd + Copy>(values: impl Iterator<Item = T>) -> T {
    let mut values: Vec<_> = values.collect();
    values.sort_by(|a, b| a.partial_cmp(b).unwrap());
    values[values.len() / 2]
}

fn main() {
    // Cargo adds `--bench`.
    let chosen: Vec<_> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(run(&chosen));
}

/// A real MinIO, plain or over TLS as buckets of a cloud are, and the two ways to it.
struct Minio {
    ways: Ways,
    service: Service,
    _server: Server,
    _certs: tempfile::TempDir,
}

impl Minio {
    async fn start(name: &'static str, is_tls: bool) -> Self {
        let certs = directory();
        let mut environment = vec![
            ("MINIO_ROOT_USER", ACCESS_KEY.to_owned()),
            ("MINIO_ROOT_PASSWORD", SECRET_KEY.to_owned()),
        ];
        let mut options = ClientOptions::new().with_allow_http(!is_tls);
        let mut keys = "insecure: true".to_owned();
        if is_tls {
            install_crypto_provider();
            let authority = DevelopmentCa::open_or_create(&certs.path().join("ca"), TrustDomain::default()).unwrap();
            let files = authority.issue_service("bucket").unwrap();
            std::fs::copy(&files.cert, certs.path().join("public.crt")).unwrap();
            std::fs::copy(&files.key, certs.path().join("private.key")).unwrap();
            environment.push(("MINIO_CERTS", certs.path().display().to_string()));
            let root = Certificate::from_pem(&std::fs::read(&files.ca).unwrap()).unwrap();
            options = options.with_root_certificate(root);
            keys = format!("http_config: {{tls_config: {{ca_file: '{}'}}}}", files.ca.display());
        }
        let server = Server::start("minio.sh", &environment).await;
        let text = format!(
            "type: S3\nconfig: {{bucket: costs, endpoint: '127.0.0.1:{}', access_key: {ACCESS_KEY}, \
             secret_key: {SECRET_KEY}, {keys}}}\nprefix: through",
            server.port
        );
        let service = Service::start(&text, "info");
        service.wait_until_it_says("the bucket is reached").await;
        let scheme = if is_tls { "https" } else { "http" };
        let direct = AmazonS3Builder::new()
            .with_bucket_name("costs")
            .with_region("us-east-1")
            .with_endpoint(format!("{scheme}://127.0.0.1:{}", server.port))
            .with_client_options(options)
            .with_access_key_id(ACCESS_KEY)
            .with_secret_access_key(SECRET_KEY)
            .build()
            .unwrap();
        let ways = Ways {
            name,
            direct: Way {
                store: Arc::new(direct),
                sync: None,
            },
            through: Way {
                store: Arc::new(service.store()),
                sync: None,
            },
        };
        Self {
            ways,
            service,
            _server: server,
            _certs: certs,
        }
    }
}

async fn run(chosen: &[String]) {
    let plain = Minio::start("MinIO", false).await;
    let secure = Minio::start("MinIO over TLS", true).await;

    let folder = directory();
    let (inside, beside) = (folder.path().join("through"), folder.path().join("direct"));
    std::fs::create_dir(&beside).unwrap();
    let text = format!("type: FILESYSTEM\nconfig: {{directory: '{}'}}", inside.display());
    let local_service = Service::start(&text, "info");
    local_service.wait_until_it_says("the bucket is reached").await;
    let local = Ways {
        name: "local folder",
        direct: Way {
            store: Arc::new(LocalFileSystem::new_with_prefix(&beside).unwrap()),
            sync: Some(beside),
        },
        through: Way {
            store: Arc::new(local_service.store()),
            sync: None,
        },
    };

    println!("| bucket | what | directly | through the gateway | |\n|---|---|---|---|---|");
    plain.ways.report(chosen).await;
    secure.ways.report(chosen).await;
    local.report(chosen).await;
    println!(
        "\nmost memory held by the gateway: {} MiB over MinIO, {} MiB over the same by TLS, {} MiB over the local folder",
        plain.service.peak_memory() / MIB as u64,
        secure.service.peak_memory() / MIB as u64,
        local_service.peak_memory() / MIB as u64
    );
}
