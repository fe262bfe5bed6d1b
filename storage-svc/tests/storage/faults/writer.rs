//! One of the writers that work on the bucket at the same time, by a script of its own.

use std::{sync::Arc, time::Duration};

use futures::TryStreamExt;
use object_gateway::{GatewayStore, Retries};
use object_store::{
    CopyMode, CopyOptions, Error, GetOptions, GetRange, ObjectMeta, ObjectStore, ObjectStoreExt, PutMode,
    UpdateVersion, path::Path,
};
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use tracing::{Instrument, info_span};

use super::{
    ledger::{Failure, Ledger},
    model::{Act, LEAST_SIZE, Outcome, Value},
    network::FaultyNetwork,
    script::{Purpose, script},
    watch::longer_than,
};
use crate::storage::harness::Gateway;

/// Objects that all writers write, read and delete.
const SHARED: usize = 6;

/// Objects that grow line by line.
const CHAINS: usize = 2;

/// So many operations of each writer go to the same new object.
const PER_NEW_OBJECT: usize = 20;

/// Bytes of a write that goes to the store in parts.
const LARGE: usize = 5 * 1024 * 1024 + 100_000;

/// By then every operation has ended: far above the longest chain of retries that the faults lead to.
const DEADLINE: Duration = Duration::from_secs(120);

pub(super) struct Writer {
    number: usize,
    store: GatewayStore,
    network: FaultyNetwork,
    script: ChaCha8Rng,
    ledger: Arc<Ledger>,
}

/// Objects that [`Writer::prepare`] makes, for copies.
fn source(writer: usize) -> String {
    format!("sources/{writer}")
}

impl Writer {
    /// A writer with a connection of its own over this network.
    pub(super) fn new(
        number: usize,
        gateway: &Gateway,
        network: &FaultyNetwork,
        seed: u64,
        ledger: Arc<Ledger>,
    ) -> Self {
        let retries = Retries {
            first_delay: Duration::from_millis(10),
            longest_delay: Duration::from_millis(200),
            answer_within: DEADLINE / 4,
            ..Retries::default()
        };
        Self {
            number,
            store: gateway.store_through(&network.address).with_retries(retries),
            network: network.clone(),
            script: script(seed, Purpose::Writer, number as u64),
            ledger,
        }
    }

    /// Makes what must be there before the faults begin.
    pub(super) async fn prepare(&self) {
        let value = self.value(0, LEAST_SIZE);
        let path = source(self.number);
        let put = PutMode::Create.into();
        self.store
            .put_opts(&path.as_str().into(), value.content().into(), put)
            .await
            .unwrap();
        self.ledger.note_creation(&path, value, Outcome::Done);
        self.ledger.note_source(value);
        if self.number < CHAINS {
            self.store.put(&chain(self.number), "".into()).await.unwrap();
            self.ledger.note_chain(chain(self.number).as_ref(), String::new());
        }
    }

    /// Carries out so many operations.
    pub(super) async fn run(mut self, operations: usize) {
        for operation in 1..=operations {
            let kind = self.script.random_range(0..200);
            let what = format!("writer {} operation {operation} kind {kind}", self.number);
            let span = info_span!("operation", what);
            let act = self.act(operation, kind).instrument(span.clone());
            if tokio::time::timeout(DEADLINE, act).await.is_err() {
                let at_work = longer_than(DEADLINE / 4);
                let network = self.network.idle_connections();
                self.ledger.violation(format!(
                    "{what}: did not end. Under way: {at_work}\nConnections: {network}"
                ));
            }
        }
    }

    async fn act(&mut self, operation: usize, kind: usize) {
        let shared = format!("shared/{}", self.script.random_range(0..SHARED));
        let size = match self.script.random_range(0..20) {
            0 => self.script.random_range(100_000..1_500_000),
            1..5 => self.script.random_range(5_000..50_000),
            _ => self.script.random_range(LEAST_SIZE..2_000),
        };
        let value = self.value(operation, size);
        let round = operation / PER_NEW_OBJECT;
        match kind {
            0..32 => self.put(&shared, value).await,
            32..46 => self.stream(&shared, value).await,
            46 => self.stream("shared/large", self.value(operation, LARGE)).await,
            47..62 => self.create(&format!("created/{round}"), value).await,
            62..90 => self.extend(operation).await,
            90..122 => self.get(&shared).await,
            122..142 => self.get_range(&shared).await,
            142..154 => self.head(&shared).await,
            154..166 => self.list().await,
            166..182 => self.delete(&shared).await,
            182..191 => self.copy().await,
            _ => self.copy_new(&format!("copied/{round}")).await,
        }
    }

