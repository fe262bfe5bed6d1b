use std::time::Duration;

use ::http::HeaderName;

use super::*;
use crate::secret::Secret;

fn s3(text: &str) -> S3Config {
    match StoreConfig::parse(text).unwrap().bucket {
        BucketConfig::S3(s3) => *s3,
        other => panic!("{other:?} is not S3"),
    }
}

fn azure(text: &str) -> AzureConfig {
    match StoreConfig::parse(text).unwrap().bucket {
        BucketConfig::Azure(azure) => *azure,
        other => panic!("{other:?} is not AZURE"),
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
  put_user_metadata:
    X-Amz-Acl: bucket-owner-full-control
    Team: costs
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
        StoreHttp {
            idle_timeout: Duration::from_secs(30),
            max_idle: 20,
            response_header_timeout: Duration::from_secs(90),
            connect_timeout: Duration::from_secs(35),
            ca_file: Some("/etc/ca.pem".into()),
            ..StoreHttp::default()
        }
    );
    assert!(s3.trace);
    assert_eq!(
        s3.headers,
        [
            (
                HeaderName::from_static("x-amz-meta-team"),
                Secret::from("costs".to_owned())
            ),
            (
                HeaderName::from_static("x-amz-acl"),
                Secret::from("bucket-owner-full-control".to_owned())
            ),
        ]
    );
}

#[test]
fn reads_tls_towards_the_bucket_and_encryption() {
    let s3 = s3("type: S3\nconfig: {bucket: b, endpoint: minio:9000, \
                http_config: {tls_config: {cert_file: c.pem, key_file: k.pem, server_name: minio.internal}}, \
                sse_config: {type: SSE-KMS, kms_key_id: alias/costs}}");
    assert_eq!(
        s3.http.client_certificate,
        Some(ClientCertificate {
            cert_file: "c.pem".into(),
            key_file: "k.pem".into()
        })
    );
    assert_eq!(s3.http.server_name.as_deref(), Some("minio.internal"));
    assert_eq!(
        s3.encryption,
        Some(S3Encryption::KeyService(Secret::from("alias/costs".to_owned())))
    );
    let encryption = |sse: &str| {
        let text = format!("type: S3\nconfig: {{bucket: b, sse_config: {sse}}}");
        match StoreConfig::parse(&text).unwrap().bucket {
            BucketConfig::S3(s3) => s3.encryption,
            other => panic!("{other:?} is not S3"),
        }
    };
    assert_eq!(encryption("{type: ''}"), None);
    assert_eq!(encryption("{type: SSE-S3}"), Some(S3Encryption::Server));
    assert_eq!(
        encryption("{type: SSE-C, encryption_key: /key}"),
        Some(S3Encryption::Customer("/key".into()))
    );
}

#[test]
fn reads_azure() {
    let read = azure(
        "
type: AZURE
config:
  storage_account: acme
  storage_account_key: a2V5
  container: costs
  endpoint: ''
  max_retries: 0
  pipeline_config: {max_tries: 3, try_timeout: 20s, retry_delay: 2s, max_retry_delay: 1m}
  reader_config: {max_retry_requests: 7}
  msi_resource: https://acme.blob.core.windows.net/
  http_config: {tls_config: {ca_file: /ca.pem}}
",
    );
    assert_eq!(read.account, "acme");
    assert_eq!(read.endpoint, "https://acme.blob.core.windows.net");
    assert_eq!(read.credentials, AzureCredentials::Key(Secret::from("a2V5".to_owned())));
    assert_eq!(
        read.retries,
        AzureRetries {
            most: 7,
            delays: (Duration::from_secs(2), Duration::from_secs(60))
        }
    );
    assert_eq!(read.http.response_header_timeout, Duration::from_secs(20));
    assert_eq!(read.http.ca_file.as_deref(), Some("/ca.pem".as_ref()));

    let place = |config: &str| {
        let read = azure(&format!("type: azure\nconfig: {{container: c, {config}}}"));
        (read.account, read.endpoint, read.credentials)
    };
    let key = || AzureCredentials::Key(Secret::from("a2V5PT0=".to_owned()));
    let text = |text: &str| text.to_owned();
    assert_eq!(
        place("storage_account: a, endpoint: blob.core.chinacloudapi.cn"),
        (
            text("a"),
            text("https://a.blob.core.chinacloudapi.cn"),
            AzureCredentials::Environment
        )
    );
    assert_eq!(
        place("storage_account: a, user_assigned_id: id").2,
        AzureCredentials::ManagedIdentity(text("id"))
    );
    assert_eq!(
        place("storage_account: a, az_tenant_id: t, client_id: c, client_secret: s").2,
        AzureCredentials::ClientSecret {
            tenant: text("t"),
            client: text("c"),
            secret: Secret::from(text("s"))
        }
    );
    assert_eq!(
        place(
            "storage_connection_string: \"DefaultEndpointsProtocol=https;AccountName=a;AccountKey=a2V5PT0=;\
             EndpointSuffix=core.windows.net\""
        ),
        (text("a"), text("https://a.blob.core.windows.net"), key())
    );
    assert_eq!(
        place("storage_connection_string: \"AccountName=a;AccountKey=a2V5PT0=;BlobEndpoint=http://127.0.0.1:1/a/;\""),
        (text("a"), text("http://127.0.0.1:1/a"), key())
    );
    assert_eq!(
        place(
            "storage_connection_string: \"BlobEndpoint=https://a.blob.core.windows.net/;\
             SharedAccessSignature=?sv=1&sig=x%3D\""
        ),
        (
            text("a"),
            text("https://a.blob.core.windows.net"),
            AzureCredentials::SharedAccessSignature(Secret::from(text("sv=1&sig=x%3D")))
        )
    );
}

