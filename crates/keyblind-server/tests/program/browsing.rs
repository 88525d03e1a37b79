//! From the link in the terminal to a report, in a real browser, with the finished programs.

use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use keyblind_testkit::Folder;
use serde_json::json;

use crate::chromium::Chromium;
use crate::{PROGRAM, scanner};

/// `keyblind-server serve` in a folder of its own.
struct Serving {
    folder: Folder,
    child: Child,
    origin: String,
    link: String,
}

impl Serving {
    fn start(more: &str) -> Self {
        // Nobody else takes it in the moment between.
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let folder = Folder::new([]);
        // A kernel without Landlock can't require it; the scanner's own tests say what is enforced.
        let text = format!(
            "[scan]\nprogram = {:?}\nsandbox = \"available\"\n{more}\n[web]\nlisten = \"127.0.0.1:{port}\"\nrequests-a-minute = 60000\n",
            scanner()
        );
        folder.write("server.toml", text);
        let mut child = Command::new(PROGRAM)
            .args(["serve", "--config"])
            .arg(folder.path().join("server.toml"))
            .env_clear()
            .env("XDG_STATE_HOME", folder.path().join("state"))
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let said = BufReader::new(child.stdout.take().unwrap());
        let origin = format!("http://127.0.0.1:{port}");
        let link = said.lines().map_while(Result::ok).find_map(|line| Some(line.trim().strip_prefix(&origin)?.to_owned()));
        let link = format!("{origin}{}", link.expect("a link is printed"));
        Self { folder, child, origin, link }
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Pictures of a page on a phone, a tablet and a desk, in both colours; none may be wider than its window.
fn look_at(browser: &mut Chromium, name: &str) {
    let pictures = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("pages");
    std::fs::create_dir_all(&pictures).unwrap();
    for (width, height) in [(360, 780), (768, 1024), (1440, 900)] {
        for is_dark in [false, true] {
            browser.look(width, height, is_dark);
            let overflows = browser.evaluate("document.documentElement.scrollWidth > window.innerWidth");
            let widest = "[...document.querySelectorAll('main *')].filter(e => e.getBoundingClientRect().right > innerWidth + 1 && !e.closest('pre, .filters, .operation, nav')).slice(0, 3).map(e => e.outerHTML.slice(0, 120)).join('\\n')";
            assert_eq!(overflows, json!(false), "{name} is wider than {width} pixels: {}", browser.evaluate(widest));
            let colours = if is_dark { "dark" } else { "light" };
            browser.picture(&pictures.join(format!("{name}-{width}-{colours}.png")));
        }
    }
}

#[test]
fn a_link_leads_to_a_report_and_a_patch_that_mends_a_copy() {
    let begun = Instant::now();
    let serving = Serving::start("");
    let mut browser = Chromium::start();
    browser.open(&format!("{}/missions", serving.origin));
    browser.wait("location.pathname === '/login'");
    look_at(&mut browser, "login");
    browser.open(&serving.link);
    browser.wait("location.pathname === '/missions' && document.querySelector('#example') !== null");
    look_at(&mut browser, "missions-none");
    browser.press("#example");
    browser.wait("/^\\/missions\\/[a-z0-9]{26}$/.test(location.pathname)");
    // The terminal goes on by itself, and the page learns of the end.
    browser.wait("document.querySelector('#open-report') !== null");
    browser.wait("document.querySelector('.terminal').textContent.includes('proven fixes')");
    look_at(&mut browser, "mission");
    browser.press("#open-report");
    browser.wait("document.querySelectorAll('details.finding').length > 10");
    println!("from the start to the report: {:?}", begun.elapsed());
    assert!(begun.elapsed() < Duration::from_secs(60));
    look_at(&mut browser, "report");

    // A finding opens where it stands.
    let with_fix = "[...document.querySelectorAll('details.finding')].find(e => e.querySelector('.class.safe'))";
    browser.evaluate(&format!("{with_fix}.querySelector('summary').click()"));
    browser.wait(&format!("{with_fix}.querySelector('figure.diff mark') !== null && {with_fix}.querySelector('.caret') !== null"));
    browser.evaluate(&format!("{with_fix}.scrollIntoView()"));
    look_at(&mut browser, "finding");
    // The list is filtered without leaving the page, and the address can be kept.
    browser.evaluate("(() => { const field = document.querySelector('select[name=severity]'); field.value = 'critical'; field.dispatchEvent(new Event('change', { bubbles: true })); })()");
    browser.wait("location.search.includes('severity=critical') && [...document.querySelectorAll('details.finding')].every(e => e.classList.contains('critical'))");

    // What is saved mends a copy.
    let id = browser.evaluate("location.pathname.split('/')[2]");
    let report = browser.evaluate(&format!(
        "(async () => (await (await fetch('/missions/' + {id} + '/report?fix=safe')).text()).match(/findings\\/\\d+/g).map(text => text.split('/')[1]))()"
    ));
    let numbers: std::collections::BTreeSet<String> =
        report.as_array().unwrap().iter().map(|number| number.as_str().unwrap().to_owned()).collect();
    assert!(!numbers.is_empty());
    let copy = serving.folder.path().join("copy");
    copy_folder(&serving.folder.path().join("state/keyblind/examples/shop"), &copy);
    let number = numbers.first().unwrap();
    let patch =
        browser.evaluate(&format!("(async () => await (await fetch('/missions/' + {id} + '/findings/{number}/fix.patch')).text())()"));
    std::fs::write(serving.folder.path().join("one.patch"), patch.as_str().unwrap()).unwrap();
    let applied = Command::new("git").args(["apply", "../one.patch"]).current_dir(&copy).status().unwrap();
    assert!(applied.success(), "{patch}");
    assert!(
        Command::new("diff")
            .args(["-r", "-q"])
            .arg(&copy)
            .arg(serving.folder.path().join("state/keyblind/examples/shop"))
            .stdout(Stdio::null())
            .status()
            .unwrap()
            .code()
            == Some(1)
    );

    for (path, name) in [
        ("/rules", "rules"),
        ("/rules/s3-bucket-acl-public-read", "rule"),
        ("/settings", "settings"),
        ("/api", "api"),
        ("/missions", "missions"),
        ("/nothing", "error"),
    ] {
        browser.open(&format!("{}{path}", serving.origin));
        browser.wait("document.querySelector('main h1') !== null");
        look_at(&mut browser, name);
    }
}

fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let place = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy_folder(&path, &place);
        } else {
            std::fs::copy(&path, place).unwrap();
        }
    }
}

