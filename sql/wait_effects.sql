-- A session that has waited for a job sees what the job has created or dropped, also where the session asks the
-- catalogs without a lock, and has the old answer in its caches.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS kwjobs;
RESET client_min_messages;
CREATE PROCEDURE create_and_drop(times integer, INOUT stale integer DEFAULT 0) LANGUAGE plpgsql AS $$
DECLARE
    job bigint;
BEGIN
    FOR i IN 1 .. times LOOP
        stale := stale + (to_regclass('public.made') IS NOT NULL)::integer;
        job := kwjobs.submit('CREATE TABLE public.made ()');
        COMMIT;
        PERFORM kwjobs.wait(job);
        stale := stale + (to_regclass('public.made') IS NULL)::integer;
        job := kwjobs.submit('DROP TABLE public.made');
        COMMIT;
        PERFORM kwjobs.wait(job);
    END LOOP;
END $$;
CALL create_and_drop(1000);
DROP PROCEDURE create_and_drop;
