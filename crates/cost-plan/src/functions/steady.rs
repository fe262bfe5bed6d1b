//! An allocation's controller over time.

use std::{
    hash::{Hash, Hasher},
    mem::{size_of, size_of_val},
    sync::Arc,
};

use arrow::{
    array::{Array as _, ArrayRef, AsArray as _, BooleanArray, Int64Array, ListArray, StructArray, UInt32Array},
    buffer::OffsetBuffer,
    datatypes::{DataType, Field, FieldRef, Fields, Int64Type, TimestampMicrosecondType, UInt32Type},
};
use datafusion::{
    common::{Result, exec_err, not_impl_err},
    logical_expr::{
        Accumulator, AggregateUDF, AggregateUDFImpl, EmitTo, Expr, GroupsAccumulator, Signature, Volatility,
        function::{AccumulatorArgs, StateFieldsArgs},
    },
};

use crate::dictionary::{Code, EMPTY};

/// What names a container's place, and then its controller.
const NAMES: usize = 6;
/// The controller's place among them.
const CONTROLLER: usize = NAMES - 1;

/// The controller of allocations over time, of the start of each row's window, its cluster, node, namespace, pod,
/// container and controller.
///
/// Within a window it is what all rows agree on. From window to window, in their order, it is what both agree on too,
/// but for one case: while the other five names stay the same, a controller that one of the two lacks is taken from the
/// other, and of two different ones the earlier stays (OpenCost's `Allocation.add`).
pub fn steady_controller(window_start: Expr, names: [Expr; NAMES]) -> Expr {
    let arguments = std::iter::once(window_start).chain(names).collect();
    AggregateUDF::new_from_impl(SteadyController {
        signature: Signature::any(1 + NAMES, Volatility::Immutable),
    })
    .call(arguments)
}

#[derive(Debug, PartialEq, Eq)]
struct SteadyController {
    signature: Signature,
}

impl Hash for SteadyController {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name().hash(state);
    }
}

/// The state of a group as a column: its windows, each with the names that its rows agree on.
fn window_fields() -> Fields {
    let names = (0..NAMES).map(|name| Field::new(format!("name_{name}"), DataType::UInt32, false));
    std::iter::once(Field::new("window", DataType::Int64, false))
        .chain(names)
        .collect()
}

fn state_item() -> FieldRef {
    Arc::new(Field::new("item", DataType::Struct(window_fields()), false))
}

impl AggregateUDFImpl for SteadyController {
    fn name(&self) -> &'static str {
        "steady_controller"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::UInt32)
    }

    fn state_fields(&self, arguments: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        let name = format!("{}[state]", arguments.name);
        Ok(vec![Arc::new(Field::new(name, DataType::List(state_item()), true))])
    }

    fn accumulator(&self, _: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        not_impl_err!("steady_controller is for grouped rows")
    }

    fn groups_accumulator_supported(&self, _: AccumulatorArgs) -> bool {
        true
    }

    fn create_groups_accumulator(&self, _: AccumulatorArgs) -> Result<Box<dyn GroupsAccumulator>> {
        Ok(Box::<Controllers>::default())
    }
}

/// What the rows of a window agree on.
#[derive(Clone, Copy, Debug)]
struct Window {
    start: i64,
    names: [Code; NAMES],
}

impl Window {
    /// The names that both agree on.
    fn agree(&mut self, names: [Code; NAMES]) {
        for (name, other) in self.names.iter_mut().zip(names) {
            if *name != other {
                *name = EMPTY;
            }
        }
    }

    fn is_in_place_of(&self, other: &Self) -> bool {
        self.names[..CONTROLLER] == other.names[..CONTROLLER]
    }

    /// Adds the window that follows.
    fn follow(mut self, later: Self) -> Self {
        let (controller, next) = (self.names[CONTROLLER], later.names[CONTROLLER]);
        let same_place = self.is_in_place_of(&later);
        self.agree(later.names);
        if same_place {
            self.names[CONTROLLER] = if controller == EMPTY { next } else { controller };
        }
        self
    }
}

#[derive(Debug, Default)]
struct Controllers {
    /// The windows of each group, in their order.
    groups: Vec<Vec<Window>>,
    windows: usize,
}

impl Controllers {
    fn add(&mut self, group: usize, window: Window) {
        let windows = &mut self.groups[group];
        // Rows come in the order of their windows more often than not.
        let at = match windows.last() {
            Some(last) if last.start < window.start => Err(windows.len()),
            _ => windows.binary_search_by_key(&window.start, |known| known.start),
        };
        match at {
            Ok(at) => windows[at].agree(window.names),
            Err(at) => {
                windows.insert(at, window);
                self.windows += 1;
            }
        }
    }

    fn take(&mut self, emit_to: EmitTo) -> Vec<Vec<Window>> {
        let groups = emit_to.take_needed(&mut self.groups);
        self.windows -= groups.iter().map(Vec::len).sum::<usize>();
        groups
    }

    /// Adds rows: the start of each one's window, and its names.
    fn add_rows(
        &mut self,
        starts: impl Fn(usize) -> i64,
        names: &[&[Code]],
        group_of: impl Iterator<Item = (usize, usize)>,
    ) {
        for (row, group) in group_of {
            let mut window = Window {
                start: starts(row),
                names: [EMPTY; NAMES],
            };
            for (name, column) in window.names.iter_mut().zip(names) {
                *name = column[row];
            }
            self.add(group, window);
        }
    }
}

