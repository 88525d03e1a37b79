//! The broker's pages in a real browser: logging in, adding a passkey and approving with it (Chromium's virtual authenticator as the
//! counterparty), the terminal's link, hostile text, and how each page looks on a phone and on a desk, in light and in dark.

use std::path::PathBuf;

use keyblind_broker::approvals::State;
use keyblind_broker::approvals::policy::Identity;
use keyblind_intent::ChangeFields;
use serde_json::json;

use crate::bench::Broker;
use crate::changes;
use crate::chromium::Chromium;

async fn broker() -> Broker {
    let broker = Broker::new().await;
    broker.serve(broker.parts()).await;
    broker
}

fn with_passkeys(browser: &mut Chromium) {
    browser.call("WebAuthn.enable", json!({}));
    let options = json!({
        "protocol": "ctap2", "transport": "internal", "hasResidentKey": true, "hasUserVerification": true,
        "isUserVerified": true, "automaticPresenceSimulation": true,
    });
    browser.call("WebAuthn.addVirtualAuthenticator", json!({ "options": options }));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_passkey_of_a_browser_approves_exactly_the_change_on_its_page() {
    let broker = broker().await;
    let mut browser = Chromium::start();
    with_passkeys(&mut browser);
    broker.log_in(&mut browser, "ada").await;
    // An agent asked, and it touches what CI runs: only a passkey or a phone will do, and there is none yet.
    let digest = broker.raise(changes::hostile(&broker.wanted(1))).await;
    let other = broker.raise(changes::hostile(&broker.wanted(2))).await;
    browser.open(&format!("{}/change/{digest}", broker.origin));
    browser.press("a.approve[href='/passkeys']");
    browser.press("#register button");
    browser.wait("document.querySelector('ul.cards li.card') !== null");
    browser.open(&format!("{}/change/{digest}", broker.origin));
    browser.press("#sign");
    browser.wait("document.querySelector('#decide') === null && document.body.innerText.includes('Approved. It is applied once')");
    assert_eq!(broker.state(digest).await, State::Approved);
    assert_eq!(broker.state(other).await, State::Waiting);
    // A page whose digest was swapped by somebody gets a signature over something else, which approves nothing.
    browser.open(&format!("{}/change/{other}", broker.origin));
    browser.evaluate(&format!("document.getElementById('decide').dataset.digest = '{digest}'"));
    browser.press("#sign");
    browser.wait("document.body.innerText.includes('signed something else than this change')");
    assert_eq!(broker.state(other).await, State::Waiting);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hostile_text_runs_nothing_and_every_page_fits_a_phone() {
    let broker = broker().await;
    let mut browser = Chromium::start();
    with_passkeys(&mut browser);
    let pictures = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("door");
    std::fs::create_dir_all(&pictures).unwrap();
    browser.open(&format!("{}/login", broker.origin));
    let mut pages = vec![("login", "/login".to_owned())];
    let link = broker.sessions.issue_link(Identity::local(1000), "acme").await.unwrap();
    pages.push(("link", link.path()));
    look_at(&mut browser, &broker.origin, &pages, &pictures);
    broker.log_in(&mut browser, "sam").await;
    pages = vec![("home-empty", "/".to_owned())];
    look_at(&mut browser, &broker.origin, &pages, &pictures);
    browser.open(&format!("{}/passkeys", broker.origin));
    browser.press("#register button");
    browser.wait("document.querySelector('ul.cards li.card') !== null");
    let calm = broker.raise(changes::calm(&broker.wanted(1))).await;
    let hostile = broker.raise(changes::hostile(&broker.wanted(2))).await;
    let live = broker.raise((changes::block_public_access(&broker.wanted(3)), Vec::new())).await;
    let two =
        keyblind_intent::Approvals { wanted: keyblind_intent::Count::new(2).unwrap(), policy: broker.policy, may_be_requester: false };
    let critical = broker.raise((ChangeFields { approvals: two, ..changes::open_database(&broker.wanted(4)) }, Vec::new())).await;
    pages = vec![
        ("home", "/".to_owned()),
        ("change-calm", format!("/change/{calm}")),
        ("change-hostile", format!("/change/{hostile}")),
        ("change-live", format!("/change/{live}")),
        ("change-critical", format!("/change/{critical}")),
        ("whole", format!("/change/{hostile}/whole")),
        ("connections", "/connections".to_owned()),
        ("passkeys", "/passkeys".to_owned()),
        ("policy", "/policy".to_owned()),
        ("stop", "/stop".to_owned()),
        ("nothing", "/nothing-here".to_owned()),
    ];
    look_at(&mut browser, &broker.origin, &pages, &pictures);
    browser.open(&format!("{}/stop", broker.origin));
    browser.press(".danger-button");
    browser.wait("document.body.innerText.includes('dies at')");
    look_at(&mut browser, &broker.origin, &[("stopped", "/stop".to_owned())], &pictures);
}

/// The contrast of two colours by WCAG 2, for every text on the page against the nearest ground that isn't transparent.
const CONTRASTS: &str = "(() => {
  const parse = (text) => (text.match(/[\\d.]+/g) ?? []).map(Number);
  const light = ([red, green, blue]) => [red, green, blue].map((part) => part / 255).map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4))
    .reduce((sum, part, index) => sum + part * [0.2126, 0.7152, 0.0722][index], 0);
  const ground = (element) => { for (let at = element; at; at = at.parentElement) { const colour = parse(getComputedStyle(at).backgroundColor); if (colour.length === 3 || colour[3] > 0) return colour; } return [255, 255, 255]; };
  const faults = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || element.closest('script, style, noscript') || element.getClientRects().length === 0) continue;
    const [one, two] = [light(parse(getComputedStyle(element).color)), light(ground(element))].sort((left, right) => right - left);
    const ratio = (one + 0.05) / (two + 0.05);
    if (ratio < 4.5) faults.push(`${ratio.toFixed(2)}: ${walker.currentNode.data.trim().slice(0, 40)}`);
  }
  return faults.slice(0, 5).join('; ');
})()";

