//! Answers requests: who asks, what for, and the reads. The writes are in `write`.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use bytes::Bytes;
use http::Method;
use object_model::Timestamp;
use serde_json::{Value, json};

use crate::cluster::{Cluster, manager_of};
use crate::error::{ApiError, Cause};
use crate::log::{Actor, Effect, LogEntry};
use crate::present::Presentation;
use crate::rbac::Attempt;
use crate::request::{Reply, Request, Response, User};
use crate::resource::ResourceType;
use crate::route::{Query, Route, Target, route, split_target, verb};
use crate::selector::Selection;
use crate::store::Stored;
use crate::watch::{Watch, WatchStart};
use crate::write::{Action, Call, DeleteOptions, FieldValidation, Outcome, PatchKind, Propagation, WriteOptions};
use crate::{discovery, protobuf, scale};

/// The default of a watch without a timeout.
const WATCH_TIMEOUT: Duration = Duration::from_secs(3_600);

/// A request with all that was read from its line and headers.
struct Asked<'a> {
    request: &'a Request,
    target: &'a Target,
    query: &'a Query,
    resource: Arc<ResourceType>,
    verb: &'static str,
    actor: Actor,
}

impl Cluster {
    /// Answers one request at a moment.
    pub fn handle(&mut self, request: &Request, now: Timestamp) -> Reply {
        self.set_now(now);
        self.answer(request).unwrap_or_else(|error| Reply::Response(Response::error(&error)))
    }

    fn answer(&mut self, request: &Request) -> Result<Reply, ApiError> {
        let (path, query) = split_target(&request.target);
        let actor = self.actor(request)?;
        let target = match route(path) {
            Route::Resource(target) => target,
            Route::Other(path) => {
                let attempt = Attempt { verb: "get".to_owned(), path: path.clone(), ..Attempt::default() };
                self.authorize(&actor.user, &attempt)?;
                return self.answer_other(request, &path).map(Reply::Response);
            }
        };
        let verb = verb(&request.method, &target, &query);
        let Some(resource) = self.registry.find(&target.group, &target.version, &target.plural).cloned() else {
            return Err(if self.registry.has_group_version(&target.group, &target.version) {
                ApiError::unknown_resource()
            } else {
                ApiError::unknown_path()
            });
        };
        let asked = Asked { request, target: &target, query: &query, resource, verb, actor };
        if let Err(error) = self.check_access(&asked) {
            self.record_read(&asked, error.code);
            return Err(error);
        }
        check_shape(&asked)?;
        match asked.verb {
            "get" | "list" | "watch" => {
                let result = self.read(&asked);
                self.record_read(&asked, result.as_ref().map_or_else(|error| error.code, Reply::status));
                result
            }
            _ => self.write(&asked).map(Reply::Response),
        }
    }

    fn check_access(&self, asked: &Asked<'_>) -> Result<(), ApiError> {
        let resource = match &asked.target.subresource {
            Some(subresource) => format!("{}/{subresource}", asked.resource.plural),
            None => asked.resource.plural.clone(),
        };
        let attempt = Attempt {
            verb: asked.verb.to_owned(),
            group: asked.resource.group.clone(),
            resource,
            namespace: asked.target.namespace.clone().unwrap_or_default(),
            name: asked.target.name.clone().unwrap_or_default(),
            path: String::new(),
        };
        self.authorize(&asked.actor.user, &attempt)
    }

    /// Finds out who asks: the skin says it, or the bearer token, or everyone is the administrator.
    fn actor(&self, request: &Request) -> Result<Actor, ApiError> {
        let agent = request.header_text("user-agent").unwrap_or_default().to_owned();
        let user = match (&request.user, request.header_text("authorization")) {
            (Some(user), _) => user.clone(),
            (None, Some(authorization)) => {
                let token = authorization.strip_prefix("Bearer ").unwrap_or_default();
                self.user_of_token(token).ok_or_else(ApiError::unauthorized)?
            }
            (None, None) => User::admin(),
        };
        self.impersonate(Actor { user, impersonator: None, agent }, &request.headers)
    }

