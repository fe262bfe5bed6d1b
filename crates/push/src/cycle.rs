//! One look through the folder, and the uploads that follow from it.

use std::{
    collections::{HashMap, HashSet},
    time::{Duration, Instant},
};

use futures::{StreamExt, stream};
use tokio::time::{sleep, timeout_at};
use tokio_util::sync::CancellationToken;

use crate::{
    failure::Failure,
    lease::{Holder, Standing},
    pusher::Pusher,
    scan::{LocalFile, Stamp, scan},
    upload::{Known, Outcome},
};

/// How long uploads under way may take to end once the pusher is to stop.
const GRACE: Duration = Duration::from_secs(10);

/// Between two saves of the state while uploads go on.
const SAVE_INTERVAL: Duration = Duration::from_secs(5);

/// Between two words on how far a long cycle has come.
const PROGRESS_INTERVAL: Duration = Duration::from_secs(10);

/// What one cycle came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CycleReport {
    /// ETL files in the folder.
    pub found: usize,
    /// Files of the folder that are not ETL files by their names.
    pub ignored: usize,
    /// Files uploaded and proved.
    pub uploaded: usize,
    /// Bytes of those.
    pub bytes: u64,
    /// Files that had changed, but whose content the bucket had already.
    pub present: usize,
    /// Files that are still being written, as far as we can tell.
    pub unsettled: usize,
    /// Files that are damaged and not uploaded.
    pub damaged: usize,
    /// Files that cannot be read, or that the gateway refuses.
    pub failed: usize,
    /// Why the cycle broke off, if it did: the gateway is away or lets us do nothing.
    pub broken_off: Option<String>,
    /// Who pushes for this cluster id, if it is not us.
    pub other: Option<Holder>,
}

impl CycleReport {
    /// Whether the bucket now holds all that the folder does.
    pub fn is_complete(&self) -> bool {
        self.unsettled == 0
            && self.damaged == 0
            && self.failed == 0
            && self.broken_off.is_none()
            && self.other.is_none()
    }

    pub(crate) fn add(&mut self, earlier: &Self) {
        self.uploaded += earlier.uploaded;
        self.bytes += earlier.bytes;
        self.present += earlier.present;
    }

    fn break_off(&mut self, failure: Failure) {
        // The first reason; those that follow are mostly its consequences.
        self.broken_off.get_or_insert(failure.text);
    }
}

impl Pusher {
    /// Looks through the folder once. Stops taking up files at `shutdown`.
    pub(crate) async fn cycle(&mut self, shutdown: &CancellationToken) -> CycleReport {
        let begun = Instant::now();
        let mut report = CycleReport::default();
        match self.due(&mut report).await {
            Err(failure) => report.break_off(failure),
            Ok(due) if due.is_empty() => {}
            Ok(due) => self.upload_all(due, shutdown, &mut report).await,
        }
        self.save().await;
        self.tell(&report, begun.elapsed());
        report
    }

    /// The settled files that are not known to be in the bucket. Empty when another pusher is at work.
    async fn due(&mut self, report: &mut CycleReport) -> Result<Vec<(LocalFile, Known)>, Failure> {
        let local = |text: String| Failure {
            text,
            of_this_object: false,
        };
        // Files settle from when they are first seen, so this comes before the gateway is asked anything.
        let (directory, cluster) = (self.options.directory.clone(), self.cluster.clone());
        let scanned = tokio::task::spawn_blocking(move || scan(&directory, &cluster)).await;
        let scan = scanned
            .map_err(|error| local(error.to_string()))?
            .map_err(|error| local(error.to_string()))?;
        (report.found, report.ignored) = (scan.files.len(), scan.ignored);
        let present: HashSet<&str> = scan.files.iter().map(|file| file.key.as_str()).collect();
        self.state.files.retain(|key, _| present.contains(key.as_str()));
        self.told.retain(|key, _| present.contains(key.as_str()));
        drop(present);

        let now = Instant::now();
        let mut files = scan.files;
        files.retain(|file| {
            let pushed = self.state.files.get(&file.key);
            pushed.is_none_or(|pushed| pushed.stamp != file.stamp)
        });
        let waiting: HashSet<&str> = files.iter().map(|file| file.key.as_str()).collect();
        self.settling.keep(&waiting);
        drop(waiting);
        let all = files.len();
        files.retain(|file| self.settling.is_settled(file, now, self.options.settle));
        report.unsettled = all - files.len();

        if let Standing::Taken(holder) = self.lease.ensure().await? {
            report.other = Some(holder);
            return Ok(Vec::new());
        }
        if self.lease.take_succession() && !self.state.files.is_empty() {
            tracing::info!("another pusher was here; what the bucket holds is compared");
            self.state.files.clear();
            self.listing = None;
            // All files have to settle again, so they come with the next cycle.
            report.unsettled = report.found;
            return Ok(Vec::new());
        }
        let unknown = files.iter().any(|file| !self.state.files.contains_key(&file.key));
        if unknown && self.listing.is_none() {
            self.listing = Some(self.uploader.list(&self.cluster).await?);
        }
        let listing = self.listing.as_ref();
        let known = |file: &LocalFile| Known {
            pushed: self.state.files.get(&file.key).cloned(),
            listed: listing.and_then(|sizes| sizes.get(&file.target.to_string()).copied()),
        };
        Ok(files
            .into_iter()
            .map(|file| (known(&file), file))
            .map(|(known, file)| (file, known))
            .collect())
    }

