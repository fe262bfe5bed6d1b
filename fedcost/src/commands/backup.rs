//! `fedcost backup` and `fedcost restore`: a release of the lake in a folder, with checksums.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use chrono::{DateTime, Utc};
use lake::{DataFile, Holder, Lake, LakeError, Lease, NewRelease, Partition, Release, TableName, TableState};
use object_gateway::checksum::Sha256;
use object_store::{ObjectStore, ObjectStoreExt as _};
use serde::{Deserialize, Serialize};
use service_kit::{process, tls};
use storage_svc::{
    StoreConfig,
    config::{StorageConfigError, load_store},
    store::{OpenError, config::UnknownKeyPolicy, open},
};

use crate::output;

const EXAMPLES: &str = "\
Examples:
  fedcost backup --store federated-store.yaml --to /backups/2026-03-05
  fedcost backup --bucket /mnt/bucket --to /backups/41 --release 41
  fedcost restore --store federated-store.yaml --from /backups/2026-03-05

A backup is one release of the lake: all that questions are answered from, but not the ETL files that it was made of.
It reaches the bucket itself, so it needs its credentials, and no service need be running. docs/operations/recovery.md
tells when to restore one.";

/// Name of the file that says what a backup holds. It is written last, so that what has none is no backup.
const MANIFEST: &str = "manifest.json";

/// Version of the manifest.
const FORMAT: u32 = 1;

/// How long the right to write the lake holds while a backup is restored.
const LEASE: Duration = Duration::from_secs(60);

/// Which bucket is meant.
#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
struct Bucket {
    /// Local folder that is the bucket
    #[arg(long, value_name = "DIR")]
    bucket: Option<PathBuf>,
    /// The federated-store.yaml that names the bucket
    #[arg(long, value_name = "FILE")]
    store: Option<PathBuf>,
}

/// Copy a release of the lake into a folder, with checksums
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct BackupArguments {
    #[command(flatten)]
    bucket: Bucket,
    /// The folder, which must not hold a backup; created when it is missing
    #[arg(long, value_name = "DIR")]
    to: PathBuf,
    /// The release [default: the newest]
    #[arg(long, value_name = "N")]
    release: Option<u64>,
}

/// Publish a release from a backup
///
/// Nothing is written before all checksums have been found right. What the lake holds is replaced as a whole; an
/// ingest-svc that runs goes on from what was restored.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct RestoreArguments {
    #[command(flatten)]
    bucket: Bucket,
    /// The folder of the backup
    #[arg(long, value_name = "DIR")]
    from: PathBuf,
    /// Only check the backup
    #[arg(long)]
    check: bool,
}

