//! What is large: an object of a gibibyte, and a folder of a hundred thousand objects.

use futures::{StreamExt, TryStreamExt, stream::BoxStream};
use object_gateway::GatewayStore;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt, path::Path};
use storage_svc::StoreConfig;

use super::{harness::Gateway, process::Service};

const MIB: usize = 1024 * 1024;

/// By how much the gateway's memory may grow while a gibibyte passes through.
const MOST_GROWTH: u64 = 64 * MIB as u64;

const KEYS: usize = 100_000;

/// Objects written at the same time.
const PARALLEL: usize = 32;

/// Writes a gibibyte in one stream, and reads it back in one.
pub(super) async fn check_gibibyte(service: &Service) {
    const PIECES: usize = 1024;
    let (store, path) = (service.store(), Path::from("derived/large"));
    // What the first calls make it load is not what is asked about.
    store.put(&path, "small".into()).await.unwrap();
    store.get(&path).await.unwrap().bytes().await.unwrap();
    let before = service.memory();
    let piece = |index: usize| vec![(index % 251) as u8; MIB];
    let mut upload = store.put_multipart(&path).await.unwrap();
    for index in 0..PIECES {
        upload.put_part(piece(index).into()).await.unwrap();
    }
    upload.complete().await.unwrap();
    let written = service.peak_memory();
    let mut content = store.get(&path).await.unwrap().into_stream();
    let mut read = 0;
    while let Some(bytes) = content.next().await {
        let bytes = bytes.unwrap();
        assert!(
            bytes
                .iter()
                .enumerate()
                .all(|(index, byte)| usize::from(*byte) == (read + index) / MIB % 251)
        );
        read += bytes.len();
    }
    assert_eq!(read, PIECES * MIB);
    let peak = service.peak_memory();
    let mib = |bytes: u64| bytes / MIB as u64;
    println!(
        "memory in MiB: {} before, at most {} while it was written, {} in all",
        mib(before),
        mib(written),
        mib(peak)
    );
    assert!(peak - before < MOST_GROWTH, "grew from {before} to {peak} bytes");
    store.delete(&path).await.unwrap();
}

/// The paths of the objects that [`check_many_keys`] wants to find, in their order.
pub(super) fn many_keys() -> impl Iterator<Item = Path> {
    (0..KEYS).map(|index| Path::from(format!("many/{:02}/{index:06}", index / 7_000)))
}

/// Writes them to a bucket, and lists them.
pub(super) async fn write_and_list_many_keys(bucket: StoreConfig) {
    let gateway = Gateway::to(bucket).await;
    gateway.wait_until_serving().await;
    let store = &gateway.store();
    let writes = many_keys().map(|path| async move { store.put(&path, "x".into()).await });
    let written = futures::stream::iter(writes).buffer_unordered(PARALLEL);
    written.try_for_each(async |_| Ok(())).await.unwrap();
    check_many_keys(store).await;
    gateway.stop().await;
}

/// Lists them: all, each once and in order, also from the middle on.
pub(super) async fn check_many_keys(store: &GatewayStore) {
    let folder = Path::from("many");
    let keys: Vec<_> = many_keys().collect();
    assert!(locations(store.list(Some(&folder))).await == keys);
    let middle = KEYS / 2;
    assert!(locations(store.list_with_offset(Some(&folder), &keys[middle])).await == keys[middle + 1..]);
}

async fn locations(listing: BoxStream<'static, object_store::Result<ObjectMeta>>) -> Vec<Path> {
    listing.map_ok(|object| object.location).try_collect().await.unwrap()
}
