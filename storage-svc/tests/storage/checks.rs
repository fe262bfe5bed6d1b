//! What every kind of bucket must do, through the client and the service: `object_store`'s own tests, and ours.

use futures::{StreamExt, TryStreamExt, future::join_all};
use object_gateway::GatewayStore;
use object_store::{
    Error, GetOptions, GetRange, ObjectStore, ObjectStoreExt, PutMode, UpdateVersion, integration, path::Path,
};

use super::harness::Gateway;

const MIB: usize = 1024 * 1024;

/// Writers in a race.
const WRITERS: usize = 16;

/// More than a page of a listing has on most stores; Azure's holds 5,000.
const MANY: usize = 1_100;

/// All checks but those that the server is known to fail, which are named with the reason where they are left out.
/// Each begins by emptying the bucket or uses names of its own.
pub(super) async fn check_all(gateway: &Gateway, known_to_fail: &[&str]) {
    gateway.wait_until_serving().await;
    let store = &gateway.store();
    let mut left = known_to_fail.to_vec();
    macro_rules! check {
        ($name:literal, $check:expr) => {
            if let Some(position) = left.iter().position(|name| *name == $name) {
                left.remove(position);
            } else {
                // Shown with a failure.
                println!("check: {}", $name);
                $check.await;
            }
        };
    }
    check!("put_get_delete_list", integration::put_get_delete_list(store));
    check!("get_opts", integration::get_opts(store));
    check!("put_opts", integration::put_opts(store, true));
    check!(
        "list_uses_directories_correctly",
        integration::list_uses_directories_correctly(store)
    );
    check!("list_with_delimiter", integration::list_with_delimiter(store));
    check!("rename_and_copy", integration::rename_and_copy(store));
    check!("copy_if_not_exists", integration::copy_if_not_exists(store));
    check!(
        "copy_rename_nonexistent_object",
        integration::copy_rename_nonexistent_object(store)
    );
    check!(
        "the_last_of_two_uploads_wins",
        integration::multipart_race_condition(store, true)
    );
    check!("multipart_out_of_order", integration::multipart_out_of_order(store));
    check!("put_get_attributes", integration::put_get_attributes(store));
    check!(
        "list_with_offset_exclusivity",
        integration::list_with_offset_exclusivity(store)
    );
    check!("stream_get", integration::stream_get(store));
    check!("get_nonexistent_object", get_nonexistent_object(store));
    check!("of_sixteen_creators_one_wins", of_sixteen_creators_one_wins(gateway));
    check!("no_update_is_lost", no_update_is_lost(gateway));
    check!("ranges", ranges(store));
    check!("unusual_keys", unusual_keys(store));
    check!("many_keys", many_keys(store));
    assert!(left.is_empty(), "there are no checks {left:?}");
}

async fn get_nonexistent_object(store: &GatewayStore) {
    let error = integration::get_nonexistent_object(store, None).await.unwrap_err();
    assert!(
        matches!(&error, Error::NotFound { path, .. } if path == "this_file_should_not_exist"),
        "{error}"
    );
}

async fn of_sixteen_creators_one_wins(gateway: &Gateway) {
    let path = Path::from("derived/_delta_log/00000000000000000001.json");
    let creators = (0..WRITERS).map(|creator| {
        // Each has a connection of its own.
        let (store, path) = (gateway.store(), path.clone());
        tokio::spawn(async move {
            let written = store
                .put_opts(&path, creator.to_string().into(), PutMode::Create.into())
                .await;
            match written {
                Ok(_) => Some(creator),
                Err(Error::AlreadyExists { .. }) => None,
                Err(error) => panic!("{error}"),
            }
        })
    });
    let winners = join_all(creators).await.into_iter().filter_map(Result::unwrap);
    let winners: Vec<_> = winners.collect();
    assert_eq!(winners.len(), 1, "{winners:?}");
    let store = gateway.store();
    let present = store.get(&path).await.unwrap().bytes().await.unwrap();
    assert_eq!(present, winners[0].to_string());
    store.delete(&path).await.unwrap();
}

async fn no_update_is_lost(gateway: &Gateway) {
    const UPDATES: usize = 2;
    let path = Path::from("derived/release.json");
    gateway.store().put(&path, "0".into()).await.unwrap();
    let writers = (0..WRITERS).map(|_| {
        let (store, path) = (gateway.store(), path.clone());
        tokio::spawn(async move {
            let mut done = 0;
            while done < UPDATES {
                let read = store.get(&path).await.unwrap();
                let present = UpdateVersion {
                    e_tag: read.meta.e_tag.clone(),
                    version: read.meta.version.clone(),
                };
                let text = read.bytes().await.unwrap();
                let count: usize = std::str::from_utf8(&text).unwrap().parse().unwrap();
                let next = (count + 1).to_string().into();
                match store.put_opts(&path, next, PutMode::Update(present).into()).await {
                    Ok(_) => done += 1,
                    Err(Error::Precondition { .. }) => {}
                    Err(error) => panic!("{error}"),
                }
            }
        })
    });
    for writer in join_all(writers).await {
        writer.unwrap();
    }
    let store = gateway.store();
    let count = store.get(&path).await.unwrap().bytes().await.unwrap();
    assert_eq!(count, (WRITERS * UPDATES).to_string());
    store.delete(&path).await.unwrap();
}

