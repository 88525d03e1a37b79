//! Stacks within stacks: judged as they are called, with what they are handed over.

use keyblind_dialects::{Evaluation, MemoryTree, cloudformation};
use keyblind_resource::{BlockKind, Value};
use keyblind_syntax::SourceMap;

use super::support::show;

const CHILD: &str = "Parameters:
  Acl: {Type: String, Default: Private}
  Cidrs: {Type: CommaDelimitedList, Default: 10.0.0.0/8}
Conditions:
  IsPublic: !Equals [!Ref Acl, PublicRead]
Resources:
  Bucket:
    Type: AWS::S3::Bucket
    Properties:
      AccessControl: !Ref Acl
      First: !Select [0, !Ref Cidrs]
      Public: !If [IsPublic, yes, no]
Outputs:
  Name: {Value: !Ref Bucket}
  Acl: {Value: !Sub 'acl-${Acl}'}
";

struct Evaluated {
    sources: SourceMap,
    roots: Vec<(String, Evaluation)>,
    messages: Vec<String>,
}

/// Evaluates the roots among the files whose names end with `.yaml`; others are only there to be named.
fn evaluate(files: &[(&str, &str)]) -> Evaluated {
    let tree = MemoryTree::new(files.iter().copied());
    let mut sources = SourceMap::default();
    let given = files.iter().filter(|(path, _)| path.ends_with(".yaml")).map(|(path, text)| ((*path).into(), (*text).into()));
    let project = cloudformation::Project::parse(given.collect(), &tree, &mut sources);
    let roots: Vec<_> = project.roots().iter().map(|root| (root.path.to_string(), project.evaluate(root, &sources))).collect();
    let said = project.diagnostics().iter().chain(roots.iter().flat_map(|(_, evaluation)| &evaluation.diagnostics));
    let messages = said.map(|diagnostic| diagnostic.message.clone()).collect();
    Evaluated { sources, roots, messages }
}

impl Evaluated {
    fn roots(&self) -> Vec<&str> {
        self.roots.iter().map(|(path, _)| path.as_str()).collect()
    }

    fn property(&self, address: &str, property: &str) -> &Value {
        let mut resources = self.roots.iter().flat_map(|(_, evaluation)| &evaluation.resources);
        let resource = resources.find(|resource| &*resource.address == address).unwrap_or_else(|| panic!("no {address}"));
        resource.body.get(property).unwrap_or_else(|| panic!("{address} has no {property}"))
    }

    fn show(&self, address: &str, property: &str) -> String {
        show(self.property(address, property))
    }

    fn addresses(&self) -> Vec<&str> {
        let resources = self.roots.iter().flat_map(|(_, evaluation)| &evaluation.resources);
        resources.filter(|resource| !resource.address.contains('.')).map(|resource| &*resource.address).collect()
    }

    /// File, line and kind of each step of a value's way.
    fn way(&self, value: &Value) -> Vec<String> {
        let place = |site: keyblind_syntax::Site| {
            let file = self.sources.file(site.file);
            format!("{}:{}", file.path, file.line_column(site.range.start).line)
        };
        let hops = value.origin.hops().map(|hop| format!("{} {:?}", place(hop.site), hop.kind));
        hops.chain(value.origin.written_at().map(place)).collect()
    }
}

fn parent(properties: &str) -> String {
    format!(
        "Parameters:\n  Given: {{Type: String, Default: PublicRead}}\nResources:\n  Data:\n    Type: AWS::CloudFormation::Stack\n    Properties: {properties}\n"
    )
}

#[test]
fn a_stack_is_judged_with_what_it_is_handed_over() {
    let text = parent("{TemplateURL: child/data.yaml, Parameters: {Acl: !Ref Given, Cidrs: '0.0.0.0/0,::/0'}}");
    let evaluated = evaluate(&[("child/data.yaml", CHILD), ("main.yaml", &text)]);
    assert_eq!((evaluated.roots(), evaluated.messages.as_slice()), (vec!["main.yaml"], [].as_slice()));
    assert_eq!(evaluated.addresses(), ["Data", "Data/Bucket"]);
    assert_eq!(evaluated.show("Data/Bucket", "AccessControl"), "\"PublicRead\"");
    assert_eq!(evaluated.show("Data/Bucket", "First"), "\"0.0.0.0/0\"");
    assert_eq!(evaluated.show("Data/Bucket", "Public"), "true");
    assert_eq!(
        evaluated.way(evaluated.property("Data/Bucket", "AccessControl")),
        [
            "child/data.yaml:10 Parameter(\"Acl\")",
            "main.yaml:6 ModuleInput { module: \"Data\", input: \"Acl\" }",
            "main.yaml:6 Parameter(\"Given\")",
            "main.yaml:2",
        ]
    );
    let resources = &evaluated.roots[0].1.resources;
    let stack = resources.iter().find(|resource| &*resource.address == "Data").unwrap();
    let bucket = resources.iter().find(|resource| &*resource.address == "Data/Bucket").unwrap();
    assert_eq!((stack.kind, stack.calls.len()), (BlockKind::Managed, 0));
    assert_eq!(bucket.calls.to_vec(), [stack.block]);
}

