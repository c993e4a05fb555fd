//! Runs the questions of the Exchange.

use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use reconcile_core::{Actor, Answer, FetchSource, HttpReply, ObjectRef, Question, Rendered, Slot, SourceFailure};
use tokio::task::JoinSet;

use crate::api::{ApiClient, Detail};
use crate::dry_run;
use crate::exchange::Ready;
use crate::sender::Sender;
use crate::shared::{Shared, lock};

/// No question takes longer, whatever its own limits say.
const QUESTION_TIMEOUT: Duration = Duration::from_secs(300);

/// Answers questions about repositories. The runtime's own is [`crate::GitWorker`].
pub trait GitBackend: Send + Sync + 'static {
    /// Answers a question about a repository; failures are answers too.
    fn answer<'a>(&'a self, question: &'a Question) -> BoxFuture<'a, Answer>;

    /// Says which of these renders of a repository are the same at another commit of it; those that it can't tell of are
    /// not among them, and are asked for one by one.
    fn same_at<'a>(
        &'a self,
        _source: &'a FetchSource,
        _commit: &'a str,
        _renders: Vec<(Slot, Rendered)>,
    ) -> BoxFuture<'a, Vec<Slot>> {
        Box::pin(std::future::ready(Vec::new()))
    }
}

/// Whom the runtime asks.
#[derive(Clone)]
pub(crate) struct Answerers {
    pub(crate) sender: Arc<dyn Sender>,
    pub(crate) git: Arc<dyn GitBackend>,
}

/// Starts questions as they are asked and delivers their answers, for ever.
pub(crate) async fn run(shared: Arc<Shared>, answerers: Answerers) {
    let mut running: JoinSet<()> = JoinSet::new();
    loop {
        for ready in lock(&shared.exchange).start() {
            running.spawn(answer(shared.clone(), answerers.clone(), ready));
        }
        tokio::select! {
            biased;
            Some(_) = running.join_next() => {}
            () = shared.questions.notified() => {}
        }
    }
}

async fn answer(shared: Arc<Shared>, answerers: Answerers, ready: Ready) {
    let begun = tokio::time::Instant::now();
    let asked = shared.clock.now();
    let git = answerers.git.clone();
    let kind = kind_of(&ready.question);
    // A task of its own, so that a panic in a reader of foreign bytes is an answer and not the end of the runtime.
    let mut alone = JoinSet::new();
    let question = ready.question.clone();
    let api = shared.api.clone();
    alone.spawn(async move {
        match &question {
            Question::Http(query) => Answer::Http(answerers.sender.send(query).await),
            Question::DryRun { actor, objects } => dry_run::answer(&api, actor, objects, asked).await,
            Question::ConfigMap { namespace, name } => config_map(&api, namespace, name, asked).await,
            Question::Pods { namespace, selector } => pods(&api, namespace, selector, asked).await,
            other => answerers.git.answer(other).await,
        }
    });
    let outcome = tokio::time::timeout(QUESTION_TIMEOUT, alone.join_next()).await;
    let now = shared.clock.now();
    let failed = |message: &str| match &ready.question {
        Question::Http(_) => Answer::Http(HttpReply::Failed { message: message.to_owned(), at: now }),
        _ => Answer::Failed(SourceFailure {
            reason: "InternalError".to_owned(),
            message: message.to_owned(),
            at: asked,
            lasting: false,
        }),
    };
    let answer = match outcome {
        Ok(Some(Ok(answer))) => answer,
        Ok(_) => {
            tracing::error!(kind, "answering a question panicked");
            failed("answering this question failed inside the operator")
        }
        Err(_) => failed("there was no answer within five minutes"),
    };
    let result = match &answer {
        Answer::Failed(_) | Answer::Http(HttpReply::Failed { .. }) => "failed",
        _ => "ok",
    };
    shared.metrics.count("sluice_questions_total", &[("kind", kind), ("result", result)]);
    shared.metrics.observe("sluice_question_seconds", &[("kind", kind)], begun.elapsed());
    let same = same_at_head(&shared, git.as_ref(), &ready.question, &answer).await;
    shared.answered(&ready.slot, ready.run, answer, &same);
}

/// Of all renders of a branch whose head has moved, those that its commits did not touch: a look at what differs tells it of
/// all of them at once.
async fn same_at_head(shared: &Shared, git: &dyn GitBackend, question: &Question, answer: &Answer) -> Vec<Slot> {
    let (Question::Fetch(source), Answer::Head(head)) = (question, answer) else { return Vec::new() };
    let renders = lock(&shared.exchange).movable(source, &head.commit);
    if renders.is_empty() {
        return Vec::new();
    }
    git.same_at(source, &head.commit, renders).await
}

/// Reads a ConfigMap once.
async fn config_map(api: &ApiClient, namespace: &str, name: &str, asked: object_model::Timestamp) -> Answer {
    let kind = reconcile_core::kinds::config_map();
    let target = ObjectRef { kind, namespace: Some(namespace.to_owned()), name: name.to_owned() };
    let failed = |message: String| {
        Answer::Failed(SourceFailure { reason: "ConfigMapNotRead".to_owned(), message, at: asked, lasting: false })
    };
    match api.get(&Actor::Operator, &target, Detail::Full).await {
        Ok(Some(found)) => {
            let data = found.pointer("/data").and_then(serde_json::Value::as_object).into_iter().flatten();
            let text = |(key, value): (&String, &serde_json::Value)| {
                Some((key.clone(), object_model::Secret::new(value.as_str()?.to_owned())))
            };
            Answer::Secret(data.filter_map(text).collect())
        }
        Ok(None) => failed(format!("ConfigMap {namespace}/{name} does not exist")),
        Err(error) => failed(error.to_string()),
    }
}

/// Reads pods once.
async fn pods(api: &ApiClient, namespace: &str, selector: &str, asked: object_model::Timestamp) -> Answer {
    let kind = reconcile_core::Kind::namespaced("", "v1", "Pod", "pods");
    match api.list(&kind, namespace, Some(selector), Detail::Full).await {
        Ok(list) => Answer::Pods(list.items.into_iter().map(Arc::new).collect()),
        Err(error) => Answer::Failed(SourceFailure {
            reason: "PodsNotRead".to_owned(),
            message: error.to_string(),
            at: asked,
            lasting: false,
        }),
    }
}

fn kind_of(question: &Question) -> &'static str {
    match question {
        Question::Fetch(_) => "fetch",
        Question::Render { .. } => "render",
        Question::DryRun { .. } => "dry-run",
        Question::Http(_) => "http",
        Question::Secret { .. } => "secret",
        Question::ConfigMap { .. } => "config-map",
        Question::Pods { .. } => "pods",
        Question::PlanCommit(_) => "plan-commit",
        Question::Push { .. } => "push",
    }
}

/// Answers that there is no Git in this operator.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoGit;

impl GitBackend for NoGit {
    fn answer<'a>(&'a self, _question: &'a Question) -> BoxFuture<'a, Answer> {
        Box::pin(std::future::ready(Answer::Failed(SourceFailure {
            reason: "GitDisabled".to_owned(),
            message: "this operator reads no repositories".to_owned(),
            at: object_model::Timestamp::UNIX_EPOCH,
            lasting: true,
        })))
    }
}
