//! Three-way merge of one text, line by line, with the rule of `git merge-file`: changes that touch are a conflict.

use std::ops::Range;

use imara_diff::sources::byte_lines;
use imara_diff::{Algorithm, Diff, InternedInput};

/// The largest side that is merged, in bytes.
const BYTES_MAX: usize = 8 << 20;

#[derive(Debug, Clone)]
struct Hunk {
    base: Range<usize>,
    side: Range<usize>,
}

/// Joins two changed versions of `base`.
///
/// # Errors
/// With the reason when they can't be joined.
pub(crate) fn merge_text(base: &[u8], ours: &[u8], theirs: &[u8]) -> Result<Vec<u8>, &'static str> {
    if [base, ours, theirs].iter().any(|side| side.len() > BYTES_MAX) {
        return Err("it is too large to merge");
    }
    if [base, ours, theirs].iter().any(|side| side.iter().take(8000).any(|byte| *byte == 0)) {
        return Err("it is binary and changed on both sides");
    }
    let our_hunks = hunks(base, ours);
    let their_hunks = hunks(base, theirs);
    let [base, ours, theirs] = [base, ours, theirs].map(|side| byte_lines(side).collect::<Vec<_>>());
    let mut merged = Vec::new();
    let (mut done, mut our_next, mut their_next) = (0, our_hunks.as_slice(), their_hunks.as_slice());
    loop {
        let (region, our_part, their_part) = match next_region(&mut our_next, &mut their_next) {
            None => break,
            Some(found) => found,
        };
        copy(&mut merged, &base, done..region.start);
        done = region.end;
        let our_range = side_range(&region, our_part);
        let their_range = side_range(&region, their_part);
        match (our_range, their_range) {
            (Some(range), None) => copy(&mut merged, &ours, range),
            (None, Some(range)) => copy(&mut merged, &theirs, range),
            (Some(our_range), Some(their_range)) => {
                if ours.get(our_range.clone()) != theirs.get(their_range) {
                    return Err("the same lines changed on both sides");
                }
                copy(&mut merged, &ours, our_range);
            }
            (None, None) => {}
        }
    }
    copy(&mut merged, &base, done..base.len());
    Ok(merged)
}

fn hunks(base: &[u8], side: &[u8]) -> Vec<Hunk> {
    let input = InternedInput::new(byte_lines(base), byte_lines(side));
    let mut diff = Diff::compute(Algorithm::Myers, &input);
    diff.postprocess_no_heuristic(&input);
    let range = |range: Range<u32>| range.start as usize..range.end as usize;
    diff.hunks().map(|hunk| Hunk { base: range(hunk.before), side: range(hunk.after) }).collect()
}

type Region<'a> = (Range<usize>, &'a [Hunk], &'a [Hunk]);

/// Takes the next run of hunks that touch one another, with the lines of the base that they cover.
fn next_region<'a>(ours: &mut &'a [Hunk], theirs: &mut &'a [Hunk]) -> Option<Region<'a>> {
    let start = [ours.first(), theirs.first()].into_iter().flatten().map(|hunk| hunk.base.start).min()?;
    let (mut end, mut our_count, mut their_count) = (start, 0, 0);
    loop {
        // Hunks of one side never touch each other, so only a hunk of the other side makes the region longer.
        let touches = |hunk: Option<&Hunk>| hunk.filter(|hunk| hunk.base.start <= end).map(|hunk| hunk.base.end);
        if let Some(to) = touches(ours.get(our_count)) {
            our_count += 1;
            end = end.max(to);
        } else if let Some(to) = touches(theirs.get(their_count)) {
            their_count += 1;
            end = end.max(to);
        } else {
            break;
        }
    }
    let (our_part, our_rest) = ours.split_at(our_count);
    let (their_part, their_rest) = theirs.split_at(their_count);
    (*ours, *theirs) = (our_rest, their_rest);
    Some((start..end, our_part, their_part))
}

/// The lines of one side that stand for a region of the base; `None` when that side did not change there.
fn side_range(region: &Range<usize>, part: &[Hunk]) -> Option<Range<usize>> {
    let (first, last) = (part.first()?, part.last()?);
    let start = first.side.start.saturating_sub(first.base.start - region.start);
    Some(start..last.side.end + (region.end - last.base.end))
}

fn copy(out: &mut Vec<u8>, lines: &[&[u8]], range: Range<usize>) {
    lines.get(range).unwrap_or_default().iter().for_each(|line| out.extend_from_slice(line));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn merge(base: &str, ours: &str, theirs: &str) -> Result<String, &'static str> {
        let lines = |text: &str| text.chars().map(|c| format!("{c}\n")).collect::<String>();
        let merged = merge_text(lines(base).as_bytes(), lines(ours).as_bytes(), lines(theirs).as_bytes())?;
        Ok(String::from_utf8(merged).unwrap().replace('\n', ""))
    }

    #[test]
    fn changes_apart_are_joined_and_changes_that_touch_are_refused() {
        const CLASH: Result<&str, &str> = Err("the same lines changed on both sides");
        for (base, ours, theirs, expected) in [
            ("abcde", "Xbcde", "abcdY", Ok("XbcdY")),
            ("abcde", "abcde", "aZcde", Ok("aZcde")),
            ("abcde", "aZcde", "aZcde", Ok("aZcde")),
            ("abcde", "aZcde", "aYcde", CLASH),
            ("abcde", "aXcde", "abYde", CLASH),
            ("abcde", "acde", "abcdeF", Ok("acdeF")),
            ("abcde", "acde", "abbcde", CLASH),
            ("", "a", "a", Ok("a")),
            ("", "a", "b", CLASH),
            ("abcdefg", "abXcdefg", "abcdeYfg", Ok("abXcdeYfg")),
            ("abcdefg", "", "abcdefg", Ok("")),
            ("abc", "abcX", "Yabc", Ok("YabcX")),
        ] {
            assert_eq!(merge(base, ours, theirs), expected.map(str::to_owned), "{base} {ours} {theirs}");
        }
    }

    #[test]
    fn a_missing_last_line_break_is_kept() {
        assert_eq!(merge_text(b"a\nb\nc", b"X\nb\nc", b"a\nb\nc").unwrap(), b"X\nb\nc");
        assert_eq!(merge_text(b"a\nb\nc", b"X\nb\nc", b"a\nb\nc\n").unwrap(), b"X\nb\nc\n");
    }

    #[test]
    fn binary_files_are_not_merged() {
        assert_eq!(merge_text(b"a\0", b"b\0", b"c\0"), Err("it is binary and changed on both sides"));
    }
}
