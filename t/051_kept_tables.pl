# Tables whose rows another extension keeps: IMPORT refuses them when the job is created, at
# each batch, and when it is to be reverted. The catalogs of these extensions are imitated.

use strict;
use warnings;

use Cwd qw(abs_path);
use FindBin;
use lib "$FindBin::RealBin/lib";
use KwjTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('kept', "kwjobs.import_batch_size = '1kB'\n");
my $csv = write_csv($node, 2000);

sub run_sql { return $node->safe_psql('postgres', $_[0]); }

# What Citus has in each database, and TimescaleDB.
run_sql(<<'EOF_SQL');
SET allow_system_table_mods = on;
CREATE TABLE pg_catalog.pg_dist_partition (
    logicalrelid regclass NOT NULL, partmethod "char" NOT NULL, partkey text, colocationid integer, repmodel "char", autoconverted boolean);
CREATE SCHEMA _timescaledb_catalog;
CREATE TABLE _timescaledb_catalog.hypertable (
    id serial PRIMARY KEY, schema_name name NOT NULL, table_name name NOT NULL, num_dimensions smallint, UNIQUE (schema_name, table_name));
CREATE ROLE owner LOGIN IN ROLE pg_read_server_files;
GRANT CREATE ON SCHEMA public TO owner;
EOF_SQL

sub distribute { run_sql("INSERT INTO pg_catalog.pg_dist_partition VALUES ('$_[0]', 'h')"); return; }
sub make_hypertable { run_sql("INSERT INTO _timescaledb_catalog.hypertable (schema_name, table_name) VALUES ('public', '$_[0]')"); return; }

# Refused in all forms, and no job is left.
sub is_refused
{
	my ($table, $kept, $extension, $name) = @_;
	my $jobs = run_sql('SELECT count(*) FROM kwjobs.job');
	my %form = (
		statement => "IMPORT INTO $table CSV DATA ('$csv')",
		detached => "IMPORT INTO $table CSV DATA ('$csv') WITH detached",
		prepared => "PREPARE p AS IMPORT INTO $table CSV DATA ('$csv') WITH detached; EXECUTE p",
		function => "SELECT kwjobs.import('$table', ARRAY['$csv'])",
		procedure => "CALL kwjobs.import_and_wait('$table', ARRAY['$csv'])");
	for my $form (sort keys %form)
	{
		my ($rc, $out, $err) = $node->psql('postgres', "SET ROLE owner; $form{$form}", extra_params => [ '-v', 'VERBOSITY=verbose' ]);
		my $lines = join("\n", grep { /^(psql.*ERROR|DETAIL|HINT)/ } split(/\n/, $err));
		is( $lines =~ s/^psql:\S+ //r,
			qq{ERROR:  0A000: cannot import into table "$table", whose rows are kept by $extension\n}
			  . qq{DETAIL:  IMPORT would write rows into public.$kept itself, where $extension looks for none.\n}
			  . q{HINT:  Type WITH revert = 'none' if the rows may stay when the job fails or is canceled.},
			"$name: $form");
	}
	is(run_sql("SELECT count(*) - $jobs FROM kwjobs.job"), '0', '... and there is no job');
	is(run_sql("SELECT count(*) FROM $table"), '0', '... nor a row');
	return;
}

run_sql(<<'EOF_SQL');
SET ROLE owner;
CREATE TABLE plain (n integer, t text);
CREATE TABLE distributed (n integer, t text);
CREATE TABLE measurements (n integer, t text);
CREATE TABLE chunk () INHERITS (measurements);
CREATE TABLE sub_chunk () INHERITS (chunk);
CREATE TABLE parted (n integer, t text) PARTITION BY RANGE (n);
CREATE TABLE part_low PARTITION OF parted FOR VALUES FROM (0) TO (1500) PARTITION BY RANGE (n);
CREATE TABLE part_lowest PARTITION OF part_low FOR VALUES FROM (0) TO (1500);
CREATE TABLE part_high PARTITION OF parted FOR VALUES FROM (1500) TO (9000);
EOF_SQL
distribute('distributed');
make_hypertable('measurements');

is( run_sql("SET ROLE owner; IMPORT INTO plain CSV DATA ('$csv') \\gset\n\\echo :status :rows"), 'succeeded 2000', 'another table is imported into');
is_refused('distributed', 'distributed', 'Citus', 'a distributed table');
is_refused('measurements', 'measurements', 'TimescaleDB', 'a hypertable');
is_refused('chunk', 'measurements', 'TimescaleDB', 'a chunk of it');
is_refused('sub_chunk', 'measurements', 'TimescaleDB', 'what inherits from it over another table');

