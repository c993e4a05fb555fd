//! `Chart.yaml` and `requirements.yaml`.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::decode::{Decoder, Place, as_text, find, parse_yaml};
use super::go_text::{base, is_printable, quote};
use go_template::functions::is_version;

/// What a chart says about itself.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Metadata {
    /// Name of the chart.
    pub name: String,
    /// Home page.
    pub home: String,
    /// URLs of sources.
    pub sources: Vec<String>,
    /// Version of the chart.
    pub version: String,
    /// One sentence about it.
    pub description: String,
    /// Keywords.
    pub keywords: Vec<String>,
    /// Who maintains it.
    pub maintainers: Vec<Maintainer>,
    /// URL of an icon.
    pub icon: String,
    /// `v1` or `v2`.
    pub api_version: String,
    /// Condition, of old charts.
    pub condition: String,
    /// Tags, of old charts.
    pub tags: String,
    /// Version of what the chart installs.
    pub app_version: String,
    /// Whether it should no longer be used.
    pub is_deprecated: bool,
    /// Annotations; None when there are none.
    pub annotations: Option<BTreeMap<String, String>>,
    /// Versions of Kubernetes it works with.
    pub kube_version: String,
    /// Charts it depends on.
    pub dependencies: Vec<Dependency>,
    /// `application`, `library` or empty.
    pub chart_type: String,
    /// Whether dependencies are named at all, be it none.
    pub(crate) has_dependencies: bool,
    /// Whether a dependency or maintainer is null, which Helm refuses later than a wrong type.
    null_entry: Option<&'static str>,
}

/// A person or team.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Maintainer {
    /// Name.
    pub name: String,
    /// Mail address.
    pub email: String,
    /// Page.
    pub url: String,
}

/// A chart that another one depends on.
#[derive(Debug, Clone, PartialEq, Default, Eq)]
pub struct Dependency {
    /// Name of the chart.
    pub name: String,
    /// Range of versions.
    pub version: String,
    /// Where it comes from.
    pub repository: String,
    /// Paths of values that switch it, separated by commas.
    pub condition: String,
    /// Tags that switch it.
    pub tags: Vec<String>,
    /// Whether it takes part.
    pub is_enabled: bool,
    /// Values to take from it.
    pub import_values: Vec<ImportValues>,
    /// Another name for it.
    pub alias: String,
}

/// One entry of `import-values`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ImportValues {
    /// A table below `exports` of the child.
    Export(String),
    /// Any table of the child, put at a place of the parent.
    Table {
        /// Path in the child's values.
        child: String,
        /// Path in the parent's values.
        parent: String,
    },
}

impl Metadata {
    /// Reads the fields of a file over those that are set already; the error is Helm's message.
    pub(crate) fn read(&mut self, text: &[u8]) -> Result<(), String> {
        let value = parse_yaml(text)?;
        let mut decoder = Decoder::new();
        if let Some(fields) = decoder.mapping(&value, "v2.Metadata") {
            self.take(fields, &mut decoder);
        }
        decoder.finish()
    }

    fn take(&mut self, fields: &Map<String, Value>, decoder: &mut Decoder) {
        const PLACE: Place<'_> = Place { type_name: "Metadata", path: "" };
        let is_set = |name: &str| find(fields, name).is_some_and(|value| !value.is_null());
        let mut text = |field: &mut String, name: &str| {
            if is_set(name) {
                *field = decoder.text(fields, PLACE, name);
            }
        };
        // In the order of Go's sorted keys, so that the first mismatch is the same.
        text(&mut self.api_version, "apiVersion");
        text(&mut self.app_version, "appVersion");
        text(&mut self.condition, "condition");
        text(&mut self.description, "description");
        text(&mut self.home, "home");
        text(&mut self.icon, "icon");
        text(&mut self.kube_version, "kubeVersion");
        text(&mut self.name, "name");
        text(&mut self.tags, "tags");
        text(&mut self.chart_type, "type");
        text(&mut self.version, "version");
        if is_set("annotations") {
            self.annotations = decoder.text_map(fields, PLACE, "annotations");
        }
        if is_set("dependencies") {
            self.has_dependencies = true;
            let items = decoder.list(fields, PLACE, "dependencies", "[]*v2.Dependency");
            self.dependencies = items.iter().filter_map(|item| self.null_or(item, decoder, dependency)).collect();
        }
        if is_set("deprecated") {
            self.is_deprecated = decoder.flag(fields, PLACE, "deprecated");
        }
        if is_set("keywords") {
            self.keywords = decoder.texts(fields, PLACE, "keywords");
        }
        if is_set("maintainers") {
            let items = decoder.list(fields, PLACE, "maintainers", "[]*v2.Maintainer");
            self.maintainers = items.iter().filter_map(|item| self.null_or(item, decoder, maintainer)).collect();
        }
        if is_set("sources") {
            self.sources = decoder.texts(fields, PLACE, "sources");
        }
    }

    fn null_or<T>(
        &mut self,
        item: &Value,
        decoder: &mut Decoder,
        read: fn(&Value, &mut Decoder) -> Result<T, &'static str>,
    ) -> Option<T> {
        read(item, decoder).map_err(|what| self.null_entry = self.null_entry.or(Some(what))).ok()
    }

