//! Functions on texts.

use super::builtin::{list_argument, size, text_argument, wrong};
use super::evaluate::{Evaluated, Evaluation, fail};
use super::node::Function;
use super::value::Value;

/// Calls a function whose first argument is a text, or that makes one.
pub(super) fn call(evaluation: &mut Evaluation<'_>, function: Function, arguments: &[Value]) -> Evaluated {
    let nil = Value::Nil;
    let first = arguments.first().unwrap_or(&nil);
    if function == Function::Text {
        return Ok(Value::text(evaluation.text(first)?));
    }
    if function == Function::Join {
        let parts = list_argument(function, first)?;
        let parts: Vec<_> = parts.iter().map(|part| text_argument(function, part)).collect::<Result<_, _>>()?;
        let glue = arguments.get(1).map_or(Ok(""), |glue| text_argument(function, glue))?;
        let text = parts.join(glue);
        evaluation.spend(text.len())?;
        return Ok(Value::text(text));
    }
    let text = text_argument(function, first)?;
    let second = arguments.get(1).filter(|_| function != Function::Repeat);
    let part = second.map(|value| text_argument(function, value)).transpose()?;
    evaluation.spend(text.len())?;
    Ok(match function {
        Function::Trim => match part {
            Some(set) => Value::text(text.trim_matches(|c| set.contains(c))),
            None => Value::text(text.trim()),
        },
        Function::TrimPrefix => Value::text(text.strip_prefix(part.unwrap_or(" ")).unwrap_or(text)),
        Function::TrimSuffix => Value::text(text.strip_suffix(part.unwrap_or(" ")).unwrap_or(text)),
        Function::Upper => Value::text(text.to_uppercase()),
        Function::Lower => Value::text(text.to_lowercase()),
        Function::HasPrefix => Value::Bool(text.starts_with(part.unwrap_or_default())),
        Function::HasSuffix => Value::Bool(text.ends_with(part.unwrap_or_default())),
        Function::IndexOf => text.find(part.unwrap_or_default()).map_or(Value::Integer(-1), size),
        Function::LastIndexOf => text.rfind(part.unwrap_or_default()).map_or(Value::Integer(-1), size),
        Function::Split | Function::SplitAfter => split(function, text, part.unwrap_or_default(), arguments.get(2))?,
        Function::Replace => {
            let new = arguments.get(2).map_or(Ok(""), |value| text_argument(function, value))?;
            let limit = arguments.get(3).and_then(Value::as_integer).and_then(|limit| usize::try_from(limit).ok());
            let old = part.unwrap_or_default();
            evaluation.spend(text.matches(old).count().saturating_mul(new.len()))?;
            Value::text(limit.map_or_else(|| text.replace(old, new), |limit| text.replacen(old, new, limit)))
        }
        Function::Repeat => {
            let count = arguments.get(1).and_then(Value::as_integer).unwrap_or(0);
            let count = usize::try_from(count).map_err(|_| fail("invalid argument for repeat (negative count)"))?;
            evaluation.spend(text.len().saturating_mul(count).max(count))?;
            Value::text(text.repeat(count))
        }
        other => return Err(wrong(other, first)),
    })
}

fn split(function: Function, text: &str, separator: &str, limit: Option<&Value>) -> Evaluated {
    let limit = match limit {
        None => usize::MAX,
        Some(value) => match value.as_integer() {
            Some(0) => return Ok(Value::list(Vec::new())),
            Some(limit) => usize::try_from(limit).unwrap_or(usize::MAX),
            None => return Err(wrong(function, value)),
        },
    };
    let mut parts: Vec<&str> = if separator.is_empty() {
        text.char_indices().map(|(at, c)| text.get(at..at + c.len_utf8()).unwrap_or_default()).collect()
    } else if function == Function::SplitAfter {
        return Ok(split_after(text, separator, limit));
    } else {
        text.splitn(limit, separator).collect()
    };
    parts.truncate(limit);
    Ok(Value::list(parts.into_iter().map(Value::text).collect()))
}

fn split_after(text: &str, separator: &str, limit: usize) -> Value {
    let mut parts = Vec::new();
    let mut rest = text;
    while parts.len() + 1 < limit {
        let Some(at) = rest.find(separator) else { break };
        let (head, tail) = rest.split_at(at + separator.len());
        parts.push(Value::text(head));
        rest = tail;
    }
    parts.push(Value::text(rest));
    Value::list(parts)
}
