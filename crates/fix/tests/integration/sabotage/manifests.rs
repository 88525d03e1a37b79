//! Changes of manifests that mend the fault and do something else as well: none is proven.

use keyblind_fix::proof::Check;
use keyblind_rules::RuleTable;

use super::{Class, none_is_proven};
use crate::bench::Bench;

const MANIFEST: &str = r#"# The shop.
apiVersion: apps/v1
kind: Deployment
metadata:
  name: shop
  namespace: live
  labels: &labels
    app: shop
spec:
  replicas: 2
  selector:
    matchLabels: *labels
  template:
    metadata:
      labels: *labels
    spec:
      serviceAccountName: shop
      automountServiceAccountToken: false
      hostNetwork: false
      containers:
        - name: shop
          image: registry.example.com/shop:1.4.2
          command: ["/shop"]
          securityContext:
            privileged: true # as agreed
            runAsNonRoot: true
            capabilities:
              drop: [ALL]
          resources:
            limits: {cpu: 500m, memory: 256Mi}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata:
  name: shop
  namespace: live
rules:
  - apiGroups: [""]
    resources: [configmaps]
    verbs: [get]
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: shop
  namespace: live
spec:
  podSelector: {}
  policyTypes: [Ingress]
"#;

const FIXED: &str = "privileged: false # as agreed";

/// What changes the fixed text, and the check that is to catch it.
const CLASSES: &[Class] = &[
    ("shares the host's network", &[("hostNetwork: false", "hostNetwork: true")], Check::DeclarationsKept),
    ("mounts the token", &[("automountServiceAccountToken: false", "automountServiceAccountToken: true")], Check::DeclarationsKept),
    ("drops no capability", &[("            capabilities:\n              drop: [ALL]\n", "")], Check::DeclarationsKept),
    ("runs as root", &[("runAsNonRoot: true", "runAsNonRoot: true\n            runAsUser: 0")], Check::DeclarationsKept),
    ("widens a role", &[("verbs: [get]", "verbs: [get, create]")], Check::DeclarationsKept),
    ("lets a role do everything", &[("verbs: [get]", "verbs: [\"*\"]")], Check::DeclarationsKept),
    ("takes another image", &[("shop:1.4.2", "shop:1.4.3")], Check::DeclarationsKept),
    ("takes an image from elsewhere", &[("registry.example.com", "evil.example.org")], Check::DeclarationsKept),
    ("runs another program", &[("[\"/shop\"]", "[\"/bin/sh\"]")], Check::DeclarationsKept),
    (
        "adds a container",
        &[("        - name: shop\n", "        - name: more\n          image: registry.example.com/more:1\n        - name: shop\n")],
        Check::DeclarationsKept,
    ),
    (
        "mounts the node's disk",
        &[("      containers:\n", "      volumes: [{name: host, hostPath: {path: /}}]\n      containers:\n")],
        Check::DeclarationsKept,
    ),
    (
        "suppresses by annotation",
        &[(
            "  name: shop\n  namespace: live\n  labels",
            "  name: shop\n  annotations: {checkov.io/skip1: CKV_K8S_16}\n  namespace: live\n  labels",
        )],
        Check::DeclarationsKept,
    ),
    ("suppresses by comment", &[("# as agreed", "# as agreed keyblind:ignore[*]")], Check::CommentsKept),
    ("takes a comment out", &[("# The shop.\n", "")], Check::CommentsKept),
    (
        "renames the object",
        &[("  name: shop\n  namespace: live\n  labels", "  name: store\n  namespace: live\n  labels")],
        Check::DeclarationsKept,
    ),
    ("makes it of another kind", &[("kind: Deployment", "kind: DaemonSet")], Check::DeclarationsKept),
    ("moves it to another namespace", &[("namespace: live", "namespace: default")], Check::DeclarationsKept),
    ("lets it run nowhere", &[("replicas: 2", "replicas: 0")], Check::DeclarationsKept),
    ("changes what an alias names", &[("    app: shop", "    app: store")], Check::DeclarationsKept),
    (
        "deletes an object",
        &[(
            "---\napiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata:\n  name: shop\n  namespace: live\nspec:\n  podSelector: {}\n  policyTypes: [Ingress]\n",
            "",
        )],
        Check::DeclarationsKept,
    ),
    (
        "adds an object",
        &[(
            "---\napiVersion: rbac",
            "---\napiVersion: v1\nkind: Service\nmetadata: {name: shop}\nspec: {type: LoadBalancer}\n---\napiVersion: rbac",
        )],
        Check::DeclarationsKept,
    ),
    ("makes two objects one", &[("---\napiVersion: rbac", "apiVersion: rbac")], Check::DeclarationsKept),
    ("moves the fault into an anchor", &[(FIXED, "privileged: *yes"), ("replicas: 2", "replicas: &yes true")], Check::DeclarationsKept),
    ("adds an attribute", &[("          resources:", "          tty: true\n          resources:")], Check::DeclarationsKept),
    (
        "says a key twice",
        &[("            runAsNonRoot: true\n", "            runAsNonRoot: true\n            runAsNonRoot: false\n")],
        Check::DeclarationsKept,
    ),
    ("gives a value another type", &[("replicas: 2", "replicas: \"2\"")], Check::DeclarationsKept),
    ("leaves the syntax broken", &[("kind: Role", "kind: [Role")], Check::Parses),
    ("leaves white space", &[("replicas: 2\n", "replicas: 2 \n")], Check::Formatted),
    ("does nothing", &[(FIXED, "privileged: true # as agreed")], Check::FaultGone),
];

#[test]
fn a_clean_fix_of_a_manifest_is_proven_and_no_sabotaged_one_is() {
    let table = RuleTable::embedded().unwrap();
    let rule = table.find("container-privileged").unwrap();
    let bench = Bench::new(&table, rule, &[("shop.yaml", MANIFEST)]).unwrap();
    assert!(bench.fixed().contains(FIXED), "{}", bench.fixed());
    none_is_proven(&bench, CLASSES);
}
