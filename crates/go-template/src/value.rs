//! Values as templates see them: Go's kinds, with maps shared by reference.

mod compare;
mod held;
mod json;
mod list;
mod map;
mod object;
mod release;
mod types;

use std::fmt;
use std::rc::Rc;

pub use compare::deep_equal;
pub(crate) use held::Held;
pub use json::{JsonError, from_json, to_json};
pub use list::List;
pub use map::{Map, NilMap};
pub use object::Object;
pub use release::MapScope;
pub use types::{IntKind, Kind, Type, UintKind};

use crate::Str;

/// A value. Clones are cheap: strings, lists, maps and objects are shared.
#[derive(Clone, Default)]
pub enum Value {
    /// The untyped nil: no value.
    #[default]
    Nil,
    /// `bool`
    Bool(bool),
    /// A signed integer of a kind.
    Int(i64, IntKind),
    /// An unsigned integer of a kind.
    Uint(u64, UintKind),
    /// `float64`, what every number of a values file is.
    Float(f64),
    /// `string`
    Str(Str),
    /// `[]uint8`, like the content of a file.
    Bytes(Str),
    /// A slice.
    List(List),
    /// A map from strings.
    Map(Map),
    /// Anything with fields or methods.
    Object(Rc<dyn Object>),
}

impl Value {
    /// Returns an `int`.
    #[must_use]
    pub const fn int(value: i64) -> Self {
        Self::Int(value, IntKind::Int)
    }

    /// Returns an `int64`.
    #[must_use]
    pub const fn int64(value: i64) -> Self {
        Self::Int(value, IntKind::Int64)
    }

    /// Returns a string over text that lives as long as the program.
    #[must_use]
    pub const fn text(text: &'static str) -> Self {
        Self::Str(Str::from_static(text))
    }

    /// Returns an object.
    #[must_use]
    pub fn object(object: impl Object + 'static) -> Self {
        Self::Object(Rc::new(object))
    }

    /// Returns whether it is the untyped nil.
    #[must_use]
    pub const fn is_nil(&self) -> bool {
        matches!(self, Self::Nil)
    }

    /// Returns the kind that reflection reports.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::Nil => Kind::Invalid,
            Self::Bool(_) => Kind::Bool,
            Self::Int(_, kind) => Kind::Int(*kind),
            Self::Uint(_, kind) => Kind::Uint(*kind),
            Self::Float(_) => Kind::Float64,
            Self::Str(_) => Kind::String,
            Self::Bytes(_) | Self::List(_) => Kind::Slice,
            Self::Map(_) => Kind::Map,
            Self::Object(object) => object.kind(),
        }
    }

    /// Returns the Go type; `None` for the untyped nil.
    #[must_use]
    pub fn go_type(&self) -> Option<&'static Type> {
        Some(match self {
            Self::Nil => return None,
            Self::Bool(_) => &Type::Bool,
            Self::Int(_, kind) => int_type(*kind),
            Self::Uint(_, kind) => uint_type(*kind),
            Self::Float(_) => &Type::Float64,
            Self::Str(_) => &Type::String,
            Self::Bytes(_) => Type::BYTES,
            Self::List(list) => list.list_type(),
            Self::Map(map) => map.map_type(),
            Self::Object(object) => object.object_type(),
        })
    }

    /// Returns whether `if` takes it for true: not false, zero, empty or nil.
    #[must_use]
    pub fn truth(&self) -> bool {
        match self {
            Self::Nil => false,
            Self::Bool(value) => *value,
            Self::Int(value, _) => *value != 0,
            Self::Uint(value, _) => *value != 0,
            Self::Float(value) => *value != 0.0,
            Self::Str(text) | Self::Bytes(text) => !text.is_empty(),
            Self::List(list) => !list.is_empty(),
            Self::Map(map) => !map.is_empty(),
            Self::Object(object) => object.truth(),
        }
    }

    /// Returns the map under an object, or the value itself: what `range` and `index` work on.
    #[must_use]
    pub fn underlying(&self) -> Self {
        match self {
            Self::Object(object) => object.underlying().unwrap_or_else(|| self.clone()),
            other => other.clone(),
        }
    }

    /// Returns the zero value of a type, as Go makes it.
    #[must_use]
    pub fn zero(of: &'static Type) -> Self {
        match of.underlying() {
            Type::Any | Type::Reflect | Type::Object(_) | Type::Interface(_) | Type::Named(..) => Self::Nil,
            Type::Bool => Self::Bool(false),
            Type::Int(kind) => Self::Int(0, *kind),
            Type::Uint(kind) => Self::Uint(0, *kind),
            Type::Float64 => Self::Float(0.0),
            Type::String => Self::Str(Str::default()),
            Type::List(_) => Self::List(List::nil(of)),
            Type::Map(_) => Self::Map(Map::nil(of)),
        }
    }
}

