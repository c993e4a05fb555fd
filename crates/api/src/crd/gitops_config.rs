//! The definition of GitOpsConfig.

use serde_json::{Value, json};

use super::schema::{Names, age, column, definition, flag, list, object, one_of, required, root, secret_ref, text};

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

pub(super) fn gitops_config(group: &str) -> Value {
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
            ("ref", reference_schema()),
            ("path", text("Directory in the repository; the root when empty.")),
            ("interval", text("Time between polls, such as 3m; a webhook makes a fetch immediate.")),
            (
                "auth",
                object(
                    "Read access.",
                    vec![
                        ("secretRef", secret_ref("Credential in this namespace.")),
                        ("proxySecretRef", secret_ref("Proxy in this namespace: address, username and password.")),
                    ],
                ),
            ),
            ("verify", verify_schema()),
            (
                "depth",
                json!({"type": "integer", "minimum": 0, "description": "How many commits of the history are fetched; all of them when 0."}),
            ),
            (
                "decryption",
                object(
                    "Files that are encrypted in Git.",
                    vec![
                        ("provider", one_of("What encrypted them.", &["sops"])),
                        ("secretRef", secret_ref("Secret of this namespace with age keys (*.agekey).")),
                    ],
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
        json!({"name": "Reference", "type": "string", "jsonPath": ".status.source.reference", "priority": 1}),
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
        root("Delivers a path of a Git repository.", required(spec, &["url", "path"])),
        columns,
        json!({"status": {}}),
    )
}

fn reference_schema() -> Value {
    object(
        "Which commit, instead of the head of a branch; commit wins over name, semver, tag and branch.",
        vec![
            ("branch", text("Branch.")),
            ("tag", text("Tag.")),
            ("semver", text("The latest tag whose version is in this range, such as >=1.2.0 <2.0.0.")),
            ("name", text("Full name of a reference, such as refs/pull/420/head.")),
            ("commit", text("Full id of a commit.")),
        ],
    )
}

fn verify_schema() -> Value {
    required(
        object(
            "Whose signature is needed before anything is applied.",
            vec![
                (
                    "mode",
                    one_of(
                        "What has to be signed; the commit.",
                        &["Head", "HEAD", "head", "Tag", "TagAndHead", "TagAndHEAD"],
                    ),
                ),
                ("secretRef", secret_ref("Keys that may sign, in this namespace.")),
            ],
        ),
        &["secretRef"],
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

pub(super) fn sync_window() -> Value {
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
