//! The demonstration: five things that really happen, each checked in cluster and Git.
//!
//! [`play`] is what a platform team does, one after the other; what follows is done by the operator. It runs on any
//! [`Setting`]: the wall clock of `sluice demo`, the virtual time of the crash test, a real cluster.

mod files;
mod watch;

pub use files::{image_line, repository_files};
pub use watch::{Frame, frame};

use std::time::Duration;

use object_model::{Object, Timestamp};
use serde_json::{Value, json};
use sim_traffic::{Behaviour, Load};

use crate::setting::{
    AnnounceError, Change, FleetError, PeopleError, Setting, apply_documents, get, install, wait_for,
};

const ROLLOUT: (&str, &str) = ("argoproj.io/v1alpha1", "Rollout");
const CONFIG: (&str, &str) = ("sluice.dev/v1", "GitOpsConfig");
const PROMOTION: (&str, &str) = ("sluice.dev/v1alpha1", "Promotion");

/// The image that the demonstration rolls out.
pub const IMAGE: &str = "registry.example.com/guestbook/frontend";

/// Something that a spectator should hear of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// One of the five acts begins.
    Act {
        /// From 1; 0 prepares.
        number: u32,
        /// What will happen.
        title: String,
    },
    /// Something happened.
    Told(String),
    /// Something was checked.
    Checked(Check),
}

/// One fact, looked up in cluster or Git.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// What should be so.
    pub what: String,
    /// Whether it is.
    pub holds: bool,
    /// What was found.
    pub found: String,
}

/// Why a demonstration ended early.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// A person's request failed or a wait ended.
    #[error(transparent)]
    People(#[from] PeopleError),
    /// The repository could not be written.
    #[error(transparent)]
    Fleet(#[from] FleetError),
    /// The operator did not take the news of a push.
    #[error(transparent)]
    Announce(#[from] AnnounceError),
}

/// How often the weights are looked at: a Rollout counts as healthy before its last weight goes back, as Argo has it.
const SETTLING_LOOKS: u32 = 40;

/// Plays all acts and returns what was checked.
///
/// # Errors
/// When something could not be done or did not come true in time.
pub async fn play(setting: &Setting, tell: &mut dyn FnMut(Progress)) -> Result<Vec<Check>, DemoError> {
    let mut stage = Play { setting, tell, checks: Vec::new(), limit: Duration::from_secs(120) };
    stage.prepare().await?;
    stage.deliver().await?;
    stage.roll_out().await?;
    stage.take_back().await?;
    stage.promote().await?;
    stage.remember().await?;
    Ok(stage.checks)
}

/// Plays what comes before the first change: a cluster with roles and environments in which v1 is delivered.
///
/// # Errors
/// When something could not be done or did not come true in time.
pub async fn begin(setting: &Setting, tell: &mut dyn FnMut(Progress)) -> Result<Vec<Check>, DemoError> {
    let mut stage = Play { setting, tell, checks: Vec::new(), limit: Duration::from_secs(120) };
    stage.prepare().await?;
    stage.deliver().await?;
    Ok(stage.checks)
}

/// What a person changes with one commit to qa.
#[derive(Debug, Clone, Copy)]
pub struct ImageCommit<'a> {
    /// Tag of the new image.
    pub tag: &'a str,
    /// First line.
    pub subject: &'a str,
    /// Author as `NAME <EMAIL>`.
    pub author: &'a str,
    /// Number of the build.
    pub build: &'a str,
}

/// Commits a new image for qa, with other files in the same commit, and returns the id.
///
/// # Errors
/// When the commit can't be made.
pub fn commit_image(
    setting: &Setting,
    commit: &ImageCommit<'_>,
    others: &[(String, Option<Vec<u8>>)],
) -> Result<String, DemoError> {
    let path = "environments/qa/guestbook/frontend.yaml";
    let now = read(setting, path);
    let line = image_line(&now).unwrap_or_default();
    let old = line
        .split(&format!("{IMAGE}:"))
        .nth(1)
        .and_then(|rest| rest.split_whitespace().next())
        .unwrap_or_default()
        .to_owned();
    let text = now.replace(&format!("{IMAGE}:{old}"), &format!("{IMAGE}:{}", commit.tag));
    let mut files = vec![(path.to_owned(), Some(text.into_bytes()))];
    files.extend(others.iter().cloned());
    let source = format!("https://git.example.com/acme/frontend.git@{}{}", commit.build, "0".repeat(37));
    let link = format!("https://ci.example.com/builds/{}", commit.build);
    let trailers = [("Sluice-Build", link.as_str()), ("Sluice-Source", source.as_str())];
    let change = Change { subject: commit.subject, author: commit.author, trailers: &trailers, files };
    let id = setting.fleet.commit(&change, setting.now())?;
    setting.announce_push();
    Ok(id)
}

/// The Promotion of the fourth act.
pub const PROMOTION_MANIFEST: &str = include_str!("../../../../fixtures/demo/cluster/promotion.yaml");

fn read(setting: &Setting, path: &str) -> String {
    setting.fleet.read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
}

struct Play<'a> {
    setting: &'a Setting,
    tell: &'a mut dyn FnMut(Progress),
    checks: Vec<Check>,
    limit: Duration,
}

