//! Headers that S3 understands but the library does not send.
//!
//! The library can store metadata, but a header such as `X-Amz-Acl` would become metadata of that name and its meaning
//! be lost. Its default headers would go along with every request, and servers refuse an ACL on a part of an upload.
//! So they are added here, to what makes an object: puts, copies, and starts of uploads. What S3 is told must be
//! signed, so these requests are signed anew.

use std::{
    fmt,
    sync::{Arc, OnceLock},
};

use async_trait::async_trait;
use base64::{Engine, prelude::BASE64_STANDARD};
use http::{HeaderMap, HeaderName, HeaderValue, Method, header::AUTHORIZATION};
use md5::{Digest, Md5};
use object_store::{
    aws::{AwsAuthorizer, AwsCredentialProvider},
    client::{HttpClient, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpService},
};

const DIGEST: HeaderName = HeaderName::from_static("x-amz-content-sha256");
const COPY_SOURCE: HeaderName = HeaderName::from_static("x-amz-copy-source");
const UNSIGNED: &[u8] = b"UNSIGNED-PAYLOAD";

/// The customer's key (SSE-C) for what is written, and the same for what it is copied from. The library leaves the
/// latter out of copies in parts, and the former out of the end of an upload, where MinIO wants it.
const CUSTOMER_KEY: [(HeaderName, HeaderName); 3] = [
    (
        HeaderName::from_static("x-amz-server-side-encryption-customer-algorithm"),
        HeaderName::from_static("x-amz-copy-source-server-side-encryption-customer-algorithm"),
    ),
    (
        HeaderName::from_static("x-amz-server-side-encryption-customer-key"),
        HeaderName::from_static("x-amz-copy-source-server-side-encryption-customer-key"),
    ),
    (
        HeaderName::from_static("x-amz-server-side-encryption-customer-key-md5"),
        HeaderName::from_static("x-amz-copy-source-server-side-encryption-customer-key-md5"),
    ),
];

/// What requests are signed with. Known only after the bucket was set up.
pub(super) struct Signer {
    pub(super) credentials: AwsCredentialProvider,
    pub(super) region: String,
}

// By hand, because the library's providers show credentials.
impl fmt::Debug for Signer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Signer")
            .field("region", &self.region)
            .finish_non_exhaustive()
    }
}

/// Adds headers and signs.
pub(super) struct SignedHeaders {
    pub(super) inner: HttpClient,
    /// What goes along with a new object, unless the request says otherwise.
    pub(super) headers: HeaderMap,
    /// The headers of the customer's key, if there is one.
    pub(super) customer_key: HeaderMap,
    pub(super) signer: Arc<OnceLock<Signer>>,
}

/// The headers of a customer's key.
pub(super) fn customer_key_headers(key: &[u8]) -> HeaderMap {
    let encode = |bytes: &[u8]| HeaderValue::try_from(BASE64_STANDARD.encode(bytes));
    let values = [
        Ok(HeaderValue::from_static("AES256")),
        encode(key),
        encode(Md5::digest(key).as_slice()),
    ];
    let names = CUSTOMER_KEY.into_iter().map(|(name, _)| name);
    // Base64 is always a value of a header.
    let headers = names.zip(values).filter_map(|(name, value)| Some((name, value.ok()?)));
    headers
        .map(|(name, mut value)| {
            value.set_sensitive(true);
            (name, value)
        })
        .collect()
}

// By hand, because headers may hold keys.
impl fmt::Debug for SignedHeaders {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("SignedHeaders")
            .field("headers", &self.headers.len())
            .finish_non_exhaustive()
    }
}

impl SignedHeaders {
    /// What is missing from a request.
    fn missing(&self, request: &HttpRequest) -> HeaderMap {
        let mut missing = HeaderMap::new();
        let given = request.headers();
        // Requests that fetch credentials come the same way. They are not signed so.
        let is_signed = given
            .get(AUTHORIZATION)
            .is_some_and(|value| value.as_bytes().starts_with(b"AWS4-HMAC-SHA256 "));
        if !is_signed {
            return missing;
        }
        if makes_object(request) {
            for (name, value) in &self.headers {
                if !given.contains_key(name) {
                    missing.append(name, value.clone());
                }
            }
        }
        if completes_upload(request) {
            missing.extend(self.customer_key.clone());
        }
        if given.contains_key(COPY_SOURCE) {
            for (name, of_source) in CUSTOMER_KEY {
                if let (Some(value), false) = (given.get(&name), given.contains_key(&of_source)) {
                    missing.insert(of_source, value.clone());
                }
            }
        }
        missing
    }
}

