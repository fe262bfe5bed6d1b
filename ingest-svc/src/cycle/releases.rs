//! Publishing releases, returning to them, and clearing them away.

use chrono::{DateTime, TimeDelta, Utc};
use lake::{Cleared, LONGEST_CYCLE, LakeError, NewRelease, PublishedRelease, TableName, TableState};
use tracing::info;

use super::{CycleError, Ingest, load::Released, versions};
use crate::steps::Step;

impl Ingest {
    /// The number of the newest release on record, where there is no pointer that tells. After a pointer was deleted,
    /// numbers go on from there.
    pub(super) async fn highest_record(&self, previous: Option<&PublishedRelease>) -> Result<u64, CycleError> {
        match previous {
            Some(_) => Ok(0),
            None => Ok(self.lake.recorded_releases().await?.last().copied().unwrap_or(0)),
        }
    }

    pub(super) async fn publish(
        &self,
        previous: Option<&PublishedRelease>,
        new: NewRelease,
        now: DateTime<Utc>,
    ) -> Result<PublishedRelease, CycleError> {
        let release = self.lake.publish_release(previous, new, now).await?;
        self.step(Step::Published).await?;
        self.lake.record_release(&release.release).await?;
        self.step(Step::Recorded).await?;
        info!(
            release = release.release.number,
            rows = release.release.rows,
            "published"
        );
        Ok(release)
    }

    /// Tells whoever asks what is released.
    pub(super) fn show(&self, released: &Released) {
        self.status.update(|status| {
            status.release = released.release.as_ref().map(|published| published.release.clone());
            status.files_set_aside = released.files.values().filter(|file| file.error.is_some()).count() as u64;
            status.files = std::sync::Arc::clone(&released.files);
        });
    }

    /// Clears away what no release names any more, now and then.
    pub(super) async fn keep_up(&mut self, released: &Released, now: DateTime<Utc>) -> Result<(), CycleError> {
        if self.last_upkeep.is_some_and(|last| now - last <= super::UPKEEP) {
            return Ok(());
        }
        let Some(newest) = &released.release else { return Ok(()) };
        let pinned = match self.lake.load_pin().await? {
            Some(pin) => self.lake.recorded_release(pin.number).await?,
            None => None,
        };
        let kept = TimeDelta::from_std(self.settings.keep_releases).unwrap_or(TimeDelta::MAX);
        // A data file that no release names may be of a writer that is about to publish it.
        let before = now
            .checked_sub_signed(kept.max(LONGEST_CYCLE))
            .unwrap_or(DateTime::UNIX_EPOCH);
        let Cleared { releases, files, bytes } = self.lake.vacuum(&newest.release, pinned.as_ref(), before).await?;
        if (releases, files) != (0, 0) {
            info!(releases, files, bytes, "cleared away what no release names any more");
        }
        self.status.update(|status| status.bytes_cleared += bytes);
        self.last_upkeep = Some(now);
        self.step(Step::Cleared).await
    }

    /// Publishes a release with the tables of an older one. The next cycle goes on from there: it reads again what has
    /// changed in the bucket since.
    pub(crate) async fn roll_back(&mut self, number: u64, now: DateTime<Utc>) -> Result<u64, CycleError> {
        let target = self.lake.recorded_release(number).await?;
        let target = target.ok_or(LakeError::NoSuchRelease { number })?;
        let token = self.lease.take(now).await?;
        let done = self.point_back(&target, token, now).await;
        if !matches!(done, Err(CycleError::Ended(_))) {
            self.lease.give_up(now).await;
        }
        // Loaded anew, with all that the older release knew.
        self.released = None;
        let release = done?;
        self.status
            .update(|status| status.release = Some(release.release.clone()));
        Ok(release.release.number)
    }

    async fn point_back(
        &self,
        target: &lake::Release,
        token: u64,
        now: DateTime<Utc>,
    ) -> Result<PublishedRelease, CycleError> {
        let newest = self.lake.load_release().await?;
        let newest = match &newest {
            Some(newest) => Some(self.lake.fence(newest, token).await?),
            None => None,
        };
        let mut tables = std::collections::BTreeMap::new();
        for name in TableName::ALL {
            let state = match target.tables.get(&name) {
                Some(table) => self.lake.table_at(name, table.version).await?,
                None => TableState::empty(name),
            };
            // A commit of its own, so that whoever reads the tables without the release sees the same.
            tables.insert(name, self.lake.commit(name, state.files, now).await?);
            self.step(Step::TableCommitted).await?;
        }
        self.step(Step::AllCommitted).await?;
        let new = NewRelease {
            tables: versions(&tables),
            writer: token,
            above: self.highest_record(newest.as_ref()).await?,
            rolled_back_to: Some(target.number),
        };
        self.publish(newest.as_ref(), new, now).await
    }
}
