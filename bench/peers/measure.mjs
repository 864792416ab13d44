// node measure.mjs SYSTEM CONFIGURATION COMMAND [NUMBER]
//
//     Measures one job system in the database that the PG* variables name, which is
//     new. Prints numbers; fails if a job has not run.
//
//         drain COUNT      jobs per second, COUNT jobs enqueued before the workers start; bytes
//                          of WAL for a job, to enqueue and to run it
//         single SECONDS   jobs per second enqueued from one connection, each its own transaction
//         bulk COUNT       jobs per second enqueued in one transaction
//         latency COUNT    milliseconds from submit to start, median and 99 %, a submit every 10 ms;
//                          of kwjobs also from the submit's commit
//         idle             runs some jobs, says "ready", then does nothing until it gets SIGTERM
import { setTimeout as sleep } from 'node:timers/promises';
import { Graphile } from './graphile.mjs';
import { Kwjobs } from './kwjobs.mjs';
import { PgBossQueue } from './pgboss.mjs';

const systems = { 'graphile-worker': Graphile, kwjobs: Kwjobs, 'pg-boss': PgBossQueue };
const [name, configuration, command, number] = process.argv.slice(2);
const system = new systems[name](configuration);
const count = Number(number);

async function seconds(work) {
    const from = performance.now();
    await work();
    return (performance.now() - from) / 1000;
}

// Median and 99 %, in milliseconds.
function percentiles(times) {
    times.sort((a, b) => a - b);
    return [0.5, 0.99].map((part) => times[Math.floor(part * (times.length - 1))] * 1000);
}

async function untilDone() {
    while (await system.busy())
        await sleep(20);
}

// Where WAL is, in bytes.
async function wal() {
    const { rows } = await system.pool.query("SELECT (pg_current_wal_insert_lsn() - '0/0')::float8 AS bytes");
    return rows[0].bytes;
}

async function check(expected) {
    const succeeded = await system.succeeded();
    if (succeeded !== expected)
        throw new Error(`${name}: ${succeeded} of ${expected} jobs have succeeded`);
}

const commands = {
    async drain() {
        const before = await wal();
        await system.enqueueMany(count);
        const enqueued = await wal();
        await system.pool.query('ANALYZE');
        const ready = await wal();
        const time = await seconds(async () => {
            await system.start();
            while (system.ran < count)
                await sleep(5);
            await untilDone();
        });
        const after = await wal();
        await check(count);
        return [count / time, (enqueued - before) / count, (after - ready) / count];
    },

    async single() {
        let done = 0;
        const time = await seconds(async () => {
            for (const until = performance.now() + 1000 * count; performance.now() < until; done++)
                await system.enqueue();
        });
        if (await system.unfinished() < done)
            throw new Error(`${name}: jobs are missing`);
        return [done / time];
    },

    async bulk() {
        const time = await seconds(() => system.enqueueMany(count));
        if (await system.unfinished() < count)
            throw new Error(`${name}: jobs are missing`);
        return [count / time];
    },

    async latency() {
        const warm = 100;
        const committed = [];
        await system.pool.query('CREATE TABLE starts (sent timestamptz, started timestamptz)');
        await system.start();
        for (let n = 0; n < warm + count; n++) {
            committed.push(await system.enqueueTimed());
            await sleep(10);
        }
        await untilDone();
        const { rows } = await system.pool.query(
            `SELECT extract(epoch FROM sent)::float8 AS sent, extract(epoch FROM started)::float8 AS started
               FROM starts ORDER BY sent`);
        if (rows.length !== warm + count)
            throw new Error(`${name}: ${rows.length} of ${warm + count} jobs have run`);
        const measured = rows.map((row, n) => ({ ...row, committed: committed[n] })).slice(warm);
        const times = percentiles(measured.map((row) => row.started - row.sent));
        if (committed[0] === undefined)
            return times;
        return [...times, ...percentiles(measured.map((row) => Math.max(row.started - row.committed, 0)))];
    },

    async idle() {
        await system.start();
        for (let n = 0; n < 20; n++) {
            await system.enqueue();
            await sleep(50);
        }
        await untilDone();
        await check(20);
        console.log('ready');
        await new Promise((resolve) => process.once('SIGTERM', resolve));
        return [];
    },
};

await system.open(command === 'single' || command === 'bulk' ? 2 : 20);
const numbers = await commands[command]();
await system.stop();
if (numbers.length > 0)
    console.log(numbers.map((value) => Number(value).toPrecision(5)).join(' '));
