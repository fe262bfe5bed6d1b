//! `fedcost tokens`: make, list and revoke API tokens of the gateway.

use std::{io, path::PathBuf, time::Duration};

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use gateway_svc::access::tokens::{self, TokenRecord, TokensError};

use crate::output;

const EXAMPLES: &str = "\
Examples:
  fedcost tokens create exporter --file tokens.json --expires-in 90d
      prints the token, which is kept nowhere; roles name it under `tokens`
  fedcost tokens list --file tokens.json
  fedcost tokens revoke exporter --file tokens.json
      all tokens of the name; an id revokes one

The file is the one of access.tokens.file in the gateway's. It holds hashes alone, and gateways take up changes within two
seconds. Clients send `Authorization: Bearer TOKEN`, or `X-API-KEY: TOKEN`.";

/// Make, list and revoke API tokens for machines that ask the gateway
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Make a token, and print it
    Create {
        /// What roles call it
        name: String,
        /// How long it is taken, such as 90d; `never` ends never
        #[arg(long, value_name = "TIME", default_value = "90d", value_parser = parse_expiry)]
        expires_in: Expiry,
        #[command(flatten)]
        file: TokensFile,
    },
    /// List tokens, without their secrets
    List {
        #[command(flatten)]
        file: TokensFile,
    },
    /// Forget the token of an id, or all of a name
    Revoke {
        /// The id, or the name
        token: String,
        #[command(flatten)]
        file: TokensFile,
    },
}

#[derive(Debug, clap::Args)]
struct TokensFile {
    /// The file of tokens; created when it is missing
    #[arg(long = "file", value_name = "FILE")]
    path: PathBuf,
}

/// How long a token is taken; none for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Expiry(Option<TimeDelta>);

fn parse_expiry(text: &str) -> Result<Expiry, String> {
    if text == "never" {
        return Ok(Expiry(None));
    }
    humantime::parse_duration(text)
        .ok()
        .filter(|time| !time.is_zero() && *time <= Duration::from_secs(100 * 366 * 24 * 3600))
        .and_then(|time| TimeDelta::from_std(time).ok())
        .map(|time| Expiry(Some(time)))
        .ok_or_else(|| "allowed is a time with units, such as 12h or 90d, up to a hundred years, or never".to_owned())
}

/// Why it was not done.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TokensCommandError {
    #[error(transparent)]
    Tokens(#[from] TokensError),
    #[error("stdout: {0}")]
    Stdout(#[from] io::Error),
}

impl TokensCommandError {
    pub(crate) fn is_usage(&self) -> bool {
        matches!(
            self,
            Self::Tokens(TokensError::Name(_) | TokensError::Unknown { .. } | TokensError::Broken { .. })
        )
    }
}

pub(crate) fn run(arguments: Arguments) -> Result<(), TokensCommandError> {
    let now = Utc::now();
    let text = match arguments.command {
        Command::Create { name, expires_in, file } => {
            let expires = expires_in.0.and_then(|time| now.checked_add_signed(time));
            let (_, token) = tokens::create(&file.path, &name, now, expires)?;
            format!("{token}\n")
        }
        Command::List { file } => table(&tokens::list(&file.path)?, now),
        Command::Revoke { token, file } => {
            let revoked = tokens::revoke(&file.path, &token)?;
            revoked
                .iter()
                .map(|token| format!("revoked {} ({})\n", token.id, token.name))
                .collect()
        }
    };
    Ok(output::print(|out| out.write_all(text.as_bytes()))?)
}

fn table(tokens: &[TokenRecord], now: DateTime<Utc>) -> String {
    let time = |time: DateTime<Utc>| time.to_rfc3339_opts(SecondsFormat::Secs, true);
    let mut text = format!("{:12}  {:20}  {:20}  expires\n", "id", "name", "created");
    for token in tokens {
        let expires = match token.expires {
            None => "never".to_owned(),
            Some(expires) if expires <= now => format!("{} (expired)", time(expires)),
            Some(expires) => time(expires),
        };
        let (id, name, created) = (&token.id, &token.name, time(token.created));
        text.push_str(&format!("{id:12}  {name:20}  {created:20}  {expires}\n"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expiry_takes_times_with_units() {
        assert_eq!(parse_expiry("90d").unwrap(), Expiry(Some(TimeDelta::days(90))));
        assert_eq!(parse_expiry("never").unwrap(), Expiry(None));
        for text in ["90", "0s", "soon", "1000y"] {
            assert!(
                parse_expiry(text).unwrap_err().starts_with("allowed is a time"),
                "{text}"
            );
        }
    }
}
