//! Walks the tree of an expression.

use std::collections::BTreeMap;

use super::node::{Binary, Node, Pointer, Unary};
use super::value::Value;
use super::{Environment, ExpressionError, builtin, fold, operator};

/// The most nodes that one evaluation visits.
const STEPS_MAX: u32 = 500_000;
/// The most items, bytes and pairs that one evaluation makes.
const MEMORY_MAX: usize = 1_000_000;

/// The most levels of lists and maps in a value.
const DEPTH_MAX: usize = 200;

pub(super) type Evaluated = Result<Value, ExpressionError>;

/// What `#`, `#index` and `#acc` mean inside one predicate.
pub(super) struct Scope {
    pub(super) item: Value,
    pub(super) index: i64,
    pub(super) accumulator: Value,
}

/// The state of one evaluation.
pub(super) struct Evaluation<'a> {
    pub(super) environment: &'a Environment,
    pub(super) scopes: Vec<Scope>,
    variables: Vec<Value>,
    steps_left: u32,
    memory_left: usize,
}

/// Evaluates a tree.
pub(super) fn evaluate(root: &Node, environment: &Environment) -> Evaluated {
    let mut evaluation = Evaluation {
        environment,
        scopes: Vec::new(),
        variables: Vec::new(),
        steps_left: STEPS_MAX,
        memory_left: MEMORY_MAX,
    };
    match evaluation.visit(root)? {
        Visited::Value(value) => Ok(value),
        Visited::Cut => Ok(Value::Nil),
    }
}

/// A value, or the sign that an optional member was nil and its whole chain is.
pub(super) enum Visited {
    Value(Value),
    Cut,
}

fn too_long() -> ExpressionError {
    fail("evaluation takes too many steps")
}

pub(super) fn fail(message: impl Into<String>) -> ExpressionError {
    ExpressionError::new(0, message)
}

