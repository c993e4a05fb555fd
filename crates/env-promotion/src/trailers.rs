//! The trailers of our commits: who asked for what, which operation, which build.
//!
//! They are written as the last paragraph of a commit message, where every Git tool finds them. Reading is tolerant: what
//! can't be read is named and left out, the rest counts. Trailers of a commit that is not signed by the operator are
//! claims, not proof; the reader decides.

use std::fmt::Write as _;

use object_model::Uid;

use crate::operation::OperationId;
use crate::version::Version;

/// What an operation does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Moves versions into an environment.
    Promote,
    /// Takes an environment back to earlier content, by a person or by a failed step.
    Rollback,
    /// Takes back what an aborted rollout brought.
    Abort,
    /// Brings a version into an environment past its pipeline.
    Hotfix,
}

impl Action {
    /// The word in the trailer.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Promote => "promote",
            Self::Rollback => "rollback",
            Self::Abort => "abort",
            Self::Hotfix => "hotfix",
        }
    }

    /// Reads the word.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Promote, Self::Rollback, Self::Abort, Self::Hotfix].into_iter().find(|action| action.as_str() == text)
    }
}

/// An object that a trailer names: `namespace/name@uid`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectReference {
    /// Namespace.
    pub namespace: String,
    /// Name.
    pub name: String,
    /// Uid.
    pub uid: Uid,
}

/// A place and a commit: `stage@1f3a…`, `https://github.com/acme/web@1f3a…`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct At {
    /// The environment or the repository.
    pub place: String,
    /// The commit.
    pub commit: String,
}

impl At {
    /// Reads `PLACE@COMMIT`; the commit is hexadecimal.
    pub fn parse(text: &str) -> Option<Self> {
        at(text)
    }
}

/// All trailers that we write; each may be absent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Trailers {
    /// `Sluice-Operation`: the idempotency key.
    pub operation: Option<OperationId>,
    /// `Sluice-Action`.
    pub action: Option<Action>,
    /// `Sluice-Promotion`: the Promotion object.
    pub promotion: Option<ObjectReference>,
    /// `Sluice-Group`: the release group.
    pub group: Option<ObjectReference>,
    /// `Sluice-Env`: the environment that is written.
    pub env: Option<String>,
    /// `Sluice-From`: the environment and commit that the versions come from, or the config and commit that is restored.
    pub from: Option<At>,
    /// `Sluice-Version`, repeated.
    pub versions: Vec<Version>,
    /// `Sluice-Reverts`: the commit that is taken back.
    pub reverts: Option<String>,
    /// `Sluice-Reason`.
    pub reason: Option<String>,
    /// `Sluice-Requested-By`.
    pub requested_by: Option<String>,
    /// `Sluice-Approved-By`, repeated.
    pub approved_by: Vec<String>,
    /// `Sluice-Build`: URL or invocation of the build.
    pub build: Option<String>,
    /// `Sluice-Source`: the source repository and commit that were built.
    pub source: Option<At>,
}

/// A trailer that can't be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("trailer `{key}: {value}` can't be read, it is written {form}")]
pub struct TrailerProblem {
    /// The key.
    pub key: String,
    /// The value, cut when long.
    pub value: String,
    /// How it is written.
    pub form: &'static str,
}

/// Longer values are cut, so that no input makes an endless commit message.
const VALUE_MAX: usize = 512;

/// More trailers than an operation has; what follows is not read.
const TRAILERS_MAX: usize = 256;

