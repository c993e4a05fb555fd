//! Both records answer alike.

use std::time::Duration;

use object_model::{ObjectId, Timestamp};
use reconcile_core::{RecordRow, Side};
use reconcile_runtime::{MemoryRecord, Record, RecordFilter, SqliteRecord};
use serde_json::json;

fn at(minute: i64) -> Timestamp {
    Timestamp::from_second(minute * 60).unwrap()
}

fn row(name: &str, minute: i64, digest: &str) -> RecordRow {
    RecordRow {
        key: format!("actual/{name}/{minute}"),
        side: Side::Actual,
        object: ObjectId::new("apps", "Deployment", Some("qa"), name),
        at: at(minute),
        digest: digest.to_owned(),
        content: json!({"digest": digest}),
        commit: Some("c1".to_owned()),
        author: None,
        asker: Some("Ada".to_owned()),
        build: None,
        source: None,
        operation: None,
    }
}

async fn check(record: &dyn Record) {
    let (early, late) = (row("web", 1, "a"), row("web", 5, "b"));
    let rows = vec![early.clone(), late.clone(), row("db", 3, "x")];
    assert_eq!(record.append(rows.clone()).await, Ok(3));
    assert_eq!(record.append(rows.clone()).await, Ok(0), "the same fact twice is one row");
    assert!(record.is_recorded("actual/web/5") && !record.is_recorded("actual/web/6"));
    let digests = |rows: Vec<RecordRow>| rows.into_iter().map(|row| row.digest).collect::<Vec<_>>();
    assert_eq!(digests(record.at(RecordFilter::default(), at(4)).await.unwrap()), ["x", "a"]);
    assert_eq!(digests(record.at(RecordFilter::default(), at(5)).await.unwrap()), ["x", "b"]);
    let filter = RecordFilter { object: Some(early.object.clone()), ..RecordFilter::default() };
    assert_eq!(record.log(filter.clone()).await.unwrap(), [late, early]);
    let filter = RecordFilter { limit: Some(2), namespace: Some("qa".to_owned()), ..RecordFilter::default() };
    assert_eq!(digests(record.log(filter).await.unwrap()), ["b", "x"]);
    let elsewhere = RecordFilter { namespace: Some("prod".to_owned()), ..RecordFilter::default() };
    assert_eq!(record.log(elsewhere).await, Ok(Vec::new()));
    assert_eq!(record.retain(at(10), Duration::from_secs(60)).await, Ok(1), "the last row of an object stays");
    assert_eq!(digests(record.log(RecordFilter::default()).await.unwrap()), ["b", "x"]);
}

#[tokio::test]
async fn the_record_in_memory_keeps_what_was_so_at_a_time() {
    let record = MemoryRecord::default();
    check(&record).await;
    let copy = record.fork();
    record.append(vec![row("web", 30, "z")]).await.unwrap();
    assert_eq!((record.rows().len(), copy.rows().len()), (3, 2));
}

#[tokio::test]
async fn the_record_in_a_file_does_the_same_and_survives() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("record.db");
    let record = SqliteRecord::open(&path).await.unwrap();
    check(&record).await;
    record.close().await;
    let again = SqliteRecord::open(&path).await.unwrap();
    assert!(again.is_recorded("actual/web/5") && !again.is_recorded("actual/web/1"));
    assert_eq!(again.log(RecordFilter::default()).await.unwrap().len(), 2);
    again.close().await;
}

#[tokio::test]
async fn a_record_that_is_something_else_says_which_file() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("record.db");
    std::fs::write(&path, "this is not a database, it only has its name").unwrap();
    let error = SqliteRecord::open(&path).await.unwrap_err().to_string();
    assert!(error.contains("record.db` could not be opened"), "{error}");
}
