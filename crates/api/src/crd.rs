//! CustomResourceDefinitions of our own kinds, and small ones of Argo's for clusters that have none.
//!
//! `sluice crds` prints them; `cargo xtask codegen` keeps the copies under `deploy/` equal. An installed definition of
//! argoproj.io or flagger.app is never replaced by one from here.

use object_model::Object;
use serde_json::{Map, Value, json};

/// The definitions of Sluice's own kinds; `group` is the one under which GitOpsConfig is served.
pub fn own(group: &str) -> Vec<Object> {
    let definitions = [gitops_config(group), inventory(), environment(), pipeline(), promotion()];
    definitions.into_iter().filter_map(|definition| Object::parse(definition).ok()).collect()
}

/// Definitions of the argoproj.io kinds that the rollout engine serves. They keep every field that a user writes.
pub fn argo() -> Vec<Object> {
    let column = |name: &str, kind: &str, path: &str| json!({"name": name, "type": kind, "jsonPath": path});
    let rollout_columns = vec![
        column("Desired", "integer", ".spec.replicas"),
        column("Current", "integer", ".status.replicas"),
        column("Up-to-date", "integer", ".status.updatedReplicas"),
        column("Available", "integer", ".status.availableReplicas"),
        age(),
    ];
    let run_columns = vec![column("Status", "string", ".status.phase"), age()];
    let scale = json!({"specReplicasPath": ".spec.replicas", "statusReplicasPath": ".status.HPAReplicas", "labelSelectorPath": ".status.selector"});
    let rollout = Names { kind: "Rollout", plural: "rollouts", short: &["ro"] };
    let run = Names { kind: "AnalysisRun", plural: "analysisruns", short: &["ar"] };
    let experiment = Names { kind: "Experiment", plural: "experiments", short: &["exp"] };
    let template = Names { kind: "AnalysisTemplate", plural: "analysistemplates", short: &["at"] };
    let cluster = Names { kind: "ClusterAnalysisTemplate", plural: "clusteranalysistemplates", short: &["cat"] };
    let make = |names: &Names<'_>, scope: &str, schema: Value, columns: Vec<Value>, subresources: Value| {
        definition("argoproj.io", "v1alpha1", scope, names, schema, columns, subresources)
    };
    let with_status = json!({"status": {}, "scale": scale});
    let none = Value::Null;
    let definitions = [
        make(
            &rollout,
            "Namespaced",
            open_with(vec![("replicas", json!({"type": "integer", "format": "int32"}))]),
            rollout_columns,
            with_status,
        ),
        make(&run, "Namespaced", open_with(vec![]), run_columns.clone(), none.clone()),
        make(&experiment, "Namespaced", open_with(vec![]), run_columns, none.clone()),
        make(&template, "Namespaced", open_with(vec![]), vec![age()], none.clone()),
        make(&cluster, "Cluster", open_with(vec![]), vec![age()], none),
    ];
    definitions.into_iter().filter_map(|definition| Object::parse(definition).ok()).collect()
}

struct Names<'a> {
    kind: &'a str,
    plural: &'a str,
    short: &'a [&'a str],
}

fn definition(
    group: &str,
    version: &str,
    scope: &str,
    names: &Names<'_>,
    schema: Value,
    columns: Vec<Value>,
    subresources: Value,
) -> Value {
    let singular = names.kind.to_lowercase();
    let mut entry = json!({
        "name": version,
        "served": true,
        "storage": true,
        "schema": {"openAPIV3Schema": schema},
        "additionalPrinterColumns": columns,
    });
    if !subresources.is_null() {
        entry = with(entry, "subresources", subresources);
    }
    json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": format!("{}.{group}", names.plural)},
        "spec": {
            "group": group,
            "scope": scope,
            "names": {"kind": names.kind, "listKind": format!("{}List", names.kind), "plural": names.plural, "singular": singular, "shortNames": names.short},
            "versions": [entry],
        },
    })
}

fn age() -> Value {
    json!({"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"})
}

fn column(name: &str, path: &str) -> Value {
    json!({"name": name, "type": "string", "jsonPath": path})
}

fn text(description: &str) -> Value {
    json!({"type": "string", "description": description})
}

fn flag(description: &str) -> Value {
    json!({"type": "boolean", "description": description})
}

fn one_of(description: &str, values: &[&str]) -> Value {
    json!({"type": "string", "description": description, "enum": values})
}

