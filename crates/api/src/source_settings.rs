//! `spec.branch`, `spec.ref`, `spec.auth`, `spec.verify` and `spec.depth` of a GitOpsConfig: which commit of a repository
//! is followed, how it is reached, and whose signature it needs.

use std::fmt;

use crate::Fields;
use crate::sync_settings::choice;

/// What names the commit that is wanted. The words are Flux's.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reference {
    /// The head of a branch; the only one that commits are written to.
    Branch(String),
    /// A tag.
    Tag(String),
    /// The latest tag whose version is in a range, such as `>=1.2.0 <2.0.0`.
    Versions(String),
    /// A full reference name, such as `refs/pull/420/head`.
    Name(String),
    /// One commit and no other.
    Commit(String),
}

impl Default for Reference {
    fn default() -> Self {
        Self::Branch(String::new())
    }
}

impl Reference {
    /// The branch, when it is one.
    pub fn branch(&self) -> Option<&str> {
        match self {
            Self::Branch(branch) => Some(branch),
            Self::Tag(_) | Self::Versions(_) | Self::Name(_) | Self::Commit(_) => None,
        }
    }
}

/// In words that fit behind "the repository has no".
impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Branch(name) => write!(f, "branch `{name}`"),
            Self::Tag(name) => write!(f, "tag `{name}`"),
            Self::Versions(range) => write!(f, "tag with a version in `{range}`"),
            Self::Name(name) => write!(f, "reference `{name}`"),
            Self::Commit(id) => write!(f, "commit `{id}`"),
        }
    }
}

/// Of what a signature is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum VerifyMode {
    /// The commit.
    Head,
    /// The annotated tag that names it.
    Tag,
    /// Both.
    TagAndHead,
}

/// `spec.verify`: without a signature by one of these keys nothing is applied.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VerifySettings {
    /// `mode`. The commit.
    pub mode: VerifyMode,
    /// `secretRef.name`, in the config's namespace: who may sign.
    pub keys_secret: String,
}

/// How a repository is reached and judged, besides its URL.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SourceSettings {
    /// `spec.branch`, or `spec.ref`.
    pub reference: Reference,
    /// `spec.auth.secretRef.name`: read credential, in the config's namespace.
    pub read_secret: Option<String>,
    /// `spec.auth.proxySecretRef.name`: the proxy on the way there, in the config's namespace.
    pub proxy_secret: Option<String>,
    /// `spec.verify`.
    pub verify: Option<VerifySettings>,
    /// `spec.depth`: how many commits of the history are fetched; all of them without.
    pub depth: Option<u32>,
}

/// The fields of `spec.ref`, each with what wins over it first (as in Flux).
const REFERENCE_FIELDS: [&str; 5] = ["commit", "name", "semver", "tag", "branch"];

pub(crate) fn source(fields: &mut Fields<'_>) -> SourceSettings {
    let reference = reference(fields);
    let verify = verify(fields, &reference);
    let depth = depth(fields);
    if verify.is_some() && depth.is_some() {
        fields.problem("spec.depth", "stands beside spec.verify, for which the whole history is needed");
    }
    SourceSettings {
        read_secret: own_secret(fields, "spec.auth.secretRef"),
        proxy_secret: own_secret(fields, "spec.auth.proxySecretRef"),
        depth,
        verify,
        reference,
    }
}

/// The name of a Secret of the config's own namespace. Which others there are is not told, so no other is looked at.
pub(crate) fn own_secret(fields: &mut Fields<'_>, path: &str) -> Option<String> {
    let own = fields.namespace();
    let field = format!("{path}.namespace");
    if fields.text(&field).is_some_and(|namespace| namespace != own) {
        fields.problem(&field, "Secrets are read from the namespace of the config only");
    }
    fields.text(&format!("{path}.name"))
}