    fn record_read(&mut self, asked: &Asked<'_>, code: u16) {
        self.record(LogEntry {
            at: self.now(),
            actor: asked.actor.clone(),
            verb: asked.verb,
            resource: asked.resource.qualified(),
            namespace: asked.target.namespace.clone().unwrap_or_default(),
            name: asked.target.name.clone().unwrap_or_default(),
            subresource: asked.target.subresource.clone().unwrap_or_default(),
            code,
            effect: Effect::None,
            revision: self.revision(),
        });
    }

    fn read(&self, asked: &Asked<'_>) -> Result<Reply, ApiError> {
        let presentation = self.presentation(asked)?;
        match asked.verb {
            "get" => self.read_one(asked, &presentation).map(Reply::Response),
            "list" => self.read_list(asked, &presentation).map(Reply::Response),
            _ => self.open_watch(asked, presentation).map(|watch| Reply::Watch(Box::new(watch))),
        }
    }

    fn presentation(&self, asked: &Asked<'_>) -> Result<Presentation, ApiError> {
        let accept = asked.request.header_text("accept");
        Presentation::from_accept(accept, asked.query.get("includeObject"), self.now())
    }

    fn read_one(&self, asked: &Asked<'_>, presentation: &Presentation) -> Result<Response, ApiError> {
        let name = asked.target.name.as_deref().unwrap_or_default();
        let namespace = asked.target.namespace.as_deref().unwrap_or_default();
        let object = self
            .get(&asked.resource.storage, namespace, name)
            .ok_or_else(|| ApiError::not_found(&asked.resource, name))?;
        if let Some(version) = asked.query.get("resourceVersion") {
            self.check_reached(parse_revision(version)?)?;
        }
        if asked.target.subresource.as_deref() == Some("scale") {
            return Ok(Response::value(200, &scale::of(&asked.resource, object.json())));
        }
        Ok(Response::json(200, presentation.object(&asked.resource, object)))
    }

    fn check_reached(&self, revision: u64) -> Result<(), ApiError> {
        let current = self.revision();
        if revision > current { Err(ApiError::too_large_revision(revision, current)) } else { Ok(()) }
    }

    fn selection(&self, asked: &Asked<'_>) -> Result<Selection, ApiError> {
        let query = asked.query;
        Selection::parse(&asked.resource, query.get("labelSelector"), query.get("fieldSelector"))
    }

    fn read_list(&self, asked: &Asked<'_>, presentation: &Presentation) -> Result<Response, ApiError> {
        let selection = self.selection(asked)?;
        let query = asked.query;
        let limit = match query.get("limit") {
            // A negative limit is none.
            Some(text) if text.parse::<i64>().is_ok_and(|limit| limit < 0) => 0,
            Some(text) => text
                .parse::<usize>()
                .map_err(|_| ApiError::bad_request(format!("strconv.ParseInt: parsing {text:?}: invalid syntax")))?,
            None => 0,
        };
        let exact = query.get("resourceVersionMatch");
        let version = query.get("resourceVersion").map(parse_list_revision).transpose()?;
        check_match(exact, version, query.get("continue").is_some())?;
        let start = query.get("continue").map(Continue::decode).transpose()?;
        let (revision, after) = match &start {
            Some(token) => (token.revision.unwrap_or_else(|| self.revision()), Some(token.after.clone())),
            None => match (exact, version) {
                (Some("Exact"), Some(version)) => (version, None),
                (_, Some(version)) => {
                    self.check_reached(version)?;
                    (self.revision(), None)
                }
                _ => (self.revision(), None),
            },
        };
        self.check_reached(revision)?;
        let namespace = asked.target.namespace.as_deref();
        let objects = self.store.list_at(&asked.resource.storage, namespace, revision).ok_or_else(|| match &start {
            Some(token) => expired_continue(&token.after, self.revision()),
            None => ApiError::expired(format!(
                "The provided resource version is too old: {revision} ({})",
                self.store.compacted()
            )),
        })?;
        let rest = objects.iter().filter(|object| {
            after
                .as_ref()
                .is_none_or(|(space, name)| (object.namespace(), object.name()) > (space.as_str(), name.as_str()))
                && selection.matches(object.json())
        });
        let mut matching: Vec<Arc<Stored>> = rest.cloned().collect();
        let mut metadata = json!({"resourceVersion": revision.to_string()});
        if limit > 0 && matching.len() > limit {
            let remaining = matching.len() - limit;
            matching.truncate(limit);
            if let (Some(fields), Some(last)) = (metadata.as_object_mut(), matching.last()) {
                let after = (last.namespace().to_owned(), last.name().to_owned());
                let token = Continue { revision: Some(revision), after };
                fields.insert("continue".to_owned(), token.encode().into());
                if selection.is_empty() {
                    fields.insert("remainingItemCount".to_owned(), remaining.into());
                }
            }
        }
        Ok(Response::json(200, presentation.list(&asked.resource, &matching, &metadata)))
    }

