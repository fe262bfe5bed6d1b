//! `object_store`'s own tests, through the client and the service, over each kind of bucket.

use std::time::Duration;

use object_store::{Attribute, ObjectStoreExt, path::Path};
use service_kit::{
    TrustDomain,
    certs::DevelopmentCa,
    tls::{TlsFiles, install_crypto_provider},
};
use storage_svc::StoreConfig;

use super::{
    checks::check_all,
    google::Google,
    harness::{Gateway, eventually},
    moto::Moto,
};

#[tokio::test(flavor = "multi_thread")]
async fn a_local_folder_conforms() {
    let gateway = Gateway::local().await;
    check_all(&gateway, &[]).await;
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
    check_all(&gateway, &[]).await;
    assert!(directory.path().join("outside").exists());
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn s3_conforms() {
    let moto = Moto::start().await;
    moto.create_bucket("costs").await;
    for prefix in ["", "prefix: team/costs"] {
        let gateway = Gateway::to(moto.store("costs", prefix)).await;
        check_all(&gateway, &[]).await;
        gateway.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn google_s_api_conforms_as_far_as_it_is_made_up() {
    install_crypto_provider();
    let google = Google::start("costs").await;
    let gateway = Gateway::to(google.store("costs")).await;
    // The first asks for an old generation, which a bucket without versions does not keep. Of the second, moto takes
    // no notice of conditions on copies.
    check_all(&gateway, &["get_opts", "copy_if_not_exists"]).await;
    gateway.stop().await;
}

/// The bucket is created only after the service has come up.
#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_that_is_away_is_waited_for() {
    let moto = Moto::start().await;
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
    let moto = Moto::start().await;
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
        (empty, "there is no certificate in it"),
        (directory.path().join("none.pem"), "cannot be read"),
    ] {
        let store = StoreConfig::parse(&format!(
            "type: S3\nconfig: {{bucket: b, http_config: {{tls_config: {{ca_file: '{}'}}}}}}",
            file.display()
        ));
        let error = Gateway::to(store.unwrap()).await.failure().await;
        assert!(error.contains(expected) && error.contains("ca_file"), "{error}");
    }
}

fn authority(directory: &std::path::Path, name: &str) -> DevelopmentCa {
    DevelopmentCa::open_or_create(&directory.join(name), TrustDomain::default()).unwrap()
}

fn over_tls(port: u16, http: &str) -> StoreConfig {
    StoreConfig::parse(&format!(
        "type: S3\nconfig: {{bucket: costs, endpoint: '127.0.0.1:{port}', access_key: testing, secret_key: testing, \
         http_config: {http}}}"
    ))
    .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_that_demands_a_certificate_conforms_and_turns_away_whoever_has_none() {
    install_crypto_provider();
    let moto = Moto::start().await;
    moto.create_bucket("costs").await;
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let theirs = authority(directory.path(), "theirs");
    let (server, ours) = (
        theirs.issue_service("bucket").unwrap(),
        theirs.issue_service("us").unwrap(),
    );
    let another = authority(directory.path(), "another").issue_service("us").unwrap();
    let port = moto.behind_mutual_tls(&server).await;

    let http = |files: &TlsFiles, name: &str| {
        let (ca, cert, key) = (server.ca.display(), files.cert.display(), files.key.display());
        format!("{{tls_config: {{ca_file: '{ca}', cert_file: '{cert}', key_file: '{key}', server_name: '{name}'}}}}")
    };
    // The server's certificate is for 127.0.0.1 too, and for `bucket`, which is not the address.
    let gateway = Gateway::to(over_tls(port, &http(&ours, ""))).await;
    gateway.wait_until_serving().await;
    gateway.stop().await;
    let gateway = Gateway::to(over_tls(port, &http(&ours, "bucket"))).await;
    check_all(&gateway, &[]).await;
    gateway.stop().await;
    for refused in [
        http(&ours, "not-bucket"),
        http(&another, ""),
        format!("{{tls_config: {{ca_file: '{}'}}}}", server.ca.display()),
    ] {
        let gateway = Gateway::to(over_tls(port, &refused)).await;
        tokio::time::sleep(Duration::from_millis(500)).await;
        assert!(!gateway.is_serving().await, "{refused}");
        gateway.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn renewed_files_towards_the_bucket_are_taken_up_and_broken_ones_are_not() {
    install_crypto_provider();
    let moto = Moto::start().await;
    moto.create_bucket("costs").await;
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let theirs = authority(directory.path(), "theirs");
    let (server, good) = (
        theirs.issue_service("bucket").unwrap(),
        theirs.issue_service("us").unwrap(),
    );
    let bad = authority(directory.path(), "another").issue_service("us").unwrap();
    let port = moto.behind_mutual_tls(&server).await;
    let file = |name: &str| directory.path().join(name);
    let put = |files: &TlsFiles| {
        std::fs::copy(&files.ca, file("ca.pem")).unwrap();
        std::fs::copy(&files.cert, file("cert.pem")).unwrap();
        std::fs::copy(&files.key, file("key.pem")).unwrap();
    };
    put(&bad);
    let gateway = Gateway::to(over_tls(
        port,
        &format!(
            "{{tls_config: {{ca_file: '{}', cert_file: '{}', key_file: '{}'}}}}",
            file("ca.pem").display(),
            file("cert.pem").display(),
            file("key.pem").display()
        ),
    ))
    .await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert!(!gateway.is_serving().await);
    put(&good);
    gateway.wait_until_serving().await;
    // What cannot be used changes nothing, and neither does a pair of which one half was written so far.
    std::fs::write(file("ca.pem"), "# none").unwrap();
    std::fs::copy(&bad.key, file("key.pem")).unwrap();
    tokio::time::sleep(Duration::from_millis(1200)).await;
    let (store, path) = (gateway.store(), Path::from("a"));
    store.put(&path, "a".into()).await.unwrap();
    // What can be used and is refused by the bucket cuts off: nothing goes on over connections made before.
    put(&bad);
    tokio::time::sleep(Duration::from_millis(1200)).await;
    let refused = tokio::time::timeout(Duration::from_secs(1), store.get(&path)).await;
    assert!(!matches!(refused, Ok(Ok(_))));
    put(&good);
    eventually("the bucket answers again", async || store.get(&path).await.is_ok()).await;
    gateway.stop().await;
}

#[tokio::test]
async fn files_towards_the_bucket_that_cannot_be_used_are_named() {
    install_crypto_provider();
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let authority = authority(directory.path(), "ca");
    let (one, other) = (
        authority.issue_service("one").unwrap(),
        authority.issue_service("other").unwrap(),
    );
    let tls = |cert: &std::path::Path, key: &std::path::Path| {
        format!(
            "type: S3\nconfig: {{bucket: b, http_config: {{tls_config: {{cert_file: '{}', key_file: '{}'}}}}}}",
            cert.display(),
            key.display()
        )
    };
    let short = directory.path().join("short");
    std::fs::write(&short, "0123").unwrap();
    for (text, key, reason) in [
        (
            tls(&one.cert, &other.key),
            "cert_file and key_file",
            "the key does not match",
        ),
        (
            tls(&one.key, &one.key),
            "cert_file and key_file",
            "there is no certificate in it",
        ),
        (
            tls(&one.cert, &short),
            "cert_file and key_file",
            "there is no private key in it",
        ),
        (
            format!(
                "type: S3\nconfig: {{bucket: b, sse_config: {{type: SSE-C, encryption_key: '{}'}}}}",
                short.display()
            ),
            "config.sse_config.encryption_key",
            "has 4 bytes",
        ),
    ] {
        let error = Gateway::to(StoreConfig::parse(&text).unwrap()).await.failure().await;
        assert!(error.contains(key) && error.contains(reason), "{error}");
        assert!(!error.contains('\n') && !error.contains("0123"), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn new_objects_bring_the_acl_and_metadata_of_the_file() {
    let moto = Moto::start().await;
    moto.create_bucket("costs").await;
    let keys = ", put_user_metadata: {X-Amz-Acl: public-read, Team: costs}, trace: {enable: true}";
    let gateway = Gateway::to(moto.store_with("costs", keys, "")).await;
    let store = gateway.store();
    store.put(&Path::from("small"), "x".into()).await.unwrap();
    let mut large = store.put_multipart(&Path::from("large")).await.unwrap();
    for _ in 0..9 {
        large.put_part(vec![0; 1024 * 1024].into()).await.unwrap();
    }
    large.complete().await.unwrap();
    for name in ["small", "large"] {
        let acl = moto.ask(&format!("costs/{name}?acl")).await;
        assert!(acl.contains("AllUsers"), "{name}: {acl}");
        let attributes = store.get(&Path::from(name)).await.unwrap().attributes;
        let team = attributes.get(&Attribute::Metadata("team".into()));
        assert_eq!(team.map(|team| team.as_ref()), Some("costs"), "{name}");
    }
    gateway.stop().await;
}
