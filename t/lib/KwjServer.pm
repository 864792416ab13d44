# t/lib/KwjServer.pm: what the tests of jobs of other databases (kwjobs.scope = server) have in common.
package KwjServer;

use strict;
use warnings;

use Exporter 'import';
use KwjTest;
use PostgreSQL::Test::Utils;

our @EXPORT = qw(create_database run_in waiting_job errands_end segments);

# Creates a database with kwjobs. $options: for CREATE DATABASE.
sub create_database
{
	my ($node, $db, $options) = @_;
	$node->safe_psql('postgres', "CREATE DATABASE $db " . ($options // ''));
	$node->safe_psql($db, 'CREATE EXTENSION kwjobs');
	return;
}

# Runs statements in a database, as a role if one is given. Returns what they print; in a list, also the
# messages.
sub run_in
{
	my ($node, $db, $sql, $role) = @_;
	my ($out, $err) = ('', '');
	$node->psql($db, ($role ? "SET ROLE $role;\n" : '') . $sql, stdout => \$out, stderr => \$err, on_error_stop => 0);
	$err =~ s/^psql:<stdin>:\d+: //gm;
	return wantarray ? ($out, $err) : $out;
}

# Returns a job of this database that waits for its time.
sub waiting_job
{
	my ($node, $db) = @_;
	return $node->safe_psql($db, q{SELECT kwjobs.submit('SELECT 1', run_at => 'tomorrow')});
}

# Waits until all control statements of sessions of this database for jobs of others have had their
# effect there, or were refused.
sub errands_end
{
	my ($node, $db) = @_;
	wait_query($node, q{SELECT count(*) = 0 FROM kwjobs.errand WHERE due <> 'infinity'}, $db);
	return;
}

# Returns the files of the segments of dynamic shared memory; in scalar context, how many there are.
# The server must have the setting dynamic_shared_memory_type = mmap.
sub segments
{
	my ($node) = @_;
	my @segments = glob($node->data_dir . '/pg_dynshmem/mmap.*');
	return @segments;
}

1;