fn object(description: &str, properties: Vec<(&str, Value)>) -> Value {
    let properties: Map<String, Value> =
        properties.into_iter().map(|(name, schema)| (name.to_owned(), schema)).collect();
    json!({"type": "object", "description": description, "properties": properties})
}

fn list(description: &str, items: Value) -> Value {
    json!({"type": "array", "description": description, "items": items})
}

fn required(schema: Value, names: &[&str]) -> Value {
    with(schema, "required", json!(names))
}

fn with(mut schema: Value, key: &str, value: Value) -> Value {
    if let Value::Object(map) = &mut schema {
        map.insert(key.to_owned(), value);
    }
    schema
}

fn open(description: &str) -> Value {
    json!({"type": "object", "description": description, "x-kubernetes-preserve-unknown-fields": true})
}

/// A schema that keeps every field of spec and status.
fn open_with(spec: Vec<(&str, Value)>) -> Value {
    let spec = with(object("What is wanted.", spec), "x-kubernetes-preserve-unknown-fields", true.into());
    json!({"type": "object", "properties": {
        "apiVersion": {"type": "string"}, "kind": {"type": "string"}, "metadata": {"type": "object"},
        "spec": spec, "status": open("What is."),
    }})
}

fn root(description: &str, spec: Value) -> Value {
    json!({"type": "object", "description": description, "required": ["spec"], "properties": {
        "apiVersion": {"type": "string"}, "kind": {"type": "string"}, "metadata": {"type": "object"},
        "spec": spec, "status": open("What is, as Sluice sees it."),
    }})
}

fn render_schema() -> Value {
    let reference = object(
        "Values in a ConfigMap or Secret of this namespace, read as the ServiceAccount that objects are applied as.",
        vec![
            ("kind", one_of("Kind of the object.", &["ConfigMap", "Secret"])),
            ("name", text("Its name.")),
            ("valuesKey", text("Key with the values; values.yaml.")),
            ("targetPath", text("Where its content goes, as in helm --set-string; a document of values when empty.")),
            ("optional", flag("Whether it may be absent; false.")),
        ],
    );
    let chart = object(
        "A chart of a chart repository, rendered instead of the files of the path; valuesFiles still lie there.",
        vec![
            ("repository", text("https:// of a folder with an index.yaml, or oci:// of the folder of the chart.")),
            ("name", text("Name of the chart.")),
            ("version", text("A version, or a range of them; the newest when empty.")),
            ("digest", text("sha256:... of the packed chart; another content is refused.")),
        ],
    );
    let values = json!({"type": "object", "description": "Values for charts and templates; they win over all others.", "x-kubernetes-preserve-unknown-fields": true});
    object(
        "How files become objects.",
        vec![
            ("type", one_of("Kind of source.", &["auto", "plain", "handlebars", "jsonnet", "helm"])),
            ("releaseName", text("What charts are told as the name of the release; the name of this config.")),
            ("values", values),
            ("valuesFiles", list("Files with values, relative to the path; later ones win.", text("Path."))),
            (
                "valuesFrom",
                list(
                    "Values of objects; they win over those of files, later ones win.",
                    required(reference, &["kind", "name"]),
                ),
            ),
            ("kubeVersion", text("Version of Kubernetes that charts are told; the cluster's.")),
            ("apiVersions", list("API versions that charts are told besides those of the cluster.", text("Version."))),
            ("offline", flag("Whether charts are told nothing of the cluster and lookup finds nothing; false.")),
            ("chart", required(chart, &["repository", "name"])),
        ],
    )
}

fn secret_ref(description: &str) -> Value {
    object(
        description,
        vec![
            ("name", text("Name of the Secret.")),
            ("namespace", text("Namespace of the Secret, where the kind is cluster-scoped.")),
        ],
    )
}

