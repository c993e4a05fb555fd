//! Answers requests: who asks, what for, and the reads. The writes are in `write`.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::Method;
use object_model::Timestamp;
use serde_json::{Value, json};

use crate::cluster::Cluster;
use crate::error::{ApiError, Cause};
use crate::log::{Actor, Effect, LogEntry};
use crate::options::{action, body, call, delete_options};
use crate::paging::{Continue, check_match, expired_continue, parse_list_revision, parse_revision};
use crate::present::{self, Form, Presentation};
use crate::rbac::Attempt;
use crate::request::{Reply, Request, Response, User};
use crate::resource::ResourceType;
use crate::route::{Query, Route, Target, route, split_target, verb};
use crate::selector::Selection;
use crate::store::Stored;
use crate::watch::{Watch, WatchStart};
use crate::write::{Action, Call, Outcome};
use crate::{discovery, openapi_two, scale};

/// The default of a watch without a timeout.
const WATCH_TIMEOUT: Duration = Duration::from_secs(3_600);

/// A request with all that was read from its line and headers.
pub(crate) struct Asked<'a> {
    pub(crate) request: &'a Request,
    pub(crate) target: &'a Target,
    pub(crate) query: &'a Query,
    pub(crate) resource: Arc<ResourceType>,
    pub(crate) verb: &'static str,
    pub(crate) actor: Actor,
}

impl Cluster {
    /// Answers one request at a moment.
    pub fn handle(&mut self, request: &Request, now: Timestamp) -> Reply {
        self.set_now(now);
        let reply = self.answer(request).unwrap_or_else(|error| Reply::Response(Response::error(&error)));
        match reply {
            Reply::Response(response) if present::wants_yaml(request.header_text("accept")) => {
                Reply::Response(response.into_yaml())
            }
            reply => reply,
        }
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
            return Err(if self.registry.has_built_in(&target.group, &target.version) {
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
        if asked.target.subresource.as_deref() == Some("log") {
            return logs(asked, object.json());
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
        if let Some(text) = query.get("timeoutSeconds").filter(|text| text.parse::<i64>().is_err()) {
            return Err(ApiError::bad_request(format!("strconv.ParseInt: parsing {text:?}: invalid syntax")));
        }
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
            None => ApiError::expired("The resourceVersion for the provided list is too old."),
        })?;
        let rest = objects.iter().filter(|object| {
            after
                .as_ref()
                .is_none_or(|(space, name)| (object.namespace(), object.name()) > (space.as_str(), name.as_str()))
                && selection.matches(object.json())
        });
        let mut matching: Vec<Arc<Stored>> = rest.cloned().collect();
        let mut metadata = json!({"resourceVersion": revision.to_string()});
        let is_whole = presentation.form == Form::Object;
        if let (Some(fields), true) = (metadata.as_object_mut(), is_whole && asked.resource.custom.is_some()) {
            // Custom lists say that they are complete.
            fields.insert("continue".to_owned(), "".into());
        }
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
        check_watch_match(query)?;
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
        let (action, doubled) = action(asked)?;
        let outcome = self.perform(&Call { doubled, ..call }, action)?;
        Ok(respond(asked, &presentation, &outcome))
    }

    fn write_nothing_of_its_own(&mut self, asked: &Asked<'_>, call: &Call) -> Result<Response, ApiError> {
        let body = body(asked)?.value;
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
        let revision = self.revision();
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
        let metadata = json!({"resourceVersion": revision.to_string()});
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
            ["openapi", "v3", "api", version] => return Ok(Response::json(200, self.openapi_document("", version)?)),
            ["openapi", "v3", "apis", group, version] => {
                return Ok(Response::json(200, self.openapi_document(group, version)?));
            }
            ["openapi", "v2"] if openapi_two::wants_protobuf(request.header_text("accept")) => {
                let document = openapi_two::encode(&self.openapi_two());
                return Ok(Response::typed(200, openapi_two::MEDIA_TYPE, document));
            }
            ["openapi", "v2"] => self.openapi_two(),
            [] => {
                json!({"paths": ["/api", "/apis", "/healthz", "/livez", "/openapi/v2", "/openapi/v3", "/readyz", "/version"]})
            }
            _ => return Err(ApiError::unknown_path()),
        };
        Ok(Response::value(200, &value))
    }
}

/// A pod that runs nowhere has written nothing; what one that runs has written nobody knows, for nothing runs in it.
fn logs(asked: &Asked<'_>, pod: &Value) -> Result<Response, ApiError> {
    let name = asked.target.name.as_deref().unwrap_or_default();
    let all = ["containers", "initContainers"].into_iter().filter_map(|key| pod.get("spec")?.get(key)?.as_array());
    let mut names = all.flatten().filter_map(|container| container.get("name")?.as_str());
    if let Some(wanted) = asked.query.get("container")
        && !names.any(|name| name == wanted)
    {
        return Err(ApiError::bad_request(format!("container {wanted} is not valid for pod {name}")));
    }
    if pod.pointer("/spec/nodeName").and_then(Value::as_str).is_none_or(str::is_empty) {
        return Ok(Response::typed(200, "text/plain", Bytes::new()));
    }
    let message = format!("there are no logs of pod {name}: this cluster runs no containers");
    Err(ApiError::new(501, "NotImplemented", message))
}

/// A version to start at is matched in one way only, and only when the watch begins with a list.
fn check_watch_match(query: &Query) -> Result<(), ApiError> {
    let matched = query.get("resourceVersionMatch");
    let causes =
        match (query.is_present("sendInitialEvents"), matched) {
            (true, Some("NotOlderThan")) | (false, None) => return Ok(()),
            (true, other) => {
                let detail = "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan";
                let mut causes = vec![Cause::forbidden("resourceVersionMatch", detail)];
                causes.extend(other.map(|other| {
                    Cause::unsupported("resourceVersionMatch", &json!(other), &["NotOlderThan".to_owned()])
                }));
                causes
            }
            (false, Some(_)) => {
                let detail = "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided";
                vec![Cause::forbidden("resourceVersionMatch", detail)]
            }
        };
    Err(ApiError::invalid("meta.k8s.io", "ListOptions", "", &causes))
}

fn check_shape(asked: &Asked<'_>) -> Result<(), ApiError> {
    let (target, resource) = (asked.target, &asked.resource);
    let needs_none = resource.custom.is_some() && asked.verb == "create" && target.namespace.is_none();
    if resource.custom.is_some() && target.namespace.is_some() != resource.namespaced {
        // All of a namespaced kind may be read without naming a namespace.
        let is_read_of_all = matches!(asked.verb, "list" | "watch") && target.namespace.is_none();
        if !is_read_of_all && !needs_none {
            return Err(ApiError::unknown_path());
        }
    }
    if target.namespace.is_some() && !resource.namespaced {
        return Err(ApiError::unknown_resource());
    }
    if let Some(subresource) = &target.subresource
        && !resource.has_subresource(subresource)
    {
        if let (Some(_), Some(name)) = (&resource.custom, &target.name) {
            return Err(ApiError::not_found(resource, name));
        }
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
