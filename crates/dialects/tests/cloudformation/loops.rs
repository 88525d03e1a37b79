//! `Fn::ForEach`.

use super::support::evaluate;

#[test]
fn loops_are_unrolled() {
    let template = evaluate(
        "Transform: AWS::LanguageExtensions
Parameters:
  Names: {Type: CommaDelimitedList, Default: 'One,Two'}
Resources:
  Fn::ForEach::Topics:
    - Name
    - !Ref Names
    - 'Topic${Name}':
        Type: AWS::SNS::Topic
        DependsOn: 'Queue${Name}'
        Properties:
          TopicName: !Sub 'topic-${Name}-x'
          Plain: 'p-${Name}'
          Other: !GetAtt 'Queue${Name}.Arn'
          Fn::ForEach::Inner:
            - Key
            - [10.0.0.0, b]
            - '&{Key}': !Ref Key
      'Queue${Name}':
        Type: AWS::SQS::Queue
",
    );
    assert_eq!(template.messages(), [""; 0]);
    let made: Vec<&str> = template.addresses().into_iter().filter(|address| !address.starts_with("parameter.")).collect();
    assert_eq!(made, ["TopicOne", "QueueOne", "TopicTwo", "QueueTwo"]);
    assert_eq!(template.show("TopicTwo", "TopicName"), r#""topic-Two-x""#);
    assert_eq!(template.show("TopicTwo", "Plain"), r#""p-Two""#);
    assert_eq!(template.show("TopicTwo", "Other"), "?(`QueueTwo.Arn` is known only after apply)");
    assert_eq!(template.show("TopicTwo", "10000"), r#""10.0.0.0""#);
    let graph = keyblind_resource::ResourceGraph::new(template.evaluation.resources);
    let topic = graph.resources.iter().position(|resource| &*resource.address == "TopicTwo").unwrap();
    let paths: Vec<&str> = graph.outgoing(topic).map(|link| &*link.path).collect();
    assert_eq!(paths, ["@attributes.DependsOn", "Other"]);
}

#[test]
fn an_unknown_collection_is_judged_once() {
    let template = evaluate(
        "Parameters:\n  Names: {Type: CommaDelimitedList}\nResources:\n  Fn::ForEach::Topics:\n    - Name\n    - !Ref Names\n    - 'Topic${Name}': {Type: AWS::SNS::Topic, Properties: {TopicName: !Sub 'x-${Name}'}}\n",
    );
    assert_eq!(template.show("Topic${Name}", "TopicName"), r#"?(parameter `Names` has no value) "x-?""#);
}

#[test]
fn loops_in_loops_end_at_a_limit() {
    let items = (0..100).map(|number| format!("i{number}")).collect::<Vec<_>>().join(", ");
    let mut text = "Resources:\n".to_owned();
    for level in 0..4 {
        let indent = "    ".repeat(level);
        text.push_str(&format!("{indent}  Fn::ForEach::L{level}:\n{indent}    - I{level}\n{indent}    - [{items}]\n{indent}    -\n"));
    }
    text.push_str(&format!("{}  'R${{I0}}${{I1}}${{I2}}${{I3}}': {{Type: A::B::C}}\n", "    ".repeat(4)));
    let template = evaluate(&text);
    assert!(template.evaluation.resources.len() <= keyblind_dialects::limits::INSTANCES_PER_BLOCK + 100);
    assert!(template.messages().iter().any(|message| message.contains("too many copies")), "{:?}", template.messages());
}
