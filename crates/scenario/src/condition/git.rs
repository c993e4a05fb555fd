//! Conditions on the repository: files at the head, the newest commit, the history, and how often it was asked.

use git_source::LogEntry;

use super::Verdict;
use super::test::Test;
use crate::world::World;

/// How far back the history is read.
const HISTORY_MAX: usize = 200;

/// A condition on the repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum OfGit {
    /// A file at the head.
    File { path: String, test: Test },
    /// A file that is as in another commit, but for replaced texts.
    AsIn { path: String, commit: String, replaced: Vec<(String, String)> },
    /// Something about the newest commit.
    Head { field: Field, test: Test },
    /// How many commits have a trailer.
    Commits { trailer: String, value: Option<String>, test: Test },
    /// How many requests were made.
    Requests { what: Requests, test: Test },
}

/// What of the newest commit is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Field {
    Id,
    Subject,
    Message,
    Author,
    Paths,
    Trailer(String),
}

/// What requests are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Requests {
    Polls,
    Fetches,
    Pushes,
}

impl OfGit {
    /// Reads what follows the word `git`; a body is the text of a file.
    pub(super) fn parse(words: &[String], body: &str) -> Result<Self, String> {
        let (first, rest) = words.split_first().ok_or("git FILE|head|commits|polls|fetches|pushes ...")?;
        let requests = |what| -> Result<Self, String> { Ok(Self::Requests { what, test: whole(rest)? }) };
        match first.as_str() {
            "head" => Self::head(rest),
            "commits" => Self::commits(rest),
            "polls" => requests(Requests::Polls),
            "fetches" => requests(Requests::Fetches),
            "pushes" => requests(Requests::Pushes),
            path => Self::file(path, rest, body),
        }
    }

    fn head(words: &[String]) -> Result<Self, String> {
        let word = |index: usize| words.get(index).map_or("", String::as_str);
        let (field, length) = match (word(0), word(1)) {
            ("subject", _) => (Field::Subject, 1),
            ("message", _) => (Field::Message, 1),
            ("author", _) => (Field::Author, 1),
            ("changed", "paths") => (Field::Paths, 2),
            ("trailer", name) => (Field::Trailer(name.to_owned()), 2),
            _ => (Field::Id, 0),
        };
        Ok(Self::Head { field, test: whole(words.get(length..).unwrap_or_default())? })
    }

    fn commits(words: &[String]) -> Result<Self, String> {
        let usage = "git commits with trailer NAME [VALUE] OPERATOR COUNT";
        let [with, word, trailer, rest @ ..] = words else { return Err(usage.to_owned()) };
        if with != "with" || word != "trailer" {
            return Err(usage.to_owned());
        }
        if let Ok(test) = whole(rest) {
            return Ok(Self::Commits { trailer: trailer.clone(), value: None, test });
        }
        let (value, rest) = rest.split_first().ok_or(usage)?;
        Ok(Self::Commits { trailer: trailer.clone(), value: Some(value.clone()), test: whole(rest)? })
    }

    fn file(path: &str, words: &[String], body: &str) -> Result<Self, String> {
        let path = path.to_owned();
        if let [is, as_word, in_word, commit, rest @ ..] = words
            && (is.as_str(), as_word.as_str(), in_word.as_str()) == ("is", "as", "in")
        {
            let replaced = match rest {
                [] => Vec::new(),
                [with, old, replaced, by, new]
                    if (with.as_str(), replaced.as_str(), by.as_str()) == ("with", "replaced", "by") =>
                {
                    vec![(old.clone(), new.clone())]
                }
                _ => return Err("git FILE is as in COMMIT [with OLD replaced by NEW]".to_owned()),
            };
            return Ok(Self::AsIn { path, commit: commit.clone(), replaced });
        }
        if let [is] = words
            && is == "is"
            && !body.is_empty()
        {
            return Ok(Self::File { path, test: Test::is(&format!("{body}\n")) });
        }
        Ok(Self::File { path, test: whole(words)? })
    }

    pub(super) fn judge(&self, world: &World) -> Verdict {
        let fleet = &world.setting.fleet;
        let read = |revision: &str, path: &str| {
            fleet.read_at(revision, path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
        };
        match self {
            Self::File { path, test } => {
                let found = read(crate::setting::BRANCH, path);
                let seen =
                    found.as_ref().map_or_else(|| format!("{path} is absent"), |text| format!("{path}:\n{text}"));
                Verdict { holds: test.holds(found.as_deref()), seen }
            }
            Self::AsIn { path, commit, replaced } => {
                let now = read(crate::setting::BRANCH, path);
                let mut then = read(commit, path);
                for (old, new) in replaced {
                    then = then.filter(|text| text.contains(old)).map(|text| text.replace(old, new));
                }
                let seen = format!("{path}: {}", now.as_deref().unwrap_or("absent"));
                Verdict { holds: now.is_some() && now == then, seen }
            }
            Self::Head { field, test } => {
                let newest = fleet.log(1).into_iter().next();
                let found = newest.as_ref().and_then(|entry| field.of(entry));
                let seen = found.clone().unwrap_or_else(|| "absent".to_owned());
                Verdict { holds: test.holds(found.as_deref()), seen }
            }
            Self::Commits { trailer, value, test } => {
                let log = fleet.log(HISTORY_MAX);
                let fits = |entry: &&LogEntry| {
                    entry.trailers.get(trailer).is_some_and(|found| value.as_ref().is_none_or(|value| value == found))
                };
                let subjects: Vec<&str> = log.iter().filter(fits).map(LogEntry::subject).collect();
                let seen = format!("{} of {}: {}", subjects.len(), log.len(), subjects.join(" | "));
                Verdict { holds: test.holds(Some(&subjects.len().to_string())), seen }
            }
            Self::Requests { what, test } => {
                let counts = world.git_requests();
                let found = match what {
                    Requests::Polls => counts.lists,
                    Requests::Fetches => counts.fetches,
                    Requests::Pushes => counts.pushes,
                };
                let seen = format!("{} polls, {} fetches, {} pushes", counts.lists, counts.fetches, counts.pushes);
                Verdict { holds: test.holds(Some(&found.to_string())), seen }
            }
        }
    }
}

impl Field {
    fn of(&self, entry: &LogEntry) -> Option<String> {
        match self {
            Self::Id => Some(entry.id.to_string()),
            Self::Subject => Some(entry.subject().to_owned()),
            Self::Message => Some(entry.message.clone()),
            Self::Author => Some(format!("{} <{}>", entry.author.name, entry.author.email)),
            Self::Paths => entry.changed_paths.as_ref().map(|paths| paths.join(" ")),
            Self::Trailer(name) => entry.trailers.get(name).map(str::to_owned),
        }
    }
}

/// A test that takes all words.
pub(super) fn whole(words: &[String]) -> Result<Test, String> {
    match Test::parse(words)? {
        (test, []) => Ok(test),
        (_, rest) => Err(format!("`{}` is too much", rest.join(" "))),
    }
}
