//! What the golden table can't show: unknown, sensitive and hostile arguments, and where values come from.

use std::cell::Cell;

use keyblind_resource::{Fragment, Origin, Reference, Unknown};
use keyblind_syntax::source::FileId;
use keyblind_syntax::{Site, TextRange};

use super::*;

/// A host with one file and so much fuel.
#[derive(Default)]
struct TestHost {
    fuel: Cell<u64>,
    decoded: DecodedTexts,
}

impl Host for TestHost {
    fn read_file(&self, path: &str) -> Result<Arc<[u8]>, Reason> {
        match path {
            "greeting.txt" => Ok(b"Hello, ${name}!\n".as_slice().into()),
            "bytes.bin" => Ok([0xff, 0x00].as_slice().into()),
            _ => Err(Reason::FileNotReadable { path: path.into() }),
        }
    }

    fn file_exists(&self, path: &str) -> Result<bool, Reason> {
        Ok(self.read_file(path).is_ok())
    }

    fn file_set(&self, _: &str, _: &str) -> Result<Vec<String>, Reason> {
        Ok(vec!["b.txt".to_owned(), "a.txt".to_owned()])
    }

    fn template(&self, _: &str, text: &str, variables: &Value) -> Value {
        let name = variables.get("name").and_then(Value::as_str).unwrap_or("?");
        Value::string(text.replace("${name}", name))
    }

    fn decoded_texts(&self) -> Option<&DecodedTexts> {
        Some(&self.decoded)
    }

    fn spend(&self, units: u64) -> bool {
        let left = self.fuel.get().checked_sub(units);
        self.fuel.set(left.unwrap_or(0));
        left.is_some()
    }
}

fn run(name: &str, arguments: Vec<Value>) -> Value {
    call(name, arguments, &TestHost { fuel: Cell::new(1_000_000), ..TestHost::default() })
}

fn id() -> Value {
    Value::new(Data::Unknown(Arc::new(Unknown::attribute_of("aws_vpc.main", "id"))))
}

fn either(candidates: Vec<Value>) -> Value {
    let reason = Reason::NoValue { variable: "production".into() };
    Value::new(Data::Unknown(Arc::new(Unknown { candidates, ..Unknown::new(reason) })))
}

fn texts(items: &[&str]) -> Value {
    Value::tuple(items.iter().map(|item| Value::string(*item)).collect())
}

fn int(value: i64) -> Value {
    Value::int(value)
}

fn unknown(value: &Value) -> &Unknown {
    value.as_unknown().expect("an unknown value")
}

fn reference() -> Reference {
    Reference { address: "aws_vpc.main".into(), attribute: "id".into() }
}

#[test]
fn unknown_arguments_pass_their_reason_and_references_on() {
    let result = run("upper", vec![id()]);
    assert_eq!(unknown(&result).reason.code(), "after-apply");
    assert_eq!(unknown(&result).references, [reference()]);
    let faulty = Value::unknown(Reason::Undeclared { name: "var.x".into() });
    let result = run("replace", vec![id(), faulty, Value::string("")]);
    assert_eq!(unknown(&result).reason.code(), "undeclared", "Terraform would refuse the whole expression");
}

#[test]
fn what_can_be_known_is_known() {
    assert_eq!(run("length", vec![Value::tuple(vec![id(), id()])]), int(2));
    assert_eq!(run("contains", vec![Value::tuple(vec![id(), Value::string("a")]), Value::string("a")]), Value::bool(true));
    assert!(run("contains", vec![Value::tuple(vec![id()]), Value::string("a")]).is_unknown());
    let merged = run("merge", vec![Value::object([("a".into(), id())]), Value::object([("b".into(), int(1))])]);
    assert_eq!(merged.get("b"), Some(&int(1)));
    assert!(merged.get("a").is_some_and(Value::is_unknown));
    assert_eq!(run("element", vec![Value::tuple(vec![id(), int(5)]), int(1)]), int(5));
    assert_eq!(run("keys", vec![merged]), texts(&["a", "b"]));
    let flat = run("flatten", vec![Value::tuple(vec![texts(&["a"]), Value::tuple(vec![id()])])]);
    assert_eq!(flat.as_items().map(<[_]>::len), Some(2));
    assert!(run("flatten", vec![Value::tuple(vec![texts(&["a"]), id()])]).is_unknown(), "it may be a list of any length");
    assert_eq!(run("alltrue", vec![Value::tuple(vec![id(), Value::bool(false)])]), Value::bool(false));
}

