//! In which order objects are applied: by wave, and within a wave by what they need.

use std::collections::BTreeMap;

use object_model::{Object, ObjectId};

/// The annotation that puts an object into a wave.
pub const WAVE_ANNOTATION: &str = "sluice.dev/wave";

/// Argo CD's annotation of the same meaning.
const ARGO_WAVE_ANNOTATION: &str = "argocd.argoproj.io/sync-wave";

/// Both, ours first.
pub(crate) const WAVE_ANNOTATIONS: [&str; 2] = [WAVE_ANNOTATION, ARGO_WAVE_ANNOTATION];

/// Kinds in the order of creation; others come after, and webhook configurations last of all, because from then on
/// every write goes through them.
const KINDS: [(&str, &str); 37] = [
    ("", "Namespace"),
    ("apiextensions.k8s.io", "CustomResourceDefinition"),
    ("scheduling.k8s.io", "PriorityClass"),
    ("networking.k8s.io", "NetworkPolicy"),
    ("", "ResourceQuota"),
    ("", "LimitRange"),
    ("policy", "PodDisruptionBudget"),
    ("", "ServiceAccount"),
    ("", "Secret"),
    ("", "ConfigMap"),
    ("storage.k8s.io", "StorageClass"),
    ("storage.k8s.io", "CSIDriver"),
    ("", "PersistentVolume"),
    ("", "PersistentVolumeClaim"),
    ("rbac.authorization.k8s.io", "ClusterRole"),
    ("rbac.authorization.k8s.io", "ClusterRoleBinding"),
    ("rbac.authorization.k8s.io", "Role"),
    ("rbac.authorization.k8s.io", "RoleBinding"),
    ("node.k8s.io", "RuntimeClass"),
    ("", "Endpoints"),
    ("discovery.k8s.io", "EndpointSlice"),
    ("", "Service"),
    ("apps", "DaemonSet"),
    ("", "Pod"),
    ("", "ReplicationController"),
    ("apps", "ReplicaSet"),
    ("apps", "Deployment"),
    ("argoproj.io", "AnalysisTemplate"),
    ("argoproj.io", "ClusterAnalysisTemplate"),
    ("argoproj.io", "Rollout"),
    ("apps", "StatefulSet"),
    ("batch", "Job"),
    ("batch", "CronJob"),
    ("autoscaling", "HorizontalPodAutoscaler"),
    ("networking.k8s.io", "IngressClass"),
    ("networking.k8s.io", "Ingress"),
    ("apiregistration.k8s.io", "APIService"),
];

const LAST: [(&str, &str); 2] = [
    ("admissionregistration.k8s.io", "MutatingWebhookConfiguration"),
    ("admissionregistration.k8s.io", "ValidatingWebhookConfiguration"),
];

/// The place of a kind in the order of creation.
pub fn kind_rank(group: &str, kind: &str) -> usize {
    let is = |(known_group, known_kind): &(&str, &str)| *known_group == group && *known_kind == kind;
    if let Some(rank) = KINDS.iter().position(is) {
        return rank;
    }
    KINDS.len() + LAST.iter().position(is).map_or(0, |rank| rank + 1)
}

/// Objects that can be applied at the same time.
#[derive(Debug, Clone, PartialEq)]
pub struct Stage<'a> {
    /// What the objects of this stage are.
    pub name: StageName,
    /// The objects, in order.
    pub objects: Vec<&'a Object>,
}

/// What is applied together, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum StageName {
    /// Namespaces.
    Namespaces,
    /// CustomResourceDefinitions; the next stage waits until they are established.
    Definitions,
    /// Accounts, rights, quotas, policies, configuration and volumes.
    Configuration,
    /// Services and the endpoints behind them.
    Services,
    /// Workloads and all kinds without a place of their own.
    Workloads,
    /// Ingresses and aggregated APIs.
    Edges,
    /// Admission webhooks.
    Webhooks,
}

/// One wave: its stages are applied one after the other, and all is healthy before the next wave begins.
#[derive(Debug, Clone, PartialEq)]
pub struct Wave<'a> {
    /// The number of the wave.
    pub number: i32,
    /// Its stages, in order, none empty.
    pub stages: Vec<Stage<'a>>,
}

