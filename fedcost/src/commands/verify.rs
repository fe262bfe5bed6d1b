//! `fedcost verify`: walk through an installation as a person would, and say what is wrong and what to do.

use std::{io, path::PathBuf, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};
use reqwest::{Client, Url};
use serde_json::Value;
use service_kit::{process, tls, with_causes};

use super::connection::Services;
use crate::output;

const EXAMPLES: &str = "\
Examples:
  fedcost verify
      the `fedcost up` with the folder .fedcost
  fedcost verify --at https://fedcost.example.org

Exits with 0 when all is well, and with 1 when something is wrong. `?` marks what may be as it should.";

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// Check an installation step by step: services, bucket, clusters, ingest, answers
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// Where HTTP is served [default: as the `fedcost up` with DATA has said]
    #[arg(long, value_name = "URL")]
    at: Option<Url>,
    /// Folder of the `fedcost up` that is meant
    #[arg(long, value_name = "DIR", default_value = ".fedcost")]
    data: PathBuf,
}

/// Why the installation is not well, or was not looked at.
#[derive(Debug, thiserror::Error)]
pub(crate) enum VerifyError {
    #[error(transparent)]
    Connection(#[from] super::connection::ConnectionError),
    #[error("http cannot be used: {0}")]
    Http(#[from] reqwest::Error),
    #[error("{0} of the steps failed")]
    Failed(usize),
    #[error("the system refuses threads, or stdout: {0}")]
    System(#[from] io::Error),
}

/// What came of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mark {
    Good,
    Doubtful,
    Bad,
}

/// A step, what was found, and what to do about it.
#[derive(Debug, PartialEq, Eq)]
struct Finding {
    mark: Mark,
    text: String,
    advice: Option<String>,
}

impl Finding {
    fn good(text: impl Into<String>) -> Self {
        Self {
            mark: Mark::Good,
            text: text.into(),
            advice: None,
        }
    }

    fn doubtful(text: impl Into<String>, advice: impl Into<String>) -> Self {
        Self {
            mark: Mark::Doubtful,
            text: text.into(),
            advice: Some(advice.into()),
        }
    }

    fn bad(text: impl Into<String>, advice: impl Into<String>) -> Self {
        Self {
            mark: Mark::Bad,
            text: text.into(),
            advice: Some(advice.into()),
        }
    }

    fn lines(&self) -> String {
        let mark = match self.mark {
            Mark::Good => "ok",
            Mark::Doubtful => "?",
            Mark::Bad => "FAIL",
        };
        match &self.advice {
            Some(advice) => format!("{mark:4}  {}\n      {advice}\n", self.text),
            None => format!("{mark:4}  {}\n", self.text),
        }
    }
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), VerifyError> {
    tls::install_crypto_provider();
    let at = match &arguments.at {
        Some(at) => at.to_string(),
        None => Services::read(&arguments.data)?.http,
    };
    let findings = process::block_on(async {
        let client = Client::builder().timeout(PATIENCE).build()?;
        let asked = Asked {
            client,
            at: at.trim_end_matches('/').to_owned(),
        };
        Ok::<_, VerifyError>(asked.walk().await)
    })??;
    output::print(|out| {
        findings
            .iter()
            .try_for_each(|finding| out.write_all(finding.lines().as_bytes()))
    })?;
    match findings.iter().filter(|finding| finding.mark == Mark::Bad).count() {
        0 => Ok(()),
        failed => Err(VerifyError::Failed(failed)),
    }
}

/// Who is asked.
struct Asked {
    client: Client,
    at: String,
}

impl Asked {
    async fn get(&self, path: &str) -> Result<Value, String> {
        let url = format!("{}{path}", self.at);
        let answer = self
            .client
            .get(&url)
            .send()
            .await
            .map_err(|error| with_causes(&error))?;
        let status = answer.status();
        let text = answer.text().await.map_err(|error| with_causes(&error))?;
        if !status.is_success() {
            return Err(format!("{status}: {}", text.trim()));
        }
        serde_json::from_str(&text).map_err(|error| format!("{url} does not answer in JSON: {error}"))
    }

    /// Each step needs those before it, so the first that fails may be the last.
    async fn walk(&self) -> Vec<Finding> {
        let mut findings = Vec::new();
        match self.client.get(format!("{}/healthz", self.at)).send().await {
            Ok(answer) if answer.status().is_success() => {
                findings.push(Finding::good(format!("gateway-svc answers at {}", self.at)));
            }
            Ok(answer) => {
                let text = format!("{} answers {} at /healthz", self.at, answer.status());
                findings.push(Finding::bad(text, "is this FedCost? Give its address with --at"));
                return findings;
            }
            Err(error) => {
                let text = format!("{} does not answer: {}", self.at, with_causes(&error));
                let advice = "start the services, or give their address with --at; in Kubernetes, kubectl port-forward";
                findings.push(Finding::bad(text, advice));
                return findings;
            }
        }
        match self.get("/model/debug/orchestrator").await {
            Ok(answer) => {
                findings.extend(orchestrator(&answer["data"], Utc::now()));
            }
            Err(error) => {
                let advice = "see the log of ingest-svc, and that gateway-svc is told where it listens";
                findings.push(Finding::bad(format!("ingest-svc does not answer: {error}"), advice));
            }
        }
        match self.get("/model/diagnostics/multicluster").await {
            Ok(answer) => findings.extend(clusters(&answer["data"])),
            Err(error) => findings.push(Finding::bad(
                format!("clusters are not known: {error}"),
                "see the step before",
            )),
        }
        match self.get("/model/debug/ingestionRecords?state=setAside&limit=5").await {
            Ok(answer) => findings.extend(set_aside(&answer["data"])),
            Err(error) => findings.push(Finding::bad(
                format!("files that are set aside are not known: {error}"),
                "see the steps before",
            )),
        }
        for (path, what) in [("/model/allocation", "allocations"), ("/model/assets", "assets")] {
            let answer = self
                .get(&format!("{path}?window=30d&aggregate=cluster&accumulate=true"))
                .await;
            findings.push(answered(what, answer));
        }
        findings
    }
}

fn time(value: &Value) -> Option<DateTime<Utc>> {
    value.as_str()?.parse().ok()
}

fn orchestrator(data: &Value, now: DateTime<Utc>) -> Vec<Finding> {
    let mut findings = Vec::new();
    let refresh = TimeDelta::seconds(data["refreshIntervalSeconds"].as_i64().unwrap_or(600));
    match (data["lastError"].as_str(), time(&data["lastSuccess"])) {
        (Some(error), _) => findings.push(Finding::bad(
            format!("the last ingest cycle failed: {error}"),
            "if the bucket is out of reach, see the log of storage-svc and docs/operations/stores.md",
        )),
        (None, Some(last)) if now - last > refresh * 3 => findings.push(Finding::doubtful(
            format!("the last ingest cycle ended at {last}, more than three times its interval ago"),
            "a large backfill takes long; /model/debug/orchestrator shows how far it is",
        )),
        (None, Some(_)) => findings.push(Finding::good("the bucket is reached, and ingest cycles end well")),
        (None, None) => findings.push(Finding::doubtful(
            "no ingest cycle has ended yet",
            "wait for the first; /model/debug/orchestrator shows how far it is",
        )),
    }
    match data["releaseId"].as_u64() {
        None | Some(0) => findings.push(Finding::bad(
            "no release has been published yet",
            "wait for the first ingest cycle, or mend why it fails",
        )),
        Some(number) => findings.push(Finding::good(format!(
            "release {number} is published, with {} rows",
            data["rows"].as_u64().unwrap_or(0)
        ))),
    }
    findings
}

fn clusters(data: &Value) -> Vec<Finding> {
    let Some(clusters) = data["clusters"].as_object().filter(|clusters| !clusters.is_empty()) else {
        return vec![Finding::bad(
            "the bucket has files of no cluster",
            "agents write to federated/<cluster id>/etl/bingen/; check their federated storage configuration and prefix",
        )];
    };
    let mut findings = Vec::new();
    for (cluster, found) in clusters {
        let none = serde_json::Map::new();
        let pipelines = found["pipelines"].as_object().unwrap_or(&none);
        let of = |is_bad: &dyn Fn(&Value) -> bool| -> Vec<&str> {
            let bad = pipelines.iter().filter(|(_, pipeline)| is_bad(pipeline));
            bad.map(|(name, _)| name.as_str()).collect()
        };
        let upload = pipelines
            .values()
            .filter_map(|pipeline| pipeline["lastUpload"].as_str())
            .max();
        let upload = upload.unwrap_or("never");
        let empty = of(&|pipeline| pipeline["windows"] == 0);
        let stale = of(&|pipeline| pipeline["fresh"] == false);
        let missing: u64 = pipelines
            .values()
            .filter_map(|pipeline| pipeline["missingWindows"].as_u64())
            .sum();
        findings.push(if !empty.is_empty() {
            Finding::bad(
                format!("cluster {cluster}: no {}; last upload {upload}", empty.join(", ")),
                "the agent writes only some of its files; see its log",
            )
        } else if !stale.is_empty() {
            Finding::bad(
                format!(
                    "cluster {cluster}: {} not written lately; last upload {upload}",
                    stale.join(", ")
                ),
                "the agent has stopped, or cannot reach the bucket; see its log",
            )
        } else if missing > 0 {
            Finding::doubtful(
                format!("cluster {cluster}: {missing} windows are missing; last upload {upload}"),
                "/model/debug/ingestionSummary lists them; the agent can write them again by its own repair",
            )
        } else {
            Finding::good(format!("cluster {cluster}: complete; last upload {upload}"))
        });
    }
    findings
}

fn set_aside(data: &Value) -> Vec<Finding> {
    let files = data.as_array().map_or(&[][..], Vec::as_slice);
    if files.is_empty() {
        return vec![Finding::good("no file is set aside")];
    }
    let told = |file: &Value, field: &str| file[field].as_str().unwrap_or_default().to_owned();
    files
        .iter()
        .map(|file| {
            Finding::doubtful(
                format!("{} is set aside: {}", told(file, "path"), told(file, "error")),
                "docs/operations/bad-files.md says what each reason means; it is read again when it changes",
            )
        })
        .collect()
}

fn answered(what: &str, answer: Result<Value, String>) -> Finding {
    let advice = "see the log of query-svc, and /readyz";
    match answer {
        Err(error) => Finding::bad(format!("{what} are not answered: {error}"), advice),
        Ok(answer) => match answer["data"][0].as_object() {
            Some(items) if !items.is_empty() => Finding::good(format!(
                "{what} of the last 30 days are answered, of {} items",
                items.len()
            )),
            _ => Finding::doubtful(
                format!("{what} of the last 30 days are answered, but there are none"),
                "are the clusters' files older than that?",
            ),
        },
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn marks(findings: &[Finding]) -> Vec<Mark> {
        findings.iter().map(|finding| finding.mark).collect()
    }

    #[test]
    fn a_cycle_that_failed_is_told_with_its_reason() {
        let now = "2026-03-05T12:00:00Z".parse().unwrap();
        let good =
            json!({"lastSuccess": "2026-03-05T11:55:00Z", "refreshIntervalSeconds": 600, "releaseId": 3, "rows": 7});
        assert_eq!(marks(&orchestrator(&good, now)), [Mark::Good, Mark::Good]);
        let old = json!({"lastSuccess": "2026-03-05T11:00:00Z", "refreshIntervalSeconds": 600, "releaseId": 3});
        assert_eq!(marks(&orchestrator(&old, now)), [Mark::Doubtful, Mark::Good]);
        let failed = json!({"lastError": "access denied", "releaseId": 0});
        let found = orchestrator(&failed, now);
        assert_eq!(marks(&found), [Mark::Bad, Mark::Bad]);
        assert!(found[0].lines().contains("access denied"), "{}", found[0].lines());
    }

    #[test]
    fn each_cluster_is_told_of() {
        let pipeline = |fresh, windows, missing| json!({"fresh": fresh, "windows": windows, "missingWindows": missing, "lastUpload": "2026-03-05T11:55:00Z"});
        let data = json!({"clusters": {
            "a": {"pipelines": {"allocations/1d": pipeline(true, 3, 0), "assets/1d": pipeline(true, 3, 0)}},
            "b": {"pipelines": {"allocations/1d": pipeline(false, 3, 0), "assets/1d": pipeline(true, 3, 0)}},
            "c": {"pipelines": {"allocations/1d": pipeline(true, 3, 2), "assets/1d": pipeline(true, 3, 0)}},
            "d": {"pipelines": {"allocations/1d": pipeline(true, 3, 0), "assets/1d": pipeline(false, 0, 3)}},
        }});
        let found = clusters(&data);
        assert_eq!(marks(&found), [Mark::Good, Mark::Bad, Mark::Doubtful, Mark::Bad]);
        assert!(found[3].text.contains("no assets/1d"), "{}", found[3].text);
        assert_eq!(marks(&clusters(&json!({"clusters": {}}))), [Mark::Bad]);
    }

    #[test]
    fn answers_without_items_are_doubtful() {
        assert_eq!(answered("assets", Ok(json!({"data": [{"a": {}}]}))).mark, Mark::Good);
        assert_eq!(answered("assets", Ok(json!({"data": [{}]}))).mark, Mark::Doubtful);
        assert_eq!(answered("assets", Err("503".to_owned())).mark, Mark::Bad);
    }
}
