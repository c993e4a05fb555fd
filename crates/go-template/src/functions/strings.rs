//! Functions of text.

use std::collections::BTreeMap;

use super::show::{printed, quoted, text_of};
use super::words::LongWords;
use super::{ANY, Answer, INT, STRING, add_all, charge_items, runes, strings_list, text, words};
use crate::Str;
use crate::function::{Call, CallError, Function, Functions, Signature};
use crate::value::{List, Map, Type, Value};

const TEXT: Signature = Signature::fixed(&[STRING]);
const TEXT_TEXT: Signature = Signature::fixed(&[STRING, STRING]);
const INT_TEXT: Signature = Signature::fixed(&[INT, STRING]);

pub(super) fn add(functions: &mut Functions) {
    add_changes(functions);
    add_cuts(functions);
    add_layout(functions);
    add_questions(functions);
    add_joins(functions);
    add_splits(functions);
}

/// A text for a text.
fn change(functions: &mut Functions, name: &'static str, body: fn(&[u8]) -> Vec<u8>) {
    functions.add(Function::new(name, TEXT, move |call, args| {
        let given = args.string(0)?;
        call.step(given.len() / 16)?;
        text(call, body(given.as_bytes()))
    }));
}

fn add_changes(functions: &mut Functions) {
    change(functions, "trim", |given| runes::trim_space(given).to_vec());
    change(functions, "upper", runes::upper);
    change(functions, "lower", runes::lower);
    change(functions, "title", words::title);
    change(functions, "untitle", words::untitle);
    change(functions, "swapcase", words::swap_case);
    change(functions, "nospace", words::without_space);
    change(functions, "initials", words::initials);
    change(functions, "snakecase", |given| words::join_lower(given, '_'));
    change(functions, "kebabcase", |given| words::join_lower(given, '-'));
    change(functions, "camelcase", words::pascal);
    functions.add(Function::new("hello", Signature::fixed(&[]), |_, _| Ok(Value::text("Hello!"))));
}

fn add_cuts(functions: &mut Functions) {
    add_all(functions, &["trimAll", "trimall"], TEXT_TEXT, |call, args| {
        let (cutset, given) = (args.string(0)?, args.string(1)?);
        call.step(given.len() / 16)?;
        text(call, runes::trim(given.as_bytes(), cutset.as_bytes()))
    });
    functions.add(Function::new("trimPrefix", TEXT_TEXT, |_, args| {
        let (prefix, given) = (args.string(0)?, args.string(1)?);
        Ok(given.as_bytes().strip_prefix(prefix.as_bytes()).map_or_else(|| given.clone(), Str::from).into())
    }));
    functions.add(Function::new("trimSuffix", TEXT_TEXT, |_, args| {
        let (suffix, given) = (args.string(0)?, args.string(1)?);
        Ok(given.as_bytes().strip_suffix(suffix.as_bytes()).map_or_else(|| given.clone(), Str::from).into())
    }));
    functions.add(Function::new("trunc", INT_TEXT, |call, args| {
        let (count, given) = (args.int(0)?, args.string(1)?.as_bytes());
        let magnitude = usize::try_from(count.unsigned_abs()).unwrap_or(usize::MAX);
        let kept = match given.len().checked_sub(magnitude) {
            Some(start) if count < 0 && start > 0 => given.get(start..),
            Some(_) if count >= 0 => given.get(..magnitude),
            _ => None,
        };
        text(call, kept.unwrap_or(given))
    }));
    functions.add(Function::new("substr", Signature::fixed(&[INT, INT, STRING]), |call, args| {
        let (start, end) = (args.int(0)?, args.int(1)?);
        text(call, substring(args.string(2)?.as_bytes(), start, end).map_err(CallError::new)?)
    }));
    functions.add(Function::new("abbrev", INT_TEXT, |call, args| {
        let (width, given) = (args.int(0)?, args.string(1)?.as_bytes());
        if width < 4 {
            return text(call, given);
        }
        call.produce(given.len())?;
        text(call, words::abbreviate(given, 0, width))
    }));
    functions.add(Function::new("abbrevboth", Signature::fixed(&[INT, INT, STRING]), |call, args| {
        let (left, right, given) = (args.int(0)?, args.int(1)?, args.string(2)?.as_bytes());
        if right < 4 || left > 0 && right < 7 {
            return text(call, given);
        }
        call.produce(given.len())?;
        text(call, words::abbreviate(given, left, right))
    }));
}

