//! All parameters, each described once: for whoever reads the API's description, and for whoever sent something that
//! the parameter does not take.

use super::{
    Kind::{Amount, Flag, List, OneOf, Text, Whole},
    Omitted::{self, Faces, Nothing, Required, Value},
    Parameter,
};

const FLAG: &str = "true or false";

const fn flag(name: &'static str, about: &'static str, omitted: Omitted) -> Parameter {
    Parameter {
        name,
        about,
        takes: FLAG,
        kind: Flag,
        omitted,
    }
}

const fn text(name: &'static str, about: &'static str, takes: &'static str) -> Parameter {
    Parameter {
        name,
        about,
        takes,
        kind: Text,
        omitted: Nothing,
    }
}

const fn list(name: &'static str, about: &'static str, takes: &'static str) -> Parameter {
    Parameter {
        name,
        about,
        takes,
        kind: List,
        omitted: Nothing,
    }
}

const fn words(
    name: &'static str,
    about: &'static str,
    takes: &'static str,
    words: &'static [&'static str],
    omitted: Omitted,
) -> Parameter {
    Parameter {
        name,
        about,
        takes,
        kind: OneOf(words),
        omitted,
    }
}

const fn window(name: &'static str, about: &'static str) -> Parameter {
    Parameter {
        name,
        about,
        takes: "15m, 24h, 7d or 2w, optionally with an offset (7d offset 1d); today, yesterday, week, month, lastweek \
                or lastmonth; or two Unix seconds or RFC 3339 times joined by a comma",
        kind: Text,
        omitted: Required,
    }
}

