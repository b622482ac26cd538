//! Databases as SQL: a file of SQLite and a schema of PostgreSQL, out and in again.

use std::path::{Path, PathBuf};
use std::process::Command;

use rusqlite::Connection;

use crate::part::script;
use crate::postgres::server::connect;
use crate::rig::succeed;

/// All of a file of SQLite, with what it says of itself besides its tables.
pub fn of_file(path: &Path) -> String {
    let db = Connection::open(path).expect("opened");
    let number = |pragma: &str| -> i64 {
        db.query_row(&format!("PRAGMA {pragma}"), [], |row| row.get(0)).expect("a number")
    };
    let mut sql: String = ["page_size", "application_id", "user_version"]
        .map(|pragma| format!("PRAGMA {pragma} = {};\n", number(pragma)))
        .concat();
    sql.push_str("BEGIN;\n");
    let made = |kind: &str| {
        let all = "SELECT name, sql FROM sqlite_schema WHERE type = ?1 AND sql IS NOT NULL ORDER BY rowid";
        texts(&db, all, &[&kind], 2)
    };
    for table in made("table") {
        sql.push_str(&format!("{};\n", table[1]));
        let name = &table[0];
        let columns = texts(&db, "SELECT 'quote(\"' || name || '\")' FROM pragma_table_info(?1)", &[name], 1);
        let values = format!("SELECT {} FROM \"{name}\"", columns.concat().join(" || ', ' || "));
        for row in texts(&db, &values, &[], 1) {
            sql.push_str(&format!("INSERT INTO \"{name}\" VALUES ({});\n", row[0]));
        }
    }
    for index in made("index") {
        sql.push_str(&format!("{};\n", index[1]));
    }
    sql + "COMMIT;\n"
}

/// The version of what a file holds.
pub fn format(path: &Path) -> i64 {
    let db = Connection::open(path).expect("opened");
    db.query_row("PRAGMA user_version", [], |row| row.get(0)).expect("a number")
}

/// Makes the file again.
pub fn into_file(sql: &str, path: &Path) {
    Connection::open(path).expect("opened").execute_batch(sql).expect("filled");
}

fn texts(db: &Connection, sql: &str, with: &[&dyn rusqlite::ToSql], columns: usize) -> Vec<Vec<String>> {
    let mut statement = db.prepare(sql).expect("SQL");
    let rows = statement.query_map(with, |row| (0..columns).map(|n| row.get(n)).collect()).expect("rows");
    rows.collect::<Result<_, _>>().expect("texts")
}

/// Where the programs of PostgreSQL are.
pub fn programs() -> PathBuf {
    PathBuf::from(succeed(script().args(["postgres", "home"])).trim())
}

/// All of a schema of PostgreSQL.
pub fn of_schema(url: &str, schema: &str) -> String {
    let home = programs();
    let mut command = Command::new(home.join("bin/pg_dump"));
    command.env("LD_LIBRARY_PATH", home.join("lib")).args([
        "--inserts",
        "--no-owner",
        "--schema",
        schema,
        url,
    ]);
    // Lines for psql alone, and those for people.
    let is_sql = |line: &&str| !line.starts_with(['\\', '-']) && !line.is_empty();
    // Who runs it elsewhere runs it on another machine.
    let machine = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").expect("Linux");
    let dumped = succeed(&mut command).replace(machine.trim(), "another-machine");
    dumped.lines().filter(is_sql).map(|line| format!("{line}\n")).collect()
}

/// Makes a database of this name beside the one of this address, and says its address.
pub async fn database(shared: &str, name: &str) -> String {
    let made = connect(shared).await.batch_execute(&format!("CREATE DATABASE \"{name}\"")).await;
    made.expect("a database");
    let mut url = url::Url::parse(shared).expect("an address");
    url.set_path(name);
    url.to_string()
}

/// Makes the schema again.
pub async fn into_database(sql: &str, url: &str) {
    connect(url).await.batch_execute(sql).await.expect("filled");
}
