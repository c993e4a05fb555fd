//! What templates find at the top besides values: `.Files`, `.Capabilities`, `.Chart`, `.Release`.

use std::any::Any;
use std::collections::BTreeMap;
use std::rc::Rc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use go_template::{Args, Call, CallError, Kind, List, Map, Object, Signature, Str, Type, Value};

use super::capabilities::{Capabilities, HELM_VERSION, KubeVersion};
use super::chart::ChartFile;
use super::glob::FileGlob;
use super::go_text::base;
use super::metadata::{Dependency, ImportValues, Metadata};

/// The type of `.Values`, `.Template` and of the top itself.
pub(crate) const VALUES: &Type = &Type::Named("common.Values", Type::ANY_MAP);
const FILES: &Type = &Type::Named("engine.files", &Type::Map(Type::BYTES));
const VERSION_SET: &Type = &Type::Named("common.VersionSet", Type::STRING_LIST);

const NO_ARGUMENTS: &Signature = &Signature::fixed(&[]);
const ONE_STRING: &Signature = &Signature::fixed(&[&Type::String]);

/// `.Files`: the files of a chart that are no templates.
#[derive(Clone)]
pub(crate) struct FilesObject {
    files: Rc<BTreeMap<String, Str>>,
}

impl FilesObject {
    pub(crate) fn new(files: &[ChartFile]) -> Self {
        let files = files.iter().map(|file| (file.name.clone(), Str::from(file.data.as_ref()))).collect();
        Self { files: Rc::new(files) }
    }

    fn get(&self, name: &str) -> Str {
        self.files.get(name).cloned().unwrap_or_default()
    }

    fn glob(&self, pattern: &str) -> Self {
        let glob = FileGlob::parse(pattern);
        let matching = self.files.iter().filter(|(name, _)| glob.as_ref().is_none_or(|glob| glob.is_match(name)));
        Self { files: Rc::new(matching.map(|(name, data)| (name.clone(), data.clone())).collect()) }
    }

    /// The files under their bare names as YAML; of several with the same name one wins.
    fn yaml(&self, call: &mut Call<'_>, content: impl Fn(&[u8]) -> String) -> Result<Value, CallError> {
        let mut entries = serde_json::Map::new();
        for (name, data) in self.files.iter() {
            call.produce(data.len() * 2)?;
            entries.insert(base(name).to_owned(), content(data.as_bytes()).into());
        }
        let text = yaml::to_yaml(&entries.into());
        Ok(text.strip_suffix('\n').map(str::to_owned).unwrap_or(text).into())
    }

    fn lines(&self, name: &str) -> Result<Value, CallError> {
        let Some(data) = self.files.get(name) else { return Ok(List::of_strings::<Str>([]).into()) };
        let data = data.as_bytes();
        if data.is_empty() {
            return Err(CallError::new("runtime error: index out of range [-1]"));
        }
        let data = data.strip_suffix(b"\n").unwrap_or(data);
        Ok(List::of_strings(data.split(|byte| *byte == b'\n').map(Str::from)).into())
    }
}

