//! Stores without conditional writes.

use storage_svc::{ConditionalWrites, StoreConfig};

use super::{super::checks::check_all, bucket::Bucket, front::FaultyStore};
use crate::storage::harness::Gateway;

async fn store() -> StoreConfig {
    FaultyStore::before(Bucket::unconditional(), 0).await.config()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_without_conditional_writes_is_refused() {
    let error = Gateway::to(store().await).await.failure().await;
    assert!(
        error.starts_with("store: the store overwrites an object that was to be written only if there is none. "),
        "{error}"
    );
    assert!(error.contains("set `conditional_writes: gateway`"), "{error}");
}

/// With those checks in which sixteen race.
#[tokio::test(flavor = "multi_thread")]
async fn the_gateway_keeps_the_conditions_that_the_store_does_not() {
    let store = store().await.with_conditional_writes(ConditionalWrites::Gateway);
    let gateway = Gateway::to(store.unwrap()).await;
    check_all(&gateway, &[]).await;
    gateway.stop().await;
}
