//! `spec.sync`, `spec.apply` and `spec.prune` of a GitOpsConfig: when, how and how far objects are applied.

use object_model::Duration;
use serde_json::Value;

use crate::Fields;
use crate::fields::kind_of;
use crate::sync_windows::{self, SyncWindow};

/// `spec.sync.retry`: how a failed operation is tried again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retry {
    /// How often. 5.
    pub limit: u32,
    /// The first delay. 5 seconds.
    pub delay: Duration,
    /// By how much each delay is longer than the one before. 2.
    pub factor: u32,
    /// The longest delay. 3 minutes.
    pub delay_max: Duration,
}

impl Default for Retry {
    fn default() -> Self {
        Self { limit: 5, delay: Duration::from_secs(5), factor: 2, delay_max: Duration::from_secs(180) }
    }
}

/// Another config that has to be ready first.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Dependency {
    /// Its name, in the namespace of the config.
    pub name: String,
}

/// `spec.sync`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyncSettings {
    /// `auto`: whether a new commit is applied without being asked for. True.
    pub auto: bool,
    /// `selfHeal`: `true` repairs drift, `detectOnly` reports it. True.
    pub self_heal: bool,
    /// `timeout`: how long one attempt of an operation may take; for ever without.
    pub timeout: Option<Duration>,
    /// `retry`.
    pub retry: Retry,
    /// `dependsOn`.
    pub depends_on: Vec<Dependency>,
    /// `windows`: when syncs may run.
    pub windows: Vec<SyncWindow>,
}

/// How an object is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ApplyMode {
    /// Server-side apply of the fields that Git has.
    ServerSide,
    /// Created where it is missing, and left alone from then on.
    IfNotPresent,
    /// Replaced whole, so that fields that Git does not have go.
    Replace,
}

/// What becomes of an object of which an immutable field changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnImmutable {
    /// It stays, and the refusal is told.
    Fail,
    /// It is deleted and created again, once the server has said that it would take the new one.
    Recreate,
}

/// Fields of some objects that are left as they are, in Argo CD's words; an empty filter covers every object.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct IgnoreEntry {
    /// Where it stands, such as `spec.ignoreDifferences[0]`.
    pub field: String,
    /// `group`.
    pub group: Option<String>,
    /// `kind`.
    pub kind: Option<String>,
    /// `namespace`.
    pub namespace: Option<String>,
    /// `name`.
    pub name: Option<String>,
    /// `jsonPointers`.
    pub json_pointers: Vec<String>,
    /// `jqPathExpressions`.
    pub jq_paths: Vec<String>,
    /// `managedFieldsManagers`: what these field managers own is left as it is.
    pub managers: Vec<String>,
}

/// `spec.apply`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApplySettings {
    /// `mode`. Server-side apply.
    pub mode: ApplyMode,
    /// `conflicts`: `force` takes fields from other managers, `fail` reports them. `fail`.
    pub force_conflicts: bool,
    /// `onImmutable`. Fail.
    pub on_immutable: OnImmutable,
    /// `ignore`, and `spec.ignoreDifferences` as Argo CD has it.
    pub ignore: Vec<IgnoreEntry>,
    /// `onError: transaction`: nothing is applied unless the server would take everything. False.
    pub is_transaction: bool,
}

/// `spec.prune`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PruneSettings {
    /// `enabled`. True.
    pub enabled: bool,
    /// `last`: only once everything that Git has is healthy. False.
    pub last: bool,
    /// `guard.maxPercent`: more than this share of the inventory is never pruned at once. 50.
    pub percent_max: u32,
    /// `guard.allowEmpty`. False.
    pub allow_empty: bool,
    /// `guard.protectKinds`: `Kind` or `Kind.group`; `None` for the usual ones.
    pub protect_kinds: Option<Vec<String>>,
}

pub(crate) fn sync(fields: &mut Fields<'_>) -> SyncSettings {
    SyncSettings {
        auto: fields.boolean("spec.sync.auto").unwrap_or(true),
        self_heal: self_heal(fields),
        timeout: fields.duration("spec.sync.timeout").filter(|timeout| !timeout.is_zero()),
        retry: retry(fields),
        depends_on: dependencies(fields),
        windows: sync_windows::windows(fields, "spec.sync.windows"),
    }
}

