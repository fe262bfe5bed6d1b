//! Uploads in parts.

use std::time::Duration;

use object_store::{Error, ObjectStoreExt, path::Path};
use tonic::Status;

use super::scripted::{Script, Scripted, busy};

#[tokio::test]
async fn parts_go_out_in_the_order_of_their_calls() {
    let (gateway, store) = Scripted::start(Script::default()).await;
    let mut upload = store.put_multipart(&Path::from("a")).await.unwrap();
    let first = upload.put_part(vec![b'1'; 3 << 19].into());
    let second = upload.put_part(vec![b'2'; 5].into());
    let third = upload.put_part(vec![b'3'; 7].into());
    third.await.unwrap();
    first.await.unwrap();
    second.await.unwrap();
    let written = upload.complete().await.unwrap();
    assert_eq!(written.e_tag.as_deref(), Some("new"));
    let uploaded = gateway.script(|script| script.uploaded.clone());
    assert_eq!(
        uploaded,
        ["1048576 x 1", "524288 x 1", "5 x 2", "7 x 3", "commit 1572876"]
    );
}

#[tokio::test]
async fn parts_that_nobody_waits_for_are_sent() {
    let (gateway, store) = Scripted::start(Script::default()).await;
    let mut upload = store.put_multipart(&Path::from("a")).await.unwrap();
    drop(upload.put_part("1".into()));
    drop(upload.put_part("2".into()));
    upload.complete().await.unwrap();
    assert_eq!(
        gateway.script(|script| script.uploaded.clone()),
        ["1 x 1", "1 x 2", "commit 2"]
    );
}

#[tokio::test]
async fn an_upload_that_the_gateway_has_not_begun_with_is_made_again() {
    let (gateway, store) = Scripted::start(Script {
        failures: [busy(), busy()].into(),
        ..Script::default()
    })
    .await;
    let mut upload = store.put_multipart(&Path::from("a")).await.unwrap();
    upload.put_part("1".into()).await.unwrap();
    upload.put_part("2".into()).await.unwrap();
    upload.complete().await.unwrap();
    assert_eq!(gateway.calls(), ["put a", "put a", "put a"]);
    assert_eq!(
        gateway.script(|script| script.uploaded.clone()),
        ["1 x 1", "1 x 2", "commit 2"]
    );
}

#[tokio::test]
async fn an_upload_that_is_aborted_or_dropped_is_not_committed() {
    let (gateway, store) = Scripted::start(Script::default()).await;
    let mut upload = store.put_multipart(&Path::from("a")).await.unwrap();
    upload.put_part("1".into()).await.unwrap();
    upload.abort().await.unwrap();
    assert_eq!(gateway.script(|script| script.uploaded.clone()), ["1 x 1", "no commit"]);
    assert!(upload.put_part("2".into()).await.is_err());
    assert!(upload.complete().await.is_err());

    let mut upload = store.put_multipart(&Path::from("a")).await.unwrap();
    upload.put_part("2".into()).await.unwrap();
    drop(upload);
    for _ in 0..500 {
        if gateway.script(|script| script.uploaded.len()) == 4 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(
        gateway.script(|script| script.uploaded.split_off(2)),
        ["1 x 2", "no commit"]
    );
}

#[tokio::test]
async fn a_part_that_cannot_be_sent_says_why() {
    let failures = [Status::permission_denied("not yours")].into();
    let (gateway, store) = Scripted::start(Script {
        failures,
        ..Default::default()
    })
    .await;
    let mut upload = store.put_multipart(&Path::from("a")).await.unwrap();
    let error = loop {
        if let Err(error) = upload.put_part(vec![0; 1 << 20].into()).await {
            break error;
        }
    };
    assert!(
        matches!(&error, Error::PermissionDenied { path, .. } if path == "a"),
        "{error}"
    );
    assert!(matches!(upload.complete().await, Err(Error::PermissionDenied { .. })));
    // Its content was consumed, so it cannot be repeated.
    assert_eq!(gateway.calls(), ["put a"]);
}
