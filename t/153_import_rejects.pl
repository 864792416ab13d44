# IMPORT with on_error = 'skip' ends in what one gets who copies one record after the other, each in a
# subtransaction: the same rows, and the same rejected records with the same reasons, however many
# workers there are and whatever happens on the way. KWJ_SEED repeats a run, KWJ_SEED=random makes other
# files in each run.

use strict;
use warnings;

use Cwd qw(abs_path);
use FindBin;
use IO::Compress::Gzip qw(gzip $GzipError);
use lib "$FindBin::RealBin/lib";
use KwjCsv;
use KwjGates;
use KwjTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $seed = $ENV{KWJ_SEED} || 1;
$seed = (time ^ $$ << 8) & 0x7fffffff if $seed eq 'random';
my $cases = $ENV{KWJ_CASES} // 40;
diag("KWJ_SEED=$seed repeats this run");

my $node = new_node('import_rejects', <<'END', extra => [ '--no-locale', '--encoding=UTF8' ]);
fsync = off
kwjobs.max_workers = 4
max_connections = 40
autovacuum = off
END
my $dir = abs_path($node->basedir);

my $rejects = "$dir/rejected.csv";
begin_session($node);

# In `imported` the parts wait at the gates; its function says that it is no obstacle for several workers.
run_sql(<<'END');
CREATE TABLE parent (id integer PRIMARY KEY);
INSERT INTO parent SELECT generate_series(1, 20);
CREATE TABLE gates (n integer PRIMARY KEY);
CREATE FUNCTION gate() RETURNS trigger IMMUTABLE LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM public.gates AS g WHERE g.n = NEW.n) THEN
        PERFORM pg_advisory_xact_lock_shared(4711, NEW.n);
    END IF;
    RETURN NEW;
