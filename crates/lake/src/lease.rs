//! Who writes the lake: one writer at a time.
//!
//! A writer takes the lease for as long as it writes, and renews it meanwhile. One that was killed keeps the lease
//! until it expires, or until a writer on the same machine sees that its process is gone. The lease only saves work:
//! what keeps the lake whole is that the release pointer is replaced under a condition, and that whoever takes the
//! lease first writes its token there ([`Lake::fence`]), so that a writer that slept through its lease cannot publish.

use std::{fmt, fs, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};
use object_store::{GetOptions, PutMode, PutOptions, UpdateVersion, path::Path};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{Lake, LakeError, ROOT};

/// How much longer than it says the lease of another is respected, as clocks differ.
const CLOCK_SKEW: TimeDelta = TimeDelta::seconds(10);
/// The longest that a lease of another is respected, whatever it says.
const LONGEST: TimeDelta = TimeDelta::hours(1);

/// A writer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Holder {
    /// Differs from writer to writer.
    pub instance: Uuid,
    /// The machine; in Kubernetes the pod's name.
    pub host: String,
    /// Number of the process on that machine.
    pub process: u32,
    /// When the process started, in the machine's own count; 0 where that cannot be known.
    pub process_started: u64,
}

impl fmt::Display for Holder {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "process {} on {}", self.process, self.host)
    }
}

impl Holder {
    /// This process, as a writer of its own.
    pub fn this() -> Self {
        let host = std::env::var("HOSTNAME").or_else(|_| fs::read_to_string("/proc/sys/kernel/hostname"));
        let process = std::process::id();
        Self {
            instance: Uuid::new_v4(),
            host: host.map_or_else(|_| "unknown".to_owned(), |host| host.trim().to_owned()),
            process,
            process_started: started(process).unwrap_or(0),
        }
    }

    /// Whether its process has ended, as far as this machine can tell.
    fn is_gone(&self, from: &Self) -> bool {
        // Without a start time a number that is in use again could not be told from the process that had it.
        self.host == from.host
            && from.process_started != 0
            && started(self.process).is_none_or(|started| started != self.process_started)
    }
}

/// When a process started, in clock ticks since the machine did (proc(5), field 22 of `stat`).
fn started(process: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // The second field is the program's name in parentheses, which may hold anything.
    let (_, fields) = stat.rsplit_once(')')?;
    fields.split_whitespace().nth(19)?.parse().ok()
}

/// The object in the bucket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct LeaseFile {
    holder: Holder,
    /// Counts up with each change of the holder.
    token: u64,
    /// Until when it holds unless renewed.
    until: DateTime<Utc>,
    /// Given up by its holder.
    released: bool,
}

/// The lease of a lake, held or wanted.
#[derive(Debug)]
pub struct Lease {
    lake: Lake,
    own: Holder,
    length: TimeDelta,
    held: Option<(UpdateVersion, u64)>,
}

impl Lease {
    /// A lease that holds so long without being renewed.
    pub fn new(lake: Lake, own: Holder, length: Duration) -> Self {
        Self {
            lake,
            own,
            length: TimeDelta::from_std(length).unwrap_or(LONGEST).min(LONGEST),
            held: None,
        }
    }

    /// How long it holds without being renewed.
    pub fn length(&self) -> Duration {
        self.length.to_std().unwrap_or_default()
    }

    /// How often it is to be renewed.
    pub fn renewal(&self) -> Duration {
        (self.length / 3).to_std().unwrap_or_default()
    }

    /// Takes the lease, and returns its token, which is larger than any before it.
    ///
    /// # Errors
    /// [`LakeError::Busy`] when another has it.
    pub async fn take(&mut self, now: DateTime<Utc>) -> Result<u64, LakeError> {
        self.held = None;
        let (mode, token) = match self.read().await? {
            None => (PutMode::Create, 1),
            Some((Some(found), version)) => {
                let is_free = found.released
                    || found.holder.instance == self.own.instance
                    || found.holder.is_gone(&self.own)
                    || now > (found.until + CLOCK_SKEW).min(now + LONGEST);
                if !is_free {
                    return Err(LakeError::Busy { holder: found.holder });
                }
                (PutMode::Update(version), found.token + 1)
            }
            // Damaged, so nobody can renew it. Tokens only grow with time, so one made of the time is larger than all.
            Some((None, version)) => (PutMode::Update(version), now.timestamp().unsigned_abs()),
        };
        let version = self.write(mode, token, now, false).await?;
        self.held = Some((version, token));
        Ok(token)
    }

    /// Makes a held lease last longer.
    ///
    /// # Errors
    /// [`LakeError::LeaseLost`] when another has taken it.
    pub async fn renew(&mut self, now: DateTime<Utc>) -> Result<(), LakeError> {
        let Some((version, token)) = self.held.clone() else {
            return Err(self.lost().await);
        };
        match self.write(PutMode::Update(version), token, now, false).await {
            Ok(version) => {
                self.held = Some((version, token));
                Ok(())
            }
            Err(LakeError::Busy { .. }) => {
                self.held = None;
                Err(self.lost().await)
            }
            Err(error) => Err(error),
        }
    }

