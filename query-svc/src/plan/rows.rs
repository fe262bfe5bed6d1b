//! Columns that are computed from a row.

use std::{
    hash::{Hash, Hasher},
    sync::Arc,
};

use arrow::{
    array::{AsArray as _, UInt32Array},
    datatypes::{DataType, TimestampMicrosecondType},
};
use datafusion::{
    common::{Result, exec_err},
    logical_expr::{ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility},
};

/// The number of the set that a time falls into, of sets that start at `starts` (microseconds, ascending). A time
/// before the first falls into the first.
pub(super) fn set_of(time: Expr, starts: Vec<i64>) -> Expr {
    ScalarUDF::new_from_impl(SetOf {
        starts,
        signature: Signature::any(1, Volatility::Immutable),
    })
    .call(vec![time])
}

#[derive(Debug, PartialEq, Eq)]
struct SetOf {
    starts: Vec<i64>,
    signature: Signature,
}

impl Hash for SetOf {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.starts.hash(state);
    }
}

impl ScalarUDFImpl for SetOf {
    fn name(&self) -> &str {
        "set_of"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::UInt32)
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let values = ColumnarValue::values_to_arrays(&arguments.args)?;
        let Some(times) = values
            .first()
            .and_then(|array| array.as_primitive_opt::<TimestampMicrosecondType>())
        else {
            return exec_err!("set_of takes a timestamp in microseconds");
        };
        let set = |time: i64| self.starts.partition_point(|start| *start <= time).saturating_sub(1) as u32;
        // Rows of one window are next to each other.
        let mut last = (i64::MIN, 0);
        let sets = times.values().iter().map(|time| {
            if *time != last.0 {
                last = (*time, set(*time));
            }
            last.1
        });
        let sets = UInt32Array::from_iter_values(sets);
        Ok(ColumnarValue::Array(Arc::new(sets)))
    }
}