    async fn upload_all(
        &mut self,
        due: Vec<(LocalFile, Known)>,
        shutdown: &CancellationToken,
        report: &mut CycleReport,
    ) {
        let total = due.len();
        // Cancelled at shutdown, and when to go on is pointless: uploads under way end, no more are begun.
        let stop = shutdown.child_token();
        let uploader = self.uploader.clone();
        let uploads = stream::iter(due)
            .take_until(stop.clone().cancelled_owned())
            .map(move |(file, known)| {
                let uploader = uploader.clone();
                async move { uploader.upload(file, known).await }
            })
            .buffer_unordered(self.options.limits.concurrency.max(1));
        let mut uploads = std::pin::pin!(uploads);
        let (mut saved, mut spoken, mut done) = (Instant::now(), Instant::now(), 0);
        let deadline = async {
            stop.cancelled().await;
            sleep(GRACE).await;
        };
        let mut deadline = std::pin::pin!(deadline);
        loop {
            let next = tokio::select! {
                next = uploads.next() => next,
                () = sleep(self.lease.renewal()) => {
                    self.keep_lease(&stop, report).await;
                    continue;
                }
                () = &mut deadline => {
                    tracing::warn!(grace_s = GRACE.as_secs(), "gave up uploads that did not end in time");
                    break;
                }
            };
            let Some((file, outcome, pushed)) = next else { break };
            done += 1;
            if let Some(pushed) = pushed {
                self.state.files.insert(file.key.clone(), pushed);
            }
            self.count(&file, outcome, &stop, report);
            if !stop.is_cancelled() {
                self.keep_lease(&stop, report).await;
            }
            if saved.elapsed() > SAVE_INTERVAL {
                self.save().await;
                saved = Instant::now();
            }
            if spoken.elapsed() > PROGRESS_INTERVAL {
                let bytes = report.bytes;
                tracing::info!(done, total, bytes, "uploading");
                spoken = Instant::now();
            }
        }
        if done < total && report.other.is_none() {
            // Unless there was a reason already.
            report.break_off(Failure {
                text: format!("stopped with {} files to go", total - done),
                of_this_object: false,
            });
        }
        // What was listed before these uploads says nothing about what comes after them.
        if report.broken_off.is_none() {
            self.listing = Some(HashMap::new());
        }
    }

    /// Renews the lease when it is due, and stops when it is not ours any more.
    async fn keep_lease(&mut self, stop: &CancellationToken, report: &mut CycleReport) {
        // The uploads under way make no progress meanwhile, so this must not take long.
        let limit = tokio::time::Instant::now() + self.lease.renewal();
        match timeout_at(limit, self.lease.ensure()).await {
            Ok(Ok(Standing::Held)) => {}
            Ok(Ok(Standing::Taken(holder))) => {
                report.other = Some(holder);
                stop.cancel();
            }
            Ok(Err(failure)) => {
                report.break_off(failure);
                stop.cancel();
            }
            Err(_) => {
                report.break_off(Failure {
                    text: "the lease could not be renewed in time".to_owned(),
                    of_this_object: false,
                });
                stop.cancel();
            }
        }
    }

    fn count(&mut self, file: &LocalFile, outcome: Outcome, stop: &CancellationToken, report: &mut CycleReport) {
        let path = file.path.display();
        match outcome {
            Outcome::Uploaded => {
                tracing::debug!(%path, bytes = file.stamp.size, "uploaded");
                report.uploaded += 1;
                report.bytes += file.stamp.size;
            }
            Outcome::Present => {
                tracing::debug!(%path, "the bucket has this content already");
                report.present += 1;
            }
            Outcome::Changed => report.unsettled += 1,
            Outcome::Damaged(error) => {
                report.damaged += 1;
                if self.is_news(file) {
                    tracing::warn!(%path, %error, "not uploaded; it is tried again when the agent writes it again");
                }
            }
            Outcome::Unreadable(error) => {
                report.failed += 1;
                if self.is_news(file) {
                    tracing::warn!(%path, error, "not uploaded");
                }
            }
            Outcome::Failed(failure) if failure.of_this_object => {
                report.failed += 1;
                if self.is_news(file) {
                    tracing::warn!(%path, error = failure.text, "the gateway does not take this file");
                }
            }
            Outcome::Failed(failure) => {
                report.break_off(failure);
                stop.cancel();
            }
        }
    }

    /// Whether this was not yet said of the file as it is.
    fn is_news(&mut self, file: &LocalFile) -> bool {
        let stamp: Option<Stamp> = self.told.insert(file.key.clone(), file.stamp);
        stamp != Some(file.stamp)
    }

    fn tell(&self, report: &CycleReport, took: Duration) {
        let CycleReport {
            found,
            uploaded,
            bytes,
            present,
            unsettled,
            damaged,
            failed,
            ..
        } = report;
        let (cluster, duration_ms) = (&self.cluster, took.as_millis());
        if let Some(holder) = &report.other {
            tracing::error!(
                cluster,
                %holder,
                "another pusher claims this cluster id, so nothing is uploaded from here; if it is another cluster, \
                 give one of them a certificate of its own"
            );
        } else if let Some(error) = &report.broken_off {
            tracing::warn!(
                cluster,
                found,
                uploaded,
                bytes,
                unsettled,
                damaged,
                failed,
                duration_ms,
                error,
                "a cycle broke off"
            );
        } else if uploaded + present + damaged + failed > 0 {
            tracing::info!(
                cluster,
                found,
                uploaded,
                bytes,
                present,
                unsettled,
                damaged,
                failed,
                duration_ms,
                "cycle"
            );
        } else {
            tracing::debug!(cluster, found, unsettled, duration_ms, "nothing new");
        }
    }
}