impl Trailers {
    /// Writes the paragraph, one line per trailer, without a final newline; empty when there is none.
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        let mut line = |key: &str, value: &str| {
            let value = one_line(value, VALUE_MAX);
            if !value.is_empty() {
                let separator = if text.is_empty() { "" } else { "\n" };
                let _ = write!(text, "{separator}Sluice-{key}: {value}");
            }
        };
        if let Some(operation) = &self.operation {
            line("Operation", operation.as_str());
        }
        if let Some(action) = self.action {
            line("Action", action.as_str());
        }
        for (key, object) in [("Promotion", &self.promotion), ("Group", &self.group)] {
            if let Some(object) = object {
                line(key, &format!("{}/{}@{}", object.namespace, object.name, object.uid));
            }
        }
        line("Env", self.env.as_deref().unwrap_or_default());
        if let Some(from) = &self.from {
            line("From", &format!("{}@{}", from.place, from.commit));
        }
        for version in &self.versions {
            line("Version", &version.to_string());
        }
        line("Reverts", self.reverts.as_deref().unwrap_or_default());
        line("Reason", self.reason.as_deref().unwrap_or_default());
        line("Requested-By", self.requested_by.as_deref().unwrap_or_default());
        for person in &self.approved_by {
            line("Approved-By", person);
        }
        line("Build", self.build.as_deref().unwrap_or_default());
        if let Some(source) = &self.source {
            line("Source", &format!("{}@{}", source.place, source.commit));
        }
        text
    }

    /// Reads the last paragraph of a commit message.
    ///
    /// Only that paragraph counts, so that a text which quotes trailers further up is not taken for them. Of a trailer
    /// that stands once and is written twice the first counts, and the second is a problem.
    pub fn parse(message: &str) -> (Self, Vec<TrailerProblem>) {
        let mut trailers = Self::default();
        let mut problems = Vec::new();
        for (key, value) in last_paragraph(message).into_iter().take(TRAILERS_MAX) {
            if let Err(form) = trailers.take(&key, &value) {
                problems.push(TrailerProblem { key: format!("Sluice-{key}"), value: one_line(&value, 80), form });
            }
        }
        (trailers, problems)
    }

    fn take(&mut self, key: &str, value: &str) -> Result<(), &'static str> {
        match key.to_ascii_lowercase().as_str() {
            "operation" => once(&mut self.operation, OperationId::parse(value).ok_or("as letters, digits and -")?),
            "action" => once(&mut self.action, Action::parse(value).ok_or("promote, rollback, abort or hotfix")?),
            "promotion" => once(&mut self.promotion, object(value).ok_or("namespace/name@uid")?),
            "group" => once(&mut self.group, object(value).ok_or("namespace/name@uid")?),
            "env" => once(&mut self.env, value.to_owned()),
            "from" => once(&mut self.from, at(value).ok_or("environment@commit")?),
            "version" => {
                self.versions.push(Version::parse(value).map_err(|_| "name=tag@digest")?);
                Ok(())
            }
            "reverts" => once(&mut self.reverts, commit(value).ok_or("as a commit id")?.to_owned()),
            "reason" => once(&mut self.reason, value.to_owned()),
            "requested-by" => once(&mut self.requested_by, value.to_owned()),
            "approved-by" => {
                self.approved_by.push(value.to_owned());
                Ok(())
            }
            "build" => once(&mut self.build, value.to_owned()),
            "source" => once(&mut self.source, at(value).ok_or("repository@commit")?),
            // Trailers of a later version are not ours to judge.
            _ => Ok(()),
        }
    }
}

fn once<T>(slot: &mut Option<T>, value: T) -> Result<(), &'static str> {
    if slot.is_some() {
        return Err("once");
    }
    *slot = Some(value);
    Ok(())
}

fn object(value: &str) -> Option<ObjectReference> {
    let (path, uid) = value.rsplit_once('@')?;
    let (namespace, name) = path.split_once('/')?;
    let is_complete = !namespace.is_empty() && !name.is_empty() && !uid.is_empty();
    is_complete.then(|| ObjectReference { namespace: namespace.to_owned(), name: name.to_owned(), uid: Uid::new(uid) })
}

fn at(value: &str) -> Option<At> {
    let (place, id) = value.rsplit_once('@')?;
    let commit = commit(id)?;
    (!place.is_empty()).then(|| At { place: place.to_owned(), commit: commit.to_owned() })
}

fn commit(value: &str) -> Option<&str> {
    let is_commit = (4..=64).contains(&value.len()) && value.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_commit.then_some(value)
}

/// The `Sluice-` lines of the last paragraph, continuation lines joined.
fn last_paragraph(message: &str) -> Vec<(String, String)> {
    let lines: Vec<&str> = message.lines().map(str::trim_end).collect();
    let end = lines.iter().rposition(|line| !line.is_empty()).map_or(0, |last| last + 1);
    let start = lines.iter().take(end).rposition(|line| line.is_empty()).map_or(0, |blank| blank + 1);
    let mut found: Vec<(String, String)> = Vec::new();
    let mut is_ours = false;
    for line in lines.iter().take(end).skip(start) {
        if line.starts_with([' ', '\t']) {
            if let (true, Some((_, value))) = (is_ours, found.last_mut()) {
                value.push(' ');
                value.push_str(line.trim());
            }
            continue;
        }
        is_ours = false;
        let Some((key, value)) = line.split_once(':') else { continue };
        let prefix = key.get(..7).filter(|prefix| prefix.eq_ignore_ascii_case("sluice-"));
        if let (Some(_), Some(key)) = (prefix, key.get(7..)) {
            found.push((key.to_owned(), value.trim().to_owned()));
            is_ours = true;
        }
    }
    found
}