#[test]
fn names_and_values_of_a_hostile_repository_run_nothing() {
    let code = Folder::new([]);
    // Each would set a mark, should it ever become markup or script.
    let name = "x\"><img src=x onerror=window.hit=1>'`{{7}}.tf";
    let text = "resource \"aws_s3_bucket_acl\" \"logs\" {\n  bucket = \"\\\"><script>window.hit=1</script><svg onload=window.hit=1>\"\n  acl    = \"public-read\" # --></style></title></textarea><script>window.hit=1</script>\n}\n\
                resource \"aws_security_group\" \"open\" {\n  description = \"' onmouseover=window.hit=1 x='\"\n  ingress {\n    from_port   = 22\n    to_port     = 22\n    protocol    = \"tcp\"\n    cidr_blocks = [\"0.0.0.0/0\"]\n  }\n}\n";
    code.write(&format!("<b onclick=window.hit=1>/{name}"), text);
    let serving = Serving::start(&format!("allowed = [{:?}]", code.path()));
    let mut browser = Chromium::start();
    browser.open(&serving.link);
    browser.wait("document.querySelector('input[name=path]') !== null");
    browser.evaluate(&format!(
        "(() => {{ const field = document.querySelector('input[name=path]'); field.value = {}; field.form.requestSubmit(); }})()",
        json!(code.path().join("<b onclick=window.hit=1>"))
    ));
    browser.wait("document.querySelector('#open-report') !== null");
    let hit =
        "document.querySelectorAll('main b[onclick], main img[onerror], main svg[onload], main [onmouseover]').length + (window.hit ?? 0)";
    assert_eq!(browser.evaluate(hit), json!(0), "the mission's page");
    browser.press("#open-report");
    browser.wait("document.querySelectorAll('details.finding').length > 0");
    browser.evaluate("document.querySelectorAll('details.finding summary').forEach(summary => summary.click())");
    browser.wait("[...document.querySelectorAll('details.finding')].every(finding => finding.querySelector('figure.code') !== null)");
    assert_eq!(browser.evaluate(hit), json!(0), "the report");
    assert_eq!(browser.evaluate("document.body.innerText.includes('onerror=window.hit=1')"), json!(true), "it is there, as text");
    look_at(&mut browser, "hostile");
    let id = browser.evaluate("location.pathname.split('/')[2]");
    browser.open(&format!("{}/missions/{}/findings/0", serving.origin, id.as_str().unwrap()));
    browser.wait("document.querySelector('figure.code') !== null");
    assert_eq!(browser.evaluate(hit), json!(0), "a finding by itself");
    browser.open(&format!("{}/missions", serving.origin));
    browser.wait("document.querySelector('.mission') !== null");
    assert_eq!(browser.evaluate(hit), json!(0), "the list");
}
