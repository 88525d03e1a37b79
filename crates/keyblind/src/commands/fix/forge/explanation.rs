//! What a pull request says: what is wrong, what somebody does with it, what changes, what may break, the proof, and the undo.
//!
//! Our own words are Markdown. What a repository says stands in code spans that it can't end: a sentence that was made of both is taken apart, and
//! each of its words that could be markup, a link, a mention or a reference becomes a code span as well.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use keyblind_fix::proof::{Check, NODE, Proof};
use keyblind_intent::{BranchName, CommitId, Foreign, Prose, Repository, limits};
use keyblind_rules::RuleTable;
use serde::Serialize;

use super::parts::Part;
use crate::commands::fix::proposal::{Proposal, ProposedFix, ProposedRule};
use crate::commands::plural;

/// Findings in the table at the top.
const MOST_LINES: usize = 60;
/// Findings that are told of one rule.
const MOST_FINDINGS: usize = 5;
/// Bytes of what people read; what is left is for the proof.
const READABLE: usize = 36_000;
/// Room for what the broker puts between characters to make mentions harmless.
const MARGIN: usize = 2_000;

/// Where it is proposed.
pub(super) struct Place<'p> {
    pub(super) repository: &'p Repository,
    pub(super) base: &'p BranchName,
    pub(super) commit: &'p CommitId,
}

/// Writes the explanation of one pull request. `table` holds the rules whose words are our own.
pub(super) fn explain(proposal: &Proposal, part: &Part, place: &Place<'_>, table: Option<&RuleTable>) -> Prose {
    let mut text = introduction(proposal, part, place);
    findings(proposal, part, &mut text);
    let mut rules: Vec<usize> = part.fixes.iter().map(|fix| proposal.fixes[*fix].rule).collect::<BTreeSet<_>>().into_iter().collect();
    rules.sort_by_key(|rule| std::cmp::Reverse(proposal.rules[*rule].severity));
    let mut left_out = Vec::new();
    for rule in rules {
        let section = section(proposal, part, rule, table);
        if text.len() + section.len() > READABLE {
            left_out.push(format!("`{}`", proposal.rules[rule].id));
        } else {
            text.push_str(&section);
        }
    }
    if !left_out.is_empty() {
        let _ = writeln!(
            text,
            "\nThere is no room to tell more of: {}. `keyblind explain` does, with any of these names.",
            left_out.join(", ")
        );
    }
    let proofs: Vec<&Proof> = part.fixes.iter().map(|fix| &proposal.fixes[*fix].proof).collect();
    proof(&proofs, place.commit, &mut text);
    text.push_str(
        "\n### Undo\n\nClose this pull request and delete its branch: nothing else was changed. Closed without a merge it counts as a no, and exactly \
         these fixes are not proposed again. Once merged, revert the merge; what may break counts in that direction as well.\n",
    );
    Prose::from_lossy(&text)
}

fn introduction(proposal: &Proposal, part: &Part, place: &Place<'_>) -> String {
    let (fixes, files) = (part.fixes.len() as u64, part.files.len() as u64);
    let commit = place.commit.as_str().get(..12).unwrap_or_default();
    let mut text = format!(
        "Keyblind judged `{}` at commit `{commit}` of `{}`. This pull request fixes {fixes} finding{} in {files} file{}. Each change was applied in \
         memory, judged again by every rule and proven before it was proposed.\n",
        place.repository,
        place.base,
        plural(fixes),
        plural(files)
    );
    if part.decides_what_runs {
        text.push_str("\n**These files decide what runs with the repository's rights**, so that they come by themselves.\n");
    }
    if proposal.gone > 0 && part.fixes.len() == proposal.fixes.len() {
        let _ =
            writeln!(text, "\n{} more finding{} gone with these fixes.", proposal.gone, if proposal.gone == 1 { " is" } else { "s are" });
    }
    if proposal.left > 0 {
        let _ = writeln!(
            text,
            "\n{} finding{} left: held back, or without a proven fix.",
            proposal.left,
            if proposal.left == 1 { " is" } else { "s are" }
        );
    }
    if proposal.is_incomplete {
        text.push_str("\nA part of the repository could not be read or judged: `keyblind scan` says which.\n");
    }
    text
}