#[test]
fn refuses_what_gcs_and_azure_cannot_honour() {
    for (text, expected) in [
        ("type: GCS\nconfig: {}", "config.bucket is missing"),
        (
            "type: GCS\nconfig: {bucket: b, service_account: '{\"type\": \"external_account\"}'}",
            "config.service_account cannot be honoured: external_account",
        ),
        (
            "type: GCS\nconfig: {bucket: b, service_account: '{\"type\": 1'}",
            "config.service_account: is not the JSON",
        ),
        (
            "type: AZURE\nconfig: {storage_account: a}",
            "config.container is missing",
        ),
        (
            "type: AZURE\nconfig: {container: c}",
            "config.storage_account is missing",
        ),
        (
            "type: AZURE\nconfig: {container: c, storage_acount: a}",
            "unknown key `config.storage_acount`; did you mean `config.storage_account`?",
        ),
        (
            "type: AZURE\nconfig: {container: c, storage_account: a, endpoint: 'https://x'}",
            "config.endpoint: has a scheme",
        ),
        (
            "type: AZURE\nconfig: {container: c, storage_account: a, msi_resource: x}",
            "config.msi_resource cannot be honoured",
        ),
        (
            "type: AZURE\nconfig: {container: c, storage_account: a, storage_account_key: k, user_assigned_id: i}",
            "give one of storage_account_key",
        ),
        (
            "type: AZURE\nconfig: {container: c, storage_account: a, client_id: i}",
            "config.client_secret is missing",
        ),
        (
            "type: AZURE\nconfig: {container: c, storage_connection_string: AccountName=a}",
            "has neither AccountKey",
        ),
        (
            "type: AZURE\nconfig: {container: c, storage_connection_string: UseDevelopmentStorage=true}",
            "has UseDevelopmentStorage",
        ),
        (
            "type: AZURE\nconfig: {container: c, storage_account: a, max_retries: 1000}",
            "config.max_retries: is more than 100",
        ),
    ] {
        let error = refusal(text);
        assert!(error.contains(expected), "{text}: {error}");
    }
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
        "type: S3\nconfig: {bucket: b, put_user_metadata: {x: '13371337ü'}}",
        "type: GCS\nconfig: {bucket: b, service_account: '13371337'}",
        "type: GCS\nconfig: {bucket: b, service_account: '{\"private_key\": \"13371337\"'}",
        "type: GCS\nconfig: {bucket: b, service_account: {private_key: 13371337}}",
        "type: AZURE\nconfig: {storage_account: a, storage_account_key: 13371337, container: c}",
        "type: AZURE\nconfig: {storage_account: a, storage_account_key: '13371337', container: c, client_id: x}",
        "type: AZURE\nconfig: {storage_connection_string: 'AccountName=a;AccountKy=13371337', container: c}",
        "type: AZURE\nconfig: {storage_connection_string: 'BlobEndpoint=13371337;AccountKey=x', container: c}",
        "type: AZURE\nconfig: {storage_connection_string: '13371337', container: c}",
        "type: AZURE\nconfig: {storage_account: a, container: c, endpoint: 'https://a:13371337@x'}",
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
        ("put_user_metadata: {a b: c}", "`a b` cannot be the name of a header"),
        (
            "put_user_metadata: {x: 'ü'}",
            "the value of `x` must be printable ASCII",
        ),
        (
            "put_user_metadata: {X-Amz-Date: x}",
            "`X-Amz-Date` is set by the request itself",
        ),
        (
            "sse_config: {type: SSE-X}",
            "config.sse_config.type: `SSE-X` is not allowed",
        ),
        ("sse_config: {type: SSE-KMS}", "config.sse_config.kms_key_id is missing"),
        (
            "sse_config: {type: SSE-C}",
            "config.sse_config.encryption_key is missing",
        ),
        (
            "insecure: true, sse_config: {type: SSE-C, encryption_key: /k}",
            "config.sse_config.type cannot be honoured",
        ),
        (
            "sse_config: {type: SSE-KMS, kms_key_id: k, kms_encryption_context: {a: b}}",
            "config.sse_config.kms_encryption_context cannot be honoured",
        ),
        (
            "http_config: {tls_config: {cert_file: a}}",
            "config.http_config.tls_config.key_file is missing",
        ),
        (
            "http_config: {tls_config: {key_file: a}}",
            "config.http_config.tls_config.cert_file is missing",
        ),
        (
            "http_config: {tls_config: {server_name: 'https://a'}}",
            "tls_config.server_name: `https://a` is not a host name",
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
        (
            "type: FILESYSTEM\nconfig: {directroy: x}",
            "unknown key `config.directroy`; did you mean `config.directory`?",
        ),
        (
            "type: S3\nprefx: a\nconfig: {bucket: b}",
            "unknown key `prefx`; did you mean `prefix`?",
        ),
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
    let text = "type: S3\nconfig: {bukcet: a, bucket: b, http_config: {tls_config: {cafile: x, zzz: 1}}}";
    let error = StoreConfig::parse_with(text, UnknownKeyPolicy::Refuse)
        .unwrap_err()
        .to_string();
    assert_eq!(error, "unknown key `config.bukcet`; did you mean `config.bucket`?");
    let store = StoreConfig::parse("type: GCS\nconfig: {bucket: a, serviceaccount: x}").unwrap();
    assert_eq!(
        store.warnings,
        ["unknown key `config.serviceaccount` is ignored; did you mean `config.service_account`?"]
    );
    assert_eq!(
        StoreConfig::parse(text).unwrap().warnings,
        [
            "unknown key `config.bukcet` is ignored; did you mean `config.bucket`?",
            "unknown key `config.http_config.tls_config.cafile` is ignored; did you mean \
             `config.http_config.tls_config.ca_file`?",
            "unknown key `config.http_config.tls_config.zzz` is ignored",
        ]
    );
}

#[test]
fn knows_every_key_it_suggests() {
    let read = |config, unknown: &mut UnknownKeys| S3Config::read(config, unknown).map(drop);
    assert_known(&s3::s3_keys(), read);
    assert_known(gcs::GCS_KEYS, |config, unknown| {
        GcsConfig::read(config, unknown).map(drop)
    });
    assert_known(&azure::azure_keys(), |config, unknown| {
        AzureConfig::read(config, unknown).map(drop)
    });
}

fn assert_known(keys: &[&str], read: impl Fn(serde_norway::Value, &mut UnknownKeys) -> Result<(), StoreConfigError>) {
    for key in keys {
        let mut parts: Vec<_> = key.split('.').collect();
        let mut value = "null".to_owned();
        while let Some(part) = parts.pop() {
            value = format!("{{{part}: {value}}}");
        }
        let config: serde_norway::Value = serde_norway::from_str(&value).unwrap();
        let mut unknown = UnknownKeys::default();
        unknown.tolerated = true;
        let _missing_bucket = read(config["config"].clone(), &mut unknown);
        assert_eq!(unknown.warnings(), Vec::<String>::new(), "{key}");
    }
}

#[test]
fn warns_loudly_when_no_server_is_checked() {
    let store = StoreConfig::parse("type: S3\nconfig: {bucket: b, http_config: {insecure_skip_verify: true}}");
    assert!(store.unwrap().warnings[0].contains("ANYONE"));
}
