//! `/getConfigs` and `/productConfigs`: the currency that costs are in.

use axum::{
    Json,
    response::{IntoResponse, Response},
};
use serde::Serialize;
use utoipa::ToSchema;

use super::success::Success;
use crate::Gateway;

/// What clients are told of the configuration.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Settings<'a> {
    /// Such as `USD`.
    currency_code: &'a str,
}

pub(crate) async fn configs(gateway: Gateway) -> Response {
    let settings = Settings {
        currency_code: &gateway.currency,
    };
    Json(Success::of(settings)).into_response()
}

/// Dashboards read the currency at the top.
pub(crate) async fn product_configs(gateway: Gateway) -> Response {
    #[derive(Serialize)]
    struct Both<'a> {
        #[serde(flatten)]
        top: Settings<'a>,
        #[serde(flatten)]
        success: Success<Settings<'a>>,
    }
    let settings = || Settings {
        currency_code: &gateway.currency,
    };
    Json(Both {
        top: settings(),
        success: Success::of(settings()),
    })
    .into_response()
}