fn findings(proposal: &Proposal, part: &Part, text: &mut String) {
    text.push_str("\n| severity | rule | resource | where |\n|---|---|---|---|\n");
    for fix in part.fixes.iter().take(MOST_LINES) {
        let fix = &proposal.fixes[*fix];
        let rule = &proposal.rules[fix.rule];
        let (address, place) = (cell(&fix.address), cell(&fix.place));
        let _ = writeln!(text, "| {} | `{}` | {address} | {place} |", rule.severity, rule.id);
    }
    if part.fixes.len() > MOST_LINES {
        let _ = writeln!(text, "\nAnd {} more.", part.fixes.len() - MOST_LINES);
    }
}

/// All findings of one rule.
fn section(proposal: &Proposal, part: &Part, number: usize, table: Option<&RuleTable>) -> String {
    let rule = &proposal.rules[number];
    let words = Words::of(rule, table);
    let fixes: Vec<&ProposedFix> = part.fixes.iter().map(|fix| &proposal.fixes[*fix]).filter(|fix| fix.rule == number).collect();
    let mut text = format!(
        "\n### {} (`{}`, {})\n\n**What somebody does with it.** {}\n\n**What to do about it.** {}\n\n",
        words.title, rule.id, rule.severity, words.attack, words.remedy
    );
    for fix in fixes.iter().take(MOST_FINDINGS) {
        let _ = writeln!(text, "- {} in {}", fix.address.for_markdown(), fix.place.for_markdown());
        for here in &fix.here {
            let _ = writeln!(text, "  - {}", sentence(here));
        }
        let _ = writeln!(text, "  - Changes: {}.", changes(&fix.proof));
        if fix.proof.proposed {
            text.push_str("  - **A model proposed this text**, for nothing could be derived. It passed every check that a derived fix passes, and more.\n");
        }
        let _ = writeln!(text, "  - {}", sentence(&fix.check));
    }
    if fixes.len() > MOST_FINDINGS {
        let _ = writeln!(text, "- and {} more", fixes.len() - MOST_FINDINGS);
    }
    let effects: BTreeSet<_> = fixes.iter().flat_map(|fix| &fix.effects).collect();
    text.push_str("\n**What may break.** ");
    if effects.is_empty() {
        text.push_str("Nothing that is known: no other value of any resource changes.\n");
    } else {
        let sentences: Vec<&str> = effects.iter().map(|effect| effect.sentence()).collect();
        let _ = writeln!(text, "When this is applied: {}.", sentences.join("; "));
    }
    let assumed: BTreeSet<&(String, String)> = fixes.iter().flat_map(|fix| &fix.proof.assumed).collect();
    for (name, value) in assumed {
        let _ = writeln!(text, "\n{} was given as {}.", Foreign::new(name).for_markdown(), Foreign::new(value).for_markdown());
    }
    text
}

/// What a rule says. A rule that isn't built in may be the repository's own, and its words are as foreign as the rest of it.
struct Words {
    title: String,
    attack: String,
    remedy: String,
}

impl Words {
    fn of(rule: &ProposedRule, table: Option<&RuleTable>) -> Self {
        let ours = table
            .and_then(|table| table.find(rule.id.as_str()).filter(|id| *table.meta(*id).id == *rule.id.as_str()).map(|id| (table, id)));
        match ours {
            Some((table, id)) => {
                let docs = table.docs(id);
                Self { title: table.meta(id).title.to_string(), attack: docs.why.to_string(), remedy: docs.fix.to_string() }
            }
            None => Self { title: rule.title.for_markdown(), attack: rule.attack.for_markdown(), remedy: rule.remedy.for_markdown() },
        }
    }
}

/// What a fix says that it changes.
fn changes(proof: &Proof) -> String {
    let one = |stated: &keyblind_fix::proof::Stated| {
        let resource = match stated.type_key.as_str() {
            NODE => stated.file.clone(),
            _ => format!("{}.{}", stated.type_key, stated.name),
        };
        let resource = Foreign::new(&resource).for_markdown();
        if stated.path.is_empty() {
            format!("{resource} is added")
        } else {
            format!("{} of {resource}", Foreign::new(&stated.path).for_markdown())
        }
    };
    let stated: BTreeSet<String> = proof.stated.iter().map(one).collect();
    let more = stated.len().saturating_sub(6);
    let named: Vec<String> = stated.into_iter().take(6).collect();
    let rest = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{}{rest}", named.join(", "))
}