fn codes(columns: &[ArrayRef]) -> Result<Vec<&[Code]>> {
    let columns: Vec<&[Code]> = columns
        .iter()
        .filter_map(|column| column.as_primitive_opt::<UInt32Type>())
        .map(|column| column.values().as_ref())
        .collect();
    if columns.len() == NAMES {
        Ok(columns)
    } else {
        exec_err!(
            "steady_controller takes {NAMES} columns of codes, not {}",
            columns.len()
        )
    }
}

impl GroupsAccumulator for Controllers {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        groups: &[usize],
        filter: Option<&BooleanArray>,
        total: usize,
    ) -> Result<()> {
        self.groups.resize_with(total, Vec::new);
        let starts = values[0].as_primitive::<TimestampMicrosecondType>();
        let kept = |row: usize| filter.is_none_or(|filter| filter.is_valid(row) && filter.value(row));
        let rows = groups.iter().copied().enumerate().filter(|(row, _)| kept(*row));
        self.add_rows(|row| starts.value(row), &codes(&values[1..])?, rows);
        Ok(())
    }

    fn merge_batch(&mut self, values: &[ArrayRef], groups: &[usize], total: usize) -> Result<()> {
        self.groups.resize_with(total, Vec::new);
        let lists = values[0].as_list::<i32>();
        let windows = lists.values().as_struct();
        let starts = windows.column(0).as_primitive::<Int64Type>();
        let offsets = lists.value_offsets();
        let rows = groups.iter().enumerate().flat_map(|(row, group)| {
            let span = offsets[row] as usize..offsets[row + 1] as usize;
            span.map(move |at| (at, *group))
        });
        self.add_rows(|at| starts.value(at), &codes(&windows.columns()[1..])?, rows);
        Ok(())
    }

    fn evaluate(&mut self, emit_to: EmitTo) -> Result<ArrayRef> {
        let groups = self.take(emit_to);
        let controllers = groups.into_iter().map(|windows| {
            let last = windows.into_iter().reduce(Window::follow);
            last.map_or(EMPTY, |window| window.names[CONTROLLER])
        });
        Ok(Arc::new(UInt32Array::from_iter_values(controllers)))
    }

    fn state(&mut self, emit_to: EmitTo) -> Result<Vec<ArrayRef>> {
        let groups = self.take(emit_to);
        let offsets = OffsetBuffer::from_lengths(groups.iter().map(Vec::len));
        let windows: Vec<Window> = groups.into_iter().flatten().collect();
        let mut columns: Vec<ArrayRef> = vec![Arc::new(Int64Array::from_iter_values(
            windows.iter().map(|window| window.start),
        ))];
        for name in 0..NAMES {
            let names = windows.iter().map(|window| window.names[name]);
            columns.push(Arc::new(UInt32Array::from_iter_values(names)));
        }
        let windows = StructArray::try_new(window_fields(), columns, None)?;
        let lists = ListArray::try_new(state_item(), offsets, Arc::new(windows), None)?;
        Ok(vec![Arc::new(lists)])
    }

    fn convert_to_state(&self, values: &[ArrayRef], filter: Option<&BooleanArray>) -> Result<Vec<ArrayRef>> {
        let rows = values[0].len();
        let mut each = Self::default();
        each.update_batch(values, &(0..rows).collect::<Vec<_>>(), filter, rows)?;
        each.state(EmitTo::All)
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.groups.capacity() * size_of::<Vec<Window>>() + self.windows * size_of::<Window>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A cluster or controller by the number of its text; the empty one is [`EMPTY`].
    fn code(text: &str) -> Code {
        ["", "a", "b", "web", "api"]
            .iter()
            .position(|known| *known == text)
            .unwrap() as Code
    }

    fn controller(windows: &[(i64, &str, &str)]) -> Code {
        let mut controllers = Controllers::default();
        controllers.groups.push(Vec::new());
        for (start, cluster, controller) in windows {
            let mut names = [EMPTY; NAMES];
            names[0] = code(cluster);
            names[CONTROLLER] = code(controller);
            controllers.add(0, Window { start: *start, names });
        }
        let found = controllers.evaluate(EmitTo::All).unwrap();
        found.as_primitive::<UInt32Type>().value(0)
    }

    #[test]
    fn rows_of_one_window_must_agree() {
        assert_eq!(controller(&[(1, "a", "web"), (1, "a", "web")]), code("web"));
        assert_eq!(controller(&[(1, "a", "web"), (1, "a", "")]), code(""));
        assert_eq!(controller(&[(1, "a", "web"), (1, "a", "api")]), code(""));
    }

    #[test]
    fn a_controller_is_remembered_in_one_place_only() {
        assert_eq!(controller(&[(1, "a", ""), (2, "a", "web")]), code("web"));
        assert_eq!(controller(&[(1, "a", "web"), (2, "a", "")]), code("web"));
        assert_eq!(controller(&[(1, "a", "web"), (2, "a", "api")]), code("web"));
        assert_eq!(controller(&[(2, "a", "web"), (1, "a", "api")]), code("api"));
        assert_eq!(controller(&[(1, "a", ""), (2, "b", "web")]), code(""));
        assert_eq!(controller(&[(1, "a", "web"), (2, "b", "web")]), code("web"));
        // The second window is of no one cluster, nor is the first when both of its rows are added up.
        assert_eq!(
            controller(&[(1, "a", "web"), (1, "b", "api"), (2, "", "web")]),
            code("web")
        );
    }
}
