# Each column of our tables holds each kind of wrong value in turn, for a job that waits and for one that
# runs: other jobs go on, no process ends, and the broken job can be shown and canceled.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/lib";
use KwjBroken;
use KwjTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = broken_node('columns', "log_min_messages = log\n");

# Then NULL can be written everywhere.
sql(q{DO $$
DECLARE c record;
BEGIN
    FOR c IN SELECT a.attrelid::regclass::text AS rel, a.attname FROM pg_attribute AS a
              WHERE a.attrelid IN ('kwjobs.job'::regclass, 'kwjobs.attempt'::regclass, 'kwjobs.checkpoint'::regclass, 'kwjobs.dependency'::regclass)
                AND a.attnum > 0 AND a.attnotnull AND NOT a.attisdropped
                AND NOT EXISTS (SELECT FROM pg_index AS i WHERE i.indrelid = a.attrelid AND i.indisprimary
                                   AND a.attnum = ANY (i.indkey))
    LOOP
        EXECUTE format('ALTER TABLE %s ALTER %I DROP NOT NULL', c.rel, c.attname);
    END LOOP;
END $$});
# that has had the last one leave for a moment
sql("CALL kwjobs.run('SELECT 1')");
know_coordinator();

my %values = (
	text => [ "''", q{'garbage'}, q{repeat('x', 100000)}, 'NULL' ],
	integer => [ -2147483648, -1, 0, 2147483647, 'NULL' ],
	bigint => [ '(-9223372036854775808)', -1, 0, '9223372036854775807', 'NULL' ],
	boolean => [ 'true', 'false', 'NULL' ],
	oid => [ 0, 4294967295, 'NULL' ],
	'kwjobs.role' => [ '0::oid', '4294967295::oid', q{'nobody there'}, 'NULL' ],
	'oid[]' => [ q{'{}'}, q{'{0, 4294967295}'}, q{'{NULL}'}, 'NULL' ],
	jsonb => [ q{'{}'}, q{'[1, 2]'}, q{'"x"'}, q{'null'}, q{'{"statement": 1}'}, q{'{"statement": "SELECT 1", "settings": 5}'}, 'NULL' ],
	'timestamp with time zone' => [ q{'-infinity'}, q{'infinity'}, q{'0001-01-01'}, 'NULL' ],
	'timestamp with time zone[]' => [ q{'{}'}, q{'{NULL}'}, q{'{infinity}'}, 'NULL' ],
	'double precision' => [ q{'NaN'}, q{'-infinity'}, '1e300', 'NULL' ],
	'text[]' => [ q{'{}'}, q{'{NULL}'}, 'NULL' ],
	xid8 => [ q{'0'}, q{'18446744073709551615'} ]);

