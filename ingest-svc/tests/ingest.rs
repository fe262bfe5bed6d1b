//! The program, as a person starts it.

#![expect(clippy::unwrap_used, reason = "helpers of tests are not marked as tests")]

use std::{fs, process::Command};

fn run(arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_ingest-svc"))
        .args(arguments)
        .output()
        .unwrap();
    (
        output.status.code(),
        String::from_utf8(output.stdout).unwrap(),
        String::from_utf8(output.stderr).unwrap(),
    )
}

#[test]
fn help_says_what_it_does() {
    let (code, out, _) = run(&["--help"]);
    assert_eq!(code, Some(0));
    assert!(out.contains("--config"), "{out}");
}

#[test]
fn a_bad_file_is_one_clear_line() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("service.yaml");
    for (text, told) in [
        (None, "cannot be read"),
        (Some("server: [1"), "service.yaml:"),
        (Some("serve: {}"), "unknown field `serve`"),
        (
            Some(concat!(
                "server: {listen: 127.0.0.1:0, tls: {ca: a, cert: b, key: c}}\nstorage: {address: 'https://localhost:1'}\n",
                "refresh: 10ms"
            )),
            "refresh: found 10ms, allowed is 1s or more",
        ),
        (
            Some(concat!(
                "server: {listen: 127.0.0.1:0, tls: {ca: a, cert: b, key: c}}\nstorage: {address: 'https://localhost:1'}\n",
                "refresh: soon"
            )),
            "refresh: invalid value",
        ),
        (
            Some(concat!(
                "server: {listen: 127.0.0.1:0, tls: {ca: a, cert: b, key: c}}\nstorage: {address: 'https://localhost:1'}\n",
                "memory_mib: 1"
            )),
            "memory_mib: found 1, allowed is 64 or more",
        ),
        (
            Some(concat!(
                "server: {listen: 127.0.0.1:0, tls: {ca: a, cert: b, key: c}}\nstorage: {address: 'https://localhost:1'}\n",
                "retention: {weeks: 2}"
            )),
            "unknown field `weeks`",
        ),
    ] {
        if let Some(text) = text {
            fs::write(&file, text).unwrap();
        }
        let (code, out, err) = run(&["--config", file.to_str().unwrap()]);
        assert_eq!((code, out.as_str()), (Some(64), ""), "{err}");
        assert!(err.contains("service.yaml") && err.contains(told), "{err}");
        assert_eq!(err.lines().count(), 1, "{err}");
    }
}