/// The address of a repository; one with a credential in it is refused, and not shown either.
pub(crate) fn url(fields: &mut Fields<'_>) -> String {
    let url = fields.required_text("spec.url");
    let Some((scheme, rest)) = url.split_once("://") else { return url };
    let authority = rest.split('/').next().unwrap_or_default();
    let Some((login, _)) = authority.rsplit_once('@') else { return url };
    if scheme.eq_ignore_ascii_case("ssh") && !login.contains(':') {
        return url;
    }
    fields.problem(
        "spec.url",
        "carries a credential, which belongs into a Secret (spec.auth.secretRef); change it there, too",
    );
    String::new()
}

/// The name of a ServiceAccount of the config's own namespace.
pub(crate) fn service_account(fields: &mut Fields<'_>) -> String {
    let path = "spec.destination.serviceAccountName";
    let name = fields.text(path).unwrap_or_else(|| "sluice".to_owned());
    let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '.');
    let is_name = name.len() <= 253 && !name.is_empty() && name.chars().all(is_plain);
    if !is_name || name.starts_with(['-', '.']) || name.ends_with(['-', '.']) {
        fields
            .problem(path, format!("`{}` is not the name of a ServiceAccount of this namespace", name.escape_debug()));
        return "sluice".to_owned();
    }
    name
}

/// Other clusters are not delivered to: to take such a config for one of this cluster would be worse than to refuse it.
pub(crate) fn no_other_cluster(fields: &mut Fields<'_>) {
    for path in ["spec.destination.cluster", "spec.destination.kubeConfig", "spec.kubeConfig"] {
        if fields.value(path).is_some() {
            fields.problem(path, "other clusters are not supported; no kubeconfig is read");
        }
    }
}

fn reference(fields: &mut Fields<'_>) -> Reference {
    if fields.value("spec.ref").is_none() {
        let branch = fields.required_text("spec.branch");
        check_name(fields, "spec.branch", &branch);
        return Reference::Branch(branch);
    }
    if fields.value("spec.branch").is_some() {
        fields.problem("spec.ref", "stands beside spec.branch; one of them says what is followed");
    }
    for field in REFERENCE_FIELDS {
        let path = format!("spec.ref.{field}");
        let Some(text) = fields.text(&path).filter(|text| !text.is_empty()) else { continue };
        return match field {
            "commit" => commit(fields, &path, text),
            "name" => full_name(fields, &path, text),
            "semver" => Reference::Versions(text),
            "tag" => {
                check_name(fields, &path, &text);
                Reference::Tag(text)
            }
            _ => {
                check_name(fields, &path, &text);
                Reference::Branch(text)
            }
        };
    }
    fields.problem("spec.ref", format!("names none of {}", REFERENCE_FIELDS.join(", ")));
    Reference::default()
}

fn commit(fields: &mut Fields<'_>, path: &str, text: String) -> Reference {
    if text.len() != 40 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        fields.problem(path, format!("`{text}` is not the full id of a commit (40 hexadecimal digits)"));
    }
    Reference::Commit(text.to_ascii_lowercase())
}

fn full_name(fields: &mut Fields<'_>, path: &str, text: String) -> Reference {
    if !text.starts_with("refs/") {
        fields.problem(path, format!("`{text}` does not begin with refs/"));
    }
    check_name(fields, path, &text);
    Reference::Name(text)
}

/// What Git allows in the name of a reference, and nothing that could be taken for an option.
fn check_name(fields: &mut Fields<'_>, path: &str, name: &str) {
    let is_odd = |c: char| c.is_control() || matches!(c, ' ' | '~' | '^' | ':' | '?' | '*' | '[' | '\\');
    let is_bad_part = |part: &str| part.is_empty() || part.starts_with('.') || part.ends_with(".lock");
    let is_bad = name.contains("..")
        || name.contains("@{")
        || name.starts_with('-')
        || name.ends_with('.')
        || name.len() > 1_000
        || name.chars().any(is_odd)
        || name.split('/').any(is_bad_part);
    if is_bad && !name.is_empty() {
        fields.problem(path, format!("`{}` is not a name that Git allows", name.escape_debug()));
    }
}

