//! Where a reference is: branches, tags, ranges of versions, full names and commits, each to one commit.

use api::{Reference, VerifyMode};
use git_source::{
    Ancestry, FetchError, Fetched, GitId, RefList, RemoteError, SignatureError, verify_commit, verify_tag,
};
use manifest_render::helm::pick_version;
use reconcile_core::{FetchSource, Head, SourceFailure, sync};

use crate::git::{Access, Inner, Place, words};
use crate::shared::lock;

/// A tag with a longer name is no version.
const VERSION_BYTES_MAX: usize = 256;
/// How many sources the last good commit is remembered of.
const GOOD_HEADS_MAX: usize = 5_000;

impl Inner {
    /// Brings what a source names here, and says what that is now.
    pub(crate) fn fetch(&self, place: &Place, source: &FetchSource, access: &Access) -> Result<Head, SourceFailure> {
        // What was pushed while the remote answered may not be in the answer, so the answer is as old as the question.
        let at = self.clock.now();
        let fetched = self.resolve(place, &source.reference)?;
        let signer = self.verified(place, source, access, &fetched)?;
        let head = Head { signer, ..Head::new(fetched.commit.to_string(), fetched.reference, at) };
        let mut good = lock(&self.good_heads);
        if good.len() >= GOOD_HEADS_MAX && !good.contains_key(source) {
            good.pop_first();
        }
        good.insert(source.clone(), head.clone());
        Ok(head)
    }

    /// Who signed what was fetched, where that is asked for. Going back to an older commit is no way around: a branch
    /// whose signed head no longer has the last good one in its history was rewritten.
    fn verified(
        &self,
        place: &Place,
        source: &FetchSource,
        access: &Access,
        fetched: &Fetched,
    ) -> Result<Option<String>, SourceFailure> {
        let Some((mode, signers)) = &access.signers else { return Ok(None) };
        let now = self.clock.now();
        let repository = lock(&place.repository).clone();
        let refused = |error: &SignatureError| {
            let is_missing = matches!(error, SignatureError::Missing { .. });
            let reason = if is_missing { sync::SIGNATURE_MISSING } else { sync::SIGNATURE_INVALID };
            self.failure(reason, &words(error), false)
        };
        let mut signer = None;
        if matches!(mode, VerifyMode::Tag | VerifyMode::TagAndHead) {
            let signed = verify_tag(&repository, &fetched.reference, fetched.commit, signers, now);
            signer = Some(signed.map_err(|error| refused(&error))?.by);
        }
        if matches!(mode, VerifyMode::Head | VerifyMode::TagAndHead) {
            let signed = verify_commit(&repository, fetched.commit, signers, now);
            signer = Some(signed.map_err(|error| refused(&error))?.by);
        }
        let before = lock(&self.good_heads).get(source).and_then(|head| GitId::parse(&head.commit).ok());
        if let (Some(before), Some(_)) = (before, source.reference.branch())
            && !repository.ancestry(fetched.commit, before).is_ok_and(|ancestry| ancestry == Ancestry::Contains)
        {
            let message = format!(
                "{} goes back or aside from commit {before} to {}; signed commits are followed forward only",
                source.reference, fetched.commit
            );
            return Err(self.failure(sync::SIGNATURE_INVALID, &message, false));
        }
        Ok(signer)
    }

    /// The last commit of a source that could be used, told together with why the present one can't be.
    pub(crate) fn last_good(&self, source: &FetchSource, failure: &SourceFailure) -> Option<Head> {
        let good = lock(&self.good_heads).get(source).cloned()?;
        Some(Head { at: failure.at, failure: Some(failure.clone()), ..good })
    }

