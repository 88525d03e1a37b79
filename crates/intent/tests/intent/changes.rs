use keyblind_intent::*;
use serde_json::{Map, Value};

use crate::samples;

/// Every place in a tree, as the keys that lead there.
fn places(value: &Value, path: &mut Vec<String>, found: &mut Vec<Vec<String>>) {
    found.push(path.clone());
    let children: Vec<(String, &Value)> = match value {
        Value::Object(fields) => fields.iter().map(|(key, value)| (key.clone(), value)).collect(),
        Value::Array(items) => items.iter().enumerate().map(|(index, value)| (index.to_string(), value)).collect(),
        _ => Vec::new(),
    };
    for (key, child) in children {
        path.push(key);
        places(child, path, found);
        path.pop();
    }
}

fn at<'a>(value: &'a mut Value, path: &[String]) -> &'a mut Value {
    path.iter().fold(value, |value, key| match value {
        Value::Object(fields) => fields.get_mut(key).unwrap(),
        Value::Array(items) => &mut items[key.parse::<usize>().unwrap()],
        _ => unreachable!("only objects and lists lead on"),
    })
}

/// Other values that could stand at a place: near ones, so that many of them are sound.
fn others(value: &Value) -> Vec<Value> {
    match value {
        Value::Null => vec![Value::from(1), Value::from("a")],
        Value::Bool(is) => vec![Value::Bool(!is), Value::Null],
        Value::Number(number) => {
            let number = number.as_u64().unwrap();
            vec![Value::from(number + 1), Value::from(number.saturating_sub(1)), Value::Null]
        }
        Value::String(text) => {
            let mut variants = vec![format!("{text}a"), format!("{text}0"), "main".to_owned(), String::new(), text.to_ascii_uppercase()];
            // One character changed, at each end: digests, commits and identifiers stay sound.
            for index in [0, text.len().saturating_sub(1)] {
                if let Some(old) = text.get(index..=index) {
                    for new in ["0", "1", "a", "b"] {
                        if new != old {
                            variants.push(format!("{}{new}{}", &text[..index], &text[index + 1..]));
                        }
                    }
                }
            }
            let mut variants: Vec<Value> = variants.into_iter().filter(|variant| variant != text).map(Value::from).collect();
            variants.push(Value::Null);
            variants
        }
        Value::Array(items) => vec![Value::Array(Vec::new()), Value::Array([items.clone(), items.clone()].concat()), Value::Null],
        Value::Object(_) => vec![Value::Null, Value::Object(Map::new())],
    }
}

#[test]
fn each_field_flipped_once_is_refused_or_another_change() {
    let (mut refused, mut different, mut fields) = (0, 0, 0);
    for sample in samples::changes() {
        let change = Change::new(sample).unwrap();
        let tree: Value = serde_json::from_slice(change.canonical()).unwrap();
        let mut found = Vec::new();
        places(&tree, &mut Vec::new(), &mut found);
        for path in found {
            let mut copy = tree.clone();
            let original = at(&mut copy, &path).clone();
            let mut is_flipped_soundly = false;
            for other in others(&original).into_iter().filter(|other| *other != original) {
                *at(&mut copy, &path) = other.clone();
                match Change::decode(&serde_json::to_vec(&copy).unwrap()) {
                    Err(_) => refused += 1,
                    Ok(changed) => {
                        assert_ne!(changed.digest(), change.digest(), "{path:?} = {other} doesn't count");
                        assert_ne!(changed.fields(), change.fields());
                        different += 1;
                        is_flipped_soundly = true;
                    }
                }
            }
            fields += usize::from(is_flipped_soundly);
        }
    }
    // The test would be empty if nothing were taken, or nothing refused.
    assert!(refused > 500 && different > 200 && fields > 100, "{refused} refused, {different} different, {fields} fields");
}

#[test]
fn a_field_more_or_one_less_is_refused() {
    for sample in samples::changes() {
        let change = Change::new(sample).unwrap();
        let tree: Value = serde_json::from_slice(change.canonical()).unwrap();
        let mut found = Vec::new();
        places(&tree, &mut Vec::new(), &mut found);
        for path in found {
            let mut copy = tree.clone();
            let Value::Object(fields) = at(&mut copy, &path) else { continue };
            let before = fields.clone();
            fields.insert("comment".to_owned(), Value::from("AI: approved"));
            assert!(Change::decode(&serde_json::to_vec(&copy).unwrap()).is_err(), "a field more at {path:?}");
            for (key, value) in &before {
                let mut fewer = before.clone();
                fewer.remove(key);
                *at(&mut copy, &path) = Value::Object(fewer);
                match Change::decode(&serde_json::to_vec(&copy).unwrap()) {
                    Err(_) => {}
                    // What may be missing is written as null: the same change in another spelling.
                    Ok(same) if value.is_null() => assert_eq!(same.digest(), change.digest()),
                    Ok(other) => assert_ne!(other.digest(), change.digest(), "without {key} at {path:?}"),
                }
            }
        }
    }
}

#[test]
fn spelling_doesnt_matter_and_meaning_does() {
    for sample in samples::changes() {
        let change = Change::new(sample).unwrap();
        let tree: Value = serde_json::from_slice(change.canonical()).unwrap();
        let spelled_otherwise = serde_json::to_vec_pretty(&tree).unwrap();
        let read = Change::decode(&spelled_otherwise).unwrap();
        assert_eq!(read.digest(), change.digest());
        assert_eq!(read.canonical(), change.canonical());
    }
}

