//! S3 in memory and in the test's process: quick enough for tens of thousands of requests, where moto takes two
//! hundred in a second. The checks of every bucket run over it too, so it is S3 as far as they can tell.
//!
//! Every request takes effect as a whole, between its arrival and its answer, and none after its connection has gone.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{Arc, Mutex},
};

use axum::{
    body::Body,
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use chrono::{DateTime, SecondsFormat, Utc};
use futures::TryStreamExt;
use http::{HeaderMap, Method, Request, StatusCode, request::Parts};
use object_store::{
    Attribute, Attributes, Error, GetOptions, GetRange, ObjectMeta, ObjectStore, ObjectStoreExt, PutMode, PutOptions,
    PutPayload, UpdateVersion, memory::InMemory, path::Path,
};
use quick_xml::escape::escape;
use serde::{Deserialize, Serialize};
use url::form_urlencoded;

/// Metadata as headers.
const METADATA: &str = "x-amz-meta-";

/// Most keys in a page of a listing, as on AWS.
const PAGE: usize = 1000;

/// The bucket. Clones share what it holds.
#[derive(Debug, Clone, Default)]
pub(super) struct Bucket {
    objects: Arc<InMemory>,
    uploads: Arc<Mutex<HashMap<String, Upload>>>,
    /// Whether it takes no notice of the conditions of writes, as old servers do.
    unconditional: bool,
}

#[derive(Debug, Default)]
struct Upload {
    attributes: Attributes,
    parts: BTreeMap<usize, Bytes>,
}

#[derive(Deserialize)]
struct Delete {
    #[serde(rename = "Object")]
    objects: Vec<Key>,
}

#[derive(Deserialize)]
struct Key {
    #[serde(rename = "Key")]
    key: String,
}

#[derive(Serialize, Default)]
#[serde(rename_all = "PascalCase", rename = "ListBucketResult")]
struct Listing {
    #[serde(skip_serializing_if = "Option::is_none")]
    next_continuation_token: Option<String>,
    contents: Vec<Contents>,
    common_prefixes: Vec<CommonPrefix>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Contents {
    key: String,
    size: u64,
    last_modified: String,
    #[serde(rename = "ETag")]
    e_tag: String,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct CommonPrefix {
    prefix: String,
}

/// A request that S3 would refuse, as it would.
struct Refused(StatusCode, &'static str);

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        match error {
            Error::NotFound { .. } => Self(StatusCode::NOT_FOUND, "NoSuchKey"),
            Error::AlreadyExists { .. } | Error::Precondition { .. } => {
                Self(StatusCode::PRECONDITION_FAILED, "PreconditionFailed")
            }
            Error::NotModified { .. } => Self(StatusCode::NOT_MODIFIED, ""),
            // What else the store in memory refuses is a range.
            _ => Self(StatusCode::RANGE_NOT_SATISFIABLE, "InvalidRange"),
        }
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        (self.0, error_body(self.1)).into_response()
    }
}

/// The body of an error.
pub(super) fn error_body(code: &str) -> String {
    format!("<Error><Code>{code}</Code><Message>as the test has it</Message></Error>")
}

impl Bucket {
    /// A bucket that takes no notice of the conditions of writes.
    pub(super) fn unconditional() -> Self {
        Self {
            unconditional: true,
            ..Self::default()
        }
    }

    /// Answers a request to `/<bucket>/<key>`, whatever the bucket is called.
    pub(super) async fn answer(&self, request: Request<Bytes>) -> Response {
        let (parts, body) = request.into_parts();
        self.act(parts, body).await.unwrap_or_else(Refused::into_response)
    }

    /// All that can be seen in the bucket.
    pub(super) async fn contents(&self) -> BTreeMap<String, Bytes> {
        let all: Vec<ObjectMeta> = self.objects.list(None).try_collect().await.unwrap();
        let mut contents = BTreeMap::new();
        for object in all {
            let read = self.objects.get(&object.location).await.unwrap();
            contents.insert(object.location.to_string(), read.bytes().await.unwrap());
        }
        contents
    }

    /// Writes an object, as somebody does whom no fault meets.
    pub(super) async fn replace(&self, path: &Path, content: &'static str) {
        self.objects.put(path, content.into()).await.unwrap();
    }

    async fn act(&self, parts: Parts, body: Bytes) -> Result<Response, Refused> {
        let query: HashMap<String, String> = form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes())
            .into_owned()
            .collect();
        let key = parts.uri.path().trim_start_matches('/').split_once('/');
        let key = key.map(|(_bucket, key)| key).unwrap_or_default();
        let path = Path::from_url_path(key).unwrap();
        let headers = &parts.headers;
        match (&parts.method, query.get("uploadId")) {
            (&Method::POST, None) if query.contains_key("delete") => self.delete(&body).await,
            (&Method::POST, None) if query.contains_key("uploads") => {
                let id = uuid::Uuid::new_v4().to_string();
                let attributes = attributes(headers);
                let upload = Upload {
                    attributes,
                    ..Upload::default()
                };
                self.uploads.lock().unwrap().insert(id.clone(), upload);
                Ok(result("InitiateMultipartUploadResult", "UploadId", &id))
            }
            (&Method::POST, Some(id)) => self.complete(&path, id, headers).await,
            (&Method::DELETE, Some(id)) => {
                let aborted = self.uploads.lock().unwrap().remove(id);
                aborted.ok_or(Refused(StatusCode::NOT_FOUND, "NoSuchUpload"))?;
                Ok(StatusCode::NO_CONTENT.into_response())
            }
            (&Method::PUT, id) => {
                let source = headers.get("x-amz-copy-source").map(|source| source.to_str().unwrap());
                let source = source.map(|source| {
                    let (_bucket, key) = source.split_once('/').unwrap();
                    Path::from_url_path(key).unwrap()
                });
                match (id, source) {
                    (None, None) => {
                        self.put(&path, body.into(), attributes(headers), self.mode(headers))
                            .await
                    }
                    (None, Some(source)) => {
                        self.objects.copy(&source, &path).await?;
                        Ok(result("CopyObjectResult", "ETag", "copied"))
                    }
                    (Some(id), None) => {
                        self.put_part(id, &query["partNumber"], body)?;
                        Ok([("etag", "part")].into_response())
                    }
                    (Some(id), Some(source)) => {
                        let copied = self.objects.get(&source).await?.bytes().await?;
                        self.put_part(id, &query["partNumber"], copied)?;
                        Ok(result("CopyPartResult", "ETag", "part"))
                    }
                }
            }
            (&Method::GET, None) if key.is_empty() => Ok(self.list(&query).await),
            (&Method::GET | &Method::HEAD, None) => self.get(&path, &parts).await,
            _ => Err(Refused(StatusCode::NOT_IMPLEMENTED, "NotImplemented")),
        }
    }

    fn mode(&self, headers: &HeaderMap) -> PutMode {
        if self.unconditional {
            PutMode::Overwrite
        } else {
            mode(headers)
        }
    }

    async fn put(
        &self,
        path: &Path,
        payload: PutPayload,
        attributes: Attributes,
        mode: PutMode,
    ) -> Result<Response, Refused> {
        let options = PutOptions {
            mode,
            attributes,
            ..PutOptions::default()
        };
        let put = self.objects.put_opts(path, payload, options).await?;
        Ok([("etag", tag(put.e_tag))].into_response())
    }

    fn put_part(&self, id: &str, number: &str, body: Bytes) -> Result<(), Refused> {
        let mut uploads = self.uploads.lock().unwrap();
        let upload = uploads
            .get_mut(id)
            .ok_or(Refused(StatusCode::NOT_FOUND, "NoSuchUpload"))?;
        upload.parts.insert(number.parse().unwrap(), body);
        Ok(())
    }

    async fn complete(&self, path: &Path, id: &str, headers: &HeaderMap) -> Result<Response, Refused> {
        // Gone with the first completion, as on AWS some time after it: a repeated one finds nothing.
        let upload = self.uploads.lock().unwrap().remove(id);
        let upload = upload.ok_or(Refused(StatusCode::NOT_FOUND, "NoSuchUpload"))?;
        let content: PutPayload = upload.parts.into_values().collect();
        let put = self.put(path, content, upload.attributes, self.mode(headers)).await?;
        let tag = put.headers()["etag"].to_str().unwrap();
        Ok(result("CompleteMultipartUploadResult", "ETag", tag))
    }

    async fn delete(&self, body: &[u8]) -> Result<Response, Refused> {
        let Delete { objects } = quick_xml::de::from_reader(body).unwrap();
        let mut deleted = String::new();
        for Key { key } in objects {
            // S3 does not mind what is not there.
            match self.objects.delete(&Path::parse(&key).unwrap()).await {
                Ok(()) | Err(Error::NotFound { .. }) => {}
                Err(error) => return Err(error.into()),
            }
            deleted += &format!("<Deleted><Key>{}</Key></Deleted>", escape(&key));
        }
        Ok(format!("<DeleteResult>{deleted}</DeleteResult>").into_response())
    }

    async fn get(&self, path: &Path, parts: &Parts) -> Result<Response, Refused> {
        let header = |name: &str| {
            let value = parts.headers.get(name)?;
            Some(value.to_str().unwrap().to_owned())
        };
        let time = |name: &str| {
            let text = header(name)?;
            let time = DateTime::parse_from_rfc2822(&text).unwrap().to_utc();
            // The header tells the second, within which the object may have changed at any time.
            Some(time + chrono::Duration::milliseconds(999))
        };
        let options = GetOptions {
            if_match: header("if-match"),
            if_none_match: header("if-none-match"),
            if_modified_since: time("if-modified-since"),
            if_unmodified_since: time("if-unmodified-since"),
            range: header("range").map(|range| read_range(&range)),
            head: parts.method == Method::HEAD,
            ..GetOptions::default()
        };
        // Ours are in quotes, as S3's, and the store's are not.
        let unquoted = |tags: Option<String>| tags.map(|tags| tags.replace('"', ""));
        let options = GetOptions {
            if_match: unquoted(options.if_match),
            if_none_match: unquoted(options.if_none_match),
            ..options
        };
        let is_partial = options.range.is_some();
        let found = self.objects.get_opts(path, options).await?;
        let ObjectMeta {
            last_modified,
            size,
            e_tag,
            ..
        } = found.meta.clone();
        let mut response = Response::builder()
            .header("etag", tag(e_tag))
            .header("last-modified", http_time(last_modified))
            .header("content-length", found.range.end - found.range.start);
        for (attribute, value) in &found.attributes {
            response = response.header(header_name(attribute), value.as_ref());
        }
        if is_partial {
            let (first, last) = (found.range.start, found.range.end - 1);
            response = response
                .status(StatusCode::PARTIAL_CONTENT)
                .header("content-range", format!("bytes {first}-{last}/{size}"));
        }
        let body = if parts.method == Method::HEAD {
            Bytes::new()
        } else {
            found.bytes().await?
        };
        Ok(response.body(Body::from(body)).unwrap())
    }

    async fn list(&self, query: &HashMap<String, String>) -> Response {
        let text = |name: &str| query.get(name).map(String::as_str).unwrap_or_default();
        let (prefix, delimiter) = (text("prefix"), text("delimiter"));
        let after = text("start-after").max(text("continuation-token"));
        let mut all: Vec<ObjectMeta> = self.objects.list(None).try_collect().await.unwrap();
        all.sort_by(|one, other| one.location.as_ref().cmp(other.location.as_ref()));
        let mut listing = Listing::default();
        let mut folders = BTreeSet::new();
        for object in all {
            let key = object.location.as_ref();
            let Some(rest) = key.strip_prefix(prefix).filter(|_| key > after) else {
                continue;
            };
            if let Some((folder, _)) = rest.split_once(delimiter).filter(|_| !delimiter.is_empty()) {
                folders.insert(format!("{prefix}{folder}{delimiter}"));
                continue;
            }
            if let Some(last) = listing.contents.last().filter(|_| listing.contents.len() == PAGE) {
                listing.next_continuation_token = Some(last.key.clone());
                break;
            }
            listing.contents.push(Contents {
                key: key.to_owned(),
                size: object.size,
                last_modified: object.last_modified.to_rfc3339_opts(SecondsFormat::Millis, true),
                e_tag: tag(object.e_tag),
            });
        }
        listing.common_prefixes = folders.into_iter().map(|prefix| CommonPrefix { prefix }).collect();
        quick_xml::se::to_string(&listing).unwrap().into_response()
    }
}

fn result(kind: &str, field: &str, value: &str) -> Response {
    format!("<{kind}><{field}>{}</{field}></{kind}>", escape(value)).into_response()
}

fn tag(tag: Option<String>) -> String {
    format!("\"{}\"", tag.unwrap())
}

fn http_time(time: DateTime<Utc>) -> String {
    time.format("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

fn mode(headers: &HeaderMap) -> PutMode {
    match (headers.get("if-none-match"), headers.get("if-match")) {
        (Some(_), _) => PutMode::Create,
        (None, Some(tag)) => PutMode::Update(UpdateVersion {
            e_tag: Some(tag.to_str().unwrap().replace('"', "")),
            version: None,
        }),
        (None, None) => PutMode::Overwrite,
    }
}

fn read_range(range: &str) -> GetRange {
    let (first, last) = range.strip_prefix("bytes=").unwrap().split_once('-').unwrap();
    match (first, last) {
        ("", suffix) => GetRange::Suffix(suffix.parse().unwrap()),
        (first, "") => GetRange::Offset(first.parse().unwrap()),
        (first, last) => GetRange::Bounded(first.parse().unwrap()..last.parse::<u64>().unwrap() + 1),
    }
}

fn header_name(attribute: &Attribute) -> String {
    match attribute {
        Attribute::ContentType => "content-type".to_owned(),
        Attribute::ContentEncoding => "content-encoding".to_owned(),
        Attribute::ContentDisposition => "content-disposition".to_owned(),
        Attribute::ContentLanguage => "content-language".to_owned(),
        Attribute::CacheControl => "cache-control".to_owned(),
        Attribute::StorageClass => "x-amz-storage-class".to_owned(),
        Attribute::Metadata(name) => format!("{METADATA}{name}"),
        other => panic!("a new kind of attribute: {other:?}"),
    }
}

fn attributes(headers: &HeaderMap) -> Attributes {
    let mut attributes = Attributes::new();
    for (name, value) in headers {
        let attribute = match name.as_str() {
            "content-type" => Attribute::ContentType,
            "content-encoding" => Attribute::ContentEncoding,
            "content-disposition" => Attribute::ContentDisposition,
            "content-language" => Attribute::ContentLanguage,
            "cache-control" => Attribute::CacheControl,
            "x-amz-storage-class" => Attribute::StorageClass,
            name => match name.strip_prefix(METADATA) {
                Some(name) => Attribute::Metadata(name.to_owned().into()),
                None => continue,
            },
        };
        attributes.insert(attribute, value.to_str().unwrap().to_owned().into());
    }
    attributes
}
