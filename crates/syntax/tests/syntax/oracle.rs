//! Another parser, `hcl-edit`, as an oracle: what it reads, we read, and see the same in it.

use hcl_edit::expr::{BinaryOperator, Expression, ObjectKey, TraversalOperator, UnaryOperator};
use hcl_edit::structure::{BlockLabel, Structure};
use hcl_edit::template::{Directive, Element, Strip, Template};
use keyblind_syntax::hcl;
use keyblind_syntax::hcl::ast::{BinaryOp, Body, Expr, ExprKind, ForObject, ForTuple, Ident, Item, SplatStep, TemplatePart, UnaryOp};

/// What the other parser makes of a text, if it can read it.
pub(crate) fn read(text: &str) -> Option<hcl_edit::structure::Body> {
    hcl_edit::parser::parse_body(text.strip_prefix('\u{feff}').unwrap_or(text)).ok()
}

#[test]
fn the_same_is_seen_in_the_fixtures() {
    for (name, text) in crate::properties::FIXTURES {
        // The other parser takes the line ends in the body of a `for` object for separators, which HCL doesn't.
        if name == "for_bodies.tf" {
            assert!(read(text).is_none());
            continue;
        }
        let theirs = read(text).unwrap_or_else(|| panic!("{name} isn't read by the other parser"));
        let ours = hcl::parse(text);
        assert!(ours.errors.is_empty(), "{name}: {:?}", ours.errors);
        compare_bodies(&theirs, &ours.body);
    }
}

/// Panics at the first difference.
pub(crate) fn compare_bodies(theirs: &hcl_edit::structure::Body, ours: &Body) {
    assert_eq!(theirs.iter().count(), ours.items.len(), "number of items");
    for (theirs, ours) in theirs.iter().zip(&ours.items) {
        match (theirs, ours) {
            (Structure::Attribute(theirs), Item::Attribute(ours)) => {
                assert_eq!(theirs.key.as_str(), &*ours.name.text);
                compare(&theirs.value, &ours.value);
            }
            (Structure::Block(theirs), Item::Block(ours)) => {
                assert_eq!(theirs.ident.as_str(), &*ours.kind.text);
                let labels: Vec<_> = theirs.labels.iter().map(|label| (matches!(label, BlockLabel::String(_)), label.as_str())).collect();
                let our_labels: Vec<_> = ours.labels.iter().map(|label| (label.quoted, &*label.text)).collect();
                assert_eq!(labels, our_labels);
                compare_bodies(&theirs.body, &ours.body);
            }
            _ => panic!("one sees an attribute and the other a block: {theirs:?} {ours:?}"),
        }
    }
}

