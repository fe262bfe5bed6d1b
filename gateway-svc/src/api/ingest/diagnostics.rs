//! `/diagnostic/…`: figures on the quality of the data, by day and cluster.

use std::collections::BTreeMap;

use axum::{
    Json,
    response::{IntoResponse, Response},
};
use fedcost_proto::ingest::v1::SourceFile;
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    Gateway,
    api::{json::Time, success::Success},
    error::ApiError,
    parameters::{Parameters, table},
};

/// Which figure is asked for. Only daily windows are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Which {
    /// Windows that the tables have, by pipeline.
    TableWindowCount,
    CoreCount,
    NodeCount,
    ContainersPerDay,
    NodesPerDay,
    ContainerLabelStats,
    ContainerAnnotationStats,
    ContainerWithoutMatchingNode,
    ContainerDuplicateNoId,
    ContainerDuplicateWithId,
    NodeDuplicateNoId,
    ReconciledCost,
    OverAllocatedCost,
}

impl Which {
    /// What the figure is made of, and what it is stated as a part of.
    fn figures(self) -> (&'static str, Option<&'static str>) {
        match self {
            Self::TableWindowCount => ("windows", None),
            Self::CoreCount => ("cores", None),
            Self::NodeCount | Self::NodesPerDay => ("nodes", None),
            Self::ContainersPerDay => ("containers", None),
            Self::ContainerLabelStats => ("containers_with_labels", Some("containers")),
            Self::ContainerAnnotationStats => ("containers_with_annotations", Some("containers")),
            Self::ContainerWithoutMatchingNode => ("containers_without_node", None),
            Self::ContainerDuplicateNoId => ("container_duplicates", None),
            Self::ContainerDuplicateWithId => ("container_duplicates_with_id", None),
            Self::NodeDuplicateNoId => ("node_duplicates", None),
            Self::ReconciledCost => ("reconciled_cost", None),
            Self::OverAllocatedCost => ("over_allocated_cost", None),
        }
    }
}

/// A figure of every cluster on one day.
#[derive(Debug, Default, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = DiagnosticFigures)]
pub(crate) struct Figures {
    window_start: Option<Time>,
    /// By cluster; for windows by `allocations` and `assets`.
    values: BTreeMap<String, f64>,
    /// The sum of them.
    total: f64,
    /// What part of all that is, where the figure counts some of a whole.
    ratio: Option<f64>,
}

fn figures_of(which: Which, files: &[SourceFile]) -> Vec<Figures> {
    let (name, whole) = which.figures();
    let mut days: BTreeMap<i64, (Figures, f64)> = BTreeMap::new();
    for file in files.iter().filter(|file| file.resolution == "1d") {
        let (key, value) = match which {
            Which::TableWindowCount if file.error.is_empty() || file.rows > 0 => (&file.pipeline, 1.0),
            Which::TableWindowCount => continue,
            _ => match file.figures.get(name) {
                Some(value) => (&file.cluster, *value),
                None => continue,
            },
        };
        let start = file.window_start.as_ref();
        let (figures, of) = days.entry(start.map_or(0, |start| start.seconds)).or_default();
        figures.window_start = Time::of(start);
        *figures.values.entry(key.clone()).or_default() += value;
        figures.total += value;
        *of += whole.and_then(|whole| file.figures.get(whole)).copied().unwrap_or(0.0);
    }
    let days = days.into_values();
    days.map(|(figures, of)| Figures {
        ratio: whole.map(|_| if of > 0.0 { figures.total / of } else { 0.0 }),
        ..figures
    })
    .collect()
}

pub(crate) async fn figures(gateway: &Gateway, parameters: &Parameters, which: Which) -> Result<Response, ApiError> {
    let cluster = parameters.get(table::CLUSTER.name).unwrap_or_default();
    let files = gateway.upstream.files(cluster, false, gateway.deadline()).await?;
    Ok(Json(Success::of(figures_of(which, &files))).into_response())
}

/// The handler of one figure.
macro_rules! handlers {
    ($($name:ident => $which:ident),+ $(,)?) => {
        $(
            pub(crate) async fn $name(
                gateway: Gateway,
                parameters: Parameters,
            ) -> Result<Response, ApiError> {
                figures(&gateway, &parameters, Which::$which).await
            }
        )+
    };
}

/// One handler for each figure.
pub(crate) mod each {
    use super::*;

    handlers! {
        table_window_count => TableWindowCount,
        core_count => CoreCount,
        node_count => NodeCount,
        containers_per_day => ContainersPerDay,
        nodes_per_day => NodesPerDay,
        container_label_stats => ContainerLabelStats,
        container_annotation_stats => ContainerAnnotationStats,
        container_without_matching_node => ContainerWithoutMatchingNode,
        container_duplicate_no_id => ContainerDuplicateNoId,
        container_duplicate_with_id => ContainerDuplicateWithId,
        node_duplicate_no_id => NodeDuplicateNoId,
        reconciled_cost => ReconciledCost,
        over_allocated_cost => OverAllocatedCost,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(cluster: &str, day: i64, figures: &[(&str, f64)]) -> SourceFile {
        SourceFile {
            cluster: cluster.to_owned(),
            pipeline: "allocations".to_owned(),
            resolution: "1d".to_owned(),
            window_start: Some(prost_types::Timestamp {
                seconds: day * 86_400,
                nanos: 0,
            }),
            figures: figures
                .iter()
                .map(|(name, value)| ((*name).to_owned(), *value))
                .collect(),
            ..SourceFile::default()
        }
    }

    #[test]
    fn figures_are_by_day_and_cluster() {
        let mut hourly = file("a", 0, &[("containers", 100.0)]);
        hourly.resolution = "1h".to_owned();
        let files = [
            file("a", 0, &[("containers", 10.0), ("containers_with_labels", 4.0)]),
            file("b", 0, &[("containers", 30.0), ("containers_with_labels", 6.0)]),
            file("a", 1, &[("containers", 5.0), ("containers_with_labels", 5.0)]),
            hourly,
        ];
        let days = figures_of(Which::ContainerLabelStats, &files);
        let found: Vec<_> = days.iter().map(|day| (day.total, day.ratio)).collect();
        assert_eq!(found, [(10.0, Some(0.25)), (5.0, Some(1.0))]);
        assert_eq!(
            days[0].values,
            BTreeMap::from([("a".to_owned(), 4.0), ("b".to_owned(), 6.0)])
        );
        let windows = figures_of(Which::TableWindowCount, &files);
        assert_eq!((windows[0].total, windows[0].ratio), (2.0, None));
    }
}
