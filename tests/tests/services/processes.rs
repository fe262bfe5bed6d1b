//! The services as processes of their own.

use std::{
    io::{BufRead as _, BufReader},
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use crate::{bucket::copy_of_golden, golden};

/// The path of one of our binaries. `cargo test --workspace` builds them all, as each is of a package with tests.
pub(crate) fn binary(name: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let binary = test.parent().and_then(Path::parent).unwrap().join(name);
    assert!(
        binary.exists(),
        "{} is not built; run `cargo test --workspace`, or `cargo build --bins` first",
        binary.display()
    );
    binary
}

/// A process that is ended when it is dropped.
pub(crate) struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        // A script is asked, not killed, since it has processes of its own to end.
        self.signal("-TERM");
        let patience = Instant::now() + Duration::from_secs(10);
        while matches!(self.0.try_wait(), Ok(None)) {
            if Instant::now() > patience {
                self.kill();
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Process {
    /// Starts a command whose output is read by [`Process::ready`].
    pub(crate) fn start(command: &mut Command) -> Self {
        Self(command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap())
    }

    /// Waits for the line `ready http://…` and returns the address.
    pub(crate) async fn ready(&mut self) -> String {
        let output = BufReader::new(self.0.stdout.take().unwrap());
        let line = tokio::task::spawn_blocking(move || {
            let mut lines = output.lines().map_while(Result::ok);
            lines.find_map(|line| line.strip_prefix("ready ").map(str::to_owned))
        });
        let line = tokio::time::timeout(Duration::from_secs(120), line).await;
        line.expect("not ready in time")
            .unwrap()
            .expect("ended before it was ready")
    }

    /// Asks it to stop, as a terminal does, and returns its exit code.
    pub(crate) fn terminate(&mut self) -> Option<i32> {
        self.signal("-TERM");
        self.0.wait().unwrap().code()
    }

    /// Ends it on the spot.
    pub(crate) fn kill(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }

    fn signal(&self, signal: &str) {
        // One that has ended by itself cannot be signalled, which is as well.
        let _sent = Command::new("kill")
            .args([signal, &self.0.id().to_string()])
            .stderr(Stdio::null())
            .status();
    }
}

/// Ports that were free a moment ago.
fn free_ports<const N: usize>() -> [String; N] {
    let listeners: [TcpListener; N] = std::array::from_fn(|_| TcpListener::bind("127.0.0.1:0").unwrap());
    listeners.map(|listener| listener.local_addr().unwrap().port().to_string())
}

#[tokio::test(flavor = "multi_thread")]
async fn four_processes_answer_as_the_reference() {
    let bucket = copy_of_golden();
    let state = tempfile::tempdir().unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/dev/run.sh");
    let ports = ["STORAGE_PORT", "INGEST_PORT", "QUERY_PORT", "GATEWAY_PORT"];
    let mut services = Process::start(
        Command::new("bash")
            .arg(script)
            .args([Path::new("--data"), state.path()])
            .args([Path::new("--bucket"), bucket.path()])
            .args([Path::new("--bin"), binary("fedcost").parent().unwrap()])
            .args(["--retention-days", "0"])
            .envs(ports.into_iter().zip(free_ports::<4>())),
    );
    let base = services.ready().await;
    golden::check(&base).await;
    assert_eq!(services.terminate(), Some(0));
}
