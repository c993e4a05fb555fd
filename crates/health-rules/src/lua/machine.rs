//! One interpreter, in which scripts run one after the other and see nothing of each other.

use std::collections::BTreeMap;

use diff_engine::{Health, HealthStatus};
use mlua::chunk::ChunkMode;
use mlua::{Error, Function, HookTriggers, Lua, LuaOptions, MultiValue, StdLib, Table, Value as LuaValue, VmState};
use object_model::{Object, Timestamp};
use serde_json::Value;

use super::budget::Budget;
use super::{moments, texts};

const PRELUDE: &str = include_str!("prelude.lua");
/// Steps of one script: instructions, and what functions of the host count for their work.
const STEPS_MAX: u64 = 400_000;
/// Instructions between two looks at the budget.
const STRIDE: u32 = 500;
/// Memory that one script may take in all, in bytes, besides twenty times its object: nothing is collected while it
/// runs, so that this bounds what it copies too.
const MEMORY_MAX: usize = 8 << 20;
/// How deep an object nests at most.
const DEPTH_MAX: usize = 100;
/// The longest message that is kept, in bytes.
const MESSAGE_MAX: usize = 2_000;

/// What a script that ran too long is told.
pub(super) fn out_of_steps() -> Error {
    Error::runtime(format!("the script takes more than {STEPS_MAX} steps"))
}

/// Runs the scripts of one decision.
#[derive(Debug)]
pub(crate) struct Machine {
    lua: Lua,
    budget: Budget,
    /// Makes an environment.
    fresh: Function,
    /// What was read already, by text.
    read: BTreeMap<String, Result<Function, String>>,
}

impl Machine {
    /// Sets up an interpreter in which it is `now`.
    pub(crate) fn new(now: Timestamp) -> Result<Self, String> {
        Self::set_up(now).map_err(|error| describe(&error))
    }

    fn set_up(now: Timestamp) -> mlua::Result<Self> {
        let lua = Lua::new_with(StdLib::TABLE | StdLib::STRING | StdLib::MATH, LuaOptions::new())?;
        let budget = Budget::default();
        let steps = budget.clone();
        let triggers = HookTriggers::new().every_nth_instruction(STRIDE);
        lua.set_hook(triggers, move |_, _| match steps.spend(u64::from(STRIDE)) {
            true => Ok(VmState::Continue),
            false => Err(out_of_steps()),
        })?;
        budget.refill(STEPS_MAX);
        let host = lua.create_table()?;
        let steps = budget.clone();
        let charge = lua.create_function(move |_, amount: f64| match steps.spend(amount.clamp(0.0, 1e15) as u64) {
            true => Ok(()),
            false => Err(out_of_steps()),
        })?;
        host.set("charge", charge)?;
        let steps = budget.clone();
        host.set("pcall", lua.create_function(move |lua, (work, given)| protected(lua, &steps, &work, given))?)?;
        texts::install(&lua, &host, &budget)?;
        moments::install(&lua, &host, now)?;
        let fresh: Function = lua.load(PRELUDE).set_name("=prelude").call(host)?;
        Ok(Self { lua, budget, fresh, read: BTreeMap::new() })
    }

    /// Lets a script judge an object; `None` when it says nothing.
    ///
    /// # Errors
    /// Says why the script has no answer.
    pub(crate) fn judge(&mut self, script: &str, object: &Object) -> Result<Option<Health>, String> {
        let outcome = self.run(script, object);
        // What the script left behind goes before the next one, whatever came of it.
        self.limit(0)?;
        self.lua.gc_restart();
        self.lua.gc_collect().map_err(|error| describe(&error))?;
        outcome
    }

