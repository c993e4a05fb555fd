//! Functions of regular expressions in Go's syntax. An expression is compiled within a size limit, and the compiled ones
//! are remembered: charts ask for the same few hundreds of times.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex};

use regex::{Captures, Regex, RegexBuilder};

use super::regex_syntax::{SyntaxError, TOO_LARGE, refusal, translate};
use super::show::quoted;
use super::{Answer, INT, STRING, charge_items, runes, text};
use crate::Str;
use crate::function::{Args, Call, CallError, Function, Functions, Signature};
use crate::value::{List, Type, Value};

/// Bytes of a compiled expression.
const SIZE_MAX: usize = 10 << 20;

/// How deep the compiler of expressions may go.
const NESTING_MAX: u32 = 1_000;

/// Compiled expressions that are remembered, and how long an expression may be for that.
const REMEMBERED_MAX: usize = 256;
const REMEMBERED_BYTES_MAX: usize = 1_024;

/// The expressions that were compiled lately, by their sources.
static REMEMBERED: LazyLock<Mutex<HashMap<String, Arc<Expression>>>> = LazyLock::new(Mutex::default);

/// A compiled expression with Go's names of its groups.
struct Expression {
    regex: Regex,
    names: Vec<String>,
}

fn compile(call: &mut Call<'_>, source: &str) -> Result<Result<Arc<Expression>, SyntaxError>, CallError> {
    call.step(source.len().saturating_mul(8))?;
    let known = REMEMBERED.lock().ok().and_then(|remembered| remembered.get(source).cloned());
    if let Some(expression) = known {
        return Ok(Ok(expression));
    }
    let compiled = translate(source).and_then(|translated| {
        RegexBuilder::new(&translated.pattern)
            .size_limit(SIZE_MAX)
            .dfa_size_limit(SIZE_MAX)
            .nest_limit(NESTING_MAX)
            .build()
            .map(|regex| Arc::new(Expression { regex, names: translated.names }))
            .map_err(|_| refusal(TOO_LARGE, source))
    });
    if let (Ok(expression), Ok(mut remembered)) = (&compiled, REMEMBERED.lock())
        && source.len() <= REMEMBERED_BYTES_MAX
    {
        if remembered.len() >= REMEMBERED_MAX {
            remembered.clear();
        }
        remembered.insert(source.to_owned(), expression.clone());
    }
    Ok(compiled)
}

/// What a function does about an expression that is refused.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Refusal {
    /// Go's `MustCompile` panics with a message of its own.
    Panic,
    /// The error itself.
    Error,
}

fn expression(call: &mut Call<'_>, args: Args<'_>, refusal: Refusal) -> Result<Arc<Expression>, CallError> {
    let source = args.text(0)?;
    compile(call, &source)?.map_err(|error| match refusal {
        Refusal::Error => CallError::new(error.to_string()),
        Refusal::Panic => {
            let can_be_raw =
                source.chars().all(|c| (c >= ' ' || c == '\t') && !matches!(c, '`' | '\u{7F}' | '\u{FEFF}'));
            let shown = if can_be_raw {
                format!("`{source}`")
            } else {
                String::from_utf8_lossy(&quoted(source.as_bytes())).into_owned()
            };
            CallError::new(format!("regexp: Compile({shown}): {error}"))
        }
    })
}

pub(super) fn add(functions: &mut Functions) {
    functions.add(Function::new("regexMatch", Signature::fixed(&[STRING, STRING]), |call, args| {
        let compiled = compile(call, &args.text(0)?)?;
        let given = haystack(call, args, 1)?;
        Ok(Value::Bool(compiled.is_ok_and(|expression| expression.regex.is_match(&given))))
    }));
    functions.add(Function::new("mustRegexMatch", Signature::fixed(&[STRING, STRING]), |call, args| {
        let expression = expression(call, args, Refusal::Error)?;
        Ok(Value::Bool(expression.regex.is_match(&haystack(call, args, 1)?)))
    }));
    for (prefix, refusal) in [("", Refusal::Panic), ("must", Refusal::Error)] {
        let name = move |plain: &'static str| -> String {
            if prefix.is_empty() {
                return plain.to_owned();
            }
            let (first, rest) = plain.split_at_checked(1).unwrap_or((plain, ""));
            format!("{prefix}{}{rest}", first.to_ascii_uppercase())
        };
        add_finders(functions, name, refusal);
        add_replacers(functions, name, refusal);
    }
    functions.add(Function::new("regexQuoteMeta", Signature::fixed(&[STRING]), |call, args| {
        let given = args.string(0)?.as_bytes();
        let mut written = Vec::with_capacity(given.len());
        for &byte in given {
            if br"\.+*?()|[]{}^$".contains(&byte) {
                written.push(b'\\');
            }
            written.push(byte);
        }
        text(call, written)
    }));
}

fn haystack<'a>(call: &mut Call<'_>, args: Args<'a>, place: usize) -> Result<std::borrow::Cow<'a, str>, CallError> {
    call.step(args.string(place)?.len())?;
    args.text(place)
}

fn strings(call: &mut Call<'_>, items: Option<Vec<&str>>) -> Answer {
    let Some(items) = items else { return Ok(Value::List(List::nil(Type::STRING_LIST))) };
    charge_items(call, items.len())?;
    call.produce(items.iter().map(|item| item.len()).sum())?;
    Ok(Value::List(List::of_strings(items.into_iter().map(Str::from))))
}