/// Go's slicing of a text, with its panics.
fn substring(given: &[u8], start: i64, end: i64) -> Result<&[u8], String> {
    let length = given.len();
    let out_of_range = |bounds: String| format!("runtime error: slice bounds out of range {bounds}");
    let within = |place: i64| usize::try_from(place).ok().filter(|&place| place <= length);
    if start < 0 {
        let Some(end) = within(end) else {
            let bounds = if end < 0 { format!("[:{end}]") } else { format!("[:{end}] with length {length}") };
            return Err(out_of_range(bounds));
        };
        return Ok(given.get(..end).unwrap_or_default());
    }
    let end = within(end).unwrap_or(length);
    let from = within(start).filter(|&from| from <= end).ok_or_else(|| out_of_range(format!("[{start}:{end}]")))?;
    Ok(given.get(from..end).unwrap_or_default())
}

fn add_layout(functions: &mut Functions) {
    functions.add(Function::new("indent", INT_TEXT, |call, args| {
        indented(call, args.int(0)?, args.string(1)?.as_bytes(), b"")
    }));
    functions.add(Function::new("nindent", INT_TEXT, |call, args| {
        indented(call, args.int(0)?, args.string(1)?.as_bytes(), b"\n")
    }));
    functions.add(Function::new("wrap", INT_TEXT, |call, args| {
        let given = args.string(1)?.as_bytes();
        call.produce(given.len().saturating_mul(2))?;
        text(call, words::wrap(given, args.int(0)?, b"", LongWords::Keep))
    }));
    functions.add(Function::new("wrapWith", Signature::fixed(&[INT, STRING, STRING]), |call, args| {
        let (width, separator, given) = (args.int(0)?, args.string(1)?.as_bytes(), args.string(2)?.as_bytes());
        let lines = given.len() / usize::try_from(width).unwrap_or(0).max(1);
        call.produce(given.len().saturating_add(lines.saturating_mul(separator.len().max(1))))?;
        text(call, words::wrap(given, width, separator, LongWords::Break))
    }));
    functions.add(Function::new("repeat", INT_TEXT, |call, args| {
        let given = args.string(1)?.as_bytes();
        let count = repeat_count(args.int(0)?)?;
        let bytes = given.len().checked_mul(count);
        let bytes = bytes.ok_or_else(|| CallError::new("strings: Repeat output length overflow"))?;
        call.produce(bytes)?;
        Ok(Value::Str(given.repeat(count).into()))
    }));
}

fn repeat_count(count: i64) -> Result<usize, CallError> {
    usize::try_from(count).map_err(|_| CallError::new("strings: negative Repeat count"))
}

fn indented(call: &mut Call<'_>, spaces: i64, given: &[u8], before: &[u8]) -> Answer {
    let spaces = repeat_count(spaces)?;
    let lines = given.iter().filter(|&&byte| byte == b'\n').count() + 1;
    let bytes = lines.saturating_mul(spaces).saturating_add(given.len() + before.len());
    call.step(given.len() / 64)?;
    call.produce(bytes)?;
    let mut written = Vec::with_capacity(bytes);
    written.extend_from_slice(before);
    for (place, line) in given.split(|&byte| byte == b'\n').enumerate() {
        if place > 0 {
            written.push(b'\n');
        }
        written.resize(written.len() + spaces, b' ');
        written.extend_from_slice(line);
    }
    Ok(Value::Str(written.into()))
}

