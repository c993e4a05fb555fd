//! Case of whole words: snake, kebab and Pascal case with the word rules of Go's `xstrings`, and the word functions of
//! `goutils` (swap case, initials, wrapping, abbreviation).

use super::runes::{
    REPLACEMENT, is_digit, is_letter, is_lower, is_number, is_punct, is_space, is_title, is_upper, runes, to_lower,
    to_title, to_upper,
};

fn is_connector(rune: char) -> bool {
    rune == '-' || rune == '_' || is_space(rune)
}

/// A letter of an alphabet in the sense of `xstrings`: not one of the usual Han characters.
fn is_alphabet(rune: char) -> bool {
    is_letter(rune) && !matches!(rune, '\u{3400}'..='\u{4D85}' | '\u{4E00}'..='\u{9FCC}' | '\u{20000}'..='\u{2B81D}')
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// The end of the text.
    None,
    Number,
    Upper,
    Alphabet,
    Connector,
    Punctuation,
    Other,
}

/// Splits the first word off. Wrong bytes belong to the word around them.
fn next_word(text: &[u8]) -> (Kind, &[u8], &[u8]) {
    let Some((first, size)) = next_rune(text, REPLACEMENT) else { return (Kind::None, b"", b"") };
    if first == REPLACEMENT {
        let (word, rest) = text.split_at_checked(size).unwrap_or((text, b""));
        return (Kind::None, word, rest);
    }
    let kind = match first {
        rune if is_connector(rune) => Kind::Connector,
        rune if is_punct(rune) => Kind::Punctuation,
        rune if is_upper(rune) => Kind::Upper,
        rune if is_alphabet(rune) => Kind::Alphabet,
        rune if is_number(rune) => Kind::Number,
        _ => Kind::Other,
    };
    let end = match kind {
        Kind::Upper => upper_word(text, size),
        Kind::Alphabet => run(text, size, first, |rune| is_alphabet(rune) && !is_upper(rune)),
        Kind::Connector => run(text, size, first, is_connector),
        Kind::Punctuation => run(text, size, first, is_punct),
        Kind::Number => run(text, size, first, is_number),
        _ => run(text, size, first, |rune| {
            !(is_connector(rune) || is_alphabet(rune) || is_number(rune) || is_punct(rune))
        }),
    };
    let (word, rest) = text.split_at_checked(end).unwrap_or((text, b""));
    (kind, word, rest)
}

/// `HTTPStatus` is `HTTP` and `Status`: the last upper case rune before a lower case one begins the next word.
fn upper_word(text: &[u8], first_size: usize) -> usize {
    let Some((second, size)) = next_rune(text.get(first_size..).unwrap_or_default(), REPLACEMENT) else {
        return first_size;
    };
    if !is_upper(second) {
        if !is_alphabet(second) {
            return first_size;
        }
        return run(text, first_size + size, second, |rune| is_alphabet(rune) && !is_upper(rune));
    }
    let (mut end, mut last) = (first_size + size, size);
    let mut previous = second;
    while let Some((rune, size)) = next_rune(text.get(end..).unwrap_or_default(), previous) {
        if !is_upper(rune) {
            return if is_alphabet(rune) { end - last } else { end };
        }
        (last, previous) = (size, rune);
        end += size;
    }
    end
}

fn run(text: &[u8], start: usize, first: char, belongs: impl Fn(char) -> bool) -> usize {
    let (mut end, mut previous) = (start, first);
    while let Some((rune, size)) = next_rune(text.get(end..).unwrap_or_default(), previous) {
        if !belongs(rune) {
            break;
        }
        previous = rune;
        end += size;
    }
    end
}

/// The next valid rune, wrong bytes before it included; at the end of wrong bytes, the rune before them again.
fn next_rune(text: &[u8], previous: char) -> Option<(char, usize)> {
    if text.is_empty() {
        return None;
    }
    let mut size = 0;
    for (rune, bytes) in runes(text) {
        size += bytes;
        if rune != REPLACEMENT {
            return Some((rune, size));
        }
    }
    Some((previous, size))
}

/// `FirstName` to `first_name`, or with another connector.
pub(crate) fn join_lower(text: &[u8], connector: char) -> Vec<u8> {
    let mut written = Vec::with_capacity(text.len() + 8);
    let (mut kind, mut word, mut rest) = next_word(text);
    while !rest.is_empty() {
        if kind != Kind::Connector {
            write_lower(&mut written, kind, word, connector);
        }
        let (previous, last) = (kind, word);
        (kind, word, rest) = next_word(rest);
        match previous {
            Kind::Number => {
                (kind, word, rest) = write_tail(&mut written, (kind, word, rest), connector);
            }
            Kind::Connector => write_lower(&mut written, previous, last, connector),
            Kind::Punctuation => {}
            _ if kind != Kind::Number => {
                if !matches!(kind, Kind::Connector | Kind::Punctuation) {
                    push(&mut written, connector);
                }
            }
            _ if rest.is_empty() => {}
            _ => {
                let number = word;
                (kind, word, rest) = next_word(rest);
                // A number before no small letters belongs to the word before: "Bld4Floor" is "bld4_floor".
                if kind == Kind::Alphabet {
                    push(&mut written, connector);
                    write_lower(&mut written, Kind::Number, number, connector);
                    (kind, word, rest) = write_tail(&mut written, (kind, word, rest), connector);
                } else {
                    write_lower(&mut written, Kind::Number, number, connector);
                    if !matches!(kind, Kind::Connector | Kind::Punctuation) {
                        push(&mut written, connector);
                    }
                }
            }
        }
    }
    write_lower(&mut written, kind, word, connector);
    written
}

