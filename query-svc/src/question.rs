//! Questions as they are understood: checked, and in the words of the cost model.

use cost_model::{Aggregation, AllocationFilter, AssetAggregation, AssetFilter};

use crate::plan::Sets;

/// A question about allocations.
#[derive(Clone, Debug)]
pub(crate) struct AllocationQuestion {
    pub(crate) sets: Sets,
    pub(crate) aggregation: Aggregation,
    pub(crate) filter: AllocationFilter,
    pub(crate) idle: Idle,
    pub(crate) sharing: Sharing,
    pub(crate) metadata: bool,
    pub(crate) asset_shares: bool,
    pub(crate) cost_metric: CostMetric,
    pub(crate) page: Page,
}

/// A question about assets.
#[derive(Clone, Debug)]
pub(crate) struct AssetQuestion {
    pub(crate) sets: Sets,
    pub(crate) aggregation: AssetAggregation,
    pub(crate) filter: AssetFilter,
    pub(crate) page: Page,
}

/// What becomes of idle cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum IdleMode {
    Hide,
    Separate,
    Share,
}

/// What becomes of idle cost, and how finely it is computed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Idle {
    pub(crate) mode: IdleMode,
    pub(crate) by_node: bool,
    pub(crate) split: bool,
}

/// What is shared out.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sharing {
    pub(crate) namespaces: Vec<String>,
    /// Names and values.
    pub(crate) labels: Vec<(String, String)>,
    /// Flat cost per hour.
    pub(crate) cost_per_hour: f64,
    pub(crate) even: bool,
    pub(crate) tenancy_costs: bool,
    pub(crate) breakdown: bool,
}

impl Sharing {
    /// Whether some allocations are shared.
    pub(crate) fn shares_allocations(&self) -> bool {
        !self.namespaces.is_empty() || !self.labels.is_empty()
    }

    /// Whether anything is shared among all that is answered.
    pub(crate) fn is_any(&self) -> bool {
        self.shares_allocations() || self.cost_per_hour > 0.0
    }
}

/// What costs are stated per.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CostMetric {
    Cumulative,
    Hourly,
    Daily,
    Monthly,
}

impl CostMetric {
    /// What a cost over this many hours is multiplied by.
    pub(crate) fn factor(self, hours: f64) -> f64 {
        /// Hours in a month, as cloud providers count them.
        const MONTH: f64 = 730.0;
        let of = |span: f64| if hours > 0.0 { span / hours } else { 0.0 };
        match self {
            Self::Cumulative => 1.0,
            Self::Hourly => of(1.0),
            Self::Daily => of(24.0),
            Self::Monthly => of(MONTH),
        }
    }
}

/// Order of each set, and which part of it is answered.
#[derive(Clone, Debug, Default)]
pub(crate) struct Page {
    pub(crate) offset: usize,
    /// None answers all.
    pub(crate) limit: Option<usize>,
    pub(crate) sort_by: SortBy,
    pub(crate) ascending: bool,
}

/// What items are put in order by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum SortBy {
    #[default]
    TotalCost,
    Name,
    /// The sum of columns, such as a cost and its adjustment.
    Columns(&'static [&'static str]),
    TotalEfficiency,
    CpuEfficiency,
    RamEfficiency,
    GpuEfficiency,
}

impl SortBy {
    /// What the parameter takes.
    pub(crate) const TAKES: &'static str = "totalCost, name, cpuCost, gpuCost, ramCost, pvCost, networkCost, \
         loadBalancerCost, sharedCost, externalCost, adjustment, cpuEfficiency, ramEfficiency, gpuEfficiency, totalEfficiency";

    /// Reads a field's name as it stands in JSON, in any case; none for a field that nothing is sorted by.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        Some(match text.trim().to_ascii_lowercase().as_str() {
            "" | "totalcost" | "cost" | "total" => Self::TotalCost,
            "name" => Self::Name,
            "cpucost" => Self::Columns(&["cpu_cost", "cpu_cost_adjustment"]),
            "gpucost" => Self::Columns(&["gpu_cost", "gpu_cost_adjustment"]),
            "ramcost" => Self::Columns(&["ram_cost", "ram_cost_adjustment"]),
            "pvcost" => Self::Columns(&["pv_cost", "pv_cost_adjustment"]),
            "networkcost" => Self::Columns(&["network_cost", "network_cost_adjustment"]),
            "loadbalancercost" => Self::Columns(&["load_balancer_cost", "load_balancer_cost_adjustment"]),
            "adjustment" => Self::Columns(&["adjustment"]),
            "sharedcost" => Self::Columns(&["shared_cost"]),
            "externalcost" => Self::Columns(&["external_cost"]),
            "totalefficiency" | "efficiency" => Self::TotalEfficiency,
            "cpuefficiency" => Self::CpuEfficiency,
            "ramefficiency" => Self::RamEfficiency,
            "gpuefficiency" => Self::GpuEfficiency,
            _ => return None,
        })
    }
}
