//! Reads what stands within an action: pipelines, commands, operands.

use super::lex::{Kind, Token};
use super::{Parsed, Parser};
use crate::Str;
use crate::number::{BadNumber, Number};
use crate::quote::{Keep, quote, unquote, unquote_one};
use crate::tree::{Command, Operand, Pipe, Term, Variable};

impl<'a> Parser<'a> {
    /// Reads declarations and commands up to a token of the kind `end`.
    pub(super) fn pipeline(&mut self, context: &str, end: Kind) -> Parsed<Pipe> {
        let token = self.peek_non_space();
        let at = self.at(token.start);
        let known = self.definition.variables.len();
        let (names, is_assignment) = self.declarations(context)?;
        let first = self.commands.len();
        loop {
            let token = self.next_non_space();
            match token.kind {
                kind if kind == end => break,
                Kind::Bool
                | Kind::CharConstant
                | Kind::Complex
                | Kind::Dot
                | Kind::Field
                | Kind::Identifier
                | Kind::Number
                | Kind::Nil
                | Kind::RawString
                | Kind::String
                | Kind::Variable
                | Kind::LeftParen => {
                    self.backup();
                    let command = self.command()?;
                    self.commands.push(command);
                }
                _ => return self.unexpected(token, context),
            }
        }
        let commands: Box<[Command]> = self.commands.drain(first..).collect();
        self.check_pipeline(&commands, context)?;
        let variables = self.declare(names, is_assignment, known);
        Ok(Pipe { at, is_assignment, variables, commands })
    }

    /// Reads `$x :=`, `$x =`, and in a range also `$x, $y :=`.
    fn declarations(&mut self, context: &str) -> Parsed<(Vec<&'a [u8]>, bool)> {
        let mut names: Vec<&'a [u8]> = Vec::new();
        let mut is_assignment = false;
        loop {
            let variable = self.peek_non_space();
            if variable.kind != Kind::Variable {
                return Ok((names, is_assignment));
            }
            self.next();
            // Space is a token, so three tokens of look-ahead are needed: in `$x foo` the variable is an argument.
            let after = self.peek();
            let next = self.peek_non_space();
            let is_comma = next.kind == Kind::Char && self.bytes(next) == b",";
            if matches!(next.kind, Kind::Assign | Kind::Declare) {
                is_assignment = next.kind == Kind::Assign;
                self.next_non_space();
                self.announce(&mut names, variable);
                return Ok((names, is_assignment));
            }
            if !is_comma {
                if after.kind == Kind::Space {
                    self.backup_three(variable, after);
                } else {
                    self.backup_two(variable);
                }
                return Ok((names, is_assignment));
            }
            self.next_non_space();
            self.announce(&mut names, variable);
            if context != "range" || names.len() >= 2 {
                return self.error(format!("too many declarations in {context}"));
            }
            if !matches!(self.peek_non_space().kind, Kind::Variable | Kind::RightDelimiter | Kind::RightParen) {
                return self.error("range can only initialize variables");
            }
        }
    }

    /// Makes a name known. Until its pipeline has been read it still means what it meant before.
    fn announce(&mut self, names: &mut Vec<&'a [u8]>, token: Token) {
        let bytes = self.bytes(token);
        let name = self.name(bytes);
        let slot = self.slot_of(&name).flatten();
        self.definition.variables.push((name, slot));
        names.push(bytes);
    }

    /// Gives the announced names their slots: new ones when they are declared, those they had when they are assigned.
    fn declare(&mut self, names: Vec<&'a [u8]>, is_assignment: bool, known: usize) -> Vec<Variable> {
        let mut variables = Vec::with_capacity(names.len());
        for (index, bytes) in names.into_iter().enumerate() {
            let name = self.name(bytes);
            let place = known + index;
            let definition = &mut self.definition;
            let slot = match definition.variables.get_mut(place) {
                Some((_, slot)) if is_assignment => *slot,
                Some((_, slot)) => {
                    *slot = u32::try_from(place).ok();
                    definition.slots = definition.slots.max(u32::try_from(place + 1).unwrap_or(u32::MAX));
                    *slot
                }
                None => None,
            };
            variables.push(Variable { name, slot });
        }
        variables
    }

    /// Returns the slot of a name; the inner `None` is a name that was assigned but never declared.
    fn slot_of(&self, name: &Str) -> Option<Option<u32>> {
        self.definition.variables.iter().rev().find(|(known, _)| known == name).map(|(_, slot)| *slot)
    }

    fn check_pipeline(&mut self, commands: &[Command], context: &str) -> Parsed<()> {
        if commands.is_empty() {
            return self.error(format!("missing value for {context}"));
        }
        for (index, command) in commands.iter().enumerate().skip(1) {
            if command.operands.first().is_some_and(|operand| operand.term.is_constant()) {
                return self.error(format!("non executable command in pipeline stage {}", index + 1));
            }
        }
        Ok(())
    }

