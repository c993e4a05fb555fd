//! Who may do what: impersonation, and role-based access control over the stored roles and bindings.

use http::HeaderMap;
use serde_json::{Value, json};

use crate::cluster::Cluster;
use crate::error::ApiError;
use crate::log::Actor;
use crate::request::User;
use crate::store::Stored;

/// What someone wants to do.
#[derive(Debug, Clone, Default)]
pub(crate) struct Attempt {
    pub(crate) verb: String,
    pub(crate) group: String,
    /// The plural, with the subresource after a slash.
    pub(crate) resource: String,
    pub(crate) namespace: String,
    pub(crate) name: String,
    /// A path that is no resource; then the fields above but the verb are empty.
    pub(crate) path: String,
}

const RULES_MAX: usize = 100_000;

/// Paths every authenticated user may read, as the default roles have it.
const OPEN_PATHS: [&str; 8] = ["/api", "/apis", "/healthz", "/livez", "/openapi", "/readyz", "/version", "/"];

fn texts<'v>(value: &'v Value, key: &str) -> impl Iterator<Item = &'v str> {
    value.get(key).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
}

fn rule_allows(rule: &Value, attempt: &Attempt) -> bool {
    let has = |key: &str, want: &str| texts(rule, key).any(|have| have == "*" || have == want);
    if !has("verbs", &attempt.verb) {
        return false;
    }
    if !attempt.path.is_empty() {
        return texts(rule, "nonResourceURLs").any(|pattern| match pattern.strip_suffix('*') {
            Some(prefix) => attempt.path.starts_with(prefix),
            None => attempt.path == pattern,
        });
    }
    let (_, subresource) = attempt.resource.split_once('/').unwrap_or((&attempt.resource, ""));
    let is_resource = texts(rule, "resources").any(|have| {
        have == "*"
            || have == attempt.resource
            || !subresource.is_empty() && have.strip_prefix("*/") == Some(subresource)
    });
    let mut names = texts(rule, "resourceNames").peekable();
    let is_named = names.peek().is_none() || names.any(|have| have == attempt.name);
    is_resource && is_named && has("apiGroups", &attempt.group)
}

fn is_subject(subject: &Value, user: &User, binding_namespace: &str) -> bool {
    let text = |key: &str| subject.get(key).and_then(Value::as_str).unwrap_or_default();
    match text("kind") {
        "User" => text("name") == user.name,
        "Group" => user.is_in(text("name")),
        "ServiceAccount" => {
            let namespace = if text("namespace").is_empty() { binding_namespace } else { text("namespace") };
            user.name == format!("system:serviceaccount:{namespace}:{}", text("name"))
        }
        _ => false,
    }
}

impl Cluster {
    /// The rules that bind a user in a namespace and everywhere.
    pub(crate) fn rules_of(&self, user: &User, namespace: &str) -> Vec<Value> {
        self.rules(user, namespace).take(RULES_MAX).cloned().collect()
    }