    fn run(&mut self, script: &str, object: &Object) -> Result<Option<Health>, String> {
        let told = |error: mlua::Error| describe(&error);
        let function = self.function(script)?;
        self.budget.refill(STEPS_MAX);
        let environment: Table = self.fresh.call(()).map_err(told)?;
        let size = place(&self.lua, &environment, object).map_err(told)?;
        function.set_environment(environment).map_err(told)?;
        self.lua.gc_stop();
        self.limit(self.lua.used_memory().saturating_add(MEMORY_MAX).saturating_add(size.saturating_mul(20)))?;
        let mut answers: MultiValue = function.call(()).map_err(told)?;
        health(answers.pop_front().unwrap_or(LuaValue::Nil)).map_err(|error| match error {
            Answer::Lua(error) => describe(&error),
            Answer::Wrong(why) => why,
        })
    }

    fn limit(&self, bytes: usize) -> Result<(), String> {
        self.lua.set_memory_limit(bytes).map(drop).map_err(|error| describe(&error))
    }

    fn function(&mut self, script: &str) -> Result<Function, String> {
        if let Some(known) = self.read.get(script) {
            return known.clone();
        }
        self.budget.refill(STEPS_MAX);
        let chunk = self.lua.load(script).set_name("=health.lua").set_mode(ChunkMode::Text);
        let read = chunk.into_function().map_err(|error| describe(&error));
        self.read.insert(script.to_owned(), read.clone());
        read
    }
}

/// `pcall`, which catches every error but those that end a script.
fn protected(lua: &Lua, budget: &Budget, work: &LuaValue, given: MultiValue) -> mlua::Result<MultiValue> {
    let LuaValue::Function(function) = work else {
        let message = lua.create_string(format!("attempt to call a {} value", work.type_name()))?;
        return Ok(MultiValue::from_iter([LuaValue::Boolean(false), LuaValue::String(message)]));
    };
    match function.call::<MultiValue>(given) {
        Ok(mut values) => {
            values.push_front(LuaValue::Boolean(true));
            Ok(values)
        }
        Err(error) if budget.is_spent() || is_about_memory(&error) => Err(error),
        Err(error) => {
            let message = lua.create_string(describe(&error))?;
            Ok(MultiValue::from_iter([LuaValue::Boolean(false), LuaValue::String(message)]))
        }
    }
}

fn is_about_memory(error: &Error) -> bool {
    match error {
        Error::MemoryError(_) => true,
        Error::CallbackError { cause, .. } => is_about_memory(cause),
        _ => false,
    }
}

/// The words of an error, without the stack.
fn describe(error: &Error) -> String {
    let text = match error {
        Error::CallbackError { cause, .. } => return describe(cause),
        Error::RuntimeError(message) | Error::SyntaxError { message, .. } => message.clone(),
        Error::MemoryError(_) => "the script takes too much memory".to_owned(),
        other => other.to_string(),
    };
    let text = text.split("\nstack traceback:").next().unwrap_or_default();
    shortened(text.strip_prefix("runtime error: ").unwrap_or(text))
}

fn shortened(text: &str) -> String {
    let end = (0..=MESSAGE_MAX.min(text.len())).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    text.get(..end).unwrap_or_default().to_owned()
}

/// Puts the object into the environment as `obj`; returns about how large it is.
fn place(lua: &Lua, environment: &Table, object: &Object) -> mlua::Result<usize> {
    let mut size = 0;
    let fields = lua.create_table()?;
    for (key, value) in object.json() {
        fields.raw_set(key.as_str(), to_lua(lua, value, 0, &mut size)?)?;
    }
    environment.raw_set("obj", fields)?;
    Ok(size)
}

