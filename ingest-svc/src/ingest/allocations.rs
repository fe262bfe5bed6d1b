//! From an allocation file to rows.

use std::sync::Arc;

use arrow::{
    array::{ArrayRef, BooleanArray, Int64Array, RecordBatch},
    compute::{filter_record_batch, or},
    error::ArrowError,
};
use bingen::{AllocationAmounts, AllocationPropertiesRecord, AllocationRecord, AllocationSetDecoder, Symbol};
use cost_model::naming::UNMOUNTED;
use lake::{TableName, schema::allocations};

use super::{
    census::Census,
    check::{Checks, Place},
    columns::{
        Lengths, MapColumn, Strings, batch, index, item, numbers, optional_numbers, same_string, same_time, structs,
        times,
    },
    decode::{DecodeFileError, Decoded},
};

const PROPERTIES: usize = allocations::PROPERTIES.len();
const SUMS: usize = allocations::SUMS.len();
const AVERAGES: usize = allocations::AVERAGES.len();

/// In the order of [`allocations::PROPERTIES`].
fn properties(record: &AllocationPropertiesRecord) -> [Symbol; PROPERTIES] {
    [
        record.cluster,
        record.node,
        record.namespace,
        record.controller_kind,
        record.controller,
        record.pod,
        record.container,
        record.provider_id,
    ]
}

/// In the order of [`allocations::SUMS`].
fn sums(amounts: &AllocationAmounts, pv_cost: f64) -> [f64; SUMS] {
    [
        amounts.cpu_core_hours,
        amounts.cpu_cost,
        amounts.cpu_cost_adjustment,
        amounts.gpu_hours,
        amounts.gpu_cost,
        amounts.gpu_cost_adjustment,
        amounts.network_transfer_bytes,
        amounts.network_receive_bytes,
        amounts.network_cost,
        amounts.network_cross_zone_cost,
        amounts.network_cross_region_cost,
        amounts.network_internet_cost,
        amounts.network_cost_adjustment,
        amounts.load_balancer_cost,
        amounts.load_balancer_cost_adjustment,
        pv_cost,
        amounts.pv_cost_adjustment,
        amounts.ram_byte_hours,
        amounts.ram_cost,
        amounts.ram_cost_adjustment,
        amounts.shared_cost,
        amounts.external_cost,
    ]
}

/// In the order of [`allocations::AVERAGES`].
fn averages(record: &AllocationRecord) -> [f64; AVERAGES] {
    let amounts = &record.amounts;
    let gpu = record.gpu_allocation.unwrap_or_default();
    [
        amounts.cpu_core_request_average,
        amounts.cpu_core_usage_average,
        gpu.request_average.unwrap_or(0.0),
        gpu.usage_average.unwrap_or(0.0),
        amounts.ram_bytes_request_average,
        amounts.ram_bytes_usage_average,
    ]
}

struct Columns {
    properties: [Vec<u32>; PROPERTIES],
    services: Vec<u32>,
    service_lengths: Lengths,
    /// Labels, annotations, and those of the namespace.
    maps: [MapColumn; 4],
    start: Vec<i64>,
    end: Vec<i64>,
    sums: [Vec<f64>; SUMS],
    averages: [Vec<f64>; AVERAGES],
    maxima: [Vec<Option<f64>>; 2],
    volumes: Volumes,
    load_balancers: LoadBalancers,
}

#[derive(Default)]
struct Volumes {
    strings: [Vec<u32>; 3],
    byte_hours: Vec<f64>,
    cost: Vec<f64>,
}

#[derive(Default)]
struct LoadBalancers {
    strings: [Vec<u32>; 3],
    cost: Vec<f64>,
    private: Vec<bool>,
    hours: Vec<f64>,
}

fn reserved<T>(rows: usize) -> Vec<T> {
    Vec::with_capacity(rows)
}

