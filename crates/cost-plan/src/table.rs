//! The tables of a release as DataFusion sees them.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::{
    catalog::{Session, TableProvider},
    common::{Result, Statistics, ToDFSchema as _, stats::Precision},
    datasource::{
        listing::PartitionedFile,
        physical_plan::{FileGroup, FileScanConfigBuilder, ParquetSource, parquet::CachedParquetFileReaderFactory},
        source::DataSourceExec,
    },
    execution::{object_store::ObjectStoreUrl, runtime_env::RuntimeEnv},
    logical_expr::{Expr, TableProviderFilterPushDown, TableType, utils::conjunction},
    physical_plan::ExecutionPlan,
    prelude::{SessionConfig, SessionContext},
};
use lake::{DataFile, Lake, TableName};
use object_store::ObjectMeta;

/// Some files of a table. Which ones is decided by the caller, who knows what their partitions are.
#[derive(Debug)]
pub struct ReleasedFiles {
    schema: SchemaRef,
    files: Vec<ObjectMeta>,
    rows: u64,
}

impl ReleasedFiles {
    /// These files of a table.
    pub fn new<'a>(lake: &Lake, table: TableName, files: impl IntoIterator<Item = &'a DataFile>) -> Self {
        let mut rows = 0;
        let files = files
            .into_iter()
            .map(|file| {
                rows += file.rows;
                ObjectMeta {
                    location: lake.data_file_path(table, file),
                    last_modified: file.written,
                    size: file.size,
                    e_tag: None,
                    version: None,
                }
            })
            .collect();
        Self {
            schema: table.schema(),
            files,
            rows,
        }
    }
}

fn store_url() -> Result<ObjectStoreUrl> {
    ObjectStoreUrl::parse("fedcost://lake")
}

/// A session that reads this lake.
pub fn session(lake: &Lake, config: SessionConfig, runtime: Arc<RuntimeEnv>) -> Result<SessionContext> {
    let session = SessionContext::new_with_config_rt(config, runtime);
    session.register_object_store(store_url()?.as_ref(), Arc::clone(lake.store()));
    Ok(session)
}

#[async_trait]
impl TableProvider for ReleasedFiles {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        // Row groups are skipped by their statistics, single rows are not.
        Ok(vec![TableProviderFilterPushDown::Inexact; filters.len()])
    }

    fn statistics(&self) -> Option<Statistics> {
        let mut statistics = Statistics::new_unknown(&self.schema);
        statistics.num_rows = Precision::Exact(usize::try_from(self.rows).ok()?);
        Some(statistics)
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let url = store_url()?;
        let runtime = state.runtime_env();
        let readers = CachedParquetFileReaderFactory::new(
            runtime.object_store(&url)?,
            runtime.cache_manager.get_file_metadata_cache(),
        );
        let mut source =
            ParquetSource::new(Arc::clone(&self.schema)).with_parquet_file_reader_factory(Arc::new(readers));
        if let Some(filter) = conjunction(filters.iter().cloned()) {
            let schema = Arc::clone(&self.schema).to_dfschema()?;
            source = source.with_predicate(state.create_physical_expr(filter, &schema)?);
        }
        let files = FileGroup::new(self.files.iter().cloned().map(PartitionedFile::from).collect());
        let scan = FileScanConfigBuilder::new(url, Arc::new(source))
            .with_file_groups(files.split_files(state.config().target_partitions()))
            .with_projection_indices(projection.cloned())?
            .with_limit(limit)
            .build();
        Ok(DataSourceExec::from_data_source(scan))
    }
}
