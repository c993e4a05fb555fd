//! Parses what operators stand between: names, numbers, lists, maps, calls and the members after them.

use super::node::{Fold, Function, Node, Pointer, Unary};
use super::parse::{Parsed, Parser, Tree};
use super::token::Token;
use super::value::Value;

impl Parser {
    pub(super) fn primary(&mut self) -> Parsed {
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
                    (other, _) => return Err(self.fail_before(format!("unknown pointer #{other}"))),
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
                None => return Err(self.fail_before(format!("unknown name {name}"))),
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
    pub(super) fn call(&mut self, name: &str, piped: Option<Tree>) -> Parsed {
        if let Some(fold) = Fold::of(name) {
            return self.fold(fold, piped);
        }
        let Some(function) = Function::of(name) else {
            return Err(self.fail_before(format!("unknown name {name}")));
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

    pub(super) fn postfix(&mut self, mut tree: Tree) -> Parsed {
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
                        _ => return Err(self.fail_before("expected name")),
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
