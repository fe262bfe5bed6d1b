//! What things cost, for allocations and assets alike.

use crate::catalog::{Cloud, Site};
use crate::cluster::{Cluster, GIB, Node};
use crate::schedule::{Day, Span};

/// Part of the price on demand that spot machines cost.
const SPOT: f64 = 0.34;
const HOURS_PER_MONTH: f64 = 730.0;

/// What a node's resources cost per hour, after discount.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NodePrices {
    pub(crate) core_hour: f64,
    pub(crate) gib_hour: f64,
    pub(crate) gpu_hour: f64,
    /// Part of the price of cores and memory that is not paid.
    pub(crate) discount: f64,
}

impl NodePrices {
    pub(crate) fn of(node: &Node, site: &Site) -> Self {
        // Commitments do not apply to spot machines.
        let (factor, discount) = if node.spot { (SPOT, 0.0) } else { (1.0, site.discount) };
        Self {
            core_hour: node.instance.core_price * factor * (1.0 - discount),
            gib_hour: node.instance.gib_price * factor * (1.0 - discount),
            gpu_hour: node.instance.gpu_price * factor,
            discount,
        }
    }
}

/// Cost of a volume that stood for a span of time.
pub(crate) fn volume_cost(site: &Site, bytes: f64, span: Span) -> f64 {
    bytes / GIB * site.storage_price / HOURS_PER_MONTH * span.hours()
}

/// Cost of a load balancer that stood for a span of time.
pub(crate) fn load_balancer_cost(site: &Site, span: Span) -> f64 {
    site.load_balancer_price * span.hours()
}

/// By how much the bill differs from the costs of a day, in parts of them. Most days it agrees.
pub(crate) fn adjustment_rate(cluster: &Cluster, day: Day) -> f64 {
    let noise = cluster.noise.of("bill").at(day.0.cast_unsigned());
    if cluster.site.cloud == Cloud::OnPremises || !noise.chance(0.3) {
        return 0.0;
    }
    *noise.of("rate").pick(&[-0.06, -0.04, -0.02, 0.015])
}
