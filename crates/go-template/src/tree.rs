//! The parsed form of a template: compact, shared between threads, and printable as Go prints its nodes, because
//! messages quote them.

use std::sync::Arc;

use crate::Str;
use crate::number::Number;
use crate::quote::{Keep, quote};

/// What a tree of the greatest depth needs on the stack to be walked or released without checks on the way, and what is
/// taken when there is less.
pub(crate) const STACK_FOR_TREES: usize = 1 << 20;
pub(crate) const STACK_STEP: usize = 4 << 20;

/// A source text with the name that messages give it.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) name: Str,
    pub(crate) text: Str,
}

/// A range of the source text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) start: u32,
    pub(crate) end: u32,
}

impl Span {
    pub(crate) fn of(self, text: &[u8]) -> &[u8] {
        text.get(self.start as usize..self.end as usize).unwrap_or(&[])
    }
}

/// Where something stands in its source, and which of the things there it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct At {
    pub(crate) position: u32,
    pub(crate) id: u32,
}

/// A template: one name, one body.
#[derive(Debug)]
pub(crate) struct Template {
    pub(crate) name: Str,
    pub(crate) source: Arc<Source>,
    pub(crate) body: Vec<Node>,
    /// How many variables live at once, `$` among them.
    pub(crate) slots: u32,
    /// Whether there is nothing but space in it.
    pub(crate) is_empty: bool,
}

impl Drop for Template {
    fn drop(&mut self) {
        let body = std::mem::take(&mut self.body);
        stacker::maybe_grow(STACK_FOR_TREES, STACK_STEP, || drop(body));
    }
}

/// A piece of a body.
#[derive(Debug)]
pub(crate) enum Node {
    Text { at: At, span: Span },
    Action { at: At, pipe: Pipe },
    If(Box<Branch>),
    With(Box<Branch>),
    Range(Box<Branch>),
    Template { at: At, name: Str, pipe: Option<Pipe> },
    Break(At),
    Continue(At),
}

/// What `if`, `with` and `range` consist of.
#[derive(Debug)]
pub(crate) struct Branch {
    pub(crate) at: At,
    pub(crate) pipe: Pipe,
    pub(crate) body: Vec<Node>,
    pub(crate) otherwise: Option<Vec<Node>>,
}

/// Commands, each of which gets the value of the one before as its last argument.
#[derive(Debug)]
pub(crate) struct Pipe {
    pub(crate) at: At,
    pub(crate) is_assignment: bool,
    pub(crate) variables: Vec<Variable>,
    pub(crate) commands: Box<[Command]>,
}

/// A variable that a pipeline declares or assigns. An assignment to a name that nobody declared has no slot.
#[derive(Debug)]
pub(crate) struct Variable {
    pub(crate) name: Str,
    pub(crate) slot: Option<u32>,
}

/// A function, method or value, with arguments.
#[derive(Debug)]
pub(crate) struct Command {
    pub(crate) at: At,
    pub(crate) operands: Box<[Operand]>,
}

/// One word of a command.
#[derive(Debug)]
pub(crate) struct Operand {
    pub(crate) at: At,
    pub(crate) term: Term,
}

#[derive(Debug)]
pub(crate) enum Term {
    Bool(bool),
    Dot,
    Nil,
    Number { number: Number, span: Span },
    String { text: Str, span: Span },
    Field(Box<[Str]>),
    Variable { name: Str, slot: Option<u32>, fields: Box<[Str]> },
    Function { name: Str, id: u32 },
    Chain { operand: Box<Operand>, fields: Box<[Str]> },
    Pipe(Box<Pipe>),
}

impl Term {
    /// Returns whether it can't take the value of an earlier command.
    pub(crate) fn is_constant(&self) -> bool {
        matches!(self, Self::Bool(_) | Self::Dot | Self::Nil | Self::Number { .. } | Self::String { .. })
    }
}

/// Writes nodes as Go prints them.
pub(crate) struct Printer<'a> {
    pub(crate) source: &'a [u8],
    pub(crate) out: Vec<u8>,
}

impl<'a> Printer<'a> {
    pub(crate) fn new(source: &'a [u8]) -> Self {
        Self { source, out: Vec::new() }
    }

    pub(crate) fn into_text(self) -> String {
        String::from_utf8_lossy(&self.out).into_owned()
    }

    fn text(&mut self, text: &str) {
        self.out.extend_from_slice(text.as_bytes());
    }

    pub(crate) fn nodes(&mut self, nodes: &[Node]) {
        for node in nodes {
            self.node(node);
        }
    }

    pub(crate) fn node(&mut self, node: &Node) {
        match node {
            Node::Text { span, .. } => self.out.extend_from_slice(span.of(self.source)),
            Node::Action { pipe, .. } => {
                self.text("{{");
                self.pipe(pipe);
                self.text("}}");
            }
            Node::If(branch) => self.branch("if", branch),
            Node::With(branch) => self.branch("with", branch),
            Node::Range(branch) => self.branch("range", branch),
            Node::Template { name, pipe, .. } => {
                self.text("{{template ");
                self.text(&quote(name.as_bytes(), Keep::Printable));
                if let Some(pipe) = pipe {
                    self.text(" ");
                    self.pipe(pipe);
                }
                self.text("}}");
            }
            Node::Break(_) => self.text("{{break}}"),
            Node::Continue(_) => self.text("{{continue}}"),
        }
    }

