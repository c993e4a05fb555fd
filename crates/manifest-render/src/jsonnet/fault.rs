//! The evaluator's errors in words.

use rsjsonnet_lang::ast::BinaryOp;
use rsjsonnet_lang::lexer::LexError;
use rsjsonnet_lang::parser::{ActualToken, ExpectedToken, ParseError};
use rsjsonnet_lang::program::{
    AnalyzeError, EvalErrorKind as Kind, EvalErrorValueType as ValueType, EvalStackTraceItem, LoadError,
};
use rsjsonnet_lang::span::SpanId;
use rsjsonnet_lang::token::STokenKind as Token;

/// Place and message of an error before evaluation.
pub(super) fn load_message(error: &LoadError) -> (Option<SpanId>, String) {
    match error {
        LoadError::Lex(error) => lex_message(error),
        LoadError::Parse(ParseError::Expected { span, expected, instead }) => {
            let mut wanted: Vec<String> = expected.iter().map(expected_token).collect();
            wanted.sort();
            wanted.dedup();
            let wanted = wanted.join(" or ");
            (Some(*span), format!("expected {wanted}, found {}", actual_token(instead)))
        }
        LoadError::Analyze(error) => analyze_message(error),
    }
}

fn lex_message(error: &LexError) -> (Option<SpanId>, String) {
    let (span, message) = match error {
        LexError::InvalidChar { span, chr } => (span, format!("`{}` can't stand here", chr.escape_debug())),
        LexError::InvalidUtf8 { span, .. } => (span, "the program is not UTF-8".to_owned()),
        LexError::UnfinishedMultilineComment { span } => (span, "the comment is not closed".to_owned()),
        LexError::LeadingZeroInNumber { span } => (span, "a number begins with a zero".to_owned()),
        LexError::MissingFracDigits { span }
        | LexError::MissingExpDigits { span }
        | LexError::MissingDigitAfterUnderscore { span } => (span, "the number lacks digits".to_owned()),
        LexError::ExpOverflow { span } => (span, "the number is too large".to_owned()),
        LexError::InvalidEscapeInString { span, chr } => (span, format!("there is no escape `\\{chr}`")),
        LexError::IncompleteUnicodeEscape { span } | LexError::InvalidUtf16EscapeSequence { span, .. } => {
            (span, "the Unicode escape is malformed".to_owned())
        }
        LexError::UnfinishedString { span } => (span, "the string is not closed".to_owned()),
        LexError::MissingLineBreakAfterTextBlockStart { span }
        | LexError::MissingWhitespaceTextBlockStart { span }
        | LexError::InvalidTextBlockTermination { span } => {
            (span, "the text block (`|||`) is malformed, or not indented evenly".to_owned())
        }
    };
    (Some(*span), message)
}

fn analyze_message(error: &AnalyzeError) -> (Option<SpanId>, String) {
    let (span, message) = match error {
        AnalyzeError::UnknownVariable { span, name } => (span, format!("there is no variable `{name}`")),
        AnalyzeError::SelfOutsideObject { self_span } => (self_span, "`self` outside of an object".to_owned()),
        AnalyzeError::SuperOutsideObject { super_span } => (super_span, "`super` outside of an object".to_owned()),
        AnalyzeError::DollarOutsideObject { dollar_span } => (dollar_span, "`$` outside of an object".to_owned()),
        AnalyzeError::RepeatedLocalName { repeated_span, name, .. } => {
            (repeated_span, format!("the local `{name}` is defined twice"))
        }
        AnalyzeError::RepeatedFieldName { repeated_span, name, .. } => {
            (repeated_span, format!("the field `{name}` is defined twice"))
        }
        AnalyzeError::RepeatedParamName { repeated_span, name, .. } => {
            (repeated_span, format!("the parameter `{name}` is named twice"))
        }
        AnalyzeError::PositionalArgAfterNamed { arg_span } => {
            (arg_span, "a positional argument follows a named one".to_owned())
        }
        AnalyzeError::TextBlockAsImportPath { span } | AnalyzeError::ComputedImportPath { span } => {
            (span, "an import needs a plain string".to_owned())
        }
    };
    (Some(*span), message)
}

fn expected_token(token: &ExpectedToken) -> String {
    match token {
        ExpectedToken::EndOfFile => "the end of the file".to_owned(),
        ExpectedToken::Simple(kind) => format!("`{}`", written(*kind)),
        ExpectedToken::Ident => "a name".to_owned(),
        ExpectedToken::Number => "a number".to_owned(),
        ExpectedToken::String | ExpectedToken::TextBlock => "a string".to_owned(),
        ExpectedToken::Expr => "an expression".to_owned(),
        ExpectedToken::BinaryOp => "an operator".to_owned(),
    }
}

