//! What an experiment decision reads.

use std::collections::BTreeMap;
use std::sync::Arc;

use api::argo::{Experiment, ExperimentStatus, ExperimentTemplate};
use api::names;
use object_model::{Object, Timestamp, Uid};
use serde_json::Value;

use crate::analysis::recipe::{self, Recipes};
use crate::rollout::ReplicaSetView;
use crate::{Key, ObjectRef, Refusal, View, kinds};

/// The objects of one template.
#[derive(Debug, Clone, Default)]
pub struct TemplateView {
    /// Its ReplicaSet.
    pub set: Option<ReplicaSetView>,
    /// What stands where its ReplicaSet should, when that is not of this experiment.
    pub set_in_the_way: Option<Arc<Object>>,
    /// Its Service.
    pub service: Option<Arc<Object>>,
    /// What stands where its Service should, when that is not of this experiment.
    pub service_in_the_way: Option<Arc<Object>>,
    /// Why the server would not take its ReplicaSet.
    pub set_refusal: Option<Refusal>,
    /// Why the server would not take its Service.
    pub service_refusal: Option<Refusal>,
}

/// Everything that an experiment decision reads.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// The present moment.
    pub now: Timestamp,
    /// The Experiment as seen.
    pub experiment: Arc<Object>,
    /// Its uid.
    pub uid: Uid,
    /// Its spec.
    pub spec: Experiment,
    /// What makes the spec unusable.
    pub problem: Option<String>,
    /// Its status.
    pub status: ExperimentStatus,
    /// The objects of its templates, by the template's name.
    pub templates: BTreeMap<String, TemplateView>,
    /// Its AnalysisRuns by name.
    pub runs: BTreeMap<String, Arc<Object>>,
    /// The Rollout whose step it is.
    pub rollout: Option<Arc<Object>>,
    /// The AnalysisTemplates that it names, and those nested in them.
    pub(crate) recipes: Recipes,
}

impl Snapshot {
    pub(super) fn observe(view: &dyn View, experiment: Arc<Object>) -> Option<Self> {
        let uid = experiment.uid()?;
        let (spec, problem) = Experiment::parse(&experiment);
        let namespace = experiment.namespace().unwrap_or_default().to_owned();
        let named = spec.analyses.iter().map(|analysis| (analysis.template.clone(), analysis.cluster_scope));
        let owner = experiment.controller().filter(|owner| owner.kind == "Rollout");
        let rollout = owner.as_ref().and_then(|owner| {
            let found = view.get(&kinds::rollout(), &namespace, &owner.name);
            found.filter(|rollout| rollout.uid().as_ref() == Some(&owner.uid))
        });
        let runs = view.owned(&kinds::analysis_run(), &uid).into_iter();
        let mut snapshot = Self {
            now: view.now(),
            status: ExperimentStatus::parse(&experiment),
            recipes: recipe::read(view, &namespace, named.collect()),
            runs: runs.map(|run| (run.name().to_owned(), run)).collect(),
            templates: BTreeMap::new(),
            rollout,
            experiment,
            uid,
            spec,
            problem,
        };
        snapshot.observe_templates(view, &namespace);
        Some(snapshot)
    }

    fn observe_templates(&mut self, view: &dyn View, namespace: &str) {
        let mut found: BTreeMap<String, TemplateView> = BTreeMap::new();
        for set in view.owned(&kinds::replica_set(), &self.uid).into_iter().filter(|set| !set.is_deleting()) {
            let Some(template) = self.template_of(&set) else { continue };
            found.entry(template).or_default().set = ReplicaSetView::of(set);
        }
        for service in view.owned(&kinds::service(), &self.uid).into_iter().filter(|it| !it.is_deleting()) {
            let Some(template) = self.template_of(&service) else { continue };
            found.entry(template).or_default().service = Some(service);
        }
        for template in &self.spec.templates {
            let objects = found.entry(template.name.clone()).or_default();
            let (set, service) = (self.set_name(template), self.service_name(template));
            if objects.set.is_none() {
                objects.set_in_the_way = view.get(&kinds::replica_set(), namespace, &set);
            }
            if objects.service.is_none() && template.service.is_some() {
                objects.service_in_the_way = view.get(&kinds::service(), namespace, &service);
            }
            let target =
                |kind, name: &str| ObjectRef { kind, namespace: Some(namespace.to_owned()), name: name.to_owned() };
            objects.set_refusal = view.refusal(&self.uid, &target(kinds::replica_set(), &set));
            objects.service_refusal = view.refusal(&self.uid, &target(kinds::service(), &service));
        }
        self.templates = found;
    }

    /// The template that an object of this experiment was made for.
    fn template_of(&self, object: &Object) -> Option<String> {
        if object.annotation(names::EXPERIMENT_NAME) != Some(self.experiment.name()) {
            return None;
        }
        let name = object.annotation(names::EXPERIMENT_TEMPLATE)?;
        self.spec.templates.iter().any(|template| template.name == name).then(|| name.to_owned())
    }

    /// The name of a template's ReplicaSet; another one where the first ones are somebody else's. Argo counts, but tries the
    /// same name again.
    pub fn set_name(&self, template: &ExperimentTemplate) -> String {
        match self.collisions(template) {
            Some(count) => format!("{}-{count}", self.name_of(template)),
            None => self.name_of(template),
        }
    }

    /// How many names for a template's ReplicaSet were somebody else's.
    pub fn collisions(&self, template: &ExperimentTemplate) -> Option<u32> {
        self.status.template(&template.name)?.collision_count
    }

    fn name_of(&self, template: &ExperimentTemplate) -> String {
        format!("{}-{}", self.experiment.name(), template.name)
    }

    /// The name of a template's Service.
    pub fn service_name(&self, template: &ExperimentTemplate) -> String {
        template.service.clone().flatten().unwrap_or_else(|| self.name_of(template))
    }

    /// The experiment's namespace.
    pub fn namespace(&self) -> &str {
        self.experiment.namespace().unwrap_or_default()
    }

    /// Its key.
    pub fn key(&self) -> Key {
        Key::of(&self.experiment)
    }

    /// The end of its duration, once all templates were available.
    pub fn ends_at(&self) -> Option<Timestamp> {
        crate::time::after(self.status.available_at?, self.spec.duration?)
    }

    /// Whether it ran as long as it should.
    pub fn has_run_long_enough(&self) -> bool {
        self.ends_at().is_some_and(|end| end <= self.now)
    }

    /// Whether its Rollout says that this Service still gets a share of the traffic.
    pub fn has_traffic(&self, service: &str) -> bool {
        let listed = self.rollout.as_ref().map(|rollout| rollout.list_at("/status/canary/weights/additional"));
        let weighs = |item: &Value| {
            let text = item.get("serviceName").and_then(Value::as_str);
            text == Some(service) && item.get("weight").and_then(Value::as_i64).unwrap_or(0) > 0
        };
        !service.is_empty() && listed.is_some_and(|items| items.iter().any(weighs))
    }
}
