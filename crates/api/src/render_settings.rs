//! `spec.render` of a GitOpsConfig: how its files become objects.

use serde_json::{Map, Value};

use crate::Fields;
use crate::fields::kind_of;
use crate::source_settings::own_secret;

/// How the files of a config become objects.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RenderSettings {
    /// `spec.render.type`: empty for automatic.
    pub renderer: String,
    /// `spec.render.releaseName`: what charts are told; the name of the config.
    pub release_name: String,
    /// `spec.render.values`: values for charts and templates; they win over all others.
    pub values: Map<String, Value>,
    /// `spec.render.valuesFiles`: files with values, relative to the path, later ones win.
    pub values_files: Vec<String>,
    /// `spec.render.valuesFrom`: values of ConfigMaps and Secrets, later ones win; they win over those of files.
    pub values_from: Vec<ValuesReference>,
    /// `spec.render.kubeVersion`: what charts are told; that of the cluster when empty.
    pub kube_version: String,
    /// `spec.render.apiVersions`: what charts are told besides what the cluster serves.
    pub api_versions: Vec<String>,
    /// `spec.render.offline`: charts are told nothing of the cluster, and `lookup` finds nothing.
    pub offline: bool,
    /// `spec.decryption.secretRef.name`: the Secret with the age keys of files that SOPS encrypted.
    pub decryption: Option<String>,
    /// `spec.render.chart`: the chart to render instead of the files of the path.
    pub chart: Option<ChartReference>,
}

/// The kind of an object that holds values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ValuesKind {
    /// A ConfigMap.
    ConfigMap,
    /// A Secret.
    Secret,
}

impl ValuesKind {
    /// Its name in Kubernetes.
    pub fn name(self) -> &'static str {
        match self {
            Self::ConfigMap => "ConfigMap",
            Self::Secret => "Secret",
        }
    }
}

/// Values in an object of the config's namespace, in the shape that Flux has for them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ValuesReference {
    /// `kind`.
    pub kind: ValuesKind,
    /// `name`.
    pub name: String,
    /// `valuesKey`: `values.yaml` when not given.
    pub key: String,
    /// `targetPath`: the content becomes the one value at this path, in the form of `--set`; empty for a document.
    pub target_path: String,
    /// `optional`: what is not there is passed over.
    pub optional: bool,
}

/// A chart of a chart repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChartReference {
    /// `repository`: `https://` of a folder with an `index.yaml`, or `oci://` of the folder of the chart.
    pub repository: String,
    /// `name`.
    pub name: String,
    /// `version`: one version, or a range of them.
    pub version: String,
    /// `digest`: of the packed chart, `sha256:...`; another content is refused.
    pub digest: String,
}

/// Reads `spec.render` of a config of this name.
pub(crate) fn render_fields(fields: &mut Fields<'_>, name: &str) -> RenderSettings {
    let values = match fields.value("spec.render.values") {
        None => Map::new(),
        Some(Value::Object(values)) => values.clone(),
        Some(_) => {
            fields.problem("spec.render.values", "must be a mapping");
            Map::new()
        }
    };
    RenderSettings {
        renderer: renderer_field(fields),
        release_name: fields.text("spec.render.releaseName").unwrap_or_else(|| name.to_owned()),
        values,
        values_files: fields.texts("spec.render.valuesFiles"),
        values_from: values_from_field(fields),
        kube_version: fields.text("spec.render.kubeVersion").unwrap_or_default(),
        api_versions: fields.texts("spec.render.apiVersions"),
        offline: fields.boolean("spec.render.offline").unwrap_or(false),
        decryption: decryption_field(fields),
        chart: chart_field(fields),
    }
}

/// `spec.decryption`, in Flux's words.
fn decryption_field(fields: &mut Fields<'_>) -> Option<String> {
    fields.value("spec.decryption")?;
    match fields.text("spec.decryption.provider").as_deref() {
        Some("sops") | None => {}
        Some(other) => fields.problem("spec.decryption.provider", format!("`{other}` is not one of sops")),
    }
    let name = own_secret(fields, "spec.decryption.secretRef");
    if name.is_none() {
        fields.problem("spec.decryption.secretRef.name", "is required");
    }
    name
}

fn renderer_field(fields: &mut Fields<'_>) -> String {
    let renderer = fields.text("spec.render.type").unwrap_or_default();
    match renderer.as_str() {
        "" | "auto" => String::new(),
        "plain" | "handlebars" | "jsonnet" | "helm" => renderer,
        other => {
            fields
                .problem("spec.render.type", format!("`{other}` is not one of auto, plain, handlebars, jsonnet, helm"));
            String::new()
        }
    }
}

/// Most references of one config.
const REFERENCES_MAX: usize = 50;