/// Reads all allocations of a file.
pub(super) fn decode(bytes: &[u8], place: Place<'_>) -> Result<Decoded, DecodeFileError> {
    let mut decoder = AllocationSetDecoder::new(bytes)?;
    let rows = decoder.capacity_hint();
    let mut columns = Columns {
        properties: std::array::from_fn(|_| reserved(rows)),
        services: Vec::new(),
        service_lengths: Lengths::new(rows),
        maps: std::array::from_fn(|_| MapColumn::new(rows)),
        start: reserved(rows),
        end: reserved(rows),
        sums: std::array::from_fn(|_| reserved(rows)),
        averages: std::array::from_fn(|_| reserved(rows)),
        maxima: std::array::from_fn(|_| reserved(rows)),
        volumes: Volumes::default(),
        load_balancers: LoadBalancers::default(),
    };
    let mut checks = Checks::new(place);
    let mut census = Census::default();
    let (mut volume_lengths, mut balancer_lengths) = (Lengths::new(rows), Lengths::new(rows));
    while let Some(record) = decoder.next()? {
        checks.row(record.key, record.properties.cluster);
        census.count(record);
        columns.push(record, &mut checks);
        volume_lengths.end_row(columns.volumes.cost.len());
        balancer_lengths.end_row(columns.load_balancers.cost.len());
    }
    let finished = decoder.finish()?;
    let strings = Strings::new(&finished.strings);
    let kept = checks.kept();
    let envelope = &finished.envelope;
    let agent = [envelope.warnings.len(), envelope.errors.len()];
    let warnings = checks.finish(&finished.strings, envelope.window, agent, columns.start.len())?;
    let mut rows = columns.finish(&strings, place, volume_lengths, balancer_lengths)?;
    if let Some(kept) = kept {
        rows = filter_record_batch(&rows, &BooleanArray::from(kept))?;
    }
    Ok(Decoded {
        rows,
        warnings,
        figures: census.figures(),
    })
}

impl Columns {
    fn push(&mut self, record: &AllocationRecord, checks: &mut Checks<'_>) {
        for (column, symbol) in self.properties.iter_mut().zip(properties(&record.properties)) {
            column.push(index(symbol));
        }
        self.services
            .extend(record.properties.services.iter().map(|service| index(*service)));
        self.service_lengths.end_row(self.services.len());
        let maps = [
            &record.properties.labels,
            &record.properties.annotations,
            &record.properties.namespace_labels,
            &record.properties.namespace_annotations,
        ];
        for (column, map) in self.maps.iter_mut().zip(maps) {
            column.push(map);
        }
        let (start, end) = checks.times(record.start, record.end);
        self.start.push(start);
        self.end.push(end);
        let first_volume = self.volumes.cost.len();
        for volume in &record.pvs {
            self.volumes.push(volume, checks);
        }
        for balancer in &record.load_balancers {
            self.load_balancers.push(balancer, checks);
        }
        let pv_cost = self.volumes.cost[first_volume..].iter().sum();
        let names = allocations::SUMS.into_iter();
        for ((column, value), name) in self.sums.iter_mut().zip(sums(&record.amounts, pv_cost)).zip(names) {
            column.push(match name.rsplit('_').next() {
                // Of volumes it was checked one by one.
                Some("cost") if name == "pv_cost" => value,
                Some("cost") => checks.cost(value),
                Some("adjustment") => checks.number(value),
                _ => checks.amount(value),
            });
        }
        for (column, value) in self.averages.iter_mut().zip(averages(record)) {
            column.push(checks.amount(value));
        }
        let raw = record.raw_allocation_only.as_ref();
        let [cpu, ram] = &mut self.maxima;
        cpu.push(raw.map(|raw| checks.amount(raw.cpu_core_usage_max)));
        ram.push(raw.map(|raw| checks.amount(raw.ram_bytes_usage_max)));
    }

