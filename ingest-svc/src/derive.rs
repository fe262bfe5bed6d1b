//! Deriving the fast tables from base rows.

use std::sync::Arc;

use arrow::array::RecordBatch;
use cost_plan::{
    aggregate::{self, Input, derived_keys},
    coded,
    dictionary::Dictionary,
};
use datafusion::{datasource::MemTable, error::DataFusionError, logical_expr::col, prelude::SessionContext};
use lake::{TableName, schema::allocations};

/// New rows of a base table, in coded form.
pub(crate) struct BaseRows {
    base: TableName,
    dictionary: Arc<Dictionary>,
    batches: Vec<RecordBatch>,
}

impl BaseRows {
    pub(crate) fn new(base: TableName, rows: &[RecordBatch]) -> Result<Self, DataFusionError> {
        let dictionary = Arc::new(Dictionary::default());
        let batches = rows.iter().map(|batch| coded::encode(batch, &dictionary));
        Ok(Self {
            base,
            batches: batches.collect::<Result<_, _>>()?,
            dictionary,
        })
    }

    /// Adds the rows up to those of a derived table, in order of their federated clusters. The rows may be of several
    /// windows; rows of different files are never added up.
    pub(crate) async fn derive(
        &self,
        session: &SessionContext,
        derived: TableName,
    ) -> Result<Vec<RecordBatch>, DataFusionError> {
        let keys = derived_keys(derived).unwrap_or_default().into_iter().map(col).collect();
        let rows = MemTable::try_new(coded::schema(&self.base.schema()), vec![self.batches.clone()])?;
        let rows = session.read_table(Arc::new(rows))?;
        let input = Input::new(Arc::clone(&self.dictionary));
        let added_up = match self.base {
            TableName::Assets => aggregate::assets(rows, keys, &input)?,
            _ => aggregate::allocations(rows, keys, &input)?,
        };
        let schema = derived.schema();
        let mut decoded = Vec::new();
        for batch in added_up.collect().await? {
            decoded.push(coded::decode(&batch, &schema, &self.dictionary)?);
        }
        in_order_of_clusters(decoded)
    }
}

fn in_order_of_clusters(batches: Vec<RecordBatch>) -> Result<Vec<RecordBatch>, DataFusionError> {
    let Some(first) = batches.first() else {
        return Ok(batches);
    };
    let all = arrow::compute::concat_batches(&first.schema(), &batches)?;
    let clusters = all.column_by_name(allocations::FEDERATED_CLUSTER);
    let clusters = clusters.ok_or_else(|| DataFusionError::Internal("derived rows are of no cluster".to_owned()))?;
    let order = arrow::compute::sort_to_indices(clusters, None, None)?;
    Ok(vec![arrow::compute::take_record_batch(&all, &order)?])
}