const fn int_type(kind: IntKind) -> &'static Type {
    match kind {
        IntKind::Int => &Type::Int(IntKind::Int),
        IntKind::Int8 => &Type::Int(IntKind::Int8),
        IntKind::Int16 => &Type::Int(IntKind::Int16),
        IntKind::Int32 => &Type::Int(IntKind::Int32),
        IntKind::Int64 => &Type::Int(IntKind::Int64),
    }
}

const fn uint_type(kind: UintKind) -> &'static Type {
    match kind {
        UintKind::Uint => &Type::Uint(UintKind::Uint),
        UintKind::Uint8 => &Type::Uint(UintKind::Uint8),
        UintKind::Uint16 => &Type::Uint(UintKind::Uint16),
        UintKind::Uint32 => &Type::Uint(UintKind::Uint32),
        UintKind::Uint64 => &Type::Uint(UintKind::Uint64),
        UintKind::Uintptr => &Type::Uint(UintKind::Uintptr),
    }
}

/// How deep `Debug` looks into values.
const DEBUG_DEPTH: usize = 16;

impl fmt::Debug for Value {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        debug(self, DEBUG_DEPTH, formatter)
    }
}

fn debug(value: &Value, depth: usize, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
    match value {
        Value::Nil => formatter.write_str("nil"),
        Value::Bool(value) => write!(formatter, "{value}"),
        Value::Int(value, kind) => write!(formatter, "{}({value})", kind.name()),
        Value::Uint(value, kind) => write!(formatter, "{}({value})", kind.name()),
        Value::Float(value) => write!(formatter, "{value:?}"),
        Value::Str(text) => write!(formatter, "{text:?}"),
        Value::Bytes(text) => write!(formatter, "bytes({text:?})"),
        Value::List(_) | Value::Map(_) if depth == 0 => formatter.write_str("..."),
        Value::List(list) => {
            formatter.write_str("[")?;
            for item in list.items() {
                debug(item, depth - 1, formatter)?;
                formatter.write_str(", ")?;
            }
            formatter.write_str("]")
        }
        Value::Map(map) => {
            formatter.write_str("{")?;
            for (key, item) in map.entries() {
                write!(formatter, "{key:?}: ")?;
                debug(&item, depth - 1, formatter)?;
                formatter.write_str(", ")?;
            }
            formatter.write_str("}")
        }
        Value::Object(object) => write!(formatter, "{}", object.object_type()),
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<f64> for Value {
    fn from(value: f64) -> Self {
        Self::Float(value)
    }
}

impl From<Str> for Value {
    fn from(value: Str) -> Self {
        Self::Str(value)
    }
}

impl From<&str> for Value {
    fn from(value: &str) -> Self {
        Self::Str(value.into())
    }
}

impl From<String> for Value {
    fn from(value: String) -> Self {
        Self::Str(value.into())
    }
}

impl From<List> for Value {
    fn from(value: List) -> Self {
        Self::List(value)
    }
}

impl From<Map> for Value {
    fn from(value: Map) -> Self {
        Self::Map(value)
    }
}
