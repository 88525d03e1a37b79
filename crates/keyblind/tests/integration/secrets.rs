//! No secret in any output.

use crate::support::Repository;

const CANARY: &str = "kAnArY7Zx9Qw3";

#[test]
fn secret_values_appear_in_no_report() {
    let text = format!(
        r#"
variable "password" {{
  sensitive = true
  default   = "{CANARY}-variable"
}}
variable "plain" {{
  default = "{CANARY}-default"
}}
locals {{
  secret = "{CANARY}-local"
}}
resource "aws_db_instance" "literal" {{
  password = "{CANARY}-literal"
}}
resource "aws_db_instance" "variable" {{
  password = var.password
}}
resource "aws_db_instance" "heredoc" {{
  password = sensitive(<<-EOT
    {CANARY}-heredoc
  EOT
  )
}}
resource "aws_db_instance" "local" {{
  password = sensitive(local.secret)
}}
resource "aws_db_instance" "module" {{
  password = sensitive(var.plain)
}}
resource "aws_s3_bucket" "a" {{
  acl    = "public-read"
  secret = "{CANARY}-beside"
  tags   = {{ note = "x" }}
}}
"#
    );
    let repository = Repository::new([("main.tf", text.as_str()), ("terraform.tfvars", &format!("password = \"{CANARY}-tfvars\"\n"))]);
    for format in ["text", "json", "sarif"] {
        let outcome = repository.scan(["--format", format, "--include", "passed,unknown", "--show-suppressed", "-v"]);
        assert_eq!(outcome.code, Some(1), "{outcome:?}");
        assert!(outcome.output.contains("password-in-code"));
        assert!(!format!("{outcome:?}").contains(CANARY), "{format}: {}", outcome.output);
    }
    let written = repository.with_rules(["baseline", "write", "--baseline", "known.jsonl"]).run();
    assert_eq!(written.code, Some(0), "{written:?}");
    assert!(!repository.read("known.jsonl").contains(CANARY));
    let explained = repository.with_rules(["baseline", "explain", "--baseline", "known.jsonl"]).run();
    assert!(!format!("{explained:?}").contains(CANARY));
}

#[test]
fn secrets_on_the_command_line_appear_in_no_report() {
    let repository = Repository::new([(
        "main.tf",
        "variable \"p\" {\n  sensitive = true\n}\nresource \"aws_db_instance\" \"a\" {\n  password = var.p\n}\n",
    )]);
    let value = format!("p={CANARY}");
    for format in ["text", "json", "sarif"] {
        let outcome = repository.scan(["--format", format, "--var", &value]);
        assert_eq!(outcome.code, Some(1), "{outcome:?}");
        assert!(!format!("{outcome:?}").contains(CANARY), "{format}");
    }
}
