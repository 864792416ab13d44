// graphile-worker. Tasks use its own pool. It deletes a job that has succeeded.
import { Logger, makeWorkerUtils, run, runMigrations } from 'graphile-worker';
import pg from 'pg';

const configurations = {
    plain: {},
    // the starting point that its page on performance recommends
    batched: { localQueue: { size: 9 }, completeJobBatchDelay: 250, failJobBatchDelay: 250 },
    // what its own performance test uses
    large: { localQueue: { size: 500 }, completeJobBatchDelay: 0, failJobBatchDelay: 0 },
};

function fail(error) {
    throw error;
}

export class Graphile {
    ran = 0;

    constructor(configuration) {
        this.worker = { concurrentJobs: 8, ...configurations[configuration] };
        if (!configurations[configuration])
            throw new Error(`unknown configuration: ${configuration}`);
    }

    async open(connections) {
        this.pool = new pg.Pool({ max: connections });
        this.pool.on('error', fail);
        this.pool.on('connect', (client) => client.on('error', fail));
        this.options = { pgPool: this.pool, logger: new Logger(() => () => {}) };
        await runMigrations(this.options);
        this.utils = await makeWorkerUtils(this.options);
    }

    async enqueueMany(count) {
        const jobs = Array.from({ length: count }, () => ({ identifier: 'nothing', payload: {} }));
        await this.utils.addJobs(jobs);
    }

    async enqueue() {
        await this.utils.addJob('nothing', {});
    }

    async enqueueTimed() {
        await this.pool.query(
            "SELECT graphile_worker.add_job('timed', json_build_object('sent', clock_timestamp()))");
    }

    async start() {
        const taskList = {
            nothing: async (payload, helpers) => {
                await helpers.query('SELECT 1');
                this.ran++;
            },
            timed: async (payload, helpers) => {
                await helpers.query('INSERT INTO starts VALUES ($1, clock_timestamp())', [payload.sent]);
            },
        };
        this.runner = await run({
            ...this.options, taskList, noHandleSignals: true, preset: { worker: this.worker },
        });
    }

    async unfinished() {
        const { rows } = await this.pool.query('SELECT count(*)::int FROM graphile_worker.jobs');
        return rows[0].count;
    }

    async busy() {
        return await this.unfinished() > 0;
    }

    // What has succeeded is no longer there; what has failed is.
    async succeeded() {
        return await this.unfinished() === 0 ? this.ran : 0;
    }

    async stop() {
        await this.runner?.stop();
        await this.utils.release();
        await this.pool.end();
    }
}