fn compare(theirs: &Expression, ours: &Expr) {
    match (theirs, &ours.kind) {
        (Expression::Null(_), ExprKind::Null) => {}
        (Expression::Bool(theirs), ExprKind::Bool(ours)) => assert_eq!(theirs.value(), ours),
        (Expression::Number(theirs), ExprKind::Number(ours)) => assert_eq!(theirs.value().as_f64(), ours.parse().ok()),
        // The other parser takes the sign for a part of the number.
        (Expression::Number(theirs), ExprKind::Unary { op: UnaryOp::Negate, operand }) => {
            let ExprKind::Number(ours) = &operand.kind else { panic!("{theirs:?}\n{ours:?}") };
            assert_eq!(theirs.value().as_f64(), format!("-{ours}").parse().ok());
        }
        (Expression::String(theirs), ExprKind::String(ours)) => assert_eq!(theirs.as_str(), &**ours),
        (Expression::Array(theirs), ExprKind::Tuple(ours)) => compare_all(&theirs.iter().collect::<Vec<_>>(), ours),
        (Expression::Object(theirs), ExprKind::Object(ours)) => {
            // The other parser keeps only one of equal keys.
            if theirs.len() == ours.len() {
                for ((key, value), ours) in theirs.iter().zip(ours) {
                    match key {
                        ObjectKey::Ident(key) => {
                            assert!(matches!(&ours.key.kind, ExprKind::String(ours) if **ours == *key.as_str()), "{:?}", ours.key);
                        }
                        // HCL takes bare words for literal keys, keywords too.
                        ObjectKey::Expression(Expression::Bool(key)) => {
                            assert!(
                                matches!(&ours.key.kind, ExprKind::String(ours) if **ours == key.value().to_string()),
                                "{:?}",
                                ours.key
                            );
                        }
                        ObjectKey::Expression(key) => compare(key, &ours.key),
                    }
                    compare(value.expr(), &ours.value);
                }
            }
        }
        (Expression::StringTemplate(theirs), ours) => {
            let elements: Vec<_> = theirs.iter().collect();
            compare_template(&elements, ours, true);
        }
        (Expression::HeredocTemplate(heredoc), ours) => {
            let elements: Vec<_> = heredoc.template.iter().collect();
            compare_template(&elements, ours, false);
        }
        (Expression::Parenthesis(theirs), ExprKind::Paren(ours)) => compare(theirs.inner(), ours),
        (Expression::Variable(theirs), ExprKind::Variable(ours)) => assert_eq!(theirs.as_str(), &**ours),
        (Expression::Conditional(theirs), ExprKind::Conditional { condition, then, otherwise }) => {
            compare(&theirs.cond_expr, condition);
            compare(&theirs.true_expr, then);
            compare(&theirs.false_expr, otherwise);
        }
        (Expression::FuncCall(theirs), ExprKind::Call { name, arguments, expand_last }) => {
            let mut full: Vec<_> = theirs.name.namespace.iter().map(|part| part.as_str()).collect();
            full.push(theirs.name.name.as_str());
            assert_eq!(full.join("::"), *name.text);
            assert_eq!(theirs.args.expand_final(), *expand_last);
            compare_all(&theirs.args.iter().collect::<Vec<_>>(), arguments);
        }
        (Expression::UnaryOp(theirs), ExprKind::Unary { op, operand }) => {
            assert_eq!(*theirs.operator.value() == UnaryOperator::Not, *op == UnaryOp::Not);
            compare(&theirs.expr, operand);
        }
        (Expression::BinaryOp(theirs), ExprKind::Binary { op, left, right }) => {
            assert_eq!(operator(*theirs.operator.value()), *op);
            compare(&theirs.lhs_expr, left);
            compare(&theirs.rhs_expr, right);
        }
        (Expression::Traversal(theirs), _) => {
            let operators: Vec<_> = theirs.operators.iter().map(|operator| operator.value()).collect();
            compare_traversal(&theirs.expr, &operators, ours);
        }
        (Expression::ForExpr(theirs), ExprKind::ForTuple(ours)) => {
            let ForTuple { key, value, collection, body, condition } = &**ours;
            compare_variables(theirs.intro.key_var.as_ref().map(|key| key.as_str()), &theirs.intro.value_var, key.as_ref(), value);
            compare(&theirs.intro.collection_expr, collection);
            assert!(theirs.key_expr.is_none());
            compare(&theirs.value_expr, body);
            assert_eq!(theirs.cond.is_some(), condition.is_some());
            if let (Some(theirs), Some(ours)) = (&theirs.cond, condition) {
                compare(&theirs.expr, ours);
            }
        }
        (Expression::ForExpr(theirs), ExprKind::ForObject(ours)) => {
            let ForObject { key, value, collection, body_key, body, grouped, condition } = &**ours;
            compare_variables(theirs.intro.key_var.as_ref().map(|key| key.as_str()), &theirs.intro.value_var, key.as_ref(), value);
            compare(&theirs.intro.collection_expr, collection);
            compare(theirs.key_expr.as_ref().expect("a key"), body_key);
            compare(&theirs.value_expr, body);
            assert_eq!(theirs.grouping, *grouped);
            assert_eq!(theirs.cond.is_some(), condition.is_some());
            if let (Some(theirs), Some(ours)) = (&theirs.cond, condition) {
                compare(&theirs.expr, ours);
            }
        }
        _ => panic!("{theirs:?}\n{ours:?}"),
    }
}

