//! What goes wrong, at the emulators and at the stand-in: each is a state of its own, and nothing is left unaccounted for.

use keyblind_broker::clock::TestClock;
use keyblind_broker::leases::lease::{Authority as _, NotMinted};
use keyblind_broker::ledger::Code;
use keyblind_broker::providers::aws::{AwsError, StsPermission};

use super::stand_in::{Answer, StandIn};
use super::*;

fn code(word: &str) -> Code {
    Code::new(word).unwrap()
}

async fn stand_in() -> (StandIn, AwsAuthority, SessionScope) {
    let stand_in = StandIn::start(None).await;
    let base = Base::keys(keys(AWS_KEY_ID, AWS_SECRET_KEY.as_bytes(), None).unwrap());
    let authority = AwsAuthority::new(stand_in.sts(), Arc::new(base));
    (stand_in, authority, to_change(SessionPolicy::of_action(&block("logs-a"), None).unwrap()))
}

#[tokio::test]
async fn every_refusal_says_what_it_is_about() {
    let (stand_in, authority, scope) = stand_in().await;
    let denied = |permission| AwsError::AccessDenied { permission: Some(permission) };
    let canary = "canary-5f2a9c";
    let refusals = [
        (
            403,
            "AccessDenied",
            "User: canary-5f2a9c is not authorized to perform: sts:AssumeRole on resource: x",
            denied(StsPermission::AssumeRole),
        ),
        (
            403,
            "AccessDenied",
            "canary-5f2a9c is not authorized to perform: sts:TagSession on resource: x",
            denied(StsPermission::TagSession),
        ),
        (
            403,
            "AccessDenied",
            "is not authorized to perform: sts:SetSourceIdentity canary-5f2a9c",
            denied(StsPermission::SetSourceIdentity),
        ),
        (403, "ExpiredToken", "The security token included in the request is expired canary-5f2a9c", AwsError::ExpiredKeys),
        (403, "InvalidClientTokenId", "canary-5f2a9c", AwsError::UnknownKey),
        (403, "SignatureDoesNotMatch", "Signature expired: canary-5f2a9c", AwsError::ClockSkew),
        (403, "SignatureDoesNotMatch", "The request signature canary-5f2a9c", AwsError::WrongSecret),
        (403, "RegionDisabledException", "canary-5f2a9c", AwsError::RegionDisabled),
        (400, "MalformedPolicyDocument", "canary-5f2a9c", AwsError::MalformedPolicy),
        (400, "PackedPolicyTooLarge", "canary-5f2a9c", AwsError::PackedPolicyTooLarge),
        (400, "ValidationError", "canary-5f2a9c", AwsError::Invalid),
        (418, "canary-5f2a9c", "canary-5f2a9c", AwsError::Refused { status: 418 }),
    ];
    for (status, name, message, state) in refusals {
        stand_in.answer([Answer::Refuse(status, name, message, None)]);
        let error = authority.take(&scope, Duration::from_secs(60)).await.err().unwrap();
        assert_eq!(error, state);
        assert!(!format!("{error} {error:?}").contains(canary));
        // `doctor` shows it as one line.
        assert!(keyblind_intent::Line::new(error.to_string()).is_ok(), "{error}");
        stand_in.answer([Answer::Refuse(status, name, message, None)]);
        let minted = authority.mint(&scope, Duration::from_secs(60)).await.err().unwrap();
        assert_eq!(minted, NotMinted::Refused(code(state.code())), "it is certain that there is none");
    }
}

#[tokio::test]
async fn what_was_turned_away_unread_is_sent_again_and_nothing_else() {
    let (stand_in, authority, scope) = stand_in().await;
    let throttled = |wait| Answer::Refuse(400, "Throttling", "Rate exceeded", wait);
    stand_in.answer([throttled(None), Answer::Refuse(429, "", "", Some("1"))]);
    authority.take(&scope, Duration::from_secs(60)).await.unwrap();
    assert_eq!(stand_in.forms().len(), 3);
    // Three times is enough, and a long silence is kept by not asking.
    stand_in.answer([throttled(None), throttled(None), throttled(None)]);
    assert_eq!(authority.take(&scope, Duration::from_secs(60)).await.err(), Some(AwsError::Throttled { wait: None }));
    stand_in.answer([throttled(Some("120"))]);
    let wait = Some(Duration::from_secs(120));
    assert_eq!(authority.take(&scope, Duration::from_secs(60)).await.err(), Some(AwsError::Throttled { wait }));
    assert_eq!(stand_in.forms().len(), 7);
    // After a failure there may be a session: that is for the ledger to know, and not to be tried again.
    for answer in [
        Answer::Refuse(500, "InternalFailure", "", None),
        Answer::Raw(502, "<html>bad gateway</html>".to_owned()),
        Answer::Raw(200, "{}".to_owned()),
    ] {
        stand_in.answer([answer]);
        let minted = authority.mint(&scope, Duration::from_secs(60)).await.err().unwrap();
        assert!(matches!(minted, NotMinted::Unknown(_)), "{minted:?}");
    }
    assert_eq!(stand_in.forms().len(), 10);
}