    /// Gives a held lease up. When that fails, it expires.
    pub async fn give_up(&mut self, now: DateTime<Utc>) {
        if let Some((version, token)) = self.held.take()
            && let Err(error) = self.write(PutMode::Update(version), token, now, true).await
        {
            tracing::debug!(%error, "the lease was not given up");
        }
    }

    async fn lost(&self) -> LakeError {
        let holder = match self.read().await {
            Ok(Some((Some(found), _))) => found.holder.to_string(),
            _ => "unknown".to_owned(),
        };
        LakeError::LeaseLost { holder }
    }

    fn path() -> Path {
        Path::from_iter([ROOT, "lease.json"])
    }

    /// What stands in the bucket; without its content when that cannot be read.
    async fn read(&self) -> Result<Option<(Option<LeaseFile>, UpdateVersion)>, LakeError> {
        let path = Self::path();
        let object = match self.lake.store().get_opts(&path, GetOptions::default()).await {
            Ok(object) => object,
            Err(object_store::Error::NotFound { .. }) => return Ok(None),
            Err(error) => return Err(LakeError::store(&path)(error)),
        };
        let version = UpdateVersion {
            e_tag: object.meta.e_tag.clone(),
            version: object.meta.version.clone(),
        };
        let bytes = object.bytes().await.map_err(LakeError::store(&path))?;
        Ok(Some((serde_json::from_slice(&bytes).ok(), version)))
    }

    async fn write(
        &self,
        mode: PutMode,
        token: u64,
        now: DateTime<Utc>,
        released: bool,
    ) -> Result<UpdateVersion, LakeError> {
        let path = Self::path();
        let file = LeaseFile {
            holder: self.own.clone(),
            token,
            until: now + self.length,
            released,
        };
        let body = serde_json::to_vec_pretty(&file).map_err(|error| LakeError::CorruptRelease {
            path: path.clone(),
            reason: error.to_string(),
        })?;
        match self
            .lake
            .store()
            .put_opts(&path, body.into(), PutOptions::from(mode))
            .await
        {
            Ok(written) => Ok(UpdateVersion {
                e_tag: written.e_tag,
                version: written.version,
            }),
            Err(object_store::Error::AlreadyExists { .. } | object_store::Error::Precondition { .. }) => {
                let holder = match self.read().await? {
                    Some((Some(found), _)) => found.holder,
                    _ => self.own.clone(),
                };
                Err(LakeError::Busy { holder })
            }
            Err(error) => Err(LakeError::store(&path)(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use object_store::{ObjectStoreExt as _, memory::InMemory};

    use super::*;

    fn holder(host: &str) -> Holder {
        Holder {
            host: host.to_owned(),
            ..Holder::this()
        }
    }

    fn leases() -> (Lease, Lease) {
        let lake = Lake::new(Arc::new(InMemory::new()));
        let lease = |host| Lease::new(lake.clone(), holder(host), Duration::from_secs(30));
        (lease("a"), lease("b"))
    }

    #[tokio::test]
    async fn one_writer_at_a_time() {
        let (mut first, mut second) = leases();
        let now = Utc::now();
        assert_eq!(first.take(now).await.unwrap(), 1);
        let refused = second.take(now + TimeDelta::seconds(35)).await.unwrap_err();
        assert!(
            matches!(&refused, LakeError::Busy { holder } if holder.host == "a"),
            "{refused}"
        );
        first.renew(now + TimeDelta::seconds(20)).await.unwrap();
        assert!(second.take(now + TimeDelta::seconds(45)).await.is_err());

        first.give_up(now).await;
        assert_eq!(second.take(now).await.unwrap(), 2);
        assert!(first.take(now).await.is_err());
    }

    #[tokio::test]
    async fn an_expired_lease_is_taken_over_and_its_holder_told() {
        let (mut first, mut second) = leases();
        let now = Utc::now();
        first.take(now).await.unwrap();
        let later = now + TimeDelta::seconds(41);
        assert_eq!(second.take(later).await.unwrap(), 2);
        let lost = first.renew(later).await.unwrap_err();
        assert!(
            matches!(&lost, LakeError::LeaseLost { holder } if holder.contains(" on b")),
            "{lost}"
        );
        second.renew(later).await.unwrap();
    }

    #[tokio::test]
    async fn a_process_that_is_gone_holds_nothing() {
        let (mut first, mut second) = leases();
        second.own.host = "a".to_owned();
        let now = Utc::now();
        first.take(now).await.unwrap();
        assert!(second.take(now).await.is_err(), "the process lives");
        first.give_up(now).await;
        first.own.process_started += 1;
        first.take(now).await.unwrap();
        assert_eq!(second.take(now).await.unwrap(), 3);
    }

    #[tokio::test]
    async fn a_damaged_lease_is_replaced() {
        let (mut first, _) = leases();
        first.lake.store().put(&Lease::path(), "{".into()).await.unwrap();
        let token = first.take(Utc::now()).await.unwrap();
        first.give_up(Utc::now()).await;
        assert_eq!(first.take(Utc::now()).await.unwrap(), token + 1);
    }
}
