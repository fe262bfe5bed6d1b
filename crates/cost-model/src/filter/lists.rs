//! The parameters from before there was a filter language, one for each field.

use super::{AllocationField, AllocationFilter, AssetField, AssetFilter, Comparison, Filter, FilterField, Term};
use crate::{ParameterError, aggregation::Alias, filter::parse::check_length, naming::sanitize_label_name};

const PAIRS: &str = "a comma list of NAME:VALUE";

/// Where providers say which region a node is in.
const REGION_LABEL: &str = "label_topology_kubernetes_io_region";

/// The filter that the parameters `filterClusters`, `filterNodes`, `filterNamespaces`, `filterControllerKinds`,
/// `filterControllers`, `filterPods`, `filterContainers`, `filterServices`, `filterLabels`, `filterAnnotations`,
/// `filterDepartments`, `filterEnvironments`, `filterOwners`, `filterProducts` and `filterTeams` ask for, where
/// `get` finds a parameter.
///
/// Each is a comma list of which one item must match; an item that ends with `*` matches what begins so. Items of
/// labels and annotations are `name:value`; those of controllers are a name, or `kind:name`. Clusters go by their
/// id alone.
///
/// # Errors
/// [`ParameterError::Malformed`] for a label or annotation without a name, [`ParameterError::TooLong`] for more than
/// a [`Filter::parse`] would read.
pub fn allocation_filter_from_v1<'a>(
    get: impl Fn(&str) -> Option<&'a str>,
) -> Result<AllocationFilter, ParameterError> {
    let plain = [
        ("filterClusters", AllocationField::Cluster),
        ("filterNodes", AllocationField::Node),
        ("filterNamespaces", AllocationField::Namespace),
        ("filterControllerKinds", AllocationField::ControllerKind),
        ("filterPods", AllocationField::Pod),
        ("filterContainers", AllocationField::Container),
        ("filterServices", AllocationField::Services),
        ("filterDepartments", AllocationField::Alias(Alias::Department)),
        ("filterEnvironments", AllocationField::Alias(Alias::Environment)),
        ("filterOwners", AllocationField::Alias(Alias::Owner)),
        ("filterProducts", AllocationField::Alias(Alias::Product)),
        ("filterTeams", AllocationField::Alias(Alias::Team)),
    ];
    let mut filter = Filter::All;
    for (parameter, field) in plain {
        filter = and(filter, parameter, any_of(items(get(parameter)), &field))?;
    }
    let controllers = items(get("filterControllers")).map(controller);
    let controllers = controllers.reduce(Filter::or).unwrap_or_default();
    filter = and(filter, "filterControllers", controllers)?;
    for (parameter, map) in [
        ("filterLabels", AllocationField::LabelNames),
        ("filterAnnotations", AllocationField::AnnotationNames),
    ] {
        filter = and(filter, parameter, any_pair(parameter, items(get(parameter)), &map)?)?;
    }
    Ok(filter)
}

/// The filter that the parameters `filterTypes`, `filterClusters`, `filterCategories`, `filterProjects`,
/// `filterProviders`, `filterProviderIDs` or `filterProviderIds`, `filterAccounts`, `filterServices`, `filterNames`,
/// `filterRegions` and `filterLabels` ask for, by the rules of [`allocation_filter_from_v1`].
///
/// # Errors
/// As [`allocation_filter_from_v1`].
pub fn asset_filter_from_v1<'a>(get: impl Fn(&str) -> Option<&'a str>) -> Result<AssetFilter, ParameterError> {
    let plain = [
        ("filterTypes", AssetField::Type),
        ("filterClusters", AssetField::Cluster),
        ("filterCategories", AssetField::Category),
        ("filterProjects", AssetField::Project),
        ("filterProviders", AssetField::Provider),
        ("filterAccounts", AssetField::Account),
        ("filterServices", AssetField::Service),
        ("filterNames", AssetField::Name),
        ("filterRegions", AssetField::Label(REGION_LABEL.to_owned())),
    ];
    let mut filter = Filter::All;
    for (parameter, field) in plain {
        filter = and(filter, parameter, any_of(items(get(parameter)), &field))?;
    }
    let provider_ids = get("filterProviderIDs").filter(|list| items(Some(list)).next().is_some());
    let provider_ids = provider_ids.or_else(|| get("filterProviderIds"));
    filter = and(
        filter,
        "filterProviderIDs",
        any_of(items(provider_ids), &AssetField::ProviderId),
    )?;
    let labels = any_pair("filterLabels", items(get("filterLabels")), &AssetField::LabelNames)?;
    and(filter, "filterLabels", labels)
}

