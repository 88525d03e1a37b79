//! What a broken item costs: itself, and nothing else.

use keyblind_syntax::hcl;

use crate::show::body;

/// Parses a broken text; gives its tree, and for each error its message and what is lost.
fn broken(text: &str) -> (String, Vec<(String, &str)>) {
    let file = hcl::parse(text);
    crate::walk::check_ranges(text, &file.body);
    let errors = file.errors.iter().map(|error| (error.message.clone(), &text[error.lost.as_usize()])).collect();
    (body(&file.body), errors)
}

fn check(text: &str, tree: &str, errors: &[(&str, &str)]) {
    let (found_tree, found_errors) = broken(text);
    let found_errors: Vec<_> = found_errors.iter().map(|(message, lost)| (message.as_str(), *lost)).collect();
    assert_eq!(found_tree, tree, "{text}\n{found_errors:?}");
    assert_eq!(found_errors, errors, "{text}");
}

#[test]
fn a_broken_value_keeps_its_attribute() {
    check(
        "a = 1\nb = 2 3\nc = 4\n",
        "a = 1; b = <error>; c = 4",
        &[("expected an operator or a line end behind the value, found `3`", "b = 2 3")],
    );
    check("a = \nb = 2\n", "a = <error>; b = 2", &[("expected a value, found the end of the line", "a =")]);
    check("a =", "a = <error>", &[("expected a value, found the end of the text", "a =")]);
}

#[test]
fn an_item_that_is_neither() {
    check("a\nb = 1\n", "b = 1", &[("expected `=` or `{` behind `a`, found the end of the line", "a")]);
    check("\"a\" = 1\nb = 2\n", "b = 2", &[("expected an attribute or a block, found a string", "\"a\" = 1")]);
    check("[x]\nb = 2\n", "b = 2", &[("expected an attribute or a block, found `[`", "[x]")]);
    check("a \"b\" = 1\nb = 2\n", "b = 2", &[("expected a label or `{` in the head of the `a` block, found `=`", "a \"b\" = 1")]);
}

#[test]
fn a_broken_head_costs_its_block() {
    check(
        "a \"b\" ! {\n  c = {\n    d = 1\n  }\n}\ne {\n}\n",
        "e {}",
        &[("expected a label or `{` in the head of the `a` block, found `!`", "a \"b\" ! {\n  c = {\n    d = 1\n  }\n}")],
    );
    check(
        "a \"${b}\" {\n  c = 1\n}\ne {\n}\n",
        "e {}",
        &[("a block's label can't hold `${` or `%{`; they are written `$${` and `%%{`", "a \"${b}\" {\n  c = 1\n}")],
    );
}

#[test]
fn a_string_without_end_costs_its_line() {
    check(
        "a {\n  b = \"c\n  d = \"e\"\n}\nf = 1\n",
        "a { b = <error>; d = \"e\" }; f = 1",
        &[("this string isn't closed on its line: its `\"` is missing", "b = \"c")],
    );
    check(
        "a {\n  b = \"${c\"\n  d = \"e\"\n}\n",
        "a { b = <error>; d = \"e\" }",
        &[("expected an operator or `}` (literal `${` is written `$${`), found a string", "b = \"${c\"")],
    );
}

#[test]
fn an_error_within_brackets_costs_the_brackets() {
    check(
        "a {\n  tags = {\n    b = 1 2\n    c = 3\n  }\n  d = 4\n}\n",
        "a { tags = <error>; d = 4 }",
        &[("expected an operator, `,`, a line end or `}` behind the value, found `2`", "tags = {\n    b = 1 2\n    c = 3\n  }")],
    );
    // The same without any indentation to go by.
    check(
        "a {\ntags = {\nb = 1 2\nc = 3\n}\nd = 4\n}\n",
        "a { tags = <error>; d = 4 }",
        &[("expected an operator, `,`, a line end or `}` behind the value, found `2`", "tags = {\nb = 1 2\nc = 3\n}")],
    );
}

