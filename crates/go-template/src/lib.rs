//! Templates as Go's `text/template` runs them: parsed once, executed within a budget, open to functions of your own.
//!
//! It knows no Helm chart and does no I/O; clock and randomness come from the caller by an [`Environment`].
//!
//! ```
//! let map: go_template::Map = [("name", "web")].into_iter().collect();
//! let same = map.clone();
//! same.insert("name", "db").unwrap();
//! assert_eq!(map.get("name").unwrap().truth(), true);
//! ```

mod budget;
mod environment;
mod error;
mod function;
pub mod functions;
mod text;
mod value;

pub use budget::{Budget, Exhausted, Limits};
pub use environment::{CountingEntropy, Entropy, Environment, Timestamp};
pub use error::{ExecuteError, ParseError};
pub use function::{Args, Call, CallError, Engine, Function, Functions, Signature};
pub use text::Str;
pub use value::{
    IntKind, JsonError, Kind, List, Map, NilMap, Object, Type, UintKind, Value, deep_equal, from_json, to_json,
};
