//! Writes the golden answers from columns that would produce them, and compares the texts' meaning.
//!
//! What an allocation derives (efficiencies, totals) is recomputed here from numbers that are already rounded, so it
//! is only held to exist; cost-model tests those rules.

use std::{fs, path::Path, sync::Arc};

use arrow::{
    array::{
        Array as _, ArrayRef, BooleanArray, Float64Array, Int64Array, ListArray, MapBuilder, RecordBatch, StringArray,
        StringBuilder, StructArray, TimestampMicrosecondArray, UInt32Array,
    },
    buffer::OffsetBuffer,
    datatypes::{Field, Fields},
};
use chrono::{DateTime, Utc};
use serde_json::{Map, Value};

use super::{
    allocation::Allocation,
    asset::Asset,
    incoming::{SetHead, Sets},
    json,
    outgoing::Writer,
    sets::{Item, SetWriter, Shape},
};

const DERIVED: [&str; 7] = [
    "cpuCores",
    "cpuEfficiency",
    "gpuCount",
    "gpuEfficiency",
    "ramEfficiency",
    "totalCost",
    "totalEfficiency",
];

/// Left out of the golden answers, since the reference is not deterministic there.
const UNSTABLE: [&str; 3] = ["providerID", "ip", "private"];

fn golden(prefix: &str) -> Vec<(String, Value)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/golden/expected");
    let mut answers: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| (path.file_stem().unwrap().to_str().unwrap().to_owned(), path))
        .filter(|(id, _)| id.starts_with(prefix))
        .map(|(id, path)| (id, serde_json::from_slice(&fs::read(path).unwrap()).unwrap()))
        .filter(|(_, answer): &(_, Value)| answer["code"] == 200)
        .collect();
    answers.sort_by(|(one, _), (other, _)| one.cmp(other));
    answers
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Object(map) => map.is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

/// As `compare.py` has it, but for fields that are ours alone, which there are none of.
fn compare(place: &str, got: &Value, want: &Value, derived: &[&str]) {
    match (got, want) {
        (Value::Object(got), Value::Object(want)) => {
            for key in got.keys().filter(|key| !want.contains_key(*key)) {
                assert!(UNSTABLE.contains(&key.as_str()), "{place}: {key} is not expected");
            }
            for (key, want) in want {
                let got = got.get(key).unwrap_or_else(|| panic!("{place}: {key} is missing"));
                if derived.contains(&key.as_str()) {
                    assert!(got.is_number(), "{place}: {key} is {got}");
                } else {
                    compare(&format!("{place}/{key}"), got, want, derived);
                }
            }
        }
        (Value::Array(got), Value::Array(want)) => {
            assert_eq!(got.len(), want.len(), "{place}");
            for (index, (got, want)) in got.iter().zip(want).enumerate() {
                compare(&format!("{place}[{index}]"), got, want, derived);
            }
        }
        (Value::Number(got), Value::Number(want)) => {
            let (got, want) = (got.as_f64().unwrap(), want.as_f64().unwrap());
            assert!(
                (got - want).abs() <= 2e-5 + 1e-6 * want.abs(),
                "{place}: got {got}, expected {want}"
            );
        }
        (got, want) => assert!(
            got == want || is_empty(got) && is_empty(want),
            "{place}: got {got}, expected {want}"
        ),
    }
}

/// Golden items, from which columns are made.
struct Items<'a> {
    sets: Vec<u32>,
    names: Vec<&'a str>,
    items: Vec<&'a Value>,
    columns: Vec<Column>,
}