    /// Brings the commit of a reference here.
    pub(crate) fn resolve(&self, place: &Place, reference: &Reference) -> Result<Fetched, SourceFailure> {
        let remote = place.remote.as_ref();
        let fetched = match reference {
            Reference::Branch(branch) if branch.is_empty() => self.fetch_named(place, "HEAD"),
            Reference::Branch(branch) => self.fetch_named(place, &format!("refs/heads/{branch}")),
            Reference::Tag(tag) => self.fetch_named(place, &format!("refs/tags/{tag}")),
            Reference::Name(name) => {
                let listed = remote.list_refs_under(name).map_err(FetchError::from);
                listed.and_then(|refs| lock(&place.repository).fetch_listed(remote, &refs, name, place.depth))
            }
            Reference::Versions(range) => {
                let refs = remote.list_refs().map_err(|error| self.fetch_failure(&error.into()))?;
                let Some(tag) = latest_tag(&refs, range) else { return Err(self.nothing_there(place, reference)) };
                lock(&place.repository).fetch_listed(remote, &refs, &tag, place.depth)
            }
            Reference::Commit(commit) => {
                let id = self.parse_commit(commit)?;
                return self.fetch_commit(place, id).map_err(|error| match error {
                    FetchError::Remote(RemoteError::Refused { .. }) => self.nothing_there(place, reference),
                    error => self.fetch_failure(&error),
                });
            }
        };
        fetched.map_err(|error| match error {
            FetchError::ReferenceNotFound { .. } => self.nothing_there(place, reference),
            error => self.fetch_failure(&error),
        })
    }

    fn fetch_named(&self, place: &Place, name: &str) -> Result<Fetched, FetchError> {
        lock(&place.repository).fetch(place.remote.as_ref(), name, place.depth)
    }

    /// Asks for the commit itself. Servers that give heads only are asked for the history of their head.
    fn fetch_commit(&self, place: &Place, id: GitId) -> Result<Fetched, FetchError> {
        let mut repository = lock(&place.repository);
        match repository.fetch(place.remote.as_ref(), &id.to_string(), place.depth) {
            Err(error @ FetchError::Remote(RemoteError::Refused { .. })) => {
                repository.fetch(place.remote.as_ref(), "HEAD", None)?;
                if repository.resolve(&id.to_string())?.is_none() {
                    return Err(error);
                }
                Ok(Fetched { reference: id.to_string(), commit: id, previous: None, objects: 0 })
            }
            answer => answer,
        }
    }

    fn nothing_there(&self, place: &Place, reference: &Reference) -> SourceFailure {
        let reason = match reference {
            Reference::Branch(_) => "BranchNotFound",
            Reference::Tag(_) | Reference::Versions(_) => "TagNotFound",
            Reference::Name(_) => "ReferenceNotFound",
            Reference::Commit(_) => "CommitNotFound",
        };
        self.failure(reason, &format!("{} has no {reference}", place.url), false)
    }
}

/// The full name of the latest tag in a range of versions.
fn latest_tag(refs: &RefList, range: &str) -> Option<String> {
    let names = refs.refs.keys().filter_map(|name| name.strip_prefix("refs/tags/"));
    let versions: Vec<&str> = names.filter(|name| name.len() <= VERSION_BYTES_MAX).collect();
    Some(format!("refs/tags/{}", pick_version(&versions, range)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_tag_of_a_range_is_a_release_unless_the_range_asks_for_more() {
        let id = GitId::parse("0123456789abcdef0123456789abcdef01234567").unwrap();
        let long = format!("refs/tags/9.0.0-{}", "9".repeat(100_000));
        let tags = ["v1.2.0", "1.10.0", "v2.0.0-rc.1", "v2.0.0", "v3.0.0-beta", "nightly", "web/v9.0.0"];
        let mut refs = RefList::default();
        refs.refs.extend(tags.iter().map(|tag| (format!("refs/tags/{tag}"), id)));
        refs.refs.extend([("refs/heads/8.0.0".to_owned(), id), (long, id)]);
        for (range, tag) in [
            (">=1.0.0 <2.0.0", Some("refs/tags/1.10.0")),
            ("~1.2", Some("refs/tags/v1.2.0")),
            ("*", Some("refs/tags/v2.0.0")),
            (">=2.0.0-0", Some("refs/tags/v3.0.0-beta")),
            ("^7", None),
            ("latest", None),
        ] {
            assert_eq!(latest_tag(&refs, range).as_deref(), tag, "{range}");
        }
    }
}