fn values_from_field(fields: &mut Fields<'_>) -> Vec<ValuesReference> {
    const PATH: &str = "spec.render.valuesFrom";
    let items = match fields.value(PATH) {
        None => return Vec::new(),
        Some(Value::Array(items)) if items.len() <= REFERENCES_MAX => items,
        Some(Value::Array(items)) => {
            fields.problem(PATH, format!("{} references are more than {REFERENCES_MAX}", items.len()));
            return Vec::new();
        }
        Some(other) => {
            fields.problem(PATH, format!("must be a list, not {}", kind_of(other)));
            return Vec::new();
        }
    };
    let count = items.len();
    (0..count).filter_map(|index| values_reference(fields, &format!("{PATH}.{index}"))).collect()
}

fn values_reference(fields: &mut Fields<'_>, path: &str) -> Option<ValuesReference> {
    let at = |field: &str| format!("{path}.{field}");
    let kind = match fields.required_text(&at("kind")).as_str() {
        "ConfigMap" => Some(ValuesKind::ConfigMap),
        "Secret" => Some(ValuesKind::Secret),
        "" => None,
        other => {
            fields.problem(&at("kind"), format!("`{other}` is not one of ConfigMap, Secret"));
            None
        }
    };
    let name = fields.required_text(&at("name"));
    let key = fields.text(&at("valuesKey")).filter(|key| !key.is_empty());
    Some(ValuesReference {
        kind: kind?,
        name,
        key: key.unwrap_or_else(|| "values.yaml".to_owned()),
        target_path: fields.text(&at("targetPath")).unwrap_or_default(),
        optional: fields.boolean(&at("optional")).unwrap_or(false),
    })
}

fn chart_field(fields: &mut Fields<'_>) -> Option<ChartReference> {
    const PATH: &str = "spec.render.chart";
    match fields.value(PATH)? {
        Value::Object(_) => {}
        other => {
            fields.problem(PATH, format!("must be a mapping, not {}", kind_of(other)));
            return None;
        }
    }
    let repository = fields.required_text("spec.render.chart.repository");
    if !repository.is_empty() && !["https://", "http://", "oci://"].iter().any(|it| repository.starts_with(it)) {
        fields.problem("spec.render.chart.repository", format!("`{repository}` is neither https:// nor oci://"));
    }
    let digest = fields.text("spec.render.chart.digest").unwrap_or_default();
    let hex = digest.strip_prefix("sha256:").unwrap_or(&digest);
    if !digest.is_empty() && (hex.len() != 64 || !hex.bytes().all(|byte| byte.is_ascii_hexdigit())) {
        fields.problem("spec.render.chart.digest", format!("`{digest}` is not sha256: and 64 hexadecimal digits"));
    }
    Some(ChartReference {
        repository,
        name: fields.required_text("spec.render.chart.name"),
        version: fields.text("spec.render.chart.version").unwrap_or_default(),
        digest,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use object_model::Object;
    use serde_json::json;

    fn settings(render: Value) -> (RenderSettings, Vec<String>) {
        let object = Object::parse(json!({"apiVersion": "sluice.dev/v1", "kind": "GitOpsConfig",
            "metadata": {"name": "a", "namespace": "qa"}, "spec": {"render": render}}))
        .unwrap();
        let mut fields = Fields::of(&object);
        let settings = render_fields(&mut fields, "a");
        (settings, fields.into_problems().iter().map(ToString::to_string).collect())
    }

    #[test]
    fn values_come_from_objects_in_the_shape_of_flux() {
        let (settings, problems) = settings(json!({"valuesFrom": [
            {"kind": "ConfigMap", "name": "shop"},
            {"kind": "Secret", "name": "db", "valuesKey": "password", "targetPath": "db.password", "optional": true},
        ]}));
        assert_eq!(problems, Vec::<String>::new());
        let shown: Vec<String> = settings
            .values_from
            .iter()
            .map(|it| format!("{} {} {} {} {}", it.kind.name(), it.name, it.key, it.target_path, it.optional))
            .collect();
        assert_eq!(shown, ["ConfigMap shop values.yaml  false", "Secret db password db.password true"]);
    }

    #[test]
    fn each_wrong_reference_is_named() {
        let (settings, problems) = settings(json!({
            "valuesFrom": [{"kind": "Pod", "name": "x"}, {"kind": "Secret"}],
            "chart": {"repository": "ftp://x", "name": "web", "digest": "md5:1"},
        }));
        assert_eq!(settings.values_from.len(), 1);
        assert_eq!(
            problems,
            [
                "spec.render.valuesFrom.0.kind: `Pod` is not one of ConfigMap, Secret",
                "spec.render.valuesFrom.1.name: is required",
                "spec.render.chart.repository: `ftp://x` is neither https:// nor oci://",
                "spec.render.chart.digest: `md5:1` is not sha256: and 64 hexadecimal digits",
            ]
        );
    }
}
