//! Makes programs count what they do.
//!
//! The evaluator can't be interrupted, but it can be called back: each function body, loop and concatenation of a
//! program is wrapped so that it asks a native function for leave first. The wrapping is invisible to the program: its
//! names do not occur in the text, and every place is translated back to the original text.
//!
//! What is not counted is the work of single built-in calls beyond those of [`GUARDS`], such as turning a value that
//! shares its parts thousands of times into text. Who renders sources that nobody vouches for should do so in a process
//! with a memory limit of its own.

mod walk;

use crate::budget::{Budget, Exhausted};

use walk::insertions;

/// The name of the native function that is asked.
pub(super) const NATIVE: &str = "meter";

/// What one function call costs: about a microsecond, where a step is meant to be far below one.
const STEPS_PER_CALL: u64 = 16;

/// Counts a call and the work it is about to do: one for each character, four for each item of an array.
pub(super) fn charge(budget: &Budget, amount: f64) -> Result<(), Exhausted> {
    // A program may call the native function itself; it can't lower the count.
    let amount = if amount.is_finite() { amount.clamp(0.0, 1e15) } else { 1e15 };
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the amount was clamped just above")]
    let steps = amount as u64;
    budget.step(steps.saturating_add(STEPS_PER_CALL))
}

/// How many of the insertions are definitions.
const DEFINITIONS: usize = 2;

/// Copies a value part by part, so that parts which are shared count each time they appear.
///
/// An object without fields is turned into text as well, because only that runs its assertions.
const COPY: &str = "\
local step = std.native('meter'), copy(v) = if !step(0) then null \
else if std.isArray(v) then [copy(part) for part in v] \
else if std.isObject(v) then (if std.length(v) > 0 || std.manifestJsonMinified(v) != '' \
then { [name]: copy(v[name]) for name in std.objectFields(v) } else null) else v; ";

/// A program that calls a function with named arguments, or takes a value that is none, and copies the result.
pub(super) fn copier(arguments: &[&str]) -> String {
    let parameters: String = arguments.iter().map(|name| format!(", {name}")).collect();
    let named: Vec<String> = arguments.iter().map(|name| format!("{name}={name}")).collect();
    let call = format!("copy(program({}))", named.join(", "));
    let value = if arguments.is_empty() {
        "copy(program)"
    } else {
        "error 'arguments are given, but the program is not a function'"
    };
    format!("{COPY}function(program{parameters}) if std.isFunction(program) then {call} else {value}")
}

/// Whether a text is a name in the language.
pub(super) fn is_name(text: &str) -> bool {
    const KEYWORDS: [&str; 20] = [
        "assert",
        "else",
        "error",
        "false",
        "for",
        "function",
        "if",
        "import",
        "importstr",
        "importbin",
        "in",
        "local",
        "null",
        "self",
        "super",
        "tailstrict",
        "then",
        "true",
        "copy",
        "program",
    ];
    text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        && !KEYWORDS.contains(&text)
}

/// Digits of a width or precision in a format.
const FORMAT_DIGITS_MAX: usize = 4;

/// Refuses a format that makes much from little: `%999999999d`, or `%*d` with a width from elsewhere.
pub(super) fn check_format(format: &str) -> Result<(), String> {
    for part in format.split('%').skip(1) {
        let rest = part.split_once(')').filter(|_| part.starts_with('(')).map_or(part, |(_, rest)| rest);
        let sizes = rest.trim_start_matches(['#', '0', '-', ' ', '+']);
        let is_size = |c: char| c.is_ascii_digit() || matches!(c, '.' | '*');
        let size = sizes.split(|c| !is_size(c)).next().unwrap_or_default();
        if size.contains('*') {
            return Err("a width or precision of `*` in a format is not supported".to_owned());
        }
        if size.split('.').any(|digits| digits.len() > FORMAT_DIGITS_MAX) {
            return Err(format!("a width or precision in a format has more than {FORMAT_DIGITS_MAX} digits"));
        }
    }
    Ok(())
}

