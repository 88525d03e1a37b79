//! Modules: where they are found, how often they are called, what flows through them.

use super::support::evaluate;

#[test]
fn modules_are_instantiated_and_their_outputs_read() {
    let project = evaluate(&[
        (
            "main.tf",
            r#"
            module "one" {
              source = "./m"
              name   = "single"
            }
            module "many" {
              for_each = { a = "x", b = "y" }
              source   = "./m"
              name     = each.value
            }
            module "counted" {
              count  = 2
              source = "./m"
              name   = "n${count.index}"
            }
            output "one" { value = module.one.full }
            output "b" { value = module.many["b"].full }
            output "all" { value = { for key, m in module.many : key => m.full } }
            output "splat" { value = module.counted[*].full }
            "#,
        ),
        (
            "m/main.tf",
            "variable \"name\" {}\nresource \"aws_s3_bucket\" \"b\" { bucket = var.name }\noutput \"full\" { value = \"full-${var.name}\" }",
        ),
    ]);
    assert_eq!(project.roots, [""]);
    assert_eq!(project.output("one"), "\"full-single\"");
    assert_eq!(project.output("b"), "\"full-y\"");
    assert_eq!(project.output("all"), "{a: \"full-x\", b: \"full-y\"}");
    assert_eq!(project.output("splat"), "[\"full-n0\", \"full-n1\"]");
    let buckets: Vec<&str> = project.addresses().into_iter().filter(|address| address.contains("aws_s3_bucket")).collect();
    assert_eq!(
        buckets,
        [
            "module.counted[0].aws_s3_bucket.b",
            "module.counted[1].aws_s3_bucket.b",
            "module.many[\"a\"].aws_s3_bucket.b",
            "module.many[\"b\"].aws_s3_bucket.b",
            "module.one.aws_s3_bucket.b"
        ]
    );
}

#[test]
fn two_modules_may_feed_each_other() {
    let project = evaluate(&[
        (
            "main.tf",
            "module \"a\" {\n  source = \"./m\"\n  in = module.b.other\n}\nmodule \"b\" {\n  source = \"./m\"\n  in = module.a.fixed\n}\noutput \"a\" { value = module.a.out }\noutput \"b\" { value = module.b.out }",
        ),
        (
            "m/main.tf",
            "variable \"in\" {}\noutput \"out\" { value = var.in }\noutput \"fixed\" { value = 1 }\noutput \"other\" { value = 2 }",
        ),
    ]);
    assert_eq!((project.output("a"), project.output("b")), ("2".to_owned(), "1".to_owned()));
}

#[test]
fn a_module_that_is_not_there_is_named_once() {
    let project = evaluate(&[(
        "main.tf",
        "module \"vpc\" {\n  source  = \"terraform-aws-modules/vpc/aws\"\n  version = \"5.0.0\"\n}\noutput \"id\" { value = module.vpc.vpc_id }",
    )]);
    assert_eq!(project.output("id"), "?(module not installed: `module.vpc` (terraform-aws-modules/vpc/aws))");
    assert_eq!(project.diagnostics, ["module not installed: `module.vpc` (terraform-aws-modules/vpc/aws)"]);
}

#[test]
fn installed_modules_are_found_by_the_manifest() {
    let project = evaluate(&[
        ("main.tf", "module \"vpc\" {\n  source  = \"example/vpc/aws\"\n}\noutput \"id\" { value = module.vpc.id }"),
        (
            ".terraform/modules/modules.json",
            r#"{"Modules":[{"Key":"","Source":"","Dir":"."},{"Key":"vpc","Source":"registry/example/vpc/aws","Dir":".terraform/modules/vpc"},{"Key":"vpc.sub","Source":"x","Dir":".terraform/modules/sub"}]}"#,
        ),
        (".terraform/modules/vpc/main.tf", "module \"sub\" { source = \"git::x\" }\noutput \"id\" { value = module.sub.id }"),
        (".terraform/modules/sub/main.tf", "output \"id\" { value = \"found\" }"),
    ]);
    assert_eq!(project.output("id"), "\"found\"");
    assert!(project.diagnostics.is_empty(), "{:?}", project.diagnostics);
}

#[test]
fn a_module_beside_the_root_is_read_but_not_beyond() {
    let files = [
        (
            "envs/prod/main.tf",
            "module \"x\" { source = \"../../modules/x\" }\nmodule \"evil\" { source = \"../../../etc\" }\noutput \"x\" { value = module.x.v }",
        ),
        ("modules/x/main.tf", "output \"v\" { value = path.module }"),
    ];
    let project = evaluate(&files);
    assert_eq!(project.roots, ["envs/prod"]);
    assert_eq!(project.output("x"), "\"../../modules/x\"");
    assert_eq!(project.diagnostics, ["module not installed: `module.evil` (../../../etc)"]);
}

#[test]
fn modules_that_only_call_each_other_are_judged_all_the_same() {
    let project = evaluate(&[
        ("a/main.tf", "module \"b\" { source = \"../b\" }\nresource \"null_resource\" \"a\" {}"),
        ("b/main.tf", "module \"a\" { source = \"../a\" }\nresource \"null_resource\" \"b\" {}"),
    ]);
    assert_eq!(project.roots, ["a"]);
    assert!(project.addresses().contains(&"module.b.null_resource.b"));
}

#[test]
fn a_module_that_calls_itself_is_named_and_not_followed() {
    let project = evaluate(&[
        ("main.tf", "module \"m\" { source = \"./m\" }"),
        ("m/main.tf", "module \"again\" { source = \"../m\" }\nresource \"null_resource\" \"r\" {}"),
    ]);
    assert_eq!(project.addresses(), ["module.m", "module.m.null_resource.r", "module.m.module.again"]);
    assert_eq!(project.diagnostics, ["`module.again` calls a module that it is part of"]);
}

#[test]
fn two_blocks_of_one_name_are_both_judged() {
    let project = evaluate(&[("main.tf", "resource \"null_resource\" \"r\" { a = 1 }\nresource \"null_resource\" \"r\" { a = 2 }")]);
    assert_eq!(project.addresses(), ["null_resource.r", "null_resource.r"]);
    assert_eq!(project.diagnostics, ["`null_resource.r` is declared twice: both blocks were judged"]);
}
