// kwjobs. Its workers belong to the server. A job that has succeeded stays, for 14 days.
import pg from 'pg';

const lock = 7;

const configurations = {
    plain: {},
    // A crash forgets the last jobs together with what they did: they run again, still
    // exactly once.
    asynchronous: { synchronous_commit: 'off' },
};

export class Kwjobs {
    constructor(configuration) {
        this.settings = configurations[configuration];
        if (!this.settings)
            throw new Error(`unknown configuration: ${configuration}`);
    }

    async open(connections) {
        this.pool = new pg.Pool({ max: connections });
        this.holder = new pg.Client();
        await this.holder.connect();
        await this.holder.query('CREATE EXTENSION IF NOT EXISTS kwjobs');
        await this.hold();
    }

    // Workers that stay start jobs at once. To enqueue jobs beforehand, all workers have
    // to be at work: each waits for a lock, until start.
    async hold() {
        const { rows } = await this.holder.query("SELECT current_setting('kwjobs.max_workers')::int AS workers");
        await this.holder.query('SELECT pg_advisory_lock($1)', [lock]);
        this.held = rows[0].workers;
        for (let n = 0; n < this.held; n++)
            await this.holder.query('SELECT kwjobs.submit($1)', [`SELECT pg_advisory_xact_lock_shared(${lock})`]);
        const waiting = "SELECT count(*)::int FROM pg_locks WHERE locktype = 'advisory' AND NOT granted";
        while ((await this.holder.query(waiting)).rows[0].count < this.held)
            await new Promise((resolve) => setTimeout(resolve, 10));
    }

    async enqueueMany(count) {
        await this.pool.query(
            "SELECT count(kwjobs.submit('SELECT 1', settings => $2)) FROM generate_series(1, $1)",
            [count, this.settings]);
    }

    async enqueue() {
        await this.pool.query({ name: 'submit', text: 'SELECT kwjobs.submit($1)', values: ['SELECT 1'] });
    }

    // Returns when it was committed, too.
    async enqueueTimed() {
        const results = await this.pool.query(`BEGIN;
            SELECT kwjobs.submit(format('INSERT INTO starts VALUES (%L, clock_timestamp())', clock_timestamp()));
            COMMIT;
            SELECT extract(epoch FROM clock_timestamp())::float8 AS time`);
        return results.at(-1).rows[0].time;
    }

    async start() {
        await this.holder.query('SELECT pg_advisory_unlock($1)', [lock]);
    }

    async count(condition) {
        const { rows } = await this.pool.query(
            `SELECT count(*)::int FROM kwdb_internal.jobs WHERE ${condition}`);
        return rows[0].count;
    }

    async busy() {
        const { rows } = await this.pool.query(
            'SELECT EXISTS (SELECT FROM kwdb_internal.jobs WHERE finished IS NULL)');
        return rows[0].exists;
    }

    async unfinished() {
        return await this.count('finished IS NULL');
    }

    async succeeded() {
        return await this.count("status = 'succeeded'") - this.held;
    }

    async stop() {
        await this.holder.end();
        await this.pool.end();
    }
}
