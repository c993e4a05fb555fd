//! Quoted texts whose further lines begin left of where YAML wants them. Go takes them, and many definitions have them.

/// What the parser says of a line of a quoted text that begins too far to the left.
pub(super) const FAULT: &str = "invalid indentation in quoted scalar";

/// Further to the right than keys stand.
const SHIFT: usize = 256;

/// A text with the further lines of its quoted texts moved to the right. Their leading blanks mean nothing, so the texts
/// stay the same.
#[derive(Debug, Default)]
pub(super) struct Moved {
    pub(super) text: String,
    /// The lines that were moved, counted from 0, and the character of the moved text at which each begins; in order.
    lines: Vec<(usize, usize)>,
}

impl Moved {
    pub(super) fn of(text: &str) -> Self {
        let mut moved = Self { text: String::with_capacity(text.len() + text.len() / 4), lines: Vec::new() };
        let mut open_quote = None;
        let mut block_indent = None;
        let mut characters = 0;
        for (number, line) in text.split_inclusive('\n').enumerate() {
            let content = line.trim_start_matches(' ');
            let indent = line.len() - content.len();
            if let Some(quote) = open_quote {
                moved.lines.push((number, characters));
                moved.text.push_str(&" ".repeat(SHIFT));
                characters += SHIFT;
                if closes(content, quote) {
                    open_quote = None;
                }
            } else if block_indent.is_some_and(|block| indent > block || content.trim().is_empty()) {
                // A line of a block text; quotes in it are its own.
            } else {
                let value = content.trim_start_matches("- ").split_once(": ").map_or(content, |(_, value)| value);
                let value = value.trim_start_matches("- ").trim();
                block_indent = value.starts_with(['|', '>']).then_some(indent);
                let quote = value.chars().next().filter(|first| matches!(first, '\'' | '"'));
                open_quote = quote.filter(|quote| !closes(value.get(1..).unwrap_or_default(), *quote));
            }
            moved.text.push_str(line);
            characters += line.chars().count();
        }
        moved
    }

    /// The character of the text as it was, for one of the moved text.
    pub(super) fn index(&self, index: usize) -> usize {
        let before = self.lines.partition_point(|(_, start)| *start < index);
        let inside = before.checked_sub(1).and_then(|last| self.lines.get(last)).map_or(0, |(_, start)| {
            // Within the blanks that were put in: the place is where they were put.
            (start + SHIFT).saturating_sub(index)
        });
        index + inside - before * SHIFT
    }

    /// The column of the text as it was, for one of the moved text; line and column count from 0.
    pub(super) fn column(&self, line: usize, column: usize) -> usize {
        match self.lines.binary_search_by_key(&line, |(number, _)| *number) {
            Ok(_) => column.saturating_sub(SHIFT),
            Err(_) => column,
        }
    }
}

/// Whether a quoted text ends in what follows its beginning.
fn closes(rest: &str, quote: char) -> bool {
    let mut characters = rest.chars().peekable();
    while let Some(character) = characters.next() {
        if character == '\\' && quote == '"' {
            characters.next();
        } else if character == quote {
            if quote == '\'' && characters.peek() == Some(&'\'') {
                characters.next();
            } else {
                return true;
            }
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_of_a_moved_text_lead_back_to_the_text() {
        let text = "a: 'é\nb'\nc: \"d\n\n  e\"\nf: 1\n";
        let moved = Moved::of(text);
        let original: Vec<char> = text.chars().collect();
        let mut expected = 0;
        for (index, character) in moved.text.chars().enumerate() {
            let at = moved.index(index);
            assert!(at == expected || at + 1 == expected || character == ' ', "{index}");
            if original.get(expected) == Some(&character) && at == expected {
                expected += 1;
            }
        }
        assert_eq!(expected, original.len());
        assert_eq!((moved.column(1, SHIFT), moved.column(0, 3), moved.column(5, 2)), (0, 3, 2));
    }
}
