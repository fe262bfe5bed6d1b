//! Who a caller is: the one URI name of its certificate.

use std::{fmt, str::FromStr};

use rustls_pki_types::CertificateDer;
use serde::{Deserialize, Deserializer, de};
use x509_parser::{extensions::GeneralName, prelude::FromDer, prelude::X509Certificate};

const SCHEME: &str = "spiffe://";

// Limits of the SPIFFE standard (trust domain), of a DNS label (service) and of a DNS name (cluster).
const LONGEST_TRUST_DOMAIN: usize = 255;
const LONGEST_SERVICE: usize = 63;
const LONGEST_CLUSTER: usize = 253;

/// The set of identities that one authority vouches for, such as `fedcost` or `costs.example.org`.
///
/// Lower-case letters, digits, `.`, `-` and `_`, at most 255, as the SPIFFE standard has it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TrustDomain(String);

impl TrustDomain {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for TrustDomain {
    fn default() -> Self {
        Self("fedcost".to_owned())
    }
}

impl FromStr for TrustDomain {
    type Err = IdentityError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let allowed = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'-' | b'_');
        let labels_are_named = text.split('.').all(|label| !label.is_empty());
        if text.len() > LONGEST_TRUST_DOMAIN || !labels_are_named || !text.bytes().all(allowed) {
            return Err(IdentityError::TrustDomain(text.to_owned()));
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for TrustDomain {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for TrustDomain {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

/// What a certificate stands for within its trust domain.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Principal {
    /// A FedCost service, such as `storage-svc`.
    Service(String),
    /// A federated cluster, by the id under which its files lie in the bucket.
    Cluster(String),
}

/// A caller: `spiffe://<trust domain>/service/<name>` or `spiffe://<trust domain>/cluster/<cluster id>`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Identity {
    trust_domain: TrustDomain,
    principal: Principal,
}

impl Identity {
    /// The identity of the service `name`.
    ///
    /// # Errors
    /// When `name` is not 1 to 63 of `a-z`, `0-9` and `-`, beginning and ending with a letter or digit.
    pub fn service(trust_domain: TrustDomain, name: &str) -> Result<Self, IdentityError> {
        let allowed = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-');
        let valid = (1..=LONGEST_SERVICE).contains(&name.len())
            && name.bytes().all(allowed)
            && !name.starts_with('-')
            && !name.ends_with('-');
        if !valid {
            return Err(IdentityError::Service(name.to_owned()));
        }
        Ok(Self {
            trust_domain,
            principal: Principal::Service(name.to_owned()),
        })
    }

    /// The identity of the federated cluster `id`.
    ///
    /// # Errors
    /// When `id` is not 1 to 253 of `A-Z`, `a-z`, `0-9`, `.`, `_` and `-`, or is `.` or `..`.
    pub fn cluster(trust_domain: TrustDomain, id: &str) -> Result<Self, IdentityError> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
        // The id becomes a folder of the bucket, so it must not be able to step out of it.
        let steps_out = matches!(id, "." | "..");
        if !(1..=LONGEST_CLUSTER).contains(&id.len()) || !id.bytes().all(allowed) || steps_out {
            return Err(IdentityError::Cluster(id.to_owned()));
        }
        Ok(Self {
            trust_domain,
            principal: Principal::Cluster(id.to_owned()),
        })
    }

    /// Reads the identity out of a certificate (DER).
    ///
    /// # Errors
    /// When the certificate cannot be read, or does not carry exactly one URI name, or that name is no identity.
    pub fn from_certificate(certificate: &CertificateDer<'_>) -> Result<Self, IdentityError> {
        let (_, certificate) =
            X509Certificate::from_der(certificate).map_err(|error| IdentityError::Certificate(error.to_string()))?;
        let names = certificate
            .subject_alternative_name()
            .map_err(|error| IdentityError::Certificate(error.to_string()))?
            .map(|extension| extension.value.general_names.as_slice())
            .unwrap_or_default();
        let uris = names.iter().filter_map(|name| match name {
            GeneralName::URI(uri) => Some(*uri),
            _ => None,
        });
        match uris.collect::<Vec<_>>().as_slice() {
            [uri] => uri.parse(),
            [] => Err(IdentityError::NoUri),
            // The standard demands one name: with two, which of them is meant would be a guess.
            several => Err(IdentityError::SeveralUris(several.len())),
        }
    }

    /// The domain whose authority vouches for this identity.
    pub fn trust_domain(&self) -> &TrustDomain {
        &self.trust_domain
    }

    /// What the identity stands for.
    pub fn principal(&self) -> &Principal {
        &self.principal
    }

    /// The service's name, if this is a service.
    pub fn service_name(&self) -> Option<&str> {
        match &self.principal {
            Principal::Service(name) => Some(name),
            Principal::Cluster(_) => None,
        }
    }

    /// The cluster's id, if this is a cluster.
    pub fn cluster_id(&self) -> Option<&str> {
        match &self.principal {
            Principal::Cluster(id) => Some(id),
            Principal::Service(_) => None,
        }
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, name) = match &self.principal {
            Principal::Service(name) => ("service", name),
            Principal::Cluster(id) => ("cluster", id),
        };
        write!(formatter, "{SCHEME}{}/{kind}/{name}", self.trust_domain)
    }
}

