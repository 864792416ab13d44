# t/lib/KwjErrandFaults.pm: sessions that control jobs of another database while t/020_faults.pl lets
# faults happen. At the end each statement that was committed has had its effect there once, those
# for one job in their order, and no other has had one.
package KwjErrandFaults;

use strict;
use warnings;

use Exporter 'import';
use KwjServer;
use KwjTest;
use PostgreSQL::Test::Utils;
use Test::More;

our @EXPORT = qw(init_errands new_far_jobs control_far_jobs check_errands);

my $node;

# Creates the other database, and what the sessions need in database postgres.
sub init_errands
{
	($node) = @_;
	create_database($node, 'far');
	$node->safe_psql('postgres', <<'EOF');
CREATE TABLE far (job bigint PRIMARY KEY, paused boolean NOT NULL DEFAULT false);
CREATE TABLE far_asked (n bigint GENERATED ALWAYS AS IDENTITY, job bigint, event text, reason text);
-- Pauses a job of the other database, or resumes it, by the statement or by the function. No other
-- transaction is about the same job, so the order is that of the commits.
CREATE FUNCTION ask_far() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    one far;
    verb text;
    why text := gen_random_uuid();
BEGIN
    SELECT * INTO one FROM far ORDER BY random() LIMIT 1 FOR UPDATE SKIP LOCKED;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    verb := CASE WHEN one.paused THEN 'resume' ELSE 'pause' END;
    EXECUTE format(CASE WHEN random() < 0.5 THEN '%s JOB %s WITH REASON = %L' ELSE 'SELECT kwjobs.%s(%s, %L)' END,
                   verb, one.job, why);
    UPDATE far SET paused = NOT paused WHERE job = one.job;
    INSERT INTO far_asked (job, event, reason) VALUES (one.job, verb, why);
END $$;
EOF
	new_far_jobs();
	return;
}

# Gives the sessions other jobs, which nobody has controlled yet.
sub new_far_jobs
{
	my $jobs = $node->safe_psql('far',
		q{SELECT string_agg('(' || kwjobs.submit('SELECT 1', run_at => 'tomorrow') || ')', ', ') FROM generate_series(1, 8)});
	$node->safe_psql('postgres', "TRUNCATE far, far_asked; INSERT INTO far (job) VALUES $jobs");
	return;
}

# Returns the statements of a session: a few transactions. Some statements are rolled back, as are
# those of which the other database does not say in time whether they are possible.
sub control_far_jobs
{
	return ('SET kwjobs.scope = server', <<'EOF');
DO $$
BEGIN
    FOR i IN 1 .. 6 LOOP
        FOR k IN 1 .. 3 LOOP
            BEGIN
                PERFORM ask_far();
                IF random() < 0.3 THEN
                    RAISE division_by_zero;
                END IF;
            EXCEPTION WHEN division_by_zero OR object_not_in_prerequisite_state OR undefined_object THEN NULL;
            END;
        END LOOP;
        IF random() < 0.2 THEN
            ROLLBACK;
        ELSE
            COMMIT;
        END IF;
    END LOOP;
END $$;
EOF
}

# Checks that the other database has done what was committed, and nothing else. Returns how many
# statements were committed.
sub check_errands
{
	is($node->safe_psql('postgres', 'SELECT job_id, verb, error FROM kwjobs.errands'), '', 'no statement for a job of another database was refused');
	my $asked = $node->safe_psql('postgres', 'SELECT job, event, reason FROM far_asked ORDER BY job, n');
	my $jobs = $node->safe_psql('postgres', q{SELECT string_agg(job::text, ', ') FROM far});
	is($node->safe_psql('far', "SELECT job_id, event, reason FROM kwdb_internal.job_events WHERE job_id IN ($jobs) AND event IN ('pause', 'resume') ORDER BY job_id, at, seq"),
		$asked, 'what was asked of jobs of another database is an event there, once, and in order');
	is($node->safe_psql('far', "SELECT job_id FROM kwjobs.job WHERE status = 'paused' AND job_id IN ($jobs) ORDER BY job_id"),
		$node->safe_psql('postgres', 'SELECT job FROM far WHERE paused ORDER BY job'), '... and these jobs have the status that they should');
	is_consistent($node, 'far');
	return scalar(split(/\n/, $asked));
}

1;
