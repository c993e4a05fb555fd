//! Google Cloud Monitoring: a PromQL query through its Prometheus API, with a token of a Secret or of the machine.

use object_model::Secret;
use serde_json::Value as Json;

use super::asking::{Asking, Credentials, Next, get, json as read_json, spec};
use super::{ProviderError, http, text};
use crate::argument::SecretRef;

const NAME: &str = "googleCloudMonitoring";
const TIMEOUT_MS: u64 = 30_000;
/// Where a workload on Google Cloud gets its own token.
/// <https://cloud.google.com/compute/docs/access/authenticate-workloads#applications>
const METADATA_TOKEN: &str =
    "http://metadata.google.internal/computeMetadata/v1/instance/service-accounts/default/token";

/// The `googleCloudMonitoring` section of a metric: `project`, `query` (PromQL), `secretRef` (key `access-token`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GoogleCloudMonitoring {
    project: String,
    query: String,
    credentials: Option<Credentials>,
}

impl GoogleCloudMonitoring {
    pub(super) fn parse(json: &Json) -> Self {
        let section = json.get("secretRef").filter(|section| !section.is_null());
        Self {
            project: text(json, "project"),
            query: text(json, "query"),
            credentials: section.map(|section| Credentials::parse(Some(section), "google-cloud-monitoring")),
        }
    }

    pub(super) fn secrets(&self) -> Vec<SecretRef> {
        self.credentials.iter().map(|credentials| credentials.key("access-token")).collect()
    }

    /// <https://cloud.google.com/stackdriver/docs/managed-prometheus/query-api-ui#http-api>
    pub(super) fn next(&self, asking: &Asking<'_>) -> Result<Next, ProviderError> {
        if self.project.is_empty() || !self.project.chars().all(|c| c.is_ascii_alphanumeric() || "-.:".contains(c)) {
            return Err(spec("googleCloudMonitoring needs the id of a project"));
        }
        let token = match (&self.credentials, asking.earlier) {
            (Some(credentials), []) => asking.secret(&credentials.key("access-token"))?,
            (None, []) => {
                let flavor = vec![("Metadata-Flavor", Secret::new("Google".to_owned()))];
                return Ok(Next::Ask(Box::new(get(METADATA_TOKEN.to_owned(), flavor, TIMEOUT_MS))));
            }
            (None, [token]) => {
                let json = read_json(NAME, token.status, token.body)?;
                let token = json.get("access_token").and_then(Json::as_str);
                Secret::new(token.ok_or_else(|| spec("the metadata server gave no access token"))?.to_owned())
            }
            _ => return Ok(Next::Read),
        };
        let form = http::form(&[("query", self.query.clone()), ("time", asking.now.as_second().to_string())]);
        let project = &self.project;
        let url = format!(
            "https://monitoring.googleapis.com/v1/projects/{project}/location/global/prometheus/api/v1/query?{form}"
        );
        let bearer = Secret::new(format!("Bearer {}", token.expose()));
        Ok(Next::Ask(Box::new(get(url, vec![("Authorization", bearer)], TIMEOUT_MS))))
    }
}
