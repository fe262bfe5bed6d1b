use std::{fs, time::Duration};

use fedcost::{AllInOne, Options, ServiceError};
use fedcost_proto::storage::v1::{ListRequest, storage_service_client::StorageServiceClient};
use service_kit::{TrustDomain, certs::DevelopmentCa, tls::TlsMaterial};
use storage_svc::StoreConfig;
use tokio::{net::TcpListener, time::timeout};

#[tokio::test]
async fn who_is_revoked_in_the_folder_of_certificates_is_refused() {
    service_kit::tls::install_crypto_provider();
    let folder = tempfile::tempdir().unwrap();
    let certs = folder.path().join("certs");
    let authority = DevelopmentCa::open_or_create(&certs, TrustDomain::default()).unwrap();
    let (kept, lost) = (
        authority.issue_cluster("kept").unwrap(),
        authority.issue_cluster("lost").unwrap(),
    );
    authority.revoke(&lost.cert).unwrap();
    let options = Options::new(certs, StoreConfig::directory(folder.path().join("bucket")));
    let http = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let services = AllInOne::start(options, http).await.unwrap();
    let list = async |files, id: &str| {
        let channel = services.storage_channel(&TlsMaterial::load(files).unwrap());
        let request = ListRequest {
            prefix: format!("federated/{id}"),
            ..Default::default()
        };
        StorageServiceClient::new(channel).list(request).await
    };
    list(kept, "kept").await.unwrap();
    let refused = list(lost, "lost").await.unwrap_err();
    let reason = service_kit::client::reason(&refused);
    assert!(reason.contains("CertificateRevoked"), "{reason}");
    services.stop().await;
}

#[tokio::test]
async fn a_service_that_fails_is_told_by_name() {
    service_kit::tls::install_crypto_provider();
    let folder = tempfile::tempdir().unwrap();
    let no_folder = folder.path().join("file");
    fs::write(&no_folder, "").unwrap();
    let options = Options::new(folder.path().join("certs"), StoreConfig::directory(no_folder));
    let http = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut services = AllInOne::start(options, http).await.unwrap();
    let failure = timeout(Duration::from_secs(10), services.failure()).await.unwrap();
    assert!(matches!(failure, ServiceError::Storage(_)), "{failure:?}");
    assert!(failure.to_string().starts_with("storage-svc: store: "), "{failure}");
    // The others stop as if nothing had happened.
    timeout(Duration::from_secs(5), services.stop()).await.unwrap();
}
