//! Azurite, fake-gcs-server, and MinIO, plain and over TLS.

use std::path::Path as FilePath;

use futures::StreamExt;
use object_store::{
    Attribute, Error, ObjectStore, ObjectStoreExt,
    azure::{AzureAccessKey, AzureAuthorizer, AzureCredential},
    client::{HttpRequestBody, HttpService},
    integration,
    path::Path,
};
use service_kit::{
    TrustDomain,
    certs::DevelopmentCa,
    tls::{TlsFiles, install_crypto_provider},
};
use storage_svc::StoreConfig;

use super::{
    checks::check_all,
    harness::{Gateway, directory},
    large::{check_gibibyte, write_and_list_many_keys},
    process::Service,
    server::{Server, behind_tls},
};

const ACCESS_KEY: &str = "testing-access-key";
const SECRET_KEY: &str = "testing-secret-key";

/// `testing-account-key` in base64.
const ACCOUNT_KEY: &str = "dGVzdGluZy1hY2NvdW50LWtleQ==";

async fn minio(more: &[(&'static str, String)]) -> Server {
    let keys = [
        ("MINIO_ROOT_USER", ACCESS_KEY.to_owned()),
        ("MINIO_ROOT_PASSWORD", SECRET_KEY.to_owned()),
    ];
    Server::start("minio.sh", &[&keys, more].concat()).await
}

/// The `federated-store.yaml` of MinIO's bucket, with more keys, each with a comma before it.
fn s3(port: u16, keys: &str, secret_key: &str) -> StoreConfig {
    StoreConfig::parse(&s3_text(port, keys, secret_key)).unwrap()
}

fn s3_text(port: u16, keys: &str, secret_key: &str) -> String {
    format!(
        "type: S3\nconfig: {{bucket: costs, endpoint: '127.0.0.1:{port}', access_key: {ACCESS_KEY}, \
         secret_key: {secret_key}{keys}}}\nprefix: team/costs"
    )
}

fn authority(directory: &FilePath) -> DevelopmentCa {
    install_crypto_provider();
    DevelopmentCa::open_or_create(&directory.join("theirs"), TrustDomain::default()).unwrap()
}

fn tls_config(server: &TlsFiles, ours: &TlsFiles) -> String {
    format!(
        ", http_config: {{tls_config: {{ca_file: '{}', cert_file: '{}', key_file: '{}', server_name: bucket}}}}",
        server.ca.display(),
        ours.cert.display(),
        ours.key.display()
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn minio_conforms() {
    let minio = minio(&[]).await;
    let gateway = Gateway::to(s3(minio.port, ", insecure: true", SECRET_KEY)).await;
    check_all(&gateway, &[]).await;
    gateway.stop().await;
}

/// MinIO checks signatures, of headers too.
#[tokio::test(flavor = "multi_thread")]
async fn minio_takes_the_headers_of_the_file_because_they_are_signed() {
    let minio = minio(&[]).await;
    let keys = ", insecure: true, sse_config: {type: SSE-S3}, put_user_metadata: {Team: costs, X-Amz-Acl: private, \
                X-Amz-Storage-Class: REDUCED_REDUNDANCY}";
    let gateway = Gateway::to(s3(minio.port, keys, SECRET_KEY)).await;
    gateway.wait_until_serving().await;
    let store = gateway.store();
    store.put(&Path::from("small"), "x".into()).await.unwrap();
    let mut large = store.put_multipart(&Path::from("large")).await.unwrap();
    for _ in 0..9 {
        large.put_part(vec![0; 1024 * 1024].into()).await.unwrap();
    }
    large.complete().await.unwrap();
    for name in ["small", "large"] {
        let attributes = store.get(&Path::from(name)).await.unwrap().attributes;
        let team = attributes.get(&Attribute::Metadata("team".into()));
        assert_eq!(team.map(|team| team.as_ref()), Some("costs"), "{name}");
    }
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn minio_behind_mutual_tls_of_a_private_authority_conforms() {
    let directory = directory();
    let authority = authority(directory.path());
    let (server, ours) = (
        authority.issue_service("bucket").unwrap(),
        authority.issue_service("us").unwrap(),
    );
    let minio = minio(&[]).await;
    let port = behind_tls(minio.port, &server, Some(&server.ca)).await;
    let gateway = Gateway::to(s3(port, &tls_config(&server, &ours), SECRET_KEY)).await;
    check_all(&gateway, &[]).await;
    gateway.stop().await;
}

/// MinIO takes customers' keys only over TLS of its own.
#[tokio::test(flavor = "multi_thread")]
async fn minio_with_a_customer_s_key_conforms() {
    let directory = directory();
    let authority = authority(directory.path());
    let server = authority.issue_service("bucket").unwrap();
    let certs = directory.path().join("minio");
    std::fs::create_dir(&certs).unwrap();
    std::fs::copy(&server.cert, certs.join("public.crt")).unwrap();
    std::fs::copy(&server.key, certs.join("private.key")).unwrap();
    let key = directory.path().join("key");
    std::fs::write(&key, [7; 32]).unwrap();
    let minio = minio(&[("MINIO_CERTS", certs.display().to_string())]).await;
    let keys = format!(
        "{}, sse_config: {{type: SSE-C, encryption_key: '{}'}}",
        tls_config(&server, &authority.issue_service("us").unwrap()),
        key.display()
    );
    let gateway = Gateway::to(s3(minio.port, &keys, SECRET_KEY)).await;
    check_all(&gateway, &[]).await;
    gateway.stop().await;
}

async fn output_of_service(store: &str) -> String {
    let service = Service::start(store, "debug");
    service.wait_until_it_says("the bucket is not reached yet").await;
    service.output()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gibibyte_goes_to_minio_and_back_in_little_memory() {
    let minio = minio(&[]).await;
    let service = Service::start(&s3_text(minio.port, ", insecure: true", SECRET_KEY), "info");
    service.wait_until_it_says("the bucket is reached").await;
    check_gibibyte(&service).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn minio_lists_a_hundred_thousand_keys() {
    let minio = minio(&[]).await;
    write_and_list_many_keys(s3(minio.port, ", insecure: true", SECRET_KEY)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn minio_turns_away_a_wrong_key_and_no_secret_shows() {
    let minio = minio(&[]).await;
    let keys =
        ", insecure: true, trace: {enable: true}, put_user_metadata: {X-Amz-Acl: private, Own: private-metadata}";
    let text = s3_text(minio.port, keys, "wrong-secret-key");
    let config = StoreConfig::parse(&text).unwrap();
    let mut shown = format!("{config:?} {config}");
    let gateway = Gateway::to(config).await;
    shown.push_str(&format!(
        "{:?}",
        gateway.store().put(&Path::from("a"), "x".into()).await.unwrap_err()
    ));
    shown.push_str(&format!(
        "{:?}",
        gateway.store().get(&Path::from("a")).await.unwrap_err()
    ));
    assert!(!gateway.is_serving().await);
    gateway.stop().await;
    shown.push_str(&output_of_service(&text).await);
    for secret in [ACCESS_KEY, "wrong-secret-key", "private-metadata"] {
        assert!(!shown.contains(secret), "{secret} in {shown}");
    }
}

struct Azurite {
    server: Server,
}

impl Azurite {
    async fn start() -> Self {
        install_crypto_provider();
        let accounts = ("AZURITE_ACCOUNTS", format!("acme:{ACCOUNT_KEY}"));
        let azurite = Self {
            server: Server::start("azurite.sh", &[accounts]).await,
        };
        let mut request = http::Request::put(format!("{}/costs?restype=container", azurite.url()))
            .header("content-length", "0")
            .body(HttpRequestBody::empty())
            .unwrap();
        let credential = AzureCredential::AccessKey(AzureAccessKey::try_new(ACCOUNT_KEY).unwrap());
        AzureAuthorizer::new(&credential, "acme").authorize(&mut request);
        let created = reqwest::Client::new().call(request).await.unwrap();
        assert!(created.status().is_success(), "{}", created.status());
        azurite
    }

    fn url(&self) -> String {
        format!("http://127.0.0.1:{}/acme", self.server.port)
    }

    fn store(&self, key: &str) -> StoreConfig {
        StoreConfig::parse(&self.text(key)).unwrap()
    }

    fn text(&self, key: &str) -> String {
        format!(
            "type: AZURE\nconfig: {{container: costs, max_retries: 2, \
             storage_connection_string: 'AccountName=acme;AccountKey={key};BlobEndpoint={}'}}\nprefix: team/costs",
            self.url()
        )
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn azurite_conforms() {
    let azurite = Azurite::start().await;
    let gateway = Gateway::to(azurite.store(ACCOUNT_KEY)).await;
    check_all(&gateway, &["the_last_of_two_uploads_wins"]).await;
    // On Azure, parts belong to the object, so the first completion throws those of other uploads away, and theirs
    // fails. Nothing is mixed up, which this checks too.
    integration::multipart_race_condition(&gateway.store(), false).await;
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn azurite_lists_a_hundred_thousand_keys() {
    let azurite = Azurite::start().await;
    write_and_list_many_keys(azurite.store(ACCOUNT_KEY)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gibibyte_goes_to_azurite_and_back_in_little_memory() {
    let azurite = Azurite::start().await;
    let service = Service::start(&azurite.text(ACCOUNT_KEY), "info");
    service.wait_until_it_says("the bucket is reached").await;
    check_gibibyte(&service).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn azurite_turns_away_a_wrong_key_and_no_secret_shows() {
    // Of the right form.
    const WRONG: &str = "d3Jvbmcta2V5LXdyb25nLWtleQ==";
    let azurite = Azurite::start().await;
    let text = azurite.text(WRONG);
    let config = StoreConfig::parse(&text).unwrap();
    let mut shown = format!("{config:?} {config}");
    let gateway = Gateway::to(config).await;
    shown.push_str(&format!(
        "{:?}",
        gateway.store().put(&Path::from("a"), "x".into()).await.unwrap_err()
    ));
    assert!(!gateway.is_serving().await);
    gateway.stop().await;
    shown.push_str(&output_of_service(&text).await);
    assert!(!shown.contains(WRONG), "{shown}");
}

/// fake-gcs-server takes writes by Google's JSON API alone, and the library writes by the XML API, so no check that
/// writes can pass. What it shows is that such a server is listed, tried out, and never served.
#[tokio::test(flavor = "multi_thread")]
async fn fake_gcs_server_is_not_served_because_it_takes_no_writes() {
    install_crypto_provider();
    let server = Server::start("fake-gcs.sh", &[]).await;
    let url = format!("http://127.0.0.1:{}", server.port);
    let created = reqwest::Client::new()
        .post(format!("{url}/storage/v1/b?project=testing"))
        .header("content-type", "application/json")
        .body("{\"name\": \"costs\"}")
        .send()
        .await
        .unwrap();
    assert!(created.status().is_success(), "{}", created.status());
    // The library takes the server's address from the credential, and then asks nobody for a token.
    let account = format!(
        "{{\"gcs_base_url\": \"{url}\", \"disable_oauth\": true, \"client_email\": \"\", \"private_key\": \"\", \
         \"private_key_id\": \"\"}}"
    );
    let config = format!("type: GCS\nconfig:\n  bucket: costs\n  service_account: '{account}'\nprefix: team/costs");
    let gateway = Gateway::to(StoreConfig::parse(&config).unwrap()).await;
    let store = gateway.store();
    assert!(store.list(None).next().await.is_none());
    let missing = store.get(&Path::from("a")).await;
    assert!(matches!(missing, Err(Error::NotFound { .. })), "{missing:?}");
    assert!(store.put(&Path::from("a"), "x".into()).await.is_err());
    assert!(!gateway.is_serving().await);
    gateway.stop().await;
}
