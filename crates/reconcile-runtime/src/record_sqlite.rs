//! The record in an SQLite file.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Mutex;
use std::time::Duration;

use futures::future::BoxFuture;
use object_model::{ObjectId, Timestamp};
use reconcile_core::{RecordRow, Side};
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteRow, SqliteSynchronous,
};
use sqlx::{QueryBuilder, Row, Sqlite};

use crate::shared::lock;
use crate::{Record, RecordError, RecordFilter};

/// Moments are microseconds since 1970, so that they order alike in every database. Only types and statements that
/// PostgreSQL has as well.
const SCHEMA: [&str; 3] = [
    "CREATE TABLE IF NOT EXISTS record (
        key TEXT PRIMARY KEY, side TEXT NOT NULL, api_group TEXT NOT NULL, kind TEXT NOT NULL, namespace TEXT NOT NULL,
        name TEXT NOT NULL, at_us BIGINT NOT NULL, digest TEXT NOT NULL, content TEXT NOT NULL, commit_id TEXT,
        author TEXT, asker TEXT, build TEXT, source TEXT, operation TEXT)",
    "CREATE INDEX IF NOT EXISTS record_object ON record (api_group, kind, namespace, name, side, at_us)",
    "CREATE INDEX IF NOT EXISTS record_time ON record (at_us)",
];
const COLUMNS: &str = "key, side, api_group, kind, namespace, name, at_us, digest, content, commit_id, author, asker, build, source, operation";
/// Most keys that are held in memory; beyond it the newest are.
const KEYS_MAX: usize = 200_000;

/// A record in one file, readable by others while it is written.
#[derive(Debug)]
pub struct SqliteRecord {
    pool: SqlitePool,
    keys: Mutex<BTreeSet<String>>,
}

impl SqliteRecord {
    /// Opens or creates the file.
    ///
    /// # Errors
    /// When the file can't be opened or is something else.
    pub async fn open(path: &Path) -> Result<Self, RecordError> {
        let failed =
            |error: sqlx::Error| RecordError::Open { path: path.display().to_string(), message: error.to_string() };
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Normal)
            .busy_timeout(Duration::from_secs(10));
        let pool = SqlitePoolOptions::new().max_connections(2).connect_with(options).await.map_err(failed)?;
        for statement in SCHEMA {
            sqlx::query(statement).execute(&pool).await.map_err(failed)?;
        }
        let limit = i64::try_from(KEYS_MAX).unwrap_or(i64::MAX);
        let keys = sqlx::query_scalar::<_, String>("SELECT key FROM record ORDER BY at_us DESC LIMIT $1")
            .bind(limit)
            .fetch_all(&pool)
            .await
            .map_err(failed)?;
        Ok(Self { pool, keys: Mutex::new(keys.into_iter().collect()) })
    }

    /// Writes everything to the file and closes it.
    pub async fn close(&self) {
        self.pool.close().await;
    }

    async fn insert(&self, rows: Vec<RecordRow>) -> Result<usize, RecordError> {
        let failed = |error: sqlx::Error| RecordError::Append { message: error.to_string() };
        let mut transaction = self.pool.begin().await.map_err(failed)?;
        let mut new = 0;
        for row in &rows {
            let statement = "INSERT INTO record (key, side, api_group, kind, namespace, name, at_us, digest, content, \
                commit_id, author, asker, build, source, operation) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, \
                $12, $13, $14, $15) ON CONFLICT (key) DO NOTHING";
            let done = sqlx::query(statement)
                .bind(&row.key)
                .bind(text_of(row.side))
                .bind(&row.object.group)
                .bind(&row.object.kind)
                .bind(row.object.namespace.as_deref().unwrap_or_default())
                .bind(&row.object.name)
                .bind(row.at.as_microsecond())
                .bind(&row.digest)
                .bind(row.content.to_string())
                .bind(&row.commit)
                .bind(&row.author)
                .bind(&row.asker)
                .bind(&row.build)
                .bind(&row.source)
                .bind(&row.operation)
                .execute(&mut *transaction)
                .await
                .map_err(failed)?;
            new += usize::try_from(done.rows_affected()).unwrap_or(0);
        }
        transaction.commit().await.map_err(failed)?;
        let mut keys = lock(&self.keys);
        keys.extend(rows.into_iter().map(|row| row.key));
        while keys.len() > KEYS_MAX {
            keys.pop_first();
        }
        Ok(new)
    }

    async fn select(&self, mut query: QueryBuilder<Sqlite>) -> Result<Vec<RecordRow>, RecordError> {
        let failed = |error: sqlx::Error| RecordError::Query { message: error.to_string() };
        let rows = query.build().fetch_all(&self.pool).await.map_err(failed)?;
        rows.iter().map(row_of).collect::<Result<_, _>>().map_err(failed)
    }
}

