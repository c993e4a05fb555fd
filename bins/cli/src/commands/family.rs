//! `sluice get rollout|experiment|analysisrun NAME`: how it stands, and the tree of what it made, as `kubectl argo rollouts
//! get` shows them.

use object_model::{Object, Timestamp, parse_time};
use scenario::setting::list;
use serde_json::Value;

use crate::cluster::Cluster;
use crate::output::Failure;

const HASH: &str = "rollouts-pod-template-hash";
const REVISION: &str = "rollout.argoproj.io/revision";

/// The kinds that are shown with what they made.
pub(crate) fn has_family(kind: &str) -> bool {
    matches!(kind, "Rollout" | "Experiment" | "AnalysisRun")
}

/// What is in the namespace of a Rollout, an Experiment or an AnalysisRun.
#[derive(Debug, Default)]
pub(crate) struct Family {
    sets: Vec<Object>,
    runs: Vec<Object>,
    experiments: Vec<Object>,
    pods: Vec<Object>,
}

impl Family {
    /// Reads what may belong to `kind`.
    pub(crate) async fn read(cluster: &Cluster, kind: &str) -> Result<Self, Failure> {
        const ARGO: &str = "argoproj.io/v1alpha1";
        let all = |api_version, kind| list(&cluster.client, api_version, kind, &cluster.namespace);
        if kind == "AnalysisRun" {
            return Ok(Self::default());
        }
        Ok(Self {
            sets: all("apps/v1", "ReplicaSet").await?,
            runs: all(ARGO, "AnalysisRun").await?,
            // A cluster whose definitions are Argo's own parts has none.
            experiments: all(ARGO, "Experiment").await.unwrap_or_default(),
            pods: all("v1", "Pod").await?,
        })
    }
}

/// The whole text; without a moment ages are left out, so that two texts differ only when something changed.
pub(crate) fn show(object: &Object, family: &Family, now: Option<Timestamp>) -> String {
    let mut tree = Tree { rows: Vec::new(), now };
    let text = |pointer: &str| object.str_at(pointer).unwrap_or_default();
    let mut out = String::new();
    let phase = if text("/status/phase").is_empty() { "Pending" } else { text("/status/phase") };
    let mut head = |title: &str, value: &str| {
        out.push_str(format!("{title:<17}{}", clean(value)).trim_end());
        out.push('\n');
    };
    head("Name:", object.name());
    head("Namespace:", object.namespace().unwrap_or_default());
    head("Status:", &format!("{} {phase}", icon(phase)));
    if !text("/status/message").is_empty() {
        head("Message:", text("/status/message"));
    }
    match object.kind() {
        "Rollout" => {
            rollout_head(object, family, &mut head);
            tree.rollout(object, family);
        }
        "Experiment" => {
            images(&family.sets_of(object), |_| String::new(), &mut head);
            tree.experiment(object, family, Place::root());
        }
        _ => {
            metrics(object, &mut head);
            tree.run(object, Place::root());
        }
    }
    out.push('\n');
    out.push_str(&tree.render());
    out
}

fn clean(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

fn icon(phase: &str) -> &'static str {
    match phase {
        "Healthy" | "Successful" | "Completed" | "Succeeded" => "✔",
        "Degraded" | "Failed" | "CrashLoopBackOff" | "ErrImagePull" | "ImagePullBackOff" | "InvalidImageName" => "✖",
        "Paused" => "॥",
        "Error" | "Unknown" => "⚠",
        "Inconclusive" => "?",
        "ScaledDown" => "•",
        "Pending" | "PodInitializing" | "ContainerCreating" | "Terminating" => "◷",
        _ => "◌",
    }
}

