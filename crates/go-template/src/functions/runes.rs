//! Text as Go sees it: bytes that are read as runes, with the rune classes and case mappings of Go's `unicode` package.

use std::sync::LazyLock;

use regex::Regex;

/// What Go reads where bytes are no UTF-8.
pub(crate) const REPLACEMENT: char = '\u{FFFD}';

/// Returns every rune with the number of bytes it was read from; a wrong byte is a replacement rune of one byte.
pub(crate) fn runes(text: &[u8]) -> impl Iterator<Item = (char, usize)> + '_ {
    text.utf8_chunks().flat_map(|chunk| {
        let valid = chunk.valid().chars().map(|rune| (rune, rune.len_utf8()));
        valid.chain(chunk.invalid().iter().map(|_| (REPLACEMENT, 1)))
    })
}

/// Maps every rune, as Go's `strings.Map` does: wrong bytes become replacement runes.
pub(crate) fn map(text: &[u8], mut change: impl FnMut(char) -> char) -> Vec<u8> {
    let mut changed = String::with_capacity(text.len());
    changed.extend(runes(text).map(|(rune, _)| change(rune)));
    changed.into_bytes()
}

/// A Unicode class that the standard library does not name exactly as Go does.
macro_rules! class {
    ($(#[$doc:meta])* $name:ident, $pattern:literal, $ascii:expr) => {
        $(#[$doc])*
        pub(crate) fn $name(rune: char) -> bool {
            static CLASS: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new($pattern).ok());
            if rune.is_ascii() {
                let ascii: fn(char) -> bool = $ascii;
                return ascii(rune);
            }
            CLASS.as_ref().is_some_and(|class| class.is_match(rune.encode_utf8(&mut [0; 4])))
        }
    };
}

class!(/** Go's `unicode.IsUpper`: category Lu. */ is_upper, r"\p{Lu}", |rune| rune.is_ascii_uppercase());
class!(/** Go's `unicode.IsLower`: category Ll. */ is_lower, r"\p{Ll}", |rune| rune.is_ascii_lowercase());
class!(/** Go's `unicode.IsTitle`: category Lt. */ is_title, r"\p{Lt}", |_| false);
class!(/** Go's `unicode.IsLetter`: category L. */ is_letter, r"\p{L}", |rune| rune.is_ascii_alphabetic());
class!(/** Go's `unicode.IsNumber`: category N. */ is_number, r"\p{N}", |rune| rune.is_ascii_digit());
class!(/** Go's `unicode.IsDigit`: category Nd. */ is_digit, r"\p{Nd}", |rune| rune.is_ascii_digit());
class!(/** Go's `unicode.IsPunct`: category P. */ is_punct, r"\p{P}", |rune| {
    rune.is_ascii_punctuation() && !matches!(rune, '$' | '+' | '<' | '=' | '>' | '^' | '`' | '|' | '~')
});

/// Go's `unicode.IsSpace`.
pub(crate) fn is_space(rune: char) -> bool {
    rune.is_whitespace()
}

/// Go's `unicode.ToUpper`: one rune for one rune.
pub(crate) fn to_upper(rune: char) -> char {
    match rune {
        '\u{1F80}'..='\u{1F87}' | '\u{1F90}'..='\u{1F97}' | '\u{1FA0}'..='\u{1FA7}' => {
            char::from_u32(rune as u32 + 8).unwrap_or(rune)
        }
        '\u{1FB3}' | '\u{1FC3}' | '\u{1FF3}' => char::from_u32(rune as u32 + 9).unwrap_or(rune),
        _ => single(rune, rune.to_uppercase()),
    }
}

/// Go's `unicode.ToLower`: one rune for one rune.
pub(crate) fn to_lower(rune: char) -> char {
    match rune {
        '\u{130}' => 'i',
        _ => single(rune, rune.to_lowercase()),
    }
}

/// Go's `unicode.ToTitle`: as upper case, but for the digraphs that have a title form and for Georgian.
pub(crate) fn to_title(rune: char) -> char {
    match rune {
        '\u{1C4}'..='\u{1C6}' => '\u{1C5}',
        '\u{1C7}'..='\u{1C9}' => '\u{1C8}',
        '\u{1CA}'..='\u{1CC}' => '\u{1CB}',
        '\u{1F1}'..='\u{1F3}' => '\u{1F2}',
        '\u{10D0}'..='\u{10FF}' => rune,
        _ => to_upper(rune),
    }
}

/// A mapping to several runes (`ß` to `SS`) is none in Go.
fn single(rune: char, mut mapped: impl Iterator<Item = char>) -> char {
    match (mapped.next(), mapped.next()) {
        (Some(only), None) => only,
        _ => rune,
    }
}

/// Go's `strings.ToUpper`.
pub(crate) fn upper(text: &[u8]) -> Vec<u8> {
    if text.is_ascii() { text.to_ascii_uppercase() } else { map(text, to_upper) }
}

/// Go's `strings.ToLower`.
pub(crate) fn lower(text: &[u8]) -> Vec<u8> {
    if text.is_ascii() { text.to_ascii_lowercase() } else { map(text, to_lower) }
}

/// Returns the place of the first `needle` in `text`.
pub(crate) fn find(text: &[u8], needle: &[u8]) -> Option<usize> {
    memchr::memmem::find(text, needle)
}

/// Go's `strings.TrimSpace`.
pub(crate) fn trim_space(text: &[u8]) -> &[u8] {
    trim_runes(text, is_space)
}

/// Go's `strings.Trim`: every rune of the cut set goes at both ends.
pub(crate) fn trim<'a>(text: &'a [u8], cutset: &[u8]) -> &'a [u8] {
    let cut: Vec<char> = runes(cutset).map(|(rune, _)| rune).collect();
    trim_runes(text, |rune| cut.contains(&rune))
}

