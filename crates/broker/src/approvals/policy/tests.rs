use std::time::Duration;

use proptest::prelude::*;

use super::grouping::{MAX_CHANGES, MAX_REQUESTS, group};
use super::guard::Guarded;
use super::limits::Limited;
use super::revision::{Stage, agree};
use super::*;

const TEAM: &str = include_str!("../../../tests/policies/team.toml");
const SOLO: &str = include_str!("../../../tests/policies/solo.toml");
const CODE: &str = "KB-7K2M";
/// Wednesday 2026-07-15, 10:00 in Berlin.
const NOON: Timestamp = Timestamp::from_unix_millis(1_784_102_400_000);

fn team() -> Policy {
    Policy::parse(TEAM).unwrap()
}

fn identity(name: &str) -> Identity {
    Identity::new("https://login.example/", name)
}

fn proposal(severity: Severity, requester: Requester) -> Proposal {
    Proposal { tenant: "acme".to_owned(), connection: "github:acme/shop".to_owned(), kind: ChangeKind::PullRequest, severity, requester }
}

fn vote<'a>(identity: &'a Identity, channel: Channel) -> Vote<'a> {
    Vote { identity, tenant: "acme", channel, answer: Answer::Approve, present_at: NOON, typed: Some(CODE) }
}

fn weigh(policy: &Policy, proposal: &Proposal, earlier: &[Counted], vote: &Vote<'_>) -> Result<Weighed, Refusal> {
    policy.weigh(proposal, CODE, NOON.saturating_add(Duration::from_secs(60)), earlier, vote, NOON)
}

/// Every channel, every person of the team, asked for by a person and by an agent: the whole table, written out.
#[test]
fn whose_word_counts_on_which_channel() {
    let policy = team();
    let mut table = String::new();
    for (asked, requester) in [("by mia", Requester::Person(identity("mia"))), ("by mia's agent", Requester::Agent(identity("mia")))] {
        for severity in [Severity::Low, Severity::High, Severity::Critical] {
            for person in ["mia", "ada", "sam", "olga", "eve", "mallory"] {
                let cells: Vec<&str> = Channel::ALL
                    .iter()
                    .map(|channel| {
                        let by = identity(person);
                        let vote = Vote { tenant: if person == "eve" { "evil" } else { "acme" }, ..vote(&by, *channel) };
                        match weigh(&policy, &proposal(severity, requester.clone()), &[], &vote) {
                            Ok(Weighed { standing: Standing::Approved, .. }) => "yes",
                            Ok(Weighed { standing: Standing::Waiting(_), .. }) => "1 of 2",
                            Ok(_) => "refused",
                            Err(Refusal::OwnRequest) => "own",
                            Err(Refusal::RoleMissing(_)) => "role",
                            Err(Refusal::ChannelNotAllowed(_)) => "channel",
                            Err(Refusal::AgentInTerminal) => "agent",
                            Err(Refusal::OtherTenant) => "tenant",
                            Err(Refusal::ApproverUnknown(_)) => "unknown",
                            Err(other) => panic!("{other}"),
                        }
                    })
                    .collect();
                table += &format!("{asked}, {severity:?}, {person}: {}\n", cells.join(", "));
            }
        }
    }
    // Columns: passkey, phone, session, terminal. Mia asked and is an approver by role; ada approves, sam is of security, olga an
    // owner and approver, eve approves for another tenant, mallory is nobody.
    assert_eq!(
        table,
        "by mia, Low, mia: own, own, own, own\n\
         by mia, Low, ada: yes, yes, yes, yes\n\
         by mia, Low, sam: role, role, role, role\n\
         by mia, Low, olga: yes, yes, yes, yes\n\
         by mia, Low, eve: tenant, tenant, tenant, tenant\n\
         by mia, Low, mallory: unknown, unknown, unknown, unknown\n\
         by mia, High, mia: own, own, own, own\n\
         by mia, High, ada: yes, yes, channel, channel\n\
         by mia, High, sam: yes, yes, channel, channel\n\
         by mia, High, olga: yes, yes, channel, channel\n\
         by mia, High, eve: tenant, tenant, tenant, tenant\n\
         by mia, High, mallory: unknown, unknown, unknown, unknown\n\
         by mia, Critical, mia: role, role, role, role\n\
         by mia, Critical, ada: role, role, role, role\n\
         by mia, Critical, sam: 1 of 2, channel, channel, channel\n\
         by mia, Critical, olga: 1 of 2, channel, channel, channel\n\
         by mia, Critical, eve: tenant, tenant, tenant, tenant\n\
         by mia, Critical, mallory: unknown, unknown, unknown, unknown\n\
         by mia's agent, Low, mia: own, own, own, own\n\
         by mia's agent, Low, ada: yes, yes, yes, agent\n\
         by mia's agent, Low, sam: role, role, role, role\n\
         by mia's agent, Low, olga: yes, yes, yes, agent\n\
         by mia's agent, Low, eve: tenant, tenant, tenant, tenant\n\
         by mia's agent, Low, mallory: unknown, unknown, unknown, unknown\n\
         by mia's agent, High, mia: own, own, own, own\n\
         by mia's agent, High, ada: yes, yes, channel, agent\n\
         by mia's agent, High, sam: yes, yes, channel, agent\n\
         by mia's agent, High, olga: yes, yes, channel, agent\n\
         by mia's agent, High, eve: tenant, tenant, tenant, tenant\n\
         by mia's agent, High, mallory: unknown, unknown, unknown, unknown\n\
         by mia's agent, Critical, mia: role, role, role, role\n\
         by mia's agent, Critical, ada: role, role, role, role\n\
         by mia's agent, Critical, sam: 1 of 2, channel, channel, agent\n\
         by mia's agent, Critical, olga: 1 of 2, channel, channel, agent\n\
         by mia's agent, Critical, eve: tenant, tenant, tenant, tenant\n\
         by mia's agent, Critical, mallory: unknown, unknown, unknown, unknown\n"
    );
}

