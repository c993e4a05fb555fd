//! The Git worker over remotes in memory.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use git_source::{CommitPlan as GitPlan, Edit, MemoryRemote, Message, Person};
use reconcile_core::{
    Actor, Answer, CommitPlan, Edits, FetchSource, Identity, PlannedCommit, PushResult, Question, Rendered, Slot,
    SourceFailure,
};
use reconcile_runtime::{ApiClient, Blocking, GitBackend, GitOptions, GitWorker, MemoryRemotes};

use crate::cluster::World;

pub(crate) const URL: &str = "https://git.example.com/fleet";

pub(crate) struct Fleet {
    pub(crate) world: World,
    clock: reconcile_runtime::Clock,
    pub(crate) remote: MemoryRemote,
    worker: GitWorker,
}

pub(crate) fn service(name: &str, port: u16) -> String {
    format!("apiVersion: v1\nkind: Service\nmetadata:\n  name: {name}\nspec:\n  ports:\n  - port: {port}\n")
}

pub(crate) fn plan(subject: &str) -> GitPlan {
    let person = Person::new("Ada", "ada@example.com").unwrap();
    let time = "2030-01-01T00:00:00Z".parse().unwrap();
    GitPlan { author: person.clone(), committer: person, time, message: Message::new(subject).unwrap() }
}

impl Fleet {
    pub(crate) fn new() -> Self {
        let world = World::new();
        let remotes = MemoryRemotes::default();
        let remote = MemoryRemote::new("fleet");
        remotes.insert(URL, remote.clone());
        let api = ApiClient::new(world.client(), Duration::from_secs(10));
        let options = GitOptions { blocking: Blocking::Inline, ..GitOptions::default() };
        let worker = GitWorker::new(api, world.clock(), Arc::new(remotes), options);
        let fleet = Self { clock: world.clock(), world, remote, worker };
        fleet.commit("First", &[Edit::put("qa/web.yaml", service("web", 80)), Edit::put("prod/web.yaml", "a: 1\n")]);
        fleet
    }

    pub(crate) fn commit(&self, subject: &str, edits: &[Edit]) -> String {
        self.remote.commit("main", edits, &plan(subject)).unwrap().to_string()
    }

    fn head(&self) -> String {
        self.remote.head("main").unwrap().to_string()
    }

    fn read(&self, path: &str) -> String {
        let repository = self.remote.repository();
        let tree = repository.tree_at(self.remote.head("main").unwrap()).unwrap();
        String::from_utf8(tree.read(path).unwrap().to_vec()).unwrap()
    }

    pub(crate) async fn ask(&self, question: Question) -> Answer {
        self.worker.answer(&question).await
    }

    pub(crate) async fn render(&self, commit: &str, path: &str) -> Result<Rendered, SourceFailure> {
        let question = Question::Render {
            source: source(),
            commit: commit.into(),
            path: path.into(),
            render: Box::default(),
            namespace: "qa".into(),
            seed: "uid-1".into(),
            actor: Actor::Operator,
            values_namespace: "qa".into(),
        };
        match self.ask(question).await {
            Answer::Rendered(rendered) => Ok(rendered),
            Answer::Failed(failure) => Err(failure),
            other => panic!("not a render: {other:?}"),
        }
    }

    async fn plan(&self, plan: &CommitPlan) -> PlannedCommit {
        match self.ask(Question::PlanCommit(plan.clone())).await {
            Answer::Planned(planned) => planned,
            other => panic!("not a plan: {other:?}"),
        }
    }

    async fn push(&self, plan: &CommitPlan, base: &str, commit: &str) -> PushResult {
        match self.ask(Question::Push { plan: plan.clone(), base: base.into(), commit: commit.into() }).await {
            Answer::Push(result) => result,
            other => panic!("not a push: {other:?}"),
        }
    }
}

fn source() -> FetchSource {
    FetchSource::branch(URL, "main")
}

