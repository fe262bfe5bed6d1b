//! `/allocation/trends`: what each item cost against what it cost in the time before.

use std::collections::BTreeMap;

use axum::{
    Json,
    response::{IntoResponse, Response},
};
use chrono::Utc;
use cost_answer::AllocationColumns;
use fedcost_proto::query::v1::QueryAllocationsRequest;
use serde::Serialize;
use tokio::time::Instant;
use utoipa::ToSchema;

use super::{figures::Figures, question};
use crate::{
    Gateway,
    api::{incoming::Incoming, json::WindowJson, success::Success, time_range::TimeRange},
    error::ApiError,
    face::Face,
    parameters::{Parameters, table},
};

/// How costs changed from the window before to the one that was asked about.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Trends {
    /// By name, of what is in either window.
    allocation_trends: BTreeMap<String, Trend>,
    window: WindowJson,
    comparison_window: WindowJson,
}

#[derive(Serialize, ToSchema)]
struct Trend {
    trends: Kinds,
}

#[derive(Serialize, ToSchema)]
struct Kinds {
    costs: Costs,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Costs {
    total_cost: TotalCost,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct TotalCost {
    relative_change: Change,
}

/// A change of cost.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Change {
    /// It cost nothing before. The value is 0 then.
    is_infinite: bool,
    /// It cost nothing, before and now. The value is 0 then.
    #[serde(rename = "isNaN")]
    is_nan: bool,
    /// Current cost over the one before, minus one.
    value: f64,
}

impl Change {
    fn between(before: f64, current: f64) -> Self {
        let value = current / before - 1.0;
        Self {
            is_infinite: value.is_infinite(),
            is_nan: value.is_nan(),
            value: if value.is_finite() { value } else { 0.0 },
        }
    }
}

pub(crate) async fn trends(gateway: Gateway, face: Face, parameters: Parameters) -> Result<Response, ApiError> {
    let range = TimeRange::read(&parameters, face, Utc::now(), gateway.calendar, gateway.limits.sets)?.as_one_set();
    let before = range
        .before()
        .ok_or_else(|| table::WINDOW.malformed(parameters.get(table::WINDOW.name).unwrap_or_default()))?;
    let deadline = gateway.deadline();
    let (current_costs, costs_before) = tokio::try_join!(
        costs(&gateway, question::read(&parameters, face, &range)?, deadline),
        costs(&gateway, question::read(&parameters, face, &before)?, deadline),
    )?;
    let names: Vec<_> = parameters.list(&table::NAMES).collect();
    let mut pairs: BTreeMap<String, (f64, f64)> = BTreeMap::new();
    for (name, cost) in costs_before {
        pairs.entry(name).or_default().0 += cost;
    }
    for (name, cost) in current_costs {
        pairs.entry(name).or_default().1 += cost;
    }
    let allocation_trends = pairs
        .into_iter()
        .filter(|(name, _)| names.is_empty() || names.contains(&name.as_str()))
        .map(|(name, (before, current))| {
            let relative_change = Change::between(before, current);
            let costs = Costs {
                total_cost: TotalCost { relative_change },
            };
            (
                name,
                Trend {
                    trends: Kinds { costs },
                },
            )
        })
        .collect();
    Ok(Json(Success::of(Trends {
        allocation_trends,
        window: WindowJson::of(Some(&range.window())),
        comparison_window: WindowJson::of(Some(&before.window())),
    }))
    .into_response())
}

/// What each item cost.
async fn costs(
    gateway: &Gateway,
    question: QueryAllocationsRequest,
    deadline: Instant,
) -> Result<Vec<(String, f64)>, ApiError> {
    let stream = gateway.upstream.allocations(question, deadline).await?;
    let (_, mut incoming) = Incoming::open(stream, 1, deadline).await?;
    let mut costs = Vec::new();
    while let Some(batch) = incoming.next().await? {
        let columns = AllocationColumns::new(&batch)?;
        for row in 0..columns.rows() {
            let row = columns.row(row);
            costs.push((row.name.to_owned(), Figures::of(&row).total_cost()));
        }
    }
    Ok(costs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_a_ratio_minus_one() {
        let change = |is_infinite, is_nan, value| Change {
            is_infinite,
            is_nan,
            value,
        };
        assert_eq!(Change::between(2.0, 3.0), change(false, false, 0.5));
        assert_eq!(Change::between(2.0, 0.0), change(false, false, -1.0));
        assert_eq!(Change::between(0.0, 3.0), change(true, false, 0.0));
        assert_eq!(Change::between(0.0, 0.0), change(false, true, 0.0));
    }
}
