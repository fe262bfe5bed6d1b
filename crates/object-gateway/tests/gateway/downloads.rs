//! Downloads that break off.

use fedcost_proto::storage::v1::byte_range::{Bounded, Range};
use object_store::{Error, ObjectStoreExt, path::Path};

use super::scripted::{Script, Scripted};

fn script(breaks: &[usize]) -> Script {
    let content = (0..100).collect();
    Script {
        content,
        etag: Some("one".to_owned()),
        breaks: breaks.iter().copied().collect(),
        ..Default::default()
    }
}

#[tokio::test]
async fn a_download_goes_on_where_it_broke_off() {
    let (gateway, store) = Scripted::start(script(&[30, 0, 25])).await;
    let bytes = store.get(&Path::from("a")).await.unwrap().bytes().await.unwrap();
    assert_eq!(bytes, (0..100).collect::<Vec<u8>>());
    let rest = |start| {
        (
            Some(Range::Bounded(Bounded { start, end: 100 })),
            Some("one".to_owned()),
        )
    };
    assert_eq!(
        gateway.script(|script| script.asked.clone()),
        [(None, None), rest(30), rest(30), rest(55)]
    );
}

#[tokio::test]
async fn it_never_goes_on_with_another_object() {
    let (gateway, store) = Scripted::start(script(&[30])).await;
    let download = store.get(&Path::from("a")).await.unwrap();
    gateway.script(|script| script.etag = Some("two".to_owned()));
    assert!(matches!(download.bytes().await, Err(Error::Precondition { .. })));

    let untagged = Script {
        etag: None,
        ..script(&[30])
    };
    let (gateway, store) = Scripted::start(untagged).await;
    assert!(store.get(&Path::from("a")).await.unwrap().bytes().await.is_err());
    assert_eq!(gateway.calls().len(), 1);
}

#[tokio::test]
async fn it_does_not_go_on_for_ever() {
    let (gateway, store) = Scripted::start(script(&[0; 100])).await;
    assert!(store.get(&Path::from("a")).await.unwrap().bytes().await.is_err());
    assert_eq!(gateway.calls().len(), 6);
}

#[tokio::test]
async fn content_that_is_too_short_or_too_long_is_an_error() {
    for surplus in [-1, 1] {
        let (_gateway, store) = Scripted::start(Script { surplus, ..script(&[]) }).await;
        let error = store.get(&Path::from("a")).await.unwrap().bytes().await.unwrap_err();
        assert!(error.to_string().contains("content than it had announced"), "{error}");
    }
}
