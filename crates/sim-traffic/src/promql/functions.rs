//! Function calls.

use promql_parser::parser::{Call, Expr, MatrixSelector};

use super::value::distinct;
use super::{Element, Evaluation, QueryError, Value, histogram, milliseconds, ranges};

pub(super) fn call(evaluation: &Evaluation<'_>, call: &Call, depth: usize) -> Result<Value, QueryError> {
    let name = call.func.name;
    let arguments: Vec<&Expr> = call.args.args.iter().map(AsRef::as_ref).collect();
    if let Some(function) = ranges::find(name) {
        let selector = range_argument(name, &arguments)?;
        return over_range(evaluation, selector, function, name == "last_over_time").map(Value::Vector);
    }
    let vector = |at: usize| evaluation.vector(argument(name, &arguments, at)?, depth + 1);
    let scalar = |at: usize| evaluation.scalar(argument(name, &arguments, at)?, depth + 1);
    let each = |function: &dyn Fn(f64) -> f64| {
        let mapped =
            vector(0)?.into_iter().map(|element| Element { value: function(element.value), ..element.without_name() });
        distinct(mapped.collect()).map(Value::Vector)
    };
    match name {
        "time" => Ok(Value::Scalar(evaluation.at_ms as f64 / 1000.0)),
        "pi" => Ok(Value::Scalar(std::f64::consts::PI)),
        "vector" => Ok(Value::Vector(vec![Element { labels: Default::default(), value: scalar(0)? }])),
        "scalar" => match vector(0)?.as_slice() {
            [only] => Ok(Value::Scalar(only.value)),
            _ => Ok(Value::Scalar(f64::NAN)),
        },
        "absent" => absent(evaluation, argument(name, &arguments, 0)?, depth),
        "timestamp" => timestamp(evaluation, argument(name, &arguments, 0)?, depth),
        "histogram_quantile" => Ok(Value::Vector(histogram::quantile(scalar(0)?, vector(1)?))),
        "clamp_min" => {
            let least = scalar(1)?;
            each(&|value| clamp(value, least, f64::INFINITY))
        }
        "clamp_max" => {
            let most = scalar(1)?;
            each(&|value| clamp(value, f64::NEG_INFINITY, most))
        }
        "clamp" => {
            let (least, most) = (scalar(1)?, scalar(2)?);
            if most < least {
                return Ok(Value::Vector(Vec::new()));
            }
            each(&|value| clamp(value, least, most))
        }
        "round" => {
            let to = if arguments.len() > 1 { scalar(1)? } else { 1.0 };
            // The inverse avoids errors of division by numbers such as 0.1.
            let inverse = 1.0 / to;
            each(&|value| (value * inverse + 0.5).floor() / inverse)
        }
        "abs" => each(&f64::abs),
        "ceil" => each(&f64::ceil),
        "floor" => each(&f64::floor),
        "sqrt" => each(&f64::sqrt),
        "exp" => each(&f64::exp),
        "ln" => each(&f64::ln),
        "log2" => each(&f64::log2),
        "log10" => each(&f64::log10),
        "sgn" => each(&|value| {
            if value > 0.0 {
                1.0
            } else if value < 0.0 {
                -1.0
            } else {
                value
            }
        }),
        "sort" | "sort_desc" => {
            let mut sorted = vector(0)?;
            sorted.sort_by(|a, b| a.value.total_cmp(&b.value));
            if name == "sort_desc" {
                sorted.reverse();
            }
            Ok(Value::Vector(sorted))
        }
        _ => Err(QueryError::unsupported(format!("the function {name}"))),
    }
}

fn argument<'a>(name: &str, arguments: &[&'a Expr], at: usize) -> Result<&'a Expr, QueryError> {
    let missing = || QueryError::BadData(format!("invalid parameter \"query\": {name} needs more arguments"));
    arguments.get(at).copied().ok_or_else(missing)
}

/// Not-a-number stays what it is.
fn clamp(value: f64, least: f64, most: f64) -> f64 {
    if value.is_nan() || least.is_nan() || most.is_nan() { f64::NAN } else { value.max(least).min(most) }
}

fn range_argument<'a>(name: &str, arguments: &[&'a Expr]) -> Result<&'a MatrixSelector, QueryError> {
    let mut expression = argument(name, arguments, 0)?;
    while let Expr::Paren(inner) = expression {
        expression = &inner.expr;
    }
    match expression {
        Expr::MatrixSelector(selector) => Ok(selector),
        Expr::Subquery(_) => Err(QueryError::unsupported("a subquery")),
        _ => Err(QueryError::BadData(format!("invalid parameter \"query\": {name} expects a range vector"))),
    }
}

fn over_range(
    evaluation: &Evaluation<'_>,
    selector: &MatrixSelector,
    function: ranges::RangeFunction,
    keeps_name: bool,
) -> Result<Vec<Element>, QueryError> {
    let range = evaluation.range(&selector.vs, milliseconds(selector.range)?)?;
    let elements = range.series.iter().filter_map(|series| {
        let value = function(&ranges::Stretch::new(&range, &series.samples))?;
        let element = Element { labels: series.labels.clone(), value };
        Some(if keeps_name { element } else { element.without_name() })
    });
    distinct(elements.collect())
}

fn timestamp(evaluation: &Evaluation<'_>, expression: &Expr, depth: usize) -> Result<Value, QueryError> {
    let element = |element: Element, at_ms: i64| Element { value: at_ms as f64 / 1000.0, ..element.without_name() };
    let mut inner = expression;
    while let Expr::Paren(paren) = inner {
        inner = &paren.expr;
    }
    let elements = match inner {
        Expr::VectorSelector(selector) => {
            evaluation.instant(selector)?.into_iter().map(|(sample, at_ms)| element(sample, at_ms)).collect()
        }
        other => {
            evaluation.vector(other, depth + 1)?.into_iter().map(|sample| element(sample, evaluation.at_ms)).collect()
        }
    };
    distinct(elements).map(Value::Vector)
}

/// One element with the labels that the selector asks for by equality, when the vector is empty.
fn absent(evaluation: &Evaluation<'_>, expression: &Expr, depth: usize) -> Result<Value, QueryError> {
    if !evaluation.vector(expression, depth + 1)?.is_empty() {
        return Ok(Value::Vector(Vec::new()));
    }
    let mut labels = crate::store::Labels::new();
    if let Expr::VectorSelector(selector) = expression {
        let matchers = &selector.matchers.matchers;
        for matcher in matchers.iter().filter(|matcher| matcher.name != super::value::NAME) {
            let is_only = matchers.iter().filter(|other| other.name == matcher.name).count() == 1;
            if is_only && matches!(matcher.op, promql_parser::label::MatchOp::Equal) {
                labels.insert(matcher.name.clone(), matcher.value.clone());
            }
        }
    }
    Ok(Value::Vector(vec![Element { labels, value: 1.0 }]))
}
