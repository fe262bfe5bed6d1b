//! Google's XML API, made up in front of moto, because fake-gcs-server takes no writes by it.
//!
//! The two APIs are alike but for the names of headers, and for conditions, which are on generations here and on entity
//! tags there. So this shows that our side passes conditions and metadata on; it shows nothing of Google's own server.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    body::{Body, to_bytes},
    extract::{Request, State},
    response::Response,
};
use http::{HeaderName, HeaderValue, StatusCode};
use storage_svc::StoreConfig;
use tokio::net::TcpListener;

use super::moto::Moto;

const LARGEST_BODY: usize = 64 * 1024 * 1024;

/// The server. Ends with the runtime.
pub(super) struct Google {
    port: u16,
    _moto: Moto,
}

#[derive(Clone)]
struct Front {
    back: String,
    client: reqwest::Client,
    /// By path, the generation of the present object and what came before: each with its entity tag.
    generations: Arc<Mutex<HashMap<(String, String), u64>>>,
}

impl Google {
    pub(super) async fn start(bucket: &str) -> Self {
        let moto = Moto::start().await;
        moto.create_bucket(bucket).await;
        let front = Front {
            back: moto.url(),
            client: reqwest::Client::new(),
            generations: Arc::default(),
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let router = Router::new().fallback(pass_on).with_state(front);
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { port, _moto: moto }
    }

    /// The `federated-store.yaml` of a bucket.
    pub(super) fn store(&self, bucket: &str) -> StoreConfig {
        // The library takes the server's address from the credential, and then asks nobody for a token.
        let account = format!(
            "{{\"gcs_base_url\": \"http://127.0.0.1:{}\", \"disable_oauth\": true, \"client_email\": \"\", \
             \"private_key\": \"\", \"private_key_id\": \"\"}}",
            self.port
        );
        StoreConfig::parse(&format!(
            "type: GCS\nconfig:\n  bucket: {bucket}\n  service_account: '{account}'\nprefix: team/costs"
        ))
        .unwrap()
    }
}

impl Front {
    /// The number that stands for an object's entity tag.
    fn generation(&self, path: &str, tag: &str) -> u64 {
        let mut generations = self.generations.lock().unwrap();
        let next = generations.len() as u64 + 1;
        *generations.entry((path.to_owned(), tag.to_owned())).or_insert(next)
    }

    /// The entity tag that a number stands for.
    fn tag(&self, path: &str, generation: &str) -> String {
        let generations = self.generations.lock().unwrap();
        generations
            .iter()
            .find(|((of, _), number)| of == path && number.to_string() == generation)
            .map_or("\"never\"".to_owned(), |((_, tag), _)| tag.clone())
    }
}

/// A header's name in the other API.
fn rename(name: &HeaderName, from: &str, to: &str) -> HeaderName {
    match name.as_str().strip_prefix(from) {
        Some(rest) => HeaderName::try_from(format!("{to}{rest}")).unwrap(),
        None => name.clone(),
    }
}

async fn pass_on(State(front): State<Front>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, LARGEST_BODY).await.unwrap();
    let path = parts.uri.path().to_owned();
    let url = format!("{}{}", front.back, parts.uri);
    let mut passed = front.client.request(parts.method.clone(), url).body(body);
    // moto wants to know who asks, but does not check it.
    passed = passed.header(
        "authorization",
        "AWS4-HMAC-SHA256 Credential=testing/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0",
    );
    for (name, value) in &parts.headers {
        passed = match name.as_str() {
            "host" | "content-length" | "authorization" => passed,
            "x-goog-if-generation-match" if value == "0" => passed.header("if-none-match", "*"),
            "x-goog-if-generation-match" => passed.header("if-match", front.tag(&path, value.to_str().unwrap())),
            _ => passed.header(rename(name, "x-goog-", "x-amz-"), value),
        };
    }
    let answer = passed.send().await.unwrap();
    // S3 has no generation to say that there is no object, so it says of a condition on one that there is none.
    let is_conditional = parts.headers.contains_key("x-goog-if-generation-match");
    let is_copy = parts.headers.contains_key("x-goog-copy-source");
    let of_missing = is_conditional && !is_copy && answer.status() == StatusCode::NOT_FOUND;
    let status = if of_missing {
        StatusCode::PRECONDITION_FAILED
    } else {
        answer.status()
    };
    let headers = answer.headers().clone();
    let is_head = parts.method == http::Method::HEAD;
    let mut passed = Response::builder().status(status);
    for (name, value) in &headers {
        // moto says how long the content is, which a HEAD is asked for.
        if name != "transfer-encoding" && name != "connection" && (is_head || name != "content-length") {
            passed = passed.header(rename(name, "x-amz-", "x-goog-"), value);
        }
    }
    if let Some(tag) = headers.get("etag") {
        let generation = front.generation(&path, tag.to_str().unwrap());
        passed = passed.header("x-goog-generation", HeaderValue::from(generation));
    }
    passed.body(Body::from(answer.bytes().await.unwrap())).unwrap()
}