fn gitops_config(group: &str) -> Value {
    let guard = object(
        "Limits that stop a prune.",
        vec![
            (
                "maxPercent",
                json!({"type": "integer", "minimum": 0, "maximum": 100, "description": "Largest share of the inventory that is pruned at once; 50."}),
            ),
            ("allowEmpty", flag("Whether a render without any object may prune everything; false.")),
            (
                "protectKinds",
                list(
                    "Kinds that are pruned only when the object itself allows it; namespaces, definitions, nodes, volumes and storage classes.",
                    text("Kind or Kind.group."),
                ),
            ),
        ],
    );
    let spec = object(
        "One path of one branch of one repository, applied to the cluster.",
        vec![
            ("url", text("Repository URL, without credentials.")),
            ("branch", text("Branch.")),
            ("path", text("Directory in the repository; the root when empty.")),
            ("interval", text("Time between polls, such as 3m; a webhook makes a fetch immediate.")),
            (
                "auth",
                object(
                    "Read access.",
                    vec![("secretRef", secret_ref("Credential in this namespace: token, or username and password."))],
                ),
            ),
            ("render", render_schema()),
            (
                "destination",
                object(
                    "Where objects go.",
                    vec![
                        ("namespace", text("Namespace of objects that name none; this one.")),
                        (
                            "serviceAccountName",
                            text("ServiceAccount of this namespace that objects are applied as; sluice."),
                        ),
                    ],
                ),
            ),
            ("apply", apply_settings()),
            ("ignoreDifferences", list("The same as apply.ignore, as Argo CD has it.", ignore_entry())),
            ("sync", sync_settings()),
            (
                "prune",
                object(
                    "What happens to objects that leave Git.",
                    vec![
                        ("enabled", flag("Whether they are deleted; true.")),
                        ("last", flag("Only once everything that Git has is healthy; false.")),
                        ("guard", guard),
                    ],
                ),
            ),
            ("health", health_settings()),
            ("healthCheckExprs", list("The same as health.exprs, as Flux has it.", health_expressions())),
            (
                "rollback",
                object(
                    "What happens in Git when what a commit deployed fails.",
                    vec![
                        ("onFailure", one_of("none, or a commit that restores the paths.", &["none", "revertCommit"])),
                        ("secretRef", secret_ref("Write credential in this namespace, apart from the read one.")),
                    ],
                ),
            ),
            (
                "deletionPolicy",
                one_of(
                    "What becomes of the objects when this config is deleted; Orphan.",
                    &["Orphan", "Delete", "WaitForTermination"],
                ),
            ),
            ("suspend", flag("Stops everything but telling; objects of a config that is deleted meanwhile stay.")),
        ],
    );
    let names = Names { kind: "GitOpsConfig", plural: "gitopsconfigs", short: &["goc"] };
    let ready = |field: &str| format!(".status.conditions[?(@.type==\"Ready\")].{field}");
    let columns = vec![
        column("URL", ".spec.url"),
        column("Branch", ".spec.branch"),
        column("Path", ".spec.path"),
        column("Commit", ".status.source.commit"),
        column("Ready", &ready("status")),
        column("Health", ".status.health.status"),
        age(),
    ];
    definition(
        group,
        "v1",
        "Namespaced",
        &names,
        root("Delivers a path of a Git branch.", required(spec, &["url", "branch", "path"])),
        columns,
        json!({"status": {}}),
    )
}

fn apply_settings() -> Value {
    object(
        "How objects are applied.",
        vec![
            (
                "mode",
                one_of("Server-side apply, or one of its alternatives.", &["serverSide", "ifNotPresent", "replace"]),
            ),
            ("conflicts", one_of("Fields that another manager owns.", &["fail", "force"])),
            ("onImmutable", one_of("Objects of which an immutable field changes.", &["fail", "recreate"])),
            ("ignore", list("Fields that are left as they are.", ignore_entry())),
            ("onError", one_of("Whether what is fine is applied when something is not.", &["isolate", "transaction"])),
        ],
    )
}

fn sync_window() -> Value {
    let window = object(
        "A window of time, as Argo CD's AppProject has them.",
        vec![
            ("kind", one_of("Whether syncs run only in it, or don't run in it.", &["allow", "deny"])),
            ("schedule", text("When it opens: the five fields of cron.")),
            ("duration", text("How long it stays open, such as 1h.")),
            ("timeZone", text("Time zone of the schedule; UTC.")),
            ("manualSync", flag("Whether a sync that a person asks for runs all the same; false.")),
            ("syncOverrun", flag("Whether a sync goes on that began while it was allowed; false.")),
            ("description", text("What it is for.")),
        ],
    );
    required(window, &["kind", "schedule", "duration"])
}

