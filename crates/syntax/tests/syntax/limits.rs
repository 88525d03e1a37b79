//! Hostile texts: the bounds hold, no thread overflows its stack, and time stays linear.

use std::time::{Duration, Instant};

use keyblind_syntax::hcl::{self, File};
use keyblind_syntax::{json, limits};

/// Parses, walks and drops a text on a thread with the stack that Rust gives its threads.
fn on_small_stack(text: String) -> Vec<String> {
    std::thread::Builder::new()
        .stack_size(2 << 20)
        .spawn(move || {
            let file = hcl::parse(&text);
            crate::walk::check_ranges(&text, &file.body);
            hcl::parse_expression(&text);
            hcl::parse_template(&text);
            let _ = json::parse(&text);
            file.errors.into_iter().map(|error| error.message).collect()
        })
        .unwrap()
        .join()
        .unwrap()
}

#[test]
fn endless_nesting_is_an_error_and_costs_its_item_only() {
    let nested = [
        ("[", "1", "]"),
        ("(", "1", ")"),
        ("{a=", "1", "}"),
        ("-", "1", ""),
        ("!", "a", ""),
        ("f(", "1", ")"),
        ("a[", "1", "]"),
        ("a[*][", "0", "]"),
        ("\"${", "1", "}\""),
        ("a ? b : ", "c", ""),
        ("a ? ", "b", " : c"),
        ("[for a in ", "b", " : a]"),
        ("{for a in b : a => ", "c", "}"),
        ("1 || 1 && 1 == 1 < 1 + 1 * (", "1", ")"),
        ("\"%{ if ", "a", " }%{ endif }\""),
    ];
    for (open, middle, close) in nested {
        for count in [1_000, 100_000] {
            let value = format!("{}{middle}{}", open.repeat(count), close.repeat(count));
            let errors = on_small_stack(format!("x = 1\na = {value}\nb = 2\n"));
            assert_eq!(errors, ["this is nested deeper than 128 levels; split it up"], "{open}");
        }
        let file = hcl::parse(&format!("a = {}{middle}{}\nb = 2\n", open.repeat(100_000), close.repeat(100_000)));
        assert_eq!(names(&file), ["a", "b"], "{open}");
        // Some take several levels each time.
        let levels = if open.len() > 12 || open.starts_with(['a', '"']) { 30 } else { 120 };
        assert_eq!(on_small_stack(format!("a = {}{middle}{}\n", open.repeat(levels), close.repeat(levels))), [""; 0], "{open}");
    }
}

fn names(file: &File) -> Vec<&str> {
    file.body.attributes().map(|attribute| &*attribute.name.text).collect()
}

#[test]
fn endless_blocks_and_directives_are_errors() {
    let too_deep = "this is nested deeper than 128 levels; split it up";
    assert_eq!(on_small_stack(format!("{}{}x = 1\n", "a {\n".repeat(100_000), "}\n".repeat(100_000))), [too_deep]);
    let value = format!("\"{}{}\"", "%{ if a }".repeat(100_000), "%{ endif }".repeat(100_000));
    assert_eq!(on_small_stack(format!("a = {value}\n")), [too_deep]);
    let heredocs: String = (0..50_000).map(|number| format!("${{<<A{number}\n")).collect();
    let ends: String = (0..50_000).rev().map(|number| format!("A{number}\n}}\n")).collect();
    assert_eq!(on_small_stack(format!("a = <<A\n{heredocs}{ends}A\n")), [too_deep]);
}

#[test]
fn endless_chains_are_errors() {
    for step in [".b", "[0]", ".*", " + 1", " || a", ".0", "[*]", "[*].b", ".*.b", " - f(1)"] {
        let errors = on_small_stack(format!("a = x{}\n", step.repeat(100_000)));
        assert_eq!(errors.len(), 1, "{step}: {errors:?}");
        // Neither can stand behind itself, however few there are.
        if !step.starts_with(".*") && step != ".0" {
            assert_eq!(on_small_stack(format!("a = x{}\n", step.repeat(60))), [""; 0], "{step}");
        }
    }
    let errors = on_small_stack(format!("a = x{}\n", ".b".repeat(100_000)));
    assert_eq!(errors, ["this expression has more than 256 operators or steps in a chain; split it up"]);
    // Chains within chains: neither is long, but the tree is high.
    let mut value = "x".to_owned();
    for _ in 0..100 {
        value = format!("({value}{})", ".b".repeat(100));
    }
    let errors = on_small_stack(format!("a = {value}\n"));
    assert_eq!(errors, ["this expression has more than 256 operators or steps in a chain; split it up"]);
}

