use std::time::Duration;

use super::*;

fn s3(text: &str) -> S3Config {
    match StoreConfig::parse(text).unwrap().bucket {
        BucketConfig::S3(s3) => *s3,
        BucketConfig::Filesystem { .. } => panic!("not S3"),
    }
}

fn refusal(text: &str) -> String {
    StoreConfig::parse(text).unwrap_err().to_string()
}

/// What the documentation of the reference tells users to write, keys filled in.
const DOCUMENTED: &str = "
type: s3
config:
  bucket: costs
  endpoint: s3.amazonaws.com
  region: eu-central-1
  access_key: AKIAEXAMPLE
  insecure: false
  signature_version2: false
  secret_key: hunter2hunter2
  put_user_metadata: {}
  http_config:
    idle_conn_timeout: 30s
    response_header_timeout: 1m30s
    insecure_skip_verify: false
    tls_handshake_timeout: 5s
    max_idle_conns: 50
    max_idle_conns_per_host: 20
    tls_config:
      ca_file: /etc/ca.pem
  trace:
    enable: true
  part_size: 134217728
prefix: /team/costs/
";

#[test]
fn reads_the_documented_file() {
    let store = StoreConfig::parse(DOCUMENTED).unwrap();
    assert_eq!(store.prefix.as_ref(), "team/costs");
    assert_eq!(store.warnings, Vec::<String>::new());
    assert_eq!(store.to_string(), "S3 bucket costs at AWS below team/costs");
    let s3 = s3(DOCUMENTED);
    assert_eq!(s3.endpoint, S3Endpoint::Aws);
    assert_eq!(s3.region.as_deref(), Some("eu-central-1"));
    assert_eq!(s3.part_size, 134_217_728);
    assert_eq!(
        s3.http,
        S3Http {
            idle_timeout: Duration::from_secs(30),
            max_idle: 20,
            response_header_timeout: Duration::from_secs(90),
            connect_timeout: Duration::from_secs(35),
            insecure_skip_verify: false,
            ca_file: Some("/etc/ca.pem".into()),
        }
    );
}

#[test]
fn shows_no_secret() {
    let shown = format!("{:?} {:#?}", StoreConfig::parse(DOCUMENTED).unwrap(), s3(DOCUMENTED));
    assert!(shown.contains("costs"));
    for secret in ["hunter2", "AKIAEXAMPLE"] {
        assert!(!shown.contains(secret), "{shown}");
    }
    // Wherever a secret lands by mistake, the error does not repeat it.
    for text in [
        "type: S3\nconfig: {bucket: b, access_key: a, secret_key: 13371337}",
        "type: S3\nconfig: {bucket: b, access_key: 13371337}",
        "type: S3\nconfig: {bucket: b, secret_key: [13371337]}",
        "type: S3\nconfig: {bucket: b, endpoint: 'https://user:13371337@host'}",
        "type: S3\nconfig: {bucket: b, endpoint: 'user:13371337@host'}",
        "type: S3\nconfig: {bucket: b, access_key: '13371337'}",
        "type: S3\nconfig: {bucket: b, access_key: '13371337', secret_key: x, aws_sdk_auth: true}",
        "type: S3\nconfig: {bucket: b, put_user_metadata: {x: '13371337'}}",
    ] {
        let error = refusal(text);
        assert!(!error.contains("13371337"), "{error}");
        assert!(!format!("{:?}", StoreConfig::parse(text)).contains("13371337"));
    }
}

#[test]
fn finds_the_server() {
    let endpoint = |config: &str| {
        let s3 = s3(&format!("type: S3\nconfig: {{bucket: b, {config}}}"));
        (s3.endpoint.to_string(), s3.region)
    };
    let region = |region: &str| Some(region.to_owned());
    assert_eq!(endpoint(""), ("AWS".to_owned(), None));
    assert_eq!(endpoint("endpoint: s3.amazonaws.com"), ("AWS".to_owned(), None));
    assert_eq!(
        endpoint("endpoint: s3.eu-west-1.amazonaws.com"),
        ("AWS".to_owned(), region("eu-west-1"))
    );
    assert_eq!(
        endpoint("endpoint: minio:9000, insecure: true"),
        ("http://minio:9000".to_owned(), None)
    );
    assert_eq!(
        endpoint("endpoint: minio.local, region: r"),
        ("https://minio.local".to_owned(), region("r"))
    );
    assert_eq!(
        endpoint("endpoint: bucket.s3.dualstack.eu-west-1.amazonaws.com").0,
        "https://bucket.s3.dualstack.eu-west-1.amazonaws.com"
    );
}