fn trim_runes(text: &[u8], cut: impl Fn(char) -> bool) -> &[u8] {
    let mut start = text.len();
    let mut end = 0;
    let mut place = 0;
    for (rune, bytes) in runes(text) {
        if !cut(rune) {
            start = start.min(place);
            end = place + bytes;
        }
        place += bytes;
    }
    text.get(start..end).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrong_bytes_are_single_replacement_runes() {
        let read: Vec<_> = runes(b"a\xF0\x9F\x98b\xFF").collect();
        assert_eq!(read, [('a', 1), (REPLACEMENT, 1), (REPLACEMENT, 1), (REPLACEMENT, 1), ('b', 1), (REPLACEMENT, 1)]);
    }

    #[test]
    fn case_maps_one_rune_to_one_rune() {
        assert_eq!(upper("straße ǆ ᾳ".as_bytes()), "STRAßE Ǆ ᾼ".as_bytes());
        assert_eq!(lower("İSTANBUL".as_bytes()), "istanbul".as_bytes());
        assert_eq!((to_title('ǆ'), to_title('a'), to_title('ა')), ('ǅ', 'A', 'ა'));
    }

    #[test]
    fn classes_are_those_of_go() {
        assert!(is_upper('Ä') && !is_upper('Ⅰ') && is_lower('ß') && !is_lower('ª') && is_title('ǅ'));
        assert!(is_punct('_') && is_punct('¿') && !is_punct('+') && is_number('½') && !is_digit('½'));
    }

    #[test]
    fn trimming_takes_runes_not_bytes() {
        assert_eq!(trim_space("\u{2003} a b\u{85}\n".as_bytes()), b"a b");
        assert_eq!(trim("ééaé".as_bytes(), "éx".as_bytes()), b"a");
        assert_eq!(trim(b"aaa", b"a"), b"");
        assert_eq!(trim(b"aaa", b""), b"aaa");
    }
}
