//! Finding rules.

use keyblind_rules::{RuleTable, Selection, TableError, read_texts};

fn rule(id: &str, aliases: &str) -> String {
    format!(
        "id: {id}\ntitle: T\nseverity: low\nconfidence: low\naliases: {aliases}\nwhy: W\nfix: F\nterraform: {{resources: x, fail: {{a: 1}}}}\nexamples: {{terraform: {{bad: x, good: x}}}}\n"
    )
}

fn team(files: &[(&str, &str)]) -> Result<RuleTable, TableError> {
    let texts: Vec<_> = files.iter().map(|(id, aliases)| (format!("{id}.yaml"), rule(id, aliases))).collect();
    let (rules, errors) = read_texts(&texts);
    assert!(errors.is_empty(), "{errors:?}");
    RuleTable::with_team_rules(&rules)
}

#[test]
fn rules_are_found_by_id_and_alias_in_any_case() {
    let table = team(&[("our-own-fault", "[TEAM_1, AB-2]"), ("zz-last", "[]")]).expect("a sound table");
    let own = table.find("our-own-fault").expect("by id");
    assert_eq!(table.find("team_1"), Some(own));
    assert_eq!(table.find("ab-2"), Some(own));
    assert_eq!(table.find("team-1"), None);
    assert_eq!(table.nearest("our-own-faults"), Some("our-own-fault"));
    assert_eq!(table.nearest("TEAM1"), Some("TEAM_1"));
    assert_eq!(table.nearest("nothing at all like a rule"), None);
    assert!(table.is_team_rule(own) && table.docs(own).why.starts_with('W'));
    assert_eq!(table.iter().filter(|(id, _)| table.is_team_rule(*id)).count(), 2);
    assert!(table.iter().map(|(_, meta)| meta.id.clone()).is_sorted());
}

#[test]
fn a_name_is_taken_once() {
    let table = RuleTable::embedded().expect("a sound table");
    let taken = table.iter().flat_map(|(_, meta)| meta.aliases.first()).next().expect("a rule with an alias").to_string();
    let error = team(&[("our-own-fault", &format!("[{}]", taken.to_lowercase()))]).expect_err("the alias is taken").to_string();
    assert!(error.contains("our-own-fault") && error.contains(&taken.to_lowercase()), "{error}");
}

#[test]
fn selections_are_predicates() {
    let table = team(&[("our-own-fault", "[]")]).expect("a sound table");
    let own = table.find("our-own-fault").expect("by id");
    let selection = Selection::of(&table, |id, meta| table.is_team_rule(id) && &*meta.id == "our-own-fault");
    assert!(selection.contains(own) && selection.len() == 1 && !selection.is_empty());
    assert_eq!(Selection::all(&table).len(), table.len());
}