# A partition that is kept, its parents, and partitions of what is kept.
is(run_sql("SET ROLE owner; IMPORT INTO parted CSV DATA ('$csv') \\gset\n\\echo :rows"), '2000', 'a partitioned table is imported into');
run_sql('TRUNCATE parted');
distribute('part_lowest');
is_refused('parted', 'part_lowest', 'Citus', 'a table with a distributed partition');
is_refused('part_low', 'part_lowest', 'Citus', 'its partition above that');
is_refused('part_lowest', 'part_lowest', 'Citus', 'that partition');
is(run_sql("SET ROLE owner; SELECT kwjobs.import('part_high', ARRAY['$csv']) IS NOT NULL"), 't', 'but not another partition');
wait_query($node, q{SELECT count(*) = 1 FROM kwdb_internal.jobs WHERE status = 'failed' AND error_code = '23514'});
run_sql('DELETE FROM pg_catalog.pg_dist_partition');
distribute('parted');
is_refused('part_lowest', 'parted', 'Citus', 'a partition of a distributed table');
is_refused('part_high', 'parted', 'Citus', 'another one');
run_sql('DELETE FROM pg_catalog.pg_dist_partition');

# A table that is dropped may still be in such a catalog.
run_sql("INSERT INTO pg_catalog.pg_dist_partition VALUES (4294967295::oid, 'h')");
make_hypertable('dropped_since');
is(run_sql("TRUNCATE plain; SET ROLE owner; IMPORT INTO plain CSV DATA ('$csv') \\gset\n\\echo :rows"), '2000', 'what the catalogs have beside it does not matter');

# It becomes such a table while the job is paused: no row goes in any more, and none is taken out.
my %later = (
	distributed_later => sub { distribute('distributed_later'); return 'Citus'; },
	hypertable_later => sub { make_hypertable('hypertable_later'); return 'TimescaleDB'; },
	parent_later => sub {
		run_sql('CREATE TABLE the_parent (LIKE parent_later); ALTER TABLE parent_later INHERIT the_parent');
		distribute('the_parent');
		return 'Citus';
	});
for my $table (sort keys %later)
{
	make_target($node, $table, 1000);
	run_sql("INSERT INTO $table VALUES (-1); ALTER TABLE $table OWNER TO owner");
	my $gate = close_gate($node);
	my $job = run_sql("SET ROLE owner; SELECT kwjobs.import('$table', ARRAY['$csv'])");
	wait_at_gate($node, $job);
	run_sql("SELECT kwjobs.pause($job)");
	wait_for_status($node, $job, 'paused');
	open_gate($gate);
	my $rows = run_sql("SELECT count(*) FROM $table");
	cmp_ok($rows, '>', 1, "$table: rows are there");
	my $extension = $later{$table}->();
	run_sql("SELECT kwjobs.resume($job)");
	wait_for_end($node, $job);
	like(job_field($node, $job, "concat_ws('|', status, error_code, error)"),
		qr/^revert-failed\|55000\|imported rows of table "(?:$table|the_parent)" cannot be removed: its rows are kept by $extension now$/, '... the job ends, and its revert');
	like(run_sql("SELECT error FROM kwdb_internal.job_attempts WHERE job_id = $job AND NOT reverting ORDER BY attempt DESC LIMIT 1"),
		qr/^cannot import into table "$table", whose rows are kept by $extension$/, '... for what the table is now');
	is(run_sql("SELECT count(*) FROM $table"), $rows, '... which has the rows that it had');
	# when it is an ordinary table again, the revert can be done
	run_sql("DELETE FROM pg_catalog.pg_dist_partition; DELETE FROM _timescaledb_catalog.hypertable; SELECT kwjobs.resume($job)");
	wait_for_status($node, $job, 'failed');
	is(run_sql("SELECT string_agg(n::text, ',') FROM $table"), '-1', '... and reverts as soon as that is over');
}

