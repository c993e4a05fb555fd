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
    let tagger = stamp(&plan.committer, plan.time)?;
    let text = format!("object {commit}\ntype commit\ntag {name}\ntagger {tagger}\n\n{}", plan.message.to_text());
    Ok(GitObject::new(ObjectKind::Tag, text.into_bytes())?)
}
