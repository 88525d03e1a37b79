//! What kustomizations make of manifests.

use super::support::{build, build_with, show};
use keyblind_dialects::kubernetes::Above;

const BASE: &str = r#"apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
spec:
  replicas: 1
  selector:
    matchLabels: {app: web}
  template:
    metadata:
      labels: {app: web}
    spec:
      serviceAccountName: web
      containers:
        - name: web
          image: shop/web:1.0
          env:
            - {name: MODE, value: safe}
            - {name: LEVEL, value: info}
          securityContext:
            privileged: true
            runAsNonRoot: true
        - name: sidecar
          image: registry.example.com:5000/proxy:2
      volumes:
        - name: settings
          configMap: {name: settings}
---
apiVersion: v1
kind: ServiceAccount
metadata:
  name: web
---
apiVersion: v1
kind: Service
metadata:
  name: web
spec:
  selector: {app: web}
"#;

fn base(overlay: &str) -> Vec<(&'static str, String)> {
    vec![
        ("base/web.yaml", BASE.to_owned()),
        ("base/kustomization.yaml", "resources: [web.yaml]\n".to_owned()),
        ("prod/kustomization.yaml", overlay.to_owned()),
    ]
}

#[test]
fn a_base_is_judged_through_its_user_only() {
    let built = build(&base("namespace: prod\nnamePrefix: shop-\nresources: [../base]\n"));
    assert_eq!(built.roots, ["kustomization prod"]);
    let prod = &built.evaluated[0];
    assert_eq!(
        prod.addresses(),
        ["Deployment.prod.shop-web", "Pod.prod.shop-web.app-web", "ServiceAccount.prod.shop-web", "Service.prod.shop-web"]
    );
    // The name that refers to the service account went with it.
    assert_eq!(show(prod.value("Deployment.prod.shop-web", "pod.spec.serviceAccountName")), "\"shop-web\"");
    assert!(prod.links().contains(&"Deployment.prod.shop-web -pod.spec.serviceAccountName-> ServiceAccount.prod.shop-web".to_owned()));
    let deployment = prod.resource("Deployment.prod.shop-web");
    assert_eq!(prod.sources.file(deployment.header.file).path.as_ref(), "base/web.yaml");
    assert_eq!(deployment.calls.iter().map(|site| prod.sources.slice(*site)).collect::<Vec<_>>(), ["../base"]);
    assert!(prod.diagnostics.is_empty(), "{:?}", prod.diagnostics);
}