fn rollout_head(rollout: &Object, family: &Family, head: &mut impl FnMut(&str, &str)) {
    let number = |pointer: &str| rollout.int_at(pointer).unwrap_or(0);
    let is_canary = rollout.pointer("/spec/strategy/canary").is_some();
    head("Strategy:", if is_canary { "Canary" } else { "BlueGreen" });
    if is_canary {
        let steps = rollout.list_at("/spec/strategy/canary/steps");
        let index = usize::try_from(number("/status/currentStepIndex")).unwrap_or(0);
        if !steps.is_empty() {
            head("  Step:", &format!("{index}/{}", steps.len()));
        }
        let set = steps.iter().take(index + 1).rev().find_map(|step| step.get("setWeight")?.as_i64());
        let is_done = rollout.str_at("/status/stableRS") == rollout.str_at("/status/currentPodHash");
        let total = rollout.int_at("/spec/strategy/canary/trafficRouting/maxTrafficWeight").unwrap_or(100);
        let set = if is_done || index >= steps.len() { total } else { set.unwrap_or(0) };
        head("  SetWeight:", &set.to_string());
        let routed = rollout.int_at("/status/canary/weights/canary/weight");
        let (new, all) = (number("/status/updatedReplicas"), number("/status/replicas"));
        let by_pods = if all > 0 { new.saturating_mul(total) / all } else { 0 };
        head("  ActualWeight:", &if is_done { total } else { routed.unwrap_or(by_pods) }.to_string());
    }
    let mut sets = family.sets_of(rollout);
    for experiment in family.experiments.iter().filter(|experiment| is_child(experiment, rollout)) {
        sets.extend(family.sets_of(experiment));
    }
    images(&sets, |set| roles(rollout, set).join(", "), head);
    head("Replicas:", "");
    for (title, pointer) in [
        ("  Desired:", "/spec/replicas"),
        ("  Current:", "/status/replicas"),
        ("  Updated:", "/status/updatedReplicas"),
        ("  Ready:", "/status/readyReplicas"),
        ("  Available:", "/status/availableReplicas"),
    ] {
        let default = i64::from(pointer == "/spec/replicas");
        head(title, &rollout.int_at(pointer).unwrap_or(default).to_string());
    }
}

/// The images of ReplicaSets with pods, each once, with what their ReplicaSets are.
fn images(sets: &[&Object], role: impl Fn(&Object) -> String, head: &mut impl FnMut(&str, &str)) {
    let mut seen: Vec<(String, Vec<String>)> = Vec::new();
    for set in sets.iter().filter(|set| set.int_at("/spec/replicas").unwrap_or(0) > 0) {
        for container in set.list_at("/spec/template/spec/containers") {
            let Some(image) = container.get("image").and_then(Value::as_str) else { continue };
            let role = match set.annotation("experiment.argoproj.io/template-name") {
                Some(template) => format!("Σ:{template}"),
                None => role(set),
            };
            let place = match seen.iter().position(|(known, _)| known == image) {
                Some(place) => place,
                None => {
                    seen.push((image.to_owned(), Vec::new()));
                    seen.len() - 1
                }
            };
            if let Some((_, roles)) = seen.get_mut(place)
                && !role.is_empty()
                && !roles.contains(&role)
            {
                roles.push(role);
            }
        }
    }
    for (index, (image, roles)) in seen.iter().enumerate() {
        let title = if index == 0 { "Images:" } else { "" };
        let roles = if roles.is_empty() { String::new() } else { format!(" ({})", roles.join(", ")) };
        head(title, &format!("{image}{roles}"));
    }
}

/// What a ReplicaSet is to its Rollout.
fn roles(rollout: &Object, set: &Object) -> Vec<&'static str> {
    let hash = set.label(HASH).unwrap_or_default();
    let is = |pointer: &str| rollout.str_at(pointer) == Some(hash) && !hash.is_empty();
    let stable = is("/status/stableRS");
    let mut roles = Vec::new();
    if stable {
        roles.push("stable");
    }
    if rollout.pointer("/spec/strategy/canary").is_some() {
        if is("/status/currentPodHash") && !stable {
            roles.push("canary");
        }
    } else if is("/status/blueGreen/activeSelector") {
        roles.push("active");
    } else if is("/status/blueGreen/previewSelector") {
        roles.push("preview");
    }
    roles
}

