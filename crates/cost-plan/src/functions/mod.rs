//! Functions that the plans need and DataFusion does not have. They work on coded tables.

mod codes;
mod entries;
mod only;
mod steady;

use std::{
    fmt,
    hash::{Hash, Hasher},
    mem::size_of_val,
    sync::Arc,
};

use arrow::{
    array::{ArrayRef, BooleanArray},
    datatypes::{DataType, FieldRef},
};
use datafusion::{
    common::{Result, ScalarValue},
    logical_expr::{
        Accumulator, AggregateUDF, AggregateUDFImpl, EmitTo, Expr, GroupsAccumulator, Signature, Volatility,
        function::{AccumulatorArgs, StateFieldsArgs},
    },
};

pub use steady::steady_controller;

use crate::dictionary::Dictionary;

/// The code that all rows of a group agree on, [`EMPTY`](crate::dictionary::EMPTY) when they do not.
pub fn agree(column: Expr) -> Expr {
    Merge::Agree.call(column)
}

/// The code of any row of a group that has one.
pub fn any_code(column: Expr) -> Expr {
    Merge::Any.call(column)
}

/// The code of a group's only row, [`EMPTY`](crate::dictionary::EMPTY) when the group has more rows.
pub fn only_code(column: Expr) -> Expr {
    Merge::OnlyCode.call(column)
}

/// The number of a group's only row, null when the group has more rows.
pub fn only_number(column: Expr) -> Expr {
    Merge::OnlyNumber.call(column)
}

/// The entries of lists of structs, merged by their first `key_fields` fields, which are codes: numbers are added up,
/// of other fields the first is taken.
pub fn merge_entries(column: Expr, key_fields: usize) -> Expr {
    Merge::Entries { key_fields }.call(column)
}

/// The map of the entries that all maps of a group have in common. Of codes of maps; nulls do not count.
pub fn common_entries(column: Expr, dictionary: &Arc<Dictionary>) -> Expr {
    Merge::Common(SameDictionary(Arc::clone(dictionary))).call(column)
}

/// An aggregate function whose input, state and result are of one type, and that merges states as it does rows.
/// That is what makes derived tables possible: an aggregate of aggregates is the aggregate of all their members.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Merge {
    Agree,
    Any,
    OnlyCode,
    OnlyNumber,
    Entries { key_fields: usize },
    Common(SameDictionary),
}

/// A dictionary is equal to itself only.
#[derive(Clone, Debug)]
struct SameDictionary(Arc<Dictionary>);

impl PartialEq for SameDictionary {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for SameDictionary {}

impl Hash for SameDictionary {
    fn hash<H: Hasher>(&self, state: &mut H) {
        Arc::as_ptr(&self.0).hash(state);
    }
}

/// What [`Merge`] keeps per group.
trait MergeState: Send + Sync + fmt::Debug {
    /// Merges rows into their groups. `groups[i]` is the group of row `i`; all are below `total`.
    fn merge(&mut self, values: &ArrayRef, groups: &[usize], total: usize) -> Result<()>;

    /// Returns the values of the first groups and forgets them. A group that no row said anything about is null.
    fn emit(&mut self, emit_to: EmitTo) -> Result<ArrayRef>;

    /// Bytes held.
    fn size(&self) -> usize;
}

impl Merge {
    fn call(self, column: Expr) -> Expr {
        AggregateUDF::new_from_impl(MergeFunction::new(self)).call(vec![column])
    }

    fn state(&self, data_type: &DataType) -> Result<Box<dyn MergeState>> {
        Ok(match self {
            Self::Agree => Box::new(codes::Codes::new(codes::agree)),
            Self::Any => Box::new(codes::Codes::new(codes::any)),
            Self::OnlyCode => Box::new(codes::Codes::new(codes::only)),
            Self::OnlyNumber => Box::new(only::OnlyNumbers::default()),
            Self::Entries { key_fields } => Box::new(entries::MergedEntries::new(data_type, *key_fields)?),
            Self::Common(dictionary) => Box::new(codes::CommonEntries::new(Arc::clone(&dictionary.0))),
        })
    }