type Column = (&'static str, ArrayRef);

impl<'a> Items<'a> {
    fn of(answer: &'a Value) -> Self {
        let mut all = Self {
            sets: Vec::new(),
            names: Vec::new(),
            items: Vec::new(),
            columns: Vec::new(),
        };
        for (set, items) in sets(answer) {
            for (name, item) in items {
                all.sets.push(set);
                all.names.push(name);
                all.items.push(item);
            }
        }
        all.columns.push(("set", Arc::new(UInt32Array::from(all.sets.clone()))));
        all.columns
            .push(("name", Arc::new(StringArray::from(all.names.clone()))));
        all
    }

    fn texts(&mut self, column: &'static str, pointer: &str) {
        let texts = self
            .items
            .iter()
            .map(|item| item.pointer(pointer).and_then(Value::as_str));
        self.columns.push((column, Arc::new(StringArray::from_iter(texts))));
    }

    fn numbers(&mut self, column: &'static str, pointer: &str) {
        let numbers = self
            .items
            .iter()
            .map(|item| item.pointer(pointer).and_then(Value::as_f64));
        self.columns.push((column, Arc::new(Float64Array::from_iter(numbers))));
    }

    fn times(&mut self, column: &'static str, pointer: &str) {
        let micros = self.items.iter().map(|item| {
            let time: DateTime<Utc> = item.pointer(pointer)?.as_str()?.parse().ok()?;
            Some(time.timestamp_micros())
        });
        let times = TimestampMicrosecondArray::from_iter(micros).with_timezone("UTC");
        self.columns.push((column, Arc::new(times)));
    }

    fn maps(&mut self, column: &'static str, pointer: &str) {
        let mut maps = MapBuilder::new(None, StringBuilder::new(), StringBuilder::new());
        for item in &self.items {
            for (key, value) in entries(item, pointer) {
                maps.keys().append_value(key);
                maps.values().append_value(value.as_str().unwrap());
            }
            maps.append(true).unwrap();
        }
        self.columns.push((column, Arc::new(maps.finish())));
    }

    /// A list of what `make` makes of the entries of a map, in columns.
    fn lists(&mut self, column: &'static str, pointer: &str, make: fn(&[(&String, &Value)]) -> Vec<Column>) {
        let lengths: Vec<_> = self.items.iter().map(|item| entries(item, pointer).count()).collect();
        let all: Vec<_> = self.items.iter().flat_map(|item| entries(item, pointer)).collect();
        let (names, columns): (Vec<_>, Vec<_>) = make(&all).into_iter().unzip();
        let fields = names.iter().zip(&columns);
        let fields: Fields = fields
            .map(|(name, column)| Field::new(*name, column.data_type().clone(), true))
            .collect();
        let structs = StructArray::new(fields, columns, None);
        let field = Arc::new(Field::new("item", structs.data_type().clone(), true));
        let offsets = OffsetBuffer::from_lengths(lengths);
        self.columns.push((
            column,
            Arc::new(ListArray::new(field, offsets, Arc::new(structs), None)),
        ));
    }

    fn batch(self) -> RecordBatch {
        RecordBatch::try_from_iter_with_nullable(self.columns.into_iter().map(|(name, column)| (name, column, true)))
            .unwrap()
    }
}

fn entries<'a>(item: &'a Value, pointer: &str) -> impl Iterator<Item = (&'a String, &'a Value)> {
    item.pointer(pointer).and_then(Value::as_object).into_iter().flatten()
}

fn sets(answer: &Value) -> impl Iterator<Item = (u32, &Map<String, Value>)> {
    let sets = answer["data"].as_array().unwrap();
    (0..).zip(sets).map(|(index, set)| (index, set.as_object().unwrap()))
}

/// What is known of the sets before their items. Sets without items have no window in a golden answer.
fn heads(answer: &Value) -> Sets {
    let heads = sets(answer).map(|(_, items)| {
        let window = items.values().next().map(|item| item["window"].to_string());
        SetHead {
            window: window.unwrap_or_default().into_bytes(),
            ..SetHead::default()
        }
    });
    Sets {
        heads: heads.collect(),
        explanation: None,
    }
}

fn write<I: Item>(sets: Sets, batch: &RecordBatch) -> Value {
    let mut writer = SetWriter::<I>::new(Shape::List);
    let mut out = Vec::new();
    writer.begin(sets, &mut out).unwrap();
    // In two batches, as large sets come.
    let half = batch.num_rows() / 2;
    for part in [batch.slice(0, half), batch.slice(half, batch.num_rows() - half)] {
        let mut row = 0;
        while row < part.num_rows() {
            row = writer.write(&part, row, &mut out).unwrap();
            if row < part.num_rows() {
                panic!("no golden answer fills a chunk");
            }
        }
    }
    writer.end(&mut out);
    serde_json::from_slice(&out).unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&out)))
}

fn texts<'a>(texts: impl Iterator<Item = &'a str>) -> ArrayRef {
    Arc::new(StringArray::from(texts.collect::<Vec<_>>()))
}

fn numbers(entries: &[(&String, &Value)], field: &str) -> ArrayRef {
    Arc::new(Float64Array::from_iter(
        entries.iter().map(|(_, entry)| entry[field].as_f64()),
    ))
}

