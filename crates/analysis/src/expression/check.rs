//! Finds type mistakes before evaluation, as far as the kind of the result tells types.

use super::ExpressionError;
use super::evaluate::fail;
use super::node::{Binary, Fold, Function, Node, Pointer, Unary};
use super::value::Value;

/// What is known of a value beforehand.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Type {
    Unknown,
    Nil,
    Bool,
    Integer,
    Float,
    Text,
    List(Box<Type>),
    Map(Box<Type>),
    Time,
    Span,
}

impl Type {
    /// The type of a measured result: numbers of a vector are known to be floats, what is inside JSON is not known.
    pub(super) fn of_result(value: &Value) -> Self {
        match value {
            Value::Nil => Self::Nil,
            Value::Bool(_) => Self::Bool,
            Value::Integer(_) => Self::Integer,
            Value::Float(_) => Self::Float,
            Value::Text(_) => Self::Text,
            Value::List(items) if items.is_vector() => Self::List(Box::new(Self::Float)),
            Value::List(_) => Self::List(Box::new(Self::Unknown)),
            Value::Map(_) => Self::Map(Box::new(Self::Unknown)),
            Value::Time(_) => Self::Time,
            Value::Span(_) => Self::Span,
        }
    }

    fn name(&self) -> String {
        match self {
            Self::Unknown => "unknown".to_owned(),
            Self::Nil => "nil".to_owned(),
            Self::Bool => "bool".to_owned(),
            Self::Integer => "int".to_owned(),
            Self::Float => "float64".to_owned(),
            Self::Text => "string".to_owned(),
            Self::List(item) if **item == Self::Unknown => "[]interface {}".to_owned(),
            Self::List(item) => format!("[]{}", item.name()),
            Self::Map(_) => "map[string]interface {}".to_owned(),
            Self::Time => "time.Time".to_owned(),
            Self::Span => "time.Duration".to_owned(),
        }
    }

    fn is_number(&self) -> bool {
        matches!(self, Self::Integer | Self::Float)
    }

    fn is_unknown(&self) -> bool {
        matches!(self, Self::Unknown)
    }

    /// What an item of this list is.
    fn item(&self) -> Self {
        match self {
            Self::List(item) => (**item).clone(),
            _ => Self::Unknown,
        }
    }

    /// Whether the two may be compared for equality.
    fn comparable(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Unknown | Self::Nil, _) | (_, Self::Unknown | Self::Nil) => true,
            (Self::List(_), Self::List(_)) | (Self::Map(_), Self::Map(_)) => true,
            (a, b) if a.is_number() && b.is_number() => true,
            (a, b) => a == b,
        }
    }
}

struct Check<'a> {
    result: &'a Type,
    variables: Vec<Type>,
    items: Vec<Type>,
}

/// Checks a whole expression.
pub(super) fn check(root: &Node, result: &Type) -> Result<(), ExpressionError> {
    Check { result, variables: Vec::new(), items: Vec::new() }.visit(root).map(|_| ())
}

type Checked = Result<Type, ExpressionError>;