fn add_questions(functions: &mut Functions) {
    functions.add(Function::new("contains", TEXT_TEXT, |call, args| {
        let (needle, given) = (args.string(0)?.as_bytes(), args.string(1)?.as_bytes());
        call.step(given.len() / 64)?;
        Ok(Value::Bool(runes::find(given, needle).is_some()))
    }));
    functions.add(Function::new("hasPrefix", TEXT_TEXT, |_, args| {
        Ok(Value::Bool(args.string(1)?.as_bytes().starts_with(args.string(0)?.as_bytes())))
    }));
    functions.add(Function::new("hasSuffix", TEXT_TEXT, |_, args| {
        Ok(Value::Bool(args.string(1)?.as_bytes().ends_with(args.string(0)?.as_bytes())))
    }));
    functions.add(Function::new("plural", Signature::fixed(&[STRING, STRING, INT]), |_, args| {
        Ok(args.value(usize::from(args.int(2)? != 1)).clone())
    }));
}

fn add_joins(functions: &mut Functions) {
    functions.add(Function::new("toString", Signature::fixed(&[ANY]), |call, args| {
        if let Value::Str(given) = args.value(0) {
            return Ok(Value::Str(given.clone()));
        }
        Ok(Value::Str(text_of(call, args.value(0))?.into()))
    }));
    functions.add(Function::new("toStrings", Signature::fixed(&[ANY]), |call, args| {
        let items = texts_of(call, args.value(0))?;
        strings_list(call, items)
    }));
    functions.add(Function::new("quote", Signature::variadic(&[], ANY), |call, args| {
        joined(call, args.all(), |call, value| {
            let bytes = text_of(call, value)?;
            Ok(quoted(&bytes))
        })
    }));
    functions.add(Function::new("squote", Signature::variadic(&[], ANY), |call, args| {
        joined(call, args.all(), |call, value| Ok([b"'", printed(call, value)?.as_slice(), b"'"].concat()))
    }));
    functions.add(Function::new("cat", Signature::variadic(&[], ANY), |call, args| joined(call, args.all(), printed)));
    functions.add(Function::new("join", Signature::fixed(&[STRING, ANY]), |call, args| {
        let items = texts_of(call, args.value(1))?;
        let separator = args.string(0)?.as_bytes();
        call.produce(separator.len().saturating_mul(items.len()))?;
        text(call, items.join(separator))
    }));
    functions.add(Function::new("replace", Signature::fixed(&[STRING, STRING, STRING]), |call, args| {
        let (old, new, given) = (args.string(0)?.as_bytes(), args.string(1)?.as_bytes(), args.string(2)?.as_bytes());
        replaced(call, given, old, new)
    }));
}

