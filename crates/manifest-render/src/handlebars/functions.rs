//! What templates can call. None of it reads anything but its arguments.

use std::sync::{Arc, OnceLock};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use handlebars::{
    Context, Handlebars, Helper, HelperDef, Output, RenderContext, RenderError, RenderErrorReason, ScopedJson,
};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::budget::{Budget, Exhausted};

use super::vet::STEP_HELPER;

/// Spaces that one call may indent by.
const INDENT_MAX: usize = 200;

/// Adds all helpers to an engine.
pub(super) fn register<'a>(engine: &mut Handlebars<'a>, budget: &'a Budget, spent: &Arc<OnceLock<Exhausted>>) {
    for (name, apply) in FUNCTIONS {
        let function = Function { apply: *apply, budget, spent: Arc::clone(spent) };
        engine.register_helper(name, Box::new(function));
    }
    engine.register_helper(STEP_HELPER, Box::new(Step { budget, spent: Arc::clone(spent) }));
}

/// The arguments of a call; none stands for a value that is missing.
struct Arguments<'h, 'rc>(&'h Helper<'rc>);

type Apply = fn(&Arguments<'_, '_>) -> Result<Value, String>;

/// All helpers by name; the engine's own are `if`, `unless`, `each`, `with`, `lookup`, `raw`, `eq`, `ne`, `gt`, `gte`,
/// `lt`, `lte`, `and`, `or`, `not` and `len`.
const FUNCTIONS: &[(&str, Apply)] = &[
    ("yaml", to_yaml),
    ("toYaml", to_yaml),
    ("json", to_json),
    ("toJson", to_json),
    ("indent", indent),
    ("nindent", nindent),
    ("base64", |call| Ok(STANDARD.encode(call.text(0)?).into())),
    ("base64decode", decode),
    ("sha256", sha256),
    ("quote", |call| Ok(Value::String(call.text(0)?).to_string().into())),
    ("squote", |call| Ok(format!("'{}'", call.text(0)?.replace('\'', "''")).into())),
    ("default", default),
    ("required", required),
    ("ternary", |call| call.value(if is_truthy(call.value(0)?) { 1 } else { 2 }).cloned()),
    ("lower", |call| Ok(call.text(0)?.to_lowercase().into())),
    ("upper", |call| Ok(call.text(0)?.to_uppercase().into())),
    ("trim", |call| Ok(call.text(0)?.trim().into())),
    ("replace", replace),
    ("join", join),
    ("concat", |call| (0..call.count()).map(|at| call.text(at)).collect::<Result<String, _>>().map(Value::String)),
];

impl Arguments<'_, '_> {
    fn count(&self) -> usize {
        self.0.params().len()
    }

    fn given(&self, at: usize) -> Option<&Value> {
        self.0.param(at).filter(|param| !param.is_value_missing()).map(handlebars::PathAndJson::value)
    }

    fn value(&self, at: usize) -> Result<&Value, String> {
        self.given(at).ok_or_else(|| match self.0.param(at).and_then(|param| param.relative_path()) {
            Some(path) => format!("`{}` is given `{path}`, which has no value", self.0.name()),
            None => format!("`{}` needs an argument {}", self.0.name(), at + 1),
        })
    }

    /// The text of a scalar.
    fn text(&self, at: usize) -> Result<String, String> {
        match self.value(at)? {
            Value::String(text) => Ok(text.clone()),
            Value::Bool(bool) => Ok(bool.to_string()),
            Value::Number(number) => Ok(number.to_string()),
            Value::Null => Ok(String::new()),
            Value::Array(_) | Value::Object(_) => {
                Err(format!("argument {} of `{}` is a list or a mapping, not a string", at + 1, self.0.name()))
            }
        }
    }

    fn spaces(&self, value: Option<&Value>) -> Result<usize, String> {
        let spaces = value.and_then(Value::as_u64).and_then(|number| usize::try_from(number).ok());
        spaces
            .filter(|spaces| *spaces <= INDENT_MAX)
            .ok_or_else(|| format!("`{}` needs a number of spaces up to {INDENT_MAX}", self.0.name()))
    }
}

/// `{{yaml labels indent=4}}`: lines after the first are indented, for the first stands where the tag stands.
fn to_yaml(call: &Arguments<'_, '_>) -> Result<Value, String> {
    let text = yaml::to_yaml(call.value(0)?);
    let text = text.strip_suffix('\n').unwrap_or(&text);
    match call.0.hash_get("indent") {
        Some(spaces) => {
            let spaces = call.spaces(Some(spaces.value()))?;
            Ok(indented(text, spaces).trim_start_matches(' ').into())
        }
        None => Ok(text.into()),
    }
}

fn to_json(call: &Arguments<'_, '_>) -> Result<Value, String> {
    Ok(call.value(0)?.to_string().into())
}

