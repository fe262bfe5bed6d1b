//! The query string of a request.

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use cost_model::{ParameterError, flag};
use http::request::Parts;
use url::form_urlencoded;

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
    pub(crate) fn flag(&self, name: &'static str) -> Result<Option<bool>, ParameterError> {
        self.get(name).map(|text| flag::parse_parameter(name, text)).transpose()
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
    use super::*;

    #[test]
    fn decodes_and_takes_empty_for_absent() {
        let parameters = Parameters::parse("window=7d%20offset+1d&aggregate=&aggregate=node&idle=False&x&y=%zz");
        assert_eq!(parameters.get("window"), Some("7d offset 1d"));
        assert_eq!(parameters.get("aggregate"), Some("node"));
        assert_eq!(parameters.get("x"), None);
        assert_eq!(parameters.get("y"), Some("%zz"));
        assert_eq!(parameters.flag("idle").unwrap(), Some(false));
        assert_eq!(parameters.flag("shareIdle").unwrap(), None);
        assert_eq!(parameters.flag("window").unwrap_err().parameter(), "window");
        assert_eq!(Parameters::parse("").iter().count(), 0);
    }
}
