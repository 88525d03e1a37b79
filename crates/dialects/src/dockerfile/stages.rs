//! Build stages: which instruction belongs to which, what each is built upon, and which become part of the image.

use std::collections::HashMap;

use keyblind_syntax::dockerfile::{Dockerfile, Keyword, Word, words};

/// One `FROM` and what follows it.
#[derive(Debug)]
pub(super) struct Stage {
    /// The number of its `FROM` among the instructions.
    pub(super) from: usize,
    /// The name behind `AS`, in lower case: Docker doesn't tell cases apart.
    pub(super) name: Option<String>,
    /// Whether an earlier stage has the same name.
    pub(super) repeats_name: bool,
    /// The earlier stage that it is built upon.
    pub(super) base: Option<usize>,
    /// Whether it, or a file of it, gets into the image.
    pub(super) is_used: bool,
}

/// All stages.
#[derive(Debug, Default)]
pub(super) struct Stages {
    pub(super) stages: Vec<Stage>,
    /// The `USER` that the image runs as: its number among the instructions.
    pub(super) effective_user: Option<usize>,
}

impl Stages {
    pub(super) fn of(parsed: &Dockerfile) -> Self {
        let mut stages = Self::default();
        let mut by_name: HashMap<String, usize> = HashMap::new();
        // Which stages a stage copies from or mounts.
        let mut reads: Vec<Vec<usize>> = Vec::new();
        for (index, instruction) in parsed.instructions.iter().enumerate() {
            if instruction.keyword == Keyword::From {
                let words = words(&instruction.arguments, parsed.escape);
                let base = words.first().and_then(|image| by_name.get(&image.text.to_lowercase()).copied());
                let name = name_of(&words).map(|name| name.text.to_lowercase());
                let number = stages.stages.len();
                let repeats_name = name.as_ref().is_some_and(|name| by_name.insert(name.clone(), number).is_some());
                stages.stages.push(Stage { from: index, name, repeats_name, base, is_used: false });
                reads.push(Vec::new());
                continue;
            }
            let Some(current) = reads.last_mut() else { continue };
            let named = instruction.flags.iter().filter_map(|flag| {
                let value = &flag.value.as_ref()?.text;
                match &*flag.name {
                    "from" => Some(value.as_str()),
                    "mount" => value.split(',').find_map(|part| part.strip_prefix("from=")),
                    _ => None,
                }
            });
            for name in named {
                let number = name.parse().ok().filter(|number| *number < stages.stages.len());
                current.extend(by_name.get(&name.to_lowercase()).copied().or(number));
            }
        }
        stages.mark_used(&reads);
        stages.effective_user = stages.find_effective_user(parsed);
        stages
    }

    fn mark_used(&mut self, reads: &[Vec<usize>]) {
        let Some(last) = self.stages.len().checked_sub(1) else { return };
        let mut open = vec![last];
        while let Some(stage) = open.pop() {
            if !std::mem::replace(&mut self.stages[stage].is_used, true) {
                open.extend(self.stages[stage].base.into_iter().chain(reads[stage].iter().copied()));
            }
        }
    }

    fn find_effective_user(&self, parsed: &Dockerfile) -> Option<usize> {
        let mut stage = self.stages.len().checked_sub(1)?;
        loop {
            let end = self.stages.get(stage + 1).map_or(parsed.instructions.len(), |next| next.from);
            let of_stage = &parsed.instructions[self.stages[stage].from..end];
            let last = of_stage.iter().rposition(|instruction| instruction.keyword == Keyword::User && instruction.onbuild.is_none());
            if let Some(last) = last {
                return Some(self.stages[stage].from + last);
            }
            // A stage is only ever built upon an earlier one.
            stage = self.stages[stage].base.filter(|base| *base < stage)?;
        }
    }

    /// The stage that an instruction belongs to; arguments before the first `FROM` belong to none.
    pub(super) fn stage_of(&self, instruction: usize) -> Option<usize> {
        self.stages.partition_point(|stage| stage.from <= instruction).checked_sub(1)
    }

    pub(super) fn has_repeated_name(&self) -> bool {
        self.stages.iter().any(|stage| stage.repeats_name)
    }

    /// The `FROM` that names the image below the last stage.
    pub(super) fn final_image(&self) -> Option<usize> {
        let mut stage = self.stages.len().checked_sub(1)?;
        while let Some(base) = self.stages[stage].base.filter(|base| *base < stage) {
            stage = base;
        }
        Some(self.stages[stage].from)
    }

    /// How a stage is called in addresses.
    pub(super) fn label(&self, stage: usize) -> String {
        match &self.stages[stage] {
            Stage { name: Some(name), repeats_name: false, .. } => name.clone(),
            _ => format!("stage[{stage}]"),
        }
    }
}

/// The name behind `AS`.
pub(super) fn name_of(words: &[Word]) -> Option<&Word> {
    match words {
        [_, keyword, name, ..] if keyword.text.eq_ignore_ascii_case("as") => Some(name),
        _ => None,
    }
}