fn actual_token(token: &ActualToken) -> String {
    match token {
        ActualToken::EndOfFile => "the end of the file".to_owned(),
        ActualToken::Simple(kind) => format!("`{}`", written(*kind)),
        ActualToken::OtherOp(text) | ActualToken::Ident(text) => format!("`{text}`"),
        ActualToken::Number => "a number".to_owned(),
        ActualToken::String | ActualToken::TextBlock => "a string".to_owned(),
    }
}

/// How a token is written.
fn written(kind: Token) -> &'static str {
    match kind {
        Token::Assert => "assert",
        Token::Else => "else",
        Token::Error => "error",
        Token::False => "false",
        Token::For => "for",
        Token::Function => "function",
        Token::If => "if",
        Token::Import => "import",
        Token::Importstr => "importstr",
        Token::Importbin => "importbin",
        Token::In => "in",
        Token::Local => "local",
        Token::Null => "null",
        Token::Tailstrict => "tailstrict",
        Token::Then => "then",
        Token::Self_ => "self",
        Token::Super => "super",
        Token::True => "true",
        Token::Exclam => "!",
        Token::ExclamEq => "!=",
        Token::Dollar => "$",
        Token::Percent => "%",
        Token::Amp => "&",
        Token::AmpAmp => "&&",
        Token::LeftParen => "(",
        Token::RightParen => ")",
        Token::Asterisk => "*",
        Token::Plus => "+",
        Token::PlusColon => "+:",
        Token::PlusColonColon => "+::",
        Token::PlusColonColonColon => "+:::",
        Token::Comma => ",",
        Token::Minus => "-",
        Token::Dot => ".",
        Token::Slash => "/",
        Token::Colon => ":",
        Token::ColonColon => "::",
        Token::ColonColonColon => ":::",
        Token::Semicolon => ";",
        Token::Lt => "<",
        Token::LtLt => "<<",
        Token::LtEq => "<=",
        Token::Eq => "=",
        Token::EqEq => "==",
        Token::Gt => ">",
        Token::GtEq => ">=",
        Token::GtGt => ">>",
        Token::LeftBracket => "[",
        Token::RightBracket => "]",
        Token::Hat => "^",
        Token::LeftBrace => "{",
        Token::Pipe => "|",
        Token::PipePipe => "||",
        Token::RightBrace => "}",
        Token::Tilde => "~",
    }
}

/// The place that an item of a stack trace names.
pub(super) fn span_of(item: &EvalStackTraceItem) -> Option<SpanId> {
    match item {
        EvalStackTraceItem::Expr { span }
        | EvalStackTraceItem::Variable { span, .. }
        | EvalStackTraceItem::Import { span } => Some(*span),
        EvalStackTraceItem::Call { span, .. }
        | EvalStackTraceItem::ArrayItem { span, .. }
        | EvalStackTraceItem::ObjectField { span, .. } => *span,
        EvalStackTraceItem::CompareArrayItem { .. }
        | EvalStackTraceItem::CompareObjectField { .. }
        | EvalStackTraceItem::ManifestArrayItem { .. }
        | EvalStackTraceItem::ManifestObjectField { .. } => None,
    }
}

/// Place and message of an error of evaluation.
pub(super) fn eval_message(kind: &Kind) -> (Option<SpanId>, String) {
    match kind {
        Kind::ExplicitError { span, message } => (Some(*span), message.clone()),
        Kind::AssertFailed { span, message } => {
            (Some(*span), message.clone().unwrap_or_else(|| "an assertion failed".to_owned()))
        }
        Kind::AssertEqualFailed { lhs, rhs } => (None, format!("{lhs} is not equal to {rhs}")),
        Kind::StackOverflow => (None, "calls are nested too deeply".to_owned()),
        Kind::InfiniteRecursion => (None, "a value needs itself".to_owned()),
        Kind::UnknownObjectField { span, field_name } => (Some(*span), format!("there is no field `{field_name}`")),
        Kind::ImportFailed { span, path } => (Some(*span), format!("failed to import `{path}`")),
        Kind::UnknownExtVar { name } => (None, format!("the external variable `{name}` is not given")),
        Kind::ManifestFunction => (None, "the result holds a function".to_owned()),
        Kind::NativeCallFailed => (None, "a native function failed, or there is none of this name".to_owned()),
        Kind::Other { span, message } => (*span, message.clone()),
        kind => type_message(kind).or_else(|| call_message(kind)).unwrap_or_else(|| number_message(kind)),
    }
}

