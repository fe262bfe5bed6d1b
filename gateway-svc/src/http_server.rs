//! The HTTP server: routes, what surrounds every request, and connections.

mod connections;
mod observe;

use std::any::Any;

use axum::{
    Router,
    extract::{Request, State},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{get, post, put},
};
use http::{HeaderValue, Method, Uri, header};
use tokio::time::timeout;
use tower::ServiceBuilder;
use tower_http::{
    CompressionLevel, catch_panic::CatchPanicLayer, compression::CompressionLayer, limit::RequestBodyLimitLayer,
};

pub(crate) use self::connections::serve;
use crate::{
    Gateway, access,
    api::{endpoints::ENDPOINTS, openapi, reference_page, saved_views, start_page, web_page},
    error::{ApiError, write_explanation},
    face::Face,
    metrics,
};

/// The largest body that is read is a view to save.
const MOST_BODY_BYTES: usize = 64 * 1024;

/// All routes within what surrounds every request.
pub(crate) fn router(gateway: Gateway) -> Router {
    let pages = Router::new()
        .route("/", get(web_page::index))
        .route("/static/{name}", get(web_page::file))
        .route("/start", get(start_page::page))
        .route("/start.css", get(start_page::style))
        .route("/start.js", get(start_page::script))
        .route("/api", get(reference_page::page))
        .route("/api.css", get(reference_page::style))
        .route("/api.js", get(reference_page::script))
        .route("/openapi.json", get(openapi::description))
        .route("/views/{name}", put(saved_views::save).delete(saved_views::remove))
        .route("/auth/me", get(access::who))
        .route("/auth/login", get(access::sign_in::login))
        .route("/auth/callback", get(access::sign_in::callback))
        .route("/auth/logout", post(access::sign_in::logout))
        .route("/metrics", get(expose));
    let routes = ENDPOINTS.iter().fold(pages, |routes, endpoint| {
        let paths = endpoint.paths.iter();
        paths.fold(routes, |routes, path| routes.route(path, (endpoint.handler)()))
    });
    surround(routes, gateway)
}

/// Puts around `routes` what surrounds every request.
fn surround(routes: Router<Gateway>, gateway: Gateway) -> Router {
    let layers = ServiceBuilder::new()
        // Outermost, so that whatever happens is counted and has a request id.
        .layer(middleware::from_fn_with_state(
            gateway.metrics.clone(),
            observe::observe,
        ))
        // Answers are large, and clients near: what packing takes longer is not made up for on the way.
        .layer(CompressionLayer::new().quality(CompressionLevel::Fastest))
        .layer(middleware::from_fn(explain))
        // Within the layer that explains, as their refusals want explaining.
        .layer(CatchPanicLayer::custom(panicked))
        .layer(middleware::from_fn_with_state(gateway.clone(), within_time))
        // Nothing is read or asked before it is known who asks, and what is refused is explained and counted.
        .layer(middleware::from_fn_with_state(gateway.clone(), access::admit))
        .layer(RequestBodyLimitLayer::new(MOST_BODY_BYTES));
    routes
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(layers)
        .with_state(gateway)
}

async fn expose(State(gateway): State<Gateway>) -> Response {
    metrics::expose(&gateway.registry)
}

async fn not_found(uri: Uri) -> ApiError {
    ApiError::NotFound {
        path: uri.path().to_owned(),
    }
}

async fn method_not_allowed(method: Method, uri: Uri) -> ApiError {
    ApiError::Method {
        method,
        path: uri.path().to_owned(),
    }
}

async fn explain(request: Request, next: Next) -> Response {
    let face = Face::of(request.uri());
    let mut response = write_explanation(face, next.run(request).await);
    response
        .headers_mut()
        .insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

async fn within_time(State(gateway): State<Gateway>, request: Request, next: Next) -> Response {
    timeout(gateway.limits.request_timeout, next.run(request))
        .await
        .unwrap_or_else(|_| ApiError::TimedOut.into_response())
}

fn panicked(panic: Box<dyn Any + Send>) -> Response {
    let message = panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("not a text");
    tracing::error!(panic = message, "handler panicked");
    ApiError::Panicked.into_response()
}

#[cfg(test)]
mod tests {
    use std::{future::pending, sync::Arc};

    use axum::body::{Body, to_bytes};
    use cost_model::Calendar;
    use http::{StatusCode, Uri};
    use prometheus_client::{encoding::text, registry::Registry};
    use service_kit::client::Channel;
    use tokio::net::TcpStream;
    use tokio_util::sync::CancellationToken;
    use tower::ServiceExt;

    use super::*;
    use crate::{GatewayMetrics, Limits, upstream::Upstream};

    fn gateway() -> Gateway {
        let nobody = Channel::new(Uri::from_static("http://127.0.0.1:1"), || {
            TcpStream::connect("127.0.0.1:1")
        });
        let mut registry = Registry::default();
        Gateway {
            upstream: Upstream::new(nobody.clone(), nobody),
            calendar: Calendar::utc(),
            currency: "USD".into(),
            limits: Arc::new(Limits::default()),
            metrics: GatewayMetrics::register(&mut registry),
            registry: Arc::new(registry),
            views: Arc::default(),
            access: Arc::default(),
            caller: Arc::new(access::Caller::nobody()),
            shutdown: CancellationToken::new(),
        }
    }

    async fn broken() -> Response {
        panic!("on purpose")
    }

    #[tokio::test(start_paused = true)]
    async fn panics_and_handlers_that_hang_are_answered_and_counted() {
        let gateway = gateway();
        let registry = Arc::clone(&gateway.registry);
        let routes = Router::new()
            .route("/model/broken", get(broken))
            .route("/stuck", get(pending::<Response>));
        let router = surround(routes, gateway);
        let cases = [
            (
                "/model/broken",
                StatusCode::INTERNAL_SERVER_ERROR,
                r#"{"code":500,"message":"the answer could not"#,
            ),
            ("/stuck", StatusCode::GATEWAY_TIMEOUT, "the answer took too long"),
        ];
        for (path, status, text) in cases {
            let request = Request::get(path).body(Body::empty()).unwrap();
            let response = router.clone().oneshot(request).await.unwrap();
            assert_eq!(response.status(), status);
            assert!(response.headers().contains_key("x-request-id"));
            let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
            assert!(body.starts_with(text.as_bytes()), "{body:?}");
        }
        let mut exposition = String::new();
        text::encode(&mut exposition, &registry).unwrap();
        for line in [
            "http_requests_total{route=\"/model/broken\",code=\"500\"} 1",
            "http_requests_total{route=\"/stuck\",code=\"504\"} 1",
            "http_requests_in_flight 0",
        ] {
            assert!(exposition.contains(line), "{line} is not in\n{exposition}");
        }
    }
}