/// Definitions before each program. `@` stands for a prefix that does not occur in the text.
const PRELUDE: &str = "\
local @std = std, @step = std.native('meter'), \
@sized(v) = if @std.isArray(v) then (if @step(4 * @std.length(v)) then v else null) \
else if @std.isString(v) then (if @step(@std.length(v)) then v else null) else v, \
@width(v) = if @std.isString(v) then (if @step(v) then v else null) else v, \
@total(a) = @std.foldl(function(n, v) n + (if v == null then 0 else @std.length(v)), a, 0); ";

/// Built-in functions that make much from little, counted before they do.
const GUARDS: &str = "\
local std = @std { \
range(from, to):: if @step(4 * (to - from)) then @std.range(from, to) else null, \
repeat(what, count):: if @step(4 * @std.length(what) * count) then @std.repeat(what, count) else null, \
makeArray(sz, func):: if @step(4 * sz) then @std.makeArray(sz, func) else null, \
join(sep, arr):: if @step(@std.length(sep) * @std.length(arr) + @total(arr)) then @std.join(sep, arr) else null, \
flattenArrays(arrs):: if @step(4 * @total(arrs)) then @std.flattenArrays(arrs) else null, \
flatMap(func, arr):: @std.flatMap(function(v) @sized(func(v)), arr), \
strReplace(str, from, to):: \
if @step(@std.length(str) * @std.length(to) / @std.max(1, @std.length(from))) then @std.strReplace(str, from, to) else null, \
format(str, vals):: @std.format(@width(str), vals) }; ";

