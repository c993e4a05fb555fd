//! Runs a program on a value.

use serde_json::Value;

use super::Step;
use super::parse::{Expression, Function, Operator};

/// Steps that one run may take.
const STEPS_MAX: usize = 20_000;
/// Values that one expression may give.
const VALUES_MAX: usize = 4_096;

/// A value with its place; what is made has none.
#[derive(Debug, Clone)]
struct Found<'a> {
    path: Option<Vec<Step>>,
    value: Held<'a>,
}

#[derive(Debug, Clone)]
enum Held<'a> {
    Of(&'a Value),
    Made(Value),
}

impl Held<'_> {
    fn get(&self) -> &Value {
        match self {
            Self::Of(value) => value,
            Self::Made(value) => value,
        }
    }
}

/// It took too many steps, or gave too many values.
struct TooMuch;

/// The places that a program names; none when it needs too many steps.
pub(super) fn paths(expression: &Expression, root: &Value) -> Vec<Vec<Step>> {
    let mut run = Run { steps: 0 };
    let input = Found { path: Some(Vec::new()), value: Held::Of(root) };
    match run.evaluate(expression, &input) {
        Ok(found) => found.into_iter().filter_map(|found| found.path).collect(),
        Err(TooMuch) => Vec::new(),
    }
}

struct Run {
    steps: usize,
}

type Values<'a> = Result<Vec<Found<'a>>, TooMuch>;

impl Run {
    fn step(&mut self, by: usize) -> Result<(), TooMuch> {
        self.steps = self.steps.saturating_add(by);
        if self.steps > STEPS_MAX { Err(TooMuch) } else { Ok(()) }
    }

