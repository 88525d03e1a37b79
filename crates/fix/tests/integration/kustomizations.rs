//! What several kustomizations make of one object.

use keyblind_fix::proof::Check;
use keyblind_fix::{FileEdit, Fixer, Given, Outcome, Record, Subject};
use keyblind_rules::RuleTable;

use crate::support::{failing, fix_all, folder, request};

const POD: &str = "apiVersion: v1\nkind: Pod\nmetadata:\n  name: web\n  namespace: shop\nspec:\n  containers:\n";

/// All fixes of a rule, one on the ground of the other: the texts that are different, and what they ask for.
#[track_caller]
fn asked_of_all(rule: &str, files: &[(&str, &str)]) -> (Vec<(String, String)>, Vec<String>) {
    let table = RuleTable::embedded().unwrap();
    let folder = folder(files);
    let (fixer, outcomes) = fix_all(&table, folder.path(), table.find(rule).unwrap());
    let mut inputs = Vec::new();
    for (address, outcome) in &outcomes {
        match outcome {
            Outcome::Fixed(fix) => inputs.extend(fix.inputs.iter().map(|input| input.variable.clone())),
            Outcome::Gone => {}
            Outcome::Refused(_) => panic!("{address}: {outcome:?}"),
        }
    }
    assert_eq!(failing_with(&table, &folder, rule, &fixer), []);
    (fixer.changed().iter().map(|(path, text)| (path.clone(), text.to_string())).collect(), inputs)
}

/// What a rule still fails once the fixes are written.
fn failing_with(table: &RuleTable, folder: &tempfile::TempDir, rule: &str, fixer: &Fixer<'_>) -> Vec<(String, String)> {
    for (path, text) in fixer.changed() {
        std::fs::write(folder.path().join(path), &**text).unwrap();
    }
    failing(table, folder.path(), table.find(rule).unwrap())
}

#[test]
fn an_image_is_pinned_in_every_overlay_that_names_another_version() {
    let pod = |image: &str| format!("{POD}    - name: web\n      image: {image}\n      imagePullPolicy: Always\n");
    let base = pod("registry.example.com/shop/web:1.0");
    let mirror = |more: &str| {
        format!(
            "resources: [../../base]\nimages:\n  - name: registry.example.com/shop/web\n    newName: mirror.example.org/shop-web\n    newTag: \"1.1\"\n{more}"
        )
    };
    let files = [
        ("base/kustomization.yaml", "resources: [pod.yaml]\n"),
        ("base/pod.yaml", &*base),
        ("overlays/direct/kustomization.yaml", "resources: [../../base]\n"),
        ("overlays/mirror/kustomization.yaml", &*mirror("")),
    ];
    let (texts, inputs) = asked_of_all("container-image-without-digest", &files);
    let pinned = [
        ("base/pod.yaml".to_owned(), pod("registry.example.com/shop/web:1.0@sha256:DIGEST")),
        // The base's digest doesn't reach what another version is named for: it takes one of its own.
        ("overlays/mirror/kustomization.yaml".to_owned(), mirror("    digest: sha256:DIGEST\n")),
    ];
    assert_eq!(texts, pinned);
    assert_eq!(inputs, ["web", "shop-web:1.1"]);
}

#[test]
fn a_digest_that_was_given_for_one_version_is_not_put_behind_another() {
    let pod = |image: &str| format!("{POD}    - name: web\n      image: {image}\n");
    let base = pod("registry.example.com/shop/web:1.0");
    let overlay = |more: &str| format!("resources: [../base]\nimages:\n- name: registry.example.com/shop/web\n  newTag: \"1.1\"\n{more}");
    let folder = folder(&[
        ("base/kustomization.yaml", "resources: [pod.yaml]\n"),
        ("base/pod.yaml", &base),
        ("live/kustomization.yaml", "resources: [../base]\n"),
        ("test/kustomization.yaml", &overlay("")),
    ]);
    let table = RuleTable::embedded().unwrap();
    let rule = table.find("container-image-without-digest").unwrap();
    let digest = |digit: &str| format!("sha256:{}", digit.repeat(64));
    let fixed = |values: &[(&str, String)]| {
        let given = values.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        let mut fixer = Fixer::new(&table, &request(&table, folder.path()), Given::from([(rule, given)]));
        match fixer.fix(&Subject { rule, root: "live", address: "Pod.shop.web" }) {
            Outcome::Fixed(fix) => fix,
            outcome => panic!("{outcome:?}"),
        }
    };
    let fix = fixed(&[("web", digest("1"))]);
    assert_eq!(fix.inputs.iter().map(|input| input.variable.as_str()).collect::<Vec<_>>(), ["web:1.1"]);
    let fix = fixed(&[("web", digest("1")), ("web:1.1", digest("2"))]);
    assert!(fix.inputs.is_empty(), "{:?}", fix.inputs);
    assert_eq!(*fix.texts["base/pod.yaml"], pod(&format!("registry.example.com/shop/web:1.0@{}", digest("1"))));
    assert_eq!(*fix.texts["test/kustomization.yaml"], overlay(&format!("  digest: {}\n", digest("2"))));
}