fn commit_plan(edits: Edits, operation: &str) -> CommitPlan {
    CommitPlan {
        source: source(),
        write_credential: None,
        edits,
        operation: operation.into(),
        author: Identity { name: "Ada".into(), email: "ada@example.com".into() },
        time: "2030-01-01T01:00:00Z".parse().unwrap(),
        message: format!("Restore qa\n\nSluice-Operation: {operation}\n"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_failure_is_as_old_as_its_question_so_that_news_in_between_count() {
    let fleet = Fleet::new();
    let asked = fleet.clock.now();
    let gone = FetchSource::branch(URL, "gone");
    let later = tokio::time::advance(Duration::from_secs(5));
    let (answer, ()) = tokio::join!(fleet.ask(Question::Fetch(gone)), later);
    let Answer::Failed(failure) = answer else { panic!("there is no such branch") };
    assert_eq!((failure.at, fleet.clock.now() > asked), (asked, true));
}

#[tokio::test(start_paused = true)]
async fn the_head_of_a_branch_is_told_and_what_is_wrong_is_named() {
    let fleet = Fleet::new();
    let Answer::Head(head) = fleet.ask(Question::Fetch(source())).await else { panic!("no head") };
    assert_eq!(head.commit, fleet.head());
    for (url, branch, reason, message) in [
        (URL, "mian", "BranchNotFound", "https://git.example.com/fleet has no branch `mian`"),
        (
            "https://git.example.com/gone",
            "main",
            "RepositoryNotFound",
            "https://git.example.com/gone has no repository there",
        ),
    ] {
        let source = FetchSource::branch(url, branch);
        let Answer::Failed(failure) = fleet.ask(Question::Fetch(source)).await else { panic!("it should fail") };
        assert_eq!((failure.reason.as_str(), failure.message.as_str()), (reason, message));
    }
}

#[tokio::test(start_paused = true)]
async fn a_commit_elsewhere_changes_neither_the_render_nor_who_touched_it() {
    let fleet = Fleet::new();
    let first = fleet.head();
    let rendered = fleet.render(&first, "qa").await.unwrap();
    assert_eq!(rendered.objects[0].object.id().to_string(), "Service web");
    assert_eq!((rendered.objects[0].file.as_str(), rendered.objects[0].line), ("qa/web.yaml", 1));
    let second = fleet.commit("Elsewhere", &[Edit::put("prod/web.yaml", "a: 2\n")]);
    let again = fleet.render(&second, "qa").await.unwrap();
    assert_eq!((&again.key, &again.touched.commit), (&rendered.key, &first));
    assert!(Arc::ptr_eq(&again.objects, &rendered.objects), "the render is kept");
    let third = fleet.commit("Port", &[Edit::put("qa/web.yaml", service("web", 81))]);
    let changed = fleet.render(&third, "qa").await.unwrap();
    assert_ne!(changed.key, rendered.key);
    assert_eq!((changed.touched.commit.as_str(), changed.touched.subject.as_str()), (third.as_str(), "Port"));
}

#[tokio::test(start_paused = true)]
async fn a_commit_is_looked_at_once_for_all_renders_that_it_does_not_touch() {
    let fleet = Fleet::new();
    let paths: Vec<String> = (0..20).map(|number| format!("apps/{number:02}")).collect();
    let file = |path: &String| Edit::put(&format!("{path}/web.yaml"), service("web", 80));
    let first = fleet.commit("Apps", &paths.iter().map(file).collect::<Vec<_>>());
    let mut renders = Vec::new();
    for path in &paths {
        renders.push((Slot::new("uid", path.clone()), fleet.render(&first, path).await.unwrap()));
    }
    let second = fleet.commit("Port", &[Edit::put("apps/07/web.yaml", service("web", 81))]);
    fleet.ask(Question::Fetch(source())).await;
    let requests = fleet.remote.requests();
    let same = fleet.worker.same_at(&source(), &second, renders.clone()).await;
    assert_eq!(fleet.remote.requests(), requests, "both commits are here");
    let told: Vec<&str> = same.iter().map(|slot| slot.name.as_str()).collect();
    let others: Vec<&str> = paths.iter().map(String::as_str).filter(|path| *path != "apps/07").collect();
    assert_eq!(told, others);
    let third = fleet.commit("A second file", &[Edit::put("apps/03/more.yaml", service("more", 80))]);
    fleet.ask(Question::Fetch(source())).await;
    let same = fleet.worker.same_at(&source(), &third, renders).await;
    assert_eq!(same.len(), 18, "a file that is new in a folder that was listed concerns its render");
    let unknown = vec![(
        Slot::new("uid", "x"),
        Rendered { key: "other".into(), ..fleet.render(&third, "apps/00").await.unwrap() },
    )];
    assert!(fleet.worker.same_at(&source(), &third, unknown).await.is_empty(), "nothing is said of an unknown render");
}

#[tokio::test(start_paused = true)]
async fn a_broken_file_and_a_missing_path_say_where() {
    let fleet = Fleet::new();
    let commit = fleet.commit("Broken", &[Edit::put("qa/web.yaml", "a: 1\n  b: 2\n")]);
    let failure = fleet.render(&commit, "qa").await.unwrap_err();
    assert_eq!((failure.reason.as_str(), failure.lasting), ("RenderFailed", true));
    assert!(failure.message.starts_with("qa/web.yaml:2"), "{}", failure.message);
    let failure = fleet.render(&commit, "stage").await.unwrap_err();
    assert_eq!(failure.reason, "PathNotFound");
    assert!(failure.message.starts_with("path `stage` does not exist at commit "), "{}", failure.message);
}

#[tokio::test(start_paused = true)]
async fn a_restoring_commit_keeps_what_others_changed_and_is_pushed_once() {
    let fleet = Fleet::new();
    let healthy = fleet.head();
    let edits = [Edit::put("qa/web.yaml", service("web", 81)), Edit::put("prod/web.yaml", "a: 2\n")];
    let bad = fleet.commit("Bad", &edits);
    let restore = Edits::Restore { bad: bad.clone(), healthy, paths: vec!["qa".into()] };
    let plan = commit_plan(restore, "op-1");
    let PlannedCommit::Ready { base, commit, paths } = fleet.plan(&plan).await else { panic!("not ready") };
    assert_eq!((base.as_str(), paths.as_slice()), (bad.as_str(), ["qa/web.yaml".to_owned()].as_slice()));
    assert_eq!(fleet.push(&plan, &base, &commit).await, PushResult::Pushed { commit: commit.clone() });
    assert_eq!((fleet.read("qa/web.yaml"), fleet.read("prod/web.yaml")), (service("web", 80), "a: 2\n".to_owned()));
    assert_eq!(fleet.push(&plan, &base, &commit).await, PushResult::Pushed { commit: commit.clone() });
    assert_eq!(fleet.plan(&plan).await, PlannedCommit::AlreadyThere { commit: commit.clone() });
    assert_eq!(fleet.head(), commit);
}

#[tokio::test(start_paused = true)]
async fn a_push_that_lost_the_race_is_told_where_the_branch_is() {
    let fleet = Fleet::new();
    let healthy = fleet.head();
    let bad = fleet.commit("Bad", &[Edit::put("qa/web.yaml", service("web", 81))]);
    let plan = commit_plan(Edits::Restore { bad, healthy, paths: vec!["qa".into()] }, "op-1");
    let PlannedCommit::Ready { base, commit, .. } = fleet.plan(&plan).await else { panic!("not ready") };
    let head = fleet.commit("Faster", &[Edit::put("notes.md", "hello\n")]);
    assert_eq!(fleet.push(&plan, &base, &commit).await, PushResult::Raced { head: head.clone() });
    let PlannedCommit::Ready { base, commit, .. } = fleet.plan(&plan).await else { panic!("not ready") };
    assert_eq!(base, head);
    assert_eq!(fleet.push(&plan, &base, &commit).await, PushResult::Pushed { commit });
    assert_eq!(fleet.read("notes.md"), "hello\n");
}

#[tokio::test(start_paused = true)]
async fn only_the_image_of_the_target_directory_changes() {
    let fleet = Fleet::new();
    let deployment = "apiVersion: apps/v1\nkind: Deployment # keep me\nmetadata: {name: web}\nspec:\n  template:\n    spec:\n      \
         containers:\n      - name: web\n        image: ghcr.io/acme/web:v1 # pinned\n";
    fleet.commit("Env", &[Edit::put("e2e/web.yaml", deployment)]);
    let images = BTreeMap::from([("ghcr.io/acme/web".to_owned(), "ghcr.io/acme/web:v2".to_owned())]);
    let plan = commit_plan(Edits::SetImages { path: "e2e".into(), images }, "op-2");
    let PlannedCommit::Ready { base, commit, paths } = fleet.plan(&plan).await else { panic!("not ready") };
    assert_eq!(paths, ["e2e/web.yaml"]);
    fleet.push(&plan, &base, &commit).await;
    assert_eq!(fleet.read("e2e/web.yaml"), deployment.replace("web:v1", "web:v2"));
}
