//! Reads the typed values of the recorded data, and mirrors the types and functions of `fixtures/record`.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a wrong recording is a bug of the recorder")]

use std::any::Any;
use std::collections::BTreeMap;

use go_template::{
    Args, Budget, Call, CallError, Function, Functions, IntKind, List, Map, Object, Signature, Str, Type, UintKind,
    Value, sprintf,
};
use serde_json::Value as Json;

/// Reads a text, which is `{"hex": ...}` when it is no UTF-8.
pub(crate) fn text(json: &Json) -> Str {
    match json {
        Json::String(text) => text.into(),
        other => unhex(other["hex"].as_str().unwrap()),
    }
}

fn unhex(digits: &str) -> Str {
    let pairs =
        digits.as_bytes().chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap());
    pairs.collect::<Vec<_>>().into()
}

const INT_MAP: &Type = &Type::Map(Type::INT);

fn list_type(name: &str) -> &'static Type {
    match name {
        "[]interface {}" => Type::ANY_LIST,
        "[]string" => Type::STRING_LIST,
        "[]int" => Type::INT_LIST,
        "[]bool" => &Type::List(&Type::Bool),
        "[]map[string]int" => &Type::List(INT_MAP),
        other => panic!("no list type {other}"),
    }
}

fn map_type(name: &str) -> &'static Type {
    match name {
        "map[string]interface {}" => Type::ANY_MAP,
        "map[string]string" => Type::STRING_MAP,
        "map[string]int" => INT_MAP,
        "main.Values" => &Type::Named("main.Values", Type::ANY_MAP),
        other => panic!("no map type {other}"),
    }
}

/// Reads a value with its type.
pub(crate) fn value(json: &Json) -> Value {
    let (name, inner) = match json {
        Json::Null => return Value::Nil,
        Json::Bool(value) => return Value::Bool(*value),
        Json::String(text) => return text.as_str().into(),
        Json::Object(entries) => entries.iter().next().unwrap(),
        other => panic!("no tagged value: {other}"),
    };
    let number = || inner.as_str().unwrap();
    match name.as_str() {
        "hexstring" => unhex(number()).into(),
        "bytes" => Value::Bytes(unhex(number())),
        "nil" if number().starts_with("map") => Value::Map(Map::nil(map_type(number()))),
        "nil" => Value::List(List::nil(list_type(number()))),
        "box" => Value::object(Crate {
            name: inner[0].as_str().unwrap().to_owned(),
            count: value(&inner[1]),
            inner: value(&inner[2]),
        }),
        "version" => Value::object(Version { major: value(&inner[0]), minor: value(&inner[1]) }),
        "float64" => Value::Float(number().parse().unwrap()),
        "int" => Value::Int(number().parse().unwrap(), IntKind::Int),
        "int8" => Value::Int(number().parse().unwrap(), IntKind::Int8),
        "int16" => Value::Int(number().parse().unwrap(), IntKind::Int16),
        "int32" => Value::Int(number().parse().unwrap(), IntKind::Int32),
        "int64" => Value::Int(number().parse().unwrap(), IntKind::Int64),
        "uint" => Value::Uint(number().parse().unwrap(), UintKind::Uint),
        "uint8" => Value::Uint(number().parse().unwrap(), UintKind::Uint8),
        "uint16" => Value::Uint(number().parse().unwrap(), UintKind::Uint16),
        "uint32" => Value::Uint(number().parse().unwrap(), UintKind::Uint32),
        "uint64" => Value::Uint(number().parse().unwrap(), UintKind::Uint64),
        "uintptr" => Value::Uint(number().parse().unwrap(), UintKind::Uintptr),
        name => match inner {
            Json::Array(items) => Value::List(List::of(list_type(name), items.iter().map(value).collect())),
            Json::Object(entries) => {
                let entries: BTreeMap<Str, Value> =
                    entries.iter().map(|(key, item)| (key.into(), value(item))).collect();
                Value::Map(Map::of(map_type(name), entries))
            }
            other => panic!("no {name}: {other}"),
        },
    }
}

/// `main.Box`
struct Crate {
    name: String,
    count: Value,
    inner: Value,
}

