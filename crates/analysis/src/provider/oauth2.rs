//! OAuth 2.0 client credentials (RFC 6749, section 4.4): a token is asked for before the question itself.

use object_model::Secret;
use serde_json::Value as Json;

use super::asking::{Earlier, json as read_json, post, spec};
use super::{HttpRequest, ProviderError, http, text};

const NAME: &str = "oauth2";
const TIMEOUT_MS: u64 = 30_000;

/// The `authentication.oauth2` section of a metric.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct OAuth2 {
    token_url: String,
    client_id: String,
    client_secret: Secret<String>,
    scopes: Vec<String>,
}

impl OAuth2 {
    /// Reads the section; an empty one counts as absent.
    pub(super) fn parse(metric: &Json) -> Option<Self> {
        let json = metric.pointer("/authentication/oauth2")?;
        json.as_object().filter(|fields| !fields.is_empty())?;
        let scopes = json.get("scopes").and_then(Json::as_array).into_iter().flatten();
        Some(Self {
            token_url: text(json, "tokenUrl"),
            client_id: text(json, "clientId"),
            client_secret: Secret::new(text(json, "clientSecret")),
            scopes: scopes.filter_map(Json::as_str).map(str::to_owned).collect(),
        })
    }

    /// The request for a token.
    pub(super) fn request(&self) -> Result<HttpRequest, ProviderError> {
        if self.token_url.is_empty() || self.client_id.is_empty() || self.client_secret.expose().is_empty() {
            return Err(spec(
                "missing mandatory parameter in metric for OAuth2 setup: tokenUrl, clientId and clientSecret are needed",
            ));
        }
        let address = http::address(&self.token_url, "oauth2 tokenUrl")?;
        let mut form = vec![("grant_type", "client_credentials".to_owned())];
        if !self.scopes.is_empty() {
            form.push(("scope", self.scopes.join(" ")));
        }
        let basic =
            http::basic(&http::percent_encode(&self.client_id), &http::percent_encode(self.client_secret.expose()));
        let content = ("application/x-www-form-urlencoded", http::form(&form));
        Ok(post(address.base, vec![("Authorization", basic)], content, TIMEOUT_MS))
    }

    /// Puts the token of an answer into the question.
    pub(super) fn authorize(
        &self,
        mut request: HttpRequest,
        answer: &Earlier<'_>,
    ) -> Result<HttpRequest, ProviderError> {
        // What the server says may repeat the client's secret, so none of it is told.
        let json = read_json(NAME, answer.status, answer.body)
            .map_err(|_| spec(format!("the oauth2 token request was answered with {} and no token", answer.status)))?;
        let token = json.get("access_token").and_then(Json::as_str).filter(|token| !token.is_empty());
        let token = token.ok_or_else(|| spec("the oauth2 token answer holds no access_token"))?;
        request.headers.retain(|(name, _)| !name.eq_ignore_ascii_case("Authorization"));
        request.headers.push(("Authorization".to_owned(), Secret::new(format!("Bearer {token}"))));
        Ok(request)
    }
}
