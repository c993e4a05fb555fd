//! DER: the few types that keys and certificates consist of, written and read.

/// Tags of the types.
pub(crate) mod tag {
    pub(crate) const BOOLEAN: u8 = 0x01;
    pub(crate) const INTEGER: u8 = 0x02;
    pub(crate) const BIT_STRING: u8 = 0x03;
    pub(crate) const OCTET_STRING: u8 = 0x04;
    pub(crate) const NULL: u8 = 0x05;
    pub(crate) const OBJECT_IDENTIFIER: u8 = 0x06;
    pub(crate) const UTF8_STRING: u8 = 0x0C;
    pub(crate) const PRINTABLE_STRING: u8 = 0x13;
    pub(crate) const UTC_TIME: u8 = 0x17;
    pub(crate) const GENERALIZED_TIME: u8 = 0x18;
    pub(crate) const SEQUENCE: u8 = 0x30;
    pub(crate) const SET: u8 = 0x31;

    /// A tag of the context with other values within.
    pub(crate) const fn explicit(number: u8) -> u8 {
        0xA0 | number
    }

    /// A tag of the context instead of the type's own.
    pub(crate) const fn implicit(number: u8) -> u8 {
        0x80 | number
    }
}

/// Writes a value with its tag and length.
pub(crate) fn value(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut written = vec![tag];
    match u8::try_from(content.len()) {
        Ok(short) if short < 0x80 => written.push(short),
        _ => {
            let length = content.len().to_be_bytes();
            let significant = length.iter().skip_while(|&&byte| byte == 0);
            let count = u8::try_from(significant.clone().count()).unwrap_or(8);
            written.push(0x80 | count);
            written.extend(significant);
        }
    }
    written.extend_from_slice(content);
    written
}

/// Writes values one after the other under a tag.
pub(crate) fn all(tag: u8, values: &[Vec<u8>]) -> Vec<u8> {
    value(tag, &values.concat())
}

/// Writes a sequence of values.
pub(crate) fn sequence(values: &[Vec<u8>]) -> Vec<u8> {
    all(tag::SEQUENCE, values)
}

/// Writes a positive integer out of its bytes, the greatest first.
pub(crate) fn integer(bytes: &[u8]) -> Vec<u8> {
    let mut content: Vec<u8> = bytes.iter().copied().skip_while(|&byte| byte == 0).collect();
    if content.first().is_none_or(|&byte| byte >= 0x80) {
        content.insert(0, 0);
    }
    value(tag::INTEGER, &content)
}

/// Writes a string of whole bytes as bits.
pub(crate) fn bit_string(bytes: &[u8]) -> Vec<u8> {
    value(tag::BIT_STRING, &[&[0], bytes].concat())
}

/// Writes an object identifier.
pub(crate) fn object_identifier(arcs: &[u32]) -> Vec<u8> {
    let mut content = Vec::new();
    let (first, rest) = match arcs {
        [first, second, rest @ ..] => (first * 40 + second, rest),
        _ => (0, arcs),
    };
    for &arc in std::iter::once(&first).chain(rest) {
        let septets = (32 - arc.leading_zeros()).div_ceil(7).max(1);
        for place in (0..septets).rev() {
            let septet = u8::try_from(arc >> (7 * place) & 0x7F).unwrap_or(0);
            content.push(if place > 0 { septet | 0x80 } else { septet });
        }
    }
    value(tag::OBJECT_IDENTIFIER, &content)
}

/// Why bytes are no DER of the expected shape.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum DerError {
    /// Bytes are missing.
    #[error("asn1: syntax error: data truncated")]
    Truncated,
    /// Another type was expected.
    #[error("asn1: structure error: tags don't match")]
    Tag,
    /// Bytes are left.
    #[error("asn1: syntax error: trailing data")]
    Trailing,
}

/// Reads values one after the other.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

