//! Exact versions of images: what travels from environment to environment.

use std::cmp::Ordering;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::image::{ImageReference, is_digest, is_tag};

/// Why a text is not a version.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VersionError {
    /// The form is not `name=tag@digest`.
    #[error("`{text}` is not a version, write `name=tag`, `name=tag@digest` or `name=@digest`")]
    Form {
        /// The text as given.
        text: String,
    },
    /// The name is not one.
    #[error("`{name}` is not the name of a version: lower-case letters, digits and `-`, at most 63")]
    Name {
        /// The name as given.
        name: String,
    },
    /// Neither tag nor digest, or one that no registry takes.
    #[error("version `{name}` has no tag or digest that a registry takes")]
    Content {
        /// The name.
        name: String,
    },
}

/// One artifact of a freight: a name that a pipeline gives it, and the tag and digest that it has.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Version {
    /// The name in the pipeline, such as `web`.
    pub name: String,
    /// The tag.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
    /// The digest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
}

impl Version {
    /// Takes a version with a tag, a digest or both.
    ///
    /// # Errors
    /// When the name is malformed, or there is neither a valid tag nor a valid digest.
    pub fn new(name: &str, tag: Option<&str>, digest: Option<&str>) -> Result<Self, VersionError> {
        if !is_label(name) {
            return Err(VersionError::Name { name: name.chars().take(80).collect() });
        }
        let is_valid = tag.is_none_or(is_tag) && digest.is_none_or(is_digest) && (tag.is_some() || digest.is_some());
        if !is_valid {
            return Err(VersionError::Content { name: name.to_owned() });
        }
        Ok(Self { name: name.to_owned(), tag: tag.map(str::to_owned), digest: digest.map(str::to_owned) })
    }

    /// Reads `name=tag`, `name=tag@digest` or `name=@digest`.
    ///
    /// # Errors
    /// When the text has another form or a part is malformed.
    pub fn parse(text: &str) -> Result<Self, VersionError> {
        let form = || VersionError::Form { text: text.chars().take(80).collect() };
        let (name, value) = text.split_once('=').ok_or_else(form)?;
        let (tag, digest) = match value.split_once('@') {
            Some((tag, digest)) => (tag, Some(digest)),
            None => (value, None),
        };
        Self::new(name, Some(tag).filter(|tag| !tag.is_empty()), digest)
    }

    /// The version that an image reference has; `None` when it names neither tag nor digest.
    pub fn of_image(name: &str, image: &ImageReference) -> Option<Self> {
        Self::new(name, image.tag.as_deref(), image.digest.as_deref()).ok()
    }

    /// Whether both are the same artifact: by digest when both have one, else by tag.
    pub fn is_same(&self, other: &Self) -> bool {
        self.name == other.name
            && match (&self.digest, &other.digest) {
                (Some(left), Some(right)) => left == right,
                _ => self.tag.is_some() && self.tag == other.tag,
            }
    }

    /// Compares the tags as versions (`1.10.0` is newer than `1.9.3`, a pre-release is older than its release); `None`
    /// when a tag is no version.
    pub fn compare_tags(&self, other: &Self) -> Option<Ordering> {
        Some(numbers(self.tag.as_deref()?)?.cmp(&numbers(other.tag.as_deref()?)?))
    }
}

/// `web=1.2.4@sha256:…`.
impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.name, self.tag.as_deref().unwrap_or_default())?;
        match &self.digest {
            Some(digest) => write!(f, "@{digest}"),
            None => Ok(()),
        }
    }
}

/// One dotted part of a pre-release: numbers come before words.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    Number(u64),
    Word(String),
}

/// Release numbers (without trailing zeros), then the rank of a release over its pre-releases, then the pre-release.
fn numbers(tag: &str) -> Option<(Vec<u64>, bool, Vec<Part>)> {
    let text = tag.strip_prefix('v').unwrap_or(tag);
    let text = text.split_once('+').map_or(text, |(text, _)| text);
    let (release, pre) = text.split_once('-').map_or((text, None), |(release, pre)| (release, Some(pre)));
    let mut release: Vec<u64> = release.split('.').map(|part| part.parse().ok()).collect::<Option<_>>()?;
    while release.last() == Some(&0) {
        release.pop();
    }
    let part = |text: &str| text.parse().map_or_else(|_| Part::Word(text.to_owned()), Part::Number);
    let parts = pre.map(|pre| pre.split('.').map(part).collect()).unwrap_or_default();
    Some((release, pre.is_none(), parts))
}

/// Whether Kubernetes takes this text as a DNS label.
pub(crate) fn is_label(text: &str) -> bool {
    let is_inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=63).contains(&text.len()) && text.bytes().all(is_inner) && !text.starts_with('-') && !text.ends_with('-')
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "sha256:0123456789abcdef0123456789abcdef";

    #[test]
    fn a_version_reads_back() {
        for text in ["web=1.2.4", &format!("web=1.2.4@{DIGEST}"), &format!("web=@{DIGEST}")] {
            assert_eq!(Version::parse(text).unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_is_no_version_is_refused() {
        for (text, message) in [
            ("web", "`web` is not a version, write `name=tag`, `name=tag@digest` or `name=@digest`"),
            ("We b=1", "`We b` is not the name of a version: lower-case letters, digits and `-`, at most 63"),
            ("web=", "version `web` has no tag or digest that a registry takes"),
            ("web=a b", "version `web` has no tag or digest that a registry takes"),
        ] {
            assert_eq!(Version::parse(text).unwrap_err().to_string(), message);
        }
    }

    #[test]
    fn tags_compare_as_versions() {
        let version = |tag: &str| Version::new("web", Some(tag), None).unwrap();
        for (older, newer) in [
            ("1.9.3", "1.10.0"),
            ("v1.0.0-rc.2", "v1.0.0-rc.10"),
            ("1.0.0-rc.1", "1.0.0"),
            ("1.0", "1.0.1"),
            ("v2", "v3"),
        ] {
            assert_eq!(version(older).compare_tags(&version(newer)), Some(Ordering::Less), "{older} {newer}");
        }
        assert_eq!(version("1.0").compare_tags(&version("v1.0.0")), Some(Ordering::Equal));
        assert_eq!(version("latest").compare_tags(&version("1.0")), None);
    }
}
