//! The configuration of notifications as Argo has it, and a message made by it.

use std::collections::BTreeMap;
use std::sync::Arc;

use go_template::{CountingEntropy, Environment, Functions, Templates, from_json};
use object_model::Secret;
use serde_json::{Map, Value, json};

/// How deep a template's mapping may be.
const DEPTH_MAX: usize = 16;

/// One thing that a trigger sends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Rule {
    /// A condition in the expression language; empty when it always holds.
    pub(super) when: String,
    /// Names of templates.
    pub(super) send: Vec<String>,
}

/// The ConfigMap `argo-rollouts-notification-configmap`, with the Secret beside it.
#[derive(Debug, Clone)]
pub(super) struct Configuration {
    data: BTreeMap<String, String>,
    secret: BTreeMap<String, Secret<String>>,
}

/// A service: its type and its settings, secrets put in.
#[derive(Debug, Clone)]
pub(super) struct Service {
    pub(super) kind: String,
    pub(super) settings: Value,
}

impl Configuration {
    pub(super) fn new(data: BTreeMap<String, String>, secret: BTreeMap<String, Secret<String>>) -> Self {
        Self { data, secret }
    }

    fn section(&self, key: &str) -> Option<Result<Value, String>> {
        let text = self.data.get(key)?;
        let read = |mut documents: Vec<yaml::Document>| documents.pop().map(|it| it.value).unwrap_or_default();
        let first = |problems: Vec<yaml::Diagnostic>| {
            let words = problems.first().map(ToString::to_string).unwrap_or_default();
            format!("`{key}` is no YAML: {words}")
        };
        Some(yaml::parse(text).map(read).map_err(first))
    }

    /// `defaultTriggers`.
    pub(super) fn default_triggers(&self) -> Vec<String> {
        let listed = self.section("defaultTriggers").and_then(Result::ok).unwrap_or_default();
        let names = listed.as_array().map(Vec::as_slice).unwrap_or_default();
        names.iter().filter_map(|name| name.as_str().map(str::to_owned)).collect()
    }

    /// `trigger.NAME`.
    pub(super) fn rules(&self, trigger: &str) -> Result<Vec<Rule>, String> {
        let key = format!("trigger.{trigger}");
        let section = self.section(&key).ok_or_else(|| format!("trigger `{trigger}` is not configured"))??;
        let items = section.as_array().map(Vec::as_slice).unwrap_or_default();
        let rule = |item: &Value| Rule {
            when: item.get("when").and_then(Value::as_str).unwrap_or_default().trim().to_owned(),
            send: item
                .get("send")
                .and_then(Value::as_array)
                .into_iter()
                .flatten()
                .filter_map(|name| name.as_str().map(str::to_owned))
                .collect(),
        };
        Ok(items.iter().map(rule).collect())
    }

    /// `service.TYPE` or `service.TYPE.NAME`.
    pub(super) fn service(&self, name: &str) -> Result<Service, String> {
        let keys = self.data.keys().filter_map(|key| Some((key, key.strip_prefix("service.")?)));
        let mut named =
            keys.filter(|(_, rest)| *rest == name || rest.split_once('.').is_some_and(|(_, it)| it == name));
        let (key, rest) = named.next().ok_or_else(|| format!("service `{name}` is not configured"))?;
        let kind = rest.split_once('.').map_or(rest, |(kind, _)| kind).to_owned();
        let mut settings = self.section(key).unwrap_or(Ok(Value::Null))?;
        self.put_secrets(&mut settings, 0)?;
        Ok(Service { kind, settings })
    }

