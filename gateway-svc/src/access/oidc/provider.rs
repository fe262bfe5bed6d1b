//! The issuer: finding out how it is asked, and what it says of whom it has signed in.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use futures::future::BoxFuture;
use openidconnect::{
    AccessTokenHash, AdditionalClaims, AsyncHttpClient, AuthorizationCode, ClientId, ClientSecret, CsrfToken,
    EmptyExtraTokenFields, EndpointMaybeSet, EndpointNotSet, EndpointSet, HttpRequest, HttpResponse, IdTokenFields,
    IssuerUrl, LogoutRequest, Nonce, OAuth2TokenResponse as _, PkceCodeChallenge, PkceCodeVerifier,
    PostLogoutRedirectUrl, ProviderMetadataWithLogout, RedirectUrl, Scope, StandardErrorResponse,
    StandardTokenResponse, TokenResponse as _, UserInfoClaims,
    core::{
        CoreAuthDisplay, CoreAuthPrompt, CoreAuthenticationFlow, CoreErrorResponseType, CoreGenderClaim,
        CoreJsonWebKey, CoreJweContentEncryptionAlgorithm, CoreJwsSigningAlgorithm, CoreRevocableToken,
        CoreRevocationErrorResponse, CoreTokenIntrospectionResponse, CoreTokenType,
    },
};
use reqwest::redirect::Policy;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tokio::sync::Mutex;
use url::Url;

use super::config::OidcConfig;

/// How long the issuer may take to answer.
const ANSWER: Duration = Duration::from_secs(10);
/// How much it may answer.
const MOST_BYTES: usize = 1 << 20;
/// How long what it says of itself holds.
const KNOWN_FOR: Duration = Duration::from_secs(3600);
/// After what time it is asked again when it has signed with a key that is not known.
const KEYS_FOR: Duration = Duration::from_secs(30);

/// Claims beyond those of the standard.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct MoreClaims(Map<String, Value>);
impl AdditionalClaims for MoreClaims {}

type TokenFields = IdTokenFields<
    MoreClaims,
    EmptyExtraTokenFields,
    CoreGenderClaim,
    CoreJweContentEncryptionAlgorithm,
    CoreJwsSigningAlgorithm,
>;
type Tokens = StandardTokenResponse<TokenFields, CoreTokenType>;
type Client = openidconnect::Client<
    MoreClaims,
    CoreAuthDisplay,
    CoreGenderClaim,
    CoreJweContentEncryptionAlgorithm,
    CoreJsonWebKey,
    CoreAuthPrompt,
    StandardErrorResponse<CoreErrorResponseType>,
    Tokens,
    CoreTokenIntrospectionResponse,
    CoreRevocableToken,
    CoreRevocationErrorResponse,
    EndpointSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointMaybeSet,
    EndpointMaybeSet,
>;

/// Why somebody cannot be signed in.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SignInError {
    #[error("people are not signed in here")]
    Off,
    #[error("the issuer of identities is out of reach for the moment; try again shortly")]
    Issuer,
    #[error("signing in was not begun in this browser, or too long ago; begin anew at /auth/login")]
    NotBegun,
    #[error("the issuer refused: {0}; begin anew at /auth/login")]
    Refused(String),
    #[error("what the issuer said cannot be believed; begin anew at /auth/login")]
    NotBelieved,
    #[error(
        "the issuer does not say who this is: its claim {0:?} is missing or no text; an operator must set user_claim"
    )]
    NoUser(String),
    #[error("the issuer has not verified this email address, by which people are known here")]
    EmailNotVerified,
}

/// What is remembered of a sign-in that has begun.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Begun {
    pub(super) state: String,
    nonce: String,
    verifier: String,
    /// Where to go on.
    pub(super) back: String,
    /// Unix seconds.
    pub(super) until: i64,
}

/// Who was signed in, by the issuer's word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Person {
    pub(super) user: String,
    pub(super) name: String,
    pub(super) groups: Vec<String>,
}

/// What the issuer says of itself, and when it said so.
#[derive(Clone)]
struct Known {
    metadata: Arc<ProviderMetadataWithLogout>,
    asked: Instant,
}

/// An issuer.
pub(crate) struct Provider {
    config: OidcConfig,
    http: Http,
    known: Mutex<Option<Known>>,
}

impl std::fmt::Debug for Provider {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Provider")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

/// Why the issuer could not be asked.
#[derive(Debug, thiserror::Error)]
enum AskError {
    #[error(transparent)]
    Http(#[from] reqwest::Error),
    #[error(transparent)]
    Build(#[from] http::Error),
    #[error("its answer is longer than {MOST_BYTES} bytes")]
    TooLong,
}

/// The client that asks.
#[derive(Clone, Debug)]
struct Http(reqwest::Client);

impl<'c> AsyncHttpClient<'c> for Http {
    type Error = AskError;
    type Future = BoxFuture<'c, Result<HttpResponse, AskError>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(async move {
            let mut response = self.0.execute(request.try_into()?).await?;
            let mut built = http::Response::builder().status(response.status());
            for (name, value) in response.headers() {
                built = built.header(name, value);
            }
            let mut body = Vec::new();
            while let Some(piece) = response.chunk().await? {
                if body.len() + piece.len() > MOST_BYTES {
                    return Err(AskError::TooLong);
                }
                body.extend_from_slice(&piece);
            }
            Ok(built.body(body)?)
        })
    }
}

