//! What a caller may see.

use cost_model::{
    Scope,
    scope::{Grant, Pattern, PatternError},
};
use fedcost_proto::query::v1 as proto;
use service_kit::server::peer_identity;
use tonic::Request;

use super::error::QueryError;

/// The service that asks for people, by the name in its certificate.
const GATEWAY: &str = "gateway-svc";

/// The most patterns in a scope.
const MOST_PATTERNS: usize = 10_000;

/// What the caller may see.
///
/// A gateway asks for people, so it must say what they may see; if it does not, it has a fault, and nothing is answered.
/// Whoever else has a certificate of a service sees everything, unless it asks for less.
pub(super) fn of<T>(request: &Request<T>, scope: impl Fn(&T) -> Option<&proto::Scope>) -> Result<Scope, QueryError> {
    match scope(request.get_ref()) {
        Some(scope) => read(scope),
        // Without an identity, the call came through no server of ours.
        None => match peer_identity(request) {
            Ok(identity) if identity.service_name().is_some_and(|name| name != GATEWAY) => Ok(Scope::Everything),
            Ok(_) | Err(_) => Err(QueryError::NoScope),
        },
    }
}

fn read(message: &proto::Scope) -> Result<Scope, QueryError> {
    if message.everything {
        return Ok(Scope::Everything);
    }
    let patterns = message
        .grants
        .iter()
        .map(|grant| grant.clusters.len() + grant.namespaces.len());
    let got = patterns.sum();
    if got > MOST_PATTERNS {
        return Err(QueryError::LongScope {
            got,
            most: MOST_PATTERNS,
        });
    }
    let patterns =
        |texts: &[String]| -> Result<Vec<Pattern>, PatternError> { texts.iter().map(|text| text.parse()).collect() };
    let grants = message
        .grants
        .iter()
        .map(|grant| Ok(Grant::new(patterns(&grant.clusters)?, patterns(&grant.namespaces)?)));
    Ok(Scope::of(grants.collect::<Result<_, PatternError>>()?))
}
