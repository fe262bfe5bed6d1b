//! The query string of a request.

pub(crate) mod table;

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use cost_model::{ParameterError, flag};
use http::request::Parts;
use url::form_urlencoded;

use crate::face::Face;

/// A parameter as it is read, as errors explain it, and as the API's description shows it.
#[derive(Debug)]
pub(crate) struct Parameter {
    pub(crate) name: &'static str,
    /// What it is for.
    pub(crate) about: &'static str,
    /// What it takes, for whoever sent something else.
    pub(crate) takes: &'static str,
    pub(crate) kind: Kind,
    pub(crate) omitted: Omitted,
}

/// What values a parameter has.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    Text,
    /// As Go reads booleans.
    Flag,
    /// One of these, in any case.
    OneOf(&'static [&'static str]),
    /// Texts joined by commas.
    List,
    /// A whole number up to this one.
    Whole(u64),
    /// A number that is not negative.
    Amount,
}

/// What it means to leave a parameter out.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Omitted {
    /// The request is refused.
    Required,
    /// The same as not to ask for anything.
    Nothing,
    /// The same as this.
    Value(&'static str),
    /// The same as this under `/model`, and as that elsewhere.
    Faces(&'static str, &'static str),
}

impl Omitted {
    /// What a parameter that is left out reads as.
    pub(crate) fn of(self, face: Face) -> Option<&'static str> {
        match (self, face) {
            (Self::Required | Self::Nothing, _) => None,
            (Self::Value(value), _) => Some(value),
            (Self::Faces(kubecost, _), Face::Kubecost) => Some(kubecost),
            (Self::Faces(_, opencost), Face::OpenCost) => Some(opencost),
        }
    }
}

impl Parameter {
    pub(crate) fn missing(&self) -> ParameterError {
        ParameterError::Missing {
            parameter: self.name,
            takes: self.takes,
        }
    }

    pub(crate) fn malformed(&self, got: &str) -> ParameterError {
        ParameterError::Malformed {
            parameter: self.name,
            got: got.to_owned(),
            takes: self.takes,
        }
    }
}

/// The parameters of a request, decoded. Unknown ones are ignored, since clients send many.
#[derive(Clone, Debug, Default)]
pub(crate) struct Parameters(Vec<(String, String)>);

impl Parameters {
    pub(crate) fn parse(query: &str) -> Self {
        Self(form_urlencoded::parse(query.as_bytes()).into_owned().collect())
    }

    /// The first value that is not empty: an empty parameter counts as absent.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.iter().find(|(key, _)| *key == name).map(|(_, value)| value)
    }

    /// All parameters that say something.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0
            .iter()
            .map(|(key, value)| (key.as_str(), value.trim()))
            .filter(|(_, value)| !value.is_empty())
    }

    /// A boolean, as Go reads it.
    pub(crate) fn flag(&self, parameter: &Parameter) -> Result<Option<bool>, ParameterError> {
        self.get(parameter.name)
            .map(|text| flag::parse_parameter(parameter.name, text))
            .transpose()
    }

    /// A boolean or its default.
    pub(crate) fn is_set(&self, parameter: &Parameter, face: Face) -> Result<bool, ParameterError> {
        let default = parameter.omitted.of(face).and_then(flag::parse);
        Ok(self.flag(parameter)?.or(default).unwrap_or_default())
    }

    /// One of the words that the parameter takes, as the table spells it.
    pub(crate) fn word(&self, parameter: &Parameter) -> Result<Option<&'static str>, ParameterError> {
        let Kind::OneOf(words) = parameter.kind else {
            return Ok(None);
        };
        let Some(text) = self.get(parameter.name) else {
            return Ok(None);
        };
        let word = words.iter().find(|word| word.eq_ignore_ascii_case(text));
        word.map(|word| Some(*word)).ok_or_else(|| parameter.malformed(text))
    }

    /// A whole number.
    pub(crate) fn whole(&self, parameter: &Parameter) -> Result<Option<u64>, ParameterError> {
        let most = match parameter.kind {
            Kind::Whole(most) => most,
            _ => u64::MAX,
        };
        let Some(text) = self.get(parameter.name) else {
            return Ok(None);
        };
        match text.parse() {
            Ok(number) if number <= most => Ok(Some(number)),
            _ => Err(parameter.malformed(text)),
        }
    }

    /// A number that is neither negative nor infinite. `NaN` counts as absent: a client sends it for none.
    pub(crate) fn amount(&self, parameter: &Parameter) -> Result<Option<f64>, ParameterError> {
        let Some(text) = self.get(parameter.name) else {
            return Ok(None);
        };
        match text.parse::<f64>() {
            Ok(number) if number.is_nan() => Ok(None),
            Ok(number) if number.is_finite() && number >= 0.0 => Ok(Some(number)),
            _ => Err(parameter.malformed(text)),
        }
    }

    /// The items of a list, without those that are empty.
    pub(crate) fn list(&self, parameter: &Parameter) -> impl Iterator<Item = &str> {
        let text = self.get(parameter.name).unwrap_or_default();
        text.split(',').map(str::trim).filter(|item| !item.is_empty())
    }
}

impl<S: Sync> FromRequestParts<S> for Parameters {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self::parse(parts.uri.query().unwrap_or_default()))
    }
}

#[cfg(test)]
mod tests {
    use super::{table, *};

    #[test]
    fn decodes_and_takes_empty_for_absent() {
        let parameters = Parameters::parse("window=7d%20offset+1d&aggregate=&aggregate=node&idle=False&x&y=%zz");
        assert_eq!(parameters.get("window"), Some("7d offset 1d"));
        assert_eq!(parameters.get("aggregate"), Some("node"));
        assert_eq!(parameters.get("x"), None);
        assert_eq!(parameters.get("y"), Some("%zz"));
        assert_eq!(parameters.flag(&table::IDLE).unwrap(), Some(false));
        assert_eq!(parameters.flag(&table::SPLIT_IDLE).unwrap(), None);
        assert_eq!(Parameters::parse("").iter().count(), 0);
    }

    #[test]
    fn defaults_depend_on_the_face() {
        let nothing = Parameters::default();
        assert!(nothing.is_set(&table::SHARE_TENANCY_COSTS, Face::Kubecost).unwrap());
        assert!(!nothing.is_set(&table::SHARE_TENANCY_COSTS, Face::OpenCost).unwrap());
        let off = Parameters::parse("shareTenancyCosts=f");
        assert!(!off.is_set(&table::SHARE_TENANCY_COSTS, Face::Kubecost).unwrap());
    }

    #[test]
    fn numbers_words_and_lists() {
        let cost = |query: &str| Parameters::parse(query).amount(&table::SHARE_COST);
        assert_eq!(cost("shareCost=12.5").unwrap(), Some(12.5));
        assert_eq!(cost("shareCost=NaN").unwrap(), None);
        for wrong in ["-1", "inf", "ten"] {
            assert_eq!(
                cost(&format!("shareCost={wrong}")).unwrap_err().parameter(),
                "shareCost"
            );
        }
        let split = Parameters::parse("shareSplit=EVEN").word(&table::SHARE_SPLIT);
        assert_eq!(split.unwrap(), Some("even"));
        let list = Parameters::parse("shareNamespaces=a,%20b,,");
        assert_eq!(list.list(&table::SHARE_NAMESPACES).collect::<Vec<_>>(), ["a", "b"]);
    }
}
