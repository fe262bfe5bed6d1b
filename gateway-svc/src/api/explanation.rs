//! How a question was answered, for whoever asks with `explain=true`.

use fedcost_proto::query::v1 as proto;
use serde::Serialize;
use utoipa::ToSchema;

/// How a question was answered.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Explanation<'a> {
    /// Number of the release that was asked.
    release: u64,
    /// Microseconds from question to answer, within query-svc.
    elapsed_micros: u64,
    /// The tables that were read.
    tables: Vec<Table<'a>>,
    /// The plans, as DataFusion writes them.
    plans: &'a [String],
}

/// What was read of a table.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Table<'a> {
    /// Name of the table.
    name: &'a str,
    /// Data files whose days and clusters are asked about.
    files: u64,
    /// Of these, the ones that were not in memory.
    files_read: u64,
    /// Bytes of those.
    bytes_read: u64,
    /// Rows in the files.
    rows: u64,
    /// Why this table and no smaller one.
    reason: &'a str,
}

impl<'a> Explanation<'a> {
    pub(crate) fn of(message: &'a proto::Explanation) -> Self {
        Self {
            release: message.release,
            elapsed_micros: message.elapsed_micros,
            tables: message
                .scans
                .iter()
                .map(|scan| Table {
                    name: &scan.table,
                    files: scan.files,
                    files_read: scan.files_read,
                    bytes_read: scan.bytes_read,
                    rows: scan.rows,
                    reason: &scan.reason,
                })
                .collect(),
            plans: &message.plans,
        }
    }
}
