# An IMPORT that several workers carry ends in what COPY makes of the same files, however they are
# cut and whatever happens on the way: the same rows, or the same error in the same line. KWJ_SEED
# repeats a run, KWJ_SEED=random makes other files in each run.

use strict;
use warnings;

use Cwd qw(abs_path);
use FindBin;
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

my $node = new_node('import_parts', <<'EOF', extra => [ '--no-locale', '--encoding=UTF8' ]);
fsync = off
kwjobs.max_workers = 4
max_connections = 40
autovacuum = off
EOF
my $dir = abs_path($node->basedir);

begin_session($node);

# The gate is no obstacle for several workers, because its function says that it is IMMUTABLE.
run_sql("$csv_tables ALTER FUNCTION gate() IMMUTABLE");

sub set_batch { return run_sql("ALTER DATABASE postgres SET kwjobs.import_batch_size = '$_[0]'") }

sub open_all
{
	run_sql('SELECT pg_advisory_unlock_all()');
	run_sql('TRUNCATE gates');
	return;
}

# Starts an import by $workers workers at most.
sub import_by
{
	my ($workers, $table, $files, $options, $more) = @_;
	my $list = text_array(ref $files ? @$files : $files);
	$options //= q('{}');
	return run_sql("SELECT kwjobs.import('$table', $list, NULL, ${options}::jsonb || '{\"thread_concurrency\": $workers}'"
		  . ($more ? "::jsonb || '$more'" : '') . ')');
}

sub wait_for_parts_at { my ($job, @gates) = @_; at_gate($job, $_) for @gates; return; }

sub parts_of { return run_sql("SELECT count(*) FROM kwjobs.running WHERE job_id = $_[0]") }

sub forget { run_sql('TRUNCATE imported.t, copied.t'); open_all(); return; }

# Imports and copies these files. Returns what COPY and IMPORT said, and what was done to the job.
sub import_and_copy
{
	my ($d, $workers, $disturbances, @files) = @_;
	my $list = text_array(@files);
	my @gates = sort { $a <=> $b } keys %$disturbances;
	my $copied = run_sql("SELECT copy_files('copied.t', $list, " . literal(copy_options($d)) . ')');

	set_batch($d->{batch});
	close_at(@gates);
	run_sql('ALTER TABLE imported.t ' . (@gates ? 'ENABLE' : 'DISABLE') . ' TRIGGER gate');
	my $job = import_by($workers, 'imported.t', \@files, import_options($d));
	my $done = join('', map { ' ' . disturb($job, $_, $disturbances->{$_}) } @gates);
	wait_until_over($job);
	return ($copied, error_of($job), end_of($job), $done, $job);
}

sub is_good
{
	my ($copied, $imported, $end) = @_;
	my $rows = run_sql('SELECT count(*) FROM copied.t');
	return $copied eq '' && $imported eq '' && $end eq "succeeded|$rows" && run_sql('SELECT compare()') eq "$rows 0 0";
}

# ---- random files, random cuts, random faults ----
my %seen;
for my $i (1 .. $cases)
{
	srand($seed + $i);
	my $d = random_dialect();
	$d->{batch} = pick('1kB', '1kB', '2kB', '64kB');
	my ($records, @contents) = random_files($d);
	my @files = map { "$dir/good$_.csv" } 1 .. @contents;
	write_file($files[$_], $contents[$_]) for 0 .. $#contents;
	my %disturbances;
	if ($records > 0)
	{
		$disturbances{ between(1, $records) } = pick(qw(pause terminate terminate)) for 1 .. pick(0, 1, 2, 2);
		$disturbances{$records} = 'cancel' if rand() < 0.15;
	}
	# A record that is skipped comes to no gate.
	$d->{skip} = 0 if %disturbances;
	my $canceled = grep { $_ eq 'cancel' } values %disturbances;
	run_sql("INSERT INTO imported.t VALUES (-1, 'there before')") if $canceled;

	my ($copied, $imported, $end, $done) = import_and_copy($d, pick(2, 2, 3, 4), \%disturbances, @files);
	$seen{$_}++ for split(' ', $done);
	my $good;
	if ($end =~ /^canceled/)
	{
		$good = $imported eq '' && run_sql('SELECT n FROM imported.t') eq '-1';
	}
	else
	{
		run_sql('DELETE FROM imported.t WHERE n = -1');
		$good = is_good($copied, $imported, $end);
	}
	ok($good, "random files $i: $records records,$done")
	  or diag(describe_case($seed, $d, $i), "\nCOPY: $copied\nIMPORT: $imported, $end\n", run_sql('SELECT compare()'));
	forget();
}
note('disturbed by: ' . join(', ', map { "$_ $seen{$_}" } sort keys %seen));

