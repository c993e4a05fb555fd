//! A line diff in the unified format.

use std::fmt::Write as _;

/// More than this many changed lines on both sides are printed as one replacement: the table of a longest common
/// subsequence grows with their product.
const TABLE_MAX: usize = 4_000_000;

#[derive(Clone, Copy, PartialEq)]
enum Line<'a> {
    Same(&'a str),
    Gone(&'a str),
    Come(&'a str),
}

/// Prints the hunks from `before` to `after` with `context` lines around.
pub(super) fn diff(before: &str, after: &str, context: usize) -> String {
    let before: Vec<&str> = before.lines().collect();
    let after: Vec<&str> = after.lines().collect();
    let lines = align(&before, &after);
    let mut text = String::new();
    let mut at = 0;
    while let Some(first) = lines.iter().skip(at).position(is_change).map(|offset| at + offset) {
        let start = first.saturating_sub(context).max(at);
        let mut end = first + 1;
        let mut quiet = 0;
        for (index, line) in lines.iter().enumerate().skip(first + 1) {
            quiet = if is_change(line) { 0 } else { quiet + 1 };
            if quiet > context * 2 {
                break;
            }
            if is_change(line) {
                end = index + 1;
            }
        }
        let stop = (end + context).min(lines.len());
        print_hunk(&lines, start, stop, &mut text);
        at = stop;
    }
    text
}

fn is_change(line: &Line<'_>) -> bool {
    !matches!(line, Line::Same(_))
}

fn print_hunk(lines: &[Line<'_>], start: usize, stop: usize, text: &mut String) {
    let count = |from: usize, to: usize, old: bool| {
        let counts = |line: &&Line<'_>| match line {
            Line::Same(_) => true,
            Line::Gone(_) => old,
            Line::Come(_) => !old,
        };
        lines.iter().skip(from).take(to - from).filter(counts).count()
    };
    let range = |old: bool| {
        let (skipped, length) = (count(0, start, old), count(start, stop, old));
        // An empty range is named by the line before it.
        let first = if length == 0 { skipped } else { skipped + 1 };
        if length == 1 { first.to_string() } else { format!("{first},{length}") }
    };
    let _ = writeln!(text, "@@ -{} +{} @@", range(true), range(false));
    for line in lines.iter().skip(start).take(stop - start) {
        let _ = match line {
            Line::Same(line) => writeln!(text, " {line}"),
            Line::Gone(line) => writeln!(text, "-{line}"),
            Line::Come(line) => writeln!(text, "+{line}"),
        };
    }
}

fn align<'a>(before: &[&'a str], after: &[&'a str]) -> Vec<Line<'a>> {
    let head = before.iter().zip(after).take_while(|(left, right)| left == right).count();
    let (before_rest, after_rest) = (before.get(head..).unwrap_or_default(), after.get(head..).unwrap_or_default());
    let tail = before_rest.iter().rev().zip(after_rest.iter().rev()).take_while(|(left, right)| left == right).count();
    let middle = |rest: &[&'a str]| rest.iter().take(rest.len() - tail).copied().collect::<Vec<_>>();
    let (old, new) = (middle(before_rest), middle(after_rest));
    let mut lines: Vec<Line<'a>> = before.iter().take(head).map(|line| Line::Same(line)).collect();
    if old.len().saturating_mul(new.len()) > TABLE_MAX {
        lines.extend(old.iter().map(|line| Line::Gone(line)));
        lines.extend(new.iter().map(|line| Line::Come(line)));
    } else {
        lines.extend(common(&old, &new));
    }
    lines.extend(before_rest.iter().skip(before_rest.len() - tail).map(|line| Line::Same(line)));
    lines
}

/// Aligns by a longest common subsequence.
fn common<'a>(old: &[&'a str], new: &[&'a str]) -> Vec<Line<'a>> {
    let width = new.len() + 1;
    let mut table = vec![0_u32; (old.len() + 1) * width];
    let read = |table: &[u32], row: usize, column: usize| table.get(row * width + column).copied().unwrap_or(0);
    for (row, left) in old.iter().enumerate().rev() {
        for (column, right) in new.iter().enumerate().rev() {
            let best = if left == right {
                read(&table, row + 1, column + 1) + 1
            } else {
                read(&table, row + 1, column).max(read(&table, row, column + 1))
            };
            if let Some(cell) = table.get_mut(row * width + column) {
                *cell = best;
            }
        }
    }
    let mut lines = Vec::with_capacity(old.len() + new.len());
    let (mut row, mut column) = (0, 0);
    loop {
        match (old.get(row), new.get(column)) {
            (Some(left), Some(right)) if left == right => {
                lines.push(Line::Same(left));
                row += 1;
                column += 1;
            }
            (Some(left), Some(_)) if read(&table, row + 1, column) >= read(&table, row, column + 1) => {
                lines.push(Line::Gone(left));
                row += 1;
            }
            (_, Some(right)) => {
                lines.push(Line::Come(right));
                column += 1;
            }
            (Some(left), None) => {
                lines.push(Line::Gone(left));
                row += 1;
            }
            (None, None) => return lines,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_far_apart_are_two_hunks() {
        let before: String = (1..=20).map(|line| format!("l{line}\n")).collect();
        let after = before.replace("l3\n", "changed\n").replace("l18\n", "l18\nnew\n");
        insta::assert_snapshot!(diff(&before, &after, 1), @r"
        @@ -2,3 +2,3 @@
         l2
        -l3
        +changed
         l4
        @@ -18,2 +18,3 @@
         l18
        +new
         l19
        ");
    }

    #[test]
    fn a_creation_begins_before_the_first_line() {
        assert_eq!(diff("", "a\nb\n", 3), "@@ -0,0 +1,2 @@\n+a\n+b\n");
    }
}
