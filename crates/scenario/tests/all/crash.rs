//! A crash right before or right after any write converges to the same end: no write is lost, none is done twice.
//!
//! Each scenario is played once without a fault, and the world is copied around every write of the operator (requests to
//! the cluster but Events and Leases, pushes, record writes). Then a fresh operator starts on each copy, and what it ends
//! with is compared with the end of the play without a fault: every object, every file in Git, and how often each object
//! was created and deleted.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use git_source::Rule;
use scenario::comparison::{count_line, is_effect, told};
use scenario::demo::{ImageCommit, PROMOTION_MANIFEST, begin, commit_image};
use scenario::setting::{Change, Moment, Setting, Wish, apply_documents, merge};
use serde_json::json;
use sim_cluster::{Cluster, Effect};

use crate::world::{in_virtual_time, pass, with_operator, world};

/// What people do.
pub(crate) type People<'a> = dyn Fn(&Setting) -> std::pin::Pin<Box<dyn Future<Output = ()> + '_>> + Sync + 'a;

/// What people do at the beginning of a scenario, and how long it takes to settle.
pub(crate) struct Case<'a> {
    pub(crate) name: &'a str,
    pub(crate) seconds: u64,
    /// The world is at rest when nothing was stored for so long: longer than any pause or delay of the scenario.
    pub(crate) quiet_seconds: u64,
    pub(crate) people: &'a People<'a>,
}

/// Longer than any pause or delay of the demonstration's scenarios.
const QUIET_SECONDS: u64 = 14;

fn v(tag: &'static str) -> ImageCommit<'static> {
    ImageCommit { tag, subject: "Another frontend", author: "Ann Author <ann@example.com>", build: "412" }
}

/// The moment at which v1 (or v2) is delivered, a manifest is carried out and everything is at rest.
fn at_rest(first: Option<&'static str>, manifest: &str) -> Moment {
    in_virtual_time(async || {
        let setting = world(7);
        with_operator(&setting, async {
            begin(&setting, &mut |_| {}).await.unwrap();
            if let Some(tag) = first {
                commit_image(&setting, &v(tag), &[]).unwrap();
            }
            apply_documents(&setting.people, manifest).await.unwrap();
            pass(90).await;
        })
        .await;
        setting.handle().unwrap().with(Cluster::clear_requests);
        Moment::of(&setting).unwrap()
    })
}

/// A copy of the world around one effect.
struct Point {
    label: String,
    moment: Moment,
    /// The line of a create or delete that is stored but not yet in the copy's request log.
    unlogged: Option<String>,
}

/// The request log gets its line after the write: a copy made in between lacks it.
fn unlogged(write: &sim_cluster::WriteInfo) -> Option<String> {
    let effect = match (&write.change.before, &write.change.after) {
        (None, Some(_)) => Effect::Created,
        (Some(_), None) => Effect::Deleted,
        _ => return None,
    };
    Some(count_line(effect, &write.change.resource, &write.change.namespace, &write.change.name))
}

/// Plays without a fault; returns the end and a copy of the world around each effect.
fn play(case: &Case<'_>, from: &Moment) -> (Moment, Vec<Point>) {
    let points: Arc<Mutex<Vec<Point>>> = Arc::default();
    let end = in_virtual_time(async || {
        let mut setting = from.begin().unwrap();
        let hooked = setting.clone();
        let kept = points.clone();
        let hook = move |write: &sim_cluster::WriteInfo, before: &Cluster, after: &Cluster| {
            if !is_effect(&write.actor, &write.change.resource) {
                return;
            }
            let label = format!(
                "{} {} {}/{}{}",
                write.verb, write.change.resource, write.change.namespace, write.change.name, write.subresource
            );
            let mut kept = kept.lock().unwrap();
            let moment = Moment::with_cluster(&hooked, before.clone()).unwrap();
            kept.push(Point { label: format!("before {label}"), moment, unlogged: None });
            let moment = Moment::with_cluster(&hooked, after.clone()).unwrap();
            kept.push(Point { label: format!("after {label}"), moment, unlogged: unlogged(write) });
        };
        setting.handle().unwrap().with(|cluster| cluster.on_write(Some(Arc::new(hook))));
        let probed = setting.clone();
        let kept = points.clone();
        setting.probe = Some(Arc::new(move |what: &'static str| {
            kept.lock().unwrap().push(Point {
                label: what.to_owned(),
                moment: Moment::of(&probed).unwrap(),
                unlogged: None,
            })
        }));
        with_operator(&setting, async {
            (case.people)(&setting).await;
            pass(case.seconds).await;
        })
        .await;
        setting.handle().unwrap().with(|cluster| cluster.on_write(None));
        Moment::of(&setting).unwrap()
    });
    let points = std::mem::take(&mut *points.lock().unwrap());
    (end, points)
}

