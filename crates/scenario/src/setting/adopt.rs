//! Takes a release over that Helm installed: what it was installed with becomes a GitOpsConfig, and nothing is recreated.

use std::collections::BTreeSet;

use manifest_render::helm::StoredRelease;
use object_model::{Object, ObjectId};
use serde_json::{Value, json};

use super::people::{PeopleError, apply_as, list, parse_documents};

/// The manager that a person at a terminal writes as.
const MANAGER: &str = "sluice-cli";

/// Where the chart of a release lies in Git.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChartPlace {
    /// Repository.
    pub url: String,
    /// Branch.
    pub branch: String,
    /// Path of the chart.
    pub path: String,
    /// Group under which GitOpsConfig is served.
    pub group: String,
    /// ServiceAccount to apply as; the usual one when empty.
    pub service_account: String,
}

/// What takes a release over.
#[derive(Debug, Clone)]
pub struct Adoption {
    /// The release.
    pub release: StoredRelease,
    /// A Secret with the values that the release was installed with, when there are any: they may be secret.
    pub values: Option<Object>,
    /// The config.
    pub config: Object,
}

/// Reads the present revision of a release out of its Secrets.
///
/// # Errors
/// When there is none, or the cluster does not show it.
pub async fn read_release(client: &kube::Client, namespace: &str, name: &str) -> Result<StoredRelease, PeopleError> {
    let secrets = list(client, "v1", "Secret", namespace).await?;
    let is_wanted = |secret: &&Object| secret.label("owner") == Some("helm") && secret.label("name") == Some(name);
    let mut newest: Option<StoredRelease> = None;
    for secret in secrets.iter().filter(is_wanted) {
        let fault =
            |why: String| PeopleError::Request { what: format!("Secret {namespace}/{}", secret.name()), message: why };
        let data = secret.str_at("/data/release").ok_or_else(|| fault("it holds no release".to_owned()))?;
        let release = StoredRelease::decode(data).map_err(fault)?;
        // A failed upgrade is no state to keep: the one that is deployed is, and else the last one.
        let rank = |release: &StoredRelease| (release.status == "deployed", release.revision);
        if newest.as_ref().is_none_or(|have| rank(&release) > rank(have)) {
            newest = Some(release);
        }
    }
    newest.ok_or_else(|| PeopleError::Request {
        what: format!("release {name}"),
        message: format!("namespace {namespace} has no Secret of a Helm release of this name"),
    })
}

/// Returns what takes a release over: a config that renders its chart under its name with its values.
pub fn adoption(release: StoredRelease, place: &ChartPlace) -> Adoption {
    let name = release.name.clone();
    let values_name = format!("{name}-helm-values");
    let values = (!release.values.is_empty()).then(|| {
        let mut secret = Object::new("v1", "Secret", Some(&release.namespace), &values_name);
        let text = yaml::to_yaml(&Value::Object(release.values.clone()));
        secret.json_mut().insert("stringData".to_owned(), json!({"values.yaml": text}));
        secret
    });
    let mut config = Object::new(&format!("{}/v1", place.group), "GitOpsConfig", Some(&release.namespace), &name);
    let spec = json!({
        "url": place.url, "branch": place.branch, "path": place.path,
        "render": {"type": "helm", "releaseName": name},
        // Helm stays among the managers of every field, so a later commit could change none of them otherwise.
        "apply": {"conflicts": "force"},
    });
    config.json_mut().insert("spec".to_owned(), spec);
    if values.is_some() {
        let from = json!([{"kind": "Secret", "name": values_name}]);
        config.set_at(&["spec", "render", "valuesFrom"], from);
    }
    if !place.service_account.is_empty() {
        config.set_at(&["spec", "destination"], json!({"serviceAccountName": place.service_account}));
    }
    Adoption { release, values, config }
}

/// The objects that a release consists of; those that name no namespace are in its own.
///
/// # Errors
/// When its manifest can't be read.
pub fn objects_of(release: &StoredRelease) -> Result<BTreeSet<ObjectId>, PeopleError> {
    let objects = parse_documents(&release.manifest)?;
    Ok(objects.iter().map(Object::id).collect())
}

/// Writes what takes the release over: from then on the operator delivers it.
///
/// # Errors
/// When the cluster refuses.
pub async fn adopt(client: &kube::Client, adoption: &Adoption) -> Result<(), PeopleError> {
    for object in adoption.values.iter().chain([&adoption.config]) {
        apply_as(client, object, MANAGER).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn release(values: Value) -> StoredRelease {
        StoredRelease {
            name: "web".to_owned(),
            namespace: "qa".to_owned(),
            revision: 2,
            status: "deployed".to_owned(),
            chart: "web".to_owned(),
            chart_version: "1.0.0".to_owned(),
            values: values.as_object().cloned().unwrap_or_default(),
            manifest: "---\n# Source: web/templates/a.yaml\napiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: web\n"
                .to_owned(),
        }
    }

    fn place() -> ChartPlace {
        ChartPlace {
            url: "https://git.example.com/fleet".to_owned(),
            branch: "main".to_owned(),
            path: "charts/web".to_owned(),
            group: "sluice.dev".to_owned(),
            service_account: String::new(),
        }
    }

    #[test]
    fn the_values_of_a_release_go_into_a_secret_that_its_config_names() {
        let adoption = adoption(release(json!({"password": "x"})), &place());
        let values = adoption.values.unwrap();
        assert_eq!(values.str_at("/stringData/values.yaml"), Some("password: x\n"));
        assert_eq!(adoption.config.str_at("/spec/render/valuesFrom/0/name"), Some(values.name()));
        let (config, problems) = api::GitOpsConfig::parse(&adoption.config);
        assert_eq!(problems, []);
        assert_eq!((config.render.release_name.as_str(), config.apply.force_conflicts), ("web", true));
        assert!(super::adoption(release(json!({})), &place()).values.is_none());
    }

    #[test]
    fn the_objects_of_a_release_are_those_of_its_manifest() {
        let objects = objects_of(&release(json!({}))).unwrap();
        assert_eq!(objects.iter().map(ToString::to_string).collect::<Vec<_>>(), ["ConfigMap web"]);
    }
}
