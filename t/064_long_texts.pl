# What a job says is stored up to a bound, however it ends: no row is too long to be read, changed or sent.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/lib";
use KwjBroken;
use KwjTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = broken_node('long', "max_worker_processes = 16\n");
my $bound = 8192;
my @columns = qw(error error_detail error_hint error_context);

sub lengths_are_bounded
{
	my ($name, $job) = @_;
	for my $table ('kwjobs.job', 'kwjobs.attempt')
	{
		is(sql("SELECT count(*) FROM $table, unnest(ARRAY[" . join(', ', @columns) . "]) AS t
				 WHERE job_id = $job AND octet_length(t) > $bound"), '0', "$name: no text in $table is longer than the bound");
	}
	is(sql("SELECT count(*) > 0 FROM kwjobs.job, unnest(ARRAY[" . join(', ', @columns) . "]) AS t
			 WHERE job_id = $job AND octet_length(t) > $bound / 2 AND t ~ ' \\.\\.\\. \\(\\d+ more bytes\\)\$'"), 't',
		"$name: what is cut says so");
	return;
}

# The texts are of characters with several bytes, at each distance from the bound.
$node->safe_psql('postgres', <<'EOT');
CREATE FUNCTION shout(n integer, code text DEFAULT 'P0001') RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '%', repeat('x', n % 4) || repeat('€', n)
          USING DETAIL = repeat('d', n % 4) || repeat('ü', n), HINT = repeat('h', n), ERRCODE = code;
END $$;
EOT

for my $n (8190 .. 8193, 1000000)
{
	my $job = sql("SELECT kwjobs.submit('SELECT shout($n)')");
	wait_for_status($node, $job, 'failed');
	lengths_are_bounded("an error of $n characters", $job);
	is(sql("SELECT error ~ '^x{0,3}€+ \\.\\.\\. ' FROM kwjobs.job WHERE job_id = $job"), 't', 'it is cut between characters');
}
is(sql("SELECT octet_length(error_hint) FROM kwjobs.job WHERE error_hint ~ '^h+\$' ORDER BY 1 DESC LIMIT 1"), $bound,
	'what just fits stays as it is');

# A revert that fails keeps the error that made it revert.
{
	my $job = sql(q{SELECT kwjobs.submit('SELECT shout(1000000)', on_revert => 'SELECT shout(2000000)')});
	wait_for_status($node, $job, 'revert-failed');
	lengths_are_bounded('a failed revert', $job);
	is(sql("SELECT octet_length(cause ->> 'error') <= $bound FROM kwjobs.job WHERE job_id = $job"), 't', 'nor is its cause longer');
}

# Who waits for the job is told as much.
{
	my ($rc, $out, $err) = $node->psql('postgres', "CALL kwjobs.run('SELECT shout(1000000)')");
	isnt($rc, 0, 'a waiting session gets the error');
	cmp_ok(length($err), '<', 10 * $bound, '... not all of it');
	like($err, qr/ \.\.\. \(\d+ more bytes\)/, '... and is told so');
}

# Rows from before, or that somebody has written.
{
	my $gate = close_gate($node);
	my $job = sql(q{SELECT kwjobs.submit('SELECT 1 / 0', on_revert => 'SELECT 1 / (pg_advisory_xact_lock_shared(4711) IS NULL)::integer')});
	wait_at_gate($node, $job);
	sql("UPDATE kwjobs.job SET error = repeat('x', 150000000), error_detail = repeat('y', 150000000) WHERE job_id = $job");
	open_gate($gate);
	others_are_well('a row with more than fits into jsonb', submit_others(2), submit_others(1, 'other'));
	is_over('a row with more than fits into jsonb', $job, qr/^revert-failed: division by zero/);
	is(sql("SELECT octet_length(cause ->> 'error') <= $bound FROM kwjobs.job WHERE job_id = $job"), 't', 'its cause is cut');
}

# The state of a checkpoint has a bound, too.
$node->safe_psql('postgres', <<'EOT');
CREATE PROCEDURE keep(n integer) LANGUAGE plpgsql AS $$
BEGIN
    CALL kwjobs.checkpoint(0.5, to_jsonb(repeat('x', n)));
END $$;
EOT
my $fits = sql(q{SELECT kwjobs.submit('CALL keep(1000000)')});
wait_for_status($node, $fits, 'succeeded');
my $too_long = sql(q{SELECT kwjobs.submit('CALL keep(1100000)')});
wait_for_status($node, $too_long, 'failed');
like(job_field($node, $too_long, 'error_code, error'), qr/^54000\|the state of the checkpoint is too long: \d+ bytes$/, 'a state that is too long is refused');
like(job_field($node, $too_long, 'error_hint'), qr/Write large things into a table/, '... with a hint');

is($node->psql('postgres', 'SHOW JOBS'), 0, 'SHOW JOBS works');
is_consistent($node);
$node->stop;
done_testing();
