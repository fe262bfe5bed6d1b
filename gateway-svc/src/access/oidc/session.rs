//! Cookies: who is signed in, and who is about to be.

use cookie::{Cookie, CookieJar, Key, SameSite, time};
use http::{HeaderMap, HeaderValue, header};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::{
    config::OidcConfig,
    provider::{Begun, Person},
};

/// How long signing in may take, in seconds.
pub(in crate::access) const SIGN_IN_LASTS: i64 = 15 * 60;

/// The most bytes of groups that are kept, since a cookie holds 4096 in all.
const MOST_GROUP_BYTES: usize = 1600;

/// Who is signed in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::access) struct Session {
    /// By what roles know a person.
    pub(in crate::access) user: String,
    /// By what people do.
    pub(in crate::access) name: String,
    /// Those that roles name.
    pub(in crate::access) groups: Vec<String>,
    /// Unix seconds.
    pub(in crate::access) until: i64,
}

impl Session {
    pub(super) fn new(person: Person, until: i64, is_of_role: impl Fn(&str) -> bool) -> Self {
        let mut bytes = 0;
        let kept = person
            .groups
            .into_iter()
            .filter(|group| is_of_role(group))
            .take_while(|group| {
                bytes += group.len() + 3;
                bytes <= MOST_GROUP_BYTES
            });
        Self {
            user: person.user.chars().take(200).collect(),
            name: person.name,
            groups: kept.collect(),
            until,
        }
    }
}

/// Writes and reads the cookies.
#[derive(Clone)]
pub(in crate::access) struct Sessions {
    key: Key,
    secure: bool,
}

impl std::fmt::Debug for Sessions {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Sessions")
            .field("secure", &self.secure)
            .finish_non_exhaustive()
    }
}

impl Sessions {
    pub(in crate::access) fn new(config: &OidcConfig) -> Self {
        let key = match &config.session_key {
            // No shorter than `derive_from` asks, as the file's validation has seen to.
            Some(secret) => Key::derive_from(secret.0.as_bytes()),
            None => Key::generate(),
        };
        Self {
            key,
            secure: config.is_secure(),
        }
    }