/// A wave annotation that is not a whole number.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("annotation `{annotation}` of {id} is `{text}`, a wave is a whole number")]
pub struct WaveError {
    /// The object.
    pub id: Box<ObjectId>,
    /// The annotation.
    pub annotation: &'static str,
    /// Its value.
    pub text: String,
}

/// Returns the wave that an object asks for, 0 when it does not.
///
/// # Errors
/// When the annotation is not a whole number.
pub fn wave_of(object: &Object) -> Result<i32, WaveError> {
    for annotation in WAVE_ANNOTATIONS {
        if let Some(text) = object.annotation(annotation) {
            let number = text.trim().parse();
            return number.map_err(|_| WaveError {
                id: Box::new(object.id()),
                annotation,
                text: text.chars().take(40).collect(),
            });
        }
    }
    Ok(0)
}

/// Sorts objects into waves and stages.
///
/// A namespace comes no later than what lies in it, and a CustomResourceDefinition no later than its objects, whatever
/// their annotations say.
///
/// # Errors
/// With every wave annotation that can't be read.
pub fn apply_order(objects: &[Object]) -> Result<Vec<Wave<'_>>, Vec<WaveError>> {
    let mut errors = Vec::new();
    let mut numbered: Vec<(i32, &Object)> = Vec::with_capacity(objects.len());
    for object in objects {
        match wave_of(object) {
            Ok(number) => numbered.push((number, object)),
            Err(error) => errors.push(error),
        }
    }
    if !errors.is_empty() {
        return Err(errors);
    }
    pull_forward(&mut numbered);
    numbered.sort_by_cached_key(|(number, object)| {
        let id = object.id();
        (*number, stage_of(object), kind_rank(&id.group, &id.kind), id)
    });
    let mut waves: Vec<Wave<'_>> = Vec::new();
    for (number, object) in numbered {
        if waves.last().is_none_or(|wave| wave.number != number) {
            waves.push(Wave { number, stages: Vec::new() });
        }
        let Some(wave) = waves.last_mut() else { continue };
        let name = stage_of(object);
        match wave.stages.last_mut() {
            Some(stage) if stage.name == name => stage.objects.push(object),
            _ => wave.stages.push(Stage { name, objects: vec![object] }),
        }
    }
    Ok(waves)
}

fn stage_of(object: &Object) -> StageName {
    let rank = kind_rank(object.group(), object.kind());
    let rank_of = |group, kind| kind_rank(group, kind);
    if rank == 0 {
        StageName::Namespaces
    } else if rank == 1 {
        StageName::Definitions
    } else if rank < rank_of("", "Endpoints") {
        StageName::Configuration
    } else if rank <= rank_of("", "Service") {
        StageName::Services
    } else if (rank_of("networking.k8s.io", "IngressClass")..KINDS.len()).contains(&rank) {
        StageName::Edges
    } else if rank > KINDS.len() {
        StageName::Webhooks
    } else {
        StageName::Workloads
    }
}

/// Gives namespaces and definitions the lowest wave of what depends on them.
fn pull_forward(numbered: &mut [(i32, &Object)]) {
    let mut namespaces: BTreeMap<String, i32> = BTreeMap::new();
    let mut kinds: BTreeMap<(String, String), i32> = BTreeMap::new();
    let lower = |slot: &mut i32, number: i32| *slot = (*slot).min(number);
    for (number, object) in numbered.iter() {
        if let Some(namespace) = object.namespace() {
            lower(namespaces.entry(namespace.to_owned()).or_insert(*number), *number);
        }
        lower(kinds.entry((object.group().to_owned(), object.kind().to_owned())).or_insert(*number), *number);
    }
    for (number, object) in numbered.iter_mut() {
        let earliest = match object.kind() {
            "Namespace" if object.group().is_empty() => namespaces.get(object.name()),
            "CustomResourceDefinition" => {
                let text = |pointer| object.str_at(pointer).unwrap_or_default().to_owned();
                kinds.get(&(text("/spec/group"), text("/spec/names/kind")))
            }
            _ => None,
        };
        *number = earliest.map_or(*number, |earliest| (*number).min(*earliest));
    }
}

