//! The services start, ingest, serve and stop.

use std::{net::TcpStream, time::Duration};

use demo_data::{DemoPlan, bucket};
use fedcost_proto::query::v1::GetReleaseRequest;
use test_cluster::{TestCluster, TestOptions};
use tokio::time::timeout;

const NOON: i64 = 1_772_625_600;

fn plan(days: usize) -> DemoPlan {
    DemoPlan {
        clusters: 1,
        nodes: 2,
        pods_per_node: 3,
        days,
        hours: 0,
        end: NOON,
        seed: 7,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn serves_what_a_refresh_finds_and_stops_at_once() {
    let bucket = tempfile::tempdir().unwrap();
    bucket::write_bucket(bucket.path(), &plan(1), &mut |_| ()).unwrap();
    let cluster = TestCluster::start(TestOptions::new(bucket.path())).await.unwrap();
    let first = cluster.refresh_and_wait().await.unwrap();
    bucket::write_bucket(bucket.path(), &plan(3), &mut |_| ()).unwrap();
    let second = cluster.refresh_and_wait().await.unwrap();
    let (first, second) = (first.release.unwrap(), second.release.unwrap());
    assert!(second.number > first.number);
    assert!(second.rows > first.rows, "{} > {}", second.rows, first.rows);
    let served = cluster.query().get_release(GetReleaseRequest {}).await.unwrap();
    assert_eq!(served.get_ref().number, second.number);

    let addresses = cluster.addresses();
    timeout(Duration::from_secs(5), cluster.stop()).await.unwrap();
    for address in [addresses.storage, addresses.ingest, addresses.query, addresses.gateway] {
        assert!(TcpStream::connect(address).is_err(), "{address} still listens");
    }
}