#[test]
fn a_person_is_one_person_under_each_of_their_identities() {
    let policy = team();
    // Olga asked as the user of this machine and answers with a passkey under her login.
    let asked = proposal(Severity::Low, Requester::Person(Identity::local(1000)));
    assert_eq!(weigh(&policy, &asked, &[], &vote(&identity("olga"), Channel::Passkey)), Err(Refusal::OwnRequest));
    // Her second word under the other identity doesn't make two of her.
    let asked = proposal(Severity::Critical, Requester::Person(identity("mia")));
    let first = weigh(&policy, &asked, &[], &vote(&identity("olga"), Channel::Passkey)).unwrap().counted;
    assert_eq!(weigh(&policy, &asked, &[first], &vote(&Identity::local(1000), Channel::Passkey)), Err(Refusal::AlreadyCounted));
}

#[test]
fn a_requester_whom_nobody_knows_can_ask_for_nothing() {
    let policy = team();
    let nobody = identity("mallory");
    assert_eq!(
        policy.requirement(&proposal(Severity::Low, Requester::Agent(nobody.clone()))).unwrap_err(),
        Refusal::RequesterUnknown(nobody)
    );
    assert_eq!(
        policy.requirement(&proposal(Severity::Low, Requester::Person(identity("eve")))).unwrap_err(),
        Refusal::RequesterOfOtherTenant
    );
}

#[test]
fn a_session_of_another_tenant_approves_nothing_here() {
    let policy = team();
    // Ada belongs to both tenants; she is working in the other one.
    let ada = identity("ada");
    let vote = Vote { tenant: "evil", ..vote(&ada, Channel::Passkey) };
    assert_eq!(weigh(&policy, &proposal(Severity::Low, Requester::Schedule), &[], &vote), Err(Refusal::OtherTenant));
}

