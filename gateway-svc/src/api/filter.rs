//! Which items a question is about: the parameter `filter`, or the older parameters that begin with it.
//!
//! query-svc reads the filter language; what is wrong with a filter, it says. The older parameters become a text in
//! that language.

use std::fmt::Write as _;

use cost_model::{ParameterError, naming::sanitize_label_name};

use crate::parameters::{Parameters, table};

/// The older parameters of allocations, and what they mean in the filter language.
const ALLOCATION: [(&str, Field); 18] = [
    ("filterClusters", Field::Plain("cluster")),
    ("filterNodes", Field::Plain("node")),
    ("filterNamespaces", Field::Plain("namespace")),
    ("filterControllerKinds", Field::Plain("controllerKind")),
    ("filterControllers", Field::Controller),
    ("filterPods", Field::Plain("pod")),
    ("filterContainers", Field::Plain("container")),
    ("filterServices", Field::Plain("services")),
    ("filterProviders", Field::Plain("provider")),
    ("filterLabels", Field::Map("label")),
    ("filterAnnotations", Field::Map("annotation")),
    ("filterDepartments", Field::Plain("department")),
    ("filterEnvironments", Field::Plain("environment")),
    ("filterOwners", Field::Plain("owner")),
    ("filterProducts", Field::Plain("product")),
    ("filterTeams", Field::Plain("team")),
    ("filterCluster", Field::Plain("cluster")),
    ("filterNamespace", Field::Plain("namespace")),
];

/// The older parameters of assets.
const ASSET: [(&str, Field); 10] = [
    ("filterTypes", Field::Plain("assetType")),
    ("filterNames", Field::Plain("name")),
    ("filterCategories", Field::Plain("category")),
    ("filterClusters", Field::Plain("cluster")),
    ("filterProjects", Field::Plain("project")),
    ("filterProviders", Field::Plain("provider")),
    ("filterProviderIDs", Field::Plain("providerID")),
    ("filterAccounts", Field::Plain("account")),
    ("filterServices", Field::Plain("service")),
    ("filterLabels", Field::Map("label")),
];

#[derive(Clone, Copy)]
enum Field {
    /// Its values are texts.
    Plain(&'static str),
    /// Its values are `name:value`.
    Map(&'static str),
    /// Its values are `kind:name`, or names.
    Controller,
}

const TAKES: &str =
    "values joined by commas, without quotation marks; one that ends with * is the beginning of a value";
const TAKES_PAIRS: &str = "name:value pairs joined by commas";

/// The filter of a question about allocations; empty when it is about all.
pub(crate) fn allocations(parameters: &Parameters) -> Result<String, ParameterError> {
    read(parameters, &ALLOCATION)
}

/// The filter of a question about assets; empty when it is about all.
pub(crate) fn assets(parameters: &Parameters) -> Result<String, ParameterError> {
    read(parameters, &ASSET)
}

fn read(parameters: &Parameters, older: &[(&'static str, Field)]) -> Result<String, ParameterError> {
    if let Some(filter) = parameters.get(table::FILTER.name) {
        return Ok(filter.to_owned());
    }
    let mut filter = String::new();
    for (name, field) in older {
        let Some(list) = parameters.get(name) else { continue };
        let mut conditions = Vec::new();
        for value in list.split(',').map(str::trim).filter(|value| !value.is_empty()) {
            conditions.push(field.condition(name, value)?);
        }
        if conditions.is_empty() {
            continue;
        }
        if !filter.is_empty() {
            filter.push('+');
        }
        // Infallible: a string grows.
        let _ = match conditions.as_slice() {
            [only] => write!(filter, "{only}"),
            several => write!(filter, "({})", several.join("|")),
        };
    }
    Ok(filter)
}

impl Field {
    fn condition(self, parameter: &'static str, value: &str) -> Result<String, ParameterError> {
        let malformed = |takes| ParameterError::Malformed {
            parameter,
            got: value.to_owned(),
            takes,
        };
        if value.contains(['"', '\\']) {
            return Err(malformed(TAKES));
        }
        Ok(match self {
            Self::Plain(field) => compare(field, value),
            Self::Map(field) => {
                let (name, value) = value.split_once(':').ok_or_else(|| malformed(TAKES_PAIRS))?;
                compare(&format!("{field}[{}]", sanitize_label_name(name.trim())), value.trim())
            }
            Self::Controller => match value.split_once(':') {
                None => compare("controllerName", value),
                Some((kind, name)) => {
                    let kind = compare("controllerKind", kind.trim());
                    format!("({kind}+{})", compare("controllerName", name.trim()))
                }
            },
        })
    }
}

fn compare(field: &str, value: &str) -> String {
    match value.strip_suffix('*') {
        Some(beginning) => format!("{field}<~:\"{beginning}\""),
        None => format!("{field}:\"{value}\""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn older_parameters_are_said_in_the_filter_language() {
        let cases = [
            ("", ""),
            ("filterNamespaces=&filterClusters=,", ""),
            ("filterNamespaces=web", "namespace:\"web\""),
            (
                "filterNamespaces=web,dat*&filterClusters=a",
                "cluster:\"a\"+(namespace:\"web\"|namespace<~:\"dat\")",
            ),
            (
                "filterLabels=app.kubernetes.io/name:x:y",
                "label[app_kubernetes_io_name]:\"x:y\"",
            ),
            (
                "filterControllers=deployment:api,job",
                "((controllerKind:\"deployment\"+controllerName:\"api\")|controllerName:\"job\")",
            ),
            ("filter=pod:%22a%22&filterNamespaces=web", "pod:\"a\""),
        ];
        for (query, expected) in cases {
            assert_eq!(allocations(&Parameters::parse(query)).unwrap(), expected, "{query}");
        }
        assert_eq!(
            assets(&Parameters::parse("filterTypes=Node")).unwrap(),
            "assetType:\"Node\""
        );
        for wrong in ["filterLabels=app", "filterPods=a%22"] {
            assert!(allocations(&Parameters::parse(wrong)).is_err(), "{wrong}");
        }
    }
}
