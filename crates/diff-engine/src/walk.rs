//! Goes through a desired and a live object side by side and notes what an apply would change.

use object_model::Object;
use serde_json::{Map, Value};

use crate::compare::{Applied, Change, Comparison};
use crate::field_pointer::{FieldPointer, PointerStep, escape};
use crate::field_set::FieldSet;
use crate::list_shape::{self, ListShape};
use crate::normalise::{is_built_in, is_empty_container, is_zero};
use crate::quantity::same_quantity;

/// What holds for the whole walk.
pub(crate) struct Ground<'a> {
    /// What is known of the last apply.
    pub(crate) applied: Applied,
    /// Fields that are left alone.
    pub(crate) covered: Vec<&'a FieldPointer>,
}

/// Who owns which fields of the live object.
pub(crate) struct Owners<'a> {
    /// Anybody.
    pub(crate) all: Option<&'a FieldSet>,
    /// Our field manager, by server-side apply.
    pub(crate) ours: Option<&'a FieldSet>,
    /// The managers whose fields are left alone.
    pub(crate) theirs: Option<&'a FieldSet>,
}

/// Compares two normalised objects.
pub(crate) fn walk(desired: &Object, live: &Object, ground: &Ground<'_>, owners: &Owners<'_>) -> Comparison {
    let mut walk = Walk {
        kind: live.kind(),
        built_in: is_built_in(live.group()),
        has_owners: owners.all.is_some(),
        ground,
        place: Vec::new(),
        result: Comparison::default(),
    };
    let scope = Scope { all: owners.all, ours: owners.ours, theirs: owners.theirs, within: Within::Merged };
    walk.fields(desired.json(), live.json(), &scope, true);
    walk.result
}

#[derive(Clone, Copy, PartialEq)]
enum Within {
    /// Fields are merged one by one.
    Merged,
    /// The value is replaced whole; extra live fields are the server's defaults when they are tolerated.
    Atomic { tolerated: bool },
}

#[derive(Clone, Copy)]
struct Scope<'a> {
    all: Option<&'a FieldSet>,
    ours: Option<&'a FieldSet>,
    theirs: Option<&'a FieldSet>,
    within: Within,
}

impl<'a> Scope<'a> {
    fn field(&self, name: &str) -> Self {
        let below = |set: Option<&'a FieldSet>| set.and_then(|set| set.fields.get(name));
        Self { all: below(self.all), ours: below(self.ours), theirs: below(self.theirs), within: self.within }
    }

    fn entry(&self, key: &Map<String, Value>) -> Self {
        let below = |set: Option<&'a FieldSet>| set.and_then(|set| set.entry(key));
        Self { all: below(self.all), ours: below(self.ours), theirs: below(self.theirs), within: self.within }
    }

    fn inside(&self, tolerated: bool) -> Self {
        Self { all: None, ours: None, theirs: None, within: Within::Atomic { tolerated } }
    }

    /// A manager that the user named owns this very field, and we do not.
    fn is_left_to_others(&self) -> bool {
        self.theirs.is_some_and(|set| set.member) && !self.ours.is_some_and(|set| set.member)
    }
}

/// One step of the way down: as a pointer names it, as people write it, and whether the entry matches a selection.
struct Place<'a> {
    pointer: String,
    label: String,
    name: &'a str,
    live: Option<&'a Value>,
    index: Option<usize>,
}

struct Walk<'a> {
    kind: &'a str,
    built_in: bool,
    has_owners: bool,
    ground: &'a Ground<'a>,
    place: Vec<Place<'a>>,
    result: Comparison,
}

/// Deeper than any API type nests; below, values are compared whole.
const DEPTH_MAX: usize = 128;

impl<'a> Walk<'a> {
    fn fields(
        &mut self,
        desired: &'a Map<String, Value>,
        live: &'a Map<String, Value>,
        scope: &Scope<'a>,
        is_root: bool,
    ) {
        for (name, want) in desired {
            if is_root && matches!(name.as_str(), "apiVersion" | "kind") {
                continue;
            }
            self.enter(name, want, live.get(name));
            self.value(want, live.get(name), &scope.field(name));
            self.place.pop();
        }
        self.extra_fields(desired, live, scope);
    }

    /// Reports the live fields that Git does not set and an apply would take away.
    fn extra_fields(&mut self, desired: &Map<String, Value>, live: &'a Map<String, Value>, scope: &Scope<'a>) {
        for (name, have) in live.iter().filter(|(name, _)| !desired.contains_key(*name)) {
            let goes = match scope.within {
                Within::Merged => {
                    let is_filled_in_key = self.is_in_entry() && list_shape::is_key_default(name, have);
                    !is_filled_in_key && scope.ours.is_some_and(|set| set.fields.contains_key(name))
                }
                Within::Atomic { tolerated } => {
                    !tolerated && !is_zero(have) && !list_shape::is_known_default(name, have)
                }
            };
            if goes {
                self.enter(name, have, Some(have));
                self.removed(have, &scope.field(name));
                self.place.pop();
            }
        }
    }

