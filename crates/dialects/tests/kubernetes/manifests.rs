//! Plain manifests: what is one, the pod shape, origins, links.

use keyblind_dialects::kubernetes::{Content, content};

use super::support::{evaluate, show};

const SHOP: &str = r#"apiVersion: v1
kind: Namespace
metadata:
  name: shop
---
apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
  namespace: shop
spec:
  selector:
    matchLabels: {app: web}
  template:
    metadata:
      labels:
        tier: front
        app: web
    spec:
      serviceAccountName: web
      initContainers:
        - name: migrate
          image: shop/migrate:3
      containers:
        - name: web
          image: nginx:1.27
          securityContext:
            privileged: yes
          envFrom:
            - secretRef: {name: database}
      volumes:
        - name: settings
          configMap: {name: settings, defaultMode: 0644}
"#;

#[test]
fn a_workload_s_pod_has_one_shape_and_each_value_its_place() {
    let shop = evaluate(&[("shop.yaml", SHOP)]);
    assert!(shop.diagnostics.is_empty(), "{:?}", shop.diagnostics);
    assert_eq!(shop.addresses(), ["Namespace.default.shop", "Deployment.shop.web", "Pod.shop.web.tier-front.app-web"]);
    let web = "Deployment.shop.web";
    assert_eq!(&*shop.resource(web).type_key, "Deployment");
    assert_eq!(show(shop.value(web, "pod.metadata.labels.app")), "\"web\"");
    let privileged = shop.value(web, "pod.containers.0.securityContext.privileged");
    assert_eq!((show(privileged), shop.place(privileged)), ("true".to_owned(), "shop.yaml:28 yes".to_owned()));
    assert_eq!(show(shop.value(web, "pod.containers.1.name")), "\"migrate\"");
    assert_eq!(show(shop.value(web, "pod.spec.volumes.0.configMap.defaultMode")), "420");
    let header = shop.resource(web).header;
    assert_eq!((shop.sources.slice(header), shop.sources.start(header).line), ("web", 9));
    assert!(shop.sources.slice(shop.resource(web).block).starts_with("apiVersion: apps/v1"));
}

#[test]
fn every_kind_of_workload_has_a_pod() {
    let spec = "containers: [{name: main, image: busybox}]";
    let pod = format!("spec: {{{spec}}}");
    for (api_version, kind, body) in [
        ("v1", "Pod", pod.clone()),
        ("v1", "PodTemplate", format!("template: {{{pod}}}")),
        ("v1", "ReplicationController", format!("spec: {{template: {{{pod}}}}}")),
        ("apps/v1", "Deployment", format!("spec: {{template: {{{pod}}}}}")),
        ("apps/v1", "StatefulSet", format!("spec: {{template: {{{pod}}}}}")),
        ("apps/v1", "DaemonSet", format!("spec: {{template: {{{pod}}}}}")),
        ("apps/v1", "ReplicaSet", format!("spec: {{template: {{{pod}}}}}")),
        ("batch/v1", "Job", format!("spec: {{template: {{{pod}}}}}")),
        ("batch/v1", "CronJob", format!("spec: {{jobTemplate: {{spec: {{template: {{{pod}}}}}}}}}")),
        ("apps.openshift.io/v1", "DeploymentConfig", format!("spec: {{template: {{{pod}}}}}")),
    ] {
        let text = format!("apiVersion: {api_version}\nkind: {kind}\nmetadata: {{name: it}}\n{body}\n");
        let evaluated = evaluate(&[("it.yaml", &text)]);
        assert_eq!(
            show(evaluated.value(&format!("{kind}.default.it"), "pod.containers")),
            "[{image: \"busybox\", name: \"main\"}]",
            "{kind}"
        );
    }
}

#[test]
fn names_and_selectors_link() {
    let others = r#"apiVersion: v1
kind: ServiceAccount
metadata: {name: web, namespace: shop}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: web, namespace: elsewhere}
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop}
spec:
  selector: {app: web}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: front, namespace: shop}
spec:
  podSelector:
    matchExpressions:
      - {key: tier, operator: In, values: [front, edge]}
      - {key: legacy, operator: DoesNotExist}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: back, namespace: shop}
spec:
  podSelector:
    matchExpressions: [{key: tier, operator: NotIn, values: [front]}]
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: web, namespace: shop}
spec:
  rules:
    - http:
        paths:
          - backend: {service: {name: web, port: {number: 80}}}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: web-reads}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: reader}
subjects:
  - {kind: ServiceAccount, name: web, namespace: shop}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: reader}
rules: []
---
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: web, namespace: shop}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: web}
"#;
    let shop = evaluate(&[("shop.yaml", SHOP), ("others.yaml", others)]);
    let mut links = shop.links();
    links.retain(|link| !link.contains("-metadata.namespace->"));
    assert_eq!(
        links,
        [
            "Deployment.shop.web -pod.spec.serviceAccountName-> ServiceAccount.shop.web",
            "Service.shop.web -spec.selector-> Deployment.shop.web",
            "Service.shop.web -spec.selector-> Pod.shop.web.tier-front.app-web",
            "NetworkPolicy.shop.front -spec.podSelector-> Deployment.shop.web",
            "NetworkPolicy.shop.front -spec.podSelector-> Pod.shop.web.tier-front.app-web",
            "Ingress.shop.web -spec.rules.http.paths.backend.service.name-> Service.shop.web",
            "ClusterRoleBinding.default.web-reads -roleRef.name-> ClusterRole.default.reader",
            "ClusterRoleBinding.default.web-reads -subjects.name-> ServiceAccount.shop.web",
            "HorizontalPodAutoscaler.shop.web -spec.scaleTargetRef.name-> Deployment.shop.web",
        ]
    );
    assert!(shop.links().contains(&"Deployment.shop.web -metadata.namespace-> Namespace.default.shop".to_owned()));
}

