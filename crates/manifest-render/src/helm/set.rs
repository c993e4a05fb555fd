//! The grammar of `--set`, `--set-string`, `--set-json`, `--set-file` and `--set-literal`.
//!
//! `a.b[0].c=x,d={1,2}`: keys are separated by dots, indexes stand in brackets, a backslash takes the next character
//! for itself. What is accepted, what comes out and what is said about the rest is what Helm does, oddities included.

use serde_json::{Map, Number, Value};

use super::go_text::{quote, quoted_char};
use super::values::to_floats;

/// Largest index of a list.
const INDEX_MAX: usize = 65_536;
/// Most dots in one name.
const NAME_LEVELS_MAX: usize = 30;
/// Most indexes in a row.
const LIST_LEVELS_MAX: usize = 200;

/// How the right side of `name=value` is read.
#[derive(Clone, Copy)]
pub enum Reading<'r> {
    /// `--set`: null, booleans and integers are told apart from strings.
    Typed,
    /// `--set-string`: always a string.
    Text,
    /// `--set-json`: a JSON value.
    Json,
    /// `--set-literal`: the whole rest of the text, nothing is special in it.
    Literal,
    /// `--set-file`: the content of the file with that name, as the given function reads it.
    File(&'r dyn Fn(&str) -> Result<String, String>),
}

/// Why a text is not understood: Helm's message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct SetError {
    /// The message.
    pub message: String,
}

/// Merges what a `--set` text says into `values`.
///
/// ```
/// use manifest_render::helm::{Reading, set_values};
/// let mut values = serde_json::Map::new();
/// set_values("image.tag=1.2,ports[1]=80,names={a,b}", Reading::Typed, &mut values).unwrap();
/// assert_eq!(
///     serde_json::Value::from(values),
///     serde_json::json!({"image": {"tag": "1.2"}, "ports": [null, 80], "names": ["a", "b"]})
/// );
/// ```
///
/// # Errors
/// When the text does not follow the grammar.
pub fn set_values(text: &str, reading: Reading<'_>, values: &mut Map<String, Value>) -> Result<(), SetError> {
    let mut parser = Parser { characters: text.chars().collect(), at: 0, reading };
    loop {
        match parser.key(values, 0) {
            Ok(()) => {}
            Err(Stop::End) => return Ok(()),
            Err(Stop::Fault(message)) => return Err(SetError { message }),
        }
    }
}

/// Why the parser stops: at the end of the text, which is no fault, or at a fault.
enum Stop {
    End,
    Fault(String),
}

fn fault<T>(message: impl Into<String>) -> Result<T, Stop> {
    Err(Stop::Fault(message.into()))
}

/// What lies before a stop character; `last` is None at the end of the text.
struct Run {
    text: Vec<char>,
    last: Option<char>,
}

/// What follows an equals sign.
enum Listed {
    List(Vec<Value>),
    Nothing,
    NoList,
}

struct Parser<'r> {
    characters: Vec<char>,
    at: usize,
    reading: Reading<'r>,
}

