//! Functions of versions, and the version object that `semver` returns.

use std::any::Any;

use super::semver::{Constraint, Place, Version};
use super::{Answer, STRING};
use crate::Str;
use crate::function::{Args, Call, CallError, Function, Functions, Signature};
use crate::value::{Kind, Object, Type, UintKind, Value};

/// Go's `*semver.Version`, or the `semver.Version` that the methods for the next versions return.
#[derive(Debug, Clone)]
struct VersionObject {
    version: Version,
    of: &'static Type,
}

const POINTER: &Type = &Type::Object("*semver.Version");
const STRUCT: &Type = &Type::Object("semver.Version");

const NO_PARAMETERS: Signature = Signature::fixed(&[]);
const VERSION_PARAMETER: Signature = Signature::fixed(&[POINTER]);
const TEXT_PARAMETER: Signature = Signature::fixed(&[STRING]);

impl Object for VersionObject {
    fn object_type(&self) -> &'static Type {
        self.of
    }

    fn kind(&self) -> Kind {
        if self.of == POINTER { Kind::Pointer } else { Kind::Struct }
    }

    fn method(&self, name: &str) -> Option<&'static Signature> {
        Some(match name {
            "Major" | "Minor" | "Patch" | "Prerelease" | "Metadata" | "String" | "IncMajor" | "IncMinor"
            | "IncPatch" => &NO_PARAMETERS,
            "SetPrerelease" | "SetMetadata" => &TEXT_PARAMETER,
            // The others are methods of the pointer only.
            _ if self.of == STRUCT => return None,
            "Original" => &NO_PARAMETERS,
            "Compare" | "Equal" | "LessThan" | "LessThanEqual" | "GreaterThan" | "GreaterThanEqual" => {
                &VERSION_PARAMETER
            }
            _ => return None,
        })
    }

    fn call(&self, name: &str, _call: &mut Call<'_>, args: Args<'_>) -> Answer {
        let version = &self.version;
        let number = |number: u64| Value::Uint(number, UintKind::Uint64);
        let next = |place| Value::object(Self { version: version.next(place), of: STRUCT });
        Ok(match name {
            "Major" => number(version.major),
            "Minor" => number(version.minor),
            "Patch" => number(version.patch),
            "Prerelease" => version.prerelease.as_str().into(),
            "Metadata" => version.metadata.as_str().into(),
            "Original" => version.original.as_str().into(),
            "String" => version.to_string().into(),
            "IncMajor" => next(Place::Major),
            "IncMinor" => next(Place::Minor),
            "IncPatch" => next(Place::Patch),
            "SetPrerelease" | "SetMetadata" => return self.with_label(name, &args.text(0)?),
            _ => {
                let order = version.compare(&args.object::<Self>(0)?.version);
                match name {
                    "Compare" => Value::int(order as i64),
                    "Equal" => order.is_eq().into(),
                    "LessThan" => order.is_lt().into(),
                    "LessThanEqual" => order.is_le().into(),
                    "GreaterThan" => order.is_gt().into(),
                    _ => order.is_ge().into(),
                }
            }
        })
    }

    fn text(&self) -> Option<Str> {
        Some(self.version.to_string().into())
    }

    fn json_value(&self) -> Value {
        self.version.to_string().into()
    }

    fn is_equal(&self, other: &dyn Object) -> bool {
        other.as_any().downcast_ref::<Self>().is_some_and(|other| other.version == self.version && other.of == self.of)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

impl VersionObject {
    fn with_label(&self, name: &str, label: &str) -> Answer {
        let mut next = self.version.clone();
        let is_plain = label.split('.').all(|identifier| {
            !identifier.is_empty() && identifier.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        });
        if !is_plain && !label.is_empty() {
            let what = if name == "SetPrerelease" { "prerelease" } else { "metadata" };
            return Err(CallError::new(format!("invalid {what} string")));
        }
        if name == "SetPrerelease" {
            next.prerelease = label.to_owned();
        } else {
            next.metadata = label.to_owned();
        }
        next.original = next.to_string();
        Ok(Value::object(Self { version: next, of: STRUCT }))
    }
}

fn parse(text: &str) -> Result<Version, CallError> {
    Version::parse(text).map_err(|error| CallError::new(error.to_string()))
}

pub(super) fn add(functions: &mut Functions) {
    functions.add(Function::new("semver", Signature::fixed(&[STRING]), |_, args| {
        Ok(Value::object(VersionObject { version: parse(&args.text(0)?)?, of: POINTER }))
    }));
    functions.add(Function::new("semverCompare", Signature::fixed(&[STRING, STRING]), |call, args| {
        call.step(args.string(0)?.len())?;
        let constraint = Constraint::parse(&args.text(0)?).map_err(|error| CallError::new(error.to_string()))?;
        Ok(Value::Bool(constraint.is_met_by(&parse(&args.text(1)?)?)))
    }));
}
