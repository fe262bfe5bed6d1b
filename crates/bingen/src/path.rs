//! Where ETL files stand in a bucket, and what their names say about them.

use std::fmt;
use std::str::FromStr;

const FEDERATED: &str = "federated";
const ETL: &str = "etl";
const BINGEN: &str = "bingen";

/// What kind of set a file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Pipeline {
    /// Costs of containers.
    Allocations,
    /// Costs of nodes, disks and the like.
    Assets,
    /// Costs by the provider's bill.
    CloudCosts,
}

impl Pipeline {
    /// Every pipeline.
    pub const ALL: [Self; 3] = [Self::Allocations, Self::Assets, Self::CloudCosts];

    /// The name of the pipeline's folder.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Allocations => "allocations",
            Self::Assets => "assets",
            Self::CloudCosts => "cloudcosts",
        }
    }
}

impl fmt::Display for Pipeline {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl FromStr for Pipeline {
    type Err = PathError;

    fn from_str(text: &str) -> Result<Self, PathError> {
        Self::ALL
            .into_iter()
            .find(|pipeline| pipeline.as_str() == text)
            .ok_or_else(|| PathError::UnknownPipeline { found: text.to_owned() })
    }
}

/// How long the window of a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Resolution {
    /// An hour.
    Hourly,
    /// A day.
    Daily,
}

impl Resolution {
    /// Every resolution.
    pub const ALL: [Self; 2] = [Self::Hourly, Self::Daily];

    /// The name of the resolution's folder.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Hourly => "1h",
            Self::Daily => "1d",
        }
    }

    /// The length of a window, in seconds.
    pub const fn seconds(self) -> i64 {
        match self {
            Self::Hourly => 3_600,
            Self::Daily => 86_400,
        }
    }
}

impl fmt::Display for Resolution {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl FromStr for Resolution {
    type Err = PathError;

    fn from_str(text: &str) -> Result<Self, PathError> {
        Self::ALL
            .into_iter()
            .find(|resolution| resolution.as_str() == text)
            .ok_or_else(|| PathError::UnknownResolution { found: text.to_owned() })
    }
}

/// The place of an ETL file:
/// `[<prefix>/]federated/<cluster>/etl/bingen/<pipeline>/<resolution>/[<name>.]<start>-<end>[.bingen][.gz]`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EtlPath {
    /// What stands before `federated/`, without the slash; often empty.
    pub prefix: String,
    /// Id of the cluster that wrote the file.
    pub cluster: String,
    /// What kind of set the file holds.
    pub pipeline: Pipeline,
    /// How long its window is.
    pub resolution: Resolution,
    /// What the writer put before the window, without the dot.
    pub name: Option<String>,
    /// Start of the window, in Unix seconds.
    pub start: i64,
    /// End of the window, in Unix seconds, not included.
    pub end: i64,
    /// Whether the name ends with `.bingen`, before any `.gz`.
    pub bingen_extension: bool,
    /// Whether the file is compressed by gzip, and its name ends with `.gz`.
    pub gzip: bool,
}

/// Why a path is not that of an ETL file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PathError {
    /// The folders are not those of ETL files.
    #[error("{path:?} is not of the form federated/<cluster>/etl/bingen/<pipeline>/<resolution>/<start>-<end>")]
    UnknownLayout {
        /// The path.
        path: String,
    },
    /// The folder of the pipeline has an unknown name.
    #[error("unknown pipeline {found:?}; known are allocations, assets and cloudcosts")]
    UnknownPipeline {
        /// The name found.
        found: String,
    },
    /// The folder of the resolution has an unknown name.
    #[error("unknown resolution {found:?}; known are 1h and 1d")]
    UnknownResolution {
        /// The name found.
        found: String,
    },
    /// The file name does not hold a window.
    #[error("{file:?} does not name a window as <start>-<end>, both in whole Unix seconds")]
    InvalidWindow {
        /// The file name.
        file: String,
    },
    /// The window does not start before it ends.
    #[error("the window {start}-{end} does not start before it ends")]
    EmptyWindow {
        /// Start of the window, in Unix seconds.
        start: i64,
        /// End of the window, in Unix seconds.
        end: i64,
    },
    /// The window is not as long as the folder of the resolution says.
    #[error("the window {start}-{end} spans {} s, but a {resolution} file spans {} s", end - start, resolution.seconds())]
    WrongSpan {
        /// Start of the window, in Unix seconds.
        start: i64,
        /// End of the window, in Unix seconds.
        end: i64,
        /// The resolution.
        resolution: Resolution,
    },
}

