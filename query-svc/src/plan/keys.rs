//! The columns of keys: what each row is added up by, as codes.

use std::{
    fmt::Debug,
    hash::{Hash, Hasher},
    sync::{Arc, Mutex, PoisonError},
};

use arrow::{
    array::{AsArray as _, UInt32Array},
    datatypes::{DataType, UInt32Type},
};
use cost_model::{
    AllocationKey, AssetKey, LabelAliases,
    aggregation::{Asset, Key, Workload},
};
use cost_plan::dictionary::{Code, Dictionary, EMPTY, Names};
use datafusion::{
    common::{Result, exec_err},
    logical_expr::{ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility, col},
};
use lake::schema::allocations;
use rustc_hash::FxHashMap;

use super::labels::CodedLabels;

/// The most columns that one key is computed from.
const MOST_COLUMNS: usize = 4;

/// Keys whose members are rows of a coded table.
pub(crate) trait CodedKey: Key + Clone + Debug + PartialEq + Eq + Hash + Send + Sync {
    /// The columns that its value is computed from.
    fn columns(&self) -> &'static [&'static str];

    /// The columns that a table must tell apart to answer by it.
    fn told_apart(&self) -> &'static [&'static str] {
        self.columns()
    }

    /// Whether the value is what stands in its only column.
    fn is_column(&self) -> bool;

    /// The value of a row whose columns have these codes.
    fn text(&self, codes: &[Code], names: &Names, aliases: &LabelAliases) -> String;
}

/// The code that stands in a column, of the codes of these columns.
fn code_of(columns: &[&str], codes: &[Code], name: &str) -> Code {
    let column = columns.iter().position(|column| *column == name);
    column.and_then(|column| codes.get(column).copied()).unwrap_or(EMPTY)
}

/// The code of a row's value under this key.
pub(super) fn key_of<K: CodedKey>(key: &K, dictionary: &Arc<Dictionary>, aliases: &Arc<LabelAliases>) -> Expr {
    let columns: Vec<Expr> = key.columns().iter().copied().map(col).collect();
    if let (true, [column]) = (key.is_column(), columns.as_slice()) {
        return column.clone();
    }
    ScalarUDF::new_from_impl(KeyOf {
        name: format!("key_of[{key}]"),
        key: key.clone(),
        dictionary: Arc::clone(dictionary),
        aliases: Arc::clone(aliases),
        known: Mutex::default(),
        signature: Signature::variadic_any(Volatility::Immutable),
    })
    .call(columns)
}

struct KeyOf<K> {
    name: String,
    key: K,
    dictionary: Arc<Dictionary>,
    aliases: Arc<LabelAliases>,
    /// Values are computed once for each combination of codes.
    known: Mutex<FxHashMap<[Code; MOST_COLUMNS], Code>>,
    signature: Signature,
}

impl<K> Debug for KeyOf<K> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.name)
    }
}

impl<K: PartialEq> PartialEq for KeyOf<K> {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key && Arc::ptr_eq(&self.dictionary, &other.dictionary) && self.aliases == other.aliases
    }
}

impl<K: Eq> Eq for KeyOf<K> {}

impl<K> Hash for KeyOf<K> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

impl<K: CodedKey> KeyOf<K> {
    fn compute(&self, codes: &[Code]) -> Code {
        let found = {
            let names = self.dictionary.read();
            let text = self.key.text(codes, &names, &self.aliases);
            names.find_text(&text).ok_or(text)
        };
        found.unwrap_or_else(|text| self.dictionary.write().text(&text))
    }
}

impl<K: CodedKey> ScalarUDFImpl for KeyOf<K> {
    fn name(&self) -> &str {
        &self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::UInt32)
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let arrays = ColumnarValue::values_to_arrays(&arguments.args)?;
        let columns: Vec<&[Code]> = arrays
            .iter()
            .filter_map(|array| array.as_primitive_opt::<UInt32Type>())
            .map(|codes| codes.values().as_ref())
            .collect();
        if columns.len() != arrays.len() || columns.len() > MOST_COLUMNS {
            return exec_err!("{} takes up to {MOST_COLUMNS} columns of codes", self.name);
        }
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let mut last: Option<([Code; MOST_COLUMNS], Code)> = None;
        let keys = (0..arguments.number_rows).map(|row| {
            let mut codes = [EMPTY; MOST_COLUMNS];
            for (code, column) in codes.iter_mut().zip(&columns) {
                *code = column[row];
            }
            if let Some((_, key)) = last.filter(|(last, _)| *last == codes) {
                return key;
            }
            let key = *known
                .entry(codes)
                .or_insert_with(|| self.compute(&codes[..columns.len()]));
            last = Some((codes, key));
            key
        });
        Ok(ColumnarValue::Array(Arc::new(UInt32Array::from_iter_values(keys))))
    }
}

impl CodedKey for AllocationKey {
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

    fn told_apart(&self) -> &'static [&'static str] {
        match self {
            // Of these columns only whether they are of a pod counts.
            Self::Service => &["services", allocations::UNMOUNTED],
            _ => self.columns(),
        }
    }

    fn is_column(&self) -> bool {
        matches!(
            self,
            Self::Cluster | Self::Node | Self::Namespace | Self::Pod | Self::Container | Self::ProviderId
        )
    }

    fn text(&self, codes: &[Code], names: &Names, aliases: &LabelAliases) -> String {
        let code = |name| code_of(self.columns(), codes, name);
        let text = |name| names.text_of(code(name));
        let labels = CodedLabels::new(names, code("labels"));
        let annotations = CodedLabels::new(names, code("annotations"));
        let workload = Workload {
            cluster: text("cluster"),
            node: text("node"),
            namespace: text("namespace"),
            controller_kind: text("controller_kind"),
            controller: text("controller"),
            first_service: names.texts_of(code("services")).next(),
            pod: text("pod"),
            container: text("container"),
            provider_id: text("provider_id"),
            labels: &labels,
            annotations: &annotations,
        };
        self.value(&workload, aliases).into_owned()
    }
}

impl CodedKey for AssetKey {
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

    fn is_column(&self) -> bool {
        false
    }

    fn text(&self, codes: &[Code], names: &Names, aliases: &LabelAliases) -> String {
        let code = |name| code_of(self.columns(), codes, name);
        let text = |name| names.text_of(code(name));
        let labels = CodedLabels::new(names, code("labels"));
        let asset = Asset {
            kind: text("type"),
            cluster: text("cluster"),
            provider: text("provider"),
            account: text("account"),
            project: text("project"),
            category: text("category"),
            service: text("service"),
            name: text("name"),
            provider_id: text("provider_id"),
            labels: &labels,
        };
        self.value(&asset, aliases).into_owned()
    }
}