impl FromStr for Identity {
    type Err = IdentityError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let rest = text
            .strip_prefix(SCHEME)
            .ok_or_else(|| IdentityError::Scheme(text.to_owned()))?;
        let (trust_domain, path) = rest
            .split_once('/')
            .ok_or_else(|| IdentityError::Path(text.to_owned()))?;
        let trust_domain = trust_domain.parse()?;
        match path.split_once('/') {
            Some(("service", name)) => Self::service(trust_domain, name),
            Some(("cluster", id)) => Self::cluster(trust_domain, id),
            _ => Err(IdentityError::Path(text.to_owned())),
        }
    }
}

/// Why a text or a certificate is not an identity.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdentityError {
    /// Not a SPIFFE id at all.
    #[error("{0:?} is not an identity: it must begin with {SCHEME:?}")]
    Scheme(String),
    /// A bad trust domain.
    #[error(
        "{0:?} is not a trust domain: use 1 to {LONGEST_TRUST_DOMAIN} of a-z, 0-9, '.', '-' and '_', without an empty part between dots"
    )]
    TrustDomain(String),
    /// A path that names neither a service nor a cluster.
    #[error("{0:?} is not an identity: it must be spiffe://<trust domain>/service/<name> or …/cluster/<cluster id>")]
    Path(String),
    /// A bad service name.
    #[error("{0:?} is not a service name: use 1 to {LONGEST_SERVICE} of a-z, 0-9 and '-', not '-' at either end")]
    Service(String),
    /// A bad cluster id.
    #[error(
        "{0:?} is not a cluster id: use 1 to {LONGEST_CLUSTER} of A-Z, a-z, 0-9, '.', '_' and '-', not \".\" or \"..\""
    )]
    Cluster(String),
    /// Bytes that are not an X.509 certificate, or one with a broken extension.
    #[error("the certificate cannot be read: {0}")]
    Certificate(String),
    /// A peer that showed no certificate.
    #[error("no certificate was shown")]
    NoCertificate,
    /// A certificate without a URI name.
    #[error("the certificate has no URI among its subject alternative names; it needs one spiffe:// name")]
    NoUri,
    /// A certificate with several URI names.
    #[error("the certificate has {0} URIs among its subject alternative names; it needs exactly one")]
    SeveralUris(usize),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_and_writes_services_and_clusters() {
        for text in [
            "spiffe://fedcost/service/storage-svc",
            "spiffe://costs.example.org/cluster/prod_EU.1",
            "spiffe://a_b-c/cluster/...",
        ] {
            assert_eq!(text.parse::<Identity>().unwrap().to_string(), text);
        }
        let longest = format!("spiffe://fedcost/cluster/{}", "c".repeat(LONGEST_CLUSTER));
        assert_eq!(
            longest.parse::<Identity>().unwrap().cluster_id().unwrap().len(),
            LONGEST_CLUSTER
        );
    }

    #[test]
    fn refuses_what_is_not_strictly_an_identity() {
        for text in [
            "",
            "https://fedcost/service/a",
            "SPIFFE://fedcost/service/a",
            "spiffe://fedcost",
            "spiffe://fedcost/",
            "spiffe://fedcost/service",
            "spiffe://fedcost/service/",
            "spiffe://fedcost/service/a/b",
            "spiffe://fedcost//service/a",
            "spiffe://fedcost/service//a",
            "spiffe://fedcost/service/A",
            "spiffe://fedcost/service/-a",
            "spiffe://fedcost/service/a?b",
            "spiffe://fedcost/cluster/.",
            "spiffe://fedcost/cluster/..",
            "spiffe://fedcost/cluster/a/..",
            "spiffe://fedcost/cluster/a%2Fb",
            "spiffe://fedcost/cluster/ä",
            "spiffe://fedcost/user/a",
            "spiffe:///service/a",
            "spiffe://Fedcost/service/a",
            "spiffe://fed..cost/service/a",
            "spiffe://.fedcost/service/a",
            "spiffe://fedcost:443/service/a",
            "spiffe://user@fedcost/service/a",
        ] {
            assert!(text.parse::<Identity>().is_err(), "{text:?} was taken");
        }
        let too_long = format!("spiffe://fedcost/cluster/{}", "c".repeat(LONGEST_CLUSTER + 1));
        assert!(matches!(too_long.parse::<Identity>(), Err(IdentityError::Cluster(_))));
    }
}