/// The items of a list, of which an empty one is none.
fn items(list: Option<&str>) -> impl Iterator<Item = &str> {
    let items = list.unwrap_or_default().split(',').map(str::trim);
    items.filter(|item| !item.is_empty())
}

/// That `field` has the value of one of the items; no condition when there are none.
fn any_of<'a, F: FilterField>(items: impl Iterator<Item = &'a str>, field: &F) -> Filter<F> {
    let (mut values, mut beginnings) = (Vec::new(), Vec::new());
    for item in items {
        match item.strip_suffix('*') {
            Some(beginning) => beginnings.push(beginning.to_owned()),
            None => values.push(item.to_owned()),
        }
    }
    let equals = Term::new(field.clone(), Comparison::Equals.into(), values);
    let begins = Term::new(field.clone(), Comparison::StartsWith.into(), beginnings);
    let terms = equals.into_iter().chain(begins).map(Filter::Term);
    terms.reduce(Filter::or).unwrap_or_default()
}

/// That `map` has the value of one of the `name:value` items under its name; no condition when there are none.
fn any_pair<'a, F: FilterField>(
    parameter: &'static str,
    items: impl Iterator<Item = &'a str>,
    map: &F,
) -> Result<Filter<F>, ParameterError> {
    let malformed = |item: &str| ParameterError::Malformed {
        parameter,
        got: item.to_owned(),
        takes: PAIRS,
    };
    let mut any: Option<Filter<F>> = None;
    for item in items {
        let (name, value) = item.split_once(':').ok_or_else(|| malformed(item))?;
        let name = Some(sanitize_label_name(name.trim())).filter(|name| !name.is_empty());
        let field = name.and_then(|name| map.under(&name)).ok_or_else(|| malformed(item))?;
        let one = any_of(std::iter::once(value.trim()), &field);
        any = Some(match any {
            None => one,
            Some(others) => others.or(one),
        });
    }
    Ok(any.unwrap_or_default())
}

fn controller(item: &str) -> AllocationFilter {
    let one_of = |value: &str, field| any_of(std::iter::once(value.trim()), &field);
    match item.split_once(':') {
        None => one_of(item, AllocationField::ControllerName),
        Some((kind, name)) => {
            one_of(kind, AllocationField::ControllerKind).and(one_of(name, AllocationField::ControllerName))
        }
    }
}

