use keyblind_intent::*;
use proptest::prelude::*;

#[test]
fn foreign_text_is_inert_wherever_it_is_shown() {
    let hostile = Foreign::new("<script>\u{1b}]0;x\u{7}\u{202e}&\"'@org/all `` [x](javascript:1)");
    assert_eq!(hostile.for_terminal(), "<script>\\u{1b}]0;x\\u{7}\\u{202e}&\"'@org/all `` [x](javascript:1)");
    assert!(hostile.for_html().starts_with("&lt;script&gt;\\u{1b}]0;x\\u{7}\\u{202e}&amp;&quot;&#39;"));
    assert_eq!(hostile.for_markdown().matches("```").count(), 2);
    assert!(!format!("{hostile:?}").contains('\u{1b}'));
}

#[test]
fn foreign_text_is_bounded() {
    let long = "é".repeat(5_000);
    let cut = Foreign::new(&long);
    assert!(cut.len() <= limits::FOREIGN_BYTES);
    assert!(cut.for_terminal().ends_with("é…"));
    let document = serde_json::to_string(&long).unwrap();
    assert!(decode::<Foreign>(document.as_bytes()).is_err());
}

#[test]
fn titles_and_explanations_hide_nothing() {
    for hidden in
        ["\u{202e}", "\u{200b}", "\u{2066}", "\u{feff}", "\u{0}", "\u{1b}", "\u{85}", "\u{2028}", "\u{e0041}", "\u{ad}", "\u{3164}"]
    {
        assert!(format!("a{hidden}b").parse::<Line>().is_err(), "{hidden:?}");
        assert!(format!("a{hidden}b").parse::<Prose>().is_err(), "{hidden:?}");
        let kept = Prose::from_lossy(&format!("a{hidden}b"));
        assert!(kept.as_str().contains("\\u{"), "{kept}");
    }
    assert!("two\nlines".parse::<Line>().is_err());
    assert!("two\nlines\tand a tab".parse::<Prose>().is_ok());
    assert!(" ".parse::<Line>().is_err());
}

proptest! {
    #[test]
    fn nothing_foreign_leaves_its_place(text in any::<String>()) {
        let foreign = Foreign::new(&text);
        for shown in [foreign.for_terminal(), foreign.for_html(), foreign.for_markdown()] {
            prop_assert!(!shown.chars().any(is_hidden));
        }
        prop_assert!(!foreign.for_html().contains(['<', '>', '"', '\'']));
        let markdown = foreign.for_markdown();
        let fence = &markdown[..markdown.find(' ').unwrap()];
        // The fence is longer than any run of the text, so only the second one ends it.
        prop_assert_eq!(markdown.split(' ').filter(|part| part.contains(fence)).count(), 2);
        prop_assert_eq!(decode::<Foreign>(&encode(&foreign).unwrap()).unwrap(), foreign);
    }

    #[test]
    fn anything_can_be_made_an_explanation(text in any::<String>()) {
        let prose = Prose::from_lossy(&text.repeat(50));
        prop_assert!(prose.as_str().parse::<Prose>().is_ok());
    }
}
