//! Fetches charts from chart repositories and OCI registries: bounded, under the policy of repositories, and every content
//! against its digest.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use git_source::{Download, DownloadError, DownloadRequest, Downloader, HttpOptions};
use manifest_render::helm::{WantedChart, chart_layer, pick_from_index, pick_version};
use object_model::{Secret, Timestamp};
use reconcile_core::SourceFailure;
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::git::Inner;
use crate::shared::lock;

/// Largest index of a repository.
const INDEX_BYTES_MAX: u64 = 64 << 20;
/// Largest packed chart.
const CHART_BYTES_MAX: u64 = 32 << 20;
/// Largest answer of a registry that is no chart.
const ANSWER_BYTES_MAX: u64 = 8 << 20;
/// Most pages of tags that are read.
const TAG_PAGES_MAX: usize = 50;
/// Most charts that are kept.
const KEPT_MAX: usize = 200;
/// How long a range of versions is believed to mean the same chart. One with a digest never changes.
const RANGE_AGE_MAX: jiff::SignedDuration = jiff::SignedDuration::from_secs(300);

/// A packed chart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackedChart {
    /// The version that was chosen.
    pub version: String,
    /// `sha256:` of the content.
    pub digest: String,
    /// The content.
    pub data: Bytes,
}

/// Why a chart was not fetched.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChartFetchError {
    /// The repository is of a kind that is not spoken.
    #[error("chart repository `{repository}` is neither https:// nor oci://")]
    Scheme {
        /// The repository.
        repository: String,
    },
    /// Something could not be fetched.
    #[error(transparent)]
    Download(#[from] DownloadError),
    /// The repository has no such chart, or does not answer as one.
    #[error("chart repository {repository}: {message}")]
    Repository {
        /// The repository.
        repository: String,
        /// What is wrong.
        message: String,
    },
    /// The content is another one than was asked for.
    #[error("chart `{name}` has the digest {found}, {wanted} is wanted")]
    Digest {
        /// The chart.
        name: String,
        /// What came.
        found: String,
        /// What was to come.
        wanted: String,
    },
}

/// What was fetched lately.
#[derive(Debug, Default)]
pub(crate) struct ChartCache {
    charts: BTreeMap<WantedChart, (Timestamp, Arc<PackedChart>)>,
}

impl ChartCache {
    fn get(&self, wanted: &WantedChart, now: Timestamp) -> Option<Arc<PackedChart>> {
        let (at, packed) = self.charts.get(wanted)?;
        let is_good = !wanted.digest.is_empty() || now.duration_since(*at) < RANGE_AGE_MAX;
        is_good.then(|| packed.clone())
    }

    fn keep(&mut self, wanted: &WantedChart, now: Timestamp, packed: &Arc<PackedChart>) {
        if self.charts.len() >= KEPT_MAX && !self.charts.contains_key(wanted) {
            let oldest = self.charts.iter().min_by_key(|(_, (at, _))| *at).map(|(wanted, _)| wanted.clone());
            oldest.map(|oldest| self.charts.remove(&oldest));
        }
        self.charts.insert(wanted.clone(), (now, packed.clone()));
    }
}

impl Inner {
    /// Fetches a chart, or finds it fetched.
    pub(crate) fn fetch_chart(&self, wanted: &WantedChart) -> Result<Arc<PackedChart>, SourceFailure> {
        let now = self.clock.now();
        if let Some(packed) = lock(&self.charts).get(wanted, now) {
            return Ok(packed);
        }
        let Some(options) = self.remotes.chart_access() else {
            let message = format!(
                "chart repository `{}` is not allowed: charts are fetched from nowhere here",
                wanted.repository
            );
            return Err(self.failure("ChartNotAllowed", &message, true));
        };
        let packed = fetch_chart(wanted, &options);
        let packed = Arc::new(packed.map_err(|error| self.failure("ChartFetchFailed", &error.to_string(), false))?);
        lock(&self.charts).keep(wanted, now, &packed);
        Ok(packed)
    }
}

/// Fetches a chart from its repository. It blocks.
///
/// # Errors
/// When it is not allowed, not there, too large, or another one than its digest says.
pub fn fetch_chart(wanted: &WantedChart, options: &HttpOptions) -> Result<PackedChart, ChartFetchError> {
    let downloader = Downloader::new(options).map_err(DownloadError::from)?;
    let repository = wanted.repository.trim_end_matches('/');
    let (version, data) = if let Some(place) = repository.strip_prefix("oci://") {
        Registry::new(&downloader, place, wanted).fetch()?
    } else if repository.starts_with("https://") || repository.starts_with("http://") {
        from_index(&downloader, repository, wanted)?
    } else {
        return Err(ChartFetchError::Scheme { repository: wanted.repository.clone() });
    };
    let digest = digest_of(&data);
    Ok(PackedChart { version, digest, data: Bytes::from(data) })
}

fn digest_of(data: &[u8]) -> String {
    let hex: String = Sha256::digest(data).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
}

