//! API tokens for machines: a file that knows tokens by their hashes alone.
//!
//! A token is `fct_<id>_<secret>`. The secret is 32 random bytes, so a plain hash of it can no more be guessed than itself;
//! slow hashes are for passwords, which people choose.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    time::{Duration, Instant, SystemTime},
};

use aws_lc_rs::{
    constant_time::verify_slices_are_equal,
    digest::{SHA256, digest},
    rand,
};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::json_file::{self, ReadError};

/// What a token begins with, so that scanners for leaked secrets know it.
const PREFIX: &str = "fct_";

const ID_BYTES: usize = 6;
const SECRET_BYTES: usize = 32;

/// How many tokens a file may hold.
const MOST_TOKENS: usize = 10_000;

/// More than all tokens can need.
const LARGEST_FILE: u64 = 8 << 20;

/// How often the file is looked at; so a revoked token is refused after this at the latest.
const LOOK: Duration = Duration::from_secs(2);

/// A token as the file knows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenRecord {
    /// Tells it from others; the middle of its text.
    pub id: String,
    /// What roles call it. Several tokens may share a name, so that one can be replaced by the next.
    pub name: String,
    /// Hash of its secret.
    sha256: String,
    /// When it was made.
    pub created: DateTime<Utc>,
    /// From when on it is refused; never when not given.
    pub expires: Option<DateTime<Utc>>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Content {
    tokens: Vec<TokenRecord>,
}