impl Parser<'_> {
    fn next(&mut self) -> Option<char> {
        let next = self.characters.get(self.at).copied();
        self.at += usize::from(next.is_some());
        next
    }

    fn until(&mut self, stops: &[char]) -> Run {
        let has_escapes = !matches!(self.reading, Reading::Literal);
        let mut text = Vec::new();
        while let Some(character) = self.next() {
            if stops.contains(&character) {
                return Run { text, last: Some(character) };
            }
            if character != '\\' || !has_escapes {
                text.push(character);
                continue;
            }
            match self.next() {
                Some(escaped) => text.push(escaped),
                None => break,
            }
        }
        Run { text, last: None }
    }

    fn key(&mut self, values: &mut Map<String, Value>, level: usize) -> Result<(), Stop> {
        let stops: &[char] =
            if matches!(self.reading, Reading::Literal) { &['=', '[', '.'] } else { &['=', '[', ',', '.'] };
        let run = self.until(stops);
        let name: String = run.text.iter().collect();
        match run.last {
            None if name.is_empty() => Err(Stop::End),
            None => fault(format!("key {} has no value", quote(&name))),
            Some('[') => {
                let index = self.index()?;
                let mut list = match values.get(&name) {
                    None => Vec::new(),
                    Some(Value::Array(list)) => list.clone(),
                    Some(other) => return conversion_fault(other, "[]interface {}"),
                };
                let outcome = self.item(&mut list, index, level, 0);
                put(values, name, Value::Array(list));
                outcome
            }
            Some('=') => self.assign(values, name),
            Some(',') => fault(format!("key {} has no value (cannot end with ,)", quote(&name))),
            Some(_) => self.inner(values, name, level + 1),
        }
    }

    /// The part of a name behind a dot.
    fn inner(&mut self, values: &mut Map<String, Value>, name: String, level: usize) -> Result<(), Stop> {
        if level > NAME_LEVELS_MAX {
            return fault(format!(
                "value name nested level is greater than maximum supported nested level of {NAME_LEVELS_MAX}"
            ));
        }
        match values.get_mut(&name) {
            Some(Value::Object(inner)) => {
                let outcome = self.key(inner, level);
                if outcome.is_ok() && inner.is_empty() {
                    return fault(format!("key map {} has no value", quote(&name)));
                }
                outcome
            }
            Some(other) => conversion_fault(other, "map[string]interface {}"),
            None => {
                let mut inner = Map::new();
                let outcome = self.key(&mut inner, level);
                if outcome.is_ok() && inner.is_empty() {
                    return fault(format!("key map {} has no value", quote(&name)));
                }
                if !inner.is_empty() {
                    put(values, name, Value::Object(inner));
                }
                outcome
            }
        }
    }

    fn assign(&mut self, values: &mut Map<String, Value>, name: String) -> Result<(), Stop> {
        match self.reading {
            Reading::Json => {
                let value = self.json()?;
                put(values, name, value);
                Ok(())
            }
            Reading::Literal => {
                let rest = self.until(&[]).text.iter().collect();
                put(values, name, Value::String(rest));
                Ok(())
            }
            _ => match self.list()? {
                Listed::List(list) => {
                    put(values, name, Value::Array(list));
                    Ok(())
                }
                Listed::Nothing => {
                    put(values, name, Value::String(String::new()));
                    Err(Stop::End)
                }
                Listed::NoList => {
                    let run = self.until(&[',']);
                    let value = self.read(&run.text)?;
                    put(values, name, value);
                    Ok(())
                }
            },
        }
    }

    fn index(&mut self) -> Result<i64, Stop> {
        let run = self.until(&[']']);
        if run.last.is_none() {
            return Err(Stop::End);
        }
        let text: String = run.text.iter().collect();
        let digits = text.strip_prefix(['+', '-']).unwrap_or(&text);
        let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        let why = if is_number { "value out of range" } else { "invalid syntax" };
        match text.parse::<i64>() {
            Ok(index) if is_number => Ok(index),
            _ => fault(format!("error parsing index: strconv.Atoi: parsing {}: {why}", quote(&text))),
        }
    }

    /// What follows an index; `depth` counts indexes in a row.
    fn item(&mut self, list: &mut Vec<Value>, index: i64, level: usize, depth: usize) -> Result<(), Stop> {
        let Ok(place) = usize::try_from(index) else {
            return fault(format!("negative {index} index not allowed"));
        };
        let run = self.until(&['[', '.', '=']);
        if !run.text.is_empty() {
            let shown: Vec<String> = run.text.iter().map(|character| quoted_char(*character)).collect();
            return fault(format!("unexpected data at end of array index: [{}]", shown.join(" ")));
        }
        match run.last {
            None => Err(Stop::End),
            Some('=') => {
                let value = self.item_value()?;
                put_at(list, place, value)
            }
            Some('[') => {
                if depth >= LIST_LEVELS_MAX {
                    return fault(format!("lists are nested more than {LIST_LEVELS_MAX} deep"));
                }
                let next = self.index()?;
                let mut inner = match list.get(place) {
                    None | Some(Value::Null) => Vec::new(),
                    Some(Value::Array(inner)) => inner.clone(),
                    Some(other) => return conversion_fault(other, "[]interface {}"),
                };
                self.item(&mut inner, next, level, depth + 1)?;
                put_at(list, place, Value::Array(inner))
            }
            Some(_) => {
                let mut fresh = Map::new();
                match list.get_mut(place) {
                    Some(Value::Object(inner)) => self.key(inner, level),
                    Some(other) => {
                        let outcome = self.key(&mut fresh, level);
                        *other = Value::Object(fresh);
                        outcome
                    }
                    None => {
                        self.key(&mut fresh, level)?;
                        put_at(list, place, Value::Object(fresh))
                    }
                }
            }
        }
    }

    fn item_value(&mut self) -> Result<Value, Stop> {
        match self.reading {
            Reading::Json => self.json(),
            Reading::Literal => Ok(Value::String(self.until(&[]).text.iter().collect())),
            _ => match self.list()? {
                Listed::List(list) => Ok(Value::Array(list)),
                Listed::Nothing => Ok(Value::String(String::new())),
                Listed::NoList => {
                    let run = self.until(&[',']);
                    self.read(&run.text)
                }
            },
        }
    }

    /// Whether nothing but blanks lies before the next comma, which is taken along with them.
    fn skip_blanks_and_comma(&mut self) -> bool {
        while let Some(next) = self.characters.get(self.at) {
            if *next == ',' {
                self.at += 1;
                return true;
            }
            if !next.is_whitespace() {
                return false;
            }
            self.at += 1;
        }
        true
    }

    fn json(&mut self) -> Result<Value, Stop> {
        if self.skip_blanks_and_comma() {
            return Ok(Value::Null);
        }
        let rest: String = self.characters.iter().skip(self.at).collect();
        let mut stream = serde_json::Deserializer::from_str(&rest).into_iter::<Value>();
        let mut value = match stream.next() {
            Some(Ok(value)) => value,
            Some(Err(error)) => return fault(error.to_string()),
            None => return Err(Stop::End),
        };
        let taken = rest.get(..stream.byte_offset()).map_or(0, |taken| taken.chars().count());
        self.at += taken;
        self.skip_blanks_and_comma();
        to_floats(&mut value);
        Ok(value)
    }

    fn list(&mut self) -> Result<Listed, Stop> {
        match self.next() {
            None => return Ok(Listed::Nothing),
            Some('{') => {}
            Some(_) => {
                self.at -= 1;
                return Ok(Listed::NoList);
            }
        }
        let mut list = Vec::new();
        loop {
            let run = self.until(&[',', '}']);
            match run.last {
                None => return fault("list must terminate with '}'"),
                Some('}') => {
                    if self.characters.get(self.at) == Some(&',') {
                        self.at += 1;
                    }
                    list.push(self.read(&run.text)?);
                    return Ok(Listed::List(list));
                }
                Some(_) => list.push(self.read(&run.text)?),
            }
        }
    }

    fn read(&self, text: &[char]) -> Result<Value, Stop> {
        let text: String = text.iter().collect();
        match self.reading {
            Reading::Typed => Ok(typed(text)),
            Reading::File(read) => match read(&text) {
                Ok(content) => Ok(Value::String(content)),
                Err(message) => fault(message),
            },
            _ => Ok(Value::String(text)),
        }
    }
}

