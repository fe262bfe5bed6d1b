//! Reading: pages, pieces, ranges.

use fedcost_proto::storage::v1::{
    ByteRange, GetRequest, GetResponse, HeadRequest, ListRequest, byte_range::Range, get_response::Part,
};
use futures::TryStreamExt;
use object_store::{Error, GetOptions, GetRange, ObjectStore, ObjectStoreExt, path::Path};
use tonic::Code;

use super::harness::{Gateway, field, reason};

#[tokio::test]
async fn listings_come_in_pages() {
    let gateway = Gateway::local().await;
    let folder = gateway.bucket().join("many");
    std::fs::create_dir_all(&folder).unwrap();
    for index in 0..2500 {
        std::fs::write(folder.join(format!("{index:04}")), "").unwrap();
    }
    for delimited in [false, true] {
        let request = ListRequest {
            prefix: "many".to_owned(),
            offset: "many/0099".to_owned(),
            delimited,
        };
        let pages = gateway.client().list(request).await.unwrap().into_inner();
        let pages: Vec<_> = pages.map_ok(|page| page.objects.len()).try_collect().await.unwrap();
        assert!(pages.iter().all(|objects| *objects <= 1000), "{pages:?}");
        assert_eq!(pages.iter().sum::<usize>(), 2400);
    }
    let listing = gateway
        .store()
        .list_with_delimiter(Some(&Path::from("many")))
        .await
        .unwrap();
    assert_eq!(listing.objects.len(), 2500);
    gateway.stop().await;
}

#[tokio::test]
async fn content_comes_in_pieces_of_a_mebibyte() {
    let gateway = Gateway::local().await;
    let content: Vec<u8> = (0..5_000_000_u32).map(|index| (index % 251) as u8).collect();
    gateway
        .store()
        .put(&Path::from("large"), content.clone().into())
        .await
        .unwrap();
    let range = Some(ByteRange {
        range: Some(Range::Offset(1)),
    });
    let request = GetRequest {
        path: "large".to_owned(),
        range,
        ..Default::default()
    };
    let parts: Vec<GetResponse> = gateway
        .client()
        .get(request)
        .await
        .unwrap()
        .into_inner()
        .try_collect()
        .await
        .unwrap();
    let mut read = Vec::new();
    for (index, part) in parts.into_iter().enumerate() {
        match part.part.unwrap() {
            Part::Header(header) => assert_eq!((index, header.start, header.end), (0, 1, 5_000_000)),
            Part::Data(bytes) => {
                assert!(bytes.len() <= 1024 * 1024);
                read.extend_from_slice(&bytes);
            }
        }
    }
    assert!(read == content[1..]);
    gateway.stop().await;
}

#[tokio::test]
async fn what_is_not_there_is_told_apart() {
    let gateway = Gateway::local().await;
    let store = gateway.store();
    let path = Path::from("small");
    store.put(&path, "0123456789".into()).await.unwrap();
    let mut client = gateway.client();
    let mut get = async |range| {
        let range = Some(ByteRange { range });
        client
            .get(GetRequest {
                path: "small".to_owned(),
                range,
                ..Default::default()
            })
            .await
            .unwrap_err()
    };
    let status = get(Some(Range::Offset(10))).await;
    assert_eq!((status.code(), reason(&status).as_str()), (Code::OutOfRange, "RANGE"));
    assert_eq!(field(&get(None).await), "range");
    let missing = HeadRequest {
        path: "none".to_owned(),
        ..Default::default()
    };
    let status = gateway.client().head(missing).await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::NotFound, "NOT_FOUND"));

    let suffix = GetOptions::new().with_range(Some(GetRange::Suffix(3)));
    assert_eq!(
        store.get_opts(&path, suffix).await.unwrap().bytes().await.unwrap(),
        "789"
    );
    let changed = GetOptions::new().with_if_match(Some("other"));
    assert!(matches!(
        store.get_opts(&path, changed).await,
        Err(Error::Precondition { .. })
    ));
    let etag = store.head(&path).await.unwrap().e_tag;
    let known = GetOptions::new().with_if_none_match(etag).with_head(true);
    assert!(matches!(
        store.get_opts(&path, known).await,
        Err(Error::NotModified { .. })
    ));
    gateway.stop().await;
}

#[tokio::test]
async fn health_serves_once_the_bucket_was_reached() {
    let gateway = Gateway::local().await;
    gateway.wait_until_serving().await;
    assert!(gateway.bucket().is_dir());
    gateway.stop().await;
}
