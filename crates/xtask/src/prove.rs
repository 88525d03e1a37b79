//! Defences broken one by one: the proof must notice each.
//!
//! Each mutation is a change of one place in a copy of the tracked sources. The programs are built from it and `keyblind-prove` runs with
//! them: a proof that still holds shows a defence that nothing tests.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context as _, Result, bail, ensure};

use crate::process;

/// A defence, and how it is broken.
struct Mutation {
    /// What doesn't hold any more.
    what: &'static str,
    /// The file.
    file: &'static str,
    /// The text that is there, once.
    from: &'static str,
    /// What stands there instead.
    to: &'static str,
}

/// All are in what the broker's program is made of: what `keyblind` is made of takes minutes to build, and is confined by the same code as the
/// hostile programs of `crates/harden/tests`, which try each confinement with it and without.
const MUTATIONS: &[Mutation] = &[
    Mutation {
        what: "a token is written to the log",
        file: "crates/broker/src/providers/github/app.rs",
        from: "        let is_selected = given.repository_selection",
        to: "        given.token.0.expose(|bytes| eprintln!(\"{}\", String::from_utf8_lossy(bytes)));\n        let is_selected = given.repository_selection",
    },
    Mutation {
        what: "a token lies in a file, in base 64",
        file: "crates/broker/src/work/github.rs",
        from: "                call(&source.access(token)).await.map_err(|error| {",
        to: "                let _ = token.expose(|bytes| std::fs::write(self.folder.join(\"x\"), data_encoding::BASE64.encode(bytes)));\n                call(&source.access(token)).await.map_err(|error| {",
    },
    Mutation {
        what: "tokens are called revoked and aren't",
        file: "crates/broker/src/providers/github/app.rs",
        from: "        let target = self.api.clone().path(\"/installation/token\");\n",
        to: "        let target = self.api.clone().path(\"/installation/token\");\n        if token.len() > 1 {\n            return Ok(Revoked::Confirmed);\n        }\n",
    },
    Mutation {
        what: "every tenant reaches every owner",
        file: "crates/broker/src/work/github.rs",
        from: "self.owners.get(tenant).is_some_and(|owners| owners.reach(repository.owner.as_str()))",
        to: "self.owners.get(tenant).is_none_or(|owners| owners.reach(repository.owner.as_str()))",
    },
    Mutation {
        what: "everybody may ask for everything",
        file: "crates/broker/src/dispatch.rs",
        from: "            Request::Control(Control::Kill) => true,",
        to: "            _ if self <= Self::Operator => true,\n            Request::Control(Control::Kill) => true,",
    },
    Mutation {
        what: "a request is taken twice",
        file: "crates/broker/src/socket/server.rs",
        from: "is_new(id, self.limits.remembered_ids)",
        to: "is_new(id, self.limits.remembered_ids) || true",
    },
    Mutation {
        what: "a one-time token opens twice",
        file: "crates/broker/src/socket/peers.rs",
        from: ".remove(&Digest::of(token))",
        to: ".get(&Digest::of(token)).copied()",
    },
    Mutation {
        what: "paths may lead anywhere",
        file: "crates/intent/src/paths.rs",
        from: "!text.is_empty() && text.len() <= PATH_BYTES && text.split('/').all(is_part)",
        to: "!text.is_empty() && text.len() <= PATH_BYTES && (text.split('/').all(is_part) || true)",
    },
    Mutation {
        what: "people's branches are written to",
        file: "crates/intent/src/intents/repositories.rs",
        from: "    if branch.as_str().starts_with(\"keyblind/\") {",
        to: "    if !branch.as_str().is_empty() {",
    },
    Mutation {
        what: "a file's contents aren't compared with what was scanned",
        file: "crates/broker/src/providers/github/standing.rs",
        from: "if Digest::of(&found) != *before {",
        to: "if Digest::of(&found) == Digest::of(b\"\") && found.is_empty() && before.as_bytes().is_empty() {",
    },
    Mutation {
        what: "the pages take forms without a seal",
        file: "crates/broker/src/door/sessions.rs",
        from: "        let Ok(seal) = BASE64URL_NOPAD.decode(seal.as_bytes()) else { return false };\n",
        to: "        let Ok(seal) = BASE64URL_NOPAD.decode(seal.as_bytes()) else { return true };\n        if seal.len() < 1_000 {\n            return true;\n        }\n",
    },
    Mutation {
        what: "the pages take forms from anywhere",
        file: "crates/broker/src/door/gate.rs",
        from: "        let from_here = only(headers, &header::ORIGIN) == Some(door.origin.origin.as_str())",
        to: "        let from_here = headers.contains_key(header::ORIGIN)",
    },
    Mutation {
        what: "the broker keeps the environment that it is started in",
        file: "crates/harden/src/broker.rs",
        from: "    raw::forget_environment(&kept);",
        to: "    drop(kept);",
    },
    Mutation {
        what: "what is freed isn't overwritten",
        file: "crates/harden/src/wiping.rs",
        from: "            wipe(block, layout.size());",
        to: "            wipe(block, 0);",
    },
    Mutation {
        what: "a broker that breaks down leaves its memory behind",
        file: "crates/harden/src/process.rs",
        from: "    set_dumpable_behavior(DumpableBehavior::NotDumpable).map_err(|error| HardenError::refused(Measure::NotDumpable, error))?;\n    let is_sealed = dumpable_behavior().is_ok_and(|now| now == DumpableBehavior::NotDumpable);\n    report.add(Measure::NotDumpable, held(is_sealed));\n    limits::forbid_core()?;\n",
        to: "",
    },
    Mutation {
        what: "the record doesn't say who approved",
        file: "crates/broker/src/approvals/journal.rs",
        from: "            if *is_given {",
        to: "            if *is_given && records.is_empty() {",
    },
];