pub(crate) fn look_at(browser: &mut Chromium, origin: &str, pages: &[(&str, String)], pictures: &std::path::Path) {
    for (name, path) in pages {
        for (width, height) in [(360, 780), (1440, 900)] {
            for is_dark in [false, true] {
                browser.look(width, height, is_dark);
                browser.open(&format!("{origin}{path}"));
                let colours = if is_dark { "dark" } else { "light" };
                browser.picture(&pictures.join(format!("{name}-{width}-{colours}.png")));
                assert_eq!(
                    browser.evaluate("document.documentElement.scrollWidth <= innerWidth"),
                    json!(true),
                    "{name} is wider than {width}"
                );
                assert_eq!(browser.evaluate("document.title.includes('pwned')"), json!(false), "{name} ran a script");
                assert_eq!(browser.evaluate(CONTRASTS), json!(""), "{name}, {colours}: too little contrast");
                let small = "[...document.querySelectorAll('button:not(.link), a.button, input:not([type=hidden])')].filter((one) => one.getBoundingClientRect().height < 44).length";
                assert_eq!(browser.evaluate(small), json!(0), "{name} has something too small for a thumb");
                let unnamed = "[...document.querySelectorAll('input:not([type=hidden])')].filter((one) => !one.labels?.length).length + [...document.images].filter((one) => !one.hasAttribute('alt')).length";
                assert_eq!(browser.evaluate(unnamed), json!(0), "{name} has a field or picture without a name");
            }
        }
        // The decision is on the first screen of a phone, whatever an outsider wrote.
        browser.look(360, 780, false);
        browser.open(&format!("{origin}{path}"));
        let buttons = "[...document.querySelectorAll('.decide button, .decide .short-code, .decide a.approve')].every((one) => { const at = one.getBoundingClientRect(); return at.top >= 0 && at.bottom <= innerHeight; })";
        assert_eq!(browser.evaluate(buttons), json!(true), "{name}: code and buttons are on the first screen");
    }
}
