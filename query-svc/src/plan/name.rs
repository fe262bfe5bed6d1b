//! The column of names: what each row is added to, by the naming rules of the cost model.

use std::{
    fmt::Debug,
    hash::{Hash, Hasher},
    sync::Arc,
};

use arrow::{
    array::{Array as _, ArrayRef, AsArray as _, ListArray, MapArray, StringViewArray, StringViewBuilder},
    datatypes::DataType,
};
use cost_model::{
    AllocationKey, AssetKey, LabelAliases,
    aggregation::{Asset, Grouping, Key, Workload},
    naming::Labels,
};
use datafusion::{
    common::{Result, ScalarValue},
    logical_expr::{
        ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility, col, lit,
    },
};

/// The name of what a row is added to.
pub(super) fn name_of<K: Named>(grouping: Grouping<K>, aliases: &Arc<LabelAliases>) -> Expr {
    // Only the columns that the keys ask for are read.
    let mut columns: Vec<&'static str> = grouping.name_keys().iter().flat_map(K::columns).copied().collect();
    columns.sort_unstable();
    columns.dedup();
    if columns.is_empty() {
        // One in all has no name, and no function can be called without arguments.
        return lit(ScalarValue::Utf8View(Some(String::new())));
    }
    let arguments = columns.iter().copied().map(col).collect();
    ScalarUDF::new_from_impl(NameOf {
        name: format!("name_of[{}]", grouping.to_items().join(",")),
        grouping,
        columns,
        aliases: Arc::clone(aliases),
        signature: Signature::variadic_any(Volatility::Immutable),
    })
    .call(arguments)
}

/// Keys whose members are rows.
pub(crate) trait Named: Key + Clone + Debug + PartialEq + Eq + Hash + Send + Sync {
    /// The columns that its value is computed from.
    fn columns(&self) -> &'static [&'static str];

    /// The name of a row.
    fn name(grouping: &Grouping<Self>, aliases: &LabelAliases, columns: &Columns<'_>, row: usize) -> String;
}

#[derive(Debug, PartialEq, Eq)]
struct NameOf<K: Named> {
    name: String,
    grouping: Grouping<K>,
    columns: Vec<&'static str>,
    aliases: Arc<LabelAliases>,
    signature: Signature,
}

impl<K: Named> Hash for NameOf<K> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

impl<K: Named> ScalarUDFImpl for NameOf<K> {
    fn name(&self) -> &str {
        &self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8View)
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let arrays = ColumnarValue::values_to_arrays(&arguments.args)?;
        let columns = Columns::new(&self.columns, &arrays);
        // Rows next to each other often have the same name.
        let mut names = StringViewBuilder::with_capacity(arguments.number_rows).with_deduplicate_strings();
        for row in 0..arguments.number_rows {
            names.append_value(K::name(&self.grouping, &self.aliases, &columns, row));
        }
        Ok(ColumnarValue::Array(Arc::new(names.finish())))
    }
}

/// Columns by name, of those that the keys ask for.
pub(crate) struct Columns<'a> {
    strings: Vec<(&'static str, &'a StringViewArray)>,
    maps: Vec<(&'static str, &'a MapArray)>,
    lists: Vec<(&'static str, &'a ListArray)>,
}

impl<'a> Columns<'a> {
    fn new(names: &[&'static str], arrays: &'a [ArrayRef]) -> Self {
        let mut columns = Self {
            strings: Vec::new(),
            maps: Vec::new(),
            lists: Vec::new(),
        };
        for (name, array) in names.iter().copied().zip(arrays) {
            if let Some(strings) = array.as_string_view_opt() {
                columns.strings.push((name, strings));
            } else if let Some(map) = array.as_map_opt() {
                columns.maps.push((name, map));
            } else if let Some(list) = array.as_list_opt() {
                columns.lists.push((name, list));
            }
        }
        columns
    }

    fn string(&self, name: &str, row: usize) -> &'a str {
        let column = self.strings.iter().find(|(column, _)| *column == name);
        column.map_or("", |(_, strings)| strings.value(row))
    }