impl Object for Crate {
    fn object_type(&self) -> &'static Type {
        &Type::Object("main.Box")
    }

    fn fields(&self) -> Vec<(&'static str, Value)> {
        vec![("Name", self.name.as_str().into()), ("Count", self.count.clone()), ("Inner", self.inner.clone())]
    }

    fn method(&self, name: &str) -> Option<&'static Signature> {
        const NONE: Signature = Signature::fixed(&[]);
        const ONE: Signature = Signature::fixed(&[&Type::String]);
        const TWO: Signature = Signature::fixed(&[Type::INT, Type::INT]);
        const JOIN: Signature = Signature::variadic(&[&Type::String], &Type::String);
        match name {
            "Get" => Some(&ONE),
            "Join" => Some(&JOIN),
            "Add" => Some(&TWO),
            "Fail" | "Maps" => Some(&NONE),
            _ => None,
        }
    }

    fn call(&self, name: &str, _call: &mut Call<'_>, args: Args<'_>) -> Result<Value, CallError> {
        match name {
            "Get" => Ok(format!("{}/{}", self.name, args.text(0)?).into()),
            "Join" => {
                let parts: Vec<String> = (1..args.len()).map(|index| args.text(index).unwrap().into_owned()).collect();
                Ok(parts.join(&args.text(0)?).into())
            }
            "Add" => Ok(Value::int(args.int(0)? + args.int(1)?)),
            "Maps" => Ok(Value::Map([("a", Value::int(1))].into_iter().collect())),
            _ => Err(CallError::new("box failed")),
        }
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// `main.Version`
struct Version {
    major: Value,
    minor: Value,
}

impl Object for Version {
    fn object_type(&self) -> &'static Type {
        &Type::Object("main.Version")
    }

    fn fields(&self) -> Vec<(&'static str, Value)> {
        vec![("Major", self.major.clone()), ("Minor", self.minor.clone())]
    }

    fn method(&self, name: &str) -> Option<&'static Signature> {
        const NONE: Signature = Signature::fixed(&[]);
        (name == "String").then_some(&NONE)
    }

    fn call(&self, _name: &str, _call: &mut Call<'_>, _args: Args<'_>) -> Result<Value, CallError> {
        Ok(self.text().unwrap().into())
    }

    fn text(&self) -> Option<Str> {
        let values = [self.major.clone(), self.minor.clone()];
        sprintf(b"v%s.%s", &values, &mut Budget::default()).ok()
    }

    fn is_equal(&self, other: &dyn Object) -> bool {
        other.as_any().downcast_ref::<Self>().is_some_and(|other| self.text() == other.text())
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// The functions of `fixtures/record`, over Go's builtins.
pub(crate) fn functions() -> Functions {
    const NONE: Signature = Signature::fixed(&[]);
    const STRING: Signature = Signature::fixed(&[&Type::String]);
    const ANY: Signature = Signature::fixed(&[&Type::Any]);
    let mut functions = Functions::builtins();
    functions.add_template_calls();
    let mut add = |name: &'static str, signature, body: fn(&mut Call<'_>, Args<'_>) -> Result<Value, CallError>| {
        functions.add(Function::new(name, signature, body));
    };
    add("add", Signature::variadic(&[], Type::INT), |_, args| {
        Ok(Value::int((0..args.len()).map(|index| args.int(index).unwrap()).sum()))
    });
    add("add64", Signature::fixed(&[Type::INT64, Type::INT64]), |_, args| {
        Ok(Value::int64(args.int(0)? + args.int(1)?))
    });
    add("half", Signature::fixed(&[&Type::Float64]), |_, args| Ok(Value::Float(args.float(0)? / 2.0)));
    add("u8", Signature::fixed(&[&Type::Uint(UintKind::Uint8)]), |_, args| Ok(args.value(0).clone()));
    add("not2", Signature::fixed(&[&Type::Bool]), |_, args| Ok(Value::Bool(!args.bool(0)?)));
    add("echo", ANY, |_, args| Ok(args.value(0).clone()));
    add("zeroArgs", NONE, |_, _| Ok("zeroArgs".into()));
    add("oneArg", STRING, |_, args| Ok(Str::from([b"oneArg=", args.string(0)?.as_bytes()].concat()).into()));
    add("twoArgs", Signature::fixed(&[&Type::String, &Type::String]), |_, args| {
        Ok(format!("{}+{}", args.text(0)?, args.text(1)?).into())
    });
    add("dddArg", Signature::variadic(&[Type::INT], &Type::String), |call, args| {
        let texts = List::of(Type::STRING_LIST, args.rest(1).to_vec());
        Ok(go_template::sprintln(&[args.value(0).clone(), texts.into()], call.budget())?.into())
    });
    add("keys1", Signature::fixed(&[Type::ANY_MAP]), |_, args| Ok(Value::int(args.map(0)?.len() as i64)));
    add("listArg", Signature::fixed(&[Type::ANY_LIST]), |_, args| Ok(Value::int(args.list(0)?.len() as i64)));
    add("stringsArg", Signature::fixed(&[Type::STRING_LIST]), |_, args| Ok(Value::int(args.list(0)?.len() as i64)));
    add("versionArg", Signature::fixed(&[&Type::Object("main.Version")]), |_, args| {
        Ok(args.object::<Version>(0)?.text().unwrap().into())
    });
    add("upper", STRING, |_, args| Ok(args.text(0)?.to_uppercase().into()));
    add("typeOf", ANY, |call, args| Ok(go_template::sprintf(b"%T", args.all(), call.budget())?.into()));
    add("list", Signature::variadic(&[], &Type::Any), |_, args| Ok(args.all().to_vec().into()));
    add("dict", Signature::variadic(&[], &Type::Any), |call, args| {
        let map = Map::new();
        for pair in args.all().chunks_exact(2) {
            if let [key, value] = pair {
                map.insert(go_template::sprint(std::slice::from_ref(key), call.budget())?, value.clone())?;
            }
        }
        Ok(map.into())
    });
    add("set", Signature::fixed(&[Type::ANY_MAP, &Type::String, &Type::Any]), |_, args| {
        args.map(0)?.insert(args.string(1)?.clone(), args.value(2).clone())?;
        Ok(args.value(0).clone())
    });
    add("die", NONE, |_, _| Err(CallError::new("died")));
    add("fail", STRING, |_, args| Err(CallError::new(args.text(0)?)));
    functions
}