    fn open_watch(&self, asked: &Asked<'_>, presentation: Presentation) -> Result<Watch, ApiError> {
        let query = asked.query;
        let mut selection = self.selection(asked)?;
        if let Some(name) = &asked.target.name {
            selection = selection.named(name);
        }
        let namespace = asked.target.namespace.clone();
        let sends_initial = query.is_true("sendInitialEvents");
        let has_bookmarks = query.is_true("allowWatchBookmarks");
        if query.is_present("sendInitialEvents") && query.get("resourceVersionMatch") != Some("NotOlderThan") {
            let cause = crate::error::Cause::forbidden(
                "resourceVersionMatch",
                "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan",
            );
            return Err(ApiError::invalid("meta.k8s.io", "ListOptions", "", &[cause]));
        }
        if query.get("resourceVersionMatch").is_some_and(|word| !word.is_empty())
            && !query.is_present("sendInitialEvents")
        {
            let detail = "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided";
            let cause = Cause::forbidden("resourceVersionMatch", detail);
            return Err(ApiError::invalid("meta.k8s.io", "ListOptions", "", &[cause]));
        }
        let version = query.get("resourceVersion").map(parse_revision).transpose()?.unwrap_or(0);
        let current = self.revision();
        let wants_state = version == 0 && query.get("sendInitialEvents") != Some("false") || sends_initial;
        let initial = if wants_state {
            let all = self.list(&asked.resource.storage, namespace.as_deref());
            all.filter(|object| selection.matches(object.json())).cloned().collect()
        } else {
            Vec::new()
        };
        let cursor = if wants_state || version == 0 { current } else { version };
        let failure = (cursor < self.store.compacted())
            .then(|| ApiError::expired(format!("too old resource version: {version} ({})", self.store.compacted())));
        let timeout = match query.get("timeoutSeconds").and_then(|text| text.parse::<u64>().ok()) {
            Some(seconds) if seconds > 0 => Duration::from_secs(seconds.min(86_400)),
            _ => WATCH_TIMEOUT,
        };
        let start = WatchStart {
            cursor,
            initial,
            ends_initial: sends_initial && has_bookmarks,
            has_bookmarks,
            timeout,
            failure,
        };
        Ok(Watch::new(asked.resource.clone(), namespace, selection, presentation, start, self.now()))
    }

    fn write(&mut self, asked: &Asked<'_>) -> Result<Response, ApiError> {
        let presentation = self.presentation(asked)?;
        let call = call(asked)?;
        if asked.verb == "deletecollection" {
            return self.delete_collection(asked, &call);
        }
        if asked.verb == "create" && (!asked.resource.is_stored || call.subresource.is_some()) {
            return self.write_nothing_of_its_own(asked, &call);
        }
        let action = action(asked)?;
        let outcome = self.perform(&call, action)?;
        Ok(respond(asked, &presentation, &outcome))
    }

