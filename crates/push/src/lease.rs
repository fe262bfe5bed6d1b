//! Who pushes for a cluster id: one pusher at a time.
//!
//! Two clusters whose certificates are for one id would overwrite each other's files, window by window, and the costs
//! of both would be wrong without a sign of it. So a pusher writes only while it holds a lease: a small object in the
//! cluster's folder that it created, or replaced, under a condition, and renews.

use std::time::{Duration, Instant};

use chrono::{DateTime, SecondsFormat, Utc};
use object_gateway::GatewayStore;
use object_store::{
    Error, GetResult, ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutResult, UpdateVersion, path::Path,
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::failure::Failure;

/// Name of the lease's object in `federated/<cluster id>/`.
pub const LEASE_FILE: &str = ".fedcost-pusher.json";

/// How much the clocks of the store and of this machine may differ.
const CLOCK_SKEW: Duration = Duration::from_secs(5 * 60);

/// The longest that a lease of another is believed, whatever it says.
const LONGEST: Duration = Duration::from_secs(60 * 60);

/// Rounds of reading and writing before somebody else is let go first.
const ROUNDS: usize = 4;

/// Who holds the lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// The pusher's id, as its state file has it.
    pub instance: Uuid,
    /// The machine it runs on; in Kubernetes the pod's name.
    pub host: String,
    /// When it was last heard of, by its own clock.
    pub renewed: DateTime<Utc>,
}

impl std::fmt::Display for Holder {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let renewed = self.renewed.to_rfc3339_opts(SecondsFormat::Secs, true);
        write!(
            formatter,
            "{} (instance {}, last heard of at {renewed})",
            self.host, self.instance
        )
    }
}

/// The object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct LeaseFile {
    /// Stays the same across restarts of a pusher that keeps its state.
    instance: Uuid,
    /// New with each start, so that two pushers with copies of one state are told apart.
    session: Uuid,
    host: String,
    renewed: DateTime<Utc>,
    renewals: u64,
    /// How long it holds without a renewal, in seconds.
    seconds: u64,
    /// Given up by a pusher that has ended.
    released: bool,
}

/// Whether we may write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Standing {
    /// The lease is ours.
    Held,
    /// Another pusher has it.
    Taken(Holder),
}

/// The lease of a cluster id, held or wanted.
#[derive(Debug)]
pub(crate) struct Lease {
    store: GatewayStore,
    path: Path,
    length: Duration,
    own: LeaseFile,
    held: Option<Held>,
    /// Whether it was ours since we started. A pusher that loses it to a session of its own instance has a double.
    was_held: bool,
    /// Whether the lease that we are about to take was another instance's.
    succeeds_another: bool,
    /// What we last saw of another's lease, and since when it has been like that.
    seen: Option<((Uuid, u64), Instant)>,
}

#[derive(Debug)]
struct Held {
    version: UpdateVersion,
    renewed: Instant,
}

/// What to do about the lease as it was found.
enum Found {
    Free(PutMode),
    Taken(Holder),
}

impl Lease {
    pub(crate) fn new(store: GatewayStore, cluster: &str, instance: Uuid, host: String, length: Duration) -> Self {
        let own = LeaseFile {
            instance,
            session: Uuid::new_v4(),
            host,
            renewed: DateTime::UNIX_EPOCH,
            renewals: 0,
            seconds: length.as_secs().max(1),
            released: false,
        };
        Self {
            store,
            path: Path::from_iter(["federated", cluster, LEASE_FILE]),
            length,
            own,
            held: None,
            was_held: false,
            succeeds_another: false,
            seen: None,
        }
    }

    /// Between two renewals.
    pub(crate) fn renewal(&self) -> Duration {
        self.length / 3
    }

