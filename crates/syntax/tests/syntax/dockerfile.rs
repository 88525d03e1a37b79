//! Dockerfiles: what is read, and where it stands.

use keyblind_syntax::dockerfile::{self, Escape, Keyword, is_dockerfile, words};
use proptest::prelude::*;

use crate::invariants::check_dockerfile;

/// Each instruction as its name, flags and arguments.
fn shown(text: &str) -> Vec<String> {
    check_dockerfile(text);
    let parsed = dockerfile::parse(text);
    let show = |instruction: &dockerfile::Instruction| {
        let flags: String = instruction.flags.iter().map(|flag| format!("[{}]", &text[flag.range.as_usize()])).collect();
        let onbuild = if instruction.onbuild.is_some() { "ONBUILD " } else { "" };
        format!("{onbuild}{}{flags} {}", instruction.keyword.name(), instruction.arguments.text)
    };
    parsed.instructions.iter().map(show).collect()
}

#[test]
fn lines_go_on_through_comments_and_empty_lines() {
    let text = "FROM debian:12\nRUN apt-get update \\\n  # why\n\n  && apt-get install -y \\\r\n    curl\nUSER app\n";
    assert_eq!(shown(text), ["FROM debian:12", "RUN apt-get update   && apt-get install -y     curl", "USER app"]);
    let parsed = dockerfile::parse(text);
    assert_eq!(parsed.comments.iter().map(|range| &text[range.as_usize()]).collect::<Vec<_>>(), ["# why"]);
    let run = &parsed.instructions[1];
    let curl = words(&run.arguments, parsed.escape).pop().unwrap();
    assert_eq!((&*curl.text, &text[curl.range.as_usize()]), ("curl", "curl"));
}

#[test]
fn the_escape_directive_makes_windows_paths_harmless() {
    let text = "\u{feff}# escape=`\n# syntax=docker/dockerfile:1\nFROM windows:1\nCOPY a C:\\b\\\nRUN dir `\n C:\\\n";
    let parsed = dockerfile::parse(text);
    assert_eq!(parsed.escape, Escape::Backquote);
    assert_eq!(parsed.directives.len(), 2);
    assert_eq!(shown(text), ["FROM windows:1", "COPY a C:\\b\\", "RUN dir  C:\\"]);
}

#[test]
fn a_directive_behind_a_comment_is_a_comment() {
    let parsed = dockerfile::parse("# a comment\n# escape=`\nFROM a\n");
    assert_eq!((parsed.escape, parsed.comments.len()), (Escape::Backslash, 2));
}

#[test]
fn here_documents_belong_to_their_instruction() {
    let text = "FROM a\nRUN <<EOF cat <<-'END'\necho FROM x\nEOF\n\tkept\n\tEND\nCOPY <<x /y\nbody\nx\nUSER b";
    let parsed = dockerfile::parse(text);
    assert_eq!(shown(text), ["FROM a", "RUN <<EOF cat <<-'END'", "COPY <<x /y", "USER b"]);
    let bodies: Vec<&str> =
        parsed.instructions.iter().flat_map(|instruction| &instruction.heredocs).map(|heredoc| &text[heredoc.content.as_usize()]).collect();
    assert_eq!(bodies, ["echo FROM x\n", "\tkept\n", "body\n"]);
    let quoted: Vec<bool> = parsed.instructions[1].heredocs.iter().map(|heredoc| heredoc.is_quoted).collect();
    assert_eq!(quoted, [false, true]);
    assert!(parsed.errors.is_empty());
}

#[test]
fn arithmetic_is_no_here_document_and_a_missing_end_is_told() {
    assert!(dockerfile::parse("FROM a\nRUN echo $((1<<2))\nUSER b").errors.is_empty());
    let parsed = dockerfile::parse("FROM a\nRUN <<EOF\necho\n");
    assert_eq!(parsed.errors[0].message, "the here-document `EOF` isn't ended");
}

#[test]
fn flags_stand_before_the_arguments_only() {
    let text =
        "FROM --platform=linux/amd64 a AS b\nRUN --mount=type=secret,id=x --network=none curl --insecure\nONBUILD COPY --from=b --link a b";
    assert_eq!(
        shown(text),
        [
            "FROM[--platform=linux/amd64] a AS b",
            "RUN[--mount=type=secret,id=x][--network=none] curl --insecure",
            "ONBUILD COPY[--from=b][--link] a b"
        ]
    );
}

#[test]
fn the_exec_form_is_json_and_anything_else_is_a_command() {
    let parsed =
        dockerfile::parse("FROM a\nCMD [\"sh\", \"-c\", \"echo \\\"x\\\"\"]\nCMD [ -f x ]\nHEALTHCHECK --interval=5s CMD [\"true\"]");
    let exec: Vec<Option<Vec<&str>>> = parsed
        .instructions
        .iter()
        .map(|instruction| instruction.exec.as_ref().map(|words| words.iter().map(|word| &*word.text).collect()))
        .collect();
    assert_eq!(exec, [None, Some(vec!["sh", "-c", "echo \"x\""]), None, Some(vec!["true"])]);
}

#[test]
fn what_is_no_instruction_costs_its_line() {
    let text = "FROM a\nRUNN x \\\n y\nUSER b";
    let parsed = dockerfile::parse(text);
    assert_eq!(shown(text), ["FROM a", "USER b"]);
    assert_eq!(parsed.errors[0].message, "`RUNN` is not an instruction, so its line was not read");
    assert_eq!(&text[parsed.errors[0].range.as_usize()], "RUNN");
}

#[test]
fn the_beginning_tells_a_dockerfile() {
    for text in ["FROM debian:12", "# c\n\nfrom --platform=x a as b", "ARG X=1\nFROM a", "# escape=`\nFROM a"] {
        assert!(is_dockerfile(text), "{text:?}");
    }
    for text in ["", "# only a comment", "FROM users SELECT name WHERE x", "apiVersion: v1", "RUN x", "From the desk of somebody"] {
        assert!(!is_dockerfile(text), "{text:?}");
    }
}

#[test]
fn every_instruction_is_known_in_any_case() {
    for keyword in Keyword::ALL {
        assert_eq!(Keyword::of(&keyword.name().to_lowercase()), Some(keyword));
    }
    assert_eq!(Keyword::of("ONBUILD"), None);
}

proptest! {
    #[test]
    fn any_text_is_read_without_harm(text in "(FROM |RUN |COPY |ENV |ONBUILD |# escape=`|<<E|E|\\\\|`|\"|'|--a=|\\[|\\]|\\$\\{|\\$\\(|#|[ \t\r\n]|[a-z=é]){0,60}") {
        check_dockerfile(&text);
    }
}
