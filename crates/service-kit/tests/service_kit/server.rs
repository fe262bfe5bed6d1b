//! What the common stack does to calls.

use fedcost_proto::ingest::v1::{ListFilesRequest, RefreshRequest};
use futures::stream;
use service_kit::{Identity, client};
use tonic::Code;
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};
use tonic_reflection::pb::v1::{
    ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
    server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
};

use crate::support::{Authority, CALLER, Running, SERVER, who_am_i};

#[tokio::test(flavor = "multi_thread")]
async fn only_services_may_call_by_default_and_health_is_open() {
    let authority = Authority::new();
    let running = Running::start(authority.service(SERVER)).await;
    let cluster = authority.cluster("prod-eu");
    let status = who_am_i(&mut running.client(&cluster)).await.unwrap_err();
    assert_eq!(status.code(), Code::PermissionDenied);
    assert_eq!(
        status.message(),
        "spiffe://fedcost/cluster/prod-eu may not call /fedcost.ingest.v1.IngestService/GetStatus"
    );
    let health = HealthClient::new(running.channel(&cluster))
        .check(HealthCheckRequest::default())
        .await;
    assert!(health.is_ok(), "{health:?}");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_authorizer_decides_by_caller_and_method() {
    let authority = Authority::new();
    let running = Running::start_with(authority.service(SERVER), |server| {
        server.with_authorizer(|caller: &Identity, method: &str| {
            caller.cluster_id().is_some() || method.ends_with("/Refresh")
        })
    })
    .await;
    let cluster = who_am_i(&mut running.client(&authority.cluster("prod-eu")))
        .await
        .unwrap();
    assert_eq!(cluster, "spiffe://fedcost/cluster/prod-eu");
    let mut service = running.client(&authority.service(CALLER));
    assert_eq!(who_am_i(&mut service).await.unwrap_err().code(), Code::PermissionDenied);
    assert!(service.refresh(RefreshRequest { wait: false }).await.is_ok());
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_fails_its_own_call_only() {
    let authority = Authority::new();
    let running = Running::start(authority.service(SERVER)).await;
    let mut client = running.client(&authority.service(CALLER));
    let status = client.refresh(RefreshRequest { wait: true }).await.unwrap_err();
    assert_eq!(status.code(), Code::Internal);
    assert!(!status.message().contains("on purpose"), "{status:?}");
    assert!(!client::is_connection_failure(&status), "{status:?}");

    let mut files = client
        .list_files(ListFilesRequest::default())
        .await
        .unwrap()
        .into_inner();
    assert!(files.message().await.unwrap().is_some());
    assert_eq!(files.message().await.unwrap_err().code(), Code::Internal);

    // On the same connection, as the number of handshakes tells.
    assert!(who_am_i(&mut client).await.is_ok());
    running
        .expect_number(r#"tls_handshakes_total{server="ingest-svc",outcome="Accepted"} 1"#)
        .await;
    for method in ["Refresh", "ListFiles"] {
        let labels =
            format!(r#"server="ingest-svc",method="/fedcost.ingest.v1.IngestService/{method}",code="INTERNAL""#);
        running
            .expect_number(&format!("grpc_server_rpcs_total{{{labels}}} 1"))
            .await;
    }
    running
        .expect_number(r#"grpc_server_rpcs_in_flight{server="ingest-svc"} 0"#)
        .await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn reflection_lists_what_is_served() {
    let authority = Authority::new();
    let running = Running::start(authority.service(SERVER)).await;
    let mut client = ServerReflectionClient::new(running.channel(&authority.service(CALLER)));
    let ask = |question| {
        stream::iter([ServerReflectionRequest {
            host: String::new(),
            message_request: Some(question),
        }])
    };

    let list = ask(MessageRequest::ListServices(String::new()));
    let answer = client
        .server_reflection_info(list)
        .await
        .unwrap()
        .into_inner()
        .message()
        .await
        .unwrap()
        .unwrap();
    let Some(MessageResponse::ListServicesResponse(list)) = answer.message_response else {
        panic!("{answer:?}")
    };
    let mut names: Vec<_> = list.service.into_iter().map(|service| service.name).collect();
    names.sort();
    assert_eq!(names, ["fedcost.ingest.v1.IngestService", "grpc.health.v1.Health"]);

    for name in names {
        let describe = ask(MessageRequest::FileContainingSymbol(name));
        let answer = client
            .server_reflection_info(describe)
            .await
            .unwrap()
            .into_inner()
            .message()
            .await
            .unwrap()
            .unwrap();
        let described = matches!(
            answer.message_response,
            Some(MessageResponse::FileDescriptorResponse(_))
        );
        assert!(described, "{answer:?}");
    }
    running.stop().await;
}
