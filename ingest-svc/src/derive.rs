//! Deriving the fast tables from base rows.

use std::sync::Arc;

use arrow::{array::RecordBatch, compute::cast, error::ArrowError};
use cost_plan::aggregate::{self, CONTROLLER_KEYS};
use datafusion::{datasource::MemTable, error::DataFusionError, logical_expr::col, prelude::SessionContext};
use lake::{TableName, schema::allocations};

/// Adds up allocation rows by controller, in order of their federated clusters. The rows may be of several windows;
/// rows of different files are never added up, so that a file's part can be replaced on its own.
pub(crate) async fn by_controller(
    session: &SessionContext,
    rows: Vec<RecordBatch>,
) -> Result<Vec<RecordBatch>, DataFusionError> {
    let table = TableName::AllocationsByController;
    let input = MemTable::try_new(TableName::Allocations.schema(), vec![rows])?;
    let input = session.read_table(Arc::new(input))?;
    let derived = aggregate::allocations(input, CONTROLLER_KEYS.map(col).to_vec())?
        .sort(vec![col(allocations::FEDERATED_CLUSTER).sort(true, false)])?
        .collect()
        .await?;
    derived
        .into_iter()
        .map(|batch| in_order_of(table, &batch).map_err(DataFusionError::from))
        .collect()
}

/// The columns in the table's order, under its exact types.
fn in_order_of(table: TableName, batch: &RecordBatch) -> Result<RecordBatch, ArrowError> {
    let schema = table.schema();
    let columns = schema
        .fields()
        .iter()
        .map(|field| {
            let column = batch
                .column_by_name(field.name())
                .ok_or_else(|| ArrowError::SchemaError(format!("column {} was not derived", field.name())))?;
            if column.data_type() == field.data_type() {
                Ok(Arc::clone(column))
            } else {
                cast(column, field.data_type())
            }
        })
        .collect::<Result<Vec<_>, ArrowError>>()?;
    RecordBatch::try_new(schema, columns)
}
