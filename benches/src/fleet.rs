//! The repository: one path for each config, four objects in each path, served over smart HTTP on loopback.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use anyhow::Result;
use git_source::server::{GitServer, GitService, RunningGitServer};
use git_source::{CommitPlan, Edit, MemoryRemote, Message, Person, Trailers};
use object_model::Timestamp;
use reconcile_runtime::Clock;

/// The branch that all configs watch.
pub(crate) const BRANCH: &str = "main";
const PATH: &str = "fleet.git";

/// How many of what there is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Size {
    pub(crate) configs: u32,
    pub(crate) rollouts: u32,
}

/// How many configs share a namespace.
const CONFIGS_PER_NAMESPACE: u32 = 10;

impl Size {
    /// The namespaces of all configs.
    pub(crate) fn namespaces(self) -> Vec<String> {
        (0..self.configs.div_ceil(CONFIGS_PER_NAMESPACE)).map(|number| format!("team-{number:03}")).collect()
    }

    /// Namespace and name of a config.
    pub(crate) fn config(self, number: u32) -> (String, String) {
        (format!("team-{:03}", number / CONFIGS_PER_NAMESPACE), format!("app-{number:04}"))
    }
}

/// The repository and its server.
pub(crate) struct Fleet {
    remote: MemoryRemote,
    server: RunningGitServer,
}

impl Fleet {
    /// Fills the repository with one commit and begins to serve it.
    pub(crate) async fn start(size: Size) -> Result<Self> {
        let remote = MemoryRemote::new(PATH);
        let mut edits = Vec::new();
        for number in 0..size.configs {
            let (_, name) = size.config(number);
            edits.push(Edit::put(&settings_path(number), settings(&name, "first")));
            edits.push(Edit::put(&format!("apps/{number:04}/app.yaml"), app(&name, number < size.rollouts)));
        }
        Self::serve(remote, &edits).await
    }

    /// Fills the repository with one commit of these files and begins to serve it.
    pub(crate) async fn of(files: &[Edit]) -> Result<Self> {
        Self::serve(MemoryRemote::new(PATH), files).await
    }

    async fn serve(remote: MemoryRemote, files: &[Edit]) -> Result<Self> {
        commit(&remote, "All applications", files)?;
        let server = GitServer::new().with_repository(PATH, Arc::new(remote.clone()));
        let server = server.serve(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await?;
        Ok(Self { remote, server })
    }

    /// The URL that configs name.
    pub(crate) fn url(&self) -> String {
        self.server.url(PATH)
    }

    /// Changes one object of one path.
    pub(crate) fn change(&self, size: Size, number: u32, value: &str) -> Result<String> {
        let (_, name) = size.config(number);
        let edit = Edit::put(&settings_path(number), settings(&name, value));
        commit(&self.remote, &format!("{name}: {value}"), &[edit])
    }

    /// Adds a commit.
    pub(crate) fn commit(&self, subject: &str, edits: &[Edit]) -> Result<String> {
        commit(&self.remote, subject, edits)
    }

    /// How many requests were answered: all, and those that asked for objects.
    pub(crate) fn requests(&self) -> (usize, usize) {
        let requests = self.server.requests();
        (requests.len(), requests.iter().filter(|request| request.service == GitService::Fetch).count())
    }
}

fn commit(remote: &MemoryRemote, subject: &str, edits: &[Edit]) -> Result<String> {
    let author = Person::new("Ada", "ada@example.com")?;
    let message = Message::new(subject)?.with_trailers(Trailers::new());
    let time = Timestamp::from_second(Clock::Wall.now().as_second())?;
    let plan = CommitPlan { author: author.clone(), committer: author, time, message };
    Ok(remote.commit(BRANCH, edits, &plan)?.to_string())
}

fn settings_path(number: u32) -> String {
    format!("apps/{number:04}/settings.yaml")
}

fn settings(name: &str, value: &str) -> String {
    format!(
        "apiVersion: v1
kind: ConfigMap
metadata:
  name: {name}
  labels: {{app: {name}}}
data:
  greeting: {value}
  feature-flags: |
    checkout.new-basket=true
    search.suggestions=false
"
    )
}

/// A Service, a ServiceAccount, and what runs: a Rollout, or a second ConfigMap where there are fewer Rollouts.
fn app(name: &str, has_rollout: bool) -> String {
    let mut text = format!(
        "apiVersion: v1
kind: Service
metadata:
  name: {name}
  labels: {{app: {name}}}
spec:
  selector: {{app: {name}}}
  ports:
  - {{name: http, port: 80, targetPort: 8080}}
---
apiVersion: v1
kind: ServiceAccount
metadata:
  name: {name}
  labels: {{app: {name}}}
---
"
    );
    if has_rollout {
        text.push_str(&rollout(name));
    } else {
        text.push_str(&format!(
            "apiVersion: v1
kind: ConfigMap
metadata:
  name: {name}-more
data: {{region: north}}
"
        ));
    }
    text
}

fn rollout(name: &str) -> String {
    format!(
        "apiVersion: argoproj.io/v1alpha1
kind: Rollout
metadata:
  name: {name}
  labels: {{app: {name}}}
spec:
  replicas: 1
  selector:
    matchLabels: {{app: {name}}}
  template:
    metadata:
      labels: {{app: {name}}}
    spec:
      serviceAccountName: {name}
      containers:
      - name: web
        image: registry.example.com/{name}:v1
        ports:
        - containerPort: 8080
        env:
        - name: GREETING
          valueFrom:
            configMapKeyRef: {{name: {name}, key: greeting}}
        resources:
          requests: {{cpu: 10m, memory: 16Mi}}
  strategy:
    canary:
      steps:
      - setWeight: 20
      - pause: {{duration: 10s}}
      - setWeight: 60
      - pause: {{duration: 10s}}
"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_has_four_objects_with_or_without_a_rollout() {
        for has_rollout in [true, false] {
            let text = format!("{}---\n{}", settings("app-0001", "first"), app("app-0001", has_rollout));
            let objects = scenario::setting::parse_documents(&text).unwrap();
            assert_eq!(objects.len(), 4);
            assert_eq!(objects.iter().any(|object| object.kind() == "Rollout"), has_rollout);
        }
    }

    #[test]
    fn ten_configs_share_a_namespace() {
        let size = Size { configs: 25, rollouts: 0 };
        assert_eq!(size.namespaces(), ["team-000", "team-001", "team-002"]);
        assert_eq!(size.config(19), ("team-001".to_owned(), "app-0019".to_owned()));
    }
}
