//! The `fedcost` program as a person or a script runs it.

#![expect(clippy::unwrap_used, reason = "helpers of tests are not marked as tests")]

#[path = "fedcost/all_in_one.rs"]
mod all_in_one;
#[path = "fedcost/certs.rs"]
mod certs;
#[path = "fedcost/demo_data.rs"]
mod demo_data;
#[path = "fedcost/inspect.rs"]
mod inspect;
#[path = "fedcost/up.rs"]
mod up;

use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
    process::Command,
};

/// The program, without what the environment may say about logs.
fn fedcost() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fedcost"));
    command.env_remove("RUST_LOG");
    command
}

/// What a run came to.
struct Outcome {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

fn run<A: AsRef<OsStr>>(arguments: impl IntoIterator<Item = A>) -> Outcome {
    let output = fedcost().args(arguments).output().unwrap();
    Outcome {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// A file of the golden bucket.
fn golden(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../tests/golden/bucket/federated")
        .join(path)
}

#[test]
fn help_names_the_commands_and_shows_examples() {
    let help = run(["--help"]);
    assert_eq!(help.code, Some(0));
    for text in ["up", "demo-data", "inspect", "certs", "fedcost up --demo"] {
        assert!(help.stdout.contains(text), "{text} is not in\n{}", help.stdout);
    }
    for command in ["up", "demo-data", "inspect", "certs"] {
        let help = run([command, "--help"]);
        assert_eq!(help.code, Some(0), "{command}");
        assert!(help.stdout.contains("Examples:"), "{command}: {}", help.stdout);
    }
}

#[test]
fn bad_arguments_are_refused_before_anything_is_done() {
    let cases: [(&[&str], i32, &str); 8] = [
        (&[], 2, "Usage: fedcost"),
        (&["down"], 2, "unrecognized subcommand 'down'"),
        (&["up", "--refresh", "10"], 2, "allowed is 1s or more"),
        (&["up", "--listen", "9090"], 2, "invalid socket address"),
        (&["up", "--bucket", "a", "--store", "b"], 2, "cannot be used with"),
        (&["up", "--demo", "--store", "b"], 2, "cannot be used with"),
        (&["demo-data", "--bucket", "a", "--end", "soon"], 2, "allowed is a day"),
        (&["certs", "service", "Not A Name", "--dir", "a"], 64, "fedcost: "),
    ];
    for (arguments, code, text) in cases {
        let folder = tempfile::tempdir().unwrap();
        let output = fedcost().args(arguments).current_dir(&folder).output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {stderr}");
        assert!(stderr.contains(text), "{arguments:?}: {stderr}");
    }
}
