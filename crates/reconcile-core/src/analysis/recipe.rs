//! What an AnalysisRun is made of: the templates it names, those nested in them, and what its maker adds.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use object_model::Object;
use serde_json::{Map, Value};

use crate::{View, kinds};

/// Templates by (name, whether cluster-scoped).
pub(crate) type Recipes = BTreeMap<(String, bool), Arc<Object>>;

/// The most templates that are read for one object: more would be a chain that nobody wrote on purpose.
const TEMPLATES_MAX: usize = 100;

/// Reads the templates named and those nested in them; the ones that are not there are left out.
pub(crate) fn read(view: &dyn View, namespace: &str, mut wanted: Vec<(String, bool)>) -> Recipes {
    let mut found = BTreeMap::new();
    // Templates may name further templates; the visited set ends cycles.
    while let Some(name) = wanted.pop() {
        if found.contains_key(&name) || found.len() > TEMPLATES_MAX {
            continue;
        }
        let object = match name.1 {
            true => view.get(&kinds::cluster_analysis_template(), "", &name.0),
            false => view.get(&kinds::analysis_template(), namespace, &name.0),
        };
        let Some(object) = object else { continue };
        wanted.extend(nested(&object));
        found.insert(name, object);
    }
    found
}

fn nested(template: &Object) -> Vec<(String, bool)> {
    let references = ::analysis::TemplateRef::parse_list(template.pointer("/spec/templates"));
    references.into_iter().map(|reference| (reference.name, reference.cluster_scope)).collect()
}

/// What a run is asked to be.
#[derive(Debug, Clone, Default)]
pub(crate) struct Order {
    /// The templates, by name and whether cluster-scoped.
    pub(crate) templates: Vec<(String, bool)>,
    /// Arguments with their values put in.
    pub(crate) args: Vec<Value>,
    /// `dryRun` rules.
    pub(crate) dry_run: Vec<Value>,
    /// `measurementRetention` rules.
    pub(crate) measurement_retention: Vec<Value>,
}

/// The spec of the run, or why there can be none.
pub(crate) fn spec(recipes: &Recipes, order: &Order) -> Result<Value, String> {
    let templates = ::analysis::Templates::new(recipes.values().map(|template| &**template));
    let references: Vec<_> = order
        .templates
        .iter()
        .map(|(name, cluster)| ::analysis::TemplateRef { name: name.clone(), cluster_scope: *cluster })
        .collect();
    let mut problems = Vec::new();
    let given = Value::Array(order.args.clone());
    let arguments = ::analysis::Argument::parse_list(Some(&given), "args", &mut problems);
    if let Some(problem) = problems.first() {
        return Err(format!("{}: {}", problem.field, problem.message));
    }
    let request = ::analysis::RunRequest {
        arguments,
        dry_run: order.dry_run.clone(),
        measurement_retention: order.measurement_retention.clone(),
    };
    templates.run_spec(&references, &request).map_err(|error| error.to_string())
}

/// The comparisons that the templates ask for, those of nested ones among them, as one list.
pub(crate) fn comparisons(recipes: &Recipes, mut wanted: Vec<(String, bool)>) -> Option<String> {
    let mut seen = BTreeSet::new();
    let mut all: Vec<Value> = Vec::new();
    while let Some(name) = wanted.pop() {
        let Some(template) = recipes.get(&name) else { continue };
        if !seen.insert(name) {
            continue;
        }
        if let Some(text) = template.annotation(::analysis::COMPARE_ANNOTATION) {
            match serde_json::from_str(text) {
                Ok(Value::Array(items)) => all.extend(items),
                // The run tells what is wrong with it.
                _ => return Some(text.to_owned()),
            }
        }
        wanted.extend(nested(template));
    }
    (!all.is_empty()).then(|| Value::Array(all).to_string())
}

/// Puts the labels and annotations on a run that its maker's `analysisRunMetadata` asks for.
pub(crate) fn set_metadata(run: &mut Object, metadata: &Value) {
    let texts = |key: &str| -> Vec<(String, String)> {
        let map: Option<&Map<String, Value>> = metadata.get(key).and_then(Value::as_object);
        let pairs = map.into_iter().flatten();
        pairs.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))).collect()
    };
    for (key, value) in texts("labels") {
        run.set_label(&key, &value);
    }
    for (key, value) in texts("annotations") {
        run.set_annotation(&key, &value);
    }
}
