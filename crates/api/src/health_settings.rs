//! `spec.health` of a GitOpsConfig: by whose rules objects are judged.

use serde_json::Value;

use crate::Fields;
use crate::fields::kind_of;
use crate::sync_settings::choice;

/// Most rules of one list.
const RULES_MAX: usize = 500;
/// The longest script or expression, in bytes.
const TEXT_MAX: usize = 64 << 10;

/// By whose rules the kinds that Kubernetes brings, and conditions of others, are judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum HealthProfile {
    /// As Argo CD does.
    #[default]
    Argo,
    /// As kstatus does, which Flux uses.
    Kstatus,
}

/// Expressions in CEL that tell the health of a kind, as Flux's `healthCheckExprs` have them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HealthExpressions {
    /// Where it stands, such as `spec.health.exprs[0]`.
    pub field: String,
    /// `apiVersion`; a group without version means every version.
    pub api_version: String,
    /// `kind`.
    pub kind: String,
    /// `current`: it does what it is for.
    pub current: String,
    /// `inProgress`: it is on the way; empty for none.
    pub in_progress: String,
    /// `failed`; empty for none.
    pub failed: String,
}

/// A script in Lua that tells the health of a kind, as Argo CD has them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HealthScript {
    /// Where it stands, such as `spec.health.scripts[0]`.
    pub field: String,
    /// `group`, where `*` stands for any text; empty for the core group.
    pub group: String,
    /// `kind`, where `*` stands for any text.
    pub kind: String,
    /// `lua`.
    pub lua: String,
}

/// `spec.health`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HealthSettings {
    /// `profile`: `argo` or `kstatus`. Argo.
    pub profile: HealthProfile,
    /// `exprs`, and `spec.healthCheckExprs` as Flux has it.
    pub expressions: Vec<HealthExpressions>,
    /// `scripts`.
    pub scripts: Vec<HealthScript>,
    /// `lua.configMapRef.name`: a ConfigMap of the config's namespace, with keys as `argocd-cm` has them.
    pub script_config_map: Option<String>,
}

pub(crate) fn health(fields: &mut Fields<'_>) -> HealthSettings {
    HealthSettings {
        profile: choice(
            fields,
            "spec.health.profile",
            &[("argo", HealthProfile::Argo), ("kstatus", HealthProfile::Kstatus)],
            HealthProfile::Argo,
        ),
        expressions: ["spec.health.exprs", "spec.healthCheckExprs"]
            .into_iter()
            .flat_map(|path| expressions(fields, path))
            .collect(),
        scripts: scripts(fields),
        script_config_map: fields.text("spec.health.lua.configMapRef.name").filter(|name| !name.is_empty()),
    }
}

fn expressions(fields: &mut Fields<'_>, path: &str) -> Vec<HealthExpressions> {
    let mut found = Vec::new();
    for (index, item) in items(fields, path).iter().enumerate() {
        let field = format!("{path}[{index}]");
        let rule = HealthExpressions {
            api_version: item_text(fields, item, &field, "apiVersion"),
            kind: item_text(fields, item, &field, "kind"),
            current: item_text(fields, item, &field, "current"),
            in_progress: item_text(fields, item, &field, "inProgress"),
            failed: item_text(fields, item, &field, "failed"),
            field,
        };
        let needed = [("apiVersion", &rule.api_version), ("kind", &rule.kind), ("current", &rule.current)];
        let mut is_whole = true;
        for (name, _) in needed.into_iter().filter(|(_, text)| text.is_empty()) {
            fields.problem(&format!("{}.{name}", rule.field), "is required");
            is_whole = false;
        }
        if is_whole {
            found.push(rule);
        }
    }
    found
}