#[test]
fn two_people_are_two_people_and_one_no_is_enough() {
    let policy = team();
    let asked = proposal(Severity::Critical, Requester::Schedule);
    let (sam, olga) = (identity("sam"), identity("olga"));
    let first = weigh(&policy, &asked, &[], &vote(&sam, Channel::Passkey)).unwrap();
    assert_eq!(first.standing, Standing::Waiting(1));
    let earlier = [first.counted];
    assert_eq!(weigh(&policy, &asked, &earlier, &vote(&sam, Channel::Passkey)), Err(Refusal::AlreadyCounted));
    assert_eq!(weigh(&policy, &asked, &earlier, &vote(&olga, Channel::Passkey)).unwrap().standing, Standing::Approved);
    let no = Vote { answer: Answer::Refuse, channel: Channel::Session, typed: None, ..vote(&olga, Channel::Passkey) };
    let refused = weigh(&policy, &asked, &earlier, &no).unwrap();
    assert_eq!(refused.standing, Standing::Refused);
    assert_eq!(weigh(&policy, &asked, &[refused.counted], &vote(&sam, Channel::Passkey)), Err(Refusal::Decided));
}

#[test]
fn who_asked_may_take_it_back() {
    let mia = identity("mia");
    let no = Vote { answer: Answer::Refuse, ..vote(&mia, Channel::Session) };
    let asked = proposal(Severity::Low, Requester::Person(mia.clone()));
    assert_eq!(weigh(&team(), &asked, &[], &no).unwrap().standing, Standing::Refused);
}

#[test]
fn a_critical_change_wants_its_code_typed() {
    let policy = team();
    let asked = proposal(Severity::Critical, Requester::Schedule);
    let sam = identity("sam");
    for (typed, expected) in [
        (None, Err(Refusal::ConfirmationMissing)),
        (Some(""), Err(Refusal::ConfirmationWrong)),
        (Some("KB-7K2N"), Err(Refusal::ConfirmationWrong)),
        (Some("yes"), Err(Refusal::ConfirmationWrong)),
        (Some(" kb-7k2m "), Ok(Standing::Waiting(1))),
    ] {
        let vote = Vote { typed, ..vote(&sam, Channel::Passkey) };
        assert_eq!(weigh(&policy, &asked, &[], &vote).map(|weighed| weighed.standing), expected, "{typed:?}");
    }
}

#[test]
fn a_session_must_have_proven_recently_that_somebody_is_there() {
    let policy = team();
    let ada = identity("ada");
    let asked = proposal(Severity::Low, Requester::Schedule);
    let now = NOON.saturating_add(PRESENCE);
    let judge = |present_at| {
        let vote = Vote { present_at, ..vote(&ada, Channel::Session) };
        policy.weigh(&asked, CODE, now.saturating_add(Duration::from_secs(1)), &[], &vote, now).map(|weighed| weighed.standing)
    };
    assert_eq!(judge(NOON), Ok(Standing::Approved));
    assert_eq!(judge(Timestamp::from_unix_millis(NOON.unix_millis() - 1)), Err(Refusal::PresenceTooOld));
    // A proof from the future is a clock that was set back.
    assert_eq!(judge(now.saturating_add(Duration::from_millis(1))), Err(Refusal::PresenceTooOld));
}

#[test]
fn the_time_for_an_answer_ends() {
    let policy = team();
    let ada = identity("ada");
    let asked = proposal(Severity::Low, Requester::Schedule);
    let judge =
        |expires_at| policy.weigh(&asked, CODE, expires_at, &[], &vote(&ada, Channel::Passkey), NOON).map(|weighed| weighed.standing);
    assert_eq!(judge(NOON), Err(Refusal::Expired));
    assert_eq!(judge(NOON.saturating_add(Duration::from_millis(1))), Ok(Standing::Approved));
}

#[test]
fn one_person_alone_may_approve_their_own_and_the_record_says_so() {
    let policy = Policy::parse(SOLO).unwrap();
    let me = Identity::local(1000);
    let asked = Proposal { tenant: "home".to_owned(), ..proposal(Severity::Critical, Requester::Person(me.clone())) };
    assert!(policy.requirement(&asked).unwrap().solo);
    let vote = Vote { tenant: "home", ..vote(&me, Channel::Terminal) };
    let weighed = weigh(&policy, &asked, &[], &vote).unwrap();
    assert_eq!((weighed.standing, weighed.solo), (Standing::Approved, true));
    // Even alone: what the agent asked for isn't approved where the agent could type.
    let asked = Proposal { requester: Requester::Agent(me.clone()), ..asked };
    assert_eq!(weigh(&policy, &asked, &[], &vote), Err(Refusal::AgentInTerminal));
    // Somebody else's request isn't solo.
    let asked = Proposal { requester: Requester::Schedule, ..asked };
    assert!(!weigh(&policy, &asked, &[], &vote).unwrap().solo);
}