fn issuer_failed(what: &str, error: &dyn std::error::Error) -> SignInError {
    let mut causes = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        causes = format!("{causes}: {cause}");
        source = cause.source();
    }
    tracing::warn!(error = causes, "the issuer cannot be asked {what}");
    SignInError::Issuer
}

impl Provider {
    /// An issuer that is asked when it is needed first.
    ///
    /// # Errors
    /// When the authorities of the file cannot be used.
    pub(in crate::access) fn new(config: OidcConfig) -> Result<Self, reqwest::Error> {
        let mut http = reqwest::Client::builder()
            // An issuer that redirects its own questions could send them to our insides.
            .redirect(Policy::none())
            .timeout(ANSWER)
            .user_agent(concat!("fedcost/", env!("CARGO_PKG_VERSION")));
        if let Some(authorities) = &config.authorities {
            for authority in reqwest::Certificate::from_pem_bundle(authorities)? {
                http = http.add_root_certificate(authority);
            }
        }
        Ok(Self {
            http: Http(http.build()?),
            config,
            known: Mutex::default(),
        })
    }

    pub(super) fn config(&self) -> &OidcConfig {
        &self.config
    }

    /// What the issuer says of itself, its keys among it, if it said so no longer than this ago.
    async fn metadata(&self, at_most: Duration) -> Result<Arc<ProviderMetadataWithLogout>, SignInError> {
        // Who waits for the lock finds what the one before was told.
        let mut known = self.known.lock().await;
        if let Some(known) = known.as_ref().filter(|known| known.asked.elapsed() < at_most) {
            return Ok(Arc::clone(&known.metadata));
        }
        // The standard builds addresses by adding to the issuer's name as it is, with or without a slash at its end.
        let name = self.config.issuer.as_str();
        let name = if self.config.issuer.path() == "/" {
            name.trim_end_matches('/')
        } else {
            name
        };
        let issuer = IssuerUrl::new(name.to_owned()).map_err(|error| issuer_failed("anything", &error))?;
        match ProviderMetadataWithLogout::discover_async(issuer, &self.http).await {
            Ok(metadata) => {
                let metadata = Arc::new(metadata);
                *known = Some(Known {
                    metadata: Arc::clone(&metadata),
                    asked: Instant::now(),
                });
                Ok(metadata)
            }
            Err(error) => {
                let failed = issuer_failed("about itself", &error);
                // What it said before is better than nothing.
                known.as_ref().map(|known| Arc::clone(&known.metadata)).ok_or(failed)
            }
        }
    }

    fn client(&self, metadata: &ProviderMetadataWithLogout) -> Client {
        let secret = self.config.client_secret.as_ref();
        let client = Client::from_provider_metadata(
            metadata.clone(),
            ClientId::new(self.config.client_id.clone()),
            secret.map(|secret| ClientSecret::new(secret.0.clone())),
        );
        client.set_redirect_uri(RedirectUrl::from_url(self.config.redirect_url.clone()))
    }

    /// Where to send somebody who wants to be signed in, and what to remember of it.
    pub(super) async fn begin(&self, back: String, until: i64) -> Result<(Url, Begun), SignInError> {
        let client = self.client(&*self.metadata(KNOWN_FOR).await?);
        let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
        let mut request = client.authorize_url(
            CoreAuthenticationFlow::AuthorizationCode,
            CsrfToken::new_random,
            Nonce::new_random,
        );
        // The library adds `openid` by itself.
        for scope in self.config.scopes.iter().filter(|scope| *scope != "openid") {
            request = request.add_scope(Scope::new(scope.clone()));
        }
        let (url, state, nonce) = request.set_pkce_challenge(challenge).url();
        let begun = Begun {
            state: state.secret().clone(),
            nonce: nonce.secret().clone(),
            verifier: verifier.secret().clone(),
            back,
            until,
        };
        Ok((url, begun))
    }