/// One identity that is desired more than once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Duplicate {
    /// The object.
    pub id: ObjectId,
    /// The places in the list where it stands.
    pub places: Vec<usize>,
}

/// Returns every identity that occurs more than once, in order.
pub fn duplicates(objects: &[Object]) -> Vec<Duplicate> {
    let mut places: BTreeMap<ObjectId, Vec<usize>> = BTreeMap::new();
    for (place, object) in objects.iter().enumerate() {
        places.entry(object.id()).or_default().push(place);
    }
    places.into_iter().filter(|(_, places)| places.len() > 1).map(|(id, places)| Duplicate { id, places }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn object(api_version: &str, kind: &str, name: &str, wave: Option<&str>) -> Object {
        let namespace = (!matches!(kind, "Namespace" | "CustomResourceDefinition")).then_some("qa");
        let mut object = Object::new(api_version, kind, namespace, name);
        if let Some(wave) = wave {
            object.set_annotation(WAVE_ANNOTATION, wave);
        }
        object
    }

    fn text(waves: &[Wave<'_>]) -> String {
        let mut lines = Vec::new();
        for wave in waves {
            for stage in &wave.stages {
                let names: Vec<String> =
                    stage.objects.iter().map(|object| format!("{}/{}", object.kind(), object.name())).collect();
                lines.push(format!("{} {:?}: {}", wave.number, stage.name, names.join(" ")));
            }
        }
        lines.join("\n")
    }

    #[test]
    fn objects_come_in_the_order_of_what_they_need() {
        let objects = [
            object("admissionregistration.k8s.io/v1", "ValidatingWebhookConfiguration", "hook", None),
            object("networking.k8s.io/v1", "Ingress", "web", None),
            object("networking.istio.io/v1", "VirtualService", "web", None),
            object("apps/v1", "Deployment", "web", None),
            object("v1", "Service", "web", None),
            object("v1", "ConfigMap", "b", None),
            object("v1", "ConfigMap", "a", None),
            object("v1", "Namespace", "qa", None),
        ];
        insta::assert_snapshot!(text(&apply_order(&objects).unwrap()), @r"
        0 Namespaces: Namespace/qa
        0 Configuration: ConfigMap/a ConfigMap/b
        0 Services: Service/web
        0 Workloads: Deployment/web VirtualService/web
        0 Edges: Ingress/web
        0 Webhooks: ValidatingWebhookConfiguration/hook
        ");
    }

    #[test]
    fn a_namespace_and_a_definition_come_before_what_depends_on_them() {
        let mut definition =
            object("apiextensions.k8s.io/v1", "CustomResourceDefinition", "widgets.example.com", Some("5"));
        definition.set_at(&["spec"], json!({"group": "example.com", "names": {"kind": "Widget"}}));
        let objects = [
            object("v1", "Namespace", "qa", Some("3")),
            definition,
            object("example.com/v1", "Widget", "w", Some("-1")),
            object("apps/v1", "Deployment", "web", Some("2")),
        ];
        insta::assert_snapshot!(text(&apply_order(&objects).unwrap()), @r"
        -1 Namespaces: Namespace/qa
        -1 Definitions: CustomResourceDefinition/widgets.example.com
        -1 Workloads: Widget/w
        2 Workloads: Deployment/web
        ");
    }

    #[test]
    fn a_wave_that_is_no_number_is_named() {
        let errors = apply_order(&[object("v1", "ConfigMap", "a", Some("first"))]).unwrap_err();
        assert_eq!(
            errors[0].to_string(),
            "annotation `sluice.dev/wave` of ConfigMap qa/a is `first`, a wave is a whole number"
        );
        let mut argo = object("v1", "ConfigMap", "a", None);
        argo.set_annotation(ARGO_WAVE_ANNOTATION, " -2 ");
        assert_eq!(wave_of(&argo), Ok(-2));
    }

    #[test]
    fn duplicates_are_found_across_api_versions() {
        let objects = [object("apps/v1", "Deployment", "a", None), object("apps/v1beta1", "Deployment", "a", None)];
        let found = duplicates(&objects);
        assert_eq!((found.len(), found[0].places.clone()), (1, vec![0, 1]));
    }
}