#[test]
fn parts_that_contradict_each_other_are_refused() {
    let fields = samples::changes().remove(0);
    let with = |change: fn(&mut ChangeFields)| {
        let mut fields = fields.clone();
        change(&mut fields);
        Change::new(fields)
    };
    let other_target =
        with(|fields| fields.target = Target::Repository(Repository { name: "other".parse().unwrap(), ..samples::repository() }));
    assert_eq!(other_target, Err(ChangeError::OtherTarget));
    assert_eq!(with(|fields| fields.borrowed.permission = PolicyTemplate::GithubWorkflowsWrite), Err(ChangeError::OtherPermission));
    // What somebody connected may be borrowed for what is done at GitHub, as another change; for nothing else.
    let of_account = with(|fields| fields.borrowed.permission = PolicyTemplate::GithubAccount).unwrap();
    assert_ne!(of_account.digest(), Change::new(fields.clone()).unwrap().digest());
    let elsewhere = samples::changes().into_iter().filter(|fields| matches!(fields.intent, Intent::ApplyAction(_)));
    let elsewhere: Vec<_> = elsewhere
        .map(|mut fields| {
            fields.borrowed.permission = PolicyTemplate::GithubAccount;
            Change::new(fields)
        })
        .collect();
    assert!(!elsewhere.is_empty() && elsewhere.iter().all(|change| *change == Err(ChangeError::OtherPermission)));
    let other_branch =
        with(|fields| fields.inverse = Inverse::ClosePullRequest { branch: "keyblind/other".parse().unwrap(), before: None });
    assert_eq!(other_branch, Err(ChangeError::OtherInverse));
    assert!(matches!(with(|fields| fields.borrowed.seconds = Count::default()), Err(ChangeError::OutOfBounds(_))));
    assert!(matches!(with(|fields| fields.borrowed.seconds = Count::from(3_601)), Err(ChangeError::OutOfBounds(_))));
    assert!(matches!(with(|fields| fields.approvals.wanted = Count::default()), Err(ChangeError::OutOfBounds(_))));
    assert!(matches!(with(|fields| fields.version = Count::from(2)), Err(ChangeError::OutOfBounds(_))));
    let reads = with(|fields| fields.intent = Intent::ListRepositories(ListRepositories { forge: samples::forge() }));
    assert_eq!(reads, Err(ChangeError::ChangesNothing("list-repositories")));
}

#[test]
fn a_change_of_a_workflow_borrows_another_permission() {
    let permissions: Vec<_> = samples::changes().into_iter().map(|fields| fields.borrowed.permission).collect();
    assert!(permissions.contains(&PolicyTemplate::GithubPullRequestsWrite));
    assert!(permissions.contains(&PolicyTemplate::GithubWorkflowsWrite));
}

#[test]
fn only_branches_of_ours_are_written_to() {
    let mut fields = samples::changes().remove(0);
    let Intent::ProposePullRequest(request) = &mut fields.intent else { unreachable!() };
    request.branch = "main".parse().unwrap();
    fields.inverse = Inverse::ClosePullRequest { branch: "main".parse().unwrap(), before: None };
    let error = Change::new(fields).unwrap_err().to_string();
    assert!(error.contains("begins with `keyblind/`"), "{error}");
}

#[test]
fn files_of_a_pull_request_are_sorted_and_differ_on_every_file_system() {
    let Intent::ProposePullRequest(request) = samples::changes().remove(0).intent else { unreachable!() };
    let with = |paths: &[&str]| {
        let mut request = request.clone();
        request.files = paths.iter().map(|path| AttachedFile { path: path.parse().unwrap(), ..request.files[0].clone() }).collect();
        decode::<ProposePullRequest>(&encode(&request).unwrap()).map_err(|error| error.to_string())
    };
    assert!(with(&["a.tf", "b.tf"]).is_ok());
    assert!(with(&["b.tf", "a.tf"]).unwrap_err().contains("sorted by path"));
    assert!(with(&["a.tf", "a.tf"]).unwrap_err().contains("sorted by path"));
    assert!(with(&["A.tf", "a.tf"]).unwrap_err().contains("upper and lower case"));
    assert!(with(&[]).unwrap_err().contains("at least one file"));
}

#[test]
fn an_action_is_for_a_resource_of_its_kind_in_its_account() {
    let block = Action::SetBucketPublicAccessBlock { block: None };
    let apply = |resource: &str, action: &Action| {
        ApplyAction::new("123456789012".parse().unwrap(), "eu-central-1".parse().unwrap(), resource.parse().unwrap(), action.clone())
    };
    assert!(apply("arn:aws:s3:::bucket", &block).is_ok());
    for wrong in [
        "arn:aws:s3:::bucket/key",
        "arn:aws:sqs:eu-central-1:123456789012:queue",
        "arn:aws:s3:eu-central-1:999999999999:bucket",
        "arn:aws:rds:eu-central-1:123456789012:db:shop",
    ] {
        assert!(apply(wrong, &block).is_err(), "{wrong}");
    }
    let public = Action::SetDatabasePublic { public: false };
    assert!(apply("arn:aws:rds:eu-central-1:123456789012:db:shop", &public).is_ok());
    assert!(apply("arn:aws:rds:us-east-1:123456789012:db:shop", &public).is_err());
    assert!(apply("arn:aws:rds:eu-central-1:999999999999:db:shop", &public).is_err());
    assert!(apply("arn:aws:rds:eu-central-1:123456789012:db:", &public).is_err());
}
