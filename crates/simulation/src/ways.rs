//! The operator's ways to repositories and metric providers, on which things go wrong too.

use std::sync::Arc;

use futures::future::BoxFuture;
use git_source::{Fault as RemoteFault, MemoryRemote};
use object_model::Timestamp;
use reconcile_core::{Answer, HttpQuery, HttpReply, Question};
use reconcile_runtime::{Clock, GitBackend, Sender};
use scenario::setting::Around;
use serde_json::json;

use crate::fault::{Fault, delay};
use crate::play::{Life, Play};
use crate::rival;
use crate::swarm::Kind;

/// Stands around one life of one operator.
#[derive(Clone)]
pub(crate) struct Ways {
    pub(crate) play: Arc<Play>,
    pub(crate) life: Arc<Life>,
    pub(crate) remote: Option<MemoryRemote>,
    pub(crate) clock: Clock,
}

impl Around for Ways {
    fn git(&self, inner: Arc<dyn GitBackend>) -> Arc<dyn GitBackend> {
        Arc::new(Repositories { ways: self.clone(), inner })
    }

    fn sender(&self, inner: Arc<dyn Sender>) -> Arc<dyn Sender> {
        Arc::new(Providers { ways: self.clone(), inner })
    }
}

struct Repositories {
    ways: Ways,
    inner: Arc<dyn GitBackend>,
}

impl GitBackend for Repositories {
    fn answer<'a>(&'a self, question: &'a Question) -> BoxFuture<'a, Answer> {
        Box::pin(async move {
            let Ways { play, life, .. } = &self.ways;
            life.lives().await;
            let (kind, what) = match question {
                Question::Push { .. } => (Kind::Push, "push"),
                Question::PlanCommit(_) => (Kind::Fetch, "plan a commit"),
                Question::Render { .. } => (Kind::Fetch, "render"),
                Question::Fetch(_) => (Kind::Fetch, "fetch"),
                _ => return self.inner.answer(question).await,
            };
            let fault = play.fault(kind, &format!("{} {what}", life.name));
            let heads = self.heads();
            if let Some((fault, degree)) = fault {
                play.tell(life.name, what, &fault.to_string());
                self.before(kind, fault, degree).await;
            }
            let answer = self.inner.answer(question).await;
            self.judge_push(kind, heads.as_deref());
            play.tell(life.name, what, words(&answer));
            if fault.is_some_and(|(fault, _)| fault == Fault::GitCrashAfter) {
                match life.die().await {}
            }
            answer
        })
    }
}

impl Repositories {
    fn heads(&self) -> Option<String> {
        self.ways.remote.as_ref()?.head(scenario::setting::BRANCH).map(|commit| commit.to_string())
    }

    async fn before(&self, kind: Kind, fault: Fault, degree: u64) {
        let Ways { play, life, remote, clock } = &self.ways;
        let inject = |fault| remote.iter().for_each(|remote| remote.inject(fault));
        let on_push = |fault| remote.iter().for_each(|remote| remote.inject_on_push(fault));
        match fault {
            Fault::GitUnreachable => inject(RemoteFault::Unreachable),
            Fault::GitLoseReply => on_push(RemoteFault::LoseReply),
            Fault::GitBreakPush => on_push(RemoteFault::BreakPush),
            Fault::GitRival => {
                let moment = match kind {
                    Kind::Push => rival::Moment::BeforeThePush,
                    _ => rival::Moment::Now,
                };
                remote.iter().for_each(|remote| rival::pushes(play, remote, moment, clock.now()));
            }
            Fault::GitCrashBefore => match life.die().await {},
            Fault::GitSlow => {
                tokio::time::sleep(delay(degree)).await;
                life.lives().await;
            }
            _ => {}
        }
    }

    /// A push only ever adds to the branch, and an operation is on it at most once.
    fn judge_push(&self, kind: Kind, before: Option<&str>) {
        let (Some(remote), Kind::Push) = (&self.ways.remote, kind) else { return };
        let repository = remote.repository();
        let Ok(Some(head)) = repository.resolve(scenario::setting::BRANCH) else { return };
        let Ok(log) = repository.log(head, "", 200) else { return };
        if let Some(before) = before
            && !log.entries.iter().any(|entry| entry.id.to_string() == before)
        {
            self.ways.play.broke("I11", format!("commit {before} was pushed off the branch"));
        }
        let mut operations: Vec<&str> =
            log.entries.iter().filter_map(|entry| entry.trailers.get("Sluice-Operation")).collect();
        operations.sort_unstable();
        if let Some([twice, _]) = operations.windows(2).find(|pair| matches!(pair, [one, two] if one == two)) {
            self.ways.play.broke("I11", format!("operation {twice} is on the branch twice"));
        }
    }
}

fn words(answer: &Answer) -> &'static str {
    match answer {
        Answer::Failed(_) => "failed",
        Answer::Push(reconcile_core::PushResult::Pushed { .. }) => "pushed",
        Answer::Push(reconcile_core::PushResult::Raced { .. }) => "raced",
        Answer::Push(reconcile_core::PushResult::Refused { .. }) => "refused",
        _ => "answered",
    }
}

struct Providers {
    ways: Ways,
    inner: Arc<dyn Sender>,
}

impl Sender for Providers {
    fn send<'a>(&'a self, query: &'a HttpQuery) -> BoxFuture<'a, HttpReply> {
        Box::pin(async move {
            let Ways { play, life, clock, .. } = &self.ways;
            life.lives().await;
            let fault = play.fault(Kind::Query, &format!("{} query", life.name));
            play.count(|counts| {
                counts.replies += 1;
                let is_bad = fault.is_some_and(|(fault, _)| {
                    fault.may_change_verdicts() && !matches!(fault, Fault::MetricsEmpty | Fault::MetricsSlow)
                });
                counts.good_replies += u64::from(!is_bad);
            });
            let Some((fault, degree)) = fault else { return self.inner.send(query).await };
            play.tell(life.name, "query", &fault.to_string());
            tokio::task::yield_now().await;
            let value = |value: &str| {
                let vector = json!([{"metric": {}, "value": [clock.now().as_second(), value]}]);
                let body = json!({"status": "success", "data": {"resultType": "vector", "result": vector}});
                response(200, body.to_string(), clock.now())
            };
            match fault {
                Fault::MetricsError => response(503, "{}".to_owned(), clock.now()),
                Fault::MetricsNaN => value("NaN"),
                Fault::MetricsNonsense => value("a lot"),
                Fault::MetricsEmpty => {
                    let body = json!({"status": "success", "data": {"resultType": "vector", "result": []}});
                    response(200, body.to_string(), clock.now())
                }
                Fault::MetricsNoAnswer => {
                    tokio::time::sleep(delay(degree)).await;
                    HttpReply::Failed { message: "the request took too long".to_owned(), at: clock.now() }
                }
                _ => {
                    tokio::time::sleep(delay(degree)).await;
                    life.lives().await;
                    self.inner.send(query).await
                }
            }
        })
    }
}

fn response(status: u16, body: String, at: Timestamp) -> HttpReply {
    HttpReply::Response { status, body, at }
}
