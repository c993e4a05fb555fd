//! `values.schema.json`: values held against the JSON schemas of a chart and its subcharts.
//!
//! Drafts 4 to 2020-12. References lead within the schema only; one that leads elsewhere is refused, never fetched.
//! Messages are those of the validator that Helm uses.

mod check;
mod containers;
mod fault;
mod format;
mod reference;

use go_template::{Map, Value, to_json};
use serde_json::Value as Json;

use self::check::Checker;
use super::error::HelmError;
use super::node::Node;
use crate::budget::{Budget, Exhausted};
use crate::tree::spent;

/// Charts inside charts.
const CHART_DEPTH_MAX: usize = 40;

/// Holds values against the schema of a chart and its subcharts.
pub(crate) fn validate(node: &Node<'_>, values: &Map, budget: &Budget) -> Result<(), HelmError> {
    let mut report = String::new();
    chart(node, values, budget, 0, &mut report)?;
    if report.is_empty() {
        return Ok(());
    }
    Err(HelmError::Schema(format!(
        "values don't meet the specifications of the schema(s) in the following chart(s):\n{report}"
    )))
}

fn chart(node: &Node<'_>, values: &Map, budget: &Budget, depth: usize, report: &mut String) -> Result<(), HelmError> {
    if depth > CHART_DEPTH_MAX {
        return Ok(());
    }
    let name = node.name();
    if let Some(schema) = &node.chart.schema {
        let mut charged = go_template::Budget::default();
        let instance =
            to_json(&Value::Map(values.clone()), &mut charged).map_err(|error| HelmError::Values(error.to_string()))?;
        match single(schema, &instance, budget) {
            Ok(None) => {}
            Ok(Some(fault)) => report.push_str(&format!("{name}:\n{fault}\n")),
            Err(what) => return Err(spent(&format!("values.schema.json of {name}"), what).into()),
        }
    }
    for child in &node.children {
        let name = child.name();
        match values.get(&name) {
            None | Some(Value::Nil) => {}
            Some(Value::Map(below)) => chart(child, &below, budget, depth + 1, report)?,
            Some(other) => {
                let found = other.go_type().map(ToString::to_string).unwrap_or_default();
                report.push_str(&format!("{name}:\ninvalid type for values: expected object (map), got {found}\n"));
            }
        }
    }
    Ok(())
}

/// Holds values against one schema; what is wrong with them, or with the schema, is the answer.
pub(crate) fn single(schema: &[u8], instance: &Json, budget: &Budget) -> Result<Option<String>, Exhausted> {
    let schema: Json = match serde_json::from_slice(schema) {
        Ok(schema) => schema,
        Err(error) => return Ok(Some(error.to_string())),
    };
    let checker = Checker::new(&schema, budget);
    if let Some(fault) = checker.refused_reference() {
        return Ok(Some(fault));
    }
    let fault = checker.check(instance)?;
    Ok(fault.map(|fault| fault.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// What is said of an instance, without what is said before the first line.
    fn said(schema: Json, instance: Json) -> String {
        single(schema.to_string().as_bytes(), &instance, &Budget::default()).unwrap().unwrap_or_default()
    }

    #[test]
    fn every_keyword_has_its_message() {
        let rows = [
            (json!({"type": "string"}), json!(1), "- at '': got number, want string"),
            (json!({"type": ["integer", "null"]}), json!(1.5), "- at '': got number, want null or integer"),
            (json!({"type": "integer"}), json!(2.0), ""),
            (json!({"required": ["a", "b"]}), json!({}), "- at '': missing properties 'a', 'b'"),
            (json!({"required": ["a"]}), json!({}), "- at '': missing property 'a'"),
            (
                json!({"properties": {"a": {"minimum": 1000}}, "additionalProperties": false}),
                json!({"a": 1, "b": 2}),
                "- at '': validation failed\n  - at '/a': minimum: got 1, want 1,000\n  - at '': additional properties 'b' not allowed",
            ),
            (json!({"enum": ["a", 1, null]}), json!("b"), "- at '': value must be one of 'a', 1, <nil>"),
            (json!({"const": "x'y"}), json!(1), "- at '': value must be 'x\\'y'"),
            (json!({"pattern": "^a$"}), json!("b"), "- at '': 'b' does not match pattern '^a$'"),
            (json!({"not": {}}), json!("b"), "- at '': 'not' failed"),
            (
                json!({"anyOf": [{"type": "string"}, {"type": "null"}]}),
                json!(1),
                "- at '': 'anyOf' failed\n  - at '': got number, want string\n  - at '': got number, want null",
            ),
            (json!({"oneOf": [{}, {}]}), json!(1), "- at '': 'oneOf' failed, subschemas 0, 1 matched"),
            (
                json!({"$ref": "#/$defs/a", "$defs": {"a": {"maxLength": 1}}}),
                json!("ab"),
                "- at '': maxLength: got 2, want 1",
            ),
            (json!({"uniqueItems": true}), json!([1, 2, 1.0]), "- at '': items at 0 and 2 are equal"),
            (
                json!({"if": {"required": ["a"]}, "then": {"required": ["b"]}}),
                json!({"a": 1}),
                "- at '': missing property 'b'",
            ),
            (
                json!({"properties": {"a": true}, "unevaluatedProperties": false}),
                json!({"a": 1, "b": 1}),
                "- at '/b': false schema",
            ),
            (
                json!({"$schema": "http://json-schema.org/draft-07/schema#", "format": "ipv4"}),
                json!("1.2.3"),
                "- at '': '1.2.3' is not valid ipv4: expected four decimals",
            ),
            (json!({"format": "ipv4"}), json!("1.2.3"), ""),
        ];
        for (schema, instance, expected) in rows {
            let expected = expected.strip_prefix("- at '': validation failed\n").map_or_else(
                || expected.to_owned(),
                |lines| lines.lines().map(str::trim_start).collect::<Vec<_>>().join("\n"),
            );
            assert_eq!(said(schema.clone(), instance), expected, "{schema}");
        }
    }

    #[test]
    fn a_reference_to_another_place_is_refused_and_a_circle_ends() {
        assert_eq!(
            said(json!({"$ref": "https://example.com/x.json"}), json!(1)),
            "failing loading \"https://example.com/x.json\": references to other places are not followed"
        );
        assert!(said(json!({"$ref": "#"}), json!(1)).contains("reference cycle"));
        let tree =
            json!({"$id": "https://x.example/tree", "properties": {"next": {"$ref": "tree"}}, "required": ["v"]});
        assert_eq!(
            said(tree, json!({"v": 1, "next": {"v": 1, "next": {}}})),
            "- at '/next/next': missing property 'v'"
        );
    }
}
