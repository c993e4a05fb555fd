//! Where a program is to be wrapped: a walk over its tokens and its tree that never recurses.

use rsjsonnet_lang::arena::Arena;
use rsjsonnet_lang::ast::{
    Arg, BinaryOp, Bind, CompSpecPart, Expr, ExprKind, Field, FieldName, Member, ObjInside, Param,
};
use rsjsonnet_lang::interner::StrInterner;
use rsjsonnet_lang::lexer::Lexer;
use rsjsonnet_lang::parser::Parser;
use rsjsonnet_lang::span::{SpanId, SpanManager};
use rsjsonnet_lang::token::{STokenKind as Kind, Token, TokenKind};

use super::{Insertion, Refusal};

/// Nesting of a program; the evaluator analyses it by recursion, on a stack that is made for this depth.
const DEPTH_MAX: usize = 400;

/// Operators in a row.
const OPERATORS_MAX: usize = 100;

/// Operator signs in a row, in comments and strings too.
const SIGNS_MAX: usize = 2000;

/// Refuses runs of operator signs that cost the lexer the square of their length. Comments may hold long rules.
fn check_runs(text: &[u8]) -> Result<(), Refusal> {
    let mut run = 0;
    for (at, byte) in text.iter().enumerate() {
        run = if b"!$:~+-&|^=<>*/%".contains(byte) { run + 1 } else { 0 };
        if run > SIGNS_MAX {
            return Err((at, "too many operators in a row"));
        }
    }
    Ok(())
}

/// Refuses what the parser can't take: it nests by recursion, and long runs of operators cost the square of their
/// length.
fn check_tokens(tokens: &[Token<'_, '_>], spans: &SpanManager) -> Result<(), Refusal> {
    // For each open bracket, the words since then whose expression reaches up to its end.
    let mut open: Vec<usize> = vec![0];
    let (mut depth, mut operators) = (0_usize, 0);
    for token in tokens {
        let TokenKind::Simple(kind) = token.kind else {
            operators = 0;
            continue;
        };
        operators = if is_prefix_operator(kind) { operators + 1 } else { 0 };
        match kind {
            Kind::LeftBrace | Kind::LeftBracket | Kind::LeftParen => {
                open.push(0);
                depth += 1;
            }
            Kind::RightBrace | Kind::RightBracket | Kind::RightParen => {
                depth = depth.saturating_sub(open.pop().unwrap_or(0) + 1);
            }
            Kind::Comma => depth = depth.saturating_sub(open.last_mut().map_or(0, std::mem::take)),
            Kind::If | Kind::Else | Kind::Local | Kind::Function | Kind::Error | Kind::Assert => {
                if let Some(words) = open.last_mut() {
                    *words += 1;
                    depth += 1;
                }
            }
            _ => {}
        }
        let message = match (depth > DEPTH_MAX, operators > OPERATORS_MAX) {
            (true, _) => "the program is nested too deeply",
            (_, true) => "too many operators in a row",
            _ => continue,
        };
        return Err((spans.get_span(token.span).1, message));
    }
    Ok(())
}

fn is_prefix_operator(kind: Kind) -> bool {
    matches!(kind, Kind::Minus | Kind::Plus | Kind::Exclam | Kind::Tilde)
}

