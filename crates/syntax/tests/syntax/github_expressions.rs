//! Expressions of GitHub Actions.

use keyblind_syntax::github_expression::{self, Expression, ExpressionKind, parse, placeholders};
use keyblind_syntax::limits;
use proptest::prelude::*;

use crate::invariants::check_github_expression;

fn contexts(text: &str) -> Vec<String> {
    check_github_expression(text);
    parse(text, 0).unwrap().contexts().into_iter().map(|(path, _)| path).collect()
}

fn flowing(text: &str) -> Vec<String> {
    parse(text, 0).unwrap().flowing_contexts().into_iter().map(|(path, _)| path).collect()
}

#[test]
fn contexts_are_paths_in_lower_case() {
    assert_eq!(contexts("GitHub.Event.issue['Title']"), ["github.event.issue.title"]);
    assert_eq!(contexts("github.event.commits[0].author.email"), ["github.event.commits.*.author.email"]);
    assert_eq!(contexts("steps.a-b.outputs[matrix.os] || secrets.*"), ["steps.a-b.outputs.*", "matrix.os", "secrets.*"]);
    assert_eq!(contexts("fromJSON(needs.x.outputs.y).z"), ["needs.x.outputs.y"]);
}

#[test]
fn what_only_decides_does_not_flow() {
    assert_eq!(flowing("github.event_name == 'push' && github.ref_name || inputs.tag"), ["github.ref_name", "inputs.tag"]);
    assert!(flowing("contains(github.head_ref, 'x')").is_empty());
    assert!(flowing("!github.head_ref").is_empty());
    assert_eq!(flowing("format('{0}', github.head_ref)"), ["github.head_ref"]);
}

#[test]
fn operators_bind_as_documented() {
    fn show(expression: &Expression) -> String {
        match &expression.kind {
            ExpressionKind::Binary { operator, left, right } => format!("({} {operator:?} {})", show(left), show(right)),
            ExpressionKind::Not(inner) => format!("!{}", show(inner)),
            ExpressionKind::Number(number) => number.clone(),
            _ => expression.context().unwrap_or_default(),
        }
    }
    let parsed = parse("!a == b && c < 1 || (d || e) && f", 0).unwrap();
    assert_eq!(show(&parsed), "(((!a Equal b) And (c Less 1)) Or ((d Or e) And f))");
}

#[test]
fn placeholders_end_outside_of_texts() {
    let text = "a ${{ format('}}{0}', github.actor) }} b ${{x}}${{ 'it''s' }} ${{ open";
    check_github_expression(text);
    let found = placeholders(text);
    let shown: Vec<&str> = found.iter().map(|placeholder| &text[placeholder.inner.as_usize()]).collect();
    assert_eq!(shown, ["format('}}{0}', github.actor)", "x", "'it''s'"]);
    assert!(found.iter().all(|placeholder| placeholder.expression.is_ok()));
}

#[test]
fn what_is_wrong_is_said_with_its_place() {
    for (text, message, wrong) in [
        ("a.", "expected a name behind `.`", ""),
        ("a b", "the expression should end here", "b"),
        ("'x", "the text has no closing `'`", "'x"),
        ("a ? b", "`?` can't stand in an expression", "?"),
        ("", "the expression ends too early", ""),
        ("f(a", "expected `)`", ""),
    ] {
        let error = parse(text, 0).unwrap_err();
        assert_eq!((&*error.message, &text[error.range.as_usize()]), (message, wrong), "{text:?}");
    }
}

#[test]
fn nothing_nests_without_end() {
    for text in ["(".repeat(100_000), "!".repeat(100_000), "a||".repeat(100_000), "a[".repeat(100_000), "f(".repeat(100_000)] {
        let error = parse(&text, 0).unwrap_err();
        assert!(error.message.contains(&limits::GITHUB_EXPRESSION_NESTING.to_string()), "{}", error.message);
    }
    let many = "${{ ' ".repeat(50_000);
    assert!(github_expression::placeholders(&many).is_empty());
}

proptest! {
    #[test]
    fn any_text_is_read_without_harm(text in "(\\$\\{\\{|\\}\\}|[().,*!'\\[\\] ]|&&|\\|\\||==|[a-c1é]|-){0,50}") {
        check_github_expression(&text);
    }
}
