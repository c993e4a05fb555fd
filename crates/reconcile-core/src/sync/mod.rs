//! The sync domain: what a path of a branch says is what runs (DESIGN §6).

mod apply;
mod check;
mod check_holds;
mod decide;
mod deletion;
mod deletion_hooks;
mod desired;
mod gates;
mod handover;
mod health;
mod hooks;
mod ignore;
mod inventory;
mod operation;
mod options;
mod prune;
mod recording;
mod recreate;
mod request;
mod rerender;
mod rollback;
mod snapshot;
mod staged;
mod status;
mod transaction;
mod windows;

use object_model::Object;

pub use handover::Handover;
pub use hooks::HookTemplate;
pub use operation::{HookRecord, HookResult, Operation, Phase};
pub use snapshot::{Snapshot, Source, head_slot, moved_render};
pub use windows::Window;

use crate::{Domain, Key, Kind, Plan, View, Violation, kinds};

/// Applies GitOpsConfigs.
#[derive(Debug, Clone)]
pub struct SyncDomain {
    /// Group under which GitOpsConfig is served: `sluice.dev`, or the one that the installation chose.
    pub group: String,
}

impl Default for SyncDomain {
    fn default() -> Self {
        Self { group: api::names::GROUP.to_owned() }
    }
}

impl Domain for SyncDomain {
    type Snapshot = Snapshot;

    const NAME: &'static str = "sync";

    fn observe(&self, view: &dyn View, key: &Key) -> Option<Snapshot> {
        Snapshot::observe(view, &kinds::gitops_config(&self.group), key)
    }

    fn decide(&self, snapshot: &Snapshot) -> Plan {
        let mut plan = decide::decide(snapshot);
        rerender::mask(snapshot, &mut plan);
        plan.hush();
        plan
    }

    fn check(&self, snapshot: &Snapshot, plan: &Plan) -> Vec<Violation> {
        check::check(snapshot, plan)
    }

    fn watches(&self) -> Vec<Kind> {
        vec![
            kinds::gitops_config(&self.group),
            kinds::inventory(),
            kinds::promotion(),
            kinds::horizontal_pod_autoscaler(),
            kinds::environment(),
        ]
    }

    fn keys_for(&self, view: &dyn View, object: &Object) -> Vec<Key> {
        if object.kind() == "GitOpsConfig" && object.group() == self.group {
            return vec![Key::of(object)];
        }
        if object.kind() == "Inventory" && object.group() == api::names::GROUP {
            let owner = object.controller();
            return owner
                .map(|owner| Key::new(object.namespace().unwrap_or_default(), &owner.name))
                .into_iter()
                .collect();
        }
        if object.kind() == "Promotion" && object.group() == api::names::GROUP {
            let config = object.str_at("/spec/config").filter(|name| !name.is_empty());
            return config.map(|name| Key::new(object.namespace().unwrap_or_default(), name)).into_iter().collect();
        }
        if object.kind() == "HorizontalPodAutoscaler" {
            let configs = view.list(&kinds::gitops_config(&self.group), "");
            return configs.iter().map(|config| Key::of(config)).collect();
        }
        let owner = diff_engine::Owner::of(object);
        let key =
            owner.and_then(|owner| owner.config.split_once('/').map(|(namespace, name)| Key::new(namespace, name)));
        key.into_iter().collect()
    }
}