/// Ranges of an object that was written in several parts.
async fn ranges(store: &GatewayStore) {
    let path = Path::from("ranges/large");
    let content: Vec<u8> = (0..20 * MIB).map(|index| (index / 7 % 251) as u8).collect();
    let mut upload = store.put_multipart(&path).await.unwrap();
    for part in content.chunks(MIB) {
        upload.put_part(part.to_vec().into()).await.unwrap();
    }
    upload.complete().await.unwrap();
    let get = async |range: GetRange| {
        let options = GetOptions::new().with_range(Some(range));
        store.get_opts(&path, options).await.unwrap().bytes().await.unwrap()
    };
    let end = content.len() as u64;
    assert_eq!(get(GetRange::Bounded(0..1)).await, content[..1]);
    assert_eq!(
        get(GetRange::Bounded(8 * MIB as u64 - 1..8 * MIB as u64 + 1)).await,
        content[8 * MIB - 1..8 * MIB + 1]
    );
    assert_eq!(get(GetRange::Offset(end - 5)).await, content[content.len() - 5..]);
    assert_eq!(get(GetRange::Suffix(7)).await, content[content.len() - 7..]);
    assert_eq!(
        get(GetRange::Bounded(end - 2..end + 100)).await,
        content[content.len() - 2..]
    );
    let whole = store.get(&path).await.unwrap().bytes().await.unwrap();
    assert!(whole == content);
    store.delete(&path).await.unwrap();
}

async fn unusual_keys(store: &GatewayStore) {
    let names = [
        "unusual/ space and  two",
        "unusual/ünïcödé/日本",
        "unusual/a+b=c&d?e",
        "unusual/%41%2F",
        "unusual/quote'\"<>",
        "unusual/.hidden/~x",
        "unusual/UPPER",
        "unusual/upper",
    ];
    let paths: Vec<_> = names.iter().map(|name| Path::parse(name).unwrap()).collect();
    for path in &paths {
        store.put(path, path.to_string().into()).await.unwrap();
    }
    for path in &paths {
        let read = store.get(path).await.unwrap().bytes().await.unwrap();
        assert_eq!(read, path.to_string());
    }
    let listed: Vec<_> = store.list(Some(&Path::from("unusual"))).try_collect().await.unwrap();
    let mut listed: Vec<_> = listed.into_iter().map(|object| object.location).collect();
    let mut expected = paths.clone();
    listed.sort();
    expected.sort();
    assert_eq!(listed, expected);
    let deleted = store.delete_stream(futures::stream::iter(paths.into_iter().map(Ok)).boxed());
    let deleted: Vec<_> = deleted.try_collect().await.unwrap();
    assert_eq!(deleted.len(), names.len());
    assert!(store.list(Some(&Path::from("unusual"))).next().await.is_none());
}

/// A listing of several pages is whole and in order, also from an offset, and what it names can be deleted at once.
async fn many_keys(store: &GatewayStore) {
    let path = |index: usize| Path::from(format!("many/{index:05}"));
    let puts = (0..MANY).map(|index| async move { store.put(&path(index), "x".into()).await });
    let _written: Vec<_> = futures::stream::iter(puts)
        .buffer_unordered(16)
        .try_collect()
        .await
        .unwrap();
    let prefix = Path::from("many");
    let locations =
        async |listing: futures::stream::BoxStream<'static, object_store::Result<object_store::ObjectMeta>>| {
            let listed: Vec<_> = listing.map_ok(|object| object.location).try_collect().await.unwrap();
            listed
        };
    let all: Vec<_> = (0..MANY).map(path).collect();
    assert_eq!(locations(store.list(Some(&prefix))).await, all);
    assert_eq!(
        locations(store.list_with_offset(Some(&prefix), &path(50))).await,
        all[51..]
    );
    let deleted = store.delete_stream(futures::stream::iter(all.into_iter().map(Ok)).boxed());
    assert_eq!(deleted.try_collect::<Vec<_>>().await.unwrap().len(), MANY);
    assert!(store.list(Some(&prefix)).next().await.is_none());
}
