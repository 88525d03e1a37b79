//! Reports.

use std::time::Instant;

use axum::http::StatusCode;
use keyblind_web::Role;

use crate::support::App;

#[tokio::test]
async fn findings_are_filtered_and_fifty_are_on_a_page() {
    let app = App::new().await;
    let mia = app.person("a", "mia", Role::Viewer).await;
    let id = app.reported("a", 5_000, "shop").await;
    let report = format!("/missions/{id}/report");
    let first = app.get(&mia, &report).await;
    assert_eq!(first.status, StatusCode::OK, "{}", first.text);
    assert_eq!(first.text.matches("<details class=\"finding ").count(), 50);
    assert!(first.text.contains("1–50 of 5000") && first.text.contains("Page 1 of 100"));
    assert!(first.text.len() < 200 << 10, "{} bytes", first.text.len());
    let last = app.get(&mia, &format!("{report}?page=100")).await.text;
    assert!(last.contains("4951–5000 of 5000") && last.contains("finding 4999 shop"));
    assert!(app.get(&mia, &format!("{report}?page=900")).await.text.contains("Page 100 of 100"));
    let narrow = app.get(&mia, &format!("{report}?rule=rule-3&file=shop3&words=FINDING+3")).await.text;
    assert!(narrow.contains("finding 3 shop") && !narrow.contains("finding 4 shop"));
    let none = app.get(&mia, &format!("{report}?severity=critical")).await.text;
    assert!(none.contains("Nothing fits: critical"), "{none}");

    // Once its index is there, a page of a large report costs what one of a small one does.
    let small = app.reported("a", 50, "shop").await;
    let time = async |path: &str| {
        let mut best = std::time::Duration::MAX;
        for _ in 0..10 {
            let begun = Instant::now();
            app.get(&mia, path).await;
            best = best.min(begun.elapsed());
        }
        best
    };
    let (large, small) = (time(&report).await, time(&format!("/missions/{small}/report")).await);
    assert!(large < small * 12, "{large:?} for 5,000 findings, {small:?} for 50");
}

#[tokio::test]
async fn a_finding_shows_its_fix_by_words_and_as_a_file() {
    let app = App::new().await;
    let mia = app.person("a", "mia", Role::Viewer).await;
    let id = app.reported("a", 3, "public").await;
    let whole = app.get(&mia, &format!("/missions/{id}/findings/1")).await;
    assert_eq!(whole.status, StatusCode::OK, "{}", whole.text);
    for wanted in
        ["<mark class=\"t\">public</mark>", "<mark class=\"ts\">private</mark>", "The whole file afterwards", "^^^", "https://example.com/"]
    {
        assert!(whole.text.contains(wanted), "{wanted}: {}", whole.text);
    }
    assert!(whole.text.contains("<html") && !whole.text.contains("javascript:"));
    let request = app.request(axum::http::Method::GET, &format!("/missions/{id}/findings/1"));
    let request = request.header("cookie", &mia.cookie).header("hx-request", "true");
    let part = app.send(request.body(axum::body::Body::empty()).unwrap()).await.text;
    assert!(!part.contains("<html") && part.contains("The whole file afterwards"));
    let patch = app.get(&mia, &format!("/missions/{id}/findings/1/fix.patch")).await;
    assert!(patch.text.starts_with("--- a/a.tf\n+++ b/a.tf\n") && patch.header("content-disposition").contains("keyblind-fix-1.patch"));
    for path in ["findings/3", "findings/x", "findings/-1", "findings/99999999999999999999999"] {
        assert_eq!(app.get(&mia, &format!("/missions/{id}/{path}")).await.status, StatusCode::NOT_FOUND, "{path}");
    }
}

#[tokio::test]
async fn a_mission_without_a_report_says_so() {
    let app = App::new().await;
    let mia = app.person("a", "mia", Role::Viewer).await;
    let id = app.begin("a", &serde_json::json!({"kind": "scan-path", "path": "/srv"})).await;
    let answer = app.get(&mia, &format!("/missions/{id}/report")).await;
    assert_eq!((answer.status, answer.header("location")), (StatusCode::SEE_OTHER, format!("/missions/{id}").as_str()));
    app.end(&[], vec![("page-data.jsonl", b"{\"schema\":\"other\"}\n".to_vec())]).await;
    let answer = app.get(&mia, &format!("/missions/{id}/report")).await;
    assert_eq!(answer.status, StatusCode::INTERNAL_SERVER_ERROR);
    assert!(!answer.text.contains("schema"), "what is wrong is in the log");
}