fn proof(proofs: &[&Proof], commit: &CommitId, text: &mut String) {
    #[derive(Serialize)]
    struct Document<'d> {
        version: u32,
        tool: &'static str,
        tool_version: &'static str,
        commit: &'d CommitId,
        proofs: &'d [&'d Proof],
    }
    let roots: BTreeSet<&str> = proofs.iter().flat_map(|proof| &proof.roots).map(String::as_str).collect();
    let is_held = |check: &&Check| proofs.iter().all(|proof| proof.checks.contains(check));
    let held: Vec<String> = Check::ALL.iter().filter(is_held).map(|check| format!("`{}`", check_name(*check))).collect();
    let _ = writeln!(
        text,
        "\n### Proof\n\n{} root{} judged again by every rule, before and after. Every fix passed: {}.",
        roots.len(),
        if roots.len() == 1 { " was" } else { "s were" },
        held.join(", ")
    );
    let document = Document { version: 1, tool: keyblind_report::TOOL, tool_version: keyblind_report::VERSION, commit, proofs };
    let json = serde_json::to_string(&document).map(|json| plain(&json)).unwrap_or_default();
    let block = format!("\n<details><summary>The proof for machines</summary>\n\n```json\n{json}\n```\n\n</details>\n");
    if json.is_empty() || text.len() + block.len() + MARGIN > limits::PROSE_BYTES {
        text.push_str("\nFor machines there is no room here: `keyblind fix --output json` makes the proof again.\n");
    } else {
        text.push_str(&block);
    }
}

fn check_name(check: Check) -> String {
    serde_json::to_value(check).ok().and_then(|name| Some(name.as_str()?.to_owned())).unwrap_or_default()
}

/// JSON in which whatever Markdown, HTML or a forge might read as something else is spelled out. Such characters stand in strings only.
fn plain(json: &str) -> String {
    let mut plain = String::with_capacity(json.len());
    for character in json.chars() {
        if matches!(character, '@' | '#' | '&' | '<' | '>' | '`') || !character.is_ascii() {
            for unit in character.encode_utf16(&mut [0; 2]) {
                let _ = write!(plain, "\\u{unit:04x}");
            }
        } else {
            plain.push(character);
        }
    }
    plain
}

/// A code span within a table, where a bar would end the cell.
fn cell(text: &Foreign) -> String {
    text.for_markdown().replace('|', "\\|")
}

/// A sentence with code between backticks, in which nothing but the code spans is markup.
fn sentence(text: &Foreign) -> String {
    let text = text.for_terminal();
    let parts: Vec<&str> = text.split('`').collect();
    let mut shown = String::with_capacity(text.len());
    for (index, part) in parts.iter().enumerate() {
        // Without an end a span is none.
        if index % 2 == 1 && index + 1 < parts.len() {
            shown.push_str(&Foreign::new(part).for_markdown());
            continue;
        }
        for word in part.split_inclusive(' ') {
            let (bare, space) = word.strip_suffix(' ').map_or((word, ""), |bare| (bare, " "));
            if is_plain(bare) {
                shown.push_str(bare);
            } else {
                shown.push_str(&Foreign::new(bare).for_markdown());
            }
            shown.push_str(space);
        }
    }
    shown
}

/// Whether a word can't be markup, a link, a mention or a reference.
fn is_plain(word: &str) -> bool {
    let is_harmless = |character: char| character.is_alphanumeric() || ".,;:()'\"%/=+-…’".contains(character);
    let lower = word.to_ascii_lowercase();
    word.chars().all(is_harmless) && !["://", "www.", "gh-"].iter().any(|sign| lower.contains(sign))
}

#[cfg(test)]
mod tests {
    use super::super::parts::divide;
    use super::super::samples::{fix, proposal};
    use super::*;

