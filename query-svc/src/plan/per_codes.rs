//! Functions of the codes of a row, computed once for each combination of codes.

use std::sync::{Mutex, PoisonError};

use arrow::{
    array::{ArrayRef, AsArray as _},
    datatypes::UInt32Type,
};
use cost_plan::dictionary::{Code, EMPTY};
use datafusion::{
    common::{Result, exec_err},
    logical_expr::{ColumnarValue, ScalarFunctionArgs},
};
use rustc_hash::FxHashMap;

/// The most columns that one function is computed from.
const MOST_COLUMNS: usize = 4;

type Codes = [Code; MOST_COLUMNS];

/// What a function gave for the codes that were seen.
#[derive(Default)]
pub(crate) struct PerCodes<T>(Mutex<FxHashMap<Codes, T>>);

impl<T: Copy> PerCodes<T> {
    /// The value of each row. `compute` is called for combinations that were not seen before.
    pub(crate) fn values(&self, columns: &[&[Code]], rows: usize, compute: impl Fn(&[Code]) -> T) -> Vec<T> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Rows next to each other often have the same codes.
        let mut last: Option<(Codes, T)> = None;
        let value = |row: usize| {
            let mut codes = [EMPTY; MOST_COLUMNS];
            for (code, column) in codes.iter_mut().zip(columns) {
                *code = column[row];
            }
            match last {
                Some((same, value)) if same == codes => value,
                _ => {
                    let own = columns.len().min(MOST_COLUMNS);
                    let value = *known.entry(codes).or_insert_with(|| compute(&codes[..own]));
                    last = Some((codes, value));
                    value
                }
            }
        };
        (0..rows).map(value).collect()
    }
}

/// The arguments of a function of codes.
pub(crate) struct CodeArguments(Vec<ArrayRef>);

impl CodeArguments {
    /// For a function that looks at all of them at once.
    ///
    /// # Errors
    /// When an argument is no column of codes, or there are more than can be told apart.
    pub(crate) fn new(function: &str, arguments: &ScalarFunctionArgs) -> Result<Self> {
        let codes = Self::any_number(function, arguments)?;
        if codes.0.len() > MOST_COLUMNS {
            return exec_err!("{function} takes up to {MOST_COLUMNS} columns of codes");
        }
        Ok(codes)
    }

    /// For a function that looks at a few of them at once.
    ///
    /// # Errors
    /// When an argument is no column of codes.
    pub(crate) fn any_number(function: &str, arguments: &ScalarFunctionArgs) -> Result<Self> {
        let arrays = ColumnarValue::values_to_arrays(&arguments.args)?;
        let are_codes = arrays
            .iter()
            .all(|array| array.as_primitive_opt::<UInt32Type>().is_some());
        if !are_codes {
            return exec_err!("{function} takes columns of codes");
        }
        Ok(Self(arrays))
    }

    pub(crate) fn columns(&self) -> Vec<&[Code]> {
        let codes = self.0.iter().filter_map(|array| array.as_primitive_opt::<UInt32Type>());
        codes.map(|codes| codes.values().as_ref()).collect()
    }
}
