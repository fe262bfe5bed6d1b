//! `object_store`'s own tests, through the client and the service, over each kind of bucket.

use std::time::Duration;

use object_gateway::GatewayStore;
use object_store::{Error, integration};
use service_kit::{
    TrustDomain,
    certs::DevelopmentCa,
    tls::{TlsFiles, install_crypto_provider},
};
use storage_svc::StoreConfig;

use super::{harness::Gateway, moto::Moto};

/// All checks that apply to a store which is not one of the library's own. Each begins by emptying the bucket or uses
/// names of its own, so the order matters as little as in the library.
async fn check_all(store: &GatewayStore) {
    integration::put_get_delete_list(store).await;
    integration::get_opts(store).await;
    integration::put_opts(store, true).await;
    integration::list_uses_directories_correctly(store).await;
    integration::list_with_delimiter(store).await;
    integration::rename_and_copy(store).await;
    integration::copy_if_not_exists(store).await;
    integration::copy_rename_nonexistent_object(store).await;
    integration::multipart_race_condition(store, true).await;
    integration::multipart_out_of_order(store).await;
    integration::put_get_attributes(store).await;
    integration::list_with_offset_exclusivity(store).await;
    integration::stream_get(store).await;
    let error = integration::get_nonexistent_object(store, None).await.unwrap_err();
    assert!(
        matches!(&error, Error::NotFound { path, .. } if path == "this_file_should_not_exist"),
        "{error}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_local_folder_conforms() {
    let gateway = Gateway::local().await;
    check_all(&gateway.store()).await;
    assert!(
        !gateway.files().iter().any(|file| file.contains("pending")),
        "{:?}",
        gateway.files()
    );
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prefix_in_a_local_folder_conforms() {
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let root = directory.path().display();
    let store = StoreConfig::parse(&format!(
        "type: FILESYSTEM\nconfig: {{directory: '{root}'}}\nprefix: team/costs"
    ));
    std::fs::write(directory.path().join("outside"), "x").unwrap();
    let gateway = Gateway::to(store.unwrap()).await;
    check_all(&gateway.store()).await;
    assert!(directory.path().join("outside").exists());
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn s3_conforms() {
    let moto = tokio::task::spawn_blocking(Moto::start).await.unwrap();
    moto.create_bucket("costs").await;
    for prefix in ["", "prefix: team/costs"] {
        let gateway = Gateway::to(moto.store("costs", prefix)).await;
        check_all(&gateway.store()).await;
        gateway.stop().await;
    }
}

/// The bucket is created only after the service has come up.
#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_that_is_away_is_waited_for() {
    let moto = tokio::task::spawn_blocking(Moto::start).await.unwrap();
    let gateway = Gateway::to(moto.store("late", "")).await;
    tokio::time::sleep(Duration::from_millis(700)).await;
    assert!(!gateway.is_serving().await);
    moto.create_bucket("late").await;
    gateway.wait_until_serving().await;
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_bucket_s_certificate_is_checked_against_the_given_authorities_alone() {
    install_crypto_provider();
    let moto = tokio::task::spawn_blocking(Moto::start).await.unwrap();
    moto.create_bucket("costs").await;
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let authority = |name: &str| {
        DevelopmentCa::open_or_create(&directory.path().join(name), TrustDomain::default())
            .and_then(|authority| authority.issue_service("bucket"))
            .unwrap()
    };
    let (theirs, another) = (authority("theirs"), authority("another"));
    let port = moto.behind_tls(&theirs).await;
    // A bundle, as people write them.
    let bundle = directory.path().join("bundle.pem");
    let read = |files: &TlsFiles| std::fs::read_to_string(&files.ca).unwrap();
    std::fs::write(
        &bundle,
        format!("# ours\n\n{}\n# old\n{}\n", read(&another), read(&theirs)),
    )
    .unwrap();

    for (http, trusted) in [
        (format!("tls_config: {{ca_file: '{}'}}", bundle.display()), true),
        (format!("tls_config: {{ca_file: '{}'}}", another.ca.display()), false),
        ("insecure_skip_verify: false".to_owned(), false),
        ("insecure_skip_verify: true".to_owned(), true),
    ] {
        let store = StoreConfig::parse(&format!(
            "type: S3\nconfig: {{bucket: costs, endpoint: '127.0.0.1:{port}', access_key: testing, \
             secret_key: testing, http_config: {{{http}}}}}"
        ));
        let gateway = Gateway::to(store.unwrap()).await;
        if trusted {
            gateway.wait_until_serving().await;
        } else {
            tokio::time::sleep(Duration::from_millis(500)).await;
            assert!(!gateway.is_serving().await, "{http}");
        }
        gateway.stop().await;
    }
}

#[tokio::test]
async fn a_file_of_authorities_that_cannot_be_used_is_named() {
    install_crypto_provider();
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let empty = directory.path().join("empty.pem");
    std::fs::write(&empty, "# none\n").unwrap();
    for (file, expected) in [
        (empty, "holds none"),
        (directory.path().join("none.pem"), "cannot read"),
    ] {
        let store = StoreConfig::parse(&format!(
            "type: S3\nconfig: {{bucket: b, http_config: {{tls_config: {{ca_file: '{}'}}}}}}",
            file.display()
        ));
        let error = Gateway::to(store.unwrap()).await.failure().await;
        assert!(error.contains(expected) && error.contains("ca_file"), "{error}");
    }
}