impl Check<'_> {
    fn visit(&mut self, node: &Node) -> Checked {
        match node {
            Node::Literal(value) => Ok(Type::of_result(value)),
            Node::Result => Ok(self.result.clone()),
            Node::Variable(index) => Ok(self.variables.get(*index).cloned().unwrap_or(Type::Unknown)),
            Node::Pointer(Pointer::Item) => Ok(self.items.last().cloned().unwrap_or(Type::Unknown)),
            Node::Pointer(Pointer::Index) => Ok(Type::Integer),
            Node::Pointer(Pointer::Accumulator) => Ok(Type::Unknown),
            Node::Unary(unary, operand) => self.unary(*unary, operand),
            Node::Binary(binary, left, right) => self.binary(*binary, left, right),
            Node::Matches(text, _) => {
                let text = self.visit(text)?;
                operation(Binary::Matches, &text, &Type::Text)
            }
            Node::Conditional(condition, yes, no) => self.conditional(condition, yes, no),
            Node::Member { target, key, .. } => self.member(target, key),
            Node::Slice { target, from, to } => self.slice(target, from.as_deref(), to.as_deref()),
            Node::Chain(inner) => self.visit(inner),
            Node::List(items) => self.list(items),
            Node::Map(pairs) => {
                for (key, value) in pairs {
                    self.visit(key)?;
                    self.visit(value)?;
                }
                Ok(Type::Map(Box::new(Type::Unknown)))
            }
            Node::Call(function, arguments) => self.call(*function, arguments),
            Node::Fold { fold, list, predicate, extra } => {
                self.fold(*fold, list, predicate.as_deref(), extra.as_deref())
            }
            Node::Let(value, body) => {
                let value = self.visit(value)?;
                self.variables.push(value);
                let body = self.visit(body);
                self.variables.pop();
                body
            }
            Node::Sequence(nodes) => {
                let mut last = Type::Nil;
                for node in nodes {
                    last = self.visit(node)?;
                }
                Ok(last)
            }
        }
    }

    fn unary(&mut self, unary: Unary, operand: &Node) -> Checked {
        let operand = self.visit(operand)?;
        let (symbol, fits) = match unary {
            Unary::Not => ("!", matches!(operand, Type::Bool | Type::Unknown)),
            Unary::Minus => ("-", operand.is_number() || operand.is_unknown()),
            Unary::Plus => ("+", operand.is_number() || operand.is_unknown()),
        };
        if !fits {
            return Err(fail(format!("invalid operation: {symbol} (mismatched type {})", operand.name())));
        }
        Ok(if unary == Unary::Not { Type::Bool } else { operand })
    }

    fn binary(&mut self, binary: Binary, left: &Node, right: &Node) -> Checked {
        let (left, right) = (self.visit(left)?, self.visit(right)?);
        operation(binary, &left, &right)
    }

    fn conditional(&mut self, condition: &Node, yes: &Node, no: &Node) -> Checked {
        let condition = self.visit(condition)?;
        if !matches!(condition, Type::Bool | Type::Unknown) {
            return Err(fail(format!("non-bool expression (type {}) used as condition", condition.name())));
        }
        let (yes, no) = (self.visit(yes)?, self.visit(no)?);
        Ok(if yes == no { yes } else { Type::Unknown })
    }

    fn member(&mut self, target: &Node, key: &Node) -> Checked {
        let target = self.visit(target)?;
        let name = match key {
            Node::Literal(Value::Text(name)) => Some(name.to_string()),
            _ => None,
        };
        let key = self.visit(key)?;
        match &target {
            Type::Unknown => Ok(Type::Unknown),
            Type::Map(value) => {
                if !matches!(key, Type::Text | Type::Unknown) {
                    return Err(fail(format!("cannot use {} to get an element from {}", key.name(), target.name())));
                }
                Ok((**value).clone())
            }
            Type::List(_) => {
                if !matches!(key, Type::Integer | Type::Unknown) {
                    let message = format!("array elements can only be selected using an integer (got {})", key.name());
                    return Err(fail(message));
                }
                Ok(target.item())
            }
            other => match name {
                Some(name) => Err(fail(format!("type {} has no field {name}", other.name()))),
                None => Err(fail(format!("type {}[{}] is undefined", other.name(), key.name()))),
            },
        }
    }

    fn slice(&mut self, target: &Node, from: Option<&Node>, to: Option<&Node>) -> Checked {
        let target = self.visit(target)?;
        if !matches!(target, Type::Unknown | Type::List(_) | Type::Text) {
            return Err(fail(format!("cannot slice {}", target.name())));
        }
        for bound in [from, to].into_iter().flatten() {
            let bound = self.visit(bound)?;
            if !matches!(bound, Type::Integer | Type::Unknown) {
                return Err(fail(format!("non-integer slice index {}", bound.name())));
            }
        }
        Ok(target)
    }

    fn list(&mut self, items: &[Node]) -> Checked {
        let mut common: Option<Type> = None;
        for item in items {
            let item = self.visit(item)?;
            common = Some(match common {
                None => item,
                Some(known) if known == item => known,
                Some(_) => Type::Unknown,
            });
        }
        Ok(Type::List(Box::new(common.unwrap_or(Type::Unknown))))
    }

    fn call(&mut self, function: Function, arguments: &[Node]) -> Checked {
        let literal = arguments.first().is_some_and(is_whole_literal);
        let types: Vec<Type> = arguments.iter().map(|node| self.visit(node)).collect::<Result<_, _>>()?;
        let first = types.first().cloned().unwrap_or(Type::Nil);
        let wrong = || fail(format!("invalid argument for {} (type {})", function.name(), first.name()));
        let needs = |fits: bool, answer: Type| if fits || first.is_unknown() { Ok(answer) } else { Err(wrong()) };
        match function {
            Function::IsNan | Function::IsInf => {
                // A whole number written out is taken for a float; a computed one is not.
                if first == Type::Float || first.is_unknown() || (first == Type::Integer && literal) {
                    return Ok(Type::Bool);
                }
                let (name, found) = (function.name(), first.name());
                Err(fail(format!("cannot use {found} as argument (type float64) to call {name}")))
            }
            Function::IsNil => Ok(Type::Bool),
            Function::AsInt => Ok(Type::Integer),
            Function::AsFloat => Ok(Type::Float),
            Function::Len => needs(matches!(first, Type::List(_) | Type::Map(_) | Type::Text), Type::Integer),
            Function::Int => needs(first.is_number() || first == Type::Text, Type::Integer),
            Function::Float => needs(first.is_number() || first == Type::Text, Type::Float),
            Function::Abs => needs(first.is_number(), first.clone()),
            Function::Ceil | Function::Floor | Function::Round => needs(first.is_number(), Type::Float),
            Function::Type | Function::Text => Ok(Type::Text),
            Function::Mean | Function::Median => Ok(Type::Float),
            Function::First | Function::Last => needs(matches!(first, Type::List(_)), first.item()),
            Function::Reverse | Function::Sort | Function::Take => needs(matches!(first, Type::List(_)), first.clone()),
            Function::Unique | Function::Flatten => {
                needs(matches!(first, Type::List(_)), Type::List(Box::new(Type::Unknown)))
            }
            Function::Concat => match types.iter().find(|found| !matches!(found, Type::List(_) | Type::Unknown)) {
                Some(found) => Err(fail(format!("cannot concat {}", found.name()))),
                None => Ok(Type::List(Box::new(Type::Unknown))),
            },
            Function::Upper | Function::Lower | Function::Trim => needs(first == Type::Text, Type::Text),
            Function::HasPrefix | Function::HasSuffix => Ok(Type::Bool),
            Function::IndexOf | Function::LastIndexOf => Ok(Type::Integer),
            Function::Now | Function::Date => Ok(Type::Time),
            Function::Span => Ok(Type::Span),
            _ => Ok(Type::Unknown),
        }
    }

    fn fold(&mut self, fold: Fold, list: &Node, predicate: Option<&Node>, extra: Option<&Node>) -> Checked {
        let list = self.visit(list)?;
        if !matches!(list, Type::List(_) | Type::Unknown) {
            return Err(fail(format!("builtin {} takes only array (got {})", fold.name(), list.name())));
        }
        self.items.push(list.item());
        let answer = predicate.map(|node| self.visit(node)).transpose();
        self.items.pop();
        let answer = answer?;
        if let Some(extra) = extra {
            self.visit(extra)?;
        }
        let takes_bool = !matches!(fold, Fold::Map | Fold::Sum | Fold::GroupBy | Fold::SortBy | Fold::Reduce);
        if let Some(found) = answer.as_ref().filter(|found| takes_bool && !matches!(found, Type::Bool | Type::Unknown))
        {
            return Err(fail(format!("predicate should return boolean (got {})", found.name())));
        }
        let item = list.item();
        if fold == Fold::Count && answer.is_none() && !matches!(item, Type::Bool | Type::Unknown) {
            return Err(fail(format!("predicate should return boolean (got {})", item.name())));
        }
        Ok(match fold {
            Fold::All | Fold::None | Fold::Any | Fold::One => Type::Bool,
            Fold::Filter | Fold::SortBy => list,
            Fold::Map => Type::List(Box::new(answer.unwrap_or(Type::Unknown))),
            Fold::Count | Fold::FindIndex | Fold::FindLastIndex => Type::Integer,
            Fold::Sum => answer.unwrap_or(item),
            Fold::Find | Fold::FindLast => item,
            Fold::GroupBy => Type::Map(Box::new(Type::Unknown)),
            Fold::Reduce => Type::Unknown,
        })
    }
}

