//! The signature, against botocore's: an implementation that isn't ours signs the same requests.

use hyper::header::HeaderName;
use serde_json::{Map, Value, json};

use super::*;

/// Requests of every kind of path, query and body that services have.
fn requests(origin: &Origin) -> Vec<(&'static str, &'static str, Call<'static>)> {
    let top = || Target::new(origin);
    let form = FormBody::new().with("Action", "ListUsers").with("Version", "2010-05-08").with("Value", "a b+c/ü&=");
    let caller = top().path("/").query("Action", "GetCallerIdentity").query("Version", "2011-06-15");
    let object = top().segment("logs-a").segment("a b+ü~(1)").query("versionId", "a/b c");
    let list = Call::new(Method::PUT, top().segment("logs-a").query("acl", ""));
    let groups = top().path("/clusters").segment("a b").segment("node-groups").query("b", "2").query("a", "é");
    let json = Body::Bytes("application/x-amz-json-1.1", b"{\"KeyId\":\"x\"}".to_vec().into());
    let rotation = Call::new(Method::POST, top().path("/")).body(json);
    vec![
        ("iam", "us-east-1", Call::form(top().path("/"), form)),
        ("sts", "eu-central-1", Call::get(caller)),
        ("s3", "eu-central-1", Call::get(top().segment("logs-a").query("publicAccessBlock", ""))),
        ("s3", "eu-central-1", Call::get(object)),
        ("s3", "us-west-2", list.body(Body::Bytes("application/xml", BLOCK.as_bytes().to_vec().into()))),
        ("eks", "eu-west-1", Call::get(groups)),
        ("kms", "us-gov-west-1", rotation.header(HeaderName::from_static("x-amz-target"), "TrentService.GetKeyRotationStatus")),
    ]
}

#[tokio::test]
async fn what_we_sign_is_what_botocore_signs() {
    let peer = Peer::moto();
    let egress = egress(&peer);
    let origin = Origin::parse(peer.url()).unwrap();
    let at = Timestamp::from_unix_millis(1_440_938_160_000);
    let mut asked = Vec::new();
    for token in [None, Some("FwoGZXIvYXdzEXAMPLE/+==")] {
        let keys = keys(AWS_KEY_ID, AWS_SECRET_KEY.as_bytes(), token.map(str::as_bytes)).unwrap();
        for (service, region_name, call) in requests(&origin) {
            // What moto thinks of it doesn't matter: it is seen as it came.
            drop(egress.send(sign(call, &keys, &region(region_name), service, at).unwrap()).await);
            let seen = peer.requests().pop().unwrap();
            let header = |name: &str| seen["headers"][name].as_str().map(|value| (name.to_owned(), Value::from(value)));
            let headers: Map<_, _> = ["content-type", "x-amz-target"].into_iter().filter_map(header).collect();
            let request = json!({
                "id": AWS_KEY_ID, "secret": AWS_SECRET_KEY, "token": token, "service": service, "region": region_name,
                "at": at.unix_millis() / 1_000, "method": seen["method"], "headers": headers, "body": seen["body"],
                "url": format!("{}{}", peer.url(), seen["url"].as_str().unwrap()),
            });
            asked.push((request, seen["headers"]["authorization"].clone()));
        }
    }
    let requests: Vec<Value> = asked.iter().map(|(request, _)| request.clone()).collect();
    let theirs = peer.ask("POST", "/signed", &Value::from(requests));
    assert_eq!(theirs.as_array().unwrap().len(), 14);
    for ((request, ours), theirs) in asked.iter().zip(theirs.as_array().unwrap()) {
        assert_eq!(ours, theirs, "{} {}", request["service"], request["url"]);
    }
}