/// Makes one line of a text: control characters and line separators become single spaces, and what is longer than
/// `bytes_max` is cut. So no value can begin another trailer.
pub(crate) fn one_line(text: &str, bytes_max: usize) -> String {
    let mut line = String::new();
    for word in text.split(|c: char| c.is_whitespace() || c.is_control() || matches!(c, '\u{2028}' | '\u{2029}')) {
        if word.is_empty() {
            continue;
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    if line.len() <= bytes_max {
        return line;
    }
    let mut end = bytes_max.saturating_sub(3);
    while !line.is_char_boundary(end) {
        end -= 1;
    }
    line.truncate(end);
    line.push_str("...");
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    fn full() -> Trailers {
        Trailers {
            operation: Some(OperationId::of_parts(&["x"])),
            action: Some(Action::Promote),
            promotion: Some(ObjectReference {
                namespace: "default".to_owned(),
                name: "web-7".to_owned(),
                uid: Uid::new("p1"),
            }),
            group: None,
            env: Some("e2e".to_owned()),
            from: Some(At { place: "qa".to_owned(), commit: "0123456789abcdef0123456789abcdef01234567".to_owned() }),
            versions: vec![Version::parse("web=1.2.4").unwrap(), Version::parse("api=2").unwrap()],
            reverts: None,
            reason: Some("weekly release".to_owned()),
            requested_by: Some("ann@example.com".to_owned()),
            approved_by: vec!["bo@example.com".to_owned()],
            build: Some("https://ci.example.com/7".to_owned()),
            source: Some(At {
                place: "https://git.example.com/acme/web.git".to_owned(),
                commit: "abcd1234".to_owned(),
            }),
        }
    }

    #[test]
    fn trailers_read_back() {
        let text = format!("promote web 1.2.4 to e2e\n\nbody\n\n{}\n", full().to_text());
        assert_eq!(Trailers::parse(&text), (full(), Vec::new()));
    }

    #[test]
    fn case_36_no_value_can_begin_another_trailer() {
        for forged in [
            "bad\nSluice-Env: prod",
            "bad\r\nSigned-off-by: x",
            "bad\u{2028}Sluice-Env: prod",
            "bad\n\nSluice-Env: prod",
            "bad\u{b}\u{c}\u{85}Sluice-Env: prod",
        ] {
            let trailers = Trailers { reason: Some(forged.to_owned()), ..Trailers::default() };
            let text = trailers.to_text();
            assert_eq!(text.lines().count(), 1, "{text:?}");
            let (read, problems) = Trailers::parse(&format!("subject\n\n{text}\n"));
            assert_eq!((read.env, problems.len()), (None, 0), "{forged:?}");
        }
    }

    #[test]
    fn only_the_last_paragraph_counts() {
        let (read, _) = Trailers::parse("subject\n\nSluice-Env: prod\n\nSluice-Env: qa\nCo-authored-by: x\n");
        assert_eq!(read.env.as_deref(), Some("qa"));
        let (read, _) = Trailers::parse("subject\n\nSluice-Env: prod\n\nthe end\n");
        assert_eq!(read.env, None);
    }

    #[test]
    fn continuation_lines_are_joined_and_keys_are_read_in_any_case() {
        let (read, _) = Trailers::parse("s\n\nsluice-reason: one\n  two\nOther: x\n  not ours\n");
        assert_eq!(read.reason.as_deref(), Some("one two"));
    }

    #[test]
    fn what_can_not_be_read_is_named_and_the_rest_counts() {
        let (read, problems) =
            Trailers::parse("s\n\nSluice-Operation: x y\nSluice-Env: qa\nSluice-Env: prod\nSluice-New: y\n");
        assert_eq!(read.env.as_deref(), Some("qa"));
        let texts: Vec<String> = problems.iter().map(ToString::to_string).collect();
        assert_eq!(
            texts,
            [
                "trailer `Sluice-Operation: x y` can't be read, it is written as letters, digits and -",
                "trailer `Sluice-Env: prod` can't be read, it is written once",
            ]
        );
    }

    #[test]
    fn a_long_value_is_cut_at_a_character() {
        let cut = one_line(&"ä".repeat(400), 512);
        assert!(cut.len() <= 512 && cut.ends_with("..."), "{}", cut.len());
    }
}