pub(crate) fn apply(fields: &mut Fields<'_>) -> ApplySettings {
    ApplySettings {
        mode: choice(
            fields,
            "spec.apply.mode",
            &[
                ("serverSide", ApplyMode::ServerSide),
                ("ifNotPresent", ApplyMode::IfNotPresent),
                ("replace", ApplyMode::Replace),
            ],
            ApplyMode::ServerSide,
        ),
        force_conflicts: choice(fields, "spec.apply.conflicts", &[("force", true), ("fail", false)], false),
        on_immutable: choice(
            fields,
            "spec.apply.onImmutable",
            &[("fail", OnImmutable::Fail), ("recreate", OnImmutable::Recreate)],
            OnImmutable::Fail,
        ),
        ignore: ["spec.apply.ignore", "spec.ignoreDifferences"]
            .into_iter()
            .flat_map(|path| ignore(fields, path))
            .collect(),
        is_transaction: choice(fields, "spec.apply.onError", &[("isolate", false), ("transaction", true)], false),
    }
}

pub(crate) fn prune(fields: &mut Fields<'_>) -> PruneSettings {
    let has_kinds = fields.value("spec.prune.guard.protectKinds").is_some();
    let kinds = fields.texts("spec.prune.guard.protectKinds");
    PruneSettings {
        enabled: fields.boolean("spec.prune.enabled").unwrap_or(true),
        last: fields.boolean("spec.prune.last").unwrap_or(false),
        percent_max: fields.count("spec.prune.guard.maxPercent").unwrap_or(50),
        allow_empty: fields.boolean("spec.prune.guard.allowEmpty").unwrap_or(false),
        protect_kinds: has_kinds.then_some(kinds),
    }
}

/// One of a few words; absent means `otherwise`.
pub(crate) fn choice<T: Copy>(fields: &mut Fields<'_>, path: &str, known: &[(&str, T)], otherwise: T) -> T {
    let Some(text) = fields.text(path) else { return otherwise };
    if let Some((_, value)) = known.iter().find(|(name, _)| *name == text) {
        return *value;
    }
    let names: Vec<&str> = known.iter().map(|(name, _)| *name).collect();
    fields.problem(path, format!("`{text}` is not one of {}", names.join(", ")));
    otherwise
}

fn self_heal(fields: &mut Fields<'_>) -> bool {
    match fields.value("spec.sync.selfHeal") {
        None => true,
        Some(value) => match (value.as_bool(), value.as_str()) {
            (Some(flag), _) => flag,
            (_, Some("detectOnly")) => false,
            _ => {
                fields.problem("spec.sync.selfHeal", "must be true or detectOnly");
                true
            }
        },
    }
}

fn retry(fields: &mut Fields<'_>) -> Retry {
    let usual = Retry::default();
    let delay = fields.duration("spec.sync.retry.backoff.duration").unwrap_or(usual.delay);
    let delay_max = fields.duration("spec.sync.retry.backoff.maxDuration").unwrap_or(usual.delay_max);
    if delay < Duration::from_secs(1) {
        fields.problem("spec.sync.retry.backoff.duration", "must be at least 1s");
    }
    Retry {
        limit: fields.count("spec.sync.retry.limit").unwrap_or(usual.limit),
        delay,
        factor: fields.count("spec.sync.retry.backoff.factor").unwrap_or(usual.factor).max(1),
        delay_max: delay_max.max(delay),
    }
}

fn ignore(fields: &mut Fields<'_>, path: &str) -> Vec<IgnoreEntry> {
    let items = match fields.value(path) {
        None => return Vec::new(),
        Some(Value::Array(items)) => items,
        Some(other) => {
            fields.problem(path, format!("must be a list, not {}", kind_of(other)));
            return Vec::new();
        }
    };
    let mut entries = Vec::new();
    for (index, item) in items.iter().enumerate() {
        let field = format!("{path}[{index}]");
        let text = |name: &str| {
            item.get(name).and_then(Value::as_str).filter(|text| !text.is_empty() && *text != "*").map(str::to_owned)
        };
        let mut texts = |name: &str| match item.get(name) {
            None | Some(Value::Null) => Vec::new(),
            Some(Value::Array(list)) if list.iter().all(Value::is_string) => {
                list.iter().filter_map(Value::as_str).map(str::to_owned).collect()
            }
            Some(other) => {
                fields
                    .problem(&format!("{field}.{name}"), format!("must be a list of strings, not {}", kind_of(other)));
                Vec::new()
            }
        };
        let entry = IgnoreEntry {
            json_pointers: texts("jsonPointers"),
            jq_paths: texts("jqPathExpressions"),
            managers: texts("managedFieldsManagers"),
            group: text("group"),
            kind: text("kind"),
            namespace: text("namespace"),
            name: text("name"),
            field: field.clone(),
        };
        entries.push(entry);
    }
    entries
}

