use std::collections::HashSet;

use keyblind_intent::*;
use proptest::prelude::*;

use crate::samples;

#[test]
fn a_digest_has_the_code_that_it_always_had() {
    // Fixed, so that two releases show the same code for the same change. Computed apart from this program.
    let digest = Digest::of(b"keyblind");
    assert_eq!(digest.to_string(), "3d8ba5fa7da7e1dfd9777a5dd65cff9a1777efbb426effe97c70dbd892102f32");
    assert_eq!(digest.short_code().to_string(), "KB-9YM9-FC9R");
}

#[test]
fn people_may_type_a_code_as_they_like() {
    let code = Digest::of(b"x").short_code();
    let shown = code.to_string();
    for typed in [shown.clone(), shown.to_ascii_lowercase(), shown.replace('-', ""), shown.replace('-', " ")] {
        assert_eq!(typed.parse::<ShortCode>(), Ok(code), "{typed}");
    }
    for wrong in ["", "KB", "KB-", "KB-7K2M", "KB-7K2M-WQ4", "KB-7K2M-WQ4XX", "XX-7K2M-WQ4X", "KB-7K2M-WQ4O", "KB-7K2M-WQ4é"] {
        assert!(wrong.parse::<ShortCode>().is_err(), "{wrong}");
    }
}

#[test]
fn codes_of_different_digests_differ() {
    let codes: HashSet<_> = (0..20_000_u32).map(|number| Digest::of(&number.to_be_bytes()).short_code()).collect();
    // 20,000 of 78 billion: a collision has a chance of 1 in 400, and the digests are fixed.
    assert_eq!(codes.len(), 20_000);
}

/// Whether a message is made of our words and the change's own code, and nothing else.
fn is_ours_alone(message: &str, code: ShortCode) -> bool {
    let words = message.strip_suffix(&code.to_string()).and_then(|words| words.strip_suffix(':'));
    matches!(words, Some("Keyblind:repository-change" | "Keyblind:account-change" | "Keyblind:confirm-identity"))
}

#[test]
fn hostile_names_never_occur_in_a_binding_message() {
    for (title, owner, name) in [
        ("prod-db APPROVED BY SECURITY", "APPROVED-BY-SECURITY", "KB-7K2M-WQ4X"),
        ("Keyblind:repository-change:KB-7K2M-WQ4X", "Keyblind", "repository-change"),
        ("\u{5df2}\u{6279}\u{51c6}", "ok", "confirmed"),
    ] {
        let mut fields = samples::changes().remove(0);
        let Intent::ProposePullRequest(request) = &mut fields.intent else { unreachable!() };
        request.title = title.parse().unwrap();
        request.repository.owner = owner.parse().unwrap();
        request.repository.name = name.parse().unwrap();
        let careless = [
            format!("Keyblind:repository-change:{owner}/{name}:"),
            format!("Keyblind:repository-change:{title}:"),
            format!("{title}:Keyblind:repository-change:"),
        ];
        fields.target = fields.intent.target().unwrap();
        let change = Change::new(fields).unwrap();
        let code = change.short_code();
        assert!(is_ours_alone(&change.binding_message(), code), "{}", change.binding_message());
        // Had a message a place for somebody's text, this would notice.
        for careless in careless {
            assert!(!is_ours_alone(&format!("{careless}{code}"), code), "{careless}");
        }
    }
}

proptest! {
    #[test]
    fn every_binding_message_fits_every_provider(bytes in any::<[u8; 32]>()) {
        let code = Digest::from_bytes(bytes).short_code();
        for purpose in [BindingPurpose::ApproveRepositoryChange, BindingPurpose::ApproveAccountChange, BindingPurpose::ConfirmIdentity] {
            let message = binding_message(purpose, code);
            prop_assert!(message.len() <= limits::BINDING_MESSAGE_BYTES);
            prop_assert!(message.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-_.,:#".contains(&byte)), "{}", message);
            prop_assert!(message.ends_with(&code.to_string()));
        }
        prop_assert_eq!(code.to_string().parse::<ShortCode>().unwrap(), code);
        prop_assert!(!code.to_string()[3..].contains(['0', 'O', '1', 'I', 'L', '8', 'B', 'S', 'Z', 'G', 'A', 'E', 'U']));
    }

    #[test]
    fn identifiers_have_one_spelling(bytes in any::<[u8; 16]>()) {
        let id = RequestId::from_bytes(bytes);
        let written = id.to_string();
        prop_assert_eq!(written.len(), 26);
        prop_assert_eq!(written.parse::<RequestId>(), Ok(id));
        prop_assert!(written.to_ascii_uppercase().parse::<RequestId>().is_err() || !written.contains(|c: char| c.is_ascii_lowercase()));
        // The two bits beyond the 128th aren't a second way to write it.
        let last = written.chars().last().unwrap();
        for other in "abcdefghijklmnopqrstuvwxyz234567".chars().filter(|other| *other != last) {
            let variant = format!("{}{other}", &written[..25]);
            if let Ok(read) = variant.parse::<RequestId>() {
                prop_assert_ne!(read, id);
            }
        }
    }
}