    fn evaluate<'a>(&mut self, expression: &Expression, input: &Found<'a>) -> Values<'a> {
        self.step(1)?;
        let found = match expression {
            Expression::Identity => vec![input.clone()],
            Expression::Recurse => {
                let mut all = Vec::new();
                self.recurse(input, &mut all)?;
                all
            }
            Expression::Literal(value) => vec![made(value.clone())],
            Expression::Member(of, key) => {
                let keys = self.evaluate(key, input)?;
                let mut all = Vec::new();
                for value in self.evaluate(of, input)? {
                    all.extend(keys.iter().filter_map(|key| member(&value, key.value.get())));
                }
                all
            }
            Expression::Each(of) => {
                let mut all = Vec::new();
                for value in self.evaluate(of, input)? {
                    let entries = children(&value);
                    self.step(entries.len())?;
                    all.extend(entries);
                }
                all
            }
            Expression::Pipe(first, second) => {
                let mut all = Vec::new();
                for value in self.evaluate(first, input)? {
                    all.extend(self.evaluate(second, &value)?);
                }
                all
            }
            Expression::Both(first, second) => {
                let mut all = self.evaluate(first, input)?;
                all.extend(self.evaluate(second, input)?);
                all
            }
            Expression::Operation(operator, left, right) => self.operation(*operator, left, right, input)?,
            Expression::If(condition, then, otherwise) => {
                let mut all = Vec::new();
                for value in self.evaluate(condition, input)? {
                    let branch = if is_true(value.value.get()) { then } else { otherwise };
                    all.extend(self.evaluate(branch, input)?);
                }
                all
            }
            Expression::Call(function, arguments) => self.call(*function, arguments, input)?,
            Expression::Test(pattern) => {
                vec![made(input.value.get().as_str().is_some_and(|text| pattern.is_match(text)).into())]
            }
        };
        if found.len() > VALUES_MAX { Err(TooMuch) } else { Ok(found) }
    }

    fn recurse<'a>(&mut self, input: &Found<'a>, all: &mut Vec<Found<'a>>) -> Result<(), TooMuch> {
        self.step(1)?;
        all.push(input.clone());
        for child in children(input) {
            self.recurse(&child, all)?;
        }
        Ok(())
    }

    fn operation<'a>(
        &mut self,
        operator: Operator,
        left: &Expression,
        right: &Expression,
        input: &Found<'a>,
    ) -> Values<'a> {
        let mut all = Vec::new();
        for left in self.evaluate(left, input)? {
            let is_left = is_true(left.value.get());
            // As in jq, the other side is not looked at when this one decides.
            match operator {
                Operator::And if !is_left => {
                    all.push(made(false.into()));
                    continue;
                }
                Operator::Or if is_left => {
                    all.push(made(true.into()));
                    continue;
                }
                _ => {}
            }
            for right in self.evaluate(right, input)? {
                let (left, right) = (left.value.get(), right.value.get());
                let holds = match operator {
                    Operator::And | Operator::Or => is_true(right),
                    Operator::Equal => is_equal(left, right),
                    Operator::Differs => !is_equal(left, right),
                    Operator::Less => order(left, right).is_some_and(std::cmp::Ordering::is_lt),
                    Operator::LessOrEqual => order(left, right).is_some_and(std::cmp::Ordering::is_le),
                    Operator::More => order(left, right).is_some_and(std::cmp::Ordering::is_gt),
                    Operator::MoreOrEqual => order(left, right).is_some_and(std::cmp::Ordering::is_ge),
                };
                all.push(made(holds.into()));
            }
        }
        Ok(all)
    }

    fn call<'a>(&mut self, function: Function, arguments: &[Expression], input: &Found<'a>) -> Values<'a> {
        let value = input.value.get();
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let argument = |run: &mut Self| match arguments.first() {
            Some(argument) => run.evaluate(argument, input),
            None => Ok(Vec::new()),
        };
        let tested = |run: &mut Self, test: &dyn Fn(&Value) -> bool| -> Values<'a> {
            let found = argument(run)?;
            Ok(found.iter().map(|wanted| made(test(wanted.value.get()).into())).collect())
        };
        Ok(match function {
            Function::Select => {
                let count = argument(self)?.iter().filter(|found| is_true(found.value.get())).count();
                vec![input.clone(); count]
            }
            Function::Not => vec![made((!is_true(value)).into())],
            Function::Has => tested(self, &|key| member(input, key).is_some() && value_at(value, key).is_some())?,
            Function::Length => vec![made(length(value).into())],
            Function::Type => vec![made(type_of(value).into())],
            Function::Empty => Vec::new(),
            Function::First => {
                let mut found = if arguments.is_empty() { children(input) } else { argument(self)? };
                found.truncate(1);
                found
            }
            Function::Any => vec![made(self.judged(arguments, input)?.contains(&true).into())],
            Function::All => vec![made((!self.judged(arguments, input)?.contains(&false)).into())],
            Function::StartsWith => {
                tested(self, &|end| text(value).zip(text(end)).is_some_and(|(value, end)| value.starts_with(&end)))?
            }
            Function::EndsWith => {
                tested(self, &|end| text(value).zip(text(end)).is_some_and(|(value, end)| value.ends_with(&end)))?
            }
            Function::Contains => tested(self, &|part| contains(value, part))?,
            Function::In => {
                let found = argument(self)?;
                vec![made(found.iter().any(|wanted| is_equal(wanted.value.get(), value)).into())]
            }
            Function::Lower => text(value).map(|text| made(text.to_ascii_lowercase().into())).into_iter().collect(),
            Function::Upper => text(value).map(|text| made(text.to_ascii_uppercase().into())).into_iter().collect(),
            Function::ToText => vec![made(text(value).unwrap_or_else(|| value.to_string()).into())],
        })
    }

    /// What `any` and `all` judge: the entries of the input, what the first argument gives for it, or the first argument
    /// for each entry; with two, the second for each that the first gives.
    fn judged(&mut self, arguments: &[Expression], input: &Found<'_>) -> Result<Vec<bool>, TooMuch> {
        let (entries, test) = match arguments {
            [] => (children(input), None),
            [test] => (children(input), Some(test)),
            [entries, test, ..] => (self.evaluate(entries, input)?, Some(test)),
        };
        let mut all = Vec::new();
        for entry in entries {
            match test {
                None => all.push(is_true(entry.value.get())),
                Some(test) => all.extend(self.evaluate(test, &entry)?.iter().map(|found| is_true(found.value.get()))),
            }
        }
        Ok(all)
    }
}

