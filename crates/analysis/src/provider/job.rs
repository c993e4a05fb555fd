//! A Kubernetes Job: it is created under a name that belongs to the measurement, and its end is the reading.

use object_model::{Object, Uid};
use serde_json::{Value as Json, json};

/// The longest name that may become a label of pods.
const NAME_MAX: usize = 63;
/// Tells the Jobs and pods of a run.
const RUN_LABEL: &str = "analysisrun.argoproj.io/uid";
const NAME_ANNOTATION: &str = "analysisrun.argoproj.io/name";
const NAMESPACE_ANNOTATION: &str = "analysisrun.argoproj.io/namespace";
const METRIC_ANNOTATION: &str = "analysisrun.argoproj.io/metric-name";

/// The `job` section of a metric.
#[derive(Debug, Clone, PartialEq)]
pub struct Job {
    metadata: Json,
    spec: Json,
}

/// How a Job stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JobState {
    /// It goes on.
    Running,
    /// It is complete.
    Complete,
    /// It has failed, for this reason.
    Failed(String),
    /// It can't begin, as when its image can't be had.
    Stuck(String),
    /// It is not there.
    Absent,
}

impl JobState {
    /// Reads the conditions of a Job.
    pub fn of(job: &Object) -> Self {
        let conditions = job.list_at("/status/conditions");
        let is = |kind: &str| {
            let fits = |condition: &&Json| condition.get("type").and_then(Json::as_str) == Some(kind);
            conditions
                .iter()
                .filter(fits)
                .find(|condition| condition.get("status").and_then(Json::as_str) == Some("True"))
        };
        if let Some(failed) = is("Failed") {
            let text = failed.get("message").or_else(|| failed.get("reason")).and_then(Json::as_str);
            return Self::Failed(text.unwrap_or_default().to_owned());
        }
        if is("Complete").is_some() { Self::Complete } else { Self::Running }
    }
}

/// Why a container waits that will not begin by itself.
const STUCK: [&str; 3] = ["ErrImagePull", "ImagePullBackOff", "InvalidImageName"];

impl JobState {
    /// The same in the light of the Job's pods: whether one of them can't begin.
    #[must_use]
    pub fn with_pods<'a>(self, pods: impl IntoIterator<Item = &'a Object>) -> Self {
        if self != Self::Running {
            return self;
        }
        pods.into_iter().find_map(stuck).map_or(self, Self::Stuck)
    }
}

fn stuck(pod: &Object) -> Option<String> {
    let lists = ["/status/initContainerStatuses", "/status/containerStatuses"];
    let mut containers = lists.iter().flat_map(|list| pod.list_at(list));
    containers.find_map(|container| {
        let waiting = container.pointer("/state/waiting")?;
        let text = |key: &str| waiting.get(key).and_then(Json::as_str).unwrap_or_default();
        let name = container.get("name").and_then(Json::as_str).unwrap_or_default();
        let (reason, message) = (text("reason"), text("message"));
        let told = format!("Pod {}, container {name} has terminal error ({reason}): {message}", pod.name());
        STUCK.contains(&reason).then_some(told)
    })
}

impl Job {
    pub(super) fn parse(json: &Json) -> Self {
        let section = |key: &str| json.get(key).cloned().unwrap_or_default();
        Self { metadata: section("metadata"), spec: section("spec") }
    }

    /// The name of the Job of one measurement: `uid.metric.number`, the metric cut so that it fits into a label.
    pub fn name(run: &Uid, metric: &str, ordinal: u32) -> String {
        let whole = format!("{}.{metric}.{ordinal}", run.as_str());
        let over = whole.len().saturating_sub(NAME_MAX);
        let end = metric.len().saturating_sub(over);
        let end = (0..=end).rev().find(|at| metric.is_char_boundary(*at)).unwrap_or(0);
        format!("{}.{}.{ordinal}", run.as_str(), metric.get(..end).unwrap_or_default())
    }

    /// The Job of one measurement, without its owner.
    pub fn object(&self, run: &Uid, run_name: &str, namespace: &str, metric: &str, ordinal: u32) -> Object {
        let mut object = Object::new("batch/v1", "Job", Some(namespace), &Self::name(run, metric, ordinal));
        for key in ["labels", "annotations"] {
            if let Some(given) = self.metadata.get(key).filter(|given| given.is_object()) {
                object.set_at(&["metadata", key], given.clone());
            }
        }
        object.set_label(RUN_LABEL, run.as_str());
        for (key, value) in
            [(NAME_ANNOTATION, run_name), (NAMESPACE_ANNOTATION, namespace), (METRIC_ANNOTATION, metric)]
        {
            object.set_annotation(key, value);
        }
        object.set_at(&["spec"], if self.spec.is_object() { self.spec.clone() } else { json!({}) });
        object.set_at(&["spec", "template", "metadata", "labels", RUN_LABEL], run.as_str().into());
        object
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_cut_in_its_metric_so_that_it_fits_into_a_label() {
        let run = Uid::new("6e4b0f5c-0000-1111-2222-333344445555");
        assert_eq!(Job::name(&run, "smoke", 3), "6e4b0f5c-0000-1111-2222-333344445555.smoke.3");
        let long = Job::name(&run, &"a-metric-with-a-very-long-name".repeat(2), 12);
        assert_eq!((long.len(), long.ends_with(".12")), (63, true));
    }

    #[test]
    fn a_pod_whose_image_is_not_to_be_had_is_told_by_its_name() {
        let pod = |list: &str, reason: &str| {
            let waiting = json!({"reason": reason, "message": "not there"});
            let pod = json!({
                "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"},
                "status": {list: [{"name": "a", "state": {"running": {}}}, {"name": "b", "state": {"waiting": waiting}}]},
            });
            Object::parse(pod).unwrap()
        };
        let stuck = JobState::Stuck("Pod p, container b has terminal error (ErrImagePull): not there".to_owned());
        for list in ["containerStatuses", "initContainerStatuses"] {
            assert_eq!(JobState::Running.with_pods([&pod(list, "ErrImagePull")]), stuck);
        }
        assert_eq!(JobState::Running.with_pods([&pod("containerStatuses", "ContainerCreating")]), JobState::Running);
        assert_eq!(JobState::Complete.with_pods([&pod("containerStatuses", "ErrImagePull")]), JobState::Complete);
    }

    #[test]
    fn a_job_carries_what_tells_its_run_and_reads_by_its_conditions() {
        let section =
            json!({"metadata": {"labels": {"team": "a"}}, "spec": {"template": {"spec": {"restartPolicy": "Never"}}}});
        let mut job = Job::parse(&section).object(&Uid::new("u"), "run", "qa", "m", 1);
        assert_eq!((job.name(), job.label("team"), job.label(RUN_LABEL)), ("u.m.1", Some("a"), Some("u")));
        assert_eq!(job.pointer("/spec/template/metadata/labels").unwrap(), &json!({RUN_LABEL: "u"}));
        for (conditions, state) in [
            (json!([]), JobState::Running),
            (json!([{"type": "Complete", "status": "False"}]), JobState::Running),
            (json!([{"type": "Complete", "status": "True"}]), JobState::Complete),
            (
                json!([{"type": "Failed", "status": "True", "message": "deadline"}]),
                JobState::Failed("deadline".to_owned()),
            ),
        ] {
            job.set_at(&["status"], json!({"conditions": conditions}));
            assert_eq!(JobState::of(&job), state);
        }
    }
}
