//! Mission control.

use axum::http::StatusCode;
use keyblind_web::{Rates, Role};
use serde_json::json;

use crate::support::{App, ORIGIN};

#[tokio::test]
async fn a_folder_is_scanned_if_an_administrator_allowed_it() {
    let app = App::new().await;
    let mia = app.person("a", "mia", Role::Operator).await;
    let shop = app.folder.path().join("code/shop").display().to_string();
    let begun = app.post(&mia, "/missions", &[("path", &shop)]).await;
    assert_eq!(begun.status, StatusCode::SEE_OTHER, "{}", begun.text);
    let page = app.get(&mia, begun.header("location")).await;
    for wanted in ["Scan of a folder", &shop, "queued", "Judge", "Derive fixes", "Write the report", "mission begun"] {
        assert!(page.text.contains(wanted), "{wanted}: {}", page.text);
    }
    for path in ["/etc", "shop", "", "/nowhere", &format!("{shop}/../../secret")] {
        let refused = app.post(&mia, "/missions", &[("path", path)]).await;
        assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{path}");
    }
    let olga = app.person("a", "olga", Role::Viewer).await;
    let refused = app.post(&olga, "/missions", &[("path", &shop)]).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
    assert!(refused.text.contains("takes the role operator, and yours is viewer"));
    assert!(!app.get(&olga, "/missions").await.text.contains("Scan the example"), "nothing is offered that isn't allowed");
}

#[tokio::test]
async fn five_scans_a_minute_are_enough_for_one_person() {
    let app = App::with(ORIGIN, Rates::default()).await;
    let (mia, olga) = (app.person("a", "mia", Role::Operator).await, app.person("a", "olga", Role::Operator).await);
    for _ in 0..5 {
        assert_eq!(app.post(&mia, "/missions", &[("example", "shop")]).await.status, StatusCode::SEE_OTHER);
    }
    let refused = app.post(&mia, "/missions", &[("example", "shop")]).await;
    assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS);
    assert!(!refused.header("retry-after").is_empty());
    assert_eq!(app.post(&olga, "/missions", &[("example", "shop")]).await.status, StatusCode::SEE_OTHER, "others don't wait for her");
}

#[tokio::test]
async fn the_list_is_filtered_and_paged() {
    let app = App::new().await;
    let mia = app.person("a", "mia", Role::Operator).await;
    let mut all = Vec::new();
    for number in 0..30 {
        app.wait(1);
        all.push(app.begin("a", &json!({"kind": "scan-path", "path": format!("/srv/code/number-{number}")})).await);
    }
    let cancelled = app.post(&mia, &format!("/missions/{}/cancel", all[3]), &[]).await;
    assert_eq!(cancelled.status, StatusCode::SEE_OTHER);
    let first = app.get(&mia, "/missions").await.text;
    assert!(first.contains("number-29") && first.contains("number-5<") && !first.contains("number-4<"), "25 on a page, the newest first");
    let next = first.split('"').find(|text| text.starts_with("/missions?after=")).unwrap();
    let second = app.get(&mia, next).await.text;
    assert!(second.contains("number-4<") && second.contains("number-0<") && !second.contains("number-5<"));
    let ended = app.get(&mia, "/missions?state=cancelled").await.text;
    assert!(ended.contains("number-3<") && !ended.contains("number-4<"));
    assert!(app.get(&mia, "/missions?state=done").await.text.contains("None of these"));
    assert_eq!(app.get(&mia, "/missions?after=x").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_mission_that_ended_shows_its_way_and_what_it_made() {
    let app = App::new().await;
    let mia = app.person("a", "mia", Role::Viewer).await;
    let id = app.reported("a", 3, "shop").await;
    let page = app.get(&mia, &format!("/missions/{id}")).await.text;
    for wanted in ["Open the report", "report.json", "7 resources judged", "3 safe", "data-over=\"true\""] {
        assert!(page.contains(wanted), "{wanted}: {page}");
    }
    assert!(!page.contains("page-data.jsonl") && !page.contains("Cancel</button>"));
    let file = app.get(&mia, &format!("/missions/{id}/documents/report.json")).await;
    assert_eq!((file.text.as_str(), file.header("content-type")), ("{}", "application/json"));
    assert!(file.header("content-disposition").starts_with("attachment; filename=\"keyblind-"));
    assert!(file.header("content-security-policy").starts_with("sandbox"));
}
