//! From text to documents: the parser's events become values with places, under limits.

mod ambiguity;
mod build;
mod first;
mod json;
mod quoted;
mod scalar;
mod simple;
mod source;

use saphyr_parser::{Event, Parser, ScanError};

use crate::diagnostic::Diagnostic;
use crate::layout::Document;
use crate::limits::Limits;

use build::{Builder, Mark};

pub use first::parse_first_as_go;
pub use scalar::json_number;

/// Parses all documents of a text with the default [`Limits`].
///
/// # Errors
/// Every fault that was found. After a fault the reader goes on at the next line that begins a document (`---`), so
/// one call reports the faults of several documents.
pub fn parse(text: impl AsRef<[u8]>) -> Result<Vec<Document>, Vec<Diagnostic>> {
    parse_with(text, &Limits::default())
}

/// Parses all documents of a text.
///
/// # Errors
/// As [`parse`], and when the text asks for more than `limits` allow.
pub fn parse_with(text: impl AsRef<[u8]>, limits: &Limits) -> Result<Vec<Document>, Vec<Diagnostic>> {
    let text = source::decode(text.as_ref(), limits).map_err(|diagnostic| vec![diagnostic])?;
    if json::is_json(text) {
        let mut builder = Builder::new(limits);
        json::load(text, &mut builder).map_err(|fault| vec![fault])?;
        return Ok(builder.finish());
    }
    match parse_parts(source::Part::whole(text), limits) {
        // Go lets the lines of a quoted text begin anywhere; the parser wants them behind the key.
        Err(faults) if faults.iter().any(|fault| fault.message == quoted::FAULT) => {
            let moved = quoted::Moved::of(text);
            parse_parts(source::Part::moved(&moved), limits)
        }
        outcome => outcome,
    }
}

/// Parses a text, part by part after a fault.
fn parse_parts(mut part: source::Part<'_>, limits: &Limits) -> Result<Vec<Document>, Vec<Diagnostic>> {
    let mut builder = Builder::new(limits);
    let mut faults = Vec::new();
    // Each turn either ends or drops at least one line of the text, and the number of faults is bounded.
    while faults.len() < limits.diagnostics_max.max(1) {
        let Err(fault) = load_part(&part, &mut builder) else { break };
        let line = fault.line;
        let is_limit = builder.is_exhausted();
        if faults.last() != Some(&fault) {
            faults.push(fault);
        }
        builder.abandon_document();
        match part.next_document_from(line) {
            Some(rest) if !is_limit => part = rest,
            _ => break,
        }
    }
    if faults.is_empty() { Ok(builder.finish()) } else { Err(faults) }
}

/// Feeds one part of the text to the builder.
fn load_part(part: &source::Part<'_>, builder: &mut Builder<'_>) -> Result<(), Diagnostic> {
    let mut parser = Parser::new_from_str(part.text());
    let mut watch = ambiguity::Watch::over(part.text());
    while let Some(next) = parser.next_event() {
        let (event, span) = next.map_err(|error| syntax_fault(part, &error))?;
        let place = Mark {
            line: part.line(span.start.line()),
            column: part.column(span.start.line(), span.start.col()),
            start: part.index(span.start.index()),
            end: part.index(span.end.index()),
        };
        match event {
            Event::DocumentStart(_) => builder.start_document(place)?,
            Event::DocumentEnd => builder.end_document(),
            Event::Alias(anchor) => builder.alias(anchor, place)?,
            Event::Scalar(text, style, anchor, tag) => {
                watch.check(&text, style, span.end.index(), place)?;
                let scalar = scalar::Scalar { text: &text, style, tag: tag.as_deref() };
                builder.scalar(&scalar, anchor, place)?;
            }
            Event::SequenceStart(anchor, tag) => {
                watch.open(span.start.index(), span.end.index());
                builder.start_list(anchor, tag.as_deref(), place)?;
            }
            Event::MappingStart(anchor, tag) => {
                watch.open(span.start.index(), span.end.index());
                builder.start_mapping(anchor, tag.as_deref(), place)?;
            }
            Event::SequenceEnd | Event::MappingEnd => {
                watch.close();
                builder.end_collection()?;
            }
            Event::StreamEnd => break,
            Event::StreamStart | Event::Nothing => {}
        }
    }
    Ok(())
}

fn syntax_fault(part: &source::Part<'_>, error: &ScanError) -> Diagnostic {
    let marker = error.marker();
    let line = part.line(marker.line());
    let message = match error.info() {
        "recursion limit exceeded" => "lists and mappings are nested more than 255 levels deep",
        info => info,
    };
    let diagnostic = Diagnostic::new(line, part.column(marker.line(), marker.col()), message);
    match part.hint_for(marker.line(), error.info()) {
        Some(hint) => diagnostic.with_hint(hint),
        None => diagnostic,
    }
}

fn to_u32(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