fn health_settings() -> Value {
    let script = object(
        "The health.lua of a kind.",
        vec![
            ("group", text("API group; * stands for any text, nothing for the core group.")),
            ("kind", text("Kind; * stands for any text.")),
            ("lua", text("The script.")),
        ],
    );
    let config_map = object("A ConfigMap of this namespace.", vec![("name", text("Its name."))]);
    object(
        "By whose rules objects are judged.",
        vec![
            ("profile", one_of("As Argo CD judges, or as kstatus does; argo.", &["argo", "kstatus"])),
            ("exprs", list("Rules in CEL.", health_expressions())),
            ("scripts", list("Scripts in Lua.", required(script, &["kind", "lua"]))),
            (
                "lua",
                object(
                    "Scripts with the keys that argocd-cm has.",
                    vec![("configMapRef", required(config_map, &["name"]))],
                ),
            ),
        ],
    )
}

fn health_expressions() -> Value {
    let rule = object(
        "Expressions that tell the health of a kind, looked at in this order: inProgress, failed, current.",
        vec![
            ("apiVersion", text("API version, or a group alone.")),
            ("kind", text("Kind.")),
            ("inProgress", text("True while it is on the way.")),
            ("failed", text("True when it has failed.")),
            ("current", text("True when it does what it is for.")),
        ],
    );
    required(rule, &["apiVersion", "kind", "current"])
}

fn ignore_entry() -> Value {
    object(
        "Fields of the objects that all filters cover.",
        vec![
            ("group", text("API group; any when empty.")),
            ("kind", text("Kind; any when empty.")),
            ("namespace", text("Namespace; any when empty.")),
            ("name", text("Name; any when empty.")),
            ("jsonPointers", list("JSON pointers.", text("Pointer."))),
            ("jqPathExpressions", list("Programs of jq that choose fields.", text("Program."))),
            ("managedFieldsManagers", list("Field managers; what they own is left to them.", text("Manager."))),
        ],
    )
}

fn sync_settings() -> Value {
    let backoff = object(
        "Delays between attempts.",
        vec![
            ("duration", text("The first delay; 5s.")),
            ("factor", json!({"type": "integer", "minimum": 1, "description": "By how much each is longer; 2."})),
            ("maxDuration", text("The longest delay; 3m.")),
        ],
    );
    let retry = object(
        "How an operation with hooks or waves is tried again when it fails.",
        vec![("limit", json!({"type": "integer", "minimum": 0, "description": "How often; 5."})), ("backoff", backoff)],
    );
    let dependency =
        required(object("Another config.", vec![("name", text("Its name, in this namespace."))]), &["name"]);
    object(
        "When objects are applied.",
        vec![
            ("auto", flag("Whether a new commit is applied without being asked for; true.")),
            (
                "selfHeal",
                json!({"description": "true repairs drift, detectOnly reports it.", "x-kubernetes-preserve-unknown-fields": true}),
            ),
            ("timeout", text("How long one attempt of an operation may take; for ever when empty.")),
            ("retry", retry),
            ("dependsOn", list("Configs that have to be ready first.", dependency)),
            ("windows", list("When syncs may run.", sync_window())),
        ],
    )
}

fn inventory() -> Value {
    let entry = object(
        "One object that a config intends or owns.",
        vec![
            ("group", text("API group.")),
            ("kind", text("Kind.")),
            ("namespace", text("Namespace.")),
            ("name", text("Name.")),
            ("version", text("API version it was applied with.")),
            ("operation", text("Operation that intended it.")),
            ("state", one_of("Only an owned entry may be deleted.", &["intended", "owned"])),
            ("uid", text("The life of the object that is owned.")),
            ("wave", json!({"type": "integer"})),
            ("since", text("When it was intended.")),
        ],
    );
    let spec = object(
        "Entries of one config.",
        vec![("config", text("The config.")), ("entries", list("The entries.", entry))],
    );
    let names = Names { kind: "Inventory", plural: "inventories", short: &[] };
    definition(
        "sluice.dev",
        "v1alpha1",
        "Namespaced",
        &names,
        root("What a GitOpsConfig owns, written before it is created.", spec),
        vec![column("Config", ".spec.config"), age()],
        Value::Null,
    )
}

