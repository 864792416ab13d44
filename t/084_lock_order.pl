# Whoever alters the tables of kwjobs one after the other, in the order of their names, waits for the work that is
# under way, or makes it wait; neither for the other.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use KwjTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('lock_order', <<'EOF');
kwjobs.max_workers = 2
deadlock_timeout = 100ms
EOF

sub sql { return $node->safe_psql('postgres', $_[0]) }

sql(<<'EOF');
CREATE PROCEDURE steps(n integer) LANGUAGE plpgsql AS $$
BEGIN
    FOR i IN 1 .. n LOOP
        CALL kwjobs.checkpoint(i::double precision / n, i::text::jsonb);
    END LOOP;
END $$;
EOF
my @tables = split(/\n/, sql(q{SELECT relname FROM pg_class WHERE relnamespace = 'kwjobs'::regnamespace AND relkind = 'r' ORDER BY relname}));
cmp_ok(scalar @tables, '>', 7, 'tables of kwjobs: ' . join(' ', @tables));

# The job is about to end, or to end with an error, or to write a checkpoint, or a session is about to create one
# that depends on it, or to cancel it, when the first table is locked already.
my %ends = (
	'success' => q{SELECT pg_advisory_xact_lock_shared(4711)},
	'an error' => q{DO $$ BEGIN PERFORM pg_advisory_xact_lock_shared(4711); RAISE EXCEPTION 'x'; END $$},
	'a checkpoint' => q{DO $$ BEGIN PERFORM pg_advisory_xact_lock_shared(4711); CALL kwjobs.checkpoint(0.5, '1'); END $$},
);
for my $end (sort keys %ends)
{
	for my $n (0 .. $#tables - 1)
	{
		my $gate = close_gate($node);
		my $job = sql("SELECT kwjobs.submit(\$kw\$$ends{$end}\$kw\$)");
		my $dependent = sql("SELECT kwjobs.submit('SELECT 1', depends_on => ARRAY[$job])");
		wait_at_gate($node, $job);
		wait_query($node, 'SELECT count(*) = 0 FROM kwjobs.dependency WHERE fresh');
		my $pid = job_field($node, $job, 'pid');
		my $alters = $node->background_psql('postgres', on_error_stop => 0);
		$alters->query_safe('BEGIN');
		$alters->query_safe("ALTER TABLE kwjobs.$_ OWNER TO postgres") for @tables[0 .. $n];
		open_gate($gate);
		# what the worker needs of these it waits for, or it is through with all
		wait_query($node, "SELECT coalesce((SELECT bool_or(wait_event_type IN ('Lock', 'Extension', 'Activity')) FROM pg_stat_activity WHERE pid = $pid), true)");
		$alters->query("ALTER TABLE kwjobs.$_ OWNER TO postgres") for @tables[$n + 1 .. $#tables];
		unlike($alters->{stderr}, qr/ERROR/, "$end, after $tables[$n]: the tables are altered");
		$alters->query('COMMIT');
		$alters->quit;
		wait_query($node, "SELECT count(*) = 2 FROM kwjobs.job WHERE job_id IN ($job, $dependent) AND finished IS NOT NULL");
		my $expected = $end eq 'an error' ? 'failed' : 'succeeded';
		is(sql("SELECT string_agg(DISTINCT status, ' ') FROM kwjobs.job WHERE job_id IN ($job, $dependent)"), $expected, "$end, after $tables[$n]: the jobs end as they should");
	}
}

# All that goes on with jobs, again and again.
{
	my $done = 0;
	for my $round (1 .. 15)
	{
		sql(q{SELECT kwjobs.submit('SELECT 1') FROM generate_series(1, 20)});
		sql(q{SELECT kwjobs.submit('CALL steps(20)'), kwjobs.submit('SELECT 1 / 0', on_revert => 'SELECT 1')});
		my $alter = join('; ', map { "ALTER TABLE kwjobs.$_ OWNER TO postgres" } @tables);
		my ($rc, undef, $err) = $node->psql('postgres', "BEGIN; $alter; COMMIT");
		$done += $rc == 0;
		diag($err) if $err;
		sql(q{CANCEL JOBS (SELECT job_id FROM [SHOW JOBS] WHERE finished IS NULL)}) if $round % 5 == 0;
	}
	is($done, 15, 'all tables are altered, fifteen times');
	wait_query($node, 'SELECT count(*) = 0 FROM kwjobs.job WHERE finished IS NULL');
}
is(sql(q{SELECT count(*) FROM kwdb_internal.job_attempts WHERE error_code = '40P01'}), '0', 'no attempt met a deadlock');
unlike(slurp_file($node->logfile), qr/deadlock detected/, 'nor did anybody else');
is_consistent($node);
$node->stop;
done_testing();
