//! Writing and reading data files.

use arrow::array::RecordBatch;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use object_store::ObjectStoreExt as _;
use parquet::{
    arrow::{ArrowWriter, arrow_reader::ParquetRecordBatchReaderBuilder},
    basic::{Compression, ZstdLevel},
    errors::ParquetError,
    file::properties::{EnabledStatistics, WriterProperties},
};
use uuid::Uuid;

use crate::{DataFile, Lake, LakeError, Partition, TableName};

/// Rows in a row group: small enough that a reader which wants one cluster skips most of a day.
const ROW_GROUP_ROWS: usize = 64 * 1024;

impl Lake {
    /// Writes rows of one partition as one file, and returns what a commit needs to know of it. The rows must be
    /// in order of their federated cluster; `clusters` names the first and the last. Memory: the encoded file.
    pub async fn write_file(
        &self,
        table: TableName,
        partition: Partition,
        clusters: (String, String),
        batches: Vec<RecordBatch>,
        now: DateTime<Utc>,
    ) -> Result<DataFile, LakeError> {
        let rows = batches.iter().map(|batch| batch.num_rows() as u64).sum();
        let bytes = tokio::task::spawn_blocking(move || encode(table, &batches))
            .await
            .map_err(|source| LakeError::Task { table, source })?
            .map_err(|source| LakeError::Parquet { table, source })?;
        let mut file = DataFile {
            path: format!("{partition}/{}.parquet", Uuid::now_v7()),
            size: bytes.len() as u64,
            written: now,
            partition,
            rows,
            clusters,
        };
        // The log keeps milliseconds; a file must be equal to itself when it is read back from there.
        file.written = DateTime::from_timestamp_millis(now.timestamp_millis()).unwrap_or(now);
        self.put(table, &file, bytes).await?;
        Ok(file)
    }

    async fn put(&self, table: TableName, file: &DataFile, bytes: Bytes) -> Result<(), LakeError> {
        let path = self.data_file_path(table, file);
        self.store
            .put(&path, bytes.into())
            .await
            .map(|_| ())
            .map_err(LakeError::store(&path))
    }

    /// Reads all rows of a file.
    pub async fn read_file(&self, table: TableName, file: &DataFile) -> Result<Vec<RecordBatch>, LakeError> {
        let bytes = self.fetch_file(table, file).await?;
        tokio::task::spawn_blocking(move || decode_file(table, bytes, ROW_GROUP_ROWS)?.collect())
            .await
            .map_err(|source| LakeError::Task { table, source })?
    }

    /// Reads a file as it is stored. For [`decode_file`].
    pub async fn fetch_file(&self, table: TableName, file: &DataFile) -> Result<Bytes, LakeError> {
        let path = self.data_file_path(table, file);
        let get = async { self.store.get(&path).await?.bytes().await };
        get.await.map_err(LakeError::store(&path))
    }
}

/// Reads a file that is in memory, so many rows at a time. Each batch takes a while.
pub fn decode_file(
    table: TableName,
    bytes: Bytes,
    batch_rows: usize,
) -> Result<impl Iterator<Item = Result<RecordBatch, LakeError>>, LakeError> {
    let failed = move |source| LakeError::Parquet { table, source };
    let reader = ParquetRecordBatchReaderBuilder::try_new(bytes)
        .and_then(|reader| reader.with_batch_size(batch_rows).build())
        .map_err(failed)?;
    Ok(reader.map(move |batch| batch.map_err(|error| failed(error.into()))))
}

fn encode(table: TableName, batches: &[RecordBatch]) -> Result<Bytes, ParquetError> {
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(1)?))
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .build();
    let mut writer = ArrowWriter::try_new(Vec::new(), table.schema(), Some(properties))?;
    for batch in batches {
        writer.write(batch)?;
    }
    writer.into_inner().map(Bytes::from)
}
