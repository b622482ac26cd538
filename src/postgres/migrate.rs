//! Makes our tables, or brings them up to date: once, whoever comes first, however many start at the same time.

use super::{Address, Error, Line, Place};

/// What a database must hold.
#[derive(Clone, Copy, Debug)]
pub struct Schema {
    /// `ledger`, `index`: each has versions of its own.
    pub name: &'static str,
    /// In order. Never edited once released.
    pub migrations: &'static [&'static str],
}

/// Processes that migrate wait for each other here: "LZRT".
const LOCK: i64 = 0x4c5a_5254;

const VERSION: &str = "SELECT coalesce(max(version), 0) FROM migrations WHERE what = $1";

/// All in one transaction, so that a step that fails leaves everything as it was.
pub async fn migrate(address: &Address, place: &Place, schema: &Schema) -> Result<(), Error> {
    let line = Line::open(address, "").await?;
    line.run(&format!("BEGIN; SELECT pg_advisory_xact_lock({LOCK})")).await?;
    let client = line.client();
    let home = format!("\"{}\"", address.schema());
    let versions = format!("{home}.migrations");
    let there = "SELECT to_regnamespace($1) IS NOT NULL, to_regclass($2) IS NOT NULL";
    let there = line.within(client.query_one(there, &[&home, &versions])).await?;
    if !there.get::<_, bool>(0) {
        line.run(&format!("CREATE SCHEMA {home}")).await?;
    }
    if !there.get::<_, bool>(1) {
        line.run(
            "CREATE TABLE migrations (
               what text NOT NULL, version bigint NOT NULL, applied_at timestamptz NOT NULL DEFAULT now(),
               PRIMARY KEY (what, version))",
        )
        .await?;
    }
    let version: i64 = line.within(client.query_one(VERSION, &[&schema.name])).await?.get(0);
    let latest = i64::try_from(schema.migrations.len()).unwrap_or(i64::MAX);
    if version > latest {
        let cause = format!(
            "a newer version of this program made its tables (format {version}, {latest} is known here)"
        );
        return Err(place
            .unusable(cause, "run that version, or name another `schema` in the configuration")
            .into());
    }
    for (number, sql) in (1..).zip(schema.migrations).skip(usize::try_from(version).unwrap_or_default()) {
        let number: i64 = number;
        line.run(sql).await?;
        let note = "INSERT INTO migrations (what, version) VALUES ($1, $2)";
        line.within(client.execute(note, &[&schema.name, &number])).await?;
        tracing::info!(what = schema.name, version = number, "made or changed the tables in PostgreSQL");
    }
    line.run("COMMIT").await
}
