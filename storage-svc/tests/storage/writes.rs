//! Writing: all of an object or nothing, and never over another's.

use std::time::Duration;

use fedcost_proto::storage::v1::{Attribute, PutHeader, PutMode as WireMode, put_request::Part};
use futures::StreamExt;
use object_gateway::checksum::Sha256;
use object_store::{Attributes, Error, ObjectStore, ObjectStoreExt, PutMode, PutMultipartOptions, path::Path};
use storage_svc::{Limits, StoreConfig};
use tonic::Code;

use super::{
    harness::{Gateway, commit, data, eventually, field, header, part, reason},
    moto::Moto,
};

/// More than goes into one part of a local bucket.
fn large() -> Vec<u8> {
    vec![7; 1024 * 1024]
}

#[tokio::test]
async fn a_stream_without_a_commit_leaves_nothing() {
    let gateway = Gateway::local().await;
    let mut client = gateway.client();
    for pieces in [1, 20] {
        let messages = std::iter::once(header("torn/object")).chain((0..pieces).map(|_| data(large())));
        let status = client
            .put(futures::stream::iter(messages.collect::<Vec<_>>()))
            .await
            .unwrap_err();
        assert_eq!((status.code(), reason(&status).as_str()), (Code::Aborted, "CUT_SHORT"));

        // A caller that dies sends no end either.
        let messages = std::iter::once(header("torn/object")).chain((0..pieces).map(|_| data(large())));
        let endless = futures::stream::iter(messages.collect::<Vec<_>>()).chain(futures::stream::pending());
        let cut = tokio::time::timeout(Duration::from_millis(500), client.put(endless)).await;
        assert!(cut.is_err());
        eventually("nothing is left", async || {
            gateway.files().is_empty() && !gateway.bucket().join("torn").exists()
        })
        .await;
    }
    gateway.stop().await;
}

#[tokio::test]
async fn a_write_that_was_cut_short_is_refused() {
    let gateway = Gateway::local().await;
    let mut client = gateway.client();
    for size in [0, 2, 4, u64::MAX] {
        let status = client
            .put(futures::stream::iter([header("a"), data("abc"), commit(size)]))
            .await
            .unwrap_err();
        assert_eq!(
            (status.code(), field(&status).as_str()),
            (Code::InvalidArgument, "commit.size")
        );
    }
    assert_eq!(gateway.files(), Vec::<String>::new());
    client
        .put(futures::stream::iter([header("a"), data("ab"), data("c"), commit(3)]))
        .await
        .unwrap();
    assert_eq!(gateway.files(), ["a"]);
    gateway.stop().await;
}

