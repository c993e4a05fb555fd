//! The types that Go's reflection would report: error texts, `typeOf` and `%T` need them.

use std::fmt;

/// The width and sign of an integer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum IntKind {
    /// `int`, what integer literals are.
    Int,
    /// `int8`
    Int8,
    /// `int16`
    Int16,
    /// `int32`, also `rune`.
    Int32,
    /// `int64`, what most of sprig's arithmetic returns.
    Int64,
}

/// The width of an unsigned integer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum UintKind {
    /// `uint`
    Uint,
    /// `uint8`, also `byte`.
    Uint8,
    /// `uint16`
    Uint16,
    /// `uint32`
    Uint32,
    /// `uint64`
    Uint64,
    /// `uintptr`
    Uintptr,
}

impl IntKind {
    /// Returns Go's name for it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Int => "int",
            Self::Int8 => "int8",
            Self::Int16 => "int16",
            Self::Int32 => "int32",
            Self::Int64 => "int64",
        }
    }
}

impl UintKind {
    /// Returns Go's name for it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Uint => "uint",
            Self::Uint8 => "uint8",
            Self::Uint16 => "uint16",
            Self::Uint32 => "uint32",
            Self::Uint64 => "uint64",
            Self::Uintptr => "uintptr",
        }
    }
}

/// What reflection calls a kind; `kindOf` prints it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// No value at all.
    Invalid,
    /// `bool`
    Bool,
    /// A signed integer.
    Int(IntKind),
    /// An unsigned integer.
    Uint(UintKind),
    /// `float32`; values of it are kept as `float64`.
    Float32,
    /// `float64`
    Float64,
    /// `string`
    String,
    /// `slice`
    Slice,
    /// `map`
    Map,
    /// `struct`
    Struct,
    /// `ptr`
    Pointer,
    /// `interface`
    Interface,
    /// `func`
    Func,
}

impl Kind {
    /// Returns Go's name for it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Invalid => "invalid",
            Self::Bool => "bool",
            Self::Int(kind) => kind.name(),
            Self::Uint(kind) => kind.name(),
            Self::Float32 => "float32",
            Self::Float64 => "float64",
            Self::String => "string",
            Self::Slice => "slice",
            Self::Map => "map",
            Self::Struct => "struct",
            Self::Pointer => "ptr",
            Self::Interface => "interface",
            Self::Func => "func",
        }
    }

    /// Returns whether an untyped nil may stand for a value of this kind.
    #[must_use]
    pub const fn can_be_nil(self) -> bool {
        matches!(self, Self::Slice | Self::Map | Self::Pointer | Self::Interface | Self::Func)
    }
}

/// A Go type. Types are constants of the program: values point to them.
#[derive(Debug, PartialEq, Eq)]
pub enum Type {
    /// `interface {}`: anything.
    Any,
    /// `reflect.Value`: anything, also no value; builtins like `eq` and `index` take it.
    Reflect,
    /// `bool`
    Bool,
    /// A signed integer.
    Int(IntKind),
    /// An unsigned integer.
    Uint(UintKind),
    /// `float64`
    Float64,
    /// `string`
    String,
    /// A slice of the type within.
    List(&'static Type),
    /// A map from string to the type within.
    Map(&'static Type),
    /// A type with a name over another one, like `common.Values` over `map[string]interface {}`.
    Named(&'static str, &'static Type),
    /// The type of an [`crate::Object`], by its name.
    Object(&'static str),
    /// An `interface` with methods, by its name; any object may stand for it.
    Interface(&'static str),
}

impl Type {
    /// `[]interface {}`
    pub const ANY_LIST: &'static Self = &Self::List(&Self::Any);
    /// `[]string`
    pub const STRING_LIST: &'static Self = &Self::List(&Self::String);
    /// `[]int`
    pub const INT_LIST: &'static Self = &Self::List(&Self::Int(IntKind::Int));
    /// `[]uint8`
    pub const BYTES: &'static Self = &Self::List(&Self::Uint(UintKind::Uint8));
    /// `map[string]interface {}`
    pub const ANY_MAP: &'static Self = &Self::Map(&Self::Any);
    /// `map[string]string`
    pub const STRING_MAP: &'static Self = &Self::Map(&Self::String);
    /// `int`
    pub const INT: &'static Self = &Self::Int(IntKind::Int);
    /// `int64`
    pub const INT64: &'static Self = &Self::Int(IntKind::Int64);

    /// Returns the kind of values of this type.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Any | Self::Interface(_) => Kind::Interface,
            Self::Reflect | Self::Object(_) => Kind::Struct,
            Self::Bool => Kind::Bool,
            Self::Int(kind) => Kind::Int(*kind),
            Self::Uint(kind) => Kind::Uint(*kind),
            Self::Float64 => Kind::Float64,
            Self::String => Kind::String,
            Self::List(_) => Kind::Slice,
            Self::Map(_) => Kind::Map,
            Self::Named(_, underlying) => underlying.kind(),
        }
    }

    /// Returns the type without its name.
    #[must_use]
    pub const fn underlying(&self) -> &Self {
        match self {
            Self::Named(_, underlying) => underlying.underlying(),
            other => other,
        }
    }

    /// Returns what a list or a map of this type holds.
    #[must_use]
    pub const fn element(&self) -> Option<&'static Self> {
        match self {
            Self::List(element) | Self::Map(element) => Some(element),
            Self::Named(_, underlying) => underlying.element(),
            _ => None,
        }
    }
}

impl fmt::Display for Type {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => formatter.write_str("interface {}"),
            Self::Reflect => formatter.write_str("reflect.Value"),
            Self::Bool => formatter.write_str("bool"),
            Self::Int(kind) => formatter.write_str(kind.name()),
            Self::Uint(kind) => formatter.write_str(kind.name()),
            Self::Float64 => formatter.write_str("float64"),
            Self::String => formatter.write_str("string"),
            Self::List(element) => write!(formatter, "[]{element}"),
            Self::Map(element) => write!(formatter, "map[string]{element}"),
            Self::Named(name, _) | Self::Object(name) | Self::Interface(name) => formatter.write_str(name),
        }
    }
}