/// The metrics of a run, in the head.
fn metrics(run: &Object, head: &mut impl FnMut(&str, &str)) {
    let results = run.list_at("/status/metricResults");
    for (index, result) in results.iter().enumerate() {
        let text = |key: &str| result.get(key).and_then(Value::as_str).unwrap_or_default();
        let last = result.get("measurements").and_then(Value::as_array).and_then(|all| all.last());
        let value = last.and_then(|last| last.get("value")?.as_str()).unwrap_or_default();
        let dry = if result.get("dryRun").and_then(Value::as_bool) == Some(true) { " (dry run)" } else { "" };
        let title = if index == 0 { "Metrics:" } else { "" };
        let value = if value.is_empty() { String::new() } else { format!(" {value}") };
        head(
            title,
            &format!("{}{dry} {} {}{value} {}", text("name"), icon(text("phase")), text("phase"), counters(result)),
        );
    }
}

/// `✔ 3,✖ 1` of a metric, or of all metrics of a run together.
fn counters(result: &Value) -> String {
    let count = |key: &str| result.get(key).and_then(Value::as_i64).unwrap_or(0);
    let told = [("✔", "successful"), ("✖", "failed"), ("?", "inconclusive"), ("⚠", "error")];
    let parts: Vec<String> =
        told.iter().filter(|(_, key)| count(key) > 0).map(|(icon, key)| format!("{icon} {}", count(key))).collect();
    parts.join(",")
}

fn is_child(child: &Object, parent: &Object) -> bool {
    child.controller().is_some_and(|owner| Some(owner.uid) == parent.uid())
}

impl Family {
    fn sets_of(&self, owner: &Object) -> Vec<&Object> {
        let mut sets: Vec<&Object> = self.sets.iter().filter(|set| is_child(set, owner)).collect();
        sets.sort_by_key(|set| (std::cmp::Reverse(revision_of(set)), set.name().to_owned()));
        sets
    }

    fn runs_of(&self, owner: &Object) -> Vec<&Object> {
        self.runs.iter().filter(|run| is_child(run, owner)).collect()
    }
}

fn revision_of(object: &Object) -> u64 {
    object.annotation(REVISION).and_then(|text| text.parse().ok()).unwrap_or(0)
}

/// Where a row hangs: what is before its icon, and before those of its children.
#[derive(Debug, Clone)]
struct Place {
    own: String,
    children: String,
}

impl Place {
    fn root() -> Self {
        Self { own: String::new(), children: String::new() }
    }

    fn child(&self, is_last: bool) -> Self {
        let (own, below) = if is_last { ("└──", "   ") } else { ("├──", "│  ") };
        Self { own: format!("{}{own}", self.children), children: format!("{}{below}", self.children) }
    }

    fn each<T>(&self, items: Vec<T>, mut act: impl FnMut(T, Self)) {
        let count = items.len();
        for (index, item) in items.into_iter().enumerate() {
            act(item, self.child(index + 1 == count));
        }
    }
}

struct Tree {
    rows: Vec<[String; 5]>,
    now: Option<Timestamp>,
}

