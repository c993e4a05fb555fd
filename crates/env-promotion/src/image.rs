//! Image references: `registry/repository:tag@digest`.

use std::fmt;

/// Why a text is not an image reference.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not an image reference: {why}")]
pub struct ImageError {
    /// The text as given, cut when long.
    pub text: String,
    /// What is wrong with it.
    pub why: &'static str,
}

/// An image, its parts as written: nothing is filled in, so that it prints as it was read.
///
/// ```
/// use env_promotion::ImageReference;
/// let image = ImageReference::parse("ghcr.io:443/acme/web:1.2.3").unwrap();
/// assert_eq!(image.with_version(Some("1.2.4"), None).to_string(), "ghcr.io:443/acme/web:1.2.4");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ImageReference {
    /// Registry and repository as written, such as `ghcr.io/acme/web` or `web`.
    pub repository: String,
    /// The tag.
    pub tag: Option<String>,
    /// The digest, such as `sha256:…`.
    pub digest: Option<String>,
}

const LENGTH_MAX: usize = 512;

impl ImageReference {
    /// Reads a reference.
    ///
    /// # Errors
    /// When it has no repository, or a part has characters that no registry takes.
    pub fn parse(text: &str) -> Result<Self, ImageError> {
        let fail = |why| ImageError { text: text.chars().take(80).collect(), why };
        if text.len() > LENGTH_MAX {
            return Err(fail("it is longer than 512 bytes"));
        }
        let (rest, digest) = match text.split_once('@') {
            Some((rest, digest)) => (rest, Some(digest)),
            None => (text, None),
        };
        // A colon before the last slash belongs to the port of the registry.
        let name_start = rest.rfind('/').map_or(0, |slash| slash + 1);
        let (repository, tag) = match rest.get(name_start..).and_then(|name| name.find(':')) {
            Some(colon) => (rest.get(..name_start + colon).unwrap_or_default(), rest.get(name_start + colon + 1..)),
            None => (rest, None),
        };
        if !is_repository(repository) {
            return Err(fail("a repository is lower-case letters, digits and `.`, `_`, `-`, `/`"));
        }
        if tag.is_some_and(|tag| !is_tag(tag)) {
            return Err(fail("a tag is at most 128 letters, digits, `.`, `_` and `-`"));
        }
        if digest.is_some_and(|digest| !is_digest(digest)) {
            return Err(fail("a digest is an algorithm, a colon and at least 32 hexadecimal digits"));
        }
        Ok(Self { repository: repository.to_owned(), tag: tag.map(str::to_owned), digest: digest.map(str::to_owned) })
    }

    /// The same repository with another tag and digest.
    #[must_use]
    pub fn with_version(&self, tag: Option<&str>, digest: Option<&str>) -> Self {
        Self { repository: self.repository.clone(), tag: tag.map(str::to_owned), digest: digest.map(str::to_owned) }
    }

    /// The repository with what Docker leaves out: `web` is `docker.io/library/web`.
    pub fn canonical_repository(&self) -> String {
        let (first, rest) = self.repository.split_once('/').unwrap_or(("", &self.repository));
        let has_registry = first.contains(['.', ':']) || first == "localhost";
        match (has_registry, first) {
            (true, "docker.io" | "index.docker.io") if !rest.contains('/') => format!("docker.io/library/{rest}"),
            (true, "index.docker.io") => format!("docker.io/{rest}"),
            (true, _) => self.repository.clone(),
            (false, "") => format!("docker.io/library/{rest}"),
            (false, _) => format!("docker.io/{}", self.repository),
        }
    }

    /// Whether both name one repository, in whatever spelling.
    pub fn is_same_repository(&self, other: &Self) -> bool {
        self.canonical_repository() == other.canonical_repository()
    }