/// A value: its content, and the whole with tag and length.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Element<'a> {
    pub(crate) tag: u8,
    pub(crate) content: &'a [u8],
    pub(crate) whole: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Returns a reader over bytes.
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// Reads the next value of any type.
    pub(crate) fn any(&mut self) -> Result<Element<'a>, DerError> {
        let [tag, length, rest @ ..] = self.rest else { return Err(DerError::Truncated) };
        let (length, rest) = if *length < 0x80 {
            (usize::from(*length), rest)
        } else {
            let count = usize::from(length & 0x7F);
            let (bytes, rest) = rest.split_at_checked(count).ok_or(DerError::Truncated)?;
            if count == 0 || count > 4 {
                return Err(DerError::Truncated);
            }
            (bytes.iter().fold(0, |length, &byte| length << 8 | usize::from(byte)), rest)
        };
        let (content, after) = rest.split_at_checked(length).ok_or(DerError::Truncated)?;
        let whole = self.rest.get(..self.rest.len() - after.len()).unwrap_or_default();
        self.rest = after;
        Ok(Element { tag: *tag, content, whole })
    }

    /// Reads the next value when it has the tag.
    pub(crate) fn optional(&mut self, tag: u8) -> Result<Option<Element<'a>>, DerError> {
        if self.rest.first() == Some(&tag) { self.any().map(Some) } else { Ok(None) }
    }

    /// Reads the next value, which must have the tag.
    pub(crate) fn expect(&mut self, tag: u8) -> Result<Element<'a>, DerError> {
        if self.rest.is_empty() {
            return Err(DerError::Truncated);
        }
        self.optional(tag)?.ok_or(DerError::Tag)
    }

    /// Reads a sequence.
    pub(crate) fn sequence(&mut self) -> Result<Self, DerError> {
        Ok(Self::new(self.expect(tag::SEQUENCE)?.content))
    }

    /// Reads an integer as bytes without leading zeros.
    pub(crate) fn integer(&mut self) -> Result<&'a [u8], DerError> {
        let content = self.expect(tag::INTEGER)?.content;
        let zeros = content.iter().take_while(|&&byte| byte == 0).count();
        Ok(content.get(zeros..).unwrap_or_default())
    }

    /// Reads a string of bits that are whole bytes.
    pub(crate) fn bit_string(&mut self) -> Result<&'a [u8], DerError> {
        match self.expect(tag::BIT_STRING)?.content {
            [0, bytes @ ..] => Ok(bytes),
            _ => Err(DerError::Tag),
        }
    }

    /// Says whether everything has been read.
    pub(crate) fn is_at_end(&self) -> bool {
        self.rest.is_empty()
    }

    /// Fails when something is left.
    pub(crate) fn end(self) -> Result<(), DerError> {
        if self.is_at_end() { Ok(()) } else { Err(DerError::Trailing) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_written_and_read() {
        let written = sequence(&[
            integer(&[0, 0x80]),
            object_identifier(&[1, 2, 840, 113_549, 1, 1, 11]),
            bit_string(&[7]),
            value(tag::OCTET_STRING, &[1; 300]),
        ]);
        assert_eq!(written.get(..7), Some([0x30, 0x82, 0x01, 0x43, 2, 2, 0].as_slice()));
        let mut outer = Reader::new(&written);
        let mut inner = outer.sequence().unwrap();
        assert_eq!(outer.end(), Ok(()));
        assert_eq!(inner.integer(), Ok([0x80].as_slice()));
        let identifier = inner.expect(tag::OBJECT_IDENTIFIER).unwrap();
        assert_eq!(identifier.content, [0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 1, 1, 11]);
        assert_eq!(inner.bit_string(), Ok([7].as_slice()));
        assert!(inner.optional(tag::SET).unwrap().is_none());
        assert_eq!(inner.any().unwrap().content.len(), 300);
        assert!(Reader::new(&[0x30, 5, 1]).any().is_err());
    }
}
