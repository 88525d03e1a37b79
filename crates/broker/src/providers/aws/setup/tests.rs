use super::*;

fn trust() -> Trust {
    Trust::Principal {
        account: AccountId::new("111122223333").unwrap(),
        principal: "role/keyblind-broker".parse().unwrap(),
        external_id: ExternalId::new("acme-5f2a9c").unwrap(),
    }
}

fn setup(services: &[Service], actions: &[ActionId], regions: usize) -> Setup {
    let regions = (0..regions).map(|number| Region::new(format!("ap-southeast-{number}")).unwrap()).collect();
    Setup { trust: trust(), services: services.to_vec(), actions: actions.to_vec(), regions }
}

#[test]
fn the_widest_roles_still_fit() {
    for format in [Format::Terraform, Format::Cloudformation] {
        for regions in [0, 30] {
            assert!(setup(&[], &ACTIONS, regions).render(format).is_ok());
        }
    }
    assert!(matches!(setup(&[], &[], 200).render(Format::Terraform), Err(SetupError::TooLarge { .. })));
}

#[test]
fn what_was_not_asked_for_is_not_there() {
    let narrow = setup(&[Service::Kms], &[], 1).render(Format::Terraform).unwrap();
    assert!(narrow.contains("kms:GetKeyRotationStatus") && narrow.contains("\"ap-southeast-0\""));
    assert!(!narrow.contains("iam:Get") && !narrow.contains("s3:") && !narrow.contains("keyblind_change"));
    let one = setup(&[Service::Kms], &[ActionId::SetKeyRotation], 0).render(Format::Cloudformation).unwrap();
    assert!(one.contains("kms:EnableKeyRotation") && one.contains("${AWS::Partition}:kms:*:${AWS::AccountId}:key/*"));
    assert!(!one.contains("s3:Put") && !one.contains("rds:"));
}

#[test]
fn texts_that_would_mean_more_in_a_policy_are_refused() {
    for text in ["role/*", "root", "role/a b", "role/", "user/${x}", "role//x"] {
        assert!(text.parse::<PrincipalName>().is_err(), "{text}");
    }
    for text in ["http://id.example.com", "https://id.example.com/?x", "https://id.example.com/*", "id.example.com", "https://a b"] {
        assert!(text.parse::<IssuerAddress>().is_err(), "{text}");
    }
    for text in ["", "*", "a b", "${aws:username}", "\"", "<account>"] {
        assert!(text.parse::<Claim>().is_err(), "{text}");
    }
    assert!("https://tenant.eu.auth0.com/".parse::<IssuerAddress>().is_ok());
    let far = Setup { regions: vec![Region::new("us-iso-east-1").unwrap()], ..setup(&[], &[], 0) };
    assert_eq!(far.render(Format::Terraform), Err(SetupError::Aws(AwsError::Partition)));
}

#[test]
fn actions_and_services_have_the_names_of_intents() {
    assert_eq!(named::<ActionId>("set-key-rotation"), Some(ActionId::SetKeyRotation));
    assert_eq!(named::<Service>("access-analyzer"), Some(Service::AccessAnalyzer));
    assert_eq!(named::<Service>("nothing"), None);
}

/// `deploy/aws` shows what is printed, and Keyblind's own rules judge those files in a test of the program `keyblind`.
#[test]
fn the_files_that_are_shown_are_what_is_printed() {
    let external_id = Trust::Principal {
        account: AccountId::new("111122223333").unwrap(),
        principal: "role/keyblind-broker".parse().unwrap(),
        external_id: ExternalId::new("replace-with-a-random-text").unwrap(),
    };
    let web_identity = Trust::WebIdentity {
        issuer: "https://keyblind.example.com/aws".parse().unwrap(),
        audience: "sts.amazonaws.com".parse().unwrap(),
        subject: "keyblind-broker".parse().unwrap(),
    };
    for (folder, trust) in [("external-id", external_id), ("web-identity", web_identity)] {
        // As `--action all`: what could give rights away is named or isn't there.
        let actions = ACTIONS.into_iter().filter(|action| *action != ActionId::SetPolicyAttached).collect();
        let setup = Setup { trust, services: Vec::new(), actions, regions: Vec::new() };
        for (file, format) in [("main.tf", Format::Terraform), ("template.yaml", Format::Cloudformation)] {
            let path = format!("{}/../../deploy/aws/{folder}/{file}", env!("CARGO_MANIFEST_DIR"));
            let shown = std::fs::read_to_string(&path).unwrap();
            assert_eq!(shown, setup.render(format).unwrap(), "{path}: write it again with `keyblind-broker aws setup --action all …`");
        }
    }
}
