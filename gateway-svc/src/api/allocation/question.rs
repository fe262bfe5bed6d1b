//! From the parameters of a request to the question that query-svc answers.

use cost_model::{Aggregation, ParameterError, flag, naming::sanitize_label_name};
use fedcost_proto::query::v1 as proto;

use crate::{
    api::{filter, time_range::TimeRange},
    error::ApiError,
    face::Face,
    parameters::{Parameters, table},
};

/// Reads a question about allocations, all of them on one page.
pub(crate) fn read(
    parameters: &Parameters,
    face: Face,
    range: &TimeRange,
) -> Result<proto::QueryAllocationsRequest, ApiError> {
    let aggregation = Aggregation::parse(parameters.get(table::AGGREGATE.name).unwrap_or_default())?;
    Ok(proto::QueryAllocationsRequest {
        window: Some(range.window()),
        step: range.step().into(),
        aggregate: aggregation.to_items(),
        accumulate: range.accumulate().into(),
        filter: filter::allocations(parameters, face)?,
        idle: idle(parameters, face)?,
        sharing: sharing(parameters, face)?,
        include_aggregated_metadata: parameters.is_set(&table::INCLUDE_AGGREGATED_METADATA, face)?,
        include_proportional_asset_resource_costs: parameters.is_set(&table::INCLUDE_ASSET_SHARES, face)?,
        cost_metric: cost_metric(parameters)?.into(),
        page: None,
        explain: parameters.is_set(&table::EXPLAIN, face)?,
        steps_per_set: range.steps_per_set(),
        utc_offset_seconds: range.utc_offset_seconds(),
        as_of: parameters.get(table::AS_OF.name).unwrap_or_default().to_owned(),
        unreconciled: !parameters.is_set(&table::RECONCILE, face)?,
        // Whoever asks says it.
        scope: None,
    })
}

/// Reads which part of each set is answered, and in which order.
pub(crate) fn page(parameters: &Parameters, sort_by: &crate::parameters::Parameter) -> Result<proto::Page, ApiError> {
    Ok(proto::Page {
        offset: parameters.whole(&table::OFFSET)?.unwrap_or_default(),
        limit: parameters.whole(&table::LIMIT)?.unwrap_or_default(),
        sort_by: parameters.word(sort_by)?.unwrap_or_default().to_owned(),
        ascending: parameters.word(&table::SORT_BY_ORDER)? == Some("asc"),
    })
}

fn idle(parameters: &Parameters, face: Face) -> Result<Option<proto::Idle>, ParameterError> {
    let (first, second) = match face {
        Face::Kubecost => (&table::IDLE, &table::INCLUDE_IDLE),
        Face::OpenCost => (&table::INCLUDE_IDLE, &table::IDLE),
    };
    // Both are read, so that nonsense in either is refused.
    let asked = [parameters.flag(first)?, parameters.flag(second)?];
    let separate = match asked.into_iter().flatten().next() {
        Some(separate) => separate,
        None => parameters.is_set(first, face)?,
    };
    let by_node = parameters.is_set(&table::IDLE_BY_NODE, face)?;
    let split = parameters.is_set(&table::SPLIT_IDLE, face)?;
    let mode = match (share_idle(parameters)?, separate) {
        (true, _) => proto::IdleMode::Share,
        (false, true) => proto::IdleMode::Separate,
        (false, false) => return Ok(None),
    };
    Ok(Some(proto::Idle {
        mode: mode.into(),
        by_node,
        split,
    }))
}

/// A boolean, or the word for the one way in which idle cost is shared.
fn share_idle(parameters: &Parameters) -> Result<bool, ParameterError> {
    match parameters.get(table::SHARE_IDLE.name) {
        None => Ok(false),
        Some(word) if word.eq_ignore_ascii_case("weighted") => Ok(true),
        Some(text) => flag::parse(text).ok_or_else(|| table::SHARE_IDLE.malformed(text)),
    }
}

/// None when nothing is shared.
fn sharing(parameters: &Parameters, face: Face) -> Result<Option<proto::Sharing>, ParameterError> {
    let labels = parameters
        .list(&table::SHARE_LABELS)
        .map(|pair| match pair.split_once(':') {
            Some((name, value)) if !name.trim().is_empty() => Ok(proto::Label {
                name: sanitize_label_name(name.trim()),
                value: value.trim().to_owned(),
            }),
            _ => Err(table::SHARE_LABELS.malformed(pair)),
        })
        .collect::<Result<Vec<_>, _>>()?;
    let namespaces = parameters
        .list(&table::SHARE_NAMESPACES)
        .map(str::to_owned)
        .collect::<Vec<_>>();
    let cost_per_month = parameters.amount(&table::SHARE_COST)?.unwrap_or_default();
    let split = match parameters.word(&table::SHARE_SPLIT)? {
        Some("even") => proto::SharingSplit::Even,
        _ => proto::SharingSplit::Weighted,
    };
    let tenancy_costs = parameters.is_set(&table::SHARE_TENANCY_COSTS, face)?;
    let include_breakdown = parameters.is_set(&table::INCLUDE_SHARED_COST_BREAKDOWN, face)?;
    let shares = !namespaces.is_empty() || !labels.is_empty() || cost_per_month > 0.0 || tenancy_costs;
    Ok(shares.then(|| proto::Sharing {
        namespaces,
        labels,
        cost_per_month,
        split: split.into(),
        tenancy_costs,
        include_breakdown,
    }))
}