fn is_whole_literal(node: &Node) -> bool {
    match node {
        Node::Literal(Value::Integer(_)) => true,
        Node::Unary(_, operand) => is_whole_literal(operand),
        Node::Binary(Binary::Add | Binary::Subtract | Binary::Multiply, left, right) => {
            is_whole_literal(left) && is_whole_literal(right)
        }
        _ => false,
    }
}

/// The type of an operation's answer, when its sides may be of these types.
fn operation(binary: Binary, left: &Type, right: &Type) -> Checked {
    let both = |wanted: fn(&Type) -> bool| (wanted(left) || left.is_unknown()) && (wanted(right) || right.is_unknown());
    let is_integer = |kind: &Type| *kind == Type::Integer;
    let is_text = |kind: &Type| *kind == Type::Text;
    let is_time = |kind: &Type| *kind == Type::Time;
    let is_span = |kind: &Type| *kind == Type::Span;
    let unknown = left.is_unknown() || right.is_unknown();
    let answer = match binary {
        Binary::Equal | Binary::NotEqual => left.comparable(right).then_some(Type::Bool),
        Binary::Or | Binary::And => both(|kind| *kind == Type::Bool).then_some(Type::Bool),
        Binary::Less | Binary::Greater | Binary::LessOrEqual | Binary::GreaterOrEqual => {
            (both(Type::is_number) || both(is_text) || both(is_time) || both(is_span)).then_some(Type::Bool)
        }
        Binary::In => return membership(left, right),
        Binary::Matches | Binary::Contains | Binary::StartsWith | Binary::EndsWith => {
            both(is_text).then_some(Type::Bool)
        }
        Binary::Range => both(is_integer).then(|| Type::List(Box::new(Type::Integer))),
        Binary::Remainder => both(is_integer).then_some(Type::Integer),
        Binary::Divide | Binary::Power => both(Type::is_number).then_some(Type::Float),
        Binary::Coalesce => Some(match (left, right) {
            (Type::Nil, other) | (other, Type::Nil) => other.clone(),
            (left, right) if left == right => left.clone(),
            _ => Type::Unknown,
        }),
        _ if unknown => {
            let known = if left.is_unknown() { right } else { left };
            let fits = known.is_unknown() || known.is_number() || matches!(known, Type::Time | Type::Span);
            (fits || (binary == Binary::Add && *known == Type::Text)).then_some(Type::Unknown)
        }
        _ => sum(binary, left, right),
    };
    answer.ok_or_else(|| {
        let (symbol, left, right) = (binary.symbol(), left.name(), right.name());
        fail(format!("invalid operation: {symbol} (mismatched types {left} and {right})"))
    })
}

