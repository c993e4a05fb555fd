//! Rules in CEL, as Flux's `healthCheckExprs` have them.

use std::sync::Arc;

use api::{HealthExpressions, Problem};
use diff_engine::{Health, HealthStatus};
use kube_cel::KubeCelExt as _;
use kube_cel::cel::objects::{Key, Map};
use kube_cel::cel::{Context, Program, Value as CelValue};
use object_model::Object;
use serde_json::Value;

/// The longest expression, in bytes.
const TEXT_MAX: usize = 4_096;
/// How deep brackets nest at most.
const DEPTH_MAX: usize = 40;
/// Most macros that go through a list: each may be inside the others.
const LOOPS_MAX: usize = 3;
/// How deep an object nests at most.
const OBJECT_DEPTH_MAX: usize = 100;
const LOOPS: [&str; 6] = [".all(", ".exists(", ".exists_one(", ".filter(", ".map(", ".existsOne("];

/// The compiled rule of a kind.
#[derive(Debug)]
pub(crate) struct Expressions {
    field: String,
    api_version: String,
    kind: String,
    /// In the order in which they are looked at: the name of the field, what it means when true, the program.
    programs: Vec<(&'static str, HealthStatus, Program)>,
}

impl Expressions {
    /// Compiles a rule.
    pub(crate) fn compile(rule: &HealthExpressions) -> Result<Self, Vec<Problem>> {
        let mut programs = Vec::new();
        let mut problems = Vec::new();
        let all = [
            ("inProgress", HealthStatus::Progressing, &rule.in_progress),
            ("failed", HealthStatus::Degraded, &rule.failed),
            ("current", HealthStatus::Healthy, &rule.current),
        ];
        for (name, status, text) in all.into_iter().filter(|(_, _, text)| !text.is_empty()) {
            match compile(text) {
                Ok(program) => programs.push((name, status, program)),
                Err(why) => problems.push(Problem::new(&format!("{}.{name}", rule.field), why)),
            }
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        let (field, api_version, kind) = (rule.field.clone(), rule.api_version.clone(), rule.kind.clone());
        Ok(Self { field, api_version, kind, programs })
    }

    /// Whether the rule is about this object. A group alone stands for all of its versions.
    pub(crate) fn covers(&self, object: &Object) -> bool {
        let is_version = self.api_version == object.api_version();
        let is_group =
            !self.api_version.contains('/') && !object.group().is_empty() && self.api_version == object.group();
        self.kind == object.kind() && (is_version || is_group)
    }

    /// Judges an object; what none of the expressions says is on the way.
    pub(crate) fn judge(&self, object: &Object) -> Health {
        let observed = object.int_at("/status/observedGeneration");
        if observed.is_some_and(|observed| observed != object.generation()) {
            return Health::new(HealthStatus::Progressing, "Waiting for the spec to be observed");
        }
        let mut context = Context::default().with_all();
        for (name, value) in object.json() {
            context.add_variable_from_value(name.as_str(), to_cel(value, 0));
        }
        for (name, status, program) in &self.programs {
            match program.execute(&context) {
                Ok(CelValue::Bool(true)) => {
                    let message = match status {
                        HealthStatus::Healthy => String::new(),
                        _ => format!("{}.{name} holds", self.field),
                    };
                    return Health::new(*status, message);
                }
                Ok(CelValue::Bool(false)) => {}
                Ok(other) => {
                    let kind = other.type_of();
                    let message = format!("{}.{name} is of type {kind}, not true or false", self.field);
                    return Health::new(HealthStatus::Unknown, message);
                }
                Err(error) => {
                    return Health::new(HealthStatus::Unknown, format!("{}.{name}: {error}", self.field));
                }
            }
        }
        Health::new(HealthStatus::Progressing, format!("{}.current does not hold yet", self.field))
    }
}

/// A value in CEL: whole numbers are of its type `int`, as the API server has them. What nests too deep is null.
fn to_cel(value: &Value, depth: usize) -> CelValue {
    match value {
        _ if depth > OBJECT_DEPTH_MAX => CelValue::Null,
        Value::Null => CelValue::Null,
        Value::Bool(flag) => CelValue::Bool(*flag),
        Value::Number(number) => match number.as_i64() {
            Some(number) => CelValue::Int(number),
            None => CelValue::Float(number.as_f64().unwrap_or(f64::NAN)),
        },
        Value::String(text) => CelValue::String(Arc::new(text.clone())),
        Value::Array(items) => CelValue::List(Arc::new(items.iter().map(|item| to_cel(item, depth + 1)).collect())),
        Value::Object(fields) => {
            let entry =
                |(name, value): (&String, &Value)| (Key::String(Arc::new(name.clone())), to_cel(value, depth + 1));
            CelValue::Map(Map { map: Arc::new(fields.iter().map(entry).collect()) })
        }
    }
}

fn compile(text: &str) -> Result<Program, String> {
    if text.len() > TEXT_MAX {
        return Err(format!("has {} bytes, {TEXT_MAX} are allowed", text.len()));
    }
    let mut depth = 0_usize;
    for byte in text.bytes() {
        match byte {
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > DEPTH_MAX {
            return Err(format!("nests deeper than {DEPTH_MAX} brackets"));
        }
    }
    let dense: String = text.split_whitespace().collect();
    let loops: usize = LOOPS.iter().map(|name| dense.matches(name).count()).sum();
    if loops > LOOPS_MAX {
        return Err(format!("goes through lists {loops} times, {LOOPS_MAX} are allowed"));
    }
    Program::compile(text).map_err(|errors| errors.to_string().split_whitespace().collect::<Vec<_>>().join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn rule(in_progress: &str, failed: &str, current: &str) -> Result<Expressions, Vec<String>> {
        let rule = HealthExpressions {
            field: "spec.health.exprs[0]".to_owned(),
            api_version: "example.com/v1".to_owned(),
            kind: "Queue".to_owned(),
            in_progress: in_progress.to_owned(),
            failed: failed.to_owned(),
            current: current.to_owned(),
        };
        Expressions::compile(&rule).map_err(|problems| problems.iter().map(ToString::to_string).collect())
    }

    fn queue(status: Value) -> Object {
        Object::parse(json!({
            "apiVersion": "example.com/v1", "kind": "Queue", "metadata": {"name": "a", "generation": 2}, "status": status,
        }))
        .unwrap()
    }

    #[test]
    fn the_first_expression_that_holds_says_it() {
        let rule = rule(
            "has(status.pending) && status.pending > 0",
            "status.conditions.exists(c, c.type == 'Failed' && c.status == 'True')",
            "status.conditions.filter(c, c.type == 'Ready').all(c, c.status == 'True' && c.observedGeneration == metadata.generation)",
        )
        .unwrap();
        let ready = json!([{"type": "Ready", "status": "True", "observedGeneration": 2}]);
        let table = [
            (
                json!({"pending": 2, "conditions": ready}),
                HealthStatus::Progressing,
                "spec.health.exprs[0].inProgress holds",
            ),
            (
                json!({"conditions": [{"type": "Failed", "status": "True"}]}),
                HealthStatus::Degraded,
                "spec.health.exprs[0].failed holds",
            ),
            (json!({"conditions": ready}), HealthStatus::Healthy, ""),
            (
                json!({"conditions": [{"type": "Ready", "status": "False"}]}),
                HealthStatus::Progressing,
                "spec.health.exprs[0].current does not hold yet",
            ),
            (json!({"observedGeneration": 1}), HealthStatus::Progressing, "Waiting for the spec to be observed"),
        ];
        for (status, want, message) in table {
            let health = rule.judge(&queue(status.clone()));
            assert_eq!((health.status, health.message.as_str()), (want, message), "{status}");
        }
        // An object without the fields that are read is not judged.
        let health = rule.judge(&queue(json!({})));
        assert_eq!(health.status, HealthStatus::Unknown);
        assert!(health.message.starts_with("spec.health.exprs[0].failed: "), "{}", health.message);
    }

    #[test]
    fn a_rule_is_about_a_version_or_a_group() {
        let mut rule = rule("", "", "true").unwrap();
        assert!(rule.covers(&queue(json!({}))));
        rule.api_version = "example.com".to_owned();
        assert!(rule.covers(&queue(json!({}))));
        rule.api_version = "example.com/v2".to_owned();
        assert!(!rule.covers(&queue(json!({}))));
    }

    #[test]
    fn what_is_no_expression_or_too_much_of_one_is_refused() {
        let problems = rule("status.a ==", "", "status.list.map(a, a)").unwrap_err();
        assert_eq!(problems.len(), 1);
        assert!(problems[0].starts_with("spec.health.exprs[0].inProgress: "), "{problems:?}");
        let nested = "status.a.all(a, status.a.all(b, status.a.all(c, status.a.all(d, true))))";
        assert_eq!(
            rule("", "", nested).unwrap_err(),
            ["spec.health.exprs[0].current: goes through lists 4 times, 3 are allowed"]
        );
        let deep = format!("{}true{}", "(".repeat(41), ")".repeat(41));
        assert_eq!(rule("", "", &deep).unwrap_err(), ["spec.health.exprs[0].current: nests deeper than 40 brackets"]);
        assert_eq!(
            rule("", "", &"x".repeat(5_000)).unwrap_err(),
            ["spec.health.exprs[0].current: has 5000 bytes, 4096 are allowed"]
        );
    }

    #[test]
    fn an_expression_that_is_not_true_or_false_is_told() {
        let rule = rule("", "", "'yes'").unwrap();
        let health = rule.judge(&queue(json!({})));
        assert_eq!(health.message, "spec.health.exprs[0].current is of type string, not true or false");
    }
}
