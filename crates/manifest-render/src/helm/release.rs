//! One release: what is asked of a chart, and what comes out.

use serde_json::{Map, Value};

use super::capabilities::Capabilities;
use super::error::HelmError;
use super::go_text::quote;
use super::manifest::{Hook, HookEvent, Manifest, split, trim};
use super::pattern::matches;

/// Longest name of a release.
const NAME_BYTES_MAX: usize = 53;

/// What is asked of a chart.
#[derive(Debug, Clone, PartialEq)]
pub struct Release {
    /// Name of the release.
    pub name: String,
    /// Namespace that templates are told.
    pub namespace: String,
    /// Values over the chart's own. A null takes a default away; integers are those of `--set`.
    pub values: Map<String, Value>,
    /// Whether templates are told of an upgrade instead of an install.
    pub is_upgrade: bool,
    /// What the chart is told about the cluster.
    pub capabilities: Capabilities,
    /// Whether the chart's schema is left aside.
    pub skips_schema: bool,
    /// How templates take what they ask for and do not get.
    pub mode: Mode,
}

/// How templates take what they ask for and do not get.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// As `helm template`.
    #[default]
    Render,
    /// As `helm lint`: `required` and `fail` pass.
    Lint,
    /// A key that is not there is an error.
    Strict,
}

impl Release {
    /// Returns the release of a name in a namespace, without values of its own.
    pub fn new(name: &str, namespace: &str) -> Self {
        Self {
            name: name.to_owned(),
            namespace: namespace.to_owned(),
            values: Map::new(),
            is_upgrade: false,
            capabilities: Capabilities::default(),
            skips_schema: false,
            mode: Mode::Render,
        }
    }

    /// Checks the name.
    pub(crate) fn check_name(&self) -> Result<(), HelmError> {
        let why = match self.name.as_str() {
            "" => "no name provided".to_owned(),
            name if name.len() <= NAME_BYTES_MAX && name.split('.').all(is_label) => return Ok(()),
            _ => format!(
                "invalid release name, must match regex \
                 ^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$ and the length must not be longer \
                 than {NAME_BYTES_MAX}"
            ),
        };
        let name = quote(&self.name);
        Err(HelmError::Values(format!("release name check failed: release name {name}: {why}")))
    }
}

fn is_label(label: &str) -> bool {
    let is_inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    !label.is_empty() && !label.starts_with('-') && !label.ends_with('-') && label.bytes().all(is_inner)
}

/// What a chart renders to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Manifests {
    /// The files of `crds/`, as they are: path and content.
    pub definitions: Vec<(String, Vec<u8>)>,
    /// Manifests in the order of installation.
    pub manifests: Vec<Manifest>,
    /// Hooks in the order of their kinds.
    pub hooks: Vec<Hook>,
    /// What `NOTES.txt` of the chart says.
    pub notes: String,
    /// What Helm would warn of.
    pub warnings: Vec<String>,
}

/// What is printed of [`Manifests`].
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Printing {
    /// Prints the files of `crds/` too.
    pub with_definitions: bool,
    /// Leaves tests out.
    pub skips_tests: bool,
    /// Leaves hooks out.
    pub skips_hooks: bool,
    /// Prints only what comes from these templates: paths without the chart's name, or patterns.
    pub only: Vec<String>,
}

impl Manifests {
    /// Returns what `helm template` prints.
    ///
    /// # Errors
    /// When a template that is asked for wrote nothing.
    pub fn print(&self, printing: &Printing) -> Result<Vec<u8>, HelmError> {
        let printed = self.manifests.iter().chain(self.hooks.iter().map(|hook| &hook.manifest));
        let mut text = Vec::with_capacity(printed.map(Manifest::printed_bytes).sum());
        let definitions = self.definitions.iter().filter(|_| printing.with_definitions);
        for (source, content) in definitions.map(|(source, content)| (source, content.as_slice())) {
            put(&mut text, source, content);
        }
        for manifest in &self.manifests {
            put(&mut text, &manifest.source, &manifest.content);
        }
        // What is printed begins with a separator: only the end is cut off.
        text.truncate(trim(&text).len());
        text.push(b'\n');
        for hook in self.hooks.iter().filter(|_| !printing.skips_hooks) {
            if !(printing.skips_tests && hook.events.contains(&HookEvent::Test)) {
                put(&mut text, &hook.manifest.source, &hook.manifest.content);
            }
        }
        if printing.only.is_empty() { Ok(text) } else { only(&text, &printing.only) }
    }
}

fn put(text: &mut Vec<u8>, source: &str, content: &[u8]) {
    for part in [b"---\n# Source: ", source.as_bytes(), b"\n", content, b"\n"] {
        text.extend_from_slice(part);
    }
}

/// The documents whose template matches one of the patterns, in the order of the patterns.
fn only(text: &[u8], patterns: &[String]) -> Result<Vec<u8>, HelmError> {
    let documents: Vec<(Option<String>, &[u8])> =
        split(text).into_iter().map(|document| (source_in_chart(document), document)).collect();
    let mut chosen = Vec::new();
    for pattern in patterns {
        let before = chosen.len();
        for (source, document) in &documents {
            if source.as_ref().is_some_and(|source| matches(pattern, source).unwrap_or(false)) {
                chosen.extend_from_slice(b"---\n");
                chosen.extend_from_slice(document);
                chosen.push(b'\n');
            }
        }
        if chosen.len() == before {
            return Err(HelmError::Values(format!("could not find template {pattern} in chart")));
        }
    }
    Ok(chosen)
}

/// What follows the first part of the path on the `# Source:` line of a document.
fn source_in_chart(document: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(document);
    text.match_indices("# Source: ").find_map(|(at, label)| {
        let path = text.get(at + label.len()..)?;
        let (chart, rest) = path.split_once('/')?;
        let line = rest.lines().next()?;
        (!chart.is_empty() && !line.is_empty()).then(|| line.to_owned())
    })
}