fn cost_metric(parameters: &Parameters) -> Result<proto::CostMetric, ParameterError> {
    let (metric, unit) = (
        parameters.word(&table::COST_METRIC)?,
        parameters.word(&table::COST_UNIT)?,
    );
    Ok(match metric.or(unit) {
        Some("hourly") => proto::CostMetric::Hourly,
        Some("daily") => proto::CostMetric::Daily,
        Some("monthly") => proto::CostMetric::Monthly,
        _ => proto::CostMetric::Cumulative,
    })
}

#[cfg(test)]
mod tests {
    use cost_model::Calendar;

    use super::*;

    fn question(face: Face, query: &str) -> proto::QueryAllocationsRequest {
        let parameters = Parameters::parse(&format!("window=7d&{query}"));
        let now = "2026-03-05T13:37:42Z".parse().unwrap();
        let range = TimeRange::read(&parameters, face, now, Calendar::utc(), 1000).unwrap();
        read(&parameters, face, &range).unwrap()
    }

    fn idle_mode(face: Face, query: &str) -> proto::IdleMode {
        question(face, query).idle.unwrap_or_default().mode()
    }

    #[test]
    fn idle_has_two_names_and_sharing_wins() {
        use proto::IdleMode::{Hide, Separate, Share};
        let cases = [
            (Face::Kubecost, "", Separate),
            (Face::OpenCost, "", Hide),
            (Face::Kubecost, "idle=false", Hide),
            (Face::Kubecost, "includeIdle=false", Hide),
            (Face::Kubecost, "idle=true&includeIdle=false", Separate),
            (Face::OpenCost, "idle=true", Separate),
            (Face::OpenCost, "idle=true&includeIdle=false", Hide),
            (Face::Kubecost, "idle=true&shareIdle=true", Share),
            (Face::OpenCost, "shareIdle=weighted", Share),
            (Face::Kubecost, "idle=True&shareIdle=False", Separate),
        ];
        for (face, query, expected) in cases {
            let mode = idle_mode(face, query);
            let mode = if mode == proto::IdleMode::Unspecified {
                Hide
            } else {
                mode
            };
            assert_eq!(mode, expected, "{face:?} {query}");
        }
        let split = question(Face::Kubecost, "splitIdle=True&idleByNode=True").idle.unwrap();
        assert!(split.split && split.by_node);
    }

    #[test]
    fn sharing_is_left_out_when_nothing_is_shared() {
        assert_eq!(question(Face::OpenCost, "shareCost=NaN&shareSplit=even").sharing, None);
        let sharing = question(Face::Kubecost, "").sharing.unwrap();
        assert!(sharing.tenancy_costs && sharing.include_breakdown);
        let sharing = question(
            Face::OpenCost,
            "shareNamespaces=a,b&shareLabels=app.io/x:y:z&shareCost=12.5&shareSplit=even",
        )
        .sharing
        .unwrap();
        assert_eq!(sharing.namespaces, ["a", "b"]);
        assert_eq!(
            (&*sharing.labels[0].name, &*sharing.labels[0].value),
            ("app_io_x", "y:z")
        );
        assert_eq!(sharing.cost_per_month, 12.5);
        assert_eq!(sharing.split(), proto::SharingSplit::Even);
        assert!(!sharing.tenancy_costs);
    }

    #[test]
    fn metrics_and_pages() {
        for query in ["costMetric=daily", "costUnit=Daily", "costMetric=daily&costUnit=hourly"] {
            assert_eq!(
                question(Face::Kubecost, query).cost_metric(),
                proto::CostMetric::Daily,
                "{query}"
            );
        }
        let parameters = Parameters::parse("offset=20&limit=10&sortBy=cpucost&sortByOrder=ASC");
        let page = page(&parameters, &table::SORT_BY).unwrap();
        assert_eq!(
            (page.offset, page.limit, &*page.sort_by, page.ascending),
            (20, 10, "cpuCost", true)
        );
    }
}
