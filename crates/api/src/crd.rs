//! CustomResourceDefinitions of our own kinds, and small ones of Argo's for clusters that have none.
//!
//! `sluice crds` prints them; `cargo xtask codegen` keeps the copies under `deploy/` equal. An installed definition of
//! argoproj.io or flagger.app is never replaced by one from here.

mod gitops_config;
mod schema;

use object_model::Object;
use serde_json::{Value, json};

use gitops_config::{gitops_config, sync_window};
use schema::{
    Names, age, column, definition, list, object, one_of, open, open_with, required, root, secret_ref, text, with,
};

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
