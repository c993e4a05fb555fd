//! Fields that somebody else than Git drives: who claims them, and how their live values are kept.
//!
//! A rollout engine publishes its claims as an annotation on what it drives; an autoscaler claims the replicas of its
//! target by existing. Before it compares and applies, a sync takes claimed values from live, so that the two never
//! fight over a field.

use object_model::{Object, Uid};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::field_pointer::{FieldPointer, PointerStep};
use crate::field_set::FieldSet;
use crate::ignore::IgnoreRule;
use crate::left_to_others::leave_to_others;
use crate::list_shape::{self, ListShape};

/// The annotation in which claims are published on the object that they are about.
pub const CLAIMS_ANNOTATION: &str = "sluice.dev/claims";

/// More claims than an engine needs on one object.
const CLAIMS_MAX: usize = 1024;

/// One field and who drives it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Claim {
    /// The field.
    pub pointer: FieldPointer,
    /// The uid of the object that drives it.
    pub uid: Uid,
    /// The kind of that object, for people.
    pub kind: String,
}

/// Why a claims annotation can't be read.
#[derive(Debug, thiserror::Error)]
pub enum ClaimsError {
    /// The text is not a list of claims.
    #[error("annotation `sluice.dev/claims` is not a list of claims")]
    Parse {
        /// What the parser found.
        source: serde_json::Error,
    },
    /// There are more claims than are read.
    #[error("annotation `sluice.dev/claims` has {count} claims, at most 1024 are read")]
    TooMany {
        /// How many there are.
        count: usize,
    },
}

/// The claims on one object, in order and without repeats.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Claims {
    list: Vec<Claim>,
}

impl Claims {
    /// Takes claims in any order.
    pub fn new(claims: impl IntoIterator<Item = Claim>) -> Self {
        let mut list: Vec<Claim> = claims.into_iter().collect();
        list.sort();
        list.dedup();
        Self { list }
    }

    /// Reads the text of the annotation.
    ///
    /// # Errors
    /// When it is not a list of claims, or too long a one.
    pub fn parse(text: &str) -> Result<Self, ClaimsError> {
        let list: Vec<Claim> = serde_json::from_str(text).map_err(|source| ClaimsError::Parse { source })?;
        if list.len() > CLAIMS_MAX {
            return Err(ClaimsError::TooMany { count: list.len() });
        }
        Ok(Self::new(list))
    }

    /// Reads the claims that are published on an object; none when it has no annotation.
    ///
    /// # Errors
    /// When the annotation can't be read.
    pub fn on(object: &Object) -> Result<Self, ClaimsError> {
        object.annotation(CLAIMS_ANNOTATION).map_or_else(|| Ok(Self::default()), Self::parse)
    }

    /// The text of the annotation; `None` when nothing is claimed and the annotation goes.
    pub fn to_annotation(&self) -> Option<String> {
        if self.list.is_empty() { None } else { serde_json::to_string(&self.list).ok() }
    }

    /// Replaces the claims of one owner and keeps those of others, which is how an engine publishes.
    #[must_use]
    pub fn with_owner(self, uid: &Uid, kind: &str, pointers: impl IntoIterator<Item = FieldPointer>) -> Self {
        let others = self.list.into_iter().filter(|claim| claim.uid != *uid);
        let own = pointers.into_iter().map(|pointer| Claim { pointer, uid: uid.clone(), kind: kind.to_owned() });
        Self::new(others.chain(own).collect::<Vec<_>>())
    }

    /// Keeps the claims whose owner `is_live`: a claim ends with its owner.
    #[must_use]
    pub fn of_live_owners(self, is_live: impl Fn(&Claim) -> bool) -> Self {
        Self { list: self.list.into_iter().filter(|claim| is_live(claim)).collect() }
    }

    /// Adds other claims.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self::new(self.list.into_iter().chain(other.list))
    }

    /// The claims in order.
    pub fn iter(&self) -> impl Iterator<Item = &Claim> {
        self.list.iter()
    }

    /// The claimed fields.
    pub fn pointers(&self) -> impl Iterator<Item = &FieldPointer> {
        self.list.iter().map(|claim| &claim.pointer)
    }

    /// Whether nothing is claimed.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }
}