    fn value(&self, operation: usize, size: usize) -> Value {
        Value {
            writer: self.number,
            operation,
            size,
        }
    }

    /// Sorts the error of an operation that does what it is asked for or fails for other reasons than the object.
    fn expect_other(&self, what: &str, error: &Error) {
        match self.ledger.sort(what, error) {
            Failure::Other(_) => {}
            failure => self.ledger.violation(format!("{what} was {failure:?}: {error}")),
        }
    }

    async fn put(&self, path: &str, value: Value) {
        let begun = self.ledger.begin(path, Act::Write(value));
        match self.store.put(&path.into(), value.content().into()).await {
            Ok(_) => self.ledger.end(path, begun),
            Err(error) => self.expect_other("put", &error),
        }
    }

    async fn stream(&self, path: &str, value: Value) {
        let begun = self.ledger.begin(path, Act::Write(value));
        match self.try_stream(path, value).await {
            Ok(()) => self.ledger.end(path, begun),
            Err(error) => self.expect_other("upload", &error),
        }
    }

    async fn try_stream(&self, path: &str, value: Value) -> Result<(), Error> {
        let mut content = value.content();
        let mut upload = self.store.put_multipart(&path.into()).await?;
        let part = content.len().div_ceil(3);
        while !content.is_empty() {
            let piece = content.split_to(part.min(content.len()));
            upload.put_part(piece.into()).await?;
        }
        upload.complete().await?;
        Ok(())
    }

    async fn create(&self, path: &str, value: Value) {
        let put = PutMode::Create.into();
        let created = self.store.put_opts(&path.into(), value.content().into(), put).await;
        self.note_creation("create", path, value, created.map(|_| ()));
    }

    fn note_creation(&self, what: &str, path: &str, value: Value, created: Result<(), Error>) {
        let outcome = match created.map_err(|error| (self.ledger.sort(what, &error), error)) {
            Ok(()) => Outcome::Done,
            Err((Failure::AlreadyExists, _)) => Outcome::Refused,
            Err((Failure::Other(_), _)) => Outcome::Unknown,
            Err((failure, error)) => {
                self.ledger.violation(format!("{what} was {failure:?}: {error}"));
                Outcome::Unknown
            }
        };
        self.ledger.note_creation(path, value, outcome);
    }

    /// Adds a line, if nobody else does so meanwhile.
    async fn extend(&mut self, operation: usize) {
        let path = chain(self.script.random_range(0..CHAINS));
        let read = match self.store.get(&path).await {
            Ok(read) => read,
            Err(error) => return self.expect_other("get", &error),
        };
        let present = UpdateVersion {
            e_tag: read.meta.e_tag.clone(),
            version: read.meta.version.clone(),
        };
        let text = match read.bytes().await {
            Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            Err(error) => return self.expect_body_failure(&error),
        };
        self.ledger.note_chain(path.as_ref(), text.clone());
        let line = format!("{}-{operation}", self.number);
        let update = PutMode::Update(present).into();
        let updated = self
            .store
            .put_opts(&path, format!("{text}{line}\n").into(), update)
            .await;
        let outcome = match updated.map_err(|error| (self.ledger.sort("update", &error), error)) {
            Ok(_) => Outcome::Done,
            Err((Failure::Precondition, _)) => Outcome::Refused,
            Err((Failure::Other(_), _)) => Outcome::Unknown,
            Err((failure, error)) => {
                self.ledger.violation(format!("update was {failure:?}: {error}"));
                Outcome::Unknown
            }
        };
        self.ledger.note_line(path.as_ref(), line, outcome);
    }

    /// Content may end because the object was replaced under a download that had to be resumed.
    fn expect_body_failure(&self, error: &Error) {
        match self.ledger.sort("content", error) {
            Failure::Other(_) | Failure::Precondition | Failure::NotFound => {}
            Failure::AlreadyExists => self.ledger.violation(format!("content was there already: {error}")),
        }
    }

    async fn get(&self, path: &str) {
        self.read(path, GetOptions::new()).await;
    }

    async fn get_range(&mut self, path: &str) {
        // Such that it ends within the smallest object.
        let start = self.script.random_range(0..(LEAST_SIZE - Value::RANGE) as u64);
        let range = match self.script.random_range(0..3) {
            0 => GetRange::Bounded(start..start + Value::RANGE as u64),
            1 => GetRange::Offset(start),
            _ => GetRange::Suffix(LEAST_SIZE as u64 - start),
        };
        self.read(path, GetOptions::new().with_range(Some(range))).await;
    }

