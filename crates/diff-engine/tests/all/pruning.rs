//! What may be deleted, and what stays and why.

use std::collections::BTreeSet;

use diff_engine::{
    ConfigIdentity, Entry, EntryState, Inventory, LiveView, Owner, PrunePolicy, PruneScope, PruneVerdict,
    RenderOutcome, prune_plan,
};
use object_model::{Object, ObjectId, Uid};
use serde_json::json;

fn config() -> ConfigIdentity {
    ConfigIdentity {
        api_version: "sluice.dev/v1alpha1".to_owned(),
        kind: "GitOpsConfig".to_owned(),
        namespace: "default".to_owned(),
        name: "shop".to_owned(),
        uid: Uid::new("c1"),
    }
}

fn owned(api_version: &str, kind: &str, name: &str) -> (Object, Entry) {
    let namespace = (kind != "Namespace").then_some("qa");
    let mut object = Object::new(api_version, kind, namespace, name);
    object.set_at(&["metadata", "uid"], json!(format!("u-{name}")));
    object.set_at(&["metadata", "resourceVersion"], json!("7"));
    Owner::new("default/shop", &config().uid, "op1", &object.id()).put_on(&mut object);
    let entry = Entry {
        id: object.id(),
        version: object.gvk().version,
        operation: "op1".to_owned(),
        state: EntryState::Owned { uid: object.uid().unwrap() },
        wave: 0,
        since: "2026-01-01T00:00:00Z".to_owned(),
    };
    (object, entry)
}

struct Case {
    live: Vec<Object>,
    entries: Vec<Entry>,
    desired: BTreeSet<ObjectId>,
    policy: PrunePolicy,
    render: RenderOutcome,
}

impl Case {
    fn new(objects: impl IntoIterator<Item = (Object, Entry)>) -> Self {
        let (live, entries) = objects.into_iter().unzip();
        // One object stays in Git, so that the render is not empty.
        let desired = BTreeSet::from([ObjectId::new("", "ConfigMap", Some("qa"), "stays")]);
        Self { live, entries, desired, policy: PrunePolicy::default(), render: RenderOutcome::Complete }
    }

    fn plan(&self) -> String {
        self.plan_seen(&LiveView::new(&self.live))
    }

    fn plan_seen(&self, live: &LiveView<'_>) -> String {
        let inventory = Inventory::new(self.entries.clone());
        let config = config();
        let scope = PruneScope { config: &config, render: self.render, policy: &self.policy };
        let lines =
            prune_plan(&inventory, &self.desired, live, &scope).into_iter().map(|decision| match decision.verdict {
                PruneVerdict::Delete => {
                    let uid = decision.uid.unwrap();
                    format!("delete {} uid {uid} at {}", decision.id, decision.resource_version.unwrap())
                }
                PruneVerdict::Keep(reason) => format!("keep {}: {reason}", decision.id),
            });
        lines.collect::<Vec<_>>().join("\n")
    }
}

fn one() -> Case {
    Case::new([owned("v1", "ConfigMap", "a")])
}