pub(crate) const WINDOW: Parameter = window("window", "The time that is asked about. Partial steps are widened.");
pub(crate) const BEFORE: Parameter = window("before", "The earlier of the two times that are compared.");
pub(crate) const AFTER: Parameter = window("after", "The later of the two times that are compared.");
pub(crate) const STEP: Parameter = Parameter {
    name: "step",
    about: "How long a set is before it is accumulated. Elsewhere than under /model, the whole window is one set \
            unless a step is given.",
    takes: "1h, 1d, 1w, or another duration of whole hours or days, such as 6h or 3d",
    kind: Text,
    omitted: Faces("1d", "the window"),
};
pub(crate) const ACCUMULATE: Parameter = words(
    "accumulate",
    "How sets are added up over time; `true` and `all` give one set.",
    "true, false, hour, day, week, month, quarter or all",
    &["true", "false", "hour", "day", "week", "month", "quarter", "all"],
    Value("false"),
);
pub(crate) const ACCUMULATE_BY: Parameter = words(
    "accumulateBy",
    "The same as `accumulate`; when both are given, this one counts.",
    ACCUMULATE.takes,
    &["true", "false", "hour", "day", "week", "month", "quarter", "all"],
    Nothing,
);
pub(crate) const AGGREGATE: Parameter = list(
    "aggregate",
    "What allocations are added up by. Left out: one allocation per container.",
    "cluster, node, namespace, controllerKind, controller, deployment, daemonset, statefulset, job, service, pod, \
     container, providerID, department, environment, owner, product, team, label:NAME, annotation:NAME, joined by \
     commas; or all",
);
pub(crate) const ASSET_AGGREGATE: Parameter = list(
    "aggregate",
    "What assets are added up by. Left out: one asset per resource.",
    "type, cluster, provider, account, project, category, service, name, providerID, label:NAME, joined by commas; or \
     all",
);
pub(crate) const IDLE: Parameter = flag(
    "idle",
    "Whether what nothing used is an item of its own. The same as `includeIdle`.",
    Faces("true", "false"),
);
pub(crate) const INCLUDE_IDLE: Parameter = flag(
    "includeIdle",
    "Whether what nothing used is an item of its own. The same as `idle`; under /model, `idle` counts when both are \
     given, elsewhere this one.",
    Faces("true", "false"),
);
pub(crate) const SHARE_IDLE: Parameter = words(
    "shareIdle",
    "Whether what nothing used is shared out, by cost of each resource, to what used the same cluster or node. Then \
     it is no item of its own.",
    "true, false or weighted",
    &["true", "false", "weighted"],
    Value("false"),
);
pub(crate) const SPLIT_IDLE: Parameter = flag(
    "splitIdle",
    "Whether there is an idle item per cluster or node, rather than one in all.",
    Value("false"),
);
pub(crate) const IDLE_BY_NODE: Parameter = flag(
    "idleByNode",
    "Whether idle cost is computed per node rather than per cluster.",
    Value("false"),
);
pub(crate) const SHARE_NAMESPACES: Parameter = list(
    "shareNamespaces",
    "Namespaces whose cost is shared out among the others.",
    "namespaces joined by commas",
);
pub(crate) const SHARE_LABELS: Parameter = list(
    "shareLabels",
    "Labels; the cost of what has one of them is shared out among the others.",
    "name:value pairs joined by commas",
);
pub(crate) const SHARE_COST: Parameter = Parameter {
    name: "shareCost",
    about: "A flat cost per month of 730 hours that is shared out.",
    takes: "a number that is not negative; NaN means none",
    kind: Amount,
    omitted: Nothing,
};
pub(crate) const SHARE_SPLIT: Parameter = words(
    "shareSplit",
    "How shared cost is split: by what each item cost before, or evenly.",
    "weighted or even",
    &["weighted", "even"],
    Value("weighted"),
);
pub(crate) const SHARE_TENANCY_COSTS: Parameter = flag(
    "shareTenancyCosts",
    "Whether what a cluster costs beside its machines is shared out in the cluster.",
    Faces("true", "false"),
);
pub(crate) const INCLUDE_SHARED_COST_BREAKDOWN: Parameter = flag(
    "includeSharedCostBreakdown",
    "Whether items say what their shared cost consists of.",
    Faces("true", "false"),
);
pub(crate) const INCLUDE_AGGREGATED_METADATA: Parameter = flag(
    "includeAggregatedMetadata",
    "Whether aggregates have the labels and annotations that their members agree on.",
    Value("false"),
);
pub(crate) const INCLUDE_ASSET_SHARES: Parameter = flag(
    "includeProportionalAssetResourceCosts",
    "Whether items say what part of each asset's cost is theirs.",
    Value("false"),
);
const METRICS: &[&str] = &["cumulative", "hourly", "daily", "monthly"];
pub(crate) const COST_METRIC: Parameter = words(
    "costMetric",
    "What costs are stated per: the whole window, an hour, a day, or a month of 730 hours.",
    "cumulative, hourly, daily or monthly",
    METRICS,
    Value("cumulative"),
);
pub(crate) const COST_UNIT: Parameter = words(
    "costUnit",
    "The same as `costMetric`, which counts when both are given.",
    COST_METRIC.takes,
    METRICS,
    Nothing,
);
pub(crate) const FILTER: Parameter = text(
    "filter",
    "Which items are answered, in the filter language: `namespace:\"web\",\"data\"+label[team]!:\"core\"`. Without it, \
     the older parameters that begin with `filter` count, such as `filterNamespaces=web,dat*`.",
    "conditions such as namespace:\"web\" or label[team]!:\"core\", joined by + (and) or | (or)",
);
pub(crate) const OFFSET: Parameter = Parameter {
    name: "offset",
    about: "How many items of each set are left out at its beginning.",
    takes: "a whole number that is not negative",
    kind: Whole(u64::MAX),
    omitted: Value("0"),
};
pub(crate) const LIMIT: Parameter = Parameter {
    name: "limit",
    about: "How many items of each set are answered at most, idle not counted; 0 means all.",
    takes: "a whole number that is not negative",
    kind: Whole(u64::MAX),
    omitted: Value("0"),
};
pub(crate) const SORT_BY: Parameter = words(
    "sortBy",
    "What the items of a set are ordered by.",
    "totalCost, name, cpuCost, gpuCost, ramCost, pvCost, networkCost, loadBalancerCost, sharedCost, externalCost or \
     totalEfficiency",
    &[
        "totalCost",
        "name",
        "cpuCost",
        "gpuCost",
        "ramCost",
        "pvCost",
        "networkCost",
        "loadBalancerCost",
        "sharedCost",
        "externalCost",
        "totalEfficiency",
    ],
    Value("totalCost"),
);
pub(crate) const ASSET_SORT_BY: Parameter = words(
    "sortBy",
    "What the items of a set are ordered by.",
    "totalCost, name, adjustment, cpuCost, gpuCost or ramCost",
    &["totalCost", "name", "adjustment", "cpuCost", "gpuCost", "ramCost"],
    Value("totalCost"),
);
pub(crate) const SORT_BY_ORDER: Parameter = words(
    "sortByOrder",
    "Whether the largest item comes first or last.",
    "desc or asc",
    &["desc", "asc"],
    Value("desc"),
);
pub(crate) const FORMAT: Parameter = words(
    "format",
    "Whether the answer is JSON, or a table for a spreadsheet.",
    "json or csv",
    &["json", "csv"],
    Value("json"),
);
pub(crate) const RECONCILE: Parameter = flag(
    "reconcile",
    "Whether costs have what reconciliation with the bill has added to nodes, disks and load balancers.",
    Value("true"),
);
pub(crate) const AS_OF: Parameter = text(
    "asOf",
    "Which release answers; left out, the newest, or the pinned one.",
    "the number of a release, or a time such as 2026-03-01T00:00:00Z",
);
pub(crate) const EXPLAIN: Parameter = flag(
    "explain",
    "Whether the answer says, beside `data`, how it was come by: tables, files, bytes, rows, plans and time. Not with \
     format=csv.",
    Value("false"),
);
pub(crate) const NAMES: Parameter = list("names", "Only what is called so is answered.", "names joined by commas");
pub(crate) const COST_CHANGE_RATIO: Parameter = Parameter {
    name: "costChangeRatio",
    about: "From which change on an asset counts as changed, as a part of what it cost before.",
    takes: "a number that is not negative, such as 0.05",
    kind: Amount,
    omitted: Value("0.05"),
};
pub(crate) const FIELD: Parameter = Parameter {
    name: "field",
    about: "The field whose values are listed; `label` lists names of labels, `label:NAME` the values of one.",
    takes: "cluster, node, namespace, controllerKind, controllerName, pod, container, provider, services, department, \
            environment, owner, product, team, label, annotation, label:NAME or annotation:NAME",
    kind: Text,
    omitted: Required,
};
pub(crate) const ASSET_FIELD: Parameter = Parameter {
    name: "field",
    about: FIELD.about,
    takes: "name, assetType, category, cluster, project, provider, providerID, account, service, label or label:NAME",
    kind: Text,
    omitted: Required,
};
pub(crate) const SEARCH: Parameter = text("search", "Only values that contain this, in any case.", "any text");
pub(crate) const VALUES_LIMIT: Parameter = Parameter {
    name: "limit",
    about: "How many values are listed at most; 0 means the default.",
    takes: "a whole number up to 1000",
    kind: Whole(1000),
    omitted: Value("100"),
};

