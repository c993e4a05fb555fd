//! Reads a source into templates. It follows Go's parser step by step, so that it refuses the same texts at the same
//! lines with the same words.

mod lex;
mod pipeline;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use lex::{Kind, Lexer, Token};

use crate::Str;
use crate::error::ParseError;
use crate::function::Functions;
use crate::quote::{Keep, quote, unquote};
use crate::tree::{At, Branch, Command, Node, Operand, STACK_FOR_TREES, STACK_STEP, Source, Span, Template};

/// How deep blocks and parentheses may nest.
const NESTING_MAX: u32 = 1_000;
/// The longest source: positions are 32 bits wide.
const SOURCE_BYTES_MAX: usize = u32::MAX as usize / 2;

/// Reads a source. The template that has the name of the source is among the result, also when there is nothing in it.
pub(crate) fn parse(
    name: &Str,
    text: &Str,
    (left, right): (&[u8], &[u8]),
    functions: &Functions,
) -> Result<Vec<Template>, ParseError> {
    if text.len() > SOURCE_BYTES_MAX {
        return Err(ParseError { name: name.clone(), line: 1, message: "the source is too long".to_owned() });
    }
    let source = Arc::new(Source { name: name.clone(), text: text.clone() });
    let mut lexer = Lexer::new(text.as_bytes(), left, right);
    lexer.is_break_keyword = functions.get("break").is_none();
    lexer.is_continue_keyword = functions.get("continue").is_none();
    let mut parser = Parser {
        text: text.as_bytes(),
        source: source.clone(),
        lexer,
        functions,
        definition: Definition::new(),
        templates: Vec::new(),
        by_name: BTreeMap::new(),
        names: HashMap::new(),
        nodes: Vec::new(),
        operands: Vec::new(),
        commands: Vec::new(),
        nesting: 0,
        next_id: 0,
    };
    // What has been read when an error ends the reading is released in here, too.
    stacker::maybe_grow(STACK_FOR_TREES, STACK_STEP, || {
        let body = parser.source_body()?;
        parser.add(name.clone(), body)?;
        Ok(parser.templates)
    })
}

/// What belongs to one definition: Go gives each a parser of its own over one lexer.
#[derive(Debug)]
struct Definition {
    tokens: [Token; 3],
    peeked: usize,
    variables: Vec<(Str, Option<u32>)>,
    slots: u32,
    range_depth: u32,
    action: Option<usize>,
}

impl Definition {
    fn new() -> Self {
        let none = Token { kind: Kind::Eof, start: 0, end: 0 };
        Self {
            tokens: [none; 3],
            peeked: 0,
            variables: vec![(Str::from_static("$"), Some(0))],
            slots: 1,
            range_depth: 0,
            action: None,
        }
    }
}

struct Parser<'a> {
    text: &'a [u8],
    source: Arc<Source>,
    lexer: Lexer<'a>,
    functions: &'a Functions,
    definition: Definition,
    templates: Vec<Template>,
    by_name: BTreeMap<Str, usize>,
    /// Names that occurred, so that equal ones share their bytes, with the functions that were looked for by them.
    names: HashMap<&'a [u8], (Str, Option<u32>)>,
    /// Nodes, operands and commands of what is being read, innermost last: each list is kept at its exact size.
    nodes: Vec<Node>,
    operands: Vec<Operand>,
    commands: Vec<Command>,
    nesting: u32,
    next_id: u32,
}

type Parsed<T> = Result<T, ParseError>;

/// What ends a list of nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ending {
    End,
    Else,
}

/// A node, or what ends a list of them.
enum Item {
    Node(Node),
    Ending(Ending),
}

impl<'a> Parser<'a> {
    // Tokens.

    fn next(&mut self) -> Token {
        let definition = &mut self.definition;
        if definition.peeked > 0 {
            definition.peeked -= 1;
        } else {
            definition.tokens[0] = self.lexer.next_token();
        }
        definition.tokens.get(definition.peeked).copied().unwrap_or(definition.tokens[0])
    }

    fn peek(&mut self) -> Token {
        let definition = &mut self.definition;
        if definition.peeked > 0 {
            return definition.tokens.get(definition.peeked - 1).copied().unwrap_or(definition.tokens[0]);
        }
        definition.peeked = 1;
        definition.tokens[0] = self.lexer.next_token();
        definition.tokens[0]
    }