    /// Whether both name one image: by digest when both have one, else by tag (`latest` when there is none).
    pub fn is_same_image(&self, other: &Self) -> bool {
        let tag = |image: &Self| image.tag.clone().unwrap_or_else(|| "latest".to_owned());
        self.is_same_repository(other)
            && match (&self.digest, &other.digest) {
                (Some(left), Some(right)) => left == right,
                (None, None) => tag(self) == tag(other),
                _ => false,
            }
    }
}

impl fmt::Display for ImageReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.repository)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        if let Some(digest) = &self.digest {
            write!(f, "@{digest}")?;
        }
        Ok(())
    }
}

/// Whether a registry takes this text as registry and repository.
fn is_repository(text: &str) -> bool {
    let mut parts = text.split('/').peekable();
    let first = parts.peek().copied().unwrap_or_default();
    let has_port = first.split_once(':').is_some_and(|(host, port)| {
        !host.is_empty() && !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit())
    });
    if has_port && text.contains('/') {
        parts.next();
    }
    let is_part = |part: &str| {
        part.starts_with(|c: char| c.is_ascii_alphanumeric())
            && part.ends_with(|c: char| c.is_ascii_alphanumeric())
            && part.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "._-".contains(c))
    };
    let rest: Vec<&str> = parts.collect();
    !rest.is_empty() && rest.iter().all(|part| is_part(part))
}

/// Whether a registry takes this text as a tag.
pub(crate) fn is_tag(text: &str) -> bool {
    text.len() <= 128
        && text.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_')
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c))
}

/// Whether this text is a digest.
pub(crate) fn is_digest(text: &str) -> bool {
    text.split_once(':').is_some_and(|(algorithm, digits)| {
        !algorithm.is_empty()
            && algorithm
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"+._-".contains(&byte))
            && (32..=256).contains(&digits.len())
            && digits.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    #[test]
    fn references_print_as_they_were_read() {
        for text in [
            "web",
            "web:1",
            "acme/web:v1.2_3-x",
            "localhost:5000/web",
            "ghcr.io:443/acme/web:1",
            &format!("web:1@{DIGEST}"),
            &format!("reg.io/web@{DIGEST}"),
        ] {
            assert_eq!(ImageReference::parse(text).unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_no_registry_takes_is_refused_with_the_reason() {
        for (text, why) in [
            ("", "a repository is lower-case letters, digits and `.`, `_`, `-`, `/`"),
            ("Web", "a repository is lower-case letters, digits and `.`, `_`, `-`, `/`"),
            ("a//b", "a repository is lower-case letters, digits and `.`, `_`, `-`, `/`"),
            ("web:", "a tag is at most 128 letters, digits, `.`, `_` and `-`"),
            ("web:$(id)", "a tag is at most 128 letters, digits, `.`, `_` and `-`"),
            ("web:1\nSigned-off-by: x", "a tag is at most 128 letters, digits, `.`, `_` and `-`"),
            ("web@sha256:12", "a digest is an algorithm, a colon and at least 32 hexadecimal digits"),
        ] {
            assert_eq!(ImageReference::parse(text).map_err(|error| error.why), Err(why), "{text}");
        }
    }

    #[test]
    fn one_repository_in_two_spellings_is_one() {
        for (left, right, is_same) in [
            ("web", "docker.io/library/web:2", true),
            ("acme/web", "index.docker.io/acme/web", true),
            ("localhost/web", "web", false),
            ("ghcr.io/acme/web", "acme/web", false),
        ] {
            let parse = |text| ImageReference::parse(text).unwrap();
            assert_eq!(parse(left).is_same_repository(&parse(right)), is_same, "{left} {right}");
        }
    }

    #[test]
    fn a_digest_decides_before_a_tag() {
        let parse = |text: &str| ImageReference::parse(text).unwrap();
        assert!(parse(&format!("web:1@{DIGEST}")).is_same_image(&parse(&format!("web:2@{DIGEST}"))));
        assert!(!parse(&format!("web:1@{DIGEST}")).is_same_image(&parse("web:1")));
        assert!(parse("web").is_same_image(&parse("web:latest")));
    }
}
