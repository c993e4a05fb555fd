//! Parses tokens into a tree by precedence, with every depth and length bounded.

use std::sync::Arc;

use regex_lite::Regex;

use super::ExpressionError;
use super::node::{Binary, Fold, Node, Unary};
use super::token::{Placed, Token, tokens};
use super::value::Value;

/// The longest text that is read.
const SOURCE_MAX_BYTES: usize = 16 * 1024;
/// The most levels of a tree, so that walking it never runs out of stack.
const HEIGHT_MAX: usize = 120;

/// A node and how many levels hang below it.
pub(super) struct Tree {
    pub(super) node: Node,
    pub(super) height: usize,
}

/// Where the parser is, and what is in sight there.
pub(super) struct Parser {
    tokens: Vec<Placed>,
    pub(super) at: usize,
    depth: usize,
    /// Names bound by `let` that are in sight, outermost first.
    pub(super) variables: Vec<String>,
    /// The functions whose predicates enclose this place, innermost last.
    pub(super) predicates: Vec<Fold>,
}

pub(super) type Parsed = Result<Tree, ExpressionError>;

/// Parses a whole expression.
pub(super) fn parse(source: &str) -> Result<Node, ExpressionError> {
    if source.len() > SOURCE_MAX_BYTES {
        return Err(ExpressionError::new(0, format!("expression is longer than {SOURCE_MAX_BYTES} bytes")));
    }
    let tokens = tokens(source)?;
    let mut parser = Parser { tokens, at: 0, depth: 0, variables: Vec::new(), predicates: Vec::new() };
    let tree = parser.sequence()?;
    match parser.peek() {
        Token::End => Ok(tree.node),
        other => Err(parser.unexpected(&other.clone())),
    }
}

impl Parser {
    pub(super) fn peek(&self) -> &Token {
        self.tokens.get(self.at).map_or(&Token::End, |placed| &placed.token)
    }