/// Both conditions, as long as [`Filter::parse`] would read them.
fn and<F: FilterField>(
    filter: Filter<F>,
    parameter: &'static str,
    condition: Filter<F>,
) -> Result<Filter<F>, ParameterError> {
    let filter = filter.and(condition);
    check_length(parameter, filter.to_string().len())?;
    Ok(filter)
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::{
        super::{Leniency, MAX_LENGTH},
        *,
    };

    fn allocations(parameters: &[(&str, &str)]) -> Result<AllocationFilter, ParameterError> {
        let parameters: HashMap<_, _> = parameters.iter().copied().collect();
        allocation_filter_from_v1(|name| parameters.get(name).copied())
    }

    fn assets(parameters: &[(&str, &str)]) -> Result<AssetFilter, ParameterError> {
        let parameters: HashMap<_, _> = parameters.iter().copied().collect();
        asset_filter_from_v1(|name| parameters.get(name).copied())
    }

    #[test]
    fn lists_of_allocations() {
        type Case = (&'static [(&'static str, &'static str)], &'static str);
        let cases: &[Case] = &[
            (&[], ""),
            (&[("filterNamespaces", ""), ("filterPods", " , ")], ""),
            (&[("filter", "x"), ("filterNames", "x")], ""),
            (&[("filterNamespaces", "web, data,")], r#"namespace:"web","data""#),
            (
                &[("filterNamespaces", "web,kube*,data,x*")],
                r#"namespace:"web","data"|namespace<~:"kube","x""#,
            ),
            (&[("filterNodes", "*")], r#"node<~:"""#),
            (
                &[
                    ("filterClusters", "a"),
                    ("filterContainers", "b,c*"),
                    ("filterPods", "d"),
                ],
                r#"cluster:"a"+pod:"d"+(container:"b"|container<~:"c")"#,
            ),
            (
                &[
                    ("filterControllerKinds", "job"),
                    ("filterControllers", "a,deployment:b*,c:d:e"),
                ],
                r#"controllerKind:"job"+(controllerName:"a"|(controllerKind:"deployment"+controllerName<~:"b")|(controllerKind:"c"+controllerName:"d:e"))"#,
            ),
            (&[("filterServices", "web,db*")], r#"services:"web"|services<~:"db""#),
            (
                &[
                    ("filterLabels", "app.kubernetes.io/name: web ,tier:a*,x:"),
                    ("filterAnnotations", "a:b:c"),
                ],
                r#"(label[app_kubernetes_io_name]:"web"|label[tier]<~:"a"|label[x]:"")+annotation[a]:"b:c""#,
            ),
            (
                &[
                    ("filterDepartments", "a"),
                    ("filterEnvironments", "b"),
                    ("filterOwners", "c"),
                    ("filterProducts", "d"),
                    ("filterTeams", "__unallocated__"),
                ],
                r#"department:"a"+environment:"b"+owner:"c"+product:"d"+team:"""#,
            ),
        ];
        for (parameters, expected) in cases {
            let filter = allocations(parameters).unwrap();
            assert_eq!(filter.to_string(), *expected);
            assert_eq!(Filter::parse(expected, Leniency::Strict).unwrap(), filter);
        }
    }

    #[test]
    fn lists_of_assets() {
        let filter = assets(&[
            ("filterTypes", "Node,disk"),
            ("filterClusters", "a"),
            ("filterCategories", "b"),
            ("filterProjects", "c"),
            ("filterProviders", "d"),
            ("filterProviderIDs", "e"),
            ("filterAccounts", "f"),
            ("filterServices", "g"),
            ("filterNames", "h*"),
            ("filterRegions", "i"),
            ("filterLabels", "j:k"),
        ])
        .unwrap();
        let expected = r#"assetType:"node","disk"+cluster:"a"+category:"b"+project:"c"+provider:"d"+account:"f"+service:"g"+name<~:"h"+label[label_topology_kubernetes_io_region]:"i"+providerID:"e"+label[j]:"k""#;
        assert_eq!(filter.to_string(), expected);
        let filter = assets(&[("filterProviderIDs", " "), ("filterProviderIds", "i-0")]).unwrap();
        assert_eq!(filter.to_string(), r#"providerID:"i-0""#);
    }

    #[test]
    fn errors_name_the_parameter_what_it_got_and_what_it_takes() {
        for (parameter, item) in [
            ("filterLabels", "app"),
            ("filterLabels", "app=web"),
            ("filterAnnotations", ":web"),
        ] {
            let error = allocations(&[(parameter, &format!("a:b,{item}"))]).unwrap_err();
            let message = format!("parameter {parameter} got {item:?}; it takes a comma list of NAME:VALUE");
            assert_eq!(error.to_string(), message);
        }
        let pods = "pod,".repeat(MAX_LENGTH / 6);
        let error = allocations(&[("filterNodes", "node"), ("filterPods", &pods)]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "parameter filterPods got 16395 bytes; it takes at most 16384"
        );
    }

    proptest! {
        #[test]
        fn any_lists_are_a_filter_that_is_read_back_or_an_error(one in any::<String>(), other in "[a:*, \"]{0,20}") {
            for parameters in [["filterPods", "filterLabels"], ["filterControllers", "filterServices"]] {
                if let Ok(filter) = allocations(&[(parameters[0], &one), (parameters[1], &other)]) {
                    prop_assert_eq!(&AllocationFilter::parse(&filter.to_string(), Leniency::Strict).unwrap(), &filter);
                }
            }
        }
    }
}