/// The claims of autoscalers on `target`: each HorizontalPodAutoscaler that scales it claims `/spec/replicas`.
pub fn autoscaler_claims<'a>(target: &Object, autoscalers: impl IntoIterator<Item = &'a Object>) -> Claims {
    let scales = |autoscaler: &&Object| {
        let text = |field: &str| autoscaler.str_at(&format!("/spec/scaleTargetRef/{field}")).unwrap_or_default();
        let group = text("apiVersion").split_once('/').map_or("", |(group, _)| group);
        autoscaler.kind() == "HorizontalPodAutoscaler"
            && autoscaler.namespace() == target.namespace()
            && !autoscaler.is_deleting()
            && (group, text("kind"), text("name")) == (target.group(), target.kind(), target.name())
    };
    let claims = autoscalers.into_iter().filter(scales).filter_map(|autoscaler| {
        let pointer = FieldPointer::of_keys(["spec", "replicas"]);
        Some(Claim { pointer, uid: autoscaler.uid()?, kind: autoscaler.kind().to_owned() })
    });
    Claims::new(claims)
}

/// Returns `desired` with the live value of each claimed field.
///
/// A field that Git sets takes the live value, or goes when live has none. A field that Git does not set is put in only
/// where an apply would otherwise take it away: inside a value that the server replaces whole, or where
/// `field_manager` (ours) owns it on live.
pub fn take_claimed(desired: &Object, live: &Object, claims: &Claims, field_manager: &str) -> Object {
    take_from_live(desired, live, claims.pointers(), field_manager)
}

/// Returns `desired` with the live value of each field that an ignore rule covers, by the rules of [`take_claimed`], so
/// that an apply leaves alone what a comparison does not look at. What the field managers of a rule own is left out.
pub fn take_ignored(desired: &Object, live: &Object, rules: &[IgnoreRule], field_manager: &str) -> Object {
    let covering = rules.iter().filter(|rule| rule.covers(live));
    let places: Vec<FieldPointer> = covering.flat_map(|rule| rule.places(desired, live)).collect();
    let taken = take_from_live(desired, live, places.iter(), field_manager);
    leave_to_others(taken, live, rules, field_manager)
}

fn take_from_live<'a>(
    desired: &Object,
    live: &Object,
    pointers: impl Iterator<Item = &'a FieldPointer>,
    field_manager: &str,
) -> Object {
    let mut pointers = pointers.peekable();
    if pointers.peek().is_none() {
        return desired.clone();
    }
    let ours = FieldSet::applied_by(live, field_manager);
    let mut taken = desired.clone().into_json();
    let from = live.to_json();
    for pointer in pointers {
        let at = At { kind: live.kind(), parents: Vec::new(), is_atomic: false, ours: ours.as_ref() };
        take(&mut taken, &from, pointer.steps(), &at);
    }
    Object::from_json(taken).unwrap_or_else(|_| desired.clone())
}

struct At<'a> {
    kind: &'a str,
    parents: Vec<&'a str>,
    is_atomic: bool,
    ours: Option<&'a FieldSet>,
}

impl<'a> At<'a> {
    fn below(&self, name: &'a str) -> Self {
        let mut parents = self.parents.clone();
        let is_atomic = self.is_atomic || list_shape::is_atomic_map(self.kind, &parents, name);
        parents.push(name);
        Self { kind: self.kind, parents, is_atomic, ours: self.ours.and_then(|set| set.fields.get(name)) }
    }

    /// Inside an entry of the list that this place is.
    fn entry(&self, entry: &Value) -> Self {
        let is_keyed = self.list_is_merged();
        let ours = self.ours.and_then(|set| set.entries.iter().find(|(key, _)| list_shape::has_keys(entry, key)));
        Self {
            kind: self.kind,
            parents: self.parents.clone(),
            is_atomic: self.is_atomic || !is_keyed,
            ours: ours.map(|(_, set)| set),
        }
    }

    fn list_is_merged(&self) -> bool {
        let known =
            self.parents.split_last().map(|(field, parents)| list_shape::known_shape(self.kind, parents, field));
        known.is_some_and(|shape| shape != ListShape::Atomic)
    }
}