# ---- damaged files: the first error in the order of the files ----
my %errors;
for my $i (1 .. $cases)
{
	srand($seed + 1000 + $i);
	my $d = random_dialect();
	$d->{batch} = pick('1kB', '1kB', '2kB');
	my ($records, @contents) = random_files($d);
	my @files = map { "$dir/damaged$_.csv" } 1 .. @contents;
	write_file($files[$_], damage($d, damage($d, $contents[$_]))) for 0 .. $#contents;

	my ($copied, $imported, $end) = import_and_copy($d, pick(2, 3, 4), {}, @files);
	my $good = ends_as_copy(\&run_sql, $d, $copied, $imported, $end);
	$errors{ $copied eq '' ? 'none' : (split(/\|/, $copied))[0] }++;
	ok($good, "damaged files $i: " . ($copied =~ s/\|[^|]*$//r || 'none'))
	  or diag(describe_case($seed, $d, 1000 + $i), "\nCOPY:   $copied\nIMPORT: $imported, $end");
	forget();
}

# A file that cannot be imported is no error before one in the files before it.
for my $line ('x,a,b', '5,a,b')
{
	my @files = ("$dir/before.csv", "$dir/replaced.csv");
	my @errors;
	for my $workers (1, 3)
	{
		write_file($files[0], join('', map { $_ == 5 ? "$line\n" : "$_,a,b\n" } 1 .. 9));
		write_file($files[1], "10,a,b\n");
		run_sql('BEGIN');
		my $job = import_by($workers, 'imported.t', \@files);
		write_file($files[1], "\x1f\x8b\x08" . "\0" x 20);
		run_sql('COMMIT');
		wait_until_over($job);
		push @errors, error_of($job);
		is(end_of($job), 'failed|0', "a compressed file after a record $line, $workers workers: nothing is left");
	}
	like($errors[0], $line =~ /x/ ? qr/^22P02.*\|5\|n\|.*before/ : qr/compressed/, '... the first error');
	is($errors[1], $errors[0], '... is the same by several workers');
}

# ---- header = 'match': each part finds the columns of each file anew, also after it has died ----
for my $header ('match', 'skip')
{
	my @columns = $header eq 'match' ? ([ 1, 2, 0 ], [ 2, 1, 0 ]) : ([ 0, 1, 2 ], [ 0, 1, 2 ]);
	my @names = $header eq 'match' ? ('n', 'a', 'b') : ("x\n\n", 'x"', 'x');
	my @files = map { "$dir/header$_.csv" } 0, 1;
	for my $i (0, 1)
	{
		my @order = @{ $columns[$i] };
		my @lines = join(',', map { '"' . ($_ =~ s/"/""/gr) . '"' } @names[@order]);
		for my $n ($i * 1500 + 1 .. $i * 1500 + 1500)
		{
			push @lines, join(',', ($n, "a$n", "b$n")[@order]);
		}
		write_file($files[$i], join('', map { "$_\n" } @lines));
	}
	my $options = literal("{\"header\": \"$header\"}");
	set_batch('1kB');
	close_at(1000, 2500);
	run_sql('ALTER TABLE imported.t ENABLE TRIGGER gate');
	my $job = import_by(3, 'imported.t', \@files, $options);
	wait_for_parts_at($job, 1000, 2500);
	cmp_ok(parts_of($job), '>=', 2, "header = $header: several parts import");
	is(disturb($job, 1000, 'terminate'), 'terminate', '... one of them dies in the middle of a file');
	isnt(at_gate($job, 2500), '', '... and the server in the middle of another one');
	crash();
	wait_until_over($job);
	is(end_of($job), 'succeeded|3000', '... and the import succeeds');
	is(run_sql("SELECT count(*), sum(n) FROM imported.t WHERE a = 'a' || n AND b = 'b' || n"), '3000|4501500',
		'... with each field in its column, and each row once');
	forget();

	# a bad value in the second file; a header of several lines counts as such
	my $lines = slurp_file($files[1]);
	$lines =~ s/\b2200\b/x/;
	write_file($files[1], $lines);
	$job = import_by(3, 'imported.t', \@files, $options);
	wait_until_over($job);
	my $line = 2200 - 1500 + ($header eq 'match' ? 1 : 3);
	is(error_of($job), "22P02|invalid input syntax for type integer: \"x\"|$line|n|$files[1]", '... and an error has the right place');
	is(run_sql('SELECT count(*) FROM imported.t'), '0', '... and nothing is left');
	forget();
}

# ---- the same key twice: the second record is refused, whichever comes first ----
run_sql("ALTER TABLE $_.t ADD CONSTRAINT key UNIQUE (n)") for qw(imported copied);
my $replayed = 0;
for my $i (1 .. $cases)
{
	srand($seed + 2000 + $i);
	my $d = random_dialect();
	$d->{batch} = '1kB';
	$d->{skip} = 0;
	my @keys = 1 .. between(50, 900);
	$keys[ int(rand(@keys)) ] = $keys[ int(rand(@keys)) ] for 1 .. pick(1, 1, 2, 5);
	# COPY does not know from the first record on how lines end, and counts those within it wrongly.
	write_file("$dir/keys.csv", join($d->{delimiter}, 0, 'first', 'line') . $d->{line_end} . join('', map { join($d->{delimiter}, $_, random_field($d), random_field($d)) . $d->{line_end} } @keys));

	my ($copied, $imported, $end, undef, $job) = import_and_copy($d, pick(2, 3, 4), {}, "$dir/keys.csv");
	my $good = $copied eq ''
	  ? is_good($copied, $imported, $end)
	  : with_first_line($d, $copied) eq $imported && $end =~ /^failed/ && run_sql('SELECT count(*) FROM imported.t') eq '0';
	$errors{ $copied eq '' ? 'none' : (split(/\|/, $copied))[0] }++;
	ok($good, "keys $i: " . ($copied =~ s/\|[^|]*$//r || 'none'))
	  or diag(describe_case($seed, $d, 2000 + $i), "\nCOPY:   $copied\nIMPORT: $imported, $end");
	forget();
}
note('errors: ' . join(', ', map { "$_ $errors{$_}" } sort keys %errors));

# A later piece is committed before the first record with the key. The first error is that of the
# second record, or another one before it.
sub keyed_file
{
	my (%lines) = @_;
	my @lines = map { "$_,a,b" } 1 .. 2000;
	$lines[ $_ - 1 ] = $lines{$_} for keys %lines;
	write_file("$dir/late.csv", join('', map { "$_\n" } @lines));
	return "$dir/late.csv";
}

for my $case ([ { 1500 => '100,a,b' }, "23505|duplicate key value violates unique constraint \"key\"|1500|none" ],
	[ { 1500 => '100,a,b', 140 => 'x,a,b' }, "22P02|invalid input syntax for type integer: \"x\"|140|n" ],
	[ { 1500 => '100,a,b', 1400 => '1300,a,b' }, "23505|duplicate key value violates unique constraint \"key\"|1400|none", 'has failed' ],
	# in the same batch, which is rolled back before the first record with the key comes
	[ { 1500 => '100,a,b', 1502 => '1501,a,b' }, "23505|duplicate key value violates unique constraint \"key\"|1500|none", 'has failed' ])
{
	my ($lines, $error, $failed) = @$case;
	my $path = keyed_file(%$lines);
	set_batch('1kB');
	close_at(90);
	run_sql('ALTER TABLE imported.t ENABLE TRIGGER gate');
	my $job = import_by(2, 'imported.t', $path);
	at_gate($job, 90);
	wait_until($failed ? "EXISTS (SELECT FROM kwjobs.piece WHERE job_id = $job AND error IS NOT NULL)" : 'EXISTS (SELECT FROM imported.t WHERE n > 1600)');
	is(run_sql('SELECT count(*) FROM imported.t WHERE n = 100'), $failed ? '0' : '1', 'a later piece ' . ($failed // 'has the key, and is committed first'));
	open_at(90);
	wait_until_over($job);
	is(error_of($job), "$error|$path", '... and the error is that of COPY');
	is(run_sql('SELECT count(*) FROM imported.t'), '0', '... and nothing is left');
	forget();
}

# If the files cannot be read once more to find the first error in their order, the error that the
# job has met stands.
{
	my $path = "$dir/shrinking.csv";
	write_file($path, join('', map { ($_ == 1990 ? 100 : $_) . ',' . 'a' x 300 . ",b\n" } 1 .. 2000));
	# Part 0 plans all of the ten pieces at once.
	set_batch('16kB');
	close_at(90);
	my $job = import_by(2, 'imported.t', $path);
	at_gate($job, 90);
	wait_until('EXISTS (SELECT FROM imported.t WHERE n = 2000)');
	close_at(1440);
	open_at(90);
	ok(at_gate($job, 1440), 'the records after the error are read again');
	truncate($path, 1500 * 300) or die "could not truncate $path: $!";
	open_at(1440);
	wait_until_over($job);
	is(error_of($job), "23505|duplicate key value violates unique constraint \"key\"|100|none|$path", '... a file that was truncated does not hide the error of the record');
	is(run_sql('SELECT count(*) FROM imported.t'), '0', '... and nothing is left');
	forget();
}

# Two parts insert the same two keys in different order, and wait for each other. PostgreSQL ends one
# of them, which goes on afterwards.
{
	run_sql(<<'EOF');
CREATE FUNCTION gate_of_text() RETURNS trigger IMMUTABLE LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock_shared(4711, NEW.a::integer);
    RETURN NEW;
END $$;
ALTER TABLE imported.t DISABLE TRIGGER gate;
CREATE TRIGGER gate_of_text BEFORE INSERT ON imported.t FOR EACH ROW WHEN (NEW.a <> '0') EXECUTE FUNCTION gate_of_text();
EOF
	# Two records are a batch, and eight are a piece.
	my %lines = (1 => '1,0,', 2 => '500,1001,', 9 => '500,0,', 10 => '1,1002,');
	my @lines = map { $lines{$_} // ($_ + 1000) . ',0,' } 1 .. 16;
	my $path = "$dir/deadlock.csv";
	write_file($path, join('', map { $_ . 'x' x (511 - length($_)) . "\n" } @lines));
	set_batch('1kB');
	close_at(1001, 1002);
	my $job = import_by(2, 'imported.t', $path);
	wait_for_parts_at($job, 1001, 1002);
	my $log = -s $node->logfile;
	open_at(1001, 1002);
	wait_until_over($job);
	$node->wait_for_log(qr/deadlock detected/, $log);
	is(error_of($job), "23505|duplicate key value violates unique constraint \"key\"|9|none|$path", 'parts that wait for each other: the error is that of COPY');
	is(run_sql("SELECT count(*) FROM kwdb_internal.job_attempts WHERE job_id = $job AND NOT reverting"), '1', '... in one attempt');
	run_sql('DROP TRIGGER gate_of_text ON imported.t');
	forget();
}
run_sql("ALTER TABLE $_.t DROP CONSTRAINT key") for qw(imported copied);

# ---- PAUSE and RESUME: no record is imported again, and the progress is kept ----
my $many = 20000;
my $rows = write_csv($node, $many);
run_sql("CREATE TABLE imported.rows (n integer, t text)");
run_sql("CREATE TRIGGER gate BEFORE INSERT ON imported.rows FOR EACH ROW EXECUTE FUNCTION gate()");
set_batch('4kB');
sub count_rows { return run_sql('SELECT count(*), count(DISTINCT n), min(n), max(n) FROM imported.rows'); }
my $all = "$many|$many|1|$many";

{
	close_at(9000, 12000);
	my $job = import_by(2, 'imported.rows', $rows);
	wait_for_parts_at($job, 9000, 12000);
	is(parts_of($job), '2', 'two workers import');
	like(job_field($node, $job, 'running_status'), qr{^imported \d+ rows, 0 MB of 0 MB, \d+ rows/s, 2 workers;}, '... as running_status says');
	# Each look finds both of them at their gates.
	my @found = map { job_field($node, $job, 'running_status') =~ /; of (\d+) looks at a worker, .*\b(\d+)(?: found it waiting)? for advisory\b/ } 1, 2;
	is_deeply([ $found[2] - $found[0], $found[3] - $found[1] ], [ 2, 2 ], '... and what looks have found them waiting for');
	my ($fraction, $seen_rows) = split(/\|/, job_field($node, $job, 'fraction_completed, rows'));
	cmp_ok($fraction, '>', 0.3, '... with their progress');
	cmp_ok($fraction, '<', 0.7, '... of both');
	cmp_ok($seen_rows, '>=', 7000, '... in rows, too');
	run_sql("SELECT kwjobs.pause($job)");
	open_at(9000, 12000);
	wait_for_status($node, $job, 'paused');
	my $paused = run_sql('SELECT count(*) FROM imported.rows');
	is(job_field($node, $job, 'rows'), $paused, 'PAUSE keeps what was imported');
	cmp_ok(job_field($node, $job, "abs(fraction_completed - $paused / $many.0)"), '<', 0.05, '... and its progress');
	run_sql('CREATE TABLE before AS SELECT n, xmin::text AS x FROM imported.rows');
	run_sql("SELECT kwjobs.resume($job)");
	wait_until_over($job);
	is(end_of($job) . ' ' . count_rows(), "succeeded|$many $all", 'RESUME imports the rest');
	is(run_sql('SELECT count(*) FROM imported.rows AS r JOIN before AS b ON b.n = r.n AND b.x = r.xmin::text'), $paused, '... and nothing again');
	is(run_sql("SELECT count(*) FROM kwjobs.piece WHERE job_id = $job"), '0', '... and leaves no pieces');
	run_sql('DROP TABLE before; TRUNCATE imported.rows');
	open_all();
}

# ---- kill -9 ----
# At the gates, all that was committed before is flushed. It is not imported again.
my @victims = (map { [ "part $_", "SELECT pid FROM kwjobs.running WHERE part = $_" ] } 0, 1);
push @victims, [ $_, "SELECT pid FROM pg_stat_activity WHERE backend_type = 'kwjobs $_'" ] for qw(coordinator launcher);
push @victims, [ 'postmaster', undef ];
for my $victim (@victims)
{
	my ($name, $query) = @$victim;
	close_at(9000, 12000);
	my $job = import_by(2, 'imported.rows', $rows, undef, '{"retry_initial_delay": "1 ms"}');
	wait_for_parts_at($job, 9000, 12000);
	run_sql('CREATE TABLE before AS SELECT n, xmin::text AS x FROM imported.rows');
	my $committed = run_sql('SELECT count(*) FROM before');
	cmp_ok($committed, '>', 5000, 'many rows are committed');
	my $pid = defined $query ? run_sql($query) : undef;
	crash($pid);
	wait_until_over($job);
	is(end_of($job) . ' ' . count_rows(), "succeeded|$many $all", "kill -9 of $name: each record is imported once");
	is(run_sql('SELECT count(*) FROM imported.rows AS r JOIN before AS b ON b.n = r.n AND b.x = r.xmin::text'), $committed, '... and none again that was committed');
	run_sql('DROP TABLE before; TRUNCATE imported.rows');
	open_all();
}

# How much a kill -9 loses: of each part less than two seconds of work. The trigger sleeps for 5 ms a
# record, so that time ends the batches (kwjobs.import_batch_time), long before their size does. There is
# no event to wait for instead: it is the time that the test is about.
{
	run_sql(<<'EOF');
CREATE FUNCTION slow() RETURNS trigger IMMUTABLE LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(0.005); RETURN NEW; END $$;
CREATE TRIGGER slow BEFORE INSERT ON imported.rows FOR EACH ROW EXECUTE FUNCTION slow();
EOF
	set_batch('16kB');
	my $job = import_by(2, 'imported.rows', $rows, undef, '{"retry_initial_delay": "1 ms"}');
	wait_until("(SELECT rows >= 1500 FROM kwdb_internal.jobs WHERE job_id = $job)");
	is(parts_of($job), '2', 'two workers import slowly');
	# What is shown has what the parts have not committed yet.
	my $done = job_field($node, $job, 'rows');
	my $pid = run_sql("SELECT pid FROM kwjobs.running WHERE job_id = $job AND part = 1");
	run_sql("SELECT kwjobs.hold('IMPORT')");
	crash($pid);
	my $kept = run_sql('SELECT count(*) FROM imported.rows');
	cmp_ok($done - $kept, '<=', 2 * 2 / 0.005, "kill -9 loses less than two seconds of each part ($kept of $done rows are kept)");
	run_sql('ALTER TABLE imported.rows DISABLE TRIGGER slow');
	run_sql("SELECT kwjobs.release('IMPORT')");
	wait_until_over($job);
	is(end_of($job) . ' ' . count_rows(), "succeeded|$many $all", '... and the next attempt imports the rest');
	run_sql('TRUNCATE imported.rows; DROP TRIGGER slow ON imported.rows');
	set_batch('4kB');
}

# A crash empties an unlogged table: the job does not go on as if its rows were there.
{
	run_sql('CREATE UNLOGGED TABLE imported.unlogged (n integer, t text)');
	run_sql('CREATE TRIGGER gate BEFORE INSERT ON imported.unlogged FOR EACH ROW EXECUTE FUNCTION gate()');
	close_at(9000, 12000);
	my $job = import_by(2, 'imported.unlogged', $rows, undef, '{"retry_initial_delay": "1 ms"}');
	wait_for_parts_at($job, 9000, 12000);
	my $pid = run_sql("SELECT pid FROM kwjobs.running WHERE job_id = $job AND part = 1");
	# A batch does not wait for the disk. If none was flushed, the job would rightly begin anew.
	run_sql('CHECKPOINT');
	crash($pid);
	wait_until_over($job);
	is(job_field($node, $job, 'status, error_code, error'), 'failed|55000|rows imported so far are no longer there', 'a crash that empties the table fails the job');
	open_all();
}

# A stop of the server waits for the batches, so nothing is read twice.
{
	my $job = import_by(2, 'imported.rows', $rows);
	wait_until("(SELECT count(*) > 2000 FROM imported.rows) OR (SELECT finished IS NOT NULL FROM kwdb_internal.jobs WHERE job_id = $job)");
	quit_session();
	$node->restart;
	connect_session();
	wait_until_over($job);
	is(end_of($job) . ' ' . count_rows(), "succeeded|$many $all", 'a stop and a start: each record is imported once');
	is(job_field($node, $job, 'crashes'), '0', '... and no crash counts');
	run_sql('TRUNCATE imported.rows');
}

# ---- revert ----
{
	run_sql(<<'EOF');
CREATE TABLE imported.parted (n integer, t text) PARTITION BY RANGE (n);
CREATE TABLE imported.low PARTITION OF imported.parted FOR VALUES FROM (MINVALUE) TO (8000);
CREATE TABLE imported.high PARTITION OF imported.parted FOR VALUES FROM (8000) TO (11000);
CREATE TABLE imported.top (n integer, t text);
CREATE TRIGGER gate BEFORE INSERT ON imported.parted FOR EACH ROW EXECUTE FUNCTION gate();
INSERT INTO imported.parted SELECT -n, 'before' FROM generate_series(1, 10) AS n;
INSERT INTO imported.top VALUES (15000, 'before');
EOF
	close_at(9000, 10000);
	my $job = import_by(2, 'imported.parted', $rows);
	wait_for_parts_at($job, 9000, 10000);
	$node->safe_psql('postgres', q{INSERT INTO imported.parted VALUES (-100, 'meanwhile')});
	is(parts_of($job), '2', 'two workers import into partitions');
	# Each part commits a batch before it sees the new partition.
	run_sql("SELECT kwjobs.pause($job)");
	open_at(9000, 10000);
	wait_for_status($node, $job, 'paused');
	run_sql('ALTER TABLE imported.parted ATTACH PARTITION imported.top FOR VALUES FROM (11000) TO (MAXVALUE)');
	run_sql('DELETE FROM gates');
	close_at(19000);
	run_sql("SELECT kwjobs.resume($job)");
	at_gate($job, 19000);
	wait_until('EXISTS (SELECT FROM imported.top WHERE n = 18000)');
	run_sql("SELECT kwjobs.cancel($job)");
	wait_until_over($job);
	is(job_field($node, $job, 'status'), 'canceled', 'CANCEL of both');
	is(run_sql("SELECT count(*), string_agg(DISTINCT t, ',') FROM imported.parted"), '12|before,meanwhile',
		'... removes exactly what they have imported, also from a partition that came later');
	open_all();
	run_sql("SELECT kwjobs.retry($job)");
	wait_until_over($job);
	is(end_of($job), "succeeded|$many", 'RETRY begins anew');
	is(run_sql("SELECT count(*) FROM imported.parted"), $many + 12, '... with all of it');
}

# ---- tables that need the order ----
{
	my $small = write_csv($node, 500);
	run_sql(<<'EOF');
CREATE FUNCTION any_trigger() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$;
CREATE FUNCTION any_check(integer) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RETURN true; END $$;
CREATE FUNCTION row_trigger() RETURNS trigger IMMUTABLE LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$;
CREATE DOMAIN checked AS integer CHECK (any_check(VALUE));
CREATE DOMAIN of_checked AS checked;
CREATE TYPE with_checked AS (n integer, a of_checked[]);
CREATE SEQUENCE numbers;
CREATE TABLE imported.other (n integer PRIMARY KEY);
EOF
	my %needs = (
		'trigger statement' => 'CREATE TABLE X (n integer, t text); CREATE TRIGGER statement AFTER INSERT ON X EXECUTE FUNCTION any_trigger()',
		'trigger of_row' => 'CREATE TABLE X (n integer, t text); CREATE TRIGGER of_row AFTER INSERT ON X FOR EACH ROW EXECUTE FUNCTION any_trigger()',
		'default of column number' => "CREATE TABLE X (n integer, t text, number integer DEFAULT nextval('numbers'))",
		'default of column id' => 'CREATE TABLE X (n integer, t text, id integer GENERATED ALWAYS AS IDENTITY)',
		'constraint looks' => 'CREATE TABLE X (n integer CONSTRAINT looks CHECK (any_check(n)), t text)',
		'domain of column n' => 'CREATE TABLE X (n checked, t text)',
		'domain of column list' => 'CREATE TABLE X (n integer, t text, list checked[])',
		'domain of column pair' => 'CREATE TABLE X (n integer, t text, pair with_checked)',
		'trigger conditional' => 'CREATE TABLE X (n integer, t text);
			CREATE TRIGGER conditional BEFORE INSERT ON X FOR EACH ROW WHEN (any_check(NEW.n)) EXECUTE FUNCTION row_trigger()',
		'trigger of_replica' => 'CREATE TABLE X (n integer, t text); CREATE TRIGGER of_replica AFTER INSERT ON X FOR EACH ROW EXECUTE FUNCTION any_trigger();
			ALTER TABLE X ENABLE REPLICA TRIGGER of_replica; ALTER ROLE postgres SET session_replication_role = replica',
		'exclusion constraint apart' => "CREATE TABLE X (n integer, t text, CONSTRAINT apart EXCLUDE USING btree (n WITH =))",
		'a foreign key refers to the table itself' => 'CREATE TABLE X (n integer PRIMARY KEY, t text, of integer REFERENCES X)',
		'' => 'CREATE TABLE X (n integer PRIMARY KEY, t text CHECK (length(t) > 0), u uuid DEFAULT gen_random_uuid(), at timestamptz DEFAULT now(),
			o integer REFERENCES imported.other); CREATE TRIGGER off AFTER INSERT ON X EXECUTE FUNCTION any_trigger(); ALTER TABLE X DISABLE TRIGGER off',
		'trigger of_partition' => 'CREATE TABLE X (n integer, t text) PARTITION BY RANGE (n); CREATE TABLE imported.part PARTITION OF X DEFAULT;
			CREATE TRIGGER of_partition BEFORE INSERT ON imported.part FOR EACH ROW EXECUTE FUNCTION any_trigger()');
	set_batch('1kB');
	for my $why (sort keys %needs)
	{
		run_sql('DROP TABLE IF EXISTS imported.x');
		run_sql($needs{$why} =~ s/\bX\b/imported.x/gr);
		run_sql('CREATE TRIGGER a_gate BEFORE INSERT ON imported.x FOR EACH ROW EXECUTE FUNCTION gate(); ALTER TABLE imported.x ENABLE ALWAYS TRIGGER a_gate');
		close_at(100, 400);
		my $job = run_sql("SELECT kwjobs.import('imported.x', ARRAY['$small'], ARRAY['n', 't'], '{\"thread_concurrency\": 3}')");
		at_gate($job, 100);
		if ($why eq '')
		{
			at_gate($job, 400);
			cmp_ok(parts_of($job), '>=', 2, 'what does not depend on the order: several workers');
		}
		else
		{
			wait_for_pass($node);
			is(parts_of($job), '1', "$why: one worker");
			like(job_field($node, $job, 'running_status'), qr/, 1 worker: \Q$why\E$/, '... and running_status says why');
		}
		open_all();
		wait_until_over($job);
		is(end_of($job), 'succeeded|500', '... and all is imported');
		run_sql('ALTER ROLE postgres RESET session_replication_role');
	}
}

# ---- how many workers ----
{
	my $large = "$dir/large.csv";
	my $record = '1,' . 'x' x 1000 . "\n";
	write_file($large, $record x 70000);
	my $workers = sub { return run_sql("SELECT payload ->> 'workers' FROM kwjobs.job WHERE job_id = $_[0]") };
	my $create = sub { return run_sql("SELECT kwjobs.import('imported.rows', ARRAY['$_[0]'], NULL, '{\"run_at\": \"tomorrow\"$_[1]}')") };
	my $processors = `getconf _NPROCESSORS_ONLN`;
	is($workers->($create->($large, '')), $processors > 1 ? '2' : '', 'a file of 70 MB is for two workers, if there are as many processors');
	is($workers->($create->($large, ', "thread_concurrency": 1')), '', '... unless it is to be one');
	is($workers->($create->($large, ', "thread_concurrency": "7"')), '7', '... or more');
	is($workers->($create->($rows, '')), '', 'a small file is for one worker');
	for my $bad ('0', '-1', '1025', '"x"', '""', '1.5')
	{
		my (undef, undef, $error) = $node->psql('postgres', "SELECT kwjobs.import('imported.rows', ARRAY['$rows'], NULL, '{\"thread_concurrency\": $bad}')");
		like($error, qr/invalid value for IMPORT option "thread_concurrency".*HINT:  Give the number of workers/s, "thread_concurrency = $bad is refused");
	}
}

# ---- workers for other jobs ----
{
	my $set_workers = sub { configure($node, 'kwjobs.max_workers', $_[0]) };
	my $path = "$dir/long.csv";
	# Ten records are a batch, and forty are a piece.
	write_file($path, join('', map { "$_," . 'x' x (100 - length($_)) . "\n" } 1 .. 10000));
	run_sql('TRUNCATE imported.rows');
	set_batch('1kB');
	close_at(5, 45, 80);
	$set_workers->(1);
	my $job = import_by(1024, 'imported.rows', $path);
	at_gate($job, 5);
	cmp_ok(run_sql("SELECT count(*) FROM kwjobs.piece WHERE job_id = $job"), '<', 100, 'part 0 does not scan all files before it imports, although 1024 workers could');
	$set_workers->(2);
	at_gate($job, 45);
	my $other = run_sql("SELECT kwjobs.submit('SELECT 1')");
	wait_for_pass($node);
	open_at(45);
	my $is_over = "(SELECT finished IS NOT NULL FROM kwdb_internal.jobs WHERE job_id = $other)";
	wait_until("$is_over OR EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted AND classid = 4711 AND objid = 80)");
	is(run_sql("SELECT $is_over"), 't', 'a job that waits for a worker gets one that has ended its batch, not its piece');
	open_all();
	wait_until_over($job);
	is(end_of($job), 'succeeded|10000', '... and nothing is lost or imported twice');
	is(count_rows(), '10000|10000|1|10000', '... in the table');
	$set_workers->(4);
}

# ---- remarks, many small files, a file that changes ----
{
	set_batch('1kB');
	my @files = map { write_file("$dir/many$_.csv", "n,t\n" . join('', map { "$_,x\n" } 1 .. ($_ % 3 ? 40 : 0))); "$dir/many$_.csv" } 1 .. 60;
	write_file("$dir/many7.csv", "n,t\n\"1\",\"x\ny\"\n2,z");
	write_file("$dir/many30.csv", "n");
	run_sql('TRUNCATE imported.rows');
	my $job = import_by(3, 'imported.rows', \@files, undef, '{"skip": 1}');
	wait_until_over($job);
	is(end_of($job), 'succeeded|' . (39 * 40 + 2), 'many small files share pieces');
	my $job2 = import_by(3, 'imported.rows', \@files, undef, '{"skip": 2}');
	wait_until_over($job2);
	like(run_sql("SELECT string_agg(message, ' ') FROM kwjobs.messages($job2)"), qr/many30\.csv" is imported: it has fewer lines \(1\)/, 'remarks about skipped lines are messages of the job');

	run_sql('TRUNCATE imported.rows');
	my $copy = "$dir/changing.csv";
	write_file($copy, slurp_file($rows));
	close_at(9000);
	$job = import_by(2, 'imported.rows', $copy);
	at_gate($job, 9000);
	append_to_file($copy, "30000,x\n");
	open_all();
	wait_until_over($job);
	is(job_field($node, $job, 'status, error_code'), 'failed|55000', 'a file that changes fails the job');
	is(run_sql('SELECT count(*) FROM imported.rows'), '0', '... and nothing is left');
}

quit_session();
is_consistent($node);
$node->stop;
done_testing();