#[test]
fn an_unknown_choice_leaves_candidates() {
    let result = run("element", vec![texts(&["a", "b"]), id()]);
    assert_eq!(unknown(&result).candidates, [Value::string("a"), Value::string("b")]);
    let result = run("upper", vec![either(vec![Value::string("a"), Value::string("b")])]);
    assert_eq!(unknown(&result).candidates, [Value::string("A"), Value::string("B")]);
    let result = run("length", vec![either(vec![texts(&["a"]), texts(&["b"])])]);
    assert_eq!(result, int(1), "the same for every candidate");
    let result = run("upper", vec![either(vec![Value::null(), Value::string("b")])]);
    assert_eq!(result, Value::string("B"), "Terraform would refuse the other candidate");
}

#[test]
fn texts_of_unknown_parts_keep_the_known_ones() {
    let result = run("format", vec![Value::string("arn:%s/*"), id()]);
    let parts = [Fragment::Literal("arn:".into()), Fragment::Unknown, Fragment::Literal("/*".into())];
    assert_eq!(unknown(&result).fragments, parts);
    assert_eq!(unknown(&result).references, [reference()]);
    assert_eq!(run("startswith", vec![result.clone(), Value::string("arn")]), Value::bool(true));
    assert_eq!(run("startswith", vec![result.clone(), Value::string("aws")]), Value::bool(false));
    assert_eq!(run("endswith", vec![result.clone(), Value::string("*")]), Value::bool(true));
    assert!(run("strcontains", vec![result, Value::string("x")]).is_unknown());
    let result = run("join", vec![Value::string("-"), Value::tuple(vec![Value::string("a"), id()])]);
    assert_eq!(unknown(&result).fragments, [Fragment::Literal("a-".into()), Fragment::Unknown]);
}

#[test]
fn documents_of_unknown_parts_can_be_read_back() {
    let document = Value::object([("Action".into(), Value::string("*")), ("Resource".into(), id())]);
    let encoded = run("jsonencode", vec![document]);
    assert_eq!(unknown(&encoded).references, [reference()]);
    let decoded = run("jsondecode", vec![encoded]);
    assert_eq!(decoded.get("Action"), Some(&Value::string("*")));
}

#[test]
fn elements_keep_their_origin() {
    let site = Site::new(FileId(3), TextRange::new(10, 13));
    let written = Value::at(Data::String("abc".into()), site);
    let from = |value: &Value| value.origin.written_at();
    let pair = Value::tuple(vec![written.clone(), Value::string("b")]);
    let object = Value::object([("k".into(), written.clone())]);
    for (name, arguments) in [
        ("element", vec![pair.clone(), int(0)]),
        ("lookup", vec![object.clone(), Value::string("k")]),
        ("coalesce", vec![Value::null(), written.clone()]),
        ("try", vec![Value::unknown(Reason::Undeclared { name: "x".into() }), written.clone()]),
        ("one", vec![Value::tuple(vec![written.clone()])]),
        ("sensitive", vec![written.clone()]),
    ] {
        assert_eq!(from(&run(name, arguments)), Some(site), "{name}");
    }
    for (name, arguments) in [
        ("concat", vec![pair.clone()]),
        ("flatten", vec![Value::tuple(vec![pair.clone()])]),
        ("tolist", vec![pair.clone()]),
        ("toset", vec![pair.clone()]),
        ("distinct", vec![pair.clone()]),
        ("sort", vec![pair.clone()]),
        ("setunion", vec![pair.clone()]),
        ("slice", vec![pair.clone(), int(0), int(1)]),
        ("values", vec![object.clone()]),
        ("compact", vec![pair]),
    ] {
        let result = run(name, arguments);
        assert_eq!(from(&result.as_items().expect(name)[0]), Some(site), "{name}");
    }
    assert_eq!(from(run("merge", vec![object, Value::object([])]).get("k").expect("k")), Some(site));
    assert!(matches!(run("upper", vec![written]).origin, Origin::None));
}