impl EtlPath {
    /// The place where the reference puts the file of the window that starts at `start`, in Unix seconds.
    pub fn new(cluster: impl Into<String>, pipeline: Pipeline, resolution: Resolution, start: i64) -> Self {
        Self {
            prefix: String::new(),
            cluster: cluster.into(),
            pipeline,
            resolution,
            name: None,
            start,
            end: start.saturating_add(resolution.seconds()),
            bingen_extension: false,
            gzip: false,
        }
    }
}

impl FromStr for EtlPath {
    type Err = PathError;

    fn from_str(path: &str) -> Result<Self, PathError> {
        let unknown_layout = || PathError::UnknownLayout { path: path.to_owned() };
        let mut folders = path.rsplit('/');
        let mut next = || folders.next().ok_or_else(unknown_layout);
        let (file, resolution, pipeline) = (next()?, next()?, next()?);
        let (bingen, etl, cluster, federated) = (next()?, next()?, next()?, next()?);
        if (federated, etl, bingen) != (FEDERATED, ETL, BINGEN) || cluster.is_empty() || path.starts_with('/') {
            return Err(unknown_layout());
        }
        let below = [federated, cluster, etl, bingen, pipeline, resolution, file];
        let below_length = below.iter().map(|folder| folder.len()).sum::<usize>() + below.len() - 1;
        let prefix = path[..path.len() - below_length].strip_suffix('/').unwrap_or_default();
        let file_name = FileName::parse(file)?;
        let (pipeline, resolution) = (pipeline.parse()?, resolution.parse::<Resolution>()?);
        let (start, end) = (file_name.start, file_name.end);
        if start >= end {
            return Err(PathError::EmptyWindow { start, end });
        }
        if end - start != resolution.seconds() {
            return Err(PathError::WrongSpan { start, end, resolution });
        }
        Ok(Self {
            prefix: prefix.to_owned(),
            cluster: cluster.to_owned(),
            pipeline,
            resolution,
            name: file_name.name.map(str::to_owned),
            start,
            end,
            bingen_extension: file_name.bingen_extension,
            gzip: file_name.gzip,
        })
    }
}

impl fmt::Display for EtlPath {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            prefix,
            cluster,
            pipeline,
            resolution,
            start,
            end,
            ..
        } = self;
        if !prefix.is_empty() {
            write!(formatter, "{prefix}/")?;
        }
        write!(
            formatter,
            "{FEDERATED}/{cluster}/{ETL}/{BINGEN}/{pipeline}/{resolution}/"
        )?;
        if let Some(name) = &self.name {
            write!(formatter, "{name}.")?;
        }
        write!(formatter, "{start}-{end}")?;
        if self.bingen_extension {
            formatter.write_str(".bingen")?;
        }
        if self.gzip {
            formatter.write_str(".gz")?;
        }
        Ok(())
    }
}

struct FileName<'a> {
    name: Option<&'a str>,
    start: i64,
    end: i64,
    bingen_extension: bool,
    gzip: bool,
}