#[test]
fn what_no_rule_covers_is_refused() {
    let policy = team();
    let asked =
        Proposal { connection: "aws:999988887777".to_owned(), kind: ChangeKind::Live, ..proposal(Severity::Low, Requester::Schedule) };
    assert_eq!(policy.requirement(&asked).unwrap_err(), Refusal::NoRule { kind: ChangeKind::Live, severity: Severity::Low });
    let asked = Proposal { connection: "aws:111122223333".to_owned(), ..asked };
    assert_eq!(policy.requirement(&asked).unwrap().rule, "live");
}

#[test]
fn nobody_is_asked_in_quiet_hours() {
    let policy = team();
    let quiet = policy.quiet().unwrap();
    let at = |text: &str| {
        let time: jiff::Timestamp = text.parse().unwrap();
        Timestamp::from_unix_millis(u64::try_from(time.as_millisecond()).unwrap())
    };
    // 20:00 to 07:30 in Berlin, Sundays whole. The last two: the night in which clocks go forward, and back.
    for (now, expected) in [
        ("2026-07-15T17:59:00Z", "2026-07-15T17:59:00Z"),
        ("2026-07-15T18:00:00Z", "2026-07-16T05:30:00Z"),
        ("2026-07-16T05:29:59Z", "2026-07-16T05:30:00Z"),
        ("2026-07-18T18:00:01Z", "2026-07-20T05:30:00Z"),
        ("2026-03-28T20:00:00Z", "2026-03-30T05:30:00Z"),
        ("2026-10-24T20:00:00Z", "2026-10-26T06:30:00Z"),
    ] {
        assert_eq!(quiet.earliest(Severity::High, at(now)), Some(at(expected)), "{now}");
        assert_eq!(quiet.earliest(Severity::Critical, at(now)), Some(at(now)), "critical passes");
    }
}

#[test]
fn a_freeze_holds_from_its_first_to_its_last_moment() {
    let policy = team();
    let from = Timestamp::from_unix_millis(1_797_786_000_000); // 2026-12-20T18:00+01:00
    assert!(policy.frozen(Timestamp::from_unix_millis(from.unix_millis() - 1)).is_none());
    let freeze = policy.frozen(from).unwrap();
    assert_eq!(freeze.reason(), "year's end");
    assert!(policy.frozen(freeze.until()).is_none());
    assert_eq!(freeze.length(), freeze.until().saturating_duration_since(from));
}

#[test]
fn five_hundred_findings_make_ten_requests_at_most_and_never_mix_severities() {
    let proposals: Vec<Proposal> = (0..500).map(|index| proposal(Severity::ALL[index % 4], Requester::Schedule)).collect();
    let grouping = group(&proposals);
    assert_eq!(grouping.requests.len(), MAX_REQUESTS);
    assert!(grouping.requests.iter().all(|group| group.severity == Severity::Critical && group.members.len() == 1), "the worst first");
    assert_eq!(grouping.waiting.len(), 490);
    let calm: Vec<Proposal> = (0..500).map(|index| proposal(Severity::ALL[index % 3], Requester::Schedule)).collect();
    let grouping = group(&calm);
    assert!(grouping.requests.len() <= MAX_REQUESTS);
    assert_eq!(grouping.requests[0].severity, Severity::High);
}

