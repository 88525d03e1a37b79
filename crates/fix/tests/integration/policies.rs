//! Policies, credentials and values that are handed down.

use keyblind_fix::{Outcome, Subject};
use keyblind_rules::RuleTable;

use crate::support::{failing, fix_all, folder};

/// The texts after all that one rule finds was fixed, and the variables that were declared for it.
fn fixed(rule: &str, files: &[(&str, &str)]) -> (Vec<String>, Vec<String>) {
    let table = RuleTable::embedded().unwrap();
    let folder = folder(files);
    let (fixer, outcomes) = fix_all(&table, folder.path(), table.find(rule).unwrap());
    assert!(!outcomes.is_empty(), "`{rule}` finds nothing");
    let mut variables = Vec::new();
    for (address, outcome) in &outcomes {
        match outcome {
            Outcome::Fixed(fix) => variables.extend(fix.inputs.iter().map(|input| input.variable.clone())),
            Outcome::Gone => {}
            Outcome::Refused(_) => panic!("{address}: {outcome:?}"),
        }
    }
    (files.iter().map(|(path, _)| fixer.text(path).unwrap().to_string()).collect(), variables)
}

const QUEUE: &str = r#"resource "aws_sqs_queue" "jobs" {
  name = "jobs"
}

resource "aws_sqs_queue_policy" "jobs" {
  queue_url = aws_sqs_queue.jobs.id
  policy    = <<POLICY
{
  "Version": "2012-10-17",
  "Statement": [
    {
      "Effect": "Allow",
      "Principal": "*",
      "Action": "sqs:*",
      "Resource": "${aws_sqs_queue.jobs.arn}"
    }
  ]
}
POLICY
}
"#;

#[test]
fn everybody_becomes_the_account_itself_in_the_text_of_a_heredoc() {
    let (texts, variables) = fixed("sqs-queue-policy-public", &[("main.tf", QUEUE)]);
    let principal = "\"Principal\": { \"AWS\": \"arn:aws:iam::${data.aws_caller_identity.current.account_id}:root\" },";
    let expected = QUEUE.replace("\"Principal\": \"*\",", principal) + "\ndata \"aws_caller_identity\" \"current\" {}\n";
    assert_eq!(texts[0], expected);
    assert!(variables.is_empty());
}

#[test]
fn a_data_source_that_is_there_is_used() {
    let text = format!("data \"aws_caller_identity\" \"me\" {{}}\n\n{QUEUE}");
    let (texts, _) = fixed("sqs-queue-policy-public", &[("main.tf", &text)]);
    assert!(texts[0].contains("${data.aws_caller_identity.me.account_id}"), "{}", texts[0]);
    assert_eq!(texts[0].matches("data \"aws_caller_identity\"").count(), 1);
}

const ROLE: &str = r#"resource "aws_iam_role_policy" "worker" {
  role = "worker"
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect   = "Allow"
      Action   = ["secretsmanager:GetSecretValue"]
      Resource = "*"
    }]
  })
}
"#;

#[test]
fn what_only_a_person_knows_of_a_policy_is_asked_for() {
    let (texts, variables) = fixed("iam-policy-lets-data-out", &[("main.tf", ROLE)]);
    assert!(texts[0].contains("      Resource = var.worker_allowed_resources\n"), "{}", texts[0]);
    assert_eq!(variables, ["worker_allowed_resources"]);
}

#[test]
fn a_called_module_is_handed_the_value_down() {
    let main = "module \"inner\" {\n  source = \"./inner\"\n}\n";
    let (texts, variables) = fixed("iam-policy-lets-data-out", &[("main.tf", main), ("inner/main.tf", ROLE), ("inner/variables.tf", "")]);
    let declared = "variable \"worker_allowed_resources\" {\n";
    assert!(texts[0].contains("  worker_allowed_resources = var.worker_allowed_resources\n}\n"), "{}", texts[0]);
    assert!(texts[0].contains(declared), "{}", texts[0]);
    assert!(texts[1].contains("Resource = var.worker_allowed_resources"), "{}", texts[1]);
    assert!(texts[2].contains(declared), "{}", texts[2]);
    assert_eq!(variables, ["worker_allowed_resources"]);
}

#[test]
fn a_module_that_others_call_as_well_is_not_handed_anything() {
    let table = RuleTable::embedded().unwrap();
    let call = "module \"inner\" {\n  source = \"../inner\"\n}\n";
    let folder = folder(&[("a/main.tf", call), ("b/main.tf", call), ("inner/main.tf", ROLE)]);
    let rule = table.find("iam-policy-lets-data-out").unwrap();
    let (mut fixer, outcomes) = fix_all(&table, folder.path(), rule);
    assert!(outcomes.iter().all(|(_, outcome)| matches!(outcome, Outcome::Refused(_))), "{outcomes:?}");
    for (root, address) in failing(&table, folder.path(), rule) {
        assert!(matches!(fixer.fix(&Subject { rule, root: &root, address: &address }), Outcome::Refused(_)));
    }
}

#[test]
fn lines_that_hold_credentials_go() {
    let before = "resource \"aws_instance\" \"worker\" {\n  ami           = \"ami-0123456789abcdef0\"\n  instance_type = \"t3.small\"\n  user_data     = <<-EOT\n    #!/bin/bash\n    export AWS_ACCESS_KEY_ID=AKIAIOSFODNN7EXAMPLE\n    export AWS_SECRET_ACCESS_KEY=wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY\n    run --region eu-west-1\n  EOT\n}\n";
    let (texts, _) = fixed("instance-user-data-contains-credentials", &[("main.tf", before)]);
    let kept: String = before.lines().filter(|line| !line.contains("export")).map(|line| format!("{line}\n")).collect();
    assert_eq!(texts[0], kept);
}

#[test]
fn what_a_provider_demands_comes_along() {
    let before = "resource \"aws_eks_cluster\" \"shop\" {\n  name     = \"shop\"\n  role_arn = \"arn:aws:iam::111122223333:role/eks\"\n\n  vpc_config {\n    subnet_ids = [\"subnet-0123456789abcdef0\"]\n  }\n}\n";
    let (texts, variables) = fixed("eks-endpoint-open-to-world", &[("main.tf", before)]);
    assert!(texts[0].contains("endpoint_private_access = true\n"), "{}", texts[0]);
    assert!(texts[0].contains("endpoint_public_access  = false\n"), "{}", texts[0]);
    assert!(variables.is_empty());
}

#[test]
fn an_element_of_a_list_is_not_a_list() {
    let before = "resource \"azurerm_mssql_server_security_alert_policy\" \"main\" {\n  resource_group_name = \"example\"\n  server_name         = \"example-sql\"\n  state               = \"Enabled\"\n  disabled_alerts     = [\"Sql_Injection\", \"Data_Exfiltration\"]\n}\n";
    let (texts, _) = fixed("sql-server-threat-alerts-disabled", &[("main.tf", before)]);
    assert!(texts[0].contains("disabled_alerts     = []\n") || !texts[0].contains("disabled_alerts"), "{}", texts[0]);
}
