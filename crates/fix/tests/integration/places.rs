//! Where fixes land, and how they look there.

use keyblind_fix::{Fixer, Given, Outcome, Subject};
use keyblind_rules::RuleTable;
use keyblind_scan::Targets;

use crate::support::{fix_all, fixed, folder, request};

#[track_caller]
fn becomes(rule: &str, before: &str, after: &str) {
    assert_eq!(fixed(rule, &[("main.tf", before)])[0], after);
}

#[test]
fn a_literal_is_replaced_and_its_comment_stays() {
    becomes(
        "database-publicly-accessible",
        "resource \"aws_db_instance\" \"a\" {\n  publicly_accessible = true # why\n}\n",
        "resource \"aws_db_instance\" \"a\" {\n  publicly_accessible = false # why\n}\n",
    );
}

#[test]
fn an_attribute_is_added_in_its_column() {
    becomes(
        "kms-key-never-rotated",
        "resource \"aws_kms_key\" \"a\" {\n  description = \"x\"\n  policy      = \"{}\"\n\n  tags = {\n    a = \"b\"\n  }\n}\n",
        "resource \"aws_kms_key\" \"a\" {\n  description = \"x\"\n  policy      = \"{}\"\n\n  tags = {\n    a = \"b\"\n  }\n}\n"
            .replace("\"{}\"\n", "\"{}\"\n  enable_key_rotation = true\n")
            .replace("description =", "description         =")
            .replace("policy      =", "policy              =")
            .as_str(),
    );
}

#[test]
fn carriage_returns_and_empty_blocks_are_kept_in_form() {
    becomes(
        "kms-key-never-rotated",
        "resource \"aws_kms_key\" \"a\" {}\r\n",
        "resource \"aws_kms_key\" \"a\" {\r\n  enable_key_rotation = true\r\n}\r\n",
    );
}

#[test]
fn a_value_is_changed_where_it_is_written() {
    let texts = fixed(
        "database-publicly-accessible",
        &[
            ("main.tf", "resource \"aws_db_instance\" \"a\" {\n  publicly_accessible = var.public\n}\n"),
            ("variables.tf", "variable \"public\" {\n  default = true\n}\n"),
        ],
    );
    assert_eq!(texts[1], "variable \"public\" {\n  default = false\n}\n");
}

#[test]
fn values_of_files_win_over_defaults() {
    let texts = fixed(
        "database-publicly-accessible",
        &[
            (
                "main.tf",
                "variable \"public\" {\n  default = false\n}\n\nresource \"aws_db_instance\" \"a\" {\n  publicly_accessible = var.public\n}\n",
            ),
            ("terraform.tfvars", "public = true\n"),
        ],
    );
    assert_eq!(texts[1], "public = false\n");
}

#[test]
fn a_default_that_others_use_as_well_is_left_alone() {
    let module = "variable \"public\" {\n  default = true\n}\n\nresource \"aws_db_instance\" \"a\" {\n  publicly_accessible = var.public\n}\n\nresource \"null_resource\" \"b\" {\n  triggers = {\n    public = var.public\n  }\n}\n";
    let texts = fixed("database-publicly-accessible", &[("main.tf", "module \"db\" {\n  source = \"./db\"\n}\n"), ("db/main.tf", module)]);
    assert_eq!(texts[0], "module \"db\" {\n  source = \"./db\"\n}\n");
    assert_eq!(texts[1], module.replace("publicly_accessible = var.public", "publicly_accessible = false"));
}

#[test]
fn a_module_is_handed_another_argument() {
    let module = "variable \"public\" {}\n\nresource \"aws_db_instance\" \"a\" {\n  publicly_accessible = var.public\n}\n";
    let texts = fixed(
        "database-publicly-accessible",
        &[("main.tf", "module \"db\" {\n  source = \"./db\"\n  public = true\n}\n"), ("db/main.tf", module)],
    );
    assert_eq!(texts[0], "module \"db\" {\n  source = \"./db\"\n  public = false\n}\n");
}