    fn explained(proposal: &Proposal, table: Option<&RuleTable>) -> String {
        let repository = Repository {
            forge: "github".parse().expect("a name"),
            owner: "octo-org".parse().expect("a name"),
            name: "shop".parse().expect("a name"),
        };
        let (base, commit) = ("main".parse().expect("a branch"), "0123456789abcdef0123456789abcdef01234567".parse().expect("a commit"));
        let place = Place { repository: &repository, base: &base, commit: &commit };
        let parts = divide(proposal);
        explain(proposal, &parts[0], &place, table).as_str().to_owned()
    }

    #[test]
    fn our_own_rules_speak_in_our_own_words() {
        let table = RuleTable::embedded().expect("it is sound");
        let text = explained(&proposal(&["a/main.tf"], vec![fix(0, &[0], &["a"])]), Some(&table));
        assert!(!text.contains("<img"), "{text}");
        let id = table.find("database-publicly-accessible").expect("it is there");
        assert!(text.contains(&format!("### {} (`database-publicly-accessible`, high)", table.meta(id).title)), "{text}");
        assert!(text.contains(&*table.docs(id).why));
        for part in [
            "| high | `database-publicly-accessible` | ` aws_db_instance.a0 ` | ` a/main.tf:3 ` |",
            "### Proof",
            "`fault-gone`",
            "### Undo",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }

    #[test]
    fn a_rule_of_the_repository_s_own_is_shown_inert() {
        let table = RuleTable::embedded().expect("it is sound");
        let text = explained(&proposal(&["a/main.tf"], vec![fix(1, &[0], &["a"])]), Some(&table));
        assert!(text.contains("### ` A title with <img src=x> and @octocat ` (`team-rule`, low)"), "{text}");
        assert!(text.contains("` Somebody **closes #1**, see https://example.com. `"), "{text}");
        // Without the built-in table any rule may be the repository's.
        let text = explained(&proposal(&["a/main.tf"], vec![fix(0, &[0], &["a"])]), None);
        assert!(text.contains("### ` A title with <img src=x>"), "{text}");
    }

    #[test]
    fn sentences_of_a_repository_hold_no_markup() {
        for (text, shown) in [
            ("`acl` is `\"x\"`, expected private.", "` acl ` is ` \"x\" `, expected private."),
            ("fixes #1 and @all", "fixes ` #1 ` and ` @all `"),
            ("see https://e.example <b> [x](y) www.e gh-1", "see ` https://e.example ` ` <b> ` ` [x](y) ` ` www.e ` ` gh-1 `"),
            ("an odd ` stays", "an odd  stays"),
            ("a\nb \u{202e}c", "` a\\u{a}b ` ` \\u{202e}c `"),
            ("**b** _i_ ~s~ \\ | !", "` **b** ` ` _i_ ` ` ~s~ ` ` \\ ` ` | ` ` ! `"),
        ] {
            assert_eq!(sentence(&Foreign::new(text)), shown);
        }
        assert_eq!(cell(&Foreign::new("a|b`c")), "`` a\\|b`c ``");
    }

    #[test]
    fn what_machines_read_is_json_that_nobody_else_reads() {
        let json = serde_json::json!({"a": "@all #1 </details> ``` ü 🦀"}).to_string();
        let shown = plain(&json);
        assert!(!shown.contains(['@', '#', '<', '`', 'ü']), "{shown}");
        assert_eq!(
            serde_json::from_str::<serde_json::Value>(&shown).expect("it is JSON"),
            serde_json::json!({"a": "@all #1 </details> ``` ü 🦀"})
        );
    }

    #[test]
    fn a_thousand_fixes_fit_and_end_with_the_undo() {
        let paths: Vec<String> = (0..1_000).map(|number| format!("m{number:04}/main.tf")).collect();
        let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
        let fixes = (0..1_000).map(|number| fix(number % 2, &[number], &[paths[number]])).collect();
        let text = explained(&proposal(&paths, fixes), None);
        assert!(text.len() <= limits::PROSE_BYTES && text.contains("\nAnd 940 more.\n") && text.ends_with("as well.\n"), "{}", text.len());
        assert!(text.contains("For machines there is no room here"));
    }
}