#[test]
fn errors_are_counted_and_the_rest_is_told_as_lost() {
    let text = "a = 1 2\n".repeat(1_000);
    let file = hcl::parse(&text);
    assert_eq!(file.errors.len(), limits::HCL_ERRORS + 1);
    let last = file.errors.last().unwrap();
    assert_eq!(last.message, "the rest isn't read, because 100 errors were found before it");
    assert_eq!(last.lost.end as usize, text.len());
    assert_eq!(file.body.items.len(), limits::HCL_ERRORS);
    assert!(file.body.attributes().all(|attribute| attribute.range.end <= last.lost.start));
}

#[test]
fn an_item_in_which_the_rest_is_given_up_is_lost_with_it() {
    let text = format!("{}b\n{{\n  c = 1\n}}\n", "a = 1 2\n".repeat(limits::HCL_ERRORS - 1));
    crate::walk::check_all(&text);
    let file = hcl::parse(&text);
    assert_eq!(&text[file.errors.last().unwrap().lost.as_usize()], "b\n{\n  c = 1\n}\n");
}

#[test]
fn long_texts_are_not_read() {
    let text = " ".repeat(limits::HCL_BYTES + 1);
    let errors = hcl::parse(&text).errors;
    assert_eq!(errors[0].message, "this text isn't read, because it is longer than 32 MiB");
    assert_eq!(errors[0].lost.len() as usize, text.len());
    assert_eq!(hcl::parse_expression(&text).1.len(), 1);
    assert_eq!(hcl::parse_template(&text).1.len(), 1);
}

/// Texts on which a parser that looks back or ahead too far takes quadratic time. At this size that would be minutes.
#[test]
fn time_is_linear() {
    let size = 1_000_000;
    let distinct: String = (0..80_000).map(|number| format!("a = <<X{number}\n")).collect();
    let texts = [
        ("heredocs without end", "a = <<X\n".repeat(size / 8)),
        ("distinct heredocs without end", distinct),
        ("broken heredocs with one far end", format!("{}X\n", "a = <<X\n${!}\n".repeat(size / 13))),
        ("comments without end", "a = /*\n".repeat(size / 7)),
        ("strings without end", "a = \"x\n".repeat(size / 7)),
        ("opening brackets, then closing braces", format!("a = !{}{}\n", "[".repeat(size / 2), "}".repeat(size / 2))),
        ("opening brackets, then line ends", format!("a = !{}{}\n", "[".repeat(size / 2), "\n".repeat(size / 2))),
        ("opening quotes in brackets", format!("a = !{}{}", "[".repeat(size / 2), "\"\n".repeat(size / 4))),
        ("sequences without end", format!("a = \"{}\n", "${\"".repeat(size / 3))),
        ("items on one line", format!("a {{ {} }}\n", "b = 1, ".repeat(size / 7))),
        ("blocks on one line", "a {} ".repeat(size / 5)),
        ("a long head", format!("a {}\n", "b ".repeat(size / 2))),
        ("heads in broken brackets", format!("a = [1 2\n{}", " b c d\n".repeat(size / 7))),
        ("dots", format!("a = 1{}\n", ".".repeat(size))),
        ("blank lines", "\n".repeat(size)),
        ("blanks", " ".repeat(size)),
        ("blanks before broken items", format!("{}!\n", " ".repeat(2_000)).repeat(size / 2_000)),
        ("unclosed blocks", "a {\n".repeat(100)),
        ("a long word", "a".repeat(size)),
        ("dollars", format!("a = \"{}\"\n", "$".repeat(size))),
        ("backslashes", format!("a = \"{}\"\n", "\\\\".repeat(size / 2))),
        ("directives", format!("a = \"{}\"\n", "%{if a}%{endif}".repeat(size / 15))),
    ];
    for (name, text) in texts {
        let start = Instant::now();
        let file = hcl::parse(&text);
        hcl::parse_expression(&text);
        hcl::parse_template(&text);
        drop(file);
        let took = start.elapsed();
        assert!(took < Duration::from_secs(15), "{name}: {took:?}");
    }
}

#[test]
fn json_is_bounded_too() {
    for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
        for count in [limits::JSON_NESTING + 1, 400, 100_000] {
            let text = format!("{}1{}", open.repeat(count), close.repeat(count));
            let error =
                std::thread::Builder::new().stack_size(2 << 20).spawn(move || json::parse(&text).unwrap_err()).unwrap().join().unwrap();
            assert!(error.message.contains("nest"), "{error:?}");
        }
        let text = format!("{}1{}", open.repeat(limits::JSON_NESTING), close.repeat(limits::JSON_NESTING));
        assert!(std::thread::Builder::new().stack_size(2 << 20).spawn(move || json::parse(&text).is_ok()).unwrap().join().unwrap());
    }
}