fn indent(call: &Arguments<'_, '_>) -> Result<Value, String> {
    Ok(indented(&call.text(1)?, call.spaces(call.given(0))?).into())
}

fn nindent(call: &Arguments<'_, '_>) -> Result<Value, String> {
    Ok(format!("\n{}", indented(&call.text(1)?, call.spaces(call.given(0))?)).into())
}

fn indented(text: &str, spaces: usize) -> String {
    let lines: Vec<String> = text.split('\n').map(|line| format!("{:spaces$}{line}", "")).collect();
    lines.join("\n")
}

fn decode(call: &Arguments<'_, '_>) -> Result<Value, String> {
    let bytes =
        STANDARD.decode(call.text(0)?).map_err(|_| "the argument of `base64decode` is not base64".to_owned())?;
    let text = String::from_utf8(bytes).map_err(|_| "`base64decode` gives bytes that are not text".to_owned())?;
    Ok(text.into())
}

fn sha256(call: &Arguments<'_, '_>) -> Result<Value, String> {
    let digest = Sha256::digest(call.text(0)?.as_bytes());
    Ok(digest.iter().map(|byte| format!("{byte:02x}")).collect::<String>().into())
}

/// The first argument that is neither missing nor empty; the last one when all are.
fn default(call: &Arguments<'_, '_>) -> Result<Value, String> {
    let found = (0..call.count()).filter_map(|at| call.given(at)).find(|value| is_truthy(value));
    let last = call.count().checked_sub(1).and_then(|at| call.given(at));
    Ok(found.or(last).cloned().unwrap_or_default())
}

/// `{{required image.tag "say which image"}}`
fn required(call: &Arguments<'_, '_>) -> Result<Value, String> {
    match call.given(0).filter(|value| !value.is_null() && value.as_str() != Some("")) {
        Some(value) => Ok(value.clone()),
        None => Err(call.text(1).unwrap_or_else(|_| "a required value is missing".to_owned())),
    }
}

fn replace(call: &Arguments<'_, '_>) -> Result<Value, String> {
    let (text, old, new) = (call.text(0)?, call.text(1)?, call.text(2)?);
    if old.is_empty() {
        return Err("`replace` needs a text to look for".to_owned());
    }
    Ok(text.replace(&old, &new).into())
}

fn join(call: &Arguments<'_, '_>) -> Result<Value, String> {
    let Value::Array(items) = call.value(0)? else { return Err("`join` needs a list".to_owned()) };
    let separator = if call.count() > 1 { call.text(1)? } else { ",".to_owned() };
    let texts: Vec<String> =
        items.iter().map(|item| item.as_str().map_or_else(|| item.to_string(), str::to_owned)).collect();
    Ok(texts.join(&separator).into())
}

fn is_truthy(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => false,
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(fields) => !fields.is_empty(),
        Value::Bool(true) | Value::Number(_) => true,
    }
}

/// One helper, with what its results cost.
struct Function<'a> {
    apply: Apply,
    budget: &'a Budget,
    spent: Arc<OnceLock<Exhausted>>,
}

impl HelperDef for Function<'_> {
    fn call_inner<'reg: 'rc, 'rc>(
        &self,
        call: &Helper<'rc>,
        _: &'reg Handlebars<'reg>,
        _: &'rc Context,
        _: &mut RenderContext<'reg, 'rc>,
    ) -> Result<ScopedJson<'rc>, RenderError> {
        let value = (self.apply)(&Arguments(call)).map_err(RenderErrorReason::Other)?;
        let bytes = value.as_str().map_or(16, str::len);
        let charged = self.budget.step(1).and_then(|()| self.budget.output(bytes));
        charged.map_err(|what| stop(what, &self.spent))?;
        Ok(ScopedJson::Derived(value))
    }
}

/// Counts a step at the start of each body.
struct Step<'a> {
    budget: &'a Budget,
    spent: Arc<OnceLock<Exhausted>>,
}

impl HelperDef for Step<'_> {
    fn call<'reg: 'rc, 'rc>(
        &self,
        _: &Helper<'rc>,
        _: &'reg Handlebars<'reg>,
        _: &'rc Context,
        _: &mut RenderContext<'reg, 'rc>,
        _: &mut dyn Output,
    ) -> Result<(), RenderError> {
        self.budget.step(STEPS_PER_BODY).map_err(|what| stop(what, &self.spent))
    }
}

/// What one body costs: some microseconds, where a step is meant to be far below one.
const STEPS_PER_BODY: u64 = 16;

fn stop(what: Exhausted, spent: &OnceLock<Exhausted>) -> RenderError {
    let what = *spent.get_or_init(|| what);
    RenderErrorReason::Other(what.to_string()).into()
}