#[test]
fn limits_stop_a_flood() {
    let limits = *team().limits();
    let raised: Vec<Timestamp> = (0..9).map(|minute| NOON.saturating_add(Duration::from_secs(minute * 60))).collect();
    let now = NOON.saturating_add(Duration::from_secs(10 * 60));
    assert_eq!(limits.admit_request(&raised, 9, now), Ok(()));
    let ten: Vec<Timestamp> = raised.iter().copied().chain([now]).collect();
    assert_eq!(limits.admit_request(&ten, 9, now), Err(Limited::RequestsAnHour(10)));
    // An hour after the first one there is room again; setting the clock back makes none.
    assert_eq!(limits.admit_request(&ten, 9, NOON.saturating_add(Duration::from_secs(60 * 60))), Ok(()));
    assert_eq!(limits.admit_request(&ten, 9, Timestamp::from_unix_millis(0)), Err(Limited::RequestsAnHour(10)));
    assert_eq!(limits.admit_request(&[], 20, now), Err(Limited::OpenRequests(20)));
    assert_eq!(limits.admit_change(&vec![NOON; 50], now), Err(Limited::ChangesADay(50)));
    assert_eq!(limits.admit_change(&vec![NOON; 50], NOON.saturating_add(Duration::from_secs(24 * 60 * 60))), Ok(()));
}

#[test]
fn three_failed_verifications_stop_a_batch_and_a_failed_canary_at_once() {
    let limits = *team().limits();
    for (verified, expected) in [
        (&[][..], Ok(())),
        (&[true, false, false], Ok(())),
        (&[false], Err(Limited::BatchStopped(1))),
        (&[true, false, false, false], Err(Limited::BatchStopped(3))),
        (&[true, false, false, true, false, false], Ok(())),
        (&[true, false, false, false, true], Err(Limited::BatchStopped(3))),
    ] {
        assert_eq!(limits.admit_in_batch(verified), expected, "{verified:?}");
    }
}

#[test]
fn the_ground_that_people_stand_on_is_guarded() {
    let policy = team();
    let guard = policy.guard();
    let own = "arn:aws:iam::111122223333:role/keyblind";
    assert_eq!(guard.admit([own]), Err(Guarded::Own(own.to_owned())));
    assert!(guard.admit([&format!("{own}/inline") as &str]).is_err(), "what lies beneath");
    assert!(guard.admit([own.to_uppercase().as_str()]).is_err(), "in other letters");
    assert_eq!(guard.admit([format!("{own}-reader").as_str()]), Ok(()), "a longer name is another one");
    assert!(matches!(guard.admit(["arn:aws:iam::111122223333:user/emergency"]), Err(Guarded::BreakGlass(_))));
    assert!(matches!(guard.admit(["auth0:client/abc"]), Err(Guarded::Approvers(_))));
    assert!(matches!(guard.admit(["arn:aws:cloudtrail:eu-central-1:111122223333:trail/main"]), Err(Guarded::Record(_))));
    assert_eq!(guard.admit(["arn:aws:s3:::shop"]), Ok(()));
}

#[test]
fn authority_that_cant_be_narrowed_is_accepted_only_where_it_is_listed() {
    let policy = team();
    assert!(policy.accepts_broad_authority("github:acme/shop") && policy.accepts_broad_authority_at("github:"));
    assert!(!policy.accepts_broad_authority("github:acme-evil/shop") && !policy.accepts_broad_authority("ghe:acme/shop"));
    assert!(!policy.accepts_broad_authority_at("ghe:"));
    let solo = Policy::parse(SOLO).unwrap();
    assert!(!solo.accepts_broad_authority("github:acme/shop") && !solo.accepts_broad_authority_at("github:"));
}

#[test]
fn changing_the_policy_takes_two_owners_and_a_day() {
    let policy = team();
    assert!(matches!(agree(&policy, &[], &identity("ada"), NOON), Err(Refusal::RoleMissing(_))));
    let (olga, stage) = agree(&policy, &[], &identity("olga"), NOON).unwrap();
    assert_eq!(stage, Stage::Waiting(1));
    let earlier = [olga];
    assert_eq!(agree(&policy, &earlier, &Identity::local(1000), NOON), Err(Refusal::AlreadyCounted), "olga's other identity");
    let (_, stage) = agree(&policy, &earlier, &identity("omar"), NOON).unwrap();
    assert_eq!(stage, Stage::InForceAt(NOON.saturating_add(Duration::from_secs(24 * 60 * 60))));
    let solo = Policy::parse(SOLO).unwrap();
    assert!(matches!(agree(&solo, &[], &Identity::local(1000), NOON), Ok((_, Stage::InForceAt(time))) if time > NOON));
}

