//! Who may do what, and which paths nobody may name.

use fedcost_proto::storage::v1::{
    CopyRequest, DeleteRequest, GetRequest, HeadRequest, ListRequest, storage_service_client::StorageServiceClient,
};
use object_store::{Error, ObjectStoreExt, path::Path};
use service_kit::client::Channel;
use storage_svc::StoreConfig;
use tonic::{Code, Status};

use super::{
    harness::{Gateway, commit, counts, data, directory, field, header, reason},
    process::Service,
};

/// Every way to touch an object or a folder.
const CALLS: [&str; 7] = ["list", "head", "get", "put", "delete", "copy from", "copy to"];

/// Makes a call. `own` is a path with which the caller may do what the call needs beside `path`.
async fn call(client: &mut StorageServiceClient<Channel>, call: &str, path: &str, own: &str) -> Result<(), Status> {
    let path = path.to_owned();
    match call {
        "list" => client
            .list(ListRequest {
                prefix: path,
                ..Default::default()
            })
            .await
            .map(drop),
        "head" => client
            .head(HeadRequest {
                path,
                ..Default::default()
            })
            .await
            .map(drop),
        "get" => client
            .get(GetRequest {
                path,
                ..Default::default()
            })
            .await
            .map(drop),
        "put" => client
            .put(futures::stream::iter([header(&path), data("x"), commit(1)]))
            .await
            .map(drop),
        "delete" => client
            .delete(DeleteRequest {
                path,
                ..Default::default()
            })
            .await
            .map(drop),
        "copy from" => client
            .copy(CopyRequest {
                from: path,
                to: own.to_owned(),
                ..Default::default()
            })
            .await
            .map(drop),
        "copy to" => client
            .copy(CopyRequest {
                from: own.to_owned(),
                to: path,
                ..Default::default()
            })
            .await
            .map(drop),
        other => panic!("no call {other}"),
    }
}

#[tokio::test]
async fn each_caller_reaches_its_part_of_the_bucket_and_nothing_else() {
    let gateway = Gateway::local().await;
    let callers = [
        (gateway.service("ingest-svc"), "derived/own"),
        (gateway.service("query-svc"), "derived/own"),
        (gateway.cluster("a"), "federated/a/own"),
        // Clusters and services whose names are those of others, or of folders.
        (gateway.cluster("derived"), "federated/derived/own"),
        (gateway.cluster("ingest-svc"), "federated/ingest-svc/own"),
        (gateway.service("a"), "own"),
        (gateway.service("gateway-svc"), "own"),
        (gateway.service("storage-svc"), "own"),
    ];
    // For each path and caller the calls that are allowed, by their place in `CALLS`.
    let table = [
        ("derived/x", ["0123456", "012", "", "", "", "", "", ""]),
        ("derived/tables/x.parquet", ["0123456", "012", "", "", "", "", "", ""]),
        ("derived2/x", ["0125", "", "", "", "", "", "", ""]),
        ("federated/x", ["0125", "", "", "", "", "", "", ""]),
        ("federated/a/x", ["0125", "", "012356", "", "", "", "", ""]),
        ("federated/a/etl/bingen/x", ["0125", "", "012356", "", "", "", "", ""]),
        (
            "federated/a/.fedcost-pusher.json",
            ["0125", "", "012356", "", "", "", "", ""],
        ),
        ("federated/ab/x", ["0125", "", "", "", "", "", "", ""]),
        ("federated/b/x", ["0125", "", "", "", "", "", "", ""]),
        ("federated/derived/x", ["0125", "", "", "012356", "", "", "", ""]),
        ("other/x", ["0125", "", "", "", "", "", "", ""]),
        ("x", ["0125", "", "", "", "", "", "", ""]),
    ];
    for (path, allowed) in table {
        for ((channel, own), allowed) in callers.iter().zip(allowed) {
            let mut client = StorageServiceClient::new(channel.clone());
            for (index, name) in CALLS.iter().enumerate() {
                for object in [path, own] {
                    let mut tester = gateway.client();
                    call(&mut tester, "put", object, "").await.unwrap();
                }
                let result = call(&mut client, name, path, own).await;
                let expected = allowed.contains(&index.to_string());
                assert_eq!(
                    result.is_ok(),
                    expected,
                    "{name} {path} as the owner of {own}: {result:?}"
                );
                if let Err(status) = result {
                    assert_eq!(
                        (status.code(), reason(&status).as_str()),
                        (Code::PermissionDenied, "DENIED")
                    );
                }
            }
        }
    }
    gateway.stop().await;
}