    async fn read(&self, path: &str, options: GetOptions) {
        let begun = self.ledger.now();
        let whole = options.range.is_none();
        let found = match self.store.get_opts(&path.into(), options).await {
            Ok(read) => read,
            Err(error) => return self.note_missing(path, begun, "get", &error),
        };
        let (size, range) = (found.meta.size, found.range.clone());
        match found.bytes().await {
            Ok(bytes) => {
                let value = Value::of(&bytes, usize::try_from(range.start).unwrap());
                let value = value.and_then(|value| {
                    let fits = value.size as u64 == size && range.end - range.start == bytes.len() as u64;
                    let fits = fits && (!whole || bytes.len() == value.size);
                    fits.then_some(value)
                        .ok_or_else(|| format!("{} bytes of {size} as {value}", bytes.len()))
                });
                match value {
                    Ok(value) => self.ledger.note(path, begun, self.ledger.now(), Act::Read(Some(value))),
                    Err(torn) => self.ledger.violation(format!("{path}: {torn} was read")),
                }
            }
            Err(error) => self.expect_body_failure(&error),
        }
    }

    fn note_missing(&self, path: &str, begun: u64, what: &str, error: &Error) {
        match self.ledger.sort(what, error) {
            Failure::NotFound => self.ledger.note(path, begun, self.ledger.now(), Act::Read(None)),
            Failure::Other(_) => {}
            failure => self.ledger.violation(format!("{what} was {failure:?}: {error}")),
        }
    }

    async fn head(&self, path: &str) {
        let begun = self.ledger.now();
        match self.store.head(&path.into()).await {
            Ok(meta) => self.check_meta(&meta),
            Err(error) => self.note_missing(path, begun, "head", &error),
        }
    }

    fn check_meta(&self, meta: &ObjectMeta) {
        let path = meta.location.as_ref();
        if !self.ledger.knows(path, usize::try_from(meta.size).unwrap()) {
            self.ledger
                .violation(format!("{path} has {} bytes, which nobody wrote", meta.size));
        }
    }

    async fn list(&mut self) {
        let certain = self.ledger.certain();
        let (folder, checked): (&str, bool) = match self.script.random_range(0..3) {
            0 => ("shared", true),
            1 => ("created", false),
            _ => ("copied", false),
        };
        let listed: Vec<ObjectMeta> = match self.store.list(Some(&folder.into())).try_collect().await {
            Ok(listed) => listed,
            Err(error) => return self.expect_other("list", &error),
        };
        if checked {
            listed.iter().for_each(|meta| self.check_meta(meta));
        }
        let mut paths: Vec<_> = listed.iter().map(|meta| meta.location.as_ref()).collect();
        for (path, size) in certain
            .iter()
            .filter(|(path, _)| path.split('/').next() == Some(folder))
        {
            let found = listed.iter().find(|meta| meta.location.as_ref() == path);
            if found.is_none_or(|meta| meta.size != *size as u64) {
                self.ledger
                    .violation(format!("{path} of {size} bytes is listed as {found:?}"));
            }
        }
        let all = paths.len();
        paths.sort_unstable();
        paths.dedup();
        if paths.len() != all {
            self.ledger
                .violation(format!("something is listed twice in {listed:?}"));
        }
    }

    async fn delete(&self, path: &str) {
        let begun = self.ledger.now();
        let noted = self.ledger.begin(path, Act::Delete);
        match self.store.delete(&path.into()).await {
            Ok(()) => self.ledger.end(path, noted),
            // Some stores say so, and S3 does not.
            Err(error) => self.note_missing(path, begun, "delete", &error),
        }
    }

    async fn copy(&mut self) {
        let from = source(self.script.random_range(0..self.number + 1));
        let to = Path::from(format!("copies/{}", self.number));
        if let Err(error) = self.store.copy(&from.as_str().into(), &to).await {
            return self.expect_other("copy", &error);
        }
        match self.store.head(&to).await {
            Ok(_) => {}
            Err(error) => self.expect_other("head", &error),
        }
    }

    async fn copy_new(&self, path: &str) {
        let from = source(self.number);
        let options = CopyOptions::new().with_mode(CopyMode::Create);
        let copied = self.store.copy_opts(&from.as_str().into(), &path.into(), options).await;
        self.note_creation("copy", path, self.value(0, LEAST_SIZE), copied);
    }
}

fn chain(number: usize) -> Path {
    Path::from(format!("chains/{number}"))
}
