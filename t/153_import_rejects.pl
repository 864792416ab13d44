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
		  . "::jsonb || '{\"thread_concurrency\": $workers, \"on_error\": \"skip\", \"reject_table\": \"imported.rejected\"}' || '$more')");
	disturb($job, $gate, $disturbance) if $disturbance;
	wait_until_over($job);
	return $job;
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
	run_sql('TRUNCATE imported.t, imported.rejected, copied.t, copied.rejected, gates');
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
		$good = run_sql('SELECT count(*) + (SELECT count(*) FROM imported.rejected) FROM imported.t') eq '0';
		$seen{canceled}++;
	}
	else
	{
		$good = $end eq qq(succeeded|{"rows": $rows, "rejected": $rejected, "reject_table": "imported.rejected"})
		  && $rows + $rejected == $n && run_sql('SELECT compare()') eq '0 0 0 0';
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
	ok($limit < $rejected ? $end eq 'failed' && $error eq $first && $left == 0 : $end eq 'succeeded' && $left == $n,
		"limit $i: $limit of $rejected, $disturbance")
	  or diag(describe_case($seed, $d, 1000 + $i), "\n$end $left\nCOPY: $first\nIMPORT: $error ", run_sql(job_error($job)));
	$ended{$end}++;
	forget();
}
cmp_ok($ended{$_}, '>', $cases / 10, "many jobs have $_") for qw(failed succeeded);

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

# ---- the time of a batch ends it, too, while it looks for bad records ----
# Each try of records takes longer than a batch may. The constraint is checked when all of them are read, so
# the first bad record is found by halving. A batch has come to one record then.
{
	run_sql("ALTER DATABASE postgres SET kwjobs.import_batch_size = '64MB'");
	run_sql('ALTER DATABASE postgres SET kwjobs.import_batch_time = 10');
	run_sql(<<'END');
CREATE TABLE slow (n integer, filler text);
CREATE SEQUENCE tried;
CREATE FUNCTION try() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM nextval('public.tried'); RETURN NEW; END $$;
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(0.02); RAISE 'slow'; END $$;
CREATE TRIGGER try BEFORE INSERT ON slow FOR EACH ROW EXECUTE FUNCTION try();
CREATE TRIGGER refuse AFTER INSERT ON slow FOR EACH ROW EXECUTE FUNCTION refuse();
END
	write_file("$dir/slow.csv", join('', map { "$_," . 'x' x 500 . "\n" } 1 .. 60));
	my $job = run_sql("SELECT kwjobs.import('slow', ARRAY['$dir/slow.csv'], NULL, '{\"on_error\": \"skip\", \"reject_table\": \"imported.rejected\"}')");
	wait_until_over($job);
	is(run_sql("SELECT concat_ws(' ', status, result->>'rejected') FROM kwdb_internal.jobs WHERE job_id = $job"), 'succeeded 60', 'a slow search');
	is(run_sql('SELECT count(DISTINCT xmin::text) FROM imported.rejected'), 60, '... is committed in as many batches as there are bad records');
	# Without that, each batch would read all records that are left: 60 + 59 + 58 + ... of them, and halves.
	cmp_ok(run_sql('SELECT last_value FROM tried'), '<', 1000, '... each of which reads no more than the one before has come to');
	run_sql('ALTER DATABASE postgres RESET kwjobs.import_batch_time');
	forget();
}

quit_session();
$node->stop;
done_testing();
