//! What the conditions of a metric say of one reading.

use object_model::Timestamp;

use crate::expression::{Environment, Expression, ExpressionError, Value};
use crate::{Metric, Phase};

/// Why a condition gives no answer; worded as Argo Rollouts words it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConditionError {
    /// There was nothing to judge and the condition does not allow for that.
    #[error(
        "could not evaluate {field} \"{condition}\": metric result is nil or empty: no data returned from the metric provider"
    )]
    NoData {
        /// `successCondition` or `failureCondition`.
        field: &'static str,
        /// Its text.
        condition: String,
    },
    /// The condition is wrong, or wrong for this result.
    #[error("could not evaluate {field} \"{condition}\": {reason}")]
    Evaluate {
        /// `successCondition` or `failureCondition`.
        field: &'static str,
        /// Its text.
        condition: String,
        /// What is wrong.
        reason: String,
    },
}

/// Judges a result by the conditions of its metric.
///
/// Without conditions it is Successful; with one, the other is its opposite; with both, a failure wins and a gap between
/// them is Inconclusive.
pub(crate) fn judge(metric: &Metric, result: &Value, now: Timestamp) -> Result<Phase, ConditionError> {
    let evaluate = |field: &'static str, condition: &str| -> Result<Option<bool>, ConditionError> {
        if condition.is_empty() {
            return Ok(None);
        }
        holds(condition, result, now).map(Some).map_err(|error| {
            let condition = condition.to_owned();
            match result {
                Value::Nil => ConditionError::NoData { field, condition },
                Value::List(items) if items.is_empty() => ConditionError::NoData { field, condition },
                _ => ConditionError::Evaluate { field, condition, reason: error.message },
            }
        })
    };
    let success = evaluate("successCondition", &metric.success_condition)?;
    let failure = evaluate("failureCondition", &metric.failure_condition)?;
    Ok(match (success, failure) {
        (None, None) | (Some(true), None | Some(false)) | (None, Some(false)) => Phase::Successful,
        (Some(false), None) | (_, Some(true)) => Phase::Failed,
        (Some(false), Some(false)) => Phase::Inconclusive,
    })
}

/// A condition on its own, for gates and for trying one out.
#[derive(Debug, Clone)]
pub struct Condition {
    expression: Expression,
}

impl Condition {
    /// Reads a condition.
    ///
    /// # Errors
    /// When it is not an expression.
    pub fn parse(text: &str) -> Result<Self, ExpressionError> {
        Ok(Self { expression: Expression::parse(text)? })
    }

    /// Whether it holds for a result given as JSON.
    ///
    /// # Errors
    /// When it can't be evaluated for this result or answers anything but yes or no.
    pub fn holds(&self, result: &serde_json::Value, now: Timestamp) -> Result<bool, ExpressionError> {
        answer(&self.expression, Value::from_json(result), now)
    }
}

/// Evaluates one condition, which must answer yes or no.
pub(crate) fn holds(condition: &str, result: &Value, now: Timestamp) -> Result<bool, ExpressionError> {
    answer(&Expression::parse(condition)?, result.clone(), now)
}

fn answer(expression: &Expression, result: Value, now: Timestamp) -> Result<bool, ExpressionError> {
    match expression.evaluate(&Environment { result, now })? {
        Value::Bool(answer) => Ok(answer),
        other => Err(ExpressionError { message: format!("expected bool, but got {}", other.type_name()), at: 0 }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse_metrics;
    use serde_json::json;

    fn phase(success: &str, failure: &str, result: &Value) -> String {
        let metric = json!({
            "name": "m", "provider": {"prometheus": {}}, "successCondition": success, "failureCondition": failure,
        });
        let metric = parse_metrics(&[metric]).unwrap().remove(0);
        match judge(&metric, result, Timestamp::UNIX_EPOCH) {
            Ok(phase) => phase.to_string(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn two_conditions_leave_a_gap_and_a_failure_wins() {
        let one = Value::vector(vec![0.9]);
        for (success, failure, expected) in [
            ("", "", "Successful"),
            ("result[0] > 0.8", "", "Successful"),
            ("result[0] > 0.95", "", "Failed"),
            ("", "result[0] > 0.8", "Failed"),
            ("", "result[0] > 0.95", "Successful"),
            ("result[0] > 0.95", "result[0] < 0.8", "Inconclusive"),
            ("result[0] > 0.8", "result[0] > 0.8", "Failed"),
            ("result[0] > 0.8", "result[0] < 0.5", "Successful"),
        ] {
            assert_eq!(phase(success, failure, &one), expected, "{success} / {failure}");
        }
    }

    #[test]
    fn an_error_names_the_condition_and_says_when_there_was_no_data() {
        let empty = Value::vector(Vec::new());
        assert_eq!(
            phase("result[0] >= 0.95", "", &empty),
            "could not evaluate successCondition \"result[0] >= 0.95\": metric result is nil or empty: no data returned from the metric provider"
        );
        assert_eq!(phase("len(result) == 0 || result[0] >= 0.95", "", &empty), "Successful");
        assert_eq!(
            phase("", "result[0]", &Value::vector(vec![1.0])),
            "could not evaluate failureCondition \"result[0]\": expected bool, but got float64"
        );
    }
}
