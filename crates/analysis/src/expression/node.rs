//! The tree of a parsed expression.

use std::sync::Arc;

use regex_lite::Regex;

use super::value::Value;

/// One node.
#[derive(Debug, Clone)]
pub(super) enum Node {
    Literal(Value),
    /// The measured result.
    Result,
    /// A name bound by `let`, counted from the outermost.
    Variable(usize),
    /// `#`, `#index`, `#acc` inside a predicate.
    Pointer(Pointer),
    Unary(Unary, Box<Node>),
    Binary(Binary, Box<Node>, Box<Node>),
    /// `matches` with a pattern known beforehand.
    Matches(Box<Node>, Arc<Regex>),
    Conditional(Box<Node>, Box<Node>, Box<Node>),
    /// `target.key` or `target[key]`; an optional one gives nil for the whole chain when the target is nil.
    Member {
        target: Box<Node>,
        key: Box<Node>,
        optional: bool,
    },
    Slice {
        target: Box<Node>,
        from: Option<Box<Node>>,
        to: Option<Box<Node>>,
    },
    /// Where an optional member's nil ends up.
    Chain(Box<Node>),
    List(Vec<Node>),
    Map(Vec<(Node, Node)>),
    Call(Function, Vec<Node>),
    Fold {
        fold: Fold,
        list: Box<Node>,
        predicate: Option<Box<Node>>,
        /// The start of `reduce`, the order of `sortBy`.
        extra: Option<Box<Node>>,
    },
    Let(Box<Node>, Box<Node>),
    Sequence(Vec<Node>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pointer {
    Item,
    Index,
    Accumulator,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unary {
    Not,
    Minus,
    Plus,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Binary {
    Or,
    And,
    Equal,
    NotEqual,
    Less,
    Greater,
    LessOrEqual,
    GreaterOrEqual,
    In,
    Matches,
    Contains,
    StartsWith,
    EndsWith,
    Range,
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
    Power,
    Coalesce,
}

impl Binary {
    /// The operator of a token, with its precedence.
    pub(super) fn of(symbol: &str) -> Option<(Self, u32)> {
        Some(match symbol {
            "or" | "||" => (Self::Or, 10),
            "and" | "&&" => (Self::And, 15),
            "==" => (Self::Equal, 20),
            "!=" => (Self::NotEqual, 20),
            "<" => (Self::Less, 20),
            ">" => (Self::Greater, 20),
            "<=" => (Self::LessOrEqual, 20),
            ">=" => (Self::GreaterOrEqual, 20),
            "in" => (Self::In, 20),
            "matches" => (Self::Matches, 20),
            "contains" => (Self::Contains, 20),
            "startsWith" => (Self::StartsWith, 20),
            "endsWith" => (Self::EndsWith, 20),
            ".." => (Self::Range, 25),
            "+" => (Self::Add, 30),
            "-" => (Self::Subtract, 30),
            "*" => (Self::Multiply, 60),
            "/" => (Self::Divide, 60),
            "%" => (Self::Remainder, 60),
            "**" | "^" => (Self::Power, 100),
            "??" => (Self::Coalesce, 500),
            _ => return None,
        })
    }

    /// The operator as messages write it.
    pub(super) fn symbol(self) -> &'static str {
        match self {
            Self::Or => "||",
            Self::And => "&&",
            Self::Equal => "==",
            Self::NotEqual => "!=",
            Self::Less => "<",
            Self::Greater => ">",
            Self::LessOrEqual => "<=",
            Self::GreaterOrEqual => ">=",
            Self::In => "in",
            Self::Matches => "matches",
            Self::Contains => "contains",
            Self::StartsWith => "startsWith",
            Self::EndsWith => "endsWith",
            Self::Range => "..",
            Self::Add => "+",
            Self::Subtract => "-",
            Self::Multiply => "*",
            Self::Divide => "/",
            Self::Remainder => "%",
            Self::Power => "**",
            Self::Coalesce => "??",
        }
    }

    pub(super) fn is_ordering(self) -> bool {
        matches!(self, Self::Less | Self::Greater | Self::LessOrEqual | Self::GreaterOrEqual)
    }
}

/// A function that takes a list and a predicate over its items.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fold {
    All,
    None,
    Any,
    One,
    Filter,
    Map,
    Count,
    Sum,
    Find,
    FindIndex,
    FindLast,
    FindLastIndex,
    GroupBy,
    SortBy,
    Reduce,
}

impl Fold {
    pub(super) fn of(name: &str) -> Option<Self> {
        Some(match name {
            "all" => Self::All,
            "none" => Self::None,
            "any" => Self::Any,
            "one" => Self::One,
            "filter" => Self::Filter,
            "map" => Self::Map,
            "count" => Self::Count,
            "sum" => Self::Sum,
            "find" => Self::Find,
            "findIndex" => Self::FindIndex,
            "findLast" => Self::FindLast,
            "findLastIndex" => Self::FindLastIndex,
            "groupBy" => Self::GroupBy,
            "sortBy" => Self::SortBy,
            "reduce" => Self::Reduce,
            _ => return None,
        })
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::None => "none",
            Self::Any => "any",
            Self::One => "one",
            Self::Filter => "filter",
            Self::Map => "map",
            Self::Count => "count",
            Self::Sum => "sum",
            Self::Find => "find",
            Self::FindIndex => "findIndex",
            Self::FindLast => "findLast",
            Self::FindLastIndex => "findLastIndex",
            Self::GroupBy => "groupBy",
            Self::SortBy => "sortBy",
            Self::Reduce => "reduce",
        }
    }

    pub(super) fn needs_predicate(self) -> bool {
        !matches!(self, Self::Count | Self::Sum)
    }

    pub(super) fn takes_extra(self) -> bool {
        matches!(self, Self::Reduce | Self::SortBy)
    }
}

macro_rules! functions {
    ($($variant:ident $name:literal $least:literal $most:literal;)*) => {
        /// A function that takes values.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(super) enum Function { $($variant,)* }

        impl Function {
            pub(super) fn of(name: &str) -> Option<Self> {
                match name { $($name => Some(Self::$variant),)* _ => None }
            }

            pub(super) fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// The least and the most arguments it takes.
            pub(super) fn arity(self) -> (usize, usize) {
                match self { $(Self::$variant => ($least, $most),)* }
            }
        }
    };
}

functions! {
    AsInt "asInt" 1 1;
    AsFloat "asFloat" 1 1;
    IsNan "isNaN" 1 1;
    IsInf "isInf" 1 1;
    IsNil "isNil" 1 1;
    Default "default" 2 2;
    Len "len" 1 1;
    Type "type" 1 1;
    Abs "abs" 1 1;
    Ceil "ceil" 1 1;
    Floor "floor" 1 1;
    Round "round" 1 1;
    Int "int" 1 1;
    Float "float" 1 1;
    Text "string" 1 1;
    Trim "trim" 1 2;
    TrimPrefix "trimPrefix" 1 2;
    TrimSuffix "trimSuffix" 1 2;
    Upper "upper" 1 1;
    Lower "lower" 1 1;
    Split "split" 2 3;
    SplitAfter "splitAfter" 2 3;
    Replace "replace" 3 4;
    Repeat "repeat" 2 2;
    Join "join" 1 2;
    IndexOf "indexOf" 2 2;
    LastIndexOf "lastIndexOf" 2 2;
    HasPrefix "hasPrefix" 2 2;
    HasSuffix "hasSuffix" 2 2;
    Max "max" 1 16;
    Min "min" 1 16;
    Mean "mean" 1 16;
    Median "median" 1 16;
    First "first" 1 1;
    Last "last" 1 1;
    Get "get" 2 2;
    Take "take" 2 2;
    Keys "keys" 1 1;
    Values "values" 1 1;
    ToPairs "toPairs" 1 1;
    FromPairs "fromPairs" 1 1;
    Reverse "reverse" 1 1;
    Unique "uniq" 1 1;
    Concat "concat" 1 16;
    Flatten "flatten" 1 1;
    Sort "sort" 1 2;
    ToJson "toJSON" 1 1;
    FromJson "fromJSON" 1 1;
    Now "now" 0 0;
    Span "duration" 1 1;
    Date "date" 1 1;
    BitAnd "bitand" 2 2;
    BitOr "bitor" 2 2;
    BitXor "bitxor" 2 2;
    BitNand "bitnand" 2 2;
    BitNot "bitnot" 1 1;
    BitShl "bitshl" 2 2;
    BitShr "bitshr" 2 2;
    BitUshr "bitushr" 2 2;
}
