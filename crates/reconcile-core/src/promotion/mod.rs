//! The promotion domain: one Promotion, one commit, exactly once (DESIGN §4.5, research on write-back).

mod check;
mod decide;
mod message;
mod snapshot;
mod status;

use object_model::Object;

pub use snapshot::{Snapshot, Target};

use crate::{Domain, Key, Kind, Plan, View, Violation, kinds};

/// Carries Promotions out.
#[derive(Debug, Clone)]
pub struct PromotionDomain {
    /// Group under which GitOpsConfig is served.
    pub group: String,
    /// Name and e-mail address that commits carry as committer and, when nobody asked, as author.
    pub bot: crate::Identity,
}

impl Default for PromotionDomain {
    fn default() -> Self {
        let bot = crate::Identity { name: "Sluice".to_owned(), email: "sluice@localhost".to_owned() };
        Self { group: api::names::GROUP.to_owned(), bot }
    }
}

impl Domain for PromotionDomain {
    type Snapshot = Snapshot;

    const NAME: &'static str = "promotion";

    fn observe(&self, view: &dyn View, key: &Key) -> Option<Snapshot> {
        Snapshot::observe(view, self, key)
    }

    fn decide(&self, snapshot: &Snapshot) -> Plan {
        let mut plan = decide::decide(snapshot);
        plan.hush();
        plan
    }

    fn check(&self, snapshot: &Snapshot, plan: &Plan) -> Vec<Violation> {
        check::check(snapshot, plan)
    }

    fn watches(&self) -> Vec<Kind> {
        vec![
            kinds::promotion(),
            kinds::pipeline(),
            kinds::environment(),
            kinds::gitops_config(&self.group),
            kinds::rollout(),
        ]
    }

    fn keys_for(&self, view: &dyn View, object: &Object) -> Vec<Key> {
        if object.kind() == "Promotion" && object.group() == api::names::GROUP {
            return vec![Key::of(object)];
        }
        // Anything else that is watched may open a gate or finish a promotion that is not over.
        let all = view.list(&kinds::promotion(), "");
        all.iter().filter(|promotion| !status::is_over(promotion)).map(|promotion| Key::of(promotion)).collect()
    }
}
