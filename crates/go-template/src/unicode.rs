//! What Go calls printable, a letter or a digit; and Go's way through bytes that may be no UTF-8.

mod tables;

/// The code point that stands for bytes that are no UTF-8.
pub(crate) const REPLACEMENT: char = '\u{fffd}';

fn is_within(table: &[(u32, u32)], code: u32) -> bool {
    let after = table.partition_point(|(first, _)| *first <= code);
    after.checked_sub(1).and_then(|index| table.get(index)).is_some_and(|(_, last)| code <= *last)
}

/// `strconv.IsPrint`
pub(crate) fn is_printable(character: char) -> bool {
    match character {
        ' '..='~' => true,
        '\0'..='\u{7f}' => false,
        other => is_within(tables::PRINTABLE, u32::from(other)),
    }
}

/// `unicode.IsLetter`
fn is_letter(character: char) -> bool {
    character.is_ascii_alphabetic() || (!character.is_ascii() && is_within(tables::LETTER, u32::from(character)))
}

/// `unicode.IsDigit`
fn is_digit(character: char) -> bool {
    character.is_ascii_digit() || (!character.is_ascii() && is_within(tables::DIGIT, u32::from(character)))
}

/// Returns whether a character may be part of a name in a template.
pub(crate) fn is_name_part(character: char) -> bool {
    character == '_' || is_letter(character) || is_digit(character)
}

/// Returns the first character of bytes and its width; U+FFFD of width one for a byte that is no UTF-8.
pub(crate) fn first_char(bytes: &[u8]) -> Option<(char, usize)> {
    let first = *bytes.first()?;
    if first < 0x80 {
        return Some((char::from(first), 1));
    }
    let head = bytes.get(..bytes.len().min(4)).unwrap_or(bytes);
    let valid = match std::str::from_utf8(head) {
        Ok(text) => text,
        Err(error) => {
            let valid = head.get(..error.valid_up_to()).unwrap_or(&[]);
            std::str::from_utf8(valid).unwrap_or("")
        }
    };
    Some(valid.chars().next().map_or((REPLACEMENT, 1), |character| (character, character.len_utf8())))
}

/// Goes through bytes as Go's `range` over a string does: positions, characters, widths.
pub(crate) fn chars(bytes: &[u8]) -> impl Iterator<Item = (usize, char, usize)> {
    let mut position = 0;
    std::iter::from_fn(move || {
        let (character, width) = first_char(bytes.get(position..)?)?;
        let at = position;
        position += width;
        Some((at, character, width))
    })
}

/// `utf8.RuneCount`
pub(crate) fn char_count(bytes: &[u8]) -> usize {
    if bytes.is_ascii() { bytes.len() } else { chars(bytes).count() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_that_are_no_text_count_one_by_one() {
        let found: Vec<_> = chars(b"a\xff\xc3\xa9\xe2\x82").map(|(_, character, width)| (character, width)).collect();
        assert_eq!(found, [('a', 1), ('\u{fffd}', 1), ('\u{e9}', 2), ('\u{fffd}', 1), ('\u{fffd}', 1)]);
    }

    #[test]
    fn classes_are_those_of_go() {
        for (character, printable, name) in [
            ('a', true, true),
            ('\u{a0}', false, false),
            ('\u{ad}', false, false),
            ('é', true, true),
            ('²', true, false),
            ('٣', true, true),
        ] {
            assert_eq!((is_printable(character), is_name_part(character)), (printable, name), "{character:?}");
        }
    }
}