fn made<'a>(value: Value) -> Found<'a> {
    Found { path: None, value: Held::Made(value) }
}

fn with_step(path: Option<&Vec<Step>>, step: Step) -> Option<Vec<Step>> {
    let mut path = path?.clone();
    path.push(step);
    Some(path)
}

fn children<'a>(of: &Found<'a>) -> Vec<Found<'a>> {
    // What is made is not gone through: a program chooses among what is there.
    let Held::Of(value) = of.value else { return Vec::new() };
    let child =
        |step: Step, value: &'a Value| Found { path: with_step(of.path.as_ref(), step), value: Held::Of(value) };
    match value {
        Value::Object(fields) => fields.iter().map(|(key, value)| child(Step::Key(key.clone()), value)).collect(),
        Value::Array(entries) => {
            entries.iter().enumerate().map(|(index, value)| child(Step::Index(index), value)).collect()
        }
        _ => Vec::new(),
    }
}

/// A key of a mapping or an index of a list; a field of what is absent is absent and has a place, as in jq.
fn member<'a>(of: &Found<'a>, key: &Value) -> Option<Found<'a>> {
    const ABSENT: &Value = &Value::Null;
    let Held::Of(value) = of.value else { return None };
    let (step, value) = match (value, key) {
        (Value::Object(fields), Value::String(name)) => (Step::Key(name.clone()), fields.get(name).unwrap_or(ABSENT)),
        (Value::Null, Value::String(name)) => (Step::Key(name.clone()), ABSENT),
        (Value::Array(entries), Value::Number(number)) => {
            let number = number.as_i64()?;
            let length = i64::try_from(entries.len()).ok()?;
            let index = usize::try_from(if number < 0 { number + length } else { number }).ok()?;
            (Step::Index(index), entries.get(index)?)
        }
        _ => return None,
    };
    Some(Found { path: with_step(of.path.as_ref(), step), value: Held::Of(value) })
}

fn value_at<'a>(of: &'a Value, key: &Value) -> Option<&'a Value> {
    match key {
        Value::String(name) => of.get(name),
        Value::Number(number) => of.get(usize::try_from(number.as_u64()?).ok()?),
        _ => None,
    }
}

fn is_true(value: &Value) -> bool {
    !matches!(value, Value::Null | Value::Bool(false))
}

fn is_equal(left: &Value, right: &Value) -> bool {
    match (left.as_f64(), right.as_f64()) {
        (Some(left), Some(right)) => left.total_cmp(&right).is_eq(),
        _ => left == right,
    }
}

/// Numbers by their size, texts by their letters; others have no order here.
fn order(left: &Value, right: &Value) -> Option<std::cmp::Ordering> {
    match (left, right) {
        (Value::String(left), Value::String(right)) => Some(left.cmp(right)),
        _ => left.as_f64()?.partial_cmp(&right.as_f64()?),
    }
}

fn length(value: &Value) -> usize {
    match value {
        Value::String(text) => text.chars().count(),
        Value::Array(entries) => entries.len(),
        Value::Object(fields) => fields.len(),
        _ => 0,
    }
}

fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

fn contains(value: &Value, part: &Value) -> bool {
    match (value, part) {
        (Value::String(value), Value::String(part)) => value.contains(part.as_str()),
        (Value::Array(entries), Value::Array(parts)) => {
            parts.iter().all(|part| entries.iter().any(|entry| contains(entry, part)))
        }
        (Value::Object(fields), Value::Object(parts)) => {
            parts.iter().all(|(key, part)| fields.get(key).is_some_and(|value| contains(value, part)))
        }
        _ => is_equal(value, part),
    }
}