fn dependencies(fields: &mut Fields<'_>) -> Vec<Dependency> {
    let path = "spec.sync.dependsOn";
    let items = match fields.value(path) {
        None => return Vec::new(),
        Some(Value::Array(items)) => items,
        Some(other) => {
            fields.problem(path, format!("must be a list, not {}", kind_of(other)));
            return Vec::new();
        }
    };
    let mut found = Vec::new();
    for (index, item) in items.iter().enumerate() {
        match item.get("name").and_then(Value::as_str).filter(|name| !name.is_empty()) {
            Some(_) if item.get("namespace").is_some() => {
                fields.problem(&format!("{path}[{index}].namespace"), "a config depends on those of its own namespace");
            }
            Some(name) => found.push(Dependency { name: name.to_owned() }),
            None => fields.problem(&format!("{path}[{index}].name"), "is required"),
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::GitOpsConfig;
    use object_model::Object;
    use serde_json::json;

    fn read(spec: Value) -> (GitOpsConfig, Vec<String>) {
        let mut all = json!({"url": "https://x/y.git", "branch": "main"});
        for (key, value) in spec.as_object().unwrap() {
            all[key] = value.clone();
        }
        let object =
            json!({"apiVersion": "sluice.dev/v1", "kind": "GitOpsConfig", "metadata": {"name": "a"}, "spec": all});
        let (config, problems) = GitOpsConfig::parse(&Object::parse(object).unwrap());
        (config, problems.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn what_is_not_said_has_a_safe_default() {
        let (config, problems) = read(json!({}));
        assert_eq!(problems, Vec::<String>::new());
        assert!(config.sync.auto && config.sync.self_heal && config.sync.timeout.is_none());
        assert_eq!(config.sync.retry, Retry::default());
        assert_eq!((config.apply.mode, config.apply.on_immutable), (ApplyMode::ServerSide, OnImmutable::Fail));
        assert!(!config.apply.force_conflicts && !config.apply.is_transaction && config.prune.enabled);
    }

    #[test]
    fn everything_can_be_said() {
        let (config, problems) = read(json!({
            "sync": {
                "auto": false, "selfHeal": "detectOnly", "timeout": "10m", "dependsOn": [{"name": "base"}],
                "retry": {"limit": 2, "backoff": {"duration": "1s", "factor": 3, "maxDuration": "1m"}},
            },
            "apply": {"mode": "replace", "conflicts": "force", "onImmutable": "recreate", "onError": "transaction"},
            "prune": {"enabled": false, "last": true, "guard": {"protectKinds": ["Secret"]}},
        }));
        assert_eq!(problems, Vec::<String>::new());
        assert_eq!(config.sync.timeout, Some(Duration::from_secs(600)));
        assert_eq!((config.sync.retry.limit, config.sync.retry.factor), (2, 3));
        assert_eq!(config.sync.depends_on[0].name, "base");
        assert_eq!((config.apply.mode, config.apply.on_immutable), (ApplyMode::Replace, OnImmutable::Recreate));
        assert_eq!(config.prune.protect_kinds, Some(vec!["Secret".to_owned()]));
    }

    #[test]
    fn wrong_words_are_named_with_the_right_ones() {
        let (_, problems) = read(json!({
            "apply": {"mode": "clientSide", "onError": "stop"},
            "sync": {"dependsOn": [{"name": "a", "namespace": "b"}, {}], "retry": {"backoff": {"duration": "10ms"}}},
        }));
        assert_eq!(
            problems,
            [
                "spec.sync.retry.backoff.duration: must be at least 1s",
                "spec.sync.dependsOn[0].namespace: a config depends on those of its own namespace",
                "spec.sync.dependsOn[1].name: is required",
                "spec.apply.mode: `clientSide` is not one of serverSide, ifNotPresent, replace",
                "spec.apply.onError: `stop` is not one of isolate, transaction",
            ]
        );
    }
}