    /// Checks and cleans the fields as Helm does after loading; the error is Helm's message.
    pub(crate) fn validate(&mut self) -> Result<(), String> {
        for field in [
            &mut self.name,
            &mut self.description,
            &mut self.home,
            &mut self.icon,
            &mut self.condition,
            &mut self.tags,
            &mut self.app_version,
            &mut self.kube_version,
        ] {
            sanitize(field);
        }
        self.sources.iter_mut().chain(&mut self.keywords).for_each(sanitize);
        let invalid = |message: String| Err(format!("validation: {message}"));
        let name = quote(&self.name);
        match () {
            () if self.api_version.is_empty() => return invalid("chart.metadata.apiVersion is required".to_owned()),
            () if self.name.is_empty() => return invalid("chart.metadata.name is required".to_owned()),
            () if matches!(self.name.as_str(), "." | "..") => {
                return invalid(format!("chart.metadata.name {name} is not allowed"));
            }
            () if self.name != base(&self.name) => return invalid(format!("chart.metadata.name {name} is invalid")),
            () if self.version.is_empty() => return invalid("chart.metadata.version is required".to_owned()),
            () if !is_version(&self.version) => {
                return invalid(format!("chart.metadata.version {} is invalid", quote(&self.version)));
            }
            () if !matches!(self.chart_type.as_str(), "" | "application" | "library") => {
                return invalid("chart.metadata.type must be application or library".to_owned());
            }
            () => {}
        }
        for maintainer in &mut self.maintainers {
            [&mut maintainer.name, &mut maintainer.email, &mut maintainer.url].into_iter().for_each(sanitize);
        }
        if let Some(what) = self.null_entry {
            return invalid(format!("{what} must not contain empty or null nodes"));
        }
        let mut names = BTreeSet::new();
        for dependency in &mut self.dependencies {
            dependency.validate()?;
            let key = if dependency.alias.is_empty() { &dependency.name } else { &dependency.alias };
            if !names.insert(key.clone()) {
                return invalid(format!("more than one dependency with name or alias {}", quote(key)));
            }
        }
        Ok(())
    }

    /// Whether the chart only lends templates.
    pub fn is_library(&self) -> bool {
        self.chart_type.eq_ignore_ascii_case("library")
    }
}

impl Dependency {
    fn validate(&mut self) -> Result<(), String> {
        [&mut self.name, &mut self.version, &mut self.repository, &mut self.condition]
            .into_iter()
            .chain(&mut self.tags)
            .for_each(sanitize);
        let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
        if !self.alias.bytes().all(is_allowed) {
            let name = quote(&self.name);
            return Err(format!("validation: dependency {name} has disallowed characters in the alias"));
        }
        Ok(())
    }
}

fn maintainer(item: &Value, decoder: &mut Decoder) -> Result<Maintainer, &'static str> {
    const PLACE: Place<'_> = Place { type_name: "Maintainer", path: "maintainers" };
    match item {
        Value::Null => Err("maintainers"),
        Value::Object(fields) => Ok(Maintainer {
            email: decoder.text(fields, PLACE, "email"),
            name: decoder.text(fields, PLACE, "name"),
            url: decoder.text(fields, PLACE, "url"),
        }),
        other => {
            decoder.mismatch(other, Place { type_name: "Metadata", path: "" }, "maintainers", "v2.Maintainer");
            Ok(Maintainer::default())
        }
    }
}

fn dependency(item: &Value, decoder: &mut Decoder) -> Result<Dependency, &'static str> {
    const PLACE: Place<'_> = Place { type_name: "Dependency", path: "dependencies" };
    match item {
        Value::Null => Err("dependencies"),
        Value::Object(fields) => Ok(Dependency {
            alias: decoder.text(fields, PLACE, "alias"),
            condition: decoder.text(fields, PLACE, "condition"),
            is_enabled: decoder.flag(fields, PLACE, "enabled"),
            import_values: decoder
                .list(fields, PLACE, "import-values", "[]interface {}")
                .iter()
                .filter_map(import_values)
                .collect(),
            name: decoder.text(fields, PLACE, "name"),
            repository: decoder.text(fields, PLACE, "repository"),
            tags: decoder.texts(fields, PLACE, "tags"),
            version: decoder.text(fields, PLACE, "version"),
        }),
        other => {
            decoder.mismatch(other, Place { type_name: "Metadata", path: "" }, "dependencies", "v2.Dependency");
            Ok(Dependency::default())
        }
    }
}

/// Entries of other kinds are passed over, as Helm does.
fn import_values(item: &Value) -> Option<ImportValues> {
    let text = |value: Option<&Value>| value.and_then(as_text).unwrap_or_else(|| "<nil>".to_owned());
    match item {
        Value::String(name) => Some(ImportValues::Export(name.clone())),
        Value::Object(fields) => {
            Some(ImportValues::Table { child: text(fields.get("child")), parent: text(fields.get("parent")) })
        }
        _ => None,
    }
}

/// Turns every blank into a space and drops what does not print.
fn sanitize(text: &mut String) {
    if text.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
        return;
    }
    *text = text
        .chars()
        .filter_map(|character| match character {
            blank if blank.is_whitespace() => Some(' '),
            other => is_printable(other).then_some(other),
        })
        .collect();
}