/// What is to be put in where, in the order of a walk through the program; none when it is no program.
pub(super) fn insertions(text: &[u8]) -> Result<Option<Vec<Insertion>>, Refusal> {
    check_runs(text)?;
    let (arena, ast_arena, interner) = (Arena::new(), Arena::new(), StrInterner::new());
    let mut spans = SpanManager::new();
    let (context, _) = spans.insert_source_context(text.len());
    let lexer = Lexer::new(&arena, &ast_arena, &interner, &mut spans, context, text);
    let Ok(tokens) = lexer.lex_to_eof(false) else { return Ok(None) };
    check_tokens(&tokens, &spans)?;
    let parser = Parser::new(&arena, &ast_arena, &interner, &mut spans, tokens);
    let Ok(root) = parser.parse_root_expr() else { return Ok(None) };
    let work = vec![Work::Visit(&root, Chain::Start, 0)];
    let mut walk = Walk { work, insertions: Vec::new(), spans: &spans, depth: 0 };
    // The stack is explicit, so that a deeply nested program costs no native stack.
    while let Some(work) = walk.work.pop() {
        match work {
            Work::Visit(expression, chain, depth) => {
                if depth > DEPTH_MAX {
                    let (start, _) = walk.range(expression.span);
                    return Err((start, "the program is nested too deeply"));
                }
                walk.depth = depth + usize::from(!is_flat(&expression.kind));
                walk.visit(expression, chain);
            }
            Work::Insert(at, text) => walk.insertions.push((at, text.to_owned())),
        }
    }
    Ok(Some(walk.insertions))
}

/// Whether the evaluator takes any depth of an expression of this kind.
fn is_flat(kind: &ExprKind<'_, '_>) -> bool {
    matches!(kind, ExprKind::Binary(..) | ExprKind::Unary(..) | ExprKind::Paren(_) | ExprKind::Array(_))
}

/// Whether an expression is an operand of a concatenation that is counted as a whole.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Chain {
    Start,
    Inside,
}

