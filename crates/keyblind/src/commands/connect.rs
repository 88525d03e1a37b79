//! `keyblind connect`

use keyblind_intent::{Answer, Control, Provider, Report, Request};

use crate::arguments::Connectable;
use crate::broker::{Broker, unwelcome};
use crate::exit::Exit;
use crate::output;

pub(super) fn run(provider: Connectable) -> anyhow::Result<Exit> {
    let provider = match provider {
        Connectable::Github => Provider::Github,
        Connectable::Aws => Provider::Aws,
        Connectable::Slack => Provider::Slack,
    };
    let answer = Broker::connect()?.ask(&Request::Control(Control::Connect { provider }))?;
    let text = match answer {
        Answer::Report(Report::ConnectAt { page, code, .. }) => {
            format!(
                "open     {page}\ncompare  {code}\nThe page shows the same code. The account is connected there, and nothing of it comes here.\n"
            )
        }
        Answer::Report(Report::InstallAt { page }) => {
            format!("open     {page}\nAn owner installs the App there for the repositories that it may reach. Nothing of it comes here.\n")
        }
        Answer::Report(Report::AlreadyConnected { connection }) => format!("`{}` is connected\n", connection.name),
        Answer::Report(other) => anyhow::bail!("the broker answered something else than was asked ({other:?})"),
        Answer::Outcome(outcome) => return Err(unwelcome(&outcome)),
    };
    output::print_with(|out| out.write_all(text.as_bytes())).map(|()| Exit::Clean)
}
