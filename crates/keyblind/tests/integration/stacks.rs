//! Stacks within stacks: what a user sees of a template that another one names.

use crate::support::{Repository, results};

const RULE: &str = "id: queue-is-public
title: Queue lets anybody read
severity: high
confidence: high
why: Anybody can read what is in it.
fix: Set `Access` to `Private`.
cloudformation:
  resources: AWS::SQS::Queue
  fail: {Access: Public}
examples:
  cloudformation:
    bad: |
      Resources:
        Q: {Type: AWS::SQS::Queue, Properties: {Access: Public}}
    good: |
      Resources:
        Q: {Type: AWS::SQS::Queue, Properties: {Access: Private}}
";

const MAIN: &str = "Parameters:
  Access:
    Type: String
    Default: Public
Resources:
  Work:
    Type: AWS::CloudFormation::Stack
    Properties:
      TemplateURL: stacks/queue.yaml
      Parameters:
        Access: !Ref Access
";

const QUEUE: &str = "Parameters:
  Access:
    Type: String
    Default: Private
Resources:
  Queue:
    Type: AWS::SQS::Queue
    Properties:
      Access: !Ref Access
";

fn repository() -> Repository {
    let repository = Repository::new([("main.yaml", MAIN), ("stacks/queue.yaml", QUEUE)]);
    repository.write("../rules/queue-is-public.yaml", RULE);
    repository
}

#[test]
fn a_finding_stands_in_the_templates_file_and_tells_the_way_there() {
    let repository = repository();
    let report = repository.report([]);
    assert_eq!(results(&report), ["queue-is-public Work/Queue failed"]);
    let result = &report["results"][0];
    assert_eq!(
        (result["file"].as_str(), result["line"].as_u64(), result["root"].as_str()),
        (Some("stacks/queue.yaml"), Some(9), Some("main.yaml"))
    );
    let text = repository.scan([]).output;
    for part in ["stacks/queue.yaml:9", "parameter `Access` is used", "`Work` passes `Access`", "main.yaml:11"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    // By itself, where nothing names it, the queue is private.
    assert_eq!(repository.results(["stacks"]), [""; 0]);
    repository.remove("main.yaml");
    assert_eq!(repository.scan([]).code, Some(0));
}

#[test]
fn a_comment_at_the_stack_silences_what_it_makes() {
    let repository = repository();
    let silenced = MAIN.replace("  Work:\n", "  # keyblind:ignore[queue-is-public] reason=\"meant\"\n  Work:\n");
    repository.write("main.yaml", silenced);
    assert_eq!(repository.results([]), ["queue-is-public Work/Queue suppressed"]);
}

#[test]
fn a_template_that_is_not_there_makes_the_scan_incomplete() {
    let repository = repository();
    repository.remove("stacks/queue.yaml");
    let outcome = repository.scan([]);
    assert_eq!(outcome.code, Some(3), "{outcome:?}");
    assert!(outcome.errors.contains("there is no template at `stacks/queue.yaml` for stack `Work`"), "{}", outcome.errors);
    // One at an address is kept, and scanned, elsewhere.
    repository.write("main.yaml", MAIN.replace("stacks/queue.yaml", "https://example.com/queue.yaml"));
    assert_eq!(repository.scan([]).code, Some(0));
}
