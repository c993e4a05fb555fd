//! The order in which Go's YAML writes the keys of a mapping: `a2` before `a10`, other characters before letters.

use std::cmp::Ordering;

/// Whether `a` comes before, with or after `b`.
///
/// Runs of digits compare as numbers; where only one of two characters is a letter, the letter comes later.
pub(crate) fn compare(a: &str, b: &str) -> Ordering {
    // Nearly all keys are ASCII, where a byte is a character.
    if a.is_ascii() && b.is_ascii() {
        return compare_units(a.as_bytes(), b.as_bytes());
    }
    let left: Vec<char> = a.chars().collect();
    let right: Vec<char> = b.chars().collect();
    compare_units(&left, &right)
}

/// As [`compare`], over characters in one of two forms.
fn compare_units<T: Copy + PartialEq + Into<char>>(left: &[T], right: &[T]) -> Ordering {
    let Some(at) = left.iter().zip(right).position(|(x, y)| x != y) else {
        return left.len().cmp(&right.len());
    };
    let (Some(&x), Some(&y)) = (left.get(at), right.get(at)) else { return Ordering::Equal };
    let (x, y): (char, char) = (x.into(), y.into());
    match (is_letter(x), is_letter(y)) {
        (true, true) => return x.cmp(&y),
        (true, false) => return Ordering::Greater,
        (false, true) => return Ordering::Less,
        (false, false) => {}
    }
    // A zero right after a non-zero digit belongs to a number already begun: both runs then start from one.
    let begun = (x == '0' || y == '0')
        && left
            .get(..at)
            .unwrap_or_default()
            .iter()
            .rev()
            .map(|c| (*c).into())
            .take_while(|c| is_digit(*c))
            .any(|c| c != '0');
    let (left_number, left_length) = digit_run(left.get(at..).unwrap_or_default(), begun);
    let (right_number, right_length) = digit_run(right.get(at..).unwrap_or_default(), begun);
    left_number.cmp(&right_number).then(left_length.cmp(&right_length)).then(x.cmp(&y))
}

/// The number that a run of digits spells, wrapping as Go's `int64` does, and how many digits it has.
fn digit_run<T: Copy + Into<char>>(characters: &[T], begun: bool) -> (i64, usize) {
    let mut number = i64::from(begun);
    let mut length = 0;
    for c in characters.iter().map(|c| (*c).into()).take_while(|c| is_digit(*c)) {
        number = number.wrapping_mul(10).wrapping_add(i64::from(u32::from(c)) - i64::from(u32::from('0')));
        length += 1;
    }
    (number, length)
}

fn is_letter(c: char) -> bool {
    // Rust's alphabetic also has marks and letter numbers, which Go's letter categories leave out; in keys of
    // practical texts the two agree, and the ASCII range is exact.
    c.is_alphabetic()
}

fn is_digit(c: char) -> bool {
    c.is_ascii_digit()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_in_keys_count_as_numbers_and_letters_come_last() {
        let mut keys = vec!["b", "a10", "a2", "a", "A", "_", "1", "a b", "a.b", "a/b", "a01", "a1", "a100", "a20"];
        keys.sort_by(|a, b| compare(a, b));
        assert_eq!(keys, ["_", "1", "A", "a", "a b", "a.b", "a/b", "a1", "a01", "a2", "a10", "a20", "a100", "b"]);
    }
}
