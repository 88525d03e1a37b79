//! Quoted strings, heredocs and bare templates. The values were compared with what Terraform makes of the same text.

use keyblind_syntax::hcl::ast::{Expr, ExprKind, TemplatePart};
use keyblind_syntax::hcl::{self};

use crate::show::{expression, expression_error, show_parts};

/// A bare template that must parse.
fn template(text: &str) -> String {
    let (parts, errors) = hcl::parse_template(text);
    assert!(errors.is_empty(), "{text}: {errors:?}");
    show_parts(&parts).trim_start().to_owned()
}

/// What a template of constants comes to.
fn value(expression: &Expr) -> String {
    match &expression.kind {
        ExprKind::String(text) | ExprKind::Number(text) => text.to_string(),
        ExprKind::Bool(value) => value.to_string(),
        ExprKind::Template(parts) => parts_value(parts),
        kind => panic!("{kind:?} is no constant"),
    }
}

fn parts_value(parts: &[TemplatePart]) -> String {
    parts
        .iter()
        .map(|part| match part {
            TemplatePart::Literal { text, .. } => text.to_string(),
            TemplatePart::Interpolation { value: inner, .. } => value(inner),
            TemplatePart::If { condition, then, otherwise, .. } => parts_value(if value(condition) == "true" { then } else { otherwise }),
            TemplatePart::For { collection, body, .. } => {
                let ExprKind::Tuple(elements) = &collection.kind else { panic!("{collection:?} is no tuple") };
                parts_value(body).repeat(elements.len())
            }
        })
        .collect()
}

/// The value of a heredoc of constants.
fn heredoc(text: &str) -> String {
    let (expression, errors) = hcl::parse_expression(text);
    assert!(errors.is_empty(), "{text}: {errors:?}");
    value(&expression)
}