    fn write_nothing_of_its_own(&mut self, asked: &Asked<'_>, call: &Call) -> Result<Response, ApiError> {
        let body = json_body(asked)?;
        let result = match call.subresource.as_deref() {
            None => self.review(&asked.resource.kind, body, &asked.actor),
            Some("token") => self.issue_token(call, body),
            Some("eviction") => self.evict(call, &body),
            Some(_) => Err(ApiError::method_not_allowed()),
        };
        self.record_read(asked, result.as_ref().map_or_else(|error| error.code, |_| 201));
        result.map(|value| Response::value(201, &value))
    }

    fn delete_collection(&mut self, asked: &Asked<'_>, call: &Call) -> Result<Response, ApiError> {
        let selection = self.selection(asked)?;
        let options = delete_options(asked)?;
        let namespace = asked.target.namespace.as_deref();
        let chosen: Vec<Arc<Stored>> = self
            .list(&asked.resource.storage, namespace)
            .filter(|object| selection.matches(object.json()))
            .cloned()
            .collect();
        for object in &chosen {
            let one = Call { namespace: object.namespace().to_owned(), name: object.name().to_owned(), ..call.clone() };
            match self.perform(&one, Action::Delete(options.clone())) {
                Ok(_) => {}
                Err(error) if error.is_not_found() => {}
                Err(error) => return Err(error),
            }
        }
        let presentation = self.presentation(asked)?;
        let metadata = json!({"resourceVersion": self.revision().to_string()});
        Ok(Response::json(200, presentation.list(&asked.resource, &chosen, &metadata)))
    }

    fn answer_other(&mut self, request: &Request, path: &str) -> Result<Response, ApiError> {
        if request.method != Method::GET && request.method != Method::HEAD {
            return Err(ApiError::method_not_allowed());
        }
        let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
        let is_aggregated = discovery::wants_aggregated(request.header_text("accept"));
        let aggregated = |value: Value| Response::typed(200, discovery::AGGREGATED, Bytes::from(value.to_string()));
        let value = match parts.as_slice() {
            ["healthz" | "livez" | "readyz", ..] => {
                return Ok(Response::typed(200, "text/plain; charset=utf-8", Bytes::from("ok")));
            }
            ["version"] => discovery::version(),
            ["api"] if is_aggregated => return Ok(aggregated(self.aggregated(true))),
            ["apis"] if is_aggregated => return Ok(aggregated(self.aggregated(false))),
            ["api"] => self.legacy_versions(),
            ["apis"] => self.group_list(),
            ["api", version] => self.resource_list("", version)?,
            ["apis", group] => self.group(group)?,
            ["apis", group, version] => self.resource_list(group, version)?,
            ["openapi", "v3"] => self.openapi_index(),
            ["openapi", "v3", "api", version] => self.openapi_document("", version)?,
            ["openapi", "v3", "apis", group, version] => self.openapi_document(group, version)?,
            [] => json!({"paths": ["/api", "/apis", "/healthz", "/livez", "/openapi/v3", "/readyz", "/version"]}),
            _ => return Err(ApiError::unknown_path()),
        };
        Ok(Response::value(200, &value))
    }
}

fn check_shape(asked: &Asked<'_>) -> Result<(), ApiError> {
    let (target, resource) = (asked.target, &asked.resource);
    if target.namespace.is_some() && !resource.namespaced {
        return Err(ApiError::unknown_resource());
    }
    if let Some(subresource) = &target.subresource
        && !resource.has_subresource(subresource)
    {
        return Err(ApiError::unknown_resource());
    }
    // A namespaced object can't be named without its namespace.
    if resource.namespaced && target.namespace.is_none() && target.name.is_some() {
        return Err(ApiError::unknown_resource());
    }
    let is_allowed = match asked.verb {
        "create" => target.name.is_none() || target.subresource.is_some(),
        "update" | "patch" => target.name.is_some(),
        "delete" => !matches!(target.subresource.as_deref(), Some("scale" | "status")),
        "" => false,
        _ => true,
    };
    let needs_namespace = asked.verb == "create" && resource.namespaced && target.namespace.is_none();
    if !is_allowed || needs_namespace || !resource.is_stored && asked.verb != "create" {
        return Err(ApiError::method_not_allowed());
    }
    Ok(())
}

