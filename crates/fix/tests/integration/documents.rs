//! Where fixes land in manifests, templates and workflows, and how they look there.

use keyblind_fix::{Hindrance, Outcome};
use keyblind_rules::RuleTable;

use crate::support::{fix_all, fixed, folder};

#[track_caller]
fn becomes(rule: &str, path: &str, before: &str, after: &str) {
    assert_eq!(fixed(rule, &[(path, before)])[0], after);
}

#[track_caller]
fn refused(rule: &str, path: &str, text: &str) -> Hindrance {
    let table = RuleTable::embedded().unwrap();
    let folder = folder(&[(path, text)]);
    let (_, outcomes) = fix_all(&table, folder.path(), table.find(rule).unwrap());
    let [(_, Outcome::Refused(refusal))] = &outcomes[..] else { panic!("{outcomes:?}") };
    refusal.hindrance
}

#[test]
fn a_value_is_replaced_in_its_quotes_and_its_comment_stays() {
    becomes(
        "database-publicly-accessible",
        "a.yaml",
        "Resources:\n  Db:\n    Type: AWS::RDS::DBInstance\n    Properties:\n      Engine: postgres\n      PubliclyAccessible: 'true' # as agreed\n",
        "Resources:\n  Db:\n    Type: AWS::RDS::DBInstance\n    Properties:\n      Engine: postgres\n      PubliclyAccessible: 'false' # as agreed\n",
    );
}

#[test]
fn a_parameter_is_changed_in_its_default() {
    let template = |default: &str| {
        format!(
            "Parameters:\n  Public:\n    Type: String\n    Default: \"{default}\"\nResources:\n  Db:\n    Type: AWS::RDS::DBInstance\n    \
             Properties:\n      Engine: postgres\n      PubliclyAccessible: !Ref Public\n"
        )
    };
    becomes("database-publicly-accessible", "a.yaml", &template("true"), &template("false"));
}

#[test]
fn json_stays_json() {
    becomes(
        "kms-key-never-rotated",
        "a.json",
        "{\n    \"Resources\": {\n        \"Key\": {\n            \"Type\": \"AWS::KMS::Key\",\n            \"Properties\": {\n                \
         \"Description\": \"orders\"\n            }\n        }\n    }\n}\n",
        "{\n    \"Resources\": {\n        \"Key\": {\n            \"Type\": \"AWS::KMS::Key\",\n            \"Properties\": {\n                \
         \"Description\": \"orders\",\n                \"EnableKeyRotation\": true\n            }\n        }\n    }\n}\n",
    );
}

#[test]
fn what_stands_in_brackets_stays_there() {
    becomes(
        "kms-key-never-rotated",
        "a.yaml",
        "Resources:\n  Key: {Type: AWS::KMS::Key, Properties: {Description: orders}}\n",
        "Resources:\n  Key: {Type: AWS::KMS::Key, Properties: {Description: orders, EnableKeyRotation: true}}\n",
    );
}

#[test]
fn a_resource_without_properties_gets_them() {
    becomes(
        "kms-key-never-rotated",
        "a.yaml",
        "Resources:\r\n   Key:\r\n      Type: AWS::KMS::Key\r\n",
        "Resources:\r\n   Key:\r\n      Type: AWS::KMS::Key\r\n      Properties:\r\n         EnableKeyRotation: true\r\n",
    );
}

const POD: &str = "apiVersion: v1\nkind: Pod\nmetadata:\n  name: web\nspec:\n";

#[test]
fn containers_get_what_they_miss_under_their_last_word() {
    becomes(
        "container-may-gain-privileges",
        "pod.yaml",
        &format!("{POD}  containers:\n  - name: web\n    image: web:1\n    # the port\n    # of the web\n  restartPolicy: Never\n"),
        &format!(
            "{POD}  containers:\n  - name: web\n    image: web:1\n    securityContext:\n      allowPrivilegeEscalation: false\n    # the port\n    \
             # of the web\n  restartPolicy: Never\n"
        ),
    );
}

#[test]
fn what_a_pod_gets_stands_before_its_containers() {
    becomes(
        "container-runs-as-root",
        "pod.yaml",
        &format!("{POD}    restartPolicy: Never\n    containers:\n      - name: web\n        image: web:1\n"),
        &format!(
            "{POD}    restartPolicy: Never\n    securityContext:\n      runAsNonRoot: true\n    containers:\n      - name: web\n        image: web:1\n"
        ),
    );
}

#[test]
fn an_order_to_be_root_is_not_contradicted_but_changed() {
    let text = |user: &str| format!("{POD}  securityContext:\n    runAsUser: {user}\n  containers:\n  - name: web\n    image: web:1\n");
    becomes("container-runs-as-root", "pod.yaml", &text("0"), &text("10001"));
}