#[test]
fn a_companion_stands_beside_and_has_as_many_instances() {
    let texts = fixed(
        "s3-bucket-without-public-access-block",
        &[("main.tf", "resource \"aws_s3_bucket\" \"logs\" {\n  count  = 2\n  bucket = \"b-${count.index}\"\n}\n")],
    );
    assert!(texts[0].contains("resource \"aws_s3_bucket_public_access_block\" \"logs\" {\n  count "), "{}", texts[0]);
    assert!(texts[0].contains("= aws_s3_bucket.logs[count.index].id\n"), "{}", texts[0]);
    let texts = fixed(
        "s3-bucket-without-public-access-block",
        &[("main.tf", "resource \"aws_s3_bucket\" \"logs\" {\n  for_each = toset([\"a\", \"b\"])\n  bucket   = each.key\n}\n")],
    );
    assert!(texts[0].contains("for_each                = aws_s3_bucket.logs\n"), "{}", texts[0]);
    assert!(texts[0].contains("bucket                  = each.value.id\n"), "{}", texts[0]);
}

#[test]
fn what_was_not_asked_for_is_not_broken() {
    let table = RuleTable::embedded().unwrap();
    let folder = folder(&[
        (
            "modules/store/main.tf",
            "variable \"acl\" {\n  type = string\n}\n\nresource \"aws_s3_bucket\" \"a\" {\n  acl = var.acl\n}\n\ndata \"aws_iam_policy_document\" \"all\" {\n  statement {\n    actions   = [\"s3:PutObject\"]\n    resources = [\"*\"]\n  }\n}\n",
        ),
        ("live/main.tf", "module \"store\" {\n  source = \"../modules/store\"\n  acl    = \"private\"\n}\n"),
        ("test/main.tf", "module \"store\" {\n  source = \"../modules/store\"\n  acl    = \"log-delivery-write\"\n}\n"),
    ]);
    let mut request = request(&table, folder.path());
    request.targets = Targets::resolve(&[folder.path().join("live")], None, None, Some(folder.path())).unwrap();
    let mut fixer = Fixer::new(&table, &request, Given::new());
    // A change of the module reaches all that calls it, asked for or not.
    let rule = table.find("s3-bucket-without-versioning").unwrap();
    let outcome = fixer.fix(&Subject { rule, root: "live", address: "module.store.aws_s3_bucket.a" });
    let Outcome::Fixed(fix) = outcome else { panic!("{outcome:?}") };
    assert_eq!((fix.edits[0].path.as_str(), &fix.proof.roots[..]), ("modules/store/main.tf", &["live".to_owned(), "test".to_owned()][..]));
    // A value that only a person knows would be missing where the module is called from elsewhere.
    let rule = table.find("iam-policy-document-writes-anywhere").unwrap();
    let outcome = fixer.fix(&Subject { rule, root: "live", address: "module.store.data.aws_iam_policy_document.all" });
    assert!(matches!(outcome, Outcome::Refused(_)), "{outcome:?}");
}

#[test]
fn a_default_that_does_not_reach_every_root_module_is_left_alone() {
    let table = RuleTable::embedded().unwrap();
    let module = |default: bool| {
        format!(
            "variable \"encrypted\" {{\n  type    = bool\n  default = {default}\n}}\n\nresource \"aws_ebs_volume\" \"a\" {{\n  encrypted = var.encrypted\n}}\n"
        )
    };
    let call = |argument: &str| format!("module \"disk\" {{\n  source    = \"../modules/disk\"\n{argument}}}\n");
    let said = call("  encrypted = false\n");
    let folder = folder(&[("modules/disk/main.tf", &*module(false)), ("live/main.tf", &*said), ("test/main.tf", &*call(""))]);
    let mut fixer = Fixer::new(&table, &request(&table, folder.path()), Given::new());
    let rule = table.find("ebs-volume-not-encrypted").unwrap();
    let address = "module.disk.aws_ebs_volume.a";
    let outcome = fixer.fix(&Subject { rule, root: "test", address });
    let Outcome::Fixed(fix) = outcome else { panic!("{outcome:?}") };
    // With the default changed the other would fail still, as it says otherwise itself.
    let texts: Vec<_> = fix.texts.iter().map(|(path, text)| (path.as_str(), text.to_string())).collect();
    assert_eq!(texts, [("test/main.tf", call("  encrypted = true\n"))]);
    fixer.accept(&fix);
    let outcome = fixer.fix(&Subject { rule, root: "live", address });
    let Outcome::Fixed(fix) = outcome else { panic!("{outcome:?}") };
    assert_eq!(fix.texts.into_iter().collect::<Vec<_>>(), [("live/main.tf".to_owned(), said.replace("false", "true").into())]);
}