pub(crate) const CLUSTER: Parameter = text("cluster", "Only of this cluster.", "a cluster id");
pub(crate) const RECORD_STATE: Parameter = words(
    "state",
    "Only files in this state.",
    "ingested, warnings or setAside",
    &["ingested", "warnings", "setAside"],
    Nothing,
);
pub(crate) const RECORDS_LIMIT: Parameter = Parameter {
    name: "limit",
    about: "How many files are answered at most; 0 means the default.",
    takes: "a whole number up to 100000",
    kind: Whole(100_000),
    omitted: Value("1000"),
};

pub(crate) const TIME: [&Parameter; 4] = [&WINDOW, &STEP, &ACCUMULATE, &ACCUMULATE_BY];
pub(crate) const COSTS: [&Parameter; 15] = [
    &IDLE,
    &INCLUDE_IDLE,
    &SHARE_IDLE,
    &SPLIT_IDLE,
    &IDLE_BY_NODE,
    &SHARE_NAMESPACES,
    &SHARE_LABELS,
    &SHARE_COST,
    &SHARE_SPLIT,
    &SHARE_TENANCY_COSTS,
    &INCLUDE_SHARED_COST_BREAKDOWN,
    &COST_METRIC,
    &COST_UNIT,
    &RECONCILE,
    &FILTER,
];
pub(crate) const DETAILS: [&Parameter; 2] = [&INCLUDE_AGGREGATED_METADATA, &INCLUDE_ASSET_SHARES];
pub(crate) const PAGE: [&Parameter; 4] = [&OFFSET, &LIMIT, &SORT_BY, &SORT_BY_ORDER];
pub(crate) const ASSET_PAGE: [&Parameter; 4] = [&OFFSET, &LIMIT, &ASSET_SORT_BY, &SORT_BY_ORDER];
pub(crate) const OUTPUT: [&Parameter; 3] = [&FORMAT, &EXPLAIN, &AS_OF];