    pub(super) fn peek_symbol(&self) -> &'static str {
        match self.peek() {
            Token::Symbol(symbol) => symbol,
            _ => "",
        }
    }

    fn place(&self) -> usize {
        self.tokens.get(self.at).map_or(0, |placed| placed.at)
    }

    pub(super) fn next(&mut self) -> Token {
        let token = self.peek().clone();
        self.at += 1;
        token
    }

    pub(super) fn accept(&mut self, symbol: &str) -> bool {
        let found = self.peek_symbol() == symbol;
        self.at += usize::from(found);
        found
    }

    pub(super) fn expect(&mut self, symbol: &str) -> Result<(), ExpressionError> {
        if self.accept(symbol) { Ok(()) } else { Err(self.unexpected(&self.peek().clone())) }
    }

    pub(super) fn fail(&self, message: impl Into<String>) -> ExpressionError {
        ExpressionError::new(self.place(), message)
    }

    /// An error about the token that was just taken.
    pub(super) fn fail_before(&self, message: impl Into<String>) -> ExpressionError {
        let at = self.at.checked_sub(1).and_then(|at| self.tokens.get(at)).map_or(0, |placed| placed.at);
        ExpressionError::new(at, message)
    }

    pub(super) fn unexpected(&self, token: &Token) -> ExpressionError {
        let text = match token {
            Token::Name(name) => format!("Identifier({name:?})"),
            Token::Integer(value) => format!("Number(\"{value}\")"),
            Token::Float(value) => format!("Number(\"{value}\")"),
            Token::Text(text) => format!("String({text:?})"),
            Token::Symbol(symbol) if "()[]{}".contains(symbol) => format!("Bracket({symbol:?})"),
            Token::Symbol(symbol) => format!("Operator({symbol:?})"),
            Token::Pointer(name) => format!("Operator(\"#{name}\")"),
            Token::End => "EOF".to_owned(),
        };
        self.fail(format!("unexpected token {text}"))
    }

    /// Puts a node on top of others, the highest of which has `below` levels.
    pub(super) fn over(&self, node: Node, below: usize) -> Parsed {
        if below >= HEIGHT_MAX {
            return Err(self.fail("expression is nested too deep"));
        }
        Ok(Tree { node, height: below + 1 })
    }

    pub(super) fn leaf(node: Node) -> Tree {
        Tree { node, height: 1 }
    }

    pub(super) fn sequence(&mut self) -> Parsed {
        let first = self.expression(0)?;
        if self.peek_symbol() != ";" {
            return Ok(first);
        }
        let (mut nodes, mut height) = (vec![first.node], first.height);
        while self.accept(";") {
            if matches!(self.peek(), Token::End) || self.peek_symbol() == "}" {
                break;
            }
            let next = self.expression(0)?;
            height = height.max(next.height);
            nodes.push(next.node);
        }
        self.over(Node::Sequence(nodes), height)
    }

    pub(super) fn expression(&mut self, precedence: u32) -> Parsed {
        self.depth += 1;
        if self.depth > HEIGHT_MAX {
            return Err(self.fail("expression is nested too deep"));
        }
        let tree = self.expression_inside(precedence);
        self.depth -= 1;
        tree
    }

    fn expression_inside(&mut self, precedence: u32) -> Parsed {
        if precedence == 0 && self.peek_symbol() == "let" {
            return self.binding();
        }
        if precedence == 0 && self.peek_symbol() == "if" {
            return self.branches();
        }
        let mut left = self.primary()?;
        let mut previous = None;
        loop {
            let negated = self.peek_symbol() == "not";
            let symbol = match (negated, self.tokens.get(self.at + 1).map(|placed| &placed.token)) {
                (true, Some(Token::Symbol(after))) => after,
                (true, _) => "",
                (false, _) => self.peek_symbol(),
            };
            if symbol == "|" && precedence == 0 && !negated {
                self.at += 1;
                left = self.pipe(left)?;
                continue;
            }
            let Some((operator, strength)) = Binary::of(symbol).filter(|(_, strength)| *strength >= precedence) else {
                break;
            };
            if negated && !matches!(symbol, "in" | "matches" | "contains" | "startsWith" | "endsWith") {
                break;
            }
            if previous == Some(Binary::Coalesce) && operator != Binary::Coalesce {
                return Err(self.fail(format!(
                    "Operator ({symbol}) and coalesce expressions (??) cannot be mixed. Wrap either by parentheses."
                )));
            }
            previous = Some(operator);
            self.at += 1 + usize::from(negated);
            left = self.operation(left, operator, strength)?;
            if negated {
                let height = left.height;
                left = self.over(Node::Unary(Unary::Not, Box::new(left.node)), height)?;
            }
        }
        if precedence == 0 { self.conditional(left) } else { Ok(left) }
    }

    /// Reads the right side of an operator; `a < b < c` means `a < b && b < c`.
    fn operation(&mut self, left: Tree, operator: Binary, strength: u32) -> Parsed {
        if operator.is_ordering() {
            return self.comparison(left, operator, strength);
        }
        let right = match operator {
            Binary::Power => self.expression(strength)?,
            _ => self.expression(strength + 1)?,
        };
        let height = left.height.max(right.height);
        let node = match (operator, &right.node) {
            (Binary::Matches, Node::Literal(Value::Text(pattern))) => {
                let regex = Regex::new(pattern).map_err(|error| self.fail(error.to_string()))?;
                Node::Matches(Box::new(left.node), Arc::new(regex))
            }
            _ => Node::Binary(operator, Box::new(left.node), Box::new(right.node)),
        };
        self.over(node, height)
    }

    fn comparison(&mut self, left: Tree, operator: Binary, strength: u32) -> Parsed {
        let mut middle = self.expression(strength + 1)?;
        let height = left.height.max(middle.height);
        let mut whole =
            self.over(Node::Binary(operator, Box::new(left.node), Box::new(middle.node.clone())), height)?;
        while let Some((operator, _)) = Binary::of(self.peek_symbol()).filter(|(operator, _)| operator.is_ordering()) {
            self.at += 1;
            let right = self.expression(strength + 1)?;
            let below = middle.height.max(right.height);
            let next = self.over(Node::Binary(operator, Box::new(middle.node), Box::new(right.node.clone())), below)?;
            let below = whole.height.max(next.height);
            whole = self.over(Node::Binary(Binary::And, Box::new(whole.node), Box::new(next.node)), below)?;
            middle = right;
        }
        Ok(whole)
    }

    fn conditional(&mut self, mut tree: Tree) -> Parsed {
        while self.accept("?") {
            let (yes, no) = if self.accept(":") {
                let no = self.expression(0)?;
                (Tree { node: tree.node.clone(), height: tree.height }, no)
            } else {
                let yes = self.expression(0)?;
                self.expect(":")?;
                (yes, self.expression(0)?)
            };
            let height = tree.height.max(yes.height).max(no.height);
            let node = Node::Conditional(Box::new(tree.node), Box::new(yes.node), Box::new(no.node));
            tree = self.over(node, height)?;
        }
        Ok(tree)
    }

    fn binding(&mut self) -> Parsed {
        self.expect("let")?;
        let Token::Name(name) = self.next() else { return Err(self.fail("expected name after let")) };
        self.expect("=")?;
        let value = self.expression(0)?;
        self.expect(";")?;
        self.variables.push(name);
        let body = self.sequence();
        self.variables.pop();
        let body = body?;
        let height = value.height.max(body.height);
        self.over(Node::Let(Box::new(value.node), Box::new(body.node)), height)
    }

    fn branches(&mut self) -> Parsed {
        self.expect("if")?;
        let condition = self.expression(0)?;
        self.expect("{")?;
        let yes = self.sequence()?;
        self.expect("}")?;
        self.expect("else")?;
        let no = if self.peek_symbol() == "if" {
            self.expression(0)?
        } else {
            self.expect("{")?;
            let no = self.sequence()?;
            self.expect("}")?;
            no
        };
        let height = condition.height.max(yes.height).max(no.height);
        self.over(Node::Conditional(Box::new(condition.node), Box::new(yes.node), Box::new(no.node)), height)
    }

    fn pipe(&mut self, left: Tree) -> Parsed {
        let Token::Name(name) = self.next() else { return Err(self.fail("expected a function name after |")) };
        let call = self.call(&name, Some(left))?;
        self.postfix(call)
    }
}