enum Work<'a, 'p, 'ast> {
    Visit(&'a Expr<'p, 'ast>, Chain, usize),
    Insert(usize, &'static str),
}

struct Walk<'a, 'p, 'ast, 's> {
    work: Vec<Work<'a, 'p, 'ast>>,
    insertions: Vec<Insertion>,
    spans: &'s SpanManager,
    /// Depth of what the expression at work consists of.
    depth: usize,
}

impl<'a, 'p, 'ast: 'a> Walk<'a, 'p, 'ast, '_> {
    fn range(&self, span: SpanId) -> (usize, usize) {
        let (_, start, end) = self.spans.get_span(span);
        (start, end)
    }

    /// Visits an expression between two insertions. Work is a stack, so what comes first is pushed last.
    fn wrap(&mut self, expression: &'a Expr<'p, 'ast>, before: &'static str, after: &'static str, chain: Chain) {
        let (start, end) = self.range(expression.span);
        self.work.push(Work::Insert(end, after));
        self.work.push(Work::Visit(expression, chain, self.depth));
        self.work.push(Work::Insert(start, before));
    }

    fn body(&mut self, expression: &'a Expr<'p, 'ast>) {
        self.wrap(expression, "(if @step(0) then (", ") else null)", Chain::Start);
    }

    fn sized(&mut self, expression: &'a Expr<'p, 'ast>) {
        self.wrap(expression, "@sized(", ")", Chain::Start);
    }

    fn plain(&mut self, expression: &'a Expr<'p, 'ast>) {
        self.work.push(Work::Visit(expression, Chain::Start, self.depth));
    }

    /// Pushes what an expression consists of, the last part first.
    fn visit(&mut self, expression: &'a Expr<'p, 'ast>, chain: Chain) {
        match &expression.kind {
            ExprKind::Binary(left, BinaryOp::Add, right) => {
                let (start, end) = self.range(expression.span);
                if chain == Chain::Start {
                    self.work.push(Work::Insert(end, ")"));
                }
                self.work.push(Work::Visit(right, Chain::Inside, self.depth));
                self.work.push(Work::Visit(left, Chain::Inside, self.depth));
                if chain == Chain::Start {
                    self.work.push(Work::Insert(start, "@sized("));
                }
            }
            ExprKind::Binary(left, BinaryOp::Rem, right) => {
                self.plain(right);
                self.wrap(left, "@width(", ")", Chain::Start);
            }
            ExprKind::Binary(left, _, right) | ExprKind::Index(left, right) => {
                self.plain(right);
                self.plain(left);
            }
            ExprKind::Paren(inner) => self.work.push(Work::Visit(inner, chain, self.depth)),
            ExprKind::Object(inside) => self.object(inside),
            ExprKind::ObjExt(object, inside, _) => {
                self.object(inside);
                self.plain(object);
            }
            ExprKind::Array(items) => items.iter().rev().for_each(|item| self.plain(item)),
            ExprKind::ArrayComp(body, parts) => {
                self.comprehension(parts);
                self.plain(body);
            }
            ExprKind::Slice(value, from, to, step) => {
                [step, to, from].into_iter().flatten().for_each(|part| self.plain(part));
                self.plain(value);
            }
            ExprKind::Call(function, arguments, _) => {
                for argument in arguments.iter().rev() {
                    match argument {
                        Arg::Positional(value) | Arg::Named(_, value) => self.plain(value),
                    }
                }
                self.plain(function);
            }
            ExprKind::Local(binds, body) => {
                self.plain(body);
                binds.iter().rev().for_each(|bind| self.bind(bind));
            }
            ExprKind::If(condition, yes, no) => {
                no.iter().for_each(|no| self.plain(no));
                self.plain(yes);
                self.plain(condition);
            }
            ExprKind::Func(parameters, body) => {
                self.body(body);
                self.parameters(parameters);
            }
            ExprKind::Assert(assert, body) => {
                self.plain(body);
                assert.msg.iter().for_each(|message| self.plain(message));
                self.plain(&assert.cond);
            }
            ExprKind::Field(inner, _)
            | ExprKind::SuperIndex(_, inner)
            | ExprKind::Unary(_, inner)
            | ExprKind::Error(inner)
            | ExprKind::InSuper(inner, _) => self.plain(inner),
            // An import takes a literal only.
            ExprKind::Import(_) | ExprKind::ImportStr(_) | ExprKind::ImportBin(_) => {}
            ExprKind::Null
            | ExprKind::Bool(_)
            | ExprKind::SelfObj
            | ExprKind::Dollar
            | ExprKind::String(_)
            | ExprKind::TextBlock(_)
            | ExprKind::Number(_)
            | ExprKind::SuperField(..)
            | ExprKind::Ident(_) => {}
        }
    }

    fn bind(&mut self, bind: &'a Bind<'p, 'ast>) {
        match bind.params {
            Some((parameters, _)) => {
                self.body(&bind.value);
                self.parameters(parameters);
            }
            None => self.plain(&bind.value),
        }
    }

    fn parameters(&mut self, parameters: &'a [Param<'p, 'ast>]) {
        parameters
            .iter()
            .rev()
            .filter_map(|parameter| parameter.default_value.as_ref())
            .for_each(|value| self.plain(value));
    }

    fn comprehension(&mut self, parts: &'a [CompSpecPart<'p, 'ast>]) {
        for part in parts.iter().rev() {
            match part {
                CompSpecPart::For(part) => self.sized(&part.inner),
                CompSpecPart::If(part) => self.plain(&part.cond),
            }
        }
    }

    fn object(&mut self, inside: &'a ObjInside<'p, 'ast>) {
        match inside {
            ObjInside::Members(members) => members.iter().rev().for_each(|member| self.member(member)),
            ObjInside::Comp { locals1, name, body, locals2, comp_spec, .. } => {
                self.comprehension(comp_spec);
                locals2.iter().rev().for_each(|local| self.bind(&local.bind));
                self.plain(body);
                self.plain(name);
                locals1.iter().rev().for_each(|local| self.bind(&local.bind));
            }
        }
    }

    fn member(&mut self, member: &'a Member<'p, 'ast>) {
        match member {
            Member::Local(local) => self.bind(&local.bind),
            Member::Assert(assert) => {
                assert.msg.iter().for_each(|message| self.plain(message));
                self.plain(&assert.cond);
            }
            Member::Field(field) => {
                match field {
                    Field::Value(_, _, _, value) => self.plain(value),
                    Field::Func(_, parameters, _, _, body) => {
                        self.body(body);
                        self.parameters(parameters);
                    }
                }
                if let FieldName::Expr(name, _) = field.name() {
                    self.plain(name);
                }
            }
        }
    }
}
