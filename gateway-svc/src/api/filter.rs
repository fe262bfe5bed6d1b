//! Which items a question is about: the parameter `filter`, or the older parameters that begin with it.
//!
//! What is read is sent on in the form that services send each other.

use cost_model::{
    AllocationFilter, AssetFilter, ParameterError,
    filter::{Leniency, allocation_filter_from_v1, asset_filter_from_v1},
};

use crate::{
    face::Face,
    parameters::{Parameters, table},
};

/// Clients of OpenCost send values without quotes; under `/model` the reference refuses them, and clients were written
/// against that.
fn leniency(face: Face) -> Leniency {
    match face {
        Face::Kubecost => Leniency::Strict,
        Face::OpenCost => Leniency::Lenient,
    }
}

/// The filter of a question about allocations; empty when it is about all.
pub(crate) fn allocations(parameters: &Parameters, face: Face) -> Result<String, ParameterError> {
    let filter = match parameters.get(table::FILTER.name) {
        Some(text) => AllocationFilter::parse(text, leniency(face))?,
        None => allocation_filter_from_v1(|name| parameters.get(name))?,
    };
    Ok(filter.to_string())
}

/// The filter of a question about assets; empty when it is about all.
pub(crate) fn assets(parameters: &Parameters, face: Face) -> Result<String, ParameterError> {
    let filter = match parameters.get(table::FILTER.name) {
        Some(text) => AssetFilter::parse(text, leniency(face))?,
        None => asset_filter_from_v1(|name| parameters.get(name))?,
    };
    Ok(filter.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn older_parameters_count_where_there_is_no_filter() {
        let cases = [
            ("", ""),
            ("filterNamespaces=&filterClusters=,", ""),
            ("filterNamespaces=web", "namespace:\"web\""),
            ("filter=pod:%22a%22&filterNamespaces=web", "pod:\"a\""),
        ];
        for (query, expected) in cases {
            let parameters = Parameters::parse(query);
            assert_eq!(allocations(&parameters, Face::Kubecost).unwrap(), expected, "{query}");
        }
        let parameters = Parameters::parse("filterTypes=Node");
        assert_eq!(assets(&parameters, Face::Kubecost).unwrap(), "assetType:\"node\"");
    }

    #[test]
    fn values_without_quotes_are_for_clients_of_opencost() {
        let parameters = Parameters::parse("filter=namespace:web");
        assert!(allocations(&parameters, Face::Kubecost).is_err());
        assert_eq!(allocations(&parameters, Face::OpenCost).unwrap(), "namespace:\"web\"");
    }
}