#[tokio::test]
async fn a_session_that_is_other_than_was_asked_for_is_not_used() {
    let (stand_in, authority, scope) = stand_in().await;
    let changes = [
        ("assumed-role/keyblind-change/", "assumed-role/administrator/"),
        ("arn:aws:sts::123456789012:", "arn:aws:sts::999988887777:"),
        ("assumed-role/keyblind-change/kb-", "assumed-role/keyblind-change/xx-"),
        ("<Expiration>20", "<Expiration>21"),
    ];
    for (from, to) in changes {
        stand_in.answer([Answer::Changed(from, to)]);
        assert_eq!(authority.take(&scope, Duration::from_secs(60)).await.err(), Some(AwsError::OtherThanAsked), "{to}");
        stand_in.answer([Answer::Changed(from, to)]);
        assert_eq!(authority.mint(&scope, Duration::from_secs(60)).await.err(), Some(NotMinted::Unknown(code("other-than-asked"))));
    }
    let broken = [
        ("<SessionToken>", "<SessionToken>two words "),
        ("<AccessKeyId>ASIA", "<AccessKeyId>AS\r\nIA"),
        ("<Expiration>", "<Expiration>never"),
        ("<Credentials>", "<Credentials><SessionToken>second</SessionToken>"),
        ("</Credentials>", ""),
    ];
    for (from, to) in broken {
        stand_in.answer([Answer::Changed(from, to)]);
        assert_eq!(authority.take(&scope, Duration::from_secs(60)).await.err(), Some(AwsError::Unintelligible), "{to}");
    }
    // A session into which AWS packed nothing has the whole role: the lease that it is for gives it back.
    stand_in.answer([Answer::Changed("<PackedPolicySize>12</PackedPolicySize>", "")]);
    let minted = authority.mint(&scope, Duration::from_secs(60)).await.unwrap();
    assert!(!authority.is_within(&minted.granted, &scope));
    let minted = authority.mint(&scope, Duration::from_secs(60)).await.unwrap();
    assert!(authority.is_within(&minted.granted, &scope));
}

#[tokio::test]
async fn the_emulators_refuse_as_aws_does() {
    let world = World::empty();
    let sts = world.sts();
    let stranger = keys("AKIAI44QH8DHBEXAMPLE", AWS_SECRET_KEY.as_bytes(), None).unwrap();
    assert_eq!(sts.caller_identity(&stranger).await, Err(AwsError::UnknownKey));
    let user = world.user("somebody").await;
    let id = user.expose(|bytes| String::from_utf8(bytes.split(|byte| *byte == b'\n').next().unwrap().to_vec()).unwrap());
    assert!(sts.caller_identity(&user).await.unwrap().arn.ends_with(":user/somebody"));
    let wrong = keys(&id, AWS_SECRET_KEY.as_bytes(), None).unwrap();
    assert_eq!(sts.caller_identity(&wrong).await, Err(AwsError::WrongSecret));
    assert!(sts.caller_identity(&user).await.unwrap().ahead.unwrap().abs() < 5_000);
    // A clock that is twenty minutes off.
    let off = Timestamp::from_unix_millis(SystemClock::new().now().unix_millis() - 1_200_000);
    let sts = Sts::new(world.egress.clone(), Arc::new(TestClock::at(off)), home()).unwrap().at(Origin::parse(world.peer.url()).unwrap());
    assert_eq!(sts.caller_identity(&user).await, Err(AwsError::ClockSkew));
}

#[tokio::test]
async fn no_other_host_is_ever_asked() {
    let stand_in = StandIn::start(None).await;
    let base = || Arc::new(Base::keys(keys(AWS_KEY_ID, AWS_SECRET_KEY.as_bytes(), None).unwrap()));
    let sts = Sts::new(stand_in.egress(), Arc::new(SystemClock::new()), home()).unwrap();
    assert_eq!(sts.origin().to_string(), "https://sts.eu-central-1.amazonaws.com");
    // The list has only the stand-in.
    let error = AwsAuthority::new(sts, base()).take(&to_read(SessionPolicy::nothing()), Duration::from_secs(60)).await.err();
    assert_eq!(error.unwrap().code(), "host-not-listed");
    assert!(stand_in.forms().is_empty());
}