impl Record for SqliteRecord {
    fn append(&self, rows: Vec<RecordRow>) -> BoxFuture<'_, Result<usize, RecordError>> {
        Box::pin(self.insert(rows))
    }

    fn is_recorded(&self, key: &str) -> bool {
        lock(&self.keys).contains(key)
    }

    fn at(&self, mut filter: RecordFilter, at: Timestamp) -> BoxFuture<'_, Result<Vec<RecordRow>, RecordError>> {
        filter.until = Some(at);
        let mut query = QueryBuilder::new(format!(
            "SELECT {COLUMNS} FROM (SELECT record.*, ROW_NUMBER() OVER (PARTITION BY api_group, kind, namespace, name, \
             side ORDER BY at_us DESC, key DESC) AS age FROM record"
        ));
        push_filter(&mut query, &filter);
        query.push(") AS dated WHERE age = 1 ORDER BY api_group, kind, namespace, name, side LIMIT ");
        query.push_bind(bound(&filter));
        Box::pin(self.select(query))
    }

    fn log(&self, filter: RecordFilter) -> BoxFuture<'_, Result<Vec<RecordRow>, RecordError>> {
        let mut query = QueryBuilder::new(format!("SELECT {COLUMNS} FROM record"));
        push_filter(&mut query, &filter);
        query.push(" ORDER BY at_us DESC, key LIMIT ");
        query.push_bind(bound(&filter));
        Box::pin(self.select(query))
    }

    fn retain(&self, now: Timestamp, keep: Duration) -> BoxFuture<'_, Result<usize, RecordError>> {
        let horizon = now.checked_sub(keep).unwrap_or(Timestamp::MIN).as_microsecond();
        Box::pin(async move {
            let failed = |error: sqlx::Error| RecordError::Append { message: error.to_string() };
            let statement = "DELETE FROM record WHERE at_us < $1 AND EXISTS (SELECT 1 FROM record AS newer WHERE \
                newer.api_group = record.api_group AND newer.kind = record.kind AND newer.namespace = record.namespace \
                AND newer.name = record.name AND newer.side = record.side AND newer.at_us > record.at_us)";
            let done = sqlx::query(statement).bind(horizon).execute(&self.pool).await.map_err(failed)?;
            Ok(usize::try_from(done.rows_affected()).unwrap_or(0))
        })
    }
}

fn bound(filter: &RecordFilter) -> i64 {
    i64::try_from(filter.limit()).unwrap_or(i64::MAX)
}

fn push_filter(query: &mut QueryBuilder<Sqlite>, filter: &RecordFilter) {
    query.push(" WHERE 1 = 1");
    if let Some(object) = &filter.object {
        query.push(" AND api_group = ").push_bind(object.group.clone());
        query.push(" AND kind = ").push_bind(object.kind.clone());
        query.push(" AND namespace = ").push_bind(object.namespace.clone().unwrap_or_default());
        query.push(" AND name = ").push_bind(object.name.clone());
    }
    if let Some(namespace) = &filter.namespace {
        query.push(" AND namespace = ").push_bind(namespace.clone());
    }
    if let Some(side) = filter.side {
        query.push(" AND side = ").push_bind(text_of(side));
    }
    if let Some(since) = filter.since {
        query.push(" AND at_us >= ").push_bind(since.as_microsecond());
    }
    if let Some(until) = filter.until {
        query.push(" AND at_us <= ").push_bind(until.as_microsecond());
    }
}

pub(crate) fn text_of(side: Side) -> &'static str {
    match side {
        Side::Desired => "desired",
        Side::Actual => "actual",
    }
}

fn row_of(row: &SqliteRow) -> Result<RecordRow, sqlx::Error> {
    let decode = |error: Box<dyn std::error::Error + Send + Sync>| sqlx::Error::Decode(error);
    let namespace: String = row.try_get("namespace")?;
    let content: String = row.try_get("content")?;
    let side: String = row.try_get("side")?;
    Ok(RecordRow {
        key: row.try_get("key")?,
        side: if side == "desired" { Side::Desired } else { Side::Actual },
        object: ObjectId {
            group: row.try_get("api_group")?,
            kind: row.try_get("kind")?,
            namespace: (!namespace.is_empty()).then_some(namespace),
            name: row.try_get("name")?,
        },
        at: Timestamp::from_microsecond(row.try_get("at_us")?).map_err(|error| decode(error.into()))?,
        digest: row.try_get("digest")?,
        content: serde_json::from_str(&content).map_err(|error| decode(error.into()))?,
        commit: row.try_get("commit_id")?,
        author: row.try_get("author")?,
        asker: row.try_get("asker")?,
        build: row.try_get("build")?,
        source: row.try_get("source")?,
        operation: row.try_get("operation")?,
    })
}
