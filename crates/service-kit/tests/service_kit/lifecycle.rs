//! From not ready to ready, and to a clean end.

use std::{
    io::{BufRead, BufReader},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use fedcost_proto::ingest::v1::{WatchStatusRequest, ingest_service_server::SERVICE_NAME};
use service_kit::{client, server::Limits, shutdown};
use tokio::net::TcpStream;
use tonic::Code;
use tonic_health::pb::{HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient};

use crate::support::{Authority, CALLER, LAST, Running, SERVER, eventually, who_am_i};

#[tokio::test(flavor = "multi_thread")]
async fn health_follows_what_the_service_says() {
    let authority = Authority::new();
    let running = Running::start(authority.service(SERVER)).await;
    let client = HealthClient::new(running.channel(&authority.service(CALLER)));
    let status = async |service: &str| {
        let request = HealthCheckRequest {
            service: service.to_owned(),
        };
        client.clone().check(request).await.unwrap().into_inner().status()
    };
    for service in ["", SERVICE_NAME] {
        assert_eq!(status(service).await, ServingStatus::NotServing);
    }
    running.health.set_serving();
    for service in ["", SERVICE_NAME] {
        eventually("SERVING", async || status(service).await == ServingStatus::Serving).await;
    }
    running.health.set_not_serving();
    eventually("NOT_SERVING", async || {
        status(SERVICE_NAME).await == ServingStatus::NotServing
    })
    .await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn shutdown_says_not_serving_and_finishes_what_is_under_way() {
    let authority = Authority::new();
    let running = Running::start(authority.service(SERVER)).await;
    running.health.set_serving();
    let caller = authority.service(CALLER);
    let mut health = HealthClient::new(running.channel(&caller));
    let mut watching_health = health.watch(HealthCheckRequest::default()).await.unwrap().into_inner();
    while watching_health.message().await.unwrap().unwrap().status() != ServingStatus::Serving {}
    let mut watching = running
        .client(&caller)
        .watch_status(WatchStatusRequest {})
        .await
        .unwrap()
        .into_inner();
    assert_eq!(watching.message().await.unwrap().unwrap().status.unwrap().cycle, 0);

    running.shutdown.cancel();
    assert_eq!(
        watching_health.message().await.unwrap().unwrap().status(),
        ServingStatus::NotServing
    );
    // Whatever the service says of itself from here on.
    running.health.set_serving();
    assert!(watching_health.message().await.unwrap().is_none());
    let refused = who_am_i(&mut running.client(&caller)).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unavailable);

    // The call that was under way is still answered, and its end is the server's end.
    running.cycle.send_replace(1);
    assert_eq!(watching.message().await.unwrap().unwrap().status.unwrap().cycle, 1);
    assert!(!running.task.is_finished());
    running.cycle.send_replace(LAST);
    assert!(watching.message().await.unwrap().is_none());
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_end_is_cut_at_the_deadline() {
    let authority = Authority::new();
    let limits = Limits {
        drain_deadline: Duration::from_millis(300),
        ..Limits::default()
    };
    let running = Running::start_with(authority.service(SERVER), |server| server.with_limits(limits)).await;
    let mut client = running.client(&authority.service(CALLER));
    let mut watching = client.watch_status(WatchStatusRequest {}).await.unwrap().into_inner();
    watching.message().await.unwrap();

    let begun = Instant::now();
    running.stop().await;
    let taken = begun.elapsed();
    assert!(
        (Duration::from_millis(300)..Duration::from_secs(3)).contains(&taken),
        "{taken:?}"
    );
    assert!(watching.message().await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_dropped_leaves_nothing_behind() {
    let authority = Authority::new();
    let running = Running::start(authority.service(SERVER)).await;
    let mut client = running.client(&authority.service(CALLER));
    let mut watching = client.watch_status(WatchStatusRequest {}).await.unwrap().into_inner();
    watching.message().await.unwrap();
    running.task.abort();
    assert!(running.task.await.unwrap_err().is_cancelled());
    assert!(watching.message().await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_aged_connection_is_replaced_and_costs_at_most_another_try() {
    let authority = Authority::new();
    let limits = Limits {
        max_connection_age: Duration::from_millis(200),
        ..Limits::default()
    };
    let running = Running::start_with(authority.service(SERVER), |server| server.with_limits(limits)).await;
    let mut client = running.client(&authority.service(CALLER));
    for _ in 0..50 {
        if let Err(status) = who_am_i(&mut client).await {
            // It was handed over in the very moment in which the connection ended.
            assert!(client::is_connection_failure(&status), "{status:?}");
            who_am_i(&mut client).await.unwrap();
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(
        !running.numbers().contains(r#"outcome="Accepted"} 1"#),
        "{}",
        running.numbers()
    );
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn silent_connections_hold_nobody_up_for_long() {
    let authority = Authority::new();
    let limits = Limits {
        handshake_timeout: Duration::from_millis(200),
        max_handshakes: 2,
        ..Limits::default()
    };
    let running = Running::start_with(authority.service(SERVER), |server| server.with_limits(limits)).await;
    let mut silent = Vec::new();
    for _ in 0..6 {
        silent.push(TcpStream::connect(running.address).await.unwrap());
    }
    who_am_i(&mut running.client(&authority.service(CALLER))).await.unwrap();
    running
        .expect_number(r#"tls_handshakes_total{server="ingest-svc",outcome="Failed"} 6"#)
        .await;
    running.stop().await;
}

/// Not a test of itself: what `a_second_signal_ends_the_process_at_once` starts.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "started by another test"]
async fn a_process_that_does_not_end() {
    let token = shutdown::on_signals().unwrap();
    println!("\nready");
    token.cancelled().await;
    println!("\nstopping");
    std::future::pending::<()>().await;
}

#[test]
fn a_second_signal_ends_the_process_at_once() {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "--ignored",
            "--nocapture",
            "lifecycle::a_process_that_does_not_end",
        ])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    for (said, signal) in [("ready", "TERM"), ("stopping", "INT")] {
        assert!(lines.any(|line| line.unwrap() == said), "the child never said {said}");
        let sent = Command::new("sh")
            .args(["-c", &format!("kill -{signal} {}", child.id())])
            .status()
            .unwrap();
        assert!(sent.success());
    }
    assert_eq!(child.wait().unwrap().code(), Some(130));
}