# A partition that is kept is attached while the job is paused.
run_sql(<<'EOF_SQL');
CREATE TABLE grows (n integer, t text) PARTITION BY RANGE (n);
CREATE TABLE grows_1 PARTITION OF grows FOR VALUES FROM (0) TO (1500);
CREATE TABLE grows_2 (n integer, t text);
EOF_SQL
{
	run_sql('CREATE FUNCTION grows_gate() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_advisory_xact_lock_shared(4711); RETURN NEW; END $$;'
		  . 'CREATE TRIGGER gate BEFORE INSERT ON grows_1 FOR EACH ROW WHEN (NEW.n = 1000) EXECUTE FUNCTION grows_gate()');
	my $gate = close_gate($node);
	my $job = start_import($node, 'grows', $csv);
	wait_at_gate($node, $job);
	run_sql("SELECT kwjobs.pause($job)");
	wait_for_status($node, $job, 'paused');
	open_gate($gate);
	distribute('grows_2');
	run_sql("ALTER TABLE grows ATTACH PARTITION grows_2 FOR VALUES FROM (1500) TO (9000); SELECT kwjobs.resume($job)");
	wait_for_end($node, $job);
	is(job_field($node, $job, 'status, error'), 'failed|cannot import into table "grows", whose rows are kept by Citus', 'a partition of Citus is attached: the job fails');
	is(run_sql('SELECT count(*) FROM grows'), '0', '... and the other partitions are as they were');
	run_sql('DELETE FROM pg_catalog.pg_dist_partition');
}

# An EXPORT of the database has the rows of a hypertable, which are in its chunks, once.
$node->safe_psql('postgres', 'CREATE DATABASE exported');
$node->safe_psql('exported', <<'EOF_SQL');
CREATE EXTENSION kwjobs;
CREATE SCHEMA _timescaledb_catalog;
CREATE TABLE _timescaledb_catalog.hypertable (schema_name name, table_name name);
CREATE TABLE measurements (n integer, t text);
CREATE TABLE chunk () INHERITS (measurements);
CREATE TABLE sub_chunk () INHERITS (chunk);
INSERT INTO chunk VALUES (1, 'a'), (2, 'b');
INSERT INTO sub_chunk VALUES (3, 'c');
INSERT INTO _timescaledb_catalog.hypertable VALUES ('public', 'measurements');
EOF_SQL
{
	my $to = abs_path($node->basedir) . '/export';
	$node->safe_psql('exported', "EXPORT INTO CSV '$to' FROM DATABASE exported");
	is(join(' ', sort map { s{.*/public/}{}r } glob("$to/public/*")), 'measurements', 'EXPORT DATABASE: the chunks are not exported for themselves');
	is(join('', sort split(/^/, join('', map { slurp_file($_) } glob("$to/public/measurements/*")))), "1,a\n2,b\n3,c\n", '... their rows are those of the hypertable');
	unlike(slurp_file("$to/meta.sql"), qr/chunk/, '... and so are their definitions');
}

# What another role makes under such a name is not believed, nor is its code called.
$node->safe_psql('postgres', 'CREATE DATABASE fake OWNER owner');
$node->safe_psql('fake', 'CREATE EXTENSION kwjobs');
$node->safe_psql('fake', <<"EOF_SQL", connstr => $node->connstr('fake') . ' user=owner');
CREATE TABLE plain (n integer, t text);
CREATE SCHEMA _timescaledb_catalog;
CREATE TABLE _timescaledb_catalog.hypertable (schema_name name, table_name name);
INSERT INTO _timescaledb_catalog.hypertable VALUES ('public', 'plain');
EOF_SQL
is($node->safe_psql('fake', "IMPORT INTO plain CSV DATA ('$csv') \\gset\n\\echo :rows"), '2000', 'a catalog of an ordinary role is not believed');
$node->safe_psql('fake', <<"EOF_SQL", connstr => $node->connstr('fake') . ' user=owner');
DROP TABLE _timescaledb_catalog.hypertable;
CREATE FUNCTION trap() RETURNS name LANGUAGE plpgsql AS \$\$ BEGIN RAISE 'called as %', current_user; END \$\$;
CREATE VIEW _timescaledb_catalog.hypertable AS SELECT trap() AS schema_name, trap() AS table_name;
EOF_SQL
is($node->safe_psql('fake', "IMPORT INTO plain CSV DATA ('$csv') \\gset\n\\echo :rows"), '2000', '... nor is a view that calls something');
$node->safe_psql('fake', 'DROP VIEW _timescaledb_catalog.hypertable; CREATE TABLE _timescaledb_catalog.hypertable (schema_name text, name name); INSERT INTO _timescaledb_catalog.hypertable VALUES (1, 2)');
is($node->safe_psql('fake', "IMPORT INTO plain CSV DATA ('$csv') \\gset\n\\echo :rows"), '2000', '... and one with other columns is none');

is_consistent($node);
$node->stop;
done_testing();
