// pg-boss. Handlers use a pool of their own. A job that has succeeded stays, for 7 days.
import { PgBoss } from 'pg-boss';
import pg from 'pg';

const configurations = {
    // polls at its shortest interval, without LISTEN
    polling: { work: { batchSize: 10, burstWhenBatchFull: true, pollingIntervalSeconds: 0.5 } },
    notified: { listen: true, work: {} },
    // the smallest batches that it goes on after without waiting for the next poll
    pairs: { listen: true, work: { batchSize: 2, burstWhenBatchFull: true } },
    // fetches batches as fast as it can; a batch is completed together
    batched: { listen: true, work: { batchSize: 100, burstWhenBatchFull: true } },
    // the same, work and completion in one transaction
    transactional: { listen: true, work: { batchSize: 100, burstWhenBatchFull: true, transactional: true } },
};

export class PgBossQueue {
    ran = 0;

    constructor(configuration) {
        this.configuration = configurations[configuration];
        if (!this.configuration)
            throw new Error(`unknown configuration: ${configuration}`);
    }

    async open(connections) {
        this.pool = new pg.Pool({ max: connections });
        this.boss = new PgBoss({ max: connections, useListenNotify: this.configuration.listen ?? false });
        this.boss.on('error', (error) => { throw error; });
        await this.boss.start();
        for (const queue of ['nothing', 'timed'])
            await this.boss.createQueue(queue, { notify: this.configuration.listen ?? false });
    }

    async enqueueMany(count) {
        await this.boss.insert('nothing', Array.from({ length: count }, () => ({ data: {} })));
    }

    async enqueue() {
        await this.boss.send('nothing', {});
    }

    async enqueueTimed() {
        const { rows } = await this.pool.query('SELECT clock_timestamp()::text AS sent');
        await this.boss.send('timed', rows[0]);
    }

    async start() {
        const options = { localConcurrency: 8, ...this.configuration.work };
        await this.boss.work('nothing', options, async (jobs, transaction) => {
            for (const _ of jobs)
                await (transaction ? transaction.executeSql('SELECT 1') : this.pool.query('SELECT 1'));
            this.ran += jobs.length;
        });
        await this.boss.work('timed', options, async (jobs) => {
            for (const job of jobs)
                await this.pool.query('INSERT INTO starts VALUES ($1, clock_timestamp())', [job.data.sent]);
        });
    }

    async count(condition) {
        const { rows } = await this.pool.query(
            `SELECT count(*)::int FROM pgboss.job WHERE name IN ('nothing', 'timed') AND ${condition}`);
        return rows[0].count;
    }

    async unfinished() {
        return await this.count("state < 'completed'");
    }

    async busy() {
        return await this.unfinished() > 0;
    }

    async succeeded() {
        return await this.count("state = 'completed'");
    }

    async stop() {
        await this.boss.stop();
        await this.pool.end();
    }
}
