//! What is shared out among all that is answered: some allocations, a flat cost, and what clusters cost beside machines.

use std::{
    collections::BTreeMap,
    fmt,
    hash::{Hash, Hasher},
    sync::Arc,
};

use arrow::{array::UInt32Array, datatypes::DataType};
use cost_model::naming::Labels as _;
use cost_plan::dictionary::{Code, Dictionary, EMPTY};
use datafusion::{
    common::Result,
    functions_aggregate::expr_fn::sum,
    logical_expr::{ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility, col},
};
use lake::schema::allocations;
use rustc_hash::FxHashMap;

use super::{
    filtered_rows,
    idle::IdleCosts,
    totals::{Allocated, Available},
};
use crate::{
    columns::{codes, numbers, times},
    plan::{CodeArguments, CodedLabels, Factors, PerCodes, Place, Reader, Rows, UNSHARED_COST, key_column, sum_of},
    question::{AllocationQuestion, Sharing},
};

/// What a flat cost is called in a breakdown.
const OVERHEAD: &str = "overheadCost";

impl Sharing {
    /// The columns by which shared allocations are told.
    pub(super) fn columns(&self) -> impl Iterator<Item = &'static str> {
        let labels = (!self.labels.is_empty()).then_some("labels");
        let namespaces = (!self.namespaces.is_empty()).then_some("namespace");
        labels.into_iter().chain(namespaces)
    }

    /// What an allocation is shared as: the value of the first label that is shared, in order of their names, else its
    /// namespace. None when it is not shared.
    fn name<'a>(&'a self, namespace: &str, labels: &CodedLabels<'_>) -> Option<&'a str> {
        let label = self
            .labels
            .iter()
            .find(|(name, value)| labels.label(name) == Some(value));
        let namespace = || self.namespaces.iter().find(|shared| *shared == namespace);
        label.map(|(_, value)| value).or_else(namespace).map(String::as_str)
    }
}

/// The code of what a row is shared as, [`EMPTY`] when it is not shared; none when no allocations are.
pub(super) fn sharing_name(sharing: &Sharing, dictionary: &Arc<Dictionary>) -> Option<Expr> {
    if !sharing.shares_allocations() {
        return None;
    }
    let columns: Vec<&'static str> = sharing.columns().collect();
    let arguments = columns.iter().copied().map(col).collect();
    let function = ScalarUDF::new_from_impl(SharedAs {
        sharing: sharing.clone(),
        columns,
        dictionary: Arc::clone(dictionary),
        known: PerCodes::default(),
        signature: Signature::variadic_any(Volatility::Immutable),
    });
    Some(function.call(arguments))
}

struct SharedAs {
    sharing: Sharing,
    columns: Vec<&'static str>,
    dictionary: Arc<Dictionary>,
    known: PerCodes<Code>,
    signature: Signature,
}

impl fmt::Debug for SharedAs {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "shared_as[{:?}, {:?}]",
            self.sharing.namespaces, self.sharing.labels
        )
    }
}

impl PartialEq for SharedAs {
    fn eq(&self, other: &Self) -> bool {
        self.sharing.namespaces == other.sharing.namespaces
            && self.sharing.labels == other.sharing.labels
            && Arc::ptr_eq(&self.dictionary, &other.dictionary)
    }
}

impl Eq for SharedAs {}

impl Hash for SharedAs {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.sharing.namespaces.hash(state);
        self.sharing.labels.hash(state);
    }
}

impl SharedAs {
    fn compute(&self, codes: &[Code]) -> Code {
        let code = |name| {
            let column = self.columns.iter().position(|column| *column == name);
            column.map_or(EMPTY, |column| codes[column])
        };
        let name = {
            let names = self.dictionary.read();
            let labels = CodedLabels::new(&names, code("labels"));
            self.sharing.name(names.text_of(code("namespace")), &labels)
        };
        name.map_or(EMPTY, |name| self.dictionary.write().text(name))
    }
}

impl ScalarUDFImpl for SharedAs {
    fn name(&self) -> &'static str {
        "shared_as"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::UInt32)
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let codes = CodeArguments::new(self.name(), &arguments)?;
        let names = self
            .known
            .values(&codes.columns(), arguments.number_rows, |codes| self.compute(codes));
        Ok(ColumnarValue::Array(Arc::new(UInt32Array::from(names))))
    }
}

/// The parts that a shared cost consists of.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct CostParts {
    pub(crate) total: f64,
    pub(crate) cpu: f64,
    pub(crate) gpu: f64,
    pub(crate) ram: f64,
    pub(crate) pv: f64,
    pub(crate) network: f64,
    pub(crate) load_balancer: f64,
    pub(crate) external: f64,
}

impl CostParts {
    fn add(&mut self, other: Self, factor: f64) {
        self.total += other.total * factor;
        self.cpu += other.cpu * factor;
        self.gpu += other.gpu * factor;
        self.ram += other.ram * factor;
        self.pv += other.pv * factor;
        self.network += other.network * factor;
        self.load_balancer += other.load_balancer * factor;
        self.external += other.external * factor;
    }
}

/// What a window shares out.
#[derive(Debug, Default)]
struct SharedWindow {
    /// By what it is called.
    parts: BTreeMap<String, CostParts>,
    /// What all that is not shared cost, which the shared cost is divided by.
    weight: f64,
    /// Whether the filter drops anything that would have had a part.
    drops: bool,
}