/// A branch below a revision.
enum Branch<'a> {
    Set(&'a Object),
    Experiment(&'a Object),
    Run(&'a Object),
}

impl Tree {
    /// Adds a row: its sign, name and kind, how it stands, since when it is there, and what else is to be said.
    fn row(&mut self, place: &Place, [sign, name, kind]: [&str; 3], status: &str, made: Option<Timestamp>, info: &str) {
        // A pod that runs is where it should be; a run or an experiment is on its way.
        let sign_of_status = if (kind, status) == ("Pod", "Running") { "✔" } else { icon(status) };
        let status = if status.is_empty() { String::new() } else { format!("{sign_of_status} {status}") };
        let name = format!("{}{sign} {}", place.own, clean(name));
        let age = self.now.zip(made).map(|(now, made)| age(now.as_second() - made.as_second())).unwrap_or_default();
        self.rows.push([name, kind.to_owned(), clean(&status), age, clean(info)]);
    }

    fn rollout(&mut self, rollout: &Object, family: &Family) {
        let place = Place::root();
        let phase = rollout.str_at("/status/phase").unwrap_or("Progressing");
        self.row(&place, ["⟳", rollout.name(), "Rollout"], phase, rollout.creation_time(), "");
        let (sets, runs) = (family.sets_of(rollout), family.runs_of(rollout));
        let experiments: Vec<&Object> = family.experiments.iter().filter(|it| is_child(it, rollout)).collect();
        let all = sets.iter().chain(&runs).chain(&experiments);
        let mut revisions: Vec<u64> = all.map(|object| revision_of(object)).collect();
        revisions.sort_unstable_by(|a, b| b.cmp(a));
        revisions.dedup();
        place.each(revisions, |revision, place| {
            self.row(&place, ["#", &format!("revision:{revision}"), ""], "", None, "");
            let of = |object: &&&Object| revision_of(object) == revision;
            let branches = sets.iter().filter(of).map(|set| Branch::Set(set));
            let branches = branches.chain(experiments.iter().filter(of).map(|it| Branch::Experiment(it)));
            let branches = branches.chain(runs.iter().filter(of).map(|run| Branch::Run(run)));
            place.each(branches.collect(), |branch, place| match branch {
                Branch::Set(set) => self.set(set, &roles(rollout, set), family, &place),
                Branch::Experiment(experiment) => self.experiment(experiment, family, place),
                Branch::Run(run) => self.run(run, place),
            });
        });
    }

    fn experiment(&mut self, experiment: &Object, family: &Family, place: Place) {
        let phase = experiment.str_at("/status/phase").unwrap_or("Pending");
        self.row(&place, ["Σ", experiment.name(), "Experiment"], phase, experiment.creation_time(), "");
        let branches = family.sets_of(experiment).into_iter().map(Branch::Set);
        let branches = branches.chain(family.runs_of(experiment).into_iter().map(Branch::Run)).collect();
        place.each(branches, |branch, place| match branch {
            Branch::Set(set) | Branch::Experiment(set) => self.set(set, &[], family, &place),
            Branch::Run(run) => self.run(run, place),
        });
    }

    fn set(&mut self, set: &Object, roles: &[&str], family: &Family, place: &Place) {
        let number = |pointer: &str| set.int_at(pointer).unwrap_or(0);
        let (wanted, there) = (number("/spec/replicas"), number("/status/replicas"));
        let status = match number("/status/availableReplicas") {
            _ if wanted == 0 && there == 0 => "ScaledDown",
            available if available >= wanted && there == wanted => "Healthy",
            _ => "Progressing",
        };
        let mut info: Vec<String> = roles.iter().map(|role| (*role).to_owned()).collect();
        let deadline = set.annotation("scale-down-deadline").and_then(parse_time);
        if let (Some(deadline), true, Some(now)) = (deadline, wanted > 0, self.now) {
            let left = deadline.as_second() - now.as_second();
            info.push(if left > 0 { format!("delay:{}", age(left)) } else { "delay:passed".to_owned() });
        }
        self.row(place, ["⧉", set.name(), "ReplicaSet"], status, set.creation_time(), &info.join(","));
        let mut pods: Vec<&Object> = family.pods.iter().filter(|pod| is_child(pod, set)).collect();
        pods.sort_by_key(|pod| (pod.creation_time(), pod.name().to_owned()));
        place.each(pods, |pod, place| self.pod(pod, &place));
    }

    fn pod(&mut self, pod: &Object, place: &Place) {
        let containers = pod.list_at("/status/containerStatuses");
        let ready = containers.iter().filter(|it| it.get("ready").and_then(Value::as_bool) == Some(true)).count();
        let restarts: i64 = containers.iter().filter_map(|it| it.get("restartCount")?.as_i64()).sum();
        let reason = |kind: &str| {
            let pointer = format!("/state/{kind}/reason");
            containers.iter().find_map(|it| it.pointer(&pointer)?.as_str())
        };
        let phase = pod.str_at("/status/phase").unwrap_or("Pending");
        let status = match pod.is_deleting() {
            true => "Terminating",
            false => reason("waiting").or_else(|| reason("terminated")).unwrap_or(phase),
        };
        let all = pod.list_at("/spec/containers").len();
        let mut info = format!("ready:{ready}/{all}");
        if restarts > 0 {
            info.push_str(&format!(",restarts:{restarts}"));
        }
        self.row(place, ["□", pod.name(), "Pod"], status, pod.creation_time(), &info);
    }

    fn run(&mut self, run: &Object, place: Place) {
        let results = run.list_at("/status/metricResults");
        let sum = |key: &str| -> i64 { results.iter().filter_map(|result| result.get(key)?.as_i64()).sum() };
        let total = serde_json::json!({
            "successful": sum("successful"), "failed": sum("failed"),
            "inconclusive": sum("inconclusive"), "error": sum("error"),
        });
        let phase = run.str_at("/status/phase").unwrap_or("Pending");
        self.row(&place, ["α", run.name(), "AnalysisRun"], phase, run.creation_time(), &counters(&total));
        let measurements = results.iter().filter_map(|result| result.get("measurements")?.as_array()).flatten();
        let jobs = measurements.filter(|it| it.pointer("/metadata/job-name").is_some()).collect();
        place.each(jobs, |job: &Value, place| {
            let text = |pointer: &str| job.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
            let begun = parse_time(text("/startedAt"));
            self.row(&place, ["⊞", text("/metadata/job-name"), "Job"], text("/phase"), begun, "");
        });
    }

    fn render(&self) -> String {
        let header = ["NAME", "KIND", "STATUS", "AGE", "INFO"];
        let rows: Vec<Vec<String>> = self.rows.iter().map(|row| row.to_vec()).collect();
        crate::output::table(&header, &rows)
    }
}

/// A span in the two largest units that say something, as kubectl has it.
fn age(seconds: i64) -> String {
    let (minute, hour, day) = (60, 3_600, 86_400);
    match seconds.max(0) {
        s if s < 2 * minute => format!("{s}s"),
        s if s < 10 * minute && s % minute != 0 => format!("{}m{}s", s / minute, s % minute),
        s if s < 3 * hour => format!("{}m", s / minute),
        s if s < 8 * hour && s % hour / minute != 0 => format!("{}h{}m", s / hour, s % hour / minute),
        s if s < 2 * day => format!("{}h", s / hour),
        s if s < 8 * day && s % day / hour != 0 => format!("{}d{}h", s / day, s % day / hour),
        s => format!("{}d", s / day),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn object(api_version: &str, kind: &str, name: &str, owner: &str, fields: Value) -> Object {
        let mut object = json!({
            "apiVersion": api_version, "kind": kind,
            "metadata": {"name": name, "namespace": "qa", "uid": name, "creationTimestamp": "2026-01-01T00:00:00Z",
                "ownerReferences": [{"apiVersion": "v1", "kind": "X", "name": owner, "uid": owner, "controller": true}]},
        });
        for (key, value) in fields.as_object().unwrap() {
            match (key.as_str(), object.get_mut("metadata")) {
                ("labels" | "annotations", Some(metadata)) => metadata[key] = value.clone(),
                _ => object[key] = value.clone(),
            }
        }
        Object::parse(object).unwrap()
    }

    fn set(name: &str, owner: &str, hash: &str, annotations: Value, image: &str) -> Object {
        let spec = json!({"replicas": 1, "template": {"spec": {"containers": [{"name": "web", "image": image}]}}});
        let status = json!({"replicas": 1, "availableReplicas": 1});
        let fields = json!({"labels": {HASH: hash}, "annotations": annotations, "spec": spec, "status": status});
        object("apps/v1", "ReplicaSet", name, owner, fields)
    }

    #[test]
    fn the_tree_of_a_rollout_shows_its_experiments_and_runs_below_their_revision() {
        let rollout = object(
            "argoproj.io/v1alpha1",
            "Rollout",
            "web",
            "",
            json!({
                "spec": {"replicas": 1, "strategy": {"canary": {"steps": [{"setWeight": 20}, {"pause": {}}]}}},
                "status": {"phase": "Paused", "message": "CanaryPauseStep", "currentStepIndex": 1, "stableRS": "h1",
                    "currentPodHash": "h2", "replicas": 2, "updatedReplicas": 1, "readyReplicas": 2, "availableReplicas": 2},
            }),
        );
        let argo = "argoproj.io/v1alpha1";
        let two = json!({REVISION: "2"});
        let status = json!({"phase": "Failed", "metricResults": [
            {"name": "a", "successful": 2, "failed": 1, "measurements": [{"phase": "Failed", "metadata": {"job-name": "u.a.3"}}]}]});
        let family = Family {
            sets: vec![
                set("web-h1", "web", "h1", json!({REVISION: "1"}), "web:v1"),
                set("web-h2", "web", "h2", two.clone(), "web:v2"),
                set("e-trial", "e", "h3", json!({"experiment.argoproj.io/template-name": "trial"}), "web:v2"),
            ],
            runs: vec![object(argo, "AnalysisRun", "run", "web", json!({"annotations": two, "status": status}))],
            experiments: vec![object(
                argo,
                "Experiment",
                "e",
                "web",
                json!({"annotations": two, "status": {"phase": "Running"}}),
            )],
            pods: vec![object(
                "v1",
                "Pod",
                "web-h2-x",
                "web-h2",
                json!({
                "spec": {"containers": [{"name": "web"}]},
                "status": {"phase": "Running", "containerStatuses": [{"ready": true, "restartCount": 2}]}}),
            )],
        };
        let now = "2026-01-01T00:03:20Z".parse().unwrap();
        insta::assert_snapshot!(show(&rollout, &family, Some(now)), @r"
        Name:            web
        Namespace:       qa
        Status:          ॥ Paused
        Message:         CanaryPauseStep
        Strategy:        Canary
          Step:          1/2
          SetWeight:     20
          ActualWeight:  50
        Images:          web:v2 (canary, Σ:trial)
                         web:v1 (stable)
        Replicas:
          Desired:       1
          Current:       2
          Updated:       1
          Ready:         2
          Available:     2

        NAME                  KIND          STATUS      AGE     INFO
        ⟳ web                 Rollout       ॥ Paused    3m20s
        ├──# revision:2
        │  ├──⧉ web-h2        ReplicaSet    ✔ Healthy   3m20s   canary
        │  │  └──□ web-h2-x   Pod           ✔ Running   3m20s   ready:1/1,restarts:2
        │  ├──Σ e             Experiment    ◌ Running   3m20s
        │  │  └──⧉ e-trial    ReplicaSet    ✔ Healthy   3m20s
        │  └──α run           AnalysisRun   ✖ Failed    3m20s   ✔ 2,✖ 1
        │     └──⊞ u.a.3      Job           ✖ Failed
        └──# revision:1
           └──⧉ web-h1        ReplicaSet    ✔ Healthy   3m20s   stable
        ");
        assert!(!show(&rollout, &family, None).contains("3m20s"));
    }

    #[test]
    fn a_run_shows_its_metrics_and_jobs() {
        let status = json!({"phase": "Inconclusive", "message": "as measured", "metricResults": [
            {"name": "rate", "phase": "Inconclusive", "inconclusive": 1, "dryRun": true, "measurements": [{"value": "0.5", "phase": "Inconclusive"}]}]});
        let run = object("argoproj.io/v1alpha1", "AnalysisRun", "run", "web", json!({"status": status}));
        insta::assert_snapshot!(show(&run, &Family::default(), None), @r"
        Name:            run
        Namespace:       qa
        Status:          ? Inconclusive
        Message:         as measured
        Metrics:         rate (dry run) ? Inconclusive 0.5 ? 1

        NAME    KIND          STATUS           AGE   INFO
        α run   AnalysisRun   ? Inconclusive         ? 1
        ");
    }

    #[test]
    fn ages_are_kubectls() {
        for (seconds, text) in [
            (0, "0s"),
            (119, "119s"),
            (120, "2m"),
            (200, "3m20s"),
            (3_600, "60m"),
            (12_000, "3h20m"),
            (200_000, "2d7h"),
        ] {
            assert_eq!(age(seconds), text);
        }
    }
}
