//! People whom a proxy in front of the gateway has signed in, and names in headers.

use std::net::IpAddr;

use http::{HeaderMap, HeaderName};
use ipnet::IpNet;

/// Whose headers are believed, and what they are called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct TrustedHeader {
    pub(super) user: HeaderName,
    pub(super) groups: Option<HeaderName>,
    pub(super) peers: Vec<IpNet>,
}

/// What a proxy says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Named {
    pub(super) user: String,
    pub(super) groups: Vec<String>,
}

/// Why a proxy's headers are not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum HeaderRefused {
    #[error("the header that names a user came from an address that may not set it")]
    Peer,
    #[error("the header that names a user cannot be read, or came twice")]
    Malformed,
}

impl TrustedHeader {
    /// Who the proxy says that this is; none when it says nothing.
    pub(super) fn named(&self, headers: &HeaderMap, peer: Option<IpAddr>) -> Result<Option<Named>, HeaderRefused> {
        let mut users = headers.get_all(&self.user).iter();
        let Some(user) = users.next() else {
            return Ok(None);
        };
        let is_trusted = |peer: IpAddr| {
            let peer = peer.to_canonical();
            self.peers.iter().any(|network| network.contains(&peer))
        };
        if !peer.is_some_and(is_trusted) {
            return Err(HeaderRefused::Peer);
        }
        let user = user.to_str().map(str::trim).map_err(|_| HeaderRefused::Malformed)?;
        // A second one is what a client has sent along, past a proxy that adds rather than replaces.
        if users.next().is_some() {
            return Err(HeaderRefused::Malformed);
        }
        if user.is_empty() {
            return Ok(None);
        }
        let groups = match &self.groups {
            None => Vec::new(),
            Some(name) => {
                let mut values = headers.get_all(name).iter();
                let first = values.next().map(|value| value.to_str());
                if values.next().is_some() {
                    return Err(HeaderRefused::Malformed);
                }
                let list = first.transpose().map_err(|_| HeaderRefused::Malformed)?;
                let groups = list.into_iter().flat_map(|list| list.split(',')).map(str::trim);
                groups.filter(|group| !group.is_empty()).map(str::to_owned).collect()
            }
        };
        Ok(Some(Named {
            user: user.to_owned(),
            groups,
        }))
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn only_the_proxy_is_believed_and_only_if_it_is_clear() {
        let trusted = TrustedHeader {
            user: HeaderName::from_static("x-forwarded-user"),
            groups: Some(HeaderName::from_static("x-forwarded-groups")),
            peers: vec!["10.1.0.0/16".parse().unwrap(), "::1/128".parse().unwrap()],
        };
        let headers = |pairs: &[(&'static str, &'static str)]| -> HeaderMap {
            let pairs = pairs
                .iter()
                .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
            let mut headers = HeaderMap::new();
            for (name, value) in pairs {
                headers.append(name, value);
            }
            headers
        };
        let ask = |pairs: &[_], peer: &str| trusted.named(&headers(pairs), Some(peer.parse().unwrap()));
        let alice = [("x-forwarded-user", "alice"), ("x-forwarded-groups", "dev, ops,,")];
        let named = Named {
            user: "alice".to_owned(),
            groups: vec!["dev".to_owned(), "ops".to_owned()],
        };
        assert_eq!(ask(&alice, "10.1.2.3"), Ok(Some(named.clone())));
        // As a socket for both families has it.
        assert_eq!(ask(&alice, "::ffff:10.1.2.3"), Ok(Some(named)));
        assert_eq!(ask(&alice, "10.2.0.1"), Err(HeaderRefused::Peer));
        assert_eq!(trusted.named(&headers(&alice), None), Err(HeaderRefused::Peer));
        assert_eq!(ask(&[], "10.2.0.1"), Ok(None));
        assert_eq!(ask(&[("x-forwarded-user", " ")], "::1"), Ok(None));
        for twice in [
            [("x-forwarded-user", "alice"), ("x-forwarded-user", "admin")].as_slice(),
            &[alice[0], alice[1], ("x-forwarded-groups", "admin")],
        ] {
            assert_eq!(ask(twice, "::1"), Err(HeaderRefused::Malformed));
        }
    }
}