    fn name(&self) -> &'static str {
        match self {
            Self::Agree => "agree",
            Self::Any => "any_code",
            Self::OnlyCode => "only_code",
            Self::OnlyNumber => "only_number",
            Self::Entries { .. } => "merge_entries",
            Self::Common(_) => "common_entries",
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
struct MergeFunction {
    merge: Merge,
    signature: Signature,
}

impl Hash for MergeFunction {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.merge.hash(state);
    }
}

impl MergeFunction {
    fn new(merge: Merge) -> Self {
        Self {
            merge,
            signature: Signature::any(1, Volatility::Immutable),
        }
    }
}

impl AggregateUDFImpl for MergeFunction {
    fn name(&self) -> &str {
        self.merge.name()
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        Ok(arguments[0].clone())
    }

    fn state_fields(&self, arguments: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        Ok(vec![Arc::new(
            arguments
                .return_field
                .as_ref()
                .clone()
                .with_name(format!("{}[state]", arguments.name))
                .with_nullable(true),
        )])
    }

    fn accumulator(&self, arguments: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        let state = self.merge.state(arguments.return_field.data_type())?;
        Ok(Box::new(OneGroup(MergeAccumulator { state })))
    }

    fn groups_accumulator_supported(&self, _: AccumulatorArgs) -> bool {
        true
    }

    fn create_groups_accumulator(&self, arguments: AccumulatorArgs) -> Result<Box<dyn GroupsAccumulator>> {
        let state = self.merge.state(arguments.return_field.data_type())?;
        Ok(Box::new(MergeAccumulator { state }))
    }
}

#[derive(Debug)]
struct MergeAccumulator {
    state: Box<dyn MergeState>,
}

impl MergeAccumulator {
    fn merge(
        &mut self,
        values: &[ArrayRef],
        groups: &[usize],
        filter: Option<&BooleanArray>,
        total: usize,
    ) -> Result<()> {
        let Some(filter) = filter else {
            return self.state.merge(&values[0], groups, total);
        };
        let kept = arrow::compute::filter(&values[0], filter)?;
        let groups: Vec<usize> = groups
            .iter()
            .zip(filter)
            .filter(|(_, keep)| *keep == Some(true))
            .map(|(group, _)| *group)
            .collect();
        self.state.merge(&kept, &groups, total)
    }
}

impl GroupsAccumulator for MergeAccumulator {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        groups: &[usize],
        filter: Option<&BooleanArray>,
        total: usize,
    ) -> Result<()> {
        self.merge(values, groups, filter, total)
    }

    fn evaluate(&mut self, emit_to: EmitTo) -> Result<ArrayRef> {
        self.state.emit(emit_to)
    }

    fn state(&mut self, emit_to: EmitTo) -> Result<Vec<ArrayRef>> {
        Ok(vec![self.state.emit(emit_to)?])
    }

    fn merge_batch(&mut self, values: &[ArrayRef], groups: &[usize], total: usize) -> Result<()> {
        self.merge(values, groups, None, total)
    }

    fn convert_to_state(&self, values: &[ArrayRef], filter: Option<&BooleanArray>) -> Result<Vec<ArrayRef>> {
        let value = match filter {
            // A row that the filter drops contributes no state.
            Some(filter) => arrow::compute::nullif(&values[0], &arrow::compute::not(filter)?)?,
            None => Arc::clone(&values[0]),
        };
        Ok(vec![value])
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.state.size()
    }
}

/// A plan without groups, which DataFusion makes of a grouping by constants.
#[derive(Debug)]
struct OneGroup(MergeAccumulator);

impl Accumulator for OneGroup {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let groups = vec![0; values[0].len()];
        self.0.merge(values, &groups, None, 1)
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        self.update_batch(states)
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        // Without a row there was no call that made the group.
        let no_rows = self.0.state.emit(EmitTo::First(0))?;
        self.0.state.merge(&no_rows, &[], 1)?;
        ScalarValue::try_from_array(&self.0.state.emit(EmitTo::All)?, 0)
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        Ok(vec![self.evaluate()?])
    }

    fn size(&self) -> usize {
        self.0.size()
    }
}