fn take<'a>(desired: &mut Value, live: &'a Value, steps: &'a [PointerStep], at: &At<'a>) {
    let Some((step, rest)) = steps.split_first() else { return };
    match (desired, live) {
        (Value::Object(desired), Value::Object(live)) => take_fields(desired, live, step, rest, at),
        (Value::Array(desired), Value::Array(live)) => take_entries(desired, live, step, rest, at),
        _ => {}
    }
}

fn take_fields<'a>(
    desired: &mut Map<String, Value>,
    live: &'a Map<String, Value>,
    step: &'a PointerStep,
    rest: &'a [PointerStep],
    at: &At<'a>,
) {
    if rest.is_empty() {
        // A claimed field that live no longer has was removed by whoever drives it.
        desired.retain(|name, _| !step.selects_key(name) || live.contains_key(name));
    }
    for (name, have) in live.iter().filter(|(name, _)| step.selects_key(name)) {
        let below = at.below(name);
        if rest.is_empty() {
            if desired.contains_key(name) || at.is_atomic || below.ours.is_some() {
                desired.insert(name.clone(), have.clone());
            }
        } else if at.is_atomic || below.is_atomic || desired.contains_key(name) {
            if !desired.contains_key(name) && !have.is_object() {
                continue;
            }
            let is_new = !desired.contains_key(name);
            let slot = desired.entry(name.clone()).or_insert_with(|| Value::Object(Map::new()));
            take(slot, have, rest, &below);
            if is_new && slot.as_object().is_some_and(Map::is_empty) {
                desired.remove(name);
            }
        }
    }
}

fn take_entries<'a>(
    desired: &mut Vec<Value>,
    live: &'a [Value],
    step: &'a PointerStep,
    rest: &'a [PointerStep],
    at: &At<'a>,
) {
    if rest.is_empty() && matches!(step, PointerStep::Select(_)) {
        let is_live = live.iter().enumerate().any(|(index, entry)| step.selects_entry(index, entry));
        if !is_live {
            let mut index = 0;
            desired.retain(|entry| {
                index += 1;
                !step.selects_entry(index - 1, entry)
            });
        }
    }
    for (index, have) in live.iter().enumerate().filter(|(index, entry)| step.selects_entry(*index, entry)) {
        let counterpart = counterpart(desired, index, have);
        match counterpart.and_then(|at| desired.get_mut(at)) {
            Some(entry) if rest.is_empty() => *entry = have.clone(),
            Some(entry) => take(entry, have, rest, &at.entry(have)),
            // An entry that only live has, such as a managed header route, keeps its place in front of the others.
            None if rest.is_empty() && !at.list_is_merged() => desired.insert(index.min(desired.len()), have.clone()),
            None => {}
        }
    }
}

/// The index in `desired` of the entry that live entry `have` stands for. Git may have moved it, so an entry is known
/// by its name or its destination first, and by its index only when it has neither.
fn counterpart(desired: &[Value], index: usize, have: &Value) -> Option<usize> {
    let mut is_comparable = false;
    for (at, want) in desired.iter().enumerate() {
        match same_entry(want, have) {
            Some(true) => return Some(at),
            Some(false) => is_comparable = true,
            None => {}
        }
    }
    (!is_comparable && index < desired.len()).then_some(index)
}

/// Whether two entries are about the same thing; `None` when they do not say.
fn same_entry(left: &Value, right: &Value) -> Option<bool> {
    let text = |entry: &Value, field: &str| entry.get(field).and_then(Value::as_str).map(str::to_owned);
    if let (Some(left), Some(right)) = (text(left, "name"), text(right, "name")) {
        return Some(left == right);
    }
    if let (Some(left), Some(right)) = (left.get("destination"), right.get("destination")) {
        return Some(left == right);
    }
    if let (Some(Value::Array(left_routes)), Some(Value::Array(right_routes))) = (left.get("route"), right.get("route"))
    {
        return Some(
            left.get("match") == right.get("match") && destinations(left_routes) == destinations(right_routes),
        );
    }
    None
}

fn destinations(routes: &[Value]) -> Vec<String> {
    let mut found: Vec<String> =
        routes.iter().filter_map(|route| route.get("destination")).map(Value::to_string).collect();
    found.sort_unstable();
    found
}
