//! The condition language: the part of expr-lang that conditions, range bounds and gates are written in.
//!
//! Evaluation is bounded: an expression has at most a few thousand nodes, takes a fixed number of steps, and makes no
//! list or text beyond a fixed length. It reads no clock; `now()` is a value of the [`Environment`].

mod builtin;
mod check;
mod evaluate;
mod fold;
mod node;
mod operator;
mod parse;
mod term;
mod text;
mod token;
pub(crate) mod value;

use object_model::Timestamp;

use check::Type;
use node::Node;
pub(crate) use value::Value;

/// Why an expression can't be read or evaluated.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ExpressionError {
    /// What is wrong, as the condition language says it.
    pub message: String,
    /// Where in the text, in bytes from the start.
    pub at: usize,
}

impl ExpressionError {
    fn new(at: usize, message: impl Into<String>) -> Self {
        Self { message: message.into(), at }
    }
}

/// What an expression may look at.
#[derive(Debug, Clone)]
pub(crate) struct Environment {
    /// The measured result.
    pub(crate) result: Value,
    /// What `now()` answers.
    pub(crate) now: Timestamp,
}

/// A parsed expression.
#[derive(Debug, Clone)]
pub(crate) struct Expression {
    root: Node,
}

impl Expression {
    /// Parses the text of an expression.
    pub(crate) fn parse(source: &str) -> Result<Self, ExpressionError> {
        Ok(Self { root: parse::parse(source)? })
    }

    /// Checks the types, as far as they are known beforehand, and evaluates.
    ///
    /// The check comes first so that a condition which can't hold for this kind of result is an error even where
    /// evaluation would not have reached the mistake.
    pub(crate) fn evaluate(&self, environment: &Environment) -> Result<Value, ExpressionError> {
        check::check(&self.root, &Type::of_result(&environment.result))?;
        evaluate::evaluate(&self.root, environment)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(source: &str) -> String {
        let now = "2026-01-02T03:04:05Z".parse().unwrap();
        let environment = Environment { result: Value::from_json(&serde_json::json!({"a": {"b": [1, 2, 3]}})), now };
        match Expression::parse(source).and_then(|parsed| parsed.evaluate(&environment)) {
            Ok(value) => value.to_text(),
            Err(error) => format!("error: {error}"),
        }
    }

    #[test]
    fn expressions_answer_as_the_language_says() {
        for (source, expected) in [
            ("1 + 2 * 3", "7"),
            ("2 ** 3 ** 2", "512"),
            ("7 / 2", "3.5"),
            ("7 % 4", "3"),
            ("'a' + \"b\"", "ab"),
            ("1 < 2 < 3", "true"),
            ("not (1 in [1, 2])", "false"),
            ("3 not in [1, 2]", "true"),
            ("result.a.b[-1]", "3"),
            ("result['a'].b[1:]", "[2 3]"),
            ("result?.x?.y", "<nil>"),
            ("result.x ?? 5", "5"),
            ("map(1..3, # * 2)", "[2 4 6]"),
            ("filter(result.a.b, {# > 1}) | len()", "2"),
            ("reduce(result.a.b, #acc + #, 0)", "6"),
            ("let x = 2; x * x", "4"),
            ("if 1 > 2 { 'a' } else { 'b' }", "b"),
            ("true ? 1 : 2", "1"),
            ("now() - duration('1h')", "2026-01-02T02:04:05Z"),
            ("date('2026-01-01') < now()", "true"),
            ("{a: 1}.a", "1"),
            ("'abc' matches '^a.c$'", "true"),
            ("median([1, 3, 2])", "2"),
            ("sum(result.a.b)", "6"),
        ] {
            assert_eq!(answer(source), expected, "{source}");
        }
    }

    #[test]
    fn a_hostile_expression_ends_with_an_error() {
        let deep = format!("{}1{}", "(".repeat(5000), ")".repeat(5000));
        assert_eq!(answer(&deep), "error: expression is nested too deep");
        let long = vec!["1"; 5000].join("+");
        assert_eq!(answer(&long), "error: expression is nested too deep");
        assert_eq!(answer("map(1..100000, map(1..100000, #))"), "error: memory budget exceeded");
        assert_eq!(answer("reduce(1..60, #acc + #acc, 'ab')"), "error: memory budget exceeded");
        assert_eq!(answer("all(1..9000, all(1..9000, all(1..9000, true)))"), "error: evaluation takes too many steps");
        assert_eq!(answer(&"9".repeat(20_000)), "error: expression is longer than 16384 bytes");
    }
}