#[test]
fn a_missing_closing_bracket_costs_its_attribute() {
    check(
        "a {\n  b = f(1\n  c = 2\n}\nd {\n}\n",
        "a { b = <error>; c = 2 }; d {}",
        &[("expected an operator, `,` or `)` behind the argument, found `c`", "b = f(1")],
    );
    check(
        "a {\n  b = [\n    1,\n    2\n  c = 2\n}\nd {\n}\n",
        "a { b = <error>; c = 2 }; d {}",
        &[("expected an operator, `,` or `]` behind the element, found `c`", "b = [\n    1,\n    2")],
    );
    check("a {\n  b = f(\n}\nd {\n}\n", "a { b = <error> }; d {}", &[("expected a value, found `}`", "b = f(")]);
}

#[test]
fn a_missing_closing_brace_of_an_object() {
    check(
        "a {\n  b = {\n    c = 1\n  d = 2\n}\n\ne {\n  f = 3\n}\n",
        "a { b = <error>; d = 2 }; e { f = 3 }",
        &[("expected a value, found the start of the next attribute or block", "b = {\n    c = 1")],
    );
}

#[test]
fn a_missing_closing_brace_of_a_block() {
    check(
        "a {\n  b = 1\n\nc {\n  d = 2\n}\ne {\n}\n",
        "a { b = 1 }; c { d = 2 }; e {}",
        &[("this block isn't closed: its `}` is missing", "")],
    );
    check(
        "a {\n  b {\n    c = 1\n  d = 2\n}\ne {\n}\n",
        "a { b { c = 1 }; d = 2 }; e {}",
        &[("this block isn't closed: its `}` is missing", "")],
    );
    check("a {\n  b = 1\n", "a { b = 1 }", &[("this block isn't closed: its `}` is missing", "")]);
    check("a {", "a {}", &[("this block isn't closed: its `}` is missing", "")]);
}

#[test]
fn a_brace_too_many() {
    check("a {\n}\n}\nb {\n}\n", "a {}; b {}", &[("this `}` closes nothing", "}")]);
    check(
        "a {\n  b {\n  }\n  }\n  c = 1\n}\nd {\n}\n",
        "a { b {}; c = 1 }; d {}",
        &[("this `}` closes nothing, judged by its indentation", "}")],
    );
}

#[test]
fn sequences_of_a_shell_cost_their_heredoc() {
    check(
        "a {\n  b = <<-EOT\n    x=${X:-1}\n    y = \"z\n    if [ ! -z $${y} ]; then {\n  EOT\n  c = 1\n}\nd {\n}\n",
        "a { b = <error>; c = 1 }; d {}",
        &[(
            "expected an operator or `}` (literal `${` is written `$${`), found `:`",
            "b = <<-EOT\n    x=${X:-1}\n    y = \"z\n    if [ ! -z $${y} ]; then {\n  EOT",
        )],
    );
}

#[test]
fn a_heredoc_without_end_costs_its_line() {
    check(
        "a {\n  b = <<EOT\n  c = 1\n}\nd {\n}\n",
        "a { b = <error>; c = 1 }; d {}",
        &[("this heredoc isn't closed: a line with `EOT` alone is missing", "b = <<EOT")],
    );
}

#[test]
fn an_error_on_one_line_stays_there() {
    check(
        "a { b = 1 2 }\nc { d = [ }\ne = 3\n",
        "a { b = <error> }; c { d = <error> }; e = 3",
        &[("expected an operator or a line end behind the value, found `2`", "b = 1 2"), ("expected a value, found `}`", "d = [")],
    );
}

#[test]
fn merge_conflict_markers() {
    check(
        "a {\n<<<<<<< HEAD\n  b = 1\n=======\n  b = 2\n>>>>>>> other\n}\nc {\n}\n",
        "a { b = 1; b = 2 }; c {}",
        &[
            ("expected an attribute or a block, found `<`", "<<<<<<< HEAD"),
            ("expected an attribute or a block, found `==`", "======="),
            ("expected an attribute or a block, found `>`", ">>>>>>> other"),
        ],
    );
}

#[test]
fn a_value_that_ends_too_late_takes_no_neighbour() {
    check(
        "a {\n  b = (1\n}\n\nc {\n  d = 1\n}\n",
        "a { b = <error> }; c { d = 1 }",
        &[("expected an operator or `)`, found `}`", "b = (1")],
    );
}