/// Joins all but nil by a blank.
fn joined(
    call: &mut Call<'_>,
    values: &[Value],
    show: impl Fn(&mut Call<'_>, &Value) -> Result<Vec<u8>, CallError>,
) -> Answer {
    let mut written = Vec::new();
    for (place, value) in values.iter().filter(|value| !value.is_nil()).enumerate() {
        if place > 0 {
            written.push(b' ');
        }
        written.extend(show(call, value)?);
    }
    text(call, written)
}

fn replaced(call: &mut Call<'_>, given: &[u8], old: &[u8], new: &[u8]) -> Answer {
    call.step(given.len() / 16)?;
    let mut written = Vec::new();
    if old.is_empty() {
        // The empty text stands before every rune and at the end.
        let count = runes::runes(given).count() + 1;
        call.produce(given.len().saturating_add(count.saturating_mul(new.len())))?;
        let mut place = 0;
        for (_, bytes) in runes::runes(given) {
            written.extend_from_slice(new);
            written.extend_from_slice(given.get(place..place + bytes).unwrap_or_default());
            place += bytes;
        }
        written.extend_from_slice(new);
        return Ok(Value::Str(written.into()));
    }
    let mut rest = given;
    while let Some(place) = runes::find(rest, old) {
        call.step(1)?;
        call.produce(place + new.len())?;
        written.extend_from_slice(rest.get(..place).unwrap_or_default());
        written.extend_from_slice(new);
        rest = rest.get(place + old.len()..).unwrap_or_default();
    }
    written.extend_from_slice(rest);
    text(call, written)
}

/// sprig's `strslice`: a list's items as text without nil; anything else is a list of one.
pub(super) fn texts_of(call: &mut Call<'_>, value: &Value) -> Result<Vec<Vec<u8>>, CallError> {
    match super::lists::items_of(value) {
        Some(items) => {
            charge_items(call, items.len())?;
            items.iter().filter(|item| !item.is_nil()).map(|item| text_of(call, item)).collect()
        }
        None if value.is_nil() => Ok(Vec::new()),
        None => Ok(vec![text_of(call, value)?]),
    }
}

fn add_splits(functions: &mut Functions) {
    functions.add(Function::new("splitList", TEXT_TEXT, |call, args| {
        let items = split(args.string(1)?.as_bytes(), args.string(0)?.as_bytes(), -1);
        charge_items(call, items.len())?;
        call.produce(args.string(1)?.len())?;
        Ok(Value::List(List::of_strings(items)))
    }));
    functions.add(Function::new("split", TEXT_TEXT, |call, args| {
        let items = split(args.string(1)?.as_bytes(), args.string(0)?.as_bytes(), -1);
        numbered(call, &items)
    }));
    functions.add(Function::new("splitn", Signature::fixed(&[STRING, INT, STRING]), |call, args| {
        let items = split(args.string(2)?.as_bytes(), args.string(0)?.as_bytes(), args.int(1)?);
        numbered(call, &items)
    }));
}

fn numbered(call: &mut Call<'_>, items: &[&[u8]]) -> Answer {
    charge_items(call, items.len().saturating_mul(2))?;
    call.produce(items.iter().map(|item| item.len()).sum())?;
    let entries: BTreeMap<Str, Value> = items
        .iter()
        .enumerate()
        .map(|(place, item)| (Str::from(format!("_{place}")), Value::Str(Str::from(*item))))
        .collect();
    Ok(Value::Map(Map::of(Type::STRING_MAP, entries)))
}

/// Go's `strings.SplitN`: at most `count` parts; an empty separator splits runes, a negative count means all.
fn split<'a>(given: &'a [u8], separator: &[u8], count: i64) -> Vec<&'a [u8]> {
    let most = usize::try_from(count).unwrap_or(usize::MAX);
    let mut parts = Vec::new();
    if most == 0 {
        return parts;
    }
    let mut rest = given;
    if separator.is_empty() {
        let sizes: Vec<usize> = runes::runes(given).map(|(_, bytes)| bytes).collect();
        for (place, bytes) in sizes.iter().enumerate() {
            if parts.len() + 1 == most && place + 1 < sizes.len() {
                break;
            }
            let (part, after) = rest.split_at_checked(*bytes).unwrap_or((rest, b""));
            parts.push(part);
            rest = after;
        }
        if !rest.is_empty() {
            parts.push(rest);
        }
        return parts;
    }
    while parts.len() + 1 < most {
        let Some(place) = runes::find(rest, separator) else { break };
        parts.push(rest.get(..place).unwrap_or_default());
        rest = rest.get(place + separator.len()..).unwrap_or_default();
    }
    parts.push(rest);
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splits_end_with_the_rest() {
        let text =
            |parts: Vec<&[u8]>| parts.iter().map(|part| String::from_utf8_lossy(part).into_owned()).collect::<Vec<_>>();
        assert_eq!(text(split(b"a,b,c", b",", -1)), ["a", "b", "c"]);
        assert_eq!(text(split(b"a,b,c", b",", 2)), ["a", "b,c"]);
        assert_eq!(text(split("aé1".as_bytes(), b"", 2)), ["a", "é1"]);
        assert_eq!(text(split(b"", b",", -1)), [""]);
        assert!(split(b"", b"", -1).is_empty() && split(b"a", b",", 0).is_empty());
    }

    #[test]
    fn slices_out_of_range_are_told() {
        assert_eq!(substring(b"hello", 1, 3), Ok(b"el".as_slice()));
        assert_eq!(
            substring(b"hello", -1, 9),
            Err("runtime error: slice bounds out of range [:9] with length 5".to_owned())
        );
        assert_eq!(substring(b"hello", 9, 20), Err("runtime error: slice bounds out of range [9:5]".to_owned()));
    }
}
