//! `/debug/ingestionSummary` and `/diagnostics/multicluster`.

use std::collections::BTreeMap;

use axum::{
    Json,
    response::{IntoResponse, Response},
};
use fedcost_proto::ingest::v1 as proto;
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    Gateway,
    api::{json::Time, success::Success},
    error::ApiError,
    parameters::{Parameters, table},
};

/// Which windows there are of a cluster, pipeline and resolution.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = IngestionSummary)]
pub(crate) struct Summary {
    cluster: String,
    /// `allocations` or `assets`.
    pipeline: String,
    /// `1d` or `1h`.
    resolution: String,
    /// Start of the first window.
    first_window: Option<Time>,
    /// End of the last window.
    last_window: Option<Time>,
    /// When a file was last written.
    last_upload: Option<Time>,
    windows: u64,
    /// Starts of the windows that are missing between the first of the cluster and the last that has passed.
    missing: Vec<Time>,
    files_set_aside: u64,
    files_with_warnings: u64,
    rows: u64,
    /// Whether the last window is the current one, or the one before it.
    fresh: bool,
}

impl Summary {
    fn of(coverage: &proto::Coverage) -> Self {
        Self {
            cluster: coverage.cluster.clone(),
            pipeline: coverage.pipeline.clone(),
            resolution: coverage.resolution.clone(),
            first_window: Time::of(coverage.first.as_ref()),
            last_window: Time::of(coverage.last.as_ref()),
            last_upload: Time::of(coverage.last_upload.as_ref()),
            windows: coverage.windows,
            missing: coverage
                .missing
                .iter()
                .filter_map(|start| Time::of(Some(start)))
                .collect(),
            files_set_aside: coverage.files_set_aside,
            files_with_warnings: coverage.files_with_warnings,
            rows: coverage.rows,
            fresh: coverage.fresh,
        }
    }
}

pub(crate) async fn summary(gateway: Gateway, parameters: Parameters) -> Result<Response, ApiError> {
    let cluster = parameters.get(table::CLUSTER.name).unwrap_or_default();
    let coverages = gateway.upstream.coverage(cluster, gateway.deadline()).await?;
    let summaries: Vec<_> = coverages.iter().map(Summary::of).collect();
    Ok(Json(Success::of(summaries)).into_response())
}

/// How all clusters are.
#[derive(Default, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct MultiCluster {
    overview: Overview,
    /// By the cluster's id.
    clusters: BTreeMap<String, ClusterDiagnostic>,
}

/// How many clusters are well.
#[derive(Default, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = MultiClusterOverview)]
pub(crate) struct Overview {
    clusters: u64,
    /// Clusters of which all is fresh, complete and free of errors.
    healthy: u64,
    /// Clusters of which some pipeline has had no window lately.
    stale: u64,
    /// Clusters of which some pipeline lacks windows.
    incomplete: u64,
    /// Clusters of which files are set aside.
    with_errors: u64,
}

/// How a cluster is.
#[derive(Default, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ClusterDiagnostic {
    healthy: bool,
    /// By pipeline and resolution, such as `allocations/1d`.
    pipelines: BTreeMap<String, PipelineDiagnostic>,
}

/// How a pipeline of a cluster is.
#[derive(Default, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PipelineDiagnostic {
    /// Whether the last window is the current one, or the one before it.
    fresh: bool,
    /// Whether no window is missing.
    complete: bool,
    /// Whether no file is set aside.
    free_of_errors: bool,
    windows: u64,
    missing_windows: u64,
    files_set_aside: u64,
    last_window: Option<Time>,
    last_upload: Option<Time>,
}

impl MultiCluster {
    fn of(coverages: &[proto::Coverage]) -> Self {
        let mut all = Self::default();
        for coverage in coverages {
            let pipeline = PipelineDiagnostic {
                fresh: coverage.fresh,
                complete: coverage.missing.is_empty(),
                free_of_errors: coverage.files_set_aside == 0,
                windows: coverage.windows,
                missing_windows: coverage.missing.len() as u64,
                files_set_aside: coverage.files_set_aside,
                last_window: Time::of(coverage.last.as_ref()),
                last_upload: Time::of(coverage.last_upload.as_ref()),
            };
            let name = format!("{}/{}", coverage.pipeline, coverage.resolution);
            let cluster = all.clusters.entry(coverage.cluster.clone()).or_default();
            cluster.pipelines.insert(name, pipeline);
        }
        for cluster in all.clusters.values_mut() {
            let any = |is_bad: fn(&PipelineDiagnostic) -> bool| cluster.pipelines.values().any(is_bad);
            let stale = any(|pipeline| !pipeline.fresh);
            let incomplete = any(|pipeline| !pipeline.complete);
            let with_errors = any(|pipeline| !pipeline.free_of_errors);
            cluster.healthy = !(stale || incomplete || with_errors);
            all.overview.clusters += 1;
            all.overview.healthy += u64::from(cluster.healthy);
            all.overview.stale += u64::from(stale);
            all.overview.incomplete += u64::from(incomplete);
            all.overview.with_errors += u64::from(with_errors);
        }
        all
    }
}

pub(crate) async fn multicluster(gateway: Gateway) -> Result<Response, ApiError> {
    let coverages = gateway.upstream.coverage("", gateway.deadline()).await?;
    Ok(Json(Success::of(MultiCluster::of(&coverages))).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_bad_pipeline_makes_a_cluster_unwell() {
        let coverage = |cluster: &str, pipeline: &str, fresh, missing, set_aside| proto::Coverage {
            cluster: cluster.to_owned(),
            pipeline: pipeline.to_owned(),
            resolution: "1d".to_owned(),
            fresh,
            missing: vec![prost_types::Timestamp::default(); missing],
            files_set_aside: set_aside,
            ..proto::Coverage::default()
        };
        let all = MultiCluster::of(&[
            coverage("a", "allocations", true, 0, 0),
            coverage("a", "assets", true, 0, 0),
            coverage("b", "allocations", false, 2, 0),
            coverage("b", "assets", true, 0, 0),
            coverage("c", "allocations", true, 0, 3),
        ]);
        let overview = &all.overview;
        assert_eq!((overview.clusters, overview.healthy), (3, 1));
        assert_eq!((overview.stale, overview.incomplete, overview.with_errors), (1, 1, 1));
        assert!(all.clusters["a"].healthy && !all.clusters["c"].healthy);
        assert_eq!(all.clusters["b"].pipelines["allocations/1d"].missing_windows, 2);
    }
}
