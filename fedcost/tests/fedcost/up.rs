use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    path::Path,
    process::{Child, ChildStdout, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

use crate::{fedcost, run};

/// `fedcost up` on a free port, ended when it is dropped.
struct Up {
    child: Child,
    stdout: BufReader<ChildStdout>,
}

impl Up {
    fn start(data: &Path, more: &[&str]) -> Self {
        let mut child = fedcost()
            .arg("up")
            .arg("--data")
            .arg(data)
            .args(["--listen", "127.0.0.1:0"])
            .args(more)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        Self { child, stdout }
    }

    /// The address that the line on stdout gives.
    fn ready(&mut self) -> SocketAddr {
        let mut line = String::new();
        self.stdout.read_line(&mut line).unwrap();
        let address = line
            .strip_prefix("ready http://")
            .and_then(|rest| rest.strip_suffix('\n'));
        match address {
            Some(address) => address.parse().unwrap(),
            None => panic!("{line:?}: {}", self.stderr()),
        }
    }

    fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        let sent = Command::new("kill").args([name, &pid]).status().unwrap();
        assert!(sent.success());
    }

    fn wait(&mut self, limit: Duration) -> ExitStatus {
        let end = Instant::now() + limit;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < end, "still runs after {limit:?}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// What it says until it says this.
    fn stderr_until(&mut self, text: &str) -> String {
        let mut said = String::new();
        let stderr = self.child.stderr.take().unwrap();
        for line in BufReader::new(stderr).lines() {
            said.push_str(&line.unwrap());
            said.push('\n');
            if said.contains(text) {
                return said;
            }
        }
        panic!("it ended, and said {said}");
    }

    fn stderr(&mut self) -> String {
        let mut text = String::new();
        self.child.kill().unwrap();
        self.child.stderr.take().unwrap().read_to_string(&mut text).unwrap();
        text
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ended = self.child.kill();
        let _status = self.child.wait();
    }
}

fn get(address: SocketAddr, path: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "GET {path} HTTP/1.0\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn demo_is_served_and_a_signal_ends_it_at_once() {
    let data = tempfile::tempdir().unwrap();
    let mut up = Up::start(data.path(), &["--demo"]);
    let address = up.ready();
    let answer = get(address, "/allocation?window=7d&aggregate=cluster&accumulate=true");
    assert!(answer.starts_with("HTTP/1.0 200 "), "{answer}");
    assert!(answer.contains("\"totalCost\""), "{answer}");
    let metrics = get(address, "/metrics");
    for server in ["storage-svc", "ingest-svc", "query-svc"] {
        assert!(metrics.contains(&format!("server=\"{server}\"")), "{server}");
    }

    let second = run(["up", "--listen", "127.0.0.1:0", "--data", data.path().to_str().unwrap()]);
    assert_eq!(second.code, Some(1));
    assert!(
        second.stderr.contains("another `fedcost up` is using this folder"),
        "{}",
        second.stderr
    );

    // A client that stays connected must not hold up the end.
    let _idle = TcpStream::connect(address).unwrap();
    up.signal("-INT");
    assert_eq!(up.wait(Duration::from_secs(5)).code(), Some(0));

    // What is there is kept, and served again without being made anew.
    let files = |bucket: &Path| fs::read_dir(bucket.join("federated")).unwrap().count();
    assert_eq!(files(&data.path().join("bucket")), 4);
    let mut up = Up::start(data.path(), &["--demo"]);
    up.ready();
    up.signal("-TERM");
    assert_eq!(up.wait(Duration::from_secs(5)).code(), Some(0));
    assert!(up.stderr().contains("--demo leaves it as it is"));
}

#[test]
fn a_port_in_use_is_one_line() {
    let data = tempfile::tempdir().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let up = run(["up", "--listen", &address, "--data", data.path().to_str().unwrap()]);
    assert_eq!(up.code, Some(1));
    let expected = format!("fedcost: cannot listen on {address}: ");
    assert!(
        up.stderr.starts_with(&expected) && up.stderr.contains("--listen"),
        "{}",
        up.stderr
    );
    assert_eq!(up.stderr.lines().count(), 1, "{}", up.stderr);
    assert_eq!(up.stdout, "");
}

#[test]
fn a_bucket_that_is_a_file_and_a_bad_store_file_are_told() {
    let data = tempfile::tempdir().unwrap();
    let folder = data.path().to_str().unwrap();
    let file = data.path().join("file");
    fs::write(&file, "type: S3\nconfig: {bukcet: x}\n").unwrap();
    let file = file.to_str().unwrap();
    let with = |option| run(["up", "--listen", "127.0.0.1:0", "--data", folder, option, file]);
    let bucket = with("--bucket");
    assert_eq!(bucket.code, Some(1));
    let line = bucket.stderr.lines().last().unwrap();
    assert!(line.contains("file: cannot be used as the bucket: "), "{line}");
    let store = with("--store");
    assert_eq!(store.code, Some(64));
    assert!(
        store.stderr.contains("file: config.bucket is missing"),
        "{}",
        store.stderr
    );
    assert_eq!(store.stderr.lines().count(), 1);
}

#[test]
fn a_store_file_is_read_strictly_when_that_is_wanted() {
    let data = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let file = data.path().join(name);
        fs::write(&file, text).unwrap();
        file.to_str().unwrap().to_owned()
    };
    // Nobody listens there, so a service that is let start goes on asking.
    let unknown = "type: S3\nconfig: {bucket: b, endpoint: '127.0.0.1:9', insecure: true, regoin: x}\n";
    let unknown = write("unknown.yaml", unknown);
    let folder = write("folder.yaml", "type: FILESYSTEM\nconfig: {directory: x}\n");
    let refused = |more: &[&str]| {
        let data = data.path().to_str().unwrap();
        let outcome = run(["up", "--listen", "127.0.0.1:0", "--data", data].iter().chain(more));
        assert_eq!(outcome.code, Some(64), "{}", outcome.stderr);
        assert_eq!(outcome.stderr.lines().count(), 1, "{}", outcome.stderr);
        outcome.stderr
    };
    let strict = refused(&["--store", &unknown, "--strict"]);
    assert!(
        strict.contains("unknown.yaml: unknown key `config.regoin`; did you mean `config.region`?"),
        "{strict}"
    );
    let needless = refused(&["--store", &folder, "--conditional-writes", "gateway"]);
    assert!(
        needless.contains("folder.yaml: conditional_writes: found `gateway`, allowed is `store`"),
        "{needless}"
    );

    // Otherwise it is a warning, and the start goes on.
    let mut up = Up::start(data.path(), &["--store", &unknown, "--conditional-writes", "gateway"]);
    let warned = up.stderr_until("the bucket is not reached yet");
    assert!(warned.contains("unknown key `config.regoin`"), "{warned}");
    assert!(
        warned.contains("conditional writes are kept by this process"),
        "{warned}"
    );
}