    /// Who was signed in, for the code that the issuer gave to the browser.
    pub(super) async fn finish(&self, code: String, begun: &Begun) -> Result<Person, SignInError> {
        let metadata = self.metadata(KNOWN_FOR).await?;
        let client = self.client(&metadata);
        let tokens = client
            .exchange_code(AuthorizationCode::new(code))
            .map_err(|error| issuer_failed("for tokens", &error))?
            .set_pkce_verifier(PkceCodeVerifier::new(begun.verifier.clone()))
            .request_async(&self.http)
            .await
            .map_err(|error| match error {
                openidconnect::RequestTokenError::ServerResponse(refused) => {
                    tracing::warn!(error = %refused, "the issuer gives no tokens for a code");
                    SignInError::Refused(refused.error().as_ref().to_owned())
                }
                other => issuer_failed("for tokens", &other),
            })?;
        let not_believed = |error: &dyn std::fmt::Display| {
            tracing::warn!(%error, "an ID token is not believed");
            SignInError::NotBelieved
        };
        let id_token = tokens.id_token().ok_or_else(|| not_believed(&"there is none"))?;
        let nonce = Nonce::new(begun.nonce.clone());
        let algorithms = |metadata: &ProviderMetadataWithLogout| {
            let told = metadata.id_token_signing_alg_values_supported().clone();
            told.into_iter()
                .filter(|algorithm| *algorithm != CoreJwsSigningAlgorithm::None)
        };
        let verifier = client.id_token_verifier().set_allowed_algs(algorithms(&metadata));
        let renewed;
        let claims = match id_token.claims(&verifier, &nonce) {
            Ok(claims) => claims,
            // Its keys may have changed since.
            Err(openidconnect::ClaimsVerificationError::SignatureVerification(_)) => {
                let metadata = self.metadata(KEYS_FOR).await?;
                renewed = self.client(&metadata);
                let verifier = renewed.id_token_verifier().set_allowed_algs(algorithms(&metadata));
                id_token
                    .claims(&verifier, &nonce)
                    .map_err(|error| not_believed(&error))?
            }
            Err(error) => return Err(not_believed(&error)),
        };
        if let Some(expected) = claims.access_token_hash() {
            let algorithm = id_token.signing_alg().map_err(|error| not_believed(&error))?;
            let key = id_token.signing_key(&verifier).map_err(|error| not_believed(&error))?;
            let found = AccessTokenHash::from_token(tokens.access_token(), algorithm, key)
                .map_err(|error| not_believed(&error))?;
            if found != *expected {
                return Err(not_believed(&"the access token is not the one that it names"));
            }
        }
        let mut said = as_map(serde_json::to_value(claims));
        let lacks = |said: &Map<String, Value>| {
            let mut wanted = vec![&self.config.user_claim, &self.config.name_claim];
            wanted.extend(&self.config.groups_claim);
            wanted.into_iter().any(|claim| !said.contains_key(claim))
        };
        // Many issuers say little in the token, and the rest when they are asked.
        if lacks(&said)
            && let Ok(request) = client.user_info(tokens.access_token().clone(), Some(claims.subject().clone()))
        {
            let info: UserInfoClaims<MoreClaims, CoreGenderClaim> = request
                .request_async(&self.http)
                .await
                .map_err(|error| issuer_failed("about a person", &error))?;
            for (name, value) in as_map(serde_json::to_value(info)) {
                said.entry(name).or_insert(value);
            }
        }
        self.person(&said)
    }

    fn person(&self, said: &Map<String, Value>) -> Result<Person, SignInError> {
        let claim = self.config.user_claim.as_str();
        let user = said
            .get(claim)
            .and_then(Value::as_str)
            .map(str::trim)
            .unwrap_or_default();
        if user.is_empty() {
            return Err(SignInError::NoUser(claim.to_owned()));
        }
        // Anybody could claim to have an address that nobody looked into.
        if claim == "email" && said.get("email_verified") == Some(&Value::Bool(false)) {
            return Err(SignInError::EmailNotVerified);
        }
        let groups = match self.config.groups_claim.as_ref().and_then(|claim| said.get(claim)) {
            Some(Value::Array(groups)) => groups.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
            Some(Value::String(group)) => vec![group.clone()],
            _ => Vec::new(),
        };
        let name = said
            .get(&self.config.name_claim)
            .and_then(Value::as_str)
            .unwrap_or(user);
        Ok(Person {
            user: user.to_owned(),
            name: name.chars().filter(|letter| !letter.is_control()).take(100).collect(),
            groups,
        })
    }

    /// Where somebody who signs out goes on to be signed out at the issuer too; none where it does not offer that, or is
    /// out of reach.
    pub(super) async fn sign_out(&self) -> Option<Url> {
        if !self.config.sign_out_at_issuer {
            return None;
        }
        let metadata = self.metadata(KNOWN_FOR).await.ok()?;
        let end = metadata.additional_metadata().end_session_endpoint.clone()?;
        let mut request = LogoutRequest::from(end).set_client_id(ClientId::new(self.config.client_id.clone()));
        if let Some(back) = &self.config.post_logout_redirect_url {
            request = request.set_post_logout_redirect_uri(PostLogoutRedirectUrl::from_url(back.clone()));
        }
        Some(request.http_get_url())
    }
}

fn as_map(value: serde_json::Result<Value>) -> Map<String, Value> {
    match value {
        Ok(Value::Object(map)) => map,
        _ => Map::new(),
    }
}
