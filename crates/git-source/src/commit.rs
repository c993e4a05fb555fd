//! Commit and tag objects: a pure function of what they say, so a repeated plan gives the same id.

use object_model::Timestamp;
use serde::{Deserialize, Serialize};

use crate::edit::EditError;
use crate::id::{CommitId, TreeId};
use crate::message::{Message, MessageError, Person};
use crate::object::{GitObject, ObjectError, ObjectKind};

/// All that a commit says beside its tree and parents. It can be stored before the commit is made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommitPlan {
    /// Who asked for the change.
    pub author: Person,
    /// Who makes the commit.
    pub committer: Person,
    /// The time of both, in whole seconds.
    pub time: Timestamp,
    /// The message.
    pub message: Message,
}

/// Why a commit is not made.
#[derive(Debug, thiserror::Error)]
pub enum CommitError {
    /// An edit is refused.
    #[error(transparent)]
    Edit(#[from] EditError),
    /// A name or text is refused.
    #[error(transparent)]
    Message(#[from] MessageError),
    /// The tree would be the parent's own.
    #[error("nothing would change")]
    NothingChanged,
    /// The time is before 1970.
    #[error("time {time} is before 1970, which Git can't write")]
    Time {
        /// The time as given.
        time: Timestamp,
    },
    /// A reference can't be made.
    #[error("failed to make reference `{name}`: {why}")]
    Reference {
        /// The name as given.
        name: String,
        /// Why.
        why: String,
    },
}

impl CommitError {
    /// A short name for metrics and Events.
    pub fn category(&self) -> &'static str {
        match self {
            Self::Edit(EditError::Path(_)) => "PathRefused",
            Self::Edit(EditError::Object(_)) => "Object",
            Self::Edit(_) => "EditRefused",
            Self::Message(_) | Self::Time { .. } => "MessageRefused",
            Self::NothingChanged => "NothingChanged",
            Self::Reference { .. } => "Reference",
        }
    }
}

impl From<ObjectError> for CommitError {
    fn from(error: ObjectError) -> Self {
        Self::Edit(EditError::Object(error))
    }
}

fn stamp(person: &Person, time: Timestamp) -> Result<String, CommitError> {
    person.check()?;
    let seconds = time.as_second();
    if seconds < 0 {
        return Err(CommitError::Time { time });
    }
    Ok(format!("{person} {seconds} +0000"))
}

pub(crate) fn commit_object(tree: TreeId, parents: &[CommitId], plan: &CommitPlan) -> Result<GitObject, CommitError> {
    plan.message.check()?;
    let mut text = format!("tree {tree}\n");
    for parent in parents {
        text.push_str(&format!("parent {parent}\n"));
    }
    text.push_str(&format!("author {}\n", stamp(&plan.author, plan.time)?));
    text.push_str(&format!("committer {}\n\n", stamp(&plan.committer, plan.time)?));
    text.push_str(&plan.message.to_text());
    Ok(GitObject::new(ObjectKind::Commit, text.into_bytes())?)
}

pub(crate) fn tag_object(name: &str, commit: CommitId, plan: &CommitPlan) -> Result<GitObject, CommitError> {
    let reference = |why: String| CommitError::Reference { name: name.escape_debug().to_string(), why };
    gix_ref::FullName::try_from(format!("refs/tags/{name}")).map_err(|error| reference(error.to_string()))?;
    plan.message.check()?;
    let tagger = stamp(&plan.committer, plan.time)?;
    let text = format!("object {commit}\ntype commit\ntag {name}\ntagger {tagger}\n\n{}", plan.message.to_text());
    Ok(GitObject::new(ObjectKind::Tag, text.into_bytes())?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_36_a_stored_plan_reads_back_and_a_forged_one_is_refused() {
        let plan = CommitPlan {
            author: Person::new("Ada", "ada@example.com").unwrap(),
            committer: Person::new("Bot", "bot@example.com").unwrap(),
            time: Timestamp::from_second(1_000).unwrap(),
            message: Message::new("Promote web").unwrap(),
        };
        let stored = serde_json::to_value(&plan).unwrap();
        let commit = |stored: &serde_json::Value| {
            let plan: CommitPlan = serde_json::from_value(stored.clone()).unwrap();
            commit_object(TreeId::ZERO, &[], &plan).map(|object| object.id())
        };
        assert_eq!(commit(&stored).unwrap(), commit_object(TreeId::ZERO, &[], &plan).unwrap().id());
        for (pointer, value) in [
            ("/message/subject", "x\n\nSluice-Approved-By: eve"),
            ("/message/body", "x\u{0}"),
            ("/author/name", "x> 0 +0000\ncommitter Eve <eve@x"),
            ("/committer/email", ""),
            ("/time", "1969-12-31T00:00:00Z"),
        ] {
            let mut forged = stored.clone();
            *forged.pointer_mut(pointer).unwrap() = value.into();
            assert!(commit(&forged).is_err(), "{pointer}");
        }
        let mut forged = stored;
        *forged.pointer_mut("/message/trailers").unwrap() = serde_json::json!([["Key", "a\nOther: b"]]);
        assert!(commit(&forged).is_err());
    }
}