/// The name by which messages call the options of a request.
fn options_kind(asked: &Asked<'_>) -> &'static str {
    match asked.verb {
        "create" => "CreateOptions",
        "update" => "UpdateOptions",
        "patch" => "PatchOptions",
        _ => "DeleteOptions",
    }
}

/// What is wrong with the options of a write.
fn check_options(asked: &Asked<'_>) -> Result<(), ApiError> {
    let query = asked.query;
    let mut causes = Vec::new();
    if asked.verb == "patch" {
        let is_apply = media_type(asked) == "application/apply-patch+yaml";
        if is_apply && query.get("fieldManager").is_none_or(str::is_empty) {
            causes.push(Cause::required("fieldManager", "is required for apply patch"));
        }
        if !is_apply && query.get("force").is_some() {
            causes.push(Cause::forbidden("force", "may not be specified for non-apply patch"));
        }
    }
    if let Some(other) = query.get("dryRun").filter(|word| !matches!(*word, "" | "All")) {
        causes.push(Cause::unsupported("dryRun", &json!([other]), &["All".to_owned()]));
    }
    if let Some(other) = query.get("fieldValidation").filter(|word| !matches!(*word, "" | "Strict" | "Warn" | "Ignore"))
        && asked.verb != "delete"
    {
        let supported = ["", "Ignore", "Strict", "Warn"].map(str::to_owned);
        causes.push(Cause::unsupported("fieldValidation", &json!(other), &supported));
    }
    if causes.is_empty() {
        return Ok(());
    }
    Err(ApiError::invalid("meta.k8s.io", options_kind(asked), "", &causes))
}

fn call(asked: &Asked<'_>) -> Result<Call, ApiError> {
    let query = asked.query;
    check_options(asked)?;
    let is_dry_run = query.get("dryRun") == Some("All") || asked.verb == "delete" && asks_for_dry_run(asked);
    let field_validation = match query.get("fieldValidation") {
        Some("Strict") => FieldValidation::Strict,
        Some("Ignore") => FieldValidation::Ignore,
        _ => FieldValidation::Warn,
    };
    let manager = match query.get("fieldManager") {
        Some(name) => name.to_owned(),
        None => manager_of(&asked.actor.agent),
    };
    Ok(Call {
        resource: asked.resource.clone(),
        namespace: asked.target.namespace.clone().unwrap_or_default(),
        name: asked.target.name.clone().unwrap_or_default(),
        subresource: asked.target.subresource.clone(),
        actor: asked.actor.clone(),
        options: WriteOptions { manager, is_dry_run, is_forced: query.is_true("force"), field_validation },
    })
}

fn action(asked: &Asked<'_>) -> Result<Action, ApiError> {
    match asked.verb {
        "create" => Ok(Action::Create(json_body(asked)?)),
        "update" => Ok(Action::Update(json_body(asked)?)),
        "delete" => Ok(Action::Delete(delete_options(asked)?)),
        _ => {
            let kind = match media_type(asked) {
                "application/merge-patch+json" => PatchKind::Merge,
                "application/json-patch+json" => PatchKind::Json,
                "application/strategic-merge-patch+json" if asked.resource.custom.is_none() => PatchKind::Strategic,
                "application/apply-patch+yaml" => PatchKind::Apply,
                _ if asked.resource.custom.is_some() => {
                    return Err(ApiError::unsupported_media(&[
                        "application/json-patch+json",
                        "application/merge-patch+json",
                        "application/apply-patch+yaml",
                    ]));
                }
                _ => {
                    return Err(ApiError::new(415, "UnsupportedMediaType", "415: Unsupported Media Type")
                        .with_details(json!({})));
                }
            };
            Ok(Action::Patch(kind, parse_json(&asked.request.body)?))
        }
    }
}

fn media_type<'a>(asked: &'a Asked<'_>) -> &'a str {
    let header = asked.request.header_text("content-type").unwrap_or("application/json");
    header.split(';').next().unwrap_or_default().trim()
}

fn json_body(asked: &Asked<'_>) -> Result<Value, ApiError> {
    match media_type(asked) {
        "application/json" | "" => parse_json(&asked.request.body),
        protobuf::MEDIA_TYPE if asked.resource.custom.is_none() => protobuf::decode(&asked.request.body)
            .ok_or_else(|| ApiError::unsupported_media(&["application/json", protobuf::MEDIA_TYPE])),
        _ => Err(ApiError::unsupported_media(&["application/json", protobuf::MEDIA_TYPE])),
    }
}

fn parse_json(body: &Bytes) -> Result<Value, ApiError> {
    serde_json::from_slice(body)
        .map_err(|error| ApiError::bad_request(format!("couldn't get version/kind; json parse error: {error}")))
}

/// A delete may ask for a dry run in its body.
fn asks_for_dry_run(asked: &Asked<'_>) -> bool {
    let body = if asked.request.body.is_empty() { None } else { json_body(asked).ok() };
    body.as_ref().and_then(|body| body.pointer("/dryRun/0")).and_then(Value::as_str) == Some("All")
}

fn delete_options(asked: &Asked<'_>) -> Result<DeleteOptions, ApiError> {
    let body = if asked.request.body.is_empty() { json!({}) } else { json_body(asked)? };
    let text = |pointer: &str| body.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
    let propagation = text("/propagationPolicy").or_else(|| asked.query.get("propagationPolicy").map(str::to_owned));
    let propagation = match propagation.as_deref() {
        None => match body.get("orphanDependents").and_then(Value::as_bool) {
            None => None,
            Some(true) => Some(Propagation::Orphan),
            Some(false) => Some(Propagation::Background),
        },
        Some("Background") => Some(Propagation::Background),
        Some("Foreground") => Some(Propagation::Foreground),
        Some("Orphan") => Some(Propagation::Orphan),
        Some(other) => {
            let message = format!(
                "Unsupported value: {other:?}: supported values: \"Foreground\", \"Background\", \"Orphan\", \"nil\""
            );
            let cause = Cause { reason: "FieldValueNotSupported", message, field: "propagationPolicy".to_owned() };
            return Err(ApiError::invalid("meta.k8s.io", "DeleteOptions", "", &[cause]));
        }
    };
    if let (Some(policy), true) =
        (text("/propagationPolicy"), body.get("orphanDependents").is_some_and(|it| !it.is_null()))
    {
        let detail = "orphanDependents and deletionPropagation cannot be both set";
        let cause = Cause::invalid("propagationPolicy", &json!(policy), detail);
        return Err(ApiError::invalid("meta.k8s.io", "DeleteOptions", "", &[cause]));
    }
    let grace = body
        .get("gracePeriodSeconds")
        .and_then(Value::as_i64)
        .or_else(|| asked.query.get("gracePeriodSeconds").and_then(|text| text.parse().ok()));
    Ok(DeleteOptions {
        uid: text("/preconditions/uid"),
        resource_version: text("/preconditions/resourceVersion"),
        grace_period_seconds: grace,
        propagation,
    })
}

fn respond(asked: &Asked<'_>, presentation: &Presentation, outcome: &Outcome) -> Response {
    let mut response = if outcome.effect == Effect::Deleted && asked.verb == "delete" && !returns_deleted(asked) {
        let resource = &asked.resource;
        let mut details = json!({"name": outcome.object.name(), "kind": resource.plural, "uid": outcome.object.uid()});
        if let Some(fields) = details.as_object_mut().filter(|_| !resource.group.is_empty()) {
            fields.insert("group".to_owned(), resource.group.clone().into());
        }
        let status = json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details,
        });
        Response::value(200, &status)
    } else {
        let code = if outcome.effect == Effect::Created { 201 } else { 200 };
        if asked.target.subresource.as_deref() == Some("scale") {
            return Response::value(code, &scale::of(&asked.resource, outcome.object.json()));
        }
        Response::json(code, presentation.object(&asked.resource, &outcome.object))
    };
    for warning in outcome.warnings.iter().take(64) {
        if let Ok(value) = http::HeaderValue::from_str(&format!("299 - {:?}", warning)) {
            response.headers.append(http::header::WARNING, value);
        }
    }
    response
}