#[test]
fn refuses_what_cannot_be_honoured() {
    for (config, expected) in [
        (
            "signature_version2: true",
            "config.signature_version2 cannot be honoured",
        ),
        (
            "list_objects_version: v1",
            "config.list_objects_version cannot be honoured",
        ),
        (
            "put_user_metadata: {X-Amz-Acl: public-read}",
            "config.put_user_metadata cannot be honoured",
        ),
        ("sse_config: {type: SSE-S3}", "config.sse_config cannot be honoured"),
        (
            "http_config: {tls_config: {cert_file: a, key_file: b}}",
            "tls_config.cert_file cannot be honoured",
        ),
        (
            "http_config: {tls_config: {server_name: a}}",
            "tls_config.server_name cannot be honoured",
        ),
        (
            "http_config: {idle_conn_timeout: 90}",
            "config.http_config.idle_conn_timeout: invalid type",
        ),
        ("part_size: 1024", "config.part_size: 1024 bytes is not allowed"),
        ("access_key: a", "config.secret_key is missing"),
        ("secret_key: a", "config.access_key is missing"),
        (
            "access_key: a, secret_key: b, aws_sdk_auth: true",
            "config.aws_sdk_auth",
        ),
        ("endpoint: a/b", "config.endpoint: must be a host"),
        ("insecure: maybe", "config.insecure: invalid type"),
    ] {
        let error = refusal(&format!("type: S3\nconfig: {{bucket: b, {config}}}"));
        assert!(error.contains(expected), "{config}: {error}");
    }
    for (text, expected) in [
        ("type: S3\nconfig: {}", "config.bucket is missing"),
        ("type: S3\nconfig: {bucket: s3://b}", "config.bucket"),
        ("type: FILESYSTEM", "config.directory is missing"),
        ("type: GCS\nconfig: {bucket: b}", "`GCS` is not supported yet"),
        ("type: azure", "`AZURE` is not supported yet"),
        ("type: FTP", "`FTP` is not a store; allowed are"),
        ("config: {bucket: b}", "type"),
        ("type: FILESYSTEM\nconfig: {directory: /x}\nprefix: a/../b", "prefix"),
        ("- a", "invalid type"),
    ] {
        let error = refusal(text);
        assert!(error.contains(expected), "{text}: {error}");
    }
}

#[test]
fn warns_of_unknown_keys_and_names_the_nearest() {
    let store = StoreConfig::parse(
        "type: S3\nprefx: a\nconfig: {bukcet: a, bucket: b, http_config: {tls_config: {cafile: x, zzz: 1}}}",
    );
    assert_eq!(
        store.unwrap().warnings,
        [
            "unknown key `prefx` is ignored; did you mean `prefix`?",
            "unknown key `config.bukcet` is ignored; did you mean `config.bucket`?",
            "unknown key `config.http_config.tls_config.cafile` is ignored; did you mean \
             `config.http_config.tls_config.ca_file`?",
            "unknown key `config.http_config.tls_config.zzz` is ignored",
        ]
    );
}

#[test]
fn knows_every_key_it_suggests() {
    for key in s3::S3_KEYS {
        let mut parts: Vec<_> = key.split('.').collect();
        let mut value = "null".to_owned();
        while let Some(part) = parts.pop() {
            value = format!("{{{part}: {value}}}");
        }
        let config: serde_norway::Value = serde_norway::from_str(&value).unwrap();
        let mut unknown = UnknownKeys::default();
        let _missing_bucket = S3Config::read(config["config"].clone(), &mut unknown);
        assert_eq!(unknown.warnings(), Vec::<String>::new(), "{key}");
    }
}

#[test]
fn warns_loudly_when_no_server_is_checked() {
    let store = StoreConfig::parse("type: S3\nconfig: {bucket: b, http_config: {insecure_skip_verify: true}}");
    assert!(store.unwrap().warnings[0].contains("ANYONE"));
}