fn to_lua(lua: &Lua, value: &Value, depth: usize, size: &mut usize) -> mlua::Result<LuaValue> {
    if depth > DEPTH_MAX {
        return Err(Error::runtime("the object nests too deep"));
    }
    *size += 8;
    Ok(match value {
        Value::Null => LuaValue::Nil,
        Value::Bool(flag) => LuaValue::Boolean(*flag),
        Value::Number(number) => LuaValue::Number(number.as_f64().unwrap_or(f64::NAN)),
        Value::String(text) => {
            *size += text.len();
            LuaValue::String(lua.create_string(text)?)
        }
        Value::Array(items) => {
            let table = lua.create_table_with_capacity(items.len(), 0)?;
            for (index, item) in items.iter().enumerate() {
                table.raw_set(index + 1, to_lua(lua, item, depth + 1, size)?)?;
            }
            LuaValue::Table(table)
        }
        Value::Object(map) => {
            let table = lua.create_table_with_capacity(0, map.len())?;
            for (key, item) in map {
                *size += key.len();
                table.raw_set(key.as_str(), to_lua(lua, item, depth + 1, size)?)?;
            }
            LuaValue::Table(table)
        }
    })
}

/// Why a script's answer is none.
enum Answer {
    Lua(Error),
    Wrong(String),
}

impl From<Error> for Answer {
    fn from(error: Error) -> Self {
        Self::Lua(error)
    }
}