fn returns_deleted(asked: &Asked<'_>) -> bool {
    asked.resource.custom.is_none()
        && matches!(
            asked.resource.kind.as_str(),
            "Pod"
                | "Service"
                | "ServiceAccount"
                | "PersistentVolume"
                | "PersistentVolumeClaim"
                | "PodTemplate"
                | "ResourceQuota"
                | "StorageClass"
        )
}

fn parse_revision(text: &str) -> Result<u64, ApiError> {
    text.parse().map_err(|_| ApiError::new(500, "", bad_revision(text)))
}

fn bad_revision(text: &str) -> String {
    format!("resourceVersion: Invalid value: {text:?}: strconv.ParseUint: parsing {text:?}: invalid syntax")
}

/// A list says of a bad version what a read and a watch take for a fault of their own.
fn parse_list_revision(text: &str) -> Result<u64, ApiError> {
    text.parse().map_err(|_| ApiError::bad_request(format!("invalid resource version: {}", bad_revision(text))))
}

fn check_match(exact: Option<&str>, version: Option<u64>, continues: bool) -> Result<(), ApiError> {
    let forbid = |why: &str| {
        let cause = crate::error::Cause::forbidden("resourceVersionMatch", why);
        Err(ApiError::invalid("meta.k8s.io", "ListOptions", "", &[cause]))
    };
    match exact {
        None => Ok(()),
        Some(_) if continues => forbid("resourceVersionMatch is forbidden when continue is provided"),
        Some(_) if version.is_none() => forbid("resourceVersionMatch is forbidden unless resourceVersion is provided"),
        Some("Exact") if version == Some(0) => {
            forbid("resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\"")
        }
        Some("Exact" | "NotOlderThan") => Ok(()),
        Some(other) => {
            let cause = Cause {
                reason: "FieldValueNotSupported",
                message: format!("Unsupported value: {other:?}: supported values: \"Exact\", \"NotOlderThan\", \"\""),
                field: "resourceVersionMatch".to_owned(),
            };
            Err(ApiError::invalid("meta.k8s.io", "ListOptions", "", &[cause]))
        }
    }
}

