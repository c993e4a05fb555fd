//! Reads a program.

use serde_json::Value;

/// What a program is made of.
#[derive(Debug, Clone)]
pub(crate) enum Expression {
    /// `.`
    Identity,
    /// `..`
    Recurse,
    /// A text, number, truth or `null`.
    Literal(Value),
    /// `a.b`, `a["b"]`, `a[0]`: what the second gives for the input names a key or index of the first.
    Member(Box<Expression>, Box<Expression>),
    /// `a[]`
    Each(Box<Expression>),
    /// `a | b`
    Pipe(Box<Expression>, Box<Expression>),
    /// `a, b`
    Both(Box<Expression>, Box<Expression>),
    /// `a and b`, `a or b`, `a == b`, ...
    Operation(Operator, Box<Expression>, Box<Expression>),
    /// `if a then b else c end`
    If(Box<Expression>, Box<Expression>, Box<Expression>),
    /// `name(a; b)`
    Call(Function, Vec<Expression>),
    /// `test("pattern")`
    Test(regex::Regex),
}

// A pattern is equal to another one by its text.
impl PartialEq for Expression {
    fn eq(&self, other: &Self) -> bool {
        format!("{self:?}") == format!("{other:?}")
    }
}

impl Eq for Expression {}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operator {
    And,
    Or,
    Equal,
    Differs,
    Less,
    LessOrEqual,
    More,
    MoreOrEqual,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Function {
    Select,
    Not,
    Has,
    Length,
    Type,
    Empty,
    First,
    Any,
    All,
    StartsWith,
    EndsWith,
    Contains,
    In,
    Lower,
    Upper,
    ToText,
}

/// Names of functions with the least and the most arguments that they take.
const FUNCTIONS: &[(&str, Function, usize, usize)] = &[
    ("select", Function::Select, 1, 1),
    ("not", Function::Not, 0, 0),
    ("has", Function::Has, 1, 1),
    ("length", Function::Length, 0, 0),
    ("type", Function::Type, 0, 0),
    ("empty", Function::Empty, 0, 0),
    ("first", Function::First, 0, 1),
    ("any", Function::Any, 0, 2),
    ("all", Function::All, 0, 2),
    ("startswith", Function::StartsWith, 1, 1),
    ("endswith", Function::EndsWith, 1, 1),
    ("contains", Function::Contains, 1, 1),
    ("IN", Function::In, 1, 1),
    ("ascii_downcase", Function::Lower, 0, 0),
    ("ascii_upcase", Function::Upper, 0, 0),
    ("tostring", Function::ToText, 0, 0),
];

/// Deepest nesting that is read.
const DEPTH_MAX: usize = 32;
/// Largest pattern that is made ready, in bytes.
const PATTERN_SIZE_MAX: usize = 64 * 1024;

/// Where it is not understood, and why.
type Failure = (usize, String);

pub(crate) fn parse(text: &str) -> Result<Expression, Failure> {
    let mut parser = Parser { text, at: 0, depth: 0 };
    let expression = parser.pipe()?;
    parser.space();
    if parser.at < text.len() {
        return Err((parser.at, "nothing more is expected".to_owned()));
    }
    Ok(expression)
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
}

impl<'a> Parser<'a> {
    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn space(&mut self) {
        let rest = self.rest();
        self.at += rest.len() - rest.trim_start().len();
    }

    fn fail<T>(&self, why: &str) -> Result<T, Failure> {
        Err((self.at, why.to_owned()))
    }

    /// Takes a sign; one that goes on as another sign is not taken.
    fn sign(&mut self, sign: &str) -> bool {
        self.space();
        let Some(after) = self.rest().strip_prefix(sign) else { return false };
        let is_longer = matches!(sign, "|" | "<" | ">") && after.starts_with('=');
        if is_longer {
            return false;
        }
        self.at += sign.len();
        true
    }

