//! Factors that depend on a row's window and on where it ran.

use std::{
    fmt,
    hash::{Hash, Hasher},
    sync::Arc,
};

use arrow::{
    array::{AsArray as _, Float64Array},
    datatypes::{DataType, TimestampMicrosecondType, UInt32Type},
};
use cost_plan::dictionary::{Code, EMPTY};
use datafusion::{
    common::{Result, exec_err},
    logical_expr::{ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility, col},
};
use lake::schema::allocations;
use rustc_hash::FxHashMap;

/// A window and a place: a cluster or a node of it. The window is its first microsecond.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(crate) window: i64,
    pub(crate) cluster: Code,
    pub(crate) node: Code,
}

/// How finely places are told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum PlaceKind {
    Cluster,
    Node,
}

impl PlaceKind {
    pub(crate) fn columns(self) -> &'static [&'static str] {
        match self {
            Self::Cluster => &["cluster"],
            Self::Node => &["cluster", "node"],
        }
    }
}

/// A number per place.
pub(crate) type Factors = FxHashMap<Place, f64>;

/// The factor of a row's place; 0 where there is none.
pub(crate) fn factor_of(kind: PlaceKind, factors: Factors) -> Expr {
    let columns = std::iter::once(allocations::WINDOW_START).chain(kind.columns().iter().copied());
    ScalarUDF::new_from_impl(FactorOf {
        factors: Arc::new(factors),
        signature: Signature::variadic_any(Volatility::Immutable),
    })
    .call(columns.map(col).collect())
}

struct FactorOf {
    factors: Arc<Factors>,
    signature: Signature,
}

impl fmt::Debug for FactorOf {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "factor_of[{} places]", self.factors.len())
    }
}

impl PartialEq for FactorOf {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.factors, &other.factors)
    }
}

impl Eq for FactorOf {}

impl Hash for FactorOf {
    fn hash<H: Hasher>(&self, state: &mut H) {
        Arc::as_ptr(&self.factors).hash(state);
    }
}

impl ScalarUDFImpl for FactorOf {
    fn name(&self) -> &'static str {
        "factor_of"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Float64)
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let arrays = ColumnarValue::values_to_arrays(&arguments.args)?;
        let windows = arrays
            .first()
            .and_then(|array| array.as_primitive_opt::<TimestampMicrosecondType>());
        let Some(windows) = windows else {
            return exec_err!("factor_of takes the start of a window and codes of a place");
        };
        let codes = |index: usize| {
            let array = arrays.get(index)?;
            Some(array.as_primitive_opt::<UInt32Type>()?.values().as_ref())
        };
        let (clusters, nodes): (Option<&[Code]>, Option<&[Code]>) = (codes(1), codes(2));
        // Rows of one place are often next to each other.
        let mut last: Option<(Place, f64)> = None;
        let factors = windows.values().iter().enumerate().map(|(row, window)| {
            let place = Place {
                window: *window,
                cluster: clusters.map_or(EMPTY, |codes| codes[row]),
                node: nodes.map_or(EMPTY, |codes| codes[row]),
            };
            match last {
                Some((same, factor)) if same == place => factor,
                _ => {
                    let factor = self.factors.get(&place).copied().unwrap_or_default();
                    last = Some((place, factor));
                    factor
                }
            }
        });
        Ok(ColumnarValue::Array(Arc::new(Float64Array::from_iter_values(factors))))
    }
}
