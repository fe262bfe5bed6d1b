//! Which calls are repeated, and how often.

use std::collections::HashSet;

use futures::{StreamExt, TryStreamExt};
use object_store::{
    CopyMode, CopyOptions, Error, GetOptions, ObjectStore, ObjectStoreExt, PutMode, PutOptions, TagSet, path::Path,
};
use tonic::Status;

use super::scripted::{Script, Scripted, away, busy};

fn failing(failures: impl IntoIterator<Item = Status>) -> Script {
    Script {
        failures: failures.into_iter().collect(),
        content: b"content".to_vec(),
        ..Default::default()
    }
}

#[tokio::test]
async fn what_may_take_place_twice_is_repeated() {
    let (gateway, store) = Scripted::start(Script::default()).await;
    let path = Path::from("a");
    let fail = || gateway.script(|script| script.failures.extend([away(), away()]));

    fail();
    assert_eq!(store.list(Some(&path)).try_collect::<Vec<_>>().await.unwrap().len(), 1);
    fail();
    assert_eq!(store.list_with_delimiter(Some(&path)).await.unwrap().objects.len(), 1);
    fail();
    store.head(&path).await.unwrap();
    fail();
    store.get(&path).await.unwrap();
    fail();
    store.put(&path, "x".into()).await.unwrap();
    fail();
    store.delete(&path).await.unwrap();
    fail();
    store.copy(&path, &Path::from("b")).await.unwrap();
    let calls = gateway.calls();
    for call in ["head", "get", "put", "delete", "copy"] {
        assert_eq!(
            calls.iter().filter(|made| **made == format!("{call} a")).count(),
            3,
            "{call}"
        );
    }
    assert_eq!(calls.iter().filter(|made| *made == "list a").count(), 6);
}

#[tokio::test]
async fn a_call_whose_answer_is_lost_is_made_again() {
    let (gateway, store) = Scripted::start(failing([])).await;
    let path = Path::from("a");
    let lose = |calls| gateway.script(|script| script.unanswered = calls);

    lose(1);
    assert_eq!(store.list(Some(&path)).try_collect::<Vec<_>>().await.unwrap().len(), 1);
    lose(1);
    store.head(&path).await.unwrap();
    lose(1);
    store.get(&path).await.unwrap();
    lose(1);
    store.put(&path, "x".into()).await.unwrap();
    lose(1);
    store.delete(&path).await.unwrap();
    lose(1);
    store.copy(&path, &Path::from("b")).await.unwrap();
    let calls = gateway.calls();
    let twice = ["list", "head", "get", "put", "delete", "copy"].map(|call| [format!("{call} a"), format!("{call} a")]);
    assert_eq!(calls, twice.concat());

    // Whether it took place is not known.
    lose(1);
    let created = store.put_opts(&path, "x".into(), PutMode::Create.into()).await;
    assert!(created.unwrap_err().to_string().contains("no answer within"));
    assert_eq!(gateway.calls(), ["put a"]);
    // In the end it is given up.
    lose(usize::MAX);
    let error = store.head(&path).await.unwrap_err();
    assert!(error.to_string().contains("no answer within"), "{error}");
    assert_eq!(gateway.calls().len(), 4);
}

#[tokio::test]
async fn a_repeated_change_tells_which_attempt_it_is() {
    let (gateway, store) = Scripted::start(Script::default()).await;
    let path = Path::from("a");
    let mut changes = HashSet::new();
    let mut expect = |what: &str| {
        let attempts = gateway.script(|script| std::mem::take(&mut script.attempts));
        let attempts: Vec<_> = attempts.into_iter().map(Option::unwrap).collect();
        let numbers: Vec<_> = attempts.iter().map(|attempt| attempt.number).collect();
        assert_eq!(numbers, [0, 1, 2], "{what}");
        assert!(attempts.iter().all(|attempt| attempt.change == attempts[0].change));
        assert!(changes.insert(attempts[0].change.clone()), "{what}");
    };
    let fail = || gateway.script(|script| script.failures.extend([away(), away()]));
    for what in ["a put", "another put"] {
        fail();
        store.put(&path, "x".into()).await.unwrap();
        expect(what);
    }
    fail();
    store.delete(&path).await.unwrap();
    expect("a deletion");
    fail();
    store.copy(&path, &Path::from("b")).await.unwrap();
    expect("a copy");
}

