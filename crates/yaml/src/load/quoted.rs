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
            if open_quote.is_some() {
                moved.lines.push((number, characters));
                moved.text.push_str(&" ".repeat(SHIFT));
                characters += SHIFT;
                open_quote = open_at_end(content, open_quote);
            } else if block_indent.is_some_and(|block| indent > block || content.trim().is_empty()) {
                // A line of a block text; quotes in it are its own.
            } else {
                let value = content.trim_start_matches("- ").split_once(": ").map_or(content, |(_, value)| value);
                let value = value.trim_start_matches("- ").trim();
                block_indent = value.starts_with(['|', '>']).then_some(indent);
                let may_quote = value.starts_with(['\'', '"', '[', '{']);
                open_quote = may_quote.then(|| open_at_end(value, None)).flatten();
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

/// The quote of the text that is open at the end of a line, when one was open at its beginning or one begins in it.
fn open_at_end(line: &str, before: Option<char>) -> Option<char> {
    let mut open = before;
    let mut characters = line.chars().peekable();
    let mut last = ' ';
    while let Some(character) = characters.next() {
        match open {
            Some('"') if character == '\\' => {
                characters.next();
            }
            Some('\'') if character == '\'' && characters.peek() == Some(&'\'') => {
                characters.next();
            }
            Some(quote) if character == quote => open = None,
            Some(_) => {}
            None if character == '#' && last == ' ' => return None,
            // Anywhere else it is a character of a plain text.
            None if matches!(character, '\'' | '"') && matches!(last, ' ' | '[' | '{' | ',' | ':') => {
                open = Some(character);
            }
            None => {}
        }
        last = character;
    }
    open
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
