//! Filters over coded columns.

use std::{
    fmt,
    hash::{Hash, Hasher},
    sync::Arc,
};

use arrow::{array::BooleanArray, buffer::BooleanBuffer, datatypes::DataType};
use cost_model::{
    Filter, LabelAliases,
    filter::{AllocationField, AssetField, FilterField, Term},
};
use cost_plan::dictionary::{Code, Dictionary, Names};
use datafusion::{
    common::Result,
    logical_expr::{ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility, col},
};

use super::{
    labels::CodedLabels,
    per_codes::{CodeArguments, PerCodes},
};

/// Fields of rows of a coded table.
pub(crate) trait CodedField: FilterField + fmt::Debug + Send + Sync {
    /// The columns that its value is computed from.
    fn columns(&self) -> &'static [&'static str];

    /// Whether the condition holds for a row whose columns have these codes.
    fn holds(term: &Term<Self>, codes: &[Code], names: &Names, aliases: &LabelAliases) -> bool;
}

/// Whether a row matches.
pub(crate) fn matches<F: CodedField>(
    filter: &Filter<F>,
    dictionary: &Arc<Dictionary>,
    aliases: &Arc<LabelAliases>,
) -> Expr {
    let mut columns: Vec<&'static str> = filter.fields().flat_map(F::columns).copied().collect();
    columns.sort_unstable();
    columns.dedup();
    let arguments = columns.iter().copied().map(col).collect();
    ScalarUDF::new_from_impl(Matches {
        name: format!("matches[{filter}]"),
        known: filter.terms().map(|_| PerCodes::default()).collect(),
        filter: filter.clone(),
        columns,
        dictionary: Arc::clone(dictionary),
        aliases: Arc::clone(aliases),
        signature: Signature::variadic_any(Volatility::Immutable),
    })
    .call(arguments)
}

struct Matches<F> {
    name: String,
    filter: Filter<F>,
    columns: Vec<&'static str>,
    /// What each term says of the codes that were seen, so that each text is compared once.
    known: Vec<PerCodes<bool>>,
    dictionary: Arc<Dictionary>,
    aliases: Arc<LabelAliases>,
    signature: Signature,
}

impl<F> fmt::Debug for Matches<F> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.name)
    }
}

impl<F: PartialEq> PartialEq for Matches<F> {
    fn eq(&self, other: &Self) -> bool {
        self.filter == other.filter && Arc::ptr_eq(&self.dictionary, &other.dictionary)
    }
}

impl<F: Eq> Eq for Matches<F> {}

impl<F> Hash for Matches<F> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

impl<F: CodedField> Matches<F> {
    /// `next` counts the terms in the order in which the filter lists them.
    fn evaluate(&self, filter: &Filter<F>, columns: &[&[Code]], rows: usize, next: &mut usize) -> BooleanBuffer {
        let mut parts = |parts: &[Filter<F>]| -> Vec<BooleanBuffer> {
            let parts = parts.iter().map(|part| self.evaluate(part, columns, rows, next));
            parts.collect()
        };
        match filter {
            Filter::All => BooleanBuffer::new_set(rows),
            Filter::Term(term) => {
                let at = *next;
                *next += 1;
                self.test(term, at, columns, rows)
            }
            Filter::And(all) => parts(all)
                .into_iter()
                .fold(BooleanBuffer::new_set(rows), |a, b| &a & &b),
            Filter::Or(any) => parts(any)
                .into_iter()
                .fold(BooleanBuffer::new_unset(rows), |a, b| &a | &b),
        }
    }

    fn test(&self, term: &Term<F>, at: usize, columns: &[&[Code]], rows: usize) -> BooleanBuffer {
        let own: Vec<&[Code]> = term
            .field()
            .columns()
            .iter()
            .filter_map(|column| self.columns.iter().position(|known| known == column))
            .map(|index| columns[index])
            .collect();
        let names = self.dictionary.read();
        let holds = |codes: &[Code]| F::holds(term, codes, &names, &self.aliases);
        self.known[at].values(&own, rows, holds).into_iter().collect()
    }
}

impl<F: CodedField> ScalarUDFImpl for Matches<F> {
    fn name(&self) -> &str {
        &self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Boolean)
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        // Each term looks at the columns of its own field alone.
        let codes = CodeArguments::any_number(&self.name, &arguments)?;
        let columns = codes.columns();
        let found = self.evaluate(&self.filter, &columns, arguments.number_rows, &mut 0);
        Ok(ColumnarValue::Array(Arc::new(BooleanArray::new(found, None))))
    }
}

impl CodedField for AllocationField {
    fn columns(&self) -> &'static [&'static str] {
        match self {
            Self::Cluster => &["cluster"],
            Self::Node => &["node"],
            Self::Namespace => &["namespace"],
            Self::ControllerName => &["controller"],
            Self::ControllerKind => &["controller_kind"],
            Self::Pod => &["pod"],
            Self::Container => &["container"],
            Self::ProviderId => &["provider_id"],
            Self::Services => &["services"],
            Self::LabelNames | Self::Label(_) => &["labels"],
            Self::AnnotationNames | Self::Annotation(_) => &["annotations"],
            Self::Alias(_) => &["labels", "annotations"],
        }
    }

    fn holds(term: &Term<Self>, codes: &[Code], names: &Names, aliases: &LabelAliases) -> bool {
        let code = |index: usize| codes.get(index).copied().unwrap_or_default();
        let labels = |index: usize| CodedLabels::new(names, code(index));
        match term.field() {
            Self::Services => term.matches_list(names.texts_of(code(0))),
            Self::LabelNames | Self::Label(_) | Self::AnnotationNames | Self::Annotation(_) => {
                term.matches_labels(&labels(0))
            }
            Self::Alias(alias) => term.matches_str(aliases.value(*alias, &labels(0), &labels(1)).unwrap_or_default()),
            _ => term.matches_str(names.text_of(code(0))),
        }
    }
}

impl CodedField for AssetField {
    fn columns(&self) -> &'static [&'static str] {
        match self {
            Self::Name => &["name"],
            Self::Type => &["type"],
            Self::Category => &["category"],
            Self::Cluster => &["cluster"],
            Self::Project => &["project"],
            Self::Provider => &["provider"],
            Self::ProviderId => &["provider_id"],
            Self::Account => &["account"],
            Self::Service => &["service"],
            Self::LabelNames | Self::Label(_) => &["labels"],
        }
    }

    fn holds(term: &Term<Self>, codes: &[Code], names: &Names, _: &LabelAliases) -> bool {
        let code = codes.first().copied().unwrap_or_default();
        match term.field() {
            Self::LabelNames | Self::Label(_) => term.matches_labels(&CodedLabels::new(names, code)),
            _ => term.matches_str(names.text_of(code)),
        }
    }
}
