//! Checking questions as they come in.

use std::ops::RangeInclusive;

use chrono::{DateTime, Datelike as _, FixedOffset};
use cost_model::{
    Accumulate, Aggregation, AllocationFilter, AssetAggregation, AssetFilter, Calendar, Step, Window, filter::Leniency,
    naming::sanitize_label_name,
};
use fedcost_proto::query::v1 as proto;
use prost_types::Timestamp;

use super::error::QueryError;
use crate::{
    plan::Sets,
    question::{AllocationQuestion, AssetQuestion, CostMetric, Idle, IdleMode, Page, Sharing, SortBy},
};

/// Years that a window may be in. Calendars widen it by months at most, and nothing that they can hold ends nearby.
const YEARS: RangeInclusive<i32> = -10_000..=10_000;

/// Hours in a month, as flat costs count them.
const HOURS_PER_MONTH: f64 = 730.0;

pub(super) fn allocations(request: &proto::QueryAllocationsRequest) -> Result<AllocationQuestion, QueryError> {
    Ok(AllocationQuestion {
        sets: sets(
            request.window,
            request.step(),
            request.accumulate(),
            request.steps_per_set,
            request.utc_offset_seconds,
        )?,
        aggregation: Aggregation::from_items(request.aggregate.iter().map(String::as_str))?,
        filter: AllocationFilter::parse(&request.filter, Leniency::Strict)?,
        idle: idle(request.idle.unwrap_or_default()),
        sharing: sharing(request.sharing.clone().unwrap_or_default())?,
        metadata: request.include_aggregated_metadata,
        asset_shares: request.include_proportional_asset_resource_costs,
        cost_metric: match request.cost_metric() {
            proto::CostMetric::Unspecified | proto::CostMetric::Cumulative => CostMetric::Cumulative,
            proto::CostMetric::Hourly => CostMetric::Hourly,
            proto::CostMetric::Daily => CostMetric::Daily,
            proto::CostMetric::Monthly => CostMetric::Monthly,
        },
        page: page(request.page.clone().unwrap_or_default())?,
    })
}

pub(super) fn assets(request: &proto::QueryAssetsRequest) -> Result<AssetQuestion, QueryError> {
    Ok(AssetQuestion {
        sets: sets(
            request.window,
            request.step(),
            request.accumulate(),
            request.steps_per_set,
            request.utc_offset_seconds,
        )?,
        aggregation: AssetAggregation::from_items(request.aggregate.iter().map(String::as_str))?,
        filter: AssetFilter::parse(&request.filter, Leniency::Strict)?,
        page: page(request.page.clone().unwrap_or_default())?,
    })
}

fn idle(idle: proto::Idle) -> Idle {
    Idle {
        mode: match idle.mode() {
            proto::IdleMode::Unspecified | proto::IdleMode::Hide => IdleMode::Hide,
            proto::IdleMode::Separate => IdleMode::Separate,
            proto::IdleMode::Share => IdleMode::Share,
        },
        by_node: idle.by_node,
        split: idle.split,
    }
}

fn sharing(sharing: proto::Sharing) -> Result<Sharing, QueryError> {
    let cost_per_month = sharing.cost_per_month;
    if !cost_per_month.is_finite() || cost_per_month < 0.0 {
        return Err(QueryError::Field {
            field: "shareCost",
            got: cost_per_month.to_string(),
            takes: "a cost per month, 0 or more",
        });
    }
    let even = sharing.split() == proto::SharingSplit::Even;
    let labels = sharing.labels.into_iter();
    let mut labels: Vec<_> = labels
        .map(|label| (sanitize_label_name(&label.name), label.value))
        .collect();
    // Of several labels the first by name says what an allocation is shared as.
    labels.sort();
    Ok(Sharing {
        namespaces: sharing.namespaces,
        labels,
        cost_per_hour: cost_per_month / HOURS_PER_MONTH,
        even,
        tenancy_costs: sharing.tenancy_costs,
        breakdown: sharing.include_breakdown,
    })
}

fn page(page: proto::Page) -> Result<Page, QueryError> {
    let sort_by = SortBy::parse(&page.sort_by).ok_or(QueryError::Field {
        field: "sortBy",
        got: page.sort_by,
        takes: SortBy::TAKES,
    })?;
    let count = |count: u64| usize::try_from(count).unwrap_or(usize::MAX);
    Ok(Page {
        offset: count(page.offset),
        limit: (page.limit > 0).then(|| count(page.limit)),
        sort_by,
        ascending: page.ascending,
    })
}

/// A window as it is understood.
pub(super) fn window(window: Option<proto::Window>) -> Result<Window, QueryError> {
    let time = |time: Option<Timestamp>| {
        let time = time?;
        let time = DateTime::from_timestamp(time.seconds, u32::try_from(time.nanos).ok()?)?;
        YEARS.contains(&time.year()).then_some(time)
    };
    window
        .and_then(|window| Window::new(time(window.start)?, time(window.end)?))
        .ok_or(QueryError::Window)
}

fn sets(
    span: Option<proto::Window>,
    step: proto::Step,
    accumulate: proto::Accumulate,
    steps_per_set: u32,
    utc_offset_seconds: i32,
) -> Result<Sets, QueryError> {
    let offset = FixedOffset::east_opt(utc_offset_seconds).ok_or_else(|| QueryError::Field {
        field: "utc_offset_seconds",
        got: utc_offset_seconds.to_string(),
        takes: "less than a day in either direction",
    })?;
    let step = match step {
        proto::Step::Hour => Step::Hour,
        proto::Step::Unspecified | proto::Step::Day => Step::Day,
    };
    let accumulate = match accumulate {
        proto::Accumulate::Unspecified | proto::Accumulate::None => Accumulate::None,
        proto::Accumulate::All => Accumulate::All,
        proto::Accumulate::Hour => Accumulate::Hour,
        proto::Accumulate::Day => Accumulate::Day,
        proto::Accumulate::Week => Accumulate::Week,
        proto::Accumulate::Month => Accumulate::Month,
        proto::Accumulate::Quarter => Accumulate::Quarter,
    };
    let per_set = steps_per_set as usize;
    Ok(Sets::new(
        window(span)?,
        step,
        accumulate,
        per_set,
        Calendar::at(offset),
    )?)
}
