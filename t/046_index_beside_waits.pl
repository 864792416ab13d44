# CREATE INDEX CONCURRENTLY waits for transactions that had a snapshot when it looked. A session
# that waits for the job looks at it time and again, with a snapshot: neither may wait for the
# other then. Another session has all who wait look all the time.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use KwjTest;
use Test::More;

my $node = new_node('index');
$node->safe_psql('postgres', <<'EOF');
CREATE TABLE target (n integer);
INSERT INTO target SELECT generate_series(1, 1000);
CREATE TABLE stop (now boolean);
CREATE PROCEDURE disturb() LANGUAGE plpgsql AS $$
BEGIN
    WHILE NOT EXISTS (SELECT FROM stop) LOOP
        PERFORM kwjobs.pause(job_id) FROM disturbed;
        COMMIT;
        PERFORM kwjobs.resume(job_id) FROM disturbed;
        COMMIT;
    END LOOP;
END $$;
CREATE TABLE disturbed AS
    SELECT kwjobs.submit('SELECT 1', run_at => now() + interval '1 year') AS job_id FROM generate_series(1, 40);
EOF
my $disturber = $node->background_psql('postgres');
$disturber->query_until(qr/begun/, "\\echo begun\nCALL disturb();\n\\echo over\n");

for (1 .. 10)
{
	for my $statement ('CREATE INDEX CONCURRENTLY made ON target (n)', 'REINDEX TABLE CONCURRENTLY target')
	{
		is($node->safe_psql('postgres', "SET statement_timeout = '60s'; CALL kwjobs.run('$statement') \\gset\n\\echo :status"),
			'succeeded', "kwjobs.run: $statement");
	}
	is( $node->safe_psql('postgres', <<'EOF'), 'succeeded', 'SHOW JOB WHEN COMPLETE');
SET statement_timeout = '60s';
SELECT kwjobs.submit('REINDEX INDEX CONCURRENTLY made') AS job_id \gset
SELECT status FROM [SHOW JOB WHEN COMPLETE :job_id];
EOF
	$node->safe_psql('postgres', 'DROP INDEX made');
}

$node->safe_psql('postgres', 'INSERT INTO stop VALUES (true)');
$disturber->quit;
is_consistent($node);
$node->stop;
done_testing();
