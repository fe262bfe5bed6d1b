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

/// The controller of allocations over time, of the start and end of each row's window, its cluster, node, namespace, pod,
/// container and controller.
///
/// Within a window it is what all rows agree on. From window to window, in their order, it is what both agree on too,
/// but for one case: while the other five names stay the same, a controller that one of the two lacks is taken from the
/// other, and of two different ones the earlier stays (OpenCost's `Allocation.add`).
pub fn steady_controller(window: [Expr; 2], names: [Expr; NAMES]) -> Expr {
    let arguments = window.into_iter().chain(names).collect();
    AggregateUDF::new_from_impl(SteadyController {
        signature: Signature::any(2 + NAMES, Volatility::Immutable),
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

/// The state of a group as a column: its runs of windows, each with the names that its rows agree on.
fn run_fields() -> Fields {
    let names = (0..NAMES).map(|name| Field::new(format!("name_{name}"), DataType::UInt32, false));
    ["first", "last", "end"]
        .map(|bound| Field::new(bound, DataType::Int64, false))
        .into_iter()
        .chain(names)
        .collect()
}

fn state_item() -> FieldRef {
    Arc::new(Field::new("item", DataType::Struct(run_fields()), false))
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

/// Windows of one length that follow one another without a gap, whose rows agree on the same names: most containers have
/// one such run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Run {
    /// Start of the first window.
    first: i64,
    /// Start of the last window.
    last: i64,
    /// End of the last window.
    end: i64,
    names: [Code; NAMES],
}

impl Run {
    fn of_window(start: i64, end: i64, names: [Code; NAMES]) -> Self {
        Self {
            first: start,
            last: start,
            end,
            names,
        }
    }

    /// The length of a window.
    fn length(&self) -> i64 {
        (self.end - self.last).max(1)
    }

    /// The windows that start between these times, both included; none when there are none.
    fn between(self, first: i64, last: i64) -> Option<Self> {
        let length = self.length();
        let (after, before) = ((first - self.first).max(0), last.min(self.last) - self.first);
        // Rounded up and down to starts of windows.
        let first = self.first + (after + length - 1) / length * length;
        let last = self.first + before.div_euclid(length) * length;
        (first <= last).then_some(Self {
            first,
            last,
            end: last + length,
            ..self
        })
    }

    fn windows(self) -> impl Iterator<Item = Self> {
        let length = self.length();
        let starts = (0..=(self.last - self.first) / length).map(move |index| self.first + index * length);
        starts.map(move |start| Self::of_window(start, start + length, self.names))
    }

    /// Whether windows of both that overlap are the same ones.
    fn is_in_step_with(&self, other: &Self) -> bool {
        let length = self.length();
        length == other.length() && (self.first - other.first) % length == 0
    }

    /// The names that both agree on.
    fn agree(&mut self, names: [Code; NAMES]) {
        for (name, other) in self.names.iter_mut().zip(names) {
            if *name != other {
                *name = EMPTY;
            }
        }
    }

    /// Adds later windows if they follow without a gap and have the same names; says whether they do.
    fn go_on_in(&mut self, later: &Self) -> bool {
        let goes_on = self.names == later.names && self.end == later.first && self.length() == later.length();
        if goes_on {
            (self.last, self.end) = (later.last, later.end);
        }
        goes_on
    }

    fn is_in_place_of(&self, other: &Self) -> bool {
        self.names[..CONTROLLER] == other.names[..CONTROLLER]
    }

    /// Adds the windows that follow. Adding the same names again would change nothing, which is why runs will do.
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

/// The windows of a group, in their order.
#[derive(Clone, Debug, Default)]
struct Runs {
    first: Option<Run>,
    rest: Vec<Run>,
}

impl Runs {
    fn iter(&self) -> impl Iterator<Item = Run> {
        self.first.into_iter().chain(self.rest.iter().copied())
    }

    fn len(&self) -> usize {
        usize::from(self.first.is_some()) + self.rest.len()
    }

    /// Adds windows, in which no others lie.
    fn add(&mut self, new: Run) {
        let Some(first) = &mut self.first else {
            self.first = Some(new);
            return;
        };
        let last = self.rest.last_mut().unwrap_or(first);
        // Rows come in the order of their windows more often than not.
        if last.last < new.first {
            if !last.go_on_in(&new) {
                self.rest.push(new);
            }
            return;
        }
        if new.first < last.first || last.last < new.last || !last.is_in_step_with(&new) {
            self.insert(new);
            return;
        }
        let mut both = *last;
        both.agree(new.names);
        if both.names == last.names {
            return;
        }
        if (new.first, new.last) == (last.first, last.last) {
            // Another container of the window, as pods with proxies have one.
            *last = both;
            self.join_last();
        } else {
            self.insert(new);
        }
    }

    /// Makes one of the last two runs if they are.
    fn join_last(&mut self) {
        let Some(last) = self.rest.pop() else { return };
        let before = self.rest.last_mut().or(self.first.as_mut());
        if !before.is_some_and(|before| before.go_on_in(&last)) {
            self.rest.push(last);
        }
    }

    /// Adds windows anywhere.
    fn insert(&mut self, new: Run) {
        let is_among = |run: &Run| run.first <= new.last && new.first <= run.last;
        if self.iter().any(|run| is_among(&run) && !run.is_in_step_with(&new)) {
            self.insert_windows(new);
            return;
        }
        let mut runs: Vec<Run> = Vec::with_capacity(self.len() + 2);
        let mut left = Some(new);
        for run in self.iter() {
            let Some(new) = left.filter(|new| new.first <= run.last) else {
                runs.push(run);
                continue;
            };
            if new.last < run.first {
                runs.extend([new, run]);
                left = None;
                continue;
            }
            // What lies before the other, what both have, and what lies after.
            let (first, last) = (run.first.max(new.first), run.last.min(new.last));
            runs.extend(run.between(run.first, first - 1));
            runs.extend(new.between(new.first, first - 1));
            runs.extend(run.between(first, last).map(|mut both| {
                both.agree(new.names);
                both
            }));
            runs.extend(run.between(last + 1, run.last));
            left = new.between(last + 1, new.last);
        }
        runs.extend(left);
        self.replace(runs);
    }

    /// Adds windows that begin at other times than those that are there, such as days of another time zone.
    fn insert_windows(&mut self, new: Run) {
        let mut windows: Vec<Run> = self.iter().chain([new]).flat_map(Run::windows).collect();
        windows.sort_by_key(|window| (window.first, window.end));
        windows.dedup_by(|later, window| {
            let is_same = (later.first, later.end) == (window.first, window.end);
            if is_same {
                window.agree(later.names);
            }
            is_same
        });
        self.replace(windows);
    }

    fn replace(&mut self, runs: Vec<Run>) {
        let mut runs = runs.into_iter();
        self.first = runs.next();
        self.rest = runs.collect();
    }
}

#[derive(Debug, Default)]
struct Controllers {
    groups: Vec<Runs>,
    /// Runs beyond each group's first.
    further: usize,
}

impl Controllers {
    fn add(&mut self, group: usize, run: Run) {
        let runs = &mut self.groups[group];
        let before = runs.rest.len();
        runs.add(run);
        self.further = self.further + runs.rest.len() - before;
    }

    fn take(&mut self, emit_to: EmitTo) -> Vec<Runs> {
        let groups = emit_to.take_needed(&mut self.groups);
        self.further -= groups.iter().map(|runs| runs.rest.len()).sum::<usize>();
        groups
    }

    /// Adds rows: the windows of each one, and its names.
    fn add_rows(
        &mut self,
        windows: impl Fn(usize) -> [i64; 3],
        names: &[&[Code]],
        group_of: impl Iterator<Item = (usize, usize)>,
    ) {
        for (row, group) in group_of {
            let [first, last, end] = windows(row);
            let mut run = Run::of_window(last, end, [EMPTY; NAMES]);
            run.first = first;
            for (name, column) in run.names.iter_mut().zip(names) {
                *name = column[row];
            }
            self.add(group, run);
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
        self.groups.resize_with(total, Runs::default);
        let [starts, ends] = [0, 1].map(|bound| values[bound].as_primitive::<TimestampMicrosecondType>());
        let kept = |row: usize| filter.is_none_or(|filter| filter.is_valid(row) && filter.value(row));
        let rows = groups.iter().copied().enumerate().filter(|(row, _)| kept(*row));
        let window = |row: usize| [starts.value(row), starts.value(row), ends.value(row)];
        self.add_rows(window, &codes(&values[2..])?, rows);
        Ok(())
    }

    fn merge_batch(&mut self, values: &[ArrayRef], groups: &[usize], total: usize) -> Result<()> {
        self.groups.resize_with(total, Runs::default);
        let lists = values[0].as_list::<i32>();
        let runs = lists.values().as_struct();
        let bounds = [0, 1, 2].map(|bound| runs.column(bound).as_primitive::<Int64Type>());
        let offsets = lists.value_offsets();
        let rows = groups.iter().enumerate().flat_map(|(row, group)| {
            let span = offsets[row] as usize..offsets[row + 1] as usize;
            span.map(move |at| (at, *group))
        });
        let windows = |at: usize| bounds.map(|bound| bound.value(at));
        self.add_rows(windows, &codes(&runs.columns()[3..])?, rows);
        Ok(())
    }

    fn evaluate(&mut self, emit_to: EmitTo) -> Result<ArrayRef> {
        let groups = self.take(emit_to);
        let controllers = groups.into_iter().map(|runs| {
            let last = runs.iter().reduce(Run::follow);
            last.map_or(EMPTY, |run| run.names[CONTROLLER])
        });
        Ok(Arc::new(UInt32Array::from_iter_values(controllers)))
    }

    fn state(&mut self, emit_to: EmitTo) -> Result<Vec<ArrayRef>> {
        let groups = self.take(emit_to);
        let offsets = OffsetBuffer::from_lengths(groups.iter().map(Runs::len));
        let runs: Vec<Run> = groups.iter().flat_map(Runs::iter).collect();
        let bounds = [|run: &Run| run.first, |run: &Run| run.last, |run: &Run| run.end];
        let bounds = bounds.map(|bound| -> ArrayRef { Arc::new(Int64Array::from_iter_values(runs.iter().map(bound))) });
        let mut columns = Vec::from(bounds);
        for name in 0..NAMES {
            let names = runs.iter().map(|run| run.names[name]);
            columns.push(Arc::new(UInt32Array::from_iter_values(names)));
        }
        let runs = StructArray::try_new(run_fields(), columns, None)?;
        let lists = ListArray::try_new(state_item(), offsets, Arc::new(runs), None)?;
        Ok(vec![Arc::new(lists)])
    }

    fn convert_to_state(&self, values: &[ArrayRef], filter: Option<&BooleanArray>) -> Result<Vec<ArrayRef>> {
        let rows = values[0].len();
        let mut each = Self::default();
        each.update_batch(values, &(0..rows).collect::<Vec<_>>(), filter, rows)?;
        each.state(EmitTo::All)
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.groups.capacity() * size_of::<Runs>() + self.further * size_of::<Run>()
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
        controllers.groups.push(Runs::default());
        for (start, cluster, controller) in windows {
            let mut names = [EMPTY; NAMES];
            names[0] = code(cluster);
            names[CONTROLLER] = code(controller);
            controllers.add(0, Run::of_window(*start, *start + 1, names));
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

    #[test]
    fn pods_of_two_containers_have_one_run() {
        let names = |container| {
            let mut names = [7; NAMES];
            names[NAMES - 2] = container;
            names
        };
        let mut runs = Runs::default();
        for start in 0..30 {
            for container in [3, 4, 3, 5] {
                runs.add(Run::of_window(start, start + 1, names(container)));
            }
        }
        let all = Run {
            first: 0,
            last: 29,
            end: 30,
            names: names(EMPTY),
        };
        assert_eq!(runs.iter().collect::<Vec<_>>(), [all]);
    }

    /// Names as they are window by window, without runs.
    fn window_by_window(rows: &[(i64, Code)]) -> std::collections::BTreeMap<i64, Code> {
        let mut windows = std::collections::BTreeMap::new();
        for (start, code) in rows {
            windows
                .entry(*start)
                .and_modify(|known| {
                    if known != code {
                        *known = EMPTY;
                    }
                })
                .or_insert(*code);
        }
        windows
    }

    #[test]
    fn runs_say_of_each_window_what_its_rows_agree_on() {
        // All orders of a few rows of a few windows.
        let rows = [(1, 7), (2, 7), (3, 8), (2, 8), (4, 7), (5, 7)];
        for shift in 0..720_usize {
            let mut left = rows.to_vec();
            let mut number = shift;
            let order: Vec<_> = (1..=rows.len())
                .rev()
                .map(|count| {
                    let row = left.remove(number % count);
                    number /= count;
                    row
                })
                .collect();
            let mut runs = Runs::default();
            for (start, code) in &order {
                runs.add(Run::of_window(*start, *start + 1, [*code; NAMES]));
            }
            for (start, code) in window_by_window(&rows) {
                let of_window: Vec<_> = runs
                    .iter()
                    .filter(|run| (run.first..=run.last).contains(&start))
                    .collect();
                assert_eq!(of_window.len(), 1, "{order:?}: {runs:?}");
                assert_eq!(
                    of_window[0].names, [code; NAMES],
                    "window {start} of {order:?}: {runs:?}"
                );
            }
            assert!(
                runs.iter().zip(runs.iter().skip(1)).all(|(a, b)| a.last < b.first),
                "{runs:?}"
            );
        }
    }

    /// Rows dealt out to parts in any way, whose states are added up in any order, say the same of each window as the rows.
    #[test]
    fn parts_say_what_all_rows_agree_on() {
        // Numbers without a pattern, the same in each run (Knuth's multiplier).
        let mut state = 1_u64;
        let mut below = |limit: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 33) % limit
        };
        for _ in 0..3000 {
            let rows: Vec<(i64, Code)> = (0..1 + below(12))
                .map(|_| {
                    // Some are of another time zone.
                    let zone = if below(16) == 0 { 5 } else { 0 };
                    (10 * below(6) as i64 + zone, 7 + below(3) as Code)
                })
                .collect();
            let mut parts = vec![Controllers::default(), Controllers::default(), Controllers::default()];
            for part in &mut parts {
                part.groups.push(Runs::default());
            }
            for (start, code) in &rows {
                parts[below(3) as usize].add(0, Run::of_window(*start, start + 10, [*code; NAMES]));
            }
            let mut whole = Controllers::default();
            for mut part in parts {
                whole.merge_batch(&part.state(EmitTo::All).unwrap(), &[0], 1).unwrap();
            }
            let windows: Vec<_> = whole.groups[0]
                .iter()
                .flat_map(Run::windows)
                .map(|window| (window.first, window.names))
                .collect();
            let expected = window_by_window(&rows)
                .into_iter()
                .map(|(start, code)| (start, [code; NAMES]));
            assert_eq!(windows, expected.collect::<Vec<_>>(), "{rows:?}");
        }
    }
}
