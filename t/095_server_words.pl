# Errors that PostgreSQL words differently from version to version: a job statement, or a
# statement that only looks like one, reports just what the server says by itself.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use KwjTest;
use Test::More;

my $node = new_node('server_words');
$node->safe_psql('postgres', <<'EOF');
CREATE ROLE admin;
CREATE ROLE operator LOGIN IN ROLE admin;
CREATE TABLE target (a integer, b integer);
EOF
my $superuser = $node->safe_psql('postgres', 'SELECT current_user');

# The SQLSTATE and the message of a statement's error, and the place that it points to.
sub error_of
{
	my ($role, $statement) = @_;
	my ($rc, $out, $err) = $node->psql('postgres', "\\set VERBOSITY verbose\n$statement",
		extra_params => [ '-U', $role ]);
	my ($said) = $err =~ /ERROR:  (.*)$/m;
	my ($place) = $err =~ /^(LINE.*\n.*)$/m;
	return ($said // "no error, status $rc") . ($place ? "\n$place" : '');
}

# The role's statement, the server's own with the same fault, what both say in each version.
sub says_the_same
{
	my ($role, $ours, $own, $pattern) = @_;
	my $said = error_of($role, $ours);
	is($said, error_of($role, $own), "the server's words: $ours");
	like($said, $pattern, '... which are known');
	return;
}

says_the_same($superuser,
	"SET CLUSTER SETTING jobs.retention_time = '-1m'",
	"ALTER SYSTEM SET jobs.retention_time = '-1min'",
	qr/^22023: -60 s is outside the valid range for parameter "jobs\.retention_time" \(0/);
is($node->safe_psql('postgres', 'SHOW CLUSTER SETTING jobs.retention_time'),
	'14d', 'the setting is what it was');

says_the_same('operator',
	'SHOW CLUSTER SETTING data_directory',
	'SHOW data_directory',
	qr/^42501: .*to examine "data_directory"$/);

my $statistics = 'CREATE STATISTICS ON a b FROM target';
says_the_same($superuser, $statistics, "SET kwjobs.statements = off;\n$statistics",
	qr/^42601: syntax error at or near "(ON|b)"\nLINE 1: $statistics/);

$node->stop;
done_testing();