END $$;
CREATE SCHEMA imported;
CREATE SCHEMA copied;
CREATE TABLE imported.t (n integer NOT NULL, p integer CONSTRAINT parent REFERENCES parent, a varchar(20), CONSTRAINT positive CHECK (n >= 0));
CREATE TABLE copied.t (n integer NOT NULL, p integer CONSTRAINT parent REFERENCES parent, a varchar(20), CONSTRAINT positive CHECK (n >= 0));
CREATE TRIGGER gate BEFORE INSERT ON imported.t FOR EACH ROW EXECUTE FUNCTION gate();
CREATE TABLE imported.rejected (job_id bigint, file text, line bigint, column_name text, sqlstate text, reason text, record text);
CREATE TABLE imported.from_file (LIKE imported.rejected);
CREATE TABLE copied.rejected (line bigint, column_name text, sqlstate text, reason text);
CREATE FUNCTION copy_records(dir text, lines bigint[], options text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    state text; message text; detail text; context text;
BEGIN
    FOR i IN 1 .. cardinality(lines) LOOP
        BEGIN
            EXECUTE format('COPY copied.t FROM %L WITH (FORMAT csv, %s)', dir || '/record' || i, options);
        EXCEPTION WHEN OTHERS THEN
            GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL,
                context = PG_EXCEPTION_CONTEXT;
            INSERT INTO copied.rejected VALUES (lines[i], substring(context from 'line \d+, column (\w+)'), state,
                message || CASE WHEN detail <> '' THEN ' (' || detail || ')' ELSE '' END);
        END;
    END LOOP;
END $$;
CREATE FUNCTION compare() RETURNS text LANGUAGE sql AS $$
    SELECT concat_ws(' ', (SELECT count(*) FROM (TABLE copied.t EXCEPT ALL TABLE imported.t) AS x),
        (SELECT count(*) FROM (TABLE imported.t EXCEPT ALL TABLE copied.t) AS x),
        (SELECT count(*) FROM (TABLE copied.rejected EXCEPT ALL SELECT line, column_name, sqlstate, reason FROM imported.rejected) AS x),
        (SELECT count(*) FROM (SELECT line, column_name, sqlstate, reason FROM imported.rejected EXCEPT ALL TABLE copied.rejected) AS x)) $$;
END

sub import_file
{
	my ($d, $workers, $file, $more, $disturbance, $gate) = @_;
	run_sql("ALTER DATABASE postgres SET kwjobs.import_batch_size = '$d->{batch}'");
	close_at($gate) if $disturbance;
	run_sql('ALTER TABLE imported.t ' . ($disturbance ? 'ENABLE' : 'DISABLE') . ' TRIGGER gate');
	my $job = run_sql("SELECT kwjobs.import('imported.t', ARRAY[" . literal($file) . '], NULL, ' . import_options($d)
		  . "::jsonb || '{\"thread_concurrency\": $workers, \"on_error\": \"skip\", \"reject_table\": \"imported.rejected\", \"reject_file\": \"$rejects\"}' || '$more')");
	disturb($job, $gate, $disturbance) if $disturbance;
	wait_until_over($job);
	return $job;
}

# Returns what is wrong with the reject file, or nothing. It must have the first $n of the records that COPY has
# refused; if $n is 0, there must be no file. Removes the file.
sub wrong_file
{
	my ($n) = @_;
	my @left = grep { -e } $rejects, glob("$dir/.kwjobs-*");
	my $kept = run_sql('SELECT count(*) FROM kwjobs.rejected');
	return "files @left" if join(' ', @left) ne ($n > 0 ? $rejects : '');
	return "$kept records in kwjobs.rejected" if $kept ne '0';
	return '' if $n == 0;
	run_sql("COPY imported.from_file FROM '$rejects' (FORMAT csv, HEADER)");
	unlink $rejects or die $!;
	my $wrong = run_sql("WITH c AS (SELECT * FROM copied.rejected ORDER BY line LIMIT $n), f AS (SELECT line, column_name, sqlstate, reason FROM imported.from_file)
		SELECT count(*) + (SELECT count(*) FROM (TABLE f EXCEPT ALL TABLE c) AS y) FROM (TABLE c EXCEPT ALL TABLE f) AS x");
	return $wrong eq '0' ? '' : "$wrong records differ";
}

# Compresses the file now and then. Returns the path of what is to be imported.
sub perhaps_compressed
{
	my ($path) = @_;
	return $path if rand() < 0.7;
	gzip($path => "$path.gz") or die "gzip: $GzipError";
	return "$path.gz";
}

sub forget
{
	run_sql('SELECT pg_advisory_unlock_all()');
	run_sql('TRUNCATE imported.t, imported.rejected, imported.from_file, copied.t, copied.rejected, gates');
	return;
}

# A record, which is bad now and then in one of many ways. It does not change where others end.
sub random_record
{
	my ($d, $n, $bad) = @_;
	my ($p, $a) = (between(1, 20), random_field($d));
	return join($d->{delimiter}, $n, $p, $a) if rand() >= $bad;
	return pick(
		join($d->{delimiter}, 'x', $p, $a), join($d->{delimiter}, $n, $p),
		join($d->{delimiter}, $n, $p, $a, $a), join($d->{delimiter}, $n, between(100, 200), $a),
		join($d->{delimiter}, $n, "$p.5", $a), join($d->{delimiter}, -$n, $p, $a),
		join($d->{delimiter}, '', $p, $a), join($d->{delimiter}, $n, $p, 'x' x 30),
		join($d->{delimiter}, int($n / 2), $p, $a), "$n\xff",
		join($d->{delimiter}, $n, $p, "\xc3"), '');
}

# Writes the records, together and each for itself. Returns the lines in which they begin.
sub write_records
{
	my ($d, @records) = @_;
	my $line = 1;
	my @lines;
	my $line_feed = $d->{line_end} eq "\n" ? "\n" : "\r";
	write_file("$dir/records.csv", join('', map { $_ . $d->{line_end} } @records));
	for my $i (0 .. $#records)
	{
		write_file("$dir/record" . ($i + 1), $records[$i] . $d->{line_end});
		push @lines, $line;
		$line += 1 + (() = $records[$i] =~ /$line_feed/g);
	}
	return @lines;
}

# ---- random records, random faults ----
my %seen;
for my $i (1 .. $cases)
{
	srand($seed + $i);
	my $d = random_dialect();
	$d->{skip} = 0;
	$d->{nullif} = '';
	$d->{batch} = pick('1kB', '4kB', '64kB');
	my $n = between(1, 250);
	my $bad = pick(0.01, 0.1, 0.5, 1);
	my $unique = rand() < 0.4;
	# A field of many bytes is always too long for the column.
	$d->{large} = 0;
	my @records = map { random_record($d, $_, $bad) } 1 .. $n;
	# What COPY makes of stray line ends depends on the first record, which it does not know alone.
	s/[\r\n]/ /g for grep { $d->{line_end} ne "\n" } @records;
	my @lines = write_records($d, @records);
	my $disturbance = pick('', '', 'pause', 'terminate', 'terminate', 'cancel', 'crash');
	$disturbance = 'terminate' if $disturbance eq 'crash' && $i % 3 != 0;
	$seen{ $disturbance || 'nothing' }++;

	run_sql("ALTER TABLE $_.t ADD CONSTRAINT key UNIQUE (n)") for $unique ? qw(imported copied) : ();
	run_sql("SELECT copy_records('$dir', '{" . join(',', @lines) . "}', " . literal(copy_options($d)) . ')');
	my $job = import_file($d, between(1, 3), perhaps_compressed("$dir/records.csv"), '{}', $disturbance, between(1, $n));
	my ($rows, $rejected) = map { run_sql("SELECT count(*) FROM copied.$_") } qw(t rejected);
	my $end = run_sql("SELECT status, result FROM kwdb_internal.jobs WHERE job_id = $job");
	my $good;
	if ($end =~ /^canceled/)
	{
		$good = run_sql('SELECT count(*) + (SELECT count(*) FROM imported.rejected) FROM imported.t') eq '0' && wrong_file(0) eq '';
		$seen{canceled}++;
	}
	else
	{
		my $in_file = $rejected > 0 ? qq(, "reject_file": "$rejects") : '';
		$good = $end eq qq(succeeded|{"rows": $rows, "rejected": $rejected$in_file, "reject_table": "imported.rejected"})
		  && $rows + $rejected == $n && run_sql('SELECT compare()') eq '0 0 0 0' && wrong_file($rejected) eq ''
		  && run_sql('TABLE imported.rejected EXCEPT ALL TABLE imported.from_file') eq '';
	}
	$seen{rejected} += $rejected;
	ok($good, "random records $i: $rows good, $rejected bad, $disturbance")
	  or diag(describe_case($seed, $d, $i), "\n$rows $rejected $end ", run_sql(job_error($job)), "\n", run_sql('SELECT compare()'),
		"\n", run_sql('SELECT * FROM (TABLE copied.rejected EXCEPT ALL SELECT line, column_name, sqlstate, reason FROM imported.rejected) AS x LIMIT 3'),
		"\n", run_sql('SELECT * FROM (SELECT line, column_name, sqlstate, reason FROM imported.rejected EXCEPT ALL TABLE copied.rejected) AS x LIMIT 3'));
	run_sql("ALTER TABLE $_.t DROP CONSTRAINT IF EXISTS key") for qw(imported copied);
	forget();
}
note('seen: ' . join(', ', map { "$_ $seen{$_}" } sort keys %seen));

# ---- reject_limit: the error of the first record beyond it, and nothing is left ----
my %ended;
for my $i (1 .. $cases)
{
	srand($seed + 1000 + $i);
	my $d = { %{ random_dialect() }, skip => 0, nullif => '', large => 0, line_end => "\n", batch => '1kB' };
	my $n = between(50, 400);
	my @records = map { random_record($d, $_, 0.05) } 1 .. $n;
	my @lines = write_records($d, @records);
	run_sql("SELECT copy_records('$dir', '{" . join(',', @lines) . "}', " . literal(copy_options($d)) . ')');
	my $rejected = run_sql('SELECT count(*) FROM copied.rejected');
	my $limit = between(0, $rejected + 1);
	my $disturbance = pick('', '', 'terminate', 'pause');
	my $job = import_file($d, between(1, 4), perhaps_compressed("$dir/records.csv"), "{\"reject_limit\": $limit}", $disturbance, between(1, $n));
	my $end = run_sql("SELECT status FROM kwdb_internal.jobs WHERE job_id = $job");
	my $left = run_sql('SELECT count(*) + (SELECT count(*) FROM imported.rejected) FROM imported.t');
	my $first = run_sql("SELECT concat_ws('|', sqlstate, line, coalesce(column_name, 'none')) FROM copied.rejected ORDER BY line OFFSET $limit LIMIT 1");
	my $error = run_sql("SELECT concat_ws('|', error_code, error_line, coalesce(error_column, 'none')) FROM kwdb_internal.jobs WHERE job_id = $job");
	my $wrong = wrong_file($limit < $rejected ? $limit : $rejected);
	ok(($limit < $rejected ? $end eq 'failed' && $error eq $first && $left == 0 : $end eq 'succeeded' && $left == $n) && $wrong eq '',
		"limit $i: $limit of $rejected, $disturbance")
	  or diag(describe_case($seed, $d, 1000 + $i), "\n$end $left $wrong\nCOPY: $first\nIMPORT: $error ", run_sql(job_error($job)));
	$ended{$end}++;
	forget();
}
cmp_ok($ended{$_}, '>', $cases / 10, "many jobs have $_") for qw(failed succeeded);

# ---- reject_limit where one worker imports everything, in many batches ----
{
	run_sql("ALTER DATABASE postgres SET kwjobs.import_batch_size = '1kB'");
	run_sql('CREATE TABLE keys (n integer PRIMARY KEY)');
	write_file("$dir/keys.csv", join('', map { $_ % 1000 == 0 ? "x\n" : "$_\n" } 1 .. 5000));
	for my $workers (1, 3)
	{
		my $job = run_sql("SELECT kwjobs.import('keys', ARRAY['$dir/keys.csv'], NULL, '{\"thread_concurrency\": $workers, \"on_error\": \"skip\", \"reject_limit\": 2}')");
		wait_until_over($job);
		is(run_sql("SELECT concat_ws(' ', status, error_code, error_line) FROM kwdb_internal.jobs WHERE job_id = $job"), 'failed 22P02 3000', "$workers: the record beyond the limit");
	}
}

# ---- binary: a record that does not tell where the next one begins would take all others with it ----
{
	run_sql('CREATE TABLE numbers (n integer CHECK (n <> 500), t text)');
	my $record = sub { pack('n N N N/a', 2, 4, $_[0], "row $_[0]") };
	my $header = "PGCOPY\n\xff\r\n\0" . pack('N N', 0, 0);
	my $records = sub { join('', map { $record->($_) } $_[0] .. $_[1]) };
	my $trailer = "\xff\xff";
	my %files = (
		'a record with another number of fields' => [ $records->(1, 99) . pack('n N N', 1, 4, 0) . $records->(100, 200) . $trailer, 0, 'succeeded 200 1' ],
		'a length below -1' => [ $records->(1, 99) . pack('n N N N', 2, 4, 0, 0xfffffff0) . $records->(100, 200) . $trailer, 0, 'failed 22P04 100' ],
		'a length of 2 GB' => [ $records->(1, 99) . pack('n N N N', 2, 4, 0, 0x7ffffff0) . $records->(100, 200) . $trailer, 0, 'failed 54000 100' ],
		'records behind the trailer' => [ $records->(1, 99) . $trailer . $records->(100, 200) . $trailer, 0, 'failed 22P04 100' ],
		'cut off in a record' => [ substr($records->(1, 200), 0, -3), 1, 'failed 22P04 200' ],
		'cut off behind a bad record' => [ $records->(1, 199) . $record->(500), 1, 'failed XX001' ],
		'a bad record before the trailer' => [ $records->(1, 199) . $record->(500) . $trailer, 1, 'succeeded 199 1' ]);
	for my $name (sort keys %files)
	{
		my ($bytes, $compressed, $expected) = @{ $files{$name} };
		my $file = "$dir/records.binary";
		my $content = $header . $bytes;
		if ($compressed) { gzip(\$content, $file) or die $GzipError; }
		else { open(my $f, '>:raw', $file) or die; print $f $content; close($f) or die; }
		my $job = run_sql("SELECT kwjobs.import('numbers', ARRAY['$file'], NULL, '{\"format\": \"binary\", \"on_error\": \"skip\"}')");
		wait_until_over($job);
		is(run_sql("SELECT concat_ws(' ', status, error_code, error_line, CASE status WHEN 'succeeded' THEN rows END, result->>'rejected')
			FROM kwdb_internal.jobs WHERE job_id = $job"), $expected, "binary: $name");
		run_sql('TRUNCATE numbers');
	}
}

# ---- the reject file appears when it is complete, and the job's end decides whether it stays ----
for my $workers (1, 3)
{
	run_sql("ALTER DATABASE postgres SET kwjobs.import_batch_size = '1kB'");
	run_sql('CREATE TABLE IF NOT EXISTS plain (n integer)');
	write_file("$dir/plain.csv", join('', map { $_ % 400 == 0 ? "x\n" : "$_\n" } 1 .. 4000));
	my $create = sub {
		my ($options) = @_;
		return run_sql("SELECT kwjobs.import('plain', ARRAY['$dir/plain.csv'], NULL, '{\"thread_concurrency\": $workers, \"on_error\": \"skip\", \"retry_initial_delay\": \"1ms\",
			\"reject_file\": \"$rejects\"}'::jsonb || '$options')");
	};
	# Begins a job, and stops it at the gate. Returns its id, and the pid of the worker.
	my $stopped = sub {
		my ($gate, $options) = @_;
		run_sql("SELECT pg_advisory_lock($gate)");
		my $job = $create->($options);
		wait_until("EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND objid = $gate AND NOT granted)");
		return ($job, run_sql("SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND objid = $gate AND NOT granted"));
	};
	my $ends = sub {
		my ($job, $expected, $records, $name) = @_;
		wait_until_over($job);
		is(run_sql("SELECT status FROM kwdb_internal.jobs WHERE job_id = $job"), $expected, "$workers: $name");
		is(run_sql('SELECT count(*) FROM plain'), $expected eq 'succeeded' ? 3990 : 0, '... with its rows');
		my @lines = map { 400 * $_ } 1 .. $records;
		is(-e $rejects ? join(',', slurp_file($rejects) =~ /^$job,[^,]*,(\d+),/gm) : '', join(',', @lines), '... and its reject file');
		is(join(' ', glob("$dir/.kwjobs-*")) . run_sql('SELECT count(*) FROM kwjobs.rejected'), 0, '... and nothing besides');
		unlink $rejects;
		run_sql('TRUNCATE plain');
	};
	for my $gate (4943, 4944)
	{
		my $when = $gate == 4943 ? 'written aside' : 'in its place';
		for my $what ('crash', 'terminate', 'cancel')
		{
			my ($job, $pid) = $stopped->($gate, '{}');
			is(-e $rejects ? 'there' : 'not there', $gate == 4943 ? 'not there' : 'there', "$workers: it is $when");
			run_sql('CHECKPOINT');
			run_sql("SELECT kwjobs.cancel($job)") if $what eq 'cancel';
			run_sql("SELECT pg_terminate_backend($pid)") if $what eq 'terminate';
			if ($what eq 'crash') { crash($pid); } else { run_sql("SELECT pg_advisory_unlock($gate)"); }
			$ends->($job, $what eq 'cancel' ? 'canceled' : 'succeeded', $what eq 'cancel' ? 0 : 9 + 1, "$what when it is $when");
		}
		# It cannot be tried again: the revert removes the file. If reject_limit has ended the job, it stays.
		my ($job, $pid) = $stopped->($gate, '{"max_attempts": 1}');
		run_sql("SELECT pg_terminate_backend($pid)");
		run_sql("SELECT pg_advisory_unlock($gate)");
		$ends->($job, 'failed', 0, "the only attempt ends when it is $when");
		($job, $pid) = $stopped->($gate, '{"reject_limit": 4}');
		run_sql('CHECKPOINT');
		crash($pid);
		$ends->($job, 'failed', 4, "reject_limit, and a crash when it is $when");
	}
	# Somebody takes the name when the file is about to get it.
	my ($job, $pid) = $stopped->(4943, '{}');
	write_file($rejects, 'theirs');
	run_sql('SELECT pg_advisory_unlock(4943)');
	wait_until_over($job);
	is(run_sql("SELECT status, error_code FROM kwdb_internal.jobs WHERE job_id = $job") . ' ' . slurp_file($rejects), 'failed|58P02 theirs', "$workers: a file of somebody else stays");
	unlink $rejects;
	# WITH revert = 'none', the records are kept with the rows, and RETRY does what is left.
	($job) = $stopped->(4943, '{"revert": "none"}');
	write_file($rejects, 'theirs');
	run_sql('SELECT pg_advisory_unlock(4943)');
	wait_until_over($job);
	is(run_sql("SELECT status, (SELECT count(*) FROM kwjobs.rejected) FROM kwdb_internal.jobs WHERE job_id = $job"), 'failed|10', "$workers: a failed job that keeps its rows keeps what it has left out");
	unlink $rejects;
	run_sql("SELECT kwjobs.retry($job)");
	$ends->($job, 'succeeded', 10, 'RETRY writes the file of all');
	# A CANCEL that the worker finds in the job's row when it ends the job: the rows stay, so the records do, too.
	# The coordinator stops meanwhile before it looks, as it would interrupt the worker before that.
	($job, $pid) = $stopped->(4944, '{"revert": "none"}');
	run_sql('SELECT pg_advisory_lock(4903)');
	run_sql("BEGIN; SELECT kwjobs.cancel($job); SELECT pg_advisory_unlock(4944)");
	wait_query($node, "SELECT EXISTS (SELECT FROM pg_locks WHERE pid = $pid AND locktype = 'transactionid' AND NOT granted)");
	run_sql('COMMIT');
	wait_query($node, "SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE pid = $pid AND backend_xid IS NOT NULL)");
	run_sql('SELECT pg_advisory_unlock(4903)');
	wait_until_over($job);
	is(run_sql("SELECT status, (SELECT count(*) FROM kwjobs.rejected) FROM kwdb_internal.jobs WHERE job_id = $job"), 'canceled|10', "$workers: so does one that is canceled at its end");
	is(-e $rejects ? 'there' : 'not there', 'not there', '... whose file is gone');
	run_sql("SELECT kwjobs.retry($job)");
	$ends->($job, 'succeeded', 10, 'RETRY after that');
	# The disk is full when the file is written.
	run_sql('SELECT pg_advisory_lock(4932)');
	$job = $create->('{"max_attempts": 1}');
	wait_until_over($job);
	is(run_sql("SELECT status, error_code FROM kwdb_internal.jobs WHERE job_id = $job"), 'failed|53100', "$workers: no space for the file");
	run_sql('SELECT pg_advisory_unlock(4932)');
	$ends->($job, 'failed', 0, 'the job is reverted');
}
# The administrator's setting holds when the job is created, and when it runs.
{
	mkdir "$dir/allowed" or die $!;
	symlink($dir, "$dir/allowed/link") or die $!;
	configure($node, 'kwjobs.data_directories', "$dir/allowed");
	rename "$dir/plain.csv", "$dir/allowed/plain.csv" or die $!;
	my $import = sub { return "SELECT kwjobs.import('plain', ARRAY['$dir/allowed/plain.csv'], NULL, '{\"on_error\": \"skip\", \"reject_file\": \"$_[0]\"}')" };
	for ([ $rejects, 'elsewhere' ], [ "$dir/allowed/link/rejected.csv", 'through a link' ])
	{
		my (undef, undef, $error) = $node->psql('postgres', $import->($_->[0]));
		like($error, qr/is not allowed in directory|symbolic link/, "a reject file $_->[1]");
	}
	my $job = run_sql($import->("$dir/allowed/rejected.csv"));
	wait_until_over($job);
	is(run_sql("SELECT status FROM kwdb_internal.jobs WHERE job_id = $job") . ' ' . (-s "$dir/allowed/rejected.csv" > 0), 'succeeded 1', 'one in an allowed directory');
	unlink "$dir/allowed/rejected.csv" or die $!;
	run_sql("SELECT kwjobs.hold('IMPORT')");
	$job = run_sql($import->("$dir/allowed/rejected.csv"));
	configure($node, 'kwjobs.data_directories', "$dir/allowed/nowhere");
	run_sql("SELECT kwjobs.release('IMPORT')");
	wait_until_over($job);
	like(run_sql("SELECT status, error FROM kwdb_internal.jobs WHERE job_id = $job"), qr/^failed\|IMPORT is not allowed/, '... and is not any more when the job runs');
	configure($node, 'kwjobs.data_directories');
}

# ---- the time of a batch ends it, too, while the worker looks for bad records ----
# The AFTER trigger refuses each record when COPY has read all of them, so the worker finds the first bad record
# by halving. Each try takes 2 ms at least, because the trigger sleeps, and a batch may take 1 ms. So each batch
# is over when the worker has found one record, however fast the machine is. There is no event to wait for
# instead: it is the time that the test is about.
{
	run_sql("ALTER DATABASE postgres SET kwjobs.import_batch_size = '64MB'");
	run_sql('ALTER DATABASE postgres SET kwjobs.import_batch_time = 1');
	run_sql(<<'END');
CREATE TABLE slow (n integer, filler text);
CREATE SEQUENCE tried;
CREATE FUNCTION try() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM nextval('public.tried'); RETURN NEW; END $$;
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(0.002); RAISE 'slow'; END $$;
CREATE TRIGGER try BEFORE INSERT ON slow FOR EACH ROW EXECUTE FUNCTION try();
CREATE TRIGGER refuse AFTER INSERT ON slow FOR EACH ROW EXECUTE FUNCTION refuse();
END
	write_file("$dir/slow.csv", join('', map { "$_," . 'x' x 500 . "\n" } 1 .. 60));
	my $job = run_sql("SELECT kwjobs.import('slow', ARRAY['$dir/slow.csv'], NULL, '{\"on_error\": \"skip\", \"reject_table\": \"imported.rejected\"}')");
	wait_until_over($job);
	is(run_sql("SELECT concat_ws(' ', status, result->>'rejected') FROM kwdb_internal.jobs WHERE job_id = $job"), 'succeeded 60', 'a slow search');
	is(run_sql('SELECT count(DISTINCT xmin::text) FROM imported.rejected'), 60, '... is committed in as many batches as there are bad records');
	# If each batch read all records that are left, that would be 60 + 59 + 58 + ... of them, and the halves.
	cmp_ok(run_sql('SELECT last_value FROM tried'), '<', 1000, '... each of which reads no more than the one before has come to');
	forget();
	# The number of subtransactions ends the batches. The next batch is as small as what the last one came to, as well.
	run_sql('ALTER DATABASE postgres SET kwjobs.import_batch_time = 0');
	run_sql("CREATE OR REPLACE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS \$\$ BEGIN IF NEW.n % 20 = 0 THEN RAISE 'bad'; END IF; RETURN NULL; END \$\$");
	run_sql("SELECT setval('tried', 1, false)");
	write_file("$dir/slow.csv", join('', map { "$_,xxxx\n" } 1 .. 10000));
	$job = run_sql("SELECT kwjobs.import('slow', ARRAY['$dir/slow.csv'], NULL, '{\"on_error\": \"skip\"}')");
	wait_until_over($job);
	is(run_sql("SELECT concat_ws(' ', status, result->>'rejected') FROM kwdb_internal.jobs WHERE job_id = $job"), 'succeeded 500', 'many bad records');
	# There are 111,000 tries. Without the smaller batches, there would be 426,000.
	cmp_ok(run_sql('SELECT last_value FROM tried'), '<', 200000, '... and nothing is read in vain again and again');
	run_sql('ALTER DATABASE postgres RESET kwjobs.import_batch_time');
}

quit_session();
$node->stop;
done_testing();
