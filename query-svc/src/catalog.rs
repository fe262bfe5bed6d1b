//! What there is to ask about: values of fields, and clusters.

use std::collections::{BTreeMap, BTreeSet};

use arrow::{
    array::{AsArray as _, RecordBatch},
    datatypes::{Int64Type, UInt32Type},
};
use chrono::DateTime;
use cost_model::{
    AllocationFilter, AllocationKey, AssetFilter, AssetKey, Filter, Key as _, Scope,
    aggregation::Grouping,
    naming::{UNALLOCATED, UNDEFINED},
};
use cost_plan::dictionary::{Code, Names};
use datafusion::{error::Result, logical_expr::col};
use fedcost_proto::query::v1::Cluster;
use lake::{TableName, schema::allocations};

use crate::{
    answer::timestamp,
    columns::{codes, times},
    plan::{CodedField, CodedKey, Reader, Rows, filter_columns, key_column, told_apart},
    release::Served,
};

/// A field whose values are listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Listing<K> {
    /// The values that items have under a key.
    Values(K),
    /// The names of the entries of a column of maps.
    Names(&'static str),
    /// The items of a column of lists.
    Items(&'static str),
}

/// A field of allocations.
pub(crate) type AllocationListing = Listing<AllocationKey>;
/// A field of assets.
pub(crate) type AssetListing = Listing<AssetKey>;

impl AllocationListing {
    pub(crate) const TAKES: &'static str = "cluster, node, namespace, controllerKind, controller, controllerName, \
         deployment, daemonset, statefulset, job, service, pod, container, providerID, department, environment, owner, \
         product, team, label, label:NAME, annotation or annotation:NAME";

    pub(crate) fn parse(text: &str) -> Option<Self> {
        Some(match text.trim().to_ascii_lowercase().as_str() {
            "label" | "labels" => Self::Names("labels"),
            "annotation" | "annotations" => Self::Names("annotations"),
            "service" | "services" => Self::Items(allocations::SERVICES),
            "controllername" => Self::Items("controller"),
            "provider" => Self::Values(AllocationKey::ProviderId),
            _ => Self::Values(AllocationKey::parse(&under_name(text)).ok()?),
        })
    }
}

impl AssetListing {
    pub(crate) const TAKES: &'static str = "type, assetType, cluster, provider, account, project, category, service, \
         name, providerID, label or label:NAME";

    pub(crate) fn parse(text: &str) -> Option<Self> {
        Some(match text.trim().to_ascii_lowercase().as_str() {
            "label" | "labels" => Self::Names("labels"),
            "assettype" => Self::Values(AssetKey::Type),
            _ => Self::Values(AssetKey::parse(&under_name(text)).ok()?),
        })
    }
}

/// `label[NAME]`, as filters have it, means `label:NAME`.
fn under_name(text: &str) -> String {
    match text.trim().strip_suffix(']').and_then(|text| text.split_once('[')) {
        Some((map, name)) => format!("{map}:{name}"),
        None => text.to_owned(),
    }
}

/// The values of a field of allocations.
pub(crate) async fn allocation_values(
    reader: &Reader<'_>,
    field: &AllocationListing,
    filter: &AllocationFilter,
) -> Result<BTreeSet<String>> {
    values(reader, TableName::Allocations, field, filter).await
}

/// The values of a field of assets.
pub(crate) async fn asset_values(
    reader: &Reader<'_>,
    field: &AssetListing,
    filter: &AssetFilter,
) -> Result<BTreeSet<String>> {
    values(reader, TableName::Assets, field, filter).await
}

async fn values<K: CodedKey, F: CodedField>(
    reader: &Reader<'_>,
    base: TableName,
    field: &Listing<K>,
    filter: &Filter<F>,
) -> Result<BTreeSet<String>> {
    let mut columns: BTreeSet<&'static str> = filter_columns(filter).collect();
    let key = match field {
        Listing::Values(key) => {
            let grouping = Grouping::Keys(vec![key.clone()]);
            columns.extend(told_apart(&grouping));
            reader.keys(&grouping)
        }
        Listing::Names(column) | Listing::Items(column) => {
            columns.insert(column);
            vec![col(*column).alias(key_column(0))]
        }
    };
    let Rows { mut frame, .. } = reader.rows(base, &columns, filter).await?;
    if let Some(matches) = reader.matches(filter) {
        frame = frame.filter(matches)?;
    }
    let batches = reader.run(frame.aggregate(key, Vec::new())?).await?;
    let names = reader.served.warm().dictionary().read();
    let mut found = BTreeSet::new();
    for batch in &batches {
        let codes = batch.column(0).as_primitive::<UInt32Type>().values();
        for code in codes {
            list(field, *code, &names, &mut found);
        }
    }
    Ok(found)
}

fn list<K>(field: &Listing<K>, code: Code, names: &Names, found: &mut BTreeSet<String>) {
    match field {
        Listing::Names(_) => found.extend(names.entries_of(code).map(|(name, _)| name.to_owned())),
        Listing::Items(allocations::SERVICES) => found.extend(names.texts_of(code).map(str::to_owned)),
        Listing::Items(_) | Listing::Values(_) => {
            // What has no value has nothing to be completed.
            let text = names.text_of(code);
            if !["", UNALLOCATED, UNDEFINED].contains(&text) {
                found.insert(text.to_owned());
            }
        }
    }
}

/// The first values that contain `search`, in whatever case.
pub(crate) fn search(values: BTreeSet<String>, search: &str, limit: usize) -> Vec<String> {
    let search = search.to_lowercase();
    let found = values
        .into_iter()
        .filter(|value| value.to_lowercase().contains(&search));
    found.take(if limit == 0 { usize::MAX } else { limit }).collect()
}

/// Names under which agents store the label of a node that says its region.
const REGION_LABELS: [&str; 4] = [
    "label_topology_kubernetes_io_region",
    "topology_kubernetes_io_region",
    "label_failure_domain_beta_kubernetes_io_region",
    "failure_domain_beta_kubernetes_io_region",
];

/// What is known of a cluster from its files.
#[derive(Default)]
struct Seen {
    first: Option<i64>,
    last: Option<i64>,
    upload: Option<i64>,
    rows: u64,
    set_aside: u64,
    cluster: Cluster,
}

/// The clusters that the bucket holds anything of, and of which anything may be seen.
pub(crate) async fn clusters(served: &Served, scope: &Scope) -> Result<Vec<Cluster>> {
    let warm = served.warm();
    let mut clusters: BTreeMap<String, Seen> = BTreeMap::new();
    for spec in served.blocks(TableName::SourceFiles) {
        let block = warm.block(spec).await?;
        let rows = block.rows()?;
        let rows = &rows;
        let ids = codes(rows, "federated_cluster")?;
        let (starts, ends) = (times(rows, "window_start")?, times(rows, "window_end")?);
        let uploads = times(rows, "last_modified")?;
        let counts = rows
            .column_by_name("rows")
            .and_then(|column| column.as_primitive_opt::<Int64Type>());
        let errors = codes(rows, "error")?;
        let names = warm.dictionary().read();
        for row in 0..rows.num_rows() {
            let seen = clusters.entry(names.text_of(ids[row]).to_owned()).or_default();
            seen.first = Some(seen.first.map_or(starts[row], |first| first.min(starts[row])));
            seen.last = seen.last.max(Some(ends[row]));
            seen.upload = seen.upload.max(Some(uploads[row]));
            seen.rows += counts.map_or(0, |counts| counts.value(row).unsigned_abs());
            seen.set_aside += u64::from(!names.text_of(errors[row]).is_empty());
        }
    }
    for spec in served.blocks(TableName::AssetsByType) {
        let block = warm.block(spec).await?;
        describe(&block.rows()?, &warm.dictionary().read(), &mut clusters)?;
    }
    let time = |micros: Option<i64>| Some(timestamp(DateTime::from_timestamp_micros(micros?)?));
    clusters.retain(|id, _| scope.sees_of_cluster(id));
    let clusters = clusters.into_iter().map(|(id, seen)| {
        // Where it runs is known of its assets, and its rows are of all namespaces.
        let whole = scope.sees_whole_cluster(&id);
        Cluster {
            name: id.clone(),
            id,
            first_window: time(seen.first),
            last_window: time(seen.last),
            last_upload: time(seen.upload),
            rows: if whole { seen.rows } else { 0 },
            files_set_aside: if whole { seen.set_aside } else { 0 },
            ..if whole { seen.cluster } else { Cluster::default() }
        }
    });
    Ok(clusters.collect())
}

/// Tells where clusters run, as their assets say last.
fn describe(rows: &RecordBatch, names: &Names, clusters: &mut BTreeMap<String, Seen>) -> Result<()> {
    let (ids, labels) = (codes(rows, "federated_cluster")?, codes(rows, "labels")?);
    let [providers, accounts, projects] = ["provider", "account", "project"].map(|column| codes(rows, column));
    let (providers, accounts, projects) = (providers?, accounts?, projects?);
    for row in 0..rows.num_rows() {
        let Some(seen) = clusters.get_mut(names.text_of(ids[row])) else {
            continue;
        };
        let tell = |known: &mut String, code: Code| {
            let text = names.text_of(code);
            if !text.is_empty() {
                text.clone_into(known);
            }
        };
        tell(&mut seen.cluster.provider, providers[row]);
        tell(&mut seen.cluster.account, accounts[row]);
        tell(&mut seen.cluster.project, projects[row]);
        if let Some((_, region)) = names
            .entries_of(labels[row])
            .find(|(name, _)| REGION_LABELS.contains(name))
        {
            region.clone_into(&mut seen.cluster.region);
        }
    }
    Ok(())
}
