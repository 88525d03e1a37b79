//! Threat 22, across a restart: everything that authorises is sent again to the next broker.

use keyblind_intent::{ChangeState, Refusal};
use keyblind_prove::adversary::Enemy;
use rustix::process::Signal;

use crate::bench::{Bench, ends, follow, propose};

#[test]
fn what_was_sent_to_the_last_broker_counts_for_nothing_with_the_next() {
    let mut bench = Bench::new();
    let [runner, _, stranger] = bench.world.start().unwrap();
    assert_eq!(Enemy::connect(&bench.world.socket(), &runner).unwrap().1, None);
    let said = String::from_utf8(bench.world.ask_broker(&["login"]).unwrap()).unwrap();
    let link = said.lines().find_map(|line| line.strip_prefix("open ")).unwrap().to_owned();
    let mut person = bench.world.visitor();
    person.log_in(&link).unwrap();
    let change = propose(&bench.world, &bench.github, "keyblind/once").unwrap();
    let page = person.get(&format!("/change/{change}")).unwrap();
    let form = [("seal", page.field("seal").unwrap()), ("nonce", page.field("nonce").unwrap()), ("answer", "approve".to_owned())];
    let form: Vec<(&str, &str)> = form.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let decide = format!("/change/{change}/decide");
    assert_eq!(person.post(&decide, &form).unwrap().status, 303);
    assert_eq!(ends(&bench.world, change).unwrap(), ChangeState::Applied);
    bench.all_revoked();
    let writes = bench.github.writes();

    bench.world.end_by(Signal::KILL).unwrap();
    bench.start();
    // One-time tokens of the socket: the one that was used, and one that never was.
    for token in [&runner, &stranger] {
        assert_eq!(Enemy::connect(&bench.world.socket(), token).unwrap().1, Some(Refusal::BadToken));
    }
    // The link.
    assert!(bench.world.visitor().log_in(&link).is_err(), "a link logs in once");
    // The yes, in the session in which it was given, which is still one.
    assert_eq!(person.get("/").unwrap().status, 200);
    let again = person.post(&decide, &form).unwrap();
    assert_eq!(follow(&bench.world, change).unwrap(), ChangeState::Applied, "{again:?}");
    // The other way round: the next yes of the same session counts.
    let next = propose(&bench.world, &bench.github, "keyblind/next").unwrap();
    crate::bench::approve(&mut person, next).unwrap();
    assert_eq!(ends(&bench.world, next).unwrap(), ChangeState::Applied);
    assert_eq!(bench.github.proposed(), ["keyblind/once", "keyblind/next"]);
    assert!(bench.github.writes().starts_with(&writes), "and the first change was made once");
    bench.all_revoked();
    let (report, _) = bench.record();
    assert_eq!((report.writes, report.approvals), (2, 2));
}
