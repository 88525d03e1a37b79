//! The policy's TOML form: read strictly, refused with the place and the remedy.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::time::Duration;

use jiff::civil::{Time, Weekday};
use jiff::tz::TimeZone;
use serde::Deserialize;
use toml::Spanned;

use super::guard::Guard;
use super::limits::Limits;
use super::quiet::{Freeze, QuietHours};
use super::{ChangeKind, Channel, Identity, Person, PersonId, Policy, Role, Rule, Severity};
use crate::clock::Timestamp;

/// No policy that people can still read is longer.
const MAX_BYTES: usize = 256 * 1024;
/// A request that lives longer is forgotten, not considered.
const LONGEST_EXPIRY: Duration = Duration::from_secs(7 * 24 * 60 * 60);
const SHORTEST_EXPIRY: Duration = Duration::from_secs(60);
const DEFAULT_EXPIRY: Duration = Duration::from_secs(60 * 60);
/// Time enough for somebody to see that the policy is about to change.
const SHORTEST_CHANGE_DELAY: Duration = Duration::from_secs(60 * 60);
const DEFAULT_CHANGE_DELAY: Duration = Duration::from_secs(24 * 60 * 60);

/// What is wrong with a policy, where, and what would be right.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("approval policy, line {line}, column {column}: {problem}")]
pub struct PolicyError {
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
    /// What is wrong, and what to do.
    pub problem: String,
}

