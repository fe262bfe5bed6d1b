//! Clearing away data files that no release names any more, and noticing those that are gone too early.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, TimeDelta, Utc};
use deltalake_core::DeltaTable;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use object_store::{ObjectMeta, ObjectStore as _, path::Path};

use crate::{DataFile, Lake, LakeError, Release, TableName, TableState};

/// Name of the folder of a table's log.
const LOG: &str = "_delta_log";

/// From the start of a writer's cycle to what it publishes, at most.
pub const LONGEST_CYCLE: TimeDelta = TimeDelta::hours(1);

/// What was cleared away.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cleared {
    /// Releases that can no longer be returned to.
    pub releases: u64,
    /// Data files.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// The data files that a table has in the bucket, named by any version of it or by none.
#[derive(Debug, Default)]
pub struct DataObjects(HashMap<Path, ObjectMeta>);

impl DataObjects {
    /// Which of a table's files are not there, or not of the size that they were written with.
    pub fn damaged<'a>(&self, lake: &Lake, table: &'a TableState) -> Vec<&'a DataFile> {
        let is_damaged = |file: &&DataFile| {
            let found = self.0.get(&lake.data_file_path(table.name, file));
            found.is_none_or(|meta| meta.size != file.size)
        };
        table.files.iter().filter(is_damaged).collect()
    }
}

impl Lake {
    /// Lists a table's data files.
    pub async fn data_objects(&self, table: TableName) -> Result<DataObjects, LakeError> {
        let folder = table.path();
        let log = folder.clone().join(LOG);
        let objects = self
            .store
            .list(Some(&folder))
            .try_filter(|meta| std::future::ready(!meta.location.prefix_matches(&log)))
            .map_ok(|meta| (meta.location.clone(), meta))
            .try_collect()
            .await
            .map_err(LakeError::store(&folder))?;
        Ok(DataObjects(objects))
    }

    /// Clears away what is older than `before` and what nobody can ask for any more: releases on record but the newest
    /// and the pinned one, and data files that neither these, nor any release that is kept, name.
    ///
    /// A file that no commit ever named is of a writer that was killed, or of one that is still at work: it goes once
    /// it is older than `before`. So `before` must leave a writer the time to publish.
    pub async fn vacuum(
        &self,
        newest: &Release,
        pinned: Option<&Release>,
        before: DateTime<Utc>,
    ) -> Result<Cleared, LakeError> {
        let mut cleared = Cleared::default();
        let is_kept = |number| number == newest.number || pinned.is_some_and(|pinned| pinned.number == number);
        // A release ends when the next one is published; it is asked for until then.
        let numbers = self.recorded_releases().await?;
        let mut oldest: Option<DateTime<Utc>> = None;
        for pair in numbers.windows(2).rev() {
            let &[number, next] = pair else { continue };
            let ended = match self.recorded_release(next).await? {
                Some(next) => next.published,
                None => continue,
            };
            if ended >= before {
                if let Some(release) = self.recorded_release(number).await? {
                    oldest = Some(oldest.map_or(release.published, |oldest| oldest.min(release.published)));
                }
                continue;
            }
            for &number in numbers.iter().filter(|older| **older <= number && !is_kept(**older)) {
                self.forget_release(number).await?;
                cleared.releases += 1;
            }
            break;
        }
        // Files of older releases that are kept are known by when they left. A writer that had lost the right to publish
        // may have taken them out between the commit that added them and the release that names them, by its own clock.
        let left_before = oldest.map_or(before, |oldest| {
            let began = oldest.checked_sub_signed(LONGEST_CYCLE);
            before.min(began.unwrap_or(DateTime::UNIX_EPOCH))
        });
        for table in TableName::ALL {
            let (files, bytes) = self.vacuum_table(table, newest, pinned, left_before).await?;
            cleared.files += files;
            cleared.bytes += bytes;
        }
        Ok(cleared)
    }

    async fn vacuum_table(
        &self,
        name: TableName,
        newest: &Release,
        pinned: Option<&Release>,
        before: DateTime<Utc>,
    ) -> Result<(u64, u64), LakeError> {
        let objects = self.data_objects(name).await?;
        let mut needed = HashSet::new();
        for release in pinned.into_iter().chain([newest]) {
            if let Some(version) = release.tables.get(&name) {
                let state = self.table_at(name, version.version).await?;
                needed.extend(state.files.iter().map(|file| self.data_file_path(name, file)));
            }
        }
        let taken_out = match newest.tables.get(&name) {
            Some(version) => self.taken_out(name, version.version).await?,
            None => HashMap::new(),
        };
        let is_cleared = |meta: &&ObjectMeta| {
            let since = taken_out.get(&meta.location).copied().unwrap_or(meta.last_modified);
            !needed.contains(&meta.location) && since < before && meta.last_modified < before
        };
        let unneeded: Vec<&ObjectMeta> = objects.0.values().filter(is_cleared).collect();
        let sizes = (unneeded.len() as u64, unneeded.iter().map(|meta| meta.size).sum());
        let paths: Vec<_> = unneeded.into_iter().map(|meta| Ok(meta.location.clone())).collect();
        let folder = name.path();
        self.store
            .delete_stream(stream::iter(paths).boxed())
            .try_for_each(|_| std::future::ready(Ok(())))
            .await
            .map_err(LakeError::store(&folder))?;
        Ok(sizes)
    }

    /// When which files last left a table, as far as its log still knows at this version.
    async fn taken_out(&self, name: TableName, version: u64) -> Result<HashMap<Path, DateTime<Utc>>, LakeError> {
        let mut table = DeltaTable::new(self.log_store(name)?);
        table.load_version(version).await.map_err(LakeError::table(name))?;
        let log_store = table.log_store();
        let state = table.snapshot().map_err(LakeError::table(name))?;
        let folder = name.path();
        let tombstones: Vec<_> = state
            .all_tombstones(log_store.as_ref())
            .try_collect()
            .await
            .map_err(LakeError::table(name))?;
        let mut times: HashMap<Path, DateTime<Utc>> = HashMap::new();
        for tombstone in &tombstones {
            let path = Path::from_iter(folder.parts().chain(Path::from(tombstone.path().as_ref()).parts()));
            let time = tombstone.deletion_timestamp().and_then(DateTime::from_timestamp_millis);
            if let Some(time) = time {
                // A file may have left, come back and left again: the log has a tombstone for each time.
                let last = times.entry(path).or_insert(time);
                *last = time.max(*last);
            }
        }
        Ok(times)
    }
}