/// Writes the small letters and numbers that follow a number, and the connector to what comes after them.
fn write_tail<'a>(
    written: &mut Vec<u8>,
    (mut kind, mut word, mut rest): (Kind, &'a [u8], &'a [u8]),
    connector: char,
) -> (Kind, &'a [u8], &'a [u8]) {
    while matches!(kind, Kind::Alphabet | Kind::Number) {
        write_lower(written, kind, word, connector);
        (kind, word, rest) = next_word(rest);
    }
    if !matches!(kind, Kind::None | Kind::Punctuation | Kind::Connector) {
        push(written, connector);
    }
    (kind, word, rest)
}

fn write_lower(written: &mut Vec<u8>, kind: Kind, word: &[u8], connector: char) {
    if !matches!(kind, Kind::Upper | Kind::Connector) {
        written.extend_from_slice(word);
        return;
    }
    for (rune, _) in runes(word) {
        push(written, if is_connector(rune) { connector } else { to_lower(rune) });
    }
}

fn push(written: &mut Vec<u8>, rune: char) {
    written.extend_from_slice(rune.encode_utf8(&mut [0; 4]).as_bytes());
}

/// `some_words` to `SomeWords`; leading connectors stay.
pub(crate) fn pascal(text: &[u8]) -> Vec<u8> {
    let mut written = Vec::with_capacity(text.len());
    let mut all = runes(text).map(|(rune, _)| rune);
    let mut current = None;
    let mut first_is_upper = false;
    for rune in all.by_ref() {
        if is_connector(rune) {
            push(&mut written, rune);
            current = Some(None);
        } else {
            first_is_upper = is_upper(rune);
            current = Some(Some(to_upper(rune)));
            break;
        }
    }
    let Some(Some(mut current)) = current else {
        // Only connectors: the last one is written twice, as xstrings does.
        if let Some((last, _)) = runes(text).last() {
            push(&mut written, last);
        }
        return written;
    };
    for rune in all {
        let previous = current;
        current = rune;
        if is_connector(current) && is_connector(previous) {
            push(&mut written, previous);
            continue;
        }
        if is_connector(previous) {
            first_is_upper = is_upper(current);
            current = to_upper(current);
        } else {
            if first_is_upper {
                if is_upper(current) {
                    current = to_lower(current);
                } else {
                    first_is_upper = false;
                }
            }
            push(&mut written, previous);
        }
    }
    push(&mut written, current);
    written
}

/// Swaps case; a small letter that begins a word gets title case.
pub(crate) fn swap_case(text: &[u8]) -> Vec<u8> {
    let mut begins_word = true;
    super::runes::map(text, |rune| {
        if is_upper(rune) || is_title(rune) {
            begins_word = false;
            to_lower(rune)
        } else if is_lower(rune) {
            let swapped = if begins_word { to_title(rune) } else { to_upper(rune) };
            begins_word = false;
            swapped
        } else {
            begins_word = is_space(rune);
            rune
        }
    })
}

/// Makes the first rune of every word small.
pub(crate) fn untitle(text: &[u8]) -> Vec<u8> {
    let mut begins_word = true;
    super::runes::map(text, |rune| {
        if is_space(rune) {
            begins_word = true;
            rune
        } else if begins_word {
            begins_word = false;
            to_lower(rune)
        } else {
            rune
        }
    })
}

/// Go's `strings.Title`: title case after anything that is no letter, digit or underscore.
pub(crate) fn title(text: &[u8]) -> Vec<u8> {
    let mut previous = ' ';
    super::runes::map(text, |rune| {
        let begins_word = match previous {
            '_' => false,
            letter if letter.is_ascii() => !letter.is_ascii_alphanumeric(),
            letter if is_letter(letter) || is_digit(letter) => false,
            other => is_space(other),
        };
        previous = rune;
        if begins_word { to_title(rune) } else { rune }
    })
}

/// The first byte of every word, each read as a rune of its own as `goutils` does.
pub(crate) fn initials(text: &[u8]) -> Vec<u8> {
    let mut after_gap = true;
    let mut written = Vec::new();
    for &byte in text {
        let rune = char::from(byte);
        if is_space(rune) {
            after_gap = true;
        } else if after_gap {
            push(&mut written, rune);
            after_gap = false;
        }
    }
    written
}