    fn finish(
        self,
        strings: &Strings,
        place: Place<'_>,
        volume_lengths: Lengths,
        balancer_lengths: Lengths,
    ) -> Result<RecordBatch, ArrowError> {
        let Place { cluster, window, .. } = place;
        let schema = TableName::Allocations.schema();
        let rows = self.start.len();
        let mut columns: Vec<(&'static str, ArrayRef)> = vec![
            (allocations::FEDERATED_CLUSTER, same_string(cluster, rows)),
            (allocations::WINDOW_START, same_time(window.start, rows)),
            (allocations::WINDOW_END, same_time(window.end, rows)),
            (allocations::START, times(self.start)),
            (allocations::END, times(self.end)),
            (allocations::MEMBERS, Arc::new(Int64Array::from(vec![1; rows]))),
        ];
        let [.., namespaces, _, _, pods, containers, _] = &self.properties;
        let unmounted = |symbols: &Vec<u32>| strings.are(symbols, UNMOUNTED);
        let unmounted = or(&or(&unmounted(namespaces), &unmounted(pods))?, &unmounted(containers))?;
        columns.push((allocations::UNMOUNTED, Arc::new(unmounted)));
        for (name, symbols) in allocations::PROPERTIES.into_iter().zip(self.properties) {
            columns.push((name, strings.column(symbols)?));
        }
        let services = strings.column(self.services)?;
        let field = schema.field_with_name(allocations::SERVICES)?;
        columns.push((allocations::SERVICES, self.service_lengths.list(field, services)?));
        let maps = allocations::MEMBER_MAPS.into_iter().chain(allocations::NAMESPACE_MAPS);
        for (name, map) in maps.zip(self.maps) {
            columns.push((name, map.finish(schema.field_with_name(name)?, strings)?));
        }
        columns.extend(allocations::SUMS.into_iter().zip(self.sums.map(numbers)));
        columns.extend(allocations::AVERAGES.into_iter().zip(self.averages.map(numbers)));
        columns.extend(allocations::MAXIMA.into_iter().zip(self.maxima.map(optional_numbers)));

        let field = schema.field_with_name(allocations::VOLUMES)?;
        let [cluster, name, provider_id] = self.volumes.strings;
        let volumes = vec![
            strings.column(cluster)?,
            strings.column(name)?,
            numbers(self.volumes.byte_hours),
            numbers(self.volumes.cost),
            strings.column(provider_id)?,
        ];
        let volumes = Arc::new(structs(item(field)?, volumes)?);
        columns.push((allocations::VOLUMES, volume_lengths.list(field, volumes)?));

        let field = schema.field_with_name(allocations::LOAD_BALANCERS)?;
        let [key, service, ip] = self.load_balancers.strings;
        let balancers = vec![
            strings.column(key)?,
            strings.column(service)?,
            numbers(self.load_balancers.cost),
            Arc::new(BooleanArray::from(self.load_balancers.private)),
            strings.column(ip)?,
            numbers(self.load_balancers.hours),
        ];
        let balancers = Arc::new(structs(item(field)?, balancers)?);
        columns.push((allocations::LOAD_BALANCERS, balancer_lengths.list(field, balancers)?));
        batch(schema, columns)
    }
}

impl Volumes {
    fn push(&mut self, volume: &bingen::PvRecord, checks: &mut Checks<'_>) {
        let symbols = [volume.cluster, volume.name, volume.provider_id];
        for (column, symbol) in self.strings.iter_mut().zip(symbols) {
            column.push(index(symbol));
        }
        self.byte_hours.push(checks.amount(volume.byte_hours));
        self.cost.push(checks.cost(volume.cost));
    }
}

impl LoadBalancers {
    fn push(&mut self, balancer: &bingen::LbRecord, checks: &mut Checks<'_>) {
        for (column, symbol) in self
            .strings
            .iter_mut()
            .zip([balancer.key, balancer.service, balancer.ip])
        {
            column.push(index(symbol));
        }
        self.cost.push(checks.cost(balancer.cost));
        self.private.push(balancer.private);
        self.hours.push(checks.amount(balancer.hours));
    }
}