#[tokio::test]
async fn paths_that_could_be_read_in_two_ways_are_refused() {
    let gateway = Gateway::local().await;
    std::fs::write(gateway.directory.path().join("outside"), "secret").unwrap();
    let mut client = gateway.client();
    call(&mut client, "put", "own", "").await.unwrap();
    let long = "a".repeat(1025);
    let tricks = [
        "../outside",
        "a/../../outside",
        "/etc/passwd",
        "a//b",
        "a/",
        "./a",
        "%2e%2e/outside",
        "..%2foutside",
        "%252e%252e/outside",
        "..\\outside",
        "a\0b",
        "a\nb",
        "a%00b",
        ".fedcost-pending-1",
        "a/.fedcost-pending-1",
        &long,
    ];
    for path in tricks {
        for name in CALLS {
            let status = call(&mut client, name, path, "own").await.unwrap_err();
            let expected = match name {
                "list" => "prefix",
                "put" => "header.path",
                "copy from" => "from",
                "copy to" => "to",
                _ => "path",
            };
            assert_eq!(
                (status.code(), field(&status).as_str()),
                (Code::InvalidArgument, expected),
                "{name} {path:?}"
            );
        }
    }
    // A cluster cannot reach another's folder by a path that only begins like its own.
    let mut cluster = StorageServiceClient::new(gateway.cluster("a"));
    for path in ["federated/a/../b/x", "federated/a/%2e%2e/b/x"] {
        assert_eq!(
            call(&mut cluster, "put", path, "").await.unwrap_err().code(),
            Code::InvalidArgument
        );
    }
    assert_eq!(gateway.files(), ["own"]);
    gateway.stop().await;
}

#[tokio::test]
async fn what_is_denied_is_counted_and_logged() {
    let bucket = directory();
    let (gateway, registry) = Gateway::counting(StoreConfig::directory(bucket.path().to_owned())).await;
    let mut cluster = StorageServiceClient::new(gateway.cluster("a"));
    for call_name in ["get", "put", "put"] {
        call(&mut cluster, call_name, "federated/b/x", "").await.unwrap_err();
    }
    let counted = counts(&registry);
    for (operation, times) in [("Read", 1), ("Write", 2)] {
        let line = format!(
            "storage_denied_total{{caller=\"spiffe://fedcost/cluster/a\",operation=\"{operation}\"}} {times}\n"
        );
        assert!(counted.contains(&line), "{line} in {counted}");
    }
    gateway.stop().await;

    let service = Service::start(
        &format!("type: FILESYSTEM\nconfig: {{directory: '{}'}}", bucket.path().display()),
        "info",
    );
    service.wait_until_it_says("the bucket is reached").await;
    let denied = service.store().put(&Path::from("federated/b/x"), "x".into()).await;
    assert!(matches!(denied, Err(Error::PermissionDenied { .. })), "{denied:?}");
    let said = service.output();
    let line = said.lines().find(|line| line.contains("denied by the policy")).unwrap();
    for part in ["spiffe://fedcost/service/ingest-svc", "write", "federated/b/x"] {
        assert!(line.contains(part), "{part} in {line}");
    }
}

#[test]
fn the_process_says_what_is_wrong_with_its_file() {
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let file = directory.path().join("storage.yaml");
    std::fs::write(&file, "server: {}\ndirectory: x\n").unwrap();
    let mut process = std::process::Command::new(env!("CARGO_BIN_EXE_storage-svc"));
    let output = process.arg("--config").arg(&file).output().unwrap();
    assert_eq!(output.status.code(), Some(64));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        said.contains("storage.yaml:1") && said.contains("missing field `listen`"),
        "{said}"
    );
}