#[test]
fn what_left_git_is_deleted_in_reverse_order_with_preconditions() {
    let mut case = Case::new([
        owned("v1", "ConfigMap", "a"),
        owned("v1", "ConfigMap", "b"),
        owned("apps/v1", "Deployment", "web"),
        owned("v1", "Service", "web"),
    ]);
    case.entries[0].wave = 1;
    insta::assert_snapshot!(case.plan(), @r"
    delete ConfigMap qa/a uid u-a at 7
    delete Deployment.apps qa/web uid u-web at 7
    delete Service qa/web uid u-web at 7
    delete ConfigMap qa/b uid u-b at 7
    ");
}

#[test]
fn a_failed_or_empty_render_deletes_nothing() {
    let failed = Case { render: RenderOutcome::Failed, ..one() };
    assert_eq!(failed.plan(), "keep ConfigMap qa/a: the render failed");
    let mut empty = Case { desired: BTreeSet::new(), ..one() };
    assert_eq!(empty.plan(), "keep ConfigMap qa/a: the render is empty");
    empty.policy.allows_empty = true;
    assert_eq!(empty.plan(), "delete ConfigMap qa/a uid u-a at 7");
}

#[test]
fn too_large_a_part_needs_a_person() {
    let names: Vec<String> = (0..20).map(|index| format!("m{index:02}")).collect();
    let mut case = Case::new(names.iter().map(|name| owned("v1", "ConfigMap", name)));
    case.desired.extend(names.iter().take(9).map(|name| ObjectId::new("", "ConfigMap", Some("qa"), name)));
    assert!(
        case.plan().lines().all(|line| line.ends_with("11 of 20 owned objects would go, more than 50 %")),
        "{}",
        case.plan()
    );
    case.policy.is_approved = true;
    assert!(case.plan().lines().all(|line| line.starts_with("delete ")));
    case.policy.is_approved = false;
    case.desired.insert(ObjectId::new("", "ConfigMap", Some("qa"), "m09"));
    assert_eq!(case.plan().lines().filter(|line| line.starts_with("delete ")).count(), 10);
}

#[test]
fn protected_kinds_go_only_when_the_object_itself_allows_it() {
    let mut case = Case::new([owned("v1", "Namespace", "qa"), owned("v1", "PersistentVolumeClaim", "data")]);
    insta::assert_snapshot!(case.plan(), @r"
    keep PersistentVolumeClaim qa/data: kind PersistentVolumeClaim is protected
    keep Namespace qa: kind Namespace is protected
    ");
    case.live[1].set_annotation("sluice.dev/prune", "enabled");
    assert!(case.plan().starts_with("delete PersistentVolumeClaim qa/data"));
}

#[test]
fn opt_outs_of_three_tools_are_kept() {
    for (key, value) in [
        ("sluice.dev/prune", "disabled"),
        ("argocd.argoproj.io/sync-options", "Prune=false"),
        ("argocd.argoproj.io/sync-options", "Validate=false, Prune=false"),
        ("kustomize.toolkit.fluxcd.io/prune", "Disabled"),
        ("helm.sh/resource-policy", "keep"),
    ] {
        let mut case = one();
        case.live[0].set_annotation(key, value);
        assert!(case.plan().starts_with(&format!("keep ConfigMap qa/a: annotation `{key}: ")), "{}", case.plan());
    }
}

#[test]
fn an_intended_entry_gives_no_right_to_delete() {
    let mut case = one();
    case.entries[0].state = EntryState::Intended;
    assert_eq!(case.plan(), "keep ConfigMap qa/a: it never proved to be ours");
}

#[test]
fn case_15_an_object_of_another_config_or_life_is_kept() {
    let mut case = one();
    let id = case.live[0].id();
    Owner::new("default/other", &Uid::new("c2"), "op5", &id).put_on(&mut case.live[0]);
    assert_eq!(case.plan(), "keep ConfigMap qa/a: config default/other delivers it");
    let mut case = one();
    case.live[0].set_at(&["metadata", "uid"], json!("u-new"));
    assert_eq!(case.plan(), "keep ConfigMap qa/a: uid u-new is not the uid u-a that is ours");
    let mut forged = one();
    forged.live[0].set_annotation("sluice.dev/owner", "{}");
    assert_eq!(forged.plan(), "keep ConfigMap qa/a: config (unreadable) delivers it");
}

#[test]
fn a_deletion_that_finalizers_hold_up_is_reported_and_not_repeated() {
    let mut case = one();
    case.live[0].set_at(&["metadata", "deletionTimestamp"], json!("2026-01-01T00:00:00Z"));
    case.live[0].set_at(&["metadata", "finalizers"], json!(["example.com/wait"]));
    assert_eq!(case.plan(), "keep ConfigMap qa/a: it is being deleted, held by example.com/wait");
}

#[test]
fn a_kind_that_can_not_be_read_is_skipped_and_one_that_is_gone_is_done() {
    let case = one();
    assert_eq!(
        case.plan_seen(&LiveView::default().without_kind("", "ConfigMap")),
        "keep ConfigMap qa/a: its kind can't be read now"
    );
    assert_eq!(case.plan_seen(&LiveView::default()), "");
}
