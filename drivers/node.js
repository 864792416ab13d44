// Job statements through node-postgres: simple, with parameters, prepared.
//
// Usage: node node.js FILE, a CSV file of 10 rows that the server can read.
// NODE_PATH is where pg is installed. See run.
'use strict';

const { Client } = require('pg');

const client = new Client();

function check(good, name) {
    console.log(`${good ? 'ok     ' : 'FAILED '} node-postgres: ${name}`);
}

// The result with parameters, and of the second execution of a prepared statement.
async function both(name, text, values, good) {
    check(good(await client.query(text, values)), name);
    await client.query({ name, text, values });
    check(good(await client.query({ name, text, values })), `${name}, prepared`);
}

const hasStatus = (status) => (result) => result.rows.length === 1 && result.rows[0].status === status;
const hasCount = (count) => (result) => result.rowCount === count;

async function checkShow() {
    const result = await client.query('SHOW JOBS');
    check(result.rows.length >= 3 && result.fields.length === 19 && result.fields[0].dataTypeID === 20, 'SHOW JOBS');
    await both('SHOW JOBS', 'SHOW JOBS', [], (jobs) => jobs.rows.length >= 3 && jobs.fields.length === 19);
    await both('SHOW JOB $1', 'SHOW JOB $1', [1], hasStatus('paused'));
    await both('SHOW JOB WHEN COMPLETE $1', 'SHOW JOB WHEN COMPLETE $1', [3], hasStatus('canceled'));
    await both('[SHOW JOBS]', 'SELECT status FROM [SHOW JOBS] WHERE job_id = $1 AND status <> $2', [2, 'paused'],
        hasStatus('running'));
}

async function checkControl() {
    await both('PAUSE JOB $1', 'PAUSE JOB $1', [1], hasCount(1));
    await both('RESUME JOB $1 WITH REASON = $2', 'RESUME JOB $1 WITH REASON = $2', [2, 'why'], hasCount(1));
    await both('CANCEL JOBS', 'CANCEL JOBS (SELECT job_id FROM [SHOW JOBS] WHERE job_id = $1)', [3], hasCount(1));
    check(hasCount(1)(await client.query('PAUSE JOB 1')), 'PAUSE JOB');
}

async function checkImport(file) {
    const text = 'IMPORT INTO target CSV DATA ($1) WITH detached, skip = $2';
    const job = (await client.query(text, [file, '4'])).rows[0].job_id;
    await both('SHOW JOB of an IMPORT', 'SHOW JOB WHEN COMPLETE $1', [job], hasStatus('succeeded'));
    await both('IMPORT', 'IMPORT INTO target CSV DATA ($1)', [file], hasStatus('succeeded'));
}

async function checkErrors() {
    const error = await client.query('PAUSE JOBS 1, 2').catch((caught) => caught);
    check(error.code === '42601' && error.position === '12' && (error.hint || '').startsWith('Type PAUSE JOBS'),
        'a misspelt statement');
}

async function checkTransactions() {
    await client.query('BEGIN');
    check(hasCount(1)(await client.query('CANCEL JOB $1', [1])), 'CANCEL JOB in a transaction');
    await client.query('ROLLBACK');
    check(hasStatus('paused')(await client.query('SHOW JOB 1')), '... is rolled back');
    const results = await client.query('SELECT 1; PAUSE JOB 1; SHOW JOB 2');
    check(results.length === 3 && hasCount(1)(results[1]) && hasStatus('running')(results[2]), 'several statements');
}

async function main() {
    await client.connect();
    await checkShow();
    await checkControl();
    await checkImport(process.argv[2]);
    await checkErrors();
    await checkTransactions();
    await client.end();
}

main().catch((error) => {
    check(false, error.stack);
    process.exit(1);
});
