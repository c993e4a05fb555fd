//! Access as a GitHub App: a token of an installation for a signed word that we are the app.

use base64::Engine as _;
use object_model::{Secret, Timestamp};
use ring::rand::SystemRandom;
use ring::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use serde::Deserialize;
use ureq::http::Request;

use crate::address::HttpAddress;
use crate::agent::{agent, is_refused_behind_proxy};
use crate::http::{HttpOptions, PlainHttp};
use crate::remote::printable;

/// The API of github.com.
const API: &str = "https://api.github.com";
/// The largest answer, in bytes.
const ANSWER_BYTES_MAX: u64 = 64 << 10;
/// How long the word that we are the app is good for, in seconds; GitHub takes ten minutes at most.
const WORD_SECONDS: i64 = 540;
/// How far the clocks may be apart, in seconds.
const SKEW_SECONDS: i64 = 60;

/// An installation of a GitHub App.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GitHubApp {
    /// The app: its id, or its client id.
    pub app: String,
    /// The installation.
    pub installation: String,
    /// Its private key (PEM).
    pub private_key: Secret<String>,
    /// The API of an own server, such as `https://ghe.example.com/api/v3`; that of github.com when empty.
    pub api: String,
}

/// A token of an installation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstallationToken {
    /// The token: the password of user `x-access-token`.
    pub token: Secret<String>,
    /// When it ends.
    pub expires_at: Timestamp,
}

/// Why there is no token.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GitHubAppError {
    /// The settings of the app can't be used.
    #[error("the GitHub App can't be used: {why}")]
    Settings {
        /// What is wrong with them.
        why: String,
    },
    /// GitHub refused.
    #[error("GitHub refused a token for installation {installation}: status {status} {message}")]
    Refused {
        /// The installation.
        installation: String,
        /// The HTTP status.
        status: u16,
        /// Its words, made printable.
        message: String,
    },
    /// No answer, or one that is no use.
    #[error("GitHub gave no token for installation {installation}: {why}")]
    Failed {
        /// The installation.
        installation: String,
        /// What happened.
        why: String,
    },
}

#[derive(Deserialize)]
struct Answer {
    token: String,
    expires_at: String,
}

impl GitHubApp {
    /// Asks for a token at `now`. It blocks.
    ///
    /// # Errors
    /// When the settings can't be used, or GitHub gives none.
    pub fn token(&self, now: Timestamp, options: &HttpOptions) -> Result<InstallationToken, GitHubAppError> {
        let settings = |why: &str| GitHubAppError::Settings { why: why.to_owned() };
        let failed = |why: String| GitHubAppError::Failed { installation: self.installation.clone(), why };
        if self.installation.is_empty() || !self.installation.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(settings("its installation is not a number"));
        }
        let api = if self.api.is_empty() { API } else { &self.api };
        let api = HttpAddress::parse(api).map_err(|error| settings(&error.to_string()))?;
        let is_trusted = api.is_tls() || api.is_loopback() || options.plain_http == PlainHttp::Anywhere;
        if !is_trusted {
            return Err(settings("its API is not spoken to by https"));
        }
        if is_refused_behind_proxy(&api, options) {
            return Err(settings("its API is not allowed by the egress policy"));
        }
        let word = self.word(now)?;
        let request = Request::builder()
            .method("POST")
            .uri(format!("{api}/app/installations/{}/access_tokens", self.installation))
            .header("Accept", "application/vnd.github+json")
            .header("X-GitHub-Api-Version", "2022-11-28")
            .header("Authorization", format!("Bearer {}", word.expose()))
            .body(())
            .map_err(|_| settings("its API has an address that can't be asked"))?;
        let agent = agent(options, "sluice").map_err(settings)?;
        let response = agent.run(request).map_err(|error| failed(printable(&error.to_string())))?;
        let status = response.status().as_u16();
        let body = response.into_body().into_with_config().limit(ANSWER_BYTES_MAX).read_to_vec();
        let body = body.map_err(|error| failed(printable(&error.to_string())))?;
        if status != 201 {
            let message = serde_json::from_slice::<serde_json::Value>(&body).ok();
            let message = message.as_ref().and_then(|value| value.get("message")?.as_str()).unwrap_or_default();
            let installation = self.installation.clone();
            return Err(GitHubAppError::Refused { installation, status, message: printable(message) });
        }
        let answer: Answer = serde_json::from_slice(&body).map_err(|_| failed("its answer has no token".to_owned()))?;
        let expires_at =
            answer.expires_at.parse().map_err(|_| failed("its answer does not say until when".to_owned()))?;
        Ok(InstallationToken { token: Secret::new(answer.token), expires_at })
    }

    /// The signed word that we are the app (a JSON Web Token, RS256).
    fn word(&self, now: Timestamp) -> Result<Secret<String>, GitHubAppError> {
        let settings = |why: &str| GitHubAppError::Settings { why: why.to_owned() };
        let key =
            key_of(self.private_key.expose()).ok_or_else(|| settings("its private key is not an RSA key in PEM"))?;
        let code = |text: &str| base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(text);
        let claims = serde_json::json!({
            "iat": now.as_second() - SKEW_SECONDS, "exp": now.as_second() + WORD_SECONDS, "iss": self.app,
        });
        let signed = format!("{}.{}", code(r#"{"alg":"RS256","typ":"JWT"}"#), code(&claims.to_string()));
        let mut signature = vec![0; key.public().modulus_len()];
        key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), signed.as_bytes(), &mut signature)
            .map_err(|_| settings("its private key does not sign"))?;
        let signature = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(signature);
        Ok(Secret::new(format!("{signed}.{signature}")))
    }
}

/// Reads an RSA key in either of its usual forms.
fn key_of(pem: &str) -> Option<RsaKeyPair> {
    for (begin, end, is_pkcs8) in [
        ("-----BEGIN RSA PRIVATE KEY-----", "-----END RSA PRIVATE KEY-----", false),
        ("-----BEGIN PRIVATE KEY-----", "-----END PRIVATE KEY-----", true),
    ] {
        let Some((_, rest)) = pem.split_once(begin) else { continue };
        let (body, _) = rest.split_once(end)?;
        let body: String = body.chars().filter(|c| !c.is_ascii_whitespace()).collect();
        let der = base64::engine::general_purpose::STANDARD.decode(body).ok()?;
        return if is_pkcs8 { RsaKeyPair::from_pkcs8(&der).ok() } else { RsaKeyPair::from_der(&der).ok() };
    }
    None
}