/// Why there is no backup, or it was not restored.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BackupError {
    #[error(transparent)]
    Config(#[from] StorageConfigError),
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error(transparent)]
    Lake(#[from] LakeError),
    #[error("the lake has no release yet; there is nothing to back up")]
    NoRelease,
    #[error("{}: there is a backup already; give another folder", path.display())]
    Exists { path: PathBuf },
    #[error("{}: {source}", path.display())]
    File { path: PathBuf, source: io::Error },
    #[error("{}: is no manifest of a backup: {source}", path.display())]
    Manifest { path: PathBuf, source: serde_json::Error },
    #[error("{}: is of format {found}, this version reads {FORMAT}", path.display())]
    Format { path: PathBuf, found: u32 },
    #[error("{}: is damaged: its SHA-256 is {found}, the manifest says {wanted}", path.display())]
    Damaged {
        path: PathBuf,
        found: String,
        wanted: String,
    },
    #[error("{}: {reason}", path.display())]
    Entry { path: PathBuf, reason: String },
    #[error("cannot write {path}: {source}")]
    Put {
        path: object_store::path::Path,
        source: object_store::Error,
    },
    #[error("the system refuses threads, or stdout: {0}")]
    System(#[from] io::Error),
}

impl BackupError {
    pub(crate) fn is_usage(&self) -> bool {
        matches!(self, Self::Config(_))
    }
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Manifest {
    format: u32,
    created: DateTime<Utc>,
    release: Release,
    tables: BTreeMap<TableName, Vec<Entry>>,
}

/// A data file.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    /// Relative to the table.
    path: String,
    size: u64,
    sha256: String,
    written: DateTime<Utc>,
    resolution: String,
    day: chrono::NaiveDate,
    rows: u64,
    first_cluster: String,
    last_cluster: String,
}

impl Entry {
    fn of(file: &DataFile, sha256: String) -> Self {
        Self {
            path: file.path.clone(),
            size: file.size,
            sha256,
            written: file.written,
            resolution: file.partition.resolution.to_string(),
            day: file.partition.day,
            rows: file.rows,
            first_cluster: file.clusters.0.clone(),
            last_cluster: file.clusters.1.clone(),
        }
    }

    fn to_data_file(&self) -> Result<DataFile, String> {
        // It becomes a path in the bucket, and one in the folder.
        let is_plain = |part: &str| !part.is_empty() && part != "." && part != "..";
        if !self.path.split('/').all(is_plain) {
            return Err(format!("names {:?}, which is no path of a data file", self.path));
        }
        Ok(DataFile {
            path: self.path.clone(),
            size: self.size,
            written: self.written,
            partition: Partition {
                resolution: self.resolution.parse()?,
                day: self.day,
            },
            rows: self.rows,
            clusters: (self.first_cluster.clone(), self.last_cluster.clone()),
        })
    }
}

fn file_error(path: &Path) -> impl Fn(io::Error) -> BackupError {
    let path = path.to_owned();
    move |source| BackupError::File {
        path: path.clone(),
        source,
    }
}

impl Bucket {
    async fn open(&self) -> Result<Arc<dyn ObjectStore>, BackupError> {
        tls::install_crypto_provider();
        let config = match (&self.store, &self.bucket) {
            (Some(file), _) => load_store(file, UnknownKeyPolicy::Warn)?,
            (None, folder) => StoreConfig::directory(folder.clone().unwrap_or_default()),
        };
        Ok(open(&config).await?)
    }
}

pub(crate) fn backup(arguments: &BackupArguments) -> Result<(), BackupError> {
    process::block_on(async {
        let lake = Lake::new(arguments.bucket.open().await?);
        let release = match arguments.release {
            Some(number) => lake
                .recorded_release(number)
                .await?
                .ok_or(LakeError::NoSuchRelease { number })?,
            None => lake.load_release().await?.ok_or(BackupError::NoRelease)?.release,
        };
        let manifest = arguments.to.join(MANIFEST);
        if manifest.exists() {
            return Err(BackupError::Exists {
                path: arguments.to.clone(),
            });
        }
        let (mut files, mut bytes) = (0_u64, 0_u64);
        let mut tables = BTreeMap::new();
        for (name, version) in &release.tables {
            let mut entries = Vec::new();
            for file in lake.table_at(*name, version.version).await?.files {
                let content = lake.fetch_file(*name, &file).await?;
                let path = arguments.to.join(name.as_str()).join(&file.path);
                let failed = file_error(&path);
                fs::create_dir_all(path.parent().unwrap_or(&path)).map_err(&failed)?;
                fs::write(&path, &content).map_err(&failed)?;
                (files, bytes) = (files + 1, bytes + content.len() as u64);
                entries.push(Entry::of(&file, Sha256::of(&content).to_string()));
            }
            tables.insert(*name, entries);
        }
        let number = release.number;
        let content = Manifest {
            format: FORMAT,
            created: Utc::now(),
            release,
            tables,
        };
        let text = serde_json::to_vec_pretty(&content).map_err(|source| BackupError::Manifest {
            path: manifest.clone(),
            source,
        })?;
        let unfinished = arguments.to.join("manifest.json.part");
        fs::write(&unfinished, text).map_err(file_error(&unfinished))?;
        fs::rename(&unfinished, &manifest).map_err(file_error(&manifest))?;
        let to = arguments.to.display();
        output::print(|out| writeln!(out, "release {number}: {files} files, {bytes} bytes, in {to}"))?;
        Ok(())
    })?
}

/// A backup whose checksums are right.
struct Checked {
    release: Release,
    files: BTreeMap<TableName, Vec<(DataFile, PathBuf)>>,
}

fn read_file(path: &Path, entry: &Entry) -> Result<Vec<u8>, BackupError> {
    let content = fs::read(path).map_err(file_error(path))?;
    let found = Sha256::of(&content).to_string();
    if found != entry.sha256 {
        return Err(BackupError::Damaged {
            path: path.to_owned(),
            found,
            wanted: entry.sha256.clone(),
        });
    }
    Ok(content)
}

fn check(from: &Path) -> Result<Checked, BackupError> {
    let path = from.join(MANIFEST);
    let text = fs::read(&path).map_err(file_error(&path))?;
    let manifest: Manifest = serde_json::from_slice(&text).map_err(|source| BackupError::Manifest {
        path: path.clone(),
        source,
    })?;
    if manifest.format != FORMAT {
        let found = manifest.format;
        return Err(BackupError::Format { path, found });
    }
    let mut files = BTreeMap::new();
    for (name, entries) in &manifest.tables {
        let mut checked = Vec::new();
        for entry in entries {
            let file = entry.to_data_file().map_err(|reason| BackupError::Entry {
                path: path.clone(),
                reason,
            })?;
            let at = from.join(name.as_str()).join(&entry.path);
            read_file(&at, entry)?;
            checked.push((file, at));
        }
        files.insert(*name, checked);
    }
    Ok(Checked {
        release: manifest.release,
        files,
    })
}

pub(crate) fn restore(arguments: &RestoreArguments) -> Result<(), BackupError> {
    process::block_on(async {
        let backup = check(&arguments.from)?;
        let count: usize = backup.files.values().map(Vec::len).sum();
        if arguments.check {
            let number = backup.release.number;
            output::print(|out| writeln!(out, "release {number}: {count} files, all as the manifest says"))?;
            return Ok(());
        }
        let lake = Lake::new(arguments.bucket.open().await?);
        let mut lease = Lease::new(lake.clone(), Holder::this(), LEASE);
        let token = lease.take(Utc::now()).await?;
        let published = publish(&lake, &backup, token, &mut lease).await;
        lease.give_up(Utc::now()).await;
        let number = published?;
        output::print(|out| writeln!(out, "release {number} is published, of {count} files"))?;
        Ok(())
    })?
}

async fn publish(lake: &Lake, backup: &Checked, token: u64, lease: &mut Lease) -> Result<u64, BackupError> {
    let now = Utc::now();
    let previous = match lake.load_release().await {
        Ok(Some(previous)) => Some(lake.fence(&previous, token).await?),
        Ok(None) => None,
        // What is restored takes the place of what cannot be read.
        Err(LakeError::CorruptRelease { .. }) => {
            let release = Release {
                tables: BTreeMap::new(),
                writer: token,
                ..backup.release.clone()
            };
            Some(lake.replace_corrupt_pointer(release).await?)
        }
        Err(error) => return Err(error.into()),
    };
    let above = lake.recorded_releases().await?.last().copied().unwrap_or(0);
    let mut renewed = tokio::time::Instant::now();
    let mut tables = BTreeMap::new();
    for name in TableName::ALL {
        let mut files = Vec::new();
        for (file, at) in backup.files.get(&name).into_iter().flatten() {
            if renewed.elapsed() > lease.renewal() {
                lease.renew(Utc::now()).await?;
                renewed = tokio::time::Instant::now();
            }
            let content = fs::read(at).map_err(file_error(at))?;
            let path = lake.data_file_path(name, file);
            let put = lake.store().put(&path, content.into()).await;
            put.map_err(|source| BackupError::Put { path, source })?;
            files.push(file.clone());
        }
        let state: TableState = lake.commit(name, files, now).await?;
        if let Some(version) = state.released() {
            tables.insert(name, version);
        }
    }
    let new = NewRelease {
        tables,
        writer: token,
        above: above.max(backup.release.number),
        rolled_back_to: None,
    };
    let release = lake.publish_release(previous.as_ref(), new, now).await?;
    lake.record_release(&release.release).await?;
    Ok(release.release.number)
}
