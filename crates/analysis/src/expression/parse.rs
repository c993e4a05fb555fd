//! Parses tokens into a tree by precedence, with every depth and length bounded.

use std::sync::Arc;

use regex_lite::Regex;

use super::ExpressionError;
use super::node::{Binary, Fold, Function, Node, Pointer, Unary};
use super::token::{Placed, Token, tokens};
use super::value::Value;

/// The longest text that is read.
const SOURCE_MAX_BYTES: usize = 16 * 1024;
/// The most levels of a tree, so that walking it never runs out of stack.
const HEIGHT_MAX: usize = 120;

/// A node and how many levels hang below it.
struct Tree {
    node: Node,
    height: usize,
}

struct Parser {
    tokens: Vec<Placed>,
    at: usize,
    depth: usize,
    /// Names bound by `let` that are in sight, outermost first.
    variables: Vec<String>,
    /// The functions whose predicates enclose this place, innermost last.
    predicates: Vec<Fold>,
}

type Parsed = Result<Tree, ExpressionError>;

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
    fn peek(&self) -> &Token {
        self.tokens.get(self.at).map_or(&Token::End, |placed| &placed.token)
    }

    fn peek_symbol(&self) -> &'static str {
        match self.peek() {
            Token::Symbol(symbol) => symbol,
            _ => "",
        }
    }

    fn place(&self) -> usize {
        self.tokens.get(self.at).map_or(0, |placed| placed.at)
    }

    fn next(&mut self) -> Token {
        let token = self.peek().clone();
        self.at += 1;
        token
    }

    fn accept(&mut self, symbol: &str) -> bool {
        let found = self.peek_symbol() == symbol;
        self.at += usize::from(found);
        found
    }

    fn expect(&mut self, symbol: &str) -> Result<(), ExpressionError> {
        if self.accept(symbol) { Ok(()) } else { Err(self.unexpected(&self.peek().clone())) }
    }

    fn fail(&self, message: impl Into<String>) -> ExpressionError {
        ExpressionError::new(self.place(), message)
    }

    fn unexpected(&self, token: &Token) -> ExpressionError {
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
    fn over(&self, node: Node, below: usize) -> Parsed {
        if below >= HEIGHT_MAX {
            return Err(self.fail("expression is nested too deep"));
        }
        Ok(Tree { node, height: below + 1 })
    }

    fn leaf(node: Node) -> Tree {
        Tree { node, height: 1 }
    }

    fn sequence(&mut self) -> Parsed {
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

    fn expression(&mut self, precedence: u32) -> Parsed {
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

    fn primary(&mut self) -> Parsed {
        let unary = match self.peek_symbol() {
            "not" | "!" => Some((Unary::Not, 50)),
            "-" => Some((Unary::Minus, 90)),
            "+" => Some((Unary::Plus, 90)),
            _ => None,
        };
        if let Some((operator, strength)) = unary {
            self.at += 1;
            let operand = self.expression(strength)?;
            let height = operand.height;
            let tree = self.over(Node::Unary(operator, Box::new(operand.node)), height)?;
            return self.postfix(tree);
        }
        if self.accept("(") {
            let inner = self.sequence()?;
            self.expect(")")?;
            return self.postfix(inner);
        }
        if let Some(fold) = self.predicates.last().copied() {
            if let Token::Pointer(name) = self.peek().clone() {
                self.at += 1;
                let pointer = match (name.as_str(), fold) {
                    ("", _) => Pointer::Item,
                    ("index", Fold::Reduce) => Pointer::Index,
                    ("acc", Fold::Reduce) => Pointer::Accumulator,
                    (other, _) => return Err(self.fail(format!("unknown pointer #{other}"))),
                };
                return self.postfix(Self::leaf(Node::Pointer(pointer)));
            }
            if self.peek_symbol() == "." {
                return self.postfix(Self::leaf(Node::Pointer(Pointer::Item)));
            }
        }
        self.secondary()
    }

    fn secondary(&mut self) -> Parsed {
        let token = self.peek().clone();
        let tree = match token {
            Token::Name(name) => {
                self.at += 1;
                self.name(&name)?
            }
            Token::Integer(value) => {
                self.at += 1;
                return Ok(Self::leaf(Node::Literal(Value::Integer(value))));
            }
            Token::Float(value) => {
                self.at += 1;
                return Ok(Self::leaf(Node::Literal(Value::Float(value))));
            }
            Token::Text(text) => {
                self.at += 1;
                Self::leaf(Node::Literal(Value::text(text)))
            }
            Token::Symbol("[") => self.list()?,
            Token::Symbol("{") => self.map()?,
            other => return Err(self.unexpected(&other)),
        };
        self.postfix(tree)
    }

    fn name(&mut self, name: &str) -> Parsed {
        if self.peek_symbol() == "(" {
            return self.call(name, None);
        }
        let node = match name {
            "true" => Node::Literal(Value::Bool(true)),
            "false" => Node::Literal(Value::Bool(false)),
            "nil" => Node::Literal(Value::Nil),
            _ => match self.variables.iter().rposition(|known| known == name) {
                Some(index) => Node::Variable(index),
                None if name == "result" => Node::Result,
                None => return Err(self.fail(format!("unknown name {name}"))),
            },
        };
        Ok(Self::leaf(node))
    }

    fn list(&mut self) -> Parsed {
        self.expect("[")?;
        let (mut items, mut height) = (Vec::new(), 0);
        while self.peek_symbol() != "]" {
            if !items.is_empty() {
                self.expect(",")?;
                if self.peek_symbol() == "]" {
                    break;
                }
            }
            let item = self.expression(0)?;
            height = height.max(item.height);
            items.push(item.node);
        }
        self.expect("]")?;
        self.over(Node::List(items), height)
    }

    fn map(&mut self) -> Parsed {
        self.expect("{")?;
        let (mut pairs, mut height) = (Vec::new(), 0);
        while self.peek_symbol() != "}" {
            if !pairs.is_empty() {
                self.expect(",")?;
                if self.peek_symbol() == "}" {
                    break;
                }
            }
            let key = match self.peek().clone() {
                Token::Name(name) => {
                    self.at += 1;
                    Self::leaf(Node::Literal(Value::text(name)))
                }
                Token::Text(text) => {
                    self.at += 1;
                    Self::leaf(Node::Literal(Value::text(text)))
                }
                Token::Integer(value) => {
                    self.at += 1;
                    Self::leaf(Node::Literal(Value::text(value.to_string())))
                }
                Token::Symbol("(") => self.expression(0)?,
                _ => return Err(self.fail("a map key must be a quoted string, a number, an identifier, or an expression enclosed in parentheses")),
            };
            self.expect(":")?;
            let value = self.expression(0)?;
            height = height.max(key.height).max(value.height);
            pairs.push((key.node, value.node));
        }
        self.expect("}")?;
        self.over(Node::Map(pairs), height)
    }

    /// Reads the arguments of a call; a pipe has given the first one already.
    fn call(&mut self, name: &str, piped: Option<Tree>) -> Parsed {
        if let Some(fold) = Fold::of(name) {
            return self.fold(fold, piped);
        }
        let Some(function) = Function::of(name) else {
            return Err(self.fail(format!("unknown name {name}")));
        };
        let mut height = piped.as_ref().map_or(0, |tree| tree.height);
        let mut arguments: Vec<Node> = piped.into_iter().map(|tree| tree.node).collect();
        let given = arguments.len();
        self.expect("(")?;
        while self.peek_symbol() != ")" {
            if arguments.len() > given {
                self.expect(",")?;
                if self.peek_symbol() == ")" {
                    break;
                }
            }
            let argument = self.expression(0)?;
            height = height.max(argument.height);
            arguments.push(argument.node);
        }
        self.expect(")")?;
        let (least, most) = function.arity();
        if arguments.len() < least {
            return Err(self.fail(format!("not enough arguments to call {name}")));
        }
        if arguments.len() > most {
            return Err(self.fail(format!("too many arguments to call {name}")));
        }
        self.over(Node::Call(function, arguments), height)
    }

    fn fold(&mut self, fold: Fold, piped: Option<Tree>) -> Parsed {
        self.expect("(")?;
        let list = match piped {
            Some(tree) => tree,
            None => {
                let list = self.expression(0)?;
                if self.peek_symbol() != ")" {
                    self.expect(",")?;
                }
                list
            }
        };
        let mut height = list.height;
        let mut predicate = None;
        if self.peek_symbol() != ")" {
            let tree = self.predicate(fold)?;
            height = height.max(tree.height);
            predicate = Some(Box::new(tree.node));
        } else if fold.needs_predicate() {
            return Err(self.fail("expected at least 2 arguments"));
        }
        let mut extra = None;
        if self.accept(",") && self.peek_symbol() != ")" {
            if !fold.takes_extra() {
                return Err(self.unexpected(&self.peek().clone()));
            }
            let tree = self.expression(0)?;
            height = height.max(tree.height);
            extra = Some(Box::new(tree.node));
            self.accept(",");
        }
        self.expect(")")?;
        self.over(Node::Fold { fold, list: Box::new(list.node), predicate, extra }, height)
    }

    fn predicate(&mut self, fold: Fold) -> Parsed {
        self.predicates.push(fold);
        let tree = if self.accept("{") {
            self.sequence().and_then(|tree| self.expect("}").map(|()| tree))
        } else {
            self.expression(0)
        };
        self.predicates.pop();
        tree
    }

    fn postfix(&mut self, mut tree: Tree) -> Parsed {
        let mut is_chain = false;
        loop {
            match self.peek_symbol() {
                symbol @ ("." | "?.") => {
                    self.at += 1;
                    let optional = symbol == "?.";
                    is_chain |= optional;
                    if optional && self.peek_symbol() == "[" {
                        self.at += 1;
                        tree = self.index(tree, true)?;
                        continue;
                    }
                    let key = match self.next() {
                        Token::Name(name) => name,
                        Token::Symbol(word) if word.starts_with(char::is_alphabetic) => word.to_owned(),
                        _ => return Err(self.fail("expected name")),
                    };
                    if self.peek_symbol() == "(" {
                        return Err(self.fail(format!("{key} is not callable")));
                    }
                    let height = tree.height;
                    let key = Box::new(Node::Literal(Value::text(key)));
                    tree = self.over(Node::Member { target: Box::new(tree.node), key, optional }, height)?;
                }
                "[" => {
                    self.at += 1;
                    tree = self.index(tree, false)?;
                }
                _ => break,
            }
        }
        if is_chain {
            let height = tree.height;
            return self.over(Node::Chain(Box::new(tree.node)), height);
        }
        Ok(tree)
    }

    /// Reads what follows `[`: an index or a slice.
    fn index(&mut self, target: Tree, optional: bool) -> Parsed {
        let mut height = target.height;
        let from = if self.peek_symbol() == ":" { None } else { Some(self.expression(0)?) };
        height = height.max(from.as_ref().map_or(0, |tree| tree.height));
        if !self.accept(":") {
            self.expect("]")?;
            let Some(key) = from else { return Err(self.fail("expected an index")) };
            let node = Node::Member { target: Box::new(target.node), key: Box::new(key.node), optional };
            return self.over(node, height);
        }
        let to = if self.peek_symbol() == "]" { None } else { Some(self.expression(0)?) };
        height = height.max(to.as_ref().map_or(0, |tree| tree.height));
        self.expect("]")?;
        let boxed = |tree: Option<Tree>| tree.map(|tree| Box::new(tree.node));
        self.over(Node::Slice { target: Box::new(target.node), from: boxed(from), to: boxed(to) }, height)
    }
}
