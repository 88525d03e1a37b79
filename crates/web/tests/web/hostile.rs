//! Text of others does nothing on any page.

use keyblind_web::Role;

use crate::support::App;

/// Ends every context of HTML that a text could stand in, steers eyes and terminals, and names things that a template might take for its own.
const POLYGLOT: &str = "jaVasCript:/*-/*`/*\\`/*'/*\"/**/(/* */oNcliCk=alert(1) )//</stYle/</titLe/</teXtarEa/</scRipt/--!><svg/oNloAd=alert(1)//>\u{202e}\u{0}\u{1b}[31m<img src=x onerror=alert(1)>{{7*7}}\" autofocus onfocus=alert(1) x=\"";

#[tokio::test]
async fn text_of_others_is_only_ever_text() {
    let app = App::new().await;
    let mia = app.person("a", "mia", Role::Admin).await;
    let id = app.reported("a", 2, POLYGLOT).await;
    let paths = [
        "/missions".to_owned(),
        format!("/missions/{id}"),
        format!("/missions/{id}/report"),
        format!("/missions/{id}/report?words=%22%3E%3Cscript%3Ealert(1)%3C/script%3E&rule=%27onx=1&severity=%3Csvg%3E"),
        format!("/missions/{id}/findings/0"),
        "/settings".to_owned(),
        "/api".to_owned(),
        "/missions?state=%3Cscript%3E".to_owned(),
    ];
    for path in paths {
        let answer = app.get(&mia, &path).await;
        assert!(answer.status.is_success(), "{path}: {}", answer.text);
        let text = answer.text.to_lowercase();
        for markup in ["<svg/", "<img src=x", "<script>", "</script/", "\" autofocus", "'onx", "\" onfocus", "\u{0}", "\u{1b}", "\u{202e}"]
        {
            assert!(!text.contains(markup), "{path}: {markup:?}");
        }
    }
    // The picture comes by itself, where no script of it runs.
    let picture = app.get(&mia, &format!("/missions/{id}/findings/0/picture.svg")).await;
    assert_eq!(picture.header("content-type"), "image/svg+xml");
    assert!(picture.header("content-security-policy").starts_with("sandbox; default-src 'none'"));
    let events = app.get(&mia, &format!("/missions/{id}/events")).await;
    assert_eq!(events.header("content-type"), "text/event-stream");
    assert!(!events.text.contains('\u{1b}') && events.text.contains("U+202E"), "{}", events.text);
    assert_eq!(events.text.matches("\nevent: end").count() + usize::from(events.text.starts_with("event: end")), 1, "{}", events.text);
}