/// Errors about values of a wrong type.
fn type_message(kind: &Kind) -> Option<(Option<SpanId>, String)> {
    let (span, message) = match kind {
        Kind::InvalidIndexedType { span, got_type } => (Some(*span), format!("{} has no fields", a(*got_type))),
        Kind::InvalidSlicedType { span, got_type } => (Some(*span), format!("{} can't be sliced", a(*got_type))),
        Kind::SliceIndexOrStepIsNotNumber { span, got_type }
        | Kind::StringIndexIsNotNumber { span, got_type }
        | Kind::ArrayIndexIsNotNumber { span, got_type } => {
            (Some(*span), format!("an index must be a number, this is {}", a(*got_type)))
        }
        Kind::ObjectIndexIsNotString { span, got_type } | Kind::FieldNameIsNotString { span, got_type } => {
            (Some(*span), format!("a field name must be a string, this is {}", a(*got_type)))
        }
        Kind::ForSpecValueIsNotArray { span, got_type } => {
            (Some(*span), format!("`for` needs an array, this is {}", a(*got_type)))
        }
        Kind::CondIsNotBool { span, got_type } => {
            (Some(*span), format!("a condition must be a boolean, this is {}", a(*got_type)))
        }
        Kind::InvalidUnaryOpType { span, rhs_type, .. } => {
            (Some(*span), format!("the operator does not take {}", a(*rhs_type)))
        }
        Kind::InvalidBinaryOpTypes { span, op, lhs_type, rhs_type } => {
            (*span, format!("{} does not take {} and {}", operator(*op), a(*lhs_type), a(*rhs_type)))
        }
        Kind::InvalidStdFuncArgType { func_name, arg_index, expected_types, got_type } => {
            let wanted: Vec<&str> = expected_types.iter().map(|kind| a(*kind)).collect();
            let wanted = wanted.join(" or ");
            (None, format!("argument {} of std.{func_name} must be {wanted}, this is {}", arg_index + 1, a(*got_type)))
        }
        Kind::CompareDifferentTypesInequality { lhs_type, rhs_type } => {
            (None, format!("{} and {} can't be ordered", a(*lhs_type), a(*rhs_type)))
        }
        Kind::PrimitiveEqualsNonPrimitive { got_type } => {
            (None, format!("std.primitiveEquals does not take {}", a(*got_type)))
        }
        Kind::CompareNullInequality | Kind::CompareBooleanInequality | Kind::CompareObjectInequality => {
            (None, "these values can't be ordered".to_owned())
        }
        Kind::CompareFunctions => (None, "functions can't be compared".to_owned()),
        Kind::FieldOfNonObject { span } => (Some(*span), "a field is added to something that is no object".to_owned()),
        Kind::SuperWithoutSuperObject { span } => (Some(*span), "there is no `super` object".to_owned()),
        _ => return None,
    };
    Some((span, message))
}

/// Errors about calls.
fn call_message(kind: &Kind) -> Option<(Option<SpanId>, String)> {
    let (span, message) = match kind {
        Kind::CalleeIsNotFunction { span, got_type } => (*span, format!("{} can't be called", a(*got_type))),
        Kind::TooManyCallArgs { span, num_params } => {
            (*span, format!("too many arguments, the function takes {num_params}"))
        }
        Kind::UnknownCallParam { span, param_name } => (*span, format!("the function has no parameter `{param_name}`")),
        Kind::RepeatedCallParam { span, param_name } => (*span, format!("the parameter `{param_name}` is given twice")),
        Kind::CallParamNotBound { span, param_name } => (*span, format!("the parameter `{param_name}` is not given")),
        Kind::RepeatedFieldName { span, name } => (Some(*span), format!("the field `{name}` is defined twice")),
        _ => return None,
    };
    Some((span, message))
}

/// Errors about numbers and indices.
fn number_message(kind: &Kind) -> (Option<SpanId>, String) {
    match kind {
        Kind::NumericIndexIsNotValid { span, index } => (Some(*span), format!("`{index}` is not an index")),
        Kind::NumericIndexOutOfRange { span, index, length } => {
            (Some(*span), format!("index {index} is out of range, the length is {length}"))
        }
        Kind::NumberNotBitwiseSafe { span } => (*span, "the number is too large for bits".to_owned()),
        Kind::NumberOverflow { span } => (*span, "the number is too large".to_owned()),
        Kind::NumberNan { span } => (*span, "the result is not a number".to_owned()),
        Kind::DivByZero { span } => (*span, "division by zero".to_owned()),
        Kind::ShiftByNegative { span } => (*span, "a shift by a negative number".to_owned()),
        _ => (None, "evaluation failed".to_owned()),
    }
}

fn a(kind: ValueType) -> &'static str {
    match kind {
        ValueType::Null => "null",
        ValueType::Bool => "a boolean",
        ValueType::Number => "a number",
        ValueType::String => "a string",
        ValueType::Array => "an array",
        ValueType::Object => "an object",
        ValueType::Function => "a function",
    }
}

fn operator(op: BinaryOp) -> &'static str {
    match op {
        BinaryOp::Add => "`+`",
        BinaryOp::Sub => "`-`",
        BinaryOp::Mul => "`*`",
        BinaryOp::Div => "`/`",
        BinaryOp::Rem => "`%`",
        BinaryOp::Lt | BinaryOp::Le | BinaryOp::Gt | BinaryOp::Ge => "a comparison",
        BinaryOp::In => "`in`",
        BinaryOp::LogicAnd => "`&&`",
        BinaryOp::LogicOr => "`||`",
        _ => "the operator",
    }
}