    fn enter(&mut self, name: &'a str, any: &'a Value, live: Option<&'a Value>) {
        let label = if name.contains(['.', '/']) { format!("[{name}]") } else { format!(".{name}") };
        self.place.push(Place { pointer: escape(name), label, name, live: live.or(Some(any)), index: None });
    }

    fn enter_entry(&mut self, index: usize, key: Option<&Map<String, Value>>, entry: &'a Value) {
        let label = match key {
            None => format!("[{index}]"),
            Some(key) => {
                let pairs: Vec<String> = key.iter().map(|(name, value)| format!("{name}={}", plain(value))).collect();
                format!("[{}]", pairs.join(","))
            }
        };
        self.place.push(Place { pointer: index.to_string(), label, name: "", live: Some(entry), index: Some(index) });
    }

    fn value(&mut self, desired: &'a Value, live: Option<&'a Value>, scope: &Scope<'a>) {
        let Some(have) = live else {
            let says_nothing = is_empty_container(desired) || (self.built_in && is_zero(desired));
            if !says_nothing {
                self.report(Some(desired), None, scope);
            }
            return;
        };
        if self.is_covered() || scope.is_left_to_others() {
            if !self.is_same(desired, have) {
                let path = self.path();
                self.result.hidden.push(path);
            }
            return;
        }
        if self.place.len() > DEPTH_MAX {
            if desired != have {
                self.report(Some(desired), live, scope);
            }
            return;
        }
        match (desired, have) {
            (Value::Object(want), Value::Object(have)) => {
                let parents = self.names();
                let atomic = parents
                    .split_last()
                    .is_some_and(|(field, parents)| list_shape::is_atomic_map(self.kind, parents, field));
                let scope = if atomic && scope.within == Within::Merged { scope.inside(false) } else { *scope };
                self.fields(want, have, &scope, false);
            }
            (Value::Array(want), Value::Array(list)) => self.list(want, list, desired, have, scope),
            _ => {
                if !self.is_same(desired, have) {
                    self.report(Some(desired), live, scope);
                }
            }
        }
    }

    fn list(
        &mut self,
        desired: &'a [Value],
        live: &'a [Value],
        whole: &'a Value,
        whole_live: &'a Value,
        scope: &Scope<'a>,
    ) {
        let shape = if scope.within == Within::Merged { self.shape(scope) } else { ListShape::Atomic };
        if let ListShape::Keyed(keys) = &shape
            && let Some(want_keys) = list_shape::unique_keys(desired, keys)
            && list_shape::unique_keys(live, keys).is_some()
        {
            self.keyed(desired, &want_keys, live, scope);
            return;
        }
        if shape == ListShape::Set {
            self.set(desired, live, scope);
            return;
        }
        let scope = match scope.within {
            Within::Atomic { .. } => *scope,
            Within::Merged => scope.inside(self.tolerates_extras(scope)),
        };
        let is_list_of_maps = desired.iter().chain(live).all(Value::is_object);
        if desired.len() != live.len() || !is_list_of_maps {
            if !self.is_same(whole, whole_live) {
                self.report(Some(whole), Some(whole_live), &scope);
            }
            return;
        }
        for (index, (want, have)) in desired.iter().zip(live).enumerate() {
            self.enter_entry(index, None, have);
            self.value(want, Some(have), &scope);
            self.place.pop();
        }
    }

    fn keyed(&mut self, desired: &'a [Value], keys: &[Map<String, Value>], live: &'a [Value], scope: &Scope<'a>) {
        for (index, (want, key)) in desired.iter().zip(keys).enumerate() {
            let found = live.iter().enumerate().find(|(_, have)| list_shape::has_keys(have, key));
            let (at, have) = found.map_or((index, None), |(at, have)| (at, Some(have)));
            self.enter_entry(at, Some(key), have.unwrap_or(want));
            self.value(want, have, &scope.entry(key));
            self.place.pop();
        }
        let Some(ours) = scope.ours else { return };
        for (key, _) in ours.entries.iter().filter(|(key, _)| !keys.contains(key)) {
            let found = live.iter().enumerate().find(|(_, have)| list_shape::has_keys(have, key));
            let Some((at, have)) = found else { continue };
            self.enter_entry(at, Some(key), have);
            self.removed(have, &scope.entry(key));
            self.place.pop();
        }
    }

