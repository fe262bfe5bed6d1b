//! Parameters that change an answer but are not supported yet.
//!
//! Ignoring them would give wrong numbers without a word, so a request that asks for one is refused. The day that
//! all of them are supported, this file goes.

use crate::{error::ApiError, parameters::Parameters};

/// Refused when true.
const FLAGS: [&str; 6] = [
    "idle",
    "includeIdle",
    "shareIdle",
    "shareTenancyCosts",
    "includeAggregatedMetadata",
    "includeProportionalAssetResourceCosts",
];

/// Refused unless they ask for what is done anyway.
const VALUES: [(&str, &[&str]); 8] = [
    ("shareNamespaces", &[]),
    ("shareLabels", &[]),
    ("shareCost", &["0", "0.0"]),
    ("costMetric", &["cumulative"]),
    ("costUnit", &["cumulative"]),
    ("offset", &["0"]),
    ("limit", &["0"]),
    ("format", &["json"]),
];

/// `filter`, `filterNamespaces` and all the others.
const FILTER_PREFIX: &str = "filter";

/// Refuses a request that asks for what is not supported yet.
pub(crate) fn refuse(parameters: &Parameters) -> Result<(), ApiError> {
    let refuse = |name: &str| {
        Err(ApiError::Unsupported {
            parameter: name.to_owned(),
        })
    };
    for name in FLAGS {
        if parameters.flag(name)? == Some(true) {
            return refuse(name);
        }
    }
    for (name, _) in parameters.iter() {
        if name.starts_with(FILTER_PREFIX) {
            return refuse(name);
        }
    }
    for (name, supported) in VALUES {
        if parameters.get(name).is_some_and(|value| !supported.contains(&value)) {
            return refuse(name);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_what_it_refuses_and_lets_the_rest_pass() {
        for (query, refused) in [
            ("window=7d&idle=true", "idle"),
            ("includeIdle=1", "includeIdle"),
            ("filter=namespace:%22web%22", "filter"),
            ("filterNamespaces=web", "filterNamespaces"),
            ("shareNamespaces=kube-system", "shareNamespaces"),
            ("shareCost=100", "shareCost"),
            ("costUnit=daily", "costUnit"),
            ("format=csv", "format"),
            ("limit=10", "limit"),
        ] {
            let error = refuse(&Parameters::parse(query)).unwrap_err();
            assert!(
                error
                    .to_string()
                    .starts_with(&format!("parameter {refused} is not supported yet")),
                "{error}"
            );
            assert_eq!(error.status().as_u16(), 501);
        }
        for query in [
            "window=7d&aggregate=namespace",
            "idle=false&includeIdle=False&shareTenancyCosts=f&filterNamespaces=&shareCost=0",
            "splitIdle=true&idleByNode=true&sortBy=totalCost&shareSplit=weighted&unknown=1&format=json",
        ] {
            refuse(&Parameters::parse(query)).unwrap();
        }
        assert_eq!(
            refuse(&Parameters::parse("idle=maybe")).unwrap_err().status().as_u16(),
            400
        );
    }
}