/// The offset at which a program is refused, and a message.
pub(super) type Refusal = (usize, &'static str);

/// An offset of the original text, and what is put in there.
type Insertion = (usize, String);

/// A program that counts, with the way back to the original text.
#[derive(Debug, Clone)]
pub(super) struct Metered {
    pub(super) text: Vec<u8>,
    /// Where in the original text something was put in, and how many bytes.
    inserted: Vec<(usize, usize)>,
}

impl Metered {
    /// The offset in the original text of the expression that was wrapped at an offset of the metered text; none for
    /// the definitions at the start.
    pub(super) fn wrapped_offset(&self, offset: usize) -> Option<usize> {
        let mut shift = 0;
        for (index, &(at, length)) in self.inserted.iter().enumerate() {
            if offset < at + shift {
                break;
            }
            if offset < at + shift + length {
                return (index >= DEFINITIONS).then_some(at);
            }
            shift += length;
        }
        Some(offset - shift)
    }

    /// The offset in the original text for one in the metered text; none for what was put in.
    pub(super) fn original_offset(&self, offset: usize) -> Option<usize> {
        let mut shift = 0;
        for &(at, length) in &self.inserted {
            if offset < at + shift {
                break;
            }
            if offset < at + shift + length {
                return None;
            }
            shift += length;
        }
        Some(offset - shift)
    }
}

/// Wraps what a program does. A text that is no program is returned as it is, for the evaluator to refuse.
///
/// # Errors
/// The offset at which a program is nested deeper than the evaluator's own stack can take, with a message.
pub(super) fn instrument(text: &[u8]) -> Result<Metered, Refusal> {
    let plain = || Ok(Metered { text: text.to_vec(), inserted: Vec::new() });
    let Ok(source) = std::str::from_utf8(text) else { return plain() };
    let Some(mut insertions) = insertions(text)? else { return plain() };
    if insertions.is_empty() && !source.contains("std") {
        return plain();
    }
    let mut prefix = "m_".to_owned();
    // A text has fewer places for such a name than characters, so a free one is found soon.
    for number in 0..=source.len() {
        prefix = format!("m{number}_");
        if !source.contains(&prefix) {
            break;
        }
    }
    insertions.insert(0, (0, PRELUDE.to_owned()));
    insertions.insert(1, (0, GUARDS.to_owned()));
    insertions.sort_by_key(|(at, _)| *at);
    let mut metered = Metered { text: Vec::with_capacity(text.len() * 2), inserted: Vec::new() };
    let mut done = 0;
    for (at, addition) in insertions {
        let addition = addition.replace('@', &prefix);
        metered.text.extend_from_slice(text.get(done..at).unwrap_or_default());
        metered.text.extend_from_slice(addition.as_bytes());
        metered.inserted.push((at, addition.len()));
        done = at;
    }
    metered.text.extend_from_slice(text.get(done..).unwrap_or_default());
    Ok(metered)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Instruments on the stack that programs get.
    fn instrumented(text: &[u8]) -> Result<Metered, Refusal> {
        stacker::grow(crate::jsonnet::STACK_BYTES, || instrument(text))
    }

    fn metered(text: &str) -> String {
        let metered = String::from_utf8(instrumented(text.as_bytes()).unwrap().text).unwrap();
        metered.rsplit_once("}; ").map_or(metered.clone(), |(_, program)| program.to_owned())
    }

    #[test]
    fn bodies_loops_and_concatenations_are_wrapped() {
        let table = [
            ("{a: 1}", "{a: 1}"),
            ("function(x) x", "function(x) (if m0_step(0) then (x) else null)"),
            ("local f(x) = x + 1; f(2)", "local f(x) = (if m0_step(0) then (m0_sized(x + 1)) else null); f(2)"),
            ("1 + 2 + (3 + 4)", "m0_sized(1 + 2 + (3 + 4))"),
            ("[x for x in y]", "[x for x in m0_sized(y)]"),
            ("{f(x):: x, b: 'a' % 1}", "{f(x):: (if m0_step(0) then (x) else null), b: m0_width('a') % 1}"),
            ("[m0_ + 1]", "[m1_sized(m0_ + 1)]"),
        ];
        for (text, wanted) in table {
            assert_eq!(metered(text), wanted);
        }
    }

    #[test]
    fn places_lead_back_to_the_original_text() {
        let text = "local f(x) = x + 1;\nf(2) + y";
        let metered = instrumented(text.as_bytes()).unwrap();
        let written = String::from_utf8(metered.text.clone()).unwrap();
        for needle in ["f(x)", "x + 1", "f(2)", "y"] {
            let at = written.rfind(needle).unwrap();
            assert_eq!(metered.original_offset(at), text.rfind(needle), "{needle}");
        }
        assert_eq!(metered.original_offset(3), None);
    }

    #[test]
    fn deep_programs_cost_no_native_stack() {
        for text in
            ["[".repeat(390) + &"]".repeat(390), "(".repeat(390) + "1" + &")".repeat(390), "1 -".repeat(50_000) + "1"]
        {
            assert_eq!(instrumented(text.as_bytes()).unwrap().text, text.as_bytes());
        }
        for text in ["[", "(", "{a:", "if ", "local a = ", "function(x) ", "assert true; ", "error ", "a(", "a[", "a{"]
        {
            assert!(instrumented(text.repeat(100_000).as_bytes()).is_err(), "{text}");
        }
    }

    #[test]
    fn nesting_that_the_evaluator_can_not_take_is_refused() {
        for text in ["{a: ", "if true then ", "local a = 1; ", "function(x) ", "error ", "assert true; "] {
            let closing = if text.contains('{') { "}" } else { "" };
            assert!(instrumented((text.repeat(500) + "1" + &closing.repeat(500)).as_bytes()).is_err(), "{text}");
            assert!(instrumented((text.repeat(300) + "1" + &closing.repeat(300)).as_bytes()).is_ok(), "{text}");
        }
        assert!(instrumented("- ".repeat(500).as_bytes()).is_err());
        assert!(instrumented("-".repeat(1_000_000).as_bytes()).is_err());
        assert!(instrumented(format!("1 // {}", "-".repeat(500)).as_bytes()).is_ok());
    }

    #[test]
    fn wide_formats_are_refused() {
        for format in ["%d", "%05.2f%%", "100% of %(name)s", "%-10s|"] {
            assert_eq!(check_format(format), Ok(()), "{format}");
        }
        for format in ["%99999d", "%.99999f", "%*d", "%(a)99999d", "%0999999d"] {
            assert!(check_format(format).is_err(), "{format}");
        }
    }
}
