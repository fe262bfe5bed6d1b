//! Whose shapes and defaults a path has: the same questions are answered under two names.

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use http::{Uri, request::Parts};

/// Whose shapes and defaults a path has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Face {
    /// Under `/model`: Kubecost's.
    Kubecost,
    /// Everywhere else: OpenCost's.
    OpenCost,
}

impl Face {
    pub(crate) fn of(uri: &Uri) -> Self {
        Self::of_path(uri.path())
    }

    pub(crate) fn of_path(path: &str) -> Self {
        match path.strip_prefix("/model") {
            Some(rest) if rest.is_empty() || rest.starts_with('/') => Self::Kubecost,
            _ => Self::OpenCost,
        }
    }
}

impl<S: Sync> FromRequestParts<S> for Face {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self::of(&parts.uri))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_tells() {
        for (path, face) in [
            ("/model", Face::Kubecost),
            ("/model/assets?window=7d", Face::Kubecost),
            ("/models", Face::OpenCost),
            ("/assets", Face::OpenCost),
            ("/", Face::OpenCost),
        ] {
            assert_eq!(Face::of(&path.parse().unwrap()), face, "{path}");
        }
    }
}