    fn backup(&mut self) {
        self.definition.peeked += 1;
    }

    /// Puts back the last token and one before it.
    fn backup_two(&mut self, first: Token) {
        self.definition.tokens[1] = first;
        self.definition.peeked = 2;
    }

    /// Puts back the last token and two before it.
    fn backup_three(&mut self, first: Token, second: Token) {
        self.definition.tokens[1] = second;
        self.definition.tokens[2] = first;
        self.definition.peeked = 3;
    }

    fn next_non_space(&mut self) -> Token {
        loop {
            let token = self.next();
            if token.kind != Kind::Space {
                return token;
            }
        }
    }

    fn peek_non_space(&mut self) -> Token {
        let token = self.next_non_space();
        self.backup();
        token
    }

    fn bytes(&self, token: Token) -> &'a [u8] {
        self.text.get(token.start..token.end).unwrap_or(&[])
    }

    fn line(&self, position: usize) -> u32 {
        let newlines = self.text.get(..position).unwrap_or(self.text).iter().filter(|byte| **byte == b'\n').count();
        u32::try_from(newlines + 1).unwrap_or(u32::MAX)
    }

    // Places and names.

    fn at(&mut self, position: usize) -> At {
        self.next_id += 1;
        At { position: u32::try_from(position).unwrap_or(u32::MAX), id: self.next_id }
    }

    fn span(token: Token) -> Span {
        let bound = |position| u32::try_from(position).unwrap_or(u32::MAX);
        Span { start: bound(token.start), end: bound(token.end) }
    }

    fn name(&mut self, bytes: &'a [u8]) -> Str {
        self.names.entry(bytes).or_insert_with(|| (Str::from(bytes), None)).0.clone()
    }

    /// Returns the function of a name.
    fn function(&mut self, bytes: &'a [u8]) -> Option<(Str, u32)> {
        let (name, id) = self.names.entry(bytes).or_insert_with(|| (Str::from(bytes), None));
        if id.is_none() {
            *id = name.as_str().and_then(|name| self.functions.id(name));
        }
        id.map(|id| (name.clone(), id))
    }

    // Errors.

    fn error<T>(&self, message: impl Into<String>) -> Parsed<T> {
        let line = self.line(self.definition.tokens[0].start);
        Err(ParseError { name: self.source.name.clone(), line, message: message.into() })
    }

    fn unexpected<T>(&self, token: Token, context: &str) -> Parsed<T> {
        if token.kind != Kind::Error {
            return self.error(format!("unexpected {} in {context}", self.shown(token)));
        }
        let mut message = self.lexer.error().to_owned();
        if let Some(action) = self.definition.action {
            let (started, line) = (self.line(action), self.line(token.start));
            if started != line {
                // "unclosed action" would else read "action in action".
                let extra = if message.ends_with(" action") { " started at " } else { " in action started at " };
                message.push_str(&format!("{extra}{}:{started}", self.source.name));
            }
        }
        self.error(message)
    }

    /// Prints a token as messages do.
    fn shown(&self, token: Token) -> String {
        let bytes = self.bytes(token);
        match token.kind {
            Kind::Eof => "EOF".to_owned(),
            Kind::Error => self.lexer.error().to_owned(),
            kind if kind.is_keyword() => format!("<{}>", String::from_utf8_lossy(bytes)),
            _ if bytes.len() > 10 => {
                let cut = crate::unicode::chars(bytes).nth(10).map_or(bytes.len(), |(position, _, _)| position);
                format!("{}...", quote(bytes.get(..cut).unwrap_or(bytes), Keep::Printable))
            }
            _ => quote(bytes, Keep::Printable),
        }
    }

    fn expect(&mut self, kind: Kind, context: &str) -> Parsed<Token> {
        let token = self.next_non_space();
        if token.kind == kind { Ok(token) } else { self.unexpected(token, context) }
    }

    /// Goes a level deeper into blocks or parentheses.
    fn nested<T>(&mut self, too_deep: &str, parse: impl FnOnce(&mut Self) -> Parsed<T>) -> Parsed<T> {
        if self.nesting >= NESTING_MAX {
            return self.error(too_deep);
        }
        self.nesting += 1;
        let result = stacker::maybe_grow(STACK_FOR_TREES, STACK_STEP, || parse(self));
        self.nesting -= 1;
        result
    }

    // Definitions.

    /// Adds a template to the result; within one source a name is given once, but an empty body doesn't count.
    fn add(&mut self, name: Str, body: Vec<Node>) -> Parsed<()> {
        let is_empty = body.iter().all(|node| match node {
            Node::Text { span, .. } => is_blank(span.of(self.text)),
            _ => false,
        });
        let slots = self.definition.slots;
        let template = Template { name: name.clone(), source: self.source.clone(), body, slots, is_empty };
        match self.by_name.get(&name).and_then(|index| self.templates.get_mut(*index)) {
            None => {
                self.by_name.insert(name, self.templates.len());
                self.templates.push(template);
            }
            Some(old) if old.is_empty => *old = template,
            Some(_) if template.is_empty => {}
            Some(_) => {
                let name = quote(name.as_bytes(), Keep::Printable);
                return self.error(format!("template: multiple definition of template {name}"));
            }
        }
        Ok(())
    }

    /// Reads the whole source but what is within `define`.
    fn source_body(&mut self) -> Parsed<Vec<Node>> {
        while self.peek().kind != Kind::Eof {
            if self.peek().kind == Kind::LeftDelimiter {
                let delimiter = self.next();
                if self.next_non_space().kind == Kind::Define {
                    self.definition()?;
                    continue;
                }
                self.backup_two(delimiter);
            }
            match self.text_or_action()? {
                Item::Node(node) => self.nodes.push(node),
                Item::Ending(Ending::End) => return self.error("unexpected {{end}}"),
                Item::Ending(Ending::Else) => return self.error("unexpected {{else}}"),
            }
        }
        Ok(self.nodes.drain(..).collect())
    }

    /// Reads `define "name"}} ... {{end}}` behind its keyword.
    fn definition(&mut self) -> Parsed<()> {
        const CONTEXT: &str = "define clause";
        let outer = std::mem::replace(&mut self.definition, Definition::new());
        let token = self.next_non_space();
        let name = self.template_name(token, CONTEXT)?;
        self.expect(Kind::RightDelimiter, CONTEXT)?;
        let (body, ending) = self.list()?;
        if ending != Ending::End {
            return self.error(format!("unexpected {{{{else}}}} in {CONTEXT}"));
        }
        self.add(name, body)?;
        self.definition = outer;
        Ok(())
    }

    fn template_name(&mut self, token: Token, context: &str) -> Parsed<Str> {
        if !matches!(token.kind, Kind::String | Kind::RawString) {
            return self.unexpected(token, context);
        }
        match unquote(self.bytes(token)) {
            Ok(name) => Ok(Str::from(&*name)),
            Err(error) => self.error(error.to_string()),
        }
    }

    // Nodes.

    /// Reads nodes up to an `end` or `else`.
    fn list(&mut self) -> Parsed<(Vec<Node>, Ending)> {
        let first = self.nodes.len();
        while self.peek_non_space().kind != Kind::Eof {
            match self.text_or_action()? {
                Item::Node(node) => self.nodes.push(node),
                Item::Ending(ending) => return Ok((self.nodes.drain(first..).collect(), ending)),
            }
        }
        self.error("unexpected EOF")
    }

    fn text_or_action(&mut self) -> Parsed<Item> {
        let token = self.next_non_space();
        match token.kind {
            Kind::Text => {
                let at = self.at(token.start);
                Ok(Item::Node(Node::Text { at, span: Self::span(token) }))
            }
            Kind::LeftDelimiter => {
                self.definition.action = Some(token.start);
                let item = self.action();
                self.definition.action = None;
                item
            }
            _ => self.unexpected(token, "input"),
        }
    }

    fn action(&mut self) -> Parsed<Item> {
        let token = self.next_non_space();
        Ok(Item::Node(match token.kind {
            Kind::Block => self.block()?,
            Kind::Break => Node::Break(self.leave_range(token, "{{break}}")?),
            Kind::Continue => Node::Continue(self.leave_range(token, "{{continue}}")?),
            Kind::Else => return self.otherwise().map(Item::Ending),
            Kind::End => {
                self.expect(Kind::RightDelimiter, "end")?;
                return Ok(Item::Ending(Ending::End));
            }
            Kind::If => Node::If(self.branch("if")?),
            Kind::Range => Node::Range(self.branch("range")?),
            Kind::With => Node::With(self.branch("with")?),
            Kind::Template => self.template_call()?,
            _ => {
                self.backup();
                let token = self.peek();
                let pipe = self.pipeline("command", Kind::RightDelimiter)?;
                Node::Action { at: self.at(token.start), pipe }
            }
        }))
    }

    fn leave_range(&mut self, token: Token, shown: &str) -> Parsed<At> {
        let after = self.next_non_space();
        if after.kind != Kind::RightDelimiter {
            return self.unexpected(after, shown);
        }
        if self.definition.range_depth == 0 {
            return self.error(format!("{shown} outside {{{{range}}}}"));
        }
        Ok(self.at(token.start))
    }

    fn otherwise(&mut self) -> Parsed<Ending> {
        // `else if` and `else with` leave their second word to the branch that they belong to.
        if !matches!(self.peek_non_space().kind, Kind::If | Kind::With) {
            self.expect(Kind::RightDelimiter, "else")?;
        }
        Ok(Ending::Else)
    }

    /// Reads an `if`, `range` or `with` behind its keyword.
    fn branch(&mut self, context: &'static str) -> Parsed<Box<Branch>> {
        self.nested("blocks nest too deep", |parser| {
            let variables = parser.definition.variables.len();
            let branch = parser.branch_within(context)?;
            parser.definition.variables.truncate(variables);
            Ok(Box::new(branch))
        })
    }

    fn branch_within(&mut self, context: &'static str) -> Parsed<Branch> {
        let pipe = self.pipeline(context, Kind::RightDelimiter)?;
        let is_range = u32::from(context == "range");
        self.definition.range_depth += is_range;
        let (body, ending) = self.list()?;
        self.definition.range_depth -= is_range;
        let mut otherwise = None;
        if ending == Ending::Else {
            let next = self.peek().kind;
            otherwise = Some(if context == "if" && next == Kind::If {
                self.next();
                vec![Node::If(self.branch("if")?)]
            } else if context == "with" && next == Kind::With {
                self.next();
                vec![Node::With(self.branch("with")?)]
            } else {
                let (nodes, ending) = self.list()?;
                if ending != Ending::End {
                    return self.error("expected end; found {{else}}");
                }
                nodes
            });
        }
        let at = self.at(pipe.at.position as usize);
        Ok(Branch { at, pipe, body, otherwise })
    }

    /// Reads `block "name" pipeline}} ... {{end}}` behind its keyword.
    fn block(&mut self) -> Parsed<Node> {
        const CONTEXT: &str = "block clause";
        let token = self.next_non_space();
        let name = self.template_name(token, CONTEXT)?;
        let pipe = self.pipeline(CONTEXT, Kind::RightDelimiter)?;
        let outer = std::mem::replace(&mut self.definition, Definition::new());
        let (body, ending) = self.nested("blocks nest too deep", Self::list)?;
        if ending != Ending::End {
            return self.error(format!("unexpected {{{{else}}}} in {CONTEXT}"));
        }
        self.add(name.clone(), body)?;
        self.definition = outer;
        Ok(Node::Template { at: self.at(token.start), name, pipe: Some(pipe) })
    }

    /// Reads `template "name" pipeline` behind its keyword.
    fn template_call(&mut self) -> Parsed<Node> {
        const CONTEXT: &str = "template clause";
        let token = self.next_non_space();
        let name = self.template_name(token, CONTEXT)?;
        let mut pipe = None;
        if self.next_non_space().kind != Kind::RightDelimiter {
            self.backup();
            pipe = Some(self.pipeline(CONTEXT, Kind::RightDelimiter)?);
        }
        Ok(Node::Template { at: self.at(token.start), name, pipe })
    }
}

/// Returns whether there is nothing but white space, as Go's `bytes.TrimSpace` sees it.
fn is_blank(bytes: &[u8]) -> bool {
    crate::unicode::chars(bytes).all(|(_, character, _)| character.is_whitespace())
}

#[cfg(test)]
mod tests;