impl<'a> FileName<'a> {
    fn parse(file: &'a str) -> Result<Self, PathError> {
        let (rest, gzip) = strip_extension(file, ".gz");
        let (rest, bingen_extension) = strip_extension(rest, ".bingen");
        let (name, range) = match rest.rsplit_once('.') {
            Some((name, range)) => (Some(name), range),
            None => (None, rest),
        };
        let window = range
            .split_once('-')
            .and_then(|(start, end)| Some((whole_number(start)?, whole_number(end)?)));
        let Some((start, end)) = window else {
            return Err(PathError::InvalidWindow { file: file.to_owned() });
        };
        Ok(Self {
            name,
            start,
            end,
            bingen_extension,
            gzip,
        })
    }
}

fn strip_extension<'a>(file: &'a str, extension: &str) -> (&'a str, bool) {
    match file.strip_suffix(extension) {
        Some(rest) => (rest, true),
        None => (file, false),
    }
}

/// Digits alone, without the sign that `parse` accepts and without leading zeros, so that a path has one form only.
fn whole_number(text: &str) -> Option<i64> {
    let canonical = text == "0" || !text.starts_with('0');
    if canonical && text.bytes().all(|byte| byte.is_ascii_digit()) {
        text.parse().ok()
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: &str = "federated/prod-us/etl/bingen/allocations/1d/1772323200-1772409600";

    #[test]
    fn parses_and_prints_every_form() {
        let hour = "federated/a/etl/bingen/cloudcosts/1h/1772323200-1772326800";
        for path in [
            DAY.to_owned(),
            format!("some/prefix/{DAY}"),
            format!("{DAY}.gz"),
            format!("{DAY}.bingen"),
            format!("{DAY}.bingen.gz"),
            "federated/federated/etl/bingen/assets/1d/a.name.1772323200-1772409600.gz".to_owned(),
            hour.to_owned(),
        ] {
            let parsed: EtlPath = path.parse().unwrap();
            assert_eq!(parsed.to_string(), path);
            assert_eq!(parsed.end - parsed.start, parsed.resolution.seconds());
        }
    }

    #[test]
    fn finds_the_parts() {
        let parsed: EtlPath = format!("eu/{}", DAY.replace("1772323200-", "edge.1772323200-"))
            .parse()
            .unwrap();
        assert_eq!(
            parsed,
            EtlPath {
                prefix: "eu".into(),
                name: Some("edge".into()),
                ..EtlPath::new("prod-us", Pipeline::Allocations, Resolution::Daily, 1_772_323_200)
            }
        );
    }

    #[test]
    fn names_what_is_wrong() {
        let error = |path: &str| path.parse::<EtlPath>().unwrap_err();
        let with = |from: &str, to: &str| DAY.replace(from, to);
        for path in [
            String::new(),
            "1772323200-1772409600".into(),
            with("federated/", ""),
            with("federated/", "/federated/"),
            with("federated", "derived"),
            with("etl", "elt"),
            with("bingen", "json"),
            with("prod-us", ""),
        ] {
            assert!(matches!(error(&path), PathError::UnknownLayout { .. }), "{path}");
        }
        assert_eq!(
            error(&with("allocations", "rows")),
            PathError::UnknownPipeline { found: "rows".into() }
        );
        assert_eq!(
            error(&with("1d", "1w")),
            PathError::UnknownResolution { found: "1w".into() }
        );
        for range in [
            "",
            "1-",
            "-1",
            "1772323200",
            "+1-86401",
            "1-5.86401",
            "01-86401",
            "1-2-3",
            "1-99999999999999999999",
        ] {
            let path = with("1772323200-1772409600", range);
            assert!(matches!(error(&path), PathError::InvalidWindow { .. }), "{path}");
        }
        for range in ["86400-86400", "86400-0"] {
            let path = with("1772323200-1772409600", range);
            assert!(matches!(error(&path), PathError::EmptyWindow { .. }), "{path}");
        }
        let wrong = error(&with("1d", "1h"));
        assert!(matches!(
            wrong,
            PathError::WrongSpan {
                resolution: Resolution::Hourly,
                ..
            }
        ));
        assert_eq!(
            wrong.to_string(),
            "the window 1772323200-1772409600 spans 86400 s, but a 1h file spans 3600 s"
        );
    }
}
