//! The rules for `Chart.yaml`.

use serde_json::{Map, Value};
use yaml::Document;

use super::{Finding, Severity};
use crate::helm::decode::parse_yaml;
use crate::helm::go_text::{base, quote};
use crate::helm::metadata::Metadata;
use go_template::functions::{is_version, is_version_in_range};

const FILE: &str = "Chart.yaml";

/// The fields that `Chart.yaml` may have.
const FIELDS: [&str; 17] = [
    "annotations",
    "apiVersion",
    "appVersion",
    "condition",
    "dependencies",
    "deprecated",
    "description",
    "home",
    "icon",
    "keywords",
    "kubeVersion",
    "maintainers",
    "name",
    "sources",
    "tags",
    "type",
    "version",
];

/// Looks `Chart.yaml` over; None when it can't be read at all.
pub(super) fn lint(text: &[u8], findings: &mut Vec<Finding>) -> Option<Metadata> {
    let mut metadata = Metadata::default();
    if let Err(message) = metadata.read(text) {
        findings.push(Finding::new(Severity::Error, FILE, format!("unable to parse YAML\n\t{message}")));
        return None;
    }
    let fields = match parse_yaml(text) {
        Ok(Value::Object(fields)) => fields,
        _ => Map::new(),
    };
    let document = yaml::parse(text).ok().and_then(|documents| documents.into_iter().next());
    let mut rules = Rules { document, findings };
    rules.strict(text, &fields);
    rules.name(&metadata);
    rules.versions(&metadata, &fields);
    rules.people(&metadata);
    rules.format(&metadata);
    if !is_strict_version(&metadata.version) {
        let message = format!("version '{}' is not a valid SemVerV2", metadata.version);
        rules.say(Severity::Warning, "version", message);
    }
    Some(metadata)
}

struct Rules<'f> {
    /// The same text with places, when it is well-formed in every respect.
    document: Option<Document>,
    findings: &'f mut Vec<Finding>,
}