#[test]
fn a_template_that_nothing_names_is_judged_by_itself() {
    let evaluated = evaluate(&[("child/data.yaml", CHILD), ("main.yaml", &parent("{TemplateURL: 'https://example.com/data.yaml'}"))]);
    assert_eq!(evaluated.roots(), ["child/data.yaml", "main.yaml"]);
    assert_eq!(evaluated.show("Bucket", "AccessControl"), "\"Private\"");
    assert_eq!(evaluated.messages, ["the template of stack `Data` isn't in the tree: it was not judged"]);
    // A template of another kind of path, and one whose path is put together, aren't known before they are deployed.
    for url in ["s3://bucket/data.yaml", "!Sub 'https://${AWS::URLSuffix}/child/data.yaml'", "!Ref Given"] {
        assert_eq!(
            evaluate(&[("child/data.yaml", CHILD), ("main.yaml", &parent(&format!("{{TemplateURL: {url}}}")))]).roots().len(),
            2,
            "{url}"
        );
    }
}

#[test]
fn a_template_that_was_not_asked_for_is_read_when_it_is_named() {
    let evaluated = evaluate(&[("data.template", CHILD), ("main.yaml", &parent("{TemplateURL: ./data.template}"))]);
    assert_eq!(evaluated.roots(), ["main.yaml"]);
    assert_eq!(evaluated.show("Data/Bucket", "AccessControl"), "\"Private\"");
}

#[test]
fn outputs_lead_to_what_they_are_made_of() {
    let other = "  Uses:\n    Type: A::B::C\n    Properties:\n      Acl: !GetAtt Data.Outputs.Acl\n      Name: !GetAtt [Data, Outputs.Name]\n      Sub: !Sub '${Data.Outputs.Acl}!'\n      None: !GetAtt Data.Outputs.Missing\n";
    let text = parent("{TemplateURL: data.yaml, Parameters: {Acl: !Ref Given}}") + other;
    let evaluated = evaluate(&[("data.yaml", CHILD), ("main.yaml", &text)]);
    assert_eq!(evaluated.show("Uses", "Acl"), "\"acl-PublicRead\"");
    assert_eq!(evaluated.show("Uses", "Sub"), "\"acl-PublicRead!\"");
    assert!(evaluated.show("Uses", "None").contains("Outputs.Missing"), "{}", evaluated.show("Uses", "None"));
    let name = evaluated.property("Uses", "Name").as_unknown().unwrap();
    assert_eq!(name.references.iter().map(|reference| &*reference.address).collect::<Vec<_>>(), ["Data/Bucket"]);
    assert_eq!(evaluated.way(evaluated.property("Uses", "Acl"))[0], "main.yaml:10 ModuleOutput { module: \"Data\", output: \"Acl\" }");
}

#[test]
fn one_template_makes_several_stacks() {
    let text = "Resources:
  One: {Type: AWS::CloudFormation::Stack, Properties: {TemplateURL: data.yaml, Parameters: {Acl: PublicRead}}}
  Two: {Type: AWS::Serverless::Application, Properties: {Location: data.yaml, Parameters: {Acl: !GetAtt One.Outputs.Acl}}}
  Fn::ForEach::Each:
    - Id
    - [A, B]
    - Stack${Id}: {Type: AWS::CloudFormation::Stack, Properties: {TemplateURL: data.yaml, Parameters: {Acl: !Ref Id}}}
";
    let evaluated = evaluate(&[("data.yaml", CHILD), ("main.yaml", text)]);
    assert_eq!(evaluated.roots(), ["main.yaml"]);
    for (address, acl) in [("One/Bucket", "PublicRead"), ("Two/Bucket", "acl-PublicRead"), ("StackA/Bucket", "A"), ("StackB/Bucket", "B")] {
        assert_eq!(evaluated.show(address, "AccessControl"), format!("{acl:?}"));
    }
}