# All changes of a table: [column, value].
sub changes
{
	my ($table) = @_;
	my @changes;
	for my $line (split(/\n/, sql("SELECT quote_ident(attname) || '=' || format_type(atttypid, -1) FROM pg_attribute
		 WHERE attrelid = '$table'::regclass AND attnum > 0 AND NOT attisdropped AND attname NOT IN ('job_id', 'xid') ORDER BY attnum")))
	{
		my ($column, $type) = split(/=/, $line, 2);
		die "no values for type $type" unless $values{$type};
		push(@changes, map { [ $column, $_ ] } @{ $values{$type} });
	}
	return @changes;
}

sub batch { return $node->safe_psql('postgres', join("\n", @_)) }

# The coordinator and the workers are well; SHOW JOB shows the broken ones, and CANCEL JOB ends them or says why not.
sub check
{
	my ($name, $others, @bad) = @_;
	others_are_well($name, @$others, submit_others(2), submit_others(1, 'other'));
	is($node->psql('postgres', join("\n", map { "SHOW JOB $_;" } grep { visible($_) } @bad), on_error_stop => 1), 0,
		"$name: SHOW JOB shows the broken ones");
	is($node->psql('postgres', 'SHOW JOBS'), 0, "$name: SHOW JOBS works");
	is(sql(q{CREATE OR REPLACE FUNCTION try_cancel(job bigint) RETURNS text LANGUAGE plpgsql AS $$
		 BEGIN
		     PERFORM kwjobs.cancel(job);
		     RETURN NULL;
		 EXCEPTION WHEN object_not_in_prerequisite_state OR undefined_object THEN RETURN NULL;
		 WHEN OTHERS THEN RETURN sqlstate || ' ' || sqlerrm;
		 END $$;
		 SELECT string_agg(job_id || ': ' || message, E'\n') FROM (SELECT job_id, try_cancel(job_id) AS message
		   FROM kwjobs.job WHERE description = 'bad' OR description IS NULL) AS t WHERE message IS NOT NULL}),
		'', "$name: CANCEL JOB works or says why not");
	others_are_well("$name, canceled", submit_others(2), submit_others(1, 'other'));
	return;
}
my %visible;

sub visible
{
	my ($job) = @_;
	%visible = map { $_ => 1 } split(/\n/, sql('SELECT job_id FROM kwdb_internal.jobs')) unless %visible;
	return $visible{$job};
}

# ---- jobs that wait ----

my @changes = changes('kwjobs.job');
my @bad = split(/\n/,
	batch("SELECT kwjobs.submit('$work', description => 'bad', run_at => now() + interval '1 hour') FROM generate_series(1, " . @changes . ');'));
my @edits;
for my $i (0 .. $#changes)
{
	my ($column, $value) = @{ $changes[$i] };
	push(@edits, "UPDATE kwjobs.job SET $column = $value" . ($column eq 'due' ? '' : ', due = clock_timestamp()') . " WHERE job_id = $bad[$i];");
}
my @others = submit_others(5);
batch(@edits);
push(@others, submit_others(20), submit_others(10, 'other'));
check('waiting', \@others, @bad);
my $list = join(', ', @bad);
ok(becomes_true($node, "SELECT count(*) = 0 FROM kwjobs.job WHERE job_id IN ($list) AND active_attempt IS NOT NULL"),
	'waiting: none of them keeps an attempt')
  or diag(sql("SELECT * FROM kwjobs.job WHERE job_id IN ($list) AND active_attempt IS NOT NULL"));
my %what = map { $bad[$_] => join(' = ', @{ $changes[$_] }) } 0 .. $#bad;
note("waiting: $what{$_->[0]}: $_->[1]")
  for map { [ split(/\|/, $_, 2) ] } split(/\n/, sql("SELECT job_id, coalesce(status, 'NULL') || ' ' || left(coalesce(error, 'NULL'), 150) FROM kwjobs.job WHERE job_id IN ($list) ORDER BY job_id"));
sql("DELETE FROM kwjobs.attempt WHERE job_id IN ($list); DELETE FROM kwjobs.job WHERE job_id IN ($list)");

# ---- jobs that run ----

for my $table ('kwjobs.job', 'kwjobs.attempt')
{
	%visible = ();
	@changes = changes($table);
	@bad = ();
	my $name = "running, $table";
	while (my @some = splice(@changes, 0, 2))
	{
		my $gate = close_gate($node);
		my @now = submit_at_gate(scalar(@some));
		sql("UPDATE kwjobs.job SET description = 'bad' WHERE job_id IN (" . join(', ', @now) . ')');
		for my $i (0 .. $#some)
		{
			my ($column, $value) = @{ $some[$i] };
			next if $table eq 'kwjobs.attempt' && $column eq 'attempt';
			$what{ $now[$i] } = "$column = $value";
			sql("UPDATE $table SET $column = $value WHERE job_id = $now[$i]");
		}
		my @waiting = submit_others(2);
		open_gate($gate);
		others_are_well("$name: " . join(', ', map { $what{$_} // '' } @now), @waiting);
		push(@bad, @now);
	}
	check($name, [], @bad);
	$list = join(', ', @bad);
	ok(becomes_true($node, "SELECT count(*) = 0 FROM kwjobs.job WHERE job_id IN ($list) AND active_attempt IS NOT NULL"),
		"$name: none of them keeps an attempt")
	  or diag(sql("SELECT * FROM kwjobs.job WHERE job_id IN ($list) AND active_attempt IS NOT NULL"));
	sql("DELETE FROM kwjobs.attempt WHERE job_id IN ($list); DELETE FROM kwjobs.job WHERE job_id IN ($list)");
}
unlike(slurp_file($node->logfile), qr/TRAP|terminated by signal/, 'no process crashed');
$node->stop;
done_testing();