    /// Reports what an apply takes away of a live value that Git no longer has: all of it where the value itself is
    /// ours, else only the parts that are.
    fn removed(&mut self, have: &'a Value, scope: &Scope<'a>) {
        let is_partly_ours = scope.ours.is_some_and(|set| !set.member) && self.place.len() <= DEPTH_MAX;
        match have {
            Value::Object(map) if is_partly_ours && !self.is_covered() => {
                self.extra_fields(&Map::new(), map, scope);
            }
            Value::Array(list) if is_partly_ours && !self.is_covered() => {
                self.keyed(&[], &[], list, scope);
                self.set(&[], list, scope);
            }
            _ => self.report(None, Some(have), scope),
        }
    }

    fn set(&mut self, desired: &'a [Value], live: &'a [Value], scope: &Scope<'a>) {
        for (index, want) in desired.iter().enumerate().filter(|(_, want)| !live.contains(want)) {
            self.enter_entry(index, None, want);
            self.report(Some(want), None, scope);
            self.place.pop();
        }
        let Some(ours) = scope.ours else { return };
        for (index, have) in live.iter().enumerate().filter(|(_, have)| !desired.contains(have)) {
            if ours.values.contains(have) {
                self.enter_entry(index, None, have);
                self.report(None, Some(have), scope);
                self.place.pop();
            }
        }
    }

    fn shape(&self, scope: &Scope<'a>) -> ListShape {
        if let Some(set) = scope.all {
            if let Some(keys) = set.key_names() {
                return ListShape::Keyed(keys);
            }
            if !set.values.is_empty() {
                return ListShape::Set;
            }
            if set.member {
                return ListShape::Atomic;
            }
        }
        let names = self.names();
        match names.split_last() {
            Some((field, parents)) => list_shape::known_shape(self.kind, parents, field),
            None => ListShape::Atomic,
        }
    }

    /// Whether extra fields in this atomic list are the server's defaults: it is ours, and as we left it.
    fn tolerates_extras(&self, scope: &Scope<'a>) -> bool {
        let is_ours = !self.has_owners || scope.ours.is_some_and(|set| set.member);
        is_ours && self.ground.applied != Applied::Other
    }

    /// The names of the mappings on the way, without list entries.
    fn names(&self) -> Vec<&'a str> {
        self.place.iter().filter(|place| place.index.is_none()).map(|place| place.name).collect()
    }

    fn is_in_entry(&self) -> bool {
        self.place.last().is_some_and(|place| place.index.is_some())
    }

    fn is_covered(&self) -> bool {
        self.ground.covered.iter().any(|pointer| {
            let steps = pointer.steps();
            steps.len() == self.place.len()
                && steps.iter().zip(&self.place).all(|(step, place)| step_selects(step, place))
        })
    }

    fn report(&mut self, desired: Option<&Value>, live: Option<&Value>, scope: &Scope<'a>) {
        if self.is_covered() || scope.is_left_to_others() {
            let path = self.path();
            self.result.hidden.push(path);
            return;
        }
        let pointer = self.place.iter().map(|place| format!("/{}", place.pointer)).collect();
        let change = Change { pointer, path: self.path(), desired: desired.cloned(), live: live.cloned() };
        self.result.changes.push(change);
    }

    fn path(&self) -> String {
        let text: String = self.place.iter().map(|place| place.label.as_str()).collect();
        text.strip_prefix('.').map(str::to_owned).unwrap_or(text)
    }

    fn is_same(&self, desired: &Value, live: &Value) -> bool {
        match (desired, live) {
            (Value::Number(left), Value::Number(right)) => left == right || left.as_f64() == right.as_f64(),
            (Value::String(left), Value::String(right)) => {
                left == right || (self.is_quantity() && same_quantity(left, right))
            }
            (Value::Number(number), Value::String(text)) | (Value::String(text), Value::Number(number)) => {
                let number = number.to_string();
                (self.is_quantity() && same_quantity(&number, text)) || (self.is_int_or_string() && number == *text)
            }
            _ => desired == live,
        }
    }

    fn is_quantity(&self) -> bool {
        let names = self.names();
        let Some((last, parents)) = names.split_last() else { return false };
        let parent = parents.last().copied().unwrap_or_default();
        parents.first() == Some(&"spec")
            && (matches!(parent, "requests" | "limits" | "hard" | "capacity" | "podFixed")
                || (self.kind == "LimitRange"
                    && matches!(parent, "default" | "defaultRequest" | "max" | "min" | "maxLimitRequestRatio"))
                || (self.kind == "HorizontalPodAutoscaler" && matches!(*last, "averageValue" | "value"))
                || matches!(*last, "sizeLimit" | "divisor"))
    }

    fn is_int_or_string(&self) -> bool {
        let name = self.names().last().copied().unwrap_or_default();
        matches!(name, "targetPort" | "maxSurge" | "maxUnavailable" | "minAvailable" | "port") && self.built_in
    }
}

fn step_selects(step: &PointerStep, place: &Place<'_>) -> bool {
    match (place.index, place.live) {
        (Some(index), Some(entry)) => step.selects_entry(index, entry),
        _ => step.selects_key(place.name),
    }
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