#[test]
fn a_wrong_policy_is_refused_with_its_place_and_the_remedy() {
    for (from, to, line, words) in [
        ("version = 1", "version = 2", 2, "version 1"),
        ("roles = [\"owner\", \"security\"]", "roles = [\"boss\"]", 38, "unknown variant `boss`"),
        ("approvals = 2", "approvals = 9", 51, "9 approvals can't come together: at most 3 people of any tenant"),
        ("approvals = 2", "approvals = 0", 51, "ask for at least one"),
        ("approvals = 2", "aprovals = 2", 51, "unknown field `aprovals`"),
        ("\"30m\"", "\"30\"", 53, "whole number and its unit"),
        ("\"30m\"", "\"10s\"", 53, "between 1 minute and 7 days"),
        ("Europe/Berlin", "Europe/Atlantis", 74, "no such time zone"),
        ("20:00-07:30", "20:00-25:30", 75, "20:00-07:30"),
        ("20:00-07:30", "20:00-20:00", 74, "always be quiet"),
        ("\"sunday\"", "\"sun\"", 76, "in full"),
        ("2026-12-20T18:00:00+01:00", "2026-12-20", 80, "with its offset"),
        ("2026-12-20T18:00:00+01:00", "2027-12-20T18:00:00+01:00", 81, "ends before it begins"),
        ("subject = \"1000\"", "subject = \"\"", 32, "exactly as the provider"),
        ("failures-to-stop = 3", "failures-to-stop = 4", 88, "between 1 and 3"),
        ("tenants = [\"evil\"]", "tenants = []", 44, "belongs to no tenant"),
        ("[\"session\"", "[", 71, "extra comma"),
        ("[\"github:acme/*\"]\n\n", "[\"github:*/shop\"]\n\n", 5, "one *, at its end"),
        ("[\"github:acme/*\"]\n\n", "[\"*\"]\n\n", 5, "say for which connections"),
    ] {
        assert_eq!(TEAM.matches(from).count(), 1, "{from} must occur once");
        let error = Policy::parse(&TEAM.replace(from, to)).unwrap_err();
        assert!(error.problem.contains(words), "{to}: {error}");
        assert_eq!(error.line, line, "{to}: {error}");
    }
}

#[test]
fn a_policy_that_lets_one_alone_decide_says_solo() {
    let two_owners = TEAM.replace("roles = [\"owner\", \"security\"]", "roles = [\"security\"]");
    assert!(Policy::parse(&two_owners).unwrap_err().problem.contains("two owners"));
    let solo_of_many = TEAM.replace("version = 1", "version = 1\nsolo = \"olga\"");
    assert!(Policy::parse(&solo_of_many).unwrap_err().problem.contains("one person alone"));
    let nobody = SOLO.replace("solo = \"me\"", "solo = \"you\"");
    assert!(Policy::parse(&nobody).unwrap_err().problem.contains("called you"));
    let twice =
        TEAM.replace("subject = \"1000\"", "subject = \"olga\"").replace("issuer = \"local\"", "issuer = \"https://login.example/\"");
    assert!(Policy::parse(&twice).unwrap_err().problem.contains("olga's as well"));
    let stolen = TEAM.replace("subject = \"mia\"", "subject = \"olga\"");
    assert!(Policy::parse(&stolen).unwrap_err().problem.contains("as well"));
}

fn severities() -> impl Strategy<Value = Severity> {
    prop::sample::select(Severity::ALL.to_vec())
}

fn channels() -> impl Strategy<Value = Channel> {
    prop::sample::select(Channel::ALL.to_vec())
}

fn people() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["mia", "ada", "sam", "olga", "omar", "eve", "mallory"])
}

