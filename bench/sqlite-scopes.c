/* SPDX-License-Identifier: MIT */
/*
 * Something for an annotated SQLite to do, for bench/bench-sqlite: a table is filled, indexed, joined with itself and grouped, and then
 * asked many small questions, each of which has to be parsed.
 *
 *     sqlite-scopes [QUESTIONS]       default 60,000, about 4 s of CPU in all
 */
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>

static const char *const work[] = {
    "CREATE TABLE item(id INTEGER PRIMARY KEY, word TEXT, n INTEGER)",
    "WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < 300000) "
    "INSERT INTO item SELECT i, hex(i * 2654435761 % 4294967296), i * 7919 % 10007 FROM c",
    "CREATE INDEX word ON item(word)",
    "SELECT count(*), sum(length(b.word)) FROM item a JOIN item b ON b.id = a.n + a.id % 290000",
    "SELECT n % 100, count(*), avg(id) FROM item GROUP BY 1 ORDER BY 2 DESC",
};

static void die(sqlite3 *db) {
    fprintf(stderr, "sqlite-scopes: %s\n", sqlite3_errmsg(db));
    exit(1);
}

static long run(sqlite3 *db, const char *sql) {
    sqlite3_stmt *statement;
    long rows = 0;
    int state;
    if (sqlite3_prepare_v2(db, sql, -1, &statement, NULL) != SQLITE_OK)
        die(db);
    while ((state = sqlite3_step(statement)) == SQLITE_ROW)
        rows++;
    if (state != SQLITE_DONE || sqlite3_finalize(statement) != SQLITE_OK)
        die(db);
    return rows;
}

int main(int argc, char **argv) {
    unsigned questions = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 60000;
    sqlite3 *db;
    long rows = 0;
    if (sqlite3_open(":memory:", &db) != SQLITE_OK)
        die(db);
    for (size_t i = 0; i < sizeof work / sizeof *work; i++)
        rows += run(db, work[i]);
    for (unsigned i = 0; i < questions; i++) {
        char sql[160];
        snprintf(sql, sizeof sql, "SELECT word, n FROM item WHERE id BETWEEN %u AND %u AND n %% 7 <> %u ORDER BY word LIMIT 5",
                 i * 7919u % 290000, i * 7919u % 290000 + i % 40, i % 7);
        rows += run(db, sql);
    }
    sqlite3_close(db);
    printf("%ld rows\n", rows);
    return 0;
}