#[test]
fn patches_merge_by_the_names_of_containers_and_variables() {
    let mut files = base("resources: [../base]\npatches:\n  - path: hard.yaml\n");
    let patch = r#"apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
spec:
  template:
    spec:
      containers:
        - name: web
          env:
            - {name: LEVEL, value: debug}
            - {name: NEW, value: added}
            - {name: MODE, $patch: delete}
          securityContext:
            privileged: false
            runAsNonRoot: null
      volumes:
        - $patch: replace
        - {name: cache, emptyDir: {}}
"#;
    files.push(("prod/hard.yaml", patch.to_owned()));
    let built = build(&files);
    assert_eq!(built.roots, ["kustomization prod"], "the patch is no object by itself");
    let prod = &built.evaluated[0];
    let web = "Deployment.default.web";
    assert_eq!(show(prod.value(web, "pod.containers.0.env")), r#"[{name: "LEVEL", value: "debug"}, {name: "NEW", value: "added"}]"#);
    assert_eq!(show(prod.value(web, "pod.containers.0.securityContext")), "{privileged: false}");
    assert_eq!(show(prod.value(web, "pod.containers.0.image")), "\"shop/web:1.0\"");
    assert_eq!(show(prod.value(web, "pod.containers.1.name")), "\"sidecar\"");
    assert_eq!(show(prod.value(web, "pod.spec.volumes")), "[{emptyDir: {}, name: \"cache\"}]");
    // The finding is where the value stands, and says that a patch put it there.
    let privileged = prod.value(web, "pod.containers.0.securityContext.privileged");
    assert_eq!(prod.place(privileged), "prod/hard.yaml:15 false");
    assert_eq!(prod.way(privileged), ["Patch(\"prod/hard.yaml\")"]);
    assert_eq!(prod.place(prod.value(web, "pod.containers.0.image")), "base/web.yaml:16 shop/web:1.0");
}

#[test]
fn operations_and_patches_within_the_kustomization_have_exact_places() {
    let overlay = r#"resources: [../base]
patches:
  - target: {kind: Deployment, name: w.*}
    patch: |-
      - op: replace
        path: /spec/template/spec/containers/0/securityContext/privileged
        value: false
      - op: add
        path: /metadata/annotations
        value: {a~b: c}
      - op: remove
        path: /spec/template/spec/volumes/0
  - patch: |
      apiVersion: v1
      kind: Service
      metadata: {name: web}
      $patch: delete
patchesJson6902:
  - target: {version: v1, kind: ServiceAccount, name: web}
    patch: '[{"op": "add", "path": "/automountServiceAccountToken", "value": false}]'
"#;
    let built = build(&base(overlay));
    let prod = &built.evaluated[0];
    assert!(prod.diagnostics.is_empty(), "{:?}", prod.diagnostics);
    assert_eq!(prod.addresses(), ["Deployment.default.web", "Pod.default.web.app-web", "ServiceAccount.default.web"]);
    let privileged = prod.value("Deployment.default.web", "pod.containers.0.securityContext.privileged");
    assert_eq!(prod.place(privileged), "prod/kustomization.yaml:7 false");
    assert_eq!(show(prod.value("Deployment.default.web", "metadata.annotations")), "{a~b: \"c\"}");
    assert_eq!(show(prod.value("Deployment.default.web", "pod.spec.volumes")), "[]");
    assert_eq!(show(prod.value("ServiceAccount.default.web", "automountServiceAccountToken")), "false");
}

#[test]
fn images_labels_annotations_and_replicas() {
    let overlay = r#"resources: [../base]
labels:
  - pairs: {team: shop}
    includeSelectors: true
commonAnnotations: {owner: us}
replicas:
  - {name: web, count: 3}
images:
  - name: shop/web
    newTag: "2.0"
  - name: registry.example.com:5000/proxy
    newName: mirror/proxy
    digest: sha256:24a0c4b4a4c0eb97a1aabb8e29f18e917d05abfe1b7a7c07857230879ce7d3d3
"#;
    let built = build(&base(overlay));
    let prod = &built.evaluated[0];
    let web = "Deployment.default.web";
    let image = prod.value(web, "pod.containers.0.image");
    assert_eq!((show(image), prod.place(image)), ("\"shop/web:2.0\"".to_owned(), "prod/kustomization.yaml:10 \"2.0\"".to_owned()));
    assert_eq!(prod.way(image), ["Kustomization(\"images\")"]);
    let digest = "\"mirror/proxy@sha256:24a0c4b4a4c0eb97a1aabb8e29f18e917d05abfe1b7a7c07857230879ce7d3d3\"";
    assert_eq!(show(prod.value(web, "pod.containers.1.image")), digest);
    assert_eq!(show(prod.value(web, "spec.replicas")), "3");
    assert_eq!(show(prod.value(web, "spec.selector.matchLabels")), "{app: \"web\", team: \"shop\"}");
    assert_eq!(show(prod.value(web, "pod.metadata.labels")), "{app: \"web\", team: \"shop\"}");
    assert_eq!(show(prod.value(web, "pod.metadata.annotations.owner")), "\"us\"");
    assert_eq!(show(prod.value("Service.default.web", "spec.selector")), "{app: \"web\", team: \"shop\"}");
}

#[test]
fn generators_make_objects_that_names_lead_to() {
    let overlay = r#"resources: [../base]
nameSuffix: -v2
configMapGenerator:
  - name: settings
    literals: [LOG=debug, 'QUOTED="a b"']
    files: [app.conf, other=app.conf, missing.conf]
secretGenerator:
  - name: database
    type: Opaque
    envs: [database.env]
"#;
    let mut files = base(overlay);
    files.push(("prod/app.conf", "listen 80\n".to_owned()));
    files.push(("prod/database.env", "# the database\nUSER=shop\nPASSWORD=example\n".to_owned()));
    let built = build(&files);
    let prod = &built.evaluated[0];
    let settings = "ConfigMap.default.settings-v2";
    assert_eq!(show(prod.value(settings, "data.LOG")), "\"debug\"");
    assert_eq!(show(prod.value(settings, "data.QUOTED")), "\"a b\"");
    let data = prod.value(settings, "data");
    assert_eq!(show(data.get("app.conf").expect("the file's own name")), "\"listen 80\\n\"");
    assert!(data.get("missing.conf").expect("the entry").is_unknown());
    assert_eq!(show(prod.value("Secret.default.database-v2", "stringData")), "{PASSWORD: \"example\", USER: \"shop\"}");
    assert!(
        prod.links().contains(&"Deployment.default.web-v2 -pod.spec.volumes.configMap.name-> ConfigMap.default.settings-v2".to_owned())
    );
    assert_eq!(prod.place(prod.value(settings, "data.LOG")), "prod/kustomization.yaml:5 LOG=debug");
}

#[test]
fn a_component_changes_what_its_user_has() {
    let mut files = base("resources: [../base]\ncomponents: [../hardened]\n");
    let component = r#"apiVersion: kustomize.config.k8s.io/v1alpha1
kind: Component
resources: [extra.yaml]
patches:
  - target: {kind: Deployment}
    patch: '[{"op": "remove", "path": "/spec/template/spec/containers/0/securityContext/privileged"}]'
"#;
    files.push(("hardened/kustomization.yaml", component.to_owned()));
    files.push(("hardened/extra.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: extra}\n".to_owned()));
    let built = build(&files);
    assert_eq!(built.roots, ["kustomization prod"]);
    let prod = &built.evaluated[0];
    assert!(prod.addresses().contains(&"ConfigMap.default.extra"));
    assert_eq!(show(prod.value("Deployment.default.web", "pod.containers.0.securityContext")), "{runAsNonRoot: true}");
}

#[test]
fn replacements_and_variables_copy_values() {
    let overlay = r#"resources: [../base]
replacements:
  - source: {kind: Service, name: web}
    targets:
      - select: {kind: Deployment}
        fieldPaths: ["spec.template.spec.containers.[name=web].env.[name=MODE].value"]
      - select: {kind: ServiceAccount}
        fieldPaths: [metadata.annotations.service]
        options: {create: true}
vars:
  - name: ACCOUNT
    objref: {kind: ServiceAccount, name: web, apiVersion: v1}
patches:
  - target: {kind: Deployment}
    patch: '[{"op": "add", "path": "/spec/template/spec/containers/0/args", "value": ["--as=$(ACCOUNT)"]}]'
"#;
    let built = build(&base(overlay));
    let prod = &built.evaluated[0];
    assert!(prod.diagnostics.is_empty(), "{:?}", prod.diagnostics);
    assert_eq!(show(prod.value("Deployment.default.web", "pod.containers.0.env.0.value")), "\"web\"");
    assert_eq!(show(prod.value("Deployment.default.web", "pod.containers.0.env.1.value")), "\"info\"");
    assert_eq!(show(prod.value("ServiceAccount.default.web", "metadata.annotations.service")), "\"web\"");
    assert_eq!(show(prod.value("Deployment.default.web", "pod.containers.0.args")), "[\"--as=web\"]");
}

#[test]
fn what_is_not_there_is_said() {
    let overlay = r#"resources:
  - ../base
  - https://github.com/example/base//deploy?ref=v1
  - github.com/example/other/deploy
  - missing.yaml
  - ../../outside
components: [../base]
helmCharts:
  - {name: nginx, repo: https://charts.example.com}
patches:
  - path: gone.yaml
  - target: {kind: CronJob}
    patch: '[{"op": "remove", "path": "/spec"}]'
  - target: {kind: Service}
    patch: '[{"op": "remove", "path": "/spec/nothing"}]'
"#;
    let built = build(&base(overlay));
    let mut said: Vec<String> = built.diagnostics.iter().chain(&built.evaluated[0].diagnostics).cloned().collect();
    said.sort();
    let codes: Vec<&str> = said.iter().filter_map(|diagnostic| diagnostic.split(':').next()).collect();
    assert_eq!(
        codes,
        [
            "kustomize-not-a-component",
            "kustomize-patch-missing",
            "kustomize-patch-refused",
            "kustomize-resource-missing",
            "module-not-installed",
            "module-not-installed",
            "module-not-installed",
            "outside-root",
        ],
        "{said:#?}"
    );
    assert!(said.iter().any(|diagnostic| diagnostic.ends_with("(https://github.com/example/base//deploy?ref=v1)")));
    assert!(built.evaluated[0].addresses().contains(&"Deployment.default.web"), "the rest is judged all the same");
}

#[test]
fn a_patch_without_target_is_said_where_nothing_is_missing() {
    let overlay = "resources: [../base]\npatches:\n  - target: {kind: CronJob}\n    patch: '[{op: remove, path: /spec}]'\n  - patch: '{apiVersion: v1, kind: Secret, metadata: {name: no}}'\n";
    let built = build(&base(overlay));
    let codes: Vec<&str> = built.evaluated[0].diagnostics.iter().filter_map(|diagnostic| diagnostic.split(':').next()).collect();
    assert_eq!(codes, ["kustomize-patch-without-target", "kustomize-patch-without-target"]);
}

#[test]
fn circles_end_and_nothing_is_left_out() {
    let files = [
        ("a/kustomization.yaml", "resources: [../b, pod.yaml]\n".to_owned()),
        ("a/pod.yaml", "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\n".to_owned()),
        ("b/kustomization.yaml", "resources: [../a]\n".to_owned()),
        ("self/kustomization.yaml", "resources: [., ../self]\n".to_owned()),
    ];
    let built = build(&files);
    assert_eq!(built.roots, ["kustomization a", "kustomization self"]);
    assert_eq!(built.evaluated[0].addresses(), ["Pod.default.a"]);
    assert!(built.evaluated.iter().all(|evaluated| evaluated.diagnostics.iter().any(|said| said.starts_with("kustomize-cycle"))));
}

#[test]
fn bases_that_double_at_each_level_end() {
    let mut files = Vec::new();
    let paths: Vec<String> = (0..60).map(|level| format!("l{level}/kustomization.yaml")).collect();
    for (level, path) in paths.iter().enumerate() {
        files.push((path.as_str(), format!("resources: [../l{}, ./../l{}]\n", level + 1, level + 1)));
    }
    files.push(("l60/kustomization.yaml", "resources: [pod.yaml]\n".to_owned()));
    files.push(("l60/pod.yaml", "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\n".to_owned()));
    let built = build(&files);
    assert!(built.evaluated[0].diagnostics.iter().any(|said| said.starts_with("kustomize-budget")), "{:?}", built.evaluated[0].diagnostics);
}

#[test]
fn copies_that_double_a_value_end() {
    let mut operations = String::from(
        "resources: [../base]\npatches:\n  - target: {kind: Service}\n    patch: |\n      - {op: add, path: /x, value: [1]}\n",
    );
    for _ in 0..64 {
        operations.push_str("      - {op: copy, from: /x, path: /x/-}\n");
    }
    let built = build(&base(&operations));
    assert!(
        built.evaluated[0].diagnostics.iter().any(|said| said.starts_with("kustomize-patch-refused")),
        "{:?}",
        built.evaluated[0].diagnostics
    );
}

#[test]
fn manifests_that_no_kustomization_names_stand_for_themselves() {
    let mut files = base("resources: [../base]\n");
    files.push(("base/unused.yaml", "apiVersion: v1\nkind: Pod\nmetadata: {name: unused}\n".to_owned()));
    let built = build(&files);
    assert_eq!(built.roots, ["kustomization prod", "directory base"]);
    assert_eq!(built.evaluated[1].addresses(), ["Pod.default.unused"]);
}

#[test]
fn a_patch_stays_one_when_only_its_directory_is_scanned() {
    let mut files = base("resources: [../base]\npatches: [{path: patches/hard.yaml}]\n");
    files
        .push(("prod/patches/hard.yaml", "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nspec: {replicas: 7}\n".to_owned()));
    let above = |is_judged| Above { files: vec!["prod/kustomization.yaml".to_owned()], is_judged };
    let beneath = build_with(&files, &["prod/patches/hard.yaml"], &above(false));
    assert!(beneath.roots.is_empty(), "{:?}", beneath.roots);
    // A file that was asked for by name is judged through the kustomization that reads it.
    let named = build_with(&files, &["prod/patches/hard.yaml"], &above(true));
    assert_eq!(named.roots, ["kustomization prod"]);
    assert_eq!(show(named.evaluated[0].value("Deployment.default.web", "spec.replicas")), "7");
    // One that doesn't lead there isn't.
    let other = build_with(&files, &["base/web.yaml"], &Above { files: vec!["elsewhere/kustomization.yaml".to_owned()], is_judged: true });
    assert_eq!(other.roots, ["directory base"]);
}

#[test]
fn another_tool_s_kustomization_is_an_object() {
    let text = "apiVersion: kustomize.toolkit.fluxcd.io/v1\nkind: Kustomization\nmetadata: {name: apps}\nspec: {path: ./apps}\n";
    let built = build(&[("flux/kustomization.yaml", text.to_owned())]);
    assert_eq!(built.roots, ["directory flux"]);
    assert_eq!(built.evaluated[0].addresses(), ["Kustomization.default.apps"]);
}