/// Starts a fresh operator on a copy and lets it settle.
fn go_on(case: &Case<'_>, from: &Moment) -> Moment {
    in_virtual_time(async || {
        let setting = from.begin().unwrap();
        with_operator(&setting, rest(&setting, case)).await;
        Moment::of(&setting).unwrap()
    })
}

/// Waits until nothing was stored for long enough, at most twice the seconds that the scenario takes.
async fn rest(setting: &Setting, case: &Case<'_>) {
    let revision = || setting.handle().unwrap().with(|cluster| cluster.revision());
    let (mut last, mut quiet) = (revision(), 0);
    for _ in 0..case.seconds * 2 {
        pass(1).await;
        let now = revision();
        quiet = if now == last { quiet + 1 } else { 0 };
        last = now;
        if quiet >= case.quiet_seconds {
            return;
        }
    }
}

/// Crashes everywhere in a scenario; returns the number of points and what differed.
pub(crate) fn crash_everywhere(case: &Case<'_>, from: &Moment) -> (usize, Vec<String>) {
    let crashed = crash_and_go_on(case, from);
    (crashed.points, crashed.differences)
}

/// What came of crashing everywhere in a scenario.
pub(crate) struct Crashed {
    /// The end of the play without a fault.
    pub(crate) end: Moment,
    /// How many points there were.
    pub(crate) points: usize,
    /// What differed from the end.
    pub(crate) differences: Vec<String>,
}

/// Crashes everywhere in a scenario; what comes next may begin at its end.
pub(crate) fn crash_and_go_on(case: &Case<'_>, from: &Moment) -> Crashed {
    let (end, points) = play(case, from);
    let wanted = told(&end, None).unwrap();
    let next = AtomicUsize::new(0);
    let differences = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(2, usize::from).min(8) {
            scope.spawn(|| {
                while let Some(Point { label, moment, unlogged }) = points.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let found = told(&go_on(case, moment), unlogged.as_deref()).unwrap();
                    let keys: std::collections::BTreeSet<_> = wanted.keys().chain(found.keys()).collect();
                    for key in keys.into_iter().filter(|key| wanted.get(*key) != found.get(*key)) {
                        let line = format!(
                            "{}: crash {label}: {key}\n  want {:?}\n  have {:?}",
                            case.name,
                            wanted.get(key),
                            found.get(key)
                        );
                        differences.lock().unwrap().push(line);
                    }
                }
            });
        }
    });
    Crashed { end, points: points.len(), differences: differences.into_inner().unwrap() }
}

/// A Deployment that a Rollout takes the place of; its pods get the label of their part.
const TAKEN_OVER: &str = r#"
apiVersion: apps/v1
kind: Deployment
metadata: {name: taken-over, namespace: default}
spec:
  replicas: 2
  selector: {matchLabels: {app: taken-over}}
  template:
    metadata: {labels: {app: taken-over}}
    spec: {containers: [{name: web, image: "registry.example.com/shop/web:v1"}]}
---
apiVersion: argoproj.io/v1alpha1
kind: Rollout
metadata: {name: taken-over, namespace: default}
spec:
  replicas: 2
  workloadRef: {apiVersion: apps/v1, kind: Deployment, name: taken-over, scaleDown: progressively}
  strategy: {canary: {stableMetadata: {labels: {role: stable}}}}
"#;