    /// Reads operands up to a pipe, which it takes, or to what ends the pipeline, which it leaves.
    fn command(&mut self) -> Parsed<Command> {
        let start = self.peek_non_space().start;
        let at = self.at(start);
        let first = self.operands.len();
        loop {
            self.peek_non_space();
            if let Some(operand) = self.operand()? {
                self.operands.push(operand);
            }
            let token = self.next();
            match token.kind {
                Kind::Space => continue,
                Kind::RightDelimiter | Kind::RightParen => self.backup(),
                Kind::Pipe => {}
                _ => return self.unexpected(token, "operand"),
            }
            break;
        }
        let operands: Box<[Operand]> = self.operands.drain(first..).collect();
        if operands.is_empty() {
            return self.error("empty command");
        }
        Ok(Command { at, operands })
    }

    /// Reads a term and the fields behind it.
    fn operand(&mut self) -> Parsed<Option<Operand>> {
        let Some(operand) = self.term()? else { return Ok(None) };
        let first = self.peek();
        if first.kind != Kind::Field {
            return Ok(Some(operand));
        }
        let at = self.at(first.start);
        let mut fields = Vec::new();
        while self.peek().kind == Kind::Field {
            let token = self.next();
            fields.push(self.field(token));
        }
        let term = match operand.term {
            Term::Field(head) => Term::Field(head.into_vec().into_iter().chain(fields).collect()),
            Term::Variable { name, slot, .. } => Term::Variable { name, slot, fields: fields.into() },
            term if term.is_constant() => {
                let shown = match &term {
                    Term::Number { span, .. } | Term::String { span, .. } => span.of(self.text),
                    Term::Bool(true) => b"true",
                    Term::Bool(false) => b"false",
                    Term::Nil => b"nil",
                    _ => b".",
                };
                return self.error(format!("unexpected . after term {}", quote(shown, Keep::Printable)));
            }
            term => Term::Chain { operand: Box::new(Operand { at: operand.at, term }), fields: fields.into() },
        };
        Ok(Some(Operand { at, term }))
    }

    fn field(&mut self, token: Token) -> Str {
        let bytes = self.bytes(token);
        self.name(bytes.get(1..).unwrap_or(&[]))
    }

    /// Reads a literal, name or parenthesis; `None` when the next token is none of them.
    fn term(&mut self) -> Parsed<Option<Operand>> {
        let token = self.next_non_space();
        let bytes = self.bytes(token);
        let term = match token.kind {
            Kind::Identifier => {
                let Some((name, id)) = self.function(bytes) else {
                    return self.error(format!("function {} not defined", quote(bytes, Keep::Printable)));
                };
                Term::Function { name, id }
            }
            Kind::Dot => Term::Dot,
            Kind::Nil => Term::Nil,
            Kind::Variable => {
                let name = self.name(bytes);
                let Some(slot) = self.slot_of(&name) else {
                    return self.error(format!("undefined variable {}", quote(bytes, Keep::Printable)));
                };
                Term::Variable { name, slot, fields: Box::default() }
            }
            Kind::Field => Term::Field(Box::new([self.field(token)])),
            Kind::Bool => Term::Bool(bytes == b"true"),
            Kind::CharConstant | Kind::Complex | Kind::Number => {
                Term::Number { number: self.number(token)?, span: Self::span(token) }
            }
            Kind::LeftParen => {
                let pipe = self.nested("max expression depth exceeded", |parser| {
                    parser.pipeline("parenthesized pipeline", Kind::RightParen)
                })?;
                let at = pipe.at;
                return Ok(Some(Operand { at, term: Term::Pipe(Box::new(pipe)) }));
            }
            Kind::String | Kind::RawString => match unquote(bytes) {
                Ok(text) => Term::String { text: Str::from(&*text), span: Self::span(token) },
                Err(error) => return self.error(error.to_string()),
            },
            _ => {
                self.backup();
                return Ok(None);
            }
        };
        let at = self.at(token.start);
        Ok(Some(Operand { at, term }))
    }

    fn number(&mut self, token: Token) -> Parsed<Number> {
        let bytes = self.bytes(token);
        if token.kind == Kind::CharConstant {
            let inner = bytes.get(1..).unwrap_or(&[]);
            return match unquote_one(inner, b'\'') {
                Ok((piece, b"'")) => Ok(Number::of_char(piece.code())),
                Ok(_) => self.error(format!("malformed character constant: {}", String::from_utf8_lossy(bytes))),
                Err(error) => self.error(error.to_string()),
            };
        }
        let shown = quote(bytes, Keep::Printable);
        let text = std::str::from_utf8(bytes).unwrap_or("");
        let imaginary = text.strip_suffix('i').map(Number::parse);
        if token.kind == Kind::Complex || imaginary.is_some_and(|part| part != Err(BadNumber::Syntax)) {
            return self.error(format!("complex number {shown} is not supported"));
        }
        match Number::parse(text) {
            Ok(number) => Ok(number),
            Err(BadNumber::Overflow) => self.error(format!("integer overflow: {shown}")),
            Err(BadNumber::Syntax) => self.error(format!("illegal number syntax: {shown}")),
        }
    }
}
