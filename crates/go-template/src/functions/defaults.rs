//! Functions that choose between values.

use super::{ANY, BOOL};
use crate::function::{Function, Functions, Signature};
use crate::value::Value;

pub(super) fn add(functions: &mut Functions) {
    const MANY: Signature = Signature::variadic(&[], ANY);
    functions.add(Function::new("default", Signature::variadic(&[ANY], ANY), |_, args| {
        let is_given = args.len() > 1 && is_filled(args.value(1));
        Ok(args.value(usize::from(is_given)).clone())
    }));
    functions
        .add(Function::new("empty", Signature::fixed(&[ANY]), |_, args| Ok(Value::Bool(!is_filled(args.value(0))))));
    functions.add(Function::new("coalesce", MANY, |_, args| {
        Ok(args.all().iter().find(|value| is_filled(value)).cloned().unwrap_or_default())
    }));
    functions.add(Function::new("all", MANY, |_, args| Ok(Value::Bool(args.all().iter().all(is_filled)))));
    functions.add(Function::new("any", MANY, |_, args| Ok(Value::Bool(args.all().iter().any(is_filled)))));
    functions.add(Function::new("ternary", Signature::fixed(&[ANY, ANY, BOOL]), |_, args| {
        Ok(args.value(usize::from(!args.bool(2)?)).clone())
    }));
}

fn is_filled(value: &Value) -> bool {
    value.truth()
}
