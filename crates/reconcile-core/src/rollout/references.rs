//! What a Rollout refers to by name and can't do without: Services that fit it, templates of its analyses. Argo's words.

use api::Problem;
use api::argo::{AnalysisRef, CanaryStep, Rollout, Strategy};
use api::names;
use object_model::Object;
use serde_json::Value;

use crate::{Key, View, kinds};

/// How deep templates may name further templates.
const DEPTH_MAX: usize = 16;

/// The Services that the strategy names, by the field that does.
fn named_services(spec: &Rollout) -> Vec<(&'static str, Option<&String>)> {
    match &spec.strategy {
        Strategy::BlueGreen(strategy) => vec![
            ("blueGreen.activeService", Some(&strategy.active_service)),
            ("blueGreen.previewService", strategy.preview_service.as_ref()),
        ],
        Strategy::Canary(canary) => {
            let pair = canary.ping_pong.as_ref();
            vec![
                ("canary.stableService", canary.stable_service.as_ref()),
                ("canary.canaryService", canary.canary_service.as_ref()),
                ("canary.pingPong.pingService", pair.map(|pair| &pair.ping)),
                ("canary.pingPong.pongService", pair.map(|pair| &pair.pong)),
            ]
        }
        Strategy::Unusable => Vec::new(),
    }
}

/// The names of all Services that the strategy names.
pub(super) fn service_names(spec: &Rollout) -> Vec<Option<&String>> {
    named_services(spec).into_iter().map(|(_, name)| name).collect()
}

/// What is wrong with the Services that the strategy names.
pub(super) fn services(view: &dyn View, key: &Key, spec: &Rollout) -> Vec<Problem> {
    let named = named_services(spec);
    let named = named.into_iter().filter_map(|(field, name)| Some((field, name.filter(|name| !name.is_empty())?)));
    let mut problems = Vec::new();
    for (field, name) in named {
        let at = format!("spec.strategy.{field}");
        match view.get(&kinds::service(), &key.namespace, name) {
            Some(service) => problems.extend(unfit(&at, &service, spec, &key.name)),
            None => problems.push(Problem::new(&at, format!("Invalid value: {name:?}: service {name:?} not found"))),
        }
    }
    problems
}

/// Why a Service can't lead to the Rollout's pods, or does so for another Rollout.
fn unfit(at: &str, service: &Object, spec: &Rollout, rollout: &str) -> Vec<Problem> {
    let name = service.name();
    let mut problems = Vec::new();
    let selector = service.pointer("/spec/selector").and_then(Value::as_object);
    for (label, value) in selector.into_iter().flatten().filter(|(label, _)| *label != names::POD_TEMPLATE_HASH) {
        let labels = spec.template.pointer("/metadata/labels");
        if labels.and_then(|labels| labels.get(label)) != Some(value) {
            let message = format!("Service {name:?} has unmatch label {label:?} in rollout");
            problems.push(Problem::new(at, format!("Invalid value: {name:?}: {message}")));
        }
    }
    let owner = service.annotation(names::MANAGED_BY_ROLLOUTS).filter(|owner| !owner.is_empty());
    if owner.is_some_and(|owner| owner != rollout) {
        let message = format!("Service {name:?} is managed by another Rollout");
        problems.push(Problem::new(at, format!("Invalid value: {name:?}: {message}")));
    }
    problems
}

/// Whether an analysis has to end by itself: one in the background ends with the update.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ends {
    ByItself,
    WithTheUpdate,
}

/// The templates of analyses that are not there, or would never end.
pub(super) fn templates(view: &dyn View, key: &Key, strategy: &Strategy) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut ask = |at: String, analysis: Option<&AnalysisRef>, ends: Ends| {
        let at = format!("spec.strategy.{at}.templates");
        for (name, is_cluster_wide) in analysis.into_iter().flat_map(|analysis| &analysis.templates) {
            let look = Look { view, key, at: &at, ends };
            problems.extend(look.problem(&at, name, *is_cluster_wide, 0));
        }
    };
    match strategy {
        Strategy::Canary(canary) => {
            for (index, step) in canary.steps.iter().enumerate() {
                if let CanaryStep::Analysis(analysis) = step {
                    ask(format!("canary.steps[{index}].analysis"), Some(analysis), Ends::ByItself);
                }
            }
            ask("canary.analysis".to_owned(), canary.analysis.as_ref(), Ends::WithTheUpdate);
        }
        Strategy::BlueGreen(strategy) => {
            ask("blueGreen.prePromotionAnalysis".to_owned(), strategy.pre_promotion.as_ref(), Ends::ByItself);
            ask("blueGreen.postPromotionAnalysis".to_owned(), strategy.post_promotion.as_ref(), Ends::ByItself);
        }
        Strategy::Unusable => {}
    }
    problems
}

/// A look at the templates of one analysis.
struct Look<'a> {
    view: &'a dyn View,
    key: &'a Key,
    /// Where the analysis is.
    at: &'a str,
    ends: Ends,
}

impl Look<'_> {
    /// What is wrong with a template that is named at `named_at`, or with the first one below it. A circle of templates is
    /// the analysis' own problem.
    fn problem(&self, named_at: &str, name: &str, is_cluster_wide: bool, depth: usize) -> Option<Problem> {
        if depth > DEPTH_MAX {
            return None;
        }
        let (kind, found) = match is_cluster_wide {
            true => ("ClusterAnalysisTemplate", self.view.get(&kinds::cluster_analysis_template(), "", name)),
            false => ("AnalysisTemplate", self.view.get(&kinds::analysis_template(), &self.key.namespace, name)),
        };
        let Some(found) = found else {
            return Some(Problem::new(named_at, format!("Invalid value: {name:?}: {kind} '{name}' not found")));
        };
        let nested = found.list_at("/spec/templates").iter().find_map(|nested| {
            let name = nested.get("templateName").and_then(Value::as_str)?;
            let is_cluster_wide = nested.get("clusterScope").and_then(Value::as_bool).unwrap_or(false);
            self.problem("spec.templates", name, is_cluster_wide, depth + 1)
        });
        nested.or_else(|| self.endless(&found))
    }

    /// A metric with an interval and no count goes on for ever.
    fn endless(&self, template: &Object) -> Option<Problem> {
        let is_endless = |metric: &&Value| {
            let counts = |count: &Value| count.as_i64() != Some(0) && count.as_str() != Some("0");
            let has_count = metric.get("count").is_some_and(|count| !count.is_null() && counts(count));
            let interval = metric.get("interval").and_then(Value::as_str).unwrap_or_default();
            !has_count && !interval.is_empty()
        };
        let metric =
            template.list_at("/spec/metrics").iter().find(is_endless).filter(|_| self.ends == Ends::ByItself)?;
        let metric = metric.get("name").and_then(Value::as_str).unwrap_or_default();
        let name = template.name();
        let why = format!("has metric {metric} which runs indefinitely. Invalid value for count: <nil>");
        Some(Problem::new(self.at, format!("Invalid value: {name:?}: AnalysisTemplate {name} {why}")))
    }
}