#[test]
fn lists_hold_objects_and_an_odd_document_costs_itself() {
    let text = r#"apiVersion: v1
kind: List
items:
  - apiVersion: v1
    kind: Service
    metadata: {name: a}
  - {kind: Service, metadata: {name: half}}
  - just a text
---
apiVersion: v1
kind: ConfigMap
metadata: {name: broken
---
apiVersion: v1
kind: PodList
items:
  - metadata: {name: listed}
    spec: {containers: [{name: main, image: busybox}]}
"#;
    let evaluated = evaluate(&[("list.yaml", text)]);
    assert_eq!(evaluated.addresses(), ["Service.default.a", "Pod.default.listed"]);
    assert_eq!(show(evaluated.value("Pod.default.listed", "pod.containers.0.image")), "\"busybox\"");
    let codes: Vec<&str> = evaluated.diagnostics.iter().filter_map(|diagnostic| diagnostic.split(':').next()).collect();
    assert_eq!(codes, ["syntax-error", "not-an-object", "not-an-object"]);
}

#[test]
fn an_object_without_a_name_is_said() {
    let pod = |metadata: &str| format!("apiVersion: v1\nkind: Pod\nmetadata: {metadata}\nspec: {{containers: []}}\n");
    let evaluated = evaluate(&[
        ("a.yaml", &pod("{namespace: a}")),
        ("b.yaml", &pod("{generateName: worker-}")),
        ("c.yaml", &pod("{labels: {app: web}}")),
    ]);
    assert_eq!(evaluated.addresses(), ["Pod.default.worker-", "Pod.default.app-web"]);
    assert!(evaluated.diagnostics[0].starts_with("object-without-name"), "{:?}", evaluated.diagnostics);
}

#[test]
fn json_is_read_as_well() {
    let text = r#"{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "j", "annotations": {"checkov.io/skip1": "CKV_K8S_1=known"}},
      "spec": {"hostPID": true, "containers": [{"name": "main", "image": "busybox"}]}}"#;
    let evaluated = evaluate(&[("pod.json", text)]);
    let value = evaluated.value("Pod.default.j", "pod.spec.hostPID");
    assert_eq!(evaluated.place(value), "pod.json:2 true");
    let skips = &evaluated.resource("Pod.default.j").skips;
    assert_eq!((&*skips[0].ids[0], skips[0].reason.as_deref()), ("CKV_K8S_1", Some("known")));
    assert_eq!(content("pod.json", text), Content::Manifests);
}

#[test]
fn kinds_that_anybody_may_define_have_their_group() {
    let text = "apiVersion: serving.knative.dev/v1\nkind: Service\nmetadata: {name: web}\n";
    let evaluated = evaluate(&[("knative.yaml", text)]);
    assert_eq!(&*evaluated.resource("Service.default.web").type_key, "Service.serving.knative.dev");
}

#[test]
fn an_alias_s_value_leads_to_what_it_names() {
    let text = "apiVersion: v1\nkind: Pod\nmetadata: {name: a, labels: &labels {app: a}}\nspec:\n  containers:\n    - name: a\n      image: &image nginx:1\n    - name: b\n      image: *image\n";
    let evaluated = evaluate(&[("pod.yaml", text)]);
    let image = evaluated.value("Pod.default.a", "pod.containers.1.image");
    assert_eq!((show(image), evaluated.place(image)), ("\"nginx:1\"".to_owned(), "pod.yaml:9 *image".to_owned()));
    let written = image.origin.written_at().expect("it was written");
    assert_eq!(evaluated.sources.start(written).line, 7);
}

#[test]
fn what_a_file_is_its_content_tells() {
    for (path, text, expected) in [
        ("a.yaml", "apiVersion: v1\nkind: Pod\n", Content::Manifests),
        ("a.yaml", "# a comment\n---\nkind: Pod\napiVersion: v1\n", Content::Manifests),
        ("values.yaml", "image: nginx\nkind: Deployment\n", Content::Other),
        (
            "play.yaml",
            "- hosts: all\n  tasks:\n    - k8s:\n        definition:\n          apiVersion: v1\n          kind: Pod\n",
            Content::Other,
        ),
        ("broken.yaml", "apiVersion: v1\nkind: Pod\nmetadata: {\n", Content::Manifests),
        ("chart/templates/a.yaml", "apiVersion: v1\nkind: Pod\nmetadata:\n  name: \"{{ .Release.Name }}\"\n", Content::Template),
        ("a.yaml", "apiVersion: v1\nkind: Pod\nmetadata:\n  name: {{ .Values.name }}\n", Content::Template),
        ("a.yaml", "{{- if .Values.on }}\napiVersion: v1\nkind: Pod\n{{- end }}\n", Content::Template),
        ("a.yaml", "apiVersion: v1\nkind: Pod\nmetadata:\n  name: a-{{ .Values.name }}\n", Content::Template),
        // An alert's text and a dashboard are data.
        ("rules.yaml", "apiVersion: v1\nkind: ConfigMap\ndata:\n  a: '{{ $labels.pod }}'\n  b: |\n    {{ range . }}\n", Content::Manifests),
        ("a.json", r#"{"apiVersion": "v1", "kind": "Pod"}"#, Content::Manifests),
        ("a.json", r#"{"openapi": "3.0", "x": {"apiVersion": "v1", "kind": "Pod"}}"#, Content::Other),
        ("a.yaml", r#"{"apiVersion": "v1", "kind": "Pod"}"#, Content::Manifests),
    ] {
        assert_eq!(content(path, text), expected, "{path}: {text}");
    }
}
