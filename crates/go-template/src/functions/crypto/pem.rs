//! PEM: bytes in base64 between lines that name what they are.

use super::super::encoding::{BASE64, decode64};
use super::super::runes::find;

const LINE_CHARACTERS: usize = 64;

/// Bytes with their name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Block {
    pub(crate) kind: String,
    pub(crate) bytes: Vec<u8>,
}

impl Block {
    /// Writes the block.
    pub(crate) fn encode(&self) -> String {
        let mut text = format!("-----BEGIN {}-----\n", self.kind);
        for line in BASE64.encode(&self.bytes).chunks(LINE_CHARACTERS) {
            text.extend(line.iter().copied().map(char::from));
            text.push('\n');
        }
        text.push_str(&format!("-----END {}-----\n", self.kind));
        text
    }

    /// Reads the first block of a text; anything before it is skipped, and headers are too.
    pub(crate) fn decode(text: &[u8]) -> Option<Self> {
        let mut rest = text;
        // Each turn skips at least one beginning.
        loop {
            let start = if rest.starts_with(BEGIN) { 0 } else { find(rest, b"\n-----BEGIN ")? + 1 };
            rest = rest.get(start + BEGIN.len()..)?;
            if let Some(block) = decode_after_begin(rest) {
                return Some(block);
            }
        }
    }
}

const BEGIN: &[u8] = b"-----BEGIN ";

fn decode_after_begin(text: &[u8]) -> Option<Block> {
    let (line, body) = split_line(text);
    let kind = line.strip_suffix(b"-----")?;
    let kind = std::str::from_utf8(kind).ok()?;
    let end = format!("-----END {kind}-----");
    let place = find(body, end.as_bytes())?;
    if place > 0 && body.get(place - 1) != Some(&b'\n') {
        return None;
    }
    let mut content = body.get(..place)?;
    // Headers are lines with a colon; an empty line ends them.
    loop {
        let (line, after) = split_line(content);
        if !line.contains(&b':') {
            break;
        }
        content = after;
    }
    let digits: Vec<u8> = content.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect();
    Some(Block { kind: kind.to_owned(), bytes: decode64(&digits).ok()? })
}

fn split_line(text: &[u8]) -> (&[u8], &[u8]) {
    let end = text.iter().position(|&byte| byte == b'\n').unwrap_or(text.len());
    let line = text.get(..end).unwrap_or(text);
    (line.trim_ascii_end(), text.get(end + 1..).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_come_back_as_they_went() {
        let block = Block { kind: "RSA PRIVATE KEY".to_owned(), bytes: (0..=200).collect() };
        let text = block.encode();
        assert!(text.lines().all(|line| line.len() <= 64));
        assert_eq!(Block::decode(format!("before\n{text}after").as_bytes()), Some(block));
        assert_eq!(Block::decode(b"-----BEGIN A-----\n!\n-----END A-----\n"), None);
        assert_eq!(Block::decode(b"none"), None);
    }
}