fn verify(fields: &mut Fields<'_>, reference: &Reference) -> Option<VerifySettings> {
    fields.value("spec.verify")?;
    let modes = [
        ("Head", VerifyMode::Head),
        ("HEAD", VerifyMode::Head),
        ("head", VerifyMode::Head),
        ("Tag", VerifyMode::Tag),
        ("TagAndHead", VerifyMode::TagAndHead),
        ("TagAndHEAD", VerifyMode::TagAndHead),
    ];
    let mode = choice(fields, "spec.verify.mode", &modes, VerifyMode::Head);
    let keys_secret = own_secret(fields, "spec.verify.secretRef").unwrap_or_default();
    if keys_secret.is_empty() {
        fields.problem("spec.verify.secretRef.name", "is required");
    }
    if mode != VerifyMode::Head && !matches!(reference, Reference::Tag(_) | Reference::Versions(_)) {
        fields.problem("spec.verify.mode", "a tag is verified only where spec.ref names one by tag or semver");
    }
    Some(VerifySettings { mode, keys_secret })
}

fn depth(fields: &mut Fields<'_>) -> Option<u32> {
    let depth = fields.count("spec.depth")?;
    (depth > 0).then_some(depth)
}

#[cfg(test)]
mod tests {
    use super::*;
    use object_model::Object;
    use serde_json::{Value, json};

    fn read(spec: Value) -> (SourceSettings, Vec<String>) {
        let object = Object::parse(json!({
            "apiVersion": "sluice.dev/v1", "kind": "GitOpsConfig", "metadata": {"name": "a", "namespace": "qa"}, "spec": spec,
        }));
        let object = object.unwrap();
        let mut fields = Fields::of(&object);
        let settings = source(&mut fields);
        (settings, fields.into_problems().iter().map(ToString::to_string).collect())
    }

    #[test]
    fn the_most_exact_of_several_references_wins_as_in_flux() {
        let commit = "0123456789abcdef0123456789abcdef01234567";
        let mut all =
            json!({"commit": commit, "name": "refs/pull/1/head", "semver": ">=1.0", "tag": "v1", "branch": "main"});
        for (field, expected) in [
            ("commit", Reference::Commit(commit.into())),
            ("name", Reference::Name("refs/pull/1/head".into())),
            ("semver", Reference::Versions(">=1.0".into())),
            ("tag", Reference::Tag("v1".into())),
            ("branch", Reference::Branch("main".into())),
        ] {
            let (settings, problems) = read(json!({"ref": all}));
            assert_eq!((settings.reference, problems), (expected, Vec::new()));
            all.as_object_mut().unwrap().remove(field);
        }
        assert_eq!(read(json!({"ref": all})).1, ["spec.ref: names none of commit, name, semver, tag, branch"]);
    }

    #[test]
    fn names_that_git_does_not_allow_are_problems() {
        for (spec, problem) in [
            (json!({"branch": "--force"}), "spec.branch: `--force` is not a name that Git allows"),
            (json!({"branch": "a\nb"}), "spec.branch: `a\\nb` is not a name that Git allows"),
            (json!({"ref": {"tag": "a..b"}}), "spec.ref.tag: `a..b` is not a name that Git allows"),
            (json!({"ref": {"name": "main"}}), "spec.ref.name: `main` does not begin with refs/"),
            (
                json!({"ref": {"commit": "abc"}}),
                "spec.ref.commit: `abc` is not the full id of a commit (40 hexadecimal digits)",
            ),
            (
                json!({"branch": "main", "ref": {"tag": "v1"}}),
                "spec.ref: stands beside spec.branch; one of them says what is followed",
            ),
            (
                json!({"branch": "main", "verify": {"mode": "Tag", "secretRef": {"name": "keys"}}}),
                "spec.verify.mode: a tag is verified only where spec.ref names one by tag or semver",
            ),
            (json!({"branch": "main", "verify": {}}), "spec.verify.secretRef.name: is required"),
        ] {
            assert_eq!(read(spec).1, [problem]);
        }
    }
}
