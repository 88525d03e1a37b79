//! Every value knows where it was written and what carried it.

use super::support::evaluate;

#[test]
fn a_value_is_followed_through_a_module_to_the_default_of_a_variable() {
    let project = evaluate(&[
        ("main.tf", "module \"web\" {\n  source = \"./web\"\n  acl    = var.acl\n}\n"),
        ("variables.tf", "variable \"acl\" {\n  default = \"public-read\"\n}\n"),
        ("web/main.tf", "variable \"acl\" {}\nresource \"aws_s3_bucket\" \"b\" {\n  acl = var.acl\n}\n"),
    ]);
    let bucket = project.resource("module.web.aws_s3_bucket.b");
    let acl = bucket.body.get("acl").unwrap();
    assert_eq!(project.written(acl), "variables.tf:2 \"public-read\"");
    let steps: Vec<String> = acl
        .origin
        .hops()
        .map(|hop| format!("{}:{} {:?}", project.sources.file(hop.site.file).path, project.sources.start(hop.site).line, hop.kind))
        .collect();
    assert_eq!(
        steps,
        [
            "web/main.tf:3 Variable(\"acl\")",
            "main.tf:3 ModuleInput { module: \"module.web\", input: \"acl\" }",
            "main.tf:3 Variable(\"acl\")",
            "variables.tf:2 Default(\"acl\")"
        ]
    );
}
