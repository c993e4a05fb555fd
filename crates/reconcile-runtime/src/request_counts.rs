//! Counts the requests to the API server by kind, verb and answer, under the name that Argo Rollouts' dashboards read.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, PoisonError};

use http::Method;

/// Most kinds, verbs and codes together; more would be a leak.
const SERIES_MAX: usize = 2_000;
const NAME: &str = "controller_clientset_k8s_request_total";

/// Kind, verb and answer.
type Series = (String, &'static str, u16);

/// What was asked for how often. Cheap to clone; clones count together.
#[derive(Debug, Clone, Default)]
pub(crate) struct RequestCounts {
    counts: Arc<Mutex<BTreeMap<Series, u64>>>,
}

impl RequestCounts {
    /// Counts one request by its answer; 0 when there was none.
    pub(crate) fn add(&self, method: &Method, path: &str, query: &str, code: u16) {
        let (kind, is_one) = resource_of(path);
        let key = (kind.to_owned(), verb(method, is_one, query), code);
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if counts.len() < SERIES_MAX || counts.contains_key(&key) {
            *counts.entry(key).or_default() += 1;
        }
    }

    /// All of them as Prometheus reads them. Namespace and name stay empty: a series an object would be without bound.
    pub(crate) fn render(&self, out: &mut String) {
        let counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if counts.is_empty() {
            return;
        }
        let _ = writeln!(out, "# TYPE {NAME} counter");
        for ((kind, verb, code), count) in counts.iter() {
            let _ = writeln!(
                out,
                "{NAME}{{kind=\"{kind}\",name=\"\",namespace=\"\",status_code=\"{code}\",verb=\"{verb}\"}} {count}"
            );
        }
    }
}

/// The plural of a request's kind, and whether it names one object.
fn resource_of(path: &str) -> (&str, bool) {
    let mut parts: Vec<&str> = path.split('?').next().unwrap_or_default().trim_matches('/').split('/').collect();
    let prefix = match parts.first() {
        Some(&"api") => 2,
        Some(&"apis") => 3,
        _ => return ("Unknown", false),
    };
    let mut rest = parts.split_off(prefix.min(parts.len()));
    if rest.first() == Some(&"namespaces") && rest.len() > 2 {
        rest.drain(..2);
    }
    match rest.as_slice() {
        [] => ("Unknown", false),
        [kind] => (kind, false),
        [kind, ..] => (kind, true),
    }
}

fn verb(method: &Method, is_one: bool, query: &str) -> &'static str {
    match *method {
        Method::GET if query.contains("watch=true") || query.contains("watch=1") => "Watch",
        Method::GET if is_one => "Get",
        Method::GET => "List",
        Method::POST => "Create",
        Method::PUT => "Update",
        Method::PATCH => "Patch",
        Method::DELETE => "Delete",
        _ => "Unknown",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_counted_by_kind_verb_and_answer() {
        let counts = RequestCounts::default();
        for (method, path, query, code) in [
            (Method::GET, "/api/v1/namespaces/qa/services/web", "", 200),
            (Method::GET, "/api/v1/namespaces/qa", "", 404),
            (Method::GET, "/apis/argoproj.io/v1alpha1/rollouts", "watch=true", 200),
            (Method::PATCH, "/apis/argoproj.io/v1alpha1/namespaces/qa/rollouts/web/status", "", 409),
            (Method::PATCH, "/apis/argoproj.io/v1alpha1/namespaces/qa/rollouts/other", "", 409),
        ] {
            counts.add(&method, path, query, code);
        }
        let mut text = String::new();
        counts.render(&mut text);
        for line in [
            r#"{kind="services",name="",namespace="",status_code="200",verb="Get"} 1"#,
            r#"{kind="namespaces",name="",namespace="",status_code="404",verb="Get"} 1"#,
            r#"{kind="rollouts",name="",namespace="",status_code="200",verb="Watch"} 1"#,
            r#"{kind="rollouts",name="",namespace="",status_code="409",verb="Patch"} 2"#,
        ] {
            assert!(text.contains(&format!("{NAME}{line}\n")), "{line} in\n{text}");
        }
    }
}
