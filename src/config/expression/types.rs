//! Whether what an expression compares can ever be the same. CEL lets a number be compared with a text, and says no; so a
//! condition would match nothing, or everything, without a word. What the names and written values do not tell is let through.

use cel::common::ast::{CallExpr, Expr, IdedExpr, LiteralValue, operators};

use super::{Type, VARIABLES};

/// Of what kind a value is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Of(Type),
    Truth,
}

/// What compares two that are of one kind.
const COMPARES: [&str; 6] = [
    operators::EQUALS,
    operators::NOT_EQUALS,
    operators::LESS,
    operators::LESS_EQUALS,
    operators::GREATER,
    operators::GREATER_EQUALS,
];

/// The first comparison that makes no sense, and how it would.
pub fn mismatch(expression: &IdedExpr) -> Option<String> {
    match &expression.expr {
        Expr::Call(call) => {
            let within = call.target.as_deref().into_iter().chain(&call.args);
            compared(call).or_else(|| within.filter_map(mismatch).next())
        }
        Expr::List(list) => list.elements.iter().find_map(mismatch),
        Expr::Select(select) => mismatch(&select.operand),
        _ => None,
    }
}

fn compared(call: &CallExpr) -> Option<String> {
    let [one, other] = call.args.as_slice() else { return None };
    let name = call.func_name.as_str();
    if COMPARES.contains(&name) {
        return apart(one, other);
    }
    match &other.expr {
        Expr::List(list) if name == operators::IN => list.elements.iter().find_map(|other| apart(one, other)),
        _ => None,
    }
}

fn apart(one: &IdedExpr, other: &IdedExpr) -> Option<String> {
    let (kind, other_kind) = (kind(one)?, kind(other)?);
    if kind == other_kind {
        return None;
    }
    // What has a name is what it is; the other side can be written otherwise.
    let ((named, kind), other_kind) = match (&one.expr, &other.expr) {
        (_, Expr::Ident(name)) if !matches!(one.expr, Expr::Ident(_)) => ((Some(name), other_kind), kind),
        (Expr::Ident(name), _) => ((Some(name), kind), other_kind),
        _ => ((None, kind), other_kind),
    };
    let what =
        named.map_or_else(|| kind.word().to_owned(), |name| format!("'{name}' is {} and", kind.word()));
    Some(format!("{what} is compared with {} ({})", other_kind.word(), kind.written()))
}

fn kind(expression: &IdedExpr) -> Option<Kind> {
    match &expression.expr {
        Expr::Ident(name) => {
            VARIABLES.iter().find(|(known, _)| known == name).map(|(_, kind)| Kind::Of(*kind))
        }
        Expr::Literal(literal) => match literal {
            LiteralValue::String(_) => Some(Kind::Of(Type::Text)),
            LiteralValue::Int(_) | LiteralValue::UInt(_) | LiteralValue::Double(_) => {
                Some(Kind::Of(Type::Number))
            }
            LiteralValue::Boolean(_) => Some(Kind::Truth),
            LiteralValue::Bytes(_) | LiteralValue::Null => None,
        },
        Expr::Call(call) => made(&call.func_name),
        _ => None,
    }
}

/// What a function makes, whatever it is given.
fn made(function: &str) -> Option<Kind> {
    match function {
        "size" | "int" | "uint" | "double" => Some(Kind::Of(Type::Number)),
        "string" => Some(Kind::Of(Type::Text)),
        "duration" => Some(Kind::Of(Type::Span)),
        "timestamp" => Some(Kind::Of(Type::Time)),
        "startsWith" | "endsWith" | "contains" | "matches" => Some(Kind::Truth),
        operators::LOGICAL_AND | operators::LOGICAL_OR | operators::LOGICAL_NOT | operators::IN => {
            Some(Kind::Truth)
        }
        function if COMPARES.contains(&function) => Some(Kind::Truth),
        _ => None,
    }
}

impl Kind {
    fn word(self) -> &'static str {
        match self {
            Kind::Of(Type::Text) => "a text",
            Kind::Of(Type::Number) => "a number",
            Kind::Of(Type::Time) => "a time",
            Kind::Of(Type::Span) => "a span of time",
            Kind::Truth => "true or false",
        }
    }

    fn written(self) -> &'static str {
        match self {
            Kind::Of(Type::Text) => "a text stands in quotes",
            Kind::Of(Type::Number) => "a number stands without quotes",
            Kind::Of(Type::Time) => "a time is written timestamp(\"2026-01-31T00:00:00Z\")",
            Kind::Of(Type::Span) => "a span of time is written duration(\"2h\")",
            Kind::Truth => "these are written true and false",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Expression;

    #[test]
    fn what_can_never_be_the_same_is_not_compared() {
        for (text, told) in [
            ("attempts == 'three'", "'attempts' is a number and is compared with a text"),
            ("'3' != attempts", "'attempts' is a number and is compared with a text"),
            ("tenant == 'acme' && attempts > '3'", "a number stands without quotes"),
            ("tenant == 7", "'tenant' is a text and is compared with a number"),
            ("tenant in ['acme', 7]", "'tenant' is a text and is compared with a number"),
            ("age > '2h'", "a span of time is written duration(\"2h\")"),
            ("last_failure < duration('2h')", "'last_failure' is a time and is compared with a span of time"),
            ("size(message) == '0'", "a number is compared with a text"),
            ("!(code == 1)", "'code' is a text"),
            ("(attempts > 1) == 'true'", "true or false is compared with a text"),
        ] {
            let error = Expression::parse(text).expect_err(text);
            assert!(error.contains(told), "{text}: {error}");
        }
    }

    #[test]
    fn what_nobody_can_tell_from_the_text_is_let_through() {
        for text in [
            "attempts == 3.0",
            "attempts + 1 == redrives",
            "string(attempts) == '3'",
            "attempts == int('3')",
            "last_failure - first_failure > duration('1h')",
            "dyn(attempts) == 'three'",
            "code.startsWith('llm.') == true",
            "attempts in [1, 2, 3]",
        ] {
            Expression::parse(text).expect(text);
        }
    }
}