fn completes_upload(request: &HttpRequest) -> bool {
    let mut pairs = request.uri().query().unwrap_or_default().split('&');
    request.method() == Method::POST && pairs.any(|pair| pair.starts_with("uploadId="))
}

/// Whether a request makes an object, or begins to make one.
fn makes_object(request: &HttpRequest) -> bool {
    let mut names = request
        .uri()
        .query()
        .unwrap_or_default()
        .split('&')
        .map(|pair| pair.split('=').next().unwrap_or_default());
    match *request.method() {
        Method::PUT => !names.any(|name| name == "uploadId" || name == "tagging" || name == "acl"),
        Method::POST => names.any(|name| name == "uploads"),
        _ => false,
    }
}

/// The bytes that a text of hexadecimal digits stands for.
fn from_hex(text: &[u8]) -> Option<Vec<u8>> {
    let digit = |digit: u8| {
        char::from(digit)
            .to_digit(16)
            .and_then(|digit| u8::try_from(digit).ok())
    };
    text.chunks(2)
        .map(|pair| match pair {
            [high, low] => Some(digit(*high)? << 4 | digit(*low)?),
            _ => None,
        })
        .collect()
}

#[async_trait]
impl HttpService for SignedHeaders {
    async fn call(&self, mut request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let missing = self.missing(&request);
        if let (Some(signer), false) = (self.signer.get(), missing.is_empty()) {
            request.headers_mut().extend(missing);
            let credential = signer.credentials.get_credential().await;
            let credential = credential.map_err(|error| HttpError::new(HttpErrorKind::Unknown, error))?;
            // The content was hashed already.
            let digest = request.headers().get(&DIGEST).cloned();
            let digest = digest.as_ref().map(HeaderValue::as_bytes).unwrap_or_default();
            AwsAuthorizer::new(&credential, "s3", &signer.region)
                .with_sign_payload(digest != UNSIGNED)
                .authorize(
                    &mut request,
                    from_hex(digest).filter(|digest| !digest.is_empty()).as_deref(),
                );
        }
        self.inner.execute(request).await
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use object_store::{
        ClientOptions, CopyOptions, ObjectStore, ObjectStoreExt, PutPayload,
        aws::{AmazonS3, AmazonS3Builder},
        client::HttpConnector,
        path::Path,
    };

    use super::*;

    /// Keeps what was asked, and answers as S3 would, just well enough.
    #[derive(Debug, Default, Clone)]
    struct Recorder {
        requests: Arc<Mutex<Vec<HttpRequest>>>,
    }

    #[async_trait]
    impl HttpService for Recorder {
        async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
            let started = request.uri().query() == Some("uploads=");
            self.requests.lock().unwrap().push(request);
            let body = if started {
                "<InitiateMultipartUploadResult><UploadId>1</UploadId></InitiateMultipartUploadResult>"
            } else {
                "<CompleteMultipartUploadResult><ETag>x</ETag></CompleteMultipartUploadResult>"
            };
            let answer = http::Response::builder().header("etag", "x");
            Ok(answer.body(body.to_owned().into()).unwrap())
        }
    }

    #[derive(Debug)]
    struct Connector {
        recorder: Recorder,
        headers: HeaderMap,
        customer_key: HeaderMap,
        signer: Arc<OnceLock<Signer>>,
    }

    impl HttpConnector for Connector {
        fn connect(&self, _options: &ClientOptions) -> object_store::Result<HttpClient> {
            Ok(HttpClient::new(SignedHeaders {
                inner: HttpClient::new(self.recorder.clone()),
                headers: self.headers.clone(),
                customer_key: self.customer_key.clone(),
                signer: self.signer.clone(),
            }))
        }
    }

    fn store(builder: AmazonS3Builder, headers: HeaderMap, customer_key: HeaderMap) -> (AmazonS3, Recorder) {
        let (recorder, signer) = (Recorder::default(), Arc::new(OnceLock::new()));
        let store = builder
            .with_bucket_name("costs")
            .with_region("eu-west-1")
            .with_access_key_id("key")
            .with_secret_access_key("secret")
            .with_http_connector(Connector {
                recorder: recorder.clone(),
                headers,
                customer_key,
                signer: signer.clone(),
            })
            .build()
            .unwrap();
        let credentials = store.credentials().clone();
        let region = "eu-west-1".to_owned();
        assert!(signer.set(Signer { credentials, region }).is_ok());
        (store, recorder)
    }