    /// The same without copies, one after the other: most requests are allowed by one of the first.
    fn rules<'a>(&'a self, user: &'a User, namespace: &'a str) -> impl Iterator<Item = &'a Value> {
        let everywhere = self.list("clusterrolebindings.rbac.authorization.k8s.io", None);
        let here = self.list("rolebindings.rbac.authorization.k8s.io", Some(namespace));
        let bindings = everywhere.chain(here.filter(move |_| !namespace.is_empty()));
        bindings
            .filter_map(move |binding| self.role_of(binding, user))
            .flat_map(|role| role.json().get("rules").and_then(Value::as_array).into_iter().flatten())
    }

    /// The role of a binding that binds the user.
    fn role_of(&self, binding: &Stored, user: &User) -> Option<&Stored> {
        const GROUP: &str = "rbac.authorization.k8s.io";
        let subjects = binding.json().get("subjects")?.as_array()?;
        if !subjects.iter().any(|subject| is_subject(subject, user, binding.namespace())) {
            return None;
        }
        let reference = binding.json().get("roleRef")?;
        let name = reference.get("name")?.as_str()?;
        let role = match reference.get("kind").and_then(Value::as_str) {
            Some("ClusterRole") => self.get(&format!("clusterroles.{GROUP}"), "", name),
            _ => self.get(&format!("roles.{GROUP}"), binding.namespace(), name),
        };
        role.map(|role| &**role)
    }

    /// Whether a user may do something.
    pub(crate) fn may(&self, user: &User, attempt: &Attempt) -> bool {
        if !self.is_rbac_on || user.is_in("system:masters") {
            return true;
        }
        let is_open = OPEN_PATHS.iter().any(|path| {
            attempt.path == *path
                || *path != "/" && attempt.path.strip_prefix(path).is_some_and(|rest| rest.starts_with('/'))
        });
        if is_open && attempt.verb == "get" && user.is_in("system:authenticated") {
            return true;
        }
        // Everyone may ask about themselves.
        let is_self_review = matches!(
            attempt.resource.as_str(),
            "selfsubjectaccessreviews" | "selfsubjectrulesreviews" | "selfsubjectreviews"
        );
        if is_self_review && attempt.verb == "create" && user.is_in("system:authenticated") {
            return true;
        }
        self.rules(user, &attempt.namespace).take(RULES_MAX).any(|rule| rule_allows(rule, attempt))
    }

    /// Refuses what a user may not do, in the words of the API server.
    pub(crate) fn authorize(&self, user: &User, attempt: &Attempt) -> Result<(), ApiError> {
        if self.may(user, attempt) {
            return Ok(());
        }
        if !attempt.path.is_empty() {
            let message =
                format!("forbidden: User \"{}\" cannot {} path \"{}\"", user.name, attempt.verb, attempt.path);
            return Err(ApiError::new(403, "Forbidden", message).with_details(json!({})));
        }
        let (plural, _) = attempt.resource.split_once('/').unwrap_or((&attempt.resource, ""));
        let qualified = crate::resource::qualified(plural, &attempt.group);
        let named = if attempt.name.is_empty() { String::new() } else { format!(" \"{}\"", attempt.name) };
        let place = if attempt.namespace.is_empty() {
            "at the cluster scope".to_owned()
        } else {
            format!("in the namespace \"{}\"", attempt.namespace)
        };
        let message = format!(
            "{qualified}{named} is forbidden: User \"{}\" cannot {} resource \"{}\" in API group \"{}\" {place}",
            user.name, attempt.verb, attempt.resource, attempt.group
        );
        let mut details = json!({"kind": plural});
        for (key, value) in [("name", &attempt.name), ("group", &attempt.group)] {
            if let Some(fields) = details.as_object_mut().filter(|_| !value.is_empty()) {
                fields.insert(key.to_owned(), value.clone().into());
            }
        }
        Err(ApiError::new(403, "Forbidden", message).with_details(details))
    }

    /// Lets an actor run as another user when the headers ask for it and the rules allow it.
    pub(crate) fn impersonate(&self, actor: Actor, headers: &HeaderMap) -> Result<Actor, ApiError> {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
        let name = text("impersonate-user");
        let mut groups: Vec<String> = headers
            .get_all("impersonate-group")
            .iter()
            .filter_map(|value| value.to_str().ok())
            .map(str::to_owned)
            .collect();
        if name.is_empty() {
            if groups.is_empty() && text("impersonate-uid").is_empty() {
                return Ok(actor);
            }
            return Err(ApiError::new(500, "InternalError", "requested impersonation without impersonating a user"));
        }
        let account = name.strip_prefix("system:serviceaccount:").and_then(|rest| rest.split_once(':'));
        let attempt = match account {
            Some((namespace, account)) => Attempt {
                verb: "impersonate".to_owned(),
                resource: "serviceaccounts".to_owned(),
                namespace: namespace.to_owned(),
                name: account.to_owned(),
                ..Attempt::default()
            },
            None => Attempt {
                verb: "impersonate".to_owned(),
                resource: "users".to_owned(),
                name: name.clone(),
                ..Attempt::default()
            },
        };
        self.authorize(&actor.user, &attempt)?;
        for group in &groups {
            let attempt = Attempt {
                verb: "impersonate".to_owned(),
                resource: "groups".to_owned(),
                name: group.clone(),
                ..Attempt::default()
            };
            self.authorize(&actor.user, &attempt)?;
        }
        let own = User::new(&name);
        if groups.is_empty() {
            groups = own.groups;
        } else if name != "system:anonymous" && !groups.iter().any(|group| group == "system:authenticated") {
            groups.push("system:authenticated".to_owned());
        }
        Ok(Actor { user: User { name, groups }, impersonator: Some(actor.user.name), agent: actor.agent })
    }
}
