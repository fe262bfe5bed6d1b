//! Single faults, each at the moment when it does the most harm.

use std::time::Duration;

use bytes::Bytes;
use fedcost_proto::storage::v1::{Attempt, CopyRequest, DeleteRequest, HeadRequest, PutHeader, put_request::Part};
use futures::TryStreamExt;
use object_gateway::GatewayStore;
use object_store::{Error, MultipartUpload, ObjectStore, ObjectStoreExt, PutMode, path::Path};
use tonic::{Code, Status};

use super::{
    front::{FaultyStore, StoreFault},
    network::FaultyNetwork,
};
use crate::storage::harness::{Gateway, commit, counts, data, eventually, field, part, reason};

const REFUSED: StoreFault = StoreFault::Refused(503, "SlowDown");

/// Faults of requests that are carried out, and seem not to be.
const UNSEEN: [StoreFault; 3] = [
    StoreFault::DoneButRefused,
    StoreFault::AnswerLost,
    StoreFault::DoneButStalled,
];

fn attempt(change: u8, number: u32) -> Option<Attempt> {
    let change = Bytes::copy_from_slice(&[change; 16]);
    Some(Attempt { change, number })
}

async fn start() -> (FaultyStore, Gateway) {
    let store = FaultyStore::start(0).await;
    let gateway = Gateway::to(store.config()).await;
    gateway.wait_until_serving().await;
    (store, gateway)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_whose_caller_has_gone_does_not_undo_later_ones() {
    let (store, gateway) = start().await;
    let path = Path::from("a");
    for changes in ["put", "delete"] {
        let (client, changed) = (gateway.store(), path.clone());
        let refused = || store.met.counts().get(&REFUSED).copied().unwrap_or_default();
        let before = refused();
        // The gateway sends it again, a tenth of a second later at the earliest.
        store.order([Some(REFUSED)]);
        let gone = tokio::spawn(async move {
            match changes {
                "put" => client.put(&changed, "first".into()).await.map(|_| ()),
                _ => client.delete(&changed).await,
            }
        });
        eventually("the change has begun", async || refused() > before).await;
        gone.abort();
        // Its connection is another.
        let later = gateway.store();
        later.put(&path, "second".into()).await.unwrap();
        // By then the first one would have taken place.
        tokio::time::sleep(Duration::from_secs(1)).await;
        let found = later.get(&path).await.unwrap().bytes().await.unwrap();
        assert_eq!(found, "second", "after a {changes}");
    }
    gateway.stop().await;
}

/// An attempt may lie in the buffers of a broken connection until its repetition is done, and what came after that.
#[tokio::test(flavor = "multi_thread")]
async fn an_attempt_that_comes_after_its_repetition_changes_nothing() {
    let (_store, gateway) = start().await;
    let (mut client, store) = (gateway.client(), gateway.store());
    let path = Path::from("a");
    let put = |number| {
        let header = PutHeader {
            path: path.to_string(),
            attempt: attempt(7, number),
            ..Default::default()
        };
        futures::stream::iter([part(Part::Header(header)), data("late"), commit(4)])
    };
    let delete = |number| DeleteRequest {
        path: path.to_string(),
        attempt: attempt(7, number),
    };
    let copy = |number| CopyRequest {
        from: "from".to_owned(),
        to: path.to_string(),
        create_only: false,
        attempt: attempt(7, number),
    };
    let superseded =
        |status: Status| assert_eq!((status.code(), reason(&status).as_str()), (Code::Aborted, "SUPERSEDED"));
    store.put(&Path::from("from"), "late".into()).await.unwrap();
    client.put(put(1)).await.unwrap();
    store.delete(&path).await.unwrap();
    superseded(client.put(put(0)).await.unwrap_err());
    superseded(client.copy(copy(0)).await.unwrap_err());
    let missing = store.head(&path).await;
    assert!(matches!(missing, Err(Error::NotFound { .. })), "{missing:?}");
    store.put(&path, "second".into()).await.unwrap();
    superseded(client.delete(delete(0)).await.unwrap_err());
    assert_eq!(store.get(&path).await.unwrap().bytes().await.unwrap(), "second");

    let nameless = client.delete(DeleteRequest {
        path: path.to_string(),
        attempt: Some(Attempt::default()),
    });
    assert_eq!(field(&nameless.await.unwrap_err()), "attempt.change");
    gateway.stop().await;
}

/// As when its answer was lost with the connection: the caller repeats it, and others have gone on.
#[tokio::test(flavor = "multi_thread")]
async fn a_repetition_of_what_has_taken_place_changes_nothing() {
    let (_store, gateway) = start().await;
    let (client, store) = (gateway.client(), gateway.store());
    let path = Path::from("a");
    store.put(&Path::from("from"), "late".into()).await.unwrap();
    // In one request, and in parts.
    for (change, size) in [(1, 4), (2, 6 << 20)] {
        let attempt = async |number| {
            let header = PutHeader {
                path: path.to_string(),
                attempt: attempt(change, number),
                ..Default::default()
            };
            let content = vec![b'x'; size];
            let pieces = content.chunks(1 << 20).map(|piece| data(piece.to_vec()));
            let mut messages = vec![part(Part::Header(header))];
            messages.extend(pieces.chain([commit(size as u64)]));
            let written = client.clone().put(futures::stream::iter(messages)).await;
            written.unwrap().into_inner()
        };
        let (first, second) = repeated(&store, &path, attempt).await;
        assert_eq!(first, second);
    }
    repeated(&store, &path, async |number| {
        let request = DeleteRequest {
            path: path.to_string(),
            attempt: attempt(3, number),
        };
        client.clone().delete(request).await.unwrap()
    })
    .await;
    repeated(&store, &path, async |number| {
        let request = CopyRequest {
            from: "from".to_owned(),
            to: path.to_string(),
            create_only: false,
            attempt: attempt(4, number),
        };
        client.clone().copy(request).await.unwrap()
    })
    .await;
    gateway.stop().await;
}

/// Makes a change, then another of the same object, then the first again, and expects that the other stands.
async fn repeated<T>(store: &GatewayStore, path: &Path, change: impl AsyncFn(u32) -> T) -> (T, T) {
    store.put(path, "before".into()).await.unwrap();
    let first = change(0).await;
    store.put(path, "between".into()).await.unwrap();
    let second = change(1).await;
    assert_eq!(store.get(path).await.unwrap().bytes().await.unwrap(), "between");
    (first, second)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_update_that_took_place_unseen_is_no_conflict() {
    let (store, gateway) = start().await;
    let client = gateway.store();
    let path = Path::from("a");
    for fault in UNSEEN {
        let first = client.put(&path, "first".into()).await.unwrap();
        store.order([Some(fault)]);
        let update = PutMode::Update(first.into()).into();
        client.put_opts(&path, "ours".into(), update).await.unwrap();
        assert_eq!(client.get(&path).await.unwrap().bytes().await.unwrap(), "ours");
    }
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_update_that_may_have_been_replaced_unseen_is_no_conflict() {
    let (store, gateway) = start().await;
    let (client, path) = (gateway.store(), Path::from("a"));
    let first = client.put(&path, "first".into()).await.unwrap();
    store.order([Some(StoreFault::DoneButRefused)]);
    let update = PutMode::Update(first.into()).into();
    let (updating, updated) = (client.clone(), path.clone());
    let update = tokio::spawn(async move { updating.put_opts(&updated, "ours".into(), update).await });
    eventually("the update has taken place", async || {
        store
            .bucket
            .contents()
            .await
            .get("a")
            .is_some_and(|found| found == "ours")
    })
    .await;
    // Before the gateway has sent it again.
    store.bucket.replace(&path, "theirs").await;
    let error = update.await.unwrap().unwrap_err();
    assert!(matches!(error, Error::Generic { .. }), "{error}");
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_took_place_unseen_has_taken_place() {
    let (store, gateway) = start().await;
    let (client, path) = (gateway.store(), Path::from("large"));
    for fault in UNSEEN {
        // It is begun, sent in two parts, and ended.
        let content = vec![7; 5 * 1024 * 1024 + 1];
        store.order([None, None, None, Some(fault)]);
        let mut upload = client.put_multipart(&path).await.unwrap();
        upload.put_part(content.clone().into()).await.unwrap();
        upload.complete().await.unwrap();
        let read = client.get(&path).await.unwrap();
        assert!(read.attributes.is_empty(), "{:?}", read.attributes);
        assert_eq!(read.bytes().await.unwrap(), content);
    }
    assert_eq!(store.met.counts().len(), UNSEEN.len());
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_that_took_place_unseen_does_not_lack_its_source() {
    let (store, gateway) = start().await;
    let client = gateway.store();
    client.put(&Path::from("from"), "x".into()).await.unwrap();
    // To S3 it is an upload of one part.
    store.order([None, None, Some(StoreFault::DoneButRefused)]);
    let copied = client.copy_if_not_exists(&Path::from("from"), &Path::from("to")).await;
    // The gateway says that it does not know, so the client asks again, and finds what is there.
    let error = copied.unwrap_err();
    assert!(!matches!(error, Error::NotFound { .. }), "{error}");
    assert_eq!(client.get(&Path::from("to")).await.unwrap().bytes().await.unwrap(), "x");
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_download_goes_on_after_its_connection_has_broken() {
    let gateway = Gateway::local().await;
    gateway.wait_until_serving().await;
    let path = Path::from("large");
    // More than is under way before the reader has taken it.
    let content: Vec<u8> = (0..16 << 20).map(|number: u32| (number % 251) as u8).collect();
    gateway.store().put(&path, content.clone().into()).await.unwrap();
    let network = FaultyNetwork::to(&gateway.address, 0).await;
    let client = gateway.store_through(&network.address);
    let mut download = client.get(&path).await.unwrap().into_stream();
    let mut read = download.try_next().await.unwrap().unwrap().to_vec();
    assert!(read.len() < content.len() / 2);
    network.cut();
    while let Some(piece) = download.try_next().await.unwrap() {
        read.extend(piece);
    }
    assert!(read == content, "{} bytes", read.len());
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_fails_in_the_store_is_repeated_within_bounds_and_counted() {
    let store = FaultyStore::start(0).await;
    let (gateway, registry) = Gateway::counting(store.config()).await;
    gateway.wait_until_serving().await;
    store.order(
        [Some(REFUSED); 3]
            .into_iter()
            .chain([Some(StoreFault::DoneButRefused); 20]),
    );
    // The client of the tests would repeat the call.
    let head = HeadRequest {
        path: "a".to_owned(),
        ..Default::default()
    };
    let status = gateway.client().head(head).await.unwrap_err();
    assert_eq!(
        (status.code(), reason(&status).as_str()),
        (Code::Unavailable, "STORE_UNAVAILABLE")
    );
    assert_eq!(store.met.counts().values().sum::<usize>(), 6);
    let counted = counts(&registry);
    for failure in ["Throttled", "Server"] {
        let line = format!("storage_store_failures_total{{failure=\"{failure}\"}} 3\n");
        assert!(counted.contains(&line), "{line} in {counted}");
    }
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conditional_write_whose_connection_breaks_is_unavailable() {
    let (store, gateway) = start().await;
    let network = FaultyNetwork::to(&gateway.address, 0).await;
    let client = gateway.store_through(&network.address);
    client.head(&Path::from("a")).await.unwrap_err();
    store.order([Some(StoreFault::Stalled)]);
    let create = async {
        client
            .put_opts(&Path::from("a"), "x".into(), PutMode::Create.into())
            .await
    };
    let cut = async {
        eventually("the store has the request", async || !store.met.counts().is_empty()).await;
        network.cut();
    };
    let (created, ()) = tokio::join!(create, cut);
    let error = created.unwrap_err().to_string();
    assert!(error.contains("currently unavailable"), "{error}");
    gateway.stop().await;
}