fn sum(binary: Binary, left: &Type, right: &Type) -> Option<Type> {
    match (binary, left, right) {
        (_, Type::Integer, Type::Integer) => Some(Type::Integer),
        (_, a, b) if a.is_number() && b.is_number() => Some(Type::Float),
        (Binary::Add, Type::Text, Type::Text) => Some(Type::Text),
        (Binary::Add | Binary::Subtract, Type::Time, Type::Span) | (Binary::Add, Type::Span, Type::Time) => {
            Some(Type::Time)
        }
        (Binary::Subtract, Type::Time, Type::Time) => Some(Type::Span),
        (_, Type::Span, Type::Span) => Some(Type::Span),
        (Binary::Multiply, Type::Span, other) | (Binary::Multiply, other, Type::Span) if other.is_number() => {
            Some(Type::Span)
        }
        _ => None,
    }
}

fn membership(left: &Type, right: &Type) -> Checked {
    match right {
        Type::Map(_) if !matches!(left, Type::Text | Type::Unknown | Type::Nil) => {
            Err(fail(format!("cannot use {} as type string in map key", left.name())))
        }
        Type::List(item) if !left.comparable(item) => {
            Err(fail(format!("cannot use {} as type {} in array", left.name(), item.name())))
        }
        Type::Unknown | Type::Map(_) | Type::List(_) => Ok(Type::Bool),
        Type::Text if left.is_unknown() => Ok(Type::Bool),
        other => {
            let (left, right) = (left.name(), other.name());
            Err(fail(format!("invalid operation: in (mismatched types {left} and {right})")))
        }
    }
}