/// Compares two digests, with or without the name of the algorithm.
fn is_same(a: &str, b: &str) -> bool {
    let bare = |digest: &str| digest.strip_prefix("sha256:").unwrap_or(digest).to_ascii_lowercase();
    bare(a) == bare(b)
}

fn check(name: &str, found: &str, wanted: &str) -> Result<(), ChartFetchError> {
    if wanted.is_empty() || is_same(found, wanted) {
        return Ok(());
    }
    Err(ChartFetchError::Digest { name: name.to_owned(), found: found.to_owned(), wanted: wanted.to_owned() })
}

fn from_index(
    downloader: &Downloader,
    repository: &str,
    wanted: &WantedChart,
) -> Result<(String, Vec<u8>), ChartFetchError> {
    let fault = |message: String| ChartFetchError::Repository { repository: repository.to_owned(), message };
    let get = |url: String, bytes_max: u64| {
        let reply = downloader.get(&DownloadRequest { url, accept: String::new(), authorization: None, bytes_max })?;
        if reply.status == 401 { Err(fault("it wants a credential".to_owned())) } else { Ok(reply.body) }
    };
    let index = get(format!("{repository}/index.yaml"), INDEX_BYTES_MAX)?;
    let entry = pick_from_index(&index, wanted).map_err(fault)?;
    let url = if entry.url.contains("://") {
        entry.url.clone()
    } else if let Some(path) = entry.url.strip_prefix('/') {
        let host = repository.splitn(4, '/').take(3).collect::<Vec<_>>().join("/");
        format!("{host}/{path}")
    } else {
        format!("{repository}/{}", entry.url)
    };
    if let Some(place) = url.strip_prefix("oci://") {
        let (folder, _) = place.rsplit_once('/').unwrap_or((place, ""));
        let wanted = WantedChart { version: entry.version, ..wanted.clone() };
        return Registry::new(downloader, folder, &wanted).fetch();
    }
    let data = get(url, CHART_BYTES_MAX)?;
    let found = digest_of(&data);
    check(&wanted.name, &found, &entry.digest)?;
    check(&wanted.name, &found, &wanted.digest)?;
    Ok((entry.version, data))
}

/// One chart in a registry that speaks the distribution protocol.
struct Registry<'r> {
    downloader: &'r Downloader,
    /// `https://host/v2/path`.
    base: String,
    place: String,
    wanted: WantedChart,
    token: Option<Secret<String>>,
}

impl<'r> Registry<'r> {
    fn new(downloader: &'r Downloader, place: &str, wanted: &WantedChart) -> Self {
        let (host, path) = place.split_once('/').unwrap_or((place, ""));
        let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
        // As other clients do it: a registry on this machine has no certificate.
        let is_here = name == "localhost" || name.parse::<std::net::IpAddr>().is_ok_and(|it| it.is_loopback());
        let scheme = if is_here { "http" } else { "https" };
        let path = if path.is_empty() { String::new() } else { format!("{path}/") };
        let base = format!("{scheme}://{host}/v2/{path}{}", wanted.name);
        Self { downloader, base, place: format!("oci://{place}"), wanted: wanted.clone(), token: None }
    }

    fn fault(&self, message: impl Into<String>) -> ChartFetchError {
        ChartFetchError::Repository { repository: self.place.clone(), message: message.into() }
    }

    fn fetch(mut self) -> Result<(String, Vec<u8>), ChartFetchError> {
        const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
        let version = self.version()?;
        let reference = version.replace('+', "_");
        let manifest = self.get(&format!("/manifests/{reference}"), MANIFEST, ANSWER_BYTES_MAX)?.body;
        let (digest, size) = chart_layer(&manifest).map_err(|message| self.fault(message))?;
        let is_digest = digest
            .strip_prefix("sha256:")
            .is_some_and(|it| it.len() == 64 && it.bytes().all(|b| b.is_ascii_hexdigit()));
        if !is_digest {
            return Err(self.fault(format!("its manifest names the content `{digest}`")));
        }
        if size > CHART_BYTES_MAX {
            return Err(self.fault(format!("the chart has {size} bytes, {CHART_BYTES_MAX} are allowed")));
        }
        // A pin is the digest of the manifest, as registries show it, or that of the packed chart.
        if !is_same(&digest_of(&manifest), &self.wanted.digest) {
            check(&self.wanted.name, &digest, &self.wanted.digest)?;
        }
        let data = self.get(&format!("/blobs/{digest}"), "", CHART_BYTES_MAX)?.body;
        check(&self.wanted.name, &digest_of(&data), &digest)?;
        Ok((version, data))
    }