/// Why tokens cannot be read or changed.
#[derive(Debug, thiserror::Error)]
pub enum TokensError {
    /// The file, or its folder.
    #[error("{}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Not a file of tokens.
    #[error("{}: not a file of tokens: {source}; mend it, or move it away", path.display())]
    Broken {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// Too large to be one.
    #[error("{}: larger than {LARGEST_FILE} bytes, so not a file of tokens", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
    /// No room for another.
    #[error("{}: has {MOST_TOKENS} tokens already; revoke some first", path.display())]
    TooMany {
        /// The file.
        path: PathBuf,
    },
    /// A name that cannot be one.
    #[error("the name of a token got {0:?}; it takes 1 to 100 characters, none of them a control character")]
    Name(String),
    /// None of this id or name.
    #[error("{}: has no token {wanted:?}; `fedcost tokens list` shows them", path.display())]
    Unknown {
        /// The file.
        path: PathBuf,
        /// What was asked for.
        wanted: String,
    },
    /// The system gives no random bytes.
    #[error("the system gives no random bytes")]
    Random,
}

fn read(path: &Path) -> Result<Content, TokensError> {
    json_file::read(path, LARGEST_FILE).map_err(|error| {
        let path = path.to_owned();
        match error {
            ReadError::System(source) => TokensError::File { path, source },
            ReadError::Broken(source) => TokensError::Broken { path, source },
            ReadError::TooLarge => TokensError::TooLarge { path },
        }
    })
}

/// Changes the file as a whole, in turn with others who do.
fn change<T>(path: &Path, change: impl FnOnce(&mut Content) -> Result<T, TokensError>) -> Result<T, TokensError> {
    let failed = |source| TokensError::File {
        path: path.to_owned(),
        source,
    };
    let _turn = json_file::lock(path).map_err(failed)?;
    let mut content = read(path)?;
    let changed = change(&mut content)?;
    json_file::replace(path, &content).map_err(failed)?;
    Ok(changed)
}

fn hash(secret: &str) -> String {
    use std::fmt::Write as _;
    let digest = digest(&SHA256, secret.as_bytes());
    digest.as_ref().iter().fold(String::new(), |mut text, byte| {
        // Writing to a text cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn random<const N: usize>() -> Result<[u8; N], TokensError> {
    let mut bytes = [0; N];
    rand::fill(&mut bytes).map_err(|_| TokensError::Random)?;
    Ok(bytes)
}

/// Makes a token. Its text is returned, and kept nowhere.
///
/// # Errors
/// When the file cannot be read or written, or the name cannot be one.
pub fn create(
    path: &Path,
    name: &str,
    now: DateTime<Utc>,
    expires: Option<DateTime<Utc>>,
) -> Result<(TokenRecord, String), TokensError> {
    let name = name.trim();
    if !(1..=100).contains(&name.chars().count()) || name.chars().any(char::is_control) {
        return Err(TokensError::Name(name.chars().take(100).collect()));
    }
    let id = random::<ID_BYTES>()?
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect::<String>();
    let secret = BASE64_URL_SAFE_NO_PAD.encode(random::<SECRET_BYTES>()?);
    let record = TokenRecord {
        sha256: hash(&secret),
        name: name.to_owned(),
        created: now,
        expires,
        id,
    };
    change(path, |content| {
        if content.tokens.len() >= MOST_TOKENS {
            return Err(TokensError::TooMany { path: path.to_owned() });
        }
        content.tokens.push(record.clone());
        Ok(())
    })?;
    let text = format!("{PREFIX}{}_{secret}", record.id);
    Ok((record, text))
}

/// All tokens, in the order in which they were made.
///
/// # Errors
/// When the file cannot be read.
pub fn list(path: &Path) -> Result<Vec<TokenRecord>, TokensError> {
    Ok(read(path)?.tokens)
}

/// Forgets the token of this id, or all of this name, and says which.
///
/// # Errors
/// When the file cannot be read or written, or has none.
pub fn revoke(path: &Path, id_or_name: &str) -> Result<Vec<TokenRecord>, TokensError> {
    change(path, |content| {
        let by_id = content.tokens.iter().any(|token| token.id == id_or_name);
        let is_meant = |token: &TokenRecord| {
            if by_id {
                token.id == id_or_name
            } else {
                token.name == id_or_name
            }
        };
        let revoked: Vec<_> = content.tokens.extract_if(.., |token| is_meant(token)).collect();
        if revoked.is_empty() {
            return Err(TokensError::Unknown {
                path: path.to_owned(),
                wanted: id_or_name.to_owned(),
            });
        }
        Ok(revoked)
    })
}

/// Why a token is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum TokenRefused {
    #[error("the token is not known")]
    Unknown,
    #[error("the token has expired")]
    Expired,
    #[error("tokens cannot be read for the moment")]
    Unreadable,
}

/// The tokens of a file, which is read again when it has changed.
#[derive(Debug)]
pub(super) struct Tokens {
    path: PathBuf,
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    looked: Option<Instant>,
    /// Time of change and length, by which a new file is known.
    version: Option<(SystemTime, u64)>,
    /// None when the file cannot be read.
    tokens: Option<Vec<TokenRecord>>,
}

impl Tokens {
    pub(super) fn new(path: PathBuf) -> Self {
        Self {
            path,
            known: Mutex::default(),
        }
    }

    /// Whether a credential is a token of ours, rather than one of the issuer's.
    pub(super) fn is_token(text: &str) -> bool {
        text.starts_with(PREFIX)
    }

    /// The token of this text. It may read the file, so it blocks, though briefly.
    pub(super) fn find(&self, text: &str, now: DateTime<Utc>) -> Result<TokenRecord, TokenRefused> {
        let (id, secret) = text
            .strip_prefix(PREFIX)
            .and_then(|rest| rest.split_once('_'))
            .ok_or(TokenRefused::Unknown)?;
        let hash = hash(secret);
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        self.look(&mut known);
        let tokens = known.tokens.as_ref().ok_or(TokenRefused::Unreadable)?;
        let token = tokens
            .iter()
            .find(|token| token.id == id)
            .ok_or(TokenRefused::Unknown)?;
        // The id is no secret; of the secret nothing must be told by how long it takes.
        verify_slices_are_equal(hash.as_bytes(), token.sha256.as_bytes()).map_err(|_| TokenRefused::Unknown)?;
        if token.expires.is_some_and(|expires| expires <= now) {
            return Err(TokenRefused::Expired);
        }
        Ok(token.clone())
    }

    fn look(&self, known: &mut Known) {
        if known.looked.is_some_and(|looked| looked.elapsed() < LOOK) {
            return;
        }
        known.looked = Some(Instant::now());
        let version = fs::metadata(&self.path)
            .ok()
            .and_then(|found| Some((found.modified().ok()?, found.len())));
        if known.tokens.is_some() && known.version == version {
            return;
        }
        known.version = version;
        known.tokens = match read(&self.path) {
            Ok(content) => {
                tracing::info!(tokens = content.tokens.len(), file = %self.path.display(), "tokens are read");
                Some(content.tokens)
            }
            // Rather none than one that was revoked.
            Err(error) => {
                tracing::error!(%error, "tokens cannot be read, so all are refused");
                None
            }
        };
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;

    #[test]
    fn tokens_are_made_found_and_revoked_and_only_hashes_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("made/tokens.json");
        let now = Utc::now();
        let (record, text) = create(&path, "exporter", now, None).unwrap();
        let (_, short) = create(&path, "short", now, Some(now + TimeDelta::hours(1))).unwrap();
        let kept = fs::read_to_string(&path).unwrap();
        let secret = text.rsplit_once(&record.id).unwrap().1;
        assert!(!kept.contains(secret.trim_start_matches('_')), "{kept}");

        let tokens = Tokens::new(path.clone());
        assert_eq!(tokens.find(&text, now).unwrap(), record);
        assert_eq!(tokens.find(&short, now).unwrap().name, "short");
        assert_eq!(
            tokens.find(&short, now + TimeDelta::hours(1)),
            Err(TokenRefused::Expired)
        );
        let mut forged = text.clone();
        forged.pop();
        let forged = forged + if text.ends_with('A') { "B" } else { "A" };
        for wrong in [forged.as_str(), "", "fct_", "fct_x", "fct__", &text[..text.len() - 1]] {
            assert_eq!(tokens.find(wrong, now), Err(TokenRefused::Unknown), "{wrong}");
        }

        assert_eq!(revoke(&path, "exporter").unwrap(), std::slice::from_ref(&record));
        assert!(matches!(revoke(&path, &record.id), Err(TokensError::Unknown { .. })));
        assert_eq!(list(&path).unwrap().len(), 1);
        // Whoever looks now does not know it any more.
        assert_eq!(Tokens::new(path).find(&text, now), Err(TokenRefused::Unknown));
    }

    #[test]
    fn a_file_that_cannot_be_read_lets_nobody_in() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tokens.json");
        let (_, text) = create(&path, "a", Utc::now(), None).unwrap();
        fs::write(&path, "{").unwrap();
        assert_eq!(
            Tokens::new(path.clone()).find(&text, Utc::now()),
            Err(TokenRefused::Unreadable)
        );
        assert!(matches!(
            create(&path, "b", Utc::now(), None),
            Err(TokensError::Broken { .. })
        ));
        for name in ["", " ", "a\nb", &"x".repeat(101)] {
            assert!(
                matches!(create(&path, name, Utc::now(), None), Err(TokensError::Name(_))),
                "{name}"
            );
        }
    }
}
