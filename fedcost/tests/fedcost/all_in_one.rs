use std::{fs, time::Duration};

use fedcost::{AllInOne, Options, ServiceError};
use storage_svc::StoreConfig;
use tokio::{net::TcpListener, time::timeout};

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
