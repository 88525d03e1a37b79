use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;

use super::*;

const KEYS: &str = "aws_access_key_id = AKIAIOSFODNN7EXAMPLE\naws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY\n";

fn folder(config: &str, credentials: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in [("config", config), ("credentials", credentials)] {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    }
    folder
}

fn resolved(config: &str, credentials: &str, profile: &str) -> Result<LocalProfile, ProfileError> {
    Profiles::read(folder(config, credentials).path())?.resolve(profile)
}

fn refused(config: &str, credentials: &str, profile: &str) -> ProfileError {
    match resolved(config, credentials, profile) {
        Ok(_) => panic!("it was taken"),
        Err(error) => error,
    }
}

#[test]
fn a_profile_has_the_keys_of_one_file_and_the_region_of_the_other() {
    let config = "# mine\n[default]\nregion = eu-west-1\n[profile work]\nregion=eu-central-1 # near\ns3 =\n  addressing_style = path\n";
    let credentials = format!("[default]\n{KEYS}[work]\n{KEYS}aws_session_token = abc/+=\n");
    let work = resolved(config, &credentials, "work").unwrap();
    assert_eq!(work.region.unwrap().as_str(), "eu-central-1");
    assert!(work.steps.is_empty());
    let expected = b"AKIAIOSFODNN7EXAMPLE\nwJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY\nabc/+=";
    assert!(work.keys.expose(|bytes| bytes == expected));
    assert!(resolved(config, &credentials, "default").is_ok());
}

#[test]
fn roles_are_taken_in_order() {
    let config = "[profile inner]\nrole_arn = arn:aws:iam::123456789012:role/inner\nsource_profile = outer\nexternal_id = acme-1\n\
                  [profile outer]\nrole_arn = arn:aws:iam::210987654321:role/outer\nsource_profile = outer\n";
    let inner = resolved(config, &format!("[outer]\n{KEYS}"), "inner").unwrap();
    let names: Vec<&str> = inner.steps.iter().map(|step| step.role.name()).collect();
    assert_eq!(names, ["outer", "inner"]);
    assert_eq!(inner.steps[1].external_id.as_ref().unwrap().as_str(), "acme-1");
}

#[test]
fn what_needs_a_program_a_browser_or_a_network_is_refused_by_name() {
    for (setting, why) in REFUSED {
        // Also where keys stand beside it: nobody should wonder which of both counts.
        let config = format!("[profile x]\n{setting} = something\n");
        let error = refused(&config, &format!("[x]\n{KEYS}"), "x");
        assert_eq!(error, ProfileError::Refused { profile: "x".to_owned(), setting, why });
    }
    // Also at the end of a chain.
    let config =
        "[profile a]\nrole_arn = arn:aws:iam::123456789012:role/a\nsource_profile = b\n[profile b]\ncredential_process = /bin/keys\n";
    assert!(matches!(refused(config, "", "a"), ProfileError::Refused { setting: "credential_process", .. }));
}

#[test]
fn what_leads_nowhere_says_where_it_ends() {
    let chain = "[profile a]\nrole_arn = arn:aws:iam::123456789012:role/a\nsource_profile = b\n\
                 [profile b]\nrole_arn = arn:aws:iam::123456789012:role/b\nsource_profile = a\n";
    assert_eq!(refused(chain, "", "a"), ProfileError::Chain("a".to_owned()));
    assert_eq!(refused("", "", "a"), ProfileError::Missing("a".to_owned()));
    assert_eq!(refused("[profile a]\nregion = eu-west-1\n", "", "a"), ProfileError::Empty("a".to_owned()));
    let no_source = "[profile a]\nrole_arn = arn:aws:iam::123456789012:role/a\n";
    assert_eq!(refused(no_source, "", "a"), ProfileError::Empty("a".to_owned()));
    let wrong = "[profile a]\nrole_arn = role/a\nsource_profile = a\n";
    assert_eq!(refused(wrong, "", "a"), ProfileError::Setting { profile: "a".to_owned(), setting: "role_arn" });
    let keys = "[a]\naws_access_key_id = A B\naws_secret_access_key = x\n";
    assert_eq!(refused("", keys, "a"), ProfileError::Keys("a".to_owned()));
}

#[test]
fn keys_that_others_can_read_are_not_used() {
    let folder = folder("", &format!("[a]\n{KEYS}"));
    let path = folder.path().join("credentials");
    std::fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
    assert!(matches!(Profiles::read(folder.path()), Err(ProfileError::Open(open)) if open == path));
    // What holds no keys may be open.
    let folder = self::folder("[default]\nregion = eu-west-1\n", "");
    std::fs::set_permissions(folder.path().join("config"), Permissions::from_mode(0o644)).unwrap();
    assert!(Profiles::read(folder.path()).is_ok());
}

#[test]
fn hostile_files_are_told_by_their_line() {
    for text in ["key = value\n", "[unclosed\n", "[a]\nnot a setting\n", "  indented = 1\n", "[a]\n\u{0}\n"] {
        let found = Profiles::read(folder(text, "").path()).map(drop);
        assert!(matches!(found, Err(ProfileError::Line { .. })), "{text:?}");
    }
    let folder = folder("", "");
    std::fs::write(folder.path().join("config"), vec![b'#'; 1024 * 1024 + 1]).unwrap();
    assert!(matches!(Profiles::read(folder.path()), Err(ProfileError::TooLarge(_))));
    std::fs::write(folder.path().join("config"), b"[a\xff]\n").unwrap();
    assert!(matches!(Profiles::read(folder.path()), Err(ProfileError::Line { .. })));
    std::fs::remove_file(folder.path().join("config")).unwrap();
    rustix::fs::mkfifoat(rustix::fs::CWD, folder.path().join("config"), rustix::fs::Mode::RUSR).unwrap();
    assert!(matches!(Profiles::read(folder.path()), Err(ProfileError::File { kind: ErrorKind::InvalidInput, .. })));
}