    /// `$key` stands for a value of the Secret.
    fn put_secrets(&self, value: &mut Value, depth: usize) -> Result<(), String> {
        match value {
            _ if depth > DEPTH_MAX => Err("a service is nested too deeply".to_owned()),
            Value::Object(map) => map.values_mut().try_for_each(|item| self.put_secrets(item, depth + 1)),
            Value::Array(items) => items.iter_mut().try_for_each(|item| self.put_secrets(item, depth + 1)),
            Value::String(text) => {
                for (key, secret) in self.secret.iter().rev() {
                    *text = text.replace(&format!("${key}"), secret.expose());
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// `template.NAME` with everything in it rendered.
    pub(super) fn message(&self, template: &str, mut facts: Value) -> Result<Value, String> {
        let key = format!("template.{template}");
        let mut section = self.section(&key).ok_or_else(|| format!("template `{template}` is not configured"))??;
        if let Value::Object(map) = &mut facts {
            let context = self.section("context").and_then(Result::ok).unwrap_or_else(|| json!({}));
            map.insert("context".to_owned(), context);
            let secrets = self.secret.iter().map(|(key, value)| (key.clone(), value.expose().clone().into()));
            map.insert("secrets".to_owned(), Value::Object(secrets.collect::<Map<_, _>>()));
        }
        render_all(&mut section, template, &from_json(&facts), 0)?;
        Ok(section)
    }
}

fn render_all(value: &mut Value, name: &str, facts: &go_template::Value, depth: usize) -> Result<(), String> {
    match value {
        _ if depth > DEPTH_MAX => Err(format!("template `{name}` is nested too deeply")),
        Value::Object(map) => map.values_mut().try_for_each(|item| render_all(item, name, facts, depth + 1)),
        Value::Array(items) => items.iter_mut().try_for_each(|item| render_all(item, name, facts, depth + 1)),
        Value::String(text) if text.contains("{{") => {
            *text = render(name, text, facts)?;
            Ok(())
        }
        _ => Ok(()),
    }
}

fn render(name: &str, text: &str, facts: &go_template::Value) -> Result<String, String> {
    let mut functions = Functions::builtins();
    go_template::functions::add_sprig(&mut functions);
    let mut templates = Templates::new(name, Arc::new(functions));
    templates.parse(name, text).map_err(|error| error.to_string())?;
    let mut entropy = CountingEntropy::default();
    let rendered = templates.execute(name, facts, &mut Environment::new(&mut entropy));
    rendered.map(|text| text.to_string()).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn configuration() -> Configuration {
        let data = [
            ("trigger.on-rollout-completed", "- send: [done]\n"),
            (
                "template.done",
                "message: \"{{.rollout.metadata.name}} is done in {{.context.environment}}\"\nslack:\n  attachments: '[{\"title\": \"{{.rollout.metadata.name | upper}}\"}]'\n",
            ),
            ("service.slack", "token: $slack-token\n"),
            ("service.webhook.hook", "url: https://x/$path\n"),
            ("context", "environment: qa\n"),
            ("defaultTriggers", "- on-rollout-aborted\n"),
        ];
        let secret = [("slack-token", "s3cret"), ("path", "p")];
        Configuration::new(
            data.map(|(key, text)| (key.to_owned(), text.to_owned())).into(),
            secret.map(|(key, text)| (key.to_owned(), Secret::new(text.to_owned()))).into(),
        )
    }

    #[test]
    fn templates_are_rendered_with_the_object_and_services_get_their_secrets() {
        let configuration = configuration();
        let facts = json!({"rollout": {"metadata": {"name": "web"}}});
        let message = configuration.message("done", facts).unwrap();
        assert_eq!(message["message"], "web is done in qa");
        assert_eq!(message["slack"]["attachments"], r#"[{"title": "WEB"}]"#);
        assert_eq!(configuration.service("slack").unwrap().settings["token"], "s3cret");
        let hook = configuration.service("hook").unwrap();
        assert_eq!((hook.kind.as_str(), hook.settings["url"].as_str()), ("webhook", Some("https://x/p")));
        assert_eq!(configuration.rules("on-rollout-completed").unwrap()[0].send, ["done"]);
        assert_eq!(configuration.default_triggers(), ["on-rollout-aborted"]);
    }

    #[test]
    fn what_is_missing_is_named() {
        let configuration = configuration();
        assert_eq!(configuration.rules("on-x").unwrap_err(), "trigger `on-x` is not configured");
        assert_eq!(configuration.service("x").unwrap_err(), "service `x` is not configured");
        assert_eq!(configuration.message("x", json!({})).unwrap_err(), "template `x` is not configured");
    }
}