#[test]
fn a_volume_of_the_node_becomes_an_empty_one() {
    let text = |volume: &str| {
        format!(
            "{POD}  containers:\n  - name: web\n    image: web:1\n    volumeMounts:\n    - name: docker\n      mountPath: /var/run/docker.sock\n  \
             volumes:\n  - name: docker\n{volume}\n"
        )
    };
    becomes("pod-mounts-docker-socket", "pod.yaml", &text("    hostPath:\n      path: /var/run/docker.sock"), &text("    emptyDir: {}"));
}

#[test]
fn a_patch_is_changed_where_it_says_so() {
    let patch = |privileged: bool| {
        format!(
            "apiVersion: v1\nkind: Pod\nmetadata:\n  name: web\nspec:\n  containers:\n    - name: web\n      securityContext:\n        \
             privileged: {privileged}\n"
        )
    };
    let base = format!("{POD}  containers:\n    - name: web\n      image: web:1\n");
    let texts = fixed(
        "container-privileged",
        &[
            ("base/kustomization.yaml", "resources:\n  - pod.yaml\n"),
            ("base/pod.yaml", &base),
            ("live/kustomization.yaml", "resources:\n  - ../base\npatches:\n  - path: patch.yaml\n"),
            ("live/patch.yaml", &patch(true)),
        ],
    );
    assert_eq!(texts[1], base);
    assert_eq!(texts[3], patch(false));
}

#[test]
fn who_may_do_what_is_not_made_up() {
    let table = RuleTable::embedded().unwrap();
    let text = "apiVersion: rbac.authorization.k8s.io/v1\nkind: Role\nmetadata:\n  name: a\nrules:\n- apiGroups: [\"\"]\n  resources: [\"*\"]\n  verbs: [\"*\"]\n";
    let folder = folder(&[("role.yaml", text)]);
    let (_, outcomes) = fix_all(&table, folder.path(), table.find("role-with-wildcard").unwrap());
    let [(_, Outcome::Fixed(fix))] = &outcomes[..] else { panic!("{outcomes:?}") };
    assert!(!fix.inputs.is_empty(), "{fix:?}");
}

#[test]
fn the_only_right_of_a_role_goes_where_nothing_narrower_is_known() {
    let role = "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata:\n  name: a\nrules:\n";
    let binding = "---\napiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRoleBinding\nmetadata:\n  name: a\nroleRef:\n  apiGroup: rbac.authorization.k8s.io\n  kind: ClusterRole\n  name: a\nsubjects:\n- kind: ServiceAccount\n  name: a\n  namespace: b\n";
    let right = "- apiGroups: [\"\"]\n  resources: [services/status]\n  verbs: [patch]\n";
    let before = format!("{role}{right}{binding}");
    let [after] = &fixed("service-account-may-change-service-status", &[("role.yaml", &before)])[..] else { panic!() };
    // Neither are other resources, verbs nor names taken from an example.
    assert_eq!(*after, format!("{}{binding}", role.replace("rules:\n", "rules: []\n")));
}

#[test]
fn a_script_at_the_end_of_a_file_stays_as_it_is() {
    let head = "Resources:\n  Audit:\n    Type: AWS::Lambda::Function\n    Properties:\n      Handler: index.handler\n";
    let code = "      Code:\n        ZipFile: |\n          import json\n          print(json)";
    // With a line behind it the script would end with a line end, which it doesn't.
    becomes(
        "lambda-without-concurrency-limit",
        "template.yaml",
        &format!("{head}{code}"),
        &format!("{head}      ReservedConcurrentExecutions: 5\n{code}"),
    );
    becomes(
        "lambda-without-concurrency-limit",
        "template.yaml",
        &format!("{head}{code}\n"),
        &format!("{head}{code}\n      ReservedConcurrentExecutions: 5\n"),
    );
}

const JOB: &str = "on: push\npermissions: {}\njobs:\n  build:\n    runs-on: ubuntu-24.04\n    steps:\n";

#[test]
fn an_action_is_pinned_to_the_commit_of_its_version() {
    becomes(
        "action-not-pinned-by-hash",
        ".github/workflows/a.yml",
        &format!("{JOB}      - uses: docker/login-action@v4.6.0\n        with:\n          logout: true\n"),
        &format!(
            "{JOB}      - uses: docker/login-action@dbcb813823bdd20940b903addbd779551569679f # v4.6.0\n        with:\n          logout: true\n"
        ),
    );
    let hindrance =
        refused("action-not-pinned-by-hash", ".github/workflows/a.yml", &format!("{JOB}      - uses: somebody/something@main\n"));
    assert_eq!(hindrance, Hindrance::NeedsValue);
}