#[test]
fn secrets_stay_marked() {
    let secret = Value { sensitive: true, ..Value::string("s3cr3t") };
    assert!(run("upper", vec![secret.clone()]).sensitive);
    assert!(run("jsonencode", vec![Value::tuple(vec![secret.clone()])]).sensitive);
    assert!(!run("nonsensitive", vec![secret.clone()]).sensitive);
    assert_eq!(run("issensitive", vec![secret.clone()]), Value::bool(true));
    let merged = run("merge", vec![Value::object([("a".into(), secret.clone())]), Value::object([("b".into(), int(1))])]);
    assert!(!merged.sensitive && merged.get("a").is_some_and(|value| value.sensitive));
    assert!(!run("length", vec![Value::tuple(vec![secret.clone()])]).sensitive, "how many there are is no secret");
    assert!(run("element", vec![Value::tuple(vec![secret]), int(0)]).sensitive);
}

#[test]
fn failed_arguments_are_caught() {
    let faulty = Value::unknown(Reason::Invalid { message: "no".into() });
    assert_eq!(run("try", vec![faulty.clone(), int(1)]), int(1));
    assert_eq!(run("can", vec![faulty.clone()]), Value::bool(false));
    assert_eq!(run("can", vec![int(1)]), Value::bool(true));
    assert!(run("try", vec![id(), int(1)]).is_unknown(), "unknown is no failure");
    assert_eq!(unknown(&run("try", vec![faulty])).reason.code(), "invalid-expression");
}

#[test]
fn what_has_no_fixed_result_says_so() {
    for name in ["timestamp", "plantimestamp", "uuid"] {
        assert_eq!(unknown(&run(name, vec![])).reason.code(), "impure-function");
    }
    assert_eq!(unknown(&run("bcrypt", vec![Value::string("x")])).reason.code(), "impure-function");
    assert_eq!(unknown(&run("nosuch", vec![])).reason.code(), "unsupported");
    assert_eq!(unknown(&run("provider::aws::arn_parse", vec![])).reason.code(), "unsupported");
    assert!(find("core::upper").is_some() && find("nosuch").is_none());
}

#[test]
fn files_come_from_the_host() {
    assert_eq!(run("file", vec![Value::string("greeting.txt")]), Value::string("Hello, ${name}!\n"));
    assert_eq!(unknown(&run("file", vec![Value::string("/etc/passwd")])).reason.code(), "file-not-readable");
    assert_eq!(unknown(&run("file", vec![Value::string("bytes.bin")])).reason.code(), "invalid-expression");
    assert_eq!(run("filebase64", vec![Value::string("bytes.bin")]), Value::string("/wA="));
    assert_eq!(run("fileexists", vec![Value::string("bytes.bin")]), Value::bool(true));
    assert_eq!(run("fileset", vec![Value::string("."), Value::string("*")]), texts(&["a.txt", "b.txt"]));
    let variables = Value::object([("name".into(), Value::string("you"))]);
    assert_eq!(run("templatefile", vec![Value::string("greeting.txt"), variables]), Value::string("Hello, you!\n"));
}

#[test]
fn bombs_run_out_of_budget() {
    let many = Value::tuple((0..2000).map(int).collect());
    let limits = [
        ("setproduct", vec![many.clone(), many.clone(), many.clone()]),
        ("format", vec![Value::string("%99999999999d"), int(1)]),
        ("format", vec![Value::string("%.99999999f"), int(1)]),
        ("indent", vec![int(1_000_000_000_000), Value::string("a\nb")]),
        ("replace", vec![Value::string("a".repeat(100_000)), Value::string("a"), Value::string("b".repeat(10_000))]),
    ];
    for (name, arguments) in limits {
        assert_eq!(unknown(&run(name, arguments)).reason.code(), "budget", "{name}");
    }
    assert_eq!(unknown(&run("jsondecode", vec![Value::string("[".repeat(100_000))])).reason.code(), "invalid-expression");
    let greedy = vec![Value::string("(a?){300}(a?){300}"), Value::string("a".repeat(100_000))];
    assert_eq!(unknown(&run("regexall", greedy)).reason.code(), "budget", "each byte visits hundreds of states");
    let quadratic = vec![Value::string("a(.*b)?"), Value::string("a".repeat(200_000))];
    assert_eq!(unknown(&run("regexall", quadratic)).reason.code(), "budget", "each match looks for b up to the end");
    let poor = TestHost { fuel: Cell::new(10), ..TestHost::default() };
    assert_eq!(unknown(&call("sort", vec![many], &poor)).reason.code(), "budget");
}