/// Removes white space byte by byte, as `goutils` does; other bytes above ASCII are spoiled when anything was removed.
pub(crate) fn without_space(text: &[u8]) -> Vec<u8> {
    if !text.iter().any(|&byte| is_space(char::from(byte))) {
        return text.to_vec();
    }
    let kept: String = text.iter().map(|&byte| char::from(byte)).filter(|&rune| !is_space(rune)).collect();
    kept.into_bytes()
}

/// What to do with a word longer than the line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LongWords {
    Keep,
    Break,
}

/// Wraps at blanks so that a line has at most `width` bytes.
pub(crate) fn wrap(text: &[u8], width: i64, new_line: &[u8], long_words: LongWords) -> Vec<u8> {
    let new_line = if new_line.is_empty() { b"\n" } else { new_line };
    let width = usize::try_from(width).unwrap_or(0).max(1);
    let mut written = Vec::with_capacity(text.len() + text.len() / width * new_line.len().min(16));
    let mut rest = text;
    while rest.len() > width {
        if let [b' ', after @ ..] = rest {
            rest = after;
            continue;
        }
        let window = rest.get(..=width).unwrap_or(rest);
        let long = rest.get(width..).unwrap_or_default();
        let (taken, skipped) = match window.iter().rposition(|&byte| byte == b' ') {
            Some(blank) => (blank, 1),
            None if long_words == LongWords::Break => (width, 0),
            None => match long.iter().position(|&byte| byte == b' ') {
                Some(blank) => (width + blank, 1),
                None => {
                    written.extend_from_slice(rest);
                    return written;
                }
            },
        };
        written.extend_from_slice(rest.get(..taken).unwrap_or(rest));
        written.extend_from_slice(new_line);
        rest = rest.get(taken + skipped..).unwrap_or_default();
    }
    written.extend_from_slice(rest);
    written
}

/// Shortens to `width` bytes with an ellipsis at the end, and at the start when `offset` is beyond it.
pub(crate) fn abbreviate(text: &[u8], offset: i64, width: i64) -> Vec<u8> {
    const MARK: &[u8] = b"...";
    let Ok(width) = usize::try_from(width) else { return Vec::new() };
    if text.is_empty() || width < 4 {
        return Vec::new();
    }
    if text.len() <= width {
        return text.to_vec();
    }
    let kept = width - 3;
    let mut offset = usize::try_from(offset).map_or(0, |offset| offset.min(text.len()));
    if text.len() - offset < kept {
        offset = text.len() - kept;
    }
    if offset <= 4 {
        return [text.get(..kept).unwrap_or(text), MARK].concat();
    }
    if width < 7 {
        return Vec::new();
    }
    if offset + kept < text.len() {
        let tail = abbreviate(text.get(offset..).unwrap_or_default(), 0, i64::try_from(kept).unwrap_or(i64::MAX));
        return [MARK, &tail].concat();
    }
    [MARK, text.get(text.len() - kept..).unwrap_or(text)].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(bytes: Vec<u8>) -> String {
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn snake_case_finds_the_words() {
        let rows = [
            ("FirstName", "first_name"),
            ("HTTPServer", "http_server"),
            ("NoHTTPS", "no_https"),
            ("GO_PATH", "go_path"),
            ("GO PATH", "go_path"),
            ("http2xx", "http_2xx"),
            ("HTTP20xOK", "http_20x_ok"),
            ("Duration2m3s", "duration_2m3s"),
            ("Bld4Floor3rd", "bld4_floor_3rd"),
            ("", ""),
            ("_a", "_a"),
        ];
        for (given, expected) in rows {
            assert_eq!(text(join_lower(given.as_bytes(), '_')), expected, "{given}");
        }
    }

    #[test]
    fn pascal_case_keeps_leading_connectors() {
        let rows =
            [("some_words", "SomeWords"), ("_complex__case_", "_Complex_Case_"), ("GOLANG_IS_GREAT", "GolangIsGreat")];
        for (given, expected) in rows {
            assert_eq!(text(pascal(given.as_bytes())), expected, "{given}");
        }
    }

    #[test]
    fn long_words_are_kept_or_broken() {
        assert_eq!(text(wrap(b"Hello World", 5, b"", LongWords::Keep)), "Hello\nWorld");
        assert_eq!(text(wrap(b"HelloWorld", 5, b"\t", LongWords::Break)), "Hello\tWorld");
        assert_eq!(text(wrap(b"HelloWorld and", 5, b"", LongWords::Keep)), "HelloWorld\nand");
    }

    #[test]
    fn abbreviations_are_of_the_asked_width() {
        assert_eq!(text(abbreviate(b"hello world", 0, 5)), "he...");
        assert_eq!(text(abbreviate(b"1234 5678 9123", 5, 10)), "...5678...");
    }
}