fn typed(text: String) -> Value {
    match text.as_str() {
        word if word.eq_ignore_ascii_case("true") => return Value::Bool(true),
        word if word.eq_ignore_ascii_case("false") => return Value::Bool(false),
        word if word.eq_ignore_ascii_case("null") => return Value::Null,
        "0" => return Value::Number(0.into()),
        _ => {}
    }
    if !text.starts_with('0')
        && let Ok(int) = text.parse::<i64>()
    {
        return Value::Number(Number::from(int));
    }
    Value::String(text)
}

/// An empty name is not set.
fn put(values: &mut Map<String, Value>, name: String, value: Value) {
    if !name.is_empty() {
        values.insert(name, value);
    }
}

fn put_at(list: &mut Vec<Value>, index: usize, value: Value) -> Result<(), Stop> {
    if index > INDEX_MAX {
        return fault(format!("index of {index} is greater than maximum supported index of {INDEX_MAX}"));
    }
    if list.len() <= index {
        list.resize(index + 1, Value::Null);
    }
    if let Some(slot) = list.get_mut(index) {
        *slot = value;
    }
    Ok(())
}

fn conversion_fault<T>(found: &Value, wanted: &str) -> Result<T, Stop> {
    let found = super::go_text::type_name(found);
    fault(format!("unable to parse key: interface conversion: interface {{}} is {found}, not {wanted}"))
}
