//! What Helm adds to sprig: other templates as functions, failures with a message, and the cluster's objects.

use std::sync::Arc;

use super::{ANY, STRING, add_sprig, data};
use crate::function::{CallError, Function, Functions, Signature};
use crate::value::{Map, Value};

/// What stands before the message of `fail` and `required`, so that it can be found in a longer error.
pub const FAILURE_START: &str = "HELM_ERR_START";

/// What stands behind the message of `fail` and `required`.
pub const FAILURE_END: &str = "HELM_ERR_END";

/// Whether a chart may fail by its own wish.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Strictness {
    /// `fail` and `required` fail.
    #[default]
    Failing,
    /// They give an empty text, so that a linter sees what comes after.
    Lenient,
}

/// A cluster that can't be asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct LookupError(pub String);

/// A cluster, to be asked for objects. Without one every answer is an empty map, as without a cluster in Helm.
pub trait Lookup: Send + Sync {
    /// Returns an object, or the list of all objects when the name is empty; an empty map when there is none.
    ///
    /// # Errors
    /// The cluster could not be asked.
    fn lookup(
        &self,
        api_version: &str,
        kind: &str,
        namespace: &str,
        name: &str,
    ) -> Result<serde_json::Value, LookupError>;
}

/// How Helm's functions are to behave.
#[derive(Clone, Default)]
pub struct Helm {
    /// What `fail` and `required` do.
    pub strictness: Strictness,
    /// The cluster that `lookup` asks.
    pub cluster: Option<Arc<dyn Lookup>>,
}

impl std::fmt::Debug for Helm {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Helm")
            .field("strictness", &self.strictness)
            .field("has_cluster", &self.cluster.is_some())
            .finish()
    }
}

fn failure(message: &str) -> CallError {
    CallError::new(format!("{FAILURE_START}{message}{FAILURE_END}"))
}

impl Helm {
    /// Returns all functions that a chart's templates may call: Go's builtins, sprig's and Helm's.
    #[must_use]
    pub fn functions(&self) -> Functions {
        let mut functions = Functions::builtins();
        self.add(&mut functions);
        functions
    }

    /// Adds sprig's functions and Helm's.
    pub fn add(&self, functions: &mut Functions) {
        add_sprig(functions);
        data::add_helm(functions);
        add_templates(functions);
        self.add_failures(functions);
        self.add_lookup(functions);
        // No network: Helm answers the same unless it is told to resolve names.
        functions.add(Function::new("getHostByName", Signature::fixed(&[STRING]), |_, _| Ok(Value::text(""))));
    }

    fn add_failures(&self, functions: &mut Functions) {
        let strictness = self.strictness;
        functions.add(Function::new("fail", Signature::fixed(&[STRING]), move |_, args| match strictness {
            Strictness::Failing => Err(failure(&args.text(0)?)),
            Strictness::Lenient => Ok(Value::text("")),
        }));
        functions.add(Function::new("required", Signature::fixed(&[STRING, ANY]), move |_, args| {
            let is_missing = match args.value(1) {
                Value::Nil => true,
                Value::Str(text) => text.is_empty(),
                _ => false,
            };
            match strictness {
                Strictness::Failing if is_missing => Err(failure(&args.text(0)?)),
                Strictness::Lenient if is_missing => Ok(Value::text("")),
                _ => Ok(args.value(1).clone()),
            }
        }));
    }

    fn add_lookup(&self, functions: &mut Functions) {
        let cluster = self.cluster.clone().filter(|_| self.strictness == Strictness::Failing);
        let signature = Signature::fixed(&[STRING, STRING, STRING, STRING]);
        functions.add(Function::new("lookup", signature, move |call, args| {
            let Some(cluster) = &cluster else { return Ok(Value::Map(Map::new())) };
            call.step(1_000)?;
            let found = cluster.lookup(&args.text(0)?, &args.text(1)?, &args.text(2)?, &args.text(3)?);
            match Value::from(&found.map_err(|error| CallError::new(error.to_string()))?) {
                Value::Nil => Ok(Value::Map(Map::new())),
                found => Ok(found),
            }
        }));
    }
}

fn add_templates(functions: &mut Functions) {
    const SIGNATURE: Signature = Signature::fixed(&[STRING, ANY]);
    functions.add(Function::new("include", SIGNATURE, |call, args| {
        Ok(Value::Str(call.include(args.string(0)?, args.value(1).clone())?))
    }));
    functions.add(Function::new("tpl", SIGNATURE, |call, args| {
        Ok(Value::Str(call.tpl(args.string(0)?, args.value(1).clone())?))
    }));
}
