//! Judges the health of objects by the rules of a config: scripts in Lua as Argo CD has them, expressions in CEL as Flux
//! has them, and where neither says anything the rules of Argo CD or kstatus for the kinds that they know.
//!
//! [`HealthRules`] is read once from a config; [`HealthRules::judge_all`] judges objects at one moment. Scripts run in an
//! interpreter without files, network, clock and randomness, with limits to steps and memory, so that the same objects at
//! the same moment have the same health everywhere.
//!
//! It reads no cluster: the ConfigMap with scripts comes in as an object. It knows no actions and no discovery scripts.
//!
//! ```
//! use diff_engine::HealthStatus;
//! use health_rules::{HealthRules, Scripts};
//! use object_model::Object;
//!
//! let mut scripts = Scripts::default();
//! scripts.add("example.com", "Queue", "return {status = 'Degraded', message = obj.status.why}");
//! let rules = HealthRules::from(scripts);
//! let queue = Object::parse(serde_json::json!({
//!     "apiVersion": "example.com/v1", "kind": "Queue", "metadata": {"name": "jobs"}, "status": {"why": "no broker"},
//! })).unwrap();
//! let healths = rules.judge_all([&queue], "2026-11-22T07:15:00Z".parse().unwrap());
//! let health = healths[0].as_ref().unwrap();
//! assert_eq!((health.status, health.message.as_str()), (HealthStatus::Degraded, "no broker"));
//! ```

mod expressions;
mod lua;
mod scripts;

use api::{HealthProfile, HealthSettings, Problem};
use diff_engine::{Health, HealthStatus};
use object_model::{Object, Timestamp};

use expressions::Expressions;
use lua::Machine;
pub use scripts::Scripts;

/// By whose rules objects are judged.
#[derive(Debug, Default)]
pub struct HealthRules {
    /// What counts where no rule is about a kind.
    pub profile: HealthProfile,
    /// Scripts in Lua; they come first, as in Argo CD.
    pub scripts: Scripts,
    /// Why rules are missing that the config names: then nothing can be judged.
    pub missing: Option<String>,
    expressions: Vec<Expressions>,
}

impl From<Scripts> for HealthRules {
    fn from(scripts: Scripts) -> Self {
        Self { scripts, ..Self::default() }
    }
}

impl HealthRules {
    /// Reads the rules of a config's spec, and tells what is wrong with them.
    pub fn of(settings: &HealthSettings) -> (Self, Vec<Problem>) {
        let mut problems = Vec::new();
        let mut expressions = Vec::new();
        for rule in &settings.expressions {
            match Expressions::compile(rule) {
                Ok(rule) => expressions.push(rule),
                Err(wrong) => problems.extend(wrong),
            }
        }
        let scripts = Scripts::of_spec(&settings.scripts);
        (Self { profile: settings.profile, scripts, missing: None, expressions }, problems)
    }

    /// Judges objects at a moment, one answer for each; `None` for those that have no health.
    pub fn judge_all<'a>(&self, objects: impl IntoIterator<Item = &'a Object>, now: Timestamp) -> Vec<Option<Health>> {
        let mut machine = None;
        objects.into_iter().map(|object| self.judge(object, now, &mut machine)).collect()
    }

    /// What the scripts alone say, also of objects that are being deleted; `None` where they say nothing.
    pub fn judge_by_scripts<'a>(
        &self,
        objects: impl IntoIterator<Item = &'a Object>,
        now: Timestamp,
    ) -> Vec<Option<Health>> {
        let mut machine = None;
        let judge = |object| by_script(self.scripts.of(object)?, object, now, &mut machine);
        objects.into_iter().map(judge).collect()
    }

    fn judge(&self, object: &Object, now: Timestamp, machine: &mut Option<Result<Machine, String>>) -> Option<Health> {
        if let Some(why) = &self.missing {
            return Some(Health::new(HealthStatus::Unknown, why.clone()));
        }
        let script = self.scripts.of(object);
        let rule = self.expressions.iter().find(|rule| rule.covers(object));
        if object.is_deleting() && (script.is_some() || rule.is_some()) {
            return Some(Health::new(HealthStatus::Progressing, "Pending deletion"));
        }
        if let Some(script) = script {
            return by_script(script, object, now, machine);
        }
        if let Some(rule) = rule {
            return Some(rule.judge(object));
        }
        match self.profile {
            HealthProfile::Argo => diff_engine::assess(object),
            HealthProfile::Kstatus => Some(diff_engine::assess_as_kstatus(object, now)),
        }
    }
}

fn by_script(
    script: &str,
    object: &Object,
    now: Timestamp,
    machine: &mut Option<Result<Machine, String>>,
) -> Option<Health> {
    // Setting up an interpreter takes longer than most scripts, so there is one for all and none for nothing.
    let outcome = match machine.get_or_insert_with(|| Machine::new(now)) {
        Ok(machine) => machine.judge(script, object),
        Err(why) => Err(why.clone()),
    };
    outcome.unwrap_or_else(|why| Some(Health::new(HealthStatus::Unknown, why)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn judged(rules: &HealthRules, object: serde_json::Value) -> String {
        let object = Object::parse(object).unwrap();
        let mut healths = rules.judge_all([&object], "2026-11-22T07:15:00Z".parse().unwrap());
        healths.remove(0).map_or_else(|| "none".to_owned(), |health| format!("{}: {}", health.status, health.message))
    }

    #[test]
    fn a_script_comes_before_an_expression_and_that_before_the_profile() {
        let expression = api::HealthExpressions {
            field: "e".to_owned(),
            api_version: "v1".to_owned(),
            kind: "ConfigMap".to_owned(),
            current: "data.ready == 'yes'".to_owned(),
            ..api::HealthExpressions::default()
        };
        let settings = HealthSettings { expressions: vec![expression], ..HealthSettings::default() };
        let (mut rules, problems) = HealthRules::of(&settings);
        assert_eq!(problems, []);
        let map = |ready: &str| json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"ready": ready}});
        assert_eq!(judged(&rules, map("yes")), "Healthy: ");
        assert_eq!(judged(&rules, map("no")), "Progressing: e.current does not hold yet");
        rules.scripts.add("", "ConfigMap", "return {status = 'Suspended', message = 'by script'}");
        assert_eq!(judged(&rules, map("yes")), "Suspended: by script");
        rules.scripts.add("", "ConfigMap", "return obj.spec.x.y");
        assert_eq!(judged(&rules, map("yes")), "Unknown: health.lua:1: attempt to index field 'spec' (a nil value)");
        let mut leaving = map("yes");
        leaving["metadata"]["deletionTimestamp"] = json!("2026-11-22T07:15:00Z");
        assert_eq!(judged(&rules, leaving), "Progressing: Pending deletion");
        let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "a"}});
        assert_eq!(judged(&rules, secret.clone()), "none");
        rules.profile = HealthProfile::Kstatus;
        assert_eq!(judged(&rules, secret.clone()), "Healthy: Resource is always ready");
        rules.missing = Some("ConfigMap qa/rules does not exist".to_owned());
        assert_eq!(judged(&rules, secret), "Unknown: ConfigMap qa/rules does not exist");
    }
}
