//! Changes of a Dockerfile that mend the fault and do something else as well: none is proven.

use keyblind_fix::proof::Check;
use keyblind_rules::RuleTable;

use super::{Class, none_is_proven};
use crate::bench::Bench;

const MAIN: &str = "# syntax=docker/dockerfile:1\nFROM golang:1.23 AS build\n# the program\nRUN go build -o /x\n\nFROM debian:12.8\nARG MIRROR=https://a.test\nRUN apt-get update \\\n && curl -fsSLk $MIRROR/tool -o /tool\nCOPY --from=build /x /x\nUSER app\nCMD [\"/x\"]\n";

/// What changes the fixed text, and the check that is to catch it.
const CLASSES: &[Class] = &[
    ("runs another program in the step", &[("-o /tool", "-o /tool && wget https://a.test/y")], Check::DeclarationsKept),
    ("hides the fault in a variable", &[("curl -fsSL $MIRROR", "curl -fsSL $OPTIONS $MIRROR")], Check::DeclarationsKept),
    ("runs another step", &[("COPY --from", "RUN id\nCOPY --from")], Check::DeclarationsKept),
    ("becomes root", &[("USER app", "USER root")], Check::DeclarationsKept),
    ("takes the user out", &[("USER app\n", "")], Check::DeclarationsKept),
    ("takes another image", &[("FROM debian:12.8", "FROM busybox:1.36")], Check::DeclarationsKept),
    ("takes another tag", &[("FROM debian:12.8", "FROM debian:12.7")], Check::DeclarationsKept),
    ("takes the stage out", &[("FROM golang:1.23 AS build\n", "")], Check::DeclarationsKept),
    ("changes a default", &[("MIRROR=https://a.test", "MIRROR=https://b.test")], Check::DeclarationsKept),
    ("copies from another stage", &[("--from=build", "--from=other")], Check::DeclarationsKept),
    ("adds a suppression", &[("# the program", "# the program keyblind:ignore[*]")], Check::CommentsKept),
    ("takes a comment out", &[("# the program\n", "")], Check::CommentsKept),
    ("changes a parser directive", &[("docker/dockerfile:1", "docker/dockerfile:2")], Check::DeclarationsKept),
    ("runs something else", &[("CMD [\"/x\"]", "CMD [\"/y\"]")], Check::DeclarationsKept),
    ("changes the form", &[("CMD [\"/x\"]", "CMD /x")], Check::DeclarationsKept),
    ("makes the step a trigger", &[("RUN apt-get", "ONBUILD RUN apt-get")], Check::DeclarationsKept),
    ("mixes line endings", &[("USER app\n", "USER app\r\n")], Check::Formatted),
    ("leaves white space", &[("-o /tool\n", "-o /tool \n")], Check::Formatted),
    ("keeps the fault in another word", &[("curl -fsSL $MIRROR", "curl --insecure -fsSL $MIRROR")], Check::FaultGone),
    ("leaves no instruction", &[("CMD [\"/x\"]", "RUNN [\"/x\"]")], Check::Parses),
];

#[test]
fn a_clean_fix_of_a_dockerfile_is_proven_and_no_sabotaged_one_is() {
    let table = RuleTable::embedded().unwrap();
    let rule = table.find("curl-without-certificate-check").unwrap();
    let bench = Bench::new(&table, rule, &[("Dockerfile", MAIN)]).unwrap();
    assert_eq!(bench.fixed(), MAIN.replace("-fsSLk", "-fsSL"));
    none_is_proven(&bench, CLASSES);
}
