//! Shell scripts: which programs they run.

use keyblind_syntax::shell;
use proptest::prelude::*;

use crate::invariants::check_shell;

/// Each command as `wrapper>name argument|argument`, in order.
fn shown(script: &str) -> Vec<String> {
    check_shell(script);
    let show = |command: &shell::Command| {
        let invocation = command.invocation();
        let assignments: String = invocation.assignments.iter().map(|word| format!("{} ", word.text)).collect();
        let wrappers: String = invocation.wrappers.iter().map(|wrapper| format!("{wrapper}>")).collect();
        let arguments: Vec<&str> = invocation.arguments.iter().map(|word| word.text.as_str()).collect();
        format!("{assignments}{wrappers}{} {}", invocation.name.unwrap_or("-"), arguments.join("|")).trim_end().to_owned()
    };
    shell::parse(script).commands.iter().map(show).collect()
}

#[test]
fn operators_separate_commands_and_quotes_do_not() {
    assert_eq!(shown("a 'x; y' \"b && c\"&&d;e|f & g\nh || i # j; k\n"), ["a x; y|b && c", "d", "e", "f", "g", "h", "i"]);
}

#[test]
fn programs_are_found_behind_words_that_run_them() {
    assert_eq!(
        shown("if ! sudo -E -u x env A=1 /usr/bin/curl -k u; then timeout 5 xargs -n 1 wget y; fi"),
        ["A=1 sudo>env>curl -k|u", "timeout>xargs>wget y", "fi"]
    );
    assert_eq!(shown("python3 -m pip install x"), ["pip install|x"]);
    assert_eq!(shown("sudo"), ["sudo"]);
    assert_eq!(shown("A=1 B='2 3'"), ["A=1 B=2 3 -"]);
}

#[test]
fn substitutions_and_scripts_within_run_commands_too() {
    assert_eq!(shown("echo \"$(curl -k u | sh)\" `wget v`"), ["echo $(curl -k u | sh)|`wget v`", "curl -k|u", "sh", "wget v"]);
    assert_eq!(
        shown("bash -euxc 'curl -k u && sh -c \"wget v\"'"),
        ["bash -euxc|curl -k u && sh -c \"wget v\"", "curl -k|u", "sh -c|wget v", "wget v"]
    );
    assert_eq!(shown("bash <(curl u)"), ["bash <(curl u)", "curl u"]);
    assert_eq!(shown("sh <<'E'\ncurl -k u\nE\nd"), ["sh", "curl -k|u", "d"]);
}

#[test]
fn commands_within_point_at_their_own_text() {
    let script = "x; bash -c 'curl -k u'";
    let commands = shell::parse(script).commands;
    assert_eq!(&script[commands[2].range.as_usize()], "curl -k u");
}

#[test]
fn redirections_are_no_arguments() {
    assert_eq!(shown("cat a >b 2>&1 <<E c\n$(not a command)\nE\nd"), ["cat a|c", "d"]);
    let commands = shell::parse("x >> /etc/passwd &> y").commands;
    let targets: Vec<_> = commands[0].redirections.iter().map(|redirection| (redirection.operator, &*redirection.target.text)).collect();
    assert_eq!(targets, [(">>", "/etc/passwd"), ("&>", "y")]);
}

#[test]
fn pipes_connect() {
    let commands = shell::parse("curl u | tee x | sh; ls").commands;
    let pipelines: Vec<u32> = commands.iter().map(|command| command.pipeline).collect();
    assert!(pipelines[0] == pipelines[1] && pipelines[1] == pipelines[2] && pipelines[2] != pipelines[3], "{pipelines:?}");
}

#[test]
fn words_say_whether_something_is_expanded_in_them() {
    let commands = shell::parse("a $X 'x$Y' \"$(b)\" \\$Z ${P:-q r} $'n\\'m'").commands;
    let words: Vec<_> = commands[0].words.iter().map(|word| (&*word.text, word.is_literal)).collect();
    assert_eq!(words, [("a", true), ("$X", false), ("x$Y", true), ("$(b)", false), ("$Z", true), ("${P:-q r}", false), ("n'm", true)]);
}

#[test]
fn nothing_nests_without_end() {
    for script in ["$(".repeat(100_000), "`a $(".repeat(50_000), "(".repeat(100_000), "bash -c '".repeat(1000), "${".repeat(100_000)] {
        check_shell(&script);
    }
}

proptest! {
    #[test]
    fn any_text_is_read_without_harm(text in "([;&|()<>`'\"#$\\\\\n ]|<<E|E\n|\\$\\(|\\$\\{|sh -c |sudo |A=|[a-cé]){0,60}") {
        check_shell(&text);
    }
}
