# What EXPORT writes, IMPORT reads back identical: all types of PostgreSQL, arrays, composites, domains
# and NULLs, texts of all kinds, all options, databases in other encodings. A whole database, too:
# meta.sql makes its tables in another one, and an EXPORT of that writes the same files.
# KWJ_SEED repeats a run.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/lib";
use KwjTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $seed = $ENV{KWJ_SEED} // int(rand(2**31));
diag("KWJ_SEED=$seed repeats this run");
srand($seed);

my $node = new_node('transfer', 'autovacuum = off', extra => [ '--no-locale', '--encoding=UTF8' ]);
my $base = PostgreSQL::Test::Utils::tempdir();
my $made = 0;

sub sql { my ($sql, $db) = @_; return $node->safe_psql($db // 'postgres', $sql) }
sub new_path { return "$base/d" . ++$made }

sub wait_for_success
{
	my ($job, $name, $db) = @_;
	my $status = sql("SELECT status || coalesce(': ' || nullif(error, ''), '') FROM kwjobs.when_complete(ARRAY[$job])", $db);
	is($status, 'succeeded', $name) if $status ne 'succeeded';
	return $status eq 'succeeded';
}

# The settings of the session that imports are others than those of the one that exports.
my $other_settings = q{SET DateStyle = 'German'; SET IntervalStyle = 'sql_standard'; SET TimeZone = 'Australia/Eucla'; SET extra_float_digits = 0; SET bytea_output = 'escape';};

# Exports the table, compressed in some way, and imports the files into a copy of it, and then what the
# manifest names. Tests whether both have the same rows. $options: of EXPORT; $import: of IMPORT, in the
# same order.
sub comes_back
{
	my ($table, $options, $import, $name, $db) = @_;
	my $dir = new_path();
	my $compression = (qw(none gzip lz4 zstd))[ rand(4) ];
	my $checksum = (qw(CRC32C SHA224 SHA256 SHA384 SHA512))[ rand(5) ];
	my $job = sql("EXPORT INTO CSV '$dir' FROM TABLE $table WITH detached, compression = '$compression', checksum = '$checksum'"
		. join('', map { ", $_" } @$options), $db);
	$name .= ", $compression";
	return ok(0, "$name: EXPORT") unless wait_for_success($job, "$name: EXPORT", $db);
	sql("DROP TABLE IF EXISTS copied; CREATE TABLE copied (LIKE $table)", $db);
	my $files = join(', ', map { "'$_'" } sort glob("$dir/n1.*"));
	if ($files ne '')
	{
		$job = sql("$other_settings IMPORT INTO copied CSV DATA ($files) WITH detached" . join('', map { ", $_" } @$import), $db);
		return ok(0, "$name: IMPORT") unless wait_for_success($job, "$name: IMPORT", $db);
	}
	is_copied($table, $name, $db);
	sql('TRUNCATE copied', $db);
	$job = sql("$other_settings IMPORT INTO copied CSV DATA ('$dir/manifest.json') WITH detached", $db);
	wait_for_success($job, "$name: IMPORT by the manifest", $db);
	return is_copied($table, "$name, by the manifest", $db);
}

sub is_copied
{
	my ($table, $name, $db) = @_;
	# As text, so that what compares as equal but is not, as 1.0 and 1.00, counts as different.
	return is(sql(<<"EOF", $db), '0|0|t', $name);
SELECT count(*) FILTER (WHERE w = 1), count(*) FILTER (WHERE w = 2), (SELECT count(*) FROM $table) = (SELECT count(*) FROM copied)
  FROM ((SELECT 1, t::text FROM $table AS t EXCEPT ALL SELECT 1, t::text FROM copied AS t)
        UNION ALL (SELECT 2, t::text FROM copied AS t EXCEPT ALL SELECT 2, t::text FROM $table AS t)) AS d (w, t)
EOF
}


# ---- types ----

# Values of types. A type that is not here makes the test fail, so that new ones get values.
my %values = (
	bool => [qw(t f)],
	bytea => [ '\x', '\x00ff5c22', '\x' . '00' x 100 ],
	char => [ 'a', ' ', '"', ',' ],
	name => [ 'a', 'A "b"' ],
	int8 => [ '-9223372036854775808', '9223372036854775807' ],
	int2 => [ '-32768', '32767' ],
	int2vector => [ '', '1 2 3' ],
	int4 => [ '-2147483648', '0' ],
	regproc => [ '-', 'now' ],
	text => [ '', 'x' ],
	oid => [ '0', '4294967295' ],
	tid => ['(4294967294,65535)'],
	xid => ['4294967295'],
	cid => ['4294967295'],
	oidvector => [ '', '1 4294967295' ],
	json => [ '{ "a" :  [1, "b,\"\n"] }', 'null' ],
	xml => [ '<a b="c">,"</a>', '' ],
	xid8 => ['18446744073709551615'],
	point => ['(1.5,-2e-300)'],
	lseg => ['[(0,0),(1,1)]'],
	path => [ '((0,0),(1,1))', '[(0,0),(1,1)]' ],
	box => ['(1,1),(0,0)'],
	polygon => ['((0,0),(1,1),(2,0))'],
	line => ['{1,2,3}'],
	float4 => [ 'NaN', '-Infinity', '1.17549435e-38', '0.1', '-0' ],
	float8 => [ 'NaN', 'Infinity', '4.9406564584124654e-324', '0.1', '1.7976931348623157e308', '-0' ],
	circle => ['<(1,2),3>'],
	money => [ '-92233720368547758.08', '1234.56' ],
	macaddr => ['08:00:2b:01:02:03'],
	inet => [ '::1/64', '192.168.0.1', '10.0.0.1/8' ],
	cidr => [ '10.0.0.0/8', '2001:db8::/32' ],
	macaddr8 => ['08:00:2b:01:02:03:04:05'],
	aclitem => ['=r/postgres'],
	bpchar => [ 'a  ', '' ],
	varchar => [ '', ' a ' ],
	date => [ '4713-01-01 BC', 'infinity', '2026-02-03', '5874897-12-31' ],
	time => [ '00:00', '24:00:00', '12:34:56.789012' ],
	timestamp => [ '4713-01-01 00:00 BC', '-infinity', '2026-02-03 04:05:06.000001' ],
	timestamptz => [ '2026-02-03 04:05:06.5+05:30', 'infinity', '0001-01-01 00:00 BC' ],
	interval => [ '-1 years -2 mons +3 days -04:05:06.7', '1 mon -1 day', '178000000 years' ],
	timetz => ['12:34:56.7-15:59:59'],
	bit => [ '1', '0' ],
	varbit => [ '', '10101' ],
	numeric => [ 'NaN', '-Infinity', '1.50', '1e-1000', '1e1000', '0.00' ],
	refcursor => ['a "b"'],
	regprocedure => ['abs(integer)'],
	regoper => ['||/'],
	regoperator => ['+(integer,integer)'],
	regclass => [ 'pg_class', '-' ],
	regtype => [ 'integer', 'timestamp with time zone' ],
	regrole => ['postgres'],
	regnamespace => ['pg_catalog'],
	regconfig => ['english'],
	regdictionary => ['simple'],
	regcollation => ['"C"'],
	regdatabase => ['postgres'],
	uuid => ['a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'],
	pg_lsn => ['FFFFFFFF/FFFFFFFF'],
	tsvector => [ q{'a ,"' 'b':1A,2}, '' ],
	tsquery => [ q{'a' & !'b,"':*AB | 'c' <2> 'd'}, '' ],
	jsonb => [ '{"a": [1.50, "b,\"\n"], "": null}', '"\\\\"' ],
	jsonpath => ['$."a,b"[*] ? (@ > 1)'],
	txid_snapshot => ['10:20:10,14'],
	pg_snapshot => ['10:20:10,14'],
	oid8 => ['18446744073709551615'],
	int4range => [ 'empty', '[1,3)', '(,)' ],
	numrange => [ '(1.50,2]', 'empty' ],
	tsrange => ['["2026-01-01 00:00:00",infinity]'],
	tstzrange => ['["2026-01-01 00:00:00+00",)'],
	daterange => ['[2026-01-01,2026-02-01)'],
	int8range => ['[1,)'],
	int4multirange => [ '{}', '{[1,3),[5,6)}' ],
	nummultirange => ['{(1.50,2],[3,)}'],
	tsmultirange => ['{["2026-01-01 00:00:00","2026-01-02 00:00:00")}'],
	tstzmultirange => ['{["2026-01-01 00:00:00+00",)}'],
	datemultirange => ['{[2026-01-01,2026-02-01)}'],
	int8multirange => ['{[1,)}'],
);

sub literal { my ($text) = @_; $text =~ s/'/''/g; $text =~ s/\\/\\\\/g; return " E'$text'" }

# A table with a column of each type, one of its array, and rows in which each value comes up.
sub test_types
{
	# Types without an input function, or whose input function accepts nothing.
	my @types = split(/\n/, sql(<<'EOF'));
SELECT typname FROM pg_type WHERE typtype IN ('b', 'r', 'm') AND typnamespace = 'pg_catalog'::regnamespace AND typcategory NOT IN ('A', 'Z')
   AND typname NOT IN ('gtsvector', 'pg_node_tree', 'pg_ndistinct', 'pg_dependencies', 'pg_mcv_list', 'pg_brin_bloom_summary', 'pg_brin_minmax_multi_summary')
UNION SELECT 'char'
ORDER BY 1
EOF
	my @columns;
	my @rows;
	for my $type (@types)
	{
		ok(exists $values{$type}, "type $type has values") or next;
		my ($rc) = $node->psql('postgres', "SELECT '$values{$type}[0]'::pg_catalog.\"$type\"");
		next if $rc != 0 && $type eq 'xml';    # PostgreSQL was built without it
		push(@columns, "\"c_$type\" pg_catalog.\"$type\", \"a_$type\" pg_catalog.\"$type\"[]");
		my $array = "ARRAY[" . join(', ', 'NULL', map { literal($_) } @{ $values{$type} }) . "]::pg_catalog.\"$type\"[]";
		push(@{ $rows[$_] }, literal($values{$type}[ $_ % @{ $values{$type} } ]), $_ == 0 ? 'NULL' : $_ == 1 ? 'ARRAY[]::text[]::pg_catalog."' . $type . '"[]' : $array) for 0 .. 5;
	}
	sql('CREATE TABLE types (' . join(', ', @columns) . ')');
	sql('INSERT INTO types VALUES (' . join(', ', @{ $rows[$_] }) . ')') for 0 .. 5;
	sql('INSERT INTO types DEFAULT VALUES');
	is(sql('SELECT count(*) FROM types'), 7, 'a table of all types');
	comes_back('types', [], [], 'all types, and arrays of them');
	comes_back('types', [ "delimiter = ';'", "nullas = 'NULL'", 'column_name', 'chunk_rows = 3' ],
		[ "delimiter = ';'", "nullif = 'NULL'", "skip = '1'" ], 'all types, with other options');
	return;
}

# ---- texts ----

my @pieces = ('"', '""', "'", ',', ';', '|', "\n", "\r", "\r\n", '\\', '\\.', '\\N', 'NULL', 'null', '', ' ', "\t", 'a', '{', '}', '(', ')', 'ä', '€', '日本', "\x{01}", "\x{7f}", '%', '#');

# Returns a random text, in UTF-8.
sub random_text
{
	my ($pieces) = @_;
	return join('', map { $pieces->[ rand(@$pieces) ] } 1 .. int(rand(6)));
}

sub make_texts
{
	my ($pieces, $db) = @_;
	my @rows;
	for (1 .. 500)
	{
		my @fields = map { rand() < 0.15 ? 'NULL' : literal(random_text($pieces)) } 1 .. 3;
		push(@rows, '(' . join(', ', @fields, "ARRAY[$fields[0], $fields[1]]", "ROW($fields[2], ARRAY[$fields[0]])", $fields[1]) . ')');
	}
	my $path = "$base/texts.sql";
	open(my $fh, '>', $path) or die "$path: $!";
	print $fh "SET client_encoding = 'UTF8'; SET client_min_messages = warning; DROP TABLE IF EXISTS texts; DROP DOMAIN IF EXISTS short; DROP TYPE IF EXISTS pair;\n"
	  . "CREATE TYPE pair AS (x text, y text[]); CREATE DOMAIN short AS varchar(100);\n"
	  . "CREATE TABLE texts (a text, b varchar, c text, d text[], e pair, f short);\n"
	  . 'INSERT INTO texts VALUES ' . join(",\n", @rows) . ";\n"
	  # one column: a line that is empty, or \., could be taken for something else
	  . "DROP TABLE IF EXISTS alone; CREATE TABLE alone (a text); INSERT INTO alone SELECT a FROM texts; INSERT INTO alone VALUES ('\\.'), (''), (NULL), ('\\N');\n";
	close($fh) or die "$path: $!";
	$node->command_ok([ 'psql', '-XAtq', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr($db), '-f', $path ], "$db: random texts");
	return;
}

sub test_texts
{
	my ($db, $pieces) = @_;
	make_texts($pieces, $db);
	for my $table (qw(texts alone))
	{
		comes_back($table, [], [], "$db: $table", $db);
		for my $delimiter (',', ';', '|', "\\t")
		{
			my $enclosed = ('"', "''")[ rand(2) ];
			my $escaped = ($enclosed, '\\')[ rand(2) ];
			my $null = ('', 'NULL', 'null', '\\N')[ rand(4) ];
			my @same = ("delimiter = e'$delimiter'", "enclosed = '$enclosed'", "escaped = '$escaped'");
			my $header = rand(2) < 1;
			comes_back($table, [ @same, "nullas = '$null'", 'chunk_rows = ' . (1 + int(rand(300))), $header ? 'column_name' : () ],
				[ @same, "nullif = '$null'", $header ? "skip = '1'" : () ],
				"$db: $table with delimiter $delimiter, enclosed $enclosed, escaped $escaped, null '$null'" . ($header ? ', header' : ''), $db);
		}
	}
	return;
}

# ---- a whole database ----

# Exports the database. Returns the directory.
sub export_database
{
	my ($db) = @_;
	my $dir = new_path();
	my $job = sql("EXPORT INTO CSV '$dir' FROM DATABASE $db WITH detached, foreign_key, comment, privileges", $db);
	wait_for_success($job, "EXPORT of database $db", $db);
	return $dir;
}

# Returns what the files of an export hold: the definitions, and of each file name, rows and checksum.
sub contents
{
	my ($dir) = @_;
	my $files = sql(<<"EOF");
SELECT string_agg(concat_ws(' ', f ->> 'file', f ->> 'rows', f ->> 'checksum'), E'\\n' ORDER BY f ->> 'file')
  FROM jsonb_array_elements(pg_read_file('$dir/manifest.json')::jsonb -> 'tables') AS t, jsonb_array_elements(t -> 'files') AS f
EOF
	return slurp_file("$dir/meta.sql") . $files;
}

sub test_database
{
	$node->safe_psql('postgres', $_) for 'CREATE DATABASE source', 'CREATE DATABASE target', 'CREATE ROLE reader';
	sql('CREATE EXTENSION kwjobs', $_) for qw(source target);
	sql(<<'EOF', 'source');
CREATE SCHEMA s; CREATE SCHEMA "S 2"; CREATE SCHEMA "meta.sql"; CREATE SCHEMA "manifest.json";
CREATE TABLE "meta.sql"."n1.0.csv" (a integer); INSERT INTO "meta.sql"."n1.0.csv" VALUES (1);
CREATE TABLE "manifest.json"."ä" (a integer); INSERT INTO "manifest.json"."ä" VALUES (2);
CREATE TYPE s.mood AS ENUM ('sad', 'o''k');
CREATE TYPE "S 2".pair AS (a integer, m s.mood[], t text COLLATE "C");
CREATE DOMAIN s.positive AS integer DEFAULT 5 NOT NULL CHECK (VALUE > 0);
CREATE DOMAIN s.positives AS s.positive[];
CREATE TYPE s.span AS RANGE (SUBTYPE = text);
CREATE TABLE s.large (id bigserial PRIMARY KEY, gen bigint GENERATED ALWAYS AS IDENTITY (START 5), g2 int GENERATED ALWAYS AS (1 + 2) STORED, m s.mood DEFAULT 'sad',
  c "S 2".pair, p s.positive, ps s.positives, r s.span, n numeric(5,2) DEFAULT 1.5 CHECK (n > 0), t text COLLATE "C" UNIQUE, x int NOT NULL)
  WITH (fillfactor = 70, autovacuum_enabled = off);
CREATE INDEX ON s.large (lower(t)) WHERE x > 3;
CREATE TABLE s.part (k int, v text, PRIMARY KEY (k)) PARTITION BY RANGE (k);
CREATE TABLE s.part1 PARTITION OF s.part FOR VALUES FROM (0) TO (10);
CREATE TABLE s.part2 PARTITION OF s.part FOR VALUES FROM (10) TO (100) PARTITION BY LIST (k);
CREATE TABLE s.part21 PARTITION OF s.part2 FOR VALUES IN (10, 11);
CREATE TABLE s.rest PARTITION OF s.part DEFAULT;
CREATE INDEX ON s.part (v);
CREATE INDEX ON s.part1 (v, k);
INSERT INTO s.part VALUES (1, 'a'), (10, 'b'), (500, 'c');
CREATE TABLE s.parent (a int CHECK (a > 0), b text);
CREATE TABLE s.child (c int) INHERITS (s.parent);
INSERT INTO s.parent VALUES (1, 'of the parent');
INSERT INTO s.child VALUES (1, 'of the child', 2);
CREATE TABLE "S 2"."a/b %" (a int REFERENCES s.large (id));
CREATE UNLOGGED TABLE "S 2".".." ();
COMMENT ON TABLE s.large IS 'it''s large'; COMMENT ON COLUMN s.large.x IS 'x';
GRANT SELECT, INSERT (x) ON s.large TO reader WITH GRANT OPTION; GRANT SELECT ON s.parent TO PUBLIC;
INSERT INTO s.large (m, c, p, ps, r, n, t, x) VALUES ('o''k', ROW(1, '{sad,"o''k"}', 'y'), 3, '{1,2}', '[a,b)', 3, 'T', 4), ('sad', NULL, 1, NULL, NULL, 1, 'U', 5);
INSERT INTO "S 2"."a/b %" VALUES (1);
CREATE SEQUENCE s.counter;
CREATE TABLE s.uses (a bigint DEFAULT nextval('s.counter'));
INSERT INTO s.uses DEFAULT VALUES;
CREATE VIEW s.view AS SELECT * FROM s.large;
EOF
	my $dir = export_database('source');
	$node->command_ok([ 'psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('target'), '-f', "$dir/meta.sql" ],
		'psql runs meta.sql');
	# Foreign keys: large comes before the table that refers to it only by chance, so they are dropped here.
	sql('ALTER TABLE "S 2"."a/b %" DROP CONSTRAINT "a/b %_a_fkey"', 'target');
	my $tables = sql(<<"EOF");
SELECT format('%I.%I (%s) CSV DATA (%s)', t ->> 'schema', t ->> 'table', (SELECT string_agg(quote_ident(c ->> 'name'), ', ') FROM jsonb_array_elements(t -> 'columns') AS c),
              (SELECT string_agg(quote_literal('$dir/' || (f ->> 'file')), ', ') FROM jsonb_array_elements(t -> 'files') AS f))
  FROM jsonb_array_elements(pg_read_file('$dir/manifest.json')::jsonb -> 'tables') AS t WHERE jsonb_array_length(t -> 'files') > 0
EOF
	for my $table (split(/\n/, $tables))
	{
		my $job = sql("IMPORT INTO $table WITH detached", 'target');
		wait_for_success($job, "IMPORT INTO $table", 'target');
	}
	sql('ALTER TABLE "S 2"."a/b %" ADD FOREIGN KEY (a) REFERENCES s.large (id)', 'target');
	is(contents(export_database('target')), contents($dir), 'an EXPORT of the copy is the same');
	is(sql(q{INSERT INTO s.large (x) VALUES (1) RETURNING id, gen}, 'target'), '3|7', 'sequences go on');
	return;
}

# The manifest is UTF-8, whatever the encoding of the database, and names the files as they are called.
sub test_names
{
	$node->safe_psql('postgres', "CREATE DATABASE names ENCODING 'LATIN1' TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C'");
	sql(qq{SET client_encoding = 'UTF8'; CREATE EXTENSION kwjobs; CREATE TABLE "t\x{c3}\x{a4}" AS SELECT 1 AS "\x{c3}\x{a4}"}, 'names');
	my $dir = export_database('names');
	my $manifest = slurp_file("$dir/manifest.json");
	is(utf8::decode(my $text = $manifest) ? 'yes' : 'no', 'yes', 'LATIN1: the manifest is UTF-8');
	like($text, qr/"table": "t\x{e4}", "columns": \[\{"name": "\x{e4}"/, 'LATIN1: names in the manifest');
	my ($file) = $text =~ /"file": "(public[^"]*)"/;
	is($file, 'public/t%E4/n1.0.csv', 'LATIN1: the name of a file');
	is(slurp_file("$dir/$file"), "1\n", 'LATIN1: the file');
	return;
}

# One snapshot for all tables: a transaction that changes two of them is in both or in none.
sub test_one_snapshot
{
	$node->safe_psql('postgres', 'CREATE DATABASE moving');
	sql(<<'EOF', 'moving');
CREATE EXTENSION kwjobs;
CREATE TABLE a_first (n integer);
CREATE TABLE b_second (n integer);
INSERT INTO a_first SELECT generate_series(1, 1000);
EOF
	# Moves rows from one table into the other until it is stopped.
	my $mover = $node->background_psql('moving');
	$mover->{stdin} .= <<'EOF';
DO $$ BEGIN
    LOOP
        IF random() < 0.5 THEN
            WITH moved AS (DELETE FROM a_first WHERE n IN (SELECT n FROM a_first LIMIT 10) RETURNING n) INSERT INTO b_second SELECT n FROM moved;
        ELSE
            WITH moved AS (DELETE FROM b_second WHERE n IN (SELECT n FROM b_second LIMIT 10) RETURNING n) INSERT INTO a_first SELECT n FROM moved;
        END IF;
        COMMIT;
    END LOOP;
END $$;
EOF
	$mover->{run}->pump_nb;
	wait_query($node, 'SELECT count(*) > 0 FROM b_second', 'moving');
	my %seen;
	for (1 .. 5)
	{
		my $dir = export_database('moving');
		my ($all, $first) = split(/\|/, sql("SELECT m ->> 'rows', m #>> '{tables,0,rows}' FROM (SELECT pg_read_file('$dir/manifest.json')::jsonb) AS f (m)"));
		is($all, 1000, 'all tables are of one snapshot');
		$seen{$first} = 1;
	}
	cmp_ok(scalar(keys %seen), '>', 1, 'rows have moved meanwhile');
	sql(q{SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'DO %' AND datname = 'moving' AND pid <> pg_backend_pid()});
	$mover->{run}->kill_kill;
	return;
}

test_types();
test_texts('postgres', \@pieces);
for my $encoding (qw(LATIN1 EUC_JP SQL_ASCII))
{
	my $db = lc($encoding);
	$node->safe_psql('postgres', "CREATE DATABASE $db ENCODING '$encoding' TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C'");
	sql('CREATE EXTENSION kwjobs', $db);
	my @its = grep { $encoding eq 'LATIN1' ? $_ !~ /日|€/ : $encoding eq 'EUC_JP' ? $_ !~ /€|ä/ : 1 } @pieces;
	test_texts($db, \@its);
}
test_names();
test_database();
test_one_snapshot();
is_consistent($node);

done_testing();