impl Evaluation<'_> {
    /// Takes `amount` from what the evaluation may still make.
    pub(super) fn spend(&mut self, amount: usize) -> Result<(), ExpressionError> {
        self.memory_left = self.memory_left.checked_sub(amount).ok_or_else(|| fail("memory budget exceeded"))?;
        Ok(())
    }

    /// Takes `amount` from the steps that the evaluation may still take.
    pub(super) fn step(&mut self, amount: usize) -> Result<(), ExpressionError> {
        let amount = u32::try_from(amount).unwrap_or(u32::MAX);
        self.steps_left = self.steps_left.checked_sub(amount).ok_or_else(too_long)?;
        Ok(())
    }

    /// Whether two values are equal.
    pub(super) fn equal(&mut self, left: &Value, right: &Value) -> Result<bool, ExpressionError> {
        left.equals(right, &mut self.steps_left).ok_or_else(too_long)
    }

    /// The text of a value, paid for.
    pub(super) fn text(&mut self, value: &Value) -> Result<String, ExpressionError> {
        let text = value.to_text_within(self.memory_left).map_err(|_| fail("memory budget exceeded"))?;
        self.spend(text.len())?;
        Ok(text)
    }

    /// Evaluates a node to a value.
    pub(super) fn value(&mut self, node: &Node) -> Evaluated {
        match self.visit(node)? {
            Visited::Value(value) => Ok(value),
            Visited::Cut => Ok(Value::Nil),
        }
    }

    /// Evaluates a node that must be a boolean.
    pub(super) fn truth(&mut self, node: &Node) -> Result<bool, ExpressionError> {
        match self.value(node)? {
            Value::Bool(value) => Ok(value),
            other => Err(fail(format!("interface conversion: interface {{}} is {}, not bool", other.type_name()))),
        }
    }

    fn values(&mut self, nodes: &[Node]) -> Result<Vec<Value>, ExpressionError> {
        self.spend(nodes.len())?;
        nodes.iter().map(|node| self.value(node)).collect()
    }

    fn visit(&mut self, node: &Node) -> Result<Visited, ExpressionError> {
        self.step(1)?;
        let value = match node {
            Node::Literal(value) => value.clone(),
            Node::Result => self.environment.result.clone(),
            Node::Variable(index) => self.variables.get(*index).cloned().unwrap_or(Value::Nil),
            Node::Pointer(pointer) => self.pointer(*pointer)?,
            Node::Unary(unary, operand) => self.unary(*unary, operand)?,
            Node::Binary(binary, left, right) => self.binary(*binary, left, right)?,
            Node::Matches(text, regex) => match self.value(text)? {
                Value::Text(text) => Value::Bool(regex.is_match(&text)),
                Value::Nil => Value::Bool(false),
                other => return Err(operator::mismatch(Binary::Matches, &other, &Value::text(""))),
            },
            Node::Conditional(condition, yes, no) => {
                if self.truth(condition)? {
                    self.value(yes)?
                } else {
                    self.value(no)?
                }
            }
            Node::Member { target, key, optional } => return self.member(target, key, *optional),
            Node::Slice { target, from, to } => self.slice(target, from.as_deref(), to.as_deref())?,
            Node::Chain(inner) => self.value(inner)?,
            Node::List(items) => Value::list(self.values(items)?),
            Node::Map(pairs) => self.map(pairs)?,
            Node::Call(function, arguments) => {
                let arguments = self.values(arguments)?;
                self.step(arguments.iter().map(Value::breadth).sum())?;
                builtin::call(self, *function, &arguments)?
            }
            Node::Fold { fold, list, predicate, extra } => {
                fold::fold(self, *fold, list, predicate.as_deref(), extra.as_deref())?
            }
            Node::Let(value, body) => {
                let value = self.value(value)?;
                self.variables.push(value);
                let body = self.value(body);
                self.variables.pop();
                body?
            }
            Node::Sequence(nodes) => {
                let mut last = Value::Nil;
                for node in nodes {
                    last = self.value(node)?;
                }
                last
            }
        };
        if value.depth() > DEPTH_MAX {
            return Err(fail("value is nested too deep"));
        }
        Ok(Visited::Value(value))
    }

    fn pointer(&self, pointer: Pointer) -> Evaluated {
        let scope = self.scopes.last().ok_or_else(|| fail("cannot use pointer accessor outside predicate"))?;
        Ok(match pointer {
            Pointer::Item => scope.item.clone(),
            Pointer::Index => Value::Integer(scope.index),
            Pointer::Accumulator => scope.accumulator.clone(),
        })
    }

    fn unary(&mut self, unary: Unary, operand: &Node) -> Evaluated {
        let value = self.value(operand)?;
        match (unary, value) {
            (Unary::Not, Value::Bool(value)) => Ok(Value::Bool(!value)),
            (Unary::Minus, Value::Integer(value)) => Ok(Value::Integer(value.wrapping_neg())),
            (Unary::Minus, Value::Float(value)) => Ok(Value::Float(-value)),
            (Unary::Plus, value @ (Value::Integer(_) | Value::Float(_))) => Ok(value),
            (Unary::Not, other) => {
                Err(fail(format!("interface conversion: interface {{}} is {}, not bool", other.type_name())))
            }
            (_, other) => Err(fail(format!("invalid operation: - {}", other.type_name()))),
        }
    }

    fn binary(&mut self, binary: Binary, left: &Node, right: &Node) -> Evaluated {
        match binary {
            Binary::Or => Ok(Value::Bool(self.truth(left)? || self.truth(right)?)),
            Binary::And => Ok(Value::Bool(self.truth(left)? && self.truth(right)?)),
            Binary::Coalesce => match self.value(left)? {
                Value::Nil => self.value(right),
                value => Ok(value),
            },
            Binary::Range => {
                let (left, right) = (self.value(left)?, self.value(right)?);
                let (Some(from), Some(to)) = (left.as_integer(), right.as_integer()) else {
                    return Err(operator::mismatch(binary, &left, &right));
                };
                let count = to.checked_sub(from).and_then(|span| span.checked_add(1)).unwrap_or(i64::MAX).max(0);
                self.spend(usize::try_from(count).unwrap_or(usize::MAX))?;
                Ok(Value::list((from..=to).map(Value::Integer).collect()))
            }
            _ => {
                let (left, right) = (self.value(left)?, self.value(right)?);
                if let (Binary::Add, Value::Text(left), Value::Text(right)) = (binary, &left, &right) {
                    self.spend(left.len() + right.len())?;
                }
                operator::apply(self, binary, &left, &right)
            }
        }
    }

    fn member(&mut self, target: &Node, key: &Node, optional: bool) -> Result<Visited, ExpressionError> {
        let target = match self.visit(target)? {
            Visited::Value(value) => value,
            Visited::Cut => return Ok(Visited::Cut),
        };
        if optional && matches!(target, Value::Nil) {
            return Ok(Visited::Cut);
        }
        let key = self.value(key)?;
        operator::fetch(&target, &key).map(Visited::Value)
    }

    fn slice(&mut self, target: &Node, from: Option<&Node>, to: Option<&Node>) -> Evaluated {
        let target = self.value(target)?;
        let length = match &target {
            Value::List(items) => items.len(),
            Value::Text(text) => text.len(),
            other => return Err(fail(format!("cannot slice {}", other.to_text()))),
        };
        let mut bound = |node: Option<&Node>, otherwise: usize| -> Result<usize, ExpressionError> {
            let Some(node) = node else { return Ok(otherwise) };
            let value = self.value(node)?;
            let index =
                value.as_integer().ok_or_else(|| fail(format!("invalid operation: int({})", value.type_name())))?;
            let size = i64::try_from(length).unwrap_or(i64::MAX);
            let index = if index < 0 { size.saturating_add(index).max(0) } else { index.min(size) };
            Ok(usize::try_from(index).unwrap_or(0))
        };
        let (from, to) = (bound(from, 0)?, bound(to, length)?);
        let from = from.min(to);
        self.spend(to - from)?;
        Ok(match &target {
            Value::List(items) => Value::list(items.get(from..to).unwrap_or_default().to_vec()),
            Value::Text(text) => {
                let bytes = text.as_bytes().get(from..to).unwrap_or_default();
                Value::text(String::from_utf8_lossy(bytes))
            }
            _ => Value::Nil,
        })
    }

    fn map(&mut self, pairs: &[(Node, Node)]) -> Evaluated {
        self.spend(pairs.len())?;
        let mut map = BTreeMap::new();
        for (key, value) in pairs {
            let key = self.value(key)?;
            let key = self.text(&key)?;
            map.insert(key, self.value(value)?);
        }
        Ok(Value::map(map))
    }
}