fn environment() -> Value {
    let source = object(
        "Where the environment is written in Git.",
        vec![
            ("url", text("Repository URL.")),
            ("branch", text("Branch; main.")),
            ("path", text("Directory.")),
            ("secretRef", secret_ref("Write credential for promotions.")),
        ],
    );
    let account = required(
        object(
            "As whom the namespace and its walls are made.",
            vec![("namespace", text("Namespace.")), ("name", text("Name."))],
        ),
        &["namespace", "name"],
    );
    let quota = open("Hard limits by resource; pods: \"100\".");
    let spec = object(
        "A namespace with its walls.",
        vec![
            ("namespace", text("The namespace; the environment's name.")),
            ("serviceAccount", account),
            ("deployer", text("ServiceAccount in the namespace that applies what Git says; sluice.")),
            ("clusterRole", text("What the deployer may do in the namespace; sluice-deployer.")),
            ("quota", quota),
            ("source", source),
            ("hold", object("Stops promotions into the environment.", vec![("reason", text("Why."))])),
            ("windows", list("When the configs of the namespace may sync.", sync_window())),
        ],
    );
    let names = Names { kind: "Environment", plural: "environments", short: &["env"] };
    let columns = vec![
        column("Namespace", ".spec.namespace"),
        column("Path", ".spec.source.path"),
        column("Ready", ".status.conditions[?(@.type==\"Ready\")].status"),
        age(),
    ];
    definition(
        "sluice.dev",
        "v1alpha1",
        "Cluster",
        &names,
        root("Where versions run.", required(spec, &["serviceAccount"])),
        columns,
        json!({"status": {}}),
    )
}

fn pipeline() -> Value {
    let stage = required(
        object(
            "One environment.",
            vec![
                ("name", text("Name of the Environment.")),
                ("from", list("Environments it is promoted from.", text("Name."))),
            ],
        ),
        &["name"],
    );
    let version = required(
        object("One thing that travels.", vec![("name", text("Name.")), ("image", text("Image repository."))]),
        &["name", "image"],
    );
    let spec = object(
        "The order of environments.",
        vec![("environments", list("In order.", stage)), ("versions", list("What travels.", version))],
    );
    let names = Names { kind: "Pipeline", plural: "pipelines", short: &[] };
    definition(
        "sluice.dev",
        "v1alpha1",
        "Namespaced",
        &names,
        root("How versions travel.", required(spec, &["environments"])),
        vec![age()],
        json!({"status": {}}),
    )
}

fn promotion() -> Value {
    let version = required(
        object("One version.", vec![("name", text("Name.")), ("image", text("Full image reference."))]),
        &["name", "image"],
    );
    let spec = object(
        "One operation; it never changes.",
        vec![
            ("action", one_of("What it does.", &["promote", "rollback"])),
            ("pipeline", text("Pipeline in this namespace (promote).")),
            ("from", text("Source environment (promote).")),
            ("to", text("Target environment (promote).")),
            ("versions", list("Versions to move; what is healthy in the source environment when empty.", version)),
            ("config", text("GitOpsConfig in this namespace (rollback).")),
            ("reverts", text("The commit that failed (rollback).")),
            ("restores", text("The last healthy commit (rollback).")),
            ("paths", list("Exactly the paths that the failing config rendered from (rollback).", text("Path."))),
            ("build", text("The build that is restored.")),
            ("source", text("The source commit that is restored.")),
            ("requestedBy", text("Who asked, as NAME <EMAIL>.")),
            ("reason", text("Why.")),
        ],
    );
    let rule = json!([{"rule": "self == oldSelf", "message": "a Promotion is one operation: make another one"}]);
    let spec = with(spec, "x-kubernetes-validations", rule);
    let names = Names { kind: "Promotion", plural: "promotions", short: &["promo"] };
    let columns = vec![
        column("Action", ".spec.action"),
        column("From", ".spec.from"),
        column("To", ".spec.to"),
        column("Phase", ".status.phase"),
        column("Commit", ".status.write.pushed"),
        age(),
    ];
    definition(
        "sluice.dev",
        "v1alpha1",
        "Namespaced",
        &names,
        root("Moves versions, or takes a commit back, by one commit.", spec),
        columns,
        json!({"status": {}}),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_definition_is_named_after_its_plural_and_group() {
        let all: Vec<Object> = own("gitops.example.com").into_iter().chain(argo()).collect();
        let names: Vec<&str> = all.iter().map(Object::name).collect();
        assert_eq!(
            names,
            [
                "gitopsconfigs.gitops.example.com",
                "inventories.sluice.dev",
                "environments.sluice.dev",
                "pipelines.sluice.dev",
                "promotions.sluice.dev",
                "rollouts.argoproj.io",
                "analysisruns.argoproj.io",
                "experiments.argoproj.io",
                "analysistemplates.argoproj.io",
                "clusteranalysistemplates.argoproj.io",
            ]
        );
    }
}