fn add_finders(functions: &mut Functions, name: impl Fn(&'static str) -> String, refusal: Refusal) {
    const COUNTED: Signature = Signature::fixed(&[STRING, STRING, INT]);
    functions.add(Function::new(name("regexFind"), Signature::fixed(&[STRING, STRING]), move |call, args| {
        let expression = expression(call, args, refusal)?;
        let given = haystack(call, args, 1)?;
        text(call, expression.regex.find(&given).map_or("", |found| found.as_str()))
    }));
    functions.add(Function::new(name("regexFindAll"), COUNTED, move |call, args| {
        let expression = expression(call, args, refusal)?;
        let given = haystack(call, args, 1)?;
        let most = usize::try_from(args.int(2)?).unwrap_or(usize::MAX);
        let found: Vec<&str> = expression.regex.find_iter(&given).take(most).map(|found| found.as_str()).collect();
        strings(call, (!found.is_empty()).then_some(found))
    }));
    functions.add(Function::new(name("regexSplit"), COUNTED, move |call, args| {
        let is_empty_expression = args.string(0)?.is_empty();
        let expression = expression(call, args, refusal)?;
        let given = haystack(call, args, 1)?;
        strings(call, split(&expression.regex, &given, args.int(2)?, is_empty_expression))
    }));
}

/// Go's `Split`: at most `count` parts, no part before a match that is empty at the start.
fn split<'a>(regex: &Regex, given: &'a str, count: i64, is_empty_expression: bool) -> Option<Vec<&'a str>> {
    if count == 0 {
        return None;
    }
    if !is_empty_expression && given.is_empty() {
        return Some(vec![""]);
    }
    let most = usize::try_from(count).unwrap_or(usize::MAX);
    let mut parts = Vec::new();
    let (mut begin, mut end) = (0, 0);
    for found in regex.find_iter(given).take(most) {
        if parts.len() + 1 >= most {
            break;
        }
        end = found.start();
        if found.end() != 0 {
            parts.push(given.get(begin..end).unwrap_or_default());
        }
        begin = found.end();
    }
    if end != given.len() {
        parts.push(given.get(begin..).unwrap_or_default());
    }
    Some(parts)
}

fn add_replacers(functions: &mut Functions, name: impl Fn(&'static str) -> String, refusal: Refusal) {
    const REPLACED: Signature = Signature::fixed(&[STRING, STRING, STRING]);
    functions.add(Function::new(name("regexReplaceAll"), REPLACED, move |call, args| {
        replaced(call, args, refusal, |template, expression, captures, written| {
            expand(template, expression, captures, written);
        })
    }));
    functions.add(Function::new(name("regexReplaceAllLiteral"), REPLACED, move |call, args| {
        replaced(call, args, refusal, |template, _, _, written| written.push_str(template))
    }));
}

fn replaced(
    call: &mut Call<'_>,
    args: Args<'_>,
    refusal: Refusal,
    put: impl Fn(&str, &Expression, &Captures<'_>, &mut String),
) -> Answer {
    let expression = expression(call, args, refusal)?;
    let given = haystack(call, args, 1)?;
    let template = args.text(2)?;
    let mut written = String::new();
    let mut end = 0;
    for captures in expression.regex.captures_iter(&given) {
        let Some(found) = captures.get(0) else { continue };
        let before = written.len();
        written.push_str(given.get(end..found.start()).unwrap_or_default());
        put(&template, &expression, &captures, &mut written);
        call.step(1)?;
        call.produce(written.len() - before)?;
        end = found.end();
    }
    written.push_str(given.get(end..).unwrap_or_default());
    text(call, written)
}

/// Go's `Expand`: `$1`, `${1}`, `$name` and `$$`; a group that is not there is empty.
fn expand(template: &str, expression: &Expression, captures: &Captures<'_>, written: &mut String) {
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('$') {
        written.push_str(before);
        if let Some(after) = after.strip_prefix('$') {
            written.push('$');
            rest = after;
            continue;
        }
        let Some((name, after)) = reference(after) else {
            written.push('$');
            rest = after;
            continue;
        };
        rest = after;
        let group = match group_number(name) {
            Some(number) => captures.get(number),
            None => expression
                .names
                .iter()
                .enumerate()
                .filter(|(_, known)| *known == name)
                .find_map(|(number, _)| captures.get(number)),
        };
        written.push_str(group.map_or("", |group| group.as_str()));
    }
    written.push_str(rest);
}

fn reference(text: &str) -> Option<(&str, &str)> {
    let (is_braced, text) = match text.strip_prefix('{') {
        Some(inner) => (true, inner),
        None => (false, text),
    };
    let end = text.find(|c| !(runes::is_letter(c) || runes::is_digit(c) || c == '_')).unwrap_or(text.len());
    let (name, rest) = text.split_at_checked(end).filter(|(name, _)| !name.is_empty())?;
    let rest = if is_braced { rest.strip_prefix('}')? } else { rest };
    Some((name, rest))
}

/// A number without leading zeros.
fn group_number(name: &str) -> Option<usize> {
    let is_number = name.bytes().all(|byte| byte.is_ascii_digit()) && (name == "0" || !name.starts_with('0'));
    if is_number { Some(name.parse().unwrap_or(usize::MAX)) } else { None }
}