    /// The one version that is named, or the latest tag in the range.
    fn version(&mut self) -> Result<String, ChartFetchError> {
        let wanted = self.wanted.version.clone();
        let is_exact = wanted.splitn(3, '.').count() == 3 && pick_version(&[&wanted], &wanted).is_some() && {
            wanted.trim_start_matches('v').starts_with(|first: char| first.is_ascii_digit())
                && wanted.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'+'))
                && !wanted.split('.').take(3).any(|part| part.eq_ignore_ascii_case("x"))
        };
        if is_exact {
            return Ok(wanted);
        }
        let mut tags = Vec::new();
        let mut page = "/tags/list".to_owned();
        for _ in 0..TAG_PAGES_MAX {
            let reply = self.get(&page, "application/json", ANSWER_BYTES_MAX)?;
            let list: Value =
                serde_json::from_slice(&reply.body).map_err(|_| self.fault("its list of tags is not JSON"))?;
            let found = list.get("tags").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
            tags.extend(found.map(|tag| tag.replace('_', "+")));
            match next_page(&reply.link) {
                Some(query) => page = format!("/tags/list?{query}"),
                None => break,
            }
        }
        let tags: Vec<&str> = tags.iter().map(String::as_str).collect();
        let name = &self.wanted.name;
        pick_version(&tags, &wanted)
            .ok_or_else(|| self.fault(format!("it has no version `{wanted}` of chart `{name}`")))
    }

    /// Fetches, with a token where the registry asks for one.
    fn get(&mut self, path: &str, accept: &str, bytes_max: u64) -> Result<Download, ChartFetchError> {
        let request = |token: &Option<Secret<String>>| DownloadRequest {
            url: format!("{}{path}", self.base),
            accept: accept.to_owned(),
            authorization: token.clone(),
            bytes_max,
        };
        let reply = self.downloader.get(&request(&self.token))?;
        if reply.status != 401 {
            return Ok(reply);
        }
        let token = self.anonymous_token(&reply.challenge)?;
        let reply = self.downloader.get(&request(&Some(token.clone())))?;
        self.token = Some(token);
        if reply.status == 401 { Err(self.fault("it wants a credential")) } else { Ok(reply) }
    }

    /// What registries give to everybody for public charts.
    fn anonymous_token(&self, challenge: &str) -> Result<Secret<String>, ChartFetchError> {
        let wants = || self.fault("it wants a credential");
        let parts = challenge_parts(challenge).ok_or_else(wants)?;
        let part = |name: &str| parts.get(name).cloned().unwrap_or_default();
        let mut url = part("realm");
        let mut separator = if url.contains('?') { '&' } else { '?' };
        for name in ["service", "scope"] {
            let value = part(name);
            if !value.is_empty() {
                url.push_str(&format!("{separator}{name}={}", crate::api::percent(&value)));
                separator = '&';
            }
        }
        let request = DownloadRequest {
            url,
            accept: "application/json".to_owned(),
            authorization: None,
            bytes_max: ANSWER_BYTES_MAX,
        };
        let reply = self.downloader.get(&request)?;
        let answer: Value = serde_json::from_slice(&reply.body).map_err(|_| wants())?;
        let token = ["token", "access_token"].into_iter().find_map(|name| answer.get(name)?.as_str());
        token.map(|token| Secret::new(format!("Bearer {token}"))).ok_or_else(wants)
    }
}

/// The parameters of a `Bearer` challenge.
fn challenge_parts(challenge: &str) -> Option<BTreeMap<String, String>> {
    let rest = challenge.get(..7).filter(|scheme| scheme.eq_ignore_ascii_case("bearer ")).and(challenge.get(7..))?;
    let mut parts = BTreeMap::new();
    let mut rest = rest.trim();
    while let Some((name, after)) = rest.split_once("=\"") {
        let (value, more) = after.split_once('"')?;
        parts.insert(name.trim_start_matches([',', ' ']).to_ascii_lowercase(), value.to_owned());
        rest = more;
    }
    Some(parts)
}

/// The query of the next page out of a `Link` header.
fn next_page(link: &str) -> Option<String> {
    let (url, relation) = link.strip_prefix('<')?.split_once('>')?;
    relation.contains("next").then(|| url.split_once('?').map(|(_, query)| query.to_owned()))?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_challenge_and_a_link_are_read() {
        let parts =
            challenge_parts(r#"Bearer realm="https://auth.example.com/token",service="r",scope="repository:a/b:pull""#)
                .unwrap();
        assert_eq!(parts.get("scope").map(String::as_str), Some("repository:a/b:pull"));
        assert_eq!(parts.get("realm").map(String::as_str), Some("https://auth.example.com/token"));
        assert_eq!(challenge_parts("Basic realm=\"x\""), None);
        assert_eq!(next_page("</v2/a/tags/list?n=2&last=b>; rel=\"next\"").as_deref(), Some("n=2&last=b"));
        assert_eq!(next_page(""), None);
    }

    #[test]
    fn a_registry_is_asked_by_https_unless_it_is_this_machine() {
        let downloader = Downloader::new(&HttpOptions::default()).unwrap();
        let wanted = |name: &str| WantedChart {
            repository: String::new(),
            name: name.to_owned(),
            version: String::new(),
            digest: String::new(),
        };
        let base = |place: &str| Registry::new(&downloader, place, &wanted("web")).base;
        assert_eq!(base("ghcr.io/acme/charts"), "https://ghcr.io/v2/acme/charts/web");
        assert_eq!(base("127.0.0.1:5000/charts"), "http://127.0.0.1:5000/v2/charts/web");
        assert_eq!(base("localhost.example.com"), "https://localhost.example.com/v2/web");
    }
}