fn compare_all(theirs: &[&Expression], ours: &[Expr]) {
    assert_eq!(theirs.len(), ours.len(), "{ours:?}");
    for (theirs, ours) in theirs.iter().zip(ours) {
        compare(theirs, ours);
    }
}

fn compare_variables(their_key: Option<&str>, their_value: &str, key: Option<&Ident>, value: &Ident) {
    assert_eq!(their_key, key.map(|key| &*key.text));
    assert_eq!(their_value, &*value.text);
}

/// Compares from the last operator to the first, as our tree is nested.
fn compare_traversal(base: &Expression, operators: &[&TraversalOperator], ours: &Expr) {
    let Some((last, before)) = operators.split_last() else {
        return compare(base, ours);
    };
    // The outermost full splat takes all operators behind it.
    if let Some(splat) = operators.iter().position(|operator| matches!(operator, TraversalOperator::FullSplat(_))) {
        let ExprKind::Splat { base: our_base, steps, full: true } = &ours.kind else { panic!("{operators:?}\n{ours:?}") };
        compare_traversal(base, &operators[..splat], our_base);
        return compare_steps(&operators[splat + 1..], steps);
    }
    if let Some(splat) = operators.iter().rposition(|operator| matches!(operator, TraversalOperator::AttrSplat(_)))
        && operators[splat + 1..]
            .iter()
            .all(|operator| matches!(operator, TraversalOperator::GetAttr(_) | TraversalOperator::LegacyIndex(_)))
    {
        let ExprKind::Splat { base: our_base, steps, full: false } = &ours.kind else { panic!("{operators:?}\n{ours:?}") };
        compare_traversal(base, &operators[..splat], our_base);
        return compare_steps(&operators[splat + 1..], steps);
    }
    match (last, &ours.kind) {
        (TraversalOperator::GetAttr(theirs), ExprKind::Attribute { base: our_base, name }) => {
            assert_eq!(theirs.as_str(), &*name.text);
            compare_traversal(base, before, our_base);
        }
        (TraversalOperator::Index(theirs), ExprKind::Index { base: our_base, key }) => {
            compare(theirs, key);
            compare_traversal(base, before, our_base);
        }
        (TraversalOperator::LegacyIndex(theirs), ExprKind::Index { base: our_base, key }) => {
            assert!(matches!(&key.kind, ExprKind::Number(ours) if **ours == theirs.value().to_string()), "{key:?}");
            compare_traversal(base, before, our_base);
        }
        _ => panic!("{last:?}\n{ours:?}"),
    }
}

fn compare_steps(operators: &[&TraversalOperator], steps: &[SplatStep]) {
    let mut steps = steps.iter();
    for (index, operator) in operators.iter().enumerate() {
        match (operator, steps.next()) {
            (TraversalOperator::GetAttr(theirs), Some(SplatStep::Attribute(ours))) => assert_eq!(theirs.as_str(), &*ours.text),
            (TraversalOperator::Index(theirs), Some(SplatStep::Index(ours))) => compare(theirs, ours),
            (TraversalOperator::LegacyIndex(theirs), Some(SplatStep::Index(ours))) => {
                assert!(matches!(&ours.kind, ExprKind::Number(ours) if **ours == theirs.value().to_string()), "{ours:?}");
            }
            (TraversalOperator::FullSplat(_), Some(SplatStep::Splat { steps, full: true })) => {
                return compare_steps(&operators[index + 1..], steps);
            }
            (theirs, ours) => panic!("{theirs:?}\n{ours:?}"),
        }
    }
    assert_eq!(steps.len(), 0, "{operators:?}");
}