/// Reads what a script returned, as Argo CD does.
fn health(answer: LuaValue) -> Result<Option<Health>, Answer> {
    let table = match answer {
        LuaValue::Nil => return Ok(None),
        LuaValue::Table(table) => table,
        other => {
            return Err(Answer::Wrong(format!("expect table output from Lua script, not {}", other.type_name())));
        }
    };
    let text = |name: &str| -> Result<Option<String>, Answer> {
        match table.raw_get::<LuaValue>(name)? {
            LuaValue::Nil => Ok(None),
            LuaValue::String(text) => Ok(Some(text.to_string_lossy())),
            other => Err(Answer::Wrong(format!("the script's {name} is a {}, not a string", other.type_name()))),
        }
    };
    let (status, message) = (text("status")?, text("message")?);
    let is_empty = table.raw_len() == 0 && table.pairs::<LuaValue, LuaValue>().next().is_none();
    match (status, is_empty) {
        (None, true) => Ok(None),
        (status, _) => Ok(Some(match status.as_deref().and_then(HealthStatus::parse) {
            Some(status) => Health::new(status, shortened(&message.unwrap_or_default())),
            None => Health::new(HealthStatus::Unknown, "Lua returned an invalid health status"),
        })),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn judged(script: &str) -> String {
        let object = Object::parse(json!({
            "apiVersion": "example.com/v1", "kind": "Queue", "metadata": {"name": "a", "generation": 3},
            "status": {"ready": true, "ratio": 0.5, "parts": {"c": 1, "a": 2, "b": 3}, "list": ["x", "y"], "none": null},
        }))
        .unwrap();
        let mut machine = Machine::new("2026-11-22T07:15:00Z".parse().unwrap()).unwrap();
        // A second run sees nothing of the first.
        let first = machine.judge(script, &object);
        let second = machine.judge(script, &object);
        assert_eq!(first, second, "{script}");
        match first {
            Ok(None) => "nothing".to_owned(),
            Ok(Some(health)) => format!("{}: {}", health.status, health.message),
            Err(error) => format!("error: {error}"),
        }
    }

    fn told(expression: &str) -> String {
        judged(&format!("return {{status = 'Healthy', message = {expression}}}")).replacen("Healthy: ", "", 1)
    }

    #[test]
    fn a_script_answers_with_a_table() {
        for (script, want) in [
            ("return {status = 'Healthy', message = obj.metadata.name}", "Healthy: a"),
            ("hs = {} hs.status = 'Degraded' return hs", "Degraded: "),
            ("return nil", "nothing"),
            ("return {}", "nothing"),
            ("local x = 1", "nothing"),
            ("return {status = 'Fine'}", "Unknown: Lua returned an invalid health status"),
            ("return 'Healthy'", "error: expect table output from Lua script, not string"),
            ("return {status = 'Healthy', message = {}}", "error: the script's message is a table, not a string"),
            ("return {", "error: health.lua:1: unexpected symbol near <eof>"),
            ("return obj.spec.x", "error: health.lua:1: attempt to index field 'spec' (a nil value)"),
            ("error('no')", "error: health.lua:1: no"),
        ] {
            assert_eq!(judged(script), want, "{script}");
        }
    }

    #[test]
    fn a_script_has_the_language_of_argo() {
        for (expression, want) in [
            ("obj.metadata.generation .. ''", "3"),
            ("tostring(obj.status.ratio * 4)", "2"),
            ("table.getn(obj.status.list) .. #obj.status.list", "22"),
            ("string.match('2026-11-22T07', '(%d+)-(%d+)')", "2026"),
            ("('a.b'):gsub('%.', '-') .. ''", "a-b"),
            ("tostring(('key: value'):find('value', 1, true))", "6"),
            ("string.format('%d/%s', 3, 'x')", "3/x"),
            ("table.concat({'a', 'b'}, ',')", "a,b"),
            ("tostring(os.time({year = 1970, month = 1, day = 2, hour = 0}))", "86400"),
            ("tostring(os.time())", "1795331700"),
            ("os.date('!%Y-%m-%d')", "2026-11-22"),
            ("tostring(obj.status.none)", "nil"),
            ("tostring({})", "table"),
            (
                "(function() local t = {} for k, v in pairs(obj.status.parts) do t[#t + 1] = k .. v end return table.concat(t, ' ') end)()",
                "a2 b3 c1",
            ),
            ("tostring(next({}))", "nil"),
            (
                "(function() for i = 1, 3 do if i < 3 then goto continue end do return 'at ' .. i end ::continue:: end end)()",
                "at 3",
            ),
            ("(function() local ok, why = pcall(error, 'x') return tostring(ok) .. why end)()", "falsex"),
            (
                "(function() local t = {} for word in ('a b c'):gmatch('%a') do t[#t + 1] = word end return #t .. '' end)()",
                "3",
            ),
            ("tostring(unpack({7}))", "7"),
        ] {
            assert_eq!(told(expression), want, "{expression}");
        }
    }

    #[test]
    fn a_script_reaches_nothing_but_its_object() {
        for name in [
            "io",
            "require",
            "package",
            "load",
            "loadstring",
            "loadfile",
            "dofile",
            "debug",
            "coroutine",
            "collectgarbage",
            "setfenv",
            "getfenv",
            "xpcall",
            "os.execute",
            "os.exit",
            "os.getenv",
            "os.remove",
            "string.dump",
            "math.random",
        ] {
            assert_eq!(told(&format!("type({name})")), "nil", "{name}");
        }
        assert_eq!(told("tostring(getmetatable(''))"), "false");
        assert_eq!(
            judged("string.format = nil string.marked = 1 return {status = 'Healthy', message = ('%d'):format(1)}"),
            "Healthy: 1"
        );
        assert!(judged("return setmetatable({}, {__gc = function() end})").contains("not allowed"));
    }

    #[test]
    fn a_script_that_takes_too_much_is_stopped() {
        let spent = "error: the script takes more than 400000 steps";
        for script in [
            "while true do end",
            "while true do pcall(function() while true do end end) end",
            "local function f() return f() end f()",
            "return ('a'):rep(5000):find(('a*'):rep(20) .. 'b')",
            "local t = {} for i = 1, 3000 do table.insert(t, 1, i) end while true do table.sort(t) end",
        ] {
            let answer = judged(script);
            assert!(answer.ends_with(spent.trim_start_matches("error: ")), "{script}: {answer}");
        }
        for script in [
            "local s = 'x' while true do s = s .. s end",
            "return ('x'):rep(1e9)",
            "local t = {} for i = 1, 1e9 do t[i] = {} end",
        ] {
            let answer = judged(script);
            assert!(answer.contains("memory") || answer.contains(spent), "{script}: {answer}");
        }
        let deep = judged("local function f() return 1 + f() end return f()");
        assert!(deep.starts_with("error: "), "{deep}");
    }
}
