//! `keyblind config`

use super::scan::targets;
use crate::arguments::ConfigCommand;
use crate::exit::Exit;
use crate::output;
use crate::settings::Settings;

pub(super) fn run(command: &ConfigCommand) -> anyhow::Result<Exit> {
    let ConfigCommand::Show(arguments) = command;
    let (targets, _) = targets(&arguments.what)?;
    let settings = Settings::new(&arguments.what, Some(arguments), &targets)?;
    output::print_with(|out| {
        writeln!(out, "# trust root: {}", targets.root.display())?;
        let texts: Vec<String> = settings.shown.iter().map(|shown| format!("{} = {}", shown.key, shown.value)).collect();
        let width = texts.iter().map(|text| text.chars().count()).max().unwrap_or_default().min(60);
        for (text, shown) in texts.iter().zip(&settings.shown) {
            writeln!(out, "{text:<width$}  # {}", shown.source)?;
        }
        Ok(())
    })
    .map(|()| Exit::Clean)
}