const ACL: &str =
    "resource \"aws_wafv2_web_acl\" \"web\" {\n  name  = \"web\"\n  scope = \"REGIONAL\"\n\n  default_action {\n    allow {}\n  }\n";
const VISIBILITY: &str = "\n  visibility_config {\n    cloudwatch_metrics_enabled = true\n    metric_name                = \"web\"\n    sampled_requests_enabled   = true\n  }\n}\n";
const LOGGED: &str = "\nresource \"aws_wafv2_web_acl_logging_configuration\" \"web\" {\n  resource_arn            = aws_wafv2_web_acl.web.arn\n  log_destination_configs = [var.logs]\n}\n\nvariable \"logs\" {}\n";
const PROTECTED: &str = "\nresource \"aws_appsync_graphql_api\" \"orders\" {\n  name                = \"orders\"\n  authentication_type = \"AWS_IAM\"\n}\n\nresource \"aws_wafv2_web_acl_association\" \"orders\" {\n  resource_arn = aws_appsync_graphql_api.orders.arn\n  web_acl_arn  = aws_wafv2_web_acl.web.arn\n}\n";

#[test]
fn what_is_associated_already_gets_what_it_lacks() {
    let before = format!("{ACL}{VISIBILITY}{LOGGED}{PROTECTED}");
    let [after] = &fixed("appsync-waf-without-log4j-rules", &[("main.tf", &before)])[..] else { panic!() };
    assert_eq!(after.matches("resource \"").count(), before.matches("resource \"").count(), "{after}");
    // Rules are told apart by their names.
    for name in ["anonymous-addresses", "bad-inputs"] {
        assert_eq!(after.matches(&format!("\n    name     = \"{name}\"\n")).count(), 1, "{after}");
    }
    assert!(after.starts_with(ACL), "{after}");
}

#[test]
fn no_second_association_is_made_where_the_first_has_rules_of_its_own() {
    let rule = "\n  rule {\n    name     = \"rates\"\n    priority = 1\n\n    action {\n      block {}\n    }\n\n    statement {\n      rate_based_statement {\n        limit = 2000\n      }\n    }\n  }\n";
    let before = format!("{ACL}{rule}{VISIBILITY}{LOGGED}{PROTECTED}");
    let (_, after) = tried("appsync-waf-without-log4j-rules", &before);
    assert_eq!(after, before);
}

const DATABASE: &str = "resource \"azurerm_postgresql_server\" \"NAME\" {\n  name                    = \"NAME\"\n  resource_group_name     = \"shop\"\n  location                = \"westeurope\"\n  sku_name                = \"GP_Gen5_2\"\n  version                 = \"11\"\n  ssl_enforcement_enabled = true\n}\n\n";
const KEY: &str = "resource \"azurerm_postgresql_server_key\" \"main\" {\n  server_id        = \"\"\n  key_vault_key_id = \"\"\n}\n";

#[test]
fn a_part_belongs_to_the_one_whole_that_is_there() {
    let of = |names: &[&str]| {
        let servers: String = names.iter().map(|name| DATABASE.replace("NAME", name)).collect();
        tried("postgresql-server-key-unconnected", &format!("{servers}{KEY}"))
    };
    let (is_fixed, one) = of(&["orders"]);
    assert!(is_fixed && one.contains("server_id        = azurerm_postgresql_server.orders.id"), "{one}");
    for names in [&["orders"][..], &["orders", "stock"], &[]] {
        let (_, after) = of(names);
        // Another server is nobody's wish.
        assert_eq!(after.matches("\"azurerm_postgresql_server\"").count(), names.len(), "{after}");
    }
}

/// Whether what a rule finds in a text is fixed, and the text afterwards.
fn tried(rule: &str, text: &str) -> (bool, String) {
    let table = RuleTable::embedded().unwrap();
    let folder = folder(&[("main.tf", text)]);
    let (fixer, outcomes) = fix_all(&table, folder.path(), table.find(rule).unwrap());
    let is_fixed = outcomes.iter().all(|(_, outcome)| !matches!(outcome, Outcome::Refused(_)));
    (is_fixed, fixer.text("main.tf").unwrap().to_string())
}