#[test]
fn a_value_comes_to_a_script_by_the_environment() {
    let event = "on: issues\npermissions: {}\njobs:\n  build:\n    runs-on: ubuntu-24.04\n    steps:\n";
    let rule = "untrusted-text-in-script";
    becomes(
        rule,
        ".github/workflows/a.yml",
        &format!("{event}      - run: |\n          echo \"${{{{ github.event.issue.title }}}}\" # the title\n          true\n"),
        &format!(
            "{event}      - run: |\n          echo \"${{TITLE}}\" # the title\n          true\n        env:\n          \
             TITLE: ${{{{ github.event.issue.title }}}}\n"
        ),
    );
    let quoted = format!("{event}      - run: |\n          echo '${{{{ github.event.issue.title }}}}'\n");
    refused(rule, ".github/workflows/a.yml", &quoted);
}

#[test]
fn what_examples_show_is_done_where_nothing_is_said() {
    becomes(
        "job-with-default-permissions",
        ".github/workflows/a.yml",
        "on: push\n\njobs:\n  build:\n    runs-on: ubuntu-24.04\n    steps:\n      - run: make\n",
        "on: push\n\npermissions:\n  contents: read\n\njobs:\n  build:\n    runs-on: ubuntu-24.04\n    steps:\n      - run: make\n",
    );
}

#[test]
fn what_stands_beside_comes_with_parameters_for_what_only_a_person_knows() {
    becomes(
        "vpc-without-flow-log",
        "a.yaml",
        "Resources:\n    Net:\n        Type: AWS::EC2::VPC\n        Properties:\n            CidrBlock: 10.0.0.0/16\n",
        "Parameters:\n    LogDestination:\n        Type: String\n\nResources:\n    Net:\n        Type: AWS::EC2::VPC\n        Properties:\n            \
         CidrBlock: 10.0.0.0/16\n    Traffic:\n      Type: AWS::EC2::FlowLog\n      Properties:\n        ResourceId: !Ref Net\n        \
         ResourceType: VPC\n        TrafficType: ALL\n        LogDestinationType: s3\n        LogDestination: !Ref LogDestination\n",
    );
}

#[test]
fn keys_of_the_cloud_go_out_of_a_start_script() {
    let template = |tag: &str, lines: &str| {
        format!(
            "Resources:\n  Web:\n    Type: AWS::EC2::Instance\n    Properties:\n      ImageId: ami-0123456789abcdef0\n      UserData:\n        \
             Fn::Base64: {tag}|\n          #!/bin/bash\n{lines}          aws s3 ls\n      Tenancy: default\n"
        )
    };
    let keys = "          export AWS_ACCESS_KEY_ID=AKIAIOSFODNN7EXAMPLE\n          export AWS_SECRET_ACCESS_KEY=wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY\n";
    for tag in ["", "!Sub "] {
        becomes("instance-user-data-contains-credentials", "a.yaml", &template(tag, keys), &template(tag, ""));
    }
    let with_more = template("", &keys.replace("export AWS_ACCESS", "sleep 1; export AWS_ACCESS"));
    refused("instance-user-data-contains-credentials", "a.yaml", &with_more);
}

#[test]
fn an_environment_of_nothing_but_keys_goes_as_a_whole() {
    let template = |environment: &str| {
        format!(
            "Resources:\n  Export:\n    Type: AWS::Lambda::Function\n    Properties:\n      Runtime: python3.13\n{environment}      \
             Handler: app.handler\n      Role: arn:aws:iam::111122223333:role/export\n      Code:\n        S3Bucket: code\n        S3Key: export.zip\n"
        )
    };
    let keys =
        "          AWS_ACCESS_KEY_ID: AKIAIOSFODNN7EXAMPLE\n          AWS_SECRET_ACCESS_KEY: wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY\n";
    let rule = "lambda-environment-contains-credentials";
    let around = "      Environment:\n        Variables:\n";
    becomes(rule, "a.yaml", &template(&format!("{around}{keys}")), &template(""));
    let table = "          TABLE: orders\n";
    becomes(rule, "a.yaml", &template(&format!("{around}{table}{keys}")), &template(&format!("{around}{table}")));
}

/// The only fix of a rule, and the text with it.
#[track_caller]
fn asked(rule: &str, path: &str, text: &str) -> (String, Vec<String>) {
    let table = RuleTable::embedded().unwrap();
    let folder = folder(&[(path, text)]);
    let (fixer, outcomes) = fix_all(&table, folder.path(), table.find(rule).unwrap());
    let [(_, Outcome::Fixed(fix))] = &outcomes[..] else { panic!("{outcomes:?}") };
    (fixer.text(path).unwrap().to_string(), fix.inputs.iter().map(|input| input.variable.clone()).collect())
}

#[test]
fn an_image_keeps_its_name_and_asks_for_its_version() {
    let pod = |image: &str| format!("{POD}  containers:\n  - name: web\n    image: {image}\n    imagePullPolicy: Always\n");
    let (text, inputs) = asked("container-image-tag-floating", "pod.yaml", &pod("registry.example.com:5000/shop/web:latest"));
    assert_eq!(text, pod("registry.example.com:5000/shop/web:VERSION"));
    assert_eq!(inputs, ["web"]);
}
