use std::{
    fs,
    path::Path as FilePath,
    time::{Duration, SystemTime},
};

use futures::{StreamExt, TryStreamExt, future::join_all};
use object_store::{
    Attribute, Attributes, Error, GetOptions, GetRange, MultipartUpload, ObjectStore, ObjectStoreExt, PutMode,
    PutMultipartOptions, PutOptions, UpdateVersion, path::Path,
};

use super::{LocalFolder, PENDING_PREFIX, list, read};

fn folder() -> (tempfile::TempDir, LocalFolder) {
    // Beside the test's own program, because a file system in memory, as /tmp may be, may store no attributes.
    let program = std::env::current_exe().unwrap();
    let directory = tempfile::tempdir_in(program.parent().unwrap()).unwrap();
    let store = LocalFolder::open(&directory.path().join("bucket")).unwrap();
    (directory, store)
}

/// Every file and folder below the bucket, pending files included.
fn on_disk(directory: &tempfile::TempDir) -> Vec<String> {
    let root = directory.path().join("bucket");
    let names = walkdir::WalkDir::new(&root)
        .min_depth(1)
        .sort_by_file_name()
        .into_iter();
    names
        .map(|entry| entry.unwrap().path().strip_prefix(&root).unwrap().display().to_string())
        .collect()
}

async fn listed(store: &LocalFolder) -> Vec<String> {
    store
        .list(None)
        .map_ok(|meta| meta.location.to_string())
        .try_collect()
        .await
        .unwrap()
}