    /// Browsers keep cookies of the prefix from other hosts and from plain HTTP.
    fn session_name(&self) -> &'static str {
        if self.secure {
            "__Host-fedcost-session"
        } else {
            "fedcost-session"
        }
    }

    fn begun_name(&self) -> &'static str {
        if self.secure {
            "__Host-fedcost-sign-in"
        } else {
            "fedcost-sign-in"
        }
    }

    fn write<T: Serialize>(&self, name: &'static str, value: &T, seconds: i64) -> Option<HeaderValue> {
        let text = serde_json::to_string(value).ok()?;
        let mut jar = CookieJar::new();
        jar.private_mut(&self.key).add(self.cookie(name, text, seconds));
        HeaderValue::try_from(jar.get(name)?.encoded().to_string()).ok()
    }

    fn cookie(&self, name: &'static str, text: String, seconds: i64) -> Cookie<'static> {
        Cookie::build((name, text))
            .path("/")
            .http_only(true)
            .secure(self.secure)
            .same_site(SameSite::Lax)
            .max_age(time::Duration::seconds(seconds))
            .build()
    }

    fn forget(&self, name: &'static str) -> Option<HeaderValue> {
        HeaderValue::try_from(self.cookie(name, String::new(), 0).to_string()).ok()
    }

    fn read<T: DeserializeOwned>(&self, name: &'static str, headers: &HeaderMap) -> Option<T> {
        let lines = headers
            .get_all(header::COOKIE)
            .iter()
            .filter_map(|line| line.to_str().ok());
        let cookies = lines.flat_map(|line| Cookie::split_parse_encoded(line.to_owned()));
        let mut jar = CookieJar::new();
        for cookie in cookies.filter_map(Result::ok).filter(|cookie| cookie.name() == name) {
            jar.add_original(cookie);
        }
        let cookie = jar.private(&self.key).get(name)?;
        serde_json::from_str(cookie.value()).ok()
    }

    pub(super) fn sign_in(&self, session: &Session, seconds: i64) -> Option<HeaderValue> {
        self.write(self.session_name(), session, seconds)
    }

    pub(super) fn sign_out(&self) -> Option<HeaderValue> {
        self.forget(self.session_name())
    }

    /// Who is signed in at this time, in Unix seconds.
    pub(in crate::access) fn signed_in(&self, headers: &HeaderMap, now: i64) -> Option<Session> {
        let session: Session = self.read(self.session_name(), headers)?;
        // What the browser makes of the cookie's age is its own affair.
        (session.until > now).then_some(session)
    }

    pub(super) fn begin(&self, begun: &Begun) -> Option<HeaderValue> {
        self.write(self.begun_name(), begun, SIGN_IN_LASTS)
    }

    pub(super) fn begun(&self, headers: &HeaderMap, now: i64) -> Option<Begun> {
        let begun: Begun = self.read(self.begun_name(), headers)?;
        (begun.until > now).then_some(begun)
    }

    pub(super) fn forget_begun(&self) -> Option<HeaderValue> {
        self.forget(self.begun_name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sessions(secure: bool) -> Sessions {
        Sessions {
            key: Key::generate(),
            secure,
        }
    }

    fn session(groups: &[&str]) -> Session {
        let person = Person {
            user: "alice@example.org".to_owned(),
            name: "Alicë \"A\"; x=y".to_owned(),
            groups: groups.iter().map(|group| (*group).to_owned()).collect(),
        };
        Session::new(person, 100, |group| group != "unknown")
    }

    fn sent(cookie: &HeaderValue) -> HeaderMap {
        let pair = cookie.to_str().unwrap().split(';').next().unwrap().to_owned();
        HeaderMap::from_iter([(header::COOKIE, HeaderValue::try_from(format!("a=b; {pair}")).unwrap())])
    }

    #[test]
    fn a_session_comes_back_until_it_ends_and_only_to_who_has_the_key() {
        let (ours, others) = (sessions(true), sessions(true));
        let cookie = ours.sign_in(&session(&["dev", "unknown"]), 60).unwrap();
        let text = cookie.to_str().unwrap();
        assert!(
            text.starts_with("__Host-fedcost-session=") && !text.contains("alice"),
            "{text}"
        );
        for attribute in ["HttpOnly", "SameSite=Lax", "Secure", "Path=/", "Max-Age=60"] {
            assert!(text.contains(attribute), "{text}");
        }
        assert!(!text.contains("Domain"), "{text}");
        assert_eq!(ours.signed_in(&sent(&cookie), 99), Some(session(&["dev"])));
        assert_eq!(ours.signed_in(&sent(&cookie), 100), None);
        assert_eq!(others.signed_in(&sent(&cookie), 99), None);
        let plain = sessions(false).sign_in(&session(&[]), 60).unwrap();
        assert!(!plain.to_str().unwrap().contains("Secure"));
    }

    #[test]
    fn cookies_cannot_be_forged_or_taken_for_one_another() {
        let ours = sessions(false);
        let cookie = ours.sign_in(&session(&[]), 60).unwrap();
        let text = cookie.to_str().unwrap();
        let swapped = HeaderValue::try_from(text.replace("fedcost-session", "fedcost-sign-in")).unwrap();
        assert!(ours.begun(&sent(&swapped), 0).is_none());
        let at = "fedcost-session=".len() + 8;
        let other = if &text[at..=at] == "A" { "B" } else { "A" };
        let forged = format!("{}{other}{}", &text[..at], &text[at + 1..]);
        assert_eq!(ours.signed_in(&sent(&HeaderValue::try_from(forged).unwrap()), 0), None);
        let plain =
            HeaderValue::from_static(r#"fedcost-session={"user":"admin","name":"","groups":[],"until":9999999999}"#);
        assert_eq!(ours.signed_in(&sent(&plain), 0), None);
    }

    #[test]
    fn a_cookie_does_not_outgrow_what_browsers_keep() {
        let many: Vec<String> = (0..500).map(|at| format!("group-{at:04}-of-a-large-company")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        let cookie = sessions(true).sign_in(&session(&many), 60).unwrap();
        assert!(cookie.len() < 4096, "{}", cookie.len());
    }
}
