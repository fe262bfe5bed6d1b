//! `/allocation/summary/topline`: what everything together cost.

use std::collections::BTreeMap;

use axum::response::IntoResponse;
use axum::{Json, response::Response};
use chrono::{DateTime, Utc};
use cost_answer::{AllocationColumns, AllocationRow};
use cost_model::allocation::{ResourceCost, ResourceUse, minutes, total_efficiency};
use serde::Serialize;
use utoipa::ToSchema;

use super::question;
use crate::{
    Gateway,
    api::{
        incoming::Incoming,
        json::{self, Time, WindowJson},
        number::FiveDecimals,
        success::Success,
        time_range::TimeRange,
    },
    error::ApiError,
    face::Face,
    parameters::Parameters,
};

/// What everything together cost.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Topline {
    /// How many items there are.
    num_results: u64,
    combined: Combined,
}

#[derive(Serialize, ToSchema)]
struct Combined {
    /// One item, `total`.
    allocations: BTreeMap<&'static str, Total>,
    window: WindowJson,
}

/// The sum of all items.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Total {
    name: &'static str,
    start: Option<Time>,
    end: Option<Time>,
    cpu_core_request_average: FiveDecimals,
    cpu_core_usage_average: FiveDecimals,
    cpu_cost: FiveDecimals,
    gpu_cost: FiveDecimals,
    network_cost: FiveDecimals,
    load_balancer_cost: FiveDecimals,
    pv_cost: FiveDecimals,
    ram_byte_request_average: FiveDecimals,
    ram_byte_usage_average: FiveDecimals,
    ram_cost: FiveDecimals,
    shared_cost: FiveDecimals,
    external_cost: FiveDecimals,
    total_efficiency: FiveDecimals,
    total_cost: FiveDecimals,
}

pub(crate) async fn topline(gateway: Gateway, face: Face, parameters: Parameters) -> Result<Response, ApiError> {
    let range = TimeRange::read(&parameters, face, Utc::now(), gateway.calendar, gateway.limits.sets)?.as_one_set();
    let question = question::read(&parameters, face, &range)?;
    let deadline = gateway.deadline();
    let stream = gateway.upstream.allocations(question, deadline).await?;
    let (sets, mut incoming) = Incoming::open(stream, range.most_sets(), deadline).await?;
    let mut sum = Sum::default();
    while let Some(batch) = incoming.next().await? {
        let columns = AllocationColumns::new(&batch)?;
        for row in 0..columns.rows() {
            sum.add(&columns.row(row));
        }
    }
    Ok(Json(Success::of(Topline {
        num_results: sum.items,
        combined: Combined {
            allocations: BTreeMap::from([(TOTAL, sum.total())]),
            window: WindowJson::of(Some(&sets.window())),
        },
    }))
    .into_response())
}

const TOTAL: &str = "total";

#[derive(Default)]
struct Sum {
    items: u64,
    start: Option<DateTime<Utc>>,
    end: Option<DateTime<Utc>>,
    /// Amounts times minutes.
    cpu_request: f64,
    cpu_usage: f64,
    ram_request: f64,
    ram_usage: f64,
    cpu: ResourceCost,
    ram: ResourceCost,
    gpu: f64,
    network: f64,
    load_balancer: f64,
    pv: f64,
    shared: f64,
    external: f64,
}

impl Sum {
    fn add(&mut self, row: &AllocationRow<'_>) {
        let minutes = minutes(json::span(row.start, row.end));
        self.items += 1;
        self.start = self.start.into_iter().chain(row.start).min();
        self.end = self.end.max(row.end);
        self.cpu_request += row.cpu_core_request_average * minutes;
        self.cpu_usage += row.cpu_core_usage_average * minutes;
        self.ram_request += row.ram_byte_request_average * minutes;
        self.ram_usage += row.ram_byte_usage_average * minutes;
        self.cpu.cost += row.cpu_cost;
        self.cpu.adjustment += row.cpu_cost_adjustment;
        self.ram.cost += row.ram_cost;
        self.ram.adjustment += row.ram_cost_adjustment;
        self.gpu += row.gpu_cost + row.gpu_cost_adjustment;
        self.network += row.network_cost + row.network_cost_adjustment;
        self.load_balancer += row.load_balancer_cost + row.load_balancer_cost_adjustment;
        self.pv += row.volumes.clone().map(|volume| volume.cost).sum::<f64>() + row.pv_cost_adjustment;
        self.shared += row.shared_cost;
        self.external += row.external_cost;
    }

    fn total(&self) -> Total {
        let minutes = minutes(json::span(self.start, self.end));
        let average = |amount_minutes: f64| match minutes > 0.0 {
            true => amount_minutes / minutes,
            false => 0.0,
        };
        let cpu = ResourceUse {
            request: average(self.cpu_request),
            usage: average(self.cpu_usage),
            cost: self.cpu,
        };
        let ram = ResourceUse {
            request: average(self.ram_request),
            usage: average(self.ram_usage),
            cost: self.ram,
        };
        let total_cost = self.cpu.total()
            + self.ram.total()
            + self.gpu
            + self.network
            + self.load_balancer
            + self.pv
            + self.shared
            + self.external;
        Total {
            name: TOTAL,
            start: self.start.map(Time),
            end: self.end.map(Time),
            cpu_core_request_average: FiveDecimals(cpu.request),
            cpu_core_usage_average: FiveDecimals(cpu.usage),
            cpu_cost: FiveDecimals(self.cpu.total()),
            gpu_cost: FiveDecimals(self.gpu),
            network_cost: FiveDecimals(self.network),
            load_balancer_cost: FiveDecimals(self.load_balancer),
            pv_cost: FiveDecimals(self.pv),
            ram_byte_request_average: FiveDecimals(ram.request),
            ram_byte_usage_average: FiveDecimals(ram.usage),
            ram_cost: FiveDecimals(self.ram.total()),
            shared_cost: FiveDecimals(self.shared),
            external_cost: FiveDecimals(self.external),
            total_efficiency: FiveDecimals(total_efficiency(cpu, ram)),
            total_cost: FiveDecimals(total_cost),
        }
    }
}