impl Object for FilesObject {
    fn object_type(&self) -> &'static Type {
        FILES
    }

    fn kind(&self) -> Kind {
        Kind::Map
    }

    fn method(&self, name: &str) -> Option<&'static Signature> {
        match name {
            "Get" | "GetBytes" | "Glob" | "Lines" => Some(ONE_STRING),
            "AsConfig" | "AsSecrets" => Some(NO_ARGUMENTS),
            _ => None,
        }
    }

    fn call(&self, name: &str, call: &mut Call<'_>, args: Args<'_>) -> Result<Value, CallError> {
        call.step(self.files.len())?;
        match name {
            "Get" => Ok(Value::Str(self.get(&args.text(0)?))),
            "GetBytes" => Ok(Value::Bytes(self.get(&args.text(0)?))),
            "Glob" => Ok(Value::object(self.glob(&args.text(0)?))),
            "Lines" => self.lines(&args.text(0)?),
            "AsConfig" => self.yaml(call, |data| String::from_utf8_lossy(data).into_owned()),
            "AsSecrets" => self.yaml(call, |data| STANDARD.encode(data)),
            other => Err(CallError::new(format!("{other} is no method of {FILES}"))),
        }
    }

    fn underlying(&self) -> Option<Value> {
        let entries = self.files.iter().map(|(name, data)| (Str::from(name), Value::Bytes(data.clone()))).collect();
        Some(Value::Map(Map::of(FILES, entries)))
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// `.Capabilities`.
pub(crate) struct CapabilitiesObject {
    kube_version: Value,
    api_versions: Value,
    helm_version: Value,
}

impl CapabilitiesObject {
    pub(crate) fn new(capabilities: &Capabilities) -> Self {
        let api_versions = capabilities.api_versions.iter().map(|name| Value::Str(name.into())).collect();
        Self {
            kube_version: Value::object(KubeVersionObject(capabilities.kube_version.clone())),
            api_versions: Value::object(VersionSet(List::of(VERSION_SET, api_versions))),
            helm_version: Value::object(HelmVersion),
        }
    }
}

impl Object for CapabilitiesObject {
    fn object_type(&self) -> &'static Type {
        &Type::Object("*common.Capabilities")
    }

    fn kind(&self) -> Kind {
        Kind::Pointer
    }

    fn fields(&self) -> Vec<(&'static str, Value)> {
        vec![
            ("KubeVersion", self.kube_version.clone()),
            ("APIVersions", self.api_versions.clone()),
            ("HelmVersion", self.helm_version.clone()),
        ]
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// `.Capabilities.KubeVersion`.
struct KubeVersionObject(KubeVersion);

impl Object for KubeVersionObject {
    fn object_type(&self) -> &'static Type {
        &Type::Object("common.KubeVersion")
    }

    fn fields(&self) -> Vec<(&'static str, Value)> {
        let Self(it) = self;
        vec![
            ("Version", it.version.as_str().into()),
            ("Major", it.major.as_str().into()),
            ("Minor", it.minor.as_str().into()),
        ]
    }

    fn method(&self, name: &str) -> Option<&'static Signature> {
        matches!(name, "String" | "GitVersion").then_some(NO_ARGUMENTS)
    }

    fn call(&self, name: &str, _: &mut Call<'_>, _: Args<'_>) -> Result<Value, CallError> {
        Ok(if name == "String" { self.0.normalized.as_str() } else { self.0.version.as_str() }.into())
    }

    fn text(&self) -> Option<Str> {
        Some(self.0.normalized.as_str().into())
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// `.Capabilities.APIVersions`.
struct VersionSet(List);

impl Object for VersionSet {
    fn object_type(&self) -> &'static Type {
        VERSION_SET
    }

    fn kind(&self) -> Kind {
        Kind::Slice
    }

    fn method(&self, name: &str) -> Option<&'static Signature> {
        (name == "Has").then_some(ONE_STRING)
    }

    fn call(&self, _: &str, call: &mut Call<'_>, args: Args<'_>) -> Result<Value, CallError> {
        call.step(self.0.len())?;
        let wanted = args.string(0)?;
        Ok(self.0.items().iter().any(|item| matches!(item, Value::Str(name) if name == wanted)).into())
    }

    fn underlying(&self) -> Option<Value> {
        Some(Value::List(self.0.clone()))
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// `.Capabilities.HelmVersion`.
struct HelmVersion;

impl Object for HelmVersion {
    fn object_type(&self) -> &'static Type {
        &Type::Object("version.BuildInfo")
    }

    fn fields(&self) -> Vec<(&'static str, Value)> {
        HELM_VERSION.iter().map(|(field, _, value)| (*field, Value::text(value))).collect()
    }

    fn json_value(&self) -> Value {
        Value::Map(HELM_VERSION.iter().map(|(_, name, value)| (*name, *value)).collect())
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// `.Chart`: the fields of `Chart.yaml` under the names they have in Helm's own code.
pub(crate) fn chart_object(metadata: &Metadata, is_root: bool) -> Map {
    let text = |text: &str| Value::from(text);
    let texts = |texts: &[String]| Value::List(texts.iter().map(|text| Value::Str(text.into())).collect());
    let annotations = match &metadata.annotations {
        Some(annotations) => {
            let entries = annotations.iter().map(|(key, value)| (Str::from(key), Value::Str(value.into())));
            Map::of(Type::STRING_MAP, entries.collect())
        }
        None => Map::nil(Type::STRING_MAP),
    };
    let maintainers = metadata.maintainers.iter().map(|it| {
        Value::Map([("Name", it.name.as_str()), ("Email", &it.email), ("URL", &it.url)].into_iter().collect())
    });
    [
        ("Name", text(&metadata.name)),
        ("Home", text(&metadata.home)),
        ("Sources", texts(&metadata.sources)),
        ("Version", text(&metadata.version)),
        ("Description", text(&metadata.description)),
        ("Keywords", texts(&metadata.keywords)),
        ("Maintainers", Value::List(maintainers.collect())),
        ("Icon", text(&metadata.icon)),
        ("APIVersion", text(&metadata.api_version)),
        ("Condition", text(&metadata.condition)),
        ("Tags", text(&metadata.tags)),
        ("AppVersion", text(&metadata.app_version)),
        ("Deprecated", Value::Bool(metadata.is_deprecated)),
        ("Annotations", annotations.into()),
        ("KubeVersion", text(&metadata.kube_version)),
        ("Dependencies", Value::List(metadata.dependencies.iter().map(dependency_object).collect())),
        ("Type", text(&metadata.chart_type)),
        ("IsRoot", Value::Bool(is_root)),
    ]
    .into_iter()
    .collect()
}

fn dependency_object(dependency: &Dependency) -> Value {
    let import = |import: &ImportValues| {
        let (child, parent) = match import {
            ImportValues::Export(name) => (format!("exports.{name}"), "."),
            ImportValues::Table { child, parent } => (child.clone(), parent.as_str()),
        };
        let entries = [("child", Value::from(child)), ("parent", parent.into())];
        let entries = entries.into_iter().map(|(key, value)| (Str::from(key), value));
        Value::Map(Map::of(Type::STRING_MAP, entries.collect()))
    };
    let entries: Map = [
        ("Name", Value::from(dependency.name.as_str())),
        ("Version", dependency.version.as_str().into()),
        ("Repository", dependency.repository.as_str().into()),
        ("Condition", dependency.condition.as_str().into()),
        ("Tags", Value::List(dependency.tags.iter().map(|tag| Value::Str(tag.into())).collect())),
        ("Enabled", dependency.is_enabled.into()),
        ("ImportValues", Value::List(dependency.import_values.iter().map(import).collect())),
        ("Alias", dependency.alias.as_str().into()),
    ]
    .into_iter()
    .collect();
    entries.into()
}