/// Where a limited list goes on.
struct Continue {
    /// None goes on in the present, at the price of a consistent list.
    revision: Option<u64>,
    after: (String, String),
}

impl Continue {
    fn encode(&self) -> String {
        let revision = self.revision.map_or(-1, |revision| i64::try_from(revision).unwrap_or(i64::MAX));
        let start = format!("{}/{}\u{0}", self.after.0, self.after.1);
        let token = json!({"v": "meta.k8s.io/v1", "rv": revision, "start": start});
        base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(token.to_string())
    }

    fn decode(text: &str) -> Result<Self, ApiError> {
        let invalid = || ApiError::bad_request("continue key is not valid");
        let bytes = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(text).map_err(|_| invalid())?;
        let token: Value = serde_json::from_slice(&bytes).map_err(|_| invalid())?;
        let start = token.get("start").and_then(Value::as_str).ok_or_else(invalid)?;
        let (namespace, name) = start.trim_end_matches('\u{0}').rsplit_once('/').ok_or_else(invalid)?;
        let revision = token.get("rv").and_then(Value::as_i64).ok_or_else(invalid)?;
        Ok(Self { revision: u64::try_from(revision).ok(), after: (namespace.to_owned(), name.to_owned()) })
    }
}

fn expired_continue(after: &(String, String), revision: u64) -> ApiError {
    let mut error = ApiError::expired(
        "The provided continue parameter is too old to display a consistent list result. You can start a new list \
         without the continue parameter, or use the continue token in this response to retrieve the remainder of the \
         results. Continuing with the provided token results in an inconsistent list - objects that were created, \
         modified, or deleted between the time the first chunk was returned and now may show up in the list.",
    );
    let token = Continue { revision: None, after: after.clone() };
    error.metadata = Some(Box::new(json!({"continue": token.encode(), "resourceVersion": revision.to_string()})));
    error
}
