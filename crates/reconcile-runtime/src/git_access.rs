//! What a Secret says about the way to a repository, in the words of Flux and Argo CD, and who may sign.

use std::collections::BTreeMap;

use git_source::{AllowedSigners, GitHubApp, HttpProxy, InstallationToken};
use object_model::{Secret, Timestamp};
use reconcile_core::SourceFailure;
use sha2::{Digest, Sha256};

use crate::git::Inner;
use crate::remotes::{GitCredential, GitLogin};
use crate::shared::lock;

/// The values of a Secret by their keys.
type Values = BTreeMap<String, Secret<String>>;

/// How long before its end a token is no longer used, in seconds.
const TOKEN_MARGIN_SECONDS: i64 = 300;
/// How many tokens are kept.
const TOKENS_MAX: usize = 1_000;

/// Tokens of GitHub Apps, by app, installation, API and key.
pub(crate) type AppTokens = BTreeMap<String, InstallationToken>;

/// Reads the credential of a source. `None` stands for a Secret that holds nothing of use.
pub(crate) fn credential_of(values: &Values) -> Option<GitCredential> {
    let text = |names: &[&str]| {
        let found = names.iter().find_map(|name| values.get(*name));
        found.map(|value| value.expose().trim_end_matches('\n').to_owned()).filter(|value| !value.is_empty())
    };
    let certificate_authority = text(&["ca.crt", "caFile"]).map(String::into_bytes);
    let login = login_of(&text);
    if login.is_none() && certificate_authority.is_none() {
        return None;
    }
    Some(GitCredential { login, certificate_authority, proxy: None })
}

fn login_of(text: &impl Fn(&[&str]) -> Option<String>) -> Option<GitLogin> {
    let app = (text(&["githubAppID"]), text(&["githubAppInstallationID"]), text(&["githubAppPrivateKey"]));
    if let (Some(app), Some(installation), Some(key)) = app {
        let api = text(&["githubAppBaseURL", "githubAppEnterpriseBaseUrl"]).unwrap_or_default();
        let private_key = Secret::new(key);
        return Some(GitLogin::GitHubApp(GitHubApp { app, installation, private_key, api }));
    }
    if let Some(token) = text(&["bearerToken"]) {
        return Some(GitLogin::Bearer(Secret::new(token)));
    }
    let password = Secret::new(text(&["password", "token"])?);
    let username = text(&["username"]).unwrap_or_else(|| "git".to_owned());
    Some(GitLogin::Basic { username, password })
}

/// Reads a proxy in Flux's words.
pub(crate) fn proxy_of(values: &Values) -> Result<HttpProxy, String> {
    let text = |name: &str| values.get(name).map(|value| value.expose().trim_end_matches('\n').to_owned());
    let address = text("address").filter(|address| !address.is_empty()).ok_or("it has no `address`")?;
    let password = text("password").unwrap_or_default();
    let login = text("username").filter(|user| !user.is_empty()).map(|user| (user, Secret::new(password)));
    HttpProxy::new(&address, login).map_err(|error| error.to_string())
}

/// Reads who may sign out of every value of a Secret.
pub(crate) fn signers_of(values: &Values) -> Result<AllowedSigners, String> {
    let mut all = AllowedSigners::default();
    let mut problems = Vec::new();
    for (key, value) in values {
        let (signers, wrong) = AllowedSigners::parse(value.expose());
        all.extend(signers);
        problems.extend(wrong.into_iter().map(|problem| format!("`{key}`: {problem}")));
    }
    match (all.is_empty(), problems.first()) {
        (false, _) => Ok(all),
        (true, Some(problem)) => Err(format!("it names nobody who may sign ({problem})")),
        (true, None) => Err("it names nobody who may sign".to_owned()),
    }
}