#[test]
fn what_is_not_handed_over_in_the_end_is_the_default() {
    let text = parent("{TemplateURL: data.yaml, Parameters: {Acl: !Ref AWS::NoValue}}");
    assert_eq!(evaluate(&[("data.yaml", CHILD), ("main.yaml", &text)]).show("Data/Bucket", "AccessControl"), "\"Private\"");
    // What isn't known isn't the default.
    let text = parent("{TemplateURL: data.yaml, Parameters: {'Fn::Transform': {Name: M}}}");
    assert!(evaluate(&[("data.yaml", CHILD), ("main.yaml", &text)]).show("Data/Bucket", "AccessControl").starts_with('?'));
    let text = parent("{TemplateURL: data.yaml, Parameters: {Acl: [a]}}");
    let shown = evaluate(&[("data.yaml", CHILD), ("main.yaml", &text)]).show("Data/Bucket", "AccessControl");
    assert!(shown.starts_with('?') && shown.contains("Acl"), "{shown}");
}

#[test]
fn stacks_within_stacks_keep_their_way() {
    let middle = parent("{TemplateURL: ../data.yaml, Parameters: {Acl: !Ref Given}}");
    let top = parent("{TemplateURL: middle/main.yaml, Parameters: {Given: Top}}");
    let evaluated = evaluate(&[("data.yaml", CHILD), ("middle/main.yaml", &middle), ("top.yaml", &top)]);
    assert_eq!(evaluated.roots(), ["top.yaml"]);
    assert_eq!(evaluated.show("Data/Data/Bucket", "AccessControl"), "\"Top\"");
}

#[test]
fn a_circle_ends_and_is_judged_once() {
    let (one, two) = (parent("{TemplateURL: two.yaml}"), parent("{TemplateURL: one.yaml}"));
    let evaluated = evaluate(&[("one.yaml", &one), ("two.yaml", &two)]);
    assert_eq!(evaluated.roots(), ["one.yaml"]);
    assert_eq!(evaluated.messages, ["the stack `Data` was not judged: its template leads back to itself"]);
    let itself = evaluate(&[("one.yaml", &parent("{TemplateURL: one.yaml}"))]);
    assert_eq!((itself.roots().len(), itself.messages.len()), (1, 1));
    // Two stacks that want each other's outputs.
    let text = "Resources:
  A: {Type: AWS::CloudFormation::Stack, Properties: {TemplateURL: data.yaml, Parameters: {Acl: !GetAtt B.Outputs.Acl}}}
  B: {Type: AWS::CloudFormation::Stack, Properties: {TemplateURL: data.yaml, Parameters: {Acl: !GetAtt A.Outputs.Acl}}}
";
    let evaluated = evaluate(&[("data.yaml", CHILD), ("main.yaml", text)]);
    assert!(evaluated.show("A/Bucket", "AccessControl").starts_with('?'));
}

#[test]
fn stacks_that_multiply_end() {
    let twice = |next: &str| {
        format!(
            "Resources:\n  A: {{Type: AWS::CloudFormation::Stack, Properties: {{TemplateURL: {next}}}}}\n  B: {{Type: AWS::CloudFormation::Stack, Properties: {{TemplateURL: {next}}}}}\n"
        )
    };
    let files: Vec<(String, String)> = (0..24).map(|number| (format!("{number}.yaml"), twice(&format!("{}.yaml", number + 1)))).collect();
    let mut files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
    files.push(("24.yaml", CHILD));
    let evaluated = evaluate(&files);
    assert_eq!(evaluated.roots(), ["0.yaml"]);
    assert!(evaluated.messages.iter().any(|message| message.contains("too many stacks")), "{:?}", evaluated.messages.first());
}

#[test]
fn nothing_outside_of_the_tree_is_read() {
    for (url, message) in [
        ("../data.yaml", "the template of stack `Data` lies outside of what may be read: it was not judged"),
        ("/etc/data.yaml", "the template of stack `Data` lies outside of what may be read: it was not judged"),
        ("gone.yaml", "there is no template at `gone.yaml` for stack `Data`: it was not judged"),
    ] {
        assert_eq!(evaluate(&[("main.yaml", &parent(&format!("{{TemplateURL: {url}}}")))]).messages, [message]);
    }
    let evaluated = evaluate(&[("notes.txt", "no template"), ("main.yaml", &parent("{TemplateURL: notes.txt}"))]);
    assert_eq!(evaluated.messages[0], "a stack names it as its template, but it is none");
}

#[test]
fn an_asset_is_found_by_the_path_beside_its_address() {
    let text = "{\"Resources\": {\"N\": {\"Type\": \"AWS::CloudFormation::Stack\", \"Properties\": {\"TemplateURL\": {\"Fn::Sub\": \"https://x.${AWS::URLSuffix}/a\"}},
      \"Metadata\": {\"aws:asset:path\": \"data.yaml\", \"aws:asset:property\": \"TemplateURL\"}}}}";
    let evaluated = evaluate(&[("data.yaml", CHILD), ("main.yaml", text)]);
    assert_eq!((evaluated.roots(), evaluated.addresses()), (vec!["main.yaml"], vec!["N", "N/Bucket"]));
}