    fn wants(&mut self, sign: &str) -> Result<(), Failure> {
        if self.sign(sign) { Ok(()) } else { self.fail(&format!("`{sign}` is missing")) }
    }

    fn word(&mut self) -> Option<&'a str> {
        self.space();
        let rest = self.rest();
        let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(rest.len());
        let word = rest.get(..end).filter(|word| word.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_'))?;
        self.at += end;
        Some(word)
    }

    fn keyword(&mut self, keyword: &str) -> bool {
        let before = self.at;
        if self.word() == Some(keyword) {
            return true;
        }
        self.at = before;
        false
    }

    fn pipe(&mut self) -> Result<Expression, Failure> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return self.fail("it is nested deeper than 32");
        }
        let mut left = self.comma()?;
        while self.sign("|") {
            let right = self.comma()?;
            left = Expression::Pipe(Box::new(left), Box::new(right));
        }
        self.depth -= 1;
        Ok(left)
    }

    fn comma(&mut self) -> Result<Expression, Failure> {
        let mut left = self.or()?;
        while self.sign(",") {
            let right = self.or()?;
            left = Expression::Both(Box::new(left), Box::new(right));
        }
        Ok(left)
    }

    fn or(&mut self) -> Result<Expression, Failure> {
        let mut left = self.and()?;
        while self.keyword("or") {
            let right = self.and()?;
            left = Expression::Operation(Operator::Or, Box::new(left), Box::new(right));
        }
        Ok(left)
    }

    fn and(&mut self) -> Result<Expression, Failure> {
        let mut left = self.comparison()?;
        while self.keyword("and") {
            let right = self.comparison()?;
            left = Expression::Operation(Operator::And, Box::new(left), Box::new(right));
        }
        Ok(left)
    }

    fn comparison(&mut self) -> Result<Expression, Failure> {
        const SIGNS: [(&str, Operator); 6] = [
            ("==", Operator::Equal),
            ("!=", Operator::Differs),
            ("<=", Operator::LessOrEqual),
            (">=", Operator::MoreOrEqual),
            ("<", Operator::Less),
            (">", Operator::More),
        ];
        let left = self.postfix()?;
        for (sign, operator) in SIGNS {
            if self.sign(sign) {
                let right = self.postfix()?;
                return Ok(Expression::Operation(operator, Box::new(left), Box::new(right)));
            }
        }
        Ok(left)
    }

    fn postfix(&mut self) -> Result<Expression, Failure> {
        let mut left = self.primary()?;
        loop {
            if self.rest().starts_with('.') && !self.rest().starts_with("..") {
                self.at += 1;
                if self.rest().starts_with('[') {
                    continue;
                }
                let Some(name) = self.name()? else { return self.fail("a name is missing") };
                left = member(left, name);
            } else if self.rest().starts_with('[') {
                self.at += 1;
                if self.sign("]") {
                    left = Expression::Each(Box::new(left));
                    continue;
                }
                let index = self.pipe()?;
                self.wants("]")?;
                left = Expression::Member(Box::new(left), Box::new(index));
            } else if self.rest().starts_with('?') {
                // Nothing fails here: what is not there is not there.
                self.at += 1;
            } else {
                return Ok(left);
            }
        }
    }

    /// A name after a dot, with or without quotes.
    fn name(&mut self) -> Result<Option<String>, Failure> {
        if self.rest().starts_with('"') {
            return self.quoted().map(Some);
        }
        let before = self.at;
        let is_adjacent = !self.rest().starts_with(char::is_whitespace);
        match self.word().filter(|_| is_adjacent) {
            Some(word) => Ok(Some(word.to_owned())),
            None => {
                self.at = before;
                Ok(None)
            }
        }
    }

    fn primary(&mut self) -> Result<Expression, Failure> {
        self.space();
        let rest = self.rest();
        if rest.starts_with("..") {
            self.at += 2;
            return Ok(Expression::Recurse);
        }
        if rest.starts_with('.') {
            self.at += 1;
            return Ok(match self.name()? {
                Some(name) => member(Expression::Identity, name),
                None => Expression::Identity,
            });
        }
        if rest.starts_with('(') {
            self.at += 1;
            let inner = self.pipe()?;
            self.wants(")")?;
            return Ok(inner);
        }
        if rest.starts_with('"') {
            return self.quoted().map(|text| Expression::Literal(text.into()));
        }
        if rest.starts_with(|c: char| c.is_ascii_digit() || c == '-') {
            return self.number();
        }
        let before = self.at;
        match self.word() {
            None => self.fail("an expression is missing"),
            Some("true") => Ok(Expression::Literal(true.into())),
            Some("false") => Ok(Expression::Literal(false.into())),
            Some("null") => Ok(Expression::Literal(Value::Null)),
            Some("recurse") if !self.rest().starts_with('(') => Ok(Expression::Recurse),
            Some("if") => self.conditional(),
            Some("test") => self.pattern(),
            Some(name) => self.call(name, before),
        }
    }

    fn number(&mut self) -> Result<Expression, Failure> {
        let rest = self.rest();
        let end = rest.find(|c: char| !(c.is_ascii_digit() || matches!(c, '-' | '.'))).unwrap_or(rest.len());
        let text = rest.get(..end).unwrap_or_default();
        match serde_json::from_str::<Value>(text) {
            Ok(number) => {
                self.at += end;
                Ok(Expression::Literal(number))
            }
            Err(_) => self.fail("it is no number"),
        }
    }

    fn quoted(&mut self) -> Result<String, Failure> {
        let rest = self.rest();
        let mut is_escaped = false;
        for (index, c) in rest.char_indices().skip(1) {
            match c {
                _ if is_escaped => is_escaped = false,
                '\\' => is_escaped = true,
                '"' => {
                    let text = rest.get(..=index).unwrap_or_default();
                    let Ok(text) = serde_json::from_str(text) else { return self.fail("it is no text") };
                    self.at += index + 1;
                    return Ok(text);
                }
                _ => {}
            }
        }
        self.fail("a quote is not closed")
    }

    fn conditional(&mut self) -> Result<Expression, Failure> {
        let condition = self.pipe()?;
        if !self.keyword("then") {
            return self.fail("`then` is missing");
        }
        let then = self.pipe()?;
        let otherwise = if self.keyword("else") { self.pipe()? } else { Expression::Identity };
        if !self.keyword("end") {
            return self.fail("`end` is missing");
        }
        Ok(Expression::If(Box::new(condition), Box::new(then), Box::new(otherwise)))
    }

    /// A pattern stands in the program, so it is made ready once.
    fn pattern(&mut self) -> Result<Expression, Failure> {
        self.wants("(")?;
        self.space();
        let before = self.at;
        let text = self.quoted()?;
        let Ok(pattern) = regex::RegexBuilder::new(&text).size_limit(PATTERN_SIZE_MAX).build() else {
            return Err((before, "it is no pattern".to_owned()));
        };
        self.wants(")")?;
        Ok(Expression::Test(pattern))
    }

    fn call(&mut self, name: &str, before: usize) -> Result<Expression, Failure> {
        let Some((_, function, least, most)) = FUNCTIONS.iter().find(|(known, ..)| *known == name) else {
            return Err((before, format!("`{name}` is no function that chooses fields")));
        };
        let mut arguments = Vec::new();
        if self.sign("(") {
            arguments.push(self.pipe()?);
            while self.sign(";") {
                arguments.push(self.pipe()?);
            }
            self.wants(")")?;
        }
        if !(*least..=*most).contains(&arguments.len()) {
            return Err((before, format!("`{name}` takes {least} to {most} arguments")));
        }
        Ok(Expression::Call(*function, arguments))
    }
}

fn member(of: Expression, name: String) -> Expression {
    Expression::Member(Box::new(of), Box::new(Expression::Literal(name.into())))
}