impl Inner {
    /// The credential with a token in place of a GitHub App. It may block.
    pub(crate) fn with_token(&self, credential: &GitCredential) -> Result<GitCredential, SourceFailure> {
        let Some(GitLogin::GitHubApp(app)) = &credential.login else { return Ok(credential.clone()) };
        let token = self.app_token(app, credential)?;
        let login = GitLogin::Basic { username: "x-access-token".to_owned(), password: token.token };
        Ok(GitCredential { login: Some(login), ..credential.clone() })
    }

    fn app_token(&self, app: &GitHubApp, credential: &GitCredential) -> Result<InstallationToken, SourceFailure> {
        let now = self.clock.now();
        let is_good = |token: &InstallationToken, now: Timestamp| {
            token.expires_at.as_second() - TOKEN_MARGIN_SECONDS > now.as_second()
        };
        // Another key may be of another owner: it has to prove itself.
        let key = Sha256::digest(app.private_key.expose().as_bytes());
        let id = format!("{} {} {} {key:x}", app.app, app.installation, app.api);
        if let Some(token) = lock(&self.app_tokens).get(&id).filter(|token| is_good(token, now)) {
            return Ok(token.clone());
        }
        let Some(options) = self.remotes.app_access(credential) else {
            let message = "GitHub Apps are not asked for tokens here";
            return Err(self.failure("RepositoryNotAllowed", message, true));
        };
        let token = app.token(now, &options);
        let token = token.map_err(|error| self.failure("AuthenticationFailed", &error.to_string(), false))?;
        let mut tokens = lock(&self.app_tokens);
        tokens.retain(|_, token| is_good(token, now));
        if tokens.len() < TOKENS_MAX {
            tokens.insert(id, token.clone());
        }
        Ok(token)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(pairs: &[(&str, &str)]) -> Values {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), Secret::new((*value).to_owned()))).collect()
    }

    #[test]
    fn credentials_are_read_in_the_words_of_flux_and_argo() {
        let basic = |user: &str, password: &str| {
            Some(GitLogin::Basic { username: user.to_owned(), password: Secret::new(password.to_owned()) })
        };
        let login = |pairs: &[(&str, &str)]| credential_of(&values(pairs)).and_then(|credential| credential.login);
        assert_eq!(login(&[("username", "ann"), ("password", "hunter2\n")]), basic("ann", "hunter2"));
        assert_eq!(login(&[("token", "t")]), basic("git", "t"));
        assert_eq!(login(&[("bearerToken", "t")]), Some(GitLogin::Bearer(Secret::new("t".to_owned()))));
        let app = [
            ("githubAppID", "1"),
            ("githubAppInstallationID", "2"),
            ("githubAppPrivateKey", "key"),
            ("githubAppBaseURL", "https://ghe.example.com/api/v3"),
        ];
        assert!(matches!(login(&app), Some(GitLogin::GitHubApp(app)) if app.installation == "2"));
        let only_ca = credential_of(&values(&[("ca.crt", "PEM")])).unwrap();
        assert_eq!((only_ca.login, only_ca.certificate_authority), (None, Some(b"PEM".to_vec())));
        assert!(credential_of(&values(&[("user", "ann"), ("password", "")])).is_none());
    }

    #[test]
    fn a_proxy_has_an_address_and_no_password_in_it() {
        let proxy = proxy_of(&values(&[("address", "http://proxy:3128"), ("username", "ann"), ("password", "x")]));
        assert_eq!(format!("{:?}", proxy.unwrap()), "HttpProxy(\"http://proxy:3128\")");
        assert_eq!(proxy_of(&values(&[("username", "ann")])).unwrap_err(), "it has no `address`");
        let error = proxy_of(&values(&[("address", "http://ann:hunter2@proxy")])).unwrap_err();
        assert!(!error.contains("hunter2"), "{error}");
    }

    #[test]
    fn a_list_of_nobody_is_an_error_and_not_everybody() {
        assert_eq!(signers_of(&values(&[])).unwrap_err(), "it names nobody who may sign");
        let error = signers_of(&values(&[("keys", "nonsense")])).unwrap_err();
        assert!(error.starts_with("it names nobody who may sign (`keys`: line 1: "), "{error}");
    }
}