/// Proves, and then breaks each defence in turn; with words, those whose description holds one of them.
///
/// # Errors
/// If the proof fails with the defences on, or holds with one of them off.
pub(crate) fn mutations(words: &[&str]) -> Result<()> {
    let is_chosen = |mutation: &&Mutation| words.is_empty() || words.iter().any(|word| mutation.what.contains(word));
    ensure!(MUTATIONS.iter().any(|mutation| is_chosen(&mutation)), "no mutation says any of: {}", words.join(", "));
    let folder = process::target().join("mutations");
    let source = folder.join("source");
    copy(&source)?;
    let (programs, built) = (folder.join("programs"), folder.join("target"));
    fs::create_dir_all(&programs)?;
    process::run("cargo", &["build", "--locked", "--package", "keyblind"])?;
    place(&process::target().join("debug/keyblind"), &programs.join("keyblind"))?;
    build(&source, &built)?;
    ensure!(is_proven(&built, &programs)?, "the proof doesn't hold with every defence on");
    println!("proven with every defence on");
    let mut unnoticed = Vec::new();
    let chosen: Vec<&Mutation> = MUTATIONS.iter().filter(is_chosen).collect();
    for mutation in &chosen {
        let started = Instant::now();
        let path = source.join(mutation.file);
        let text = fs::read_to_string(&path).with_context(|| mutation.file.to_owned())?;
        ensure!(text.matches(mutation.from).count() == 1, "`{}` isn't in {} once: mend the mutation", mutation.from, mutation.file);
        fs::write(&path, text.replacen(mutation.from, mutation.to, 1))?;
        let proven = build(&source, &built).and_then(|()| is_proven(&built, &programs));
        fs::write(&path, text)?;
        let is_noticed = !proven.with_context(|| mutation.what.to_owned())?;
        println!("{:<13} {} ({} s)", if is_noticed { "noticed" } else { "NOT NOTICED" }, mutation.what, started.elapsed().as_secs());
        if !is_noticed {
            unnoticed.push(mutation.what);
        }
    }
    println!("{} of {} noticed", chosen.len() - unnoticed.len(), chosen.len());
    if unnoticed.is_empty() { Ok(()) } else { bail!("not noticed: {}", unnoticed.join("; ")) }
}

/// Copies what git tracks, as it is in the working tree.
fn copy(source: &Path) -> Result<()> {
    let repository = process::repository();
    for name in process::output("git", &["ls-files", "-z"])?.split('\0').filter(|name| !name.is_empty()) {
        let (from, to) = (repository.join(name), source.join(name));
        let folder = to.parent().context("a file is in a folder")?;
        fs::create_dir_all(folder)?;
        let bytes = fs::read(&from).with_context(|| name.to_owned())?;
        // What is the same keeps its time, so that nothing is built twice.
        if fs::read(&to).ok().as_ref() != Some(&bytes) {
            fs::write(&to, bytes)?;
        }
    }
    Ok(())
}

fn build(source: &Path, target: &Path) -> Result<()> {
    let status = Command::new("cargo")
        .args(["build", "--quiet", "--locked", "--package", "keyblind-broker-program", "--package", "keyblind-prove"])
        .current_dir(source)
        .env("CARGO_TARGET_DIR", target)
        .status()?;
    ensure!(status.success(), "it isn't built ({status})");
    Ok(())
}

/// Whether the proof holds with these programs.
fn is_proven(built: &Path, programs: &Path) -> Result<bool> {
    place(&built.join("debug/keyblind-broker"), &programs.join("keyblind-broker"))?;
    let prove: PathBuf = built.join("debug/keyblind-prove");
    let output = Command::new(prove).arg("--programs").arg(programs).env_clear().output()?;
    match output.status.code() {
        Some(0 | 3) => Ok(true),
        Some(1) => Ok(false),
        // A broken program that proves nothing isn't a defence that was noticed.
        _ => bail!("the proof wasn't made: {}", String::from_utf8_lossy(&output.stderr)),
    }
}

fn place(program: &Path, there: &Path) -> Result<()> {
    fs::copy(program, there).map(drop).with_context(|| format!("{} can't be copied", program.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_mutation_still_has_its_place() {
        for mutation in MUTATIONS {
            let text = fs::read_to_string(process::repository().join(mutation.file)).unwrap();
            assert_eq!(text.matches(mutation.from).count(), 1, "{}: {}", mutation.file, mutation.from);
            assert_ne!(mutation.from, mutation.to);
        }
    }
}