#[test]
fn escapes() {
    assert_eq!(expression(r#""a\n\r\t\"\\b""#), r#""a\n\r\t\"\\b""#);
    assert_eq!(expression(r#""\u00e9\U0001F600""#), r#""é😀""#);
    assert_eq!(expression(r#""\\n""#), r#""\\n""#);
    assert_eq!(expression(r#""""#), r#""""#);
}

#[test]
fn escapes_that_are_none() {
    let (message, at) = expression_error(r#""a\.b""#);
    assert!(message.starts_with("`\\.` is no escape sequence; there are \\n, "), "{message}");
    assert_eq!(at, "\\.");
    for text in [r#""\u12""#, r#""\uD83D\uDE00""#, r#""\U00110000""#, r#""\é""#, r#""\${a}""#] {
        assert!(expression_error(text).0.contains("is no escape sequence"), "{text}");
    }
}

#[test]
fn interpolations() {
    assert_eq!(expression(r#""a${b}c""#), r#"(template "a" ${b} "c")"#);
    assert_eq!(expression(r#""${a}${b}""#), "(template ${a} ${b})");
    assert_eq!(expression(r#""${f("x", "${g("y")}")}""#), r#"(template ${f("x", (template ${g("y")}))})"#);
    assert_eq!(expression("\"${\n  a\n}\""), "(template ${a})", "line ends are white space in a sequence");
    assert_eq!(expression(r#""${ {a = "}"}["a"] }""#), r#"(template ${([] {"a": "}"} "a")})"#);
}

#[test]
fn a_lone_interpolation_stays_a_template_of_one_part() {
    assert_eq!(expression(r#""${a}""#), "(template ${a})");
    assert_eq!(expression(r#""${a ~} ""#), r#"(template ${a} "")"#, "the emptied literal keeps it from being unwrapped");
}

#[test]
fn dollars_and_percents_that_begin_nothing() {
    assert_eq!(expression(r#""$${a} %%{b} $ % $x $$ 100%""#), r#""${a} %{b} $ % $x $$ 100%""#);
    assert_eq!(expression(r#""$$${1}|$${~ x}""#), r#""$${1}|${~ x}""#);
    assert_eq!(expression(r#""$${${a}""#), r#"(template "${" ${a})"#);
}

#[test]
fn directives() {
    assert_eq!(expression(r#""%{ if a }b%{ endif }""#), r#"(template (if a "b"))"#);
    assert_eq!(expression(r#""%{ if a == 1 }b%{ else }${c}%{ endif }d""#), r#"(template (if (== a 1) "b" else ${c}) "d")"#);
    assert_eq!(expression(r#""%{ for x in y }${x},%{ endfor }""#), r#"(template (for x in y ${x} ","))"#);
    assert_eq!(expression(r#""%{for k, v in y}%{if v}${k}%{endif}%{endfor}""#), "(template (for k, v in y (if v ${k})))");
}

#[test]
fn directives_that_do_not_match() {
    let error = |text| expression_error(text).0;
    assert_eq!(error(r#""%{ if a }b""#), "this `if` isn't closed: its `%{ endif }` is missing");
    assert_eq!(error(r#""%{ for a in b }%{ if c }%{ endif }""#), "this `for` isn't closed: its `%{ endfor }` is missing");
    assert_eq!(error(r#""%{ endif }""#), "this `endif` belongs to no `if`");
    assert_eq!(error(r#""%{ if a }%{ else }%{ else }%{ endif }""#), "this `else` belongs to no `if`");
    assert_eq!(error(r#""%{ for a in b }%{ endif }""#), "this `endif` belongs to no `if`");
    assert_eq!(
        error(r#""%{ when a }""#),
        "expected `if`, `else`, `endif`, `for` or `endfor` (literal `%{` is written `%%{`), found `when`"
    );
}

#[test]
fn sequences_of_other_languages_are_explained() {
    assert_eq!(
        expression_error(r#""${HOME:-/root}""#),
        ("expected an operator or `}` (literal `${` is written `$${`), found `:`".to_owned(), ":")
    );
}

#[test]
fn a_string_ends_on_its_line() {
    assert_eq!(expression_error("\"a").0, "this string isn't closed on its line: its `\"` is missing");
    assert_eq!(expression_error("\"a\nb\"").0, "this string isn't closed on its line: its `\"` is missing");
}

#[test]
fn strip_markers_reach_to_the_next_piece_of_text() {
    assert_eq!(expression(r#""hello ${~ "world" }""#), r#"(template "hello" ${"world"})"#);
    assert_eq!(expression(r#""%{ if true ~} hello %{~ endif }""#), r#"(template (if true "hello"))"#);
    assert_eq!(expression(r#""${ "hello" ~}${ " world" }""#), r#"(template ${"hello"} ${" world"})"#);
    assert_eq!(template("${a ~}\n  b"), r#"${a} "  b""#, "a piece of text ends with its line");
    assert_eq!(template("a\n\n   ${~ b}"), r#""a\n\n" ${b}"#);
    assert_eq!(expression(r#""$ x  ${~ a}""#), r#"(template "$ x" ${a})"#);
}

#[test]
fn plain_heredocs() {
    assert_eq!(heredoc("<<EOT\n  a\n    b\nEOT\n"), "  a\n    b\n");
    assert_eq!(heredoc("<<EOT\nEOT\n"), "");
    assert_eq!(heredoc("<<EOT\na \"quoted\" \\n\n  EOT\n"), "a \"quoted\" \\n\n", "the marker may be indented; nothing is escaped");
    assert_eq!(heredoc("<<EOT\nEOT2\n EOT x\n${1}EOT\nEOT  \n"), "EOT2\n EOT x\n1EOT\n");
    assert_eq!(heredoc("<<A-b_1\nx\nA-b_1"), "x\n", "the last line's end may be missing");
    assert_eq!(expression("<<EOT\n${a}\nEOT\n"), r#"(template ${a} "\n")"#);
}

#[test]
fn carriage_returns_in_heredocs_stay() {
    assert_eq!(heredoc("<<EOT\r\na\r\nb\r\nEOT\r\n"), "a\r\nb\r\n");
    assert_eq!(heredoc("<<-EOT\r\n  a\r\n\r\n    b\r\n  EOT\r\n"), "a\r\n\r\n  b\r\n");
}

#[test]
fn indented_heredocs() {
    assert_eq!(heredoc("<<-EOT\n    a\n      b\n\n   c\n  EOT\n"), " a\n   b\n\nc\n", "the least indented line decides");
    assert_eq!(heredoc("<<-EOT\n    ${\"  a\"}\n      b\n  EOT\n"), "  a\n  b\n", "values are not unindented");
    assert_eq!(heredoc("<<-EOT\n${1}\n    b\n  EOT\n"), "1\n    b\n", "a sequence at the start of a line is not indented");
    assert_eq!(heredoc("<<-EOT\n\t\ta\n\t  b\nEOT\n"), "a\n b\n", "a tab counts as one");
    assert_eq!(heredoc("<<-EOT\n    a\n   \n    b\nEOT\n"), "a\n   \nb\n", "a blank line neither counts nor changes");
}

#[test]
fn indented_heredocs_with_strip_markers() {
    // Terraform's own values: the line behind `~}` is no line start any more, and an eaten indentation counts as none.
    let text = "<<-EOT\n    a\n    %{ if true ~}\n      b\n    %{ endif ~}\n    c\n\n   \n      ${1}\n  EOT\n";
    assert_eq!(heredoc(text), "a\n      b\n    c\n\n   \n  1\n");
    let text = "<<-EOT\n    a\n      %{ if true ~}\n      b\n      %{~ endif }\n    c $\n    d $${x} %\n  EOT\n";
    assert_eq!(heredoc(text), "    a\n            b\n\n    c $\n    d ${x} %\n");
}

#[test]
fn a_byte_between_a_dollar_and_the_line_end_is_not_stripped() {
    assert_eq!(heredoc("<<EOT\n$ \n${~ 1}\nEOT\n"), "$ 1\n");
    assert_eq!(heredoc("<<EOT\n$  \n${~ 1}\nEOT\n"), "$1\n");
    assert_eq!(heredoc("<<EOT\n$$ \n${~ 1}\nEOT\n"), "$$ 1\n");
    assert_eq!(heredoc("<<EOT\r\n{$\r\n${~ 1}\r\nEOT\r\n"), "{$\r1\r\n");
    assert_eq!(heredoc("<<EOT\r\n$$$\r\n${~ 1}\r\nEOT\r\n"), "$$$1\r\n");
}

#[test]
fn heredocs_stand_among_other_things() {
    assert_eq!(expression("f(<<A\nx\nA\n, <<B\ny\nB\n)"), r#"f("x\n", "y\n")"#);
    assert_eq!(expression("{\n  a = <<A\nx\nA\n  b = 1\n}"), r#"{"a": "x\n", "b": 1}"#);
    assert_eq!(expression("<<A\n${<<B\nx\nB\n}\nA\n"), r#"(template ${"x\n"} "\n")"#);
}

#[test]
fn heredocs_without_an_end() {
    assert_eq!(expression_error("<<EOT\na\n").0, "this heredoc isn't closed: a line with `EOT` alone is missing");
    assert_eq!(expression_error("<<EOT a\nEOT\n").0, "expected a value, found `<`", "behind the marker the line must end");
}

#[test]
fn bare_templates() {
    assert_eq!(template(""), "");
    assert_eq!(template("a \"b\" \\n ${c}\n"), r#""a \"b\" \\n " ${c} "\n""#);
    assert_eq!(template("%{ if a ~}\nb\n%{ else ~}\nc\n%{ endif ~}\n"), r#"(if a "b\n" else "c\n") """#);
    assert_eq!(template("${a}"), "${a}");
    assert_eq!(template("a$"), r#""a$""#);
    assert_eq!(template("/* a # b"), r#""/* a # b""#, "there are no comments in literal text");
    assert_eq!(template("\u{feff}a"), r#""a""#, "a byte-order mark is no text");
}

#[test]
fn a_broken_bare_template_is_unknown_as_a_whole() {
    let (parts, errors) = hcl::parse_template("echo ${HOME:-x}\n");
    assert_eq!(show_parts(&parts), " ${<error>}");
    assert_eq!(errors.len(), 1);
    assert_eq!(errors[0].lost.as_usize(), 0..16);
}