impl Rules<'_> {
    fn say(&mut self, severity: Severity, field: &str, message: impl Into<String>) {
        let position = self.document.as_ref().and_then(|document| document.position(&[field.into()]));
        let (line, column) = position.map_or((0, 0), |position| (position.line, position.column));
        self.findings.push(Finding::new(severity, FILE, message).at(line, column));
    }

    fn strict(&mut self, text: &[u8], fields: &Map<String, Value>) {
        let faults = yaml::parse(text).err().unwrap_or_default();
        if let Some(fault) = faults.iter().find(|fault| fault.message.starts_with("duplicate key")) {
            let key = fault.message.trim_start_matches("duplicate key ").trim_matches('`');
            let message = format!(
                "failed to strictly parse chart metadata file\n\terror converting YAML to JSON: yaml: unmarshal \
                 errors:\n  line {}: key {} already set in map",
                fault.line,
                quote(key)
            );
            self.findings.push(Finding::new(Severity::Warning, FILE, message).at(fault.line, fault.column));
        } else if let Some(unknown) = fields.keys().find(|key| !FIELDS.iter().any(|it| it.eq_ignore_ascii_case(key))) {
            let message = format!(
                "failed to strictly parse chart metadata file\n\terror unmarshaling JSON: while decoding JSON: json: \
                 unknown field {}",
                quote(unknown)
            );
            let unknown = unknown.clone();
            self.say(Severity::Warning, &unknown, message);
        }
    }

    fn name(&mut self, metadata: &Metadata) {
        if metadata.name.is_empty() {
            self.say(Severity::Error, "name", "name is required");
        } else if base(&metadata.name) != metadata.name {
            self.say(Severity::Error, "name", format!("chart name {} is invalid", quote(&metadata.name)));
        }
        match metadata.api_version.as_str() {
            "v1" | "v2" => {}
            "" => self.say(
                Severity::Error,
                "apiVersion",
                "apiVersion is required. The value must be either \"v1\" or \"v2\"",
            ),
            other => self.say(
                Severity::Error,
                "apiVersion",
                format!("apiVersion '{other}' is not valid. The value must be either \"v1\" or \"v2\""),
            ),
        }
    }

    fn versions(&mut self, metadata: &Metadata, fields: &Map<String, Value>) {
        self.is_text(fields, "version");
        let version = &metadata.version;
        if version.is_empty() {
            self.say(Severity::Error, "version", "version is required");
        } else if !is_version(version) {
            self.say(Severity::Error, "version", format!("version '{version}' is not a valid SemVer"));
        } else if !is_version_in_range(version, ">0.0.0-0") {
            self.say(Severity::Error, "version", format!("version {version} is less than or equal to 0.0.0-0"));
        }
        self.is_text(fields, "appVersion");
    }

    fn is_text(&mut self, fields: &Map<String, Value>, field: &str) {
        let found = match fields.get(field) {
            None | Some(Value::String(_)) => return,
            Some(Value::Null) => "<nil>",
            Some(Value::Bool(_)) => "bool",
            Some(Value::Number(_)) => "float64",
            Some(Value::Array(_)) => "[]interface {}",
            Some(Value::Object(_)) => "map[string]interface {}",
        };
        self.say(Severity::Error, field, format!("{field} should be of type string but it's of type {found}"));
    }

    fn people(&mut self, metadata: &Metadata) {
        for maintainer in &metadata.maintainers {
            let name = &maintainer.name;
            let message = if name.is_empty() {
                "each maintainer requires a name".to_owned()
            } else if !maintainer.email.is_empty() && !is_mail_address(&maintainer.email) {
                format!("invalid email '{}' for maintainer '{name}'", maintainer.email)
            } else if !maintainer.url.is_empty() && !is_page(&maintainer.url) {
                format!("invalid url '{}' for maintainer '{name}'", maintainer.url)
            } else {
                continue;
            };
            self.say(Severity::Error, "maintainers", message);
            break;
        }
        if let Some(source) = metadata.sources.iter().find(|source| !is_request_url(source)) {
            self.say(Severity::Error, "sources", format!("invalid source URL '{source}'"));
        }
        if metadata.icon.is_empty() {
            self.say(Severity::Info, "icon", "icon is recommended");
        } else if !is_request_url(&metadata.icon) {
            self.say(Severity::Error, "icon", format!("invalid icon URL '{}'", metadata.icon));
        }
    }

    fn format(&mut self, metadata: &Metadata) {
        let version = &metadata.api_version;
        if !metadata.chart_type.is_empty() && version != "v2" {
            let message = format!("chart type is not valid in apiVersion '{version}'. It is valid in apiVersion 'v2'");
            self.say(Severity::Error, "type", message);
        }
        if !metadata.dependencies.is_empty() && version != "v2" {
            let message = format!(
                "dependencies are not valid in the Chart file with apiVersion '{version}'. They are valid in \
                 apiVersion 'v2'"
            );
            self.say(Severity::Error, "dependencies", message);
        }
    }
}

/// Whether a version has all three numbers and no leading `v`.
fn is_strict_version(version: &str) -> bool {
    let numbers = version.split(['-', '+']).next().unwrap_or_default();
    is_version(version) && !version.starts_with('v') && numbers.split('.').count() == 3
}

fn is_mail_address(text: &str) -> bool {
    text.rsplit_once('@').is_some_and(|(local, domain)| {
        !local.is_empty() && !local.contains([' ', '@', '<', '>']) && domain.contains('.') && !domain.contains(' ')
    })
}

/// An absolute URL.
fn is_request_url(text: &str) -> bool {
    text.split_once(':').is_some_and(|(scheme, rest)| {
        scheme.starts_with(|it: char| it.is_ascii_alphabetic())
            && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
            && !rest.is_empty()
            && !text.contains([' ', '\n'])
    })
}

/// A URL, or a host without the scheme.
fn is_page(text: &str) -> bool {
    is_request_url(text) || (text.contains('.') && !text.starts_with('.') && !text.contains([' ', '\n']))
}