    fn is_signed(request: &HttpRequest, name: &str) -> bool {
        let authorization = request.headers()[AUTHORIZATION].to_str().unwrap();
        let signed = authorization.split("SignedHeaders=").nth(1).unwrap();
        signed
            .split(',')
            .next()
            .unwrap()
            .split(';')
            .any(|signed| signed == name)
    }

    /// Signs a request as it was sent, and compares.
    async fn assert_signature_holds(store: &AmazonS3, request: &HttpRequest) {
        let credential = store.credentials().get_credential().await.unwrap();
        let mut again = http::Request::builder()
            .method(request.method())
            .uri(request.uri())
            .body(object_store::client::HttpRequestBody::empty())
            .unwrap();
        *again.headers_mut() = request.headers().clone();
        let digest = from_hex(request.headers()[DIGEST].as_bytes()).unwrap();
        // The date has a resolution of a second, so a second try meets the same one.
        let date = request.headers()["x-amz-date"].clone();
        AwsAuthorizer::new(&credential, "s3", "eu-west-1").authorize(&mut again, Some(&digest));
        if again.headers()["x-amz-date"] == date {
            assert_eq!(again.headers()[AUTHORIZATION], request.headers()[AUTHORIZATION]);
        }
    }

    #[tokio::test]
    async fn new_objects_bring_the_headers_signed_and_nothing_else_does() {
        let mut headers = HeaderMap::new();
        headers.insert("x-amz-acl", HeaderValue::from_static("bucket-owner-full-control"));
        headers.insert("x-amz-meta-team", HeaderValue::from_static("costs"));
        let (store, recorder) = store(AmazonS3Builder::new(), headers, HeaderMap::new());
        let path = Path::from("a");
        // In two pieces, whose digest is of both.
        let payload: PutPayload = [bytes::Bytes::from("ab"), bytes::Bytes::from("c")]
            .into_iter()
            .collect();
        store.put(&path, payload).await.unwrap();
        let mut upload = store.put_multipart(&path).await.unwrap();
        upload.put_part("part".into()).await.unwrap();
        upload.complete().await.unwrap();
        store.copy(&path, &Path::from("b")).await.unwrap();
        let _not_an_object = store.get(&path).await;

        let requests = std::mem::take(&mut *recorder.requests.lock().unwrap());
        let with: Vec<_> = requests
            .iter()
            .filter(|request| request.headers().contains_key("x-amz-acl"))
            .map(|request| format!("{} {}", request.method(), request.uri().query().unwrap_or_default()))
            .collect();
        assert_eq!(with, ["PUT ", "POST uploads=", "PUT "]);
        assert_eq!(requests.len(), 6);
        for request in requests
            .iter()
            .filter(|request| request.headers().contains_key("x-amz-acl"))
        {
            assert!(is_signed(request, "x-amz-acl") && is_signed(request, "x-amz-meta-team"));
            assert_signature_holds(&store, request).await;
        }
        // SHA-256 of "abc".
        let digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(requests[0].headers()[DIGEST], digest);
    }

    #[tokio::test]
    async fn a_customer_s_key_goes_along_with_a_copy_in_parts_and_its_end() {
        let key = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=";
        let builder = AmazonS3Builder::new()
            .with_ssec_encryption(key)
            .with_copy_if_not_exists(object_store::aws::S3CopyIfNotExists::Multipart);
        let (store, recorder) = store(
            builder,
            HeaderMap::new(),
            customer_key_headers(b"01234567890123456789012345678901"),
        );
        let create = CopyOptions::new().with_mode(object_store::CopyMode::Create);
        let _answer_of_the_recorder = store.copy_opts(&Path::from("a"), &Path::from("b"), create).await;
        let requests = recorder.requests.lock().unwrap();
        let copy = requests
            .iter()
            .find(|request| request.headers().contains_key(COPY_SOURCE))
            .unwrap();
        assert_eq!(copy.headers()[&CUSTOMER_KEY[1].1], key);
        assert!(is_signed(copy, CUSTOMER_KEY[1].1.as_str()));
        let end = requests.last().unwrap();
        assert!(completes_upload(end));
        for (name, _) in &CUSTOMER_KEY {
            // As the library itself writes it on the start of the upload.
            assert_eq!(end.headers()[name], requests[0].headers()[name]);
            assert!(is_signed(end, name.as_str()));
        }
        assert!(is_signed(end, "if-none-match"));
    }
}