#[tokio::test]
async fn messages_out_of_order_are_refused() {
    let gateway = Gateway::local().await;
    let mut client = gateway.client();
    let with = |change: fn(&mut PutHeader)| {
        let mut header = PutHeader {
            path: "a".to_owned(),
            ..Default::default()
        };
        change(&mut header);
        vec![part(Part::Header(header)), commit(0)]
    };
    let attribute = |name: &str, value: &str| Attribute {
        name: name.to_owned(),
        value: value.to_owned(),
    };
    let mut doubled = with(|_| {});
    if let Some(Part::Header(header)) = &mut doubled[0].part {
        header.attributes = vec![attribute("content-type", "a"), attribute("content-type", "b")];
    }
    let mut injected = with(|_| {});
    if let Some(Part::Header(header)) = &mut injected[0].part {
        header.attributes = vec![attribute("content-type", "a\r\nx-amz-acl: public-read")];
    }
    for (messages, expected) in [
        (vec![data("x"), commit(1)], "part"),
        (vec![commit(0)], "part"),
        (vec![header("a"), header("a")], "part"),
        (vec![header("a"), Default::default()], "part"),
        (with(|header| header.mode = 17), "header.mode"),
        (with(|header| header.mode = WireMode::IfMatch.into()), "header.if_match"),
        (with(|header| header.if_match = Some("x".to_owned())), "header.if_match"),
        (
            with(|header| header.attributes = vec![Attribute::default()]),
            "header.attributes.name",
        ),
        (doubled, "header.attributes.name"),
        (injected, "header.attributes"),
    ] {
        let shown = format!("{messages:?}");
        let status = client.put(futures::stream::iter(messages)).await.unwrap_err();
        assert_eq!(
            (status.code(), field(&status).as_str()),
            (Code::InvalidArgument, expected),
            "{shown}"
        );
    }
    assert_eq!(gateway.files(), Vec::<String>::new());
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_conditional_upload_is_checked_at_its_end() {
    let moto = Moto::start().await;
    moto.create_bucket("costs").await;
    // Twelve mebibytes are several parts for either store, but S3 takes a conditional write in one request.
    for gateway in [Gateway::local().await, Gateway::to(moto.store("costs", "")).await] {
        let store = gateway.store();
        let path = Path::from("large");
        let mut options = PutMultipartOptions::default();
        options.extensions.insert(PutMode::Create);
        let mut first = store.put_multipart_opts(&path, options.clone()).await.unwrap();
        let mut second = store.put_multipart_opts(&path, options).await.unwrap();
        for _ in 0..12 {
            first.put_part(large().into()).await.unwrap();
            second.put_part(large().into()).await.unwrap();
        }
        first.complete().await.unwrap();
        assert!(matches!(second.complete().await, Err(Error::AlreadyExists { .. })));
        assert!(second.complete().await.is_err() && second.abort().await.is_err());
        assert_eq!(store.head(&path).await.unwrap().size, 12 * 1024 * 1024);
        gateway.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_aborted_upload_leaves_nothing() {
    let gateway = Gateway::local().await;
    let store = gateway.store();
    let mut upload = store.put_multipart(&Path::from("a/large")).await.unwrap();
    for _ in 0..10 {
        upload.put_part(large().into()).await.unwrap();
    }
    upload.abort().await.unwrap();
    eventually("nothing is left", async || gateway.files().is_empty()).await;

    let mut upload = store.put_multipart(&Path::from("a/large")).await.unwrap();
    upload.put_part(large().into()).await.unwrap();
    drop(upload);
    eventually("nothing is left", async || gateway.files().is_empty()).await;
    gateway.stop().await;
}

#[tokio::test]
async fn a_refused_upload_says_why() {
    let gateway = Gateway::local().await;
    let store = object_gateway::GatewayStore::new(gateway.service("query-svc"));
    let mut upload = store.put_multipart(&Path::from("derived/x")).await.unwrap();
    // The first pieces may be on their way before the answer comes.
    let denied = async {
        loop {
            upload.put_part(large().into()).await?;
        }
    };
    let error: Result<(), Error> = denied.await;
    assert!(
        matches!(&error, Err(Error::PermissionDenied { path, .. }) if path == "derived/x"),
        "{error:?}"
    );
    assert!(matches!(upload.complete().await, Err(Error::PermissionDenied { .. })));
    gateway.stop().await;
}

#[tokio::test]
async fn too_many_writes_are_refused_before_they_begin() {
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let store = StoreConfig::directory(directory.path().join("bucket"));
    let limits = Limits {
        concurrent_writes: 1,
        write_idle: Duration::from_millis(1500),
        ..Limits::default()
    };
    let gateway = Gateway::start(directory, store, limits).await;
    let mut client = gateway.client();
    let mut idle = gateway.client();
    let idle = tokio::spawn(async move {
        let begun = std::iter::once(header("idle")).chain((0..5).map(|_| data(large())));
        let endless = futures::stream::iter(begun.collect::<Vec<_>>()).chain(futures::stream::pending());
        idle.put(endless).await.unwrap_err()
    });
    eventually("the idle write has begun", async || !gateway.files().is_empty()).await;
    let refused = client
        .put(futures::stream::iter([header("a"), commit(0)]))
        .await
        .unwrap_err();
    assert_eq!(
        (refused.code(), reason(&refused).as_str()),
        (Code::ResourceExhausted, "BUSY")
    );
    // The client repeats what was never begun, also when the write is conditional.
    gateway
        .store()
        .put_opts(&Path::from("b"), "b".into(), PutMode::Create.into())
        .await
        .unwrap();
    assert_eq!(idle.await.unwrap().code(), Code::DeadlineExceeded);
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_and_debug_output_show_no_secret() {
    let moto = Moto::start().await;
    // The bucket does not exist, so each call fails in the store.
    let config = moto.store("missing", "");
    let mut shown = format!("{config:?} {config}");
    let gateway = Gateway::to(config).await;
    let store = gateway.store();
    let path = Path::from("a");
    shown.push_str(&format!("{store:?} {store} {:?}", store.get(&path).await.unwrap_err()));
    shown.push_str(&format!("{:?}", store.put(&path, "x".into()).await.unwrap_err()));
    shown.push_str(&format!(
        "{:?}",
        store
            .put_opts(&path, "x".into(), PutMode::Create.into())
            .await
            .unwrap_err()
    ));
    shown.push_str(&format!("{:?}", store.delete(&path).await.unwrap_err()));
    shown.push_str(&format!("{:?}", store.list(None).next().await.unwrap().unwrap_err()));
    for secret in ["testing-access-key", "testing-secret-key"] {
        assert!(!shown.contains(secret), "{shown}");
    }
    gateway.stop().await;
}

#[tokio::test]
async fn a_write_with_a_checksum_is_proved_or_refused() {
    let gateway = Gateway::local().await;
    let mut client = gateway.client();
    let with = |sha256: Vec<u8>| {
        let header = PutHeader {
            path: "a".to_owned(),
            sha256: Some(sha256.into()),
            ..Default::default()
        };
        futures::stream::iter([part(Part::Header(header)), data("ab"), data("c"), commit(3)])
    };
    let checksum = Sha256::of(b"abc");

    let status = client.put(with(vec![1, 2, 3])).await.unwrap_err();
    assert_eq!(
        (status.code(), field(&status).as_str()),
        (Code::InvalidArgument, "header.sha256")
    );
    let other = Sha256::of(b"abd").to_message();
    let status = client.put(with(other.to_vec())).await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::DataLoss, "DAMAGED"));
    assert_eq!(gateway.files(), Vec::<String>::new());

    let written = client.put(with(checksum.to_message().to_vec())).await.unwrap();
    assert_eq!(written.into_inner().sha256.unwrap(), checksum.to_message());
    // It costs the gateway work, so it is for those who ask.
    let messages = futures::stream::iter([header("b"), data("abc"), commit(3)]);
    assert_eq!(client.put(messages).await.unwrap().into_inner().sha256, None);

    let (store, path) = (gateway.store(), Path::from("c"));
    let proved = store
        .put_proved(&path, "abc".into(), &Attributes::new(), checksum)
        .await;
    assert_eq!(proved.unwrap().e_tag, store.head(&path).await.unwrap().e_tag);
    let error = store
        .put_proved(&path, "abd".into(), &Attributes::new(), checksum)
        .await;
    assert!(error.unwrap_err().to_string().contains("damaged on its way"));
    assert_eq!(store.get(&path).await.unwrap().bytes().await.unwrap(), "abc");
    gateway.stop().await;
}
