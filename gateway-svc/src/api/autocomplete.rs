//! `/allocation/autocomplete` and `/assets/autocomplete`: values for whoever types a filter.

use axum::{
    Json,
    response::{IntoResponse, Response},
};
use chrono::Utc;
use cost_model::{ParameterError, naming::sanitize_label_name};
use fedcost_proto::query::v1::AutocompleteRequest;
use serde::Serialize;
use utoipa::ToSchema;

use super::{filter, success::Success, time_range::TimeRange};
use crate::{
    Gateway,
    error::ApiError,
    face::Face,
    parameters::{Parameter, Parameters, table},
};

/// The values of a field, in order.
#[derive(Serialize, ToSchema)]
#[schema(as = Values)]
pub(crate) struct Values {
    data: Vec<String>,
}

/// Values that are listed unless told.
const VALUES: u32 = 100;

/// The fields of allocations, as they are sent and as query-svc calls them.
const ALLOCATION: [(&str, &str); 17] = [
    ("cluster", "cluster"),
    ("node", "node"),
    ("namespace", "namespace"),
    ("controllerKind", "controllerKind"),
    ("controllerName", "controllerName"),
    ("controller", "controllerName"),
    ("pod", "pod"),
    ("container", "container"),
    ("provider", "provider"),
    ("services", "services"),
    ("service", "services"),
    ("department", "department"),
    ("environment", "environment"),
    ("owner", "owner"),
    ("product", "product"),
    ("team", "team"),
    ("label", "label"),
];

/// The fields of assets.
const ASSET: [(&str, &str); 11] = [
    ("name", "name"),
    ("assetType", "assetType"),
    ("type", "assetType"),
    ("category", "category"),
    ("cluster", "cluster"),
    ("project", "project"),
    ("provider", "provider"),
    ("providerID", "providerID"),
    ("account", "account"),
    ("service", "service"),
    ("label", "label"),
];

pub(crate) async fn allocations(gateway: Gateway, face: Face, parameters: Parameters) -> Result<Response, ApiError> {
    let field = field(&parameters, &table::FIELD, &ALLOCATION, &["label", "annotation"])?;
    let filter = filter::allocations(&parameters, face)?;
    answer(&gateway, face, &parameters, false, field, filter).await
}

pub(crate) async fn assets(gateway: Gateway, face: Face, parameters: Parameters) -> Result<Response, ApiError> {
    let field = field(&parameters, &table::ASSET_FIELD, &ASSET, &["label"])?;
    let filter = filter::assets(&parameters, face)?;
    answer(&gateway, face, &parameters, true, field, filter).await
}

async fn answer(
    gateway: &Gateway,
    face: Face,
    parameters: &Parameters,
    assets: bool,
    field: String,
    filter: String,
) -> Result<Response, ApiError> {
    let range = TimeRange::read(parameters, face, Utc::now(), gateway.calendar, gateway.limits.sets)?;
    let limit = parameters.whole(&table::VALUES_LIMIT)?.unwrap_or_default();
    let question = AutocompleteRequest {
        window: Some(range.window()),
        assets,
        field,
        search: parameters.get(table::SEARCH.name).unwrap_or_default().to_owned(),
        limit: match u32::try_from(limit) {
            Ok(limit @ 1..) => limit,
            _ => VALUES,
        },
        filter,
        // Whoever asks says it.
        scope: None,
    };
    let answer = gateway.upstream.autocomplete(question, gateway.deadline()).await?;
    Ok(Json(Success::of(Values { data: answer.values })).into_response())
}

/// The field as query-svc calls it: one of `fields` in any case, or one of `maps` with a name.
fn field(
    parameters: &Parameters,
    parameter: &Parameter,
    fields: &[(&str, &str)],
    maps: &[&str],
) -> Result<String, ParameterError> {
    let text = parameters.get(parameter.name).ok_or_else(|| parameter.missing())?;
    if let Some((_, field)) = fields.iter().find(|(name, _)| name.eq_ignore_ascii_case(text)) {
        return Ok((*field).to_owned());
    }
    if let Some(map) = maps.iter().find(|map| map.eq_ignore_ascii_case(text)) {
        return Ok((*map).to_owned());
    }
    if let Some((map, name)) = text.split_once(':') {
        let map = maps.iter().find(|known| known.eq_ignore_ascii_case(map.trim()));
        if let (Some(map), false) = (map, name.trim().is_empty()) {
            return Ok(format!("{map}:{}", sanitize_label_name(name.trim())));
        }
    }
    Err(parameter.malformed(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_known_in_any_case() {
        let read = |query: &str| {
            field(
                &Parameters::parse(query),
                &table::FIELD,
                &ALLOCATION,
                &["label", "annotation"],
            )
        };
        for (query, expected) in [
            ("field=Namespace", "namespace"),
            ("field=controllername", "controllerName"),
            ("field=Label", "label"),
            ("field=label:app.io/x", "label:app_io_x"),
            ("field=annotation:x", "annotation:x"),
        ] {
            assert_eq!(read(query).unwrap(), expected);
        }
        assert!(
            read("")
                .unwrap_err()
                .to_string()
                .starts_with("parameter field is missing")
        );
        for query in ["field=nosuch", "field=label:", "field=pod:x"] {
            assert!(read(query).is_err(), "{query}");
        }
    }
}