impl PolicyError {
    fn at(text: &str, span: Range<usize>, problem: impl Into<String>) -> Self {
        let before = text.get(..span.start).unwrap_or(text);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        Self { line: before.matches('\n').count() + 1, column: before[line_start..].chars().count() + 1, problem: problem.into() }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct File {
    version: Spanned<u32>,
    solo: Option<Spanned<String>>,
    change_delay: Option<Spanned<String>>,
    broad_authority: Option<Spanned<Vec<String>>>,
    people: Spanned<BTreeMap<String, Spanned<PersonEntry>>>,
    rules: Spanned<Vec<Spanned<RuleEntry>>>,
    quiet_hours: Option<QuietEntry>,
    #[serde(default)]
    freezes: Vec<FreezeEntry>,
    #[serde(default)]
    limits: LimitsEntry,
    #[serde(default)]
    guard: GuardEntry,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct PersonEntry {
    identities: Vec<Spanned<IdentityEntry>>,
    roles: BTreeSet<Role>,
    tenants: Spanned<BTreeSet<String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct IdentityEntry {
    issuer: String,
    subject: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct RuleEntry {
    name: Spanned<String>,
    kinds: Option<BTreeSet<ChangeKind>>,
    severities: Option<BTreeSet<Severity>>,
    tenants: Option<Spanned<BTreeSet<String>>>,
    connections: Option<Spanned<Vec<String>>>,
    roles: Option<Spanned<BTreeSet<Role>>>,
    approvals: Option<Spanned<usize>>,
    channels: Option<Spanned<BTreeSet<Channel>>>,
    expires_after: Option<Spanned<String>>,
    #[serde(default)]
    typed_confirmation: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct QuietEntry {
    zone: Spanned<String>,
    daily: Option<Spanned<String>>,
    #[serde(default)]
    days: Vec<Spanned<String>>,
    #[serde(default)]
    critical_passes: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct FreezeEntry {
    from: Spanned<String>,
    until: Spanned<String>,
    reason: String,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct LimitsEntry {
    requests_an_hour: Option<Spanned<usize>>,
    open_requests: Option<Spanned<usize>>,
    changes_a_day: Option<Spanned<usize>>,
    failures_to_stop: Option<Spanned<usize>>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct GuardEntry {
    #[serde(default)]
    own: Vec<Spanned<String>>,
    #[serde(default)]
    break_glass: Vec<Spanned<String>>,
    #[serde(default)]
    approvers: Vec<Spanned<String>>,
    #[serde(default)]
    record: Vec<Spanned<String>>,
}

pub(super) fn parse(text: &str) -> Result<Policy, PolicyError> {
    if text.len() > MAX_BYTES {
        return Err(PolicyError::at(text, 0..0, format!("the file is larger than {MAX_BYTES} bytes; no person can check that")));
    }
    let file: File = toml::from_str(text).map_err(|error| PolicyError::at(text, error.span().unwrap_or(0..0), error.message()))?;
    Reader { text }.policy(file)
}

struct Reader<'t> {
    text: &'t str,
}

impl Reader<'_> {
    fn error(&self, span: Range<usize>, problem: impl Into<String>) -> PolicyError {
        PolicyError::at(self.text, span, problem)
    }

    fn policy(&self, file: File) -> Result<Policy, PolicyError> {
        if *file.version.get_ref() != 1 {
            return Err(self.error(file.version.span(), "this program knows version 1 of the policy only"));
        }
        let people_span = file.people.span();
        let people = self.people(file.people.into_inner())?;
        let solo = match file.solo {
            None => None,
            Some(solo) => {
                let id = PersonId::new(solo.get_ref().as_str());
                if !people.contains_key(&id) {
                    return Err(self.error(solo.span(), format!("nobody under [people] is called {id}: add [people.{id}]")));
                }
                if people.len() > 1 {
                    return Err(self.error(
                        solo.span(),
                        "solo is for one person alone; with several people remove this line, so that nobody approves their own changes",
                    ));
                }
                Some(id)
            }
        };
        if solo.is_none() && people.values().filter(|person| person.has(Role::Owner)).count() < 2 {
            return Err(self.error(
                people_span,
                "a policy for several people needs two owners, because changing it takes two: give a second person the role owner, or say solo = \"name\"",
            ));
        }
        let rules_span = file.rules.span();
        let rules = file.rules.into_inner();
        if rules.is_empty() {
            return Err(self.error(rules_span, "there is no rule, so nothing could ever be approved: add one under [[rules]]"));
        }
        let mut names = BTreeSet::new();
        let rules = rules.into_iter().map(|rule| self.rule(rule, &people, solo.as_ref(), &mut names)).collect::<Result<_, _>>()?;
        Ok(Policy {
            solo,
            people,
            rules,
            quiet: file.quiet_hours.map(|quiet| self.quiet(quiet)).transpose()?,
            freezes: file.freezes.into_iter().map(|freeze| self.freeze(freeze)).collect::<Result<_, _>>()?,
            limits: self.limits(file.limits)?,
            guard: self.guard(file.guard)?,
            broad_authority: self.broad_authority(file.broad_authority)?,
            change_delay: self.duration(file.change_delay, DEFAULT_CHANGE_DELAY, SHORTEST_CHANGE_DELAY, LONGEST_EXPIRY)?,
        })
    }

    fn broad_authority(&self, entry: Option<Spanned<Vec<String>>>) -> Result<Vec<String>, PolicyError> {
        let Some(entry) = entry else { return Ok(Vec::new()) };
        let span = entry.span();
        let patterns = entry.into_inner();
        for pattern in &patterns {
            if is_wild_within(pattern) {
                return Err(self.error(span, ONE_STAR));
            }
            if !pattern.contains(':') {
                return Err(self.error(span, "say for which connections, like \"github:octo-org/*\""));
            }
        }
        Ok(patterns)
    }

    fn people(&self, entries: BTreeMap<String, Spanned<PersonEntry>>) -> Result<BTreeMap<PersonId, Person>, PolicyError> {
        let mut taken = BTreeMap::new();
        let mut people = BTreeMap::new();
        for (name, entry) in entries {
            let span = entry.span();
            let entry = entry.into_inner();
            if name.is_empty() || name.len() > 64 || !name.chars().all(|letter| letter.is_ascii_alphanumeric() || "-_.".contains(letter)) {
                return Err(self.error(span, "a person's name is 1 to 64 of a-z, A-Z, 0-9 and -_."));
            }
            if entry.identities.is_empty() {
                return Err(self.error(span, format!("{name} has no identity, so nobody can ever be {name}: add {{ issuer, subject }}")));
            }
            if entry.tenants.get_ref().is_empty() {
                return Err(self.error(entry.tenants.span(), format!("{name} belongs to no tenant: list at least one")));
            }
            let mut identities = BTreeSet::new();
            for identity in entry.identities {
                let span = identity.span();
                let IdentityEntry { issuer, subject } = identity.into_inner();
                if issuer.is_empty() || subject.is_empty() {
                    return Err(self.error(span, "an identity needs the issuer exactly as the provider writes it, and its subject"));
                }
                let identity = Identity::new(issuer, subject);
                if let Some(other) = taken.insert(identity.clone(), name.clone()) {
                    return Err(self.error(span, format!("this identity is {other}'s as well; two people can't be the same one")));
                }
                identities.insert(identity);
            }
            let id = PersonId::new(name);
            people.insert(id.clone(), Person { id, identities, roles: entry.roles, tenants: entry.tenants.into_inner() });
        }
        Ok(people)
    }

    fn rule(
        &self,
        entry: Spanned<RuleEntry>,
        people: &BTreeMap<PersonId, Person>,
        solo: Option<&PersonId>,
        names: &mut BTreeSet<String>,
    ) -> Result<Rule, PolicyError> {
        let whole = entry.span();
        let entry = entry.into_inner();
        let name_span = entry.name.span();
        let name = entry.name.into_inner();
        if name.trim().is_empty() || !names.insert(name.clone()) {
            return Err(self.error(name_span, "a rule needs a name that no other rule has: the ledger names it"));
        }
        let roles_span = entry.roles.as_ref().map_or(whole.clone(), Spanned::span);
        let roles = entry.roles.map_or_else(|| BTreeSet::from([Role::Approver, Role::Security]), Spanned::into_inner);
        if roles.is_empty() || roles.contains(&Role::Member) {
            return Err(self.error(roles_span, "who may approve is any of approver, security and owner; members only ask"));
        }
        let channels_span = entry.channels.as_ref().map_or(whole.clone(), Spanned::span);
        let channels = entry.channels.map_or_else(|| BTreeSet::from([Channel::Passkey, Channel::Phone]), Spanned::into_inner);
        if channels.is_empty() {
            return Err(
                self.error(channels_span, "no channel is allowed, so nothing could be approved: list passkey, phone, session or terminal")
            );
        }
        let severities = entry.severities.unwrap_or_else(|| Severity::ALL.into());
        let tenants = entry.tenants.map(Spanned::into_inner);
        let (approvals_span, approvals) =
            entry.approvals.map_or((whole.clone(), 1), |approvals| (approvals.span(), approvals.into_inner()));
        let able = |tenant: &String| {
            people.values().filter(|person| person.belongs_to(tenant) && roles.iter().any(|role| person.has(*role))).count()
        };
        let (too_few, place) = match &tenants {
            Some(tenants) => {
                let lacking = tenants.iter().find(|tenant| able(tenant) < approvals);
                (lacking.map(able), lacking.map(|tenant| format!("tenant {tenant}")).unwrap_or_default())
            }
            // A rule for all tenants has to be of use in one of them; in the others it refuses.
            None => {
                let most = people.values().flat_map(|person| &person.tenants).map(able).max().unwrap_or(0);
                ((most < approvals).then_some(most), "any tenant".to_owned())
            }
        };
        if approvals == 0 {
            return Err(self.error(approvals_span, "without an approval nothing is decided: ask for at least one"));
        }
        if let Some(able) = too_few {
            let problem =
                format!("{approvals} approvals can't come together: at most {able} people of {place} have a role that this rule accepts");
            return Err(self.error(approvals_span, problem));
        }
        if solo.is_some() && approvals > 1 {
            return Err(self.error(approvals_span, "one person alone can't give several approvals"));
        }
        let connections_span = entry.connections.as_ref().map_or(whole, Spanned::span);
        let connections = entry.connections.map(Spanned::into_inner);
        if connections.iter().flatten().any(|pattern| is_wild_within(pattern)) {
            return Err(self.error(connections_span, ONE_STAR));
        }
        Ok(Rule {
            name,
            kinds: entry.kinds.unwrap_or_else(|| ChangeKind::ALL.into()),
            severities,
            tenants,
            connections,
            roles,
            approvals,
            channels,
            expires_after: self.duration(entry.expires_after, DEFAULT_EXPIRY, SHORTEST_EXPIRY, LONGEST_EXPIRY)?,
            typed_confirmation: entry.typed_confirmation,
        })
    }

    fn duration(
        &self,
        text: Option<Spanned<String>>,
        default: Duration,
        shortest: Duration,
        longest: Duration,
    ) -> Result<Duration, PolicyError> {
        let Some(text) = text else { return Ok(default) };
        let duration = seconds(text.get_ref()).ok_or_else(|| {
            self.error(text.span(), "a length of time is a whole number and its unit, like \"90s\", \"30m\", \"24h\" or \"2d\"")
        })?;
        if duration < shortest || duration > longest {
            let problem = format!("this has to lie between {} and {}", in_words(shortest), in_words(longest));
            return Err(self.error(text.span(), problem));
        }
        Ok(duration)
    }

    fn quiet(&self, entry: QuietEntry) -> Result<QuietHours, PolicyError> {
        let zone = TimeZone::get(entry.zone.get_ref())
            .map_err(|_| self.error(entry.zone.span(), "there is no such time zone; names are like \"Europe/Berlin\" or \"UTC\""))?;
        let daily =
            match entry.daily {
                None => None,
                Some(daily) => Some(hours(daily.get_ref()).ok_or_else(|| {
                    self.error(daily.span(), "quiet hours are written as \"20:00-07:30\"; the end may lie on the next day")
                })?),
            };
        let mut days = Vec::new();
        for day in entry.days {
            days.push(weekday(day.get_ref()).ok_or_else(|| self.error(day.span(), "days are written in full: \"monday\" to \"sunday\""))?);
        }
        let whole_day = daily.is_some_and(|(from, until)| from == until);
        let all_days = Weekday::Monday.cycle_forward().take(7).all(|day| days.contains(&day));
        if whole_day || all_days {
            return Err(self.error(entry.zone.span(), "it would always be quiet, so that nobody is ever asked: leave some hours"));
        }
        Ok(QuietHours { zone, daily, days, critical_passes: entry.critical_passes })
    }

    fn freeze(&self, entry: FreezeEntry) -> Result<Freeze, PolicyError> {
        let from = self.time(&entry.from)?;
        let until = self.time(&entry.until)?;
        if until <= from {
            return Err(self.error(entry.until.span(), "the freeze ends before it begins"));
        }
        Ok(Freeze { from, until, reason: entry.reason })
    }

    fn time(&self, text: &Spanned<String>) -> Result<Timestamp, PolicyError> {
        let parsed: Option<jiff::Timestamp> = text.get_ref().parse().ok();
        parsed
            .and_then(|time| u64::try_from(time.as_millisecond()).ok())
            .map(Timestamp::from_unix_millis)
            .ok_or_else(|| self.error(text.span(), "a time is written with its offset, like \"2026-12-20T18:00:00+01:00\""))
    }

    fn limits(&self, entry: LimitsEntry) -> Result<Limits, PolicyError> {
        let default = Limits::default();
        Ok(Limits {
            requests_an_hour: self.number(entry.requests_an_hour, default.requests_an_hour, 1000)?,
            open_requests: self.number(entry.open_requests, default.open_requests, 1000)?,
            changes_a_day: self.number(entry.changes_a_day, default.changes_a_day, 100_000)?,
            failures_to_stop: self.number(entry.failures_to_stop, default.failures_to_stop, 3)?,
        })
    }

    fn number(&self, given: Option<Spanned<usize>>, default: usize, most: usize) -> Result<usize, PolicyError> {
        match given {
            None => Ok(default),
            Some(number) if (1..=most).contains(number.get_ref()) => Ok(number.into_inner()),
            Some(number) => Err(self.error(number.span(), format!("this has to lie between 1 and {most}"))),
        }
    }

    fn guard(&self, entry: GuardEntry) -> Result<Guard, PolicyError> {
        let names = |entries: Vec<Spanned<String>>| {
            entries
                .into_iter()
                .map(|name| {
                    if name.get_ref().trim().trim_end_matches('*').is_empty() {
                        return Err(self.error(name.span(), "name what is guarded; this would guard everything"));
                    }
                    Ok(name.into_inner().trim().to_owned())
                })
                .collect::<Result<Vec<_>, _>>()
        };
        Ok(Guard {
            own: names(entry.own)?,
            break_glass: names(entry.break_glass)?,
            approvers: names(entry.approvers)?,
            record: names(entry.record)?,
        })
    }
}

const ONE_STAR: &str = "a pattern may have one *, at its end";

fn is_wild_within(pattern: &str) -> bool {
    pattern.strip_suffix('*').unwrap_or(pattern).contains('*')
}

fn seconds(text: &str) -> Option<Duration> {
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if number.is_empty() || !number.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let scale = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 60 * 60,
        "d" => 24 * 60 * 60,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(scale).map(Duration::from_secs)
}

/// A length of time as people say it, in the largest unit that it is a whole number of.
pub fn in_words(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let units = [(24 * 60 * 60, "day"), (60 * 60, "hour"), (60, "minute"), (1, "second")];
    let (scale, unit) = units.into_iter().find(|(scale, _)| seconds >= *scale && seconds.is_multiple_of(*scale)).unwrap_or((1, "second"));
    let number = seconds / scale;
    format!("{number} {unit}{}", if number == 1 { "" } else { "s" })
}

fn hours(text: &str) -> Option<(Time, Time)> {
    let (from, until) = text.split_once('-')?;
    Some((wall(from)?, wall(until)?))
}

fn wall(text: &str) -> Option<Time> {
    let (hour, minute) = text.split_once(':')?;
    if hour.len() != 2 || minute.len() != 2 || !hour.bytes().chain(minute.bytes()).all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    Time::new(hour.parse().ok()?, minute.parse().ok()?, 0, 0).ok()
}

fn weekday(text: &str) -> Option<Weekday> {
    Some(match text {
        "monday" => Weekday::Monday,
        "tuesday" => Weekday::Tuesday,
        "wednesday" => Weekday::Wednesday,
        "thursday" => Weekday::Thursday,
        "friday" => Weekday::Friday,
        "saturday" => Weekday::Saturday,
        "sunday" => Weekday::Sunday,
        _ => return None,
    })
}
