//! What a script saw: one entry for each call that has an answer, as text that people read and diff.

use std::fmt::Write as _;

use serde_json::Value;

/// The answers of one script.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Transcript {
    /// In the order of the calls.
    pub entries: Vec<Entry>,
}

/// The answer to one call.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// The call as the script writes it.
    pub call: String,
    /// The HTTP status; none where a call collects something else, such as events.
    pub status: Option<u16>,
    /// Headers that mean something to a client, in order.
    pub headers: Vec<(String, String)>,
    /// The answer: an object, a list of events, or a text.
    pub body: Value,
    /// The paths of the body that are kept; all where it is none.
    pub only: Option<Vec<String>>,
}

/// Why a recorded transcript cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {message}")]
pub struct TranscriptError {
    /// Where, from 1.
    pub line: usize,
    /// What is wrong.
    pub message: String,
}

const CALL: &str = "> ";
const STATUS: &str = "HTTP ";

impl Transcript {
    /// Writes the transcript as text: for each entry the call, status, headers and the body as YAML.
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        for entry in &self.entries {
            if !text.is_empty() {
                text.push('\n');
            }
            let _ = writeln!(text, "{CALL}{}", entry.call);
            if let Some(status) = entry.status {
                let _ = writeln!(text, "{STATUS}{status}");
            }
            for (name, value) in &entry.headers {
                let _ = writeln!(text, "{name}: {value}");
            }
            if !entry.body.is_null() {
                text.push_str("---\n");
                text.push_str(&yaml::to_yaml(&entry.body));
            }
        }
        text
    }

    /// Reads what [`Transcript::to_text`] has written.
    ///
    /// # Errors
    ///
    /// Names the line that is not part of a transcript.
    pub fn parse(text: &str) -> Result<Self, TranscriptError> {
        let mut entries: Vec<Entry> = Vec::new();
        let mut body: Option<(usize, String)> = None;
        for (index, line) in text.lines().enumerate() {
            let number = index + 1;
            if let Some(call) = line.strip_prefix(CALL) {
                finish(entries.last_mut(), body.take())?;
                entries.push(Entry {
                    call: call.to_owned(),
                    status: None,
                    headers: Vec::new(),
                    body: Value::Null,
                    only: None,
                });
                continue;
            }
            if let Some((_, body)) = &mut body {
                body.push_str(line);
                body.push('\n');
                continue;
            }
            let Some(entry) = entries.last_mut() else {
                return Err(TranscriptError { line: number, message: "no call above".to_owned() });
            };
            if line == "---" {
                body = Some((number, String::new()));
            } else if let Some(status) = line.strip_prefix(STATUS) {
                let status = status.parse();
                entry.status =
                    Some(status.map_err(|_| TranscriptError { line: number, message: "no status".to_owned() })?);
            } else if let Some((name, value)) = line.split_once(": ") {
                entry.headers.push((name.to_owned(), value.to_owned()));
            } else if !line.is_empty() {
                return Err(TranscriptError { line: number, message: format!("`{line}` is no header") });
            }
        }
        finish(entries.last_mut(), body)?;
        Ok(Self { entries })
    }
}

fn finish(entry: Option<&mut Entry>, body: Option<(usize, String)>) -> Result<(), TranscriptError> {
    let (Some(entry), Some((start, body))) = (entry, body) else { return Ok(()) };
    let documents = yaml::parse(&body).map_err(|problems| {
        let problem = problems.into_iter().next();
        let (line, message) = problem.map_or((0, "no YAML".to_owned()), |problem| (problem.line, problem.message));
        TranscriptError { line: start + line as usize, message }
    })?;
    entry.body = documents.into_iter().next().map_or(Value::Null, |document| document.value);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_transcript_reads_back_as_it_was_written() {
        let transcript = Transcript {
            entries: vec![
                Entry {
                    call: "create configmaps/a".to_owned(),
                    status: Some(201),
                    headers: vec![("Warning".to_owned(), "299 - \"unknown field: \\\"x\\\"\"".to_owned())],
                    body: json!({"kind": "ConfigMap", "data": {"text": "a\nb\n", "number": "1", "yes": "yes"}}),
                    only: None,
                },
                Entry { call: "events w 0".to_owned(), status: None, headers: vec![], body: json!([]), only: None },
                Entry {
                    call: "get /healthz".to_owned(),
                    status: Some(200),
                    headers: vec![],
                    body: json!("ok"),
                    only: None,
                },
            ],
        };
        assert_eq!(Transcript::parse(&transcript.to_text()).unwrap(), transcript);
    }
}