#[tokio::test]
async fn repeating_has_an_end() {
    let (gateway, store) = Scripted::start(failing((0..100).map(|_| away()))).await;
    let error = store.head(&Path::from("a")).await.unwrap_err();
    assert!(error.to_string().contains("restarting"), "{error}");
    assert_eq!(gateway.calls().len(), 4);
    assert!(store.list(None).next().await.unwrap().is_err());
    assert_eq!(gateway.calls().len(), 4);
}

#[tokio::test]
async fn conditional_writes_are_repeated_only_when_they_were_never_begun() {
    let (gateway, store) = Scripted::start(failing([away()])).await;
    let path = Path::from("a");
    let create = || PutOptions::from(PutMode::Create);
    assert!(store.put_opts(&path, "x".into(), create()).await.is_err());
    assert_eq!(gateway.calls(), ["put a"]);
    gateway.script(|script| script.failures.push_back(away()));
    let create_copy = CopyOptions::new().with_mode(CopyMode::Create);
    assert!(store.copy_opts(&path, &path, create_copy.clone()).await.is_err());
    assert_eq!(gateway.calls(), ["copy a"]);

    gateway.script(|script| script.failures.extend([busy(), busy(), busy(), busy()]));
    store.put_opts(&path, "x".into(), create()).await.unwrap_err();
    assert_eq!(gateway.calls().len(), 4);
    gateway.script(|script| script.failures.push_back(busy()));
    store.copy_opts(&path, &path, create_copy).await.unwrap();
    assert_eq!(gateway.calls().len(), 2);
}

#[tokio::test]
async fn errors_that_will_not_pass_are_not_repeated() {
    let (gateway, store) = Scripted::start(failing([Status::permission_denied("no"), Status::internal("no")])).await;
    assert!(matches!(store.head(&Path::from("a")).await, Err(Error::PermissionDenied { path, .. }) if path == "a"));
    assert!(matches!(store.head(&Path::from("a")).await, Err(Error::Generic { .. })));
    assert_eq!(gateway.calls().len(), 2);
}

#[tokio::test]
async fn a_deletion_whose_answer_was_lost_has_taken_place() {
    let gone = || Status::not_found("gone");
    let (_gateway, store) = Scripted::start(failing([away(), gone(), gone()])).await;
    store.delete(&Path::from("a")).await.unwrap();
    assert!(matches!(
        store.delete(&Path::from("a")).await,
        Err(Error::NotFound { .. })
    ));
}

#[tokio::test]
async fn what_the_interface_cannot_carry_is_refused() {
    let (gateway, store) = Scripted::start(failing([])).await;
    let mut tags = TagSet::default();
    tags.push("keep", "a week");
    let refused = store.put_opts(&Path::from("a"), "x".into(), tags.clone().into()).await;
    assert!(matches!(refused, Err(Error::NotSupported { .. })));
    assert!(matches!(
        store.put_multipart_opts(&Path::from("a"), tags.into()).await,
        Err(Error::NotSupported { .. })
    ));
    assert!(gateway.calls().is_empty());
}

#[tokio::test]
async fn a_head_has_the_object_s_size_and_no_content() {
    let (_gateway, store) = Scripted::start(failing([])).await;
    let head = store
        .get_opts(&Path::from("a"), GetOptions::new().with_head(true))
        .await
        .unwrap();
    assert_eq!((head.meta.size, head.range.clone()), (7, 0..7));
    assert_eq!(head.into_stream().count().await, 0);
    assert_eq!(
        format!("{store:?} {store}"),
        "GatewayStore(storage-svc) GatewayStore(storage-svc)"
    );
}
