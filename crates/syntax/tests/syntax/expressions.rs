//! Expressions, construct by construct.

use crate::show::{body, expression, expression_error, file};

#[test]
fn literals() {
    assert_eq!(expression("null"), "null");
    assert_eq!(expression("true"), "true");
    assert_eq!(expression("12"), "12");
    assert_eq!(expression("1.50"), "1.50");
    assert_eq!(expression("1e3"), "1e3");
    assert_eq!(expression("1.5E-10"), "1.5E-10");
    assert_eq!(expression("1.e5"), "1.e5", "the decimals may be missing before an exponent");
    assert_eq!(expression(r#""text""#), r#""text""#);
    assert_eq!(expression("nullable"), "nullable", "a word that only begins like a keyword is a variable");
}

#[test]
fn numbers_that_are_none() {
    assert_eq!(expression_error("1.2.3"), ("`1.2.3` is no number".to_owned(), "1.2.3"));
    assert_eq!(expression_error("1e5e5"), ("`1e5e5` is no number".to_owned(), "1e5e5"));
}

#[test]
fn identifiers_may_hold_dashes_and_letters_of_any_script() {
    assert_eq!(expression("a-1"), "a-1");
    assert_eq!(expression("a -1"), "(- a 1)");
    assert_eq!(expression("größe"), "größe");
    assert_eq!(expression("名前.値"), "(. 名前 値)");
    assert_eq!(expression("_x"), "_x");
}

#[test]
fn operators_bind_by_precedence_and_to_the_left() {
    assert_eq!(expression("1 + 2 * 3 - 4"), "(- (+ 1 (* 2 3)) 4)");
    assert_eq!(expression("a / b * c % d"), "(% (* (/ a b) c) d)");
    assert_eq!(expression("a || b && c == d < e + f * g"), "(|| a (&& b (== c (< d (+ e (* f g))))))");
    assert_eq!(expression("a * b + c < d == e && f || g"), "(|| (&& (== (< (+ (* a b) c) d) e) f) g)");
    assert_eq!(expression("a != b == c"), "(== (!= a b) c)");
    assert_eq!(expression("a >= b <= c > d"), "(> (<= (>= a b) c) d)");
    assert_eq!(expression("(1 + 2) * 3"), "(* ((+ 1 2)) 3)");
}

#[test]
fn prefix_operators_bind_tightest_but_looser_than_what_is_attached() {
    assert_eq!(expression("-46 + 5"), "(+ (- 46) 5)");
    assert_eq!(expression("!a.b && !c[0]"), "(&& (! (. a b)) (! ([] c 0)))");
    assert_eq!(expression("- - 1"), "(- (- 1))");
    assert_eq!(expression("!!a"), "(! (! a))");
}

#[test]
fn conditionals_nest_to_the_right() {
    assert_eq!(expression("a ? b : c"), "(? a b c)");
    assert_eq!(expression("a ? b : c ? d : e"), "(? a b (? c d e))");
    assert_eq!(expression("a ? b ? c : d : e"), "(? a (? b c d) e)");
    assert_eq!(expression("a == b || c ? 1 : 2 + 3"), "(? (|| (== a b) c) 1 (+ 2 3))");
}

#[test]
fn attributes_and_indices() {
    assert_eq!(expression("var.a.b"), "(. (. var a) b)");
    assert_eq!(expression("a[0]"), "([] a 0)");
    assert_eq!(expression(r#"a["b-c"].d[each.key]"#), r#"([] (. ([] a "b-c") d) (. each key))"#);
    assert_eq!(expression("a . b [ 0 ]"), "([] (. a b) 0)");
    assert_eq!(expression("f(x).y"), "(. f(x) y)");
    assert_eq!(expression("[1, 2][0]"), "([] [1, 2] 0)");
    assert_eq!(expression("{a = 1}.a"), r#"(. {"a": 1} a)"#);
    assert_eq!(expression(r#""x".y"#), r#"(. "x" y)"#);
}

#[test]
fn the_old_index_form() {
    assert_eq!(expression("a.0"), "([] a 0)");
    assert_eq!(expression("a.0.b"), "(. ([] a 0) b)");
    assert_eq!(expression("a.b.12.c.3"), "([] (. ([] (. a b) 12) c) 3)");
    assert_eq!(expression_error("a.0.1"), ("`0.1` behind a `.` reads as a fraction; write `[0][1]` instead of `.0.1`".to_owned(), "0.1"));
}

#[test]
fn splats_over_attributes() {
    assert_eq!(expression("a.*.b"), "(.* a .b)");
    assert_eq!(expression("a.*.b.0.c"), "(.* a .b [0] .c)");
    assert_eq!(expression("a.*.b[0].c"), "(. ([] (.* a .b) 0) c)", "an index applies to the whole list");
    assert_eq!(expression("a.*"), "(.* a)");
    assert_eq!(expression_error("a.*.*"), ("a `.*` can't stand inside another `.*`; use `[*]` for the outer one".to_owned(), "*"));
}

#[test]
fn full_splats() {
    assert_eq!(expression("a[*].b[0].c"), "([*] a .b [0] .c)", "everything applies to each element");
    assert_eq!(expression("a[*]"), "([*] a)");
    assert_eq!(expression("a[ * ].0"), "([*] a [0])");
    assert_eq!(expression("a.b[*].c.*.d[0]"), "([*] (. a b) .c (.* .d) [0])");
    assert_eq!(expression("a[*].b[*].c[0]"), "([*] a .b ([*] .c [0]))", "the inner splat takes all that follows");
    assert_eq!(expression("flatten(a[*].b)[0]"), "([] flatten(([*] a .b)) 0)");
}

#[test]
fn calls() {
    assert_eq!(expression("f()"), "f()");
    assert_eq!(expression("f(a, 1, \"b\")"), "f(a, 1, \"b\")");
    assert_eq!(expression("f(a,)"), "f(a)");
    assert_eq!(expression("max(list...)"), "max(list...)");
    assert_eq!(expression("merge(a, b...)"), "merge(a, b...)");
    assert_eq!(expression("f(\n  a,\n  b\n)"), "f(a, b)");
    assert_eq!(expression("provider::aws::arn_parse(x).region"), "(. provider::aws::arn_parse(x) region)");
    assert_eq!(expression_error("f(a..., b)").0, "expected `)` behind the `...`, found `,`");
    assert_eq!(expression_error("provider::aws").0, "expected `(` behind the function's name, found the end of the text");
}

#[test]
fn tuples() {
    assert_eq!(expression("[]"), "[]");
    assert_eq!(expression("[1, [2], 3,]"), "[1, [2], 3]");
    assert_eq!(expression("[\n  1, # one\n  2\n  ,\n]"), "[1, 2]");
    assert_eq!(expression("[ formats ]"), "[formats]");
    assert_eq!(expression_error("[1 2]"), ("expected an operator, `,` or `]` behind the element, found `2`".to_owned(), "2"));
}

#[test]
fn objects() {
    assert_eq!(expression("{}"), "{}");
    assert_eq!(expression("{a = 1, b: 2}"), r#"{"a": 1, "b": 2}"#);
    assert_eq!(expression("{\n  a = 1\n\n  b = 2,\n  c = 3\n}"), r#"{"a": 1, "b": 2, "c": 3}"#);
    assert_eq!(expression("{ a = 1, }"), r#"{"a": 1}"#);
    assert_eq!(expression(r#"{"x-y" = 1, 2 = 3}"#), r#"{"x-y": 1, 2: 3}"#);
    assert_eq!(expression("{(a) = 1}"), "{(a): 1}", "in brackets, the key is an expression");
    assert_eq!(expression("{(a.b) = 1, (f(c)) : 2}"), "{((. a b)): 1, (f(c)): 2}");
    assert_eq!(expression(r#"{"${a}-x" = 1}"#), r#"{(template ${a} "-x"): 1}"#);
    assert_eq!(expression("{true = 1, null = 2}"), r#"{"true": 1, "null": 2}"#);
    assert_eq!(expression(r#"{"for" = 1}"#), r#"{"for": 1}"#);
    assert_eq!(expression("{a = 1, for = 2}"), r#"{"a": 1, "for": 2}"#, "only the first key can't be named `for`");
}

#[test]
fn an_object_entry_ends_with_its_line() {
    assert_eq!(
        expression_error("{ a = 1 b = 2 }"),
        ("expected an operator, `,`, a line end or `}` behind the value, found `b`".to_owned(), "b")
    );
    assert_eq!(expression_error("{ a =\n 1 }").0, "expected a value, found the end of the line");
    assert_eq!(expression_error("({ a = b\n ? 1 : 2 })").0, "expected a value, found `?`", "also if the object itself stands in brackets");
    assert_eq!(expression("{ a = (\n 1 +\n 2\n) }"), r#"{"a": ((+ 1 2))}"#);
}

#[test]
fn for_makes_tuples() {
    assert_eq!(expression("[for x in y : x]"), "[for x in y: x]");
    assert_eq!(expression("[for k, v in y : v if k != 1]"), "[for k, v in y: v if (!= k 1)]");
    assert_eq!(expression("[\n  for x in y :\n  x\n  if x\n]"), "[for x in y: x if x]");
    assert_eq!(expression("[for x in [for y in z : y] : {a = x}]"), r#"[for x in [for y in z: y]: {"a": x}]"#);
}

#[test]
fn for_makes_objects() {
    assert_eq!(expression("{for x in y : x => x.z}"), "{for x in y: x => (. x z)}");
    assert_eq!(expression("{for k, v in y : v => k... if v}"), "{for k, v in y: v => k... if v}");
    assert_eq!(expression("{\n  for k, v in y :\n  k\n  =>\n  v\n}"), "{for k, v in y: k => v}");
}

#[test]
fn line_ends_are_white_space_in_a_for() {
    let text = "{ for k, v in y : k => v.a != null\n  ? v.a\n  : v.b\n}";
    assert_eq!(expression(text), "{for k, v in y: k => (? (!= (. v a) null) (. v a) (. v b))}");
    let text = "[ for v in y : v.a\n  && v.b\n ? 1\n : 2 ]";
    assert_eq!(expression(text), "[for v in y: (? (&& (. v a) (. v b)) 1 2)]");
}

#[test]
fn a_for_that_is_none() {
    assert_eq!(expression_error("[for, x]").0, "expected a variable name behind `for` (a key named `for` stands in quotes), found `,`");
    assert_eq!(expression_error("[for x y : z]").0, "expected `in` behind the variables of `for`, found `y`");
    assert_eq!(expression_error("[for x in y : a => b]").0, "expected an operator, `if` or `]` at the end of the `for`, found `=>`");
    assert_eq!(expression_error("{for x in y : a}").0, "expected an operator or `=>` behind the key of the `for`, found `}`");
}

#[test]
fn comments_stand_anywhere_between_tokens() {
    assert_eq!(expression("1 /* one */ + // plus\n 2 # two"), "(+ 1 2)");
    assert_eq!(expression("[ # first\n 1, /* x */ 2 ]"), "[1, 2]");
    assert_eq!(expression_error("a /* b"), ("this comment isn't closed: its `*/` is missing".to_owned(), "/*"));
}

#[test]
fn an_expression_must_be_all_of_its_text() {
    assert_eq!(expression_error("a b").0, "expected an operator or the end of the expression, found `b`");
    assert_eq!(expression_error("").0, "expected a value, found the end of the text");
    assert_eq!(expression("\n a \n"), "a");
}

#[test]
fn characters_from_other_languages_are_explained() {
    assert_eq!(expression_error("'a'").0, "expected a value, found `'` (strings stand in double quotes)");
    assert_eq!(expression_error("“a”").0, "expected a value, found the character \\u{201c} (strings stand in straight double quotes)");
    assert_eq!(expression_error("a & b").0, "expected an operator or the end of the expression, found `&` (the operator is `&&`)");
    assert_eq!(expression_error("\u{0}").0, "expected a value, found the character \\u{0}");
}

#[test]
fn ranges_are_exact() {
    let text = "x = [for k in a.b[*].c : f(k, -1)]";
    let file = file(text);
    assert_eq!(body(&file.body), "x = [for k in ([*] (. a b) .c): f(k, (- 1))]");
    let attribute = file.body.attribute("x").unwrap();
    assert_eq!(&text[attribute.range.as_usize()], text);
    assert_eq!(&text[attribute.name.range.as_usize()], "x");
    assert_eq!(&text[attribute.equals.as_usize()], "=");
    let mut seen = Vec::new();
    crate::walk::expressions(&attribute.value, &mut |expression| seen.push(&text[expression.range.as_usize()]));
    assert_eq!(seen, ["[for k in a.b[*].c : f(k, -1)]", "a.b[*].c", "a.b", "a", "f(k, -1)", "k", "-1", "1"]);
}