    fn branch(&mut self, keyword: &str, branch: &Branch) {
        self.text("{{");
        self.text(keyword);
        self.text(" ");
        self.pipe(&branch.pipe);
        self.text("}}");
        self.nodes(&branch.body);
        if let Some(otherwise) = &branch.otherwise {
            self.text("{{else}}");
            self.nodes(otherwise);
        }
        self.text("{{end}}");
    }

    pub(crate) fn pipe(&mut self, pipe: &Pipe) {
        for (index, variable) in pipe.variables.iter().enumerate() {
            self.text(if index > 0 { ", " } else { "" });
            self.out.extend_from_slice(variable.name.as_bytes());
        }
        if !pipe.variables.is_empty() {
            self.text(if pipe.is_assignment { " = " } else { " := " });
        }
        for (index, command) in pipe.commands.iter().enumerate() {
            self.text(if index > 0 { " | " } else { "" });
            self.command(command);
        }
    }

    pub(crate) fn command(&mut self, command: &Command) {
        for (index, operand) in command.operands.iter().enumerate() {
            self.text(if index > 0 { " " } else { "" });
            self.in_parentheses(operand);
        }
    }

    fn in_parentheses(&mut self, operand: &Operand) {
        let is_pipe = matches!(operand.term, Term::Pipe(_));
        self.text(if is_pipe { "(" } else { "" });
        self.operand(operand);
        self.text(if is_pipe { ")" } else { "" });
    }

    pub(crate) fn operand(&mut self, operand: &Operand) {
        match &operand.term {
            Term::Bool(value) => self.text(if *value { "true" } else { "false" }),
            Term::Dot => self.text("."),
            Term::Nil => self.text("nil"),
            Term::Number { span, .. } | Term::String { span, .. } => self.out.extend_from_slice(span.of(self.source)),
            Term::Field(fields) => self.fields(fields),
            Term::Variable { name, fields, .. } => {
                self.out.extend_from_slice(name.as_bytes());
                self.fields(fields);
            }
            Term::Function { name, .. } => self.out.extend_from_slice(name.as_bytes()),
            Term::Chain { operand, fields } => {
                self.in_parentheses(operand);
                self.fields(fields);
            }
            Term::Pipe(pipe) => self.pipe(pipe),
        }
    }

    fn fields(&mut self, fields: &[Str]) {
        for field in fields {
            self.out.push(b'.');
            self.out.extend_from_slice(field.as_bytes());
        }
    }
}

/// Something in a tree that a message can point at.
enum Found<'a> {
    Node(&'a Node),
    Pipe(&'a Pipe),
    Command(&'a Command),
    Operand(&'a Operand),
}

impl Template {
    /// Returns the line and column of a place (the line from one, the column from zero as Go counts it) and how Go
    /// prints what stands there.
    pub(crate) fn context(&self, at: At) -> (usize, usize, String) {
        let text = self.source.text.as_bytes();
        let before = text.get(..at.position as usize).unwrap_or(text);
        let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
        let line_start = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |index| index + 1);
        let mut printer = Printer::new(text);
        match find(&self.body, at.id) {
            Some(Found::Node(node)) => printer.node(node),
            Some(Found::Pipe(pipe)) => printer.pipe(pipe),
            Some(Found::Command(command)) => printer.command(command),
            Some(Found::Operand(operand)) => printer.operand(operand),
            None => {}
        }
        (line, before.len() - line_start, printer.into_text())
    }

    /// Returns how Go prints the body.
    #[cfg(test)]
    pub(crate) fn printed(&self) -> String {
        let mut printer = Printer::new(self.source.text.as_bytes());
        printer.nodes(&self.body);
        printer.into_text()
    }
}

fn find(nodes: &[Node], id: u32) -> Option<Found<'_>> {
    nodes.iter().find_map(|node| {
        let (at, pipe, bodies) = match node {
            Node::Text { at, .. } | Node::Break(at) | Node::Continue(at) => (at, None, None),
            Node::Action { at, pipe } => (at, Some(pipe), None),
            Node::Template { at, pipe, .. } => (at, pipe.as_ref(), None),
            Node::If(branch) | Node::With(branch) | Node::Range(branch) => {
                (&branch.at, Some(&branch.pipe), Some((&branch.body, branch.otherwise.as_ref())))
            }
        };
        if at.id == id {
            return Some(Found::Node(node));
        }
        pipe.and_then(|pipe| find_in_pipe(pipe, id)).or_else(|| {
            let (body, otherwise) = bodies?;
            find(body, id).or_else(|| find(otherwise?, id))
        })
    })
}

fn find_in_pipe(pipe: &Pipe, id: u32) -> Option<Found<'_>> {
    if pipe.at.id == id {
        return Some(Found::Pipe(pipe));
    }
    pipe.commands.iter().find_map(|command| {
        if command.at.id == id {
            return Some(Found::Command(command));
        }
        command.operands.iter().find_map(|operand| find_in_operand(operand, id))
    })
}

fn find_in_operand(operand: &Operand, id: u32) -> Option<Found<'_>> {
    if operand.at.id == id {
        return Some(Found::Operand(operand));
    }
    match &operand.term {
        Term::Pipe(pipe) => find_in_pipe(pipe, id),
        Term::Chain { operand, .. } => find_in_operand(operand, id),
        _ => None,
    }
}
