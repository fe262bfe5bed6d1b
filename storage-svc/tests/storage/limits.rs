//! Callers that want too much, or do not take what they asked for.

use std::time::Duration;

use fedcost_proto::storage::v1::{GetRequest, ListRequest, storage_service_client::StorageServiceClient};
use storage_svc::{Limits, StoreConfig};
use tonic::Code;

use super::harness::{Gateway, commit, data, directory, eventually, header, reason};

async fn gateway(limits: Limits) -> Gateway {
    let directory = directory();
    let store = StoreConfig::directory(directory.path().join("bucket"));
    Gateway::start(directory, store, limits).await
}

fn get(path: &str) -> GetRequest {
    GetRequest {
        path: path.to_owned(),
        ..Default::default()
    }
}

#[tokio::test]
async fn a_cluster_that_calls_too_often_is_held_back_alone() {
    let gateway = gateway(Limits {
        cluster_calls_per_second: 5,
        ..Limits::default()
    })
    .await;
    let list = |id: &str| ListRequest {
        prefix: format!("federated/{id}"),
        ..Default::default()
    };
    let mut greedy = StorageServiceClient::new(gateway.cluster("greedy"));
    let mut refused = 0;
    for _ in 0..50 {
        if let Err(status) = greedy.list(list("greedy")).await {
            assert_eq!(
                (status.code(), reason(&status).as_str()),
                (Code::ResourceExhausted, "BUSY")
            );
            refused += 1;
        }
    }
    assert!(refused > 20, "{refused} of 50 were refused");
    let mut modest = StorageServiceClient::new(gateway.cluster("modest"));
    modest.list(list("modest")).await.unwrap();
    // Services are not counted.
    for _ in 0..50 {
        gateway.client().list(list("greedy")).await.unwrap();
    }
    // It is the clients that wait: a store on top of these calls only gets slower.
    tokio::time::sleep(Duration::from_millis(300)).await;
    greedy.list(list("greedy")).await.unwrap();
    gateway.stop().await;
}

#[tokio::test]
async fn a_caller_that_does_not_read_is_let_go() {
    let gateway = gateway(Limits {
        concurrent_reads: 1,
        read_idle: Duration::from_millis(500),
        ..Limits::default()
    })
    .await;
    let mut client = gateway.client();
    let size = 64;
    let pieces = (0..size).map(|_| data(vec![7; 1024 * 1024]));
    let messages: Vec<_> = [header("large")]
        .into_iter()
        .chain(pieces)
        .chain([commit(size << 20)])
        .collect();
    client.put(futures::stream::iter(messages)).await.unwrap();

    let mut unread = client.get(get("large")).await.unwrap().into_inner();
    assert!(unread.message().await.unwrap().is_some());
    // On a connection of its own, as the unread one is full.
    let mut other = gateway.client();
    let status = other.get(get("large")).await.unwrap_err();
    assert_eq!(
        (status.code(), reason(&status).as_str()),
        (Code::ResourceExhausted, "BUSY")
    );
    eventually("its place is free", async || other.get(get("large")).await.is_ok()).await;

    let ended = loop {
        match unread.message().await {
            Ok(Some(_)) => {}
            Ok(None) => panic!("it was read to its end"),
            Err(status) => break status,
        }
    };
    assert_eq!(
        (ended.code(), reason(&ended).as_str()),
        (Code::DeadlineExceeded, "STALLED")
    );
    gateway.stop().await;
}

#[tokio::test]
async fn no_write_begins_while_memory_is_short() {
    let gateway = gateway(Limits {
        write_bytes: 1,
        write_idle: Duration::from_millis(800),
        ..Limits::default()
    })
    .await;
    let mut client = gateway.client();
    let idle = {
        let mut client = gateway.client();
        tokio::spawn(async move {
            let begun = futures::stream::iter([header("idle"), data(vec![7; 1000])]);
            client
                .put(futures::StreamExt::chain(begun, futures::stream::pending()))
                .await
        })
    };
    eventually("the write holds memory", async || {
        let refused = client.put(futures::stream::iter([header("a"), commit(0)])).await;
        refused.is_err_and(|status| reason(&status) == "BUSY")
    })
    .await;
    assert_eq!(idle.await.unwrap().unwrap_err().code(), Code::DeadlineExceeded);
    client
        .put(futures::stream::iter([header("a"), commit(0)]))
        .await
        .unwrap();
    gateway.stop().await;
}