#[test]
fn an_image_that_only_has_another_name_in_an_overlay_keeps_its_own_in_the_base() {
    let pod = |image: &str| format!("{POD}    - name: web\n      image: {image}\n      imagePullPolicy: Always\n");
    let files = [
        ("base/kustomization.yaml", "resources: [pod.yaml]\n"),
        ("base/pod.yaml", &*pod("registry.example.com/shop/web:latest")),
        (
            "live/kustomization.yaml",
            "resources: [../base]\nimages:\n- name: registry.example.com/shop/web\n  newName: cache.example.org/own\n",
        ),
    ];
    let (texts, inputs) = asked_of_all("container-image-tag-floating", &files);
    assert_eq!(texts, [("base/pod.yaml".to_owned(), pod("registry.example.com/shop/web:VERSION"))]);
    assert_eq!(inputs, ["own"]);
}

#[test]
fn a_floating_tag_of_an_overlay_becomes_another_tag_and_not_an_image() {
    let pod = format!("{POD}    - name: web\n      image: registry.example.com/shop/web:1.0\n      imagePullPolicy: Always\n");
    let overlay =
        |tag: &str| format!("resources: [../base]\nimages:\n- name: registry.example.com/shop/web\n  newTag: {tag} # for tests\n");
    let files = [
        ("base/kustomization.yaml", "resources: [pod.yaml]\n"),
        ("base/pod.yaml", &*pod),
        ("test/kustomization.yaml", &*overlay("latest")),
    ];
    let (texts, inputs) = asked_of_all("container-image-tag-floating", &files);
    assert_eq!(texts, [("test/kustomization.yaml".to_owned(), overlay("VERSION"))]);
    assert_eq!(inputs, ["web"]);
}

#[test]
fn what_an_overlay_says_itself_is_mended_there_with_the_base() {
    let pod =
        |privileged: bool| format!("{POD}    - name: web\n      image: web:1\n      securityContext:\n        privileged: {privileged}\n");
    let patched = "resources: [../base]\npatches:\n  - path: patch.yaml\n";
    let files = [
        ("base/kustomization.yaml", "resources: [pod.yaml]\n"),
        ("base/pod.yaml", &*pod(true)),
        ("live/kustomization.yaml", patched),
        ("live/patch.yaml", &*pod(true)),
        ("test/kustomization.yaml", "resources: [../base]\n"),
    ];
    let table = RuleTable::embedded().unwrap();
    let folder = folder(&files);
    let rule = table.find("container-privileged").unwrap();
    let mut fixer = Fixer::new(&table, &request(&table, folder.path()), Given::new());
    let Outcome::Fixed(fix) = fixer.fix(&Subject { rule, root: "test", address: "Pod.shop.web" }) else { panic!("no fix") };
    assert_eq!(fix.texts.keys().collect::<Vec<_>>(), ["base/pod.yaml", "live/patch.yaml"]);
    assert_eq!(fix.proof.roots, ["live", "test"]);
    // A part of it isn't proven, although the object passes in the one that was asked about.
    let record = |edits| Record { edits, proof: fix.proof.clone(), inputs: Vec::new() };
    let verified = |edits: &[FileEdit]| Fixer::new(&table, &request(&table, folder.path()), Given::new()).verify(&[record(edits.to_vec())]);
    assert!(verified(&fix.edits).is_ok());
    let (_, disproof) = verified(&fix.edits[..1]).unwrap_err();
    assert_eq!(disproof.check, Check::FaultGone, "{disproof:?}");
}