#[test]
fn functions_that_terraform_removed_still_evaluate() {
    assert_eq!(run("list", vec![int(1), Value::string("a")]), texts(&["1", "a"]));
    assert_eq!(run("map", vec![Value::string("a"), int(1)]).get("a"), Some(&int(1)));
}

#[test]
fn functions_of_opentofu_evaluate() {
    let contains = |outer, inner| run("cidrcontains", vec![Value::string(outer), Value::string(inner)]);
    assert_eq!(contains("192.168.2.0/20", "192.168.2.1"), Value::bool(true));
    assert_eq!(contains("192.168.2.0/20", "192.168.2.0/22"), Value::bool(true));
    assert_eq!(contains("192.168.2.0/20", "192.126.2.1"), Value::bool(false));
    assert_eq!(contains("10.0.0.0/16", "10.0.0.0/8"), Value::bool(false));
    assert_eq!(contains("fe80::/48", "fe80::1"), Value::bool(true));
    assert_eq!(unknown(&contains("10.0.0.0/8", "fe80::1")).reason.code(), "invalid-expression");
    assert_eq!(run("urldecode", vec![Value::string("a+%C3%A9%2B")]), Value::string("a é+"));
    assert_eq!(unknown(&run("urldecode", vec![Value::string("%zz")])).reason.code(), "invalid-expression");
}

#[test]
fn compressed_texts_stay_readable() {
    let packed = run("base64gzip", vec![Value::string("password = x")]);
    assert_eq!(unknown(&packed).document, Some(Value::string("password = x")));
}

#[test]
fn work_deep_inside_of_arguments_is_paid_for() {
    let nested = Value::tuple(vec![Value::tuple((0..1000).map(int).collect())]);
    let poor = || TestHost { fuel: Cell::new(500), ..TestHost::default() };
    assert_eq!(unknown(&call("tolist", vec![nested.clone()], &poor())).reason.code(), "budget");
    assert_eq!(call("length", vec![nested], &poor()), int(1));
}

/// The value and the fuel that it cost, of decoding a text.
fn decoded(text: &str, host: &TestHost) -> (Value, u64) {
    let before = host.fuel.get();
    let value = call("yamldecode", vec![Value::string(text)], host);
    (value, before - host.fuel.get())
}

#[test]
fn a_text_that_was_decoded_before_gives_and_costs_the_same() {
    let host = TestHost { fuel: Cell::new(1_000_000), ..TestHost::default() };
    for text in ["base: &base {a: 1, b: [x, y]}\nmore:\n  <<: *base\n  again: *base\n", "a: [", "a: 1\n---\nb: 2\n", "!!int x"] {
        let (first, cost) = decoded(text, &host);
        let (second, same_cost) = decoded(text, &host);
        assert_eq!((format!("{first:?}"), cost), (format!("{second:?}"), same_cost), "{text}");
    }
    // A sensitive text's value is sensitive, and another's isn't for that.
    let secret = Value { sensitive: true, ..Value::string("a: 1") };
    assert!(call("yamldecode", vec![secret], &host).sensitive);
    assert!(!decoded("a: 1", &host).0.sensitive);
}

#[test]
fn a_text_that_was_decoded_before_costs_fuel_that_is_there() {
    let host = TestHost { fuel: Cell::new(1_000_000), ..TestHost::default() };
    let text = format!("[{}]", "1,".repeat(5_000));
    let (_, cost) = decoded(&text, &host);
    host.fuel.set(cost - 1);
    assert_eq!(unknown(&decoded(&text, &host).0).reason.code(), "budget");
}

#[test]
fn what_is_kept_of_decoded_texts_is_bounded() {
    let host = TestHost { fuel: Cell::new(u64::MAX), ..TestHost::default() };
    let texts: Vec<String> = (0..30).map(|number| format!("{number}: [{}]", "1,".repeat(9_999))).collect();
    for text in &texts {
        assert!(!decoded(text, &host).0.is_unknown());
    }
    let kept = texts.iter().filter(|text| host.decoded.get(text).is_some()).count();
    assert!((1..=10).contains(&kept), "{kept}");
    let long = format!("a: {}", "x".repeat(5 << 20));
    assert!(!decoded(&long, &host).0.is_unknown() && host.decoded.get(&long).is_none());
}