/// What an item gets of the shared cost, by what it is called.
pub(crate) type SharedParts = BTreeMap<String, CostParts>;

/// The set and the codes of the keys of an item.
pub(crate) type ItemKey = (usize, Vec<Code>);

/// What each window shares out.
fn shared_windows(
    question: &AllocationQuestion,
    allocated: &[Allocated],
    idle: Option<&IdleCosts>,
    hours_of: impl Fn(i64) -> f64,
    dictionary: &Dictionary,
) -> FxHashMap<i64, SharedWindow> {
    let names = dictionary.read();
    let mut windows: FxHashMap<i64, SharedWindow> = FxHashMap::default();
    for rows in allocated {
        let window = windows.entry(rows.place.window).or_default();
        if !rows.is_shared() {
            if !rows.unmounted {
                window.weight += rows.resources.sum() + rows.other.sum() - rows.other.shared;
                window.drops |= !rows.matches;
            }
            continue;
        }
        // Shared allocations receive their idle first.
        let mut resources = rows.resources;
        resources.add(idle.map(|idle| idle.part_of(rows)).unwrap_or_default());
        let parts = window
            .parts
            .entry(names.text_of(rows.shared_as).to_owned())
            .or_default();
        let other = rows.other;
        parts.add(
            CostParts {
                total: resources.sum() + other.sum(),
                cpu: resources.cpu,
                gpu: resources.gpu,
                ram: resources.ram,
                pv: other.pv,
                network: other.network,
                load_balancer: other.load_balancer,
                external: other.external,
            },
            1.0,
        );
    }
    if question.sharing.cost_per_hour > 0.0 {
        for (start, window) in &mut windows {
            let total = question.sharing.cost_per_hour * hours_of(*start);
            let parts = window.parts.entry(OVERHEAD.to_owned()).or_default();
            parts.add(
                CostParts {
                    total,
                    ..CostParts::default()
                },
                1.0,
            );
        }
    }
    windows
}

/// What each item gets of the shared cost: of every window its part, by what it cost there before, or evenly.
pub(super) async fn shared_costs(
    reader: &Reader<'_>,
    question: &AllocationQuestion,
    allocated: &[Allocated],
    idle: Option<&IdleCosts>,
    hours_of: impl Fn(i64) -> f64,
) -> Result<FxHashMap<ItemKey, SharedParts>> {
    let dictionary = reader.served.warm().dictionary();
    let windows = shared_windows(question, allocated, idle, hours_of, dictionary);
    let Rows { frame, input, .. } = filtered_rows(reader, question, [allocations::UNMOUNTED].into()).await?;
    let frame = frame.filter(col(allocations::UNMOUNTED).is_false())?;
    let mut keys = reader.keys(&question.aggregation);
    let key_count = keys.len();
    keys.push(col(allocations::WINDOW_START));
    let weight = sum(sum_of(&UNSHARED_COST, &input)).alias("weight");
    let batches = reader.run(frame.aggregate(keys, vec![weight])?).await?;

    let mut weights: Vec<(i64, Vec<Code>, f64)> = Vec::new();
    for batch in &batches {
        let (windows, sums) = (times(batch, allocations::WINDOW_START)?, numbers(batch, "weight")?);
        let keys = (0..key_count).map(|key| codes(batch, &key_column(key)));
        let keys = keys.collect::<Result<Vec<_>>>()?;
        weights.extend((0..batch.num_rows()).map(|row| {
            let codes = keys.iter().map(|codes| codes[row]).collect();
            (windows[row], codes, sums[row])
        }));
    }
    let mut items_in: FxHashMap<i64, usize> = FxHashMap::default();
    for (window, _, _) in &weights {
        *items_in.entry(*window).or_default() += 1;
    }
    let mut shared: FxHashMap<ItemKey, SharedParts> = FxHashMap::default();
    for (start, codes, weight) in weights {
        let Some(window) = windows.get(&start) else {
            continue;
        };
        let coefficient = if question.sharing.even {
            // What the filter drops counts as one.
            1.0 / (items_in[&start] + usize::from(window.drops)) as f64
        } else if weight > 0.0 && window.weight > 0.0 {
            weight / window.weight
        } else {
            0.0
        };
        let item = shared.entry((reader.sets.number_of(start), codes)).or_default();
        for (name, parts) in &window.parts {
            item.entry(name.clone()).or_default().add(*parts, coefficient);
        }
    }
    Ok(shared)
}

/// What clusters cost beside their machines, per cost of what runs there: what a row's cost is multiplied by to give
/// its part.
pub(super) fn tenancy_factors(allocated: &[Allocated], available: &[Available]) -> Factors {
    let place = |place: Place| Place { node: EMPTY, ..place };
    let mut weights: FxHashMap<Place, f64> = FxHashMap::default();
    for rows in allocated.iter().filter(|rows| !rows.unmounted) {
        *weights.entry(place(rows.place)).or_default() += rows.resources.sum() + rows.other.sum() - rows.other.shared;
    }
    let mut costs = Factors::default();
    for available in available {
        *costs.entry(place(available.place)).or_default() += available.tenancy;
    }
    for (place, cost) in &mut costs {
        let weight = weights.get(place).copied().unwrap_or_default();
        *cost = if weight > 0.0 { *cost / weight } else { 0.0 };
    }
    costs
}