    fn labels(&self, name: &str, row: usize) -> RowLabels<'a> {
        let column = self.maps.iter().find(|(column, _)| *column == name);
        RowLabels {
            map: column.map(|(_, map)| *map),
            row,
        }
    }

    fn first(&self, name: &str, row: usize) -> Option<&'a str> {
        let (_, list) = self.lists.iter().find(|(column, _)| *column == name)?;
        let offsets = list.value_offsets();
        let (start, end) = (offsets[row] as usize, offsets[row + 1] as usize);
        (list.is_valid(row) && start < end).then(|| list.values().as_string_view().value(start))
    }
}

/// The labels of one row.
struct RowLabels<'a> {
    map: Option<&'a MapArray>,
    row: usize,
}

impl Labels for RowLabels<'_> {
    fn label(&self, name: &str) -> Option<&str> {
        let map = self.map.filter(|map| map.is_valid(self.row))?;
        let (keys, values) = (map.keys().as_string_view(), map.values().as_string_view());
        let offsets = map.value_offsets();
        (offsets[self.row] as usize..offsets[self.row + 1] as usize)
            .find(|at| keys.value(*at) == name)
            .map(|at| values.value(at))
    }

    fn any_key(&self, test: &mut dyn FnMut(&str) -> bool) -> bool {
        let Some(map) = self.map.filter(|map| map.is_valid(self.row)) else {
            return false;
        };
        let keys = map.keys().as_string_view();
        let offsets = map.value_offsets();
        (offsets[self.row] as usize..offsets[self.row + 1] as usize).any(|at| test(keys.value(at)))
    }
}

impl Named for AllocationKey {
    fn columns(&self) -> &'static [&'static str] {
        match self {
            Self::Cluster => &["cluster"],
            Self::Node => &["node"],
            Self::Namespace => &["namespace"],
            Self::ControllerKind => &["controller_kind"],
            Self::Controller | Self::Deployment | Self::DaemonSet | Self::StatefulSet | Self::Job => {
                &["controller_kind", "controller"]
            }
            // What is of no pod is told by these.
            Self::Service => &["services", "pod", "namespace", "container"],
            Self::Pod => &["pod"],
            Self::Container => &["container"],
            Self::ProviderId => &["provider_id"],
            Self::Alias(_) => &["labels", "annotations"],
            Self::Label(_) => &["labels"],
            Self::Annotation(_) => &["annotations"],
        }
    }

    fn name(grouping: &Grouping<Self>, aliases: &LabelAliases, columns: &Columns<'_>, row: usize) -> String {
        let workload = Workload {
            cluster: columns.string("cluster", row),
            node: columns.string("node", row),
            namespace: columns.string("namespace", row),
            controller_kind: columns.string("controller_kind", row),
            controller: columns.string("controller", row),
            first_service: columns.first("services", row),
            pod: columns.string("pod", row),
            container: columns.string("container", row),
            provider_id: columns.string("provider_id", row),
            labels: &columns.labels("labels", row),
            annotations: &columns.labels("annotations", row),
        };
        grouping.name(&workload, aliases)
    }
}

impl Named for AssetKey {
    fn columns(&self) -> &'static [&'static str] {
        match self {
            Self::Type => &["type"],
            Self::Cluster => &["cluster"],
            Self::Provider => &["provider"],
            Self::Account => &["account"],
            Self::Project => &["project"],
            Self::Category => &["category"],
            Self::Service => &["service"],
            Self::Name => &["name"],
            Self::ProviderId => &["provider_id"],
            Self::Label(_) => &["labels"],
        }
    }

    fn name(grouping: &Grouping<Self>, aliases: &LabelAliases, columns: &Columns<'_>, row: usize) -> String {
        let asset = Asset {
            kind: columns.string("type", row),
            cluster: columns.string("cluster", row),
            provider: columns.string("provider", row),
            account: columns.string("account", row),
            project: columns.string("project", row),
            category: columns.string("category", row),
            service: columns.string("service", row),
            name: columns.string("name", row),
            provider_id: columns.string("provider_id", row),
            labels: &columns.labels("labels", row),
        };
        grouping.name(&asset, aliases)
    }
}
