use std::{fs, path::Path};

use crate::run;

#[test]
fn certificates_are_issued_once_and_then_kept() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().to_str().unwrap();
    let first = run(["certs", "service", "storage-svc", "--dir", dir]);
    assert_eq!(first.code, Some(0), "{}", first.stderr);
    let paths: Vec<&str> = first
        .stdout
        .lines()
        .map(|line| line.split_whitespace().nth(1).unwrap())
        .collect();
    assert_eq!(paths.len(), 3);
    for path in &paths {
        assert!(Path::new(path).is_file(), "{path}");
    }
    let certificate = fs::read(paths[1]).unwrap();
    let second = run(["certs", "service", "storage-svc", "--dir", dir]);
    assert_eq!(second.stdout, first.stdout);
    assert_eq!(fs::read(paths[1]).unwrap(), certificate);
}

#[test]
fn init_makes_only_the_authority() {
    let folder = tempfile::tempdir().unwrap();
    let made = run(["certs", "init", "--dir", folder.path().to_str().unwrap()]);
    assert_eq!(made.code, Some(0), "{}", made.stderr);
    assert!(folder.path().join("ca.pem").is_file());
    assert!(!folder.path().join("service").exists());
}

#[test]
fn what_is_revoked_is_shown_so_and_not_renewed() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().to_str().unwrap();
    let certs = |arguments: &[&str]| {
        let outcome = run(["certs"].iter().chain(arguments).chain(&["--dir", dir]));
        assert_eq!(outcome.code, Some(0), "{arguments:?}: {}", outcome.stderr);
        outcome.stdout
    };
    certs(&["init"]);
    assert!(folder.path().join("crl.pem").is_file());
    certs(&["issue", "--cluster", "prod-eu"]);
    certs(&["issue", "--cluster", "prod-us"]);
    assert!(certs(&["revoke", "--cluster", "prod-eu"]).starts_with("revoked: "));
    assert!(certs(&["revoke", "--cluster", "prod-eu"]).starts_with("was revoked before: "));
    let shown = certs(&["show"]);
    let of = |cluster: &str| shown.split("\n\n").find(|text| text.contains(cluster)).unwrap();
    assert!(of("prod-eu").contains("  revoked: "), "{shown}");
    assert!(!of("prod-us").contains("  revoked: "), "{shown}");
    let renewed = certs(&["renew", "--all"]);
    assert!(
        renewed.contains("not renewed, as it is revoked: spiffe://fedcost/cluster/prod-eu"),
        "{renewed}"
    );
    certs(&["issue", "--cluster", "prod-eu"]);
    assert!(!certs(&["show"]).contains("  revoked: "));
}
