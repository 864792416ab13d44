# Copies of a database, where a job may have been canceled, or not touched for very long, when it was
# copied.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use KwjTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('copies', "ignore_checksum_failure = on\n", extra => [ '--no-locale', '--encoding=UTF8' ]);
my $later = "run_at => now() + interval '1 hour'";
my $wait = 'DO $$ BEGIN WHILE NOT EXISTS (SELECT FROM pg_catalog.pg_class WHERE relname = \'open\') LOOP NULL; END LOOP; END $$';

sub submit
{
	my ($db, $statement, $more) = @_;
	return $node->safe_psql($db, "SELECT kwjobs.submit(\$s\$$statement\$s\$" . ($more ? ", $more)" : ')'));
}

# The coordinator of a database has looked at what was copied.
sub wait_until_home
{
	my ($db) = @_;
	wait_query($node, "SELECT h.database = d.oid FROM kwjobs.home AS h, pg_database AS d WHERE d.datname = '$db'", $db);
	return;
}

# There is one row that says which database it is.
for my $row ('cluster, 99999', 'cluster, database')
{
	my ($rc, $out, $err) = $node->psql('postgres', "INSERT INTO kwjobs.home (cluster, database) SELECT $row FROM kwjobs.home");
	isnt($rc, 0, "no second row: $row");
}
my ($rc) = $node->psql('postgres', 'INSERT INTO kwjobs.home SELECT false, cluster, 99999 FROM kwjobs.home');
isnt($rc, 0, '... nor one that says that it is another');
is($node->safe_psql('postgres', 'SELECT count(*) FROM kwjobs.home'), '1', 'one row');

# Jobs that were canceled. That is not settled yet, as the database is copied: what the coordinator
# of the original does with the request is undone in its row.
$node->safe_psql('postgres', 'CREATE DATABASE original');
$node->safe_psql('original', 'CREATE EXTENSION kwjobs; CREATE TABLE effect (what text)');
my %job = (
	new => submit('original', 'SELECT 1', $later),
	plain => submit('original', $wait),
	reverted => submit('original', $wait, "on_revert => 'INSERT INTO effect VALUES (''reverted'')'"),
	waits => submit('original', 'SELECT 1', $later));
wait_query($node, "SELECT pid IS NOT NULL FROM kwdb_internal.jobs WHERE job_id = $job{$_}", 'original') for qw(plain reverted);
# nothing of kwjobs works there until the copy is made
$node->append_conf('postgresql.conf', "shared_preload_libraries = ''\n");
$node->restart;
$node->safe_psql('original', <<"EOS");
UPDATE kwjobs.job SET status = 'cancel-requested', rank = NULL WHERE job_id IN ($job{new}, $job{plain}, $job{reverted})
EOS
$node->safe_psql('postgres', 'CREATE DATABASE copy TEMPLATE original');

# In this copy the pass that pauses the jobs comes to nothing, as it raises an error afterwards.
$node->safe_psql('postgres', 'CREATE DATABASE troubled TEMPLATE original');
$node->safe_psql('troubled', <<"EOS");
CREATE FUNCTION raise() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE ''not this one''; END';
CREATE TRIGGER raise BEFORE UPDATE ON kwjobs.job FOR EACH ROW
  WHEN (NEW.job_id = $job{new} AND NEW.status = 'canceled') EXECUTE FUNCTION raise();
EOS
$node->append_conf('postgresql.conf', "shared_preload_libraries = 'kwjobs'\n");
$node->restart;

wait_until_home('copy');
wait_for_status($node, $job{$_}, 'canceled', 'copy') for qw(new plain);
is(job_field($node, $job{$_}, 'error_code, error', 'copy'), '57014|job canceled by user', "copy: $_ is canceled")
  for qw(new plain);
is(job_field($node, $job{waits}, 'status, error_code', 'copy'), 'paused|55000', 'one that was not is paused');
is(job_field($node, $job{reverted}, 'status, error_code, error, running_status', 'copy'),
	'paused|57014|job canceled by user|paused: this database is a copy; RESUME JOB reverts the job here, too',
	'one that has something to revert is, too');
is($node->safe_psql('copy', 'SELECT count(*) FROM effect'), '0', '... and is not reverted');
($rc) = $node->psql('copy', "SELECT kwjobs.cancel($job{reverted})");
isnt($rc, 0, '... nor is it to be canceled again');
is_consistent($node, 'copy');
ok($node->log_contains(qr/2 jobs are paused because this database is a copy of another one/), 'the log counts those that are paused');
$node->safe_psql('copy', "SELECT kwjobs.resume($job{reverted})");
wait_for_status($node, $job{reverted}, 'canceled', 'copy');
is($node->safe_psql('copy', 'SELECT what FROM effect'), 'reverted', 'RESUME JOB reverts it');
is(job_field($node, $job{reverted}, 'error_code, error', 'copy'), '57014|job canceled by user', '... as canceled');
wait_for_status($node, $job{$_}, 'canceled', 'original') for qw(new plain reverted);

wait_for_status($node, $job{new}, 'failed', 'troubled');
like(job_field($node, $job{new}, 'error', 'troubled'), qr/^what was asked of the job could not be done: not this one/,
	'the first pass in a copy raises an error: the job that is the cause fails');
is(job_field($node, $job{waits}, 'status, error_code', 'troubled'), 'paused|55000', '... and those that were copied are paused all the same');
is($node->safe_psql('troubled', 'SELECT count(*) FROM effect'), '0', '... none of them has run');
is_consistent($node, 'troubled');

# A job that was written two thousand million transactions ago and more: its row is frozen, and the
# transaction in it looks as if it were still to come. The file is made to say both.
$node->safe_psql('postgres', 'CREATE DATABASE ancient');
$node->safe_psql('ancient', 'CREATE EXTENSION kwjobs');
my $ancient = submit('ancient', 'SELECT 1', $later);
my ($place, $path) = split(/\|/, $node->safe_psql('ancient',
		"SELECT ctid, pg_relation_filepath('kwjobs.job') FROM kwjobs.job WHERE job_id = $ancient"));
my ($page, $item) = $place =~ /\((\d+),(\d+)\)/;
$node->stop;
open(my $fh, '+<:raw', $node->data_dir . "/$path") or die $!;
seek($fh, $page * 8192 + 24 + 4 * ($item - 1), 0) or die $!;
read($fh, my $pointer, 4) == 4 or die $!;
# of a row, its xmin comes first
my $offset = $page * 8192 + (unpack('L', $pointer) & 0x7fff);
seek($fh, $offset, 0) or die $!;
read($fh, my $row, 22) == 22 or die $!;
seek($fh, $offset, 0) or die $!;
# and its flags are the two bytes from the 20th on
print $fh pack('L', unpack('L', $row) + 1500 * 1000 * 1000) . substr($row, 4, 16)
  . pack('S', unpack('S', substr($row, 20)) | 0x0300);
close($fh) or die $!;
$node->start;
is($node->safe_psql('ancient', "SELECT age(xmin) < 0 FROM kwjobs.job WHERE job_id = $ancient"), 't', 'a wrapped age');
$node->safe_psql('postgres', 'CREATE DATABASE modern TEMPLATE ancient');
my $own = submit('modern', 'SELECT 1', $later);
wait_until_home('modern');
is(job_field($node, $ancient, 'status', 'modern'), 'paused', '... is that of a job that was copied');
is(job_field($node, $own, 'status', 'modern'), 'pending', '... and not that of a new one');
is(job_field($node, $ancient, 'status', 'ancient'), 'pending', '... and in the original it waits');

$node->stop;
done_testing();