fn scripts(fields: &mut Fields<'_>) -> Vec<HealthScript> {
    let path = "spec.health.scripts";
    let mut found = Vec::new();
    for (index, item) in items(fields, path).iter().enumerate() {
        let field = format!("{path}[{index}]");
        let script = HealthScript {
            group: item_text(fields, item, &field, "group"),
            kind: item_text(fields, item, &field, "kind"),
            lua: item_text(fields, item, &field, "lua"),
            field,
        };
        if script.kind.is_empty() || script.lua.is_empty() {
            fields.problem(&script.field, "needs a kind and lua");
        } else {
            found.push(script);
        }
    }
    found
}

/// The items of a list that is not too long.
pub(crate) fn items<'a>(fields: &mut Fields<'a>, path: &str) -> &'a [Value] {
    match fields.value(path) {
        None => &[],
        Some(Value::Array(items)) if items.len() <= RULES_MAX => items,
        Some(Value::Array(items)) => {
            fields.problem(path, format!("has {} items, {RULES_MAX} are allowed", items.len()));
            &[]
        }
        Some(other) => {
            fields.problem(path, format!("must be a list, not {}", kind_of(other)));
            &[]
        }
    }
}

/// A text of an item; empty when there is none.
pub(crate) fn item_text(fields: &mut Fields<'_>, item: &Value, field: &str, name: &str) -> String {
    match item.get(name) {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) if text.len() <= TEXT_MAX => text.clone(),
        Some(Value::String(text)) => {
            let message = format!("has {} bytes, {TEXT_MAX} are allowed", text.len());
            fields.problem(&format!("{field}.{name}"), message);
            String::new()
        }
        Some(other) => {
            fields.problem(&format!("{field}.{name}"), format!("must be a string, not {}", kind_of(other)));
            String::new()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::GitOpsConfig;
    use object_model::Object;
    use serde_json::json;

    fn read(more: Value) -> (HealthSettings, Vec<String>) {
        let mut spec = json!({"url": "https://x/y.git", "branch": "main"});
        for (key, value) in more.as_object().unwrap() {
            spec[key] = value.clone();
        }
        let object =
            json!({"apiVersion": "sluice.dev/v1", "kind": "GitOpsConfig", "metadata": {"name": "a"}, "spec": spec});
        let (config, problems) = GitOpsConfig::parse(&Object::parse(object).unwrap());
        (config.health, problems.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn health_is_judged_as_argo_does_unless_the_config_says_otherwise() {
        assert_eq!(read(json!({})), (HealthSettings::default(), Vec::new()));
        let rule = json!({"apiVersion": "example.com/v1", "kind": "Queue", "current": "status.ready"});
        let (health, problems) = read(json!({
            "health": {
                "profile": "kstatus", "exprs": [rule], "lua": {"configMapRef": {"name": "rules"}},
                "scripts": [{"group": "*.example.com", "kind": "Topic", "lua": "return {}"}],
            },
            "healthCheckExprs": [rule],
        }));
        assert_eq!(problems, Vec::<String>::new());
        assert_eq!((health.profile, health.expressions.len()), (HealthProfile::Kstatus, 2));
        assert_eq!(health.expressions[1].field, "spec.healthCheckExprs[0]");
        assert_eq!(
            (health.scripts[0].group.as_str(), health.script_config_map.as_deref()),
            ("*.example.com", Some("rules"))
        );
    }

    #[test]
    fn a_rule_that_says_too_little_or_too_much_is_named() {
        let long = "x".repeat(TEXT_MAX + 1);
        let (_, problems) = read(json!({"health": {
            "profile": "flux", "exprs": [{"kind": "Queue", "current": 1}], "scripts": [{"kind": "Topic", "lua": long}],
        }}));
        assert_eq!(
            problems,
            [
                "spec.health.profile: `flux` is not one of argo, kstatus",
                "spec.health.exprs[0].current: must be a string, not a number",
                "spec.health.exprs[0].apiVersion: is required",
                "spec.health.exprs[0].current: is required",
                "spec.health.scripts[0].lua: has 65537 bytes, 65536 are allowed",
                "spec.health.scripts[0]: needs a kind and lua",
            ]
        );
    }
}