/// Compares templates. The other parser applies neither strip markers nor indentation, so literal text is compared only
/// where there is neither.
fn compare_template(theirs: &[&Element], ours: &ExprKind, texts: bool) {
    match ours {
        ExprKind::Template(parts) => compare_parts(theirs, parts, texts && !theirs.iter().any(|element| strips(element))),
        ExprKind::String(ours) => {
            let mut joined = String::new();
            for element in theirs {
                joined.push_str(element.as_literal().expect("a literal"));
            }
            assert!(!texts || joined == **ours, "{joined:?} {ours:?}");
        }
        _ => panic!("{theirs:?}\n{ours:?}"),
    }
}

fn strips(element: &Element) -> bool {
    match element {
        Element::Literal(_) => false,
        Element::Interpolation(interpolation) => interpolation.strip != Strip::None,
        // Whether its parts strip isn't worth looking for.
        Element::Directive(_) => true,
    }
}

fn compare_parts(theirs: &[&Element], ours: &[TemplatePart], texts: bool) {
    let mut ours = ours.iter().filter(|part| texts || !matches!(part, TemplatePart::Literal { .. }));
    for element in theirs {
        match element {
            Element::Literal(_) if !texts => {}
            Element::Literal(theirs) => match ours.next() {
                Some(TemplatePart::Literal { text, .. }) => assert_eq!(theirs.as_str(), &**text),
                ours => panic!("{theirs:?}\n{ours:?}"),
            },
            Element::Interpolation(theirs) => match ours.next() {
                Some(TemplatePart::Interpolation { value, .. }) => compare(&theirs.expr, value),
                ours => panic!("{theirs:?}\n{ours:?}"),
            },
            Element::Directive(directive) => compare_directive(directive, ours.next().expect("a directive")),
        }
    }
    assert!(ours.next().is_none());
}

fn compare_directive(theirs: &Directive, ours: &TemplatePart) {
    let elements = |template: &Template, ours: &[TemplatePart]| compare_parts(&template.iter().collect::<Vec<_>>(), ours, false);
    match (theirs, ours) {
        (Directive::If(theirs), TemplatePart::If { condition, then, otherwise, .. }) => {
            compare(&theirs.if_expr.cond_expr, condition);
            elements(&theirs.if_expr.template, then);
            match &theirs.else_expr {
                Some(theirs) => elements(&theirs.template, otherwise),
                None => assert!(otherwise.is_empty()),
            }
        }
        (Directive::For(theirs), TemplatePart::For { key, value, collection, body, .. }) => {
            let theirs = &theirs.for_expr;
            compare_variables(theirs.key_var.as_ref().map(|key| key.as_str()), &theirs.value_var, key.as_ref(), value);
            compare(&theirs.collection_expr, collection);
            elements(&theirs.template, body);
        }
        _ => panic!("{theirs:?}\n{ours:?}"),
    }
}

fn operator(theirs: BinaryOperator) -> BinaryOp {
    match theirs {
        BinaryOperator::Eq => BinaryOp::Equal,
        BinaryOperator::NotEq => BinaryOp::NotEqual,
        BinaryOperator::LessEq => BinaryOp::LessOrEqual,
        BinaryOperator::GreaterEq => BinaryOp::GreaterOrEqual,
        BinaryOperator::Less => BinaryOp::Less,
        BinaryOperator::Greater => BinaryOp::Greater,
        BinaryOperator::Plus => BinaryOp::Add,
        BinaryOperator::Minus => BinaryOp::Subtract,
        BinaryOperator::Mul => BinaryOp::Multiply,
        BinaryOperator::Div => BinaryOp::Divide,
        BinaryOperator::Mod => BinaryOp::Modulo,
        BinaryOperator::And => BinaryOp::And,
        BinaryOperator::Or => BinaryOp::Or,
    }
}