fn allocations(answer: &Value) -> RecordBatch {
    let mut items = Items::of(answer);
    for (column, field) in [
        ("cluster", "cluster"),
        ("node", "node"),
        ("container", "container"),
        ("controller", "controller"),
        ("controller_kind", "controllerKind"),
        ("namespace", "namespace"),
        ("pod", "pod"),
        ("provider_id", "providerID"),
    ] {
        items.texts(column, &format!("/properties/{field}"));
    }
    for (column, field) in [
        ("labels", "labels"),
        ("annotations", "annotations"),
        ("namespace_labels", "namespaceLabels"),
        ("namespace_annotations", "namespaceAnnotations"),
    ] {
        items.maps(column, &format!("/properties/{field}"));
    }
    items.times("start", "/start");
    items.times("end", "/end");
    for (column, field) in [
        ("cpu_core_hours", "cpuCoreHours"),
        ("cpu_core_request_average", "cpuCoreRequestAverage"),
        ("cpu_core_usage_average", "cpuCoreUsageAverage"),
        ("cpu_cost", "cpuCost"),
        ("cpu_cost_adjustment", "cpuCostAdjustment"),
        ("gpu_hours", "gpuHours"),
        ("gpu_request_average", "gpuRequestAverage"),
        ("gpu_usage_average", "gpuUsageAverage"),
        ("gpu_cost", "gpuCost"),
        ("gpu_cost_adjustment", "gpuCostAdjustment"),
        ("network_transfer_bytes", "networkTransferBytes"),
        ("network_receive_bytes", "networkReceiveBytes"),
        ("network_cost", "networkCost"),
        ("network_cross_zone_cost", "networkCrossZoneCost"),
        ("network_cross_region_cost", "networkCrossRegionCost"),
        ("network_internet_cost", "networkInternetCost"),
        ("network_cost_adjustment", "networkCostAdjustment"),
        ("load_balancer_cost", "loadBalancerCost"),
        ("load_balancer_cost_adjustment", "loadBalancerCostAdjustment"),
        ("pv_cost_adjustment", "pvCostAdjustment"),
        ("ram_byte_hours", "ramByteHours"),
        ("ram_byte_request_average", "ramByteRequestAverage"),
        ("ram_byte_usage_average", "ramByteUsageAverage"),
        ("ram_cost", "ramCost"),
        ("ram_cost_adjustment", "ramCostAdjustment"),
        ("shared_cost", "sharedCost"),
        ("external_cost", "externalCost"),
        ("cpu_core_usage_max", "rawAllocationOnly/cpuCoreUsageMax"),
        ("ram_byte_usage_max", "rawAllocationOnly/ramByteUsageMax"),
    ] {
        items.numbers(column, &format!("/{field}"));
    }
    items.lists("volumes", "/pvs", |volumes| {
        let keys = volumes
            .iter()
            .map(|(key, _)| key.strip_prefix("cluster=").unwrap().split_once(":name=").unwrap());
        vec![
            ("cluster", texts(keys.clone().map(|(cluster, _)| cluster))),
            ("name", texts(keys.map(|(_, name)| name))),
            ("byte_hours", numbers(volumes, "byteHours")),
            ("cost", numbers(volumes, "cost")),
            ("provider_id", texts(volumes.iter().map(|_| "vol-1"))),
        ]
    });
    items.lists("load_balancers", "/lbAllocations", |balancers| {
        let services = balancers
            .iter()
            .map(|(_, balancer)| balancer["service"].as_str().unwrap());
        vec![
            ("key", texts(balancers.iter().map(|(key, _)| key.as_str()))),
            ("service", texts(services)),
            ("cost", numbers(balancers, "cost")),
            ("private", Arc::new(BooleanArray::from(vec![true; balancers.len()]))),
            ("ip", texts(balancers.iter().map(|_| "203.0.113.1"))),
            ("hours", numbers(balancers, "hours")),
        ]
    });
    let services = items.items.iter().map(|item| {
        let services = item.pointer("/properties/services").and_then(Value::as_array);
        let services = services.into_iter().flatten();
        services.map(|service| service.as_str().unwrap()).collect::<Vec<_>>()
    });
    let services: Vec<_> = services.collect();
    let field = Arc::new(Field::new("item", arrow::datatypes::DataType::Utf8, true));
    let offsets = OffsetBuffer::from_lengths(services.iter().map(Vec::len));
    let lists = ListArray::new(field, offsets, texts(services.into_iter().flatten()), None);
    items.columns.push(("services", Arc::new(lists)));
    items.batch()
}