async fn content(store: &LocalFolder, path: &str) -> String {
    let bytes = store.get(&Path::from(path)).await.unwrap().bytes().await.unwrap();
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[tokio::test]
async fn lists_in_order_of_paths() {
    let (_directory, store) = folder();
    let sorted = ["a", "a-b", "a.b/c", "a0", "b/c", "b/c-", "b/c0/d", "b-/c", "b0"];
    let mut paths = sorted.map(str::to_owned);
    paths.sort();
    for path in sorted.iter().rev() {
        store.put(&Path::from(*path), "".into()).await.unwrap();
    }
    assert_eq!(listed(&store).await, paths);
}

#[tokio::test]
async fn one_of_many_creators_wins() {
    let (directory, store) = folder();
    let path = Path::from("a/b/commit");
    let creators = (0..16).map(|creator| {
        let (store, path) = (store.clone(), path.clone());
        tokio::spawn(async move {
            store
                .put_opts(&path, format!("{creator}").into(), PutMode::Create.into())
                .await
                .map(|_| creator)
        })
    });
    let mut winners = Vec::new();
    for outcome in join_all(creators).await {
        match outcome.unwrap() {
            Ok(creator) => winners.push(creator),
            Err(Error::AlreadyExists { .. }) => {}
            Err(error) => panic!("{error}"),
        }
    }
    assert_eq!(winners.len(), 1);
    assert_eq!(content(&store, "a/b/commit").await, winners[0].to_string());
    assert_eq!(on_disk(&directory), ["a", "a/b", "a/b/commit"]);
}

#[tokio::test]
async fn no_update_is_lost() {
    const WRITERS: usize = 8;
    const UPDATES: usize = 25;
    let (_directory, store) = folder();
    let path = Path::from("counter");
    store.put(&path, "0".into()).await.unwrap();
    let writers = (0..WRITERS).map(|_| {
        let (store, path) = (store.clone(), path.clone());
        tokio::spawn(async move {
            let mut done = 0;
            while done < UPDATES {
                let read = store.get(&path).await.unwrap();
                let present = UpdateVersion {
                    e_tag: read.meta.e_tag.clone(),
                    version: None,
                };
                let count: usize = std::str::from_utf8(&read.bytes().await.unwrap())
                    .unwrap()
                    .parse()
                    .unwrap();
                let next = (count + 1).to_string();
                match store
                    .put_opts(&path, next.into(), PutMode::Update(present).into())
                    .await
                {
                    Ok(_) => done += 1,
                    Err(Error::Precondition { .. }) => {}
                    Err(error) => panic!("{error}"),
                }
            }
        })
    });
    for writer in join_all(writers).await {
        writer.unwrap();
    }
    assert_eq!(content(&store, "counter").await, (WRITERS * UPDATES).to_string());
}

#[tokio::test]
async fn every_write_has_a_tag_of_its_own() {
    let (_directory, store) = folder();
    let path = Path::from("same");
    let mut tags = std::collections::HashSet::new();
    for _ in 0..200 {
        let written = store.put(&path, "same".into()).await.unwrap().e_tag.unwrap();
        assert_eq!(store.head(&path).await.unwrap().e_tag.as_ref(), Some(&written));
        assert!(tags.insert(written));
    }
}

#[tokio::test]
async fn an_update_of_nothing_fails_and_leaves_nothing() {
    let (directory, store) = folder();
    let stale = UpdateVersion {
        e_tag: Some("0-0-0".to_owned()),
        version: None,
    };
    let result = store
        .put_opts(&Path::from("a/b"), "x".into(), PutMode::Update(stale).into())
        .await;
    assert!(matches!(result, Err(Error::Precondition { .. })));
    let unnamed = UpdateVersion {
        e_tag: None,
        version: None,
    };
    let result = store
        .put_opts(&Path::from("a/b"), "x".into(), PutMode::Update(unnamed).into())
        .await;
    assert!(matches!(result, Err(Error::NotSupported { .. })));
    assert_eq!(on_disk(&directory), Vec::<String>::new());
}

#[tokio::test]
async fn a_dropped_upload_leaves_nothing() {
    let (directory, store) = folder();
    let path = Path::from("a/large");
    let mut upload = store.put_multipart(&path).await.unwrap();
    upload.put_part("one".into()).await.unwrap();
    assert_eq!(listed(&store).await, Vec::<String>::new());
    assert!(
        store
            .list_with_delimiter(None)
            .await
            .unwrap()
            .common_prefixes
            .is_empty()
    );
    assert_eq!(on_disk(&directory).len(), 2);
    drop(upload);
    assert_eq!(on_disk(&directory), Vec::<String>::new());
}

#[tokio::test]
async fn an_upload_in_parts_honours_its_condition() {
    let (directory, store) = folder();
    let path = Path::from("large");
    let mut options = PutMultipartOptions::default();
    options.extensions.insert(PutMode::Create);
    let mut upload = store.put_multipart_opts(&path, options).await.unwrap();
    let (second, first) = (upload.put_part("one".into()), upload.put_part("two".into()));
    first.await.unwrap();
    second.await.unwrap();
    store.put(&path, "theirs".into()).await.unwrap();
    assert!(matches!(upload.complete().await, Err(Error::AlreadyExists { .. })));
    assert!(upload.complete().await.is_err());
    assert!(upload.abort().await.is_err());
    assert!(upload.put_part("three".into()).await.is_err());
    drop(upload);
    assert_eq!(content(&store, "large").await, "theirs");
    assert_eq!(on_disk(&directory), ["large"]);
}

#[tokio::test]
async fn only_abandoned_files_are_removed() {
    let (directory, store) = folder();
    store.put(&Path::from("a/kept"), "x".into()).await.unwrap();
    let root = directory.path().join("bucket");
    let pending = |folder: &str, age: Duration| {
        let file = root.join(folder).join(format!("{PENDING_PREFIX}{}", age.as_secs()));
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        let file = fs::File::create(file).unwrap();
        file.set_modified(SystemTime::now() - age).unwrap();
    };
    pending("a", Duration::from_secs(3600));
    pending("b/c", Duration::from_secs(3600));
    pending("a", Duration::from_secs(60));
    assert_eq!(listed(&store).await, ["a/kept"]);
    assert_eq!(store.remove_abandoned(), 2);
    assert_eq!(on_disk(&directory), ["a", &format!("a/{PENDING_PREFIX}60"), "a/kept"]);
    assert_eq!(list::remove_abandoned(&store.folder, Duration::ZERO), 1);
}

#[tokio::test]
async fn a_reader_holds_one_object_while_it_is_replaced() {
    let (_directory, store) = folder();
    let path = Path::from("replaced");
    let old = vec![b'o'; 3 * 1024 * 1024];
    store.put(&path, old.clone().into()).await.unwrap();
    let mut stream = store.get(&path).await.unwrap().into_stream();
    let mut read = stream.next().await.unwrap().unwrap().to_vec();
    store.put(&path, vec![b'n'; 5].into()).await.unwrap();
    while let Some(bytes) = stream.next().await {
        read.extend_from_slice(&bytes.unwrap());
    }
    assert!(read == old);
}

#[tokio::test]
async fn objects_and_folders_do_not_mix() {
    let (directory, store) = folder();
    store.put(&Path::from("a/b"), "x".into()).await.unwrap();
    for path in ["a", "a/b/c", "a/b/c/d"] {
        let path = Path::from(path);
        let result = store.put_opts(&path, "y".into(), PutMode::Create.into()).await;
        assert!(matches!(result, Err(Error::NotSupported { .. })), "{path}: {result:?}");
        assert!(
            matches!(store.put(&path, "y".into()).await, Err(Error::NotSupported { .. })),
            "{path}"
        );
        assert!(matches!(store.head(&path).await, Err(Error::NotFound { .. })), "{path}");
        assert!(
            matches!(store.delete(&path).await, Err(Error::NotFound { .. })),
            "{path}"
        );
        assert!(
            matches!(store.copy(&path, &Path::from("z")).await, Err(Error::NotFound { .. })),
            "{path}"
        );
    }
    assert!(store.list(Some(&Path::from("a/b/c"))).next().await.is_none());
    assert_eq!(on_disk(&directory), ["a", "a/b"]);

    // What is left of a folder without objects is in nobody's way.
    fs::create_dir(directory.path().join("bucket/empty")).unwrap();
    store
        .put_opts(&Path::from("empty"), "z".into(), PutMode::Create.into())
        .await
        .unwrap();
    assert_eq!(content(&store, "empty").await, "z");
}

#[tokio::test]
async fn folders_go_with_their_last_object() {
    let (directory, store) = folder();
    for path in ["a/b/c/1", "a/b/2"] {
        store.put(&Path::from(path), "x".into()).await.unwrap();
    }
    store.delete(&Path::from("a/b/c/1")).await.unwrap();
    assert_eq!(on_disk(&directory), ["a", "a/b", "a/b/2"]);
    store.delete(&Path::from("a/b/2")).await.unwrap();
    assert_eq!(on_disk(&directory), Vec::<String>::new());
}

#[tokio::test]
async fn writers_and_deleters_of_one_folder_do_not_trip_each_other() {
    let (directory, store) = folder();
    let workers = (0..8).map(|worker| {
        let store = store.clone();
        tokio::spawn(async move {
            let path = Path::from(format!("a/b/c/{worker}"));
            for _ in 0..25 {
                store.put(&path, "x".into()).await.unwrap();
                store.delete(&path).await.unwrap();
            }
        })
    });
    for worker in join_all(workers).await {
        worker.unwrap();
    }
    assert_eq!(on_disk(&directory), Vec::<String>::new());
}

#[tokio::test]
async fn strange_files_are_not_objects() {
    let (directory, store) = folder();
    let root = directory.path().join("bucket");
    store.put(&Path::from("a/good"), "x".into()).await.unwrap();
    fs::create_dir_all(root.join("lost+found/x")).unwrap();
    fs::write(root.join("lost+found/x/y"), "").unwrap();
    fs::write(root.join("bad\nname"), "").unwrap();
    std::os::unix::fs::symlink(FilePath::new("nowhere"), root.join("broken")).unwrap();
    std::os::unix::fs::symlink(&root, root.join("a/loop")).unwrap();
    let socket = std::os::unix::net::UnixListener::bind(root.join("s")).unwrap();
    assert_eq!(listed(&store).await, ["a/good"]);
    let top = store.list_with_delimiter(None).await.unwrap();
    assert_eq!((top.objects.len(), top.common_prefixes), (0, vec![Path::from("a")]));
    assert!(matches!(store.get(&Path::from("s")).await, Err(Error::NotFound { .. })));
    drop(socket);
}

#[tokio::test]
async fn attributes_stay_with_content_through_writes_and_copies() {
    let (_directory, store) = folder();
    let attributes = Attributes::from_iter([(Attribute::ContentType, "text/plain")]);
    let (from, to) = (Path::from("from"), Path::from("to"));
    let options = PutOptions {
        attributes: attributes.clone(),
        ..Default::default()
    };
    store.put_opts(&from, "x".into(), options).await.unwrap();
    store.copy(&from, &to).await.unwrap();
    assert_eq!(store.get(&to).await.unwrap().attributes, attributes);
    store.put(&from, "y".into()).await.unwrap();
    assert!(store.get(&from).await.unwrap().attributes.is_empty());
    assert_eq!(content(&store, "to").await, "x");
    assert_ne!(
        store.head(&from).await.unwrap().e_tag,
        store.head(&to).await.unwrap().e_tag
    );
}

#[test]
fn a_file_that_shrinks_under_the_reader_is_an_error() {
    let (directory, store) = folder();
    fs::write(directory.path().join("bucket/x"), vec![0; 100]).unwrap();
    let options = GetOptions::new().with_range(Some(GetRange::Offset(10)));
    let result = read::open(&store.folder, Path::from("x"), &options).unwrap();
    assert_eq!(result.range, 10..100);
    fs::File::options()
        .write(true)
        .open(directory.path().join("bucket/x"))
        .unwrap()
        .set_len(50)
        .unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    assert!(runtime.block_on(result.into_stream().try_collect::<Vec<_>>()).is_err());
}

#[test]
fn shows_its_folder_and_hides_the_machine_in_errors() {
    let (directory, store) = folder();
    assert!(format!("{store:?}").starts_with("LocalFolder("));
    let error = read::open(&store.folder, Path::from("a/b"), &GetOptions::new()).unwrap_err();
    assert!(
        !error.to_string().contains(directory.path().to_str().unwrap()),
        "{error}"
    );
}