fn requesters() -> impl Strategy<Value = Requester> {
    prop_oneof![
        people().prop_map(|name| Requester::Person(identity(name))),
        people().prop_map(|name| Requester::Agent(identity(name))),
        Just(Requester::Schedule),
    ]
}

proptest! {
    /// Whatever is said in whatever order: approved means that as many different people of that tenant as the rule wants have said
    /// yes with a role and on a channel that it accepts, none of them the one who asked, and nobody no.
    #[test]
    fn approved_means_what_it_says(
        severity in severities(),
        kind in prop::sample::select(ChangeKind::ALL.to_vec()),
        requester in requesters(),
        votes in prop::collection::vec((people(), channels(), any::<bool>(), any::<bool>()), 0..12),
    ) {
        let policy = team();
        let asked = Proposal { kind, ..proposal(severity, requester) };
        let mut counted: Vec<Counted> = Vec::new();
        let mut standing = None;
        for (name, channel, yes, typed) in votes {
            let by = identity(name);
            let vote = Vote {
                answer: if yes { Answer::Approve } else { Answer::Refuse },
                typed: typed.then_some(CODE),
                ..vote(&by, channel)
            };
            if let Ok(weighed) = weigh(&policy, &asked, &counted, &vote) {
                prop_assert!(!matches!(standing, Some(Standing::Approved | Standing::Refused)), "nothing counts after the decision");
                counted.push(weighed.counted);
                standing = Some(weighed.standing);
            }
        }
        let asker = asked.requester.identity().and_then(|identity| policy.person_of(identity)).map(|person| person.id().clone());
        if standing == Some(Standing::Approved) {
            let requirement = policy.requirement(&asked).unwrap();
            let names: BTreeSet<&PersonId> = counted.iter().map(|counted| &counted.person).collect();
            prop_assert_eq!(names.len(), requirement.approvals);
            for word in &counted {
                prop_assert_eq!(word.answer, Answer::Approve);
                prop_assert_ne!(Some(&word.person), asker.as_ref());
                prop_assert!(requirement.channels.contains(&word.channel));
                prop_assert!(!(word.channel == Channel::Terminal && matches!(asked.requester, Requester::Agent(_))));
                let person = policy.person(&word.person).unwrap();
                prop_assert!(person.belongs_to("acme") && requirement.roles.iter().any(|role| person.has(*role)));
            }
        }
    }

    /// Every change is in one request or waits, requests hold one severity, and there are never more than a person can read.
    #[test]
    fn grouping_loses_nothing_and_mixes_nothing(
        given in prop::collection::vec((severities(), prop::sample::select(vec!["acme", "evil"]), prop::sample::select(ChangeKind::ALL.to_vec())), 0..600),
    ) {
        let proposals: Vec<Proposal> = given
            .into_iter()
            .map(|(severity, tenant, kind)| Proposal { tenant: tenant.to_owned(), kind, ..proposal(severity, Requester::Schedule) })
            .collect();
        let grouping = group(&proposals);
        prop_assert!(grouping.requests.len() <= MAX_REQUESTS);
        let mut seen: Vec<usize> = grouping.waiting.clone();
        for group in &grouping.requests {
            prop_assert!(!group.members.is_empty() && group.members.len() <= MAX_CHANGES);
            for member in &group.members {
                prop_assert_eq!(&proposals[*member].tenant, &proposals[group.members[0]].tenant);
                prop_assert_eq!(proposals[*member].severity, group.severity);
                prop_assert_eq!(proposals[*member].kind, proposals[group.members[0]].kind);
            }
            seen.extend(&group.members);
        }
        seen.sort_unstable();
        prop_assert_eq!(seen, (0..proposals.len()).collect::<Vec<_>>());
    }

    /// No text at all makes the reader of policies panic.
    #[test]
    fn any_text_is_read_or_refused(text in "\\PC{0,200}", cut in 0..2600usize) {
        let _ = Policy::parse(&text);
        let start: String = TEAM.chars().take(cut).collect();
        let _ = Policy::parse(&format!("{start}{text}"));
    }
}