fn assets(answer: &Value) -> RecordBatch {
    let mut items = Items::of(answer);
    for (column, pointer) in [
        ("type", "/type"),
        ("category", "/properties/category"),
        ("provider", "/properties/provider"),
        ("account", "/properties/account"),
        ("project", "/properties/project"),
        ("service", "/properties/service"),
        ("cluster", "/properties/cluster"),
        ("asset_name", "/properties/name"),
        ("provider_id", "/properties/providerID"),
        ("node_type", "/nodeType"),
        ("storage_class", "/storageClass"),
        ("volume_name", "/volumeName"),
        ("claim_name", "/claimName"),
        ("claim_namespace", "/claimNamespace"),
        ("ip", "/ip"),
    ] {
        items.texts(column, pointer);
    }
    items.maps("labels", "/labels");
    items.times("start", "/start");
    items.times("end", "/end");
    for (column, pointer) in [
        ("total_cost", "/totalCost"),
        ("adjustment", "/adjustment"),
        ("cpu_core_hours", "/cpuCoreHours"),
        ("ram_byte_hours", "/ramByteHours"),
        ("gpu_hours", "/GPUHours"),
        ("gpu_count", "/gpuCount"),
        ("cpu_cost", "/cpuCost"),
        ("gpu_cost", "/gpuCost"),
        ("ram_cost", "/ramCost"),
        ("discount", "/discount"),
        ("preemptible", "/preemptible"),
        ("cpu_idle", "/cpuBreakdown/idle"),
        ("cpu_other", "/cpuBreakdown/other"),
        ("cpu_system", "/cpuBreakdown/system"),
        ("cpu_user", "/cpuBreakdown/user"),
        ("ram_idle", "/ramBreakdown/idle"),
        ("ram_other", "/ramBreakdown/other"),
        ("ram_system", "/ramBreakdown/system"),
        ("ram_user", "/ramBreakdown/user"),
        ("overhead_cpu", "/overhead/CpuOverheadFraction"),
        ("overhead_ram", "/overhead/RamOverheadFraction"),
        ("overhead_cost", "/overhead/OverheadCostFraction"),
        ("byte_hours", "/byteHours"),
        ("byte_hours_used", "/byteHoursUsed"),
        ("byte_usage_max", "/byteUsageMax"),
        ("disk_idle", "/breakdown/idle"),
        ("disk_other", "/breakdown/other"),
        ("disk_system", "/breakdown/system"),
        ("disk_user", "/breakdown/user"),
    ] {
        items.numbers(column, pointer);
    }
    let private = items.items.iter().map(|item| item["private"].as_bool());
    let private = Arc::new(BooleanArray::from_iter(private));
    // Only what is one load balancer has an address.
    let members = items.items.iter().map(|item| match item.get("private") {
        Some(_) => 1,
        None => 2,
    });
    let members = Arc::new(Int64Array::from_iter_values(members));
    items
        .columns
        .extend([("private", private as ArrayRef), ("members", members)]);
    items.batch()
}

#[test]
fn allocations_are_written_as_in_the_golden_answers() {
    let answers = golden("alloc-");
    assert!(answers.len() > 20, "only {} golden answers found", answers.len());
    for (id, answer) in answers {
        let batch = allocations(&answer);
        compare(&id, &write::<Allocation>(heads(&answer), &batch), &answer, &DERIVED);
    }
}

#[test]
fn assets_are_written_as_in_the_golden_answers() {
    let answers = golden("assets-");
    assert!(answers.len() > 5, "only {} golden answers found", answers.len());
    for (id, answer) in answers {
        let batch = assets(&answer);
        compare(&id, &write::<Asset>(heads(&answer), &batch), &answer, &[]);
    }
}

#[test]
fn what_is_no_number_becomes_null() {
    let batch = RecordBatch::try_from_iter([
        ("set", Arc::new(UInt32Array::from(vec![0])) as ArrayRef),
        ("name", texts(["odd"].into_iter())),
        ("cpu_cost", Arc::new(Float64Array::from(vec![f64::NAN]))),
    ]);
    let mut window = Vec::new();
    json::window(&mut window, None);
    let sets = Sets {
        heads: vec![SetHead {
            window,
            ..SetHead::default()
        }],
        explanation: None,
    };
    let written = write::<Allocation>(sets, &batch.unwrap());
    let item = &written["data"][0]["odd"];
    for field in ["cpuCost", "totalCost", "start"] {
        assert_eq!(item[field], Value::Null, "{field}");
    }
    assert_eq!(item["ramCost"], 0);
    assert_eq!(item["minutes"], 0);
}