/// With what is there beside the demonstration's own, at rest before it begins.
const CASES: [(&str, Case<'static>); 8] = [
    (
        "",
        Case {
            name: "a new version",
            seconds: 45,
            quiet_seconds: QUIET_SECONDS,
            people: &|setting| Box::pin(async { commit_image(setting, &v("v3-fine"), &[]).map(|_| ()).unwrap() }),
        },
    ),
    (
        "",
        Case {
            name: "a failing version goes back",
            seconds: 40,
            quiet_seconds: QUIET_SECONDS,
            people: &|setting| Box::pin(async { commit_image(setting, &v("v3"), &[]).map(|_| ()).unwrap() }),
        },
    ),
    (
        "",
        Case {
            name: "a promotion",
            seconds: 45,
            quiet_seconds: QUIET_SECONDS,
            people: &|setting| Box::pin(async { apply_documents(&setting.people, PROMOTION_MANIFEST).await.unwrap() }),
        },
    ),
    (
        "",
        Case {
            name: "a workload is taken over",
            seconds: 30,
            quiet_seconds: QUIET_SECONDS,
            people: &|setting| Box::pin(async { apply_documents(&setting.people, TAKEN_OVER).await.unwrap() }),
        },
    ),
    (
        "",
        Case {
            name: "a restart",
            seconds: 30,
            quiet_seconds: QUIET_SECONDS,
            people: &|setting| {
                Box::pin(async {
                    let (suffix, patch) = Wish::RestartAt(setting.now()).patch();
                    let people = &setting.people;
                    merge(people, "argoproj.io/v1alpha1", "Rollout", "qa", "frontend", suffix, &patch).await.unwrap();
                })
            },
        },
    ),
    (
        "",
        Case {
            name: "an object leaves Git",
            seconds: 15,
            quiet_seconds: QUIET_SECONDS,
            people: &|setting| {
                Box::pin(async {
                    let path = "environments/qa/guestbook/redis.yaml";
                    let text = String::from_utf8(setting.fleet.read(path).unwrap()).unwrap();
                    let shorter = text.split("---\n").take(2).collect::<Vec<_>>().join("---\n");
                    let change = Change {
                        subject: "No followers",
                        author: "Ann Author <ann@example.com>",
                        trailers: &[],
                        files: vec![(path.to_owned(), Some(shorter.into_bytes()))],
                    };
                    setting.fleet.commit(&change, setting.now()).unwrap();
                    setting.announce_push();
                })
            },
        },
    ),
    (
        "",
        Case {
            name: "a push that the server refuses",
            seconds: 40,
            quiet_seconds: QUIET_SECONDS,
            people: &|setting| {
                Box::pin(async {
                    commit_image(setting, &v("v3"), &[]).unwrap();
                    setting.fleet.memory().unwrap().add_rule(Rule::ProtectBranch { branch: "main".to_owned() });
                })
            },
        },
    ),
    (
        EXPERIMENT_MANIFEST,
        Case {
            name: "a canary with an experiment",
            seconds: 60,
            quiet_seconds: QUIET_SECONDS,
            people: &|setting| {
                Box::pin(async {
                    let patch = json!({"spec": {"template": {"spec": {"containers": [
                    {"name": "web", "image": "registry.example.com/shop/web:v2", "ports": [{"containerPort": 80}]}]}}}});
                    merge(&setting.people, "argoproj.io/v1alpha1", "Rollout", "lab", "web", "", &patch).await.unwrap();
                })
            },
        },
    ),
];

/// A canary whose update goes through an experiment with a share of the traffic, a Service and an analysis.
const EXPERIMENT_MANIFEST: &str = include_str!("../../../../fixtures/scenarios/parts/crash-experiment.yaml");

#[test]
fn a_crash_around_any_write_reaches_the_same_end() {
    let rest = at_rest(Some("v2"), "");
    let (mut points, mut differences) = (0, Vec::new());
    for (manifest, case) in &CASES {
        let begun = std::time::Instant::now();
        let (count, found) = match *manifest {
            "" => crash_everywhere(case, &rest),
            manifest => crash_everywhere(case, &at_rest(None, manifest)),
        };
        println!("{}: {count} points, {} differences, {:.0} s", case.name, found.len(), begun.elapsed().as_secs_f32());
        points += count;
        differences.extend(found);
    }
    println!("crash test: {points} points, {} differences", differences.len());
    assert!(differences.is_empty(), "{}", differences.iter().take(12).cloned().collect::<Vec<_>>().join("\n"));
    assert!(points >= 200, "only {points} points");
}
