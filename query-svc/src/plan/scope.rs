//! Rows that a caller may see.

use std::{
    fmt,
    hash::{Hash, Hasher},
    sync::Arc,
};

use arrow::{array::BooleanArray, datatypes::DataType};
use cost_model::Scope;
use cost_plan::dictionary::{Code, Dictionary};
use datafusion::{
    common::Result,
    logical_expr::{ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility, col},
};
use lake::{TableName, schema::allocations};

use super::per_codes::{CodeArguments, PerCodes};

/// By which columns a row is seen or not: whose file it is of, which cluster it names, and its namespace.
const ALLOCATIONS: [&str; 3] = [allocations::FEDERATED_CLUSTER, "cluster", "namespace"];
/// Where namespaces need not be told apart, and for assets, which have none.
const CLUSTERS: &[&str] = &[allocations::FEDERATED_CLUSTER, "cluster"];

/// Which rows of a table, or those derived from it, are seen.
#[derive(Clone, Debug)]
pub(super) struct Rows {
    scope: Scope,
    columns: &'static [&'static str],
    assets: bool,
}

impl Rows {
    pub(super) fn new(scope: &Scope, base: TableName) -> Self {
        let assets = base != TableName::Allocations;
        let columns: &[&str] = match scope {
            Scope::Everything => &[],
            _ if assets || !scope.tells_namespaces() => CLUSTERS,
            _ => &ALLOCATIONS,
        };
        Self {
            scope: scope.clone(),
            columns,
            assets,
        }
    }

    /// The columns that must be told apart.
    pub(super) fn columns(&self) -> impl Iterator<Item = &'static str> + use<> {
        self.columns.iter().copied()
    }

    /// False only if no row that names this cluster is seen.
    pub(super) fn may_hold_cluster(&self, cluster: &str) -> bool {
        if self.assets {
            self.scope.sees_whole_cluster(cluster)
        } else {
            self.scope.sees_of_cluster(cluster)
        }
    }

    /// Whether a row is seen; none when all are.
    pub(super) fn seen(&self, dictionary: &Arc<Dictionary>) -> Option<Expr> {
        if self.scope.is_everything() {
            return None;
        }
        let function = ScalarUDF::new_from_impl(Seen {
            rows: self.clone(),
            dictionary: Arc::clone(dictionary),
            known: PerCodes::default(),
            signature: Signature::variadic_any(Volatility::Immutable),
        });
        Some(function.call(self.columns().map(col).collect()))
    }

    fn sees(&self, federated_cluster: &str, cluster: &str, namespace: &str) -> bool {
        // Where namespaces are not told apart, every grant is of all of them.
        if self.columns == CLUSTERS {
            self.scope.sees_asset(federated_cluster, cluster)
        } else {
            self.scope.sees_allocation(federated_cluster, cluster, namespace)
        }
    }
}

struct Seen {
    rows: Rows,
    dictionary: Arc<Dictionary>,
    known: PerCodes<bool>,
    signature: Signature,
}

impl fmt::Debug for Seen {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

impl PartialEq for Seen {
    fn eq(&self, other: &Self) -> bool {
        self.rows.scope == other.rows.scope
            && self.rows.columns == other.rows.columns
            && self.rows.assets == other.rows.assets
            && Arc::ptr_eq(&self.dictionary, &other.dictionary)
    }
}

impl Eq for Seen {}

impl Hash for Seen {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.rows.scope.hash(state);
        self.rows.assets.hash(state);
    }
}

impl Seen {
    fn compute(&self, codes: &[Code]) -> bool {
        let names = self.dictionary.read();
        let text = |index: usize| codes.get(index).map_or("", |code| names.text_of(*code));
        self.rows.sees(text(0), text(1), text(2))
    }
}

impl ScalarUDFImpl for Seen {
    fn name(&self) -> &'static str {
        "seen"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Boolean)
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let codes = CodeArguments::new(self.name(), &arguments)?;
        let seen = self
            .known
            .values(&codes.columns(), arguments.number_rows, |codes| self.compute(codes));
        Ok(ColumnarValue::Array(Arc::new(BooleanArray::from(seen))))
    }
}