impl Play<'_> {
    fn act(&mut self, number: u32, title: &str) {
        (self.tell)(Progress::Act { number, title: title.to_owned() });
    }

    fn told(&mut self, text: impl Into<String>) {
        (self.tell)(Progress::Told(text.into()));
    }

    fn check(&mut self, what: &str, holds: bool, found: impl Into<String>) {
        let check = Check { what: what.to_owned(), holds, found: found.into() };
        (self.tell)(Progress::Checked(check.clone()));
        self.checks.push(check);
    }

    fn now(&self) -> Timestamp {
        self.setting.now()
    }

    async fn wait(
        &self,
        kind: (&str, &str),
        namespace: &str,
        name: &str,
        what: &str,
        holds: impl Fn(&Object) -> bool,
    ) -> Result<Object, DemoError> {
        Ok(wait_for(&self.setting.people, (kind.0, kind.1, namespace, name), what, self.limit, holds).await?)
    }

    /// What stands before the operator comes: kinds, roles, and the first commit.
    async fn prepare(&mut self) -> Result<(), DemoError> {
        self.act(0, "a cluster with Sluice's kinds and roles, and a Git repository");
        install(&self.setting.people, self.limit).await?;
        let files = repository_files();
        let change =
            Change { subject: "Begin the fleet", author: "Paula Platform <paula@example.com>", trailers: &[], files };
        let commit = self.setting.fleet.commit(&change, self.now())?;
        self.told(format!("commit {} by Paula Platform: Begin the fleet", short(&commit)));
        for namespace in ["qa", "e2e"] {
            let load = Load::new("frontend", namespace, 50.0);
            self.setting.with_traffic(|traffic| traffic.set_load(&format!("visitors-{namespace}"), load));
        }
        self.setting.with_traffic(|traffic| traffic.set_behaviour(&format!("{IMAGE}:v3"), Behaviour::failing(0.1)));
        Ok(())
    }

    async fn deliver(&mut self) -> Result<(), DemoError> {
        self.act(1, "environments stand, and a minimal GitOpsConfig delivers the guestbook");
        let people = self.setting.people.clone();
        apply_documents(&people, include_str!("../../../../fixtures/demo/cluster/accounts.yaml")).await?;
        apply_documents(&people, &self.with_url(include_str!("../../../../fixtures/demo/cluster/environments.yaml")))
            .await?;
        for name in ["qa", "e2e", "prod"] {
            let kind = ("sluice.dev/v1alpha1", "Environment");
            self.wait(kind, "", name, &format!("environment {name} is ready"), is_ready).await?;
        }
        self.told("environments qa, e2e and prod have their namespace, NetworkPolicy, ResourceQuota and RoleBinding");
        apply_documents(&people, include_str!("../../../../fixtures/demo/cluster/pipeline.yaml")).await?;
        apply_documents(&people, &self.with_url(include_str!("../../../../fixtures/demo/cluster/configs.yaml")))
            .await?;
        for namespace in ["qa", "e2e"] {
            self.wait(CONFIG, namespace, "guestbook", &format!("the guestbook is healthy in {namespace}"), is_ready)
                .await?;
        }
        self.check_image("qa", "v1").await?;
        let mut walls = Vec::new();
        for (api_version, kind, name) in
            [("networking.k8s.io/v1", "NetworkPolicy", "block-other-namespace"), ("v1", "ResourceQuota", "environment")]
        {
            if get(&people, api_version, kind, "prod", name).await?.is_some() {
                walls.push(kind);
            }
        }
        self.check("environment prod has its walls", walls.len() == 2, walls.join(", "));
        Ok(())
    }

    async fn roll_out(&mut self) -> Result<(), DemoError> {
        self.act(2, "a commit sets v2, and it becomes stable step by step under live traffic");
        // Until the first pods are there nobody can answer; from here on every request counts.
        self.setting.with_traffic(sim_traffic::Traffic::reset_report);
        let commit = commit_image(
            self.setting,
            &ImageCommit { tag: "v2", subject: "Frontend v2", author: "Ann Author <ann@example.com>", build: "412" },
            &[],
        )?;
        self.told(format!("commit {} by Ann Author: Frontend v2", short(&commit)));
        self.setting.call_push_hook().await?;
        self.wait(CONFIG, "qa", "guestbook", "qa has v2", |config| {
            config.str_at("/status/lastHealthy/commit") == Some(&commit)
        })
        .await?;
        self.check_image("qa", "v2").await?;
        let mut weights = self.weights("qa").await?;
        for _ in 0..SETTLING_LOOKS {
            if weights == [100, 0] {
                break;
            }
            tokio::time::sleep(Duration::from_millis(250)).await;
            weights = self.weights("qa").await?;
        }
        self.check("all traffic of qa is back on the stable Service", weights == [100, 0], format!("{weights:?}"));
        let report = self.setting.with_traffic(|traffic| traffic.report());
        self.check("no request was lost", report.lost() == 0, format!("{} lost", report.lost()));
        Ok(())
    }

    async fn take_back(&mut self) -> Result<(), DemoError> {
        self.act(3, "a commit sets v3, which fails one request in ten: it goes back in the cluster and in Git");
        let runbook = "# Runbook\n\nWho is on call finds the dashboards under /grafana, the alerts under /alerts.\n";
        let other = [("docs/runbook.md".to_owned(), Some(runbook.as_bytes().to_vec()))];
        let commit = ImageCommit {
            tag: "v3",
            subject: "Frontend v3, and where the alerts are",
            author: "Bob Builder <bob@example.com>",
            build: "413",
        };
        let bad = commit_image(self.setting, &commit, &other)?;
        self.told(format!("commit {} by Bob Builder: Frontend v3, and where the alerts are", short(&bad)));
        self.setting.call_push_hook().await?;
        let rollback = format!("guestbook-rollback-{}", bad.get(..12).unwrap_or(&bad));
        let promotion = self
            .wait(PROMOTION, "qa", &rollback, "the failed commit is taken back", |promotion| {
                matches!(promotion.str_at("/status/phase"), Some("Succeeded" | "Failed"))
            })
            .await?;
        let phase = promotion.str_at("/status/phase").unwrap_or_default().to_owned();
        self.check("the rollback succeeded", phase == "Succeeded", phase);
        self.check_image("qa", "v2").await?;
        let entries = self.setting.fleet.log(10);
        let newest = entries.first();
        let message = newest.map(|entry| entry.message.clone()).unwrap_or_default();
        self.check(
            "the restoring commit names the bad one and the reason",
            message.contains(&bad) && message.contains("Sluice-Reason:"),
            first_line(&message),
        );
        let reverts = entries.iter().filter(|entry| entry.trailers.get("Sluice-Reverts") == Some(&bad)).count();
        self.check("there is exactly one restoring commit", reverts == 1, reverts.to_string());
        let file = self.file("environments/qa/guestbook/frontend.yaml");
        self.check(
            "Git says v2 again",
            image_line(&file).is_some_and(|line| line.contains(":v2")),
            image_line(&file).unwrap_or_default(),
        );
        let kept = self.file("docs/runbook.md");
        self.check(
            "the other change of the bad commit survives",
            kept == runbook,
            first_line(kept.lines().nth(2).unwrap_or_default()),
        );
        Ok(())
    }

    async fn promote(&mut self) -> Result<(), DemoError> {
        self.act(4, "a Promotion takes v2 from qa to e2e by a commit that edits one image");
        let before = self.file("environments/e2e/guestbook/frontend.yaml");
        apply_documents(&self.setting.people, PROMOTION_MANIFEST).await?;
        let promotion = self
            .wait(PROMOTION, "platform", "frontend-to-e2e", "v2 is healthy in e2e", |promotion| {
                matches!(promotion.str_at("/status/phase"), Some("Succeeded" | "Failed" | "Superseded"))
            })
            .await?;
        let phase = promotion.str_at("/status/phase").unwrap_or_default().to_owned();
        self.check("the promotion succeeded", phase == "Succeeded", phase);
        self.check_image("e2e", "v2").await?;
        let after = self.file("environments/e2e/guestbook/frontend.yaml");
        let same = before.replace(&format!("{IMAGE}:v1"), &format!("{IMAGE}:v2")) == after && before != after;
        self.check("only the image changed, every other byte is kept", same, image_line(&after).unwrap_or_default());
        let changed =
            self.setting.fleet.log(1).first().and_then(|entry| entry.changed_paths.clone()).unwrap_or_default();
        self.check(
            "the commit touches one file",
            changed == ["environments/e2e/guestbook/frontend.yaml"],
            changed.join(", "),
        );
        Ok(())
    }

    async fn remember(&mut self) -> Result<(), DemoError> {
        self.act(5, "the record tells who wanted what, from which commit and build");
        let story = crate::story::why(self.setting, "e2e", ROLLOUT.0, ROLLOUT.1, "frontend").await?;
        for (what, part) in [
            ("why names the person who asked", "Rita Release"),
            ("why names the promotion", "frontend-to-e2e"),
            ("why names the build", "https://ci.example.com/builds/412"),
            ("why names the source commit", "https://git.example.com/acme/frontend.git@"),
        ] {
            let found = story.lines().find(|line| line.contains(part)).map(str::trim).unwrap_or_default().to_owned();
            self.check(what, !found.is_empty(), found);
        }
        let frontend = object_model::ObjectId::new("argoproj.io", ROLLOUT.1, Some("qa"), "frontend");
        let rows = crate::story::history_of(self.setting, frontend).await;
        let images: Vec<&str> = ["v1", "v2", "v3"]
            .into_iter()
            .filter(|tag| rows.iter().any(|row| row.contains(&format!("{IMAGE}:{tag}"))))
            .collect();
        self.check("the record has all three versions of qa", images.len() == 3, images.join(", "));
        Ok(())
    }

    fn with_url(&self, text: &str) -> String {
        text.replace("REPOSITORY", &self.setting.fleet.url())
    }

    fn file(&self, path: &str) -> String {
        read(self.setting, path)
    }

    async fn check_image(&mut self, namespace: &str, tag: &str) -> Result<(), DemoError> {
        let rollout = get(&self.setting.people, ROLLOUT.0, ROLLOUT.1, namespace, "frontend").await?;
        let text =
            |pointer: &str| rollout.as_ref().and_then(|rollout| rollout.str_at(pointer)).unwrap_or_default().to_owned();
        let image = text("/spec/template/spec/containers/0/image");
        let phase = text("/status/phase");
        let at_rest =
            !text("/status/stableRS").is_empty() && text("/status/stableRS") == text("/status/currentPodHash");
        let holds = image == format!("{IMAGE}:{tag}") && phase == "Healthy" && at_rest;
        self.check(&format!("{tag} is stable and healthy in {namespace}"), holds, format!("{image} {phase}"));
        Ok(())
    }

    async fn weights(&self, namespace: &str) -> Result<Vec<i64>, DemoError> {
        let service =
            get(&self.setting.people, "networking.istio.io/v1alpha3", "VirtualService", namespace, "frontend").await?;
        let routes = service.as_ref().map(|service| service.list_at("/spec/http/0/route").to_vec()).unwrap_or_default();
        Ok(routes.iter().filter_map(|route| route.get("weight").and_then(Value::as_i64)).collect())
    }
}

fn is_ready(object: &Object) -> bool {
    has_condition(object, "Ready", "True") && object.int_at("/status/observedGeneration") == Some(object.generation())
}

fn has_condition(object: &Object, kind: &str, status: &str) -> bool {
    let conditions = object.list_at("/status/conditions");
    conditions
        .iter()
        .any(|condition| condition.get("type") == Some(&json!(kind)) && condition.get("status") == Some(&json!(status)))
}

fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().to_owned()
}

fn short(commit: &str) -> &str {
    commit.get(..8).unwrap_or(commit)
}