    /// Takes or renews the lease when it is due, and says whose it is.
    ///
    /// After an error it is unknown whether it was renewed, so nothing must be written until this has succeeded.
    pub(crate) async fn ensure(&mut self) -> Result<Standing, Failure> {
        if let Some(held) = &self.held
            && held.renewed.elapsed() < self.renewal()
        {
            return Ok(Standing::Held);
        }
        let mut mode = self.held.take().map(|held| PutMode::Update(held.version));
        for _ in 0..ROUNDS {
            let wanted = match mode.take() {
                Some(mode) => mode,
                None => match self.look().await? {
                    Found::Free(mode) => mode,
                    Found::Taken(holder) => return Ok(Standing::Taken(holder)),
                },
            };
            let asked = Instant::now();
            match self.write(wanted).await {
                Ok(written) => {
                    if !self.was_held {
                        tracing::info!(path = %self.path, instance = %self.own.instance, "pushing for this cluster id");
                    }
                    // The time before the call: the lease does not last longer for an answer that is slow.
                    self.held = Some(Held {
                        version: written.into(),
                        renewed: asked,
                    });
                    self.was_held = true;
                    self.seen = None;
                    return Ok(Standing::Held);
                }
                // Somebody was faster, or an earlier renewal of ours took place although its answer was lost.
                Err(Error::Precondition { .. } | Error::AlreadyExists { .. } | Error::NotFound { .. }) => {}
                Err(error) => return Err(Failure::of(&error)),
            }
        }
        Err(Failure {
            text: format!(
                "`{}` changes all the time; are several pushers starting at once?",
                self.path
            ),
            of_this_object: false,
        })
    }

    /// Whether another pusher wrote between our uploads and now. Asked once: what is in the bucket is then compared.
    pub(crate) fn take_succession(&mut self) -> bool {
        std::mem::take(&mut self.succeeds_another)
    }

    async fn write(&mut self, mode: PutMode) -> Result<PutResult, Error> {
        self.own.renewed = Utc::now();
        self.own.renewals += 1;
        // A struct of plain values can always be written as JSON.
        let text = serde_json::to_vec_pretty(&self.own).unwrap_or_default();
        let options = PutOptions::from(mode);
        self.store.put_opts(&self.path, text.into(), options).await
    }

    async fn look(&mut self) -> Result<Found, Failure> {
        let object = match self.store.get(&self.path).await {
            Ok(object) => object,
            Err(Error::NotFound { .. }) => return Ok(Found::Free(PutMode::Create)),
            Err(error) => return Err(Failure::of(&error)),
        };
        let GetResult { meta, .. } = &object;
        let (written, version) = (
            meta.last_modified,
            UpdateVersion {
                e_tag: meta.e_tag.clone(),
                version: meta.version.clone(),
            },
        );
        let free = Found::Free(PutMode::Update(version));
        let text = object.bytes().await.map_err(|error| Failure::of(&error))?;
        let Ok(found) = serde_json::from_slice::<LeaseFile>(&text) else {
            tracing::warn!(path = %self.path, "the lease cannot be read and is written anew");
            return Ok(free);
        };
        self.succeeds_another |= found.instance != self.own.instance;
        if found.released || found.session == self.own.session {
            return Ok(free);
        }
        if found.instance == self.own.instance && !self.was_held {
            // Ours, from before a restart.
            return Ok(free);
        }
        let length = Duration::from_secs(found.seconds).min(LONGEST);
        if self.has_lapsed(&found, length) || is_long_past(written, length) {
            tracing::warn!(holder = %found.holder(), "taking over from a pusher that is no longer heard of");
            return Ok(free);
        }
        Ok(Found::Taken(found.holder()))
    }

    /// Whether another's lease was not renewed for its length, by our own clock.
    fn has_lapsed(&mut self, found: &LeaseFile, length: Duration) -> bool {
        let sign = (found.session, found.renewals);
        match self.seen {
            Some((seen, since)) if seen == sign => since.elapsed() > length,
            Some(_) | None => {
                self.seen = Some((sign, Instant::now()));
                false
            }
        }
    }

    /// Gives the lease up, so that another pusher need not wait for it to lapse.
    pub(crate) async fn release(&mut self) {
        let Some(held) = self.held.take() else { return };
        self.own.released = true;
        if let Err(error) = self.write(PutMode::Update(held.version)).await {
            tracing::debug!(%error, "the lease was not released and will lapse");
        }
        self.own.released = false;
    }
}

/// Whether a lease was written so long ago that no difference of clocks explains it.
fn is_long_past(written: DateTime<Utc>, length: Duration) -> bool {
    (Utc::now() - written)
        .to_std()
        .is_ok_and(|age| age > length + CLOCK_SKEW)
}

impl LeaseFile {
    fn holder(&self) -> Holder {
        Holder {
            instance: self.instance,
            host: self.host.clone(),
            renewed: self.renewed,
        }
    }
}
